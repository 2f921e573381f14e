"""Proof of a derivation, step by step, against plain scalar calculus.

Nothing here is shared with what makes the derivation: of its modules only the data classes are used.
A step is made concrete instead.  Sizes become small unequal numbers, every component of every quantity
becomes a scalar of its own, the equations that read the quantity are differentiated as scalar functions,
and the step is compared with that, for every assignment of its free indices.  Three things keep the
proof honest and cheap:

- **Free cotangents.**  Where the derivative of the loss with respect to a quantity has a name, it is a
  free random number per component.  A plain sum as the loss would not do: the sum of a softmax is
  constant, and zero would be compared with zero.
- **Only the equations that matter.**  A step is about the quantities that read its target; what those
  read is free.  So the cost of a layer does not depend on the depth, and steps that are equal up to the
  names in them are proved once.
- **Both sides of a kink.**  Where the step or its equations hold a ``Piecewise`` (or ``Max``, ``Abs``,
  …), further random points lie close to where the branches meet, and far from there.

Sizes that leave a guard on indices true (or false) for all of them are enlarged where that helps.

The stages of one proof: a ``_Statement`` (what the step claims), a ``_Scope`` (which equations decide
it), a ``_Grid`` (all this as scalar expressions), a ``_Point`` (numbers for the scalars) and a
``_Comparison`` (both sides of the step at the points).
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import combinations, islice, product
from math import prod
from typing import Any, Literal, NamedTuple

from mpmath import MPContext
from sympy import (
    Abs,
    Add,
    And,
    Derivative,
    DiracDelta,
    Dummy,
    Expr,
    Function,
    Heaviside,
    Indexed,
    Integer,
    KroneckerDelta,
    Max,
    Min,
    Mul,
    Not,
    Number,
    NumberSymbol,
    Or,
    Piecewise,
    Pow,
    Sum,
    Symbol,
    exp,
    expand,
    fraction,
    sign,
    together,
)
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean, false, true

from symbackprop.derivation import Derivation, Step
from symbackprop.equations import Equation, EquationSystem, Fact, Quantity

Place = tuple[int, ...]
"""The indices of one component, as numbers."""
Environment = dict[Symbol, int]
"""Index symbol -> its value."""
LeafKind = Literal["value", "adjoint"]
StatementKind = Literal["total", "local", "definition"]

_CONTEXT = MPContext()
_CONTEXT.dps = 80  # 40 digits count, the others absorb cancellation
_TOLERANCE = _CONTEXT.mpf(10) ** -30
_SIZES = (2, 3, 4, 5)  # unequal, so that an axis taken for another one is noticed
_LARGEST_INCREASE = 4
_SAMPLES = 2
_WIDE_POINTS, _WIDE_POINTS_IF_NESTED = 24, 96
_LARGEST_VALUE = 30  # beyond it 1 - sigmoid(s) and its like lose too many digits
_EXACT_LIMIT = 100  # operations up to which a difference is also simplified exactly
_EXACT, _NUMERICAL = "exact", "40 digits"


@dataclass(frozen=True)
class Verdict:
    """Whether a step holds.

    ``method`` is "exact" where the difference also vanishes by algebra, else "40 digits";
    ``components`` counts the assignments of indices that were compared, ``assumes`` lists the facts
    about the data that the step needs, and ``counterexample`` shows where a failing step is wrong.
    """

    step: Step
    holds: bool
    method: str
    components: int
    assumes: tuple[str, ...] = ()
    counterexample: str | None = None


def prove(derivation: Derivation, *, seed: int = 0) -> list[Verdict]:
    """Return a verdict on every step: those of the derivation, the stable forms, those for a batch."""
    prover = Prover(derivation, seed=seed)
    return [prover.prove_step(s) for s in (*derivation.steps, *derivation.stable, *derivation.batch)]


def prove_step(derivation: Derivation, step: Step, *, seed: int = 0) -> Verdict:
    """Return the verdict on one step, which need not be one of the derivation's own."""
    return Prover(derivation, seed=seed).prove_step(step)


class Prover:
    """Proves steps about the equations of one derivation, and keeps what several steps share.

    The verdicts depend on the derivation, the step and the seed alone, not on what was proved before.
    """

    def __init__(self, derivation: Derivation, *, seed: int = 0) -> None:
        self._structure = _Structure(derivation)
        self._seed = seed
        self._grids: dict[object, _Grid] = {}
        self._points: dict[object, _Point | None] = {}
        self._proved: dict[str, _Outcome] = {}

    def prove_step(self, step: Step) -> Verdict:
        """Return the verdict on ``step``; whatever is wrong with it is a counterexample, no exception."""
        try:
            return self._verdict(_Statement.of(step, self._structure))
        except _Unproved as error:
            reason = str(error)
        except Exception as error:  # a broken step may break anything; the verdict says so
            reason = f"the step cannot be evaluated: {type(error).__name__}: {error}"
        return Verdict(step, False, _NUMERICAL, 0, (), reason)

    def _verdict(self, statement: _Statement) -> Verdict:
        """Try the step as it stands first, then under more and more of what it may use."""
        step, settings = statement.step, list(_settings(statement, self._structure))
        for setting in settings:
            outcome = self._remembered(statement, setting)
            if outcome.counterexample is None:
                assumes = tuple(_fact_text(self._structure.system.facts[n]) for n in setting.facts)
                return Verdict(step, True, outcome.method, outcome.components, assumes)
        if outcome.step is not step:  # of a step with other names
            outcome = self._outcome(statement, settings[-1])
        return Verdict(step, False, outcome.method, outcome.components, (), outcome.counterexample)

    def _remembered(self, statement: _Statement, setting: _Setting) -> _Outcome:
        """Return the outcome, once for all steps that are equal up to the names in them."""
        spelling = _spell(statement, _Scope.of(statement, setting, self._structure), self._structure)
        if spelling.text not in self._proved:
            self._proved[spelling.text] = self._outcome(statement, setting)
        return self._proved[spelling.text]

    def _outcome(self, statement: _Statement, setting: _Setting) -> _Outcome:
        """Compare both sides of ``statement`` with several sizes, at random points, then by algebra."""
        scope = _Scope.of(statement, setting, self._structure)
        spelling = _spell(statement, scope, self._structure)
        outcomes = []
        for sizes in _assignments_of_sizes(spelling, statement.sample_size):
            comparison = _Comparison(statement)
            outcomes.append(self._outcome_with(comparison, scope, sizes))
            larger = _larger_sizes(comparison.one_sided_guards(), spelling, sizes)
            if outcomes[-1].counterexample is None and larger != sizes:
                outcomes.append(self._outcome_with(_Comparison(statement), scope, larger))
            if outcomes[-1].counterexample is not None:
                return outcomes[-1]
        return outcomes[0]

    def _outcome_with(self, comparison: _Comparison, scope: _Scope, sizes: Environment) -> _Outcome:
        statement = comparison.statement
        places, point = 0, None
        for point in self._points_for(comparison, scope, sizes):
            places, counterexample = comparison.at(point)
            if counterexample is not None:
                return _Outcome(statement.step, places, _NUMERICAL, counterexample)
        if point is None:
            reason = "no random point lies in the domain of the equations"
            return _Outcome(statement.step, 0, _NUMERICAL, reason)
        exact = _holds_exactly(statement, scope, point.grid)
        return _Outcome(statement.step, places, _EXACT if exact else _NUMERICAL, None)

    def _points_for(self, comparison: _Comparison, scope: _Scope, sizes: Environment) -> Iterator[_Point]:
        """Yield three points; with kinks more of them, close to these and far away."""
        samples = comparison.statement.samples(sizes)
        for spreads in _THREE_SPREADS:
            found = (self._point(scope, sizes, samples, spread) for spread in spreads)
            point = next((point for point in found if point is not None), None)
            if point is not None:
                yield point
        if not comparison.kinks:
            return
        wide = (self._point(scope, sizes, samples, spread) for spread in _WIDE_SPREADS)
        close = (self._point(scope, sizes, samples, each) for each in _spreads_close_to(comparison.kinks))
        yield from (point for point in close if point is not None)
        count = _WIDE_POINTS_IF_NESTED if _has_nested_kinks(comparison.statement) else _WIDE_POINTS
        yield from islice((point for point in wide if point is not None), count)

    def _point(self, scope: _Scope, sizes: Environment, samples: int, spread: _Spread) -> _Point | None:
        """Return a point in ``spread``, or None where the equations have no real value there."""
        # tables of integers are part of the scalar expressions: other ones for each point
        table = spread if self._structure.tables else None
        grid_key = (tuple(sorted((s.name, n) for s, n in sizes.items())), samples, table)
        if grid_key not in self._grids:
            self._grids[grid_key] = _Grid(self._structure, sizes, samples, (self._seed, table))
        key = (grid_key, scope, spread)
        if key not in self._points:
            point = _Point(self._grids[grid_key], scope, _Draw(self._seed, spread))
            self._points[key] = point if point.prepare() else None
        return self._points[key]


