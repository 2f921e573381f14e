"""The lines of a ``.net`` text as statements, and messages that point into them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NoReturn

from symbackprop.errors import SpecificationError, fail_at, nearest, printable

MAX_LINES = 20_000
MAX_LINE = 200_000  # characters

KEYWORDS = ("input", "target", "parameter", "constant", "size", "assume", "output", "noise", "state")
"""What a line that is no equation begins with; ``integer`` may stand before the first two."""
UPDATE = "update"
"""What the statement ``m[i] <- e`` is called, which begins with no word of its own."""

_TITLE = re.compile(r" *##(?!#) *(.*)")
"""A comment that heads a section, or ends one."""
_LEAVES = "<-"
_BLOCK = re.compile(r"block +(?=[A-Za-z_])", re.ASCII)
_IMPORT = re.compile(r"from +(?=[A-Za-z_\"'])", re.ASCII)
_DECLARATION = re.compile(r"(integer +)?([A-Za-z_]\w*)( +)(?=[A-Za-z_0-9(+.-])", re.ASCII)


@dataclass(frozen=True)
class Line:
    """One line: where it stands, its text, and the lines below on which brackets that it opens go on."""

    source: str
    number: int
    text: str
    below: tuple[Line, ...] = ()

    def fail(self, column: int, problem: str, hint: str = "") -> NoReturn:
        """Raise the error that shows ``problem`` with a caret under a column, counted from 0.

        Columns go on in the lines below as in `joined`.
        """
        row, within = self._row(column)
        fail_at(within, row.text, self.place(column), problem, hint)

    def place(self, column: int) -> str:
        """Return file, line and column as a message tells them."""
        row, within = self._row(column)
        return f"{row.source}: line {row.number}, column {within + 1}"

    def _row(self, column: int) -> tuple[Line, int]:
        """Return the line in which a column is, and the column in it."""
        row = self
        for after in self.below:
            if column <= len(row.text):
                break
            column, row = column - len(row.text) - 1, after
        return row, column

    def code(self) -> str:
        """Return the text with blanks in place of the comment."""
        return self.text.split("#", 1)[0].ljust(len(self.text))

    def joined(self) -> str:
        """Return the code of this line and of those below, with a blank between them."""
        return " ".join(line.code() for line in (self, *self.below)).rstrip()


@dataclass(frozen=True)
class Part:
    """A part of a line, and the column at which it begins."""

    line: Line
    text: str
    column: int

    def fail(self, problem: str, hint: str = "", within: int = 0) -> NoReturn:
        """Raise the error with a caret ``within`` this part."""
        self.line.fail(self.column + within, problem, hint)

    def stripped(self) -> Part:
        """Return the part without blanks around it."""
        left = len(self.text) - len(self.text.lstrip(" "))
        return Part(self.line, self.text.strip(" "), self.column + left)

    def slice(self, start: int, end: int | None = None) -> Part:
        """Return a part of the part, without blanks around it."""
        return Part(self.line, self.text[start:end], self.column + start).stripped()


_SAID_OF_CODE = re.compile(r"(?<!\w)'[^']*'|(?<=write ).*|(?<=known are: ).*")
"""What in a message quotes a name or is to be written."""


@dataclass(frozen=True, kw_only=True)
class UsedLine(Line):
    """A line of a block in one of its uses, under the names of that use.

    ``part`` is what stands in the block, ``marks`` are the words that differ: (start, end) here and there.
    ``names`` maps names of the use to those in the block, and ``used`` says where the use stands.
    """

    part: Part
    marks: tuple[tuple[int, int, int, int], ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    used: tuple[str, ...] = ()

    def fail(self, column: int, problem: str, hint: str = "") -> NoReturn:
        """Raise the error that shows the place in the block, and where the block is used."""
        try:
            self.part.fail(self._in_block(problem), self._in_block(hint), self._column(column))
        except SpecificationError as error:
            raise SpecificationError(*error.args, *self.used) from None

    def in_block(self, code: str) -> str:
        """Return code of this line with the block's own names."""
        return re.sub(r"[^\W\d]\w*", lambda word: self.names.get(word[0], word[0]), code)

    def _in_block(self, message: str) -> str:
        return _SAID_OF_CODE.sub(lambda said: self.in_block(said[0]), message)

    def _column(self, column: int) -> int:
        """Return the column in the block's part that corresponds to one here."""
        moved = 0
        for start, end, own_start, own_end in self.marks:
            if column < start:
                break
            if column < end:
                return min(own_start + column - start, own_end - 1)
            moved = own_end - end
        return column + moved


@dataclass(frozen=True)
class Made:
    """What a use of a block has made: its name, the word that it has in all layers, and its layer.

    The first layer may also be given ``data`` in place of what the others are handed on.
    """

    name: str
    word: str
    layer: int
    data: bool = False


