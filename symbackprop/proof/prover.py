"""The proof of one step after the other, from its claim to the verdict.

In go a ``Derived`` and its steps, out comes a ``Verdict`` for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from sympy import Piecewise

from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import Fact
from symbackprop.proof.comparison import Comparison, holds_exactly
from symbackprop.proof.draw import THREE_SPREADS, WIDE_SPREADS, Bounds, Draw, Spread, spreads_close_to
from symbackprop.proof.errors import OutsideArray, Unproved
from symbackprop.proof.given import NOTHING, Given
from symbackprop.proof.grid import Grid
from symbackprop.proof.guards import with_sizes
from symbackprop.proof.integers import Environment
from symbackprop.proof.memory import Memory
from symbackprop.proof.points import Point
from symbackprop.proof.program import KINKED
from symbackprop.proof.rescaling import rescaling_holds_exactly, where_rescaling_fails
from symbackprop.proof.scope import Scope, Setting, settings_of
from symbackprop.proof.sizes import assignments_of_sizes, larger_sizes
from symbackprop.proof.spelling import Spelling, spell
from symbackprop.proof.statement import Statement
from symbackprop.proof.structure import Structure
from symbackprop.proof.work import places

_WIDE_POINTS, _WIDE_POINTS_IF_NESTED = 24, 96
_MOST_WORK_OF_POINTS = 5000  # places times points far away; where there are more, fewer points see as much
_LEAST_SHARE = 4  # of the points that are tried in any case
_TRIES_FOR_A_POINT = 8  # where many lie outside of the domain of the equations
_MOST_TERMS, _MOST_VALUES = 100_000, 60_000  # that are remembered
_MOST_OWN_PLACES = 4_000  # at which equations are written out that fit no small sizes
_MOST_PLACES = 20_000  # at which equations are written out whose sizes are numbers; some seconds a step
_TOO_LARGE = "the equations fit no small sizes: they compare indices with numbers"
_EXACT, _NUMERICAL = "exact", "40 digits"


@dataclass(frozen=True)
class Verdict:
    """Whether a step holds.

    ``method`` is "exact" where the difference also vanishes by algebra, else "40 digits";
    ``components`` counts the assignments of indices that were compared, ``assumes`` lists the facts
    about the data that the step needs, and ``counterexample`` shows where a failing step is wrong.  A step is
    not ``decided`` where no numbers tell: the equations have no values there, or too few digits are left.
    """

    step: Step
    holds: bool
    method: str
    components: int
    assumes: tuple[str, ...] = ()
    counterexample: str | None = None
    decided: bool = True


def prove(derivation: Derived, *, seed: int = 0) -> list[Verdict]:
    """Return a verdict on every step: those of the derivation, the stable forms, those for a batch.

    The optimiser's equations are given; those rewritten for its stored state are proved, too.  Of the
    network in use its equations are given, and other forms of them are proved.
    """
    inner = [verdict for each in derivation.inner for verdict in prove(each, seed=seed)]
    prover = Prover(derivation, seed=seed)
    rescaled = derivation.executed_update if derivation.rescaled else ()
    steps = (*derivation.steps, *derivation.stable, *derivation.batch, *rescaled)
    found = [*inner, *(prover.prove_step(step) for step in steps)]
    return found if derivation.use is None else [*found, *_of_use(derivation.use, steps, seed)]


def _of_use(use: Derived, known: Sequence[Step], seed: int) -> Iterator[Verdict]:
    """Yield the verdicts on the network in use; on a step that is one of training only what is wrong here."""
    for each in use.inner:
        yield from prove(each, seed=seed)
    prover, numbers = Prover(use, seed=seed), {step.number for step in known}
    for step in (*use.stable, *use.batch):
        verdict = prover.prove_step(step)
        if step.number not in numbers or not verdict.holds:
            yield verdict


def prove_step(derivation: Derived, step: Step, *, seed: int = 0) -> Verdict:
    """Return the verdict on one step, which need not be one of the derivation's own."""
    return Prover(derivation, seed=seed).prove_step(step)


