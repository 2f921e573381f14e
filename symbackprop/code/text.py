"""From array operations to the text of NumPy expressions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from sympy import Expr, Rational

from symbackprop.arrays.expressions import is_decimal
from symbackprop.arrays.kinds import LEAVES, Kind
from symbackprop.arrays.operations import (
    EVERYTHING,
    Entry,
    Number,
    Operation,
    Order,
    Padding,
    Pair,
    Picks,
    Place,
    Reduction,
    Signs,
    Sizes,
    Slices,
    Stride,
    Windows,
)
from symbackprop.printing.brackets import Level, closed


@dataclass(frozen=True)
class Text:
    """The text of an expression and how tightly it holds together."""

    code: str
    level: Level = Level.ATOM

    def inside(self, level: Level) -> str:
        """Return the text, with brackets unless it holds together as ``level`` asks."""
        return closed(self.code, self.level, level)


_BINARY = {
    Kind.ADD: ("+", Level.SUM, Level.SUM, Level.PRODUCT),
    Kind.SUBTRACT: ("-", Level.SUM, Level.SUM, Level.PRODUCT),
    Kind.MULTIPLY: ("*", Level.PRODUCT, Level.PRODUCT, Level.FACTOR),
    Kind.DIVIDE: ("/", Level.PRODUCT, Level.PRODUCT, Level.FACTOR),
    Kind.POWER: ("**", Level.POWER, Level.ATOM, Level.FACTOR),
    Kind.GREATER: (">", Level.RELATION, Level.SUM, Level.SUM),
    Kind.GREATER_EQUAL: (">=", Level.RELATION, Level.SUM, Level.SUM),
    Kind.LESS: ("<", Level.RELATION, Level.SUM, Level.SUM),
    Kind.LESS_EQUAL: ("<=", Level.RELATION, Level.SUM, Level.SUM),
    Kind.EQUAL: ("==", Level.RELATION, Level.SUM, Level.SUM),
    Kind.NOT_EQUAL: ("!=", Level.RELATION, Level.SUM, Level.SUM),
}
"""Operation -> its sign, its level, and those that its left and right sides must have at least."""


_NAMED = (Kind.ARRAY, Kind.NAME)
_REDUCED = (Kind.SUM, Kind.MAX)

OWN_FUNCTIONS = {Kind.ERF: "_erf"}
"""Operation that NumPy lacks -> the function of the generated module."""


def write(operation: Operation, names: Mapping[Operation, str], *, top: bool = True) -> Text:
    """Return the text of ``operation``; what has a name in ``names`` is written by its name.

    With ``top`` the operation itself is written out, as where it is assigned to its name.
    """
    if not top and operation in names:
        return Text(names[operation])

    def below(position: int) -> Text:
        return write(operation.inputs[position], names, top=False)

    kind = operation.kind
    if kind in _NAMED:
        return Text(operation.name)
    if kind == Kind.NUMBER:
        return number(operation.value_as(Number).value)
    if kind in _ARRANGED:
        return _ARRANGED[kind](operation, below(0))
    if kind in _MADE:
        return _made(operation, [below(p) for p in range(len(operation.inputs))])
    if kind in _REDUCED:
        return Text(f"{below(0).inside(Level.ATOM)}.{kind}({_reduction(operation.value_as(Reduction))})")
    if kind == Kind.TERMS:
        signs = operation.value_as(Signs).negative
        first = f"-{below(0).inside(Level.ATOM)}" if signs[0] else below(0).inside(Level.SUM)
        rest = (f" {'-' if n else '+'} {below(p).inside(Level.PRODUCT)}" for p, n in enumerate(signs) if p)
        return Text("".join([first, *rest]), Level.SUM)
    if kind == Kind.BROADCAST:
        value, *shape = (below(p).code for p in range(len(operation.inputs)))
        return Text(f"np.broadcast_to({value}, {_sizes(shape)})")
    if kind == Kind.FULL:
        value, *shape = (below(p).code for p in range(len(operation.inputs)))
        dtype = "" if operation.is_whole else ", dtype"
        return Text(f"np.full({_sizes(shape)}, {value}{dtype})")
    if kind == Kind.MATMUL:
        return Text(f"{below(0).inside(Level.POWER)} @ {below(1).inside(Level.POWER)}", Level.PRODUCT)
    if kind == Kind.EINSUM:
        operands = ", ".join(below(p).code for p in range(len(operation.inputs)))
        return Text(f'np.einsum("{operation.value_as(str)}", {operands})')
    if kind == Kind.NEGATIVE:
        return Text(f"-{below(0).inside(Level.ATOM)}", Level.FACTOR)
    if kind == Kind.SQUARE:
        return Text(_power(below(0).inside(Level.ATOM), "2"), Level.POWER)
    if kind in _BINARY:
        sign, level, left, right = _BINARY[kind]
        first, second = _side(operation, below(0), 0, left), _side(operation, below(1), 1, right)
        power = kind == Kind.POWER
        return Text(_power(first, second) if power else f"{first} {sign} {second}", level)
    arguments = ", ".join(below(p).code for p in range(len(operation.inputs)))
    if kind in OWN_FUNCTIONS:
        return Text(f"{OWN_FUNCTIONS[kind]}({arguments})")
    if kind == Kind.WHERE and not any(i.shape for i in operation.inputs[1:]) and not operation.is_whole:
        return Text(f"np.where({arguments}).astype(dtype)")  # of two numbers NumPy makes float64
    if (
        not operation.shape
        and kind in _OF_NUMBERS
        and not any(p.kind == Kind.ARRAY for p in operation.parts())
    ):
        return Text(f"{_OF_NUMBERS[kind]}({arguments})")
    return Text(f"np.{kind}({arguments})")


_OF_NUMBERS = {
    **{Kind(f"arc{name}"): f"math.a{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{
        Kind(name): f"math.{name}"
        for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh")
    },
    Kind.ABS: "abs",
    Kind.MAXIMUM: "max",
    Kind.MINIMUM: "min",
}
"""NumPy function -> Python function: of numbers NumPy makes float64, which float32 arrays would become."""


def _sizes(shape: Sequence[str]) -> str:
    """Return a shape as the text of a tuple, one size as it is."""
    return shape[0] if len(shape) == 1 else f"({', '.join(shape)})"


_MADE = (Kind.GATHER, Kind.PAD, Kind.ARANGE, Kind.ZEROS, Kind.CAST, Kind.ARGMAX)


def _made(operation: Operation, inputs: Sequence[Text]) -> Text:
    """Return the text of an operation that gathers, pads or makes an array."""
    kind, texts = operation.kind, [text.code for text in inputs]
    if kind == Kind.GATHER:
        entries = [":" if n is None else texts[n + 1] for n in operation.value_as(Picks).indices]
        while entries[-1] == ":":
            entries.pop()
        return Text(f"{inputs[0].inside(Level.ATOM)}[{', '.join(entries)}]")
    if kind == Kind.PAD:
        widths = operation.value_as(Padding).widths
        return Text(f"np.pad({texts[0]}, {_tuple(widths[0] if len(widths) == 1 else widths)})")
    if kind == Kind.ARANGE:
        return Text(f"np.arange({texts[0]}{'' if operation.is_whole else ', dtype=dtype'})")
    if kind == Kind.ZEROS:
        return Text(f"np.zeros({_sizes(texts)}, dtype)")
    if kind == Kind.CAST:
        return Text(f"{inputs[0].inside(Level.ATOM)}.astype(dtype)")
    return Text(f"{inputs[0].inside(Level.ATOM)}.argmax(axis={operation.value_as(int)})")


def _tuple(value: object) -> str:
    """Return the text of nested tuples of numbers."""
    if not isinstance(value, tuple):
        return str(value)
    return f"({', '.join(map(_tuple, value))}{',' if len(value) == 1 else ''})"


def _power(base: str, exponent: str) -> str:
    """Return a power; no spaces where both sides are simple, as formatters have it."""
    simple = base.replace(".", "").isidentifier() and exponent.isalnum()
    return f"{base}**{exponent}" if simple else f"{base} ** {exponent}"


def _side(operation: Operation, text: Text, position: int, level: Level) -> str:
    """Return one side of an operation; a matrix product beside * is set apart by parentheses."""
    product = operation.inputs[position].kind == Kind.MATMUL and " @ " in text.code
    if product and operation.kind in (Kind.MULTIPLY, Kind.DIVIDE):
        return f"({text.code})" if operation.kind == Kind.MULTIPLY else text.code
    return text.inside(level)


def number(value: Expr) -> Text:
    """Return a number as Python writes it; 1/3 stays a quotient, so that nothing is rounded twice."""
    if value.is_Integer:
        return Text(str(value), Level.ATOM if value >= 0 else Level.FACTOR)
    if isinstance(value, Rational):
        if is_decimal(value) or value.q in (2, 4):
            return Text(repr(float(value)), Level.ATOM if value >= 0 else Level.FACTOR)
        return Text(f"{value.p} / {value.q}", Level.PRODUCT)
    return Text(repr(float(value)), Level.ATOM if value >= 0 else Level.FACTOR)


def _layout(operation: Operation, inner: Text) -> Text:
    positions = operation.value_as(Order).positions
    if None not in positions:
        if positions == (1, 0):
            return Text(f"{inner.inside(Level.ATOM)}.T")
        return Text(f"{inner.inside(Level.ATOM)}.transpose({', '.join(map(str, positions))})")
    subscripts = ", ".join("None" if p is None else ":" for p in positions)
    return Text(f"{inner.inside(Level.ATOM)}[{subscripts}]")


def _reshape(operation: Operation, inner: Text) -> Text:
    sizes = operation.value_as(Sizes).sizes
    return Text(f"{inner.inside(Level.ATOM)}.reshape({', '.join(map(str, sizes))})")


def _subscript(operation: Operation, inner: Text) -> Text:
    entries = operation.value_as(Slices).entries
    return Text(f"{inner.inside(Level.ATOM)}[{subscripts(map(_entry, entries))}]")


def subscripts(entries: Iterable[str]) -> str:
    """Return the text between the brackets; whole axes go without saying at the end, as dots before it."""
    texts = list(entries)
    whole = next((n for n, text in enumerate(texts) if text != ":"), 0)
    if whole > 2 and ":" not in texts[whole:]:
        return ", ".join(["...", *texts[whole:]])
    while texts and texts[-1] == ":":
        texts.pop()
    return ", ".join(texts) or "..."


def _entry(entry: Entry) -> str:
    """Return the text of a place or a slice."""
    if not isinstance(entry, tuple):
        return str(entry)
    start, stop, step = ("" if part is None else str(part) for part in entry)
    return f"{start}:{stop}" + (f":{step}" if step else "")


def _windows(operation: Operation, inner: Text) -> Text:
    value = operation.value_as(Windows)
    lengths, axes = (v if len(v) > 1 else v[0] for v in (value.lengths, value.axes))
    return Text(f"sliding_window_view({inner.code}, {lengths}, axis={axes})")


def _diagonal(operation: Operation, inner: Text) -> Text:
    pair = operation.value_as(Pair)
    axes = "" if pair == Pair(0, 1) else f"axis1={pair.first}, axis2={pair.second}"
    return Text(f"{inner.inside(Level.ATOM)}.diagonal({axes})")


_ARRANGED = {
    Kind.LAYOUT: _layout,
    Kind.RESHAPE: _reshape,
    Kind.SUBSCRIPT: _subscript,
    Kind.WINDOWS: _windows,
    Kind.DIAGONAL: _diagonal,
}
"""Operations that arrange the numbers of their one input anew."""


def _reduction(reduction: Reduction) -> str:
    if reduction.axes is None:
        return ""
    return f"axis={reduction.axes}, keepdims=True" if reduction.kept else f"axis={reduction.axes}"


LINE = 80
"""Columns of a statement without the indentation of a function's or a method's body."""


def imports(operations: Iterable[Operation]) -> list[str]:
    """Return the lines that import what the text of ``operations`` calls beside NumPy itself."""
    windows = any(part.kind == Kind.WINDOWS for operation in operations for part in operation.parts())
    return ["from numpy.lib.stride_tricks import sliding_window_view"] if windows else []


def assignment(
    name: str, operation: Operation, names: dict[Operation, str], line_length: int = LINE
) -> list[str]:
    """Return the lines that assign ``operation`` to ``name``; a long one in several statements.

    Parts that get a name of their own on the way are entered in ``names``.
    """
    if operation.kind == Kind.SCATTER:
        return _scattered(name, operation, names)
    if operation.kind == Kind.TERMS and len(operation.inputs) > _TERMS_OF_A_LINE:
        return _term_by_term(name, operation, names)
    before = _scattered_parts(operation, names)
    line = f"{name} = {write(operation, names).code}"
    if len(line) <= line_length:
        return [*before, line]
    if operation.kind == Kind.TERMS:
        return [*before, *_term_by_term(name, operation, names)]
    if operation.kind in (Kind.ADD, Kind.SUBTRACT):
        sign = "+" if operation.kind == Kind.ADD else "-"
        first, second = operation.inputs
        if first.shape == operation.shape and not _is_name(first, names):
            lines, term = fitting(f"{name} {sign}= ", second, names)
            return [*before, *assignment(name, first, names), *lines, f"{name} {sign}= {term}"]
    lines, term = fitting(f"{name} = ", operation, names)
    return [*before, *lines, f"{name} = {term}"]


def _is_name(operation: Operation, names: Mapping[Operation, str]) -> bool:
    """Whether the text of ``operation`` gives numbers that something else holds, too."""
    seen = operation.is_view and _is_name(operation.inputs[0], names)
    return seen or operation in names or operation.is_leaf


def _scattered_parts(operation: Operation, names: dict[Operation, str]) -> list[str]:
    """Return the lines that compute what takes statements of its own, under new names."""
    lines: list[str] = []
    for part in operation.inputs:
        if part in names:
            continue
        if part.kind == Kind.SCATTER:
            names[part] = _new_name(names)
            lines += assignment(names[part], part, names)
        else:
            lines += _scattered_parts(part, names)
    return lines


def _new_name(names: Mapping[Operation, str]) -> str:
    taken = set(names.values())
    return next(name for n in count(1) if (name := f"part{n}") not in taken)


def _scattered(name: str, operation: Operation, names: dict[Operation, str]) -> list[str]:
    """Return the lines that make an array and add to places of it."""
    start, *updates = operation.inputs
    lines = [line for update in updates for line in _scattered_parts(update, names)]
    lines += assignment(name, start, names)
    if _is_name(start, names):
        lines[-1] += ".copy()"
    for update in updates:
        value, *indices = update.inputs
        place = update.value_as(Place)
        negative = value.kind == Kind.NEGATIVE and value not in names
        value = value.inputs[0] if negative else value
        if place.loops and not value.is_leaf and value not in names:
            part = _new_name(names)
            lines += assignment(part, value, names)
            names[value] = part
        texts = [write(i, names, top=False).code for i in indices]
        if max(map(len, update_lines(name, place, Text("value"), texts, negative))) > LINE:
            for i in indices:
                if not i.is_leaf and i not in names:
                    names[i] = _new_name(names)
                    lines += [f"{names[i]} = {write(i, names).code}"]
            texts = [write(i, names, top=False).code for i in indices]
        before = update_lines(name, place, Text(""), texts, negative)[-1]
        if value not in names:
            lines += fitting(before, value, names)[0]
        lines += update_lines(name, place, write(value, names, top=False), texts, negative)
    return lines


def update_lines(
    name: str, place: Place, value: Text, indices: Sequence[str], negative: bool = False
) -> list[str]:
    """Return the lines that add ``value`` at ``place`` of the array ``name``, or take it away."""
    offsets = ["offset"] if len(place.loops) == 1 else [f"offset{n}" for n in range(1, len(place.loops) + 1)]
    entries = [_moved(entry, offsets, indices) for entry in place.entries]
    text = value.code
    if place.looped:
        text = f"{value.inside(Level.ATOM)}[{', '.join(offsets[n] for n in place.looped)}]"
    target = f"{name}[{subscripts(entries)}]" if entries else name
    if indices and not place.unique:
        at = [_as_slice(entry) for entry in entries]
        while at[-1] == "slice(None)":
            at.pop()
        name = f"{name}.reshape(-1)" if place.flat else name
        at_text = at[0] if len(at) == 1 else f"({', '.join(at)})"
        line = f"np.{'subtract' if negative else 'add'}.at({name}, {at_text}, {text})"
    else:
        line = f"{target} {'-' if negative else '+'}= {text}"
    if not place.loops:
        return [line]
    turns = f"range({place.loops[0]})" if len(offsets) == 1 else f"np.ndindex{place.loops}"
    return [f"for {', '.join(offsets)} in {turns}:", f"    {line}"]


def _as_slice(entry: str) -> str:
    """Return the text of a slice as a call, as it has to be outside of brackets."""
    if ":" not in entry or "[" in entry:
        return entry
    start, stop, *step = (part.strip() or "None" for part in entry.split(":"))
    parts = ["None"] if (start, stop, step) == ("None", "None", []) else [start, stop, *step]
    return f"slice({', '.join(parts)})"


def _moved(entry: Entry | Stride | str, offsets: Sequence[str], indices: Sequence[str]) -> str:
    """Return the text of one axis of a place, moved by the turn of the loops."""
    if isinstance(entry, str):
        return indices[int(entry)]
    if not isinstance(entry, Stride):
        return _entry(entry)
    turned = zip(entry.slopes, offsets, strict=True)
    moved = " + ".join(o if slope == 1 else f"{slope} * {o}" for slope, o in turned if slope)
    if not moved:
        whole = (entry.start or None, entry.stop, None if entry.step == 1 else entry.step)
        return ":" if whole == EVERYTHING else _entry(whole)
    start = f"{moved} + {entry.start}" if entry.start else moved
    step = f" : {entry.step}" if entry.step != 1 else ""
    return f"{start} : {moved} + {entry.stop}{step}"


_TERMS_OF_A_LINE = 8  # more never fit: a thousand are not even tried


def _term_by_term(name: str, operation: Operation, names: dict[Operation, str]) -> list[str]:
    """Return the lines that assign the first term and add or take away the others."""
    signs = operation.value_as(Signs).negative
    first, *rest = operation.inputs
    found = assignment(name, Operation(Kind.NEGATIVE, (first,)) if signs[0] else first, names)
    for term, negative in zip(rest, signs[1:], strict=True):
        sign = "-=" if negative else "+="
        lines, text = fitting(f"{name} {sign} ", term, names)
        found += [*lines, f"{name} {sign} {text}"]
    return found


def fitting(before: str, operation: Operation, names: dict[Operation, str]) -> tuple[list[str], str]:
    """Return the text of ``operation``, and the lines that name parts of it until it fits."""
    lines: list[str] = []
    while True:
        term = write(operation, names).code
        part = _longest_part(operation, names)
        if len(before) + len(term) <= LINE or part is None:
            return lines, term
        name = _new_name(names)
        lines.append(f"{name} = {write(part, names).code}")
        names[part] = name


def _longest_part(operation: Operation, names: Mapping[Operation, str]) -> Operation | None:
    """Return the longest proper part that fits a line and has no name yet."""
    parts: dict[Operation, int] = {}

    def visit(part: Operation) -> None:
        for inner in part.inputs:
            if inner.kind not in LEAVES and inner not in names:
                parts[inner] = len(write(inner, names).code)
                visit(inner)

    visit(operation)
    fitting = [part for part, length in parts.items() if length <= LINE - len("part99 = ")]
    return max(fitting, key=parts.__getitem__, default=None)
