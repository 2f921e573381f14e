"""Networks with sums of exponentials: value and derivative are finite and right at scores of ±1000."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
from sympy import Eq, Expr, Mul, Piecewise, Symbol, log

import symbackprop as sb
from symbackprop.derivation.stable.powers import zero_where
from symbackprop.derivation.stable.sums import zero_first
from symbackprop.proof.prover import prove
from tests.high_precision import value_and_gradient

SCORES = {
    "equal": (1000.0, 1000.0, 1000.0),
    "near": (0.5, -1.0, 2.0),
    "far": (1000.0, 0.0, -1000.0),
    "single": (80.0, 88.75, -88.75),
    "low": (-1000.0, -1000.5, -999.0),
}
MASKS = ((1.0, 1.0, 1.0), (1.0, 0.0, 1.0), (0.0, 1.0, 0.0))
SIZES = {"n": 1, "k": 3, "j": 3}
HEAD = "input x[n, k]\nparameter b[k] = 0\nsize k = 3\nh[n, k] = x[n, k] + b[k]\n"
MASKED = HEAD.replace("x[n, k]\n", "x[n, k], m[n, k]\n", 1)
TARGET = HEAD.replace("\n", "\ntarget t[n, k]\n", 1)
TWO = MASKED + "g[n, k] = m[n, k] - 2*b[k]\np[n, k] = softmax(h[n, k], k)\nq[n, k] = softmax(g[n, k], k)\n"
P = "p[n, k] = softmax(h[n, k], k)\n"

PLAIN = {
    "quantity": "r[n] = log(sum(exp(h[n, k]), k))\nE = mean(r[n], n)",
    "squared": "r[n] = log(sum(exp(h[n, k]), k))\nE = mean((r[n] - 3)**2/2, n)",
    "total named": "z[n] = sum(exp(h[n, k]), k)\nr[n] = log(z[n])\nE = mean(r[n], n)",
    "all named": "e[n, k] = exp(h[n, k])\nz[n] = sum(e[n, k], k)\nE = mean(log(z[n]), n)",
    "mean": "r[n] = log(mean(exp(h[n, k]), k))\nE = mean(r[n], n)",
    "temperature": "r[n] = log(sum(exp(h[n, k]/0.5), k))/2\nE = mean(r[n], n)",
    "one more": "r[n] = log(1 + sum(exp(h[n, k]), k))\nE = mean(r[n], n)",
    "one more in E": "E = mean(log(1 + sum(exp(h[n, k]), k)), n)",
    "chain": "u[n] = log(sum(exp(h[n, k]), k))\nr[n] = log(sum(exp(h[n, k] + u[n]), k))\nE = mean(r[n], n)",
    "softmax by a total": "z[n] = sum(exp(h[n, k]), k)\np[n, k] = exp(h[n, k])/z[n]\n"
    "E = mean(sum(p[n, k]**2, k), n)",
    "softmax by log": "r[n] = log(sum(exp(h[n, k]), k))\np[n, k] = exp(h[n, k] - r[n])\n"
    "E = mean(sum(p[n, k]**2, k), n)",
    "entropy": P + "E = mean(-sum(p[n, k]*log(p[n, k]), k), n)",
    "entropy by hand": "p[n, k] = exp(h[n, k])/sum(exp(h[n, j]), j)\n"
    "E = -mean(sum(p[n, k]*log(p[n, k]), k), n)",
    "by hand, all named": "e[n, k] = exp(h[n, k])\np[n, k] = e[n, k]/sum(e[n, j], j)\n"
    "E = mean(sum(p[n, k]**2, k), n)",
    "divided by a sum and more": "e[n, k] = exp(h[n, k])\np[n, k] = e[n, k]/(sum(e[n, j], j) + 1e-8)\n"
    "E = mean(sum(p[n, k]**2, k), n)",
    "one against some": "a[n] = exp(h[n, 0])\nc[n] = sum(where(k > 0, exp(h[n, k]), 0), k)\n"
    "E = mean(-log(a[n]/(a[n] + c[n])), n)",
    "of two sums": "u[n] = log(sum(exp(h[n, k]), k))\nv[n] = log(sum(exp(-h[n, k]), k))\n"
    "E = mean(log(1 + exp(u[n] + v[n])), n)",
    "three by name": "E = mean(-log(exp(h[n, 0])/(exp(h[n, 0]) + exp(h[n, 1]) + exp(h[n, 2]))), n)",
    "label": P + "E = -mean(log(p[n, 1]), n)",
    "others against one": "E = mean(log(sum(where(k > 0, exp(h[n, k]), 0), k)) - h[n, 0], n)",
    "one of some": "g[n, k] = where(k != 1, h[n, k], -1e9)\nl[n, k] = log_softmax(g[n, k], k)\n"
    "E = mean(-l[n, 0], n)",
}
WITH_MASK = {
    "inside the sum": "r[n] = log(sum(where(m[n, k] > 0, exp(h[n, k]), 0), k))\nE = mean(r[n], n)",
    "inside exp": "r[n] = log(sum(exp(where(m[n, k] > 0, h[n, k], -1e9)), k))\nE = mean(r[n], n)",
    "added": "r[n] = log(sum(exp(h[n, k] + (1 - m[n, k])*(-1e9)), k))\nE = mean(r[n], n)",
    "added in a quantity": "g[n, k] = h[n, k] - 1e9*(1 - m[n, k])\nr[n] = log(sum(exp(g[n, k]), k))\n"
    "E = mean(r[n], n)",
    "some of all, named": "e[n, k] = exp(h[n, k])\n"
    "E = mean(-log(sum(m[n, k]*e[n, k], k)/sum(e[n, k], k)), n)",
    "some of all, by a choice": "e[n, k] = exp(h[n, k])\nc[n] = sum(e[n, k], k)\n"
    "a[n] = sum(where(m[n, k] > 0, e[n, k], 0), k)\nE = mean(log(c[n]) - log(a[n]), n)",
    "of probabilities": P + "E = mean(-log(sum(m[n, k]*p[n, k], k)), n)",
    "multiplied": "r[n] = log(sum(m[n, k]*exp(h[n, k]), k))\nE = mean(r[n], n)",
    "mean of some": "E = mean(log(sum(m[n, k]*exp(h[n, k]), k)/sum(m[n, k], k)), n)",
    "some against the others": "a[n] = sum(m[n, k]*exp(h[n, k]), k)\n"
    "c[n] = sum((1 - m[n, k])*exp(h[n, k]), k)\nE = mean(-log(a[n]/(a[n] + c[n])), n)",
    "the others against some": "a[n] = sum(m[n, k]*exp(h[n, k]), k)\n"
    "c[n] = sum((1 - m[n, k])*exp(h[n, k]), k)\nE = mean(log(1 + c[n]/a[n]), n)",
    "softmax": "w[n, k] = where(m[n, k] > 0, exp(h[n, k]), 0)\np[n, k] = w[n, k]/sum(w[n, j], j)\n"
    "E = mean(sum(p[n, k]*p[n, k], k), n)",
}
WITH_TARGET = {
    "cross entropy, all by hand": "c[n] = max(h[n, k], k)\ne[n, k] = exp(h[n, k] - c[n])\n"
    "z[n] = sum(e[n, k], k)\np[n, k] = e[n, k]/z[n]\nE = mean(-sum(t[n, k]*log(p[n, k]), k), n)",
    "cross entropy": P + "l[n, k] = log(p[n, k])\nE = mean(-sum(t[n, k]*l[n, k], k), n)",
    "focal": P + "E = mean(-sum(t[n, k]*(1 - p[n, k])**0.5*log(p[n, k]), k), n)",
    "focal, sigmoid": "p[n, k] = sigmoid(h[n, k])\n"
    "l[n, k] = t[n, k]*sqrt(1 - p[n, k])*log(p[n, k]) + (1 - t[n, k])*sqrt(p[n, k])*log(1 - p[n, k])\n"
    "E = mean(-sum(l[n, k], k), n)",
}
WEIGHTED = P + "E = mean(-sum((k + 1)*t[n, k]*log(p[n, k]), k)/sum((k + 1)*t[n, k], k), n)"
WITH_LABEL = {
    "focal": P + "c[n] = p[n, y[n]]\nE = mean(-(1 - c[n])**2*log(c[n]), n)",
    "focal, root": P + "c[n] = p[n, y[n]]\nE = mean(-sqrt(1 - c[n])*log(c[n]), n)",
    "unlikelihood": P + "E = mean(-log(1 - p[n, y[n]]), n)",
    "log odds": P + "c[n] = p[n, y[n]]\nE = mean(-log(c[n]/(1 - c[n])), n)",
    "entropy, too": P + "u[n] = sum(p[n, k]*log(p[n, k]), k)\nE = mean(u[n]/100 - log(p[n, y[n]]), n)",
}
LABELLED = HEAD.replace("\n", "\ninteger target y[n]\n", 1)
BY_A_CONDITION = (
    "p[n, k] = sigmoid(h[n, k])\nc[n, k] = where(t[n, k] > 0.5, p[n, k], 1 - p[n, k])\n"
    "E = mean(-sum((1 - c[n, k])**2*log(c[n, k]), k), n)"
)
BY_UNITS = {
    "a small number inside": "p[n, k] = sigmoid(h[n, k])\nl[n, k] = t[n, k]*log(p[n, k] + 1e-7) + "
    "(1 - t[n, k])*log(1 - p[n, k] + 1e-7)\nE = mean(-sum(l[n, k], k), n)",
    "a rate": "r[n, k] = softplus(h[n, k])\nE = mean(sum(r[n, k] - t[n, k]*log(r[n, k]), k), n)",
}
MIXTURE = (
    "input x[n, k], o[n, k]\nparameter b[k] = 0\nsize k = 3\nh[n, k] = x[n, k] + b[k]\n"
    "p[n, k] = softmax(h[n, k], k)\nf[n, k] = exp(-(o[n, k] - b[k])**2/2)/sqrt(2)\n"
    "E = mean(-log(sum(p[n, k]*f[n, k], k)), n)"
)
DIVERGENCES = {
    "of a quotient": TWO + "E = mean(sum(p[n, k]*log(p[n, k]/q[n, k]), k), n)",
    "of a difference": TWO + "d[n] = sum(p[n, k]*(log(p[n, k]) - log(q[n, k])), k)\nE = mean(d[n], n)",
}


def failures(text: str, rows: list[dict[str, Any]]) -> list[str]:
    """Return where value or gradient is not right to all but eleven bits, in float32 and float64."""
    module = sb.load(sb.Network.from_equations(text + "\noutput h\n"))
    found = []
    for row, dtype in itertools.product(rows, (np.float32, np.float64)):
        data = {name: np.array([numbers], int if name == "y" else dtype) for name, numbers in row.items()}
        value, gradient = value_and_gradient(text, {**data, "b": np.zeros(3)}, "b", SIZES)
        target = data.pop("t", data.pop("y", None))
        x: Any = data if len(data) > 1 else data["x"]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            own, gradients = module.gradients({"b": np.zeros(3, dtype)}, x, target)
        tolerance = 2048 * np.finfo(dtype).eps
        pairs = ((own, value), (gradients["b"], gradient))
        if not all(np.allclose(mine, truth, rtol=tolerance, atol=tolerance) for mine, truth in pairs):
            found.append(f"{dtype.__name__}, {row}: {own}, {gradients['b']}, not {value}, {gradient}")
    return found


@pytest.mark.parametrize("name", PLAIN)
def test_a_sum_of_exponentials_is_right(name: str) -> None:
    assert failures(HEAD + PLAIN[name], [{"x": x} for x in SCORES.values()]) == []


@pytest.mark.parametrize("name", WITH_MASK)
def test_a_masked_sum_of_exponentials_is_right(name: str) -> None:
    rows = [{"x": x, "m": m} for x, m in itertools.product(SCORES.values(), MASKS)]
    assert failures(MASKED + WITH_MASK[name], rows) == []


@pytest.mark.parametrize("name", WITH_LABEL)
def test_an_error_of_a_label_is_right(name: str) -> None:
    rows = [{"x": x, "y": label} for x, label in itertools.product(SCORES.values(), (0, 2))]
    assert failures(LABELLED + WITH_LABEL[name], rows) == []


def test_derivatives_gathered_twice_keep_what_they_start_from() -> None:
    text = LABELLED + P + "E = mean(-log(1 - p[n, y[n]]) - log(p[n, 1]), n)"
    assert failures(text, [{"x": SCORES["near"], "y": label} for label in range(3)]) == []


@pytest.mark.parametrize("name", BY_UNITS)
def test_an_error_of_units_is_right(name: str) -> None:
    rows = [{"x": x, "t": (1.0, 0.0, 0.0)} for x in SCORES.values()]
    assert failures(TARGET + BY_UNITS[name], rows) == []


@pytest.mark.parametrize("equations", [BY_A_CONDITION, WEIGHTED])
def test_an_error_by_a_condition_and_one_with_weights_are_right(equations: str) -> None:
    rows = [{"x": x, "t": (1.0, 0.0, 0.0)} for x in SCORES.values()]
    assert failures(TARGET + equations, rows) == []


@pytest.mark.slow
def test_a_mixture_of_far_components_is_right() -> None:
    rows = [
        {"x": x, "o": o} for x, o in itertools.product(SCORES.values(), ((0.5, 1.0, 2.0), (40.0, 40.5, 42.0)))
    ]
    assert failures(MIXTURE, rows) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_TARGET)
def test_an_error_by_hand_is_right(name: str) -> None:
    rows = [{"x": x, "t": t} for x, t in itertools.product(SCORES.values(), np.eye(3)[:2].tolist())]
    assert failures(TARGET + WITH_TARGET[name], rows) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_divergence_of_two_softmaxes_is_right(name: str) -> None:
    rows = [
        {"x": x, "m": m} for x, m in itertools.product(SCORES.values(), [SCORES["far"], (2.0, -80.0, 80.0)])
    ]
    assert failures(DIVERGENCES[name], rows) == []


def test_the_comparison_catches_a_product_of_exponentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "symbackprop.derivation.stable.sums.SumForms.best", lambda self, form, plain: form, raising=True
    )
    assert failures(HEAD + PLAIN["squared"], [{"x": SCORES["far"]}])


@pytest.mark.parametrize(
    "text", [HEAD + PLAIN["one more"], MASKED + WITH_MASK["softmax"], DIVERGENCES["of a quotient"]]
)
def test_stable_forms_with_sums_are_proved(text: str) -> None:
    derivation = sb.derive(sb.Network.from_equations(text + "\noutput h\n"))
    assert derivation.stable
    assert all(verdict.holds for verdict in prove(derivation))


POWER = "y[n, k] = u[n, k]**p[k]\nE = mean(sum(y[n, k], k), n)\noutput y\n"
IN_E = "E = mean(sum(u[n, k]**p[k], k), n)\noutput u\n"


@pytest.mark.parametrize("equations", [POWER, IN_E])
def test_the_derivatives_of_a_power_have_a_value_at_zero(equations: str) -> None:
    """As automatic differentiation has it; for p = 0 that for the base is 0."""
    head = "input x[n, k]\nparameter p[k], c[k] = 0\nsize k = 3\nu[n, k] = x[n, k] + c[k]\n"
    module = sb.load(sb.Network.from_equations(head + equations))
    parameters = {"p": np.array([0.0, 1.0, 2.0]), "c": np.zeros(3)}
    _, gradients = module.gradients(parameters, np.zeros((1, 3)))
    np.testing.assert_array_equal(gradients["p"], [0, 0, 0])
    np.testing.assert_array_equal(gradients["c"], [0, 1, 0])


def test_errors_of_tokens_that_a_mask_leaves_over_are_derived() -> None:
    """There a sum with a choice is written into another."""
    text = """
