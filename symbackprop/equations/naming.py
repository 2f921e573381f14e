"""Names: index letters, the sample and the samples; and the parts of a name in print."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from itertools import count
from typing import NamedTuple

from sympy import Symbol

from symbackprop.equations.system import index, size

SAMPLE = index("n")
"""The index of a sample."""
SAMPLES = size("N")
"""The number of samples of a batch."""


LETTERS = tuple(index(letter) for letter in "ijklpqruvabcdefgh")
"""Letters for indices that have none of their own, in the order in which they are taken."""


def spare_letters(taken: Container[str]) -> Iterator[Symbol]:
    """Yield index letters whose names are not taken."""
    yield from (i for i in LETTERS if i.name not in taken)
    yield from (index(f"i_{number}") for number in count() if f"i_{number}" not in taken)


def free_name(name: str, taken: Container[str]) -> str:
    """Return a name with as many underscores as make it one that is not taken."""
    while name in taken:
        name += "_"
    return name


class Glyph(NamedTuple):
    """How a quantity is printed: its letter or word, and its layer where that is shown."""

    word: str
    layer: str | None = None


def split_name(name: str) -> Glyph:
    """Return the word and the trailing number of a name, as it is spelled: ``w`` and ``12`` of ``w12``.

    The spelling has no meaning for the quantity: see ``Role``.
    """
    found = re.fullmatch(r"(.*[^\d_])_?(\d+)", name)
    return Glyph(found[1], found[2]) if found else Glyph(name)
