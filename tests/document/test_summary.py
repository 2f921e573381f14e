"""The summary: the results on one page, whatever the network."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

import symbackprop as sb
from symbackprop.cli import app
from symbackprop.errors import SpecificationError
from tests.conftest import ROOT

LONG = "-".join(["3", *(f"{n}:{a}" for n in range(4, 10) for a in ("tanh", "softplus", "elu")), "2:identity"])
"""Layers of which no three neighbours are alike."""


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["derive", *arguments, "--only", "results"])
    assert result.exit_code == 0, result.exception
    return result.output


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("name", ["2-3-1", "examples/layer_norm.net", "examples/transformer.net", LONG])
def test_the_summary_is_one_page_of_text(name: str, language: str) -> None:
    architecture = str(ROOT / name) if name.endswith(".net") else name
    text = printed(architecture, "--lang", language)
    assert text.count("\n") <= 60
    assert len(re.findall(r"^ +\(\d+\)|    \(\d+\)$", text, re.M)) > 2
    assert "Forward" not in text


def test_what_was_sought_comes_first_and_the_rest_is_counted() -> None:
    text = printed(LONG)
    assert all(f"∂E/∂w{layer}[" in text for layer in (1, 12, 19))
    assert re.search(r"There are \d+ more; the whole derivation has them", text)
    assert "more;" not in printed("2-3-1")


def test_what_is_assumed_stands_below() -> None:
    assert "Σ_i t[i] = 1" in printed("4-3:softmax")


def test_of_what_is_asked_for() -> None:
    text = printed("2-3-1", "--of", "x0")
    assert "∂E/∂x0[k]" in text
    assert "w1" not in text.split("∂E/∂x0[k]")[0]


@pytest.mark.parametrize("form", ["markdown", "latex", "html"])
def test_every_format_has_the_table_and_nothing_before_it(form: str) -> None:
    text = printed("2-3-1", "--format", form)
    assert "All results" in text
    assert "Forward equations" not in text
    assert "how far the outputs are from their targets" not in text


def test_other_parts_are_refused() -> None:
    result = CliRunner().invoke(app, ["derive", "2-3-1", "--only", "result"])
    assert isinstance(result.exception, SpecificationError)
    assert "did you mean 'results'" in str(result.exception)
    with pytest.raises(SpecificationError, match="did you mean 'results'"):
        sb.derive(sb.Network("2-3-1")).text(only="result")
    with pytest.raises(SpecificationError, match="only: "):
        sb.trace(sb.Network("2-2-1")).text(only="results")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_of_a_theorem_it_is_the_statement(language: str) -> None:
    text = printed("--depth", "L", "--lang", language)
    assert text.count("\n") <= 60
    assert "δ[ℓ] = (W[ℓ+1]·δ[ℓ+1]) ⊙ x[ℓ] ⊙ (1 - x[ℓ])    (28)" in text
    assert "(5)  E = " in text
    assert "=>" not in text


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "html", "beamer", "notebook"])
def test_python_has_the_page_in_every_format(form: str) -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    page = derivation.document(form, only="results")
    assert "In short" in page
    assert "Forward equations" not in page
    assert "Forward equations" in derivation.document(form)


FILES = sorted(path.stem for path in (ROOT / "examples").glob("*.net"))


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_page_of_every_example_is_one(name: str) -> None:
    derivation = sb.derive(sb.Network.from_file(ROOT / "examples" / f"{name}.net"))
    for language in ("en", "ko"):
        text = derivation.text(language=language, only="results")
        assert text.count("\n") <= 60
        parameters = [n for n in derivation.system.parameters if f"∂E/∂{n}" in text]
        assert parameters
