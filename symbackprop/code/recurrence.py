"""Recurrences: a circle of equations as one loop over the places of its letter.

What reads nothing of the circle is computed for all places at once, before the loop; inside stand slices such
as ``h[:, place - 1]``.  Conditions on the place are decided place by place, so that nothing is read outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from sympy import (
    Add,
    Eq,
    Expr,
    Function,
    Indexed,
    KroneckerDelta,
    Mul,
    Not,
    Piecewise,
    Pow,
    S,
    Sum,
    Symbol,
    expand,
    sympify,
)
from sympy.core.relational import Relational

from symbackprop.arrays.expressions import Lowering
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import EVERYTHING, Operation, Signs, Slices, Statement, Turn
from symbackprop.code.fitting import Names, assignment
from symbackprop.code.statements import Assign, Block, Choose, Instruction, Turns, array
from symbackprop.code.text import PLACE
from symbackprop.equations.affine import not_negative
from symbackprop.equations.system import Equation, Quantity, Ranges, is_index, is_size, name_of
from symbackprop.errors import UnsupportedExpression

_MOST_CONDITIONS = 4
"""Conditions on the place in one equation: each doubles what is written."""
_RELATIONS = {
    ">": Kind.GREATER,
    ">=": Kind.GREATER_EQUAL,
    "<": Kind.LESS,
    "<=": Kind.LESS_EQUAL,
    "==": Kind.EQUAL,
    "!=": Kind.NOT_EQUAL,
}
_TURNED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}
_HERE = Operation(Kind.NAME, (), PLACE)
_HERE_SYMBOL = Symbol("_.place", integer=True, nonnegative=True)


@dataclass(frozen=True)
class Choice:
    """What is computed where a condition on the place holds, and where it does not."""

    condition: Operation
    value: Case
    other: Case


Case: TypeAlias = Operation | Choice | None
"""What is computed at a place; nothing where there is no such place."""
Assigned: TypeAlias = Callable[[Operation, Operation], list[Instruction]]
"""Gives the instructions after which a slice, the first operation, holds the second one."""


@dataclass(frozen=True)
class AtPlace:
    """The equation ``number`` at one place: the slice ``target`` of an array becomes what ``case`` says.

    ``empty`` makes the whole array.
    """

    name: str
    number: int
    target: Operation
    case: Case
    empty: Operation

    @property
    def operations(self) -> Iterator[Operation]:
        """All operations in it."""
        yield from (self.target, self.empty, *_operations(self.case))


def _operations(case: Case) -> Iterator[Operation]:
    if isinstance(case, Choice):
        yield from (case.condition, *_operations(case.value), *_operations(case.other))
    elif case is not None:
        yield case


@dataclass(frozen=True)
class Recurrence:
    """Equations that are carried out together, place by place: ``count`` places, upwards or downwards."""

    parts: tuple[AtPlace, ...]
    count: Operation
    ascending: bool

    @property
    def name(self) -> str:
        """The name of the first array."""
        return self.parts[0].name

    @property
    def number(self) -> int:
        """The number of the first equation."""
        return self.parts[0].number

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arrays."""
        return tuple(part.name for part in self.parts)

    @cached_property
    def operation(self) -> Operation:
        """All that it is made of, under one operation that nobody carries out."""
        inputs = (self.count, *(o for part in self.parts for o in part.operations))
        return Operation(Kind.TERMS, inputs, Signs((False,) * len(inputs)))

    @property
    def axes(self) -> dict[str, int]:
        """The axis of each array along which its places are taken."""
        found: dict[str, int] = {}
        for operation in self.operation.parts():
            if operation.kind == Kind.SUBSCRIPT and isinstance(operation.value, Slices):
                entries = operation.value.entries
                turns = [axis for axis, entry in enumerate(entries) if isinstance(entry, Turn)]
                if turns and operation.inputs[0].kind == Kind.ARRAY:
                    found[str(operation.inputs[0].value)] = turns[0]
        return found

    @property
    def ranks(self) -> dict[str, int]:
        """The number of axes of each array along which its places are taken."""
        return {
            str(o.inputs[0].value): len(o.value_as(Slices).entries)
            for o in self.operation.parts()
            if o.kind == Kind.SUBSCRIPT and o.inputs[0].kind == Kind.ARRAY
        }

    def renamed(self, code: Callable[[str], str], change: Callable[[Operation], Operation]) -> Recurrence:
        """Return it with other names of arrays."""

        def changed(case: Case) -> Case:
            if isinstance(case, Choice):
                return Choice(change(case.condition), changed(case.value), changed(case.other))
            return None if case is None else change(case)

        parts = [
            AtPlace(code(p.name), p.number, change(p.target), changed(p.case), change(p.empty))
            for p in self.parts
        ]
        return Recurrence(tuple(parts), self.count, self.ascending)

    def instructions(self, names: Names) -> tuple[Instruction, ...]:
        """Return what carries it out on new arrays, as expressions."""
        made = [Assign(array(part.name, part.empty), part.empty) for part in self.parts]
        return *made, self.turns(lambda target, operation: _assigned(target, operation, names))

    def turns(self, assigned: Assigned, here: Sequence[Assign] = ()) -> Turns:
        """Return the loop; ``assigned`` gives the instructions after which a slice holds an operation.

        Each of ``here``, which name slices at the place, stands before the first equation with that array.
        """
        pending, blocks = list(here), []
        for part in self.parts:
            own = {inner for o in part.operations for inner in o.parts()}
            views = [view for view in pending if view.value in own]
            pending = [view for view in pending if view not in views]
            inner = (*views, *_carried_out(part.target, part.case, assigned))
            blocks.append(Block(part.name, inner, part.number))
        return Turns(self.count, self.ascending, tuple(blocks))


