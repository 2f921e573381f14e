"""Derivatives of scalar expressions: SymPy's, but for what it gets wrong or does not return from."""

from __future__ import annotations

from sympy import Abs, Add, Dummy, Eq, Expr, Mul, Piecewise, Pow, Symbol, count_ops, default_sort_key

from symbackprop.derivation.calculus.kernels import LARGEST_EXPONENT
from symbackprop.equations.system import ZERO


def slope_of(expression: Expr, symbol: Symbol) -> Expr:
    """Return the derivative of a scalar expression, all of whose parts are real where it has a value.

    SymPy takes |log(s)| for a function of a complex number, as log(s) is one for a negative s.
    """
    if isinstance(expression, Add):
        return Add(*[slope_of(term, symbol) for term in expression.args if term.has(symbol)])
    if isinstance(expression, Mul):
        held = [factor for factor in expression.args if factor.has(symbol)]
        if len(held) == 1:
            others = [factor for factor in expression.args if factor != held[0]]
            return Mul(*others, slope_of(held[0], symbol))
    counted = [node for node in expression.atoms(Pow) if _is_counted(node, symbol)]
    if counted:
        node = max(counted, key=lambda power: (count_ops(power), default_sort_key(power)))  # none holds it
        held = Dummy(real=True)
        flat = expression.xreplace({node: held})
        total = slope_of(flat, symbol) + slope_of(flat, held) * _slope_of_power(node, symbol)
        return total.xreplace({held: node})
    unsure = [node for node in expression.atoms(Abs) if not node.args[0].is_extended_real]
    outer = [a for a in unsure if a.has(symbol) and not any(a != b and b.has(a) for b in unsure)]
    inner = {node: Dummy(real=True) for node in sorted(outer, key=default_sort_key)}
    flat = expression.xreplace({node: Abs(argument) for node, argument in inner.items()})
    total = flat.diff(symbol)
    for node, argument in inner.items():
        total += flat.diff(argument) * slope_of(node.args[0], symbol)
    return total.xreplace({argument: node.args[0] for node, argument in inner.items()})


def _is_counted(node: Pow, symbol: Symbol) -> bool:
    """Whether a power of what holds ``symbol`` is taken apart before SymPy sees it.

    It has an index or a size as its exponent, which may be 0, or it is a high power.
    """
    base, exponent = node.args
    counted = exponent.is_integer and not exponent.is_number
    return bool((counted or is_high_power(node)) and base.has(symbol))


def is_high_power(node: Expr) -> bool:
    """Whether a sum has a power so high that SymPy, which multiplies it out for its sign, does not return."""
    if not (isinstance(node, Pow) and node.base.is_Add and node.exp.is_Rational):
        return False
    return bool(abs(node.exp) > LARGEST_EXPONENT)


def _slope_of_power(node: Pow, symbol: Symbol) -> Expr:
    """Return k·b^(k - 1) times the slope of b, which has a value where b is 0; for k = 0 it is 0."""
    base, exponent = node.args
    slope = exponent * base ** (exponent - 1)
    if not exponent.is_positive:
        slope = Piecewise((ZERO, Eq(exponent, 0)), (slope, True))
    return slope * slope_of(base, symbol)
