"""A derivation as one page that needs nothing else: no network, and no script to be read.

Formulas are MathML, converted from the LaTeX of the same steps; the network is an SVG in the page, in which
each weight and each unit leads to its derivative.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from itertools import islice
from xml.sax.saxutils import quoteattr, unescape

from sympy import Expr

from symbackprop.document.blocks import Component, EquationBlock
from symbackprop.document.drawing.picture import Picture, component_id
from symbackprop.document.formats import LatexFormat
from symbackprop.document.mathml import mathml
from symbackprop.document.ways import Ways
from symbackprop.equations.steps import Derived
from symbackprop.printing.latex import LatexPrinter
from symbackprop.printing.notation import Notation, showing_layers

_SENTENCES = (
    *("language", "choose", "fold", "unfold", "skip", "copy", "copied"),
    *("probe_heading", "probe_introduction", "probe_component", "probe_change"),
)
"""What a page says beside the document itself."""
_LONG = 60
"""Steps from which on a page has a list of its contents, and groups of steps are folded at first."""
_MOST_WAYS = 4
"""Ways of an error that are all written out for one component."""
_FEW = 1000
"""Ways up to which one of them stands for all: of more each is a long product, and a page would be, too."""
_QUOTE = {'"': "&quot;"}
_UNQUOTE = {mark: plain for plain, mark in _QUOTE.items()}
_PENDING = re.compile(r'<math data-latex="([^"]*)"/>([^\s<]*)')
"""A formula in a sentence, with the text that stays on its line: a full stop, or a Korean particle."""


Value = Callable[[str, tuple[int, ...]], str]
"""Returns the number of the derivative for a component, from its name and its place."""


def _no_value(name: str, place: tuple[int, ...]) -> str:
    return ""


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

    def code(self, line: str) -> str:
        return escape(line)

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

    def cell_of(self, lines: Sequence[str]) -> str:
        return mathml(_below_each_other("", lines), display=True)

    def _broken(self, left: str, lines: Sequence[str], note: str) -> str:
        behind = rf" \qquad {note}" if note else ""
        return mathml(_below_each_other(f"{left} = ", lines, behind), display=True)

    def extra(self, catalogue: Mapping[str, str], fragment: bool) -> dict[str, object]:
        from symbackprop.document.drawing.layout import picture_of

        picture = picture_of(self.derivation.model, self.derivation.system, self.printer.notation, catalogue)
        choices = self._choices(picture)
        one_by_one = {q for part in picture.parts if part.place for q in part.quantities}
        whole = [number for q, numbers in choices.items() if q not in one_by_one for number in numbers]
        is_long = len(self.derivation.steps) >= _LONG
        return {
            "prefix": self._prefix(fragment),
            "contents": self.escape(catalogue["page.contents"]) if is_long and not fragment else "",
            "opened": "" if is_long else ' open="open"',
            "drawing": self.drawn(picture, fragment),
            "choices": [self._choice(number) for number in whole],
            "components": self.components(picture, catalogue, fragment),
            "theorem_drawing": "",
            "probe": "",
            "probed": [],
            **{key: self.escape(catalogue[f"page.{key}"]) for key in _SENTENCES},
        }

    def drawn(self, picture: Picture, fragment: bool) -> str:
        from symbackprop.document.drawing.svg import svg

        prefix = self._prefix(fragment)
        choices = self._choices(picture)
        links = {q: [f"{prefix}step-{number}" for number in numbers] for q, numbers in choices.items()}
        return svg(picture, links, prefix)

    def _prefix(self, fragment: bool) -> str:
        """Return what ids begin with: several derivations may stand on one page of a notebook."""
        digest = hashlib.sha256(self.derivation.description.encode()).hexdigest()
        return f"d{digest[:8]}-" if fragment else ""

    def _choices(self, picture: Picture) -> dict[str, list[int]]:
        """Return the steps of the quantities that can be chosen in a picture."""
        drawn = {q for node in picture.nodes for q in node.quantities}
        drawn |= {q for edge in picture.edges for q in edge.quantities}
        return {q: numbers for q, numbers in self._derivatives().items() if q in drawn}

    def _derivatives(self) -> dict[str, list[int]]:
        """Return, for each quantity, the steps that end in its derivative and that write it out."""
        found = {name: [number] for name, number in self.derivation.results.items()}
        results = {*self.derivation.results.values()}
        for step in self.derivation.steps:
            if step.rule == "substitution" and step.target in found and step.number not in results:
                found[step.target].append(step.number)
        return found

    def components(
        self, picture: Picture, catalogue: Mapping[str, str], fragment: bool, value: Value = _no_value
    ) -> Iterator[Component]:
        """Yield what is told of each unit that is drawn, and of each weight between two of them.

        ``value`` returns the number of a derivative, of what it is for and its place, "" where it has none.
        """
        prefix = self._prefix(fragment)
        ways, choices = Ways(self.derivation), self._choices(picture)
        style = HtmlFormat(showing_layers(self.printer.notation, self.derivation), self.derivation)
        for part in picture.parts:
            for name in (name for name in part.quantities if part.place and name in choices):
                result = ways.result(name, part.place)
                count, products = ways.count(name), ways.products(result)
                written = count if count <= _MOST_WAYS else 1 if count <= _FEW else 0
                shown = tuple(map(style.alone, islice(products, written)))
                is_all = shown == (style.alone(result.rhs),)
                key = _said_of_ways(count, written)
                number = value(name, part.place)
                note = f"= {number}" if number else ""
                yield Component(
                    prefix + component_id(name, part.place),
                    f"{prefix}step-{result.number}",
                    EquationBlock(self.label(result.number), style.formula(result.lhs, result.rhs, note)),
                    "" if is_all else self.escape(catalogue[key].format(count=count)),
                    () if is_all else shown,
                )

    def alone(self, expression: Expr) -> str:
        """Return an expression on lines of its own."""
        return self.cell_of(self.filled(expression, self._WIDTH))

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


def _said_of_ways(count: int, written: int) -> str:
    """Return the key of the sentence on the ways of an error, some of which are written out."""
    if count == 1:
        return "page.way"
    return "page.ways" if written == count else "page.many_ways" if written else "page.all_ways"


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
