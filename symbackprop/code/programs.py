"""From a derivation to programs: the statements of forward, loss, gradients and of a training step."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from sympy import Add, Derivative, Expr, Mul, Piecewise, Sum, Symbol

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Layered, Name, Operation, Statement
from symbackprop.arrays.signature import UNCHANGED, Change, Lowered, lower
from symbackprop.code.buffers import is_mask
from symbackprop.code.recurrence import Places, Recurrence
from symbackprop.code.statements import renamed
from symbackprop.derivation.batch import NoSampleAxis, SampleAxis
from symbackprop.equations.circles import Circle, parts_of
from symbackprop.equations.indices import close_sum
from symbackprop.equations.naming import SAMPLE, SAMPLES, Glyph, split_name
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import ONE, Equation, indices_of, name_of
from symbackprop.errors import UnsupportedExpression

Carried: TypeAlias = Statement | Recurrence
"""What is carried out: a statement, or several place by place."""

SCALE = Symbol("_.scale", real=True)
"""What the first adjoints of a step are multiplied by: 1/N, the learning rate, weights of samples."""
RATE = Symbol("_.rate", real=True)
"""The learning rate."""


@dataclass(frozen=True)
class Programs:
    """Builds the statements of each function from the equations of one derivation.

    ``scalars`` holds the name in the code of each symbol that stands for a number; ``rate`` is what the
    derivatives of a training step are multiplied by.
    """

    derivation: Derived
    scalars: Mapping[Symbol, str]
    rate: Expr = ONE

    @cached_property
    def batch(self) -> SampleAxis:
        """The samples' axis."""
        return SampleAxis(self.derivation) if self.derivation.batch else NoSampleAxis(self.derivation)

    @cached_property
    def forward(self) -> list[Carried]:
        """The statements that compute every quantity but the error."""
        system = self.derivation.system
        found: list[Carried] = []
        for part in parts_of(system.equations, system.reads):
            if isinstance(part, Circle):
                found += self._recurrence(part, [self._forward_form(e) for e in part.equations])
            elif part.name != system.loss:
                equation, number = self._forward_form(part)
                found.append(self._statement(part.name, equation.lhs, equation.rhs, number))
        return found

    def _forward_form(self, equation: Equation) -> tuple[Equation, int]:
        """Return the form of an equation that is computed, and its number."""
        number = self.derivation.labels[equation.name]
        stable = self.derivation.stable_form_of.get(number)
        return (equation, number) if stable is None else (Equation(equation.lhs, stable.rhs), stable.number)

    def _recurrence(self, circle: Circle, forms: Sequence[tuple[Equation, int]]) -> list[Carried]:
        """Return the statements of a circle for the batch: those before its loop, and the loop."""
        lifted = [(self._lift.apply(equation), number) for equation, number in forms]
        moved = {e.name: len(e.indices) - len(circle.letters(e.name)) for e, _ in lifted}
        axes = {name: axis + moved[name] for name, axis in circle.axes.items()}
        places = Places(axes, self.scalars, self._taken)
        return places.recurrence(lifted, circle.extent, circle.ascending)

    @cached_property
    def _taken(self) -> set[str]:
        system = self.derivation.system
        return {*system.quantities, *(adjoint.name for adjoint in system.adjoints.values())}

    @cached_property
    def error(self) -> Statement:
        """The statement that computes the mean error of the batch."""
        step = self._batch_step(self.derivation.system.loss)
        return Statement(step.target, self._lower(Equation(step.lhs, step.rhs), UNCHANGED), step.number)

    @cached_property
    def backward(self) -> list[Carried]:
        """The statements that compute the adjoints and the derivatives, from the error inwards."""
        found: list[Carried] = []
        for name in self._results():
            circle = self.derivation.result_circles.get(name)
            if circle is not None:
                found += self._backwards(name, circle, lambda rhs: rhs)
            elif name in self.derivation.system.parameters:
                step = self._batch_step(name)
                equation = Equation(_target(step), step.rhs)
                found.append(self._derivative(name, equation, step.number))
            else:
                step = self._result(name)
                found.append(self._statement(name_of(step.lhs), step.lhs, step.rhs, step.number))
        return found

    @cached_property
    def scaled_backward(self) -> list[Carried]:
        """As `backward`, with 1/N, and the learning rate where it is folded in, multiplied in early.

        Everything is linear in the adjoints, so these factors go into the first ones, and into terms
        that no adjoint reaches.
        """
        found: list[Carried] = []
        for name in self._results():
            step = self._result(name)
            circle = self.derivation.result_circles.get(name)
            if circle is not None:
                found += self._backwards(name, circle, self._scaled)
            elif name in self.derivation.system.parameters:
                number, equation = self._batch_step(name).number, Equation(_target(step), step.rhs)
                found.append(self._derivative(name, equation, number, self._total))
            else:
                found.append(self._scaled_statement(step))
        return found

    def _backwards(self, name: str, circle: Circle, change: Callable[[Expr], Expr]) -> list[Carried]:
        """Return the statements of a circle of adjoints where ``name`` is the first of them, else none."""
        steps = [self._result(self.derivation.adjoints[adjoint]) for adjoint in circle.names]
        if steps[0].target != name:
            return []
        return self._recurrence(circle, [(Equation(s.lhs, change(s.rhs)), s.number) for s in steps])

    def _derivative(
        self, parameter: str, equation: Equation, number: int, change: Change = UNCHANGED
    ) -> Statement:
        name = self.derivation.system.adjoints[parameter].name
        return Statement(name, self._lower(equation, change), number)

    def _scaled_statement(self, step: Step) -> Statement:
        """Return the statement of an adjoint; where it reads none, its whole array is scaled.

        The scale may be a column, with a number for each sample, so it never meets a shorter array.
        """
        if self._reads_adjoint(step.rhs):
            operation = self._lower(Equation(step.lhs, step.rhs), self._scaled_lift)
            return Statement(name_of(step.lhs), operation, step.number)
        plain = self._statement(name_of(step.lhs), step.lhs, step.rhs, step.number)
        inputs = (plain.operation, Operation(Kind.NAME, (), self.scalars[SCALE]))
        axes, shape = plain.operation.axes, plain.operation.shape
        return replace(plain, operation=Operation(Kind.MULTIPLY, inputs, None, axes, shape))

    def _results(self) -> Iterator[str]:
        named = set(self.derivation.adjoints.values()) | set(self.derivation.system.parameters)
        return (name for name in self.derivation.results_in_order if name in named)

    def _result(self, name: str) -> Step:
        number = self.derivation.results[name]
        return self.derivation.stable_form_of.get(number, self.derivation.by_number[number])

    def _batch_step(self, name: str) -> Step:
        return self._batch_steps[name]

    @cached_property
    def _batch_steps(self) -> dict[str, Step]:
        """The steps that end in the error and in the derivatives of a batch, by what they are about."""
        if self.derivation.batch:
            return {step.target: step for step in self.derivation.batch}
        system = self.derivation.system
        loss = system.definitions[system.loss]
        plain = Step(self.derivation.labels[loss.name], loss.name, "definition", loss.lhs, loss.rhs)
        stable = {step.target: step for step in self.derivation.stable}
        ends = {
            loss.name: plain,
            **{name: self._result(name) for name in self.derivation.results if name in system.parameters},
        }
        return {name: stable.get(name, step) for name, step in ends.items()}

    def _statement(self, name: str, lhs: Expr, rhs: Expr, number: int) -> Statement:
        return Statement(name, self._lower(Equation(lhs, rhs), self._lift), number)

    @cached_property
    def _kinds(self) -> Lowered:
        return {}

    def _lower(self, equation: Equation, change: Change) -> Operation:
        return lower(equation, self.scalars, self._kinds, change)

    @cached_property
    def _lift(self) -> Change:
        """Makes an equation for one sample one for the batch."""

        def apply(equation: Equation) -> Equation:
            return Equation(self.batch.lift(equation.lhs), self.batch.lift(equation.rhs))

        return Change("lift", apply, lambda node: (self.batch.is_lifted(node),))

    @cached_property
    def _scaled_lift(self) -> Change:
        """Scales the definition of an adjoint, and makes it one for the batch."""

        def apply(equation: Equation) -> Equation:
            return Equation(self.batch.lift(equation.lhs), self.batch.lift(self._scaled(equation.rhs)))

        return Change("scaled", apply, self._marks)

    @cached_property
    def _total(self) -> Change:
        """Makes a derivative for one sample the scaled sum over the batch."""
        return Change("total", lambda e: Equation(e.lhs, self._scaled_total(e.rhs)), self._marks)

    def _marks(self, node: Expr) -> tuple[bool, ...]:
        return self.batch.is_lifted(node), name_of(node) in self.derivation.adjoints

    def _scaled_total(self, expression: Expr) -> Expr:
        """Return the sum over the samples of a derivative, scaled by the learning rate."""
        if not self.derivation.batch:
            return self._scaled(expression)
        terms = Add.make_args(expression)
        varying = [term for term in terms if self.batch.varies(term)]
        constant = [term for term in terms if not self.batch.varies(term)]
        total = self.batch.lift(Add(*[self._scaled(term) for term in varying]))
        summed = close_sum(total, [(SAMPLE, SAMPLES)]) if varying else total
        return summed + self.rate * Add(*constant)

    def _scaled(self, expression: Expr) -> Expr:
        """Return ``expression``, which is linear in adjoints, with `SCALE` on what reads none."""
        if not self._reads_adjoint(expression):
            return SCALE * expression
        if any(name_of(c) in self.derivation.adjoints for c in _component(expression)):
            return expression
        if isinstance(expression, Add):
            return Add(*[self._scaled(term) for term in expression.args])
        if isinstance(expression, Sum):
            return expression.func(self._scaled(expression.function), *expression.limits)
        if isinstance(expression, Piecewise):
            return Piecewise(*[(self._scaled(value), c) for value, c in expression.args])
        carriers = [f for f in Mul.make_args(expression) if self._reads_adjoint(f)]
        if isinstance(expression, Mul) and len(carriers) == 1:
            others = [f for f in expression.args if f is not carriers[0]]
            return Mul(*others, self._scaled(carriers[0]))
        raise UnsupportedExpression(f"not linear in the adjoints: {expression}")

    def _reads_adjoint(self, expression: Expr) -> bool:
        names = {s.name for s in expression.atoms(Symbol)}
        return not names.isdisjoint(self.derivation.adjoints)


