"""Quantities that are defined by cases on the left: ``y[n, 0] = …``, ``y[n, i + 1] = …``.

In go the cases, each with its right-hand side in letters of its own, out comes one right-hand side in a
letter for the axis: a choice between them.  That they cover the axis once is seen from the numbers of the
sizes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from sympy import And, Eq, Expr, Ge, Integer, Le, Piecewise, S, Symbol
from sympy.logic.boolalg import Boolean

from symbackprop.equations.affine import Affine, affine
from symbackprop.equations.functions import Quotient, Remainder
from symbackprop.equations.system import ZERO, is_size
from symbackprop.network.notation.lines import Part
from symbackprop.network.notation.ranges import Ranges


class NotOnce(Exception):
    """The cases do not say every place of one axis once; ``part`` is the case to blame."""

    def __init__(self, problem: str, part: Part) -> None:
        super().__init__(problem)
        self.part = part


@dataclass(frozen=True)
class Case:
    """One case: the indices on the left, and the value."""

    part: Part
    indices: tuple[Expr, ...]
    value: Expr


def letters_in(index: Expr) -> list[str]:
    """Return the letters of an index and those of the sizes in it."""
    return sorted(symbol.name[1:] for symbol in index.free_symbols)


def axis_of(cases: Sequence[Case]) -> int:
    """Return the axis along which the cases differ; all have the same letters along the others."""
    first = cases[0]
    for case in cases:
        if len(case.indices) != len(first.indices):
            raise NotOnce("the cases have different numbers of axes", case.part)
    columns = list(zip(*(case.indices for case in cases), strict=True))
    axes = [n for n, indices in enumerate(columns) if not (len({*indices}) == 1 and _is_letter(indices[0]))]
    if len(axes) != 1:
        blamed = cases[min(1, len(cases) - 1)]
        raise NotOnce("the cases differ along more than one axis, or in the letters of others", blamed.part)
    others = {s for case in cases for n, i in enumerate(case.indices) if n != axes[0] for s in i.free_symbols}
    for case in cases:
        if case.indices[axes[0]].free_symbols & others:
            raise NotOnce("a letter stands twice", case.part)
    return axes[0]


def places_of(cases: Sequence[Case], axis: int, ranges: Ranges) -> int:
    """Return how many places the cases have along an axis.

    Raises:
        NotOnce: a place has no value, or two, or the number of a size is not known.
    """
    seen: set[int] = set()
    for case in cases:
        for at in _Places.of(case, axis, ranges).all():
            if at < 0 or at in seen:
                problem = "is defined twice" if at in seen else "lies before the beginning"
                raise NotOnce(f"place {at} {problem}", case.part)
            seen.add(at)
    missing = next((at for at in range(len(seen)) if at not in seen), None)
    if missing is not None:
        raise NotOnce(f"place {missing} is not defined", cases[-1].part)
    return len(seen)


def joined(cases: Sequence[Case], axis: int, place: Symbol, number: int, ranges: Ranges) -> Expr:
    """Return the value at each of the ``number`` places of an axis.

    Raises:
        NotOnce: as `places_of`.
    """
    parts = [_Places.of(case, axis, ranges) for case in cases]
    branches = [part.at(place, case.value, number) for case, part in zip(cases, parts, strict=True)]
    return Piecewise(*branches[:-1], (branches[-1][0], True))


@dataclass(frozen=True)
class _Places:
    """The places of a case: an affine index, and the numbers of values of its letters."""

    index: Affine
    numbers: dict[Symbol, int]

    @classmethod
    def of(cls, case: Case, axis: int, ranges: Ranges) -> _Places:
        """Return the places that a case is about."""
        numbers: dict[Symbol, int] = {}
        for symbol in sorted(case.indices[axis].free_symbols, key=str):
            number = ranges.number(symbol.name[1:])
            if number is None:
                letter = symbol.name[1:]
                problem = f"which places this is depends on the size of '{letter}': write size {letter} = 4"
                raise NotOnce(problem, case.part)
            numbers[symbol] = number
        sizes = {symbol: Integer(number) for symbol, number in numbers.items() if is_size(symbol)}
        letters = {symbol: number for symbol, number in numbers.items() if symbol not in sizes}
        found = affine(case.indices[axis].xreplace(sizes), letters)
        if found is None or not all(n.is_Integer for n in (*found.slopes.values(), found.offset)):
            raise NotOnce("an index on the left is a sum such as 2*h + r", case.part)
        return cls(found, letters)

    def all(self) -> list[int]:
        """Return all places, each as often as the case says it."""
        ranges = itertools.product(*(range(n) for n in self.numbers.values()))
        values = (dict(zip(self.numbers, map(Integer, at), strict=True)) for at in ranges)
        return [int(self.index.at(each)) for each in values]

    def at(self, place: Symbol, value: Expr, number: int) -> tuple[Expr, Boolean]:
        """Return a value at one of ``number`` places, and the condition under which it is that.

        The letters of 4*h + r, where r runs over 4, are the quotient and the remainder by 4.
        """
        rest: Expr = place - self.index.offset
        letters: dict[Symbol, Expr] = {}
        for letter, slope in sorted(self.index.slopes.items(), key=lambda pair: -abs(int(pair[1]))):
            step, last = abs(int(slope)), self.numbers[letter] - 1
            rest = rest if slope > 0 else rest + step * last
            digit = Quotient(rest, Integer(step))
            letters[letter] = digit if slope > 0 else last - digit
            rest = Remainder(rest, Integer(step))
        condition = self._between(place, number) if rest == 0 or not self.numbers else Eq(rest, ZERO)
        return value.xreplace(letters), condition

    def _between(self, place: Symbol, number: int) -> Boolean:
        """Return the condition for places side by side: bounds, which keep reads inside."""
        places = self.all()
        low, high = min(places), max(places)
        if low == high and 0 < low < number - 1:
            return Eq(place, low)
        return And(Ge(place, low) if low else S.true, Le(place, high) if high < number - 1 else S.true)


def _is_letter(index: Expr) -> bool:
    return isinstance(index, Symbol) and not is_size(index)
