"""The data of the command line: files of arrays or tables, labels, standardised inputs."""

import math
import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from symbackprop.code.runtime.archives import _is_mapped, _mapped, _read
from symbackprop.code.runtime.batches import (
    _Arrays,
    _files_of,
    _in_file,
    _Prepared,
    _RowPlaces,
    _rows,
    _shown,
    _unread,
)
from symbackprop.code.runtime.checks import (
    _PLACES,
    _SHAPES,
    _checked_data,
    _checked_inputs,
    _each_array,
    _label,
    _Places,
    _require_numbers,
)
from symbackprop.code.runtime.network import (
    BOUNDS,
    CLASSES,
    INPUTS,
    IS_MEAN,
    OUTPUT_SHAPE,
    TARGETS,
    WHOLE_NUMBERS,
)
from symbackprop.code.runtime.tables import (
    _TABLE_SUFFIXES,
    _column_help,
    _expected_columns,
    _is_text,
    _label_help,
    _Layout,
    _read_table,
    _Table,
    _table_warnings,
    _table_widths,
)

_NAMES = (*INPUTS, *TARGETS)
_IS_TABLE = (
    (len(INPUTS), len(TARGETS)) == (1, 1)
    and IS_MEAN
    and not WHOLE_NUMBERS
    and all(
        len(shape) == 2 and shape[0] == "samples" and isinstance(shape[1], int)
        for shape in _SHAPES.values()
    )
)
_TARGET = next(iter(TARGETS), "")
_ARE_PLACES = (  # whether targets are whole numbers, one for each sample, that name an output
    IS_MEAN
    and len(TARGETS) == 1
    and TARGETS[_TARGET] == ("samples",)
    and WHOLE_NUMBERS.get(_TARGET) == OUTPUT_SHAPE[1:]
)
_LABELS = CLASSES if _IS_TABLE else 0  # that one whole number for each sample may name


def _ends() -> tuple[float, float] | None:
    """Return the bounds of targets that say yes or no: those of a table, without classes."""
    low, high = BOUNDS.get(_TARGET, (None, None))
    if not _IS_TABLE or CLASSES or low is None or high is None:
        return None
    return low, high


def _layout() -> _Layout:
    """Return the columns of a table."""
    inputs, targets = (int(_SHAPES[name][1]) for name in _NAMES)
    return _Layout(inputs, targets, _LABELS, targets == 1 and _ends() is not None)


class _Reading(NamedTuple):
    """How files of tables are read: what is said of them, and the words that the weights know."""

    label_column: str | None = None
    separator: str | None = None
    words: tuple[str, ...] | None = None


class _Given(NamedTuple):
    """Inputs and targets of a file, the words of its labels, and what there is to say."""

    x: Any
    t: Any
    words: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def _data(path: str, reading: _Reading, need_targets: bool = True) -> _Given:
    """Return the checked x and t of a file; those of .npy files unread."""
    if _is_text(path):
        if not _IS_TABLE:
            raise ValueError(f"{path}: is a table, but the data are {_described()}")
        return _table_data(path, reading, need_targets)
    if reading.separator is not None or reading.label_column is not None:
        raise ValueError(
            f"{path}: is no text, so it has neither separators nor a label column"
        )
    in_files = _is_mapped(path)
    arrays = _mapped(path) if in_files else _archive(path)
    if isinstance(arrays, np.ndarray):
        x, t = _array_data(arrays, path, need_targets)
    else:
        x, t = _named_data(arrays, path, need_targets)
    return _Given(
        *_checked_file(x, t, path, _PLACES, need_targets, in_files), reading.words or ()
    )


def _archive(path: str) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file; say what else a table's name has to end in."""
    try:
        return _read(path)
    except ValueError as error:
        if not _IS_TABLE or not os.path.isfile(path) or path.lower().endswith(".npz"):
            raise
        ends = f"{', '.join(_TABLE_SUFFIXES)}, each also with .gz"
        raise ValueError(f"{error}: a table's name ends in {ends}") from error


