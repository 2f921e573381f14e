"""The generated module: a derivation's equations as the text of a standalone NumPy trainer."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Layered, Operation
from symbackprop.code.both_passes import BothPasses
from symbackprop.code.bundle import runtime, support
from symbackprop.code.comments import EquationComments, wrapped
from symbackprop.code.data import ARRAYS, DataCode
from symbackprop.code.entries import ByKey, Keyed, Keys, rolled_entries
from symbackprop.code.fitting import Names, assignment
from symbackprop.code.function_body import Body
from symbackprop.code.layout import (
    COLUMNS,
    Verbatim,
    dict_definition,
    each_its_own,
    head,
    literal,
    text_definition,
    tuple_definition,
)
from symbackprop.code.lines import CHOICE, INDENT, SILENT, Comments
from symbackprop.code.lines import COLUMNS as LINES
from symbackprop.code.loops import ByLayer, Uses, in_loops, layered_names
from symbackprop.code.programs import RATE, SCALE, Carried, Named, Programs, needed, share
from symbackprop.code.recurrence import Recurrence
from symbackprop.code.statements import DTYPE, Block, Instruction, array, names_in
from symbackprop.code.text import imports, spelled
from symbackprop.code.training_step import StepLines, TrainingStep, shapes_in
from symbackprop.code.update import UpdateProgram
from symbackprop.code.version import VERSION
from symbackprop.equations.model import Initial, Model
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import ONE, EquationSystem, size
from symbackprop.errors import SpecificationError
from symbackprop.library.optimizers import OPTIMIZERS
from symbackprop.printing.templating import environment

_SAMPLE_COUNT = "samples"
_PRODUCT = "The numbers in hessian_vector_product are those of `symbackprop derive --hessian-vector`."


def emit(
    derivation: Derived, *, bare: bool = False, product: Derived | None = None, is_read: bool = True
) -> str:
    """Return the source of the generated module; a bare one has no runtime.

    ``product`` is the derivation of the Hessian's product with a vector, where the module is to have that.
    One that is no text to be read, only run, has no equations above its statements: ``is_read`` is false.

    Raises:
        SpecificationError: an output reads a target.
        UnsupportedExpression: an equation that has no array operation yet.
    """
    assert derivation.model is not None
    _require_known_outputs(derivation.model.in_use, derivation.model)
    return _Module(derivation, derivation.model, bare, product, is_read).render()


def _product_of(product: Derived, model: Model) -> _Module:
    """Return what writes the Hessian's product with a vector into the module of a model."""
    assert product.model is not None
    # The parts of the vector are an argument of their own, and no inputs.
    return _Module(product, replace(product.model, inputs=model.inputs))


def programs_of(derivation: Derived) -> Programs:
    """Return the statements that the module of a derivation is written from."""
    assert derivation.model is not None
    return _Module(derivation, derivation.model).programs


def lines_by_number(derivation: Derived) -> dict[int, tuple[str, ...]]:
    """Return the lines of the module's pure functions that carry out each numbered equation.

    Of equations that a loop carries out these are the lines inside of it.  Where ``gradients`` hands its work
    to the training step, the lines are those of ``loss`` alone.

    Raises:
        SpecificationError: a size is open, or an output reads a target.
        UnsupportedExpression: an equation that has no array operation yet.
    """
    assert derivation.model is not None
    _require_known_outputs(derivation.model.in_use, derivation.model)
    return _Module(derivation, derivation.model, is_read=False).lines_by_number()


def _require_known_outputs(system: EquationSystem, model: Model) -> None:
    """Refuse an output that reads a target: ``forward`` is given the inputs alone."""
    for output in model.outputs:
        needed = system.needed_for(output)
        target = next((target.name for target in model.targets if target.name in needed), None)
        if target is not None:
            problem = f"the output '{output}' reads the target '{target}', which forward is not given"
            raise SpecificationError(f"{problem}; declare '{target}' as an input, or take it out")


@dataclass(frozen=True)
class _Function:
    """One pure function of the module."""

    head: tuple[str, ...]
    docstring: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class _Side:
    """The network while it is trained, or in use: its programs, and the comments over their statements."""

    programs: Programs
    comments: Comments
    given: DataCode

    @cached_property
    def statements(self) -> list[Carried]:
        """The statements of everything that the pure functions compute, with the names that the code has."""
        statements = [*self.programs.forward, self.programs.error, *self.programs.backward]
        return self.given.named(statements)


