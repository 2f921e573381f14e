"""All comparisons of a module with its derivation, as a table of what is compared and by which function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType

import numpy as np

from symbackprop.commands.comparison import functions, training
from symbackprop.commands.comparison.cases import SINGLE, TOLERANCE, Case, Comparison, Tally, Wrong
from symbackprop.commands.comparison.drawing import OutOfDomain, drawn_point
from symbackprop.equations.steps import Derived
from symbackprop.pipeline import load

Row = tuple[str, Callable[[Case, Tally], None], float]
"""What a row of the table is about, the function that compares it, and the tolerance."""

_SAID: tuple[Row, ...] = (
    ("PARAMETER_SHAPES", functions.parameter_shapes, 0.0),
    ("constants", functions.constants, 0.0),
    ("initialize", functions.initialize, 0.0),
)
_FUNCTIONS: tuple[Row, ...] = (
    ("forward", functions.forward, TOLERANCE),
    ("loss", functions.loss, TOLERANCE),
    ("E", functions.error, TOLERANCE),
)
_DERIVATIVES: tuple[Row, ...] = (
    ("  differences of E", functions.differences, TOLERANCE),
    ("  far from 0", functions.far, 0.0),
    ("  in float32", functions.single, SINGLE),
)
_STEP: tuple[Row, ...] = (
    ("Trainer", training.keywords, 0.0),
    ("Trainer.step", training.steps, TOLERANCE),
    ("  fewer rows", training.short, TOLERANCE),
    ("  far from 0", training.far, 0.0),
    ("  in float32", training.single, SINGLE),
)
_RUNTIME: tuple[Row, ...] = (
    ("  clip_norm", training.clipped, TOLERANCE),
    ("  schedule", training.scheduled, TOLERANCE),
    ("  with_loss", training.without_loss, TOLERANCE),
    ("Trainer.fit", training.fit, TOLERANCE),
    ("  batches", training.batches, TOLERANCE),
    ("  its end", training.endings, 0.0),
    ("  wrong data", training.refused, 0.0),
    ("save, load", training.files, 0.0),
)


def check_module(
    module: ModuleType, derivation: Derived, seed: int = 0, expected: ModuleType | None = None
) -> list[Comparison]:
    """Compare a module with the numbers of a derivation: its functions, its steps, a short run.

    Of a module without a runtime what it has is compared.  ``expected`` is the module that this version
    generates, where it is at hand already.

    Raises:
        UnsupportedExpression: no module can be generated from the derivation.
    """
    expected = load(derivation) if expected is None else expected
    with np.errstate(all="ignore"):  # a number that is not finite is reported as a difference
        try:
            point, reference = drawn_point(derivation, seed)
        except OutOfDomain as error:
            return [Comparison("code", 0, np.inf, TOLERANCE, str(error), made=False)]
        case = Case(module, derivation, expected, point, reference, seed)
        return [_compared(case, *row) for row in _rows(case)]


def _rows(case: Case) -> Iterator[Row]:
    """Yield what is compared of a module."""
    yield from (*_SAID, *_FUNCTIONS)
    if case.model.use is not None:
        yield "loss_in_use", functions.loss_in_use, TOLERANCE
    if case.model.noise:
        yield "draw_noise", functions.noise, TOLERANCE
    for name in case.model.system.parameters:
        yield f"∂E/∂{name}", partial(functions.gradient, name=name), TOLERANCE
    if hasattr(case.module, functions.PRODUCT):
        yield functions.PRODUCT, functions.product, TOLERANCE
    yield from (*_DERIVATIVES, *_STEP)
    if case.is_bare:
        return
    if case.expected.WEIGHTED:
        yield "  weights", training.weighted, TOLERANCE
        yield "  clip_norm in float32", training.clipped_far, SINGLE
    if case.expected.DECAYING is not None:
        yield "  decayed state", training.subnormal, 0.0
    yield from _RUNTIME


def _compared(
    case: Case, subject: str, compare: Callable[[Case, Tally], None], tolerance: float
) -> Comparison:
    """Return a row; what the module raises is a finding about it."""
    tally = Tally()
    note, made = "", True
    try:
        compare(case, tally)
    except Wrong as error:
        note = str(error)
    except OutOfDomain as error:
        note, made = str(error), False
    except (Exception, SystemExit) as error:  # whatever the code of a module raises
        note = f"raises {type(error).__name__}: {error}"
    return Comparison(subject, tally.numbers, tally.difference, tolerance, _one_line(note), made)


def _one_line(text: str) -> str:
    return " ".join(text.split())
