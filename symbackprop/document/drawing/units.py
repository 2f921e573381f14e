"""The layout of a dense network: a circle for each unit, a column for each layer.

In go the layers, out comes a ``Picture``.  Of a wide layer the first units and the last are drawn, of a deep
network the first layers and the last; the rest is dots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symbackprop.document.drawing.picture import Caption, Edge, Name, Node, NodeKind, Picture
from symbackprop.document.drawing.words import Words

_COLUMN, _ROW, _DIAMETER = 132.0, 50.0, 34.0
_TOP, _SIDE = 76.0, 62.0
_MOST_UNITS, _FIRST_UNITS = 6, 3
_MOST_LAYERS, _FIRST_LAYERS, _LAST_LAYERS = 8, 4, 3
_LONGEST_CAPTION = 16


@dataclass(frozen=True)
class Column:
    """The units of one layer: layer 0 are the inputs."""

    layer: int
    units: int
    activation: str

    @property
    def shown(self) -> list[int]:
        """The units that are drawn, counted from 0 as in the equations."""
        if self.units <= _MOST_UNITS:
            return list(range(self.units))
        return [*range(_FIRST_UNITS), self.units - 1]

    @property
    def rows(self) -> int:
        """The places that the units and their dots take."""
        return min(self.units, _FIRST_UNITS + 2) if self.units > _MOST_UNITS else self.units

    def key(self, unit: int) -> str:
        """Return the key of one of its units."""
        return f"x{self.layer}-{unit}"


def lay_out(
    sizes: Sequence[int], letters: Sequence[str], activations: Sequence[str], bias: bool, words: Words
) -> Picture:
    """Return the picture of a dense network.

    Args:
        sizes: the number of inputs, then the units of each layer.
        letters: the index letters of the inputs, then of the units of each layer.
        activations: the activation of each layer, one fewer than ``sizes``.
        bias: whether the layers have biases.
        words: how quantities and descriptions are written.
    """
    return _Layout(sizes, letters, activations, bias, words).picture()


class _Layout:
    def __init__(
        self,
        sizes: Sequence[int],
        letters: Sequence[str],
        activations: Sequence[str],
        bias: bool,
        words: Words,
    ) -> None:
        self.depth = len(activations)
        self.letters = letters
        self.bias, self.words = bias, words
        kept = [*range(self.depth + 1)]
        if len(kept) > _MOST_LAYERS:
            kept = [*kept[:_FIRST_LAYERS], *kept[-_LAST_LAYERS:]]
        self.columns = [Column(n, sizes[n], activations[n - 1] if n else "") for n in kept]
        self.gap = _FIRST_LAYERS if len(kept) <= self.depth else len(kept) + 1
        self.rows = max(column.rows for column in self.columns) + bias
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.captions: list[Caption] = []

    def picture(self) -> Picture:
        for place, column in enumerate(self.columns):
            self._add_units(place, column)
        for place, (before, column) in enumerate(zip(self.columns, self.columns[1:], strict=False)):
            if place + 1 == self.gap:
                self._add_gap(before, column)
            else:
                self._add_weights(place, before, column)
        self._add_error()
        width = self._x(len(self.columns)) + _SIDE
        height = max(self._bottom + 58, self.nodes[-1].y + 30)  # the target stands last and low
        return Picture(width, height, tuple(self.nodes), tuple(self.edges), tuple(self.captions))

    @property
    def _bottom(self) -> float:
        return _TOP + (self.rows - 1) * _ROW

    @property
    def _middle(self) -> float:
        return _TOP + (self.rows - 1 - self.bias) * _ROW / 2

    def _x(self, place: int) -> float:
        return _SIDE + (place + (place >= self.gap)) * _COLUMN

    def _name(self, symbol: str, layer: int, *layers: int) -> Name:
        return self.words.name(f"{symbol}{layer}", [self.letters[n] for n in layers])

    def _kind(self, layer: int) -> NodeKind:
        return "input" if layer == 0 else "output" if layer == self.depth else "unit"

    def _add_units(self, place: int, column: Column) -> None:
        x, layer = self._x(place), column.layer
        top = self._middle - (column.rows - 1) * _ROW / 2
        for row, unit in enumerate(column.shown):
            row += column.units > _MOST_UNITS and unit == column.units - 1  # below the dots
            self.nodes.append(
                Node(
                    key=column.key(unit),
                    kind=self._kind(layer),
                    x=x,
                    y=top + row * _ROW,
                    width=_DIAMETER,
                    height=_DIAMETER,
                    round=True,
                    name=Name(str(unit)),
                    quantities=(f"s{layer}", f"x{layer}") if layer else (),
                    description=self.words.unit(f"x{layer}", self.letters[layer], unit),
                    holds=f"x{layer}",
                    place=(unit,),
                )
            )
        if column.units > _MOST_UNITS:
            self.captions.append(Caption(x, top + _FIRST_UNITS * _ROW, "⋮"))
        self.captions.append(Caption(x, 34, self._name("x", layer, layer)))
        self.captions.append(Caption(x, self._bottom + 36, str(column.units)))
        if layer:
            self.captions.append(_shortened(x, self._bottom + 52, column.activation))

    def _add_weights(self, place: int, before: Column, column: Column) -> None:
        weight, layer = f"w{column.layer}", column.layer
        letters = self.letters[layer - 1 : layer + 1]
        for unit in column.shown:
            for source in before.shown:
                said = self.words.weight(weight, letters, source, unit)
                ends, at = (before.key(source), column.key(unit)), (source, unit)
                self.edges.append(Edge(*ends, (weight,), description=said, place=at))
        middle = (self._x(place) + self._x(place + 1)) / 2
        self.captions.append(Caption(middle, 34, self._name("w", layer, layer - 1, layer)))
        if self.bias:
            self._add_biases(place, before, column)

    def _add_biases(self, place: int, before: Column, column: Column) -> None:
        key, bias, layer = f"one-{before.layer}", f"b{column.layer}", column.layer
        one = Node(key, "bias", self._x(place), self._bottom, 26, 26, True, Name("+1"))
        self.nodes.append(one)
        for unit in column.shown:
            said = self.words.bias(bias, self.letters[layer], unit)
            self.edges.append(Edge(key, column.key(unit), (bias,), description=said, place=(unit,)))
        middle = (self._x(place) + self._x(place + 1)) / 2
        self.captions.append(Caption(middle, self._bottom + 12, self._name("b", layer, layer)))

    def _add_gap(self, before: Column, column: Column) -> None:
        """Stand dots for the layers between; an error on its way back passes through them."""
        x = self._x(self.gap) - _COLUMN
        self.nodes.append(Node("rest", "rest", x, self._middle, 40, 24, name=Name("⋯")))
        self.edges += [Edge(before.key(unit), "rest") for unit in before.shown]
        self.edges += [Edge("rest", column.key(unit)) for unit in column.shown]

    def _add_error(self) -> None:
        x, outputs = self._x(len(self.columns)), self.columns[-1]
        lower = max(self._middle + 1.5 * _ROW, self._bottom if self.rows > 3 else 0)
        self.nodes.append(Node("E", "loss", x, self._middle, 44, 44, True, Name("E")))
        target = self.words.name("t", [self.letters[-1]])
        self.nodes.append(Node("t", "target", x, lower, 48, 30, name=target))
        self.edges += [Edge(outputs.key(unit), "E") for unit in outputs.shown]
        self.edges.append(Edge("t", "E"))


def _shortened(x: float, y: float, text: str) -> Caption:
    if len(text) <= _LONGEST_CAPTION:
        return Caption(x, y, text)
    return Caption(x, y, text[: _LONGEST_CAPTION - 1] + "…", text)
