"""The instructions of generated code, as data: what each reads and writes, and the equation it belongs to.

Operands are operations that need no array of their own: names, views, numbers, and expressions of these.
What Python calls them is the printers' affair, see `text` and `lines`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum, auto
from functools import cached_property
from typing import TypeAlias

from sympy import Expr

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import (
    Layered,
    Name,
    Operation,
    Place,
    Sizes,
    Slices,
    Value,
    number,
)

Renaming: TypeAlias = Callable[[Name], Name]
Likeness: TypeAlias = Callable[[Name, Name], bool]

NAMED = (Kind.ARRAY, Kind.NAME)
DTYPE = "dtype"
"""The name of the parameters' dtype, which some operations make their results in."""
IN_PLACE = frozenset({Kind.ADD, Kind.SUBTRACT, Kind.MULTIPLY, Kind.DIVIDE})


class Condition(StrEnum):
    """What a part of a step depends on."""

    WITH_LOSS = auto()
    """The error is asked for."""
    WEIGHTED = auto()
    """The samples have weights."""


ONE = number(1)
WEIGHTS = Operation(Kind.ARRAY, (), "weights")
"""The weights of the samples, None without."""

# ---------------------------------------------------------------- operands


def array(name: Name, like: Operation) -> Operation:
    """Return the array of that name that holds ``like``; where that is made of numbers alone, the number."""
    if like.kind == Kind.ARRAY and like.value == name:
        return like
    kind = Kind.ARRAY if like.shape or like.reads else Kind.NAME
    return Operation(kind, (), name, like.axes, like.shape, like.is_whole)


def component(name: Name) -> Operation:
    """Return the one component of an array without axes."""
    return Operation(Kind.SUBSCRIPT, (Operation(Kind.ARRAY, (), name),), Slices(()))


def name_of(operation: Operation) -> Name:
    """Return the name of an array or of a number."""
    return operation.value if isinstance(operation.value, Layered) else operation.name


def names_in(operation: Operation) -> list[Name]:
    """Return the name of each array, number and size in an operand, as often as it stands there."""
    found: list[Name] = []
    _collect(operation, found)
    return found


def _collect(operation: Operation, found: list[Name]) -> None:
    kind, value = operation.kind, operation.value
    if kind == Kind.ARRAY or (kind == Kind.NAME and not operation.name.isdigit()):
        found.append(name_of(operation))
    elif isinstance(value, Sizes):
        found += _names_of_sizes(value.sizes)
    elif kind in _MAY_TAKE_DTYPE and takes_dtype(operation):
        found.append(DTYPE)
    for inner in operation.inputs:
        _collect(inner, found)


def _names_of_sizes(sizes: Sequence[int | Expr]) -> Iterator[Name]:
    for n in sizes:
        if isinstance(n, Expr):
            yield from sorted(symbol.name for symbol in n.free_symbols)


_MAY_TAKE_DTYPE = (Kind.FULL, Kind.ARANGE, Kind.ZEROS, Kind.CAST, Kind.WHERE)


def takes_dtype(operation: Operation) -> bool:
    """Whether an operation has to be told the dtype of its result."""
    if operation.kind in (Kind.FULL, Kind.ARANGE):
        return not operation.is_whole
    return operation.kind in (Kind.ZEROS, Kind.CAST) or is_choice_of_numbers(operation)


def is_choice_of_numbers(operation: Operation) -> bool:
    """Whether an operation chooses between two numbers, of which NumPy makes float64."""
    if operation.kind != Kind.WHERE:
        return False
    return not any(i.shape for i in operation.inputs[1:]) and not operation.is_whole


def base(operation: Operation) -> Operation:
    """Return the array that an operand is a view of."""
    return base(operation.inputs[0]) if operation.inputs else operation


def base_name(operation: Operation) -> Name:
    """Return the name of the array that an operand is a view of."""
    return name_of(base(operation))


def renamed(operation: Operation, change: Renaming) -> Operation:
    """Return an operand with other names of arrays."""
    if operation.kind == Kind.ARRAY:
        old = name_of(operation)
        new = change(old)
        return operation if new == old else _with(operation, (), new)
    inputs = tuple([renamed(i, change) for i in operation.inputs])
    if all(new is old for new, old in zip(inputs, operation.inputs, strict=True)):
        return operation
    return _with(operation, inputs, operation.value)


def _with(operation: Operation, inputs: tuple[Operation, ...], value: Value) -> Operation:
    axes, shape, whole = operation.axes, operation.shape, operation.whole
    return Operation(operation.kind, inputs, value, axes, shape, whole)


