"""The comments over statements: the equation that each carries out, as the derivation prints it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from functools import cached_property, partial

from symbackprop.code.layout import COLUMNS
from symbackprop.code.lines import Comments
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import Equation
from symbackprop.printing.layers import AnyLayer
from symbackprop.printing.notation import notation_for
from symbackprop.printing.printer import Printer
from symbackprop.printing.text import TextPrinter


class EquationComments:
    """The equations of a derivation as comment lines, by their numbers.

    One of any layer that takes several lines is written out where it is asked for first; then it is cited by
    its numbers and its left side.
    """

    def __init__(self, derivation: Derived) -> None:
        self.derivation = derivation
        self.printer = TextPrinter(notation_for(derivation, "layered"))
        self.layers = AnyLayer(derivation, self.printer)
        self.defined_by = {number: name for name, number in derivation.labels.items()}
        self._comments: dict[int, list[str]] = {}
        self._general: dict[int, Printer] = {}
        self._general_comments: dict[tuple[int, int], list[str]] = {}
        self.comments = Comments(self.one, self.any)
        self.of_functions = Comments(self.one, partial(self.any, columns=COLUMNS - 8))

    def one(self, number: int) -> list[str]:
        """Return an equation with its number as comment lines."""
        if number not in self._comments:
            self._comments[number] = wrapped(f"({number}) {self._printed(number)}", COLUMNS - 8)
        return self._comments[number]

    def any(self, first: int, last: int, columns: int = COLUMNS - 12) -> list[str]:
        """Return the equation of any of the layers from that of ``first`` on as comment lines."""
        if (first, last) not in self._general_comments:
            left, right = self._printed_for_any(first, last)
            numbers = f"({first}), …, ({last}) {left}"
            whole = f"{numbers} = {right}"
            again = whole if len(wrapped(whole, COLUMNS - 12)) == 1 else numbers
            self._general_comments[first, last] = wrapped(again, COLUMNS - 12)
            return wrapped(whole, columns)
        return self._general_comments[first, last]

    def _printed_for_any(self, first: int, last: int) -> tuple[str, str]:
        """Return the sides of the equation of some layers for any of them, with the document's letters.

        There the first layer that is alike gives the letters; of results, told from the error inwards, it
        is the last one, where all steps to it are alike.  One that reads an input in place of what is handed
        on to the others is not.
        """
        system, steps = self.derivation.system, self._steps_like(first)
        ends = [layer for number in (first, last) if (layer := system.layer(self._topic(number))) is not None]
        inwards = first in self.derivation.results.values()
        layer, end, towards = (max(ends), min(ends), 1) if inwards else (min(ends), max(ends), -1)
        told = self._told if inwards else {n: [step] for n, step in steps.items()}
        while layer != end and not self.layers.are_same_up_to_layer(
            told[layer], told[layer - towards], -towards
        ):
            layer -= towards
        while self.layers.are_same_up_to_layer(told.get(layer + towards, ()), told[layer], -towards):
            layer += towards
        if layer not in self._general:
            self._general[layer] = self.layers.printer_of(layer)
        printer = self._general[layer]
        return printer.show(steps[layer].lhs), printer.show(steps[layer].rhs)

    @cached_property
    def _told(self) -> dict[int, list[Step]]:
        """The steps to all derivatives of a layer, by layer."""
        found: dict[int, list[Step]] = {}
        for step in self.derivation.steps:
            layer = self.derivation.system.layer(step.target)
            if layer is not None:
                found.setdefault(layer, []).append(step)
        return found

    def _topic(self, number: int) -> str:
        """Return the quantity that an equation or a step is about."""
        step = self.derivation.by_number.get(number)
        return self.defined_by[number] if step is None else step.target

    def _steps_like(self, number: int) -> dict[int, Step | Equation]:
        """Return the equations, the results or the steps for a batch of the same quantity, by layer."""
        derivation, roles = self.derivation, self.derivation.system.roles
        own = roles[self._topic(number)]
        if number in self.defined_by:
            steps: Iterable[tuple[str, Step | Equation]] = derivation.system.definitions.items()
        elif number in derivation.results.values():
            steps = ((name, derivation.by_number[n]) for name, n in derivation.results.items())
        else:
            is_batch = derivation.by_number[number].rule == "batch mean"
            group = derivation.batch if is_batch else derivation.stable
            steps = ((step.target, step) for step in group)
        like = ((roles[name], step) for name, step in steps if name in roles)
        return {role.layer: step for role, step in like if role.word == own.word}

    def _printed(self, number: int) -> str:
        step: Step | Equation | None = self.derivation.by_number.get(number)
        if step is None:
            step = self.derivation.system.definitions[self.defined_by[number]]
        right = "".join(self.layers.summed(step.rhs)) or self.printer.show(step.rhs)
        return f"{self.printer.show(step.lhs)} = {right}"


def wrapped(text: str, columns: int, following: str = "#     ") -> list[str]:
    """Return ``text`` as comment lines."""
    return textwrap.wrap(
        text,
        columns,
        initial_indent="# ",
        subsequent_indent=following,
        break_long_words=False,
        break_on_hyphens=False,
    )
