"""What has been read of a ``.net`` text, and how names are entered into it."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sympy import Expr, Rational

from symbackprop.equations.model import Initializer
from symbackprop.equations.system import ArgMax, Equation, Quantity, name_of
from symbackprop.network.notation.cases import Case
from symbackprop.network.notation.expansion import InLayers
from symbackprop.network.notation.lines import Part
from symbackprop.network.notation.names import LOSS, Names
from symbackprop.network.notation.ranges import provisional_index
from symbackprop.network.notation.reader import MAX_AXES, NetReader

MAX_LETTERS = 5_000
"""Index letters of a whole text."""


@dataclass(frozen=True)
class Bound:
    """A fact about single numbers: ``name`` is nowhere below ``low`` nor above ``high``."""

    name: str
    low: Expr | None
    high: Expr | None


@dataclass(frozen=True)
class Total:
    """A fact about sums: those of ``name`` over the axis ``axis`` are ``value``."""

    name: str
    letters: tuple[str, ...]
    axis: int
    value: Expr


@dataclass
class Text:
    """The declarations and equations of a text, in its own order."""

    source: str
    names: Names = field(default_factory=Names)
    inputs: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    parameters: dict[str, Initializer | float | None] = field(default_factory=dict)
    constants: dict[str, float | tuple[float, ...]] = field(default_factory=dict)
    equations: list[Equation] = field(default_factory=list)
    written: frozenset[str] = frozenset()  # the names of those that the text itself defines
    bounds: list[Bound] = field(default_factory=list)
    totals: list[Total] = field(default_factory=list)
    outputs: dict[str, Part] = field(default_factory=dict)
    places: dict[str, Part] = field(default_factory=dict)
    lines: dict[str, Part] = field(default_factory=dict)  # the equation of each defined quantity
    sizes: dict[str, Part] = field(default_factory=dict)
    computed: list[tuple[str, Expr, Part]] = field(default_factory=list)  # sizes that follow from open ones
    joined: dict[str, Expr] = field(default_factory=dict)  # letters along axes of cases -> their sizes
    fixed: dict[str, Part] = field(default_factory=dict)  # sizes that uses of blocks give
    sections: dict[str, str] = field(default_factory=dict)  # first equation -> title
    layers: InLayers = field(default_factory=InLayers)
    noise: dict[str, tuple[str, tuple[float, ...]]] = field(default_factory=dict)
    states: dict[str, Initializer | float] = field(default_factory=dict)  # with what each begins
    updates: dict[str, str] = field(default_factory=dict)  # state -> the quantity that a step leaves in it
    updated: dict[str, Part] = field(default_factory=dict)  # state -> where
    cases: dict[str, list[Part]] = field(default_factory=dict)  # the left sides of what has several
    read: dict[str, list[Case]] = field(default_factory=dict)  # the cases that have been read


def head_of(part: Part, names: Names, what: str) -> tuple[str, tuple[str, ...]]:
    """Return the name and the letters of a left-hand side, such as x[n, i]."""
    reader = NetReader(part, names)
    tree = reader.tree()
    nodes: list[ast.expr] = []
    name = tree
    if isinstance(tree, ast.Subscript):
        nodes = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
        name = tree.value
    if not isinstance(name, ast.Name):
        reader.fail(tree.col_offset, f"{what} needs a name, with an index for each axis", "write x[n, i]")
    letters: list[str] = []
    for node in nodes:
        if not isinstance(node, ast.Name):
            reader.fail(node.col_offset, "an index letter is needed for each axis here", "write x[n, i]")
        if node.id in letters:
            reader.fail(node, f"the index '{node.id}' stands twice", "two letters may run over one axis")
        letters.append(node.id)
    if len(letters) > MAX_AXES:
        reader.fail(nodes[MAX_AXES], f"more than {MAX_AXES} axes are not allowed")
    for letter in letters:
        names.ranges.of(letter)
    if len(names.ranges.by_letter) > MAX_LETTERS:
        part.fail(f"more than {MAX_LETTERS} indices are not allowed")
    return name.id, tuple(letters)


def declare(found: Text, part: Part, what: str, integer: bool = False) -> str:
    """Enter a quantity that is declared."""
    name, letters = head_of(part, found.names, what)
    require_new(found, name, part)
    if name == LOSS:
        part.fail("E is the loss", "choose another name")
    shape = tuple(map(found.names.size, letters))
    found.names.add(Quantity(name, shape, integer), letters)
    found.places[name] = part
    return name


def require_new(found: Text, name: str, part: Part) -> None:
    """Refuse a name that stands for something already."""
    if name in found.places:
        line = found.places[name].line.number
        part.fail(f"'{name}' is defined twice, first in line {line}", "each name stands for one thing")


def number_in(part: Part) -> float:
    """Return the number that a formula of numbers stands for."""
    value = constant_value(part)
    if not value.is_number or not value.is_real:
        part.fail("a number is needed here")
    return float(value)


def constant_value(part: Part) -> Expr:
    """Return the exact value of a formula of numbers."""
    reader = NetReader(part, Names())
    return value_of_numbers(reader, reader.tree())


def value_of_numbers(
    reader: NetReader, node: ast.expr, constants: Mapping[str, object] = MappingProxyType({}), hint: str = ""
) -> Expr:
    """Return the value of a formula of numbers, and of constants that are numbers."""
    functions = {id(call.func) for call in ast.walk(node) if isinstance(call, ast.Call)}
    names = Names()
    for name in (n for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in functions):
        value = constants.get(name.id)
        if isinstance(value, float):
            names.scalars[name.id] = Rational(repr(value))
        elif name.id != "pi":
            reader.fail(name, "a number is needed here", hint)
    return NetReader(reader.part, names).expression(node)


def enter_hidden(found: Text, left: Part) -> None:
    """Enter the equations that the one at ``left`` needs before it."""
    for hidden in found.names.hidden:
        found.equations.append(hidden)
        found.lines[hidden.name] = left
        found.places.setdefault(name_of(hidden.lhs), left)
    found.names.hidden.clear()


def define(
    found: Text, name: str, letters: tuple[str, ...], rhs: Expr, left: Part, held: bool = False
) -> None:
    """Enter a quantity and its equation."""
    shape = tuple(map(found.names.size, letters))
    quantity = Quantity(name, shape, integer=isinstance(rhs, ArgMax), held=held)
    found.names.later.pop(name, None)
    found.names.add(quantity, letters)
    found.places[name] = left
    found.lines[name] = left
    found.equations.append(Equation(quantity.at([provisional_index(i) for i in letters]), rhs))
