"""Each command and example of the README and the docs is run; what is shown of output is the output."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop import cli
from tests.conftest import ROOT

BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
PLAIN = re.compile(r"symbackprop( +(\"[^\"$`\\!]*\"|[\w.,:/=-]+))*")
"""A command that needs nothing of the shell but its quotes."""
PAGES = [Path("README.md"), *sorted(p.relative_to(ROOT) for p in (ROOT / "docs").glob("*.md"))]


def test_readme_has_blocks_of_every_kind() -> None:
    kinds = {kind for kind, _, _ in BLOCKS}
    assert kinds == {"bash", "text", "python"}


def run_here(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command in this process, as a process of its own takes a second to start."""
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert (caught.value.code or 0, capsys.readouterr().err) == (0, ""), line


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_commands_and_examples_run_in_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Every block works from any folder, and writes where it stands.
    monkeypatch.chdir(tmp_path)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for kind, note, text in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        if "no-run" in note or kind not in ("bash", "python"):
            continue
        lines = text.splitlines()
        if kind == "bash" and len(lines) > 1 and all(map(PLAIN.fullmatch, lines)):
            for line in lines:
                run_here(line, monkeypatch, capsys)
            continue
        command = ["bash", "-euo", "pipefail", "-c", text] if kind == "bash" else [sys.executable, "-c", text]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{text}\n{done.stderr}"
        assert bool(done.stderr) == ("with-notes" in note), done.stderr


def test_shown_derivation_is_what_derive_prints() -> None:
    printed = sb.derive(sb.Network("2-3-1")).text().splitlines()
    for kind, _, text in BLOCKS:
        for line in text.splitlines() if kind == "text" else ():
            assert line in printed


def test_shown_code_is_what_generate_writes() -> None:
    source = sb.generate(sb.Network("2-3-1"))
    (shown,) = [text for kind, note, text in BLOCKS if kind == "python" and "no-run" in note]
    assert shown in source


@pytest.mark.parametrize(
    "expression", ["(-t[i] + x2[i])*x1[j]", "(1 - x1[j]**2)*Sum(ds2[i]*w2[j, i], (i, 0, n2 - 1))"]
)
def test_shown_results_are_derived(expression: str) -> None:
    derivation = sb.derive(sb.Network("2-8-1", hidden="tanh"))
    assert expression in (str(derivation.gradient("w2")), str(derivation.adjoint("s1")))
