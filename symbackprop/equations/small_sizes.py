"""Small numbers for sizes that have none, with which every index still has values to take.

A recurrence has room for its longest way back.
"""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Expr, Integer, Symbol

from symbackprop.equations.circles import longest_ways
from symbackprop.equations.system import BINDERS, EquationSystem

_ATTEMPTS = 100


def small_sizes(
    system: EquationSystem, start: Mapping[Symbol, int], known: Mapping[Symbol, int], least: int = 1
) -> dict[Symbol, int]:
    """Return the sizes of ``start`` with their numbers, changed until no index has too few values.

    Args:
        system: the equations, with sizes such as P - U + 1 that follow from others.
        start: the numbers to begin with.
        known: the numbers of other sizes, which stay as they are.
        least: how many values an index must have.
    """
    longest = longest_ways(system.equations, system.reads)
    small = {s: max(number, longest.get(s, 0)) for s, number in start.items()}
    free, numbered = set(start), {*start, *known}
    varying = [n for n in sorted(_extents(system), key=str) if n.free_symbols & free]
    varying = [n for n in varying if n.free_symbols <= numbered]
    for _ in range(_ATTEMPTS):
        numbers = {s: Integer(number) for s, number in {**known, **small}.items()}
        short = next((n for n in varying if n.xreplace(numbers) < least), None)
        if short is None:
            break
        more = [s for s in small if short.coeff(s).is_positive]
        for s in more or short.free_symbols & free:
            small[s] = max(small[s] + (1 if more else -1), 1)
    return small


def _extents(system: EquationSystem) -> set[Expr]:
    """Return the sizes that axes have and that bound indices run over."""
    bound = set().union(*(e.rhs.atoms(*BINDERS) for e in system.equations))
    axes = {n for q in system.quantities.values() for n in q.shape}
    return axes | {last + 1 for binder in bound for _, _, last in binder.limits}
