"""The generated trainer against the matrix products alone and the other ways to train the same network.

Run with `make bench`; tables and a plot go to benchmarks/results/.  `--only a,c` chooses configurations,
`--short` runs two of them for a moment, to see that everything works.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

import symbackprop as sb
from benchmarks import clock
from benchmarks.clock import Ratio
from benchmarks.configurations import CONFIGURATIONS, Configuration
from benchmarks.contestants import CONTESTANTS, Contestant, textbook_float64

RESULTS = Path(__file__).parent / "results"
TRAINER, WITHOUT, PRODUCTS = "trainer", "trainer, without loss", "matrix products alone"
JAX, JAX_READ = "jax.jit", "jax.jit, loss read"
CHECKED_STEPS = 100
LIMITS = {"c": 1.25, "d": 1.12, "f": 1.25}  # of the matrix products alone
LIMITS_JAX = {"e": 1.10, "g": 1.10}  # of jax.jit; elsewhere a tie at least
Table = dict[str, dict[str, Ratio]]


def entrants(configuration: Configuration, wanted: Collection[str] = ()) -> dict[str, Contestant]:
    """Return the contestants that are installed; say which are missing."""
    found = {}
    for name, make in CONTESTANTS.items():
        if wanted and name not in wanted:
            continue
        try:
            found[name] = make(configuration)
        except ImportError as error:
            print(f"{configuration.letter}: {name} is left out: {error}")
    return found


def check(configuration: Configuration, contestants: Mapping[str, Contestant]) -> None:
    """Run 100 steps of each, and require the same parameters as those of textbook NumPy in float64."""
    reference = textbook_float64(configuration)
    begin = [value.copy() for value in reference.parameters()]
    reference.run(CHECKED_STEPS)
    target = reference.parameters()
    moved = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(target, begin, strict=True)))
    for name, contestant in contestants.items():
        contestant.run(CHECKED_STEPS)
        values = contestant.parameters()
        if not values and name == PRODUCTS:
            continue
        apart = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(values, target, strict=True)))
        if not apart < tolerance(configuration) * moved:
            raise AssertionError(
                f"{configuration.letter}: after {CHECKED_STEPS} steps the parameters of {name} are "
                f"{apart / moved:.1e} of the way apart from those of textbook NumPy"
            )


def tolerance(configuration: Configuration) -> float:
    """Return how far apart parameters may be, relative to the way they went; Adam magnifies rounding."""
    return 1e-2 if configuration.optimizer == "adam" else 1e-3


def measure(
    configuration: Configuration, rounds: int, block: float, wanted: Collection[str] = ()
) -> dict[str, list[float]]:
    """Return the seconds of a step of each contestant, for each round."""
    contestants = entrants(configuration, wanted)
    check(configuration, contestants)
    runs = {name: contestant.run for name, contestant in contestants.items()}
    units = {name: contestant.unit for name, contestant in contestants.items()}
    return clock.times(runs, units, rounds, block)


def fit_against_steps(configuration: Configuration, rounds: int, block: float) -> Ratio:
    """Return how long `fit` takes relative to as many steps on the same rows, in their order.

    A call runs 10 epochs of 50 batches.
    """
    module = sb.load(configuration.network, optimizer=configuration.optimizer)
    size, outputs = configuration.batch, configuration.sizes[-1]
    rng = np.random.default_rng(2)
    x = rng.normal(size=(50 * size, configuration.sizes[0])).astype("float32")
    t = np.eye(outputs, dtype="float32")[rng.integers(0, outputs, len(x))]
    options = {"batch_size": size, "learning_rate": configuration.learning_rate, "seed": 0}
    fitted, stepped = module.Trainer(**options), module.Trainer(**options)

    def steps(epochs: int) -> None:
        for _ in range(epochs):
            for begin in range(0, len(x), size):
                stepped.step(x[begin : begin + size], t[begin : begin + size])

    runs = {"fit": lambda epochs: fitted.fit(x, t, epochs), "steps": steps}
    found = clock.times(runs, dict.fromkeys(runs, 10), rounds, block)
    return clock.ratios(found, "steps")["fit"]


def tables(measured: Mapping[str, dict[str, list[float]]], fit: Ratio | None) -> str:
    """Return the tables in Markdown."""
    letters = list(measured)
    by_letter = {letter: clock.ratios(found, TRAINER) for letter, found in measured.items()}
    lines = [
        "## Time of a step, relative to the generated trainer\n",
        "| | " + " | ".join(letters) + " |",
        "| --- |" + " ---: |" * len(letters),
    ]
    for name in CONTESTANTS:
        if name != TRAINER and any(name in found for found in by_letter.values()):
            cells = [str(found[name]) if name in found else "–" for found in by_letter.values()]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "\n## The generated trainer, relative to its matrix products alone\n",
        "| | with loss | without | limit |",
        "| --- | ---: | ---: | ---: |",
    ]
    for letter, found in measured.items():
        limit = clock.ratios(found, PRODUCTS)
        bound = f"{LIMITS[letter]:.2f}" if letter in LIMITS else "–"
        lines.append(f"| {letter} | {limit[TRAINER]} | {limit[WITHOUT]} | {bound} |")
    if all({JAX, JAX_READ} <= found.keys() for found in measured.values()):
        lines += against_jax(measured)
    if fit is not None:
        lines.append(f"\n`fit`, relative to the steps it runs, on c: {fit} (limit 1.10).")
    return "\n".join(lines) + "\n"


def against_jax(measured: Mapping[str, dict[str, list[float]]]) -> list[str]:
    """Return the lines of the table that compares with jax.jit, and says what misses its limit."""
    lines = [
        "\n## The generated trainer, relative to jax.jit\n",
        "The limit is for `step` as it is, which returns the loss as a number, against jax.jit, whose loss "
        "nobody reads. Like for like: both read it, and nobody does, so that `step` leaves it out. "
        "What misses its limit is explained in docs/speed.md.\n",
        "| | with loss | limit | | both read it | nobody does |",
        "| --- | ---: | ---: | --- | ---: | ---: |",
    ]
    for letter, found in measured.items():
        ratio = clock.ratios(found, JAX)[TRAINER]
        limit = LIMITS_JAX.get(letter)
        missed = ratio.low > 1 if limit is None else ratio.median > limit
        wanted = "a tie" if limit is None else f"{limit:.2f}"
        alike = (clock.ratios(found, JAX_READ)[TRAINER], clock.ratios(found, JAX)[WITHOUT])
        cells = (letter, ratio, wanted, "missed" if missed else "met", *alike)
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def head(rounds: int) -> str:
    """Return what was run, on what, with which libraries."""
    lines = [
        "# Training against the other ways to train\n",
        "How many times as long a step takes: the median of the ratios of "
        f"{rounds} rounds, and their quartiles; above 1 is slower, and what has 1 between its quartiles is "
        "a tie. One thread on one core, float32, the loss computed unless said otherwise, and read except of "
        "jax.jit and jax.lax.scan. "
        f"Before timing, all computed the same parameters in {CHECKED_STEPS} steps.\n",
        *[f"- **{c.letter}**: {c.title}" for c in CONFIGURATIONS],
        f"\n{versions()}\n",
    ]
    return "\n".join(lines)


def versions() -> str:
    """Return the versions of the libraries and the BLAS kernel."""
    from importlib.metadata import PackageNotFoundError, version

    found = [f"Python {platform.python_version()}"]
    for name in ("numpy", "torch", "jax", "autograd", "scikit-learn"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} missing")
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        kernel = "unknown, as threadpoolctl is missing"
    else:
        blas = [entry for entry in threadpool_info() if "numpy" in entry["filepath"]]
        kernel = ", ".join(f"{b['internal_api']} {b['version']} {b.get('architecture')}" for b in blas)
    return f"{', '.join(found)}; BLAS of NumPy: {kernel}."


def plot(measured: Mapping[str, dict[str, list[float]]], path: Path) -> None:
    """Draw the ratios to the trainer; without matplotlib, say so."""
    try:
        import matplotlib
    except ImportError as error:
        print(f"the plot is left out: {error}")
        return
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "symbackprop"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4.5), layout="constrained")
    by_letter = [clock.ratios(found, TRAINER) for found in measured.values()]
    for name, marker in zip(list(CONTESTANTS)[2:], "_osD^v<P*X", strict=True):
        values = [found[name].median if name in found else np.nan for found in by_letter]
        axes.plot(list(measured), values, marker, label=name, markersize=8)
    axes.axhline(1, color="black", linewidth=1)
    axes.set(yscale="log", ylabel="time of a step / generated trainer", xlabel="configuration")
    axes.grid(axis="y", alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Check, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="letters of configurations, such as a,c")
    parser.add_argument("--short", action="store_true", help="see that it works, without writing results")
    parser.add_argument("--rounds", type=int, default=clock.ROUNDS, help="default %(default)s")
    parser.add_argument("--without", default="", help="contestants to leave out, such as torch.compile")
    arguments = parser.parse_args()
    entered = [name for name in CONTESTANTS if name not in arguments.without.split(",")]
    wanted = arguments.only or ("a,b" if arguments.short else "a,b,c,d,e,f,g")
    rounds, block = (2, 0.001) if arguments.short else (arguments.rounds, clock.BLOCK)
    measured = {}
    for configuration in CONFIGURATIONS:
        if configuration.letter in wanted.split(","):
            print(f"{configuration.letter}: {configuration.title}", flush=True)
            measured[configuration.letter] = measure(configuration, rounds, block, entered)
    by_letter = {configuration.letter: configuration for configuration in CONFIGURATIONS}
    fit = fit_against_steps(by_letter["c"], rounds, block) if "c" in wanted else None
    text = head(rounds) + "\n" + tables(measured, fit)
    print(text)
    if not (arguments.short or arguments.only or arguments.without):
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "training.md").write_text(text, encoding="utf-8")
        plot(measured, RESULTS / "training.svg")


if __name__ == "__main__":
    main()
