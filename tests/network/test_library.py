"""The blocks of the library: against PyTorch's figures, proved, and with a source each."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.check import check_network
from symbackprop.library.block_files import block_files
from tests.conftest import REFERENCE, ROOT

Arrays = dict[str, np.ndarray]
USES = {entry["key"]: entry for entry in json.loads((REFERENCE / "blocks.json").read_text())["uses"]}
QUICK = {
    "dense", "dense_sequence", "rnn", "conv1d", "max_pool1d", "embedding", "layer_norm", "rms_norm",
    "residual", "dot_product_attention", "swiglu", "crf",
}  # fmt: skip
"""Blocks whose proof is no slow test."""


@cache
def figures(key: str) -> Arrays:
    with np.load(REFERENCE / "blocks.npz") as file:
        return {n.removeprefix(f"{key}."): file[n] for n in file.files if n.startswith(f"{key}.")}


def header(block: str) -> dict[str, str]:
    """Return what a block is given and its result, each with its letters, such as {"x": "n, p", "": "n"}."""
    line = re.search(
        rf"^block {block}\(([^)]*(?:\(\w\)[^)]*)*)\) -> \w+\[(.*)\]$", block_files()[block], re.MULTILINE
    )
    assert line is not None
    return {**dict(re.findall(r"(\w+)\[(.*?)\]", line[1])), "": line[2]}


def text_of(key: str, given: Arrays | None = None) -> str:
    """Return a network around a use of a block: E is the sum of its results, each times a number.

    With arrays for what it is given, these are parameters, of which each sample has its own part, so that
    there are gradients for them; without, the sizes are open.
    """
    use = USES[key]
    axes = header(use["block"])
    result = axes.pop("")
    axes = {name: axes[name] for name in use["arguments"]}
    lines = [f"from library import {use['block']}", f"input cotangent[{result}]", "parameter factor = 1"]
    for name, letters in axes.items():
        others = letters.removeprefix("n")
        if name in use["whole"]:
            lines.append(f"integer input {name}[{letters}]")
        elif given is None:
            lines += [f"input {name}[{letters}]", f"read_{name}[{letters}] = factor*{name}[{letters}]"]
        else:
            row = f"row_of_{name}"
            lines += [f"integer input {row}[n]", f"parameter {name}[{row}{others}]"]
            lines.append(f"read_{name}[{letters}] = factor*{name}[{row}[n]{others}]")
    if given is not None:
        lines.append(f"size {sizes_of(use, given)}")
    optional = re.findall(r"(\w+)\[[^]]*\] = ", block_files()[use["block"]].split("->")[0])
    read = {name: name if name in use["whole"] else f"read_{name}" for name in axes}
    names = [f"{name}={word}" if name in optional else word for name, word in read.items()]
    arguments = ", ".join([*names, use["options"]] if use["options"] else names)
    lines.append(f"y[{result}] = {use['block']}({arguments})")
    others = result.removeprefix("n").removeprefix(", ")
    product = f"factor*cotangent[{result}]*y[{result}]"
    lines.append(f"E = mean({f'sum({product}, {others})' if others else product}, n)")
    return "\n".join([*lines, "output y", ""])


def sizes_of(use: dict[str, Any], given: Arrays) -> str:
    """Return the sizes of all letters in the block's header, and of the axes that hold the samples' parts."""
    sizes: dict[str, int] = {}
    for name, letters in header(use["block"]).items():
        if name and name not in use["arguments"]:
            continue
        first = f"row_of_{name}" if name and name not in use["whole"] else ""
        array = given[name or "output"]
        sizes |= {i: n for i, n in zip((first, *letters.split(", ")[1:]), array.shape, strict=True) if i}
    return ", ".join(f"{letter} = {number}" for letter, number in sizes.items())


LONG = {
    *(f"{way}{layer}" for way in ("", "backward_", "bidirectional_") for layer in ("lstm", "gru")),
    *("backward_rnn", "bidirectional_rnn", "transformer_block", "encoder_block"),
}
"""Blocks that take seconds to derive."""


@pytest.mark.parametrize(
    "key", [pytest.param(k, marks=[pytest.mark.slow] * (use["block"] in LONG)) for k, use in USES.items()]
)
def test_outputs_and_gradients_are_those_of_pytorch(key: str) -> None:
    use, right = USES[key], figures(key)
    module: Any = sb.load(sb.Network.from_equations(text_of(key, right)))
    learned = [*use["parameters"], *(name for name in use["arguments"] if name not in use["whole"])]
    assert set(module.PARAMETER_SHAPES) == {*learned, "factor"}
    states = use.get("states", [])
    parameters = {name: right[name] for name in (*learned, *states)} | {"factor": np.array(1.0)}
    samples = len(right["cotangent"])
    x = {name: right[name] for name in use["whole"]} | {"cotangent": right["cotangent"]}
    x |= {f"row_of_{name}": np.arange(samples) for name in use["arguments"] if name not in use["whole"]}
    noise = {"noise": {name: right[name] for name in use["noise"]}} if "noise" in use else {}
    assert_close(module.forward(parameters, x), right.get("in_use", right["output"]))
    error, gradients = module.gradients(parameters, x, **noise)
    assert_close(error * samples, np.sum(right["output"] * right["cotangent"]))
    for name in learned:
        assert_close(gradients[name] * samples, right[f"grad.{name}"])
    trainer = module.Trainer(parameters)
    trainer.step(x)
    for name in states:
        assert_close(trainer.parameters[name], right[f"left.{name}"])


def assert_close(found: np.ndarray, right: np.ndarray) -> None:
    assert np.shape(found) == np.shape(right)
    np.testing.assert_allclose(found, right, rtol=0, atol=1e-9 * max(1e-3, float(np.abs(right).max())))


def test_a_kernel_that_is_turned_round_is_noticed() -> None:
    right = figures("conv1d")
    turned = {**right, "w": right["w"][:, :, ::-1]}
    module: Any = sb.load(sb.Network.from_equations(text_of("conv1d", right)))
    parameters = {name: turned[name] for name in ("w", "b", "x")} | {"factor": np.array(1.0)}
    found = module.forward(parameters, {"row_of_x": np.arange(3), "cotangent": right["cotangent"]})
    with pytest.raises(AssertionError):
        assert_close(found, right["output"])


FORWARD = ("rnn", "gru", "lstm", "peephole_lstm", "causal_attention", "grouped_query_attention")


@pytest.mark.parametrize("key", [*FORWARD, pytest.param("transformer_block", marks=pytest.mark.slow)])
def test_lengths_are_open_and_what_comes_later_changes_nothing(key: str) -> None:
    use, right = USES[key], figures(key)
    axes = header(use["block"])
    sizes = {axes["x"].split(", ")[2]: right["x"].shape[2], axes[""].split(", ")[2]: right["output"].shape[2]}
    module: Any = sb.load(sb.Network.from_equations(text_of(key), sizes))
    parameters = {name: right[name] for name in use["parameters"]} | {"factor": np.array(1.0)}
    for length in (5, 3, 1):
        x = {"x": right["x"][:, :length], "cotangent": right["cotangent"][:, :length]}
        assert_close(module.forward(parameters, x), right["output"][:, :length])


def test_each_block_has_figures() -> None:
    assert {use["block"] for use in USES.values()} == set(block_files())


def test_each_block_stands_in_the_docs_with_its_header_and_a_use() -> None:
    page = (ROOT / "docs" / "blocks.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)(\(.*\) -> .*?\])` \| .* \| `.*\b\1\b.*` \|$", page, re.MULTILINE))
    headers = {n: re.search(rf"^block {n}(.*)$", text, re.MULTILINE) for n, text in block_files().items()}
    assert rows == {name: found[1] for name, found in headers.items() if found is not None}
    for name, text in block_files().items():
        listed = re.findall(r"^    parameter (.*)$", text, re.MULTILINE)
        parameters = re.findall(r"\w+\[.*?\]", " ".join(listed))
        (row,) = (line for line in page.split("\n") if line.startswith(f"| `{name}("))
        assert [p for p in parameters if f"`{p}`" not in row] == []


def test_a_use_with_other_constants_is_another_function() -> None:
    """Epsilon and the padding are those that the use says."""
    text = text_of("layer_norm", figures("layer_norm"))
    right = figures("layer_norm")
    parameters = {name: right[name] for name in ("gain", "shift", "x")} | {"factor": np.array(1.0)}
    x = {"row_of_x": np.arange(4), "cotangent": right["cotangent"]}
    module: Any = sb.load(sb.Network.from_equations(text.replace("(read_x)", "(read_x, epsilon=1)")))
    middle = right["x"] - right["x"].mean(1, keepdims=True)
    scaled = middle / np.sqrt((middle**2).mean(1, keepdims=True) + 1)
    assert_close(module.forward(parameters, x), right["gain"] * scaled + right["shift"])


MODELS = {
    "images": """\
