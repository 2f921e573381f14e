"""Stable forms of what holds sums: looked for once for what is equal up to names, else for each."""

from __future__ import annotations

import pytest
from sympy import Expr

import symbackprop as sb
from symbackprop.derivation.stable.joining import Joiner
from symbackprop.derivation.stable.kept import Kept
from symbackprop.derivation.stable.sums import SumForms
from symbackprop.network.network import Network

HEAD = """\
s{0}[n, k] = sum(x[n, i]*w{0}[i, k], i)
e{0}[n, k] = exp({1})
p{0}[n, k] = e{0}[n, k]/sum(e{0}[n, l], l)
"""


def network(*powers: str) -> Network:
    """Return heads with a softmax each that is written out, of these powers."""
    heads = range(1, len(powers) + 1)
    text = "input x[n, k]\ntarget t[n, k]\nsize i = 3, k = 3\n"
    text += f"parameter {', '.join(f'w{n}[i, k]' for n in heads)}\n"
    text += "".join(HEAD.format(n, power.format(n)) for n, power in zip(heads, powers, strict=True))
    errors = " + ".join(f"sum((p{n}[n, k] - t[n, k])**2, k)" for n in heads)
    return Network.from_equations(f"{text}E = mean({errors}, n)\noutput p1\n")


PLAIN, SQUARED = "s{0}[n, k]", "s{0}[n, k]**2"


def test_equal_equations_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two heads take as many searches as one, and a head of another power takes more."""
    found = list[Expr]()
    chosen = SumForms._chosen

    def noted(self: SumForms, form: Expr, plain: Expr) -> Expr:
        found.append(form)
        return chosen(self, form, plain)

    monkeypatch.setattr(SumForms, "_chosen", noted)
    counts = []
    for powers in ((PLAIN,), (PLAIN, PLAIN), (PLAIN, SQUARED)):
        found.clear()
        sb.derive(network(*powers))
        counts.append(len(found))
    assert 0 < counts[0] == counts[1] < counts[2], counts


def test_equal_exponentials_are_written_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a quantity is, as an exponential, is found once for two heads that are alike."""
    found = list[Expr]()
    joined = Joiner.joined_in_full

    def noted(self: Joiner, expression: Expr) -> Expr:
        found.append(expression)
        return joined(self, expression)

    monkeypatch.setattr(Joiner, "joined_in_full", noted)
    counts = []
    for powers in ((PLAIN,), (PLAIN, PLAIN), (PLAIN, SQUARED)):
        found.clear()
        sb.derive(network(*powers))
        counts.append(len(found))
    assert 0 < counts[0] == counts[1] < counts[2], counts


def test_forms_are_those_that_are_found_without_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of heads that are alike and of one that is not, each gets the form that it gets by itself."""
    kept = sb.derive(network(PLAIN, SQUARED, PLAIN)).text()
    monkeypatch.setattr(Kept, "form_of", lambda self, expressions: None)
    assert sb.derive(network(PLAIN, SQUARED, PLAIN)).text() == kept
