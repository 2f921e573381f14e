"""The derivative for one component: its result in numbers of places, and a product for each way of the error.

In go a derivation and the places of a component, such as w1 at (0, 1); out come ∂E/∂w1[0,1] as its step has
it, and for each way from E to w1[0,1] the product of all factors on it, in forward quantities.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from sympy import Add, Derivative, Expr, Indexed, Integer, Mul, Sum

from symbackprop.equations.indices import rename
from symbackprop.equations.steps import Derived, Step, differentiated
from symbackprop.equations.system import indices_of, name_of


@dataclass(frozen=True)
class Result:
    """What a step states about one component."""

    number: int
    lhs: Expr
    rhs: Expr


class Ways:
    """The ways of the error through a network whose sizes are numbers."""

    def __init__(self, derivation: Derived) -> None:
        self.derivation = derivation
        self.sizes: Mapping[str, int] = {} if derivation.model is None else derivation.model.sizes
        self._counts: dict[str, int] = {}

    def result(self, name: str, places: Sequence[int]) -> Result:
        """Return the result for a quantity at some places."""
        step = self._step(name)
        at = self._at(step, [Integer(place) for place in places])
        component = differentiated(step.lhs, self.derivation)
        lhs = Derivative(self._loss, rename(component, at))
        return Result(step.number, lhs, rename(step.rhs, at))

    def count(self, name: str) -> int:
        """Return on how many ways the error comes to each component of a quantity."""
        if name not in self._counts:
            self._counts[name] = self._count(self._step(name).rhs)
        return self._counts[name]

    def products(self, result: Result) -> Iterator[Expr]:
        """Yield the product of all factors on each way to a component."""
        return self._products(result.rhs)

    @property
    def _loss(self) -> Expr:
        return self.derivation.system.quantities[self.derivation.system.loss].symbol

    def _step(self, name: str) -> Step:
        return self.derivation.by_number[self.derivation.results[name]]

    def _at(self, step: Step, places: Sequence[Expr]) -> dict[Expr, Expr]:
        component = differentiated(step.lhs, self.derivation)
        return dict(zip(indices_of(component), places, strict=True))

    def _followed(self, read: Expr) -> tuple[str, tuple[Expr, ...]] | None:
        """Return for what quantity, at which places, a node is the derivative of E; None where it is none."""
        if isinstance(read, Derivative) and read.expr == self._loss:
            component = read.variables[0]
            return name_of(component), indices_of(component)
        if (isinstance(read, Indexed) or read.is_Symbol) and name_of(read) in self.derivation.adjoints:
            return self.derivation.adjoints[name_of(read)], indices_of(read)
        return None

    def _leads_on(self, expression: Expr) -> bool:
        """Whether a derivative of E stands in an expression."""
        if self._followed(expression) is not None:
            return True
        return any(self._leads_on(argument) for argument in expression.args)

    def _places(self, total: Sum) -> Iterator[dict[Expr, Expr]]:
        letters = [i for i, *_ in total.limits]
        for places in product(*[range(self._extent(high + 1)) for _, _, high in total.limits]):
            yield dict(zip(letters, map(Integer, places), strict=True))

    def _extent(self, n: Expr) -> int:
        return int(n.xreplace({s: self.sizes[s.name] for s in n.free_symbols}))

    def _products(self, expression: Expr) -> Iterator[Expr]:
        followed = self._followed(expression)
        if followed is not None:
            name, places = followed
            step = self._step(name)
            yield from self._products(rename(step.rhs, self._at(step, places)))
        elif not self._leads_on(expression):
            yield expression
        elif isinstance(expression, Sum):
            for at in self._places(expression):
                yield from self._products(rename(expression.function, at))
        elif isinstance(expression, Add):
            for term in expression.args:
                yield from self._products(term)
        elif isinstance(expression, Mul):
            first, *others = sorted(expression.args, key=self._leads_on, reverse=True)
            for way in self._products(first):  # one by one: of many layers there are too many ways to list
                yield from (way * other for other in self._products(Mul(*others)))
        else:
            yield expression

    def _count(self, expression: Expr) -> int:
        followed = self._followed(expression)
        if followed is not None:
            return self.count(followed[0])
        if isinstance(expression, Sum) and self._leads_on(expression):
            extents = (self._extent(high + 1) for _, _, high in expression.limits)
            return prod(extents) * self._count(expression.function)
        if isinstance(expression, Add) and self._leads_on(expression):
            return sum(map(self._count, expression.args))
        return prod(map(self._count, expression.args)) if isinstance(expression, Mul) else 1