def _component(expression: Expr) -> tuple[Expr, ...]:
    return (expression,) if indices_of(expression) or isinstance(expression, Symbol) else ()


def _target(step: Step) -> Expr:
    """Return the component of the parameter that a step differentiates for."""
    assert isinstance(step.lhs, Derivative)
    return step.lhs.variables[0]


# ---------------------------------------------------------------- needed statements, shared parts


def needed(
    statements: Sequence[Carried], results: Sequence[str], given: Collection[str] = ()
) -> list[Carried]:
    """Return the statements that ``results`` need where some names are ``given``, in order."""
    wanted, kept = set(results), list[Carried]()
    for statement in reversed(statements):
        if not wanted.isdisjoint(statement.names):
            kept.append(statement)
            wanted |= statement.operation.reads.difference(given)
    return kept[::-1]


@dataclass(frozen=True)
class Part:
    """A part of a statement that has a name: its word, mostly with what the statement's own name ends in."""

    name: str
    operation: Operation
    word: str


@dataclass(frozen=True)
class Named:
    """A statement with the parts that are computed before it because something else needs them too.

    ``known`` are the names of all parts and results before a recurrence, which computes no others.
    """

    statement: Carried
    parts: tuple[Part, ...]
    known: frozenset[str] = frozenset()

    def beside(self, part: Part) -> set[str]:
        """Return the names of the other parts."""
        return {each.name for each in self.parts if each is not part}

    def layered(self, layers: Mapping[str, Layered]) -> dict[str, Layered]:
        """Return the parts that are of the statement's layer, where it has one."""
        own = layers.get(self.statement.name)
        found = {part.name: Layered(part.word, own.layer) for part in self.parts} if own else {}
        return {name: layered for name, layered in found.items() if name == layered.alone}


