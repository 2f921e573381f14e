"""A whole ``.net`` text: its declarations and equations, with provisional sizes and letters."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from types import MappingProxyType

from sympy import Add, Expr, Indexed, Integer, Symbol, expand

from symbackprop.equations.circles import NoOrder, circles_of
from symbackprop.equations.naming import Glyph
from symbackprop.equations.system import ZERO, ArgMax, Quantity, is_size, name_of
from symbackprop.errors import suggestion
from symbackprop.library.formula import MAX_WORK, TooMuchWork, limited_work
from symbackprop.network.notation.cases import Case, NotOnce, axis_of, joined, letters_in, places_of
from symbackprop.network.notation.expansion import InLayers, Same, expanded
from symbackprop.network.notation.first_values import first_value
from symbackprop.network.notation.imports import last_line, main_file
from symbackprop.network.notation.inside import whole_size
from symbackprop.network.notation.lines import (
    UPDATE,
    Line,
    Part,
    Statement,
    UsedLine,
    sides,
    split_outside,
)
from symbackprop.network.notation.names import LOSS, Names, axes_of
from symbackprop.network.notation.ranges import provisional_index, provisional_size
from symbackprop.network.notation.reader import MAX_AXES, NetReader, used_before
from symbackprop.network.notation.text import (
    Bound,
    Text,
    Total,
    declare,
    define,
    enter_hidden,
    head_of,
    number_in,
    require_new,
)
from symbackprop.network.notation.training import read_noise, read_state, read_update

_WORK_OF_A_LINE = 100_000  # calls and returns inside SymPy that a line adds to those of one formula
_WORK_OF_A_TEXT = 50_000_000


def read_text(text: str, source: str, sizes: Mapping[str, int] = MappingProxyType({})) -> Text:
    """Return the declarations and equations of a text; ``sizes`` are numbers that letters have beside it.

    Raises:
        SpecificationError: something is wrong; the message has line, column and a caret.
    """
    found = Text(source, Names(source=source))
    parts, found.layers = written_out(text, source, sizes)
    found.names.layers = {
        own.name: Glyph(own.word, str(own.layer)) for own in found.layers.made if not own.data
    }
    found.names.later = _defined_later(parts)
    found.written = frozenset(found.names.later)
    found.names.shared = _shared_parameters(parts)
    found.cases = _defined_by_cases(parts)
    found.names.enter_cases = partial(_enter_cases, found)
    found.names.places = _names_in_indices(parts)
    found.names.ranges.numbers = {**_sizes_declared(parts), **sizes}
    statement = None
    try:
        with limited_work(min(MAX_WORK + _WORK_OF_A_LINE * len(parts), _WORK_OF_A_TEXT)) as work:
            title = None
            known: dict[Hashable, int] = {}
            for statement in parts:
                title = title if statement.title is None else statement.title
                key, before = _up_to_names(statement), work.left
                with work.known(known[key]) if key in known else nullcontext():
                    title = _read(found, statement, title)
                if key is not None:
                    known.setdefault(key, before - work.left)
    except TooMuchWork:
        assert statement is not None
        statement.body.fail("working this out takes too long", "write it in a simpler way")
    _check_order(found)
    _check_whole(found, Part(Line(source, last_line(text), ""), "", 0))
    return found


def _up_to_names(statement: Statement) -> Hashable | None:
    """Return what is equal for a line of a block in uses that differ in names alone; None for other lines."""
    line, code = statement.body.line, statement.body.text
    if not isinstance(line, UsedLine):
        return None
    while isinstance(line, UsedLine):  # a block that is used in a block
        code = line.in_block(code)
        line = line.part.line
    return line.source, line.number, code


def _read(found: Text, statement: Statement, title: str | None) -> str | None:
    """Read a statement; return the title of the section that begins with the next equation."""
    number = len(found.equations)
    _READERS[statement.keyword](found, statement)
    if title is None or len(found.equations) == number:
        return title
    found.sections[found.equations[number].name] = title
    return None


def written_out(text: str, source: str, sizes: Mapping[str, int]) -> tuple[list[Statement], InLayers]:
    """Return the statements of a text with those that uses of blocks stand for, and what is in layers."""
    main = main_file(text, source)
    if not main.block_names:
        return main.own, InLayers()
    replaced, layers = expanded(main, sizes)
    return [statement for _, several in replaced for statement in several], layers


_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def _names_in_indices(parts: list[Statement]) -> set[str]:
    """Return the names of what is read inside of the brackets of another read."""
    found: set[str] = set()
    for statement in parts:
        depth = 0
        for piece in _PIECE.findall(statement.body.text):
            depth += (piece == "[") - (piece == "]")
            if depth > 0 and piece not in "[]":
                found.add(piece)
    return found


_PIECE = re.compile(r"[\[\]]|[A-Za-z_]\w*(?=\[)", re.ASCII)


def _defined_later(parts: list[Statement]) -> dict[str, Part]:
    """Return the left side of the equation that defines each quantity."""
    found: dict[str, Part] = {}
    for statement in parts:
        name = _NAME.match(statement.body.text)
        if name and statement.keyword == "":
            found.setdefault(name[0], sides(statement.body)[0])
    return found


def _defined_by_cases(parts: list[Statement]) -> dict[str, list[Part]]:
    """Return the left sides of each quantity that has an equation with more than letters on its left."""
    found: dict[str, list[Part]] = {}
    written: set[str] = set()
    for statement in parts:
        left = sides(statement.body)[0] if statement.keyword == "" else statement.body
        name, _, inside = left.text.partition("[") if statement.keyword == "" else ("", "", "")
        found.setdefault(name.strip(), []).append(left)
        if inside and not re.fullmatch(r" *[^\W\d]\w* *(, *[^\W\d]\w* *)*\] *", inside):
            written.add(name.strip())
    return {name: lefts for name, lefts in found.items() if name in written}


def _sizes_declared(parts: list[Statement]) -> dict[str, int]:
    """Return the numbers that the size lines give, as far as they are plain; what is wrong is told later."""
    items = [item for s in parts if s.keyword == "size" for item in split_outside(s.body, ",")]
    pairs = [(left.text, right.text) for left, right in map(sides, items) if right is not None]
    return {letter: int(number) for letter, number in pairs if re.fullmatch(r"[0-9]{1,9}", number)}


def _shared_parameters(parts: list[Statement]) -> set[str]:
    """Return the parameters that stand in the equations more than once, the loss aside.

    The loss may add up the squares of all of them.
    """
    found: Counter[str] = Counter()
    for statement in parts:
        names = _NAME.findall(statement.body.text) if statement.keyword == "" else []
        found.update(names if names[:1] != [LOSS] else [])
    declared = {name for s in parts if s.keyword == "parameter" for name in _NAME.findall(s.body.text)}
    return {name for name in declared if found[name] > 1}


# ------------------------------------------------------------------------------------ declarations


def _input(found: Text, statement: Statement) -> None:
    for part in split_outside(statement.body, ","):
        found.inputs.append(declare(found, part, "an input", statement.integer))


def _target(found: Text, statement: Statement) -> None:
    for part in split_outside(statement.body, ","):
        found.targets.append(declare(found, part, "a target", statement.integer))


def _parameter(found: Text, statement: Statement) -> None:
    for item in split_outside(statement.body, ","):
        left, right = sides(item)
        name = declare(found, left, "a parameter")
        found.parameters[name] = None if right is None else first_value(right, found.names)


def _constant(found: Text, statement: Statement) -> None:
    for item in split_outside(statement.body, ","):
        left, right = sides(item)
        if right is None:
            left.fail("a constant needs a value", f"write {left.text[:40]} = 0.1")
        name = declare(found, left, "a constant", left.text.partition("[")[0].strip() in found.names.places)
        found.names.constants.add(name)
        letters = found.names.axes[name]
        if not letters:
            found.constants[name] = number_in(right)
            if found.constants[name] == int(number_in(right)):
                found.names.whole[name] = Integer(int(number_in(right)))
            continue
        if len(letters) > 1:
            left.fail("a constant has one axis or none")
        is_place = found.names.quantities[name].integer
        found.constants[name] = numbers = _numbers(right, is_place)
        if is_place:
            found.names.listed[name] = int(min(numbers)), int(max(numbers))
        _fix_size(found, letters[0], len(_numbers(right)), left)


def _numbers(part: Part, whole: bool = False) -> tuple[float, ...]:
    """Return the numbers of a list in parentheses, which must be ``whole`` where they are places."""
    if not (part.text.startswith("(") and part.text.endswith(")")):
        part.fail("a constant with an axis needs a list of numbers", "write (1, 2.5, 1)")
    inside = part.slice(1, len(part.text) - 1)
    items = split_outside(inside, ",")
    items = items[:-1] if items[-1].text == "" and len(items) > 1 else items
    numbers = tuple(number_in(item) for item in items)
    for item, number in zip(items, numbers, strict=True):
        if whole and number != int(number):
            item.fail("a whole number is needed here", "this constant is used as an index")
    return tuple(map(int, numbers)) if whole else numbers


def _size(found: Text, statement: Statement) -> None:
    for item in split_outside(statement.body, ","):
        left, right = sides(item)
        if right is None:
            left.fail("a size needs a value", f"write size {left.text[:40]} = 64")
        letter, letters = head_of(left, Names(), "a size")
        if letters:
            left.fail("a size is named by an index letter", f"write size {letter} = 64")
        if letter in found.sizes:
            line = found.sizes[letter].line.number
            left.fail(f"the size of '{letter}' is given twice, first in line {line}")
        found.sizes[letter] = left
        _set_size(found, letter, right, left)


def _set_size(found: Text, letter: str, right: Part, part: Part) -> None:
    """Give a letter the size that a formula says; what is not known yet follows when all is read."""
    value = _size_formula(right, found)
    number = _number_of(value, found)
    if not value.is_number:
        found.names.ranges.of(letter)
        found.computed.append((letter, value, right))
    if number.is_number:
        _fix_size(found, letter, int(whole_size(number, right)), part)


def _number_of(value: Expr, found: Text) -> Expr:
    """Return a size with the numbers that those in it have by now."""
    numbers = {s: found.names.ranges.number(s.name[1:]) for s in value.free_symbols}
    return value.xreplace({s: Integer(number) for s, number in numbers.items() if number is not None})


def _size_formula(part: Part, found: Text) -> Expr:
    """Return the size that a formula of whole numbers, constants and other sizes stands for."""
    reader = NetReader(part, found.names)
    reader.names = {**found.names.scalars, **found.names.whole}
    tree = reader.tree()
    called = {id(name) for call in ast.walk(tree) if isinstance(call, ast.Call) for name in ast.walk(call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and id(node) not in called and node.id not in found.names.whole:
            hint = "a size is made of whole numbers, constants, and other sizes such as size(k)"
            reader.fail(node, "a number is needed here", hint)
    return reader.expression(tree)


def _fix(found: Text, statement: Statement) -> None:
    """Give a letter of a block its size."""
    left, right = sides(statement.body)
    if right is None:
        left.fail("a size needs a value", f"write size {left.text[:40]} = 64")
    ranges, letter = found.names.ranges, left.text
    known, number = ranges.number(letter), _number_of(_size_formula(right, found), found)
    if known is not None and number.is_Integer and known != number:
        left.fail(f"the index '{letter}' can't run over {number}: it runs over {known}")
    _set_size(found, letter, right, left)
    found.fixed[letter] = left
    if number.is_number:
        ranges.numbers[letter] = int(number)


def _same(found: Text, statement: Statement) -> None:
    """Let the axes of what a block is given, or of its result, run over the ranges of the block's letters."""
    assert isinstance(statement, Same)
    names, name, part = found.names, statement.name, statement.body
    if name not in names.axes and not names.add_early(name):
        if name in names.later:
            part.fail(*used_before(name, names.later[name]))
        part.fail(f"unknown quantity '{name[:40]}'", suggestion(name, names.axes) if names.axes else "")
    own = names.axes[name]
    if len(own) != len(statement.letters):
        part.fail(f"'{name}' has {axes_of(own)}, but {statement.what}")
    for axis, (letter, other) in enumerate(zip(own, statement.letters, strict=True), start=1):
        numbers = [names.ranges.number(i) or names.ranges.of(i).number for i in (letter, other)]
        if None not in numbers and numbers[0] != numbers[1]:
            problem = f"axis {axis} of '{name}' has size {numbers[0]}, but '{other}' runs over {numbers[1]}"
            part.fail(problem, statement.what)
        names.ranges.unite(letter, other)


