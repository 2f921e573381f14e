"""Blocks: each use is what its lines stand for, under names of its own; mistakes are told at both places."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.document.render import render
from symbackprop.errors import SpecificationError
from symbackprop.library.block_files import block_files
from symbackprop.network.notation import declarations
from symbackprop.network.notation.lines import split_outside, statements
from symbackprop.network.random_data import sample_data
from symbackprop.network.writing import text_of
from tests.conftest import ROOT
from tests.network import test_net_cli
from tests.test_cli import Runner

command = test_net_cli.command

HEAD = """\
input x0[n, k]
target t[n, i]
size k = 3, i = 3
"""
LAYER = """\
block layer(x[n, d]) -> y[n, e]
    # A comment, and a line without anything.

    parameter w[d, e] = xavier, b[e]
    s[n, e] = sum(x[n, d]*w[d, e], d) + b[e]
    y[n, e] = tanh(s[n, e])
"""
USES = "x1 = layer(x0)\nx2 = layer(x1)\n"
END = "E = mean(sum((x2[n, i] - t[n, i])**2, i), n)\noutput x2\n"
GOOD = HEAD + LAYER + USES + END
BY_HAND = (
    HEAD
    + "".join(
        f"""\
parameter w{u}[d, e] = xavier, b{u}[e]
s{u}[n, e] = sum(x{u - 1}[n, d]*w{u}[d, e], d) + b{u}[e]
x{u}[n, e] = tanh(s{u}[n, e])
"""
        for u in (1, 2)
    )
    + END
)


def network(text: str) -> sb.Network:
    return sb.Network.from_equations(text, origin="net.net")


def without_text(source: str) -> str:
    """Return a module without the text that it was made from."""
    return re.sub(r'ARCHITECTURE = """.*?"""', "", source, count=1, flags=re.DOTALL)


def without_sections(text: str) -> list[str]:
    """Return the lines of a derivation but for the titles of sections."""
    return [line for line in re.sub(r"[^\n]+\n~+\n", "", text).split("\n") if line]


def same(text: str, by_hand: str) -> None:
    """See that two texts make the same module and the same derivation, to the byte."""
    first, second = network(text), network(by_hand)
    assert without_sections(sb.derive(first).text()) == without_sections(sb.derive(second).text())
    assert without_text(sb.generate(first)) == without_text(sb.generate(second))


def refused(text: str) -> str:
    with pytest.raises(SpecificationError) as caught:
        network(text)
    return str(caught.value)


def parameters(text: str) -> list[str]:
    return list(network(text).model.system.parameters)


# ------------------------------------------------------------------------------------------- local


def test_a_use_is_what_its_lines_stand_for() -> None:
    same(GOOD, BY_HAND)


def test_the_equations_are_printed_without_blocks() -> None:
    text = text_of(network(GOOD))
    assert "block" not in text
    assert "# x1 = layer(x0)\n## layer 1\n" in text
    same(text, BY_HAND)
    for format in ("text", "html"):
        assert render(sb.derive(network(text)), format, title="") == render(
            sb.derive(network(GOOD)), format, title=""
        )


def test_the_text_of_a_module_is_the_text_that_was_given() -> None:
    module = sb.generate(network(GOOD))
    assert "    s[n, e] = sum(x[n, d]*w[d, e], d) + b[e]" in module
    assert sb.generate(network(network(GOOD).description)) == module


def test_a_single_use_has_no_number() -> None:
    assert parameters(HEAD + LAYER + "x2 = layer(x0)\n" + END) == ["w", "b"]


def test_a_module_trains(tmp_path: Path) -> None:
    path = tmp_path / "net.net"
    path.write_text(GOOD)
    trainer = sb.load(sb.Network.from_file(path)).Trainer(seed=1, learning_rate=0.1)
    x = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    history = trainer.fit(x, np.tanh(x) / 2, epochs=30)
    assert history["loss"][-1] < history["loss"][0] / 2


def test_what_is_declared_outside_is_shared() -> None:
    shared = LAYER.replace("parameter w[d, e] = xavier, b[e]", "parameter b[e]")
    text = (
        HEAD
        + "parameter w[d, e]\nconstant c = 2\n"
        + shared.replace("+ b[e]", "+ c*b[e]*x0[n, e]")
        + USES
        + END
    )
    by_hand = BY_HAND.replace("w1[d, e] = xavier, ", "").replace("w2[d, e] = xavier, ", "")
    by_hand = (
        by_hand.replace("w1[", "w[")
        .replace("w2[", "w[")
        .replace("size k", "parameter w[d, e]\nconstant c = 2\nsize k")
    )
    by_hand = re.sub(r"\+ (b\d\[e\])", r"+ c*\1*x0[n, e]", by_hand)
    same(text, by_hand)


def test_blocks_use_blocks_and_all_uses_are_counted_in_order() -> None:
    pair = """\
block pair(x[n, d]) -> y[n, d]
    h = layer(x)
    v = layer(h)
    y[n, d] = v[n, d] + x[n, d]
"""
    text = HEAD + pair + LAYER + "x1 = layer(x0)\nh1 = pair(x1)\nx2 = pair(h1)\n" + END
    assert parameters(text) == [f"{name}{number}" for number in range(1, 6) for name in "wb"]
    names = network(text).model.system.quantities
    assert {"s5", "h1_", "v1", "h2", "v2"} <= names.keys()  # the file has an h1 of its own


def test_a_repetition_feeds_each_use_from_the_one_before() -> None:
    text = HEAD + LAYER + "x4 = repeat(layer, 4, x0)\n" + END.replace("x2", "x4")
    written = (
        HEAD
        + LAYER
        + "x1 = layer(x0)\nx2 = layer(x1)\nx3 = layer(x2)\nx4 = layer(x3)\n"
        + END.replace("x2", "x4")
    )
    same(text, written)
    for times in ("2*2", "depth + 1", "size(k) + 1"):
        same(
            text.replace("4, x0", f"{times}, x0")
            .replace("size k", "constant depth = 3\nsize k")
            .replace("d, e], d) +", "d, e], d)*depth/3 +"),
            written.replace("size k", "constant depth = 3\nsize k").replace(
                "d, e], d) +", "d, e], d)*depth/3 +"
            ),
        )


def test_before_a_result_of_another_name_come_those_of_the_block() -> None:
    text = HEAD + LAYER + "last = repeat(layer, 3, x0)\n" + END.replace("x2", "last")
    same(
        text,
        HEAD + LAYER + "y1 = layer(x0)\ny2 = layer(y1)\nlast = layer(y2)\n" + END.replace("x2", "last"),
    )


def test_a_repetition_gives_its_other_arguments_to_each_use() -> None:
    gate = """\
