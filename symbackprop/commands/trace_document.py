"""A worked example as a document: the derivation's own document with numbers below each equation.

In go a ``TraceValues`` and the name of a format, out comes a text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from sympy import Add, Basic, Derivative, Expr, Integer, KroneckerDelta, Piecewise, Sum, Symbol, sympify

from symbackprop.commands.inputs import Array
from symbackprop.commands.trace_probe import probe
from symbackprop.commands.trace_values import TraceValues, first_update
from symbackprop.document.blocks import EquationBlock, Group, ResultRow, StepBlock
from symbackprop.document.drawing.layout import picture_of
from symbackprop.document.drawing.picture import Picture
from symbackprop.document.drawing.values import Numbers, has_room, with_numbers
from symbackprop.document.html import HtmlFormat
from symbackprop.document.language.catalogues import CATALOGUES
from symbackprop.document.remarks import Remarks
from symbackprop.document.render import render
from symbackprop.document.sentences import Sentences
from symbackprop.equations.steps import Step
from symbackprop.equations.system import BINDERS, ArgMax, Equation
from symbackprop.numbers.evaluation import Evaluation
from symbackprop.printing.brackets import Level
from symbackprop.printing.latex import LatexPrinter
from symbackprop.printing.notation import showing_layers
from symbackprop.printing.printer import Piece, Printer
from symbackprop.printing.text import TextPrinter

_SHOWN = 4  # components up to which all of them are shown with their computation
_FIRST = 2  # components that are shown so of more
_TERMS = 4  # terms up to which a sum is written out
_LISTED = 6  # numbers along an axis up to which all of them are listed
_DRAWN_DIGITS = 4  # at most, of a number in the drawing
_TEXT_WIDTH, _MATH_WIDTH, _VALUES_WIDTH = 96, 84, 64
_SURE = 15  # significant digits that every decimal number keeps as a float64


def render_trace(
    trace: TraceValues,
    format: str,
    *,
    notation: str | None = None,
    fragment: bool = False,
    language: str = "en",
) -> str:
    """Return a worked example as a document; the arguments are those of ``document.render``."""
    return render(
        trace.derivation,
        "compact latex" if format == "latex" else format,
        title=CATALOGUES[language]["trace.title"].format(title=trace.derivation.title),
        notation=notation or "layered",
        fragment=fragment,
        language=language,
        instead=lambda sentences: TraceSections(trace, sentences).context(format, fragment),
    )


def shown(value: float, digits: int) -> str:
    """Return a number with so many significant digits: 0.000438568, 4.38568e-08.

    Of more than 15 digits those are left out that no reader needs to find the same number: 0.1 stays 0.1.
    """
    texts = (f"{value:.{n}g}" for n in range(_SURE, digits))
    text = next((text for text in texts if float(text) == value), f"{value:.{digits}g}")
    return "0" if float(text) == 0 else text


_NOT_NUMBERS = ("error", "slopes", "initial", "trainer", "trainer_introduction")
"""Sections of a derivation that a worked example leaves to it: they have no numbers."""


class TraceSections:
    """Puts numbers below the equations of a document."""

    def __init__(self, trace: TraceValues, sentences: Sentences) -> None:
        self.trace = trace
        self.derivation = trace.derivation
        self.numbers = trace.numbers
        self.style = style = sentences.style
        self.sentences = sentences
        self.notation = style.printer.notation
        self.math = isinstance(style.printer, LatexPrinter)
        self._width = _MATH_WIDTH if self.math else _TEXT_WIDTH
        self._comma = r", \; " if self.math else ", "
        self.printer = numbers_printer(style.printer, self.numbers, {}, trace.digits)
        self.placed = type(style.printer)(showing_layers(self.notation, self.derivation))
        """Prints what has a number in the place of a letter, which no longer tells the layer."""

    def context(self, format: str, fragment: bool) -> dict[str, object]:
        """Return the template context that replaces the derivation's sections."""
        derivation, sentences = self.derivation, self.sentences
        return {
            "drawing": self.style.drawn(self._picture, fragment) if self.style.draws else "",
            **(self._on_page(fragment) if format == "html" else {}),
            "given": [*sentences.given(), *self._given()],
            "forward": [self._forward(equation) for equation in derivation.system.equations],
            "groups": [
                Group(self.style.heading(steps[0].lhs), tuple(self._all(steps)))
                for steps in derivation.steps_to.values()
            ],
            "stable": list(self._all(derivation.stable)),
            "batch": list(self._all(derivation.batch)),
            **dict.fromkeys(_NOT_NUMBERS, ()),
            "descent": Remarks(sentences).descent(whole=False),
            "update": [*self._update(), *self._afterwards()],
            "update_introduction": sentences.update_introduction(
                {"learning_rate": self._number(self.trace.learning_rate)}
            ),
            **self._results(),
        }

    def _on_page(self, fragment: bool) -> dict[str, object]:
        """Return what a page has besides: a slider, and the numbers of what is chosen in the drawing."""
        assert isinstance(self.style, HtmlFormat)
        told = self.style.components(
            self._picture, self.sentences.catalogue, fragment, self._in_drawing(self.numbers.slopes)
        )
        return {"components": told, **probe(self.trace, self._plain_component)}

    @cached_property
    def _picture(self) -> Picture:
        """The network with numbers on its wires."""
        derivation = self.derivation
        bare = picture_of(derivation.model, derivation.system, self.notation, self.sentences.catalogue)
        slopes = {**self.numbers.slopes, **self.trace.gradients}
        return with_numbers(bare, self._in_drawing(self.numbers.values), self._in_drawing(slopes))

    def _in_drawing(self, arrays: Mapping[str, Array]) -> Numbers:
        """Return how a drawing finds its numbers, those of the first sample where samples differ."""

        def number(name: str, place: tuple[int, ...]) -> str:
            if name not in arrays:
                return ""
            array = arrays[name]
            value = array[(0, *place)] if array.ndim > len(place) else array[place]
            return shown(float(value), min(self.trace.digits, _DRAWN_DIGITS))

        return number

    def _plain_component(self, name: str, place: tuple[int, ...]) -> str:
        return TextPrinter(self.placed.notation).component(name, tuple(map(Integer, place))).text

    # ------------------------------------------------------------ the data

    def _given(self) -> Iterator[str]:
        say, trace = self.sentences.say, self.trace
        yield say("trace.introduction", digits=str(trace.digits))
        if not (self.style.draws and self.derivation.model and self.derivation.model.layers):
            yield say("given.counted")  # where units are drawn it has been said
        if self.style.draws and has_room(self._picture):
            loss = self.derivation.system.quantities[self.derivation.system.loss].symbol
            yield say("trace.drawing", loss=self.sentences.inline(loss))
        if trace.samples > 1:
            yield say("trace.samples", count=str(trace.samples))
        yield say("trace.rate", rate=self.style.inline(self._number(trace.learning_rate)))
        if trace.frozen:
            names = [self.style.inline(self._component(name, ())) for name in trace.frozen]
            yield say("trace.frozen", parameters=self.sentences.listed(names))
        system = self.derivation.system
        for name in (
            *system.inputs,
            *(n for n in system.quantities if self._is_constant(n)),
            *system.parameters,
        ):
            array = self._of_samples(self.numbers, name)
            rows = self._rows(f"{self._component(name, ())} = {self.listed(array)}")
            yield " ".join(self.style.inline(row.strip()) for row in rows)

    def _is_constant(self, name: str) -> bool:
        system = self.derivation.system
        return name not in (*system.inputs, *system.parameters) and name not in system.definitions

    # ------------------------------------------------------------ equations with numbers

    def _all(self, steps: Sequence[Step]) -> Iterator[StepBlock]:
        for step, explained in zip(steps, self.sentences.explained(steps), strict=True):
            values = self.numbers.of_step(step)
            lines = self._lines(step.lhs, step.rhs, values, self._is_of_one(step))
            yield replace(explained, formula=self.style.stacked([explained.formula, *lines], step.number))

    def _is_of_one(self, step: Step) -> bool:
        """Whether a step is about one sample, so that its numbers have the samples as their first axis."""
        return self.numbers.per_sample and all(step.number != s.number for s in self.derivation.batch)

    def _forward(self, equation: Equation) -> EquationBlock:
        numbered, number = self.sentences.forward(equation), self.derivation.labels[equation.name]
        array = self.numbers.values[equation.name]
        of_one = equation.name in self.numbers.varying
        lines = self._lines(equation.lhs, equation.rhs, array, of_one)
        return replace(numbered, formula=self.style.stacked([numbered.formula, *lines], number))

    def _lines(self, lhs: Expr, rhs: Expr, values: Array, of_one: bool) -> Iterator[str]:
        """Yield the numbers of an equation: some components in detail, then the array if it is long."""
        letters = list(self.numbers.free_indices(lhs))
        first = values[0] if of_one else values
        places = list(itertools.islice(np.ndindex(*first.shape), _SHOWN + 1))
        complete = len(places) <= _SHOWN
        for place in places if complete else places[:_FIRST]:
            at = dict(zip(letters, map(Integer, place), strict=True))
            yield self._line(
                self.placed.show(lhs.xreplace(at)),
                self.printer.show(rhs.xreplace(at)),
                self._number(first[place]),
            )
        several = of_one and len(values) > 1
        if several or not complete:
            left = self.style.words(self.sentences.catalogue["trace.all"]) if several else ""
            left += self.style.printer.show(lhs)
            yield self._line(left, "", self.listed(values if several else first))

    def _line(self, left: str, inserted: str, result: str) -> str:
        """Return left = inserted = result, ``inserted`` with numbers, broken where it is too long."""
        chunks = [left]
        if inserted and inserted != result:
            first, *others = _parts(inserted, self._width // 2)
            chunks += [f" = {first}", *others]
        return self._filled([*chunks, *self._rows(f" = {result}")])

    def _rows(self, result: str) -> list[str]:
        """Return a number or an array in parts between which a line may end: the rows."""
        rows = re.split(r"(?<=\],) (?:\\; )?", result)
        return [rows[0], *(f" {row}" for row in rows[1:])]

    def _filled(self, chunks: Sequence[str]) -> str:
        lines = self.style.lines(chunks, self._width)
        if len(lines) == 1:
            return lines[0]
        if self.math:
            return lines[0] + "".join(rf" \\ & \quad {line}" for line in lines[1:])
        margin = "\n" + " " * 14
        return margin.join(lines)

    def _number(self, value: Array | float) -> str:
        return self.printer.show_number(float(value))

    def listed(self, array: Array) -> str:
        """Return an array as a list, the middle of a long axis left out."""
        if array.ndim == 0:
            return self._number(float(array))
        long = len(array) > _LISTED
        parts = [self.listed(part) for part in (array[:_FIRST] if long else array)]
        parts += [r"\ldots" if self.math else "…", self.listed(array[-1])] if long else []
        return f"[{self._comma.join(parts)}]"

    def _component(self, name: str, place: Sequence[int]) -> str:
        return self.placed.component(name, tuple(map(Integer, place))).text

    # ------------------------------------------------------------ the step, and E after it

    def _update(self) -> Iterator[StepBlock]:
        steps = self.derivation.update
        lines: dict[int, list[str]] = {step.number: [] for step in steps}
        for name in self.derivation.system.parameters:
            if name not in self.trace.frozen:
                for step, line in self._updated(name):
                    lines[step.number].append(line)
        for step, explained in zip(steps, self.sentences.explained(steps), strict=True):
            formulas = [explained.formula, *lines[step.number]]
            yield replace(explained, formula=self.style.stacked(formulas, step.number))

    def _updated(self, name: str) -> Iterator[tuple[Step, str]]:
        """Yield each equation of the update with a line of numbers for a component of a parameter."""
        derivation, trace, rate = self.derivation, self.trace, self.trace.learning_rate
        old, new = self.numbers.values[name], self.trace.updated[name]
        arrow = r" \leftarrow " if self.math else " ← "
        places = list(itertools.islice(np.ndindex(*old.shape), _SHOWN + 1))
        complete = len(places) <= _SHOWN
        for place in places if complete else places[:_FIRST]:
            values = first_update(derivation, old[place], self.trace.gradients[name][place], rate)
            printer = numbers_printer(self.style.printer, self.numbers, values, trace.digits)
            for step in derivation.update:
                is_parameter = step is derivation.update[-1]
                left = self._component(name, place) if is_parameter else self.style.printer.show(step.lhs)
                inserted = (
                    f"{arrow}{printer.show(step.rhs)}" if is_parameter else f" = {printer.show(step.rhs)}"
                )
                result = self._number(float(values[str(step.lhs)]))
                yield step, self._filled([left, inserted, f" = {result}"])
        if not complete:
            yield (
                derivation.update[-1],
                self._filled([self._component(name, ()), arrow, *self._rows(self.listed(new))]),
            )

    def _afterwards(self) -> Iterator[StepBlock]:
        """Yield E after the step, and the outcome of another order of the updates."""
        say, trace, system = self.sentences.say, self.trace, self.derivation.system
        loss = self.style.printer.show(system.quantities[system.loss].symbol)
        output = self.derivation.model.output if self.derivation.model else ""
        values = self._of_samples(trace.after, output)
        outputs = self._filled(self._rows(f"{self._component(output, ())} = {self.listed(values)}"))
        number = self._number_of_loss
        sentence = say(
            "trace.after",
            forward=say("heading.forward"),
            loss=self.style.inline(loss),
            before=self.style.inline(self._number(trace.loss)),
        )
        formula = self.style.stacked([f"{loss} = {self._number(trace.loss_after)}", outputs], number)
        yield StepBlock(self.style.label(number), say("rule.after step"), sentence, formula, False)
        if trace.premature is not None:
            yield self._order(loss)

    # ------------------------------------------------------------ what came out

    def _results(self) -> dict[str, object]:
        """Return the part of the template context that is the table of what came out."""
        say, style = self.sentences.say, self.style
        columns = ResultRow(say("heading.number"), say("trace.quantity"), say("trace.value"))
        head, *rows = style.table([columns, *self._outcomes()])
        return {"results_heading": say("trace.results"), "results_columns": head, "results": rows}

    def _outcomes(self) -> Iterator[ResultRow]:
        """Yield the outputs, E, its derivatives, the new parameters and E after the step, with numbers."""
        trace, derivation = self.trace, self.derivation
        system, model = derivation.system, derivation.model
        loss = system.loss
        if model is not None and model.output in system.definitions:
            outputs = self._of_samples(self.numbers, model.output)
            yield self._outcome(derivation.labels[model.output], self._component(model.output, ()), outputs)
        yield self._outcome(self._number_of_loss, self._component(loss, ()), np.asarray(trace.loss))
        batch = {step.target: step for step in derivation.batch}
        for name in system.parameters:
            step = batch.get(name, derivation.by_number[derivation.results[name]])
            yield self._outcome(step.number, self.style.printer.show(step.lhs), trace.gradients[name])
        last = derivation.update[-1].number
        for name in system.parameters:
            if name not in trace.frozen:
                yield self._outcome(last, self._primed(name), trace.updated[name])
        yield self._outcome(self._number_of_loss, self._primed(loss), np.asarray(trace.loss_after))

    def _outcome(self, number: int, left: str, values: Array) -> ResultRow:
        lines = self.style.lines(self._rows(self.listed(values)), _VALUES_WIDTH)
        return ResultRow(f"({number})", self.style.cell_of([left]), self.style.cell_of(lines))

    def _primed(self, name: str) -> str:
        shown = self._component(name, ())
        return f"{{{shown}}}'" if self.math else f"{shown}'"

    @property
    def _number_of_loss(self) -> int:
        """The number of the equation of E for the batch."""
        return next(
            (s.number for s in self.derivation.batch), self.derivation.labels[self.derivation.system.loss]
        )

    def _of_samples(self, numbers: Evaluation, name: str) -> Array:
        """Return the values of a quantity, without the axis of the samples where there is one alone."""
        values = numbers.values[name]
        return values[0] if self.trace.samples == 1 and name in numbers.varying else values

    # ------------------------------------------------------------ the order of the updates

    def _order(self, loss: str) -> StepBlock:
        """Return why the parameters move at once, with the figure that comes out otherwise."""
        say, premature = self.sentences.say, self.trace.premature
        assert premature is not None
        inline, step = self.style.inline, premature.step
        name = next(
            n for n, g in premature.gradients.items() if not np.array_equal(g, self.trace.gradients[n])
        )
        wrong, right = premature.gradients[name], self.trace.gradients[name]
        place = tuple(int(k) for k in np.unravel_index(int(np.argmax(np.abs(wrong - right))), wrong.shape))
        result = self.derivation.by_number[self.derivation.results[name]]
        sentence = say(
            "trace.order",
            moved=self.sentences.listed(inline(self._component(n, ())) for n in premature.moved),
            result=inline(self.style.printer.show(step.lhs)),
            number=f"({result.number})",
            wrong=inline(self._number(wrong[place])),
            right=inline(self._number(right[place])),
            loss=inline(loss),
            after=inline(self._number(premature.loss_after)),
            repeated=inline(self._number(premature.loss_repeated)),
        )
        letters = self.numbers.free_indices(result.lhs)
        at = dict(zip(letters, map(Integer, place), strict=True))
        left = self.placed.show(result.lhs.xreplace(at))
        sign = r" \ne " if self.math else " ≠ "
        numbers = f"{self._number(right[place])}{sign}{self._number(wrong[place])}"
        formula = self.style.display(left, [numbers])
        return StepBlock(self.style.label(result.number), say("rule.order"), sentence, formula, False)


# ------------------------------------------------------------------------------------------- printing


class _NumbersPrinter(Printer):
    """Prints an expression whose indices are numbers with the number of each component in its place."""

    numbers: Evaluation
    scalars: Mapping[str, float]
    digits: int
    sample = 0

    def tie(self, expression: Basic) -> str:
        return TextPrinter(self.notation).show(expression)

    def bracket(self, inside: str) -> str:
        """Return ``inside`` in brackets between which a line may end, which those of a fixed size allow."""
        left, right = self.big_brackets if r"\frac" in inside else ("(", ")")
        return f"{left}{inside}{right}"

    def show_number(self, value: float) -> str:
        """Return a number as it is printed."""
        return self._piece_of(value).text

    def piece(self, expression: Basic) -> Piece:
        if expression not in self._known:
            self._known[expression] = self._found(expression)
        return self._known[expression]

    def _fraction(self, numerator: Sequence[Expr], denominator: Sequence[Expr]) -> Piece:
        """Return a fraction; below a bar on one line a sum of terms has brackets."""
        if isinstance(self, TextPrinter) and len(denominator) == 1 and isinstance(denominator[0], Sum):
            above = self.chain(numerator, closed=True).text
            return Piece(f"{above}/{self.at_least(denominator[0], Level.POWER)}", Level.PRODUCT)
        found: Piece = super()._fraction(numerator, denominator)  # type: ignore[misc]
        return found

    def _found(self, expression: Basic) -> Piece:
        if isinstance(expression, Symbol) and expression.name in self.scalars:
            return self._piece_of(self.scalars[expression.name])
        if isinstance(expression, Derivative | KroneckerDelta | ArgMax) or self.order.is_read(expression):
            return self._piece_of(self.numbers.at(expression, self.sample))
        if expression in self.numbers.scalars:
            return self._piece_of(self.numbers.scalars[expression])
        if isinstance(expression, Piecewise):
            return self.piece(self._taken(expression))
        if isinstance(expression, Add):
            return self._added(expression)
        return self._written_out(expression) if isinstance(expression, Sum) else super().piece(expression)

    def _added(self, expression: Add) -> Piece:
        """Return terms with their signs; a sum that is written out needs no brackets among them."""
        text = ""
        for mark, product in self._products(expression):
            (factor, *others) = product.numerator or (expression,)
            alone = isinstance(factor, Sum) and not (others or product.denominator or product.negative)
            text += _joined(mark, self.piece(factor).text if alone else self.unsigned(product).text)
        return Piece(text, Level.SUM)

    def _piece_of(self, value: float) -> Piece:
        text = shown(abs(value), self.digits)
        mantissa, found, exponent = text.partition("e")
        level = Level.ATOM
        if found and isinstance(self, LatexPrinter):
            text, level = rf"{mantissa} \cdot 10^{{{int(exponent)}}}", Level.PRODUCT
        return Piece(f"-{text}", Level.SUM) if value < 0 and text != "0" else Piece(text, level)

    def _taken(self, cases: Piecewise) -> Expr:
        """Return the value of the case that holds."""
        for value, condition in cases.args:
            if self.numbers.at(condition, self.sample):
                return value
        return sympify(float("nan"))

    def _written_out(self, total: Sum) -> Piece:
        """Return a sum as its terms, the middle of a long one left out."""
        letters = [limit[0] for limit in total.limits]
        counts = [self.numbers.size(limit[2] + 1) for limit in total.limits]
        places: list[tuple[int, ...]] = []
        for place in itertools.islice(np.ndindex(*counts), _TERMS + 1):
            places.append(place)
        long = len(places) > _TERMS
        terms = [self._term(total, letters, place) for place in (places[:_FIRST] if long else places)]
        terms += [Piece(r"\cdots" if isinstance(self, LatexPrinter) else "…")] if long else []
        terms += [self._term(total, letters, tuple(n - 1 for n in counts))] if long else []
        if len(terms) == 1:
            return terms[0]
        return Piece(terms[0].text + "".join(_joined(" + ", term.text) for term in terms[1:]), Level.SUM)

    def _term(self, total: Sum, letters: Sequence[Symbol], place: Sequence[int]) -> Piece:
        return self.piece(placed(total.function, dict(zip(letters, map(Integer, place), strict=True))))


def placed(expression: Expr, places: Mapping[Symbol, Integer]) -> Expr:
    """Return an expression with numbers in place of indices, but where a sum in it binds the same letter."""
    bound = {limit[0] for total in expression.atoms(*BINDERS) for limit in total.limits}
    if not bound & places.keys():
        return expression.xreplace(places)
    if isinstance(expression, BINDERS):
        own = {limit[0] for limit in expression.limits}
        inside = {i: place for i, place in places.items() if i not in own}
        return expression.func(placed(expression.function, inside), *expression.limits)
    return expression.func(*[placed(argument, places) for argument in expression.args])


def numbers_printer(
    like: Printer, numbers: Evaluation, scalars: Mapping[str, float | Array], digits: int
) -> _NumbersPrinter:
    """Return a printer with the marks of another one that prints numbers in place of components.

    ``scalars`` are numbers by the names of their symbols, ``digits`` the significant ones that are printed.
    """
    kind = type("NumbersPrinter", (_NumbersPrinter, type(like)), {})
    printer: _NumbersPrinter = kind(like.notation)
    printer.numbers, printer.digits = numbers, digits
    printer.scalars = {name: float(value) for name, value in scalars.items()}
    return printer


def _joined(mark: str, text: str) -> str:
    """Return a term behind the sign before it; a sign of its own takes the place of a plus."""
    return f" - {text[1:]}" if mark == " + " and text.startswith("-") else mark + text


def _parts(formula: str, width: int) -> Iterator[str]:
    """Yield the parts of a printed formula between which a line may end: terms, and factors of long ones."""
    for term in _split(formula, (" + ", " - ")):
        yield from _split(term, ("·", r" \cdot ")) if len(term) > width else [term]


def _split(formula: str, marks: Sequence[str]) -> Iterator[str]:
    """Yield the parts of a formula, each with the mark before it; a group in braces is never split."""
    depth, start = 0, 0
    for position, character in enumerate(formula):
        depth += (character == "{") - (character == "}")
        if depth == 0 and position > start and formula.startswith(tuple(marks), position):
            yield formula[start:position]
            start = position
    yield formula[start:]
