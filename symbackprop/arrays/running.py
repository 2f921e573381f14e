"""Running sums: Σ_m a[m] over m <= n, for every n at once, costs as much as one sum over all m."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sympy import Expr, Symbol

from symbackprop.arrays.axes import Axes
from symbackprop.arrays.guards import inequality
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import EVERYTHING, Entry, Operation, Padding, Slices


@dataclass(frozen=True)
class Terms:
    """A sum over ``summed`` of the product of ``factors`` where ``conditions`` hold."""

    factors: tuple[Expr, ...]
    conditions: tuple[Expr, ...]
    summed: tuple[Symbol, ...]

    def read(self, i: Symbol) -> bool:
        """Whether an index stands in it."""
        return any(i in part.free_symbols for part in (*self.factors, *self.conditions))

    def split(self, i: Symbol) -> tuple[Terms, Terms]:
        """Return the product of what reads ``i``, and that of the rest; sums over what both read are left."""
        inner, rest = self._parts(i, reading=True), self._parts(i, reading=False)
        own = tuple(s for s in self.summed if s != i and inner.read(s) and not rest.read(s))
        left = tuple(s for s in self.summed if s != i and s not in own)
        return replace(inner, summed=own), replace(rest, summed=left)

    def _parts(self, i: Symbol, reading: bool) -> Terms:
        factors, conditions = (
            tuple(part for part in parts if (i in part.free_symbols) == reading)
            for parts in (self.factors, self.conditions)
        )
        return Terms(factors, conditions, ())


@dataclass(frozen=True)
class Running:
    """A sum along an index up to ``until``: up to it or, ``backwards``, from it on.

    ``apart`` is 1 where the component at ``until`` itself does not count, else 0.
    """

    along: Symbol
    until: Symbol
    backwards: bool
    apart: int


def running(axes: Axes, product: Terms) -> tuple[Running, Terms, Terms] | None:
    """Return how a sum runs along an index, what is summed so, and what that is multiplied by.

    None where no condition is such an order of two indices, or where what is summed depends on both.
    """
    for condition in product.conditions:
        found = _order(axes, condition, product.summed)
        if found is None:
            continue
        others = tuple(c for c in product.conditions if c is not condition)
        inner, outer = Terms(product.factors, others, product.summed).split(found.along)
        if inner.factors and not inner.read(found.until):
            return found, inner, outer
    return None


def _order(axes: Axes, condition: Expr, summed: Sequence[Symbol]) -> Running | None:
    """Return what a condition such as m <= n makes of a sum over m."""
    room = inequality(axes, condition)
    affine = None if room is None else axes.affine(room)
    if affine is None or -affine.offset not in (0, 1) or sorted(affine.slopes.values()) != [-1, 1]:
        return None
    along = next((i for i in affine.slopes if i in summed), None)
    if along is None:
        return None
    (until,) = (i for i in affine.slopes if i != along)
    if not axes.runs_over(until, axes.ranges[along]):
        return None
    return Running(along, until, affine.slopes[along] == 1, -int(affine.offset))


def accumulated(array: Operation, found: Running) -> Operation:
    """Return the running sum along the axis of ``array`` that is summed, which then runs along the other."""
    position = array.axes.index(found.along)
    total = _reversed(array, position) if found.backwards else array
    total = Operation(Kind.CUMSUM, (total,), position, total.axes, total.shape)
    total = _moved(total, position) if found.apart else total
    total = _reversed(total, position) if found.backwards else total
    axes = tuple(found.until if i == found.along else i for i in total.axes)
    return Operation(total.kind, total.inputs, total.value, axes, total.shape)


def _reversed(array: Operation, position: int) -> Operation:
    return _taken(array, position, (None, None, -1), array.shape)


def _moved(array: Operation, position: int) -> Operation:
    """Return an array one place further on, with 0 at the first."""
    shape = list(array.shape)
    shape[position] -= 1
    kept = _taken(array, position, (None, -1, None), tuple(shape))
    widths = tuple((int(n == position), 0) for n in range(len(shape)))
    return Operation(Kind.PAD, (kept,), Padding(widths), array.axes, array.shape)


def _taken(array: Operation, position: int, entry: Entry, shape: tuple[Expr, ...]) -> Operation:
    entries = tuple(entry if n == position else EVERYTHING for n in range(len(shape)))
    return Operation(Kind.SUBSCRIPT, (array,), Slices(entries), array.axes, shape)
