"""How large an expression is for SymPy's polynomials: generators, terms and degrees, without making one."""

from __future__ import annotations

from functools import lru_cache
from math import comb, prod

from sympy import Add, Basic, Expr, Function, Indexed, Mul, Pow, Symbol, exp

_MANY = 10**6
"""A number of terms, and a degree, that is too many for everything; none is counted further."""


def generators(expression: Expr) -> set[Expr]:
    """Return the components, symbols and functions of which ``expression`` is made."""
    if isinstance(expression, (Indexed, Symbol)):
        return {expression}
    own: set[Expr] = {expression} if isinstance(expression, Function) else set()
    return own.union(*map(generators, expression.args))


def expanded_terms(expression: Expr) -> int:
    """Return about how many terms ``expression`` has over one denominator, when multiplied out."""
    above, below = _fraction_terms(expression)
    return above + below


@lru_cache(maxsize=4096)
def _fraction_terms(expression: Expr) -> tuple[int, int]:
    """Return the number of terms above and below the fraction bar, at most a large number."""
    if expression.is_Add:
        parts = [_fraction_terms(term) for term in expression.args]
        below = prod(under for _, under in parts)
        above = sum(over * max(1, below // under) for over, under in parts)
    elif expression.is_Mul:
        above, below = (prod(part) for part in zip(*map(_fraction_terms, expression.args), strict=True))
    elif expression.is_Pow and expression.exp.is_Rational and abs(expression.exp) >= 1:
        # SymPy multiplies out the whole part of a fraction, too.
        base, times = _fraction_terms(expression.base), abs(int(expression.exp))
        above, below = (min(_MANY, comb(min(part + times - 1, 99), min(times, 99))) for part in base)
        above, below = (above, below) if expression.exp.is_positive else (below, above)
    else:
        inner = max((sum(_fraction_terms(a)) for a in expression.args if isinstance(a, Expr)), default=0)
        above, below = max(1, inner // 2), 1
    return min(above, _MANY), min(below, _MANY)


@lru_cache(maxsize=4096)
def degrees(expression: Expr) -> tuple[int, int]:
    """Return bounds of the degrees above and below the fraction bar, at most a large number."""
    if expression.is_Add:
        parts = [degrees(term) for term in expression.args]
        below = sum(under for _, under in parts)
        above = max(over + below - under for over, under in parts)
    elif expression.is_Mul:
        above, below = (sum(part) for part in zip(*map(degrees, expression.args), strict=True))
    elif expression.is_Pow and expression.exp.is_Rational:
        above, below = (part * abs(expression.exp.p) for part in degrees(expression.base))
        above, below = (above, below) if expression.exp.is_positive else (below, above)
    elif isinstance(expression, exp):
        above, below = _degrees_of_exponential(expression.args[0])
    else:
        above, below = int(not expression.is_Number), 0
    return min(above, _MANY), min(below, _MANY)


def _degrees_of_exponential(exponent: Expr) -> tuple[int, int]:
    numbers = [term.as_coeff_Mul(rational=True)[0].p for term in Add.make_args(exponent)]
    return sum(max(n, 0) for n in numbers), sum(max(-n, 0) for n in numbers)


@lru_cache(maxsize=4096)
def expanded_size(expression: Basic) -> int:
    """Return about how many parts ``expression`` has, multiplied out inside of its functions, too."""
    inner = sum(map(expanded_size, _arguments_of_functions(expression)))
    terms = expanded_terms(expression) if isinstance(expression, Expr) else 1
    return min(_MANY, terms * (1 + inner))


def _arguments_of_functions(expression: Basic) -> set[Basic]:
    """Return what the outermost functions in ``expression`` are taken of."""
    if isinstance(expression, (Add, Mul)) or (isinstance(expression, Pow) and expression.exp.is_Integer):
        return set().union(*map(_arguments_of_functions, expression.args))
    return set() if isinstance(expression, Indexed) else set(expression.args)
