"""Figures that are independent of this project: PyTorch's gradients, and a published worked example."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from tests.conftest import REFERENCE

FOLDER = REFERENCE
NETWORKS = {entry["key"]: entry for entry in json.loads((FOLDER / "networks.json").read_text())["networks"]}
MAZUR = json.loads((FOLDER / "mazur.json").read_text())
KINDS = [(key, "") for key in NETWORKS] + [(key, "_l2_half") for key in NETWORKS if NETWORKS[key]["l2"]]
"""Key of the network, and which set of figures: those of the data term, or with (λ/2) Σ w²."""
WITH_KIND = pytest.mark.parametrize(
    ("key", "kind"), KINDS, ids=[NETWORKS[key]["architecture"] + kind for key, kind in KINDS]
)


@cache
def arrays(key: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / "networks.npz") as file:
        return {name.removeprefix(f"{key}."): file[name] for name in file.files if name.startswith(f"{key}.")}


@cache
def module_of(key: str, kind: str) -> Any:
    entry = NETWORKS[key]
    network = sb.Network(
        entry["architecture"],
        loss=entry["loss_name"],
        bias=entry["bias"],
        l2=entry["l2"] if kind else 0.0,
    )
    return sb.load(network)


def parameters_of(key: str) -> dict[str, np.ndarray]:
    return {name: arrays(key)[name] for name in NETWORKS[key]["parameters"]}


def assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float = 1e-11) -> None:
    assert np.shape(found) == np.shape(expected)
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def test_every_kind_of_figure_is_there() -> None:
    assert sorted(NETWORKS) == [f"n{number:02}" for number in range(1, 15)]
    assert {entry["loss_name"] for entry in NETWORKS.values()} == {
        "binary_cross_entropy",
        "cross_entropy",
        "squared_error",
        "huber",
        "log_cosh",
        "poisson_nll",
    }


@WITH_KIND
def test_parameters_are_those_of_the_reference(key: str, kind: str) -> None:
    expected = {name: value.shape for name, value in parameters_of(key).items()}
    assert expected == module_of(key, kind).PARAMETER_SHAPES


@WITH_KIND
def test_outputs(key: str, kind: str) -> None:
    outputs = module_of(key, kind).forward(parameters_of(key), arrays(key)["x"])
    assert_close(outputs, arrays(key)["outputs"])


@WITH_KIND
def test_error(key: str, kind: str) -> None:
    error = module_of(key, kind).loss(parameters_of(key), arrays(key)["x"], arrays(key)["t"])
    assert_close(error, NETWORKS[key][f"loss{kind}"])


@WITH_KIND
def test_gradients(key: str, kind: str) -> None:
    data = arrays(key)
    error, gradients = module_of(key, kind).gradients(parameters_of(key), data["x"], data["t"])
    assert_close(error, NETWORKS[key][f"loss{kind}"])
    assert list(gradients) == NETWORKS[key]["parameters"]
    for name, gradient in gradients.items():
        assert_close(gradient, data[f"grad{kind}.{name}"])


@WITH_KIND
def test_one_step_of_the_trainer(key: str, kind: str) -> None:
    data, rate = arrays(key), 0.3
    trainer = module_of(key, kind).Trainer(parameters_of(key), learning_rate=rate)
    error = trainer.step(data["x"], data["t"])
    assert_close(error, NETWORKS[key][f"loss{kind}"])
    for name, before in parameters_of(key).items():
        assert_close(trainer.parameters[name], before - rate * data[f"grad{kind}.{name}"])


def test_another_convention_of_the_regularisation_is_noticed() -> None:
    """λ Σ w² is a plausible slip for (λ/2) Σ w²; its figures must not pass."""
    data = arrays("n05")
    _, gradients = module_of("n05", "_l2_half").gradients(parameters_of("n05"), data["x"], data["t"])
    with pytest.raises(AssertionError):
        assert_close(gradients["w1"], data["grad_l2_full.w1"])


# ---------------------------------------------------------------- Mazur's step by step example


def mazur_parameters() -> dict[str, np.ndarray]:
    return {name: np.array(MAZUR[name]) for name in ("w1", "b1", "w2", "b2")}


def mazur_module() -> Any:
    return sb.load(sb.Network(MAZUR["architecture"], loss=MAZUR["loss_name"]))


@pytest.mark.parametrize(("figures", "tolerance"), [("published", 1e-8), ("computed", 1e-14)])
def test_published_step(figures: str, tolerance: float) -> None:
    """His biases stay fixed, so the weights alone are compared; all are updated at once."""
    expected, module, x, t = MAZUR[figures], mazur_module(), np.array(MAZUR["x"]), np.array(MAZUR["t"])
    np.testing.assert_allclose(
        module.forward(mazur_parameters(), x), expected["outputs"], rtol=0, atol=tolerance
    )
    trainer = module.Trainer(mazur_parameters(), learning_rate=MAZUR["learning_rate"])
    assert trainer.step(x, t) == pytest.approx(expected["E"], rel=0, abs=tolerance)
    for name in ("w1", "w2"):
        np.testing.assert_allclose(
            trainer.parameters[name], expected[f"{name}_after"], rtol=0, atol=tolerance
        )


def test_published_gradient_and_error_after_the_step() -> None:
    expected, module, x, t = MAZUR["computed"], mazur_module(), np.array(MAZUR["x"]), np.array(MAZUR["t"])
    before = mazur_parameters()
    _, gradients = module.gradients(before, x, t)
    after = dict(before)
    for name in ("w1", "w2"):
        np.testing.assert_allclose(gradients[name], expected[f"grad_{name}"], rtol=0, atol=1e-14)
        after[name] = before[name] - MAZUR["learning_rate"] * gradients[name]
    assert module.loss(after, x, t) == pytest.approx(expected["E_after"], rel=0, abs=1e-14)