def _checked_file(
    x: Any,
    t: Any,
    path: str,
    places: _Places,
    need_targets: bool,
    in_files: bool = False,
) -> tuple[Any, Any]:
    """Return x and t as they are trained on, checked where they have been read."""
    try:
        if not need_targets:
            if not in_files:
                _checked_inputs(x, np.float32, places)
                x = _checked_inputs(x, np.float64, places)
            return x, None
        if _LABELS and in_files and _are_labels(t):
            files = _files_of(None, t)

            def prepared(part: np.ndarray, rows: Any) -> np.ndarray:
                return _one_hot(part, _RowPlaces(rows, files))

            t = _Prepared(t, prepared, _LABELS)
        elif _LABELS and not in_files:
            t = _one_hot(t, places)
        if in_files:
            _Arrays(x, t, np.float64)  # sees that the shapes are right
            return x, t
        _checked_data(
            x, t, np.float32, places
        )  # what is too large for training is found
        x, t = _checked_data(x, t, np.float64, places)
    except ValueError as error:
        raise _named(error, path) from error
    return x, t


def _named(error: ValueError, path: str) -> ValueError:
    """Return an error that names its file."""
    own = str(error)
    named = own.startswith((str(path), _shown(path)))
    return ValueError(own if named else f"{path}: {own}")


def _described() -> str:
    """Return the arrays of a network's data with their shapes."""
    shapes = (f"{name} ({', '.join(map(str, _SHAPES[name]))})" for name in _NAMES)
    return ", ".join(s.replace("(samples)", "(samples,)") for s in shapes)


# ---------------------------------------------------------------- arrays by name


def _array_data(array: np.ndarray, path: str, need_targets: bool) -> tuple[Any, Any]:
    """Return x and t of the one array of a .npy file: a table's columns, or the only array."""
    if not _IS_TABLE:
        return _named_data({os.path.basename(path)[:-4]: array}, path, need_targets)
    if array.ndim != 2:
        raise ValueError(f"{path}: must have rows and columns, not {array.shape}")
    layout = _layout()
    if array.shape[1] not in _table_widths(layout, need_targets):
        raise ValueError(f"{path}: {array.shape[1]} columns; expected {_columns()}")
    inputs = layout.inputs
    return array[:, :inputs], array[:, inputs:]


def _named_data(
    arrays: dict[str, np.ndarray], path: str, need_targets: bool
) -> tuple[Any, Any]:
    """Return x and t of arrays by name, t None where it may be missing."""
    x = _argument_in(arrays, INPUTS, path)
    return x, _argument_in(arrays, TARGETS, path) if TARGETS and need_targets else None


def _argument_in(arrays: dict[str, np.ndarray], names: Iterable[str], path: str) -> Any:
    """Return x or t among the arrays of a file: under its own name too, where it is one array."""
    found = {}
    for name in names:
        known = [own for own in (name, _label(name)) if own in arrays]
        if not known:
            listed = ", ".join(arrays) or "none"
            raise ValueError(f"{path}: holds no array {_label(name)}; it has {listed}")
        found[name] = arrays[known[0]]
    return found if len(found) > 1 else next(iter(found.values()))


# ---------------------------------------------------------------- tables


class _CellPlaces(_Places):
    """Names places in a table by the line and the column of its file, as editors count them."""

    def __init__(self, table: _Table) -> None:
        self.table = table

    def label_help(self) -> str:
        """Return which column looks like the labels."""
        return _column_help(self.table, _layout())

    def number(self, name: str, *place: int) -> str:
        """Return the row, and the column if there is one."""
        row, *rest = place
        columns = self.table.x_columns if name in INPUTS else self.table.t_columns
        then = f", column {columns[rest[0]]}" if rest else ""
        return f"row {self.table.lines[row]}{then}"