block gate(x[n, d], g[n, d]) -> y[n, d]
    parameter a[d] = 1
    y[n, d] = a[d]*x[n, d]*g[n, d]
"""
    text = HEAD + gate + "x2 = repeat(gate, 2, x0, x0)\n" + END
    same(text, HEAD + gate + "x1 = gate(x0, x0)\nx2 = gate(x1, x0)\n" + END)


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    other = LAYER.replace("block layer", "block other").replace("tanh", "sin")
    text = (
        HEAD
        + "parameter w[k]\nu[n, k] = w[k]*x0[n, k]\n"
        + LAYER
        + other
        + "x1 = layer(u)\nx2 = other(x1)\n"
        + END
    )
    assert parameters(text) == ["w", "w_", "b", "w__", "b_"]
    assert {"s", "s_"} <= network(text).model.system.quantities.keys()


def test_names_and_letters_are_separate() -> None:
    block = """\
block odd(x[n, d]) -> y[n, d]
    parameter k[d], n[d] = 1
    constant d = 2
    q[n, d] = k[d]*x[n, d] + n[d]*d
    y[n, d] = where(q[n, d] > d, d*q[n, d], sum(x[n, e]*k[e], e))
"""
    by_hand = """\
parameter k{u}[d], n{u}[d] = 1
constant c{u} = 2
q{u}[n, d] = k{u}[d]*{x}[n, d] + n{u}[d]*c{u}
{y}[n, d] = where(q{u}[n, d] > d, c{u}*q{u}[n, d], sum({x}[n, e]*k{u}[e], e))
"""
    uses = by_hand.format(u=1, x="x0", y="x1") + by_hand.format(u=2, x="x1", y="x2")
    first, second = network(HEAD + block + "x1 = odd(x0)\nx2 = odd(x1)\n" + END), network(HEAD + uses + END)
    values = [_values(net) for net in (first, second)]
    assert values[0] == values[1]


def _values(net: sb.Network) -> list[float]:
    """Return the error and the sums of the gradients for some data."""
    module = sb.load(net)
    parameters = module.initialize(3, dtype=np.float64)
    x, t = np.random.default_rng(1).normal(size=(2, 5, 3))
    error, gradients = module.gradients(parameters, x, t)
    return [float(error), *(float(gradient.sum()) for gradient in gradients.values())]


def test_cases_maxima_and_several_lines_in_a_block() -> None:
    block = """\
block shifted(x[n, d]) -> y[n, d]
    parameter first
    constant by = 1
    y[n, 0] = first
    y[n, d + by] = max(
        x[n, d]*u[e],  # a comment
        e,
    )
    size d = 2
"""
    text = (
        "input x0[n, q]\nparameter u[e]\nsize e = 3, q = 2\n"
        + block.replace("y[n, 0]", "z[n, 0]")
        .replace("y[n, d + by]", "z[n, d + by]")
        .replace("-> y[n, d]", "-> y[n]")
        + "    y[n] = sum(z[n, p], p)\n"
        + "x1 = shifted(x0)\nE = mean(x1[n]**2, n)\noutput x1\n"
    )
    by_hand = """\
input x0[n, q]
parameter u[e]
size e = 3, q = 2, d = 2
parameter first
constant by = 1
z[n, 0] = first
z[n, d + by] = max(x0[n, d]*u[e], e)
x1[n] = sum(z[n, p], p)
E = mean(x1[n]**2, n)
output x1
"""
    assert sb.derive(network(text)).gradient("first") == sb.derive(network(by_hand)).gradient("first")


RECURRENT = """\
input x[n, t, k]
target y[n, t, i]
size k = 3, i = 2
block cell(x[n, t, k], before[n, t, l]) -> h[n, t, i]
    parameter w[k, i], u[l, i]
    s[n, t, i] = sum(x[n, t, k]*w[k, i], k) + sum(before[n, t, l]*u[l, i], l)
    h[n, t, i] = tanh(s[n, t, i])
block run(x[n, t, k]) -> h[n, t, i]
    before[n, t, i] = where(t > 0, h[n, t - 1, i], 0)
    h = cell(x, before)
USE
E = mean(sum((h2[n, t, i] - y[n, t, i])**2, i), n, t)
output h2
"""


RECURRENT_BY_HAND = """\
before[n, t, i] = where(t > 0, h2[n, t - 1, i], 0)
parameter w[k, i], u[l, i]
s[n, t, i] = sum(x[n, t, k]*w[k, i], k) + sum(before[n, t, l]*u[l, i], l)
h2[n, t, i] = tanh(s[n, t, i])"""


def test_recurrences_go_through_blocks() -> None:
    head, _, rest = RECURRENT.partition("block")
    by_hand = head + RECURRENT_BY_HAND + rest.partition("USE")[2]
    for use in ("h2 = run(x)", "before[n, t, i] = where(t > 0, h2[n, t - 1, i], 0)\nh2 = cell(x, before)"):
        same(RECURRENT.replace("USE", use), by_hand)


def test_a_keyword_stands_in_place_of_what_a_block_proposes() -> None:
    wide = LAYER.replace("    s[", "    constant c = 2\n    size e = 7, m = 5\n    s[").replace(
        "+ b[e]", "+ c*sum(b[m], m)"
    )
    text = (
        HEAD
        + wide.replace("b[e]\n", "b[m]\n", 1)
        + "x2 = layer(x0, c=1 + 0.5, m=2*size(k), e=size(k))\n"
        + END
    )
    assert sb.load(network(text)).PARAMETER_SHAPES == {"w": (3, 3), "b": (6,)}
    assert [c.value for c in network(text).model.constants] == [1.5]


OPTIONAL = """\
input x[n, t, k], begin[n, i]
integer input length[n]
constant c = 0.5
size k = 2, i = 3
block run(x[n, t, k], h0[n, i] = 0, length[n] = size(t)) -> h[n, t, i]
    parameter w[k, i]
    before[n, t, i] = where(t > 0, h[n, t - 1, i], h0[n, i])
    h[n, t, i] = where(t < length[n], tanh(sum(x[n, t, k]*w[k, i], k) + before[n, t, i]), c)
