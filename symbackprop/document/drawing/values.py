"""Numbers in a picture: on each wire its weight and the derivative for it, beside each unit its own two.

In go a ``Picture`` and the numbers of components as text, out comes the picture with captions.  A wire has
its value where the forward pass enters it and its derivative where the error does; there wires are apart.  A
picture with too many units for that has them in its descriptions alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from symbackprop.document.drawing.picture import Caption, Edge, Node, Picture, route

Numbers = Callable[[str, tuple[int, ...]], str]
"""The name of a quantity and the place of a component -> a number as text, empty where there is none."""

_WIDER, _HIGHER = 1.75, 1.9
"""How much further apart units stand where numbers stand between them."""
_MOST_ROWS = 5
_ABOVE, _BELOW = 23.0, 31.0
_BASELINE = 4.0  # from the middle of a line of small digits to its foot
_NEAREST = 0.25  # the share of a wire before its number, where rows are few


def with_numbers(picture: Picture, values: Numbers, slopes: Numbers) -> Picture:
    """Return the picture with the value and the derivative of each component that it shows.

    Args:
        picture: of a dense network; one without components is returned as it is.
        values: the numbers of the forward pass.
        slopes: the derivatives of the error, by the quantity for which they are.
    """
    if not any(edge.place for edge in picture.edges):
        return picture
    edges = tuple(replace(edge, description=_told(edge, values, slopes)) for edge in picture.edges)
    told = replace(picture, edges=edges)
    return _labelled(told, values, slopes) if has_room(picture) else told


def has_room(picture: Picture) -> bool:
    """Whether the numbers of components fit into a picture."""
    return any(edge.place for edge in picture.edges) and _rows(picture) <= _MOST_ROWS


def _rows(picture: Picture) -> int:
    """Return the number of units in the longest column, with the one that is always 1."""
    return max(Counter(node.x for node in picture.nodes if node.round).values())


def _told(edge: Edge, values: Numbers, slopes: Numbers) -> str:
    if not edge.place:
        return edge.description
    (name,) = edge.quantities
    return f"{edge.description}: {values(name, edge.place)}, ∂ = {slopes(name, edge.place)}"


def _labelled(picture: Picture, values: Numbers, slopes: Numbers) -> Picture:
    spread = _spread(picture)
    share = min(_NEAREST, 1 / (_rows(picture) + 1))
    captions = [*spread.captions]
    for edge in spread.edges:
        captions += _on_wire(spread, edge, share, values, slopes)
    for node in spread.nodes:
        captions += _at_unit(node, values, slopes)
    return replace(spread, captions=tuple(captions))


def _spread(picture: Picture) -> Picture:
    """Return the picture with more room between the units; what stands above them stays."""
    left, top = (min(place) for place in zip(*((n.x, n.y) for n in picture.nodes), strict=True))

    def across(x: float) -> float:
        return float(left + (x - left) * _WIDER)

    def down(y: float) -> float:
        return float(y if y < top else top + (y - top) * _HIGHER)

    return replace(
        picture,
        width=across(picture.width - left) + left,
        height=down(picture.height),
        nodes=tuple(replace(node, x=across(node.x), y=down(node.y)) for node in picture.nodes),
        captions=tuple(
            replace(caption, x=across(caption.x), y=down(caption.y)) for caption in picture.captions
        ),
    )


def _on_wire(
    picture: Picture, edge: Edge, share: float, values: Numbers, slopes: Numbers
) -> Iterator[Caption]:
    """Yield the value at the beginning of a wire, and the derivative at its end."""
    if edge.place:
        (name,) = edge.quantities
        (x, y), (to_x, to_y) = route(picture, edge)
        dx, dy = (to_x - x) * share, (to_y - y) * share
        yield Caption(x + dx, y + dy + _BASELINE, values(name, edge.place), kind="value")
        yield Caption(to_x - dx, to_y - dy + _BASELINE, slopes(name, edge.place), kind="slope")


def _at_unit(node: Node, values: Numbers, slopes: Numbers) -> Iterator[Caption]:
    """Yield the activation above a unit, and the derivative for its pre-activation below it."""
    if node.place:
        yield Caption(node.x, node.y - _ABOVE, values(node.holds, node.place), kind="value")
        if node.quantities:
            yield Caption(node.x, node.y + _BELOW, slopes(node.quantities[0], node.place), kind="slope")
