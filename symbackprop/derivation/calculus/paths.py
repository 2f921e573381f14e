"""The derivative of an indexed expression, one path per occurrence, and the contraction of deltas.

Differentiating a sum and simplifying afterwards fails in SymPy (captured indices, guards on ranges
that always hold).  So each occurrence of a quantity is a path of its own: the coefficient in front of
it, the sums around it, and the indices at which it is read.  The derivative with respect to the
component at ``target`` is the sum over the paths of coefficient times delta(read index, target).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sympy import (
    Add,
    And,
    DiracDelta,
    Dummy,
    Expr,
    Ge,
    Gt,
    Indexed,
    KroneckerDelta,
    Le,
    Lt,
    Mul,
    Piecewise,
    S,
    Sum,
    Symbol,
    count_ops,
    default_sort_key,
    expand,
    expand_mul,
)
from sympy.functions.elementary.piecewise import ExprCondPair

from symbackprop.derivation.calculus.slopes import slope_of
from symbackprop.equations.affine import bounds, not_negative
from symbackprop.equations.indices import (
    RangeList,
    guarded,
    holds,
    make_sum,
    open_sum,
    range_condition,
    reads,
    rename,
)
from symbackprop.equations.system import (
    ONE,
    ZERO,
    ArgMax,
    Quantity,
    Ranges,
    WholeNumber,
    indices_of,
    is_size,
)


@dataclass(frozen=True)
class Path:
    """One occurrence of a quantity q: the differential holds sum over ``sums`` of coefficient·dq[at]."""

    coefficient: Expr
    sums: RangeList
    at: tuple[Expr, ...]


def paths(expression: Expr, quantity: Quantity) -> list[Path]:
    """Return the paths from ``quantity`` to the value of ``expression``."""
    if reads(expression, quantity):
        return [Path(ONE, (), indices_of(expression))]
    if not holds(expression, quantity):
        return []
    if isinstance(expression, Sum):
        body, ranges = open_sum(expression)
        return [replace(p, sums=ranges + p.sums) for p in paths(body, quantity)]
    nodes = sorted(_outermost(expression, quantity), key=default_sort_key)
    symbols = {node: Dummy(real=True) for node in nodes}
    nodes_of = {symbol: node for node, symbol in symbols.items()}
    scalar = expression.xreplace(symbols)
    found = []
    for node in nodes:
        slope = _without_impulses(slope_of(scalar, symbols[node])).xreplace(nodes_of)
        if slope != 0:
            inner = paths(node, quantity)
            found += [replace(p, coefficient=slope * p.coefficient) for p in inner]
    return found


def _outermost(expression: Expr, quantity: Quantity) -> set[Expr]:
    """Return the outermost sums and components that hold ``quantity``."""
    if reads(expression, quantity):
        return {expression}
    if isinstance(expression, Sum):
        return {expression} if holds(expression, quantity) else set()
    if isinstance(expression, (Indexed, ArgMax)):
        return set()  # an integer inside an index, or the place of a maximum, carries no derivative
    return set().union(*[_outermost(argument, quantity) for argument in expression.args])


def _without_impulses(expression: Expr) -> Expr:
    """Take the derivative of a jump as 0 everywhere: sign and Heaviside are constant between jumps."""
    return expression.replace(lambda node: isinstance(node, DiracDelta), lambda node: ZERO)


@dataclass(frozen=True)
class _Choice:
    """A way to solve one delta for one summed index."""

    position: int
    index: Symbol
    value: Expr
    condition: Expr
    rank: tuple[object, ...]


def contract(
    coefficient: Expr,
    sums: Sequence[tuple[Symbol, Expr]],
    deltas: Sequence[tuple[Expr, Expr]],
    ranges: Ranges,
    preferred: frozenset[Symbol] = frozenset(),
) -> Expr:
    """Return the sum over ``sums`` of ``coefficient`` times deltas, with the deltas solved.

    Each delta ``(read, target)`` is solved for a summed index in which it is affine with slope ±1.  A
    guard is added only where interval bounds cannot show the solution to be in range; a delta that
    cannot be solved stays a Kronecker delta, which is right for a scatter.

    Args:
        coefficient: the summand.
        sums: the summed indices and their sizes.
        deltas: pairs of index expressions that must be equal.
        ranges: the ranges of the free indices.
        preferred: indices to eliminate first (the consumer's own, so that the gradient of a
            convolution comes out as a convolution).
    """
    open_sums, unsolved = dict(sums), list(deltas)
    conditions: list[Expr] = []
    moved = False
    while (choice := _best_choice(unsolved, open_sums, ranges, preferred)) is not None:
        unsolved.pop(choice.position)
        open_sums.pop(choice.index)
        mapping = {choice.index: choice.value}
        moved |= isinstance(choice.value, Add)
        coefficient = rename(coefficient, mapping)
        unsolved = [(rename(read, mapping), target) for read, target in unsolved]
        conditions = [rename(c, mapping) for c in conditions] + [choice.condition]
        open_sums = {i: rename(n, mapping) for i, n in open_sums.items()}
    left = Mul(*[KroneckerDelta(read, target) for read, target in unsolved])
    if moved:
        known = [room for condition in conditions for room in not_negative(condition)]
        coefficient = _without_sure_guards(coefficient, {**ranges, **open_sums}, known)
    return make_sum(guarded(coefficient * left, And(*conditions)), open_sums.items())


def _without_sure_guards(expression: Expr, ranges: Ranges, known: Sequence[Expr]) -> Expr:
    """Return ``expression`` without the conditions on indices that hold for all of them, or for none.

    At a place further on, what guarded a read from there may always hold: of t - 1 >= 0, t >= 0 is left.
    ``known`` are expressions that are not negative.
    """
    if isinstance(expression, (Indexed, ArgMax)) or not expression.has(Piecewise, ExprCondPair):
        return expression
    parts = [_without_sure_guards(argument, ranges, known) for argument in expression.args]
    if isinstance(expression, ExprCondPair) and _is_sure(parts[1], ranges, known):
        parts[1] = S.true
    if isinstance(expression, ExprCondPair) and _is_never(parts[1], ranges):
        parts[1] = S.false
    return expression.func(*parts)


def _is_sure(condition: Expr, ranges: Ranges, known: Sequence[Expr]) -> bool:
    """Whether a condition holds for all indices in ``ranges`` for which the ``known`` are not negative."""
    rooms = not_negative(condition) if isinstance(condition, (Ge, Gt, Le, Lt)) else []
    each = [room - other for room in rooms for other in (ZERO, *known)]
    return any(expand(bounds(room, ranges)[0]).is_nonnegative for room in each)


def _is_never(condition: Expr, ranges: Ranges) -> bool:
    """Whether a condition holds for no indices in ``ranges``."""
    return any(expand(bounds(room, ranges)[1]).is_negative for room in not_negative(condition))


def without_summed_deltas(expression: Expr) -> Expr:
    """Return ``expression`` with every sum over k of terms with delta(k, v) solved, as far as v is free of k.

    A delta stands for a read at v along the axis of k, so v is one of the values of k.
    """
    if isinstance(expression, (Indexed, ArgMax)) or not expression.has(KroneckerDelta):
        return expression
    if isinstance(expression, Sum):
        body, ranges = open_sum(expression)
        return _summed(without_summed_deltas(body), dict(ranges))
    return expression.func(*map(without_summed_deltas, expression.args))


def with_deltas_used(expression: Expr) -> Expr:
    """Return ``expression`` with the factors beside delta(a, k) read at a, where a is a place and no index.

    Elsewhere the product is zero, so delta(a, k) p[k]/p[a] is delta(a, k).
    """
    if not expression.has(KroneckerDelta):
        return expression
    return Add(*map(_with_delta_used, Add.make_args(expand_mul(expression, deep=False))))


def _with_delta_used(term: Expr) -> Expr:
    deltas = [factor for factor in Mul.make_args(term) if isinstance(factor, KroneckerDelta)]
    for delta in deltas:
        for i, place in (delta.args[:2], delta.args[1::-1]):
            if _is_letter(i) and not _is_letter(place) and not place.has(i):
                others = Mul(*[factor for factor in Mul.make_args(term) if factor != delta])
                return delta * rename(others, {i: place})
    return term


def _is_letter(place: Expr) -> bool:
    return isinstance(place, Symbol) and not isinstance(place, WholeNumber) and not is_size(place)


def _summed(body: Expr, sums: Ranges) -> Expr:
    """Return the sum of ``body``, with one delta after the other solved for a summed index."""
    for delta in sorted(body.atoms(KroneckerDelta), key=default_sort_key):
        for i, value in (delta.args, delta.args[::-1]):
            if i not in sums or value.has(i):
                continue
            rest, factor = _coefficients(body, delta)
            if factor == 0:
                continue
            others = {j: n for j, n in sums.items() if j != i}
            return _summed(rest, sums) + _summed(rename(factor, {i: value}), others)
    return make_sum(body, sums.items())


def _coefficients(body: Expr, delta: Expr) -> tuple[Expr, Expr]:
    """Return the terms without ``delta``, and its coefficient; (body, 0) where it is no factor of terms."""
    held = Dummy()
    rest: list[Expr] = []
    factor: list[Expr] = []
    for term in Add.make_args(expand_mul(body.xreplace({delta: held}))):
        apart, power = term.as_independent(held, as_Add=False)
        if power not in (ONE, held):
            return body, ZERO
        (rest if power == ONE else factor).append(apart)
    return Add(*rest), Add(*factor)


def _best_choice(
    deltas: Sequence[tuple[Expr, Expr]], sums: Ranges, ranges: Ranges, preferred: frozenset[Symbol]
) -> _Choice | None:
    choices = []
    for position, (read, target) in enumerate(deltas):
        difference = expand(read - target)
        for i in sums:
            slope = difference.coeff(i)
            rest = difference - slope * i
            if slope not in (1, -1) or i in rest.free_symbols:
                continue
            value = expand(-slope * rest)
            scope = {j: n for j, n in {**ranges, **sums}.items() if j != i}
            condition = range_condition(value, sums[i], scope)
            rank = (condition is not S.true, i not in preferred, count_ops(value), str(sums[i]), position)
            choices.append(_Choice(position, i, value, condition, rank))
    return min(choices, key=lambda choice: choice.rank, default=None)
