"""Small numbers for sizes: every index has values to take."""

from __future__ import annotations

import pytest
from sympy import Expr

import symbackprop as sb
from symbackprop.equations.small_sizes import small_sizes
from symbackprop.equations.system import Equation, EquationSystem, index, quantity, size, sum_over

P, U, Q = size("P"), size("U"), size("Q")
h, u = index("h"), index("u")


def convolution(outputs: Expr) -> EquationSystem:
    """Return y[h] = Σ_u x[h + u] w[u] with so many values of h."""
    x, w, y, error = quantity("x", P), quantity("w", U), quantity("y", outputs), quantity("E")
    equations = (
        Equation(y[h], sum_over(x[h + u] * w[u], (u, U))),
        Equation(error.symbol, sum_over(y[h], (h, outputs))),
    )
    return EquationSystem(equations, {q.name: q for q in (x, w, y, error)}, ("w",), ("x",))


@pytest.mark.parametrize("least", [1, 2, 5])
def test_a_size_grows_until_what_follows_from_it_has_room(least: int) -> None:
    found = small_sizes(convolution(P - U + 1), {P: 3, U: 6}, {}, least)
    assert found == {P: 5 + least, U: 6}


def test_sizes_that_are_large_enough_stay() -> None:
    start = {P: 6, U: 3}
    assert small_sizes(convolution(P - U + 1), start, {}) == start
    assert start == {P: 6, U: 3}


def test_where_nothing_can_grow_a_size_shrinks_and_known_ones_stay() -> None:
    assert small_sizes(convolution(P - U + 1), {U: 6}, {P: 4}) == {U: 4}


def test_what_follows_from_other_sizes_too_is_left_alone() -> None:
    assert small_sizes(convolution(P - U - Q + 1), {P: 3, U: 6}, {}) == {P: 3, U: 6}


def test_the_range_of_a_sum_counts() -> None:
    x, error = quantity("x", P), quantity("E")
    inner = Equation(error.symbol, sum_over(x[h + 2], (h, P - 2)))
    system = EquationSystem((inner,), {"x": x, "E": error}, (), ("x",))
    assert small_sizes(system, {P: 1}, {}) == {P: 3}


def test_a_network_without_sizes_gets_such_as_can_be_drawn() -> None:
    text = """
        input x[n, p]
        target t[n, h]
        parameter w[u], a[p]
        y[n, h] = sum(x[n, h + u]*w[u], u) + sum(x[n, p]*a[p], p)
        output y
        E = mean(sum((y[n, h] - t[n, h])**2, h), n)
    """
    network = sb.Network.from_equations(text)
    assert network.model.missing
    model = network.with_small_sizes().model
    assert not model.missing
    sizes = {n for q in model.system.quantities.values() for n in q.shape}
    assert min(map(model.sample_size, sizes)) >= 1
