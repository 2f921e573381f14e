"""In which order the axes of a step's arrays lie in memory.

The places of a recurrence come first in its arrays, so that what stands at one place lies together.  What is
computed of these component by component lies like them, and products that add up over samples and places take
these in the order in which they lie.  Heads stay beside one another where a product writes them, or where one
takes them together again: a product for each head reads them from there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Operation, Order, Product, Reduction, Statement
from symbackprop.code.recurrence import Recurrence

Positions: TypeAlias = tuple[int, ...]
"""The axes of an array from the outermost to the innermost one; none where they lie in their own order."""
Orders: TypeAlias = Mapping[str, Positions]
"""The arrays whose axes lie in another order."""

_OF_ROWS = (Kind.MATMUL, Kind.EINSUM, Kind.RESHAPE, Kind.SCATTER)
_NO_NAMES: Mapping[Operation, str] = {}


def orders_of(statements: Sequence[Statement | Recurrence], given: Collection[str]) -> dict[str, Positions]:
    """Return the arrays whose axes lie in another order because of what they are made for, or of.

    Those that are ``given`` are as they are.
    """
    found = {**_orders_of_heads(statements), **_orders_of_places(statements)}
    return {name: order for name, order in found.items() if name not in given}


def _orders_of_places(statements: Iterable[Statement | Recurrence]) -> dict[str, Positions]:
    """Return those of arrays in recurrences, and of what is made for them elementwise: places come first.

    An array that a product writes to stays as it is: the product takes the rows of all samples together.
    """
    made = {s.name: s.operation for s in statements if isinstance(s, Statement)}
    found: dict[str, Positions] = {}
    for recurrence in (s for s in statements if isinstance(s, Recurrence)):
        for name, axis in recurrence.axes.items():
            own = made.get(name)
            plain = own is None or not any(p.kind in _OF_ROWS for p in (own, *own.parts()))
            if axis and (name in recurrence.names or (own is not None and own.is_elementwise and plain)):
                found[name] = axis, *(n for n in range(recurrence.ranks[name]) if n != axis)
    return found


def _orders_of_heads(statements: Iterable[Statement | Recurrence]) -> dict[str, Positions]:
    """Return those of products whose axes are then in another order, or of which a matrix is made."""
    made = {s.name: s.operation for s in statements if isinstance(s, Statement)}
    found = {
        name: _inverse(operation.value_as(Order))
        for name, operation in made.items()
        if operation.kind == Kind.LAYOUT and is_product(operation.inputs[0]) and _of_same_axes(operation)
    }
    wanted: dict[str, set[Positions]] = {}
    for part in (part for s in statements for part in s.operation.parts()):
        if part.kind == Kind.RESHAPE and part.inputs[0].kind == Kind.LAYOUT and _of_same_axes(part.inputs[0]):
            (array,) = part.inputs[0].inputs
            if array.kind == Kind.ARRAY and _is_of_products(made.get(array.name)):
                positions = part.inputs[0].value_as(Order).positions
                wanted.setdefault(array.name, set()).add(tuple(p for p in positions if p is not None))
    found |= {name: next(iter(orders)) for name, orders in wanted.items() if len(orders) == 1}
    others = _read_otherwise(statements)
    return {n: order for n, order in found.items() if order[-1] == len(order) - 1 and n not in others}


def _read_otherwise(statements: Iterable[Statement | Recurrence]) -> set[str]:
    """Return the arrays that something else than products reads, or matrices made for these."""
    found: set[str] = set()
    for part in (part for s in statements for part in s.operation.parts()):
        if part.kind not in (Kind.MATMUL, Kind.LAYOUT, Kind.RESHAPE):
            found |= {name for i in part.inputs if i.is_leaf for name in i.reads}
        if part.kind == Kind.RESHAPE and part.inputs[0].kind == Kind.ARRAY:
            found |= part.reads
    return found


def is_product(operation: Operation) -> bool:
    """Whether ``operation`` is a matrix product of several axes at once, taken apart again."""
    product = operation.inputs[0] if operation.kind == Kind.RESHAPE else operation
    return product is not operation and product.kind == Kind.MATMUL and isinstance(product.value, Product)


def _of_same_axes(layout: Operation) -> bool:
    """Whether a layout has no new axes, and all axes of its input."""
    return None not in layout.value_as(Order).positions and len(layout.shape) == len(layout.inputs[0].shape)


def _is_of_products(operation: Operation | None) -> bool:
    """Whether an operation is made of products for each of the leading axes, component by component."""
    if operation is None or not operation.shape:
        return operation is not None
    if operation.kind == Kind.MATMUL:
        return len(operation.shape) > 2 and len(operation.inputs[1].shape) > 2
    inputs = operation.inputs
    return operation.is_elementwise and any(i.shape for i in inputs) and all(map(_is_of_products, inputs))


def _inverse(order: Order) -> Positions:
    """Return the axes of a layout in the order in which its input has them."""
    return tuple(order.positions.index(n) for n in range(len(order.positions)))


def order_of(operation: Operation, orders: Orders, names: Mapping[Operation, str] = _NO_NAMES) -> Positions:
    """Return the order in which the axes of an operation's result lie, where it is made anew.

    Args:
        operation: what is computed, or an array.
        orders: those of arrays whose axes lie in another order than their own.
        names: the operations that have an array.
    """
    return _order_made(operation, orders, names) or ()


def _order(operation: Operation, orders: Orders, names: Mapping[Operation, str]) -> Positions | None:
    """Return that order, None where the result is written row by row."""
    if operation in names:
        return orders.get(names[operation], ())
    return _order_made(operation, orders, names)


def _order_made(operation: Operation, orders: Orders, names: Mapping[Operation, str]) -> Positions | None:
    if operation.kind == Kind.ARRAY:
        return orders.get(str(operation.value), ())
    if operation.kind in (Kind.SUM, Kind.MAX):
        reduction = operation.value_as(Reduction)
        own = _order(operation.inputs[0], orders, names)
        last = len(operation.shape) - 1
        return own if own and reduction.kept and reduction.axes == last == own[-1] else None
    if operation.is_constant:
        return ()
    if not operation.is_elementwise:
        return None
    found = [_order(i, orders, names) for i in operation.inputs if len(i.shape) == len(operation.shape)]
    known = [order for order in found if order is not None]
    return None if len(known) < len(found) else max(known, default=())


def lying(operation: Operation, order: Positions) -> Operation:
    """Return an operation with its axes in the order in which they lie."""
    if not order:
        return operation
    axes, shape = (tuple(each[p] for p in order) for each in (operation.axes, operation.shape))
    return Operation(Kind.LAYOUT, (operation,), Order(order), axes, shape)


def added_up_as_they_lie(
    statements: Iterable[Statement | Recurrence], orders: Orders
) -> list[Statement | Recurrence]:
    """Return statements with the products over two axes taken together in the order in which they lie."""
    known, found = dict(orders), list[Statement | Recurrence]()
    for statement in statements:
        if isinstance(statement, Recurrence):
            found.append(statement)
            continue
        if (order := order_of(statement.operation, known)) and statement.operation.inputs:
            known.setdefault(statement.name, order)
        found.append(replace(statement, operation=_as_they_lie(statement.operation, known)))
    return found


def _as_they_lie(operation: Operation, orders: Orders) -> Operation:
    inputs = tuple([_as_they_lie(i, orders) for i in operation.inputs])
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
    turned = 1, 0, 2
    if turned not in (order_of(r.inputs[0], orders) for r in rows):
        return operation
    first, second = (replace(r, inputs=(lying(r.inputs[0], turned),)) for r in rows)
    return replace(operation, inputs=(replace(left, inputs=(first,)), second))


def _takes_two_together(rows: Operation) -> bool:
    """Whether it is a matrix whose rows are all places of the first two axes, but for one."""
    inner = rows.inputs[0]
    return len(rows.shape) == 2 and len(inner.shape) == 3 and rows.shape[1] == inner.shape[2]
