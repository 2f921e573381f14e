"""Graphs of names, an edge from each name to those that it reads."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

Edges: TypeAlias = Mapping[str, Sequence[str]]
"""Name -> the names that it reads, each once."""


def reached_from(start: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """Return ``start`` and all that is reached from it."""
    found = set(start)
    pending = list(found)
    while pending:
        new = [name for name in edges.get(pending.pop(), ()) if name not in found]
        found.update(new)
        pending += new
    return found


def readers_of(edges: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Return the names that read each name, the edges turned round."""
    readers: dict[str, set[str]] = {}
    for name, read_here in edges.items():
        for read in read_here:
            readers.setdefault(read, set()).add(name)
    return readers


def connected(edges: Edges) -> list[list[str]]:
    """Return the strongly connected components of a graph."""
    finished: list[str] = []
    seen: set[str] = set()
    for start in edges:
        _finish(start, edges, seen, finished)
    backwards: dict[str, list[str]] = {name: [] for name in edges}
    for name, read_here in edges.items():
        for read in read_here:
            backwards[read].append(name)
    groups: list[list[str]] = []
    assigned: set[str] = set()
    for name in reversed(finished):
        group: list[str] = []
        _finish(name, backwards, assigned, group)
        if group:
            groups.append(group)
    return groups


def _finish(start: str, edges: Edges, seen: set[str], finished: list[str]) -> None:
    """Add what is reached from ``start`` and was not ``seen``, each after all that is reached from it."""
    if start in seen:
        return
    seen.add(start)
    path: list[tuple[str, Iterator[str]]] = [(start, iter(edges[start]))]
    while path:
        name, following = path[-1]
        new = next((each for each in following if each not in seen), None)
        if new is None:
            finished.append(name)
            path.pop()
        else:
            seen.add(new)
            path.append((new, iter(edges[new])))


def sorted_groups(
    groups: Sequence[list[str]], edges: Edges, position: Mapping[str, int]
) -> Iterator[list[str]]:
    """Yield groups such that each reads those before it; of those that can follow the first by position."""
    number = {name: n for n, group in enumerate(groups) for name in group}
    needs = [{number[read] for name in group for read in edges[name]} - {n} for n, group in enumerate(groups)]
    readers: dict[int, list[int]] = {}
    for n, needed in enumerate(needs):
        for other in needed:
            readers.setdefault(other, []).append(n)
    ready = [(position[groups[n][0]], n) for n, needed in enumerate(needs) if not needed]
    heapq.heapify(ready)
    while ready:
        _, n = heapq.heappop(ready)
        yield groups[n]
        for reader in readers.get(n, ()):
            needs[reader].discard(n)
            if not needs[reader]:
                heapq.heappush(ready, (position[groups[reader][0]], reader))