_MANY = 3
"""Layers that use a part which is then none of a layer's own: an adjoint reads what the next layer has."""
_WORDS = {
    Kind.EXP: "exponentials",
    Kind.SQUARE: "squares",
    Kind.MAX: "largest",
    Kind.SUM: "total",
    Kind.SUBTRACT: "difference",
    Kind.WINDOWS: "windows",
    Kind.RESHAPE: "columns",
    Kind.PAD: "padded",
    Kind.GATHER: "rows",
    Kind.CAST: "mask",
}


def share(
    statements: Sequence[Carried], layered: Mapping[str, Layered], of_uses: Collection[str] = ()
) -> tuple[list[Named], dict[Operation, str]]:
    """Name each part that is used more than once, so that it is computed once.

    ``layered`` holds the names that belong to layers.  Loops keep these by layer, under the rest of the
    name: nothing else is called so.  Of the names ``of_uses`` the first layer names what the second one does,
    though it may use that once: the derivative of data is not computed.
    Returns the statements with their new parts, and the name of each operation that has one.
    """
    plain_statements = [s for s in statements if isinstance(s, Statement)]
    uses, used_in = _count_uses(plain_statements, layered)
    of_next = _NextLayer((s.name for s in plain_statements if s.name in of_uses), layered)
    read = sorted({name for s in statements for name in s.operation.reads})
    names: dict[Operation, str] = {Operation(Kind.ARRAY, (), name): name for name in read}
    taken = {name for s in statements for name in s.names} | set(read)
    plain: set[str] = set()
    result = []
    for statement in statements:
        parts: list[Part] = []
        if isinstance(statement, Recurrence):  # has parts of its own at each place
            result.append(Named(statement, (), frozenset(names.values())))
            continue
        for operation in _inside_out(statement.operation, set()):
            costly = operation.shape and not operation.is_leaf and operation.kind not in _CHEAP
            if operation in names or operation is statement.operation:
                continue
            like = of_next.of(operation, statement) if costly and uses[operation] == 1 else operation
            like = like if like in used_in else operation  # the next layer may be computed in another way
            if (costly and uses[like] > 1) or _deserves_name(operation):
                beside = _spelled(statement) if len(used_in[like]) < _MANY else Glyph("")
                names[operation], stem = _name(_word(operation), beside, taken, plain)
                taken |= {names[operation], stem}
                plain |= {stem} if names[operation] == stem else set()
                parts.append(Part(names[operation], operation, stem))
        if not statement.operation.is_leaf:  # t or 0 keeps its own name: it is read before, too
            names.setdefault(statement.operation, statement.name)
        result.append(Named(statement, tuple(parts)))
    return result, names