class Prover:
    """Proves steps about the equations of one derivation, and remembers the parts that several steps share.

    The verdicts depend on the derivation, the step, the seed and what is given, not on earlier proofs.  With
    numbers for constants, a prover is for one step: others with other names would be taken for equal.
    """

    def __init__(self, derivation: Derived, *, seed: int = 0, given: Given = NOTHING) -> None:
        self._derivation = derivation
        self._given = given
        self._structure = Structure(derivation)
        self._seed = seed
        self._grids: Memory[Grid] = Memory(_MOST_TERMS, lambda grid: 1 + grid.weight)
        self._points: Memory[Point | None] = Memory(_MOST_VALUES, lambda point: point.weight if point else 0)
        self._proved: dict[str, _Outcome] = {}
        general = None if given.sizes else _with_sizes_in_guards(derivation)
        self._general = None if general is None else Prover(general, seed=seed, given=given)

    def prove_step(self, step: Step) -> Verdict:
        """Return the verdict on ``step``; whatever is wrong with it is a counterexample, no exception."""
        if self._general is not None:
            rhs = with_sizes(step.rhs, self._structure.own_sizes)
            verdict = self._general.prove_step(replace(step, rhs=rhs))
            if verdict.holds:
                return replace(verdict, step=step)
        try:
            if step.rule == "rescaling":  # is about the optimiser's equations, not the network's
                return self._of_optimizer(step)
            return self._verdict(Statement.of(step, self._structure))
        except Unproved as error:
            reason = str(error)
        except Exception as error:  # a broken step may break anything; the verdict says so
            reason = f"the step cannot be evaluated: {type(error).__name__}: {error}"
        return Verdict(step, False, _NUMERICAL, 0, (), reason)

    def _of_optimizer(self, step: Step) -> Verdict:
        found = where_rescaling_fails(self._derivation, step, self._seed)
        exact = found is None and rescaling_holds_exactly(self._derivation, step)
        return Verdict(step, found is None, _EXACT if exact else _NUMERICAL, 1, (), found)

    def _verdict(self, statement: Statement) -> Verdict:
        """Try the step as it stands first, then under settings that allow more and more."""
        step, settings = statement.step, list(settings_of(statement, self._structure))
        for setting in settings:
            outcome = self._remembered(statement, setting)
            if outcome.counterexample is None:
                assumes = tuple(_fact_text(self._structure.system.facts[n]) for n in setting.facts)
                return Verdict(step, True, outcome.method, outcome.components, assumes)
        if outcome.step is not step:  # of a step with other names
            outcome = self._outcome(statement, settings[-1])
        found, decided = outcome.counterexample, outcome.decided
        return Verdict(step, False, outcome.method, outcome.components, (), found, decided)

    def _remembered(self, statement: Statement, setting: Setting) -> _Outcome:
        """Return the outcome, once for all steps that are equal up to the names in them."""
        spelling = spell(statement, Scope.of(statement, setting, self._structure), self._structure)
        if spelling.text not in self._proved:
            self._proved[spelling.text] = self._outcome(statement, setting)
        return self._proved[spelling.text]

    def _outcome(self, statement: Statement, setting: Setting) -> _Outcome:
        """Compare both sides of ``statement`` with several sizes, at random points, then by algebra."""
        scope = Scope.of(statement, setting, self._structure)
        spelling = spell(statement, scope, self._structure)
        outcomes: list[_Outcome] = []
        is_telling = False
        for chosen in assignments_of_sizes(spelling, statement.sample_size):
            sizes = self._given.put_in(chosen)
            outcome, comparison, sizes = self._compared(statement, scope, spelling, sizes, again=is_telling)
            outcomes.append(outcome)
            is_telling |= comparison.is_telling
            larger = larger_sizes(comparison.one_sided_guards(), spelling, sizes)
            if not comparison.is_telling:  # two numbers, normalised, are ±1: constant
                larger = {size: number + 1 for size, number in larger.items()}
            larger = self._given.put_in(larger)
            if outcome.counterexample is None and larger != sizes:
                outcome, further, _ = self._compared(statement, scope, spelling, larger, again=is_telling)
                outcomes.append(outcome)
                is_telling |= further.is_telling
            if outcome.counterexample is not None:
                return outcome
        return outcomes[0]

    def _compared(
        self, statement: Statement, scope: Scope, spelling: Spelling, sizes: Environment, *, again: bool
    ) -> tuple[_Outcome, Comparison, Environment]:
        """Compare both sides with one choice of sizes, or with others where the equations don't fit these."""
        comparison = Comparison(statement)
        if places(spelling.spaces, sizes) > _MOST_PLACES:
            return _Outcome(statement.step, 0, _NUMERICAL, _TOO_LARGE, decided=False), comparison, sizes
        try:
            return self._outcome_with(comparison, scope, spelling, sizes, again=again), comparison, sizes
        except OutsideArray as problem:
            fitting = self._with_own_sizes(sizes, problem.name)
            reason = str(problem)
        if fitting == sizes:
            return _Outcome(statement.step, 0, _NUMERICAL, reason), comparison, sizes
        if places(spelling.spaces, fitting) > _MOST_OWN_PLACES:
            return _Outcome(statement.step, 0, _NUMERICAL, _TOO_LARGE, decided=False), comparison, sizes
        return self._compared(statement, scope, spelling, fitting, again=again)

    def _with_own_sizes(self, sizes: Environment, outside: str) -> Environment:
        """Return the sizes with the network's own for the axes of ``outside``, for all if these have theirs.

        The equations read what it has not: in ``where(p < 6, x[p], 0)`` the axis of x has 6 places or more.
        """
        own = self._structure.own_sizes
        differing = {s for s, number in sizes.items() if own.get(s.name, number) != number}
        axes = {s for n in self._structure.quantities[outside].shape for s in n.free_symbols}
        changed = differing & axes or differing
        return {s: own[s.name] if s in changed else number for s, number in sizes.items()}

    def _outcome_with(
        self, comparison: Comparison, scope: Scope, spelling: Spelling, sizes: Environment, *, again: bool
    ) -> _Outcome:
        """Compare both sides with one choice of sizes; ``again`` after another one, which met the kinks."""
        statement = comparison.statement
        compared, point = 0, None
        for point in self._points_for(comparison, scope, spelling, sizes, again=again):
            compared, counterexample = comparison.at(point)
            if counterexample is not None:
                decided = not comparison.lacks_digits
                return _Outcome(statement.step, compared, _NUMERICAL, counterexample, decided)
        if point is None:
            reason = "no random point lies in the domain of the equations"
            return _Outcome(statement.step, 0, _NUMERICAL, reason, decided=False)
        exact = holds_exactly(statement, scope, point.grid)
        return _Outcome(statement.step, compared, _EXACT if exact else _NUMERICAL, None)

    def _points_for(
        self, comparison: Comparison, scope: Scope, spelling: Spelling, sizes: Environment, *, again: bool
    ) -> Iterator[Point]:
        """Yield three points; with kinks more of them, close to these and far away.

        Where kinks are does not depend on sizes, so that ``again`` the least share of them is enough if all
        of them are too much work.
        """
        samples = comparison.statement.samples(sizes)
        for spreads in THREE_SPREADS:
            found = (self._point(scope, sizes, samples, spread) for spread in spreads)
            point = next((p for p in found if p is not None and comparison.has_truth_at(p)), None)
            if point is not None:
                yield point
        if not comparison.kinks:
            return
        work = max(1, places(spelling.spaces, sizes))
        if scope.places:  # the places of maxima differ, so that everything is written out for each point
            work *= _LEAST_SHARE
        few = again and _WIDE_POINTS * work > _MOST_WORK_OF_POINTS
        count = _wide_points(comparison.statement, _MOST_WORK_OF_POINTS if few else work)
        wide = (self._point(scope, sizes, samples, s) for s in WIDE_SPREADS[: _TRIES_FOR_A_POINT * count])
        close = (self._point(scope, sizes, samples, each) for each in spreads_close_to(comparison.kinks))
        if not few:
            yield from (point for point in close if point is not None and comparison.has_truth_at(point))
        told = (point for point in wide if point is not None and comparison.has_truth_at(point))
        yield from islice(told, count)

    def _point(self, scope: Scope, sizes: Environment, samples: int, spread: Spread) -> Point | None:
        """Return a point in ``spread``, or None where the equations have no real value there.

        Of data in stated bounds, which it may leave, a point inside of these is the second choice.
        """
        point = self._point_within(scope, sizes, samples, spread, {})
        if point is None and self._structure.bounds:
            return self._point_within(scope, sizes, samples, spread, self._structure.bounds)
        return point

    def _point_within(
        self, scope: Scope, sizes: Environment, samples: int, spread: Spread, bounds: Bounds
    ) -> Point | None:
        """Return a point in ``spread`` and in the bounds, or None where the equations have no value there."""
        # tables of integers are part of the scalar expressions: other ones for each point
        table = spread if self._structure.tables else None
        placed = scope if scope.places else None  # an argmax depends on the values in the scope
        grid_key = (tuple(sorted((s.name, n) for s, n in sizes.items())), samples, table, placed)

        def made() -> Point | None:
            seed = (self._seed, table)
            grid = self._grids.get(grid_key, lambda: Grid(self._structure, sizes, samples, seed, self._given))
            point = Point(grid, scope, Draw(self._seed, spread, bounds))
            return point if point.prepare() else None

        return self._points.get((grid_key, scope, spread, bool(bounds)), made)


