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
        ("𝟏", "은/는", "𝟏은"),
        (r"$\mathbf{1}$", "은/는", r"$\mathbf{1}$은"),
        ("X1ᵀ", "은/는", "X1ᵀ는"),
        ("s1", "을/를", "s1을"),
        ("s2", "을/를", "s2를"),
        ("47", "으로/로", "47로"),
        ("1.41232", "이/가", "1.41232가"),
        ("-0.0681", "이/가", "-0.0681이"),
        ("(1/4)^(L-2)", "이다/다", "(1/4)^(L-2)이다"),  # 승
        (r"$x^{(2)}$", "은/는", r"$x^{(2)}$는"),  # the number of a layer is no power
        (r"$\eta g^{2}$", "을/를", r"$\eta g^{2}$을"),
        ("1/N", "이다/다", "1/N이다"),  # 엔분의 일
        ("2/(n0 + n1)", "은/는", "2/(n0 + n1)는"),
        (r"$\frac{2}{n_{0} + n_{1}}$", "은/는", r"$\frac{2}{n_{0} + n_{1}}$는"),
        ("∂E/∂w1", "을/를", "∂E/∂w1을"),
        (r"$\frac{\partial E}{\partial x_{1}}$", "을/를", r"$\frac{\partial E}{\partial x_{1}}$을"),
        ("(y[i] - t[i])²/2", "이다/다", "(y[i] - t[i])²/2이다"),  # 이분의 … 제곱
        ("x[i]/3", "은/는", "x[i]/3는"),
        ("스칼라", "이다/다", "스칼라다"),
        ("v'", "은/는", "v'은"),  # 프라임
        (r"$\delta_{i'}$", "을/를", r"$\delta_{i'}$을"),
        ("beta1^step", "으로/로", "beta1^step으로"),
        ("", "은/는", "는"),
    ],
)
def test_the_particle_fits_how_a_formula_is_read(before: str, forms: str, expected: str) -> None:
    assert with_particle(before, forms) == expected


def test_no_korean_sentence_fixes_the_particle_behind_a_formula() -> None:
    fixed = r"\{\w+\}(?:은|는|이|가|을|를|과|와|으로|로|라)(?![가-힣])"
    for key, sentence in CATALOGUES["ko"].items():
        assert not re.search(fixed, sentence), key


def test_korean_as_it_is_written() -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    text = " ".join(derivation.text("layered", "ko").split())
    for said in (
        "입력 x0[k]의 모양은 (n0)이다.",
        "매개변수 w1[k,j]의 모양은 (n0, n1), b1[j]의 모양은 (n1), ",
        "w2[j,i]의 모양은 (n1, n2), b2[i]의 모양은 (n2)이다.",
        "log(1 - x2[i])) 스칼라",
        "미분: 출력에서 입력 쪽으로",
        "𝟏은 성분이 모두 1인 벡터로",
        "즉 x2[i] → 0이면",
        "벌점이 한없이 커진다",
        "매개변수의 성분 하나를 w, E를 w로 미분한 값을 g라 하자.",
        "학습률은 보폭을 정한다.",
        "나쁜 극소점에서",
    ):
        assert said in text
    for worn in ("걸음", "곧 ", "𝟏는", "자료"):
        assert worn not in text
    example = " ".join(sb.trace(sb.Network("2-2-2")).text(language="ko").split())
    for said in ("갱신 후.", "갱신 전에 E는 1.73503이었다", "갱신 순서.", "w2를 먼저 갱신하면"):
        assert said in example


def test_two_ways_are_counted() -> None:
    penalised = sb.derive(sb.Network("2-3-1", l2=0.1)).text("layered", "ko")
    said = "E는 두 길로 w2[j,i]에 의존한다. s2[i]를 거치는 길과 직접 가는 길이다."
    assert said in " ".join(penalised.split())


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
