"""Powers with a varying exponent, such as x**p with a trained p, where the base is 0.

The derivative of x**p for p is x**p·log(x), which is 0·∞ at x = 0 and is 0 there, as automatic
differentiation has it; that for x is p·x**(p - 1), which must not be computed as p·x**p/x.
"""

from __future__ import annotations

from sympy import Eq, Expr, Mul, Piecewise, Pow, exp, log

from symbackprop.equations.system import ONE, ZERO


def finite_at_zero(expression: Expr) -> Expr:
    """Return ``expression`` with the products that come of powers having a value where the base is 0."""
    if not any(map(_is_varying_power, expression.atoms(Pow))):
        return expression
    return expression.replace(lambda node: isinstance(node, Mul), _product_at_zero)


def _is_varying_power(factor: Expr) -> bool:
    is_power = isinstance(factor, Pow) and not isinstance(factor, exp)
    return is_power and not factor.exp.is_number and not factor.base.is_positive


def _product_at_zero(product: Expr) -> Expr:
    for power in filter(_is_varying_power, product.args):
        base, exponent = power.base, power.exp
        if 1 / base in product.args:
            rest = Mul(*[f for f in product.args if f not in (power, 1 / base)])
            product = rest * base ** (exponent - ONE)
            return Piecewise((ZERO, Eq(exponent, 0)), (product, True)) if rest.has(exponent) else product
        if log(base) in product.args:
            return Piecewise((ZERO, Eq(base, 0)), (product, True))
    return product