def _table_data(path: str, reading: _Reading, need_targets: bool) -> _Given:
    """Return x and t of a table."""
    layout = _layout()
    table = _read_table(
        path,
        layout,
        need_targets=need_targets,
        label_column=reading.label_column,
        separator=reading.separator,
        words=reading.words,
    )
    t, ends = table.t, _ends()
    if t is not None and layout.two and table.words and ends is not None:
        t = ends[0] + t * (ends[1] - ends[0])  # words are numbered from 0
    x, t = _checked_file(table.x, t, path, _CellPlaces(table), need_targets)
    warnings = _table_warnings(table, layout) if need_targets else []
    notes = (*table.notes, *(f"{path}: {warning}" for warning in warnings))
    return _Given(x, t, table.words, notes)


def _columns() -> str:
    """Return what the columns of a table are."""
    return _expected_columns(_layout())


def _are_labels(t: Any) -> bool:
    """Return whether targets are one number for each sample."""
    return bool(t.ndim == 1 or t.shape[1:] == (1,))


def _one_hot(t: np.ndarray, places: _Places = _PLACES) -> np.ndarray:
    """Return targets as they are, or whole-numbered labels as rows with a 1 at the label."""
    if not _are_labels(t) or _LABELS < 2:
        return t
    labels = t.reshape(-1)
    _require_numbers("t", labels.dtype)
    wrong = ~np.isin(labels, range(_LABELS))
    if wrong.any():
        where = places.number(_TARGET, int(np.flatnonzero(wrong)[0]), 0)
        found = f"{where} is {labels[wrong][0]}, not a label"
        hint = _label_help(labels, _LABELS) or places.label_help()
        raise ValueError(f"{found}: a whole number from 0 to {_LABELS - 1}{hint}")
    rows: np.ndarray = np.eye(_LABELS)[labels.astype(int)]
    return rows


# ---------------------------------------------------------------- pieces, standardised inputs


def _pieces(x: Any, t: Any, dtype: Any, path: str) -> Iterator[tuple[Any, Any]]:
    """Yield checked x and t in pieces that a network needs little memory for."""
    try:
        yield from _Arrays(x, t, dtype).pieces(1024)
    except ValueError as error:
        raise _named(error, path) from error


def _parts(x: Any, dtype: Any, path: str) -> Iterator[Any]:
    """Yield checked inputs in parts; one, where the outputs depend on all samples."""
    files, sizes = _files_of(x, None), dict[str, int]()
    check = partial(_unread, sizes=sizes, places=_RowPlaces((), files))
    try:
        x = _each_array(x, INPUTS, check)
    except ValueError as error:
        raise _named(error, path) from error
    samples = sizes["samples"]
    size = 1024 if IS_MEAN else samples
    for row in range(0, samples, size):
        rows = range(row, min(row + size, samples))
        part = _rows(x, INPUTS, rows, True)
        try:
            yield _checked_inputs(part, dtype, _RowPlaces(rows, files))
        except ValueError as error:
            raise _named(error, path) from error


def _standardised(x: Any, scaling: dict[str, np.ndarray]) -> Any:
    """Return x with the mean subtracted and divided by the deviation that the weights keep."""
    if not scaling:
        return x

    def scaled(part: np.ndarray, rows: Any = None) -> np.ndarray:
        own: np.ndarray = (part - scaling["mean"]) / scaling["deviation"]
        return own

    return _Prepared(x, scaled) if _in_file(x) else scaled(x)


def _scaling_of(parts: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the mean and the deviation of each input, the latter 1 where it never changes."""
    count, mean, squares = 0, np.array(0.0), np.array(0.0)
    low, high = np.array(math.inf), np.array(-math.inf)
    for part in parts:
        count += len(part)
        own = part.mean(axis=0)
        apart, share = own - mean, len(part) / count
        mean = mean + apart * share
        between = np.square(apart) * (len(part) * (1 - share))
        squares = squares + np.square(part - own).sum(axis=0) + between
        low = np.minimum(low, part.min(axis=0))
        high = np.maximum(high, part.max(axis=0))
    deviation = np.where(high > low, np.sqrt(squares / count), 1.0)
    return {"mean": mean, "deviation": deviation}
