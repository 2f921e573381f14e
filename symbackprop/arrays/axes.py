"""Indices as axes: layouts that broadcast, and what is known about sizes and index expressions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from sympy import Expr, Indexed, Integer, Symbol, expand

from symbackprop.arrays.kinds import COMPARISONS, Kind
from symbackprop.arrays.operations import EVERYTHING, VARYING, Axis, Operation, Order, Reduction, Slices
from symbackprop.equations.affine import Affine, affine
from symbackprop.equations.system import ONE, ZERO, Ranges, is_size


class Axes(ABC):
    """The range of each index of one equation; their order is that of the axes.

    ``concrete`` says that numbers of this network's own were used, ``guarded`` that what is lowered counts
    only where a condition holds.
    """

    def __init__(self, ranges: Ranges, scalars: Mapping[Symbol, str]) -> None:
        self.ranges: Ranges = dict(ranges)
        self.scalars = scalars
        self.concrete = False
        self.guarded = False

    # ------------------------------------------------------------ sizes and index expressions

    def number(self, n: Expr) -> Expr:
        """Return a size or an index expression with the number of each size that has one.

        What is made with a size holds for this network alone, which `concrete` then says.
        """
        sizes = [s for s in n.free_symbols if s not in self.ranges]
        self.concrete |= bool(sizes)
        known = {s: Integer(text) for s in sizes if (text := self.scalars.get(s, "")).isdigit()}
        return expand(n.xreplace(known)) if known else expand(n)

    def named(self, n: Expr) -> Expr:
        """Return a size in terms of the sizes that have names in the code."""
        return n.xreplace({s: Symbol(self.scalars.get(s, s.name)) for s in n.free_symbols})

    def extent(self, i: Symbol) -> Expr:
        """Return the number of values of an index."""
        return self.number(self.ranges[i])

    def runs_over(self, i: Symbol, n: Expr) -> bool:
        """Whether an index takes every place of an axis of that size."""
        return bool(self.ranges[i] == n or self.extent(i) == self.number(n))

    def affine(self, expression: Expr) -> Affine | None:
        """Return an index expression as an affine one, its slopes as plain numbers.

        Of several letters those that are always 0 are left out: a window of one place is none.  None where it
        reads integers, is not affine, or moves by a size that has no number.
        """
        found = None if expression.has(Indexed) else affine(self.number(expression), self.ranges)
        if found is None or not all(isinstance(slope, Integer) for slope in found.slopes.values()):
            return None
        if not all(map(is_size, found.offset.free_symbols)) or not found.offset.is_integer:
            return None
        several = len(found.slopes) > 1
        kept = [i for i in found.slopes if not (several and self.extent(i) == 1)] or list(found.slopes)[:1]
        return Affine({i: int(found.slopes[i]) for i in kept}, found.offset)

    def bounds(self, affine: Affine) -> tuple[Expr, Expr]:
        """Return the least and the greatest value of an index expression."""
        return affine.bounds({i: self.extent(i) for i in affine.slopes})

    def nominal(self, i: Symbol) -> int:
        """Return the size of an index for comparison; one that is known at run time alone counts as large."""
        n = self.extent(i)
        return int(n) if isinstance(n, Integer) else 10**9

    # ------------------------------------------------------------ layout

    def layout(self, operation: Operation, axes: Sequence[Axis]) -> Operation:
        """Return ``operation`` with its axes in the order of ``axes``, new ones of length 1."""
        return laid_out(operation, axes)

    def together(self, operations: Sequence[Operation]) -> tuple[tuple[Operation, ...], tuple[Axis, ...]]:
        """Return ``operations`` laid out so that they broadcast, and the axes of the result."""
        axes = self.order({axis for operation in operations for axis in operation.axes})
        return tuple(self.layout(operation, axes) for operation in operations), axes

    def order(self, present: set[Axis]) -> tuple[Axis, ...]:
        """Return the order of the axes of a result."""
        return tuple(axis for axis in self.ranges if axis in present)

    def bind(self, ranges: Ranges, reads: Sequence[Indexed]) -> None:
        """Enter summed indices: where all that is read has them among the others, or else after these."""
        for i, n in ranges.items():
            order = list(self.ranges)
            before, after = [-1], [len(order)]
            for indices in (read.indices for read in reads if i in read.indices):
                at = indices.index(i)
                before += [order.index(e) for e in indices[:at] if e in self.ranges]
                after += [order.index(e) for e in indices[at + 1 :] if e in self.ranges]
            place = min(after) if max(before) < min(after) else len(order)
            if i not in self.ranges:
                order.insert(place, i)
            self.ranges = {j: self.ranges.get(j, n) for j in order}

    def elementwise(self, kind: Kind, *operations: Operation) -> Operation:
        """Return the elementwise operation of that kind."""
        inputs, axes = self.together(operations)
        return oriented(Operation(kind, inputs, None, axes, self.shape(axes)))

    def shape(self, axes: Sequence[Axis]) -> tuple[Expr, ...]:
        """Return the sizes of axes."""
        return tuple(ONE if axis is None else self.ranges[axis] for axis in axes)

    def reduce(self, kind: Kind, operand: Operation, summed: Sequence[Symbol]) -> Operation:
        """Return the sum or the maximum of ``operand`` over the axes ``summed``."""
        if not summed:
            return operand
        positions = tuple(sorted(operand.axes.index(i) for i in summed))
        kept = [p for p in range(len(operand.axes)) if p not in positions]
        axes, shape = tuple(operand.axes[p] for p in kept), tuple(operand.shape[p] for p in kept)
        reduced = None if not kept else positions[0] if len(positions) == 1 else positions
        return Operation(kind, (operand,), Reduction(reduced), axes, shape)

    def dimensions(self, sizes: Sequence[Expr]) -> tuple[Operation, ...]:
        """Return the sizes of an array that is made anew, as operations."""
        return tuple(self.dimension(n) for n in sizes)

    @abstractmethod
    def dimension(self, n: Expr) -> Operation:
        """Return a size as an operation."""


def laid_out(operation: Operation, axes: Sequence[Axis]) -> Operation:
    """Return ``operation`` with its axes in the order of ``axes``, new ones of length 1."""
    order = tuple(axis for axis in axes if axis in operation.axes)
    if operation.axes == tuple(axes) or not operation.axes:
        return operation
    operation = _squeezed(operation)
    if order != tuple(a for a in operation.axes if a is not None):
        operation = transposed(operation, order)
    first = next(p for p, axis in enumerate(axes) if axis in operation.axes)
    return _with_new_axes(operation, tuple(a if a in operation.axes else None for a in axes[first:]))


def transposed(operation: Operation, axes: Sequence[Axis]) -> Operation:
    """Return ``operation`` with its axes in another order; a mask is made in that order."""
    if operation.axes == tuple(axes):
        return operation
    if operation.is_elementwise and _is_of_indices(operation) and None not in axes:
        inputs = tuple(laid_out(i, axes) for i in operation.inputs)
        shape = tuple(operation.shape[operation.axes.index(a)] for a in axes)
        return oriented(Operation(operation.kind, inputs, operation.value, tuple(axes), shape))
    positions = tuple(operation.axes.index(a) for a in axes)
    shape = tuple(operation.shape[p] for p in positions)
    return Operation(Kind.LAYOUT, (operation,), Order(positions), tuple(axes), shape)


_REVERSED = {
    Kind.GREATER: Kind.LESS,
    Kind.GREATER_EQUAL: Kind.LESS_EQUAL,
    Kind.LESS: Kind.GREATER,
    Kind.LESS_EQUAL: Kind.GREATER_EQUAL,
    Kind.EQUAL: Kind.EQUAL,
    Kind.NOT_EQUAL: Kind.NOT_EQUAL,
}
"""What a comparison is from right to left."""


def oriented(operation: Operation) -> Operation:
    """Return a comparison of indices with that of the first axis first, so that equal masks are one."""
    if operation.kind not in COMPARISONS or not _is_of_indices(operation):
        return operation
    left, right = operation.inputs
    if len(left.axes) >= len(right.axes):
        return operation
    return Operation(_REVERSED[operation.kind], (right, left), None, operation.axes, operation.shape)


def _is_of_indices(operation: Operation) -> bool:
    return not any(part.kind in VARYING for part in operation.parts())


def _with_new_axes(operation: Operation, axes: tuple[Axis, ...]) -> Operation:
    """Insert axes of length 1; where possible in the inputs, so that code says keepdims."""
    if operation.axes == axes or not operation.axes:
        return operation
    if operation.kind == Kind.SUBSCRIPT and operation.value == _without(axes):
        (longer,) = operation.inputs
        if longer.axes == axes:
            return longer
    operation = _squeezed(operation)
    shape = iter(operation.shape)
    full = tuple(next(shape) if axis is not None else ONE for axis in axes)
    if operation.kind in (Kind.SUM, Kind.MAX):
        axis, kept = operation.value_as(Reduction).axes, operation.value_as(Reduction).kept
        if not kept and isinstance(axis, int) and axes[axis] is None and len(axes) == len(operation.axes) + 1:
            return Operation(operation.kind, operation.inputs, Reduction(axis, kept=True), axes, full)
    if operation.is_elementwise:
        inputs = tuple(_with_new_axes(i, _axes_inside(i, axes)) for i in operation.inputs)
        return Operation(operation.kind, inputs, operation.value, axes, full)
    positions = tuple(None if axis is None else operation.axes.index(axis) for axis in axes)
    return Operation(Kind.LAYOUT, (operation,), Order(positions), axes, full)


def read_from(longer: Operation, operation: Operation) -> Operation:
    """Return ``operation`` as a part of the same with axes of length 1, so that it is computed once."""
    if longer.is_view or operation.is_leaf or not operation.axes or longer.axes == operation.axes:
        return operation
    return Operation(Kind.SUBSCRIPT, (longer,), _without(longer.axes), operation.axes, operation.shape)


def _without(axes: tuple[Axis, ...]) -> Slices:
    """Return what leaves out axes of length 1."""
    return Slices(tuple(0 if axis is None else EVERYTHING for axis in axes))


def _squeezed(operation: Operation) -> Operation:
    """Return ``operation`` without axes of length 1."""
    if None not in operation.axes:
        return operation
    if operation.kind == Kind.LAYOUT:
        return _squeezed(operation.inputs[0])
    axes = tuple(a for a in operation.axes if a is not None)
    shape = tuple(n for n, a in zip(operation.shape, operation.axes, strict=True) if a is not None)
    if operation.is_elementwise:
        # Axes of length 1 that an input has beside those of another one stay.
        inputs = tuple(laid_out(i, axes) for i in operation.inputs)
        return Operation(operation.kind, inputs, operation.value, axes, shape)
    reduced = Reduction(operation.value_as(Reduction).axes)  # it is one that keeps its axis
    return Operation(operation.kind, operation.inputs, reduced, axes, shape)


def _axes_inside(operation: Operation, axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """Return the axes of one input of an elementwise operation that is to have ``axes``."""
    if not operation.axes:
        return ()
    return tuple(axis if axis in operation.axes else None for axis in axes)


def surely(condition: Expr) -> bool:
    """Whether ``condition >= 0`` for every value of the sizes that it holds."""
    return bool(condition.is_nonnegative)


def excess(value: Expr) -> Expr:
    """Return the positive part of a number; 0 for what is never positive."""
    return ZERO if surely(-value) else value


def axis_order(body: Expr, ranges: Ranges) -> Ranges:
    """Return summed indices in the order of the axes of what is read, so that nothing is transposed."""
    known = list(ranges)

    def rank(read: Indexed) -> tuple[object, ...]:
        bound = [known.index(i) for i in read.indices if i in ranges]
        return (-len(set(bound)), str(read), bound)

    reads = sorted(body.atoms(Indexed), key=rank)
    first = list(reads[0].indices) if reads else []
    order = sorted(ranges, key=lambda i: first.index(i) if i in first else len(first))
    return {i: ranges[i] for i in order}
