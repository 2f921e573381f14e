"""Whether every derivation ends: random formulas, each derived and generated within fixed means.

Each has 20 s of processor time and 1 GiB in a process of its own, and is derived and generated there, or
refused as input.  It needs a system with fork.
"""

from __future__ import annotations

import gc
import os
import resource
import traceback
from collections.abc import Callable, Iterator

import numpy as np

import symbackprop as sb

SECONDS, BYTES = 20, 2**30
_LEAVES = ("s", "s", "s", "s", "{c}*s", "s + {c}", "{c}*s + {c}")
_SHAPES = (
    *(
        f"{name}({{0}})"
        for name in ("sigmoid", "tanh", "exp", "softplus", "mish", "silu", "gelu_tanh", "sin")
    ),
    "exp(-{c}*{0})",
    "exp(-({0})**2)",
    "sigmoid({c}*({0}))",
    "softplus({0}, beta={p})",
    "elu({0}, alpha={p})",
    "log(1 + exp({c}*({0})))",
    "log({p} + ({0})**2)",
    "sqrt({p} + ({0})**2)",
    "abs({0})**{p}",
    "({0})**{n}",
    "(1 + ({0})**2)**{c}",
    "({p} + exp({0}))**(-{p})",
    "where({0} > {c}, {1}, {c}*({0}))",
    "max({0}, {1})",
    "({0})*({1})",
    "({0})*({1})",
    "({0})/({p} + exp({1}))",
    "{0} + {1}",
    "{0} - {c}*({1})",
)


def formula(rng: np.random.Generator, depth: int = 3) -> str:
    """Return a random formula in ``s``, at most ``depth`` functions inside of each other."""
    if depth == 0 or rng.random() < 0.15:
        return _with_numbers(str(rng.choice(_LEAVES)), rng)
    shape = _with_numbers(str(rng.choice(_SHAPES)), rng)
    for place in ("{0}", "{1}"):
        if place in shape:
            shape = shape.replace(place, formula(rng, depth - 1))
    return shape


def _with_numbers(shape: str, rng: np.random.Generator) -> str:
    """Return ``shape`` with numbers of either sign for {c}, above 0 for {p}, and whole ones for {n}."""
    while "{c}" in shape:
        shape = shape.replace("{c}", f"({'-' * int(rng.integers(2))}{_number(rng)})", 1)
    while "{p}" in shape:
        shape = shape.replace("{p}", _number(rng), 1)
    return shape.replace("{n}", str(rng.integers(2, 9)))


def _number(rng: np.random.Generator) -> str:
    """Return a number of 1 to 6 digits above 0, mostly of the size of 1."""
    digits = int(rng.integers(1, 7))
    exponent = int(rng.choice([-2, -1, 0, 0, 0, 0, 1, 3]))
    return f"{int(rng.integers(10 ** (digits - 1), 10**digits)) / 10.0 ** (digits - 1 - exponent):.{digits}g}"


def end_of(text: str) -> tuple[str, float]:
    """Return how deriving, printing and generating a network ends in an own process, and its seconds."""

    def work() -> None:
        derivation = sb.derive(sb.Network(f"2-3:({text})-1"))
        str(derivation)
        sb.generate(derivation)

    return ending(work)


def ending(work: Callable[[], object]) -> tuple[str, float]:
    """Return how ``work`` ends within the limits: "done", "refused" or what went wrong."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = os.fork()
    if process == 0:
        os._exit(_exit_code(work))
    _, status = os.waitpid(process, 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if os.WIFSIGNALED(status):
        return "out of time", seconds
    return _ENDS[os.WEXITSTATUS(status)], seconds


_ENDS = ("done", "refused", "out of memory", "an error")


def _exit_code(work: Callable[[], object]) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    try:
        work()
    except (sb.SpecificationError, sb.UnsupportedExpression):
        return 1
    except MemoryError:
        return 2
    except Exception:
        traceback.print_exc()
        return 3
    return 0


def failures(seed: int, numbers: range) -> Iterator[tuple[int, str, str, float]]:
    """Yield the formulas that are neither done nor refused: number, text, end, seconds."""
    gc.freeze()  # so that the processes share the memory of what is imported
    for number in numbers:
        text = formula(np.random.default_rng([seed, number]))
        end, seconds = end_of(text)
        if end not in ("done", "refused"):
            yield number, text, end, seconds
