"""The generated module: a derivation's equations as the text of a standalone NumPy trainer."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Layered, Operation, Statement
from symbackprop.code.data import DataCode
from symbackprop.code.entries import Keyed, key_of, rolled_entries
from symbackprop.code.fitting import Names, assignment
from symbackprop.code.lines import Comments, lines_of, turns
from symbackprop.code.loops import ByLayer, Rolled, layered_names
from symbackprop.code.programs import RATE, SCALE, Programs, needed, share
from symbackprop.code.statements import Block, array, names_in
from symbackprop.code.text import LAYER, imports, spelled
from symbackprop.code.training_step import TrainingStep, shapes_in
from symbackprop.code.update import UpdateProgram
from symbackprop.code.version import VERSION
from symbackprop.equations.model import Initial, Model
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import ONE, Equation, size
from symbackprop.library.optimizers import BELOW_ONE, OPTIMIZERS
from symbackprop.printing.layers import AnyLayer
from symbackprop.printing.notation import notation_for
from symbackprop.printing.printer import Printer
from symbackprop.printing.templating import environment
from symbackprop.printing.text import TextPrinter

LINE = 88
"""Columns of a line of generated code."""
_SAMPLE_COUNT = "samples"


def emit(derivation: Derived) -> str:
    """Return the source of the generated module.

    Raises:
        UnsupportedExpression: an equation that has no array operation yet.
    """
    assert derivation.model is not None
    return _Module(derivation, derivation.model).render()


@dataclass(frozen=True)
class _Function:
    """One pure function of the module."""

    name: str
    arguments: str
    docstring: str
    lines: tuple[str, ...]


class _Body(Rolled):
    """The instructions of a pure function, those of equal layers as loops."""

    def __init__(
        self,
        statements: Sequence[Statement],
        blocks: Sequence[Block],
        layered: Mapping[str, Layered],
        names: Collection[str],
        reserved: Sequence[str],
    ) -> None:
        self.statements = statements
        self.read = {s.number: s.operation.reads for s in statements}
        super().__init__(blocks, layered, names, reserved, LINE - 8)

    def function(self, module: _Module) -> Iterator[str]:
        """Yield the lines of the function but for the last, each statement under its equation."""
        yield from module.opening(self)
        bound = {name for name in module.parameters if self.holds(name)}
        for part in self.parts:
            blocks = [part] if isinstance(part, Block) else part.blocks
            numbers = {number for block in blocks for number in (block.number, block.last) if number}
            yield from module.bindings(set().union(*[self.read[number] for number in numbers]), bound)
            yield from lines_of([part], LINE - 4, module.comments)


class _Module:
    """Collects what the template places."""

    def __init__(self, derivation: Derived, model: Model) -> None:
        model.require_sizes()
        self.derivation = derivation
        self.model = model
        self.given = DataCode(model)
        names = self.given.names
        sizes = {name: str(units) for name, units in model.sizes.items()} | names.sizes
        shapes = (quantity.shape for quantity in model.system.quantities.values())
        known = {s.name: s for shape in shapes for n in shape for s in n.free_symbols}  # at hand already
        scalars = {known.get(name) or size(name): text for name, text in sizes.items()}
        scalars |= {c.symbol: names.constants[c.name] for c in model.constants if c.is_number}
        scalars |= {SAMPLES: _SAMPLE_COUNT, SCALE: "scale", RATE: "rate"}
        if not model.per_sample:  # nothing but the learning rate is left to multiply by
            scalars[SCALE] = "rate"
        self.optimizer = OPTIMIZERS[derivation.optimizer]
        self.update = UpdateProgram(derivation.executed_update, self.optimizer)
        rate = RATE if self.update.folds_rate else ONE
        self.programs = Programs(derivation, scalars, rate)
        self.printer = TextPrinter(notation_for(derivation, "layered"))
        self.layers = AnyLayer(derivation, self.printer)
        self.defined_by = {number: name for name, number in derivation.labels.items()}
        self._comments: dict[int, list[str]] = {}
        self._general: dict[int, Printer] = {}
        self._general_comments: dict[tuple[int, int], list[str]] = {}
        self.comments = Comments(self.comment, self.general_comment)
        self.parameters = {self.given.code(name): name for name in derivation.system.parameters}
        self._places = {name: place for place, name in enumerate(self.parameters)}

    @cached_property
    def layered_keys(self) -> dict[str, Layered]:
        """The names of what belongs to a layer."""
        return layered_names(self.model.system, str)

    @cached_property
    def layered(self) -> dict[str, Layered]:
        """The names in the code of what belongs to a layer."""
        return layered_names(self.model.system, self.given.code)

    def _entries(
        self, values: Mapping[str, str | Keyed | Operation], kept: ByLayer | None = None
    ) -> list[str]:
        """Return the lines of a dict with an entry for each parameter."""
        return rolled_entries(values, self.layered_keys, kept)

    def render(self) -> str:
        """Return the module's text."""
        template = environment().get_template("module.py.jinja")
        return template.render(
            title=f"A NumPy trainer of {self.model.subject}.",
            introduction=self.introduction(),
            architecture=assigned_string("ARCHITECTURE", self.derivation.description),
            shapes=self._entries({name: str(shape) for name, shape in self.shapes().items()}),
            constants=self.constant_lines(),
            initial=self._entries(dict(self.initial())),
            distributions=self.distributions(),
            imports=imports(s.operation for s in self.statements()),
            reads_erf=any(_holds(s.operation, Kind.ERF) for s in self.statements()),
            functions=[self.forward(), self.loss(), self.gradients()],
            trainer=(trainer := self.trainer()),
            batch_forms=self._batch_forms(bool(trainer["weighted"])),
            **self.given.context(uses_totals=bool(self.derivation.used_facts)),
        )

    def constant_lines(self) -> list[str]:
        """Return the definitions of the module's constants."""
        lines = []
        for constant in self.model.constants:
            name, value = self.given.names.constants[constant.name], constant.value
            if not isinstance(value, tuple):
                lines.append(f"{name} = {value!r}")
                continue
            line = f"{name} = ({', '.join(map(repr, value))}{',' if len(value) == 1 else ''})"
            exploded = [f"{name} = (", *(f"    {number!r}," for number in value), ")"]
            lines += [line] if len(line) <= LINE else exploded
        return lines

    def introduction(self) -> list[str]:
        """Return the header: what made this module, and how to read it."""
        origin = self.model.origin or f"the architecture {self.derivation.description}"
        paragraphs = (
            f"Generated by symbackprop {VERSION} from {origin} by templates/module.py.jinja. Do not edit.",
            "Rows of x and t are samples. Each statement stands under the equation that it carries "
            "out for every row, with that equation's number in the derivation that "
            "`symbackprop derive` prints for the same architecture.",
        )
        lines: list[str] = []
        for paragraph in paragraphs:
            lines += [*textwrap.wrap(paragraph, LINE, break_on_hyphens=False, break_long_words=False), ""]
        return lines[:-1]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter."""
        quantities = self.derivation.system.quantities
        return {p: self.model.shape(quantities[p].shape) for p in self.derivation.system.parameters}

    # ------------------------------------------------------------ initialisation

    def distributions(self) -> list[str]:
        """Return the distributions that parameters are drawn from."""
        drawn = {i.initializer.distribution for i in self.model.initial.values() if i.initializer}
        return sorted(drawn - {"zeros"}, reverse=True)

    def initial(self) -> Iterable[tuple[str, str | Keyed]]:
        """Yield each parameter with the expression of its first value."""
        for name, shape in self.shapes().items():
            yield name, self._first_value(self.model.initial[name], shape)

    def _first_value(self, initial: Initial, shape: tuple[int, ...]) -> str | Keyed:
        """Return the expression that makes the first value of a parameter."""
        if not shape:
            return f"np.array({initial.value!r})"
        axes = str(shape[0]) if len(shape) == 1 else str(shape)
        distribution = initial.initializer.distribution if initial.initializer else "zeros"
        if initial.initializer is None and initial.value:
            return f"np.full({axes}, {initial.value!r})"
        if distribution == "zeros":
            return f"np.zeros({axes})"
        if distribution == "orthogonal":
            return Keyed("_orthogonal(generator, ", ")")
        assert initial.initializer is not None
        fans = {"fan_in": initial.fan_in, "fan_out": initial.fan_out}
        variance = initial.initializer.variance
        for fan, units in fans.items():
            variance = variance.replace(fan, str(self.model.size(units)))
        variance = "1" if variance == "1 / 1" else variance
        return Keyed(f"_{distribution}(generator, ", f", {variance})")

    # ------------------------------------------------------------ pure functions

    def forward(self) -> _Function:
        """Return the outputs."""
        output = self.given.code(self.model.output)
        shape = f"shape {self.given.output_shape}"
        body = self._body([output])
        returned = [f"return {spelled(body.kept.name(output))}"]
        return self._function("forward", "parameters, x", f"Return the outputs, {shape}.", body, returned)

    def loss(self) -> _Function:
        """Return the error."""
        arguments = f"parameters, x, {self.given.t_argument}"
        body = self._body(["E"])
        return self._function("loss", arguments, f"Return {self._loss()}.", body, ["return float(E)"])

    def _loss(self) -> str:
        return "E, the mean over the samples" if self.model.per_sample else "E"

    def gradients(self) -> _Function:
        """Return the error and its derivatives."""
        names = {p: self.given.derivative(p) for p in self.derivation.system.parameters}
        body = self._body(["E", *names.values()])
        result = ", ".join(f'"{parameter}": {name}' for parameter, name in names.items())
        returned = [f"return float(E), {{{result}}}"]
        if len(returned[0]) > LINE - 4:
            arrays = {key: Operation(Kind.ARRAY, (), name) for key, name in names.items()}
            entries = [f"        {line}" for line in self._entries(arrays, body.kept)]
            returned = ["return (", "    float(E),", "    {", *entries, "    },", ")"]
        arguments = f"parameters, x, {self.given.t_argument}"
        docstring = "Return E and a dict of its derivatives."
        return self._function("gradients", arguments, docstring, body, returned)

    def statements(self) -> list[Statement]:
        """Return the statements of everything that the pure functions compute."""
        statements = [*self.programs.forward, self.programs.error, *self.programs.backward]
        return self.given.named(statements)

    def _function(
        self, name: str, arguments: str, docstring: str, body: _Body, returned: Sequence[str]
    ) -> _Function:
        return _Function(name, arguments, docstring, (*body.function(self), *returned))

    def _body(self, results: Sequence[str]) -> _Body:
        """Return the statements of a pure function that computes ``results``."""
        statements = needed(self.statements(), results)
        shared, of = share(statements)
        names, layered, blocks = Names(of), dict(self.layered), []
        number = cache(self.model.number)  # of the same few sizes again and again
        for entry in shared:
            layered |= entry.layered(layered)
            statement = entry.statement
            own = (
                *((part.name, part.operation) for part in entry.parts),
                (statement.name, statement.operation),
            )
            inner = [
                i for name, operation in own for i in assignment(array(name, operation), operation, names)
            ]
            shapes = shapes_in(statement.operation, number)
            blocks.append(Block(statement.name, tuple(inner), statement.number, like=shapes))
        called = {*names.of.values(), *names.numbered, *(s.name for s in statements)}
        return _Body(statements, blocks, layered | names.numbered, called, self.given.reserved)

    def opening(self, body: _Body) -> Iterable[str]:
        """Yield the lines before the statements of a pure function."""
        read = set().union(*[s.operation.reads for s in body.statements])
        yield f'dtype = parameters["{self.derivation.system.parameters[0]}"].dtype'
        yield from self.given.given_lines(read, "dtype")
        yield from self.given.constant_lines(read, "dtype")
        named = {name for s in body.statements for name in names_in(s.operation)}
        if _SAMPLE_COUNT in named:
            yield f"samples = len({self.given.code(self.model.inputs[0].name)})"
        yield from (line for name, line in self.given.size_lines().items() if name in named)
        yield from self._dicts(body)

    def _dicts(self, body: _Body) -> Iterable[str]:
        """Yield the lines that make the dicts of what the loops read and write."""
        given = self.given.arguments
        made = {}
        for stem, layers in body.dicts.items():
            names = {n: Layered(stem, n).alone for n in layers}
            if names[layers[-1]] in self.parameters:
                value = f"parameters[{key_of(stem)}]"
                yield f"{stem} = {{{LAYER}: {value} for {LAYER} in {turns(layers)}}}"
            else:
                entries = [f"{n}: {name}" for n, name in names.items() if name in given]
                made[stem] = f"{{{', '.join(entries)}}}"
        if made:
            yield f"{', '.join(made)} = {', '.join(made.values())}"

    def bindings(self, names: Iterable[str], bound: set[str]) -> Iterable[str]:
        """Yield the line that binds those parameters among ``names`` that are not bound yet."""
        new = sorted((set(names) & self.parameters.keys()) - bound, key=self._places.__getitem__)
        bound.update(new)
        if new:
            values = ", ".join(f'parameters["{self.parameters[p]}"]' for p in new)
            yield f"{', '.join(new)} = {values}"

    def comment(self, number: int) -> list[str]:
        """Return an equation with its number as comment lines."""
        if number not in self._comments:
            self._comments[number] = wrapped(f"({number}) {self._printed(number)}", LINE - 8)
        return self._comments[number]

    def general_comment(self, first: int, last: int) -> list[str]:
        """Return the equation of any of the layers from that of ``first`` on as comment lines."""
        if (first, last) not in self._general_comments:
            text = f"({first}), …, ({last}) {self._printed_for_any(first, last)}"
            self._general_comments[first, last] = wrapped(text, LINE - 12)
        return self._general_comments[first, last]

    def _printed_for_any(self, first: int, last: int) -> str:
        """Return the equation of some layers for any of them, with the letters that the document has for it.

        There the first layer that is alike gives the letters; of results, told from the error inwards, it
        is the last one, where all steps to it are alike.
        """
        system, steps = self.derivation.system, self._steps_like(first)
        ends = [layer for number in (first, last) if (layer := system.layer(self._topic(number))) is not None]
        inwards = first in self.derivation.results.values()
        layer, towards = (max(ends), 1) if inwards else (min(ends), -1)
        told = self._told if inwards else {n: [step] for n, step in steps.items()}
        while (
            min(ends) < layer
            and not self.layers.are_same_up_to_layer(told[layer], told[layer - 1], -1)
            and inwards
        ):
            layer -= 1
        while self.layers.are_same_up_to_layer(told.get(layer + towards, ()), told[layer], -towards):
            layer += towards
        if layer not in self._general:
            self._general[layer] = self.layers.printer_of(layer)
        printer = self._general[layer]
        return f"{printer.show(steps[layer].lhs)} = {printer.show(steps[layer].rhs)}"

    @cached_property
    def _told(self) -> dict[int, list[Step]]:
        """The steps to all derivatives of a layer, by layer."""
        found: dict[int, list[Step]] = {}
        for step in self.derivation.steps:
            layer = self.derivation.system.layer(step.target)
            if layer is not None:
                found.setdefault(layer, []).append(step)
        return found

    def _topic(self, number: int) -> str:
        """Return the quantity that an equation or a step is about."""
        step = self.derivation.by_number.get(number)
        return self.defined_by[number] if step is None else step.target

    def _steps_like(self, number: int) -> dict[int, Step | Equation]:
        """Return the equations, the results or the steps for a batch of the same quantity, by layer."""
        derivation, roles = self.derivation, self.derivation.system.roles
        own = roles[self._topic(number)]
        if number in self.defined_by:
            steps: Iterable[tuple[str, Step | Equation]] = derivation.system.definitions.items()
        elif number in derivation.results.values():
            steps = ((name, derivation.by_number[n]) for name, n in derivation.results.items())
        else:
            is_batch = derivation.by_number[number].rule == "batch mean"
            group = derivation.batch if is_batch else derivation.stable
            steps = ((step.target, step) for step in group)
        like = ((roles[name], step) for name, step in steps if name in roles)
        return {role.layer: step for role, step in like if role.word == own.word}

    def _printed(self, number: int) -> str:
        step: Step | Equation | None = self.derivation.by_number.get(number)
        if step is None:
            step = self.derivation.system.definitions[self.defined_by[number]]
        right = "".join(self.layers.summed(step.rhs)) or self.printer.show(step.rhs)
        return f"{self.printer.show(step.lhs)} = {right}"

    # ------------------------------------------------------------ the trainer

    def trainer(self) -> dict[str, object]:
        """Return what the class `Trainer` is made of."""
        programs = self.programs
        folds = self.update.folds_rate
        backward = programs.scaled_backward if folds or self.model.per_sample else programs.backward
        statements = self.given.named([*programs.forward, programs.error, *backward])
        weighted = self.model.per_sample and all(_can_be_weighted(s.operation) for s in statements)
        parameters = self.derivation.system.parameters
        step = TrainingStep(statements, parameters, self.comments, self.model, self.given, weighted)
        return {
            "docstring": f"Trains by {self.optimizer.name} on buffers that are allocated once.",
            "description": self._description(step.compares_after),
            "defaults": list(self.optimizer.defaults.items()),
            "state": self.update.state,
            "kept": [line for step in self.derivation.stored for line in self.comment(step.number)],
            "decaying": self.update.decaying,
            "below_one": BELOW_ONE,
            "folds_rate": folds,
            "scaling": self._scaling(),
            "weighted": weighted,
            "update_lines": list(self.update.lines(self.comment)),
            "update_scratch": self.update.scratch,
            **step.context(),
        }

    def _description(self, compares_after: bool) -> list[str]:
        """Return what distinguishes a step of the trainer from `gradients`."""
        sentences = [
            "A step carries out the equations of `gradients` under the same numbers; what all derivatives "
            "are multiplied by goes into the first adjoints, as everything that follows is linear in them.",
            "The optimiser's equations are carried out on one array of all parameters"
            f"{'; `gradient` then holds learning_rate g' if self.update.folds_rate else ''}.",
        ]
        if compares_after:
            sentences.append("Where max(u, c) is at hand, u > c is read off it.")
        return textwrap.wrap(" ".join(sentences), LINE - 4, break_on_hyphens=False)

    def _batch_forms(self, weighted: bool) -> str:
        """Return what a batch is that `fit` is given."""
        if not self.model.targets:
            return "x or (x, None)"
        return "(x, t) or (x, t, weights)" if weighted else "pairs (x, t)"

    def _scaling(self) -> list[str]:
        """Return the lines that make what a step multiplies all derivatives by."""
        rate = ["rate = self._rate()"] if self.update.folds_rate else []
        if not self.model.per_sample:
            return rate
        return [*rate, f"scale = np.array({'rate' if rate else 1} / samples, self.dtype)"]


def wrapped(text: str, columns: int) -> list[str]:
    """Return ``text`` as comment lines."""
    return textwrap.wrap(
        text,
        columns,
        initial_indent="# ",
        subsequent_indent="#     ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _can_be_weighted(operation: Operation) -> bool:
    """Whether weights of samples, a column beside the scale, meet arrays of rows alone."""
    scaled = any(i.kind == Kind.NAME and i.name == "scale" for i in operation.inputs)
    total = operation.kind == Kind.SUM and not operation.shape
    shapes = [operation.shape] * scaled + [i.shape for i in operation.inputs if total]
    rows = all(len(shape) == 2 for shape in shapes if shape[:1] == (SAMPLES,))
    return rows and not (scaled and not operation.shape) and all(map(_can_be_weighted, operation.inputs))


def _holds(operation: Operation, kind: Kind) -> bool:
    return operation.kind == kind or any(_holds(i, kind) for i in operation.inputs)


def assigned_string(name: str, value: str) -> str:
    """Return the assignment of a string, laid out as formatters have it."""
    if "\n" in value:
        escaped = value.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
        return f'{name} = """\\\n{escaped}"""'
    literal = f"'{value}'" if '"' in value and "'" not in value else f'"{value}"'
    line = f"{name} = {literal}"
    if len(line) <= LINE or len(literal) + 4 > LINE:
        return line
    return f"{name} = (\n    {literal}\n)"
