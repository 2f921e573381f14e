"""Printed formulas: exact textbook forms, brackets checked by reading them back, whole documents."""

from __future__ import annotations

import math
import operator
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path

import jinja2.nodes
import numpy as np
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError, meta
from sympy import (
    Abs,
    Add,
    And,
    Derivative,
    Eq,
    Expr,
    Float,
    Function,
    Heaviside,
    Integer,
    KroneckerDelta,
    Max,
    Min,
    Mul,
    Or,
    Piecewise,
    Pow,
    Rational,
    Sum,
    Symbol,
    erf,
    exp,
    log,
    nan,
    pi,
    sign,
    sqrt,
    tanh,
    zoo,
)

from symbackprop import Network, derive
from symbackprop.derivation.calculus.cancelling import struck_product
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.document.blocks import Component, EquationBlock, Group, ResultRow, StepBlock
from symbackprop.document.formats import latex_width
from symbackprop.document.language.catalogues import CATALOGUES
from symbackprop.document.language.english import ENGLISH
from symbackprop.document.printable import TEXT_FORMATS
from symbackprop.document.render import document_context, format_named, render
from symbackprop.document.sentences import Sentences
from symbackprop.equations.naming import split_name
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
from symbackprop.library.initializers import INITIALIZERS
from symbackprop.network.notation.layers import with_roles
from symbackprop.printing.latex import LatexPrinter, escape_latex, latex
from symbackprop.printing.notation import Notation, notation_for, notation_of_system
from symbackprop.printing.templating import environment, template_directory
from symbackprop.printing.text import TextPrinter, text
from tests.conftest import MARKUP, ROOT
from tests.plain_loops import evaluate
from tests.zoo import ZOO

i, j, k, n, h, u = (index(letter) for letter in "ijknhu")
n0, n1, n2, N = size("n0"), size("n1"), size("n2"), size("N")
x0, w1, b1 = quantity("x0", n0), quantity("w1", n0, n1), quantity("b1", n1)
s1, x1 = quantity("s1", n1), quantity("x1", n1)
w2, b2 = quantity("w2", n1, n2), quantity("b2", n2)
s2, x2, t = quantity("s2", n2), quantity("x2", n2), quantity("t", n2)
ds1, ds2 = quantity("ds1", n1), quantity("ds2", n2)
E = quantity("E")
l1, l2, alpha = Symbol("l1", real=True), Symbol("l2", real=True), Symbol("alpha", real=True)


def textbook_system(l2_terms: bool = False) -> EquationSystem:
    """Return the net of two sigmoid layers with binary cross-entropy, with the letters of a textbook."""
    error = -sum_over(t[i] * log(x2[i]) + (1 - t[i]) * log(1 - x2[i]), (i, n2))
    if l2_terms:
        error += l2 / 2 * sum_over(w1[k, j] ** 2, (k, n0), (j, n1))
        error += l2 / 2 * sum_over(w2[j, i] ** 2, (j, n1), (i, n2))
    return with_roles(
        EquationSystem(
            equations=(
                Equation(s1[j], sum_over(x0[k] * w1[k, j], (k, n0)) + b1[j]),
                Equation(x1[j], 1 / (1 + exp(-s1[j]))),
                Equation(s2[i], sum_over(x1[j] * w2[j, i], (j, n1)) + b2[i]),
                Equation(x2[i], 1 / (1 + exp(-s2[i]))),
                Equation(E.symbol, error),
            ),
            quantities={q.name: q for q in (x0, w1, b1, s1, x1, w2, b2, s2, x2, t, E)},
            parameters=("w1", "b1", "w2", "b2"),
            inputs=("x0", "t"),
        )
    )


SLOPE = (x2[i] - t[i]) / (x2[i] * (1 - x2[i]))
STEPS = (
    Step(6, "x2", "local derivative", Derivative(E.symbol, x2[i]), -t[i] / x2[i] + (1 - t[i]) / (1 - x2[i])),
    Step(7, "x2", "simplification", Derivative(E.symbol, x2[i]), SLOPE),
    Step(8, "s2", "chain rule", ds2[i], Derivative(E.symbol, x2[i]) * Derivative(x2[i], s2[i])),
    Step(9, "s2", "local derivative", Derivative(x2[i], s2[i]), exp(-s2[i]) / (1 + exp(-s2[i])) ** 2),
    Step(10, "s2", "closed form", Derivative(x2[i], s2[i]), x2[i] * (1 - x2[i])),
    Step(11, "s2", "product", ds2[i], Derivative(E.symbol, x2[i]) * x2[i] * (1 - x2[i])),
    Step(12, "s2", "cancellation", ds2[i], x2[i] - t[i]),
    Step(13, "w2", "chain rule", Derivative(E.symbol, w2[j, i]), ds2[i] * Derivative(s2[i], w2[j, i])),
    Step(14, "w2", "local derivative", Derivative(s2[i], w2[j, i]), x1[j]),
    Step(15, "w2", "contraction", Derivative(E.symbol, w2[j, i]), ds2[i] * x1[j]),
    Step(16, "w2", "substitution", Derivative(E.symbol, w2[j, i]), (x2[i] - t[i]) * x1[j]),
    Step(
        17, "s1", "chain rule", ds1[j],
        sum_over(ds2[i] * Derivative(s2[i], x1[j]), (i, n2)) * Derivative(x1[j], s1[j]),
    ),
    Step(18, "s1", "local derivative", Derivative(s2[i], x1[j]), w2[j, i]),
    Step(19, "s1", "contraction", ds1[j], sum_over(ds2[i] * w2[j, i], (i, n2)) * x1[j] * (1 - x1[j])),
    Step(20, "s1", "a rule nobody knows", ds1[j], sum_over(ds2[i] * w2[j, i], (i, n2)) * x1[j] * (1 - x1[j])),
)  # fmt: skip


def textbook_derivation() -> Derived:
    """Return a derivation written by hand: what is printed must not depend on who derived it."""
    stable = Step(21, "E", "stable form", E.symbol, sum_over(log(1 + exp(s2[i])) - t[i] * s2[i], (i, n2)))
    return Derived(
        system=textbook_system(),
        steps=STEPS,
        results={"x2": 7, "s2": 12, "w2": 15, "s1": 19},
        adjoints={"ds1": "s1", "ds2": "s2"},
        labels={"s1": 1, "x1": 2, "s2": 3, "x2": 4, "E": 5},
        stable=(stable,),
    )


@pytest.fixture(scope="module")
def derivation() -> Derived:
    return textbook_derivation()


TEXTBOOK = notation_for(textbook_derivation())
LAYERED = notation_for(textbook_derivation(), "layered")

