"""Activations and losses of the library, calls with parameters and formulas, as expressions."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache, partial
from types import MappingProxyType
from typing import TypeVar

from sympy import Expr, Integer, Rational, Symbol

from symbackprop.equations.indices import renamed
from symbackprop.equations.system import Quantity, index, quantity, size, sum_over
from symbackprop.errors import SpecificationError, UnsupportedExpression, excerpt, suggestion
from symbackprop.library.activations import ACTIVATIONS, Activation
from symbackprop.library.formula import (
    Function,
    ParametricFunction,
    computed,
    names_called,
    parse,
    parse_call,
)
from symbackprop.library.losses import LOSSES, Loss

_PROBE = Symbol("s", real=True)


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
        trainable: the symbols of the activation's trainable parameters in this layer; those that are
            missing get their first values.
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


@lru_cache(maxsize=1024)
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
    return computed(sum_over, computed(term.xreplace, {_UNIT: _LAYER[_OTHER]}), (_OTHER, _UNITS))


def read_activation(text: str, subject: str) -> Expr:
    """Return an activation as an expression in s; raises SpecificationError where it is none."""
    expression = _activation(text, subject, _UNIT)
    if _UNIT not in expression.free_symbols:
        raise SpecificationError(
            f"{subject}: {excerpt(text)} does not depend on s, so nothing can be learned"
        )
    return expression.xreplace({_UNIT: _PROBE})


def activation_at_start(text: str) -> Expr:
    """Return an activation as an expression in s, with the first values of its trainable parameters."""
    first = {_trainable(name): value for name, value in trainable_parameters(text).items()}
    return read_activation(text, "activation").xreplace(first)


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


@lru_cache(maxsize=1024)
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
        if not activation.is_of_layer and not activation.trainable
    }


def _functions_of_a_layer() -> dict[str, Function]:
    """Return the functions that the formula of an activation may call, by name: every activation."""
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
    total = {"total": lambda term: _total(computed(term.xreplace, {_PROBE: argument}))}
    whole = parse(entry.formula, {"s": _PROBE, **scope}, total if entry.is_of_layer else {})
    return computed(whole.xreplace, {_PROBE: argument})
