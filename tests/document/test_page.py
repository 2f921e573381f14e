"""The page and the MathML in it: well formed, whole, escaped, and from the steps alone."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace

import pytest

import symbackprop as sb
from symbackprop.commands.theorem import Check, derive_theorem
from symbackprop.commands.theorem_document import render_theorem
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.document.html import HtmlFormat
from symbackprop.document.language.catalogues import CATALOGUES
from symbackprop.document.mathml import mathml
from symbackprop.document.printable import printable
from symbackprop.document.render import render
from symbackprop.equations.steps import Derived
from symbackprop.printing.notation import notation_for
from symbackprop.printing.templating import linked
from tests.conftest import ROOT
from tests.networks import equations
from tests.zoo import ZOO

MATH = "{http://www.w3.org/1998/Math/MathML}"

DERIVED = {
    "2-3-1": lambda: sb.derive(sb.Network("2-3-1")),
    "classifier": lambda: sb.derive(sb.Network("784-128:relu-10:softmax", l2=0.01), optimizer="adam"),
    "four layers": lambda: sb.derive(sb.Network("5-4-3-2-2", hidden="tanh")),
    "deep": lambda: sb.derive(sb.Network("-".join(["3"] * 10))),
    "no model": lambda: printable(derive_system(ZOO["tied_weights"]())),
    "attention": lambda: sb.derive(equations("attention")),
    "convolution": lambda: sb.derive(equations("convolution")),
}


@pytest.fixture(scope="module", params=DERIVED)
def derivation(request: pytest.FixtureRequest) -> Derived:
    return DERIVED[request.param]()


def parsed(page: str) -> ET.Element:
    """Return a page as a tree; that is also the check that it is well formed."""
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>\n"))


def with_class(root: ET.Element, name: str) -> Iterator[ET.Element]:
    return (element for element in root.iter() if name in (element.get("class") or "").split())


# ------------------------------------------------------------------------------------------- MathML


def shown_part(math: ET.Element) -> ET.Element:
    """Return what a formula shows, without the LaTeX that it carries."""
    (semantics,) = math
    shown, annotation = semantics
    assert annotation.tag == f"{MATH}annotation"
    return shown


def test_every_formula_carries_its_latex(derivation: Derived) -> None:
    for math in parsed(derivation.html()).iter(f"{MATH}math"):
        annotation = math.find(f"{MATH}semantics/{MATH}annotation")
        assert annotation is not None
        assert annotation.get("encoding") == "application/x-tex"
        latex = annotation.text or ""
        assert latex
        assert "align*" not in latex  # which can't stand between dollars
        assert latex.count("{") - latex.count("}") == latex.count(r"\{") - latex.count(r"\}")


def test_mathml_is_well_formed_and_escapes_what_is_markup() -> None:
    element = ET.fromstring(mathml(r"\text{a & b <i>} < x_{1}", display=True))
    assert element.get("display") == "block"
    assert "".join(shown_part(element).itertext()).replace("\xa0", " ") == "a & b <i><x1"


def test_words_are_one_identifier_and_letters_are_their_own() -> None:
    root = ET.fromstring(mathml(r"\mathrm{score}_{pr} a b"))
    assert [mi.text for mi in root.iter(f"{MATH}mi")] == ["score", "p", "r", "a", "b"]
    assert not [mi for mi in root.iter() if mi.get("mathvariant")]


def test_bold_letters_need_no_attribute() -> None:
    root = ET.fromstring(mathml(r"\boldsymbol{\Delta} \mathbf{1} \mathbf{W} \boldsymbol{\delta}"))
    assert "".join(shown_part(root).itertext()) == "𝚫𝟏𝐖𝜹"
    assert not [element for element in root.iter() if element.get("mathvariant")]


def test_what_is_no_operator_has_no_space_of_one() -> None:
    root = ET.fromstring(mathml(r"\infty, \dots"))
    assert [mo.text for mo in root.iter(f"{MATH}mo")] == [","]


def test_functions_stand_apart_from_their_arguments() -> None:
    def spaces(formula: str) -> int:
        return len(ET.fromstring(mathml(formula)).findall(f".//{MATH}mspace"))

    assert spaces(r"t \log x") == 2
    assert spaces(r"\log\left(x\right)") == 0
    assert spaces(r"a + \tanh^{2} s") == 1
    assert spaces("a b") == 0


def test_a_sum_has_both_bounds_above_and_below() -> None:
    root = ET.fromstring(mathml(r"\sum_{\ell=1}^{20} x", display=True))
    assert root.find(f".//{MATH}munderover") is not None


def test_a_sign_knows_whether_a_term_stands_before_it() -> None:
    def forms(formula: str) -> list[str | None]:
        return [mo.get("form") for mo in ET.fromstring(mathml(formula)).iter(f"{MATH}mo") if mo.text == "−"]

    assert forms("x = -t - b") == ["prefix", None]
    assert forms(r"\left(1 - t\right) - \left(-t\right)") == [None, None, "prefix"]


def test_sums_have_their_index_below_on_a_line_of_their_own() -> None:
    bracketed = r"\left(\sum_{i} a\right) + \frac{1}{\sum_{j} b}"
    displayed, inline = (ET.fromstring(mathml(bracketed, display)) for display in (True, False))
    assert len(displayed.findall(f".//{MATH}munder")) == 1
    assert len(displayed.findall(f".//{MATH}msub")) == 1
    assert not inline.findall(f".//{MATH}munder")


def test_lines_of_a_long_formula_are_rows() -> None:
    root = ET.fromstring(mathml(r"\begin{align*} E &= a \\ &\quad + b \end{align*}", display=True))
    assert len(root.findall(f".//{MATH}mtr")) == 2
    assert [mtd.get("class") for mtd in root.iter(f"{MATH}mtd")] == ["right", "left"] * 2


def test_what_is_not_known_is_an_error() -> None:
    with pytest.raises(sb.UnsupportedExpression, match=r"\\\\foo"):
        mathml(r"\foo{x}")


def test_numbers_in_sentences_lead_to_their_equations() -> None:
    sentence = 'By (4), not <b title="(5)">x(6)</b>.'
    link = '<a href="#d-step-{0}">({0})</a>'
    assert linked(sentence, "d-") == f'By {link.format(4)}, not <b title="(5)">x{link.format(6)}</b>.'


# --------------------------------------------------------------------------------------------- page


def printed_numbers(root: ET.Element) -> list[str]:
    """Return the numbers of the equations in the order in which they stand."""
    steps = with_class(root, "step")
    return ["".join(number.itertext()) for step in steps for number in with_class(step, "number")]


def test_every_equation_stands_once_in_the_same_order_as_in_the_text(derivation: Derived) -> None:
    root = parsed(derivation.html())
    numbers = printed_numbers(root)
    in_text = re.findall(r"^(?:=>|  ) +(\(\d+\))  ", derivation.text(), re.MULTILINE)
    assert numbers == list(dict.fromkeys(in_text))
    assert len(numbers) == len(set(numbers)) > len(derivation.labels)
    if len(derivation.system.equations) < 8:  # no layers that are said once
        every = [*derivation.labels.values(), *derivation.by_number]
        assert sorted(numbers) == sorted(f"({n})" for n in every)
    results = {step.get("id") for step in with_class(root, "result")}
    results.discard(None)  # what is said of any layer has no number of its own
    assert results <= {f"step-{n}" for n in derivation.results.values()}
    assert results


def test_every_formula_is_that_of_its_step(derivation: Derived) -> None:
    style = HtmlFormat(notation_for(derivation), derivation)
    page = derivation.html()
    checked = 0
    for kind, number, formula, label in re.findall(
        r'id="(step|choice)-(\d+)">(?:\n<p>.*?</p>)?\n<div class="equation"><div class="formula">(.*?)</div>'
        r'<span class="number">\((\d+)\)',
        page,
    ):
        assert number == label
        step = derivation.by_number.get(int(number))
        if step is not None and (kind == "choice" or r"ℓ" not in formula):
            assert formula == style.formula(step.lhs, step.rhs)
            checked += 1
    assert checked > len(derivation.results)


def test_another_step_is_another_page() -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    number = derivation.results["w1"]
    step = derivation.by_number[number]
    changed = derivation.with_step(replace(step, rhs=step.rhs * 3)).html()
    before, after = derivation.html().splitlines(), changed.splitlines()
    different = [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    stated = [n for n in different if f"({number})" in after[n]]
    # Six weights that are drawn, each with a way besides; the step, the first page, and all results.
    assert len(stated) == 6 + 4
    assert len(different) == 6 + len(stated)


def test_ids_are_unique_and_every_link_leads_somewhere(derivation: Derived) -> None:
    for page in (derivation.html(), derivation.html(fragment=True)):
        root = parsed(page)
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
        targets = {
            (element.get("href") or "").removeprefix("#") for element in root.iter() if element.get("href")
        }
        assert targets <= set(ids)
        assert targets
    assert re.findall(r"https?://[^\"]*", page.replace("/1998/Math/MathML", "/2000/svg")) == [
        "http://www.w3.org/2000/svg"
    ] * len(re.findall(r"https?://", page))


def test_each_weight_and_unit_leads_to_its_own_derivative(derivation: Derived) -> None:
    root = parsed(derivation.html())
    choices = list(with_class(root, "choice"))
    assert choices
    for choice in choices:
        assert choice.tag.endswith("}a")
        assert choice.get("tabindex") == "0"
        first, *_ = (choice.get("data-results") or "").split()
        assert choice.get("href") == f"#{first}"
        target = derivation.by_number[int(first.removeprefix("step-"))].target
        assert re.search(rf"\b[a-z]*{re.sub('^[sx]', '', target)}\b", choice.get("aria-label") or "")
    led_to = {id for choice in choices for id in (choice.get("data-results") or "").split()}
    shown = {f"step-{derivation.results[q]}" for q in derivation.system.parameters}
    if derivation.model is not None and len(derivation.system.parameters) <= 8:
        assert shown <= led_to


def test_steps_fold_and_all_is_readable_without_a_script(derivation: Derived) -> None:
    root = parsed(derivation.html())
    folds = [fold for fold in root.iter("details") if fold.get("class") == "group"]
    is_long = next(root.iter("nav"), None) is not None
    assert 0 < len(folds) <= len({step.target for step in derivation.steps})
    for fold in folds:
        assert fold.get("open") == (None if is_long else "open")
        assert fold[0].tag == "summary"
        assert fold[0].find("h3") is not None
    assert len(list(root.iter("script"))) == 1
    assert len(list(root.iter(f"{MATH}math"))) > len(printed_numbers(root))


@pytest.mark.parametrize("language", CATALOGUES)
def test_the_page_names_its_language_and_its_title(language: str) -> None:
    root = parsed(render(sb.derive(sb.Network("2-3-1")), "html", title="2-3-1", language=language))
    assert root.get("lang") == language
    assert root.findtext("head/title") == root.findtext(".//h1") == "2-3-1"
    text = "".join(root.itertext())
    assert ("은닉층" in text or "오차" in text) == (language == "ko")


def test_particles_fit_how_a_formula_is_read() -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    words = [render(derivation, form, title="", language="ko") for form in ("html", "markdown")]
    for particle in ("은", "는", "을", "를", "으로"):
        in_html = re.findall(rf"</math>{particle}\b", words[0])
        assert len(in_html) == len(re.findall(rf"`\${particle}\b", words[1])), particle


def test_the_theorem_is_a_page_too() -> None:
    theorem = derive_theorem(sb.Network("2-2-2"))
    page = render_theorem(theorem, Check((), ()), "html")
    root = parsed(page)
    assert not list(root.iter("figure"))
    assert len(printed_numbers(root)) > 20
    targets = {(a.get("href") or "").removeprefix("#") for a in root.iter("a")}
    assert targets <= {element.get("id") for element in root.iter()}


def test_what_a_user_wrote_is_text() -> None:
    derivation = sb.derive(sb.Network("2-3:(Piecewise((s, s < 0), (0.1*s, True)))-1", loss="(x - t)**2"))
    assert "s &lt; 0" in derivation.html()
    parsed(derivation.html())
    title = "</title><script>alert('x')</script> & \"q\" ]]>"
    root = parsed(render(derivation, "html", title=title, header=["<b>"]))
    assert root.findtext(".//h1") == title
    assert len(list(root.iter("script"))) == 1
    assert not list(root.iter("b"))


def test_a_notebook_gets_a_part_with_ids_of_its_own() -> None:
    first, second = (sb.derive(sb.Network(name))._repr_html_() for name in ("2-3-1", "2-4-1"))
    assert first.startswith('<div class="symbackprop" lang="en">')
    assert "<h1>" not in first
    ids = [set(re.findall(r'id="([^"]*)"', part)) for part in (first, second)]
    assert not ids[0] & ids[1]
    assert first == sb.derive(sb.Network("2-3-1"))._repr_html_()


def test_the_script_can_stand_in_well_formed_markup() -> None:
    for name in ("page.js", "page.css"):
        text = (ROOT / "templates" / name).read_text(encoding="utf-8")
        assert not re.search(r"<|&|{{|{%|{#", text), name


def test_a_deep_page_explains_equal_layers_once() -> None:
    sizes = [len(sb.derive(sb.Network("-".join(["3"] * n))).html()) for n in (6, 21)]
    assert sizes[1] < 2 * sizes[0]  # of each further layer there are the formulas alone


def test_a_full_stop_stays_with_the_formula_before_it() -> None:
    page = render(sb.derive(sb.Network("2-3-1")), "html", title="")
    stops = re.findall(r"</math>[.,;:]", page)
    assert stops
    assert len(re.findall(r'<span class="held"><math(?:(?!</math>).)*</math>[.,;:]', page)) == len(stops)


LONG = "2-3-4-3:tanh-2-4-2"


def test_a_long_page_has_its_contents_and_folds_its_steps() -> None:
    derivation = sb.derive(sb.Network(LONG, hidden="gelu"))
    root = parsed(derivation.html())
    (nav,) = root.iter("nav")
    assert nav.get("aria-label") == "Contents"
    targets = [(link.get("href") or "").removeprefix("#") for link in nav.iter("a")]
    identifiers = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(identifiers)) == len(identifiers)
    assert set(targets) <= set(identifiers)
    headings = [element.get("id") for element in root.iter("h2")]
    groups = [fold.get("id") for fold in root.iter("details") if fold.get("class") == "group"]
    assert len(groups) > 5
    assert sorted(targets) == sorted([*headings, *groups])  # type: ignore[type-var]
    assert not [fold for fold in root.iter("details") if fold.get("class") == "group" and fold.get("open")]


def test_a_short_page_and_a_part_have_no_contents() -> None:
    for page in (sb.derive(sb.Network("2-3-1")).html(), sb.derive(sb.Network(LONG))._repr_html_()):
        assert "<nav" not in page


@pytest.mark.parametrize("language", CATALOGUES)
def test_the_first_link_skips_the_drawing(language: str) -> None:
    root = parsed(sb.derive(sb.Network("2-3-1")).html(language=language))
    first = next(element for element in root.iter() if element.tag.endswith("}a") or element.tag == "a")
    assert first.get("class") == "skip"
    assert first.text == CATALOGUES[language]["page.skip"]
    order = list(root.iter())
    place = next(element for element in order if f"#{element.get('id')}" == first.get("href"))
    assert order.index(place) > max(order.index(figure) for figure in root.iter("figure"))
