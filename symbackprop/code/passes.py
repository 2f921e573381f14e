"""Fewer passes over arrays: a difference is taken once, and what can be done to few numbers is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from sympy import Integer

from symbackprop.arrays.kinds import VIEWS, Kind
from symbackprop.arrays.operations import Number, Operation, Statement, number
from symbackprop.code.recurrence import Recurrence

_LINEAR = VIEWS | {Kind.RESHAPE, Kind.SUM}
"""Kinds that give the opposite of what they are given the opposite of, as the next ones do in each input."""
_OF_FACTORS = (Kind.MULTIPLY, Kind.DIVIDE, Kind.MATMUL, Kind.EINSUM)
_MOST = 2**20


def with_fewer_passes(operation: Operation, named: Collection[Operation]) -> Operation:
    """Return an elementwise operation that goes over its result less often, but for a rounding the same.

    ``named`` are the operations that have an array: these are not opened.
    """
    if operation.kind not in (Kind.NEGATIVE, Kind.DIVIDE):
        return operation
    quotient = operation.inputs[0]
    if quotient.kind != Kind.DIVIDE or quotient in named or quotient.shape != operation.shape:
        return operation
    value, divisor = quotient.inputs
    if operation.kind == Kind.NEGATIVE:  # -(x/2) is (-1/2) x
        exact = _is_power_of_two(divisor)
        return _of(operation, Kind.MULTIPLY, number(-1 / _value(divisor)), value) if exact else operation
    by = operation.inputs[1]  # x/n/s is x/(n s), of an array s that is repeated
    if divisor.kind not in (Kind.NUMBER, Kind.NAME) or by.shape in ((), operation.shape) or by.is_whole:
        return operation
    return _of(operation, Kind.DIVIDE, value, _of(by, Kind.MULTIPLY, divisor, by))


def _of(like: Operation, kind: Kind, *inputs: Operation) -> Operation:
    return Operation(kind, inputs, None, like.axes, like.shape)


def _value(operation: Operation) -> Integer:
    return Integer(operation.value_as(Number).value)


def _is_power_of_two(operation: Operation) -> bool:
    if operation.kind != Kind.NUMBER or not operation.value_as(Number).value.is_Integer:
        return False
    value = int(_value(operation))
    return 0 < value <= _MOST and value & (value - 1) == 0


def differences_once(
    statements: Iterable[Statement | Recurrence],
) -> list[Statement | Recurrence]:
    """Return statements with a - b read where b - a stands that comes later; its sign goes outwards.

    Signs change no digit.  They end where two meet, in a sum, or at an array of few numbers.
    """
    signs, found = _Signs(), list[Statement | Recurrence]()
    for statement in statements:
        if isinstance(statement, Statement):
            operation = signs.without(statement.operation)
            statement = (
                statement if operation is statement.operation else replace(statement, operation=operation)
            )
        found.append(statement)
    return found


class _Signs:
    """Finds differences that have been taken the other way round."""

    def __init__(self) -> None:
        self._taken: set[Operation] = set()
        self._known: dict[Operation, tuple[Operation, bool]] = {}

    def without(self, operation: Operation) -> Operation:
        """Return an operation with differences that have been taken."""
        value, negative = self._signed(operation)
        return _of(operation, Kind.NEGATIVE, value) if negative else value

    def _signed(self, operation: Operation) -> tuple[Operation, bool]:
        """Return an operation, or its opposite and that it is that."""
        if not operation.inputs:
            return operation, False
        if operation not in self._known:
            self._known[operation] = self._found(operation)
        value, negative = self._known[operation]
        if value == operation:
            return operation, negative  # with its own letters along its axes
        return value.along(operation.axes) if value.axes != operation.axes else value, negative

    def _found(self, operation: Operation) -> tuple[Operation, bool]:
        inputs, signs = zip(*map(self._signed, operation.inputs), strict=True)
        same = all(new is old for new, old in zip(inputs, operation.inputs, strict=True))
        if not any(signs):
            own = operation if same else replace(operation, inputs=inputs)
            return self._difference(own)
        if operation.kind in _LINEAR or operation.kind == Kind.NEGATIVE:
            value = inputs[0] if operation.kind == Kind.NEGATIVE else replace(operation, inputs=inputs)
            return value, operation.kind != Kind.NEGATIVE
        if operation.kind in (Kind.SQUARE, Kind.ABS):
            return replace(operation, inputs=inputs), False
        if operation.kind in _OF_FACTORS:
            return replace(operation, inputs=inputs), sum(signs) % 2 == 1
        if operation.kind == Kind.ADD and not all(signs):
            first, second = inputs if signs[1] else inputs[::-1]
            return _of(operation, Kind.SUBTRACT, first, second), False
        if operation.kind == Kind.SUBTRACT and signs == (False, True):
            return _of(operation, Kind.ADD, *inputs), False
        plain = tuple(_of(i, Kind.NEGATIVE, i) if s else i for i, s in zip(inputs, signs, strict=True))
        return replace(operation, inputs=plain), False

    def _difference(self, operation: Operation) -> tuple[Operation, bool]:
        if operation.kind != Kind.SUBTRACT or not operation.shape:
            return operation, False
        turned = replace(operation, inputs=operation.inputs[::-1])
        if turned in self._taken and all(i.shape for i in operation.inputs):
            return turned, True
        self._taken.add(operation)
        return operation, False