# ---------------------------------------------------------------- instructions


class Instruction:
    """One instruction, or several that belong together."""

    @property
    def operands(self) -> tuple[Operation, ...]:
        """What it names, in order, without what instructions inside of it do."""
        return ()

    @property
    def body(self) -> tuple[Instruction, ...]:
        """The instructions inside of it."""
        return ()

    @property
    def written(self) -> Operation | None:
        """The array, or the part of one, that it writes to by itself."""
        return None

    @property
    def form(self) -> tuple[object, ...]:
        """What else than operands distinguishes instructions of a class."""
        return ()

    def renamed(self, change: Renaming) -> Instruction:
        """Return the instruction with other names of arrays."""
        raise NotImplementedError

    @property
    def own_names(self) -> Iterator[Name]:
        """The names in it, without those inside, as often as they stand there."""
        for operand in self.operands:
            yield from names_in(operand)

    @cached_property
    def names(self) -> tuple[Name, ...]:
        """The names in it, as often as they stand there."""
        return *self.own_names, *(name for inner in self.body for name in inner.names)

    @property
    def reads(self) -> frozenset[Name]:
        """The names of what it reads."""
        own = (name for operand in self.operands for name in names_in(operand))
        return frozenset(own).union(*[inner.reads for inner in self.body])

    @property
    def writes(self) -> frozenset[Name]:
        """The names of what it writes to."""
        own = frozenset() if self.written is None else frozenset([base_name(self.written)])
        return own.union(*[inner.writes for inner in self.body])


def walked(instructions: Iterable[Instruction]) -> Iterator[Instruction]:
    """Yield instructions, and those inside of them."""
    for instruction in instructions:
        yield instruction
        yield from walked(instruction.body)


@dataclass(frozen=True)
class Assign(Instruction):
    """``target`` is ``value``: a new name, or the numbers of what has one already; ``copied`` where both are.

    A name for a view stands for the array that is viewed.
    """

    target: Operation
    value: Operation
    copied: bool = False

    @property
    def form(self) -> tuple[object, ...]:
        """Whether it is copied."""
        return (self.copied,)

    @property
    def operands(self) -> tuple[Operation, ...]:
        """The target and the value."""
        return self.target, self.value

    @property
    def written(self) -> Operation:
        """The target."""
        return self.target

    @property
    def binds(self) -> Name | None:
        """The name that it gives to the value, None where it changes an array."""
        return base_name(self.target) if self.target.kind in NAMED else None

    @property
    def reads(self) -> frozenset[Name]:
        """The names in the value."""
        return frozenset(names_in(self.value))

    def renamed(self, change: Renaming) -> Assign:
        """Return the instruction with other names of arrays."""
        return Assign(renamed(self.target, change), renamed(self.value, change), self.copied)


@dataclass(frozen=True)
class Call(Instruction):
    """One operation whose inputs are at hand is computed into ``out``."""

    operation: Operation
    out: Operation

    @property
    def form(self) -> tuple[object, ...]:
        """The kind of the operation, and its value."""
        return (
            self.operation.kind,
            self.operation.value,
        )

    @property
    def operands(self) -> tuple[Operation, ...]:
        """The inputs of the operation, and where it writes to."""
        return *self.operation.inputs, self.out

    @property
    def written(self) -> Operation:
        """Where it writes to."""
        return self.out

    @property
    def reads(self) -> frozenset[Name]:
        """The names in the operation."""
        return frozenset(names_in(self.operation))

    def renamed(self, change: Renaming) -> Call:
        """Return the instruction with other names of arrays."""
        return Call(renamed(self.operation, change), renamed(self.out, change))


@dataclass(frozen=True)
class Copy(Instruction):
    """The numbers of ``source`` go to ``out``; with ``where``, truth values, to some places alone.

    ``by_bits`` says that a function of the module does that, which is faster.
    """

    source: Operation
    out: Operation
    where: Operation | None = None
    by_bits: bool = False

    @property
    def operands(self) -> tuple[Operation, ...]:
        """Where it writes to, the source, and the truth values if any."""
        return (self.out, self.source) if self.where is None else (self.out, self.source, self.where)

    @property
    def written(self) -> Operation:
        """Where it writes to."""
        return self.out

    @property
    def reads(self) -> frozenset[Name]:
        """The names in the source and in the truth values; that of the array, too, where numbers stay."""
        read = self.operands[0 if self.where is not None else 1 :]
        return frozenset(name for operand in read for name in names_in(operand))

    def renamed(self, change: Renaming) -> Copy:
        """Return the instruction with other names of arrays."""
        where = None if self.where is None else renamed(self.where, change)
        return Copy(renamed(self.source, change), renamed(self.out, change), where, self.by_bits)


