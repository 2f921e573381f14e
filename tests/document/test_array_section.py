"""The section of a document on whole arrays: what it says of a network, with which code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop.document.printable import TEXT_FORMATS

EXAMPLES = Path(__file__).parents[2] / "examples"
HEADING = "For a batch, in matrices"


def section(derivation: sb.Derivation) -> str:
    return derivation.text().partition(f"\n{HEADING}\n")[2].lstrip("-").partition("\n---")[0]


def equations(text: str) -> dict[str, tuple[int, str]]:
    """Return, for each left-hand side, the number of its equation and the right-hand side."""
    found = re.findall(r"^   (\S.*?) = (.*?)    (?:shape|a number).*?\((\d+)\)(?:, …)?$", text, re.M)
    return {left: (int(number), right) for left, right, number in found}


def test_forward_and_backward_are_told_for_every_layer() -> None:
    derivation = sb.derive(sb.Network("5-4:tanh-3:relu-2:softmax"))
    found = equations(section(derivation))
    assert found["S1"] == (derivation.labels["s1"], "X0·W1 + 𝟏·b1ᵀ")
    assert found["X1"] == (derivation.labels["x1"], "tanh(S1)")
    assert found["Δ3"] == (derivation.results["s3"], "X3 - T")
    assert found["Δ2"] == (derivation.results["s2"], "(Δ3·W3ᵀ) ⊙ { 1 if S2 > 0; 0 otherwise }")
    assert found["Δ1"] == (derivation.results["s1"], "(Δ2·W2ᵀ) ⊙ (1 - X1 ⊙ X1)")
    assert found["∂E/∂W[ℓ]"][1] == "(1/N)·X[ℓ-1]ᵀ·Δ[ℓ]"
    assert found["∂E/∂b[ℓ]"][1] == "(1/N)·Δ[ℓ]ᵀ·𝟏"


def test_the_error_of_the_outputs_follows_from_the_step_and_not_from_a_name() -> None:
    found = equations(section(sb.derive(sb.Network("3-2:tanh", loss="(x - t)**4"))))
    assert found["Δ1"][1] != "X1 - T"
    assert "X1 - T" in found["Δ1"][1]


@pytest.mark.parametrize("architecture", ["2-3-1", "-".join(["2"] * 18), "multi_head_attention.net"])
def test_each_line_of_code_stands_in_the_module(architecture: str) -> None:
    is_file = architecture.endswith(".net")
    network = sb.Network.from_file(EXAMPLES / architecture) if is_file else sb.Network(architecture)
    derivation = sb.derive(network)
    module = [line.strip() for line in sb.generate(derivation, bare=True).splitlines()]
    lines = [line.strip() for line in section(derivation).splitlines() if line.startswith(" " * 7)]
    assert len(lines) >= 5
    assert [line for line in lines if line not in module] == []


def test_of_open_sizes_there_is_no_code() -> None:
    text = section(sb.derive(sb.Network.from_file(EXAMPLES / "attention.net")))
    assert "∂E/∂Value = Shareᵀ·∂E/∂Y    shape (N, P, D)  for each n  (19)" in text
    assert "dvalue" not in text


@pytest.mark.parametrize("form", TEXT_FORMATS)
def test_every_format_has_it(form: str) -> None:
    text = sb.derive(sb.Network("2-3-1")).document(form)
    assert HEADING in text
    assert "ds2 = x2 - t" in text


def test_what_is_asked_for_has_a_form_too() -> None:
    text = section(sb.derive(sb.Network("2-3-1"), of=("x0",)))
    assert equations(text)["∂E/∂X0"][1] == "Δ1·W1ᵀ"


def test_second_derivatives_have_none() -> None:
    network = sb.Network("2-1")
    for derivation in (sb.derive(network, order=2), sb.derive(network).hessian_vector_product()):
        assert HEADING not in derivation.text()


def test_korean_says_it_in_korean() -> None:
    text = sb.derive(sb.Network.from_file(EXAMPLES / "attention.net")).text(language="ko")
    assert "각 n에 대하여" in text
    assert "for each" not in text
