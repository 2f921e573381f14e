"""Slides of many networks in every language: they compile, and no box is larger than its slide."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop.commands.theorem import derive_theorem
from symbackprop.commands.theorem_document import render_theorem
from symbackprop.document.language.catalogues import CATALOGUES
from symbackprop.document.render import render
from symbackprop.document.summary import summary_of
from tests.conftest import ROOT
from tests.document.rendered.test_latex import NETWORKS, compiled, derived
from tests.networks import equations

pytestmark = pytest.mark.documents


def assert_clean(log: list[str]) -> None:
    wrong = r"^!|Missing character|Warning|Overfull"
    assert [line for line in log if re.search(wrong, line)] == []


@pytest.mark.parametrize("language", CATALOGUES)
@pytest.mark.parametrize("name", NETWORKS)
def test_slides_compile(name: str, language: str, tmp_path: Path, counts: Counter[str]) -> None:
    derivation = derived(name)
    assert_clean(compiled(render(derivation, "beamer", title=derivation.title, language=language), tmp_path))
    counts[f"slides compiled ({language})"] += 1


def theorem_in(language: str) -> str:
    found = derive_theorem(sb.Network("2-2-2"))
    return render_theorem(found, found.check(), "beamer", language=language)


OTHERS: dict[str, Callable[[str], str]] = {
    "trace": lambda language: sb.trace(sb.Network("2-2-2")).document("beamer", language=language),
    "trace of attention": lambda language: sb.trace(equations("attention")).document(
        "beamer", language=language
    ),
    "exercise": lambda language: sb.exercise(sb.Network("784-128:relu-10:softmax")).document(
        "beamer", language=language
    ),
    "theorem": theorem_in,
    "matrix": lambda language: derived("2-3-1").document("beamer", "matrix", language=language),
    "second": lambda language: sb.derive(sb.Network("2-3-1"), order=2).document("beamer", language=language),
    "transformer": lambda language: sb.derive(
        sb.Network.from_file(ROOT / "examples" / "transformer.net")
    ).document("beamer", language=language),
    "summary": lambda language: render(
        derived("twenty layers"), "beamer", title="", language=language, instead=summary_of
    ),
}


@pytest.mark.parametrize("language", CATALOGUES)
@pytest.mark.parametrize("name", OTHERS)
def test_slides_of_other_documents_compile(
    name: str, language: str, tmp_path: Path, counts: Counter[str]
) -> None:
    assert_clean(compiled(OTHERS[name](language), tmp_path))
    counts[f"slides of other documents compiled ({language})"] += 1


def test_a_fragment_is_frames_for_slides_of_ones_own(tmp_path: Path) -> None:
    fragment = sb.derive(sb.Network("2-3-1")).document("beamer", fragment=True)
    assert "documentclass" not in fragment
    fonts = r"\usepackage[T1]{fontenc}\usepackage{lmodern}\usefonttheme{professionalfonts}"
    before = rf"\documentclass{{beamer}}{fonts}\usepackage{{tikz}}"
    assert_clean(compiled(rf"{before}\begin{{document}}{fragment}{fragment}\end{{document}}", tmp_path))
