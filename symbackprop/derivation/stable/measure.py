"""Which of a few equal forms is computed best: in float32 and float64, compared with many digits.

Each form is lowered to the operations that the generated code carries out, and evaluated at numbers
from 0 to far beyond where an exponential overflows.  A form is judged by the number of points at which it
is not finite or not right, although its value is a number of that type.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any, TypeAlias

import mpmath
import numpy as np
from numpy.typing import NDArray
from sympy import (
    Abs,
    Expr,
    Function,
    Heaviside,
    Max,
    Min,
    Piecewise,
    Pow,
    Symbol,
    lambdify,
    nan,
    oo,
    sign,
    zoo,
)

from symbackprop.arrays.evaluate import Array, values_of
from symbackprop.derivation.calculus.algebra import cost
from symbackprop.derivation.stable.forms import Pointwise, by_condition, by_path, equal_forms, further_forms
from symbackprop.errors import UnsupportedExpression

_WIDE = (0, 1e-30, 1e-8, 1e-3, 0.3, 0.75, 1, 3, 10, 17, 30, 45, 60, 85, 88.5, 95, 110, 300, 700, 1000, 1e4,
         1e6, 1e8, 1e11, 1e13, 1e20, 1e30, 1e37)  # fmt: skip
_FEW = (0, 1, 0.3, -1, 2.5)
_MOST_POINTS = 400
_COMPARED = 24
DType: TypeAlias = type[np.float32] | type[np.float64]
Masks: TypeAlias = dict[DType, NDArray[np.bool_]]
_TYPES: tuple[DType, ...] = (np.float32, np.float64)
_TOLERANCE = 4096  # roundings of a number of magnitude 1, or of its own
_LARGE = 1e100  # an exponential beyond that is not computed: its own exponent would fill the memory


def best_form(problem: Pointwise, others: Sequence[Expr] = ()) -> Expr:
    """Return the form of ``problem.expression`` that fails at the fewest points, the first of the best.

    Args:
        problem: the expression, and the definitions of the symbols that it reads.
        others: further forms of it to try; one that is not equal to it is never the best.
    """
    return problem.expression if is_good(problem) else _best_form(problem, tuple(others))


@lru_cache(maxsize=1024)
def is_good(problem: Pointwise) -> bool:
    """Whether there is nothing to look into: the plain form gives the same numbers in both types."""
    plain = problem.expression
    if plain.is_number or not (problem.definitions or _is_delicate(plain)):
        return True
    return not _has_values(problem) or _settled(_evaluated(plain, problem, _points(problem)))


@lru_cache(maxsize=1024)
def _best_form(problem: Pointwise, others: tuple[Expr, ...]) -> Expr:
    plain, points = problem.expression, _points(problem)
    others = _equal_ones(others, problem)
    unchanged = (plain, *others)
    trial = _Trial(problem, points, (*unchanged, *(form for each in unchanged for form in by_path(each))))
    best, rank = plain, (*trial.failures(plain), (0, 0, False, 0, 0))
    for group in equal_forms(problem, others):
        for form in group:
            own = (*trial.failures(form), cost(form))
            if form != plain and own < rank:
                best, rank = form, own
        if not any(rank[:3]):
            return best
    return _best_further_form(trial, best, others)


def _best_further_form(trial: _Trial, best: Expr, others: Sequence[Expr]) -> Expr:
    """Return the best of the longer forms, if it fails at half as many points as ``best`` or at fewer."""
    before = trial.count(best)
    most = (*before[:-1], before[-1] // 2)
    rank = (*before, cost(best))
    for group in further_forms(trial.problem, others):
        for form in group:
            own = trial.count(form)
            if all(map(operator.le, own, most)) and (*own, cost(form)) < rank:
                best, rank = form, (*own, cost(form))
        if not any(rank[:3]):
            return best
    choice = _by_condition(trial.problem)
    return choice if choice is not None and (*trial.count(choice), cost(choice)) < rank else best


def _by_condition(problem: Pointwise) -> Expr | None:
    """Return the best forms where a condition holds and where not, as one choice; None without one."""
    found = by_condition(problem)
    if found is None:
        return None
    condition, yes, no = found
    return Piecewise((best_form(yes), condition), (best_form(no), True))


def _has_values(problem: Pointwise) -> bool:
    """Whether SymPy can write everything out; not where a branch divides by 0, whatever is read."""
    try:
        return not problem.written_out(problem.expression).has(zoo, oo, nan)
    except ValueError:
        return False


def _is_delicate(expression: Expr) -> bool:
    """Whether anything but sums, products and choices is computed, so that it can overflow on the way."""
    nodes = expression.atoms(Pow, Function)
    return any(not isinstance(node, _PLAIN) and not _is_product(node) for node in nodes)


_PLAIN = (Abs, sign, Heaviside, Max, Min, Piecewise)


def _is_product(node: Expr) -> bool:
    return bool(node.is_Pow and node.exp.is_Integer and node.exp.is_positive)


# ---------------------------------------------------------------- numbers


def _points(problem: Pointwise) -> dict[Symbol, Array]:
    """Return numbers for the free symbols: each runs far, while the others stay near.

    All are float32 numbers, so that one truth serves both types.
    """
    symbols, far = problem.free, _delicate_symbols(problem)
    others = list(product(_FEW, repeat=min(len(symbols) - 1, 4)))
    stride = max(1, 2 * len(_WIDE) * len(others) * len(far) // _MOST_POINTS)
    rows = []
    for n in (n for n, symbol in enumerate(symbols) if symbol in far):
        for number, near in list(product([s * w for w in _WIDE for s in (1, -1)], others))[::stride]:
            row = [near[m % len(near)] for m in range(len(symbols) - 1)] if near else []
            rows.append([*row[:n], number, *row[n:]])
    numbers: list[list[float]] = np.array(rows, np.float32).astype(np.float64).tolist()
    table = np.array(sorted(set(map(tuple, numbers))))
    return {symbol: table[:, n] for n, symbol in enumerate(symbols)}


def _delicate_symbols(problem: Pointwise) -> set[Symbol]:
    """Return the scalars on which a delicate operation depends; all of them where there is none."""
    whole = problem.written_out(problem.expression)
    expressions = (whole, *(problem.written_out(definition) for _, definition in problem.definitions))
    found: set[Symbol] = set()
    for node in (n for e in expressions for n in e.atoms(Pow, Function)):
        if not isinstance(node, _PLAIN) and not _is_product(node):
            found |= node.free_symbols
    return found or set(problem.free)


def _evaluated(form: Expr, problem: Pointwise, points: Mapping[Symbol, Array]) -> dict[DType, Array] | None:
    """Return the values of ``form`` in each type; None where there is no operation for it."""
    found = {}
    for dtype in _TYPES:
        values: dict[str, Array] = {s.name: numbers.astype(dtype) for s, numbers in points.items()}
        try:
            for symbol, definition in problem.definitions:
                values[symbol.name] = values_of(definition, values)
            found[dtype] = values_of(form, values)
        except UnsupportedExpression:
            return None
    return found


def _settled(values: Mapping[DType, Array] | None) -> bool:
    """Whether both types give the same finite numbers, so that there is nothing to look into."""
    if values is None:
        return True
    single, double = (values[dtype].astype(np.float64) for dtype in _TYPES)
    with np.errstate(all="ignore"):
        close: Array = np.abs(single - double) <= _allowed(double, np.float32)
    return bool(close.all())


def _allowed(value: Array, dtype: DType) -> Array:
    allowed: Array = _TOLERANCE * float(np.finfo(dtype).eps) * np.maximum(1, np.abs(value))
    return allowed


# ---------------------------------------------------------------- the truth


def _many_digits(problem: Pointwise, points: Mapping[Symbol, Array]) -> Array:
    """Return the value at each point, computed with many digits; nan where there is no telling."""
    symbols = list(points)
    with_exponentials = problem.written_out(problem.expression)
    function = lambdify(symbols, with_exponentials, [_BOUNDED, "mpmath"], cse=True)
    return np.array([_certain(function, row) for row in zip(*points.values(), strict=True)])


def _certain(function: Callable[..., object], numbers: Iterable[float]) -> float:
    """Return the value at one point if more digits don't change it, else nan."""
    before: float | None = None
    row = list(numbers)
    for digits in (60, 120, 1000):
        with mpmath.workdps(digits):
            try:
                value = mpmath.mpf(function(*map(mpmath.mpf, row)))
            except (ArithmeticError, ValueError, TypeError):
                before = None
                continue
            found = float(value)
            if before is not None and abs(found - before) <= 1e-20 * max(1.0, abs(found)):
                return found
            before = found
    return math.nan if before is None else before


