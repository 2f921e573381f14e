"""The derivation: stored, numbered steps from the equations to the derivative for every quantity.

There is one rule, the adjoint rule.  For a quantity q, over all equations that read it:

    ∂E/∂q[target] = Σ_consumers Σ_indices ∂E/∂consumer[indices] · ∂consumer[indices]/∂q[target]

Each adjoint gets a name, so nothing swells with depth.  The rule is applied once per signature of a goal
(the quantity and its consumers up to their names) and then instantiated.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from sympy import Add, Basic, Derivative, Expr, Indexed, Sum, Symbol

from symbackprop.derivation.calculus.paths import without_summed_deltas
from symbackprop.derivation.calculus.rule import Consumer, DraftStep, Goal
from symbackprop.derivation.calculus.signature import outcome_of
from symbackprop.derivation.stable.choose import with_stable
from symbackprop.equations.circles import circles_of
from symbackprop.equations.graph import reached_from, readers_of
from symbackprop.equations.indices import renamed, settle, substitute
from symbackprop.equations.letters import Letters
from symbackprop.equations.naming import LETTERS
from symbackprop.equations.steps import Derived, Sides, Sketch, Step
from symbackprop.equations.system import ZERO, Equation, EquationSystem, Quantity, indices_of, name_of
from symbackprop.equations.well_formed import check_system


def derive_system(
    system: EquationSystem,
    wrt: Sequence[str] | None = None,
    *,
    stable: bool = True,
    inner: tuple[Derived, ...] = (),
    apart: bool = False,
    letters: Letters | None = None,
) -> Derived:
    """Derive the loss for every quantity between it and ``wrt`` (default: the parameters).

    ``inner`` are the derivations behind the derivatives in the equations; their steps come first.
    Where they are to be read again, adjoints stay ``apart``: none is written into a sum, or holds one itself,
    unless a divisor cancels, and no result is written out in full.  ``letters`` are those of equations of
    which these are a part.

    What the loss does not depend on has one step, which says that its derivative is 0.
    Without ``stable`` no stable forms are looked for, which takes about half of the time.

    Raises:
        SpecificationError: the equations are not well formed.
        UnsupportedExpression: an expression that the calculus does not know.
    """
    check_system(system)
    derivation = _Pass(system, tuple(system.parameters if wrt is None else wrt), inner, apart, letters).run()
    return with_stable(derivation) if stable else derivation


@dataclass
class _Group:
    """The steps to one quantity; adjoints that were written into them are still under their names."""

    quantity: Quantity
    steps: list[tuple[str, Callable[[], Sides], Sketch, str | None]]
    result: int


class _Pass:
    """One reverse pass over the equations."""

    def __init__(
        self,
        system: EquationSystem,
        wrt: tuple[str, ...],
        inner: tuple[Derived, ...],
        apart: bool,
        letters: Letters | None,
    ) -> None:
        self.system = system
        self.inner = inner
        self.apart = apart
        self.wrt = wrt
        self.consumers = _consumers(system)
        self.needed = _between(system, wrt)
        self.adjoint_of = system.adjoints
        self.known = {**system.quantities, **{a.name: a for a in self.adjoint_of.values()}}
        self.quantity_of = {a.name: a.to for a in self.adjoint_of.values()}
        self.reads = {e.name: {name_of(c) for c in system.reads(e.rhs)} for e in system.equations}
        self.leaves = {name: n for n, name in enumerate(wrt) if name not in system.definitions}
        self.letters = {s for e in system.equations for s in e.lhs.atoms(Symbol) | e.rhs.atoms(Symbol)}
        # Σ_k beside a quantity k would be hard to read.
        self.letters |= {i for i in LETTERS if i.name in system.quantities}
        self.by_rarest_read = self._by_rarest_read()
        self.spelled = letters or Letters(system)
        self.circles = circles_of(system.equations, system.reads)
        self.groups: dict[str, _Group] = {}
        self.definitions: dict[str, Equation] = {}
        self.written: dict[str, Equation] = {}
        self.unnamed: set[str] = set()
        self.without_effect: set[str] = set()
        """The quantities for which the derivative of the loss is 0, as are those that they alone read."""

    def run(self) -> Derived:
        """Go from the loss inwards; a leaf follows as soon as all that read it are done."""
        waiting = {name: len(self._consumers_of(name)) for name in self.wrt}
        for equation in reversed(self.system.equations):
            name = equation.name
            if name not in self.needed:
                continue
            if name != self.system.loss:
                self._derive_or_leave_out(name)
            for leaf in self._leaves_read_by(name):
                waiting[leaf] -= 1
                if not waiting[leaf]:
                    self._derive_or_leave_out(leaf)
        for name in self.wrt:
            if name not in self.groups and not self.system.quantities[name].integer:
                self._leave_out(name)
        return self._number()

    def _derive_or_leave_out(self, name: str) -> None:
        """Derive for a quantity; where all that reads it has no effect, it has none either."""
        if self._consumers_of(name):
            self._derive(name)
        else:
            self.without_effect.add(name)

    def _leave_out(self, name: str) -> None:
        """State that the loss does not depend on a quantity."""
        quantity = self.system.quantities[name]
        indices = self._target_indices(quantity, self.consumers.get(name, ()))
        lhs = self.adjoint_of[name].at(indices)
        rule = "no effect" if name in self.without_effect else "no path"
        step = (rule, partial(self._named, lhs, ZERO), Sketch(lhs, ZERO, {}), None)
        self.groups[name] = _Group(quantity, [step], 0)
        self.unnamed.add(name)

    def _consumers_of(self, name: str) -> list[Equation]:
        through = (e for e in self.consumers.get(name, ()) if e.name in self.needed)
        consumers = (e for e in through if not self.system.quantities[e.name].ends_derivatives)
        return [e for e in consumers if e.name not in self.without_effect]

    def _leaves_read_by(self, name: str) -> list[str]:
        return sorted(self.reads[name] & self.leaves.keys(), key=self.leaves.__getitem__)

    def _derive(self, name: str) -> None:
        goal = self._goal(name)
        outcome, names = outcome_of(goal, self.known, self.letters)
        lhs, result = goal.adjoint.at(goal.indices), renamed(outcome.steps[-1].rhs, names)
        steps: list[tuple[str, Callable[[], Sides], Sketch, str | None]] = []
        for s in outcome.steps:
            by = None if s.by is None else name_of(s.by.xreplace(names))
            sides = (
                partial(self._named, lhs, result)
                if s is outcome.steps[-1]
                else partial(self._renamed, s, names)
            )
            steps.append((s.rule, sides, Sketch(s.lhs, s.rhs, names), by))
        for adjoint in outcome.inlined:
            real = adjoint.base if adjoint.shape else adjoint.symbol
            self.unnamed.add(self.quantity_of[str(names[real].name)])
        self.groups[name] = _Group(goal.quantity, steps, len(steps) - 1)
        if result == 0 and name not in self.circles:
            self.without_effect.add(name)
            self.unnamed.add(name)  # nothing reads it
            return
        self.definitions[name] = Equation(lhs, result)
        full = result if self.apart else self._written_out(result)
        if full is not result:
            steps.append(("substitution", partial(self._named, lhs, full), Sketch(lhs, full, {}), None))
        plain = name in self.system.definitions and name not in self.circles and not full.has(Sum)
        if plain and full.count_ops() <= _WRITTEN_OUT_LIMIT:
            self.written[self.adjoint_of[name].name] = Equation(lhs, full)

    def _renamed(self, step: DraftStep, names: dict[Basic, Basic]) -> Sides:
        return self._named(renamed(step.lhs, names), renamed(step.rhs, names))

    def _named(self, lhs: Expr, rhs: Expr) -> Sides:
        return self.spelled.equation(self._with_derivatives(lhs), self._with_derivatives(rhs))

    def _written_out(self, expression: Expr) -> Expr:
        """Return ``expression`` with the adjoints that hold no sum written out."""
        read = sorted({name_of(c) for c in _components(expression)} & self.written.keys())
        for name in read:
            expression = without_summed_deltas(substitute(expression, self.known[name], self.written[name]))
        return settle(expression, LETTERS) if read else expression

    def _goal(self, name: str) -> Goal:
        quantity = self.system.quantities[name]
        equations = self._consumers_of(name)
        consumers = tuple(self._consumer(e, name) for e in equations)
        facts = tuple(self.system.facts)
        indices = self._target_indices(quantity, equations)
        known = tuple(self._definitions_within(equations))
        is_leaf = name not in self.system.definitions
        return Goal(quantity, indices, self.adjoint_of[name], consumers, facts, (), known, is_leaf)

    def _by_rarest_read(self) -> dict[str, list[Equation]]:
        """Return the real definitions by the quantity they read with the fewest consumers, as an index."""
        found: dict[str, list[Equation]] = {}
        for equation in self.system.equations:
            whole = self.system.quantities[equation.name].ends_derivatives
            if equation.name != self.system.loss and not whole and self.reads[equation.name]:
                rarest = min(self.reads[equation.name], key=self._consumers_and_name)
                found.setdefault(rarest, []).append(equation)
        return found

    def _consumers_and_name(self, name: str) -> tuple[int, str]:
        return len(self.consumers[name]), name

    def _definitions_within(self, consumers: Sequence[Equation]) -> Iterator[Equation]:
        """Yield other definitions that read only quantities read by the ``consumers`` of a quantity."""
        read = set().union(*[self.reads[c.name] for c in consumers if c.name != self.system.loss])
        own = {c.name for c in consumers}
        for rarest in sorted(read & self.by_rarest_read.keys()):
            for equation in self.by_rarest_read[rarest]:
                if equation.name not in own and self.reads[equation.name] <= read:
                    yield equation

    def _consumer(self, equation: Equation, reader: str) -> Consumer:
        if equation.name == self.system.loss:
            return Consumer(equation, None)
        known = self.definitions.get(equation.name)  # None in a circle, where it is read further on
        definition = None if self._other_readers(equation, reader) else known
        summed = definition is not None and (definition.rhs.has(Sum) or equation.rhs.has(Sum))
        return Consumer(equation, self.adjoint_of[equation.name], definition, self.apart and summed)

    def _other_readers(self, equation: Equation, reader: str) -> set[str]:
        """Return the quantities besides ``reader`` whose adjoints read the adjoint of ``equation.name``."""
        adjoint = self.adjoint_of[equation.name].symbol
        others = (self.reads[equation.name] & self.needed) - {reader}
        return {q for q in others if q not in self.definitions or self.definitions[q].rhs.has(adjoint)}

    def _target_indices(self, quantity: Quantity, equations: Sequence[Equation]) -> tuple[Symbol, ...]:
        if quantity.name in self.system.definitions:
            return tuple(self.system.definitions[quantity.name].indices)
        for equation in (*equations, *self.consumers.get(quantity.name, ())):
            for component in self.system.reads(equation.rhs):
                at = indices_of(component)
                letters = all(isinstance(i, Symbol) and not self.system.is_read(i) for i in at)
                plain = letters and len(set(at)) == len(at)
                if name_of(component) == quantity.name and plain:
                    return at
        return self.spelled.of(quantity)

    def _number(self) -> Derived:
        """Number the forward equations and the steps, and name the adjoints that still have their name."""
        numbers = {e.name: number for number, e in enumerate(self.system.equations, start=1)}
        behind = max((n for each in self.inner for n in each.by_number), default=len(numbers))
        count = itertools.count(behind + 1)
        steps: list[Step] = []
        results: dict[str, int] = {}
        adjoints: dict[str, str] = {}
        for name, group in self.groups.items():
            for position, (rule, sides, sketch, by) in enumerate(group.steps):
                steps.append(Step.pending(next(count), name, rule, sides, sketch, by))
                if position == group.result:
                    results[name] = steps[-1].number
                    if name in self.unnamed:
                        break  # written into its only reader: nobody asks for another form of it
            if name in self.system.definitions and name not in self.unnamed:
                adjoints[self.adjoint_of[name].name] = name
        return Derived(self.system, tuple(steps), results, adjoints, numbers, inner=self.inner)

    def _with_derivatives(self, expression: Expr) -> Expr:
        """Write ∂E/∂q as a derivative where q is a leaf or its adjoint was written into its reader."""
        loss = self.system.quantities[self.system.loss].symbol
        mapping = {}
        for component in _components(expression):
            name = name_of(component)
            quantity = self.quantity_of.get(name)
            if quantity is None:
                continue
            if quantity in self.unnamed or quantity not in self.system.definitions:
                original = self.system.quantities[quantity]
                mapping[component] = Derivative(loss, original.at(indices_of(component)))
        return expression.xreplace(mapping) if mapping else expression


_WRITTEN_OUT_LIMIT = 40
"""Operations up to which an adjoint without a sum is written out in the derivatives that read it."""


def _components(expression: Expr) -> Iterator[Expr]:
    """Yield the indexed components and the symbols that stand for themselves, which are no integers."""
    if isinstance(expression, Indexed) or (isinstance(expression, Symbol) and not expression.is_integer):
        yield expression
    else:
        for argument in expression.args:
            yield from _components(argument)


def _consumers(system: EquationSystem) -> dict[str, list[Equation]]:
    """Return, for each quantity, the equations that read it; of the loss only the terms that do.

    The loss is the root, and its value is read by nobody; keeping whole only the terms that matter
    keeps the cost of a thousand regularised layers linear.
    """
    found: dict[str, list[Equation]] = {}
    for equation in system.equations:
        terms = Add.make_args(equation.rhs) if equation.name == system.loss else (equation.rhs,)
        readers: dict[str, list[Expr]] = {}
        for term in terms:
            for name in dict.fromkeys(name_of(c) for c in system.reads(term)):
                readers.setdefault(name, []).append(term)
        for name, own in readers.items():
            found.setdefault(name, []).append(Equation(equation.lhs, Add(*own)))
    return found


def _between(system: EquationSystem, wrt: Sequence[str]) -> set[str]:
    """Return the quantities that lie on a path from ``wrt`` to the loss."""
    real = {name for name, q in system.quantities.items() if not q.ends_derivatives}
    asked = {name for name in wrt if system.quantities[name].held}
    open_reads = {name: read for name, read in system.read_by.items() if name in real}
    return (
        reached_from(wrt, readers_of(open_reads)) & reached_from([system.loss], open_reads) & (real | asked)
    )
