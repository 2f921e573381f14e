"""Generated gradients against einsum and one-hot matrices: convolution, attention, a table of words.

Run with `python -m benchmarks.lowering`, best on one thread (`OMP_NUM_THREADS=1 taskset -c 0`); the table of
ratios goes to standard output and to benchmarks/results/lowering.md.

`python -m benchmarks.lowering X.net` says of each equation of a network, without running anything, how many
numbers the largest array has, how many multiplications its products take, and which operations were chosen.
"""

from __future__ import annotations

import gc
import platform
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import symbackprop as sb
from symbackprop.arrays.kinds import LEAVES, VIEWS
from symbackprop.arrays.planning import cost, count_of
from symbackprop.code.module import programs_of

RESULTS = Path(__file__).parent / "results"
ROUNDS, BLOCK = 15, 0.03
Gradients = Callable[[], dict[str, Any]]

CONVOLUTION = """
size f = 16
size u = 3
size v = 3
input x[n, c, p, q]
target t[n, f, h, k]
parameter w[f, c, u, v]
y[n, f, h, k] = sum(x[n, c, h + u, k + v]*w[f, c, u, v], c, u, v)
E = mean(sum((y[n, f, h, k] - t[n, f, h, k])**2, f, h, k)/2, n)
output y
"""

ATTENTION = """
input x[n, p, i]
target t[n, p, d]
parameter wq[i, a, d], wk[i, a, d], wv[i, a, d]
q[n, p, a, d] = sum(x[n, p, i]*wq[i, a, d], i)
k[n, p, a, d] = sum(x[n, p, i]*wk[i, a, d], i)
v[n, p, a, d] = sum(x[n, p, i]*wv[i, a, d], i)
s[n, a, p, r] = sum(q[n, p, a, d]*k[n, r, a, d], d)/8
z[n, a, p, r] = softmax(s[n, a, p, r], r)
y[n, p, d] = sum(z[n, a, p, r]*v[n, r, a, d], a, r)
E = mean(sum((y[n, p, d] - t[n, p, d])**2, p, d)/2, n)
output y
"""

EMBEDDING = """
integer input token[n]
target t[n, d]
parameter w[k, d]
y[n, d] = w[token[n], d]
E = mean(sum((y[n, d] - t[n, d])**2, d)/2, n)
output y
"""


def module(text: str, **sizes: int) -> Any:
    return sb.load(sb.Network.from_equations(text, sizes=sizes))


def convolution(rng: np.random.Generator) -> tuple[Gradients, Gradients]:
    generated = module(CONVOLUTION, c=8, p=18, q=18, h=16, k=16)
    x, t = (rng.normal(size=s).astype("f") for s in ((32, 8, 18, 18), (32, 16, 16, 16)))
    parameters = generated.initialize(0)

    def by_einsum() -> dict[str, Any]:
        windows = sliding_window_view(x, (3, 3), axis=(2, 3))
        y = np.einsum("nchkuv,fcuv->nfhk", windows, parameters["w"])
        return {"w": np.einsum("nchkuv,nfhk->fcuv", windows, y - t) / np.float32(len(x))}

    return lambda: generated.gradients(parameters, x, t)[1], by_einsum


def attention(rng: np.random.Generator) -> tuple[Gradients, Gradients]:
    generated = module(ATTENTION, p=32, i=32, a=4, d=16)
    x, t = (rng.normal(size=s).astype("f") for s in ((16, 32, 32), (16, 32, 16)))
    parameters = generated.initialize(0)

    def by_einsum() -> dict[str, Any]:
        wq, wk, wv = parameters.values()
        q, k, v = (np.einsum("npi,iad->npad", x, w) for w in (wq, wk, wv))
        s = np.einsum("npad,nrad->napr", q, k) / 8
        z = np.exp(s - s.max(axis=3, keepdims=True))
        z /= z.sum(axis=3, keepdims=True)
        dy = (np.einsum("napr,nrad->npd", z, v) - t) / np.float32(len(x))
        dz = np.einsum("npd,nrad->napr", dy, v)
        ds = z * (dz - (dz * z).sum(axis=3, keepdims=True)) / 8
        adjoints = {
            "wq": np.einsum("napr,nrad->npad", ds, k),
            "wk": np.einsum("napr,npad->nrad", ds, q),
            "wv": np.einsum("napr,npd->nrad", z, dy),
        }
        return {name: np.einsum("npi,npad->iad", x, adjoint) for name, adjoint in adjoints.items()}

    return lambda: generated.gradients(parameters, x, t)[1], by_einsum


def embedding(rng: np.random.Generator) -> tuple[Gradients, Gradients]:
    generated = module(EMBEDDING, k=1000, d=64)
    token, t = rng.integers(0, 1000, 256), rng.normal(size=(256, 64)).astype("f")
    parameters = generated.initialize(0)

    def by_one_hot() -> dict[str, Any]:
        hot = (token[:, None] == np.arange(1000)).astype("f")
        return {"w": hot.T @ ((hot @ parameters["w"] - t) / np.float32(len(t)))}

    return lambda: generated.gradients(parameters, token, t)[1], by_one_hot


def block(function: Gradients) -> float:
    """Return the time of one call, measured over a block of calls."""
    calls, begin = 0, time.perf_counter()
    while (taken := time.perf_counter() - begin) < BLOCK:
        function()
        calls += 1
    return taken / calls


def ratios(first: Gradients, second: Gradients) -> list[float]:
    """Return how much longer ``second`` takes than ``first``, for each round."""
    for name, value in first().items():
        np.testing.assert_allclose(value, second()[name], rtol=1e-3, atol=1e-4)
    gc.disable()
    block(first), block(second)
    found = [block(second) / block(first) for _ in range(ROUNDS)]
    gc.enable()
    return sorted(found)


def plan_of(file: str) -> Iterator[str]:
    """Yield the lines of a table with each equation of a network and the operations that compute it."""
    programs = programs_of(sb.derive(sb.Network.from_file(file)))
    yield "| equation | largest array | multiplications | moved | operations |"
    yield "| --- | ---: | ---: | ---: | --- |"
    for statement in (*programs.forward, programs.error, *programs.backward):
        parts = dict.fromkeys(statement.operation.parts())
        kinds = Counter(str(part.kind) for part in parts if part.kind not in LEAVES | VIEWS)
        operations = ", ".join(f"{n} {kind}" if n > 1 else kind for kind, n in sorted(kinds.items()))
        found = cost(statement.operation, partial(count_of, programs.scalars))
        names = ", ".join(statement.names)
        yield (
            f"| ({statement.number}) {names} | {found.largest:,} | {found.multiplied:,} "
            f"| {found.moved:,} | {operations} |"
        )


def main() -> None:
    """Measure, print and write the table; of a named file print what was chosen."""
    if len(sys.argv) > 1:
        print("\n".join(plan_of(sys.argv[1])))
        return
    lines = [
        "# Generated gradients against einsum\n\n"
        f"Python {platform.python_version()}, NumPy {np.__version__}, float32. How many times longer "
        f"the other code takes: median of {ROUNDS} rounds, and quartiles.\n",
        "| network | against | median | quartiles |",
        "| --- | --- | ---: | ---: |",
    ]
    rng = np.random.default_rng(0)
    for contest, against in ((convolution, "einsum"), (attention, "einsum"), (embedding, "one-hot matrices")):
        found = ratios(*contest(rng))
        low, median, high = statistics.quantiles(found, n=4)
        lines.append(f"| {contest.__name__} | {against} | {median:.2f} | {low:.2f} to {high:.2f} |")
    text = "\n".join(lines) + "\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "lowering.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
