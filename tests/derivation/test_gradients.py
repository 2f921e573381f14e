"""Derivatives as values: what a ``gradient`` stands for is how its quantity moves."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sympy import Symbol

import symbackprop as sb
from symbackprop.commands.comparison.module import check_module
from symbackprop.derivation.wanted import derive_model
from symbackprop.equations.model import SAMPLES_DRAWN
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import PartialDerivative, indices_of, name_of
from symbackprop.network.random_data import sample_data
from symbackprop.numbers.evaluation import Evaluation
from symbackprop.numbers.self_test import _arrays, _drawn_parameters
from tests.conftest import REFERENCE
from tests.derivation.gradient_texts import TEXTS
from tests.reference.derivatives import drawn

Array = Any
STEP, CLOSE = 1e-4, 1e-7
NAMES = sorted(TEXTS)


@cache
def derivation(name: str) -> Derived:
    """Return a derivation of one of the texts, which has passed its self-test."""
    return sb.derive(sb.Network.from_equations(TEXTS[name]))


class Numbers:
    """The forward equations of a derivation at a random point, and at others near it."""

    def __init__(self, derived: Derived) -> None:
        model = derived.model
        assert model is not None
        generator = np.random.default_rng(0)
        data = sample_data(model, generator)
        self.arrays = _arrays(model, *data, _drawn_parameters(model, generator))
        self.evaluation = Evaluation(derived, self.arrays, {SAMPLES.name: SAMPLES_DRAWN, **model.sizes})
        self.evaluation.run_forward()
        self.values = self.evaluation.values

    def varies(self, name: str) -> bool:
        return name in self.evaluation.varying

    def moved(self, name: str, shift: Array) -> Mapping[str, Array]:
        """Return the values where ``shift`` is added to one quantity; what is held stays."""
        arrays = {n: value + shift if n == name else value for n, value in self.arrays.items()}
        other = self.evaluation.with_leaves(arrays, self.evaluation.sizes)
        shifts = {} if name in arrays else {name: shift}
        other.run_forward(shifts=shifts, held=self.evaluation.held)
        return other.values

    def slope(self, of: str, to: str, place: tuple[int, ...]) -> Array:
        """Return how a quantity moves with another one at a place, in each sample, by differences."""
        shift = np.zeros(np.shape(self.values[to]))
        shift[(..., *place)] = STEP
        near, far = (
            np.subtract(*(self.moved(to, sign * length * shift)[of] for sign in (1, -1))) for length in (1, 2)
        )
        return (8 * near - far) / (12 * STEP)

    def worst(self, name: str, meaning: PartialDerivative) -> float:
        """Return the largest difference of a derivative from differences, relative to its size."""
        of, to = name_of(meaning.of), name_of(meaning.to)
        value = np.asarray(self.values[name])
        letters = indices_of(meaning.at)
        worst = 0.0
        for place in np.ndindex(np.shape(self.values[to])[self.varies(to) :]):
            at = _at(indices_of(meaning.to), place, {})
            if at is None:
                continue
            slope = self.slope(of, to, place)
            for own in np.ndindex(slope.shape[self.varies(of) :]):
                here = _at(indices_of(meaning.of), own, at)
                if here is not None:
                    expected = slope[(..., *own)]
                    found = value[(..., *(here[i] for i in letters))]
                    worst = max(worst, float(np.abs(expected - found).max()))
        return worst / max(1.0, float(np.abs(value).max()))


def _at(indices: tuple[Any, ...], place: tuple[int, ...], known: dict[Any, int]) -> dict[Any, int] | None:
    """Return the letters at a place together with those known, None where they contradict."""
    found = dict(known)
    for i, number in zip(indices, place, strict=True):
        if isinstance(i, Symbol) and found.setdefault(i, number) != number:
            return None
        if i.is_Integer and i != number:
            return None
    return found


@pytest.mark.parametrize("name", [n for n in NAMES if "gradient(" in TEXTS[n].replace("stop_gradient(", "")])
def test_every_derivative_moves_as_its_quantity(name: str) -> None:
    derived = derivation(name)
    numbers = Numbers(derived)
    derivatives = derived.system.derivatives
    wrong = {each: worst for each, m in derivatives.items() if not (worst := numbers.worst(each, m)) < CLOSE}
    assert derivatives
    assert not wrong


@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_proved(name: str) -> None:
    derived = derivation(name)
    verdicts = sb.prove(derived)
    assert {v.step.number for v in verdicts} >= {s.number for each in derived.inner for s in each.steps}
    assert all(v.holds for v in verdicts)


@pytest.mark.parametrize("name", NAMES)
def test_the_module_gives_the_numbers_of_the_derivation(name: str) -> None:
    sb.generate(derivation(name))  # which tries it


def test_a_wrong_step_to_a_derivative_is_found() -> None:
    derived = derivation("jacobian")
    inner = derived.inner[0]
    step = inner.by_number[inner.results["h"]]
    broken = derived.with_step(type(step)(step.number, step.target, step.rule, step.lhs, 2 * step.rhs))
    assert [v.step.number for v in sb.prove(broken) if not v.holds] == [step.number]


def test_a_wrong_derivative_is_found_by_the_differences() -> None:
    derived = derivation("jacobian")
    numbers = Numbers(derived)
    numbers.values["J"] = numbers.values["J"] + 1e-4
    assert numbers.worst("J", derived.system.derivatives["J"]) > CLOSE


# ------------------------------------------------------------------ figures from elsewhere


@pytest.mark.parametrize("name", ["heat", "penalty", "score", "forces", "maml"])
def test_gradients_are_those_of_pytorch(name: str) -> None:
    reference = json.loads((REFERENCE / "derivatives.json").read_text())[name]
    module = sb.load(sb.Network.from_equations(TEXTS[name]))
    arrays = drawn(name)
    parameters = {n: arrays[n] for n in module.PARAMETER_SHAPES}
    x, t = ({n: arrays[n] for n in names} for names in (module.INPUTS, module.TARGETS))
    x, t = (next(iter(each.values()), None) if len(each) < 2 else each for each in (x, t))
    E, gradients = module.gradients(parameters, x, t)
    assert pytest.approx(reference["E"], rel=1e-12) == E
    assert gradients.keys() == reference["gradients"].keys()
    for parameter, value in gradients.items():
        np.testing.assert_allclose(value, reference["gradients"][parameter], rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------ what is derived


def test_the_second_derivative_of_relu_is_0_at_a_kink_that_is_named() -> None:
    text = derivation("penalty").text()
    assert "∂(∂u/∂s23[i])/∂s23[i] is taken as 0 where s23[i] = 0" in text


def test_what_is_0_is_not_computed() -> None:
    source = sb.generate(derivation("penalty"))
    assert "ds23" not in source.replace("du_ds23", "")


def test_a_derivative_of_what_does_not_depend_is_said_to_be_0() -> None:
    derived = derivation("nothing")
    assert derived.equation("z").rhs == 0
    assert "z is ∂u/∂y: u does not depend on y." in derived.text()


def test_a_divergence_holds_no_jacobian() -> None:
    derived = derivation("divergence")
    shape = derived.system.quantities["df_dx"].shape
    assert [str(n) for n in shape] == ["K"]


def test_an_output_that_is_the_same_for_all_samples_has_a_row_for_each() -> None:
    module = sb.load(derivation("linear"))
    parameters = module.initialize(0)
    outputs = module.forward(parameters, np.ones((4, 2), np.float32))
    assert np.array_equal(outputs, [parameters["w"]] * 4)


def test_names_are_chosen_beside_those_of_the_text() -> None:
    text = TEXTS["jacobian"].replace("J[", "df_dh[").replace("parameter", "parameter df_dx,")
    text = text.replace("E = ", "E = df_dx*").replace("output", "output df_dh,")
    derived = sb.derive(sb.Network.from_equations(text))
    names = [e.name for e in derived.system.equations]
    assert len(names) == len(set(names))
    assert "df_dh_" in names


def test_one_root_is_derived_once() -> None:
    derived = derivation("heat")
    assert [str(each.root) for each in derived.inner] == ["u", "ux"]


def test_equal_input_gives_equal_text() -> None:
    network = sb.Network.from_equations(TEXTS["heat"])
    assert sb.derive(network).text() == derivation("heat").text()


def test_the_steps_are_linear_in_the_layers() -> None:
    def steps(layers: int) -> int:
        before = [f"x{n}[n, j{n}]*w{n}[j{n}, j{n + 1}], j{n}" for n in range(layers)]
        sums = [f"s{n + 1}[n, j{n + 1}] = sum({each})" for n, each in enumerate(before)]
        chain = [f"x{n + 1}[n, j{n + 1}] = tanh(s{n + 1}[n, j{n + 1}])" for n in range(layers)]
        lines = [
            "input x0[n, j0]",
            *(f"parameter w{n}[j{n}, j{n + 1}]" for n in range(layers)),
            *itertools.chain(*zip(sums, chain, strict=True)),
            f"u[n] = sum(x{layers}[n, j{layers}], j{layers})",
            "g[n] = gradient(u[n], x0[n, 0])",
            "h[n] = gradient(g[n], x0[n, 1])",
            "E = mean(h[n]**2, n)",
            "output u",
        ]
        model = sb.Network.from_equations("\n".join(lines)).model
        return len(derive_model(model, ("x0",)).by_number)

    few, more, most = map(steps, (2, 3, 4))
    assert most - more == more - few


@pytest.mark.parametrize("form", ["markdown", "latex", "html"])
def test_every_format_has_the_steps_to_the_derivatives(form: str) -> None:
    assert "Derivatives of ux" in derivation("heat").document(form)


CRITIC = """
input x[n, k]
parameter w[k, j], b[j], v[j]
size k = 3, j = 4
h[n, j] = tanh(sum(x[n, k]*w[k, j], k) + b[j])
u[n] = sum(h[n, j]*v[j], j)
g[n, k] = gradient(u[n], x[n, k])
E = mean((sum(g[n, k]**2, k) - 1)**2, n)
output u
"""


def test_drawing_and_matrices_write_a_derivative_as_what_it_is() -> None:
    derived = sb.derive(sb.Network.from_equations(CRITIC))
    latex = derived.latex()
    assert r"$\partial u/\partial h_{j}$" in latex
    assert r"\partial \left(\frac{\partial u}{\partial \mathbf{H}}\right)" in latex
    assert "∂u/∂</tspan>" in derived.html()
    for document in (latex, derived.text(), derived.markdown()):
        lines = document.splitlines()  # but for those of the module, in which it is so called
        text = "\n".join(
            line for line in lines if not re.search(r"d\w+(\\symbol\{95\}\w+)? (\+|-|\*|/)?= |\bnp\b", line)
        )
        assert not re.search(r"[dD]u\\?_d", text)


def test_korean_says_it_too() -> None:
    assert "ux의 도함수" in derivation("heat").text(language="ko")


# ------------------------------------------------------------------ what is held

HELD = [name for name in NAMES if name.startswith("held")]


@pytest.mark.parametrize("name", HELD)
def test_what_is_held_is_said_to_be(name: str) -> None:
    assert "is held fixed: no derivative goes through it" in derivation(name).text()


def test_a_parameter_behind_what_is_held_has_the_derivative_0() -> None:
    derived = derivation("held")
    assert derived.gradient("v") == 0
    module = sb.load(derived)
    x, t = np.ones((2, 3)), np.ones(2)
    _, gradients = module.gradients(module.initialize(0, np.float64), x, t)
    assert not gradients["v"].any()
    assert gradients["w"].any()


def test_what_is_held_is_no_value_to_fold_into_a_derivative() -> None:
    """The derivative of tanh may not be written through a copy of its value that is held."""
    derived = derivation("held_copy")
    for number in derived.results.values():
        assert not {"c"} & {s.name for s in derived.by_number[number].rhs.atoms(Symbol)}


def test_a_straight_through_estimator_has_the_slope_of_what_it_replaces() -> None:
    text = TEXTS["held_rounding"]
    changed = text.replace("s[n] + stop_gradient(round(s[n]) - s[n])", "s[n]")
    assert changed != text
    results = [sb.derive(sb.Network.from_equations(each)).gradient("w") for each in (text, changed)]
    assert results[0] == results[1]


def test_a_module_says_that_differences_do_not_hold_what_is_held(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "held.py"
    sb.generate(derivation("held_copy"), file)
    subprocess.run([sys.executable, "-B", str(file), "check"], check=True)
    assert "The derivatives hold c, which differences of E do not" in capfd.readouterr().out


def test_a_check_holds_what_is_held() -> None:
    """Without that, differences of E would not be the derivatives."""
    derived = derivation("held")
    held = {name: replace(q, held=False) for name, q in derived.system.quantities.items()}
    free = replace(derived, system=replace(derived.system, quantities=held))
    rows = [check_module(sb.load(derived), each) for each in (derived, free)]
    assert all(row.holds for row in rows[0])
    assert [row.subject for row in rows[1] if not row.holds] == ["  differences of E"]
