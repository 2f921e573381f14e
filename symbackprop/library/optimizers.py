"""Optimisers: how one step changes a parameter w, as equations in its derivative g.

The equations are executed in order; a name that was assigned before stands for its new value. State
starts at 0, and ``step`` counts from 1.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Optimizer:
    """One optimiser.

    ``equations`` pairs each assigned name with the formula of its new value, the parameter ``w`` last;
    all others are state, one number for each parameter.  ``defaults`` are the hyper-parameters, as they
    are written in code.
    """

    name: str
    equations: tuple[tuple[str, str], ...]
    defaults: dict[str, str]
    source: str

    @property
    def state(self) -> tuple[str, ...]:
        """The names of the state."""
        return tuple(name for name, _ in self.equations if name != "w")


BELOW_ONE = ("momentum", "rho", "beta1", "beta2")
"""The hyper-parameters that are at least 0 and below 1; the others are at least 0."""

_MOMENTS = (("m", "beta1*m + (1 - beta1)*g"), ("v", "beta2*v + (1 - beta2)*g**2"))
_ADAPTED = "learning_rate*(m/(1 - beta1**step))/(sqrt(v/(1 - beta2**step)) + epsilon)"
_ADAM = {"learning_rate": "0.003", "beta1": "0.9", "beta2": "0.999", "epsilon": "1e-8"}

_TABLE = (
    Optimizer("sgd", (("w", "w - learning_rate*g"),), {"learning_rate": "0.1"}, "Robbins, Monro 1951"),
    Optimizer(
        "momentum",
        (("v", "momentum*v + g"), ("w", "w - learning_rate*v")),
        {"learning_rate": "0.01", "momentum": "0.9"},
        "Polyak 1964; Rumelhart, Hinton, Williams 1986",
    ),
    Optimizer(
        "nesterov",
        (("v", "momentum*v + g"), ("w", "w - learning_rate*(g + momentum*v)")),
        {"learning_rate": "0.01", "momentum": "0.9"},
        "Nesterov 1983; Sutskever, Martens, Dahl, Hinton 2013",
    ),
    Optimizer(
        "adagrad",
        (("a", "a + g**2"), ("w", "w - learning_rate*g/(sqrt(a) + epsilon)")),
        {"learning_rate": "0.05", "epsilon": "1e-10"},
        "Duchi, Hazan, Singer 2011",
    ),
    Optimizer(
        "rmsprop",
        (("a", "rho*a + (1 - rho)*g**2"), ("w", "w - learning_rate*g/(sqrt(a) + epsilon)")),
        {"learning_rate": "0.003", "rho": "0.99", "epsilon": "1e-8"},
        "Tieleman, Hinton 2012",
    ),
    Optimizer("adam", (*_MOMENTS, ("w", f"w - {_ADAPTED}")), _ADAM, "Kingma, Ba 2015"),
    Optimizer(
        "adamw",
        (*_MOMENTS, ("w", f"w - learning_rate*weight_decay*w - {_ADAPTED}")),
        {**_ADAM, "weight_decay": "0.01"},
        "Loshchilov, Hutter 2019",
    ),
)

OPTIMIZERS: dict[str, Optimizer] = {optimizer.name: optimizer for optimizer in _TABLE}
