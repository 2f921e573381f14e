"""The factors that cancel in a step: the product that they stand in, before the result of it."""

from __future__ import annotations

from sympy import Derivative, Expr, Indexed, Symbol

from symbackprop.derivation.calculus.cancelling import struck_product
from symbackprop.equations.indices import rename
from symbackprop.equations.steps import Derived, Step, differentiated
from symbackprop.equations.system import indices_of, name_of


def with_struck_factors(before: Expr, step: Step, derivation: Derived) -> Expr | None:
    """Return ``before`` with the derivatives inserted that ``step`` has no longer, equal factors struck.

    It is None where no factor above a fraction bar is equal to one below it.
    """
    return struck_product(before, lambda factor: _result(factor, step, derivation))


def _result(factor: Expr, step: Step, derivation: Derived) -> Expr | None:
    """Return the result for a derivative of the error that stands before ``step``, None for other factors."""
    component = _quantity_of(factor, derivation)
    if component is None or step.rhs.has(factor.base if isinstance(factor, Indexed) else factor):
        return None
    number = derivation.results.get(name_of(component))
    if number is None or number >= step.number:
        return None
    found = derivation.by_number[number]
    letters = indices_of(differentiated(found.lhs, derivation))
    return rename(found.rhs, dict(zip(letters, indices_of(component), strict=True)))


def _quantity_of(factor: Expr, derivation: Derived) -> Expr | None:
    """Return the component for which a factor is the derivative of the error, named or not."""
    system = derivation.system
    if isinstance(factor, Derivative):
        return factor.variables[0] if factor.expr == system.quantities[system.loss].symbol else None
    if isinstance(factor, Indexed | Symbol) and name_of(factor) in derivation.adjoints:
        return differentiated(factor, derivation)
    return None
