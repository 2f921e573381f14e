"""The numbers that a generated module is to give: the equations of its derivation, evaluated as they stand.

In go a ``Derived`` and arrays, out come outputs, E and its derivatives.  Nothing of the generated code, and
none of the array operations that it is made of, is used here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
from sympy import Add, Expr, Function, Pow, Rational, Symbol, expand_mul, preorder_traversal

from symbackprop.commands.inputs import Array, Leaves
from symbackprop.derivation.batch import SampleAxis
from symbackprop.equations.model import Model
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import BINDERS
from symbackprop.network.random_data import Data, as_argument
from symbackprop.numbers.evaluation import Evaluation

Arrays = dict[str, Array]
"""Arrays by the names of the equations: parameters, or inputs and targets."""


class Reference:
    """Evaluates one derivation for parameters and data.

    ``stable`` says whether by its stable forms: where numbers are so large that the equations as they stand
    have no value in floats, as a softmax of scores beyond 709.
    """

    def __init__(self, derivation: Derived, data: Arrays, stable: bool = False) -> None:
        assert derivation.model is not None
        self.derivation, self.stable = derivation, stable
        self.model: Model = derivation.model
        leaves = Leaves(derivation)
        given = set(leaves.arrays)
        leaves.take_data(*self.arguments(data), 0)
        self.sizes = leaves.sizes  # those that are open are the same for any number of rows
        self.constants = {name: leaves.arrays[name] for name in given}
        self.evaluation = Evaluation(derivation, {}, leaves.sizes)
        self.use = None if derivation.use is None else Evaluation(derivation.use, {}, leaves.sizes)
        self.axis = SampleAxis(derivation)

    def arguments(self, data: Mapping[str, Array]) -> tuple[Data, Data]:
        """Return x and t as a module's functions take them."""
        return as_argument(self.model.inputs, data), as_argument(self.model.targets, data)

    def rows(self, data: Mapping[str, Array]) -> int:
        """Return the number of samples in some data."""
        return next(len(data[given.name]) for given in self.model.inputs if given.has_samples)

    def numbers(
        self,
        parameters: Mapping[str, Array],
        data: Mapping[str, Array],
        stable: bool = False,
        held: Mapping[str, Array] = MappingProxyType({}),
    ) -> Numbers:
        """Return the numbers of the derivation for a batch, by the ``stable`` forms if asked.

        ``held`` are the values of quantities that are not computed.
        """
        sizes = {**self.sizes, SAMPLES.name: self.rows(data)}
        leaves = {**self.constants, **parameters, **data}
        evaluation = self.evaluation.with_leaves(leaves, sizes)
        use = None if self.use is None else self.use.with_leaves(leaves, sizes)
        return Numbers(self.model, evaluation, self.axis, stable or self.stable, held, use)

    @cached_property
    def work(self) -> int:
        """The number of equations that are evaluated for all derivatives."""
        return len(self.derivation.system.equations) + len(self.derivation.results)


