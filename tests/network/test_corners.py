"""Corners of the ``.net`` notation, each a general rule."""

from __future__ import annotations

import re

import pytest

import symbackprop as sb
from symbackprop.errors import SpecificationError

ONE_LINE = """\
input x[n, k]
target t[n, i]
parameter w[k, i], b[i]
constant c[k] = (1, 2.5, 1)
size i = 2
s[n, i] = sum(c[k]*x[n, k]*w[k, i], k) + b[i]
E = mean(sum((s[n, i] - t[n, i])**2, i)/2, n)
output s
"""
SEVERAL_LINES = """\
input x[n, k]
target t[n, i]
parameter w[k, i], b[i]
constant c[k] = (
    1,  # the first (of three)
    2.5,

    1)
size i = 2
s[n, i] = sum(
\tc[k]*x[n,
        k]*w[k, i],  # a comment ) that closes nothing
    k) + b[i]
E = mean(sum((s[n, i] - t[n, i])**2,
             i)/2, n)
output s
"""


def refused(text: str) -> str:
    """Return the message with which a text is refused, caret included."""
    with pytest.raises(SpecificationError) as caught:
        sb.Network.from_equations(text)
    return str(caught.value)


def place_shown(message: str) -> tuple[int, int, str]:
    """Return line, column, and what stands above the caret, from there on."""
    found = re.search(r"line (\d+), column (\d+)", message)
    _, shown, caret = message.rsplit("\n", 2)
    assert found
    return int(found[1]), int(found[2]), shown[caret.index("^") :]


# ---------------------------------------------------------------------------------- several lines


def test_an_equation_over_several_lines_is_that_of_one_line() -> None:
    one, several = (sb.derive(sb.Network.from_equations(text)).text() for text in (ONE_LINE, SEVERAL_LINES))
    assert one == several


@pytest.mark.parametrize(
    ("old", "new", "place", "problem"),
    [
        ("        k]*w[k, i],", "        k]*v[k, i],", (12, 12, "v[k, i],"), "unknown quantity 'v'"),
        ("    k) + b[i]", "    k) + b[j]", (13, 12, "j]"), "the index 'j' is free"),
        ("\tc[k]*x[n,", "\tc[k]*y[n,", (11, 10, "y[n,"), "unknown quantity 'y'"),
        ("s[n, i] = sum(\n", "s[m, i] = sum(\n", (11, 12, "n,"), "the index 'n' is free"),
        ("    2.5,\n", "    2.5x,\n", (6, 8, "x,"), "an operator is missing"),
        ("    k) + b[i]", "    k] + b[i]", (13, 6, "] + b[i]"), "nothing is open that this ']'"),
        ("    k) + b[i]", "    k + b[i]", (10, 14, "("), "this '(' is never closed"),
        ("             i)/2, n)", "             i)/2, n", (14, 9, "(sum("), "this '(' is never closed"),
    ],
)
def test_mistakes_are_shown_in_their_own_line(
    old: str, new: str, place: tuple[int, int, str], problem: str
) -> None:
    assert old in SEVERAL_LINES
    message = refused(SEVERAL_LINES.replace(old, new))
    line, column, shown = place
    assert problem in message
    assert place_shown(message)[:2] == (line, column)
    assert place_shown(message)[2].startswith(shown)


# ------------------------------------------------------------------------------ unknown functions


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("sotfmax", "did you mean 'softmax'? also near: log_softmax, Max; "),
        ("rleu", "did you mean 'relu'? also near: "),
        ("wherre", "did you mean 'where'? "),
        ("zzz", ""),
    ],
)
def test_an_unknown_function_is_told_the_nearest_names_then_all(written: str, near: str) -> None:
    message = refused(ONE_LINE.replace("sum(c", f"{written}(c"))
    told, known = message.split("\n")[0].split("known are: ")
    assert f"line 6, column 11: unknown function '{written}'; {near}" in told
    names = known.split(", ")
    assert names == sorted(names)
    assert {"softmax", "prelu", "sum", "size", "where", "exp", "sigmoid"} < set(names)
