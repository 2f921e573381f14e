"""The sentences of a derivation, one catalogue per language.

A language is one more file with a dictionary of the same keys.  ``{name}`` stands for a formula or a list
that the derivation supplies; formulas themselves are in no catalogue.  ``{name:은/는}`` adds the particle
that fits how the formula ends when it is read aloud.
"""

from __future__ import annotations

from collections.abc import Mapping

from symbackprop.document.language.english import ENGLISH
from symbackprop.document.language.korean import KOREAN

Catalogue = Mapping[str, str]

CATALOGUES: Mapping[str, Catalogue] = {"en": ENGLISH, "ko": KOREAN}
"""Language code -> its sentences."""


def words_in_formulas(catalogue: Catalogue) -> dict[str, str]:
    """Return the words that the printers set inside formulas: if, otherwise, and, or, not."""
    return {key.removeprefix("word."): word for key, word in catalogue.items() if key.startswith("word.")}
