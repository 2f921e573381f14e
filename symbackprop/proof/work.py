"""How much there is to do for a proof: the places at which its expressions are written out.

In go expressions and the extents of their free indices, out come ``Space``s, which have a number of places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

from sympy import Basic, Expr, Sum

from symbackprop.equations.system import ArgMax
from symbackprop.proof.integers import Environment, whole

Space = tuple[Expr, ...]
"""The extents of the indices, free and summed, under which a part of an expression stands."""


def spaces_of(expression: Basic, free: Space) -> Iterator[Space]:
    """Yield the space of each innermost sum, or that of the free indices where there is none."""
    around = free
    if isinstance(expression, (Sum, ArgMax)):
        around = (*free, *(high - low + 1 for _, low, high in expression.limits))
        expression = expression.function
    inner = [space for argument in expression.args for space in spaces_of(argument, around)]
    deeper = [space for space in inner if len(space) > len(around)]
    yield from deeper or [around]


def places(spaces: Iterable[Space], sizes: Environment) -> int:
    """Return the number of places in all spaces together; extents that no size decides count once."""
    return sum(prod(_extent(extent, sizes) for extent in space) for space in spaces)


def _extent(extent: Expr, sizes: Environment) -> int:
    return max(1, whole(extent, sizes)) if extent.free_symbols.issubset(sizes) else 1
