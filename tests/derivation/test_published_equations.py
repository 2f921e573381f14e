"""The backward equations of a published derivation by hand come out of the engine.

The rows are those of Wesselink et al., Batch Matrix-form Equations and Implementation of Multilayer
Perceptrons, arXiv 2511.11918 (2025), in this project's arrangement: rows are samples, w[k, i] leads from
unit k to unit i, and their sum over the batch is kept.  Each equation has to be the engine's own up to the
letters of sums, and to hold; what is wrong in the published tests has to be refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from sympy import Expr, KroneckerDelta, Piecewise, cos, exp, factor, log, sin, sqrt, tanh

from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.equations.indices import canonical, rename
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import (
    ONE,
    ZERO,
    Equation,
    EquationSystem,
    Fact,
    indices_of,
    quantity,
    size,
    sum_over,
)
from symbackprop.proof.prover import prove_step
from tests.layers import EPSILON, LAYERS, i, j, k, n, network
from tests.zoo import sigmoid

N, D, K = size("N"), size("D"), size("K")  # samples, units before, units
x, w, b, r = quantity("x", N, D), quantity("w", D, K), quantity("b", K), quantity("r", D, K)
s, y, t, p = (quantity(name, N, K) for name in "sytp")
ds, dy, C = quantity("ds", N, K), quantity("dy", N, K), quantity("C", N, K)
al, tl, ar, tr = (quantity(name) for name in ("al", "tl", "ar", "tr"))

LINEAR = Equation(s[n, i], sum_over(x[n, k] * w[k, i], (k, D)) + b[i])


def over_samples(body: Expr) -> Expr:
    return sum_over(body, (n, N))


def over_outputs(body: Expr) -> Expr:
    """Return the sum over the outputs of ``body``, which is written with j."""
    return sum_over(body, (j, K))


def layer(function: Expr, *parameters: Any) -> EquationSystem:
    """Return a dense layer with the activation ``function`` of s, under a free cotangent."""
    return network((x,), (w, b, *parameters), LINEAR, Equation(y[n, i], function))


def loss(error: Expr, *facts: Fact, output: Expr | None = None) -> EquationSystem:
    """Return a loss of outputs y and targets t; with ``output`` of the probabilities p that it makes of y."""
    equations = [] if output is None else [Equation(p[n, i], output)]
    found = network((y, t), (), *equations, loss=error)
    return EquationSystem(found.equations, found.quantities, (), found.inputs, facts=facts)


SOFTMAX_OF_S = exp(s[n, i]) / over_outputs(exp(s[n, j]))
SOFTMAX_OF_Y = exp(y[n, i]) / over_outputs(exp(y[n, j]))
SRELU = Piecewise(
    (tl.symbol + al.symbol * (s[n, i] - tl.symbol), s[n, i] <= tl.symbol),
    (tr.symbol + ar.symbol * (s[n, i] - tr.symbol), s[n, i] >= tr.symbol),
    (s[n, i], True),
)
LOW, HIGH = s[n, i] <= tl.symbol, s[n, i] >= tr.symbol
LOG_LIKELIHOOD = sum_over(t[n, i] * log(p[n, i]), (n, N), (i, K))

SYSTEMS: dict[str, Any] = {
    "linear": lambda: network((x,), (w, b), LINEAR),
    "tanh": lambda: layer(tanh(s[n, i])),
    "sine": lambda: layer(sin(s[n, i])),
    "relu": lambda: layer(Piecewise((s[n, i], s[n, i] > 0), (0, True))),
    "sigmoid": lambda: layer(sigmoid(s[n, i])),
    "srelu": lambda: layer(SRELU, al, tl, ar, tr),
    "softmax": lambda: layer(SOFTMAX_OF_S),
    "log softmax": lambda: layer(s[n, i] - log(over_outputs(exp(s[n, j])))),
    "batch norm": LAYERS["batch_norm_without_epsilon"],
    "batch norm with epsilon": LAYERS["batch_norm"],
    "weight mask": lambda: network(
        (x, r), (w, b), Equation(s[n, i], sum_over(x[n, k] * (w[k, i] * r[k, i]), (k, D)) + b[i])
    ),
    "squared error": lambda: loss(sum_over((y[n, i] - t[n, i]) ** 2, (n, N), (i, K))),
    "cross entropy": lambda: loss(-sum_over(t[n, i] * log(y[n, i]), (n, N), (i, K))),
    "softmax cross entropy": lambda: loss(-LOG_LIKELIHOOD, output=SOFTMAX_OF_Y),
    "one-hot": lambda: loss(-LOG_LIKELIHOOD, Fact(t[n, i], i, ONE), output=SOFTMAX_OF_Y),
    "logistic": lambda: loss(-LOG_LIKELIHOOD, output=sigmoid(y[n, i])),
    "binary": lambda: loss(
        -LOG_LIKELIHOOD - sum_over((1 - t[n, i]) * log(1 - p[n, i]), (n, N), (i, K)),
        output=sigmoid(y[n, i]),
    ),
    "likelihood": lambda: loss(-over_samples(log(over_outputs(y[n, j] * t[n, j])))),
}  # fmt: skip


@cache
def derived(name: str) -> Derived:
    system = SYSTEMS[name]()
    real = [q for q in system.quantities if q not in system.definitions]
    return derive_system(system, real)


@dataclass(frozen=True)
class ResultRow:
    """One published equation: the derivative of the loss for ``of``, or of ``output`` for it."""

    system: str
    of: Expr
    equation: Expr
    output: Expr | None = None
    rule: str | None = None

    @property
    def step(self) -> Step:
        """The engine's step about it, with the letters of the row."""
        derivation = derived(self.system)
        of = str(getattr(self.of, "base", self.of))
        if self.output is None:
            return derivation.by_number[derivation.results[of]]
        return next(
            each
            for each in reversed(derivation.steps)
            if each.target == of and each.lhs.has(self.output.base.label) and each.lhs.is_Derivative
        )

    @property
    def derived(self) -> Expr:
        """The engine's equation, in the letters of the row."""
        names = (
            dict(zip(self._free(self.step.lhs), self._free(self.output), strict=False)) if self.output else {}
        )
        target = self.step.lhs.variables[0] if self.step.lhs.is_Derivative else self.step.lhs
        return rename(
            self.step.rhs, {**names, **dict(zip(indices_of(target), indices_of(self.of), strict=True))}
        )

    @staticmethod
    def _free(component: Expr) -> tuple[Expr, ...]:
        return indices_of(component.expr if component.is_Derivative else component)

    @property
    def claim(self) -> Step:
        """The published equation as a step in the place of the engine's."""
        target = self.step.lhs.variables[0] if self.step.lhs.is_Derivative else self.step.lhs
        back = dict(zip(indices_of(self.of), indices_of(target), strict=True))
        if self.output:
            back |= dict(zip(indices_of(self.output), self._free(self.step.lhs), strict=True))
        step = self.step
        return Step(step.number, step.target, self.rule or step.rule, step.lhs, rename(self.equation, back))


