"""The layout of equations: a box for each quantity, arrows to its readers, from left to right, in rows.

In goes an ``EquationSystem``, out comes a ``Picture``.  A quantity stands one rank behind what it reads.
Ranks that do not fit beside each other go on in a row below, where what is read from another row stands once
more.  Of equal layers the first and the last are drawn, and one box stands for those between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from sympy import preorder_traversal

from symbackprop.document.drawing.picture import Edge, Name, Node, NodeKind, Picture
from symbackprop.document.drawing.placement import HEIGHT, RANK_GAP, SIDE, Links, placed, with_ways_back
from symbackprop.document.drawing.words import Words
from symbackprop.equations.graph import reached_from, readers_of
from symbackprop.equations.system import ZERO, EquationSystem, indices_of, name_of

_WIDEST = 860.0
"""How wide the boxes of a row may be with their distances: as wide as a page is."""
_ROW_GAP = 30.0
_LEAST_ALIKE = 4
"""Equal layers from which on those between the first and the last are one box."""
_REST = "~rest"
"""The key of that box, which no quantity has as its name."""


def lay_out(
    system: EquationSystem, targets: Iterable[str], output: str, sizes: Callable[[str], str], words: Words
) -> Picture:
    """Return the picture of ``system``.

    Args:
        system: the equations.
        targets: the inputs that are targets.
        output: the name of the network's output.
        sizes: the text with the sizes of a quantity's axes.
        words: how quantities and descriptions are written.
    """
    reads = {e.name: list(dict.fromkeys(map(name_of, system.reads(e.rhs)))) for e in system.equations}
    alike = _alike(system, reads)
    kinds = _kinds(system, set(targets), output)
    known = {*reads, *chain.from_iterable(reads.values())}
    names = [name for name in system.quantities if name in known]
    nodes = {name: _node(system, name, kinds, sizes, words) for name in names}
    if alike.names:
        nodes[_REST] = alike.node(words)
    links = {(r, alike.key(e)) for e, found in reads.items() for r in found if alike.key(r) != alike.key(e)}
    loops = {(r, e) for e, found in reads.items() for r in found if r == e}
    given = {name for name in names if name not in reads and name not in alike.names}
    return _Rows(nodes, _ranks(reads, alike), links | loops, alike, given).picture()


@dataclass(frozen=True)
class _Alike:
    """The quantities of equal layers between the first and the last, all of which one box stands for."""

    names: frozenset[str] = frozenset()
    first: int = 0
    last: int = 0

    def key(self, name: str) -> str:
        """Return the key of the box where a quantity stands."""
        return _REST if name in self.names else name

    def node(self, words: Words) -> Node:
        """Return the box, without a place."""
        said = words.say("drawing.alike", first=str(self.first), last=str(self.last))
        return Node(_REST, "rest", 0, 0, 7.0 * len(said), 34, name=Name("⋯"), note=said, description=said)


def _alike(system: EquationSystem, reads: Mapping[str, Sequence[str]]) -> _Alike:
    """Return the layers that are like those on both sides of them, by what their quantities are and read."""
    layers: dict[int, set[str]] = {}
    for name, role in system.roles.items():
        if name in system.quantities:
            layers.setdefault(role.layer, set()).add(name)
    shapes = {number: _shape_of(system, names) for number, names in layers.items()}
    inner = [n for n in sorted(layers) if shapes[n] == shapes.get(n - 1) == shapes.get(n + 1)]
    if len(inner) < _LEAST_ALIKE - 2 or inner != [*range(inner[0], inner[-1] + 1)]:
        return _Alike()
    names = set[str]().union(*(layers[n] for n in inner))
    behind, before = reached_from(names, readers_of(reads)), reached_from(names, reads)
    return _Alike(frozenset(names | (behind & before)), inner[0], inner[-1])


def _shape_of(system: EquationSystem, names: Collection[str]) -> object:
    """Return what is equal for layers that are alike: words, what each reads of its layer, and functions."""
    found = []
    for name in names:
        definition = system.definitions.get(name)
        rhs = ZERO if definition is None else definition.rhs
        reads = Counter(map(name_of, system.reads(rhs)))
        others = sorted((system.roles[read].word if read in names else "", n) for read, n in reads.items())
        functions = sorted({type(node).__name__ for node in preorder_traversal(rhs)})
        found.append((system.roles[name].word, len(system.quantities[name].shape), others, functions))
    return sorted(found)


def _ranks(reads: Mapping[str, Sequence[str]], alike: _Alike) -> dict[str, int]:
    """Return the rank of each box: the longest path to it; what is given stands just before its first use."""
    own: dict[str, list[str]] = {}
    for name, found in reads.items():
        own.setdefault(alike.key(name), []).extend(found)
    late = reached_from([_REST], readers_of({key: map(alike.key, found) for key, found in own.items()}))
    ranks: dict[str, int] = {}
    for key in sorted(own, key=lambda key: (key in late, key != _REST)):
        ranks[key] = 1 + max((ranks.get(alike.key(read), 0) for read in own[key]), default=0)
    given: dict[str, int] = {}
    for key, found in own.items():
        for read in map(alike.key, found):
            if read not in ranks:
                given[read] = min(given.get(read, ranks[key]), ranks[key] - 1)
    return {**given, **ranks}


class _Rows:
    """The ranks in rows, with what a row reads from another one once more."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        ranks: Mapping[str, int],
        links: Links,
        alike: _Alike,
        given: Collection[str],
    ) -> None:
        self.nodes, self.ranks, self.links, self.alike = nodes, ranks, links, alike
        row_of_rank = self._rows_of_ranks()
        self.rows = {key: row_of_rank[rank] for key, rank in ranks.items()}
        first: dict[str, int] = {}
        for read, key in links:
            first[read] = min(first.get(read, self.rows[key]), self.rows[key])
        self.rows |= {name: first[name] for name in given}  # it stands in the row that first reads it

    def picture(self) -> Picture:
        """Return all rows below each other."""
        rows = [self._row(number) for number in range(max(self.rows.values()) + 1)]
        nodes: list[Node] = []
        edges: list[Edge] = []
        low = 0.0
        for row in rows:
            nodes += [replace(node, y=node.y + low) for node in row.nodes]
            for edge in row.edges:
                through = tuple((x, y + low) for x, y in edge.through)
                edges.append(replace(edge, through=through))
            low += row.height - 2 * SIDE + _ROW_GAP
        again = [
            Edge(self.alike.key(_original(node.key)), node.key, drawn=False) for node in nodes if node.again
        ]
        width = max(row.width for row in rows)
        return Picture(width, low - _ROW_GAP + 2 * SIDE, tuple(nodes), (*edges, *again))

    def _rows_of_ranks(self) -> list[int]:
        """Return the row of each rank."""
        widths = [0.0] * (max(self.ranks.values()) + 1)
        for key, rank in self.ranks.items():
            widths[rank] = max(widths[rank], self.nodes[key].width)
        found, row, wide = [], 0, 0.0
        for width in widths:
            if wide and wide + width > _WIDEST:
                row, wide = row + 1, RANK_GAP + width  # room for what is read from another row
            found.append(row)
            wide += width + RANK_GAP
        return found

    def _row(self, number: int) -> Picture:
        ranks = {key: rank for key, rank in self.ranks.items() if self.rows[key] == number}
        nodes = {key: self.nodes[key] for key in ranks}
        links: Links = set()
        for read, key in sorted(self.links):
            source = self.alike.key(read)
            if key not in ranks:
                continue
            if source not in ranks:
                source = _again(read, number)
                nodes[source] = replace(self.nodes[read], key=source, again=True)
                ranks[source] = min(ranks.get(source, ranks[key]), ranks[key] - 1)
            links.add((source, key))
        first = min(ranks.values())
        columns: list[list[str]] = [[] for _ in range(max(ranks.values()) - first + 1)]
        for key, rank in ranks.items():
            columns[rank - first].append(key)
        back = {(a, b) for a, b in links if ranks[a] >= ranks[b]}
        return with_ways_back(placed(nodes, columns, links - back), sorted(back))


