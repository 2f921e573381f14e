"""The generated code against numbers: its derivatives, its loss and its training step.

Each derivative is compared with central differences of the module's own `loss` in float64, at several
step sizes of which the best counts: rounding dominates at small steps, curvature at large ones, and a
wrong derivative is wrong at all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from symbackprop.commands.update_values import Number, default_values, updated_values
from symbackprop.equations.model import SAMPLES_DRAWN, Model
from symbackprop.equations.system import new_value
from symbackprop.library.optimizers import OPTIMIZERS
from symbackprop.network.random_data import Array, Data, sample_data

Parameters = dict[str, Array]

TOLERANCE = 1e-6
"""Largest accepted difference, relative to the larger of 1e-3 and the size of the derivative."""
STEPS = (1e-2, 1e-3, 1e-4, 1e-5)
_SMALL = 200  # parameters up to which every component is probed on its own
_DIRECTIONS = 3
_DRAWS = 50  # of random numbers, until the error is finite and not large
_LARGE = 100.0  # an error beyond which differences of it have too few digits left
_SMALLEST = 0.1  # parameters that small make no error smaller, and lie on the kink of |w|


@dataclass(frozen=True)
class Comparison:
    """One row of the table: subject, number of probes, the largest relative difference and its tolerance."""

    subject: str
    probes: int
    difference: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the largest difference is within the tolerance; nan is not."""
        return bool(self.difference <= self.tolerance)


def check_module(module: ModuleType, model: Model, optimizer: str = "sgd", seed: int = 0) -> list[Comparison]:
    """Compare the module's derivatives with numerical ones, and its steps with its derivatives."""
    with np.errstate(all="ignore"):  # a number that is not finite is reported as a difference
        return _compared(module, model, optimizer, seed)


def _compared(module: ModuleType, model: Model, optimizer: str, seed: int) -> list[Comparison]:
    generator = np.random.default_rng(seed)
    size = 1.0
    for _ in range(_DRAWS):  # a formula such as log(s) has no value for some numbers
        x, t = sample_data(model, generator)
        parameters = {
            name: size * (np.asarray(value, np.float64) + 0.1 * generator.normal(size=np.shape(value)))
            for name, value in module.initialize(seed, np.float64).items()
        }
        error, derivatives = module.gradients(parameters, x, t)
        if np.isfinite(error) and (abs(error) <= _LARGE or size <= _SMALLEST):
            break
        size *= 0.5 if np.isfinite(error) else 1.0
        seed += 1
    plain = float(module.loss(parameters, x, t))
    rows = [Comparison("E", 1, abs(error - plain) / max(1.0, abs(plain)), TOLERANCE)]
    small = sum(value.size for value in parameters.values()) <= _SMALL
    for name, value in parameters.items():
        probes = list(_components(value) if small else _directions(value, generator))
        worst = max(_difference(module, parameters, name, derivatives[name], d, x, t) for d in probes)
        rows.append(Comparison(f"∂E/∂{name}", len(probes), worst, TOLERANCE))
    if any(np.shape(derivatives[name]) != value.shape for name, value in parameters.items()):
        return [*rows, Comparison("Trainer.step", 0, float("inf"), TOLERANCE)]
    return [*rows, _check_step(module, optimizer, parameters, x, t)]


def _components(value: Array) -> Iterator[Array]:
    for position in range(value.size):
        direction = np.zeros(value.size)
        direction[position] = 1.0
        yield direction.reshape(value.shape)


def _directions(value: Array, generator: np.random.Generator) -> Iterator[Array]:
    for _ in range(_DIRECTIONS):
        direction = generator.normal(size=value.shape)
        yield direction / np.linalg.norm(direction)


def _difference(
    module: ModuleType,
    parameters: Parameters,
    name: str,
    derivative: Array,
    direction: Array,
    x: Data,
    t: Data,
) -> float:
    """Return the relative difference along one direction, at the best step size."""
    expected = float(np.sum(derivative * direction))
    if np.shape(derivative) != direction.shape or not np.isfinite(expected):
        return float("inf")

    def error(step: float) -> float:
        return float(module.loss({**parameters, name: parameters[name] + step * direction}, x, t))

    found = []
    for h in STEPS:
        slope = (8 * (error(h) - error(-h)) - (error(2 * h) - error(-2 * h))) / (12 * h)
        found.append(abs(slope - expected) / max(1e-3, abs(slope)))
    return min((d for d in found if np.isfinite(d)), default=float("inf"))


def _check_step(module: ModuleType, optimizer: str, parameters: Parameters, x: Data, t: Data) -> Comparison:
    """Compare steps of the trainer with the optimiser's equations, evaluated on `gradients`."""
    hyperparameters = default_values(optimizer)
    trainer = module.Trainer(parameters, batch_size=SAMPLES_DRAWN + 1, seed=0, **hyperparameters)
    expected = dict(parameters)
    start: dict[str, Number] = dict.fromkeys(OPTIMIZERS[optimizer].state, 0.0)
    state = dict.fromkeys(parameters, start)
    for step in range(1, _STEPS + 1):
        trainer.step(x, t)
        _, derivatives = module.gradients(expected, x, t)
        for name in parameters:
            given = {"w": expected[name], "g": derivatives[name], "step": step}
            after = updated_values(optimizer, {**hyperparameters, **state[name], **given})
            expected[name] = np.asarray(after[new_value("w").name])
            state[name] = {each: after[new_value(each).name] for each in state[name]}
    worst = 0.0
    for name, value in parameters.items():
        moved = max(1e-3 * hyperparameters["learning_rate"], float(np.abs(expected[name] - value).max()))
        difference = float(np.abs(trainer.parameters[name] - expected[name]).max()) / moved
        worst = max(worst, difference) if difference == difference else float("inf")
    return Comparison("Trainer.step", _STEPS, worst, TOLERANCE)


_STEPS = 3  # more than one, so that a wrong use of the state shows
