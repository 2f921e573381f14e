"""Steps that are equal up to the names in them: they are proved once.

In go a ``Statement``, its ``Scope`` and the ``Structure``, out comes a ``Spelling``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from sympy import Expr, Indexed, Sum, Symbol

from symbackprop.equations.system import ArgMax
from symbackprop.proof.scope import Scope
from symbackprop.proof.statement import Statement
from symbackprop.proof.structure import Structure, is_size
from symbackprop.proof.work import Space, spaces_of


@dataclass
class Spelling:
    """A statement with its equations, names replaced by the order in which they appear.

    Equal texts mean equal mathematics.  For choosing numbers: ``sizes`` are the size symbols, ``extents``
    the ranges that occur, ``ranges`` those that each index runs over, ``shapes`` those of the quantities, and
    ``spaces`` those of the places at which the claim and the equations are written out.
    """

    text: str
    sizes: list[Symbol]
    extents: list[Expr]
    ranges: dict[Symbol, set[Expr]]
    shapes: list[tuple[Expr, ...]]
    spaces: list[Space]


def spell(statement: Statement, scope: Scope, structure: Structure) -> Spelling:
    """Spell all that decides ``statement``; the equations first, so that the sizes are theirs."""
    speller = _Speller(structure)
    step = statement.step
    speller.parts.append(f"{statement.kind} {statement.is_batch} ")
    speller.spell(step.lhs)
    for consumer, name in scope.pairs:
        speller.parts.append(f"; {speller.code(consumer)} reads {speller.code(name)}: ")
        speller.spell(structure.definitions[consumer].lhs)
        for term in structure.terms.get((consumer, name), ()):
            speller.spell(term)
    for name in (*scope.computed, *scope.places):
        speller.parts.append("; define ")
        speller.spell(structure.definitions[name].lhs)
        speller.spell(structure.definitions[name].rhs)
    for number in scope.facts:
        fact = structure.system.facts[number]
        speller.parts.append("; assume ")
        speller.spell(fact.component)
        speller.spell(fact.index)
        speller.spell(fact.value)
    speller.parts.append("; claim ")
    speller.spell(step.rhs)
    speller.spell_quantities(scope)
    shapes = list(dict.fromkeys(structure.quantities[name].shape for name in speller.quantities))
    return Spelling(
        "".join(speller.parts),
        list(speller.sizes),
        list(speller.extents),
        speller.ranges,
        shapes,
        list(_spaces(statement, scope, structure)),
    )


def _spaces(statement: Statement, scope: Scope, structure: Structure) -> Iterator[Space]:
    """Yield the spaces of the claim, of what the derivatives are taken of, and of the definitions."""
    yield from statement.spaces()
    for consumer, name in scope.pairs:
        for term in structure.terms.get((consumer, name), ()):
            yield from spaces_of(term, structure.quantities[consumer].shape)
    for name in (*scope.computed, *scope.places):
        yield from spaces_of(structure.definitions[name].rhs, structure.quantities[name].shape)


class _Speller:
    """Writes expressions with names replaced by the order of their first appearance."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self.parts: list[str] = []
        self.codes: dict[object, str] = {}
        self.quantities: list[str] = []
        self.sizes: dict[Symbol, None] = {}
        self.extents: dict[Expr, None] = {}
        self.ranges: dict[Symbol, set[Expr]] = {}

    def code(self, name: str) -> str:
        """Return the code of the quantity or adjoint of that name."""
        if name in self.structure.adjoints:
            return "d" + self.code(self.structure.adjoints[name])
        if name not in self.codes:
            self.codes[name] = f"q{len(self.codes)}"
            if name in self.structure.quantities:
                self.quantities.append(name)
        return self.codes[name]

    def spell(self, node: Expr) -> None:
        """Append ``node``."""
        if isinstance(node, Symbol):
            self.parts.append(self._symbol(node) + " ")
            return
        if isinstance(node, Indexed):
            self.parts.append(self.code(str(node.base.name)) + "[")
            arguments: Iterable[Expr] = node.indices
            self._note_ranges(zip(node.indices, node.base.shape or (), strict=False))
        elif node.args:
            self.parts.append(type(node).__name__ + "(")
            arguments = node.args
        else:
            self.parts.append(f"{node} ")
            return
        for argument in arguments:
            self.spell(argument)
        self.parts.append(")")
        if isinstance(node, (Sum, ArgMax)):
            self._note_ranges((limit[0], limit[2] + 1) for limit in node.limits)

    def _note_ranges(self, ranges: Iterable[tuple[Expr, Expr]]) -> None:
        for index, extent in ranges:
            self.extents[extent] = None
            if index.is_Integer:  # x[3] needs a size of more than 3
                self.extents[extent - index] = None
            self.ranges.setdefault(index, set()).add(extent)

    def _symbol(self, symbol: Symbol) -> str:
        if is_size(symbol):
            self.sizes[symbol] = None
        elif symbol.name in self.structure.adjoints or self.structure.is_scalar(symbol):
            return self.code(symbol.name)
        kind = "n" if is_size(symbol) else "i" if symbol.is_integer else "c"
        return self.codes.setdefault(symbol, f"{kind}{len(self.codes)}")

    def spell_quantities(self, scope: Scope) -> None:
        """Append the shape of each quantity seen so far, and the marks of its values and its adjoint."""
        structure = self.structure
        for name in self.quantities:
            quantity = structure.quantities[name]
            self.parts.append(f"; {self.code(name)} has ")
            for extent in quantity.shape:
                self.spell(extent)
                self.extents[extent] = None
            if quantity.integer:
                for end in chain.from_iterable(structure.tables[name]):
                    self.spell(end)
            marks = (
                quantity.integer,
                name in scope.computed,
                name in scope.inner,
                name == structure.loss,
                scope.is_free(name, structure),
                name in structure.without_sample,
            )
            self.parts.append("".join("01"[mark] for mark in marks))
            if name in structure.bounds:
                self.parts.append(f" in {structure.bounds[name]}")
