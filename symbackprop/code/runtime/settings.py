"""The hyper-parameters of a trainer: which there are, and what they may be."""

import inspect
import math
from typing import Any

import numpy as np

from symbackprop.code.runtime.network import HYPERPARAMETERS
from symbackprop.code.runtime.tables import _nearest_text

_BELOW_ONE = ("momentum", "rho", "beta1", "beta2")
_ABOVE_ZERO = ("learning_rate", "clip_norm")
_MEANINGS = {
    "learning_rate": "how far a step goes",
    "momentum": "how much of the last step the next one keeps, below 1",
    "rho": "how much of the mean square a step keeps, below 1",
    "beta1": "how much of the mean derivative a step keeps, below 1",
    "beta2": "how much of the mean square a step keeps, below 1",
    "epsilon": "keeps divisors from 0",
    "weight_decay": "how fast every parameter shrinks, times the learning rate",
}
_KEYWORDS: dict[str, Any] = {
    **HYPERPARAMETERS,
    "batch_size": 32,
    "seed": None,
    "schedule": None,
    "clip_norm": None,
}


def _signature(first: inspect.Signature) -> inspect.Signature:
    """Return a signature with the keywords of this module in place of `**keywords`."""
    positional = [
        parameter
        for parameter in first.parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        for name, default in _KEYWORDS.items()
    ]
    return first.replace(parameters=[*positional, *own])


def _settings(keywords: dict[str, Any]) -> dict[str, Any]:
    """Return every keyword with its value or default; raise where one is unknown."""
    for name in keywords:
        if name not in _KEYWORDS:
            hint = _nearest_text(name, _KEYWORDS)
            raise TypeError(f"Trainer has no keyword {name!r}{hint}")
    return {**_KEYWORDS, **keywords}


def _number(name: str, value: Any) -> float:
    """Return a hyper-parameter as a float; raise ValueError where it can't work."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    low = number > 0 if name in _ABOVE_ZERO else number >= 0
    if not (low and number < (1 if name in _BELOW_ONE else math.inf)):
        positive = "a positive number" if name in _ABOVE_ZERO else "a number from 0"
        limit = ", below 1" if name in _BELOW_ONE else ""
        raise ValueError(f"{name} is {value!r}; it must be {positive}{limit}")
    return number


def _require_normal(name: str, value: float, dtype: np.dtype) -> None:
    """Raise ValueError where what keeps divisors from 0 is next to 0 in the dtype."""
    least = np.finfo(dtype).tiny
    if 0 < value < least:
        hint = f"it must be at least {least:.1e}, or the parameters be float32"
        raise ValueError(f"{name} is {value:g}, too small for {dtype}: {hint}")


def _whole(name: str, value: Any, least: int) -> int:
    """Return a whole number; raise ValueError where it is none."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from {least}")
    return int(value)


def _factor(schedule: Any, steps: int) -> float:
    """Return what a schedule multiplies the learning rate by after so many steps."""
    if schedule is None:
        return 1.0
    name, *values = schedule
    if name == "step":
        every, factor = values
        return float(factor ** (steps // every))
    if name == "exponential":
        return float(values[0] ** steps)
    if name == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min(steps / values[0], 1)))
    if steps < values[0]:
        return float((steps + 1) / values[0])
    return _factor(values[1] if len(values) > 1 else None, steps - values[0])


_SCHEDULES = {
    "step": '("step", every, factor)',
    "exponential": '("exponential", factor)',
    "cosine": '("cosine", steps)',
    "warmup": '("warmup", steps), or with a third entry ("warmup", steps, schedule)',
}


def _checked_schedule(schedule: Any) -> tuple[Any, ...] | None:
    """Return a schedule; raise ValueError where it is not one of those `Trainer` names."""
    if schedule is None:
        return None
    listed = isinstance(schedule, (tuple, list)) and len(schedule) > 0
    name, *values = schedule if listed else (schedule,)
    if not isinstance(name, str) or name not in _SCHEDULES:
        known = ", ".join(_SCHEDULES)
        raise ValueError(f"schedule {schedule!r} is not known; known are {known}")
    after = []
    if name == "warmup" and len(values) == 2:
        after = [_checked_schedule(values.pop())]
    kinds = (int, float, np.integer, np.floating)
    numbers = all(isinstance(value, kinds) and value is not True for value in values)
    if not (
        numbers
        and len(values) == (2 if name == "step" else 1)
        and all(0 < value < math.inf for value in values)
        and (name not in ("step", "exponential") or values[-1] <= 1)
    ):
        raise ValueError(
            f"schedule {schedule!r} must be {_SCHEDULES[name]}, of positive numbers, "
            "a factor at most 1"
        )
    return (name, *(float(value) for value in values), *after)
