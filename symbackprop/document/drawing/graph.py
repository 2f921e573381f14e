"""The layout of equations: a box for each quantity, arrows to its readers, from left to right.

In goes an ``EquationSystem``, out comes a ``Picture``.  The layers are those of Sugiyama, Tagawa and Toda
(1981): ranks by the longest path, an order with few crossings, then heights.  Ranks in the middle of a deep
network, and quantities that do not fit into a rank, stand together as dots.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from symbackprop.document.drawing.picture import Edge, Name, Node, NodeKind, Picture
from symbackprop.document.drawing.words import Words
from symbackprop.equations.system import EquationSystem, indices_of, name_of

_RANK_GAP, _ROW, _BEND_ROW, _HEIGHT, _SIDE = 62.0, 66.0, 30.0, 44.0, 18.0
_WAY, _TRACK = 13.0, 3.0
"""The distance of ways back from what is above them or beside them, and of one from the next."""
_MOST_RANKS, _FIRST_RANKS, _LAST_RANKS = 12, 7, 4
_MOST_IN_RANK = 8
_SWEEPS = 8

Links = set[tuple[str, str]]
"""Pairs of keys: the quantity that is read, and its reader."""


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
    places = _collapsed(_ranks(system, reads), reads)
    kinds = _kinds(system, set(targets), output)
    nodes = {
        key: _node(system, key, kinds, sizes, words) for key in dict.fromkeys(p.key for p in places.values())
    }
    links = {(places[r].key, places[e].key) for e, found in reads.items() for r in found}
    rank_of = {p.key: p.rank for p in places.values()}
    back = {(a, b) for a, b in links if rank_of[a] >= rank_of[b] and a in reads and a in nodes}
    links = {(a, b) for a, b in links if rank_of[a] < rank_of[b]}
    ranks: list[list[str]] = [[] for _ in range(max(p.rank for p in places.values()) + 1)]
    for key, rank in dict.fromkeys((p.key, p.rank) for p in places.values()):
        ranks[rank].append(key)
    return _with_ways_back(_placed(nodes, ranks, links), sorted(_quantities(back, nodes)))


def _quantities(links: Links, nodes: Mapping[str, Node]) -> Iterator[tuple[str, str]]:
    """Yield the links between two quantities, which do not stand together as dots."""
    return ((a, b) for a, b in links if "rest" not in (nodes[a].kind, nodes[b].kind))


def _with_ways_back(picture: Picture, links: Sequence[tuple[str, str]]) -> Picture:
    """Return a picture with arrows below it, for what a recurrence reads at another place."""
    edges, low = list(picture.edges), picture.height - _SIDE
    for number, (a, b) in enumerate(links):
        source, target = picture.by_key[a], picture.by_key[b]
        low += _WAY
        right = source.x + source.width / 2 + _WAY + _TRACK * number
        left = target.x - target.width / 2 - _WAY - _TRACK * number
        through = ((right, source.y), (right, low), (left, low), (left, target.y))
        edges.append(Edge(a, b, through=through, back=True))
    return replace(picture, edges=tuple(edges), height=low + _SIDE)


# ---------------------------------------------------------------------------------- places and ranks


@dataclass(frozen=True)
class _Place:
    """The node that shows a quantity, and the rank where it stands."""

    key: str
    rank: int


def _ranks(system: EquationSystem, reads: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the rank of each quantity: the longest path to it; inputs stand just before their first use."""
    ranks: dict[str, int] = {}
    for equation in system.equations:
        ranks[equation.name] = 1 + max((ranks.get(read, 0) for read in reads[equation.name]), default=0)
    given: dict[str, int] = {}
    for equation in system.equations:
        for read in reads[equation.name]:
            if read not in ranks:
                given[read] = min(given.get(read, ranks[equation.name]), ranks[equation.name] - 1)
    everything = {**given, **ranks}
    return {name: everything[name] for name in system.quantities if name in everything}


