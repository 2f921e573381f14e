"""Fair timing: contestants take turns in short blocks, and ratios are taken within a round.

What is counted is the processor time of all threads: on one core it is the time that passes where the machine
has nothing else to do, and it stays so where it has.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Run = Callable[[int], None]
ROUNDS = 15
BLOCK = 0.03  # seconds


@dataclass(frozen=True)
class Ratio:
    """The median of the rounds' ratios and their quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Ratio:
        if len(values) < 2:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.low)}–{_short(self.high)})"


def _short(number: float) -> str:
    return f"{number:.2f}" if number < 9.995 else f"{number:.1f}" if number < 99.95 else f"{number:.0f}"


def times(
    runs: Mapping[str, Run], units: Mapping[str, int], rounds: int = ROUNDS, block: float = BLOCK
) -> dict[str, list[float]]:
    """Return the seconds of one step of each contestant, for each round.

    In each round all take a block, after half a block of warm-up; who begins changes from round to round.
    The garbage collector is off.
    """
    steps = {name: _steps(run, units[name], block) for name, run in runs.items()}
    found: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                run, count, unit = runs[name], steps[name], units[name]
                run(max(unit, count // 2 // unit * unit))
                begin = time.process_time()
                run(count)
                found[name].append((time.process_time() - begin) / count)
    finally:
        gc.enable()
    return found


def _steps(run: Run, unit: int, block: float) -> int:
    """Return how many steps fill a block."""
    count = unit
    while True:
        begin = time.process_time()
        run(count)
        taken = time.process_time() - begin
        if taken > block / 4:
            return max(1, round(block / taken * count / unit)) * unit
        count *= 4


def ratios(found: Mapping[str, list[float]], base: str) -> dict[str, Ratio]:
    """Return how long each contestant takes relative to ``base``."""
    return {
        name: Ratio.of([a / b for a, b in zip(values, found[base], strict=True)])
        for name, values in found.items()
    }
