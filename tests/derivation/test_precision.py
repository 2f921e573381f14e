"""Stable forms: wherever automatic differentiation of the same text gives a number, so does the module."""

from __future__ import annotations

import re
import warnings
from itertools import product
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sympy import Expr, Rational, Symbol, exp, log, tanh

import symbackprop as sb
from symbackprop.arrays.evaluate import values_of
from symbackprop.derivation.calculus.exponentials import absorbed, decided_by_sign
from symbackprop.derivation.stable.forms import Pointwise, equal_forms
from symbackprop.derivation.stable.measure import best_form
from symbackprop.proof.prover import prove
from tests.automatic import differentiate

s, t, x = (Symbol(name, real=True) for name in "stx")

POINTS = (0.0, 0.3, -0.3, 1.0, -1.0, 2.5, -5.0, 10.0, -20.0, 40.0, -40.0, 87.0, -87.0, 100.0, -100.0, 300.0,
          -700.0, 1000.0, -1000.0, 1e5)  # fmt: skip
TOLERANCES = {np.float32: 3e-4, np.float64: 1e-9}


def truth(text: str, names: dict[str, float]) -> tuple[float, float] | None:
    """Return value and slope to many digits, or None where there are none."""
    found = []
    for digits in (60, 130, 700):
        with mpmath.workdps(digits):
            try:
                value, gradient = differentiate(text, names)
                found.append((float(value), float(mpmath.mpf(gradient["s"]))))
            except (ArithmeticError, ValueError, TypeError, AttributeError):
                return None
        if len(found) > 1 and np.allclose(found[-1], found[-2], rtol=1e-15, atol=1e-18):
            return found[-1]
    return found[-1]


def is_right(found: float, exact: float, dtype: Any, slack: float = 1) -> bool:
    return bool(np.isfinite(found)) and abs(found - exact) <= slack * TOLERANCES[dtype] * max(1.0, abs(exact))


def required(
    text: str, dtype: Any, others: dict[str, float] | None = None
) -> list[tuple[float, tuple[float, float]]]:
    """Return the points at which automatic differentiation in ``dtype`` is right, with the truth."""
    found = []
    for at in POINTS:
        names = {"s": float(dtype(at)), **(others or {})}
        value, gradient = differentiate(text, names, dtype)
        pair = float(value), float(gradient["s"])
        exact = truth(text, names) if np.all(np.isfinite(pair)) else None
        if exact is not None and all(map(is_right, pair, exact, (dtype, dtype))):
            found.append((at, exact))
    return found


def error_failures(activation: str, error: str) -> list[str]:
    """Return where value or gradient of a loss is wrong although automatic differentiation is right.

    The targets are 0, 1 and 0.3.
    """
    whole = re.sub(r"\bx\b", f"({ACTIVATIONS[activation]})", error)
    module = sb.load(sb.Network(f"1-1:{activation}", loss=error))
    found = []
    for dtype, target in product(TOLERANCES, (0.0, 1.0, 0.3)):
        parameters = {"w1": np.ones((1, 1), dtype), "b1": np.zeros(1, dtype)}
        rounded = float(dtype(target))
        for at, pair in required(whole, dtype, {"t": rounded}):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                value, gradients = module.gradients(parameters, [[at]], [[rounded]])
            own = value, float(gradients["b1"][0])
            if not all(is_right(mine, exact, dtype) for mine, exact in zip(own, pair, strict=True)):
                found.append(f"{dtype.__name__} at s = {at}, t = {target}: {own}, not {pair}")
    return found


ACTIVATIONS = {
    "exp": "exp(s)",
    "sigmoid": "sigmoid(s)",
    "silu": "s*sigmoid(s)",
    "tanh": "tanh(s)",
}


@pytest.mark.parametrize(
    ("activation", "error"),
    [
        ("exp", "(t*x)**2"),
        ("exp", "(atan(x)/abs(x))**2"),
        ("sigmoid", "log(where(x > t, t - 2, sqrt(x))) + 2"),
        ("silu", "log(x - cosh(t))"),
        ("silu", "t*tanh(x)/((x + t)*(x + x))"),
        ("tanh", "sigmoid(atan(x + x)/((x - 1)*t))"),
    ],
)
def test_an_error_is_right_where_automatic_differentiation_is(activation: str, error: str) -> None:
    assert error_failures(activation, error) == []


