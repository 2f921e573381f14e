"""Tables as people have them: what is understood of them, what is said, what is refused."""

from __future__ import annotations

import gzip
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symbackprop.code.runtime.tables import (
    _column_help,
    _is_text,
    _label_help,
    _Layout,
    _read_table,
    _Table,
    _table_warnings,
)

CLASSES = _Layout(inputs=4, targets=3, classes=3, two=False)
BITS = _Layout(inputs=2, targets=1, classes=0, two=True)
REGRESSION = _Layout(inputs=2, targets=1, classes=0, two=False)
PAIR = _Layout(inputs=2, targets=2, classes=0, two=False)

Read = Callable[..., _Table]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Return a function that writes a text to a file and reads its table."""
    monkeypatch.chdir(tmp_path)

    def call(text: str | bytes, layout: _Layout, name: str = "d.csv", **options: Any) -> _Table:
        content = text.encode() if isinstance(text, str) else text
        Path(name).write_bytes(gzip.compress(content) if name.lower().endswith(".gz") else content)
        return _read_table(name, layout, **options)

    return call


def refused(read: Read, *arguments: Any, **options: Any) -> str:
    """Return the line that a refusal says, without the name of the file."""
    with pytest.raises(ValueError) as error:
        read(*arguments, **options)
    said = str(error.value)
    assert "\n" not in said
    return said.removeprefix("d.csv: ")


def holds(table: _Table, x: Any, t: Any, notes: list[str] | None = None) -> None:
    np.testing.assert_array_equal(table.x, x)
    assert table.x.dtype == np.float64
    if t is None:
        assert table.t is None
    else:
        assert table.t is not None
        np.testing.assert_array_equal(table.t, t)
        assert (table.t.dtype, table.t.ndim) == (np.float64, 2)
    assert [note.removeprefix("d.csv: ") for note in table.notes] == (notes or [])


# ---------------------------------------------------------------- files


def test_text_is_told_by_its_suffix() -> None:
    for name in ("a.csv", "b.DATA", "c.txt", "d.Tsv", "e.csv.gz", "f.TXT.GZ", Path("folder") / "g.data.gz"):
        assert _is_text(name), name
    for name in ("a.npz", "b.npy", "c.gz", "csv", "d.csv.npz", "e.csv.zip", "f.csvx"):
        assert not _is_text(name), name


@pytest.mark.parametrize("name", ["d.csv", "d.csv.gz", "D.TXT.GZ", "d.data", "d.tsv"])
def test_a_plain_table_is_what_numpy_reads(read: Read, name: str) -> None:
    values = np.random.default_rng(0).normal(size=(50, 3)) * 10.0 ** np.arange(-8, 10, 6)
    text = "\n".join(",".join(map(repr, row)) for row in values.tolist())
    table = read(text, REGRESSION, name)
    Path("plain").write_text(text)
    expected = np.loadtxt("plain", delimiter=",")
    holds(table, expected[:, :2], expected[:, 2:])
    assert table.lines == list(range(1, 51))
    assert (table.x_columns, table.t_columns, table.words) == ([1, 2], [3], ())
    table.x[0] = 0  # what is read may be written to


def test_a_file_as_windows_writes_it(read: Read) -> None:
    """With a byte order mark, a header in quotes, blank lines and spaces."""
    text = '\ufeff"first, input",b,"t"\r\n\r\n"1",2e0,0\r\n 3 ,+4.50,1\r\n  \r\n\r\n'
    table = read(text, REGRESSION)
    holds(table, [[1, 2], [3, 4.5]], [[0], [1]])
    assert table.lines == [3, 4]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(read: Read, end: str) -> None:
    holds(read(f"1,2,3{end}4,5,6", REGRESSION), [[1, 2], [4, 5]], [[3], [6]])


def test_a_single_row(read: Read) -> None:
    holds(read("1,2,3", REGRESSION), [[1, 2]], [[3]])


def test_a_header_below_blank_lines(read: Read) -> None:
    table = read("\n" * 30 + "a,b,t\n1,2,3\n", REGRESSION)
    holds(table, [[1, 2]], [[3]])
    assert table.lines == [32]


TOO_LONG = "can't be read as text: field larger than field limit (131072)"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no rows of numbers"),
        ("\n \n\n", "holds no rows of numbers"),
        ("a,b,t\n", "holds no rows of numbers"),
        (",,\n", "holds no rows of numbers"),
        (b"\xff\x00\x01", "can't be read as text: 'utf-8' codec can't decode byte 0xff in position 0: "
         "invalid start byte; save it as UTF-8"),
        ("größe,b,t\n".encode("latin-1"), "can't be read as text: 'utf-8' codec can't decode byte 0xf6 in "
         "position 2: invalid start byte; save it as UTF-8"),
        ("1,2,3\n1,2\x00,3\n", r"row 2, column 2: '2\x00' is not a finite number"),
        ("1,2,3\n1,2\n", "row 2 has 2 columns, the first has 3"),
        ("1,2,3\n1\n", "row 2 has 1 column, the first has 3"),
        ("1,2,3\n\n1,2,3,4\n", "row 3 has 4 columns, the first has 3"),
        ("1,2,3\n1," + "x" * 1000 + ",3\n", f"row 2, column 2: {'x' * 40!r} is not a finite number"),
        ("1,2,3\n1," + "9" * 200_000 + ",3\n", TOO_LONG),
        ("9" * 200_000, TOO_LONG),
        ('1,2,3\n"1,2,3\n', "row 2 has 1 column, the first has 3"),
        ("a,b,t\nm,s,-\n1,2,3\n", "row 2, column 1: 'm' is not a finite number"),
        ("1,2,3\n1,abc,3\n", "row 2, column 2: 'abc' is not a finite number"),
        ("1,2,3\n1,2,abc\n", "row 2, column 3: 'abc' is not a finite number"),
        ("1,2,3\n-inf,2,3\n", "row 2, column 1: '-inf' is not a finite number"),
        ("1,2,3\n1e999,2,3\n", "row 2, column 1: '1e999' is not a finite number"),
    ],
)  # fmt: skip
def test_files_that_hold_no_table(read: Read, content: str | bytes, message: str) -> None:
    assert refused(read, content, REGRESSION) == message


def test_finite_numbers_may_add_up_to_infinity(read: Read) -> None:
    holds(read("1e308,1e308,-1e308\n", REGRESSION), [[1e308, 1e308]], [[-1e308]])


def test_a_line_may_be_longer_than_a_cell(read: Read) -> None:
    """No separator but the right one makes cells that the reader of cells takes."""
    wide = _Layout(inputs=70_000, targets=1, classes=0, two=False)
    assert read(",".join(["12"] * 70_001), wide).x.shape == (1, 70_000)


def test_files_that_are_not_there(read: Read, tmp_path: Path) -> None:
    read("1,2,3", REGRESSION)
    (tmp_path / "folder.csv").mkdir()
    for name, problem in (
        ("none.csv", "there is no such file"),
        ("none.csv.gz", "there is no such file"),
        ("folder.csv", "is a directory"),
        ("d.csv/e.csv", "can't be read: Not a directory"),
    ):
        with pytest.raises(ValueError) as error:
            _read_table(name, REGRESSION)
        assert str(error.value) == f"{name}: {problem}"


@pytest.mark.parametrize("damage", ["cut", "flipped", "plain", "empty"])
def test_a_damaged_gz_file(read: Read, damage: str) -> None:
    whole = gzip.compress(b"1,2,3\n" * 500 + np.random.default_rng(0).bytes(500).hex().encode())
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    content = {"cut": whole[:-40], "flipped": bytes(flipped), "plain": b"1,2,3\n", "empty": b""}[damage]
    Path("d.csv.gz").write_bytes(content)
    with pytest.raises(ValueError) as error:
        _read_table("d.csv.gz", REGRESSION)
    said = str(error.value)
    if damage == "empty":
        assert said == "d.csv.gz: holds no rows of numbers"
    elif damage != "flipped":
        assert said.startswith("d.csv.gz: is not a readable .gz file: ")
    assert said.startswith("d.csv.gz: ")
    assert "\n" not in said


def test_no_memory_is_no_fault_of_the_file(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("symbackprop.code.runtime.tables._head_lines", full)
    with pytest.raises(MemoryError):
        read("1,2,3", REGRESSION)


# ---------------------------------------------------------------- headers


@pytest.mark.parametrize(
    "header", ["a,b,t", "a,a,a", ",,", '"a",b,"t"', "kind,b,c", "# a,b,t", "class_,b,label"]
)
def test_a_line_without_numbers_is_a_header(read: Read, header: str) -> None:
    table = read(f"{header}\n1,2,0\n3,4,1\n", REGRESSION)
    holds(table, [[1, 2], [3, 4]], [[0], [1]])
    assert table.lines == [2, 3]


def test_names_of_inputs_may_be_numbers_beside_that_of_the_label(read: Read) -> None:
    rows = "1,10,20,30,40\n0,50,60,70,80\n"
    table = read(f"label,0,1,2,3\n{rows}", CLASSES)
    holds(
        table,
        [[10, 20, 30, 40], [50, 60, 70, 80]],
        [[1], [0]],
        ["the label is column 1, 'label'; --label-column chooses another"],
    )
    holds(read("0,1,y\n7,8,9\n", REGRESSION), [[7, 8]], [[9]])
    holds(read("digit,0,1,2,3\n" + rows, CLASSES, label_column="digit"), table.x, table.t)


def test_a_row_whose_label_begins_as_a_header_does(read: Read) -> None:
    rows = "1,2,class-a\n3,4,class-b\n5,6,class-a\n"
    note = "labels in alphabetical order: 0 = class-a, 1 = class-b"
    table = read(rows, BITS)
    holds(table, [[1, 2], [3, 4], [5, 6]], [[0], [1], [0]], [note])
    assert table.lines == [1, 2, 3]
    holds(read(rows, BITS, need_targets=False), table.x, None)
    holds(read("1,2,y\n3,4,n\n5,6,y\n", BITS), table.x, [[1], [0], [1]],
          ["labels in alphabetical order: 0 = n, 1 = y"])  # fmt: skip
    holds(read("class-a,1,2\nclass-b,3,4\n", BITS, label_column="1"), table.x[:2], [[0], [1]], [note])
    message = (
        "row 1, column 1: 'class-a' is not a finite number: if column 1 holds the labels, --label-column 1 "
    )
    assert refused(read, "class-a,1,2\nclass-b,3,4\n", BITS) == f"{message}says so"


def test_numbers_alone_are_no_header(read: Read) -> None:
    assert read("0,1,2\n3,4,5\n", REGRESSION).lines == [1, 2]


# ---------------------------------------------------------------- the column of the labels


def test_the_layout_of_the_best_known_digits_file(read: Read) -> None:
    table = read("label,p0,p1,p2,p3\n1,0,17,250,0\n0,3,0,0,0\n2,0,9,80,0\n", CLASSES)
    note = "the label is column 1, 'label'; --label-column chooses another"
    holds(table, [[0, 17, 250, 0], [3, 0, 0, 0], [0, 9, 80, 0]], [[1], [0], [2]], [note])
    assert (table.x_columns, table.t_columns) == ([2, 3, 4, 5], [1])
    assert _table_warnings(table, CLASSES) == []


THREE = _Layout(inputs=3, targets=1, classes=2, two=True)


@pytest.mark.parametrize(
    ("header", "column", "said"),
    [
        ("a,b,c,d", 4, ""),
        ("a,b,c,label", 4, ""),
        ("a,b,Label,d", 3, "'Label'"),
        ("a,CLASSES,c,d", 2, "'CLASSES'"),
        ("target value,b,c,d", 1, "'target value'"),
        ("y,b,c,d", 1, "'y'"),
        ("a,Y_1,c,d", 2, "'Y_1'"),
        ("a,y1,c,d", 2, "'y1'"),
        ("year,yaw,my label,subclass", 4, ""),
        ("class size,label,y1,d", 2, "'label'"),
        ("label,class size,y1,y2", 1, "'label'"),
        ("y1,b,c,class 3", 4, ""),
        ("label,b,c,class", 4, ""),
        (" label ,b,c,d", 1, "'label'"),
        ('"label, as counted",b,c,d', 1, "'label, as counted'"),
    ],
)
def test_the_label_is_found_by_its_name(read: Read, header: str, column: int, said: str) -> None:
    for need in (True, False):
        table = read(f"{header}\n0,1,0,1\n", THREE, need_targets=need)
        assert table.t_columns == [column]
        assert table.x_columns == [k for k in range(1, 5) if k != column]
        note = f"d.csv: the label is column {column}, {said}; --label-column chooses another"
        assert table.notes == ([note] if said else [])


@pytest.mark.parametrize("header", ["label,class,c,d", "y1,y2,c,d", "target1,b,class2,d"])
def test_names_that_leave_it_open_are_refused(read: Read, header: str) -> None:
    said = refused(read, f"{header}\n0,1,0,1\n", THREE)
    names = [(k + 1, name) for k, name in enumerate(header.split(",")) if len(name) > 1]
    every = ", ".join(f"column {k}, {name!r}" for k, name in names)
    assert said == f"{every} may be the label; --label-column says which"


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("a,b,c,d", [3, 4]),
        ("a,b,y1,y2", [3, 4]),
        ("y1,y2,c,d", [1, 2]),
        ("a,target_a,target_b,d", [2, 3]),
        ("a,target,c,d", [2, 3]),
        ("a,b,c,target", [3, 4]),
        ("class size,b,y1,y2", [3, 4]),
    ],
)
def test_several_targets_are_found_by_their_names(read: Read, header: str, columns: list[int]) -> None:
    table = read(f"{header}\n1,2,3,4\n", PAIR)
    assert table.t_columns == columns
    holds(table._replace(notes=[]), [[k for k in range(1, 5) if k not in columns]], [columns])
    name = header.split(",")[columns[0] - 1]
    note = f"d.csv: the targets are columns {columns[0]} to {columns[1]}, from {name!r} on; --label-column "
    assert table.notes == ([] if columns == [3, 4] else [f"{note}chooses others"])


def test_targets_that_are_apart_are_refused(read: Read) -> None:
    message = "column 1, 'y1', column 4, 'y2' may be the first target; --label-column says which"
    assert refused(read, "y1,b,c,y2\n1,2,3,4\n", PAIR) == message


@pytest.mark.parametrize(
    ("told", "column"),
    [("b", 2), ("B", 2), ("2", 2), (" b ", 2), ("Label", 3), ("label", 4), ("4", 4), ("1", 1), ("a", 1)],
)
def test_a_user_says_the_column(read: Read, told: str, column: int) -> None:
    for separator in (",", ";"):
        text = "a,b,Label,label\n0,1,0,1\n".replace(",", separator)
        table = read(text, THREE, label_column=told, separator=separator)
        assert table.t_columns == [column]
        holds(table, [[[0, 1, 0, 1][k - 1] for k in range(1, 5) if k != column]], [[1 - column % 2]])


def test_a_user_says_the_first_of_several_columns(read: Read) -> None:
    for header in ("", "a,b,c,d\n"):
        holds(read(f"{header}1,2,3,4\n", PAIR, label_column="2"), [[1, 4]], [[2, 3]])
    one_hot = "0,1,0,5,6,7,8\n"
    holds(read(one_hot, CLASSES, label_column="1"), [[5, 6, 7, 8]], [[0, 1, 0]])


def test_a_name_beats_a_number(read: Read) -> None:
    note = "--label-column 1 is taken as a name, that of column 2"
    text = "0,1,y\n5,6,7\n"
    holds(read(text, REGRESSION, label_column="1"), [[5, 7]], [[6]], [note])
    holds(read(text, REGRESSION, label_column="2"), [[5, 7]], [[6]])
    holds(read(text, REGRESSION, label_column="3"), [[5, 6]], [[7]])


def test_pixels_named_by_numbers_do_not_hide_the_number_of_the_label(read: Read) -> None:
    holds(read("label,0,1\n5,6,7\n", REGRESSION, label_column="1"), [[6, 7]], [[5]])


@pytest.mark.parametrize(
    ("text", "told", "message"),
    [
        ("kind,b,c\n1,2,0\n", "kinds", "'kinds'; no column has that name; did you mean 'kind'?"),
        ("kind,b,c\n1,2,0\n", "zzz", "'zzz'; no column has that name; the names are 'kind', 'b', 'c'"),
        ("a,b,c\n1,2,0\n", "-1", "'-1'; no column has that name; the names are 'a', 'b', 'c'"),
        ("a,b,c\n1,2,0\n", "", "''; no column has that name; the names are 'a', 'b', 'c'"),
        ("1,2,0\n", "kind", "'kind'; there is no header line; say the column's number, counted from 1"),
        ("a,b,c\n1,2,0\n", "0", "0; there are 3 columns, counted from 1"),
        ("1,2,0\n", "4", "4; there are 3 columns, counted from 1"),
        ("a,a,c\n1,2,0\n", "a", "'a'; columns 1 and 2 have that name; say the number of one"),
        ("a,A,c\n1,2,0\n", "A ", ""),
        ("ab,aB,c\n1,2,0\n", "AB", "'AB'; columns 1 and 2 have that name; say the number of one"),
    ],
)
def test_columns_that_are_not_there(read: Read, text: str, told: str, message: str) -> None:
    if not message:
        assert read(text, BITS, label_column=told).t_columns == [2]
        return
    for need in (True, False):
        options = {"label_column": told, "need_targets": need}
        assert refused(read, text, BITS, **options) == f"--label-column is {message}"


def test_targets_that_reach_past_the_end(read: Read) -> None:
    message = "--label-column is '4'; 2 targets need columns 4 to 5, there are 4"
    assert refused(read, "1,2,3,4\n", PAIR, label_column="4") == message


# ---------------------------------------------------------------- widths


EXPECTED = "expected 4 inputs, then 3 targets, or one label from 0 to 2"
ONE_TOO_MANY = "one too many: a column of numbers of rows or of names may have to go"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3", f"3 columns; {EXPECTED}"),
        ("1,2,3,4", f"4 columns; {EXPECTED}"),
        ("1", f"1 column; {EXPECTED}"),
        ("1,2,3,4,5,6", f"6 columns; {EXPECTED}; {ONE_TOO_MANY}"),
        ("1,2,3,4,5,", f"6 columns; {EXPECTED}; the last one is empty: no separator may end a line"),
        ("id,a,b,c,d,e\n1,2,3,4,5,6",
         f"6 columns; {EXPECTED}; column 1, 'id', looks like an index: remove it"),
        (",a,b,c,d,e\n1,2,3,4,5,6", f"6 columns; {EXPECTED}; column 1, '', looks like an index: remove it"),
        ("1|2|3|4|0", f"1 column; {EXPECTED}; --separator '|' would make 5 columns"),
        ("1:2:3:4:0", f"1 column; {EXPECTED}; --separator ':' would make 5 columns"),
        ("1;2;3;4;0;9;9;9", f"8 columns; {EXPECTED}; {ONE_TOO_MANY}"),
    ],
)  # fmt: skip
def test_widths_that_do_not_fit(read: Read, text: str, message: str) -> None:
    assert refused(read, text + "\n", CLASSES) == message


def test_a_separator_that_does_not_fit(read: Read) -> None:
    message = f"1 column; {EXPECTED}; --separator ',' would make 5 columns"
    assert refused(read, "1,2,3,4,0\n", CLASSES, separator=";") == message
    message = f"1 column; {EXPECTED}; --separator tab would make 5 columns"
    assert refused(read, "1\t2\t3\t4\t0\n", CLASSES, separator="comma") == message


def test_what_is_expected_is_counted(read: Read) -> None:
    assert refused(read, "1,2\n", BITS) == "2 columns; expected 2 inputs, then 1 target"
    single = _Layout(inputs=1, targets=2, classes=0, two=False)
    assert refused(read, "1,2\n", single) == "2 columns; expected 1 input, then 2 targets"


def test_one_hot_targets_or_a_label(read: Read) -> None:
    holds(read("1,2,3,4,0,1,0\n", CLASSES), [[1, 2, 3, 4]], [[0, 1, 0]])
    holds(read("1,2,3,4,2\n", CLASSES), [[1, 2, 3, 4]], [[2]])


@pytest.mark.parametrize("text", ["1,2,3,4", "1,2,3,4,7", "1,2,3,4,?", "1,2,3,4,setosa", "1,2,3,4,0,,x"])
@pytest.mark.parametrize("header", [False, True])
def test_targets_are_not_looked_at_where_they_are_not_needed(read: Read, text: str, header: bool) -> None:
    names = ",".join("abcdefg"[: text.count(",") + 1]) + "\n" if header else ""
    table = read(f"{names}{text}\n", CLASSES, need_targets=False, words=("one", "two", "three"))
    holds(table, [[1, 2, 3, 4]], None)
    assert table.t_columns == list(range(5, text.count(",") + 2))


def test_inputs_alone_have_no_label(read: Read) -> None:
    table = read("label,y,class,d\n1,2,3,4\n", CLASSES, need_targets=False)
    holds(table, [[1, 2, 3, 4]], None)
    assert (table.x_columns, table.t_columns) == ([1, 2, 3, 4], [])
    for told in ("label", "1"):
        said = refused(read, "label,b,c,d\n1,2,3,4\n", CLASSES, need_targets=False, label_column=told)
        assert said == f"--label-column is {told!r}; there are inputs alone, 4 columns: leave it out"


def test_an_index_in_the_place_of_a_label_is_noted(read: Read) -> None:
    note = "column 1, 'Id', looks like an index, and is taken as an input; "
    note += "column 3, 'b', is left out as the target"
    text = "Id,a,b\n1,2,3\n"
    holds(read(text, REGRESSION, need_targets=False), [[1, 2]], None, [note])
    holds(read(text.replace("b", "target"), REGRESSION, need_targets=False), [[1, 2]], None)
    holds(read(text.replace("Id", "age"), REGRESSION, need_targets=False), [[1, 2]], None)
    holds(read(text, REGRESSION), [[1, 2]], [[3]])
    holds(read("Id,a\n1,2\n", REGRESSION, need_targets=False), [[1, 2]], None)


# ---------------------------------------------------------------- separators


SEPARATED = {
    "comma": ("5.1,3.5,1", None),
    "semicolon": ("5.1;3.5;1", "separated by ';'"),
    "tab": ("5.1\t3.5\t1", "separated by tabs"),
    "blank": ("5.1 3.5 1", "separated by blanks"),
    "blanks": ("  5.1   3.5  1  ", "separated by blanks"),
    "tabs among blanks": (" 5.1\t 3.5   1", "separated by blanks"),
}


@pytest.mark.parametrize("kind", SEPARATED)
@pytest.mark.parametrize("header", [False, True])
def test_separators_are_found(read: Read, kind: str, header: bool) -> None:
    line, note = SEPARATED[kind]
    names = line.replace("5.1", "a").replace("3.5", "b").replace("1", "c") + "\n" if header else ""
    table = read(f"{names}{line}\n\n{line}\n", REGRESSION)
    holds(table, [[5.1, 3.5]] * 2, [[1]] * 2, [note] if note else [])
    assert table.lines == ([2, 4] if header else [1, 3])


@pytest.mark.parametrize(
    ("told", "character"),
    [(",", ","), ("comma", ","), (";", ";"), ("semicolon", ";"), ("tab", "\t"), ("TAB", "\t"), ("\t", "\t"),
     ("\\t", "\t"), (" ", "  "), ("space", "   "), ("blank", " "), ("|", "|"), (":", ":"), ("_", "_")],
)  # fmt: skip
def test_separators_are_told(read: Read, told: str, character: str) -> None:
    text = character.join(["5", "3", "1"]) + "\n"
    holds(read(text, REGRESSION, separator=told), [[5, 3]], [[1]])


@pytest.mark.parametrize("told", ["", "ab", ",,", "1", ".", "-", "e", '"', "\n"])
def test_separators_that_are_none(read: Read, told: str) -> None:
    message = f"--separator is {told!r}; it must be one character that no number holds, or the word tab"
    assert refused(read, "1,2,3\n", REGRESSION, separator=told) == message


def test_tabs_need_no_word_in_a_tsv(read: Read) -> None:
    for name in ("d.tsv", "D.TSV.gz"):
        assert read("1\t2\t3\n", REGRESSION, name).notes == []
    assert read("1,2,3\n", REGRESSION, "d.tsv").notes == []
    assert read("1;2;3\n", REGRESSION, "d.tsv").notes == ["d.tsv: separated by ';'"]


def test_the_first_separator_that_fits_is_taken(read: Read) -> None:
    """Names with commas, or words with blanks, don't lead astray."""
    holds(read("a, old;b;c\n1;2;3\n", REGRESSION), [[1, 2]], [[3]], ["separated by ';'"])
    note = "labels in alphabetical order: 0 = no way, 1 = yes, surely"
    holds(read('1,2,no way\n3,4,"yes, surely"\n', BITS), [[1, 2], [3, 4]], [[0], [1]], [note])
    single = _Layout(inputs=1, targets=1, classes=0, two=False)
    holds(read("1;2\n", single, need_targets=False), [[1]], None, ["separated by ';'"])
    holds(read("1\n2\n", single, need_targets=False), [[1], [2]], None)