@dataclass(frozen=True)
class _Outcome:
    """What came of the comparison for ``step``: no counterexample means that it holds."""

    step: Step
    components: int
    method: str
    counterexample: str | None


class _Unproved(Exception):
    """The step says something that cannot be true or cannot be read; the message is for people."""


class _OutsideDomain(Exception):
    """An expression has no real value at the point."""


# ---------------------------------------------------------------------------------------------------
# What the equations say about each other


class _Structure:
    """Who reads whom in the equations of a derivation."""

    def __init__(self, derivation: Derivation) -> None:
        self.system: EquationSystem = derivation.system
        self.quantities: Mapping[str, Quantity] = derivation.system.quantities
        self.adjoints: Mapping[str, str] = derivation.adjoints
        self.named = frozenset(derivation.adjoints.values())
        self.batch_numbers = frozenset(step.number for step in derivation.batch)
        self.definitions: dict[str, Equation] = {e.name: e for e in self.system.equations}
        self.position = {name: n for n, name in enumerate(self.definitions)}
        self.terms: dict[tuple[str, str], list[Expr]] = {}
        self.readers: dict[str, list[str]] = {}
        for name in self._leading_to_loss():
            self._enter(name)

    @property
    def loss(self) -> str:
        """The name of the loss."""
        return self.system.loss

    @cached_property
    def tables(self) -> dict[str, Expr]:
        """Integer quantity -> the size of the axis that it indexes (2 where it indexes none)."""
        found: dict[str, Expr] = {n: Integer(2) for n, q in self.quantities.items() if q.integer}
        for equation in self.system.equations if found else ():
            for read in sorted(equation.rhs.atoms(Indexed), key=str):
                for index, extent in zip(read.indices, read.base.shape or (), strict=False):
                    for inner in index.atoms(Indexed):
                        found[str(inner.base.name)] = extent
        return found

    @cached_property
    def without_sample(self) -> frozenset[str]:
        """The quantities that are the same for all samples: what is no input, and what reads only that."""
        found = set(self.system.quantities) - set(self.definitions) - set(self.system.inputs)
        for name, equation in self.definitions.items():
            read = self.names_read(equation.rhs)
            if read and found.issuperset(read):
                found.add(name)
        return frozenset(found)

    def names_read(self, expression: Expr) -> list[str]:
        """Return the names of the quantities that ``expression`` reads, in order of appearance."""
        return list(dict.fromkeys(self._reads(expression)))

    def _reads(self, node: Expr) -> Iterator[str]:
        if isinstance(node, Indexed):
            yield str(node.base.name)
            for index in node.indices:
                yield from self._reads(index)
        elif isinstance(node, Symbol):
            if self.is_scalar(node):
                yield str(node.name)
        else:
            for argument in node.args:
                yield from self._reads(argument)

    def is_scalar(self, symbol: Symbol) -> bool:
        """Whether ``symbol`` is a quantity without axes, and no index, size or constant of that name."""
        found = self.quantities.get(symbol.name)
        return found is not None and not found.shape and not _is_size(symbol)

    def _leading_to_loss(self) -> list[str]:
        """Return the definitions that the loss depends on, in their order."""
        reached = {self.loss}
        for name in reversed(self.definitions):
            if name in reached:
                reached.update(self.names_read(self.definitions[name].rhs))
        return [name for name in self.definitions if name in reached]

    def _enter(self, consumer: str) -> None:
        """Note which terms of a definition read which quantity: only those matter to a derivative."""
        for term in Add.make_args(self.definitions[consumer].rhs):
            for name in self.names_read(term):
                terms = self.terms.setdefault((consumer, name), [])
                if not terms:
                    self.readers.setdefault(name, []).append(consumer)
                terms.append(term)

    def adjoint_of(self, component: Expr) -> str | None:
        """Return the quantity whose adjoint ``component`` is, if it is one."""
        name = component.base.name if isinstance(component, Indexed) else component.name
        return self.adjoints.get(str(name))


def _is_size(symbol: Symbol) -> bool:
    return bool(symbol.is_integer and symbol.is_positive)


def _parts(component: Expr) -> tuple[str, tuple[Expr, ...]]:
    """Return the name and the indices of a component."""
    if isinstance(component, Indexed):
        return str(component.base.name), tuple(component.indices)
    if isinstance(component, Symbol):
        return str(component.name), ()
    raise _Unproved(f"{component} is no component of a quantity")


def _fact_text(fact: Fact) -> str:
    return f"Σ_{fact.index} {fact.component} = {fact.value}"


# ---------------------------------------------------------------------------------------------------
# What a step claims


@dataclass(frozen=True)
class _Statement:
    """A step, read: a claim about ``target``, for all values of the indices in ``ranges``.

    A "total" claim is about the derivative of the loss with respect to ``target``, a "local" one about
    that of ``output``, a "definition" claims that ``output`` has another form.
    """

    step: Step
    kind: StatementKind
    output: Expr | None
    target: Expr | None
    ranges: tuple[tuple[Symbol, Expr], ...]
    is_batch: bool
    sample_size: Expr | None

    @staticmethod
    def of(step: Step, structure: _Structure) -> _Statement:
        """Read ``step``."""
        kind, output, target = _read_left(step.lhs, structure)
        ranges: dict[Symbol, Expr] = {}
        for component in (output, target):
            if component is not None:
                ranges.update(_ranges_of(component, structure))
        lifted = list(_lifted_reads(step.rhs, structure))
        is_batch = step.number in structure.batch_numbers or bool(lifted)
        sample_size = _sample_size(step.rhs, lifted) if lifted else None
        return _Statement(step, kind, output, target, tuple(ranges.items()), is_batch, sample_size)

    def samples(self, sizes: Environment) -> int:
        """Return the number of samples that the step is proved with; 1 where it is about one."""
        if not self.is_batch:
            return 1
        return _whole(self.sample_size, sizes) if self.sample_size is not None else _SAMPLES

    def environments(self, sizes: Environment) -> Iterator[Environment]:
        """Yield every assignment of the free indices."""
        symbols = [symbol for symbol, _ in self.ranges]
        for place in product(*(range(_whole(extent, sizes)) for _, extent in self.ranges)):
            yield dict(zip(symbols, place, strict=True))


def _read_left(lhs: Expr, structure: _Structure) -> tuple[StatementKind, Expr | None, Expr | None]:
    """Return the kind of claim, the component that is differentiated or defined, and with respect to what."""
    if isinstance(lhs, Derivative):
        output, target = _differentiated(lhs)
        if _is_loss(output, structure):
            return "total", None, target
        return "local", output, target
    name, indices = _parts(lhs)
    quantity = structure.adjoints.get(name)
    if quantity is not None:
        return "total", None, structure.quantities[quantity].at(indices)
    if name in structure.definitions:
        return "definition", lhs, None
    raise _Unproved(f"{lhs} is neither an adjoint nor defined by an equation")


def _differentiated(derivative: Derivative) -> tuple[Expr, Expr]:
    """Return what is differentiated and the component with respect to which."""
    if len(derivative.variable_count) != 1 or derivative.variable_count[0][1] != 1:
        raise _Unproved(f"{derivative} is no first derivative")
    return derivative.expr, derivative.variable_count[0][0]


def _is_loss(expression: Expr, structure: _Structure) -> bool:
    return isinstance(expression, Symbol) and expression.name == structure.loss


def _ranges_of(expression: Expr, structure: _Structure) -> Iterator[tuple[Symbol, Expr]]:
    """Yield the free indices of ``expression`` with the axes that they read."""
    if isinstance(expression, (Indexed, Symbol)):
        yield from _ranges_of_component(expression, structure)
        return
    free = expression.free_symbols
    for read in sorted(expression.atoms(Indexed), key=str):
        for index, extent in _ranges_of_component(read, structure):
            if index in free:
                yield index, extent


