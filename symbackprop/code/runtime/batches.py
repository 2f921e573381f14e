"""The data of a run: arrays in memory or in files, which are read by batches, or batches."""

import mmap
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from symbackprop.code.runtime.checks import (
    _ABOUT_ROWS,
    _SHARED,
    _checked_data,
    _checked_weights,
    _each_of_both,
    _label,
    _mean,
    _numbers,
    _Places,
    _require_numbers,
    _samples_in,
    _shaped,
)
from symbackprop.code.runtime.network import (
    INPUTS,
    IS_MEAN,
    TARGETS,
    WEIGHTED,
    WHOLE_NUMBERS,
    loss_in_use,
)


class _Arrays:
    """Samples in arrays; of those in files no more is read at once than is asked for."""

    def __init__(self, x: Any, t: Any, dtype: Any, weights: Any = None) -> None:
        self.in_files = _in_file(x) or _in_file(t)
        self.together = 1 if self.in_files else 8  # steps between two looks
        self.dtype = dtype
        if self.in_files:
            self.files, sizes = _files_of(x, t), dict[str, int]()
            check = partial(_unread, sizes=sizes, places=_RowPlaces((), self.files))
            self.x, self.t = _each_of_both(x, t, check)
            self.samples = sizes["samples"]
        else:
            self.x, self.t = _checked_data(x, t, dtype)
            self.samples = _samples_in(self.x)
        arrays = isinstance(self.x, np.ndarray) and not isinstance(self.t, dict)
        self.is_plain = arrays and not (self.in_files or _SHARED)
        self.weights = _checked_weights(weights, self.samples, dtype)

    def groups(self, trainer: Any) -> Iterator[list[np.ndarray]]:
        """Yield the rows of the batches of an epoch that are left, a few batches together."""
        if _ABOUT_ROWS:
            self._require_one_step(trainer)
        order = trainer._order
        if order is None or len(order) != self.samples:
            order = trainer._order = self._new_order(trainer)
            trainer._errors = []
        size = trainer.batch_size
        start = len(trainer._errors) * size
        for first in range(start, self.samples, self.together * size):
            last = min(first + self.together * size, self.samples)
            yield [order[row : row + size] for row in range(first, last, size)]

    def _require_one_step(self, trainer: Any) -> None:
        """See that all rows are one step, as data that are about rows can't be cut."""
        if self.samples <= trainer.batch_size:
            return
        if not trainer._takes_all:
            name = _ABOUT_ROWS[0]
            does = "names" if name in WHOLE_NUMBERS else "has an axis of the"
            named = f"{_label(name)} {does} rows of its own batch"
            more = f"{self.samples} rows are more than the batch_size, {trainer.batch_size}"
            raise ValueError(f"{named}, and {more}; make that larger, or give batches")
        trainer._make_room(self.samples)

    def _new_order(self, trainer: Any) -> np.ndarray:
        """Return the order of the rows in an epoch: as given where data are about rows."""
        if _ABOUT_ROWS:
            return np.arange(self.samples)
        order: np.ndarray = trainer.generator.permutation(self.samples)
        return order

    def batch(self, rows: np.ndarray) -> tuple[Any, ...]:
        """Return the arguments of a step on those rows."""
        if self.is_plain:
            t = None if self.t is None else self.t.take(rows, axis=0)
            part = self.x.take(rows, axis=0), t
        else:
            part = self._part(rows)
        return part if self.weights is None else (*part, self.weights[rows])

    def pieces(self, size: int) -> Iterator[tuple[Any, Any]]:
        """Yield x and t of so many samples after another; all at once where E is no mean."""
        size = size if IS_MEAN else self.samples
        for row in range(0, self.samples, size):
            yield self._part(range(row, min(row + size, self.samples)))

    def _part(self, rows: Any) -> tuple[Any, Any]:
        x = _rows(self.x, INPUTS, rows, self.in_files)
        t = _rows(self.t, TARGETS, rows, self.in_files)
        if self.in_files:
            x, t = _checked_data(x, t, self.dtype, _RowPlaces(rows, self.files))
        return x, t


