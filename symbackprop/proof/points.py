"""Numbers for the scalars.

In go a ``Grid``, a ``Scope`` and a ``Draw``, out comes a ``Point``, at which an ``Evaluator`` gives scalar
expressions their values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from math import gcd
from typing import Any

from sympy import Expr, Symbol

from symbackprop.equations.system import Fact
from symbackprop.proof.arithmetic import CONTEXT
from symbackprop.proof.draw import Draw
from symbackprop.proof.errors import OutsideDomain
from symbackprop.proof.grid import Grid, Leaf
from symbackprop.proof.integers import Environment
from symbackprop.proof.program import Raw, is_finite
from symbackprop.proof.scope import Scope
from symbackprop.proof.structure import parts_of

_LARGEST_VALUE = 30  # beyond it 1 - sigmoid(s) and its like lose too many digits


class Point:
    """Numbers for all scalars: computed quantities from their definitions, the others random."""

    def __init__(self, grid: Grid, scope: Scope, draw: Draw) -> None:
        self.grid = grid
        self.scope = scope
        self._draw = draw
        self._values: dict[Symbol, Raw] = {}
        self._evaluator = Evaluator(self)
        facts = self.grid.structure.system.facts
        self._facts = {parts_of(facts[n].component)[0]: facts[n] for n in scope.facts}

    @property
    def weight(self) -> int:
        """The number of values that the point remembers."""
        return len(self._values) + self._evaluator.weight

    @property
    def kinks(self) -> set[str]:
        """Where kinks were met in the equations."""
        return self._evaluator.kinks

    def prepare(self) -> bool:
        """Compute the values that do not depend on the claim; return whether all of them are fair and real.

        Values are computed from the inputs outwards and adjoints from the loss inwards, so that depth
        costs no recursion.
        """
        grid = self.grid
        try:
            for name in self.scope.places:
                for leaf in grid.leaves_of("value", name):
                    grid.places_found[leaf] = self._place(leaf)
            for name in self.scope.computed:
                leaves = _scattered(grid.leaves_of("value", name))
                values = (self._evaluator.value(grid.leaf(leaf)) for leaf in leaves)
                if any(abs(value) > _LARGEST_VALUE and self._draw.wide for value in values):
                    return False
            for name in self.scope.inner:
                for leaf in grid.leaves_of("adjoint", name):
                    self._evaluator.raw(grid.leaf(leaf))
            for consumer, name in self.scope.pairs:  # the point must lie in the domain of each
                for leaf in _scattered(grid.leaves_of("value", consumer)):
                    self._evaluator.raw(grid.reading_terms(consumer, name, leaf.place, leaf.sample))
        except OutsideDomain:
            return False
        return True

    def raw(self, symbol: Symbol) -> Raw:
        """Return the value of a scalar symbol."""
        if symbol not in self._values:
            leaf = self.grid.leaves.get(symbol)
            drawn = self._draw.constant(symbol.name)._mpf_ if leaf is None else self._leaf(leaf)
            self._values[symbol] = drawn
        return self._values[symbol]

    def _leaf(self, leaf: Leaf) -> Raw:
        if leaf.kind == "adjoint" and not self.scope.is_free(leaf.name, self.grid.structure):
            return self._evaluator.raw(self.grid.want(*leaf[1:]))
        if leaf.kind == "value" and leaf.name in self.scope.computed:
            return self._evaluator.raw(self.grid.definition(*leaf[1:]))
        drawn: Raw = self._drawn(leaf)._mpf_
        return drawn

    def _drawn(self, leaf: Leaf) -> Any:
        """Return a random value, the same for all samples where they share it."""
        if leaf.kind == "adjoint":
            shared = leaf.name in self.grid.structure.without_sample
            return self._draw.cotangent(leaf._replace(sample=None) if shared else leaf)
        fact = self._facts.get(leaf.name)
        return self._draw.value(leaf) if fact is None else self._bound_by(fact, leaf)

    def _place(self, leaf: Leaf) -> int:
        """Return the value of an integer quantity that an equation defines: for an argmax the first place."""
        values = [self._evaluator.value(each) for each in self.grid.compared(leaf)]
        return values.index(max(values)) if values else self.grid.integer(leaf)

    def _bound_by(self, fact: Fact, leaf: Leaf) -> Any:
        """Return a random value such that the components along the axis of a fact have the right sum."""
        line = leaves_along(leaf, fact, self.grid.shape(leaf.name)[fact.axis])
        values = [self._draw.value(each) for each in line]
        total = self._evaluator.value(self.grid.scalar(fact.value, fact_environment(fact, leaf)))
        own = values[leaf.place[fact.axis]]
        if self._draw.positive:  # scaled, so that a logarithm keeps its argument positive
            return own * total / sum(values)
        return own if leaf != line[-1] else total - sum(values[:-1])


def _scattered(leaves: Iterable[Leaf]) -> Iterator[Leaf]:
    """Yield the leaves such that the first ones differ in all indices: a bad value is met early."""
    found = list(leaves)
    stride = next(n for n in count(1 + len(found) * 5 // 8) if gcd(n, len(found)) <= 1)
    for number in range(len(found)):
        yield found[number * stride % len(found)]


def leaves_along(leaf: Leaf, fact: Fact, extent: int) -> list[Leaf]:
    """Return all components along the axis of a fact that share the other indices with ``leaf``."""
    before, after = leaf.place[: fact.axis], leaf.place[fact.axis + 1 :]
    return [leaf._replace(place=(*before, number, *after)) for number in range(extent)]


def fact_environment(fact: Fact, leaf: Leaf) -> Environment:
    """Return the indices of ``leaf`` by the letters of a fact, without the index that the fact sums over."""
    return {i: n for i, n in zip(fact.component.indices, leaf.place, strict=True) if i != fact.index}


class Evaluator:
    """Evaluates scalar expressions at a point, each part once."""

    def __init__(self, point: Point) -> None:
        self.kinks: set[str] = set()
        self._point = point
        self._program = point.grid.program
        self._known: dict[int, Raw] = {}

    @property
    def weight(self) -> int:
        """The number of parts that were evaluated."""
        return len(self._known)

    def value(self, node: Expr) -> Any:
        """Return the value of ``node``.

        Raises:
            OutsideDomain: it has no real value.
        """
        return CONTEXT.make_mpf(self.raw(node))

    def raw(self, node: Expr) -> Raw:
        """Return the value of ``node`` as the program calculates with it."""
        return self.at(self._program.number(node))

    def at(self, number: int) -> Raw:
        """Return the value of a part of the program."""
        found = self._known.get(number)
        if found is None:
            found = self._known[number] = self._computed(number)
        return found

    def scalar(self, symbol: Symbol) -> Raw:
        """Return the value of a symbol."""
        return self._point.raw(symbol)

    def _computed(self, number: int) -> Raw:
        try:
            result = self._program.instructions[number](self)
        except (ArithmeticError, ValueError) as error:
            raise OutsideDomain(self._program.parts[number], "has no value") from error
        if not is_finite(result):
            raise OutsideDomain(self._program.parts[number], "is not finite")
        return result
