"""The code of a generated module that takes, checks and reads its inputs and targets.

In goes a ``Model``, out come lines and words for the templates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from sympy import Expr, Integer, Symbol, expand

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Operation, Statement
from symbackprop.code.names import FUNCTIONS_USE, CodeNames
from symbackprop.equations.model import DataArray, Draw, Model
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.system import ONE


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
        """What inputs and targets are called in the code."""
        return {self.code(given.name) for given in (*self.model.inputs, *self.model.targets)}

    @property
    def reserved(self) -> tuple[str, ...]:
        """Names that no dict can have in a function; x and t have been read when a dict is made."""
        return (*FUNCTIONS_USE, *self.names.sizes.values(), *self.names.constants.values())

    def named(self, statements: Sequence[Statement]) -> list[Statement]:
        """Return statements with the names that the code has."""
        if not self.names.renamed:
            return list(statements)
        return [
            replace(s, name=self.code(s.name), operation=self._operation(s.operation)) for s in statements
        ]

    def _operation(self, operation: Operation) -> Operation:
        inputs = tuple(map(self._operation, operation.inputs))
        value = self.code(operation.name) if operation.kind == Kind.ARRAY else operation.value
        return replace(operation, inputs=inputs, value=value)

    # ------------------------------------------------------------ in functions

    def given_lines(self, read: Iterable[str], dtype: str) -> Iterator[str]:
        """Yield the lines that bind the inputs, and those targets that are ``read``."""
        for argument, arrays in (("x", self.model.inputs), ("t", self.model.targets)):
            for given in arrays:
                if self.code(given.name) in read or given is self.model.inputs[0]:
                    kind = "np.int64" if given.integer else dtype
                    name = self.code(given.name)
                    yield f"{name} = np.asarray({_access(argument, arrays, given)}, {kind})"

    def constant_lines(self, read: Iterable[str], dtype: str) -> Iterator[str]:
        """Yield the lines that make arrays of the constants that are ``read``."""
        for constant in self.model.constants:
            if self.code(constant.name) in read:
                value = self.names.constants[constant.name]
                yield f"{self.code(constant.name)} = np.array({value}, {dtype})"

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

    # ------------------------------------------------------------ in templates

    @property
    def is_table(self) -> bool:
        """Whether the data are rows of numbers: one array of inputs and one of targets, a row a sample."""
        x, t = self.model.inputs, self.model.targets
        one = len(x) == len(t) == 1 and not self.model.open
        return one and x[0].is_table and t[0].is_table and self.model.per_sample

    @property
    def standardizes(self) -> bool:
        """Whether inputs can be standardised: there is one array, of real numbers."""
        x = self.model.inputs
        fixed = self.model.is_fixed(x[0].shape)
        return len(x) == 1 and x[0].has_samples and not x[0].integer and fixed

    @property
    def t_argument(self) -> str:
        """The targets in the argument list of a function."""
        return "t" if self.model.targets else "t=None"

    def context(self, uses_totals: bool) -> dict[str, object]:
        """Return what the templates say about data; totals are checked where ``uses_totals``."""
        x, t = self.model.inputs, self.model.targets
        return {
            "table": self.is_table,
            "standardizes": self.standardizes,
            "input_shape": str(self.model.shape(x[0].shape)) if self.standardizes else "",
            "count": f"len({self._samples_of()})",
            "part_count": f"len({self._samples_of('part')})",
            "t_argument": self.t_argument,
            "x_rows": _rows_of("self.x", x, "self.in_files"),
            "t_rows": _rows_of("self.t", t, "self.in_files"),
            "x_rows_of_file": _rows_of("x", x, "True"),
            "has_targets": bool(t),
            "per_sample": self.model.per_sample,
            "whole_arrays": _tuple(
                _label(argument, arrays, given)
                for argument, arrays in (("x", x), ("t", t))
                for given in arrays
                if not given.has_samples
            ),
            "random_data": [*self._random("x", x), *self._random("t", t)],
            **self._outputs(),
            **(self._table(uses_totals) if self.is_table else self._arrays(uses_totals)),
        }

    def _samples_of(self, argument: str = "x") -> str:
        return _access(argument, self.model.inputs, self.model.inputs[0])

    def _outputs(self) -> dict[str, object]:
        """Return how the outputs are written to a file."""
        flattens = "" if len(self.model.output_shape) < 2 else "len(outputs), -1"
        written = '"x": x' if len(self.model.inputs) == 1 else "**x"
        return {
            "flattens": flattens,
            "rows": "rows" if flattens else "outputs",
            "written_arrays": f'{{{written}, "outputs": outputs}}',
            "places": self._has_labels_as_places(),
        }

    def _has_labels_as_places(self) -> bool:
        """Whether the targets are whole numbers, one for each sample, that name an output."""
        targets = self.model.targets
        one = len(targets) == 1 and targets[0].integer and not targets[0].shape and targets[0].has_samples
        return one and self.model.per_sample and targets[0].places == self.model.output_shape

    # ------------------------------------------------------------ a table

    def _table(self, uses_totals: bool) -> dict[str, object]:
        """Return what is said of rows of inputs and targets."""
        (x,), (t,) = self.model.inputs, self.model.targets
        inputs, outputs = self.model.size(x.shape[0]), self.model.size(t.shape[0])
        labels = outputs > 1 and self.model.has_classes
        bits = None if labels or t.low is None or t.high is None else (t.low, t.high)
        return {
            "inputs": inputs,
            "outputs": outputs,
            "target_condition": _condition(t),
            "target_text": _range_text(t),
            "target_total": t.total if uses_totals else None,
            "labels": labels,
            "bits": bits,
            "threshold": bits and float(bits[0] + bits[1]) / 2,
            "columns": _columns(inputs, outputs, labels),
            "renamed": self._renamed(),
        }

    def _renamed(self) -> str:
        """Return which declared names stand for x and t in a file; x0, the x of layer 0, is x itself."""
        pairs = zip((self.model.inputs[0].name, self.model.targets[0].name), ("x", "t"), strict=True)
        other = [f'"{name}": "{argument}"' for name, argument in pairs if name.rstrip("0") != argument]
        return f"{{{', '.join(other)}}}" if other else ""

    # ------------------------------------------------------------ arrays of any shape

    def _arrays(self, uses_totals: bool) -> dict[str, object]:
        """Return what is said of arrays of any shape, one or several of each kind."""
        x, t = self.model.inputs, self.model.targets
        given = (*x, *t)
        totals = uses_totals and any(g.total is not None for g in given)
        return {
            "x_checks": list(self._checks("x", x, uses_totals)),
            "t_checks": list(self._checks("t", t, uses_totals)) if t else _NO_TARGETS,
            "checks_names": max(len(x), len(t)) > 1,
            "checks_integers": any(g.integer for g in given),
            "checks_bounds": any(g.low is not None or g.high is not None for g in given),
            "checks_totals": totals,
            "x_loaded": _loaded("x", x),
            "t_loaded": _loaded("t", t) if t else "",
            "labels": False,
            "bits": None,
            "columns": ", ".join(self._described(g) for g in given),
        }

    def _described(self, given: DataArray) -> str:
        shape = list(map(self.size, given.shape))
        axes = ", ".join(["samples"] * given.has_samples + shape)
        return f"{given.name} ({axes}{',' if axes.count(',') == 0 else ''})"

    def _checks(self, argument: str, arrays: Sequence[DataArray], uses_totals: bool) -> Iterator[str]:
        """Yield the lines that check an argument."""
        if len(arrays) > 1:
            yield f'_check_names("{argument}", {argument}, {_tuple(g.name for g in arrays)})'
            yield f"{argument} = dict({argument})"
        for given in arrays:
            place = _access(argument, arrays, given)
            label = _label(argument, arrays, given)
            yield from self._check(given, label, place)
            if given.low is not None or given.high is not None:
                low = "-math.inf" if given.low is None else str(given.low)
                high = "math.inf" if given.high is None else str(given.high)
                yield f'_check_bounds("{label}", {place}, {low}, {high}, place)'
            if uses_totals and given.total is not None:
                yield f'_check_totals("{label}", {place}, {given.total}, {given.total_axis}, place)'

    def _check(self, given: DataArray, label: str, place: str) -> Iterator[str]:
        sizes = [s if (s := self.size(n)).isdigit() else f'"{s}"' for n in given.shape]
        shape = ['"samples"'] * given.has_samples + sizes
        axes = f"({', '.join(shape)}{',' if len(shape) == 1 else ''})"
        if not given.integer:
            yield f'{place} = _checked_array("{label}", {place}, {axes}, dtype, sizes, place)'
            return
        counts = [self.model.size(n) for n in given.places if self.model.is_fixed((n,))]
        count = str(min(counts)) if counts else "None"
        yield f'{place} = _checked_integers("{label}", {place}, {axes}, {count}, sizes, place)'

    # ------------------------------------------------------------ random data

    def _random(self, argument: str, arrays: Sequence[DataArray]) -> Iterator[str]:
        """Yield the lines that draw data for a check."""
        if not arrays:
            yield f"{argument} = None"
        elif len(arrays) == 1:
            yield f"{argument} = {self._draw(arrays[0])}"
        else:
            yield f"{argument} = {{"
            yield from (f'    "{given.name}": {self._draw(given)},' for given in arrays)
            yield "}"

    def _draw(self, given: DataArray) -> str:
        """Return the expression that draws numbers which a given array may hold."""
        draw = self.model.draw(given)
        if draw.places is not None:
            return f"generator.integers({draw.places}, size={draw.shape})"
        if self._draws_shares(given):
            return _shares(draw)
        if draw.bounds is None:
            return f"generator.normal(size={draw.shape})"
        low, high = draw.bounds
        return f"generator.uniform({low!r}, {high!r}, {draw.shape})"

    def _draws_shares(self, given: DataArray) -> bool:
        """Whether numbers have a total; those that a label may stand for have, whatever is assumed."""
        is_labels = self.is_table and given in self.model.targets and self.model.has_classes
        return given.total is not None or (is_labels and self.model.size(given.shape[0]) > 1)


def _shares(draw: Draw) -> str:
    """Return the expression that draws shares of the total; of none that is positive, centred numbers."""
    shape, axis, total = draw.shape, draw.axis, ONE if draw.total is None else draw.total
    others = shape[:axis] + shape[axis + 1 :]
    drawn = f"generator.dirichlet(np.ones({shape[axis]}), {others[0] if len(others) == 1 else others})"
    if total <= 0:
        drawn = f"({drawn} - {drawn} + {total / shape[axis]})"
    if axis < len(shape) - 1:
        drawn = f"np.moveaxis({drawn}, -1, {axis})"
    return f"{total} * {drawn}" if total > 0 and total != 1 else drawn


_NO_TARGETS = [
    "if t is not None:",
    '    raise ValueError("this network has no targets; t must be None")',
]


def _tuple(names: Iterable[str]) -> str:
    """Return the text of a tuple of strings, "" for none."""
    quoted = [f'"{name}"' for name in names]
    return f"({', '.join(quoted)}{',' if len(quoted) == 1 else ''})" if quoted else ""


def _rows_of(argument: str, arrays: Sequence[DataArray], in_files: str) -> str:
    """Return the expression for some rows of an argument; ``in_files`` says whether it is in files."""
    if not arrays:
        return "None"
    whole = not any(given.has_samples for given in arrays)
    return argument if whole else f"_rows({argument}, rows, {in_files})"


def _label(argument: str, arrays: Sequence[DataArray], given: DataArray) -> str:
    """Return what messages call one of the arrays of an argument."""
    return given.name if len(arrays) > 1 else argument


def _loaded(argument: str, arrays: Sequence[DataArray]) -> str:
    """Return the expression that finds an argument among the arrays of a file."""
    if len(arrays) > 1:
        names = _tuple(given.name for given in arrays)
        return f"{{name: _array(arrays, name) for name in {names}}}"
    quoted = [f'"{name}"' for name in dict.fromkeys((arrays[0].name, argument))]
    return f"_array(arrays, {', '.join(quoted)})"


def _access(argument: str, arrays: Sequence[DataArray], given: DataArray) -> str:
    """Return the expression for one of the arrays of an argument, a dict where there are several."""
    return argument if len(arrays) == 1 else f'{argument}["{given.name}"]'


def _condition(given: DataArray) -> str:
    """Return the condition under which a number of ``given`` is out of bounds."""
    low = [] if given.low is None else [f"t < {given.low}"]
    high = [] if given.high is None else [f"t > {given.high}"]
    bounds = [*low, *high]
    return bounds[0] if len(bounds) == 1 else " | ".join(f"({bound})" for bound in bounds)


def _range_text(given: DataArray) -> str:
    """Return what a message says of the numbers that ``given`` may hold."""
    if given.low is not None and given.high is not None:
        return f"must lie in [{given.low}, {given.high}]"
    return f"must not be below {given.low}" if given.high is None else f"must not be above {given.high}"


def _columns(inputs: int, outputs: int, labels: bool) -> str:
    """Return what the columns of a table of data are."""
    first = f"{inputs} input" + ("s" if inputs > 1 else "")
    then = f"{outputs} target" + ("s" if outputs > 1 else "")
    label = f", or one label from 0 to {outputs - 1}" if labels else ""
    return f"{first}, then {then}{label}"
