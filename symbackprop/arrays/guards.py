"""Conditions on indices around the factors of a product.

A guard such as ``0 <= h + u - 1 < P`` around ``x[h + u - 1]`` needs no array of truth values where the
read gives zeros outside: then the product is zero there, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sympy import (
    Abs,
    Add,
    And,
    Expr,
    Ge,
    Gt,
    Heaviside,
    Indexed,
    KroneckerDelta,
    Le,
    Lt,
    Max,
    Min,
    Mul,
    Piecewise,
    Pow,
    S,
    cos,
    expand,
    sign,
    sin,
    tanh,
)
from sympy.core.relational import Relational

from symbackprop.arrays.axes import Axes, surely
from symbackprop.arrays.reads import pads
from symbackprop.equations.functions import Quotient, Remainder
from symbackprop.equations.system import ZERO, is_size

Product = tuple[list[Expr], list[Expr]]
"""Factors, and the conditions on indices without which the product is zero."""


def split(axes: Axes, body: Expr) -> Product:
    """Return the factors of ``body`` and the conditions on indices that guard them."""
    factors: list[Expr] = []
    conditions: list[Expr] = []
    for factor in Mul.make_args(body):
        guard = _guard(axes, factor)
        if guard is None:
            factors += _deltas_outside(factor)
            continue
        value, on_indices, others = guard
        conditions += on_indices
        if others:
            factors += _deltas_outside(Piecewise((value, And(*others)), (ZERO, True)))
        else:
            inner, more = split(axes, value)
            factors += inner
            conditions += more
    factors = [f for f in factors if f != 1]
    ordered = sorted(conditions, key=lambda c: (*condition_order(axes, c), str(c)))
    once = {inequality(axes, c) or c: c for c in ordered}  # equal ones count once
    return factors, [c for c in once.values() if not always(axes, c)]


def is_guard(factor: Expr) -> bool:
    """Whether a factor is zero but for one case."""
    return isinstance(factor, Piecewise) and len(factor.args) == 2 and factor.args[1] == (ZERO, S.true)


def _deltas_outside(factor: Expr) -> list[Expr]:
    """Return a factor that is zero but for a case with its deltas as factors beside it, to be scattered."""
    if not is_guard(factor):
        return [factor]
    value, condition = factor.args[0]
    deltas = [f for f in Mul.make_args(value) if isinstance(f, KroneckerDelta)]
    rest = Mul(*[f for f in Mul.make_args(value) if f not in deltas])
    return [*deltas, Piecewise((rest, condition), (ZERO, True))] if deltas else [factor]


def condition_order(axes: Axes, condition: Expr) -> tuple[object, ...]:
    """Return a key that depends on the order of the axes alone: SymPy's order of fresh indices may differ."""
    difference = inequality(axes, condition) if isinstance(condition, Relational) else None
    affine = None if difference is None else axes.affine(difference)
    if affine is None:
        return (1, (), str(condition))
    return (0, tuple(affine.slopes.get(i, 0) for i in axes.ranges), str(affine.offset))


def _guard(axes: Axes, factor: Expr) -> tuple[Expr, list[Expr], list[Expr]] | None:
    """Return the value of a guard, its conditions on indices and the others; None if it is no guard."""
    if not is_guard(factor):
        return None
    value, condition = factor.args[0]
    parts = And.make_args(condition)
    on_indices = [part for part in parts if is_on_indices(axes, part)]
    if not on_indices or (may_be_infinite(value) and value.has(Indexed)):
        return None
    return value, on_indices, [part for part in parts if part not in on_indices]


def is_on_indices(axes: Axes, condition: Expr) -> bool:
    """Whether a condition compares indices, sizes and numbers alone."""
    return not condition.has(Indexed) and all(s in axes.ranges or is_size(s) for s in condition.free_symbols)


def may_be_infinite(value: Expr) -> bool:
    """Whether ``value`` may be beyond the numbers where it does not count: zero times it is no zero."""
    return any(
        not (node.exp.is_Integer and node.exp.is_positive) if isinstance(node, Pow) else node.is_Function
        for node in _nodes(value)
        if not isinstance(node, _FINITE) and not _is_root_of_size(node)
    )


def _is_root_of_size(node: Expr) -> bool:
    """Whether ``node`` is a power of what is positive whatever the data, such as 1/sqrt(size(a))."""
    is_power = isinstance(node, Pow) and node.exp.is_Rational and bool(node.base.is_positive)
    return is_power and all(map(is_size, node.base.free_symbols))


_FINITE = (Piecewise, KroneckerDelta, Heaviside, Abs, Max, Min, sign, sin, cos, tanh, Quotient, Remainder)


def _nodes(value: Expr) -> list[Expr]:
    if isinstance(value, Indexed):
        return []
    return [value, *(node for argument in value.args for node in _nodes(argument))]


def inequality(axes: Axes, condition: Expr) -> Expr | None:
    """Return the affine expression that must not be negative for a relation between indices to hold.

    Its coefficients are whole numbers without a common factor, so that equal conditions are equal
    expressions.  None for ``==``, ``!=`` and what is not affine.
    """
    if isinstance(condition, (Ge, Le)):
        difference = condition.gts - condition.lts
    elif isinstance(condition, (Gt, Lt)):
        difference = condition.gts - condition.lts
        if not difference.is_integer:
            return None
        difference -= 1
    else:
        return None
    return normal(axes, difference)


def normal(axes: Axes, difference: Expr) -> Expr | None:
    """Return an affine expression, of which the sign counts, in the normal form of `inequality`."""
    scaled = axes.number(difference)
    denominators = [int(c.q) for c in scaled.as_coefficients_dict().values() if c.is_Rational]
    affine = axes.affine(expand(scaled * math.lcm(*denominators)))
    if affine is None:
        return None
    common = math.gcd(*affine.slopes.values())
    if common < 2 or not affine.offset.is_Integer:
        return Add(*[slope * i for i, slope in affine.slopes.items()], affine.offset)
    return Add(*[slope // common * i for i, slope in affine.slopes.items()], affine.offset // common)


def always(axes: Axes, condition: Expr) -> bool:
    """Whether a condition holds for every value of the indices."""
    difference = inequality(axes, condition) if is_on_indices(axes, condition) else None
    affine = None if difference is None else axes.affine(difference)
    return affine is not None and surely(axes.bounds(affine)[0])


def whole(axes: Axes, condition: Expr) -> Expr:
    """Return a relation between indices with numbers for the sizes and without fractions."""
    left, right = axes.number(condition.lhs), axes.number(condition.rhs)
    coefficients = [*left.as_coefficients_dict().values(), *right.as_coefficients_dict().values()]
    factor = math.lcm(*[int(c.q) for c in coefficients if c.is_Rational])
    return condition.func(expand(left * factor), expand(right * factor), evaluate=False)


def without_padding(axes: Axes, product: Product) -> list[Expr]:
    """Return the conditions of ``product`` that no read of zeros outside of its array says already."""
    factors, conditions = product
    said = set()
    for factor in factors:
        read = factor.base if isinstance(factor, Pow) and factor.exp.is_positive else factor
        if isinstance(read, Indexed):
            for p in pads(axes, read):
                i, n = read.indices[p], read.base.shape[p]
                said |= {normal(axes, i), normal(axes, n - 1 - i)}
    return [c for c in conditions if (d := inequality(axes, c)) is None or d not in said]


def simplified(axes: Axes, conditions: Sequence[Expr]) -> list[Expr]:
    """Return the conditions that do not hold for every value of the indices."""
    return [c for c in conditions if not always(axes, c)]
