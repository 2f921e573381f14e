"""Small numbers for the sizes.

In goes a ``Spelling``, out come ``Environment``s that give each of its sizes a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import combinations

from sympy import Expr, Integer, Symbol
from sympy.core.relational import Relational

from symbackprop.proof.errors import Unproved
from symbackprop.proof.integers import Environment, whole
from symbackprop.proof.spelling import Spelling

_SIZES = (2, 3, 4, 5)  # unequal, so that an axis taken for another one is noticed
_LARGEST_INCREASE = 4


def assignments_of_sizes(spelling: Spelling, sample_size: Expr | None) -> Iterator[Environment]:
    """Yield small numbers for the sizes, unequal where there are few of them.

    Many sizes get two assignments, such that any two sizes differ in one of them.
    """
    symbols = list(spelling.sizes)
    if isinstance(sample_size, Symbol):  # the number of samples is the smallest
        symbols.sort(key=lambda symbol: symbol != sample_size)
    few = len(symbols) <= len(_SIZES)
    count = len(_SIZES) if few else len(_SIZES) - 1
    alike = [pair for shape in spelling.shapes for pair in combinations(dict.fromkeys(shape), 2)]
    for turn in (0,) if few else (0, 1):
        numbers = [_SIZES[(n + turn * (n // count)) % count] for n in range(len(symbols))]
        sizes = _enlarged(dict(zip(symbols, numbers, strict=True)), spelling.extents)
        if few or turn:
            sizes = _told_apart(sizes, alike)
        alike = [pair for pair in alike if _are_alike(*pair, sizes)]
        yield sizes


def _are_alike(one: Expr, other: Expr, sizes: Environment) -> bool:
    return whole(one, sizes) == whole(other, sizes)


def _told_apart(sizes: Environment, pairs: Sequence[tuple[Expr, Expr]]) -> Environment:
    """Return the sizes, enlarged such that P - K + 1 differs from the other axes of a quantity."""
    growing = {pair: list(filter(partial(_grows, *pair), sizes)) for pair in pairs}
    for _ in range(2 * len(pairs)):
        alike = [pair for pair in pairs if growing[pair] and _are_alike(*pair, sizes)]
        if not alike:
            break
        grown = growing[alike[0]][-1]
        sizes = {**sizes, grown: sizes[grown] + 1}
    return sizes


def _grows(one: Expr, other: Expr, size: Symbol) -> bool:
    """Whether one extent of two grows with a size that the other does not have, and is no plain size."""
    return any(
        not mine.is_Symbol and mine.diff(size).is_positive and not theirs.has(size)
        for mine, theirs in ((one, other), (other, one))
    )


def _enlarged(sizes: Environment, extents: Iterable[Expr]) -> Environment:
    """Return the sizes, enlarged such that no range such as P - K + 1 is shorter than two.

    Of a range such as 7 - 2 K, which nothing makes longer, the sizes get smaller.
    """
    known = [e for e in extents if e.free_symbols and e.free_symbols.issubset(sizes)]
    for _ in range(100):
        short = next((e for e in known if whole(e, sizes) < 2), None)
        if short is None:
            return sizes
        by_name = sorted(short.free_symbols, key=str)
        growing = [s for s in by_name if short.diff(s).is_positive]
        falling = [s for s in by_name if short.diff(s).is_negative and sizes[s] > 1]
        if growing:
            sizes[growing[0]] += 1
        elif falling:
            sizes[falling[0]] -= 1
    raise Unproved(f"no small sizes were found that make {short} positive")


def larger_sizes(guards: Iterable[Relational], spelling: Spelling, sizes: Environment) -> Environment:
    """Return sizes for which guards on indices may be decided both ways, where that is possible at all."""
    larger = dict(sizes)
    for guard in guards:
        numbers = [abs(int(number)) for number in guard.atoms(Integer)]
        extents = [e for i in guard.free_symbols for e in spelling.ranges.get(i, ())]
        for symbol in {s for expression in (guard, *extents) for s in expression.free_symbols} & set(sizes):
            increase = min(1 + max(numbers, default=0), _LARGEST_INCREASE)
            larger[symbol] = max(larger[symbol], sizes[symbol] + increase)
    return larger
