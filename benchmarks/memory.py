"""The memory that training takes: the generated trainer, PyTorch and textbook NumPy.

Run with `make bench`; a table goes to benchmarks/results/memory.md.  Each measurement is a process of its
own.  It loads its library, makes the data and trains a network of a few units, so that what is loaded on
first use is there; then the peak of its resident memory begins anew, and what training adds is what counts.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.configurations import CONFIGURATIONS, Array, Configuration
from benchmarks.contestants import Contestant, in_turn, textbook, torch_eager

RESULTS = Path(__file__).parent / "results"
STEPS = 50
RUNS = 3
MEASURED = ("d", "e", "g")


@dataclass(frozen=True)
class Prepared(Configuration):
    """A configuration whose batches are made once: they are there before the memory is measured."""

    @cached_property
    def made(self) -> list[tuple[Array, Array]]:
        """The batches, in float32."""
        return super().batches("float32")

    def batches(self, dtype: str) -> list[tuple[Array, Array]]:
        """Return the same batches each time."""
        assert dtype == "float32"
        return self.made


def small(optimizer: str) -> Prepared:
    """Return a network of a few units."""
    return Prepared(f"small_{optimizer}", (3, 4, 4, 2), "tanh", "softmax", 8, optimizer)


def generated(configuration: Configuration) -> Contestant:
    """The module that the parent process has generated, which needs nothing but NumPy."""
    module: Any = importlib.import_module(f"module_{configuration.letter}")
    options = {"batch_size": configuration.batch, "learning_rate": configuration.learning_rate}
    own = module.Trainer(**options, seed=0)
    return Contestant(in_turn(own.step, configuration.batches("float32")), list)


CONTESTANTS: dict[str, Callable[[Configuration], Contestant]] = {
    "generated trainer": generated,
    "torch eager": torch_eager,
    "textbook NumPy": textbook,
}


def resident(field: str) -> int:
    """Return a field of /proc/self/status in bytes: VmRSS is what is resident, VmHWM its peak."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def measure(name: str, letter: str) -> int:
    """Return the bytes that training adds at its peak, in this process."""
    (found,) = [c for c in CONFIGURATIONS if c.letter == letter]
    configuration = Prepared(**vars(found))
    configuration.batches("float32")
    make = CONTESTANTS[name]
    make(small(found.optimizer)).run(STEPS)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
    before = resident("VmRSS")
    make(configuration).run(STEPS)
    return resident("VmHWM") - before


def measured(name: str, letter: str, folder: Path, runs: int) -> float | None:
    """Return the median of what processes measured, in MiB; None where the library is missing."""
    code = f"from benchmarks.memory import measure; print(measure({name!r}, {letter!r}))"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); {code}"]
    found = []
    for _ in range(runs):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            if "ModuleNotFoundError" in done.stderr:
                print(f"{name} is left out: {done.stderr.splitlines()[-1]}")
                return None
            raise RuntimeError(done.stderr)
        found.append(int(done.stdout) / 2**20)
    return statistics.median(found)


def parameters(configuration: Configuration) -> float:
    """Return the size of the parameters in MiB."""
    return 4 * sum(n * m + m for n, m in pairwise(configuration.sizes)) / 2**20


def table(letters: list[str], folder: Path, runs: int) -> str:
    """Return the table in Markdown; the modules of the configurations are in ``folder``."""
    by_letter = {c.letter: c for c in CONFIGURATIONS}
    lines = [
        "| | " + " | ".join(letters) + " |",
        "| --- |" + " ---: |" * len(letters),
        "| parameters alone | " + " | ".join(f"{parameters(by_letter[k]):.1f}" for k in letters) + " |",
    ]
    for name in CONTESTANTS:
        found = [measured(name, letter, folder, runs) for letter in letters]
        cells = ["–" if value is None else f"{value:.1f}" for value in found]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def generate(configuration: Configuration, folder: Path) -> None:
    """Write the module of a configuration."""
    import symbackprop as sb

    path = folder / f"module_{configuration.letter}.py"
    sb.generate(configuration.network, path, optimizer=configuration.optimizer)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="see that it works, without writing results")
    short = parser.parse_args().short
    if not os.access("/proc/self/clear_refs", os.W_OK):
        print("the memory of training is measured on Linux alone")
        return
    letters = ["b"] if short else list(MEASURED)
    titles = [c for c in CONFIGURATIONS if c.letter in letters]
    with tempfile.TemporaryDirectory() as folder:
        for configuration in titles:
            generate(configuration, Path(folder))
            generate(small(configuration.optimizer), Path(folder))
        lines = table(letters, Path(folder), 1 if short else RUNS)
    head = [
        "# Memory of training\n",
        "MiB that training adds at its peak to the resident memory, which holds the libraries and the data "
        f"before; the median of {RUNS} processes of {STEPS} steps each, with float32 on one thread. What is "
        "loaded or compiled on first use is there before.\n",
        *[f"- **{c.letter}**: {c.title}" for c in titles],
        f"\nPython {sys.version.split()[0]}, NumPy {np.__version__}{_torch()}.\n",
    ]
    text = "\n".join(head) + "\n" + lines
    print(text)
    if not short:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "memory.md").write_text(text, encoding="utf-8")


def _torch() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f", torch {version('torch')}"
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    main()
