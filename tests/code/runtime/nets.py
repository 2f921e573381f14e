"""The small networks that the tests of the runtime train, and data of each."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import symbackprop as sb

DENSE = {
    "single": "2-3-1",
    "classes": "3-4:tanh-2:softmax",
    "regression": "3-2:identity",
    "deep": f"3-{'3:tanh-' * 20}3",
}
TWO_INPUTS = """
input a[n, k], m[k]
integer input token[n]
integer target label[n]
parameter w[k, i], e[v, i]
s[n, i] = sum(a[n, k]*m[k]*w[k, i], k) + e[token[n], i]
p[n, i] = softmax(s[n, i], i)
E = mean(-log(p[n, label[n]]), n)
output p
size k = 3
size v = 5
size i = 4
"""
NO_TARGET = """
input x[n, k]
parameter w[k]
y[n] = sum(x[n, k]*w[k], k) - 1
E = mean(y[n]**2, n)
output y
size k = 3
"""
COUPLED = """
input x[n, k]
target t[n]
parameter w[k]
y[n] = sum((x[n, k] - mean(x[m, k], m))*w[k], k)
E = sum((y[n] - t[n])**2, n) + 0.01*sum(w[k]**2, k)
output y
size k = 3
"""
OPEN = """
input x[n, p, k]
target t[n, p]
parameter w[k]
y[n, p] = sum(x[n, p, k]*w[k], k)
E = mean(sum((y[n, p] - t[n, p])**2, p), n)
output y
size k = 3
"""
TEXTS = {"two inputs": TWO_INPUTS, "no target": NO_TARGET, "coupled": COUPLED, "open": OPEN}
EVERY = [*DENSE, *TEXTS]


@cache
def network(name: str) -> sb.Network:
    return sb.Network(DENSE[name]) if name in DENSE else sb.Network.from_equations(TEXTS[name])


@cache
def module(name: str, optimizer: str = "adam") -> Any:
    return sb.load(network(name), optimizer=optimizer)


@cache
def source(name: str, optimizer: str = "adam") -> str:
    return sb.generate(network(name), optimizer=optimizer)


def data(name: str, samples: int = 45) -> tuple[Any, Any]:
    """Return inputs and targets that the network can be trained on."""
    rng = np.random.default_rng(3)
    x: Any = rng.normal(size=(samples, 3)).astype("f4")
    if name == "two inputs":
        tokens, labels = rng.integers(0, 5, samples), rng.integers(0, 4, samples)
        return {"a": x, "m": np.array([1.0, 2.0, 0.5], "f4"), "token": tokens}, labels
    if name == "single":
        return x[:, :2], (x[:, :1] > x[:, 1:2]).astype("f4")
    if name == "open":
        return rng.normal(size=(samples, 4, 3)).astype("f4"), rng.normal(size=(samples, 4)).astype("f4")
    targets = {
        "classes": np.eye(2, dtype="f4")[rng.integers(0, 2, samples)],
        "regression": rng.normal(size=(samples, 2)).astype("f4"),
        "deep": rng.uniform(size=(samples, 3)).astype("f4"),
        "coupled": rng.normal(size=samples).astype("f4"),
    }
    return x, targets.get(name)


def rows_of(value: Any, rows: slice) -> Any:
    """Return some rows of inputs or targets; what all rows share stays."""
    if isinstance(value, dict):
        return {key: own if key == "m" else own[rows] for key, own in value.items()}
    return None if value is None else value[rows]


def trainer(name: str, optimizer: str = "adam", **options: Any) -> Any:
    return module(name, optimizer).Trainer(**{"batch_size": 8, "seed": 5, **options})


def assert_same(first: Any, second: Any) -> None:
    """Two trainers have the same numbers, and go on in the same way."""
    assert first._values.tobytes() == second._values.tobytes()
    assert (first.steps, first.epochs, first.settings) == (second.steps, second.epochs, second.settings)
    assert first.generator.bit_generator.state == second.generator.bit_generator.state