@dataclass(frozen=True)
class InPlace(Instruction):
    """``target`` is changed by ``value``: ``kind`` says how, see `IN_PLACE`."""

    kind: Kind
    target: Operation
    value: Operation

    @property
    def form(self) -> tuple[object, ...]:
        """How it is changed."""
        return (self.kind,)

    @property
    def operands(self) -> tuple[Operation, ...]:
        """The target and the value."""
        return self.target, self.value

    @property
    def written(self) -> Operation:
        """The target."""
        return self.target

    def renamed(self, change: Renaming) -> InPlace:
        """Return the instruction with other names of arrays."""
        return InPlace(self.kind, renamed(self.target, change), renamed(self.value, change))


@dataclass(frozen=True)
class Scatter(Instruction):
    """``value`` is added at a place of ``out``, or taken away; ``indices`` are those that the place names."""

    out: Operation
    place: Place
    value: Operation
    indices: tuple[Operation, ...]
    negative: bool

    @property
    def form(self) -> tuple[object, ...]:
        """The place, and whether it is taken away."""
        return (
            self.place,
            self.negative,
        )

    @property
    def operands(self) -> tuple[Operation, ...]:
        """Where it writes to, the indices and the value."""
        return self.out, *self.indices, self.value

    @property
    def written(self) -> Operation:
        """Where it writes to."""
        return self.out

    def renamed(self, change: Renaming) -> Scatter:
        """Return the instruction with other names of arrays."""
        indices = tuple(renamed(i, change) for i in self.indices)
        out, value = renamed(self.out, change), renamed(self.value, change)
        return replace(self, out=out, value=value, indices=indices)


@dataclass(frozen=True)
class When(Instruction):
    """Instructions that are carried out under a condition."""

    condition: Condition
    inner: tuple[Instruction, ...]

    @property
    def form(self) -> tuple[object, ...]:
        """The condition."""
        return (self.condition,)

    @property
    def body(self) -> tuple[Instruction, ...]:
        """What is carried out under the condition."""
        return self.inner

    def renamed(self, change: Renaming) -> When:
        """Return the instruction with other names of arrays."""
        return When(self.condition, tuple(i.renamed(change) for i in self.inner))


@dataclass(frozen=True)
class Block(Instruction):
    """The instructions that carry out the equation ``number``, whose quantity is ``name``.

    In a loop these are the instructions for any of the layers; ``number`` is then that of the first layer,
    and ``last`` that of the last one.  ``like`` is what else is the same in layers that are alike.
    """

    name: Name
    inner: tuple[Instruction, ...]
    number: int
    last: int | None = None
    like: object = None

    @property
    def form(self) -> tuple[object, ...]:
        """What else is the same in layers that are alike."""
        return (self.like,)

    @property
    def body(self) -> tuple[Instruction, ...]:
        """What carries out the equation."""
        return self.inner

    @property
    def own_names(self) -> Iterator[Name]:
        """The name of the quantity."""
        yield self.name

    def renamed(self, change: Renaming) -> Block:
        """Return the instructions with other names of arrays."""
        return replace(self, name=change(self.name), inner=tuple(i.renamed(change) for i in self.inner))


