"""The factors of polynomials that are linear in one of their generators, without a search for factors.

A polynomial a x + b of which a and b have no factor in common has no factors itself.  So those of any other
that is linear in x are those of the greatest common divisor of a and b, and what is left.  Derivatives are
linear in those that come from further out, and SymPy's search takes minutes in dozens of generators.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import gcd, lcm

import sympy
from sympy import Add, Dummy, Expr, Mul, PolynomialError, Rational, together
from sympy.polys.domains import ZZ
from sympy.polys.heuristicgcd import HeuristicGCDFailed
from sympy.polys.polyutils import parallel_dict_from_expr
from sympy.polys.rings import PolyElement, PolyRing

_Terms = Mapping[tuple[int, ...], Rational]


def factored(expression: Expr) -> Expr:
    """Return what ``sympy.factor`` returns."""
    whole = together(expression)
    primes: dict[Expr, Expr] = {}
    parts = [_with_names(part, primes) for part in Mul.make_args(whole)]
    if not primes:
        return sympy.factor(expression)
    number, rest = sympy.factor(Mul(*parts)).as_coeff_Mul()
    rest = rest.xreplace({name: prime for prime, name in primes.items()})
    if number in (1, -1) or not isinstance(rest, Add):
        return number * rest
    return Mul(number, rest, evaluate=False)  # SymPy would multiply the number into the sum


def _with_names(part: Expr, primes: dict[Expr, Expr]) -> Expr:
    """Return a factor of a product, with a name for what is a sum without factors."""
    base, exponent = part.as_base_exp()
    split = _split(base) if isinstance(base, Add) and exponent.is_Integer else None
    if split is None:
        return part
    common, prime = split
    if prime.is_Add:
        prime = primes.setdefault(prime, Dummy("prime", real=True))
    return (common * prime) ** exponent


def _split(total: Expr) -> tuple[Expr, Expr] | None:
    """Return a sum as a product, of which the second factor has none itself; None where no way is known."""
    try:
        (terms,), generators = parallel_dict_from_expr((total,))
    except PolynomialError:
        return None
    if not all(number.is_Rational for number in terms.values()) or not terms:
        return None
    polynomial, number = _primitive(terms, PolyRing(generators, ZZ))
    linear = [n for n in range(len(generators)) if _degree(polynomial, n) == 1]
    if not linear:
        return None
    slopes = {n: polynomial.diff(n) for n in linear}
    chosen = min(linear, key=lambda n: (len(slopes[n]), n))
    try:
        common = _common(slopes[chosen], polynomial)
    except HeuristicGCDFailed:
        return None
    return number * common.as_expr(), polynomial.exquo(common).as_expr()


def _degree(polynomial: PolyElement, position: int) -> int:
    return max(int(powers[position]) for powers in polynomial)


def _primitive(terms: _Terms, ring: PolyRing) -> tuple[PolyElement, Expr]:
    """Return the polynomial with whole coefficients that has the first one positive, and a number."""
    below = lcm(*(int(number.q) for number in terms.values()))
    whole = {powers: int(number * below) for powers, number in terms.items()}
    above = gcd(*whole.values()) * (-1 if whole[max(whole)] < 0 else 1)
    polynomial = ring.from_dict({powers: ZZ(number // above) for powers, number in whole.items()})
    return polynomial, Rational(above, below)


def _common(slope: PolyElement, polynomial: PolyElement) -> PolyElement:
    """Return the greatest common divisor of ``polynomial`` and its ``slope``, one positive."""
    found = slope
    for part in _coefficients(polynomial, slope):
        found = found.gcd(part)
        if found.is_ground:
            break
    found = found.primitive()[1]
    return -found if found.LC < 0 else found


def _coefficients(polynomial: PolyElement, other: PolyElement) -> Iterator[PolyElement]:
    """Yield the coefficients of ``polynomial`` as one in the generators that ``other`` does not hold."""
    own = [any(powers[n] for powers in other) for n in range(polynomial.ring.ngens)]
    groups: dict[tuple[int, ...], dict[tuple[int, ...], object]] = {}
    for powers, number in polynomial.items():
        outside = tuple(0 if mine else power for power, mine in zip(powers, own, strict=True))
        inside = tuple(power if mine else 0 for power, mine in zip(powers, own, strict=True))
        groups.setdefault(outside, {})[inside] = number
    for group in sorted(groups.values(), key=len):
        yield polynomial.ring.from_dict(group)
