"""A dense network as equations, per sample: s_i = Σ_j x_j w_ji + b_i, x_i = f(s_i), E."""

from __future__ import annotations

from sympy import Abs, Add, Expr, Symbol, sympify

from symbackprop.equations.model import Constant, DataArray, Initial, Initializer, Layer, Model
from symbackprop.equations.system import (
    Equation,
    EquationSystem,
    Fact,
    Quantity,
    Role,
    constant_outside,
    index,
    quantity,
    size,
    sum_over,
)
from symbackprop.library.formula import parse
from symbackprop.library.initializers import INITIALIZERS
from symbackprop.network.architecture import Architecture
from symbackprop.network.functions import (
    activation_at_start,
    activation_expression,
    activation_functions,
    activation_of,
    loss_formula,
    loss_of,
    middle_target,
    trainable_parameters,
)

L2 = Symbol("l2", real=True)
"""The coefficient λ of the regularisation (λ/2) Σ w²."""
L1 = Symbol("l1", real=True)
"""The coefficient λ of the regularisation λ Σ |w|."""

SMOOTHING = Symbol("smoothing", real=True)
"""The share ε of a target that label smoothing spreads over all outputs."""


def dense_model(network: Architecture) -> Model:
    """Return a dense network as the later stages read it."""
    system = network_equations(network)
    name = "_".join(["network", *_words(network.text)])
    if len(name) > 60:
        name = f"network_{network.inputs}_to_{network.sizes[-1]}_{network.depth}_layers"
    return Model(
        title=network.title,
        subject=f"the network {network.text}",
        name=name,
        description=network.description,
        system=system,
        output=f"x{network.depth}",
        sizes={f"n{layer}": units for layer, units in enumerate(network.sizes)},
        constants=_constants(network),
        initial=_initial(network, system),
        inputs=(DataArray("x0", system.quantities["x0"].shape),),
        targets=(_target(network, system),),
        layers=network.layers,
    )


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() and c.isascii() else " " for c in text).split()


def _constants(network: Architecture) -> tuple[Constant, ...]:
    values = (
        (L2.name, network.l2),
        (L1.name, network.l1),
        (SMOOTHING.name, network.label_smoothing),
    )
    found = [Constant(name, value) for name, value in values if value]
    if network.class_weights is not None:
        found.append(Constant("c", network.class_weights))
    return tuple(found)


def _initial(network: Architecture, system: EquationSystem) -> dict[str, Initial]:
    """Return how each parameter starts: the weights by their layer's initialiser, the biases at 0."""
    found = {}
    for number, layer in enumerate(network.layers, start=1):
        fan_in, fan_out = system.quantities[f"w{number}"].shape
        initializer = initializer_of(network, layer)
        formula = activation_at_start(layer.activation)
        found[f"w{number}"] = Initial(initializer, fan_in, fan_out, 0.0, layer.activation, formula)
        if network.bias:
            found[f"b{number}"] = Initial()
        for name, value in trainable_parameters(layer.activation).items():
            found[f"{name}{number}"] = Initial(value=float(value))
    return found


def _target(network: Architecture, system: EquationSystem) -> DataArray:
    """Return the target with the conditions of the loss: bounds, and the sum over the outputs."""
    loss = loss_of(network.loss)
    bounds = (loss.low, loss.high, loss.total if network.facts else None) if loss else (None, None, None)
    low, high, total = (None if bound is None else sympify(bound) for bound in bounds)
    return DataArray("t", system.quantities["t"].shape, low=low, high=high, total=total)


def network_equations(network: Architecture) -> EquationSystem:
    """Return the forward equations of a dense network, for one sample, with symbolic sizes."""
    builder = _Builder(network)
    for number, layer in enumerate(network.layers, start=1):
        builder.add_layer(number, layer)
    return builder.finish()


_LETTERS = "ijklpqrvdfh"
"""Letters that stand for nothing else in a dense network."""


def letter_of_layer(behind: int) -> str:
    """Return the index letter of a layer that has so many layers behind it; each has its own."""
    return _LETTERS[behind] if behind < len(_LETTERS) else f"i{behind}"