def _kinds(system: EquationSystem, targets: set[str], output: str) -> dict[str, NodeKind]:
    kinds: dict[str, NodeKind] = dict.fromkeys(system.quantities, "quantity")
    kinds |= dict.fromkeys(system.inputs, "input")
    kinds |= dict.fromkeys(system.parameters, "parameter")
    kinds |= dict.fromkeys(targets, "target")
    return kinds | {output: "output", system.loss: "loss"}


def _again(name: str, row: int) -> str:
    """Return the key of the box in which a quantity stands once more."""
    return f"{name}@{row}"


def _original(key: str) -> str:
    return key.partition("@")[0]


def _node(
    system: EquationSystem,
    key: str,
    kinds: Mapping[str, NodeKind],
    sizes: Callable[[str], str],
    words: Words,
) -> Node:
    """Return the node of a quantity, or the dots, without a place."""
    name, note = words.name(key, _letters(system, key)), sizes(key)
    letters = len(name.word) + (len(f"∂{name.of}/∂") if name.of else 0)
    width = max(46.0, 11.0 * letters + 7.5 * len(name.above + name.below) + 20, 6.5 * len(note) + 18)
    said = words.say(f"drawing.{kinds[key]}", quantity=key)
    return Node(key, kinds[key], 0, 0, width, HEIGHT, False, name, note, (key,), description=said)


def _letters(system: EquationSystem, name: str) -> list[str]:
    """Return the index letters under which a quantity is defined, or first read."""
    if name in system.definitions:
        return [str(i) for i in system.definitions[name].indices]
    for equation in system.equations:
        for read in system.reads(equation.rhs):
            if name_of(read) == name and all(i.is_Symbol for i in indices_of(read)):
                return [str(i) for i in indices_of(read)]
    return []
