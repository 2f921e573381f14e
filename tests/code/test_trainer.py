"""The trainer: schedules, clipping, weights, patience, what is not finite, going on from a saved state."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.library.optimizers import OPTIMIZERS
from tests.conftest import Array, difference_from_numbers, random_parameters, sample_data

EVERY = pytest.mark.parametrize("optimizer", OPTIMIZERS)


@cache
def module_of(architecture: str, optimizer: str = "sgd", **options: Any) -> Any:
    return sb.load(sb.Network(architecture, **options), optimizer=optimizer)


def straight(optimizer: str = "sgd") -> Any:
    """Return the module of E = x·w, whose derivative is x, whatever w is."""
    return module_of("1-1:identity", optimizer, bias=False, loss="x")


ONE, NONE = np.ones((1, 1)), np.zeros((1, 1))


def changes(optimizer: str, steps: int, x: float = 1.0, dtype: Any = np.float64, **options: Any) -> Array:
    """Return how far w falls in each of so many steps on one sample x."""
    trainer = straight(optimizer).Trainer({"w1": np.zeros((1, 1), dtype)}, batch_size=1, **options)
    values = [0.0]
    for _ in range(steps):
        trainer.step(x * ONE, NONE)
        values.append(float(trainer.parameters["w1"][0, 0]))
    return -np.diff(values)


# ---------------------------------------------------------------- schedules

SCHEDULES: dict[str, tuple[Any, Callable[[int], float]]] = {
    "none": (None, lambda k: 1.0),
    "step": (("step", 3, 0.5), lambda k: 0.5 ** (k // 3)),
    "exponential": (("exponential", 0.9), lambda k: 0.9**k),
    "cosine": (("cosine", 8), lambda k: 0.5 + 0.5 * math.cos(math.pi * min(k, 8) / 8)),
    "warmup": (("warmup", 4), lambda k: min((k + 1) / 4, 1)),
    "warmup, then step": (
        ("warmup", 4, ("step", 2, 0.1)),
        lambda k: (k + 1) / 4 if k < 4 else 0.1 ** ((k - 4) // 2),
    ),
    "as a list": (["warmup", 2, ["cosine", 4]], lambda k: _warm_cosine(k)),
}


def _warm_cosine(k: int) -> float:
    return (k + 1) / 2 if k < 2 else 0.5 + 0.5 * math.cos(math.pi * min(k - 2, 4) / 4)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_learning_rate_follows_the_schedule(name: str, optimizer: str) -> None:
    """The steps of Adam on an unchanging derivative are as long as the learning rate."""
    schedule, factor = SCHEDULES[name]
    found = changes(optimizer, 12, learning_rate=0.1, schedule=schedule)
    np.testing.assert_allclose(found, [0.1 * factor(k) for k in range(12)], atol=1e-8)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("cosine", "'cosine'"),
        (("cosines", 5), r"'cosines'.*known are step, exponential, cosine, warmup"),
        (("step", 5), r'must be \("step", every, factor\)'),
        (("cosine", 0), "cosine"),
        (("cosine", -1), "cosine"),
        (("cosine", math.nan), "cosine"),
        (("cosine", "5"), "cosine"),
        (("exponential", 0.9, 2), "exponential"),
        (("warmup", 5, ("nothing",)), "nothing"),
        ((), "schedule"),
        (5, "schedule"),
        ((["step"], 1, 2), "schedule"),
    ],
)
def test_a_wrong_schedule_is_refused(schedule: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        straight().Trainer(schedule=schedule)


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("optimizer", "name", "value"),
    [
        ("sgd", "learning_rate", 0),
        ("sgd", "learning_rate", -1),
        ("sgd", "learning_rate", math.inf),
        ("sgd", "learning_rate", "fast"),
        ("sgd", "learning_rate", None),
        ("sgd", "batch_size", 2.5),
        ("sgd", "batch_size", True),
        ("sgd", "batch_size", "8"),
        ("sgd", "clip_norm", 0),
        ("sgd", "clip_norm", math.nan),
        ("momentum", "momentum", 1.0),
        ("rmsprop", "rho", 1.0),
        ("adam", "beta1", 1.0),
        ("adam", "beta2", 1.5),
        ("adam", "beta1", -0.1),
        ("adamw", "weight_decay", -0.1),
        ("adam", "epsilon", math.nan),
    ],
)
def test_a_setting_that_cannot_work_is_refused(optimizer: str, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value!r}"):
        straight(optimizer).Trainer(**{name: value})


@pytest.mark.parametrize("name", ["epochs", "every", "patience"])
@pytest.mark.parametrize("value", [-1, 1.5, "3", None])
def test_a_wrong_count_is_refused(name: str, value: Any) -> None:
    if name == "patience" and value is None:
        value = 0
    with pytest.raises(ValueError, match=f"{name} is {value!r}"):
        straight().Trainer().fit(ONE, NONE, **{"epochs": 1, name: value})


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ((ONE,), r"validation must be a pair \(x, t\)"),
        (ONE, r"validation must be a pair \(x, t\)"),
        ((ONE, math.nan * ONE), "validation: t: row 0, column 0 is nan"),
        (([[1.0], [1.0, 2.0]], ONE), "validation: x must be an array, of rows of one length"),
    ],
)
def test_a_wrong_validation_is_named(validation: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        straight().Trainer().fit(ONE, NONE, 1, validation=validation)


def test_numbers_of_numpy_are_settings(tmp_path: Path) -> None:
    trainer = straight("momentum").Trainer(
        learning_rate=np.float32(0.1), momentum=np.float64(0.5), batch_size=np.int64(3)
    )
    trainer.fit(ONE, NONE, np.int32(2), patience=np.int64(1))
    trainer.save(tmp_path / "state.npz")
    again = straight("momentum").Trainer.load(tmp_path / "state.npz")
    assert again.settings == trainer.settings
    assert again.learning_rate == float(np.float32(0.1))


# ---------------------------------------------------------------- clipping


@EVERY
def test_derivatives_are_clipped_together(optimizer: str, rng: np.random.Generator) -> None:
    """A step on clipped derivatives is that of a trainer without a limit on shorter derivatives."""
    module = module_of("3-4:tanh-2:identity", optimizer)
    start = random_parameters(module.PARAMETER_SHAPES, rng)
    x, t = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
    _, derivatives = module.gradients(start, x, t)
    norm = math.sqrt(sum(float(np.sum(value**2)) for value in derivatives.values()))
    for limit in (0.3 * norm, 0.9 * norm, 2 * norm):
        clipped, plain = module.Trainer(start, clip_norm=limit), module.Trainer(start)
        clipped.step(x, t)
        # Weights of the samples scale every derivative alike.
        plain.step(x, t, weights=np.full(6, min(limit / norm, 1)))
        for key, value in plain.parameters.items():
            np.testing.assert_allclose(clipped.parameters[key], value, rtol=1e-12, atol=1e-14)
            assert not np.array_equal(value, start[key])


@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_the_limit_holds_whatever_the_learning_rate(optimizer: str) -> None:
    found = changes(optimizer, 1, x=100.0, learning_rate=0.01, schedule=("warmup", 2), clip_norm=3.0)
    np.testing.assert_allclose(found, [0.01 * 0.5 * 3.0], rtol=1e-12)


def test_a_derivative_is_clipped_whose_square_is_beyond_the_dtype() -> None:
    found = changes("momentum", 1, x=1e30, dtype=np.float32, learning_rate=0.5, clip_norm=1.0)
    np.testing.assert_allclose(found, [0.5], rtol=1e-6)


# ---------------------------------------------------------------- weights of samples and classes

WEIGHTED = pytest.mark.parametrize(
    ("architecture", "options"),
    [
        ("3-4:tanh-3:softmax", {}),
        ("3-4:relu-2", {"l2": 0.3, "l1": 0.1}),
        ("3-4-2:identity", {"l2": 0.2}),
        ("3-3:softmax", {"loss": "squared_error"}),
    ],
)


@WEIGHTED
@pytest.mark.parametrize("optimizer", ["sgd", "momentum"])
def test_weights_multiply_the_errors_of_the_samples(
    architecture: str, options: dict[str, Any], optimizer: str, rng: np.random.Generator
) -> None:
    module = module_of(architecture, optimizer, **options)
    start = random_parameters(module.PARAMETER_SHAPES, rng)
    x, t = sample_data(sb.Network(architecture, **options), rng, 5)
    weights = np.array([2.0, 0.0, 1.0, 0.5, 3.25])
    zeros = {key: 0 * value for key, value in start.items()}
    penalty, of_penalty = _penalty(start, options)
    expected, slopes = penalty, {key: of_penalty[key].copy() for key in zeros}
    for row, weight in enumerate(weights):
        error, derivatives = module.gradients(start, x[row : row + 1], t[row : row + 1])
        expected += weight * (error - penalty) / 5
        for key, value in derivatives.items():
            slopes[key] += weight * (value - of_penalty[key]) / 5
    trainer = module.Trainer(start, learning_rate=0.1, batch_size=8)
    assert trainer.step(x, t, weights) == pytest.approx(expected, rel=1e-12)
    for key, value in slopes.items():
        np.testing.assert_allclose(trainer.parameters[key], start[key] - 0.1 * value, rtol=0, atol=1e-13)


def _penalty(parameters: dict[str, Array], options: dict[str, Any]) -> tuple[float, dict[str, Array]]:
    l2, l1 = options.get("l2", 0), options.get("l1", 0)
    total, slopes = 0.0, {}
    for key, value in parameters.items():
        counts = key.startswith("w")
        total += counts * float(np.sum(l2 / 2 * value**2 + l1 * np.abs(value)))
        slopes[key] = counts * (l2 * value + l1 * np.sign(value))
    return total, slopes


def test_fit_gives_each_sample_its_own_weight(rng: np.random.Generator) -> None:
    module = module_of("2-3-1")
    x, t, weights = rng.normal(size=(11, 2)), rng.uniform(size=(11, 1)), rng.uniform(size=11)
    trainer = module.Trainer(module.initialize(0, np.float64), batch_size=4, seed=0)
    seen, step = [], trainer.step

    def recorded(rows: Array, targets: Array, own: Array) -> float:
        seen.extend(zip(rows[:, 0], own, strict=True))
        return step(rows, targets, own)

    trainer.step = recorded
    trainer.fit(x, t, 2, weights=weights)
    assert seen[:11] != seen[11:]
    assert sorted(seen) == sorted(2 * list(zip(x[:, 0], weights, strict=True)))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 1.0], "weights must be 3 numbers"),
        ([[1.0], [1.0], [1.0]], "weights must be 3 numbers"),
        ([1.0, -1.0, 1.0], r"weights: row 1 is -1\.0"),
        ([1.0, 1.0, math.nan], "weights: row 2 is nan"),
        (["a", "b", "c"], "weights must be 3 numbers"),
    ],
)
def test_wrong_weights_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        module_of("2-3-1").Trainer().fit(np.ones((3, 2)), np.ones((3, 1)), 1, weights=weights)


def test_label_smoothing_needs_a_range_of_targets() -> None:
    with pytest.raises(sb.SpecificationError, match="squared_error' sets no range"):
        sb.derive(sb.Network("3-4:relu-3:identity", label_smoothing=0.1))


@pytest.mark.parametrize(
    ("architecture", "option"),
    [
        *product(["3-4:tanh-3:softmax", "3-4-3", "3-4:relu-3:identity"], ["class_weights"]),
        *product(["3-4:tanh-3:softmax", "3-4-3"], ["label_smoothing"]),
    ],
)
def test_class_weights_and_label_smoothing(architecture: str, option: str, rng: np.random.Generator) -> None:
    """E is that of the plain network, output by output, or on smoothed targets; derivatives follow E."""
    value: Any = (0.5, 2.0, 3.0) if option == "class_weights" else 0.15
    plain, module = module_of(architecture), module_of(architecture, **{option: value})
    parameters = random_parameters(plain.PARAMETER_SHAPES, rng)
    x, t = sample_data(sb.Network(architecture), rng, 6)
    found, derivatives = module.gradients(parameters, x, t)
    if option == "label_smoothing":
        # Towards the target that says nothing: equal shares of classes, or the middle of a bit's range.
        middle = 1 / 3 if architecture.endswith("softmax") else 1 / 2
        expected = plain.loss(parameters, x, (1 - value) * t + value * middle)
    else:
        outputs = plain.forward(parameters, x)
        if architecture.endswith("identity"):
            error = (outputs - t) ** 2 / 2
        elif architecture.endswith("softmax"):
            error = -t * np.log(outputs)
        else:
            error = -t * np.log(outputs) - (1 - t) * np.log(1 - outputs)
        expected = float((error * value).sum() / 6)
    assert found == pytest.approx(expected, rel=1e-12)
    assert found != pytest.approx(plain.loss(parameters, x, t), rel=1e-3)
    worst = difference_from_numbers(lambda p: module.loss(p, x, t), parameters, derivatives, rng)
    assert worst < 1e-7
    trainer = module.Trainer(parameters, learning_rate=0.5)
    assert trainer.step(x, t) == pytest.approx(expected, rel=1e-12)
    for key, slope in derivatives.items():
        np.testing.assert_allclose(trainer.parameters[key], parameters[key] - 0.5 * slope, atol=1e-13)


@pytest.mark.parametrize(
    "options", [{"class_weights": [1, 2.5]}, {"label_smoothing": 0.1}], ids=["weights", "smoothing"]
)
def test_the_module_says_what_its_classes_count(options: dict[str, Any]) -> None:
    module = sb.load(sb.Network("2-2:softmax", **options))
    (name,) = options
    assert f"--{name.replace('_', '-')}" in module.ARCHITECTURE


# ---------------------------------------------------------------- patience


def worsening() -> tuple[Any, tuple[Array, Array], tuple[Array, Array]]:
    """Return a trainer, and data whose validation has the opposite targets: its loss only grows."""
    x = np.linspace(-1, 1, 12)[:, None]
    t = (x > 0).astype(float)
    trainer = module_of("1-1").Trainer({"w1": np.zeros((1, 1)), "b1": np.zeros(1)}, seed=0)
    return trainer, (x, t), (x, 1 - t)


@pytest.mark.parametrize("patience", [1, 3])
def test_patience_ends_a_run_whose_validation_gets_worse(patience: int) -> None:
    trainer, data, validation = worsening()
    history = trainer.fit(*data, 50, validation=validation, patience=patience)
    assert len(history["loss"]) == 1 + patience
    assert min(history["validation_loss"]) == history["validation_loss"][0]


def test_patience_watches_the_loss_where_there_is_no_validation() -> None:
    trainer, data, _ = worsening()
    assert len(trainer.fit(*data, 50, patience=2)["loss"]) == 50  # it falls in every epoch
    # Samples that count for nothing leave the loss at 0, which is not lower than 0.
    assert len(trainer.fit(*data, 50, patience=2, weights=np.zeros(12))["loss"]) in (2, 3)


def test_a_further_run_has_its_own_patience() -> None:
    trainer, data, validation = worsening()
    for _ in range(2):
        assert len(trainer.fit(*data, 50, validation=validation, patience=2)["loss"]) == 3
    trainer.fit(*data, 20, validation=validation)
    assert len(trainer.fit(*data, 50, validation=validation, patience=2)["loss"]) == 3


def test_patience_goes_on_where_a_checkpoint_was(tmp_path: Path) -> None:
    """A run that is cut at any epoch and resumed ends at the epoch where it would have ended."""
    file = tmp_path / "state.npz"
    for cut in range(1, 6):
        trainer, data, validation = worsening()
        trainer.fit(
            *data,
            50,
            validation=validation,
            patience=4,
            checkpoint=file,
            callback=lambda epoch, _, cut=cut: epoch + 1 == cut,
        )
        resumed = module_of("1-1").Trainer.load(file)
        history = resumed.fit(*data, 50, validation=validation, patience=4)
        assert resumed.epochs == 5
        assert len(history["loss"]) == 5 - cut


# ---------------------------------------------------------------- what is not finite


def diverging(optimizer: str, x: float, start: float, **options: Any) -> tuple[Any, str]:
    trainer = module_of("1-1:identity", optimizer, bias=False).Trainer(
        {"w1": np.full((1, 1), start, np.float32)}, batch_size=1, **options
    )
    with pytest.raises(FloatingPointError) as caught:
        trainer.fit(np.full((1, 1), x), NONE, 1000)
    assert np.isfinite(trainer.parameters["w1"]).all()
    return trainer, str(caught.value)


@pytest.mark.parametrize(
    ("optimizer", "x", "start", "rate", "step", "first"),
    [
        ("sgd", 1e20, 1e20, 1e-3, 1, "s1"),  # 1e40 is beyond float32
        ("sgd", 1.0, 1e20, 1e-3, 1, "E"),  # its square is, or a buffer on the way to it
        ("sgd", 1e18, 1.0, 1e10, 1, "dE/dw1"),  # the derivative times the learning rate
        ("momentum", 1.0, 1e10, 1e30, 1, "w1"),  # the update alone
        ("adam", 1e10, 1.0, 1e-3, 1, "V"),  # a square in the state
        ("adagrad", 1e10, 1.0, 1e-3, 1, "a"),
        ("nesterov", 100.0, 1.0, 10.0, None, None),
    ],
)
def test_a_step_beyond_the_numbers_ends_the_run(
    optimizer: str, x: float, start: float, rate: float, step: int | None, first: str | None
) -> None:
    trainer, message = diverging(optimizer, x, start, learning_rate=rate)
    assert message.startswith(f"step {trainer.steps + 1}: ")
    if step is None:
        assert trainer.steps > 1
        return
    assert trainer.steps + 1 == step
    named = message.removeprefix(f"step {step}: ").partition(" is not finite")[0]
    assert named == first or (first == "E" and named.startswith("work"))
    assert trainer.parameters["w1"][0, 0] == np.float32(start)  # those before the step


def test_the_last_finite_parameters_are_those_of_the_steps_before() -> None:
    trainer, message = diverging("sgd", 10.0, 1.0, learning_rate=1.0)
    again = module_of("1-1:identity", "sgd", bias=False).Trainer(
        {"w1": np.ones((1, 1), np.float32)}, batch_size=1, learning_rate=1.0
    )
    for _ in range(trainer.steps):
        again.step(10 * ONE, NONE)
    np.testing.assert_array_equal(trainer.parameters["w1"], again.parameters["w1"])
    assert f"step {trainer.steps + 1}: " in message


def test_a_run_goes_on_after_it_with_a_smaller_learning_rate() -> None:
    trainer, _ = diverging("momentum", 1.0, 1e10, learning_rate=1e30)
    trainer.learning_rate = 0.01
    history = trainer.fit(ONE, NONE, 5)
    assert history["loss"][-1] < history["loss"][0]


def test_large_numbers_that_are_finite_do_not_end_a_run() -> None:
    """The check adds up, and the sum of finite numbers may be infinite."""
    module = module_of("1-2:identity", bias=False, loss="x")
    trainer = module.Trainer({"w1": np.full((1, 2), 3e38, np.float32)}, learning_rate=1e-6)
    x = np.full((1, 1), 0.25)
    trainer.fit(x, np.zeros((1, 2)), 3)
    assert trainer.steps == 3


def test_step_alone_does_not_look() -> None:
    """A run leaves nothing behind that a step of its own would trip over."""
    trainer, _ = diverging("sgd", 1e20, 1e20, learning_rate=1e-3)
    with np.errstate(all="ignore"):
        assert not math.isfinite(trainer.step(np.full((1, 1), 1e20), NONE))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_parameters_that_are_not_finite_are_refused(wrong: float, tmp_path: Path) -> None:
    module = module_of("2-3-1")
    parameters = module.initialize(0)
    parameters["b1"][1] = wrong
    with pytest.raises(ValueError, match="b1"):
        module.Trainer(parameters)
    with pytest.raises(ValueError, match="b1"):
        module.save(tmp_path / "w.npz", parameters)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- going on from a saved state


def problem(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    x = rng.normal(size=(30, 3))
    return x, np.eye(2)[(x[:, 0] > 0).astype(int)], rng.uniform(0.5, 1.5, size=30)


def new_trainer(optimizer: str, dtype: Any = np.float32, batch_size: int = 8) -> Any:
    module = module_of("3-4:tanh-2:softmax", optimizer)
    return module.Trainer(
        module.initialize(1, dtype),
        learning_rate=0.01,
        batch_size=batch_size,
        seed=7,
        schedule=("warmup", 5, ("step", 6, 0.8)),
        clip_norm=0.5,
    )


def assert_same(first: Any, second: Any) -> None:
    for key, value in first.parameters.items():
        assert value.dtype == second.parameters[key].dtype
        assert value.tobytes() == second.parameters[key].tobytes()
    assert first._values.tobytes() == second._values.tobytes()
    assert (first.steps, first.epochs, first.settings) == (second.steps, second.epochs, second.settings)
    assert first.generator.bit_generator.state == second.generator.bit_generator.state


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
def test_a_loaded_trainer_goes_on_bit_for_bit(
    optimizer: str, dtype: Any, rng: np.random.Generator, tmp_path: Path
) -> None:
    x, t, weights = problem(rng)
    whole, first = new_trainer(optimizer, dtype), new_trainer(optimizer, dtype)
    expected = whole.fit(x, t, 6, weights=weights)["loss"]
    start = first.fit(x, t, 2, weights=weights)["loss"]
    first.save(tmp_path / "state.npz")
    second = type(first).load(tmp_path / "state.npz")
    assert_same(first, second)
    assert start + second.fit(x, t, 4, weights=weights)["loss"] == expected
    assert_same(whole, second)


@EVERY
def test_loading_brings_back_more_than_the_parameters(
    optimizer: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    """What the test above relies on: a trainer with the parameters alone goes another way."""
    x, t, _ = problem(rng)
    whole = new_trainer(optimizer)
    whole.fit(x, t, 2)
    bare = new_trainer(optimizer)
    for key, value in whole.parameters.items():
        bare.parameters[key][:] = value
    whole.fit(x, t, 2)
    bare.fit(x, t, 2)
    assert any(not np.array_equal(value, bare.parameters[key]) for key, value in whole.parameters.items())


class Interrupting:
    """Sends Ctrl-C to this process during the given step, as a user would at any moment."""

    def __init__(self, trainer: Any, at: int) -> None:
        self.step, self.at, self.trainer = trainer.step, at, trainer
        trainer.step = self

    def __call__(self, *batch: Any) -> float:
        if self.trainer.steps + 1 == self.at:
            signal.raise_signal(signal.SIGINT)
        return self.step(*batch)


@pytest.mark.parametrize("at", range(1, 9))
@pytest.mark.parametrize("batch_size", [8, 30], ids=["batches", "whole"])
def test_ctrl_c_ends_after_the_step_with_the_state_saved(
    at: int, batch_size: int, rng: np.random.Generator, tmp_path: Path
) -> None:
    x, t, weights = problem(rng)
    whole = new_trainer("adam", batch_size=batch_size)
    expected = whole.fit(x, t, 12, weights=weights)["loss"]
    cut = new_trainer("adam", batch_size=batch_size)
    Interrupting(cut, at)
    handler, state = signal.getsignal(signal.SIGINT), tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        cut.fit(x, t, 12, weights=weights, checkpoint=state, every=100)
    assert signal.getsignal(signal.SIGINT) is handler
    assert cut.steps == at
    resumed = type(cut).load(state)
    assert_same(cut, resumed)
    history = resumed.fit(x, t, 12 - resumed.epochs, weights=weights)["loss"]
    assert history == expected[-len(history) :]
    assert_same(whole, resumed)


def test_ctrl_c_in_the_middle_of_an_epoch_keeps_the_trainer_in_memory(rng: np.random.Generator) -> None:
    x, t, _ = problem(rng)
    whole, cut = new_trainer("sgd"), new_trainer("sgd")
    whole.fit(x, t, 3)
    step = cut.step
    Interrupting(cut, 6)
    with pytest.raises(KeyboardInterrupt):
        cut.fit(x, t, 3)
    cut.step = step
    cut.fit(x, t, 2)
    assert_same(whole, cut)


def test_settings_that_were_changed_are_saved_as_they_are(tmp_path: Path) -> None:
    trainer = new_trainer("momentum")
    trainer.learning_rate, trainer.schedule = 0.125, None
    trainer.save(tmp_path / "state.npz")
    again = type(trainer).load(tmp_path / "state.npz")
    assert (again.learning_rate, again.schedule, again.clip_norm) == (0.125, None, 0.5)


def test_checkpoints_are_written_after_every_so_many_epochs(rng: np.random.Generator, tmp_path: Path) -> None:
    x, t, _ = problem(rng)
    trainer, file, seen = new_trainer("adam"), tmp_path / "state.npz", []

    def callback(epoch: int, history: dict[str, list[float]]) -> None:
        seen.append(type(trainer).load(file).epochs if file.exists() else 0)

    trainer.fit(x, t, 7, callback=callback, checkpoint=file, every=3)
    assert seen == [0, 0, 3, 3, 3, 6, 6]
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]


@pytest.mark.parametrize("kind", ["missing folder", "folder", "no plain file"])
def test_a_checkpoint_that_cannot_be_written_is_noticed_before_training(
    kind: str, rng: np.random.Generator, tmp_path: Path
) -> None:
    x, t, _ = problem(rng)
    paths = {"missing folder": str(tmp_path / "none" / "c.npz"), "folder": str(tmp_path)}
    path = paths.get(kind, os.devnull)
    trainer = new_trainer("sgd")
    with pytest.raises(ValueError, match=f"{path}: can't be written"):
        trainer.fit(x, t, 1, checkpoint=path)
    assert trainer.steps == 0
    assert list(tmp_path.iterdir()) == []


def test_saved_parameters_are_the_parameters(tmp_path: Path) -> None:
    trainer = new_trainer("adam")
    module = module_of("3-4:tanh-2:softmax", "adam")
    module.save(tmp_path / "weights.npz", trainer.parameters)
    trainer.save(tmp_path / "state.npz")
    for file in ("weights.npz", "state.npz"):
        loaded = module.load(tmp_path / file)
        assert list(loaded) == list(module.PARAMETER_SHAPES)
        for key, value in trainer.parameters.items():
            assert loaded[key].dtype == value.dtype
            np.testing.assert_array_equal(loaded[key], value)
