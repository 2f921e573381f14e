"""Random values, and where they lie.

In go a seed and a ``Spread``, out comes a ``Draw``: a value for each ``Leaf`` of a grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from sympy import Expr

from symbackprop.proof.arithmetic import CONTEXT, uniform
from symbackprop.proof.grid import Leaf
from symbackprop.proof.program import number_of

Bounds = Mapping[str, tuple[Expr | None, Expr | None]]
"""The least and the greatest value of quantities, by name."""


@dataclass(frozen=True)
class Spread:
    """Where random values lie: between ``low`` and one of ``highs``, with random signs if ``signed``.

    Each quantity has one of the ``highs``, so that quantities differ in their order of magnitude.
    ``flipped`` draws the opposite signs, so that each value is once on either side of 0.  With
    ``centres``, values lie that far from one of these.  With ``ranges``, each quantity lies in one of these.
    """

    number: int
    low: str
    highs: tuple[str, ...]
    signed: bool = False
    flipped: bool = False
    centres: tuple[str, ...] = ()
    ranges: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        # random numbers are drawn from this text: to change it is to change all of them
        return (
            f"_Spread(number={self.number!r}, low={self.low!r}, highs={self.highs!r}, "
            f"signed={self.signed!r}, flipped={self.flipped!r}, centres={self.centres!r})"
        )


_POSITIVE = (("0.1", "0.9"), ("0.05", "0.3"), ("1.1", "1.9"))

_RANGES = (("0.1", "0.9"), ("-0.9", "-0.1"), ("1.1", "1.9"), ("-1.9", "-1.1"))
_MIXED = 32  # draws of a range for each quantity, where one wants numbers below 1 and another above

THREE_SPREADS = tuple(
    (
        *signed,
        *(Spread(number, low, (high,)) for low, high in _POSITIVE),
        *(Spread(_MIXED * (number + 1) + n, "0", (), ranges=_RANGES) for n in range(_MIXED)),
    )
    for number, signed in enumerate(
        ((), (Spread(1, "0.1", ("0.9",), True),), (Spread(1, "0.1", ("0.9",), True, True),))
    )
)
"""For each of three points the ranges to try; a logarithm, say, has no value at the signed ones."""

WIDE_SPREADS = tuple(
    Spread(number, "0.1", highs, True, flipped)
    for number, highs in enumerate(
        16 * (("1.5",), ("4",), ("12",), ("0.5", "1.5", "4", "12"), ("0.5", "4"), ("1.5", "12")), start=6
    )
    for flipped in (False, True)
)
"""For kinks between quantities, kinks inside a branch, and branches far from 0."""


def spreads_close_to(kinks: set[str]) -> Iterator[Spread]:
    """Yield spreads close to the kinks: these points tell where exactly they are.

    In the course of them each value comes close to each kink, on both sides.
    """
    centres = tuple(sorted({"0.0", "0.5", "-0.5", *kinks}))
    for number in range(len(centres)):
        for flipped in (False, True):
            yield Spread(number, "0.0001", ("0.001",), True, flipped, centres)


class Draw:
    """The random values of a point, each fixed by the seed and the leaf that it belongs to."""

    def __init__(self, seed: int, spread: Spread, bounds: Bounds) -> None:
        self._seed = seed
        self._spread = spread
        self._bounds = bounds

    @property
    def positive(self) -> bool:
        """Whether all values are positive."""
        return not self._spread.signed

    @property
    def wide(self) -> bool:
        """Whether values may be large."""
        return self._spread in WIDE_SPREADS

    def value(self, leaf: Leaf) -> Any:
        """Return a value in the spread, or inside the bounds of its quantity."""
        if leaf.name in self._bounds:
            return self._inside(*self._bounds[leaf.name], leaf)
        if self._spread.ranges:
            return self._within(leaf)
        low, high = _number(self._spread.low), self._choice(self._spread.highs, leaf.name)
        magnitude = low + (high - low) * uniform(self._seed, self._spread, leaf)
        if not self._spread.signed:
            return magnitude
        # the sign is drawn without the flip, else flipping would not flip
        negative = uniform(self._seed, self._spread.number, self._spread.centres, leaf) < 0.5
        offset = -magnitude if negative != self._spread.flipped else magnitude
        return self._centre(leaf) + offset if self._spread.centres else offset

    def _inside(self, least: Expr | None, greatest: Expr | None, leaf: Leaf) -> Any:
        """Return a value between two bounds, or at most one away from the only one."""
        share = uniform(self._seed, self._spread, leaf)
        if least is None:
            return CONTEXT.make_mpf(number_of(greatest)) - share
        low = CONTEXT.make_mpf(number_of(least))
        return low + share * (1 if greatest is None else CONTEXT.make_mpf(number_of(greatest)) - low)

    def _within(self, leaf: Leaf) -> Any:
        """Return a value in the range of its quantity."""
        ranges = self._spread.ranges
        share = uniform(self._seed, self._spread.number, leaf.name)
        low, high = map(_number, ranges[int(share * len(ranges))])
        return low + (high - low) * uniform(self._seed, self._spread, leaf)

    def _centre(self, leaf: Leaf) -> Any:
        """Return a centre: for each leaf another one first, and then one after the other."""
        centres = self._spread.centres
        start = int(uniform(self._seed, centres, leaf) * len(centres))
        return _number(centres[(start + self._spread.number) % len(centres)])

    def _choice(self, numbers: tuple[str, ...], key: object) -> Any:
        share = uniform(self._seed, self._spread.number, numbers, key)
        return _number(numbers[int(share * len(numbers))])

    def cotangent(self, leaf: Leaf) -> Any:
        """Return a free cotangent, of either sign."""
        return 2 * uniform(self._seed, self._spread, leaf) - 1

    def constant(self, name: str) -> Any:
        """Return a positive constant; at kinks one close to 1/2, which may be where they are."""
        share = uniform(self._seed, self._spread, name)
        if self._spread.centres:
            return _number("0.5") + (share - _number("0.5")) / 1000
        return _number("0.1") + _number("0.8") * share


@lru_cache(maxsize=1024)
def _number(text: str) -> Any:
    return CONTEXT.mpf(text)