class _Module:
    """Collects what the template places."""

    def __init__(
        self,
        derivation: Derived,
        model: Model,
        bare: bool = False,
        product: Derived | None = None,
        is_read: bool = True,
    ) -> None:
        model.require_sizes()
        self.product = None if product is None else _product_of(product, model)
        self.bare = bare
        self.derivation = derivation
        self.model = model
        self.given = DataCode(model)
        names = self.given.names
        sizes = {name: str(units) for name, units in model.sizes.items()} | names.sizes
        shapes = (quantity.shape for quantity in model.named.quantities.values())
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
        self.equations = EquationComments(derivation)
        self.comments = self.equations.comments if is_read else SILENT
        of_functions = self.equations.of_functions if is_read else SILENT
        self.trained = _Side(self.programs, of_functions, self.given)
        self.in_use = self.trained
        if derivation.use is not None:
            own = Programs(derivation.use, scalars, rate)
            of_functions = EquationComments(derivation.use).of_functions if is_read else SILENT
            self.in_use = _Side(own, of_functions, self.given)
        self.parameters = {self.given.code(name): name for name in self.shapes() | self.state_shapes()}
        self._places = {name: place for place, name in enumerate(self.parameters)}

    @cached_property
    def keys(self) -> Keys:
        """The keys of what belongs to a layer."""
        return Keys.of_system(self.model.named)

    @cached_property
    def uses(self) -> Uses:
        """What belongs to one of many uses of a block."""
        return Uses.of(self.model.named, self.given.code)

    @cached_property
    def keys_of_uses(self) -> Uses:
        """What belongs to one of many uses of a block, by the names of quantities."""
        return Uses.of(self.model.named, str)

    @cached_property
    def layered(self) -> dict[str, Layered]:
        """The names in the code of what belongs to a layer."""
        return layered_names(self.model.named, self.given.code)

    def _entries(
        self, values: Mapping[str, str | Keyed | Operation], kept: ByLayer | None = None
    ) -> list[str]:
        """Return the lines of a dict with an entry for each parameter."""
        return rolled_entries(values, self.keys.layered, kept, self.keys_of_uses)

    def render(self) -> str:
        """Return the module's text."""
        template = environment().get_template("bare.py.jinja" if self.bare else "module.py.jinja")
        return template.render(self.context())

    def context(self) -> dict[str, object]:
        """Return what the template places, all of it text."""
        return {
            "title": f"A NumPy trainer of {self.model.subject}.",
            "introduction": self.introduction(),
            "imports": ["import numpy as np", *imports(s.operation for s in self.statements)],
            "constants": self.constants(),
            "functions": list(self.functions()),
            "support": self.support(),
            "initialize": self.initialize(),
            **self._training(),
            **(self._bare_trainer() if self.bare else {**self._functions_of_step(), **self._runtime()}),
        }

    def constants(self) -> list[str]:
        """Return the definitions above the functions: what the module is made from, and its constants."""
        shapes = self._entries({name: str(shape) for name, shape in self.shapes().items()})
        return [
            *text_definition("ARCHITECTURE", self.derivation.description).split("\n"),
            "PARAMETER_SHAPES = {",
            *(f"    {line}" for line in shapes),
            "}",
            *self._state_lines(),
            *self.constant_lines(),
        ]

    def _state_lines(self) -> list[str]:
        """Return the shapes of the states, where there are some."""
        entries = self._entries({name: str(shape) for name, shape in self.state_shapes().items()})
        return ["STATE_SHAPES = {", *(f"    {line}" for line in entries), "}"] if entries else []

    def support(self) -> list[str]:
        """Return the functions that the network's part calls beside NumPy's."""
        called = (k for k in _SUPPORT if any(_holds(s.operation, k) for s in self.statements))
        names = dict.fromkeys(name for kind in called for name in _SUPPORT[kind])
        texts = [support()[name] for name in names]
        return [*self._drawing(), *texts, *map(self._drawn, self.distributions())]

    def _drawn(self, distribution: str) -> str:
        """Return the function that draws first values of a name, of a state as well where one is drawn."""
        text = support()[f"_{distribution}"]
        if not any(self.model.initial[state].initializer for state in self.model.states):
            return text
        return text.replace("PARAMETER_SHAPES[name]", "{**PARAMETER_SHAPES, **STATE_SHAPES}[name]")

    def _drawing(self) -> list[str]:
        """Return the function that draws noise, where there is some."""
        if not self.model.noise:
            return []
        sizes = (f"{size}: int" for size in self.given.sizes_of_noise)
        begin = head("draw_noise", ["generator: np.random.Generator", "samples: int", *sizes], ARRAYS)
        entries = (f"        {line}" for line in self._entries(self.given.draws()))
        docstring = '    """Draw the noise of a step: a dict of arrays, the samples first."""'
        return ["\n".join((*begin, docstring, "    return {", *entries, "    }"))]

    def initialize(self) -> list[str]:
        """Return the lines that draw first values."""
        generator = ["generator = np.random.default_rng(seed)"] if self.distributions() else []
        entries = (f"    {line}" for line in self._entries(dict(self.initial())))
        return [*generator, "parameters = {", *entries, "}"]

    def _runtime(self) -> dict[str, object]:
        """Return the runtime and what it is told."""
        defaults = {name: Verbatim(value) for name, value in self.optimizer.defaults.items()}
        decaying = self.update.decaying
        states = [] if self.model.states else ["STATE_SHAPES: dict[str, tuple[int, ...]] = {}"]
        return {
            "told": [
                *states,
                *self.given.runtime_constants(uses_totals=bool(self.derivation.used_facts)),
                *dict_definition("HYPERPARAMETERS", "float", defaults),
                *self._stored(),
                f"STATE: tuple[str, ...] = {literal(self.update.state)}",
                f"DECAYING: int | None = {None if decaying is None else self.update.state.index(decaying)}",
                f"SCRATCH = {len(self.update.scratch)}",
                f"RATE_IN_GRADIENT = {self.update.folds_rate}",
                f"WEIGHTED = {self.training_step.weighted}",
                f"ROWS_CAN_BE_CUT = {self.step.cuts}",
                *tuple_definition("BUFFERS: tuple[str, ...]", self.step.buffers),
            ],
            "runtime": runtime(),
            "version": VERSION,
        }

    def _stored(self) -> list[str]:
        """Return the equations of what is stored in place of an optimiser's own state, as comments."""
        return [line for step in self.derivation.stored for line in self.equations.one(step.number)]

    def constant_lines(self) -> list[str]:
        """Return the definitions of the module's constants."""
        lines = []
        for constant in self.model.constants:
            name, value = self.given.names.constants[constant.name], constant.value
            lines += tuple_definition(name, value) if isinstance(value, tuple) else [f"{name} = {value!r}"]
        return lines

    def introduction(self) -> list[str]:
        """Return the header: what made this module, and how to read it."""
        origin = self.model.origin or f"the architecture {self.derivation.description}"
        paragraphs = (
            f"Generated by symbackprop {VERSION} from {origin} by templates/module.py.jinja. Do not edit.",
            "Rows of x and t are samples. Each statement stands under the equation that it carries "
            "out for every row, with that equation's number in the derivation that "
            "`symbackprop derive` prints for the same architecture.",
            *[_PRODUCT] * (self.product is not None),
        )
        lines: list[str] = []
        for paragraph in paragraphs:
            lines += [*textwrap.wrap(paragraph, COLUMNS, break_on_hyphens=False, break_long_words=False), ""]
        return lines[:-1]

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter."""
        quantities = self.derivation.system.quantities
        return {p: self.model.shape(quantities[p].shape) for p in self.derivation.system.parameters}

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each state."""
        quantities = self.model.named.quantities
        return {name: self.model.shape(quantities[name].shape) for name in self.model.states}

    # ------------------------------------------------------------ initialisation

    def distributions(self) -> list[str]:
        """Return the distributions that parameters and states are drawn from."""
        drawn = {i.initializer.distribution for i in self.model.initial.values() if i.initializer}
        return sorted(drawn - {"zeros"}, reverse=True)

    def initial(self) -> Iterable[tuple[str, str | Keyed]]:
        """Yield each parameter and each state with the expression of its first value."""
        for name, shape in (*self.shapes().items(), *self.state_shapes().items()):
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

    def functions(self) -> Iterator[_Function]:
        """Yield the pure functions."""
        yield self.forward()
        if self.model.use is not None:
            yield self.loss_in_use()
        yield self.loss()
        yield self.gradients()
        if self.product is not None:
            yield self.product.hessian_vector_product()

    def forward(self) -> _Function:
        """Return the outputs: an array, or a dict of several."""
        names = {name: self.given.code(name) for name in self.model.outputs}
        body = self._body([*names.values()], self.in_use)
        if len(names) > 1:
            arrays = {key: Operation(Kind.ARRAY, (), name) for key, name in names.items()}
            returned = ["return {", *(f"    {line}" for line in self._entries(arrays, body.kept)), "}"]
            docstring = "Return a dict of the outputs."
            return self._function("forward", "x", ARRAYS, docstring, body, returned)
        shape = f"shape {self.given.output_shape}"
        returned = [f"return {spelled(body.kept.name(names[self.model.output]))}"]
        return self._function("forward", "x", "np.ndarray", f"Return the outputs, {shape}.", body, returned)

    @cached_property
    def _derivatives(self) -> dict[str, str]:
        """The name in the code of the derivative for each parameter."""
        return {name: self.given.derivative(name) for name in self.derivation.system.parameters}

    def loss(self) -> _Function:
        """Return the error, while the network is trained where it is another one then."""
        body = self._body(["E"], self.trained) if self.model.use is not None else self._error_in_use()
        when = " of the network while it is trained" if self.model.use is not None else ""
        docstring = f"Return {self._loss()}{when}."
        return self._function("loss", self._given_to_loss, "float", docstring, body, ["return float(E)"])

    def loss_in_use(self) -> _Function:
        """Return the error of the network in use."""
        docstring = f"Return E of the network in use{', the mean over the samples' * self.model.is_mean}."
        body = self._error_in_use()
        return self._function(_LOSS_IN_USE, ("x", "t"), "float", docstring, body, ["return float(E)"])

    def _error_in_use(self) -> Body:
        """Return what computes the error in use; what loops compute for the output is left to ``forward``."""
        body, statements = self._body(["E"], self.in_use), self.in_use.statements
        output = self.given.code(self.model.output)
        if body.dicts and not self.model.more_outputs:
            inside = needed(statements, [output])
            rest = needed(statements, ["E"], [output])
            if output not in self.given.arguments and not any(s in inside for s in rest):
                body = self._body_of(rest, ["E"], self.in_use, [output])
        return body

    @property
    def _given_to_loss(self) -> tuple[str, ...]:
        """The arguments behind the parameters of what is computed while the network is trained."""
        return ("x", "t", "noise") if self.model.noise else ("x", "t")

    def _loss(self) -> str:
        return "E, the mean over the samples" if self.model.per_sample else "E"

    def gradients(self) -> _Function:
        """Return the error and its derivatives; where a step has long loops, by its statements."""
        docstring = "Return E and a dict of its derivatives."
        result, given = f"tuple[float, {ARRAYS}]", self._given_to_loss
        if self.training_step.apart:
            begin = head("gradients", [f"parameters: {ARRAYS}", *self._annotated(given, ())], result)
            return _Function(begin, docstring, tuple(self.both_passes.in_gradients()))
        names = self._derivatives
        body = self._body(["E", *names.values()], self.trained)
        listed = ", ".join(
            f'"{parameter}": {spelled(body.kept.name(name))}' for parameter, name in names.items()
        )
        returned = [f"return float(E), {{{listed}}}"]
        if len(returned[0]) > COLUMNS - 4:
            arrays = {key: Operation(Kind.ARRAY, (), name) for key, name in names.items()}
            entries = [f"        {line}" for line in self._entries(arrays, body.kept)]
            returned = ["return (", "    float(E),", "    {", *entries, "    },", ")"]
        return self._function("gradients", given, result, docstring, body, returned)

    def lines_by_number(self) -> dict[int, tuple[str, ...]]:
        """Return the lines that carry out each equation, in the function that computes most."""
        wanted = [] if self.training_step.apart else self._derivatives.values()
        body = self._body(["E", self.given.code(self.model.output), *wanted], self.trained)
        return body.lines_by_number()

    def hessian_vector_product(self) -> _Function:
        """Return the derivatives of what an error changes by along a vector."""
        names = self._derivatives
        body = self._body([*names.values()], self.trained)
        arrays = {key: Operation(Kind.ARRAY, (), name) for key, name in names.items()}
        entries = [f"    {line}" for line in self._entries(arrays, body.kept)]
        given = ("x", "t", "vector", "noise")[: 4 if self.model.noise else 3]
        docstring = "Return a dict of the Hessian's product with a vector, a dict of arrays like parameters."
        returned = ["return {", *entries, "}"]
        return self._function("hessian_vector_product", given, ARRAYS, docstring, body, returned)

    @cached_property
    def statements(self) -> list[Carried]:
        """The statements of everything that the pure functions compute."""
        sides = [self.trained] if self.in_use is self.trained else [self.trained, self.in_use]
        further = [] if self.product is None else self.product.statements
        return [*(statement for side in sides for statement in side.statements), *further]

    def _function(
        self,
        name: str,
        arguments: Sequence[str],
        result: str,
        docstring: str,
        body: Body,
        returned: Sequence[str],
    ) -> _Function:
        """Return a function of the parameters and of x, of x and t, or of these and noise."""
        listed = [f"parameters: {ARRAYS}", *self._annotated(arguments, body.dicts)]
        return _Function(head(name, listed, result), docstring, (*self._lines_of(body), *returned))

    def _lines_of(self, body: Body) -> Iterator[str]:
        """Yield the lines of a pure function but for the last."""
        bound = {name for name in self.parameters if body.holds(name)}
        yield from self.opening(body)
        yield from body.lines(lambda names: list(self.bindings(names, bound)))

    def _annotated(self, arguments: Sequence[str], taken: Collection[str]) -> list[str]:
        """Return arguments with what they are, but for those whose names loops take for arrays by layer."""
        kinds = self.given.annotated_arguments
        return [a if a in taken and kinds[a] == "np.ndarray" else f"{a}: {kinds[a]}" for a in arguments]

    def _body(self, results: Sequence[str], side: _Side) -> Body:
        """Return the statements of a pure function that computes ``results``."""
        return self._body_of(needed(side.statements, results), results, side)

    def _body_of(
        self, statements: Sequence[Carried], results: Sequence[str], side: _Side, given: Sequence[str] = ()
    ) -> Body:
        """Return the body of a pure function; ``given`` is what ``forward`` returns to it.

        What loops keep by layer has longer names there; which it is shows when it is written, so this is
        done again, and lines that are too long nowhere are left whole.
        """
        shared, of = share(statements, self.layered, self.uses.layers)
        body = self._written(statements, shared, of, results, side, given, None)
        if not body.dicts:
            return body
        again = self._written(statements, shared, of, results, side, given, body.dicts)
        return again if again.dicts == body.dicts else body

    def _written(
        self,
        statements: Sequence[Carried],
        shared: Sequence[Named],
        of: Mapping[Operation, str],
        results: Sequence[str],
        side: _Side,
        given: Sequence[str],
        kept: Collection[str] | None,
    ) -> Body:
        """Return a body in which loops keep those stems by layer, None where that is not known."""
        names, layered, blocks = Names(of), dict(self.layered), []
        uses = self.uses
        not_in_first = uses.not_in_first((entry.statement.name for entry in shared), layered)
        turns_names = Names(of, "turn")
        number = cache(self.model.number)  # of the same few sizes again and again
        for entry in shared:
            new = entry.layered(layered)
            layered |= new
            statement = entry.statement
            if isinstance(statement, Recurrence):
                known = turns_names.of_known(of, entry.known)
                made = statement.instructions(known)
                blocks.append(Block(statement.name, made, statement.number))
                continue
            layer = uses.layers.get(statement.name)
            if uses and (not blocks or uses.layers.get(str(blocks[-1].name)) != layer):
                names.restart()
                names.longer = in_loops(layer, layered, kept)
            names.longer |= in_loops(layer, new, kept)
            names.columns = LINES - INDENT if statement.name in not_in_first else LINES
            inner: list[Instruction] = []
            for part in entry.parts:
                own = assignment(array(part.name, part.operation), part.operation, names)
                block = Block(part.name, tuple(own), statement.number)
                others = {*names.numbered, *entry.beside(part)}
                if not uses.enter(blocks, block, statement.name, layered, others):
                    inner += own
            inner += assignment(array(statement.name, statement.operation), statement.operation, names)
            shapes = shapes_in(statement.operation, number)
            blocks.append(Block(statement.name, tuple(inner), statement.number, like=shapes))
        called = {*names.of.values(), *names.numbered, *(n for s in statements for n in s.names)}
        layered |= {} if uses else names.numbered
        reserved = self.given.reserved
        return Body(statements, blocks, layered, called, reserved, uses, results, given, side.comments)

    def opening(self, body: Body) -> Iterable[str]:
        """Yield the lines before the statements of a pure function."""
        read = set().union(*[s.operation.reads for s in body.statements])
        named = {name for s in body.statements for name in names_in(s.operation)}
        read |= {self.given.code(given) for size, given in self.given.measured().items() if size in named}
        bound = [*self.given.given_lines(read, "dtype"), *self.given.constant_lines(read, "dtype")]
        if DTYPE in named or self.given.takes_dtype(read):
            yield f'dtype = parameters["{self.derivation.system.parameters[0]}"].dtype'
        yield from bound
        noise = list(self.given.noise_lines(read, "dtype", body.holds))
        if _SAMPLE_COUNT in named or noise:
            yield f"samples = len({self.given.code(self.model.inputs[0].name)})"
        sizes = {*named, *(self.given.sizes_of_noise if noise else ())}
        yield from (line for name, line in self.given.size_lines().items() if name in sizes)
        yield from noise
        yield from self.given.vector_lines(read, "dtype")
        yield from self._dicts(body)
        yield from (f"{name} = forward(parameters, x)" for name in body.given)

    def _dicts(self, body: Body) -> Iterable[str]:
        """Yield the lines that make the dicts of what the loops read and write."""
        given = self.given.arguments
        made, bound = {}, list[ByKey]()
        for stem, layers in body.dicts.items():
            names = {n: Layered(stem, n).alone for n in layers}
            if names[layers[-1]] in self.parameters:
                bound.append((stem, "parameters", {n: self.parameters[name] for n, name in names.items()}))
            elif names[layers[-1]] in self.given.noise:
                bound.append((stem, "noise", {n: self.given.noise[name] for n, name in names.items()}))
            else:
                entries = [f"{n}: {name}" for n, name in names.items() if name in given]
                made[stem] = f"{{{', '.join(entries)}}}"
        yield from self.keys.dicts(bound, COLUMNS - 4)
        line = f"{', '.join(made)} = {', '.join(made.values())}"
        if made and len(line) <= COLUMNS - 4:
            yield line
            return
        yield from (f"{stem} = {value}" for stem, value in made.items() if value != _EMPTY)
        empty = [stem for stem, value in made.items() if value == _EMPTY]
        if empty:
            yield from each_its_own(empty, _EMPTY, [], COLUMNS - 4)

    def bindings(self, names: Iterable[str], bound: set[str]) -> Iterable[str]:
        """Yield the lines that bind those parameters among ``names`` that are not bound yet."""
        new = sorted((set(names) & self.parameters.keys()) - bound, key=self._places.__getitem__)
        bound.update(new)
        values = [f'parameters["{self.parameters[p]}"]' for p in new]
        line = f"{', '.join(new)} = {', '.join(values)}"
        if len(line) <= COLUMNS - 4:
            yield from [line] if new else []
        else:
            yield from (f"{name} = {value}" for name, value in zip(new, values, strict=True))

    # ------------------------------------------------------------ the trainer

    @cached_property
    def training_step(self) -> TrainingStep:
        """The training step; what all derivatives are multiplied by is in its first adjoints."""
        programs = self.programs
        scales = self.update.folds_rate or self.model.per_sample
        backward = programs.scaled_backward if scales else programs.backward
        statements = self.given.named([*programs.forward, programs.error, *backward])
        wanted = [self.derivation.system.loss, *self._derivatives.values()]
        wanted += map(self.given.code, self.model.states.values())
        step = TrainingStep(
            needed(statements, wanted),
            self.derivation.system.parameters,
            self.comments,
            self.model,
            self.given,
            weighted=self.model.per_sample and all(_can_be_weighted(s.operation) for s in statements),
            bare=self.bare,
        )
        if step.apart:  # a function as the others, which says the equations of `gradients` first
            step.comments = self.trained.comments
        return step

    @property
    def step(self) -> StepLines:
        """The lines of the training step."""
        return self.training_step.written_out

    @cached_property
    def both_passes(self) -> BothPasses:
        """What writes the function of both passes, where they stand in one."""
        annotated = [a.removesuffix(" = None") for a in self._annotated(("x", "t"), self.step.stems)]
        step, kind = self.training_step, self._arrays_kind
        return BothPasses(step, self.given, annotated, kind, self.update.folds_rate)

    @property
    def _arrays_kind(self) -> str:
        """What the arrays of a step are together, as annotations have it."""
        return "tuple" if self.step.stems else "tuple[np.ndarray, ...]"

    def _training(self) -> dict[str, object]:
        """Return what every training step is made of."""
        sizes = (f"{size}: int" for size in self.step.sizes)
        helpers = ["_zeros"] * (not self.bare) + ["_by_turns"] * self.step.turns
        helpers += [CHOICE] * self.step.chooses
        return {
            "allocate": head("_allocate", ["samples: int", "dtype: np.dtype", *sizes], self._arrays_kind),
            "allocations": self.step.allocations,
            **({"error": self.training_step.loss} if self.bare else {}),
            "optimizer": self.optimizer.name,
            "helpers": [*([] if self.bare else self._same_in_use()), *(support()[name] for name in helpers)],
            "update": [
                *self.update.lines(self.equations.one, self.bare),
                *(_LEFT if self.bare and self.model.states else ()),
            ],
            "apart": [*self.both_passes.texts()] if self.training_step.apart else [],
            "step": self._step_lines(),
        }

    def _same_in_use(self) -> list[str]:
        """Return the function for the error in use of a network that is the same in use."""
        if self.model.use is not None:
            return []
        listed = [f"parameters: {ARRAYS}", *self._annotated(("x", "t"), ())]
        docstring = '    """Return E of the network in use, which is the same."""'
        return [
            "\n".join((*head(_LOSS_IN_USE, listed, "float"), docstring, "    return loss(parameters, x, t)"))
        ]

    def _functions_of_step(self) -> dict[str, object]:
        """Return what the functions of the training step say of themselves."""
        folds = self.update.folds_rate
        apart = self.training_step.apart
        taken = () if apart else self.step.stems
        given = [a.removesuffix(" = None") for a in self._annotated(("x", "t"), taken)]
        arguments = ['trainer: "Trainer"', *given, "rate: float"]
        arguments += ["weights: np.ndarray | None", "with_loss: bool"]
        return {
            "description": self._description(),
            "multiplied": "multiplied by the learning rate" if folds else "without the learning rate",
            "backpropagate": head("_backpropagate", arguments, "float"),
            "fixed": self.both_passes.fixed() if apart else self.step.fixed,
            "arrays_kind": self._arrays_kind,
        }

    def _bare_trainer(self) -> dict[str, object]:
        """Return the lines that a trainer without a runtime begins with."""
        defaults = [f"{name}={value}" for name, value in self.optimizer.defaults.items()]
        keywords = ["self", "parameters=None", "*", *defaults, "batch_size=32", "seed=None"]
        kept = len(self.update.state) + len(self.update.scratch)
        arrays = f"[np.zeros_like(v) for v in self.parameters.values()] for _ in range({kept})"
        state = [*self._stored(), "self._state = [", f"    {arrays}", "]"]
        given = self._annotated(("x", "t"), () if self.training_step.apart else self.step.stems)
        every, each, left = "PARAMETER_SHAPES", "(v) for n, v in self.parameters.items()", []
        if self.model.states:
            every, each = (
                "(*PARAMETER_SHAPES, *STATE_SHAPES)",
                "(self.parameters[n]) for n in PARAMETER_SHAPES",
            )
            left = ["self._left = {n: np.zeros(s, self.dtype) for n, s in STATE_SHAPES.items()}"]
        return {
            "derivatives": f"{{n: np.zeros_like{each}}}",
            "every": every,
            "initializer": head("__init__", keywords, "", COLUMNS - 4),
            "settings": [
                *(f"self.{name} = {name}" for name in self.optimizer.defaults),
                *(state if kept else ()),
                *(("self.generator = np.random.default_rng(seed)",) if self.model.noise else ()),
                *left,
            ],
            "step_head": head("step", ["self", *given], "float", COLUMNS - 4),
        }

    def _description(self) -> list[str]:
        """Return what distinguishes the training step from `gradients`."""
        sentences = [
            "A step carries out the equations of `gradients` under the same numbers; what all derivatives "
            "are multiplied by goes into the first adjoints, as everything that follows is linear in them.",
            "The optimiser's equations are carried out on one array of all parameters"
            f"{'; `gradient` then holds learning_rate g' if self.update.folds_rate else ''}.",
        ]
        if self.training_step.compares_after:
            sentences.append("Where max(u, c) is at hand, u > c is read off it.")
        return wrapped(" ".join(sentences), COLUMNS, "# ")

    def _step_lines(self) -> list[str]:
        """Return the lines of a step before the update; in a bare module E is a name after them."""
        if self.training_step.apart:
            return [*self._counting(), *self.both_passes.in_step()]
        end = [] if self.bare else [f"return {self.training_step.loss} if with_loss else 0.0"]
        return [*self._scaling(), *self.step.given, *self.step.step, *end]

    def _counting(self) -> list[str]:
        """Return the lines that count the rows."""
        return [f"samples = len({self.given.samples_of()})", *(_ROWS_THAT_FIT if self.bare else ())]

    def _scaling(self) -> list[str]:
        """Return the lines that count the rows, and make what a step multiplies all derivatives by."""
        lines = self._counting()
        if not self.model.per_sample:
            return lines
        rate, owner = "rate" if self.update.folds_rate else 1, "self" if self.bare else "trainer"
        lines.append(f"scale = np.array({rate} / samples, {owner}.dtype)")
        if self.training_step.weighted and not self.bare:
            lines += ["if weights is not None:", "    scale = scale * weights"]
        return lines


