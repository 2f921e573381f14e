"""Every language says everything; Korean particles fit what they follow."""

from __future__ import annotations

import re
from collections.abc import Callable
from string import Formatter

import pytest

import symbackprop as sb
from symbackprop.document.language.catalogues import CATALOGUES
from symbackprop.document.language.english import ENGLISH
from symbackprop.document.language.particles import with_particle
from symbackprop.document.printable import Printable
from symbackprop.document.render import render
from tests.conftest import MARKUP


def places(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_catalogue_says_the_same(language: str) -> None:
    catalogue = CATALOGUES[language]
    assert list(dict.fromkeys(catalogue)) == list(catalogue)
    assert catalogue.keys() == ENGLISH.keys()
    for key, sentence in catalogue.items():
        assert places(sentence) == places(ENGLISH[key]), key
        assert sentence, key


def test_particles_only_stand_where_there_are_two_forms() -> None:
    forms = {
        "은/는",
        "이/가",
        "을/를",
        "으로/로",
        "이다/다",
        "이라/라",
        "이라고/라고",
        "이라는/라는",
        "이었다/였다",
        "과/와",
    }
    for sentence in CATALOGUES["ko"].values():
        for _, _, particle, _ in Formatter().parse(sentence):
            assert not particle or particle in forms
    for sentence in ENGLISH.values():
        assert not any(particle for _, _, particle, _ in Formatter().parse(sentence))


@pytest.mark.parametrize(
    ("before", "forms", "expected"),
    [
        ("값", "은/는", "값은"),
        ("오차", "은/는", "오차는"),
        ("(7)", "을/를", "(7)을"),
        ("(5)", "을/를", "(5)를"),
        ("(10)", "을/를", "(10)을"),
        ("x1[j]", "은/는", "x1[j]는"),
        ("$x^{(1)}_{n}$", "은/는", "$x^{(1)}_{n}$은"),
        (r"$\ell$", "이/가", r"$\ell$이"),
        (r"$\delta^{(\ell)}_{j}$", "으로/로", r"$\delta^{(\ell)}_{j}$로"),
        ("n1", "으로/로", "n1로"),
        ("0", "으로/로", "0으로"),
        ("∞", "이다/다", "∞다"),
        ("1/4", "이다/다", "1/4이다"),  # 사분의 일
        (r"$\frac{1}{4}$", "이다/다", r"$\frac{1}{4}$이다"),
        ("1/2 (rate)", "이다/다", "1/2 (rate)이다"),
        ("(50), (52)", "을/를", "(50), (52)를"),
        (r"$\left(x_{n}\right)$", "은/는", r"$\left(x_{n}\right)$은"),
        ("$x^{2}$", "은/는", "$x^{2}$은"),  # 제곱
        ("v'", "은/는", "v'은"),  # 프라임
        (r"$\delta_{i'}$", "을/를", r"$\delta_{i'}$을"),
        ("beta1^step", "으로/로", "beta1^step으로"),
        ("", "은/는", "는"),
    ],
)
def test_the_particle_fits_how_a_formula_is_read(before: str, forms: str, expected: str) -> None:
    assert with_particle(before, forms) == expected


@pytest.mark.parametrize("format", MARKUP)
def test_a_korean_document_has_no_english_sentence(format: str) -> None:
    printed = render(sb.derive(sb.Network("3-4:relu-2:softmax", l2=0.1)), format, title="x", language="ko")
    for word in ("the", "and", "is", "otherwise", "shape", "Insert"):
        assert not re.search(rf"(?<![\\\w]){word}(?!\w)", printed), word
    assert ("kotex" in printed) == (format == "latex")


def test_documents_in_both_languages_have_the_same_numbers() -> None:
    derivation = sb.derive(sb.Network("2-3-3-3-3-1", hidden="tanh"))
    numbers = [
        re.findall(r"\((\d+)\)", render(derivation, "text", title="x", language=language))
        for language in CATALOGUES
    ]
    assert sorted(numbers[0]) == sorted(numbers[1])


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(sb.SpecificationError, match="language: 'kr' is not known; known are: en, ko"):
        sb.derive(sb.Network("2-1")).text(language="kr")
    with pytest.raises(sb.SpecificationError, match="did you mean 'matrix'"):
        sb.derive(sb.Network("2-1")).text("matrx")


@pytest.mark.parametrize("made", [sb.derive, sb.trace, sb.exercise], ids=["derive", "trace", "exercise"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "texxt"}, "format: 'texxt' is not known; did you mean 'text'?"),
        ({"form": "text", "notation": "zaad"}, "notation: 'zaad' is not known; did you mean 'zad'?"),
        ({"form": "html", "language": "kr"}, "language: 'kr' is not known; known are: en, ko"),
    ],
    ids=["format", "notation", "language"],
)
def test_a_wrong_choice_is_told(
    made: Callable[[sb.Network], Printable], options: dict[str, str], message: str
) -> None:
    with pytest.raises(sb.SpecificationError, match=re.escape(message)):
        made(sb.Network("2-1")).document(**options)


@pytest.mark.parametrize("made", [sb.derive, sb.trace, sb.exercise], ids=["derive", "trace", "exercise"])
def test_every_document_is_a_page_too(made: Callable[[sb.Network], Printable]) -> None:
    document = made(sb.Network("2-1"))
    assert document.html().startswith("<!DOCTYPE html>")
    assert document._repr_html_().startswith('<div class="symbackprop"')
