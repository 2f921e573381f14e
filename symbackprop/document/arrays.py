"""The network on whole arrays: the forward pass, the errors and the derivatives for a batch.

In go the equations and results of a derivation, which are for one sample; each gets the samples as its first
axis and is written as a product of matrices, or with einsum, wherever it has such a form.  Below stands the
code that carries it out, as it is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from string import Formatter

from sympy import Derivative, Expr, Sum

from symbackprop.derivation.batch import NoSampleAxis, SampleAxis
from symbackprop.document.blocks import EquationBlock
from symbackprop.document.sentences import Sentences
from symbackprop.equations.naming import SAMPLE, SAMPLES
from symbackprop.equations.steps import Step
from symbackprop.equations.system import Equation, indices_of
from symbackprop.printing.arrays import ArrayForm, array_form
from symbackprop.printing.layers import LayerRun, with_runs
from symbackprop.printing.matrices import MatrixWriter, Unwritable

Code = Callable[[], Mapping[int, Sequence[str]]]
"""Gives the lines of code that carry out each numbered equation."""
Item = Equation | Step


_WIDEST = 96
"""Letters of a part of an equation, which no line break may part; what is wider is left to the components."""


class ArraySection:
    """Writes the equations of a network on whole arrays."""

    def __init__(self, sentences: Sentences, code: Code = dict) -> None:
        self.sentences = sentences
        self.derivation = sentences.derivation
        self.system = sentences.system
        self.style = sentences.style
        self.say = sentences.say
        self._code = code
        self._by_einsum = False
        model = self.derivation.model
        per_sample = bool(self.derivation.batch) if model is None else model.per_sample
        self.batch = SampleAxis(self.derivation) if per_sample else NoSampleAxis(self.derivation)

    def context(self) -> dict[str, object]:
        """Return what the templates place."""
        return {"arrays_introduction": self.introduction(), "arrays": self.blocks}

    # ---- words

    def introduction(self) -> str:
        """Return how the letters are to be read; "" where no equation has such a form."""
        if not self.blocks:
            return ""
        written = "".join(block.formula for block in self.blocks)
        said = [self.say("arrays.plain")]
        if self._of_layers:
            sample, samples = self.sentences.inline(SAMPLE), self.sentences.inline(SAMPLES)
            errors = self.style.inline(self.style.delta_matrix)
            said = [self.say("arrays.layers", sample=sample, samples=samples, errors=errors)]
            said += self._layers_of_matrices()
        marks = {"arrays.product": self.style.product, "arrays.ones": self.style.ones}
        said += [self.say(key, mark=self.style.inline(m)) for key, m in marks.items() if m in written]
        if self._by_einsum:
            said.append(self.say("arrays.einsum"))
        if any(block.lines for block in self.blocks):
            said.append(self.say("arrays.code"))
        return " ".join(said)

    @property
    def _of_layers(self) -> bool:
        """Whether the network is one of layers, all of which are to be told."""
        return self.derivation.model is not None and bool(self.derivation.model.layers)

    def _layers_of_matrices(self) -> list[str]:
        """Return that matrices carry the number of their layer, where nothing before them does."""
        model, printer = self.derivation.model, self.style.printer
        if model is None or printer.notation.shows_layers:
            return []
        inputs = MatrixWriter(printer).name(self.system.quantities[model.inputs[0].name].symbol, 2)
        return [self.say("given.layers", input=self.style.inline(inputs))]

    # ---- equations

    @cached_property
    def blocks(self) -> list[EquationBlock]:
        """The equations that have such a form, those of equal layers once; of second derivatives none."""
        model = self.derivation.model
        if self.derivation.second or (model is not None and model.along):
            return []
        return [
            block for items in (self._forward(), self._errors(), self._sought()) for block in self._of(items)
        ]

    @cached_property
    def code(self) -> Mapping[int, Sequence[str]]:
        """The lines of code for each number."""
        return self._code()

    def _forward(self) -> list[Item]:
        return [e for e in self.system.equations if e.name != self.system.loss]

    def _errors(self) -> list[Item]:
        """Return the results under whose names further ones are found."""
        named = {*self.derivation.adjoints.values()} - {step.target for step in self._sought()}
        return [self._result(name) for name in self.derivation.results_in_order if name in named]

    def _sought(self) -> list[Step]:
        """Return the derivatives that are sought: for a batch their means."""
        means = {step.target: step for step in self.derivation.batch}
        asked = self.derivation.of or self.system.parameters
        known = [name for name in asked if name in self.derivation.results]
        return [means.get(name) or self._result(name) for name in known]

    def _result(self, name: str) -> Step:
        return self.derivation.by_number[self.derivation.results[name]]

    def _of(self, items: Sequence[Item]) -> Iterator[EquationBlock]:
        layers = self.sentences.layers
        for item in with_runs(items, lambda i: self.system.layer(_name(i)), layers.same_up_to_layer):
            if isinstance(item, LayerRun):
                general = self.sentences.general(item.layers[0])
                remark = self.style.space + self.sentences.layers_listed(item.layers)
                for each in item.first:
                    yield from self._block(each, general, f", {self.style.dots}", remark)
            else:
                yield from self._block(item, self.sentences)

    def _block(
        self, item: Item, sentences: Sentences, further: str = "", remark: str = ""
    ) -> Iterator[EquationBlock]:
        """Yield the block of an equation, nothing where it has no such form or is no product.

        Of layers every equation is told.  What the code carries out is the stable form, where there is one.
        """
        number = item.number if isinstance(item, Step) else self.derivation.labels[item.name]
        stable = self.derivation.stable_form_of.get(number)
        forms = [(number, item.rhs)] if stable is None else [(stable.number, stable.rhs), (number, item.rhs)]
        for cited, rhs in forms:
            if not (self._of_layers or rhs.has(Sum)):
                continue
            try:
                form = self._form(item, rhs, sentences)
            except Unwritable:
                continue
            rows = (SAMPLES,) if self._has_rows(item) else ()
            shape = sentences.note(_name(item), rows)
            if any(self.style.measure(part) > _WIDEST for part in form.parts):
                continue
            # The number stands last: at the beginning of a line it is that of a step.
            note = f"{shape}{self._held(form, sentences)}{remark}{self.style.space}({cited}){further}"
            formula = sentences.style.display(form.left, form.parts, note)
            self._by_einsum |= form.by_einsum
            yield EquationBlock("", formula, lines=tuple(map(self.style.code, self.code.get(cited, ()))))
            return

    def _form(self, item: Item, rhs: Expr, sentences: Sentences) -> ArrayForm:
        printer = sentences.style.printer
        if isinstance(item, Step) and item in self.derivation.batch:
            return array_form(printer, item.lhs, rhs, indices_of(_component(item.lhs)))
        lhs = self._lifted(item.lhs)
        return array_form(printer, lhs, self.batch.lift(rhs), indices_of(_component(lhs)))

    def _lifted(self, lhs: Expr) -> Expr:
        if isinstance(lhs, Derivative):
            return Derivative(lhs.expr, self.batch.lift(lhs.variables[0]))
        return self.batch.lift(lhs)

    def _has_rows(self, item: Item) -> bool:
        is_mean = isinstance(item, Step) and item in self.derivation.batch
        return not is_mean and self.batch.is_lifted(_component(item.lhs))

    def _held(self, form: ArrayForm, sentences: Sentences) -> str:
        """Return at which places an equation holds, behind it."""
        if not form.held:
            return ""
        letters = ", ".join(map(sentences.style.printer.show, form.held))
        parts = [self.style.space]
        for literal, value, _, _ in Formatter().parse(sentences.catalogue["arrays.held"]):
            parts += [self.style.words(literal)] if literal else []
            parts += [letters] if value else []
        return "".join(parts)


def _name(item: Item) -> str:
    return item.name if isinstance(item, Equation) else item.target


def _component(side: Expr) -> Expr:
    """Return what a side is about: of a derivative the component below."""
    return side.variables[0] if isinstance(side, Derivative) else side
