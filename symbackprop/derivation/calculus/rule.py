"""The adjoint rule for one goal: the steps from the chain rule to the derivative for one quantity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Add, Derivative, Expr, Indexed, Sum, Symbol, default_sort_key, expand

from symbackprop.derivation.calculus.algebra import (
    cheapest,
    divisors,
    occurrences,
    operations,
    tidy,
    tidy_sums,
    use_facts,
)
from symbackprop.derivation.calculus.closed_forms import through_output
from symbackprop.derivation.calculus.folding import fold
from symbackprop.derivation.calculus.paths import (
    Path,
    contract,
    paths,
    with_deltas_used,
    without_summed_deltas,
)
from symbackprop.equations.indices import (
    RangeList,
    canonical,
    close_sum,
    fresh,
    merge,
    reads,
    rename,
    settle,
    substitute,
)
from symbackprop.equations.system import ONE, ZERO, Equation, Fact, Quantity, Ranges, indices_of


@dataclass(frozen=True)
class Consumer:
    """An equation that reads the goal's quantity.

    ``adjoint`` is the adjoint of the quantity it defines, None for the loss, whose adjoint is 1.
    ``definition`` is that adjoint's own equation where the goal is its only reader: the adjoint is
    then written into the result if that makes nothing longer or, where it ``stays_apart``, if a divisor
    cancels.
    """

    equation: Equation
    adjoint: Quantity | None
    definition: Equation | None = None
    stays_apart: bool = False


@dataclass(frozen=True)
class Goal:
    """The derivative of the loss for the component of ``quantity`` at ``indices``.

    ``known`` are definitions of quantities whose values the result may contain; a leaf has none itself.
    """

    quantity: Quantity
    indices: tuple[Symbol, ...]
    adjoint: Quantity
    consumers: tuple[Consumer, ...]
    facts: tuple[Fact, ...]
    letters: tuple[Symbol, ...]
    known: tuple[Equation, ...] = ()
    is_leaf: bool = False

    @property
    def component(self) -> Expr:
        """The component that is the target."""
        return self.quantity.at(self.indices)

    @property
    def ranges(self) -> Ranges:
        """The ranges of the target's indices."""
        return dict(zip(self.indices, self.quantity.shape, strict=True))

    @cached_property
    def letter_ranges(self) -> Ranges:
        """The ranges of the letters under which the equations around the target read anything."""
        found: dict[Symbol, Expr] = {}
        read = [e for c in self.consumers for e in (c.equation, c.definition) if e is not None]
        equations = [*read, *self.known]
        for side in (side for equation in equations for side in (equation.lhs, equation.rhs)):
            for component in sorted(side.atoms(Indexed), key=str):
                found |= dict(zip(indices_of(component), component.base.shape, strict=True))
        return {i: n for i, n in found.items() if isinstance(i, Symbol)} | self.ranges


@dataclass(frozen=True)
class DraftStep:
    """One step in draft: ``rule``, and ``lhs = rhs``; adjoints are written as named ones.

    ``by`` is the component whose definition a folding uses.
    """

    rule: str
    lhs: Expr
    rhs: Expr
    by: Expr | None = None


@dataclass(frozen=True)
class Outcome:
    """The steps to a goal; the last is its result.  ``inlined`` are the adjoints written into it."""

    steps: tuple[DraftStep, ...]
    inlined: tuple[Quantity, ...]


def work_out(goal: Goal) -> Outcome:
    """Return the steps from the chain rule to the derivative that ``goal`` asks for."""
    branches = [_Branch.open(consumer, goal) for consumer in goal.consumers]
    if all(branch.consumer.adjoint is None for branch in branches):
        steps = list(_directly(goal, branches))
    else:
        steps = [_chain_rule(goal, branches)]
        for branch in branches:
            steps += branch.local_steps(goal)
        steps.append(_insertion(goal, branches))
    written = list(_all_written_in(goal, steps[-1]))
    if goal.is_leaf and not _is_shorter_written_in(goal, steps[-1], written):
        written = []  # the derivative for a parameter reads named adjoints
    steps += [step for step, _ in written]
    inlined = [adjoint for _, adjoint in written]
    steps += _by_facts(goal, steps[-1])
    steps += _folded(goal, steps[-1])
    settled = [_settled(step, goal) for step in steps]
    return Outcome(tuple(settled), tuple(inlined))


def _settled(step: DraftStep, goal: Goal) -> DraftStep:
    # SymPy does not count what a derivative is taken with respect to among the free symbols.
    ranges = goal.letter_ranges
    lhs, rhs = (settle(side, goal.letters, goal.indices, ranges) for side in (step.lhs, step.rhs))
    return replace(step, lhs=lhs, rhs=rhs)