# ----------------------------------------------------------------------------------- exact strings

EXACT = {
    "forward": (
        sum_over(x0[k] * w1[k, j], (k, n0)) + b1[j],
        "Σ_k x0[k]·w1[k,j] + b1[j]",
        r"\sum_{k} x_{k} w_{kj} + b_{j}",
    ),
    "sigmoid": (1 / (1 + exp(-s1[j])), "1/(1 + exp(-s1[j]))", r"\frac{1}{1 + e^{-s_{j}}}"),
    "named adjoint": (ds2[i], "∂E/∂s2[i]", r"\frac{\partial E}{\partial s_{i}}"),
    "derivative of E": (Derivative(E.symbol, s2[i]), "∂E/∂s2[i]", r"\frac{\partial E}{\partial s_{i}}"),
    "local derivative": (
        Derivative(x2[i], s2[i]),
        "∂x2[i]/∂s2[i]",
        r"\frac{\partial x_{i}}{\partial s_{i}}",
    ),
    "derivative of an expression": (
        Derivative(x2[i] ** 2, x2[i]),
        "∂(x2[i]²)/∂x2[i]",
        r"\frac{\partial}{\partial x_{i}} \left(x_{i}^{2}\right)",
    ),
    "chain rule": (
        STEPS[2].rhs,
        "∂E/∂x2[i]·∂x2[i]/∂s2[i]",
        r"\frac{\partial E}{\partial x_{i}} \cdot \frac{\partial x_{i}}{\partial s_{i}}",
    ),
    "fractions": (
        STEPS[0].rhs,
        "-t[i]/x2[i] + (1 - t[i])/(1 - x2[i])",
        r"-\frac{t_{i}}{x_{i}} + \frac{1 - t_{i}}{1 - x_{i}}",
    ),
    "one fraction": (
        SLOPE,
        "(x2[i] - t[i])/(x2[i]·(1 - x2[i]))",
        r"\frac{x_{i} - t_{i}}{x_{i} \left(1 - x_{i}\right)}",
    ),
    "closed form": (x2[i] * (1 - x2[i]), "x2[i]·(1 - x2[i])", r"x_{i} \left(1 - x_{i}\right)"),
    "difference": (x2[i] - t[i], "x2[i] - t[i]", "x_{i} - t_{i}"),
    "gradient": ((x2[i] - t[i]) * x1[j], "(x2[i] - t[i])·x1[j]", r"\left(x_{i} - t_{i}\right) x_{j}"),
    "gradient with adjoint": (
        ds1[j] * x0[k],
        "∂E/∂s1[j]·x0[k]",
        r"\frac{\partial E}{\partial s_{j}} x_{k}",
    ),
    "adjoint with a sum": (
        STEPS[-2].rhs,
        "(Σ_i ∂E/∂s2[i]·w2[j,i])·x1[j]·(1 - x1[j])",
        r"\left(\sum_{i} \frac{\partial E}{\partial s_{i}} w_{ji}\right) x_{j} \left(1 - x_{j}\right)",
    ),
    "everything written in": (
        sum_over((x2[i] - t[i]) * w2[j, i], (i, n2)) * x1[j] * (1 - x1[j]) * x0[k],
        "(Σ_i (x2[i] - t[i])·w2[j,i])·x1[j]·(1 - x1[j])·x0[k]",
        r"\left(\sum_{i} \left(x_{i} - t_{i}\right) w_{ji}\right) x_{j} \left(1 - x_{j}\right) x_{k}",
    ),
    "cross-entropy": (
        textbook_system().definitions["E"].rhs,
        "-Σ_i (t[i]·log(x2[i]) + (1 - t[i])·log(1 - x2[i]))",
        r"-\sum_{i} \left(t_{i} \log x_{i} + \left(1 - t_{i}\right) \log\left(1 - x_{i}\right)\right)",
    ),
    "a minus in every term comes out of the sum": (
        sum_over(-t[i] * log(x2[i]) - (1 - t[i]) * log(1 - x2[i]), (i, n2)),
        "-Σ_i (t[i]·log(x2[i]) + (1 - t[i])·log(1 - x2[i]))",
        r"-\sum_{i} \left(t_{i} \log x_{i} + \left(1 - t_{i}\right) \log\left(1 - x_{i}\right)\right)",
    ),
    "squared error": (
        sum_over((x2[i] - t[i]) ** 2, (i, n2)) / 2,
        "½·Σ_i (x2[i] - t[i])²",
        r"\frac{1}{2} \sum_{i} \left(x_{i} - t_{i}\right)^{2}",
    ),
    "penalty": (
        l2 / 2 * sum_over(w1[k, j] ** 2, (j, n1), (k, n0)),
        "(λ₂/2)·Σ_{k,j} w1[k,j]²",
        r"\frac{\lambda_{2}}{2} \sum_{k,j} w_{kj}^{2}",
    ),
    "error and penalties": (
        textbook_system(l2_terms=True).definitions["E"].rhs,
        "-Σ_i (t[i]·log(x2[i]) + (1 - t[i])·log(1 - x2[i]))"
        " + (λ₂/2)·Σ_{k,j} w1[k,j]² + (λ₂/2)·Σ_{j,i} w2[j,i]²",
        None,
    ),
    "penalty of the absolute value": (
        l1 * sign(w2[j, i]),
        "λ₁·sign(w2[j,i])",
        r"\lambda_{1} \, \mathrm{sign}\left(w_{ji}\right)",
    ),
    "regularised gradient": (
        ds1[j] * x0[k] + l2 * w1[k, j],
        "∂E/∂s1[j]·x0[k] + λ₂·w1[k,j]",
        r"\frac{\partial E}{\partial s_{j}} x_{k} + \lambda_{2} w_{kj}",
    ),
    "mean over a batch": (
        sum_over(Quantity("ds1", (N, n1))[n, j] * Quantity("x0", (N, n0))[n, k], (n, N)) / N,
        "(1/N)·Σ_n ∂E[n]/∂s1[n,j]·x0[n,k]",
        r"\frac{1}{N} \sum_{n} \frac{\partial E_{n}}{\partial s_{nj}} x_{nk}",
    ),
    "softmax": (
        exp(s2[i]) / sum_over(exp(s2[k]), (k, n2)),
        "exp(s2[i])/Σ_k exp(s2[k])",
        r"\frac{e^{s_{i}}}{\sum_{k} e^{s_{k}}}",
    ),
    "back through a softmax": (
        x2[i] * (Derivative(E.symbol, x2[i]) - sum_over(Derivative(E.symbol, x2[k]) * x2[k], (k, n2))),
        "x2[i]·(∂E/∂x2[i] - Σ_k ∂E/∂x2[k]·x2[k])",
        None,
    ),
    "slope of a softmax": (
        x2[k] * (KroneckerDelta(i, k) - x2[i]),
        "x2[k]·(δ(i,k) - x2[i])",
        r"x_{k} \left(\delta_{ik} - x_{i}\right)",
    ),
    "before the fact": (
        x2[i] * sum_over(t[k], (k, n2)) - t[i],
        "x2[i]·Σ_k t[k] - t[i]",
        r"x_{i} \sum_{k} t_{k} - t_{i}",
    ),
    "a factor behind a sum": (
        sum_over(ds2[i], (i, n2)) * x1[j],
        "(Σ_i ∂E/∂s2[i])·x1[j]",
        r"\left(\sum_{i} \frac{\partial E}{\partial s_{i}}\right) x_{j}",
    ),
    "relu": (
        Piecewise((s1[j], s1[j] > 0), (0, True)),
        "{ s1[j] if s1[j] > 0; 0 otherwise }",
        r"\begin{cases} s_{j} & \text{if } s_{j} > 0 \\ 0 & \text{otherwise} \end{cases}",
    ),
    "a choice in a product": (
        ds1[j] * Piecewise((ONE, s1[j] > 0), (Rational(1, 10), True)) * x0[k],
        "∂E/∂s1[j]·x0[k]·{ 1 if s1[j] > 0; 0.1 otherwise }",
        None,
    ),
    "guard": (
        Piecewise((x0[h + u - 1], And(h + u - 1 >= 0, h + u - 1 <= n0 - 1)), (0, True)),
        "{ x0[h+u-1] if 0 ≤ h + u - 1 < n0; 0 otherwise }",
        None,
    ),
    "or": (
        Piecewise((ONE, Or(And(i > 0, s2[i] < 1), Eq(i, k))), (0, True)),
        "{ 1 if i = k or (i > 0 and s2[i] < 1); 0 otherwise }",
        None,
    ),
    "slope of a maximum": (
        Heaviside(x2[i] - t[i]),
        "{ 1 if x2[i] > t[i]; 1/2 if x2[i] = t[i]; 0 otherwise }",
        None,
    ),
    "absolute value": (Abs(t[i] - x2[i]), "|x2[i] - t[i]|", r"\left\lvert x_{i} - t_{i} \right\rvert"),
    "extremes": (
        Max(0, Min(1, s1[j])),
        "max(0, min(1, s1[j]))",
        r"\max\left(0, \min\left(1, s_{j}\right)\right)",
    ),
    "neighbours": (Max(x0[2 * h + 1], x0[2 * h]), "max(x0[2·h], x0[2·h+1])", None),
    "hyperbolic": (1 - tanh(s1[j]) ** 2, "1 - tanh(s1[j])²", r"1 - \tanh^{2} s_{j}"),
    "logarithm of a product": (log(x1[j]) ** 2 * 3, "3·log(x1[j])²", r"3 \log^{2} x_{j}"),
    "root": (1 / sqrt(1 + s1[j] ** 2), "1/sqrt(1 + s1[j]²)", r"\frac{1}{\sqrt{1 + s_{j}^{2}}}"),
    "powers": ((x2[i] - t[i]) ** 4, "(x2[i] - t[i])^4", r"\left(x_{i} - t_{i}\right)^{4}"),
    "fractional power": (s1[j] ** Rational(3, 2), "s1[j]^(3/2)", "s_{j}^{3/2}"),
    "constants": (
        sqrt(2 / pi) * (s1[j] + Rational(44715, 10**6) * s1[j] ** 3),
        "sqrt(2)·(s1[j] + 0.044715·s1[j]³)/sqrt(π)",
        r"\frac{\sqrt{2}}{\sqrt{\pi}} \left(s_{j} + 0.044715 s_{j}^{3}\right)",
    ),
    "error function": (erf(s1[j]), "erf(s1[j])", r"\mathrm{erf}\left(s_{j}\right)"),
    "greek": (alpha * (exp(s1[j]) - 1), "alpha·(exp(s1[j]) - 1)", r"\alpha \left(e^{s_{j}} - 1\right)"),
    "small number": (Float("1e-5") * s1[j], "1e-5·s1[j]", r"10^{-5} s_{j}"),
    "hard sigmoid": (s1[j] / 6 + Rational(1, 2), "1/2 + s1[j]/6", r"\frac{1}{2} + \frac{s_{j}}{6}"),
    "half a square": (
        (x2[i] - t[i]) ** 2 / 2,
        "(x2[i] - t[i])²/2",
        r"\frac{1}{2} \left(x_{i} - t_{i}\right)^{2}",
    ),
    "numbers": (2 * 3 ** n0, "2·3^n0", r"2 \cdot 3^{n_{0}}"),
    "unknown function": (Function("wave")(s1[j], 2), "wave(s1[j], 2)", r"\mathrm{wave}\left(s_{j}, 2\right)"),
    "a size named like a quantity": (size("E") - 1, "E - 1", "E - 1"),
    "size": (n1 - 1, "n1 - 1", "n_{1} - 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_textbook_form(name: str) -> None:
    expression, expected_text, expected_latex = EXACT[name]
    assert text(expression, TEXTBOOK) == expected_text
    if expected_latex is not None:
        assert latex(expression, TEXTBOOK) == expected_latex


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (x1[j], "x^{(1)}_{j}"),
        (ds2[i], r"\frac{\partial E}{\partial s^{(2)}_{i}}"),
        ((x2[i] - t[i]) * x1[j], r"\left(x^{(2)}_{i} - t_{i}\right) x^{(1)}_{j}"),
        (1 - x1[j] ** 2, r"1 - \left(x^{(1)}_{j}\right)^{2}"),
        (sum_over(x0[k] * w1[k, j], (k, n0)), r"\sum_{k} x^{(0)}_{k} w^{(1)}_{kj}"),
        (quantity("y", n0, n1, n2)[i, h + u, 0], r"y_{i,h + u,0}"),
        (quantity("beta", n0)[i], r"\beta_{i}"),
        (quantity("h1", n0)[i], r"\mathrm{h1}_{i}"),
        (quantity("gain", n0)[i], r"\mathrm{gain}_{i}"),
        (quantity("input_weight", n0)[i], r"\mathrm{input\_weight}_{i}"),
        (Symbol("eps", real=True), r"\varepsilon"),
    ],
)
def test_layered_latex(expression: Expr, expected: str) -> None:
    assert latex(expression, LAYERED) == expected