def test_quotes_hold_among_blanks(read: Read) -> None:
    note = "labels in alphabetical order: 0 = class of dogs, 1 = one of cats"
    table = read('1 2 "one of cats"\n3  4 "class of dogs"\n', BITS)
    holds(table, [[1, 2], [3, 4]], [[1], [0]], ["separated by blanks", note])


def test_a_header_with_a_mark_of_comments(read: Read) -> None:
    """As numpy.savetxt writes one."""
    np.savetxt("d.txt", np.arange(6).reshape(2, 3), header="a b target")
    table = _read_table("d.txt", REGRESSION)
    holds(table._replace(notes=[]), [[0, 1], [3, 4]], [[2], [5]])
    assert refused(read, "# 1 2\n3 4 5\n", REGRESSION).startswith(
        "row 1, column 1: '#' is not a finite number"
    )


@pytest.mark.parametrize(
    ("text", "row", "column", "cell"),
    [("1,5;2,3;0\n", 1, 1, "1,5"), ("1.5;2;0\n1;2;,5\n", 2, 3, ",5"), ('"1,234",2,3\n4,5,6\n', 1, 1, "1,234"),
     ("1\t-2,5e3\t0\n", 1, 2, "-2,5e3"), ("1;1.234,5;0\n", 1, 2, "1.234,5")],
)  # fmt: skip
def test_decimal_commas_are_refused(read: Read, text: str, row: int, column: int, cell: str) -> None:
    help_text = "write decimals with a point, as 1.5, and thousands without a mark"
    message = f"row {row}, column {column}: {cell!r} is not a finite number: {help_text}"
    assert refused(read, text, REGRESSION) == message