class _Batches:
    """Batches that are given one after another; each is a step of its own."""

    together = 1

    def __init__(self, source: Any, dtype: Any, size: int | None = None) -> None:
        self.source, self.dtype, self.size = source, dtype, size
        self.passes = 0
        if not (_can_be_iterated(source) or callable(source)):
            kind = type(source).__name__
            raise ValueError(f"x must be an array or give batches, got {kind}")

    def groups(self, trainer: Any) -> Iterator[list[Any]]:
        """Yield the batches of an epoch that are left, each as a group of one."""
        if trainer._order is not None:  # what has begun is an epoch over arrays
            trainer._order, trainer._errors = None, []
        try:
            for batch in self._checked(len(trainer._errors)):
                yield [batch]
        except Exception:
            trainer._errors = []  # the next epoch begins with the first batch
            raise

    def batch(self, batch: Any) -> tuple[Any, ...]:
        """Return the arguments of a step."""
        return tuple(batch)

    def pieces(self, size: int) -> Iterator[tuple[Any, Any]]:
        """Yield x and t of each batch."""
        for x, t, *weights in self._checked():
            if weights:
                raise ValueError("batches to validate on have no weights")
            yield x, t

    def _checked(self, done: int = 0) -> Iterator[tuple[Any, ...]]:
        """Yield the checked batches of a pass but for those that are done."""
        number = 0
        for number, batch in enumerate(self._pass(), start=1):
            if number > done:
                try:
                    yield _checked_batch(batch, self.dtype, self.size)
                except ValueError as error:
                    raise ValueError(f"batch {number}: {error}") from error
        self.passes += 1
        if number == 0 and self.passes == 1:
            raise ValueError("there are no batches (a generator gives them only once)")
        if number == 0:
            raise ValueError(
                f"there are no batches for pass {self.passes}: what gives them can be iterated "
                "only once; give a list, an object whose __iter__ begins anew, or the "
                "function that makes a generator in place of the generator"
            )

    def _pass(self) -> Iterable[Any]:
        source: Any = self.source
        batches: Iterable[Any] = source if _can_be_iterated(source) else source()
        return batches


_Data = _Arrays | _Batches


def _data_of(
    x: Any, t: Any, dtype: Any, size: int | None = None, weights: Any = None
) -> _Data:
    """Return the data that `fit` is given, arrays or batches of at most that size."""
    if (
        TARGETS
        and t is not None
        and not (hasattr(t, "__len__") or _SHARED & set(TARGETS))
    ):
        raise ValueError(f"t is {t}; with batches the call is fit(batches, epochs={t})")
    if t is not None or (not TARGETS and not _are_batches(x)):
        return _Arrays(x, t, dtype, weights)
    if isinstance(x, dict) or hasattr(x, "__array__"):
        raise ValueError("t is missing")
    if weights is not None:
        raise ValueError("with batches, weights are the third entry of each batch")
    return _Batches(x, dtype, size)


def _validation_data(validation: Any, dtype: Any) -> _Data:
    """Return the data of a validation: a pair (x, t), or batches."""
    if _are_batches(validation):
        validation = validation, None
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise ValueError("validation must be a pair (x, t), or batches")
    try:
        x, t = validation
        return _data_of(x, t, dtype)
    except ValueError as error:
        raise ValueError(f"validation: {error}") from error


def _loss_over(parameters: dict[str, np.ndarray], data: _Data, size: int) -> float:
    """Return E over the data of a validation, in pieces of about that size."""
    errors, counts = [], []
    try:
        for x, t in data.pieces(max(size, 256)):
            errors.append(loss_in_use(parameters, x, t))
            counts.append(_samples_in(x))
    except ValueError as error:
        raise ValueError(f"validation: {error}") from error
    return _mean(errors, counts)


def _are_batches(value: Any) -> bool:
    """Return whether a value is no array: a list of tuples, or what gives them."""
    if isinstance(value, list):
        return all(isinstance(batch, tuple) for batch in value)
    arrays = isinstance(value, (tuple, dict)) or hasattr(value, "__array__")
    return not arrays and (_can_be_iterated(value) or callable(value))


def _can_be_iterated(value: Any) -> bool:
    return hasattr(value, "__iter__") or hasattr(value, "__getitem__")


