"""Sums of exponentials, of which the code takes the largest exponent out: c₁ exp(a₁) + c₂ exp(a₂) + …

A mask is a coefficient that may be 0, or a choice with 0 in it: what it leaves out has the exponent -∞.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from sympy import Add, Dummy, Expr, Indexed, Mul, Piecewise, Pow, S, Sum, Symbol, exp, log

from symbackprop.arrays.fractions import term_order
from symbackprop.equations.indices import close_sum, open_sum
from symbackprop.equations.system import ONE, ZERO, is_size

_SUMMED = Dummy("k", integer=True)
"""The summed index of sums that are compared."""


@lru_cache(maxsize=4096)
def apart(expression: Expr) -> tuple[Expr, Expr] | None:
    """Return c and a of an expression that is c·exp(a); None where it has no exponential as a factor."""
    if isinstance(expression, exp):
        return ONE, expression.args[0]
    if isinstance(expression, Mul):
        found = [(apart(f) or (f, None)) for f in expression.args]
        if all(a is None for _, a in found):
            return None
        found = [(c, a) if a is not None else _power_of_total_apart(c) for c, a in found]
        return Mul(*[c for c, _ in found]), Add(*[a for _, a in found])
    return _choice_apart(expression) if isinstance(expression, Piecewise) else None


def outside_of_sum(expression: Expr, summed: Collection[Symbol]) -> tuple[Expr, Expr, Expr, Expr] | None:
    """Return c, v, d and u of an expression that is c·exp(v)·d·exp(u), c and v free of ``summed``.

    None where it is no exponential, where nothing is left for one of v and u, or where d may be 0.
    """
    found = apart(expression)
    if found is None:
        return None
    coefficient, exponent = found
    outer, inner = ZERO, ZERO
    for term in Add.make_args(exponent):
        common, rest = _free_of_choice(term, summed)
        outer, inner = outer + common, inner + rest
    outside = [f for f in Mul.make_args(coefficient) if not f.free_symbols & set(summed)]
    inside = Mul(*[f for f in Mul.make_args(coefficient) if f not in outside])
    if may_vanish(inside) or not outer.has(Indexed) or not inner.free_symbols & set(summed):
        return None
    return Mul(*outside), outer, inside, inner


def _free_of_choice(term: Expr, summed: Collection[Symbol]) -> tuple[Expr, Expr]:
    """Return the part of a term of an exponent that is free of ``summed``, and the rest.

    Of a choice it is what all cases share, but for those that are left out.
    """
    if not term.free_symbols & set(summed):
        return term, ZERO
    cases = [v for v, _ in term.args if v != S.NegativeInfinity] if isinstance(term, Piecewise) else []
    shared = [t for t in Add.make_args(Add(*cases[:1])) if all(t in Add.make_args(v) for v in cases)]
    common = Add(*[t for t in shared if not t.free_symbols & set(summed)])
    if common == 0:
        return ZERO, term
    return common, Piecewise(*[(v if v == S.NegativeInfinity else v - common, c) for v, c in term.args])


def _power_of_total_apart(factor: Expr) -> tuple[Expr, Expr]:
    base, power = factor.as_base_exp()
    return (ONE, power * log(base)) if holds_exponentials(base) else (factor, ZERO)


def holds_exponentials(expression: Expr) -> bool:
    """Whether ``expression`` sums exponentials over an index, alone or among positive terms, or many."""
    if is_sum_of_exponentials(expression):
        return True
    return is_total_of_exponentials(expression) and (expression.has(Sum) or _has_many_exponents(expression))


def _has_many_exponents(total: Add) -> bool:
    """Whether there are exponents that are no multiples of each other; 1 + exp(z) has but one."""
    exponents = [exponent_of(term.as_coeff_Mul()[1]) for term in total.args]
    first, *others = [exponent for exponent in exponents if exponent != 0] or [ZERO]
    return any(not (other / first).is_number for other in others)


def _choice_apart(choice: Piecewise) -> tuple[Expr, Expr] | None:
    branches = [(ZERO, S.NegativeInfinity) if value == 0 else apart(value) for value, _ in choice.args]
    known = [b for b in branches if b is not None]
    coefficients = dict.fromkeys(c for c, a in known if a != -S.Infinity)
    if len(known) < len(branches) or not coefficients:
        return None
    exponent = Piecewise(*[(a, condition) for (_, a), (_, condition) in zip(known, choice.args, strict=True)])
    if len(coefficients) == 1:
        return next(iter(coefficients)), exponent
    return Piecewise(
        *[(c, condition) for (c, _), (_, condition) in zip(known, choice.args, strict=True)]
    ), exponent


def is_sum_of_exponentials(expression: Expr) -> bool:
    """Whether ``expression`` is Σ c·exp(a)."""
    return isinstance(expression, Sum) and apart(expression.function) is not None


def sums_gathered(expression: Expr) -> Expr:
    """Return ``expression`` with sums of one exponential added: Σ m e + Σ (1 - m) e is Σ e."""
    gathered: dict[Expr, Expr] = {}
    rest = []
    for term in Add.make_args(expression):
        number, total = term.as_coeff_Mul()
        body, ranges = open_sum(total) if is_sum_of_exponentials(total) else (ZERO, ())
        if len(ranges) != 1:
            rest.append(term)
            continue
        ((letter, places),) = ranges
        coefficient, exponent = apart(body.xreplace({letter: _SUMMED})) or (ZERO, ZERO)
        key = close_sum(exponent, [(_SUMMED, places)])
        gathered[key] = gathered.get(key, ZERO) + number * coefficient
    if len(gathered) + len(rest) == len(Add.make_args(expression)):
        return expression
    for key, coefficient in gathered.items():
        body, ((bound, places),) = open_sum(key)
        whole = coefficient.xreplace({_SUMMED: bound}) * exp(body)
        rest.append(close_sum(whole, [(bound, places)]))
    return Add(*rest)


def is_total_of_exponentials(expression: Expr) -> bool:
    """Whether ``expression`` has terms which are all exponentials, sums of them, or positive numbers."""
    return isinstance(expression, Add) and all(map(_is_positive_term, expression.args))


def _is_positive_term(term: Expr) -> bool:
    if term.is_number:
        return bool(term.is_positive)
    number, rest = term.as_coeff_Mul()
    found = apart(rest.function if isinstance(rest, Sum) else rest)
    return (
        found is not None
        and bool(number.is_positive and found[0].is_positive)
        and not found[1].has(S.Infinity)
    )


def may_vanish(coefficient: Expr) -> bool:
    """Whether a coefficient may be 0; what divides is no zero."""
    return any(not (f.is_number or is_size(f) or _divides(f)) for f in Mul.make_args(coefficient))


def _divides(factor: Expr) -> bool:
    return (
        isinstance(factor, Pow) and factor.exp.could_extract_minus_sign() and not isinstance(factor, Indexed)
    )


def is_exponential(expression: Expr) -> bool:
    """Whether ``expression`` is exp(a), or 1."""
    return expression == ONE or isinstance(expression, exp)


def softplus_argument(expression: Expr) -> Expr | None:
    """Return z of log(1 + exp(z)), None of any other expression."""
    if not isinstance(expression, log) or not is_total_of_exponentials(expression.args[0]):
        return None
    terms = expression.args[0].args
    if len(terms) != 2 or ONE not in terms or not all(map(is_exponential, terms)):
        return None
    return next(exponent_of(term) for term in terms if term != ONE)


def exponential_less_one(expression: Expr) -> tuple[Expr, Expr] | None:
    """Return c and z of c (exp(z) - 1), c a number; None of any other expression."""
    constant, rest = expression.as_coeff_Add()
    coefficient, power = rest.as_coeff_Mul()
    found = constant != 0 and constant == -coefficient and isinstance(power, exp)
    return (coefficient, power.args[0]) if found else None


def exponent_of(expression: Expr) -> Expr:
    """Return a of exp(a), and 0 of 1."""
    return expression.args[0] if isinstance(expression, exp) else ZERO


def two_exponents(argument: Expr) -> tuple[Expr, Expr] | None:
    """Return a and b of exp(a) + exp(b), where 1 is exp(0); None of anything else."""
    if not (argument.is_Add and len(argument.args) == 2 and all(is_exponential(a) for a in argument.args)):
        return None
    first, second = sorted((exponent_of(a) for a in argument.args), key=term_order)
    return first, second
