"""The numbers of a worked example, and one step of an optimiser in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from symbackprop.commands.inputs import Array
from symbackprop.commands.update_values import Number, default_values, updated_values
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import name_of
from symbackprop.errors import SpecificationError
from symbackprop.library.optimizers import OPTIMIZERS
from symbackprop.numbers.evaluation import Evaluation

DIGITS = 6
"""Significant digits of a printed number, unless told otherwise."""


@dataclass(frozen=True)
class Premature:
    """The outcome when each parameter moves as soon as its derivative is known.

    ``step`` is the first result that then reads new values, those of ``moved``; ``gradients`` are the
    derivatives found in this way, ``loss_after`` is E after the step.  ``loss_repeated`` is E as it would be
    if, after ``moved``, the whole pass were repeated for the other parameters.
    """

    step: Step
    moved: tuple[str, ...]
    gradients: Mapping[str, Array]
    loss_after: float
    loss_repeated: float


@dataclass(frozen=True, repr=False)
class TraceValues:
    """The numbers of a derivation, before and after one step of training.

    ``numbers`` evaluates any step; ``gradients`` holds ∂E/∂parameter of the batch, ``updated`` the
    parameters after one step, ``loss`` and ``loss_after`` E before and after it.  ``premature`` is None
    where the order of the updates makes no difference.  ``digits`` are the significant ones that are printed.
    """

    derivation: Derived
    numbers: Evaluation
    after: Evaluation
    gradients: Mapping[str, Array]
    updated: Mapping[str, Array]
    learning_rate: float
    frozen: tuple[str, ...]
    premature: Premature | None = field(default=None)
    digits: int = DIGITS

    @property
    def loss(self) -> float:
        """E of the batch before the step."""
        return self.numbers.loss

    @property
    def loss_after(self) -> float:
        """E of the batch after the step."""
        return self.after.loss

    @property
    def samples(self) -> int:
        """The number of samples."""
        return self.numbers.sizes[SAMPLES.name]

    def __getitem__(self, number: int) -> Array:
        """Return the numbers of the step of that number, with an axis for each index on its left.

        The samples come first where the step is about one of them.
        """
        if number not in self.derivation.by_number:
            raise SpecificationError(f"there is no step {number}")
        return self.numbers.of_step(self.derivation.by_number[number])


def moved(derivation: Derived, value: Array, gradient: Array, rate: float) -> Array:
    """Return a parameter after the first step of the derivation's optimiser."""
    return np.asarray(first_update(derivation, value, gradient, rate)[name_of(derivation.update[-1].lhs)])


def first_update(derivation: Derived, value: Array, gradient: Array, rate: float) -> dict[str, Number]:
    """Return the values that the equations of the first step read and assign, by symbol name, in order."""
    name = derivation.optimizer
    given: dict[str, Number] = {"learning_rate": rate, "step": 1.0, "w": value, "g": gradient}
    start = dict.fromkeys(OPTIMIZERS[name].state, np.zeros_like(value))
    return updated_values(name, {**default_values(name), **given, **start})
