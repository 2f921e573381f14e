"""Where loops are long, `gradients` carries out the statements of a step, on arrays of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from sympy import Integer

import symbackprop as sb
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Name, Operation
from symbackprop.code.long_calls import LongCalls
from symbackprop.code.module import emit
from symbackprop.code.statements import Assign, BeforeLast, Block, Instruction, Loop, array
from symbackprop.commands.comparison.module import check_module
from symbackprop.network.network import Network
from symbackprop.network.random_data import sample_data
from tests.code.instructions import call, dot, exp, of, transposed
from tests.code.test_parts import TWO_INPUTS
from tests.code.test_training_and_use import NET as STATES
from tests.code.test_uses import OF_DATA

OPEN = """\
input x[n, p, k]
target t[n, p, i]
parameter w[k, i], b[i]
size k = 3, i = 2
noise e[n, p, i] = normal(0.1)
s[n, p, i] = sum(x[n, p, k]*w[k, i], k) + b[i] + where(training, e[n, p, i], 0)
y[n, p, i] = softmax(s[n, p, i], p)
E = mean(sum((y[n, p, i] - t[n, p, i])**2, p, i), n)
output y
"""
NAMES = """\
input x[n, k]
target t[n, i]
parameter fixed[k, i], derivatives[i]
size k = 2, i = 3
buffers[n, i] = sum(x[n, k]*fixed[k, i], k) + derivatives[i]
left[n, i] = tanh(buffers[n, i])
E = mean(sum((left[n, i] - t[n, i])**2, i), n)
output left
"""
NETWORKS: dict[str, tuple[Any, str, int]] = {
    "layers": (lambda: Network.from_equations(OF_DATA.format(4)), "sgd", 10),
    "regularised": (lambda: sb.Network("4-6:tanh-3:softmax", l2=0.1), "adam", 0),
    "states and noise": (lambda: Network.from_equations(STATES), "momentum", 0),
    "open sizes": (lambda: Network.from_equations(OPEN), "sgd", 0),
    "two inputs": (lambda: Network.from_equations(TWO_INPUTS), "sgd", 0),
    "names": (lambda: Network.from_equations(NAMES), "sgd", 0),
}
"""Networks with the equations in loops from which on passes stand in one function: 0 of every network."""
NEVER = 10**6


def loaded(text: str) -> Any:
    module = ModuleType("made")
    exec(compile(text, "made", "exec"), module.__dict__)
    return module


@pytest.fixture
def made(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[Network, list[Any]]:
    """A network with its modules: bare and full with one function for both passes, full without."""
    network, optimizer, long = NETWORKS[request.param]
    derived = sb.derive(found := network(), optimizer=optimizer)
    modules = []
    for least, bare in ((long, True), (long, False), (NEVER, False)):
        monkeypatch.setattr("symbackprop.code.training_step.LONG", least)
        text = emit(derived, bare=bare)
        assert text.count("_both_passes(") == (3 if least == long else 0)
        modules.append(loaded(text))
    return found, modules


EVERY = pytest.mark.parametrize("made", NETWORKS, indirect=True)
LAYERS = pytest.mark.parametrize("made", ["layers"], indirect=True)


def drawn(network: Network, module: Any) -> tuple[dict[str, np.ndarray], Any, Any]:
    generator = np.random.default_rng(0)
    x, t = sample_data(network.model, generator)
    start = module.initialize(1, np.float64)
    return {name: value + 0.1 * generator.normal(size=value.shape) for name, value in start.items()}, x, t


@EVERY
def test_bare_is_full_bit_for_bit_and_both_are_what_pure_functions_compute(
    made: tuple[Network, list[Any]],
) -> None:
    network, modules = made
    parameters, x, t = drawn(network, modules[0])
    assert modules[0].loss(parameters, x, t) == modules[1].loss(parameters, x, t)
    (error, own), (full_error, full), (plain_error, plain) = (m.gradients(parameters, x, t) for m in modules)
    assert isinstance(error, float)
    assert error == full_error == pytest.approx(plain_error, rel=1e-12)
    assert list(own) == list(full) == list(plain) == list(modules[0].PARAMETER_SHAPES)
    for name, value in plain.items():
        assert np.array_equal(own[name], full[name])
        assert (own[name].shape, own[name].dtype) == (np.shape(value), np.float64)
        np.testing.assert_allclose(own[name], value, rtol=1e-9, atol=1e-13)


@EVERY
def test_steps_are_those_without_such_a_function_bit_for_bit(made: tuple[Network, list[Any]]) -> None:
    network, modules = made
    parameters, x, t = drawn(network, modules[0])
    trainers = [m.Trainer(parameters, batch_size=20, learning_rate=0.1, seed=3) for m in modules]
    short = network.model.per_sample and isinstance(x, np.ndarray)
    for x_, t_ in ((x, t), (x[:2], t[:2]) if short else (x, t), (x, t)):
        errors = {trainer.step(x_, t_) for trainer in trainers}
        assert len(errors) == 1
    for name, value in trainers[2].parameters.items():
        assert all(np.array_equal(trainer.parameters[name], value) for trainer in trainers), name


@LAYERS
def test_derivatives_are_what_small_changes_make(made: tuple[Network, list[Any]]) -> None:
    network, (bare, *_) = made
    parameters, x, t = drawn(network, bare)
    for name, value in bare.gradients(parameters, x, t)[1].items():
        for place in np.ndindex(*value.shape):
            move = np.zeros_like(value)
            move[place] = 1e-5
            ends = [bare.loss({**parameters, name: parameters[name] + s * move}, x, t) for s in (1, -1)]
            assert value[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-8)


@LAYERS
def test_what_gradients_returns_is_its_own(made: tuple[Network, list[Any]]) -> None:
    network, modules = made
    parameters, x, t = drawn(network, modules[0])
    before = {name: value.copy() for name, value in parameters.items()}
    for module in modules[:2]:
        _, first = module.gradients(parameters, x, t)
        kept = {name: value.copy() for name, value in first.items()}
        _, second = module.gradients(parameters, -2 * x, t)
        for name, value in parameters.items():
            assert np.array_equal(value, before[name])
            assert np.array_equal(first[name], kept[name])
            assert not np.array_equal(first[name], second[name])
            assert not np.shares_memory(first[name], second[name])


@LAYERS
def test_parameters_may_be_of_any_kind_and_data_lists(made: tuple[Network, list[Any]]) -> None:
    network, (bare, *_) = made
    parameters, x, t = drawn(network, bare)
    error, right = bare.gradients(parameters, x, t)
    turned = {name: np.asfortranarray(value) for name, value in parameters.items()}
    swapped = {name: value.astype(value.dtype.newbyteorder()) for name, value in parameters.items()}
    for given in (turned, swapped):
        other, found = bare.gradients(given, x.tolist(), t.tolist())
        assert other == pytest.approx(error, rel=1e-13)
        for name, value in right.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-11, atol=1e-14)
    single = {name: value.astype(np.float32) for name, value in parameters.items()}
    assert {v.dtype for v in bare.gradients(single, x, t)[1].values()} == {np.dtype(np.float32)}
    mixed = {**single, "v2": parameters["v2"]}
    assert {v.dtype for v in bare.gradients(mixed, x, t)[1].values()} == {np.dtype(np.float64)}
    with pytest.raises(KeyError, match="v2"):
        bare.gradients({name: value for name, value in parameters.items() if name != "v2"}, x, t)
    assert np.isnan(bare.gradients(parameters, x[:0], t[:0])[0])  # as the mean of no numbers is


@LAYERS
def test_weights_of_samples_and_states_on_disk(made: tuple[Network, list[Any]], tmp_path: Path) -> None:
    network, (_, full, plain) = made
    parameters, x, t = drawn(network, full)
    weights = np.linspace(0.5, 2, len(x))
    ends = []
    for module in (full, plain):
        trainer = module.Trainer(parameters, batch_size=4, seed=3)
        errors = [
            trainer.step(x[:4], t[:4], weights=weights[:4]),
            trainer.step(x[:4], t[:4], with_loss=False),
        ]
        assert errors[1] is None
        trainer.save(tmp_path / "state.npz")
        trainer.fit(x, t, 2)
        again = module.Trainer.load(tmp_path / "state.npz")
        again.fit(x, t, 2)
        assert all(np.array_equal(again.parameters[n], value) for n, value in trainer.parameters.items())
        ends.append((errors, {n: value.tobytes() for n, value in trainer.parameters.items()}))
    assert ends[0] == ends[1]


def test_check_notices_a_wrong_statement_in_derivatives_and_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symbackprop.code.training_step.LONG", 0)
    derived = sb.derive(sb.Network("2-3-1"))
    text = emit(derived, bare=True)
    wrong = text.replace("ds2 *= scale", "ds2 *= 1.01 * scale")
    assert wrong != text
    compared = check_module(loaded(wrong), derived, expected=loaded(emit(derived)))
    rows = {row.subject: row.holds for row in compared}
    assert rows["E"]
    assert not any(rows[name] for name in ("∂E/∂w1", "∂E/∂b2", "Trainer.step"))


# ---------------------------------------------------------------- how long a module is

DECODER = """\
from library import embedding_sequence, transformer_block, layer_norm_sequence, dense_sequence
integer input  word[n, p]
integer target next[n, p]
parameter place[p, d] = normal(0.02)
size p = 8, d = 16, v = 20
w[n, p, d]  = embedding_sequence(word, v=20)
x0[n, p, d] = w[n, p, d] + place[p, d]
x{0} = repeat(transformer_block, {0}, x0, h=2, a=8, f=32)
y = layer_norm_sequence(x{0})
z[n, p, v] = dense_sequence(y)
l[n, p, v] = log_softmax(z[n, p, v], v)
E = mean(-l[n, p, next[n, p]], n, p)
output z
"""
OWN = """\
integer input  word[n, p]
integer target next[n, p]
parameter embed[v, d] = normal(0.02), place[p, d] = normal(0.02), unembed[d, v] = xavier, bout[v]
parameter gf[d] = 1, sf[d] = 0
size p = 16, d = 32, v = 50, h = 4, a = 8, f = 64
constant eps = 1e-5
block layer(x[n, p, d]) -> y[n, p, d]
    parameter g1[d] = 1, s1[d] = 0, g2[d] = 1, s2[d] = 0
    parameter wq[d, h, a], wk[d, h, a], wv[d, h, a], wo[h, a, d], bq[h, a], bk[h, a], bv[h, a], bo[d]
    parameter w1[d, f], b1[f], w2[f, d], b2[d]
    m1[n, p] = mean(x[n, p, d], d)
    v1[n, p] = mean((x[n, p, d] - m1[n, p])**2, d)
    sd1[n, p] = sqrt(v1[n, p] + eps)
    u1[n, p, d] = (x[n, p, d] - m1[n, p])/sd1[n, p]
    a1[n, p, d] = g1[d]*u1[n, p, d] + s1[d]
    q[n, p, h, a] = sum(a1[n, p, d]*wq[d, h, a], d) + bq[h, a]
    k[n, p, h, a] = sum(a1[n, p, d]*wk[d, h, a], d) + bk[h, a]
    val[n, p, h, a] = sum(a1[n, p, d]*wv[d, h, a], d) + bv[h, a]
    raw[n, h, p, r] = sum(q[n, p, h, a]*k[n, r, h, a], a)
    score[n, h, p, r] = where(r <= p, raw[n, h, p, r]/sqrt(size(a)), -1e30)
    top[n, h, p] = max(score[n, h, p, r], r)
    ex[n, h, p, r] = where(r <= p, exp(score[n, h, p, r] - top[n, h, p]), 0)
    den[n, h, p] = sum(ex[n, h, p, r], r)
    prob[n, h, p, r] = ex[n, h, p, r]/den[n, h, p]
    mix[n, p, h, a] = sum(prob[n, h, p, r]*val[n, r, h, a], r)
    att[n, p, d] = sum(mix[n, p, h, a]*wo[h, a, d], h, a) + bo[d]
    z[n, p, d] = x[n, p, d] + att[n, p, d]
    m2[n, p] = mean(z[n, p, d], d)
    v2[n, p] = mean((z[n, p, d] - m2[n, p])**2, d)
    sd2[n, p] = sqrt(v2[n, p] + eps)
    u2[n, p, d] = (z[n, p, d] - m2[n, p])/sd2[n, p]
    a2[n, p, d] = g2[d]*u2[n, p, d] + s2[d]
    c[n, p, f] = sum(a2[n, p, d]*w1[d, f], d) + b1[f]
    ph[n, p, f] = (1 + erf(c[n, p, f]/sqrt(2)))/2
    e[n, p, f] = c[n, p, f]*ph[n, p, f]
    o[n, p, d] = sum(e[n, p, f]*w2[f, d], f) + b2[d]
    y[n, p, d] = z[n, p, d] + o[n, p, d]
