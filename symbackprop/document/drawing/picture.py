"""A picture of a network: nodes and edges with their places, whoever draws it.

Lengths are in units of about one pixel, x to the right and y downwards.  Units are counted from 0, as in
formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

Point = tuple[float, float]

NodeKind = Literal["input", "unit", "output", "bias", "target", "parameter", "quantity", "loss", "rest"]
"""What a node stands for; "rest" stands for all that does not fit."""


@dataclass(frozen=True)
class Name:
    """How a quantity is written: its letter or word, its layer above and its indices below.

    Of a derivative that is that for which it is, and ``of`` what is differentiated.
    """

    word: str
    above: str = ""
    below: str = ""
    of: str = ""


@dataclass(frozen=True)
class Node:
    """A unit or a quantity, centred at (x, y).

    ``quantities`` are those whose derivatives are the error of the node, ``note`` is set below its name, and
    ``description`` is its meaning in plain text.  A unit ``holds`` the component of a quantity at ``place``,
    which is that of its ``quantities``, too.  A node that stands ``again`` is in another row already.
    """

    key: str
    kind: NodeKind
    x: float
    y: float
    width: float
    height: float
    round: bool = False
    name: Name = Name("")
    note: str = ""
    quantities: tuple[str, ...] = ()
    description: str = ""
    holds: str = ""
    place: tuple[int, ...] = ()
    again: bool = False


@dataclass(frozen=True)
class Edge:
    """An arrow from one node to another; between units it is a weight, and ``quantities`` names it.

    ``through`` are the points between its ends.  A ``curved`` one leaves to the right and arrives from the
    left, one that goes ``back`` does so in right angles; others are straight and bare, as between units.
    ``place`` is that of the component of the weight.  An edge that is not ``drawn`` leads to where a quantity
    stands again.
    """

    source: str
    target: str
    quantities: tuple[str, ...] = ()
    through: tuple[Point, ...] = ()
    curved: bool = False
    back: bool = False
    description: str = ""
    place: tuple[int, ...] = ()
    drawn: bool = True


@dataclass(frozen=True)
class Caption:
    """A line of plain text or a name, centred at (x, y); ``full`` is the text where it was shortened.

    Numbers of a worked example are of a ``kind``: the value of a component, or the slope of the error there.
    """

    x: float
    y: float
    text: str | Name
    full: str = ""
    kind: Literal["", "value", "slope"] = ""


@dataclass(frozen=True)
class Picture:
    """Nodes, arrows and captions on an area of ``width`` and ``height``.

    ``title`` and ``description`` tell the same to those who do not see it.
    """

    width: float
    height: float
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    captions: tuple[Caption, ...] = ()
    title: str = ""
    description: str = ""

    @cached_property
    def by_key(self) -> dict[str, Node]:
        """The nodes by their keys."""
        return {node.key: node for node in self.nodes}

    @property
    def parts(self) -> tuple[Node | Edge, ...]:
        """All nodes and arrows."""
        return (*self.nodes, *self.edges)

    def told(self, title: str, description: str) -> Picture:
        """Return the picture with its text for those who do not see it."""
        return replace(self, title=title, description=description)


def component_id(name: str, places: Sequence[int]) -> str:
    """Return the id of what a page tells of one component."""
    return "-".join(["own", name, *map(str, places)])


def route(picture: Picture, edge: Edge) -> list[Point]:
    """Return the points of an arrow, from the rim of its source to the rim of its target."""
    source, target = picture.by_key[edge.source], picture.by_key[edge.target]
    if edge.curved or edge.back:
        first = (source.x + source.width / 2, source.y)
        return [first, *edge.through, (target.x - target.width / 2, target.y)]
    return [rim(source, (target.x, target.y)), rim(target, (source.x, source.y))]


def rim(node: Node, towards: Point) -> Point:
    """Return where the line from the centre of ``node`` to a point leaves the node."""
    dx, dy = towards[0] - node.x, towards[1] - node.y
    if node.round:
        share = node.width / 2 / max((dx * dx + dy * dy) ** 0.5, 1e-9)
    else:
        share = min(node.width / 2 / max(abs(dx), 1e-9), node.height / 2 / max(abs(dy), 1e-9))
    return node.x + dx * share, node.y + dy * share