def test_two_numbers_in_a_cell(read: Read) -> None:
    message = (
        "row 2, column 2: '2;3' is not a finite number: if these are two columns, --separator ';' parts them"
    )
    assert refused(read, "1,2,3\n1,2;3,3\n", REGRESSION) == message
    assert refused(read, "1,2,3\n1,2  3,3\n", REGRESSION).endswith("--separator ' ' parts them")
    assert refused(read, "1,2,3\n1,2 \t3,3\n", REGRESSION).endswith("--separator tab parts them")


# ---------------------------------------------------------------- labels


IRIS = "5,3,1,0,Iris-setosa\n6,3,6,2, Iris-virginica\n7,3,4,1,Iris-versicolor \n5,3,1,0,Iris-setosa\n"
NAMES = ("Iris-setosa", "Iris-versicolor", "Iris-virginica")


def test_words_are_numbered_in_alphabetical_order(read: Read) -> None:
    table = read(IRIS, CLASSES, "d.data")
    assert table.t is not None
    assert table.t.tolist() == [[0], [2], [1], [0]]
    assert table.words == NAMES
    numbered = "0 = Iris-setosa, 1 = Iris-versicolor, 2 = Iris-virginica"
    assert table.notes == [f"d.data: labels in alphabetical order: {numbered}"]
    assert table.t_columns == [5]


