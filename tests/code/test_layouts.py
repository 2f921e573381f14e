"""Arrays whose axes lie in another order in memory: which they are, and that all numbers stay right."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from sympy import Symbol

import symbackprop as sb
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import EVERYTHING, Operation, Order, Reduction, Slices, Turn
from symbackprop.code.buffers import BufferWriter, Workspace
from symbackprop.code.layouts import lying, order_of
from symbackprop.code.statements import Call
from symbackprop.network.network import Network

N, T, J = (Symbol(name, integer=True, positive=True) for name in "NTJ")
SHAPE = (N, T, J)
TURNED = (1, 0, 2)

RECURRENCE = """
input x[n, t, k]
integer target label[n]
parameter u[j, i], w[k, i], v[i, m]
size t = 5, k = 3, i = 4, m = 6
before[n, t, i] = where(t > 0, h[n, t - 1, i], 0)
h[n, t, i] = tanh(sum(x[n, t, k]*w[k, i], k) + sum(before[n, t, j]*u[j, i], j))
{0}
l[n, m] = log_softmax(z[n, m], m)
E = mean(-l[n, label[n]], n) + 0.01*mean(sum(h[n, t, i]**2, t, i), n)
output z
"""
BEHIND = {
    "softmax": "g[n, t, i] = softmax(h[n, t, i], i)\nz[n, m] = sum(g[n, t, i]*v[i, m], i, t)",
    "attention": "a[n, t] = sum(h[n, t, i]*h[n, size(t) - 1, i], i)\ng[n, t] = softmax(a[n, t], t)\n"
    "z[n, m] = sum(g[n, t]*h[n, t, i]*v[i, m], i, t)",
    "norm over places": "mu[n, i] = mean(h[n, t, i], t)\nq[n, t, i] = (h[n, t, i] - mu[n, i])**2\n"
    "z[n, m] = sum(q[n, t, i]*v[i, m], i, t)",
    "dense": "q[n, t, m] = tanh(sum(h[n, t, i]*v[i, m], i))\nz[n, m] = sum(q[n, t, m]**2, t)",
    "two": "b2[n, t, i] = where(t < size(t) - 1, g[n, t + 1, i], 0)\n"
    "g[n, t, i] = tanh(h[n, t, i] + b2[n, t, i])\n"
    "z[n, m] = sum(g[n, t, i]*h[n, t, i]*v[i, m], i, t)",
}


def array_of(name: str, shape: tuple[Symbol, ...] = SHAPE) -> Operation:
    return Operation(Kind.ARRAY, (), name, shape, shape)


def of(kind: Kind, *inputs: Operation, value: object = None) -> Operation:
    return Operation(kind, inputs, value, inputs[0].axes, inputs[0].shape)  # type: ignore[arg-type]


@pytest.mark.parametrize("behind", BEHIND)
def test_a_step_goes_down_the_gradients(behind: str) -> None:
    """On a batch, and on a smaller one, for which the arrays are cut."""
    module = sb.load(Network.from_equations(RECURRENCE.format(BEHIND[behind])))
    generator = np.random.default_rng(0)
    x, t = generator.normal(size=(9, 5, 3)), generator.integers(0, 6, 9)
    parameters = {name: value.astype("float64") for name, value in module.initialize(0).items()}
    trainer = module.Trainer(parameters, learning_rate=0.1, batch_size=9)
    for rows in (slice(None), slice(4)):
        before = {name: value.copy() for name, value in trainer.parameters.items()}
        error, gradients = module.gradients(before, x[rows], t[rows])
        assert trainer.step(x[rows], t[rows]) == pytest.approx(error, rel=1e-12)
        for name, value in before.items():
            np.testing.assert_allclose(
                trainer.parameters[name], value - 0.1 * gradients[name], rtol=1e-10, atol=1e-13
            )


def test_a_step_copies_no_array_of_a_recurrence() -> None:
    """Products behind the loops take rows as they lie; the data alone are turned, once."""
    text = sb.generate(Network.from_equations(RECURRENCE.format(BEHIND["dense"])), bare=True)
    step = text.partition("class Trainer")[2]
    made = re.findall(r"^ +((?:\w+ = )+)np\.zeros\(.*\.transpose\(1, 0, 2\)$", text, re.MULTILINE)
    turned = {own for names in made for own in names.split(" = ") if own}
    assert {"before", "h", "dbefore", "dh"} <= turned
    assert not [own for own in turned if re.search(rf"\b{own}\.reshape", step)]
    assert step.count("x.transpose(1, 0, 2)") == 1
    assert "u_turned, u.T" in step


HEADS = """
input x[n, p, d]
target y[n, p, d]
parameter wq[d, h, a], wk[d, h, a], wv[d, h, a], wo[h, a, d]
size p = 5, d = 6, h = 2, a = 3
q[n, h, p, a] = sum(x[n, p, d]*wq[d, h, a], d)
k[n, h, p, a] = sum(x[n, p, d]*wk[d, h, a], d)
v[n, h, p, a] = sum(x[n, p, d]*wv[d, h, a], d)
g[n, h, p, r] = softmax(sum(q[n, h, p, a]*k[n, h, r, a], a), r)
o[n, h, p, a] = sum(g[n, h, p, r]*v[n, h, r, a], r)
z[n, p, d] = sum(o[n, h, p, a]*wo[h, a, d], h, a)
E = mean((z[n, p, d] - y[n, p, d])**2, n, p, d)
output z
"""


def test_heads_stay_beside_one_another() -> None:
    """Nothing is copied between the products; what else reads an array finds it in its own order."""
    text = sb.generate(Network.from_equations(HEADS), bare=True)
    step = text.partition("class Trainer")[2]
    assert not re.search(r"np\.copyto\(.*transpose\(0, 2", step)
    assert "out=q.transpose(0, 2, 1, 3).reshape(-1, 6)" in re.sub(r"\s+", " ", step)
    other = HEADS.replace("z[n, p, d] = sum(o[", "u[n, h, p, a] = tanh(q[n, h, p, a])\nz[n, p, d] = sum(u[")
    other = other.replace("u[n, h, p, a]*wo", "u[n, h, p, a]*o[n, h, p, a]*wo")
    step = sb.generate(Network.from_equations(other), bare=True).partition("class Trainer")[2]
    assert "out=q.transpose" not in step
    assert "out=k.transpose" in step


@pytest.mark.parametrize("count", [1, 4])
def test_a_step_with_heads_goes_down_the_gradients(count: int) -> None:
    module = sb.load(Network.from_equations(HEADS))
    generator = np.random.default_rng(0)
    x, t = generator.normal(size=(2, count, 5, 6))
    parameters = {name: value.astype("float64") for name, value in module.initialize(0).items()}
    trainer = module.Trainer(parameters, learning_rate=0.1)
    error, gradients = module.gradients(parameters, x, t)
    assert trainer.step(x, t) == pytest.approx(error, rel=1e-12)
    for name, value in parameters.items():
        np.testing.assert_allclose(trainer.parameters[name], value - 0.1 * gradients[name], rtol=1e-10)


def test_what_is_computed_component_by_component_lies_like_what_it_is_made_of() -> None:
    h, x = array_of("h"), array_of("x")
    orders = {"h": TURNED}
    assert order_of(of(Kind.MULTIPLY, x, of(Kind.TANH, h)), orders) == TURNED
    assert order_of(of(Kind.TANH, x), orders) == ()
    largest = Operation(Kind.MAX, (h,), Reduction(2, kept=True), (N, T, None), (N, T, Symbol("one")))
    assert order_of(largest, orders) == TURNED
    assert order_of(of(Kind.SUBTRACT, h, largest), orders) == TURNED
    over_places = Operation(Kind.SUM, (h,), Reduction(1), (N, J), (N, J))
    assert order_of(over_places, orders) == ()


def test_what_a_product_writes_row_by_row_does_not() -> None:
    product = Operation(Kind.MATMUL, (array_of("h"), array_of("w", (J, J))), None, SHAPE, SHAPE)
    assert order_of(of(Kind.MULTIPLY, array_of("h"), product), {"h": TURNED}) == ()
    assert order_of(of(Kind.MULTIPLY, array_of("h"), product), {"h": TURNED}, {product: "p"}) == TURNED
    assert order_of(of(Kind.MULTIPLY, array_of("x"), product), {"h": TURNED}, {product: "h"}) == TURNED


def test_a_workspace_knows_what_lies_in_order() -> None:
    workspace = Workspace(orders={"h": TURNED})
    h, x = array_of("h"), array_of("x")
    here = Slices((EVERYTHING, Turn(0), EVERYTHING))
    assert workspace.in_order(x)
    assert not workspace.in_order(h)
    assert workspace.in_order(lying(h, TURNED))
    assert lying(h, TURNED).value == Order((1, 0, 2))
    assert workspace.in_order(Operation(Kind.SUBSCRIPT, (h,), here, (N, J), (N, J)))
    assert not workspace.in_order(Operation(Kind.SUBSCRIPT, (x,), here, (N, J), (N, J)))
    one, two = workspace.temporary(h, TURNED), workspace.temporary(x)
    workspace.idle += [one.name, two.name]
    assert workspace.temporary(h, TURNED) == one
    assert workspace.temporary(x) == two


def test_what_an_equation_needs_twice_at_a_place_is_computed_once() -> None:
    x, out = array_of("x", (N, J)), array_of("out", (N, J))
    exponential = of(Kind.EXP, x)
    twice = of(Kind.MULTIPLY, of(Kind.TANH, exponential), of(Kind.SQUARE, exponential))
    workspace = Workspace()
    writer = BufferWriter({x: "x"}, workspace)
    calls = [i for i in writer.slice(out, twice) if isinstance(i, Call)]
    assert [c.operation.kind for c in calls].count(Kind.EXP) == 1
    assert len(workspace.arrays) == 2
    assert exponential not in writer.names


def test_temporaries_of_a_long_sum_are_used_again() -> None:
    """Those that one term takes are free for the next."""
    names = [array_of(name, (N, J)) for name in "abcdef"]
    total = of(Kind.TANH, names[0])
    for each in names[1:]:
        total = of(Kind.ADD, total, of(Kind.SQUARE, of(Kind.EXP, each)))
    workspace = Workspace()
    BufferWriter({}, workspace).assign("out", total)
    assert len(workspace.arrays) == 1


def test_a_run_of_a_recurrence_that_is_not_finite_names_what() -> None:
    """The last step is taken again on copies of the buffers, whose places come first in memory, too."""
    text = "from library import rnn\ninput x[n, t, k]\ntarget y[n, t, i]\nsize t = 4, k = 2\n"
    text += "h[n, t, i] = rnn(x, i=3)\nE = mean(sum((h[n, t, i] - y[n, t, i])**2, t, i), n)\noutput h\n"
    module: Any = sb.load(sb.Network.from_equations(text))
    x, y = np.ones((5, 4, 2)), np.zeros((5, 4, 3))
    trainer = module.Trainer(seed=0)
    trainer.fit(x, y, epochs=1)
    trainer.parameters["b"][...] = np.nan
    with pytest.raises(FloatingPointError):
        trainer.fit(x, y, epochs=1)
