"""The generated module: standalone, pure functions, a trainer, and equations under their numbers."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from sympy import Derivative

import symbackprop as sb
from symbackprop.commands.comparison.module import check_module
from symbackprop.network.network import network_from_description
from symbackprop.network.random_data import sample_data as checked_data
from tests.conftest import Array, Parameters, difference_from_numbers, random_parameters, sample_data

LONG_FORMULA = "(s*exp(-s**2)*tanh(s)/(1 + s**2) + where(s > 0, s, 0.1*s))"

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "textbook": {"architecture": "2-3-1", "bias": False},
    "sigmoid-bias": {"architecture": "3-4-2"},
    "one-unit-each": {"architecture": "1-1-1"},
    "softmax-alone": {"architecture": "4-3:softmax"},
    "softmax-no-facts": {"architecture": "4-3-3:softmax", "facts": False},
    "softmax-of-one": {"architecture": "2-1:softmax", "facts": False},
    "linear": {"architecture": "3-2:identity"},
    "linear-no-bias-l1": {"architecture": "3-2:identity", "bias": False, "l1": 0.03},
    "tanh-softmax-l2": {"architecture": "5-4:tanh-3:softmax", "l2": 0.01},
    "relu-identity-l1-l2": {"architecture": "3-6:relu-4:relu-2:identity", "l1": 0.01, "l2": 0.05},
    "sigmoid-squared-error": {"architecture": "2-5:relu-2", "loss": "squared_error"},
    "softmax-squared-error": {"architecture": "2-4:tanh-3:softmax", "loss": "squared_error"},
    "sigmoid-cross-entropy": {"architecture": "2-4-3", "loss": "cross_entropy"},
    "softmax-binary": {"architecture": "2-4-3:softmax", "loss": "binary_cross_entropy"},
    "hidden-softmax": {"architecture": "3-4:softmax-3:softmax-2", "l2": 0.1},
    "tanh-squared-error": {"architecture": "2-3:identity-2:tanh", "loss": "squared_error"},
    "depth-4-mixed": {"architecture": "3-4:relu-3:tanh-4-2:softmax", "bias": False},
    "depth-5-mixed": {"architecture": "2-3:tanh-1:identity-3:relu-4-2", "l1": 0.02},
    "depth-6": {"architecture": "3-3-3-3-3-3-2"},
    "formula": {"architecture": "2-4:(s*sigmoid(s))-2:identity"},
    "piecewise-formula": {"architecture": "2-4:(where(s > 0, s, 0.1*s))-2:identity"},
    "formula-loss": {"architecture": "2-3:(s*exp(-s**2))-2", "loss": "(x - t)**4"},
    "long-formula": {"architecture": f"64-32:{LONG_FORMULA}-10:softmax"},
    "adjoint-is-a-condition": {"architecture": "2-3:relu", "loss": "x"},
    "adjoint-is-the-target": {"architecture": "2-3:identity", "loss": "t*x"},
    "adjoint-is-a-number": {"architecture": "2-3:identity", "loss": "x"},
    "huber-formula": {
        "architecture": "2-3:tanh-2:identity",
        "loss": "where(abs(x - t) < 1, (x - t)**2/2, abs(x - t) - 1/2)",
    },
    "depth-20-l1-l2": {"architecture": "4" + 19 * "-4:tanh" + "-3:softmax", "l1": 1e-3, "l2": 1e-3},
}  # fmt: skip
EVERY = pytest.mark.parametrize("name", ARCHITECTURES)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
SOME = pytest.mark.parametrize(
    "name", ["sigmoid-bias", "tanh-softmax-l2", "relu-identity-l1-l2", "piecewise-formula", "depth-6"]
)


@cache
def network(name: str) -> sb.Network:
    return sb.Network(**ARCHITECTURES[name])


@cache
def derivation_of(name: str) -> sb.Derivation:
    return sb.derive(network(name))


@cache
def source_of(name: str) -> str:
    return sb.generate(derivation_of(name))


def executed(source: str) -> Any:
    namespace: dict[str, Any] = {"__name__": "a_generated_module"}
    exec(compile(source, "generated", "exec"), namespace)
    return type("Module", (), {k: staticmethod(v) if callable(v) else v for k, v in namespace.items()})


@cache
def module_of(name: str) -> Any:
    return sb.load(derivation_of(name))


def tolerance_of(dtype: Any, roundings: int) -> float:
    return roundings * float(np.finfo(dtype).eps)


# ---------------------------------------------------------------- the file


def imported(source: str) -> set[str]:
    """Return the top-level modules that a source imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


def assert_standalone(source: str) -> None:
    assert imported(source) <= {"numpy", *sys.stdlib_module_names}


@EVERY
def test_imports_numpy_and_the_standard_library_alone(name: str) -> None:
    assert_standalone(source_of(name))


@pytest.mark.parametrize(
    "line", ["import scipy.special", "from symbackprop import library", "from . import x"]
)
def test_another_import_is_noticed(line: str) -> None:
    with pytest.raises(AssertionError):
        assert_standalone(source_of("textbook") + f"\ndef late():\n    {line}\n")


IMPORT_CODE = """
import sys
for folder in sys.argv[1:]:
    sys.path[:1] = [folder]
    sys.modules.pop("network_module", None)
    import network_module as module
    assert module.__file__.startswith(folder)
    parameters = module.initialize(0)
    rows = [[0.5] * module.PARAMETER_SHAPES["w1"][0]]
    assert module.forward(parameters, rows).shape[0] == 1
assert not {"symbackprop", "sympy"} & set(sys.modules)
"""