class _NextLayer:
    """Finds what the second layer has in place of what the first one has, in many uses of a block."""

    def __init__(self, names: Iterable[str], layered: Mapping[str, Layered]) -> None:
        self._layered = layered
        first: dict[str, tuple[int, str]] = {}  # stem -> the first layer, and the name there
        for name, place in ((name, layered[name]) for name in names if name in layered):
            first[place.stem] = min(first.get(place.stem, (place.layer, name)), (place.layer, name))
        self._first = {name for _, name in first.values()}

    def of(self, operation: Operation, statement: Statement) -> Operation:
        """Return what is like a part of a statement in the next layer, itself behind the first layer."""
        if statement.name not in self._first:
            return operation

        def change(name: Name) -> Name:
            own = self._layered.get(str(name))
            return name if own is None else replace(own, layer=own.layer + 1).alone

        return renamed(operation, change)


def _deserves_name(operation: Operation) -> bool:
    """Whether a part is named even where it is used once: windows, their columns for a product, places."""
    if operation.kind == Kind.RESHAPE and operation.is_whole:
        return True  # places
    columns = operation.kind == Kind.RESHAPE and not operation.is_view
    return operation.kind == Kind.WINDOWS or (
        columns and any(p.kind == Kind.WINDOWS for p in operation.parts())
    )


