"""Statements of expressions: what is too long for a line is computed in parts that have names."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property

from symbackprop.arrays.kinds import LEAVES, Kind
from symbackprop.arrays.operations import Layered, Operation, Place, Signs
from symbackprop.code.lines import ANY_LENGTH, COLUMNS, lines_of, width
from symbackprop.code.statements import Assign, InPlace, Instruction, Scatter, array
from symbackprop.code.text import write

_PART = "part"


class Names:
    """What operations are called; parts that get a name on the way are entered."""

    def __init__(self, names: Mapping[Operation, str], stem: str = _PART) -> None:
        self.of = dict(names)
        self.stem = stem
        self.columns = COLUMNS
        """The columns of a line."""
        self.longer: dict[str, int] = {}
        """How much longer names get in the loop of their layer."""
        self.numbered: dict[str, Layered] = {}
        """The parts, by their numbers: in equal layers these are equally far from the number of the layer."""

    def width(self, operation: Operation) -> int:
        """Return how many columns an operation takes where it is written out."""
        parts = operation.inputs or (operation,)
        return len(write(operation, self.of).code) + sum(map(self.more, parts))

    def more(self, operation: Operation) -> int:
        """Return by how many columns an operation gets longer in the loop of a layer."""
        if not self.longer:
            return 0
        if operation in self.of:
            return self.longer.get(self.of[operation], 0)
        if operation.kind == Kind.ARRAY:
            return self.longer.get(str(operation.value), 0)
        return sum(map(self.more, operation.inputs))

    def of_known(self, of: Mapping[Operation, str], known: Collection[str]) -> Names:
        """Return itself with those names that are known already; no part gets one of the others."""
        self._taken.update(of.values())
        self.of = {operation: name for operation, name in of.items() if name in known}
        return self

    @cached_property
    def _taken(self) -> set[str]:
        return set(self.of.values())

    def free(self) -> Layered:
        """Return a name that a part can have."""
        number = len(self.numbered) + 1
        while f"{self.stem}{number}" in self._taken:
            number += 1
        return Layered(self.stem, number)

    def restart(self) -> None:
        """Forget the parts: those of the next layer have the same names."""
        self.of = {operation: own for operation, own in self.of.items() if own not in self.numbered}
        self._taken.difference_update(self.numbered)
        self.numbered = {}

    def part(self, operation: Operation) -> Operation:
        """Give a part a new name, and return the array of that name."""
        return self.give(self.free(), operation)

    def give(self, name: Layered, operation: Operation) -> Operation:
        """Give a part a name, which nothing else has any more, and return the array of that name."""
        if name.alone in self.numbered:
            self.of = {other: own for other, own in self.of.items() if own != name.alone}
        self._taken.add(name.alone)
        self.numbered[name.alone] = name
        self.of[operation] = name.alone
        return array(name.alone, operation)

    def has(self, operation: Operation) -> bool:
        """Whether an operation has a name."""
        return operation in self.of

    def read(self, operation: Operation) -> Operation:
        """Return an operation with what has a name read by it."""
        return read(operation, self.of)

    def inside(self, operation: Operation) -> Operation:
        """Return an operation with what has a name inside of it read by that."""
        return read_inside(operation, self.of)


def read(operation: Operation, names: Mapping[Operation, str]) -> Operation:
    """Return an operation with what has a name read by it."""
    if not operation.inputs:
        return operation
    return array(names[operation], operation) if operation in names else read_inside(operation, names)


def read_inside(operation: Operation, names: Mapping[Operation, str]) -> Operation:
    """Return an operation with what has a name inside of it read by that."""
    inputs = tuple([read(i, names) for i in operation.inputs])
    if all(new is old for new, old in zip(inputs, operation.inputs, strict=True)):
        return operation
    axes, shape, whole = operation.axes, operation.shape, operation.whole
    return Operation(operation.kind, inputs, operation.value, axes, shape, whole)


def assignment(
    target: Operation, operation: Operation, names: Names, columns: int | None = None
) -> list[Instruction]:
    """Return what assigns ``operation`` to ``target``; a long one in several statements."""
    if operation.kind == Kind.SCATTER:
        return _scattered(target, operation, names)
    if operation.kind == Kind.TERMS and len(operation.inputs) > _TERMS_OF_A_LINE:
        return _term_by_term(target, operation, names)
    before = _scattered_parts(operation, names)
    taken, value = len(f"{write(target).code} = ") + names.more(target), names.inside(operation)
    if taken + len(write(value).code) + sum(map(names.more, value.inputs)) <= (columns or names.columns):
        return [*before, Assign(target, value)]
    if operation.kind == Kind.TERMS:
        return [*before, *_term_by_term(target, operation, names)]
    if operation.kind in (Kind.ADD, Kind.SUBTRACT):
        first, second = operation.inputs
        if first.shape == operation.shape and not _is_name(first, names):
            start = assignment(target, first, names)
            return [*before, *start, *_changed(target, operation.kind, second, names)]
    parts, value = fitting(taken, operation, names)
    return [*before, *parts, Assign(target, value)]


def _changed(target: Operation, kind: Kind, term: Operation, names: Names) -> list[Instruction]:
    """Return what adds a term to an array or takes it away."""
    if names.has(term):
        return [InPlace(kind, target, names.read(term))]
    parts, value = fitting(len(f"{write(target).code} += ") + names.more(target), term, names)
    return [*parts, InPlace(kind, target, value)]


def _own(target: Operation, start: Operation, names: Names) -> list[Instruction]:
    """Return what assigns numbers that are then changed: copied where something else holds them, too."""
    *before, made = assignment(target, start, names)
    if isinstance(made, Assign) and _is_name(start, names) and made.value.reads:
        made = Assign(made.target, made.value, copied=True)
    return [*before, made]


def _is_name(operation: Operation, names: Names) -> bool:
    """Whether the text of ``operation`` gives numbers that something else holds, too."""
    seen = operation.is_view and _is_name(operation.inputs[0], names)
    return seen or names.has(operation) or operation.is_leaf


def _scattered_parts(operation: Operation, names: Names) -> list[Instruction]:
    """Return what computes what takes statements of its own, under new names."""
    found: list[Instruction] = []
    for part in operation.inputs:
        if names.has(part):
            continue
        if part.kind == Kind.SCATTER:
            found += assignment(names.part(part), part, names)
        else:
            found += _scattered_parts(part, names)
    return found


def _scattered(target: Operation, operation: Operation, names: Names) -> list[Instruction]:
    """Return what makes an array and adds to places of it."""
    start, *updates = operation.inputs
    found = [line for update in updates for line in _scattered_parts(update, names)]
    found += _own(target, start, names)
    for update in updates:
        found += _update(target, update, names)
    return found


def _update(target: Operation, update: Operation, names: Names) -> list[Instruction]:
    """Return what adds to a place of an array."""
    value, *indices = update.inputs
    place = update.value_as(Place)
    negative = value.kind == Kind.NEGATIVE and not names.has(value)
    value = value.inputs[0] if negative else value
    found: list[Instruction] = []
    if place.loops and not value.is_leaf and not names.has(value):
        name = names.free()
        found += assignment(array(name.alone, value), value, names)  # whose own parts may have had that name
        names.give(name, value)

    def scatter(added: Operation) -> Scatter:
        return Scatter(target, place, added, tuple(map(names.read, indices)), negative)

    longer = names.more(target) + sum(map(names.more, indices))
    if width(scatter(_VALUE)) + longer > names.columns:
        for i in indices:
            if not i.is_leaf and not names.has(i):
                found.append(Assign(names.part(i), names.inside(i)))
    if not names.has(value):
        *_, line = lines_of([scatter(_VALUE)], ANY_LENGTH)
        taken = len(line) - len(_VALUE.name) + names.more(target) + sum(map(names.more, indices))
        parts, added = fitting(taken, value, names)
        found += parts
        if taken + names.width(added) > names.columns and not value.is_leaf:  # nothing in it is left to name
            found.append(Assign(names.part(value), added))
    return [*found, scatter(names.read(value))]


_VALUE = Operation(Kind.ARRAY, (), "value")
"""Stands for what is added, to see what room is left."""
_TERMS_OF_A_LINE = 8  # more never fit: a thousand are not even tried


def _term_by_term(target: Operation, operation: Operation, names: Names) -> list[Instruction]:
    """Return what assigns the first term and adds or takes away the others."""
    signs = operation.value_as(Signs).negative
    first, *rest = operation.inputs
    found = _own(target, Operation(Kind.NEGATIVE, (first,)) if signs[0] else first, names)
    for term, negative in zip(rest, signs[1:], strict=True):
        found += _changed(target, Kind.SUBTRACT if negative else Kind.ADD, term, names)
    return found


def fitting(taken: int, operation: Operation, names: Names) -> tuple[list[Instruction], Operation]:
    """Return ``operation`` with parts that have names, and what names these until it fits.

    ``taken`` columns of its line are taken.
    """
    found: list[Instruction] = []
    while True:
        fits = taken + names.width(operation) <= names.columns
        part = None if fits else _longest_part(operation, names)
        if part is None:
            return found, names.inside(operation)
        value = names.inside(part)
        found.append(Assign(names.part(part), value))


def _longest_part(operation: Operation, names: Names) -> Operation | None:
    """Return the longest proper part that fits a line and has no name yet."""
    parts: dict[Operation, int] = {}

    def visit(part: Operation) -> None:
        for inner in part.inputs:
            if inner.kind not in LEAVES and not names.has(inner):
                parts[inner] = names.width(inner)
                visit(inner)

    visit(operation)
    fitting = [part for part, length in parts.items() if length <= names.columns - len("part99 = ")]
    return max(fitting, key=parts.__getitem__, default=None)