def _fix_size(found: Text, letter: str, number: int, part: Part) -> None:
    """Give the range of a letter its number."""
    root = found.names.ranges.of(letter)
    if root.number is not None and root.number != number:
        others = ", ".join(f"'{other}'" for other in root.letters if other != letter and "~" not in other)
        along = f", as {others} does" if others else ""
        part.fail(f"the index '{letter}' can't run over {number}: it runs over {root.number}{along}")
    root.number = number


def _output(found: Text, statement: Statement) -> None:
    if found.outputs:
        statement.body.fail("there are two outputs", "name all in one line, as in: output y, z")
    for part in split_outside(statement.body, ","):
        name, _ = head_of(part, Names(), "an output")
        if name in found.outputs:
            part.fail(f"'{name[:40]}' is an output twice", "name each once")
        found.outputs[name] = part


# --------------------------------------------------------------------------------------- equations


def _equation(found: Text, statement: Statement) -> None:
    left, right = sides(statement.body)
    if right is None:
        hint = "write name[n, i] = formula, or begin with input, parameter, output"
        left.fail("this is neither an equation nor a declaration", hint)
    name = left.text.partition("[")[0].strip()
    if name in found.cases and name != LOSS:
        _case(found, name, left, right)
        return
    name, letters = head_of(left, found.names, "an equation")
    require_new(found, name, left)
    if name == LOSS and letters:
        left.fail("the loss E must be a scalar, without indices", "sum or average over them")
    reader = NetReader(right, found.names, letters, equation=name)
    tree = reader.tree()
    rhs = reader.expression_of(tree)
    for letter in letters:
        if letter not in reader.letters_read and not found.names.numbers_samples(letter):
            left.fail(f"the index '{letter}' stands on the left only", "leave it out, or use it on the right")
    enter_hidden(found, left)
    define(found, name, letters, rhs, left, reader.is_held)


