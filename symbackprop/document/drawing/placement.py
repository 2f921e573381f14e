"""Where the boxes and arrows of a row stand: few crossings, and each near what it is connected to.

In go nodes by ranks, out comes a ``Picture``.  The order is that of Sugiyama, Tagawa and Toda (1981), from
sweeps to and fro by barycentres; heights follow by isotonic regression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from symbackprop.document.drawing.picture import Edge, Node, Picture

RANK_GAP, HEIGHT, SIDE = 62.0, 44.0, 18.0
"""The distance of two ranks, the height of a box, and the margin."""
_ROW, _BEND_ROW = 66.0, 30.0
_WAY, _TRACK = 13.0, 3.0
"""The distance of ways back from what is above them or beside them, and of one from the next."""
_SWEEPS = 8

Links = set[tuple[str, str]]
"""Pairs of keys: what is read, and its reader."""


def with_ways_back(picture: Picture, links: Sequence[tuple[str, str]]) -> Picture:
    """Return a picture with arrows below it, for what a recurrence reads at another place."""
    edges, low = list(picture.edges), picture.height - SIDE
    for number, (a, b) in enumerate(links):
        source, target = picture.by_key[a], picture.by_key[b]
        low += _WAY
        right = source.x + source.width / 2 + _WAY + _TRACK * number
        left = target.x - target.width / 2 - _WAY - _TRACK * number
        through = ((right, source.y), (right, low), (left, low), (left, target.y))
        edges.append(Edge(a, b, through=through, back=True))
    return replace(picture, edges=tuple(edges), height=low + SIDE)


def placed(nodes: Mapping[str, Node], ranks: Sequence[Sequence[str]], links: Links) -> Picture:
    """Return the picture of nodes in ranks; ``links`` lead from lower ranks to higher ones."""
    order = {key: rank for rank, keys in enumerate(ranks) for key in keys}
    bends, steps = _bent(sorted(links), order)
    columns = [[*keys] for keys in ranks]
    for key, rank in bends.items():
        columns[rank].append(key)
    columns = _with_few_crossings(columns, steps)
    heights = _heights(columns, steps, set(bends))
    widths = [max((nodes[key].width for key in keys), default=0.0) for keys in ranks]
    xs, x = [], SIDE
    for width in widths:
        xs.append(x + width / 2)
        x += width + RANK_GAP
    lowest = min(heights[key] - HEIGHT / 2 for key in heights) - SIDE
    set_down = [replace(nodes[key], x=xs[rank], y=heights[key] - lowest) for key, rank in order.items()]
    edges = []
    for a, b in sorted(links):
        inner = tuple(  # level beside the boxes of a rank that it passes
            (xs[rank] + side * widths[rank] / 2, heights[_bend(a, b, rank)] - lowest)
            for rank in range(order[a] + 1, order[b])
            for side in (-1, 1)
        )
        edges.append(Edge(a, b, through=inner, curved=True))
    height = max(heights[key] + HEIGHT / 2 for key in heights) - lowest + SIDE
    return Picture(x - RANK_GAP + SIDE, height, tuple(set_down), tuple(edges))


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
