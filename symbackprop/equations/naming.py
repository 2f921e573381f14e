"""Names: index letters, the sample, layers, adjoints, what is stored; and their parts in print."""

from __future__ import annotations

import re
from collections.abc import Collection, Container
from typing import NamedTuple

from symbackprop.equations.system import index, size

SAMPLE = index("n")
"""The index of a sample."""
SAMPLES = size("N")
"""The number of samples of a batch."""


LETTERS = tuple(index(letter) for letter in "ijklpqruvabcdefgh")
"""Letters for indices that have none of their own, in the order in which they are taken."""


def adjoint_name(name: str, taken: Collection[str]) -> str:
    """Return the name of the adjoint of ``name``: ds2 for s2, with more d's where that is taken."""
    candidate = "d" + name
    while candidate in taken:
        candidate = "d" + candidate
    return candidate


class Glyph(NamedTuple):
    """How a quantity is printed: its letter or word, and its layer where that is shown."""

    word: str
    layer: str | None = None


def split_name(name: str) -> Glyph:
    """Return the word and the trailing number of a name: ``w12`` is layer 12 of ``w``."""
    found = re.fullmatch(r"(.*[^\d_])_?(\d+)", name)
    return Glyph(found[1], found[2]) if found else Glyph(name)


def layer_of(name: str) -> int | None:
    """Return the number of the layer at the end of a name, None where there is none."""
    number = split_name(name).layer
    return None if number is None else int(number)


def kept_name(state: str, taken: Container[str]) -> str:
    """Return the name of the multiple that is kept in place of ``state``, none of those taken."""
    name = state.upper()
    while name in taken:
        name += "_kept"
    return name