# ------------------------------------------------------------------------------------------- cases


def _case(found: Text, name: str, left: Part, right: Part) -> None:
    """Read one case of a quantity, such as y[n, 0] = a[n]; after the last one the quantity is defined."""
    if name not in found.read:
        require_new(found, name, left)
        found.places[name] = left
        found.read[name] = []
        _enter_cases(found, name)
    indices, scope = _left_of_case(found, name, left)
    body = NetReader(right, found.names, scope, equation=name)
    value = body.expression_of(body.tree())
    if isinstance(value, ArgMax):
        right.fail("an argmax can't be a case", "give it an equation before")
    enter_hidden(found, left)
    found.read[name].append(Case(left, indices, value))
    if len(found.read[name]) == len(found.cases[name]):
        _join(found, name, found.read[name])


def _left_of_case(found: Text, name: str, left: Part) -> tuple[tuple[Expr, ...], list[str]]:
    """Return the indices on the left of a case, and the letters in them."""
    reader = NetReader(left, found.names)
    tree = reader.tree()
    if not isinstance(tree, ast.Subscript):
        reader.fail(tree.col_offset, f"'{name}' has an index elsewhere", "write y[n, i]")
    nodes = tree.slice.elts if isinstance(tree.slice, ast.Tuple) else [tree.slice]
    if len(nodes) > MAX_AXES:
        reader.fail(nodes[MAX_AXES], f"more than {MAX_AXES} axes are not allowed")
    reader.scope += dict.fromkeys(i for node in nodes for i in _letters_of(node, found.names))
    return tuple(map(reader.index, nodes)), reader.scope