def _ranges_of_component(component: Expr, structure: _Structure) -> Iterator[tuple[Symbol, Expr]]:
    name, indices = _parts(component)
    quantity = structure.quantities.get(name)
    if quantity is None:
        raise _Unproved(f"{name} is not a quantity of the network")
    if len(quantity.shape) != len(indices):
        raise _Unproved(f"{component} has {len(indices)} indices, but {name} has {len(quantity.shape)} axes")
    for index, extent in zip(indices, quantity.shape, strict=True):
        if isinstance(index, Symbol):
            yield index, extent


def _lifted_reads(expression: Expr, structure: _Structure) -> Iterator[Indexed]:
    """Yield the reads with one index more than their quantity has axes: the first is the sample."""
    for read in sorted(expression.atoms(Indexed), key=str):
        name = structure.adjoint_of(read) or str(read.base.name)
        quantity = structure.quantities.get(name)
        if quantity is not None and len(read.indices) == len(quantity.shape) + 1:
            yield read


def _sample_size(expression: Expr, lifted: Iterable[Indexed]) -> Expr:
    """Return the number of samples: the range of the sum over the samples' index."""
    indices = {read.indices[0] for read in lifted}
    for total in sorted(expression.atoms(Sum), key=str):
        for limit in total.limits:
            if limit[0] in indices:
                return limit[2] + 1
    raise _Unproved("no sum runs over the samples")


# ---------------------------------------------------------------------------------------------------
# Under which assumptions it is tried, and which equations decide it


@dataclass(frozen=True)
class _Setting:
    """What a step may use: facts (by number), the definition of its own target, and, with ``opened``,
    the definitions of the adjoints that it does not mention, in place of free cotangents."""

    facts: tuple[int, ...] = ()
    own: bool = False
    opened: bool = False


def _settings(statement: _Statement, structure: _Structure) -> Iterator[_Setting]:
    """Yield settings from the strictest to the most lenient; each is true of the network."""
    opened = statement.is_batch or statement.step.rule == "substitution"
    read = _Scope.of(statement, _Setting((), False, opened), structure).names_read(statement, structure)
    own = statement.kind == "definition" or _own_definition_matters(statement, read, structure)
    facts = [n for n, fact in enumerate(structure.system.facts) if str(fact.component.base.name) in read]
    for count in range(len(facts) + 1):
        for chosen in combinations(facts, count):
            for with_opened in (False, True)[: 1 + opened]:
                for with_own in (False, True)[: 1 + own]:
                    yield _Setting(chosen, with_own, with_opened)


def _own_definition_matters(statement: _Statement, read: set[str], structure: _Structure) -> bool:
    """Whether the target's definition ties it to what else is read: Σ (x - mean) is 0."""
    target = _target_name(statement)
    if target not in structure.definitions:
        return False
    return not read.isdisjoint(structure.names_read(structure.definitions[target].rhs))


def _target_name(statement: _Statement) -> str | None:
    """Return the quantity whose total derivative a step is about."""
    if statement.kind != "total" or statement.target is None:
        return None
    return _parts(statement.target)[0]


@dataclass(frozen=True)
class _Scope:
    """The part of the network that decides a statement.

    ``pairs`` are the derivatives that count, as (consumer, quantity that it reads); ``computed`` the
    quantities that have the values of their definitions, in order, while all others are free;
    ``inner`` the quantities whose adjoint is worked out instead of free, from the loss inwards.
    """

    pairs: tuple[tuple[str, str], ...]
    computed: tuple[str, ...]
    inner: tuple[str, ...]
    facts: tuple[int, ...]

    @staticmethod
    def of(statement: _Statement, setting: _Setting, structure: _Structure) -> _Scope:
        """Return the scope of ``statement`` under ``setting``."""
        if statement.kind == "definition":
            return _scope_of_definition(statement, setting, structure)
        return _ScopeBuilder(statement, setting, structure).build()

    def is_free(self, name: str, structure: _Structure) -> bool:
        """Whether the adjoint of ``name`` is a free cotangent."""
        return name in structure.named and name not in self.inner

    def names_read(self, statement: _Statement, structure: _Structure) -> set[str]:
        """Return the names of all quantities that the step or its equations read."""
        expressions = [structure.definitions[name].rhs for name in self.computed]
        for pair in self.pairs:
            expressions.extend(structure.terms.get(pair, ()))
        expressions.append(statement.step.rhs)
        return {name for expression in expressions for name in structure.names_read(expression)}


class _ScopeBuilder:
    """Follows the readers of a target outwards until their adjoints are free cotangents."""

    def __init__(self, statement: _Statement, setting: _Setting, structure: _Structure) -> None:
        self.statement = statement
        self.setting = setting
        self.structure = structure
        self.pairs: dict[tuple[str, str], None] = {}
        self.computed: set[str] = set()
        self.inner: set[str] = set()
        self.followed: set[str] = set()
        self.mentioned = set(structure.named)
        if setting.opened:
            self.mentioned &= _adjoints_mentioned(statement.step.rhs, structure)

    def build(self) -> _Scope:
        """Return the scope."""
        target = _target_name(self.statement)
        step = self.statement.step
        if isinstance(step.lhs, Derivative):
            self._add_derivative(step.lhs)
        for derivative in sorted(step.rhs.atoms(Derivative), key=str):
            self._add_derivative(derivative)
        pending = [*self.inner, *([target] if target is not None else ())]
        while pending:
            pending.extend(self._follow(pending.pop()))
        if self.setting.own and target in self.structure.definitions:
            self.computed.add(target)
        position = self.structure.position
        return _Scope(
            pairs=tuple(self.pairs),
            computed=tuple(sorted(self._needed(), key=position.__getitem__)),
            inner=tuple(sorted(self.inner, key=lambda name: -position.get(name, -1))),
            facts=self.setting.facts,
        )

    def _needed(self) -> set[str]:
        """Return those of the computed quantities whose values are read, by the step or by a derivative."""
        structure = self.structure
        pending = structure.names_read(self.statement.step.rhs)
        for pair in self.pairs:
            for term in structure.terms.get(pair, ()):
                pending.extend(structure.names_read(term))
        found: set[str] = set()
        while pending:
            name = pending.pop()
            if name in self.computed and name not in found:
                found.add(name)
                pending.extend(structure.names_read(structure.definitions[name].rhs))
        return found

    def _add_pair(self, consumer: str, name: str) -> None:
        self.pairs[consumer, name] = None
        if consumer != self.structure.loss:  # nothing reads the value of the loss
            self.computed.add(consumer)

    def _add_derivative(self, derivative: Derivative) -> None:
        """Add what a derivative on the right-hand side depends on."""
        output, target = _differentiated(derivative)
        name = _parts(target)[0]
        if not isinstance(output, (Indexed, Symbol)):
            return
        consumer = _parts(output)[0]
        if consumer == self.structure.loss:
            if name not in self.mentioned and derivative != self.statement.step.lhs:
                self.inner.add(name)
        elif consumer in self.structure.definitions and consumer != name:
            self._add_pair(consumer, name)

    def _follow(self, name: str) -> Iterator[str]:
        """Go from one quantity to its readers; yield those whose adjoint is not free."""
        if name in self.followed:
            return
        self.followed.add(name)
        for consumer in self.structure.readers.get(name, ()):
            self._add_pair(consumer, name)
            if consumer != self.structure.loss and consumer not in self.mentioned:
                self.inner.add(consumer)
                yield consumer


def _adjoints_mentioned(expression: Expr, structure: _Structure) -> set[str]:
    """Return the quantities whose adjoints stand in ``expression``, named or as a derivative."""
    components = expression.atoms(Indexed) | expression.atoms(Symbol)
    found = {structure.adjoint_of(component) for component in components}
    for derivative in expression.atoms(Derivative):
        output, target = _differentiated(derivative)
        if _is_loss(output, structure):
            found.add(_parts(target)[0])
    return {name for name in found if name is not None}