@dataclass
class Numbers:
    """The numbers of the derivation for one batch: each is computed when it is asked for."""

    model: Model
    evaluation: Evaluation
    axis: SampleAxis
    stable: bool = False
    held: Mapping[str, Array] = field(default_factory=dict)
    use: Evaluation | None = None

    @cached_property
    def forward(self) -> Evaluation:
        """The evaluated forward equations."""
        self.evaluation.run_forward(self.stable, held=self.held)
        return self.evaluation

    @cached_property
    def in_use(self) -> Evaluation:
        """The evaluated equations of the network in use."""
        if self.use is None:
            return self.forward
        self.use.run_forward(self.stable)
        return self.use

    @property
    def outputs(self) -> Arrays:
        """The outputs by name, the samples first."""
        return {name: self.in_use.values[name] for name in self.model.outputs}

    @property
    def states(self) -> Arrays:
        """What a step leaves in each state."""
        return {name: self.forward.values[new] for name, new in self.model.states.items()}

    @property
    def error(self) -> float:
        """E of the batch."""
        return self.forward.loss

    @cached_property
    def gradients(self) -> Arrays:
        """The derivative of E of the batch for each parameter."""
        return {name: self._backward.gradient(name) for name in self.model.system.parameters}

    def weighted(self, weights: Array) -> tuple[float, Arrays]:
        """Return E and its derivatives where ``weights`` multiply the errors of the samples."""
        found = self._backward
        definition = found.system.definitions[found.system.loss]
        error = self._mean(found.values[found.system.loss], definition.rhs, {}, weights)
        gradients = {}
        for name in self.model.system.parameters:
            step = found.derivation.by_number[found.derivation.results[name]]
            step = found.derivation.stable_form_of.get(step.number, step)
            ranges = found.free_indices(step.lhs)
            gradients[name] = self._mean(found.slopes[name], step.rhs, ranges, weights)
        return float(error), gradients

    def _mean(self, each: Array, expression: Expr, ranges: Mapping[Symbol, int], weights: Array) -> Array:
        """Return the weighted mean of what differs from sample to sample, with the rest added as it is."""
        terms = Add.make_args(expand_mul(expression, deep=False))
        rest = self.evaluation.over_samples(Add(*[t for t in terms if not self.axis.varies(t)]), ranges)
        column = weights.reshape(-1, *[1] * (rest.ndim - 1))
        return np.asarray((column * (each - rest)).mean(axis=0) + rest[0])

    @cached_property
    def _backward(self) -> Evaluation:
        for name in self.evaluation.derivation.results_in_order:
            self.forward.run_result(name)
        return self.evaluation

    # ------------------------------------------------------------ outside of a domain

    @property
    def is_finite(self) -> bool:
        """Whether E and all its derivatives are numbers."""
        numbers = [np.asarray(self.error), *self.outputs.values(), *self.gradients.values()]
        numbers += [np.asarray(self.in_use.loss), *self.states.values()]
        return all(bool(np.isfinite(n).all()) for n in numbers)

    def where_not_finite(self) -> str:
        """Return what has no number, as in "out of the domain of sqrt in (3)"."""
        found = self._backward
        for number, lhs, rhs in self._computed():
            if not np.isfinite(found.evaluate(rhs, tuple(found.free_indices(lhs)), lhs)).all():
                return f"out of the domain of {self._function(rhs, lhs)} in ({number})"
        return "out of the domain of the equations"

    def _computed(self) -> Iterator[tuple[int, Expr, Expr]]:
        """Yield number and sides of the equations and of the results that are evaluated."""
        derivation = self.evaluation.derivation
        for equation in derivation.system.equations:
            yield derivation.labels[equation.name], equation.lhs, equation.rhs
        for number in derivation.results.values():
            step = derivation.stable_form_of.get(number, derivation.by_number[number])
            yield step.number, step.lhs, step.rhs

    def missing(self) -> tuple[int, int]:
        """Return how far the first equation without a number is from the last, and how often it has none."""
        found, computed = self._backward, list(self._computed())
        for place, (_, lhs, rhs) in enumerate(computed):
            if not np.isfinite(found.evaluate(rhs, tuple(found.free_indices(lhs)), lhs)).all():
                return len(computed) - place, sum(count for _, count in self._leaving(rhs, lhs))
        return 0, 0

    def _function(self, expression: Expr, lhs: Expr) -> str:
        """Return the name of the first function in an expression that leaves its domain."""
        return next((_name(node) for node, _ in self._leaving(expression, lhs)), "an equation")

    def _leaving(self, expression: Expr, lhs: Expr) -> Iterator[tuple[Expr, int]]:
        """Yield each function that has no value where its arguments do, with the number of such places."""
        inner = [node for node in preorder_traversal(expression) if isinstance(node, Pow | Function)]
        all_ranges = self._ranges(expression, lhs)
        for node in reversed(inner):
            ranges = {i: n for i, n in all_ranges.items() if i in node.free_symbols}
            lost = ~np.isfinite(self._over(node, ranges))
            if lost.any() and all(np.isfinite(self._over(a, ranges)).all() for a in node.args):
                yield node, int(lost.sum())

    def _ranges(self, expression: Expr, lhs: Expr) -> dict[Symbol, int]:
        """Return the range of each index in an expression, those of its sums too."""
        ranges = dict(self.evaluation.free_indices(lhs))
        for binder in expression.atoms(*BINDERS):
            ranges |= {i: self.evaluation.size(high + 1) for i, _, high in binder.limits}
        return ranges

    def _over(self, node: Expr, ranges: Mapping[Symbol, int]) -> Array:
        return (self.evaluation.over_samples if self.model.per_sample else self.evaluation.over)(node, ranges)


def _name(node: Expr) -> str:
    """Return what a person calls a function: a power with exponent -1 is a division."""
    if not isinstance(node, Pow):
        return str(node.func.__name__)
    if isinstance(node.exp, Rational) and node.exp.q == 2:
        return "sqrt"
    return "a division" if node.exp.is_negative else "a power"