@dataclass(frozen=True)
class _Outcome:
    """The result of the comparison for ``step``: no counterexample means that it holds."""

    step: Step
    components: int
    method: str
    counterexample: str | None
    decided: bool = True


def _with_sizes_in_guards(derivation: Derived) -> Derived | None:
    """Return a derivation whose guards compare with sizes in place of their numbers; None if none does."""
    system, sizes = derivation.system, Structure(derivation).own_sizes
    equations = tuple(replace(e, rhs=with_sizes(e.rhs, sizes)) for e in system.equations)
    if equations == tuple(system.equations):
        return None
    return replace(derivation, system=replace(system, equations=equations))


def _fact_text(fact: Fact) -> str:
    return f"Σ_{fact.index} {fact.component} = {fact.value}"


def _wide_points(statement: Statement, work: int) -> int:
    """Return the number of points far away: all of them, or a share where there is much to do at each."""
    count = _WIDE_POINTS_IF_NESTED if _has_nested_kinks(statement) else _WIDE_POINTS
    return min(count, max(count // _LEAST_SHARE, _MOST_WORK_OF_POINTS // work))


def _has_nested_kinks(statement: Statement) -> bool:
    """Whether a branch has branches itself; few points tell where these meet."""
    branches = (value for node in statement.step.rhs.atoms(Piecewise) for value, _ in node.args)
    return any(value.has(*KINKED) for value in branches)
