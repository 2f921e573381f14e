"""From one sample to a batch: E is the mean over the samples, and so is every derivative of it.

A quantity that varies with the sample gets the sample as its first index.  Differentiation is linear,
so the steps for one sample need no second derivation: the derivative of the mean is the mean of
the derivatives, and a term that does not vary with the sample stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property

from sympy import Add, Derivative, Expr, Indexed, IndexedBase, Mul, Symbol, expand_mul

from symbackprop.equations.graph import reached_from, readers_of
from symbackprop.equations.indices import close_sum
from symbackprop.equations.letters import free_names
from symbackprop.equations.naming import SAMPLE, SAMPLES
from symbackprop.equations.steps import Derived, Step, differentiated
from symbackprop.equations.system import BINDERS, Quantity, component, name_of


class SampleAxis:
    """Gives each quantity that varies with the sample its first axis."""

    def __init__(self, derivation: Derived) -> None:
        self.derivation = derivation
        self._bases: dict[IndexedBase, IndexedBase] = {}

    @cached_property
    def varying(self) -> frozenset[str]:
        """The names of the quantities and adjoints that are different for every sample."""
        system = self.derivation.system
        found = reached_from((*system.inputs, *system.of_samples), readers_of(system.read_by))
        adjoints = {name for name, quantity in self.derivation.adjoints.items() if quantity in found}
        return frozenset(found | adjoints | self._of_shared(found | adjoints))

    def _of_shared(self, varying: set[str]) -> set[str]:
        """Return the adjoints that vary though their quantities, which read parameters alone, do not.

        Of u[n] = Σ_j x[n, j] w[j] the derivative for x[n, j] is w[j], which is read in each sample.
        """
        found = set[str]()
        for name, quantity in self.derivation.adjoints.items():
            rhs = self.derivation.by_number[self.derivation.results[quantity]].rhs
            if name not in varying and free_names(rhs) & (varying | found):
                found.add(name)
        return found

    @cached_property
    def _scalars(self) -> frozenset[Symbol]:
        """The symbols of varying quantities without axes; an index may have the name of another quantity."""
        system, adjoints = self.derivation.system, self.derivation.adjoints
        plain = [q for q in system.quantities.values() if not q.shape]
        plain += [Quantity(a) for a, name in adjoints.items() if not system.quantities[name].shape]
        return frozenset(q.symbol for q in plain if q.name in self.varying)

    def varies(self, expression: Expr) -> bool:
        """Whether ``expression`` reads anything that varies with the sample."""
        names = {str(b.name) for b in expression.atoms(IndexedBase)}
        return bool(names & self.varying or expression.atoms(Symbol) & self._scalars)

    def is_lifted(self, node: Expr) -> bool:
        """Whether a component, or a symbol, gets another axis."""
        return name_of(node) in self.varying if isinstance(node, Indexed) else node in self._scalars

    def lift(self, expression: Expr) -> Expr:
        """Return ``expression`` for the sample `SAMPLE`."""
        if isinstance(expression, Indexed):
            indices = tuple(map(self.lift, expression.indices))
            if name_of(expression) not in self.varying:
                return component(expression.base, *indices)
            return component(self._lifted_base(expression.base), SAMPLE, *indices)
        if isinstance(expression, Symbol):
            scalar = expression in self._scalars
            return IndexedBase(expression, shape=(SAMPLES,))[SAMPLE] if scalar else expression
        if isinstance(expression, BINDERS):  # its limits are sizes
            return expression.func(self.lift(expression.function), *expression.limits)
        return expression.func(*map(self.lift, expression.args)) if expression.args else expression

    def _lifted_base(self, base: IndexedBase) -> IndexedBase:
        if base not in self._bases:
            self._bases[base] = IndexedBase(base.label, shape=(SAMPLES, *base.shape))
        return self._bases[base]

    def mean(self, expression: Expr) -> Expr:
        """Return the mean of ``expression`` over the batch, term by term."""
        terms = Add.make_args(expand_mul(expression, deep=False))
        constant = Add(*[t for t in terms if not self.varies(t)])
        varying = Add(*[t for t in terms if self.varies(t)]) if constant else expression
        factor, rest = varying.as_coeff_Mul()
        total = close_sum(self.lift(rest), [(SAMPLE, SAMPLES)]) if rest.free_symbols else rest
        return Mul(factor, total, 1 / SAMPLES) + constant


class NoSampleAxis(SampleAxis):
    """Leaves equations that have the samples' index already as they are."""

    @cached_property
    def varying(self) -> frozenset[str]:
        """No name: nothing is to get another axis."""
        return frozenset()

    def is_lifted(self, node: Expr) -> bool:
        """Return False."""
        return False

    def lift(self, expression: Expr) -> Expr:
        """Return ``expression``."""
        return expression


def with_batch(derivation: Derived) -> Derived:
    """Return ``derivation`` with the error and the derivatives of the mean over a batch."""
    return replace(derivation, batch=tuple(_batch_steps(derivation)))


def _batch_steps(derivation: Derived) -> Iterable[Step]:
    batch = SampleAxis(derivation)
    system = derivation.system
    shared = [name for name in derivation.of or system.parameters if name not in batch.varying]
    if derivation.of and not shared:  # what differs from sample to sample belongs to the error of its sample
        return
    number = max(derivation.by_number, default=len(system.equations))
    loss = system.definitions[system.loss]
    form = derivation.stable_form_of.get(derivation.labels[system.loss], loss)
    number += 1
    yield Step(number, system.loss, "batch mean", loss.lhs, batch.mean(form.rhs))
    for name in shared:
        result = derivation.by_number[derivation.results[name]]
        result = derivation.stable_form_of.get(result.number, result)
        number += 1
        lhs = Derivative(loss.lhs, differentiated(result.lhs, derivation))
        yield Step(number, name, "batch mean", lhs, batch.mean(result.rhs))
