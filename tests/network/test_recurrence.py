"""Recurrences: what reads itself at other places along one letter, against plain loops and differences."""

from __future__ import annotations

import re
import types
from functools import cache
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.check import check_network
from symbackprop.errors import SpecificationError
from symbackprop.network.network import Network
from symbackprop.proof.prover import prove
from tests.net_text import Array, evaluate_as_read

SIZES = {"n": 3, "k": 2, "i": 3, "j": 3, "m": 2, "d": 2, "e": 2}
ENDS = {"k": 2, "i": 3, "d": 2}

RNN = """
input x[n, t, k]
target y[n, t, i]
parameter w[k, i], u[j, i], b[i], start[i]
before[n, t, i] = where(t > 0, h[n, t - 1, i], start[i])
s[n, t, i] = sum(x[n, t, k]*w[k, i], k) + sum(before[n, t, j]*u[j, i], j) + b[i]
h[n, t, i] = tanh(s[n, t, i])
E = mean(sum((h[n, t, i] - y[n, t, i])**2, t, i)/2, n)
output h
"""
LSTM = """
input x[n, t, k]
target y[n, t, i]
parameter wa[k, i], ua[j, i], ba[i], wf[k, i], uf[j, i], bf[i], wo[k, i], uo[j, i], wg[k, i], ug[j, i]
hb[n, t, i] = where(t > 0, h[n, t - 1, i], 0)
cb[n, t, i] = where(t > 0, c[n, t - 1, i], 1)
a[n, t, i] = sigmoid(sum(x[n, t, k]*wa[k, i], k) + sum(hb[n, t, j]*ua[j, i], j) + ba[i])
f[n, t, i] = sigmoid(sum(x[n, t, k]*wf[k, i], k) + sum(hb[n, t, j]*uf[j, i], j) + bf[i])
o[n, t, i] = sigmoid(sum(x[n, t, k]*wo[k, i], k) + sum(hb[n, t, j]*uo[j, i], j))
g[n, t, i] = tanh(sum(x[n, t, k]*wg[k, i], k) + sum(hb[n, t, j]*ug[j, i], j))
c[n, t, i] = f[n, t, i]*cb[n, t, i] + a[n, t, i]*g[n, t, i]
h[n, t, i] = o[n, t, i]*tanh(c[n, t, i])
E = mean(sum((h[n, t, i] - y[n, t, i])**2, t, i)/2, n)
output h
"""
GRU = """
input x[n, t, k], first[n, i]
target y[n, i]
parameter wz[k, i], uz[j, i], wr[k, i], ur[j, i], wc[k, i], uc[j, i]
p[n, t, i] = where(t > 0, h[n, t - 1, i], first[n, i])
z[n, t, i] = sigmoid(sum(x[n, t, k]*wz[k, i], k) + sum(p[n, t, j]*uz[j, i], j))
r[n, t, i] = sigmoid(sum(x[n, t, k]*wr[k, i], k) + sum(p[n, t, j]*ur[j, i], j))
c[n, t, i] = tanh(sum(x[n, t, k]*wc[k, i], k) + sum(r[n, t, j]*p[n, t, j]*uc[j, i], j))
h[n, t, i] = z[n, t, i]*p[n, t, i] + (1 - z[n, t, i])*c[n, t, i]
last[n, i] = h[n, size(t) - 1, i]
E = mean(sum((last[n, i] - y[n, i])**2, i)/2, n)
output last
"""
TWO = """
input x[n, t, k]
target y[n, t, i]
parameter w[k, i], v[j, i], r
p[n, t, i] = tanh(sum(x[n, t, k]*w[k, i], k) + where(t > 0, q[n, t - 1, i], 0))
q[n, t, i] = sum(where(t > 1, p[n, t - 2, j], 0.5)*v[j, i], j) + r*p[n, t, i]
E = mean(sum((q[n, t, i] - y[n, t, i])**2, t, i)/2, n)
output q
"""
ITSELF = """
input x[n, t, k]
target y[n, t, i]
parameter w[k, i], u[j, i], r[i]
s[n, t, i] = sum(x[n, t, k]*w[k, i], k) + sum(where(t > 0, tanh(s[n, t - 1, j])*u[j, i], 0), j) + SKIP
E = mean(sum((s[n, t, i] - y[n, t, i])**2, t, i)/2, n)
output s
""".replace("SKIP", "r[i]*where(t > 1, s[n, t - 2, i], 0)")
BACKWARDS = """
input x[n, t, k], first[n, i]
target y[n, t, i]
parameter w[k, i], u[j, i], a
b[n, t, i] = where(t < size(t) - 1, h[n, t + 1, i], first[n, i])
h[n, t, i] = tanh(sum(x[n, t, k]*w[k, i], k) + sum(b[n, t, j]*u[j, i], j)) + a*b[n, t, i]
E = mean(sum((h[n, t, i] - y[n, t, i])**2, t, i)/2, n)
output h
"""
LENGTHS = """
input x[n, t, k], length[n]
target y[n, i]
parameter w[k, i], u[j, i]
p[n, t, i] = where(t > 0, h[n, t - 1, i], 0)
h[n, t, i] = where(t < length[n], tanh(sum(x[n, t, k]*w[k, i], k) + sum(p[n, t, j]*u[j, i], j)), p[n, t, i])
z[n, i] = h[n, size(t) - 1, i]
E = mean(sum((z[n, i] - y[n, i])**2, i), n)
output z
"""
AVERAGE = """
input x[n, t, k]
target y[n, t, k]
parameter g
m[n, t, k] = sigmoid(g)*where(t != 0, m[n, t - 1, k], x[n, 0, k]) + (1 - sigmoid(g))*x[n, t, k]
E = mean(sum((m[n, t, k] - y[n, t, k])**2, t, k), n)
output m
"""
LARGEST = """
input x[n, t, k]
target y[n, k]
parameter w[k]
r[n, t, k] = where(t == 0, w[k]*x[n, t, k], Max(r[n, t - 1, k], w[k]*x[n, t, k]))
E = mean(sum((r[n, size(t) - 1, k] - y[n, k])**2, k), n)
output r
"""
LOOKING = """
input x[n, t, d]
target y[n, t, d]
parameter v[d, e]
m[n, t, d] = x[n, t, d] + where(t > 0, sum(softmax(m[n, t - 1, e]*v[e, d], e)*m[n, t - 1, e], e), 0)
E = mean(sum((m[n, t, d] - y[n, t, d])**2, t, d), n)
output m
"""
FAR = """
input x[n, t, k]
target y[n, t, i]
parameter w[k, i], u[j, i]
h[n, t, i] = tanh(sum(x[n, t, k]*w[k, i], k) + where(t >= 4, sum(h[n, t - 4, j]*u[j, i], j), 0))
E = mean(sum((h[n, t, i] - y[n, t, i])**2, t, i), n)
output h
"""
FIELD = """
input x[n, t, i]
target y[n, i]
parameter w[j, i]
p[n, t, i, j] = where(t > 0, a[n, t - 1, j] + w[j, i], 0)
a[n, t, i] = x[n, t, i] + where(t > 0, log(sum(exp(p[n, t, i, j]), j)), 0)
z[n, i] = a[n, size(t) - 1, i]
E = mean(sum((z[n, i] - y[n, i])**2, i), n)
output z
"""
TEXTS = {"rnn": RNN, "lstm": LSTM, "gru": GRU, "two": TWO, "itself": ITSELF, "backwards": BACKWARDS}
TEXTS |= {"lengths": LENGTHS, "average": AVERAGE, "largest": LARGEST, "looking": LOOKING, "far": FAR}
TEXTS |= {"field": FIELD}


