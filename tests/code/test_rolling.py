"""Loops over equal layers: the same numbers as without, under equations that the document prints."""

from __future__ import annotations

import re
import types
from functools import cache
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.code import loops as rolling
from symbackprop.code.loops import Item, Loop, Rolled, rolled_entries
from symbackprop.equations.steps import Derived

NETWORKS: dict[str, tuple[str, dict[str, Any], str]] = {
    "first and last differ": ("-".join(["10", *["8"] * 18, "3"]), {}, "sgd"),
    "from the inputs on": ("-".join(["6"] * 19), {"hidden": "tanh", "l2": 0.01}, "adam"),
    "masks, both penalties": (
        "-".join(["5"] * 19 + ["3:softmax"]), {"hidden": "relu", "l2": 0.1, "l1": 0.1}, "momentum"
    ),
    "trained activations": ("-".join(["5"] * 18 + ["2"]), {"hidden": "prelu"}, "rmsprop"),
    "shared parts, no bias": ("-".join(["4"] * 20), {"hidden": "gelu", "bias": False}, "nesterov"),
    "softmax inside": ("-".join(["4"] * 19), {"hidden": "softmax", "output": "identity"}, "adamw"),
    "two runs": ("-".join(["4", *["4:tanh"] * 17, "6", *["6:sigmoid"] * 17]), {}, "adagrad"),
}  # fmt: skip
each_network = pytest.mark.parametrize("name", NETWORKS)


@cache
def derived(name: str) -> Derived:
    architecture, options, optimizer = NETWORKS[name]
    return sb.derive(sb.Network(architecture, **options), optimizer=optimizer)


@cache
def source(name: str) -> str:
    return sb.generate(derived(name))


@cache
def source_without_loops(name: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rolling, "LEAST", 10**9)
        return sb.generate(derived(name))


def loaded(source: str) -> types.ModuleType:
    module = types.ModuleType("generated")
    exec(compile(source, "generated", "exec"), module.__dict__)
    return module


@cache
def both(name: str) -> tuple[types.ModuleType, types.ModuleType]:
    """Return the module with loops and the one that has a statement for each layer."""
    with_loops, without = source(name), source_without_loops(name)
    assert "for layer in range(" in with_loops
    assert "for layer in" not in without
    assert len(with_loops.splitlines()) < len(without.splitlines()) - 300
    return loaded(with_loops), loaded(without)


