"""Instructions in few words, for tests of what is done with them."""

from __future__ import annotations

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Layered, Name, Operation, Order, Reduction, Sizes
from symbackprop.code.statements import Assign, Call, InPlace

Operand = Operation | Name


def read(operand: Operand) -> Operation:
    return operand if isinstance(operand, Operation) else Operation(Kind.ARRAY, (), operand)


def of(stem: str, offset: int = 0) -> Layered:
    """Return what is kept by layer, in the turn of a loop."""
    return Layered(stem, offset, counted=True)


def call(kind: Kind, *inputs: Operand, out: Operand) -> Call:
    return Call(Operation(kind, tuple(map(read, inputs))), read(out))


def exp(operand: Operand, out: Operand) -> Call:
    return call(Kind.EXP, operand, out=out)


def dot(left: Operand, right: Operand, out: Operand) -> Call:
    return call(Kind.MATMUL, left, right, out=out)


def added(target: Operand, value: Operand) -> InPlace:
    return InPlace(Kind.ADD, read(target), read(value))


def named(name: Name, value: Operand) -> Assign:
    return Assign(read(name), read(value))


def total(operand: Operand) -> Operation:
    return Operation(Kind.SUM, (read(operand),), Reduction(None))


def transposed(operand: Operand) -> Operation:
    return Operation(Kind.LAYOUT, (read(operand),), Order((1, 0)))


def reshaped(operand: Operand) -> Operation:
    return Operation(Kind.RESHAPE, (read(operand),), Sizes((2, 3)))
