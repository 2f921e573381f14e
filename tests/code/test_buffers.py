"""Buffers that are never needed at once are one array; predicting needs none of training's."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Layered, Operation, Reduction
from symbackprop.code.liveness import shared_arrays, turns_needed
from symbackprop.code.statements import ONE, Block, Call, Condition, InPlace, Instruction, Loop, When
from symbackprop.commands.comparison.module import check_module
from tests.code.instructions import added, call, dot, exp, named, of, read, reshaped, total, transposed
from tests.conftest import random_parameters, sample_data

# ---------------------------------------------------------------- which may share

SAME = (False, "shape")
OTHER = (False, "other")
STEPS: dict[str, tuple[list[Instruction], dict[str, Any], list[set[str]]]] = {
    "one after another": (
        [dot("x", "w", "a"), dot("a", "w", "b"), dot("b", "w", "c")], {}, [{"a", "c"}, {"b"}]
    ),
    "component by component": (
        [exp("x", "a"), call(Kind.ADD, "a", "x", out="b"), added("b", "x")], {}, [{"a", "b"}]
    ),
    "of two of its arrays one": (
        [exp("x", "a"), exp("x", "b"), call(Kind.ADD, "a", "b", out="c")], {}, [{"a"}, {"b", "c"}]
    ),
    "not in a product": ([exp("x", "a"), dot("a", "w", "b")], {}, [{"a"}, {"b"}]),
    "not in a sum": (
        [exp("x", "a"), Call(Operation(Kind.SUM, (read("a"),), Reduction(0)), read("b"))], {}, [{"a"}, {"b"}]
    ),
    "not transposed": (
        [exp("x", "a"), call(Kind.ADD, transposed("a"), "a", out="b")], {}, [{"a"}, {"b"}]
    ),
    "not in a function of the module's own": (
        [exp("x", "a"), call(Kind.ERF, "a", out="b")], {}, [{"a"}, {"b"}]
    ),
    "read later": (
        [dot("x", "w", "a"), exp("a", "b"), dot("b", "w", "c"), InPlace(Kind.MULTIPLY, read("c"), read("a"))],
        {},
        [{"a"}, {"b"}, {"c"}],
    ),
    "a view": (
        [dot("x", "w", "a"), named("v", reshaped("a")), exp("x", "b"), exp("v", "c")], {}, [{"a"}, {"b", "c"}]
    ),
    "a view of a view": (
        [
            exp("x", "a"), named("v", transposed("a")), named("u", transposed("v")), exp("x", "b"),
            added("b", "u"), dot("b", "w", "c"),
        ],
        {},
        [{"a", "c"}, {"b"}],
    ),
    "under a condition": (
        [
            exp("x", "a"), When(Condition.WITH_LOSS, (dot("a", "w", "b"), named("E", total("b")))),
            exp("x", "c"),
        ],
        {},
        [{"a"}, {"b", "c"}],
    ),
    "around a loop": (
        [exp("x", "a"), Loop(range(3), (exp("x", "b"), exp("b", "c"), added("c", "a")))],
        {},
        [{"a"}, {"b"}, {"c"}],
    ),
    "of another shape": (
        [exp("x", "a"), exp("a", "b"), exp("b", "c")], {"c": OTHER}, [{"a", "b"}, {"c"}]
    ),
    "kept between steps": (
        [exp("x", "a"), exp("a", "b"), exp("b", "c"), exp("c", "b")],
        {"a": None, "c": None},
        [{"a"}, {"b"}, {"c"}],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STEPS)
def test_buffers_share_an_array_that_are_never_needed_at_once(case: str) -> None:
    program, special, expected = STEPS[case]
    written = {name for instruction in program for name in instruction.writes}
    kinds = {name: special.get(name, SAME) for name in "abc" if name in written}
    found = shared_arrays([Block("c", tuple(program), 1)], kinds)
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


def arrays_of(module: Any) -> dict[str, Any]:
    """Return the buffers of a step by their names; those that share an array have the same."""
    return dict(zip(module.BUFFERS, module.Trainer(seed=0)._buffers, strict=True))


def count(buffers: Iterable[Any]) -> int:
    return len({id(buffer) for buffer in buffers})


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
    assert count(arrays_of(module).values()) < 0.75 * len(module.BUFFERS)
    apart = trained(module, NETWORKS[name], lambda buffers: tuple(buffer.copy() for buffer in buffers))
    assert trained(module, NETWORKS[name]) == apart


@pytest.mark.parametrize("name", NETWORKS)
def test_buffers_that_are_needed_at_once_are_found_out(name: str) -> None:
    """What the test above relies on: one array too few, and the numbers are others."""
    module = sb.load(NETWORKS[name])
    first = next(n for n in module.BUFFERS if n.startswith("x"))
    other = next(n for n in module.BUFFERS if n.startswith(("x", "s")) and n > first)
    places = list(module.BUFFERS)

    def merged(buffers: tuple[Any, ...]) -> tuple[Any, ...]:
        assert buffers[places.index(first)].shape == buffers[places.index(other)].shape
        one = buffers[places.index(first)]
        return tuple(one if n == other else b for n, b in zip(places, buffers, strict=True))

    assert trained(module, NETWORKS[name], merged) != trained(module, NETWORKS[name])


def test_depth_adds_one_array_a_layer() -> None:
    """Of a layer only its activation is needed until the derivatives come back to it."""

    def arrays(depth: int) -> int:
        module = sb.load(sb.Network("-".join(["8"] * (depth + 1)), hidden="tanh"))
        return count(arrays_of(module).values())

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


def loop(layers: range, *inner: Instruction) -> Loop:
    return Loop(layers, (Block(of("s"), inner, 1, last=2),))


UP, DOWN = range(1, 9), range(8, 0, -1)
PLACES = Operation(Kind.ARGMAX, (read(of("s")),), Reduction(1))
"""New numbers, and no view of what they are places in."""


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ([loop(UP, exp("x", of("s")), added(of("s"), ONE))], 1),
        ([exp("x", Layered("s", 9)), loop(DOWN, exp(of("s", 1), of("s")))], 2),
        ([loop(range(2, 9), dot(of("s", -2), "w", of("s")))], 3),
        ([loop(UP, exp("x", of("s"))), exp("x", Layered("s", 1))], None),
        ([loop(UP, exp("x", of("s"))), Loop(UP, (added("y", of("s")),))], None),
        ([loop(UP, named("view", of("s")), added("view", ONE))], None),
        ([loop(UP, exp("x", of("s")), named(of("at"), PLACES), added("y", of("at")))], 1),
        ([named("y", "s"), loop(UP, exp("x", of("s")))], None),
    ],
)
def test_layers_that_are_never_needed_at_once_take_turns(
    program: list[Instruction], expected: int | None
) -> None:
    assert turns_needed(program, ["s"]).get("s") == expected


# ---------------------------------------------------------------- what is ready before a step


def step_of(network: sb.Network) -> str:
    return sb.generate(network).split("def _backpropagate(")[1].split("def _update(")[0]


OF_OUTPUTS = """\
input x[n, k]
target t[n]
parameter w[k]
size k = 2
s[n] = sum(x[n, k]*w[k], k)
middle[n] = tanh(s[n])
y[n] = 2*middle[n]
E = mean((s[n] - t[n])**2, n)
output y
"""


STABLE = """\
input x[n, r]
target t[n, r]
parameter w[r]
size r = 3
s[n, r] = x[n, r]*w[r]
top[n] = max(s[n, r], r)
ex[n, r] = exp(s[n, r] - top[n])
den[n] = sum(ex[n, r], r)
y[n, r] = ex[n, r]/den[n]
E = mean(sum((y[n, r] - t[n, r])**2, r), n)
output y
"""


@pytest.mark.parametrize(
    ("text", "unread"),
    [(OF_OUTPUTS, {"middle", "y"}), (STABLE, {"ex", "den", "dex", "dden"})],
    ids=["for outputs alone", "behind stable forms"],
)
def test_a_step_computes_nothing_that_nobody_reads(text: str, unread: set[str]) -> None:
    network = sb.Network.from_equations(text)
    module = sb.load(network)
    assert unread.isdisjoint(module.BUFFERS)
    assert not unread & {*re.findall(r"\w+", re.sub(r"#.*", "", step_of(network)))}


def test_a_maximum_is_taken_with_an_array_of_zeros() -> None:
    network = sb.Network("5-6-3", hidden="relu", output="softmax")
    assert "np.maximum(s1, zeros, out=x1)" in step_of(network)
    module = sb.load(network)
    trainer = module.Trainer(batch_size=4, seed=0)
    for samples in (4, 2):
        trainer.step(*sample_data(network, np.random.default_rng(0), samples))
    assert not trainer._buffers[module.BUFFERS.index("zeros")].any()


def test_sums_along_rows_and_over_samples_are_products_with_ones() -> None:
    assert re.search(
        r"exponentials2\.dot\(ones\d+, out=total2\)", step_of(sb.Network("5-6-3", output="softmax"))
    )
    assert "E = np.vdot(work1, ones) / samples" in step_of(sb.Network("5-6-1", output="sigmoid"))
    assert "work1.sum()" in step_of(sb.Network("5-6-2", output="sigmoid"))


ROWS = """
input x[n, p, k, m]
parameter b[m] = 1
size p = 3, k = 2, m = 5
s[n, p, k, m] = x[n, p, k, m] + b[m]
g[n, p, k, m] = softmax(s[n, p, k, m], m)
E = mean(sum(g[n, p, k, m]*s[n, p, k, m]**2, p, k, m), n)
output g
"""


def test_short_rows_are_turned_to_columns_and_sums_of_more_axes_are_products_with_ones() -> None:
    """NumPy goes through a short row number by number."""
    network = sb.Network.from_equations(ROWS)
    step = step_of(network)
    assert re.search(r"np\.copyto\((work\d+)\.reshape\(5, -1\), s\.reshape\(-1, 5\)\.T\)", step)
    assert re.search(r"np\.max\(work\d+\.reshape\(5, -1\), axis=0, out=\w+\.reshape\(-1\)\)", step)
    assert re.search(r"exponentials\w*\.reshape\(-1, 5\)\.dot\(ones\d+, out=\w+\.reshape\(-1\)\)", step)
    assert re.search(r"ones\d+\.reshape\(-1\)\.dot\(\w+\.reshape\(-1, 5\), out=db\)", step)
    assert all(row.holds for row in check_module(sb.load(network), sb.derive(network)))


def test_names_of_a_network_are_not_taken_by_its_buffers() -> None:
    net = sb.Network.from_equations(
        """
        input     x[n, i]
        target    t[n, j]
        parameter w[i, j]
        zeros[n, j] = relu(sum(x[n, i]*w[i, j], i))
        E           = mean(sum((zeros[n, j] - t[n, j])**2, j), n)
        output zeros
        """,
        {"i": 3, "j": 4},
    )
    module = sb.load(net)
    buffers = list(module.BUFFERS)
    assert len(set(buffers)) == len(buffers)
    rng = np.random.default_rng(0)
    start = random_parameters(module.PARAMETER_SHAPES, rng)
    x, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))
    trainer = module.Trainer(start, batch_size=5, learning_rate=1.0)
    assert trainer.step(x, t) == pytest.approx(module.loss(start, x, t), rel=1e-12)
    _, derivatives = module.gradients(start, x, t)
    np.testing.assert_allclose(start["w"] - trainer.parameters["w"], derivatives["w"], rtol=1e-12)


NETS = {
    "two stacks of maps of 7": (
        """
        input     x[n, p]
        target    t[n, i]
        parameter k1[a, u], k2[b, a, u], o[b, i]
        s1[n, a, p] = sum(where(0 <= p + u - 1 < size(p), x[n, p + u - 1], 0)*k1[a, u], u)
        h1[n, a, p] = relu(s1[n, a, p])
        s2[n, b, p] = sum(where(0 <= p + u - 1 < size(p), h1[n, a, p + u - 1], 0)*k2[b, a, u], a, u)
        h2[n, b, p] = relu(s2[n, b, p])
        y[n, i] = softmax(sum(h2[n, b, p]*o[b, i], b, p), i)
        E = -mean(sum(t[n, i]*log(y[n, i]), i), n)
        output y
        """,
        {"p": 7, "i": 3, "a": 2, "b": 3, "u": 3},
    ),
    "a relu along an axis of open size": (
        """
        input     x[n, p]
        target    t[n, i]
        parameter w[u, c], v[c, i]
        s[n, c, q] = sum(x[n, q + u]*w[u, c], u)
        h[n, c, q] = relu(s[n, c, q])
        m[n, c] = mean(h[n, c, q], q)
        y[n, i] = sum(m[n, c]*v[c, i], c)
        E = mean(sum((y[n, i] - t[n, i])**2, i), n)
        output y
        """,
        {"u": 3, "c": 4, "i": 2},
    ),
    "a softmax along an axis of open size": (
        """
        input     x[n, p]
        target    t[n, i]
        parameter w[u], v[i]
        s[n, q] = sum(x[n, q + u]*w[u], u)
        y[n, q] = softmax(s[n, q], q)
        z[n, i] = v[i]*sum(y[n, q]**2, q)
        E = mean(sum((z[n, i] - t[n, i])**2, i), n)
        output z
        """,
        {"u": 3, "i": 2},
    ),
    "ones of two shapes": (
        """
        input     x[n, i]
        target    t[n, i]
        parameter b[i]
        r[i] = where(b[i] > 1, b[i], 1)
        y[n, i] = where(x[n, i]*r[i] > 1, x[n, i]*r[i], 1)
        E = mean(sum((y[n, i] - t[n, i])**2, i), n)
        output y
        """,
        {"i": 2},
    ),
    "a pre-activation that is read elsewhere": (
        """
        input     x[n, k]
        target    t[n, i]
        parameter w[k, i]
        pre[n, i] = sum(x[n, k]*w[k, i], k)
        act[n, i] = where(pre[n, i] > 1, pre[n, i], 1)
        y[n, i] = act[n, i]*pre[n, i]
        E = mean(sum((y[n, i] - t[n, i])**2, i), n)
        output y
        """,
        {"k": 3, "i": 4},
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_filled_arrays_and_shared_ones_in_networks_of_any_shape(name: str) -> None:
    net = sb.Network.from_equations(*NETS[name])
    assert all(row.holds for row in check_module(sb.load(net), sb.derive(net)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_buffers_begin_a_line_of_the_cache(dtype: str) -> None:
    module = sb.load(sb.Network("5-7-3", hidden="relu", output="softmax"))
    start = {name: value.astype(dtype) for name, value in module.initialize(0).items()}
    trainer = module.Trainer(start, batch_size=3)
    names = [n for n in module.BUFFERS if not n.startswith(("mask", "ones"))]
    buffers = dict(zip(module.BUFFERS, trainer._buffers, strict=True))
    assert {buffers[name].ctypes.data % 64 for name in names} == {0}


def test_a_mask_is_read_off_the_activation() -> None:
    """So that the activation may take the array of its pre-activation; the numbers are the same."""
    network = sb.Network("5-6-7-3", hidden="relu", output="softmax")
    source = sb.generate(network)
    assert "np.greater(x1, zero, out=mask" in source
    module = sb.load(network)
    buffers = arrays_of(module)
    assert buffers["s1"] is buffers["x1"]
    rng = np.random.default_rng(0)
    start = random_parameters(module.PARAMETER_SHAPES, rng)
    x, t = sample_data(network, rng, 8)
    trainer = module.Trainer(start, batch_size=8, learning_rate=1.0)
    trainer.step(x, t)
    _, derivatives = module.gradients(start, x, t)
    for name, value in trainer.parameters.items():
        np.testing.assert_allclose(start[name] - value, derivatives[name], rtol=1e-12, atol=1e-15)