TEXT_MARKS = [pytest.param(name, marks=[pytest.mark.slow] * (name == "looking")) for name in TEXTS]


def ends_in(text: str) -> dict[str, int]:
    letters = re.findall(r"\b\w\b", " ".join(re.findall(r"\[(.*?)\]", re.sub(r"[a-z]\w+\[", "[", text))))
    return {i: n for i, n in ENDS.items() if i in letters}


@cache
def network(name: str) -> Network:
    return Network.from_equations(TEXTS[name], ends_in(TEXTS[name]), name=name)


@cache
def module_of(name: str) -> types.ModuleType:
    return sb.load(network(name))


def equations_of(text: str) -> list[str]:
    return [line for line in text.strip().split("\n") if " = " in line]


def given_of(text: str, word: str) -> list[tuple[str, list[str]]]:
    found = re.findall(rf"^{word} (.*)$", text, re.MULTILINE)
    return [(n, re.findall(r"\w+", i)) for n, i in re.findall(r"(\w+)(\[[^]]*\])?", found[0])]


def drawn(text: str, steps: int) -> tuple[dict[str, int], dict[str, Array]]:
    sizes, generator = {**SIZES, "t": steps}, np.random.default_rng(steps)
    given = [pair for word in ("input", "target", "parameter") for pair in given_of(text, word)]
    return sizes, {n: generator.normal(size=tuple(sizes[i] for i in letters)) for n, letters in given}


