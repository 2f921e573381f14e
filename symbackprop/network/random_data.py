"""Random data that a network accepts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from symbackprop.equations.model import Given, Model
from symbackprop.network.network import Network

Array = NDArray[np.float64]
Data = Array | dict[str, Array] | None
"""The argument x or t of a module's functions."""
SAMPLES_DRAWN = 5
"""Rows of random data."""


def sample_data(network: Network, generator: np.random.Generator) -> tuple[Data, Data]:
    """Return random inputs and targets that the network accepts; dicts where there are several."""
    model = network.model
    return _arguments(model.inputs, model, generator), _arguments(model.targets, model, generator)


def _arguments(arrays: tuple[Given, ...], model: Model, generator: np.random.Generator) -> Data:
    drawn = {given.name: _drawn(given, model, generator) for given in arrays}
    if len(drawn) > 1:
        return drawn
    return next(iter(drawn.values()), None)


def _drawn(given: Given, model: Model, generator: np.random.Generator) -> Array:
    """Return random numbers such as ``given`` must hold."""
    shape = (*(SAMPLES_DRAWN,) * given.has_samples, *model.sample_shape(given))
    if given.integer:
        return generator.integers(model.sample_places(given), size=shape)  # type: ignore[return-value]
    axis, total = given.total_axis, 0.0 if given.total is None else float(given.total)
    if given.is_unbounded and total <= 0:
        values = generator.normal(size=shape)
        surplus = 0 if given.total is None else values.mean(axis, keepdims=True) - total / shape[axis]
        return values - surplus
    low, high = (0.0, 1.0) if given.is_unbounded else given.drawn_between
    values = generator.uniform(low + 0.05, high - 0.05, size=shape)
    return values if given.total is None else total * values / values.sum(axis, keepdims=True)
