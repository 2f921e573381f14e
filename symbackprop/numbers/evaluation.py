"""Numbers for indexed expressions: the equations and steps of a derivation on arrays.

In go a ``Derived`` and arrays for its inputs and parameters, out come arrays for everything else.
An expression is evaluated node by node; each index is an axis, and a sum adds one up.  Nothing here
knows a derivative: each step is computed as it is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import lru_cache, reduce
from types import MappingProxyType
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from sympy import (
    Abs,
    Add,
    And,
    Basic,
    Derivative,
    Dummy,
    Expr,
    Indexed,
    KroneckerDelta,
    Max,
    Min,
    Mul,
    Not,
    Or,
    Piecewise,
    Pow,
    Sum,
    Symbol,
    exp,
    lambdify,
    log,
)
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean, BooleanAtom

from symbackprop.derivation.batch import SampleAxis
from symbackprop.equations.circles import Circle, parts_of
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import ArgMax, Equation, indices_of, name_of, size
from symbackprop.errors import UnsupportedExpression

Array = NDArray[Any]
Environment = Mapping[Symbol, Array]
"""Index symbol -> its values, along an axis of their own."""

_IMPLICIT = Dummy("sample", integer=True)
"""The index of the sample in equations that are written for one sample."""
_LARGEST = 10**7  # elements of one intermediate array
_MANY = 10**5  # elements from which it pays to think about how they are computed


class Evaluation:
    """The numbers of a derivation for its data.

    ``values`` holds an array for each quantity and each named adjoint; those that differ from sample to
    sample have the samples as their first axis.  ``slopes`` holds the derivative of E for each quantity that
    has a result, ``outside`` the numbers of the steps that read outside of an array without a guard.

    Args:
        derivation: the derivation of a network whose sizes are known.
        leaves: arrays for inputs, targets, parameters and constants with axes.
        sizes: the number of each size symbol, by name.
        replaced: steps to evaluate in place of those that have their numbers.
    """

    def __init__(
        self,
        derivation: Derived,
        leaves: Mapping[str, Array],
        sizes: Mapping[str, int],
        replaced: Mapping[int, Step] | None = None,
    ) -> None:
        self.derivation = derivation
        self.system = derivation.system
        model = derivation.model
        assert model is not None
        self.per_sample = model.per_sample
        self.sizes = dict(sizes)
        self.scalars: dict[Symbol, float] = {size(name): number for name, number in sizes.items()}
        self.scalars |= {c.symbol: c.value for c in model.constants if not isinstance(c.value, tuple)}
        self.varying = SampleAxis(derivation).varying if self.per_sample else frozenset()
        self.values: dict[str, Array] = dict(leaves)
        self.slopes: dict[str, Array] = {}
        self.outside: list[int] = []
        self._reads_outside = False
        self.replaced = dict(replaced or {})
        self._adjoints = {quantity: adjoint for adjoint, quantity in derivation.adjoints.items()}
        self._batch = {step.target: step.number for step in derivation.batch}
        self._ranges: dict[Expr, dict[Symbol, int]] = {}
        self._parts = parts_of(self.system.equations, self.system.reads)
        self._quantity_of = {adjoint.name: name for name, adjoint in self.system.adjoints.items()}

    def with_leaves(self, leaves: Mapping[str, Array], sizes: Mapping[str, int]) -> Evaluation:
        """Return the same for other data, with nothing evaluated yet."""
        other = copy(self)
        other.sizes = dict(sizes)
        other.scalars = {**self.scalars, **{size(name): number for name, number in sizes.items()}}
        other.values, other.slopes, other.outside = dict(leaves), {}, []
        other._ranges = self._ranges if other.sizes == self.sizes else {}
        return other

    def run(self, stable: bool = False) -> Evaluation:
        """Evaluate the equations, or their ``stable`` forms, then the results from the loss inwards."""
        self.run_forward(stable)
        for name in self.derivation.results_in_order:
            if name not in self.slopes:
                self.run_result(name)
        return self

    def run_forward(
        self,
        stable: bool = False,
        shifts: Mapping[str, Array] = MappingProxyType({}),
        held: Mapping[str, Array] = MappingProxyType({}),
    ) -> None:
        """Evaluate the forward equations, or their ``stable`` forms where there are some.

        ``shifts`` are added to quantities as soon as these are known, by name; ``held`` are the values of
        quantities that are not computed.
        """
        forms = self.derivation.stable_form_of if stable else {}
        for part in self._parts:
            if isinstance(part, Circle):
                sides = [(e.lhs, self._right_side(e, forms)) for e in part.equations]
                self._run_circle(part, sides, self._enter, shifts, held)
            elif part.name in held:
                self.values[part.name] = held[part.name] + shifts.get(part.name, 0.0)
            else:
                value = self.evaluate(self._right_side(part, forms), part.indices, part.lhs)
                self._enter(part.name, value + shifts.get(part.name, 0.0))

    def _run_circle(
        self,
        circle: Circle,
        sides: Sequence[tuple[Expr, Expr]],
        enter: Callable[[str, Array], None],
        shifts: Mapping[str, Array] = MappingProxyType({}),
        held: Mapping[str, Array] = MappingProxyType({}),
    ) -> None:
        """Evaluate the equations of a circle, whose ``sides`` are given, place by place.

        ``enter`` is given the array of each before its numbers are known.
        """
        arrays: list[Array] = []
        for name, (lhs, _) in zip(circle.names, sides, strict=True):
            samples = (self.sizes[SAMPLES.name],) if self.per_sample else ()
            arrays.append(np.full((*samples, *self.free_indices(lhs).values()), np.nan))
            enter(name, arrays[-1])
        for place in circle.places(self.size(circle.extent)):
            for name, (lhs, rhs), array in zip(circle.names, sides, arrays, strict=True):
                letters = list(self.free_indices(lhs))
                axis = circle.axes[name]
                if place >= array.shape[axis + self.per_sample]:
                    continue  # of what has the first places alone
                at: tuple[slice | int, ...] = (*[slice(None)] * (axis + self.per_sample), place)
                ranges = {i: n for i, n in self.free_indices(lhs).items() if i != letters[axis]}
                if self.per_sample:
                    ranges = {_IMPLICIT: self.sizes[SAMPLES.name], **ranges}
                known = held.get(name)
                letter = {letters[axis]: np.array(place)}
                array[at] = self.over(rhs, ranges, letter) if known is None else known[at]
                if name in shifts:
                    whole = np.broadcast_to(shifts[name], array.shape)
                    array[at] += whole[at]

    def _right_side(self, equation: Equation, forms: Mapping[int, Step]) -> Expr:
        form = forms.get(self.derivation.labels[equation.name])
        return equation.rhs if form is None else form.rhs

    def _enter(self, name: str, value: Array) -> None:
        """Enter the values of a quantity, which have all samples; where these are equal, of one."""
        shared = self.per_sample and name not in self.varying
        self.values[name] = value[0] if shared else value

    def moved(self, shifts: Mapping[str, Array]) -> float:
        """Return E, by stable forms, where ``shifts`` are added to quantities, by name."""
        leaves = {n: value + shifts.get(n, 0) for n, value in self.values.items() if self.is_leaf(n)}
        other = self.with_leaves(leaves, self.sizes)
        other.run_forward(stable=True, shifts=shifts, held=self.held)
        return other.loss

    @property
    def held(self) -> dict[str, Array]:
        """The values of the quantities that are held while a derivative is taken."""
        return {name: self.values[name] for name, q in self.system.quantities.items() if q.held}

    def is_leaf(self, name: str) -> bool:
        """Whether no equation defines a quantity."""
        return name in self.system.quantities and name not in self.system.definitions

    def run_result(self, name: str) -> None:
        """Evaluate the derivative of E for the quantity ``name``, and all that it goes in a circle with."""
        circle = self.derivation.result_circles.get(name)
        if circle is None:
            self._enter_slope(name, self.of_step(self._result(name)))
        else:
            self._run_results(circle)

    def _result(self, name: str) -> Step:
        """Return the step that is evaluated for the derivative of E for a quantity."""
        step = self.step(self.derivation.results[name])
        if step.number in self.replaced:
            return step
        return self.derivation.stable_form_of.get(step.number, step)

    def _enter_slope(self, name: str, value: Array) -> None:
        self.slopes[name] = value
        adjoint = self._adjoints.get(name)
        if adjoint is not None:
            self.values[adjoint] = value if adjoint in self.varying or not self.per_sample else value[0]

    def _run_results(self, circle: Circle) -> None:
        """Evaluate the derivatives of E for the quantities of a circle, whose adjoints are one, too."""
        names = {adjoint: self._quantity_of[adjoint] for adjoint in circle.names}
        steps = [self._result(name) for name in names.values()]
        self._reads_outside = False
        sides = [(step.lhs, step.rhs) for step in steps]
        self._run_circle(circle, sides, lambda adjoint, value: self._enter_slope(names[adjoint], value))
        if self._reads_outside:
            slopes = zip(steps, names.values(), strict=True)
            self.outside += [step.number for step, name in slopes if np.isnan(self.slopes[name]).any()]

    def step(self, number: int) -> Step:
        """Return the step of that number, or the one to evaluate in its place."""
        return self.replaced.get(number, self.derivation.by_number[number])

    # ------------------------------------------------------------ results

    @property
    def loss(self) -> float:
        """E of the whole batch."""
        with np.errstate(all="ignore"):
            return float(np.mean(self.values[self.system.loss]))

    def gradient(self, name: str) -> Array:
        """Return the derivative of E of the whole batch for the parameter ``name``."""
        if name in self._batch:
            return self.of_step(self.step(self._batch[name]))
        return self.slopes[name]

    def slope_of_mean(self, name: str) -> Array:
        """Return the derivative of E of the whole batch for a quantity, in the shape of its ``values``."""
        if name in self.system.parameters:
            return self.gradient(name)
        slope = self.slopes[name]
        if not self.per_sample:
            return slope
        return slope / len(slope) if name in self.varying else slope.mean(axis=0)

    def of_step(self, step: Step) -> Array:
        """Return the numbers of a step, with an axis for each index; one about a sample has all of them."""
        whole, self._reads_outside = self._batch.get(step.target) == step.number, False
        value = self.evaluate(step.rhs, tuple(self.free_indices(step.lhs)), step.lhs, whole)
        if self._reads_outside and np.isnan(value).any():
            self.outside.append(step.number)
        return value

    def free_indices(self, lhs: Expr) -> dict[Symbol, int]:
        """Return the range of each index on the left of a step, in the order in which they stand there."""
        if lhs not in self._ranges:
            self._ranges[lhs] = self._free_indices(lhs)
        return self._ranges[lhs]

    def _free_indices(self, lhs: Expr) -> dict[Symbol, int]:
        found: dict[Symbol, int] = {}
        parts = (lhs.expr, lhs.variables[0]) if isinstance(lhs, Derivative) else (lhs,)
        for part in parts:
            for read in self._reads(part):
                for i, n in zip(indices_of(read), self.shape(name_of(read)), strict=False):
                    if isinstance(i, Symbol) and i in part.free_symbols:
                        found.setdefault(i, n)
        return found

    def _reads(self, expression: Expr) -> Iterable[Expr]:
        if isinstance(expression, Indexed) or self.system.is_read(expression):
            return [expression]
        return sorted(expression.atoms(Indexed), key=str)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a quantity or an adjoint, as the equations write it."""
        quantity = self.system.quantities.get(self.derivation.adjoints.get(name, name))
        return () if quantity is None else tuple(map(self.size, quantity.shape))

    def size(self, n: Expr) -> int:
        """Return the number of a size."""
        return int(n.xreplace({s: self.sizes[s.name] for s in n.free_symbols}))

    # ------------------------------------------------------------ evaluation

    def evaluate(
        self, expression: Expr, indices: Sequence[Expr], lhs: Expr, whole_batch: bool = False
    ) -> Array:
        """Return ``expression`` for all values of ``indices``, whose ranges are those in ``lhs``."""
        ranges = self.free_indices(lhs)
        extents = [ranges[i] for i in indices if isinstance(i, Symbol)]
        symbols = [i for i in indices if isinstance(i, Symbol)]
        if self.per_sample and not whole_batch:
            symbols, extents = [_IMPLICIT, *symbols], [self.sizes[SAMPLES.name], *extents]
        return self.over(expression, dict(zip(symbols, extents, strict=True)))

    def over(
        self,
        expression: Expr,
        ranges: Mapping[Symbol, int],
        fixed: Environment = MappingProxyType({}),
    ) -> Array:
        """Return ``expression`` with an axis for each index in ``ranges``; others are ``fixed``."""
        extents = tuple(ranges.values())
        grid = np.ix_(*map(np.arange, extents)) if extents else ()
        with np.errstate(all="ignore"):
            value = self.value(expression, {**fixed, **dict(zip(ranges, grid, strict=True))})
        return np.array(np.broadcast_to(value, extents))

    def over_samples(self, expression: Expr, ranges: Mapping[Symbol, int]) -> Array:
        """Return an expression about one sample for all of them, their axis first."""
        return self.over(expression, {_IMPLICIT: self.sizes[SAMPLES.name], **ranges})

    def at(self, expression: Basic, sample: int = 0) -> float:
        """Return an expression whose indices are numbers, of one sample; of a condition 1 where it holds."""
        with np.errstate(all="ignore"):
            return float(self.value(expression, {_IMPLICIT: np.array(sample)}).reshape(()))

    def value(self, node: Basic, environment: Environment) -> Array:
        """Return the value of a node for the indices in ``environment``."""
        for kind, method in _METHODS:
            if isinstance(node, kind):
                return method(self, node, environment)
        if getattr(node, "is_number", False) and not node.args:
            return np.asarray(float(node) if node.is_extended_real else np.nan)
        return self._call(node, environment)

    def _all(self, nodes: Iterable[Basic], environment: Environment) -> list[Array]:
        return [self.value(node, environment) for node in nodes]

    def _read(self, node: Indexed, environment: Environment) -> Array:
        return self._element(self._array(name_of(node)), name_of(node), indices_of(node), environment)

    def _array(self, name: str) -> Array:
        if name not in self.values:
            raise UnsupportedExpression(f"there is no number for {name} yet")
        return self.values[name]

    def _element(self, array: Array, name: str, indices: Sequence[Expr], environment: Environment) -> Array:
        """Return the elements of an array; one outside of it has no number."""
        if array.ndim == len(indices) + 1 and _IMPLICIT in environment:
            places = [environment[_IMPLICIT]]
        else:
            places = []
        places += [p.astype(int) for p in self._all(indices, environment)]
        if len(places) != array.ndim:
            raise UnsupportedExpression(f"{name} has {array.ndim} axes and is read at {len(places)}")
        if not places:
            return array
        inside = np.ones((), bool)
        for place, extent in zip(places, array.shape, strict=True):
            inside = inside & (place >= 0) & (place < extent)
        if inside.all():
            return np.asarray(array[tuple(places)])
        self._reads_outside = True
        held = [np.clip(place, 0, extent - 1) for place, extent in zip(places, array.shape, strict=True)]
        return np.where(inside, array[tuple(held)], np.nan)

    def _symbol(self, node: Symbol, environment: Environment) -> Array:
        if node in environment:
            return environment[node]
        if node in self.scalars:
            return np.asarray(self.scalars[node])
        return self._element(self._array(node.name), node.name, (), environment)

    def _derivative(self, node: Derivative, environment: Environment) -> Array:
        """Return the derivative of E as it was found, or a local derivative by the step that states it."""
        variable = node.variables[0]
        if isinstance(node.expr, Symbol) and node.expr.name == self.system.loss:
            slope = self.slopes.get(name_of(variable))
            if slope is None:
                raise UnsupportedExpression(f"there is no number for {node} yet")
            return self._element(slope, name_of(variable), indices_of(variable), environment)
        for step in self._local_steps.get(_topic(node), ()):
            letters = _matched(step.lhs, node)
            if letters is not None:
                inner = {i: self.value(at, environment) for i, at in letters.items()}
                kept = {_IMPLICIT: environment[_IMPLICIT]} if _IMPLICIT in environment else {}
                return self.value(step.rhs, {**kept, **inner})
        raise UnsupportedExpression(f"no step states {node}")

    @property
    def _local_steps(self) -> Mapping[tuple[str, str], list[Step]]:
        if not hasattr(self, "_locals"):
            self._locals: dict[tuple[str, str], list[Step]] = {}
            for step in map(self.step, [s.number for s in self.derivation.steps]):
                if isinstance(step.lhs, Derivative):
                    self._locals.setdefault(_topic(step.lhs), []).append(step)
        return self._locals

    def _sum(self, node: Sum, environment: Environment) -> Array:
        return self._summed(node.function, list(node.limits), environment)

    def _summed(self, body: Expr, limits: list[Any], environment: Environment) -> Array:
        """Sum over the last limit, the outermost loop, the sums over the others."""
        if not limits:
            return self.value(body, environment)
        counts = self._counts(limits, environment)
        if math.prod((*counts, *(a.size for a in environment.values()))) > _MANY:
            return self._contracted(body, limits, counts, environment)
        *inner, (i, _, _) = limits
        count = counts[-1]
        axes = 1 + max((a.ndim for a in environment.values()), default=0)
        places = np.arange(count).reshape(-1, *[1] * (axes - 1))
        value = self._summed(body, inner, {**environment, i: places})
        if value.ndim < axes or (value.shape[0] == 1 and count != 1):
            return count * (value if value.ndim < axes else np.asarray(value[0]))
        return np.asarray(value.sum(axis=0))

    def _counts(self, limits: Iterable[Any], environment: Environment) -> list[int]:
        """Return how many values each index of a sum has."""
        return [int(self.value(high, environment).max()) + 1 for _, _, high in limits]

    def _contracted(
        self, body: Expr, limits: list[Any], counts: list[int], environment: Environment
    ) -> Array:
        """Return a sum of products, whose factors have only the axes of their own indices to the last.

        Where a factor would be too large, the terms of the last limit are added one by one.
        """
        inside, axes = _inside(limits, counts, environment)
        known: dict[Basic, Array] = {}
        factors = list(self._factors(body, inside, known))
        if any(_elements(factor, inside) > _LARGEST for factor in factors):
            *inner, (i, _, _) = limits
            each = (self._summed(body, inner, {**environment, i: np.array(k)}) for k in range(counts[-1]))
            return reduce(np.add, each, np.zeros(()))
        return _contraction(self._merged(factors, inside, known), axes, counts)

    def _factors(self, node: Basic, environment: Environment, known: dict[Basic, Array]) -> Iterable[Basic]:
        """Yield the factors of a product; a choice whose other value is 0 is one by its conditions.

        ``known`` is given the values that were computed to see that.
        """
        if isinstance(node, Mul):
            for factor in node.args:
                yield from self._factors(factor, environment, known)
            return
        if isinstance(node, Piecewise) and len(node.args) == 2 and node.args[1] == (0, True):
            (value, condition), _ = node.args
            if _elements(node, environment) > _MANY:
                chosen = self.value(value, environment)
                if np.isfinite(chosen).all():
                    known[value] = chosen
                    yield from condition.args if isinstance(condition, And) else (condition,)
                    yield from self._factors(value, environment, known)
                    return
                known[node] = np.where(self.value(condition, environment), chosen, 0.0)
        yield node

    def _merged(
        self, factors: Sequence[Basic], environment: Environment, known: Mapping[Basic, Array]
    ) -> list[Array]:
        """Return the values of factors; guards are multiplied with what has no number where they are 0."""

        def value_of(factor: Basic) -> Array:
            value = known[factor] if factor in known else self.value(factor, environment)
            return np.asarray(value, float)

        guards = [value_of(f) for f in factors if _is_guard(f)]
        others = [value_of(f) for f in factors if not _is_guard(f)]
        good = [value for value in others if np.isfinite(value).all()]
        if not guards or len(good) == len(others):
            return [*guards, *others]
        bad = [value for value in others if not np.isfinite(value).all()]
        closed = reduce(np.logical_or, [guard == 0 for guard in guards])
        return [*good, np.where(closed, 0.0, reduce(np.multiply, [*guards, *bad]))]

    def _place_of_largest(self, node: ArgMax, environment: Environment) -> Array:
        ((i, _, high),) = node.limits
        count = int(self.value(high, environment).max()) + 1
        axes = 1 + max((a.ndim for a in environment.values()), default=0)
        places = np.arange(count).reshape(-1, *[1] * (axes - 1))
        value = self.value(node.function, {**environment, i: places})
        return np.asarray(np.broadcast_to(value, np.broadcast_shapes(value.shape, places.shape)).argmax(0))

    def _product(self, node: Mul, environment: Environment) -> Array:
        """A guard that is 0 protects the other factors, which may read outside of an array."""
        guards = self._all([a for a in node.args if _is_guard(a)], environment)
        others = self._all([a for a in node.args if not _is_guard(a)], environment)
        product = reduce(np.multiply, [*guards, *others], np.ones(()))
        if not np.isfinite(product).all():
            product = self._shares(node, product, environment)
        return np.where(reduce(np.logical_or, [g == 0 for g in guards]), 0.0, product) if guards else product

    def _shares(self, node: Mul, product: Array, environment: Environment) -> Array:
        """Return a share of a total of exponentials, as a softmax is, where they are no floats."""
        shares = [a for a in node.args if isinstance(a, exp)]
        totals = [
            a.base for a in node.args if isinstance(a, Pow) and a.exp == -1 and _adds_exponentials(a.base)
        ]
        if not shares or len(totals) != 1:
            return product
        rest = self._all([a for a in node.args if a not in shares and a != 1 / totals[0]], environment)
        powers = self._all([a.args[0] for a in shares], environment)
        share = np.exp(reduce(np.add, powers) - self._log_of_total(totals[0], environment))
        return np.asarray(reduce(np.multiply, [share, *rest]))

    def _log_of_total(self, total: Sum, environment: Environment) -> Array:
        """Return the logarithm of a sum of exponentials."""
        counts = self._counts(total.limits, environment)
        inside, axes = _inside(total.limits, counts, environment)
        power = self.value(total.function.args[0], inside)
        power, *_ = np.broadcast_arrays(power, *(inside[i] for i, _, _ in total.limits))
        return np.asarray(np.logaddexp.reduce(power.reshape(-1, *power.shape[power.ndim - axes :]), axis=0))

    def _cases(self, node: Piecewise, environment: Environment) -> Array:
        result = np.asarray(np.nan)
        for value, condition in reversed(node.args):
            holds = self.value(condition, environment)
            result = np.where(holds, self.value(value, environment), result)
        return result

    def _relation(self, node: Relational, environment: Environment) -> Array:
        left, right = self._all(node.args, environment)
        return np.asarray(_RELATIONS[node.rel_op](left, right))

    def _power(self, node: Pow, environment: Environment) -> Array:
        base, exponent = self._all(node.args, environment)
        return np.asarray(np.power(base.astype(float), exponent))

    def _logarithm(self, node: log, environment: Environment) -> Array:
        """Return a logarithm; that of exponentials added up is a number where they are none any more."""
        each = [self._log_of_term(term, environment) for term in Add.make_args(node.args[0])]
        logarithms = [found for found in each if found is not None]
        if len(logarithms) < len(each):
            return self._call(node, environment)
        return np.asarray(reduce(np.logaddexp, logarithms))

    def _log_of_term(self, term: Basic, environment: Environment) -> Array | None:
        """Return the logarithm of an exponential, of a sum of them or of a number above 0; None of others."""
        if isinstance(term, exp):
            return self.value(term.args[0], environment)
        if _adds_exponentials(term):
            return self._log_of_total(term, environment)
        return np.log(np.asarray(float(term))) if term.is_number and term.is_positive else None

    def _call(self, node: Basic, environment: Environment) -> Array:
        function = _FUNCTIONS.get(node.func.__name__) or _function(node.func, len(node.args))
        return np.asarray(function(*self._all(node.args, environment)), float)


