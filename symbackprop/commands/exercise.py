"""An exercise: the derivation with blanks, and its solution.

In go a ``Derived`` and the name of a format, out comes a text.  The blanks are the right sides of whole
groups of steps, few groups in which every rule occurs (with a sum and without), and all lines that repeat
an answer; the sentences stay as hints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sympy import Sum, Symbol

from symbackprop.document.blocks import Group, ResultRow, StepBlock
from symbackprop.document.language.catalogues import CATALOGUES
from symbackprop.document.printable import Printable
from symbackprop.document.render import render
from symbackprop.document.sentences import Sentences
from symbackprop.equations.steps import Derived, Step
from symbackprop.network.network import Network
from symbackprop.pipeline import derive

_UNKNOWN = Symbol("?")
"""What stands in place of a right side."""


@dataclass(frozen=True)
class Exercise(Printable):
    """A derivation with blanks: ``blanks`` holds the number of each step whose right side is left out."""

    derivation: Derived
    blanks: tuple[int, ...]

    def _rendered(self, form: str, notation: str | None, fragment: bool, language: str) -> str:
        return render(
            self.derivation,
            form,
            title=CATALOGUES[language]["exercise.title"].format(title=self.derivation.title),
            notation=notation,
            fragment=fragment,
            language=language,
            instead=lambda sentences: _Sheet(self, sentences).context(),
        )


def exercise(network: Network | Derived) -> Exercise:
    """Return an exercise on the derivation of a network; equal input gives the same blanks."""
    derivation = network if isinstance(network, Derived) else derive(network)
    return Exercise(derivation, _blanks(derivation))


def _blanks(derivation: Derived) -> tuple[int, ...]:
    """Return the steps to leave out: those of the chosen groups, and others that would give them away."""
    groups = derivation.steps_to
    chosen: list[str] = []
    left = {_skill(step) for step in derivation.steps}
    while left:  # the group that practises most of the skills left; the first of equals
        best = max(groups, key=lambda name: len(left & set(map(_skill, groups[name]))))
        chosen.append(best)
        left -= set(map(_skill, groups[best]))
    found = {step.number for name in chosen for step in groups[name]}
    # a step that writes the same out once more, or the mean of it, would give it away
    found |= {step.number for step in derivation.steps if step.rule == "substitution"}
    found |= {step.number for step in derivation.batch if step.target in chosen}
    found |= {step.number for step in derivation.batch[-1:]}
    return tuple(sorted(found))


def _skill(step: Step) -> tuple[str, bool]:
    """Return the skill that a step practises: its rule, and whether there is a sum in it."""
    return step.rule, step.rhs.has(Sum)


class _Sheet:
    """The sheet and the solution, as the templates read them."""

    def __init__(self, exercise: Exercise, sentences: Sentences) -> None:
        self.derivation = exercise.derivation
        self.style = sentences.style
        self.sentences = sentences
        self.position = {number: n for n, number in enumerate(exercise.blanks, start=1)}

    def context(self) -> dict[str, object]:
        """Return the template context that replaces the derivation's sections."""
        sentences, say = self.sentences, self.sentences.say
        columns = ResultRow(say("exercise.blank"), say("heading.derivative"), say("heading.formula"))
        head, *rows = self.style.table([columns, *self._solution()])
        return {
            "given": [say("exercise.introduction", count=str(len(self.position))), *sentences.given()],
            "groups": [
                Group(self.style.heading(steps[0].lhs), tuple(self._with_blanks(steps)))
                for steps in self.derivation.steps_to.values()
            ],
            "stable": sentences.explained(self._stable_forward()),
            "batch": list(self._with_blanks(self.derivation.batch)),
            "initial": [],
            "update": [],
            **dict.fromkeys(("trainer", "trainer_introduction"), ()),
            "results_heading": say("exercise.solution"),
            "results_columns": head,
            "results": rows,
        }

    def _stable_forward(self) -> list[Step]:
        """Return the stable forms of equations, which steps cite; those of derivatives are answers."""
        given = set(self.derivation.labels.values())
        return [step for number, step in self.derivation.stable_form_of.items() if number in given]

    def _with_blanks(self, steps: Sequence[Step]) -> Iterator[StepBlock]:
        for step, explained in zip(steps, self.sentences.explained(steps), strict=True):
            if step.number in self.position:
                words = self.sentences.catalogue["exercise.mark"].format(number=self.position[step.number])
                formula = self.style.formula(step.lhs, _UNKNOWN, self.style.words(words))
                explained = replace(explained, formula=formula, before="")
            yield explained

    def _solution(self) -> Iterator[ResultRow]:
        """Yield a row for each blank: its number, that of the equation, and both sides."""
        for number, position in self.position.items():
            step = self.derivation.by_number[number]
            label = f"{position} ({number})"
            yield ResultRow(label, self.style.cell(step.lhs), self.style.cell(step.rhs))
