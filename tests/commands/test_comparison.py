"""The check of generated code against the derivation: right modules pass, and every slip is noticed."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.comparison.cases import SINGLE, TOLERANCE, Comparison, Tally
from symbackprop.commands.comparison.functions import gradient
from symbackprop.commands.comparison.module import check_module
from symbackprop.network.random_data import sample_data

Gradients = dict[str, np.ndarray[Any, Any]]
Change = Callable[[Gradients, Gradients], None]
"""Changes derivatives in place; the second argument holds the parameters."""

RIGHT: dict[str, dict[str, Any]] = {
    "textbook": {"architecture": "2-3-1", "bias": False},
    "sigmoid": {"architecture": "3-4-2"},
    "one unit each": {"architecture": "1-1"},
    "tanh and softmax": {"architecture": "4-5-3", "hidden": "tanh", "output": "softmax"},
    "relu": {"architecture": "3-6-6-2", "hidden": "relu", "output": "identity"},
    "relu everywhere": {
        "architecture": "3-5-4-2",
        "hidden": "relu",
        "output": "relu",
        "loss": "squared_error",
    },
    "softmax hidden": {"architecture": "3-4-2", "hidden": "softmax"},
    "regularised": {"architecture": "3-4-2", "l2": 0.1, "l1": 0.05},
    "no bias, regularised": {"architecture": "3-3-3", "bias": False, "l2": 0.3, "output": "softmax"},
    "no facts": {"architecture": "3-4-3", "output": "softmax", "facts": False},
    "swish": {"architecture": "2-4-1", "hidden": "s*sigmoid(s)"},
    "leaky": {"architecture": "2-4-1", "hidden": "where(s > 0, s, 0.1*s)"},
    "clipped": {"architecture": "2-4-1", "hidden": "Max(-1, Min(1, s))", "output": "identity"},
    "jump": {"architecture": "2-4-1", "hidden": "where(s > 0.2, 2*s + 1, s)"},
    "huber": {
        "architecture": "2-4-2",
        "output": "identity",
        "loss": "where(Abs(x - t) < 1, (x - t)**2/2, Abs(x - t) - 0.5)",
    },
    "absolute": {"architecture": "2-4-2", "output": "identity", "loss": "Abs(x - t)"},
    "hinge": {"architecture": "2-4-2", "output": "identity", "loss": "Max(0, 1 - x*t)"},
    "large": {"architecture": "40-30-20", "hidden": "relu", "output": "softmax"},
    "deep": {"architecture": "-".join(["5"] * 9), "hidden": "tanh", "output": "identity"},
}


def network(name: str) -> sb.Network:
    return sb.Network(**RIGHT[name])


def failed(rows: list[Comparison]) -> set[str]:
    return {row.subject for row in rows if not row.holds}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_module_passes(name: str) -> None:
    module = sb.load(network(name))
    rows = check_module(module, sb.derive(network(name)))
    assert not failed(rows), rows
    subjects = [row.subject for row in rows]
    assert {"forward", "loss", "E", "initialize", "Trainer.step", "Trainer.fit", "save, load"} <= set(
        subjects
    )
    assert {f"∂E/∂{parameter}" for parameter in module.PARAMETER_SHAPES} <= set(subjects)
    assert all(row.tolerance <= (SINGLE if "float32" in row.subject else TOLERANCE) for row in rows)
    assert all(row.numbers >= 1 for row in rows if row.subject != "  far from 0"), rows


@pytest.mark.parametrize(
    "name",
    ["hinge", *(pytest.param(n, marks=pytest.mark.slow) for n in ("relu", "leaky", "clipped", "absolute"))],
)
def test_kinks_do_not_depend_on_luck(name: str) -> None:
    module = sb.load(network(name))
    for seed in range(12):
        assert not failed(check_module(module, sb.derive(network(name)), seed=seed)), seed


@pytest.mark.parametrize(("name", "numbers"), [("textbook", 9), ("large", 2)])
def test_each_component_of_a_small_network_is_probed_and_a_large_one_along_directions(
    name: str, numbers: int
) -> None:
    rows = {row.subject: row for row in check_module(sb.load(network(name)), sb.derive(network(name)))}
    assert rows["  differences of E"].numbers == numbers


# --------------------------------------------------------------------------------------- wrong modules


def with_gradients(module: types.ModuleType, change: Change) -> types.ModuleType:
    """Return a module whose derivatives are changed; its trainer goes by them."""
    wrong = types.ModuleType("wrong")
    wrong.__dict__.update(module.__dict__)

    def gradients(parameters: Gradients, x: Any, t: Any) -> tuple[float, Gradients]:
        error, found = module.gradients(parameters, x, t)
        change(found, parameters)
        return error, found

    wrong.gradients = gradients  # type: ignore[attr-defined]
    return wrong


def with_step(module: types.ModuleType, change: Change) -> types.ModuleType:
    """Return a module whose trainer changes the parameters by something else."""
    wrong = types.ModuleType("wrong")
    wrong.__dict__.update(module.__dict__)

    class Trainer(module.Trainer):  # type: ignore[name-defined, misc]
        def step(self, x: Any, t: Any, *more: Any) -> float:
            before = {name: value.copy() for name, value in self.parameters.items()}
            error: float = super().step(x, t, *more)
            moved = {name: value - before[name] for name, value in self.parameters.items()}
            change(moved, before)
            for name, value in self.parameters.items():
                value[...] = before[name] + moved[name]
            return error

    wrong.Trainer = Trainer  # type: ignore[attr-defined]
    return wrong


def scaled(name: str, factor: float) -> Change:
    def change(found: Gradients, parameters: Gradients) -> None:
        found[name] = found[name] * factor

    return change


def one_component(found: Gradients, parameters: Gradients) -> None:
    flat = found["w1"].reshape(-1)
    flat[int(np.abs(flat).argmax())] *= 1.001


def one_sign(found: Gradients, parameters: Gradients) -> None:
    flat = found["w1"].reshape(-1)
    flat[int(np.abs(flat).argmax())] *= -1


def transposed(found: Gradients, parameters: Gradients) -> None:
    found["w2"] = found["w2"].T.copy()


def without_l2(found: Gradients, parameters: Gradients) -> None:
    for name in ("w1", "w2"):
        found[name] = found[name] - 0.1 * parameters[name]


def summed(found: Gradients, parameters: Gradients) -> None:
    for name in found:
        found[name] = found[name] * 5  # the number of samples of the check


def not_a_number(found: Gradients, parameters: Gradients) -> None:
    found["b1"] = np.where(np.arange(len(found["b1"])) == 0, np.nan, found["b1"])


def infinite(found: Gradients, parameters: Gradients) -> None:
    found["b1"] = found["b1"] + np.inf


def of_another_shape(found: Gradients, parameters: Gradients) -> None:
    found["b1"] = found["b1"][:, None]


def zero(found: Gradients, parameters: Gradients) -> None:
    found["w1"] = np.zeros_like(found["w1"])


SQUARE = {"architecture": "3-4-4", "l2": 0.1, "hidden": "tanh"}
WRONG: dict[str, tuple[Change, set[str]]] = {
    "w1 by 0.1 %": (scaled("w1", 1.001), {"∂E/∂w1"}),
    "w2 by 0.1 %": (scaled("w2", 0.999), {"∂E/∂w2"}),
    "b1 by 0.1 %": (scaled("b1", 1.001), {"∂E/∂b1"}),
    "b2 by 0.1 %": (scaled("b2", 0.999), {"∂E/∂b2"}),
    "a sign": (scaled("b2", -1), {"∂E/∂b2"}),
    "one component by 0.1 %": (one_component, {"∂E/∂w1"}),
    "the sign of one component": (one_sign, {"∂E/∂w1"}),
    "transposed": (transposed, {"∂E/∂w2"}),
    "without l2": (without_l2, {"∂E/∂w1", "∂E/∂w2"}),
    "without 1/N": (summed, {"∂E/∂w1", "∂E/∂b1", "∂E/∂w2", "∂E/∂b2"}),
    "nan": (not_a_number, {"∂E/∂b1"}),
    "inf": (infinite, {"∂E/∂b1"}),
    "shape": (of_another_shape, {"∂E/∂b1"}),
    "zero": (zero, {"∂E/∂w1"}),
}


@pytest.mark.parametrize("slip", WRONG)
def test_a_wrong_derivative_is_noticed(slip: str) -> None:
    change, subjects = WRONG[slip]
    net = sb.Network(**SQUARE)  # type: ignore[arg-type]
    with np.errstate(invalid="ignore"):
        rows = check_module(with_gradients(sb.load(net), change), sb.derive(net))
    assert subjects <= failed(rows)
    # The trainer has its own code, which is right.
    assert failed(rows) <= subjects | {"  differences of E", "  far from 0", "  in float32"}


@pytest.mark.parametrize("slip", ["w1 by 0.1 %", "a sign", "transposed", "without l2"])
@pytest.mark.parametrize("architecture", ["30-20-20", "5-6-6"])
def test_a_wrong_derivative_is_noticed_in_networks_of_any_size(slip: str, architecture: str) -> None:
    change, subjects = WRONG[slip]
    net = sb.Network(architecture, hidden="relu", output="softmax", l2=0.1)
    assert subjects <= failed(check_module(with_gradients(sb.load(net), change), sb.derive(net)))


@pytest.mark.parametrize(
    "slip", ["w1 by 0.1 %", "b2 by 0.1 %", "a sign", "transposed", "zero", "nan", "without 1/N"]
)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_wrong_step_is_noticed(slip: str, optimizer: str) -> None:
    net = sb.Network(**SQUARE)  # type: ignore[arg-type]
    module = sb.load(net, optimizer=optimizer)
    assert not failed(check_module(module, sb.derive(net, optimizer=optimizer)))
    with np.errstate(invalid="ignore"):
        rows = check_module(with_step(module, WRONG[slip][0]), sb.derive(net, optimizer=optimizer))
    assert "Trainer.step" in failed(rows)
    assert not failed(rows) & {"forward", "loss", "E", "∂E/∂w1", "initialize"}


def test_a_step_without_regularisation_is_noticed() -> None:
    net, plain = sb.Network("3-4-2", l2=0.1), sb.Network("3-4-2")
    wrong = types.ModuleType("wrong")
    wrong.__dict__.update(sb.load(net).__dict__)
    wrong.Trainer = sb.load(plain).Trainer  # type: ignore[attr-defined]
    found = failed(check_module(wrong, sb.derive(net)))
    assert {"Trainer.step", "Trainer.fit", "  weights"} <= found
    assert not found & {"forward", "loss", "E", "∂E/∂w1", "initialize"}


def test_an_error_that_is_not_the_loss_is_noticed() -> None:
    net = network("sigmoid")
    module = sb.load(net)
    wrong = types.ModuleType("wrong")
    wrong.__dict__.update(module.__dict__)
    wrong.gradients = lambda p, x, t: (module.gradients(p, x, t)[0] * 1.001, module.gradients(p, x, t)[1])  # type: ignore[attr-defined]
    assert failed(check_module(wrong, sb.derive(net))) == {"E"}


@pytest.mark.parametrize("position", [0, -1])
def test_a_loss_that_is_not_a_number_beside_the_drawn_parameters_is_noticed(position: int) -> None:
    net = network("sigmoid")
    module = sb.load(net)
    wrong = types.ModuleType("wrong")
    wrong.__dict__.update(module.__dict__)
    start: list[float] = []

    def loss(parameters: Gradients, x: Any, t: Any) -> float:
        value = float(parameters["w1"].flat[position])
        start.append(value)
        return float(module.loss(parameters, x, t)) if value == start[0] else float("nan")

    wrong.loss = loss  # type: ignore[attr-defined]
    assert "loss" in failed(check_module(wrong, sb.derive(net)))


@pytest.mark.parametrize("difference", [float("nan"), float("inf"), TOLERANCE * 1.01])
def test_a_difference_beyond_the_tolerance_does_not_hold(difference: float) -> None:
    assert not Comparison("E", 1, difference, TOLERANCE).holds


def test_a_difference_within_the_tolerance_holds() -> None:
    assert Comparison("E", 1, TOLERANCE, TOLERANCE).holds


@pytest.mark.parametrize("name", ["sigmoid", "tanh and softmax", "relu", "large"])
def test_sample_data_is_what_the_loss_accepts(name: str) -> None:
    net = network(name)
    x, t = sample_data(net.model, np.random.default_rng(0))
    assert x.shape == (len(x), net.source.inputs)
    assert t.shape == (len(x), net.source.sizes[-1])
    trainer = sb.load(net).Trainer(seed=0)
    assert len(trainer.fit(x, t, 1)["loss"]) == 1


@pytest.mark.parametrize(("found", "holds"), [(1.6e-14, True), (4e-13, False), (1e-6, False)])
def test_a_derivative_that_is_0_but_for_rounding_is_compared_with_the_largest(
    found: float, holds: bool
) -> None:
    """That of a bias in front of a normalisation is a sum that cancels: its roundings are no mistake."""
    numbers = {"w": np.array([2.5]), "b": np.array([1.4e-14])}
    case: Any = types.SimpleNamespace(
        counts=[2],
        gradients=lambda rows: (0.0, {"w": numbers["w"], "b": np.array([-found])}),
        numbers=lambda rows: types.SimpleNamespace(gradients=numbers),
    )
    tally = Tally()
    gradient(case, tally, "b")
    assert (tally.difference <= TOLERANCE) == holds
