"""Pages of all commands: their formulas are MathML, and nothing of LaTeX is left in their text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.network import test_net_cli
from tests.test_cli import Runner

command = test_net_cli.command

HEAT = ROOT / "examples" / "heat.net"
PAGES = {
    "derivation": ("derive", "2-3:relu-2:softmax"),
    "trained parameters": ("derive", "2-3:prelu-1", "--optimizer", "adam"),
    "theorem": ("derive", "--depth", "L"),
    "results": ("derive", "2-3-1", "--only", "results"),
    "second": ("derive", "2-1", "--order", "2"),
    "product": ("derive", "2-1", "--hessian-vector"),
    "layers": ("derive", "2-2-2-2-2-2"),
    "trace": ("trace", "2-2-2"),
    "trace of cases": ("trace", "2-3:relu-2:softmax"),
    "trace of equations": ("trace", str(HEAT)),
    "exercise": ("exercise", "2-2-1"),
}
NO_TEXT = r"<script.*?</script>|<style.*?</style>|<annotation.*?</annotation>"


def left_of_latex(page: str) -> list[str]:
    """Return what a reader of a page would see of LaTeX: commands, and braces around what is an index."""
    text = re.sub(r"<[^>]+>", "", re.sub(NO_TEXT, "", page, flags=re.DOTALL))
    return re.findall(r"\\\S*|[_^]\{[^}]*\}|\}\{", text)


@pytest.mark.parametrize("arguments", PAGES.values(), ids=PAGES)
def test_no_page_shows_latex(command: Runner, arguments: tuple[str, ...]) -> None:
    assert command(*arguments, "-o", "page.html").status == 0
    page = Path("page.html").read_text(encoding="utf-8")
    assert page.count("<math") > 10
    assert left_of_latex(page) == []


def test_latex_in_a_page_is_seen() -> None:
    assert left_of_latex(r"<p>x <b>\frac{a}{b}</b> y</p>") == [r"\frac{a}{b}"]
    assert left_of_latex("<p>s_{0} is 1</p>") == ["_{0}"]
    assert left_of_latex("<style>a{b}</style><p>{ 1 if s &gt; 0 }</p>") == []
