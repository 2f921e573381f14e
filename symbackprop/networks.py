"""A dense network as equations, per sample: s_i = Σ_j x_j w_ji + b_i, x_i = f(s_i), E."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import cache, partial
from types import MappingProxyType
from typing import TypeVar

from sympy import Abs, Add, Expr, Integer, Rational, Symbol, sympify

from symbackprop.calculus.indices import renamed
from symbackprop.equations import (
    Equation,
    EquationSystem,
    Fact,
    Quantity,
    constant_outside,
    index,
    quantity,
    size,
    sum_over,
)
from symbackprop.errors import SpecificationError, UnsupportedExpression, excerpt, suggestion
from symbackprop.formula import Function, ParametricFunction, names_called, parse, parse_call
from symbackprop.library import ACTIVATIONS, INITIALIZERS, LOSSES, Activation, Initializer, Loss
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
        title=network.title,
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
        layers=network.layers,
    )


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() and c.isascii() else " " for c in text).split()


def _constants(network: Network) -> tuple[Constant, ...]:
    values = (
        (L2.name, network.l2),
        (L1.name, network.l1),
        (SMOOTHING.name, network.label_smoothing),
    )
    found = [Constant(name, value) for name, value in values if value]
    if network.class_weights is not None:
        found.append(Constant("c", network.class_weights))
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
        for name, value in trainable_parameters(layer.activation).items():
            found[f"{name}{number}"] = Initial(value=float(value))
    return found


def _target(network: Network, system: EquationSystem) -> Given:
    """Return the target with what the loss asks of it."""
    loss = loss_of(network.loss)
    bounds = (loss.low, loss.high, loss.total if network.facts else None) if loss else (None, None, None)
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
        trainable: dict[str, Expr] = {}
        for name in trainable_parameters(layer.activation):
            parameter = self._declare(f"{name}{number}")
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


def middle_target(loss: str, outputs: Expr) -> Expr:
    """Return the target that says nothing: equal shares of a total, or the middle of the range."""
    entry = loss_of(loss)
    if entry is None or entry.low is None or entry.high is None:
        bounded = (name for name, each in LOSSES.items() if None not in (each.low, each.high))
        known = ", ".join(bounded)
        raise SpecificationError(f"label_smoothing: {excerpt(loss)} sets no range of targets; use {known}")
    if entry.total is not None:
        return Integer(entry.total) / outputs
    return Rational(entry.low + entry.high, 2)


def initializer_of(network: Network, layer: Layer) -> Initializer:
    """Return the initialiser of a layer's weights: the one asked for, or what fits the activation."""
    activation = activation_of(layer.activation)
    return INITIALIZERS[network.init or (activation.initializer if activation else "xavier_uniform")]


def activation_expression(
    text: str,
    pre_activation: Quantity,
    own: Symbol,
    other: Symbol,
    trainable: Mapping[str, Expr] = MappingProxyType({}),
) -> Expr:
    """Return the output of a unit.

    Args:
        text: the activation as a name, a call or a formula.
        pre_activation: s of the layer.
        own: the index of the unit.
        other: the index that a sum over the layer runs over.
        trainable: what the trainable parameters of the activation are called in this layer; for those
            that are not given their first values are put in.
    """
    template = _activation_template(text)
    values = {_trainable(name): value for name, value in trainable_parameters(text).items()}
    values |= {_trainable(name): value for name, value in trainable.items()}
    values |= {_UNITS: pre_activation.shape[0], _OTHER: other}
    names = {_UNIT: pre_activation[own], _LAYER.base: pre_activation.base, **values}
    are_names = all(value.is_Symbol for value in values.values())
    return renamed(template, names) if are_names else template.xreplace(names)


_OTHER = index("_other")
_UNITS = size("_units")
_LAYER = quantity("_layer", _UNITS)
_UNIT = Symbol("_unit", real=True)


def _trainable(name: str) -> Symbol:
    return Symbol(f"_trainable_{name}", real=True)


@cache
def _activation_template(text: str) -> Expr:
    """Return an activation for the unit `_UNIT` of the layer `_LAYER`."""
    return _activation(text, "activation", _UNIT)


def _activation(text: str, subject: str, unit: Expr) -> Expr:
    """Return an activation of ``unit``, its trainable parameters as placeholders."""
    entry, scope = _entry(text, ACTIVATIONS, "activation", subject)
    if entry is None:
        return parse(text, {"s": unit}, _functions_of_a_layer(), subject=subject)
    scope |= {name: _trainable(name) for name in trainable_parameters(text)}
    return parse(entry.formula, {"s": unit, **scope}, {"total": _total}, subject=subject)


