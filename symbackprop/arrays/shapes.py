"""The shape that comes of an operation's inputs and value, by NumPy's rules on symbolic sizes.

Where it cannot be decided whether two sizes are equal, or whether a place is on its axis, they are and it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import starmap

from sympy import Expr, Integer, Mul, ceiling, expand

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import (
    Entry,
    Number,
    Operation,
    Order,
    Padding,
    Pair,
    Picks,
    Place,
    Product,
    Reduction,
    Sizes,
    Slices,
    Stride,
    Turn,
    Windows,
)
from symbackprop.equations.system import ONE

Shape = tuple[Expr, ...]


class WrongOperation(AssertionError):
    """An operation breaks a rule of its kind; the message says where it stands, and what is wrong."""


def need(condition: bool, rule: str, *about: object) -> None:
    """Raise `WrongOperation`, with the rule and what it is about, unless ``condition`` holds."""
    if not condition:
        raise WrongOperation(f"{rule}: {', '.join(map(str, about))}" if about else rule)


# ---------------------------------------------------------------- sizes and places


@lru_cache(maxsize=1024)
def _same(first: Expr, second: Expr) -> bool:
    """Whether two sizes can be equal."""
    return bool(first == second) or expand(first - second).is_zero is not False


@lru_cache(maxsize=1024)
def _fits(room: Expr) -> bool:
    """Whether a number can be 0 or more."""
    return expand(room).is_nonnegative is not False


def equal(first: Sequence[Expr], second: Sequence[Expr]) -> bool:
    """Whether two shapes can be equal."""
    return len(first) == len(second) and all(map(_same, first, second))


def broadcast(operation: Operation, *shapes: Shape) -> Shape:
    """Return the shape of arrays that are broadcast together."""
    rank = max(map(len, shapes))
    return tuple(starmap(_common, zip(*[(ONE,) * (rank - len(s)) + s for s in shapes], strict=True)))


def _common(*sizes: Expr) -> Expr:
    longer = [n for n in sizes if n != 1] or [ONE]
    need(all(_same(longer[0], n) for n in longer), "sizes that broadcast", *sizes)
    return longer[0]


def _need_into(shape: Shape, whole: Shape) -> None:
    """See that an array can be broadcast to a shape."""
    sizes = zip(shape[::-1], whole[::-1], strict=False)
    goes = len(shape) <= len(whole) and all(n == 1 or _same(n, m) for n, m in sizes)
    need(goes, "a shape that is broadcast to the other", shape, whole)


def _need_axes(axes: Sequence[int], shape: Shape) -> None:
    """See that numbers are those of different axes."""
    inside = all(0 <= axis < len(shape) for axis in axes)
    need(inside and len(set(axes)) == len(axes), "different axes", axes, shape)


def _need_all(numbers: Sequence[int | None], count: int) -> None:
    """See that each of so many is named once, beside None."""
    need(sorted(n for n in numbers if n is not None) == list(range(count)), "each once", numbers, count)


def _taken(entry: Entry, size: Expr) -> Shape:
    """Return the shape of what is taken of an axis; places are on it."""
    if isinstance(entry, Turn):  # where it is is decided by the loop
        return ()
    if isinstance(entry, int):
        need(_fits(size - 1 - entry) and _fits(size + entry), "a place on the axis", entry, size)
        return ()
    step = entry[2] or 1
    ends = (Integer(0), size) if step > 0 else (size - 1, Integer(-1))
    first, last = (
        end if at is None else size + at if at < 0 else Integer(at)
        for at, end in zip(entry[:2], ends, strict=True)
    )
    low, high = (first, last) if step > 0 else (last + 1, first + 1)
    need(_fits(low) and _fits(high - low) and _fits(size - high), "a slice of the axis", entry, size)
    return (expand(ceiling(expand(high - low) / abs(step))),)


def _at_integers(taken: Sequence[Expr | None], common: Shape) -> Shape:
    """Return the shape after indexing where ``taken`` is None by integers that have the shape ``common``.

    It takes the place of these axes, or comes first if they lie apart.
    """
    at = [p for p, n in enumerate(taken) if n is None]
    before = at[0] if at and at == list(range(at[0], at[-1] + 1)) else 0
    left = [n for n in taken if n is not None]
    return (*left[:before], *common, *left[before:])


def _need_written(sizes: Sequence[int | Expr], shape: Shape) -> None:
    """See that a shape is that of the code, where -1 or a name stands for what is known at run time."""
    need(len(sizes) == len(shape) and sizes.count(-1) <= 1, "the shape as in the code", sizes, shape)
    known = [(n, m) for n, m in zip(sizes, shape, strict=True) if isinstance(n, int) and n != -1]
    need(all(_same(Integer(n), m) for n, m in known), "the shape as in the code", sizes, shape)


# ---------------------------------------------------------------- the shape of each kind


def as_declared(operation: Operation) -> Shape:
    """The shape that is declared: nothing else says that of an array."""
    return operation.shape


def scalar(operation: Operation, *inner: Shape) -> Shape:
    """That of a number, which is made of numbers."""
    need(not any(inner), "a number is made of numbers", *inner)
    return ()


def layout(operation: Operation, inner: Shape) -> Shape:
    """Axes in another order, or new ones of length 1."""
    positions = operation.value_as(Order).positions
    _need_all(positions, len(inner))
    kept = [p for p in positions if p is not None]
    need(kept == sorted(kept) or None not in positions, "axes transposed, or new ones", positions)
    return tuple(ONE if p is None else inner[p] for p in positions)


def subscript(operation: Operation, inner: Shape) -> Shape:
    """The axes of which a slice is taken."""
    entries = operation.value_as(Slices).entries
    need(len(entries) == len(inner), "an entry for each axis", entries, inner)
    return tuple(n for each in map(_taken, entries, inner) for n in each)


def windows(operation: Operation, inner: Shape) -> Shape:
    """The places of windows, then the windows' own axes."""
    value = operation.value_as(Windows)
    _need_axes(value.axes, inner)
    need(len(value.lengths) == len(value.axes), "a length for each axis", value)
    lengths = dict(zip(value.axes, value.lengths, strict=True))
    places = tuple(n - lengths.get(p, 1) + 1 for p, n in enumerate(inner))
    need(min(value.lengths) > 0 and all(_fits(n - 1) for n in places), "windows inside", value, inner)
    return (*places, *map(Integer, value.lengths))


