"""Guards that name the size of an axis by its number.

In goes an expression such as ``where(p < 6, x[p], 0)`` for an axis of P = 6 places, out comes
``where(p < P, x[p], 0)``: what holds of it for any P, holds of the other one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sympy import Expr, Ge, Gt, Indexed, Le, Lt, Symbol
from sympy.core.relational import Relational


def with_sizes(expression: Expr, sizes: Mapping[str, int]) -> Expr:
    """Return an expression in which the guards of reads compare with sizes in place of their numbers."""
    if not expression.has(Relational):
        return expression
    axes: dict[Expr, list[tuple[Expr, Symbol]]] = {}
    for read in sorted(expression.atoms(Indexed), key=str):
        for index, extent in zip(read.indices, read.base.shape or (), strict=False):
            if isinstance(extent, Symbol) and extent.name in sizes:
                offset, varying = index.as_coeff_Add()
                axes.setdefault(varying, []).append((offset, extent))
    found = {r: new for r in expression.atoms(Relational) for new in _named(r, axes, sizes)}
    return expression.xreplace(found) if found else expression


def _named(
    relation: Relational, axes: Mapping[Expr, list[tuple[Expr, Symbol]]], sizes: Mapping[str, int]
) -> Iterator[Relational]:
    """Yield the relation with the size of the axis that its index reads, where it bounds that from above."""
    if isinstance(relation, (Gt, Ge)):
        relation = relation.reversed
    if not isinstance(relation, (Lt, Le)):
        return
    constant, varying = relation.lhs.as_coeff_Add()
    end = relation.rhs - constant + int(isinstance(relation, Le))  # varying < end
    for offset, extent in axes.get(varying, ()):
        if end + offset == sizes[extent.name]:
            yield Lt(varying, extent - offset, evaluate=False)
            return
