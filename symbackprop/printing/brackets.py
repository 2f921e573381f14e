"""How tightly a written expression holds together, and the brackets around parts that are too loose.

Formulas, matrices and code have these in common.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum


class Level(IntEnum):
    """How tightly a written expression holds together, from the loosest on."""

    RELATION = 0
    SUM = 1
    PRODUCT = 2
    FACTOR = 3  # may stand in a product, not under a power: -s, ∂E/∂s, Σ_i ..., a LaTeX fraction
    POWER = 4
    ATOM = 5


def in_brackets(inside: str) -> str:
    """Return ``inside`` in plain round brackets."""
    return f"({inside})"


def closed(text: str, level: Level, least: Level, bracket: Callable[[str], str] = in_brackets) -> str:
    """Return the ``text`` of an expression of a ``level``, with brackets unless it is ``least`` or more."""
    return text if level >= least else bracket(text)
