"""Losses: the error of one output x with its target t, summed over the outputs of a sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True)
class Loss:
    """One loss: its formula in x and t, where it comes from, and what it asks of the targets.

    Each target lies between ``low`` and ``high``; ``total`` is what the targets of a sample add up to,
    a fact that the derivation may use.
    """

    name: str
    formula: str
    source: str
    low: int | None = None
    high: int | None = None
    total: int | None = None
    parameters: dict[str, Fraction] = field(default_factory=dict)


_TABLE = (
    Loss(
        "binary_cross_entropy",
        "-(t*log(x) + (1 - t)*log(1 - x))",
        "negative log-likelihood of independent Bernoulli targets",
        low=0,
        high=1,
    ),
    Loss(
        "cross_entropy",
        "-t*log(x)",
        "negative log-likelihood of one categorical target",
        low=0,
        high=1,
        total=1,
    ),
    Loss("squared_error", "(x - t)**2/2", "negative log-likelihood of Gaussian targets, variance 1"),
)

LOSSES: dict[str, Loss] = {loss.name: loss for loss in _TABLE}
