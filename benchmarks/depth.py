"""How the time to derive and to generate grows with depth, beside JAX, PyTensor and scalar SymPy.

Run with `make bench`; the table goes to standard output and to benchmarks/results/depth.md.  JAX traces the
same gradient (`make_jaxpr`), PyTensor builds the graph of it, and `sympy.diff` differentiates the error of a
network of two units a layer, written out.  Contestants take turns, and the median of several rounds counts.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import sympy

import symbackprop as sb
from benchmarks.training import versions
from symbackprop.equations.system import component

DEPTHS = (2, 4, 16, 64, 128, 256, 1000)
RESULTS = Path(__file__).parent / "results"
Contestant = Callable[[Sequence[int]], None]
"""Gets the gradient of a network of layers of those sizes."""
LIMIT = 2.0  # times JAX, at 128 layers
ROUNDS = 7
LONGEST = 256  # layers of a network that is measured in every round; a deeper one is measured once
DEEPEST = {"sympy.diff": 4, "PyTensor": 128}
"""How deep those go that take minutes, or more calls than Python allows, beyond."""


def widths(depth: int) -> list[int]:
    """Return layer sizes that all differ from their neighbours'."""
    return [5 + layer % 97 for layer in range(depth + 1)]


def symbackprop(sizes: Sequence[int]) -> None:
    sb.generate(sb.derive(sb.Network("-".join(map(str, sizes)))))


def jax_trace(sizes: Sequence[int]) -> None:
    import jax
    from jax import numpy as jnp

    def loss(parameters: list[Any], x: Any, t: Any) -> Any:
        for number in range(0, len(parameters) - 2, 2):
            x = jax.nn.sigmoid(x @ parameters[number] + parameters[number + 1])
        s = x @ parameters[-2] + parameters[-1]
        return (jnp.logaddexp(0, s) - s * t).sum() / len(x)

    parameters = [np.zeros(shape, "f") for n, m in pairwise(sizes) for shape in ((n, m), m)]
    x, t = np.zeros((8, sizes[0]), "f"), np.zeros((8, sizes[-1]), "f")
    jax.make_jaxpr(jax.value_and_grad(loss))(parameters, x, t)


def pytensor_graph(sizes: Sequence[int]) -> None:
    import pytensor
    from pytensor import tensor

    x, t = tensor.fmatrix(), tensor.fmatrix()
    parameters: list[Any] = []
    s = layer = x
    for _ in sizes[1:]:
        w, b = tensor.fmatrix(), tensor.fvector()
        s = layer @ w + b
        layer = tensor.sigmoid(s)
        parameters += [w, b]
    loss = (tensor.softplus(s) - s * t).sum() / x.shape[0]
    pytensor.grad(loss, parameters)


def sympy_diff(sizes: Sequence[int]) -> None:
    """Differentiate a network of two units a layer for all its weights, each written as a scalar."""
    layer = list(sympy.symbols("x0_:2"))
    parameters: list[Any] = []
    for number in range(1, len(sizes)):
        w = [sympy.symbols(f"w{number}_{j}_:2") for j in range(2)]
        parameters += [*w[0], *w[1]]
        layer = [1 / (1 + sympy.exp(-sum(layer[j] * w[j][i] for j in range(2)))) for i in range(2)]
    target = sympy.symbols("t:2")
    loss = sum((x - t) ** 2 for x, t in zip(layer, target, strict=True)) / 2
    for parameter in parameters:
        loss.diff(parameter)


OWN, JAX = "symbackprop, derive and generate", "JAX, make_jaxpr"
CONTESTANTS: dict[str, Contestant] = {
    OWN: symbackprop,
    "the same, equal layers": lambda sizes: symbackprop([32] * len(sizes)),
    JAX: jax_trace,
    "PyTensor": pytensor_graph,
    "sympy.diff": sympy_diff,
}


def seconds(function: Contestant, depth: int) -> float:
    """Return the processor time that ``function`` takes, without what was worked out before.

    What does not depend on the network is kept: the rules for a kind of equation, as JAX keeps those for its
    operations.
    """
    sympy.core.cache.clear_cache()
    component.cache_clear()
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    begin = time.process_time()
    function(widths(depth))
    return time.process_time() - begin


def available() -> dict[str, Contestant]:
    """Return the contestants that are installed; imports and first use are not what is measured."""
    found = {}
    for name, function in CONTESTANTS.items():
        try:
            for depth in (2, 4, 2):
                seconds(function, depth)
        except ImportError as error:
            print(f"{name} is left out: {error}")
        else:
            found[name] = function
    return found


def measured(contestants: dict[str, Contestant], depth: int, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every round by contestant, of those that go as deep."""
    found: dict[str, list[float]] = {name: [] for name in contestants if depth <= DEEPEST.get(name, depth)}
    for _ in range(rounds):
        for name, times in found.items():
            times.append(seconds(contestants[name], depth))
    return found


def relative_to_jax(times: dict[str, list[float]]) -> str:
    """Return the median of the ratios within a round."""
    return f"{median(own / jax for own, jax in zip(times[OWN], times[JAX], strict=True)):.2f}"


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="see that it works, without writing results")
    short = parser.parse_args().short
    depths = DEPTHS[:2] if short else DEPTHS
    contestants = available()
    found: dict[int, dict[str, list[float]]] = {}
    for depth in depths:
        print(f"{depth} layers …", flush=True)
        found[depth] = measured(contestants, depth, 1 if short or depth > LONGEST else ROUNDS)
    lines = [
        "# Time against depth\n",
        "Seconds of processor time to get the gradient of a network whose layers all differ in width from "
        "their neighbours; the second row is a network of layers of 32 units. The median of "
        f"{ROUNDS} rounds in which all take turns, of more than {LONGEST} layers a single one.\n",
        versions() + "\n",
        "| layers | " + " | ".join(map(str, depths)) + " |",
        "| --- |" + " ---: |" * len(depths),
    ]
    for name in contestants:
        cells = [f"{median(times[name]):.2f}" if name in times else "–" for times in found.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    if JAX in contestants:
        lines.append("| relative to JAX | " + " | ".join(map(relative_to_jax, found.values())) + " |")
        lines.append(f"\nThe limit is {LIMIT:.0f} times JAX at 128 layers.")
    text = "\n".join(lines) + "\n"
    print(text)
    if not short:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "depth.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
