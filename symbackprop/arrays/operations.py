"""Array operations: the tree that an equation is lowered to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias, TypeVar

from sympy import Expr, Symbol, sympify

from symbackprop.arrays.kinds import ELEMENTWISE, LEAVES, VIEWS, Kind

Axis: TypeAlias = Symbol | None
"""The index that runs along an axis; None for an axis of length 1."""


@dataclass(frozen=True)
class Turn:
    """The place of a loop's turn, moved by ``offset``."""

    offset: int


Entry: TypeAlias = int | Turn | tuple[int | None, int | None, int | None]
"""What a subscript takes of an axis: one place, that of a turn, or a slice (start, stop, step)."""

EVERYTHING: Entry = (None, None, None)
"""The slice of a whole axis."""

VARYING = frozenset({Kind.ARRAY, Kind.SCATTER, Kind.ZEROS})
"""Kinds of which no constant array is made: what reads data, and what is written to."""
_OF_INTEGERS = frozenset(
    {
        Kind.ADD, Kind.SUBTRACT, Kind.MULTIPLY, Kind.NEGATIVE, Kind.CLIP, Kind.MAXIMUM, Kind.MINIMUM,
        Kind.ABS, Kind.SQUARE, Kind.FLOOR_DIVIDE, Kind.REMAINDER,
    }
)  # fmt: skip
_SAYS_WHOLE = frozenset({Kind.ARANGE, Kind.FULL, Kind.WHERE})
_OF_SIZES = _OF_INTEGERS | {Kind.TERMS}
_AS_FIRST_INPUT = VIEWS | {Kind.GATHER, Kind.RESHAPE, Kind.PAD, Kind.SUM, Kind.MAX, Kind.CUMSUM}

# ---------------------------------------------------------------- what distinguishes operations of one kind


@dataclass(frozen=True)
class Layered:
    """The name of an array that is kept by layer.

    ``layer`` is the number of its layer; where it is ``counted``, how far that is from the layer of the loop.
    """

    stem: str
    layer: int
    counted: bool = False

    @property
    def alone(self) -> str:
        """The name of the array where it is not kept by layer."""
        assert not self.counted, self
        return f"{self.stem}{self.layer}"


Name: TypeAlias = str | Layered
"""What an array is called in the code."""


@dataclass(frozen=True)
class Number:
    """A number."""

    value: Expr


@dataclass(frozen=True)
class Order:
    """For each axis of a layout its position in the input, None for a new axis of length 1."""

    positions: tuple[int | None, ...]


