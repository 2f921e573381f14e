"""A derivation as one page that needs nothing else: no network, and no script to be read.

Formulas are MathML, converted from the LaTeX of the same steps; the network is an SVG in the page, in which
each weight and each unit leads to its derivative.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from html import escape

from sympy import Expr

from symbackprop.derivation import Derivation
from symbackprop.document import LatexFormat
from symbackprop.language import CATALOGUES
from symbackprop.mathml import mathml
from symbackprop.printing import LatexPrinter, Notation

PAGE_SENTENCES = ("choose", "fold", "unfold")
"""What the page says beside the derivation: the keys of the catalogue that begin with ``page.``."""


class MathmlPrinter(LatexPrinter):
    """The part of LaTeX that becomes MathML."""

    def place_of_largest(self, letter: str, body: str) -> str:
        return rf"\underset{{{letter}}}{{\mathrm{{argmax}}}} {body}"


class HtmlFormat(LatexFormat):
    """HTML with formulas in MathML."""

    template = "derivation.html.jinja"
    latex_template = False
    _WIDTH = 76

    def __init__(self, notation: Notation, derivation: Derivation) -> None:
        super().__init__(notation, derivation)
        self.printer = MathmlPrinter(notation)

    def escape(self, plain: str) -> str:
        return escape(plain)

    def inline(self, formula: str) -> str:
        return mathml(formula)

    def words(self, plain: str) -> str:
        return rf"\text{{{plain}}}"

    def formula(self, lhs: Expr, rhs: Expr, note: str = "") -> str:
        left = self.printer.show(lhs)
        lines = self.filled(rhs, self._WIDTH - self.measure(left + "=" + note))
        behind = rf" \qquad {note}" if note else ""
        return mathml(_below_each_other(f"{left} = ", f"{left} &= ", lines, behind), display=True)

    def cell(self, expression: Expr) -> str:
        lines = self.filled(expression, self._TABLE_WIDTH)
        return mathml(_below_each_other("", "& ", lines), display=True)

    def extras(self, language: str, fragment: bool) -> dict[str, object]:
        from symbackprop.drawing import picture_of
        from symbackprop.drawing.svg import svg

        # Several derivations may stand on one page of a notebook; their ids must differ.
        prefix = (
            f"d{hashlib.sha256(self.derivation.description.encode()).hexdigest()[:8]}-" if fragment else ""
        )
        picture = picture_of(self.derivation, notation=self.notation, language=language)
        catalogue = CATALOGUES[language]
        return {
            "language": language,
            "prefix": prefix,
            "drawing": svg(picture, derivative_ids(self.derivation, prefix), prefix),
            **{f"{name}_sentence": self.escape(catalogue[f"page.{name}"]) for name in PAGE_SENTENCES},
        }


def derivative_ids(derivation: Derivation, prefix: str = "") -> dict[str, list[str]]:
    """Return, for each quantity, the ids of the steps that end in its derivative and that write it out."""
    found = {name: [number] for name, number in derivation.results.items()}
    for step in derivation.steps:
        if step.rule == "substitution" and step.target in found:
            found[step.target].append(step.number)
    return {name: [f"{prefix}step-{number}" for number in numbers] for name, numbers in found.items()}


def _below_each_other(first: str, aligned_first: str, lines: Sequence[str], behind: str = "") -> str:
    """Return the lines of a formula below each other; the later ones stand a little inwards."""
    if len(lines) == 1:
        return f"{first}{lines[0]}{behind}"
    below = "".join(rf" \\ &\quad {line}" for line in lines[1:])
    return rf"\begin{{align*}} {aligned_first}{lines[0]}{below}{behind} \end{{align*}}"
