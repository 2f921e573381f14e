"""Patches of convolutions: copied again on the way back, all of them in one room."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.code import patches
from symbackprop.network.random_data import sample_data

TEXT = """\
from library import conv2d
input x[n, c, p, q]
target t[n, f, h, g]
size c = 1, p = 7, q = 6
{}
E = mean(sum((s[n, f, h, g] - t[n, f, h, g])**2, f, h, g), n)
output s
"""
LAYERS = """\
s1 = conv2d(x, f=2, u=3, v=3)
a1[n, c1, p1, q1] = tanh(s1[n, c1, p1, q1])
s2 = conv2d(a1, f=3, u=2, v=2)
a2[n, e, a, b] = tanh(s2[n, e, a, b])
s[n, f, h, g] = conv2d(a2, f=2, u=2, v=2, padding=1)
"""
NETWORK = TEXT.format(LAYERS.strip())


def stepped(module: Any, network: sb.Network) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the derivatives of `gradients`, and how far one step of rate 1 moves the parameters."""
    x, t = sample_data(network.model, np.random.default_rng(0))
    parameters = module.initialize(1, np.float64)
    trainer = module.Trainer(parameters, learning_rate=1.0, batch_size=len(x))
    trainer.step(x, t)
    moved = {name: parameters[name] - trainer.parameters[name] for name in parameters}
    return module.gradients(parameters, x, t)[1], moved


def differ(module: Any, network: sb.Network) -> bool:
    own, moved = stepped(module, network)
    return any(not np.allclose(moved[name], value, rtol=1e-9, atol=1e-12) for name, value in own.items())


def test_a_step_with_patches_in_one_room_is_that_of_the_derivatives() -> None:
    network = sb.Network.from_equations(NETWORK)
    module: Any = sb.load(network)
    buffers = dict(zip(module.BUFFERS, module._allocate(5, np.dtype(np.float64)), strict=True))
    images = [array for array in buffers.values() if array.ndim == 6]
    assert len(images) >= 4  # patches of three layers, and what comes back through two of them
    assert all(np.shares_memory(images[0], other) for other in images[1:])
    assert not differ(module, network)


def test_patches_in_one_room_at_once_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The derivatives for the first layers would be of other layers' patches."""
    monkeypatch.setattr(patches, "_inserted", lambda body, own: tuple(body))
    monkeypatch.setattr(patches, "_meet", lambda some, others: False)
    network = sb.Network.from_equations(NETWORK)
    assert differ(sb.load(network), network)


def test_patches_that_are_not_made_again_have_no_room_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patches, "_inserted", lambda body, own: tuple(body))
    network = sb.Network.from_equations(NETWORK)
    assert not differ(sb.load(network), network)


def test_one_layer_keeps_its_patches() -> None:
    text = TEXT.format("s[n, f, h, g] = conv2d(x, f=2, u=3, v=3)")
    step = sb.generate(sb.Network.from_equations(text), bare=True).split("def step")[1]
    assert step.count("windows.transpose(") == 1


def test_what_is_needed_at_once_has_rooms_of_its_own() -> None:
    spans = {"a": [(0, 1), (8, 9)], "b": [(2, 7)], "c": [(3, 4)], "d": [(5, 8)], "e": [(10, 12)]}
    sizes = {"a": 9, "b": 8, "c": 7, "d": 6, "e": 5}
    assert patches.in_rooms(spans, sizes) == [["a", "b", "e"], ["c", "d"]]


def test_layers_whose_windows_are_not_alike_are_named_each_by_itself() -> None:
    """What the first layer of images has is looked for in the second one, which may not have it."""
    text = """\
from library import conv2d, max_pool2d
input x[n, c, p, q]
target t[n, e]
size c = 1, p = 6, q = 6
c1 = conv2d(x, f=2, padding=1)
a1[n, f, h, g] = relu(c1[n, f, h, g])
m1 = max_pool2d(a1, u=3, v=3, padding=1)
c2 = conv2d(m1, f=3, padding=1)
a2[n, e, a, b] = relu(c2[n, e, a, b])
m2 = max_pool2d(a2)
y[n, e] = mean(m2[n, e, v, w], v, w)
E = mean(sum((y[n, e] - t[n, e])**2, e), n)
output y
"""
    network = sb.Network.from_equations(text)
    assert not differ(sb.load(network), network)
