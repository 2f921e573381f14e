"""The equations of an optimiser evaluated with numbers, as they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sympy import lambdify

from symbackprop.derivation.optimizer import update_equations
from symbackprop.equations.system import new_value
from symbackprop.library.optimizers import OPTIMIZERS

Number = NDArray[np.float64] | float
Rule = tuple[str, tuple[str, ...], Callable[..., Number]]
"""The symbol of a new value, those of the numbers that it is made of, and the function that makes it."""


def updated_values(optimizer: str, values: Mapping[str, Number]) -> dict[str, Number]:
    """Return ``values`` and behind them the values that one step assigns, by symbol name.

    Args:
        optimizer: its name.
        values: the parameter ``w``, its derivative ``g``, the state, the number of the ``step``, and the
            hyper-parameters; arrays of one shape, or numbers.
    """
    found = dict(values)
    for new, read, function in _rules(optimizer):
        found[new] = np.asarray(function(*[found[name] for name in read]))
    return found


def default_values(optimizer: str) -> dict[str, float]:
    """Return the hyper-parameters of an optimiser by name."""
    return {name: float(value) for name, value in OPTIMIZERS[optimizer].defaults.items()}


@cache
def _rules(optimizer: str) -> list[Rule]:
    """Return the equations of an optimiser as functions of plain numbers."""
    rules = []
    for name, expression in update_equations(OPTIMIZERS[optimizer]):
        symbols = sorted(expression.free_symbols, key=str)
        function = lambdify(symbols, expression, "numpy")
        rules.append((new_value(name).name, tuple(s.name for s in symbols), function))
    return rules