def test_many_words_are_cut(read: Read) -> None:
    many = _Layout(inputs=1, targets=12, classes=12, two=False)
    table = read("".join(f"{k},{chr(108 - k)}\n" for k in range(12)), many)
    assert table.words == tuple("abcdefghijkl")
    numbered = ", ".join(f"{k} = {word}" for k, word in enumerate("abcdefghij"))
    assert table.notes == [f"d.csv: labels in alphabetical order: {numbered}, …"]
    long = read(f"1,{'x' * 90}\n2,y\n", _Layout(1, 1, 0, True))
    assert long.notes == [f"d.csv: labels in alphabetical order: 0 = {'x' * 36}…, 1 = y"]


def test_fewer_words_than_classes_are_noted(read: Read) -> None:
    table = read("5,3,1,0,b\n6,3,6,2,a\n", CLASSES)
    note = "only 2 different labels; the network tells 3 classes apart"
    holds(
        table, [[5, 3, 1, 0], [6, 3, 6, 2]], [[1], [0]], ["labels in alphabetical order: 0 = a, 1 = b", note]
    )


def test_more_words_than_classes_are_refused(read: Read) -> None:
    rows = "".join(f"5,3,1,0,{word}\n" for word in "dcbaa")
    message = "column 5 holds 4 different labels: a, b, c, d; the network tells 3 classes apart"
    assert refused(read, rows, CLASSES) == message


