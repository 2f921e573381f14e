"""How the time to derive and to generate grows with depth: linear, as every rule is worked out once.

Run with `make bench`; the table goes to standard output and to benchmarks/results/depth.md.
"""

from __future__ import annotations

import platform
import time
from pathlib import Path

import numpy as np
import sympy

import symbackprop as sb

DEPTHS = (4, 16, 64, 250, 1000)
RESULTS = Path(__file__).parent / "results"
LIMIT = 20.0  # seconds that 1000 layers may take


def layers(depth: int) -> sb.Network:
    """Return a network of that depth in which neighbouring layers differ in width."""
    return sb.Network("-".join(str(5 + layer % 7) for layer in range(depth + 1)))


def seconds(depth: int) -> tuple[float, float, int]:
    """Return the time to derive, the time to generate, and the largest right-hand side's operations."""
    network = layers(depth)
    begin = time.perf_counter()
    derivation = sb.derive(network)
    derived = time.perf_counter()
    sb.generate(derivation)
    generated = time.perf_counter()
    largest = max(int(sympy.count_ops(step.rhs)) for step in derivation.steps)
    return derived - begin, generated - derived, largest


def main() -> None:
    """Measure, print and write the table."""
    seconds(2)  # imports and first use of SymPy are not what is measured
    lines = [
        f"# Time against depth\n\nPython {platform.python_version()}, SymPy {sympy.__version__}, "
        f"NumPy {np.__version__}. The last column is the time per layer relative to depth {DEPTHS[0]}.\n",
        "| layers | derive (s) | generate (s) | most operations in a step | per layer, relative |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    first = 0.0
    for depth in DEPTHS:
        derive, generate, largest = seconds(depth)
        per_layer = (derive + generate) / depth
        first = first or per_layer
        lines.append(f"| {depth} | {derive:.2f} | {generate:.2f} | {largest} | {per_layer / first:.2f} |")
        if depth == DEPTHS[-1]:
            verdict = "within" if derive + generate < LIMIT else "beyond"
            lines.append(
                f"\n{depth} layers took {derive + generate:.1f} s, {verdict} the limit of {LIMIT:.0f} s."
            )
    text = "\n".join(lines) + "\n"
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "depth.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
