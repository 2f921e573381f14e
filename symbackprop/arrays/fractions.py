"""Products and fractions: what stands above and below, in which order, and what may overflow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import sympy
from sympy import (
    Add,
    Expr,
    Float,
    Indexed,
    Integer,
    Mul,
    Piecewise,
    Sum,
    exp,
)

from symbackprop.arrays.guards import is_guard
from symbackprop.equations.system import name_of

_MOST_SHARES = 16
"""The power of a denominator up to which the numerator is shared out among its bases."""


def above_and_below(expression: Expr) -> tuple[list[Expr], list[Expr]]:
    """Return the factors above and below the line; a rational number is split, 0.5 stays.

    Numbers beside an irrational one, as in sqrt(2)/(2 sqrt(π)), are one number.
    """
    above: list[Expr] = []
    below: list[Expr] = []
    factors = list(Mul.make_args(expression))
    numbers = [factor for factor in factors if factor.is_number]
    if any(not number.is_Rational for number in numbers) and len(numbers) < len(factors):
        above.append(Float(Mul(*numbers).evalf(20), 17))
        factors = [factor for factor in factors if not factor.is_number]
    for factor in factors:
        base, exponent = factor.as_base_exp()
        if factor.is_Rational and not is_decimal(factor):
            above += [Integer(factor.p)] if factor.p != 1 else []
            below.append(Integer(factor.q))
        elif base != sympy.E and exponent.is_Rational and exponent.is_negative:
            below.append(base**-exponent)
        else:
            above.append(factor)
    return above, below


def is_truth(factor: Expr) -> bool:
    """Whether a factor is 1 or 0 by a condition."""
    return is_guard(factor) and factor.args[0][0] == 1


def may_overflow(factor: Expr) -> bool:
    """Whether a factor is an exponential that grows, as far as its sign tells."""
    if isinstance(factor, exp):
        return not factor.args[0].could_extract_minus_sign()
    base, exponent = factor.as_base_exp()
    return isinstance(base, (sympy.cosh, sympy.sinh)) and exponent.is_positive


def shared_out(above: Sequence[Expr], below: Sequence[Expr]) -> list[Expr]:
    """Return factors of a fraction that divide once each, where it divides by a power of what is computed.

    The square below, or the whole numerator, may overflow where the value does not: s⁴/(1 + s⁴)² is
    computed as the square of s²/(1 + s⁴).
    """
    powers = [(d.base, int(d.exp)) for d in below if d.is_Pow and not d.base.is_Atom and d.exp.is_Integer]
    varying = [f for f in above if f.free_symbols]
    if len(powers) != 1 or not varying or powers[0][1] > _MOST_SHARES:
        return []
    (base, count) = powers[0]
    constant = Mul(*[f for f in above if not f.free_symbols])
    others = [d for d in below if not (d.is_Pow and d.base == base)]
    shares: list[list[Expr]] = [[] for _ in range(count)]
    units = [u for f in varying for u in _unit_factors(f)]
    for unit in sorted(units, key=_grows, reverse=True):
        min(shares, key=lambda share: sum(map(_grows, share))).append(unit)
    factors = [Mul(*share) / base for share in shares]
    factors[0] *= constant * Mul(*[1 / d for d in others])
    return factors if all(f.count_ops() < Mul(*factors).count_ops() for f in factors) else []


def equal_powers(
    above: Sequence[Expr], below: Sequence[Expr]
) -> tuple[list[Expr], list[Expr], list[tuple[Expr, int]]]:
    """Return a fraction without the factors of equal powers, and these as powers of one base.

    x² t² is computed as (x t)²: no square overflows where the product doesn't, and there is one less.
    """
    bases: dict[int, list[Expr]] = {}
    for factors, sign in ((above, 1), (below, -1)):
        for factor in factors:
            base, exponent = factor.as_base_exp()
            if exponent.is_Integer and exponent > 1 and base.free_symbols and not may_overflow(factor):
                bases.setdefault(int(exponent), []).append(base**sign)
    powers = [(Mul(*found), exponent) for exponent, found in bases.items() if len(found) > 1]
    taken = {base**exponent for exponent, found in bases.items() if len(found) > 1 for base in found}
    rest = [f for f in above if f not in taken], [f for f in below if 1 / f not in taken]
    return *rest, powers


def _grows(factor: Expr) -> int:
    """Return how fast a factor may grow: a function faster than what it is a function of."""
    return 1 if factor.is_Symbol or isinstance(factor, Indexed) else 10


def units(factors: Sequence[Expr]) -> list[Expr]:
    """Return x, x for x² and x, x, x for x³: a power may overflow, or be 0, where its base is not."""
    units = [_unit_factors(factor) for factor in factors]
    return [
        u for factor, own in zip(factors, units, strict=True) for u in (own if len(own) <= 3 else [factor])
    ]


def _unit_factors(factor: Expr) -> list[Expr]:
    """Return x, x, x for x³, and any other factor as it is."""
    base, exponent = factor.as_base_exp()
    whole = exponent.is_Integer and exponent > 1 and base != sympy.E
    return [base] * int(exponent) if whole else [factor]


def is_decimal(number: Expr) -> bool:
    """Whether a rational number is written as a decimal, such as 0.1 or 7; 1/2 and 1/4 divide."""
    denominator = int(number.q)
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator == 1 and number.q not in (2, 4)


def term_order(term: Expr) -> tuple[object, ...]:
    """Numbers first, then what is not negated, then as named."""
    negative = term.could_extract_minus_sign()
    return (negative, not term.is_number, not term.has(Sum), _first_name(term))


@lru_cache(maxsize=4096)
def in_order_of_addition(total: Add) -> list[Expr]:
    """Return the terms of a sum as they are added: a number and what may be its opposite first.

    SymPy multiplies h + (1 - m)·(-10⁹) out; with h + 10⁹ m first, no digit of h would be left.
    """
    terms = sorted(total.args, key=term_order)
    number, _ = total.as_coeff_Add()
    opposite = [t for t in terms if t.as_coeff_Mul()[0] == -number] if abs(number) > 1 else []
    first = [t for t in terms if t == number or t in opposite] if opposite else []
    return [*first, *(t for t in terms if t not in first)]


def factor_order(factor: Expr) -> tuple[object, ...]:
    """Numbers, named constants, sums, then quantities; x before the sum 1 - x.

    What decays comes before what may overflow: nothing times a large number is nothing.
    """
    return (
        not factor.is_number,
        not (isinstance(factor, exp) and not may_overflow(factor)),
        factor.has(Indexed),
        not factor.has(Sum),
        factor.has(Piecewise),
        _first_name(factor),
        factor.is_Add,
    )


def _first_name(expression: Expr) -> tuple[str, int, str]:
    """Return the key of the first quantity that is read: w2 comes before w10."""
    return min((_with_number(name_of(read)) for read in expression.atoms(Indexed)), default=("", 0, ""))


def _with_number(name: str) -> tuple[str, int, str]:
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or -1), name
