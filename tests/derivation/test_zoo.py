"""Every network of the zoo: its derived gradient, run by plain loops, against finite differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from sympy import Derivative, Expr, Heaviside, Integer, KroneckerDelta, Piecewise, Sum, exp, sqrt

from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import Equation, EquationSystem, index, name_of, quantity, size, sum_over
from tests.plain_loops import Array, evaluate, finite_differences, random_values, run
from tests.zoo import CONSTANTS, SIZES, ZOO, names_read, output_of, with_cotangent

TOLERANCE = 1e-7
NUMBERS = {**SIZES, **CONSTANTS}
LOSSES = ("own_loss", "free_cotangent")


def network(name: str, loss: str) -> EquationSystem:
    system = ZOO[name]()
    return system if loss == "own_loss" else with_cotangent(system, output_of(system))


def differentiable_leaves(system: EquationSystem) -> list[str]:
    """Return the leaves with a gradient to compare: real, and not bound to others by a fact."""
    constrained = {name_of(fact.component) for fact in system.facts}
    return [
        name
        for name, each in system.quantities.items()
        if not (each.integer or name in constrained or name in system.definitions)
    ]


@cache
def derived(name: str, loss: str) -> Derived:
    system = network(name, loss)
    return derive_system(system, wrt=differentiable_leaves(system))


@cache
def data(name: str, loss: str) -> dict[str, Array]:
    return random_values(network(name, loss), NUMBERS, np.random.default_rng(0))


@cache
def expected(name: str, loss: str, leaf: str) -> Array:
    return finite_differences(network(name, loss), leaf, data(name, loss), NUMBERS)


def result_steps(derivation: Derived) -> list[Step]:
    """Return the steps that results end in, in the order of the derivation."""
    numbers = set(derivation.results.values())
    return [step for step in derivation.steps if step.number in numbers]


def evaluated(step: Step, known: Mapping[str, Array]) -> Array:
    """Return the value of ``step``, whose left-hand side is an adjoint or a derivative of the loss."""
    component = step.lhs.variables[0] if isinstance(step.lhs, Derivative) else step.lhs
    return run([Equation(component, step.rhs)], known, NUMBERS)[name_of(component)]


def gradients(derivation: Derived, values: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Evaluate every result by plain loops.

    Returns the gradient for each quantity by its name, and all that steps may read: the values of the
    forward quantities and of the named adjoints.
    """
    known = run(derivation.system.equations, values, NUMBERS)
    found: dict[str, Array] = {}
    for step in result_steps(derivation):
        found[step.target] = evaluated(step, known)
        if not isinstance(step.lhs, Derivative):
            assert derivation.adjoints[name_of(step.lhs)] == step.target
            known[name_of(step.lhs)] = found[step.target]
    return found, known


def assert_right(derivation: Derived, name: str, loss: str) -> None:
    found, _ = gradients(derivation, data(name, loss))
    for leaf in differentiable_leaves(derivation.system):
        reference = expected(name, loss, leaf)
        step = derivation.by_number[derivation.results[leaf]]
        shown = f"step {step.number}: {step.lhs} = {step.rhs}"
        assert np.abs(reference).max() > 1e-2, f"the test of {leaf} would compare zero with zero"
        assert found[leaf].shape == reference.shape, shown
        error = np.abs(found[leaf] - reference).max() / max(1.0, np.abs(reference).max())
        assert error < TOLERANCE, f"{leaf} is wrong by {error:.1e}, {shown}"


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ZOO)
def test_gradients_agree_with_finite_differences(name: str, loss: str) -> None:
    assert_right(derived(name, loss), name, loss)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ZOO)
def test_results_read_forward_quantities_and_earlier_adjoints_alone(name: str, loss: str) -> None:
    derivation = derived(name, loss)
    known = set(derivation.system.quantities)
    for step in result_steps(derivation):
        assert names_read(derivation.system, step.rhs) <= known, f"{step.lhs} = {step.rhs}"
        if not isinstance(step.lhs, Derivative):
            known.add(name_of(step.lhs))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ZOO)
