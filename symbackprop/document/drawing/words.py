"""The words of a picture: names as the formulas have them, descriptions in the language of the reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from symbackprop.document.drawing.picture import Name
from symbackprop.document.language.catalogues import Catalogue
from symbackprop.equations.system import name_of
from symbackprop.printing.notation import Notation


class Words:
    """Names and descriptions of the parts of a picture."""

    def __init__(self, notation: Notation, catalogue: Catalogue) -> None:
        self.notation = notation
        self.catalogue = catalogue

    def name(self, quantity: str, indices: Sequence[str] = ()) -> Name:
        """Return how a quantity is written, with the indices of its axes."""
        meaning = self.notation.derivatives.get(quantity)
        if meaning is not None:
            of = self.notation.glyph(name_of(meaning.of)).word
            return replace(self.name(name_of(meaning.to), indices), of=of)
        glyph = self.notation.glyph(quantity)
        plain = all(len(index) == 1 for index in indices)
        layer = "" if glyph.layer is None else f"({glyph.layer})"
        return Name(glyph.word, layer, ("" if plain else ",").join(indices))

    def say(self, key: str, **values: str) -> str:
        """Return a sentence of the catalogue with plain text in its places."""
        return self.catalogue[key].format(**values)

    def listed(self, items: Iterable[str]) -> str:
        """Return the items as a sentence lists them: a, b and c."""
        *first, last = items
        if not first:
            return last
        return self.catalogue["list.between"].join(first) + self.catalogue["list.last"] + last

    def unit(self, quantity: str, letter: str, unit: int) -> str:
        """Return the description of a unit."""
        return self.say("drawing.unit", quantity=f"{quantity}[{letter}]", letters=f"{letter} = {unit}")

    def weight(self, quantity: str, letters: Sequence[str], source: int, target: int) -> str:
        """Return the description of the arrow between two units."""
        values = zip(letters, (source, target), strict=True)
        return self.say(
            "drawing.weight",
            quantity=f"{quantity}[{','.join(letters)}]",
            letters=", ".join(f"{letter} = {value}" for letter, value in values),
            source=str(source),
            target=str(target),
        )

    def bias(self, quantity: str, letter: str, unit: int) -> str:
        """Return the description of the arrow from the unit that is always 1."""
        said = {"quantity": f"{quantity}[{letter}]", "letters": f"{letter} = {unit}"}
        return self.say("drawing.bias", **said, unit=str(unit))
