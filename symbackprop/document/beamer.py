"""A derivation as slides: LaTeX for the class beamer, one step with its reason on each."""

from __future__ import annotations

from collections.abc import Mapping

from symbackprop.document.formats import LETTERS, LatexFormat
from symbackprop.printing.latex import escape_latex

_TITLED = str.maketrans(
    {sign: rf"\texorpdfstring{{{formula}}}{{{name}}}" for sign, (formula, name) in LETTERS.items()}
)
"""Letters and signs in a title, which stands in the contents of a PDF, too; these have no formulas."""


class BeamerFormat(LatexFormat):
    """Slides: what is wider than one is set smaller, what is higher goes on, on the next."""

    template = "derivation.beamer.jinja"
    _WIDTH = 54
    _TABLE_WIDTH = 40

    def escape(self, plain: str) -> str:
        return escape_latex(plain).translate(_TITLED)

    def extra(self, catalogue: Mapping[str, str], fragment: bool) -> dict[str, object]:
        known = super().extra(catalogue, fragment)
        del known["one_page"], known["results_told"]  # there are as many slides as it takes
        return known