block outer(x[n, t, k], length[n] = 3 - 1, h0[n, i] = 2*c) -> y[n, t, i]
    y = run(x, length=length, h0=h0)
USE
E = mean(sum(y[n, t, i]*begin[n, i], t, i), n)
output y
"""
RUN_BY_HAND = """\
parameter w[k, i]
before[n, t, i] = where(t > 0, y[n, t - 1, i], BEGIN)
y[n, t, i] = where(t < LENGTH, tanh(sum(x[n, t, k]*w[k, i], k) + before[n, t, i]), c)
"""


@pytest.mark.parametrize(
    ("use", "begin", "length"),
    [
        ("run(x)", "0", "size(t)"),
        ("run(x, begin)", "begin[n, i]", "size(t)"),
        ("run(x, length=length, h0=begin)", "begin[n, i]", "length[n]"),
        ("outer(x)", "2*c", "3 - 1"),
        ("outer(x, length)", "2*c", "length[n]"),
    ],
)
def test_a_number_stands_for_an_argument_that_is_left_out(use: str, begin: str, length: str) -> None:
    head, _, rest = OPTIONAL.partition("block")
    unused = "integer input length[n]\n" if "length[n]" not in length else ""
    text, end = OPTIONAL.replace("USE", f"y = {use}"), rest.partition("USE")[2]
    by_hand = head + RUN_BY_HAND.replace("BEGIN", begin).replace("LENGTH", length) + end
    same(text.replace(unused, ""), by_hand.replace(unused, ""))


def test_numbers_stand_for_arguments_in_a_repetition_too() -> None:
    gate = """\
block gate(x[n, d], g[n, d] = 2) -> y[n, d]
    parameter a[d] = 1
    y[n, d] = a[d]*x[n, d]*g[n, d]
"""
    alone = "x1 = gate(x0)\nx2 = gate(x1)\n"
    same(HEAD + gate + "x2 = repeat(gate, 2, x0)\n" + END, HEAD + gate + alone + END)


def test_a_block_may_make_the_loss() -> None:
    block = "block error(y[n, i], t[n, i]) -> e\n    e = mean(sum((y[n, i] - t[n, i])**2, i), n)\n"
    text = HEAD + LAYER + block + USES + "E = error(x2, t)\noutput x2\n"
    same(text, BY_HAND)


def test_new_words_stay_free_as_names() -> None:
    text = """\