def _checked_batch(batch: Any, dtype: Any, size: int | None) -> tuple[Any, ...]:
    """Return a batch as the arguments of a step; raise ValueError where it is none."""
    if not TARGETS and not isinstance(batch, (tuple, list)):
        batch = (batch, None)
    lengths = (2, 3) if WEIGHTED else (2,)
    if not isinstance(batch, (tuple, list)) or len(batch) not in lengths:
        pair = "(x, t)" if TARGETS else "x or (x, None)"
        raise ValueError(f"must be {pair}{' or (x, t, weights)' if WEIGHTED else ''}")
    x, t, *weights = batch
    x, t = _checked_data(x, t, dtype)
    samples = _samples_in(x)
    if size is not None and samples > size:
        raise ValueError(
            f"has {samples} rows; a step takes at most {size}, the batch_size of the trainer"
        )
    weights = [_checked_weights(w, samples, dtype) for w in weights if w is not None]
    return x, t, *weights


def _in_file(value: Any) -> bool:
    """Return whether an array, or one in a dict, is a view of a file."""
    if isinstance(value, dict):
        return any(map(_in_file, value.values()))
    while value is not None and not isinstance(value, (mmap.mmap, _Prepared)):
        value = getattr(value, "base", None)
    return value is not None


class _Prepared:
    """An array in a file, whose rows a function prepares when they are read."""

    def __init__(
        self,
        array: Any,
        prepare: Callable[[np.ndarray, Any], np.ndarray],
        columns: int | None = None,
    ) -> None:
        self.array, self.prepare = array, prepare
        self.filename = getattr(array, "filename", None)
        self.dtype = array.dtype
        self.shape = array.shape if columns is None else (len(array), columns)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: Any) -> np.ndarray:
        part = self.array[rows]
        if isinstance(rows, slice):
            rows = range(*rows.indices(len(self)))
        return self.prepare(part, rows)


def _unread(name: str, value: Any, sizes: dict[str, int], places: _Places) -> Any:
    """Return an array in its shape; one in a file stays there."""
    if not isinstance(value, (np.ndarray, _Prepared)):
        value = _numbers(places.array(name), value)
    _require_numbers(places.array(name), value.dtype)
    return _shaped(name, value, sizes, places)


def _rows(value: Any, names: Iterable[str], rows: Any, in_files: bool) -> Any:
    """Return some rows of an array, or of each array in a dict that has rows."""
    if isinstance(value, dict):
        return {
            name: own if name in _SHARED else _rows(own, (), rows, in_files)
            for name, own in value.items()
        }
    if value is None or (_SHARED and not _SHARED.isdisjoint(names)):
        return value
    if isinstance(rows, range):
        return value[rows.start : rows.stop]
    return value[rows] if in_files else value.take(rows, axis=0)


def _files_of(*arguments: Any) -> dict[str, str]:
    """Return the file of each array that is in one, by its name."""
    files = {}
    for value, names in zip(arguments, (INPUTS, TARGETS), strict=True):
        arrays = value if isinstance(value, dict) else dict.fromkeys(names, value)
        for name, own in arrays.items():
            if getattr(own, "filename", None) is not None:
                files[name] = _shown(own.filename)
    return files


def _shown(path: Any) -> str:
    """Return the name of a file in messages: from here on, where it is in this folder."""
    own, here = os.path.realpath(path), os.path.join(os.path.realpath("."), "")
    return own.removeprefix(here) if own != here else str(path)


class _RowPlaces(_Places):
    """Names places among some rows by those in the whole arrays, and these by their files."""

    def __init__(self, rows: Any, files: dict[str, str] | None = None) -> None:
        self.rows, self.files = rows, files or {}

    def array(self, name: str) -> str:
        """Return the name of an array, after that of its file."""
        return (
            f"{self.files[name]}: {_label(name)}"
            if name in self.files
            else _label(name)
        )

    def number(self, name: str, *place: int) -> str:
        """Return where a number stands in the whole array."""
        if name in _SHARED:
            return super().number(name, *place)
        return super().number(name, int(self.rows[place[0]]), *place[1:])
