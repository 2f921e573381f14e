"""Quantities that are defined by cases on the left: ``y[n, 0] = …``, ``y[n, i + 1] = …``.

In go the cases, each with its right-hand side in letters of its own, out comes one right-hand side in a
letter for the axis: a choice between them.  That they cover the axis once is seen from the numbers of the
sizes; what comes out is written in these sizes, so that it is said of others, too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

from sympy import Add, And, Eq, Expr, Ge, Integer, Le, Mul, Piecewise, S, Symbol
from sympy.logic.boolalg import Boolean

from symbackprop.equations.affine import Affine, affine
from symbackprop.equations.functions import Quotient, Remainder
from symbackprop.equations.system import ZERO, is_size
from symbackprop.network.notation.lines import Part
from symbackprop.network.notation.ranges import Ranges, provisional_size


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


def places_of(cases: Sequence[Case], axis: int, ranges: Ranges) -> tuple[int, Expr]:
    """Return how many places the cases have along an axis: the number, and that in sizes.

    Raises:
        NotOnce: a place has no value, or two, or the number of a size is not known.
    """
    seen: set[int] = set()
    parts = [_Places.of(case, axis, ranges) for case in cases]
    for case, part in zip(cases, parts, strict=True):
        for at in part.all:
            if at < 0 or at in seen:
                problem = "is defined twice" if at in seen else "lies before the beginning"
                raise NotOnce(f"place {at} {problem}", case.part)
            seen.add(at)
    missing = next((at for at in range(len(seen)) if at not in seen), None)
    if missing is not None:
        raise NotOnce(f"place {missing} is not defined", cases[-1].part)
    return len(seen), Add(*[part.count for part in parts])


def joined(cases: Sequence[Case], axis: int, place: Symbol, ranges: Ranges) -> Expr:
    """Return the value at each place of an axis.

    Raises:
        NotOnce: as `places_of`.
    """
    parts = [_Places.of(case, axis, ranges) for case in cases]
    blocks = sorted((part for part in parts if part.is_block), key=lambda part: part.all[0])
    beginnings = {part.all[0]: Integer(part.all[0]) for part in parts}
    if len(blocks) == len(parts):  # side by side: each begins where the one before ends
        ends = itertools.accumulate((part.count for part in blocks), initial=ZERO)
        beginnings = {part.all[0]: end for part, end in zip(blocks, ends, strict=False)}
    last = max(part.all[-1] for part in parts)
    branches = [
        part.at(place - beginnings[part.all[0]], place, case.value, part.all[-1] == last)
        for case, part in zip(cases, parts, strict=True)
    ]
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

    @cached_property
    def all(self) -> list[int]:
        """All places in order, each as often as the case says it."""
        slopes = {letter: int(slope) for letter, slope in self.index.slopes.items()}
        steps = [[slope * n for n in range(self.numbers[letter])] for letter, slope in slopes.items()]
        return sorted(int(self.index.offset) + sum(each) for each in itertools.product(*steps))

    @property
    def count(self) -> Expr:
        """How many places there are, in sizes."""
        return _product(self.numbers)

    @property
    def is_block(self) -> bool:
        """Whether the places lie side by side: the letters are as the digits of a number."""
        return all(self._step(n).has(Symbol) or self._step(n) == 1 for n in range(len(self.numbers)))

    @cached_property
    def _digits(self) -> list[Symbol]:
        """The letters, that with the longest step first."""
        return sorted(self.index.slopes, key=lambda letter: -abs(int(self.index.slopes[letter])))

    def _step(self, number: int) -> Expr:
        """Return the step of a letter: in the sizes of those behind it where it is as long as they are."""
        letter, *behind = self._digits[number:]
        step = abs(int(self.index.slopes[letter]))
        return _product(behind) if prod(self.numbers[i] for i in behind) == step else Integer(step)

    def at(self, rest: Expr, place: Symbol, value: Expr, is_last: bool) -> tuple[Expr, Boolean]:
        """Return the value at a place that is ``rest`` behind the first one, and the condition for that.

        The letters of 4*h + r, where r runs over 4, are the quotient and the remainder by 4.
        """
        letters: dict[Symbol, Expr] = {}
        behind = rest
        for number, letter in enumerate(self._digits):
            step = self._step(number)
            digit = Quotient(behind, step)
            is_falling = self.index.slopes[letter].is_negative
            letters[letter] = provisional_size(letter.name[1:]) - 1 - digit if is_falling else digit
            behind = Remainder(behind, step)
        is_block = behind == 0 or not self.numbers
        condition = self._between(place, place - rest, is_last) if is_block else Eq(behind, ZERO)
        return value.xreplace(letters), condition

    def _between(self, place: Symbol, first: Expr, is_last: bool) -> Boolean:
        """Return the condition for places side by side: bounds, which keep reads inside."""
        if self.count == 1 and first != 0 and not is_last:
            return Eq(place, first)
        low = Ge(place, first) if first != 0 else S.true
        return And(low, S.true if is_last else Le(place, first + self.count - 1))


def _product(letters: Iterable[Symbol]) -> Expr:
    return Mul(*[provisional_size(letter.name[1:]) for letter in letters])


def _is_letter(index: Expr) -> bool:
    return isinstance(index, Symbol) and not is_size(index)