@dataclass(frozen=True)
class Loop(Instruction):
    """Instructions for each of the layers, in order: names inside are counted from the layer of the turn."""

    layers: range
    inner: tuple[Instruction, ...]

    @property
    def form(self) -> tuple[object, ...]:
        """The layers."""
        return (self.layers,)

    @property
    def body(self) -> tuple[Instruction, ...]:
        """What is carried out for a layer."""
        return self.inner

    def renamed(self, change: Renaming) -> Loop:
        """Return the instructions with other names of arrays."""
        return Loop(self.layers, tuple(i.renamed(change) for i in self.inner))

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What carries out equations in it."""
        return tuple(inner for inner in self.in_turn(self.layers[0]) if isinstance(inner, Block))

    def in_turn(self, layer: int) -> Iterator[Instruction]:
        """Yield what is carried out for one layer, with names that are counted from it."""
        for each in self.inner:
            if not isinstance(each, BeforeLast):
                yield each
            elif layer != self.layers[-1]:
                yield from each.inner

    def turn(self, layer: int) -> tuple[Instruction, ...]:
        """Return the instructions for one layer."""

        def at(name: Name) -> Name:
            if isinstance(name, str) or not name.counted:
                return name
            return Layered(name.stem, layer + name.layer)

        return tuple(i.renamed(at) for i in self.in_turn(layer))


@dataclass(frozen=True)
class BeforeLast(Instruction):
    """Instructions of a loop that its last turn, that of the layer ``last``, leaves out.

    Layers come in ``descending`` order, or upwards.
    """

    last: int
    descending: bool
    inner: tuple[Instruction, ...]

    @property
    def form(self) -> tuple[object, ...]:
        """The layer that it is left out for, and the order of layers."""
        return self.last, self.descending

    @property
    def body(self) -> tuple[Instruction, ...]:
        """What is carried out for the other layers."""
        return self.inner

    def renamed(self, change: Renaming) -> BeforeLast:
        """Return the instructions with other names of arrays."""
        return replace(self, inner=tuple(i.renamed(change) for i in self.inner))


@dataclass(frozen=True)
class Turns(Instruction):
    """Instructions for each place of a recurrence: ``count`` of them, from the first on or from the last."""

    count: Operation
    ascending: bool
    inner: tuple[Instruction, ...]

    @property
    def form(self) -> tuple[object, ...]:
        """How many places there are, and their order."""
        return self.count, self.ascending

    @property
    def operands(self) -> tuple[Operation, ...]:
        """The number of places."""
        return (self.count,)

    @property
    def body(self) -> tuple[Instruction, ...]:
        """What is carried out at a place."""
        return self.inner

    def renamed(self, change: Renaming) -> Turns:
        """Return the instruction with other names of arrays."""
        return replace(self, inner=tuple(i.renamed(change) for i in self.inner))


@dataclass(frozen=True)
class Choose(Instruction):
    """Instructions where a ``condition`` on the place holds, and others where it does not."""

    condition: Operation
    inner: tuple[Instruction, ...]
    other: tuple[Instruction, ...]

    @property
    def form(self) -> tuple[object, ...]:
        """The condition, and how many instructions it is for."""
        return self.condition, len(self.inner)

    @property
    def operands(self) -> tuple[Operation, ...]:
        """The condition."""
        return (self.condition,)

    @property
    def body(self) -> tuple[Instruction, ...]:
        """What is carried out in either case."""
        return *self.inner, *self.other

    def renamed(self, change: Renaming) -> Choose:
        """Return the instruction with other names of arrays."""
        inner, other = (tuple(i.renamed(change) for i in each) for each in (self.inner, self.other))
        return replace(self, inner=inner, other=other)


def decided(program: Iterable[Instruction], holding: Condition) -> tuple[Instruction, ...]:
    """Return a program with its conditions decided: of all, that one alone holds."""
    found: list[Instruction] = []
    for instruction in program:
        if isinstance(instruction, When):
            found += decided(instruction.inner, holding) if instruction.condition == holding else ()
        elif isinstance(instruction, Block):
            found.append(replace(instruction, inner=decided(instruction.inner, holding)))
        else:
            found.append(instruction)
    return tuple(found)


def is_like(one: Instruction, two: Instruction, are_like: Likeness) -> bool:
    """Whether instructions are the same but for names, each of which is like the other's in its place."""
    if type(one) is not type(two) or one.form != two.form:
        return False
    if isinstance(one, Block) and isinstance(two, Block) and not are_like(one.name, two.name):
        return False
    operands, others, body, other_body = one.operands, two.operands, one.body, two.body
    if len(operands) != len(others) or len(body) != len(other_body):
        return False
    for a, b in zip(operands, others, strict=True):
        if not _operand_is_like(a, b, are_like):
            return False
    return all(is_like(a, b, are_like) for a, b in zip(body, other_body, strict=True))


def _operand_is_like(one: Operation, two: Operation, are_like: Likeness) -> bool:
    if one.kind != two.kind or len(one.inputs) != len(two.inputs):
        return False
    if one.kind == Kind.ARRAY:
        return are_like(name_of(one), name_of(two))
    pairs = zip(one.inputs, two.inputs, strict=True)
    return one.value == two.value and all(_operand_is_like(a, b, are_like) for a, b in pairs)


def names_of(program: Iterable[Instruction]) -> list[Name]:
    """Return all names in a program, each once, in order; that of what a block computes comes before it."""
    return list(dict.fromkeys(name for instruction in program for name in instruction.names))