def arguments(name: str, values: dict[str, Array]) -> tuple[dict[str, Array], Any, Array]:
    text = TEXTS[name]
    parameters = {n: values[n] for n, _ in given_of(text, "parameter")}
    inputs = {n: values[n] for n, _ in given_of(text, "input")}
    return parameters, inputs if len(inputs) > 1 else next(iter(inputs.values())), values["y"]


@pytest.mark.parametrize("steps", [1, 2, 3, 6])
@pytest.mark.parametrize("name", TEXT_MARKS)
def test_the_module_agrees_with_plain_loops_for_any_length(name: str, steps: int) -> None:
    text, module = TEXTS[name], module_of(name)
    sizes, values = drawn(text, steps)
    parameters, x, t = arguments(name, values)
    right = evaluate_as_read(equations_of(text), values, sizes)
    output = given_of(text, "output")[0][0]
    np.testing.assert_allclose(module.forward(parameters, x), right[output], rtol=1e-10)
    error, gradients = module.gradients(parameters, x, t)
    assert error == pytest.approx(float(right["E"]), rel=1e-12)
    generator = np.random.default_rng(1)
    for parameter, array in parameters.items():
        way = generator.normal(size=array.shape)
        ends = []
        for length in (1e-5, -1e-5):
            moved = {**values, parameter: array + length * way}
            ends.append(float(evaluate_as_read(equations_of(text), moved, sizes)["E"]))
        slope = (ends[0] - ends[1]) / 2e-5
        assert float(np.sum(gradients[parameter] * way)) == pytest.approx(slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("name", TEXT_MARKS)
def test_a_step_goes_down_the_gradients(name: str) -> None:
    module = module_of(name)
    for steps in (4, 2):
        parameters, x, t = arguments(name, drawn(TEXTS[name], steps)[1])
        error, gradients = module.gradients(parameters, x, t)
        trainer = module.Trainer(parameters, learning_rate=0.1)
        assert trainer.step(x, t) == pytest.approx(error, rel=1e-12)
        for n, array in parameters.items():
            np.testing.assert_allclose(trainer.parameters[n], array - 0.1 * gradients[n], rtol=1e-10)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in ("lstm", "gru", "looking"))) for n in TEXTS]
)
def test_every_step_is_proved(name: str) -> None:
    for verdict in prove(sb.derive(network(name))):
        assert verdict.holds, f"{verdict.step.lhs}: {verdict.counterexample}"


def test_a_wrong_condition_is_caught() -> None:
    """A term that comes back from a place too early, or on the wrong end, is no derivative."""
    derivation = sb.derive(network("backwards"))
    step = derivation.by_number[derivation.results["h"]]
    assert "t >= 1" in str(step.rhs)
    for wrong in (step.rhs.subs(1, 2), -step.rhs):
        changed = derivation.with_step(type(step)(step.number, step.target, step.rule, step.lhs, wrong))
        assert not all(verdict.holds for verdict in prove(changed))


