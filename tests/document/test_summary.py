"""The summary: the results on one page, whatever the network."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

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
    for arguments in (["2-3-1", "--only", "steps"], ["--depth", "L", "--only", "results"]):
        result = CliRunner().invoke(app, ["derive", *arguments])
        assert isinstance(result.exception, SpecificationError)