x0[n, p, d] = embed[word[n, p], d] + place[p, d]
x{0} = repeat(layer, {0}, x0)
mf[n, p] = mean(x{0}[n, p, d], d)
vf[n, p] = mean((x{0}[n, p, d] - mf[n, p])**2, d)
uf[n, p, d] = (x{0}[n, p, d] - mf[n, p])/sqrt(vf[n, p] + eps)
af[n, p, d] = gf[d]*uf[n, p, d] + sf[d]
logit[n, p, v] = sum(af[n, p, d]*unembed[d, v], d) + bout[v]
l[n, p, v] = log_softmax(logit[n, p, v], v)
E = mean(-l[n, p, next[n, p]], n, p)
output logit
"""


@pytest.mark.slow
@pytest.mark.parametrize("text", [DECODER, OWN], ids=["of the library", "of its own blocks"])
def test_a_decoder_is_under_800_lines_however_many_layers_it_has(text: str) -> None:
    few, many = (emit(sb.derive(Network.from_equations(text.format(n))), bare=True) for n in (12, 24))
    assert few.count("\n") < 800
    assert many.count("\n") == few.count("\n")
    code = few.split("def _both_passes(")[1].split("class Trainer")[0]
    assert not re.search(r"\(\n +.*out=.*\n +\)", code)  # a call is in one line
    assert max(map(len, code.splitlines())) <= 88


# ---------------------------------------------------------------- calls that are longer than a line


def block(*inner: Instruction) -> Block:
    return Block("y", inner, 1)


def fitted(*program: Block | Loop, columns: int) -> Sequence[Block | Loop]:
    numbers = count(1)
    return LongCalls(lambda: f"part{next(numbers)}").fitted(program, columns)


def shaped(operation: Operation) -> Operation:
    return replace(operation, axes=(None, None), shape=(Integer(3), Integer(2)))


VIEW = shaped(transposed("activations"))


def product(of_what: Operation = VIEW, out: Name = "c") -> Instruction:
    return dot(of_what, "b", out)


def given(number: int, out: Name = "c", view: Operation = VIEW) -> tuple[Instruction, Instruction]:
    """Return the line that names a view, and the product that reads the name."""
    name = array(f"part{number}", view)
    return Assign(name, view), product(name, out)


def test_a_view_is_named_once_until_what_it_is_of_changes() -> None:
    name, own = given(1)
    assert fitted(block(product()), block(product()), columns=24) == [block(name, own), block(own)]
    changed = exp("b", "activations")
    found = fitted(block(product(), changed, product()), columns=24)
    assert found == [block(name, own, changed, *given(2))]


def test_calls_that_fit_and_those_that_never_will_stay_as_they_are() -> None:
    for columns in (100, 5):
        assert fitted(block(product()), columns=columns) == [block(product())]
    plain = call(Kind.ADD, "a" * 30, "b", out="c")
    assert fitted(block(plain), columns=20) == [block(plain)]


def turn(*inner: Instruction) -> Loop:
    return Loop(range(1, 9), inner)


def test_what_a_turn_names_is_known_in_that_turn_alone() -> None:
    inside, behind = product(out=of("c")), product(out="c" * 10)
    assert fitted(turn(block(inside)), block(behind), columns=32) == [
        turn(block(*given(1, of("c")))),
        block(*given(2, "c" * 10)),
    ]
    less = BeforeLast(8, False, (block(inside),))
    assert fitted(turn(less, block(inside)), columns=36) == [
        turn(BeforeLast(8, False, (block(*given(1, of("c"))),)), block(*given(2, of("c"))))
    ]


def test_views_of_what_a_loop_writes_to_are_forgotten_behind_it() -> None:
    loop, own = turn(block(exp("b", "activations"))), block(product())
    assert [len(part.body) for part in fitted(own, loop, own, columns=24)] == [2, 1, 2]
    loop = turn(block(exp("b", "others")))
    assert [len(part.body) for part in fitted(own, loop, own, columns=24)] == [2, 1, 1]
