"""Calls into SymPy that may not return, each with a budget of work.

Work is counted in terms, generators and degrees, never in time, so that equal input gives equal results on
every machine.  Past the budget the form that is there, which is right, is kept.  Before a call, large
exponents become kernels (``symbackprop.derivation.calculus.kernels``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import sympy
from sympy import Expr, Poly, PolynomialError, Symbol

from symbackprop.derivation.calculus.factoring import factored
from symbackprop.derivation.calculus.kernels import Kernels
from symbackprop.equations.size import degrees, expanded_size, expanded_terms, generators

_WORK_TO_FACTOR = 800
_WORK_TO_CANCEL = 3200
_HIGHEST_DEGREE = 64
_MOST_TERMS = 2000
_LARGEST = 10_000
_MOST_OPERATIONS = 60
"""The number of operations up to which SymPy's simplify, which tries everything, is asked."""


@lru_cache(maxsize=4096)
def factor(expression: Expr) -> Expr:
    """Return ``expression`` as a product of factors that have none themselves."""
    return _bounded(factored, expression, lambda flat: _is_within(flat, _WORK_TO_FACTOR))


def cancel(expression: Expr) -> Expr:
    """Return ``expression`` as one fraction in lowest terms."""
    return _bounded(sympy.cancel, expression, lambda flat: _is_within(flat, _WORK_TO_CANCEL))


def expand(expression: Expr, **hints: Any) -> Expr:
    """Return ``expression`` multiplied out; ``hints`` are SymPy's."""

    def is_within(flat: Expr) -> bool:
        few = expanded_terms(flat) <= _MOST_TERMS and expanded_size(flat) <= _LARGEST
        return few and max(degrees(flat)) <= _MOST_TERMS

    return _bounded(lambda flat: sympy.expand(flat, **hints), expression, is_within)


def simplify(expression: Expr) -> Expr:
    """Return ``expression`` in the form that SymPy takes for the simplest."""

    def is_within(flat: Expr) -> bool:
        return _is_within(flat, _WORK_TO_FACTOR) and sympy.count_ops(flat) <= _MOST_OPERATIONS

    return _bounded(sympy.simplify, expression, is_within)


def polynomial(expression: Expr, variable: Symbol) -> Poly | None:
    """Return the polynomial in ``variable`` over the rationals, None where it is none or too large."""
    if not is_short(expression):
        return None
    try:
        return Poly(expression, variable, domain="QQ")
    except PolynomialError:
        return None


def _bounded(function: Callable[[Expr], Expr], expression: Expr, is_within: Callable[[Expr], bool]) -> Expr:
    kernels = Kernels(expression)
    flat = kernels.flat(expression)
    return kernels.back(function(flat)) if is_within(flat) else expression


def is_short(expression: Expr) -> bool:
    """Whether other forms of ``expression`` are found with little work.

    SymPy takes minutes to factor a fraction of hundreds of terms, or a few dozen terms in many kernels.
    """
    return _is_within(Kernels(expression).flat(expression), _WORK_TO_FACTOR)


def _is_within(flat: Expr, work: int) -> bool:
    few = _work(flat) <= work and expanded_size(flat) <= _LARGEST
    return few and max(degrees(flat)) <= _HIGHEST_DEGREE


def _work(flat: Expr) -> int:
    """Return how much there is to do with ``flat``: its generators times its terms, multiplied out."""
    return len(generators(flat)) * expanded_terms(flat)