def _enter_cases(found: Text, name: str) -> None:
    """Enter a quantity before its cases, so that they may read it at earlier places; its shape is known."""
    names = found.names
    if name not in found.cases or name in names.quantities or name == LOSS:
        return
    cases = [Case(left, _left_of_case(found, name, left)[0], ZERO) for left in found.cases[name]]
    try:
        axis = axis_of(cases)
        places = places_of(cases, axis, names.ranges)
    except NotOnce:
        return  # which is told where they are joined
    letters = _letters_of_cases(found, cases, axis, *places)
    names.add(Quantity(name, tuple(map(names.size, letters))), letters)
    names.by_cases.add(name)


def _letters_of_cases(
    found: Text, cases: list[Case], axis: int, number: int, length: Expr
) -> tuple[str, ...]:
    """Return the letters of a quantity with cases along an axis of so many places, also in sizes."""
    names, place = found.names, _letter_of_places(length)
    names.ranges.of(place).number = names.ranges.numbers[place] = number
    found.joined[place] = length
    names.letters |= {place, *(i for case in cases for i in letters_in(case.indices[axis]))}
    return tuple(place if n == axis else index.name[1:] for n, index in enumerate(cases[0].indices))


def _letter_of_places(length: Expr) -> str:
    """Return the letter along an axis of such a length that cases define, in all quantities."""
    return f"i~{length}"