def _scope_of_definition(statement: _Statement, setting: _Setting, structure: _Structure) -> _Scope:
    """Return the scope of another form of a definition.

    What the form reads is free, unless ``setting.own`` asks for the values of all definitions.
    """
    assert statement.output is not None
    stop = set() if setting.own else set(structure.names_read(statement.step.rhs))
    computed = set()
    pending = [_parts(statement.output)[0]]
    if setting.own:
        pending.extend(structure.names_read(statement.step.rhs))
    while pending:
        name = pending.pop()
        if name in structure.definitions and name not in computed:
            computed.add(name)
            read = structure.names_read(structure.definitions[name].rhs)
            pending.extend(each for each in read if each not in stop)
    ordered = tuple(sorted(computed, key=structure.position.__getitem__))
    return _Scope((), ordered, (), setting.facts)


# ---------------------------------------------------------------------------------------------------
# Steps that are equal up to names, and numbers for sizes


@dataclass
class _Spelling:
    """A statement with its equations, names replaced by the order in which they appear.

    Equal texts mean equal mathematics.  For choosing numbers: ``sizes`` are the size symbols, ``extents``
    the ranges that occur, ``ranges`` those that each index runs over.
    """

    text: str
    sizes: list[Symbol]
    extents: list[Expr]
    ranges: dict[Symbol, set[Expr]]


def _spell(statement: _Statement, scope: _Scope, structure: _Structure) -> _Spelling:
    """Spell all that decides ``statement``; the equations first, so that the sizes are theirs."""
    speller = _Speller(structure)
    step = statement.step
    speller.parts.append(f"{statement.kind} {statement.is_batch} ")
    speller.spell(step.lhs)
    for consumer, name in scope.pairs:
        speller.parts.append(f"; {speller.code(consumer)} reads {speller.code(name)}: ")
        speller.spell(structure.definitions[consumer].lhs)
        for term in structure.terms.get((consumer, name), ()):
            speller.spell(term)
    for name in scope.computed:
        speller.parts.append("; define ")
        speller.spell(structure.definitions[name].lhs)
        speller.spell(structure.definitions[name].rhs)
    for number in scope.facts:
        fact = structure.system.facts[number]
        speller.parts.append("; assume ")
        speller.spell(fact.component)
        speller.spell(fact.index)
        speller.spell(fact.value)
    speller.parts.append("; claim ")
    speller.spell(step.rhs)
    speller.spell_quantities(scope)
    return _Spelling("".join(speller.parts), list(speller.sizes), list(speller.extents), speller.ranges)


class _Speller:
    """Writes expressions with names replaced by the order of their first appearance."""

    def __init__(self, structure: _Structure) -> None:
        self.structure = structure
        self.parts: list[str] = []
        self.codes: dict[object, str] = {}
        self.quantities: list[str] = []
        self.sizes: dict[Symbol, None] = {}
        self.extents: dict[Expr, None] = {}
        self.ranges: dict[Symbol, set[Expr]] = {}

    def code(self, name: str) -> str:
        """Return the code of the quantity or adjoint of that name."""
        if name in self.structure.adjoints:
            return "d" + self.code(self.structure.adjoints[name])
        if name not in self.codes:
            self.codes[name] = f"q{len(self.codes)}"
            if name in self.structure.quantities:
                self.quantities.append(name)
        return self.codes[name]

    def spell(self, node: Expr) -> None:
        """Append ``node``."""
        if isinstance(node, Symbol):
            self.parts.append(self._symbol(node) + " ")
            return
        if isinstance(node, Indexed):
            self.parts.append(self.code(str(node.base.name)) + "[")
            arguments: Iterable[Expr] = node.indices
            self._note_ranges(zip(node.indices, node.base.shape or (), strict=False))
        elif node.args:
            self.parts.append(type(node).__name__ + "(")
            arguments = node.args
        else:
            self.parts.append(f"{node} ")
            return
        for argument in arguments:
            self.spell(argument)
        self.parts.append(")")
        if isinstance(node, Sum):
            self._note_ranges((limit[0], limit[2] + 1) for limit in node.limits)

    def _note_ranges(self, ranges: Iterable[tuple[Expr, Expr]]) -> None:
        for index, extent in ranges:
            self.extents[extent] = None
            self.ranges.setdefault(index, set()).add(extent)

    def _symbol(self, symbol: Symbol) -> str:
        if _is_size(symbol):
            self.sizes[symbol] = None
        elif symbol.name in self.structure.adjoints or self.structure.is_scalar(symbol):
            return self.code(symbol.name)
        kind = "n" if _is_size(symbol) else "i" if symbol.is_integer else "c"
        return self.codes.setdefault(symbol, f"{kind}{len(self.codes)}")

    def spell_quantities(self, scope: _Scope) -> None:
        """Append the shape of each quantity seen so far, and what its values and its adjoint are."""
        structure = self.structure
        for name in self.quantities:
            quantity = structure.quantities[name]
            self.parts.append(f"; {self.code(name)} has ")
            for extent in quantity.shape:
                self.spell(extent)
                self.extents[extent] = None
            if quantity.integer:
                self.spell(structure.tables[name])
            marks = (
                quantity.integer,
                name in scope.computed,
                name in scope.inner,
                name == structure.loss,
                scope.is_free(name, structure),
                name in structure.without_sample,
            )
            self.parts.append("".join("01"[mark] for mark in marks))


