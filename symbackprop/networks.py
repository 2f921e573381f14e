"""A dense network as equations, per sample: s_i = Σ_j x_j w_ji + b_i, x_i = f(s_i), E."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cache

from sympy import Abs, Add, Expr, Integer, Rational, Symbol, sympify

from symbackprop.equations import (
    Equation,
    EquationSystem,
    Fact,
    Quantity,
    index,
    quantity,
    size,
    sum_over,
)
from symbackprop.errors import SpecificationError, excerpt, suggestion
from symbackprop.formula import parse, parse_call
from symbackprop.library import ACTIVATIONS, INITIALIZERS, LOSSES, Initializer
from symbackprop.model import Constant, Given, Initial, Model
from symbackprop.specification import Layer, Network

L2 = Symbol("l2", real=True)
"""The coefficient λ of the regularisation (λ/2) Σ w²."""
L1 = Symbol("l1", real=True)
"""The coefficient λ of the regularisation λ Σ |w|."""

SMOOTHING = Symbol("smoothing", real=True)
"""The share ε of a target that label smoothing spreads over all outputs."""

_PROBE = Symbol("s", real=True)


def dense_model(network: Network) -> Model:
    """Return a dense network as the later stages read it."""
    system = network_equations(network)
    name = "_".join(["network", *_words(network.architecture)])
    if len(name) > 60:
        name = f"network_{network.inputs}_to_{network.sizes[-1]}_{network.depth}_layers"
    return Model(
        title=network.description,
        subject=f"the network {network.architecture}",
        name=name,
        description=network.description,
        system=system,
        output=f"x{network.depth}",
        sizes={f"n{layer}": units for layer, units in enumerate(network.sizes)},
        constants=_constants(network),
        initial=_initial(network, system),
        inputs=(Given("x0", system.quantities["x0"].shape),),
        targets=(_target(network, system),),
    )


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() and c.isascii() else " " for c in text).split()


def _constants(network: Network) -> tuple[Constant, ...]:
    values = (
        (L2.name, "L2", network.l2),
        (L1.name, "L1", network.l1),
        (SMOOTHING.name, "LABEL_SMOOTHING", network.label_smoothing),
    )
    found = [Constant(name, code, value) for name, code, value in values if value]
    if network.class_weights is not None:
        found.append(Constant("c", "CLASS_WEIGHTS", network.class_weights))
    return tuple(found)


def _initial(network: Network, system: EquationSystem) -> dict[str, Initial]:
    """Return how each parameter starts: the weights by their layer's initialiser, the biases at 0."""
    found = {}
    for number, layer in enumerate(network.layers, start=1):
        fan_in, fan_out = system.quantities[f"w{number}"].shape
        initializer = initializer_of(network, layer)
        found[f"w{number}"] = Initial(initializer, fan_in, fan_out, activation=layer.activation)
        if network.bias:
            found[f"b{number}"] = Initial()
    return found


def _target(network: Network, system: EquationSystem) -> Given:
    """Return the target with what the loss asks of it."""
    loss = LOSSES.get(network.loss)
    bounds = (loss.low, loss.high, loss.total) if loss else (None, None, None)
    low, high, total = (None if bound is None else sympify(bound) for bound in bounds)
    return Given("t", system.quantities["t"].shape, low=low, high=high, total=total)


def network_equations(network: Network) -> EquationSystem:
    """Return the forward equations of a dense network, for one sample, with symbolic sizes."""
    builder = _Builder(network)
    for number, layer in enumerate(network.layers, start=1):
        builder.add_layer(number, layer)
    return builder.finish()


class _Builder:
    """Collects quantities and equations layer by layer."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.quantities: dict[str, Quantity] = {}
        self.equations: list[Equation] = []
        self.parameters: list[str] = []
        self.output = self._declare("x0", size("n0"))

    def _declare(self, name: str, *shape: Expr) -> Quantity:
        self.quantities[name] = quantity(name, *shape)
        return self.quantities[name]

    def letter(self, layer: int) -> Symbol:
        """Return the index of a layer's units: i for the outputs, then j, k, and round again."""
        return index("ijk"[(self.network.depth - layer) % 3])

    def add_layer(self, number: int, layer: Layer) -> None:
        """Add the pre-activation and the output of one layer."""
        units_before, units = size(f"n{number - 1}"), size(f"n{number}")
        before, own, other = self.letter(number - 1), self.letter(number), self.letter(number - 2)
        weight = self._declare(f"w{number}", units_before, units)
        self.parameters.append(weight.name)
        total = sum_over(self.output[before] * weight[before, own], (before, units_before))
        if self.network.bias:
            bias = self._declare(f"b{number}", units)
            self.parameters.append(bias.name)
            total += bias[own]
        pre_activation = self._declare(f"s{number}", units)
        self.equations.append(Equation(pre_activation[own], total))
        self.output = self._declare(f"x{number}", units)
        value = activation_expression(layer.activation, pre_activation, own, other)
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
        total = _constant_outside(sum_over(per_output, (i, target.shape[0])))
        self.equations.append(Equation(error.symbol, Add(total, *self._regularisation())))
        return EquationSystem(
            tuple(self.equations),
            self.quantities,
            tuple(self.parameters),
            ("x0", "t"),
            "E",
            self._facts(target, i),
        )

    def _smoothed(self, target: Quantity, i: Symbol) -> Quantity:
        """Return the target that the error is taken with, after adding its equation if it is another."""
        if not self.network.label_smoothing:
            return target
        (outputs,) = target.shape
        smoothed = self._declare("u", outputs)
        middle = _middle_target(self.network.loss, outputs)
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
                terms.append(symbol * _constant_outside(total))
        return terms

    def _facts(self, target: Quantity, i: Symbol) -> tuple[Fact, ...]:
        loss = LOSSES.get(self.network.loss)
        if loss is None or loss.total is None or not self.network.facts:
            return ()
        return (Fact(target[i], i, sympify(loss.total)),)


