"""The factors that cancel are found among the factors of a step, whatever network it belongs to."""

from __future__ import annotations

import pytest
from sympy import Expr, Sum, exp, simplify, symbols

import symbackprop as sb
from symbackprop.derivation.calculus.cancelling import struck_product
from symbackprop.document.cancelled import with_struck_factors
from symbackprop.equations.steps import Derived
from symbackprop.equations.struck import Struck, kept
from symbackprop.equations.system import index, quantity

a, b, c, d = symbols("a b c d", real=True)


def marked(expression: Expr | None) -> list[Expr]:
    assert expression is not None
    return sorted((mark.args[0] for mark in expression.atoms(Struck)), key=str)


@pytest.mark.parametrize(
    ("before", "value", "struck", "left"),
    [
        (d * a * (1 - a), (a - b) / (a * (1 - a)), [a, a, 1 - a, 1 - a], a - b),
        (d * a**2, b / a**3, [a, a, a, a], b / a),
        (d * (1 - a), b / (a - 1), None, None),  # they leave a sign
        (d * a, b / a + c, [a, a], b + a * c),
        (a * (d + c), b / a, [a, a], b + a * c),
        (d * exp(b), c / (1 + exp(b)), None, None),
        (d * a, b + c, None, None),
        (2 * d, b / 2, None, None),
    ],
)
def test_equal_factors_above_and_below_are_struck(
    before: Expr, value: Expr, struck: list[Expr] | None, left: Expr | None
) -> None:
    found = struck_product(before, lambda factor: value if factor == d else None)
    if struck is None:
        assert found is None
        return
    assert marked(found) == sorted(struck, key=str)
    assert found is not None
    assert simplify(kept(found) - left) == 0


def test_factors_inside_of_a_sum_are_struck_there() -> None:
    n, i = symbols("n", integer=True, positive=True), index("i")
    x, t = quantity("x", n), quantity("t", n)
    before = Sum(a * x[i], (i, 0, n - 1))
    found = struck_product(before, lambda factor: -t[i] / x[i] if factor == a else None)
    assert marked(found) == [x[i], x[i]]
    assert found is not None
    assert found.could_extract_minus_sign()


def cancellations(derivation: Derived) -> list[tuple[Expr | None, Expr]]:
    found = []
    for step in derivation.steps:
        if step.rule == "cancellation":
            before = [s for s in derivation.steps if s.lhs == step.lhs and s.number < step.number][-1]
            found.append((with_struck_factors(before.rhs, step, derivation), step.rhs))
    return found


@pytest.mark.parametrize(
    "network",
    [
        sb.Network("2-2"),
        sb.Network("2-3:softmax"),
        sb.Network("2-1:(exp(s))", loss="x - t*log(x)"),
        sb.Network("2-2", loss="-t*log(x) - 3*log(1 - x)"),
        sb.Network("2-2-3:softmax", label_smoothing=0.1),
    ],
    ids=lambda network: network.model.title,
)
def test_what_is_left_of_a_step_is_its_result(network: sb.Network) -> None:
    found = cancellations(sb.derive(network))
    assert found
    for product, result in found:
        assert product is not None
        assert marked(product)
        assert simplify(kept(product) - result) == 0


def test_a_divisor_that_is_gone_otherwise_strikes_nothing() -> None:
    derivation = sb.derive(sb.Network("2-1:softplus", loss="t*log(x)"))
    assert cancellations(derivation)[0][0] is None
    assert "\N{COMBINING LONG STROKE OVERLAY}" not in derivation.text()


def test_a_step_shows_the_product_and_then_its_result() -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    text = derivation.text()
    plain = text.replace("\N{COMBINING LONG STROKE OVERLAY}", "")
    assert (
        "         ∂E/∂s2[i] = (x2[i] - t[i])·x2[i]·(1 - x2[i])/(x2[i]·(1 - x2[i]))\n"
        "=> (12)  ∂E/∂s2[i] = x2[i] - t[i]\n"
    ) in plain
    assert text.count("\N{COMBINING LONG STROKE OVERLAY}") == 2 * len("x2[i](1 - x2[i])")
    factors = r"\cancel{x_{i}} \cancel{\left(1 - x_{i}\right)}"
    for document in (derivation.latex(), derivation.markdown()):
        assert rf"\frac{{\left(x_{{i}} - t_{{i}}\right) {factors}}}{{{factors}}}" in document
        assert document.index(factors) < document.index(r"\tag{12}")
    assert r"\usepackage{cancel}" in derivation.latex()
    assert derivation.html().count('<menclose notation="updiagonalstrike">') == 4
    assert r"\cancel{x" not in derivation.latex("matrix")  # the result is in vectors, its steps are not


def test_a_blank_of_a_sheet_is_not_told_by_what_cancels() -> None:
    sheet = sb.exercise(sb.Network("2-3-1"))
    blank = next(s for s in sheet.derivation.steps if s.rule == "cancellation").number
    assert ("\N{COMBINING LONG STROKE OVERLAY}" in sheet.text()) == (blank not in sheet.blanks)
