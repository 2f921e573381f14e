"""Equal uses of a block as one loop: from four uses on, whatever they share and hand on."""

from __future__ import annotations

import re
import types

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.check import check_network
from symbackprop.derivation.calculus import signature
from symbackprop.derivation.calculus.rule import Goal, Outcome, work_out
from symbackprop.network.network import Network

BLOCK = """\
# Layers of causal attention
input x[n, p, d]
target t[n, p, d]
size d = 3, c = 2, p = 4
parameter common[d]
block layer(h[n, p, d]) -> y[n, p, d]
    parameter q[d, c], k[d, c], v[e, d], gain[d] = 1
    middle[n, p] = mean(h[n, p, d], d)
    spread[n, p] = mean((h[n, p, d] - middle[n, p])**2, d)
    u[n, p, d] = gain[d]*(h[n, p, d] - middle[n, p])/sqrt(spread[n, p] + 1e-5) + common[d]
    asked[n, p, c] = sum(u[n, p, d]*q[d, c], d)
    kept[n, p, c] = sum(u[n, p, d]*k[d, c], d)
    s[n, p, r] = where(r <= p, sum(asked[n, p, c]*kept[n, r, c], c), -1e9)
    w[n, p, r] = softmax(s[n, p, r], r)
    g[n, p, d] = tanh(sum(u[n, p, e]*v[e, d], e))
    y[n, p, d] = h[n, p, d] + sum(w[n, p, r]*g[n, r, d], r)
"""
START = "h0[n, p, d] = x[n, p, d]*(1 + common[d])\n"
USES = START + "{last} = repeat(layer, {count}, h0)\n"
END = """\
E = mean(sum(({last}[n, p, d] - t[n, p, d])**2, p, d), n)
output {last}
"""


def text_of(count: int, last: str = "", uses: str = USES) -> str:
    last = last or f"h{count}"
    return BLOCK + (uses + END).format(last=last, count=count)


def network(count: int, last: str = "", uses: str = USES) -> Network:
    return Network.from_equations(text_of(count, last, uses))


def loops_of(text: str) -> list[str]:
    return re.findall(r"^ *for layer in (range\(.*\)):$", text, re.MULTILINE)


@pytest.mark.parametrize("count", [4, pytest.param(7, marks=pytest.mark.slow)])
def test_all_uses_are_turns_of_one_loop(count: int) -> None:
    """`forward` has one loop, which `loss` leaves to it; gradients and step have both passes in one place."""
    text = sb.generate(network(count), bare=True)
    forward, backward = f"range(1, {count + 1})", f"range({count}, 0, -1)"
    assert loops_of(text) == [forward, forward, backward], loops_of(text)
    assert f"h{count} = forward(parameters, x)" in text
    assert text.count("def _of_layers(") == 1  # which makes the arrays that layers have alike
    assert text.count("_of_layers((samples, 4, 3), dtype)") == 1
    assert "gain1" not in re.sub(r"[#\"].*", "", text)


@pytest.mark.slow
def test_more_uses_add_no_lines() -> None:
    texts = (text_of(count).replace(" + common[d]\n", "\n") for count in (5, 11))
    few, many = (sb.generate(Network.from_equations(text), bare=True) for text in texts)
    assert abs(many.count("\n") - few.count("\n")) <= 6  # longer numbers break lines of comments


def test_fewer_than_four_uses_are_written_out() -> None:
    assert not loops_of(sb.generate(network(3), bare=True))


NAMED = """\
input x[n, d]
target t[n, d]
size d = 3
block layer(h[n, d]) -> y[n, d]
    parameter v[e, d]
    y[n, d] = h[n, d] + tanh(sum(h[n, e]*v[e, d], e))
{0}[n, d] = 2*x[n, d]
{1}
E = mean(sum(({2}[n, d] - t[n, d])**2, d), n)
output {2}
"""