def test_words_first(read: Read) -> None:
    rows = "kind,a,b\nx,1,2\nw,3,4\n"
    table = read(rows, BITS, label_column="Kind")
    holds(table, [[1, 2], [3, 4]], [[1], [0]], ["labels in alphabetical order: 0 = w, 1 = x"])
    message = (
        "row 2, column 1: 'x' is not a finite number: if column 1 holds the labels, --label-column 1 says so"
    )
    assert refused(read, rows, BITS) == message


def test_words_that_were_kept_number_the_labels(read: Read) -> None:
    kept = ("zebra", "Iris-virginica", "Iris-setosa", "Iris-versicolor")
    table = read(IRIS, CLASSES, words=kept)
    holds(table, table.x, [[2], [1], [3], [2]])
    assert table.words == kept
    holds(read("1,2,b\n", BITS, words=("a", "b")), [[1, 2]], [[1]])


def test_words_that_were_not_kept_are_refused(read: Read) -> None:
    message = "row 3, column 5: 'iris versicolor' is not a label that the weights know"
    known = "Iris-setosa, Iris-versicolor, Iris-virginica"
    text = IRIS.replace("Iris-versicolor", "iris versicolor")
    assert refused(read, text, CLASSES, words=NAMES) == f"{message}: {known}; did you mean 'Iris-versicolor'?"
    assert refused(read, "1,2,c\n", BITS, words=("aa", "bb")) == (
        "row 1, column 3: 'c' is not a label that the weights know: aa, bb"
    )


