"""Slides: an idea on each, under the sections of the derivation; that they compile is tried in rendered/."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import symbackprop as sb
from symbackprop.cli import app
from symbackprop.document.language.catalogues import CATALOGUES


def frames_of(slides: str) -> list[str]:
    """Return what stands on each slide: frames, parted where a slide is to end."""
    frames = re.findall(r"\\begin\{frame\}(.*?)\\end\{frame\}", slides, re.DOTALL)
    return [slide for frame in frames for slide in frame.split(r"\framebreak")]


@pytest.fixture(scope="module")
def derivation() -> sb.Derivation:
    return sb.derive(sb.Network("2-3-1"))


@pytest.mark.parametrize("language", CATALOGUES)
def test_each_step_is_a_slide_with_its_reason(derivation: sb.Derivation, language: str) -> None:
    slides = frames_of(derivation.document("beamer", language=language))
    assert len(slides) > len(derivation.steps)
    for step in derivation.steps:
        (slide,) = [each for each in slides if rf"\tag{{{step.number}}}" in each]
        assert slide.count(r"\tag{") == 1
        assert re.search(r"\\emph\{[^}]+\.\} \S+", slide)


def test_slides_have_the_sections_of_the_article(derivation: sb.Derivation) -> None:
    article, slides = derivation.latex(), derivation.document("beamer")
    sections = re.findall(r"\\section\*\{(.*)\}", article)
    assert re.findall(r"\\section\{(.*)\}", slides) == sections
    assert slides.count(r"\begin{frame}") == slides.count(r"\end{frame}") > len(sections)
    assert slides.count(r"\boxed{") == article.count(r"\boxed{")


def test_long_formulas_are_broken_for_slides() -> None:
    derivation = sb.derive(sb.Network("2-2:mish-1"))
    assert derivation.document("beamer").count(r" \\ &\quad ") > derivation.latex().count(r" \\ &\quad ")


def test_korean_slides_load_korean_letters(derivation: sb.Derivation) -> None:
    assert r"\usepackage{kotex}" in derivation.document("beamer", language="ko")
    assert "kotex" not in derivation.document("beamer")


def test_the_format_is_named_and_the_suffix_stays_an_article(tmp_path: Path) -> None:
    for options, name in (["--format", "beamer"], "beamer"), ([], "article"):
        file = tmp_path / "derivation.tex"
        assert CliRunner().invoke(app, ["derive", "2-1", "-o", str(file), *options]).exit_code == 0
        assert re.search(rf"\\documentclass\[.*\]\{{{name}\}}", file.read_text(encoding="utf-8"))


def test_a_fragment_is_the_frames_alone(tmp_path: Path) -> None:
    file = tmp_path / "frames.tex"
    arguments = ["derive", "2-1", "--format", "beamer", "--fragment", "-o", str(file)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    frames = file.read_text(encoding="utf-8")
    assert r"\documentclass" not in frames
    assert len(frames_of(frames)) > 10