def _middle_target(loss: str, outputs: Expr) -> Expr:
    """Return the target that says nothing: equal shares of a total, or the middle of the range."""
    entry = LOSSES.get(loss)
    if entry is None or entry.low is None or entry.high is None:
        known = ", ".join(name for name, each in LOSSES.items() if each.low is not None)
        raise SpecificationError(f"label_smoothing: {excerpt(loss)} sets no range of targets; use {known}")
    if entry.total is not None:
        return Integer(entry.total) / outputs
    return Rational(entry.low + entry.high, 2)


def initializer_of(network: Network, layer: Layer) -> Initializer:
    """Return the initialiser of a layer's weights: the one asked for, or what fits the activation."""
    activation = ACTIVATIONS.get(layer.activation)
    return INITIALIZERS[network.init or (activation.initializer if activation else "xavier_uniform")]


def _constant_outside(total: Expr) -> Expr:
    """Return a sum with the constant factor of its body, or its minus sign, in front."""
    constant, body = total.function.as_coeff_Mul()
    if body.could_extract_minus_sign():
        constant, body = -constant, -body
    return constant * total.func(body, *total.limits)


def activation_expression(text: str, pre_activation: Quantity, own: Symbol, other: Symbol) -> Expr:
    """Return the output of a unit; ``other`` is the index that a sum over the layer runs over."""
    template = _activation_template(text)
    units = pre_activation.shape[0]
    layer = {_LAYER.base: pre_activation.base, _UNITS: units, _OTHER: other}
    return template.xreplace({_UNIT: pre_activation[own], **layer})


_OTHER = index("_other")
_UNITS = size("_units")
_LAYER = quantity("_layer", _UNITS)
_UNIT = Symbol("_unit", real=True)


@cache
def _activation_template(text: str) -> Expr:
    """Return an activation for the unit `_UNIT` of the layer `_LAYER`."""

    def total(term: Expr) -> Expr:
        return sum_over(term.xreplace({_UNIT: _LAYER[_OTHER]}), (_OTHER, _UNITS))

    formula, scope = activation_formula(text)
    return parse(formula, {"s": _UNIT, **scope}, {**activation_functions(), "total": total})


def read_activation(text: str, subject: str) -> Expr:
    """Return an activation as an expression in s; raises SpecificationError where it is none."""
    formula, scope = activation_formula(text, subject)
    known: dict[str, Callable[[Expr], Expr]] = activation_functions()
    if text in ACTIVATIONS:
        known = {**known, "total": lambda term: term + 1}  # any other unit will do here
    expression = parse(formula, {"s": _PROBE, **scope}, known, subject=subject)
    if _PROBE not in expression.free_symbols:
        raise SpecificationError(
            f"{subject}: {excerpt(text)} does not depend on s, so nothing can be learned"
        )
    return expression


def read_loss(text: str) -> Expr:
    """Return a loss as an expression in x and t; raises SpecificationError where it is none."""
    formula, scope = loss_formula(text)
    names = {name: Symbol(name, real=True) for name in ("x", "t")}
    expression = parse(formula, {**names, **scope}, activation_functions(), subject="loss")
    if names["x"] not in expression.free_symbols:
        raise SpecificationError(
            f"loss: {excerpt(text)} does not depend on the output x, so nothing can be learned"
        )
    return expression


def activation_formula(text: str, subject: str = "activation") -> tuple[str, dict[str, Expr]]:
    """Return the formula of an activation given as a name, a call or a formula, and its constants."""
    return _formula(text, ACTIVATIONS, "activation", subject)


def loss_formula(text: str) -> tuple[str, dict[str, Expr]]:
    """Return the formula of a loss given as a name, a call or a formula, and its constants."""
    return _formula(text, LOSSES, "loss", "loss")


def _formula(text: str, table: dict, kind: str, subject: str) -> tuple[str, dict[str, Expr]]:  # type: ignore[type-arg]
    call = parse_call(text, subject=subject)
    if call is None or (call[0] not in table and not call[1]):
        return text, {}
    name = call[0].replace("-", "_")
    if name not in table:
        raise SpecificationError(f"{subject}: '{name}' is not a known {kind}; {suggestion(name, table)}")
    entry = table[name]
    for parameter in call[1]:
        if parameter not in entry.parameters:
            raise SpecificationError(
                f"{subject}: '{name}' has no parameter '{parameter}'; {_parameters(name, entry.parameters)}"
            )
    return entry.formula, {**_rational(entry.parameters), **call[1]}


def _parameters(name: str, parameters: dict[str, Fraction]) -> str:
    if not parameters:
        return f"'{name}' takes none"
    return "it takes " + ", ".join(sorted(parameters))


def _rational(parameters: dict[str, Fraction]) -> dict[str, Expr]:
    return {name: Rational(value.numerator, value.denominator) for name, value in parameters.items()}


def activation_functions() -> dict[str, Callable[[Expr], Expr]]:
    """Return the activations of one unit that a formula may call by name."""
    found: dict[str, Callable[[Expr], Expr]] = {}
    for name, activation in ACTIVATIONS.items():
        if "total(" not in activation.formula:
            found[name] = _function(activation.formula, _rational(activation.parameters))
    return found


def _function(formula: str, scope: dict[str, Expr]) -> Callable[[Expr], Expr]:
    def apply(argument: Expr) -> Expr:
        return parse(formula, {"s": _PROBE, **scope}).xreplace({_PROBE: argument})

    return apply