def _collapsed(ranks: Mapping[str, int], computed: Collection[str]) -> dict[str, _Place]:
    """Return the place of each quantity; those that do not fit, ``computed`` ones last, share dots."""
    count, places, wanted = max(ranks.values()) + 1, {}, Counter(ranks.values())
    skipped = max(0, count - _FIRST_RANKS - _LAST_RANKS) if count > _MOST_RANKS else 0
    full: dict[int, int] = {}
    for name in sorted(ranks, key=lambda name: name not in computed):
        rank = ranks[name]
        if skipped and _FIRST_RANKS <= rank < _FIRST_RANKS + skipped:
            places[name] = _Place("rest", _FIRST_RANKS)
            continue
        crowd = wanted[rank]
        rank -= max(0, skipped - 1) if rank >= _FIRST_RANKS else 0
        full[rank] = full.get(rank, 0) + 1
        crowded = crowd > _MOST_IN_RANK and full[rank] >= _MOST_IN_RANK
        places[name] = _Place(f"rest-{rank}" if crowded else name, rank)
    return {name: places[name] for name in ranks}


def _kinds(system: EquationSystem, targets: set[str], output: str) -> dict[str, NodeKind]:
    kinds: dict[str, NodeKind] = dict.fromkeys(system.quantities, "quantity")
    kinds |= dict.fromkeys(system.inputs, "input")
    kinds |= dict.fromkeys(system.parameters, "parameter")
    kinds |= dict.fromkeys(targets, "target")
    return kinds | {output: "output", system.loss: "loss"}


def _node(
    system: EquationSystem,
    key: str,
    kinds: Mapping[str, NodeKind],
    sizes: Callable[[str], str],
    words: Words,
) -> Node:
    """Return the node of a quantity, or the dots, without a place."""
    if key not in system.quantities:
        return Node(key, "rest", 0, 0, 40, 24, name=Name("⋯" if key == "rest" else "⋮"))
    name, note = words.name(key, _letters(system, key)), sizes(key)
    letters = len(name.word) + (len(f"∂{name.of}/∂") if name.of else 0)
    width = max(46.0, 11.0 * letters + 7.5 * len(name.above + name.below) + 20, 6.5 * len(note) + 18)
    said = words.say(f"drawing.{kinds[key]}", quantity=key)
    return Node(key, kinds[key], 0, 0, width, _HEIGHT, False, name, note, (key,), description=said)


def _letters(system: EquationSystem, name: str) -> list[str]:
    """Return the index letters under which a quantity is defined, or first read."""
    if name in system.definitions:
        return [str(i) for i in system.definitions[name].indices]
    for equation in system.equations:
        for read in system.reads(equation.rhs):
            if name_of(read) == name and all(i.is_Symbol for i in indices_of(read)):
                return [str(i) for i in indices_of(read)]
    return []


# ------------------------------------------------------------------------------------- where it stands


def _placed(nodes: Mapping[str, Node], ranks: Sequence[Sequence[str]], links: Links) -> Picture:
    order = {key: rank for rank, keys in enumerate(ranks) for key in keys}
    bends, steps = _bent(sorted(links), order)
    columns = [[*keys] for keys in ranks]
    for key, rank in bends.items():
        columns[rank].append(key)
    columns = _with_few_crossings(columns, steps)
    heights = _heights(columns, steps, set(bends))
    widths = [max((nodes[key].width for key in keys), default=0.0) for keys in ranks]
    xs, x = [], _SIDE
    for width in widths:
        xs.append(x + width / 2)
        x += width + _RANK_GAP
    lowest = min(heights[key] - _HEIGHT / 2 for key in heights) - _SIDE
    set_down = [replace(nodes[key], x=xs[rank], y=heights[key] - lowest) for key, rank in order.items()]
    edges = []
    for a, b in sorted(links):
        inner = tuple(
            (xs[rank], heights[_bend(a, b, rank)] - lowest) for rank in range(order[a] + 1, order[b])
        )
        edges.append(Edge(a, b, through=inner, curved=True))
    height = max(heights[key] + _HEIGHT / 2 for key in heights) - lowest + _SIDE
    return Picture(x - _RANK_GAP + _SIDE, height, tuple(set_down), tuple(edges))


