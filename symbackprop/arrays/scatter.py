"""Sums that write to places of the result: deltas that are left, and guards that say the same.

``sum over b of delta(i, token[b]) v[b]`` adds v[b] at i = token[b].  A guard such as 0 <= i - 2h < K is the
sum over u of delta(i, 2h + u): for each u, a strided slice of the result gets its share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import permutations

from sympy import Add, Eq, Expr, Ge, Indexed, Integer, KroneckerDelta, Le, Mul, Sum, Symbol, expand

from symbackprop.arrays.axes import Axes, excess, surely
from symbackprop.arrays.guards import Product, inequality, normal, simplified
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import EVERYTHING, Axis, Entry, Operation, Place, Sizes, Stride, number
from symbackprop.arrays.reads import gathered_axes, subscript
from symbackprop.equations.affine import Affine
from symbackprop.equations.indices import RangeList, fresh, open_sum, rename
from symbackprop.equations.system import ONE, ZERO


@dataclass
class Scattered:
    """A product with the place in the result of each index that it no longer reads.

    ``inner`` are the indices that the result has not: what is summed, and what was brought in.  ``solved``
    are those of them that stand nowhere any more.
    """

    factors: list[Expr]
    conditions: list[Expr]
    inner: set[Symbol]
    places: dict[Symbol, Expr] = field(default_factory=dict)
    solved: set[Symbol] = field(default_factory=set)

    def copy(self, conditions: Sequence[Expr]) -> Scattered:
        """Return the same product under other conditions."""
        return Scattered(
            list(self.factors), list(conditions), set(self.inner), dict(self.places), set(self.solved)
        )

    def put(self, i: Symbol, place: Expr) -> None:
        """Write ``place`` for the index ``i`` of the result."""
        mapping = {i: place}
        self.factors = [_expanded(rename(f, mapping)) for f in self.factors]
        self.conditions = [rename(c, mapping) for c in self.conditions]
        self.places = {j: expand(rename(at, mapping)) for j, at in self.places.items()} | {i: expand(place)}


def scattered(axes: Axes, product: Product, summed: Sequence[Symbol]) -> Scattered | None:
    """Return ``product`` as values for places of the result; None where nothing has to be scattered."""
    factors, conditions = product
    found = Scattered(list(factors), list(conditions), set(summed))
    _solve_deltas(axes, found)
    while (solved := _by_guard(axes, found)) is not None:
        found = solved
    found.places = {i: _moving(axes, place, found.inner) for i, place in found.places.items()}
    found.conditions = [*_without_places(axes, found), *_inside(axes, found)]
    return found if found.places or len(found.inner) > len(summed) else None


def _moving(axes: Axes, place: Expr, inner: set[Symbol]) -> Expr:
    """Return a place of several letters without the summed ones that are always 0, like `Axes.affine`."""
    letters = [i for i in axes.ranges if i in place.free_symbols]
    still = [i for i in letters if i in inner and axes.extent(i) == 1]
    return place.xreplace(dict.fromkeys(still, ZERO)) if len(letters) > 1 else place


def _inside(axes: Axes, found: Scattered) -> list[Expr]:
    """Return the conditions that places, reached by integers, are in the result: a delta is zero outside."""
    said = {inequality(axes, c) for c in found.conditions}
    ends = []
    for i, place in found.places.items():
        if axes.affine(place) is not None and not _cuts_off(axes, found, i):
            ends += [Ge(place, 0, evaluate=False), Le(place, axes.ranges[i] - 1, evaluate=False)]
    return [c for c in simplified(axes, ends) if inequality(axes, c) not in said]


def _without_places(axes: Axes, found: Scattered) -> list[Expr]:
    """Return the conditions that are not said by the ends of the result: what goes beyond them is cut off."""
    said = set()
    for i, place in found.places.items():
        if _cuts_off(axes, found, i):
            said |= {normal(axes, place), normal(axes, axes.ranges[i] - 1 - place)}
    return [c for c in found.conditions if (d := inequality(axes, c)) is None or d not in said]


def _solve_deltas(axes: Axes, found: Scattered) -> None:
    """Take out the deltas: each gives an index of the result its place."""
    while (delta := next((f for f in found.factors if isinstance(f, KroneckerDelta)), None)) is not None:
        found.factors.remove(delta)
        first, second = delta.args[:2]
        for i, place in ((first, second), (second, first)):
            if i in axes.ranges and i not in found.inner and i not in place.free_symbols:
                found.put(i, place)
                break
        else:  # between summed indices: a condition like others
            found.conditions.append(Eq(first, second, evaluate=False))


def _by_guard(axes: Axes, found: Scattered) -> Scattered | None:
    """Return ``found`` with one pair of conditions low <= i - a h <= high solved for i = a h + u."""
    known = [(c, axes.affine(d)) for c in found.conditions if (d := inequality(axes, c)) is not None]
    for (lower, at_least), (upper, at_most) in permutations(known, 2):
        if at_least is None or at_most is None or not _opposite(at_least, at_most):
            continue
        count = expand(at_least.offset + at_most.offset + 1)
        for i in _solvable(axes, at_least, found.inner, count):
            u = fresh(i)
            low = -at_least.offset if at_least.slopes[i] > 0 else -at_most.offset
            others = {j: a * at_least.slopes[i] for j, a in at_least.slopes.items() if j != i}
            rest = [c for c in found.conditions if c not in (lower, upper)]
            if i in found.inner:  # no more than an index of the sum
                n = axes.ranges[i]
                rest += [Ge(i, 0, evaluate=False), Le(i, n - 1, evaluate=False)]
            axes.ranges[u] = count
            solved = found.copy(rest)
            solved.inner.add(u)
            solved.put(i, u + low - sum(a * j for j, a in others.items()))
            if i in found.inner:
                del solved.places[i]
                solved.solved.add(i)
            solved.conditions = simplified(axes, solved.conditions)
            reads = {e for f in solved.factors for read in f.atoms(Indexed) for e in read.indices}
            if all(_is_simple(axes, e, 1 + (i in found.inner)) for e in reads if e.has(u)):
                return solved
            del axes.ranges[u]
    return None


def _opposite(first: Affine, second: Affine) -> bool:
    return bool(first.slopes) and first.slopes == {i: -slope for i, slope in second.slopes.items()}


def _solvable(axes: Axes, affine: Affine, inner: set[Symbol], count: Expr) -> list[Symbol]:
    """Return the indices that a condition is solved for.

    First one of the result that a summed one of the other sign moves along with; then a summed one that
    moves along with one of the result, where few of its values are within the condition.
    """
    found = []
    for i, slope in affine.slopes.items():
        turning = [j for j in affine.slopes if affine.slopes[j] * slope < 0]
        if slope in (1, -1) and count.is_positive:
            outer = i not in inner and any(j in inner for j in turning)
            few = i in inner and turning and all(j not in inner for j in turning)
            if outer or (few and (axes.extent(i) - count).is_positive):
                found.append(i)
    return sorted(found, key=lambda i: i in inner)


def _is_simple(axes: Axes, expression: Expr, most: int) -> bool:
    """Whether at most so many indices run along an axis, and in the same direction."""
    affine = axes.affine(expression)
    if affine is None:
        return bool(expression.has(Indexed))
    return len(affine.slopes) <= most and all(slope > 0 for slope in affine.slopes.values())


def _expanded(expression: Expr) -> Expr:
    """Return ``expression`` with the terms of its index expressions collected."""
    mapping = {r: r.base[tuple(expand(i) for i in r.indices)] for r in expression.atoms(Indexed)}
    return expression.xreplace({old: new for old, new in mapping.items() if old != new})


def loops_first(axes: Axes, found: Scattered) -> None:
    """Order the axes so that the long ones, along which slices run, come after those of the loops."""
    for place in found.places.values():
        affine = axes.affine(place)
        *turns, along = _by_size(axes, affine) if affine and affine.slopes else [None]
        rest = [i for i in axes.ranges if i not in turns]
        if turns:
            at = rest.index(along)
            axes.ranges = {i: axes.ranges[i] for i in [*rest[:at], *turns, *rest[at:]]}


# ---------------------------------------------------------------- the operation


def _cuts_off(axes: Axes, found: Scattered, i: Symbol) -> bool:
    """Whether slices reach the places of an index: what goes beyond the ends of the result is cut off."""
    own = found.places[i].free_symbols & set(axes.ranges)
    alone = not any(own & place.free_symbols for j, place in found.places.items() if j != i)
    return alone and own <= found.inner and _can_stride(axes, i, found.places[i])


@dataclass(frozen=True)
class _Axis:
    """One axis of the result: how it is reached, the index along it, and the zeros beyond its ends."""

    entry: Entry | Stride | str
    along: Symbol | None = None
    left: Expr = ZERO
    right: Expr = ZERO


def scatter(axes: Axes, value: Operation, found: Scattered, index: Callable[[Expr], Operation]) -> Operation:
    """Return the array in which ``value`` is added at the places of ``found``, and that is zero elsewhere."""
    read = {j for place in found.places.values() for j in place.free_symbols}
    own = ({a for a in value.axes if a is not None} | read) - found.inner
    target = tuple(i for i in axes.ranges if i in found.places or i in own)
    places = {i: found.places.get(i, i) for i in target}
    gathered = _gathered(axes, places)
    loops = _loops(axes, [places[i] for i in target if i not in gathered])
    reached: list[_Axis] = []
    indices: list[Operation] = []
    for i in target:
        if i in gathered:
            reached.append(_Axis(str(len(indices))))
            indices.append(_within(axes, i, places[i], index))
        else:
            reached.append(_strided(axes, i, places[i], loops))
    moved = {j for i in gathered for j in places[i].free_symbols & set(axes.ranges)}
    flat = None if moved <= set(target) else _flat(axes, value, places, gathered, index)
    update = flat or _update(axes, value, reached, indices, loops, full=not moved <= set(target))
    place = Place(
        entries=("0",) if flat else tuple(axis.entry for axis in reached),
        loops=() if flat else tuple(int(axes.extent(u)) for u in loops),
        looped=tuple(n for n, u in enumerate(loops) if u in value.axes),
        unique=moved <= set(target),
        flat=flat is not None and len(target) > 1,
    )
    widths = [axis.left + axis.right for axis in reached]
    shape = tuple(axes.ranges[i] + w for i, w in zip(target, widths, strict=True))
    start = Operation(Kind.ZEROS, axes.dimensions(shape), None, target, shape)
    operation = Operation(Kind.UPDATE, update, place)
    whole = Operation(Kind.SCATTER, (start, operation), None, target, shape)
    cropped: list[Entry] = [(int(a.left) or None, -int(a.right) or None, None) for a in reached]
    return subscript(axes, whole, cropped, target)


def _within(axes: Axes, i: Symbol, place: Expr, index: Callable[[Expr], Operation]) -> Operation:
    """Return the integers of a place; kept inside of the result where a condition alone excludes others."""
    affine = axes.affine(place)
    n = axes.extent(i)
    if affine is None:
        plain = not axes.guarded or isinstance(place, (Indexed, Symbol))
    else:
        low, high = axes.bounds(affine)
        plain = surely(low) and surely(n - 1 - high)
    return (
        index(place) if plain else axes.elementwise(Kind.CLIP, index(place), number(0), axes.dimension(n - 1))
    )


def _gathered(axes: Axes, places: dict[Symbol, Expr]) -> set[Symbol]:
    """Return the axes of the result that are reached by integers and not by slices."""
    reads = {i: place.free_symbols & set(axes.ranges) for i, place in places.items()}
    shared = {i for i in places for j in places if i != j and reads[i] & reads[j]}
    return shared | {i for i, place in places.items() if not _can_stride(axes, i, place)}


def _can_stride(axes: Axes, i: Symbol, place: Expr) -> bool:
    """Whether slices reach the places, moved by loops whose numbers of turns are known."""
    affine = axes.affine(place)
    if affine is None or place == i:
        return bool(place == i)
    low, high = axes.bounds(affine)
    n = axes.extent(i)
    *turns, along = [*_by_size(axes, affine)] or [None]
    behind = excess(high - n + 1) + n - high
    numbers = [affine.offset, excess(-low), excess(high - n + 1), *map(axes.extent, turns)]
    numbers.append(high if turns or isinstance(high, Integer) else behind)
    return all(isinstance(n, Integer) for n in numbers) and (along is None or affine.slopes[along] > 0)


def _by_size(axes: Axes, affine: Affine) -> list[Symbol]:
    """Return the indices of a place, the one with the largest range last: a slice runs along it."""
    return sorted(affine.slopes, key=lambda i: (axes.nominal(i), affine.slopes[i]))


def _loops(axes: Axes, places: Sequence[Expr]) -> list[Symbol]:
    found: list[Symbol] = []
    for place in places:
        affine = axes.affine(place)
        assert affine is not None
        found += _by_size(axes, affine)[:-1]
    return found


def _strided(axes: Axes, i: Symbol, place: Expr, loops: Sequence[Symbol]) -> _Axis:
    """Return how slices reach ``place`` on the axis of ``i``."""
    if place == i:
        return _Axis(EVERYTHING, i)
    affine = axes.affine(place)
    assert affine is not None
    low, high = axes.bounds(affine)
    n = axes.extent(i)
    left, right = excess(-low), excess(high - n + 1)
    start = int(affine.offset + left)
    if not affine.slopes:
        return _Axis(start, None, left, right)
    *turns, along = _by_size(axes, affine)
    step = affine.slopes[along]
    stop = start + step * (axes.extent(along) - 1) + 1
    behind = n + left + right - stop
    if not turns and isinstance(behind, Integer) and behind < step:
        end = None
    else:
        end = int(stop) if isinstance(stop, Integer) else -int(behind)
    slopes = tuple(affine.slopes[u] if u in turns else 0 for u in loops)
    return _Axis(Stride(start, end, step, slopes), along, left, right)


def _flat(
    axes: Axes,
    value: Operation,
    places: dict[Symbol, Expr],
    gathered: set[Symbol],
    index: Callable[[Expr], Operation],
) -> tuple[Operation, ...] | None:
    """Return values and places in the flat result: NumPy adds much faster at those than at several indices.

    None where slices reach a part of the result.
    """
    if any(i not in gathered and place != i for i, place in places.items()):
        return None
    rest, steps = ONE, []
    for i in reversed(places):
        steps.append(rest)
        rest = axes.number(rest * axes.ranges[i])
    if not all(isinstance(step, Integer) for step in steps):
        return None
    places_of = [_within(axes, i, place, index) for i, place in places.items()]
    terms = list(zip(places_of, reversed(steps), strict=True))
    scaled = [axes.elementwise(Kind.MULTIPLY, number(int(n)), i) if n != 1 else i for i, n in terms]
    total = reduce(partial(axes.elementwise, Kind.ADD), scaled)
    value = _spread(axes, value, total.axes)
    if len(total.axes) < 2:
        return value, total
    size = (Mul(*axes.shape(total.axes)),)
    return tuple(Operation(Kind.RESHAPE, (o,), Sizes((-1,)), (total.axes[0],), size) for o in (value, total))


def _update(
    axes: Axes,
    value: Operation,
    reached: Sequence[_Axis],
    indices: Sequence[Operation],
    loops: Sequence[Symbol],
    full: bool,
) -> tuple[Operation, ...]:
    """Return ``value`` laid out for the places, with all their axes if ``full``, and their integers."""
    turned = [u for u in loops if u in value.axes]
    if not indices:
        along = [axis.along for axis in reached if axis.along is not None]
        return (axes.layout(value, (*turned, *along)),)
    laid_out, common = axes.together(indices)
    marks = [None if axis.along is not None else axis.entry for axis in reached]
    order = gathered_axes(marks, [axis.along for axis in reached], common)
    if full:
        return (_spread(axes, value, (*turned, *order)), *laid_out)
    return (axes.layout(value, (*turned, *order)), *laid_out)


def _spread(axes: Axes, value: Operation, names: Sequence[Axis]) -> Operation:
    """Return ``value`` with all of the axes: NumPy's ``add.at`` misreads a value that it has to broadcast."""
    if set(names) <= set(value.axes):
        return axes.layout(value, names)
    shape = axes.shape(names)
    inputs = (axes.layout(value, names), *axes.dimensions(shape))
    return Operation(Kind.BROADCAST, inputs, None, tuple(names), shape)


def with_scatters_opened(body: Expr, ranges: RangeList) -> tuple[Expr, RangeList]:
    """Return a sum's body and ranges with those of inner sums of deltas, to be scattered together."""
    inner = [f for f in Mul.make_args(body) if isinstance(f, Sum) and f.function.has(KroneckerDelta)]
    for total in inner:
        own, more = open_sum(total)
        body, ranges = body / total * own, (*ranges, *more)
    return body, ranges


def is_delta(term: Expr) -> bool:
    """Whether a term is a delta, or a product with one."""
    return any(isinstance(factor, KroneckerDelta) for factor in Mul.make_args(term))


def deltas_apart(expression: Mul, factor: Add) -> Expr:
    """Return a product with the deltas of one factor in terms of their own, to be scattered."""
    others = Mul(*[f for f in expression.args if f is not factor])
    deltas = [term for term in factor.args if is_delta(term)]
    return Add(others * (factor - Add(*deltas)), *[others * delta for delta in deltas])
