"""In which order the axes of a step's arrays lie in memory.

The places of a recurrence come first in its arrays, so that what stands at one place lies together.  What is
computed of these component by component lies like them, and products that add up over samples and places take
these in the order in which they lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Operation, Order, Reduction, Statement
from symbackprop.code.recurrence import Recurrence

_OF_ROWS = (Kind.MATMUL, Kind.EINSUM, Kind.RESHAPE, Kind.SCATTER)
_NO_NAMES: Mapping[Operation, str] = {}


def places_of(statements: Iterable[Statement | Recurrence]) -> dict[str, int]:
    """Return the axis of the places of each array in recurrences, and of what is made for them elementwise.

    An array that a product writes to stays as it is: the product takes the rows of all samples together.
    """
    made = {s.name: s.operation for s in statements if isinstance(s, Statement)}
    found: dict[str, int] = {}
    for recurrence in (s for s in statements if isinstance(s, Recurrence)):
        for name, axis in recurrence.axes.items():
            own = made.get(name)
            plain = own is None or not any(p.kind in _OF_ROWS for p in (own, *own.parts()))
            if name in recurrence.names or (own is not None and own.is_elementwise and plain):
                found[name] = axis
    return found


def first_axis(
    operation: Operation, axes: Mapping[str, int], names: Mapping[Operation, str] = _NO_NAMES
) -> int:
    """Return the axis of an operation's result that comes first in memory, where it is made anew.

    Args:
        operation: what is computed, or an array.
        axes: those axes of arrays of which it is not the first one.
        names: the operations that have an array.
    """
    return _axis_made(operation, axes, names) or 0


def _first_axis(operation: Operation, axes: Mapping[str, int], names: Mapping[Operation, str]) -> int | None:
    """Return that axis, None where the result is written row by row."""
    if operation in names:
        return axes.get(names[operation], 0)
    return _axis_made(operation, axes, names)


def _axis_made(operation: Operation, axes: Mapping[str, int], names: Mapping[Operation, str]) -> int | None:
    if operation.kind == Kind.ARRAY:
        return axes.get(str(operation.value), 0)
    if operation.kind in (Kind.SUM, Kind.MAX):
        reduction = operation.value_as(Reduction)
        own = _first_axis(operation.inputs[0], axes, names)
        last = len(operation.shape) - 1
        return own if reduction.kept and reduction.axes == last and own != last else None
    if operation.is_constant:
        return 0
    if not operation.is_elementwise:
        return None
    found = [_first_axis(i, axes, names) for i in operation.inputs if len(i.shape) == len(operation.shape)]
    known = [axis for axis in found if axis is not None]
    return None if len(known) < len(found) else max(known, default=0)


def in_memory(axis: int, rank: int) -> Order:
    """Return the axes in the order in which they lie."""
    return Order((axis, *(n for n in range(rank) if n != axis)))


def lying(operation: Operation, axis: int) -> Operation:
    """Return an operation with its axes in the order in which they lie, where that one comes first."""
    if not axis:
        return operation
    order = in_memory(axis, len(operation.shape))
    axes, shape = (
        tuple(each[p] for p in order.positions if p is not None) for each in (operation.axes, operation.shape)
    )
    return Operation(Kind.LAYOUT, (operation,), order, axes, shape)


def added_up_as_they_lie(
    statements: Iterable[Statement | Recurrence], axes: Mapping[str, int]
) -> list[Statement | Recurrence]:
    """Return statements with the products over two axes taken together in the order in which they lie.

    ``axes`` are those that come first in memory, of arrays of which that is not the first one.
    """
    known, found = dict(axes), list[Statement | Recurrence]()
    for statement in statements:
        if isinstance(statement, Recurrence):
            found.append(statement)
            continue
        if (axis := first_axis(statement.operation, known)) and statement.operation.inputs:
            known.setdefault(statement.name, axis)
        found.append(replace(statement, operation=_as_they_lie(statement.operation, known)))
    return found


def _as_they_lie(operation: Operation, axes: Mapping[str, int]) -> Operation:
    inputs = tuple([_as_they_lie(i, axes) for i in operation.inputs])
    if any(new is not old for new, old in zip(inputs, operation.inputs, strict=True)):
        operation = replace(operation, inputs=inputs)
    if operation.kind != Kind.MATMUL or len(operation.shape) != 2:
        return operation
    left, right = operation.inputs
    if left.kind != Kind.LAYOUT or left.value != Order((1, 0)):
        return operation
    rows = (left.inputs[0], right)
    if not all(r.kind == Kind.RESHAPE and r.inputs[0].axes[:2] == rows[0].inputs[0].axes[:2] for r in rows):
        return operation
    if not all(_takes_two_together(r) for r in rows):
        return operation
    if 1 not in (first_axis(r.inputs[0], axes) for r in rows):
        return operation
    first, second = (replace(r, inputs=(lying(r.inputs[0], 1),)) for r in rows)
    return replace(operation, inputs=(replace(left, inputs=(first,)), second))


def _takes_two_together(rows: Operation) -> bool:
    """Whether it is a matrix whose rows are all places of the first two axes, but for one."""
    inner = rows.inputs[0]
    return len(rows.shape) == 2 and len(inner.shape) == 3 and rows.shape[1] == inner.shape[2]
