"""The blocks that the templates of a document place: finished strings, and nothing else.

``note`` is a sentence before a formula, ``lines`` are sentences behind it; most have neither.  ``section`` is
the title of the section that begins there.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EquationBlock:
    """A numbered equation."""

    label: str
    formula: str
    note: str = ""
    lines: tuple[str, ...] = ()
    section: str = ""


@dataclass(frozen=True)
class StepBlock:
    """A numbered step: the rule, a sentence that explains it, and whether it ends in a result.

    ``before`` is a formula without a number that leads to that of the step.
    """

    label: str
    rule: str
    sentence: str
    formula: str
    result: bool
    note: str = ""
    lines: tuple[str, ...] = ()
    before: str = ""


@dataclass(frozen=True)
class Group:
    """The steps to one derivative."""

    heading: str
    steps: tuple[StepBlock, ...]
    note: str = ""
    lines: tuple[str, ...] = ()
    section: str = ""


@dataclass(frozen=True)
class ResultRow:
    """A result in the table of all results."""

    label: str
    derivative: str
    formula: str


@dataclass(frozen=True)
class Component:
    """What is told of one component that is chosen in the drawing: its result, and each way of its error."""

    id: str
    step: str
    result: EquationBlock
    note: str
    ways: tuple[str, ...]
