"""Exercises: every rule is practised, the sheet gives nothing away, the solution is complete."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

import symbackprop as sb
from symbackprop.cli import app
from symbackprop.commands.exercise import exercise
from tests.conftest import MARKUP
from tests.numbered_networks import NETWORKS


def network(name: str) -> sb.Network:
    return sb.Network.from_equations(NETWORKS[name]) if name in NETWORKS else sb.Network(name)


@pytest.mark.parametrize("name", ["4-3:tanh-2:softmax", "3-2", *NETWORKS])
def test_every_rule_is_practised_and_every_blank_is_solved(name: str) -> None:
    derivation = sb.derive(network(name))
    found = exercise(derivation)
    blanked = [derivation.by_number[n] for n in found.blanks]
    rules = {step.rule for step in (*derivation.steps, *derivation.batch)}
    assert {step.rule for step in blanked} == rules
    text = found.text()
    sheet, solution = text.split("\nSolution\n")
    for position, step in enumerate(blanked, start=1):
        line = next(line for line in sheet.splitlines() if f"({step.number})  ∂" in line)
        assert line.endswith(f" = ?    blank {position}")
        assert f" {position} ({step.number}) " in solution
    assert f"{len(blanked)} right sides are left out" in " ".join(sheet.split())


def test_the_sheet_does_not_give_the_answers_away() -> None:
    sheet = exercise(sb.Network("2-3-1")).text().split("\nSolution\n")[0]
    for answer in ("∂E/∂s2[i] = x2[i] - t[i]", "(x2[i] - t[i])·x1[j]", "= (x2[i] - t[i])/(x2[i]"):
        assert answer not in sheet
    # what is left is worth reading: the steps that are no blanks, and the hints
    assert "∂E/∂b1[j] = ∂E/∂s1[j]" in sheet
    assert "Chain rule. E depends on s2[i] only through x2[i]." in sheet


@pytest.mark.parametrize("form", MARKUP)
def test_every_format_and_the_same_bytes(form: str) -> None:
    document = exercise(sb.Network("2-2")).document(form)
    assert document == exercise(sb.Network("2-2")).document(form)
    assert document.count("{") == document.count("}")
    assert "blank 1" in document


def test_the_command() -> None:
    result = CliRunner().invoke(app, ["exercise", "2-3-1", "--format", "markdown"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("# An exercise: 2-3-1")
    assert CliRunner().invoke(app, ["exercise", "2-3-1", "--lang", "xx"]).exit_code != 0


def test_layers_that_are_alike_may_be_left_out_too() -> None:
    derivation = sb.derive(sb.Network("-".join(["3"] * 8), hidden="tanh"))
    found = sb.exercise(derivation)
    text = found.text()
    for step in derivation.steps:
        assert f"({step.number}) " in text
    assert text.count(" = ?    blank") == len(found.blanks)


@pytest.mark.parametrize(
    "network", ["2-2-1", "3-4:relu-2:softmax", "2-3:softplus-1:identity", "2-2-2-2-2-2", "3-1"]
)
def test_a_sheet_cites_what_stands_on_it_and_tells_no_answer(network: str) -> None:
    sheet, solution = exercise(sb.Network(network)).text().split("\nSolution\n")
    labels = set(re.findall(r"^(?:=>)? *\((\d+)\)", sheet, re.MULTILINE))
    assert set(re.findall(r"\((\d+)\)", sheet)) <= labels
    assert "products of matrices" not in sheet
    assert re.findall(r"^ *1 \(\d+\) ", solution, re.MULTILINE)
