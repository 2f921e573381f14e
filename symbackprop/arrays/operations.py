"""Array operations: the tree that an equation is lowered to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

from sympy import Expr, Integer, Symbol

Axis: TypeAlias = Symbol | None
"""The index that runs along an axis; None for an axis of length 1."""

Entry: TypeAlias = int | tuple[int | None, int | None, int | None]
"""What a subscript takes of an axis: one place, or a slice (start, stop, step)."""

EVERYTHING: Entry = (None, None, None)
"""The slice of a whole axis."""

VIEWS = ("layout", "subscript", "windows", "diagonal")
"""Operations that give the same numbers in another order, without copying them."""

_STRUCTURAL = (
    *VIEWS, "array", "number", "name", "reshape", "matmul", "einsum", "sum", "max", "argmax", "pad", "gather",
    "arange", "zeros", "full", "broadcast", "scatter", "update",
)  # fmt: skip

_VARYING = ("array", "scatter", "zeros")
_OF_INTEGERS = ("add", "subtract", "multiply", "negative", "clip", "maximum", "minimum", "abs", "square")


@dataclass(frozen=True)
class Operation:
    """One array operation.

    ``kind`` is one of these, or the NumPy function of an elementwise operation.  ``value`` is what
    distinguishes operations of one kind.

    ============  =========================================================================
    array         a named array; ``value`` is the name
    number, name  a number, or a named one
    layout        axes transposed, or new ones of length 1 (``value``: positions, None)
    subscript     places and slices; ``value`` holds an `Entry` for each axis
    windows       a sliding window; ``value`` holds lengths and axes, window axes come last
    diagonal      ``value``: the two axes along which one index runs; it comes last
    reshape       axes taken together or apart; ``value``: the new shape, -1 where it varies
    matmul        ``@``, of more than two axes for each of the leading ones; ``value`` then holds
                  the number of terms and the shape
    einsum        a product of two arrays, ``value``: the specification
    sum, max      ``value``: the axes and whether they stay with length 1
    argmax        ``value``: the axis
    pad           zeros around; ``value``: a pair of numbers for each axis
    gather        the array, then integer indices; ``value``: for each axis the number of its
                  index, None for the whole axis
    arange        the values of an index; ``value``: whether they are integers
    zeros, full,  of the shape that the last inputs give
    broadcast
    cast          integers or truth values as numbers
    scatter       a first value, then updates of parts of it
    update        a value that is added, then integer indices; ``value``: a `Place`
    terms         a sum of numbers, ``value`` says which are taken away
    ============  =========================================================================

    ``axes`` and ``shape`` describe the result; ``whole`` marks an array of integers.
    """

    kind: str
    inputs: tuple[Operation, ...] = ()
    value: object = None
    axes: tuple[Axis, ...] = field(default=(), compare=False)
    shape: tuple[Expr, ...] = field(default=(), compare=False)
    whole: bool = field(default=False, compare=False)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Worked out once: that of the whole takes those of all parts.
        return hash((self.kind, self.inputs, self.value))

    @property
    def is_leaf(self) -> bool:
        """Whether nothing is computed."""
        return self.kind in ("array", "number", "name") or (self.is_view and self.inputs[0].is_leaf)

    @property
    def is_view(self) -> bool:
        """Whether the result holds the numbers of the first input, and no copy of them."""
        return self.kind in VIEWS or (self.kind == "reshape" and self.inputs[0].is_contiguous)

    @property
    def is_contiguous(self) -> bool:
        """Whether the numbers lie in memory in the order of the axes."""
        if self.kind == "layout":  # of new axes alone
            return _keeps_order(self.value) and self.inputs[0].is_contiguous
        return self.kind not in VIEWS

    @property
    def is_elementwise(self) -> bool:
        """Whether each component of the result needs one component of each input."""
        return self.kind not in _STRUCTURAL

    @property
    def is_constant(self) -> bool:
        """Whether the result is an array that is the same in every step."""
        return bool(self.shape) and not any(
            part.kind in _VARYING or (part.kind == "name" and not str(part.value).isdigit())
            for part in self.parts()
        )

    @property
    def is_whole(self) -> bool:
        """Whether the result is an array of integers."""
        if self.kind in ("array", "argmax"):
            return self.whole or self.kind == "argmax"
        if self.kind in ("arange", "full", "where"):
            return bool(self.value)
        if self.kind in VIEWS or self.kind in ("gather", "reshape", "pad", "sum", "max"):
            return self.inputs[0].is_whole
        return (
            self.kind in _OF_INTEGERS
            and any(i.is_whole for i in self.inputs)
            and all(i.is_whole or i.kind in ("number", "name") for i in self.inputs)
        )

    def parts(self) -> Iterator[Operation]:
        """Yield the operation and all that it is made of."""
        yield self
        for i in self.inputs:
            yield from i.parts()

    def replaced(self, table: Mapping[Operation, Operation]) -> Operation:
        """Return the operation with the parts in ``table`` replaced by others of the same shapes."""
        if self in table:
            return table[self]
        inputs = tuple(i.replaced(table) for i in self.inputs)
        return self if inputs == self.inputs else replace(self, inputs=inputs)


def _keeps_order(positions: object) -> bool:
    return isinstance(positions, tuple) and None in positions


@dataclass(frozen=True)
class Stride:
    """The places that an index reaches on one axis, moved by each turn of the loops.

    ``start``, ``stop`` and ``step`` are those of the first turn, ``stop`` is None at the axis' end.
    ``slopes`` says how far each loop moves them.
    """

    start: int
    stop: int | None
    step: int
    slopes: tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """Where an update adds its value.

    ``entries`` holds for each axis an `Entry`, a `Stride`, or the number of an index in a list of one.
    ``loops`` are the numbers of turns; ``looped`` the loops along whose turn the value has an axis, which
    come first; ``unique`` says that no place is reached twice, ``flat`` that places are those of the flat
    array.
    """

    entries: tuple[Entry | Stride | str, ...]
    loops: tuple[int, ...]
    looped: tuple[int, ...]
    unique: bool
    flat: bool = False


@dataclass(frozen=True)
class Statement:
    """``name = operation``, which carries out the equation ``number``."""

    name: str
    operation: Operation
    number: int


def number(value: int) -> Operation:
    """Return a whole number as an operation."""
    return Operation("number", (), Integer(value))
