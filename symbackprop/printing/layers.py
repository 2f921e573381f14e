"""Runs of layers: equations and steps that differ in the layer only, to be shown once.

In go items such as equations or steps, each about the quantity of a layer, out come single items and
``LayerRun``s: neighbouring layers whose items are the same but for the number of the layer, the letters of
the indices and the names of the sizes.  The formulas for any ℓ are those of the first layer of a run under
other names, so every formula is still that of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Generic, Protocol, TypeVar

from sympy import Add, Basic, Derivative, Expr, Indexed, IndexedBase, Symbol

from symbackprop.equations.indices import canonical
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import Equation, index, indices_of, is_size, name_of
from symbackprop.printing.notation import Notation, with_layers
from symbackprop.printing.order import flat
from symbackprop.printing.printer import Printer

LEAST = 3
"""The number of layers that have to be the same before they are shown as one run."""
LAYER = "ℓ"
"""The number of any layer in a formula."""


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
class LayerRun(Generic[Item]):
    """Layers that are the same up to their number, in the order in which they come, each with its items."""

    layers: tuple[int, ...]
    blocks: tuple[tuple[Item, ...], ...]

    @property
    def first(self) -> tuple[Item, ...]:
        """The items of the layer that stands for all."""
        return self.blocks[0]


def with_runs(
    items: Sequence[Item], layer: Callable[[Item], int | None], same: Callable[[Item, Item, int], bool]
) -> Iterator[Item | LayerRun[Item]]:
    """Yield the items, those of three or more layers that are the same as one run.

    ``layer`` returns the layer that an item is about; ``same(a, b, n)`` whether ``b`` is the same as ``a``,
    ``n`` layers further.
    """
    blocks = [(number, tuple(group)) for number, group in groupby(items, layer)]
    for run in _chains(blocks, same):
        layers = tuple(number for number, _ in run if number is not None)
        if len(layers) >= LEAST:
            yield LayerRun(layers, tuple(block for _, block in run))
        else:
            yield from (item for _, block in run for item in block)


_Block = tuple[int | None, tuple[Item, ...]]


def _chains(
    blocks: Sequence[_Block[Item]], same: Callable[[Item, Item, int], bool]
) -> Iterator[list[_Block[Item]]]:
    """Yield the longest chains of blocks that follow each other and are the same."""
    chain: list[_Block[Item]] = []
    shift = 0
    for block in blocks:
        step = (block[0] or 0) - (chain[-1][0] or 0) if chain else 0
        follows = len(chain) == 1 or step == shift
        if chain and follows and _same(chain[-1], block, same):
            shift = step
        else:
            if chain:
                yield chain
            chain = []
        chain.append(block)
    if chain:
        yield chain


def _same(a: _Block[Item], b: _Block[Item], same: Callable[[Item, Item, int], bool]) -> bool:
    if a[0] is None or b[0] is None or abs(b[0] - a[0]) != 1 or len(a[1]) != len(b[1]):
        return False
    shift = b[0] - a[0]
    return all(same(x, y, shift) for x, y in zip(a[1], b[1], strict=True))


_Place = tuple[str, str, int]
"""Whether a name is that of a quantity, an adjoint or a size; the word of its role; its layer."""


class Shift:
    """Moves expressions from layer to layer, by the roles of the quantities they read."""

    def __init__(self, *derivations: Derived) -> None:
        self._places: dict[str, _Place] = {}
        self._sizes: dict[str, _Place] = {}
        for derived in derivations:
            system = derived.system
            self._places |= {n: ("quantity", role.word, role.layer) for n, role in system.roles.items()}
            for name, quantity in derived.adjoints.items():
                role = system.roles.get(quantity)
                if role is not None:
                    self._places[name] = ("adjoint", role.word, role.layer)
            self._sizes |= {n: ("size", role.word, role.layer) for n, role in system.size_roles.items()}
        self._names = {place: name for name, place in (*self._places.items(), *self._sizes.items())}
        self._known: dict[tuple[Basic, int], Basic] = {}

    def same_up_to_layer(self, a: Sides, b: Sides, shift: int) -> bool:
        """Whether ``b`` is ``a`` moved by ``shift`` layers, up to the letters of its indices."""
        left, right = self._moved(a.lhs, shift), self._moved(a.rhs, shift)
        if left is None or right is None:
            return False
        letters = _letters(left, b.lhs)
        if letters is None or canonical(left).xreplace(letters) != canonical(b.lhs):
            return False
        return bool(canonical(right).xreplace(letters) == canonical(b.rhs))

    def name(self, name: str, shift: int) -> str | None:
        """Return the name of the quantity ``shift`` layers further, None if there is no such quantity."""
        return self._shifted(name, self._places.get(name), shift)

    def _shifted(self, name: str, place: _Place | None, shift: int) -> str | None:
        if place is None:
            return name
        kind, word, layer = place
        return self._names.get((kind, word, layer + shift))

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
            place = (self._sizes if is_size(symbol) else self._places).get(symbol.name)
            name = self._shifted(symbol.name, place, shift)
            if name is None:
                return None
            self._known[symbol, shift] = (
                symbol.func(name, **symbol.assumptions0) if name != symbol.name else symbol
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


def _axes(read: Expr) -> list[tuple[str, Expr]]:
    """Return the letters at which a component is read, with the sizes of their axes."""
    pairs = zip(read.indices, read.base.shape, strict=True)
    return [(str(i.name), n) for i, n in pairs if i.is_Symbol]


class AnyLayer:
    """The equations and steps of a layer, written for any layer ℓ where other layers have the same.

    ``printer`` writes the formulas; those for any layer are written by the same kind of printer, in a
    notation that calls one layer ℓ, the one before it ℓ-1, and so on.
    """

    def __init__(self, derivation: Derived, printer: Printer) -> None:
        self.system = derivation.system
        self.printer = printer
        self.shift = Shift(derivation)
        self._compared: dict[tuple[int, int], bool] = {}

    def same_up_to_layer(self, a: Step | Equation, b: Step | Equation, shift: int) -> bool:
        """Whether ``b`` is the same step or equation as ``a``, ``shift`` layers further."""
        if not (isinstance(a, Step) and isinstance(b, Step)):
            return type(a) is type(b) and self.shift.same_up_to_layer(a, b, shift)
        if (a.number, b.number) not in self._compared:
            self._compared[a.number, b.number] = a.rule == b.rule and self.shift.same_up_to_layer(a, b, shift)
        return self._compared[a.number, b.number]

    def are_same_up_to_layer(
        self, a: Sequence[Step | Equation], b: Sequence[Step | Equation], shift: int
    ) -> bool:
        """Whether each item of ``b`` is the same as that of ``a``, ``shift`` layers further."""
        return len(a) == len(b) and all(self.same_up_to_layer(x, y, shift) for x, y in zip(a, b, strict=True))

    def notation(self, layer: int) -> Notation:
        """Return the notation that calls ``layer`` ℓ."""
        roles = {**self.system.roles, **self.system.size_roles}
        numbers = {name: role.layer - layer for name, role in roles.items()}
        names = {name: LAYER + (f"{number:+d}" if number else "") for name, number in numbers.items()}
        notation = with_layers(self.printer.notation, names)
        return replace(notation, letters={**notation.letters, **self._letters_around(layer)})

    def _letters_around(self, layer: int) -> dict[Symbol, str]:
        """Return the letters of any layer's formulas: j for its own units, k for those before, i behind."""
        around = {1: "i", 0: "j", -1: "k"}
        found: dict[Symbol, str] = {}
        for size_, role in self.system.size_roles.items():
            letter = self._letter_of_size.get(size_)
            if letter is not None and role.layer - layer in around:
                found |= {index(letter + mark): around[role.layer - layer] + mark for mark in ("", "'", "''")}
        return found

    @cached_property
    def _letter_of_size(self) -> dict[str, str]:
        """Return the letter over each size that has a layer, where only one runs over it."""
        ranges = {str(i.name): n for e in self.system.equations for i, n in e.ranges.items()}
        inputs = {i: n for e in self.system.equations for r in e.rhs.atoms(Indexed) for i, n in _axes(r)}
        letters = {**inputs, **ranges}
        return {n.name: letter for letter, n in letters.items() if n.is_Symbol and "'" not in letter}

    def printer_of(self, layer: int) -> Printer:
        """Return the printer that calls ``layer`` ℓ."""
        return type(self.printer)(self.notation(layer))

    def summed(self, rhs: Expr) -> list[str]:
        """Return a sum in parts, terms that are the same in several layers as one sum over ℓ; [] without.

        So the penalties of many weights are (λ/2) Σ_ℓ Σ w².
        """
        rest, runs = self.apart(rhs)
        sums = [
            f" + {self.printer_of(layers[0]).sum_of_layers(term, LAYER, layers)}" for term, layers in runs
        ]
        return [*self.printer.chunks(rest), *sums] if sums else []

    def apart(self, rhs: Expr) -> tuple[Expr, list[tuple[Expr, Sequence[int]]]]:
        """Return the terms of a sum that differ, and of those that are the same in several layers the first.

        Beside each of these stand the layers.
        """
        terms = list(flat(rhs, Add))
        runs: list[tuple[Expr, Sequence[int]]] = []
        if len(terms) <= LEAST:
            return rhs, runs
        names = {term: {name_of(read) for read in self.system.reads(term)} for term in terms}
        own = {term: min(read) for term, read in names.items() if len(read) == 1}
        layered = [term for term in terms if term in own and self.system.layer(own[term]) is not None]
        layered.sort(key=lambda term: (self.system.layer(own[term]) or 0, self.printer.tie(term)))
        for run in with_runs(layered, lambda term: self.system.layer(own[term]), self._same_terms):
            if isinstance(run, LayerRun):
                runs += [(term, run.layers) for term in run.first]
                terms = [term for term in terms if not any(term in block for block in run.blocks)]
        return (Add(*terms), runs) if terms and runs else (rhs, [])

    def _same_terms(self, a: Expr, b: Expr, shift: int) -> bool:
        loss = self.system.quantities[self.system.loss].symbol
        return self.shift.same_up_to_layer(Equation(loss, a), Equation(loss, b), shift)
