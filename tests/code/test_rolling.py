"""Loops over equal layers: the same numbers as without, under equations that the document prints."""

from __future__ import annotations

import re
import types
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Layered
from symbackprop.code import loops as rolling
from symbackprop.code.entries import Keyed, rolled_entries
from symbackprop.code.lines import lines_of
from symbackprop.code.loops import Rolled, layered_names
from symbackprop.code.statements import Block, Loop, names_of
from symbackprop.commands.comparison.module import check_module
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import Role
from tests.code.instructions import call

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
            places = re.findall(
                r"(?:^ +|out=|copyto\()(\w+)(\[layer\])?(?=\)| =| [-+*/]=|,|\[)", code, re.MULTILINE
            )
            written = [name for name, entry in places if entry or name == stem]  # or one turn alone reads it
            assert stem in written
            assert set(written) <= {stem, "part", "exponentials", "condition", "total", "largest"}
            checked += 1
    assert checked > 8


def test_a_thousand_layers_are_as_short_as_five() -> None:
    lines = [len(sb.generate(sb.Network("-".join(["7"] * n))).splitlines()) for n in (6, 101)]
    assert lines[1] < lines[0]


def test_fewer_layers_stay_statements() -> None:
    assert "for layer in" not in sb.generate(sb.Network("-".join(["7"] * 16)))


# ---------------------------------------------------------------- the blocks


def call_of(kind: Kind, x: str, w: str, out: str) -> Block:
    return Block(out, (call(kind, x, w, out=out),), 1)


def rolled(blocks: list[Block], *reserved: str, **layered: Layered) -> Rolled:
    found = {f"{stem}{n}": Layered(stem, n) for stem in "xw" for n in range(30)}
    return Rolled(blocks, found | layered, {*names_of(blocks)}, reserved, 76)


def lines(block: Block | Loop) -> list[str]:
    return list(lines_of([block]))


CHAIN = [call_of(Kind.ADD, f"x{n - 1}", f"w{n}", f"x{n}") for n in range(1, 21)]


def test_a_chain_becomes_a_loop() -> None:
    (loop,) = rolled(CHAIN).parts
    assert lines(loop) == [
        "for layer in range(1, 21):", "    np.add(x[layer - 1], w[layer], out=x[layer])"
    ]  # fmt: skip
    assert rolled(CHAIN).dicts == {"x": range(21), "w": range(1, 21)}


def test_a_chain_inwards_becomes_a_loop() -> None:
    (loop,) = rolled([call_of(Kind.ADD, f"x{n + 1}", f"w{n + 1}", f"x{n}") for n in range(20, 0, -1)]).parts
    assert lines(loop)[0] == "for layer in range(20, 0, -1):"
    assert isinstance(loop, Loop)
    assert loop.turn(3)[0].names == tuple(map(Layered, "xxwx", (3, 4, 4, 3)))


def test_what_stands_outside_of_the_loop_reads_what_is_kept_by_layer() -> None:
    *_, after = rolled([*CHAIN, Block("y", (call(Kind.EXP, "x20", out="y"),), 21)]).parts
    assert lines(after) == ["np.exp(x[20], out=y)"]


@pytest.mark.parametrize(
    "blocks",
    [
        [*CHAIN[:10], call_of(Kind.SUBTRACT, "x10", "w11", "x11"), *CHAIN[11:]],
        [*CHAIN[:10], call_of(Kind.ADD, "x9", "w11", "x11"), *CHAIN[11:]],
        [*CHAIN[:10], call_of(Kind.ADD, "x10", "x10", "y"), *CHAIN[10:]],
        [*CHAIN[:10], call_of(Kind.ADD, "x10", "x11", "x11"), *CHAIN[11:]],
    ],
    ids=["another function", "another layer", "something between", "another array"],
)
def test_what_differs_is_no_loop(blocks: list[Block]) -> None:
    assert rolled(blocks).parts == blocks


def test_other_shapes_are_no_loop() -> None:
    blocks = [replace(block, like=n < 10) for n, block in enumerate(CHAIN)]
    assert rolled(blocks).parts == blocks


@pytest.mark.parametrize("name", ["x", "w", "layer"])
def test_what_is_kept_by_layer_hides_no_other_name(name: str) -> None:
    assert rolled(CHAIN, name).parts == CHAIN


def chain(word: str, number: str = "{}") -> sb.Network:
    """Return a network of 24 layers given by equations, whose activations are called so."""
    names = [(word + number.format(n), f"w{number.format(n)}") for n in range(1, 25)]
    before = ["x", *(name for name, _ in names)]
    text = [
        "input x[n, k]",
        "target t[n, i]",
        f"parameter {', '.join(f'{w}[k, i]' for _, w in names)}",
        *(f"{y}[n, i] = tanh(sum({x}[n, k]*{w}[k, i], k))" for x, (y, w) in zip(before, names, strict=False)),
        f"E = mean(sum(({before[-1]}[n, i] - t[n, i])**2, i), n)",
        f"output {before[-1]}",
    ]
    return sb.Network.from_equations("\n".join(text), {"k": 4, "i": 4})


@pytest.mark.parametrize(
    ("word", "number", "loops"),
    [("h", "{}", True), ("h", "_{}", True), ("out", "{}", True), ("dot", "{}", True), ("layer", "{}", False)],
)
def test_layers_of_any_name_become_loops_that_compute_what_they_should(
    word: str, number: str, loops: bool
) -> None:
    """But for that of the number of the layer, which a loop counts."""
    network = chain(word, number)
    assert (
        "for layer in range(" in sb.generate(network).split("def _backpropagate(")[1].split("def _update(")[0]
    ) == loops
    assert all(row.holds for row in check_module(sb.load(network), sb.derive(network)))


def test_a_number_at_the_end_of_a_name_makes_no_layer() -> None:
    """The names of a chain by themselves; as quantities with roles they make a loop."""
    assert Rolled(CHAIN, {}, {*names_of(CHAIN)}, (), 76).parts == CHAIN


def test_layers_are_those_of_the_roles_whatever_the_names() -> None:
    """A name that does not end in the number of its layer can't be kept under that number."""
    system = replace(sb.derive(sb.Network("2-3-1")).system, roles={"s1": Role(2, "s"), "x1": Role(1, "x")})
    assert layered_names(system, str) == {"x1": Layered("x", 1), "dx1": Layered("dx", 1)}
    assert layered_names(system, lambda name: f"{name}_") == {}


def test_heads_side_by_side_make_no_loop() -> None:
    heads = range(1, 25)
    text = [
        "input x[n, k]",
        "target t[n, i]",
        f"parameter {', '.join(f'w{n}[k, i]' for n in heads)}",
        *(f"h{n}[n, i] = tanh(sum(x[n, k]*w{n}[k, i], k))" for n in heads),
        f"y[n, i] = {' + '.join(f'h{n}[n, i]' for n in heads)}",
        "E = mean(sum((y[n, i] - t[n, i])**2, i), n)",
        "output y",
    ]
    assert "for layer in" not in sb.generate(sb.Network.from_equations("\n".join(text), {"k": 4, "i": 2}))


def test_entries_of_a_dict() -> None:
    entries = {f"w{n}": Keyed("draw(", ", 4)") for n in range(3, 30)}
    layered = {f"w{n}": Layered("w", n) for n in range(3, 30)}
    found = rolled_entries(entries, layered)
    assert len(found) == 1
    assert eval("{" + "".join(found) + "}", {"draw": lambda *a: a}) == {name: (name, 4) for name in entries}
    assert len(rolled_entries(entries, {})) == len(entries)
