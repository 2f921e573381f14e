"""What an activation passes on of a signal, and what the document says of an error without targets."""

from __future__ import annotations

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.derivation.strength import strength_passed_on
from symbackprop.document.render import render
from symbackprop.network.functions import activation_at_start

KNOWN = {"relu": 0.5, "leaky_relu": 0.50005, "prelu": 0.53125, "silu": 0.3558, "gelu": 0.4252, "elu": 0.6449}
"""The mean square for a normal pre-activation; of relu with slope a below 0 it is (1 + a²)/2."""


@pytest.mark.parametrize("name", KNOWN)
def test_the_share_is_the_mean_square_of_normal_numbers(name: str) -> None:
    assert strength_passed_on(activation_at_start(name)) == pytest.approx(KNOWN[name], abs=5e-5)


def test_a_formula_has_its_own_share() -> None:
    drawn = np.random.default_rng(0).normal(size=10**6)
    assert strength_passed_on(activation_at_start("sin(2*s) + s/4")) == pytest.approx(
        np.mean((np.sin(2 * drawn) + drawn / 4) ** 2), rel=3e-3
    )


def test_what_looks_at_a_whole_layer_has_none() -> None:
    assert strength_passed_on(activation_at_start("softmax")) is None


def test_each_activation_is_named_with_its_own_number() -> None:
    said = " ".join(sb.derive(sb.Network("2-3:silu-4:softplus-1", init="he_normal")).text().split())
    assert "silu passes on 0.356, softplus passes on 0.921 and" in said
    assert "one half of their power" not in said


@pytest.mark.parametrize(("language", "words"), [("en", "There are no targets"), ("ko", "목표값은 없고")])
def test_an_error_without_targets_says_so(language: str, words: str) -> None:
    text = "input x[n, i]\nparameter w[i]\nsize i = 2\ny[n] = sum(x[n, i]*w[i], i)\n"
    text += "E = mean(y[n]**2, n)\noutput y\n"
    with_targets, without = sb.Network("2-1"), sb.Network.from_equations(text)
    said = [render(sb.derive(n), "text", title="", language=language) for n in (with_targets, without)]
    assert [words in " ".join(each.split()) for each in said] == [False, True]
