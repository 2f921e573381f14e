"""TikZ of a picture, for a LaTeX document that loads ``tikz``."""

from __future__ import annotations

from itertools import pairwise

from symbackprop.document.drawing.picture import Caption, Name, Node, Picture, Point, route
from symbackprop.printing.latex import escape_latex, latex_word

_UNIT = 0.62  # points of TeX that one unit of a picture takes
_WIDEST = 440.0  # points of TeX, a little less than the text of the document is wide

_HIGHEST = 560.0  # the same for its height, with a heading above


def tikz(picture: Picture) -> str:
    """Return ``picture`` as a ``tikzpicture``, no wider and no higher than the text of the document."""
    unit = min(_UNIT, _WIDEST / picture.width, _HIGHEST / picture.height)
    size = r"\small" if unit > 0.5 else r"\scriptsize" if unit > 0.36 else r"\tiny"
    options = f"x={unit:.3f}pt, y=-{unit:.3f}pt, font={size}, inner sep=0pt, line width=0.4pt"
    lines = [rf"\begin{{tikzpicture}}[{options}]"]
    for edge in (edge for edge in picture.edges if edge.drawn):
        dashed = picture.by_key[edge.source].kind == "bias"
        style = "[draw=gray, dashed]" if dashed else "[draw=gray]"
        style = "[draw=gray, -stealth]" if edge.curved or edge.back else style
        lines.append(rf"\path{style} {_path(route(picture, edge), edge.curved)};")
    small = r"\scriptsize" if unit > 0.5 else r"\tiny"
    lines += [_node(node, unit, small) for node in picture.nodes]
    lines += [_caption(caption, small) for caption in picture.captions]
    return "\n".join([*lines, r"\end{tikzpicture}"]) + "\n"


def _node(node: Node, unit: float, small: str) -> str:
    if node.kind == "rest":
        return rf"\node at {_point((node.x, node.y))} {{{_noted(node, small)}}};"
    shape = "circle" if node.round else "rectangle, rounded corners=3pt"
    size = f"minimum width={node.width * unit:.1f}pt, minimum height={node.height * unit:.1f}pt"
    weight = ", line width=0.9pt" if node.kind in ("loss", "output") else ""
    grey = {"input": "10", "target": "10", "parameter": "22", "bias": "22"}.get(node.kind, "0")
    dashes = ", densely dashed" if node.again else ""
    style = f"{shape}, draw{dashes}, fill=black!{grey}!white, {size}{weight}"
    return rf"\node[{style}] at {_point((node.x, node.y))} {{{_noted(node, small)}}};"


def _noted(node: Node, small: str) -> str:
    """Return the name of a node with the note below it."""
    name = _text(node.name)
    return rf"\shortstack{{{name} \\[1pt] {_plain(node.note, small)}}}" if node.note else name


def _caption(caption: Caption, small: str) -> str:
    if caption.kind:
        colour = _COLOURS[caption.kind]
        style = f"font={small}, text={colour}, fill=white, inner sep=0.8pt"
        return rf"\node[{style}] at {_point((caption.x, caption.y - 4))} {{${caption.text}$}};"
    text = _text(caption.text) if isinstance(caption.text, Name) else _plain(caption.text, small)
    return rf"\node at {_point((caption.x, caption.y - 4))} {{{text}}};"


def _text(name: Name) -> str:
    if name.word in _MARKS:
        return _MARKS[name.word]
    above = f"^{{{name.above}}}".replace("ℓ", r"\ell ") if name.above else ""
    below = f"_{{{name.below}}}" if name.below else ""
    of = rf"\partial {latex_word(name.of)}/\partial " if name.of else ""
    return f"${of}{latex_word(name.word)}{above}{below}$"


_COLOURS = {"value": "black", "slope": "red!65!black"}
_MARKS = {"⋯": r"$\cdots$", "⋮": r"$\vdots$", "…": r"\dots{}"}


def _plain(text: str, size: str) -> str:
    if text in _MARKS:
        return _MARKS[text]
    parts = escape_latex(text).replace("×", r"$\times$").replace("…", r"\dots{}").replace(" ", "~")
    return rf"{{{size} {parts}}}"


def _path(points: list[Point], curved: bool) -> str:
    parts = [_point(points[0])]
    for (x, y), end in pairwise(points):
        middle = (x + end[0]) / 2
        if curved:
            parts.append(f".. controls {_point((middle, y))} and {_point((middle, end[1]))} .. {_point(end)}")
        else:
            parts.append(f"-- {_point(end)}")
    return " ".join(parts)


def _point(point: Point) -> str:
    return f"({round(point[0], 1) + 0:g},{round(point[1], 1) + 0:g})"
