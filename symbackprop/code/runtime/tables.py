"""Tables of numbers in text files: their separators, headers, labels and faults."""

import csv
import difflib
import gzip
import math
import os
import re
import zlib
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import NamedTuple, NoReturn, TextIO

import numpy as np

_TABLE_SUFFIXES = (".csv", ".data", ".txt", ".tsv")
_SEPARATORS = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    "\\t": "\t",
    "space": " ",
    "blank": " ",
    "blanks": " ",
}
_NO_SEPARATORS = frozenset('0123456789.+-eE"\r\n')
_MISSING_CELLS = frozenset({"", "?", "na", "n/a", "#n/a", "nan", "null", "none"})
_LABEL_NAMES = ("label", "class", "target", "y")
_LABEL_HEADER = re.compile(r"label|class|target|y([\W\d_]|$)", re.IGNORECASE)
_INDEX_HEADERS = frozenset({"", "#", "id", "index", "no", "nr", "row", "unnamed: 0"})
_DECIMAL_COMMA = re.compile(r"[+-]?[\d.']*,\d+([eE][+-]?\d+)?")
_TWO_NUMBERS = re.compile(r"[\d.]( *[;|\t] *| +)[-+.\d]")
_HEAD_LINES = 20
_MOST_NAMES = 10

_TableLine = tuple[int, list[str]]
"""The number of a line in its file, from 1, and its cells."""


class _Layout(NamedTuple):
    """The columns of a table: so many inputs, so many targets.

    Where ``classes`` is above 0, one column of labels from 0 to classes - 1 may stand
    for the targets. ``two`` says that the two bounds of a single target are two
    classes, so that its labels may be two words.
    """

    inputs: int
    targets: int
    classes: int
    two: bool


class _Table(NamedTuple):
    """What a table holds.

    x: float64 (rows, inputs).
    t: float64 (rows, targets), or (rows, 1) for labels; None where it isn't needed.
    lines: of each row its line in the file, from 1.
    x_columns, t_columns: of each input and target its column in the file, from 1.
    words: what labels that are words stand for, in the order of their numbers.
    notes: what was understood without being told, a line each.
    """

    x: np.ndarray
    t: np.ndarray | None
    lines: list[int]
    x_columns: list[int]
    t_columns: list[int]
    words: tuple[str, ...]
    notes: list[str]


class _TableColumns(NamedTuple):
    """Which columns hold the targets: from ``start`` to before ``stop``, from 0."""

    width: int
    start: int
    stop: int

    def targets(self) -> list[int]:
        return list(range(self.start + 1, self.stop + 1))

    def inputs(self) -> list[int]:
        every = range(1, self.width + 1)
        return [column for column in every if not self.start < column <= self.stop]


def _is_text(path: str | os.PathLike[str]) -> bool:
    """Whether a file is read as a table of text, by its name."""
    return os.fspath(path).lower().removesuffix(".gz").endswith(_TABLE_SUFFIXES)


def _read_table(
    path: str | os.PathLike[str],
    layout: _Layout,
    *,
    need_targets: bool = True,
    label_column: str | None = None,
    separator: str | None = None,
    words: Sequence[str] | None = None,
) -> _Table:
    """Return the table of a text file; raise ValueError where it is none.

    label_column is the name or the number, from 1, of the first target's column, and
    separator a character or a word for it; without them both are found. words are the
    labels as they are numbered already, none where they were numbers; without words,
    labels that are words are numbered.
    """
    chosen = None if separator is None else _chosen_separator(separator)
    with _table_errors(path), _opened_table(path) as lines:
        reader = _TableReader(layout, need_targets, label_column, words)
        return reader.table(lines, chosen, os.fspath(path))


