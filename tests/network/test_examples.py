"""The networks under examples/: each is read, derived and run; most are networks of the zoo."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.comparison.module import check_module
from symbackprop.commands.demo import SEED
from symbackprop.commands.digits.images import load_digits, split
from symbackprop.equations.system import EquationSystem
from symbackprop.network.network import Network
from symbackprop.network.random_data import initial_values
from symbackprop.proof.prover import prove
from tests.conftest import ROOT, same_initial_values
from tests.plain_loops import Array, concrete_shape, random_values, run
from tests.zoo import CONSTANTS, SIZES, ZOO

FOLDER = ROOT / "examples"
FILES = sorted(path.stem for path in FOLDER.glob("*.net"))
OTHER_NAMES = {"dense": "dense_bias_l2_batch", "convolution_2d": "convolution_2d_batch"}
NUMBERS = {**SIZES, **CONSTANTS}


def of_zoo(name: str) -> EquationSystem:
    return ZOO[OTHER_NAMES.get(name, name)]()


@cache
def network(name: str) -> Network:
    """Return the example with the sizes of the zoo's network."""
    text = (FOLDER / f"{name}.net").read_text(encoding="utf-8")
    if OTHER_NAMES.get(name, name) not in ZOO:
        return Network.from_equations(text, {}, origin=f"{name}.net", name=name)
    net = Network.from_equations(text, {}, origin=f"{name}.net", name=name)
    own, zoo = net.model, of_zoo(name)
    sizes: dict[str, int] = {}
    for parameter in own.system.parameters:
        if parameter not in zoo.quantities:
            continue  # the zoo's pooling has nothing to learn
        numbers = concrete_shape(zoo.quantities[parameter].shape, NUMBERS)
        symbols = own.system.quantities[parameter].shape
        sizes |= {
            own.missing[n.name]: k for n, k in zip(symbols, numbers, strict=True) if n.name in own.missing
        }
    missing = set(own.missing.values()) - set(sizes)
    sizes |= {letter: {"h": 4, "v": 2}[letter] for letter in missing}
    if name == "convolution_stride_2":
        sizes |= {"p": 11}  # the end of the input is never read
    return Network.from_equations(text, sizes, origin=f"{name}.net", name=name)


def test_every_network_of_the_zoo_is_there() -> None:
    assert {OTHER_NAMES.get(name, name) for name in FILES} >= set(ZOO) - {"max_over_an_index"}


@cache
def module_of(name: str) -> Any:
    return sb.load(network(name))


@pytest.mark.parametrize("name", [n for n in FILES if OTHER_NAMES.get(n, n) in ZOO])
def test_outputs_are_those_of_plain_loops(name: str) -> None:
    zoo, net = of_zoo(name), network(name)
    values = random_values(zoo, NUMBERS, np.random.default_rng(0))
    output = run(zoo.equations, values, NUMBERS)["y"]
    module = module_of(name)
    parameters = {
        n: values[n] if n in values else np.ones(shape) for n, shape in module.PARAMETER_SHAPES.items()
    }
    batched = {given.name: _batched(values[given.name], given.shape) for given in net.model.inputs}
    x = batched if len(batched) > 1 else next(iter(batched.values()))
    found = module.forward(parameters, x)
    np.testing.assert_allclose(found.reshape(output.shape), output, rtol=1e-10)


def _batched(value: Array, shape: tuple[Any, ...]) -> Array:
    """Return an array with an axis for the samples: some networks of the zoo have none."""
    return value if value.ndim == len(shape) + 1 else value[None]


@pytest.mark.parametrize("name", FILES)
def test_derivatives_agree_with_numbers(name: str) -> None:
    net = network(name)
    assert all(row.holds for row in check_module(module_of(name), sb.derive(net)))


@pytest.mark.parametrize("name", FILES)
def test_parameters_start_as_in_the_generated_module(name: str) -> None:
    for dtype in (np.float32, np.float64):
        first = initial_values(network(name).model, 3, dtype)
        assert same_initial_values(first, module_of(name).initialize(3, dtype))


PROVED = ["gated", "radial_basis", "embedding", "layer_norm"]
"""The examples whose steps are proved in every run; the other ones take longer."""


@pytest.mark.parametrize(
    "name", [each if each in PROVED else pytest.param(each, marks=pytest.mark.slow) for each in FILES]
)
def test_every_step_is_proved(name: str) -> None:
    for verdict in prove(sb.derive(network(name))):
        assert verdict.holds, f"{verdict.step.lhs}: {verdict.counterexample}"


def test_the_convolutional_network_learns_the_digits() -> None:
    begin = time.perf_counter()
    training, held_out = split(load_digits(), SEED)
    module: Any = sb.load(network("digits_convolution"), optimizer="adam")
    trainer = module.Trainer(seed=SEED, batch_size=32, learning_rate=0.002)
    trainer.fit(training.images.reshape(-1, 8, 8), training.labels, 30)
    outputs = module.forward(trainer.parameters, held_out.images.reshape(-1, 8, 8))
    assert np.mean(outputs.argmax(axis=1) == held_out.labels) >= 0.975
    assert time.perf_counter() - begin < 60


@pytest.mark.parametrize("name", FILES)
def test_files_are_made_to_be_read(name: str) -> None:
    text = (FOLDER / f"{name}.net").read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert text.endswith("\n")
    assert all(len(line) <= 100 and line == line.rstrip() for line in text.splitlines())


LINES = {
    "recurrent": ["drecurrent_weight = (state0.T @ ds1 + state1.T @ ds2 + state2.T @ ds3) / samples"],
    "tied_weights": ["part1 = x.T @ ((dy @ weight) * hidden * (1 - hidden)) + dy.T @ hidden"],
    "multi_head_attention": [
        "condition = np.arange(size_p)[:, None] >= np.arange(size_p)",
        "masked = ds * condition.astype(dtype)",
        "dk = masked.transpose(0, 1, 3, 2) @ q / 3**0.5",
        "dq = masked @ k / 3**0.5",
    ],
}


@pytest.mark.parametrize("name", LINES)
def test_no_array_has_more_axes_than_a_matrix_product_needs(name: str) -> None:
    source = sb.generate(network(name))
    for line in LINES[name]:
        assert f"    {line}\n" in source
