"""Whole-number data that name samples, and several letters over the samples: all stages, against numbers."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.check import check_network
from symbackprop.commands.comparison.module import check_module
from symbackprop.errors import SpecificationError
from symbackprop.network.random_data import sample_arrays

_PAIRS = """\
input a[n, k]
integer input pair[n], other[n]
parameter w[k]
size k = 2
u[n] = sum(a[n, k]*w[k], k)
"""
_NEIGHBOURS = """\
input a[n, k]
integer input near[n, j]
target t[n, i]
parameter w[k, i], v[k, i]
size k = 2, j = 3, i = 2
h[n, i] = tanh(sum(a[n, k]*w[k, i], k))
y[n, i] = h[n, i] + sum(a[near[n, j], k]*v[k, i], j, k)/size(j)
"""
NETWORKS = {
    "a partner": _PAIRS + "E = mean(u[n]*u[pair[n]]*other[n], n)\noutput u",
    "two partners": _PAIRS + "E = mean((u[n] - tanh(u[pair[n]])*u[other[n]])**2, n)\noutput u",
    "the partner of a partner": _PAIRS + "E = mean(u[n]*tanh(u[pair[other[n]]]), n)\noutput u",
    "neighbours": _NEIGHBOURS + "E = mean(sum((y[n, i] - t[n, i])**2, i)/2, n)\noutput y",
    "the largest of the neighbours": (
        _NEIGHBOURS + "z[n, i] = y[n, i] + max(h[near[n, j], i], j)\n"
        "E = mean(sum((z[n, i] - t[n, i])**2, i)/2, n)\noutput z"
    ),
    "targets of neighbours": _NEIGHBOURS + "E = mean((y[n, i] - t[near[n, j], i])**2, i, j, n)\noutput y",
    "targets that name samples": """\
input a[n, k]
integer target near[n], far[n]
parameter w[k, i]
size k = 2, i = 2
u[n, i] = sum(a[n, k]*w[k, i], k)
same[n] = sum((u[n, i] - u[near[n], i])**2, i)
others[n] = sum((u[n, i] - u[far[n], i])**2, i)
E = mean(relu(same[n] - others[n] + 0.5), n)
output u
""",
    "edges between samples": """\
input x[n, k]
integer input src[e], dst[e]
target t[n]
parameter w[k]
size k = 2, e = 4
h[n] = sum(x[n, k]*w[k], k)
y[n] = tanh(h[n] + sum(where(dst[e] == n, h[src[e]], 0), e))
E = mean((y[n] - t[n])**2, n)
output y
""",
    "another letter everywhere": """\
input x[a, k]
integer input p[q]
target t[b, i]
parameter w[k, i]
size k = 2, i = 2
s[c, i] = sum(x[c, k]*w[k, i], k)
y[e, i] = tanh(s[p[e], i])
E = mean(sum((y[d, i] - t[d, i])**2, i)/2, d)
output y
""",
    "pairs of samples": """\
input a[b, k]
target t[n]
parameter w[k, i]
size k = 2, i = 2
u[m, i] = sum(a[m, k]*w[k, i], k)
E = sum(where(p < q, (sum(u[p, i]*u[q, i], i) - t[p]*t[q])**2, 0), p, q)/size(b)
output u
""",
    "a graph": """\
input x[n, k], edge[n, m]
integer target t[n]
parameter w1[k, j], w2[j, c]
size k = 2, j = 3, c = 2
h[n, j] = relu(sum(edge[n, m]*x[m, k]*w1[k, j], m, k))
y[n, c] = softmax(sum(edge[n, m]*h[m, j]*w2[j, c], m, j), c)
E = mean(-log(y[n, t[n]]), n)
output y
""",
    "samples along a second axis alone": """\
input x[n, k], z[k, n]
target t[n]
parameter w[k]
size k = 2
y[n] = sum((x[n, k] + z[k, n])*w[k], k)
E = mean((y[n] - t[n])**2, n)
output y
""",
    "samples before and after": """\
input a[n, k]
target t[n]
parameter w[k], v
size k = 2
u[n] = sum(a[n, k]*w[k], k)
y[n] = tanh(u[n] + where(n > 0, v*u[n - 1], 0) + where(n < size(n) - 1, u[n + 1], 0))
E = mean((y[n] - t[n])**2, n)
output y
""",
    "two tables read by data": """\
