"""The two errors of the package, and the suggestion of a name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SpecificationError(ValueError):
    """The user's input is wrong; the message says what, where, and what would be right."""


class UnsupportedExpression(NotImplementedError):
    """The input is right, but the product can't do it yet; the message names the equation."""


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that looks most like ``name``, or None when none is near."""
    found = difflib.get_close_matches(name[:200].lower(), sorted(candidates), n=1, cutoff=0.6)
    return found[0] if found else None


def suggestion(name: str, candidates: Iterable[str]) -> str:
    """Return the clause of an error message that helps with an unknown ``name``."""
    known = sorted(candidates)
    guess = nearest(name, known)
    if guess is not None:
        return f"did you mean '{guess}'?"
    return "known are: " + ", ".join(known)


def excerpt(text: str, limit: int = 60) -> str:
    """Return ``text`` quoted for a message: one line, printable, and not longer than ``limit``."""
    shown = text if len(text) <= limit else text[: limit - 3] + "..."
    return "'" + "".join(c if c.isprintable() else ascii(c)[1:-1] for c in shown) + "'"