def _inside(
    limits: Sequence[Any], counts: Sequence[int], environment: Environment
) -> tuple[Environment, int]:
    """Return what is known inside of a sum, whose indices have axes before all others; and these, counted."""
    axes = max((a.ndim for a in environment.values()), default=0)
    places = [np.arange(n).reshape(-1, *[1] * (axes + k)) for k, n in enumerate(counts)]
    return {**environment, **{i: at for (i, _, _), at in zip(limits, places, strict=True)}}, axes


def _elements(node: Basic, environment: Environment) -> int:
    """Return how many numbers a node has for the indices that it reads, the samples' among them."""
    read = node.free_symbols | {_IMPLICIT}
    return math.prod(a.size for i, a in environment.items() if i in read)


def _contraction(factors: Sequence[Array], axes: int, counts: Sequence[int]) -> Array:
    """Return the product of arrays, summed over the axes before the last ``axes`` ones.

    An axis is known by its place from the end; an array that has a single place there does not vary with it.
    """
    operands: list[Any] = []
    sizes: dict[int, int] = {}
    for array in factors:
        own = {array.ndim - k: n for k, n in enumerate(array.shape) if n != 1}
        sizes |= own
        operands += [array.reshape(tuple(own.values())), list(own)]
    kept = [axis for axis in range(axes, 0, -1) if axis in sizes]
    plain = math.prod(sizes.values()) < _MANY
    total = np.einsum(*operands, kept, optimize=not plain)
    missing = math.prod(n for axis, n in enumerate(counts, start=axes + 1) if axis not in sizes)
    return missing * np.reshape(total, [sizes.get(axis, 1) for axis in range(axes, 0, -1)])