def _carried_out(target: Operation, case: Case, assigned: Assigned) -> list[Instruction]:
    if isinstance(case, Choice):
        value, other = (tuple(_carried_out(target, each, assigned)) for each in (case.value, case.other))
        return [Choose(case.condition, value, other)]
    return [] if case is None else assigned(target, case)


def _assigned(target: Operation, case: Operation, names: Names) -> list[Instruction]:
    """Return what assigns an operation to a slice."""
    before = dict(names.of)
    repeated = case.inputs[0] if case.kind == Kind.FULL else case  # a slice repeats what it is given
    found = assignment(target, repeated, names)
    names.of = before  # what has a name at one place has another value at the next
    return found


# ---------------------------------------------------------------- from equations


@dataclass
class Places:
    """Makes a recurrence of equations of a circle, which hold the samples' axis if there is one.

    ``axes`` holds the axis of each quantity along which the places are; ``taken`` the names that others have.
    """

    axes: Mapping[str, int]
    scalars: Mapping[Symbol, str]
    taken: set[str]

    def __post_init__(self) -> None:
        self.before: list[Statement] = []
        self._known: dict[tuple[Expr, tuple[Symbol, ...]], Expr] = {}

    def recurrence(
        self, equations: Sequence[tuple[Equation, int]], extent: Expr, ascending: bool
    ) -> list[Statement | Recurrence]:
        """Return what is computed before the loop, and the loop."""
        parts = tuple(self._part(equation, number, extent) for equation, number in equations)
        lowering = Lowering(equations[0][0], self.scalars)
        return [*self.before, Recurrence(parts, lowering.dimension(extent), ascending)]

    def _part(self, equation: Equation, number: int, extent: Expr) -> AtPlace:
        axis = self.axes[equation.name]
        letter = equation.indices[axis]
        place = _Place(letter, self.scalars, equation, number)
        apart = self._apart(equation.rhs, dict(equation.ranges), letter, number, equation.name)
        lowering = Lowering(equation, self.scalars)
        empty = Operation(
            Kind.ZEROS,
            tuple(lowering.dimension(n) for n in equation.lhs.base.shape),
            None,
            tuple(equation.indices),
            tuple(equation.lhs.base.shape),
        )
        case = place.case(apart, place.range)
        own = equation.ranges[letter]
        if own != extent:  # it has the first places alone
            case = Choice(Operation(Kind.LESS, (_HERE, lowering.dimension(own))), case, None)
        return AtPlace(equation.name, number, place.target, case, empty)

    # ------------------------------------------------------------ what is outside

    def _reads(self, expression: Expr) -> bool:
        return any(name_of(read) in self.axes for read in expression.atoms(Indexed))

    def _apart(self, node: Expr, ranges: Ranges, letter: Symbol, number: int, name: str) -> Expr:
        """Return an expression with the largest parts that read nothing of the circle read from arrays."""
        if not self._reads(node):
            return self._array(node, ranges, letter, number, name)
        if isinstance(node, Sum):
            inner = {**ranges, **{i: high + 1 for i, _, high in node.limits}}
            return node.func(self._apart(node.function, inner, letter, number, name), *node.limits)
        if isinstance(node, (Add, Mul)):
            groups: dict[frozenset[Symbol], list[Expr]] = {}
            for argument in node.args:
                if not self._reads(argument):
                    # What has other indices would make a larger array of the product.
                    key = frozenset(_indices(argument)) if isinstance(node, Mul) else frozenset[Symbol]()
                    groups.setdefault(key, []).append(argument)
            kept = [self._apart(a, ranges, letter, number, name) for a in node.args if self._reads(a)]
            new = [self._array(node.func(*g), ranges, letter, number, name) for g in groups.values()]
            return node.func(*new, *kept)
        if isinstance(node, Piecewise):
            branches = [(self._apart(v, ranges, letter, number, name), c) for v, c in node.args]
            return Piecewise(*branches, evaluate=False)
        if isinstance(node, (Function, Pow)) and not isinstance(node, (Piecewise, KroneckerDelta)):
            return node.func(*[self._apart(a, ranges, letter, number, name) for a in node.args])
        return node

    def _array(self, node: Expr, ranges: Ranges, letter: Symbol, number: int, name: str) -> Expr:
        """Return the read of an array that holds an expression for all places, where that is worth one."""
        factors = [f for f in Mul.make_args(node) if not f.is_number]
        plain = len(factors) <= 1 and all(isinstance(f, (Indexed, Symbol)) for f in factors)
        moved = any(i.has(letter) and i != letter for read in node.atoms(Indexed) for i in read.indices)
        if plain or moved or letter not in node.free_symbols or node.has(KroneckerDelta):
            return node  # what is read at other places may be outside where no condition keeps it inside
        node = _common_outside(node)
        indices = tuple(i for i in ranges if i in node.free_symbols)
        key = node, indices
        if key not in self._known:
            own, count = f"{name}_apart", 1
            while own in self.taken:
                count += 1
                own = f"{name}_apart{count}"
            self.taken.add(own)
            component = Quantity(own, tuple(ranges[i] for i in indices)).at(indices)
            self._known[key] = component
            self.before.append(
                Statement(own, Lowering(Equation(component, node), self.scalars).run(), number)
            )
        return self._known[key]


