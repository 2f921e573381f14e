"""Scalar expressions evaluated on arrays, by the operations that the generated code carries out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import mpmath
import numpy as np
from numpy.typing import NDArray
from sympy import Expr

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Number, Operation, number
from symbackprop.arrays.signature import lower
from symbackprop.equations.system import Equation, index, quantity, size

Array: TypeAlias = NDArray[Any]

_COMPONENT, _COUNT = index("p"), size("P")


def values_of(expression: Expr, values: Mapping[str, Array]) -> Array:
    """Return the values of a scalar expression, computed as the generated code does.

    ``values`` holds the numbers of each symbol by its name; they set the dtype.
    """
    with np.errstate(all="ignore"):
        return np.asarray(_computed(_operation(expression), values, {}))


def _computed(operation: Operation, values: Mapping[str, Array], known: dict[Operation, Array]) -> Any:
    if operation.kind == Kind.ARRAY:
        return values[operation.name]
    if operation.kind == Kind.NUMBER:
        return float(operation.value_as(Number).value)
    if operation not in known:
        inputs = [_computed(i, values, known) for i in operation.inputs]
        known[operation] = (_OWN.get(operation.kind) or getattr(np, operation.kind))(*inputs)
    return known[operation]


def _each(function: Callable[[float], float]) -> Callable[[Array], Array]:
    """Return a function of arrays for one of a number; nan where that has no value."""

    def one(z: float) -> float:
        try:
            return float(function(z))
        except (ArithmeticError, ValueError):
            return math.nan

    values = np.vectorize(one, otypes=[float])
    return lambda z: np.asarray(values(z), z.dtype)


_OWN = {
    Kind.ERF: _each(math.erf),
    Kind.LGAMMA: _each(math.lgamma),
    Kind.DIGAMMA: _each(mpmath.digamma),
}
"""What NumPy lacks."""


@lru_cache(maxsize=1024)
def _operation(expression: Expr) -> Operation:
    """Return the operation that computes a scalar expression for many numbers at once."""
    arrays = {s: quantity(s.name, _COUNT)[_COMPONENT] for s in expression.free_symbols}
    if not arrays:
        return number(expression)
    return lower(Equation(quantity("_result", _COUNT)[_COMPONENT], expression.xreplace(arrays)), {})
