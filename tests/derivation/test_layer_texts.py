"""The layers of the reference figures, from text to trainer: its derivatives are those of PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from tests.derivation.test_layers import CASES, assert_close, figures
from tests.layer_texts import LAYER_TEXTS, LayerText, components, text_of
from tests.plain_loops import Array

QUICK = ["conv1d", "embedding", "swiglu", "quadratic_form", "attention_causal", "softmax"]
"""The layers that are tried in every run; the other ones take longer."""
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in LAYER_TEXTS]
TOLERANCE = 1e-11


def loaded(layer: LayerText, arrays: dict[str, Array], free: bool) -> Any:
    """Return the trainer of a layer with the sizes of the figures."""
    declared = components(f"{layer.given}, {layer.learned}, {layer.cotangent}")
    sizes = {
        letter: number
        for name, letters in declared.items()
        for letter, number in zip(letters, arrays[name].shape, strict=True)
    }
    if not free:
        del sizes["n"]
    return sb.load(sb.Network.from_equations(text_of(layer, free), sizes))


def arrays_of(name: str) -> dict[str, Array]:
    """Return the figures of a layer under the names of its text; the samples come first."""
    arrays = dict(figures(name))
    cotangent = arrays.pop("cotangent")
    return {**arrays, "C": np.moveaxis(cotangent, 0, 1) if name == "lstm_cell" else cotangent}


def expected(arrays: dict[str, Array]) -> dict[str, Array]:
    return {name.removeprefix("grad."): a for name, a in arrays.items() if name.startswith("grad.")}


def test_every_layer_of_the_figures_has_a_text() -> None:
    assert set(LAYER_TEXTS) == set(CASES)


@pytest.mark.parametrize("name", NAMES)
def test_every_derivative_is_that_of_pytorch(name: str) -> None:
    layer, arrays = LAYER_TEXTS[name], arrays_of(name)
    module = loaded(layer, arrays, free=True)
    x = {"unit": np.ones(2), "C": arrays["C"]}
    if "token" in arrays:
        x["token"] = arrays["token"]
    error, found = module.gradients({n: arrays[n] for n in module.PARAMETER_SHAPES}, x)
    assert error == pytest.approx(CASES[name]["loss"], rel=TOLERANCE)
    assert set(found) == set(expected(arrays))
    for quantity, gradient in expected(arrays).items():
        assert_close(found[quantity], gradient, TOLERANCE)


@pytest.mark.parametrize("name", [n for n in NAMES if LAYER_TEXTS[getattr(n, "values", [n])[0]].learned])
def test_parameters_learn_by_the_mean_over_the_samples(name: str) -> None:
    layer, arrays = LAYER_TEXTS[name], arrays_of(name)
    module = loaded(layer, arrays, free=False)
    x = {n: arrays[n] for n in components(f"{layer.given}, {layer.cotangent}")}
    samples = len(arrays["C"])
    error, found = module.gradients({n: arrays[n] for n in module.PARAMETER_SHAPES}, x)
    assert error * samples == pytest.approx(CASES[name]["loss"], rel=TOLERANCE)
    for quantity, derivative in found.items():
        assert_close(derivative * samples, expected(arrays)[quantity], TOLERANCE)
