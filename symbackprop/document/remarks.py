"""Remarks of a document beside its steps: limits of the error, bounds of slopes, matrices, descent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from sympy import Add, Float, Integer, Symbol, oo, sympify

from symbackprop.derivation.batch import SampleAxis
from symbackprop.derivation.stable.bounds import Bounds, shown
from symbackprop.document.analysis import (
    Slope,
    Tendency,
    all_are_bounded,
    error_of_one,
    is_chain,
    product_of_largest,
    slopes_of,
)
from symbackprop.document.sentences import Sentences
from symbackprop.document.sought import along
from symbackprop.document.updates import is_plain
from symbackprop.equations.naming import SAMPLE, SAMPLES
from symbackprop.equations.steps import Step
from symbackprop.equations.system import indices_of, name_of, scalar
from symbackprop.printing.layers import LayerRun
from symbackprop.printing.matrices import MatrixWriter, Unwritable


class Remarks:
    """Puts the analysis of a derivation into words."""

    def __init__(self, sentences: Sentences) -> None:
        self.sentences = sentences
        self.derivation = sentences.derivation
        self.system = sentences.system
        self.style = sentences.style
        self.say = sentences.say
        self._explained_marks = {"matrices.product": self.style.product, "matrices.ones": self.style.ones}
        self._marks: set[str] = set()

    # ---- the error

    def error(self) -> list[str]:
        """Return the purpose of the error, and its limits as an output becomes right, or wrong."""
        loss = self.sentences.inline(self.system.quantities[self.system.loss].symbol)
        if self.derivation.model is not None and self.derivation.model.along:
            return [along(self.sentences)]
        model = self.derivation.model
        has_targets = model is None or bool(model.targets)
        lines = [self.say("error.introduction" if has_targets else "error.without_targets", loss=loss)]
        found = error_of_one(self.derivation)
        if found is None:
            return lines
        lines.append(self.say("error.term", term=self.sentences.inline(found.term), loss=loss))
        return [*lines, *map(self._tendency, found.tendencies), *self._penalty()]

    def _penalty(self) -> list[str]:
        """Return a sentence on the penalties, terms of the error that read nothing but parameters, if any."""
        model = self.derivation.model
        known = {c.name for c in model.constants} if model is not None else set()
        parameters, strengths = set(self.system.parameters), set()
        for term in Add.make_args(self.system.definitions[self.system.loss].rhs):
            if {name_of(read) for read in self.system.reads(term)} <= parameters:
                strengths |= {s.name for s in term.free_symbols if s.name in known}
        if not strengths:
            return []
        shown = [self.sentences.inline(Symbol(name)) for name in sorted(strengths)]
        return [self.say("error.penalty", strengths=self.sentences.listed(shown))]

    def _tendency(self, tendency: Tendency) -> str:
        show = self.style.printer.show
        if tendency.constant:
            key = "error.constant"
        elif tendency.right:
            key = "error.right"
        else:
            key = "error.infinite" if tendency.error == oo else "error.wrong"
        return self.say(
            key,
            target=self.style.inline(f"{show(tendency.target)} = {show(tendency.is_)}"),
            output=self.style.inline(self.style.arrow(show(tendency.output), show(tendency.goes_to))),
            name=self.style.inline(show(tendency.output)),
            error=self.style.inline(self._number(tendency.error)),
        )

    def _number(self, value: object) -> str:
        return self.style.infinite(self.style.printer.show(sympify(value)))

    # ---- slopes

    def slopes(self, whole: bool = True) -> list[str]:
        """Return the bounds of each slope, and the effect of their product on the error on its way back.

        The product is left out where the derivation is not ``whole``.
        """
        slopes = slopes_of(self.derivation)
        if not slopes:
            return []
        lines = [self.say("slopes.introduction")]
        alike: dict[tuple[Bounds, bool], list[Slope]] = {}
        for slope in slopes:
            alike.setdefault((slope.bounds, slope.cancels), []).append(slope)
        lines += [self._bounds(group) for group in alike.values()]
        factors, product = product_of_largest(slopes)
        if whole and factors and is_chain(self.derivation) and all_are_bounded(slopes, self.derivation):
            lines += self._product(factors, product)
        return lines

    def _bounds(self, alike: list[Slope]) -> str:
        slope = alike[0]
        names = [self.sentences.inline(each.step.lhs) for each in alike]
        unbounded = slope.largest == float("inf")
        key = "slopes.cancels" if slope.cancels else "slopes.unbounded" if unbounded else "slopes.bounds"
        return self.say(
            key,
            slopes=self.sentences.from_to(names),
            interval=self.style.inline(self.style.infinite(str(slope.bounds))),
            largest=self.style.inline(self.style.infinite(shown(slope.largest))),
        )

    def _product(self, factors: Mapping[str, int], product: float) -> list[str]:
        powers = [self.style.power(base, count) for base, count in factors.items() if base != "1"]
        written = self.style.infinite(self.style.dot.join(powers or ["1"]))
        value = f"{product:.2g}"
        if sum(factors.values()) > 1 and value != written and product < float("inf"):
            written += self.style.about + self.style.printer.show(
                Float(value) if "e" in value else sympify(value)
            )
        key = "slopes.keep" if product == 1 else "slopes.vanish" if product < 1 else "slopes.explode"
        if product == float("inf"):
            return [self.say(key)]
        return [self.say("slopes.product", product=self.style.inline(written)), self.say(key)]

    # ---- matrices

    def matrix_introduction(self) -> str:
        """Return how the letters of the matrix form are to be read."""
        named = [q for q in self.derivation.adjoints.values() if self.system.kind(q) == "pre-activation"]
        said = [self.say("matrices.plain")]
        if named:
            sample, samples = self.sentences.inline(SAMPLE), self.sentences.inline(SAMPLES)
            errors = self.style.inline(self.style.delta_matrix)
            said = [self.say("matrices.introduction", sample=sample, samples=samples, errors=errors)]
            said += self._layers_of_matrices()
        if self.matrices:  # which finds the marks
            marks = self._explained_marks.items()
            said += [self.say(key, mark=self.style.inline(mark)) for key, mark in marks if key in self._marks]
        return " ".join(said)

    def _layers_of_matrices(self) -> list[str]:
        """Return that matrices carry the number of their layer, where nothing before them does."""
        model, printer = self.derivation.model, self.style.printer
        if model is None or not model.layers or printer.notation.shows_layers:
            return []
        inputs = MatrixWriter(printer).name(self.system.quantities[model.inputs[0].name].symbol, 2)
        return [self.say("given.layers", input=self.style.inline(inputs))]

    @cached_property
    def matrices(self) -> list[str]:
        """The derivatives for a batch as products of matrices, where they have such a form."""
        found: list[str] = []
        if self.style.printer.notation.name == "matrix":
            return found  # the steps of a batch are in matrices themselves
        found += self._recursion()
        steps = [step for step in self.derivation.batch if step.target != self.system.loss]
        for item in self.sentences.runs_of_steps(steps):
            if isinstance(item, LayerRun):
                general, style = self.sentences.general(item.layers[0]), self.style
                layers = style.space + self.sentences.layers_listed(item.layers)
                for step in item.first:
                    found += self._matrix(step, general, f", {style.dots}", layers)
            else:
                found += self._matrix(item, self.sentences)
        return found

    def _recursion(self) -> list[str]:
        """Return the way forward and back for all samples, or nothing where a part has no such form."""
        if self.derivation.of:
            return []
        loss, results = self.system.loss, self.derivation.results
        forward = [e for e in self.system.equations if e.name != loss]
        numbered = [Step(self.derivation.labels[e.name], e.name, "", e.lhs, e.rhs) for e in forward]
        back = [self.derivation.by_number[results[name]] for name in self.derivation.adjoints.values()]
        axis = SampleAxis(self.derivation)
        found: list[str] = []
        for item in (*self.sentences.runs_of_steps(numbered), *self.sentences.runs_of_steps(back)):
            if isinstance(item, LayerRun):
                general = self.sentences.general(item.layers[0])
                note = f", {self.style.dots}{self.style.space}{self.sentences.layers_listed(item.layers)}"
                lines = [self._lifted(step, axis, general, note) for step in item.first]
            else:
                lines = [self._lifted(item, axis, self.sentences)]
            if not all(lines):
                return []
            found += lines
        return found

    def _lifted(self, step: Step, axis: SampleAxis, sentences: Sentences, note: str = "") -> str:
        """Return an equation of one sample for all of them, a row for each; "" where it has no such form."""
        lhs, rhs = axis.lift(step.lhs), axis.lift(step.rhs)
        try:
            left, parts = MatrixWriter(sentences.style.printer).equation(lhs, rhs, indices_of(lhs))
        except Unwritable:
            return ""
        self._marks |= {key for key, mark in self._explained_marks.items() if mark in "".join(parts)}
        return sentences.style.display(left, parts, f"({step.number}){note}")

    def _matrix(self, step: Step, sentences: Sentences, further: str = "", layers: str = "") -> list[str]:
        component = step.lhs.variables[0]
        axes = component.indices if hasattr(component, "indices") else ()
        try:
            left, parts = MatrixWriter(sentences.style.printer).equation(step.lhs, step.rhs, tuple(axes))
        except Unwritable:
            return []
        self._marks |= {key for key, mark in self._explained_marks.items() if mark in "".join(parts)}
        shape = sentences.note(name_of(component))
        return [
            sentences.style.display(left, parts, f"({step.number}){further}{self.style.space}{shape}{layers}")
        ]

    # ---- gradient descent

    def descent(self, whole: bool = True) -> list[str]:
        """Return sentences on the gradient, a step of descent, the effect of random batches, and the rate.

        Not ``whole`` are only those that tell the letters of the update.
        """
        rate, w, g = map(scalar, ("learning_rate", "w", "g"))
        shown = {
            "loss": self.system.quantities[self.system.loss].symbol,
            "parameter": w,
            "derivative": g,
            "rate": rate,
            "change": -rate * g,
            "fall": rate * g ** Integer(2),
        }
        values = {name: self.sentences.inline(formula) for name, formula in shown.items()}
        if not whole:
            return [self.say("descent.component", **values)]
        step = "descent.step" if is_plain(self.derivation.update) else "descent.other"
        keys = ["descent.component", "descent.gradient", step, "descent.stochastic", "descent.rate"]
        return [self.say(key, **values) for key in keys]