input x[n, q, k], m[n, q]
integer target y[n, q]
parameter b[k] = 0
size k = 3, q = 2
h[n, q, k] = x[n, q, k] + b[k]
l[n, q, k] = log_softmax(h[n, q, k], k)
c[n, q] = where(m[n, q] > 0, -l[n, q, y[n, q]], 0)
E = sum(c[n, q], n, q)/sum(m[n, q], n, q)
output h
"""
    assert sb.generate(sb.Network.from_equations(text))


def test_a_product_is_0_where_a_mask_of_the_data_is_and_not_where_a_weight_is() -> None:
    """With a condition on weights a sum of products would be an array of every pair of units."""
    network = sb.Network.from_equations(
        "input x[n, k], m[n, k]\nparameter w[k]\nsize k = 3\n"
        "y[n, k] = m[n, k]*exp(x[n, k])\nz[n, k] = w[k]*exp(x[n, k])\n"
        "E = mean(sum(y[n, k] + z[n, k], k), n)\noutput y"
    )
    system = sb.derive(network).system
    masked, weighted = (system.definitions[name].rhs for name in "yz")
    (mask,) = (f for f in masked.args if f.is_Indexed)
    assert zero_first(masked, system) == Piecewise((0, Eq(mask, 0)), (masked, True))
    assert zero_first(weighted, system) == weighted


def test_no_choice_decides_that_a_product_is_zero() -> None:
    """SymPy makes a condition of a choice that nothing prints or computes."""
    a, b = Symbol("a", real=True), Symbol("b", real=True)
    inner = a * log(b)

    def deciding(node: Expr) -> Expr | None:
        logs = [factor for factor in node.args if factor.has(log)] if isinstance(node, Mul) else []
        return logs[0] if logs else None

    found = zero_where((1 + inner) * b, deciding)
    assert found == Piecewise((0, Eq(1 + inner, 0)), (b * (1 + zero_where(inner, deciding)), True))
    choice = Piecewise((log(a), a > 0), (0, True))
    assert zero_where(choice * b, deciding) == choice * b


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [0.25, 0.7])
def test_a_focal_loss_of_classes_is_derived(gamma: float) -> None:
    """There a product that is 0 stands inside of another."""
    assert sb.generate(sb.Network("2-3:softmax", loss=f"focal(gamma={gamma})"))
