"""The rules that every operation keeps: its inputs, its value, its shape, and where truth values stand.

Tests verify what is lowered and what rewrites it; see `shapes` for what cannot be decided.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf

from sympy import Expr, expand

from symbackprop.arrays import shapes
from symbackprop.arrays.kinds import FUNCTIONS, LOGICAL, MASKS, UNARY, VIEWS, Kind
from symbackprop.arrays.operations import (
    Layered,
    Number,
    Operation,
    Order,
    Padding,
    Pair,
    Picks,
    Place,
    Product,
    Reduction,
    Signs,
    Sizes,
    Slices,
    Windows,
)
from symbackprop.arrays.shapes import Shape, WrongOperation, need


@dataclass(frozen=True)
class Rule:
    """The fewest and the most inputs of a kind, the classes of its value, and what gives its shape."""

    fewest: int
    most: float
    forms: tuple[type, ...]
    shape: Callable[..., Shape]


_NONE = type(None)

RULES: Mapping[Kind, Rule] = {
    Kind.ARRAY: Rule(0, 0, (str, Layered), shapes.as_declared),
    Kind.NUMBER: Rule(0, 0, (Number,), shapes.scalar),
    Kind.NAME: Rule(0, 0, (str,), shapes.scalar),
    Kind.LAYOUT: Rule(1, 1, (Order,), shapes.layout),
    Kind.SUBSCRIPT: Rule(1, 1, (Slices,), shapes.subscript),
    Kind.WINDOWS: Rule(1, 1, (Windows,), shapes.windows),
    Kind.DIAGONAL: Rule(1, 1, (Pair,), shapes.diagonal),
    Kind.RESHAPE: Rule(1, 1, (Sizes,), shapes.reshape),
    Kind.MATMUL: Rule(2, 2, (_NONE, Product), shapes.matmul),
    Kind.EINSUM: Rule(2, 2, (str,), shapes.einsum),
    Kind.VDOT: Rule(2, 2, (_NONE,), shapes.vdot),
    Kind.SUM: Rule(1, 1, (Reduction,), shapes.reduction),
    Kind.MAX: Rule(1, 1, (Reduction,), shapes.reduction),
    Kind.ARGMAX: Rule(1, 1, (int,), shapes.arg_max),
    Kind.CUMSUM: Rule(1, 1, (int,), shapes.running),
    Kind.PAD: Rule(1, 1, (Padding,), shapes.pad),
    Kind.GATHER: Rule(2, inf, (Picks,), shapes.gather),
    Kind.ARANGE: Rule(1, 1, (bool,), shapes.made),
    Kind.ZEROS: Rule(1, inf, (_NONE,), shapes.made),
    Kind.FULL: Rule(2, inf, (bool,), shapes.filled),
    Kind.BROADCAST: Rule(2, inf, (_NONE,), shapes.filled),
    Kind.SCATTER: Rule(2, inf, (_NONE,), shapes.scatter),
    Kind.UPDATE: Rule(1, inf, (Place,), shapes.update),
    Kind.TERMS: Rule(1, inf, (Signs,), shapes.scalar),
    Kind.CAST: Rule(1, 1, (_NONE,), shapes.broadcast),
    Kind.WHERE: Rule(3, 3, (bool,), shapes.broadcast),
    Kind.CLIP: Rule(3, 3, (_NONE,), shapes.broadcast),
    **{kind: Rule(n := 1 if kind in UNARY else 2, n, (_NONE,), shapes.broadcast) for kind in FUNCTIONS},
}

_BEFORE_DIAGONAL = (Kind.ARRAY, Kind.PAD, Kind.WINDOWS, Kind.SUBSCRIPT, Kind.GATHER)
"""Kinds of what is read along one index on two axes, of which the diagonal is taken then."""


def verify(operation: Operation, size: Callable[[Expr], Expr] = expand) -> None:
    """Raise `WrongOperation` unless ``operation``, and all that it is made of, keep the rules.

    ``size`` gives the sizes that are known their numbers: of these more can be decided.
    """
    need(operation.kind != Kind.UPDATE, "an update stands alone")
    _verified(operation, size, "operation", {})


def _verified(
    operation: Operation, size: Callable[[Expr], Expr], path: str, known: dict[int, Operation]
) -> Operation:
    """Return an operation that keeps the rules, with numbers for sizes; each part is looked at once."""
    if id(operation) not in known:
        inputs = tuple(
            _verified(inner, size, f"{path}.inputs[{n}]", known) for n, inner in enumerate(operation.inputs)
        )
        found = replace(operation, inputs=inputs, shape=tuple(map(size, operation.shape)))
        try:
            _verify(found, RULES[operation.kind])
        except WrongOperation as wrong:
            raise WrongOperation(f"{path}, {operation.kind}: {wrong}") from None
        known[id(operation)] = found
    return known[id(operation)]


def _verify(operation: Operation, rule: Rule) -> None:
    """Raise `WrongOperation` unless an operation whose inputs keep the rules does so, too."""
    inputs = operation.inputs
    need(rule.fewest <= len(inputs) <= rule.most, "inputs", len(inputs))
    need(type(operation.value) in rule.forms, "a value of the kind", operation.value)
    added = [n for n, inner in enumerate(inputs) if inner.kind == Kind.UPDATE]
    wanted = list(range(1, len(inputs))) if operation.kind == Kind.SCATTER else []
    need(added == wanted, "updates behind the first input of a scatter", added)
    _verify_axes(operation)
    _verify_numbers(operation)
    found = rule.shape(operation, *[inner.shape for inner in inputs])
    need(shapes.equal(found, operation.shape), "the shape that comes out", operation.shape, found)


def _verify_axes(operation: Operation) -> None:
    """Raise `WrongOperation` where an index runs along another axis than it says."""
    axes, shape, inner = operation.axes, operation.shape, [i.axes for i in operation.inputs]
    need(len(axes) == len(shape), "an axis for each size", axes, shape)
    sizes = zip(axes, shape, strict=True)
    need(all(axis or n == 1 for axis, n in sizes), "new axes of length 1", axes, shape)
    named = [axis for axis in axes if axis]
    need(len({*named}) == len(named) or operation.kind in _BEFORE_DIAGONAL, "an index on one axis", axes)
    if operation.is_elementwise:
        pairs = [pair for each in inner for pair in zip(each[::-1], axes[::-1], strict=False)]
        need(all(one in (None, other) for one, other in pairs), "inputs along the same axes", axes, *inner)
    elif operation.kind == Kind.MATMUL:
        need(inner[0][-1:] == inner[1][-2:][:1], "a sum over the same index", *inner)


def _verify_numbers(operation: Operation) -> None:
    """Raise `WrongOperation` where numbers stand for truth values, or these for numbers."""
    kind, inputs = operation.kind, operation.inputs
    truths, whole = [_is_truth(i) for i in inputs], [i.is_whole or not i.shape for i in inputs]
    if kind in (Kind.ARRAY, Kind.NAME):
        need(operation.value != "", "it has a name")
    elif kind == Kind.NUMBER:
        need(bool(operation.value_as(Number).value.is_number), "it is a number")
    elif kind == Kind.TERMS:
        need(len(operation.value_as(Signs).negative) == len(inputs), "a sign for each term")
    elif kind in LOGICAL:
        need(all(truths), "of truth values")
    elif kind == Kind.WHERE:
        need(truths[0], "a choice by truth values")
    elif kind == Kind.CAST:
        need(truths[0] or inputs[0].is_whole, "integers or truth values are cast")
    elif kind in (Kind.ADD, Kind.SUBTRACT, Kind.NEGATIVE):
        need(not all(truths), "truth values are no numbers")
    elif kind in (Kind.GATHER, Kind.UPDATE):
        need(all(whole[1:]), "places are integers")
    elif kind == Kind.FULL:
        need(whole[0] or not operation.is_whole, "it is full of integers")


def _is_truth(operation: Operation) -> bool:
    """Whether an operation gives truth values."""
    same = operation.kind in VIEWS or operation.kind in (Kind.RESHAPE, Kind.GATHER, Kind.BROADCAST)
    return operation.kind in MASKS or (same and _is_truth(operation.inputs[0]))
