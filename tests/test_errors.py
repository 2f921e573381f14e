"""Messages that point into a text."""

from __future__ import annotations

import pickle
import random
import sys
from pathlib import Path

import pytest

from symbackprop import cli
from symbackprop.errors import SpecificationError, UnsupportedExpression, excerpt, fail_at


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


# ---------------------------------------------------------------- whatever is echoed is printable

ODD = [
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\n",
    "\r",
    "\t",
    "\b",
    "\x00",
    "\x7f",
    "\x85",
    "\u202e",
    "\u2066",
    "\u200b",
]
ODD += ["\u2028", "\ufeff", "\ud800", "\udcff", "\U000e0001", "\xa0"]


@pytest.mark.parametrize("kind", [SpecificationError, UnsupportedExpression])
@pytest.mark.parametrize("odd", ODD, ids=ascii)
def test_what_a_message_echoes_is_printable(odd: str, kind: type[Exception]) -> None:
    shown = str(kind(f"name: {odd} is not known", f"  {odd}"))
    assert shown.count("\n") == 1
    assert shown.replace("\n", "").isprintable()
    again = pickle.loads(pickle.dumps(kind(f"a{odd}", "b")))
    assert str(again) == str(kind(f"a{odd}", "b"))


def test_letters_of_every_language_stay() -> None:
    assert str(SpecificationError("오차 δ = ∂E/∂z, 'naïve'")) == "오차 δ = ∂E/∂z, 'naïve'"


COMMANDS = [
    ["derive", "{}"],
    ["derive", "2-3:{}-1"],
    ["derive", "2-3-1", "--of", "{}"],
    ["derive", "2-3-1", "--loss", "x + {}"],
    ["derive", "2-3-1", "--hidden", "{}"],
    ["derive", "2-3-1", "--format", "{}"],
    ["derive", "2-3-1", "--notation", "{}"],
    ["derive", "2-3-1", "--depth", "{}"],
    ["derive", "{}.net"],
    ["derive", "2-3-1", "{}"],
    ["derive", "2-3-1", "--{}"],
    ["derive", "2-3-1", "-o", "/nowhere{}/x.txt"],
    ["derive", "2-3-1", "-o", "x.{}"],
    ["generate", "2-3-1", "--name", "{}", "-o", "-"],
    ["generate", "2-3-1", "--target", "{}"],
    ["generate", "2-3-1", "--optimizer", "{}"],
    ["generate", "2-3-1", "--l2", "{}"],
    ["check", "{}.py"],
    ["trace", "2-3-1", "--data", "{}"],
    ["trace", "2-3-1", "--freeze", "w{}"],
    ["verify", "2-3-1", "{}"],
    ["verify", "2-3-1", "dE/dw2[j,i] = {}"],
    ["verify", "2-3-1", "dE/dw2[{},i] = x1[j]"],
    ["verify", "2-3-1", "dE/dw2{} = x1[j]"],
    ["verify", "2-3-1", "dE/dw2[j,i] = (x2[i] - t[i])*x1[j]{}"],
    ["verify", "2-3-1", "--file", "{}"],
    ["verify", "2-3-1", "--function", "{}:f"],
    ["list", "{}"],
    ["draw", "2-3-1", "-o", "x.{}"],
    ["{}"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_a_command_echoes_is_printable(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    generator = random.Random(" ".join(command))
    for odd in [*generator.sample(ODD, 5), "\x1b[31m\n\u202e"]:
        monkeypatch.setattr(sys, "argv", ["symbackprop", *(part.replace("{}", odd) for part in command)])
        with pytest.raises(SystemExit):
            cli.main()
        captured = capsys.readouterr()
        shown = f"{captured.out}{captured.err}"
        assert shown.replace("\n", "").isprintable(), ascii(shown)
        assert "Traceback" not in shown


def test_files_with_odd_names_and_contents(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    claims = tmp_path / "claims\x1b[31m.txt"
    claims.write_text("dE/db2[i] = x2[i] - t[i]\t\ndE/db2[i] = t[i] - x2[i] # \x1b\n", encoding="utf-8")
    module = tmp_path / "mine\x1b.py"
    module.write_text("raise ValueError('\\x1b\\n\\u202e')\n", encoding="utf-8")
    wrong = tmp_path / "wrong\x1b.net"
    wrong.write_text("input x[n, \x1bk]\n", encoding="utf-8")
    for arguments in (
        ["verify", "2-3-1", "--file", claims.name],
        ["verify", "2-3-1", "--function", f"{module.name}:f"],
        ["check", module.name],
        ["derive", wrong.name],
        ["derive", "2-3-1", "-o", "out\x1b\n.txt"],
    ):
        monkeypatch.setattr(sys, "argv", ["symbackprop", *arguments])
        with pytest.raises(SystemExit):
            cli.main()
        captured = capsys.readouterr()
        assert f"{captured.out}{captured.err}".replace("\n", "").isprintable(), ascii(captured.err)