def test_numbers_stay_numbers_where_words_were_kept(read: Read) -> None:
    table = read("1,2,3,4,2\n", CLASSES, words=NAMES)
    holds(table, [[1, 2, 3, 4]], [[2]])
    assert table.words == ()


@pytest.mark.parametrize("words", [(), ("a", "b")])
def test_words_and_numbers_are_not_mixed(read: Read, words: tuple[str, ...]) -> None:
    message = "row 3, column 3: the label '1' is a number, those before are words"
    assert refused(read, "1,2,a\n1,2,b\n1,2,1\n", BITS, words=words) == message
    message = "row 2, column 3: the label 'a' is a word, those before are numbers"
    assert refused(read, "1,2,1\n1,2,a\n", BITS, words=words) == message


def test_two_words_are_the_labels_of_a_single_target(read: Read) -> None:
    note = "labels in alphabetical order: 0 = no, 1 = yes"
    holds(read("1,2,yes\n3,4,no\n", BITS), [[1, 2], [3, 4]], [[1], [0]], [note])
    message = "column 3 holds 3 different labels: maybe, no, yes; the network tells 2 classes apart"
    assert refused(read, "1,2,yes\n3,4,no\n5,6,maybe\n", BITS) == message
    message = "row 1, column 3: 'yes' is not a finite number: words take a network that tells classes apart"
    assert refused(read, "1,2,yes\n3,4,no\n", REGRESSION) == message


def test_words_are_no_one_hot_targets(read: Read) -> None:
    assert refused(read, "1,2,3,4,a,b,c\n", CLASSES).startswith("row 1, column 5: 'a' is not a finite number")


def test_lines_within_a_word_are_blanks(read: Read) -> None:
    """What is said of a file goes on one line."""
    table = read('1,2,"a\nb"\n3,4,c\n', BITS)
    assert table.notes == ["d.csv: labels in alphabetical order: 0 = a b, 1 = c"]
    assert table.lines == [2, 3]


