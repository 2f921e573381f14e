"""Conditions on indices around the factors of a product.

A guard such as ``0 <= h + u - 1 < P`` around ``x[h + u - 1]`` needs no array of truth values where the
read gives zeros outside: then the product is zero there, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from sympy import And, Expr, Ge, Gt, Indexed, Le, Lt, Mul, Piecewise, Pow, S, Symbol, expand
from sympy.core.relational import Relational

from symbackprop.equations import ZERO
from symbackprop.lowering.axes import Axes, surely
from symbackprop.lowering.reads import pads

Product = tuple[list[Expr], list[Expr]]
"""Factors, and the conditions on indices without which the product is zero."""


def split(axes: Axes, body: Expr) -> Product:
    """Return the factors of ``body`` and the conditions on indices that guard them."""
    factors: list[Expr] = []
    conditions: list[Expr] = []
    for factor in Mul.make_args(body):
        guard = _guard(axes, factor)
        if guard is None:
            factors.append(factor)
            continue
        value, on_indices, others = guard
        conditions += on_indices
        if others:
            factors.append(Piecewise((value, And(*others)), (ZERO, True)))
        else:
            inner, more = split(axes, value)
            factors += inner
            conditions += more
    factors = [f for f in factors if f != 1]
    return factors, [c for c in dict.fromkeys(conditions) if not _always(axes, c)]


def _guard(axes: Axes, factor: Expr) -> tuple[Expr, list[Expr], list[Expr]] | None:
    """Return the value of a guard, its conditions on indices and the others; None if it is no guard."""
    if not isinstance(factor, Piecewise) or len(factor.args) != 2:
        return None
    (value, condition), (other, otherwise) = factor.args
    if other != 0 or otherwise is not S.true:
        return None
    parts = And.make_args(condition)
    on_indices = [part for part in parts if is_on_indices(axes, part)]
    if not on_indices or (_may_be_infinite(value) and value.has(Indexed)):
        return None
    return value, on_indices, [part for part in parts if part not in on_indices]


def is_on_indices(axes: Axes, condition: Expr) -> bool:
    """Whether a condition compares indices, sizes and numbers alone."""
    return not condition.has(Indexed) and all(
        s in axes.ranges or (isinstance(s, Symbol) and s.is_integer and s.is_positive)
        for s in condition.free_symbols
    )


def _may_be_infinite(value: Expr) -> bool:
    """Whether ``value`` may be beyond the numbers where it does not count: zero times it is no zero."""
    return any(
        (isinstance(node, Pow) and not (node.exp.is_Integer and node.exp.is_positive)) or node.is_Function
        for node in _nodes(value)
        if not isinstance(node, Piecewise)
    )


def _nodes(value: Expr) -> list[Expr]:
    if isinstance(value, Indexed):
        return []
    return [value, *(node for argument in value.args for node in _nodes(argument))]


def inequality(condition: Expr) -> Expr | None:
    """Return what must not be negative for a relation between integers to hold; None for ``==``, ``!=``."""
    if isinstance(condition, (Ge, Le)):
        return expand(condition.gts - condition.lts)
    if isinstance(condition, (Gt, Lt)):
        return expand(condition.gts - condition.lts - 1)
    return None


def _always(axes: Axes, condition: Expr) -> bool:
    """Whether a condition holds for every value of the indices."""
    difference = inequality(condition) if isinstance(condition, Relational) else None
    affine = None if difference is None else axes.affine(difference)
    return affine is not None and surely(axes.bounds(affine)[0])


def without_padding(axes: Axes, product: Product) -> list[Expr]:
    """Return the conditions of ``product`` that no read of zeros outside of its array says already."""
    factors, conditions = product
    said = set()
    for factor in factors:
        read = factor.base if isinstance(factor, Pow) and factor.exp.is_positive else factor
        if isinstance(read, Indexed):
            for p in pads(axes, read):
                i, n = read.indices[p], read.base.shape[p]
                said |= {axes.number(i), axes.number(n - 1 - i)}
    return [c for c in conditions if (d := inequality(c)) is None or axes.number(d) not in said]


def simplified(axes: Axes, conditions: Sequence[Expr]) -> list[Expr]:
    """Return the conditions that do not hold for every value of the indices."""
    return [c for c in conditions if not _always(axes, c)]
