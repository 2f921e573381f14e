"""The bounds of an activation and of its slope, found by looking everywhere.

The function is evaluated as the generated code does, from far below 0 to far above, finely where it
bends, and the extremes are refined.  It is for people to read: a bound that is a simple fraction is
given as one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol

from symbackprop.arrays.evaluate import values_of
from symbackprop.derivation.stable.forms import Pointwise
from symbackprop.derivation.stable.measure import best_form

Array: TypeAlias = NDArray[Any]
Function: TypeAlias = Callable[[Array], Array]

_NEAR = np.linspace(-12, 12, 24_001)
_FAR = 10.0 ** np.arange(2, 16)
_GRID = np.concatenate([-_FAR[::-1], _NEAR, _FAR])
_UNBOUNDED = 1e6


@dataclass(frozen=True)
class Bounds:
    """The least and the greatest value; whether each is taken, or only approached."""

    low: float
    high: float
    takes_low: bool
    takes_high: bool

    def __str__(self) -> str:
        before = "[" if self.takes_low else "("
        after = "]" if self.takes_high else ")"
        return f"{before}{shown(self.low)}, {shown(self.high)}{after}"


def shown(value: float) -> str:
    """Return a bound as people write it: 1/4, 1.0998, -∞."""
    if np.isinf(value):
        return "-∞" if value < 0 else "∞"
    simple = Fraction(value).limit_denominator(12)
    return str(simple) if abs(float(simple) - value) < 1e-9 else f"{value:.5g}"


@lru_cache(maxsize=1024)
def bounds_of(expression: Expr, symbol: Symbol) -> Bounds:
    """Return the bounds of ``expression``, which reads ``symbol`` and nothing else."""
    form = best_form(Pointwise(expression))

    def at(points: Array) -> Array:
        return np.broadcast_to(values_of(form, {symbol.name: points}), points.shape)

    high, takes_high = _greatest(at)
    low, takes_low = _greatest(lambda points: -at(points))
    return Bounds(-low, high, takes_low, takes_high)


def _greatest(function: Function) -> tuple[float, bool]:
    """Return the supremum of a function of arrays, and whether it is taken."""
    values = np.where(np.isnan(found := function(_GRID)), -np.inf, found)
    best = int(np.argmax(values))
    if values[best] > _UNBOUNDED:
        return float("inf"), False
    left, right = _GRID[max(0, best - 1)], _GRID[min(len(_GRID) - 1, best + 1)]
    for _ in range(20):
        near = np.linspace(left, right, 21)
        position = int(np.argmax(function(near)))
        left, right = near[max(0, position - 1)], near[min(20, position + 1)]
    refined = max(float(values[best]), float(function(near)[position]))
    return refined, _is_taken(function, refined)


def _is_taken(function: Function, greatest: float) -> bool:
    """Whether the supremum is a value, and not only approached on the way to infinity."""
    near = float(np.nanmax(function(_NEAR)))
    far = float(np.nanmax(function(np.concatenate([-_FAR, _FAR]))))
    return near >= far if near == greatest else greatest - far > 1e-12