@pytest.mark.parametrize("cell", ["", " ", "NA", "n/a", "NaN", "nan", "?", "null", "None", "#N/A"])
def test_missing_numbers_are_refused(read: Read, cell: str) -> None:
    help_text = "is not a finite number: fill in a number or remove the row"
    for text, place in (
        (f"1,2,3\n1,{cell},3\n", "row 2, column 2"),
        (f"1,2,3\n\n1,2,{cell}\n", "row 3, column 3"),
    ):
        assert refused(read, text, REGRESSION) == f"{place}: {cell!r} {help_text}"
        assert refused(read, text, BITS) == f"{place}: {cell!r} {help_text}"


@pytest.mark.parametrize("cell", ["", "NA", "?", "null"])
def test_missing_labels_are_refused(read: Read, cell: str) -> None:
    message = f"column 3: {cell!r} is not a label; fill in one or remove the row"
    assert refused(read, f"1,2,a\n1,2,{cell}\n", BITS) == f"row 2, {message}"
    assert refused(read, f"1,2,{cell}\n1,2,a\n", BITS) == f"row 1, {message}"


def test_none_may_be_a_label(read: Read) -> None:
    assert read("1,2,none\n1,2,severe\n", BITS).words == ("none", "severe")


@pytest.mark.parametrize(
    ("labels", "classes", "help_text"),
    [
        ([1, 2, 3], 3, ", labels count from 0: subtract 1"),
        ([3, 3], 3, ", labels count from 0: subtract 1"),
        ([-1, 1, 1], 2, ", labels count from 0: write 0 for -1"),
        ([0, 1, 2, 3], 3, ""),
        ([0.5, 3], 3, ""),
        ([1, 2, 4], 3, ""),
        ([math.nan, 3], 3, ""),
        ([], 3, ""),
    ],
)
def test_help_for_labels_that_are_numbered_otherwise(
    labels: list[float], classes: int, help_text: str
) -> None:
    assert _label_help(np.array(labels), classes) == help_text


# ---------------------------------------------------------------- warnings


def table_of(x: Any, t: Any, words: tuple[str, ...] = (), first_line: int = 2) -> _Table:
    """Return a table whose label is the last column."""
    x, t = np.array(x, dtype=float), np.array(t, dtype=float).reshape(len(x), -1)
    columns = list(range(1, x.shape[1] + 1))
    lines = list(range(first_line, len(x) + first_line))
    return _Table(x, t, lines, columns, [len(columns) + 1], words, [])


def test_the_digits_file_without_its_header(read: Read) -> None:
    table = read("1,0,17,250,0\n0,3,0,0,0\n2,0,9,80,0\n", CLASSES)
    message = "every label is 0; column 1 looks like the labels: --label-column 1 takes it"
    assert _table_warnings(table, CLASSES) == [message]


def test_labels_that_are_all_equal() -> None:
    x = np.random.default_rng(0).normal(size=(9, 4))
    assert _table_warnings(table_of(x, np.ones(9)), CLASSES) == ["every label is 1"]
    assert _table_warnings(table_of(x, np.zeros(9), NAMES), CLASSES) == ["every label is 0, 'Iris-setosa'"]
    assert _table_warnings(table_of(x[:1], [1]), CLASSES) == []
    assert _table_warnings(table_of(x[:, :2], np.ones(9)), BITS) == ["every label is 1"]
    assert _table_warnings(table_of(x[:, :2], np.ones(9)), REGRESSION) == []
    assert _table_warnings(table_of(x, np.tile([0, 0, 1], (9, 1))), CLASSES) == ["every label is 2"]
    assert _table_warnings(table_of(x, np.tile([0.2, 0.3, 0.5], (9, 1))), CLASSES) == []
    assert _table_warnings(table_of(x, np.zeros(9))._replace(t=None), CLASSES) == []


def test_the_column_that_holds_every_class_looks_most_like_the_labels() -> None:
    x = np.array([[0, 0.5, 2, 9], [1, 0, 1, 9], [0, 1, 0, 9], [1, 1, 2, 9]])
    assert _table_warnings(table_of(x, np.zeros(4)), CLASSES) == [
        "every label is 0; column 3 looks like the labels: --label-column 3 takes it"
    ]
    assert _column_help(table_of(x[:, :2], np.zeros(4)), CLASSES).startswith("; column 1 looks like")
    assert _column_help(table_of(x[:, 1:2], np.zeros(4)), CLASSES) == ""
    assert _column_help(table_of(x[:, 3:], np.zeros(4)), CLASSES) == ""


def test_of_two_classes_one_column_alone_looks_like_the_labels() -> None:
    x = np.array([[0, 5.0], [1, 6], [1, 7]])
    assert _column_help(table_of(x, np.zeros(3)), BITS).startswith("; column 1 looks like")
    assert _column_help(table_of(x[:, [0, 0]], np.zeros(3)), BITS) == ""


def test_columns_are_counted_in_the_file(read: Read) -> None:
    table = read("a,b,label,c,d\n" + "7,5,1,0,9\n" * 3 + "7,5,1,2,8\n", CLASSES)
    assert _table_warnings(table, CLASSES) == [
        "every label is 1; column 4 looks like the labels: --label-column 4 takes it"
    ]


def test_the_first_column_holds_every_class_and_the_labels_do_not() -> None:
    generator = np.random.default_rng(0)
    x = np.column_stack([np.arange(9) % 3, generator.normal(size=(9, 3))])
    labels = np.array([0, 2, 2, 2, 2, 0, 0, 0, 0])
    message = "the labels hold 2 of 3 classes; column 1 holds all and looks like the labels"
    assert _table_warnings(table_of(x, labels), CLASSES) == [f"{message}: --label-column 1 takes it"]
    assert _table_warnings(table_of(x, [0, 2, 2, 1, 2, 0, 0, 0, 0]), CLASSES) == []
    assert _table_warnings(table_of(x[:, ::-1], labels), CLASSES) == []
    assert _table_warnings(table_of(x + np.eye(4)[0] / 2, labels), CLASSES) == []
    assert _table_warnings(table_of(x % [[2, 9, 9, 9]], labels), CLASSES) == []


