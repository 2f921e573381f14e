"""Numbers at which a module is compared: parameters and data that lie in the domain of every function.

The first draws are those that suit nearly every network.  Where a function has no value there, inputs and
parameters are drawn from narrower ranges, all alike first, then each from its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from symbackprop.commands.comparison.reference import Arrays, Numbers, Reference
from symbackprop.commands.inputs import Array
from symbackprop.equations.model import SAMPLES_DRAWN, DataArray, Model
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.steps import Derived
from symbackprop.network.random_data import drawn, near_the_start, sample_noise

Bounds = tuple[float, float] | None

RANGES: tuple[Bounds, ...] = (None, (0.05, 0.95), (-0.9, 0.9), (0.1, 3.0), (1.05, 3.0), (-3.0, -0.05))
"""Where the numbers of an array without bounds are drawn; None for normal ones."""
_DRAWS = 20  # from normal numbers, at which a formula such as log(s) has a value in some draws only
_ROUNDS = 2
_LARGE = 100.0  # an error beyond which differences of it have too few digits left
_SMALLEST = 0.1  # parameters that small make no error smaller, and lie on the kink of |w|


class OutOfDomain(Exception):
    """No numbers were found at which the network has a value; the message says where it has none."""


@dataclass(frozen=True)
class Point:
    """Parameters and data of several rows, by the names of the equations."""

    parameters: Arrays
    data: Arrays


@dataclass(frozen=True)
class _Attempt:
    """How numbers are drawn: the range of each open array, and whether parameters are all positive."""

    seed: int
    ranges: tuple[Bounds, ...]
    positive: bool = False

    def others(self) -> Iterator[_Attempt]:
        """Yield the attempts in which one thing is drawn in another way."""
        for place in range(len(self.ranges)):
            for bounds in RANGES:
                ranges = (*self.ranges[:place], bounds, *self.ranges[place + 1 :])
                yield replace(self, ranges=ranges)
        yield replace(self, positive=not self.positive)


def drawn_point(derivation: Derived, seed: int = 0) -> tuple[Point, Reference]:
    """Return numbers at which E and its derivatives have values, and what evaluates the derivation.

    That is the equations as they stand, or their stable forms where only these have values.

    Raises:
        OutOfDomain: no attempt found any.
    """
    plain = _Search(derivation, seed)
    for search in (plain, _Search(derivation, seed, stable=True)):
        point = search.at_random() or search.one_by_one()
        if point is not None:
            assert search.reference is not None
            return point, search.reference
    raise OutOfDomain(plain.reason)


class _Search:
    """Looks for a point in the domain of a network, in so many attempts."""

    def __init__(self, derivation: Derived, seed: int, stable: bool = False) -> None:
        assert derivation.model is not None
        self.derivation, self.model, self.seed, self.stable = derivation, derivation.model, seed, stable
        self.reference: Reference | None = None
        self.reason = ""

    def at_random(self) -> Point | None:
        """Return the first point that suits, with all open arrays drawn alike."""
        count = len(_open(self.model))
        normal = (_Attempt(self.seed + number, (None,) * count) for number in range(_DRAWS))
        alike = (_Attempt(self.seed, (r,) * count, positive) for r in RANGES for positive in (False, True))
        for attempt in chain(normal, alike):
            point, numbers = self._tried(attempt)
            if numbers.is_finite:
                return point
            self.reason = self.reason or numbers.where_not_finite()
        return None

    def one_by_one(self) -> Point | None:
        """Change the range of one array after the other, as long as fewer functions leave their domain."""
        best = _Attempt(self.seed, (None,) * len(_open(self.model)))
        least = self._tried(best)[1].missing()
        for _ in range(_ROUNDS):
            for attempt in best.others():
                point, numbers = self._tried(attempt)
                if numbers.is_finite:
                    return point
                if (missing := numbers.missing()) < least:
                    best, least = attempt, missing
        return None

    def _tried(self, attempt: _Attempt) -> tuple[Point, Numbers]:
        data = _data(self.model, attempt)
        self.reference = self.reference or Reference(self.derivation, data, self.stable)
        return _settled(self.model, self.reference, data, attempt)


def _open(model: Model) -> list[DataArray]:
    """Return the inputs and targets whose numbers may be anything."""
    return [g for g in (*model.inputs, *model.targets) if g.is_unbounded and not g.integer]


def _data(model: Model, attempt: _Attempt) -> Arrays:
    generator = np.random.default_rng(attempt.seed)
    ranges = iter(attempt.ranges)
    found = {}
    for given in (*model.inputs, *model.targets):
        draw = model.draw(given)
        if given.is_unbounded and not given.integer:
            draw = replace(draw, bounds=next(ranges))
        found[given.name] = drawn(draw, generator)
    return found | sample_noise(model, generator, SAMPLES_DRAWN, model.sample_size)


def _settled(model: Model, reference: Reference, data: Arrays, attempt: _Attempt) -> tuple[Point, Numbers]:
    """Return parameters with which E is not large, where smaller ones help."""
    generator = np.random.default_rng(attempt.seed + 1)
    parameters = near_the_start(model, attempt.seed, generator)
    if attempt.positive:
        parameters = {name: np.abs(value) + 0.05 for name, value in parameters.items()}
    size = 1.0
    while True:
        point = Point({name: size * value for name, value in parameters.items()}, data)
        numbers = reference.numbers(point.parameters, data)
        if not np.isfinite(numbers.error) or abs(numbers.error) <= _LARGE or size <= _SMALLEST:
            return point, numbers
        size *= 0.5


def cut(model: Model, data: Mapping[str, Array], rows: int) -> Arrays:
    """Return the first rows of some data; what is about rows is about these: numbers, and later axes."""
    found = {}
    for given in (*model.inputs, *model.targets):
        axes = (*(SAMPLES,) * given.has_samples, *given.shape)
        array = data[given.name][tuple([slice(rows if n == SAMPLES else None) for n in axes])]
        names_rows = given.integer and any(n.has(SAMPLES) for n in given.places)
        found[given.name] = np.where(array >= 0, array % rows, array) if names_rows else array
    for noise in model.noise:
        found[noise.name] = data[noise.name][: rows if noise.has_samples else None]
    return found
