"""The layers of a network that is given by equations: the part that repeats from one to the next.

A number at the end of a name makes no layer: four heads h1 … h4 side by side are none.  Layers are a chain of
equations.  One quantity is computed from one that carries the number before it, and so on, back to a
quantity of its own word: s2 from x1, x2 from s2, s3 from x2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from sympy import Add, Expr, Mul, Sum

from symbackprop.equations.naming import split_name
from symbackprop.equations.system import EquationSystem, Role, name_of
from symbackprop.network.notation.lines import Made
from symbackprop.network.notation.words import LEAST

_Spelled = tuple[str, int]
"""The word and the number of a name."""


def with_roles(
    system: EquationSystem,
    of_blocks: Collection[str] = (),
    made: Iterable[Made] = (),
    common: Collection[str] = (),
) -> EquationSystem:
    """Return a system with the roles of its quantities and sizes: none where it has no layers.

    ``of_blocks`` are the quantities that uses of blocks have made, ``made`` says of which layers they are.
    ``common`` are the sizes of blocks that are those of no single layer.
    """
    entered = list(made)
    places = {each.name: (each.word, each.layer) for each in entered if not each.data}
    found = _Layers(system, frozenset(of_blocks), places, common)
    entries = found.entries(each for each in entered if each.data)
    return replace(system, roles=found.roles, size_roles=found.size_roles, entries=entries)


@dataclass(frozen=True)
class _Layers:
    """Finds the chain of layers in a system."""

    system: EquationSystem
    of_blocks: frozenset[str] = frozenset()
    made: Mapping[str, _Spelled] = field(default_factory=dict)
    common: Collection[str] = ()

    @cached_property
    def spelled(self) -> dict[str, _Spelled]:
        """The quantities whose names end in a number; what uses of blocks have made has that of its layer."""
        split = {name: split_name(name) for name in self.system.quantities}
        found = {name: (word, int(number)) for name, (word, number) in split.items() if number is not None}
        return found | {name: place for name, place in self.made.items() if name in split}

    @cached_property
    def reads(self) -> dict[str, set[str]]:
        """The names that each defined quantity reads, of quantities whose names end in a number."""
        return {
            e.name: {name_of(c) for c in self.system.reads(e.rhs)} & self.spelled.keys()
            for e in self.system.equations
            if e.name in self.spelled
        }

    def _steps(self) -> Iterator[tuple[str, str, int]]:
        """Yield (reader, name, offset) for each read of its own number (0), or of the one before (1)."""
        for reader, names in self.reads.items():
            for name in names:
                offset = self.spelled[reader][1] - self.spelled[name][1]
                if offset in (0, 1):
                    yield reader, name, offset

    @cached_property
    def _chained_words(self) -> set[str]:
        """The words of quantities that lead, through one number after the other, back to the same word."""
        leads: dict[str, set[str]] = {}
        onwards: set[tuple[str, str]] = set()
        for reader, name, offset in self._steps():
            after, before = self.spelled[reader][0], self.spelled[name][0]
            leads.setdefault(before, set()).add(after)
            if offset:
                onwards.add((before, after))
        found: set[str] = set()
        for before, after in onwards:
            if before in (back := _reached(after, leads)):
                found |= {word for word in back if before in _reached(word, leads)}
        return found

    @cached_property
    def _chain(self) -> set[str]:
        """The quantities of the chain: those of its words that it connects over two numbers or more."""
        near: dict[str, set[str]] = {}
        for reader, name, _ in self._steps():
            if {self.spelled[reader][0], self.spelled[name][0]} <= self._chained_words:
                near.setdefault(reader, set()).add(name)
                near.setdefault(name, set()).add(reader)
        found: set[str] = set()
        for name in near:
            if name not in found:
                together = _reached(name, near)
                found |= together if len({self.spelled[n][1] for n in together}) > 1 else set()
        return found

    @cached_property
    def members(self) -> set[str]:
        """The quantities of the layers: the chain, and all that read, or are read, under the same number."""
        near: dict[str, set[str]] = {}
        for reader, name, offset in self._steps():
            if not offset:
                near.setdefault(reader, set()).add(name)
                near.setdefault(name, set()).add(reader)
        found = set().union(*[_reached(name, near) for name in self._chain])
        return found | self._continued(found)

    def _continued(self, found: set[str]) -> set[str]:
        """Return the names with a word of the layers and the number behind the last one."""
        words = {self.spelled[name][0] for name in found}
        last = max((self.spelled[name][1] for name in found), default=0)
        return {name for name, (word, number) in self.spelled.items() if word in words and number == last + 1}

    @cached_property
    def roles(self) -> dict[str, Role]:
        """The roles of the quantities."""
        kinds = self._kinds
        uses = Counter(self.spelled[name][0] for name in self.members & self.of_blocks)
        found = {name: spelled for name, spelled in self.spelled.items() if name in self.members}
        return {
            name: Role(layer, word, kinds.get(name, ""), uses[word] if name in self.of_blocks else 0)
            for name, (word, layer) in found.items()
        }

    def entries(self, data: Iterable[Made]) -> dict[str, Role]:
        """Return the roles that inputs have for many uses of a block, the first of which is given them."""
        words = {role.word for role in self.roles.values() if role.uses >= LEAST}
        spelled = {*self.spelled.values()}
        return {
            each.name: Role(each.layer, each.word)
            for each in data
            if each.word in words and each.name not in self.roles and (each.word, each.layer) not in spelled
        }

    @cached_property
    def size_roles(self) -> dict[str, Role]:
        """The roles of the sizes whose names end in the number of a layer."""
        numbers = {self.spelled[name][1] for name in self.members}
        shapes = (self.system.quantities[name].shape for name in self.members)
        sizes = sorted({s.name for shape in shapes for n in shape for s in n.free_symbols})
        split = {name: split_name(name) for name in sizes if name not in self.common}
        return {
            name: Role(int(glyph.layer), glyph.word)
            for name, glyph in split.items()
            if glyph.layer is not None and int(glyph.layer) in numbers
        }

    @cached_property
    def _kinds(self) -> dict[str, str]:
        """The kind of each quantity of a layer, seen from the equations."""
        found = {name: "input" for name in self.members if name in self.system.inputs}
        for name in self.members & self.reads.keys():
            weights, biases = self._parameters_of_sum(self.system.definitions[name].rhs)
            if weights:
                found |= {name: "pre-activation", **dict.fromkeys(weights, "weight")}
                found |= dict.fromkeys(biases, "bias")
        sums = {name for name, kind in found.items() if kind == "pre-activation"}
        for name in self.members & self.reads.keys():
            own = {n for n in self.reads[name] if self.spelled[n][1] == self.spelled[name][1]}
            if name not in found and own & sums and own - self._parameters <= sums:
                found[name] = "activation"
        return found

    @property
    def _parameters(self) -> set[str]:
        return set(self.system.parameters)

    def _parameters_of_sum(self, rhs: Expr) -> tuple[list[str], list[str]]:
        """Return the weights and the biases of a weighted sum of other quantities, else none."""
        weights: list[str] = []
        biases: list[str] = []
        for term in Add.make_args(rhs):
            if isinstance(term, Sum):
                factors = [name_of(f) for f in Mul.make_args(term.function) if self.system.is_read(f)]
                own = [name for name in factors if name in self._parameters]
                if len(own) != 1 or len(factors) != 2:
                    return [], []
                weights += own
            elif self.system.is_read(term) and name_of(term) in self._parameters:
                biases.append(name_of(term))
            else:
                return [], []
        return weights, biases


def _reached(start: str, near: Mapping[str, set[str]]) -> set[str]:
    """Return the names that can be reached from ``start``, itself included."""
    found, pending = {start}, [start]
    while pending:
        new = near.get(pending.pop(), set()) - found
        found |= new
        pending += new
    return found
