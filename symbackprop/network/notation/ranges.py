"""Which size each index runs over: letters and axes that must have one range are put together."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from sympy import Symbol

from symbackprop.equations.system import size


@dataclass
class Range:
    """The common range of several letters: these, the first of them first, and the number once declared."""

    letters: list[str]
    place: int
    number: int | None = None
    leader: Range | None = None

    def root(self) -> Range:
        """Return the range that this one was put together with."""
        found = self
        while found.leader is not None:
            found = found.leader
        return found


class SizeConflict(Exception):
    """Two ranges that must be one have different numbers."""


@dataclass
class Ranges:
    """The range of each index letter.

    While a text is read, each letter has a size symbol of its own; `sizes` has the final symbols in the
    end.  ``numbers`` are those that letters have been given anywhere: in the text, below too, and beside it.
    """

    by_letter: dict[str, Range] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def of(self, letter: str) -> Range:
        """Return the range of a letter, a new one where it is new."""
        if letter not in self.by_letter:
            self.by_letter[letter] = Range([letter], len(self.by_letter))
        return self.by_letter[letter].root()

    def number(self, letter: str) -> int | None:
        """Return the number of values that a letter has been given, None where there is none."""
        return next((self.numbers[i] for i in self.of(letter).letters if i in self.numbers), None)

    def unite(self, first: str, second: str) -> None:
        """Give two letters one range.

        Raises:
            SizeConflict: their numbers differ.
        """
        a, b = sorted((self.of(first), self.of(second)), key=lambda found: found.place)
        if a is b:
            return
        if a.number is not None and b.number is not None and a.number != b.number:
            raise SizeConflict
        a.letters += b.letters
        a.number = b.number if a.number is None else a.number
        b.leader = a

    def roots(self) -> Iterator[Range]:
        """Yield the different ranges, in the order of their first letters."""
        seen: set[int] = set()
        for letter in self.by_letter:
            root = self.of(letter)
            if id(root) not in seen:
                seen.add(id(root))
                yield root

    def names(self, taken: Collection[str]) -> dict[str, str]:
        """Return the name of the size of each range, by its first letter."""
        used, found = set(taken), {}
        for root in self.roots():
            letter = root.letters[0]
            for name in _candidates(letter):
                if name not in used:
                    break
            used.add(name)
            found[letter] = name
        return found


def _candidates(letter: str) -> Iterator[str]:
    """Yield names for the size of a letter: K for k, F1 for f1, n2 for i2 or l_2 as in dense networks."""
    digits = re.fullmatch(r"[ijk](\d+)|[a-z]\d*_(\d+)", letter)
    if digits:
        yield f"n{digits[1] or digits[2]}"
    yield letter.upper() if letter.upper() != letter else f"n_{letter}"
    yield f"n_{letter}"
    number = 2
    while True:
        yield f"n_{letter}_{number}"
        number += 1


def provisional_index(letter: str) -> Symbol:
    """Return the symbol of a letter while a text is read; it equals no symbol of anything else."""
    return Symbol(f"@{letter}", integer=True)


def provisional_size(letter: str) -> Symbol:
    """Return the size symbol of a letter while a text is read."""
    return size(f"@{letter}")