def _common_outside(node: Expr) -> Expr:
    """Return a sum with the factors that all of its terms have in front."""
    if not isinstance(node, Add):
        return node
    first, *others = (Mul.make_args(term) for term in node.args)
    common = [f for f in first if not f.is_number and all(f in other for other in others)]
    if not common:
        return node
    rest = [Mul(*[f for f in Mul.make_args(term) if f not in common]) for term in node.args]
    return Mul(*common, Add(*rest))


def _indices(expression: Expr) -> set[Symbol]:
    return {s for s in expression.free_symbols if is_index(s)}


def _decided(expression: Expr, node: Expr, holds: bool) -> Expr:
    """Return an expression where a condition in it, or a delta, holds or does not."""
    value = sympify(holds) if isinstance(node, Relational) else sympify(int(holds))
    found = expression.xreplace({node: value})
    return found.replace(lambda part: isinstance(part, Sum) and part.function == 0, lambda part: S.Zero)


def _rooms(relation: Relational, known: Sequence[Expr]) -> tuple[list[Expr], list[Expr]]:
    """Return what is not negative where a relation of integers holds, and what where it does not."""
    if relation.rel_op not in ("==", "!="):
        return not_negative(relation), not_negative(Not(relation))
    difference = expand(relation.lhs - relation.rhs)
    equal = [difference, -difference]
    apart = [-1 - room for room in equal if _follows([-room], known)]
    return (equal, apart) if relation.rel_op == "==" else (apart, equal)


def _follows(rooms: Sequence[Expr], known: Sequence[Expr]) -> bool:
    """Whether all of these are not negative because another one is not."""
    return bool(rooms) and all(any(expand(r - k).is_nonnegative for k in known) for r in rooms)


