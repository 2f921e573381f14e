"""SVG of a picture: well formed, self-contained, readable in light, in dark and in print.

In go a ``Picture`` and, for a page, where the derivative of each quantity stands; out comes an ``svg``
element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html.entities import name2codepoint
from itertools import pairwise
from xml.sax.saxutils import escape, quoteattr

from symbackprop.document.drawing.picture import (
    Caption,
    Edge,
    Name,
    Node,
    Picture,
    Point,
    component_id,
    route,
)

STYLE = """
.nn { --ink: #1b1f24; --line: #9aa4b0; --fill: #fff; --given: #e8f1fb; --own: #fdf1dc; --end: #f3e8fb;
  font: 15px "Latin Modern Math", "STIX Two Text", "Times New Roman", Times, serif; }
@media (prefers-color-scheme: dark) { .nn { --ink: #e8eaed; --line: #6f7a86; --fill: #20242a;
  --given: #1d3047; --own: #45351a; --end: #3a2747; } }
@media print { .nn { --ink: #000; --line: #777; --fill: #fff; --given: #fff; --own: #fff; --end: #fff; } }
.nn text { fill: var(--ink); text-anchor: middle; }
.nn .word { font-style: italic; }
.nn .script { font-size: 70%; }
.nn .note { font-size: 12px; }
.nn .shape { fill: var(--fill); stroke: var(--ink); stroke-width: 1.3; }
.nn .input .shape, .nn .target .shape { fill: var(--given); }
.nn .parameter .shape, .nn .bias .shape { fill: var(--own); }
.nn .loss .shape { fill: var(--end); stroke-width: 2; }
.nn .output .shape { stroke-width: 2; }
.nn .rest .shape { stroke: none; fill: none; }
.nn .again .shape { stroke-dasharray: 4 3; }
.nn .line { fill: none; stroke: var(--line); stroke-width: 1.1; }
.nn .of-bias .line { stroke-dasharray: 4 3; }
.nn .point { fill: var(--line); }
""".strip()
"""The style of every picture; it reaches nothing outside of the picture."""

_STYLE_OF_NUMBERS = """
.nn { --slope: #b3261e; }
@media (prefers-color-scheme: dark) { .nn { --slope: #ff8a80; } }
@media print { .nn { --slope: #b3261e; } }
.nn .number { font-size: 11.5px; pointer-events: none; paint-order: stroke; }
.nn .number { stroke: var(--fill); stroke-width: 4px; }
.nn .slope { fill: var(--slope); }
""".strip()

Links = Mapping[str, Sequence[str]]
"""Quantity -> the ids of the elements of a page that hold its derivative."""


def svg(picture: Picture, links: Links | None = None, prefix: str = "") -> str:
    """Return ``picture`` as an ``svg`` element.

    With ``links`` each weight and each unit leads to the derivative of its quantity, and can be chosen with
    the keyboard; every id begins with ``prefix``, so that several pictures can stand on one page.
    """
    writer = _Writer(picture, links or {}, prefix)
    return "\n".join(writer.lines()) + "\n"


class _Writer:
    def __init__(self, picture: Picture, links: Links, prefix: str) -> None:
        self.picture, self.links, self.prefix = picture, links, prefix

    def lines(self) -> list[str]:
        width, height = _number(self.picture.width), _number(self.picture.height)
        role = "group" if self.links else "img"
        numbers = any(caption.kind for caption in self.picture.captions)
        style = f"{STYLE}\n{_STYLE_OF_NUMBERS}" if numbers else STYLE
        title, description = f"{self.prefix}drawing-title", f"{self.prefix}drawing-description"
        return [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="nn" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="{role}" aria-labelledby="{title} {description}">',
            f'<title id="{title}">{escape(self.picture.title)}</title>',
            f'<desc id="{description}">{escape(self.picture.description)}</desc>',
            f"<style>\n{style}\n</style>",
            *(self._edge(edge) for edge in self.picture.edges),
            *(self._node(node) for node in self.picture.nodes),
            *map(_caption, self.picture.captions),
            "</svg>",
        ]

    def _group(self, kind: str, part: Node | Edge, data: str, inside: str) -> str:
        """Return the element of a quantity: a link to its derivative where there is one."""
        quantities, said = part.quantities, part.description
        ids = [id for quantity in quantities for id in self.links.get(quantity, ())]
        if not ids:
            about = f"<title>{escape(said)}</title>" if said else ""
            return f'<g class="{kind}"{data}>{about}{inside}</g>'
        if part.place:
            own = [self.prefix + component_id(name, part.place) for name in quantities if name in self.links]
            data = f" data-own={quoteattr(' '.join(own))}{data}"
        return (
            f'<a class="{kind} choice" href={quoteattr("#" + ids[0])} tabindex="0" '
            f"data-results={quoteattr(' '.join(ids))} aria-label={quoteattr(said)}{data}>"
            f"<title>{escape(said)}</title>{inside}</a>"
        )

    def _edge(self, edge: Edge) -> str:
        points = route(self.picture, edge) if edge.drawn else []
        path = _path(points, edge.curved)
        inside = f'<path class="line" d="{path}"/>'
        if edge.curved or edge.back:
            inside += f'<path class="point" d="{_arrow_head(points[-1])}"/>'
        if any(quantity in self.links for quantity in edge.quantities):
            inside += f'<path class="reach" d="{path}"/>'
        of_bias = self.picture.by_key[edge.source].kind == "bias"
        data = f" data-from={quoteattr(edge.source)} data-to={quoteattr(edge.target)}"
        kind = "edge of-bias" if of_bias else "edge"
        return self._group(kind, edge, data, inside)

    def _node(self, node: Node) -> str:
        x, y = node.x, node.y
        if node.round:
            shape = (
                f'<circle class="shape" cx="{_number(x)}" cy="{_number(y)}" r="{_number(node.width / 2)}"/>'
            )
        else:
            left, top = _number(x - node.width / 2), _number(y - node.height / 2)
            size = f'width="{_number(node.width)}" height="{_number(node.height)}"'
            shape = f'<rect class="shape" x="{left}" y="{top}" {size} rx="8"/>'
        inside = shape + _named(x, y - (2 if node.note else -5), node.name)
        if node.note:
            inside += f'<text class="note" x="{_number(x)}" y="{_number(y + 15)}">{escape(node.note)}</text>'
        data = f" data-node={quoteattr(node.key)}"
        return self._group(f"node {node.kind}{' again' if node.again else ''}", node, data, inside)


def _caption(caption: Caption) -> str:
    if isinstance(caption.text, Name):
        return _named(caption.x, caption.y, caption.text)
    about = f"<title>{escape(caption.full)}</title>" if caption.full else ""
    place = f'x="{_number(caption.x)}" y="{_number(caption.y)}"'
    kind = f"number {caption.kind}" if caption.kind else "note"
    return f'<text class="{kind}" {place}>{about}{escape(caption.text)}</text>'


_NARROW, _WIDE = 0.36, 0.5
"""Widths of a bracket and of a digit above a letter, in ems: so far back the index below it begins."""


def _named(x: float, y: float, name: Name) -> str:
    word = _letter(name.word)
    slant = "word" if len(word) == 1 and not word.isdigit() else "upright"
    parts = [f'<tspan class="upright">∂{escape(_letter(name.of))}/∂</tspan>'] if name.of else []
    parts.append(f'<tspan class="{slant}">{escape(word)}</tspan>')
    if name.above:
        parts.append(f'<tspan class="script" dy="-6">{escape(name.above)}</tspan>')
    if name.below:
        drop = 10 if name.above else 4
        back = sum(_NARROW if mark in "()" else _WIDE for mark in name.above)
        place = f'dx="-{back:.2g}em" dy="{drop}"' if back else f'dy="{drop}"'
        parts.append(f'<tspan class="script word" {place}>{escape(name.below)}</tspan>')
    return f'<text x="{_number(x)}" y="{_number(y)}">{"".join(parts)}</text>'


def _letter(word: str) -> str:
    """Return the Greek letter of that name, or the word as it is."""
    code = name2codepoint.get({"lam": "lambda", "eps": "epsilon"}.get(word, word), 0)
    return chr(code) if 0x370 <= code <= 0x3FF else word


def _path(points: Sequence[Point], curved: bool) -> str:
    parts = [f"M{_point(point)}" for point in points[:1]]
    for (x, y), end in pairwise(points):
        middle = (x + end[0]) / 2
        if curved:
            parts.append(f"C{_point((middle, y))} {_point((middle, end[1]))} {_point(end)}")
        else:
            parts.append(f"L{_point(end)}")
    return " ".join(parts)


def _arrow_head(tip: Point) -> str:
    x, y = tip
    return f"M{_point((x, y))} L{_point((x - 8, y - 4))} L{_point((x - 8, y + 4))} Z"


def _point(point: Point) -> str:
    return f"{_number(point[0])},{_number(point[1])}"


def _number(value: float) -> str:
    return f"{round(value, 1) + 0:g}"