from library import conv2d, max_pool2d, batch_norm2d
input image[n, c, p, q]
integer target label[n]
parameter w[f, h, g, i], b[i]
size c = 1, p = 8, q = 8, i = 10
s1 = conv2d(image, f=8, padding=1)
n1 = batch_norm2d(s1)
x1[n, e, a, b] = relu(n1[n, e, a, b])
m1 = max_pool2d(x1)
s2[n, f, h, g] = conv2d(m1, f=16, padding=1, stride=2)
x2[n, f, h, g] = relu(s2[n, f, h, g])
z[n, i] = sum(x2[n, f, h, g]*w[f, h, g, i], f, h, g) + b[i]
l[n, i] = log_softmax(z[n, i], i)
E = mean(-l[n, label[n]], n)
output z
""",
    "tags": """\
from library import embedding_sequence, bidirectional_lstm, dense_sequence, crf
integer input word[n, t], tag[n, t]
x = embedding_sequence(word, v=30, d=8)
h = bidirectional_lstm(x, i=6)
score[n, t, i] = dense_sequence(h, j=4)
loss = crf(score, tag)
E = mean(loss[n], n)
output score
""",
    "words": """\
from library import embedding_sequence, rms_norm_sequence, rotary, swiglu_sequence, dense_sequence
from library import causal_dot_product_attention
integer input word[n, p]
integer target next[n, p]
size v = 12, d = 8, h = 2, a = 4
block layer(x[n, p, d]) -> y[n, p, d]
    parameter wq[d, h, a], wk[d, h, a], wv[d, h, a], wo[h, a, d]
    u = rms_norm_sequence(x)
    q[n, h, p, a] = sum(u[n, p, d]*wq[d, h, a], d)
    k[n, h, p, a] = sum(u[n, p, d]*wk[d, h, a], d)
    v[n, h, p, a] = sum(u[n, p, d]*wv[d, h, a], d)
    qr = rotary(q)
    kr = rotary(k)
    o[n, h, p, a] = causal_dot_product_attention(qr, kr, v)
    m[n, p, d] = x[n, p, d] + sum(o[n, h, p, a]*wo[h, a, d], h, a)
    r = rms_norm_sequence(m)
    g = swiglu_sequence(r, h=12)
    y[n, p, d] = m[n, p, d] + g[n, p, d]
