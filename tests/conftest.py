"""What several test files share: options, a seeded generator, and derivatives by differences."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from symbackprop import Network
from tests import verified

Array = NDArray[np.float64]
Parameters = dict[str, Array]

STEP = 2e-5  # small, so that a kink is hardly ever between two points; rounding adds some 1e-11
FEW = 60  # parameters up to which every component is compared on its own
DIRECTIONS = 3


gc.set_threshold(100_000)  # as a command does: looking for cycles all the time takes a tenth of it


verified.install()  # before any test has made an operation


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=0, help="seed of all random test data (default 0)")
    parser.addoption("--update-generated", action="store_true", help="write the modules of generated/ anew")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what ``slow.txt`` lists; a test that is listed and no longer there is an error."""
    lines = (Path(__file__).parent / "slow.txt").read_text().splitlines()
    listed = {line for line in lines if not line.startswith("#")}
    for item in items:
        if item.nodeid in listed:
            item.add_marker(pytest.mark.slow)
    files = {item.nodeid.partition("::")[0] for item in items}
    gone = {name for name in listed if name.partition("::")[0] in files} - {item.nodeid for item in items}
    if gone and not any("::" in argument for argument in config.args):
        raise pytest.UsageError(f"tests/slow.txt lists what is no test: {', '.join(sorted(gone))}")


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as where a shell runs tests in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parents[1]
"""The root of the repository."""
REFERENCE = Path(__file__).parent / "reference"
"""Figures from elsewhere."""
MARKUP = ("text", "markdown", "latex")
"""The formats of documents beside pages, which have tests of their own."""


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return np.random.default_rng(request.config.getoption("--seed"))


@pytest.fixture
def update_generated(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-generated"))


def sample_data(network: Network, generator: np.random.Generator, samples: int = 5) -> tuple[Array, Array]:
    """Return inputs, and targets that every loss accepts where a built-in one is used."""
    x = generator.normal(size=(samples, network.source.sizes[0]))
    t = generator.uniform(0.05, 0.95, size=(samples, network.source.sizes[-1]))
    return x, t / t.sum(axis=1, keepdims=True) if network.source.loss == "cross_entropy" else t


def random_parameters(shapes: Mapping[str, tuple[int, ...]], generator: np.random.Generator) -> Parameters:
    """Return parameters away from 0, where |w| has its kink; biases included."""
    found = {}
    for name, shape in shapes.items():
        value = generator.normal(size=shape) / np.sqrt(shape[0] if len(shape) == 2 else 4)
        found[name] = value + np.copysign(0.01, value)
    return found


def difference_from_numbers(
    loss: Callable[[Parameters], float],
    parameters: Parameters,
    derivatives: Mapping[str, Array],
    generator: np.random.Generator,
) -> float:
    """Return the largest difference of ``derivatives`` from central differences of ``loss``.

    It is relative to the larger of 1 and the derivative.  Each component is compared on its own in a
    small network, and a few random directions in a large one.
    """
    assert set(derivatives) == set(parameters)
    worst = 0.0
    few = sum(value.size for value in parameters.values()) <= FEW
    for name, value in parameters.items():
        assert derivatives[name].shape == value.shape
        for direction in _components(value) if few else _directions(value, generator):
            moved = [loss({**parameters, name: value + step * STEP * direction}) for step in (-2, -1, 1, 2)]
            # The error of this formula is of fourth order in the step.
            slope = (8 * (moved[2] - moved[1]) - (moved[3] - moved[0])) / (12 * STEP)
            found = float(np.sum(derivatives[name] * direction))
            worst = max(worst, abs(found - slope) / max(1.0, abs(slope)))
    return worst


def _components(value: Array) -> Iterator[Array]:
    for position in range(value.size):
        direction = np.zeros(value.size)
        direction[position] = 1.0
        yield direction.reshape(value.shape)


def _directions(value: Array, generator: np.random.Generator) -> Iterator[Array]:
    for _ in range(DIRECTIONS):
        direction = generator.normal(size=value.shape)
        yield direction / np.linalg.norm(direction)


def same_initial_values(first: Parameters, second: Parameters) -> bool:
    """Whether the same parameters stand in the same order, and are equal bit for bit."""
    return list(first) == list(second) and all(
        (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
        for a, b in zip(first.values(), second.values(), strict=True)
    )


def load_text(text: str) -> ModuleType:
    """Return a module that runs ``text``."""
    module = ModuleType("module")
    exec(compile(text, "module.py", "exec"), module.__dict__)
    return module