def _assignments_of_sizes(spelling: _Spelling, sample_size: Expr | None) -> Iterator[Environment]:
    """Yield small numbers for the sizes, unequal where there are few of them.

    Many sizes get two assignments, such that any two sizes differ in one of them.
    """
    symbols = list(spelling.sizes)
    if isinstance(sample_size, Symbol):  # the number of samples is the smallest
        symbols.sort(key=lambda symbol: symbol != sample_size)
    few = len(symbols) <= len(_SIZES)
    count = len(_SIZES) if few else len(_SIZES) - 1
    for turn in (0,) if few else (0, 1):
        numbers = [_SIZES[(n + turn * (n // count)) % count] for n in range(len(symbols))]
        yield _enlarged(dict(zip(symbols, numbers, strict=True)), spelling.extents)


def _enlarged(sizes: Environment, extents: Iterable[Expr]) -> Environment:
    """Return the sizes, enlarged such that no range such as P - K + 1 is shorter than two."""
    known = [e for e in extents if e.free_symbols and e.free_symbols.issubset(sizes)]
    for _ in range(100):
        short = next((e for e in known if _whole(e, sizes) < 2), None)
        if short is None:
            return sizes
        growing = [s for s in sorted(short.free_symbols, key=str) if short.diff(s).is_positive]
        if growing:
            sizes[growing[0]] += 1
    raise _Unproved(f"no small sizes were found that make {short} positive")


def _larger_sizes(guards: Iterable[Relational], spelling: _Spelling, sizes: Environment) -> Environment:
    """Return sizes for which guards on indices may be decided both ways, where that is possible at all."""
    larger = dict(sizes)
    for guard in guards:
        numbers = [abs(int(number)) for number in guard.atoms(Integer)]
        extents = [e for i in guard.free_symbols for e in spelling.ranges.get(i, ())]
        for symbol in {s for expression in (guard, *extents) for s in expression.free_symbols} & set(sizes):
            increase = min(1 + max(numbers, default=0), _LARGEST_INCREASE)
            larger[symbol] = max(larger[symbol], sizes[symbol] + increase)
    return larger


def _whole(expression: Expr | int, values: Mapping[Symbol, int]) -> int:
    """Return the value of an integer expression in sizes and indices."""
    value = _rational(expression, values, None)
    if value.denominator != 1:
        raise _Unproved(f"the index {expression} is no integer")
    return int(value)


def _rational(
    node: Expr | int, values: Mapping[Symbol, int], table: Callable[[Indexed], int] | None
) -> Fraction:
    """Return the value of an expression in sizes, indices and, through ``table``, integer quantities."""
    if isinstance(node, int):
        return Fraction(node)
    if isinstance(node, Symbol) and node in values:
        return Fraction(values[node])
    if isinstance(node, Number) and node.is_rational:
        return Fraction(int(node.p), int(node.q))
    if table is not None and (isinstance(node, Indexed) or (isinstance(node, Symbol) and node.is_integer)):
        return Fraction(table(node))
    if not node.args:
        raise _Unproved(f"the index {node} is bound nowhere")
    values_of_arguments = [_rational(argument, values, table) for argument in node.args]
    if isinstance(node, Add):
        return sum(values_of_arguments, Fraction(0))
    if isinstance(node, Mul):
        return prod(values_of_arguments, start=Fraction(1))
    result = node.func(*[Number(v.numerator) / Number(v.denominator) for v in values_of_arguments])
    if not (result.is_Number and result.is_rational):
        raise _Unproved(f"the index {node} is no integer")
    return Fraction(int(result.p), int(result.q))


# ---------------------------------------------------------------------------------------------------
# The equations as scalar expressions


class _Leaf(NamedTuple):
    """What a scalar symbol stands for: a component or its adjoint, of one sample or of all (None)."""

    kind: LeafKind
    name: str
    place: Place
    sample: int | None


class _Grid:
    """Indexed expressions as scalar ones: sizes and indices are numbers, each component is a symbol.

    Sums are written out, conditions on indices decided, and a factor that is zero (a Kronecker delta, a
    bracket) stops its product before anything beyond the end of an array is read.  With samples, a
    component belongs to the sample that its first index gives; inside the equations of one sample the
    environment holds its number under ``_SAMPLE``.
    """

    def __init__(self, structure: _Structure, sizes: Environment, samples: int, seed: object) -> None:
        self.structure = structure
        self.sizes = sizes
        self.samples = samples
        self.leaves: dict[Symbol, _Leaf] = {}
        self._symbols: dict[_Leaf, Symbol] = {}
        self._shapes: dict[str, Place] = {}
        self._partials: dict[object, dict[Place, dict[Place, Expr]]] = {}
        self._read: dict[object, Expr] = {}
        self._slopes: dict[object, Expr] = {}
        self._truths: dict[object, Expr] = {}
        self.seed = seed
        self.decided: dict[Relational, set[bool]] = {}

    # components

    def shape(self, name: str) -> Place:
        """Return the shape of a quantity as numbers."""
        if name not in self._shapes:
            if name not in self.structure.quantities:
                raise _Unproved(f"{name} is not a quantity of the network")
            shape = self.structure.quantities[name].shape
            self._shapes[name] = tuple(_whole(extent, self.sizes) for extent in shape)
        return self._shapes[name]

    def places(self, name: str) -> Iterator[Place]:
        """Yield the place of every component of a quantity."""
        return product(*map(range, self.shape(name)))

    def leaves_of(self, kind: LeafKind, name: str) -> Iterator[_Leaf]:
        """Yield a leaf per component of a quantity and, unless all samples share it, per sample."""
        shared = self.samples == 1 or name in self.structure.without_sample
        for sample in [None] if shared else range(self.samples):
            for place in self.places(name):
                yield _Leaf(kind, name, place, sample)

    def leaf(self, leaf: _Leaf) -> Expr:
        """Return the symbol of a leaf, or the number where it is one."""
        if leaf.kind == "value" and leaf.name in self.structure.tables:
            return Integer(self.table(leaf))
        if leaf.kind == "adjoint" and leaf.name == self.structure.loss:
            return Integer(1)
        if leaf not in self._symbols:
            sample = "" if leaf.sample is None else f" of sample {leaf.sample}"
            symbol = Symbol(f"{leaf.kind} {leaf.name}{list(leaf.place)}{sample}", real=True)
            self._symbols[leaf] = symbol
            self.leaves[symbol] = leaf
        return self._symbols[leaf]

    def table(self, leaf: _Leaf) -> int:
        """Return a component of an integer quantity: random, in the range of the axis that it indexes."""
        extent = _whole(self.structure.tables[leaf.name], self.sizes)
        return int(_uniform(self.seed, leaf) * extent)

    def locate(self, component: Expr, environment: Environment) -> _Leaf:
        """Return which component is read; refuse one that does not exist."""
        name, indices = _parts(component)
        place = tuple(self.index(index, environment) for index in indices)
        kind: LeafKind = "adjoint" if name in self.structure.adjoints else "value"
        name = self.structure.adjoints.get(name, name)
        shape = self.shape(name)
        sample = None
        if self.samples > 1:
            sample, place = self._sample(component, name, place, environment)
        if len(shape) != len(place):
            raise _Unproved(f"{component} has {len(place)} indices, but {name} has {len(shape)} axes")
        if not all(0 <= index < extent for index, extent in zip(place, shape, strict=True)):
            raise _Unproved(f"{component} is read at {list(place)}, outside of the shape {list(shape)}")
        return _Leaf(kind, name, place, sample)

    def _sample(
        self, component: Expr, name: str, place: Place, environment: Environment
    ) -> tuple[int | None, Place]:
        """Return the sample to which a component belongs, and its place without the sample."""
        if len(place) == len(self.shape(name)) + 1:
            if not 0 <= place[0] < self.samples:
                raise _Unproved(f"{component} is read at {list(place)}, outside of the samples")
            return place[0], place[1:]
        if name in self.structure.without_sample:
            return None, place
        if _SAMPLE not in environment:
            raise _Unproved(f"{component} does not say of which sample")
        return environment[_SAMPLE], place

    def index(self, node: Expr, environment: Environment) -> int:
        """Return the value of an index."""
        constant, coefficients = _affine(node)
        try:
            known = (c * (environment[s] if s in environment else self.sizes[s]) for s, c in coefficients)
            return constant + sum(known)
        except KeyError:
            pass
        values = {**self.sizes, **environment}
        value = _rational(node, values, lambda read: self._table_at(read, environment))
        if value.denominator != 1:
            raise _Unproved(f"the index {node} is no integer")
        return int(value)

    def _table_at(self, read: Expr, environment: Environment) -> int:
        if _parts(read)[0] not in self.structure.tables:
            raise _Unproved(f"the index {read} is bound nowhere")
        return self.table(self.locate(read, environment))

    # expressions

    def scalar(self, node: Expr, environment: Environment) -> Expr:
        """Return ``node`` as a scalar expression."""
        if isinstance(node, Symbol):
            return self._symbol(node, environment)
        if isinstance(node, Indexed):
            return self.leaf(self.locate(node, environment))
        if isinstance(node, Mul):
            return self._product(node, environment)
        if isinstance(node, Sum):
            return Add(*[self.scalar(node.function, e) for e in self._bind(node.limits, environment)])
        if isinstance(node, KroneckerDelta):
            left, right = (self.index(argument, environment) for argument in node.args)
            return Integer(left == right)
        if isinstance(node, Piecewise):
            return self._branches(node, environment)
        if isinstance(node, Derivative):
            return self._derivative(node, environment)
        if isinstance(node, (Add, Pow, Function, Max, Min)):
            return node.func(*[self.scalar(argument, environment) for argument in node.args])
        if isinstance(node, (Number, NumberSymbol)):
            return node
        raise _Unproved(f"{type(node).__name__} ({node}) has no value")

    def _symbol(self, symbol: Symbol, environment: Environment) -> Expr:
        if symbol in environment:
            return Integer(environment[symbol])
        if symbol in self.sizes:
            return Integer(self.sizes[symbol])
        if symbol.name in self.structure.adjoints or self.structure.is_scalar(symbol):
            return self.leaf(self.locate(symbol, environment))
        if symbol.is_integer:
            raise _Unproved(f"the index {symbol} is bound nowhere")
        return symbol

    def _product(self, node: Mul, environment: Environment) -> Expr:
        """Multiply, brackets first: what a zero bracket guards is not read."""
        factors = []
        for factor in _brackets_first(node):
            value = self.scalar(factor, environment)
            if value == 0 and isinstance(factor, _BRACKETS):
                return value
            factors.append(value)
        return Mul(*factors)

    def _bind(self, limits: tuple[Any, ...], environment: Environment) -> Iterator[Environment]:
        """Yield the environments that the limits of a sum open; the last limit is the outermost."""
        if not limits:
            yield environment
            return
        symbol, low, high = limits[-1]
        first, last = self.index(low, environment), self.index(high, environment)
        for number in range(first, last + 1):
            yield from self._bind(limits[:-1], {**environment, symbol: number})

    def _branches(self, node: Piecewise, environment: Environment) -> Expr:
        """Return the branch that the indices decide, or those that they leave open."""
        kept = []
        for value, condition in node.args:
            holds = self._condition(condition, environment)
            if holds is not false:
                kept.append((self.scalar(value, environment), holds))
            if holds is true:
                break
        if not kept:
            raise _Unproved(f"{node} has no branch that holds")
        return Piecewise(*kept)

    def _condition(self, node: Boolean, environment: Environment) -> Boolean:
        """Return the condition between scalars; one on indices becomes true or false."""
        if isinstance(node, (And, Or)):
            absorbing = true if isinstance(node, Or) else false
            parts = []
            for argument in _indices_first(node):  # they may guard a read in the other conditions
                parts.append(self._condition(argument, environment))
                if parts[-1] is absorbing:
                    break
            return node.func(*parts)
        if isinstance(node, Not):
            return Not(self._condition(node.args[0], environment))
        if isinstance(node, Relational):
            if _is_on_indices(node):
                left, right = (self.index(argument, environment) for argument in node.args)
                holds = bool(_RELATIONS[node.rel_op](left, right))
                self.decided.setdefault(node, set()).add(holds)
                return true if holds else false
            return node.func(*[self.scalar(argument, environment) for argument in node.args])
        return node

    # derivatives

    def _derivative(self, node: Derivative, environment: Environment) -> Expr:
        """Return the adjoint, or the local derivative, that stands on the right-hand side of a step."""
        output, target = _differentiated(node)
        if _is_loss(output, self.structure):
            return self.leaf(self.locate(target, environment)._replace(kind="adjoint"))
        return self.slope(output, target, environment)

    def slope(self, output: Expr, target: Expr, environment: Environment) -> Expr:
        """Return the derivative of ``output`` with respect to ``target``.

        A component with a definition is differentiated through it, with all that it reads independent;
        of any other expression the components are independent.
        """
        at = self.locate(target, environment)
        if isinstance(output, (Symbol, Indexed)):
            of = self.locate(output, environment)
            if of.name in self.structure.definitions and of.name != at.name:
                return self.partials(of.name, at.name, of.sample).get(at.place, {}).get(of.place, Integer(0))
        free = output.free_symbols | target.free_symbols
        key = (output, target, tuple(sorted((s.name, n) for s, n in environment.items() if s in free)))
        if key not in self._slopes:
            self._slopes[key] = self.scalar(output, environment).diff(self.leaf(at))
        return self._slopes[key]

    def partials(self, consumer: str, name: str, sample: int | None) -> dict[Place, dict[Place, Expr]]:
        """Return ∂consumer[place]/∂name[at], by ``at`` and then by ``place``, where it is not 0."""
        key = (consumer, name, sample)
        if key not in self._partials:
            found: dict[Place, dict[Place, Expr]] = {}
            for place in self.places(consumer):
                for at, slope in self._gradient(self.reading_terms(consumer, name, place, sample), name):
                    found.setdefault(at, {})[place] = slope
            self._partials[key] = found
        return self._partials[key]

    def _gradient(self, expression: Expr, name: str) -> Iterator[tuple[Place, Expr]]:
        """Yield the scalar derivative with respect to each component of ``name``, term by term."""
        terms: dict[Symbol, list[Expr]] = {}
        for term in Add.make_args(expression):
            for symbol in term.free_symbols:
                if symbol in self.leaves and self.leaves[symbol].name == name:
                    terms.setdefault(symbol, []).append(term)
        for symbol in sorted(terms, key=lambda each: self.leaves[each].place):
            slope = Add(*[term.diff(symbol) for term in terms[symbol]])
            if slope != 0:
                yield self.leaves[symbol].place, slope

    def reading_terms(self, consumer: str, name: str, place: Place, sample: int | None) -> Expr:
        """Return that part of a component's definition that reads ``name``."""
        key = (consumer, name, place, sample)
        if key not in self._read:
            environment = self._environment(consumer, place, sample)
            terms = self.structure.terms.get((consumer, name), ())
            self._read[key] = Add(*[self.scalar(term, environment) for term in terms])
        return self._read[key]

    def definition(self, name: str, place: Place, sample: int | None) -> Expr:
        """Return the right-hand side of a component's definition."""
        return self.scalar(self.structure.definitions[name].rhs, self._environment(name, place, sample))

    def _environment(self, name: str, place: Place, sample: int | None) -> Environment:
        indices = zip(self.structure.definitions[name].indices, place, strict=True)
        values = {i: n for i, n in indices if isinstance(i, Symbol)}
        return values if sample is None else {**values, _SAMPLE: sample}

    def want(self, name: str, place: Place, sample: int | None) -> Expr:
        """Return ∂E/∂name[place] as it has to be: the sum over all that reads it."""
        if sample is None and self.samples > 1:  # shared by the samples, the loss is their mean
            return Add(*[self.want(name, place, each) for each in range(self.samples)]) / self.samples
        terms = []
        for consumer in self.structure.readers.get(name, ()):
            slopes = self.partials(consumer, name, sample).get(place, {})
            terms += [self.leaf(_Leaf("adjoint", consumer, at, sample)) * s for at, s in slopes.items()]
        return Add(*terms)

    def truth(self, statement: _Statement, environment: Environment) -> Expr:
        """Return what the right-hand side of a step has to be: for a batch, the mean over the samples."""
        key = (statement.output, statement.target, tuple(environment.items()))
        if key not in self._truths:
            samples = [{**environment, _SAMPLE: sample} for sample in range(self.samples)]
            alone = self.samples == 1
            truths = [self._truth(statement, each) for each in ([environment] if alone else samples)]
            self._truths[key] = truths[0] if alone else Add(*truths) / self.samples
        return self._truths[key]

    def _truth(self, statement: _Statement, environment: Environment) -> Expr:
        output, target, sample = statement.output, statement.target, environment.get(_SAMPLE)
        if target is None:
            assert output is not None
            leaf = self.locate(output, environment)
            return self.definition(leaf.name, leaf.place, sample)
        if output is None:
            leaf = self.locate(target, environment)
            return self.want(leaf.name, leaf.place, sample)
        return self.slope(output, target, environment)


_SAMPLE = Dummy("sample", integer=True)
"""Stands in an environment for the sample whose equations are evaluated."""

_BRACKETS = (KroneckerDelta, Piecewise)


@lru_cache(maxsize=1024)
def _brackets_first(node: Mul) -> tuple[Expr, ...]:
    return tuple(sorted(node.args, key=lambda factor: not isinstance(factor, _BRACKETS)))


@lru_cache(maxsize=1024)
def _indices_first(node: And | Or) -> tuple[Boolean, ...]:
    """Return the conditions that depend on indices and sizes alone, then the others."""
    return tuple(sorted(node.args, key=lambda part: (not _is_on_indices(part), str(part))))


@lru_cache(maxsize=4096)
def _is_on_indices(condition: Boolean) -> bool:
    """Whether a condition depends on integers alone, not on values."""
    return all(symbol.is_integer for symbol in condition.free_symbols)


@lru_cache(maxsize=4096)
def _affine(index: Expr) -> tuple[int, tuple[tuple[Expr, int], ...]]:
    """Return the constant and the coefficients of an index; what is not affine stands for itself."""
    parts = index.as_coefficients_dict()
    if not all(coefficient.is_Integer for coefficient in parts.values()):
        return 0, ((index, 1),)
    constant = int(parts.pop(Integer(1), 0))
    return constant, tuple((part, int(coefficient)) for part, coefficient in parts.items())


# ---------------------------------------------------------------------------------------------------
# Numbers for the scalars


@dataclass(frozen=True)
class _Spread:
    """Where random values lie: between ``low`` and one of ``highs``, with random signs if ``signed``.

    Each quantity has one of the ``highs``, so that quantities differ in their order of magnitude.
    ``flipped`` draws the opposite signs, so that each value is once on either side of 0.  With
    ``centres``, values lie that far from one of these.
    """

    number: int
    low: str
    highs: tuple[str, ...]
    signed: bool = False
    flipped: bool = False
    centres: tuple[str, ...] = ()


_POSITIVE = (("0.1", "0.9"), ("0.05", "0.3"), ("1.1", "1.9"))
_THREE_SPREADS = tuple(
    (*signed, *(_Spread(number, low, (high,)) for low, high in _POSITIVE))
    for number, signed in enumerate(
        ((), (_Spread(1, "0.1", ("0.9",), True),), (_Spread(1, "0.1", ("0.9",), True, True),))
    )
)
"""For each of three points the ranges to try; a logarithm, say, has no value at the signed ones."""


_WIDE_SPREADS = tuple(
    _Spread(number, "0.1", highs, True, flipped)
    for number, highs in enumerate(
        16 * (("1.5",), ("4",), ("12",), ("0.5", "1.5", "4", "12"), ("0.5", "4"), ("1.5", "12")), start=6
    )
    for flipped in (False, True)
)
"""For kinks between quantities, kinks inside a branch, and branches far from 0."""


def _spreads_close_to(kinks: set[str]) -> Iterator[_Spread]:
    """Yield spreads close to the kinks: these points tell where exactly they are.

    In the course of them each value comes close to each kink, on both sides.
    """
    centres = tuple(sorted({"0.0", "0.5", "-0.5", *kinks}))
    for number in range(len(centres)):
        for flipped in (False, True):
            yield _Spread(number, "0.0001", ("0.001",), True, flipped, centres)


def _uniform(*key: object) -> Any:
    """Return a number in [0, 1) with 65 digits, fixed by ``key``."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=32).digest()
    return _CONTEXT.ldexp(_CONTEXT.mpf(int.from_bytes(digest[:27], "big")), -216)


class _Draw:
    """The random values of a point, each fixed by what it is the value of."""

    def __init__(self, seed: int, spread: _Spread) -> None:
        self._seed = seed
        self._spread = spread

    @property
    def positive(self) -> bool:
        """Whether all values are positive."""
        return not self._spread.signed

    @property
    def wide(self) -> bool:
        """Whether values may be large."""
        return self._spread in _WIDE_SPREADS

    def value(self, leaf: _Leaf) -> Any:
        """Return a value in the spread."""
        low, high = _CONTEXT.mpf(self._spread.low), self._choice(self._spread.highs, leaf.name)
        magnitude = low + (high - low) * _uniform(self._seed, self._spread, leaf)
        if not self._spread.signed:
            return magnitude
        # the sign is drawn without the flip, else flipping would not flip
        negative = _uniform(self._seed, self._spread.number, self._spread.centres, leaf) < 0.5
        offset = -magnitude if negative != self._spread.flipped else magnitude
        return self._centre(leaf) + offset if self._spread.centres else offset

    def _centre(self, leaf: _Leaf) -> Any:
        """Return a centre: for each leaf another one first, and then one after the other."""
        centres = self._spread.centres
        start = int(_uniform(self._seed, centres, leaf) * len(centres))
        return _CONTEXT.mpf(centres[(start + self._spread.number) % len(centres)])

    def _choice(self, numbers: tuple[str, ...], key: object) -> Any:
        share = _uniform(self._seed, self._spread.number, numbers, key)
        return _CONTEXT.mpf(numbers[int(share * len(numbers))])

    def cotangent(self, leaf: _Leaf) -> Any:
        """Return a free cotangent, of either sign."""
        return 2 * _uniform(self._seed, self._spread, leaf) - 1

    def constant(self, name: str) -> Any:
        """Return a positive constant; at kinks one close to 1/2, which may be where they are."""
        share = _uniform(self._seed, self._spread, name)
        if self._spread.centres:
            return _CONTEXT.mpf("0.5") + (share - _CONTEXT.mpf("0.5")) / 1000
        return _CONTEXT.mpf("0.1") + _CONTEXT.mpf("0.8") * share


class _Point:
    """Numbers for all scalars: computed quantities from their definitions, the others random."""

    def __init__(self, grid: _Grid, scope: _Scope, draw: _Draw) -> None:
        self.grid = grid
        self.scope = scope
        self._draw = draw
        self._values: dict[Symbol, Any] = {}
        self._evaluator = _Evaluator(self)
        facts = self.grid.structure.system.facts
        self._facts = {_parts(facts[n].component)[0]: facts[n] for n in scope.facts}

    @property
    def kinks(self) -> set[str]:
        """Where kinks were met in the equations."""
        return self._evaluator.kinks

    def prepare(self) -> bool:
        """Compute what does not depend on the claim; return whether all of it has a fair, real value.

        Values are computed from the inputs outwards and adjoints from the loss inwards, so that depth
        costs no recursion.
        """
        grid = self.grid
        try:
            for name in self.scope.computed:
                values = [self.value(grid.leaf(leaf)) for leaf in grid.leaves_of("value", name)]
                if self._draw.wide and max(map(abs, values)) > _LARGEST_VALUE:
                    return False
            for name in self.scope.inner:
                for leaf in grid.leaves_of("adjoint", name):
                    self.value(grid.leaf(leaf))
            for consumer, name in self.scope.pairs:  # the point must lie in the domain of each
                for leaf in grid.leaves_of("value", consumer):
                    self._evaluator.value(grid.reading_terms(consumer, name, leaf.place, leaf.sample))
        except _OutsideDomain:
            return False
        return True

    def value(self, symbol: Symbol) -> Any:
        """Return the value of a scalar symbol."""
        if symbol not in self._values:
            leaf = self.grid.leaves.get(symbol)
            self._values[symbol] = self._draw.constant(symbol.name) if leaf is None else self._leaf(leaf)
        return self._values[symbol]

    def _leaf(self, leaf: _Leaf) -> Any:
        if leaf.kind == "adjoint":
            if self.scope.is_free(leaf.name, self.grid.structure):
                shared = leaf.name in self.grid.structure.without_sample
                return self._draw.cotangent(leaf._replace(sample=None) if shared else leaf)
            return self._evaluator.value(self.grid.want(*leaf[1:]))
        if leaf.name in self.scope.computed:
            return self._evaluator.value(self.grid.definition(*leaf[1:]))
        fact = self._facts.get(leaf.name)
        return self._draw.value(leaf) if fact is None else self._bound_by(fact, leaf)

    def _bound_by(self, fact: Fact, leaf: _Leaf) -> Any:
        """Return a random value such that the components along the axis of a fact have the right sum."""
        line = _line(leaf, fact, self.grid.shape(leaf.name)[fact.axis])
        values = [self._draw.value(each) for each in line]
        total = self._evaluator.value(self.grid.scalar(fact.value, _fact_environment(fact, leaf)))
        own = values[leaf.place[fact.axis]]
        if self._draw.positive:  # scaled, so that a logarithm keeps its argument positive
            return own * total / sum(values)
        return own if leaf != line[-1] else total - sum(values[:-1])


def _line(leaf: _Leaf, fact: Fact, extent: int) -> list[_Leaf]:
    """Return all components along the axis of a fact that share the other indices with ``leaf``."""
    before, after = leaf.place[: fact.axis], leaf.place[fact.axis + 1 :]
    return [leaf._replace(place=(*before, number, *after)) for number in range(extent)]


def _fact_environment(fact: Fact, leaf: _Leaf) -> Environment:
    return {i: n for i, n in zip(fact.component.indices, leaf.place, strict=True) if i != fact.index}


class _Evaluator:
    """Evaluates scalar expressions at a point, each part once."""

    def __init__(self, point: _Point) -> None:
        self.kinks: set[str] = set()
        self._point = point
        self._known: dict[Expr, Any] = {}

    def value(self, node: Expr) -> Any:
        """Return the value of ``node``.

        Raises:
            _OutsideDomain: it has no real value.
        """
        if isinstance(node, Symbol):
            return self._point.value(node)
        if node.is_Integer:
            return int(node)
        if node not in self._known:
            try:
                result = self._compute(node)
            except (ArithmeticError, ValueError) as error:
                raise _OutsideDomain(f"{node} has no value") from error
            if isinstance(result, _CONTEXT.mpc):
                raise _OutsideDomain(f"{node} is not real")
            if not _CONTEXT.isfinite(result):
                raise _OutsideDomain(f"{node} is not finite")
            self._known[node] = result
        return self._known[node]

    def _compute(self, node: Expr) -> Any:
        if isinstance(node, Piecewise):
            return self._branch(node)
        if isinstance(node, (Number, NumberSymbol)):
            return _number(node)
        arguments = [self.value(argument) for argument in node.args]
        if isinstance(node, Add):
            return sum(arguments)
        if isinstance(node, Mul):
            return prod(arguments)
        if isinstance(node, Pow):
            return _power(*arguments)
        if isinstance(node, (Max, Min)):
            self._note_kinks(node.args)
            return (max if isinstance(node, Max) else min)(arguments)
        if isinstance(node, (Abs, sign, Heaviside)):
            self._note_kinks(node.args)
        return _function(type(node).__name__)(*arguments)

    def _branch(self, node: Piecewise) -> Any:
        self._note_kinks(condition for _, condition in node.args)
        for value, condition in node.args:
            if self._holds(condition):
                return self.value(value)
        raise _OutsideDomain(f"{node} has no branch that holds")

    def _holds(self, condition: Boolean) -> bool:
        if isinstance(condition, And):
            return all(self._holds(part) for part in condition.args)
        if isinstance(condition, Or):
            return any(self._holds(part) for part in condition.args)
        if isinstance(condition, Not):
            return not self._holds(condition.args[0])
        if isinstance(condition, Relational):
            left, right = (self.value(argument) for argument in condition.args)
            return bool(_RELATIONS[condition.rel_op](left, right))
        return bool(condition)

    def _note_kinks(self, tested: Iterable[Expr]) -> None:
        """Note the numbers with which something is compared; a kink without a number is at 0."""
        numbers = {str(_number(number)) for part in tested for number in part.atoms(Number)}
        self.kinks.update(numbers or {"0.0"})


@lru_cache(maxsize=1024)
def _number(node: Expr) -> Any:
    if not (node.is_finite and node.is_extended_real):
        raise _OutsideDomain(f"{node} is no number")
    return _CONTEXT.mpf(str(node.evalf(_CONTEXT.dps + 5)))


def _power(base: Any, exponent: Any) -> Any:
    whole = isinstance(base, int) and isinstance(exponent, int) and exponent >= 0
    return base**exponent if whole else _CONTEXT.mpf(base) ** exponent


_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}

_KINKED = (Piecewise, Max, Min, Abs, sign, Heaviside)


def _has_nested_kinks(statement: _Statement) -> bool:
    """Whether a branch has branches itself; few points tell where these meet."""
    branches = (value for node in statement.step.rhs.atoms(Piecewise) for value, _ in node.args)
    return any(value.has(*_KINKED) for value in branches)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Abs": abs,
    "DiracDelta": lambda argument, order=0: 0,  # never met at 0
    "Heaviside": lambda argument, at_zero: at_zero if argument == 0 else int(argument > 0),
    "LambertW": _CONTEXT.lambertw,
    "ceiling": _CONTEXT.ceil,
    "logaddexp": lambda a, b: _CONTEXT.log(_CONTEXT.exp(a) + _CONTEXT.exp(b)),
}
"""SymPy's functions for which mpmath has no function of the same name."""


def _function(name: str) -> Callable[..., Any]:
    """Return the numerical function of that name."""
    function: Callable[..., Any] | None = _FUNCTIONS.get(name) or getattr(_CONTEXT, name, None)
    if function is None:
        raise _Unproved(f"the function {name} is not known")
    return function


# ---------------------------------------------------------------------------------------------------
# The comparison


class _Comparison:
    """Both sides of a step, as scalar expressions, at one point after the other."""

    def __init__(self, statement: _Statement) -> None:
        self.statement = statement
        self.kinks: set[str] = set()
        self._claims: dict[tuple[object, int], Expr] = {}
        self._decided: dict[Relational, set[bool]] = {}

    def at(self, point: _Point) -> tuple[int, str | None]:
        """Return how many components were compared, and where both sides first differ."""
        evaluator = _Evaluator(point)
        count = 0
        for environment in self.statement.environments(point.grid.sizes):
            count += 1
            difference = self._difference(point, count, environment, evaluator)
            if difference is not None:
                where = ", ".join(f"{symbol} = {number}" for symbol, number in environment.items())
                return count, f"at {where}: {difference}" if where else difference
        self.kinks |= evaluator.kinks | point.kinks
        return count, None

    def _difference(
        self, point: _Point, number: int, environment: Environment, evaluator: _Evaluator
    ) -> str | None:
        truth = evaluator.value(point.grid.truth(self.statement, environment))
        try:
            given = evaluator.value(self._claim(point.grid, number, environment))
        except (_Unproved, _OutsideDomain) as reason:
            return str(reason)
        if abs(given - truth) <= _TOLERANCE * max(1, abs(given), abs(truth)):
            return None
        return f"the step gives {_digits(given)}, scalar calculus {_digits(truth)}"

    def one_sided_guards(self) -> list[Relational]:
        """Return the conditions on indices that came out the same for all indices."""
        return [guard for guard, outcomes in self._decided.items() if len(outcomes) == 1]

    def _claim(self, grid: _Grid, number: int, environment: Environment) -> Expr:
        key = (grid.seed, number)
        if key not in self._claims:
            grid.decided = self._decided
            self._claims[key] = grid.scalar(self.statement.step.rhs, environment)
        return self._claims[key]


def _digits(value: Any) -> str:
    return str(_CONTEXT.nstr(_CONTEXT.mpf(value), 10))


def _holds_exactly(statement: _Statement, scope: _Scope, grid: _Grid) -> bool:
    """Whether the difference of both sides vanishes by algebra, for one telling assignment of indices."""
    environment, truth = _telling(statement, grid)
    difference = grid.scalar(statement.step.rhs, environment) - truth
    while difference.count_ops() <= _EXACT_LIMIT:
        if expand(difference) == 0:
            return True
        replacement = _written_out(difference, scope, grid)
        if not replacement:
            return _vanishes(difference)
        difference = difference.xreplace(replacement)
    return False


def _telling(statement: _Statement, grid: _Grid) -> tuple[Environment, Expr]:
    """Return the first assignment at which the truth is not 0, unequal indices preferred, and that truth."""
    environments = list(statement.environments(grid.sizes))
    environments.sort(key=lambda each: len(each) - len(set(each.values())))
    found = [(each, grid.truth(statement, each)) for each in environments[:4]]
    return next((pair for pair in found if pair[1] != 0), found[0])


def _vanishes(expression: Expr) -> bool:
    """Whether cheap algebra shows that ``expression`` is 0.

    It is a polynomial in the symbols that stand in no function and no denominator; each of its
    coefficients has to vanish, and they are small.
    """
    kinks = sorted(expression.atoms(*_KINKED, DiracDelta), key=str)
    flat = expression.xreplace({kink: Dummy(real=True) for kink in kinks}).rewrite(exp)
    flat = expand(flat, deep=True, power_exp=True, mul=False, multinomial=False, log=False)
    powers = [p for p in flat.atoms(Pow) if p.base.is_Add and p.exp.is_negative]
    inverses = {base: Dummy(positive=True) for base in sorted({p.base for p in powers}, key=str)}
    flat = expand(flat.xreplace({p: inverses[p.base] ** -p.exp for p in powers}))
    inside = {s for node in (*flat.atoms(Function), *inverses) for s in node.free_symbols}
    plain = flat.free_symbols - inside - set(inverses.values())
    coefficients: dict[Expr, list[Expr]] = {}
    for term in Add.make_args(flat):
        coefficient, monomial = term.as_independent(*plain, as_Add=False)
        coefficients.setdefault(monomial, []).append(coefficient)
    back = {inverse: 1 / base for base, inverse in inverses.items()}
    return all(_is_zero(Add(*terms).xreplace(back)) for terms in coefficients.values())


def _is_zero(expression: Expr) -> bool:
    if expression.count_ops() > _EXACT_LIMIT:
        return False
    return bool(expand(fraction(together(expression))[0]) == 0)


def _written_out(expression: Expr, scope: _Scope, grid: _Grid) -> dict[Symbol, Expr]:
    """Return what to put for adjoints that are worked out, else for computed values, else by facts."""
    leaves = sorted((grid.leaves[s], s) for s in expression.free_symbols if s in grid.leaves)
    adjoints = [(leaf, s) for leaf, s in leaves if leaf.kind == "adjoint" and leaf.name in scope.inner]
    if adjoints:
        return {s: grid.want(*leaf[1:]) for leaf, s in adjoints}
    for name in reversed(scope.computed):
        values = {s: grid.definition(*leaf[1:]) for leaf, s in leaves if leaf[:2] == ("value", name)}
        if values:
            return values
    return {s: v for leaf, s in leaves for v in _by_facts(leaf, scope, grid)}


def _by_facts(leaf: _Leaf, scope: _Scope, grid: _Grid) -> Iterator[Expr]:
    """Yield the value of the last component along the axis of a fact, from the others."""
    for fact in (grid.structure.system.facts[number] for number in scope.facts):
        if leaf[:2] == ("value", _parts(fact.component)[0]):
            *others, last = _line(leaf, fact, grid.shape(leaf.name)[fact.axis])
            if leaf == last:
                total = grid.scalar(fact.value, _fact_environment(fact, leaf))
                yield total - Add(*[grid.leaf(each) for each in others])
