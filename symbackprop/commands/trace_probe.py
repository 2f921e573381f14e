"""What E becomes when one component of a parameter moves: the numbers behind the slider of a page.

In go the numbers of a worked example, out come those of E at other values of a component, each from the
forward equations; the page multiplies the derivative by the move.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from html import escape

import numpy as np

from symbackprop.commands.trace_values import TraceValues

STEP = 0.05
"""The least move of a component."""
_STEPS = 10  # each way
_MOST = 16  # components that can be moved
_WORK = 1600  # components times samples: each is 20 passes forward
_EACH = 4  # components of one parameter
_DIGITS = 12  # of what E changes by, more than a page shows


def probe(trace: TraceValues, name: Callable[[str, tuple[int, ...]], str]) -> dict[str, object]:
    """Return the template context of the slider: its numbers as JSON, and the names of the components.

    Args:
        trace: the worked example.
        name: how a component of a parameter is written, as plain text.
    """
    most = max(1, min(_MOST, _WORK // trace.samples))
    components = list(itertools.islice(_components(trace), most))
    numbers = {
        "step": STEP,
        "digits": trace.digits,
        "components": [
            {
                "value": float(trace.numbers.values[parameter][place]),
                "slope": float(trace.gradients[parameter][place]),
                "changes": changes(trace, parameter, place),
            }
            for parameter, place in components
        ],
    }
    return {
        "probe": escape(json.dumps(numbers)) if components else "",
        "probed": [escape(name(*component)) for component in components],
    }


def _components(trace: TraceValues) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield components of parameters, the first few of each."""
    for parameter in trace.derivation.system.parameters:
        for place in itertools.islice(np.ndindex(*trace.numbers.values[parameter].shape), _EACH):
            yield parameter, place


def changes(trace: TraceValues, parameter: str, place: tuple[int, ...]) -> list[float | None]:
    """Return what E changes by for each move of a component, from the largest down to the largest up.

    It is None where E has no value there.
    """
    numbers = trace.numbers
    leaves = {name: array for name, array in numbers.values.items() if numbers.is_leaf(name)}
    found: list[float | None] = []
    for step in range(-_STEPS, _STEPS + 1):
        moved = np.array(leaves[parameter], dtype=float)
        moved[place] += step * STEP
        there = numbers.with_leaves({**leaves, parameter: moved}, numbers.sizes)
        there.run_forward()
        change = there.loss - trace.loss
        found.append(float(f"{change:.{_DIGITS}g}") if np.isfinite(change) else None)
    return found
