"""The steps of a derivation in words.

Formulas come from the steps alone, sentences from the catalogue of the language.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from string import Formatter

from sympy import Add, Derivative, Expr, KroneckerDelta, Rational, Sum, Symbol

from symbackprop.derivation.kinks import Kink, kinks_in
from symbackprop.document.blocks import EquationBlock, Group, ResultRow, StepBlock
from symbackprop.document.cancelled import with_struck_factors
from symbackprop.document.formats import Format
from symbackprop.document.given import changing, drawn, names_elsewhere, values_shown
from symbackprop.document.language.catalogues import Catalogue
from symbackprop.document.language.particles import with_particle
from symbackprop.document.sections import Sections
from symbackprop.document.updates import reasons
from symbackprop.equations.circles import Circle, parts_of
from symbackprop.equations.model import Model
from symbackprop.equations.naming import SAMPLE, SAMPLES
from symbackprop.equations.steps import Derived, Step, differentiated
from symbackprop.equations.system import (
    ZERO,
    ArgMax,
    Equation,
    Fact,
    indices_of,
    name_of,
    new_value,
    scalar,
    sum_over,
)
from symbackprop.errors import SpecificationError
from symbackprop.library.optimizers import OPTIMIZERS
from symbackprop.printing.layers import LAYER, LEAST, AnyLayer, LayerRun, with_runs
from symbackprop.printing.matrices import MatrixWriter, Unwritable
from symbackprop.printing.order import flat, summed_indices
from symbackprop.printing.text import TextPrinter

_ANY = Symbol("_any", real=True)


class Sentences:
    """Puts the steps of a derivation into words."""

    def __init__(self, derivation: Derived, style: Format, catalogue: Catalogue) -> None:
        self.derivation = derivation
        self.system = derivation.system
        self.style = style
        self.catalogue = catalogue
        self.layers = AnyLayer(derivation, style.printer)
        self._latest: dict[tuple[Expr, Expr | None], int] = {}

    def say(self, key: str, **values: str) -> str:
        """Return a sentence of the catalogue with finished strings in its places."""
        parts = []
        for literal, name, particle, _ in Formatter().parse(self.catalogue[key]):
            parts.append(self.style.escape(literal))
            if name is not None:
                parts.append(with_particle(values[name], particle) if particle else values[name])
        return "".join(parts)

    def listed(self, items: Iterable[str]) -> str:
        """Return the items as a sentence lists them: a, b and c."""
        first = list(dict.fromkeys(items))
        last = first.pop()
        if not first:
            return last
        return self.say("list.between").join(first) + self.say("list.last") + last

    def inline(self, expression: Expr) -> str:
        """Return a formula inside a sentence."""
        if isinstance(expression, Derivative) and self._is_read(expression.expr):
            return self.style.inline(self.style.slashed(expression.expr, expression.variables[0]))
        return self.style.inline(self.style.printer.show(expression))

    def _numbers(self, numbers: Iterable[int]) -> str:
        return self.listed(f"({n})" for n in sorted(set(numbers)))

    # ---- the forward part

    def given(self) -> list[str]:
        """Return sentences on the given quantities, with shapes: inputs, targets, parameters, constants."""
        model = self.derivation.model
        states, noise = changing(self.derivation)
        known = {*self.system.inputs, *self.system.parameters, *self.system.definitions, *states, *noise}
        targets = [given.name for given in model.targets] if model is not None else []
        inputs = [name for name in self.system.inputs if name not in {*targets, *noise}]
        vectors = model.along.vectors.values() if model is not None and model.along is not None else ()
        known.update(vectors)
        kinds = (
            ("given.quantities" if model is None else "given.inputs", inputs),
            ("given.targets", targets),
            ("given.parameters", self.system.parameters),
            ("given.constants", [name for name in self.system.quantities if name not in known]),
            ("given.vector", vectors),
            ("given.states", states),
            ("given.noise", list(noise)),
        )
        lines = [
            self.say(key, quantities=self.listed(self._with_shapes(names))) for key, names in kinds if names
        ]
        lines += [self.say(key, **said) for key, said in drawn(noise, self._first_reading, self.style)]
        if model is not None and model.layers:
            lines += self._units(model)
        lines += [*self._names_elsewhere(), *self._ranges(), *self._circles(forward=True)]
        values = values_shown(self.derivation, self.style)
        return [*lines, self.say("given.values", values=self.listed(values))] if values else lines

    def _units(self, model: Model) -> list[str]:
        """Return sentences on the units, layers and biases of a dense network."""
        kinds = {"sum": "pre-activation", "output": "activation", "weight": "weight"}
        first = {key: self.system.of_kind(kind, 1) for key, kind in kinds.items()}
        said = {key: self.inline(self._first_reading(name)) for key, name in first.items() if name}
        lines = [self.say("given.units", **said)]
        if self.style.printer.notation.shows_layers:
            inputs = self.inline(self._first_reading(model.inputs[0].name))
            lines.append(self.say("given.layers", input=inputs))
        if self.style.draws:
            lines.append(self.say("given.counted"))
        if self.style.draws and self.system.of_kind("bias", 1) is not None:
            lines.append(self.say("given.biases"))
        return lines

    def _ranges(self) -> list[str]:
        """Return a sentence on the ranges of the index letters; none where a letter has several ranges."""
        sizes: dict[Expr, set[Expr]] = {}
        for equation in self.system.equations:
            for side in (equation.lhs, equation.rhs):
                for read in self.system.reads(side):
                    shape = self.system.quantities[name_of(read)].shape
                    for i, n in zip(indices_of(read), shape, strict=True):
                        if i.is_Symbol and not self.system.is_read(i):
                            sizes.setdefault(i, set()).add(n)
        if not sizes or any(len(found) > 1 for found in sizes.values()):
            return []
        letters: dict[Expr, list[str]] = {}
        for i, (n,) in sizes.items():
            letters.setdefault(n, []).append(self.inline(i))
        said = [
            self.say("given.index", indices=self.listed(sorted(each)), size=self.inline(n))
            for n, each in sorted(letters.items(), key=lambda pair: str(pair[0]))
        ]
        return [self.say("given.indices", ranges=self.say("run.between").join(said))]

    def _circles(self, *, forward: bool) -> Iterator[str]:
        """Yield a sentence on each circle of equations: in which order it is carried out, or the way back."""
        for part in parts_of(self.system.equations, self.system.reads):
            if isinstance(part, Circle):
                equation = part.equations[0]
                ends = [ZERO, part.extent - 1]
                first, last = (self.inline(end) for end in (ends if part.ascending else reversed(ends)))
                yield self.say(
                    "given.circle" if forward else "backward.circle",
                    quantities=self.listed(self.inline(e.lhs) for e in part.equations),
                    letter=self.inline(part.letter(equation)),
                    first=first,
                    last=last,
                )

    def _names_elsewhere(self) -> Iterator[str]:
        """Yield a sentence on the parameters that code and files call by the uses of their own blocks."""
        called = [
            self.say(
                "given.name",
                quantity=self.general(self.system.roles[name].layer).inline(self._first_reading(name)),
                names=self.style.escape(", ".join(names)),
            )
            for name, names in names_elsewhere(self.system)
        ]
        if called:
            yield self.say("given.names", names=self.say("run.between").join(called))

    def _with_shapes(self, names: Iterable[str]) -> list[str]:
        """Return quantities with their shapes, those of a run of layers once."""
        found: list[str] = []
        readings = [Equation(self._first_reading(name), self._first_reading(name)) for name in names]
        for item in self._runs_of_equations(readings):
            if not isinstance(item, LayerRun):
                found.append(self._with_shape(item.name))
                continue
            general = self.general(item.layers[0])
            once = self.listed(general._with_shape(e.name) for e in item.first)
            found.append(self.say("run.given", quantities=once, layers=self.layers_said(item.layers)))
        return found

    def layers_said(self, layers: Sequence[int]) -> str:
        """Return from where to where ℓ goes, in a sentence."""
        return self.style.inline(self.layers_listed(layers))

    def layers_listed(self, layers: Sequence[int]) -> str:
        """Return from where to where ℓ goes, as a formula."""
        layer = self.style.printer.show(Symbol(LAYER))
        between = [self.style.dots] if len(layers) > 2 else []
        return f"{layer} = {', '.join([str(layers[0]), *between, str(layers[-1])])}"

    def _with_shape(self, name: str) -> str:
        quantity = self.system.quantities[name]
        component = self.inline(self._first_reading(name))
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

    def _shape(self, name: str, rows: Sequence[Expr] = ()) -> str:
        sizes = (*rows, *self.system.quantities[name].shape)
        return f"({', '.join(self.style.printer.show(n) for n in sizes)})"

    def forward(self, equation: Equation) -> EquationBlock:
        """Return the block of a forward equation, with the shape of the quantity that it defines."""
        label = self.style.label(self.derivation.labels[equation.name])
        return EquationBlock(label, self.formula(equation.lhs, equation.rhs, True, self.note(equation.name)))

    def formula(self, lhs: Expr, rhs: Expr, whole: bool, note: str = "") -> str:
        """Return an equation, displayed; in matrix notation one of ``whole`` arrays has no indices."""
        if not whole or self.style.printer.notation.name != "matrix":
            summed = self.layers.summed(rhs)
            if summed:
                return self.style.display(self.style.printer.show(lhs), summed, note)
            return self.style.formula(lhs, rhs, note)
        return self.style.display(*self._matrix(lhs, rhs), note)

    def _matrix(self, lhs: Expr, rhs: Expr) -> tuple[str, list[str]]:
        """Return an equation in vectors and matrices; raises SpecificationError where there is none."""
        at = indices_of(lhs.variables[0] if isinstance(lhs, Derivative) else lhs)
        rest, runs = self.layers.apart(rhs)
        try:
            left, parts = MatrixWriter(self.style.printer).equation(lhs, rest, at)
            for term, layers in runs:
                _, body = MatrixWriter(self.layers.printer_of(layers[0])).equation(lhs, term, at)
                layer, ends = self.style.printer.show(Symbol(LAYER)), (min(layers), max(layers))
                total = self.style.printer.big_sum_between(layer, *ends, "".join(body))
                parts = [*parts, f" + {total}"]
            return left, parts
        except Unwritable as error:
            shown = TextPrinter(self.style.printer.notation).show(lhs)
            problem = f"'matrix' can't say the equation of {shown}: {error}"
            raise SpecificationError(f"notation: {problem}; use 'layered'") from error

    def forwards(self, equations: Sequence[Equation] = ()) -> list[EquationBlock]:
        """Return the forward equations, or some of them; of a run of layers first those for any layer."""
        found: list[EquationBlock] = []
        sections = self._sections()
        for item in self._runs_of_equations(equations or self.system.equations):
            if isinstance(item, LayerRun):
                general = self.general(item.layers[0])
                once = [replace(general.forward(e), label=self.style.blank()) for e in item.first]
                once[0] = replace(once[0], note=self._run_note(item.layers))
                found += once
                each = [equation for block in item.blocks for equation in block]
            else:
                each = [item]
            found += [replace(self.forward(e), section=sections.begun(e.name)) for e in each]
        return found

    def _sections(self) -> Sections:
        return Sections(self.derivation, self.say("section.outside"), self.style.escape)

    # ---- runs of layers

    def runs_of_steps(self, steps: Sequence[Step]) -> Iterator[Step | LayerRun[Step]]:
        """Yield steps of which each is about another quantity; those of a run of layers as one."""
        return with_runs(steps, lambda step: self.system.layer(step.target), self.layers.same_up_to_layer)

    def _runs_of_equations(self, equations: Sequence[Equation]) -> Iterator[Equation | LayerRun[Equation]]:
        return with_runs(equations, lambda e: self.system.layer(e.name), self.layers.same_up_to_layer)

    def general(self, layer: int) -> Sentences:
        """Return the sentences that call ``layer`` ℓ, the layer before it ℓ-1, and so on."""
        style = type(self.style)(self.layers.notation(layer), self.derivation)
        sentences = Sentences(self.derivation, style, self.catalogue)
        sentences._latest = self._latest
        return sentences

    @property
    def _layer(self) -> str:
        return self.inline(Symbol(LAYER))

    def _run_note(self, layers: Sequence[int]) -> str:
        return self.say("run.note", layer=self._layer, layers=self.layers_said(layers))

    def note(self, name: str, rows: Sequence[Expr] = ()) -> str:
        """Return the remark on the shape of a quantity behind its equation; ``rows`` come before its axes."""
        key = "note.shape" if rows or self.system.quantities[name].shape else "note.scalar"
        parts = []
        for literal, value, _, _ in Formatter().parse(self.catalogue[key]):
            parts.append(self.style.words(literal) if literal else "")
            parts.append(self._shape(name, rows) if value else "")
        return "".join(parts)

    def fact(self, fact: Fact) -> str:
        """Return a fact as a formula."""
        size = fact.component.base.shape[fact.axis]
        total = sum_over(fact.component, (fact.index, size))
        return f"{self.style.printer.show(total)} = {self.style.printer.show(fact.value)}"

    # ---- the steps

    def groups(self) -> list[Group]:
        """Return the steps, grouped by the derivative that they lead to; those of a run of layers once."""
        found: list[Group] = []
        sections = self._sections()
        for item in with_runs(
            list(self.derivation.steps_to.values()), self._layer_of_steps, self.layers.are_same_up_to_layer
        ):
            for steps in item.first if isinstance(item, LayerRun) else [item]:
                found.append(replace(self._group(steps), section=sections.begun(steps[0].target)))
            if isinstance(item, LayerRun):
                found.append(self._further(item))
        return found

    def _layer_of_steps(self, steps: Sequence[Step]) -> int | None:
        return self.system.layer(steps[0].target)

    def _group(self, steps: Sequence[Step]) -> Group:
        return Group(self.style.heading(steps[0].lhs), tuple(self.explained(steps)))

    def _further(self, run: LayerRun[list[Step]]) -> Group:
        """Return the layers behind the first one of a run: their results for any ℓ, then those of each."""
        results = set(self.derivation.results.values())
        general = self.general(run.layers[0])
        ends = [step for group in run.first for step in group if step.number in results]
        shown = [replace(each, label=self.style.blank()) for each in general._plain(ends)]
        listed: list[StepBlock] = []
        numbers = []
        for layer, block in zip(run.layers[1:], run.blocks[1:], strict=True):
            steps = [step for group in block for step in group]
            for step in steps:
                self._latest[self._topic(step.lhs)] = step.number
            each = self._plain([step for step in steps if step.number in results])
            listed += [replace(one, result=False) for one in each]
            first, last = f"({steps[0].number})", f"({steps[-1].number})"
            which = self.style.inline(f"{self.style.printer.show(Symbol(LAYER))} = {layer}")
            numbers.append(self.say("run.steps", layer=which, first=first, last=last))
        layers = run.layers[1:]
        note = self.say("run.numbers", steps=self.say("run.between").join(numbers))
        listed[0] = replace(listed[0], note=note)
        return Group(self.layers_said(layers), (*shown, *listed), self._run_note(layers))

    def _plain(self, steps: Sequence[Step]) -> list[StepBlock]:
        """Return steps without the words that explain them."""
        return [replace(each, rule="", sentence="") for each in self.explained(steps)]

    def backward_introduction(self) -> str:
        """Return the sentences before the steps."""
        introduction = self.say("backward.introduction")
        introduction = " ".join([introduction, *self._circles(forward=False)])
        errors = self.style.printer.notation.delta_names
        named = [a for a in self.derivation.adjoints if a in errors]
        if named:
            component = self.system.quantities[self.derivation.adjoints[named[0]]]
            at = self.derivation.indices(component.name)
            return f"{introduction} " + self.say(
                "backward.errors",
                error=self.style.inline(self.style.printer.component(named[0], at).text),
                derivative=self.inline(Derivative(self._loss, component.at(at))),
            )
        if self.style.printer.notation.name == "matrix":
            product, ones = (self.style.inline(mark) for mark in (self.style.product, self.style.ones))
            said = self.say("arrays.product", mark=product), self.say("arrays.ones", mark=ones)
            return " ".join([introduction, self.say("backward.matrix"), *said])
        return introduction

    def assumptions(self) -> list[str]:
        """Return the assumptions: facts about the data, and the values of derivatives at kinks."""
        return [*self.facts(), *self.kinks()]

    def facts(self) -> list[str]:
        """Return the facts about the data that steps rest on."""
        steps = [f"({step.number})" for step in self.derivation.steps if step.rule == "fact"]
        return [
            self.say("assumed.fact", fact=self.style.inline(self.fact(fact)), numbers=self.from_to(steps))
            for fact in (self.system.facts if steps else ())
        ]

    def explained(self, steps: Sequence[Step]) -> list[StepBlock]:
        """Return steps that follow each other, each with its sentence."""
        results = set(self.derivation.results.values())
        explained = []
        last: dict[Expr, Step] = {}
        for step in steps:
            rule = self._rule(step)
            whole = step.number in results or step.rule in ("stable form", "batch mean")
            label = self.style.label(step.number)
            formula = self.formula(step.lhs, step.rhs, whole)
            sentence = self._sentence(step, last.get(step.lhs))
            before = self._struck_out(step, last.get(step.lhs))
            result = step.number in results
            explained.append(StepBlock(label, rule, sentence, formula, result, before=before))
            self._latest[self._topic(step.lhs)] = step.number
            last[step.lhs] = step
        return explained

    def _struck(self, step: Step, before: Step | None) -> Expr | None:
        """Return the product whose factors cancel in a step, with these struck out; None where none do."""
        if step.rule != "cancellation" or before is None:
            return None
        return with_struck_factors(before.rhs, step, self.derivation)

    def _struck_out(self, step: Step, before: Step | None) -> str:
        """Return the equation of a cancellation with the factors that cancel struck out; else nothing."""
        product = self._struck(step, before)
        if product is None or self.style.printer.notation.name == "matrix":
            return ""
        return self.style.formula(step.lhs, product)

    def _rule(self, step: Step) -> str:
        """Return the name of a step's rule; where no sum is left of what was inserted, it is an insertion."""
        plain = step.rule == "contraction" and not step.rhs.has(Sum)
        key = "rule.product" if plain else f"rule.{step.rule}"
        return self.say(key) if key in self.catalogue else self.style.escape(step.rule.capitalize())

    def explained_once(self, steps: Sequence[Step]) -> list[StepBlock]:
        """Return steps of which each is about another quantity; those of a run of layers once."""
        found: list[StepBlock] = []
        for item in self.runs_of_steps(steps):
            if not isinstance(item, LayerRun):
                found += self.explained([item])
                continue
            once = self.general(item.layers[0])._plain(item.first)
            once = [replace(each, label=self.style.blank(), result=False) for each in once]
            once[0] = replace(once[0], note=self._run_note(item.layers))
            rest = [step for block in item.blocks[1:] for step in block]
            found += [*once, *self.explained(item.first), *self._plain(rest)]
        return found

    def columns_of_results(self) -> ResultRow:
        """Return the headings of the table of results."""
        return ResultRow(*(self.say(f"heading.{name}") for name in ("number", "derivative", "formula")))

    def rows(self) -> list[ResultRow]:
        """Return the rows of the table of all results."""
        return [row for _, row in self.rows_by_target()]

    def rows_by_target(self) -> list[tuple[str, ResultRow]]:
        """Return the rows of the table of all results by quantity, those of a run of layers once."""
        found: list[tuple[str, ResultRow]] = []
        results = [self.derivation.by_number[number] for number in self.derivation.results.values()]
        for item in self.runs_of_steps(results):
            if isinstance(item, LayerRun):
                general = self.general(item.layers[0])
                rows = [(step.target, general.row(step.number)) for step in item.first]
                found += [
                    (name, replace(row, label=self.say("run.row", number=row.label))) for name, row in rows
                ]
            else:
                found.append((item.target, self.row(item.number)))
        return found

    def row(self, number: int) -> ResultRow:
        """Return the row of a result in the table."""
        step = self.derivation.by_number[number]
        if self.style.printer.notation.name == "matrix":
            left, parts = self._matrix(step.lhs, step.rhs)
            return ResultRow(f"({number})", self.style.inline(left), self.style.inline("".join(parts)))
        return ResultRow(f"({number})", self.style.cell(step.lhs), self.style.cell(step.rhs))

    def _sentence(self, step: Step, before: Step | None) -> str:
        teller = _TELLERS.get(step.rule)
        return "" if teller is None else teller(self, step, before)

    def chain_rule(self, step: Step, before: Step | None = None) -> str:
        """Return through what the loss depends on a quantity."""
        through, letters, direct = [], [], False
        for product in self.style.printer.order.terms(step.rhs):
            local = self._local_derivative(product.numerator)
            if local is None:
                direct = True
                continue
            through.append(self.inline(local.expr))
            sums = [factor for factor in product.numerator if isinstance(factor, Sum)]
            letters += [self.inline(i) for factor in sums for i in summed_indices(factor)]
        names = {"loss": self.inline(self._loss), "quantity": self.inline(self._variable(step.lhs))}
        if direct:
            key = "chain.direct" if len(set(through)) == 1 else "chain.several"
            return self.say(key, **names, through=self.listed(through)) if through else ""
        if len(through) > 1:
            return self.say("chain.ways", **names, through=self.listed(through))
        if letters:
            return self.say("chain.feeds", **names, through=through[0], indices=self.listed(letters))
        return self.say("chain.one", **names, through=through[0])

    def _local_rule(self, step: Step, before: Step | None) -> str:
        of = step.lhs.expr if self._is_local(step.lhs) else self._loss
        quantity = self.inline(self._variable(step.lhs))
        if not self._is_read(of):
            sentence = self.say("local.term", number=f"({self._number_of_loss})", quantity=quantity)
            return " ".join([sentence, *self._kinks_said(step)])
        equation = self.system.definitions[name_of(of)]
        deltas = sorted(step.rhs.atoms(KroneckerDelta), key=str)
        collapses = equation.rhs.has(Sum) and not step.rhs.has(Sum) and not deltas
        key = "local.sum" if collapses else "local.plain"
        number = f"({self.derivation.labels[equation.name]})"
        sentences = [self.say(key, number=number, quantity=quantity)]
        if deltas:
            sentences.append(self.say("local.delta", delta=self.inline(deltas[0])))
        if step.rhs.has(ArgMax):
            sentences.append(self.say("kink.first"))
        return " ".join([*sentences, *self._kinks_said(step)])

    def _kinks_said(self, step: Step) -> list[str]:
        """Return the places where the derivative of a step jumps, and the values that it is given there."""
        return [
            self.say(
                "kink.jump" if kink.jumps else "kink.kink",
                place=self._place(kink),
                value=self.inline(kink.value),
            )
            for kink in self._kinks.get(step.number, ())
        ]

    def _place(self, kink: Kink) -> str:
        show = self.style.printer.show
        return self.style.inline(f"{show(kink.left)} = {show(kink.right)}")

    @cached_property
    def _kinks(self) -> dict[int, tuple[Kink, ...]]:
        return kinks_in(self.derivation)

    def kinks(self) -> list[str]:
        """Return the values taken at kinks, with the steps that take them; of equal layers once."""
        alike: dict[tuple[str, str, Kink], list[Step]] = {}
        for number, kinks in self._kinks.items():
            step = self.derivation.by_number[number]
            variable = self._variable(step.lhs)
            of = name_of(step.lhs.expr) if self._is_local(step.lhs) and self._is_read(step.lhs.expr) else ""
            for kink in kinks:
                key = self._word(of), self._word(name_of(variable)), kink.of(variable, _ANY)
                alike.setdefault(key, []).append(step)
        return [self._kink_assumed(kink, steps) for (_, _, kink), steps in alike.items()]

    def _word(self, name: str) -> str:
        """Return the word of a quantity's role, the same in all layers; its name where it has no role."""
        role = self.system.roles.get(name)
        return name if role is None else role.word

    def _kink_assumed(self, kink: Kink, steps: Sequence[Step]) -> str:
        own = kink.of(_ANY, self._variable(steps[0].lhs))
        return self.say(
            "kink.assumed",
            derivative=self.inline(steps[0].lhs),
            place=self._place(own),
            value=self.inline(own.value),
            numbers=self.from_to([f"({step.number})" for step in steps]),
        )

    def from_to(self, items: Sequence[str]) -> str:
        """Return the items as a list, of many only the first and the last."""
        if len(items) < LEAST + 1:
            return self.listed(items)
        return self.say("list.between").join([items[0], self.style.dots, items[-1]])

    def _closed_form(self, step: Step, before: Step | None) -> str:
        output = step.lhs.expr
        number = f"({self.derivation.labels[name_of(output)]})"
        return self.say("closed", number=number, output=self.inline(output))

    def _folding(self, step: Step, before: Step | None) -> str:
        equation = self.system.definitions[step.by or step.target]
        number = f"({self.derivation.labels[equation.name]})"
        # where the quantity itself is gone, its definition let terms cancel: n m - Σ x is 0
        names = {name_of(read) for read in self.style.printer.order.reads(step.rhs)}
        key = "folding" if equation.name in names else "folding.cancel"
        return self.say(key, number=number, quantity=self.inline(equation.lhs))

    def _simplification(self, step: Step, before: Step | None) -> str:
        return self.say("simplification")

    def _insertion(self, step: Step, before: Step | None) -> str:
        numbers = self._inserted(step, before)
        if not numbers:
            return ""
        deltas = self._picked(numbers, step)
        if deltas:
            return self.say("insert.delta", numbers=self._numbers(numbers), delta=self.inline(deltas[0]))
        sums = [s for s in flat(step.rhs, Add) if isinstance(s, Sum)]
        if step.rule != "contraction" or len(sums) != 1:
            return self.say("insert", numbers=self._numbers(numbers))
        return self.say(
            "insert.sum",
            numbers=self._numbers(numbers),
            indices=self.listed(self.inline(i) for i in summed_indices(sums[0])),
            quantity=self.inline(self._variable(step.lhs)),
        )

    def _picked(self, numbers: Sequence[int], step: Step) -> list[Expr]:
        """Return the deltas of the inserted steps that are gone in ``step``: each picked one term."""
        if step.rhs.has(KroneckerDelta):
            return []
        inserted = [self.derivation.by_number[n].rhs for n in numbers]
        return sorted({d for rhs in inserted for d in rhs.atoms(KroneckerDelta)}, key=str)

    def _cancellation(self, step: Step, before: Step | None) -> str:
        numbers = self._inserted(step, before)
        if not numbers:
            return self.say("cancel")
        key = "insert.shorter" if self._struck(step, before) is None else "insert.cancel"
        return self.say(key, numbers=self._numbers(numbers))

    def _fact(self, step: Step, before: Step | None) -> str:
        used = [f for f in self.system.facts if before is None or before.rhs.has(f.component.base)]
        if not used:
            return ""
        return self.say("fact", fact=self.listed(self.style.inline(self.fact(f)) for f in used))

    def _no_path(self, step: Step, before: Step | None) -> str:
        return self.say(
            "no path", loss=self.inline(self._loss), quantity=self.inline(self._variable(step.lhs))
        )

    def _no_effect(self, step: Step, before: Step | None) -> str:
        return self.say("no effect", quantity=self.inline(self._variable(step.lhs)))

    def _stable_form(self, step: Step, before: Step | None) -> str:
        replaced = (number for number, stable in self.derivation.stable_form_of.items() if stable == step)
        return self.say("stable", number=f"({next(replaced)})")

    def _batch_mean(self, step: Step, before: Step | None) -> str:
        if step.target == self.system.loss:
            number = self._number_of_loss
        else:
            number = self.derivation.results[step.target]
        stable = self.derivation.stable_form_of.get(number)
        number = number if stable is None else stable.number
        return self.say("batch", number=f"({number})")

    def _update(self, step: Step, before: Step | None) -> str:
        quantity = self.inline(scalar(step.target))
        said = self.say("update.parameter" if step.target == "w" else "update.state", quantity=quantity)
        why = reasons(step, self.derivation.update)
        return " ".join([said, *(self.say(key, **self._inline_all(shown)) for key, shown in why)])

    def _inline_all(self, formulas: Mapping[str, Expr]) -> dict[str, str]:
        return {name: self.inline(formula) for name, formula in formulas.items()}

    def _kept(self, step: Step, before: Step | None) -> str:
        old, new = self.inline(scalar(step.target)), self.inline(step.lhs)
        return self.say("rescaling.definition", old=old, new=new)

    def _rescaling(self, step: Step, before: Step | None) -> str:
        derivation = self.derivation
        of = derivation.update[derivation.executed_update.index(step)]
        read = {of.lhs, *of.rhs.free_symbols}
        kept = [s for s in derivation.stored if read & {scalar(s.target), new_value(s.target)}]
        return self.say(
            "rescaling.equation",
            number=f"({of.number})",
            old=self.listed(self.inline(scalar(s.target)) for s in kept),
            new=self.listed(self.inline(s.lhs) for s in kept),
        )

    def update_introduction(self, here: dict[str, str] | None = None) -> str:
        """Return the sentences before the equations of the optimiser: its settings as they are ``here``."""
        counted = Symbol("step", integer=True, positive=True)
        counts = any(step.rhs.has(counted) for step in self.derivation.update)
        defaults = OPTIMIZERS[self.derivation.optimizer].defaults.items()
        numbers = {name: self.style.printer.show(Rational(value)) for name, value in defaults} | (here or {})
        introduction = self.say(
            "update.here" if here else "update.introduction",
            optimizer=self.style.escape(self.derivation.optimizer),
            settings=self.listed(self._setting(name, number) for name, number in numbers.items()),
        )
        return introduction + (self.say("update.count", step=self.inline(counted)) if counts else "")

    def _setting(self, name: str, number: str) -> str:
        """Return a hyper-parameter with its number, and its keyword where a formula writes it otherwise."""
        shown, keyword = self.style.printer.show(scalar(name)), self.style.escape(name)
        remark = "" if shown == keyword else f" ({keyword})"
        return self.style.inline(f"{shown} = {number}") + remark

    def batch_introduction(self) -> str:
        """Return the sentences before the derivatives for a batch."""
        printer = self.style.printer
        return self.say(
            "batch.introduction",
            loss=self.inline(self._loss),
            sample=self.inline(SAMPLE),
            samples=self.inline(SAMPLES),
            own=self.style.inline(printer.component(self.system.loss, (SAMPLE,)).text),
        )

    # ---- the topic of a step

    @property
    def _loss(self) -> Expr:
        return self.system.quantities[self.system.loss].symbol

    @property
    def _number_of_loss(self) -> int:
        return self.derivation.labels[self.system.loss]

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
        """Return the numbers of inserted steps: ``before`` holds their derivatives, ``step`` no longer."""
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
        """Return the variable and the quantity of a local derivative, of another itself and None."""
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


_TELLERS = {
    "chain rule": Sentences.chain_rule,
    "local derivative": Sentences._local_rule,
    "closed form": Sentences._closed_form,
    "simplification": Sentences._simplification,
    "folding": Sentences._folding,
    "product": Sentences._insertion,
    "contraction": Sentences._insertion,
    "substitution": Sentences._insertion,
    "cancellation": Sentences._cancellation,
    "fact": Sentences._fact,
    "no path": Sentences._no_path,
    "no effect": Sentences._no_effect,
    "stable form": Sentences._stable_form,
    "batch mean": Sentences._batch_mean,
    "update": Sentences._update,
    "kept": Sentences._kept,
    "rescaling": Sentences._rescaling,
}
