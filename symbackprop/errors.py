"""The two errors of the package, their carets, and the suggestion of a name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import NoReturn

_CONTEXT = 60
"""Characters of a text that are shown on each side of the place of a mistake."""


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
    return f"'{printable(shown)}'"


def printable(text: str) -> str:
    """Return ``text`` with everything that is not printable escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def fail_at(
    column: int, text: str, subject: str, problem: str, hint: str, show: Callable[[str], str] = printable
) -> NoReturn:
    """Raise the error that shows a ``problem`` with a caret under a column of ``text``, counted from 0.

    ``subject`` names the text in the message, and ``show`` makes a part of it fit to be shown.

    Raises:
        SpecificationError: always.
    """
    start, end = max(0, column - _CONTEXT), column + _CONTEXT
    before = ("..." if start else "") + show(text[start:column])
    after = show(text[column:end]) + ("..." if end < len(text) else "")
    what = f"{problem}; {hint}" if hint else problem
    raise SpecificationError(f"{subject}: {what}\n  {before}{after}\n  {' ' * len(before)}^")
