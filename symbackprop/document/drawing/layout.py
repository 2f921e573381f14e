"""From a network to its laid out picture: unit by unit, or as the graph of its quantities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from symbackprop.document.drawing import graph, units
from symbackprop.document.drawing.picture import Picture
from symbackprop.document.drawing.words import Words
from symbackprop.document.language.catalogues import CATALOGUES, Catalogue
from symbackprop.equations.model import Model
from symbackprop.equations.system import EquationSystem, indices_of, name_of
from symbackprop.printing.notation import Notation, notation_of_system

_T = TypeVar("_T")


def picture_of(
    model: Model | None,
    system: EquationSystem,
    notation: Notation | None = None,
    catalogue: Catalogue | None = None,
) -> Picture:
    """Return the picture of a network, laid out.

    ``notation`` spells the quantities, default: the one that suits the network; ``catalogue`` has the
    sentences, default: in English.
    """
    words = Words(notation or _notation(system, model), catalogue or CATALOGUES["en"])
    if model is not None and model.layers:
        return _dense_picture(model, words)
    return _graph_picture(system, model, words)


def _dense_picture(model: Model, words: Words) -> Picture:
    sizes = [model.sizes["n0"], *(layer.units for layer in model.layers)]
    activations = [layer.activation for layer in model.layers]
    has_bias = model.system.of_kind("bias", 1) is not None
    picture = units.lay_out(sizes, _letters_of_layers(model), activations, has_bias, words)
    columns = [words.say("drawing.inputs", units=str(sizes[0]))]
    columns += [
        words.say("drawing.layer", units=str(layer.units), activation=layer.activation)
        for layer in _some(model.layers)
    ]
    title = words.say("drawing.title", network=model.title)
    return picture.told(title, words.say("drawing.dense", columns=words.listed(columns)))


def _letters_of_layers(model: Model) -> list[str]:
    """Return the index letters of the equations: of the inputs, then of the units of each layer."""
    letters: dict[str, list[str]] = {}
    for equation in model.system.equations:
        for read in (equation.lhs, *model.system.reads(equation.rhs)):
            letters.setdefault(name_of(read), [str(i) for i in indices_of(read)])
    weights = [model.system.of_kind("weight", layer) for layer in range(1, len(model.layers) + 1)]
    found = [letters[name] for name in weights if name is not None]
    return [found[0][0], *(own for _, own in found)]


def _graph_picture(system: EquationSystem, model: Model | None, words: Words) -> Picture:
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
    if model is None or not model.layers or len(model.layers) > 2:
        return notation_of_system(system)
    layered = notation_of_system(system)
    glyphs = {name: glyph._replace(layer=None) for name, glyph in layered.glyphs.items()}
    return Notation("textbook", system.loss, glyphs)
