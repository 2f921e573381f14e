"""From instructions to lines of Python: NumPy's functions with ``out``, names, conditions and loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Entry, Operation, Picks, Reduction, Stride
from symbackprop.code.statements import (
    NAMED,
    ONE,
    Assign,
    BeforeLast,
    Block,
    Call,
    Choose,
    Condition,
    Copy,
    InPlace,
    Instruction,
    Loop,
    Scatter,
    Turns,
    When,
)
from symbackprop.code.text import LAYER, PLACE, Text, called, entry, function_of, subscripts, write
from symbackprop.printing.brackets import Level

COLUMNS = 80
"""Columns of a line without the indentation of a function's or a method's body."""
ANY_LENGTH = 10**9
"""Columns of which no line has so many."""
INDENT = 4
CHOICE = "_put"
"""The function of modules that sets an array to other numbers where a condition holds."""
_SIGNS = {Kind.ADD: "+=", Kind.SUBTRACT: "-=", Kind.MULTIPLY: "*=", Kind.DIVIDE: "/="}
_CONDITIONS = {Condition.WITH_LOSS: "with_loss", Condition.WEIGHTED: "weights is not None"}


@dataclass(frozen=True)
class Comments:
    """Gives the comment lines of an equation, and of one for any layer, by the numbers of the outermost."""

    one: Callable[[int], Iterable[str]]
    any: Callable[[int, int], Iterable[str]]


def silent(*numbers: int) -> Iterable[str]:
    """Return no comment."""
    return ()


SILENT = Comments(silent, silent)
"""No comments."""


def lines_of(
    program: Iterable[Instruction], columns: int = COLUMNS, comments: Comments = SILENT
) -> Iterator[str]:
    """Yield the lines of instructions; what is longer than ``columns`` is broken where it can be."""
    said: list[str] = []
    for instruction in program:
        comment = list(_comment(instruction, comments)) if isinstance(instruction, Block) else []
        if comment != said:  # what is computed in several statements of one equation is said once
            yield from comment
        said = comment
        yield from _lines(instruction, columns, comments)


def _lines(instruction: Instruction, columns: int, comments: Comments) -> Iterator[str]:
    match instruction:
        case Call(operation, out):
            yield from _broken(_call(operation, write(out).code), columns)
        case Assign(target, value, copied):
            text = write(value)
            text = called(f"{text.inside(Level.ATOM)}.copy") if copied else text
            yield from _assignment(write(target).code, text, columns)
        case InPlace(kind, target, value):
            yield from _assignment(write(target).code, write(value), columns, _SIGNS[kind])
        case Scatter():
            yield from _scatter(instruction, columns)
        case Copy(source, out, where, True) if where is not None:
            texts = [write(operand).code for operand in (out, source, where)]
            yield from _broken(called(CHOICE, *texts), columns)
        case Copy(source, out, where):
            last = [] if where is None else [f"where={write(where).code}"]
            yield from _broken(called("np.copyto", write(out).code, write(source).code, *last), columns)
        case Block():
            yield from lines_of(instruction.body, columns, comments)
        case When(condition):
            yield f"if {_CONDITIONS[condition]}:"
            yield from _indented(instruction.body, columns, comments)
        case Loop(layers):
            yield f"for {LAYER} in {turns(layers)}:"
            yield from _indented(instruction.body, columns, comments)
        case BeforeLast(last, descending):
            yield f"if {LAYER} {'>' if descending else '<'} {last}:"
            yield from _indented(instruction.body, columns, comments)
        case Turns(count, ascending):
            places = called("range", write(count).code)
            yield f"for {PLACE} in {(places if ascending else called('reversed', places.code)).code}:"
            yield from _indented(instruction.body, columns, comments)
        case Choose(condition, inner, other):
            yield f"if {write(condition).code}:"
            yield from _indented(inner, columns, comments)
            if other:
                yield "else:"
                yield from _indented(other, columns, comments)


def _indented(inner: Iterable[Instruction], columns: int, comments: Comments) -> Iterator[str]:
    inside = lines_of(inner, columns - INDENT, comments)
    return (f"{' ' * INDENT}{line}" for line in inside)


def _comment(block: Block, comments: Comments) -> Iterable[str]:
    if any(isinstance(inner, Turns) for inner in block.inner):  # each equation inside has its own
        return ()
    return comments.one(block.number) if block.last is None else comments.any(block.number, block.last)


def turns(layers: range) -> str:
    """Return a range of layers in the code."""
    step = "" if layers.step == 1 else f", {layers.step}"
    return f"range({layers.start}, {layers.stop}{step})"


def width(instruction: Instruction) -> int:
    """Return how many columns the longest line of an instruction takes where none is broken."""
    return max(map(len, _lines(instruction, ANY_LENGTH, SILENT)))


def _broken(call: Text, columns: int) -> list[str]:
    """Return the lines of a call."""
    return [call.code] if len(call.code) <= columns else _opened(call.head, call.arguments, columns)


def _assignment(name: str, value: Text, columns: int, sign: str = "=") -> list[str]:
    """Return an assignment; one that is too long at the brackets that it ends in, or in brackets."""
    line = f"{name} {sign} {value.code}"
    if len(line) <= columns:
        return [line]
    if len(value.code) + INDENT > columns and value.arguments:
        return _opened(f"{name} {sign} {value.head}", value.arguments, columns)
    return _opened(f"{name} {sign} (", (value.code,), columns)


def _opened(head: str, inside: Sequence[str], columns: int, end: str = ")") -> list[str]:
    """Return brackets with what is inside in a line of its own; several that don't fit one by one."""
    together = ", ".join(inside)
    if len(inside) == 1 or len(together) + INDENT <= columns:
        return [head, f"{' ' * INDENT}{together}", end]
    return [head, *(f"{' ' * INDENT}{each}," for each in inside), end]


