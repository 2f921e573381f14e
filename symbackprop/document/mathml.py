"""LaTeX formulas as MathML that browsers show without a script.

The conversion is that of `latex2mathml <https://pypi.org/project/latex2mathml/>`_.  The rest is done
here: texts are escaped, an upright word is one identifier, functions stand apart from their arguments, a
minus sign knows whether anything stands before it, and attributes that MathML Core does not have are gone.
"""

from __future__ import annotations

import html
import unicodedata
from functools import lru_cache
from xml.etree.ElementTree import Element, tostring

from symbackprop.errors import UnsupportedExpression

_TEXTS = ("mi", "mo", "mn", "mtext")
_SCRIPTED = ("msub", "msup", "msubsup", "munder", "munderover")
_NOT_IN_CORE = ("columnalign", "rowspacing", "columnspacing", "linebreak")
_NO_OPERATORS = ("∞", "…", "⋯")
_SIGNS = ("−", "-", "+")
_OPENING = ("(", "[", "{", "|")
_WITH_LIMITS = ("∑", "max", "min", "lim")
_LIMITS = {"msub": "munder", "msubsup": "munderover"}
_THIN = "0.167em"
_TEX = "application/x-tex"


@lru_cache(maxsize=4096)
def mathml(formula: str, display: bool = False) -> str:
    """Return a formula, LaTeX without dollars, as a ``math`` element, which carries that LaTeX, too.

    Raises:
        UnsupportedExpression: a command that the conversion does not know.
    """
    # Imported here: the table of symbols takes longer to read than most commands run.
    from latex2mathml.converter import convert_to_element

    element = convert_to_element(formula, display="block" if display else "inline")
    _tidy(element)
    _set_limits(element, display)
    for part in element.iter():
        if part.text and "\\" in part.text:
            raise UnsupportedExpression(f"MathML: {part.text!r} is not known, in {formula}")
    _annotate(element, formula)
    return tostring(element, encoding="unicode")


def _annotate(element: Element, formula: str) -> None:
    """Put the LaTeX of a formula into its element, where a reader's tools look for it."""
    semantics = Element("semantics")
    (row,) = element
    annotation = Element("annotation", encoding=_TEX)
    annotation.text = formula.replace("{align*}", "{aligned}")  # which may stand inside a formula
    semantics.extend((row, annotation))
    element[:] = [semantics]


def _tidy(element: Element) -> None:
    if element.tag in _TEXTS and element.text:
        element.text = html.unescape(element.text)
        if element.get("mathvariant", "").startswith("bold"):
            element.text = _bold(element.text, element.attrib.pop("mathvariant"))
    if element.tag == "mo" and element.text in _NO_OPERATORS:
        element.tag = "mi"
    if element.tag == "mo" and element.text == "/":
        element.set("lspace", "0")
        element.set("rspace", "0")
    if element.tag == "mtd":
        element.set("class", element.get("columnalign", "center"))
    for name in _NOT_IN_CORE:
        element.attrib.pop(name, None)
    for child in element:
        _tidy(child)
    _join_words(element)
    if element.tag not in _SCRIPTED:
        _mark_signs(element)
        _set_functions_apart(element)


def _bold(text: str, variant: str) -> str:
    """Return the bold letters of Unicode: MathML Core has no attribute for them."""
    found = []
    for letter in text:
        kind = unicodedata.name(letter, "").replace("GREEK ", "").replace("LATIN ", "").replace("LETTER ", "")
        slanted = "ITALIC " if variant == "bold-italic" and letter.islower() else ""
        try:
            found.append(unicodedata.lookup(f"MATHEMATICAL BOLD {slanted}{kind}"))
        except KeyError:  # a sign, which has no bold form
            found.append(letter)
    return "".join(found)


def _join_words(element: Element) -> None:
    """Make one identifier of upright letters that follow each other."""
    children: list[Element] = []
    for child in element:
        if children and _is_upright(child) and _is_upright(children[-1]):
            children[-1].text = (children[-1].text or "") + (child.text or "")
        else:
            children.append(child)
    for child in children:
        if child.tag == "mi" and len(child.text or "") > 1:
            child.attrib.pop("mathvariant", None)  # a word is upright by itself
    element[:] = children


def _mark_signs(element: Element) -> None:
    """Tell a sign that stands behind another operator from one that stands between two terms."""
    before: Element | None = None
    for child in element:
        if child.tag == "mo" and child.text in _SIGNS and (before is None or _is_operator(before)):
            child.set("form", "prefix")
        if child.tag != "mspace" and not (child.tag == "mi" and not child.text):
            before = child


def _set_functions_apart(element: Element) -> None:
    """Put a thin space between a function and a factor before it, or an argument without brackets."""
    children: list[Element] = []
    for child in element:
        before = children[-1] if children else None
        if before is not None and before.tag != "mspace":
            factor_before = _is_function(child) and not _is_operator(before)
            bare_argument = _is_function(before) and not _opens(child) and not _is_operator(child)
            if factor_before or bare_argument:
                children.append(Element("mspace", width=_THIN))
        children.append(child)
    element[:] = children


def _set_limits(element: Element, display: bool) -> None:
    """Set the index of a sum below it, in brackets too, as LaTeX does in a formula on its own line."""
    if display and element.tag in _LIMITS and element[0].text in _WITH_LIMITS:
        element.tag = _LIMITS[element.tag]
    if element.tag == "mtable":
        display = element.get("displaystyle") == "true"
    inside = display and element.tag not in (*_SCRIPTED, "mfrac", "msqrt")
    for child in element:
        _set_limits(child, inside)


def _is_upright(element: Element) -> bool:
    return element.tag == "mi" and element.get("mathvariant") == "normal"


def _is_operator(element: Element) -> bool:
    return element.tag == "mo" and element.text not in (")", "]", "}")


def _is_function(element: Element) -> bool:
    base = element[0] if element.tag in _SCRIPTED and len(element) else element
    return base.tag in ("mi", "mo") and (base.text or "").isalpha() and (base.text or "") in _FUNCTIONS


def _opens(element: Element) -> bool:
    first = element[0] if element.tag == "mrow" and len(element) else element
    return first.tag == "mo" and first.text in _OPENING


_FUNCTIONS = {"exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan", "arcsin", "arccos"}
_FUNCTIONS |= {"max", "min", "erf", "lim", "argmax", "sign", "floor", "round", "lgamma", "digamma"}
