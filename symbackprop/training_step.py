"""The body of `Trainer.step`: a program's statements on buffers that are allocated once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from sympy import Expr

from symbackprop.batch import SAMPLES
from symbackprop.buffers import BufferWriter, Workspace
from symbackprop.code import assignment
from symbackprop.given import GivenCode
from symbackprop.lowering import Operation, Statement
from symbackprop.model import Model
from symbackprop.program import arrays_read, share


class TrainingStep:
    """Writes the statements of one step and collects the buffers that they need.

    Args:
        statements: forward, error and scaled derivatives, in order.
        parameters: the names of the parameters.
        comment: gives the comment lines of an equation's number.
        model: gives the number of a size.
        given: writes the lines that bind inputs, targets and constants.
        weighted: whether the errors of samples can be given weights.
    """

    def __init__(
        self,
        statements: Sequence[Statement],
        parameters: Sequence[str],
        comment: Callable[[int], Iterable[str]],
        model: Model,
        given: GivenCode,
        weighted: bool,
    ) -> None:
        self.weighted = weighted
        self.loss = model.system.loss
        self.parameters = [given.code(name) for name in parameters]
        self.derivatives = [given.derivative(name) for name in parameters]
        self.comment = comment
        self.model = model
        self.size = model.size
        self.given = given
        self.shared, self.names = share(statements)
        own = {*self.names.values(), *self.parameters, *self.derivatives, *(s.name for s in statements)}
        self.workspace = Workspace(taken=own, numbers={})
        self.writer = BufferWriter(self.names, self.workspace)

    def context(self) -> dict[str, object]:
        """Return the lines of the step and the buffers, for the template."""
        body = list(self._body())
        names = [*self._sample_buffers(), *(["ones"] if self.writer.uses_ones else [])]
        found = self.given.size_lines()
        arguments = () if self._can_be_cut else tuple(found)
        binding = [
            *unpacked(self.parameters, "self.parameters.values()"),
            *unpacked(self.derivatives, "self._derivatives"),
            *found.values(),
            *unpacked(names, f"self._buffers_for({', '.join(('samples', *arguments))})"),
            *unpacked(list(self._scratch()), "self._scratch"),
            *unpacked(self._constant_names, "self._constants"),
            *self.given.constant_lines(self._read, "self.dtype"),
        ]
        if any("dtype" in line for line in body):
            binding.append("dtype = self.dtype")
        return {
            "step": [*binding, *body],
            "given": list(self.given.given_lines(self._read, "self.dtype")),
            "error": self.loss,
            "buffer_names": [name for name in names if name != "ones"],
            "buffers": [self._allocation(name) for name in names],
            "cuts": self._can_be_cut,
            "data_sizes": ["samples", *arguments],
            "scratch": [self._allocation(name) for name in self._scratch()],
            "constants": list(self._constants()),
        }

    @cached_property
    def _read(self) -> set[str]:
        """The names of the arrays that the statements read."""
        return set().union(*[arrays_read(entry.statement.operation) for entry in self.shared])

    def _body(self) -> Iterable[str]:
        for entry in self.shared:
            statement = entry.statement
            yield from self.comment(statement.number)
            for name, operation in entry.parts:
                yield from self.writer.part(name, operation)
            lines = self._statement(statement)
            if statement.name == self.loss:
                yield "if with_loss:"
                lines = (f"    {line}" for line in lines)
            yield from lines

    def _statement(self, statement: Statement) -> Iterable[str]:
        name, operation = statement.name, statement.operation
        if not operation.shape and name in self.derivatives:
            yield from self.writer.scalar(f"{name}[...]", operation, weighted=False)
        elif not operation.shape:
            yield from self.writer.scalar(
                name, operation, weighted=self.weighted and name == self.loss, indent=4
            )
        elif name not in self.derivatives and (operation.is_leaf or operation.is_whole):
            yield from self.writer.part(name, operation)  # the same numbers under another name
        else:
            if name not in self.derivatives:
                self.workspace.arrays[name] = operation.shape
            yield from self.writer.assign(name, operation)

    @cached_property
    def _all(self) -> dict[str, tuple[Expr, ...]]:
        """The buffers that the finished body needs."""
        own = self.workspace
        return {**own.arrays, **own.masks, **own.padded, **own.counts}

    def _sample_buffers(self) -> list[str]:
        """Return the buffers whose size depends on the data: on the number of samples, or on an open size."""
        return [name for name, shape in self._all.items() if not self.model.is_fixed(shape)]

    def _scratch(self) -> list[str]:
        """Return the other buffers."""
        return [name for name, shape in self._all.items() if self.model.is_fixed(shape)]

    @cached_property
    def _can_be_cut(self) -> bool:
        """Whether the first rows of each buffer are a buffer for fewer samples."""
        shapes = [self._all[name] for name in self._sample_buffers()]
        return all(shape[0] == SAMPLES and self.model.is_fixed(shape[1:]) for shape in shapes)

    def _allocation(self, name: str) -> str:
        """Return the line that allocates a buffer."""
        samples = "self.batch_size" if self._can_be_cut else "samples"
        if name == "ones":
            return f"np.ones({samples}, self.dtype),  # ones"
        if name in self.workspace.counts:
            return f"np.arange({samples}),  # {name}"
        sizes = [self.given.size(n, samples) for n in self._all[name]]
        shape = f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"
        make = "zeros" if name in self.workspace.padded else "empty"
        dtype = "bool" if name in self.workspace.masks else "self.dtype"
        return f"np.{make}({shape}, {dtype}),  # {name}"

    @property
    def _constant_names(self) -> list[str]:
        return [*(self.workspace.numbers or {}).values(), *self.workspace.constants.values()]

    def _constants(self) -> Iterable[str]:
        """Yield the lines that make the arrays without data."""
        names = self.workspace.constants
        numbers = self.workspace.numbers or {}
        taken = {Operation("array", (), name): name for name in names.values()}
        lines = [f"{name} = np.array({text}, dtype)" for text, name in numbers.items()]
        lines += [line for o, name in names.items() for line in assignment(name, o, dict(taken))]
        if any("dtype" in line for line in lines):
            yield "dtype = self.dtype"
        yield from lines
        made = self._constant_names
        if made:
            yield f"self._constants = {f'({made[0]},)' if len(made) == 1 else ', '.join(made)}"


def unpacked(names: Sequence[str], value: str, columns: int = 80) -> list[str]:
    """Return the lines that unpack ``value`` into ``names``."""
    if not names:
        return []
    if len(names) == 1:
        return [f"({names[0]},) = {value}"]
    line = f"{', '.join(names)} = {value}"
    if len(line) <= columns:
        return [line]
    return ["(", *[f"    {name}," for name in names], f") = {value}"]