input block[n, k]
target repeat[n, i]
parameter library[k, i], file[i]
from_[n, i] = sum(block[n, k]*library[k, i], k) + file[i]
E = mean(sum((from_[n, i] - repeat[n, i])**2, i), n)
output from_
size k = 2, i = 2
"""
    assert parameters(text) == ["library", "file"]
    assert parameters(GOOD.replace("x0", "block").replace("t[n", "repeat[n")) == ["w1", "b1", "w2", "b2"]


def test_dense_layers_in_blocks_are_found_as_layers() -> None:
    roles = network(GOOD).model.system.roles
    assert (roles["w2"].layer, roles["w2"].kind, roles["s1"].kind, roles["x1"].kind) == (
        2,
        "weight",
        "pre-activation",
        "activation",
    )


def test_writing_out_the_uses_takes_less_time_than_reading_them() -> None:
    lines = "".join(f"    h{n}[n, e] = tanh(h{n - 1}[n, e]*b[e])\n" for n in range(1, 18))
    first = LAYER.replace("y[n, e] = tanh(s[n, e])", "h0[n, e] = tanh(s[n, e])")
    text = HEAD + first + lines + "    y[n, e] = h17[n, e]\nx2 = repeat(layer, 12, x0)\n" + END
    plain = text_of(network(text))
    times = []
    for each in (plain, text):
        start = time.perf_counter()
        network(each)
        times.append(time.perf_counter() - start)
    assert times[1] < 2 * times[0] + 1


def test_equal_input_gives_equal_bytes() -> None:
    code = f"import symbackprop as sb; print(sb.generate(sb.Network.from_equations({GOOD!r})))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]


TITLED = (
    HEAD
    + "z[n, k] = x0[n, k]**2\n"
    + LAYER.replace("    s[", "    ## The *sum*\n    s[").replace("    y[", "    ### No title.\n    y[")
    + "block plain(x[n, d]) -> y[n, d]\n    y = layer(x)\n"
    + "## Encoder <1>\nx1 = layer(z)\nu = plain(x1)\n## Readout\nparameter c\nx2[n, i] = c*u[n, i]\n"
    + END
)


def test_titles_and_uses_head_sections() -> None:
    sections = network(TITLED).model.sections
    assert "z" not in sections
    assert sections["s1"] == sections["w1"] == "Encoder <1>: The *sum*"
    assert sections["s2"] == "layer 2: The *sum*"
    assert sections["c"] == sections["x2"] == sections["E"] == "Readout"
    untitled = network(GOOD).model.sections
    assert [untitled[name] for name in ("s1", "x2", "E")] == ["layer 1", "layer 2", ""]
    repeated = network(HEAD + LAYER + "## Deep\nx2 = repeat(layer, 2, x0)\n" + END).model.sections
    assert [repeated[name] for name in ("s1", "s2", "E")] == ["Deep: layer 1", "Deep: layer 2", "Deep"]
    titled = GOOD.replace("block", "## Dense layer\nblock")
    assert network(titled).model.sections["w2"] == "Dense layer 2"
    assert network(GOOD.replace("E =", "## The error\nE =")).model.sections["E"] == "The error"


@pytest.mark.parametrize(
    "format, heading",
    [
        ("text", "layer 2: The *sum*\n~~~~~~~~~~~~~~~~~~\n"),
        ("markdown", r"### Encoder \<1\>: The \*sum\*"),
        ("latex", r"\subsection*{Encoder \textless{}1\textgreater{}: The *sum*}"),
        ("html", "<h3>Encoder &lt;1&gt;: The *sum*</h3>"),
    ],
)
@pytest.mark.parametrize("language, outside", [("en", "Further equations"), ("ko", "그 밖의 식")])
def test_sections_are_headed_in_every_format(format: str, heading: str, language: str, outside: str) -> None:
    derived = sb.derive(network(TITLED))
    document = render(derived, format, title="Title", language=language)
    assert document.count(heading) == 2  # forward, and on the way back
    assert outside in render(sb.derive(network(GOOD)), format, title="Title", language=language)


# ---------------------------------------------------------------------------------------- refusals


def header(new: str) -> str:
    return GOOD.replace("block layer(x[n, d]) -> y[n, e]", new)


def in_block(old: str, new: str) -> str:
    assert old in LAYER
    return HEAD + LAYER.replace(old, new, 1) + USES + END


def used(old: str, new: str) -> str:
    assert old in USES
    return HEAD + LAYER + USES.replace(old, new, 1) + END


BOTH = "block both(x[n, d], z[n, d] = 1, a[n, d] = 2) -> y[n, d]\n    y[n, d] = x[n, d]*z[n, d] + a[n, d]\n"
MORE = "block more(x[n, d]) -> y[n, d]\n    y = layer(x)\n"

WRONG: dict[str, tuple[str, str, str]] = {
    # what stands in a block, with the place of the use
    "name": (
        in_block("*w[", "*v["),
        "line 8, column 27: unknown quantity 'v'",
        "used in net.net: line 10, column 6",
    ),
    "axes": (
        in_block("*w[d, e]", "*w[d]"),
        "line 8, column 27: 'w' has 2 axes, not 1; write w[d, e]",
        "line 10, column 6",
    ),
    "unused": (
        in_block("b[e]\n", "b[e], q[e]\n"),
        "line 7, column 39: 'q' is never used",
        "line 10, column 6",
    ),
    "nested": (
        HEAD + LAYER.replace("*w[", "*v[") + MORE + USES.replace("layer", "more") + END,
        "line 8, column 27: unknown quantity 'v'",
        "used in net.net: line 11, column 9\n  used in net.net: line 12, column 6",
    ),
    "unreached": (
        HEAD + LAYER + "x2 = layer(x0)\nz = layer(x0)\n" + END.replace("output x2", "output x2, z"),
        "line 7, column 15: the loss does not depend on 'w'",
        "used in net.net: line 11, column 5",
    ),
    "own-definition": (in_block("+ b[e]", "+ s[n, e]"), "line 8, column 41", "line 10, column 6"),
    # uses
    "arguments": (
        used("(x0)", "(x0, t)"),
        "line 10, column 6: 'layer' takes 1 argument, not 2; it is layer(x[n, d])",
        "",
    ),
    "argument": (used("(x0)", "(x9)"), "line 10, column 12: unknown quantity 'x9'", ""),
    "formula": (
        used("(x0)", "(2*x0)"),
        "line 10, column 12: what the block 'layer' is given must be the name",
        "equation",
    ),
    "indices": (used("(x0)", "(x0[n, k])"), "line 10, column 12", "write x0, without indices"),
    "axes-of-argument": (
        HEAD.replace("t[n, i]", "t[n, i], m[n]") + LAYER + "x1 = layer(m)\n" + END,
        "line 10, column 12: 'm' has 1 axis, but the block 'layer' takes x[n, d], line 4",
        "",
    ),
    "sizes": (
        (HEAD + LAYER + "x2 = layer(x0)\nz = layer(t)\n" + END)
        .replace("i = 3", "i = 4")
        .replace("x2[n, i]", "z[n, i]"),
        "line 11, column 11: axis 2 of 't' has size 4, but 'd' runs over 3",
        "the block 'layer' takes x[n, d], line 4",
    ),
    "unknown-block": (
        used("layer(x1)", "layr(x1)"),
        "line 11, column 6: there is no block 'layr'; did you mean 'layer'?",
        "",
    ),
    "unknown-repeated": (
        used("layer(x1)", "repeat(layr, 2, x1)"),
        "line 11, column 13: there is no block 'layr'",
        "layer",
    ),
    "quantity-as-block": (
        used("layer(x1)", "x1(x0)"),
        "line 11, column 6: 'x1' is a quantity, and neither a block",
        "",
    ),
    "block-as-quantity": (used("x2 =", "layer ="), "line 11, column 1: 'layer' is a block, see line 4", ""),
    "inside": (
        used("layer(x1)", "2*layer(x1)"),
        "line 11, column 8: 'layer' is a block, which can't stand inside",
        "",
    ),
    "before": (
        used("(x0)", "(x2)"),
        "'x' is used before it is defined",
        "used in net.net: line 10, column 6",
    ),
    "itself": (used("(x0)", "(x1)"), "equations go in a circle", "used in net.net: line 10, column 6"),
    "left": (
        used("x1 =", "x1[n] ="),
        "line 10, column 1: 'x1' has 2 axes, but the result of 'layer' is y[n, e]",
        "",
    ),
    "left-twice": (used("x2 =", "x1 ="), "line 11, column 1: 'x1' is defined twice, first in line 10", ""),
    "keyword-argument": (
        used("(x1)", "(x1, x=x0)"),
        "line 11, column 16: 'x' is given by its place",
        "write layer(x[n, d])",
    ),
    "left-case": (
        used("x1 =", "x1[n, 0] ="),
        "line 10, column 1: a block's result has letters alone here",
        "",
    ),
    "inside-read": (
        GOOD.replace("(x2[n, i] -", "(s2[n, i] -"),
        "'s2' is known inside of the block 'layer' alone",
        "result",
    ),
    "inside-read-by-block": (
        HEAD
        + LAYER
        + MORE.replace("y = layer(x)", "y[n, d] = x[n, d]*s[n, d]")
        + "x1 = layer(x0)\nx2 = more(x1)\n"
        + END,
        "line 11, column 23: 's' is known inside of the block 'layer' alone",
        "",
    ),
    # keywords and numbers
    "keyword": (
        used("(x0)", "(x0, dd=3)"),
        "line 10, column 16: 'dd' is neither an index nor a constant",
        "'d'?",
    ),
    "keyword-size": (
        used("(x1)", "(x1, d=4)"),
        "line 11, column 18: the index 'd' can't run over 4: it runs over 3",
        "",
    ),
    "keyword-name": (used("(x1)", "(x1, d=x0)"), "line 11, column 18: 'x0' is no number here", ""),
    "zero": (
        used("layer(x1)", "repeat(layer, 0, x1)"),
        "line 11, column 20: how often a block is used is a whole number",
        "",
    ),
    "half": (
        used("layer(x1)", "repeat(layer, 1.5, x1)"),
        "line 11, column 20: how often",
        "repeat(layer, 12, x)",
    ),
    "million": (
        used("layer(x1)", "repeat(layer, 10**6, x1)"),
        "line 11, column 20: more than 10000 uses",
        "",
    ),
    "no-number": (
        used("layer(x1)", "repeat(layer, x1)"),
        "line 11, column 6: 'layer' takes 1 argument, not 0",
        "",
    ),
    "no-size": (
        used("layer(x1)", "repeat(layer, size(z), x1)"),
        "line 11, column 20: the size of 'z' is not known",
        "",
    ),
    # blocks as such
    "twice": (
        HEAD + LAYER + LAYER + USES + END,
        "line 10, column 7: there are two blocks 'layer', the first in line 4",
        "",
    ),
    "no-result": (
        in_block("    y[n, e] = tanh(s[n, e])\n", ""),
        "line 4, column 25: the block 'layer' does not define",
        "'y'",
    ),
    "empty": (
        HEAD + "block layer(x[n, d]) -> y[n, d]\n" + USES + END,
        "line 4, column 7: the block 'layer' is empty",
        "",
    ),
    "deeper": (in_block("    s[", "      s["), "line 8, column 7: the indentation differs", ""),
    "not-in-block": (
        used("x2 =", "  x2 ="),
        "line 11, column 3: this line is indented, but belongs to no block",
        "",
    ),
    "input": (
        in_block("    s[", "    input q[n]\n    s["),
        "line 8, column 5: an input can't stand inside of a block",
        "",
    ),
    "target": (
        in_block("    s[", "    integer target q[n]\n    s["),
        "line 8, column 5: a target can't stand",
        "",
    ),
    "output": (in_block("    s[", "    output s\n    s["), "line 8, column 5: an output can't stand", "->"),
    "loss": (in_block("    s[", "    E = x[0, 0]\n    s["), "line 8, column 5: E is the loss", ""),
    "block": (
        in_block("    s[", "    block q(x) -> y\n    s["),
        "line 8, column 5: a block can't stand inside of a block",
        "",
    ),
    "argument-defined": (
        in_block("    s[n, e] =", "    x[n, e] ="),
        "line 8, column 5: 'x' is given to the block",
        "",
    ),
    "argument-unread": (
        header("block layer(x[n, d], z[n]) -> y[n, e]"),
        "line 4, column 22: the block 'layer' never reads 'z'",
        "",
    ),
    "circle": (
        HEAD
        + MORE.replace("layer", "other")
        + MORE.replace("more", "other").replace("layer", "more")
        + "x2 = more(x0)\n"
        + END,
        "line 7, column 9: blocks use one another in a circle: more -> other -> more",
        "",
    ),
    "own-circle": (
        HEAD + MORE.replace("layer", "more") + "x2 = more(x0)\n" + END,
        "circle: more -> more",
        "",
    ),
    "unused-syntax": (
        GOOD + "block q(x[n]) -> y[n]\n    y[n] = x[n]*(\n",
        "line 15, column 17: this '(' is never closed",
        "",
    ),
    # headers
    "header-result": (
        header("block layer(x[n, d])"),
        "line 4, column 7: the block has no result; write block layer(",
        "",
    ),
    "header-name": (
        header("block layer -> y[n, e]"),
        "line 4, column 7: a block has a name, and in parentheses",
        "",
    ),
    "header-two": (
        header("block layer(x[n, d]) -> y[n, e], z[n]"),
        "line 4, column 25: a block has one result",
        "",
    ),
    "header-nothing": (
        header("block layer() -> y[n, e]"),
        "line 4, column 7: the block 'layer' is given nothing",
        "",
    ),
    "header-letter": (
        header("block layer(x[n, n]) -> y[n, e]"),
        "line 4, column 13: the index 'n' stands twice",
        "",
    ),
    "header-number": (
        header("block layer(x[n, 0]) -> y[n, e]"),
        "line 4, column 13: a name is needed here",
        "",
    ),
    "header-same": (header("block layer(x[n, d]) -> x[n, d]"), "line 4, column 13: 'x' stands twice", ""),
    "header-default": (
        header("block layer(x[n, d], z[n] = ) -> y[n, e]"),
        "line 4, column 28: a number is needed behind '='",
        "",
    ),
    "header-first": (
        header("block layer(x[n, d] = 0) -> y[n, e]"),
        "line 4, column 13: the first argument of a block is always given",
        "",
    ),
    "header-order": (
        header("block layer(x[n, d], z[n] = 0, q[n]) -> y[n, e]"),
        "line 4, column 32: an argument without a number stands behind one",
        "",
    ),
    "header-value": (
        header("block layer(x[n, d], z[n, e] = x) -> y[n, e]").replace("+ b[e]", "+ z[n, e] + b[e]"),
        "line 4, column 32: what stands for 'z' where it is left out must be a number",
        "numbers, constants and sizes",
    ),
    "header-both": (
        header("block layer(x[n, d], d[n, e] = 1) -> y[n, e]").replace("+ b[e]", "+ d[n, e] + b[e]"),
        "line 4, column 22: 'd' is both an index and an argument",
        "",
    ),
    "default-axes": (
        header("block layer(x[n, d], z[n, e] = 1) -> y[n, e]").replace("+ b[e]", "+ z[e] + b[e]"),
        "line 8, column 41: 'z' has 2 axes; write z[n, e]",
        "",
    ),
    "default-bare": (
        header("block layer(x[n, d], z[n] = 1) -> y[n, e]").replace("+ b[e]", "+ z + b[e]"),
        "line 8, column 41: 'z' has 1 axis; write z[n]",
        "",
    ),
    "default-many": (
        HEAD + BOTH + "x2 = both(x0, t, t, t)\n" + END,
        "line 6, column 6: 'both' takes 1 to 3 arguments, not 4; it is both(",
        "both(x[n, d], z[n, d] = 1, a[n, d] = 2)",
    ),
    "default-twice": (
        HEAD + BOTH + "x2 = both(x0, t, z=t)\n" + END,
        "line 6, column 18: 'z' is given twice",
        "",
    ),
    "default-unknown": (
        HEAD + BOTH + "x2 = both(x0, zz=t)\n" + END,
        "line 6, column 15: 'zz' is neither an index nor a constant, nor an argument that may be left out,",
        "did you mean 'z'?",
    ),
    "default-number": (
        HEAD + BOTH + "x2 = both(x0, z=3)\n" + END,
        "line 6, column 17: what the block 'both' is given must be the name of a quantity",
        "",
    ),
    "default-other": (
        HEAD.replace("t[n, i]", "t[n, i], m[n]") + BOTH + "x2 = both(x0, z=m)\n" + END,
        "line 6, column 17: 'm' has 1 axis, but the block 'both' takes z[n, d], line 4",
        "",
    ),
    "header-colon": (
        header("block layer(x[n, d]) -> y[n, e]:"),
        "line 4, column 32: a block's first line ends",
        "leave out ':'",
    ),
    "header-function": (
        header("block tanh(x[n, d]) -> y[n, e]"),
        "line 4, column 7: 'tanh' has a meaning already",
        "",
    ),
    # imports
    "import-text": (
        'from "a.net" import b\n' + GOOD,
        "line 1, column 21: a text that is not in a file imports from",
        "",
    ),
    "import-word": ("from a import b\n" + GOOD, "line 1, column 6: this is no import; write from", ""),
    "import-unknown": (
        "from library import dens\n" + GOOD,
        "line 1, column 21: there is no block 'dens' in the library; did you mean 'dense'?",
        "",
    ),
    "import-twice": (
        "from library import dense, dense\n" + GOOD,
        "line 1, column 28: there are two blocks 'dense'",
        "",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_places(name: str) -> None:
    text, problem, more = WRONG[name]
    message = refused(text)
    assert problem in message
    assert more in message


def test_hostile_texts_are_refused_soon() -> None:
    nested = "".join(
        f"block b{n + 1}(x[n, d]) -> y[n, d]\n    y = repeat(b{n}, 1000, x)\n" for n in range(3)
    ).replace("b0,", "layer,")
    chain = "".join(f"block b{n + 1}(x[n, d]) -> y[n, d]\n    y = b{n}(x)\n" for n in range(500))
    wide = (
        "block wide(x[n, d]) -> y[n, d]\n"
        + "".join(f"    h{n}[n, d] = x[n, d]\n" for n in range(1000))
        + "    y[n, d] = x[n, d]\n"
    )
    texts = {
        HEAD + LAYER + nested + "x2 = b3(x0)\n" + END: "make the text too long",
        HEAD
        + LAYER
        + chain.replace("b0(", "layer(")
        + "x2 = b500(x0)\n"
        + END: "more than 30 blocks use one another",
        HEAD + wide + "x2 = repeat(wide, 9999, x0)\n" + END: "make the text too long",
        HEAD + "block " + "a" * 100_000 + "(x[n]) -> y[n]\n    y[n] = x[n]\n": "there is no loss",
        HEAD + LAYER + "x2 = repeat(layer, " + "9" * 60 + ", x0)\n" + END: "digits",
        HEAD + "block layer(" + "(" * 3000 + "\n": "never closed",
        HEAD + "block layer(x) -> y\n    y = " + "-" * 20_000 + "x\n" + USES + END: "line 5",
    }
    chain_of_files = (f'file "f{n}.net"\n    from "f{(n + 1) % 5000}.net" import b\n' for n in range(5000))
    texts[GOOD + "".join(chain_of_files)] = "more than 100 files are not allowed"
    for text, expected in texts.items():
        start = time.perf_counter()
        assert expected in refused(text)
        assert time.perf_counter() - start < 20


def test_sizes_of_blocks_have_the_letters_of_their_indices() -> None:
    """Not n1, as the layers of dense networks have for k1, but F1 for the channels f1."""
    text = """\
