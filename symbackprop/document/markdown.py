"""Markdown: as GitHub shows it, and as the cells of a notebook do.

GitHub reads Markdown before formulas, so that between dollars it takes a backslash before a sign for a mark
of its own; what stands in backticks it leaves to MathJax.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from symbackprop.document.formats import MathFormat
from symbackprop.printing.latex import escape_latex

_NAMED_OPERATOR = re.compile(r"\\operatorname\*?\{([^{}]*)\}")


class MarkdownFormat(MathFormat):
    """Markdown of GitHub: formulas in backticks between dollars, displayed ones in blocks of ``math``."""

    template = "derivation.md.jinja"
    _display = ("```math", "```")

    def escape(self, plain: str) -> str:
        return re.sub(r"([\\`*_{}\[\]<>#|$~&])", r"\\\1", plain)

    def inline(self, formula: str) -> str:
        return f"$`{shown_by_github(formula)}`$"

    def words(self, plain: str) -> str:
        return shown_by_github(rf"\text{{{escape_latex(plain)}}}")

    def extra(self, catalogue: Mapping[str, str], fragment: bool) -> dict[str, object]:
        before, behind = self._display
        return {"before_formula": before, "behind_formula": behind, "begin": "", "end": ""}

    def finished(self, document: str) -> str:
        return re.sub(r"\n{3,}", "\n\n", document)

    def stacked(self, formulas: Sequence[str], label: int) -> str:
        return shown_by_github(super().stacked(formulas, label))

    def _broken(self, left: str, lines: Sequence[str], note: str) -> str:
        return shown_by_github(super()._broken(left, lines, note))


class CellFormat(MarkdownFormat):
    """Markdown of Jupyter: formulas between dollars, displayed ones between two."""

    _display = ("$$", "$$")

    def inline(self, formula: str) -> str:
        return f"${shown_by_github(formula)}$"


def shown_by_github(formula: str) -> str:
    r"""Return a formula without ``\operatorname``, which GitHub refuses, and ``\_``, which it may show so.

    What takes their places is right in LaTeX and KaTeX, too.
    """
    formula = formula.replace(r"\_", r"\underline{\ }")
    return _NAMED_OPERATOR.sub(r"\\mathop{\\mathrm{\1}}", formula)
