"""Which way to compute a sum of products: what each costs, and what ways there are.

A sum may be taken apart into sums of its terms, factors may leave a choice, and a choice a sum.  Each way is
lowered, its operations are counted, and the cheapest is taken: first the one whose largest array is smallest,
where that is larger than all that is read and the result, then the one that reads, writes and multiplies
least.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import permutations
from math import prod

from sympy import Add, Expr, Indexed, Integer, KroneckerDelta, Mul, Piecewise, S, Sum, Symbol

from symbackprop.arrays.axes import Axes, surely
from symbackprop.arrays.guards import inequality, may_be_infinite
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Operation
from symbackprop.arrays.running import Terms
from symbackprop.equations.affine import Affine
from symbackprop.equations.functions import Quotient
from symbackprop.equations.indices import RangeList, open_sum, rename
from symbackprop.equations.system import ZERO

_UNKNOWN = Integer(64)
"""What a size that is known at run time alone counts as."""
_PRODUCTS_A_TIME = 16
"""Multiplications of a matrix product in the time in which one element is read or written."""
MOST_WAYS = 100
"""How many ways are tried for one equation."""
_CALL = 256
"""Elements that are read or written in the time of a call."""

# ---------------------------------------------------------------- what an operation costs


@dataclass(frozen=True)
class Cost:
    """What it takes to carry out an operation and all that it is made of, each part once.

    ``room`` is the number of elements of the largest array that is made, and at least that of the largest
    array that is read or results.
    """

    room: int
    largest: int
    moved: int
    multiplied: int
    calls: int

    @property
    def time(self) -> int:
        """The elements that are moved in about the time that everything takes."""
        return self.moved + self.multiplied // _PRODUCTS_A_TIME + _CALL * self.calls

    @property
    def rank(self) -> tuple[int, int]:
        """What is compared: the cheapest way has the lowest."""
        return self.room, self.time


def cost(operation: Operation, count: Callable[[Expr], int]) -> Cost:
    """Return what ``operation`` costs, where ``count`` gives the number of a size."""

    def elements(array: Operation) -> int:
        return prod(map(count, array.shape))

    parts = list(dict.fromkeys(operation.parts()))
    made = [part for part in parts if not part.is_leaf and not part.is_view]
    moved = [elements(part) + sum(map(elements, part.inputs)) for part in made]
    largest = max(map(elements, made), default=0)
    given = max(elements(part) for part in (operation, *parts) if part is operation or part.is_leaf)
    multiplied = [elements(p) * _terms(p, count) for p in made if p.kind in (Kind.MATMUL, Kind.EINSUM)]
    slow = [elements(p) * _terms(p, count) for p in made if p.kind == Kind.EINSUM]
    return Cost(max(largest, given), largest, sum(moved) + sum(slow), sum(multiplied), len(made))


def _terms(product: Operation, count: Callable[[Expr], int]) -> int:
    """Return the number of terms of each component of a product of two arrays."""
    if product.kind == Kind.EINSUM:
        first, second = product.inputs
        summed = {axis: n for o in (first, second) for axis, n in zip(o.axes, o.shape, strict=True)}
        return prod(count(n) for axis, n in summed.items() if axis not in product.axes)
    return count(product.inputs[0].shape[-1])


def nominal(axes: Axes, n: Expr) -> int:
    """Return a size as a number, by which ways are compared."""
    return count_of({}, axes.number(n))


def count_of(numbers: Mapping[Symbol, str], n: Expr) -> int:
    """Return a size as a number, where ``numbers`` holds the digits of those that are known."""
    known = {s: Integer(t) if (t := numbers.get(s, "")).isdigit() else _UNKNOWN for s in n.free_symbols}
    return int(n.xreplace(known))


def spreads(operation: Operation) -> bool:
    """Whether arrays of different axes meet in one that has more axes than any of them.

    Of a product of two arrays, whether it has more axes than the result, and no fewer than each of them.
    """
    for part in set(operation.parts()):
        own, given = _axes(part), [_axes(i) for i in part.inputs]
        if part.is_elementwise and own and all(each != own for each in given):
            return True
        wide = len(own) > len(operation.axes) and len(own) >= max(map(len, given), default=0)
        if part.kind in (Kind.MATMUL, Kind.EINSUM, Kind.RESHAPE) and wide:
            return True
    return False


def _axes(operation: Operation) -> set[Symbol]:
    return {axis for axis in operation.axes if axis is not None}


# ---------------------------------------------------------------- what ways there are


@dataclass(frozen=True)
class Way:
    """A way to compute a sum of products: ``outside`` times the sum of several, or the choice of one.

    ``conditions`` are those of a choice, the last of which is true; ``opened`` are the ranges of an inner sum
    that is taken together with the outer one.
    """

    outside: tuple[Expr, ...]
    parts: tuple[Terms, ...]
    conditions: tuple[Expr, ...] = ()
    opened: RangeList = ()


def ways(axes: Axes, product: Terms) -> Iterator[Way]:
    """Yield the ways to take a sum of products apart at one of its factors."""
    for n, factor in enumerate(product.factors):
        others = (*product.factors[:n], *product.factors[n + 1 :])
        rest = replace(product, factors=others)
        if isinstance(factor, Add) and not factor.has(KroneckerDelta):
            yield from _term_by_term(axes, factor, rest)
        elif isinstance(factor, Piecewise) and not factor.has(KroneckerDelta):
            yield from _of_choice(axes, factor, rest)
        elif isinstance(factor, Sum) and not factor.has(KroneckerDelta):
            body, ranges = open_sum(factor)
            summed = (*rest.summed, *(i for i, _ in ranges))
            yield Way((), (Terms((*others, body), rest.conditions, summed),), opened=tuple(ranges))
    yield from _by_quotient(axes, product)


def _by_quotient(axes: Axes, product: Terms) -> Iterator[Way]:
    """Yield the sum without an index g of which 0 <= i - m g < m leaves one place, i // m."""
    known = [(c, axes.affine(d)) for c in product.conditions if (d := inequality(axes, c)) is not None]
    for (lower, least), (upper, most) in permutations(known, 2):
        if least is None or most is None or least.slopes != {i: -s for i, s in most.slopes.items()}:
            continue
        rest = [c for c in product.conditions if c not in (lower, upper)]
        for g in (g for g in product.summed if least.slopes.get(g) == -(least.offset + most.offset + 1)):
            above = Affine({i: slope for i, slope in least.slopes.items() if i != g}, least.offset)
            low, high = axes.bounds(above)
            count = -least.slopes[g]
            inside = count > 0 and surely(low) and surely(count * axes.extent(g) - 1 - high)
            if inside and not any(c.has(g) for c in rest):
                place = {g: Quotient(above.at({}), Integer(count))}
                factors = tuple(rename(f, place) for f in product.factors)
                summed = tuple(i for i in product.summed if i != g)
                yield Way((), (Terms(factors, tuple(rest), summed),))