def test_text_names_quantities_as_given_in_either_notation() -> None:
    expression = (x2[i] - t[i]) * x1[j]
    assert text(expression, LAYERED) == text(expression, TEXTBOOK)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("w12", ("w", "12")), ("beta2", ("beta", "2")), ("x_1", ("x", "1")), ("t", ("t", None))],
)
def test_names_split_into_word_and_layer(name: str, expected: tuple[str, str | None]) -> None:
    assert tuple(split_name(name)) == expected


# ------------------------------------------------------------------------------ choice of notation


def test_two_layers_are_printed_as_in_a_textbook() -> None:
    assert notation_for(textbook_derivation()).name == "textbook"


def test_three_layers_are_printed_with_their_numbers() -> None:
    w3, s3 = quantity("w3", n2, n2), quantity("s3", n2)
    old = textbook_system()
    system = replace(
        old,
        equations=(*old.equations, Equation(s3[i], sum_over(x2[k] * w3[k, i], (k, n2)))),
        quantities={**old.quantities, "w3": w3, "s3": s3},
    )
    assert notation_for(Derived(system, (), {}, {}, {})).name == "layered"


def test_layers_that_the_letters_do_not_tell_stay_visible() -> None:
    old = textbook_system()
    softmax = Equation(x2[i], exp(s2[i]) / sum_over(exp(s2[j]), (j, n2)))
    system = replace(old, equations=(*old.equations[:3], softmax, old.equations[4]))
    derivation = Derived(system, (), {}, {}, {})
    assert notation_for(derivation).name == "layered"
    asked_for = notation_for(derivation, "textbook")
    assert latex(s2[j] + s1[j] + x1[j], asked_for) == "s^{(1)}_{j} + s^{(2)}_{j} + x_{j}"


