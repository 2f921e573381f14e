"""From array operations to statements on preallocated buffers: each writes where it is told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sympy import Expr, Integer

from symbackprop.arrays.kinds import MASKS, Kind
from symbackprop.arrays.operations import Operation, Padding, Picks, Place, Product, Reduction, Sizes, Slices
from symbackprop.code.text import LINE, OWN_FUNCTIONS, Text, assignment, fitting, update_lines, write
from symbackprop.equations.naming import SAMPLES

_IN_PLACE = {Kind.ADD: "+=", Kind.SUBTRACT: "-=", Kind.MULTIPLY: "*=", Kind.DIVIDE: "/="}
_COMMUTES = (Kind.ADD, Kind.MULTIPLY)
_NUMBERS = {"0": "zero", "1": "one"}
_SLOW_WITH_NUMBERS = (Kind.MAXIMUM, Kind.MINIMUM)  # NumPy takes two arrays in a third of the time


def is_mask(operation: Operation) -> bool:
    """Whether ``operation`` gives truth values."""
    return operation.kind in MASKS


@dataclass
class Workspace:
    """The buffers of a program: name -> shape, masks apart; temporaries are used again.

    ``padded`` are buffers whose borders stay zero, ``counts`` holds the numbers of the samples.
    ``constants`` are arrays that are made once: they hold no data.  ``numbers``, None to do without them,
    are arrays of one number: NumPy reads them in a fifth of the time that a number of Python takes.
    ``filled`` are arrays of zeros or of ones, which no statement writes to.
    ``stem`` begins the names of temporaries, which are none of ``taken``; ``size`` gives sizes their
    numbers.
    """

    arrays: dict[str, tuple[Expr, ...]] = field(default_factory=dict)
    masks: dict[str, tuple[Expr, ...]] = field(default_factory=dict)
    padded: dict[str, tuple[Expr, ...]] = field(default_factory=dict)
    counts: dict[str, tuple[Expr, ...]] = field(default_factory=dict)
    constants: dict[Operation, str] = field(default_factory=dict)
    numbers: dict[str, str] | None = None
    filled: dict[str, tuple[str, tuple[Expr, ...]]] = field(default_factory=dict)
    idle: list[str] = field(default_factory=list)
    count: int = 0
    stem: str = "work"
    size: Callable[[Expr], Expr] = lambda n: n
    taken: set[str] = field(default_factory=set)

    def temporary(self, shape: tuple[Expr, ...], mask: bool) -> str:
        """Return an idle temporary of that shape, or a new one."""
        table = self.masks if mask else self.arrays
        shape = tuple(map(self.size, shape))
        fitting = [name for name in self.idle if table.get(name) == shape]
        if fitting:  # the oldest, so that equal layers have the same
            oldest = min(fitting, key=lambda name: (len(name), name))
            self.idle.remove(oldest)
            return oldest
        name = self.fresh("mask" if mask else self.stem)
        table[name] = shape
        return name

    def padding(self, shape: tuple[Expr, ...]) -> str:
        """Return a new buffer of zeros; what is inside of the padding alone may be written."""
        name = self.fresh("padded")
        self.padded[name] = shape
        return name

    def constant(self, operation: Operation) -> str:
        """Return the name of an array that is the same in every step."""
        if operation not in self.constants:
            self.constants[operation] = self.fresh("mask" if is_mask(operation) else "constant")
        return self.constants[operation]

    def number(self, text: str) -> str:
        """Return the name of the array that holds a number, where it has one, or else its text."""
        name = _NUMBERS.get(text)
        if self.numbers is None or name is None:
            return text
        if text not in self.numbers:
            self.numbers[text] = self.fresh(name) if name in self.taken else name
        return self.numbers[text]

    def full_of(self, text: str, shape: tuple[Expr, ...]) -> str:
        """Return the name of an array of that shape in which every number is 0 or is 1."""
        stem, shape = f"{_NUMBERS[text]}s", tuple(map(self.size, shape))
        for name, kind in self.filled.items():
            if kind == (stem, shape):
                return name
        plain = text == "0" or shape == (SAMPLES,)  # `ones` alone are those of the samples
        name = stem if plain and stem not in self.taken | self.filled.keys() else self.fresh(stem)
        self.filled[name] = stem, shape
        return name

    def numbers_of_samples(self) -> str:
        """Return the name of the array 0, 1, 2 … with a number for each sample."""
        if not self.counts:
            self.counts["rows" if "rows" not in self.taken else self.fresh("rows")] = (SAMPLES,)
        return next(iter(self.counts))

    def fresh(self, stem: str) -> str:
        """Return a new name."""
        while True:
            self.count += 1
            name = f"{stem}{self.count}"
            if name not in self.taken:
                return name


class BufferWriter:
    """Writes the statements of one program; ``names`` are the operations that have a buffer."""

    def __init__(self, names: Mapping[Operation, str], workspace: Workspace) -> None:
        self.names = names
        self.workspace = workspace
        self.lines: list[str] = []
        self.busy: list[str] = []
        self.weighted = False

    def assign(self, name: str, operation: Operation) -> list[str]:
        """Return the lines after which the buffer ``name`` holds ``operation``."""
        self.lines = []
        self._store(operation, name)
        self._release()
        return self.lines

    def part(self, name: str, operation: Operation) -> list[str]:
        """Return the lines after which ``name`` holds a part that several statements read.

        What is a view or holds integers needs no buffer of its own.
        """
        if operation.is_constant:
            self.workspace.constants.setdefault(operation, name)
            return []
        if not (operation.is_leaf or _is_text(operation)) or _is_product(operation):
            table = self.workspace.masks if is_mask(operation) else self.workspace.arrays
            table[name] = operation.shape
            return self.assign(name, operation)
        self.lines = []
        ready = self._ready(operation)
        self.busy = []  # what is viewed stays in use
        return [*self.lines, *assignment(name, ready, dict(self.names))]

    def scalar(self, name: str, operation: Operation, *, weighted: bool, indent: int = 0) -> list[str]:
        """Return the lines after which the local variable ``name`` holds a number.

        With ``weighted`` a sum over the samples is one of errors, which the weights of samples multiply.
        """
        self.lines = []
        self.weighted = weighted
        value = self._scalar(operation, top=True)
        self.lines += assignment(name, value, dict(self.names), LINE - indent)
        self._release()
        return self.lines

    def _release(self) -> None:
        self.workspace.idle += self.busy
        self.busy = []

    def _scalar(self, operation: Operation, top: bool = False) -> Operation:
        """Return ``operation`` with what needs arrays of its own computed into temporaries."""
        if operation.kind == Kind.SUM and not operation.shape and operation.inputs[0].shape:
            return self._total(operation)
        if not operation.inputs or (operation in self.names and not top):
            return operation
        inputs = tuple(self._array(i) if i.shape else self._scalar(i) for i in operation.inputs)
        return Operation(operation.kind, inputs, operation.value, operation.axes, operation.shape)

    def _array(self, operation: Operation) -> Operation:
        """Return the array that holds ``operation``."""
        return Operation(Kind.ARRAY, (), self._operand(operation), operation.axes, operation.shape)

    def _total(self, operation: Operation) -> Operation:
        """Return the sum over all components; a sum of products of two arrays is one vdot."""
        (whole,) = operation.inputs
        weighted = whole.shape[0] == SAMPLES and self.weighted
        factors = None if weighted and whole.kind == Kind.SQUARE else self._factors(whole)
        if factors:
            first, second = factors
            buffer = self._weighted(first) if weighted else self._operand(first)
            name = Operation(Kind.ARRAY, (), buffer, first.axes, first.shape)
            return Operation(Kind.VDOT, (name, self._array(second)))
        buffer = self._weighted(whole) if weighted else self._operand(whole)
        name = Operation(Kind.ARRAY, (), buffer, whole.axes, whole.shape)
        if whole.shape[0] == SAMPLES and all(self.workspace.size(n) == 1 for n in whole.shape[1:]):
            ones = Operation(Kind.ARRAY, (), self.workspace.full_of("1", (SAMPLES,)), shape=(SAMPLES,))
            return Operation(Kind.VDOT, (name, ones))
        return Operation(Kind.SUM, (name,), operation.value)

    def _factors(self, product: Operation) -> tuple[Operation, Operation] | None:
        """Return two arrays whose product is ``product``, the second of which is there already."""
        factors: tuple[Operation, ...]
        if product.kind == Kind.SQUARE:
            factors = product.inputs * 2
        elif product.kind == Kind.MULTIPLY and all(i.shape == product.shape for i in product.inputs):
            factors = product.inputs
        else:
            return None
        first, second = sorted(factors, key=lambda factor: factor.is_leaf or factor in self.names)
        there = second.kind == Kind.ARRAY or second in self.names
        return None if not there or is_mask(second) or is_mask(first) else (first, second)

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
        if not operation.shape:
            return write(self._scalar(operation), self.names).code
        if operation.is_constant:
            return self.workspace.constant(operation)
        if spare is not None and _is_product(operation):
            self._store(operation, spare)
            return spare
        if operation.kind == Kind.ARRAY or _is_text(operation):
            return self._text(operation)
        if spare is None or is_mask(operation):
            spare = self._temporary(operation)
        self._store(operation, spare)
        return spare

    def _temporary(self, operation: Operation) -> str:
        buffer = self.workspace.temporary(operation.shape, is_mask(operation))
        self.busy.append(buffer)
        return buffer

    def _text(self, operation: Operation) -> str:
        """Return the text of what needs no buffer but for its inputs."""
        return write(self._ready(operation), {}).code

    def _ready(self, operation: Operation) -> Operation:
        """Return what needs no buffer, with its inputs computed."""
        text = ""
        if operation.kind == Kind.ARANGE and operation.is_whole and operation.shape == (SAMPLES,):
            text = self.workspace.numbers_of_samples()
        elif operation.kind == Kind.PAD and not operation.is_whole:
            text = self._padded(operation)
        elif operation.kind == Kind.RESHAPE and not operation.is_whole:
            text = self._reshaped(operation)
        if text:
            return Operation(Kind.ARRAY, (), text, operation.axes, operation.shape)
        inputs = tuple(self._input(i) for i in operation.inputs)
        whole = operation.whole
        return Operation(operation.kind, inputs, operation.value, operation.axes, operation.shape, whole)

    def _input(self, operation: Operation) -> Operation:
        """Return an input of what needs no buffer: integers as they are, anything else computed."""
        if not operation.shape:
            return operation
        if operation in self.names or operation.is_constant or not _is_text(operation):
            return self._array(operation)
        return self._ready(operation)

    def _padded(self, operation: Operation) -> str:
        """Return a buffer with zeros around the input."""
        buffer = self.workspace.padding(operation.shape)
        widths = operation.value_as(Padding).widths
        cut = Slices(tuple((left or None, -right or None, None) for left, right in widths))
        inside = Operation(Kind.SUBSCRIPT, (Operation(Kind.ARRAY, (), buffer),), cut)
        self._store(operation.inputs[0], write(inside, {}).code)
        return buffer

    def _reshaped(self, operation: Operation) -> str:
        """Return a reshaped view; of a temporary with the axes apart where something is computed."""
        (inner,) = operation.inputs
        if inner in self.names or (inner.is_leaf and inner.is_contiguous):
            source = self._operand(inner)
        elif _is_product(operation):  # its axes are together: the temporary has them apart
            buffer = self._temporary(operation)
            self._matmul(inner, _reshape(buffer, _product_shape(inner)))
            return buffer
        else:
            source = self._temporary(inner)
            self._store(inner, source)
        return _reshape(source, operation.value_as(Sizes).sizes)

    def _store(self, operation: Operation, out: str) -> None:
        kind = operation.kind
        if operation in self.names and self.names[operation] != out:
            self._copy(self.names[operation], out)
        elif _is_product(operation):
            (product,) = operation.inputs
            self._matmul(product, _reshape(out, _product_shape(product)))
        elif operation.is_leaf or _is_text(operation):
            self._copy(self._text(operation) if operation.shape else self._operand(operation), out)
        elif kind in (Kind.FULL, Kind.BROADCAST) or (kind == Kind.CAST and not operation.is_constant):
            self._copy(self._operand(operation.inputs[0]), out)
        elif kind == Kind.MATMUL:
            self._matmul(operation, out)
        elif kind == Kind.EINSUM:
            operands = ", ".join(self._operand(i) for i in operation.inputs)
            self.lines.append(f'np.einsum("{operation.value_as(str)}", {operands}, out={out})')
        elif kind == Kind.GATHER:
            self._gather(operation, out)
        elif kind == Kind.ZEROS:
            self.lines.append(f"{out}.fill(0)")
        elif kind == Kind.SCATTER:
            self._scatter(operation, out)
        elif kind in (Kind.SUM, Kind.MAX):
            self._reduce(operation, out)
        elif operation.is_constant:
            self._copy(self.workspace.constant(operation), out)
        elif kind == Kind.WHERE:
            self._where(operation, out)
        else:
            self._elementwise(operation, out)

    def _copy(self, source: str, out: str) -> None:
        self.lines.append(f"np.copyto({out}, {source})")

    def _matmul(self, operation: Operation, out: str) -> None:
        """Write a matrix product; one of many rows of rows is one of all rows."""
        first, second = operation.inputs
        texts = [self._operand(i) for i in operation.inputs]
        ranks = (len(first.shape), len(second.shape))
        if ranks[0] > 2 and ranks[1] == 2 and first.is_contiguous and out.isidentifier():
            product = operation.value_as(Product)
            if -1 not in (product.terms, product.sizes[-1]):
                texts[0] = _reshape(texts[0], (-1, product.terms))
                out = _reshape(out, (-1, product.sizes[-1]))
                ranks = (2, 2)
        if max(ranks) <= 2:
            self.lines.append(f"{texts[0]}.dot({texts[1]}, out={out})")
        else:
            self.lines.append(f"np.matmul({texts[0]}, {texts[1]}, out={out})")

    def _gather(self, operation: Operation, out: str) -> None:
        array, *indices = operation.inputs
        texts = [self._operand(i) for i in indices]
        if len(indices) == 1:
            axis = operation.value_as(Picks).indices.index(0)
            self.lines.append(f"np.take({self._operand(array)}, {texts[0]}, axis={axis}, out={out})")
            return
        lines, text = fitting(f"np.copyto({out}, )", self._ready(operation), dict(self.names))
        self.lines += lines
        self._copy(text, out)

    def _scatter(self, operation: Operation, out: str) -> None:
        start, *updates = operation.inputs
        self._store(start, out)
        for update in updates:
            value, *indices = update.inputs
            place = update.value_as(Place)
            texts = [self._operand(i) for i in indices]
            negative = value.kind == Kind.NEGATIVE and value not in self.names
            text = self._operand(value.inputs[0] if negative else value)
            if place.loops and not text.isidentifier():
                view = self.workspace.fresh("part")
                self.lines.append(f"{view} = {text}")
                text = view
            self.lines += update_lines(out, place, Text(text), texts, negative)

    def _where(self, operation: Operation, out: str) -> None:
        condition, value, other = operation.inputs
        smaller = other.shape not in ((), operation.shape)
        if self._reads(condition, out) or self._reads(value, out) or smaller:
            texts = [self._operand(condition), self._operand(value)]
            self._copy(self._operand(other), out)
        else:
            self._store(other, out)
            texts = [self._operand(value), self._operand(condition)][::-1]
        self.lines.append(f"np.copyto({out}, {texts[1]}, where={texts[0]})")

    def _reduce(self, operation: Operation, out: str) -> None:
        axis, kept = operation.value_as(Reduction).axes, operation.value_as(Reduction).kept
        (inner,) = operation.inputs
        text = self._operand(inner, out if inner.shape == operation.shape else None)
        if operation.kind == Kind.SUM and len(inner.shape) == 2 and inner.shape[0] == SAMPLES:
            rows, columns = inner.shape
            if axis == 0 and not kept:
                self.lines.append(f"{self.workspace.full_of('1', (rows,))}.dot({text}, out={out})")
                return
            if axis == 1 and kept and text != out:
                ones = self.workspace.full_of("1", (columns, Integer(1)))
                self.lines.append(f"{text}.dot({ones}, out={out})")
                return
        keep = ", keepdims=True" if kept else ""
        array, first = (text, "") if text.isidentifier() else ("np", f"{text}, ")
        self.lines.append(f"{array}.{operation.kind}({first}axis={axis}{keep}, out={out})")

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
        if operation.kind == Kind.DIVIDE and texts[0] == "1":
            self.lines.append(f"np.reciprocal({texts[1]}, out={out})")
            return
        if operation.kind in _SLOW_WITH_NUMBERS and all(
            i.shape in ((), operation.shape) for i in operation.inputs
        ):
            texts = [self.workspace.full_of(t, operation.shape) if t in _NUMBERS else t for t in texts]
        texts = [self.workspace.number(text) for text in texts]
        self.lines.append(self._one_line(operation.kind, texts, out))

    def _order(self, inputs: Sequence[Operation], out: str) -> list[int]:
        """Return the positions of the inputs in the order in which they are computed.

        Of those that read ``out`` all but the first come before anything is written to it, then that
        one; then matrix products, which need a buffer to write to.
        """
        readers = [p for p, value in enumerate(inputs) if self._reads(value, out)]
        rest = [p for p in range(len(inputs)) if p not in readers]
        return [*readers[1:], *readers[:1], *sorted(rest, key=lambda p: inputs[p].kind != Kind.MATMUL)]

    def _reads(self, operation: Operation, name: str) -> bool:
        own = operation.kind == Kind.ARRAY and operation.name == name
        return own or any(self._reads(i, name) for i in operation.inputs)

    def _one_line(self, kind: Kind, texts: Sequence[str], out: str) -> str:
        if kind in _IN_PLACE and texts[0] == out:
            return f"{out} {_IN_PLACE[kind]} {texts[1]}"
        if kind in _COMMUTES and texts[1] == out:
            return f"{out} {_IN_PLACE[kind]} {texts[0]}"
        function = OWN_FUNCTIONS.get(kind, f"np.{kind}")
        return f"{function}({', '.join(texts)}, out={out})"


def _is_text(operation: Operation) -> bool:
    """Whether ``operation`` needs no buffer but for its inputs: a view, or integers."""
    return operation.is_view or operation.is_whole or operation.kind in (Kind.RESHAPE, Kind.PAD, Kind.ARANGE)


def _is_product(operation: Operation) -> bool:
    """Whether ``operation`` is a matrix product of several axes at once, taken apart again."""
    product = operation.inputs[0] if operation.kind == Kind.RESHAPE else operation
    return product is not operation and product.kind == Kind.MATMUL and isinstance(product.value, Product)


def _product_shape(operation: Operation) -> Sequence[int | str]:
    """Return the shape of a matrix product, as numbers."""
    return operation.value_as(Product).sizes


def _reshape(text: str, shape: Sequence[int | str]) -> str:
    return f"{text}.reshape({', '.join(map(str, shape))})"