def _term_by_term(axes: Axes, total: Add, rest: Terms) -> Iterator[Way]:
    """Yield the sums of the terms of a factor, if one of these is a product of arrays of fewer axes.

    A difference of what is read stays: large numbers cancel in it before they are multiplied.
    """
    if any(_is_outer(axes, term) for term in total.args):
        outside = tuple(f for f in rest.factors if not axes_of(axes, f) & set(rest.summed))
        inside = tuple(f for f in rest.factors if f not in outside)
        parts = tuple(replace(rest, factors=(*inside, term)) for term in total.args)
        yield Way(outside, parts)


def _is_outer(axes: Axes, term: Expr) -> bool:
    """Whether a term is a product no factor of which has all of its axes, or holds such a one."""
    if isinstance(term, Add):
        return any(_is_outer(axes, t) for t in term.args)
    if isinstance(term, Piecewise):
        return any(_is_outer(axes, value) for value, _ in term.args)
    whole = axes_of(axes, term)
    wide = [f for f in Mul.make_args(term) if axes_of(axes, f) == whole]
    return all(isinstance(f, (Add, Piecewise)) and _is_outer(axes, f) for f in wide) and bool(whole)


def _of_choice(axes: Axes, choice: Piecewise, rest: Terms) -> Iterator[Way]:
    """Yield the choice with factors before it, the choice of sums, and the sum of choices."""
    leaving, left = _common(axes, choice)
    if leaving:
        yield Way((), (replace(rest, factors=(*rest.factors, *leaving, left)),))
    conditions = tuple(condition for _, condition in choice.args)
    if conditions[-1] != S.true:
        return
    if not any(axes_of(axes, c) & set(rest.summed) for c in conditions):
        cases = tuple(replace(rest, factors=(*rest.factors, value)) for value, _ in choice.args)
        yield Way((), cases, conditions)
    values = [value for value, _ in choice.args]
    if sum(value != 0 for value in values) > 1:
        yield Way((), tuple(replace(rest, factors=(*rest.factors, c)) for c in _apart(choice)))


def _apart(choice: Piecewise) -> Iterator[Expr]:
    """Yield choices whose sum a choice is: each is zero but for one case."""
    for n, (value, _) in enumerate(choice.args):
        cases = [(value if m == n else ZERO, condition) for m, (_, condition) in enumerate(choice.args)]
        if value != 0:
            yield Piecewise(*cases)


def _common(axes: Axes, choice: Piecewise) -> tuple[list[Expr], Expr]:
    """Return the factors that may leave a choice and have axes which what is left has not, and what is left.

    They are those of every case but zero.  Beside a case of zero they have to be finite.
    """
    cases = [value for value, _ in choice.args if value != 0]
    free = len(cases) == len(choice.args)
    common = [f for f in Mul.make_args(Add(*cases[:1])) if all(f in Mul.make_args(v) for v in cases)]
    common = [f for f in common if _reads_plainly(axes, f) and (free or not may_be_infinite(f))]
    kept = [f for value in cases for f in Mul.make_args(value) if f not in common]
    own = set().union(*[axes_of(axes, e) for e in (*kept, *(c for _, c in choice.args))])
    leaving = [f for f in common if not axes_of(axes, f) <= own]
    left = [(Mul(*[f for f in Mul.make_args(v) if f not in leaving]), c) for v, c in choice.args]
    return leaving, Piecewise(*left)


def _reads_plainly(axes: Axes, factor: Expr) -> bool:
    """Whether a factor reads whole axes alone, so that it has a value whatever the condition."""
    bound = {i: high + 1 for total in factor.atoms(Sum) for i, _, high in total.limits}
    places = [
        (i, n) for read in factor.atoms(Indexed) for i, n in zip(read.indices, read.base.shape, strict=True)
    ]
    return not factor.is_number and all(
        bound[i] == n if i in bound else i in axes.ranges and axes.runs_over(i, n) for i, n in places
    )


def axes_of(axes: Axes, expression: Expr) -> set[Symbol]:
    """Return the indices that run along the axes of an expression."""
    return {s for s in expression.free_symbols if s in axes.ranges}