def diagonal(operation: Operation, inner: Shape) -> Shape:
    """The axes that are left, then that of the two."""
    pair = operation.value_as(Pair)
    axes = (pair.first, pair.second)
    _need_axes(axes, inner)
    need(_same(inner[axes[0]], inner[axes[1]]), "equally long axes", pair, inner)
    return (*(n for p, n in enumerate(inner) if p not in axes), inner[axes[0]])


def reshape(operation: Operation, inner: Shape) -> Shape:
    """As declared, for as many components."""
    _need_written(operation.value_as(Sizes).sizes, operation.shape)
    need(_same(Mul(*inner), Mul(*operation.shape)), "as many components", inner, operation.shape)
    return operation.shape


def matmul(operation: Operation, first: Shape, second: Shape) -> Shape:
    """Leading axes broadcast; the last of the first and the last but one of the second are summed."""
    need(bool(first and second), "both sides have axes", first, second)
    terms, others = first[-1], second[-2:][0]
    need(_same(terms, others), "the terms of both sides", terms, others)
    found = (*broadcast(operation, first[:-2], second[:-2]), *first[-2:-1], *second[-2:][1:])
    if operation.value is None:
        need(len(found) <= 2, "a product that says its shape", found)
    else:
        product = operation.value_as(Product)
        _need_written((product.terms, *product.sizes), (terms, *found))
    return found


def einsum(operation: Operation, *inner: Shape) -> Shape:
    """The axes of the letters behind the arrow."""
    operands, _, result = operation.value_as(str).partition("->")
    ranks = [len(letters) for letters in operands.split(",")]
    need(ranks == [len(shape) for shape in inner], "a letter for each axis", operands, *inner)
    sizes: dict[str, Expr] = {}
    for letter, n in zip(operands.replace(",", ""), [n for shape in inner for n in shape], strict=True):
        need(_same(sizes.setdefault(letter, n), n), "one size for a letter", letter, sizes[letter], n)
    need(set(result) <= set(sizes) and len(set(result)) == len(result), "letters of operands", result)
    return tuple(sizes[letter] for letter in result)


def vdot(operation: Operation, first: Shape, second: Shape) -> Shape:
    """That of a number, of as many components on both sides."""
    need(_same(Mul(*first), Mul(*second)), "as many components", first, second)
    return ()


def reduction(operation: Operation, inner: Shape) -> Shape:
    """The axes that are not reduced, and those that are with length 1 where they stay."""
    value = operation.value_as(Reduction)
    several = tuple(range(len(inner))) if value.axes is None else value.axes
    axes = (several,) if isinstance(several, int) else several
    _need_axes(axes, inner)
    need(len(axes) > 0, "something is reduced", value, inner)
    return tuple(ONE if p in axes else n for p, n in enumerate(inner) if value.kept or p not in axes)


