"""Powers with a varying exponent, such as x**p with a trained p, where the base is 0.

The derivative of x**p for p is x**p·log(x), which is 0·∞ at x = 0 and is 0 there, as automatic
differentiation has it; that for x is p·x**(p - 1), which must not be computed as p·x**p/x.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sympy import Eq, Expr, Indexed, Mul, Piecewise, Pow, exp, log

from symbackprop.derivation.stable.joining import at
from symbackprop.equations.system import ONE, ZERO, EquationSystem, name_of


def finite_at_zero(expression: Expr, system: EquationSystem) -> Expr:
    """Return ``expression`` with the products that come of powers having a value where the base is 0."""

    def product_at_zero(product: Expr) -> Expr:
        for factor, power in _varying_powers(product, system):
            base, exponent = power.args
            if 1 / base in product.args:
                rest = Mul(*[f for f in product.args if f not in (factor, 1 / base)])
                shorter = rest * base ** (exponent - ONE)
                return Piecewise((ZERO, Eq(exponent, 0)), (shorter, True)) if rest.has(exponent) else shorter
            if log(base) in product.args:
                return Piecewise((ZERO, Eq(base, 0)), (product, True))
        return product

    return expression.replace(lambda node: isinstance(node, Mul), product_at_zero)


def _varying_powers(product: Expr, system: EquationSystem) -> Iterator[tuple[Expr, Pow]]:
    """Yield each factor that is a power, or defined as one, with that power."""
    for factor in product.args:
        power = factor
        if system.is_read(factor) and name_of(factor) in system.definitions:
            definition = system.definitions[name_of(factor)]
            if isinstance(definition.rhs, Pow):
                power = at(definition.indices, factor, definition.rhs)
        if is_varying_power(power):
            yield factor, power


def is_varying_power(factor: Expr) -> bool:
    """Whether ``factor`` is a power with an exponent that is no number, of a base that may be 0."""
    is_power = isinstance(factor, Pow) and not isinstance(factor, exp)
    return is_power and not factor.exp.is_number and not factor.base.is_positive


def zero_where(expression: Expr, deciding: Callable[[Expr], Expr | None]) -> Expr:
    """Return ``expression`` with products that are 0 where the factor that decides is, whatever others are.

    The factor is taken as it stands, before products in it are decided in turn; a choice decides nothing.
    """
    if not expression.args or isinstance(expression, Indexed):
        return expression
    parts = [zero_where(part, deciding) for part in expression.args]
    inner = expression if parts == list(expression.args) else expression.func(*parts)
    factor = deciding(expression)
    if factor is None or factor.has(Piecewise):
        return inner
    return Piecewise((ZERO, Eq(factor, 0)), (inner, True))