def test_an_unknown_notation_is_refused() -> None:
    with pytest.raises(KeyError):
        notation_for(textbook_derivation(), "roman")


# --------------------------------------------------------- brackets, checked by reading them back

SIZES = {"i": 3, "j": 2, "k": 4}
VALUES: Mapping[str, np.ndarray] = {
    name: np.random.default_rng(number).uniform(0.3, 0.9, shape)
    for number, (name, shape) in enumerate(
        {
            "x2": (3,),
            "t": (3,),
            "x1": (2,),
            "w2": (2, 3),
            "w1": (4, 2),
            "x0": (4,),
            "ds2": (3,),
            "ds1": (2,),
        }.items()
    )
}
CONSTANTS: Mapping[str, float] = {"alpha": 0.7, "λ₂": 0.4, "π": math.pi, "n0": 4.0, "n1": 2.0, "n2": 3.0}
FUNCTIONS: Mapping[str, Callable[..., float]] = {
    "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "tanh": math.tanh, "max": max, "min": min,
    "sign": lambda value: float(np.sign(value)), "δ": lambda a, b: float(a == b),
}  # fmt: skip
RELATIONS = {">": operator.gt, "<": operator.lt, "≥": operator.ge, "≤": operator.le, "=": operator.eq}


class Reader:
    """Reads a printed formula by the rules that a reader applies, and gives its value.

    Powers before products and quotients, from left to right, before sums; Σ takes the whole product
    that follows it.
    """

    TOKEN = re.compile(
        r"∂E/∂\w+\[[^\]]*\]|[a-z]\w*\[[^\]]*\]|Σ_(?:\{[^}]*\}|[a-z])"
        r"|[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?|[a-zλπδ][a-z0-9₁₂]*|\S"
    )

    def __init__(self, formula: str, where: Mapping[str, int]) -> None:
        self.tokens = [*self.TOKEN.findall(formula), ""]
        self.at = 0
        self.where = dict(where)
        self.compared = False

    def value(self) -> float:
        result = self.sum()
        assert self.tokens[self.at] == "", f"left over: {self.tokens[self.at :]}"
        return result

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def take(self, *expected: str) -> bool:
        found = self.tokens[self.at] in expected
        self.at += found
        return found

    def sum(self) -> float:
        total = -self.product() if self.take("-") else self.product()
        while self.tokens[self.at] in ("+", "-"):
            total += self.product() if self.next() == "+" else -self.product()
        return total

    def product(self) -> float:
        total = self.power()
        while self.tokens[self.at] in ("·", "/"):
            total = total * self.power() if self.next() == "·" else total / self.power()
        return total

    def power(self) -> float:
        base = self.atom()
        if self.take("²"):
            return base**2
        if self.take("³"):
            return base**3
        return base ** self.atom() if self.take("^") else base

    def atom(self) -> float:
        token = self.next()
        if token == "(":
            return self.closed(")")
        if token == "|":
            return abs(self.closed("|"))
        if token == "{":
            return self.cases()
        if token == "½":
            return 0.5
        if token.startswith("Σ_"):
            return self.big_sum(token[2:].strip("{}").split(","))
        if token[0].isdigit():
            return float(token)
        if "[" in token:
            return self.component(token)
        if token in FUNCTIONS:
            return FUNCTIONS[token](*self.arguments())
        return float(self.where[token]) if token in self.where else CONSTANTS[token]

    def closed(self, mark: str) -> float:
        result = self.sum()
        assert self.take(mark)
        return result

    def arguments(self) -> list[float]:
        assert self.take("(")
        found = [self.sum()]
        while self.take(","):
            found.append(self.sum())
        assert self.take(")")
        return found

    def component(self, token: str) -> float:
        name, _, inside = token.removesuffix("]").partition("[")
        name = name.replace("∂E/∂", "d")
        return float(VALUES[name][tuple(int(Reader(part, self.where).value()) for part in inside.split(","))])

    def big_sum(self, letters: list[str]) -> float:
        start, total, outside = self.at, 0.0, dict(self.where)
        for position in np.ndindex(*(SIZES[letter] for letter in letters)):
            self.at = start
            self.where = {**outside, **dict(zip(letters, position, strict=True))}
            total += self.product()
        self.where = outside
        return total

    def cases(self) -> float:
        found = None
        while True:
            value = self.sum()
            holds = self.take("otherwise") or (self.take("if") and self.condition())
            found = value if found is None and holds else found
            if not self.take(";"):
                assert self.take("}")
                assert found is not None
                return found

    def condition(self) -> bool:
        holds = self.conjunction()
        while self.take("or"):
            holds = self.conjunction() or holds
        return holds

    def conjunction(self) -> bool:
        holds = self.comparison()
        while self.take("and"):
            holds = self.comparison() and holds
        return holds

    def comparison(self) -> bool:
        start = self.at
        if self.take("("):  # brackets around a condition, or around a sum
            holds = self.condition()
            if self.compared and self.take(")"):
                return holds
            self.at = start
        left, holds = self.sum(), True
        self.compared = self.tokens[self.at] in RELATIONS
        while self.tokens[self.at] in RELATIONS:  # also a chain such as 0 < a < 1
            relation, right = RELATIONS[self.next()], self.sum()
            holds, left = holds and bool(relation(left, right)), right
        return holds


