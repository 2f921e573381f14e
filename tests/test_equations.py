"""The check of equations on their way in: every kind of mistake is refused with a message that helps."""

from __future__ import annotations

import pytest
from sympy import Derivative, Dummy, Expr, IndexedBase, Integral, Product, Sum, Symbol, tanh

from symbackprop.equations import (
    Equation,
    EquationSystem,
    check_system,
    index,
    quantity,
    size,
    sum_over,
)
from symbackprop.errors import SpecificationError, UnsupportedExpression
from tests.zoo import ZOO, output_of, with_cotangent

i, j, k = index("i"), index("j"), index("k")
n, m = size("n"), size("m")
x, w, s, y, E = quantity("x", n), quantity("w", n, m), quantity("s", m), quantity("y", m), quantity("E")
token = quantity("token", m, integer=True)

PRE_ACTIVATION = Equation(s[i], sum_over(x[j] * w[j, i], (j, n)))
ACTIVATION = Equation(y[i], tanh(s[i]))
LOSS = Equation(E.symbol, sum_over(y[i] ** 2, (i, m)))


def network(*equations: Equation) -> EquationSystem:
    quantities = {each.name: each for each in (x, w, s, y, E, token)}
    return EquationSystem(equations, quantities, parameters=("w",), inputs=("x", "token"))


def with_pre_activation(rhs: Expr) -> EquationSystem:
    return network(Equation(s[i], rhs), ACTIVATION, LOSS)


def refuse(system: EquationSystem, *parts: str) -> None:
    """Assert that ``system`` is refused with a message that holds each of ``parts``."""
    with pytest.raises(SpecificationError) as caught:
        check_system(system)
    for part in parts:
        assert part in str(caught.value)


def test_well_formed_equations_pass() -> None:
    check_system(network(PRE_ACTIVATION, ACTIVATION, LOSS))


@pytest.mark.parametrize("name", ZOO)
def test_every_network_of_the_zoo_passes(name: str) -> None:
    system = ZOO[name]()
    check_system(system)
    check_system(with_cotangent(system, output_of(system)))


def test_an_index_that_is_data_passes() -> None:
    check_system(with_pre_activation(sum_over(x[token[i]] * w[j, i], (j, n))))


def test_the_same_letter_may_be_bound_by_two_sums_side_by_side() -> None:
    check_system(with_pre_activation(sum_over(w[j, i], (j, n)) * sum_over(x[j], (j, n))))


def test_an_affine_index_passes() -> None:
    check_system(with_pre_activation(sum_over(x[n - 1 - j] * w[j, i], (j, n))))


def test_a_quantity_that_is_read_before_it_is_defined() -> None:
    refuse(network(ACTIVATION, PRE_ACTIVATION, LOSS), "equation of y", "s is read before it is defined")


def test_a_quantity_that_is_defined_by_itself() -> None:
    refuse(with_pre_activation(s[i] + 1), "equation of s", "s is read before it is defined")


def test_a_scalar_that_is_read_before_it_is_defined() -> None:
    refuse(with_pre_activation(E.symbol * x[0]), "equation of s", "E is read before it is defined")


def test_a_quantity_that_is_defined_twice() -> None:
    refuse(network(PRE_ACTIVATION, PRE_ACTIVATION, ACTIVATION, LOSS), "equation of s", "s is defined twice")


def test_a_free_index() -> None:
    refuse(with_pre_activation(x[j] * w[j, i]), "equation of s", "the index j of x[j] is free")


def test_a_free_index_within_an_affine_one() -> None:
    refuse(with_pre_activation(sum_over(x[j + k] * w[j, i], (j, n))), "the index k of x[j + k] is free")


def test_a_free_index_within_an_index_that_is_data() -> None:
    refuse(with_pre_activation(x[token[k]]), "equation of s", "the index k of token[k] is free")


def test_an_index_that_stands_twice_on_the_left() -> None:
    square = quantity("s", m, m)
    refuse(network(Equation(square[i, i], x[0]), ACTIVATION, LOSS), "stands twice on the left")


def test_an_index_that_is_bound_on_the_left_and_by_a_sum() -> None:
    refuse(with_pre_activation(sum_over(x[0] * w[0, i], (i, m))), "equation of s", "index i is bound twice")


def test_an_index_that_is_bound_by_two_nested_sums() -> None:
    nested = sum_over(x[j] * sum_over(w[j, k], (j, n)), (j, n), (k, m))
    refuse(with_pre_activation(nested), "equation of s", "index j is bound twice")


def test_an_index_that_runs_over_another_size_than_its_axis() -> None:
    refuse(
        with_pre_activation(sum_over(x[j] * w[i, j], (j, n))),
        "equation of s",
        "index i runs over m",
        "axis 0 of w has size n",
    )


def test_a_summed_index_that_runs_over_another_size_than_its_axis() -> None:
    refuse(with_pre_activation(sum_over(x[j], (j, m))), "index j runs over m", "axis 0 of x has size n")


def test_sizes_that_are_equal_in_another_form_pass() -> None:
    check_system(with_pre_activation(sum_over(x[j], (j, n + m - m))))
    check_system(with_pre_activation(Sum(x[j], (j, 0, 2 * (n - 1) - (n - 1)))))


def test_a_sum_that_does_not_begin_at_zero() -> None:
    refuse(with_pre_activation(Sum(x[j], (j, 1, n))), "sum over j must begin at 0, not at 1")


def test_a_wrong_number_of_indices() -> None:
    shapeless = IndexedBase(Symbol("w", real=True))
    refuse(with_pre_activation(shapeless[i] * x[0]), "w has 2 axes", "w[i] gives 1")


def test_an_unknown_quantity() -> None:
    refuse(with_pre_activation(quantity("v", m)[i]), "equation of s", "v is not a quantity of the network")


def test_a_loss_that_is_missing() -> None:
    refuse(network(PRE_ACTIVATION, ACTIVATION), "the loss E is not defined")


def test_a_loss_that_is_no_scalar() -> None:
    system = network(PRE_ACTIVATION, ACTIVATION)
    per_unit = EquationSystem(system.equations, system.quantities, ("w",), loss="y")
    refuse(per_unit, "the loss y must be a scalar")


@pytest.mark.parametrize(
    ("kind", "rhs"),
    [
        ("Product", Product(x[j] * w[j, i], (j, 0, n - 1))),
        ("Integral", Integral(tanh(Symbol("z", real=True) * w[0, i]), (Symbol("z", real=True), 0, 1))),
        ("Derivative", Derivative(w[0, i] ** 2, w[0, i])),
        ("Dummy", x[0] * Dummy("z", real=True)),
    ],
)
def test_nodes_that_the_calculus_does_not_know(kind: str, rhs: Expr) -> None:
    with pytest.raises(UnsupportedExpression, match=rf"equation of s: .* does not know {kind} "):
        check_system(with_pre_activation(1 + rhs))


def test_an_unknown_node_within_a_sum_is_found() -> None:
    hidden = sum_over(x[j] * Product(w[j, k], (k, 0, m - 1)), (j, n))
    with pytest.raises(UnsupportedExpression, match="does not know Product"):
        check_system(with_pre_activation(hidden))