@contextmanager
def _table_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name the file in every error, and say in one line what is wrong with it."""
    try:
        if os.path.isdir(path):
            raise ValueError("is a directory")
        yield
    except MemoryError as error:
        raise MemoryError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise ValueError(f"{path}: there is no such file") from error
    except UnicodeDecodeError as error:
        problem = f"can't be read as text: {error}; save it as UTF-8"
        raise ValueError(f"{path}: {problem}") from error
    except csv.Error as error:
        raise ValueError(f"{path}: can't be read as text: {error}") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: is not a readable .gz file: {error}") from error
    except OSError as error:
        problem = f"can't be read: {error.strerror or error}"
        raise ValueError(f"{path}: {problem}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _opened_table(path: str | os.PathLike[str]) -> TextIO:
    name = os.fspath(path)
    if name.lower().endswith(".gz"):
        return gzip.open(name, "rt", encoding="utf-8-sig", newline="")
    return open(name, encoding="utf-8-sig", newline="")


# ---------------------------------------------------------------- lines and cells


def _chosen_separator(text: str) -> str:
    """Return the separator that a user names, blanks as one blank."""
    separator = _SEPARATORS.get(text.lower(), text)
    if len(separator) != 1 or separator in _NO_SEPARATORS:
        problem = "it must be one character that no number holds, or the word tab"
        raise ValueError(f"--separator is {text!r}; {problem}")
    return separator


def _table_lines(lines: Iterable[str], separator: str) -> Iterator[_TableLine]:
    """Yield the cells of each line that isn't blank, after the number of the line."""
    if separator == " ":
        lines = (" ".join(line.split()) for line in lines)
    reader = csv.reader(lines, delimiter=separator)
    for cells in reader:
        if len(cells) > 1 or (cells and cells[0].strip()):
            yield reader.line_num, cells


def _head_lines(lines: Iterable[str]) -> list[str]:
    """Take the first lines, blank ones among them, from the lines of a file."""
    head, filled = [], 0
    for line in lines:
        head.append(line)
        filled += bool(line.strip())
        if filled == _HEAD_LINES:
            break
    return head


def _head_rows(head: list[str], separator: str) -> list[list[str]]:
    """Return the cells of the first lines, without a mark of comments at a header."""
    rows = [cells for _, cells in _table_lines(head, separator)]
    marked = separator == " " and rows and rows[0][0] == "#"
    if marked and not any(map(_is_numeric, rows[0])):
        del rows[0][0]
    return rows


def _tried_rows(head: list[str], separator: str) -> list[list[str]]:
    """Return the cells of the first lines, none where they can't be separated so."""
    try:
        return _head_rows(head, separator)
    except csv.Error:
        return []


def _found_separator(head: list[str], widths: Collection[int], tabs: bool) -> str:
    """Return the separator under which the first lines have a width that fits.

    One that leaves two numbers in a cell comes last. Where none fits, it is the first
    that makes columns in all lines alike.
    """
    candidates = ["\t", ",", ";", " "] if tabs else [",", ";", "\t", " "]
    rows = {separator: _tried_rows(head, separator) for separator in candidates}
    fitting = [c for c in candidates if rows[c] and len(rows[c][0]) in widths]
    fitting.sort(key=lambda separator: _holds_two_numbers(rows[separator]))
    even = [c for c in candidates if _has_columns(rows[c])]
    return [*fitting, *even, candidates[0]][0]


def _has_columns(rows: list[list[str]]) -> bool:
    """Whether all rows have the same number of columns, and more than one."""
    widths = set(map(len, rows))
    return len(widths) == 1 and widths != {1}


def _holds_two_numbers(rows: list[list[str]]) -> bool:
    """Whether a cell holds two numbers that something else separates."""
    return any(_TWO_NUMBERS.search(cell) for cells in rows for cell in cells)


def _separator_text(separator: str) -> str:
    return "tab" if separator == "\t" else repr(separator)


def _is_numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_finite_text(cell: str) -> bool:
    return _is_numeric(cell) and math.isfinite(float(cell))


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in _MISSING_CELLS


def _cell_help(cell: str) -> str:
    """Return what would help where that cell is no number."""
    if _is_missing(cell):
        return ": fill in a number or remove the row"
    if _DECIMAL_COMMA.fullmatch(cell.strip()):
        return ": write decimals with a point, as 1.5, and thousands without a mark"
    inner = _TWO_NUMBERS.search(cell)
    if inner:
        separator = _separator_text(inner[1].strip(" ") or " ")
        return f": if these are two columns, --separator {separator} parts them"
    return ""


