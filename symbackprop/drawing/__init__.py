"""Pictures of networks, as SVG and as TikZ.

stage    module    in                     out
-------  --------  ---------------------  -------------------------------------------------
layout   units     layers of a network    Picture: a circle for each unit
layout   graph     EquationSystem         Picture: a box for each quantity
writing  svg       Picture                SVG, in a file of its own or inside of a page
writing  tikz      Picture                TikZ for LaTeX
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from symbackprop.drawing.picture import Picture
from symbackprop.errors import SpecificationError, excerpt, suggestion
from symbackprop.writing import write_file

if TYPE_CHECKING:
    from symbackprop.derivation import Derivation
    from symbackprop.drawing.words import Words
    from symbackprop.equations import EquationSystem
    from symbackprop.language import Catalogue
    from symbackprop.model import Model
    from symbackprop.printing.notation import Notation
    from symbackprop.specification import Network

_T = TypeVar("_T")

__all__ = ["DRAWINGS", "Drawing", "Picture", "draw", "format_of", "picture_of"]

DRAWINGS = {"svg": (".svg",), "tikz": (".tex", ".tikz")}
"""Format of a picture -> the suffixes that choose it."""


class Drawing(str):
    """The text of an SVG or TikZ picture; a notebook shows an SVG as the picture."""

    __slots__ = ()

    def _repr_svg_(self) -> str | None:
        return str(self) if self.startswith("<svg") else None


def draw(
    source: Network | Derivation,
    path: str | Path | None = None,
    *,
    format: str | None = None,
    language: str = "en",
) -> Drawing:
    """Return a picture of a network, and write it to ``path`` if one is given.

    A dense network is drawn unit by unit, equations as the graph of their quantities.

    Args:
        source: the network, or its derivation.
        path: the file to write.
        format: "svg" or "tikz"; default: by the suffix of ``path``, else "svg".
        language: a key of ``symbackprop.language.CATALOGUES``.

    Raises:
        SpecificationError: an unknown format or language, or a path that can't be written.
    """
    from symbackprop.drawing.svg import svg
    from symbackprop.drawing.tikz import tikz
    from symbackprop.language import CATALOGUES

    file = None if path is None else Path(path)
    chosen = format_of(file) if format is None else format
    for subject, name, known in (("format", chosen, DRAWINGS), ("language", language, CATALOGUES)):
        if name not in known:
            raise SpecificationError(f"{subject}: {excerpt(name)} is not known; {suggestion(name, known)}")
    picture = picture_of(source, catalogue=CATALOGUES[language])
    text = Drawing(svg(picture) if chosen == "svg" else tikz(picture))
    if file is not None:
        write_file(file, text)
    return text


def format_of(file: Path | None) -> str:
    """Return the format that the suffix of a file chooses, "svg" where there is no file.

    Raises:
        SpecificationError: the suffix chooses none.
    """
    if file is None or str(file) == "-":
        return "svg"
    for format, suffixes in DRAWINGS.items():
        if file.suffix.lower() in suffixes:
            return format
    known = ", ".join(suffix for suffixes in DRAWINGS.values() for suffix in suffixes)
    raise SpecificationError(f"{file}: the suffix {excerpt(file.suffix)} names no picture; known are {known}")


def picture_of(
    source: Network | Derivation, notation: Notation | None = None, catalogue: Catalogue | None = None
) -> Picture:
    """Return the picture of a network, laid out.

    ``notation`` is how the quantities are written, default: what suits the network; ``catalogue`` has the
    sentences, default: in English.
    """
    from symbackprop.derivation import Derivation
    from symbackprop.drawing.words import Words
    from symbackprop.language import CATALOGUES
    from symbackprop.specification import Network

    if not isinstance(source, Network | Derivation):
        raise SpecificationError(f"draw: expected a Network or a Derivation, got {type(source).__name__}")
    model = source.model
    system = source.system if isinstance(source, Derivation) else source.model.system
    words = Words(notation or _notation(system, model), catalogue or CATALOGUES["en"])
    if model is not None and model.layers:
        return _dense_picture(model, words)
    return _graph_picture(system, model, words)


def _dense_picture(model: Model, words: Words) -> Picture:
    from symbackprop.drawing import units

    sizes = [model.sizes["n0"], *(layer.units for layer in model.layers)]
    activations = [layer.activation for layer in model.layers]
    picture = units.lay_out(sizes, activations, "b1" in model.initial, words)
    columns = [words.say("drawing.inputs", units=str(sizes[0]))]
    columns += [
        words.say("drawing.layer", units=str(layer.units), activation=layer.activation)
        for layer in _some(model.layers)
    ]
    title = words.say("drawing.title", network=model.title)
    return picture.told(title, words.say("drawing.dense", columns=words.listed(columns)))


def _graph_picture(system: EquationSystem, model: Model | None, words: Words) -> Picture:
    from symbackprop.drawing import graph
    from symbackprop.equations import name_of

    def sizes(name: str) -> str:
        numbers = {} if model is None else model.sizes
        return " × ".join(str(numbers.get(str(n), n)) for n in system.quantities[name].shape)

    targets = [] if model is None else [target.name for target in model.targets]
    output = system.equations[-1].name if model is None else model.output
    picture = graph.lay_out(system, targets, output, sizes, words)
    arrows = []
    for equation in _some(system.equations):
        reads = dict.fromkeys(name_of(read) for read in system.reads(equation.rhs))
        if reads:
            arrows.append(
                words.say("drawing.reads", quantity=equation.name, reads=words.listed(_some([*reads])))
            )
    title = words.say("drawing.title", network="").strip() if model is None else model.title
    return picture.told(title, words.say("drawing.graph", arrows=words.listed(arrows)))


def _some(items: Sequence[_T]) -> Sequence[_T]:
    """Return the first items and the last: nobody listens to a thousand."""
    return items if len(items) <= _MOST_TOLD else [*items[: _MOST_TOLD // 2], *items[-_MOST_TOLD // 2 :]]


_MOST_TOLD = 24


def _notation(system: EquationSystem, model: Model | None) -> Notation:
    """Return the notation that suits a network which is not derived."""
    from symbackprop.printing.notation import Notation, notation_of_system, split_name

    if model is None or not model.layers or len(model.layers) > 2:
        return notation_of_system(system)
    glyphs = {name: split_name(name)._replace(layer=None) for name in system.quantities}
    return Notation("textbook", system.loss, glyphs)
