"""What a comparison is given, and how it counts: a module, the numbers it is to give, the differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from symbackprop.commands.comparison.drawing import Point, cut
from symbackprop.commands.comparison.reference import Arrays, Numbers, Reference
from symbackprop.commands.inputs import Array
from symbackprop.equations.model import SAMPLES_DRAWN, Model
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.steps import Derived
from symbackprop.numbers.self_test import drawn_noise

TOLERANCE = 1e-6
"""Largest accepted difference, relative to the size of the number."""
SINGLE = 1e-3
"""The same for numbers that were computed in float32."""
FLOOR = 1e-3
"""The part of an array's largest number below which a difference counts as one of a number that large."""
LEAST = 1e-9
"""Beside this a number is 0."""
_ROUNDING = 1e-14
_LONG, _LARGE = 1000, 10**6  # equations to evaluate, and components of the parameters, that are many


class Wrong(Exception):
    """A module does something else than it says; the message is a clause of the table."""


@dataclass
class Tally:
    """How many numbers were compared, and the largest difference among them."""

    numbers: int = 0
    difference: float = 0.0

    def compare(self, found: ArrayLike, expected: ArrayLike, least: float = LEAST) -> None:
        """Compare two arrays, number by number, relative to what was expected.

        Raises:
            Wrong: their shapes differ.
        """
        first, second = np.asarray(found), np.asarray(expected)
        if first.shape != second.shape:
            raise Wrong(f"has the shape {first.shape}, not {second.shape}")
        if not second.size:
            return
        scale = np.abs(second)
        floor = max(least, FLOOR * float(scale.max()))
        differences = np.abs(first - second) / np.maximum(scale, floor)
        self.add(differences)

    def add(self, differences: ArrayLike) -> None:
        """Count relative differences; what is no number is infinite."""
        values = np.asarray(differences, float)
        self.numbers += values.size
        worst = float(values.max(initial=0.0))
        self.difference = max(self.difference, worst if worst == worst else np.inf)

    def require(self, holds: bool, otherwise: str) -> None:
        """Count one thing that holds.

        Raises:
            Wrong: it doesn't.
        """
        if not holds:
            raise Wrong(otherwise)
        self.numbers += 1


@dataclass(frozen=True)
class Comparison:
    """One row of the table.

    ``difference`` is the largest relative one of so many ``numbers``; ``note`` says in words what is wrong.
    A comparison that is not ``made`` has no outcome; its note says why.
    """

    subject: str
    numbers: int
    difference: float
    tolerance: float
    note: str = ""
    made: bool = True

    @property
    def holds(self) -> bool:
        """Whether the largest difference is within the tolerance; nan is not."""
        return self.made and not self.note and bool(self.difference <= self.tolerance)

    @property
    def verdict(self) -> str:
        """The last column of the row."""
        if not self.made:
            return self.note
        if self.holds:
            return "holds"
        return f"WRONG: {self.note}" if self.note else "WRONG"


