"""Bound indices: opening sums, renaming without capture, building sums, guards.

SymPy's own ``subs``, ``xreplace`` and ``diff`` capture bound indices; everything here opens a sum with
fresh indices first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cmp_to_key, lru_cache
from itertools import chain
from operator import is_
from types import MappingProxyType

from sympy import (
    Add,
    And,
    Basic,
    Dummy,
    Expr,
    Indexed,
    Le,
    Mul,
    Not,
    Piecewise,
    Pow,
    S,
    Sum,
    Symbol,
    exp,
    expand,
)

from symbackprop.equations.affine import bounds, not_negative
from symbackprop.equations.system import (
    BINDERS,
    ZERO,
    ArgMax,
    Equation,
    OuterSum,
    Quantity,
    Ranges,
    as_it_stands,
    compared,
    component,
    indices_of,
)

RangeList = tuple[tuple[Symbol, Expr], ...]
"""Bound indices with the sizes they run over, from the innermost outwards."""


def fresh(i: Symbol) -> Dummy:
    """Return a new index that remembers the letter of ``i``."""
    return Dummy(i.name, integer=True)


def open_sum(expression: Sum | ArgMax) -> tuple[Expr, RangeList]:
    """Return the body and the ranges of a sum or an argmax, with fresh indices in place of the bound ones."""
    new = {limit[0]: fresh(limit[0]) for limit in expression.limits}
    ranges = tuple((new[i], (high - low + 1).xreplace(new)) for i, low, high in expression.limits)
    return renamed(expression.function, new), ranges


def close_sum(body: Expr, ranges: Iterable[tuple[Symbol, Expr]]) -> Expr:
    """Return the sum of ``body`` over ``ranges`` as it stands."""
    limits = [(i, 0, n - 1) for i, n in ranges]
    return OuterSum(body, *limits) if limits else body


def rebound(expression: Expr, body: Expr, ranges: Iterable[tuple[Symbol, Expr]]) -> Expr:
    """Return the sum or the argmax ``expression`` with another body and other bound indices."""
    kind = OuterSum if isinstance(expression, Sum) else expression.func
    return kind(body, *[(i, 0, n - 1) for i, n in ranges])


def make_sum(body: Expr, ranges: Iterable[tuple[Symbol, Expr]]) -> Expr:
    """Return the sum of ``body``, term by term, with factors free of a summed index taken out."""
    body, ranges = _without_one_places(body, list(ranges))
    if not ranges:
        return body
    if isinstance(body, Add):
        return Add(*[make_sum(term, ranges) for term in body.args])
    bound = {i for i, _ in ranges}
    inside = [f for f in Mul.make_args(body) if f.free_symbols & bound]
    outside = [f for f in Mul.make_args(body) if not f.free_symbols & bound]
    unread = [n for i, n in ranges if not any(i in f.free_symbols for f in inside)]
    sums = []
    for factors in _sharing(inside, bound):
        inner = Mul(*factors)
        sums.append(close_sum(inner, [(i, n) for i, n in ranges if i in inner.free_symbols]))
    return Mul(*outside, *unread, *sums)


def _without_one_places(
    body: Expr, ranges: Sequence[tuple[Symbol, Expr]]
) -> tuple[Expr, list[tuple[Symbol, Expr]]]:
    """Return a summed ``body`` at the place outside of which it is 0, and the ranges that are left.

    Of Σ_i (a[i] where i <= 0, else 0) that is a[0]; so it is where the last place alone is left.
    """
    left = []
    for i, n in ranges:
        place = _only_place(body, i, n)
        if place is None:
            left.append((i, n))
        else:
            body = rename(body, {i: place})
    return body, left


def _only_place(body: Expr, i: Symbol, n: Expr) -> Expr | None:
    """Return the first or the last value of ``i`` if ``body`` is 0 for every other one."""
    for factor in Mul.make_args(body):
        if not isinstance(factor, Piecewise) or len(factor.args) != 2:
            continue
        (value, condition), (other, _) = factor.args
        if other != 0 and value != 0:
            continue
        rooms = not_negative(condition if other == 0 else Not(condition))
        for place, room in ((ZERO, -i), (n - 1, i - n + 1)):
            if any(expand(known - room) == 0 for known in rooms):
                return place
    return None


def _sharing(factors: Iterable[Expr], bound: set[Symbol]) -> list[list[Expr]]:
    """Return the factors in groups that share no index: of such, Σ_ij a_i b_j is Σ_i a_i times Σ_j b_j."""
    groups: list[tuple[set[Symbol], list[Expr]]] = []
    for factor in factors:
        own = factor.free_symbols & bound
        meeting = [group for group in groups if group[0] & own]
        groups = [group for group in groups if not group[0] & own]
        groups.append((own.union(*[g[0] for g in meeting]), [*(f for g in meeting for f in g[1]), factor]))
    return [group for _, group in groups]


def rename(expression: Expr, mapping: Mapping[Expr, Expr]) -> Expr:
    """Return ``expression`` with its free indices replaced, bound ones moved out of the way."""
    if expression in mapping:
        return mapping[expression]
    if not mapping or not expression.args:
        return expression
    if isinstance(expression, BINDERS):
        if not expression.free_symbols & set(mapping):
            return expression
        body, ranges = open_sum(expression)
        return rebound(expression, rename(body, mapping), [(i, rename(n, mapping)) for i, n in ranges])
    if isinstance(expression, Indexed):
        return component(expression.base, *[rename(i, mapping) for i in expression.indices])
    arguments = [rename(argument, mapping) for argument in expression.args]
    if all(map(is_, arguments, expression.args)):
        return expression
    return compared(expression.func, *arguments) if expression.is_Relational else expression.func(*arguments)


def renamed(expression: Basic, names: Mapping[Basic, Basic]) -> Basic:
    """Return ``expression.xreplace(names)``, where nothing but names changes.

    No two may become one, and the same must be assumed of each: then there is nothing to simplify, which
    SymPy takes long to find out.
    """
    if expression in names:
        return names[expression]
    if not expression.args:
        return expression
    args = [renamed(argument, names) for argument in expression.args]
    if all(map(is_, args, expression.args)):
        return expression
    if isinstance(expression, Indexed):
        return component(*args)
    if isinstance(expression, Sum):
        return as_it_stands(expression.func, *args)
    if isinstance(expression, (Add, Mul)):
        return expression.func(*sorted(args, key=_in_order), evaluate=False)
    return expression.func(*args, **_UNCHANGED if isinstance(expression, (Pow, exp)) else {})


_in_order = cmp_to_key(Basic.compare)
_UNCHANGED = {"evaluate": False}


_CANONICAL = "_b"
"""How the names of canonical bound indices begin; these are no letters to be shown."""


@lru_cache(maxsize=1 << 12)
def canonical(expression: Expr) -> Expr:
    """Return ``expression`` with canonical bound indices: equal up to their letters means equal."""
    if not expression.has(*BINDERS):
        return expression
    if isinstance(expression, BINDERS):
        body, ranges = open_sum(expression)
        level = _sum_depth(body)
        letters = {i: Symbol(f"{_CANONICAL}{level}_{n}", integer=True) for n, (i, _) in enumerate(ranges)}
        ranges = tuple((letters[i], n) for i, n in ranges)
        return rebound(expression, canonical(renamed(body, letters)), ranges)
    arguments = [canonical(argument) for argument in expression.args]
    return expression if all(map(is_, arguments, expression.args)) else expression.func(*arguments)


def _sum_depth(expression: Expr) -> int:
    if not expression.has(*BINDERS):
        return 0
    if isinstance(expression, BINDERS):
        return 1 + _sum_depth(expression.function)
    return max(_sum_depth(argument) for argument in expression.args)


def settle(
    expression: Expr,
    letters: Sequence[Symbol],
    reserved: Iterable[Symbol] = (),
    ranges: Mapping[Symbol, Expr] = MappingProxyType({}),
) -> Expr:
    """Return ``expression`` with every fresh bound index given a letter that is not in use.

    A bound index takes back the letter it came from where that is free, else the first free one of
    ``letters``, else a new one; never one that is ``reserved``, nor one that ``ranges`` gives another range.
    """
    taken = {s for s in expression.free_symbols if isinstance(s, Symbol)} | set(reserved)
    return _settle(expression, letters, taken, ranges)


def _settle(
    expression: Expr, letters: Sequence[Symbol], taken: set[Symbol], ranges: Mapping[Symbol, Expr]
) -> Expr:
    if not expression.has(*BINDERS):
        return expression
    if not isinstance(expression, BINDERS):
        arguments = [_settle(argument, letters, taken, ranges) for argument in expression.args]
        return expression if all(map(is_, arguments, expression.args)) else expression.func(*arguments)
    body, bound = open_sum(expression)
    chosen: dict[Expr, Expr] = {}
    used = set(taken)
    for i, n in bound:
        own = [] if i.name.startswith("_") else [Symbol(i.name, integer=True)]
        fitting = (letter for letter in letters if ranges.get(letter, n) == n)
        candidates = chain(own, fitting, _spare_letters())
        chosen[i] = next(c for c in candidates if c not in used)
        used.add(chosen[i])
    body = _settle(rename(body, chosen), letters, used, ranges)
    return rebound(expression, body, [(chosen[i], n.xreplace(chosen)) for i, n in bound])


def _spare_letters() -> Iterator[Symbol]:
    number = 0
    while True:
        yield Symbol(f"_.spare{number}", integer=True)
        number += 1


def range_condition(expression: Expr, size: Expr, ranges: Ranges) -> Expr:
    """Return the condition ``0 <= expression < size``, reduced to the sides that ``ranges`` leaves open."""
    low, high = bounds(expression, ranges)
    conditions = []
    if not low.is_nonnegative:
        conditions.append(expression >= 0)
    if not expand(size - 1 - high).is_nonnegative:
        conditions.append(compared(Le, expression, size - 1))
    return And(*conditions)


def guarded(body: Expr, condition: Expr) -> Expr:
    """Return ``body`` where ``condition`` holds and 0 elsewhere; factors free of it stay outside."""
    if condition is S.true:
        return body
    inside = [f for f in Mul.make_args(body) if f.free_symbols & condition.free_symbols]
    outside = [f for f in Mul.make_args(body) if not f.free_symbols & condition.free_symbols]
    return Mul(*outside) * Piecewise((Mul(*inside), condition), (ZERO, True))


def merge(*ranges: Ranges | RangeList) -> Ranges:
    """Return the union of several ranges."""
    return {i: n for part in ranges for i, n in (part.items() if isinstance(part, dict) else part)}


def substitute(expression: Expr, quantity: Quantity, definition: Equation) -> Expr:
    """Return ``expression`` with every component of ``quantity`` replaced by its definition."""
    if reads(expression, quantity):
        mapping = dict(zip(definition.indices, indices_of(expression), strict=True))
        return rename(definition.rhs, mapping)
    if not expression.args:
        return expression
    if isinstance(expression, BINDERS):
        if not holds(expression, quantity):
            return expression
        body, ranges = open_sum(expression)
        return rebound(expression, substitute(body, quantity, definition), ranges)
    arguments = [substitute(argument, quantity, definition) for argument in expression.args]
    return expression if all(map(is_, arguments, expression.args)) else expression.func(*arguments)


def reads(expression: Expr, quantity: Quantity) -> bool:
    """Whether ``expression`` is a component of ``quantity``."""
    if isinstance(expression, Indexed):
        return bool(quantity.shape) and expression.base == quantity.base
    return not quantity.shape and expression == quantity.symbol


def holds(expression: Expr, quantity: Quantity) -> bool:
    """Whether ``expression`` reads ``quantity`` anywhere."""
    return bool(expression.has(quantity.base if quantity.shape else quantity.symbol))
