"""What noise is drawn from: the numbers that say how, how it is drawn, and its mean and deviation."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any, NamedTuple


class Distribution(NamedTuple):
    """A distribution.

    ``numbers`` are the names of its numbers; ``draw`` takes a generator of NumPy, a shape and these numbers,
    ``moments`` returns mean and deviation for these numbers.
    """

    numbers: tuple[str, ...]
    draw: Callable[..., Any]
    moments: Callable[..., tuple[float, float]]


DISTRIBUTIONS = {
    "normal": Distribution(
        ("deviation",),
        lambda generator, shape, deviation: generator.normal(0, deviation, shape),
        lambda deviation: (0.0, deviation),
    ),
    "uniform": Distribution(
        ("low", "high"),
        lambda generator, shape, low, high: generator.uniform(low, high, shape),
        lambda low, high: ((low + high) / 2, (high - low) / sqrt(12)),
    ),
    "bernoulli": Distribution(
        ("probability",),
        lambda generator, shape, probability: (generator.random(shape) < probability) * 1.0,
        lambda probability: (probability, sqrt(probability * (1 - probability))),
    ),
}
