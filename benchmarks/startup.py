"""How long commands take from start to end, relative to `python -c "import sympy"`.

Run with `make bench`; a table goes to benchmarks/results/startup.md.  Byte-code is compiled before, the
processes take turns, and what is counted is the processor time of each.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.clock import ROUNDS, ratios

RESULTS = Path(__file__).parent / "results"
BASE = 'python -c "import sympy"'
COMMANDS = {
    BASE: ["python", "-c", "import sympy"],
    "symbackprop --help": ["symbackprop", "--help"],
    "symbackprop derive 2-3-1": ["symbackprop", "derive", "2-3-1"],
    "symbackprop generate 2-3-1 -o -": ["symbackprop", "generate", "2-3-1", "-o", "-"],
}
LIMITS = {"symbackprop --help": "0.50", "symbackprop derive 2-3-1": "3.00"}


def seconds(program: str, *arguments: str, environment: dict[str, str]) -> float:
    """Return the processor time of one process of the environment that this one runs in."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, timeout=300)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="two rounds, no table is written")
    rounds = 2 if parser.parse_args().short else ROUNDS
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        found: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for number in range(-1, rounds):  # the first round compiles
            for name, arguments in COMMANDS.items():
                taken = seconds(*arguments, environment=environment)
                if number >= 0:
                    found[name].append(taken)
    lines = [
        "# Time from start to end\n",
        f"Relative to `{BASE}`: the median of {rounds} rounds, and quartiles.\n",
    ]
    lines += ["| | | limit |", "| --- | ---: | ---: |"]
    lines += [f"| `{n}` | {r} | {LIMITS.get(n, '–')} |" for n, r in ratios(found, BASE).items() if n != BASE]
    text = "\n".join(lines) + "\n"
    print(text)
    if rounds == ROUNDS:
        (RESULTS / "startup.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
