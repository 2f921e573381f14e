"""A derivation as slides: LaTeX for the class beamer, one step with its reason on each."""

from __future__ import annotations

from collections.abc import Mapping

from symbackprop.document.formats import LETTERS, LatexFormat
from symbackprop.printing.latex import escape_latex


class BeamerFormat(LatexFormat):
    """Slides: what is wider than one is set smaller, what is higher goes on, on the next."""

    template = "derivation.beamer.jinja"
    _WIDTH = 54
    _TABLE_WIDTH = 40

    def escape(self, plain: str) -> str:
        # the contents of a PDF have no formulas
        shown = {ord(s): rf"\texorpdfstring{{{formula}}}{{{name}}}" for s, (formula, name) in LETTERS.items()}
        return escape_latex(plain).translate(shown)

    def extra(self, catalogue: Mapping[str, str], fragment: bool) -> dict[str, object]:
        known = super().extra(catalogue, fragment)
        del known["one_page"], known["compact"], known["results_told"]  # there are as many slides as it takes
        return known