def failures(text: str, slack: float = 1) -> list[str]:
    """Return where the generated module is wrong although automatic differentiation is right."""
    module = sb.load(sb.Network(f"1-1:({text})", loss="x"))
    found = []
    for dtype in TOLERANCES:
        parameters = {"w1": np.ones((1, 1), dtype), "b1": np.zeros(1, dtype)}
        for at, (value, slope) in required(text, dtype):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                own = float(module.forward(parameters, [[at]])[0, 0])
                _, gradients = module.gradients(parameters, [[at]], [[0.0]])
            pairs = ((own, value), (float(gradients["b1"][0]), slope))
            if not all(is_right(*pair, dtype, slack) for pair in pairs):
                found.append(f"{dtype.__name__} at {at}: {pairs}")
    return found


DELICATE = [
    "s/(1 + exp(-s))",
    "s*sigmoid(s)",
    "exp(s)/(1 + exp(s))",
    "log(1 + exp(s))",
    "s*tanh(log(1 + exp(s)))",
    "s - tanh(s)",
    "(exp(s) - exp(-s))/(exp(s) + exp(-s))",
    "s**4/(1 + s**4)",
    "s/sqrt(1 + s**2)",
    "s**3/sinh(s)",
    "tanh(s/3)/(s + sinh(s))",
    "erf(sigmoid(s))",
    "sigmoid(s*s*sigmoid(s))",
    "(2 + s)**3/(9 - s)*(cosh(2*s)*(1/s))",
    "log(cosh(s))",
    "tanh(asinh(exp(s)))",
    "abs(log(s))*s",
    "where(s > 1, s*log(s), 1/(1 + exp(-3*s)))",
    "s*(1 + erf(s/sqrt(2)))/2",
    "(tanh(s*sinh(s)))**3",
    "Min(tanh(sqrt(sin(s))), sinh(where(s > 1, s, s))*(atan(s) - s*s))",
    "s/where(s > 1, 2, s)",
    "sinh(s)/tanh(s)",
    "exp(s + sqrt(s)) - sqrt(Min(sinh(s), s - s))",
]


LONG = [text for text in DELICATE if text.startswith(("Min(tanh", "tanh(s/3)"))]
"""The formulas whose comparison takes longer than all others."""


@pytest.mark.parametrize(
    "text", [pytest.param(text, marks=pytest.mark.slow) if text in LONG else text for text in DELICATE]
)
def test_a_delicate_formula_is_right_where_automatic_differentiation_is(text: str) -> None:
    assert failures(text) == []


def test_the_comparison_catches_a_form_that_overflows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "symbackprop.derivation.stable.choose.best_form", lambda problem, others=(): problem.expression
    )
    assert failures("s*sigmoid(s)")


LEAVES = st.sampled_from(["s", "s", "s", "1", "2", "0.5"])
FUNCTIONS = ["exp", "tanh", "sigmoid", "sin", "atan", "erf", "cosh", "sinh", "asinh", "cos", "sqrt", "log"]
FORMULAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds("{}({})".format, st.sampled_from(FUNCTIONS), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("({})**{}".format, inner, st.sampled_from("23")),
        st.builds("where(s > {}, {}, {})".format, st.sampled_from("01"), inner, inner),
    ),
    max_leaves=5,
)
RANDOM = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)


def check_random_formula(text: str) -> None:
    try:
        network = sb.Network(f"1-1:({text})", loss="x")
    except sb.SpecificationError:
        return  # a constant, or a text without a real value
    derivation = sb.derive(network)
    wrong = [v for v in prove(derivation) if not v.holds and v.counterexample != _NO_POINT]
    assert not wrong, wrong
    # Large terms that cancel lose digits in another order than those of the reference.
    assert failures(text, slack=30) == []


_NO_POINT = "no random point lies in the domain of the equations"


@settings(RANDOM, max_examples=15)
@given(FORMULAS)
def test_random_formulas_are_proved_and_finite(text: str) -> None:
    check_random_formula(text)


@pytest.mark.slow
@settings(RANDOM, max_examples=400)
@given(FORMULAS)
def test_many_random_formulas_are_proved_and_finite(text: str) -> None:
    check_random_formula(text)


# ---------------------------------------------------------------- choosing a form


def test_a_form_that_is_right_everywhere_stays() -> None:
    for expression in (s**2, tanh(s), exp(-(s**2)), 1 / (1 + exp(-s)), s * (1 - s)):
        assert best_form(Pointwise(expression)) == expression


def test_a_wrong_form_is_never_chosen() -> None:
    slope = exp(s) / (1 + exp(s))
    assert best_form(Pointwise(slope), [1 / (1 + exp(s)), s * 0]) == 1 / (1 + exp(-s))


