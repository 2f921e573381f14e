"""Running sums: what is summed up to a place is accumulated, forwards and backwards, and no mask is made."""

from __future__ import annotations

import re

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.network.network import Network
from tests.net_text import evaluate

SIZES = {"n": 3, "t": 4, "m": 4, "k": 2}
SUMS = {
    "up to": "sum(where(m <= t, w[k]*x[n, m, k], 0), m)",
    "before": "sum(where(m < t, w[k]*x[n, m, k], 0), m)",
    "from": "sum(where(m >= t, w[k]*x[n, m, k], 0), m)",
    "after": "sum(where(t < m, w[k]*x[n, m, k], 0), m)",
    "with factors outside": "tanh(x[n, t, k])*sum(where(m <= t, w[k]*sin(x[n, m, k]), 0), m)",
    "with a factor at the place inside": "sum(where(m <= t, x[n, t, k]*sin(w[k]*x[n, m, k]), 0), m)",
    "over another index, too": "sum(where(m <= t, w[l]*x[n, m, l]*x[n, t, k], 0), m, l)",
}


def text_of(total: str) -> str:
    return f"""
input x[n, t, k]
target y[n, t, k]
parameter w[k]
c[n, t, k] = {total}
E = mean(sum((c[n, t, k] - y[n, t, k])**2, t, k), n)
output c
"""


@pytest.mark.parametrize("name", SUMS)
def test_running_sums_are_those_of_plain_loops(name: str) -> None:
    text = text_of(SUMS[name])
    module = sb.load(Network.from_equations(text, {"k": 2}))
    generator = np.random.default_rng(1)
    values = {
        n: generator.normal(size=shape) for n, shape in (("x", (3, 4, 2)), ("y", (3, 4, 2)), ("w", (2,)))
    }
    equations = [line for line in text.strip().split("\n") if " = " in line]

    def error(w: np.ndarray) -> float:
        return float(evaluate(equations, {**values, "w": w}, {**SIZES, "l": 2})["E"])

    parameters, x, t = {"w": values["w"]}, values["x"], values["y"]
    right = evaluate(equations, values, {**SIZES, "l": 2})
    np.testing.assert_allclose(module.forward(parameters, x), right["c"], rtol=1e-12)
    found, gradients = module.gradients(parameters, x, t)
    assert found == pytest.approx(float(right["E"]), rel=1e-12)
    slopes = [(error(values["w"] + step) - error(values["w"] - step)) / 2e-5 for step in 1e-5 * np.eye(2)]
    np.testing.assert_allclose(gradients["w"], slopes, rtol=1e-6)
    trainer = module.Trainer(parameters, learning_rate=0.1)
    trainer.step(x, t)
    np.testing.assert_allclose(trainer.parameters["w"], values["w"] - 0.1 * gradients["w"], rtol=1e-10)


@pytest.mark.parametrize("name", SUMS)
def test_no_mask_is_made(name: str) -> None:
    text = sb.generate(Network.from_equations(text_of(SUMS[name]), {"k": 2}), bare=True)
    assert len(re.findall(r"np\.cumsum\(", text)) >= 3
    assert "arange" not in text
    assert "mask" not in text


def test_what_depends_on_both_places_is_no_running_sum() -> None:
    text = text_of("sum(where(m <= t, exp(w[k]*x[n, m, k]*x[n, t, k]), 0), m)")
    assert "cumsum" not in sb.generate(Network.from_equations(text, {"k": 2}), bare=True)
