"""What was asked for: which derivatives a derivation leads to, first ones or second ones.

In go the ``Sentences`` of a derivation, out come sentences, and the rows of second derivatives.
"""

from __future__ import annotations

from collections.abc import Iterable

from sympy import Derivative, Expr

from symbackprop.document.blocks import ResultRow
from symbackprop.document.sentences import Sentences
from symbackprop.equations.steps import differentiated
from symbackprop.equations.system import Equation, indices_of, name_of


def sought(sentences: Sentences) -> str:
    """Return which derivatives were asked for, where that is not all parameters; else nothing."""
    derivation = sentences.derivation
    if derivation.second:
        return _second_sought(sentences)
    if not derivation.of:
        return ""
    results = (derivation.by_number[derivation.results[name]] for name in derivation.of)
    variables = (differentiated(step.lhs, derivation) for step in results)
    return _said(sentences, (Derivative(_loss(sentences), variable) for variable in variables))


def _second_sought(sentences: Sentences) -> str:
    """Return the second derivatives that were asked for, and that their order does not matter."""
    said = _said(sentences, (equation.lhs for equation in _second(sentences)))
    mixed = any(one != other for one, other in sentences.derivation.second)
    return said + sentences.say("backward.symmetric") + " " if mixed else said


def along(sentences: Sentences) -> str:
    """Return what the error is where it is the slope of another one along a vector."""
    system, model = sentences.system, sentences.derivation.model
    assert model is not None
    assert model.along is not None
    slope = _loss(sentences)
    reads = {name_of(read): read for read in system.reads(system.definitions[system.loss].rhs)}
    parts = [(name, reads[vector]) for name, vector in model.along.vectors.items()]
    variables = [system.quantities[name].at(indices_of(read)) for name, read in parts]
    return sentences.say(
        "error.along",
        slope=sentences.inline(slope),
        loss=sentences.inline(system.quantities[model.along.loss].symbol),
        vectors=sentences.from_to([sentences.inline(read) for _, read in parts]),
        derivatives=sentences.from_to([sentences.inline(Derivative(slope, each)) for each in variables]),
    )


def rows_of_second(sentences: Sentences) -> list[tuple[str, ResultRow]]:
    """Return the rows of the second derivatives in the table of all results, by their quantity."""
    cell, labels = sentences.style.cell, sentences.derivation.labels
    return [(e.name, ResultRow(f"({labels[e.name]})", cell(e.lhs), cell(e.rhs))) for e in _second(sentences)]


def _second(sentences: Sentences) -> Iterable[Equation]:
    definitions = sentences.system.definitions
    return [definitions[name] for name in sentences.derivation.second.values()]


def _said(sentences: Sentences, derivatives: Iterable[Expr]) -> str:
    shown = sentences.listed(map(sentences.inline, derivatives))
    return sentences.say("backward.sought", derivatives=shown) + " "


def _loss(sentences: Sentences) -> Expr:
    return sentences.system.quantities[sentences.system.loss].symbol