@dataclass
class Case:
    """A module with everything that it is compared with.

    ``expected`` is the module that this version generates from the same derivation; what it says of the
    data, and nothing that it computes, is read.  ``point`` holds the numbers at which both are compared.
    """

    module: ModuleType
    derivation: Derived
    expected: ModuleType
    point: Point
    reference: Reference
    seed: int = 0
    _found: dict[int, Numbers] = field(default_factory=dict)
    _given: dict[int, tuple[Any, dict[str, Any]]] = field(default_factory=dict)

    @property
    def trained(self) -> Arrays:
        """The parameters of the point that have derivatives: no states."""
        return {name: self.point.parameters[name] for name in self.model.system.parameters}

    @property
    def model(self) -> Model:
        """The network."""
        return self.reference.model

    @cached_property
    def is_bare(self) -> bool:
        """Whether the module has no runtime: no files, no ``fit``."""
        trainer = getattr(self.module, "Trainer", None)
        return not any(
            hasattr(*each) for each in ((self.module, "save"), (trainer, "fit"), (trainer, "save"))
        )

    @cached_property
    def has_data_about_rows(self) -> bool:
        """Whether data name rows of their batch, or have a later axis of them: these can't be shuffled."""
        given = (*self.model.inputs, *self.model.targets)
        return any(n.has(SAMPLES) for each in given for n in (*each.places, *each.shape))

    def drawn_noise(self, generator: np.random.Generator, rows: int) -> Arrays:
        """Return the noise that the module draws for so many rows; the generator stays as it is."""
        if not self.model.noise:
            return {}
        return drawn_noise(self.get("draw_noise"), self.model, generator, rows)

    def with_noise_of(self, trainer: Any, data: Arrays) -> Arrays:
        """Return data with the noise that a trainer draws for its next step."""
        if not self.model.noise:
            return data
        return {**data, **self.drawn_noise(trainer.generator, self.reference.rows(data))}

    def noise_in(self, data: Arrays) -> dict[str, Arrays]:
        """Return the argument with the noise that is among some data."""
        return (
            {"noise": {each.name: data[each.name] for each in self.model.noise}} if self.model.noise else {}
        )

    def data(self, rows: int = SAMPLES_DRAWN) -> Arrays:
        """Return the first rows of the data."""
        return cut(self.model, self.point.data, rows)

    def numbers(self, rows: int = SAMPLES_DRAWN) -> Numbers:
        """Return the numbers of the derivation for these rows, at the parameters of the point."""
        if rows not in self._found:
            self._found[rows] = self.reference.numbers(self.point.parameters, self.data(rows))
        return self._found[rows]

    def nudged(self, rows: int) -> Numbers:
        """Return the numbers of the derivation where the last digits of the parameters are others."""
        return self.reference.numbers(self.with_other_digits(self.point.parameters), self.data(rows))

    def with_other_digits(self, parameters: Arrays) -> Arrays:
        """Return parameters of which the last digits are others."""
        generator = np.random.default_rng(self.seed)
        return {
            name: value * (1 + _ROUNDING * generator.normal(size=value.shape))
            for name, value in parameters.items()
        }

    @property
    def is_long(self) -> bool:
        """Whether as little is evaluated as will do, as it takes long."""
        numbers = sum(value.size for value in self.point.parameters.values())
        return self.reference.work > _LONG or numbers > _LARGE

    @cached_property
    def counts(self) -> list[int]:
        """The numbers of rows to compare with, all first: those at which the network has a value."""
        return [rows for rows in (SAMPLES_DRAWN, 1, 2) if self.numbers(rows).is_finite]

    def arguments(self, data: Mapping[str, Array]) -> tuple[Any, Any]:
        """Return x and t as the module's functions take them."""
        return self.reference.arguments(data)

    def call(self, name: str, parameters: Mapping[str, Array], *data: Any, **noise: Arrays) -> Any:
        """Return what a function of the module gives for copies of its arguments.

        Raises:
            Wrong: there is no such function, or it changed its arguments.
        """
        given = (dict(parameters), *data, noise)
        taken = copied(given)
        result = self.get(name)(*taken[:-1], **taken[-1])
        if not same(taken, given):
            raise Wrong(f"{name} changes its arguments")
        return result

    def outputs(self, parameters: Mapping[str, Array], x: Any) -> dict[str, Any]:
        """Return what the module's ``forward`` gives, by name."""
        found, names = self.call("forward", parameters, x), self.model.outputs
        if len(names) == 1:
            return {names[0]: found}
        if not isinstance(found, dict) or tuple(found) != names:
            raise Wrong(f"forward returns no dict of {', '.join(names)}")
        return found

    def gradients(self, rows: int = SAMPLES_DRAWN) -> tuple[Any, dict[str, Any]]:
        """Return what the module's ``gradients`` gives for the first rows at the point."""
        if rows not in self._given:
            data = self.data(rows)
            given = self.arguments(data)
            self._given[rows] = self.call("gradients", self.point.parameters, *given, **self.noise_in(data))
        return self._given[rows]

    def get(self, name: str) -> Callable[..., Any]:
        """Return a name of the module.

        Raises:
            Wrong: it has none such.
        """
        if not hasattr(self.module, name):
            raise Wrong(f"there is no {name}")
        found: Callable[..., Any] = getattr(self.module, name)
        return found


def copied(value: Any) -> Any:
    """Return copies of all arrays in tuples and dicts."""
    if isinstance(value, tuple):
        return tuple(map(copied, value))
    if isinstance(value, dict):
        return {name: copied(own) for name, own in value.items()}
    return np.array(value) if isinstance(value, np.ndarray) else value


def same(first: Any, second: Any) -> bool:
    """Whether two values made of tuples, dicts and arrays are the same, bit for bit."""
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(own, second[name]) for name, own in first.items())
    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        return np.asarray(first).dtype == np.asarray(second).dtype and np.array_equal(
            first, second, equal_nan=True
        )
    return bool(first == second)