def test_runs_from_a_file_without_the_package(tmp_path: Path) -> None:
    """Each file stands alone in its folder; one process imports them, as starting NumPy takes long."""
    folders = []
    for name in ARCHITECTURES:
        folder = tmp_path / name
        folder.mkdir()
        sb.generate(derivation_of(name), folder / "network_module.py")
        assert (folder / "network_module.py").read_text(encoding="utf-8") == source_of(name)
        folders.append(str(folder))
    command = [sys.executable, "-I", "-B", "-c", "import sys; sys.path.insert(0, '')\n" + IMPORT_CODE]
    subprocess.run([*command, *folders], cwd=tmp_path, check=True)


@EVERY
@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=["check", "format"])
def test_ruff_accepts_the_text_as_written(name: str, command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "generated.py").write_text(source_of(name), encoding="utf-8")
    found = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "generated.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr


HASH_CODE = """
import sys
import symbackprop as sb
for architecture in sys.argv[1:]:
    network = sb.Network(architecture, loss="squared_error", l1=0.1, l2=0.1)
    sys.stdout.buffer.write(sb.generate(network).encode())
"""


def test_equal_input_gives_equal_bytes() -> None:
    architectures = ["2-3-1", "3-4:softmax-3:tanh-2:softmax", f"4-3:{LONG_FORMULA}-2:identity"]
    outputs = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-B", "-c", HASH_CODE, *architectures]
        outputs.append(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) > 10_000


# ---------------------------------------------------------------- constants and initial parameters


@EVERY
def test_architecture_regenerates_the_module(name: str) -> None:
    assert isinstance(module_of(name).ARCHITECTURE, str)
    assert sb.generate(network_from_description(module_of(name).ARCHITECTURE)) == source_of(name)


@EVERY
def test_parameter_shapes(name: str) -> None:
    sizes, expected = network(name).source.sizes, []
    for layer in range(1, len(sizes)):
        expected.append((f"w{layer}", sizes[layer - 1 : layer + 1]))
        if ARCHITECTURES[name].get("bias", True):
            expected.append((f"b{layer}", sizes[layer : layer + 1]))
    assert list(module_of(name).PARAMETER_SHAPES.items()) == expected


@EVERY
def test_initial_parameters(name: str) -> None:
    module = module_of(name)
    first, again, other = module.initialize(7), module.initialize(7), module.initialize(8)
    assert list(first) == list(module.PARAMETER_SHAPES)
    for key, shape in module.PARAMETER_SHAPES.items():
        assert first[key].shape == shape
        assert first[key].dtype == np.float32
        np.testing.assert_array_equal(first[key], again[key])
        if key.startswith("b"):
            assert not first[key].any()
        else:
            assert np.all(first[key] != other[key])
    assert {value.dtype for value in module.initialize(0, np.float64).values()} == {np.dtype(np.float64)}


@pytest.mark.parametrize(
    ("architecture", "init", "variance"),
    [
        ("300-200:tanh-1", None, 2 / 500),
        ("300-200:relu-1", None, 2 / 300),
        ("300-200:relu-1", "xavier_normal", 2 / 500),
        ("300-200:relu-1", "he_uniform", 2 / 300),
    ],
)
def test_variance_of_the_initial_weights(architecture: str, init: str | None, variance: float) -> None:
    w1 = sb.load(sb.Network(architecture, init=init)).initialize(0, np.float64)["w1"]
    # Of 60 000 draws the variance has a relative standard deviation below 0.6 %.
    assert w1.var() == pytest.approx(variance, rel=0.03)
    assert abs(w1.mean()) < 5 * np.sqrt(variance / w1.size)


# ---------------------------------------------------------------- pure functions


@EVERY
@DTYPES
def test_functions_follow_the_dtype_and_change_nothing(
    name: str, dtype: Any, rng: np.random.Generator
) -> None:
    module = module_of(name)
    parameters = {k: v.astype(dtype) for k, v in random_parameters(module.PARAMETER_SHAPES, rng).items()}
    x, t = sample_data(network(name), rng)
    for array in (x, t, *parameters.values()):
        array.flags.writeable = False
    outputs = module.forward(parameters, x)
    assert outputs.dtype == dtype
    assert outputs.shape == t.shape
    error, gradients = module.gradients(parameters, x, t)
    assert type(error) is float
    assert type(module.loss(parameters, x, t)) is float
    assert error == pytest.approx(module.loss(parameters, x, t), rel=tolerance_of(dtype, 64))
    assert list(gradients) == list(parameters)
    for key, gradient in gradients.items():
        assert gradient.dtype == dtype
        assert gradient.shape == parameters[key].shape


def worst_difference(name: str, module: Any, rng: np.random.Generator) -> float:
    parameters = random_parameters(module.PARAMETER_SHAPES, rng)
    x, t = sample_data(network(name), rng)
    _, gradients = module.gradients(parameters, x, t)
    return difference_from_numbers(lambda p: module.loss(p, x, t), parameters, gradients, rng)


@EVERY
def test_gradients_are_those_of_the_loss(name: str, rng: np.random.Generator) -> None:
    assert worst_difference(name, module_of(name), rng) < 1e-7