_CHEAP = (Kind.NEGATIVE, Kind.LAYOUT, Kind.SUBSCRIPT, Kind.DIAGONAL, Kind.UPDATE, Kind.ZEROS, Kind.ARANGE)
"""Operations that are no dearer than reading what they give, or no arrays by themselves."""


def _count_uses(
    statements: Sequence[Statement], layered: Mapping[str, Layered]
) -> tuple[Counter[Operation], dict[Operation, set[int]]]:
    """Return how often each operation is used, and in which layers."""
    uses: Counter[Operation] = Counter()
    used_in: dict[Operation, set[int]] = {}

    def visit(operation: Operation, own: set[int]) -> None:
        uses[operation] += 1
        # What is turned gets no name, so that what it is of is read again.
        if operation not in used_in or operation.kind == Kind.LAYOUT:
            used_in.setdefault(operation, set())
            for i in operation.inputs:
                visit(i, own)
        used_in[operation] |= own

    for statement in statements:
        name = layered.get(statement.name)
        visit(statement.operation, set() if name is None else {name.layer})
    return uses, used_in


def _inside_out(operation: Operation, seen: set[Operation]) -> Iterator[Operation]:
    if operation in seen:
        return
    seen.add(operation)
    for i in operation.inputs:
        yield from _inside_out(i, seen)
    yield operation


def _is_mask_of_numbers(operation: Operation) -> bool:
    return operation.kind == Kind.CAST and is_mask(operation.inputs[0])


def _word(operation: Operation) -> str:
    """Return what a part is called."""
    word = "places" if operation.is_whole else _WORDS.get(operation.kind, "part")
    word = "condition" if is_mask(operation) else word
    if operation.kind == Kind.MULTIPLY and any(map(_is_mask_of_numbers, operation.inputs)):
        return "masked"
    if word == "columns" and not any(part.kind == Kind.WINDOWS for part in operation.parts()):
        return "part" if operation.inputs[0].kind == Kind.MATMUL else "matrix"
    return word


def _spelled(statement: Statement) -> Glyph:
    """Return the word and the layer of a statement; outside of layers what its name looks like."""
    place = statement.place
    return split_name(statement.name) if place is None else Glyph(place.stem, str(place.layer))


def _name(word: str, beside: Glyph, taken: Collection[str], plain: Collection[str]) -> tuple[str, str]:
    """Return a name such as ``exponentials2`` for a part of the statement of ``x2``, and its stem.

    A second one is called ``exponentials_x2``; without a layer ``exponentials_2``, as its stem is.
    """
    own, layer = beside
    if layer is None:
        name = next(n for n in _numbered(word) if n not in taken)
        stem = name
    else:
        stems = (s for s in itertools.chain((word,), _numbered(f"{word}_{own}")) if s not in plain)
        stem, name = next((s, n) for s in stems if (n := f"{s}{layer}") not in taken)
    return name, stem


def _numbered(stem: str) -> Iterator[str]:
    """Yield a name, and others that count from 2."""
    yield stem
    yield from (f"{stem}_{count}" for count in itertools.count(2))
