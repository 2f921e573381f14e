"""What parameters and states begin with: an initialiser, or a number."""

from __future__ import annotations

import ast

from sympy import Rational

from symbackprop.equations.model import Initializer
from symbackprop.errors import suggestion
from symbackprop.library.initializers import FAMILIES, INITIALIZERS
from symbackprop.network.notation.lines import Part
from symbackprop.network.notation.names import Names
from symbackprop.network.notation.reader import NetReader
from symbackprop.network.notation.text import number_in


def first_value(part: Part, names: Names) -> Initializer | float:
    """Return the initialiser that is named, or the number that is given."""
    reader = NetReader(part, Names())
    tree = reader.tree()
    call = tree if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) else None
    node = call.func if call is not None else tree
    if not isinstance(node, ast.Name) or node.id in names.scalars:
        return number_in(part)
    plain = node.id.lower()
    plain = FAMILIES.get(plain, plain)
    if plain not in INITIALIZERS:
        hint = suggestion(plain, (*INITIALIZERS, *FAMILIES))
        reader.fail(node, f"'{node.id[:40]}' is not a known initialiser", hint)
    initializer = INITIALIZERS[plain]
    if call is None or not (call.args or call.keywords):
        return initializer
    return _with_spread(reader, call, initializer)


_SPREADS = {"normal": ("deviation", "{}**2"), "uniform": ("limit", "{}**2 / 3")}
"""Initialiser -> the name of its number, and the variance that follows."""


def _with_spread(reader: NetReader, call: ast.Call, initializer: Initializer) -> Initializer:
    """Return normal(0.02) or uniform(0.1): how far the first values spread."""
    if initializer.name not in _SPREADS:
        reader.fail(call, f"'{initializer.name}' takes no number", f"write {initializer.name}")
    what, formula = _SPREADS[initializer.name]
    given = [*call.args, *(k.value for k in call.keywords if k.arg == what)]
    if len(given) != 1 or len(call.args) + len(call.keywords) != 1:
        reader.fail(call, f"'{initializer.name}' takes one number", f"write {initializer.name}({what}=0.02)")
    value = reader.expression(given[0])
    if not (isinstance(value, Rational) and value > 0):
        reader.fail(given[0], f"the {what} must be a positive number")
    variance = formula.format(repr(float(value)))
    return Initializer(initializer.name, initializer.distribution, variance, initializer.source, "small")