def latex_as_text(formula: str) -> str:
    """Return the printed text that a reader of the LaTeX would write down."""
    tokens = re.findall(
        r"\\begin\{cases\}|\\end\{cases\}|\\text\{[^}]*\}|\\[A-Za-z]+|\\\\|\d[\d.]*|\S", formula
    )
    text, left = _latex_group(tokens, "")
    assert not left
    return text


def _latex_group(tokens: list[str], end: str) -> tuple[str, list[str]]:
    parts: list[str] = []
    while tokens and tokens[0] != end:
        atom, tokens = _latex_atom(tokens)
        if not atom:
            continue
        operators = (
            "+",
            "-",
            "·",
            ",",
            "(",
            ")",
            "=",
            ">",
            "<",
            "≤",
            "≥",
            ";",
            "if",
            "and",
            "or",
            "otherwise",
        )
        if parts and parts[-1] not in operators and atom not in operators:
            parts.append("·")  # side by side means a product
        parts.append(atom)
    return " ".join(parts), tokens[1:]


def _latex_atom(tokens: list[str]) -> tuple[str, list[str]]:
    token, tokens = tokens[0], tokens[1:]
    words = {
        r"\cdot": "·",
        r"\alpha": "alpha",
        r"\pi": "π",
        r"\\": ";",
        "&": "",
        r"\text{otherwise}": "otherwise",
    }
    words |= {r"\text{ and }": "and", r"\text{ or }": "or", r"\le": "≤", r"\ge": "≥"}
    if token == r"\frac" and tokens[1] == r"\partial":
        end = tokens.index("}", tokens.index("_"))
        return _derivative_as_text(tokens, end)
    if token == r"\frac":
        above, tokens = _latex_group(tokens[1:], "}")
        below, tokens = _latex_group(tokens[1:], "}")
        return f"(({above})/({below}))", tokens
    if token == r"\sum":
        inside, tokens = _latex_group_raw(tokens[1:])
        body, tokens = _latex_product(tokens)
        return f"Σ_{{{inside}}} {body}", tokens
    if token == r"\left":
        opening, tokens = tokens[0], tokens[1:]
        inside, tokens = _latex_group(tokens, r"\right")
        return _latex_script(f"|{inside}|" if opening == r"\lvert" else f"({inside})", tokens[1:])
    if token == r"\begin{cases}":
        inside, tokens = _latex_group(tokens, r"\end{cases}")
        return f"{{ {inside} }}", tokens
    if token in (r"\log", r"\tanh", r"\exp", r"\max", r"\min", r"\sqrt"):
        return _latex_function(token[1:], tokens)
    if token == r"\mathrm":
        name, tokens = _latex_group_raw(tokens[1:])
        return _latex_function(name, tokens)
    if token.startswith(r"\text{if"):
        return "if", tokens
    if token == r"\lambda":
        return _latex_script("λ₂", tokens[4:])
    if token == "e" and tokens[:1] == ["^"]:
        inside, tokens = _latex_group(tokens[2:], "}")
        return f"exp({inside})", tokens
    return _latex_script(words.get(token, token), tokens)


def _latex_group_raw(tokens: list[str]) -> tuple[str, list[str]]:
    end = tokens.index("}")
    return "".join(tokens[:end]), tokens[end + 1 :]


def _latex_product(tokens: list[str]) -> tuple[str, list[str]]:
    """Read what Σ takes: everything up to the next sign, or the end of the group."""
    parts: list[str] = []
    while tokens and tokens[0] not in (
        "+",
        "-",
        "}",
        r"\right",
        ",",
        "&",
        r"\\",
        r"\end{cases}",
        "=",
        ">",
        "<",
        r"\text{ and }",
        r"\text{ or }",
    ):
        atom, tokens = _latex_atom(tokens)
        parts += ["·", atom] if parts and atom != "·" and parts[-1] != "·" else [atom]
    return " ".join(parts), tokens


def _latex_function(name: str, tokens: list[str]) -> tuple[str, list[str]]:
    power = ""
    if tokens[0] == "^":
        power, tokens = _latex_group_raw(tokens[2:])
    if tokens[0] == "{":
        argument, tokens = _latex_group(tokens[1:], "}")
    elif tokens[0] == r"\left":
        argument, tokens = _latex_group(tokens[2:], r"\right")
        tokens = tokens[1:]
    else:
        argument, tokens = _latex_atom(tokens)
    return _latex_script(f"{name}({argument})" + (f"^{power}" if power else ""), tokens)


def _latex_script(atom: str, tokens: list[str]) -> tuple[str, list[str]]:
    """Read the layer, the indices and the power that follow an atom."""
    layer = ""
    if tokens[:3] == ["^", "{", "("]:
        layer, tokens = tokens[3], tokens[6:]
    if tokens[:1] == ["_"]:
        inside, tokens = _latex_group_raw(tokens[2:])
        sized = atom == "n"
        atom = f"n{inside}" if sized else f"{atom}{layer}[{','.join(inside)}]"
    if tokens[:1] == ["^"]:
        power, tokens = _latex_group(tokens[2:], "}")
        atom = f"{atom}^({power.replace('·', '')})"
    return atom, tokens


def _derivative_as_text(tokens: list[str], end: int) -> tuple[str, list[str]]:
    found = re.match(r"\{\\partialE\}\{\\partial(\w)\^\{\((\d)\)\}_\{(\w+)\}\}", "".join(tokens[: end + 2]))
    assert found, tokens
    return f"∂E/∂{found[1]}{found[2]}[{found[3]}]", tokens[end + 2 :]


LEAVES = {
    "i": (x2[i], t[i], ds2[i]), "j": (x1[j], ds1[j]), "k": (x0[k],),
    "ij": (w2[j, i],), "jk": (w1[k, j],),
}  # fmt: skip
LIMITS = {"i": n2, "j": n1, "k": n0}


