"""The self-test notices what is wrong, names it, and lets pass what is right."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sympy import Derivative

import symbackprop as sb
from symbackprop import cli
from symbackprop.equations.steps import Derived
from symbackprop.errors import SelfTestFailure
from symbackprop.numbers.self_test import require_right, with_sizes_to_run
from tests.mutants import Mutator

NETS = {
    "dense": "2-3-1",
    "classes": "3-4:tanh-3:softmax",
    "kinks": "2-5:relu-2:identity",
    "words": """
integer input i[n]
input x[n, k]
target t[n]
parameter w[v, k], a[k]
y[n] = sum((w[i[n], k] + x[n, k])*a[k], k)
E = mean((y[n] - t[n])**2, n)
output y
size v = 5, k = 3
""",
    "over samples": """
input x[n, k]
parameter w[k]
m = mean(x[n, 0], n)
y[n] = tanh(sum(x[n, k]*w[k], k) - m)
E = sum(y[n]**2, n)
output y
size k = 3
""",
}


def network(name: str) -> sb.Network:
    text = NETS[name]
    return sb.Network.from_equations(text) if "\n" in text else sb.Network(text)


@pytest.mark.parametrize("name", NETS)
def test_a_wrong_step_is_noticed(name: str) -> None:
    derivation = sb.derive(network(name))
    choose = random.Random(3)
    missed = []
    for step in (*derivation.steps, *derivation.batch[1:]):
        # At the derivative of one component for another, which no step states, there is no number to see.
        changes = Mutator(derivation, step).mutants(choose)
        seen = (c for c in changes if not (c[1].has(Derivative) and "shifted" in c[0]))
        for what, mutant in islice(seen, 2):
            try:
                require_right(derivation.with_step(replace(step, rhs=mutant)))
            except SelfTestFailure:
                continue
            missed.append(f"{step.number}: {what}: {mutant}")
    assert not missed


def test_what_is_wrong_about_a_derivation_is_named() -> None:
    derivation = sb.derive(network("dense"))
    step = derivation.by_number[derivation.results["w1"]]
    with pytest.raises(SelfTestFailure) as caught:
        require_right(derivation.with_step(replace(step, rhs=2 * step.rhs)))
    named = f"the derivation: equation ({step.number}), a {step.rule} for w1, is wrong: at "
    assert str(caught.value).startswith(named)
    assert str(caught.value).endswith("not yours: please report it")


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize(
    ("right", "wrong", "what"),
    [
        ("dw2 = x1.T @ ds2", "dw2 = 2 * x1.T @ ds2", "the derivative of E for w2"),
        ("    return x2\n", "    return s2\n", "x2"),
        ("s1 += b1", "s1 -= b1", "E"),
        ("db1 = ", "db1 = np.sum(b1) + ", "the derivative of E for b1"),
        ("s2 = x1 @ w2", "s2 = unknown @ w2", "does not run: NameError"),
        ("s2 = x1 @ w2", "s2 = x1 w2", "does not run: SyntaxError"),
    ],
)
def test_wrong_code_is_noticed(
    bare: bool, right: str, wrong: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from symbackprop.code import module

    emit: Callable[..., str] = module.emit

    def broken(derivation: Derived, bare: bool = False, product: Derived | None = None) -> str:
        text = emit(derivation, bare=bare, product=product)
        assert right in text
        return text.replace(right, wrong)

    monkeypatch.setattr(module, "emit", broken)
    with pytest.raises(SelfTestFailure, match=what):
        sb.generate(network("dense"), bare=bare)


@pytest.mark.parametrize("command", ["derive", "generate"])
def test_nothing_wrong_leaves(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule of the calculus that is broken ends in one message, exit status 1, and no file."""
    from symbackprop.derivation.calculus import paths

    slope: Callable[..., Any] = paths.slope_of
    monkeypatch.setattr(paths, "slope_of", lambda *arguments: 2 * slope(*arguments))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["symbackprop", command, "3-2:(s*exp(-s**2/7))-1", "-o", "out.txt"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    printed, said = capsys.readouterr()
    assert (end.value.code, printed) == (1, "")
    assert said.startswith("symbackprop: the derivation: equation (")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_large_network_is_tried_with_small_sizes() -> None:
    derivation = sb.derive(sb.Network("3000-4000:relu-10:softmax"))
    small = with_sizes_to_run(derivation)
    assert small.model is not None
    assert max(small.model.sizes.values()) < 10
    same = sb.derive(sb.Network("30-40:relu-10:softmax"))
    assert with_sizes_to_run(same) is same


@pytest.mark.parametrize(
    "formula",
    [
        "log(s)",  # has no value at half of the points
        "sqrt(s**2)",
        "1/s",
        "abs(s)**0.1",
        "Piecewise((s, s > 0), (0, True))",
        "exp(exp(exp(9*s)))",
        pytest.param(
            "max(log(0.438 + mish(-2229.93*s)**2), softplus(log(1 + exp(-4*(s - 6.734))), beta=2.88592))",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_is_right_passes(formula: str) -> None:
    """Kinks, poles and ends of domains are no mistakes."""
    require_right(sb.derive(sb.Network(f"2-3:({formula})-1:identity")))


@pytest.mark.parametrize("formula", ["tanh(sin(exp(49*s + 6.4)))", "sin(exp(0.5218*s)*exp(-31.3*s + 8.3))"])
def test_code_of_what_loses_all_digits_passes(formula: str) -> None:
    """The sine of a number above 1e16 hangs on digits that a float does not have."""
    sb.generate(sb.Network(f"2-3:({formula})-1"))


def test_a_softplus_beyond_the_largest_float_chooses_rightly() -> None:
    """``log(1 + exp(z))`` is about z where exp(z) is no number any more: above 7.33, not below."""
    softplus = "softplus(s, beta=1404.15)"
    sb.generate(sb.Network(f"2-3:(where({softplus} > 7.33, -0.500822*s, 0.817*{softplus}))-1"))


def test_a_norm_of_nothing_passes() -> None:
    """The derivative of a distance at 0 has no number, and the derivation says so rightly."""
    text = """
input x[n, k]
parameter w[k, i]
z[n, i] = sum(x[n, k]*w[k, i], k)
d[n, m] = sqrt(sum((z[n, i] - z[m, i])**2, i))
E = sum(d[n, m], n, m)
output z
size k = 2, i = 2
"""
    sb.generate(sb.Network.from_equations(text))
