"""The arrays of a trainer: all parameters in one row of numbers, its state in others."""

import math
from typing import Any

import numpy as np

from symbackprop.code.runtime.network import PARAMETER_SHAPES
from symbackprop.code.runtime.support import _zeros


def _rows_of(count: int, size: int, dtype: np.dtype) -> np.ndarray:
    """Return rows of zeros that all begin a line of the processor's cache."""
    line = 64 // dtype.itemsize
    return _zeros((count, -(-size // line) * line), dtype)[:, :size]


def _parts_of(rows: np.ndarray, buffers: int) -> list[tuple[np.ndarray, ...]]:
    """Return parts of rows short enough for a processor's cache, with buffers of their lengths."""
    size, longest = rows.shape[1], 2**16
    scratch = _rows_of(buffers, min(size, longest), rows.dtype)
    return [
        (*rows[:, begin : begin + longest], *scratch[:, : size - begin])
        for begin in range(0, size, longest)
    ]


def _views(
    flat: np.ndarray, shapes: dict[str, Any] = PARAMETER_SHAPES
) -> dict[str, np.ndarray]:
    """Return a dict of parameters, or of states, whose arrays are parts of one flat array."""
    views, start = {}, 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        views[name] = flat[start:stop].reshape(shape)
        start = stop
    return views


def _all_finite(array: np.ndarray) -> bool:
    """Return whether all numbers are finite, which a finite sum of their squares shows quickly."""
    return math.isfinite(np.vdot(array, array)) or bool(np.isfinite(array).all())


def _first_rows(buffer: Any, samples: int) -> Any:
    """Return the first rows of a buffer, or of those of each layer."""
    if isinstance(buffer, dict):
        return {layer: array[:samples] for layer, array in buffer.items()}
    return buffer[:samples]


def _copied(buffer: Any) -> Any:
    """Return a copy of a buffer, or of those of each layer, with the axes in memory as they are."""
    if isinstance(buffer, dict):
        return {layer: array.copy("K") for layer, array in buffer.items()}
    return buffer.copy("K")
