"""The two errors of the package, their carets, and the suggestion of a name that was probably meant.

What a message echoes may hold anything; `printable` escapes it, in the one place where messages are made.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import NoReturn

_CONTEXT = 60
"""Characters of a text that are shown on each side of the place of a mistake."""


class _Told(Exception):
    """An error with a message of one or more lines, in which whatever is echoed is printable.

    Each argument is a line; a line break inside of one came with what is echoed, and is escaped as all that
    is not printable.
    """

    def __init__(self, *lines: object) -> None:
        super().__init__(*(printable(str(line)) for line in lines))

    def __str__(self) -> str:
        return "\n".join(self.args)


class SpecificationError(_Told, ValueError):
    """The user's input is wrong; the message says what, where, and what would be right."""


class UnsupportedExpression(_Told, NotImplementedError):
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
    """Return ``text`` with everything that is not printable escaped: what steers a terminal, turns the
    direction of writing round or is half a character, and line breaks."""
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
    raise SpecificationError(f"{subject}: {what}", f"  {before}{after}", f"  {' ' * len(before)}^")
