"""Fractions of exponentials in forms that do not overflow above the fraction bar."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import (
    Add,
    Expr,
    Mul,
    Piecewise,
    PolynomialError,
    Pow,
    cosh,
    exp,
    fraction,
    sinh,
    tanh,
    together,
)

from symbackprop.derivation.calculus.budget import expand, is_short
from symbackprop.equations.system import ZERO

HYPERBOLIC = (sinh, cosh, tanh)


def absorbed(expression: Expr) -> Expr:
    """Return ``expression`` with exponentials above a fraction bar taken into the sums below it.

    exp(s)/(1 + exp(s)) is inf/inf for a large s; 1/(exp(-s) + 1) is the same and always has a value.
    """
    if not expression.args:
        return expression
    arguments = [absorbed(argument) for argument in expression.args]
    expression = expression.func(*arguments) if arguments != list(expression.args) else expression
    return _absorbed_product(expression) if isinstance(expression, Mul) else expression


def _absorbed_product(product: Mul) -> Expr:
    exponentials = [f for f in product.args if isinstance(f, exp)]
    sums = [f for f in product.args if f.is_Pow and _divides_by_exponentials(f)]
    if not exponentials or not sums:
        return product
    rest = Mul(*[f for f in product.args if f not in exponentials and f not in sums])
    exponent = Add(*[f.args[0] for f in exponentials])
    for power in sums:
        times = int(-power.exp) if power.exp.is_Integer else 1
        for _ in range(times):
            single = power.exp / times
            share = _share(exponent / -single, power.base)
            exponent = exponent + share * single
            rest *= _times_exponential(power.base, -share) ** single
    return rest * exp(exponent)


def _divides_by_exponentials(power: Pow) -> bool:
    divides = power.exp.is_Rational and power.exp.is_negative
    return bool(divides and power.base.is_Add and any(_exponents(t) for t in power.base.args))


def _exponents(term: Expr) -> list[Expr]:
    return [f.args[0] for f in Mul.make_args(term) if isinstance(f, exp)]


def _share(exponent: Expr, divisor: Expr) -> Expr:
    """Return the part of ``exponent`` that ``divisor`` takes: it keeps a term that does not vanish."""
    for own in (e for term in divisor.args for e in _exponents(term)):
        for part in dict.fromkeys((exponent, *Add.make_args(exponent))):
            ratio = _ratio(part, own)
            if ratio is not None and ratio > 0:
                return part if ratio <= 1 else own
    return ZERO


def _ratio(exponent: Expr, other: Expr) -> Expr | None:
    """Return by which number ``exponent`` is a multiple of ``other``, None where it is none."""
    (number, rest), (other_number, other_rest) = (expand(e).primitive() for e in (exponent, other))
    for sign in (1, -1):
        if rest == sign * other_rest:
            ratio: Expr = sign * number / other_number
            return ratio
    return None


def _times_exponential(total: Expr, exponent: Expr) -> Expr:
    """Return ``total`` times exp(exponent), term by term."""
    terms = []
    for term in Add.make_args(total):
        others = [f for f in Mul.make_args(term) if not isinstance(f, exp)]
        terms.append(Mul(*others) * exp(Add(exponent, *_exponents(term))))
    return Add(*terms)


def growth_apart(expression: Expr) -> Expr:
    """Return ``expression`` with factors multiplied into sums with a term that grows like an exponential.

    0 (s cosh(s) + sinh(s)) has no value where the sum overflows, 0 s cosh(s) + 0 sinh(s) is still 0: so
    automatic differentiation goes, along one path at a time.
    """
    if isinstance(expression, Add):
        return Add(*[growth_apart(term) for term in expression.args])
    if not isinstance(expression, Mul):
        return expression
    for total in (f for f in expression.args if isinstance(f, Add) and any(map(_grows, f.args))):
        rest = Mul(*[f for f in expression.args if f is not total])
        return Add(*[growth_apart(rest * term) for term in total.args])
    return expression


def _grows(term: Expr) -> bool:
    """Whether an exponential is a factor of ``term``."""
    bases = (f if isinstance(f, exp) else f.as_base_exp()[0] for f in Mul.make_args(term))
    return any(isinstance(base, (exp, sinh, cosh)) for base in bases)


def decided_by_sign(expression: Expr) -> Expr | None:
    """Return ``expression`` by cases, such that no exponential in it grows; None where that can't be.

    A fraction in exp(u) is written in exp(-u) where u is positive.
    """
    if expression.has(Piecewise) or not expression.has(exp, *HYPERBOLIC):
        return None
    try:
        whole = expression.rewrite(HYPERBOLIC, exp)
        if not is_short(whole):
            return None
        over, under = (expand(part) for part in fraction(together(whole)))
    except (PolynomialError, NotImplementedError):
        return None
    base = _common_exponent([e.args[0] for part in (over, under) for e in part.atoms(exp)])
    if base is None:
        return None
    degrees = [sum((_ratio(e, base) or ZERO for e in _exponents(t)), ZERO) for t in Add.make_args(under)]
    first, second = (
        _times_exponential(over, -d * base) / _times_exponential(under, -d * base)
        for d in (max(degrees), min(degrees))
    )
    return None if first == second else Piecewise((first, base > 0), (second, True))


def _common_exponent(exponents: Sequence[Expr]) -> Expr | None:
    """Return the exponent of which all others are multiples by numbers, None where there is none."""
    found = sorted(set(exponents), key=str)
    if not found:
        return None
    base = -found[0] if found[0].could_extract_minus_sign() else found[0]
    return base if all(_ratio(e, base) is not None for e in found) else None
