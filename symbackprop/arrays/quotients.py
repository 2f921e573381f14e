"""Products under a condition such as (p - u) % m == 0: then p is m h + u, for a whole number h.

So the transpose of a convolution is one in the code, too: what a quotient reads is added to a strided slice,
and the derivative is read from one.
"""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Eq, Expr, Ge, Indexed, KroneckerDelta, Le, Mul, Symbol, expand
from sympy.core.relational import Relational

from symbackprop.arrays.axes import Axes
from symbackprop.arrays.guards import Product, always
from symbackprop.equations.functions import Quotient, Remainder
from symbackprop.equations.indices import fresh, rename
from symbackprop.equations.system import ZERO


def without_quotients(axes: Axes, product: Product, summed: Sequence[Symbol]) -> tuple[Product, list[Symbol]]:
    """Return a product without the quotients that leave no remainder, and what is summed then.

    Where a delta says that the quotient is an index, a summed index of the quotient is solved for; elsewhere
    the quotient becomes a summed index, and an index of the result has its place by it.
    """
    factors, conditions, left = list(product[0]), list(product[1]), list(summed)
    for condition in [c for c in conditions if isinstance(c, Eq) and isinstance(c.lhs, Remainder)]:
        above, below = condition.lhs.args
        quotient = Quotient(above, below)
        if condition.rhs != 0 or condition not in conditions or not quotient.has(Quotient):
            continue
        others = [c for c in conditions if c != condition]
        found = _by_delta(axes, (factors, others), left, quotient)
        found = found or _as_index(axes, (factors, others), left, quotient)
        if found is not None:
            (factors, conditions), left = found
    return (factors, [c for c in conditions if not always(axes, c)]), left


def _by_delta(
    axes: Axes, product: Product, summed: list[Symbol], quotient: Expr
) -> tuple[Product, list[Symbol]] | None:
    """Return a product with a delta of the quotient and an index, solved for a summed index."""
    factors, conditions = product
    deltas = [f for f in factors if isinstance(f, KroneckerDelta) and quotient in f.args[:2]]
    for delta in deltas:
        (h,) = [side for side in delta.args[:2] if side != quotient] or [quotient]
        p = next((i for i in summed if _slope(axes, quotient, i) is not None and not h.has(i)), None)
        if p is None or h.has(Quotient, Indexed):
            continue
        place = {p: _solved(axes, quotient, p, h)}
        ends = [Ge(place[p], 0, evaluate=False), Le(place[p], axes.ranges[p] - 1, evaluate=False)]
        rest = [rename(f, place) for f in factors if f is not delta]
        return (rest, [*(rename(c, place) for c in conditions), *ends]), [i for i in summed if i != p]
    return None


def _as_index(
    axes: Axes, product: Product, summed: list[Symbol], quotient: Expr
) -> tuple[Product, list[Symbol]] | None:
    """Return a product that sums over the quotient, which conditions keep from 0 up to a size."""
    factors, conditions = product
    bounds = [c for c in conditions if c.has(quotient)]
    count = next((n for c in bounds if (n := _count(c, quotient)) is not None), None)
    from_zero = any(expand(c.gts - c.lts) == quotient for c in bounds if isinstance(c, (Ge, Le)))
    kept = [i for i in axes.ranges if i not in summed]
    p = next((i for i in kept if _slope(axes, quotient, i) is not None), None)
    if count is None or not from_zero or p is None or len(bounds) != 2:
        return None
    h = fresh(p)
    reads = [read.xreplace({quotient: h}) for f in factors for read in f.atoms(Indexed)]
    axes.bind({h: count}, reads)
    delta = KroneckerDelta(p, _solved(axes, quotient, p, h))
    inner = [f.xreplace({quotient: h}) for f in factors]
    return ([*inner, delta], [c for c in conditions if c not in bounds]), [*summed, h]


def _count(condition: Expr, quotient: Expr) -> Expr | None:
    """Return n of the condition that the quotient is below n."""
    if not isinstance(condition, Relational) or condition.rel_op not in (">", ">=", "<", "<="):
        return None
    above = expand(condition.gts - condition.lts + quotient)
    if above.has(Quotient):
        return None
    return expand(above + (1 if condition.rel_op in (">=", "<=") else 0))


def _slope(axes: Axes, quotient: Expr, i: Symbol) -> int | None:
    """Return 1 or -1 if what is divided goes up or down with an index by that."""
    affine = axes.affine(quotient.args[0])
    slope = 0 if affine is None else int(affine.slopes.get(i, 0))
    return slope if abs(slope) == 1 else None


def _solved(axes: Axes, quotient: Expr, i: Symbol, h: Expr) -> Expr:
    """Return the index at which the quotient is ``h`` and leaves no remainder."""
    above, below = quotient.args
    slope = _slope(axes, quotient, i)
    assert slope is not None
    return expand(Mul(slope, below * h - above.xreplace({i: ZERO})))
