"""Notebooks that are written: valid as nbformat 4.5 has it, and their code runs and compares."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import symbackprop as sb
from symbackprop.cli import app
from symbackprop.commands.theorem import Check, derive_theorem
from symbackprop.commands.theorem_document import render_theorem
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.document.language.catalogues import CATALOGUES
from symbackprop.document.render import render
from symbackprop.network.network import parse_description
from symbackprop.network.python import python_of
from tests.conftest import ROOT
from tests.networks import equations
from tests.zoo import ZOO

NOISY = '''
# A comment that "quotes" and ends a literal: """
from library import dropout, batch_norm
input x[n, k], mask[n, k]
target y[n, i], z[n]
parameter w[k, i]
size k = 3, i = 2
a[n, k] = batch_norm(x)
h = dropout(a)
s[n, i] = sum(h[n, k]*mask[n, k]*w[k, i], k)
E = mean(sum((s[n, i] - y[n, i])**2, i) + (s[n, 0] - z[n])**2, n)
output s
'''
"""Several inputs and targets, noise and states."""

DOCUMENTS: dict[str, Callable[[], str]] = {
    "options": lambda: sb.derive(
        sb.Network("3-4:(s*sigmoid(s))-2:identity", loss="(x - t)**4", l2=0.1, bias=False),
        optimizer="adam",
    ).document("notebook"),
    "classes": lambda: sb.derive(sb.Network("4-3:softmax", class_weights=[1, 2, 3])).document("notebook"),
    "sizes left open": lambda: sb.derive(
        sb.Network.from_file(ROOT / "examples/attention.net", {"d": 2})
    ).document("notebook"),
    "no model of dense layers": lambda: sb.derive(equations("radial basis")).document("notebook"),
    "of": lambda: sb.derive(sb.Network("2-3-1"), of=("x0", "w1")).document("notebook"),
    "second": lambda: sb.derive(sb.Network("2-1"), order=2).document("notebook"),
    "product": lambda: sb.derive(sb.Network("2-1")).hessian_vector_product().document("notebook"),
    "trace": lambda: sb.trace(sb.Network("2-2-1")).document("notebook"),
    "exercise": lambda: sb.exercise(sb.Network("2-2-1")).document("notebook", language="ko"),
}


def source_of(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def code_of(notebook: dict[str, Any]) -> list[str]:
    return [source_of(cell) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def assert_valid(notebook: dict[str, Any]) -> None:
    """Hold a notebook against the schema of nbformat 4.5."""
    assert notebook.keys() == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    kernel = notebook["metadata"]["kernelspec"]
    assert kernel.keys() >= {"name", "display_name"}
    identifiers = [cell["id"] for cell in notebook["cells"]]
    assert len(set(identifiers)) == len(identifiers)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", each) for each in identifiers)
    usual = {"id", "cell_type", "metadata", "source"}
    for cell in notebook["cells"]:
        assert cell.keys() - usual == (
            {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        )
        assert usual <= cell.keys()
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        assert source_of(cell).strip()


def run(notebook: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """Run the code of a notebook; return its names, and what it printed."""
    names: dict[str, Any] = {}
    for code in code_of(notebook):
        exec(compile(code, "cell", "exec"), names)
    return names, capsys.readouterr().out


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_code_of_a_notebook_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = json.loads(DOCUMENTS[name]())
    assert_valid(notebook)
    names, printed = run(notebook, capsys)
    assert isinstance(names["derivation"], sb.Derivation)
    assert printed.count(" by differences") == len(names["gradients"]) > 0


def test_noise_states_and_dicts_of_data(capsys: pytest.CaptureFixture[str]) -> None:
    network = sb.Network.from_equations(NOISY)
    names, printed = run(json.loads(sb.derive(network).document("notebook")), capsys)
    assert names["network"] == network
    assert names["x"].keys() == {"x", "mask"}
    assert names["t"].keys() == {"y", "z"}
    assert "w: " in printed


def test_the_steps_are_those_of_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    derivation = sb.derive(sb.Network("2-3-1"), of=("x0",), order=1)
    names, _ = run(json.loads(derivation.document("notebook")), capsys)
    assert [str(step) for step in names["derivation"].steps] == [str(step) for step in derivation.steps]


def test_a_wrong_derivative_is_noticed() -> None:
    code = code_of(json.loads(sb.derive(sb.Network("2-1")).document("notebook")))
    wrong = code[1].replace("\ngenerator", "\ngradients['w1'] *= 1.001\n\ngenerator", 1)
    with pytest.raises(AssertionError, match="w1"):
        exec("\n".join([code[0], wrong]), {})


def test_the_command_writes_a_notebook_that_runs_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "derivation.ipynb"
    assert CliRunner().invoke(app, ["derive", "2-3-1", "-o", str(file)]).exit_code == 0
    reader = (
        "import json, sys\n"
        "for cell in json.load(open(sys.argv[1], encoding='utf-8'))['cells']:\n"
        "    if cell['cell_type'] == 'code': exec(''.join(cell['source']))\n"
    )
    done = subprocess.run([sys.executable, "-c", reader, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" by differences") == 4


@pytest.mark.parametrize("language", CATALOGUES)
def test_the_cells_are_the_markdown_of_the_derivation(language: str) -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    text = derivation.document("notebook", language=language)
    assert text == derivation.document("notebook", language=language)
    markdown = [source_of(c) for c in json.loads(text)["cells"] if c["cell_type"] == "markdown"]
    whole = "\n\n".join(markdown)
    code = derivation.lines_of_code
    cell = render(derivation, "cell", title=derivation.title, language=language, code=code)
    *sections, comparison = [section.strip() for section in whole.split("\n## ")[1:]]
    assert sections == [section.strip() for section in cell.split("\n## ")[1:]]
    assert comparison.startswith(CATALOGUES[language]["notebook.heading"])
    assert all(part.startswith("#") for part in markdown)
    assert "`" not in whole


def test_what_no_text_says_has_no_code() -> None:
    theorem = render_theorem(derive_theorem(sb.Network("2-2-2")), Check((), ()), "notebook")
    for text in (theorem, render(derive_system(ZOO["tied_weights"]()), "notebook", title="a net")):
        assert_valid(json.loads(text))
        assert code_of(json.loads(text)) == []


@pytest.mark.parametrize(
    "network",
    [
        sb.Network("2-3:tanh-1", l1=1e-05, label_smoothing=0.25, facts=False, init="zeros"),
        sb.Network("2-3:(Piecewise((s, s > 0), (0.1*s, True)))-2", loss="huber(delta=0.5)", bias=False),
        sb.Network.from_equations(NOISY, {"k": 3}),
    ],
    ids=repr,
)
def test_the_line_of_python_makes_the_same_network(network: sb.Network) -> None:
    names: dict[str, Any] = {"sb": sb}
    exec(python_of(network.description), names)
    assert names["network"] == network == parse_description(network.description)[0]