def _total(term: Expr) -> Expr:
    """Return the sum of ``term``, which is about `_UNIT`, over all units of the layer."""
    if term.has(_OTHER):
        raise UnsupportedExpression("softmax of something that holds a softmax itself is not supported yet")
    return sum_over(term.xreplace({_UNIT: _LAYER[_OTHER]}), (_OTHER, _UNITS))


def read_activation(text: str, subject: str) -> Expr:
    """Return an activation as an expression in s; raises SpecificationError where it is none."""
    expression = _activation(text, subject, _UNIT)
    if _UNIT not in expression.free_symbols:
        raise SpecificationError(
            f"{subject}: {excerpt(text)} does not depend on s, so nothing can be learned"
        )
    return expression.xreplace({_UNIT: _PROBE})


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


def activation_of(text: str) -> Activation | None:
    """Return the activation of the library that a name or a call stands for, None for a formula."""
    return _entry(text, ACTIVATIONS, "activation", "activation")[0]


def activation_constants(name: str) -> dict[str, Expr]:
    """Return the constants of an activation of the library, trainable ones too, with their values."""
    return _rational(ACTIVATIONS[name].parameters)


def loss_of(text: str) -> Loss | None:
    """Return the loss of the library that a name or a call stands for, None for a formula."""
    return _entry(text, LOSSES, "loss", "loss")[0]


def loss_formula(text: str) -> tuple[str, dict[str, Expr]]:
    """Return the formula of a loss given as a name, a call or a formula, and its constants."""
    entry, values = _entry(text, LOSSES, "loss", "loss")
    return (text, {}) if entry is None else (entry.formula, values)


@cache
def trainable_parameters(text: str) -> dict[str, Expr]:
    """Return the trainable parameters of an activation, and the values that they start with."""
    entry, values = _entry(text, ACTIVATIONS, "activation", "activation")
    if entry is not None:
        return values if entry.trainable else {}
    called = [ACTIVATIONS[name] for name in sorted(names_called(text)) if name in ACTIVATIONS]
    return {k: v for each in called if each.trainable for k, v in _rational(each.parameters).items()}


Entry = TypeVar("Entry", Activation, Loss)


def _entry(
    text: str, table: Mapping[str, Entry], kind: str, subject: str
) -> tuple[Entry | None, dict[str, Expr]]:
    """Return the entry that a name or a call stands for, and its constants; None for a formula."""
    call = parse_call(text, subject=subject)
    if call is None or (call[0] not in table and not call[1]):
        return None, {}
    name, given = call
    if name not in table:
        raise SpecificationError(f"{subject}: '{name}' is not a known {kind}; {suggestion(name, table)}")
    entry = table[name]
    for parameter in given:
        if parameter not in entry.parameters:
            problem = f"'{name}' has no parameter '{parameter}'"
            raise SpecificationError(f"{subject}: {problem}; {_parameters(name, entry.parameters)}")
    return entry, {**_rational(entry.parameters), **given}


def _parameters(name: str, parameters: Mapping[str, Fraction]) -> str:
    if not parameters:
        return f"'{name}' takes none"
    return "it takes " + ", ".join(sorted(parameters))


def _rational(parameters: Mapping[str, Fraction]) -> dict[str, Expr]:
    return {name: Rational(value.numerator, value.denominator) for name, value in parameters.items()}


def activation_functions() -> dict[str, Function]:
    """Return the activations of one unit that any formula may call by name."""
    return {
        name: ParametricFunction(partial(_applied, name), frozenset(activation.parameters))
        for name, activation in ACTIVATIONS.items()
        if "total(" not in activation.formula and not activation.trainable
    }


def _functions_of_a_layer() -> dict[str, Function]:
    """Return what the formula of an activation may call: every activation."""
    functions = activation_functions()
    for name, activation in ACTIVATIONS.items():
        if name not in functions:
            fixed = frozenset() if activation.trainable else frozenset(activation.parameters)
            functions[name] = ParametricFunction(partial(_applied, name), fixed)
    return functions


def _applied(name: str, argument: Expr, **values: Expr) -> Expr:
    """Return an activation of the library of ``argument``."""
    entry = ACTIVATIONS[name]
    scope = _rational(entry.parameters) | values
    if entry.trainable:
        scope = {parameter: _trainable(parameter) for parameter in entry.parameters}
    total = {"total": lambda term: _total(term.xreplace({_PROBE: argument}))}
    whole = parse(entry.formula, {"s": _PROBE, **scope}, total if "total(" in entry.formula else {})
    return whole.xreplace({_PROBE: argument})