@st.composite
def expressions(draw: st.DrawFn, letters: str = "ij", depth: int = 3) -> Expr:
    """Draw an expression that reads the indices ``letters``; sums bind the others."""
    if depth == 0 or draw(st.integers(0, 5)) == 0:
        reads = [read for key, found in LEAVES.items() if set(key) <= set(letters) for read in found]
        numbers = [Integer(2), Integer(-3), Rational(1, 2), Rational(-2, 3), Rational(1, 10), alpha, l2, n1]
        return draw(st.sampled_from([*reads, *reads, *numbers]))
    unbound = [letter for letter in "ijk" if letter not in letters]
    kinds = ["add", "add", "subtract", "multiply", "multiply", "divide", "power", "function", "cases", "nest"]
    kind = draw(st.sampled_from([*kinds, "sum", "sum"] if unbound else kinds))
    if kind == "sum":
        letter = draw(st.sampled_from(unbound))
        body = draw(expressions(letters + letter, depth - 1))
        return sum_over(body, (index(letter), LIMITS[letter]))
    first, second = draw(expressions(letters, depth - 1)), draw(expressions(letters, depth - 1))
    try:
        result = _combined(draw, kind, first, second)
    except (KeyError, TypeError):  # SymPy itself fails on some nests of cases
        reject()
    assume(not result.has(zoo, nan))  # a division by what turned out to be 0
    return result


def _combined(draw: st.DrawFn, kind: str, first: Expr, second: Expr) -> Expr:
    if kind in ("add", "subtract"):
        return first + second if kind == "add" else first - second
    if kind in ("multiply", "divide"):
        return first * second if kind == "multiply" else first / second
    if kind == "power":
        return Pow(
            first, draw(st.sampled_from([Integer(2), Integer(3), Integer(-1), Integer(-2), Integer(4)]))
        )
    if kind == "nest":
        operation = draw(st.sampled_from([Add, Mul]))
        return operation(first, operation(second, first, evaluate=False), evaluate=False)
    if kind == "cases":
        return Piecewise((first, second > Rational(1, 3)), (second, True))
    functions = (tanh, Abs, lambda e: log(1 + e**2), lambda e: sqrt(2 + e**2), lambda e: exp(-(e**2)))
    return draw(st.sampled_from(functions))(first)


def value_of(expression: Expr) -> float:
    """Return the value of a drawn expression at i = 1, j = 0, by plain loops; skip where there is none."""
    constants = {n0: 4, n1: 2, n2: 3, alpha: CONSTANTS["alpha"], l2: CONSTANTS["λ₂"]}
    try:
        value = evaluate(expression, {i: 1, j: 0}, VALUES, constants)
    except (ZeroDivisionError, OverflowError, NotImplementedError, SyntaxError):
        assume(False)
    assume(math.isfinite(value) and abs(value) < 1e6)
    return value


@settings(max_examples=150, deadline=None, database=None)
@given(expressions())
def test_text_reads_back_to_the_same_value(expression: Expr) -> None:
    value = value_of(expression)
    printed = text(expression, LAYERED)
    assert Reader(printed, {"i": 1, "j": 0}).value() == pytest.approx(value, rel=1e-6, abs=1e-9), printed


@settings(max_examples=150, deadline=None, database=None)
@given(expressions())
def test_latex_reads_back_to_the_same_value(expression: Expr) -> None:
    value = value_of(expression)
    printed = latex_as_text(latex(expression, LAYERED))
    assert Reader(printed, {"i": 1, "j": 0}).value() == pytest.approx(value, rel=1e-6, abs=1e-9), printed


@settings(max_examples=150, deadline=None, database=None)
@given(expressions(depth=4), st.integers(0, 3))
def test_the_parts_of_a_long_formula_make_up_the_whole(expression: Expr, depth: int) -> None:
    plain = "".join(TextPrinter(LAYERED).chunks(expression, depth))
    joined = "".join(LatexPrinter(LAYERED).chunks(expression, depth))
    joined = joined.replace(r"\biggl", r"\left").replace(r"\biggr", r"\right")
    for parts, whole, read in (
        (plain, text(expression, LAYERED), plain),
        (joined, latex(expression, LAYERED), latex_as_text(joined)),
    ):
        if parts != whole:  # a sum above a fraction bar stands behind the fraction
            assert depth
            value = value_of(expression)
            assert Reader(read, {"i": 1, "j": 0}).value() == pytest.approx(value, rel=1e-6, abs=1e-9), parts


def test_the_reader_tells_wrong_brackets() -> None:
    right = Reader("(Σ_i ∂E/∂s2[i]·w2[j,i])·x1[j]·(1 - x1[j])", {"j": 0}).value()
    wrong = Reader("(Σ_i ∂E/∂s2[i]·w2[j,i])·x1[j]·1 - x1[j]", {"j": 0}).value()
    assert right != pytest.approx(wrong)


# ------------------------------------------------------------------------------------ determinism

_DOCUMENTS = """
from tests.zoo import ZOO
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.document.render import render
import hashlib
for name in ("dense_bias_l2_batch", "softmax_cross_entropy", "convolution_same_padding", "attention"):
    for format in ("text", "markdown", "latex", "html"):
        document = render(derive_system(ZOO[name]()), format, title=name)
        print(name, format, hashlib.sha256(document.encode()).hexdigest())
"""


