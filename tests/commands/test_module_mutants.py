"""Mutants of generated modules: `check` catches each, or it computes the same and is explained here."""

from __future__ import annotations

import re
import types
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

import symbackprop as sb
from symbackprop.code.bundle import compiled
from symbackprop.commands.comparison.module import check_module
from tests.commands.module_mutants import (
    BARE,
    NETWORK,
    RUNTIME,
    Mutant,
    broken_runtime,
    module_of,
    mutants,
    network_part,
)

MASKED = """
    input     x[n, p, d], mask[n, p]
    target    t[n, p, d]
    parameter wq[d, a], wk[d, a]
    constant  scale = 0.7
    assume    0 <= mask[n, p] <= 1
    q[n, p, a] = sum(x[n, p, d]*wq[d, a], d)
    k[n, r, a] = sum(x[n, r, d]*wk[d, a], d)
    s[n, p, r] = where(mask[n, r] > 0.5, scale*sum(q[n, p, a]*k[n, r, a], a), -30)
    h[n, p, r] = softmax(s[n, p, r], r)
    y[n, p, d] = sum(h[n, p, r]*x[n, r, d], r)
    E = mean(sum((y[n, p, d] - t[n, p, d])**2, p, d)/2, n)
    output y
    size p = 3
    size d = 2
    size a = 2
"""
CONVOLUTION = """
    input     x[n, c, h]
    target    t[n, i]
    parameter k[f, c, u], b[f], w[f, i]
    s[n, f, h] = sum(where(0 <= h + u - 1 < size(h), x[n, c, h + u - 1], 0)*k[f, c, u], c, u) + b[f]
    z[n, f, h] = relu(s[n, f, h])
    p[n, f, g] = max(z[n, f, 2*g + v], v)
    o[n, i] = softmax(sum(p[n, f, g]*w[f, i], f, g), i)
    E = mean(-sum(t[n, i]*log(o[n, i]), i), n)
    output o
    assume 0 <= t[n, i] <= 1
    assume sum(t[n, i], i) == 1
    size c = 2
    size f = 3
    size h = 6
    size g = 3
    size u = 3
    size v = 2
    size i = 2
"""


@dataclass(frozen=True)
class Subject:
    """A module to break: its network and optimiser, the functions to change, and how many mutants to try."""

    network: sb.Network
    count: int
    optimizer: str = "sgd"
    functions: Sequence[str] = NETWORK
    bare: bool = False
    file: str = field(default="")


STEP = ("_backpropagate", "_update", "_fixed")
PLAIN = sb.Network("2-3-1")
DENSE = sb.Network("3-4:relu-3:softmax", l2=0.01, l1=0.003)
SUBJECTS = {
    "2-3-1": Subject(PLAIN, 20),
    "relu and softmax": Subject(DENSE, 20, "adam"),
    "bare": Subject(sb.Network("2-3:tanh-2:softmax", l2=0.1), 20, "momentum", BARE, bare=True),
    "masked": Subject(sb.Network.from_equations(MASKED), 15, "rmsprop"),
    "convolution": Subject(sb.Network.from_equations(CONVOLUTION), 15, "momentum"),
    **{
        name: Subject(PLAIN, 6, name, STEP)
        for name in ("momentum", "nesterov", "adagrad", "rmsprop", "adamw")
    },
    **{
        f"runtime: {file}": Subject(DENSE, 20, "adam", functions, file=file)
        for file, functions in RUNTIME.items()
    },
    "runtime: clipping": Subject(PLAIN, 10, "sgd", ("_clip", "step"), file="trainer"),
}

EXPLAINED = {
    r"^_backpropagate: (\w+) -> \w+ in `\w+\.\w+\(\1?.*out=": "names of one array, used by turns",
    r"in `raise \w+\(": "the text of a message",
    r"in `(found = |wrong = value)": "the text of a message",
    r"^_check_bounds: low -> high in `if low is None`": "the text of a message",
    r"^_read: ": "messages about files that are none of a trainer, and a refusal of pickled objects",
    r"clip_norm \* rate": "the learning rate is not in the derivatives of this optimiser",
    r"self\.steps % 100": "this optimiser has no state that decays",
    r"in `if not TARGETS": "this network has targets",
    r"^groups: .*trainer\._order is not None": "batches after an epoch over arrays that was cut short",
    r"^fit: (self\.save\(checkpoint\)|checkpoint is not None) -> ": "the file of an interrupted run",
    r"^fit: .*run\.interruption and checkpoint": "the file of an interrupted run",
    r"^fit: 0 -> 1 in `self\._best, self\._waited": "the first E is below infinity and begins to count",
    r"in `if self\._allocated_for != ": "first rows of the buffers are used here",
    r"^step: .* in `_update\(self, rate\)`": "the learning rate is in the derivatives of this optimiser",
    r"^fit: .*_replace\(checkpoint\)": "whether a file can be written is seen before the run",
    r"^groups: .*len\(order\) != self\.samples": "a run over other data than an epoch that was cut short",
    r"^groups: .*_require_one_step": "a refusal of batches, where data are about rows; here none are",
    r"in `samples = len\(x0\)`": "data have one length",
    r"^_mean: .*strict=True": "the lists are of one length",
    r"^_check_total: total -> axis": "the total is 1, and so is the axis",
    r"^_first_rows: .*layer": "a module without loops over layers has no dicts by layer",
    r"^_parts_of: ": "parameters in other parts, of which small networks have one, move by the same",
}
"""What the name of a surviving mutant matches -> why it computes the same, or what else is changed by it."""


def broken(subject: Subject, count: int) -> Iterator[tuple[Mutant, types.ModuleType | None, sb.Derivation]]:
    """Yield mutants of a subject with their modules, None for one that does not run."""
    derivation = sb.derive(subject.network, optimizer=subject.optimizer)
    head = network_part(sb.generate(derivation, bare=subject.bare))
    found: Iterable[tuple[Mutant, str, Sequence[types.CodeType]]]
    if subject.file:
        pairs = broken_runtime(subject.file, count, subject.functions)
        found = ((mutant, head, parts) for mutant, parts in pairs)
    else:
        parts = () if subject.bare else compiled()
        found = ((mutant, mutant.text, parts) for mutant in mutants(head, subject.functions, count))
    for mutant, text, parts in found:
        try:
            yield mutant, module_of(text, parts), derivation
        except Exception:  # it does not get as far as being checked
            yield mutant, None, derivation


def survivors(subject: Subject, count: int) -> list[str]:
    """Return the names of the mutants that every comparison lets pass."""
    return [
        mutant.name
        for mutant, module, derivation in broken(subject, count)
        if module is not None and all(row.holds for row in check_module(module, derivation))
    ]


def unexplained(names: Iterable[str]) -> list[str]:
    return [name for name in names if not any(re.search(pattern, name) for pattern in EXPLAINED)]


@pytest.mark.parametrize("name", ["2-3-1", "bare"])
def test_a_few_mutants_are_caught(name: str) -> None:
    assert not unexplained(survivors(SUBJECTS[name], 5))


@pytest.mark.slow
@pytest.mark.parametrize("name", SUBJECTS)
def test_every_mutant_is_caught_or_explained(name: str) -> None:
    assert not unexplained(survivors(SUBJECTS[name], SUBJECTS[name].count))


def test_mutants_are_many() -> None:
    assert sum(subject.count for subject in SUBJECTS.values()) >= 100