def test_every_other_form_of_a_result_has_its_value(name: str, loss: str) -> None:
    derivation = derived(name, loss)
    found, known = gradients(derivation, data(name, loss))
    whole = derivation.system.quantities[derivation.system.loss].symbol
    for step in derivation.steps:
        local = isinstance(step.lhs, Derivative) and step.lhs.expr != whole
        if not (local or step.rhs.has(Derivative)):
            assert_close(step, evaluated(step, known), found[step.target])
    for step in derivation.stable:
        assert_close(step, evaluated(step, known), known[step.target])


def assert_close(step: Step, actual: Array, wanted: Array) -> None:
    np.testing.assert_allclose(actual, wanted, rtol=1e-10, atol=1e-12, err_msg=f"{step.lhs} = {step.rhs}")


@pytest.mark.parametrize("name", ["dense_bias_l2_batch", "layer_norm", "embedding"])
def test_only_what_is_asked_for_is_derived(name: str) -> None:
    system = ZOO[name]()
    derivation = derive_system(system)
    assert set(system.parameters) <= set(derivation.results)
    assert not set(system.inputs) & set(derivation.results)


# ------------------------------------------------------------------------------------ the checker itself


def perturbed(derivation: Derived, leaf: str) -> Derived:
    """Return ``derivation`` with the result for ``leaf`` wrong by 0.1 %."""
    number = derivation.results[leaf]
    steps = (
        replace(step, rhs=step.rhs * (1 + Integer(1) / 1000)) if step.number == number else step
        for step in derivation.steps
    )
    return replace(derivation, steps=tuple(steps))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ZOO)
def test_a_result_that_is_wrong_by_a_thousandth_is_caught(name: str, loss: str) -> None:
    derivation = derived(name, loss)
    for leaf in differentiable_leaves(derivation.system):
        with pytest.raises(AssertionError, match="is wrong by"):
            assert_right(perturbed(derivation, leaf), name, loss)


i, j, n = index("i"), index("j"), size("n")
x, E = quantity("x", n), quantity("E")
VALUES = {"x": np.array([0.5, -1.5, 2.0])}
THREE = {n: 3}


def value(expression: Expr, at: int = 0) -> float:
    return evaluate(expression, {i: at}, VALUES, THREE)


def test_plain_loops_evaluate_sums_functions_and_powers() -> None:
    assert value(sum_over(x[j] * x[n - 1 - j], (j, n))) == pytest.approx(0.5 * 2 + 1.5**2 + 2 * 0.5)
    assert value(sum_over(x[i] * x[j], (i, n), (j, n))) == pytest.approx(1.0)
    assert value(Sum(x[j], (j, 0, i)), at=1) == pytest.approx(-1.0)
    assert value(exp(x[i]) / sqrt(x[2]) + Heaviside(x[1], 0) - Integer(1) / 3) == pytest.approx(
        np.exp(0.5) / np.sqrt(2) - 1 / 3
    )


def test_an_index_bound_inside_another_of_the_same_letter_hides_nothing() -> None:
    assert value(x[i] * sum_over(x[i], (i, n)), at=1) == pytest.approx(-1.5)


@pytest.mark.parametrize("at", [0, 2])
def test_a_read_outside_of_an_array_is_an_error_unless_a_guard_excludes_it(at: int) -> None:
    outside = x[i - 1] * x[i + 1]
    inside = Piecewise((1, (i > 0) & (i < n - 1)), (0, True))
    with pytest.raises(IndexError, match="outside of the array"):
        value(outside, at)
    assert value(inside * outside, at) == 0
    assert value(Piecewise((outside, (i > 0) & (i < n - 1)), (7, True)), at) == 7
    assert value(KroneckerDelta(i, 1) * outside, at) == 0
    assert value(KroneckerDelta(i, 1) * outside, at=1) == 1.0


def test_finite_differences_have_nine_digits() -> None:
    step = Equation(E.symbol, sum_over(exp(x[i]) * x[i] ** 3, (i, n)))
    system = EquationSystem((step,), {"x": x, "E": E}, ("x",))
    gradient = np.exp(VALUES["x"]) * (VALUES["x"] ** 3 + 3 * VALUES["x"] ** 2)
    assert np.abs(finite_differences(system, "x", VALUES, THREE) - gradient).max() < 1e-9
