"""Sums of products: matrix products wherever two arrays share what is summed.

Arrays are taken two at a time.  An index that one array alone carries is summed first; two that share a
summed index which no other has become a matrix product; one whose axes another has, too, is multiplied in.
Where that makes an array larger than what is given, or no matrix product, every order is tried and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import combinations
from math import prod

from sympy import Expr, Integer, Mul, Symbol

from symbackprop.arrays.axes import Axes, transposed
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Axis, Operation, Order, Product, Sizes, number
from symbackprop.arrays.planning import cost, nominal
from symbackprop.equations.system import ONE


def contract(axes: Axes, operands: Sequence[Operation], summed: Sequence[Symbol]) -> Operation:
    """Return the sum over ``summed`` of the product of ``operands``."""
    whole = set().union(*[o.axes for o in operands])
    if whole <= set(summed) and any(set(o.axes) == whole for o in operands):
        total = reduce(partial(_by_component, axes), operands)
        return axes.reduce(Kind.SUM, total, [i for i in summed if i in whole])
    left = [i for i in summed if i in whole]
    first = _in_usual_order(axes, operands, left)
    if not 2 < len(operands) <= _MOST_ORDERED:
        return first
    count = partial(nominal, axes)
    begun = cost(first, count)
    given = max(prod(map(count, o.shape)) for o in (*operands, first))
    if begun.largest <= given and not any(part.kind == Kind.EINSUM for part in first.parts()):
        return first
    return min((first, *_in_any_order(axes, operands, left)), key=lambda way: cost(way, count).rank)


_MOST_ORDERED = 4
"""Arrays of which every order is tried: 18 orders of 4."""


def _by_component(axes: Axes, first: Operation, second: Operation) -> Operation:
    return axes.elementwise(*_product_or_quotient(first, second))


def _in_usual_order(axes: Axes, operands: Sequence[Operation], summed: Sequence[Symbol]) -> Operation:
    """Return the sum of a product where the two arrays that rank best are joined first."""
    arrays, left = list(operands), list(summed)
    outside: list[Operation] = []
    while len(arrays) > 1:
        arrays, left = _summed_alone(axes, arrays, left)
        outside += [a for a in arrays if not set(a.axes) & set(left)]
        arrays = [a for a in arrays if set(a.axes) & set(left)]
        if len(arrays) > 1:
            pairs = combinations(range(len(arrays)), 2)
            best = min(pairs, key=lambda pair: _rank(arrays, pair, left))
            arrays, left = _one_less(axes, arrays, best, left)
    result = [axes.reduce(Kind.SUM, array, left) if left else array for array in arrays]
    return reduce(partial(_by_component, axes), [*outside, *result])


def _in_any_order(axes: Axes, operands: Sequence[Operation], summed: Sequence[Symbol]) -> Iterator[Operation]:
    """Yield the sum of a product, the arrays joined in every order."""
    arrays, left = _summed_alone(axes, list(operands), list(summed))
    outside = [a for a in arrays if not set(a.axes) & set(left)]
    arrays = [a for a in arrays if set(a.axes) & set(left)]
    if len(arrays) < 2:
        result = [axes.reduce(Kind.SUM, array, left) for array in arrays]
        yield reduce(partial(_by_component, axes), [*outside, *result])
    for pair in combinations(range(len(arrays)), 2) if len(arrays) > 1 else ():
        for inner in _in_any_order(axes, *_one_less(axes, arrays, pair, left)):
            yield reduce(partial(_by_component, axes), [*outside, inner])


def _summed_alone(
    axes: Axes, arrays: list[Operation], summed: list[Symbol]
) -> tuple[list[Operation], list[Symbol]]:
    """Sum each array over the indices that no other one carries."""
    found = []
    for n, array in enumerate(arrays):
        others = {axis for m, other in enumerate(arrays) if m != n for axis in other.axes}
        own = [i for i in summed if i in array.axes and i not in others]
        summed = [i for i in summed if i not in own]
        found.append(axes.reduce(Kind.SUM, array, own) if own else array)
    return found, summed


def _one_less(
    axes: Axes, arrays: Sequence[Operation], pair: tuple[int, int], summed: list[Symbol]
) -> tuple[list[Operation], list[Symbol]]:
    """Join two of the arrays."""
    n, m = pair
    first, second = arrays[n], arrays[m]
    rest = [a for p, a in enumerate(arrays) if p not in (n, m)]
    own = _shared_alone(arrays, (n, m), summed)
    if set(first.axes) == set(second.axes) or not own:
        joined = _multiplied(axes, first, second)
    else:
        joined = product(axes, first, second, own)
        summed = [i for i in summed if i not in own]
    rest.insert(n, joined)
    return rest, summed


def _multiplied(axes: Axes, first: Operation, second: Operation) -> Operation:
    """Return the product of two arrays, laid out as the larger one where it has all the axes."""
    kind, *operands = _product_or_quotient(first, second)
    larger = max(operands, key=lambda operand: len(operand.axes))
    if not {*first.axes, *second.axes} <= set(larger.axes):
        return axes.elementwise(kind, *operands)
    inputs = tuple(axes.layout(operand, larger.axes) for operand in operands)
    return Operation(kind, inputs, None, larger.axes, axes.shape(larger.axes))


def _product_or_quotient(first: Operation, second: Operation) -> tuple[Kind, Operation, Operation]:
    """Return the product of two operands as an operation on them; a product with 1/r divides by r."""
    for one, other in ((first, second), (second, first)):
        if other.kind == Kind.DIVIDE and other.inputs[0] == number(1):
            return Kind.DIVIDE, one, other.inputs[1]
    return Kind.MULTIPLY, first, second


def _shared_alone(
    arrays: Sequence[Operation], pair: tuple[int, int], summed: Sequence[Symbol]
) -> list[Symbol]:
    others = {axis for p, array in enumerate(arrays) if p not in pair for axis in array.axes}
    n, m = pair
    return [i for i in summed if i in arrays[n].axes and i in arrays[m].axes and i not in others]


def _rank(arrays: Sequence[Operation], pair: tuple[int, int], summed: Sequence[Symbol]) -> tuple[object, ...]:
    """Equal axes first, then matrix products, then what adds no axis; small ones before large ones."""
    first, second = (set(arrays[p].axes) for p in pair)
    own = _shared_alone(arrays, pair, summed)
    kind = 0 if first == second else 1 if own else 2 if first <= second or second <= first else 3
    return (kind, len(first | second), len((first | second) - set(own)), pair)


# ---------------------------------------------------------------- the product of two arrays


@dataclass(frozen=True)
class _Groups:
    """The axes of a product of two arrays: shared and kept, of the first, summed, of the second.

    ``outer`` are further ones of one array, of the second if that has others, for each place of which there
    is a product with all of the other array.
    """

    batch: tuple[Axis, ...]
    left: tuple[Axis, ...]
    summed: tuple[Axis, ...]
    right: tuple[Axis, ...]
    outer: tuple[Axis, ...] = ()

    @property
    def kept(self) -> tuple[Axis, ...]:
        """The axes of the result."""
        return (*self.outer, *self.batch, *self.left, *self.right)

    @property
    def of_first(self) -> tuple[Axis, ...]:
        """The leading axes of the first array."""
        return self.batch if self.right else (*self.outer, *self.batch)

    @property
    def of_second(self) -> tuple[Axis, ...]:
        """The leading axes of the second array."""
        return (*self.outer, *self.batch) if self.right else self.batch


def product(axes: Axes, first: Operation, second: Operation, summed: Sequence[Symbol]) -> Operation:
    """Return the sum over ``summed``, which both carry, of the product of two arrays."""
    order = axes.order({*first.axes, *second.axes})
    own = [a for a in order if a not in summed and not (a in first.axes and a in second.axes)]
    of_first = [a in first.axes for a in own]
    if own and (not any(of_first) or (of_first[-1] and not all(of_first))):
        first, second = second, first  # the last axis of the result is the second's; a vector comes second
    groups = _Groups(
        batch=tuple(a for a in order if a in first.axes and a in second.axes and a not in summed),
        left=tuple(a for a in own if a in first.axes),
        summed=_summed_order(first, second, summed),
        right=tuple(a for a in own if a in second.axes),
    )
    if (shared := _summed_last(axes, first, second, groups)) is not None:
        inner = product(axes, first, second, [i for i in summed if i != shared])
        return axes.reduce(Kind.SUM, inner, [shared])
    groups = _place_by_place(axes, first, second, groups)
    if groups.batch and not (groups.left and groups.right):
        if groups.left and _count(axes, (*groups.left, *groups.summed)) >= _LARGE:
            return _matrices_and_vectors(axes, first, second, groups)
        return _einsum(axes, first, second, summed)
    return _matmul(axes, first, second, groups)


_LARGE = 192
"""Numbers of a matrix from which products of many with vectors are faster than one `einsum`."""
_WORTH = 2**13
"""Multiplications of a product from which many of them are faster than one, where that saves a copy."""


def _place_by_place(axes: Axes, first: Operation, second: Operation, groups: _Groups) -> _Groups:
    """Return the groups with outer axes, where products for each of their places save a copy.

    Those are images, of which the channels are summed or stand before the places: a product for each sample
    reads and writes them as they lie, one for all samples needs the channels outermost.
    """
    wide, array = (groups.right, second) if groups.right else (groups.left, first)
    order = axes.order({*first.axes, *second.axes})
    others = [order.index(a) for a in groups.kept if a not in wide]
    if not others:
        return groups
    outer = tuple(a for a in wide if order.index(a) < min(others))
    inner = wide[len(outer) :]
    if not (outer and inner) or not _is_copied(array, groups.batch, (groups.summed, wide)):
        return groups
    left, right = (groups.left, inner) if groups.right else (inner, ())
    if _count(axes, (*left, *right, *groups.summed)) < (_WORTH if left and right else _LARGE):
        return groups
    return replace(groups, left=left, right=right, outer=outer)


def _summed_last(axes: Axes, first: Operation, second: Operation, groups: _Groups) -> Symbol | None:
    """Return the outermost axis, if it is summed and a product for each of its places saves a copy."""
    inner = groups.summed[1:]
    shared = groups.summed[0]
    if not inner or not isinstance(shared, Symbol) or not first.axes[0] == second.axes[0] == shared:
        return None
    sides = ((first, groups.left), (second, groups.right))
    copied = [_is_copied(array, groups.batch, (groups.summed, side)) for array, side in sides]
    still = [
        _is_copied(array, (shared, *groups.batch), (inner, side))
        for array, side in sides
        if array.is_contiguous
    ]
    if not any(copied) or any(still):
        return None
    left, right, terms = (_count(axes, group) for group in (groups.left, groups.right, inner))
    saved = 4 * left * right <= terms * (left + right)
    least = _WORTH if groups.left and groups.right else _LARGE
    return shared if saved and left * right * terms >= least else None


def _is_copied(array: Operation, batch: Sequence[Axis], groups: Sequence[Sequence[Axis]]) -> bool:
    """Whether an array has to be copied for the axes of each group to be taken together."""
    while array.kind == Kind.LAYOUT:
        (array,) = array.inputs
    if not array.is_contiguous:
        return any(len(group) > 1 for group in groups)
    labels = [next((n for n, group in enumerate(groups) if a in group), -1) for a in array.axes]
    runs = [n for n, before in zip(labels, [None, *labels], strict=False) if n != before and n >= 0]
    return len(runs) > len(set(runs))


def _count(axes: Axes, group: Sequence[Axis]) -> int:
    """Return the number of places of axes, 0 where that is known at run time alone."""
    found = Mul(*[axes.number(n) for n in axes.shape(group)])
    return int(found) if isinstance(found, Integer) else 0


def _summed_order(first: Operation, second: Operation, summed: Sequence[Symbol]) -> tuple[Axis, ...]:
    """Return the summed axes in the order in which an array has them that need not be copied anyway."""
    leader = second if first.is_leaf and not first.is_contiguous else first
    return tuple(a for a in leader.axes if a in summed)


def _matmul(axes: Axes, first: Operation, second: Operation, groups: _Groups) -> Operation:
    """Return a matrix product, for each of the shared axes; several axes of one kind are taken together."""
    batch, left, summed, right = (*groups.outer, *groups.batch), groups.left, groups.summed, groups.right
    names = groups.kept
    plain = not batch and len(summed) == 1 and len(right) <= 1 and first.axes == (*left, *summed)
    if plain or max(len(left), len(summed), len(right)) <= 1:
        inputs = (
            _matrix(first, groups.of_first, left, summed),
            _matrix(second, groups.of_second, summed, right),
        )
        shape = axes.shape(names)
        value = _product(axes, summed, shape) if len(shape) > 2 else None
        return Operation(Kind.MATMUL, inputs, value, names, shape)
    inputs = (
        _together(axes, first, groups.of_first, left, summed),
        _together(axes, second, groups.of_second, summed, right),
    )
    sides = [_size(axes, side) for side in (left, right) if side]
    shape = (*axes.shape(batch), *sides)
    value = _product(axes, summed, shape)
    sides_names = (*batch, *(side[0] for side in (left, right) if side))
    whole = Operation(Kind.MATMUL, inputs, value, sides_names, shape)
    if len(left) <= 1 and len(right) <= 1:
        return whole
    return reshaped(axes, whole, names)


def _matrices_and_vectors(axes: Axes, first: Operation, second: Operation, groups: _Groups) -> Operation:
    """Return the products of a matrix and a vector, for each of the shared axes: of columns of length 1."""
    batch, left, summed = (*groups.outer, *groups.batch), groups.left, groups.summed
    matrix = _together(axes, first, groups.of_first, left, summed)
    vector = _together(axes, second, groups.of_second, summed, ())
    order = Order((*range(len(vector.axes)), None))
    column = Operation(Kind.LAYOUT, (vector,), order, (*vector.axes, None), (*vector.shape, ONE))
    shape = (*axes.shape(batch), _size(axes, left), ONE)
    value = _product(axes, summed, shape)
    whole = Operation(Kind.MATMUL, (matrix, column), value, (*batch, left[0], None), shape)
    return reshaped(axes, whole, groups.kept)


def _matrix(
    operand: Operation, batch: tuple[Axis, ...], rows: tuple[Axis, ...], columns: tuple[Axis, ...]
) -> Operation:
    return transposed(operand, (*batch, *rows, *columns))


def _together(
    axes: Axes, operand: Operation, batch: tuple[Axis, ...], rows: tuple[Axis, ...], columns: tuple[Axis, ...]
) -> Operation:
    """Return ``operand`` as a matrix; where it has to be copied, its innermost axis stays innermost."""
    groups = [group for group in (rows, columns) if group]
    swapped = len(groups) == 2 and _innermost(operand, batch) in rows
    stored = groups[::-1] if swapped else groups
    array = transposed(operand, (*batch, *(a for group in stored for a in group)))
    if any(len(group) > 1 for group in stored):
        shape = (*axes.shape(batch), *(_size(axes, group) for group in stored))
        names = (*batch, *(group[0] for group in stored))
        array = Operation(Kind.RESHAPE, (array,), Sizes(_sizes(axes, shape)), names, shape)
    if swapped:
        array = transposed(array, (*batch, array.axes[-1], array.axes[-2]))
    return array


def _innermost(operand: Operation, batch: tuple[Axis, ...]) -> Axis:
    """Return the axis along which the numbers lie side by side; of windows the longer one."""
    inner = operand
    while inner.kind in (Kind.SUBSCRIPT, Kind.LAYOUT):
        inner = inner.inputs[0]
    if inner.kind == Kind.WINDOWS:
        left = [a for a in operand.axes if a not in batch and a in inner.axes]
        moved = len(inner.axes) - len(inner.inputs[0].axes)
        outer = [a for a in left if inner.axes.index(a) < len(inner.axes) - moved]
        return (outer or left)[-1]
    return operand.axes[-1]


def _size(axes: Axes, group: Sequence[Axis]) -> Expr:
    return Mul(*axes.shape(group))


def _product(axes: Axes, summed: Sequence[Axis], shape: Sequence[Expr]) -> Product:
    """Return what a matrix product is, in the code."""
    terms, *sizes = _sizes(axes, (_size(axes, summed), *shape))
    return Product(terms, tuple(sizes))


def _sizes(axes: Axes, shape: Sequence[Expr]) -> tuple[int | Expr, ...]:
    """Return a shape as numbers; what is known at run time is -1, or named where there are several."""
    numbers = [axes.number(n) for n in shape]
    several = sum(not isinstance(n, Integer) for n in numbers) > 1
    return tuple(int(n) if isinstance(n, Integer) else axes.named(n) if several else -1 for n in numbers)


def reshaped(axes: Axes, operand: Operation, names: tuple[Axis, ...]) -> Operation:
    """Return ``operand`` with its axes taken apart."""
    shape = axes.shape(names)
    return Operation(Kind.RESHAPE, (operand,), Sizes(_sizes(axes, shape)), names, shape)


def _einsum(axes: Axes, first: Operation, second: Operation, summed: Sequence[Symbol]) -> Operation:
    present = axes.order({*first.axes, *second.axes})
    letters = dict(zip(present, "abcdefghijklmnopqrstuvwxyz", strict=False))
    kept = tuple(a for a in present if a not in summed)
    spec = ",".join("".join(letters[a] for a in o.axes) for o in (first, second))
    spec += "->" + "".join(letters[a] for a in kept)
    return Operation(Kind.EINSUM, (first, second), spec, kept, axes.shape(kept))