class _Place:
    """Turns one equation into what is computed at one place."""

    def __init__(
        self, letter: Symbol, scalars: Mapping[Symbol, str], equation: Equation, number: int
    ) -> None:
        self.letter = letter
        self.scalars = scalars
        self.number = number
        self.equation = equation
        self.arrays: dict[str, Operation] = {}
        self.lhs = self._at(equation.lhs)
        self.target = self._restored(Lowering(Equation(self.lhs, self.lhs), scalars).run())

    def _fail(self, expression: Expr) -> UnsupportedExpression:
        what = f"{expression} at one place of {self.letter}"
        return UnsupportedExpression(f"equation ({self.number}): there is no code yet for {what}")

    @property
    def range(self) -> tuple[Expr, ...]:
        """What is not negative at any place."""
        return self.letter, self.equation.ranges[self.letter] - 1 - self.letter

    def case(self, expression: Expr, known: tuple[Expr, ...], depth: int = 0) -> Case:
        """Return the operation at one place, or several with the conditions under which each is right.

        ``known`` are expressions that are not negative there, which decide some of the conditions.
        """
        node = self._condition(expression)
        if node is None:
            return self._operation(expression)
        relation = node if isinstance(node, Relational) else Eq(*node.args[:2], evaluate=False)
        where, elsewhere = _rooms(relation, known)
        if _follows(where, known):
            return self.case(_decided(expression, node, True), known, depth)
        if any(_follows([-1 - room], known) for room in where):
            return self.case(_decided(expression, node, False), known, depth)
        if depth == _MOST_CONDITIONS:
            raise self._fail(expression)
        return Choice(
            self._compared(relation),
            self.case(_decided(expression, node, True), (*known, *where), depth + 1),
            self.case(_decided(expression, node, False), (*known, *elsewhere), depth + 1),
        )

    def _condition(self, expression: Expr) -> Expr | None:
        """Return the first condition on the place alone."""
        for node in sorted(expression.atoms(Relational, KroneckerDelta), key=str):
            others = node.free_symbols - {self.letter}
            if self.letter in node.free_symbols and all(map(is_size, others)):
                return node
        return None

    def _compared(self, relation: Relational) -> Operation:
        """Return a condition as the place, a sign and a number."""
        difference = expand(relation.lhs - relation.rhs)
        slope = difference.coeff(self.letter)
        bound = expand(-(difference - slope * self.letter) * slope)
        if abs(slope) != 1 or self.letter in bound.free_symbols:
            raise self._fail(relation)
        sign = relation.rel_op if slope == 1 else _TURNED[relation.rel_op]
        if sign == "<=" and not bound.is_number and bound.as_coeff_Add()[0] < 0:
            sign, bound = "<", bound + 1  # t < T - 1 for t <= T - 2
        edge = Lowering(self.equation, self.scalars).dimension(bound)
        return Operation(_RELATIONS[sign], (_HERE, edge))

    def _operation(self, expression: Expr) -> Operation:
        at = self._at(expression).xreplace({self.letter: _HERE_SYMBOL})
        scalars = {**self.scalars, _HERE_SYMBOL: PLACE}
        return self._restored(Lowering(Equation(self.lhs, at), scalars).run())

    def _at(self, node: Expr) -> Expr:
        """Return an expression with reads at the place, or so far from it, as those of arrays without it."""
        if not isinstance(node, Indexed):
            if not node.args or self.letter not in node.free_symbols:
                return node
            return node.func(*map(self._at, node.args))
        axes = [n for n, i in enumerate(node.indices) if i.has(self.letter) and not i.has(Indexed)]
        if not axes:
            return node.base[tuple(map(self._at, node.indices))]
        offset = node.indices[axes[0]] - self.letter
        if len(axes) > 1 or not offset.is_Integer:
            raise self._fail(node)
        return self._slice(node, axes[0], int(offset))

    def _slice(self, node: Indexed, axis: int, offset: int) -> Expr:
        shape = node.base.shape
        name = f"{name_of(node)}@{axis}@{offset}"
        whole = bool(node.base.label.is_integer)
        entries = (*[EVERYTHING] * axis, Turn(offset), *[EVERYTHING] * (len(shape) - axis - 1))
        original = Operation(Kind.ARRAY, (), name_of(node), (), tuple(shape), whole)
        self.arrays[name] = Operation(Kind.SUBSCRIPT, (original,), Slices(entries))
        quantity = Quantity(name, (*shape[:axis], *shape[axis + 1 :]), whole)
        return quantity.at([self._at(i) for n, i in enumerate(node.indices) if n != axis])

    def _restored(self, operation: Operation) -> Operation:
        """Return an operation with slices in place of the arrays that stand for them."""
        if operation.kind == Kind.ARRAY and operation.name in self.arrays:
            return self._along(self.arrays[operation.name], operation)
        inputs = tuple(map(self._restored, operation.inputs))
        return replace(operation, inputs=inputs) if inputs != operation.inputs else operation

    def _along(self, taken: Operation, like: Operation) -> Operation:
        """Return a slice with the axes of the array that stood for it."""
        (original,) = taken.inputs
        axis = next(n for n, entry in enumerate(taken.value_as(Slices).entries) if isinstance(entry, Turn))
        axes = (*like.axes[:axis], self.letter, *like.axes[axis:])
        return replace(taken, inputs=(replace(original, axes=axes),), axes=like.axes, shape=like.shape)
