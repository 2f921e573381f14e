"""Circles of equations: quantities that read each other, and the order in which they are carried out.

The equations are a graph, an edge for each read; its strongly connected components are the circles.  A circle
is in order if along one index letter every read inside of it is at an earlier place, or at the same place of
a quantity that is known there by then; or, for all, at a later place.  It is then carried out place by place
along that letter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from sympy import Expr, Symbol

from symbackprop.equations.graph import Edges, connected, sorted_groups
from symbackprop.equations.system import Equation, indices_of, name_of
from symbackprop.errors import SpecificationError

Reads: TypeAlias = Callable[[Expr], Iterable[Expr]]
"""Gives the components that an expression reads."""
Number: TypeAlias = Callable[[Expr], Expr]
"""Gives the number of a size where it is known, and otherwise the size."""


class NoOrder(SpecificationError):
    """Equations go in a circle that no order along one letter satisfies; ``names`` are the quantities."""

    def __init__(self, names: Sequence[str], reason: str) -> None:
        self.names = tuple(names)
        self.circle = " -> ".join((*names, names[0]))
        self.reason = reason
        circle = f"{(*names, names[0])[1]} is read before it is defined, in the circle {self.circle}"
        super().__init__(f"equation of {names[0]}: {circle} (each reads the next): {reason}")


@dataclass(frozen=True)
class Circle:
    """Equations that read each other, in the order in which they are carried out at one place.

    ``axes`` holds the axis of each quantity along which the places are, ``ascending`` whether they follow
    each other from the first to the last, ``extent`` how many there are, of which a quantity may have the
    first ones alone; ``lag`` is the longest way back of a read.
    """

    equations: tuple[Equation, ...]
    axes: Mapping[str, int]
    ascending: bool
    extent: Expr
    lag: int = 0

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the quantities."""
        return tuple(e.name for e in self.equations)

    def letters(self, name: str) -> tuple[Expr, ...]:
        """Return the indices on the left of the equation of a quantity."""
        return next(e.indices for e in self.equations if e.name == name)

    def letter(self, equation: Equation) -> Symbol:
        """Return the letter of the places in an equation of the circle."""
        found: Symbol = equation.indices[self.axes[equation.name]]
        return found

    def places(self, count: int) -> range:
        """Return the places in order."""
        return range(count) if self.ascending else range(count - 1, -1, -1)

    def distance(self, equation: Equation, read: Expr) -> int:
        """Return how far behind its own place an equation reads a quantity of the circle."""
        return int(indices_of(read)[self.axes[name_of(read)]] - self.letter(equation))


def _itself(n: Expr) -> Expr:
    return n


def parts_of(
    equations: Sequence[Equation], reads: Reads, number: Number = _itself
) -> list[Equation | Circle]:
    """Return equations and circles such that each reads what comes before it; as they stand where they can.

    Raises:
        NoOrder: there is a circle without an order.
    """
    defined = {e.name: e for e in equations}
    edges = {e.name: _reads_among(defined, e, reads) for e in equations}
    position = {name: n for n, name in enumerate(defined)}
    if all(position[read] < position[name] for name, read_here in edges.items() for read in read_here):
        return list(equations)
    groups = [sorted(group, key=position.__getitem__) for group in connected(edges)]
    found: list[Equation | Circle] = []
    for group in sorted_groups(groups, edges, position):
        if len(group) > 1 or group[0] in edges[group[0]]:
            found.append(_circle([defined[name] for name in group], edges, reads, number))
        else:
            found.append(defined[group[0]])
    return found


def circles_of(equations: Sequence[Equation], reads: Reads, number: Number = _itself) -> dict[str, Circle]:
    """Return the circle of each quantity that is in one."""
    circles = [part for part in parts_of(equations, reads, number) if isinstance(part, Circle)]
    return {name: circle for circle in circles for name in circle.names}


def longest_ways(equations: Sequence[Equation], reads: Reads) -> dict[Expr, int]:
    """Return for the number of places of each circle how many its longest way back takes."""
    found: dict[Expr, int] = {}
    for circle in circles_of(equations, reads).values():
        found[circle.extent] = max(circle.lag + 1, found.get(circle.extent, 0))
    return found