integer input i[n], j[n]
input weight[n], count[n]
parameter w[v, k], c[u, k], bw[v], bc[u]
size v = 5, u = 4, k = 2
y[n] = sum(w[i[n], k]*c[j[n], k], k) + bw[i[n]] + bc[j[n]]
E = mean(weight[n]*(y[n] - count[n])**2, n)
output y
""",
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_stage_agrees_with_numbers(name: str) -> None:
    net = sb.Network.from_equations(NETWORKS[name])
    assert sb.derive(net).text()
    assert all(row.holds for row in check_module(sb.load(net), sb.derive(net)))
    report = check_network(net)
    assert report.holds, report.table()
    assert sb.trace(net).text()


def test_drawn_data_name_no_sample_that_is_left_out() -> None:
    model = sb.Network.from_equations(NETWORKS["two partners"]).model
    for seed in range(5):
        assert sample_arrays(model, np.random.default_rng(seed), 3)["pair"].max() < 3


def _data(rows: int) -> dict[str, Any]:
    generator = np.random.default_rng(rows)
    pairs = {name: generator.integers(rows, size=rows) for name in ("pair", "other")}
    return {"a": generator.normal(size=(rows, 2)), **pairs}


def test_fit_takes_the_rows_together_and_in_order() -> None:
    module: Any = sb.load(sb.Network.from_equations(NETWORKS["two partners"]), optimizer="sgd")
    x = _data(7)
    fitted, stepped = (module.Trainer(seed=3, batch_size=7) for _ in range(2))
    fitted.fit(x, epochs=2)
    assert [stepped.step(x) for _ in range(2)]
    np.testing.assert_array_equal(fitted.parameters["w"], stepped.parameters["w"])


def test_fit_divides_no_rows_that_name_each_other() -> None:
    module: Any = sb.load(sb.Network.from_equations(NETWORKS["two partners"]))
    trainer = module.Trainer(seed=0, batch_size=4)
    with pytest.raises(
        ValueError, match="pair names rows of its own batch, and 7 rows are more than the batch_size, 4"
    ):
        trainer.fit(_data(7))
    trainer.fit([(_data(4), None), (_data(3), None)], epochs=2)
    wrong = _data(3)
    wrong["other"][1] = 3
    with pytest.raises(ValueError, match="batch 2: other: row 1 is 3, not a whole number from 0 to 2"):
        trainer.fit([(_data(4), None), (wrong, None)])


@pytest.mark.parametrize("name", ["a graph", "two partners"])
def test_fit_takes_arrays_of_any_length_as_one_batch(name: str, tmp_path: Path) -> None:
    module: Any = sb.load(sb.Network.from_equations(NETWORKS[name]))
    generator, rows = np.random.default_rng(0), 50
    graph = {"x": generator.normal(size=(rows, 2)), "edge": generator.random((rows, rows)) < 0.1}
    x, t = (graph, generator.integers(2, size=rows)) if name == "a graph" else (_data(rows), None)
    trainer = module.Trainer(seed=0)
    trainer.fit(x, t, 3)
    assert (trainer.steps, trainer.batch_size) == (3, rows)
    trainer.save(tmp_path / "state.npz")
    others = [module.Trainer.load(tmp_path / "state.npz"), copy.deepcopy(trainer)]
    more = {n: np.concatenate([v, v]) for n, v in x.items()}
    if name == "a graph":
        more["edge"] = np.tile(graph["edge"], (2, 2))
        t = np.concatenate([t, t])
    expected = trainer.fit(more, t, 2)["loss"]
    assert [other.fit(more, t, 2)["loss"] for other in others] == [expected, expected]
    assert trainer.batch_size == 2 * rows


def test_an_axis_of_the_samples_has_as_many_places_as_there_are_rows() -> None:
    module: Any = sb.load(sb.Network.from_equations(NETWORKS["a graph"]))
    x = {"x": np.ones((4, 2)), "edge": np.ones((4, 5))}
    with pytest.raises(ValueError, match="x has 4 rows and edge has 5; they must be equal"):
        module.Trainer().fit(x, np.zeros(4))
    x["edge"] = np.ones((4, 4))
    with pytest.raises(
        ValueError, match="edge has an axis of the rows of its own batch, and 4 rows are more"
    ):
        module.Trainer(batch_size=3).fit(x, np.zeros(4))


def test_a_letter_that_numbers_the_samples_is_none_of_a_parameter() -> None:
    text = """\
input x[i, j]
target t[b, j]
parameter w[j, i]
s[b, i] = sum(x[b, j]*w[j, i], j)
y[b, i] = x[b, i] + tanh(s[b, i])
E = mean(sum((y[b, i] - t[b, i])**2, i)/2, b)
output y
"""
    problem = (
        "the index 'j' of the parameter 'w' runs over the samples, as 'i' does, the first index of 'x'; "
        "a parameter is the same for all of them"
    )
    with pytest.raises(SpecificationError, match=problem):
        sb.Network.from_equations(text)
