"""The errors of the package, carets, names that were probably meant, and arguments of wrong types.

What a message echoes may hold anything; `printable` escapes it, in the one place where messages are made.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from numbers import Integral, Real
from pathlib import Path
from typing import NoReturn, TypeVar

_Kind = TypeVar("_Kind")

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


class SelfTestFailure(_Told, AssertionError):
    """What was derived or generated is wrong, by our mistake; the message names the equation."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}; this is a mistake of symbackprop and not yours: please report it")


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that looks most like ``name``, or None when none is near."""
    found = difflib.get_close_matches(name[:200].lower(), sorted(candidates), n=1, cutoff=0.6)
    return found[0] if found else None


def suggestions(name: str, candidates: Iterable[str]) -> str:
    """Return the clause that helps with an unknown ``name``: the nearest ones first, then all, sorted."""
    known = sorted(candidates)
    by_lower = {each.lower(): each for each in reversed(known)}
    near = [by_lower[each] for each in difflib.get_close_matches(name[:200].lower(), by_lower)]
    every = "known are: " + ", ".join(known)
    if len(near) > 1:
        every = f"also near: {', '.join(near[1:])}; {every}"
    return f"did you mean '{near[0]}'? {every}" if near else every


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


# What the Python interface is given.


def require(
    subject: str, value: object, kinds: type[_Kind] | tuple[type[_Kind], ...], expected: str
) -> _Kind:
    """Return a value that is of one of the ``kinds``, which ``expected`` names.

    Raises:
        SpecificationError: it is not.
    """
    if not isinstance(value, kinds):
        raise SpecificationError(f"{subject}: expected {expected}, got {type(value).__name__}")
    return value


def require_text(subject: str, value: object) -> str:
    """Return a value that is a text."""
    return require(subject, value, str, "a text")


def require_known(subject: str, value: object, known: Collection[str]) -> str:
    """Return a value that is one of the names that are known."""
    name = require_text(subject, value)
    if name not in known:
        raise SpecificationError(f"{subject}: {excerpt(name)} is not known; {suggestion(name, known)}")
    return name


def require_flag(subject: str, value: object) -> bool:
    """Return a value that is True or False."""
    return require(subject, value, bool, "True or False")


def require_whole(subject: str, value: object) -> int:
    """Return a value that is a whole number, not below 0."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        _refuse(subject, value, "a whole number from 0")
    return int(value)


def require_within(subject: str, value: object, least: int, most: int) -> int:
    """Return a value that is a whole number between two others, or one of them."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not least <= int(value) <= most:
        _refuse(subject, value, f"a whole number from {least} to {most}")
    return int(value)


def require_positive(subject: str, value: object) -> float:
    """Return a value that is a finite number above 0."""
    number = math.nan
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    if not (math.isfinite(number) and number > 0):
        _refuse(subject, value, "a positive number")
    return number


def require_names(subject: str, value: object) -> tuple[str, ...]:
    """Return the names in one text or several, each with commas between them if need be."""
    texts = (value,) if isinstance(value, str) else value
    several = require(subject, texts, (Sequence, Set), "names, such as ('w1', 'b1')")
    names = (name.strip() for text in several for name in require_text(subject, text).split(","))
    return tuple(name for name in names if name)


def require_path(subject: str, value: object) -> Path:
    """Return the path that a text or a path names."""
    if not isinstance(value, str | Path):
        raise SpecificationError(f"{subject}: expected a path, got {type(value).__name__}")
    return Path(value)


def require_mapping(subject: str, value: Mapping[str, _Kind] | None) -> dict[str, _Kind]:
    """Return what a mapping with texts as its keys holds; None holds nothing."""
    if value is None:
        return {}
    require(subject, value, Mapping, "a dict")
    return {require_text(f"{subject}: a key", key): each for key, each in value.items()}


def _refuse(subject: str, value: object, expected: str) -> NoReturn:
    """Raise the error that names what was given: a number of a common length by its value, else the type."""
    short = isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**20)
    given = repr(value) if short else type(value).__name__
    raise SpecificationError(f"{subject}: expected {expected}, got {given}")
