"""How definitions, heads of functions and tuples of names are laid out in generated code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sympy import Expr

COLUMNS = 88
"""Columns of a line."""
BODY = 80
"""Columns of a line without the indentation of a method's body."""


class Verbatim(str):
    """A value that stands in code as it is written in a table, such as 1e-8."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def literal(value: object) -> str:
    """Return a value of Python, or a number of SymPy, as it is written in code."""
    if type(value) is str:
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, Expr):
        return str(value) if value.is_Integer else repr(float(value))
    return repr(value)


def dict_definition(name: str, kind: str, entries: Mapping[str, object]) -> list[str]:
    """Return the definition of a dict whose values are of one kind, in one line where it fits."""
    pairs = [f'"{key}": {literal(value)}' for key, value in entries.items()]
    begin = f"{name}: dict[str, {kind}] = {{"
    line = f"{begin}{', '.join(pairs)}}}"
    return [line] if len(line) <= COLUMNS else [begin, *(f"    {pair}," for pair in pairs), "}"]


def head(name: str, arguments: Sequence[str], result: str, columns: int = COLUMNS) -> tuple[str, ...]:
    """Return the lines that begin a function, laid out as formatters have it."""
    listed, arrow = ", ".join(arguments), f" -> {result}" if result else ""
    line = f"def {name}({listed}){arrow}:"
    if len(line) <= columns:
        return (line,)
    inside = [listed] if len(listed) + 4 <= columns else [f"{argument}," for argument in arguments]
    return (f"def {name}(", *(f"    {each}" for each in inside), f"){arrow}:")


def called_with(begin: str, arguments: Sequence[str], end: str, columns: int = BODY + 4) -> list[str]:
    """Return the lines of brackets, which ``begin`` opens, laid out as formatters have it."""
    line = ", ".join(arguments)
    if len(begin) + len(line) + len(end) <= columns:
        return [f"{begin}{line}{end}"]
    if len(line) + 4 <= columns:
        return [begin, f"    {line}", end]
    return [begin, *(f"    {argument}," for argument in arguments), end]


def tuple_definition(name: str, values: Sequence[object]) -> list[str]:
    """Return the definition of a tuple, in one line where it fits."""
    line = f"{name} = {literal(tuple(values))}"
    return [line] if len(line) <= COLUMNS else [f"{name} = (", *(f"    {literal(v)}," for v in values), ")"]


def text_definition(name: str, value: str) -> str:
    """Return the assignment of a string, laid out as formatters have it."""
    if "\n" in value:
        escaped = value.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
        return f'{name} = """\\\n{escaped}"""'
    literal = f"'{value}'" if '"' in value and "'" not in value else f'"{value}"'
    line = f"{name} = {literal}"
    if len(line) <= COLUMNS or len(literal) + 4 > COLUMNS:
        return line
    return f"{name} = (\n    {literal}\n)"


def unpacked(names: Sequence[str], value: str, columns: int = BODY) -> list[str]:
    """Return the lines that unpack ``value`` into ``names``."""
    if not names:
        return []
    if len(names) == 1:
        return [f"({names[0]},) = {value}"]
    line = f"{', '.join(names)} = {value}"
    if len(line) <= columns:
        return [line]
    return ["(", *[f"    {name}," for name in names], f") = {value}"]


def chains(names: Sequence[str], columns: int = 60) -> list[list[str]]:
    """Return names of one array in groups, each of which fits on a line as a chain of assignments."""
    groups = [[names[0]]]
    for name in names[1:]:
        if len(" = ".join([*groups[-1], name])) > columns:
            groups.append([])
        groups[-1].append(name)
    return groups


def returned(names: Sequence[str], columns: int = BODY) -> list[str]:
    """Return the lines that return a tuple of names."""
    line = f"return ({names[0]},)" if len(names) == 1 else f"return {', '.join(names) or '()'}"
    return [line] if len(line) <= columns else ["return (", *[f"    {name}," for name in names], ")"]


def in_rows(names: Sequence[str], columns: int) -> list[list[str]]:
    """Return names in rows of so many columns, with commas between them."""
    rows: list[list[str]] = [[]]
    for name in names:
        if rows[-1] and len(", ".join([*rows[-1], name])) > columns:
            rows.append([])
        rows[-1].append(name)
    return rows


def unpacked_rows(names: Sequence[str], value: str, columns: int = BODY) -> list[str]:
    """Return the lines that unpack names from a tuple; many from one of tuples, see `returned_rows`."""
    lines = unpacked(names, value, columns)
    return ["(", *_tuples(names, columns), f") = {value}"] if len(lines) > 1 else lines


def returned_rows(names: Sequence[str], value: str, columns: int = BODY) -> list[str]:
    """Return the lines that return what is unpacked from ``value`` elsewhere."""
    in_one = len(unpacked(names, value, columns)) == 1
    return returned(names) if in_one else ["return (", *_tuples(names, columns), ")"]


def _tuples(names: Sequence[str], columns: int) -> list[str]:
    """Return the lines of tuples of names, one a line."""
    rows = in_rows(names, columns - len("    (,),"))
    return [f"    ({', '.join(row)}{',' * (len(row) == 1)})," for row in rows]


@dataclass(frozen=True)
class Comprehension:
    """A dict of one ``entry`` for ``every`` layer, as a value."""

    entry: str
    every: str

    def __str__(self) -> str:
        return f"{{{self.entry} {self.every}}}"

    @property
    def lines(self) -> list[str]:
        """The dict in lines of its own."""
        return ["{", f"    {self.entry}", f"    {self.every}", "}"]


Value = str | Comprehension
"""What stands on the right of an assignment."""


def each_its_own(names: Sequence[str], value: Value, every: Sequence[str], columns: int) -> list[str]:
    """Return the lines that give each of several names a value of its own.

    ``every`` holds the word that ``name`` stands for in each ``value``; none where all are alike.
    """
    if not every and isinstance(value, str):
        return _alike_in_rows(names, value, columns)
    lines: list[str] = []
    rest = 0
    while rest < len(names):
        row, words = [names[rest]], [*every[rest : rest + 1]]
        rest += 1
        while rest < len(names) and _fit([*row, names[rest]], [*words, *every[rest : rest + 1]], columns):
            row.append(names[rest])
            words += every[rest : rest + 1]
            rest += 1
        lines += _for_each(row, value, words, columns)
    return lines


def _alike_in_rows(names: Sequence[str], value: str, columns: int) -> list[str]:
    """Return the lines that give names a value each: rows of names with it behind, where it is short."""
    end = len(f" = ({value} for _ in range({len(names)}))")
    short, long = in_rows(names, columns - end), in_rows(names, columns - len(" = ("))
    rows = short if len(short) <= 3 * len(long) and end < columns // 2 else long
    return [line for row in rows for line in _for_each(row, value, [], columns)]


def _fit(names: Sequence[str], words: Sequence[str], columns: int) -> bool:
    """Whether names, and the words that stand for them, are short enough."""
    return max(len(f"{', '.join(names)} = ("), len(f"    {_words(words, columns)}")) <= columns


def _words(words: Sequence[str], columns: int) -> str:
    line = f"for name in ({', '.join(words)})"
    if len(line) + 4 <= columns:
        return line
    return f"for name in {_QUOTE}{' '.join(word.strip(_QUOTE) for word in words)}{_QUOTE}.split()"


def _for_each(names: Sequence[str], value: Value, words: Sequence[str], columns: int) -> list[str]:
    if len(names) == 1:
        return [f"{names[0]} = {_in_place(str(value), words[0]) if words else value}"]
    target, loop = ", ".join(names), _words(words, columns) if words else f"for _ in range({len(names)})"
    line = f"{target} = ({value} {loop})"
    if len(line) <= columns:
        return [line]
    inside = [f"{value} {loop}"]
    if len(f"    {value} {loop}") > columns:
        opened = isinstance(value, Comprehension) and len(f"    {value}") > columns
        inside = [*(value.lines if isinstance(value, Comprehension) and opened else [str(value)]), loop]
    return [f"{target} = (", *(f"    {each}" for each in inside), ")"]


def _in_place(value: str, word: str) -> str:
    """Return a value with a quoted word in the place of its name, or in that of the braces around it."""
    return value.replace("{name}", word.strip(_QUOTE)).replace("[name]", f"[{word}]")


_QUOTE = '"'