@pytest.mark.parametrize(
    ("first", "uses", "last"),
    [
        ("begin", "deep = repeat(layer, 4, begin)", "deep"),
        ("z9", "z3 = repeat(layer, 4, z9)", "z3"),
        ("begin", "a = layer(begin)\nb7 = layer(a)\nc = layer(b7)\nd2 = layer(c)", "d2"),
    ],
    ids=["words", "other_numbers", "one_by_one"],
)
def test_layers_are_known_by_what_they_hand_on_however_it_is_called(first: str, uses: str, last: str) -> None:
    """The loop has all layers, the last one and the first, as those of numbered names have."""
    plain = NAMED.format("h0", "h4 = repeat(layer, 4, h0)", "h4")
    texts = [
        sb.generate(Network.from_equations(text), bare=True).split('"""')[4:]
        for text in (NAMED.format(first, uses, last), plain)
    ]
    code, numbered = (re.sub(r"#.*", "", "".join(text)) for text in texts)
    assert loops_of(code)[0] == "range(1, 5)"
    assert loops_of(code) == loops_of(numbered)
    assert code.count("\n") == numbered.count("\n")


WRITTEN_OUT = """\
# Attention whose softmax is written out, with names that make long lines
input x[n, p, d]
target t[n, p, d]
parameter scale[d]
size d = 4, p = 3, h = 2, a = 2
block layer(x[n, p, d]) -> y[n, p, d]
    parameter query[d, h, a], key[d, h, a]
    q[n, p, h, a] = sum(x[n, p, d]*query[d, h, a], d)
    k[n, p, h, a] = sum(x[n, p, d]*key[d, h, a], d)
    score[n, h, p, r] = where(r <= p, sum(q[n, p, h, a]*k[n, r, h, a], a), 0)
    largest_score[n, h, p] = max(where(r <= p, score[n, h, p, r], -1e30), r)
    e[n, h, p, r] = where(r <= p, exp(score[n, h, p, r] - largest_score[n, h, p]), 0)
    y[n, p, d] = x[n, p, d] + sum(e[n, h, p, r]*x[n, r, d], r, h)
x0[n, p, d] = scale[d]*x[n, p, d]
x5 = repeat(layer, 5, x0)
E = mean(sum((x5[n, p, d] - t[n, p, d])**2, p, d), n)
output x5
"""


def test_long_lines_and_masks_that_layers_share_are_in_loops() -> None:
    """Places of maxima, their temporaries and masks of the way back leave no layer outside."""
    text = sb.generate(Network.from_equations(WRITTEN_OUT), bare=True)
    forward, backward = "range(1, 6)", "range(5, 0, -1)"
    assert loops_of(text) == [forward, forward, backward]  # `gradients` calls what a step calls
    code = "".join(text.split('"""')[4:])  # behind ARCHITECTURE
    assert max(map(len, code.split("\n"))) <= 88


OF_DATA = """\
input x[n, d]
target t[n, d]
size d = 3, e = 2
block layer(h[n, d]) -> y[n, d]
    parameter gain[d] = 1, w[d, e], v[e, d]
    size2[n] = mean(h[n, d]**2, d)
    a[n, d] = gain[d]*h[n, d]/sqrt(size2[n] + 1e-5)
    u[n, e] = tanh(sum(a[n, d]*w[d, e], d))
    y[n, d] = h[n, d] + sum(u[n, e]*v[e, d], e)
z = repeat(layer, {0}, x)
E = mean(sum((z[n, d] - t[n, d])**2, d), n)
output z
"""


