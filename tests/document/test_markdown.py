r"""Markdown as GitHub renders it: formulas in backticks, balanced fences, tables that hold together.

What GitHub's documentation says of formulas is written down as rules; every kind of document keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

import symbackprop as sb
from symbackprop.commands.theorem import Check, derive_theorem
from symbackprop.commands.theorem_document import render_theorem
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.document.language.catalogues import CATALOGUES
from symbackprop.document.render import render
from symbackprop.equations.steps import Derived
from tests.networks import EQUATIONS, equations
from tests.zoo import ZOO

NAMES = """
input x_in[n, k_in]
target t_out[n, i]
parameter w_up[k_in, i], shift_[i]
size k_in = 3, i = 2
place[n] = argmax(x_in[n, k_in], k_in)
y_out[n, i] = sum(x_in[n, k_in]*w_up[k_in, i], k_in) + shift_[i] + abs(x_in[n, place[n]])
E = mean(sum((y_out[n, i] - t_out[n, i])**2, i), n)
output y_out
"""
"""Names with underscores, a place of a maximum, and an absolute value."""

NEVER = (r"\_", r"\operatorname", "$", "`", "|")
"""What no formula may hold."""
INLINE = re.compile(r"\$`([^`]*)`\$")
FENCED = re.compile(r"^```math\n(.*?)\n```$", re.DOTALL | re.MULTILINE)


def formulas_in(document: str) -> list[str]:
    return [*FENCED.findall(document), *INLINE.findall(FENCED.sub("", document))]


def wrong_in(document: str) -> list[str]:
    """Return what GitHub would not show as it is meant."""
    outside = FENCED.sub("", document)
    plain = re.sub(r"\\[^\w\s]", "", INLINE.sub("", outside))  # without formulas and escaped marks
    found = [f"{mark} alone" for mark in ("$", "`") if mark in plain]
    for formula in formulas_in(document):
        found += [
            f"{mark} in {formula}" for mark in (r"\_", r"\operatorname", "$", "`", "|") if mark in formula
        ]
        found += [f"a blank line in {formula}"] * bool(re.search(r"\n\s*\n", formula))
        without_escaped = re.sub(r"\\[{}]", "", formula)
        found += [f"braces of {formula}"] * (without_escaped.count("{") != without_escaped.count("}"))
    return [*found, *_wrong_lines(document)]


def _wrong_lines(document: str) -> Iterator[str]:
    """Yield the headings, lists, fences and tables that other lines run into."""
    lines = ["", *FENCED.sub("```math", document).splitlines(), ""]
    for before, line, behind in zip(lines, lines[1:], lines[2:], strict=False):
        alone = line.startswith(("#", "```"))
        if alone and (before or behind):
            yield f"no blank line around {line}"
        if line.startswith("#") and not re.match(r"#{1,6} \S", line):
            yield f"no heading: {line}"
        for mark in ("- ", "| "):
            if line.startswith(mark) and before and not before.startswith(mark):
                yield f"no blank line before {line}"
        if line.startswith("| ") and len(re.findall(r"(?<!\\)\|", line)) != 4:
            yield f"no row of three cells: {line}"


def assert_shown(document: str) -> None:
    assert wrong_in(document) == []
    assert len(FENCED.findall(document)) >= 2
    assert len(INLINE.findall(document)) > 3


@pytest.mark.parametrize("name", ZOO)
def test_every_kind_of_network_is_shown(name: str) -> None:
    assert_shown(render(derive_system(ZOO[name]()), "markdown", title="a_b $1 | `c`"))


@pytest.mark.parametrize("name", EQUATIONS)
def test_equations_of_files_are_shown(name: str) -> None:
    assert_shown(sb.derive(equations(name)).markdown())


OTHERS: dict[str, Callable[[str], str]] = {
    "dense": lambda language: sb.derive(sb.Network("4-3:relu-2:softmax", l2=0.1)).markdown(language=language),
    "names": lambda language: sb.derive(sb.Network.from_equations(NAMES)).markdown(language=language),
    "matrix": lambda language: sb.derive(sb.Network("2-3-1")).markdown("matrix", language=language),
    "second": lambda language: sb.derive(sb.Network("2-1"), order=2).markdown(language=language),
    "trace": lambda language: sb.trace(sb.Network("2-2-1")).markdown(language=language),
    "exercise": lambda language: sb.exercise(sb.Network("2-2-1")).markdown(language=language),
    "theorem": lambda language: render_theorem(
        derive_theorem(sb.Network("2-2-2")), Check((), ()), "markdown", language=language
    ),
}


@pytest.mark.parametrize("language", CATALOGUES)
@pytest.mark.parametrize("name", OTHERS)
def test_every_document_is_shown(name: str, language: str) -> None:
    assert_shown(OTHERS[name](language))


def test_a_name_with_an_underscore_is_that_name() -> None:
    derivation = sb.derive(sb.Network.from_equations(NAMES))
    for document in (derivation.markdown(), derivation._repr_markdown_()):
        assert r"\mathrm{w\underline{\ }up}" in document
        assert r"\mathop{\mathrm{arg\,max}}_" in document
    assert r"\mathrm{w\_up}" in derivation.latex()


@pytest.fixture(scope="module")
def derivation() -> Derived:
    return sb.derive(sb.Network("2-3-1"))


def test_a_notebook_gets_the_same_between_dollars(derivation: sb.Derivation) -> None:
    cell = derivation._repr_markdown_()
    assert "`" not in cell
    assert cell.count("$$\n") == 2 * len(FENCED.findall(derivation.markdown()))
    inline = re.sub(r"\$\$\n.*?\n\$\$", "", cell, flags=re.DOTALL)
    assert re.findall(r"\$([^$]*)\$", inline) == INLINE.findall(derivation.markdown())


@pytest.mark.parametrize(
    "broken",
    [
        "costs $x$ here",
        "an ``` alone",
        r"$`a\_b`$",
        r"$`\operatorname{diag}`$",
        "$`{a`$",
        "```math\nx\n\ny\n```",
        "text\n```math\nx\n```",
        "text\n## Heading",
        "text\n- item",
        "| a | b | $`|x|`$ |",
    ],
)
def test_what_github_would_not_show_is_noticed(broken: str) -> None:
    assert wrong_in(broken)
    assert not wrong_in("a \\$ and \\_\n\n$`x`$\n\n```math\ny\n```\n\n- $`z`$\n- b\n\n| a | b | c |\n")