def _letters_of(node: ast.expr, names: Names) -> list[str]:
    """Return the index letters on a left-hand side; the letter inside of size(k) is none."""
    called = {id(part) for call in ast.walk(node) if isinstance(call, ast.Call) for part in ast.walk(call)}
    found = (part for part in ast.walk(node) if isinstance(part, ast.Name) and id(part) not in called)
    return [part.id for part in found if part.id not in names.whole]


def _join(found: Text, name: str, cases: list[Case]) -> None:
    """Define a quantity by its cases."""
    try:
        axis = axis_of(cases)
        number, length = places_of(cases, axis, found.names.ranges)
        place = provisional_index(_letter_of_places(length))
        value = joined(cases, axis, place, found.names.ranges)
    except NotOnce as problem:
        hint = "the cases of one quantity say every place along one axis once"
        problem.part.fail(f"'{name}': {problem}", hint)
    del found.places[name]
    letters = _letters_of_cases(found, cases, axis, number, length)
    define(found, name, letters, value, cases[0].part)


# ------------------------------------------------------------------------------------------- facts


def _assume(found: Text, statement: Statement) -> None:
    """Read sum(t[n, i], i) == 1, or 0 <= t[n, i] <= 1."""
    reader = NetReader(statement.body, found.names)
    tree = reader.tree()
    if not isinstance(tree, ast.Compare):
        hint = "write sum(t[n, i], i) == 1 or 0 <= t[n, i] <= 1"
        reader.fail(tree.col_offset, "a fact is a comparison", hint)
    values = [tree.left, *tree.comparators]
    for operator, left, right in zip(tree.ops, values, values[1:], strict=False):
        _fact(found, reader, operator, left, right)


def _fact(found: Text, reader: NetReader, operator: ast.cmpop, left: ast.expr, right: ast.expr) -> None:
    number_first = not any(isinstance(node, ast.Name) for node in ast.walk(left))
    number, about = (left, right) if number_first else (right, left)
    if any(isinstance(node, ast.Name) for node in ast.walk(number)):
        reader.fail(number, "one side of a fact must be a number")
    value = reader.expression(number)
    if isinstance(operator, ast.Eq) and isinstance(about, ast.Call):
        found.totals.append(_total(found, reader, about, value))
        return
    if not isinstance(operator, ast.LtE | ast.GtE):
        reader.fail(about, "a fact about single numbers is a <= or >=", "write 0 <= t[n, i] <= 1")
    name, _ = _data_read(found, reader, about, (*found.inputs, *found.targets))
    is_low = isinstance(operator, ast.LtE) == number_first
    found.bounds.append(Bound(name, value if is_low else None, None if is_low else value))


def _total(found: Text, reader: NetReader, call: ast.Call, value: Expr) -> Total:
    is_sum = isinstance(call.func, ast.Name) and call.func.id == "sum" and len(call.args) == 2
    index = call.args[1] if is_sum else None
    if not isinstance(index, ast.Name):
        reader.fail(call, "this kind of fact is not known", "write sum(t[n, i], i) == 1")
    name, letters = _data_read(found, reader, call.args[0], _with_axes(found))
    if index.id not in letters:
        reader.fail(index, f"nothing here depends on the index '{index.id}'", f"use one of {letters}")
    total = Total(name, letters, letters.index(index.id), value)
    if name in found.lines and not _follows(found, total):
        reader.fail(call, f"this does not follow from what is assumed of the data, as '{name}' is computed")
    return total


def _with_axes(found: Text) -> list[str]:
    """Return the quantities that a fact about sums may be about."""
    return [name for name in (*found.inputs, *found.targets, *found.lines) if found.names.axes.get(name)]


def _follows(found: Text, total: Total) -> bool:
    """Whether a sum over a computed quantity follows from one over the data: it is a·t + b of that."""
    (equation,) = [e for e in found.equations if e.name == total.name]
    i = equation.indices[total.axis]
    terms = expand(equation.rhs)
    result = ZERO
    for term in Add.make_args(terms):
        if i not in term.free_symbols:
            result += term * provisional_size(i.name[1:])
            continue
        reads = [read for read in term.atoms(Indexed) if i in read.free_symbols]
        known = [t for t in found.totals if reads and t.name == name_of(reads[0])]
        rest = term / reads[0] if reads else term
        if len(reads) != 1 or not known or rest.free_symbols & {i} or reads[0].indices[known[0].axis] != i:
            return False
        result += rest * known[0].value
    return bool(expand(result - total.value) == 0)


