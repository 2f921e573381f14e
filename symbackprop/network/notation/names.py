"""What is known of the names in a ``.net`` text while it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sympy import Expr, Integer
from sympy.logic.boolalg import Boolean

from symbackprop.equations.naming import Glyph
from symbackprop.equations.system import Equation, Quantity
from symbackprop.network.functions import activation_functions
from symbackprop.network.notation.lines import Part
from symbackprop.network.notation.ranges import Ranges, provisional_size

LOSS = "E"
"""The name of the error."""


@dataclass(frozen=True)
class Read:
    """An index of a read that is no plain letter: it must stay inside its axis."""

    part: Part
    column: int
    component: Expr
    axis: int
    ranges: tuple[str, ...]
    guards: tuple[Boolean, ...]


@dataclass(frozen=True)
class EarlyRead:
    """A read, in ``equation``, of what is defined there or later; ``moved`` by a number of places."""

    part: Part
    column: int
    name: str
    equation: str
    moved: bool


@dataclass(frozen=True)
class Use:
    """A read of a parameter: in which equation, whether it is only added, and which axes are summed."""

    equation: str
    added: bool
    summed: frozenset[int]


@dataclass(frozen=True)
class NoiseRead:
    """A read of noise: what it reads, in which equation, and where."""

    name: str
    equation: str
    part: Part
    column: int


_HEAD = re.compile(r"[A-Za-z_]\w*\s*\[((?:\s*[A-Za-z_]\w*\s*,)*\s*[A-Za-z_]\w*\s*)\]", re.ASCII)
"""The left side of an equation with axes."""


def axes_of(letters: Sequence[str]) -> str:
    """Return how many axes a quantity with such letters has, in words."""
    return "1 axis" if len(letters) == 1 else f"{len(letters)} axes"


@dataclass
class Names:
    """The names in the text so far, and the facts that were learned while reading."""

    source: str = ""
    ranges: Ranges = field(default_factory=Ranges)
    quantities: dict[str, Quantity] = field(default_factory=dict)
    axes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # the letters of each quantity
    scalars: dict[str, Expr] = field(default_factory=dict)  # constants, and quantities without axes
    later: dict[str, Part] = field(default_factory=dict)  # name -> the left side that will define it
    early: list[EarlyRead] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    reads: list[Read] = field(default_factory=list)
    uses: dict[str, list[Use]] = field(default_factory=dict)
    positions: dict[str, list[str]] = field(default_factory=dict)  # integer quantity -> axes it is a place in
    whole: dict[str, Expr] = field(default_factory=dict)  # constants that are whole numbers
    places: set[str] = field(default_factory=set)  # names that stand in indices
    listed: dict[str, tuple[int, int]] = field(default_factory=dict)  # those of numbers: the ends
    by_cases: set[str] = field(default_factory=set)  # quantities with cases that are entered before these
    enter_cases: Callable[[str], None] = lambda name: None  # enters one if cases define it
    computed: set[str] = field(default_factory=set)  # integer quantities that an equation defines
    unguarded: set[str] = field(default_factory=set)  # integer quantities that are read as a place at -1, too
    constants: set[str] = field(default_factory=set)
    letters: set[str] = field(default_factory=set)  # that any equation binds
    hidden: list[Equation] = field(default_factory=list)  # those that an equation needs before it
    shared: set[str] = field(default_factory=set)  # parameters that stand in the equations more than once
    states: set[str] = field(default_factory=set)
    noise: set[str] = field(default_factory=set)
    noise_read: list[NoiseRead] = field(default_factory=list)
    asks_training: bool = False  # whether an equation says how training differs from use
    functions: Mapping[str, Callable[[Expr], Expr]] = field(default_factory=activation_functions)
    layers: Mapping[str, Glyph] = field(default_factory=dict)  # what uses of blocks have made in layers

    def add(self, quantity: Quantity, letters: tuple[str, ...]) -> None:
        """Enter a quantity with the letters of its axes."""
        self.quantities[quantity.name] = quantity
        self.axes[quantity.name] = letters
        if not letters:
            self.scalars[quantity.name] = quantity.symbol

    def add_early(self, name: str) -> bool:
        """Enter a quantity with axes before it is defined; return whether there is such a one."""
        self.enter_cases(name)
        if name in self.by_cases:
            return True
        head = _HEAD.fullmatch(self.later[name].text.strip()) if name in self.later else None
        if head is None:
            return False
        letters = tuple(letter.strip() for letter in head[1].split(","))
        self.add(Quantity(name, tuple(map(self.size, letters))), letters)
        return True

    def numbers_samples(self, letter: str) -> bool:
        """Whether a letter runs over the samples: over the first axis of the array declared first."""
        first = next((letters[0] for letters in self.axes.values() if letters), letter)
        return self.ranges.of(letter) is self.ranges.of(first)

    def size(self, letter: str) -> Expr:
        """Return the provisional size of the range of a letter."""
        self.ranges.of(letter)
        return provisional_size(letter)

    def number(self, n: Expr) -> Expr:
        """Return the number of a provisional size where it is known."""
        found = self.ranges.number(str(n)[1:])
        return n if found is None else Integer(found)