@dataclass(frozen=True)
class Slices:
    """What is taken of each axis of the input."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Windows:
    """The lengths of windows, and the axes along which they slide."""

    lengths: tuple[int, ...]
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """Two axes along which one index runs."""

    first: int
    second: int


@dataclass(frozen=True)
class Sizes:
    """A shape in the code; what is known at run time is -1, or made of named sizes if there are several."""

    sizes: tuple[int | Expr, ...]


@dataclass(frozen=True)
class Product:
    """The number of terms of a matrix product and its shape, as in `Sizes`."""

    terms: int | Expr
    sizes: tuple[int | Expr, ...]


@dataclass(frozen=True)
class Reduction:
    """What is reduced: one axis, several, or all for None; ``kept`` axes stay with length 1."""

    axes: int | tuple[int, ...] | None
    kept: bool = False


@dataclass(frozen=True)
class Padding:
    """The numbers of zeros before and behind each axis."""

    widths: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Picks:
    """For each axis the number of its array of integers, None for the whole axis."""

    indices: tuple[int | None, ...]


@dataclass(frozen=True)
class Signs:
    """Which terms are taken away."""

    negative: tuple[bool, ...]


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


Value: TypeAlias = (
    bool | int | str | Layered | Number | Order | Slices | Windows | Pair | Sizes | Product | Reduction
    | Padding | Picks | Signs | Place | None
)  # fmt: skip
Form = TypeVar("Form")

# ---------------------------------------------------------------- the tree


@dataclass(frozen=True)
class Operation:
    """One array operation.

    ``value`` is what distinguishes operations of one kind, see `Kind`.  ``axes`` and ``shape`` describe the
    result; ``whole`` marks an array of integers.
    """

    kind: Kind
    inputs: tuple[Operation, ...] = ()
    value: Value = None
    axes: tuple[Axis, ...] = field(default=(), compare=False)
    shape: tuple[Expr, ...] = field(default=(), compare=False)
    whole: bool = field(default=False, compare=False)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Worked out once: that of the whole takes those of all parts.
        return hash((self.kind, self.inputs, self.value))

    def value_as(self, form: type[Form]) -> Form:
        """Return the value, which is of that class for this kind of operation."""
        assert isinstance(self.value, form), f"{self.kind} with {self.value!r}"
        return self.value

    @property
    def name(self) -> str:
        """The name of an array, or of a number that has one."""
        assert isinstance(self.value, str), self
        return self.value

    @cached_property
    def reads(self) -> frozenset[str]:
        """The names of the arrays that it is made of."""
        own = (self.name,) if self.kind == Kind.ARRAY else ()
        return frozenset(own).union(*[i.reads for i in self.inputs])

    @property
    def is_leaf(self) -> bool:
        """Whether nothing is computed."""
        return self.kind in LEAVES or (self.is_view and self.inputs[0].is_leaf)

    @property
    def is_view(self) -> bool:
        """Whether the result holds the numbers of the first input, and no copy of them."""
        return self.kind in VIEWS or (self.kind == Kind.RESHAPE and self.inputs[0].is_contiguous)

    @property
    def is_contiguous(self) -> bool:
        """Whether the numbers lie in memory in the order of the axes."""
        if self.kind == Kind.LAYOUT:  # of new axes alone
            return None in self.value_as(Order).positions and self.inputs[0].is_contiguous
        return self.kind not in VIEWS

    @property
    def is_elementwise(self) -> bool:
        """Whether each component of the result needs one component of each input."""
        return self.kind in ELEMENTWISE

    @property
    def is_constant(self) -> bool:
        """Whether the result is an array that is the same in every step."""
        return bool(self.shape) and not any(
            part.kind in VARYING or (part.kind == Kind.NAME and not part.name.isdigit())
            for part in self.parts()
        )

    @property
    def is_whole(self) -> bool:
        """Whether the result is an array of integers."""
        if self.kind == Kind.ARRAY:
            return self.whole
        if self.kind in _SAYS_WHOLE:
            return self.value_as(bool)
        if self.kind in _AS_FIRST_INPUT:
            return self.inputs[0].is_whole
        return self.kind == Kind.ARGMAX or (
            self.kind in _OF_INTEGERS
            and any(i.is_whole for i in self.inputs)
            and all(i.is_whole or i.is_size for i in self.inputs)
        )

    @property
    def is_size(self) -> bool:
        """Whether the result is a number, or is made of numbers and named ones as sizes are."""
        return self.kind in (Kind.NUMBER, Kind.NAME) or (
            self.kind in _OF_SIZES and not self.shape and all(i.is_size for i in self.inputs)
        )

    def parts(self) -> Iterator[Operation]:
        """Yield the operation and all that it is made of."""
        yield self
        for i in self.inputs:
            yield from i.parts()

    def replaced(self, table: Mapping[Operation, Operation]) -> Operation:
        """Return the operation with the parts in ``table`` replaced by others of the same shapes."""
        if self in table:
            return table[self].along(self.axes)
        inputs = tuple(i.replaced(table) for i in self.inputs)
        return self if inputs == self.inputs else replace(self, inputs=inputs)

    def along(self, axes: tuple[Axis, ...]) -> Operation:
        """Return the operation with other indices along its axes, and along those of its inputs."""
        if axes == self.axes:
            return self
        names = dict(zip(self.axes, axes, strict=True))
        inputs = tuple(i.along(tuple(names.get(axis, axis) for axis in i.axes)) for i in self.inputs)
        return replace(self, inputs=inputs, axes=axes)


@dataclass(frozen=True)
class Statement:
    """``name = operation``, which carries out the equation ``number``; its ``place`` is that in a layer."""

    name: str
    operation: Operation
    number: int
    place: Layered | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The name."""
        return (self.name,)


def number(value: Expr | int) -> Operation:
    """Return a number as an operation."""
    return Operation(Kind.NUMBER, (), Number(sympify(value)))