_GUARDS = (Piecewise, KroneckerDelta)


def _adds_exponentials(node: Basic) -> bool:
    return isinstance(node, Sum) and isinstance(node.function, exp)


def _is_guard(factor: Basic) -> bool:
    """Whether a factor may be 0 where others have no value: a choice, a delta, a condition, a sum of such."""
    return isinstance(factor, (*_GUARDS, Boolean)) or (isinstance(factor, Add) and factor.has(*_GUARDS))


_RELATIONS: Mapping[str, Callable[[Array, Array], Array]] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def _fold(operation: Callable[[Array, Array], Array]) -> Callable[[Evaluation, Any, Environment], Array]:
    return lambda numbers, node, environment: np.asarray(
        reduce(operation, numbers._all(node.args, environment))
    )


_METHODS: tuple[tuple[Any, Callable[[Evaluation, Any, Environment], Array]], ...] = (
    (Indexed, Evaluation._read),
    (Symbol, Evaluation._symbol),
    (Derivative, Evaluation._derivative),
    (Sum, Evaluation._sum),
    (ArgMax, Evaluation._place_of_largest),
    (Add, _fold(np.add)),
    (Mul, Evaluation._product),
    (Pow, Evaluation._power),
    (Piecewise, Evaluation._cases),
    (KroneckerDelta, lambda numbers, node, e: np.equal(*numbers._all(node.args[:2], e)).astype(float)),
    (Relational, Evaluation._relation),
    (And, _fold(np.logical_and)),
    (Or, _fold(np.logical_or)),
    (Not, lambda numbers, node, e: np.logical_not(numbers.value(node.args[0], e))),
    (BooleanAtom, lambda numbers, node, e: np.asarray(bool(node))),
    (Max, _fold(np.maximum)),
    (Min, _fold(np.minimum)),
    (log, Evaluation._logarithm),
    (Abs, lambda numbers, node, e: np.abs(numbers.value(node.args[0], e))),
)
"""Kind of node -> how it is evaluated; the first kind that fits counts."""