def dense(system: str, adjoint: Expr) -> dict[str, ResultRow]:
    """Return the rows of a dense layer, whose pre-activation has that adjoint."""
    return {
        f"{system}: w": ResultRow(system, w[k, i], over_samples(ds[n, i] * x[n, k])),
        f"{system}: b": ResultRow(system, b[i], over_samples(ds[n, i])),
        f"{system}: x": ResultRow(system, x[n, k], sum_over(ds[n, i] * w[k, i], (i, K))),
        f"{system}: s": ResultRow(system, s[n, i], adjoint),
    }


_NORM = LAYERS["batch_norm"]()
xb, z, gamma, beta, v = (_NORM.quantities[name] for name in ("x", "z", "gamma", "beta", "v"))
BATCH, FEATURES = z.shape
dyb, dz = quantity("dy", BATCH, FEATURES), quantity("dz", BATCH, FEATURES)


def batch_norm(system: str, variance: Expr) -> dict[str, ResultRow]:
    """Return the rows of batch norm; ``variance`` is what stands under the root."""
    columns = [sum_over(dz[j, i], (j, BATCH)), sum_over(z[j, i] * dz[j, i], (j, BATCH))]
    return {
        f"{system}: z": ResultRow(system, z[n, i], gamma[i] * dyb[n, i]),
        f"{system}: beta": ResultRow(system, beta[i], sum_over(dyb[n, i], (n, BATCH))),
        f"{system}: gamma": ResultRow(system, gamma[i], sum_over(dyb[n, i] * z[n, i], (n, BATCH))),
        f"{system}: x": ResultRow(
            system,
            xb[n, i],
            (BATCH * dz[n, i] - columns[0] - z[n, i] * columns[1]) / (BATCH * sqrt(variance)),
        ),
    }