@EVERY
def test_float32_gradients_are_near_those_in_float64(name: str, rng: np.random.Generator) -> None:
    module = module_of(name)
    exact = random_parameters(module.PARAMETER_SHAPES, rng)
    x, t = sample_data(network(name), rng)
    rough = {key: value.astype(np.float32) for key, value in exact.items()}
    _, expected = module.gradients(exact, x, t)
    _, found = module.gradients(rough, x, t)
    for key in exact:
        scale = max(1.0, float(np.abs(expected[key]).max()))
        np.testing.assert_allclose(found[key], expected[key], rtol=0, atol=1e-4 * scale)


class _Scaled:
    """A module whose gradients are 0.1 % too large."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.loss, self.PARAMETER_SHAPES = module.loss, module.PARAMETER_SHAPES

    def gradients(self, parameters: Parameters, x: Array, t: Array) -> tuple[float, Parameters]:
        error, found = self.module.gradients(parameters, x, t)
        return error, {key: 1.001 * value for key, value in found.items()}


@SOME
def test_gradients_off_by_a_thousandth_are_noticed(name: str, rng: np.random.Generator) -> None:
    assert worst_difference(name, _Scaled(module_of(name)), rng) > 1e-6


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("ds2 = x2 - t\n", "ds2 = t - x2\n"),
        ("x1 * (1 - x1)", "x1"),
        ("dw1 = x0.T @ ds1 / samples", "dw1 = x0.T @ ds1"),
    ],
)
def test_a_wrong_statement_is_noticed(right: str, wrong: str, rng: np.random.Generator) -> None:
    assert right in source_of("textbook")
    module = executed(source_of("textbook").replace(right, wrong))
    assert worst_difference("textbook", module, rng) > 1e-4


# ---------------------------------------------------------------- pre-activations of ±1000

ACTIVATION: dict[str, Callable[[list[Any]], list[Any]]] = {
    "sigmoid": lambda s: [1 / (1 + mpmath.exp(-v)) for v in s],
    "tanh": lambda s: [mpmath.tanh(v) for v in s],
    "relu": lambda s: [max(v, mpmath.mpf(0)) for v in s],
    "identity": lambda s: list(s),
    "softmax": lambda s: [mpmath.exp(v) / mpmath.fsum(map(mpmath.exp, s)) for v in s],
}
LOSS: dict[str, Callable[[Any, Any], Any]] = {
    "binary_cross_entropy": lambda x, t: -t * mpmath.log(x) - (1 - t) * mpmath.log(1 - x),
    "cross_entropy": lambda x, t: -t * mpmath.log(x),
    "squared_error": lambda x, t: (x - t) ** 2 / 2,
}
EXTREME = [(1000.0, -1000.0, 0.0), (-1000.0, 1000.0, 0.5), (1000.0, 1000.0, -1000.0)]
TARGETS = [(0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.25, 0.5, 0.25)]
PAIRS = [
    ("sigmoid", "binary_cross_entropy"),
    ("sigmoid", "cross_entropy"),
    ("sigmoid", "squared_error"),
    ("softmax", "cross_entropy"),
    ("softmax", "squared_error"),
    ("tanh", "squared_error"),
    ("relu", "squared_error"),
    ("identity", "squared_error"),
]


@cache
def exact_extremes(activation: str, loss: str) -> list[tuple[float, list[float]]]:
    """Return, for each of EXTREME with each of TARGETS, E and its derivatives for the pre-activations.

    Of 1 - exp(-1000) nothing is left with fewer than 435 digits.
    """
    found = []
    with mpmath.workdps(1000):
        for s in EXTREME:
            for t in TARGETS:

                def error(*values: Any, t: tuple[float, ...] = t) -> Any:
                    outputs = ACTIVATION[activation](list(values))
                    return mpmath.fsum(LOSS[loss](a, mpmath.mpf(b)) for a, b in zip(outputs, t, strict=True))

                step = mpmath.mpf(10) ** -300
                slopes = [
                    (error(*_moved(s, i, step)) - error(*_moved(s, i, -step))) / (2 * step)
                    if s[i] or activation != "relu"
                    else mpmath.mpf(0)
                    for i in range(len(s))
                ]
                found.append((float(error(*map(mpmath.mpf, s))), [float(v) for v in slopes]))
    return found


def _moved(s: tuple[float, ...], position: int, step: Any) -> list[Any]:
    return [mpmath.mpf(v) + (step if i == position else 0) for i, v in enumerate(s)]


@DTYPES
@pytest.mark.parametrize(("activation", "loss"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_extreme_pre_activations_of_the_output(activation: str, loss: str, dtype: Any) -> None:
    module = sb.load(sb.Network(f"3-3:{activation}", loss=loss))
    rate, tolerance = 0.125, tolerance_of(dtype, 16)
    cases = [(s, t) for s in EXTREME for t in TARGETS]
    for (s, t), (error, slopes) in zip(cases, exact_extremes(activation, loss), strict=True):
        parameters = {"w1": np.eye(3, dtype=dtype), "b1": np.zeros(3, dtype)}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found, gradients = module.gradients(parameters, [s], [t])
            trainer = module.Trainer(parameters, learning_rate=rate)
            before = trainer.step([s], [t])
            value = module.loss(parameters, [s], [t])
        for result in (found, before, value):
            assert result == pytest.approx(error, rel=tolerance, abs=tolerance)
        scale = max(1.0, *map(abs, slopes))
        np.testing.assert_allclose(gradients["b1"], slopes, rtol=0, atol=tolerance * scale)
        np.testing.assert_allclose(
            gradients["w1"], np.outer(s, slopes), rtol=0, atol=1000 * tolerance * scale
        )
        np.testing.assert_allclose(
            trainer.parameters["b1"], -rate * np.array(slopes), rtol=0, atol=tolerance * scale
        )


HIDDEN_LIMITS = {
    "sigmoid": ((0.0, 1.0), (0.0, 0.0)),
    "tanh": ((-1.0, 1.0), (0.0, 0.0)),
    "relu": ((0.0, 1000.0), (0.0, 1.0)),
    "identity": ((-1000.0, 1000.0), (1.0, 1.0)),
}
"""Activation -> its values and its derivatives at -1000 and 1000."""


@DTYPES
@pytest.mark.parametrize("activation", HIDDEN_LIMITS)
def test_extreme_pre_activations_of_a_hidden_layer(activation: str, dtype: Any) -> None:
    module = sb.load(sb.Network(f"1-2:{activation}-1:identity"))
    values, slopes = (np.array(limit) for limit in HIDDEN_LIMITS[activation])
    weight = np.array([[0.5], [-0.25]])
    parameters = {"w1": [[-1000.0, 1000.0]], "b1": [0.0, 0.0], "w2": weight, "b2": [0.5]}
    typed = {key: np.array(value, dtype) for key, value in parameters.items()}
    output = float(values @ weight[:, 0]) + 0.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, gradients = module.gradients(typed, [[1.0]], [[2.0]])
    assert found == pytest.approx((output - 2) ** 2 / 2, rel=tolerance_of(dtype, 16))
    expected = (output - 2) * weight[:, 0] * slopes
    np.testing.assert_allclose(gradients["b1"], expected, rtol=tolerance_of(dtype, 16))
    np.testing.assert_allclose(gradients["w2"][:, 0], (output - 2) * values, rtol=tolerance_of(dtype, 16))


@DTYPES
def test_extreme_pre_activations_of_a_hidden_softmax(dtype: Any) -> None:
    module = sb.load(sb.Network("1-2:softmax-1:identity"))
    parameters = {"w1": [[-1000.0, 1000.0]], "b1": [0.0, 0.0], "w2": [[3.0], [5.0]], "b2": [0.0]}
    typed = {key: np.array(value, dtype) for key, value in parameters.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        error, gradients = module.gradients(typed, [[1.0]], [[2.0]])
    assert error == pytest.approx(4.5)
    np.testing.assert_array_equal(gradients["w2"], [[0.0], [3.0]])
    np.testing.assert_array_equal(gradients["b1"], [0.0, 0.0])


# ---------------------------------------------------------------- the trainer


@EVERY
@DTYPES
def test_hundred_steps_equal_gradients_and_updates(name: str, dtype: Any, rng: np.random.Generator) -> None:
    """Step and gradients round differently, by a few units in the last place of the largest number.

    At this learning rate differences grow little, so that 100 steps may add up to some hundred units.
    """
    module, rate, size = module_of(name), 0.02, 8
    start = {k: v.astype(dtype) for k, v in random_parameters(module.PARAMETER_SHAPES, rng).items()}
    x, t = (array.astype(dtype) for array in sample_data(network(name), rng, samples=20))
    trainer = module.Trainer(start, learning_rate=rate, batch_size=size)
    expected = {key: value.copy() for key, value in start.items()}
    for step in range(100):
        rows = slice(step % 3 * size, step % 3 * size + size)  # the third batch has 4 rows
        error, gradients = module.gradients(expected, x[rows], t[rows])
        found = trainer.step(x[rows], t[rows])
        assert type(found) is float
        assert found == pytest.approx(error, rel=tolerance_of(dtype, 2000), abs=tolerance_of(dtype, 2000))
        expected = {key: (v - dtype(rate) * gradients[key]).astype(dtype) for key, v in expected.items()}
    assert list(trainer.parameters) == list(expected)
    for key, value in expected.items():
        assert trainer.parameters[key].dtype == dtype
        scale = max(1.0, float(np.abs(value).max()))
        np.testing.assert_allclose(
            trainer.parameters[key], value, rtol=0, atol=tolerance_of(dtype, 2000) * scale
        )


@SOME
def test_step_returns_the_error_before_the_update(name: str, rng: np.random.Generator) -> None:
    module = module_of(name)
    parameters = random_parameters(module.PARAMETER_SHAPES, rng)
    x, t = sample_data(network(name), rng)
    trainer = module.Trainer(parameters, learning_rate=0.01)
    before = module.loss(parameters, x, t)
    assert trainer.step(x, t) == pytest.approx(before, rel=1e-12)
    assert module.loss(trainer.parameters, x, t) < before


def test_short_batch_is_a_step_of_its_own_size(rng: np.random.Generator) -> None:
    """What a longer batch left in the buffers must not be read."""
    module = module_of("tanh-softmax-l2")
    parameters = random_parameters(module.PARAMETER_SHAPES, rng)
    x, t = sample_data(network("tanh-softmax-l2"), rng, samples=6)
    used, fresh = (module.Trainer(parameters, batch_size=6, learning_rate=0.1) for _ in range(2))
    used.step(1e3 * x, t)
    for key, value in parameters.items():
        used.parameters[key][...] = value
    assert used.step(x[:2], t[:2]) == fresh.step(x[:2], t[:2])
    for key in parameters:
        np.testing.assert_array_equal(used.parameters[key], fresh.parameters[key])


@pytest.mark.parametrize("rows", [0, 5])
def test_step_refuses_what_its_buffers_do_not_hold(rows: int) -> None:
    trainer = module_of("textbook").Trainer(batch_size=4, seed=0)
    before = {key: value.copy() for key, value in trainer.parameters.items()}
    with pytest.raises(ValueError, match="4"):
        trainer.step(np.zeros((rows, 2)), np.zeros((rows, 1)))
    for key, value in before.items():
        np.testing.assert_array_equal(trainer.parameters[key], value)


def test_trainer_copies_the_parameters(rng: np.random.Generator) -> None:
    module = module_of("textbook")
    parameters = random_parameters(module.PARAMETER_SHAPES, rng)
    kept = {key: value.copy() for key, value in parameters.items()}
    trainer = module.Trainer(parameters)
    trainer.step([[1.0, 2.0]], [[1.0]])
    for key, value in kept.items():
        np.testing.assert_array_equal(parameters[key], value)
        assert not np.shares_memory(parameters[key], trainer.parameters[key])
        assert np.any(trainer.parameters[key] != value)


def test_trainer_draws_its_own_parameters_from_the_seed() -> None:
    module = module_of("sigmoid-bias")
    for key, value in module.initialize(3).items():
        np.testing.assert_array_equal(module.Trainer(seed=3).parameters[key], value)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"w1": np.zeros((3, 2))}, "w1"), ({"w3": np.zeros(1)}, "w1, w2")],
    ids=["shape", "name"],
)
def test_trainer_refuses_other_parameters(change: dict[str, Array], message: str) -> None:
    module = module_of("textbook")
    with pytest.raises(ValueError, match=message):
        module.Trainer({**module.initialize(0), **change})


@pytest.mark.parametrize("option", [{"learning_rate": 0}, {"learning_rate": np.nan}, {"batch_size": 0}])
def test_trainer_refuses_wrong_options(option: dict[str, float]) -> None:
    (name,) = option
    with pytest.raises(ValueError, match=name):
        module_of("textbook").Trainer(**option)


# ---------------------------------------------------------------- fit


def classes(rng: np.random.Generator, samples: int = 23) -> tuple[Array, Array]:
    return sample_data(network("tanh-softmax-l2"), rng, samples)


def new_trainer(seed: int = 5, batch_size: int = 8) -> Any:
    module = module_of("tanh-softmax-l2")
    return module.Trainer(
        module.initialize(1, np.float64), learning_rate=0.1, batch_size=batch_size, seed=seed
    )


def test_fit_is_reproducible(rng: np.random.Generator) -> None:
    x, t = classes(rng)
    first, again, other = new_trainer(), new_trainer(), new_trainer(seed=6)
    history = first.fit(x, t, 3)
    assert history == again.fit(x, t, 3)
    assert history != other.fit(x, t, 3)
    for key, value in first.parameters.items():
        np.testing.assert_array_equal(value, again.parameters[key])


def test_fit_shuffles_every_epoch(rng: np.random.Generator) -> None:
    x, t = classes(rng)
    trainer = new_trainer()
    batches, step = [], trainer.step
    trainer.step = lambda rows, targets: batches.append(rows.copy()) or step(rows, targets)
    trainer.fit(x, t, 2)
    assert [len(rows) for rows in batches] == [8, 8, 7] * 2
    epochs = [np.concatenate(batches[:3]), np.concatenate(batches[3:])]
    assert not np.array_equal(epochs[0], epochs[1])
    for epoch in epochs:
        assert not np.array_equal(epoch, x)
        np.testing.assert_array_equal(np.sort(epoch, axis=0), np.sort(x, axis=0))


def test_history_holds_the_mean_of_the_errors_of_the_steps(rng: np.random.Generator) -> None:
    x, t = classes(rng)
    trainer = new_trainer()
    errors, step = [], trainer.step

    def recorded(rows: Array, targets: Array) -> float:
        before = module_of("tanh-softmax-l2").loss(trainer.parameters, rows, targets)
        errors.append(step(rows, targets))
        assert errors[-1] == pytest.approx(before, rel=1e-12)
        return errors[-1]

    trainer.step = recorded
    history = trainer.fit(x, t, epochs=4)
    assert list(history) == ["loss"]
    np.testing.assert_allclose(history["loss"], np.reshape(errors, (4, 3)).mean(axis=1), rtol=1e-12)
    assert all(type(value) is float for value in history["loss"])


def test_validation_loss_is_that_of_the_parameters_after_the_epoch(rng: np.random.Generator) -> None:
    (x, t), validation = classes(rng), classes(rng, samples=4)
    trainer, expected = new_trainer(), []

    def callback(epoch: int, history: dict[str, list[float]]) -> None:
        assert len(history["loss"]) == len(history["validation_loss"]) == epoch + 1
        expected.append(module_of("tanh-softmax-l2").loss(trainer.parameters, *validation))

    history = trainer.fit(x, t, 3, validation=validation, callback=callback)
    assert list(history) == ["loss", "validation_loss"]
    assert history["validation_loss"] == expected
    assert len(set(expected)) == 3


def test_callback_stops_the_run(rng: np.random.Generator) -> None:
    history = new_trainer().fit(*classes(rng), 10, callback=lambda epoch, _: epoch == 2)
    assert len(history["loss"]) == 3


def test_further_epochs_continue(rng: np.random.Generator) -> None:
    x, t = classes(rng)
    whole, parts = new_trainer(), new_trainer()
    expected = whole.fit(x, t, 5)["loss"]
    assert parts.fit(x, t, 2)["loss"] + parts.fit(x, t, 3)["loss"] == expected
    assert parts.fit(x, t, 0) == {"loss": []}


def test_fit_leaves_the_data_as_they_are(rng: np.random.Generator) -> None:
    x, t = classes(rng)
    x.flags.writeable = t.flags.writeable = False
    new_trainer().fit(x, t, 1, validation=(x, t))


@dataclass(frozen=True)
class Wrong:
    """Data that `fit` refuses, and what the message must hold."""

    network: str
    x: Any
    t: Any
    message: str


GOOD_X, GOOD_T = [[0.0, 1.0], [1.0, 0.0]], [[0.0], [1.0]]
CLASS_X, CLASS_T = np.zeros((3, 4)).tolist(), [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]
WRONG = {
    "x-columns": Wrong("textbook", [[0.0], [1.0]], GOOD_T, r"x .*\(samples, 2\).*\(2, 1\)"),
    "x-axes": Wrong("textbook", [0.0, 1.0], GOOD_T, r"x .*\(samples, 2\).*\(2,\)"),
    "t-columns": Wrong("textbook", GOOD_X, [[0.0, 1.0], [1.0, 0.0]], r"t .*\(samples, 1\).*\(2, 2\)"),
    "t-axes": Wrong("textbook", GOOD_X, [[[0.0]], [[1.0]]], r"t .*\(samples, 1\).*\(2, 1, 1\)"),
    "x-nan": Wrong("textbook", [[0.0, 1.0], [1.0, np.nan]], GOOD_T, "x: row 1, column 1 is nan"),
    "t-inf": Wrong("textbook", GOOD_X, [[-np.inf], [1.0]], "t: row 0, column 0 is -inf"),
    "x-text": Wrong("textbook", [["a", "b"], ["c", "d"]], GOOD_T, "x must hold numbers"),
    "t-objects": Wrong("textbook", GOOD_X, [[None], [1.0]], "t must hold numbers"),
    "t-too-large": Wrong("textbook", GOOD_X, [[0.0], [1.5]], r"t: row 1, column 0 is 1\.5.*\[0, 1\]"),
    "t-negative": Wrong("textbook", GOOD_X, [[-0.25], [1.0]], r"t: row 0, column 0 is -0\.25.*\[0, 1\]"),
    "rows": Wrong("textbook", GOOD_X, [[0.0]], "x has 2 rows and t has 1"),
    "no-rows": Wrong("textbook", np.zeros((0, 2)), np.zeros((0, 1)), "no rows"),
    "class-total": Wrong("softmax-alone", CLASS_X, [[1.0, 0, 0], [0, 0.5, 0], [0, 0, 1]], r"t: row 1 .*0\.5"),
    "class-zero": Wrong("softmax-alone", CLASS_X, [[1.0, 0, 0], [0, 1, 0], [0, 0, 0]], r"t: row 2 .*0\.0"),
    "class-range": Wrong(
        "softmax-alone", CLASS_X, [[2.0, -1, 0], [0, 1, 0], [0, 0, 1]], "t: row 0, column 0 is 2"
    ),
}  # fmt: skip
"""What is wrong with the data -> the data."""


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("as_validation", [False, True], ids=["training", "validation"])
def test_fit_refuses(case: Wrong, as_validation: bool) -> None:
    trainer = module_of(case.network).Trainer(seed=0)
    before = {key: value.copy() for key, value in trainer.parameters.items()}
    good = (GOOD_X, GOOD_T) if case.network == "textbook" else (CLASS_X, CLASS_T)
    data = (case.x, case.t)
    with pytest.raises(ValueError, match=case.message):
        trainer.fit(*(good if as_validation else data), 1, validation=data if as_validation else None)
    for key, value in before.items():
        np.testing.assert_array_equal(trainer.parameters[key], value)


@DTYPES
@pytest.mark.parametrize("classes_count", [3, 100])
def test_fit_accepts_targets_that_sum_to_one_but_for_rounding(
    dtype: Any, classes_count: int, rng: np.random.Generator
) -> None:
    module = sb.load(sb.Network(f"2-{classes_count}:softmax"))
    t = rng.uniform(size=(50, classes_count)).astype(dtype)
    trainer = module.Trainer(module.initialize(0, dtype))
    trainer.fit(rng.normal(size=(50, 2)), t / t.sum(axis=1, keepdims=True), 1)


def test_fit_accepts_any_targets_of_the_squared_error() -> None:
    module_of("linear").Trainer(seed=0).fit([[1, 2, 3]], [[-5, 100]], 1)


def test_fit_accepts_any_total_without_the_fact() -> None:
    history = module_of("softmax-no-facts").Trainer(seed=0).fit([[1, 2, 3, 4]], [[1, 0.5, 0.25]], 1)
    assert np.isfinite(history["loss"]).all()


# ---------------------------------------------------------------- learning


def test_exclusive_or_is_learned() -> None:
    module = sb.load(sb.Network("2-8-1"))
    trainer = module.Trainer(learning_rate=2.0, batch_size=4, seed=0)
    x, t = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0], [1], [1], [0]])
    history = trainer.fit(x, t, epochs=2000)
    assert history["loss"][0] > 0.5
    assert module.loss(trainer.parameters, x, t) < 0.1
    np.testing.assert_array_equal(module.forward(trainer.parameters, x) > 0.5, t)


def test_linear_regression_is_recovered(rng: np.random.Generator) -> None:
    module, weight, bias = module_of("linear"), rng.normal(size=(3, 2)), rng.normal(size=2)
    x = rng.normal(size=(100, 3))
    trainer = module.Trainer(module.initialize(0, np.float64), learning_rate=0.1, batch_size=20, seed=0)
    trainer.fit(x, x @ weight + bias, epochs=200)
    np.testing.assert_allclose(trainer.parameters["w1"], weight, atol=1e-6)
    np.testing.assert_allclose(trainer.parameters["b1"], bias, atol=1e-6)


# ---------------------------------------------------------------- equations and their numbers

_COMMENT = re.compile(r"\s*# (?:\((\d+)\) (.*)|    (.*))$")


@dataclass
class Comment:
    """An equation that stands above statements: its number, its text and its last line."""

    number: int
    text: str
    line: int


def comments_of(lines: list[str], first: int, last: int) -> list[Comment]:
    """Return the numbered comments of the lines from ``first`` to ``last``, counted from 1."""
    found: list[Comment] = []
    for line in range(first, last + 1):
        text = lines[line - 1]
        if text.lstrip().startswith("#"):
            match = _COMMENT.fullmatch(text)
            assert match, f"a comment without a number: {text}"
            if match[1]:
                found.append(Comment(int(match[1]), match[2], line))
            else:
                assert found[-1].line == line - 1, f"a continuation of nothing: {text}"
                found[-1] = Comment(found[-1].number, f"{found[-1].text} {match[3]}", line)
    return found


def equation_functions(source: str) -> Iterator[ast.FunctionDef]:
    """Yield the functions that carry out equations."""
    names = {"forward", "loss", "gradients", "_backpropagate", "_update"}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            yield node


def expected_numbers(derivation: sb.Derivation) -> dict[str, int]:
    """Return the number of the equation of each quantity, adjoint and derivative in the code."""
    batch = {("E" if s.target == "E" else f"d{s.target}"): s.number for s in derivation.batch}
    adjoints = {name: derivation.results[target] for name, target in derivation.adjoints.items()}
    computed = {number: step.number for number, step in derivation.stable_form_of.items()}
    adjoints = {name: computed.get(number, number) for name, number in adjoints.items()}
    values = {name: computed.get(number, number) for name, number in derivation.labels.items()}
    update = {{"w": "parameters"}.get(s.target, s.target): s.number for s in derivation.update}
    return {**values, **adjoints, **batch, **update}


_RULE = re.compile(r"[A-Z][a-z]+( [a-z]+){0,4}\.( |$)")


def printed_equations(derivation: sb.Derivation) -> dict[int, str]:
    """Return, from the printed derivation, the text of each number, without white space and shape."""
    found: dict[int, str] = {}
    number = None
    for line in derivation.text().partition("All results")[0].splitlines():
        start = re.fullmatch(r"(?:=>)?\s*\((\d+)\)  (.*)", line)
        if start:
            number = int(start[1])
            found[number] = start[2]
        elif not line.startswith(" ") or _RULE.match(line.strip()):
            number = None
        elif number is not None:
            found[number] += f" {line}"
    cut = {n: re.sub(r"    (shape \(.*\)|a number)$", "", text) for n, text in found.items()}
    return {n: re.sub(r"\s", "", text) for n, text in cut.items()}


def assert_statements_stand_under_their_equations(source: str, derivation: sb.Derivation) -> None:
    lines, printed, expected = (
        source.splitlines(),
        printed_equations(derivation),
        expected_numbers(derivation),
    )
    known = {*derivation.by_number, *derivation.labels.values()}
    functions = list(equation_functions(source))
    assert len({f.name for f in functions}) == len(functions) == 5
    for function in functions:
        comments = comments_of(lines, function.lineno, function.end_lineno or 0)
        assert comments
        for comment in comments:
            assert comment.number in known
            assert re.sub(r"\s", "", comment.text) == printed[comment.number]
        assert_each_under_its_own(function, comments, expected)


def assert_each_under_its_own(
    function: ast.FunctionDef, comments: list[Comment], expected: dict[str, int]
) -> None:
    """Compare each assignment to a quantity with the equation above it; no computing stands above all."""
    computed = set()
    for node in _statements(function.body):
        for name in _assigned(node) & set(expected):
            above = [c.number for c in comments if c.line < node.lineno]
            assert above, f"{function.name}: {name} is computed under no equation"
            assert above[-1] == expected[name], f"{function.name}: {name} under ({above[-1]})"
            computed.add(name)
        if node.lineno < comments[0].line:
            assert not _computes(node), f"{function.name}: {ast.unparse(node)}"
    cited = {c.number for c in comments}
    assert cited == {expected[name] for name in computed}


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements, those under an `if` one by one."""
    for node in body:
        if isinstance(node, ast.If):
            yield from _statements(node.body)
        else:
            yield node


