"""Work on expressions without looking for garbage all the time."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLD = 1_000_000


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Look for garbage less often: expressions stay in use, and looking takes a fifth of the time."""
    before = gc.get_threshold()
    _raise_threshold()
    try:
        yield
    finally:
        gc.set_threshold(*before)


def collect_rarely_until_exit() -> None:
    """Look for garbage less often in the rest of the process, and not once more when it ends.

    That last look takes a third of an import of SymPy, and finds what the process leaves anyway.
    """
    _raise_threshold()
    atexit.register(gc.freeze)


def _raise_threshold() -> None:
    first, *others = gc.get_threshold()
    if first:  # 0: somebody has turned it off
        gc.set_threshold(max(first, _THRESHOLD), *others)
