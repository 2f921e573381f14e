"""Factors of sums that are linear in a generator: found without a search, and those that SymPy finds."""

from __future__ import annotations

import random

import pytest
import sympy
from sympy import Add, Expr, Integer, Mul, Rational, exp, sqrt, symbols, tanh

from symbackprop.derivation.calculus.factoring import factored

X = symbols("x0:6", real=True)
PARTS = (*X, exp(X[0]), tanh(X[1]), sqrt(X[2]), exp(-X[3]))


def drawn_sum(draw: random.Random, terms: int) -> Expr:
    """Return a sum of so many random products."""
    numbers = (1, -1, 2, 3, Rational(1, 2), -4, 6)
    total = Integer(0)
    for _ in range(terms):
        parts = [draw.choice(PARTS) ** draw.choice((1, 1, 2)) for _ in range(draw.randint(0, 2))]
        total += draw.choice(numbers) * Mul(*parts)
    return total


def drawn(seed: int) -> Expr:
    """Return a random rational expression, multiplied out or not."""
    draw = random.Random(seed)
    product = Mul(*[drawn_sum(draw, draw.randint(1, 3)) ** draw.choice((1, 1, -1, 2)) for _ in range(3)])
    return sympy.expand(product) if draw.random() < 0.5 else product + drawn_sum(draw, 2)


@pytest.mark.parametrize("seed", range(60))
def test_factors_are_those_of_sympy(seed: int) -> None:
    expression = drawn(seed)
    if expression.has(sympy.zoo, sympy.nan):
        return
    assert factored(expression) == sympy.factor(expression)


def test_a_sum_that_is_linear_is_not_searched_for_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[Expr] = []
    search = sympy.factor

    def noted(expression: Expr) -> Expr:
        searched.append(expression)
        return search(expression)

    monkeypatch.setattr(sympy, "factor", noted)
    d, h, r = (symbols(f"{letter}0:12", real=True) for letter in "dhr")
    total = Add(*[a * (1 - b**2) * c for a, b, c in zip(d, h, r, strict=True)])
    found = factored(sympy.expand(r[0] * (r[1] + 2) * total))
    assert {r[0], r[1] + 2} < set(found.args)
    assert sympy.expand(found - r[0] * (r[1] + 2) * total) == 0
    assert max(len(each.free_symbols) for each in searched) <= 4
