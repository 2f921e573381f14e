"""The arrays of inputs, targets and parameters: read from files, checked, or drawn.

In go a derivation and the user's arrays or files, out come arrays by the names of the equations.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from symbackprop.equations.model import DataArray, Model
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.steps import Derived
from symbackprop.errors import SpecificationError, excerpt, require, suggestion
from symbackprop.network.random_data import initial_values, rounded, sample_arrays, sample_noise

Array = NDArray[Any]
Data = ArrayLike | Mapping[str, ArrayLike] | None
"""Inputs or targets: an array, a dict by declared name where there are several, None for drawn ones."""

_DECIMALS = 2  # of drawn numbers: a person is to read them
_SAMPLES = 3  # that are drawn where the equations are about all samples at once
_TOLERANCE = 1e-6  # of a sum that the data must have


def read_arrays(path: str | Path) -> dict[str, Array]:
    """Return the arrays of an ``.npz`` file by name.

    Raises:
        SpecificationError: there is no such file, or it is none.
    """
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise SpecificationError(f"{path}: holds one array without a name; save it by numpy.savez")
        with found:
            return {name: found[name] for name in found.files}
    except SpecificationError:
        raise
    except FileNotFoundError:
        raise SpecificationError(f"{path}: there is no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SpecificationError(f"{path}: is no .npz file of numbers") from error


def data_in(arrays: Mapping[str, Array], model: Model, source: str) -> tuple[Data, Data]:
    """Return inputs and targets among the arrays of a file; one array of a kind may be called x or t."""
    known = {"x", "t", *(given.name for given in (*model.inputs, *model.targets))}
    for name in arrays:
        if name not in known:
            raise SpecificationError(
                f"{source}: {excerpt(name)} is no input or target; {_meant(name, known)}"
            )

    def of(kind: Sequence[DataArray], argument: str) -> Data:
        if not kind:
            return None
        found = {}
        for given in kind:
            names = (given.name, argument) if len(kind) == 1 else (given.name,)
            name = next((each for each in names if each in arrays), None)
            if name is None:
                raise SpecificationError(f"{source}: there is no array {names[-1]}")
            found[given.name] = arrays[name]
        return found

    return of(model.inputs, "x"), of(model.targets, "t")


class Leaves:
    """Collects the arrays of inputs, targets and parameters of a network, and finds the sizes on the way."""

    def __init__(self, derivation: Derived) -> None:
        self.derivation = derivation
        assert derivation.model is not None
        self.model = derivation.model
        self.sizes: dict[str, int] = dict(self.model.sizes)
        self._until_sizes_are_known: list[tuple[str, Array, Sequence[Any]]] = []
        constants = {c.name: c.value for c in self.model.constants if isinstance(c.value, tuple)}
        self.arrays: dict[str, Array] = {name: np.array(value) for name, value in constants.items()}

    def take_parameters(self, given: Mapping[str, ArrayLike] | None, seed: int) -> None:
        """Take the parameters, or draw those that a generated trainer starts with, rounded."""
        names = (*self.derivation.system.parameters, *self.model.states)
        if given is None:
            drawn = initial_values(self.model, seed, np.float64)
            given = {name: np.round(value, _DECIMALS) for name, value in drawn.items()}
        require("parameters", given, Mapping, "a dict")
        for name in given:
            if name not in names:
                hint = _meant(name, names)
                raise SpecificationError(f"parameters: {excerpt(str(name))} is no parameter; {hint}")
        for name in names:
            if name not in given:
                raise SpecificationError(f"parameters: {name} is missing")
            array = _numbers(f"parameters: {name}", given[name])
            self._fit(f"parameters: {name}", array, self.model.named.quantities[name].shape)
            self.arrays[name] = array

    def take_data(self, x: Data, t: Data, seed: int) -> None:
        """Take inputs and targets, or draw them; a single sample may come without the samples' axis."""
        if x is None or (t is None and self.model.targets):
            if x is not None or t is not None:
                raise SpecificationError("data: give both the inputs x and the targets t, or neither")
            x, t = self._drawn(seed)
        for argument, kind, given in (("x", self.model.inputs, x), ("t", self.model.targets, t)):
            self._take(argument, kind, given)
        waiting, self._until_sizes_are_known = self._until_sizes_are_known, []
        for label, array, shape in waiting:
            self._fit(label, array, shape)
        noise = sample_noise(self.model, np.random.default_rng(seed), self.sizes[SAMPLES.name], self._size)
        self.arrays.update(noise)

    def _take(self, argument: str, kind: Sequence[DataArray], given: Data) -> None:
        if not kind:
            if given is not None:
                raise SpecificationError("t: this network has no targets; leave it out")
            return
        arrays = given if isinstance(given, Mapping) else {kind[0].name: np.asarray(given)}
        names = [each.name for each in kind]
        if len(kind) > 1 and arrays is not given:
            raise SpecificationError(
                f"{argument}: there are several, {', '.join(names)}; give a dict of them"
            )
        for name in arrays:
            if name not in names:
                raise SpecificationError(
                    f"{argument}: {excerpt(str(name))} is unknown; {_meant(name, names)}"
                )
        for each in kind:
            if each.name not in arrays:
                raise SpecificationError(f"{argument}: {each.name} is missing")
            label = argument if len(kind) == 1 else f"{argument}: {each.name}"
            self.arrays[each.name] = self._checked(label, each, arrays[each.name])

    def _checked(self, label: str, given: DataArray, value: ArrayLike) -> Array:
        """Return an array of the data after seeing that it is as it must be."""
        array = _numbers(label, value)
        shape = (SAMPLES, *given.shape) if given.has_samples else given.shape
        if given.has_samples and array.ndim == len(given.shape):
            array = array[np.newaxis]
        self._fit(label, array, shape)
        if not array.size:
            raise SpecificationError(f"{label}: there are no numbers in it")
        if given.integer:
            if not np.equal(np.mod(array, 1), 0).all():
                raise SpecificationError(f"{label}: must hold whole numbers")
            count = min((self._size(n) for n in given.places if self._is_known(n)), default=None)
            least = given.least_place
            if count is not None and not ((array >= least) & (array < count)).all():
                raise SpecificationError(f"{label}: must lie between {least} and {count - 1}")
            return array.astype(np.int64)
        low = -np.inf if given.low is None else float(given.low)
        high = np.inf if given.high is None else float(given.high)
        if not ((array >= low) & (array <= high)).all():
            raise SpecificationError(f"{label}: must lie between {low:g} and {high:g}")
        if given.total is not None and self.derivation.used_facts:
            wrong = np.abs(array.sum(axis=given.total_axis) - float(given.total)).max()
            if wrong > _TOLERANCE:
                raise SpecificationError(f"{label}: the numbers of each sample must add up to {given.total}")
        return array.astype(float)

    def _fit(self, label: str, array: Array, shape: Sequence[Any]) -> None:
        """See that an array has a shape; a size that has no number yet gets the one of the array."""
        wanted = ", ".join(str(self.sizes.get(str(n), n)) for n in shape)
        problem = f"{label}: has shape {array.shape}, not ({wanted}{',' if len(shape) == 1 else ''})"
        if array.ndim != len(shape):
            raise SpecificationError(problem)
        for n, extent in zip(shape, array.shape, strict=True):
            if n.is_Symbol:
                self.sizes.setdefault(n.name, extent)
            if not self._is_known(n):  # P - U + 1, where a later array has P
                self._until_sizes_are_known.append((label, array, shape))
                return
            if self._size(n) != extent:
                raise SpecificationError(problem)

    def _is_known(self, n: Any) -> bool:
        return all(s.name in self.sizes for s in n.free_symbols)

    def _size(self, n: Any) -> int:
        return int(n.xreplace({s: self.sizes[s.name] for s in n.free_symbols if s.name in self.sizes}))

    def _drawn(self, seed: int) -> tuple[Data, Data]:
        """Return a seeded sample of short numbers; a few where the equations are about all at once."""
        count = 1 if self.model.per_sample else _SAMPLES
        drawn = sample_arrays(self.model, np.random.default_rng(seed), count)

        def short(kind: Iterable[DataArray]) -> dict[str, Array]:
            rows = {each.name: drawn[each.name][: count if each.has_samples else None] for each in kind}
            return {each.name: rounded(self.model.draw(each), rows[each.name], _DECIMALS) for each in kind}

        return short(self.model.inputs), short(self.model.targets) or None


def _numbers(label: str, value: ArrayLike) -> Array:
    """Return an array of finite real numbers."""
    try:
        array = np.asarray(value)
        plain = array.astype(float) if array.dtype.kind in "biuf" else None
    except (TypeError, ValueError):
        plain = None
    if plain is None:
        raise SpecificationError(f"{label}: must hold real numbers")
    if not np.isfinite(plain).all():
        raise SpecificationError(f"{label}: must hold finite numbers")
    return plain


def _meant(name: object, known: Iterable[str]) -> str:
    return suggestion(str(name), known)
