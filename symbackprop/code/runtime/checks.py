"""What parameters, inputs and targets have to be: numbers of their shapes and bounds."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from symbackprop.code.runtime.memory import _all_finite
from symbackprop.code.runtime.network import (
    BOUNDS,
    INPUTS,
    LEAST_PLACES,
    PARAMETER_SHAPES,
    STATE_SHAPES,
    TARGETS,
    TOTALS,
    WEIGHTED,
    WHOLE_NUMBERS,
)

_SHAPES: dict[str, tuple[int | str, ...]] = {**INPUTS, **TARGETS}
_KEPT_SHAPES: dict[str, Any] = {**PARAMETER_SHAPES, **STATE_SHAPES}
_ONE_INPUT = len(INPUTS) == 1
_ONE_TARGET = [shape[:1] for shape in TARGETS.values()] == [("samples",)]
_SHARED = {
    name for name, shape in _SHAPES.items() if shape[:1] != ("samples",)
}  # by all rows
# Data about rows of their own batch: their numbers name these, or a later axis has them.
_ABOUT_ROWS = [
    *(name for name, sizes in WHOLE_NUMBERS.items() if "samples" in sizes),
    *(name for name, sizes in _SHAPES.items() if "samples" in sizes[1:]),
]


def _label(name: str) -> str:
    """Return what messages call an array: x or t where it is the only one of its kind."""
    return _argument(name) if len(INPUTS if name in INPUTS else TARGETS) == 1 else name


def _argument(name: str) -> str:
    return "x" if name in INPUTS else "t"


class _Places:
    """Names arrays, and numbers in them, in messages; knows what may help with labels."""

    def label_help(self) -> str:
        """Return what may help where labels are wrong."""
        return ""

    def array(self, name: str) -> str:
        """Return the name of an array."""
        return _label(name)

    def number(self, name: str, *place: int) -> str:
        """Return where a number stands in an array; rows are counted from 0."""
        if name in _SHARED:
            return f"{self.array(name)}: at {place}"
        row, *rest = place
        then = f", column {rest[0]}" if len(rest) == 1 else f", at {tuple(rest)}"
        return f"{self.array(name)}: row {row}{then if rest else ''}"


_PLACES = _Places()


def _samples_in(x: Any) -> int:
    """Return the number of samples of inputs."""
    return len(x[next(iter(INPUTS))]) if len(INPUTS) > 1 else len(x)


def _checked_inputs(x: Any, dtype: Any, places: _Places = _PLACES) -> Any:
    """Return the inputs as arrays; raise ValueError where they are none."""
    check = partial(_checked_array, dtype=dtype, sizes={}, places=places)
    return _each_array(x, INPUTS, check)


def _checked_data(x: Any, t: Any, dtype: Any, places: _Places = _PLACES) -> Any:
    """Return x and t as arrays; raise ValueError where they can't be trained on."""
    check = partial(_checked_array, dtype=dtype, sizes={}, places=places)
    return _each_of_both(x, t, check)


def _each_of_both(x: Any, t: Any, check: Callable[[str, Any], Any]) -> tuple[Any, Any]:
    """Return x and t, after a check of each array."""
    if t is not None and not TARGETS:
        raise ValueError("this network has no targets; t must be None")
    x = _each_array(x, INPUTS, check)
    return x, _each_array(t, TARGETS, check) if TARGETS else None


def _each_array(
    value: Any, names: dict[str, Any], check: Callable[[str, Any], Any]
) -> Any:
    """Return x or t after a check, as an array, or as a dict of arrays where there are several."""
    first = next(iter(names))
    if value is None:
        raise ValueError(f"{_argument(first)} is missing")
    if len(names) == 1:
        return check(first, value)
    if not isinstance(value, dict) or set(value) != set(names):
        raise ValueError(f"{_argument(first)} must be a dict of {', '.join(names)}")
    return {name: check(name, value[name]) for name in names}


def _checked_array(
    name: str, value: Any, dtype: Any, sizes: dict[str, int], places: _Places
) -> np.ndarray:
    """Return a value as an array that fits.

    A word in a shape stands for any size, the same wherever it stands; sizes keeps it.
    """
    value = _shaped(name, _numbers(places.array(name), value), sizes, places)
    if name in WHOLE_NUMBERS:
        return _checked_integers(name, value, sizes, places)
    with np.errstate(over="ignore", invalid="ignore"):
        # What is too large for the dtype becomes inf.
        cast: np.ndarray = value.astype(dtype, order="C", copy=False)
        finite = _all_finite(cast)
    if not finite:
        first = _first_place(~np.isfinite(cast))
        wrong = value[first]
        large = f", too large for {cast.dtype}" if np.isfinite(wrong) else ""
        raise ValueError(f"{places.number(name, *first)} is {wrong}{large}")
    _check_bounds(name, cast, places)
    _check_total(name, cast, places)
    return cast