def test_documents_do_not_depend_on_the_hash_seed() -> None:
    def documents(seed: str) -> subprocess.Popen[str]:
        variables = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", _DOCUMENTS]
        return subprocess.Popen(command, env=variables, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    first, second = documents("1"), documents("4242")
    printed = first.communicate()[0], second.communicate()[0]
    assert first.returncode == second.returncode == 0
    assert printed[0] == printed[1]


# -------------------------------------------------------------------------------------- documents


def document(derivation: Derived, format: str, **options: object) -> str:
    return render(derivation, format, title="A net", **options)  # type: ignore[arg-type]


def test_text_document(derivation: Derived) -> None:
    lines = document(derivation, "text", header=["2-3-1"]).splitlines()
    assert lines[:4] == ["A net", "=====", "", "2-3-1"]
    for expected in (
        "    (1)  s1[j] = Σ_k x0[k]·w1[k,j] + b1[j]    shape (n1)",
        "=>  (7)  ∂E/∂x2[i] = (x2[i] - t[i])/(x2[i]·(1 - x2[i]))",
        "    (8)  ∂E/∂s2[i] = ∂E/∂x2[i]·∂x2[i]/∂s2[i]",
        "         Chain rule. E depends on s2[i] only through x2[i].",
        "         Through the output. By (4) this can be written through x2[i], which is known already.",
        "=> (12)  ∂E/∂s2[i] = x2[i] - t[i]",
        "         Cancellation. Insert (7); equal factors above and below the fraction bar cancel.",
        "   (16)  ∂E/∂w2[j,i] = (x2[i] - t[i])·x1[j]",
        "         Insertion. Insert (12).",
        "         A rule nobody knows.",
        "   (15)  ∂E/∂w2[j,i]  ∂E/∂s2[i]·x1[j]",
    ):
        assert expected in lines


def test_sections_come_in_the_order_of_the_derivation(derivation: Derived) -> None:
    printed = document(derivation, "text")
    sections = ("overview", "overview_results", "forward", "error", "backward", "slopes", "stable", "results")
    positions = [printed.index(ENGLISH[f"heading.{section}"]) for section in sections]
    assert positions == sorted(positions)
    for absent in ("assumed", "batch"):
        assert ENGLISH[f"heading.{absent}"] not in printed


def test_contraction_names_what_is_summed() -> None:
    printed = document(derive_system(textbook_system()), "text")
    assert "Chain rule. x1[j] feeds every s2[i], so the changes add up over i." in printed
    said = "Sum over what it feeds. Insert (22): what is left is a sum over i, over all that x1[j] feeds."
    assert said in " ".join(printed.split())
    assert "Insertion. Insert (14).\n" in printed  # where no sum is left


def test_equal_factors_are_said_to_cancel_where_they_do() -> None:
    x, t = Symbol("x"), Symbol("t")
    a, b = Symbol("a"), Symbol("b")
    values = {a: (x - t) / (x * (1 - x)), b: (x**2 - t**2) / (x - t)}
    assert struck_product(a * x * (1 - x), values.get) is not None
    assert struck_product(b, values.get) is None  # it factors, and no factor is seen to cancel


def test_an_update_has_letters_of_its_own() -> None:
    """Those of the optimiser give way to arrays of the network; the others stay."""
    text = "input x[n, i]\nparameter w[i], v[i]\nsize i = 2\ny[n] = sum(x[n, i]*w[i]*v[i], i)\n"
    text += "E = mean(y[n]**2, n)\noutput y\n"
    printed = derive(Network.from_equations(text), optimizer="adam").text()
    assert "Let p be one component of a parameter and g the derivative of E" in printed
    assert "p' = p - learning_rate·m'/((1 - beta1^step)·(epsilon + sqrt(q'/" in printed
    assert not re.search(r"\b[wv]'", printed)
    assert "w' = w - " in derive(Network("2-1")).text()


@pytest.mark.parametrize(("notation", "delta"), [("zad", "[i = i']"), ("layered", "δ(i,i')")])
def test_where_errors_are_deltas_that_of_kronecker_is_none(notation: str, delta: str) -> None:
    printed = derive(Network("2-3:softmax")).text(notation=notation)
    both = ("[i = i']", "δ(i,i')")
    assert [each in printed for each in both] == [each == delta for each in both]


def test_a_fact_is_stated_where_it_is_used_and_at_the_end() -> None:
    printed = document(derive_system(ZOO["softmax_cross_entropy"]()), "text")
    heading = "What was assumed\n----------------\n\n"
    assert f"{heading}   Σ_i target[b,i] = 1 for the targets of every sample, in (10)." in printed
    assert "Assumption. Σ_i target[b,i] = 1: this is assumed of the data." in printed


def test_a_penalty_is_a_way_of_its_own() -> None:
    printed = document(derive_system(textbook_system(l2_terms=True)), "text")
    assert "Chain rule. E depends on w2[j,i] through s2[i] and directly: both changes add up." in printed


@pytest.mark.parametrize("format", MARKUP)
def test_every_step_is_printed_once_under_its_number(format: str, derivation: Derived) -> None:
    printed = document(derivation, format)
    before_results = printed[: printed.index(ENGLISH["heading.results"])]
    pattern = r"^(?:=>)? +\((\d+)\)  " if format == "text" else r"\\tag\{(\d+)\}"
    numbers = [int(number) for number in re.findall(pattern, before_results, re.MULTILINE)]
    assert numbers == list(range(1, 22))


@pytest.mark.parametrize("format", ["markdown", "latex"])
def test_results_are_boxed(format: str, derivation: Derived) -> None:
    printed = document(derivation, format)
    assert printed.count(r"\boxed{") == len(derivation.results)
    boxed = r"\boxed{\frac{\partial E}{\partial s_{i}} = x_{i} - t_{i}}"
    assert boxed + (r" \tag{12}" if format == "markdown" else r"}{\tag{12}}") in printed


@pytest.mark.parametrize("format", MARKUP)
def test_a_fragment_has_no_title(format: str, derivation: Derived) -> None:
    printed = document(derivation, format, fragment=True)
    assert "A net" not in printed
    assert "documentclass" not in printed
    assert r"\end{document}" not in printed
    if format != "latex":  # where a whole document is set closer than a part
        assert printed.strip() in document(derivation, format)


@pytest.mark.parametrize("format", MARKUP)
@pytest.mark.parametrize("name", ZOO)
def test_every_kind_of_network_is_printed(name: str, format: str) -> None:
    printed = document(_derived(name), format)
    assert "Dummy" not in printed
    assert "_spare" not in printed
    if format == "latex":
        assert_balanced(printed)


_DERIVED: dict[str, Derived] = {}


def _derived(name: str) -> Derived:
    if name not in _DERIVED:
        _DERIVED[name] = derive_system(ZOO[name]())
    return _DERIVED[name]


def assert_balanced(source: str) -> None:
    """Assert that braces, brackets and environments of a LaTeX source close in order."""
    opened: list[str] = []
    for token in re.findall(r"\\begin\{\w+\*?\}|\\end\{\w+\*?\}|\\left|\\right|\\\\|\\[{}]|[{}]", source):
        if token in ("{", r"\left") or token.startswith(r"\begin"):
            opened.append(token.replace(r"\begin", r"\end"))
        elif token in ("}", r"\right") or token.startswith(r"\end"):
            assert opened.pop() == {"}": "{", r"\right": r"\left"}.get(token, token)
    assert not opened


def deep_system(depth: int) -> EquationSystem:
    """Return a net of many tanh layers with a penalty on each weight."""
    sizes = [size(f"n{layer}") for layer in range(depth + 1)]
    quantities, equations = {"x0": quantity("x0", sizes[0])}, []
    error: Expr = Integer(0)
    for layer in range(1, depth + 1):
        weight = quantity(f"w{layer}", sizes[layer - 1], sizes[layer])
        before = quantities[f"x{layer - 1}"]
        s, x = quantity(f"s{layer}", sizes[layer]), quantity(f"x{layer}", sizes[layer])
        own, other = index("ijk"[(depth - layer) % 3]), index("ijk"[(depth - layer + 1) % 3])
        equations.append(
            Equation(s[own], sum_over(before[other] * weight[other, own], (other, sizes[layer - 1])))
        )
        equations.append(Equation(x[own], tanh(s[own])))
        error += l2 / 2 * sum_over(weight[other, own] ** 2, (other, sizes[layer - 1]), (own, sizes[layer]))
        quantities |= {each.name: each for each in (weight, s, x)}
    target = quantity("t", sizes[depth])
    error += sum_over((quantities[f"x{depth}"][i] - target[i]) ** 2, (i, sizes[depth])) / 2
    quantities |= {"t": target, "E": E}
    parameters = tuple(f"w{layer}" for layer in range(1, depth + 1))
    return with_roles(
        EquationSystem((*equations, Equation(E.symbol, error)), quantities, parameters, ("x0", "t"))
    )


def test_penalties_of_equal_layers_are_one_sum() -> None:
    derivation = derive_system(deep_system(20))
    printed = document(derivation, "text")
    error = printed[printed.index("E = ") : printed.index(ENGLISH["heading.backward"])]
    assert error.count("²") == 2  # that of the loss, and one for all weights
    assert "+ (λ₂/2)·Σ_{ℓ=1..20} Σ_{k,j} w[ℓ,k,j]²" in error
    source = document(derivation, "latex")
    assert r"\sum_{\ell=1}^{20} \sum_{k,j} \left(w^{(\ell)}_{kj}\right)^{2}" in source


@pytest.mark.parametrize("hidden", ["relu6", "selu"])
def test_long_equations_go_on_in_the_next_line(hidden: str) -> None:
    derivation = derive(Network("4-3-2:identity", hidden=hidden, loss="focal"))
    printed = document(derivation, "text")
    assert max(map(len, printed.splitlines())) <= 110
    source = document(derivation, "latex")
    assert r"\begin{aligned} \frac{\partial E}{\partial x_{i}} &= " in source
    equations = [line for line in source.splitlines() if r"\tag" in line]
    assert max(latex_width(row) for line in equations for row in line.split(r"\\")) < 90


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs a TeX installation")
@pytest.mark.parametrize("name", ["two layers", "twenty layers", "attention"])
def test_latex_compiles_without_a_warning(name: str, tmp_path: Path) -> None:
    systems = {
        "two layers": textbook_system(True),
        "twenty layers": deep_system(20),
        "attention": ZOO["attention"](),
    }
    source = render(
        derive_system(systems[name]), "latex", title=r"50% of x_1 & {a} \b #1 ~ ^ <|> \"--no-bias\""
    )
    (tmp_path / "d.tex").write_text(source, encoding="utf-8")
    for _ in range(2):  # the second run knows the widths of the table
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    log_lines = (tmp_path / "d.log").read_text(encoding="latin-1").splitlines()
    assert [line for line in log_lines if re.search(r"^!|Warning|Overfull|Underfull", line)] == []


def test_plain_text_is_escaped() -> None:
    assert escape_latex(r"50% & x_1 \a") == r"50\% \& x\_1 \textbackslash{}a"
    assert escape_latex("--no-facts") == "-{}-no-facts"
    derivation = textbook_derivation()
    assert r"# a\_b \*c\* \<d\>" in render(derivation, "markdown", title="a_b *c* <d>")
    assert r"a\_b" in render(derivation, "latex", title="a_b")


def test_unknown_formats_and_languages_are_refused(derivation: Derived) -> None:
    for options in ({"format": "docx"}, {"format": "text", "language": "xx"}):
        with pytest.raises(KeyError):
            render(derivation, title="", **options)  # type: ignore[arg-type]


def test_a_listing_of_equations_needs_no_derivation() -> None:
    assert latex(x1[j], notation_of_system(textbook_system())) == "x^{(1)}_{j}"
    assert text(x1[j], Notation()) == "x1[j]"


# ----------------------------------------------------------------------- templates and catalogues


def template_names(format: str) -> tuple[set[str], set[str]]:
    """Return the variables that a template reads, and the attributes that it reads of them."""
    style = format_named(format)
    templates = environment(latex=style.latex_template)
    source = (template_directory() / style.template).read_text(encoding="utf-8")
    tree = templates.parse(source)
    attributes = {node.attr for node in tree.find_all(jinja2.nodes.Getattr)} - {
        "last",
        "first",
        "index",
        "previtem",
    }
    return meta.find_undeclared_variables(tree), attributes


@pytest.mark.parametrize("format", TEXT_FORMATS)
def test_a_template_reads_what_it_is_given_and_nothing_else(format: str, derivation: Derived) -> None:
    style = format_named(format)(notation_for(derivation), derivation)
    given_keys = set(document_context(derivation, style, ENGLISH, "title", [], False))
    read_keys, attributes = template_names(format)
    assert read_keys == given_keys
    records = [EquationBlock, StepBlock, Group, ResultRow, *([Component] if format == "html" else [])]
    assert attributes == {each.name for record in records for each in fields(record)}


def test_a_missing_name_is_an_error() -> None:
    for is_latex, source in ((False, "{{ absent }}"), (True, r"\VAR{ absent }")):
        with pytest.raises(UndefinedError):
            environment(latex=is_latex).from_string(source).render()


def test_every_sentence_can_be_said(derivation: Derived) -> None:
    package = ROOT / "symbackprop"
    modules = [path for path in package.rglob("*.py") if path.parent.name != "language"]
    source = "".join(path.read_text(encoding="utf-8") for path in modules)
    for catalogue in CATALOGUES.values():
        assert catalogue.keys() == ENGLISH.keys()
    reasons = {f"initial.{initializer.reason}" for initializer in INITIALIZERS.values()}
    kinds = ("heading", "idea", "rule", "word", "page", "drawing", "drawn")
    for key, sentence in ENGLISH.items():
        composed = key in reasons or key.split(".")[0] in kinds
        assert f'"{key}"' in source or composed, f"{key} is never said"
        style = format_named("text")(notation_for(derivation), derivation)
        places = set(re.findall(r"\{(\w+)\}", sentence))
        said = Sentences(derivation, style, ENGLISH).say(key, **dict.fromkeys(places, "formula"))
        assert "{" not in said


def test_facts_are_printed_with_their_sum() -> None:
    derivation = textbook_derivation()
    stated = replace(derivation, system=replace(derivation.system, facts=(Fact(t[i], i, ONE),)))
    # What no step rests on is not assumed.
    assert r"$`\sum_{i} t_{i} = 1`$" not in document(stated, "markdown")
    used = replace(stated, steps=(*stated.steps, replace(stated.steps[-1], number=10**6, rule="fact")))
    assert r"$`\sum_{i} t_{i} = 1`$" in document(used, "markdown")


def test_a_sum_over_sums_keeps_its_letters_apart() -> None:
    expression = sum_over(x2[i] * sum_over(w2[j, i] * x1[j], (j, n1)), (i, n2))
    assert isinstance(expression, Sum)
    assert text(expression, TEXTBOOK) in ("Σ_{j,i} x2[i]·x1[j]·w2[j,i]", "Σ_i x2[i]·Σ_j x1[j]·w2[j,i]")
