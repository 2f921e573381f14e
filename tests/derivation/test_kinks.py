"""Kinks are found by algebra, and named where a derivative is taken at them."""

from __future__ import annotations

import pytest
from sympy import Derivative, Expr, Heaviside, Piecewise, Rational, Symbol

import symbackprop as sb
from symbackprop.derivation.kinks import Kink, kinks_in, kinks_of
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import Equation, EquationSystem, index, quantity, size, sum_over
from symbackprop.library.activations import ACTIVATIONS

s = Symbol("s", real=True)


def kinks_at(derivation: Derived, name: str) -> list[tuple[str, str, str]]:
    """Return left side, right side and value of each kink of the derivative for ``name``, as text."""
    found = []
    for number, kinks in kinks_in(derivation).items():
        step = derivation.by_number[number]
        if step.target == name:
            found += [(str(k.left), str(k.right), str(k.value)) for k in kinks]
    return found


HIDDEN = {
    "relu": [("0", "0")],
    "leaky_relu": [("0", "1/100")],
    "elu": [],
    "elu(alpha=0.5)": [("0", "1/2")],
    "celu": [],
    "relu6": [("0", "0"), ("6", "0")],
    "hardswish": [("-3", "0"), ("3", "1")],
    "hardsigmoid": [("-3", "0"), ("3", "0")],
    "hardtanh": [("-1", "0"), ("1", "0")],
    "softshrink": [("-1/2", "0"), ("1/2", "0")],
    "softsign": [],
    "gelu": [],
    "prelu": [("0", "alpha1")],
    "(abs(s))": [("0", "0")],
    "(abs(s**2 - 1))": [("-1", "0"), ("1", "0")],
    "(abs(s**3))": [],
    "(Max(s, 0.5*s))": [("0", "3/4")],
    "(Max(0, Min(1, s)))": [("0", "1/2"), ("1", "1/2")],
}


@pytest.mark.parametrize("activation", HIDDEN)
def test_places_and_values_of_activations(activation: str) -> None:
    derivation = sb.derive(sb.Network(f"2-3:{activation}-1"))
    expected = [("s1[j]", place, value) for place, value in HIDDEN[activation]]
    assert kinks_at(derivation, "s1") == expected


def test_trainable_places_are_symbols() -> None:
    found = kinks_at(sb.derive(sb.Network("2-3:srelu-1")), "s1")
    assert [(left, right) for left, right, _ in found] == [("s1[j]", "tl1"), ("s1[j]", "tr1")]
    assert found[0][2] == "al1"


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("absolute_error", [("x2[i]", "t[i]", "0")]),
        ("huber", []),
        ("smooth_l1", []),
        ("hinge", [("t[i]*x2[i]", "1", "0")]),
        ("squared_hinge", []),
    ],
)
def test_places_and_values_of_losses(loss: str, expected: list[tuple[str, str, str]]) -> None:
    assert kinks_at(sb.derive(sb.Network("2-2-1", output="identity", loss=loss)), "x2") == expected


def test_a_penalty_has_kinks_at_0() -> None:
    assert kinks_at(sb.derive(sb.Network("2-1", l1=0.1)), "w1") == [("w1[j, i]", "0", "0")]


def test_every_kink_of_the_library_is_one() -> None:
    """Beside the place the derivative of the loss differs from what it is taken as: checked with numbers."""
    for name, activation in ACTIVATIONS.items():
        if activation.trainable or not any(
            word in activation.formula for word in ("where", "Piecewise", "abs")
        ):
            continue
        derivation = sb.derive(sb.Network(f"1-1:{name}-1"))
        for number, kinks in kinks_in(derivation).items():
            step = derivation.by_number[number]
            for kink in kinks:
                assert isinstance(step.lhs, Derivative)
                place = float(kink.right)
                values = [
                    float(step.rhs.xreplace({step.lhs.variables[0]: Rational(str(place + offset))}))
                    for offset in (-1e-6, 0.0, 1e-6)
                ]
                assert values[1] == pytest.approx(float(kink.value))
                assert max(abs(v - values[1]) for v in (values[0], values[2])) > 1e-3, name


def test_two_equal_arguments_of_a_maximum_share() -> None:
    t = Symbol("t", real=True)
    assert kinks_of(Heaviside(s - t), s, s) == (Kink(s, t, Rational(1, 2)),)


def test_a_jump_is_no_kink() -> None:
    function = Piecewise((s, s > 0), (s - 1, True))
    assert kinks_of(Rational(1), function, s) == (Kink(s, Rational(0), Rational(1), jumps=True),)


def test_a_condition_on_a_sum_is_told_as_it_stands() -> None:
    i, k, n, m = index("i"), index("k"), size("n"), size("m")
    x, w, y, error = quantity("x", m), quantity("w", m, n), quantity("y", n), quantity("E")
    total: Expr = sum_over(x[k] * w[k, i], (k, m))
    system = EquationSystem(
        (
            Equation(y[i], Piecewise((total, total > 0), (0, True))),
            Equation(error.symbol, sum_over(y[i], (i, n))),
        ),
        {q.name: q for q in (x, w, y, error)},
        ("w",),
        ("x",),
    )
    ((kink,),) = kinks_in(derive_system(system)).values()
    assert (str(kink.right), kink.value) == ("0", 0)
    assert str(kink.left).startswith("Sum(")


def test_sentences_name_kinks_where_they_are_taken_and_at_the_end() -> None:
    text = sb.derive(sb.Network("2-3:relu-1")).text()
    assert "At s1[j] = 0, where there is a kink, it is taken as 0." in text.replace("\n         ", " ")
    assert "∂x1[j]/∂s1[j] is taken as 0 where s1[j] = 0, in (25)." in text
    assert "kink" not in sb.derive(sb.Network("2-3-1")).text()
    jump = sb.derive(sb.Network("2-3:hardshrink-1")).text().replace("\n         ", " ")
    assert "At s1[j] = 1/2, where there is a jump, it is taken as 0." in jump


def test_many_layers_are_listed_once() -> None:
    text = sb.derive(sb.Network("3-3-3-3-3-3-1", hidden="relu")).text()
    assumed = text[text.index("What was assumed") :]
    assert assumed.count("is taken as") == 1
