"""What an activation passes on of the strength of a signal, for the reason of an initialiser."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from sympy import Expr, Symbol

from symbackprop.arrays.evaluate import values_of

_FARTHEST, _POINTS = 12.0, 100_001


@lru_cache(maxsize=256)
def strength_passed_on(activation: Expr | None) -> float | None:
    """Return the mean square of an activation, of pre-activations that are normal with mean square 1.

    None where there is none, or where it takes more than one pre-activation, as softmax does.
    """
    if activation is None or len(activation.free_symbols) != 1:
        return None
    (symbol,) = activation.free_symbols
    if not isinstance(symbol, Symbol):
        return None
    s = np.linspace(-_FARTHEST, _FARTHEST, _POINTS)
    density = np.exp(-(s**2) / 2) / np.sqrt(2 * np.pi)
    values = values_of(activation, {symbol.name: s})
    return float(np.sum(values**2 * density) * (s[1] - s[0]))
