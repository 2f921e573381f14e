"""A factor that is struck out: it stands above a fraction bar and below it, and leaves nothing."""

from __future__ import annotations

from sympy import Expr, Function, Integer


class Struck(Function):  # type: ignore[misc]  # SymPy has no types
    """A factor, and its number among those that are struck, so that SymPy does not cancel it itself."""

    nargs = 2
    is_real = True


def struck(factor: Expr, number: int) -> Expr:
    """Return a factor struck out; equal ones with different numbers are kept apart."""
    return Struck(factor, Integer(number))


def kept(expression: Expr) -> Expr:
    """Return an expression whose factors are no longer struck out, so that SymPy cancels them."""
    return expression.replace(Struck, lambda factor, number: factor)
