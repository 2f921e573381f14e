"""Scalar expressions have the values and the slopes that SymPy gives them, and refuse what is not real."""

from __future__ import annotations

import pytest
from sympy import (
    Abs,
    Expr,
    Function,
    Heaviside,
    Max,
    Min,
    Piecewise,
    Rational,
    Symbol,
    cos,
    erf,
    exp,
    log,
    oo,
    polygamma,
    sign,
    sqrt,
    tanh,
)

from symbackprop.proof.arithmetic import CONTEXT
from symbackprop.proof.errors import OutsideDomain, Unproved
from symbackprop.proof.grid import slope
from symbackprop.proof.points import Evaluator
from symbackprop.proof.program import Program, Raw

x, y, z = (Symbol(name, real=True) for name in "xyz")
AT = {x: Rational(7, 10), y: Rational(-13, 10), z: Rational(9, 4)}


class Numbers:
    """A point of an evaluator: the numbers of the symbols, and a program."""

    def __init__(self) -> None:
        self.grid = self
        self.program = Program()

    def raw(self, symbol: Symbol) -> Raw:
        """Return the number of a symbol."""
        found: Raw = CONTEXT.mpf(str(AT[symbol].evalf(90)))._mpf_
        return found


def evaluator() -> Evaluator:
    """Return an evaluator at the numbers."""
    return Evaluator(Numbers())  # type: ignore[arg-type]


VALUES = [
    x + y * z - 3,
    x**3 / y + z**-2,
    sqrt(z) * exp(y) + log(z) ** x,
    Max(x, y, z) * Min(x, y, z) + Abs(y) - sign(y),
    Piecewise((x, (y > 0) | (z < 1)), (y * z, (x > 0) & ~(z <= 2)), (0, True)),
    Heaviside(x, Rational(1, 2)) + tanh(y) - erf(z),
    polygamma(1, z) + cos(x * y),
]


@pytest.mark.parametrize("expression", VALUES, ids=str)
def test_values_are_those_of_sympy(expression: Expr) -> None:
    right = expression.xreplace(AT).evalf(70)
    assert abs(evaluator().value(expression) - CONTEXT.mpf(str(right))) < CONTEXT.mpf(10) ** -60


@pytest.mark.parametrize("expression", VALUES[:3] + VALUES[4:5] + VALUES[6:], ids=str)
def test_slopes_are_those_of_sympy(expression: Expr) -> None:
    for symbol in (x, y, z):
        right = expression.diff(symbol).xreplace(AT).evalf(70)
        assert abs(evaluator().value(slope(expression, symbol)) - CONTEXT.mpf(str(right))) < 1e-60


def test_a_slope_along_what_is_not_read_is_0() -> None:
    assert slope(Piecewise((x, y > 0), (x**2, True)), y) == 0


@pytest.mark.parametrize("expression", [sqrt(y), log(y), log(x + y), oo, 1 / (10 * x - 7)])
def test_what_is_not_real_or_not_finite_has_no_value(expression: Expr) -> None:
    with pytest.raises(OutsideDomain):
        evaluator().value(expression)


def test_a_branch_that_is_not_taken_needs_no_value() -> None:
    assert evaluator().value(Piecewise((log(y), y > 0), (x, True))) == CONTEXT.mpf("0.7")
    with pytest.raises(OutsideDomain, match="has no branch"):
        evaluator().value(Piecewise((x, y > 0), evaluate=False))


def test_kinks_that_were_met_are_known() -> None:
    values = evaluator()
    values.value(Piecewise((x, y > 2), (Abs(x), True)))
    assert values.kinks == {"2.0", "0.0"}


def test_a_function_that_is_not_known_is_told() -> None:
    with pytest.raises(Unproved, match="nothing_known"):
        evaluator().value(Function("nothing_known")(x))


def test_equal_parts_are_one() -> None:
    program = Program()
    first = program.number(exp(x) + 1)
    assert program.number(1 + exp(x)) == first == len(program.parts) - 1
    assert len(program.instructions) == 4
