"""Layers of the field, each derived from its forward equations alone, with a free cotangent.

The derived adjoints, run by plain loops, are compared with PyTorch's gradients (the reference figures) and
with finite differences; every step is proved, and the proof finds every step that is broken on purpose.
"""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any

import numpy as np
import pytest
from sympy import Derivative, Expr, Symbol, sympify

from symbackprop.derivation.calculus.signature import OUTCOMES
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import Equation, EquationSystem, name_of
from symbackprop.proof.prover import Prover
from tests.conftest import REFERENCE
from tests.layers import CONSTANTS, EPSILON, LAYERS, G
from tests.mutants import survivors
from tests.plain_loops import Array, finite_differences, random_values, run

FOLDER = REFERENCE
CASES = {entry["key"]: entry for entry in json.loads((FOLDER / "layers.json").read_text())["layers"]}
SIZES = {
    Symbol(letter, integer=True, positive=True): number
    for letter, number in {"B": 3, "F": 4, "G": 2, "J": 3, "K": 2, "S": 4, "T": 3}.items()
}
"""Sizes for the layers without reference figures: unequal where one layer has them both."""


def leaves(system: EquationSystem) -> list[str]:
    return [q for q, each in system.quantities.items() if q not in system.definitions and not each.integer]


@cache
def derived(name: str) -> Derived:
    system = LAYERS[name]()
    return derive_system(system, leaves(system))


@cache
def figures(name: str) -> dict[str, Array]:
    with np.load(FOLDER / "layers.npz") as file:
        return {
            each.removeprefix(f"{name}."): file[each] for each in file.files if each.startswith(f"{name}.")
        }


def numbers(name: str) -> dict[Symbol, Any]:
    """Return the sizes that the shapes of the reference figures have, and eps."""
    system, entry = LAYERS[name](), CASES.get(name)
    found: dict[Symbol, Any] = {EPSILON: CONSTANTS.get(name, 1e-2)}
    if entry is None:
        return {**SIZES, **found}
    if "heads" in entry["constants"]:
        found[G] = entry["constants"]["heads"]
    shapes = {**entry["shapes"], "C": list(figures(name)["cotangent"].shape)}
    for quantity, shape in shapes.items():
        for extent, number in zip(system.quantities[quantity].shape, shape, strict=True):
            known = extent.xreplace({symbol: sympify(each) for symbol, each in found.items()})
            for symbol in known.free_symbols:
                found[symbol] = _solved(known, symbol, number)
    return found


def _solved(extent: Expr, symbol: Symbol, number: int) -> int:
    """Return the size at which ``extent``, which is affine in it, is ``number``."""
    slope = extent.diff(symbol)
    return int((sympify(number) - extent.xreplace({symbol: sympify(0)})) / slope)


@cache
def data(name: str) -> dict[str, Array]:
    """Return the reference's arrays of a layer, or random ones, by the names of its leaves."""
    system = LAYERS[name]()
    if name not in CASES:
        values = random_values(system, numbers(name), np.random.default_rng(0))
        return (
            {**values, "r": np.round(1 / (1 + np.exp(-values["r"])))} if name == "masked_weights" else values
        )
    given = figures(name)
    return {
        q: given["cotangent" if q == "C" else q] for q in system.quantities if q not in system.definitions
    }


def result_steps(derivation: Derived) -> list[Step]:
    wanted = set(derivation.results.values())
    return [step for step in derivation.steps if step.number in wanted]


@cache
def gradients(name: str) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return all values of the forward equations, and the gradient for each leaf, by plain loops."""
    derivation = derived(name)
    values = run(derivation.system.equations, data(name), numbers(name))
    known, found = dict(values), {}
    for step in result_steps(derivation):
        component = step.lhs.variables[0] if isinstance(step.lhs, Derivative) else step.lhs
        found[step.target] = run([Equation(component, step.rhs)], known, numbers(name))[name_of(component)]
        if not isinstance(step.lhs, Derivative):
            known[name_of(step.lhs)] = found[step.target]
    return values, found


def assert_close(found: Array, expected: Array, tolerance: float) -> None:
    assert np.shape(found) == np.shape(expected)
    assert np.abs(expected).max() > 1e-3, "the test would compare zero with zero"
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def test_every_layer_of_the_reference_is_written_down() -> None:
    assert set(CASES) <= set(LAYERS)
    assert len(CASES) == 26


@pytest.mark.parametrize("name", CASES)
def test_the_forward_equations_are_the_layer(name: str) -> None:
    values, _ = gradients(name)
    assert float(values["E"]) == pytest.approx(CASES[name]["loss"], rel=1e-11)
    if "y" in values and name != "lstm_cell":
        np.testing.assert_allclose(values["y"], figures(name)["output"], rtol=0, atol=1e-11)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_those_of_pytorch(name: str) -> None:
    _, found = gradients(name)
    expected = {q.removeprefix("grad."): a for q, a in figures(name).items() if q.startswith("grad.")}
    assert expected
    for quantity, gradient in expected.items():
        assert_close(found[quantity], gradient, 1e-11)


STEPS = {"max_pool2d": 1e-5}
"""A step shorter than the usual one, where a kink might lie within it."""


@pytest.mark.parametrize(
    "name",
    [
        each if each in ("masked_weights", "srelu") else pytest.param(each, marks=pytest.mark.slow)
        for each in LAYERS
    ],
)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    _, found = gradients(name)
    system = LAYERS[name]()
    for leaf in leaves(system):
        step = STEPS.get(name, 5e-3)
        assert_close(found[leaf], finite_differences(system, leaf, data(name), numbers(name), step), 1e-8)


QUICK = ["layer_norm", "batch_norm_without_epsilon", "rms_norm", "attention_causal", "swiglu", "rbf"]
QUICK += ["log_softmax", "masked_weights", "weight_tying"]
"""The layers that are proved in every run; the other ones take longer."""
MANY_COMPONENTS = ["conv1d_stride2", "conv2d", "conv2d_same", "avg_pool2d", "max_pool2d", "rnn_tanh"]
MANY_COMPONENTS += ["lstm_cell", "self_attention", "multi_head_attention", "multi_head_attention_causal"]
MANY_COMPONENTS += ["transformer"]
"""The layers of whose steps not all mutants are tried."""


@pytest.mark.parametrize(
    "name", [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in LAYERS]
)
def test_every_step_is_proved(name: str) -> None:
    prover = Prover(derived(name))
    for step in derived(name).steps:
        verdict = prover.prove_step(step)
        assert verdict.holds, f"{step.lhs} = {step.rhs}: {verdict.counterexample}"


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_steps_that_are_broken_are_found(name: str) -> None:
    count, alive = survivors(derived(name), 3 if name in MANY_COMPONENTS else None)
    assert not alive, "\n".join(alive)
    assert count >= 2 * len(derived(name).steps)


@pytest.mark.parametrize("name", ["rms_norm", "attention_causal", "rbf"])
def test_some_steps_that_are_broken_are_found(name: str) -> None:
    count, alive = survivors(derived(name), 2)
    assert not alive, "\n".join(alive)
    assert count >= 2 * len(derived(name).steps) - 4


@pytest.mark.parametrize("name", ["batch_norm", "transformer"])
def test_derivation_is_fast(name: str) -> None:
    OUTCOMES.clear()
    system = LAYERS[name]()
    begin = time.process_time()
    derive_system(system, leaves(system))
    assert time.process_time() - begin < (15 if name == "transformer" else 5)