from library import conv1d
input x[n, c, p]
size c = 2, p = 9
y = conv1d(x, f=3)
z = conv1d(y, f=4)
E = mean(sum(z[n, a, b]**2, a, b), n)
output z
"""
    shapes = sb.Network.from_equations(text).model.system.quantities
    assert [str(n) for n in shapes["w1"].shape] == ["F1", "C", "U1"]


# ----------------------------------------------------------------------------- imports, own letters

DENSE = """\
# A dense layer.
size n2 = 3
constant slope = 1
parameter scale = 1
block dense(x[n, i]) -> y[n, j]
    parameter w[i, j], b[j]
    constant factor = 2
    s[n, j] = sum(x[n, i]*w[i, j], i) + b[j]
    y[n, j] = scale*tanh(slope*s[n, j])*factor
block other(x[n, i]) -> y[n, i]
    y[n, i] = x[n, i]*missing[i]
"""
IMPORTING = """\
from "layers.net" import dense
input x0[n, k]
target t[n, i]
size k = 5, i = 3
h1 = dense(x0, j=4)
h2[n, i] = dense(h1, factor=3)
E = mean(sum((h2[n, i] - t[n, i])**2, i), n)
output h2
"""


def files(folder: Path, **texts: str) -> Path:
    """Write files, and return that of the network."""
    for name, text in texts.items():
        (folder / f"{name}.net").write_text(text)
    return folder / "net.net"


def test_a_block_from_a_file_has_letters_of_its_own(tmp_path: Path) -> None:
    net = sb.Network.from_file(files(tmp_path, net=IMPORTING, layers=DENSE))
    shapes = sb.load(net).PARAMETER_SHAPES
    assert shapes == {"scale": (), "w1": (5, 4), "b1": (4,), "w2": (4, 3), "b2": (3,)}
    assert sb.derive(net).text() == sb.derive(network(text_of(net))).text().replace("net.net", "")
    assert "factor2 = 3" in text_of(net)


def test_the_text_of_a_module_holds_what_it_imports(tmp_path: Path) -> None:
    net = sb.Network.from_file(files(tmp_path, net=IMPORTING, layers=DENSE))
    whole = net.description
    assert 'file "layers.net"\n    # A dense layer.' in whole
    (tmp_path / "layers.net").unlink()
    again = sb.Network.from_equations(whole, name="net")
    assert again.description.strip() == whole.strip()
    assert sb.generate(again) == sb.generate(net)


def test_files_import_files_from_their_own_folder(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "dense.net").write_text(DENSE)
    (tmp_path / "parts" / "two.net").write_text(
        """\
