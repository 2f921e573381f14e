"""The arithmetic of the proof: numbers of 80 digits, comparisons, and random numbers.

In goes a key, out comes a random number that the key alone fixes.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable
from typing import Any

from mpmath import MPContext

CONTEXT = MPContext()
CONTEXT.dps = 80  # 40 digits count, the others absorb cancellation
"""Calculates with all numbers of a proof."""

RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
"""SymPy's name of a relation -> the comparison of two numbers."""


def uniform(*key: object) -> Any:
    """Return a number in [0, 1) with 65 digits, fixed by ``key``."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=32).digest()
    return CONTEXT.ldexp(CONTEXT.mpf(int.from_bytes(digest[:27], "big")), -216)