def _equal_ones(forms: Sequence[Expr], problem: Pointwise) -> tuple[Expr, ...]:
    """Return those forms that have the value of the problem's expression, at points where both have one."""
    generator = np.random.default_rng(0)
    points = {symbol: generator.normal(size=_COMPARED) for symbol in problem.free}
    wanted = _many_digits(problem, points)

    def is_equal(form: Expr) -> bool:
        values = _many_digits(replace(problem, expression=form), points)
        known = ~(np.isnan(values) | np.isnan(wanted))
        return bool(known.any() and np.allclose(values[known], wanted[known], rtol=1e-12, atol=0))

    return tuple(filter(is_equal, forms))


def _bounded(name: str, most: float = math.inf) -> Callable[[Any], Any]:
    """Return a function for real arguments up to ``most``, with which it doesn't take forever."""
    function = getattr(mpmath, name)

    def apply(argument: Any) -> Any:
        if isinstance(argument, mpmath.mpc) or abs(argument) > most:
            raise OverflowError
        return function(argument)

    return apply


def _exponential(argument: Any) -> Any:
    return mpmath.mpf(0) if argument < -_LARGE else _bounded("exp", _LARGE)(argument)


_BOUNDED = {
    **{name: _bounded(name, _LARGE) for name in ("sinh", "cosh")},
    **{name: _bounded(name, 1e300) for name in ("sin", "cos", "tan")},
    **{name: _bounded(name) for name in ("log", "erf", "atan", "asinh", "asin", "acos", "acosh", "atanh")},
    "exp": _exponential,
    "lgamma": lambda argument: mpmath.loggamma(argument).real,
    "round": mpmath.nint,
    "tanh": lambda argument: mpmath.sign(argument) if abs(argument) > _LARGE else mpmath.tanh(argument),
}
"""The functions that are computed for real numbers of any size, by their names in mpmath."""


