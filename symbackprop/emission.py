"""The generated module: a derivation's equations as the text of a standalone NumPy trainer."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sympy import Expr

from symbackprop.batch import SAMPLES
from symbackprop.code import assignment
from symbackprop.derivation import Derivation, Step
from symbackprop.equations import ONE, Equation
from symbackprop.library import LOSSES, OPTIMIZERS, Initializer
from symbackprop.lowering import Operation, Statement
from symbackprop.networks import (
    L1,
    L2,
    SMOOTHING,
    activation_of,
    initializer_of,
    loss_of,
    trainable_parameters,
)
from symbackprop.printing import TextPrinter, notation_for
from symbackprop.program import RATE, SCALE, Programs, arrays_read, needed, share
from symbackprop.specification import Network
from symbackprop.templating import environment
from symbackprop.training_step import TrainingStep
from symbackprop.update import UpdateProgram

LINE = 88
"""Columns of a line of generated code."""
_SAMPLE_COUNT = "samples"


def emit(derivation: Derivation) -> str:
    """Return the source of the generated module.

    Raises:
        UnsupportedExpression: an equation that has no array operation yet.
    """
    network = derivation.network
    assert network is not None
    return _Module(derivation, network).render()


@dataclass(frozen=True)
class _Function:
    """One pure function of the module."""

    name: str
    arguments: str
    docstring: str
    lines: tuple[str, ...]


class _Module:
    """Collects what the template places."""

    def __init__(self, derivation: Derivation, network: Network) -> None:
        self.derivation = derivation
        self.network = network
        values = (
            (L2, "L2", network.l2),
            (L1, "L1", network.l1),
            (SMOOTHING, "LABEL_SMOOTHING", network.label_smoothing),
        )
        self.constants = {symbol.name: (name, value) for symbol, name, value in values if value}
        self.sizes = {f"n{layer}": units for layer, units in enumerate(network.sizes)}
        scalars = {symbol: name for symbol, (name, _) in self.constants.items()}
        scalars |= {name: str(units) for name, units in self.sizes.items()}
        scalars |= {SAMPLES.name: _SAMPLE_COUNT, SCALE.name: SCALE.name, RATE.name: RATE.name}
        self.optimizer = OPTIMIZERS[derivation.optimizer]
        self.update = UpdateProgram(derivation.update, self.optimizer)
        rate = RATE if self.update.folds_rate else ONE
        self.programs = Programs(derivation, scalars, rate)
        self.printer = TextPrinter(notation_for(derivation, "layered"))
        self.defined_by = {number: name for name, number in derivation.numbers.items()}
        self._comments: dict[int, list[str]] = {}
        self.positions = {name: n for n, name in enumerate(derivation.system.parameters)}

    def render(self) -> str:
        """Return the module's text."""
        loss = loss_of(self.network.loss)
        template = environment().get_template("module.py.jinja")
        return template.render(
            title=f"A NumPy trainer of the network {self.network.architecture}.",
            introduction=self.introduction(),
            architecture=assigned_string("ARCHITECTURE", self.derivation.description),
            shapes=list(self.shapes().items()),
            constants=self.constant_lines(),
            initial=list(self.initial()),
            distributions=sorted({i.distribution for i in self.initializers()} - {"zeros"}, reverse=True),
            reads_erf=any(_holds(s.operation, "erf") for s in self.statements()),
            functions=[self.forward(), self.loss(), self.gradients()],
            trainer=self.trainer(),
            inputs=self.network.inputs,
            outputs=self.network.sizes[-1],
            target_condition=_condition(loss.low, loss.high) if loss else "",
            target_text=_range_text(loss.low, loss.high) if loss else "",
            target_total=loss.total if loss and self.derivation.used_facts else None,
            **self.command_line(),
        )

    def command_line(self) -> dict[str, object]:
        """Return what the command line of the module says about its data."""
        outputs, loss = self.network.sizes[-1], loss_of(self.network.loss)
        labels = outputs > 1 and self.has_classes()
        inputs = f"{self.network.inputs} input" + ("s" if self.network.inputs > 1 else "")
        targets = f"{outputs} target" + ("s" if outputs > 1 else "")
        label = f", or one label from 0 to {outputs - 1}" if labels else ""
        shape = f"(5, {outputs})"
        low, high = (None, None) if loss is None else (loss.low, loss.high)
        bounds = f"{(low or 0) + 0.05!r}, {(1 if high is None else high) - 0.05!r}"
        random = f"normal(size={shape})" if low is None else f"uniform({bounds}, {shape})"
        binary = not labels and low is not None and high is not None
        return {
            "labels": labels,
            "bits": (low, high) if binary else None,
            "threshold": ((low or 0) + (high or 0)) / 2,
            "columns": f"{inputs}, then {targets}{label}",
            "random_targets": f"dirichlet(np.ones({outputs}), 5)" if labels else random,
        }

    def has_classes(self) -> bool:
        """Whether outputs or targets share one total, as those of softmax do: then a label can name one."""
        activation = activation_of(self.network.layers[-1].activation)
        partner = LOSSES.get(activation.partner or "") if activation else None
        losses = (partner, loss_of(self.network.loss))
        return any(loss is not None and loss.total is not None for loss in losses)

    def constant_lines(self) -> list[str]:
        """Return the definitions of the module's constants."""
        lines = [f"{name} = {value!r}" for name, value in self.constants.values()]
        weights = self.network.class_weights
        if weights is not None:
            line = f"CLASS_WEIGHTS = ({', '.join(map(repr, weights))}{',' if len(weights) == 1 else ''})"
            exploded = ["CLASS_WEIGHTS = (", *(f"    {weight!r}," for weight in weights), ")"]
            lines += [line] if len(line) <= LINE else exploded
        return lines

    def introduction(self) -> list[str]:
        """Return the header: what made this module, and how to read it."""
        from symbackprop import __version__

        made = f"Generated by symbackprop {__version__} from the architecture"
        paragraphs = (
            f"{made} {self.derivation.description} by templates/module.py.jinja. Do not edit.",
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
        return {p: self._shape(quantities[p].shape) for p in self.derivation.system.parameters}

    def _shape(self, shape: Sequence[Expr]) -> tuple[int, ...]:
        return tuple(self._size(n) for n in shape)

    def _size(self, n: Expr) -> int:
        return int(n.xreplace({s: self.sizes[s.name] for s in n.free_symbols}))

    # ------------------------------------------------------------ initialisation

    def initializers(self) -> list[Initializer]:
        """Return the initialiser of each layer's weights."""
        return [initializer_of(self.network, layer) for layer in self.network.layers]

    def initial(self) -> Iterable[str]:
        """Yield the entry of each parameter in `initialize`."""
        for number, initializer in enumerate(self.initializers(), start=1):
            fan_in, fan_out = self.network.sizes[number - 1 : number + 1]
            variance = initializer.variance.replace("fan_in", str(fan_in)).replace("fan_out", str(fan_out))
            drawn = {
                "orthogonal": f'_orthogonal(generator, "w{number}")',
                "zeros": f"np.zeros(({fan_in}, {fan_out}))",
            }.get(
                initializer.distribution, f'_{initializer.distribution}(generator, "w{number}", {variance})'
            )
            yield f'"w{number}": {drawn},'
            if self.network.bias:
                yield f'"b{number}": np.zeros({fan_out}),'
            activation = self.network.layers[number - 1].activation
            for name, value in trainable_parameters(activation).items():
                yield f'"{name}{number}": np.array({float(value)!r}),'

    # ------------------------------------------------------------ pure functions

    def forward(self) -> _Function:
        """Return the outputs."""
        output = f"x{self.network.depth}"
        return self._function(
            "forward", "parameters, x", "Return the outputs, shape (samples, outputs).", [output], output
        )

    def loss(self) -> _Function:
        """Return the error."""
        return self._function(
            "loss", "parameters, x, t", "Return E, the mean over the samples.", ["E"], "float(E)"
        )

    def gradients(self) -> _Function:
        """Return the error and its derivatives."""
        names = [f"d{p}" for p in self.derivation.system.parameters]
        result = ", ".join(f'"{name[1:]}": {name}' for name in names)
        lines = f"float(E), {{{result}}}"
        if len(lines) > LINE - 11:
            entries = "\n".join(f'        "{name[1:]}": {name},' for name in names)
            lines = f"(\n    float(E),\n    {{\n{entries}\n    }},\n)"
        return self._function(
            "gradients", "parameters, x, t", "Return E and a dict of its derivatives.", ["E", *names], lines
        )

    def statements(self) -> list[Statement]:
        """Return the statements of everything that the pure functions compute."""
        return [*self.programs.forward, self.programs.error, *self.programs.backward]

    def _function(
        self, name: str, arguments: str, docstring: str, results: Sequence[str], returned: str
    ) -> _Function:
        statements = needed(self.statements(), results)
        lines = [*self._body(statements), *f"return {returned}".split("\n")]
        return _Function(name, arguments, docstring, tuple(lines))

    def _body(self, statements: Sequence[Statement]) -> Iterable[str]:
        """Yield the lines of a pure function, each statement under its equation."""
        read = set().union(*[arrays_read(s.operation) for s in statements])
        yield f'dtype = parameters["{self.derivation.system.parameters[0]}"].dtype'
        yield "x0 = np.asarray(x, dtype)"
        if "t" in read:
            yield "t = np.asarray(t, dtype)"
        if "c" in read:
            yield "c = np.array(CLASS_WEIGHTS, dtype)"
        if any(_reads_sample_count(s.operation) for s in statements):
            yield "samples = len(x0)"
        bound: set[str] = set()
        shared, names = share(statements)
        for entry in shared:
            yield from self._bindings(entry.statement, bound)
            yield from self.comment(entry.statement.number)
            for name, operation in (*entry.parts, (entry.statement.name, entry.statement.operation)):
                yield from assignment(name, operation, names)

    def _bindings(self, statement: Statement, bound: set[str]) -> Iterable[str]:
        """Yield the line that binds the parameters which a statement is the first to read."""
        read = arrays_read(statement.operation) - bound
        new = sorted(read & self.positions.keys(), key=self.positions.__getitem__)
        bound.update(new)
        if new:
            values = ", ".join(f'parameters["{p}"]' for p in new)
            yield f"{', '.join(new)} = {values}"

    def comment(self, number: int) -> list[str]:
        """Return an equation with its number as comment lines."""
        if number not in self._comments:
            self._comments[number] = textwrap.wrap(
                f"({number}) {self._printed(number)}",
                LINE - 8,
                initial_indent="# ",
                subsequent_indent="#     ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        return self._comments[number]

    def _printed(self, number: int) -> str:
        step: Step | Equation | None = self.derivation.by_number.get(number)
        if step is None:
            step = self.derivation.system.definitions[self.defined_by[number]]
        return f"{self.printer.show(step.lhs)} = {self.printer.show(step.rhs)}"

    # ------------------------------------------------------------ the trainer

    def trainer(self) -> dict[str, object]:
        """Return what the class `Trainer` is made of."""
        programs = self.programs
        statements = [*programs.forward, programs.error, *programs.scaled_backward]
        step = TrainingStep(statements, self.derivation.system.parameters, self.comment, self._size)
        return {
            "docstring": f"Trains by {self.optimizer.name} on buffers that are allocated once.",
            "description": [
                "A step carries out the equations of `gradients` under the same numbers; what all",
                "derivatives are multiplied by goes into the first adjoints, as everything that follows",
                "is linear in them. The optimiser's equations are carried out for all parameters at",
                f"once{'; `gradient` then holds learning_rate g' if self.update.folds_rate else ''}.",
            ],
            "defaults": list(self.optimizer.defaults.items()),
            "state": self.optimizer.state,
            "folds_rate": self.update.folds_rate,
            "update_lines": list(self.update.lines(self.comment)),
            "update_scratch": self.update.scratch,
            **step.context(),
        }


def _holds(operation: Operation, kind: str) -> bool:
    return operation.kind == kind or any(_holds(i, kind) for i in operation.inputs)


def _reads_sample_count(operation: Operation) -> bool:
    own = operation.kind == "name" and operation.value == _SAMPLE_COUNT
    return own or any(_reads_sample_count(i) for i in operation.inputs)


def _condition(low: int | None, high: int | None) -> str:
    if low is None:
        return ""
    return f"t < {low}" if high is None else f"(t < {low}) | (t > {high})"


def _range_text(low: int | None, high: int | None) -> str:
    return f"must not be below {low}" if high is None else f"must lie in [{low}, {high}]"


def assigned_string(name: str, value: str) -> str:
    """Return the assignment of a string, laid out as formatters have it."""
    literal = f"'{value}'" if '"' in value and "'" not in value else f'"{value}"'
    line = f"{name} = {literal}"
    if len(line) <= LINE or len(literal) + 4 > LINE:
        return line
    return f"{name} = (\n    {literal}\n)"