_ROWS_THAT_FIT = (
    "if not 0 < samples <= self.batch_size:",
    '    raise ValueError(f"a step takes 1 to {self.batch_size} rows, got {samples}")',
    "rate = self.learning_rate",
)


def _can_be_weighted(operation: Operation) -> bool:
    """Whether weights of samples, a column beside the scale, meet arrays of rows alone."""
    scaled = any(i.kind == Kind.NAME and i.name == "scale" for i in operation.inputs)
    total = operation.kind == Kind.SUM and not operation.shape
    shapes = [i.shape for i in operation.inputs if total and i.shape[:1] == (SAMPLES,)]
    rows = all(len(shape) == 2 for shape in shapes)
    meets_rows = not scaled or (len(operation.shape) == 2 and operation.shape[:1] == (SAMPLES,))
    return rows and meets_rows and all(map(_can_be_weighted, operation.inputs))


_LOSS_IN_USE = "loss_in_use"
_LEFT = ("for name, value in self._left.items():", "    self.parameters[name][...] = value")
"""The lines that put into states what a step leaves in them."""
_EMPTY = "{}"
_GAMMA = ("_from_eight", "_given", "_polynomial")
_SUPPORT = {
    Kind.ERF: ("_ERF_NEAR", "_erf", "_erf_of_few", "_erf_of_few_32", "_polynomial"),
    Kind.LGAMMA: ("_LOG_GAMMA", "_lgamma", *_GAMMA),
    Kind.DIGAMMA: ("_DIGAMMA", "_digamma", *_GAMMA),
}
"""Operation that NumPy lacks -> what has to stand above the runtime for it."""


def _holds(operation: Operation, kind: Kind) -> bool:
    return operation.kind == kind or any(_holds(i, kind) for i in operation.inputs)