def _data_read(
    found: Text, reader: NetReader, node: ast.expr, known: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """Return which of the ``known`` quantities a fact is about, and the letters at which it reads it."""
    name = node.value if isinstance(node, ast.Subscript) else node
    if not isinstance(name, ast.Name) or name.id not in known:
        hint = suggestion(name.id, known) if isinstance(name, ast.Name) and known else "declare it first"
        reader.fail(node, "a fact is about an input or a target", hint)
    places = []
    if isinstance(node, ast.Subscript):
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    letters = tuple(place.id for place in places if isinstance(place, ast.Name))
    reader.scope += [letter for letter in letters if letter not in reader.scope]
    reader.expression(node)
    if len(letters) != len(places) or len(set(letters)) != len(letters):
        reader.fail(node, "a fact has a letter for each axis", f"write {name.id}[n, i]")
    return name.id, letters


_READERS: Mapping[str, Callable[[Text, Statement], None]] = {
    "": _equation,
    "input": _input,
    "target": _target,
    "parameter": _parameter,
    "constant": _constant,
    "size": _size,
    "fix": _fix,
    "same": _same,
    "assume": _assume,
    "noise": read_noise,
    "state": read_state,
    UPDATE: read_update,
    "output": _output,
}


# ----------------------------------------------------------------------------------------- the whole


def _check_order(found: Text) -> None:
    """Refuse reads of what is defined later, unless they lie at other places along one letter."""
    early = found.names.early
    if not early:
        return
    try:
        circles = circles_of(found.equations, _reads, found.names.number)
    except NoOrder as problem:
        read = next(read for read in early if read.name in problem.names)
        names = [name for name in problem.names if name in found.written]  # and no parts of their own
        first = names.index(min(names, key=lambda name: found.lines[name].line.number))
        names = names[first:] + names[:first]
        circle = f"equations go in a circle: {' -> '.join((*names, names[0]))}"
        reason = problem.reason.replace("@", "")
        if read.moved:
            read.part.fail(circle, reason, read.column)
        before, _ = used_before(read.name, found.lines[read.name])
        read.part.fail(before, f"{circle}; {reason}", read.column)
    for read in early:
        if not read.moved and read.name not in circles:
            read.part.fail(*used_before(read.name, found.lines[read.name]), read.column)


def _reads(expression: Expr) -> Iterator[Expr]:
    """Yield the components that an expression reads, under provisional names."""
    if isinstance(expression, Indexed) or (isinstance(expression, Symbol) and not is_size(expression)):
        yield expression
    for part in expression.indices if isinstance(expression, Indexed) else expression.args:
        yield from _reads(part)


def _check_whole(found: Text, end: Part) -> None:
    """Check the conditions on the text as a whole: the loss, the output, and that everything is used."""
    names = found.names
    if LOSS not in found.lines:
        end.fail("there is no loss", "define E, as in E = mean(..., n)")
    if not found.outputs:
        end.fail("there is no output", "name one, as in: output y")
    for output, place in found.outputs.items():
        if output not in found.lines or output == LOSS:
            known = [name for name in found.lines if name != LOSS]
            hint = suggestion(output, known) if known else ""
            place.fail(f"'{output[:40]}' is no quantity that an equation defines", hint)
    if not found.inputs:
        end.fail("there is no input", "declare one, as in: input x[n, k]")
    if not names.axes[found.inputs[0]]:
        found.places[found.inputs[0]].fail("the first input needs an index for the samples", "write x[n, k]")
    if not found.parameters:
        end.fail("there is no parameter, so nothing can be learned", "declare one, as in: parameter w[k, i]")
    for name, part in found.places.items():
        if name not in names.used and name not in (LOSS, *found.outputs):
            part.fail(f"'{name}' is never used", "leave it out")
    for name in found.states:
        if name not in found.updates:
            hint = f"write {found.places[name].text} <- ..., or make it a constant"
            found.places[name].fail(f"the state '{name}' is never updated", hint)
    letters = {letter for axes in names.axes.values() for letter in axes} | names.letters
    letters = {letter for letter in letters if "~" not in letter}  # those of no file
    for letter, part in found.sizes.items():
        if letter not in letters:
            part.fail(f"there is no index '{letter[:40]}'", suggestion(letter, letters))
