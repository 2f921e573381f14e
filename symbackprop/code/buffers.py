"""From array operations to instructions on preallocated buffers: each writes where it is told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sympy import Expr, Integer, Mul

from symbackprop.arrays.kinds import MASKS, Kind
from symbackprop.arrays.operations import (
    EVERYTHING,
    Name,
    Number,
    Operation,
    Order,
    Padding,
    Place,
    Product,
    Reduction,
    Sizes,
    Slices,
    Turn,
)
from symbackprop.code.fitting import Names, assignment, fitting, read_inside
from symbackprop.code.layouts import Positions, is_product, lying, order_of
from symbackprop.code.lines import COLUMNS, width
from symbackprop.code.passes import with_fewer_passes
from symbackprop.code.statements import (
    IN_PLACE,
    NAMED,
    ONE,
    WEIGHTS,
    Assign,
    Call,
    Condition,
    Copy,
    InPlace,
    Instruction,
    Scatter,
    When,
    array,
    component,
    name_of,
)
from symbackprop.equations.naming import SAMPLES

_COMMUTES = (Kind.ADD, Kind.MULTIPLY)
_NUMBERS = {0: "zero", 1: "one"}
_SHORT = 48  # of longer rows NumPy finds the largest as fast
_SLOW_WITH_NUMBERS = (Kind.MAXIMUM, Kind.MINIMUM)  # NumPy takes two arrays in a third of the time
_MANY_NUMBERS = 1024  # of a sample: an array of zeros would take as much memory as what it is compared with


def is_mask(operation: Operation) -> bool:
    """Whether ``operation`` gives truth values."""
    return operation.kind in MASKS


@dataclass
class Workspace:
    """The buffers of a program: name -> shape, masks apart; temporaries are used again.

    ``padded`` are buffers whose borders stay zero, ``counts`` holds the numbers of the samples.
    ``constants`` are arrays that are made once: they hold no data.  ``numbers``, None to do without them,
    are arrays of one number: NumPy reads them in a fifth of the time that a number of Python takes.
    ``filled`` are arrays of zeros or of ones, which no statement writes to.  ``by_bits`` says that choices
    are made by a function of the module.
    ``stem`` begins the names of temporaries, which are none of ``taken``; ``size`` gives sizes their
    numbers.  ``orders`` are those in which the axes of buffers lie in memory, where that is another one.
    """

    arrays: dict[str, tuple[Expr, ...]] = field(default_factory=dict)
    masks: dict[str, tuple[Expr, ...]] = field(default_factory=dict)
    padded: dict[str, tuple[Expr, ...]] = field(default_factory=dict)
    counts: dict[str, tuple[Expr, ...]] = field(default_factory=dict)
    constants: dict[Operation, str] = field(default_factory=dict)
    numbers: dict[int, str] | None = None
    filled: dict[str, tuple[str, tuple[Expr, ...]]] = field(default_factory=dict)
    by_bits: bool = False
    idle: list[str] = field(default_factory=list)
    count: int = 0
    stem: str = "work"
    orders: dict[str, Positions] = field(default_factory=dict)
    size: Callable[[Expr], Expr] = lambda n: n
    taken: set[str] = field(default_factory=set)

    def temporary(self, like: Operation, order: Positions = ()) -> Operation:
        """Return an idle temporary that can hold ``like``, or a new one, whose axes lie in that order."""
        return array(self._temporary(tuple(map(self.size, like.shape)), is_mask(like), order), like)

    def named(self, name: str, like: Operation) -> Operation:
        """Return a buffer of that name that can hold ``like``; a temporary where it has another shape."""
        shape = tuple(map(self.size, like.shape))
        known = self.arrays.setdefault(name, shape)
        return array(name, like) if known == shape else self.temporary(like)

    def _temporary(self, shape: tuple[Expr, ...], mask: bool, order: Positions) -> str:
        table = self.masks if mask else self.arrays
        kind = shape, order
        fitting = [n for n in self.idle if (table.get(n), self.orders.get(n, ())) == kind]
        if fitting:  # the oldest, so that equal layers have the same
            oldest = min(fitting, key=lambda name: (len(name), name))
            self.idle.remove(oldest)
            return oldest
        name = self.fresh("mask" if mask else self.stem)
        self.enter(name, shape, mask, order)
        return name

    def enter(self, name: str, shape: tuple[Expr, ...], mask: bool, order: Positions) -> None:
        """Enter a buffer whose axes lie in that order."""
        (self.masks if mask else self.arrays)[name] = shape
        if order:
            self.orders.setdefault(name, order)

    def padding(self, like: Operation) -> Operation:
        """Return a new buffer of zeros; what is inside of the padding alone may be written."""
        name = self.fresh("padded")
        self.padded[name] = like.shape
        return array(name, like)

    def constant(self, operation: Operation) -> Operation:
        """Return an array that is the same in every step."""
        if operation not in self.constants:
            self.constants[operation] = self.fresh("mask" if is_mask(operation) else "constant")
        return array(self.constants[operation], operation)

    def number(self, operand: Operation) -> Operation:
        """Return the array that holds 0 or 1 in place of that number, and anything else as it is."""
        value = _zero_or_one(operand)
        if self.numbers is None or value is None:
            return operand
        if value not in self.numbers:
            stem = _NUMBERS[value]
            self.numbers[value] = self.fresh(stem) if stem in self.taken else stem
        return Operation(Kind.ARRAY, (), self.numbers[value])

    def full_of(self, value: int, shape: tuple[Expr, ...]) -> Operation:
        """Return an array of that shape in which every number is 0 or is 1."""
        stem, sizes = f"{_NUMBERS[value]}s", tuple(map(self.size, shape))
        found = [name for name, kind in self.filled.items() if kind == (stem, sizes)]
        plain = value == 0 or sizes == (SAMPLES,)  # `ones` alone are those of the samples
        if not found:
            found = [stem if plain and stem not in self.taken | self.filled.keys() else self.fresh(stem)]
            self.filled[found[0]] = stem, sizes
        return Operation(Kind.ARRAY, (), found[0], (None,) * len(shape), shape)

    def in_order(self, operand: Operation) -> bool:
        """Whether the numbers of a buffer, or of a slice of it, lie together in the order of its axes."""
        if operand.kind == Kind.RESHAPE:
            return self.in_order(operand.inputs[0])
        if operand.kind == Kind.SUBSCRIPT and operand.inputs[0].kind == Kind.ARRAY:
            entries = operand.value_as(Slices).entries
            first, *others = self.order_of(operand.inputs[0]) or range(len(entries))
            return isinstance(entries[first], Turn) and all(
                entries[n] == EVERYTHING and n == m for n, m in zip(others, sorted(others), strict=True)
            )
        if operand.kind == Kind.LAYOUT and operand.inputs[0].kind == Kind.ARRAY:
            return operand.value == Order(self.order_of(operand.inputs[0]))
        return operand.kind == Kind.ARRAY and not self.order_of(operand)

    def order_of(self, operand: Operation) -> Positions:
        """Return the order in which the axes of a buffer lie; none where that is their own."""
        return self.orders.get(str(operand.value), ()) if operand.kind == Kind.ARRAY else ()

    def lying(self, operand: Operation) -> Operation:
        """Return a buffer with its axes in the order in which they lie, and anything else as it is."""
        return lying(operand, self.order_of(operand))

    def number_of(self, sizes: Sequence[Expr]) -> Integer | None:
        """Return the product of sizes, where all of them have numbers."""
        found = Mul(*map(self.size, sizes))
        return found if isinstance(found, Integer) else None

    def numbers_of_samples(self, like: Operation) -> Operation:
        """Return the array 0, 1, 2 … with a number for each sample."""
        if not self.counts:
            self.counts["rows" if "rows" not in self.taken else self.fresh("rows")] = (SAMPLES,)
        return array(next(iter(self.counts)), like)

    def fresh(self, stem: str) -> str:
        """Return a new name."""
        while True:
            self.count += 1
            name = f"{stem}{self.count}"
            if name not in self.taken:
                return name


class BufferWriter:
    """Writes the instructions of one program; ``names`` are the operations that have a buffer."""

    def __init__(self, names: Mapping[Operation, str], workspace: Workspace) -> None:
        self.names = names
        self.workspace = workspace
        self.found: list[Instruction] = []
        self.busy: list[str] = []
        self.viewed: list[str] = []
        """The temporaries that the last part is a view of."""
        self.weighted = False

    def assign(self, name: str, operation: Operation) -> list[Instruction]:
        """Return the instructions after which the buffer ``name`` holds ``operation``."""
        self.found = []
        self._store(operation, array(name, operation))
        self._release()
        return self.found

    def make(self, name: str, operation: Operation) -> None:
        """Enter the buffer ``name`` for an operation."""
        order = order_of(operation, self.workspace.orders, self.names)
        self.workspace.enter(name, operation.shape, is_mask(operation), order)

    def slice(self, out: Operation, operation: Operation) -> list[Instruction]:
        """Return the instructions after which ``out``, a slice of a buffer, holds ``operation``.

        What is in it more than once is computed once.
        """
        outside, self.found = self.names, []
        self.names = inside = {**outside}
        for part in _repeated(operation, outside):
            repeated = self._temporary(part)
            self._store(part, repeated)
            inside[part] = repeated.name
        self._store(operation, out)
        self.names = outside
        self._release()
        return self.found

    def part(self, name: str, operation: Operation) -> list[Instruction]:
        """Return the instructions after which ``name`` holds a part that several statements read.

        What is a view or holds integers needs no buffer of its own.
        """
        self.viewed = []
        if operation.is_constant:
            self.workspace.constants.setdefault(operation, name)
            return []
        if _is_computed(operation):
            self.make(name, operation)
            return self.assign(name, operation)
        self.found = []
        ready = self._ready(operation)
        viewed = _viewed(ready)
        self.viewed = [own for own in self.busy if own == viewed]  # stays in use
        self.busy = [own for own in self.busy if own != viewed]
        self._release()
        return [*self.found, *assignment(array(name, operation), ready, Names(self.names))]

    def scalar(
        self, name: str, operation: Operation, *, weighted: bool, columns: int = COLUMNS
    ) -> list[Instruction]:
        """Return the instructions after which the local variable ``name`` holds a number.

        With ``weighted`` a sum over the samples is one of errors, which the weights of samples multiply.
        """
        return self._number(array(name, operation), operation, weighted, columns)

    def component(self, name: str, operation: Operation) -> list[Instruction]:
        """Return the instructions after which the one component of an array is ``operation``."""
        return self._number(component(name), operation, False, COLUMNS)

    def entry(self, target: Operation, operation: Operation) -> list[Instruction]:
        """Return the instructions after which an entry of an array is ``operation``, a number."""
        return self._number(target, operation, False, COLUMNS)

    def _number(
        self, target: Operation, operation: Operation, weighted: bool, columns: int
    ) -> list[Instruction]:
        self.found = []
        self.weighted = weighted
        value = self._scalar(operation, top=True)
        self.found += assignment(target, value, Names(self.names), columns)
        self._release()
        return self.found

    def _release(self) -> None:
        self.workspace.idle += self.busy
        self.busy = []

    def _scalar(self, operation: Operation, top: bool = False) -> Operation:
        """Return ``operation`` with what needs arrays of its own computed into temporaries."""
        if operation.kind == Kind.SUM and not operation.shape and operation.inputs[0].shape:
            return self._total(operation)
        if not operation.inputs or (operation in self.names and not top):
            return operation
        inputs = tuple(self._operand(i) if i.shape else self._scalar(i) for i in operation.inputs)
        return Operation(operation.kind, inputs, operation.value, operation.axes, operation.shape)

    def _total(self, operation: Operation) -> Operation:
        """Return the sum over all components; a sum of products of two arrays is one vdot."""
        (whole,) = operation.inputs
        weighted = whole.shape[0] == SAMPLES and self.weighted
        factors = None if weighted and whole.kind == Kind.SQUARE else self._factors(whole)
        if factors:
            first, second = factors
            buffer = self._weighted(first) if weighted else self._operand(first)
            return self._vdot(buffer, self._operand(second))
        buffer = self._weighted(whole) if weighted else self._operand(whole)
        if whole.shape[0] == SAMPLES and all(self.workspace.size(n) == 1 for n in whole.shape[1:]):
            return Operation(Kind.VDOT, (buffer, self.workspace.full_of(1, (SAMPLES,))))
        return Operation(Kind.SUM, (buffer,), operation.value)

    def _vdot(self, one: Operation, two: Operation) -> Operation:
        """Return the sum of the products of two arrays, in the order in which both lie."""
        if self.workspace.order_of(one) == self.workspace.order_of(two):
            one, two = self.workspace.lying(one), self.workspace.lying(two)
        return Operation(Kind.VDOT, (one, two))

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

    def _weighted(self, operation: Operation) -> Operation:
        """Return a temporary with the errors of all samples, multiplied by their weights if any."""
        buffer = self._temporary(operation)
        self._store(operation, buffer)
        self.found.append(When(Condition.WEIGHTED, (InPlace(Kind.MULTIPLY, buffer, WEIGHTS),)))
        return buffer

    # ------------------------------------------------------------ arrays

    def _operand(self, operation: Operation, spare: Operation | None = None) -> Operation:
        """Return what reads ``operation``, computed into ``spare`` or a temporary if needed."""
        if operation in self.names:
            return array(self.names[operation], operation)
        if not operation.shape:
            return read_inside(self._scalar(operation), self.names)
        if operation.is_constant:
            return self.workspace.constant(operation)
        if spare is not None and is_product(operation):
            self._store(operation, spare)
            return spare
        if operation.kind == Kind.ARRAY or _needs_none(operation):
            return self._ready(operation)
        if spare is None or is_mask(operation):
            spare = self._temporary(operation)
        self._store(operation, spare)
        return spare

    def _temporary(self, operation: Operation) -> Operation:
        order = order_of(operation, self.workspace.orders, self.names)
        buffer = self.workspace.temporary(operation, order)
        self.busy.append(buffer.name)
        return buffer

    def _ready(self, operation: Operation) -> Operation:
        """Return what needs no buffer but for its inputs, with these computed."""
        if operation.kind == Kind.ARANGE and operation.is_whole and operation.shape == (SAMPLES,):
            return self.workspace.numbers_of_samples(operation)
        if operation.kind == Kind.PAD and not operation.is_whole:
            return self._padded(operation)
        if operation.kind == Kind.RESHAPE and not operation.is_whole:
            return self._reshaped(operation)
        inputs = tuple(self._input(i) for i in operation.inputs)
        whole = operation.whole
        return Operation(operation.kind, inputs, operation.value, operation.axes, operation.shape, whole)

    def _input(self, operation: Operation) -> Operation:
        """Return an input of what needs no buffer: integers as they are, anything else computed."""
        if not operation.shape:
            return operation
        if operation in self.names or operation.is_constant or not _needs_none(operation):
            return self._operand(operation)
        return self._ready(operation)

    def _padded(self, operation: Operation) -> Operation:
        """Return a buffer with zeros around the input."""
        (inner,) = operation.inputs
        buffer = self.workspace.padding(operation)
        widths = operation.value_as(Padding).widths
        cut = Slices(tuple((left or None, -right or None, None) for left, right in widths))
        self._store(inner, Operation(Kind.SUBSCRIPT, (buffer,), cut, inner.axes, inner.shape))
        return buffer

    def _reshaped(self, operation: Operation) -> Operation:
        """Return a reshaped view; of a temporary with the axes apart where something is computed."""
        (inner,) = operation.inputs
        if inner in self.names or (inner.is_leaf and inner.is_contiguous):
            source = self._operand(inner)
        elif is_product(operation):  # its axes are together: the temporary has them apart
            buffer = self._temporary(operation)
            self._matmul(inner, _taken_together(buffer, inner))
            return buffer
        elif inner.kind == Kind.LAYOUT and self._lies_so(inner):
            source = replace(inner, inputs=(self._operand(inner.inputs[0]),))
        else:
            source = self._temporary(inner)
            self._store(inner, source)
        return _reshape(source, operation.value_as(Sizes), operation.shape)

    def _lies_so(self, layout: Operation) -> bool:
        """Whether the numbers of an array lie in the order of the axes of a layout."""
        (inner,) = layout.inputs
        inner = array(self.names[inner], inner) if inner in self.names else inner
        order = order_of(inner, self.workspace.orders, self.names)
        return bool(order) and layout.value == Order(order)

    def _is_written_so(self, operation: Operation, out: Operation) -> bool:
        """Whether an operation is a product with its axes in another order, in which they lie in ``out``."""
        if operation.kind != Kind.LAYOUT or not is_product(operation.inputs[0]):
            return False
        order = self.workspace.order_of(out)
        positions = operation.value_as(Order).positions
        return bool(order) and [positions[p] for p in order] == [*range(len(order))]

    def _store(self, operation: Operation, out: Operation) -> None:
        """Compute an operation into ``out``; temporaries that it took on the way are idle again."""
        before = len(self.busy)
        self._store_of_kind(operation, out)
        self.workspace.idle += self.busy[before:]
        del self.busy[before:]

    def _store_of_kind(self, operation: Operation, out: Operation) -> None:
        kind = operation.kind
        if operation in self.names and (named := array(self.names[operation], operation)) != out:
            self._copy(named, out)
        elif is_product(operation) and self.workspace.in_order(out):
            (product,) = operation.inputs
            self._matmul(product, _taken_together(out, product))
        elif self._is_written_so(operation, out):
            (product,) = operation.inputs[0].inputs
            self._matmul(product, _taken_together(self.workspace.lying(out), product))
        elif operation.is_leaf or _needs_none(operation):
            self._copy(self._ready(operation) if operation.shape else self._operand(operation), out)
        elif kind in (Kind.FULL, Kind.BROADCAST) or (kind == Kind.CAST and not operation.is_constant):
            self._copy(self._operand(operation.inputs[0]), out)
        elif kind == Kind.MATMUL:
            self._matmul(operation, out)
        elif kind == Kind.EINSUM:
            self._call(operation, tuple(map(self._operand, operation.inputs)), out)
        elif kind == Kind.GATHER:
            self._gather(operation, out)
        elif kind == Kind.ZEROS:
            self._call(operation, operation.inputs, out)
        elif kind == Kind.SCATTER:
            self._scatter(operation, out)
        elif kind in (Kind.SUM, Kind.MAX):
            self._reduce(operation, out)
        elif kind == Kind.CUMSUM:
            self._call(operation, (self._operand(operation.inputs[0]),), out)
        elif operation.is_constant:
            self._copy(self.workspace.constant(operation), out)
        elif kind == Kind.WHERE:
            self._where(operation, out)
        else:
            self._elementwise(operation, out)

    def _copy(self, source: Operation, out: Operation) -> None:
        self.found.append(Copy(source, out))

    def _call(self, operation: Operation, inputs: tuple[Operation, ...], out: Operation) -> None:
        """Compute an operation of ``inputs``, which are at hand."""
        self.found.append(Call(replace(operation, inputs=inputs, axes=out.axes, shape=out.shape), out))

    def _matmul(self, operation: Operation, out: Operation) -> None:
        """Compute a matrix product; one of many rows of rows is one of all rows."""
        first, second = operation.inputs
        left, right = (self._operand(i) for i in operation.inputs)
        order = self.workspace.order_of(left)
        if order and len(second.shape) == 2 and order[-1] == len(order) - 1 and out.kind == Kind.ARRAY:
            product = operation.value_as(Product)
            sizes = tuple(product.sizes[p] for p in order)
            turned = replace(operation, value=replace(product, sizes=sizes))
            self._call(turned, (lying(left, order), right), lying(out, order))
            return
        ranks = (len(first.shape), len(second.shape))
        if ranks[0] > 2 and ranks[1] == 2 and first.is_contiguous and self.workspace.in_order(out):
            product = operation.value_as(Product)
            if -1 not in (product.terms, product.sizes[-1]):
                left, out = _rows(left, product.terms), _rows(out, product.sizes[-1])
                operation = replace(operation, value=None)
        self._call(operation, (left, right), out)

    def _gather(self, operation: Operation, out: Operation) -> None:
        array, *indices = operation.inputs
        places = [self._operand(i) for i in indices]
        if len(indices) == 1:
            self._call(operation, (self._operand(array), *places), out)
            return
        taken = width(Copy(Operation(Kind.ARRAY, (), ""), out))
        parts, source = fitting(taken, self._ready(operation), Names(self.names))
        self.found += parts
        self._copy(source, out)

    def _scatter(self, operation: Operation, out: Operation) -> None:
        start, *updates = operation.inputs
        self._store(start, out)
        for update in updates:
            value, *indices = update.inputs
            place = update.value_as(Place)
            places = tuple(map(self._operand, indices))
            negative = value.kind == Kind.NEGATIVE and value not in self.names
            added = self._operand(value.inputs[0] if negative else value)
            if place.loops and added.kind not in NAMED:
                view = array(self.workspace.fresh("part"), added)
                self.found.append(Assign(view, added))
                added = view
            self.found.append(Scatter(out, place, added, places, negative))

    def _where(self, operation: Operation, out: Operation) -> None:
        condition, value, other = operation.inputs
        smaller = other.shape not in ((), operation.shape)
        if self._reads(condition, out) or self._reads(value, out) or smaller:
            where, source = self._operand(condition), self._operand(value)
            self._copy(self._operand(other), out)
        else:
            self._store(other, out)
            source, where = self._operand(value), self._operand(condition)
        self.found.append(Copy(source, out, where, by_bits=self.workspace.by_bits))

    def _reduce(self, operation: Operation, out: Operation) -> None:
        axis, kept = operation.value_as(Reduction).axes, operation.value_as(Reduction).kept
        (inner,) = operation.inputs
        operand = self._operand(inner, out if inner.shape == operation.shape else None)
        if operation.kind == Kind.SUM and len(inner.shape) == 2 and inner.shape[0] == SAMPLES:
            rows, columns = inner.shape
            if axis == 0 and not kept:
                self._product((self.workspace.full_of(1, (rows,)), operand), out)
                return
            if axis == 1 and kept and operand != out:
                self._product((operand, self.workspace.full_of(1, (columns, Integer(1)))), out)
                return
        rows, to, along = operand, out, positions(operation)
        order = self.workspace.order_of(operand)
        if order and self._is_along(order, along, out):
            rows, to = self.workspace.lying(operand), self.workspace.lying(out)
        lies = (operand.kind == Kind.ARRAY and inner.is_contiguous) or self.workspace.in_order(rows)
        if lies and operand != out and self.workspace.in_order(to) and (not order or rows != operand):
            if operation.kind == Kind.SUM and self._sum_of_rows(rows, along, to):
                return
            if operation.kind == Kind.MAX and self._largest_of_rows(rows, along, to):
                return
        self._call(operation, (operand,), out)

    def _is_along(self, order: Positions, along: Sequence[int], out: Operation) -> bool:
        """Whether a reduction runs along the same axes of the arrays as they lie."""
        rank, count = len(order), len(along)
        if order == self.workspace.order_of(out):  # whose axes stay
            return [*along] == [rank - 1] == [order[-1]]
        first = [*along] == [*range(count)] == sorted(order[:count])
        return first and [*order[count:]] == [*range(count, rank)]

    def _sum_of_rows(self, operand: Operation, summed: Sequence[int], out: Operation) -> bool:
        """Sum over the last axes, or over the first ones, as products with ones; say whether that goes.

        NumPy adds up short rows one by one, in ten times as long.
        """
        rank, shape = len(operand.shape), operand.shape
        first = [p for n, p in enumerate(summed) if n == p]
        last = [p for p in summed if p not in first and rank - p <= len(summed) - summed.index(p)]
        if rank < 2 or len(first) == rank or sorted((*first, *last)) != list(summed):
            return False
        if not last and len(first) < 2:
            return False  # whole rows are added: there is nothing to gain
        kept = shape[len(first) : rank - len(last)]
        columns, inside = self.workspace.number_of(kept), self.workspace.number_of(shape[rank - len(last) :])
        if inside is None or (first and columns is None):
            return False
        if last:
            outer = shape[: rank - len(last)]
            like = replace(operand, axes=(None,) * len(outer), shape=outer)
            total = self._temporary(like) if first else out
            ones = self.workspace.full_of(1, (inside,))
            self._product((_split(operand, rank - len(last), inside), ones), _line(total))
            operand = total
        if first and columns is not None:
            ones = _line(self.workspace.full_of(1, shape[: len(first)]))
            self._product((ones, _split(operand, len(first), columns)), _line(out))
        return True

    def _largest_of_rows(self, operand: Operation, along: Sequence[int], out: Operation) -> bool:
        """Take the largest of short rows, once they are columns; say whether they are short.

        NumPy compares the numbers of a row one by one, and those of many columns at a time.
        """
        columns = self.workspace.number_of(operand.shape[-1:])
        many = len(operand.shape) > 2 and tuple(along) == (len(operand.shape) - 1,)
        if not many or columns is None or not 1 < columns <= _SHORT:
            return False
        rows = _split(operand, len(operand.shape) - 1, columns)
        turned = (columns, rows.shape[0])
        stood = _reshape(self._temporary(operand), Sizes((int(columns), -1)), turned)
        self._copy(Operation(Kind.LAYOUT, (rows,), Order((1, 0)), (None, None), turned), stood)
        largest = Operation(Kind.MAX, (stood,), Reduction(0), (None,), rows.shape[:1])
        self._call(largest, (stood,), _line(out))
        return True

    def _product(self, operands: tuple[Operation, Operation], out: Operation) -> None:
        """Compute the product of an array and of ones, which adds up."""
        self.found.append(Call(Operation(Kind.MATMUL, operands, None, out.axes, out.shape), out))

    def _elementwise(self, operation: Operation, out: Operation) -> None:
        """Compute one elementwise operation; the first computed input of its shape uses its buffer."""
        operation = with_fewer_passes(operation, self.names)
        operands: dict[int, Operation] = {}
        spare: Operation | None = out
        for position in self._order(operation.inputs, out):
            value = operation.inputs[position]
            fits = value.shape == operation.shape and not is_mask(operation)
            later = any(
                p not in operands and p != position and self._reads(i, out)
                for p, i in enumerate(operation.inputs)
            )
            operands[position] = self._operand(value, spare if fits and not later else None)
            if operands[position] == out:
                spare = None
        inputs = [operands[position] for position in range(len(operation.inputs))]
        if operation.kind == Kind.DIVIDE and _zero_or_one(inputs[0]) == 1:
            self._call(operation, (ONE, inputs[1]), out)
            return
        if operation.kind in _SLOW_WITH_NUMBERS and all(
            i.shape in ((), operation.shape) for i in operation.inputs
        ):
            inputs = [self._filled(i, operation.shape) for i in inputs]
        self._one(operation, [self.workspace.number(i) for i in inputs], out)

    def _filled(self, operand: Operation, shape: tuple[Expr, ...]) -> Operation:
        value = _zero_or_one(operand)
        if value is None:
            return operand
        count = self.workspace.number_of(shape[1:])
        if count is not None and count >= _MANY_NUMBERS:
            return operand
        return self.workspace.full_of(value, shape)

    def _order(self, inputs: Sequence[Operation], out: Operation) -> list[int]:
        """Return the positions of the inputs in the order in which they are computed.

        Of those that read ``out`` all but the first come before anything is written to it, then that
        one; then matrix products, which need a buffer to write to.
        """
        readers = [p for p, value in enumerate(inputs) if self._reads(value, out)]
        rest = [p for p in range(len(inputs)) if p not in readers]
        return [*readers[1:], *readers[:1], *sorted(rest, key=lambda p: inputs[p].kind != Kind.MATMUL)]

    def _reads(self, operation: Operation, out: Operation) -> bool:
        return operation == out or any(self._reads(i, out) for i in operation.inputs)

    def _one(self, operation: Operation, inputs: Sequence[Operation], out: Operation) -> None:
        """Compute one operation of operands that are at hand, in place where one of them is the result."""
        if operation.kind in IN_PLACE and inputs[0] == out:
            self.found.append(InPlace(operation.kind, out, inputs[1]))
        elif operation.kind in _COMMUTES and inputs[1] == out:
            self.found.append(InPlace(operation.kind, out, inputs[0]))
        else:
            self._call(operation, tuple(inputs), out)


def _zero_or_one(operand: Operation) -> int | None:
    """Return the number that an operand is, where it is 0 or 1."""
    if operand.kind == Kind.NUMBER:
        value = operand.value_as(Number).value
        return int(value) if value in (0, 1) and value.is_Integer else None
    return int(operand.name) if operand.kind == Kind.NAME and operand.name in ("0", "1") else None


def _viewed(operation: Operation) -> Name | None:
    """Return the name of the array whose numbers an operand holds, None where it has its own."""
    while operation.is_view or operation.kind == Kind.RESHAPE:
        operation = operation.inputs[0]
    return name_of(operation) if operation.kind == Kind.ARRAY else None


def _repeated(operation: Operation, known: Mapping[Operation, str]) -> list[Operation]:
    """Return the arrays that are computed more than once in an operation, each behind what is in it."""
    uses: dict[Operation, int] = {}

    def visit(part: Operation) -> None:
        if part in known or part.is_constant:
            return
        uses[part] = uses.get(part, 0) + 1
        if uses[part] == 1:
            for inner in part.inputs[0].inputs if is_product(part) else part.inputs:
                visit(inner)
            uses[part] = uses.pop(part)  # behind what it is made of

    visit(operation)
    return [part for part, count in uses.items() if count > 1 and part.shape and _is_computed(part)]


def _is_computed(operation: Operation) -> bool:
    """Whether an array is computed, and is no view of another one, nor integers."""
    return not (operation.is_leaf or _needs_none(operation)) or is_product(operation)


def _needs_none(operation: Operation) -> bool:
    """Whether ``operation`` needs no buffer but for its inputs: a view, or integers."""
    return operation.is_view or operation.is_whole or operation.kind in (Kind.RESHAPE, Kind.PAD, Kind.ARANGE)


def _taken_together(out: Operation, product: Operation) -> Operation:
    """Return an array as one of the shape of a matrix product."""
    return _reshape(out, Sizes(product.value_as(Product).sizes), product.shape)


def _rows(operand: Operation, columns: int | Expr) -> Operation:
    """Return the rows of all rows of an array."""
    rows = Mul(*operand.shape[:-1])
    return _reshape(operand, Sizes((-1, columns)), (rows, operand.shape[-1]))


def _split(operand: Operation, position: int, columns: Integer) -> Operation:
    """Return an array as a matrix, its axes before a position and those from there on together."""
    rows, others = Mul(*operand.shape[:position]), Mul(*operand.shape[position:])
    return _reshape(operand, Sizes((-1, int(columns))), (rows, others))


def _line(operand: Operation) -> Operation:
    """Return all numbers of an array along one axis."""
    return _reshape(operand, Sizes((-1,)), (Mul(*operand.shape),)) if len(operand.shape) != 1 else operand


def positions(reduction: Operation) -> list[int]:
    """Return the positions of the axes that a sum or a maximum runs over."""
    axes = reduction.value_as(Reduction).axes
    if axes is None:
        return list(range(len(reduction.inputs[0].shape)))
    return [axes] if isinstance(axes, int) else sorted(axes)


def _reshape(operand: Operation, sizes: Sizes, shape: tuple[Expr, ...]) -> Operation:
    return Operation(Kind.RESHAPE, (operand,), sizes, (None,) * len(shape), shape)
