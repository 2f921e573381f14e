"""Activations: the output of a unit as a formula in its pre-activation s.

``total(e)`` is the sum of e over the units of the layer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True)
class Activation:
    """One activation: its formula in s, where it comes from, and what fits it.

    ``partner`` is the canonical loss of an output layer, ``initializer`` keeps the variance of the
    signal through a layer with this activation.
    """

    name: str
    formula: str
    source: str
    partner: str | None = None
    initializer: str = "xavier_uniform"
    parameters: dict[str, Fraction] = field(default_factory=dict)


_TABLE = (
    Activation(
        "sigmoid", "1/(1 + exp(-s))", "Rumelhart, Hinton, Williams 1986", partner="binary_cross_entropy"
    ),
    Activation("tanh", "tanh(s)", "LeCun, Bottou, Orr, Müller 1998, Efficient BackProp"),
    Activation("relu", "where(s > 0, s, 0)", "Nair, Hinton 2010", initializer="he_normal"),
    Activation("identity", "s", "linear unit", partner="squared_error"),
    Activation("softmax", "exp(s)/total(exp(s))", "Bridle 1990", partner="cross_entropy"),
)

ACTIVATIONS: dict[str, Activation] = {activation.name: activation for activation in _TABLE}
