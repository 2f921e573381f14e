"""Repeated layers: what a derivation says of each of them in the same words, to be said once.

In go items such as equations or steps, each about the quantity of a layer, out come single items and
``Run``s: neighbouring layers whose items are the same but for the number of the layer, the letters of
the indices and the names of the sizes.  What is printed for a run is its first layer, so every formula is
still that of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Generic, Protocol, TypeVar

from sympy import Basic, Derivative, Expr, Indexed, IndexedBase, Symbol

from symbackprop.calculus.indices import canonical
from symbackprop.equations import indices_of
from symbackprop.printing import split_name

LEAST = 3
"""Layers that have to be alike before they are said once."""


class Sides(Protocol):
    """An equation or a step."""

    @property
    def lhs(self) -> Expr:
        """The left-hand side."""

    @property
    def rhs(self) -> Expr:
        """The right-hand side."""


Item = TypeVar("Item")


@dataclass(frozen=True)
class Run(Generic[Item]):
    """Layers that are alike, in the order in which they come, each with its items."""

    layers: tuple[int, ...]
    blocks: tuple[tuple[Item, ...], ...]

    @property
    def first(self) -> tuple[Item, ...]:
        """The items of the layer that stands for all."""
        return self.blocks[0]


def layer_of(name: str) -> int | None:
    """Return the number of the layer at the end of a name, None where there is none."""
    number = split_name(name).layer
    return None if number is None else int(number)


def with_runs(
    items: Sequence[Item], name: Callable[[Item], str], alike: Callable[[Item, Item, int], bool]
) -> Iterator[Item | Run[Item]]:
    """Yield the items, those of three or more layers that are alike as one run.

    ``name`` tells the quantity that an item is about; ``alike(a, b, n)`` whether ``b`` is what ``a`` is,
    ``n`` layers further.
    """
    blocks = [(layer, tuple(group)) for layer, group in groupby(items, lambda item: layer_of(name(item)))]
    for run in _chains(blocks, alike):
        layers = tuple(layer for layer, _ in run if layer is not None)
        if len(layers) >= LEAST:
            yield Run(layers, tuple(block for _, block in run))
        else:
            yield from (item for _, block in run for item in block)


_Block = tuple[int | None, tuple[Item, ...]]


def _chains(
    blocks: Sequence[_Block[Item]], alike: Callable[[Item, Item, int], bool]
) -> Iterator[list[_Block[Item]]]:
    """Yield the longest chains of blocks that follow each other and are alike."""
    chain: list[_Block[Item]] = []
    shift = 0
    for block in blocks:
        step = (block[0] or 0) - (chain[-1][0] or 0) if chain else 0
        follows = len(chain) == 1 or step == shift
        if chain and follows and _same(chain[-1], block, alike):
            shift = step
        else:
            if chain:
                yield chain
            chain = []
        chain.append(block)
    if chain:
        yield chain


def _same(a: _Block[Item], b: _Block[Item], alike: Callable[[Item, Item, int], bool]) -> bool:
    if a[0] is None or b[0] is None or abs(b[0] - a[0]) != 1 or len(a[1]) != len(b[1]):
        return False
    shift = b[0] - a[0]
    return all(alike(x, y, shift) for x, y in zip(a[1], b[1], strict=True))


@dataclass
class Shift:
    """Moves expressions from layer to layer; ``names`` are those of the quantities and their adjoints."""

    names: frozenset[str]
    _known: dict[tuple[Basic, int], Basic] = field(default_factory=dict)

    def alike(self, a: Sides, b: Sides, shift: int) -> bool:
        """Whether ``b`` says of a layer what ``a`` says of one ``shift`` layers before it."""
        left, right = self._moved(a.lhs, shift), self._moved(a.rhs, shift)
        if left is None or right is None:
            return False
        letters = _letters(left, b.lhs)
        if letters is None or canonical(left).xreplace(letters) != canonical(b.lhs):
            return False
        return bool(canonical(right).xreplace(letters) == canonical(b.rhs))

    def name(self, name: str, shift: int) -> str | None:
        """Return what ``name`` is called ``shift`` layers further, None if there is no such quantity."""
        word, layer = split_name(name)
        if layer is None:
            return name
        moved = f"{word}{int(layer) + shift}"
        return moved if name not in self.names or moved in self.names else None

    def _moved(self, expression: Expr, shift: int) -> Expr | None:
        replaced: dict[Basic, Basic] = {}
        for base in expression.atoms(IndexedBase):
            label = self._symbol(base.label, shift)
            if label is None:
                return None
            if (base, shift) not in self._known:
                shape = [self._moved(n, shift) for n in base.shape]
                self._known[base, shift] = IndexedBase(label, shape=tuple(shape))
            replaced[base] = self._known[base, shift]
        bases = {base.label for base in replaced}
        for symbol in expression.free_symbols | expression.atoms(Symbol):
            if symbol not in bases and not isinstance(symbol, (Indexed, IndexedBase)):
                moved = self._symbol(symbol, shift)
                if moved is None:
                    return None
                if moved != symbol:
                    replaced[symbol] = moved
        return expression.xreplace(replaced)

    def _symbol(self, symbol: Symbol, shift: int) -> Symbol | None:
        if (symbol, shift) not in self._known:
            layered = symbol.name in self.names or (symbol.is_integer and symbol.is_positive)
            name = self.name(symbol.name, shift) if layered else symbol.name
            if name is None:
                return None
            self._known[symbol, shift] = (
                Symbol(name, **symbol.assumptions0) if name != symbol.name else symbol
            )
        return self._known[symbol, shift]


def _letters(a: Expr, b: Expr) -> Mapping[Basic, Basic] | None:
    """Return which index letter of ``a`` is which of ``b``, None where they don't correspond."""
    found: dict[Basic, Basic] = {}
    if isinstance(a, Derivative) != isinstance(b, Derivative):
        return None
    pairs = [(a.variables[0], b.variables[0]), (a.expr, b.expr)] if isinstance(a, Derivative) else [(a, b)]
    for first, second in pairs:
        if len(indices_of(first)) != len(indices_of(second)):
            return None
        for i, j in zip(indices_of(first), indices_of(second), strict=True):
            if found.setdefault(i, j) != j:
                return None
    return {i: j for i, j in found.items() if i != j}