def test_the_steps_are_those_of_the_textbook() -> None:
    derivation = sb.derive(Network.from_equations(RNN, ends_in(RNN)))
    assert str(derivation.adjoint("before")) == "Sum(ds[t, j]*u[i, j], (j, 0, I - 1))"
    found = str(derivation.adjoint("s"))
    assert "Piecewise((dbefore[t + 1, i], t <= T - 2), (0, True))" in found
    assert "1 - h[t, i]**2" in found


def test_the_loops_hold_nothing_that_can_stand_outside() -> None:
    text = sb.generate(network("rnn"), bare=True)
    loops = re.findall(
        r"^( *)for place in .*\n((?:\1 +.*\n)+)", text[text.index("class Trainer") :], re.MULTILINE
    )
    inside = re.sub(r"#.*", "", "".join(body for _, body in loops))
    assert len(loops) == 2
    assert "x" not in re.findall(r"\b\w+\b", inside)
    assert inside.count(".dot(") == 2


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_what_stands_at_a_place_lies_together(name: str) -> None:
    """Arrays of a recurrence have the places first in memory; no product writes to their rows, a copy."""
    text = sb.generate(network(name), bare=True)
    made = re.findall(r"^ +((?:\w+ = )+)np\.zeros\(.*\.transpose\(1, 0, 2\)$", text, re.MULTILINE)
    turned = {own for names in made for own in names.split(" = ") if own}
    step = text[text.index("class Trainer") :]
    written = {*re.findall(r"out=(\w+)\[:, place\]", step), *re.findall(r"out=(\w+)_here", step)}
    assert set() < written <= turned
    assert not [own for own in turned if f"out={own}.reshape" in step]


ON_BUFFERS = (
    r"[^@]+, out=[^@]+\)", r"np\.copyto\(.*\)", r"\w+(\[:, place\])? [-+*/]= [^-+*/@]+(\[:, place [-+] 1\])?",
)  # fmt: skip
OTHERS = (r"#.*", r"(\w+)_here = (\w+)\[:, place\]", r"if place .*:", r"else:", "")


@pytest.mark.parametrize("name", ["lstm", "field"])
def test_the_loops_of_a_step_make_no_arrays(name: str) -> None:
    """What they compute goes to arrays that are there; a slice that is used again is made once."""
    step = sb.generate(network(name), bare=True).partition("class Trainer")[2]
    loops = re.findall(r"^( *)for place in .*\n((?:\1 +.*\n)+)", step, re.MULTILINE)
    assert len(loops) == 2
    for body in (re.sub(r"\(\n +(.*),?\n +\)$", r"(\1)", body, flags=re.MULTILINE) for _, body in loops):
        lines = map(str.strip, body.splitlines())
        assert not [line for line in lines if not re.fullmatch("|".join((*ON_BUFFERS, *OTHERS)), line)]
        for view in re.findall(r"(\w+)_here = ", body):
            assert body.count(f"{view}[:, place]") == 1
            assert body.count(f"{view}_here") > 2


def test_the_largest_of_a_row_is_found_once() -> None:
    step = sb.generate(network("field"), bare=True).partition("class Trainer")[2]
    (loop, _) = re.findall(r"^( *)for place in .*\n((?:\1 +.*\n)+)", step, re.MULTILINE)
    assert loop[1].count("max(") == 1


def test_equations_are_written_and_read_again() -> None:
    net = network("two")
    assert [e.name for e in net.model.system.equations] == ["p_in", "p", "q", "E"]