SUM_OF_DY = over_outputs(dy[n, j])
ROWS: dict[str, ResultRow] = {
    **dense("linear", C[n, i]),
    **dense("tanh", C[n, i] * (1 - y[n, i] ** 2)),
    **dense("sine", C[n, i] * cos(s[n, i])),
    **dense("relu", C[n, i] * Piecewise((1, s[n, i] > 0), (0, True))),
    **dense("sigmoid", C[n, i] * y[n, i] * (1 - y[n, i])),
    **dense("srelu", dy[n, i] * Piecewise((al.symbol, LOW), (ar.symbol, HIGH), (1, True))),
    **dense("softmax", y[n, i] * (dy[n, i] - over_outputs(dy[n, j] * y[n, j]))),
    **dense("log softmax", dy[n, i] - SOFTMAX_OF_S * SUM_OF_DY),
    **batch_norm("batch norm", v[i]),
    **batch_norm("batch norm with epsilon", v[i] + EPSILON),
    "weight mask: w": ResultRow("weight mask", w[k, i], over_samples(x[n, k] * ds[n, i]) * r[k, i]),
    "weight mask: b": ResultRow("weight mask", b[i], over_samples(ds[n, i])),
    "weight mask: x": ResultRow("weight mask", x[n, k], sum_over(ds[n, i] * (w[k, i] * r[k, i]), (i, K))),
    "squared error": ResultRow("squared error", y[n, i], 2 * (y[n, i] - t[n, i])),
    "cross entropy": ResultRow("cross entropy", y[n, i], -t[n, i] / y[n, i]),
    "softmax cross entropy": ResultRow(
        "softmax cross entropy", y[n, i], p[n, i] * over_outputs(t[n, j]) - t[n, i]
    ),
    "softmax cross entropy, rows that sum to one": ResultRow("one-hot", y[n, i], p[n, i] - t[n, i]),
    "logistic cross entropy": ResultRow("logistic", y[n, i], t[n, i] * p[n, i] - t[n, i]),
    "binary cross entropy": ResultRow("binary", y[n, i], p[n, i] - t[n, i]),
    "negative log likelihood": ResultRow("likelihood", y[n, i], -t[n, i] / over_outputs(y[n, j] * t[n, j])),
    "Jacobian of softmax": ResultRow(
        "softmax", s[n, k], y[n, i] * KroneckerDelta(i, k) - y[n, i] * y[n, k], output=y[n, i]
    ),
    "Jacobian of log softmax": ResultRow(
        "log softmax", s[n, k], KroneckerDelta(i, k) - rename(SOFTMAX_OF_S, {i: k}), output=y[n, i]
    ),
}  # fmt: skip

PIECES = {"al": (s[n, i] - tl.symbol, LOW), "tl": (1 - al.symbol, LOW)}
PIECES |= {"ar": (s[n, i] - tr.symbol, HIGH), "tr": (1 - ar.symbol, HIGH)}
for name, (slope, where) in PIECES.items():
    branches = ((0, LOW),) if where is HIGH else ()  # where tl = tr, the first piece counts
    body = Piecewise(*branches, (dy[n, i] * slope, where), (0, True))
    ROWS[f"srelu: {name}"] = ResultRow("srelu", quantity(name).symbol, sum_over(body, (n, N), (i, K)))


