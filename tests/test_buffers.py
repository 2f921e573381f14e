"""Buffers that are never needed at once are one array; predicting needs none of training's."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.liveness import shared_arrays, turns_needed
from tests.conftest import random_parameters, sample_data

# ---------------------------------------------------------------- which may share

SAME = (False, "shape")
STEPS: dict[str, tuple[str, dict[str, Any], list[set[str]]]] = {
    "one after another": ("x.dot(w, out=a)\nnp.exp(a, out=b)\nb.dot(w, out=c)", {}, [{"a", "c"}, {"b"}]),
    "not in one statement": ("np.exp(x, out=a)\nnp.exp(a, out=b)", {}, [{"a"}, {"b"}]),
    "read later": ("x.dot(w, out=a)\nnp.exp(a, out=b)\nb.dot(w, out=c)\nc *= a", {}, [{"a"}, {"b"}, {"c"}]),
    "a view": (
        "x.dot(w, out=a)\nv = a.reshape(2, 3)\nnp.exp(x, out=b)\nnp.exp(v, out=c)",
        {},
        [{"a"}, {"b", "c"}],
    ),
    "a view of a view": (
        "np.exp(x, out=a)\nv = a.T\nu = v[1:]\nnp.exp(x, out=b)\nb += u\nnp.exp(b, out=c)",
        {},
        [{"a", "c"}, {"b"}],
    ),
    "under an if": (
        "np.exp(x, out=a)\nif with_loss:\n    np.exp(a, out=b)\n    E = b.sum()\nnp.exp(x, out=c)",
        {},
        [{"a"}, {"b", "c"}],
    ),
    "around a loop": (
        "np.exp(x, out=a)\nfor k in range(3):\n    np.exp(x, out=b)\n    np.exp(b, out=c)\n    c += a",
        {},
        [{"a"}, {"b"}, {"c"}],
    ),
    "of another shape": (
        "np.exp(x, out=a)\nnp.exp(a, out=b)\nnp.exp(b, out=c)",
        {"c": (False, "other")},
        [{"a"}, {"b"}, {"c"}],
    ),
    "kept between steps": (
        "np.exp(x, out=a)\nnp.exp(a, out=b)\nnp.exp(b, out=c)\nnp.exp(c, out=b)",
        {"a": None, "c": None},
        [{"a"}, {"b"}, {"c"}],
    ),
}


@pytest.mark.parametrize("case", STEPS)
def test_buffers_share_an_array_that_are_never_needed_at_once(case: str) -> None:
    lines, special, expected = STEPS[case]
    kinds = {name: special.get(name, SAME) for name in "abc" if f"out={name}" in lines}
    found = shared_arrays(lines.split("\n"), kinds)
    assert list(found) == list(kinds)
    groups = [{name for name, place in found.items() if place == number} for number in set(found.values())]
    assert sorted(map(sorted, groups)) == sorted(map(sorted, expected))


# ---------------------------------------------------------------- in generated modules

NETWORKS = {
    "relu-softmax": sb.Network("5-6:relu-6:relu-6:relu-3:softmax"),
    "sigmoid": sb.Network("5-4-4-4-2", l2=0.1),
    "tanh": sb.Network("5-4:tanh-4:tanh-4:tanh-3:identity", l1=0.1),
    "gelu": sb.Network("5-4:gelu-4:mish-4:softplus-3:softmax"),
    "hidden-softmax": sb.Network("5-4:softmax-4:softmax-4:softmax-3:softmax", loss="squared_error"),
}


def trained(module: Any, network: sb.Network, alter: Any = None) -> Any:
    """Return a trainer after steps on full and short batches, with and without the error."""
    rng = np.random.default_rng(0)
    trainer = module.Trainer(random_parameters(module.PARAMETER_SHAPES, rng), batch_size=7)
    if alter:
        trainer._buffers = alter(trainer._buffers)
    errors = []
    for step in range(6):
        x, t = sample_data(network, rng, 7 if step % 3 else 4)
        errors.append(trainer.step(x, t, with_loss=step % 2 == 0))
    return trainer._values.tobytes(), errors


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_shared_buffers_change_no_bit(name: str, optimizer: str) -> None:
    module = sb.load(NETWORKS[name], optimizer=optimizer)
    assert len(set(module._BUFFERS.values())) < 0.75 * len(module._BUFFERS)
    apart = trained(module, NETWORKS[name], lambda buffers: tuple(buffer.copy() for buffer in buffers))
    assert trained(module, NETWORKS[name]) == apart


@pytest.mark.parametrize("name", NETWORKS)
def test_buffers_that_are_needed_at_once_are_found_out(name: str) -> None:
    """What the test above relies on: one array too few, and the numbers are others."""
    module = sb.load(NETWORKS[name])
    first = next(n for n in module._BUFFERS if n.startswith("x"))
    other = next(n for n in module._BUFFERS if n.startswith(("x", "s")) and n > first)
    places = list(module._BUFFERS)

    def merged(buffers: tuple[Any, ...]) -> tuple[Any, ...]:
        assert buffers[places.index(first)].shape == buffers[places.index(other)].shape
        one = buffers[places.index(first)]
        return tuple(one if n == other else b for n, b in zip(places, buffers, strict=True))

    assert trained(module, NETWORKS[name], merged) != trained(module, NETWORKS[name])


def test_depth_adds_one_array_a_layer() -> None:
    """Of a layer only its activation is needed until the derivatives come back to it."""

    def arrays(depth: int) -> int:
        module = sb.load(sb.Network("-".join(["8"] * (depth + 1)), hidden="tanh"))
        return len(set(module._BUFFERS.values()))

    assert arrays(9) - arrays(6) == 3


def test_predicting_needs_no_buffers_of_the_backward_pass() -> None:
    """Outputs take the memory of the forward quantities, derivatives as much again."""
    depth, units, rows = 6, 64, 2000
    network = sb.Network("-".join([str(units)] * (depth + 1)), hidden="tanh", output="identity")
    module = sb.load(network)
    parameters = module.initialize(0)
    x, t = np.ones((2, rows, units), "f4")

    def peak(function: Any, *arguments: Any) -> float:
        tracemalloc.start()
        function(*arguments)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found / x.nbytes

    assert peak(module.forward, parameters, x) < 2 * depth + 1.1
    assert peak(module.gradients, parameters, x, t) > 3 * depth


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["for layer in range(1, 9):", "    np.exp(x, out=s[layer])", "    s[layer] += 1"], 1),
        (["s[9].fill(0)", "for layer in range(8, 0, -1):", "    np.exp(s[layer + 1], out=s[layer])"], 2),
        (["for layer in range(2, 9):", "    s[layer - 2].dot(w, out=s[layer])"], 3),
        (["for layer in range(1, 9):", "    s[layer].fill(0)", "s[1].fill(1)"], None),
        (
            [
                "for layer in range(1, 9):",
                "    s[layer].fill(0)",
                "for layer in range(1, 9):",
                "    y += s[layer]",
            ],
            None,
        ),
        (["for layer in range(1, 9):", "    view = s[layer]", "    view += 1"], None),
        (["s = {0: x0, **s}", "for layer in range(1, 9):", "    s[layer].fill(0)"], None),
    ],
)
def test_layers_that_are_never_needed_at_once_take_turns(lines: list[str], expected: int | None) -> None:
    assert turns_needed(lines, ["s"], "layer").get("s") == expected
