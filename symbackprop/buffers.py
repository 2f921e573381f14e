"""From array operations to statements on preallocated buffers: each writes where it is told to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sympy import Expr

from symbackprop.batch import SAMPLES
from symbackprop.code import OWN_FUNCTIONS, assignment, write
from symbackprop.lowering import Operation

_IN_PLACE = {"add": "+=", "subtract": "-=", "multiply": "*=", "divide": "/="}
_COMMUTES = ("add", "multiply")
_MASKS = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal", "logical_and", "logical_or")


def is_mask(operation: Operation) -> bool:
    """Whether ``operation`` gives truth values."""
    return operation.kind in _MASKS


@dataclass
class Workspace:
    """The buffers of a program: name -> shape, masks apart; temporaries are used again.

    ``stem`` begins the names of temporaries.
    """

    arrays: dict[str, tuple[Expr, ...]] = field(default_factory=dict)
    masks: dict[str, tuple[Expr, ...]] = field(default_factory=dict)
    idle: list[str] = field(default_factory=list)
    count: int = 0
    stem: str = "work"

    def temporary(self, shape: tuple[Expr, ...], mask: bool) -> str:
        """Return an idle temporary of that shape, or a new one."""
        table = self.masks if mask else self.arrays
        for name in self.idle:
            if table.get(name) == shape:
                self.idle.remove(name)
                return name
        self.count += 1
        name = f"{'mask' if mask else self.stem}{self.count}"
        table[name] = shape
        return name


class BufferWriter:
    """Writes the statements of one program; ``names`` are the operations that have a buffer."""

    def __init__(self, names: Mapping[Operation, str], workspace: Workspace) -> None:
        self.names = names
        self.workspace = workspace
        self.lines: list[str] = []
        self.busy: list[str] = []
        self.uses_ones = False
        self.weighted = False

    def assign(self, name: str, operation: Operation) -> list[str]:
        """Return the lines after which the buffer ``name`` holds ``operation``."""
        self.lines = []
        self._store(operation, name)
        self._release()
        return self.lines

    def scalar(self, name: str, operation: Operation, *, weighted: bool) -> list[str]:
        """Return the lines after which the local variable ``name`` holds a number.

        With ``weighted`` a sum over the samples is one of errors, which the weights of samples multiply.
        """
        self.lines = []
        self.weighted = weighted
        value = self._scalar(operation, top=True)
        self.lines += assignment(name, value, dict(self.names))
        self._release()
        return self.lines

    def _release(self) -> None:
        self.workspace.idle += self.busy
        self.busy = []

    def _scalar(self, operation: Operation, top: bool = False) -> Operation:
        """Return ``operation`` with what needs arrays of its own computed into temporaries."""
        if operation.kind == "sum" and not operation.shape and operation.inputs[0].shape:
            return self._total(operation)
        if not operation.inputs or (operation in self.names and not top):
            return operation
        inputs = tuple(self._scalar(i) for i in operation.inputs)
        return Operation(operation.kind, inputs, operation.value, operation.axes, operation.shape)

    def _total(self, operation: Operation) -> Operation:
        """Return the sum over all components; a sum of products of two arrays is one vdot."""
        (whole,) = operation.inputs
        if whole.shape[0] == SAMPLES and self.weighted:
            buffer = self._weighted(whole)
        elif whole.kind == "square" and whole.inputs[0].is_leaf:
            return Operation("vdot", whole.inputs * 2)
        else:
            buffer = self._operand(whole)
        name = Operation("array", (), buffer, whole.axes, whole.shape)
        return Operation("sum", (name,), operation.value)

    def _weighted(self, operation: Operation) -> str:
        """Return a temporary with the errors of all samples, multiplied by their weights if any."""
        buffer = self.workspace.temporary(operation.shape, mask=False)
        self.busy.append(buffer)
        self._store(operation, buffer)
        self.lines += ["if weights is not None:", f"    {buffer} *= weights"]
        return buffer

    # ------------------------------------------------------------ arrays

    def _operand(self, operation: Operation, spare: str | None = None) -> str:
        """Return the text that reads ``operation``, computed into ``spare`` or a temporary if needed."""
        if operation in self.names:
            return self.names[operation]
        if operation.is_leaf or (operation.kind == "layout" and operation.inputs[0] in self.names):
            return write(operation, self.names).code
        if not operation.shape:
            return write(self._scalar(operation), self.names).code
        if spare is None or is_mask(operation):
            spare = self.workspace.temporary(operation.shape, is_mask(operation))
            self.busy.append(spare)
        self._store(operation, spare)
        return spare

    def _store(self, operation: Operation, out: str) -> None:
        kind = operation.kind
        if operation.is_leaf or (operation in self.names and self.names[operation] != out):
            self.lines.append(f"np.copyto({out}, {self._operand(operation)})")
        elif kind == "full":
            self.lines.append(f"np.copyto({out}, {self._operand(operation.inputs[0])})")
        elif kind == "layout":
            inner = self._operand(operation.inputs[0])
            view = Operation(kind, (Operation("array", (), inner),), operation.value)
            self.lines.append(f"np.copyto({out}, {write(view, {}).code})")
        elif kind == "matmul":
            first, second = (self._operand(i) for i in operation.inputs)
            self.lines.append(f"np.dot({first}, {second}, out={out})")
        elif kind == "einsum":
            operands = ", ".join(self._operand(i) for i in operation.inputs)
            self.lines.append(f'np.einsum("{operation.value}", {operands}, out={out}, optimize=True)')
        elif kind in ("sum", "max"):
            self._reduce(operation, out)
        elif kind == "where":
            condition, value, other = operation.inputs
            self._store(other, out)
            self.lines.append(f"np.copyto({out}, {self._operand(value)}, where={self._operand(condition)})")
        else:
            self._elementwise(operation, out)

    def _reduce(self, operation: Operation, out: str) -> None:
        assert isinstance(operation.value, tuple)
        axis, kept = operation.value
        (inner,) = operation.inputs
        over_samples = axis == 0 and not kept and len(inner.shape) == 2 and inner.shape[0] == SAMPLES
        text = self._operand(inner, out if inner.shape == operation.shape else None)
        if operation.kind == "sum" and over_samples:
            self.uses_ones = True
            self.lines.append(f"np.dot(ones, {text}, out={out})")
            return
        keep = ", keepdims=True" if kept else ""
        self.lines.append(f"np.{operation.kind}({text}, axis={axis}{keep}, out={out})")

    def _elementwise(self, operation: Operation, out: str) -> None:
        """Write one elementwise operation; the first computed input of its shape uses its buffer."""
        texts: list[str] = [""] * len(operation.inputs)
        spare: str | None = out
        for position in self._order(operation.inputs, out):
            value = operation.inputs[position]
            fits = value.shape == operation.shape and not is_mask(operation)
            later = any(
                not texts[p] and p != position and self._reads(i, out) for p, i in enumerate(operation.inputs)
            )
            texts[position] = self._operand(value, spare if fits and not later else None)
            if texts[position] == out:
                spare = None
        self.lines.append(self._one_line(operation.kind, texts, out))

    def _order(self, inputs: Sequence[Operation], out: str) -> list[int]:
        """Return the positions of the inputs in the order in which they are computed.

        Of those that read ``out`` all but the first come before anything is written to it, then that
        one; then matrix products, which need a buffer to write to.
        """
        readers = [p for p, value in enumerate(inputs) if self._reads(value, out)]
        rest = [p for p in range(len(inputs)) if p not in readers]
        return [*readers[1:], *readers[:1], *sorted(rest, key=lambda p: inputs[p].kind != "matmul")]

    def _reads(self, operation: Operation, name: str) -> bool:
        own = operation.kind == "array" and operation.value == name
        return own or any(self._reads(i, name) for i in operation.inputs)

    def _one_line(self, kind: str, texts: Sequence[str], out: str) -> str:
        if kind in _IN_PLACE and texts[0] == out:
            return f"{out} {_IN_PLACE[kind]} {texts[1]}"
        if kind in _COMMUTES and texts[1] == out:
            return f"{out} {_IN_PLACE[kind]} {texts[0]}"
        if kind == "divide" and texts[0] == "1":
            return f"np.reciprocal({texts[1]}, out={out})"
        function = OWN_FUNCTIONS.get(kind, f"np.{kind}")
        return f"{function}({', '.join(texts)}, out={out})"
