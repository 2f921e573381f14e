"""Exceptions that end a proof early: in goes the reason, out comes a counterexample or another point."""

from __future__ import annotations


class Unproved(Exception):
    """The step says something that cannot be true or cannot be read; the message is for people."""


class OutsideArray(Unproved):
    """A component of ``name`` is read that does not exist; beside a factor that is zero it need not."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message)
        self.name = name


class OutsideDomain(Exception):
    """An expression has no real value at the point.

    In go the expression and what is wrong with it: few of them are ever written as text, which takes long.
    """

    def __str__(self) -> str:
        return " ".join(map(str, self.args))
