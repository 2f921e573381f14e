"""Affine index expressions such as 2*h + u - 1: their slopes, and the least and the greatest value."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sympy import Add, And, Dummy, Equality, Expr, Ge, Gt, Le, Lt, Not, Or, Symbol, expand, floor, sympify
from sympy.logic.boolalg import Boolean

from symbackprop.equations.system import ZERO, Ranges, is_size


@dataclass(frozen=True)
class Affine:
    """An index expression: the sum of slope times letter, and ``offset``; no letter stands in these."""

    slopes: Mapping[Symbol, Expr]
    offset: Expr

    def lowest(self, ranges: Ranges) -> dict[Expr, Expr]:
        """Return the values of the letters at which the expression is lowest.

        A letter that is left out raises or lowers it, depending on the sizes.
        """
        slopes = {i: sympify(slope) for i, slope in self.slopes.items()}
        rising = {i: ZERO for i, slope in slopes.items() if slope.is_nonnegative}
        falling = {i: ranges[i] - 1 for i, slope in slopes.items() if slope.is_nonpositive}
        return {**falling, **rising}

    def bounds(self, ranges: Ranges) -> tuple[Expr, Expr]:
        """Return the least and the greatest value for letters that run from 0 over ``ranges``.

        They hold the letters that raise or lower the expression depending on the sizes.
        """
        turned = Affine({i: -slope for i, slope in self.slopes.items()}, self.offset)
        return self.at(self.lowest(ranges)), self.at(turned.lowest(ranges))

    def at(self, values: Mapping[Expr, Expr]) -> Expr:
        """Return the value where letters have the given values; others stay."""
        return expand(Add(self.offset, *[slope * values.get(i, i) for i, slope in self.slopes.items()]))


def affine(expression: Expr, letters: Collection[Symbol]) -> Affine | None:
    """Return ``expression`` as an affine one in ``letters``; None where it is none."""
    rest: list[Expr] = []
    slopes: dict[Symbol, list[Expr]] = {}
    for term in Add.make_args(expand(expression)):
        held = [i for i in term.free_symbols if i in letters]
        slope = term / held[0] if held else ZERO
        if len(held) > 1 or slope.has(*held):
            return None
        slopes.setdefault(held[0], []).append(slope) if held else rest.append(term)
    return Affine({i: Add(*slopes[i]) for i in letters if i in slopes}, Add(*rest))


def bounds(expression: Expr, ranges: Ranges) -> tuple[Expr, Expr]:
    """Return the least and the greatest value of an index expression over ``ranges``.

    Of one that is not affine both are the expression itself.
    """
    found = affine(expression, ranges)
    return found.bounds(ranges) if found else (expression, expression)


def with_sizes_from(least: int, expression: Expr) -> Expr:
    """Return ``expression`` of numbers that are not negative, in place of sizes of ``least`` and more."""
    sizes = {s: Dummy(integer=True, nonnegative=True) + least for s in expression.free_symbols if is_size(s)}
    return expand(expression.xreplace(sizes))


def not_negative(condition: Boolean) -> list[Expr]:
    """Return integer expressions that are not negative where ``condition`` holds; all that are known."""
    if isinstance(condition, And):
        return [expression for part in condition.args for expression in not_negative(part)]
    if isinstance(condition, Not) and isinstance(condition.args[0], Or):
        return [e for part in condition.args[0].args for e in not_negative(Not(part))]
    if isinstance(condition, Equality):
        return [
            *not_negative(condition.lhs >= condition.rhs),
            *not_negative(condition.lhs <= condition.rhs),
        ]
    if not isinstance(condition, (Ge, Le, Gt, Lt)):
        return []
    constant, rest = expand(condition.gts - condition.lts).as_coeff_Add()
    if not rest.is_integer:
        return []
    # SymPy writes 2 h > 1 as h > 1/2, which of integers is h >= 1
    strict = isinstance(condition, (Gt, Lt)) and constant.is_integer
    return [rest + (constant - 1 if strict else floor(constant))]


def holds_everywhere(condition: Boolean, ranges: Ranges) -> bool:
    """Whether a comparison holds for all letters that run from 0 over ``ranges``, whatever the sizes are."""
    known = not_negative(condition)
    least = [with_sizes_from(1, bounds(expression, ranges)[0]) for expression in known]
    return bool(known) and all(value.is_nonnegative for value in least)
