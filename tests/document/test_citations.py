"""What a module cites is in its document, and what a document prints is the step that is proved."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

import symbackprop as sb
from symbackprop.document.language.english import ENGLISH
from symbackprop.document.printable import TEXT_FORMATS
from symbackprop.document.render import format_named, render
from symbackprop.document.sentences import Sentences
from symbackprop.equations.steps import Derived
from symbackprop.printing.notation import notation_for
from tests.networks import equations

FORMS = TEXT_FORMATS
NETWORKS: dict[str, Callable[[], Derived]] = {
    "dense": lambda: sb.derive(sb.Network("2-3-1")),
    "softmax, adam": lambda: sb.derive(sb.Network("6-5:relu-4:softmax"), optimizer="adam"),
    "penalties, nesterov": lambda: sb.derive(
        sb.Network("-".join(["3"] * 7), hidden="tanh", l2=0.01, l1=0.001), optimizer="nesterov"
    ),
    "weights, rmsprop": lambda: sb.derive(
        sb.Network("4-5:prelu-3:softmax", label_smoothing=0.1, class_weights=[1, 2, 3]), optimizer="rmsprop"
    ),
    "attention, adamw": lambda: sb.derive(equations("attention").with_small_sizes(), optimizer="adamw"),
    "radial basis, momentum": lambda: sb.derive(
        equations("radial basis").with_small_sizes(), optimizer="momentum"
    ),
    "convolution, adagrad": lambda: sb.derive(
        equations("convolution").with_small_sizes(), optimizer="adagrad"
    ),
}
each_network = pytest.mark.parametrize("name", NETWORKS)


@cache
def derived(name: str) -> Derived:
    return NETWORKS[name]()


@cache
def module(name: str) -> str:
    return sb.generate(derived(name))


@cache
def printed(name: str, form: str) -> str:
    return written(derived(name), form)


def written(derivation: Derived, form: str) -> str:
    """Return a document, that of a notebook as its cells read."""
    document = render(derivation, form, title="")
    if form != "notebook":
        return document
    return "\n".join("".join(cell["source"]) for cell in json.loads(document)["cells"])


def printed_numbers(document: str) -> list[int]:
    """Return the numbers that stand beside an equation, in any of the formats, in order."""
    beside = r"^(?:=>|  )? *\((\d+)\)  \S.* = |\\tag\{(\d+)\}|<span class=\"number\">\((\d+)\)</span>"
    found = re.findall(beside, document, re.MULTILINE)
    return [int(next(filter(None, groups))) for groups in found]


def cited_numbers(source: str) -> set[int]:
    """Return the numbers in the comments of a module."""
    return {int(number) for number in re.findall(r"^\s*# \((\d+)\) ", source, re.MULTILINE)}


def missing(source: str, document: str) -> set[int]:
    """Return the numbers that a module cites and that stand beside no equation of the document."""
    return cited_numbers(source) - set(printed_numbers(document))


@pytest.mark.parametrize("form", FORMS)
@each_network
def test_every_number_that_a_module_cites_stands_beside_an_equation(name: str, form: str) -> None:
    source = module(name)
    assert len(cited_numbers(source)) > len(derived(name).system.equations)
    assert missing(source, printed(name, form)) == set()


@pytest.mark.parametrize("form", FORMS)
def test_a_citation_that_leads_nowhere_is_noticed(form: str) -> None:
    name = "radial basis, momentum"
    derivation, source = derived(name), module(name)
    (number,) = cited_numbers(source) & {derivation.update[-1].number}
    moved = source.replace(f"# ({number}) ", "# (999) ")
    assert missing(moved, printed(name, form)) == {999}
    # and an equation that the document leaves out
    shorter = replace(derivation, update=derivation.update[:-1])
    assert missing(source, written(shorter, form)) == {number}


def formulas(derivation: Derived, form: str) -> dict[int, str]:
    """Return number -> the formula of its equation or step, rendered from it alone."""
    sentences = Sentences(derivation, format_named(form)(notation_for(derivation), derivation), ENGLISH)
    found = {derivation.labels[e.name]: sentences.forward(e).formula for e in derivation.system.equations}
    return found | {n: sentences.formula(s.lhs, s.rhs, True) for n, s in derivation.by_number.items()}


@pytest.mark.parametrize("form", FORMS)
@each_network
def test_every_numbered_formula_is_rendered_from_its_step(name: str, form: str) -> None:
    document, own = printed(name, form), formulas(derived(name), form)
    numbers = printed_numbers(document)
    assert [n for n in numbers if own[n] not in document] == []
    assert set(numbers) >= {*derived(name).labels.values(), *derived(name).results.values()}


@each_network
def test_another_step_is_another_formula(name: str) -> None:
    """A step that is exchanged is printed as it is now: nothing is printed from anywhere else."""
    derivation = derived(name)
    steps = [derivation.steps[0], derivation.batch[-1], derivation.update[-1], *derivation.stable[-1:]]
    steps += [derivation.by_number[number] for number in list(derivation.results.values())[-1:]]
    other = derivation
    for step in steps:
        other = other.with_step(replace(step, rhs=step.rhs * 7))
    document, own = render(other, "text", title=""), formulas(other, "text")
    for step in steps:
        assert own[step.number] in document
        assert own[step.number] not in printed(name, "text")