from "dense.net" import dense
block two(x[m, i]) -> y[m, k]
    h[m, j] = dense(x)
    y[m, k] = dense(h)
"""
    )
    text = IMPORTING.replace('"layers.net" import dense', '"parts/two.net" import two')
    text = text.replace("dense(x0, j=4)", "two(x0, j=4, k=6)").replace("dense(h1, factor=3)", "two(h1, j=2)")
    net = sb.Network.from_file(files(tmp_path, net=text))
    shapes = sb.load(net).PARAMETER_SHAPES
    assert [shapes[f"w{n}"] for n in (1, 2, 3, 4)] == [(5, 4), (4, 6), (6, 2), (2, 3)]
    assert sb.generate(sb.Network.from_equations(net.description, name="net")) == sb.generate(net)


def test_an_imported_block_sees_the_names_of_its_file_alone(tmp_path: Path) -> None:
    path = files(
        tmp_path,
        net=IMPORTING.replace("import dense", "import dense, other")
        .replace("dense(h1, factor=3)", "other(h1)")
        .replace("size k", "parameter missing[i]\nsize k"),
        layers=DENSE,
    )
    with pytest.raises(SpecificationError) as caught:
        sb.Network.from_file(path)
    assert "layers.net: line 11, column 23: unknown name 'missing'" in str(caught.value)
    assert f"used in {path}: line 7, column 12" in str(caught.value)


def test_names_of_a_file_do_not_meet_those_of_another(tmp_path: Path) -> None:
    text = IMPORTING.replace("size k", "parameter w1[k], scale[k]\nconstant slope = 7\nsize k")
    text = text.replace("dense(x0", "dense(u").replace(
        "h1 =", "u[n, k] = x0[n, k]*w1[k]*scale[k]*slope\nh1 ="
    )
    net = sb.Network.from_file(files(tmp_path, net=text, layers=DENSE))
    assert list(net.model.system.parameters) == ["w1", "scale", "w1_", "b1", "scale_", "w2", "b2"]
    assert {c.name: c.value for c in net.model.constants}["slope_"] == 1


def test_letters_outside_are_kept_in_the_equations_of_a_use(tmp_path: Path) -> None:
    net = sb.Network.from_file(files(tmp_path, net=IMPORTING, layers=DENSE))
    equations = [str(e.lhs) for e in net.model.system.equations]
    assert equations[:4] == ["s1[j]", "h1[j]", "s2[i]", "h2[i]"]


def test_sizes_of_an_imported_file_hold_for_each_use_unless_told(tmp_path: Path) -> None:
    window = """\