@dataclass(frozen=True)
class _Branch:
    """A consumer with its left-hand side opened.

    Indices of the consumer that every path reads from the target are the target's own; ``summed``
    are the others.  ``plain`` holds the paths as differentiated, ``closed`` in closed form.
    """

    consumer: Consumer
    lhs: Expr
    rhs: Expr
    summed: RangeList
    plain: tuple[Path, ...]
    closed: tuple[Path, ...]

    @classmethod
    def open(cls, consumer: Consumer, goal: Goal) -> _Branch:
        equation = consumer.equation
        opened: dict[Expr, Expr] = {i: fresh(i) for i in equation.ranges}
        lhs, rhs = rename(equation.lhs, opened), rename(equation.rhs, opened)
        found = paths(rhs, goal.quantity)
        seen = found or _reads_alone(rhs, goal.quantity)
        same = _identified(seen, goal, {opened[i]: n for i, n in equation.ranges.items()})
        left = {i: n for i, n in equation.ranges.items() if opened[i] not in same}
        letters: dict[Expr, Expr] = dict(zip(map(opened.get, left), _letters_for(left, goal), strict=True))
        same |= letters
        lhs, rhs = rename(lhs, same), rename(rhs, same)
        plain = tuple(_renamed(path, same) for path in found)
        closed = plain
        if consumer.adjoint is not None:
            own = Equation(lhs, rhs)
            closed = tuple(replace(p, coefficient=through_output(p.coefficient, own)) for p in plain)
        summed = tuple((letters[opened[i]], n) for i, n in left.items())
        return cls(consumer, lhs, rhs, summed, plain, closed)

    @property
    def elementwise(self) -> bool:
        """Whether one component of the consumer reads the target, and reads it once."""
        return not self.summed and not any(path.sums for path in self.plain)

    def local(self, goal: Goal, chosen: Sequence[Path]) -> Expr:
        """Return the derivative of the consumer's component for the target."""
        ranges = merge(goal.ranges, self.summed)
        terms = [contract(p.coefficient, p.sums, _deltas(p, goal), ranges) for p in chosen]
        return Add(*terms)

    def contribution(self, goal: Goal) -> Expr:
        """Return the contribution of the consumer to the target's adjoint."""
        adjoint = self.consumer.adjoint
        cotangent = ONE if adjoint is None else adjoint.at(indices_of(self.lhs))
        preferred = frozenset(i for i, _ in self.summed)
        terms = []
        for path in self.closed:
            sums = self.summed + path.sums
            coefficient = tidy(cotangent * path.coefficient)
            terms.append(contract(coefficient, sums, _deltas(path, goal), goal.ranges, preferred))
        return Add(*terms)

    def local_steps(self, goal: Goal) -> Iterator[DraftStep]:
        """Yield the local derivative as differentiated and, where it differs, in closed form."""
        name = self.lhs if self.consumer.adjoint is not None else self.rhs
        lhs = Derivative(name, goal.component)
        plain = self.local(goal, self.plain)
        yield DraftStep("local derivative", lhs, plain)
        closed = tidy_sums(self.local(goal, self.closed))
        closed = cheapest((closed, tidy(closed)))
        if canonical(closed) != canonical(plain):
            through = closed.has(self.lhs) and not plain.has(self.lhs)
            yield DraftStep("closed form" if through else "simplification", lhs, closed)


def _reads_alone(rhs: Expr, quantity: Quantity) -> list[Path]:
    """Return the reads of a quantity on which the slope of ``rhs`` is 0, as those in a condition."""
    components = (read for read in rhs.atoms(Indexed) if reads(read, quantity))
    return [Path(ZERO, (), indices_of(read)) for read in sorted(components, key=default_sort_key)]


def _letters_for(indices: Ranges, goal: Goal) -> Iterator[Symbol]:
    """Yield a letter for each summed index: its own, unless the target uses it, else one of its range."""
    taken, ranges = set(goal.indices), goal.letter_ranges
    for i, n in indices.items():
        fitting = (s for s in (*goal.letters, *SPARE) if ranges.get(s, n) == n)
        letter = i if i not in taken else next(s for s in fitting if s not in taken | set(indices))
        taken.add(letter)
        yield letter


SPARE = tuple(Symbol(f"_.spare{n}", integer=True) for n in range(20))


def _identified(found: Sequence[Path], goal: Goal, opened: Mapping[Expr, Expr]) -> dict[Expr, Expr]:
    """Return the consumer's indices that every path reads plainly along one axis of the target.

    ``opened`` holds their ranges: what runs over a part of the axis has no component at the other places.
    """
    same: dict[Expr, Expr] = {}
    for axis, target in enumerate(goal.indices):
        reads = {path.at[axis] for path in found}
        if len(reads) != 1 or (i := reads.pop()) not in opened or i in same:
            continue
        if opened[i] == goal.ranges[target] or expand(opened[i] - goal.ranges[target]).is_nonnegative:
            same[i] = target
    return same