@pytest.mark.parametrize("change", [lambda c: c, lambda c: 3 - c, lambda c: 10 * c - 7])
def test_an_input_that_holds_the_labels(change: Callable[[np.ndarray], np.ndarray]) -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, size=40)
    x = generator.normal(size=(40, 4)).round(1)
    x[:, 2] = change(labels)
    assert _table_warnings(table_of(x, labels), CLASSES) == ["column 3 holds the labels, too"]
    x[:, 0] = change(labels)
    assert _table_warnings(table_of(x, labels), CLASSES) == ["columns 1 and 3 hold the labels, too"]
    x[:] = change(labels)[:, None]
    assert _table_warnings(table_of(x, labels), CLASSES) == ["columns 1, 2, 3, … hold the labels, too"]
    x[:, :] = generator.normal(size=(40, 4))
    x[:, 1] = change(labels)
    x[39, 1] += 1
    assert _table_warnings(table_of(x, labels), CLASSES) == []


def test_an_input_that_holds_two_labels() -> None:
    labels = np.arange(20) % 3 % 2
    x = np.column_stack([np.arange(20) / 7, labels])
    for column in (labels, 1 - labels, 2 * labels - 1):
        x[:, 1] = column
        assert _table_warnings(table_of(x, labels), BITS) == ["column 2 holds the labels, too"]
    x[:, 1] = labels * labels[::-1]
    assert _table_warnings(table_of(x, labels), BITS) == []


def test_the_labels_of_a_few_rows() -> None:
    """Three classes in the same order are no chance; other numbers, or two classes, may well be."""
    x = np.array([[0, 7.0, 1, 1], [1, 3, 1, 1], [2, 5, 1, 1]])
    assert _table_warnings(table_of(x, [0, 1, 2]), CLASSES) == ["column 1 holds the labels, too"]
    assert _table_warnings(table_of(x, [2, 0, 1]), CLASSES) == []
    assert _table_warnings(table_of(x[:2], [0, 1]), CLASSES) == []
    xor = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    for labels in ([0, 1, 1, 0], [0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1]):
        assert _table_warnings(table_of(xor, labels), BITS) == []


@pytest.mark.parametrize("rows", [3, 5, 8, 15, 40, 3000])
def test_ordinary_data_are_no_cause_for_alarm(rows: int) -> None:
    """Pixels, black and white ones, one of many, constants, numbers of rows."""
    generator = np.random.default_rng(rows)
    for _ in range(10 if rows < 100 else 1):
        labels = generator.integers(0, 3, size=rows)
        labels[:3] = [2, 0, 1]
        black = generator.integers(0, 2, size=(rows, 100))
        grey = generator.integers(0, 256, size=(rows, 100)) * black
        kinds = np.eye(5)[generator.integers(0, 5, size=rows)]
        counts = np.column_stack([np.arange(rows), np.arange(rows)[::-1] + 1, np.ones(rows), np.zeros(rows)])
        x = np.hstack([generator.normal(size=(rows, 1)), black, grey, kinds, counts])
        assert _table_warnings(table_of(x, labels), CLASSES) == []
        bits = labels % 2
        assert _table_warnings(table_of(x, bits), BITS) == []


def test_a_sorted_file_is_looked_at_from_end_to_end() -> None:
    labels = np.repeat([0, 1, 2], 5000)
    x = np.random.default_rng(0).normal(size=(15000, 4))
    x[:, 1] = labels * 2
    x[:, 0] = 4
    assert _table_warnings(table_of(x, labels), CLASSES) == ["column 2 holds the labels, too"]
    x[7, 1] = 1  # not in the sample
    assert _table_warnings(table_of(x, labels), CLASSES) == []


def test_labels_that_are_wrong_do_not_hinder() -> None:
    """They are refused elsewhere."""
    x = np.random.default_rng(0).integers(0, 256, size=(50, 4))
    for labels in (x[:, 0], x[:, 0] / 7, -x[:, 0]):
        assert _table_warnings(table_of(x, labels), CLASSES) == []


def test_a_first_row_that_numbers_the_columns(read: Read) -> None:
    message = ["row 1 numbers the columns: if it is a header, remove it"]
    wide = _Layout(inputs=5, targets=1, classes=0, two=False)
    for header in ("0,1,2,3,4,5", "1,2,3,4,5,6"):
        assert _table_warnings(read(f"{header}\n9,9,8,7,7,1\n", wide), wide) == message
        assert _table_warnings(read(f"a,b,c,d,e,f\n{header}\n9,9,8,7,7,1\n", wide), wide) == []
        assert _table_warnings(read(f"{header}\n", wide), wide) == []
    inputs = read("0,1,2,3,4\n9,9,8,7,7\n", wide, need_targets=False)
    assert _table_warnings(inputs, wide) == message
    assert _table_warnings(read("0,1,1\n1,0,0\n", BITS), BITS) == []


def test_many_pixels_are_looked_at_in_a_moment() -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, size=(5000, 784)).astype(float)
    labels = generator.integers(0, 10, size=5000)
    x[:, -1] = labels * 3 + 1
    digits = _Layout(inputs=784, targets=10, classes=10, two=False)
    start = time.perf_counter()
    assert _table_warnings(table_of(x, labels), digits) == ["column 784 holds the labels, too"]
    assert len(_table_warnings(table_of(x, np.zeros(5000)), digits)) == 1
    assert time.perf_counter() - start < 5
