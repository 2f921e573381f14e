"""What stands inside of a function and is read more than once is a quantity of its own."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from sympy import count_ops

import symbackprop as sb
from symbackprop.commands.comparison.module import check_module
from symbackprop.pipeline import prove


def recurrent(steps: int) -> str:
    """Return a recurrent cell with the sums inside of tanh, written out step by step."""
    lines = ["input " + ", ".join(f"x{t}[n, k]" for t in range(1, steps + 1)), "target y[n, i]"]
    lines.append("parameter a[k, i], r[j, i], b[i]")
    for t in range(1, steps + 1):
        before = f" + sum(h{t - 1}[n, j]*r[j, i], j)" if t > 1 else ""
        lines.append(f"h{t}[n, i] = tanh(sum(x{t}[n, k]*a[k, i], k){before} + b[i])")
    lines += [f"E = mean(sum((h{steps}[n, i] - y[n, i])**2, i)/2, n)", f"output h{steps}"]
    return "\n".join([*lines, "size k = 2, i = 3"])


def field(places: int) -> str:
    """Return a chain of log-sum-exps that share their transitions, as in a conditional random field."""
    lines = ["input x[n, k]", "target t[n, k]", "parameter a[l, k], w[d, k]"]
    lines.append("r1[n, k] = sum(x[n, d]*w[d, k], d)")
    lines += [f"r{p}[n, k] = log(sum(exp(r{p - 1}[n, l] + a[l, k]), l))" for p in range(2, places + 1)]
    lines += [f"E = mean(sum(t[n, k]*r{places}[n, k], k), n)", f"output r{places}", "size k = 3, d = 3"]
    return "\n".join(lines)


def written_in_lines(text: str) -> str:
    """Return a recurrent cell with its pre-activations as lines of their own."""
    lines = []
    for line in text.split("\n"):
        head, inside, tail = line.partition(" = tanh(")
        name = re.sub(r"(\d+)$", r"_in\1", head.split("[")[0])
        lines += [f"{name}[n, i] = {tail[:-1]}", f"{head} = tanh({name}[n, i])"] if inside else [line]
    return "\n".join(lines)


def names_of(text: str) -> list[str]:
    """Return the names of the quantities that the equations of a text define, in order."""
    return [e.name for e in sb.Network.from_equations(text).model.system.equations]


def whole(lines: str) -> str:
    """Return a small network around the equations of ``y``."""
    second = ", u[k, i]" * ("u[k" in lines)
    head = f"input x[n, k]\nparameter w[k, i]{second}\n"
    return f"{head}{lines}\nE = mean(sum(y[n, i]**2, i), n)\noutput y\nsize k = 3, i = 2"


def test_an_argument_that_holds_a_sum_is_named() -> None:
    assert names_of(recurrent(2)) == ["h_in1", "h1", "h_in2", "h2", "E"]
    assert names_of(whole("y[n, i] = 2*tanh(sum(x[n, k]*w[k, i], k))")) == ["y_in", "y", "E"]
    gate = "sigmoid(sum(x[n, k]*w[k, i], k))"  # twice the same thing has one name
    both = whole(f"y[n, i] = {gate}*sin(sum(x[n, k]*u[k, i], k)) + 1 - {gate}")
    assert names_of(both) == ["y_in", "y_in2", "y", "E"]


def test_names_of_parts_are_no_names_of_the_text() -> None:
    taken = whole("y_in[n, i] = sum(x[n, k]*u[k, i], k)\ny[n, i] = y_in[n, i]*exp(sum(x[n, k]*w[k, i], k))")
    assert names_of(taken) == ["y_in", "y_in2", "y", "E"]
    later = whole("y[n, i] = 2*exp(sum(x[n, k]*w[k, i], k))").replace(
        "E = ", "y_in[n, i] = y[n, i]**3\nE = mean(sum(y_in[n, i], i), n) + "
    )
    assert names_of(later)[0] == "y_in2"


@pytest.mark.parametrize(
    "line",
    [
        "y[n, i] = tanh(sum(x[n, k]*w[k, i], k))",  # is the whole right-hand side, and shares nothing
        "y[n, i] = log(1 + sum(x[n, k]**2*w[k, i]**2, k))*sum(x[n, k]*u[k, i], k)",
        "y[n, i] = log(sum(exp(x[n, k]*w[k, i]), k))",
        "y[n, i] = 2*where(i > 0, sum(x[n, k]*w[k, i - 1], k), 0)",
    ],
)
def test_what_derives_well_as_it_is_stays(line: str) -> None:
    assert names_of(whole(line)) == ["y", "E"]


def test_what_stands_inside_of_where_is_named_with_its_condition() -> None:
    """Outside of it, the reads that the condition guards would leave their arrays."""
    text = whole("y[n, i] = 2*where(i > 0, tanh(sum(x[n, k]*w[k, i - 1], k)), 0)")
    system = sb.Network.from_equations(text).model.system
    assert names_of(text) == ["y_in", "y", "E"]
    assert "Piecewise((Sum(w[k, i - 1]*x[k], (k, 0, K - 1)), i > 0), (0, True))" in str(
        system.definitions["y_in"].rhs
    )


def test_a_shared_exponent_in_a_log_sum_exp_is_named() -> None:
    assert names_of(field(3)) == ["r1", "r_in2", "r2", "r_in3", "r3", "E"]


def test_a_log_sum_exp_with_named_exponents_does_not_overflow() -> None:
    module: Any = sb.load(sb.Network.from_equations(field(3)))
    generator = np.random.default_rng(1)
    parameters = {"a": 900 * generator.normal(size=(3, 3)), "w": 900 * np.eye(3)}
    assert np.isfinite(module.loss(parameters, *generator.normal(size=(2, 4, 3))))


def test_parts_give_the_derivation_of_lines_of_their_own() -> None:
    inside, lines = recurrent(3), written_in_lines(recurrent(3))
    one, other = (sb.derive(sb.Network.from_equations(text)) for text in (inside, lines))
    assert [(str(s.lhs), str(s.rhs)) for s in one.steps] == [(str(s.lhs), str(s.rhs)) for s in other.steps]


@pytest.mark.parametrize("network", [recurrent, pytest.param(field, marks=pytest.mark.slow)])
def test_the_derivation_grows_with_the_steps_and_no_faster(network: Any) -> None:
    sizes = []
    for steps in (3, 6, 12):
        derivation = sb.derive(sb.Network.from_equations(network(steps)))
        sizes.append(sum(count_ops(step.rhs) for step in derivation.steps))
    assert sizes[2] - sizes[1] < 2.5 * (sizes[1] - sizes[0])


@pytest.mark.parametrize("text", [recurrent(3), field(3)])
def test_parts_are_proved_and_their_code_agrees_with_numbers(text: str) -> None:
    network = sb.Network.from_equations(text)
    derivation = sb.derive(network)
    assert all(verdict.holds for verdict in prove(derivation))
    assert all(each.holds for each in check_module(sb.load(derivation), derivation))
