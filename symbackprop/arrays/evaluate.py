"""Scalar expressions evaluated on arrays, by the operations that the generated code carries out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias

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
        function = _erf if operation.kind == Kind.ERF else getattr(np, operation.kind)
        known[operation] = function(*inputs)
    return known[operation]


def _erf(z: Array) -> Array:
    values: Array = np.vectorize(math.erf)(z).astype(z.dtype)
    return values


@lru_cache(maxsize=1024)
def _operation(expression: Expr) -> Operation:
    """Return the operation that computes a scalar expression for many numbers at once."""
    arrays = {s: quantity(s.name, _COUNT)[_COMPONENT] for s in expression.free_symbols}
    if not arrays:
        return number(expression)
    return lower(Equation(quantity("_result", _COUNT)[_COMPONENT], expression.xreplace(arrays)), {})