def data(module: types.ModuleType, samples: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(5)
    shapes = [shape for shape in module.PARAMETER_SHAPES.values() if len(shape) == 2]
    return rng.normal(size=(samples, shapes[0][0])), rng.dirichlet(np.ones(shapes[-1][1]), samples)


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return list(a) == list(b) and all(np.array_equal(a[k], b[k], equal_nan=True) for k in a)


@each_network
def test_loops_compute_the_same_numbers(name: str) -> None:
    a, b = both(name)
    assert list(a.PARAMETER_SHAPES.items()) == list(b.PARAMETER_SHAPES.items())
    x, t = data(a, 9)
    for dtype in (np.float32, np.float64):
        parameters = a.initialize(3, dtype)
        assert same(parameters, b.initialize(3, dtype))
        assert np.array_equal(a.forward(parameters, x), b.forward(parameters, x))
        assert a.loss(parameters, x, t) == b.loss(parameters, x, t)
        (error, own), (other_error, other) = (m.gradients(parameters, x, t) for m in (a, b))
        assert error == other_error
        assert same(own, other)
        assert {value.dtype for value in own.values()} == {np.dtype(dtype)}


@each_network
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loops_train_the_same_over_100_steps(name: str, dtype: type) -> None:
    """With short batches, weights of samples, clipping, and a trainer that is saved and loaded."""
    a, b = both(name)
    x, t = data(a, 9)
    trainers = [m.Trainer(m.initialize(1, dtype), batch_size=9, seed=2, clip_norm=0.5) for m in (a, b)]
    for step in range(100):
        rows = slice(0, 9 if step % 3 else 4)
        weights = None if step % 4 else np.linspace(0.5, 1, len(x[rows]))
        first, second = (trainer.step(x[rows], t[rows], weights) for trainer in trainers)
        assert first == second
    assert same(trainers[0].parameters, trainers[1].parameters)
    assert not same(trainers[0].parameters, a.initialize(1, dtype))


def test_a_trainer_with_loops_is_resumed(tmp_path: Any) -> None:
    module = loaded(source("first and last differ"))
    x, t = data(module, 9)
    trainer = module.Trainer(batch_size=4, seed=1)
    trainer.fit(x, t, 2)
    trainer.save(tmp_path / "trainer.npz")
    other = module.Trainer.load(tmp_path / "trainer.npz")
    assert trainer.fit(x, t, 2) == other.fit(x, t, 2)
    assert same(trainer.parameters, other.parameters)


def test_what_is_not_finite_is_named_with_its_layer() -> None:
    module = loaded(source("first and last differ"))
    parameters = module.initialize(0)
    for number in range(1, 20):
        parameters[f"w{number}"][:] = 1e4  # the derivatives overflow on the way back
        parameters[f"b{number}"][:] = -4e4
    with pytest.raises(FloatingPointError, match=r"(s|x|ds|dE/dw)\d+ is not finite"):
        module.Trainer(parameters, learning_rate=1e38).fit(*data(module, 9), 1)


@each_network
def test_a_loop_cites_what_the_document_prints(name: str) -> None:
    derivation = derived(name)
    document = re.sub(r"\s+", "", derivation.text(notation="layered"))
    pattern = r"^ +# \((\d+)\), …, \((\d+)\) (.*(?:\n +#     .*)*)"
    cited = re.findall(pattern, source(name), re.MULTILINE)
    assert cited
    for first, last, equation in cited:
        plain = re.sub(r"\n *#|\s", "", equation)
        assert plain in document
        steps = [int(first), int(last)]
        assert all(f"({number})" in document for number in steps)


@each_network
def test_a_statement_of_a_loop_stands_under_its_equation(name: str) -> None:
    """Under one of ds[ℓ] stand lines that write to ds[layer] and to parts that are named for it alone."""
    checked = 0
    loops = re.findall(r"^( +)for layer in range\(.*\n((?:\1    .*\n)+)", source(name), re.MULTILINE)
    for loop in loops:
        for comment, code in re.findall(r"((?: +#.*\n)+)((?: +[^ #].*\n)+)", loop[1]):
            found = re.search(r"…, \(\d+\) (?:∂E/∂)?(\w+)\[ℓ", re.sub(r"\n +# +", " ", comment))
            assert found
            stem = f"d{found[1]}" if "∂E/∂" in comment.split("=")[0] else found[1]
            written = re.findall(
                r"(?:^ +|out=|copyto\()(\w+)\[layer\](?=\)| =| [-+*/]=|,|\[)", code, re.MULTILINE
            )
            assert stem in written
            assert set(written) <= {stem, "part", "exponentials", "condition", "total", "largest"}
            checked += 1
    assert checked > 8


def test_a_thousand_layers_are_as_short_as_five() -> None:
    lines = [len(sb.generate(sb.Network("-".join(["7"] * n))).splitlines()) for n in (6, 101)]
    assert lines[1] < lines[0]


def test_fewer_layers_stay_statements() -> None:
    assert "for layer in" not in sb.generate(sb.Network("-".join(["7"] * 16)))


# ---------------------------------------------------------------- the lines


def items(*lines: str) -> list[Item]:
    return [Item(line.split(" = ")[0], (line,), n) for n, line in enumerate(lines, start=1)]


def rolled(lines: list[str], *reserved: str) -> Rolled:
    names = {name for line in lines for name in re.findall(r"[a-z]+\d+", line)}
    return Rolled(items(*lines), names, reserved)


CHAIN = [f"x{n} = f(x{n - 1}, w{n})" for n in range(1, 21)]


def test_a_chain_becomes_a_loop() -> None:
    (loop,) = rolled(CHAIN).parts
    assert isinstance(loop, Loop)
    assert loop.head == "for layer in range(1, 21):"
    assert rolled(CHAIN).inside(CHAIN[4], 5) == "x[layer] = f(x[layer - 1], w[layer])"
    assert rolled(CHAIN).dicts == {"x": range(21), "w": range(1, 21)}


@pytest.mark.parametrize(
    "broken",
    [
        [*CHAIN[:10], "x11 = g(x10, w11)", *CHAIN[11:]],
        [*CHAIN[:10], "x11 = f(x9, w11)", *CHAIN[11:]],
        [*CHAIN[:10], "y = x10", *CHAIN[10:]],
        [line.replace("w", "w1_") for line in CHAIN[:10]] + CHAIN[10:],
    ],
    ids=["another function", "another layer", "something between", "another array"],
)
def test_what_differs_is_no_loop(broken: list[str]) -> None:
    assert rolled(broken).parts == items(*broken)


def test_other_shapes_are_no_loop() -> None:
    own = [Item(i.name, i.lines, i.number, like=n < 10) for n, i in enumerate(items(*CHAIN))]
    assert Rolled(own, [*rolled(CHAIN).layered], ()).parts == own


@pytest.mark.parametrize("name", ["x", "w", "layer"])
def test_a_dict_hides_no_other_name(name: str) -> None:
    assert rolled(CHAIN, name).parts == items(*CHAIN)


def test_entries_of_a_dict() -> None:
    entries = {f"w{n}": f'draw("w{n}", 4)' for n in range(3, 30)}
    assert eval("{" + "".join(rolled_entries(entries)) + "}", {"draw": lambda *a: a}) == {
        name: (name, 4) for name in entries
    }
