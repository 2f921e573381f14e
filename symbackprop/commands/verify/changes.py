"""One change of a formula, and the slip that it tells of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sympy import Basic, Expr, Indexed, Pow, nan

from symbackprop.equations.system import BINDERS
from symbackprop.library.formula import NotComputed, computed

Show = Callable[[Expr], str]
"""Prints an expression."""


@dataclass(frozen=True)
class Slip:
    """A likely slip: its ``kind``, and its ``message``, a sentence for the reader."""

    kind: str
    message: str


@dataclass(frozen=True)
class Edit:
    """An expression with one thing changed.

    ``slip`` is the mistake if the changed expression is right, ``inverse`` the one if the original is.
    """

    rhs: Expr
    slip: Slip
    inverse: Slip


def replaced(rhs: Expr, old: Expr, new: Expr, kind: str, show: Show) -> Edit:
    """Return the edit that puts ``new`` for ``old``."""
    before, after = (
        Slip(kind, f"{show(wrong)} stands where {show(right)} belongs")
        for wrong, right in ((old, new), (new, old))
    )
    return Edit(put(rhs, old, new), before, after)


def replaced_somewhere(rhs: Expr, old: Expr, new: Expr, kind: str, show: Show) -> Iterator[Edit]:
    """Yield the edits that put ``new`` for ``old``: wherever it stands, then at one of several places."""
    edit = replaced(rhs, old, new, kind, show)
    yield edit
    for changed in _at_one_place(rhs, old, new):
        if changed != edit.rhs:
            yield replace(edit, rhs=changed)


def _at_one_place(node: Expr, old: Expr, new: Expr) -> Iterator[Expr]:
    """Yield ``node`` with ``new`` for ``old`` at one place, of a power in one of its factors."""
    if node == old:
        yield new
    if isinstance(node, Pow) and node.base == old and node.exp.is_Integer and node.exp > 1:
        yield node / old * new
    if isinstance(node, Indexed):
        return
    inner = node.args[:1] if isinstance(node, BINDERS) else node.args
    for place, argument in enumerate(inner):
        for changed in _at_one_place(argument, old, new):
            yield _with_argument(node, place, changed)


def _with_argument(node: Expr, place: int, argument: Expr) -> Expr:
    try:
        return computed(node.func, *node.args[:place], argument, *node.args[place + 1 :])
    except NotComputed:
        return nan


def nodes(expression: Basic, kind: type) -> list[Expr]:
    """Return the nodes of one kind, in a fixed order, the outermost first."""
    found = {node for node in _walked(expression) if isinstance(node, kind)}
    return sorted(found, key=lambda node: (-node.count_ops(), str(node)))


def _walked(expression: Basic) -> Iterator[Basic]:
    """Yield the nodes of an expression, those of the ranges of its sums left out."""
    yield expression
    for argument in (expression.function,) if isinstance(expression, BINDERS) else expression.args:
        yield from _walked(argument)


def put(rhs: Expr, old: Expr, new: Expr) -> Expr:
    """Return ``rhs`` with a part changed; NaN, which is right nowhere, where SymPy can't build that."""
    try:
        return new if rhs == old else computed(rhs.xreplace, {old: new})
    except NotComputed:
        return nan
