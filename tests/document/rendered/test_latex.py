"""The LaTeX of many networks in every language: it compiles, and nothing is missing or cut."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop.commands.theorem import derive_theorem
from symbackprop.commands.theorem_document import render_theorem
from symbackprop.document.language.catalogues import CATALOGUES
from symbackprop.document.render import render
from symbackprop.document.summary import summary_of
from symbackprop.equations.steps import Derived
from tests.conftest import ROOT
from tests.document.rendered.conftest import program
from tests.networks import EQUATIONS, equations

pytestmark = pytest.mark.documents

MOST_OVERFULL = 10.0  # points

NETWORKS: dict[str, Callable[[], sb.Network]] = {
    "2-3-1": lambda: sb.Network("2-3-1"),
    "classifier": lambda: sb.Network("784-128:relu-10:softmax"),
    "regularised": lambda: sb.Network("784-512-512-10:softmax", hidden="relu", l2=1e-4, l1=1e-5),
    "formulas": lambda: sb.Network(
        "4-8:(Piecewise((s, s > 0), (0.1*s, True)))-3:identity", loss="(x - t)**4"
    ),
    "gelu": lambda: sb.Network("5-7:gelu-7:mish-2:tanh", loss="squared_error", bias=False),
    "smoothing": lambda: sb.Network("6-9:tanh-4:softmax", label_smoothing=0.1, class_weights=[1, 2, 3, 4]),
    "parameters": lambda: sb.Network("6-9:prelu-4:swish-1:identity", loss="huber(delta=0.5)"),
    "twenty layers": lambda: sb.Network("-".join(["16"] * 21), hidden="tanh", l2=0.01),
    **{name: lambda name=name: equations(name) for name in EQUATIONS},  # type: ignore[misc]
}


@cache
def derived(name: str) -> Derived:
    return sb.derive(NETWORKS[name]())


def compiled(source: str, folder: Path) -> list[str]:
    """Compile a document and return the lines of its log, in which no line was wrapped."""
    (folder / "d.tex").write_text(source, encoding="utf-8")
    command = [program("latexmk"), "-pdf", "-norc", "-interaction=nonstopmode", "-halt-on-error", "d.tex"]
    environment = {
        "PATH": str(Path(program("pdflatex")).parent),
        "HOME": str(folder),
        "max_print_line": "10000",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300, check=False)
    log = (folder / "d.log").read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in log if line.startswith("!")]
    assert done.returncode == 0, errors or done.stdout.decode(errors="replace")[-1000:]
    assert (folder / "d.pdf").read_bytes().startswith(b"%PDF")
    return log


def overfull(log: list[str]) -> list[float]:
    """Return by how many points each line that is too long is so."""
    return [float(found[1]) for line in log if (found := re.search(r"Overfull .hbox \(([\d.]+)pt", line))]


def assert_clean(log: list[str]) -> None:
    wrong = r"^!|Missing character|Warning"
    assert [line for line in log if re.search(wrong, line)] == []
    assert [points for points in overfull(log) if points > MOST_OVERFULL] == []


@pytest.mark.parametrize("language", CATALOGUES)
@pytest.mark.parametrize("name", NETWORKS)
def test_latex_compiles(name: str, language: str, tmp_path: Path, counts: Counter[str]) -> None:
    derivation = derived(name)
    source = render(derivation, "latex", title=derivation.title, language=language)
    log = compiled(source, tmp_path)
    assert_clean(log)
    counts[f"documents compiled ({language})"] += 1
    counts["equations set"] += source.count(r"\tag{")


OTHERS: dict[str, Callable[[str], str]] = {
    "trace": lambda language: sb.trace(sb.Network("2-2-2")).latex(language=language),
    "trace of attention": lambda language: sb.trace(equations("attention")).latex(language=language),
    "exercise": lambda language: sb.exercise(sb.Network("784-128:relu-10:softmax")).latex(language=language),
    "theorem": lambda language: theorem_in(language),
    "matrix": lambda language: derived("2-3-1").latex("matrix", language=language),
    "zad": lambda language: derived("classifier").latex("zad", language=language),
}


def theorem_in(language: str) -> str:
    found = derive_theorem(sb.Network("2-2-2"))
    return render_theorem(found, found.check(), "latex", language=language)


@pytest.mark.parametrize("language", CATALOGUES)
@pytest.mark.parametrize("name", OTHERS)
def test_latex_of_other_documents_compiles(
    name: str, language: str, tmp_path: Path, counts: Counter[str]
) -> None:
    assert_clean(compiled(OTHERS[name](language), tmp_path))
    counts[f"other documents compiled ({language})"] += 1


@pytest.mark.parametrize("language", CATALOGUES)
def test_a_small_trace_has_five_pages_at_most(language: str, tmp_path: Path) -> None:
    log = compiled(sb.trace(sb.Network("2-2-2")).latex(language=language), tmp_path)
    (pages,) = re.findall(r"Output written on d.pdf \((\d+) pages", "\n".join(log))
    assert int(pages) <= 5


def test_a_fragment_compiles_with_tikz_and_without(tmp_path: Path) -> None:
    fragment = sb.derive(sb.Network("2-3-1")).latex(fragment=True)
    packages = "amsmath,amssymb,longtable"
    for loaded in (packages, f"{packages},tikz"):
        whole = (
            rf"\documentclass{{article}}\usepackage{{{loaded}}}\begin{{document}}{fragment}\end{{document}}"
        )
        assert_clean(compiled(whole, tmp_path))


def test_a_broken_document_is_noticed(tmp_path: Path) -> None:
    begin, end = r"\documentclass{article}\begin{document}", r"\end{document}"
    with pytest.raises(AssertionError, match="Undefined control sequence"):
        assert_clean(compiled(rf"{begin}\nonsense{end}", tmp_path))
    for body in (rf"\hbox to 13cm{{{'x' * 200}}}", "\\font\\f=cmr10 \\f \\char200", r"\ref{nowhere}"):
        with pytest.raises(AssertionError):
            assert_clean(compiled(rf"{begin}{body}{end}", tmp_path))


def test_pdf_has_the_same_bytes_every_time() -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    first = derivation.pdf()
    assert first.startswith(b"%PDF")
    assert derivation.pdf() == first


@pytest.mark.parametrize("language", CATALOGUES)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_summary_is_one_page(name: str, language: str, tmp_path: Path, counts: Counter[str]) -> None:
    derivation = derived(name)
    source = render(derivation, "latex", title=derivation.title, language=language, instead=summary_of)
    log = compiled(source, tmp_path)
    assert_clean(log)
    assert any("Output written on d.pdf (1 page" in line for line in log)
    counts["summaries on one page"] += 1


@pytest.mark.parametrize("name", ["transformer", "heat"])
def test_the_summary_of_an_example_is_one_page(name: str, tmp_path: Path) -> None:
    network = sb.Network.from_file(ROOT / f"examples/{name}.net")
    log = compiled(sb.derive(network).latex(only="results"), tmp_path)
    assert_clean(log)
    assert any("Output written on d.pdf (1 page" in line for line in log)


@pytest.mark.parametrize("name", ["2-3-1", "regularised", "layer_norm"])
def test_the_derivation_for_an_input_compiles(name: str, tmp_path: Path, counts: Counter[str]) -> None:
    network = NETWORKS[name]() if name in NETWORKS else sb.Network.from_file(ROOT / f"examples/{name}.net")
    data = [given.name for given in network.model.inputs if not given.integer]
    assert_clean(compiled(sb.derive(network, of=data).latex(), tmp_path))
    counts["derivations for inputs"] += 1