def _each(function: Callable[[float], Any]) -> Callable[..., Array]:
    """Return a function of arrays for one of a number; nan at its poles."""

    def one(z: float) -> float:
        try:
            return float(function(z))
        except (ArithmeticError, ValueError):
            return math.nan

    return np.vectorize(one, otypes=[float])


_CIRCULAR = ("sin", "cos", "tan", "sinh", "cosh", "tanh")
_FUNCTIONS: Mapping[str, Callable[..., Array]] = {
    **{name: getattr(np, name) for name in ("exp", "log", *_CIRCULAR, "sign")},
    **{f"a{name}": getattr(np, f"arc{name}") for name in _CIRCULAR},
    "atan2": np.arctan2,
    "Quotient": np.floor_divide,
    "mod": np.remainder,
    "floor": np.floor,
    "round": np.rint,
    "erf": np.vectorize(math.erf, otypes=[float]),
    "lgamma": _each(lambda z: mpmath.loggamma(z).real),
    "digamma": _each(mpmath.digamma),
    "Heaviside": np.heaviside,
}
"""Name of a function of SymPy -> the function for arrays; `lambdify` knows others, and loads all of NumPy."""


@lru_cache(maxsize=64)
def _function(kind: Callable[..., Expr], count: int) -> Callable[..., Array]:
    """Return a function of SymPy for arrays."""
    arguments = [Dummy(f"a{n}", real=True) for n in range(count)]
    found: Callable[..., Array] = lambdify(arguments, kind(*arguments), modules="numpy")
    return found


def _topic(derivative: Derivative) -> tuple[str, str]:
    """Return the names of the differentiated quantity ("" for an expression) and of the variable."""
    of = derivative.expr
    return name_of(of) if isinstance(of, Indexed | Symbol) else "", name_of(derivative.variables[0])


def _matched(stated: Derivative, asked: Derivative) -> dict[Symbol, Expr] | None:
    """Return the mapping from the indices of one derivative to those of the other, None if none fits."""
    pairs = list(zip(indices_of(stated.variables[0]), indices_of(asked.variables[0]), strict=True))
    if isinstance(stated.expr, Indexed):
        pairs += zip(indices_of(stated.expr), indices_of(asked.expr), strict=True)
    found: dict[Symbol, Expr] = {}
    for letter, at in pairs:
        if found.setdefault(letter, at) != at:
            return None
    same = isinstance(stated.expr, Indexed | Symbol) or stated.expr.xreplace(found) == asked.expr
    return found if same else None