def _cut_list(words: Iterable[str], most: int = _MOST_NAMES) -> str:
    """Return words with commas between, … after so many."""
    every = [word if len(word) <= 40 else f"{word[:40]}…" for word in words]
    return ", ".join([*every[:most], *(["…"] if len(every) > most else [])])


def _and_list(numbers: Iterable[int]) -> str:
    *most, last = [str(number) for number in numbers]
    return f"{', '.join(most)} and {last}" if most else last


def _nearest_text(word: str, known: Iterable[str]) -> str:
    """Return the known word that is spelt most like a word, as a question."""
    by_case = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(word.casefold(), by_case, n=1)
    return f"; did you mean {by_case[found[0]]!r}?" if found else ""


# ---------------------------------------------------------------- columns


def _counted(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def _expected_columns(layout: _Layout) -> str:
    """Return what the columns of a table are expected to be."""
    first = _counted(layout.inputs, "input")
    then = _counted(layout.targets, "target")
    label = f", or one label from 0 to {layout.classes - 1}" if layout.classes else ""
    return f"{first}, then {then}{label}"


def _table_widths(layout: _Layout, need_targets: bool) -> set[int]:
    """Return the numbers of columns that a table may have."""
    widths = {layout.inputs + layout.targets}
    widths |= {layout.inputs + 1} if layout.classes else set()
    return widths if need_targets else widths | {layout.inputs}


def _separator_help(head: list[str], widths: Collection[int]) -> str:
    """Return which separator would make columns that fit."""
    for separator in ",;\t |:":
        width = len(next(iter(_tried_rows(head, separator)), []))
        if width in widths:
            told = _separator_text(separator)
            return f"; --separator {told} would make {_counted(width, 'column')}"
    return ""


def _width_help(first: list[str], widths: Collection[int]) -> str:
    """Return what would help where the first line has a column too many."""
    if len(first) - 1 not in widths:
        return ""
    if not first[-1].strip():
        return "; the last one is empty: no separator may end a line"
    name = first[0].strip()
    if name.lower() in _INDEX_HEADERS:
        return f"; column 1, {name!r}, looks like an index: remove it"
    return "; one too many: a column of numbers of rows or of names may have to go"


def _header_names(rows: list[list[str]], label_column: str | None) -> list[str]:
    """Return the names of a header; none where the first line is a row of the table.

    Names may be numbers where the column of the labels has a word for its name, unless
    labels below look like such a name, too.
    """
    names = [cell.strip().removeprefix("#").strip() for cell in rows[0]]
    words = [name for name in names if not _is_numeric(name)]
    labels = [k for k, name in enumerate(names) if _LABEL_HEADER.match(name)]
    below = (cells[k].strip() for cells in rows[1:] for k in labels if k < len(cells))
    if len(words) == len(names) or (
        labels and not any(map(_LABEL_HEADER.match, below))
    ):
        return names
    told = (label_column or "").strip().casefold()
    return names if told and told in map(str.casefold, words) else []


def _told_start(label_column: str, names: list[str], columns: int) -> int:
    """Return the place of the column that a user names or counts from 1.

    A name comes before a number, but for the number of a column named as labels are:
    names that are numbers beside it are those of inputs.
    """
    told = label_column.strip()
    number = int(told) if told.isdecimal() else 0
    if 1 <= number <= len(names) and _LABEL_HEADER.match(names[number - 1]):
        return number - 1
    exact = [k for k, name in enumerate(names) if name == told]
    alike = [k for k, name in enumerate(names) if name.casefold() == told.casefold()]
    found = exact or alike
    if len(found) > 1:
        every = _and_list(k + 1 for k in found)
        problem = f"columns {every} have that name; say the number of one"
        raise ValueError(f"--label-column is {told!r}; {problem}")
    if found:
        return found[0]
    if not told.isdecimal():
        _refuse_name(told, names)
    if not 1 <= number <= columns:
        problem = f"there are {_counted(columns, 'column')}, counted from 1"
        raise ValueError(f"--label-column is {told}; {problem}")
    return number - 1


def _refuse_name(told: str, names: list[str]) -> NoReturn:
    if not names:
        problem = "there is no header line; say the column's number, counted from 1"
        raise ValueError(f"--label-column is {told!r}; {problem}")
    help_text = _nearest_text(told, names)
    if not help_text:
        help_text = f"; the names are {_cut_list(map(repr, names))}"
    raise ValueError(f"--label-column is {told!r}; no column has that name{help_text}")


def _named_start(names: list[str], inputs: int, targets: int) -> int:
    """Return the place of the first target by its name, or else after the inputs."""
    found = [k for k, name in enumerate(names) if _LABEL_HEADER.match(name)]
    usual = range(inputs, inputs + targets)
    if set(found) <= set(usual):
        return inputs
    if found == list(range(found[0], found[0] + targets)) or len(found) == 1:
        return found[0]
    exact = [k for k in found if names[k].lower() in _LABEL_NAMES]
    if targets == len(exact) == 1:
        return exact[0]
    if inputs in found:
        return inputs
    every = _cut_list(f"column {k + 1}, {names[k]!r}" for k in found)
    problem = f"{every} may be the {'label' if targets == 1 else 'first target'}"
    raise ValueError(f"{problem}; --label-column says which")


def _columns_note(columns: _TableColumns, name: str) -> str:
    """Return what is said of targets that were found by their name."""
    if columns.stop - columns.start == 1:
        what = f"the label is column {columns.stop}, {name!r}"
        return f"{what}; --label-column chooses another"
    what = f"the targets are columns {columns.start + 1} to {columns.stop}"
    return f"{what}, from {name!r} on; --label-column chooses others"


def _index_notes(names: list[str]) -> list[str]:
    """Return what is said where a row's number, and not its label, may be too many."""
    if _LABEL_HEADER.match(names[-1]) or names[0].lower() not in _INDEX_HEADERS:
        return []
    what = f"column 1, {names[0]!r}, looks like an index, and is taken as an input"
    return [f"{what}; column {len(names)}, {names[-1]!r}, is left out as the target"]


# ---------------------------------------------------------------- rows


class _TableRows:
    """The numbers of a table as its rows are read, one after the other.

    ``targets`` says how the columns of the targets are read: as "numbers", as "words"
    in a single column, or not at all, as "nothing".
    """

    def __init__(
        self,
        columns: _TableColumns,
        targets: str,
        words: Sequence[str] | None,
        classes: int,
    ) -> None:
        self.columns, self.targets, self.classes = columns, targets, classes
        self.x, self.t = array("d"), array("d")
        self.lines: list[int] = []
        self.kept, self.free = bool(words), words is None
        self.known = {word: number for number, word in enumerate(words or ())}

    def add(self, line: int, cells: list[str]) -> None:
        """Take the cells of one line."""
        width, start, stop = self.columns
        if len(cells) != width:
            found = _counted(len(cells), "column")
            raise ValueError(f"row {line} has {found}, the first has {width}")
        if self.targets == "words":
            self.t.append(self.number_of(" ".join(cells[start].split()), line))
        if self.targets != "numbers":
            del cells[start:stop]
        numbers = self.numbers(cells, line)
        if self.targets == "numbers":
            self.t.extend(numbers[start:stop])
            del numbers[start:stop]
        self.x.extend(numbers)
        self.lines.append(line)

    def numbers(self, cells: list[str], line: int) -> list[float]:
        """Return the numbers of a row; a sum shows whether all of them are finite."""
        try:
            numbers = list(map(float, cells))
        except ValueError:
            self.refuse(cells, line)
        if not math.isfinite(sum(numbers)):
            self.refuse(cells, line)
        return numbers

    def refuse(self, cells: list[str], line: int) -> None:
        """Raise ValueError for the first cell that is no finite number, if one is."""
        columns, labels = self.columns.inputs(), self.columns.targets()
        if self.targets == "numbers":
            columns = sorted([*columns, *labels])
        wrong = [k for k, cell in enumerate(cells) if not _is_finite_text(cell)]
        if not wrong:
            return
        cell, column = cells[wrong[0]], columns[wrong[0]]
        place = f"row {line}, column {column}"
        is_word = not _is_numeric(cell) and not _is_missing(cell)
        if is_word and self.classes and self.lines and [column] == labels:
            problem = f"the label {cell.strip()[:40]!r} is a word"
            raise ValueError(f"{place}: {problem}, those before are numbers")
        help_text = _cell_help(cell)
        if is_word and not self.lines and not help_text:
            if [column] == labels and not self.classes:
                help_text = ": words take a network that tells classes apart"
            elif self.classes and len(wrong) == 1:
                help_text = _label_column_help(column)
        raise ValueError(f"{place}: {cell[:40]!r} is not a finite number{help_text}")

    def number_of(self, word: str, line: int) -> int:
        """Return the number of a label that is a word."""
        if word not in self.known:
            self.check_word(word, f"row {line}, column {self.columns.stop}")
            self.known[word] = len(self.known)
        return self.known[word]

    def check_word(self, word: str, place: str) -> None:
        """Raise ValueError where a word is no label; "none" may well be one."""
        if _is_missing(word) and word.lower() != "none":
            problem = "is not a label; fill in one or remove the row"
            raise ValueError(f"{place}: {word!r} {problem}")
        if _is_numeric(word):
            problem = f"the label {word[:40]!r} is a number"
            raise ValueError(f"{place}: {problem}, those before are words")
        if self.kept:
            help_text = _nearest_text(word, self.known)
            known = _cut_list(self.known)
            problem = f"is not a label that the weights know: {known}{help_text}"
            raise ValueError(f"{place}: {word[:40]!r} {problem}")

    def labels(self) -> tuple[tuple[str, ...], list[str]]:
        """Number the words in alphabetical order; return them and what to say of it."""
        if self.kept or self.targets != "words":
            return tuple(self.known) if self.targets == "words" else (), []
        words = sorted(self.known)
        if len(words) > self.classes:
            every = f"{len(words)} different labels: {_cut_list(words)}"
            network = f"the network tells {_counted(self.classes, 'class')} apart"
            raise ValueError(f"column {self.columns.stop} holds {every}; {network}")
        if len(words) < self.classes and not self.free:
            every = f"the labels are {_cut_list(words)}, of {self.classes} classes"
            problem = "the weights know no words; write the numbers of the classes"
            raise ValueError(f"column {self.columns.stop}: {every}: {problem}")
        order = {word: number for number, word in enumerate(words)}
        numbers = np.array([order[word] for word in self.known], dtype=np.float64)
        self.t = array("d", numbers[np.frombuffer(self.t).astype(int)].tobytes())
        return tuple(words), _words_notes(words, self.classes)

    def matrix(self, numbers: "array[float]") -> np.ndarray:
        """Return numbers as an array of as many rows as were read."""
        return np.frombuffer(numbers, dtype=np.float64).reshape(len(self.lines), -1)


def _label_column_help(column: int) -> str:
    return f": if column {column} holds the labels, --label-column {column} says so"


def _words_notes(words: list[str], classes: int) -> list[str]:
    """Return what is said of labels that are words."""
    numbered = _cut_list(f"{k} = {word}" for k, word in enumerate(words))
    notes = [f"labels in alphabetical order: {numbered}"]
    if len(words) < classes:
        only = f"only {_counted(len(words), 'different label')}"
        notes.append(f"{only}; the network tells {_counted(classes, 'class')} apart")
    return notes


class _TableReader:
    """The reader of one table: what is asked of it, and what it understands."""

    def __init__(
        self,
        layout: _Layout,
        need_targets: bool,
        label_column: str | None,
        words: Sequence[str] | None,
    ) -> None:
        self.layout, self.need_targets = layout, need_targets
        self.label_column, self.words = label_column, words
        self.notes: list[str] = []

    def table(self, lines: TextIO, separator: str | None, path: str) -> _Table:
        """Return the table of the lines of a file."""
        head = _head_lines(lines)
        widths = _table_widths(self.layout, self.need_targets)
        tabs = path.lower().removesuffix(".gz").endswith(".tsv")
        found = separator or _found_separator(head, widths, tabs)
        head_rows = _head_rows(head, found)
        if not head_rows:
            raise ValueError("holds no rows of numbers")
        first = head_rows[0]
        if separator is None and found != "," and not (tabs and found == "\t"):
            kinds = {"\t": "tabs", " ": "blanks"}
            self.notes.append(f"separated by {kinds.get(found, repr(found))}")
        if len(first) not in widths:
            expected = f"expected {_expected_columns(self.layout)}"
            help_text = _separator_help(head, widths) or _width_help(first, widths)
            width = _counted(len(first), "column")
            raise ValueError(f"{width}; {expected}{help_text}")
        names = _header_names(head_rows, self.label_column)
        columns = self.columns(names, len(first))
        below = islice(_table_lines(chain(head, lines), found), bool(names), None)
        rows = self.collected(columns, below)
        words, said = rows.labels()
        t = rows.matrix(rows.t) if rows.t else None
        places = columns.inputs(), columns.targets()
        notes = [f"{path}: {note}" for note in [*self.notes, *said]]
        return _Table(rows.matrix(rows.x), t, rows.lines, *places, words, notes)

    def columns(self, names: list[str], width: int) -> _TableColumns:
        """Return which columns hold the targets."""
        inputs, targets = self.layout.inputs, width - self.layout.inputs
        if self.label_column is not None:
            return self.told_columns(self.label_column, names, width)
        start = _named_start(names, inputs, targets) if targets else inputs
        columns = _TableColumns(width, start, start + targets)
        if start != inputs:
            self.notes.append(_columns_note(columns, names[start]))
        elif names and targets == 1 and not self.need_targets:
            self.notes += _index_notes(names)
        return columns

    def told_columns(self, told: str, names: list[str], width: int) -> _TableColumns:
        """Return the columns of the targets that --label-column chooses."""
        targets = width - self.layout.inputs
        if not targets:
            problem = f"there are inputs alone, {_counted(width, 'column')}"
            raise ValueError(f"--label-column is {told!r}; {problem}: leave it out")
        start = _told_start(told, names, width)
        if told.strip().isdecimal() and int(told) != start + 1:
            what = f"--label-column {told} is taken as a name"
            self.notes.append(f"{what}, that of column {start + 1}")
        if start + targets > width:
            needed = f"{targets} targets need columns {start + 1} to {start + targets}"
            raise ValueError(f"--label-column is {told!r}; {needed}, there are {width}")
        return _TableColumns(width, start, start + targets)

    def are_words(self, columns: _TableColumns) -> bool:
        """Whether the labels of a table may be words."""
        single = columns.stop - columns.start == 1
        return single and (self.layout.classes > 0 or self.layout.two)

    def collected(
        self,
        columns: _TableColumns,
        rows: Iterator[_TableLine],
    ) -> _TableRows:
        """Return the rows read; the first one shows whether the labels are words."""
        first = next(rows, None)
        if first is None:
            raise ValueError("holds no rows of numbers")
        able, label = self.are_words(columns), first[1][columns.start : columns.stop]
        targets = "words" if able and not any(map(_is_numeric, label)) else "numbers"
        if not self.need_targets or columns.start == columns.stop:
            targets = "nothing"
        classes = (self.layout.classes or 2) if able else 0
        found = _TableRows(columns, targets, self.words, classes)
        for line, cells in chain([first], rows):
            found.add(line, cells)
        return found


# ---------------------------------------------------------------- what looks wrong


def _label_help(labels: np.ndarray, classes: int) -> str:
    """Return what would help where labels are not from 0 to classes - 1."""
    values = np.unique(labels)
    if values.size and (values == np.round(values)).all():
        if values[0] >= 1 and values[-1] == classes:
            return ", labels count from 0: subtract 1"
        if classes == 2 and values.tolist() == [-1, 1]:
            return ", labels count from 0: write 0 for -1"
    return ""


def _column_help(table: _Table, layout: _Layout) -> str:
    """Return which column looks like the labels, where those of a table are wrong."""
    column = _label_lookalike(table, layout)
    if column is None:
        return ""
    return f"; column {column} looks like the labels: --label-column {column} takes it"


def _table_warnings(table: _Table, layout: _Layout) -> list[str]:
    """Return what looks wrong with a table that can be used, a line each."""
    found = _header_warnings(table)
    if table.t is None or not (layout.classes or layout.two):
        return found
    one_hot = table.t.shape[1] > 1
    if one_hot and not (np.sort(table.t, axis=1)[:, -2:] == (0, 1)).all():
        return found  # shares, which are no labels
    labels = table.t.argmax(axis=1).astype(float) if one_hot else table.t[:, 0]
    if len(labels) > 1 and (labels == labels[0]).all():
        word = table.words[int(labels[0])] if table.words else ""
        value = f"{labels[0]:g}" + (f", {word!r}" if word else "")
        hint = "" if one_hot else _column_help(table, layout)
        return [*found, f"every label is {value}{hint}"]
    if not one_hot:
        found += _uncovered_warnings(table, labels, layout.classes)
    return found + _twin_warnings(table, labels, max(layout.classes, 2))


def _header_warnings(table: _Table) -> list[str]:
    """Return a warning where the first row numbers the columns, as a header may do."""
    row, columns = table.x[0], np.array(table.x_columns)
    counts = len(table.lines) > 1 and table.lines[0] == 1 and len(row) > 3
    if counts and ((row == columns).all() or (row == columns - 1).all()):
        return ["row 1 numbers the columns: if it is a header, remove it"]
    return []


def _label_lookalike(table: _Table, layout: _Layout) -> int | None:
    """Return the column that looks like the labels: whole numbers from 0, not all one.

    One that holds every class comes first. Of two classes a single column has to do
    so: many inputs are 0 or 1.
    """
    x, classes = table.x, layout.classes or 2
    low, high = x.min(axis=0), x.max(axis=0)
    places = np.flatnonzero((low >= 0) & (high <= classes - 1) & (low < high))
    values = {int(k): np.unique(x[:, k]) for k in places}
    whole = [k for k, v in values.items() if (v == np.round(v)).all()]
    full = [k for k in whole if len(values[k]) == classes]
    best = full or whole
    if not best or (classes == 2 and len(best) > 1):
        return None
    return table.x_columns[best[0]]


def _uncovered_warnings(table: _Table, labels: np.ndarray, classes: int) -> list[str]:
    """Return a warning where the first input holds each class, and the labels don't."""
    found = len(np.unique(labels))
    if classes < 3 or found >= classes:
        return []
    if not np.array_equal(np.unique(table.x[:, 0]), np.arange(classes)):
        return []
    column = table.x_columns[0]
    what = f"the labels hold {found} of {classes} classes; column {column} holds all"
    return [f"{what} and looks like the labels: --label-column {column} takes it"]


def _twin_warnings(table: _Table, labels: np.ndarray, classes: int) -> list[str]:
    """Return a warning where input columns hold the labels, too, or a linear form of them.

    In a few rows that may be chance, but for more than two labels that are the same.
    """
    kinds, few = len(np.unique(labels)), len(labels) < 20
    if not 1 < kinds <= classes or (few and kinds == 2):
        return []
    other = int(np.argmax(labels != labels[0]))  # with the first row it shows the form
    step = max(1, len(labels) // 1000)
    places = np.arange(table.x.shape[1])
    for rows in (slice(None, None, step), slice(None)):  # few columns are read whole
        first, x = table.x[0, places], table.x[rows][:, places]
        slope = (table.x[other, places] - first) / (labels[other] - labels[0])
        same = (x == first + slope * (labels[rows, None] - labels[0])).all(axis=0)
        form = (slope == 1) & (first == labels[0]) if few else slope != 0
        places = places[same & form]
    columns = [table.x_columns[k] for k in places]
    return [_twin_text(columns)] if columns else []


def _twin_text(columns: list[int]) -> str:
    if len(columns) == 1:
        return f"column {columns[0]} holds the labels, too"
    if len(columns) > 3:
        return f"columns {_cut_list(map(str, columns), 3)} hold the labels, too"
    return f"columns {_and_list(columns)} hold the labels, too"