@dataclass(frozen=True)
class Statement:
    """One statement: its keyword ("" for an equation, `UPDATE`), whether it says ``integer``, and the rest.

    ``title`` heads the section that begins here; None where none begins, "" where one only ends.
    """

    keyword: str
    integer: bool
    body: Part
    title: str | None = None

    @property
    def indentation(self) -> int:
        """How many blanks its line begins with."""
        text = self.body.line.text
        return len(text) - len(text.lstrip(" "))


def text_lines(text: str) -> list[str]:
    """Return the lines of a text, whatever they end in and whether or not a mark of its encoding is first."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")


def statements(text: str, source: str) -> Iterator[Statement]:
    """Yield the statements of a text.

    Raises:
        SpecificationError: a line that is no statement, a character that is not allowed, too many lines.
    """
    lines = text_lines(text)
    if len(lines) > MAX_LINES:
        raise SpecificationError(f"{source}: {len(lines)} lines are more than {MAX_LINES}")
    title = None
    for line in _whole(_checked(source, number, raw) for number, raw in enumerate(lines, start=1)):
        code = line.joined()
        if code:
            yield replace(_statement(Part(line, code, 0).stripped()), title=title)
            title = None
        elif begins := _TITLE.fullmatch(line.text):
            title = begins[1]


def _checked(source: str, number: int, raw: str) -> Line:
    """Return a line of the text, in which only printable characters are allowed."""
    line = Line(source, number, raw.expandtabs(4).rstrip())
    if len(line.text) > MAX_LINE:
        line.fail(0, f"the line is longer than {MAX_LINE} characters")
    odd = next((n for n, c in enumerate(line.text) if not c.isprintable()), None)
    if odd is not None:
        line.fail(odd, f"the character '{printable(line.text[odd])}' is not allowed")
    return line


def _whole(lines: Iterable[Line]) -> Iterator[Line]:
    """Yield the lines, each with those below on which its brackets go on.

    A bracket that closes another one than the last ends the line, too: whoever reads it tells what is wrong.
    """
    rows: list[Line] = []
    opened: list[tuple[int, str]] = []  # column in all rows together, and what will close it
    length = 0
    for line in lines:
        rows.append(line)
        fits = True
        for column, character in enumerate(line.code()):
            if character in "([{":
                opened.append((length + column, ")]}"["([{".index(character)]))
            elif character in ")]}":
                fits = fits and bool(opened) and opened.pop()[1] == character
        length += len(line.text) + 1
        if length > MAX_LINE:
            rows[0].fail(0, f"the line is longer than {MAX_LINE} characters")
        if not (opened and fits):
            yield replace(rows[0], below=tuple(rows[1:]))
            rows, opened, length = [], [], 0
    if rows:
        column = opened[-1][0]
        whole = replace(rows[0], below=tuple(rows[1:]))
        whole.fail(column, f"this '{whole.joined()[column]}' is never closed")


def _statement(whole: Part) -> Statement:
    for keyword, pattern in (("block", _BLOCK), ("from", _IMPORT)):
        if begins := pattern.match(whole.text):
            return Statement(keyword, False, whole.slice(begins.end()))
    found = _DECLARATION.match(whole.text)
    if not found:
        return Statement(UPDATE if _is_update(whole) else "", False, whole)
    integer, word = bool(found[1]), found[2]
    body = whole.slice(found.end())
    if word in KEYWORDS and not (integer and word not in ("input", "target")):
        return Statement(word, integer, body)
    if integer:
        whole.fail(f"'integer {word[:20]}' is not a declaration", "write integer input or integer target")
    guess = nearest(word, (*KEYWORDS, "integer", "block", "from"))
    known = f"a line begins with {', '.join(KEYWORDS)} or 'name ='"
    hint = f"did you mean '{guess}'?" if guess not in (None, word) else known
    whole.fail(f"'{word[:40]}' begins no statement", hint)


def _is_update(whole: Part) -> bool:
    """Whether a line without a keyword says what a step leaves in a state, as ``m[i] <- e`` does."""
    left, right = sides(whole)
    return right is not None and whole.text[len(left.text) :].lstrip().startswith(_LEAVES)


def split_outside(part: Part, mark: str) -> list[Part]:
    """Split a part at each ``mark`` that stands outside of brackets."""
    found, start, depth = [], 0, 0
    for position, character in enumerate(part.text):
        depth += (character in "([{") - (character in ")]}")
        if character == mark and depth == 0:
            found.append(part.slice(start, position))
            start = position + 1
    return [*found, part.slice(start)]


def sides(part: Part) -> tuple[Part, Part | None]:
    """Return the parts on the left and on the right of a single ``=`` or ``<-``, None where there is none."""
    depth = 0
    for position, character in enumerate(part.text):
        depth += (character in "([{") - (character in ")]}")
        alone = part.text[position + 1 : position + 2] != "=" and part.text[position - 1] not in "=<>!"
        if character == "=" and depth == 0 and position > 0 and alone:
            return part.slice(0, position), part.slice(position + 1)
        if depth == 0 and position > 0 and part.text.startswith(_LEAVES, position):
            return part.slice(0, position), part.slice(position + len(_LEAVES))
    return part, None
