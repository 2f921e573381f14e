"""Folding back to names: results are written through the quantities whose values they contain."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from sympy import Expr, Integer, Piecewise, Symbol, cos, exp, expand, log, oo, sin, sqrt, tanh

from symbackprop.derivation.calculus.folding import fold
from symbackprop.derivation.calculus.signature import OUTCOMES
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.document.printable import printable
from symbackprop.equations.indices import canonical, rename
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import (
    ZERO,
    Equation,
    EquationSystem,
    arg_max,
    index,
    quantity,
    size,
    sum_over,
)
from symbackprop.proof.prover import Prover, prove
from tests.layers import EPSILON, LAYERS, network

i, j, k, n = index("i"), index("j"), index("k"), index("n")
B, S = size("B"), size("S")
x, y, z, c = (quantity(name, B, S) for name in ("x", "y", "z", "c"))
mu, v, sigma, r = (quantity(name, B) for name in ("mu", "v", "sigma", "r"))
gamma, beta, a = quantity("gamma", S), quantity("beta", S), Symbol("a", positive=True)
dy, dz = quantity("dy", B, S), quantity("dz", B, S)

THREE = Integer(3)

MEAN = Equation(mu[n], sum_over(x[n, i], (i, S)) / S)
VARIANCE = Equation(v[n], sum_over((x[n, i] - mu[n]) ** 2, (i, S)) / S)
NORMALISED = Equation(z[n, i], (x[n, i] - mu[n]) / sqrt(v[n] + a))
ROOT = Equation(sigma[n], sqrt(v[n] + a))
SCALED = Equation(y[n, i], gamma[i] * z[n, i] + beta[i])


def folded(expression: Expr, *definitions: Equation) -> Expr:
    """Return the last and shortest form of ``expression``, or itself."""
    forms = fold(expression, definitions)
    return forms[-1][0] if forms else expression


FOLDED = {
    "a difference": ((x[k, j] - mu[k]) / (v[k] + a) ** (THREE / 2), NORMALISED, z[k, j] / (v[k] + a)),
    "with the other sign": ((mu[n] - x[n, i]) / sqrt(v[n] + a), NORMALISED, -z[n, i]),
    "inside of a sum": (
        sum_over(c[n, j] * (x[n, j] - mu[n]), (j, S)) / sqrt(v[n] + a) ** 3,
        NORMALISED,
        sum_over(c[n, j] * z[n, j], (j, S)) / (v[n] + a),
    ),
    "a sum": (S * mu[k] - sum_over(x[k, j], (j, S)), MEAN, ZERO),
    "a sum of squares": (c[n, i] * sum_over((x[n, k] - mu[n]) ** 2, (k, S)), VARIANCE, S * c[n, i] * v[n]),
    "a root": (c[n, i] * sqrt(v[n] + a), ROOT, c[n, i] * sigma[n]),
    "powers of a root": (c[n, i] / (v[n] + a) ** (THREE / 2), ROOT, c[n, i] / sigma[n] ** 3),
    "a function": (x[n, i] * exp(-x[n, j]), Equation(z[n, i], exp(-x[n, i])), x[n, i] * z[n, j]),
    "a product": (2 * x[n, j] * gamma[j] + 1, Equation(z[n, i], x[n, i] * gamma[i]), 2 * z[n, j] + 1),
    "one of two alike": (
        sum_over(x[n, i], (i, S)) * sum_over(x[n, j], (j, S)) * v[n],
        Equation(sigma[n], v[n] * sum_over(x[n, k], (k, S))),
        sigma[n] * sum_over(x[n, k], (k, S)),
    ),
    "a name for it": ((x[n, i] - c[n, i]) * y[n, i], Equation(z[n, i], x[n, i] - c[n, i]), y[n, i] * z[n, i]),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDED)
def test_what_a_definition_gives_is_read(name: str) -> None:
    expression, definition, expected = FOLDED[name]
    assert canonical(folded(expression, definition)) == canonical(expected)


LEFT = {
    "a new denominator": (gamma[i] * c[n, i], Equation(y[n, i], gamma[i] * x[n, i])),
    "a new denominator beside a term": (
        x[n, i] / sqrt(v[n] + a), Equation(y[n, i], gamma[i] * x[n, i] / sqrt(v[n] + a) + beta[i])
    ),
    "an index that is not given": (mu[n] * c[n, i], NORMALISED),
    "another function": (cos(x[n, i]), Equation(z[n, i], sin(x[n, i]))),
    "another index": (x[n, i] - mu[k], NORMALISED),
    "a sum over another axis": (sum_over(x[k, i], (k, B)), MEAN),
    "a name for a name": (x[n, i] * c[n, i], Equation(z[n, i], x[n, i])),
    "something longer": (x[n, i] * c[n, i], Equation(z[n, i], x[n, i] - mu[n])),
}  # fmt: skip


@pytest.mark.parametrize("name", LEFT)
def test_what_a_definition_does_not_give_stays(name: str) -> None:
    expression, definition = LEFT[name]
    assert folded(expression, definition) == expression


def normalisation(*equations: Equation) -> Derived:
    system = network((x,), (gamma, beta), *equations, SCALED)
    return derive_system(system, ["x", *system.parameters])


def short_form(root: Expr) -> Expr:
    """Return (dz - mean(dz) - z mean(dz z))/σ."""
    means = sum_over(dz[n, j], (j, S)) / S, sum_over(dz[n, j] * z[n, j], (j, S)) / S
    return (dz[n, i] - means[0] - z[n, i] * means[1]) / root


def test_layer_norm_has_its_known_short_form() -> None:
    derivation = normalisation(MEAN, VARIANCE, NORMALISED)
    assert canonical(derivation.adjoint("x")) == canonical(short_form(sqrt(v[n] + a)))
    assert [step.by for step in derivation.steps if step.rule == "folding"] == ["z", "mu", "z"]
    assert {"dmu", "dv"}.isdisjoint(derivation.adjoints)


def test_a_root_with_a_name_is_read() -> None:
    named = Equation(z[n, i], (x[n, i] - mu[n]) / sigma[n])
    derivation = normalisation(MEAN, VARIANCE, ROOT, named)
    assert canonical(derivation.adjoint("x")) == canonical(short_form(sigma[n]))


def test_rms_norm_has_its_known_short_form() -> None:
    found = derive_system(LAYERS["rms_norm"](), ["x"])
    mean = z[n, i] * sum_over(dz[n, j] * z[n, j], (j, S)) / S
    assert canonical(found.adjoint("x")) == canonical((dz[n, i] - mean) / sqrt(r[n] + EPSILON))


def test_a_residual_keeps_its_own_term() -> None:
    found = derive_system(LAYERS["transformer"](), ["x"]).adjoint("x1")
    direct = [term for term in found.args if not term.is_Mul]
    assert [str(term) for term in direct] == ["dy[n, i, m]"]


def test_attention_has_its_known_form() -> None:
    T, K = size("T"), size("K")
    dp, p, da, q = (
        quantity("dp", B, T, T),
        quantity("p", B, T, T),
        quantity("da", B, T, T),
        quantity("q", B, T, K),
    )
    e = index("e")
    found = derive_system(LAYERS["attention_causal"](), ["q", "k", "v"])
    total = sum_over(dp[n, i, j] * p[n, i, j], (j, T))
    assert canonical(found.adjoint("a")) == canonical(p[n, i, j] * (dp[n, i, j] - total.xreplace({j: k})))
    assert canonical(found.adjoint("k")) == canonical(sum_over(da[n, i, j] * q[n, i, e], (i, T)) / sqrt(K))


def known_elsewhere() -> EquationSystem:
    # exp(x) has a name, which only another equation reads.
    w, e = quantity("w", S), quantity("e", B, S)
    return network(
        (x,),
        (w,),
        Equation(e[n, i], exp(x[n, i])),
        Equation(z[n, i], w[i] * exp(x[n, i])),
        Equation(y[n, i], tanh(z[n, i]) * e[n, i]),
    )


def test_a_quantity_of_another_equation_is_read() -> None:
    derivation = derive_system(known_elsewhere())
    e = quantity("e", B, S)
    assert derivation.adjoint("w") == sum_over(dz[n, i] * e[n, i], (n, B))
    steps = {step.rule: step for step in derivation.steps if step.target == "w"}
    assert steps["folding"].by == "e"
    for verdict in prove(derivation):
        assert verdict.holds, f"{verdict.step}: {verdict.counterexample}"


def test_a_folded_step_with_another_quantity_fails() -> None:
    derivation = derive_system(known_elsewhere())
    step = next(step for step in derivation.steps if step.rule == "folding")
    prover, e = Prover(derivation), quantity("e", B, S)
    wrong = [step.rhs.xreplace({e[n, i]: other}) for other in (x[n, i], y[n, i], e[n, i] ** 2)]
    for rhs in wrong:
        broken = type(step)(step.number, step.target, step.rule, step.lhs, rhs)
        assert not prover.prove_step(broken).holds


def test_a_folding_is_explained() -> None:
    text = " ".join(printable(normalisation(MEAN, VARIANCE, NORMALISED)).text().split())
    assert "Through a known value. By (3) this contains the value of z[n,i], which is known already." in text
    assert "Through a known value. By (1) terms cancel." in text


@pytest.mark.parametrize("name", ["rms_norm", "rbf"])
def test_no_folding_is_longer_than_what_it_folds(name: str) -> None:
    derivation = derive_system(LAYERS[name]())
    for before, after in zip(derivation.steps, derivation.steps[1:], strict=False):
        if after.rule == "folding":
            assert after.rhs.count_ops() < before.rhs.count_ops()


# Softmax, written in other ways


def of_scores(*equations: Equation) -> Derived:
    return derive_system(network((x,), (), *equations), ["x"])


def total(of: Expr) -> Expr:
    """Return the sum of ``of``, which is written with i, over the outputs."""
    return sum_over(of.xreplace({i: j}), (j, S))


place, largest, m = quantity("place", B, integer=True), quantity("largest", B), quantity("m", B)
SHIFTED = exp(x[n, i] - largest[n])
HIDDEN = exp(Piecewise((x[n, i], i <= n), (-oo, True)))
SOFTMAX = (dy[n, i] - total(dy[n, i] * y[n, i])) * y[n, i]
WAYS: dict[str, tuple[tuple[Equation, ...], Expr]] = {
    "plain": ((Equation(y[n, i], exp(x[n, i]) / total(exp(x[n, i]))),), SOFTMAX),
    "with the largest score taken out": (
        (
            Equation(place[n], arg_max(x[n, k], (k, S))),
            Equation(largest[n], x[n, place[n]]),
            Equation(y[n, i], SHIFTED / total(SHIFTED)),
        ),
        SOFTMAX,
    ),
    "hidden by a score of minus infinity": (
        (Equation(y[n, i], HIDDEN / total(HIDDEN)),),
        (Piecewise((1, i <= n), (0, True)) * dy[n, i] - total(dy[n, i] * y[n, i])) * y[n, i],
    ),
    "log softmax through a named logarithm": (
        (Equation(m[n], log(total(exp(x[n, i])))), Equation(y[n, i], x[n, i] - m[n])),
        dy[n, i] - exp(y[n, i]) * total(dy[n, i]),
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_softmax_has_its_known_form_however_it_is_written(name: str) -> None:
    equations, expected = WAYS[name]
    derivation = of_scores(*equations)
    found = rename(derivation.adjoint("x"), dict(zip(derivation.indices("x"), (n, i), strict=True)))
    assert canonical(expand(found)) == canonical(expand(expected))
    for verdict in prove(derivation):
        assert verdict.holds, f"{verdict.step}: {verdict.counterexample}"


def test_the_time_for_a_parameter_grows_as_the_number_of_its_readers() -> None:
    def seconds(steps: int) -> float:
        w, states = quantity("w", S, S), [quantity(f"h{step}", B, S) for step in range(steps + 1)]
        equations = [
            Equation(after[n, i], tanh(sum_over(before[n, j] * w[j, i], (j, S))))
            for before, after in pairwise(states)
        ]
        OUTCOMES.clear()
        begin = time.process_time()
        derive_system(network((states[0],), (w,), *equations))
        return time.process_time() - begin

    seconds(2)  # fills SymPy's caches
    assert seconds(32) < 16 * max(seconds(8), 0.05)
