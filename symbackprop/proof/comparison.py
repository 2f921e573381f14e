"""Both sides of a step: at points, and by algebra.

In go a ``Statement`` and ``Point``s, out comes where the sides differ, if they do; with a ``Scope`` and a
``Grid`` also whether their difference vanishes exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sympy import (
    Add,
    Basic,
    DiracDelta,
    Dummy,
    Expr,
    Function,
    Indexed,
    Piecewise,
    Pow,
    Symbol,
    exp,
    expand,
    fraction,
    together,
)
from sympy.core.relational import Relational

from symbackprop.equations.size import expanded_size
from symbackprop.proof.arithmetic import CONTEXT
from symbackprop.proof.errors import OutsideDomain, Unproved
from symbackprop.proof.grid import Grid, Leaf
from symbackprop.proof.integers import Environment
from symbackprop.proof.points import Evaluator, Point, fact_environment, leaves_along
from symbackprop.proof.program import KINKED
from symbackprop.proof.scope import Scope
from symbackprop.proof.statement import Statement
from symbackprop.proof.structure import parts_of

_TOLERANCE = CONTEXT.mpf(10) ** -40
_UNTOLD = CONTEXT.mpf(10) ** -25
"""Differences up to that may come from the digits that cancel in both sides: they decide nothing."""
_EXACT_LIMIT = 100  # operations up to which a difference is also simplified exactly
_MOST_PARTS = 10_000  # of a difference that is multiplied out
_MUCH = 4  # times more, before branches are decided that have to be


class Comparison:
    """Both sides of a step, as scalar expressions, at one point after the other.

    It is telling if the truth is not always 0: any multiple of 0 agrees with 0.
    """

    def __init__(self, statement: Statement) -> None:
        self.statement = statement
        self.kinks: set[str] = set()
        self.is_telling = False
        self.lacks_digits = False
        """Whether both sides agree as far as can be told, and that is too little."""
        self._claims: dict[tuple[object, int], Expr] = {}
        self._decided: dict[Relational, set[bool]] = {}

    def has_truth_at(self, point: Point) -> bool:
        """Whether what is differentiated has its derivatives at a point.

        A quantity has where its equation does, which a point sees to; a part of an equation is no quantity.
        """
        output = self.statement.output
        if output is None or isinstance(output, (Indexed, Symbol)):
            return True
        evaluator = Evaluator(point)
        try:
            for environment in self.statement.environments(point.grid.sizes):
                evaluator.raw(point.grid.truth(self.statement, environment))
        except OutsideDomain:
            return False
        return True

    def at(self, point: Point) -> tuple[int, str | None]:
        """Return how many components were compared, and where both sides first differ."""
        evaluator = Evaluator(point)
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
        self, point: Point, number: int, environment: Environment, evaluator: Evaluator
    ) -> str | None:
        truth = evaluator.value(point.grid.truth(self.statement, environment))
        self.is_telling |= bool(abs(truth) > _TOLERANCE)
        try:
            given = evaluator.value(self._claim(point.grid, number, environment))
        except (Unproved, OutsideDomain) as reason:
            return str(reason)
        size = max(1, abs(given), abs(truth))
        if abs(given - truth) <= _TOLERANCE * size:
            return None
        if abs(given - truth) <= _UNTOLD * size:
            self.lacks_digits = True
            return f"both sides are {_digits(truth)} to 25 digits, but too many of the others cancel"
        return f"the step gives {_digits(given)}, scalar calculus {_digits(truth)}"

    def one_sided_guards(self) -> list[Relational]:
        """Return the conditions on indices that came out the same for all indices."""
        return [guard for guard, outcomes in self._decided.items() if len(outcomes) == 1]

    def _claim(self, grid: Grid, number: int, environment: Environment) -> Expr:
        key = (grid.seed, number)
        if key not in self._claims:
            grid.decided = self._decided
            self._claims[key] = grid.scalar(self.statement.step.rhs, environment)
        return self._claims[key]


def _digits(value: Any) -> str:
    return str(CONTEXT.nstr(CONTEXT.mpf(value), 10))


def holds_exactly(statement: Statement, scope: Scope, grid: Grid) -> bool:
    """Whether the difference of both sides vanishes by algebra, for one telling assignment of indices."""
    environment, truth = _telling(statement, grid)
    difference = _decided(grid.scalar(statement.step.rhs, environment) - truth)
    while _is_short(difference):
        if expand(difference) == 0:
            return True
        replacement = _written_out(difference, scope, grid)
        if not replacement:
            return _vanishes(difference)
        difference = _decided(difference.xreplace(replacement))
    return False


def _is_short(difference: Expr) -> bool:
    return difference.count_ops() <= _EXACT_LIMIT and expanded_size(difference) <= _MOST_PARTS


def _decided(expression: Expr) -> Expr:
    """Return an expression with its branches as SymPy writes them, so that equal ones are the same."""
    if expression.has(Piecewise) and expression.count_ops() <= _MUCH * _EXACT_LIMIT:
        return _evaluated(expression)
    return expression


def _evaluated(node: Basic) -> Basic:
    return node.func(*map(_evaluated, node.args)) if node.args else node


def _telling(statement: Statement, grid: Grid) -> tuple[Environment, Expr]:
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
    kinks = sorted(expression.atoms(*KINKED, DiracDelta), key=str)
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
    if not _is_short(expression):
        return False
    return bool(expand(fraction(together(expression))[0]) == 0)


def _written_out(expression: Expr, scope: Scope, grid: Grid) -> dict[Symbol, Expr]:
    """Return replacements for adjoints that are not free, else for computed values, else by facts."""
    found = ((grid.leaves[s], s) for s in expression.free_symbols if s in grid.leaves)
    leaves = sorted(found, key=lambda pair: (*pair[0][:3], pair[0].sample is None, pair[0].sample or 0))
    adjoints = [(leaf, s) for leaf, s in leaves if leaf.kind == "adjoint" and leaf.name in scope.inner]
    if adjoints:
        return {s: grid.want(*leaf[1:]) for leaf, s in adjoints}
    for name in reversed(scope.computed):
        values = {s: grid.definition(*leaf[1:]) for leaf, s in leaves if leaf[:2] == ("value", name)}
        if values:
            return values
    return {s: v for leaf, s in leaves for v in _by_facts(leaf, scope, grid)}


def _by_facts(leaf: Leaf, scope: Scope, grid: Grid) -> Iterator[Expr]:
    """Yield the value of the last component along the axis of a fact, from the others."""
    for fact in (grid.structure.system.facts[number] for number in scope.facts):
        if leaf[:2] == ("value", parts_of(fact.component)[0]):
            *others, last = leaves_along(leaf, fact, grid.shape(leaf.name)[fact.axis])
            if leaf == last:
                total = grid.scalar(fact.value, fact_environment(fact, leaf))
                yield total - Add(*[grid.leaf(each) for each in others])