def in_order(equations: Sequence[Equation], reads: Reads) -> list[Equation]:
    """Return equations in the order of `parts_of`, those of a circle in the order at one place."""
    parts = parts_of(equations, reads)
    return [e for part in parts for e in (part.equations if isinstance(part, Circle) else (part,))]


def _reads_among(defined: Mapping[str, Equation], equation: Equation, reads: Reads) -> list[str]:
    names = dict.fromkeys(name_of(component) for component in reads(equation.rhs))
    return [name for name in names if name in defined]


# ---------------------------------------------------------------- the order of a circle


def _circle(equations: Sequence[Equation], edges: Edges, reads: Reads, number: Number) -> Circle:
    """Return equations that read each other as a circle with an order."""
    names = {e.name for e in equations}
    inside = {e.name: [c for c in reads(e.rhs) if name_of(c) in names] for e in equations}
    reason = ""
    first = equations[0]
    for axis in range(len(first.indices)):
        axes = _axes(first.name, axis, {e.name: e for e in equations}, inside)
        if isinstance(axes, str):
            reason = reason or axes
            continue
        found = _ordered(equations, axes, inside, number)
        if isinstance(found, Circle):
            return found
        reason = found
    raise NoOrder(_walk(equations, edges), reason or f"'{first.name}' has no index along which it could run")


def _axes(
    name: str, axis: int, equations: Mapping[str, Equation], inside: Mapping[str, Sequence[Expr]]
) -> dict[str, int] | str:
    """Return the axis of each quantity that belongs to one of the first, or why there are none."""
    found = {name: axis}
    pending = [name]
    while pending:
        equation = equations[pending.pop()]
        letter = equation.indices[found[equation.name]]
        for read in inside[equation.name]:
            moved = [n for n, i in enumerate(indices_of(read)) if (i - letter).is_Integer]
            if len(moved) != 1:
                return f"{read} in '{equation.name}' is not at a fixed distance along one letter"
            if name_of(read) not in found:
                pending.append(name_of(read))
            if found.setdefault(name_of(read), moved[0]) != moved[0]:
                return f"{read} in '{equation.name}' runs along another axis than elsewhere"
    return found


def _ordered(
    equations: Sequence[Equation],
    axes: Mapping[str, int],
    inside: Mapping[str, Sequence[Expr]],
    number: Number,
) -> Circle | str:
    """Return the circle along those axes, or why they give it no order."""
    extent = _largest([e.lhs.base.shape[axes[e.name]] for e in equations], number)
    if extent is None:
        return "the axes along which they run have unequal sizes"
    plain = Circle(tuple(equations), axes, True, extent)
    distances = {(e.name, read): plain.distance(e, read) for e in equations for read in inside[e.name]}
    if min(distances.values()) < 0 < max(distances.values()):
        return "some of these reads are at an earlier place and some at a later one"
    same = {e.name: [name_of(r) for r in inside[e.name] if distances[e.name, r] == 0] for e in equations}
    groups = connected(same)
    if len(groups) < len(equations) or any(name in read for name, read in same.items()):
        return "at one and the same place each needs the next"
    position = {e.name: n for n, e in enumerate(equations)}
    ordered = [equations[position[name]] for (name,) in sorted_groups(groups, same, position)]
    lag = max(map(abs, distances.values()))
    return Circle(tuple(ordered), axes, min(distances.values()) < 0, extent, lag)


def _largest(sizes: Sequence[Expr], number: Number) -> Expr | None:
    """Return the largest of some sizes; None where it is not known which that is."""
    for n in dict.fromkeys(sizes):
        if all(other == n or (number(n) - number(other)).is_nonnegative for other in sizes):
            return n
    return None


def _walk(equations: Sequence[Equation], edges: Edges) -> list[str]:
    """Return the quantities of a circle such that each reads the next one, where a way leads through all."""
    names = [e.name for e in equations]
    path = [names[0]]
    while True:
        following = [name for name in edges[path[-1]] if name in names and name not in path]
        if not following:
            break
        path.append(following[0])
    return path if len(path) == len(names) and path[0] in edges[path[-1]] else names
