"""From array operations to the text of NumPy expressions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sympy import Add, Expr, Integer, Mul, Pow, Rational

from symbackprop.arrays.fractions import is_decimal
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import (
    Entry,
    Name,
    Number,
    Operation,
    Order,
    Padding,
    Pair,
    Picks,
    Reduction,
    Signs,
    Sizes,
    Slices,
    Turn,
    Windows,
)
from symbackprop.code.statements import NAMED, is_choice_of_numbers, name_of, takes_dtype
from symbackprop.printing.brackets import Level, closed

LAYER = "layer"
"""What counts the layers in the code."""


PLACE = "place"
"""What counts the places of a recurrence in the code."""


class Text(NamedTuple):
    """The text of an expression and how tightly it holds together.

    ``arguments`` are what stands between commas in the round brackets that it ends in, none where it ends in
    no brackets.  ``is_word`` says that it is a name, or an attribute of one.
    """

    code: str
    level: Level = Level.ATOM
    arguments: tuple[str, ...] = ()
    is_word: bool = False

    @property
    def head(self) -> str:
        """The text before its arguments."""
        return self.code[: -len(f"{', '.join(self.arguments)})")]

    def inside(self, level: Level) -> str:
        """Return the text, with brackets unless it holds together as ``level`` asks."""
        return closed(self.code, self.level, level)

    def within(self, level: Level) -> Text:
        """Return the text, with brackets unless it holds together as ``level`` asks."""
        return self if self.level >= level else called("", self.code)


def called(function: str, *arguments: str) -> Text:
    """Return the call of a function; of none for something in brackets."""
    return Text(f"{function}({', '.join(arguments)})", arguments=arguments)


def joined(level: Level, *parts: str, last: Text) -> Text:
    """Return texts one behind the other."""
    return Text("".join((*parts, last.code)), level, last.arguments)


_BINARY = {
    Kind.ADD: ("+", Level.SUM, Level.SUM, Level.PRODUCT),
    Kind.SUBTRACT: ("-", Level.SUM, Level.SUM, Level.PRODUCT),
    Kind.MULTIPLY: ("*", Level.PRODUCT, Level.PRODUCT, Level.FACTOR),
    Kind.DIVIDE: ("/", Level.PRODUCT, Level.PRODUCT, Level.FACTOR),
    Kind.GREATER: (">", Level.RELATION, Level.SUM, Level.SUM),
    Kind.GREATER_EQUAL: (">=", Level.RELATION, Level.SUM, Level.SUM),
    Kind.LESS: ("<", Level.RELATION, Level.SUM, Level.SUM),
    Kind.LESS_EQUAL: ("<=", Level.RELATION, Level.SUM, Level.SUM),
    Kind.EQUAL: ("==", Level.RELATION, Level.SUM, Level.SUM),
    Kind.NOT_EQUAL: ("!=", Level.RELATION, Level.SUM, Level.SUM),
}
"""Operation -> its sign, its level, and those that its left and right sides must have at least."""


_REDUCED = (Kind.SUM, Kind.MAX)

OWN_FUNCTIONS = {Kind.ERF: "_erf", Kind.LGAMMA: "_lgamma", Kind.DIGAMMA: "_digamma"}
"""Operation that NumPy lacks -> the function of the generated module."""


def function_of(kind: Kind) -> str:
    """Return the function that carries out an operation on arrays."""
    return OWN_FUNCTIONS.get(kind, f"np.{kind}")


def spelled(name: Name) -> str:
    """Return a name in the code."""
    if isinstance(name, str):
        return name
    if not name.counted:
        return f"{name.stem}[{name.layer}]"
    offset = f" {'+' if name.layer > 0 else '-'} {abs(name.layer)}" if name.layer else ""
    return f"{name.stem}[{LAYER}{offset}]"


def write(operation: Operation, names: Mapping[Operation, str] | None = None, *, top: bool = True) -> Text:
    """Return the text of ``operation``; what has a name in ``names`` is written by its name.

    With ``top`` the operation itself is written out, as where it is assigned to its name.
    """
    kind, names = operation.kind, names or {}
    if not top and operation in names:
        return Text(names[operation], is_word=True)
    if kind in NAMED:
        name = name_of(operation)
        if isinstance(name, str):
            return Text(name, is_word=kind == Kind.ARRAY or name.isidentifier())
        return Text(spelled(name))
    if kind == Kind.NUMBER:
        return number(operation.value_as(Number).value)
    texts = [write(i, names, top=False) for i in operation.inputs]
    if kind in _ARRANGED:
        return _ARRANGED[kind](operation, texts[0])
    if kind in _MADE:
        return _made(operation, texts)
    if kind in _REDUCED:
        return called(f"{texts[0].inside(Level.ATOM)}.{kind}", *_reduction(operation.value_as(Reduction)))
    if kind == Kind.TERMS:
        return _terms(operation.value_as(Signs), texts)
    if kind == Kind.MATMUL:
        left = texts[0].inside(Level.POWER)
        return joined(Level.PRODUCT, left, " @ ", last=texts[1].within(Level.POWER))
    if kind == Kind.NEGATIVE:
        return joined(Level.FACTOR, "-", last=texts[0].within(Level.ATOM))
    if kind == Kind.SQUARE:
        return _power(texts[0], number(Integer(2)))
    if kind == Kind.POWER:
        return _power(*texts)
    if kind in _BINARY:
        return _binary(operation, texts, names)
    return _function(operation, texts)


def _terms(signs: Signs, terms: Sequence[Text]) -> Text:
    """Return a sum of numbers."""
    first = terms[0].within(Level.ATOM if signs.negative[0] else Level.SUM)
    found = joined(Level.SUM, "-" if signs.negative[0] else "", last=first)
    for negative, term in zip(signs.negative[1:], terms[1:], strict=True):
        found = joined(Level.SUM, found.code, " - " if negative else " + ", last=term.within(Level.PRODUCT))
    return found


def _binary(operation: Operation, texts: Sequence[Text], names: Mapping[Operation, str]) -> Text:
    """Return an operation with a sign between its two sides."""
    sign, level, *least = _BINARY[operation.kind]
    sides = zip(operation.inputs, texts, least, strict=True)
    is_product = operation.kind in (Kind.MULTIPLY, Kind.DIVIDE)
    first, second = (
        _beside_sign(text, divided=operation.kind == Kind.DIVIDE and n == 0)
        if is_product and side.kind == Kind.MATMUL and side not in names
        else text.within(bound)
        for n, (side, text, bound) in enumerate(sides)
    )
    return joined(level, first.code, f" {sign} ", last=second)


def _beside_sign(product: Text, divided: bool) -> Text:
    """Return a matrix product in a product or quotient: only one that is divided has no brackets."""
    return product if divided else called("", product.code)


def _function(operation: Operation, inputs: Sequence[Text]) -> Text:
    """Return the call of a function."""
    kind, arguments = operation.kind, [text.code for text in inputs]
    if kind == Kind.EINSUM:
        return called("np.einsum", f'"{operation.value_as(str)}"', *arguments)
    if is_choice_of_numbers(operation):
        return called(f"{called('np.where', *arguments).code}.astype", "dtype")
    if operation.shape or any(p.kind == Kind.ARRAY for p in operation.parts()):
        return called(function_of(kind), *arguments)
    if kind == Kind.SQRT:
        return _power(inputs[0], number(Rational(1, 2)))
    if kind in _OF_NUMBERS:
        return called(_OF_NUMBERS[kind], *arguments)
    # Of numbers NumPy makes float64, which float32 arrays would become.
    return called("float", called(function_of(kind), *arguments).code)


_OF_NUMBERS = {Kind.ABS: "abs", Kind.MAXIMUM: "max", Kind.MINIMUM: "min"}
"""NumPy function -> the function of Python that does the same with numbers."""


def _shape(sizes: Sequence[str]) -> str:
    """Return a shape as the text of a tuple, one size as it is."""
    return sizes[0] if len(sizes) == 1 else f"({', '.join(sizes)})"


_MADE = (
    Kind.GATHER, Kind.PAD, Kind.ARANGE, Kind.ZEROS, Kind.CAST, Kind.ARGMAX, Kind.BROADCAST, Kind.FULL,
    Kind.CUMSUM,
)  # fmt: skip


def _made(operation: Operation, inputs: Sequence[Text]) -> Text:
    """Return the text of an operation that gathers, pads or makes an array."""
    kind, texts = operation.kind, [text.code for text in inputs]
    dtype = ("dtype",) if takes_dtype(operation) else ()
    if kind == Kind.GATHER:
        picked = [None if n is None else texts[n + 1] for n in operation.value_as(Picks).indices]
        while picked[-1] is None:
            picked.pop()
        return Text(f"{inputs[0].inside(Level.ATOM)}[{', '.join(text or ':' for text in picked)}]")
    if kind == Kind.PAD:
        widths = operation.value_as(Padding).widths
        return called("np.pad", texts[0], _tuple(widths[0] if len(widths) == 1 else widths))
    if kind == Kind.ARANGE:
        return called("np.arange", texts[0], *(f"dtype={name}" for name in dtype))
    if kind == Kind.ZEROS:
        return called("np.zeros", _shape(texts), *dtype)
    if kind == Kind.CAST:
        return called(f"{inputs[0].inside(Level.ATOM)}.astype", *dtype)
    if kind == Kind.BROADCAST:
        return called("np.broadcast_to", texts[0], _shape(texts[1:]))
    if kind == Kind.FULL:
        return called("np.full", _shape(texts[1:]), texts[0], *dtype)
    if kind == Kind.CUMSUM:
        return called("np.cumsum", texts[0], f"axis={operation.value_as(int)}")
    return called(f"{inputs[0].inside(Level.ATOM)}.argmax", f"axis={operation.value_as(int)}")


def _tuple(value: object) -> str:
    """Return the text of nested tuples of numbers."""
    if not isinstance(value, tuple):
        return str(value)
    return f"({', '.join(map(_tuple, value))}{',' if len(value) == 1 else ''})"


def _power(base: Text, exponent: Text) -> Text:
    """Return a power; no spaces where both sides are simple, as formatters have it."""
    simple = base.is_word or base.code.isdecimal()
    sign = "**" if simple and exponent.code.replace(".", "").isalnum() else " ** "
    return joined(Level.POWER, base.inside(Level.ATOM), sign, last=exponent.within(Level.FACTOR))


def number(value: Expr) -> Text:
    """Return a number as Python writes it; 1/3 stays a quotient, so that nothing is rounded twice."""
    if value.is_Integer:
        return Text(str(value), Level.ATOM if value >= 0 else Level.FACTOR)
    if isinstance(value, Rational) and not is_decimal(value) and value.q not in (2, 4):
        return Text(f"{value.p} / {value.q}", Level.PRODUCT)
    if value.is_infinite:
        return Text("-np.inf" if value < 0 else "np.inf", Level.FACTOR)
    return Text(repr(float(value)).replace("e+", "e"), Level.ATOM if value >= 0 else Level.FACTOR)


def size(n: int | Expr) -> Text:
    """Return a size in the code, a sum of products of named ones."""
    if isinstance(n, Add):
        return _sum_of_sizes(n)
    if isinstance(n, Mul):
        factors = [size(factor).within(Level.FACTOR) for factor in n.as_ordered_factors()]
        return Text(" * ".join(factor.code for factor in factors), Level.PRODUCT)
    if isinstance(n, Pow):
        return Text(f"{size(n.base).inside(Level.ATOM)}**{n.exp}", Level.POWER)
    return Text(str(n))


def _sum_of_sizes(total: Add) -> Text:
    first, *others = total.as_ordered_terms()
    found = size(first).code
    for term in others:
        negative = term.could_extract_minus_sign()
        found += f" {'-' if negative else '+'} {size(-term if negative else term).inside(Level.PRODUCT)}"
    return Text(found, Level.SUM)


def _layout(operation: Operation, inner: Text) -> Text:
    positions, array = operation.value_as(Order).positions, inner.inside(Level.ATOM)
    if None not in positions:
        if positions == (1, 0):
            return Text(f"{array}.T", is_word=inner.is_word)
        return called(f"{array}.transpose", *map(str, positions))
    return Text(f"{array}[{', '.join('None' if p is None else ':' for p in positions)}]")


def _reshape(operation: Operation, inner: Text) -> Text:
    sizes = operation.value_as(Sizes).sizes
    return called(f"{inner.inside(Level.ATOM)}.reshape", *(size(n).code for n in sizes))


def _subscript(operation: Operation, inner: Text) -> Text:
    entries = operation.value_as(Slices).entries
    return Text(f"{inner.inside(Level.ATOM)}[{subscripts(map(entry, entries))}]")


WHOLE = ":"
"""A whole axis between the brackets."""


def subscripts(entries: Iterable[str]) -> str:
    """Return the text between the brackets; whole axes go without saying at the end, as dots before it."""
    texts = list(entries)
    whole = next((n for n, text in enumerate(texts) if text != WHOLE), 0)
    if whole > 2 and WHOLE not in texts[whole:]:
        return ", ".join(["...", *texts[whole:]])
    while texts and texts[-1] == WHOLE:
        texts.pop()
    return ", ".join(texts) or "..."


def entry(taken: Entry) -> str:
    """Return the text of a place or a slice."""
    if isinstance(taken, Turn):
        offset = f" {'+' if taken.offset > 0 else '-'} {abs(taken.offset)}" if taken.offset else ""
        return f"{PLACE}{offset}"
    if not isinstance(taken, tuple):
        return str(taken)
    start, stop, step = ("" if part is None else str(part) for part in taken)
    return f"{start}:{stop}" + (f":{step}" if step else "")


def _windows(operation: Operation, inner: Text) -> Text:
    value = operation.value_as(Windows)
    lengths, axes = (str(v if len(v) > 1 else v[0]) for v in (value.lengths, value.axes))
    return called("sliding_window_view", inner.code, lengths, f"axis={axes}")


def _diagonal(operation: Operation, inner: Text) -> Text:
    pair = operation.value_as(Pair)
    axes = [] if pair == Pair(0, 1) else [f"axis1={pair.first}", f"axis2={pair.second}"]
    return called(f"{inner.inside(Level.ATOM)}.diagonal", *axes)


_ARRANGED = {
    Kind.LAYOUT: _layout,
    Kind.RESHAPE: _reshape,
    Kind.SUBSCRIPT: _subscript,
    Kind.WINDOWS: _windows,
    Kind.DIAGONAL: _diagonal,
}
"""Operations that arrange the numbers of their one input anew."""


def _reduction(reduction: Reduction) -> list[str]:
    if reduction.axes is None:
        return []
    return [f"axis={reduction.axes}", *(["keepdims=True"] if reduction.kept else [])]


def imports(operations: Iterable[Operation]) -> list[str]:
    """Return the lines that import what the text of ``operations`` calls beside NumPy itself."""
    windows = any(part.kind == Kind.WINDOWS for operation in operations for part in operation.parts())
    return ["from numpy.lib.stride_tricks import sliding_window_view"] if windows else []
