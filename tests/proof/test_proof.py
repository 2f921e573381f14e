"""The proof of derivations: right steps hold, and every wrong one is found."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from sympy import (
    Derivative,
    Expr,
    Function,
    IndexedBase,
    Integer,
    KroneckerDelta,
    Max,
    Piecewise,
    Rational,
    Sum,
    Symbol,
    Tuple,
    atan,
    exp,
    log,
    nan,
    oo,
    pi,
    tanh,
    zoo,
)

import symbackprop.proof
from symbackprop import Network, derive
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import (
    ONE,
    Equation,
    EquationSystem,
    Fact,
    Quantity,
    index,
    quantity,
    size,
    sum_over,
)
from symbackprop.proof.prover import Verdict, prove, prove_step
from tests.mutants import survivors
from tests.zoo import ZOO

a, i, j, k = index("a"), index("i"), index("j"), index("k")
n0, n1, n2, N = size("n0"), size("n1"), size("n2"), size("N")
x0, w1, b1 = quantity("x0", n0), quantity("w1", n0, n1), quantity("b1", n1)
s1, x1, w2 = quantity("s1", n1), quantity("x1", n1), quantity("w2", n1, n2)
s2, x2, t, E = quantity("s2", n2), quantity("x2", n2), quantity("t", n2), quantity("E")
ds1, ds2 = quantity("ds1", n1), quantity("ds2", n2)
LAMBDA = Symbol("lambda", real=True)


def sigmoid(s: Expr) -> Expr:
    return 1 / (1 + exp(-s))


SIGMOID_1, SIGMOID_2 = sigmoid(s1[i]), sigmoid(s2[i])
CROSS_ENTROPY = -sum_over(t[i] * log(x2[i]) + (1 - t[i]) * log(1 - x2[i]), (i, n2))


def network(
    hidden: Expr = SIGMOID_1,
    output: Expr = SIGMOID_2,
    loss: Expr = CROSS_ENTROPY,
    facts: tuple[Fact, ...] = (),
) -> EquationSystem:
    """Return a network of two dense layers."""
    equations = (
        Equation(s1[i], sum_over(x0[j] * w1[j, i], (j, n0)) + b1[i]),
        Equation(x1[i], hidden),
        Equation(s2[i], sum_over(x1[j] * w2[j, i], (j, n1))),
        Equation(x2[i], output),
        Equation(E.symbol, loss),
    )
    quantities = {q.name: q for q in (x0, w1, b1, s1, x1, w2, s2, x2, t, E)}
    return EquationSystem(equations, quantities, ("w1", "b1", "w2"), ("x0", "t"), facts=facts)


def derivation(
    system: EquationSystem, *, stable: tuple[Step, ...] = (), batch: tuple[Step, ...] = ()
) -> Derived:
    """Return a derivation without steps of ``system``, in which the adjoints of s1 and s2 have names."""
    return Derived(system, (), {}, {"ds1": "s1", "ds2": "s2"}, {}, stable, batch)


def verdict_on(lhs: Expr, rhs: Expr, rule: str = "rule", system: EquationSystem | None = None) -> Verdict:
    """Return the verdict on one step about ``system`` (default: the sigmoid network)."""
    step = Step(1, "", rule, lhs, rhs)
    return prove_step(derivation(system if system is not None else network()), step)


def d(of: Expr, by: Expr) -> Expr:
    return Derivative(of, by)


DE_DX1 = sum_over(ds2[i] * w2[j, i], (i, n2))

RIGHT_STEPS = {
    "local derivative": (d(x1[i], s1[i]), exp(-s1[i]) / (1 + exp(-s1[i])) ** 2),
    "closed form": (d(x1[i], s1[i]), x1[i] * (1 - x1[i])),
    "local derivative off the diagonal": (d(x1[i], s1[k]), KroneckerDelta(i, k) * x1[i] * (1 - x1[k])),
    "two free indices": (d(s2[i], w2[j, k]), KroneckerDelta(i, k) * x1[j]),
    "not read at all": (d(s2[i], w1[j, k]), Integer(0)),
    "chain rule": (ds2[i], d(E.symbol, x2[i]) * d(x2[i], s2[i])),
    "fused": (ds2[i], x2[i] - t[i]),
    "derivative of the loss": (d(E.symbol, s2[i]), x2[i] - t[i]),
    "contraction": (d(E.symbol, x1[j]), DE_DX1),
    "an index of another name": (d(E.symbol, x1[k]), sum_over(ds2[a] * w2[k, a], (a, n2))),
    "a bound index that is free elsewhere": (
        d(E.symbol, w2[j, i]),
        d(Sum(w2[j, i] * x1[j] * ds2[i], (j, 0, n1 - 1), (i, 0, n2 - 1)), w2[j, i]),
    ),
    "hidden adjoint": (ds1[j], DE_DX1 * x1[j] * (1 - x1[j])),
    "weight": (d(E.symbol, w1[k, j]), ds1[j] * x0[k]),
    "bias": (d(E.symbol, b1[j]), ds1[j]),
    "input": (d(E.symbol, x0[k]), sum_over(ds1[j] * w1[k, j], (j, n1))),
    "derivative of an expression": (
        d(LAMBDA * sum_over(w2[k, j] ** 2, (k, n1), (j, n2)) / 2, w2[i, j]),
        LAMBDA * w2[i, j],
    ),
}

WRONG_STEPS = {
    "closed form of another function": (d(x1[i], s1[i]), 1 - x1[i] ** 2),
    "closed form of another quantity": (d(x1[i], s1[i]), x0[i] * (1 - x0[i])),
    "diagonal only": (d(x1[i], s1[k]), x1[i] * (1 - x1[i])),
    "a sign": (ds2[i], t[i] - x2[i]),
    "a factor": (ds2[i], 2 * (x2[i] - t[i])),
    "transposed": (d(E.symbol, w2[j, i]), ds2[j] * x1[i]),
    "wrong axis summed": (d(E.symbol, x1[j]), sum_over(ds2[j] * w2[i, j], (i, n1))),
    "sum too short": (d(E.symbol, x1[j]), sum_over(ds2[i] * w2[j, i], (i, n2 - 1))),
    "sum too long": (d(E.symbol, x1[j]), sum_over(ds2[i] * w2[j, i], (i, n2 + 1))),
    "sum over the range of another axis": (d(E.symbol, x1[j]), sum_over(ds2[i] * w2[j, i], (i, n0))),
    "without the closed form": (ds1[j], DE_DX1),
    "the adjoint of another layer": (d(E.symbol, b1[j]), ds2[j]),
    "an index that is free on the right": (d(E.symbol, b1[j]), ds1[k]),
    "an unknown quantity": (d(E.symbol, b1[j]), quantity("z", n1)[j]),
    "too many indices": (d(E.symbol, b1[j]), quantity("ds1", n1, n1)[j, j]),
    "a division by zero": (d(E.symbol, b1[j]), ds1[j] / sum_over(KroneckerDelta(j, k) - ONE / n1, (k, n1))),
    "a function that is not known": (d(E.symbol, b1[j]), Function("mystery")(ds1[j])),
    "a second derivative": (d(E.symbol, b1[j]), Derivative(x1[j], (s1[j], 2))),
    "an unknown left-hand side": (quantity("dz", n1)[j], ds1[j]),
    "a derivative with respect to nothing known": (d(E.symbol, quantity("z", n1)[j]), ds1[j]),
}


@pytest.mark.parametrize("name", RIGHT_STEPS)
def test_a_right_step_holds(name: str) -> None:
    verdict = verdict_on(*RIGHT_STEPS[name])
    assert verdict.holds, verdict.counterexample
    assert verdict.counterexample is None
    assert verdict.assumes == ()
    assert verdict.components > 0


@pytest.mark.parametrize("name", WRONG_STEPS)
def test_a_wrong_step_fails_with_a_counterexample(name: str) -> None:
    verdict = verdict_on(*WRONG_STEPS[name])
    assert not verdict.holds
    assert verdict.counterexample
    assert verdict.method == "40 digits"


def test_every_component_is_compared() -> None:
    assert verdict_on(d(E.symbol, w1[k, j]), ds1[j] * x0[k]).components == 6


def test_the_counterexample_shows_indices_and_both_values() -> None:
    verdict = verdict_on(d(E.symbol, w1[k, j]), 2 * ds1[j] * x0[k])
    assert verdict.counterexample is not None
    assert verdict.counterexample.startswith("at k = 0, j = 0: the step gives ")
    words = verdict.counterexample.replace(",", "").split()
    given, truth = float(words[words.index("gives") + 1]), float(words[-1])
    assert given == pytest.approx(2 * truth, rel=1e-9)
    assert len(words[-1].lstrip("-0.")) >= 9


def test_a_single_wrong_component_is_found() -> None:
    wrong_once = Piecewise((2 * ds1[j], j > n1 - 2), (ds1[j], True))
    verdict = verdict_on(d(E.symbol, b1[j]), wrong_once)
    assert not verdict.holds
    assert verdict.components > 1


def test_methods_are_told_apart() -> None:
    assert verdict_on(d(x1[i], s1[i]), x1[i] * (1 - x1[i])).method == "exact"
    one = 2 * (atan(x1[i]) + atan(1 / x1[i])) / pi
    verdict = verdict_on(d(x1[i], s1[i]), one * x1[i] * (1 - x1[i]))
    assert (verdict.holds, verdict.method) == (True, "40 digits")


# Cotangents


def test_cotangents_are_free() -> None:
    # Σ_i x_i of a softmax is constant: with a plain sum as the loss, 0 would pass for its derivative.
    softmax = exp(s2[i]) / sum_over(exp(s2[k]), (k, n2))
    system = network(output=softmax, loss=sum_over(x2[i], (i, n2)))
    without_names = replace(derivation(system), adjoints={"dx2": "x2"})
    dx2 = quantity("dx2", n2)
    right = (dx2[i] - sum_over(dx2[k] * x2[k], (k, n2))) * x2[i]
    assert prove_step(without_names, Step(1, "s2", "rule", d(E.symbol, s2[i]), right)).holds
    assert not prove_step(without_names, Step(1, "s2", "rule", d(E.symbol, s2[i]), Integer(0))).holds


def test_a_substitution_needs_its_rule() -> None:
    lhs, rhs = d(E.symbol, w2[j, i]), (x2[i] - t[i]) * x1[j]
    assert verdict_on(lhs, rhs, "substitution").holds
    assert not verdict_on(lhs, rhs, "contraction").holds
    assert not verdict_on(lhs, (x2[i] + t[i]) * x1[j], "substitution").holds


def test_a_substitution_across_two_layers() -> None:
    written_out = sum_over((x2[i] - t[i]) * w2[j, i], (i, n2)) * x1[j] * (1 - x1[j])
    assert verdict_on(d(E.symbol, w1[k, j]), written_out * x0[k], "substitution").holds
    assert not verdict_on(d(E.symbol, w1[k, j]), -written_out * x0[k], "substitution").holds


def test_a_quantity_read_twice() -> None:
    # The weight is read by a layer and by the penalty.
    penalty = LAMBDA / 2 * sum_over(w2[j, i] ** 2, (j, n1), (i, n2))
    error = sum_over((x2[i] - t[i]) ** 2, (i, n2)) / 2
    system = network(output=tanh(s2[i]), loss=error + penalty)
    right = ds2[i] * x1[j] + LAMBDA * w2[j, i]
    chain = d(s2[i], w2[j, i]) * ds2[i] + d(penalty, w2[j, i])
    assert verdict_on(d(E.symbol, w2[j, i]), right, system=system).holds
    assert verdict_on(d(E.symbol, w2[j, i]), chain, system=system).holds
    assert not verdict_on(d(E.symbol, w2[j, i]), ds2[i] * x1[j], system=system).holds
    assert not verdict_on(d(E.symbol, w2[j, i]), LAMBDA * w2[j, i], system=system).holds


def test_a_term_that_vanishes_by_the_definition_of_the_target() -> None:
    # Σ (x - m) = 0 because m is the mean: true of every forward pass, and it may be left out.
    x, m, v, c = quantity("x", n0), quantity("m"), quantity("v"), quantity("c", n0)
    system = EquationSystem(
        equations=(
            Equation(m.symbol, sum_over(x[j], (j, n0)) / n0),
            Equation(v.symbol, sum_over((x[j] - m.symbol) ** 2, (j, n0)) / n0),
            Equation(E.symbol, sum_over(c[j] * (x[j] - m.symbol) / v.symbol, (j, n0))),
        ),
        quantities={q.name: q for q in (x, m, v, c, E)},
        parameters=("x",),
        inputs=("c",),
    )
    shifted = Derived(system, (), {}, {"dv": "v"}, {})
    dv = quantity("dv").symbol
    direct = -sum_over(c[j], (j, n0)) / v.symbol
    whole = direct - 2 * dv * sum_over(x[j] - m.symbol, (j, n0)) / n0
    for rhs, holds in ((whole, True), (direct, True), (whole - dv, False)):
        assert prove_step(shifted, Step(1, "m", "rule", d(E.symbol, m.symbol), rhs)).holds == holds


# Facts about the data


SOFTMAX = network(
    output=exp(s2[i]) / sum_over(exp(s2[k]), (k, n2)),
    loss=-sum_over(t[i] * log(x2[i]), (i, n2)),
    facts=(Fact(t[i], i, ONE),),
)


def test_a_fact_is_used_only_where_it_is_needed() -> None:
    with_sum = verdict_on(ds2[i], x2[i] * sum_over(t[k], (k, n2)) - t[i], system=SOFTMAX)
    assert (with_sum.holds, with_sum.assumes) == (True, ())
    without = verdict_on(ds2[i], x2[i] - t[i], system=SOFTMAX)
    assert (without.holds, without.assumes) == (True, ("Σ_i t[i] = 1",))
    assert without.method == "exact"
    assert not verdict_on(ds2[i], x2[i] + t[i], system=SOFTMAX).holds


def test_without_the_fact_the_step_does_not_hold() -> None:
    system = replace(SOFTMAX, facts=())
    assert not verdict_on(ds2[i], x2[i] - t[i], system=system).holds


# Kinks


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (Piecewise((1, s1[i] > 0), (0, True)), Piecewise((1, s1[i] > 0), (ONE / 100, True))),
        (Piecewise((1, s1[i] > 0), (0, True)), Piecewise((Rational(99, 100), s1[i] > 0), (0, True))),
        (Piecewise((0, s1[i] <= 0), (1, True)), Integer(1)),
        (Piecewise((1, x1[i] > 0), (0, True)), Piecewise((1, s1[i] > 1), (0, True))),
    ],
)
def test_both_branches_of_relu_are_exercised(right: Expr, wrong: Expr) -> None:
    system = network(hidden=Piecewise((s1[i], s1[i] > 0), (0, True)))
    assert verdict_on(d(x1[i], s1[i]), right, system=system).holds
    assert not verdict_on(d(x1[i], s1[i]), wrong, system=system).holds
    assert verdict_on(ds1[j], DE_DX1 * right.xreplace({i: j}), system=system).holds
    assert not verdict_on(ds1[j], DE_DX1 * wrong.xreplace({i: j}), system=system).holds


def test_a_branch_far_from_zero_is_exercised() -> None:
    relu6 = Piecewise((0, s1[i] < 0), (6, s1[i] > 6), (s1[i], True))
    system = network(hidden=relu6)
    right = Piecewise((0, s1[i] < 0), (0, s1[i] > 6), (1, True))
    wrong = Piecewise((0, s1[i] < 0), (1, s1[i] > 6), (1, True))
    assert verdict_on(d(x1[i], s1[i]), right, system=system).holds
    assert not verdict_on(d(x1[i], s1[i]), wrong, system=system).holds


def test_a_function_without_value_at_negative_numbers() -> None:
    system = network(hidden=log(s1[i]))
    assert verdict_on(d(x1[i], s1[i]), exp(-x1[i]), system=system).holds
    assert not verdict_on(d(x1[i], s1[i]), exp(x1[i]), system=system).holds


def test_a_step_that_is_not_real_where_the_truth_is() -> None:
    verdict = verdict_on(d(x1[i], s1[i]), log(s1[i] - 5))
    assert not verdict.holds
    assert "not real" in str(verdict.counterexample)


# Shapes


def test_guarded_reads_are_not_evaluated() -> None:
    x, w, y, target = (quantity(*q) for q in (("x", n0), ("w", 3), ("y", n0), ("t", n0)))
    inside = (j + k - 1 >= 0) & (j + k - 1 <= n0 - 1)
    system = EquationSystem(
        equations=(
            Equation(y[j], sum_over(Piecewise((x[j + k - 1], inside), (0, True)) * w[k], (k, 3))),
            Equation(E.symbol, sum_over((y[j] - target[j]) ** 2, (j, n0)) / 2),
        ),
        quantities={q.name: q for q in (x, w, y, target, E)},
        parameters=("w",),
        inputs=("x", "t"),
    )
    padded = Derived(system, (), {}, {"dy": "y"}, {})
    dy = quantity("dy", n0)
    guarded = sum_over(Piecewise((dy[j] * x[j + k - 1], inside), (0, True)), (j, n0))
    bracket = sum_over(Piecewise((1, inside), (0, True)) * dy[j] * x[j + k - 1], (j, n0))
    unguarded = sum_over(dy[j] * x[j + k - 1], (j, n0))
    for rhs, holds in ((guarded, True), (bracket, True), (unguarded, False)):
        verdict = prove_step(padded, Step(1, "w", "contraction", d(E.symbol, w[k]), rhs))
        assert verdict.holds == holds, verdict.counterexample
    assert "outside of the shape" in str(verdict.counterexample)


def test_a_delta_beside_a_guard_is_not_evaluated_where_it_does_not_count() -> None:
    token, table = quantity("token", n0, integer=True), quantity("table", n1, n2)
    y, target = quantity("y", n0, n2), quantity("t", n0, n2)
    later, one, m = (j > 0), Integer(1), Symbol("m", integer=True)
    read = Piecewise((table[token[j - 1], k], later), (0, True))
    system = EquationSystem(
        equations=(
            Equation(y[j, k], read),
            Equation(E.symbol, sum_over((y[j, k] - target[j, k]) ** 2, (j, n0), (k, n2)) / 2),
        ),
        quantities={q.name: q for q in (token, table, y, target, E)},
        parameters=("table",),
        inputs=("token", "t"),
    )
    derived = Derived(system, (), {}, {"dy": "y"}, {})
    delta = KroneckerDelta(i, token[j - 1]) * KroneckerDelta(k, m)
    guard = Piecewise((one, later), (0, True))
    terms = Piecewise((one / 2, later), (0, True)) + Piecewise((one / 2, j >= 1), (0, True))
    for rhs, holds in (
        (delta * guard, True),
        (delta * terms, True),
        (delta, False),
        (delta * (1 + guard), False),
    ):
        verdict = prove_step(derived, Step(1, "table", "local derivative", d(y[j, k], table[i, m]), rhs))
        assert verdict.holds == holds, verdict.counterexample
        assert holds or "outside of the shape" in str(verdict.counterexample)


def test_an_index_that_is_data() -> None:
    token, table = quantity("token", n0, integer=True), quantity("table", n1, n2)
    y, dy = quantity("y", n0, n2), quantity("dy", n0, n2)
    system = EquationSystem(
        equations=(
            Equation(y[a, i], table[token[a], i]),
            Equation(E.symbol, sum_over(y[a, i] ** 2, (a, n0), (i, n2))),
        ),
        quantities={q.name: q for q in (token, table, y, E)},
        parameters=("table",),
        inputs=("token",),
    )
    lookup = Derived(system, (), {}, {"dy": "y"}, {})
    right = sum_over(KroneckerDelta(j, token[a]) * dy[a, i], (a, n0))
    wrong = sum_over(KroneckerDelta(j, a) * dy[a, i], (a, n0))
    assert prove_step(lookup, Step(1, "table", "contraction", d(E.symbol, table[j, i]), right)).holds
    assert not prove_step(lookup, Step(1, "table", "contraction", d(E.symbol, table[j, i]), wrong)).holds


def test_a_trainable_scalar() -> None:
    beta = quantity("beta")
    system = network(hidden=s1[i] * sigmoid(beta.symbol * s1[i]))
    system = replace(system, quantities={**system.quantities, "beta": beta})
    named = replace(derivation(system), adjoints={"ds1": "s1", "ds2": "s2", "dx1": "x1"})
    dx1, slope = quantity("dx1", n1), sigmoid(beta.symbol * s1[j]) * (1 - sigmoid(beta.symbol * s1[j]))
    right = sum_over(dx1[j] * s1[j] ** 2 * slope, (j, n1))
    for rhs, holds in ((right, True), (sum_over(dx1[j] * s1[j] * slope, (j, n1)), False)):
        assert prove_step(named, Step(1, "beta", "rule", d(E.symbol, beta.symbol), rhs)).holds == holds


def test_sizes_that_are_numbers() -> None:
    x, y = quantity("x", 4), quantity("y", 2)
    system = EquationSystem(
        equations=(
            Equation(y[i], Max(x[2 * i], x[2 * i + 1])),
            Equation(E.symbol, sum_over(y[i] ** 2, (i, 2)) / 2),
        ),
        quantities={q.name: q for q in (x, y, E)},
        parameters=("x",),
    )
    pooled = Derived(system, (), {}, {"dy": "y"}, {})
    larger = Piecewise((1, x[2 * i] > x[2 * i + 1]), (0, True))
    right = larger * KroneckerDelta(k, 2 * i) + (1 - larger) * KroneckerDelta(k, 2 * i + 1)
    assert prove_step(pooled, Step(1, "x", "local derivative", d(y[i], x[k]), right)).holds
    assert not prove_step(pooled, Step(1, "x", "local derivative", d(y[i], x[k]), 1 - right)).holds


# Stable forms and batches


def test_stable_forms() -> None:
    right = sum_over(log(1 + exp(s2[i])) - s2[i] * t[i], (i, n2))
    wrong = sum_over(log(1 + exp(-s2[i])) - s2[i] * t[i], (i, n2))
    mixed = -sum_over(t[i] * (s2[i] - log(1 + exp(s2[i]))) + (1 - t[i]) * log(1 - x2[i]), (i, n2))
    for rhs, holds in ((right, True), (wrong, False), (mixed, True)):
        verdict = verdict_on(E.symbol, rhs, "stable form")
        assert verdict.holds == holds, verdict.counterexample


def lifted(original: Quantity) -> Quantity:
    return Quantity(original.name, (N, *original.shape))


def batch_verdict(lhs: Expr, rhs: Expr) -> Verdict:
    penalty = LAMBDA / 2 * sum_over(w1[j, i] ** 2, (j, n0), (i, n1))
    system = network(loss=CROSS_ENTROPY + penalty)
    step = Step(7, "", "batch", lhs, rhs)
    return prove_step(derivation(system, batch=(step,)), step)


SAMPLE = index("n")
BATCH_STEPS = [
    (w2[j, i], sum_over(lifted(ds2)[SAMPLE, i] * lifted(x1)[SAMPLE, j], (SAMPLE, N)) / N, True),
    (
        w2[j, i],
        sum_over((lifted(x2)[SAMPLE, i] - lifted(t)[SAMPLE, i]) * lifted(x1)[SAMPLE, j], (SAMPLE, N)) / N,
        True,
    ),
    (
        w1[k, j],
        sum_over(lifted(ds1)[SAMPLE, j] * lifted(x0)[SAMPLE, k], (SAMPLE, N)) / N + LAMBDA * w1[k, j],
        True,
    ),
    (b1[j], sum_over(lifted(ds1)[SAMPLE, j], (SAMPLE, N)) / N, True),
    (w2[j, i], sum_over(lifted(ds2)[SAMPLE, i] * lifted(x1)[SAMPLE, j], (SAMPLE, N)), False),
    (w2[j, i], sum_over(lifted(ds2)[SAMPLE, i] * lifted(x1)[0, j], (SAMPLE, N)) / N, False),
    (
        w1[k, j],
        sum_over(lifted(ds1)[SAMPLE, j] * lifted(x0)[SAMPLE, k] + LAMBDA * w1[k, j], (SAMPLE, N)),
        False,
    ),
    (w2[j, i], sum_over(lifted(ds2)[SAMPLE, i] * x1[j], (SAMPLE, N)) / N, False),
    (b1[j], sum_over(lifted(ds1)[SAMPLE, j], (SAMPLE, N - 1)) / N, False),
    (b1[j], ds1[j], False),
]


@pytest.mark.parametrize(("parameter", "rhs", "holds"), BATCH_STEPS)
def test_the_mean_over_a_batch(parameter: Expr, rhs: Expr, holds: bool) -> None:
    verdict = batch_verdict(d(E.symbol, parameter), rhs)
    assert verdict.holds == holds, verdict.counterexample


# The whole


def test_steps_stable_forms_and_batch_come_in_this_order() -> None:
    made = derivation(
        network(),
        stable=(Step(2, "E", "stable form", E.symbol, E.symbol),),
        batch=(Step(3, "b1", "batch", d(E.symbol, b1[j]), BATCH_STEPS[3][1]),),
    )
    made = replace(made, steps=(Step(1, "s2", "rule", ds2[i], x2[i] - t[i]),))
    assert [(v.step.number, v.holds) for v in prove(made)] == [(1, True), (2, True), (3, True)]


def test_a_broken_step_is_no_exception() -> None:
    without_shape = IndexedBase(ds1.symbol)
    endless = Sum(ds1[k], (k, 0, oo))
    broken = [nan, zoo, ds1, Tuple(1, 2), None, without_shape[j, j], Symbol("q") & Symbol("r"), endless]
    for rhs in broken:
        verdict = prove_step(derivation(network()), Step(1, "", "rule", ds1[j], rhs))
        assert not verdict.holds
        assert verdict.counterexample


def test_the_seed_fixes_the_proof() -> None:
    made = derivation(network())
    wrong = Step(1, "", "rule", ds2[i], x2[i] + t[i])
    assert prove_step(made, wrong, seed=3) == prove_step(made, wrong, seed=3)
    assert prove_step(made, wrong, seed=3) != prove_step(made, wrong, seed=4)


def test_the_proof_does_not_depend_on_hashing() -> None:
    program = (
        "from tests.zoo import ZOO\n"
        "from dataclasses import replace\n"
        "from symbackprop.derivation.reverse_pass import derive_system\n"
        "from symbackprop.proof import Prover\n"
        "derived = derive_system(ZOO['layer_norm']())\n"
        "prover = Prover(derived)\n"
        "for step in derived.steps:\n"
        "    right, wrong = prover.prove_step(step), prover.prove_step(replace(step, rhs=step.rhs * 2))\n"
        "    print(right.holds, right.method, right.components, wrong.counterexample)\n"
    )
    outputs = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        run = [sys.executable, "-c", program]
        outputs.add(subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(outputs) == 1
    assert "scalar calculus" in outputs.pop()


def test_the_proof_shares_no_code_with_the_derivation() -> None:
    package = Path(symbackprop.proof.__file__).parent
    modules = sorted(package.rglob("*.py"))
    assert {"__init__.py", "grid.py", "prover.py"} <= {module.name for module in modules}
    imported: dict[str, set[str]] = {}
    for module in modules:
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module.name} has a relative import"
                source = str(node.module)
                if source.startswith("symbackprop") and not source.startswith("symbackprop.proof."):
                    imported.setdefault(source, set()).update(alias.name for alias in node.names)
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("symbackprop") for alias in node.names)
    assert imported == {
        "symbackprop.equations.size": {"expanded_size"},
        "symbackprop.equations.steps": {"Derived", "Step"},
        "symbackprop.equations.system": {"ArgMax", "Equation", "EquationSystem", "Fact", "Quantity"},
    }


def deep_network(depth: int) -> EquationSystem:
    """Return a chain of dense relu layers with a penalty on each weight."""
    sizes = [size(f"n{layer}") for layer in range(depth + 1)]
    target = quantity("t", sizes[-1])
    x = quantity("x0", sizes[0])
    quantities, equations, penalty = [x, target, E], [], Integer(0)
    for layer in range(1, depth + 1):
        shape = (sizes[layer - 1], sizes[layer])
        w, s = quantity(f"w{layer}", *shape), quantity(f"s{layer}", shape[1])
        y = quantity(f"x{layer}", shape[1])
        equations.append(Equation(s[i], sum_over(x[j] * w[j, i], (j, shape[0]))))
        equations.append(Equation(y[i], Piecewise((s[i], s[i] > 0), (0, True))))
        penalty += LAMBDA / 2 * sum_over(w[j, i] ** 2, (j, shape[0]), (i, shape[1]))
        quantities += [w, s, y]
        x = y
    error = sum_over((x[i] - target[i]) ** 2, (i, sizes[-1])) / 2
    equations.append(Equation(E.symbol, error + penalty))
    parameters = tuple(q.name for q in quantities if q.name.startswith("w"))
    return EquationSystem(tuple(equations), {q.name: q for q in quantities}, parameters, ("x0", "t"))


def test_the_cost_of_a_layer_does_not_grow_with_depth() -> None:
    def seconds(depth: int) -> float:
        derived = derive_system(deep_network(depth))
        start = time.perf_counter()
        assert all(verdict.holds for verdict in prove(derived))
        return time.perf_counter() - start

    seconds(3)  # fills SymPy's caches
    assert seconds(60) < 30 * max(seconds(4), 0.1)


# Mutations: every step of every network, broken on purpose


def of_zoo(name: str) -> Derived:
    """Return the derivation of a network with respect to all that can be differentiated."""
    system = ZOO[name]()
    real = [q for q in system.inputs if not system.quantities[q].integer]
    return derive_system(system, [*system.parameters, *real])


DERIVATIONS: dict[str, Callable[[], Derived]] = {
    **{name: partial(of_zoo, name) for name in ZOO},
    "dense_sigmoid": lambda: derive(Network("2-3-1")),
    "dense_relu_softmax_l2": lambda: derive(Network("2-3:relu-2:softmax", l2=0.1)),
    "dense_relu6_l1": lambda: derive(Network(f"2-3:({RELU6})-2", output="identity", loss=HUBER, l1=0.1)),
}
RELU6 = "Piecewise((0, s < 0), (6, s > 6), (s, True))"
HUBER = "(Piecewise(((x - t)**2/2, Abs(x - t) <= 0.5), (0.5*(Abs(x - t) - 0.25), True)))"


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n == "convolution_2d_batch" else n for n in DERIVATIONS],
)
def test_every_step_holds(name: str) -> None:
    verdicts = prove(DERIVATIONS[name]())
    assert verdicts
    for verdict in verdicts:
        assert verdict.holds, f"{verdict.step}: {verdict.counterexample}"


MUTANTS_PER_STEP = 4
so_far: dict[str, int] = {}


@pytest.mark.parametrize("name", DERIVATIONS)
def test_mutants_are_caught(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    derivation = DERIVATIONS[name]()
    count, alive = survivors(derivation, MUTANTS_PER_STEP)
    assert not alive, "\n".join(alive)
    assert count >= 3 * len(derivation.steps) >= 15
    report("sampled", name, count, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("name", DERIVATIONS)
def test_all_mutants_are_caught(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    derivation = DERIVATIONS[name]()
    count, alive = survivors(derivation, None)
    assert not alive, "\n".join(alive)
    assert count >= 8 * len(derivation.steps)
    report("all", name, count, capsys)


def report(which: str, name: str, count: int, capsys: pytest.CaptureFixture[str]) -> None:
    so_far[which] = so_far.get(which, 0) + count
    with capsys.disabled():
        print(f"\n{name}: {count} of {count} mutants caught ({which}); so far {so_far[which]}", end="")


# Sizes and integers that fit the reads


def single_output(output: Expr, *inputs: Quantity) -> EquationSystem:
    y, c = quantity("y", n0), quantity("c", n0)
    equations = (Equation(y[k], output), Equation(E.symbol, sum_over(c[k] * y[k], (k, n0))))
    quantities = {q.name: q for q in (*inputs, c, y, E)}
    return EquationSystem(equations, quantities, (), tuple(q.name for q in (*inputs, c)))


TOKEN, LONG, TABLE = quantity("token", n0, integer=True), quantity("x", 2 * n0 + 5), quantity("x", n0, n1)
READS = {
    "literal": (TABLE[k, 3] * TABLE[k, 0], TABLE),
    "integers and letters": (LONG[2 * k + TOKEN[k]] ** 2, LONG, TOKEN),
    "integers less than letters": (LONG[2 * n0 + 4 - k - TOKEN[k]] ** 2, LONG, TOKEN),
    "integers beyond the first": (LONG[TOKEN[k] - 2] ** 2, LONG, TOKEN),
    "integers under a guard": (
        Piecewise((LONG[TOKEN[k] - 2], TOKEN[k] >= 2), (0, True)) * LONG[TOKEN[k]],
        LONG,
        TOKEN,
    ),
}


@pytest.mark.parametrize("name", READS)
def test_sizes_and_integers_fit_the_reads(name: str) -> None:
    output, *inputs = READS[name]
    derived = derive_system(single_output(output, *inputs), ["x"])
    for verdict in prove(derived):
        assert verdict.holds, f"{verdict.step}: {verdict.counterexample}"
        assert verdict.components > 1
    count, alive = survivors(derived, 4)
    assert not alive, "\n".join(alive)
    assert count >= 10


def test_axes_of_one_quantity_are_told_apart() -> None:
    # Of two samples and windows as many, dy[h, i, k] for dy[k, i, h] would go unnoticed.
    x, b, y, c = (quantity(name, *shape) for name, shape in SHAPES.items())
    system = EquationSystem(
        equations=(
            Equation(y[k, i, j], sum_over(x[k, j + a], (a, n2)) + b[i]),
            Equation(E.symbol, sum_over(c[k, i, j] * y[k, i, j], (k, n0), (i, 3), (j, n1 - n2 + 1))),
        ),
        quantities={q.name: q for q in (x, b, y, c, E)},
        parameters=("b",),
        inputs=("x", "c"),
    )
    named = Derived(system, (), {}, {"dy": "y"}, {})
    dy = quantity("dy", *y.shape)
    for read, holds in ((dy[k, i, j], True), (dy[j, i, k], False)):
        total = sum_over(read, (k, n0), (j, n1 - n2 + 1))
        assert prove_step(named, Step(1, "b", "contraction", d(E.symbol, b[i]), total)).holds == holds


SHAPES = {"x": (n0, n1), "b": (3,), "y": (n0, 3, n1 - n2 + 1), "c": (n0, 3, n1 - n2 + 1)}


def test_a_truth_that_is_0_for_small_sizes_alone_proves_nothing() -> None:
    # Two numbers, normalised without epsilon, are 1 and -1: constant.
    x, m, v, c = quantity("x", n0), quantity("m"), quantity("v"), quantity("c", n0)
    system = EquationSystem(
        equations=(
            Equation(m.symbol, sum_over(x[j], (j, n0)) / n0),
            Equation(v.symbol, sum_over((x[j] - m.symbol) ** 2, (j, n0)) / n0),
            Equation(E.symbol, sum_over(c[j] * (x[j] - m.symbol) / v.symbol ** Rational(1, 2), (j, n0))),
        ),
        quantities={q.name: q for q in (x, m, v, c, E)},
        parameters=("x",),
        inputs=("c",),
    )
    derived = derive_system(system)
    step = derived.by_number[derived.results["x"]]
    assert prove_step(derived, step).holds
    for factor in (-1, 2):
        assert not prove_step(derived, replace(step, rhs=factor * step.rhs)).holds
