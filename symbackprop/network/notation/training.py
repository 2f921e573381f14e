"""What is different while a network is trained: noise, states, and what a step leaves in these."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from symbackprop.errors import suggestion
from symbackprop.library.distributions import DISTRIBUTIONS
from symbackprop.network.notation.first_values import first_value
from symbackprop.network.notation.lines import Part, Statement, sides, split_outside
from symbackprop.network.notation.names import Names, axes_of
from symbackprop.network.notation.ranges import SizeConflict
from symbackprop.network.notation.reader import NetReader
from symbackprop.network.notation.text import (
    Text,
    declare,
    define,
    enter_hidden,
    head_of,
    value_of_numbers,
)


def read_noise(found: Text, statement: Statement) -> None:
    """Read noise e[n, i] = normal(1)."""
    for item in split_outside(statement.body, ","):
        left, right = sides(item)
        if right is None:
            left.fail("noise needs a distribution", f"write noise {left.text[:40]} = normal(1)")
        name = declare(found, left, "noise")
        found.noise[name] = distribution(right, found.constants)
        found.names.noise.add(name)
        found.names.asks_training = True


def read_state(found: Text, statement: Statement) -> None:
    """Read state m[i] = 0, or one with an initialiser, as a parameter has."""
    for item in split_outside(statement.body, ","):
        left, right = sides(item)
        name = declare(found, left, "a state")
        found.states[name] = 0.0 if right is None else first_value(right, found.names)
        found.names.states.add(name)
        found.names.asks_training = True


def read_update(found: Text, statement: Statement) -> None:
    """Read m[i] <- e: a quantity of its own, whose value a step leaves in the state."""
    left, right = sides(statement.body)
    assert right is not None
    state, letters = head_of(left, found.names, "an update")
    if state not in found.states:
        known = list(found.states)
        hint = suggestion(state, known) if known else f"declare it, as in: state {left.text[:40]} = 0"
        if state in found.parameters:
            hint = "the optimiser changes parameters; declare a state beside it"
        left.fail(f"'{state[:40]}' is no state", hint)
    if state in found.updated:
        line = found.updated[state].line.number
        left.fail(f"'{state}' is updated twice, first in line {line}", "a step leaves one value in a state")
    axes = found.names.axes[state]
    if len(letters) != len(axes):
        shown = f"{state}[{', '.join(axes)}]" if axes else state
        left.fail(f"'{state}' has {axes_of(axes)}, not {len(letters)}", f"write {shown} <- ...")
    for own, letter in zip(axes, letters, strict=True):
        _same_range(found, own, letter, left)
    found.updated[state] = left
    reader = NetReader(right, found.names, letters, equation=state)
    uses = {name: list(each) for name, each in found.names.uses.items()}
    value = reader.expression_of(reader.tree())
    found.names.uses = uses  # how a parameter starts does not follow from what is kept of it
    for letter in letters:
        if letter not in reader.letters_read:
            left.fail(f"the index '{letter}' stands on the left only", "use it on the right")
    new = reader.own_name("new")
    enter_hidden(found, left)
    define(found, new, letters, value, left)
    found.names.used |= {new, state}
    found.updates[state] = new


def _same_range(found: Text, own: str, letter: str, part: Part) -> None:
    """Give a letter the range of the axis that it reads."""
    try:
        found.names.ranges.unite(own, letter)
    except SizeConflict:
        few, other = found.names.ranges.of(letter).number, found.names.ranges.of(own).number
        part.fail(f"the index '{letter}' runs over {few}, but this axis has size {other}")


_HINT = "write noise e[n, i] = normal(1), uniform(0, 1) or bernoulli(0.5)"


def distribution(part: Part, constants: Mapping[str, object]) -> tuple[str, tuple[float, ...]]:
    """Return what a noise is drawn from: the name of the distribution, and its numbers.

    ``constants`` are the numbers that have names.

    Raises:
        SpecificationError: there is no such distribution, or it can't have these numbers.
    """
    reader = NetReader(part, Names())
    tree = reader.tree()
    if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)):
        reader.fail(tree.col_offset, "this is no distribution", _HINT)
    name = tree.func.id
    if name not in DISTRIBUTIONS:
        reader.fail(tree, f"there is no distribution '{name[:40]}'", suggestion(name, DISTRIBUTIONS))
    wanted = DISTRIBUTIONS[name].numbers
    if tree.keywords or len(tree.args) != len(wanted):
        takes = "1 number" if len(wanted) == 1 else f"{len(wanted)} numbers"
        reader.fail(tree, f"'{name}' takes {takes}", f"write {name}({', '.join(wanted)})")
    numbers = tuple(_number(reader, node, constants) for node in tree.args)
    if name == "normal" and not numbers[0] > 0:
        reader.fail(tree.args[0], "the deviation must be a positive number", "write normal(1)")
    if name == "uniform" and not numbers[0] < numbers[1]:
        reader.fail(tree.args[1], f"{numbers[1]:g} is not above {numbers[0]:g}", "write uniform(0, 1)")
    if name == "bernoulli" and not 0 <= numbers[0] <= 1:
        reader.fail(tree.args[0], f"{numbers[0]:g} is no probability", "it lies between 0 and 1")
    return name, numbers


def _number(reader: NetReader, node: ast.expr, constants: Mapping[str, object]) -> float:
    """Return the number that a formula of numbers and of constants stands for."""
    found = value_of_numbers(reader, node, constants, "write one, or a constant declared before")
    if not found.is_number or not found.is_real:
        reader.fail(node, "a number is needed here")
    return float(found)
