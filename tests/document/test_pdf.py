"""PDF: which TeX is called, and what is said where there is none or it fails; TeX is a stand-in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop.document import pdf

FAILING = """
open("derivation.log", "w").write("TeX\\n./derivation.tex:3: Undefined control sequence.\\n! later\\n")
sys.exit(1)
"""
WORKING = """
source = open("derivation.tex", encoding="utf-8").read()
log = open(%r, "a")
print(os.path.basename(sys.argv[0]), *sys.argv[1:], os.environ["SOURCE_DATE_EPOCH"], file=log)
open("derivation.pdf", "w").write("%%PDF of " + source[:9])
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def install(folder: Path, name: str, code: str) -> None:
    (folder / name).write_text(f"#!{sys.executable}\nimport os, sys, time\n{code}", encoding="utf-8")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize(
    "installed, runs",
    [
        (["xelatex", "pdflatex", "tectonic", "latexmk"], ["latexmk"]),
        (["latexmk", "xelatex"], ["xelatex"] * 3),  # latexmk calls pdflatex
        (["pdflatex", "xelatex"], ["pdflatex"] * 3),
        (["tectonic"], ["tectonic"]),
    ],
)
def test_the_tex_that_is_there_is_called(
    installed: list[str], runs: list[str], tools: Path, tmp_path: Path
) -> None:
    for name in installed:
        install(tools, name, WORKING % str(tmp_path / "calls"))
    assert sb.derive(sb.Network("2-1")).pdf() == b"%PDF of \\document"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls] == runs
    for call in calls:
        assert call.endswith("derivation.tex 0")
        assert "-no-shell-escape" in call or "--untrusted" in call


def test_without_tex_the_message_says_what_would_do(tools: Path) -> None:
    with pytest.raises(sb.SpecificationError, match="no TeX is installed; looked for latexmk, tectonic, pdf"):
        pdf.compiled("")


def test_the_first_error_of_tex_is_told(tools: Path) -> None:
    install(tools, "pdflatex", FAILING)
    with pytest.raises(sb.SpecificationError) as caught:
        pdf.compiled("")
    assert str(caught.value) == "PDF: pdflatex failed: ./derivation.tex:3: Undefined control sequence."


def test_a_tex_that_leaves_nothing_has_failed(tools: Path) -> None:
    install(tools, "tectonic", "print('error: no internet')")
    with pytest.raises(sb.SpecificationError, match="tectonic failed: error: no internet"):
        pdf.compiled("")


def test_a_tex_that_hangs_is_stopped(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tools, "xelatex", "time.sleep(30)")
    monkeypatch.setattr(pdf, "_SECONDS", 0.3)
    with pytest.raises(sb.SpecificationError, match="took more than"):
        pdf.compiled("")


def test_a_tex_that_can_not_be_started(tools: Path) -> None:
    (tools / "pdflatex").write_text("#!/nowhere/at/all\n")
    (tools / "pdflatex").chmod(0o755)
    with pytest.raises(sb.SpecificationError, match="pdflatex can't be started"):
        pdf.compiled("")