def _numbers(label: str, value: Any) -> np.ndarray:
    """Return a value as an array of real numbers."""
    try:
        found: np.ndarray = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{label} must be an array, of rows of one length") from error
    _require_numbers(label, found.dtype)
    return found


def _require_numbers(label: str, dtype: np.dtype) -> None:
    if dtype.kind not in "fiub":
        raise ValueError(f"{label} must hold numbers, got {dtype}")


def _shaped(name: str, value: Any, sizes: dict[str, int], places: _Places) -> Any:
    """Return an array in its shape, a single target for each sample with a column or without."""
    shape, label = _SHAPES[name], places.array(name)
    if name in TARGETS and (shape, value.ndim) == (("samples", 1), 1):
        value = value.reshape(-1, 1)
    if name in TARGETS and shape == ("samples",) and value.shape[1:] == (1,):
        value = value.reshape(-1)
    known = [sizes.get(str(size), size) for size in shape]
    unequal = [
        (size, wanted, found)
        for size, wanted, found in zip(shape, known, value.shape, strict=False)
        if not isinstance(wanted, str) and wanted != found
    ]
    if len(known) != value.ndim or any(size != "samples" for size, *_ in unequal):
        told = zip(shape, known if unequal else shape, strict=True)
        wanted = ", ".join(str(s if s == "samples" else k) for s, k in told)
        wanted += "," if len(known) == 1 else ""
        raise ValueError(f"{label} must have shape ({wanted}), got {value.shape}")
    if unequal:
        _, rows, found = unequal[0]
        first = places.array(next(iter(INPUTS)))
        raise ValueError(
            f"{first} has {rows} rows and {label} has {found}; they must be equal"
        )
    if 0 in value.shape:
        raise ValueError(
            f"{label} has no rows" if not len(value) else f"{label} is empty"
        )
    sizes.update(
        (s, found)
        for s, found in zip(shape, value.shape, strict=True)
        if isinstance(s, str)
    )
    return value


def _checked_integers(
    name: str, value: np.ndarray, sizes: dict[str, int], places: _Places
) -> np.ndarray:
    """Return an array of whole numbers that are places in axes of known sizes, or -1 for none."""
    counts = [sizes.get(str(size), size) for size in WHOLE_NUMBERS[name]]
    count = min((n for n in counts if isinstance(n, int)), default=None)
    least = LEAST_PLACES.get(name, 0)
    wrong = value != np.floor(value)
    if count is not None:
        wrong |= (value < least) | (value >= count)
    if wrong.any():
        first = _first_place(wrong)
        allowed = "" if count is None else f" from {least} to {count - 1}"
        found = f"{places.number(name, *first)} is {value[first]:g}"
        raise ValueError(f"{found}, not a whole number{allowed}")
    return value.astype(np.int64)


def _check_bounds(name: str, value: np.ndarray, places: _Places) -> None:
    """Raise ValueError where a number is out of its bounds."""
    low, high = BOUNDS.get(name, (None, None))
    wrong = np.zeros(value.shape, bool)
    if low is not None:
        wrong |= value < low
    if high is not None:
        wrong |= value > high
    if wrong.any():
        first = _first_place(wrong)
        allowed = (
            f"must not be above {high}"
            if low is None
            else f"must not be below {low}"
            if high is None
            else f"must lie in [{low}, {high}]"
        )
        what = "the target" if name in TARGETS else "the input"
        found = f"{places.number(name, *first)} is {value[first]}"
        raise ValueError(f"{found}; {what} {allowed}")


def _check_total(name: str, value: np.ndarray, places: _Places) -> None:
    """Raise ValueError where the numbers along an axis do not add up to their total."""
    if name not in TOTALS:
        return
    total, axis = TOTALS[name]
    totals = value.sum(axis=axis, dtype=np.float64)
    wrong = np.abs(totals - total) > 8 * value.shape[axis] * np.finfo(value.dtype).eps
    if wrong.any():
        first = _first_place(wrong)
        found = round(float(totals[first]), 8)
        where = places.number(name, *first)
        raise ValueError(f"{where} adds up to {found}, not to {total}")


