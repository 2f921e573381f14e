"""Numbers for the scalars.

In go a ``Grid``, a ``Scope`` and a ``Draw``, out comes a ``Point``, at which an ``Evaluator`` gives scalar
expressions their values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import count
from math import gcd, prod
from typing import Any

from sympy import (
    Abs,
    Add,
    And,
    Expr,
    Heaviside,
    Max,
    Min,
    Mul,
    Not,
    Number,
    NumberSymbol,
    Or,
    Piecewise,
    Pow,
    Symbol,
    sign,
)
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean

from symbackprop.equations.system import Fact
from symbackprop.proof.arithmetic import CONTEXT, RELATIONS
from symbackprop.proof.draw import Draw
from symbackprop.proof.errors import OutsideDomain, Unproved
from symbackprop.proof.grid import Grid, Leaf
from symbackprop.proof.integers import Environment
from symbackprop.proof.scope import Scope
from symbackprop.proof.structure import parts_of

_LARGEST_VALUE = 30  # beyond it 1 - sigmoid(s) and its like lose too many digits


class Point:
    """Numbers for all scalars: computed quantities from their definitions, the others random."""

    def __init__(self, grid: Grid, scope: Scope, draw: Draw) -> None:
        self.grid = grid
        self.scope = scope
        self._draw = draw
        self._values: dict[Symbol, Any] = {}
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
                values = (self.value(grid.leaf(leaf)) for leaf in _scattered(grid.leaves_of("value", name)))
                if any(abs(value) > _LARGEST_VALUE and self._draw.wide for value in values):
                    return False
            for name in self.scope.inner:
                for leaf in grid.leaves_of("adjoint", name):
                    self.value(grid.leaf(leaf))
            for consumer, name in self.scope.pairs:  # the point must lie in the domain of each
                for leaf in _scattered(grid.leaves_of("value", consumer)):
                    self._evaluator.value(grid.reading_terms(consumer, name, leaf.place, leaf.sample))
        except OutsideDomain:
            return False
        return True

    def value(self, symbol: Symbol) -> Any:
        """Return the value of a scalar symbol."""
        if symbol not in self._values:
            leaf = self.grid.leaves.get(symbol)
            self._values[symbol] = self._draw.constant(symbol.name) if leaf is None else self._leaf(leaf)
        return self._values[symbol]

    def _leaf(self, leaf: Leaf) -> Any:
        if leaf.kind == "adjoint":
            if self.scope.is_free(leaf.name, self.grid.structure):
                shared = leaf.name in self.grid.structure.without_sample
                return self._draw.cotangent(leaf._replace(sample=None) if shared else leaf)
            return self._evaluator.value(self.grid.want(*leaf[1:]))
        if leaf.name in self.scope.computed:
            return self._evaluator.value(self.grid.definition(*leaf[1:]))
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
        self._known: dict[Expr, Any] = {}

    @property
    def weight(self) -> int:
        """The number of parts that were evaluated."""
        return len(self._known)

    def value(self, node: Expr) -> Any:
        """Return the value of ``node``.

        Raises:
            OutsideDomain: it has no real value.
        """
        if isinstance(node, Symbol):
            return self._point.value(node)
        if node.is_Integer:
            return int(node)
        if node not in self._known:
            try:
                result = self._compute(node)
            except (ArithmeticError, ValueError) as error:
                raise OutsideDomain(f"{node} has no value") from error
            if isinstance(result, CONTEXT.mpc):
                raise OutsideDomain(f"{node} is not real")
            if not CONTEXT.isfinite(result):
                raise OutsideDomain(f"{node} is not finite")
            self._known[node] = result
        return self._known[node]

    def _compute(self, node: Expr) -> Any:
        if isinstance(node, Piecewise):
            return self._branch(node)
        if isinstance(node, (Number, NumberSymbol)):
            return _number(node)
        arguments = [self.value(argument) for argument in node.args]
        if isinstance(node, Add):
            return sum(arguments)
        if isinstance(node, Mul):
            return prod(arguments)
        if isinstance(node, Pow):
            return _power(*arguments)
        if isinstance(node, (Max, Min)):
            self._note_kinks(node.args)
            return (max if isinstance(node, Max) else min)(arguments)
        if isinstance(node, (Abs, sign, Heaviside)):
            self._note_kinks(node.args)
        return _function(type(node).__name__)(*arguments)

    def _branch(self, node: Piecewise) -> Any:
        self._note_kinks(condition for _, condition in node.args)
        for value, condition in node.args:
            if self._holds(condition):
                return self.value(value)
        raise OutsideDomain(f"{node} has no branch that holds")

    def _holds(self, condition: Boolean) -> bool:
        if isinstance(condition, And):
            return all(self._holds(part) for part in condition.args)
        if isinstance(condition, Or):
            return any(self._holds(part) for part in condition.args)
        if isinstance(condition, Not):
            return not self._holds(condition.args[0])
        if isinstance(condition, Relational):
            left, right = (self.value(argument) for argument in condition.args)
            return bool(RELATIONS[condition.rel_op](left, right))
        return bool(condition)

    def _note_kinks(self, tested: Iterable[Expr]) -> None:
        """Note the numbers with which something is compared; a kink without a number is at 0."""
        self.kinks |= _kinks_of(tuple(tested))


@lru_cache(maxsize=1 << 14)
def _kinks_of(tested: tuple[Expr, ...]) -> frozenset[str]:
    numbers = {str(_number(number)) for part in tested for number in part.atoms(Number)}
    return frozenset(numbers or {"0.0"})


@lru_cache(maxsize=1024)
def _number(node: Expr) -> Any:
    if not (node.is_finite and node.is_extended_real):
        raise OutsideDomain(f"{node} is no number")
    return CONTEXT.mpf(str(node.evalf(CONTEXT.dps + 5)))


def _power(base: Any, exponent: Any) -> Any:
    whole = isinstance(base, int) and isinstance(exponent, int) and exponent >= 0
    return base**exponent if whole else CONTEXT.mpf(base) ** exponent


KINKED = (Piecewise, Max, Min, Abs, sign, Heaviside)
"""The functions with a kink or a jump."""

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Abs": abs,
    "DiracDelta": lambda argument, order=0: 0,  # never met at 0
    "Heaviside": lambda argument, at_zero: at_zero if argument == 0 else int(argument > 0),
    "LambertW": CONTEXT.lambertw,
    "ceiling": CONTEXT.ceil,
    "lgamma": lambda argument: CONTEXT.loggamma(argument).real,
    "round": CONTEXT.nint,
    "logaddexp": lambda a, b: CONTEXT.log(CONTEXT.exp(a) + CONTEXT.exp(b)),
}
"""SymPy's functions for which mpmath has no function of the same name."""


def _function(name: str) -> Callable[..., Any]:
    """Return the numerical function of that name."""
    function: Callable[..., Any] | None = _FUNCTIONS.get(name) or getattr(CONTEXT, name, None)
    if function is None:
        raise Unproved(f"the function {name} is not known")
    return function