def _bend(a: str, b: str, rank: int) -> str:
    return f"{a}>{b}@{rank}"


def _bent(links: Sequence[tuple[str, str]], order: Mapping[str, int]) -> tuple[dict[str, int], Links]:
    """Return a bend for each rank that an arrow passes, with its rank, and the steps from rank to rank."""
    bends: dict[str, int] = {}
    steps: Links = set()
    for a, b in links:
        passed = {_bend(a, b, rank): rank for rank in range(order[a] + 1, order[b])}
        bends |= passed
        steps |= set(pairwise([a, *passed, b]))
    return bends, steps


def _with_few_crossings(columns: list[list[str]], steps: Links) -> list[list[str]]:
    """Return the columns in the best order that sweeps to and fro by barycentres find."""
    before, after = _neighbours(steps)
    best, fewest = columns, _crossings(columns, after)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        columns = [[*keys] for keys in columns]
        forwards = sweep % 2 == 0
        places = {key: float(n) for keys in columns for n, key in enumerate(keys)}
        for keys in columns if forwards else reversed(columns):
            near = before if forwards else after
            wish = {key: _mean([places[k] for k in near.get(key, ())], places[key]) for key in keys}
            keys.sort(key=wish.__getitem__)
            places |= {key: float(n) for n, key in enumerate(keys)}
        crossings = _crossings(columns, after)
        if crossings < fewest:
            best, fewest = columns, crossings
    return best


def _neighbours(steps: Links) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    before: dict[str, list[str]] = {}
    after: dict[str, list[str]] = {}
    for a, b in sorted(steps):
        before.setdefault(b, []).append(a)
        after.setdefault(a, []).append(b)
    return before, after


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _crossings(columns: Sequence[Sequence[str]], after: Mapping[str, Sequence[str]]) -> int:
    total = 0
    for keys, following in pairwise(columns):
        place = {key: n for n, key in enumerate(following)}
        ends: list[int] = []
        for key in keys:
            own = [place[b] for b in after.get(key, ())]
            total += sum(earlier > end for end in own for earlier in ends)
            ends += own
    return total


def _heights(columns: Sequence[Sequence[str]], steps: Links, bends: set[str]) -> dict[str, float]:
    """Return the height of each key: near its neighbours, in order, and at a distance from the next."""
    before, after = _neighbours(steps)
    spaces = {key: _BEND_ROW if key in bends else _ROW for keys in columns for key in keys}
    heights: dict[str, float] = {}
    for keys in columns:
        heights |= _spaced(keys, dict.fromkeys(keys, 0.0), spaces)
    for sweep in range(2 * _SWEEPS):
        for keys in columns if sweep % 2 == 0 else reversed(columns):
            wish = {}
            for key in keys:
                near = [heights[k] for k in (*before.get(key, ()), *after.get(key, ()))]
                wish[key] = _mean(near, heights[key])
            heights |= _spaced(keys, wish, spaces)
    return heights


def _spaced(keys: Sequence[str], wish: Mapping[str, float], spaces: Mapping[str, float]) -> dict[str, float]:
    """Return the heights nearest to those wished for that keep order and distance: isotonic regression."""
    offsets, total = [], 0.0
    for n, key in enumerate(keys):
        total += (spaces[keys[n - 1]] + spaces[key]) / 2 if n else 0.0
        offsets.append(total)
    blocks: list[tuple[float, int]] = []  # mean height, number of keys
    for key, offset in zip(keys, offsets, strict=True):
        blocks.append((wish[key] - offset, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (low, m), (high, n) = blocks[-2:]
            blocks[-2:] = [((low * m + high * n) / (m + n), m + n)]
    levels = [mean for mean, count in blocks for _ in range(count)]
    return {key: level + offset for key, level, offset in zip(keys, levels, offsets, strict=True)}
