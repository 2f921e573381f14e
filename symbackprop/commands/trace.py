"""A worked example: the equations of a derivation with their numbers, and one step of training.

In go a ``Network`` and, if the user has them, parameters and data, out comes a ``Trace``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import ArrayLike

from symbackprop.commands.inputs import Array, Data, Leaves
from symbackprop.commands.trace_document import render_trace, shown
from symbackprop.commands.trace_values import DIGITS, Premature, TraceValues, moved
from symbackprop.document.printable import Printable
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import name_of
from symbackprop.errors import (
    SpecificationError,
    excerpt,
    require,
    require_names,
    require_positive,
    require_whole,
    require_within,
    suggestion,
)
from symbackprop.network.network import Network
from symbackprop.numbers.evaluation import Evaluation
from symbackprop.pipeline import derive


class Trace(Printable, TraceValues):
    """A worked example: the numbers of a derivation, which print themselves as a document."""

    def _rendered(self, form: str, notation: str | None, fragment: bool, language: str) -> str:
        return render_trace(self, form, notation=notation, fragment=fragment, language=language)

    def __repr__(self) -> str:
        loss, after = (shown(value, self.digits) for value in (self.loss, self.loss_after))
        return f"<Trace of {self.derivation.description}: E = {loss}, then {after}>"


def trace(
    network: Network,
    *,
    parameters: Mapping[str, ArrayLike] | None = None,
    x: Data = None,
    t: Data = None,
    learning_rate: float = 0.5,
    freeze: Collection[str] = (),
    seed: int = 0,
    digits: int = DIGITS,
) -> Trace:
    """Put numbers into the derivation of ``network``, and carry out one step of gradient descent.

    Args:
        network: the network that is derived.
        parameters: parameter name -> array; by default those that the trainer starts with, rounded.
        x: the inputs, a row a sample (or one sample); a dict by declared name where there are several.
            By default one drawn sample.
        t: the targets, likewise.
        learning_rate: of the step.
        freeze: names of parameters that the step leaves as they are.
        seed: of the random numbers.
        digits: significant digits of the printed numbers, from 3 to 17.

    Raises:
        SpecificationError: an array that does not fit, or an unknown name.
    """
    require("trace", network, Network, "a Network")
    rate = require_positive("learning rate", learning_rate)
    seed = require_whole("seed", seed)
    digits = require_within("digits", digits, *_FEWEST_AND_MOST_DIGITS)
    if x is None:
        network = network.with_small_sizes()
    derivation = derive(network)
    frozen = _frozen(freeze, derivation.system.parameters)
    numbers = _numbers(derivation, parameters, x, t, seed)
    leaves = {name: array for name, array in numbers.values.items() if numbers.is_leaf(name)}
    names = derivation.system.parameters
    gradients = {name: numbers.gradient(name) for name in names}
    updated = {
        name: leaves[name] if name in frozen else moved(derivation, leaves[name], gradients[name], rate)
        for name in names
    }
    after = Evaluation(derivation, {**leaves, **updated}, numbers.sizes)
    after.run_forward()
    premature = _premature(numbers, leaves, frozen, rate)
    return Trace(derivation, numbers, after, gradients, updated, rate, frozen, premature, digits)


def _numbers(
    derivation: Derived,
    parameters: Mapping[str, ArrayLike] | None,
    x: Data,
    t: Data,
    seed: int,
) -> Evaluation:
    """Return the evaluated derivation; arrays are drawn anew where a gradient is 0 or not finite."""
    draws = 1 if parameters is not None and x is not None else _DRAWS
    tried: list[Evaluation] = []
    for draw in range(draws):
        leaves = Leaves(derivation)
        leaves.take_data(x, t, seed + draw * _STRIDE)  # first, as it may bring sizes that nothing else fixes
        leaves.take_parameters(parameters, seed + draw * _STRIDE)
        tried.append(Evaluation(derivation, leaves.arrays, leaves.sizes).run())
        if all(
            np.isfinite(g).all() and g.any() for g in map(tried[-1].gradient, derivation.system.parameters)
        ):
            return tried[-1]
    return tried[0]


_DRAWS, _STRIDE = 10, 1000
_FEWEST_AND_MOST_DIGITS = 3, 17


def _premature(
    right: Evaluation, leaves: Mapping[str, Array], frozen: Collection[str], rate: float
) -> Premature | None:
    """Return the outcome of a backward pass that goes on with moved parameters, None if it is the same."""
    derivation = right.derivation
    parameters = derivation.system.parameters
    wrong = Evaluation(derivation, leaves, right.sizes)
    wrong.run_forward()
    first: tuple[Step, tuple[str, ...]] | None = None
    gradients: dict[str, Array] = {}
    for name in derivation.results_in_order:
        wrong.run_result(name)
        if first is None and not np.array_equal(wrong.slopes[name], right.slopes[name], equal_nan=True):
            step = derivation.by_number[derivation.results[name]]
            read = {name_of(c) for c in derivation.system.reads(step.rhs)}
            first = step, tuple(p for p in gradients if p in read and p not in frozen)
        if name in parameters:
            gradients[name] = wrong.gradient(name)
            if name not in frozen:
                wrong.values[name] = moved(derivation, wrong.values[name], gradients[name], rate)
    if first is None or all(
        np.array_equal(gradients[n], right.gradient(n), equal_nan=True) for n in parameters
    ):
        return None
    wrong.run_forward()
    repeated = _repeated(right, leaves, first[1], frozen, rate)
    return Premature(*first, {name: gradients[name] for name in parameters}, wrong.loss, repeated)


def _repeated(
    right: Evaluation,
    leaves: Mapping[str, Array],
    first: Collection[str],
    frozen: Collection[str],
    rate: float,
) -> float:
    """Return E after a step in which the others follow ``first`` by derivatives at its new values."""
    derivation = right.derivation
    system = derivation.system
    again = Evaluation(
        derivation, {n: v for n, v in right.values.items() if n in system.quantities}, right.sizes
    )
    for name in first:
        again.values[name] = moved(derivation, right.values[name], right.gradient(name), rate)
    again.run()
    others = [name for name in system.parameters if name not in (*first, *frozen)]
    new = {name: moved(derivation, again.values[name], again.gradient(name), rate) for name in others}
    again.values |= new
    again.run_forward()
    return again.loss


def _frozen(freeze: object, parameters: Collection[str]) -> tuple[str, ...]:
    names = require_names("freeze", freeze)
    for name in names:
        if name not in parameters:
            raise SpecificationError(
                f"freeze: {excerpt(name)} is no parameter; {suggestion(name, parameters)}"
            )
    return tuple(name for name in parameters if name in names)