REFUSED = {
    "same place": (RNN.replace("h[n, t - 1, i]", "h[n, t, i]"), "'h' is used before it is defined"),
    "both ways": (
        TWO.replace("where(t > 1, p[n, t - 2, j], 0.5)", "where(t < size(t) - 1, p[n, t + 1, j], 0.5)"),
        "go in a circle: p -> q -> p; some of these reads are at an earlier place and some at a later one",
    ),
    "no distance": (
        RNN.replace("where(t > 0, h[n, t - 1, i], start[i])", "sum(where(l < t, h[n, l, i], start[i]), l)"),
        "go in a circle: before -> h -> s -> before",
    ),
    "outside": (RNN.replace("t > 0", "t >= 0"), "reads before the beginning of axis 2 of 'h'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_order_is_refused_with_its_circle(name: str) -> None:
    text, message = REFUSED[name]
    with pytest.raises(SpecificationError) as problem:
        sb.derive(Network.from_equations(text, ends_in(text)))
    assert message in str(problem.value)


BY_CASES = {
    "a separate pre-activation": (
        """
input x[n, t, k]
target y[n, t, i]
parameter w[k, i], u[j, i], b[i], start[i]
size k = 2, i = 3, j = 3, t = 4
s[n, t, i] = sum(x[n, t, k]*w[k, i], k) + sum(h[n, t, j]*u[j, i], j) + b[i]
h[n, 0, i] = start[i]
h[n, t + 1, i] = tanh(s[n, t, i])
E = mean(sum((h[n, t + 1, i] - y[n, t, i])**2, t, i)/2, n)
output h
""",
        RNN + "size k = 2, i = 3, t = 4\n",
    ),
    "two states in a circle": (
        """
input x[n, t, k]
target y[n, i]
parameter wf[k, i], uf[j, i], wg[k, i], ug[j, i], start[i]
size k = 2, i = 3, j = 3, t = 4
c[n, 0, i] = 1
h[n, 0, i] = start[i]
c[n, t + 1, i] = sigmoid(sum(x[n, t, k]*wf[k, i], k) + sum(h[n, t, j]*uf[j, i], j))*c[n, t, i] + wg[0, i]
h[n, t + 1, i] = tanh(sum(x[n, t, k]*wg[k, i], k) + sum(h[n, t, j]*ug[j, i], j))*tanh(c[n, t + 1, i])
E = mean(sum((h[n, 4, i] - y[n, i])**2, i)/2, n)
output h
""",
        """
input x[n, t, k]
target y[n, i]
parameter wf[k, i], uf[j, i], wg[k, i], ug[j, i], start[i]
size k = 2, i = 3, t = 4
cb[n, t, i] = where(t > 0, c[n, t - 1, i], 1)
hb[n, t, i] = where(t > 0, h[n, t - 1, i], start[i])
c[n, t, i] = sigmoid(sum(x[n, t, k]*wf[k, i], k) + sum(hb[n, t, j]*uf[j, i], j))*cb[n, t, i] + wg[0, i]
h[n, t, i] = tanh(sum(x[n, t, k]*wg[k, i], k) + sum(hb[n, t, j]*ug[j, i], j))*tanh(c[n, t, i])
E = mean(sum((h[n, 3, i] - y[n, i])**2, i)/2, n)
output h
""",
    ),
    "two places behind": (
        """
input x[n, t]
target y[n]
parameter w, v
size t = 4
h[n, 0] = x[n, 0]
h[n, 1] = v*x[n, 1]
h[n, t + 2] = tanh(w*h[n, t + 1] + v*h[n, t] + x[n, t])
E = mean(sum((h[n, p] - y[n])**2, p), n)
output h
""",
        """
input x[n, t]
target y[n]
parameter w, v
size t = 4, p = 6
later[n, p] = where(p > 1, tanh(w*h[n, p - 1] + v*h[n, p - 2] + x[n, p - 2]), v*x[n, 1])
h[n, p] = where(p > 0, later[n, p], x[n, 0])
E = mean(sum((h[n, p] - y[n])**2, p), n)
output h
""",
    ),
    "from the last place": (
        """
input x[n, t]
target y[n]
parameter w, v
size t = 4
h[n, 4] = v*x[n, 3]
h[n, t] = tanh(w*h[n, t + 1] + x[n, t])
E = mean((h[n, 0] - y[n])**2, n)
output h
""",
        """
input x[n, t]
target y[n]
parameter w, v
size t = 4
h[n, t] = tanh(w*where(t < 3, h[n, t + 1], v*x[n, 3]) + x[n, t])
E = mean((h[n, 0] - y[n])**2, n)
output h
""",
    ),
}


@pytest.mark.parametrize("name", BY_CASES)
def test_a_recurrence_by_cases_is_that_by_conditions(name: str) -> None:
    one, other = (Network.from_equations(text) for text in BY_CASES[name])
    assert all(verdict.holds for verdict in prove(sb.derive(one)))
    first, second = (sb.load(net) for net in (one, other))
    generator = np.random.default_rng(0)
    parameters = {n: generator.normal(size=shape) for n, shape in first.PARAMETER_SHAPES.items()}
    x = generator.normal(size=(3, 4, 2) if "k" in BY_CASES[name][0] else (3, 4))
    y = generator.normal(size=(3, *first.TARGETS["y"][1:]))
    (loss, found), (expected, right) = (m.gradients(parameters, x, y) for m in (first, second))
    assert loss == pytest.approx(expected, rel=1e-12)
    for parameter in right:
        np.testing.assert_allclose(found[parameter], right[parameter], rtol=1e-10, atol=1e-12)


def test_a_loop_uses_no_part_that_is_computed_behind_it() -> None:
    text = """\
input x[n, t, i]
integer input length[n]
parameter w[i]
size i = 2
h[n, t, i] = tanh(w[i]*x[n, t, i] + where(t < size(t) - 1 and t < length[n] - 1, h[n, t + 1, i], 0))
a[n, t] = where(t < length[n] - 1, x[n, t, 0], 2)
b[n, t] = where(t == length[n] - 1, 1, 0)
E = mean(sum(h[n, t, i]*(a[n, t] + b[n, t]), t, i), n)
output h
"""
    module: Any = sb.load(Network.from_equations(text))
    x, length, w = np.ones((2, 3, 2)), np.array([3, 1]), np.full(2, 0.5)
    last, alone = np.tanh(0.5), np.tanh(0.5 + np.tanh(0.5 + np.tanh(0.5)))
    found = module.forward({"w": w}, {"x": x, "length": length})
    np.testing.assert_allclose(found[:, 0, 0], [alone, last])
    np.testing.assert_allclose(found[:, 2, 0], [last, last])
    factors = np.array([[1, 1, 3], [3, 2, 2]])
    right = (found * factors[:, :, None]).sum() / 2
    assert module.loss({"w": w}, {"x": x, "length": length}) == pytest.approx(right)


def test_a_parameter_is_the_first_state_of_every_sample() -> None:
    text = """\
input x[n, t, k]
parameter start[i], u[i], w[k, i]
size k = 2, i = 3
begin[n, i] = start[i]
h[n, t, i] = tanh(sum(x[n, t, k]*w[k, i], k) + u[i]*where(t > 0, h[n, t - 1, i], begin[n, i]))
E = mean(sum(h[n, t, i]**2, t, i), n)
output h
"""
    at_once = text.replace("begin[n, i] = start[i]\n", "").replace("begin[n, i]", "start[i]")
    assert sb.Network.from_equations(text).model.per_sample is False
    found, right = (sb.load(Network.from_equations(each)) for each in (text, at_once))
    generator = np.random.default_rng(2)
    shapes = {"start": 3, "u": 3, "w": (2, 3)}
    parameters = {name: generator.normal(size=shape) for name, shape in shapes.items()}
    x = generator.normal(size=(4, 3, 2))
    (e, gradients), (same, others) = (module.gradients(parameters, x) for module in (found, right))
    assert e == pytest.approx(same)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, others[name], rtol=1e-12)


@pytest.mark.slow
def test_the_largest_along_a_recurrence_is_proved_and_its_code_agrees() -> None:
    """Its place is a number of the data there, and no axis to scatter along in the loop back."""
    text = "from library import rnn\ninput x[n, t, k]\ntarget y[n, i]\nsize t = 5, k = 3\n"
    text += "h[n, t, i] = rnn(x, i=4)\nq[n, i] = max(h[n, t, i], t)\n"
    text += "E = mean(sum((q[n, i] - y[n, i])**2, i), n)\noutput q\n"
    assert check_network(sb.Network.from_equations(text)).holds