def _first_place(wrong: np.ndarray) -> tuple[int, ...]:
    """Return the first place at which an array of truth values is true."""
    return tuple(int(n) for n in np.argwhere(wrong)[0])


def _checked_weights(weights: Any, samples: int, dtype: Any) -> np.ndarray | None:
    """Return weights as an array of one number for each sample, or None."""
    if weights is None:
        return None
    if not WEIGHTED:
        raise ValueError(
            "this network takes no weights of samples: its errors are no rows"
        )
    column: np.ndarray = np.asarray(weights)
    if column.dtype.kind not in "fiub" or column.shape != (samples,):
        raise ValueError(f"weights must be {samples} numbers, got shape {column.shape}")
    wrong = ~(np.isfinite(column) & (column >= 0))
    if wrong.any():
        row = np.flatnonzero(wrong)[0]
        raise ValueError(f"weights: row {row} is {column[row]}; it must be 0 or more")
    return column.astype(dtype)


def _checked(parameters: Any) -> dict[str, np.ndarray]:
    """Return the parameters as floating-point arrays; raise ValueError where one is wrong."""
    if not hasattr(parameters, "keys") or set(parameters) != set(_KEPT_SHAPES):
        raise ValueError(f"the parameters must be {', '.join(_KEPT_SHAPES)}")
    return {name: _checked_parameter(name, parameters[name]) for name in _KEPT_SHAPES}


def _checked_parameter(name: str, value: Any, dtype: Any = None) -> np.ndarray:
    """Return a parameter as an array of floating-point numbers, a copy where a dtype is given."""
    found = _numbers(name, value)
    if found.shape != _KEPT_SHAPES[name]:
        wanted = _KEPT_SHAPES[name]
        raise ValueError(f"{name} must have shape {wanted}, got {found.shape}")
    with np.errstate(over="ignore"):  # what is too large for the dtype becomes inf
        if dtype is not None or found.dtype.kind != "f":
            found = found.astype(dtype or np.float64)
    if not np.isfinite(found).all():
        where = "" if dtype is None else f" in {found.dtype}"
        raise ValueError(f"{name} holds a number that is not finite{where}")
    return found


def _parameters_in(arrays: dict[str, np.ndarray], path: Any) -> dict[str, np.ndarray]:
    """Return the parameters among the arrays of a file."""
    missing = [name for name in _KEPT_SHAPES if name not in arrays]
    if missing:
        kind = "state" if missing[0] in STATE_SHAPES else "parameter"
        raise ValueError(f"{path}: holds no {kind} {missing[0]}")
    try:
        return _checked({name: arrays[name] for name in _KEPT_SHAPES})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


_STANDARDIZES = (
    _ONE_INPUT
    and not (set(INPUTS) & set(WHOLE_NUMBERS))
    and next(iter(INPUTS.values()))[0] == "samples"
    and all(isinstance(size, int) for size in next(iter(INPUTS.values()))[1:])
)


def _beside(name: str) -> str:
    """Return the name in a file of what is kept beside parameters of any name."""
    return f"state.{name}" if name in _KEPT_SHAPES else name


def _scaling_in(arrays: dict[str, np.ndarray], path: Any) -> dict[str, np.ndarray]:
    """Return the mean and deviation of the inputs where a file keeps them."""
    if not _STANDARDIZES:
        return {}
    shape = next(iter(INPUTS.values()))[1:]
    names: tuple[str, ...] = ("mean", "deviation")
    found = {n: arrays[_beside(n)] for n in names if _beside(n) in arrays}
    for name, value in found.items():
        fits = value.shape == shape and value.dtype.kind == "f"
        fits = fits and (name == "mean" or bool((value > 0).all()))
        if len(found) < 2 or not fits or not np.isfinite(value).all():
            raise ValueError(f"{path}: {name} does not fit the inputs")
    return found


def _words_in(arrays: dict[str, np.ndarray], path: Any) -> tuple[str, ...]:
    """Return the labels that are words where a file keeps them, in order of their numbers."""
    words = arrays.get(_beside("words"), np.array((), str))
    if words.ndim != 1 or words.dtype.kind != "U":
        raise ValueError(f"{path}: words does not hold labels")
    return tuple(map(str, words))


def _mean(values: list[float], counts: list[int]) -> float:
    """Return the mean of values that stand for so many samples each."""
    samples = sum(counts)
    return math.fsum(
        value * (count / samples) for value, count in zip(values, counts, strict=True)
    )
