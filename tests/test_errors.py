"""Messages that point into a text."""

from __future__ import annotations

import pytest

from symbackprop.errors import SpecificationError, excerpt, fail_at


def message(column: int, text: str, hint: str = "") -> list[str]:
    with pytest.raises(SpecificationError) as caught:
        fail_at(column, text, "formula", "this is wrong", hint)
    return str(caught.value).split("\n")


def test_a_caret_stands_under_the_column() -> None:
    assert message(2, "a + b", "write a - b") == [
        "formula: this is wrong; write a - b",
        "  a + b",
        "    ^",
    ]


@pytest.mark.parametrize("column", [0, 59, 60, 61, 100, 199])
def test_of_a_long_text_the_surroundings_are_shown(column: int) -> None:
    text = "-" * column + "x" + "-" * (199 - column)
    what, shown, caret = message(column, text)
    assert what == "formula: this is wrong"
    assert shown[caret.index("^")] == "x"
    assert len(shown) <= 2 + 3 + 120 + 3
    assert shown.startswith("  ...") == (column > 60)
    assert shown.endswith("...") == (column < 140)


def test_what_is_not_printable_is_escaped_and_moves_the_caret() -> None:
    assert message(1, "\tx")[1:] == ["  \\tx", "    ^"]
    assert excerpt("a\nb") == "'a\\nb'"
