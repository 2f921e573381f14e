"""Small numbers for the sizes.

In goes a ``Spelling``, out come ``Environment``s that give each of its sizes a number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations, islice
from types import MappingProxyType

from sympy import Expr, Integer, Symbol, expand
from sympy.core.relational import Equality, Relational, Unequality

from symbackprop.proof.arithmetic import RELATIONS
from symbackprop.proof.errors import Unproved
from symbackprop.proof.integers import Environment, whole
from symbackprop.proof.spelling import Spelling
from symbackprop.proof.work import places

_SIZES = (2, 3, 4, 5)  # unequal, so that an axis taken for another one is noticed
_LARGEST_INCREASE = 4
_MOST_PLACES = 1000
"""The number of places at which the equations of a statement are written out, where sizes allow it."""


def assignments_of_sizes(spelling: Spelling, sample_size: Expr | None) -> Iterator[Environment]:
    """Yield small numbers for the sizes, unequal where there are few of them and little is to be done.

    Otherwise there are two assignments, such that any two sizes differ in one of them.
    """
    symbols = list(spelling.sizes)
    if isinstance(sample_size, Symbol):  # the number of samples is the smallest
        symbols.sort(key=lambda symbol: symbol != sample_size)
    few = len(symbols) <= len(_SIZES)
    count = len(_SIZES) if few else len(_SIZES) - 1
    alike = [pair for shape in spelling.shapes for pair in combinations(dict.fromkeys(shape), 2)]
    for turn in (0, 1):
        shifts = [turn if few else turn * (n // count) for n in range(len(symbols))]
        numbers = [_SIZES[(n + shift) % count] for n, shift in enumerate(shifts)]
        sizes = _enlarged(dict(zip(symbols, numbers, strict=True)), spelling.extents)
        if few or turn:
            sizes = _told_apart(sizes, alike)
        smaller = _within_bounds(sizes, spelling)
        alike = [pair for pair in alike if _are_alike(*pair, smaller)]
        yield smaller
        if few and smaller == sizes:
            break


def _within_bounds(
    sizes: Environment,
    spelling: Spelling,
    guards: Collection[Relational] = (),
    least: Mapping[Symbol, int] = MappingProxyType({}),
) -> Environment:
    """Return the sizes, made smaller while the places of the statement are too many, but never below two.

    What ``guards`` decide both ways, they still do, and no size gets below its number in ``least``.
    """
    known = [e for e in spelling.extents if e.free_symbols and e.free_symbols.issubset(sizes)]
    while places(spelling.spaces, sizes) > _MOST_PLACES:
        smaller = ({**sizes, s: number - 1} for s, number in sizes.items() if number > least.get(s, 2))
        fitting = [each for each in smaller if all(whole(e, each) >= 2 for e in known)]
        fitting = [each for each in fitting if all(_decides_both_ways(g, spelling, each) for g in guards)]
        if not fitting:
            break
        sizes = min(fitting, key=lambda each: places(spelling.spaces, each))
    return sizes


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


def larger_sizes(guards: Collection[Relational], spelling: Spelling, sizes: Environment) -> Environment:
    """Return sizes for which guards on indices may be decided both ways, where that is possible at all."""
    larger = dict(sizes)
    for guard in guards:
        extents = [e for i in guard.free_symbols for e in spelling.ranges.get(i, ())]
        symbols = {s for expression in (guard, *extents) for s in expression.free_symbols} & set(sizes)
        if not _decides_both_ways(guard, spelling, larger):
            larger = _one_larger(guard, symbols, spelling, larger)
    decided = [guard for guard in guards if _decides_both_ways(guard, spelling, larger)]
    is_known = all(_ends(guard, spelling, larger) is not None for guard in guards)
    return _within_bounds(larger, spelling, decided, {} if is_known else sizes)


def _one_larger(
    guard: Relational, symbols: Collection[Symbol], spelling: Spelling, sizes: Environment
) -> Environment:
    """Return sizes of which one is larger, so that a guard is decided both ways, else larger ones for it."""
    found: list[Environment] = []
    for symbol in sorted(symbols, key=str):
        larger = ({**sizes, symbol: sizes[symbol] + n} for n in range(1, _LARGEST_INCREASE + 1))
        larger = (_enlarged(each, spelling.extents) for each in larger)
        found += islice((each for each in larger if _decides_both_ways(guard, spelling, each)), 1)
    if found:
        return min(found, key=lambda each: places(spelling.spaces, each))
    numbers = [abs(int(number)) for number in guard.atoms(Integer)]
    increase = min(1 + max(numbers, default=0), _LARGEST_INCREASE)
    return {s: number + increase if s in symbols else number for s, number in sizes.items()}


def _decides_both_ways(guard: Relational, spelling: Spelling, sizes: Environment) -> bool:
    """Whether a guard that is affine in its indices holds for some of their values, and not for others."""
    ends = _ends(guard, spelling, sizes)
    if ends is None:
        return False
    lowest, highest = ends
    if isinstance(guard, (Equality, Unequality)):
        return lowest < highest and lowest <= 0 <= highest
    return bool(RELATIONS[guard.rel_op](lowest, 0)) != bool(RELATIONS[guard.rel_op](highest, 0))


def _ends(guard: Relational, spelling: Spelling, sizes: Environment) -> tuple[int, int] | None:
    """Return the least and the greatest value of left - right; None where it is not affine in indices."""
    left, right = guard.args
    lowest = highest = 0
    for part, coefficient in expand(left - right).as_coefficients_dict().items():
        extents = [whole(e, sizes) for e in spelling.ranges.get(part, ()) if e.free_symbols.issubset(sizes)]
        if extents:
            ends = 0, int(coefficient) * (min(extents) - 1)
        elif part.free_symbols.issubset(sizes):
            ends = (int(coefficient) * whole(part, sizes),) * 2
        else:
            return None
        lowest, highest = lowest + min(ends), highest + max(ends)
    return lowest, highest
