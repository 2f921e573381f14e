"""Affine index expressions: between what they lie, and what is known of them where conditions hold."""

from __future__ import annotations

from itertools import product

import pytest
from sympy import And, Eq, Expr, Ge, Gt, Le, Lt, Ne, Not, Or, Symbol, sympify
from sympy.logic.boolalg import Boolean

from symbackprop.equations.affine import Affine, affine, bounds, not_negative, with_sizes_from
from symbackprop.equations.system import index, quantity, size

i, j = index("i"), index("j")
n, m = size("n"), size("m")
token = quantity("token", n, integer=True)
RANGES = {i: n, j: m}
NUMBERS = {n: 5, m: 4}


def values(expression: Expr) -> list[int]:
    """Return all values of an expression for i below 5 and j below 4."""
    places = product(range(NUMBERS[n]), range(NUMBERS[m]))
    return [int(expression.subs({i: a, j: b, **NUMBERS})) for a, b in places]


@pytest.mark.parametrize(
    "expression",
    [
        *(i + j, i - j, 2 * i - 3 * j + 1, n - 1 - i, sympify(3), 2 * j, -i, 2 * (i + j) - i),
        *(n * i - j, m * (i + 1) - n * j, (n - 1) * i - j, (1 - m) * i + (n - 1) * j + 2),
    ],
)
def test_bounds_are_reached_and_never_passed(expression: Expr) -> None:
    low, high = (int(bound.subs(NUMBERS)) for bound in bounds(expression, RANGES))
    assert (low, high) == (min(values(expression)), max(values(expression)))


def test_a_letter_that_may_rise_or_fall_stays_and_decides_nothing() -> None:
    low, high = bounds((n - m) * i + j, RANGES)
    assert low == (n * i - m * i)
    assert high == (n * i - m * i) + m - 1
    assert low.is_nonnegative is None


@pytest.mark.parametrize("expression", [i * j, i**2, i + token[j], j * token[i]])
def test_what_is_not_affine_bounds_itself(expression: Expr) -> None:
    assert affine(expression, (i, j)) is None
    assert bounds(expression, RANGES) == (expression, expression)


def test_slopes_follow_the_order_of_the_letters() -> None:
    found = affine(2 * (j - i) + n * j + m - 1 + i, (i, j))
    assert found == Affine({i: -1, j: n + 2}, m - 1)
    assert found is not None
    assert list(found.slopes) == [i, j]
    assert affine(i + j - i, (i, j)) == Affine({j: 1}, 0)


def test_sizes_from_a_number_on() -> None:
    assert with_sizes_from(4, n - 4).is_nonnegative
    assert with_sizes_from(4, n - m).is_nonnegative is None
    assert with_sizes_from(3, n - 4).is_nonnegative is None
    assert with_sizes_from(1, i - 1).is_nonnegative is None  # an index is no size: it may be 0
    assert with_sizes_from(1, token[i] - 1).is_nonnegative is None


@pytest.mark.parametrize(
    "condition",
    [
        *(Ge(i, 1), Gt(i, 1), Le(i, 3), Lt(i, 3), Gt(2 * i, 3), Lt(2 * i - 3 * j, 1), Eq(i, 2)),
        *(And(i >= 1, j < 2), Not(Or(i < 1, j > 2))),
    ],
    ids=str,
)
def test_what_is_not_negative_says_all_that_a_condition_does(condition: Boolean) -> None:
    for a, b in product(range(5), range(4)):
        places = {i: a, j: b}
        holds = all(each.subs(places) >= 0 for each in not_negative(condition))
        assert condition.subs(places) == holds


@pytest.mark.parametrize("condition", [Or(i < 1, j > 2), Not(And(i < 1, j > 2)), Ne(i, 1)], ids=str)
def test_of_either_of_two_conditions_nothing_is_known(condition: Boolean) -> None:
    assert not_negative(condition) == []


def test_nothing_is_known_of_numbers_that_are_no_integers() -> None:
    w = Symbol("w", real=True)
    assert not_negative(w < 0) == []
    assert not_negative(And(w > 0, i > 0)) == [i - 1]
