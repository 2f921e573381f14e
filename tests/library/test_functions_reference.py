"""Every activation and loss against figures of PyTorch, and of arithmetic with 500 digits."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import symbackprop as sb
from tests.conftest import REFERENCE

Array = NDArray[np.float64]

FOLDER = REFERENCE
ACTIVATIONS = json.loads((FOLDER / "activations.json").read_text())
LOSSES = json.loads((FOLDER / "losses.json").read_text())
POINTS = np.array(ACTIVATIONS["s"])

CALLS = {
    "leaky_relu_0.2": "leaky_relu(negative_slope=0.2)",
    "elu_0.5": "elu(alpha=0.5)",
    "celu_2": "celu(alpha=2)",
    "softplus_2": "softplus(beta=2)",
}
"""Name of a case -> the call that gives its parameters; all others have the defaults."""


@cache
def one_unit(activation: str) -> Any:
    """Return the module of a single unit, with its output as the error: its derivative is the slope."""
    return sb.load(sb.Network(f"1-1:({activation})", loss="x"))


def value_and_slope(activation: str, points: Array, dtype: Any = np.float64) -> tuple[Array, Array]:
    module = one_unit(activation)
    parameters = {"w1": np.ones((1, 1), dtype), "b1": np.zeros(1, dtype)}
    x, t = points[:, None].astype(dtype), np.zeros((1, 1))
    slopes = [module.gradients(parameters, row[None], t)[1]["b1"][0] for row in x]
    return module.forward(parameters, x)[:, 0], np.array(slopes)


def numbers(values: Any) -> Array:
    return np.array([float(v) for v in np.ravel(np.array(values, object))])


def assert_close(found: Array, expected: Any, tolerance: float = 1e-12) -> None:
    expected = numbers(expected)
    infinite = np.isinf(expected)
    np.testing.assert_array_equal(np.ravel(found)[infinite], expected[infinite])
    difference = np.abs(np.ravel(found)[~infinite] - expected[~infinite])
    assert np.all(difference <= tolerance * np.maximum(1, np.abs(expected[~infinite]))), difference


def test_every_case_is_there() -> None:
    assert len(ACTIVATIONS["activations"]) == 30
    assert sum(len(entry["cases"]) for entry in LOSSES["losses"]) == 39


@pytest.mark.parametrize("name", ACTIVATIONS["activations"])
def test_activation(name: str) -> None:
    case = ACTIVATIONS["activations"][name]
    value, slope = value_and_slope(CALLS.get(name, name), POINTS)
    exact = case["exact"] or case["torch"]
    assert_close(value, exact["value"])
    assert_close(slope, exact["derivative"])


@pytest.mark.parametrize("name", ACTIVATIONS["activations"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_activation_at_kinks_and_extremes(name: str, dtype: Any) -> None:
    case = ACTIVATIONS["activations"][name]
    tolerance = 1e-6 if dtype is np.float32 else 5e-9  # PyTorch's slope of hardsigmoid is 1/6 in float32
    call = CALLS.get(name, name)
    kinks = np.array([*case["at_kinks"]["s"], 0.0])
    value, slope = value_and_slope(call, kinks, dtype)
    assert_close(value, [*case["at_kinks"]["value"], case["at_zero"]["value"]], tolerance)
    assert_close(slope, [*case["at_kinks"]["derivative"], case["at_zero"]["derivative"]], tolerance)
    value, slope = value_and_slope(call, np.array(case["extremes"]["s"]), dtype)
    exact = case["extremes"]["exact"] or case["extremes"]["torch"]
    assert_close(value, exact["value"], tolerance)
    assert_close(slope, exact["derivative"], tolerance)


# ---------------------------------------------------------------- losses

LOGITS = {
    "binary_cross_entropy/logits": ("sigmoid", "binary_cross_entropy"),
    "cross_entropy/logits": ("softmax", "cross_entropy"),
    "kl_divergence/logits": ("softmax", "kl_divergence"),
    "focal": ("sigmoid", "focal"),
}
OUTPUTS = {
    "huber/delta=0.5": "huber(delta=0.5)",
    "smooth_l1/beta=0.5": "smooth_l1(beta=0.5)",
    "poisson_nll/log": "poisson_nll_log",
    "poisson_nll/rate": "poisson_nll",
}
CASES = [
    pytest.param(entry["name"], case, id=f"{entry['name']}-{case['label']}".replace(" ", "_"))
    for entry in LOSSES["losses"]
    for case in entry["cases"]
]


@cache
def module_of(activation: str, loss: str, facts: bool = True) -> Any:
    return sb.load(sb.Network(f"3-3:{activation}", loss=loss, facts=facts))


def error_and_gradient(module: Any, x: Array, t: Array, dtype: Any) -> tuple[float, Array]:
    """Return E of a batch and its derivative for each number of it, divided by the number of samples."""
    parameters = {"w1": np.eye(3, dtype=dtype), "b1": np.zeros(3, dtype)}
    error = module.loss(parameters, x, t)
    pairs = zip(x, t, strict=True)
    rows = [module.gradients(parameters, row[None], target[None])[1]["b1"] for row, target in pairs]
    return error, np.array(rows) / len(x)


@pytest.mark.parametrize(("name", "case"), CASES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_loss(name: str, case: dict[str, Any], dtype: Any) -> None:
    activation, loss = LOGITS.get(name, ("identity", OUTPUTS.get(name, name.split("/")[0])))
    x, t = (np.array(case[key], np.float64) for key in "xt")
    module = module_of(activation, loss, facts=bool(np.allclose(t.sum(axis=1), 1)))
    error, gradient = error_and_gradient(module, x, t, dtype)
    exact = case.get("exact") or case["torch"]
    scale = 1e-12 if dtype is np.float64 else 1e-4  # 1 - 0.999 has 4 digits in float32
    if dtype is np.float32:  # the exact figures are those of numbers that float32 rounds
        finite = np.isfinite(numbers(exact["value"]))
        assert np.isfinite(error) or not finite
    assert_close(np.array([error]), [exact["value"]], scale)
    assert_close(gradient, exact["gradient"], scale)


def test_targets_that_do_not_sum_to_one_need_the_form_without_the_fact() -> None:
    (case,) = [
        case
        for entry in LOSSES["losses"]
        for case in entry["cases"]
        if entry["name"] == "cross_entropy/logits" and not np.allclose(np.sum(case["t"], axis=1), 1)
    ][:1]
    x, t = np.array(case["x"]), np.array(case["t"])
    _, wrong = error_and_gradient(module_of("softmax", "cross_entropy"), x, t, np.float64)
    assert np.abs(wrong - np.array(case["exact"]["gradient"])).max() > 0.01


@pytest.mark.parametrize("kink", LOSSES["kinks"], ids=lambda kink: kink["name"])
def test_loss_at_its_kink(kink: dict[str, Any]) -> None:
    module = sb.load(sb.Network("1-1:identity", loss=kink["name"]))
    parameters = {"w1": np.ones((1, 1)), "b1": np.zeros(1)}
    error, gradients = module.gradients(parameters, np.array([[kink["x"]]]), np.array([[kink["t"]]]))
    assert error == pytest.approx(kink["value"], abs=1e-15)
    assert gradients["b1"][0] == pytest.approx(kink["derivative"], abs=1e-15)
