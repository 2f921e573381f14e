"""From array operations to the text of NumPy expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from sympy import Expr, Rational

from symbackprop.lowering import Operation, is_decimal

ATOM, POWER, UNARY, PRODUCT, TERM, RELATION = range(6, 0, -1)


@dataclass(frozen=True)
class Text:
    """The text of an expression and how tightly its outermost operation binds."""

    code: str
    binding: int = ATOM

    def inside(self, binding: int) -> str:
        """Return the text for use under an operation that binds as tightly as ``binding``."""
        return self.code if self.binding >= binding else f"({self.code})"


_BINARY = {
    "add": ("+", TERM, TERM, PRODUCT),
    "subtract": ("-", TERM, TERM, PRODUCT),
    "multiply": ("*", PRODUCT, PRODUCT, UNARY),
    "divide": ("/", PRODUCT, PRODUCT, UNARY),
    "power": ("**", POWER, ATOM, UNARY),
    "greater": (">", RELATION, TERM, TERM),
    "greater_equal": (">=", RELATION, TERM, TERM),
    "less": ("<", RELATION, TERM, TERM),
    "less_equal": ("<=", RELATION, TERM, TERM),
    "equal": ("==", RELATION, TERM, TERM),
    "not_equal": ("!=", RELATION, TERM, TERM),
}
"""Operation -> its sign, how tightly it binds, and what its left and right sides must at least."""


OWN_FUNCTIONS = {"erf": "_erf"}
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
    if kind in ("array", "name"):
        return Text(str(operation.value))
    if kind == "number":
        return number(operation.value)
    if kind == "layout":
        return _layout(operation, below(0))
    if kind in ("sum", "max"):
        return Text(f"{below(0).inside(ATOM)}.{kind}({_reduction(operation.value)})")
    if kind == "terms":
        signs = operation.value
        assert isinstance(signs, tuple)
        first = f"-{below(0).inside(ATOM)}" if signs[0] else below(0).inside(TERM)
        rest = (f" {'-' if n else '+'} {below(p).inside(PRODUCT)}" for p, n in enumerate(signs) if p)
        return Text("".join([first, *rest]), TERM)
    if kind == "full":
        value, *shape = (below(p).code for p in range(len(operation.inputs)))
        axes = f"({shape[0]},)" if len(shape) == 1 else f"({', '.join(shape)})"
        return Text(f"np.full({axes}, {value}, dtype)")
    if kind == "matmul":
        return Text(f"{below(0).inside(POWER)} @ {below(1).inside(POWER)}", PRODUCT)
    if kind == "einsum":
        operands = ", ".join(below(p).code for p in range(len(operation.inputs)))
        return Text(f'np.einsum("{operation.value}", {operands}, optimize=True)')
    if kind == "negative":
        return Text(f"-{below(0).inside(ATOM)}", UNARY)
    if kind == "square":
        return Text(_power(below(0).inside(ATOM), "2"), POWER)
    if kind in _BINARY:
        sign, binding, left, right = _BINARY[kind]
        first, second = _side(operation, below(0), 0, left), _side(operation, below(1), 1, right)
        power = kind == "power"
        return Text(_power(first, second) if power else f"{first} {sign} {second}", binding)
    arguments = ", ".join(below(p).code for p in range(len(operation.inputs)))
    if kind in OWN_FUNCTIONS:
        return Text(f"{OWN_FUNCTIONS[kind]}({arguments})")
    if kind == "where" and not any(i.shape for i in operation.inputs[1:]):
        return Text(f"np.where({arguments}).astype(dtype)")  # of two numbers NumPy makes float64
    return Text(f"np.{kind}({arguments})")


def _power(base: str, exponent: str) -> str:
    """Return a power; no spaces where both sides are simple, as formatters have it."""
    simple = base.replace(".", "").isidentifier() and exponent.isalnum()
    return f"{base}**{exponent}" if simple else f"{base} ** {exponent}"


def _side(operation: Operation, text: Text, position: int, binding: int) -> str:
    """Return one side of an operation; a matrix product beside * is set apart by parentheses."""
    product = operation.inputs[position].kind == "matmul" and " @ " in text.code
    if product and operation.kind in ("multiply", "divide"):
        return f"({text.code})" if operation.kind == "multiply" else text.code
    return text.inside(binding)


def number(value: Expr) -> Text:
    """Return a number as Python writes it; 1/3 stays a quotient, so that nothing is rounded twice."""
    if value.is_Integer:
        return Text(str(value), ATOM if value >= 0 else UNARY)
    if isinstance(value, Rational):
        if is_decimal(value) or value.q in (2, 4):
            return Text(repr(float(value)), ATOM if value >= 0 else UNARY)
        return Text(f"{value.p} / {value.q}", PRODUCT)
    return Text(repr(float(value)), ATOM if value >= 0 else UNARY)


def _layout(operation: Operation, inner: Text) -> Text:
    positions = operation.value
    assert isinstance(positions, tuple)
    if None not in positions:
        if positions == (1, 0):
            return Text(f"{inner.inside(ATOM)}.T")
        return Text(f"{inner.inside(ATOM)}.transpose({', '.join(map(str, positions))})")
    subscripts = ", ".join("None" if p is None else ":" for p in positions)
    return Text(f"{inner.inside(ATOM)}[{subscripts}]")


def _reduction(value: object) -> str:
    assert isinstance(value, tuple)
    axis, kept = value
    if axis is None:
        return ""
    return f"axis={axis}, keepdims=True" if kept else f"axis={axis}"


LINE = 80
"""Columns of a statement without the indentation of a function's or a method's body."""


def assignment(name: str, operation: Operation, names: dict[Operation, str]) -> list[str]:
    """Return the lines that assign ``operation`` to ``name``; a long one in several statements.

    Parts that get a name of their own on the way are entered in ``names``.
    """
    if operation.kind == "terms" and len(operation.inputs) > _TERMS_OF_A_LINE:
        return _term_by_term(name, operation, names)
    line = f"{name} = {write(operation, names).code}"
    if len(line) <= LINE:
        return [line]
    if operation.kind == "terms":
        return _term_by_term(name, operation, names)
    if operation.kind in ("add", "subtract"):
        sign = "+" if operation.kind == "add" else "-"
        first, second = operation.inputs
        lines, term = _fitting(f"{name} {sign}= ", second, names)
        return [*assignment(name, first, names), *lines, f"{name} {sign}= {term}"]
    lines, term = _fitting(f"{name} = ", operation, names)
    return [*lines, f"{name} = {term}"]


_TERMS_OF_A_LINE = 8  # more never fit: a thousand are not even tried


def _term_by_term(name: str, operation: Operation, names: dict[Operation, str]) -> list[str]:
    """Return the lines that assign the first term and add or take away the others."""
    signs = operation.value
    assert isinstance(signs, tuple)
    first, *rest = operation.inputs
    found = assignment(name, Operation("negative", (first,)) if signs[0] else first, names)
    for term, negative in zip(rest, signs[1:], strict=True):
        sign = "-=" if negative else "+="
        lines, text = _fitting(f"{name} {sign} ", term, names)
        found += [*lines, f"{name} {sign} {text}"]
    return found


def _fitting(before: str, operation: Operation, names: dict[Operation, str]) -> tuple[list[str], str]:
    """Return the text of ``operation``, and the lines that name parts of it until it fits."""
    lines: list[str] = []
    while True:
        term = write(operation, names).code
        part = _longest_part(operation, names)
        if len(before) + len(term) <= LINE or part is None:
            return lines, term
        taken = set(names.values())
        name = next(name for n in count(1) if (name := f"part{n}") not in taken)
        lines.append(f"{name} = {write(part, names).code}")
        names[part] = name


def _longest_part(operation: Operation, names: Mapping[Operation, str]) -> Operation | None:
    """Return the longest proper part that fits a line and has no name yet."""
    parts: dict[Operation, int] = {}

    def visit(part: Operation) -> None:
        for inner in part.inputs:
            if not inner.is_leaf and inner not in names:
                parts[inner] = len(write(inner, names).code)
                visit(inner)

    visit(operation)
    fitting = [part for part, length in parts.items() if length <= LINE - len("part99 = ")]
    return max(fitting, key=parts.__getitem__, default=None)