class _Trial:
    """Counts where forms of one expression fail.

    ``plain`` are forms that nothing was done to: where one of them is right, every other has to be.
    """

    def __init__(self, problem: Pointwise, points: Mapping[Symbol, Array], plain: Sequence[Expr]) -> None:
        self.problem = problem
        self.points = points
        self.truth = _many_digits(problem, points)
        self.required = {dtype: np.zeros(len(self.truth), bool) for dtype in _TYPES}
        for form in plain:
            for dtype, failed in self._failed(form)[0].items():
                self.required[dtype] |= ~failed

    def failures(self, form: Expr) -> tuple[int, int, int]:
        """Return at how many points ``form`` fails where it must not, has no value, and fails in all.

        The last is counted in steps of 10 %: at the very margin a shorter form is worth more.
        """
        needed, absent, failed = self.count(form)
        return needed, absent, math.ceil(10 * failed / len(self.truth) / len(_TYPES))

    def count(self, form: Expr) -> tuple[int, int, int]:
        """Return at how many points ``form`` fails where it must not, has no value, and fails in all."""
        failed, without = self._failed(form)
        needed = sum(int(np.count_nonzero(failed[d] & self.required[d])) for d in _TYPES)
        absent = sum(int(np.count_nonzero(without[d])) for d in _TYPES)
        return needed, absent, sum(int(np.count_nonzero(failed[d])) for d in _TYPES)

    def _failed(self, form: Expr) -> tuple[Masks, Masks]:
        """Return where ``form`` is not right, and where not finite, although its value is a number."""
        values = _evaluated(form, self.problem, self.points)
        if values is None:
            everywhere = {dtype: np.ones(len(self.truth), bool) for dtype in _TYPES}
            return everywhere, everywhere
        failed, without = {}, {}
        for dtype, value in values.items():
            with np.errstate(all="ignore"):
                possible = np.abs(self.truth) < np.finfo(dtype).max
                right = np.abs(value.astype(np.float64) - self.truth) <= _allowed(self.truth, dtype)
            failed[dtype] = possible & ~right
            without[dtype] = possible & ~np.isfinite(value)
        return failed, without