size u = 2
block window(x[n, i]) -> y[n, j]
    parameter w[u]
    size j = 3
    y[n, j] = sum(x[n, j + u]*w[u], u)
"""
    text = """\
from "layers.net" import window
input x[n, k]
h = window(x, j=6)
y = window(h, u=4)
E = mean(sum(y[n, i]**2, i), n)
output y
size k = 7
"""
    net = sb.Network.from_file(files(tmp_path, net=text, layers=window))
    assert sb.load(net).PARAMETER_SHAPES == {"w1": (2,), "w2": (4,)}


IMPORTS_WRONG = {
    "missing": (
        {"net": IMPORTING.replace("layers", "layer")},
        "line 1, column 6: there is no file 'layer.net'; did you mean 'layers.net'?",
    ),
    "absolute": (
        {"net": IMPORTING.replace("layers", "/etc/layers")},
        "lies in the folder of the one that imports it",
    ),
    "above": (
        {"net": IMPORTING.replace("layers", "../layers")},
        "lies in the folder of the one that imports it",
    ),
    "ending": ({"net": IMPORTING.replace("layers.net", "layers.txt")}, "an imported file ends in .net"),
    "block": (
        {"net": IMPORTING.replace("import dense", "import dens")},
        "line 1, column 26: there is no block 'dens' in",
    ),
    "circle": (
        {"layers": 'from "more.net" import a\n' + DENSE, "more": 'from "layers.net" import dense\n'},
        "circle: layers.net -> more.net -> layers.net",
    ),
    "itself": ({"layers": 'from "layers.net" import own\n' + DENSE}, "circle: layers.net -> layers.net"),
    "syntax": ({"layers": DENSE.replace("tanh(", "tanh((")}, "layers.net: line 9"),
    "keyword": (
        {"net": IMPORTING.replace("factor", "facto")},
        "line 6, column 22: 'facto' is neither an index nor",
    ),
    "clash": (
        {"net": IMPORTING.replace("h1 =", "dense[n] = x0[n, 0]\nh1 =")},
        "line 5, column 1: 'dense' is a block, see line 1",
    ),
    "size": (
        {"net": IMPORTING.replace("j=4", "i=4")},
        "line 5, column 18: the index 'k' can't run over 4: it runs over 5",
    ),
    "size-of-file": (
        {"layers": DENSE.replace("size n2", "size i")},
        "layers.net: line 2, column 6: the index 'i' can't run over 3: it runs over 5",
    ),
    "large": ({"layers": DENSE + "# " + "a" * 100 + "\n# \n" * 25_000}, "lines"),
    "input-read": (
        {
            "layers": "input missing[i]\n" + DENSE,
            "net": IMPORTING.replace("dense", "other").replace(", j=4", "").replace(", factor=3", ""),
        },
        "'missing' is no constant or parameter of",
    ),
}


@pytest.mark.parametrize("name", IMPORTS_WRONG)
def test_a_wrong_import_is_told(name: str, tmp_path: Path) -> None:
    texts, expected = IMPORTS_WRONG[name]
    path = files(tmp_path, **{"net": IMPORTING, "layers": DENSE, **texts})
    with pytest.raises(SpecificationError) as caught:
        sb.Network.from_file(path)
    assert expected in str(caught.value)


def test_a_link_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    files(tmp_path, layers=DENSE)
    (tmp_path / "in" / "layers.net").symlink_to(tmp_path / "layers.net")
    with pytest.raises(SpecificationError, match="leads out of the folder"):
        sb.Network.from_file(files(tmp_path / "in", net=IMPORTING))


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "layers.net").mkdir()
    with pytest.raises(SpecificationError, match="there is no file"):
        sb.Network.from_file(files(tmp_path, net=IMPORTING))


def test_a_missing_loss_is_told_behind_the_text_itself(tmp_path: Path) -> None:
    text = IMPORTING[: IMPORTING.index("E =")]
    with pytest.raises(SpecificationError, match="line 7, column 1: there is no loss"):
        sb.Network.from_file(files(tmp_path, net=text, layers=DENSE))


def test_sizes_of_own_letters_are_given_by_the_names_that_are_told(tmp_path: Path) -> None:
    path = files(tmp_path, net=IMPORTING.replace(", j=4", ""), layers=DENSE)
    with pytest.raises(SpecificationError, match="add --size j1=8, or a line: size j1 = 8"):
        sb.generate(sb.Network.from_file(path))
    given = sb.generate(sb.Network.from_file(path, {"j1": 6}))
    path.write_text(path.read_text() + "size j1 = 6\n")
    assert without_text(sb.generate(sb.Network.from_file(path))) == without_text(given)


EXAMPLES = ("attention", "convolution_stride_2", "embedding", "lstm", "max_pooling", "transformer")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_middle_of_a_network_is_the_same_as_a_block_of_another_file(name: str, tmp_path: Path) -> None:
    whole = sb.Network.from_file(ROOT / "examples" / f"{name}.net").with_small_sizes()
    outside: list[str] = []
    inside: list[str] = []
    arguments: list[str] = []
    sizes = ""
    for statement in statements(text_of(whole), name):
        keyword, body = statement.keyword, statement.body.text
        line = f"{'integer ' * statement.integer}{keyword} {body}".strip()
        if keyword == "size":
            sizes += line + "\n"
        elif keyword in ("input", "target", "assume", "output") or body.startswith("E "):
            outside.append(line)
            arguments += (
                [part.text for part in split_outside(statement.body, ",")] if keyword == "input" else []
            )
        else:
            inside.append(line)
    (output,) = whole.model.outputs
    result = next(line for line in inside if line.startswith(f"{output}[")).partition("=")[0]
    block = f"block body({', '.join(arguments)}) -> {result}\n    " + "\n    ".join(inside)
    use = f"{output} = body({', '.join(argument.partition('[')[0] for argument in arguments)})"
    outside.sort(key=lambda line: not re.match("(integer )?(input|target)", line))
    first = next(n for n, line in enumerate(outside) if not re.match("(integer )?(input|target)", line))
    renamed = "\n".join(
        re.sub(r"\b([a-z])\b(?![(\[])", r"\g<1>9", line) if "[" in line else line for line in outside
    )
    for text in (outside, renamed.split("\n")):
        net = "\n".join(['from "layers.net" import body', *text[:first], use, *text[first:]])
        imported = sb.Network.from_file(files(tmp_path, net=net, layers=sizes + block))
        np.testing.assert_allclose(_drawn(imported), _drawn(whole), rtol=1e-9)


def _drawn(net: sb.Network) -> list[float]:
    """Return the error and the sizes of the gradients for random data."""
    module = sb.load(net)
    x, t = sample_data(net.model, np.random.default_rng(2))
    error, gradients = module.gradients(module.initialize(3, dtype=np.float64), x, t)
    return [float(error), *(float(abs(gradients[name]).sum()) for name in sorted(gradients))]


# ----------------------------------------------------------------------------------------- library


def test_blocks_of_the_library_take_any_sizes() -> None:
    text = """\