def _renamed(path: Path, mapping: dict[Expr, Expr]) -> Path:
    at = tuple(rename(i, mapping) for i in path.at)
    sums = tuple((i, rename(n, mapping)) for i, n in path.sums)
    return Path(rename(path.coefficient, mapping), sums, at)


def _deltas(path: Path, goal: Goal) -> list[tuple[Expr, Expr]]:
    return [(read, i) for read, i in zip(path.at, goal.indices, strict=True) if read != i]


def _directly(goal: Goal, branches: Sequence[_Branch]) -> Iterator[DraftStep]:
    """Yield the derivative of the loss itself, then the shortest form of it."""
    lhs = goal.adjoint.at(goal.indices)
    plain = Add(*[branch.local(goal, branch.plain) for branch in branches])
    yield DraftStep("local derivative", lhs, plain)
    short = tidy(tidy_sums(plain))
    if canonical(short) != canonical(plain):
        yield DraftStep("simplification", lhs, short)


def _chain_rule(goal: Goal, branches: Sequence[_Branch]) -> DraftStep:
    terms = []
    for branch in branches:
        adjoint = branch.consumer.adjoint
        if adjoint is None:
            terms.append(Derivative(branch.rhs, goal.component))
            continue
        cotangent = adjoint.at(indices_of(branch.lhs))
        terms.append(close_sum(cotangent * Derivative(branch.lhs, goal.component), branch.summed))
    return DraftStep("chain rule", goal.adjoint.at(goal.indices), Add(*terms))


def _insertion(goal: Goal, branches: Sequence[_Branch]) -> DraftStep:
    """Insert the local derivatives; where an index was summed away, that is a contraction."""
    total = Add(*[branch.contribution(goal) for branch in branches])
    rule = "product" if all(branch.elementwise for branch in branches) else "contraction"
    return DraftStep(rule, goal.adjoint.at(goal.indices), tidy(tidy_sums(total)))


def _written_in(goal: Goal, consumer: Consumer, step: DraftStep) -> DraftStep | None:
    """Write the consumer's adjoint into the result, where nothing is computed twice or gets longer."""
    if consumer.adjoint is None or consumer.definition is None:
        return None
    often = occurrences(step.rhs, consumer.adjoint) > 1
    if often and consumer.definition.rhs.has(Sum):
        return None
    inserted = without_summed_deltas(substitute(step.rhs, consumer.adjoint, consumer.definition))
    used = with_deltas_used(inserted)
    whole = cheapest(tidy(tidy_sums(form, goal.facts)) for form in (inserted, used))
    before = operations(step.rhs) + operations(consumer.definition.rhs)
    cancels = operations(whole) < before
    if often and not cancels:
        return None
    if cancels and goal.facts:  # show the result of algebra alone before a fact is used
        whole = cheapest(tidy(tidy_sums(form)) for form in (inserted, used))
    # Shorter it may be for another reason too, such as a sign; a cancellation is a divisor that is gone.
    gone = divisors(step.rhs) + divisors(consumer.definition.rhs) > divisors(whole)
    if consumer.stays_apart and not (cancels and gone):
        return None
    return DraftStep("cancellation" if cancels and gone else "substitution", step.lhs, whole)


def _all_written_in(goal: Goal, step: DraftStep) -> Iterator[tuple[DraftStep, Quantity]]:
    """Yield the result with one more adjoint written into it, and that adjoint."""
    for consumer in goal.consumers:
        written = _written_in(goal, consumer, step)
        if written is not None and consumer.adjoint is not None:
            step = written
            yield step, consumer.adjoint


def _is_shorter_written_in(
    goal: Goal, step: DraftStep, written: Sequence[tuple[DraftStep, Quantity]]
) -> bool:
    """Whether a result with adjoints written into it is shorter than with them apart."""
    if not written:
        return False
    whole = [written[-1][0], *_folded(goal, written[-1][0])][-1]
    inlined = {adjoint for _, adjoint in written}
    definitions = [c.definition.rhs for c in goal.consumers if c.definition and c.adjoint in inlined]
    alone = [step, *_folded(goal, step)][-1]
    return operations(whole.rhs) < sum(operations(each) for each in (alone.rhs, *definitions))


def _folded(goal: Goal, step: DraftStep) -> Iterator[DraftStep]:
    """Yield the result written through quantities whose values it contains."""
    consumers = [c.equation for c in goal.consumers if c.adjoint is not None]
    for shorter, by in fold(step.rhs, (*consumers, *goal.known)):
        yield DraftStep("folding", step.lhs, shorter, by)


def _by_facts(goal: Goal, step: DraftStep) -> Iterator[DraftStep]:
    """Yield the result under the assumptions on the data, where one of them shortens it."""
    stated = use_facts(step.rhs, goal.facts)
    if canonical(stated) != canonical(step.rhs):
        yield DraftStep("fact", step.lhs, tidy(tidy_sums(stated)))