def _assigned(node: ast.stmt) -> set[str]:
    """Return the names that a statement computes into: by assignment, in place or with out=."""
    if isinstance(node, ast.AugAssign):
        return {node.target.id} if isinstance(node.target, ast.Name) else set()
    if isinstance(node, ast.Assign):
        renamed = isinstance(node.value, (ast.Call, ast.BinOp, ast.UnaryOp, ast.Name))
        bound = {target.id for target in node.targets if isinstance(target, ast.Name)}
        return bound if renamed else set()
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        call = node.value
        outs = [k.value for k in call.keywords if k.arg == "out"]
        if ast.unparse(call.func) == "np.copyto":
            outs.append(call.args[0])
        return {out.id for out in outs if isinstance(out, ast.Name)}
    return set()


def _computes(node: ast.stmt) -> bool:
    """Whether a statement calls NumPy for more than an array of a dtype, or multiplies matrices."""
    calls = [ast.unparse(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)]
    matrix = any(isinstance(n, ast.MatMult) for n in ast.walk(node))
    plain = ("np.asarray", "np.array")
    return matrix or any(call.startswith("np.") and call not in plain for call in calls)


@EVERY
def test_every_statement_stands_under_its_printed_equation(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loops over equal layers are undone; what they cite is looked at in test_rolling."""
    monkeypatch.setattr("symbackprop.code.loops.LEAST", 10**9)
    derivation = derivation_of(name)
    assert_statements_stand_under_their_equations(sb.generate(derivation), derivation)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("# (1) s1", "# (2) s1"),
        ("# (1) s1", "# (999) s1"),
        ("# (2) x1[j] = 1/(1 + exp(-s1[j]))", "# (2) x1[j] = 1/(1 + exp(s1[j]))"),
        ("    # (1) s1[j] = Σ_k x0[k]·w1[k,j]\n", ""),
        ("    # (1) s1[j]", "    s1 = x0 @ w1\n    # (1) s1[j]"),
        ("    x1 = 1 / (1 + np.exp(-s1))\n", "    x1 = 1 / (1 + np.exp(-s1))\n    s1 = s1 + 0\n"),
    ],
    ids=["other-number", "no-such-number", "other-text", "no-comment", "above-all", "under-another"],
)
def test_a_wrong_citation_is_noticed(right: str, wrong: str) -> None:
    source = source_of("textbook")
    assert right in source
    assert_statements_stand_under_their_equations(source, derivation_of("textbook"))
    with pytest.raises(AssertionError):
        assert_statements_stand_under_their_equations(
            source.replace(right, wrong, 1), derivation_of("textbook")
        )


@EVERY
def test_results_that_are_emitted_are_steps_about_the_error(name: str) -> None:
    derivation = derivation_of(name)
    for parameter in derivation.system.parameters:
        step = derivation.by_number[expected_numbers(derivation)[f"d{parameter}"]]
        assert isinstance(step.lhs, Derivative)
        assert step.target == parameter


# ------------------------------------------------------------------------------- shapes that rarely meet

LONG_OUTPUT = "2-3-2:((s-1)*(s-2)*(s-3)*exp(-s**2/2)*cos(3*s)/(1+s**2)+tanh(s)*sin(s)*s**2/(2+s**4))"
RARE: dict[str, sb.Network] = {
    # A long last statement is split into parts, whose names must not hide those of shared ones.
    "parts-of-a-long-statement": sb.Network(LONG_OUTPUT, loss="squared_error"),
    "class-weights-softmax": sb.Network("2-3:softmax", class_weights=(1.0, 2.0, 3.0)),
    "class-weights-sigmoid": sb.Network("2-3-2", class_weights=(1.0, 2.0)),
    # The adjoint of the output is a constant for each output, the same for every sample.
    "class-weights-linear-loss": sb.Network("2-3:identity", loss="x-t", class_weights=(1.0, 2.0, 3.0)),
}


@pytest.mark.parametrize("name", RARE)
def test_a_rare_network_passes_its_check(name: str) -> None:
    rows = check_module(sb.load(RARE[name]), sb.derive(RARE[name]))
    assert all(row.holds for row in rows), [row for row in rows if not row.holds]


@pytest.mark.parametrize("name", RARE)
@pytest.mark.parametrize("samples", [1, 3, 5])
def test_weights_of_samples_count_each_as_often(name: str, samples: int, rng: np.random.Generator) -> None:
    network = RARE[name]
    module = sb.load(network)
    x, t = (array[:samples] for array in checked_data(network.model, rng))
    parameters = module.initialize(1, np.float64)
    weights = rng.integers(0, 3, samples).astype(float)
    errors, slopes = zip(
        *[module.gradients(parameters, x[n : n + 1], t[n : n + 1]) for n in range(samples)], strict=True
    )
    trainer = module.Trainer(parameters, learning_rate=1.0, batch_size=8)
    assert trainer.step(x, t, weights) == pytest.approx(float(np.mean(weights * errors)), rel=1e-12)
    for key, value in parameters.items():
        slope = sum(weight * own[key] for weight, own in zip(weights, slopes, strict=True)) / samples
        np.testing.assert_allclose(trainer.parameters[key], value - slope, atol=1e-13)


@pytest.mark.slow
def test_many_terms_of_the_error_are_no_deep_expression(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symbackprop.code.loops.LEAST", 10**9)
    source = sb.generate(sb.Network("-".join(["2"] * 401), l2=0.1, bias=False))
    assert "    E += L2 * (w400**2).sum() / 2\n" in source


def test_a_sum_that_begins_with_a_parameter_leaves_it_as_it_is() -> None:
    names = [f"a{letter}" for letter in "bcdefghijk"]
    text = f"""
        input     x[n, k]
        parameter {", ".join(names)}
        y[n, k] = ab*x[n, k]
        E = {" + ".join(names)}
        output y
        """
    module = sb.load(sb.Network.from_equations(text, {"k": 2}))
    parameters = {name: np.array(1.0) for name in names}
    x = np.ones((3, 2))
    assert module.loss(parameters, x, None) == module.gradients(parameters, x, None)[0] == len(names)
    trainer = module.Trainer(parameters, learning_rate=0.5)
    assert trainer.step(x, None) == len(names)
    assert {float(value) for value in parameters.values()} == {1.0}
    assert {float(value) for value in trainer.parameters.values()} == {0.5}
