"""The theorem for L layers: derived, proved, instantiated, printed; and a wrong one is caught."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest

import symbackprop as sb
from symbackprop.commands.theorem import Check, Theorem, derive_theorem
from symbackprop.commands.theorem_document import render_theorem
from symbackprop.document.language.catalogues import CATALOGUES
from symbackprop.equations.steps import Derived
from symbackprop.proof.prover import prove_step
from tests.conftest import MARKUP

OPTIONS: dict[str, dict[str, object]] = {
    "sigmoid": {},
    "tanh-softmax": {"hidden": "tanh", "output": "softmax"},
    "relu-identity-no-bias": {"hidden": "relu", "output": "identity", "bias": False},
    "prelu": {"hidden": "prelu"},
    "formula": {"hidden": "s*exp(-s**2)", "output": "identity", "loss": "(x - t)**4"},
}


@cache
def theorem_of(name: str) -> Theorem:
    return derive_theorem(sb.Network("2-2-2", **OPTIONS[name]))  # type: ignore[arg-type]


@cache
def check_of(name: str) -> Check:
    return theorem_of(name).check()


@pytest.mark.parametrize(
    "name",
    [name if name == "tanh-softmax" else pytest.param(name, marks=pytest.mark.slow) for name in OPTIONS],
)
def test_it_is_proved_and_agrees_with_nets_of_1_to_6_layers(name: str) -> None:
    check = check_of(name)
    assert check.holds, str(check)
    assert len(check.verdicts) > 20


def broken(derivation: Derived, name: str) -> Derived:
    step = derivation.by_number[derivation.results[name]]
    return derivation.with_step(replace(step, rhs=step.rhs * 2))


@pytest.mark.parametrize("name", ["s1", "w1", "b1"])
def test_a_wrong_induction_step_is_caught_by_both(name: str) -> None:
    theorem = theorem_of("sigmoid")
    wrong = broken(theorem.step, name)
    assert not prove_step(wrong, wrong.by_number[wrong.results[name]]).holds
    assert not replace(theorem, step=wrong).holds_at(3)
    assert replace(theorem, step=wrong).holds_at(1)  # one layer has no induction step


@pytest.mark.parametrize("name", ["s2", "w2"])
def test_a_wrong_base_case_is_caught_by_both(name: str) -> None:
    theorem = theorem_of("sigmoid")
    wrong = broken(theorem.base, name)
    assert not prove_step(wrong, wrong.by_number[wrong.results[name]]).holds
    assert not replace(theorem, base=wrong).holds_at(1)


def test_a_check_tells_what_failed() -> None:
    check = Check(tuple(replace(v, holds=False) for v in check_of("tanh-softmax").verdicts), (2, 3))
    assert not check.holds
    assert str(check).startswith("0 of ")
    assert str(check).endswith("agree with the nets of 1 to 6 layers but for 2, 3")


def test_it_is_printed_as_base_case_and_induction_step() -> None:
    theorem = theorem_of("sigmoid")
    text = render_theorem(theorem, check_of("tanh-softmax"), "text")
    for expected in (
        "    (1)  s[ℓ,j] = Σ_k x[ℓ-1,k]·w[ℓ,k,j] + b[ℓ,j]    shape (n[ℓ])",
        "=> (12)  ∂E/∂s[L,i] = x[L,i] - t[i]",
        "Induction step: let ∂E/∂s[ℓ+1,i] be known.",
        "=> (28)  ∂E/∂s[ℓ,j] = (Σ_i ∂E/∂s[ℓ+1,i]·w[ℓ+1,j,i])·x[ℓ,j]·(1 - x[ℓ,j])",
        "=> (31)  ∂E/∂w[ℓ,k,j] = ∂E/∂s[ℓ,j]·x[ℓ-1,k]",
        "the product of the slopes is at most (1/4)^(L-1).",
    ):
        assert expected in text
    numbers = [int(n) for n in re.findall(r"^(?:=>)? +\((\d+)\)  ", text[: text.index("All results")], re.M)]
    assert numbers == list(range(1, 35))


def test_the_theorem_is_stated_before_its_proof() -> None:
    theorem, check = theorem_of("sigmoid"), check_of("tanh-softmax")
    text = render_theorem(theorem, check, "text")
    stated, _, rest = text.partition("\nForward equations\n")
    assert "Proof: the derivative, from the error inwards" in rest
    for said in (
        "A net has L layers of any widths.",
        "∂E/∂s[L,i] = x[L,i] - t[i]    (12)\n",
        "∂E/∂s[ℓ,j] = (Σ_i ∂E/∂s[ℓ+1,i]·w[ℓ+1,j,i])·x[ℓ,j]·(1 - x[ℓ,j])    (28)  ℓ = 1, …, L-1\n",
        "δ[L] = x[L] - t    (12)\n",
        "δ[ℓ] = (W[ℓ+1]·δ[ℓ+1]) ⊙ x[ℓ] ⊙ (1 - x[ℓ])    (28)  ℓ = 1, …, L-1\n",
        "∂E/∂W[ℓ] = x[ℓ-1]·δ[ℓ]ᵀ    (31)",
    ):
        assert said in stated
    numbered = re.findall(r"^   (∂E/∂\w\[[Lℓ],.*?)    \((\d+)\)", stated, re.M)
    assert len(numbered) == 6
    for formula, number in numbered:
        assert f"=> ({number})  {formula}\n" in rest
    softmax = render_theorem(theorem_of("tanh-softmax"), check, "text")
    assert "Σ_i t[i] = 1 for the targets" in softmax.partition("\nForward equations\n")[0]
    korean = render_theorem(theorem, check, "text", language="ko")
    assert korean.startswith("층이 L개인 신경망: sigmoid,")
    assert "단계를 모두 증명했다." in korean
    assert "귀납의 기초:" in korean


def test_the_theorem_has_a_drawing_of_the_layers_around_any_one() -> None:
    theorem, check = theorem_of("sigmoid"), check_of("tanh-softmax")
    page = render_theorem(theorem, check, "html")
    assert page.index("<svg") < page.index(">Forward equations</h2>")
    for layer in ("(ℓ-1)", "(ℓ)", "(ℓ+1)", "(L)", "(0)"):
        assert f">{layer}</tspan>" in page
    latex = render_theorem(theorem, check, "latex")
    assert latex.index(r"\begin{tikzpicture}") < latex.index(r"\section*{Forward equations}")
    assert "ℓ" not in latex


def test_a_theorem_that_is_not_proved_says_how_many_steps_are() -> None:
    theorem, check = theorem_of("sigmoid"), check_of("tanh-softmax")
    some = replace(check, verdicts=(replace(check.verdicts[0], holds=False), *check.verdicts[1:]))
    count = len(check.verdicts)
    assert f"All {count} steps are proved." in render_theorem(theorem, check, "text")
    assert f"{count - 1} of {count} steps are proved." in render_theorem(theorem, some, "text")


@pytest.mark.parametrize("language", CATALOGUES)
@pytest.mark.parametrize("notation", ["layered", "zad", "matrix"])
def test_it_is_printed_in_every_notation_and_language(notation: str, language: str) -> None:
    theorem, check = theorem_of("tanh-softmax"), check_of("tanh-softmax")
    for format in MARKUP:
        printed = render_theorem(theorem, check, format, notation=notation, language=language)
        assert ("ℓ" if format == "text" else r"\ell") in printed


def test_what_it_does_not_say_is_refused() -> None:
    for network, message in (
        (sb.Network("2-2:relu-2:tanh-1"), "same activation, not relu and tanh"),
        (sb.Network("2-2-1", l2=0.1), "leave out --l1, --l2"),
    ):
        with pytest.raises(sb.SpecificationError, match=message):
            derive_theorem(network)
    theorem = theorem_of("sigmoid")
    with pytest.raises(sb.SpecificationError, match="'textbook' shows no layers"):
        render_theorem(theorem, check_of("tanh-softmax"), "text", notation="textbook")
