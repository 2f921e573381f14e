"""Losses: the error of one output x with its target t, summed over the outputs of a sample."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True)
class Loss:
    """One loss: its formula in x and t, its source, and its conditions on the targets.

    Each target lies between ``low`` and ``high``; ``total`` is the sum of the targets of a sample,
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
    Loss("absolute_error", "abs(x - t)", "negative log-likelihood of Laplace targets, scale 1"),
    Loss(
        "huber",
        "where(abs(x - t) <= delta, (x - t)**2/2, delta*(abs(x - t) - delta/2))",
        "Huber 1964",
        parameters={"delta": Fraction(1)},
    ),
    Loss(
        "smooth_l1",
        "where(abs(x - t) < beta, (x - t)**2/(2*beta), abs(x - t) - beta/2)",
        "Girshick 2015",
        parameters={"beta": Fraction(1)},
    ),
    Loss("log_cosh", "log(cosh(x - t))", "a smooth absolute error"),
    Loss("poisson_nll", "x - t*log(x)", "negative log-likelihood of Poisson targets, x the rate", low=0),
    Loss(
        "poisson_nll_log",
        "exp(x) - t*x",
        "negative log-likelihood of Poisson targets, x the logarithm of the rate",
        low=0,
    ),
    Loss(
        "kl_divergence",
        "where(t > 0, t*log(t), 0) - t*log(x)",
        "Kullback, Leibler 1951, of two distributions",
        low=0,
        high=1,
        total=1,
    ),
    Loss("hinge", "where(t*x < 1, 1 - t*x, 0)", "Cortes, Vapnik 1995, targets -1 and 1", low=-1, high=1),
    Loss("squared_hinge", "where(t*x < 1, (1 - t*x)**2, 0)", "L2 support vector machine", low=-1, high=1),
    Loss(
        "focal",
        "-(x*(1 - t) + (1 - x)*t)**gamma*(t*log(x) + (1 - t)*log(1 - x))",
        "Lin, Goyal, Girshick, He, Dollár 2017",
        low=0,
        high=1,
        parameters={"gamma": Fraction(2)},
    ),
    Loss(
        "negative_log_likelihood",
        "-t*x",
        "of one categorical target, x the logarithms of the probabilities",
        low=0,
        high=1,
        total=1,
    ),
)

LOSSES: dict[str, Loss] = {loss.name: loss for loss in _TABLE}

LOSS_ALIASES = {"nll": "negative_log_likelihood", "mse": "squared_error", "mae": "absolute_error"}
"""Other names that are in use."""
