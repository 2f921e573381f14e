"""A derivation always ends: large exponents are kernels of their own, and SymPy is called within a budget."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sympy import Expr, Rational, Symbol, exp, tanh

import symbackprop as sb
from symbackprop.derivation.calculus import budget
from symbackprop.derivation.calculus.algebra import tidy
from symbackprop.derivation.calculus.kernels import Kernels
from symbackprop.equations.size import expanded_terms
from tests import endings
from tests.conftest import difference_from_numbers, random_parameters, sample_data

s, t = Symbol("s", real=True), Symbol("t", real=True)
C = Rational("1.702")
NEEDS_FORK = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")

FORMULAS = (
    "(s*sigmoid(1.702*s))",
    "softplus(beta=1.2345)",
    "(sigmoid(1.2345*s)+s)",
    "(mish(s+1e4))",
    "(sigmoid(0.98765*s)*tanh(s))",
    "(s*exp(-0.12345678*s))",
)
NESTED = (
    "tanh(mish(mish(s - 5.87)))",
    "exp(-(exp(-(s - 8.3952)**2)*sigmoid(s))**2)",
    "max(log(0.438 + mish(-2229.93*s)**2), softplus(log(1 + exp(-4*(s - 6.734))), beta=2.88592))",
    "(1 + ((1 + (s)**2)**(5.445) + sigmoid(s))**2)**(2.4263)",
    "softplus((1 + ((s + 4.23654)/(70 + exp(s)))**2)**35.04, beta=8)",
    "exp(sigmoid((-5.55)*((1 + (s + (-1045))**2)**(7))))",
    "sigmoid((-9.17e+03)*((s)/(0.62 + exp(s)) - (7.754)*(sigmoid((-0.03)*(s)))))",
    "((0.05 + exp(s))**(-45.25))**8",
    "elu(mish((1 + ((0.467274)*s)**2)**(2.43)), alpha=85.1043)",
    "sigmoid((1 + ((s + (2.548))*(s))**2)**(0.0749924))",
    "mish(silu(s) + 5.6*(7.244 + exp(9000*s))**(-2.72874))",
)


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_with_long_numbers_are_derived_and_right(formula: str, rng: np.random.Generator) -> None:
    _check_gradient(sb.Network(f"2-3:{formula}-1"), rng)


@pytest.mark.parametrize(
    "loss",
    [
        "cross_entropy",
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in ("binary_cross_entropy", "poisson_nll", "kl_divergence")
        ),
    ],
)
def test_tanh_form_of_gelu_goes_with_losses_that_take_logarithms(loss: str, rng: np.random.Generator) -> None:
    _check_gradient(sb.Network("2-3-2:gelu_tanh", loss=loss), rng, positive=True)


def test_whole_part_of_an_exponent_counts_as_what_is_multiplied_out() -> None:
    """SymPy makes 96 terms of the power below, wherever it stands."""
    power = (exp(s) + Rational(2, 5)) ** Rational(479, 5)
    assert expanded_terms(power) > 96
    assert budget.expand(exp(-1 / power)) == exp(-1 / power)
    assert tidy(exp(-1 / power) / (1 + exp(-1 / power)) * power).count_ops() < 40


def test_power_with_a_long_exponent_is_derived_and_right(rng: np.random.Generator) -> None:
    _check_gradient(sb.Network("2-3:(s + s**0.01)-1"), rng, positive=True)


def _check_gradient(network: sb.Network, rng: np.random.Generator, positive: bool = False) -> None:
    """Compare the gradients of the module with differences of its loss; ``positive``: at positive numbers."""
    module: Any = sb.load(network)
    x, target = sample_data(network, rng)
    parameters = random_parameters(module.PARAMETER_SHAPES, rng)
    if positive:
        x, target = abs(x), target / target.sum(axis=1, keepdims=True)
        parameters = {name: abs(value) for name, value in parameters.items()}

    _, found = module.gradients(parameters, x, target)
    worst = difference_from_numbers(lambda p: module.loss(p, x, target), parameters, found, rng)
    assert worst < 1e-7


@NEEDS_FORK
@pytest.mark.parametrize(
    "formula",
    [FORMULAS[0][1:-1], NESTED[-1], *(pytest.param(f, marks=pytest.mark.slow) for f in NESTED[:-1])],
)
def test_derivation_needs_little_time_and_memory(formula: str) -> None:
    end, seconds = endings.end_of(formula)
    assert (end, seconds < endings.SECONDS) == ("done", True)


@NEEDS_FORK
@pytest.mark.slow
def test_high_power_in_an_equation_of_its_own_takes_no_longer() -> None:
    network = sb.Network.from_equations("""
    input x[n, k]
    target t[n]
    parameter w[k]
    size k = 3
    s[n] = sum(x[n, k]*w[k], k)
    h[n] = (1 + (-2.423*s[n] + 9.38135)**2)**(-90)
    y[n] = mish(sqrt(5 + h[n]**2))
    E = mean((y[n] - t[n])**2, n)
    output y
    """)
    assert endings.ending(lambda: sb.generate(sb.derive(network)))[0] == "done"


@NEEDS_FORK
def test_runaway_work_is_told_from_work_that_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    def runs_away() -> None:
        while True:
            pass

    def refuses() -> None:
        raise sb.SpecificationError("no")

    monkeypatch.setattr(endings, "SECONDS", 1)
    assert endings.ending(runs_away)[0] == "out of time"
    assert endings.ending(lambda: bytearray(2 * endings.BYTES))[0] == "out of memory"
    assert endings.ending(lambda: 1 / 0)[0] == "an error"
    assert endings.ending(refuses)[0] == "refused"
    assert endings.ending(lambda: None)[0] == "done"


def test_kernels_inside_of_kernels_have_other_symbols() -> None:
    """(1 + a s²)^2.43 is multiplied out to terms with (1 + a s²)^0.43, which is a kernel of its own."""
    power = exp((1 + Rational("0.4672") * s**2) ** Rational("2.43"))
    outer = Kernels(power)
    inner = Kernels(outer.flat(power))
    flat = inner.flat(outer.flat(power))
    assert flat != outer.flat(power)
    assert abs((outer.back(inner.back(flat)) / power).subs(s, 0.7).evalf() - 1) < 1e-12


def test_small_multiples_share_a_kernel() -> None:
    kernels = Kernels(exp(C * s) + exp(2 * C * s) - exp(-C * s / 2))
    first, second, third = map(kernels.flat, (exp(C * s), exp(2 * C * s), exp(-C * s / 2)))
    assert first.free_symbols == second.free_symbols == third.free_symbols
    assert first**2 == second
    assert third**-2 == first
    assert kernels.back(first) == exp(C * s)


def test_unrelated_exponents_have_kernels_of_their_own() -> None:
    kernels = Kernels(exp(C * s) + exp(s) + exp(C * t))
    assert kernels.flat(exp(s)) == exp(s)
    assert len(kernels.flat(exp(C * s) + exp(s) + exp(C * t)).free_symbols) == 3
    assert Kernels(exp(3 * s) + exp(s)).flat(exp(3 * s)) == exp(3 * s)


@pytest.mark.parametrize(
    "expression",
    [
        s ** Rational("0.01") + s ** Rational("-0.99") + s,
        s**2000 + 2000 * s**1999,
        exp(s + 10000) / (1 + exp(-s - 10000)),
        (1 + exp(C * s)) ** Rational("-27.5") * (1 + exp(C * s * (s + t))),
        2 ** (C * s) - exp(exp(C * s)),
    ],
)
def test_kernels_have_small_exponents_and_lead_back(expression: Expr) -> None:
    kernels = Kernels(expression)
    flat = kernels.flat(expression)
    assert Kernels(flat).flat(flat) == flat
    assert (kernels.back(flat) - expression).subs({s: 0.7, t: 0.3}).evalf() == 0


def test_common_kernel_cancels() -> None:
    assert budget.cancel((exp(2 * C * s) - 1) / (exp(C * s) - 1)) == exp(C * s) + 1


@pytest.mark.parametrize("call", [budget.factor, budget.cancel, budget.expand])
def test_expression_beyond_the_budget_keeps_its_form(call: Callable[[Expr], Expr]) -> None:
    parts = [tanh(Symbol(f"a{n}") * s + n) for n in range(12)]
    planted = (sum(parts) + 1) ** 12 / (sum(parts[:6]) - 1) ** 3
    assert call(planted) is planted
    assert tidy(planted) == planted


def test_functions_inside_of_each_other_count() -> None:
    nested = tanh(s + t)
    for _ in range(8):
        nested = tanh((nested + s) * (nested + t))
    assert budget.expand(nested) is nested


@pytest.mark.slow
@NEEDS_FORK
def test_random_formulas_end() -> None:
    assert list(endings.failures(0, range(200))) == []