def form(expression: Expr) -> Expr:
    """Return what is the same for two ways to order, to bracket and to name the letters of sums."""
    return canonical(factor(canonical(expression)))


@pytest.mark.parametrize("name", ROWS)
def test_a_published_equation_holds(name: str) -> None:
    verdict = prove_step(derived(ROWS[name].system), ROWS[name].claim)
    assert verdict.holds, verdict.counterexample


@pytest.mark.parametrize("name", ROWS)
def test_a_published_equation_is_what_the_engine_derives(name: str) -> None:
    row = ROWS[name]
    assert form(row.derived) == form(row.equation), f"{row.derived} is not {row.equation}"


# --------------------------------------------------------------- what is wrong, or right for something else


COLUMNS = sum_over(dyb[j, i], (j, BATCH)), sum_over(dyb[j, i] * z[j, i], (j, BATCH))
INNER = BATCH * dyb[n, i] - COLUMNS[0] - z[n, i] * COLUMNS[1]
MIXED = sum_over(rename(INNER, {i: k}), (k, FEATURES))
OPENED = "substitution"  # through dy, where the engine's equation reads dz = gamma dy
WRONG: dict[str, ResultRow] = {
    "batch norm after Yeh, as transcribed": ResultRow(
        "batch norm", xb[n, i], MIXED * gamma[i] * v[i] / BATCH, rule=OPENED
    ),
    "with the variance in place of its root": ResultRow(
        "batch norm", xb[n, i], INNER * gamma[i] * v[i] / BATCH, rule=OPENED
    ),
    "softmax - t where rows need not sum to one": ResultRow(
        "softmax cross entropy", y[n, i], p[n, i] - t[n, i]
    ),
    "the binary cross entropy's for the logistic one": ResultRow("logistic", y[n, i], p[n, i] - t[n, i]),
    "the logistic one's for the binary cross entropy": ResultRow(
        "binary", y[n, i], t[n, i] * p[n, i] - t[n, i]
    ),
    "relu with slope 1 on both sides": ResultRow("relu", s[n, i], C[n, i]),
    "al without the cotangent": ResultRow(
        "srelu", al.symbol, sum_over(Piecewise((s[n, i] - tl.symbol, LOW), (0, True)), (n, N), (i, K))
    ),
    "log softmax with one cotangent": ResultRow("log softmax", s[n, i], dy[n, i] * (1 - SOFTMAX_OF_S)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_equation_is_neither_derived_nor_proved(name: str) -> None:
    row = WRONG[name]
    assert form(row.derived) != form(row.equation)
    verdict = prove_step(derived(row.system), row.claim)
    assert not verdict.holds
    assert verdict.counterexample is not None
    assert "the step gives" in verdict.counterexample


def test_batch_norm_after_yeh_as_it_was_meant() -> None:
    meant = ResultRow("batch norm", xb[n, i], gamma[i] / (BATCH * sqrt(v[i])) * INNER, rule=OPENED)
    assert prove_step(derived("batch norm"), meant.claim).holds


def test_rows_that_sum_to_one_are_assumed_and_said_to_be() -> None:
    verdict = prove_step(derived("one-hot"), ROWS["softmax cross entropy, rows that sum to one"].claim)
    assert verdict.assumes == ("Σ_i t[n, i] = 1",)


@pytest.mark.parametrize(
    ("below", "slope"), [(0, 0), (s[n, i] / 10, ONE / 10), (3 * s[n, i] / 2, ONE * 3 / 2)]
)
def test_the_slope_at_a_kink_is_that_of_the_branch_taken(below: Expr, slope: Expr) -> None:
    # The published library takes 1 at 0, for relu and for leaky relu.
    derivation = derive_system(layer(Piecewise((s[n, i], s[n, i] > 0), (below, True))), ["x"])
    adjoint = derivation.adjoint("s")
    assert (adjoint / C[n, i]).xreplace({s[n, i]: ZERO}) == slope
