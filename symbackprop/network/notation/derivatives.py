"""``gradient(e, q[…])`` and ``stop_gradient(e)`` in a formula of a ``.net`` text."""

from __future__ import annotations

import ast
from typing import NoReturn, Protocol

from sympy import Expr, Indexed, Symbol

from symbackprop.equations.system import ZERO, Gradient, indices_of, is_size, name_of


class Reading(Protocol):
    """What is needed of the reader of a formula."""

    scope: list[str]
    equation: str

    def fail(self, place: ast.AST | int, problem: str, hint: str = "") -> NoReturn:
        """Raise the error with its place."""

    def argument(self, node: ast.expr) -> Expr:
        """Return the expression of an argument."""

    def variable(self, node: ast.expr) -> Expr:
        """Return the component at a node, which is not read for its value."""

    def apart(self, body: Expr) -> Expr:
        """Return a quantity of its own for a ``body``."""

    def apart_and_held(self, body: Expr) -> Expr:
        """Return a quantity of its own for a ``body``, through which no derivative goes."""

    def is_whole(self, node: ast.expr) -> bool:
        """Whether a node is the whole right-hand side of an equation with a left side of its own."""

    def hold(self) -> None:
        """Let no derivative go through the quantity that the equation defines."""

    def declared(self, name: str) -> str:
        """Return what a name is: letter, constant, later, whole, state, quantity, or nothing of these."""


def gradient(reader: Reading, of: ast.expr, to: ast.expr) -> Expr:
    """Return the derivative of the value at one node for the component at another."""
    variable = _variable(reader, to)
    value = reader.argument(of)
    reads = [read for read in (*value.atoms(Indexed), *value.atoms(Symbol)) if not _is_place(read)]
    if not reads:
        return ZERO
    if value in reads and isinstance(value, Indexed | Symbol):
        name = name_of(value)
        kind = reader.declared(name)
        if kind == "whole":
            reader.fail(
                of, f"'{name}' holds whole numbers, which have no derivative", "take one of real numbers"
            )
        if kind == "later":
            reader.fail(of, f"'{name}' is not defined yet", "define it before its derivative is taken")
        if kind == "quantity" and _is_plain(value):
            return Gradient(value, variable)
    return Gradient(reader.apart(value), variable)


def stop_gradient(reader: Reading, node: ast.Call) -> Expr:
    """Return the value of an argument, through which no derivative goes."""
    value = reader.argument(node.args[0])
    if value.is_integer or value.is_number:
        return value
    if not reader.is_whole(node):
        return reader.apart_and_held(value)
    reader.hold()
    return value


def _is_place(read: Expr) -> bool:
    """Whether a read is that of an index or a size."""
    return isinstance(read, Symbol) and (is_size(read) or read.name.startswith("@"))


def _is_plain(component: Expr) -> bool:
    """Whether a component is read at different letters and at whole numbers."""
    letters = [i for i in indices_of(component) if not i.is_Integer]
    return len(set(letters)) == len(letters) and all(_is_place(i) and not is_size(i) for i in letters)


def _variable(reader: Reading, node: ast.expr) -> Expr:
    """Return the component for which a derivative is taken."""
    named = node.value if isinstance(node, ast.Subscript) else node
    if not isinstance(named, ast.Name):
        hint = "write gradient(e, x[n, k]); give what you mean a name in an equation before"
        reader.fail(node, "a derivative is taken for a component of a quantity", hint)
    name = named.id
    kind = reader.declared(name)
    if kind == "letter" and isinstance(node, ast.Name):
        reader.fail(node, f"'{name}' is an index: there is no derivative for it", "name a quantity")
    if kind == "constant":
        hint = "make it a parameter or an input"
        reader.fail(node, f"'{name}' is a constant: there is no derivative for it", hint)
    if kind == "state":
        hint = "what a step leaves in a state is no part of E"
        reader.fail(node, f"'{name}' is a state: there is no derivative for it", hint)
    if kind == "whole":
        reader.fail(node, f"'{name}' holds whole numbers: there is no derivative for it", "name another")
    if kind == "later":
        reader.fail(node, f"'{name}' is not defined yet", "define it before a derivative is taken for it")
    return reader.variable(node)