x0[n, p, d] = embedding_sequence(word, v=12)
x2 = repeat(layer, 2, x0)
z[n, p, v] = dense_sequence(x2)
l[n, p, v] = log_softmax(z[n, p, v], v)
E = mean(-l[n, p, next[n, p]], n, p)
output z
""",
}


@pytest.mark.parametrize(
    "name", ["images", *(pytest.param(n, marks=pytest.mark.slow) for n in ("tags", "words"))]
)
def test_networks_of_blocks_learn(name: str) -> None:
    module: Any = sb.load(sb.Network.from_equations(MODELS[name]), optimizer="adam")
    trainer = module.Trainer(seed=1, learning_rate=0.01, batch_size=10)
    generator = np.random.default_rng(1)
    data: dict[str, Any] = {
        "images": (generator.normal(size=(20, 1, 8, 8)), generator.integers(0, 10, 20)),
        "tags": (
            {"word": generator.integers(0, 30, (20, 6)), "tag": generator.integers(0, 4, (20, 6))},
            None,
        ),
        "words": (generator.integers(0, 12, (20, 7)), generator.integers(0, 12, (20, 7))),
    }
    history = trainer.fit(*data[name], epochs=40)
    assert history["loss"][-1] < 0.5 * history["loss"][0]


FIRST = {use["block"]: key for key, use in reversed(USES.items())}
"""Block -> one of its uses."""


@pytest.mark.parametrize(
    "block", [pytest.param(b, marks=[pytest.mark.slow] * (b not in QUICK)) for b in block_files()]
)
def test_each_block_is_proved_and_its_code_agrees(block: str) -> None:
    report = check_network(sb.Network.from_equations(text_of(FIRST[block]), open_sizes(FIRST[block])))
    assert report.holds, report.table()


GIVEN = [key for key in USES if re.search("_(given|lengths|padded)$", key)]
"""Uses that give a block what may be left out, or padding."""


@pytest.mark.parametrize(
    "key", [pytest.param(k, marks=[pytest.mark.slow] * (k != "average_pool1d_padded")) for k in GIVEN]
)
def test_what_may_be_left_out_is_proved_where_it_is_given(key: str) -> None:
    report = check_network(sb.Network.from_equations(text_of(key), open_sizes(key)))
    assert report.holds, report.table()


def test_what_stands_behind_the_end_of_a_sequence_changes_nothing() -> None:
    right, key = figures("rnn_given"), "rnn_given"
    module: Any = sb.load(sb.Network.from_equations(text_of(key), {"k": 2, "i": 4}))
    parameters = {name: right[name] for name in USES[key]["parameters"]} | {"factor": np.array(1.0)}
    x = {name: right[name] for name in (*USES[key]["arguments"], "cotangent")}
    behind = np.arange(x["x"].shape[1]) >= x["length"][:, None]
    assert behind.any()
    other = {**x, "x": np.where(behind[:, :, None], 1e6, x["x"])}
    for data in (x, other):
        assert_close(module.forward(parameters, data), right["output"])
        assert (module.forward(parameters, data)[behind] == 0).all()
    for name, gradient in module.gradients(parameters, x)[1].items():
        assert_close(module.gradients(parameters, other)[1][name], gradient)


def open_sizes(key: str) -> dict[str, int]:
    """Return sizes for those letters of a use that the block's text does arithmetic with."""
    axes = header(USES[key]["block"])
    computed = " ".join(re.findall(r"^    size (.*)$", block_files()[USES[key]["block"]], re.MULTILINE))
    letters = set(re.findall(r"size\((\w)\)", computed))
    right = figures(key)
    return {
        letter: number
        for name, own in axes.items()
        if name in right
        for letter, number in zip(own.split(", "), right[name].shape, strict=True)
        if letter in letters
    }
