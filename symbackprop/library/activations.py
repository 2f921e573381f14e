"""Activations: the output of a unit as a formula in its pre-activation s.

``total(e)`` is the sum of e over the units of the layer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True)
class Activation:
    """One activation: its formula in s, its source, and the loss and the initialiser that fit it.

    ``partner`` is the canonical loss of an output layer, ``initializer`` keeps the variance of the
    signal through a layer with this activation.  ``parameters`` are constants of the formula with their
    defaults; those that are ``trainable`` are parameters of the network, one number for a layer, which
    start at that value.
    """

    name: str
    formula: str
    source: str
    partner: str | None = None
    initializer: str = "xavier_uniform"
    parameters: dict[str, Fraction] = field(default_factory=dict)
    trainable: bool = False

    @property
    def is_of_layer(self) -> bool:
        """Whether the output of a unit depends on all units of the layer, and not on its own s alone."""
        return "total(" in self.formula


def _constants(**values: str) -> dict[str, Fraction]:
    return {name: Fraction(value) for name, value in values.items()}


_SELU = _constants(alpha="1.6732632423543772", scale="1.0507009873554805")

_TABLE = (
    Activation(
        "sigmoid", "1/(1 + exp(-s))", "Rumelhart, Hinton, Williams 1986", partner="binary_cross_entropy"
    ),
    Activation("tanh", "tanh(s)", "LeCun, Bottou, Orr, Müller 1998, Efficient BackProp"),
    Activation("relu", "where(s > 0, s, 0)", "Nair, Hinton 2010", initializer="he_normal"),
    Activation(
        "leaky_relu",
        "where(s > 0, s, negative_slope*s)",
        "Maas, Hannun, Ng 2013",
        initializer="he_normal",
        parameters=_constants(negative_slope="0.01"),
    ),
    Activation(
        "prelu",
        "where(s > 0, s, alpha*s)",
        "He, Zhang, Ren, Sun 2015",
        initializer="he_normal",
        parameters=_constants(alpha="0.25"),
        trainable=True,
    ),
    Activation(
        "elu",
        "where(s > 0, s, alpha*(exp(s) - 1))",
        "Clevert, Unterthiner, Hochreiter 2016",
        initializer="he_normal",
        parameters=_constants(alpha="1"),
    ),
    Activation(
        "selu",
        "where(s > 0, scale*s, scale*alpha*(exp(s) - 1))",
        "Klambauer, Unterthiner, Mayr, Hochreiter 2017",
        initializer="lecun_normal",
        parameters=_SELU,
    ),
    Activation(
        "celu",
        "where(s > 0, s, alpha*(exp(s/alpha) - 1))",
        "Barron 2017",
        initializer="he_normal",
        parameters=_constants(alpha="1"),
    ),
    Activation(
        "softplus",
        "log(1 + exp(beta*s))/beta",
        "Dugas, Bengio, Bélisle, Nadeau, Garcia 2001",
        initializer="he_normal",
        parameters=_constants(beta="1"),
    ),
    Activation("softsign", "s/(1 + abs(s))", "Bergstra, Desjardins, Lamblin, Bengio 2009"),
    Activation("silu", "s/(1 + exp(-s))", "Elfwing, Uchibe, Doya 2018", initializer="he_normal"),
    Activation(
        "swish_beta",
        "s/(1 + exp(-beta*s))",
        "Ramachandran, Zoph, Le 2017",
        initializer="he_normal",
        parameters=_constants(beta="1"),
        trainable=True,
    ),
    Activation("gelu", "s*(1 + erf(s/sqrt(2)))/2", "Hendrycks, Gimpel 2016", initializer="he_normal"),
    Activation(
        "gelu_tanh",
        "s*(1 + tanh(sqrt(2/pi)*(s + 0.044715*s**3)))/2",
        "Hendrycks, Gimpel 2016, the approximation",
        initializer="he_normal",
    ),
    Activation("mish", "s*tanh(log(1 + exp(s)))", "Misra 2020", initializer="he_normal"),
    Activation(
        "hardtanh",
        "Piecewise((min_val, s <= min_val), (max_val, s >= max_val), (s, True))",
        "Collobert 2004",
        parameters=_constants(min_val="-1", max_val="1"),
    ),
    Activation(
        "hardsigmoid",
        "Piecewise((0, s <= -3), (1, s >= 3), (s/6 + 1/2, True))",
        "Courbariaux, Bengio, David 2015; with PyTorch's slope 1/6",
    ),
    Activation(
        "hardswish",
        "Piecewise((0, s <= -3), (s, s >= 3), (s*(s + 3)/6, True))",
        "Howard et al. 2019",
        initializer="he_normal",
    ),
    Activation(
        "relu6",
        "Piecewise((0, s <= 0), (6, s >= 6), (s, True))",
        "Krizhevsky 2010",
        initializer="he_normal",
    ),
    Activation("logsigmoid", "-log(1 + exp(-s))", "logarithm of sigmoid"),
    Activation("tanhshrink", "s - tanh(s)", "what tanh leaves of s"),
    Activation(
        "softshrink",
        "Piecewise((s - lambd, s > lambd), (s + lambd, s < -lambd), (0, True))",
        "Donoho, Johnstone 1994",
        parameters=_constants(lambd="0.5"),
    ),
    Activation(
        "hardshrink",
        "Piecewise((s, s > lambd), (s, s < -lambd), (0, True))",
        "Donoho, Johnstone 1994",
        parameters=_constants(lambd="0.5"),
    ),
    Activation(
        "srelu",
        "Piecewise((tl + al*(s - tl), s <= tl), (tr + ar*(s - tr), s >= tr), (s, True))",
        "Jin, Xu, Feng, Wei, Xiong, Yan 2016",
        initializer="he_normal",
        parameters=_constants(tl="0", al="0.2", tr="1", ar="1"),
        trainable=True,
    ),
    Activation("identity", "s", "linear unit", partner="squared_error"),
    Activation("exp", "exp(s)", "a positive output, such as the rate of a Poisson distribution"),
    Activation("arctan", "atan(s)", "the inverse of the tangent"),
    Activation("gaussian", "exp(-s**2)", "Broomhead, Lowe 1988, a radial basis function"),
    Activation("sin", "sin(s)", "Sitzmann, Martel, Bergman, Lindell, Wetzstein 2020"),
    Activation("softmax", "exp(s)/total(exp(s))", "Bridle 1990", partner="cross_entropy"),
    Activation("log_softmax", "s - log(total(exp(s)))", "logarithm of softmax"),
)

ACTIVATIONS: dict[str, Activation] = {activation.name: activation for activation in _TABLE}

ACTIVATION_ALIASES = {"swish": "silu"}
"""Other names that are in use."""