from library import dense, layer_norm
input x0[n, k]
target t[n, i]
size k = 5, i = 3
s1 = dense(x0, j=4)
x1[n, a] = relu(s1[n, a])
l1 = layer_norm(x1)
s2[n, i] = dense(l1)
E = mean(sum((s2[n, i] - t[n, i])**2, i), n)
output s2
"""
    net = network(text)
    assert sb.load(net).PARAMETER_SHAPES == {
        "w1": (5, 4),
        "b1": (4,),
        "gain": (4,),
        "shift": (4,),
        "w2": (4, 3),
        "b2": (3,),
    }
    assert "file library dense" in net.description
    assert sb.generate(network(net.description)) == sb.generate(net)


def test_the_library_is_listed(command: Runner) -> None:
    listed = command("list", "blocks").stdout
    assert re.search(r"^dense +block dense\(x\[n, i\]\) -> s\[n, j\]\n +A dense layer", listed, re.MULTILINE)
    assert [name for name in block_files() if name not in listed] == []


@pytest.mark.parametrize("name", block_files())
def test_each_block_of_the_library_says_what_it_is_and_whence(name: str) -> None:
    first, second, *_ = block_files()[name].split("\n")
    assert first.startswith("# ")
    assert second.startswith("# Source: ")
    assert re.search(rf"^block {name}\(", block_files()[name], re.MULTILINE)


def test_the_commands_take_files_with_blocks(command: Runner) -> None:
    Path("net.net").write_text(IMPORTING)
    Path("layers.net").write_text(DENSE)
    assert command("check", "net.net").status == 0
    assert command("generate", "net.net").status == 0
    checked = command("check", "net.py")
    assert checked.status == 0
    assert "is what this version generates from its ARCHITECTURE" in checked.stdout
    assert command("equations", "net.net", "-o", "plain.net").status == 0
    assert "block" not in Path("plain.net").read_text()
    assert command("derive", "plain.net").stdout == command("derive", "net.net").stdout
    Path("net.net").write_text(IMPORTING.replace("h1, ", "h7, "))
    failed = command("generate", "net.net", "-o", "other.py")
    assert (failed.status, failed.stdout, Path("other.py").exists()) == (2, "", False)
    assert "net.net: line 6, column 18: unknown quantity 'h7'; known are: h1, h2, t, x0" in failed.stderr


SQUARE = """\
input x0[n, i]
size i = 3
block layer(x[n, j]) -> y[n, j]
    parameter w[j, k] = xavier, v[k, j] = xavier
    h[n, k] = tanh(sum(x[n, j]*w[j, k], j))
    y[n, j] = x[n, j] + sum(h[n, k]*v[k, j], k)
x9 = repeat(layer, {}, x0, k=2)
E = mean(sum(x9[n, i]**2, i), n)
output x9
"""


def test_a_further_use_is_charged_what_the_first_one_took(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading equal lines is bounded as a whole, though calls are counted for the first use alone."""
    monkeypatch.setattr(declarations, "_WORK_OF_A_LINE", 0)
    monkeypatch.setattr(declarations, "MAX_WORK", 200_000)
    sb.Network.from_equations(SQUARE.format(2))
    with pytest.raises(SpecificationError, match="working this out takes too long"):
        sb.Network.from_equations(SQUARE.format(60))


def test_a_block_that_uses_blocks_of_the_library_is_used_again() -> None:
    text = """\
from library import layer_norm_sequence, dense_sequence
input x[n, r, d]
size r = 3, d = 4
block mix(x[n, r, d]) -> y[n, r, d]
    u = layer_norm_sequence(x)
    a = dense_sequence(u, j=4)
    y[n, r, d] = x[n, r, d] + tanh(a[n, r, d])
x2 = repeat(mix, 2, x)
E = mean(sum(x2[n, r, d]**2, r, d), n)
output x2
"""
    assert len(sb.Network.from_equations(text).model.system.parameters) == 8
