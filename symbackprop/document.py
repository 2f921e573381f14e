"""A derivation as a document: text, Markdown or LaTeX.

``render`` turns the steps into the strings and lists that a template places.  Formulas come from the
steps alone, sentences from the catalogue of the language.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import Formatter
from typing import ClassVar

from sympy import Add, Derivative, Expr, KroneckerDelta, Sum, Symbol, sympify

from symbackprop.batch import SAMPLE, SAMPLES
from symbackprop.derivation import Derivation, Step
from symbackprop.equations import Equation, Fact, indices_of, name_of, sum_over
from symbackprop.formula import parse
from symbackprop.language import CATALOGUES, Catalogue, words_in_formulas
from symbackprop.library import INITIALIZERS, OPTIMIZERS, Initializer
from symbackprop.model import Initial
from symbackprop.printing import (
    LatexPrinter,
    Notation,
    Printer,
    TextPrinter,
    flat,
    notation_for,
    summed_indices,
)
from symbackprop.templating import environment


@dataclass(frozen=True)
class Numbered:
    """A numbered equation."""

    label: str
    formula: str


@dataclass(frozen=True)
class Explained:
    """A numbered step: the rule, a sentence that explains it, and whether it ends in a result."""

    label: str
    rule: str
    sentence: str
    formula: str
    result: bool


@dataclass(frozen=True)
class Group:
    """The steps to one derivative."""

    heading: str
    steps: tuple[Explained, ...]


@dataclass(frozen=True)
class Row:
    """A result in the table of all results."""

    label: str
    derivative: str
    formula: str


def render(
    derivation: Derivation,
    format: str,
    *,
    title: str,
    notation: str | None = None,
    fragment: bool = False,
    header: Sequence[str] = (),
    language: str = "en",
) -> str:
    """Return ``derivation`` as a document.

    Args:
        derivation: the equations and the steps.
        format: "text", "markdown", "latex" or "html".
        title: the heading of the document, plain text.
        notation: "textbook" or "layered"; None chooses what suits the network.
        fragment: leave out the title and, in LaTeX, the preamble.
        header: lines below the title, plain text, such as the architecture.
        language: a key of ``CATALOGUES``.

    Raises:
        KeyError: there is no such format, notation or language.
    """
    catalogue = CATALOGUES[language]
    style = format_named(format)(notation_for(derivation, notation, words_in_formulas(catalogue)), derivation)
    context = document_context(derivation, style, catalogue, title, header, fragment)
    template = environment(latex=style.latex_template).get_template(style.template)
    return template.render(context | style.extras(language, fragment))


def document_context(
    derivation: Derivation,
    style: Format,
    catalogue: Catalogue,
    title: str,
    header: Sequence[str],
    fragment: bool,
) -> dict[str, object]:
    """Return what the templates read: the same keys for every format."""
    narrator = Narrator(derivation, style, catalogue)
    sections = ("forward", "assumed", "backward", "stable", "batch", "initial", "update", "results")
    headings = {f"{name}_heading": narrator.say(f"heading.{name}") for name in sections}
    columns = Row(*(narrator.say(f"heading.{name}") for name in ("number", "derivative", "formula")))
    head, *rows = style.table([columns, *map(narrator.row, derivation.results.values())])
    return {
        **headings,
        "title": style.escape(title),
        "header": [style.escape(line) for line in header],
        "fragment": fragment,
        "given": narrator.given(),
        "forward": [narrator.forward(equation) for equation in derivation.system.equations],
        "assumptions": [style.inline(narrator.fact(fact)) for fact in derivation.used_facts],
        "backward_introduction": narrator.say("backward.introduction"),
        "groups": narrator.groups(),
        "stable_introduction": narrator.say("stable.introduction"),
        "stable": narrator.explained(derivation.stable),
        "batch_introduction": narrator.batch_introduction(),
        "batch": narrator.explained(derivation.batch),
        "initial_introduction": narrator.say("initial.introduction"),
        "initial": narrator.initial(),
        "update_introduction": narrator.update_introduction(),
        "update": narrator.explained(derivation.update),
        "results_columns": head,
        "results": rows,
    }


# ----------------------------------------------------------------------------------- sentences


class Narrator:
    """Puts the steps of a derivation into words."""

    def __init__(self, derivation: Derivation, style: Format, catalogue: Catalogue) -> None:
        self.derivation = derivation
        self.system = derivation.system
        self.style = style
        self.catalogue = catalogue
        self._latest: dict[tuple[Expr, Expr | None], int] = {}

    def say(self, key: str, **values: str) -> str:
        """Return a sentence of the catalogue with finished strings in its places."""
        parts = []
        for literal, name, _, _ in Formatter().parse(self.catalogue[key]):
            parts.append(self.style.escape(literal))
            if name is not None:
                parts.append(values[name])
        return "".join(parts)

    def listed(self, items: Iterable[str]) -> str:
        """Return the items as a sentence lists them: a, b and c."""
        first = list(dict.fromkeys(items))
        last = first.pop()
        if not first:
            return last
        return self.say("list.between").join(first) + self.say("list.last") + last

    def _inline(self, expression: Expr) -> str:
        return self.style.inline(self.style.printer.show(expression))

    def _numbers(self, numbers: Iterable[int]) -> str:
        return self.listed(f"({n})" for n in sorted(set(numbers)))

    # ---- the forward part

    def given(self) -> list[str]:
        """Return what is given, with shapes: the inputs, then the parameters."""
        known = {*self.system.inputs, *self.system.parameters, *self.system.definitions}
        kinds = (
            ("given.inputs", self.system.inputs),
            ("given.parameters", self.system.parameters),
            ("given.constants", [name for name in self.system.quantities if name not in known]),
        )
        lines = [
            self.say(key, quantities=self.listed(map(self._with_shape, names)))
            for key, names in kinds
            if names
        ]
        values = self._values()
        return [*lines, self.say("given.values", values=self.listed(values))] if values else lines

    def _values(self) -> list[str]:
        """Return the sizes of a network, and its coefficients of regularisation, with their values."""
        model = self.derivation.model
        if model is None:
            return []
        values: list[tuple[str, float]] = [*model.sizes.items()]
        values += [(c.name, c.value) for c in model.constants if not isinstance(c.value, tuple)]
        show = self.style.printer.show
        return [self.style.inline(f"{show(Symbol(name))} = {show(sympify(value))}") for name, value in values]

    def _with_shape(self, name: str) -> str:
        quantity = self.system.quantities[name]
        component = self._inline(self._first_reading(name))
        if not quantity.shape:
            return self.say("given.scalar", quantity=component)
        return self.say("given.shape", quantity=component, shape=self.style.inline(self._shape(name)))

    def _first_reading(self, name: str) -> Expr:
        """Return ``name`` with the index letters under which the equations read it."""
        return self._first_readings.get(name, self.system.quantities[name].symbol)

    @cached_property
    def _first_readings(self) -> dict[str, Expr]:
        found: dict[str, Expr] = {}
        for equation in self.system.equations:
            for read in self.system.reads(equation.rhs):
                if all(i.is_Symbol for i in indices_of(read)):
                    found.setdefault(name_of(read), read)
        return found

    def _shape(self, name: str) -> str:
        sizes = self.system.quantities[name].shape
        return f"({', '.join(self.style.printer.show(n) for n in sizes)})"

    def forward(self, equation: Equation) -> Numbered:
        """Return a forward equation with the shape of what it defines."""
        label = self.style.label(self.derivation.numbers[equation.name])
        return Numbered(label, self.style.formula(equation.lhs, equation.rhs, self._note(equation.name)))

    def _note(self, name: str) -> str:
        """Return the remark on the shape of a quantity that stands behind its equation."""
        key = "note.shape" if self.system.quantities[name].shape else "note.scalar"
        parts = []
        for literal, value, _, _ in Formatter().parse(self.catalogue[key]):
            parts.append(self.style.words(literal) if literal else "")
            parts.append(self._shape(name) if value else "")
        return "".join(parts)

    def fact(self, fact: Fact) -> str:
        """Return a fact as a formula."""
        size = fact.component.base.shape[fact.axis]
        total = sum_over(fact.component, (fact.index, size))
        return f"{self.style.printer.show(total)} = {self.style.printer.show(fact.value)}"

    # ---- the steps

    def groups(self) -> list[Group]:
        """Return the steps, grouped by the derivative that they lead to."""
        targets: dict[str, list[Step]] = {}
        for step in self.derivation.steps:
            targets.setdefault(step.target, []).append(step)
        return [
            Group(self.style.heading(steps[0].lhs), tuple(self.explained(steps)))
            for steps in targets.values()
        ]

    def explained(self, steps: Sequence[Step]) -> list[Explained]:
        """Return steps that follow each other, each with its sentence."""
        results = set(self.derivation.results.values())
        explained = []
        last: dict[Expr, Step] = {}
        for step in steps:
            key = f"rule.{step.rule}"
            rule = self.say(key) if key in self.catalogue else self.style.escape(step.rule.capitalize())
            label, formula = self.style.label(step.number), self.style.formula(step.lhs, step.rhs)
            sentence = self._sentence(step, last.get(step.lhs))
            explained.append(Explained(label, rule, sentence, formula, step.number in results))
            self._latest[self._topic(step.lhs)] = step.number
            last[step.lhs] = step
        return explained

    def row(self, number: int) -> Row:
        """Return the row of a result in the table."""
        step = self.derivation.by_number[number]
        return Row(f"({number})", self.style.cell(step.lhs), self.style.cell(step.rhs))

    def _sentence(self, step: Step, before: Step | None) -> str:
        teller = _TELLERS.get(step.rule)
        return "" if teller is None else teller(self, step, before)

    def _chain_rule(self, step: Step, before: Step | None) -> str:
        through, letters, direct = [], [], False
        for product in self.style.printer.order.terms(step.rhs):
            local = self._local_derivative(product.numerator)
            if local is None:
                direct = True
                continue
            through.append(self._inline(local.expr))
            sums = [factor for factor in product.numerator if isinstance(factor, Sum)]
            letters += [self._inline(i) for factor in sums for i in summed_indices(factor)]
        names = {"loss": self._inline(self._loss), "quantity": self._inline(self._variable(step.lhs))}
        if direct:
            return self.say("chain.direct", **names, through=self.listed(through)) if through else ""
        if len(through) > 1:
            return self.say("chain.ways", **names, through=self.listed(through))
        if letters:
            return self.say("chain.feeds", **names, through=through[0], indices=self.listed(letters))
        return self.say("chain.one", **names, through=through[0])

    def _local_rule(self, step: Step, before: Step | None) -> str:
        of = step.lhs.expr if self._is_local(step.lhs) else self._loss
        quantity = self._inline(self._variable(step.lhs))
        if not self._is_read(of):
            return self.say("local.term", number=f"({self._number_of_loss})", quantity=quantity)
        equation = self.system.definitions[name_of(of)]
        deltas = sorted(step.rhs.atoms(KroneckerDelta), key=str)
        collapses = equation.rhs.has(Sum) and not step.rhs.has(Sum) and not deltas
        key = "local.sum" if collapses else "local.plain"
        number = f"({self.derivation.numbers[equation.name]})"
        sentence = self.say(key, number=number, quantity=quantity)
        if deltas:
            sentence += " " + self.say("local.delta", delta=self._inline(deltas[0]))
        return sentence

    def _closed_form(self, step: Step, before: Step | None) -> str:
        output = step.lhs.expr
        number = f"({self.derivation.numbers[name_of(output)]})"
        return self.say("closed", number=number, output=self._inline(output))

    def _folding(self, step: Step, before: Step | None) -> str:
        equation = self.system.definitions[step.by or step.target]
        number = f"({self.derivation.numbers[equation.name]})"
        # where the quantity itself is gone, its definition let terms cancel: n m - Σ x is 0
        names = {name_of(read) for read in self.style.printer.order.reads(step.rhs)}
        key = "folding" if equation.name in names else "folding.cancel"
        return self.say(key, number=number, quantity=self._inline(equation.lhs))

    def _simplification(self, step: Step, before: Step | None) -> str:
        return self.say("simplification")

    def _insertion(self, step: Step, before: Step | None) -> str:
        numbers = self._inserted(step, before)
        if not numbers:
            return ""
        deltas = self._picked(numbers, step)
        if deltas:
            return self.say("insert.delta", numbers=self._numbers(numbers), delta=self._inline(deltas[0]))
        sums = [s for s in flat(step.rhs, Add) if isinstance(s, Sum)]
        if step.rule != "contraction" or len(sums) != 1:
            return self.say("insert", numbers=self._numbers(numbers))
        return self.say(
            "insert.sum",
            numbers=self._numbers(numbers),
            indices=self.listed(self._inline(i) for i in summed_indices(sums[0])),
            quantity=self._inline(self._variable(step.lhs)),
        )

    def _picked(self, numbers: Sequence[int], step: Step) -> list[Expr]:
        """Return the deltas of what was inserted that are gone in ``step``: each picked one term."""
        if step.rhs.has(KroneckerDelta):
            return []
        inserted = [self.derivation.by_number[n].rhs for n in numbers]
        return sorted({d for rhs in inserted for d in rhs.atoms(KroneckerDelta)}, key=str)

    def _cancellation(self, step: Step, before: Step | None) -> str:
        numbers = self._inserted(step, before)
        return self.say("insert.cancel", numbers=self._numbers(numbers)) if numbers else self.say("cancel")

    def _fact(self, step: Step, before: Step | None) -> str:
        used = [f for f in self.system.facts if before is None or before.rhs.has(f.component.base)]
        if not used:
            return ""
        return self.say("fact", fact=self.listed(self.style.inline(self.fact(f)) for f in used))

    def _stable_form(self, step: Step, before: Step | None) -> str:
        replaced = (number for number, stable in self.derivation.computed.items() if stable == step)
        return self.say("stable", number=f"({next(replaced)})")

    def _batch_mean(self, step: Step, before: Step | None) -> str:
        if step.target == self.system.loss:
            number = self._number_of_loss
        else:
            number = self.derivation.results[step.target]
        stable = self.derivation.computed.get(number)
        number = number if stable is None else stable.number
        return self.say("batch", number=f"({number})")

    def _update(self, step: Step, before: Step | None) -> str:
        quantity = self._inline(Symbol(step.target, real=True))
        return self.say("update.parameter" if step.target == "w" else "update.state", quantity=quantity)

    def initial(self) -> list[str]:
        """Return one line for each initialiser: its variances, and what they keep."""
        model = self.derivation.model
        if model is None:
            return []
        groups: dict[str, dict[str, Initial]] = {}
        for name, initial in model.initial.items():
            if initial.initializer is not None:
                groups.setdefault(initial.initializer.name, {})[name] = initial
        return [self._initial_line(INITIALIZERS[name], drawn) for name, drawn in groups.items()]

    def _initial_line(self, initializer: Initializer, drawn: Mapping[str, Initial]) -> str:
        activations = dict.fromkeys(initial.activation for initial in drawn.values() if initial.activation)
        return self.say(
            "initial.line" if activations else "initial.plain",
            initializer=self.style.escape(initializer.name),
            activations=self.listed(self.style.escape(name) for name in activations) if activations else "",
            variances=self.listed(self._variance(name, initial) for name, initial in drawn.items()),
            reason=self.say(f"initial.{initializer.reason}"),
        )

    def _variance(self, name: str, initial: Initial) -> str:
        assert initial.initializer is not None
        piece = self.style.printer.component(name, self.derivation.indices(name)).text
        fans = {"fan_in": initial.fan_in, "fan_out": initial.fan_out}
        formula = self._inline(parse(initial.initializer.variance, fans))
        return self.say("initial.variance", weight=self.style.inline(piece), formula=formula)

    def update_introduction(self) -> str:
        """Return what is said before the equations of the optimiser."""
        counted = Symbol("step", integer=True, positive=True)
        counts = any(step.rhs.has(counted) for step in self.derivation.update)
        introduction = self.say(
            "update.introduction",
            loss=self._inline(self._loss),
            derivative=self._inline(Symbol("g", real=True)),
            parameter=self._inline(Symbol("w", real=True)),
            optimizer=self.style.escape(self.derivation.optimizer),
            settings=self.listed(map(self._setting, OPTIMIZERS[self.derivation.optimizer].defaults.items())),
        )
        return introduction + (self.say("update.count", step=self._inline(counted)) if counts else "")

    def _setting(self, setting: tuple[str, str]) -> str:
        """Return a hyper-parameter with its default, and its keyword where a formula writes it otherwise."""
        name, value = setting
        shown, keyword = self._inline(Symbol(name, real=True)), self.style.escape(name)
        return f"{shown} = {value}" + ("" if shown == keyword else f" ({keyword})")

    def batch_introduction(self) -> str:
        """Return what is said before the derivatives for a batch."""
        printer = self.style.printer
        return self.say(
            "batch.introduction",
            loss=self._inline(self._loss),
            sample=self._inline(SAMPLE),
            samples=self._inline(SAMPLES),
            own=self.style.inline(printer.component(self.system.loss, (SAMPLE,)).text),
        )

    # ---- what a step is about

    @property
    def _loss(self) -> Expr:
        return self.system.quantities[self.system.loss].symbol

    @property
    def _number_of_loss(self) -> int:
        return self.derivation.numbers[self.system.loss]

    def _is_read(self, expression: Expr) -> bool:
        return bool(self.style.printer.order.is_read(expression))

    def _is_local(self, expression: Expr) -> bool:
        return isinstance(expression, Derivative) and expression.expr != self._loss

    def _local_derivative(self, factors: Sequence[Expr]) -> Derivative | None:
        """Return the derivative of one quantity with respect to another in a term of the chain rule."""
        found = [d for factor in factors for d in factor.atoms(Derivative)]
        return min((d for d in found if self._is_local(d) and self._is_read(d.expr)), key=str, default=None)

    def _variable(self, derivative: Expr) -> Expr:
        """Return the component with respect to which ``derivative`` is taken."""
        return differentiated(derivative, self.derivation)

    def _inserted(self, step: Step, before: Step | None) -> list[int]:
        """Return the numbers of what stands in the step before and no longer in this one."""
        if before is None:
            return []
        gone = self._derivatives(before.rhs) - self._derivatives(step.rhs)
        left = {self._adjoint_of(d) for d in self._derivatives(step.rhs)}
        numbers = []
        for derivative in gone:
            name = self._adjoint_of(derivative)
            if name is None:
                numbers.append(self._latest.get(self._topic(derivative)))
            elif name not in left:
                numbers.append(self.derivation.results.get(name))
        return [n for n in numbers if n is not None and n < step.number]

    def _topic(self, derivative: Expr) -> tuple[Expr, Expr | None]:
        """Return by what and of what a derivative is, whatever the letters of sums in it."""
        if not self._is_local(derivative):
            return derivative, None
        return derivative.variables[0], derivative.expr if self._is_read(derivative.expr) else None

    def _derivatives(self, expression: Expr) -> set[Expr]:
        reads = self.style.printer.order.reads(expression)
        named = {read for read in reads if name_of(read) in self.derivation.adjoints}
        return set(expression.atoms(Derivative)) | named

    def _adjoint_of(self, derivative: Expr) -> str | None:
        """Return the quantity whose adjoint ``derivative`` is, None for a local derivative."""
        return None if self._is_local(derivative) else name_of(self._variable(derivative))


def differentiated(derivative: Expr, derivation: Derivation) -> Expr:
    """Return the component with respect to which ``derivative``, or a named adjoint, is taken."""
    if isinstance(derivative, Derivative):
        return derivative.variables[0]
    quantity = derivation.system.quantities[derivation.adjoints[name_of(derivative)]]
    return quantity.at(indices_of(derivative))


_TELLERS = {
    "chain rule": Narrator._chain_rule,
    "local derivative": Narrator._local_rule,
    "closed form": Narrator._closed_form,
    "simplification": Narrator._simplification,
    "folding": Narrator._folding,
    "product": Narrator._insertion,
    "contraction": Narrator._insertion,
    "substitution": Narrator._insertion,
    "cancellation": Narrator._cancellation,
    "fact": Narrator._fact,
    "stable form": Narrator._stable_form,
    "batch mean": Narrator._batch_mean,
    "update": Narrator._update,
}


# --------------------------------------------------------------------------------------- formats


_DEEPEST = 5
"""Levels of brackets inside of which a line may end."""


class Format(ABC):
    """What a format makes of formulas and of plain text."""

    template: ClassVar[str]
    latex_template: ClassVar[bool] = False
    printer: Printer

    def __init__(self, notation: Notation, derivation: Derivation) -> None:
        self.derivation = derivation

    @abstractmethod
    def escape(self, plain: str) -> str:
        """Return plain text so that no character of it is markup."""

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
    def heading(self, derivative: Expr) -> str:
        """Return the heading of the steps that lead to ``derivative``."""

    @abstractmethod
    def formula(self, lhs: Expr, rhs: Expr, note: str = "") -> str:
        """Return an equation on a line of its own, broken where it is too long."""

    @abstractmethod
    def cell(self, expression: Expr) -> str:
        """Return a formula in the table of results."""

    @abstractmethod
    def table(self, rows: list[Row]) -> list[Row]:
        """Return the rows of the table, headings first, as the template places them."""

    @abstractmethod
    def measure(self, formula: str) -> float:
        """Return the width of a formula, in letters."""

    def extras(self, language: str, fragment: bool) -> dict[str, object]:
        """Return what the template of this format alone reads."""
        return {}

    def filled(self, expression: Expr, width: float) -> list[str]:
        """Return ``expression`` in lines of at most ``width`` letters where its parts allow."""
        lines: list[str] = []
        for depth in range(_DEEPEST):
            lines = self._lines(self.printer.chunks(expression, depth), width)
            if max(map(self.measure, lines)) <= width:
                break
        return lines

    def _lines(self, chunks: Sequence[str], width: float) -> list[str]:
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

    def __init__(self, notation: Notation, derivation: Derivation) -> None:
        super().__init__(notation, derivation)
        self.printer = TextPrinter(notation)
        numbers = (*derivation.numbers.values(), *derivation.by_number)
        self._label_width = len(f"({max(numbers, default=0)})")

    def escape(self, plain: str) -> str:
        return plain

    def inline(self, formula: str) -> str:
        return formula

    def words(self, plain: str) -> str:
        return plain

    def label(self, number: int) -> str:
        return f"({number})".rjust(self._label_width)

    def heading(self, derivative: Expr) -> str:
        return self.printer.show(derivative)

    def measure(self, formula: str) -> float:
        return len(formula)

    def formula(self, lhs: Expr, rhs: Expr, note: str = "") -> str:
        left = f"{self.printer.show(lhs)} = "
        # Before a formula stand three columns for the mark of a result, the label, and two blanks.
        below = "\n" + " " * (3 + self._label_width + 2 + len(left))
        text = left + below.join(self.filled(rhs, self._WIDTH - len(left)))
        return f"{text}    {note}" if note else text

    def cell(self, expression: Expr) -> str:
        return self.printer.show(expression)

    def table(self, rows: list[Row]) -> list[Row]:
        label = max(len(row.label) for row in rows)
        derivative = max(len(row.derivative) for row in rows)
        return [Row(r.label.rjust(label), r.derivative.ljust(derivative), r.formula) for r in rows]


class _MathFormat(Format):
    """What Markdown and LaTeX share: formulas between dollars, broken inside ``aligned``."""

    _WIDTH = 80
    _TABLE_WIDTH = 64

    def __init__(self, notation: Notation, derivation: Derivation) -> None:
        super().__init__(notation, derivation)
        self.printer = LatexPrinter(notation)

    def inline(self, formula: str) -> str:
        return f"${formula}$"

    def words(self, plain: str) -> str:
        return rf"\text{{{self.escape(plain)}}}"

    def label(self, number: int) -> str:
        return str(number)

    def heading(self, derivative: Expr) -> str:
        loss = self.derivation.system.quantities[self.derivation.system.loss].symbol
        below = self.printer.show(differentiated(derivative, self.derivation))
        return self.inline(rf"\partial {self.printer.show(loss)} / \partial {below}")

    def measure(self, formula: str) -> float:
        return latex_width(formula)

    def formula(self, lhs: Expr, rhs: Expr, note: str = "") -> str:
        left = self.printer.show(lhs)
        lines = self.filled(rhs, self._WIDTH - self.measure(left + "=" + note))
        behind = rf" \qquad {note}" if note else ""
        if len(lines) == 1:
            return f"{left} = {lines[0]}{behind}"
        return aligned(f"{left} &= ", lines, behind)

    def cell(self, expression: Expr) -> str:
        lines = self.filled(expression, self._TABLE_WIDTH)
        return self.inline(rf"\displaystyle {lines[0]}" if len(lines) == 1 else aligned("& ", lines))

    def table(self, rows: list[Row]) -> list[Row]:
        return rows


def aligned(left: str, lines: Sequence[str], behind: str = "") -> str:
    """Return the lines of a long formula below each other; the later ones stand a little inwards."""
    below = "".join(rf" \\ &\quad {line}" for line in lines[1:])
    return rf"\begin{{aligned}} {left}{lines[0]}{below}{behind} \end{{aligned}}"


class MarkdownFormat(_MathFormat):
    """Markdown with formulas between dollars, as GitHub and notebooks show them."""

    template = "derivation.md.jinja"

    def escape(self, plain: str) -> str:
        return re.sub(r"([\\`*_{}\[\]<>#|$~])", r"\\\1", plain)


class LatexFormat(_MathFormat):
    """LaTeX with amsmath."""

    template = "derivation.tex.jinja"
    latex_template = True

    def __init__(self, notation: Notation, derivation: Derivation) -> None:
        super().__init__(notation, derivation)
        self.notation = notation

    def escape(self, plain: str) -> str:
        return escape_latex(plain)

    def extras(self, language: str, fragment: bool) -> dict[str, object]:
        from symbackprop.drawing import picture_of
        from symbackprop.drawing.tikz import tikz

        picture = picture_of(self.derivation, notation=self.notation, language=language)
        return {"drawing": tikz(picture), "preamble": CATALOGUES[language]["latex.preamble"]}


FORMATS: Mapping[str, type[Format]] = {"text": TextFormat, "markdown": MarkdownFormat, "latex": LatexFormat}
"""The formats by name, beside HTML."""


def format_named(name: str) -> type[Format]:
    """Return the format of that name; raises KeyError where there is none."""
    if name == "html":
        from symbackprop.html import HtmlFormat  # imported here: it builds on this module

        return HtmlFormat
    return FORMATS[name]


_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r'\texttt{"}',
    **{mark: "\\" + mark for mark in "{}$&#%_"},
}  # fmt: skip


def escape_latex(plain: str) -> str:
    """Return plain text for LaTeX; two hyphens stay two hyphens."""
    escaped = "".join(_LATEX_SPECIAL.get(character, character) for character in plain)
    return escaped.replace("--", "-{}-")


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
    """Remove the next token or group, and return what it holds."""
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
