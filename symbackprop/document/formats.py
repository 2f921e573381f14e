"""The formats text and LaTeX, and what all formats have: how each writes formulas and plain text."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from sympy import Add, Derivative, Expr, Mul, Rational

from symbackprop.document.blocks import ResultRow
from symbackprop.document.drawing.picture import Picture
from symbackprop.equations.steps import Derived, differentiated
from symbackprop.printing.latex import FlatLatexPrinter, LatexPrinter, escape_latex
from symbackprop.printing.notation import Notation
from symbackprop.printing.printer import Printer
from symbackprop.printing.templating import columns
from symbackprop.printing.text import STROKE, TextPrinter

_DEEPEST = 5
"""Levels of brackets inside of which a line may end."""


class Format(ABC):
    """A format of documents: how it writes formulas and plain text."""

    template: ClassVar[str]
    latex_template: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    """Whether the document shows the network as a picture."""
    printer: Printer

    def __init__(self, notation: Notation, derivation: Derived) -> None:
        self.derivation = derivation

    def blank(self) -> str:
        """Return the label of an equation that has no number."""
        return ""

    def extra(self, catalogue: Mapping[str, str], fragment: bool) -> dict[str, object]:
        """Return the part of the template context that this format alone has."""
        return {}

    def drawn(self, picture: Picture, fragment: bool) -> str:
        """Return a picture of the network as the format has it, nothing where it has none."""
        return ""

    def finished(self, document: str) -> str:
        """Return the document as its template made it, with the last touch where a format needs one."""
        return document

    @abstractmethod
    def escape(self, plain: str) -> str:
        """Return plain text so that no character of it is markup."""

    @abstractmethod
    def code(self, line: str) -> str:
        """Return a line of code."""

    @abstractmethod
    def inline(self, formula: str) -> str:
        """Return a formula inside a sentence."""

    @abstractmethod
    def words(self, plain: str) -> str:
        """Return plain text inside a formula."""

    @abstractmethod
    def label(self, number: int) -> str:
        """Return the number of an equation as the template places it."""

    @abstractmethod
    def slashed(self, above: Expr, below: Expr) -> str:
        """Return the derivative of ``above`` with respect to ``below`` on one line."""

    @abstractmethod
    def on_one_line(self, expression: Expr) -> str:
        """Return a formula that is not high, so that it fits into a line of words."""

    def heading(self, derivative: Expr) -> str:
        """Return the heading of the steps that lead to ``derivative``."""
        loss = self.derivation.system.quantities[self.derivation.system.loss].symbol
        return self.inline(self.slashed(loss, differentiated(derivative, self.derivation)))

    @abstractmethod
    def formula(self, lhs: Expr, rhs: Expr, note: str = "") -> str:
        """Return an equation on a line of its own, broken where it is too long."""

    @abstractmethod
    def display(self, left: str, parts: Sequence[str], note: str = "") -> str:
        """Return a finished equation on a line of its own; it may be broken between the parts."""

    @abstractmethod
    def stacked(self, formulas: Sequence[str], label: int) -> str:
        """Return formulas below each other as one; the first is that of the equation ``label``."""

    def cell(self, expression: Expr) -> str:
        """Return a formula in the table of results."""
        return self.cell_of(self.filled(expression, self._TABLE_WIDTH))

    @abstractmethod
    def cell_of(self, lines: Sequence[str]) -> str:
        """Return the lines of a formula in the table of results."""

    @abstractmethod
    def table(self, rows: list[ResultRow]) -> list[ResultRow]:
        """Return the rows of the table, headings first, as the template places them."""

    _TABLE_WIDTH: ClassVar[int]
    about: ClassVar[str]
    dots: ClassVar[str]
    dot: ClassVar[str]
    space: ClassVar[str]
    delta_matrix: ClassVar[str]
    product: ClassVar[str]
    ones: ClassVar[str]
    """The marks for about equal, for omitted parts, between factors, a gap before a remark, the
    matrix of derivatives, the product by components, and the vector of ones."""

    @abstractmethod
    def arrow(self, what: str, where: str) -> str:
        """Return ``what`` tends to ``where``."""

    @abstractmethod
    def infinite(self, formula: str) -> str:
        """Return a formula of numbers with the mark of infinity as the format writes it."""

    @abstractmethod
    def power(self, base: str, count: int | str) -> str:
        """Return a number, written out, to a power."""

    @abstractmethod
    def measure(self, formula: str) -> float:
        """Return the width of a formula, in letters."""

    def filled(self, expression: Expr, width: float) -> list[str]:
        """Return ``expression`` in lines of at most ``width`` letters where its parts allow."""
        lines: list[str] = []
        for depth in range(_DEEPEST):
            lines = self.lines(self.printer.chunks(expression, depth), width)
            if max(map(self.measure, lines)) <= width:
                break
        return lines

    def lines(self, chunks: Sequence[str], width: float) -> list[str]:
        """Return chunks in lines of at most ``width`` letters where they allow: a line ends between two."""
        lines = [""]
        for chunk in chunks:
            if lines[-1] and self.measure(lines[-1] + chunk) > width:
                lines.append(chunk.lstrip())
            else:
                lines[-1] += chunk
        return lines


class TextFormat(Format):
    """Unicode text for a terminal; long equations go on below their equality sign."""

    template = "derivation.txt.jinja"
    _WIDTH = 96
    _TABLE_WIDTH = 80

    def __init__(self, notation: Notation, derivation: Derived) -> None:
        super().__init__(notation, derivation)
        self.printer = TextPrinter(notation)
        numbers = (*derivation.labels.values(), *derivation.by_number)
        self._label_width = len(f"({max(numbers, default=0)})")

    def escape(self, plain: str) -> str:
        return plain

    def code(self, line: str) -> str:
        return line

    def inline(self, formula: str) -> str:
        return formula

    def words(self, plain: str) -> str:
        return plain

    def label(self, number: int) -> str:
        return f"({number})".rjust(self._label_width)

    def blank(self) -> str:
        return " " * self._label_width

    def slashed(self, above: Expr, below: Expr) -> str:
        return self.printer.show(Derivative(above, below))

    def on_one_line(self, expression: Expr) -> str:
        return self.printer.show(expression)

    about, dots, dot, space = " ≈ ", "…", "·", "  "
    delta_matrix, product, ones = "Δ", "⊙", "𝟏"

    def arrow(self, what: str, where: str) -> str:
        return f"{what} → {where}"

    def infinite(self, formula: str) -> str:
        return formula.replace("oo", "∞")

    def power(self, base: str, count: int | str) -> str:
        if count == 1 or base == "1":
            return base
        exponent = str(count) if str(count).isalnum() else f"({count})"
        return f"({base})^{exponent}" if "/" in base else f"{base}^{exponent}"

    def measure(self, formula: str) -> float:
        return len(formula) - formula.count(STROKE)

    def formula(self, lhs: Expr, rhs: Expr, note: str = "") -> str:
        left = self.printer.show(lhs)
        return self._broken(left, self.filled(rhs, self._WIDTH - len(f"{left} = ")), note)

    def display(self, left: str, parts: Sequence[str], note: str = "") -> str:
        return self._broken(left, self.lines(parts, self._WIDTH - len(f"{left} = ")), note)

    def _broken(self, left: str, lines: Sequence[str], note: str) -> str:
        # Before a formula stand three columns for the mark of a result, the label, and two blanks.
        below = "\n" + " " * (3 + self._label_width + 2 + len(f"{left} = "))
        text = f"{left} = {below.join(line.rstrip() for line in lines)}"
        wide = len(f"{left} = {lines[-1]}    {note}") > self._WIDTH
        return f"{text}{below if wide else '    '}{note}" if note else text

    def stacked(self, formulas: Sequence[str], label: int) -> str:
        indent = "\n" + " " * (3 + len(self.label(label)) + 2)
        return indent.join(formulas)

    def cell_of(self, lines: Sequence[str]) -> str:
        return "\n".join(line.rstrip() for line in lines)

    def table(self, rows: list[ResultRow]) -> list[ResultRow]:
        label = max(columns(row.label) for row in rows)
        derivative = max(columns(row.derivative) for row in rows)
        below = "\n" + " " * (3 + label + 2 + derivative + 2)
        return [
            ResultRow(
                " " * (label - columns(row.label)) + row.label,
                row.derivative + " " * (derivative - columns(row.derivative)),
                row.formula.replace("\n", below),
            )
            for row in rows
        ]


class MathFormat(Format):
    """The common part of Markdown, LaTeX and pages: formulas in LaTeX, broken inside ``aligned``."""

    _WIDTH = 80
    _TABLE_WIDTH = 64

    def __init__(self, notation: Notation, derivation: Derived) -> None:
        super().__init__(notation, derivation)
        self.printer = LatexPrinter(notation)

    def code(self, line: str) -> str:
        return f"    {line}"

    def inline(self, formula: str) -> str:
        return f"${formula}$"

    def words(self, plain: str) -> str:
        return rf"\text{{{self.escape(plain)}}}"

    def label(self, number: int) -> str:
        return str(number)

    def slashed(self, above: Expr, below: Expr) -> str:
        return rf"\partial {self.printer.show(above)} / \partial {self.printer.show(below)}"

    def on_one_line(self, expression: Expr) -> str:
        above, below = expression.as_numer_denom()
        if isinstance(expression, Rational) or below == 1:
            return self.printer.show(expression)
        shown = [self.printer.show(each) for each in (above, below)]
        brackets = [isinstance(above, Add), isinstance(below, Add | Mul)]
        return "/".join(f"({text})" if add else text for text, add in zip(shown, brackets, strict=True))

    about, dots, dot, space = r" \approx ", r"\dots", r" \cdot ", r"\quad "
    delta_matrix, product, ones = r"\boldsymbol{\Delta}", r"\odot", r"\mathbf{1}"

    def arrow(self, what: str, where: str) -> str:
        return rf"{what} \to {where}"

    def infinite(self, formula: str) -> str:
        return formula.replace("oo", r"\infty").replace("∞", r"\infty")

    def power(self, base: str, count: int | str) -> str:
        if count == 1 or base == "1":
            return base
        return rf"\left({base}\right)^{{{count}}}" if "/" in base else f"{base}^{{{count}}}"

    def measure(self, formula: str) -> float:
        return latex_width(formula)

    def formula(self, lhs: Expr, rhs: Expr, note: str = "") -> str:
        left = self.printer.show(lhs)
        return self._broken(left, self.filled(rhs, self._WIDTH - self.measure(left + "=" + note)), note)

    def display(self, left: str, parts: Sequence[str], note: str = "") -> str:
        lines = self.lines(parts, self._WIDTH - self.measure(left + "=" + note))
        if note and self.measure(f"{left} = {lines[-1]}{note}") > self._WIDTH:
            return self._broken(left, [*lines, note], "")  # below a part that can't be broken
        return self._broken(left, lines, note)

    def _broken(self, left: str, lines: Sequence[str], note: str) -> str:
        behind = rf" \qquad {note}" if note else ""
        if len(lines) == 1:
            return f"{left} = {lines[0]}{behind}"
        return aligned(f"{left} &= ", lines, behind)

    def stacked(self, formulas: Sequence[str], label: int) -> str:
        inside = r" \\ ".join(f"& {formula}" for formula in formulas)
        return rf"\begin{{aligned}} {inside} \end{{aligned}}"

    def cell_of(self, lines: Sequence[str]) -> str:
        return self.inline(rf"\displaystyle {lines[0]}" if len(lines) == 1 else aligned("& ", lines))

    def table(self, rows: list[ResultRow]) -> list[ResultRow]:
        return rows


_GREEK = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi o pi rho varsigma sigma tau "
    "upsilon varphi chi psi omega"
)
_SIGNS = {"Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma"}
_SIGNS |= {"Φ": "Phi", "Ψ": "Psi", "Ω": "Omega", "∂": "partial", "∇": "nabla", "∞": "infty", "∫": "int"}
_SIGNS |= {"→": "to", "≤": "le", "≥": "ge", "≠": "ne", "≈": "approx", "√": "surd", "∈": "in", "⊙": "odot"}
_SIGNS |= {chr(ord("α") + n): name for n, name in enumerate(_GREEK.split()) if name != "o"}
LETTERS = {sign: (rf"\ensuremath{{\{name}}}", name) for sign, name in _SIGNS.items()}
"""Letters and signs in plain text, such as a title, that TeX has in formulas alone: formula and name."""
_IN_FORMULAS = str.maketrans({sign: formula for sign, (formula, _) in LETTERS.items()})

_OF_TYPEWRITER = str.maketrans({mark: rf"\symbol{{{ord(mark)}}}" for mark in "\\{}<>^~_|\"'&%$#"})
"""Marks that LaTeX takes from other fonts, or for its own, to their places in a typewriter font."""


def aligned(left: str, lines: Sequence[str], behind: str = "") -> str:
    """Return the lines of a long formula below each other; the later ones stand a little inwards."""
    below = "".join(rf" \\ &\quad {line}" for line in lines[1:])
    return rf"\begin{{aligned}} {left}{lines[0]}{below}{behind} \end{{aligned}}"


class LatexFormat(MathFormat):
    """LaTeX with amsmath: a whole document is set small, a part as what is around it."""

    template = "derivation.tex.jinja"
    latex_template = True
    draws = True

    def extra(self, catalogue: Mapping[str, str], fragment: bool) -> dict[str, object]:
        from symbackprop.document.drawing.layout import picture_of

        korean = any("가" <= letter <= "힣" for sentence in catalogue.values() for letter in sentence)
        picture = picture_of(self.derivation.model, self.derivation.system, self.printer.notation, catalogue)
        drawing = self.drawn(picture, fragment)
        return {
            "drawing": drawing,
            "packages": ["kotex"] if korean else [],
            "theorem_drawing": "",
            "one_page": False,
            "results_told": self._are_results_told(),
        }

    def _are_results_told(self) -> bool:
        """Whether the first page has every result: of layers it has some that speak for all."""
        derivation = self.derivation
        plain = not derivation.of and not derivation.second
        return plain and derivation.model is not None and not derivation.model.layers

    def drawn(self, picture: Picture, fragment: bool) -> str:
        from symbackprop.document.drawing.tikz import tikz

        return tikz(picture)

    def finished(self, document: str) -> str:
        return re.sub(r"\n{3,}", "\n\n", document)

    def escape(self, plain: str) -> str:
        return escape_latex(plain).translate(_IN_FORMULAS)

    def code(self, line: str) -> str:
        inwards = len(line) - len(line.lstrip())
        return rf"\texttt{{\small {'~' * inwards}{line.lstrip().translate(_OF_TYPEWRITER)}}}"


class CompactLatexFormat(LatexFormat):
    """LaTeX for many short lines: numbers in two columns, derivatives no higher than letters."""

    _HALF = 50  # the width of one of the columns, in letters

    def __init__(self, notation: Notation, derivation: Derived) -> None:
        super().__init__(notation, derivation)
        self.printer = FlatLatexPrinter(notation)

    def stacked(self, formulas: Sequence[str], label: int) -> str:
        """Return formulas below each other, short ones in two columns below the first."""
        first, *others = formulas
        if len(others) < 2 or max(map(self.measure, others)) > self._HALF:
            return super().stacked(formulas, label)
        rows = r" \\ ".join("& " + r" \quad & & ".join(pair) for pair in _in_pairs(others))
        return super().stacked([first, rf"\begin{{aligned}} {rows} \end{{aligned}}"], label)


def _in_pairs(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(items), 2):
        yield items[first : first + 2]


# ---- the width of LaTeX

_TOKEN = re.compile(r"\\begin\{\w+\}|\\end\{\w+\}|\\[A-Za-z]+|\\.|\S")
_WIDE = {"+": 2.6, "-": 2.6, "=": 2.8, "<": 2.8, ">": 2.8, r"\le": 2.8, r"\ge": 2.8, r"\ne": 2.8}
_WIDE |= {r"\sum": 2.6, r"\cdot": 1.5, r"\quad": 2, r"\qquad": 4, r"\sqrt": 1.6, ",": 0.8, "&": 0}
_WIDE |= {r"\left": 0.4, r"\right": 0.4, r"\lvert": 0.6, r"\rvert": 0.6, r"\mathrm": 0, r"\text": 0.5}
_WIDE |= {r"\begin{cases}": 2, r"\end{cases}": 0, r"\begin{aligned}": 0, r"\end{aligned}": 0}
_OPERATORS = re.compile(r"\\(log|exp|sin|cos|tanh?|sinh|cosh|max|min|arc\w+)$")


def latex_width(formula: str) -> float:
    """Return about how wide a formula is, in letters; it need only be good enough to break lines."""
    return _width(_TOKEN.findall(formula))


def _width(tokens: list[str]) -> float:
    """Measure ``tokens`` up to the brace that closes the group, and remove them."""
    rows = [0.0]
    while tokens:
        token = tokens.pop(0)
        if token == "}":
            break
        if token == r"\\":
            rows.append(0.0)
        elif token == "{":
            rows[-1] += _width(tokens)
        elif token == r"\frac":
            rows[-1] += 0.6 + max(_width(_argument(tokens)), _width(_argument(tokens)))
        elif token in ("_", "^"):
            scripts = [_width(_argument(tokens))]
            if tokens[:1] in (["_"], ["^"]):  # set above each other
                tokens.pop(0)
                scripts.append(_width(_argument(tokens)))
            rows[-1] += 0.8 * max(scripts)
        elif _OPERATORS.match(token):
            rows[-1] += len(token)
        else:
            rows[-1] += _WIDE.get(token, 1.0)
    return max(rows)


def _argument(tokens: list[str]) -> list[str]:
    """Remove the next token or group, and return the tokens in it."""
    if not tokens:
        return []
    first = tokens.pop(0)
    if first != "{":
        return [first]
    depth, inside = 1, []
    while tokens:
        token = tokens.pop(0)
        depth += (token == "{") - (token == "}")
        if depth == 0:
            break
        inside.append(token)
    return inside
