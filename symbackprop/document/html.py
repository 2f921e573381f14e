"""A derivation as one page that needs nothing else: no network, and no script to be read.

Formulas are MathML, converted from the LaTeX of the same steps; the network is an SVG in the page, in which
each weight and each unit leads to its derivative.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from xml.sax.saxutils import quoteattr, unescape

from sympy import Expr

from symbackprop.document.blocks import EquationBlock
from symbackprop.document.formats import LatexFormat
from symbackprop.document.mathml import mathml
from symbackprop.equations.steps import Derived
from symbackprop.printing.latex import LatexPrinter
from symbackprop.printing.notation import Notation

_SENTENCES = ("language", "choose", "fold", "unfold", "skip", "copy", "copied")
"""What a page says beside the document itself."""
_LONG = 60
"""Steps from which on a page has a list of its contents, and groups of steps are folded at first."""
_QUOTE = {'"': "&quot;"}
_UNQUOTE = {mark: plain for plain, mark in _QUOTE.items()}
_PENDING = re.compile(r'<math data-latex="([^"]*)"/>([^\s<]*)')
"""A formula in a sentence, with the text that stays on its line: a full stop, or a Korean particle."""


class MathmlPrinter(LatexPrinter):
    """The part of LaTeX that becomes MathML."""

    def place_of_largest(self, letter: str, body: str) -> str:
        return rf"\underset{{{letter}}}{{\mathrm{{argmax}}}} {body}"


class HtmlFormat(LatexFormat):
    """HTML with formulas in MathML."""

    template = "derivation.html.jinja"
    latex_template = False
    _WIDTH = 76
    dots = "…"  # in sentences, too

    def __init__(self, notation: Notation, derivation: Derived) -> None:
        super().__init__(notation, derivation)
        self.printer = MathmlPrinter(notation)

    def escape(self, plain: str) -> str:
        return escape(plain)

    def inline(self, formula: str) -> str:
        # LaTeX until the end: the word after a formula may depend on how it is read aloud.
        return f"<math data-latex={quoteattr(formula, _QUOTE)}/>"

    def words(self, plain: str) -> str:
        return rf"\text{{{plain}}}"

    def stacked(self, formulas: Sequence[str], label: int) -> str:
        equations = [
            formula for formula in formulas if formula.startswith("<math")
        ]  # as formula() gives them
        lines = r" \\ ".join(f"& {formula}" for formula in formulas if formula not in equations)
        return "".join([*equations, mathml(rf"\begin{{align*}} {lines} \end{{align*}}", display=True)])

    def cell(self, expression: Expr) -> str:
        return mathml(_below_each_other("", self.filled(expression, self._TABLE_WIDTH)), display=True)

    def _broken(self, left: str, lines: Sequence[str], note: str) -> str:
        behind = rf" \qquad {note}" if note else ""
        return mathml(_below_each_other(f"{left} = ", lines, behind), display=True)

    def extra(self, catalogue: Mapping[str, str], fragment: bool) -> dict[str, object]:
        from symbackprop.document.drawing.layout import picture_of
        from symbackprop.document.drawing.svg import svg

        # Several derivations may stand on one page of a notebook; their ids must differ.
        digest = hashlib.sha256(self.derivation.description.encode()).hexdigest()
        prefix = f"d{digest[:8]}-" if fragment else ""
        picture = picture_of(self.derivation.model, self.derivation.system, self.printer.notation, catalogue)
        drawn = {q for node in picture.nodes for q in node.quantities}
        drawn |= {q for edge in picture.edges for q in edge.quantities}
        choices = {q: numbers for q, numbers in self._derivatives().items() if q in drawn}
        links = {q: [f"{prefix}step-{number}" for number in numbers] for q, numbers in choices.items()}
        is_long = len(self.derivation.steps) >= _LONG
        return {
            "prefix": prefix,
            "contents": self.escape(catalogue["page.contents"]) if is_long and not fragment else "",
            "opened": "" if is_long else ' open="open"',
            "drawing": svg(picture, links, prefix),
            "choices": [self._choice(number) for numbers in choices.values() for number in numbers],
            **{key: self.escape(catalogue[f"page.{key}"]) for key in _SENTENCES},
        }

    def _derivatives(self) -> dict[str, list[int]]:
        """Return, for each quantity, the steps that end in its derivative and that write it out."""
        found = {name: [number] for name, number in self.derivation.results.items()}
        results = {*self.derivation.results.values()}
        for step in self.derivation.steps:
            if step.rule == "substitution" and step.target in found and step.number not in results:
                found[step.target].append(step.number)
        return found

    def _choice(self, number: int) -> EquationBlock:
        step = self.derivation.by_number[number]
        return EquationBlock(self.label(number), self.formula(step.lhs, step.rhs))

    def finished(self, document: str) -> str:
        """Give each number one place where it stands, and leave no link to a number that stands nowhere.

        Of a run of layers the steps are counted and only some of their numbers are written.
        """
        document = _PENDING.sub(_held, _first_places(document))
        places = set(re.findall(r'id="([^"]*step-\d+)"', document))
        return re.sub(
            r'<a href="#([^"]*step-\d+)">(\(\d+\))</a>', lambda m: m[0] if m[1] in places else m[2], document
        )


def _held(pending: re.Match[str]) -> str:
    """Return a formula together with the characters that no line break may part from it."""
    formula = mathml(unescape(pending[1], _UNQUOTE))
    return f'<span class="held">{formula}{pending[2]}</span>' if pending[2] else formula


def _first_places(document: str) -> str:
    """Return the page with each place named once, where it is first."""
    seen = set(re.findall(r'<div class="[^"]*" id="([^"]*step-\d+)"', document))

    def once(found: re.Match[str]) -> str:
        if found[1] in seen:
            return found[2]
        seen.add(found[1])
        return found[0]

    return re.sub(r'<span id="([^"]*step-\d+)">(\(\d+\))</span>', once, document)


def _below_each_other(left: str, lines: Sequence[str], behind: str = "") -> str:
    """Return the lines of a formula below each other; the later ones stand a little inwards."""
    if len(lines) == 1:
        return f"{left}{lines[0]}{behind}"
    below = "".join(rf" \\ &\quad {line}" for line in lines[1:])
    before, sign, _ = left.rpartition("=")
    return rf"\begin{{align*}} {before}&{sign} {lines[0]}{below}{behind} \end{{align*}}"
