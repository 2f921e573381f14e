"""What a generated module says about its inputs and targets: how they are bound, and what they have to be.

In goes a ``Model``, out come lines of code, and the constants that drive the runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Expr, Integer, Symbol, expand

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Operation, Statement
from symbackprop.code.layout import dict_definition, literal, tuple_definition
from symbackprop.code.loops import layered_names
from symbackprop.code.names import FUNCTIONS_USE, CodeNames
from symbackprop.code.recurrence import Recurrence
from symbackprop.equations.model import SAMPLES_DRAWN, Constant, DataArray, Model, Noise
from symbackprop.equations.naming import SAMPLES

_DRAWS = {
    "normal": "generator.normal(0, {0!r}, {shape})",
    "uniform": "generator.uniform({0!r}, {1!r}, {shape})",
    "bernoulli": "(generator.random({shape}) < {0!r}) * 1.0",
}
"""How noise is drawn from each distribution."""
_SINGLE = {(): (2, "{}"), ("1",): (1, "{}, 1")}
"""The sizes of a target of one number for each sample -> the axes that it may have instead, its shape."""


@dataclass(frozen=True)
class DataCode:
    """What the generated module says about the arrays that it is given."""

    model: Model

    # ------------------------------------------------------------ names

    @cached_property
    def names(self) -> CodeNames:
        """The names in the code."""
        return CodeNames(self.model)

    def code(self, name: str) -> str:
        """Return the name of a quantity, or of a derivative, in the code."""
        return self.names(name)

    def derivative(self, parameter: str) -> str:
        """Return what the derivative for a parameter is called in the code: dw2 for w2."""
        return self.code(self.model.system.adjoints[parameter].name)

    @property
    def arguments(self) -> set[str]:
        """What inputs, targets, noise and the parts of a vector are called in the code."""
        names = [given.name for given in (*self.model.inputs, *self.model.targets)]
        names += [noise.name for noise in self.model.noise]
        names += self.model.along.vectors.values() if self.model.along is not None else ()
        return {self.code(name) for name in names}

    @property
    def reserved(self) -> tuple[str, ...]:
        """Names that no dict can have in a function; x and t have been read when a dict is made."""
        return (*FUNCTIONS_USE, *self.names.sizes.values(), *self.names.constants.values())

    def named(self, statements: Sequence[Statement | Recurrence]) -> list[Statement | Recurrence]:
        """Return statements with the names that the code has, and with their places in layers."""
        places = layered_names(self.model.named, self.code)
        return [
            s.renamed(self.code, self._operation)
            if isinstance(s, Recurrence)
            else Statement(
                name := self.code(s.name), self._operation(s.operation), s.number, places.get(name)
            )
            for s in statements
        ]

    def _operation(self, operation: Operation) -> Operation:
        if not self.names.renamed:
            return operation
        inputs = tuple(map(self._operation, operation.inputs))
        value = self.code(operation.name) if operation.kind == Kind.ARRAY else operation.value
        return replace(operation, inputs=inputs, value=value)

    # ------------------------------------------------------------ in functions

    def given_lines(self, read: Iterable[str], dtype: str, quickly: bool = False) -> Iterator[str]:
        """Yield the lines that bind the inputs, and those targets that are ``read``.

        A single target for each sample gets its column, or loses it; ``quickly`` where it has to be done.
        """
        first = self.code(self.model.inputs[0].name)
        for argument, arrays in (("x", self.model.inputs), ("t", self.model.targets)):
            for given in arrays:
                if self.code(given.name) in read or given is self.model.inputs[0]:
                    kind = "np.int64" if given.integer else dtype
                    name = self.code(given.name)
                    sizes = tuple(map(self.size, given.shape))
                    single = argument == "t" and given.has_samples and sizes in _SINGLE
                    axes, shape = _SINGLE[sizes] if single else (0, "")
                    yield f"{name} = np.asarray({_access(argument, arrays, given)}, {kind})"
                    if single and quickly:
                        yield f"if {name}.ndim == {axes}:"
                    if single:
                        rows = shape.format("samples" if quickly else f"len({first})")
                        yield f"{'    ' * quickly}{name} = {name}.reshape({rows})"

    @cached_property
    def noise(self) -> dict[str, str]:
        """The names of noise, by what it is called in the code."""
        return {self.code(noise.name): noise.name for noise in self.model.noise}

    def noise_lines(
        self, read: Collection[str], dtype: str, holds: Callable[[str], bool], generator: str | None = ""
    ) -> Iterator[str]:
        """Yield the lines that bind the noise that is ``read``, but for what a dict by layer ``holds``.

        It is drawn from a ``generator``, or given in a dict; without one it is that of a fixed seed.  With
        None for the generator it is at hand.
        """
        bound = [noise for noise in self.model.noise if self.code(noise.name) in read]
        if bound and generator:
            yield f"noise = {self.drawn(generator)}"
        elif bound and generator is not None:
            yield from ("if noise is None:", f"    noise = {self.drawn('np.random.default_rng(0)')}")
        if any(holds(self.code(noise.name)) for noise in bound):
            yield f"noise = {{n: np.asarray(value, {dtype}) for n, value in noise.items()}}"
        for noise in bound:
            if not holds(self.code(noise.name)):
                yield f'{self.code(noise.name)} = np.asarray(noise["{noise.name}"], {dtype})'

    def drawn(self, generator: str) -> str:
        """Return the expression that draws the noise of a step."""
        return f"draw_noise({generator}, {self._counts})"

    def vector_lines(self, read: Collection[str], dtype: str) -> Iterator[str]:
        """Yield the lines that bind the parts of a vector that are ``read``, given by parameter."""
        vectors = self.model.along.vectors if self.model.along is not None else {}
        for parameter, name in vectors.items():
            if self.code(name) in read:
                yield f'{self.code(name)} = np.asarray(vector["{parameter}"], {dtype})'

    @property
    def _counts(self) -> str:
        """The arguments of ``draw_noise`` behind the generator: the samples, and open sizes of noise."""
        return ", ".join(("samples", *self.sizes_of_noise))

    @cached_property
    def sizes_of_noise(self) -> list[str]:
        """The names in the code of the open sizes that noise has."""
        return [self.names.sizes[size.name] for size in self.model.open_sizes_of_noise]

    def draws(self) -> dict[str, str]:
        """Return the expression that draws each noise."""
        return {noise.name: self._draw(noise) for noise in self.model.noise}

    def _draw(self, noise: Noise) -> str:
        shape = ", ".join([*["samples"] * noise.has_samples, *map(self.size, noise.shape)])
        axes = f"({shape},)" if shape and ", " not in shape else f"({shape})"
        return _DRAWS[noise.distribution].format(*noise.numbers, shape=axes)

    def takes_dtype(self, read: Collection[str]) -> bool:
        """Whether an array that is bound, with those that are ``read``, has the dtype of the parameters."""
        first = self.model.inputs[0].name
        given = (g for g in (*self.model.inputs, *self.model.targets) if not g.integer)
        constants = (c.name for c in self.model.constants if not self._is_whole(c))
        noise = [noise.name for noise in self.model.noise]
        noise += self.model.along.vectors.values() if self.model.along is not None else ()
        return any(g.name == first or self.code(g.name) in read for g in given) or any(
            self.code(name) in read for name in (*constants, *noise)
        )

    def constant_lines(self, read: Iterable[str], dtype: str) -> Iterator[str]:
        """Yield the lines that make arrays of the constants that are ``read``."""
        for constant in self.model.constants:
            if self.code(constant.name) in read:
                value = self.names.constants[constant.name]
                kind = "np.int64" if self._is_whole(constant) else dtype
                yield f"{self.code(constant.name)} = np.array({value}, {kind})"

    def _is_whole(self, constant: Constant) -> bool:
        quantity = self.model.named.quantities.get(constant.name)
        return quantity is not None and quantity.integer

    @property
    def output_shape(self) -> str:
        """The shape of the outputs, as docstrings tell it."""
        sizes = self.model.output_shape
        if len(sizes) == 1:
            return "(samples, outputs)"
        return f"(samples{''.join(f', {n}' for n in map(self.size, sizes))})"

    def size(self, n: Expr, samples: str = "samples") -> str:
        """Return a size in the code: a number, unless it is found with the data."""
        names = {s: Symbol(self.names.sizes[s.name]) for s in n.free_symbols if s.name in self.model.open}
        names[SAMPLES] = Symbol(samples)
        known = {s: Integer(self.model.sizes[s.name]) for s in n.free_symbols if s not in names}
        return str(expand(n.xreplace({**names, **known})))

    def size_lines(self) -> dict[str, str]:
        """Return the line that finds each open size in the data, by its name in the code."""
        found = {}
        for name, (given, axis) in self.model.open.items():
            own = self.names.sizes[name]
            found[own] = f"{own} = {self.code(given)}.shape[{axis}]"
        return found

    def measuring(self) -> dict[str, str]:
        """Return the line that finds each open size in the arguments, before inputs and targets are bound."""
        where = {
            given.name: _access(argument, arrays, given)
            for argument, arrays in (("x", self.model.inputs), ("t", self.model.targets))
            for given in arrays
        }
        sizes = (
            (self.names.sizes[name], where[given], axis) for name, (given, axis) in self.model.open.items()
        )
        return {own: f"{own} = np.shape({given})[{axis}]" for own, given, axis in sizes}

    def measured(self) -> dict[str, str]:
        """Return the input or target that has each open size, by the size's name in the code."""
        return {self.names.sizes[name]: given for name, (given, _) in self.model.open.items()}

    def samples_of(self) -> str:
        """Return the expression for the array whose rows are the samples."""
        return _access("x", self.model.inputs, self.model.inputs[0])

    # ------------------------------------------------------------ for the runtime

    @property
    def is_table(self) -> bool:
        """Whether the data are rows of numbers: one array of inputs and one of targets, a row a sample."""
        x, t = self.model.inputs, self.model.targets
        one = len(x) == len(t) == 1 and not self.model.open
        return one and x[0].is_table and t[0].is_table and self.model.is_mean

    @property
    def annotated_arguments(self) -> dict[str, str]:
        """The arguments x and t with what they are: an array, a dict of several, or nothing."""
        x, t = self.model.inputs, self.model.targets
        kinds = {1: "np.ndarray"}
        left_out = " = None" if self.model.along is None else ""  # a vector stands behind it
        targets = kinds.get(len(t), ARRAYS) if t else f"None{left_out}"
        noise = f"{ARRAYS} | None = None"
        return {"x": kinds.get(len(x), ARRAYS), "t": targets, "vector": ARRAYS, "noise": noise}

    def runtime_constants(self, uses_totals: bool) -> list[str]:
        """Return the lines that tell the runtime what data are; totals are told where ``uses_totals``."""
        given = (*self.model.inputs, *self.model.targets)
        places = {g.name: tuple(map(self._told, g.places)) for g in given if g.integer}
        least = {g.name: g.least_place for g in given if g.integer and g.places and g.may_be_missing}
        bounds = {g.name: (g.low, g.high) for g in given if (g.low, g.high) != (None, None)}
        totals = {g.name: (g.total, g.total_axis) for g in given if uses_totals and g.total is not None}
        return [
            *dict_definition("INPUTS", _SIZES, {g.name: self._sizes_told(g) for g in self.model.inputs}),
            *dict_definition("TARGETS", _SIZES, {g.name: self._sizes_told(g) for g in self.model.targets}),
            *dict_definition("WHOLE_NUMBERS", _SIZES, places),
            *dict_definition("LEAST_PLACES", "int", least),
            *dict_definition("BOUNDS", "tuple[float | None, float | None]", bounds),
            *dict_definition("TOTALS", "tuple[float, int]", totals),
            *dict_definition("SMALL_SIZES", "int", self._small_sizes()),
            f"OUTPUT_SHAPE = {literal(('samples', *map(self._told, self.model.output_shape)))}",
            f"CLASSES = {self._classes()}",
            f"IS_MEAN = {self.model.is_mean}",
            *tuple_definition("HELD: tuple[str, ...]", self._held),
        ]

    @property
    def _held(self) -> tuple[str, ...]:
        """The quantities through which no derivative goes."""
        return tuple(name for name, q in self.model.system.quantities.items() if q.held)

    def _told(self, n: Expr) -> int | str:
        """Return a size as the runtime is told it: a number, or a word for one that comes with the data."""
        text = self.size(n)
        return int(text) if text.isdigit() else text

    def _sizes_told(self, given: DataArray) -> tuple[int | str, ...]:
        return (*("samples",) * given.has_samples, *map(self._told, given.shape))

    def _small_sizes(self) -> dict[str, int]:
        """Return small numbers for the sizes that come with the data, by their words."""
        found = {"samples": SAMPLES_DRAWN}
        for given in (*self.model.inputs, *self.model.targets):
            for n in (*given.shape, *given.places):
                word = self._told(n)
                if isinstance(word, str):
                    found[word] = self.model.sample_size(n)
        return found

    def _classes(self) -> int:
        """Return how many classes the rows of a table's targets stand for, 0 where they stand for none."""
        if not self.is_table or not self.model.has_classes:
            return 0
        outputs = self.model.size(self.model.targets[0].shape[0])
        return outputs if outputs > 1 else 0


ARRAYS = "dict[str, np.ndarray]"
_SIZES = "tuple[int | str, ...]"


def _access(argument: str, arrays: Sequence[DataArray], given: DataArray) -> str:
    """Return the expression for one of the arrays of an argument, a dict where there are several."""
    return argument if len(arrays) == 1 else f'{argument}["{given.name}"]'