class _Builder:
    """Collects quantities and equations layer by layer."""

    def __init__(self, network: Architecture) -> None:
        self.network = network
        self.quantities: dict[str, Quantity] = {}
        self.equations: list[Equation] = []
        self.parameters: list[str] = []
        self.roles: dict[str, Role] = {}
        self.output = self._of_layer("x", 0, "input", size("n0"))

    def _declare(self, name: str, *shape: Expr) -> Quantity:
        self.quantities[name] = quantity(name, *shape)
        return self.quantities[name]

    def _of_layer(self, word: str, layer: int, kind: str, *shape: Expr) -> Quantity:
        self.roles[f"{word}{layer}"] = Role(layer, word, kind)
        return self._declare(f"{word}{layer}", *shape)

    def letter(self, layer: int) -> Symbol:
        """Return the index of a layer's units: i for the outputs, then j, k and further ones."""
        return index(letter_of_layer(self.network.depth - layer))

    def add_layer(self, number: int, layer: Layer) -> None:
        """Add the pre-activation and the output of one layer."""
        units_before, units = size(f"n{number - 1}"), size(f"n{number}")
        before, own = self.letter(number - 1), self.letter(number)
        other = index(f"{own.name}'")
        weight = self._of_layer("w", number, "weight", units_before, units)
        self.parameters.append(weight.name)
        total = sum_over(self.output[before] * weight[before, own], (before, units_before))
        if self.network.bias:
            bias = self._of_layer("b", number, "bias", units)
            self.parameters.append(bias.name)
            total += bias[own]
        pre_activation = self._of_layer("s", number, "pre-activation", units)
        self.equations.append(Equation(pre_activation[own], total))
        self.output = self._of_layer("x", number, "activation", units)
        trainable: dict[str, Expr] = {}
        for name in trainable_parameters(layer.activation):
            parameter = self._of_layer(name, number, "")
            self.parameters.append(parameter.name)
            trainable[name] = parameter.symbol
        value = activation_expression(layer.activation, pre_activation, own, other, trainable)
        self.equations.append(Equation(self.output[own], value))

    def finish(self) -> EquationSystem:
        """Add the error and return the system."""
        i = self.letter(self.network.depth)
        target = self._declare("t", *self.output.shape)
        error = self._declare("E")
        target = self._smoothed(target, i)
        formula, scope = loss_formula(self.network.loss)
        names = {"x": self.output[i], "t": target[i]}
        per_output = parse(formula, {**names, **scope}, activation_functions())
        if self.network.class_weights is not None:
            per_output *= self._declare("c", *target.shape)[i]
        total = constant_outside(sum_over(per_output, (i, target.shape[0])))
        self.equations.append(Equation(error.symbol, Add(total, *self._regularisation())))
        return EquationSystem(
            tuple(self.equations),
            self.quantities,
            tuple(self.parameters),
            ("x0", "t"),
            "E",
            self._facts(target, i),
            self.roles,
            {f"n{layer}": Role(layer, "n") for layer in range(self.network.depth + 1)},
        )

    def _smoothed(self, target: Quantity, i: Symbol) -> Quantity:
        """Return the target that the error is taken with, after adding its equation if it is another."""
        if not self.network.label_smoothing:
            return target
        (outputs,) = target.shape
        smoothed = self._declare("u", outputs)
        middle = middle_target(self.network.loss, outputs)
        self.equations.append(Equation(smoothed[i], (1 - SMOOTHING) * target[i] + SMOOTHING * middle))
        return smoothed

    def _regularisation(self) -> list[Expr]:
        terms: list[Expr] = []
        for coefficient, symbol, power in (
            (self.network.l2, L2, lambda w: w**2 / 2),
            (self.network.l1, L1, Abs),
        ):
            if not coefficient:
                continue
            for number in range(1, self.network.depth + 1):
                weight = self.quantities[f"w{number}"]
                i, j = self.letter(number - 1), self.letter(number)
                total = sum_over(power(weight[i, j]), (i, weight.shape[0]), (j, weight.shape[1]))
                terms.append(symbol * constant_outside(total))
        return terms

    def _facts(self, target: Quantity, i: Symbol) -> tuple[Fact, ...]:
        loss = loss_of(self.network.loss)
        if loss is None or loss.total is None or not self.network.facts:
            return ()
        return (Fact(target[i], i, sympify(loss.total)),)


def initializer_of(network: Architecture, layer: Layer) -> Initializer:
    """Return the initialiser of a layer's weights: the one asked for, or the one of the activation."""
    activation = activation_of(layer.activation)
    return INITIALIZERS[network.init or (activation.initializer if activation else "xavier_uniform")]