def test_layers_that_begin_at_data_are_one_loop_without_the_derivative_of_these(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Data are what is handed on to the first layer; the last turn leaves out what they do not need."""
    derived = sb.derive(Network.from_equations(OF_DATA.format(4)))
    text = sb.generate(derived, bare=True)
    forward, backward = "range(1, 5)", "range(4, 0, -1)"
    assert loops_of(text) == [forward, forward, backward, forward, backward], loops_of(text)
    assert text.count("if layer > 1:\n") == 2
    own = text.split("if layer > 1:\n")[1].split("    return")[0]
    assert re.fullmatch(r"( {12}#.*\n)+( {12}(part\d* =|dy\[layer - 1\]) .*\n)+", own), own
    assert "y0 = np.asarray(x, dtype)" in text
    assert "# (1), …, (13) size2[ℓ] = (1/D)·Σ_d y[ℓ-1,d]²\n" in text
    assert "x[d]" not in text.split('"""')[4]  # forward
    monkeypatch.setattr("symbackprop.code.loops.LEAST_USES", 99)
    module, plain = types.ModuleType("loops"), types.ModuleType("plain")
    for each, source in ((module, text), (plain, sb.generate(derived, bare=True))):
        exec(source, each.__dict__)
    parameters = module.initialize(0, float)
    x, t = np.random.default_rng(0).normal(size=(2, 5, 3))
    assert np.array_equal(module.forward(parameters, x), plain.forward(parameters, x))
    (error, found), (other_error, other) = (m.gradients(parameters, x, t) for m in (module, plain))
    assert error == other_error
    trainers = [m.Trainer(parameters, learning_rate=0.1) for m in (module, plain)]
    assert trainers[0].step(x, t) == trainers[1].step(x, t)
    for name, value in other.items():
        np.testing.assert_array_equal(found[name], value)
        np.testing.assert_array_equal(*(trainer.parameters[name] for trainer in trainers))


def test_few_derivatives_are_returned_from_where_loops_keep_them() -> None:
    """A dict that fits a line reads what is kept by layer there."""
    module = sb.load(Network.from_equations(NAMED.format("h0", "h5 = repeat(layer, 5, h0)", "h5")))
    x = np.ones((2, 3))
    _, found = module.gradients(module.initialize(0, float), x, x)
    assert list(found) == [f"v{n}" for n in range(1, 6)]


@pytest.mark.slow
def test_uses_one_by_one_are_a_loop_as_those_of_repeat() -> None:
    lines = START + "".join(f"h{n} = layer(h{n - 1})\n" for n in range(1, 6))
    assert (
        sb.generate(network(5, uses=lines), bare=True).split('"""')[4:]
        == (sb.generate(network(5), bare=True).split('"""')[4:])
    )


@pytest.mark.parametrize(
    ("count", "last"), [(4, ""), (4, "last"), pytest.param(6, "", marks=pytest.mark.slow)]
)
def test_loops_compute_what_is_written_out(count: int, last: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(count, last)
    module = sb.load(net)
    monkeypatch.setattr("symbackprop.code.loops.LEAST_USES", 99)
    plain = sb.load(network(count, last))
    generator = np.random.default_rng(0)
    parameters = {name: generator.normal(size=shape) for name, shape in module.PARAMETER_SHAPES.items()}
    x, t = generator.normal(size=(2, 5, 4, 3))
    assert np.array_equal(module.forward(parameters, x), plain.forward(parameters, x))
    error, found = module.gradients(parameters, x, t)
    other_error, other = plain.gradients(parameters, x, t)
    assert error == pytest.approx(other_error) == pytest.approx(module.loss(parameters, x, t))
    for name, value in other.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-14)
    trainers = [each.Trainer(parameters, learning_rate=0.1) for each in (module, plain)]
    for _ in range(2):
        errors = [trainer.step(x, t) for trainer in trainers]
        assert errors[0] == pytest.approx(errors[1])
    for name, value in trainers[1].parameters.items():
        np.testing.assert_allclose(trainers[0].parameters[name], value, rtol=1e-10, atol=1e-12)


def test_the_module_is_checked_and_saved(tmp_path: object) -> None:
    report = check_network(network(4))
    assert report.holds, report.table()


def test_the_derivation_says_equal_uses_once() -> None:
    text = sb.derive(network(5)).text()
    assert "The layers ℓ = 1, …, 5 are alike" in text
    assert "u[ℓ,p,d] = (h[ℓ-1,p,d] - middle[ℓ,p])·gain[ℓ,d]/sqrt(1e-5 + spread[ℓ,p]) + common[d]" in text


def test_uses_with_constants_of_their_own_are_derived_once(monkeypatch: pytest.MonkeyPatch) -> None:
    block = """\
input x[n, d]
target t[n, d]
size d = 3
block layer(h[n, d]) -> y[n, d]
    parameter a[d] = 1
    constant small = 1e-5
    u[n, d] = a[d]*h[n, d]/sqrt(mean(h[n, e]**2, e) + small)
    y[n, d] = h[n, d] + tanh(u[n, d])
"""
    end = "E = mean(sum((h{0}[n, d] - t[n, d])**2, d), n)\noutput h{0}\n"
    worked_out: list[object] = []

    def counted(goal: Goal) -> Outcome:
        worked_out.append(goal)
        return work_out(goal)

    monkeypatch.setattr(signature, "work_out", counted)
    counts = []
    for count in (4, 9):
        worked_out.clear()
        monkeypatch.setattr(signature, "OUTCOMES", {})
        uses = f"h0[n, d] = x[n, d]\nh{count} = repeat(layer, {count}, h0)\n"
        sb.derive(Network.from_equations(block + uses + end.format(count)))
        counts.append(len(worked_out))
    assert counts[0] == counts[1]
