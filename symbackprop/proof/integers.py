"""Numbers of integer expressions, such as an index or the extent of an axis.

In go an expression and an ``Environment``, out comes a whole number (or a fraction on the way to one).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import prod

from sympy import Add, Expr, Indexed, Mul, Number, Symbol

from symbackprop.proof.errors import Unproved

Environment = dict[Symbol, int]
"""Index symbol -> its value."""


def whole(expression: Expr | int, values: Mapping[Symbol, int]) -> int:
    """Return the value of an integer expression in sizes and indices."""
    value = rational(expression, values, None)
    if value.denominator != 1:
        raise Unproved(f"the index {expression} is no integer")
    return int(value)


def rational(
    node: Expr | int, values: Mapping[Symbol, int], table: Callable[[Indexed], int] | None
) -> Fraction:
    """Return the value of an expression in sizes, indices and, through ``table``, integer quantities."""
    if isinstance(node, int):
        return Fraction(node)
    if isinstance(node, Symbol) and node in values:
        return Fraction(values[node])
    if isinstance(node, Number) and node.is_rational:
        return Fraction(int(node.p), int(node.q))
    if table is not None and (isinstance(node, Indexed) or (isinstance(node, Symbol) and node.is_integer)):
        return Fraction(table(node))
    if not node.args:
        raise Unproved(f"the index {node} is bound nowhere")
    values_of_arguments = [rational(argument, values, table) for argument in node.args]
    if isinstance(node, Add):
        return sum(values_of_arguments, Fraction(0))
    if isinstance(node, Mul):
        return prod(values_of_arguments, start=Fraction(1))
    result = node.func(*[Number(v.numerator) / Number(v.denominator) for v in values_of_arguments])
    if not (result.is_Number and result.is_rational):
        raise Unproved(f"the index {node} is no integer")
    return Fraction(int(result.p), int(result.q))