def test_a_wrong_form_that_seldom_fails_is_not_chosen() -> None:
    """That of a normal density for its width, which fails at small widths, and a part of it."""
    dy, y, v, t, m, p = (Symbol(f"_{n}", real=True) for n in range(6))
    density = p * exp(-((t - m) ** 2) / (2 * v**2))
    plain = density * ((t - m) ** 2 - v**2) / v**4
    parts = [density * (t - m) ** 2 / v**4 - density / v**2, plain]
    found = best_form(Pointwise(dy * plain, ((dy, -1 / y),)), parts)
    values = dict(zip((dy, v, t, m, p), (-2.0, 1.3, 0.7, 1.1, 2.0), strict=True))
    assert float(found.subs(values)) == pytest.approx(float((dy * plain).subs(values)))


def test_a_form_may_read_what_is_computed_already() -> None:
    swish = s / (1 + exp(-s))
    found = best_form(Pointwise(swish.diff(s), ((x, swish),)), [swish.diff(s)])
    assert x in found.free_symbols
    numbers = np.array([-1000.0, -88.0, 0.0, 88.0, 1000.0, 1e8], np.float32)
    with np.errstate(all="ignore"):
        value = numbers / (1 + np.exp(-numbers))
    slopes = values_of(found, {"s": numbers, "x": value})
    np.testing.assert_allclose(slopes, [0, 0, 0.5, 1, 1, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (exp(s) / (1 + exp(s)), 1 / (1 + exp(-s))),
        (exp(-s) / (1 + exp(-s)) ** 2, 1 / ((1 + exp(s)) * (1 + exp(-s)))),
        (s * exp(s / 2) / (1 + exp(s)), s / (exp(s / 2) + exp(-s / 2))),
        (exp(s) / (1 + exp(2 * s)), 1 / (exp(s) + exp(-s))),
        (exp(-s) / (1 + exp(s)), exp(-s) / (1 + exp(s))),
    ],
)
def test_exponentials_are_absorbed_below_the_bar(expression: Expr, expected: Expr) -> None:
    assert absorbed(expression) == expected


def test_every_form_is_equal() -> None:
    problem = Pointwise((x - t) / x * exp(s) / (1 + exp(s)), ((x, log(1 + exp(s))),))
    plain = problem.written_out(problem.expression)
    at = {s: Rational(7, 10), t: Rational(1, 5)}
    for form in (form for group in equal_forms(problem) for form in group):
        assert abs((problem.written_out(form) - plain).subs(at).evalf(30)) < 1e-25, form


def test_cases_by_sign_have_no_growing_exponential() -> None:
    found = decided_by_sign((exp(2 * s) + s) / (1 + exp(2 * s)))
    assert found is not None
    (first, condition), (second, _) = found.args
    assert condition == (s > 0)
    assert not first.has(exp(2 * s))
    assert second.has(exp(2 * s))


@pytest.mark.parametrize("name", ["sigmoid", "softplus", "mish", "silu", "gelu", "logsigmoid"])
def test_no_warning_at_the_extremes(name: str) -> None:
    module = sb.load(sb.Network(f"2-2:{name}-2:{name}", loss="squared_error"))
    for dtype in TOLERANCES:
        parameters = module.initialize(0, dtype)
        data = np.array([[1000.0, -1000.0], [1e30, -1e30]]), np.zeros((2, 2))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            module.forward(parameters, data[0])
            module.gradients(parameters, *data)
            module.Trainer(parameters, batch_size=2).step(*data)


def test_a_logarithm_is_opened_in_an_activation_only_where_that_is_better() -> None:
    assert failures("log(sigmoid(s)*asinh(1)) - cos(sinh(1))") == []


@pytest.mark.parametrize("label", [0.0, 1.0])
@pytest.mark.parametrize("score", [-700.0, -30.0, -3.0, 0.0, 0.5, 30.0, 700.0])
def test_the_error_of_a_label_keeps_its_digits(score: float, label: float) -> None:
    """log(1 + exp(s)) - s t is exp(-30) at s = 30 for the label 1, of which no digit is left in 30 - 30."""
    module: Any = sb.load(sb.Network("1-1", bias=False))
    found = module.loss({"w1": np.array([[1.0]])}, np.array([[score]]), np.array([[label]]))
    with mpmath.workdps(400):
        exact = float(mpmath.log(1 + mpmath.exp(score)) - mpmath.mpf(score) * label)
    assert found == pytest.approx(exact, rel=1e-15, abs=0)
