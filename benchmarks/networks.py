"""Networks that are no chain of dense layers: the generated trainer beside PyTorch, JAX and textbook NumPy.

Run with `make bench`; a table goes to benchmarks/results/networks.md.  `--only lstm,unet` chooses networks,
`--without torch.compile` leaves contestants out, `--short` runs three networks for a moment, to see that
everything works.  Before anything is timed the loss and all derivatives of all contestants have to agree.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import symbackprop as sb
from benchmarks import clock
from benchmarks.clock import Ratio
from benchmarks.memory import resident
from benchmarks.training import versions
from benchmarks.zoo import TASKS
from benchmarks.zoo.contestants import CONTESTANTS, Contestant, LeftOut, Problem, Stepped
from benchmarks.zoo.task import Aim, Task

RESULTS = Path(__file__).parent / "results"
OWN, TORCH = "trainer", "torch eager"
SHORT = ("memory", "factors", "autoencoder")
NEAR = {"float32": 2e-4, "float64": 1e-9}
"""How far apart derivatives may be, relative to the largest of their parameter."""
LEAST = 1e-2
"""What the largest derivative of a parameter counts as at least, relative to that of all parameters: those of
biases before a normalisation are 0."""
STEPS = 20  # of a measurement of memory


@dataclass
class Measured:
    """What was found about a network: times of steps relative to the trainer's, and MiB by contestant."""

    task: Task
    ratios: Mapping[str, Ratio]
    to_torch: Ratio | None
    memory: dict[str, float] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Whether the aim is met; a tie with it is."""
        if self.to_torch is None:
            return "–"
        return "met" if self.to_torch.low <= self.task.aim.limit else "missed"


# ---------------------------------------------------------------- the same numbers


def entrants(problem: Problem, wanted: Collection[str]) -> dict[str, Contestant]:
    """Return the contestants that are installed; say which are missing."""
    found = {}
    for name, make in CONTESTANTS.items():
        try:
            if name in wanted:
                found[name] = make(problem)
        except (ImportError, LeftOut) as error:
            print(f"{problem.task.name}: {name} is left out: {error}")
        except NotImplementedError:
            pass  # nobody has written it
    return found


def check(problem: Problem, contestants: Mapping[str, Contestant]) -> None:
    """Require one loss, and one derivative for each parameter, of all contestants."""
    everybody = {**contestants, "a step of the trainer": Stepped(problem)}
    loss, reference = contestants[OWN].gradients()
    near = NEAR[problem.dtype]
    least = LEAST * max(np.abs(value).max() for value in reference.values())
    for name, contestant in everybody.items():
        other, found = contestant.gradients()
        where = f"{problem.task.name}: {name}"
        if not abs(other - loss) <= near * abs(loss):
            raise AssertionError(f"{where}: the loss is {other}, not {loss}")
        for key, value in reference.items():
            largest = max(np.abs(value).max(), least)
            if isinstance(contestant, Stepped):  # it was subtracted from the parameters
                largest = max(largest, 1)
            apart = np.abs(np.asarray(found[key]) - value).max()
            if not (apart <= near * largest and largest > 0):
                raise AssertionError(f"{where}: the derivatives for {key} are {apart / largest:.1e} apart")


# ---------------------------------------------------------------- memory


def memory_here(name: str, contestant: str) -> int:
    """Return the bytes that training adds at its peak, in this process.

    What is loaded on first use is there before: two samples have been trained on.
    """
    task, make = TASKS[name], CONTESTANTS[contestant]
    module = importlib.import_module(f"module_{name}")
    problem = Problem(task, module)
    problem.data  # noqa: B018  it is made before
    make(Problem(replace(task, batch=2), module)).run(2)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what has been freed counts when it is taken again
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
    before = resident("VmRSS")
    make(problem).run(STEPS)
    return resident("VmHWM") - before


def memory(task: Task, contestant: str, folder: str) -> float:
    """Return what a process of its own measured, in MiB."""
    code = f"from benchmarks.networks import memory_here; print(memory_here({task.name!r}, {contestant!r}))"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {folder!r}); {code}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return int(done.stdout.split()[-1]) / 2**20


# ---------------------------------------------------------------- time


def measure(task: Task, wanted: Collection[str], rounds: int, block: float, folder: str) -> Measured:
    """Check and time a network, and measure its memory."""
    path = Path(folder) / f"module_{task.name}.py"
    sb.generate(task.network, path)
    importlib.invalidate_caches()
    module = importlib.import_module(path.stem)
    exact = Problem(task, module, "float64")
    check(exact, entrants(exact, {OWN, TORCH}))
    problem = Problem(task, module)
    contestants = entrants(problem, wanted)
    check(problem, contestants)
    runs = {name: contestant.run for name, contestant in contestants.items()}
    found = clock.times(runs, dict.fromkeys(runs, 1), rounds, block)
    to_torch = clock.ratios(found, TORCH)[OWN] if TORCH in found else None
    result = Measured(task, clock.ratios(found, OWN), to_torch)
    if os.access("/proc/self/clear_refs", os.W_OK):
        names = [name for name in (OWN, TORCH) if name in contestants]
        result.memory = {name: memory(task, name, folder) for name in names}
    return result


# ---------------------------------------------------------------- what is printed


def row(measured: Measured) -> str:
    """Return the line of a network."""
    task, memory = measured.task, measured.memory
    others = [str(measured.ratios.get(name, "–")) for name in CONTESTANTS if name not in (OWN, TORCH)]
    mib = [f"{memory[name]:.1f}" if name in memory else "–" for name in (OWN, TORCH)]
    own = measured.to_torch or "–"
    cells = (task.name, own, f"{task.aim.limit:.1f}", measured.verdict, *others, *mib)
    return f"| {' | '.join(map(str, cells))} |"


def table(found: Sequence[Measured]) -> str:
    """Return the table in Markdown."""
    others = [name for name in CONTESTANTS if name not in (OWN, TORCH)]
    head = ["", "trainer / torch eager", "aim", "", *(f"{name} / trainer" for name in others)]
    head += ["MiB, trainer", "MiB, torch eager"]
    lines = [f"| {' | '.join(head)} |", "| --- | ---: | ---: | --- |" + " ---: |" * (len(head) - 4)]
    return "\n".join([*lines, *map(row, found)]) + "\n"


def head(rounds: int, tasks: Sequence[Task]) -> str:
    """Return what was run, on what, with which libraries."""
    aims = ", ".join(f"{aim.limit:.1f} ({aim})" for aim in Aim)
    return "\n".join(
        [
            "# Networks that are no chain of dense layers\n",
            "A step of plain gradient descent: the loss, its derivatives and the update. Ratios of its time, "
            f"the median of {rounds} rounds and quartiles, on one thread on one core, float32; the loss is "
            "read, except of jax.jit. Below 1 in the first column the generated trainer is faster, above 1 "
            f"in the later ones. The aims: {aims}. Before timing, the loss and all derivatives of all "
            "contestants agreed, in float32, and in float64 with PyTorch's.\n",
            "Memory is what training adds at its peak to the resident memory of a process of its own. "
            "What misses its aim is explained in docs/speed.md.\n",
            *[f"- **{task.name}**: {task.title}" for task in tasks],
            f"\n{versions()}\n",
        ]
    )


def main() -> None:
    """Check, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help=f"names of networks, of {', '.join(TASKS)}")
    parser.add_argument("--without", default="", help="contestants to leave out, such as torch.compile")
    parser.add_argument("--short", action="store_true", help="see that it works, without writing results")
    parser.add_argument("--rounds", type=int, default=clock.ROUNDS, help="default %(default)s")
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else SHORT if arguments.short else list(TASKS)
    if unknown := [name for name in names if name not in TASKS]:
        parser.error(f"there is no network {unknown[0]}; there are {', '.join(TASKS)}")
    left_out = {*arguments.without.split(","), *(["torch.compile"] if arguments.short else [])}
    wanted = [name for name in CONTESTANTS if name not in left_out]
    rounds, block = (2, 0.001) if arguments.short else (arguments.rounds, clock.BLOCK)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, folder)
        for name in names:
            found.append(measure(TASKS[name], wanted, rounds, block, folder))
            print(row(found[-1]), flush=True)
    text = head(rounds, [TASKS[name] for name in names]) + "\n" + table(found)
    print(text)
    if not (arguments.short or arguments.only):
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "networks.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