def arg_max(operation: Operation, inner: Shape) -> Shape:
    """The axes but for one."""
    axis = operation.value_as(int)
    _need_axes((axis,), inner)
    return (*inner[:axis], *inner[axis + 1 :])


def running(operation: Operation, inner: Shape) -> Shape:
    """All axes, of which one is that of the sums."""
    _need_axes((operation.value_as(int),), inner)
    return inner


def pad(operation: Operation, inner: Shape) -> Shape:
    """Each axis longer by its zeros."""
    widths = operation.value_as(Padding).widths
    need(len(widths) == len(inner) and min(map(min, widths)) >= 0, "zeros around each axis", widths, inner)
    return tuple(n + sum(width) for n, width in zip(inner, widths, strict=True))


def gather(operation: Operation, array: Shape, *integers: Shape) -> Shape:
    """The axes of which all is taken, and those of the integers where the others were."""
    picks = operation.value_as(Picks).indices
    need(len(picks) == len(array), "an entry for each axis", picks, array)
    _need_all(picks, len(integers))
    taken = [n if p is None else None for p, n in zip(picks, array, strict=True)]
    return _at_integers(taken, broadcast(operation, *integers))


def made(operation: Operation, *sizes: Shape) -> Shape:
    """The shape that the inputs give, of which some are plain numbers."""
    need(len(sizes) == len(operation.shape) and not any(sizes), "a number for each axis", *sizes)
    last = operation.inputs[len(operation.inputs) - len(sizes) :]
    numbers = [i.value_as(Number).value if i.kind == Kind.NUMBER else None for i in last]
    return tuple(n if m is None else m for m, n in zip(numbers, operation.shape, strict=True))


def filled(operation: Operation, value: Shape, *sizes: Shape) -> Shape:
    """The shape that the last inputs give; the first one is broadcast to it."""
    _need_into(value, operation.shape)
    return made(operation, *sizes)


def scatter(operation: Operation, start: Shape, *updates: Shape) -> Shape:
    """That of the first input, to parts of which values of their shapes are added."""
    for update in operation.inputs[1:]:
        value, *integers = (i.shape for i in update.inputs)
        place = update.value_as(Place)
        turns = [Integer(place.loops[n]) for n in place.looped]
        need(equal(value[: len(turns)], turns), "an axis for each loop", value, turns)
        region = integers[0] if place.flat else _region(operation, place, integers)
        _need_into(value[len(turns) :], region)
    return start


def _region(operation: Operation, place: Place, integers: Sequence[Shape]) -> Shape:
    """Return the shape of the part to which one turn of the loops adds."""
    need(len(place.entries) == len(operation.shape), "an entry for each axis", place, operation.shape)
    taken: list[Expr | None] = []
    for entry, n in zip(place.entries, operation.shape, strict=True):
        if isinstance(entry, str):
            taken.append(None)
            continue
        if isinstance(entry, Stride):
            _need_inside(entry, place.loops, n)
            entry = (entry.start, entry.stop, entry.step)
        taken += _taken(entry, n) or ([None] if integers else [])  # beside integers a place is one, too
    return _at_integers(taken, broadcast(operation, (), *integers))


def _need_inside(stride: Stride, loops: tuple[int, ...], size: Expr) -> None:
    """See that the last turns of the loops do not move a slice beyond the ends of its axis."""
    moves = [slope * (turns - 1) for slope, turns in zip(stride.slopes, loops, strict=True)]
    low, high = sum(m for m in moves if m < 0), sum(m for m in moves if m > 0)
    end = size if stride.stop is None else Integer(stride.stop)
    stays = stride.start + low >= 0 and (not high or _fits(size - end - high))
    need(stays, "a slice that stays on the axis", stride, loops, size)


def update(operation: Operation, value: Shape, *integers: Shape) -> Shape:
    """None of its own: its place says where it goes in a scatter."""
    place = operation.value_as(Place)
    _need_all([int(entry) for entry in place.entries if isinstance(entry, str)], len(integers))
    strides = [entry for entry in place.entries if isinstance(entry, Stride)]
    need(all(len(stride.slopes) == len(place.loops) for stride in strides), "a slope for each loop", place)
    _need_axes(place.looped, tuple(map(Integer, place.loops)))
    need(place.entries == ("0",) or not place.flat, "places of the flat array are integers", place)
    return ()
