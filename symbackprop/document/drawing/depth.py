"""The picture of a dense network of any number of layers: the first, those around layer ℓ, and the last.

In go the letters of the network, out comes a ``Picture``.  Of each layer two units are drawn, the rest is
dots.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from symbackprop.document.drawing.picture import Caption, Edge, Name, Node, NodeKind, Picture

_COLUMN, _ROW, _DIAMETER, _TOP, _SIDE = 104.0, 52.0, 30.0, 70.0, 40.0
_UNITS = 2  # that are drawn of each layer, above and below the dots
_GAP = "gap"


def lay_out(value: str, weight: str, loss: str, title: str, description: str) -> Picture:
    """Return the picture.

    Args:
        value: the letter of a layer's outputs.
        weight: the letter of weights.
        loss: the letter of the error.
        title: what the picture shows, for those who do not see it.
        description: the same in more words.
    """
    layers = ("0", _GAP, "ℓ-1", "ℓ", "ℓ+1", _GAP, "L")
    nodes: list[Node] = []
    captions: list[Caption] = []
    columns = [_column(place, layer, nodes) for place, layer in enumerate(layers)]
    for place, layer in enumerate(layers):
        if layer != _GAP:
            captions += [
                Caption(_x(place), 32, Name(value, f"({layer})")),
                Caption(_x(place), _TOP + _ROW, "⋮"),
            ]
    for place, layer in ((3, "ℓ"), (4, "ℓ+1")):
        captions.append(Caption(_x(place) - _COLUMN / 2, 32, Name(weight, f"({layer})")))
    nodes.append(Node(loss, "loss", _x(len(layers)), _TOP + _ROW, 40, 40, True, Name(loss)))
    columns.append([loss])
    edges = [Edge(a, b) for left, right in pairwise(columns) for a in left for b in right]
    width, height = _x(len(layers)) + _SIDE, _TOP + _UNITS * _ROW + _SIDE
    return Picture(width, height, tuple(nodes), tuple(edges), tuple(captions), title, description)


def _x(place: int) -> float:
    return _SIDE + place * _COLUMN


def _column(place: int, layer: str, nodes: list[Node]) -> Sequence[str]:
    """Add the units of a layer, or the dots for several layers, to the nodes, and return their keys."""
    if layer == _GAP:
        nodes.append(Node(f"rest-{place}", "rest", _x(place), _TOP + _ROW, 40, 24, name=Name("⋯")))
        return [nodes[-1].key]
    kind: NodeKind = "input" if layer == "0" else "output" if layer == "L" else "unit"
    for unit in range(_UNITS):
        y = _TOP + unit * _UNITS * _ROW
        nodes.append(Node(f"{layer}-{unit}", kind, _x(place), y, _DIAMETER, _DIAMETER, True))
    return [node.key for node in nodes[-_UNITS:]]
