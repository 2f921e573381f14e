"""A component of a quantity as an array: slices, windows, a diagonal or a gather.

What reads outside of its array reads zeros, where slices and windows can say it; a gather reads anything
there.  Only what a guard excludes reads outside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sympy import Expr, Indexed, Integer, Symbol, sympify

from symbackprop.arrays.axes import Axes, excess, surely
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import (
    EVERYTHING,
    Axis,
    Entry,
    Operation,
    Padding,
    Pair,
    Picks,
    Slices,
    Windows,
    number,
)
from symbackprop.equations.affine import Affine
from symbackprop.equations.system import name_of


@dataclass(frozen=True)
class Slot:
    """One axis of a quantity and how it is read; ``affine`` is None where an array of integers is."""

    size: Expr
    affine: Affine | None
    left: Expr
    right: Expr

    @property
    def padded(self) -> Expr:
        """The size of the axis with zeros on both sides."""
        return self.size + self.left + self.right


def read(axes: Axes, component: Indexed, index: Callable[[Expr], Operation]) -> Operation:
    """Return the array of the components that ``component`` reads.

    ``index`` lowers an index expression to an array of integers.
    """
    indices, shape = tuple(component.indices), tuple(component.base.shape)
    whole = bool(component.is_integer)
    if _is_everything(axes, component):
        return Operation(Kind.ARRAY, (), name_of(component), indices, shape, whole)
    slots = _slots(axes, component)
    repeated = _repeated(axes, indices)
    marks: list[Symbol] = [Symbol(f"_.axis{p}", integer=True) for p in range(len(indices))]
    array = Operation(Kind.ARRAY, (), name_of(component), tuple(marks), shape, whole)
    array = _padded(array, slots)
    array = _sliced(axes, array, slots, marks)
    gathered = [p for p, slot in enumerate(slots) if slot.affine is None]
    if gathered:
        positions = {array.axes.index(marks[p]): _inside(axes, indices[p], slots[p], index) for p in gathered}
        array = gather(axes, array, positions)
    for i in repeated:
        if array.axes.count(i) == 2:
            array = _diagonal(array, i)
    return array


def _is_everything(axes: Axes, component: Indexed) -> bool:
    """Whether each axis has an index of its own that runs over it: nothing depends on the sizes."""
    pairs = zip(component.indices, component.base.shape, strict=True)
    runs = all(i in axes.ranges and axes.runs_over(i, n) for i, n in pairs)
    return runs and len(set(component.indices)) == len(component.indices)


def pads(axes: Axes, component: Indexed) -> list[int]:
    """Return the positions at which ``component`` reads zeros outside of its array."""
    if _is_everything(axes, component):
        return []
    return [p for p, slot in enumerate(_slots(axes, component)) if slot.left != 0 or slot.right != 0]


def _slots(axes: Axes, component: Indexed) -> list[Slot]:
    """Return how each axis is read, gathering those that no slice and no window can say."""
    indices = tuple(component.indices)
    slots = [_slot(axes, i, n) for i, n in zip(indices, component.base.shape, strict=True)]
    for i in _repeated(axes, indices):
        readers = [p for p, e in enumerate(indices) if i in e.free_symbols]
        plain = all(indices[p] == i and slots[p].affine is not None for p in readers) and len(readers) == 2
        if not plain:
            for p in readers:
                slots[p] = _gathered(slots[p])
    return slots


def _slot(axes: Axes, expression: Expr, size: Expr) -> Slot:
    n, zero = axes.number(size), Integer(0)
    affine = axes.affine(expression)
    if affine is None or len(affine.slopes) > 2:
        return Slot(n, None, zero, zero)
    low, high = axes.bounds(affine)
    slot = Slot(n, affine, excess(-low), excess(high - n + 1))
    window = _window(axes, affine)[1:] if len(affine.slopes) == 2 else ()
    known = all(isinstance(axes.extent(i), Integer) for i in window)
    if not (known and isinstance(slot.left, Integer) and isinstance(slot.right, Integer)):
        return _gathered(slot)
    return slot


def _gathered(slot: Slot) -> Slot:
    return Slot(slot.size, None, Integer(0), Integer(0))


def _repeated(axes: Axes, indices: Sequence[Expr]) -> list[Symbol]:
    counts = Counter(i for e in indices for i in e.free_symbols if i in axes.ranges)
    return [i for i in axes.ranges if counts[i] > 1]


def _window(axes: Axes, affine: Affine) -> tuple[Symbol, ...]:
    """Return the indices of a slot: the one with the smaller range last, which the window follows."""
    return tuple(sorted(affine.slopes, key=lambda i: -axes.nominal(i)))


def _padded(array: Operation, slots: Sequence[Slot]) -> Operation:
    widths = tuple((int(slot.left), int(slot.right)) for slot in slots)
    if not any(map(any, widths)):
        return array
    shape = tuple(n + sum(w) for n, w in zip(array.shape, widths, strict=True))
    return Operation(Kind.PAD, (array,), Padding(widths), array.axes, shape)


def _sliced(axes: Axes, array: Operation, slots: Sequence[Slot], marks: list[Symbol]) -> Operation:
    """Return the windows and slices of a padded array."""
    entries: list[Entry] = [EVERYTHING] * len(slots)
    names: list[Axis] = list(marks)
    lengths: dict[int, int] = {}
    for p, slot in enumerate(slots):
        if slot.affine is None:
            continue
        offset, slopes = slot.affine.offset + slot.left, slot.affine.slopes
        if not slopes:
            entries[p] = place(offset, slot.padded)
            continue
        outer, *inner = _window(axes, slot.affine)
        length = 1
        for i in inner:
            count = int(axes.extent(i))
            length = abs(slopes[i]) * (count - 1) + 1
            offset += min(0, slopes[i] * (count - 1))
            lengths[p] = length
            start = 0 if slopes[i] > 0 else length - 1
            entries.append(cut(Integer(start), slopes[i], Integer(count), Integer(length)))
            names.append(i)
        entries[p] = cut(offset, slopes[outer], axes.extent(outer), slot.padded - length + 1)
        names[p] = outer
    if lengths:
        shape = (*(n - lengths.get(p, 1) + 1 for p, n in enumerate(array.shape)), *lengths.values())
        value = Windows(tuple(lengths.values()), tuple(lengths))
        array = Operation(Kind.WINDOWS, (array,), value, tuple(names), tuple(map(sympify, shape)))
    return subscript(axes, array, entries, names)


def subscript(axes: Axes, array: Operation, entries: Sequence[Entry], names: Sequence[Axis]) -> Operation:
    """Return the places and slices of ``array``; ``names`` are the indices along its axes."""
    kept = [p for p, entry in enumerate(entries) if not isinstance(entry, int)]
    left = tuple(names[p] for p in kept)
    shape = tuple(axes.ranges.get(i, array.shape[p]) for p, i in zip(kept, left, strict=True))
    if all(entry == EVERYTHING for entry in entries):
        return replace(array, axes=left, shape=shape)
    return Operation(Kind.SUBSCRIPT, (array,), Slices(tuple(entries)), left, shape)


def place(offset: Expr, size: Expr) -> int:
    """Return a constant place on an axis, counted from the end where its number is known at run time."""
    return int(offset) if isinstance(offset, Integer) else int(offset - size)


def cut(start: Expr, step: int, count: Expr, size: Expr) -> Entry:
    """Return the slice of ``count`` places from ``start`` on an axis of ``size``."""
    last = start + step * (count - 1)
    if step > 0:
        left = size - 1 - last  # places behind the last
        stop = None if isinstance(left, Integer) and left < step else last + 1
        first = None if start == 0 else start
    else:
        stop = None if isinstance(last, Integer) and last < -step else last - 1
        first = None if start == size - 1 else start
    found = [None if at is None else place(at, size) for at in (first, stop)]
    return (found[0], found[1], None if step == 1 else step)


def gather(axes: Axes, array: Operation, positions: dict[int, Operation]) -> Operation:
    """Return the components of ``array`` at the integers that ``positions`` holds for some axes."""
    indices, common = axes.together(tuple(positions.values()))
    picks = tuple(list(positions).index(p) if p in positions else None for p in range(len(array.axes)))
    names = gathered_axes(picks, array.axes, common)
    return Operation(Kind.GATHER, (array, *indices), Picks(picks), names, _shape(axes, array, names))


def gathered_axes(marks: Sequence[object], names: Sequence[Axis], common: Sequence[Axis]) -> tuple[Axis, ...]:
    """Return the axes after indexing with integer arrays at the marked positions, as NumPy orders them.

    The axes of the integers take the place of those positions, or come first if these lie apart.
    """
    at = [p for p, mark in enumerate(marks) if mark is not None]
    rest = [names[p] for p in range(len(marks)) if p not in at]
    side_by_side = at[-1] - at[0] == len(at) - 1
    first = at[0] if side_by_side else 0
    return (*rest[:first], *common, *rest[first:])


def _shape(axes: Axes, array: Operation, names: Sequence[Axis]) -> tuple[Expr, ...]:
    own = dict(zip(array.axes, array.shape, strict=True))
    return tuple(own[i] if i in own else axes.ranges[i] for i in names if i is not None)


def _inside(axes: Axes, expression: Expr, slot: Slot, index: Callable[[Expr], Operation]) -> Operation:
    """Return the integers of an index; kept inside of the array where only a guard excludes others."""
    affine = axes.affine(expression)
    operation = index(expression)
    if affine is None:
        plain = not axes.guarded or isinstance(expression, (Indexed, Symbol))
    else:
        low, high = axes.bounds(affine)
        plain = surely(low) and surely(slot.size - 1 - high)
    if plain:
        return operation
    last = axes.dimension(slot.size - 1)
    return axes.elementwise(Kind.CLIP, operation, number(0), last)


def _diagonal(array: Operation, i: Symbol) -> Operation:
    first, second = (p for p, axis in enumerate(array.axes) if axis == i)
    rest = [p for p in range(len(array.axes)) if p not in (first, second)]
    names = (*(array.axes[p] for p in rest), i)
    shape = (*(array.shape[p] for p in rest), array.shape[first])
    return Operation(Kind.DIAGONAL, (array,), Pair(first, second), names, shape)
