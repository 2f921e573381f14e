"""Initialisers: a distribution with mean 0, and its variance from fan-in and fan-out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Initializer:
    """One initialiser of weights: ``distribution`` is uniform or normal, ``variance`` a formula.

    The formula is in ``fan_in`` and ``fan_out``, the numbers of units that a weight comes from and
    goes to.
    """

    name: str
    distribution: str
    variance: str
    source: str


_TABLE = (
    Initializer("xavier_uniform", "uniform", "2 / (fan_in + fan_out)", "Glorot, Bengio 2010"),
    Initializer("xavier_normal", "normal", "2 / (fan_in + fan_out)", "Glorot, Bengio 2010"),
    Initializer("he_uniform", "uniform", "2 / fan_in", "He, Zhang, Ren, Sun 2015"),
    Initializer("he_normal", "normal", "2 / fan_in", "He, Zhang, Ren, Sun 2015"),
)

INITIALIZERS: dict[str, Initializer] = {initializer.name: initializer for initializer in _TABLE}