# ---------------------------------------------------------------- calls


def _call(operation: Operation, out: str) -> Text:
    """Return the call that computes an operation into an array."""
    kind, inputs = operation.kind, operation.inputs
    texts, last = [write(i).code for i in inputs], f"out={out}"
    if kind == Kind.ZEROS:
        return called(f"{out}.fill", "0")
    if kind == Kind.MATMUL and max(len(i.shape) for i in inputs) <= 2:
        return called(f"{texts[0]}.dot", texts[1], last)
    if kind == Kind.EINSUM:
        return called("np.einsum", f'"{operation.value_as(str)}"', *texts, last)
    if kind == Kind.GATHER:
        axis = operation.value_as(Picks).indices.index(0)
        return called("np.take", *texts, f"axis={axis}", last)
    if kind in (Kind.SUM, Kind.MAX):
        return _reduction(operation, texts[0], last)
    if kind == Kind.CUMSUM:
        return called("np.cumsum", *texts, f"axis={operation.value_as(int)}", last)
    if kind == Kind.DIVIDE and inputs[0] == ONE:
        return called("np.reciprocal", texts[1], last)
    return called(function_of(kind), *texts, last)


def _reduction(operation: Operation, text: str, last: str) -> Text:
    """Return the call of a sum or a maximum: a method of an array that has a name."""
    reduction = operation.value_as(Reduction)
    how = [f"axis={reduction.axes}", *(["keepdims=True"] if reduction.kept else []), last]
    if operation.inputs[0].kind in NAMED:
        return called(f"{text}.{operation.kind}", *how)
    return called(function_of(operation.kind), text, *how)


# ---------------------------------------------------------------- places


@dataclass(frozen=True)
class _Slice:
    """The texts of a slice, "" where nothing is said; moved slices are set apart by spaces."""

    start: str
    stop: str
    step: str = ""
    moved: bool = False

    def subscript(self) -> str:
        """Return the text between brackets."""
        colon = " : " if self.moved else ":"
        return colon.join((self.start, self.stop, *([self.step] if self.step else [])))

    def call(self) -> str:
        """Return the text outside of brackets."""
        parts = [self.start or "None", self.stop or "None", *([self.step] if self.step else [])]
        return called("slice", *(parts if any((self.start, self.stop, self.step)) else ["None"])).code


def _scatter(scatter: Scatter, columns: int) -> list[str]:
    """Return the lines that add a value at a place, or take it away."""
    place, indices = scatter.place, [write(i).code for i in scatter.indices]
    count = len(place.loops)
    offsets = ["offset"] if count == 1 else [f"offset{n}" for n in range(1, count + 1)]
    entries = [_moved(taken, offsets, indices) for taken in place.entries]
    name, value = write(scatter.out).code, write(scatter.value)
    turned = ", ".join(offsets[n] for n in place.looped)
    head = f"{value.inside(Level.ATOM)}[" if turned else value.code
    text = f"{head}{turned}]" if turned else head
    if indices and not place.unique:
        lines = [_added_at(scatter, name, entries, text)]
    else:
        within = subscripts(e if isinstance(e, str) else e.subscript() for e in entries)
        sign = "-=" if scatter.negative else "+="
        start = f"{f'{name}[{within}]' if entries else name} {sign} "
        lines = [f"{start}{text}"]
        if turned and len(lines[0]) + INDENT > columns:
            lines = _opened(f"{start}{head}", (turned,), columns, "]")
        elif entries and len(lines[0]) > columns:
            lines = _opened(f"{name}[", (within,), columns, f"] {sign} {text}")
    if not place.loops:
        return lines
    numbers = f"range({place.loops[0]})" if count == 1 else f"np.ndindex{place.loops}"
    return [f"for {', '.join(offsets)} in {numbers}:", *(f"{' ' * INDENT}{line}" for line in lines)]


def _added_at(scatter: Scatter, name: str, entries: Sequence[str | _Slice], text: str) -> str:
    """Return the line that adds at places of which some may be the same."""
    at = [e if isinstance(e, str) else e.call() for e in entries]
    while at[-1] == _Slice("", "").call():
        at.pop()
    array = f"{name}.reshape(-1)" if scatter.place.flat else name
    function = "np.subtract.at" if scatter.negative else "np.add.at"
    return called(function, array, at[0] if len(at) == 1 else f"({', '.join(at)})", text).code


def _moved(taken: Entry | Stride | str, offsets: Sequence[str], indices: Sequence[str]) -> str | _Slice:
    """Return one axis of a place, moved by the turn of the loops."""
    if isinstance(taken, str):
        return indices[int(taken)]
    if not isinstance(taken, Stride):
        return _taken(taken)
    turned = zip(taken.slopes, offsets, strict=True)
    moved = " + ".join(o if slope == 1 else f"{slope} * {o}" for slope, o in turned if slope)
    if not moved:
        return _taken((taken.start or None, taken.stop, None if taken.step == 1 else taken.step))
    start = f"{moved} + {taken.start}" if taken.start else moved
    return _Slice(start, f"{moved} + {taken.stop}", str(taken.step) if taken.step != 1 else "", moved=True)


def _taken(taken: Entry) -> str | _Slice:
    if not isinstance(taken, tuple):
        return entry(taken)
    start, stop, step = ("" if part is None else str(part) for part in taken)
    return _Slice(start, stop, step)
