"""Claims: right ones in many forms, wrong ones with numbers and the likely slip, code, wrong input."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from typer.testing import CliRunner

import symbackprop as sb
from symbackprop import cli
from symbackprop.cli import app
from symbackprop.commands.verify.claims import Reader, read_claim
from symbackprop.commands.verify.decision import Verification, verify, verify_lines
from symbackprop.commands.verify.functions import verify_function
from symbackprop.commands.verify.points import point
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import name_of
from symbackprop.errors import SpecificationError, UnsupportedExpression
from tests.conftest import ROOT
from tests.numbered_networks import NETWORKS

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def derived() -> Callable[[str], Derived]:
    """Return derivations by the name of a network, each derived once."""
    found: dict[str, Derived] = {}
    makers: dict[str, Callable[[], sb.Network]] = {
        "plain": lambda: sb.Network("2-3-1"),
        "squares": lambda: sb.Network("2-3-3-2", loss="squared_error", output="identity", hidden="tanh"),
        "softmax": lambda: sb.Network("4-5:relu-3:softmax", l2=0.1),
        "no facts": lambda: sb.Network("4-3:softmax", facts=False),
        "smoothed": lambda: sb.Network("4-3:softmax", label_smoothing=0.1),
    }

    def of(name: str) -> Derived:
        if name not in found:
            make = makers.get(name)
            if make is None:
                text = NETWORKS[name]
                found[name] = sb.derive(sb.Network.from_equations(text).with_small_sizes())
            else:
                found[name] = sb.derive(make())
        return found[name]

    return of


RIGHT = """
plain: dE/dw2[j,i] = (x2[i] - t[i])*x1[j]
plain: dE/dw2[a,b] = x1[a]*x2[b] - t[b]*x1[a]
plain: ∂E/∂w2[j,i] = ds2[i]·x1[j]
plain: dE/dw2[j,i] = dE/ds2[i] * x1[j]
plain: dE/dw2 = (x2 - t)*x1
plain: dE/dw2[j,i] = (sigmoid(s2[i]) - t[i])/(1 + exp(-s1[j]))
plain: ds1[j] = sum(ds2[i]*w2[j,i], i)*x1[j]*(1 - x1[j])
plain: dE/ds1[j] = sum((x2[i] - t[i])*w2[j,i], i)*exp(-s1[j])/(1 + exp(-s1[j]))**2
plain: dE/ds1 = ds2*w2*x1*(1 - x1)
plain: dE/dw1[k,j] = sum((x2[i] - t[i])*w2[j,i], i)*x1[j]*(1 - x1[j])*x0[k]
plain: dE/dw2[j,i] = mean((x2[n,i] - t[n,i])*x1[n,j], n)
plain: dE/db1[j] = sum(ds1[n,j], n)/N
plain: ds2[n,i] = x2[n,i] - t[n,i]
plain: dE/dx2[i] = (x2[i] - t[i])/(x2[i]*(1 - x2[i]))
plain: dx2[i]/ds2[i] = x2[i]*(1 - x2[i])
plain: ds2[i]/dw2[j,i] = x1[j]
squares: dE/dw1[k,j] = sum(ds2[i]*w2[j,i], i)*(1 - x1[j]**2)*x0[k]
squares: dE/ds1[j] = sum(sum(ds3[i]*w3[h,i], i)*(1 - tanh(s2[h])**2)*w2[j,h], h)*(1 - x1[j]**2)
softmax: dE/dw2[j,i] = (x2[i] - t[i])*x1[j] + l2*w2[j,i]
softmax: dE/ds2[i] = x2[i]*sum(t[a], a) - t[i]
softmax: dE/ds1[j] = sum(ds2[i]*w2[j,i], i)*where(s1[j] > 0, 1, 0)
softmax: dx2[i]/ds2[a] = x2[i]*(delta(i, a) - x2[a])
radial: dE/dc[k,i] = 2*(y[i] - t[i])*y[i]*beta[i]*(x[k] - c[k,i])
radial: dE/dbeta = -(y - t)*y*r
radial: dE/dbeta[i] = mean(-(y[n,i] - t[n,i])*exp(-beta[i]*r[n,i])*r[n,i], n)
batch norm: dE/dscale[i] = sum(dy[b,i]*u[b,i], b)
batch norm: dE/dshift[i] = mean(y[b,i] - t[b,i], b)
attention: dE/dwq[d,h] = sum(dq[p,h]*x[p,d], p)
attention: dE/dq[p,h] = sum(da[p,r]*k[r,h], r)
plain: ds1[j'] = sum(ds2[i']*w2[j',i'], i')*x1[j']*(1 - x1[j'])
plain: dE/dw1[k′,j''] = ds1[j'']*x0[k′]
guarded: dE/dw[u] = sum(where(0 <= h + u - 1 < P, dy[h]*x[h + u - 1], 0), h)
"""


@pytest.mark.parametrize("case", RIGHT.strip().splitlines())
def test_right_claims_in_many_forms(case: str, derived: Callable[[str], Derived]) -> None:
    name, text = case.split(": ", 1)
    found = verify(derived(name), text)
    assert found, found.report()
    assert found.report().startswith(f"right: {text}")


WRONG = """
plain | sign | dE/dw2[j,i] = (t[i] - x2[i])*x1[j]
plain | sign | ds1[j] = sum(ds2[i]*w2[j,i], i)*x1[j]*(1 + x1[j])
plain | missing factor | dE/dw2[j,i] = x2[i] - t[i]
plain | missing factor | ds1[j] = sum(ds2[i]*w2[j,i], i)*x1[j]
plain | missing factor | ds1[j] = sum(ds2[i]*w2[j,i], i)
plain | missing factor | ds1[j] = sum(ds2[i], i)*x1[j]*(1 - x1[j])
plain | extra factor | dE/dw2[j,i] = (x2[i] - t[i])*x2[i]*(1 - x2[i])*x1[j]
plain | transposed index | ds1[j] = sum(ds2[i]*w2[i,j], i)*x1[j]*(1 - x1[j])
plain | transposed index | dE/dw2[i,j] = (x2[i] - t[i])*x1[j]
plain | wrong index | dE/dw2[j,i] = (x2[i] - t[i])*x1[i]
plain | forgotten sum | ds1[j] = ds2[i]*w2[j,i]*x1[j]*(1 - x1[j])
plain | forgotten sum | dE/dw2[j,i] = (x2[n,i] - t[n,i])*x1[n,j]/N
plain | factor 2 | dE/dw2[j,i] = 2*(x2[i] - t[i])*x1[j]
plain | factor 2 | dE/dw2[j,i] = (x2[i] - t[i])*x1[j]/2
plain | batch mean | dE/dw2[j,i] = sum((x2[n,i] - t[n,i])*x1[n,j], n)
plain | batch mean | dE/dw1[k,j] = ds1[j]*x0[k]/N
squares | missing factor | dE/dw1[k,j] = sum(ds2[i]*w2[j,i], i)*x0[k]
squares | transposed index | ds2[j] = sum(ds3[i]*w3[i,j], i)*(1 - x2[j]**2)
squares | sign | ds2[j] = -sum(ds3[i]*w3[j,i], i)*(1 - x2[j]**2)
squares | forgotten sum | ds2[j] = ds3[i]*w3[j,i]*(1 - x2[j]**2)
squares | factor 2 | ds3[i] = 2*(x3[i] - t[i])
softmax | missing term | dE/dw2[j,i] = (x2[i] - t[i])*x1[j]
softmax | missing factor | dE/ds1[j] = sum(ds2[i]*w2[j,i], i)
softmax | sign | dE/dw2[j,i] = (x2[i] - t[i])*x1[j] - l2*w2[j,i]
radial | sign | dE/dbeta[i] = (y[i] - t[i])*y[i]*r[i]
radial | missing factor | dE/dbeta[i] = -(y[i] - t[i])*r[i]
radial | factor 2 | dE/dc[k,i] = (y[i] - t[i])*y[i]*beta[i]*(x[k] - c[k,i])
radial | transposed index | dE/dc[k,i] = 2*(y[i] - t[i])*y[i]*beta[i]*(x[k] - c[i,k])
radial | batch mean | dE/dbeta[i] = sum((t[n,i] - y[n,i])*y[n,i]*r[n,i], n)
batch norm | forgotten sum | dE/dshift[i] = dy[b,i]
batch norm | batch mean | dE/dshift[i] = sum(y[b,i] - t[b,i], b)
attention | transposed index | dE/dq[p,h] = sum(da[r,p]*k[r,h], r)
attention | forgotten sum | dE/dwq[d,h] = dq[p,h]*x[p,d]
"""


@pytest.mark.parametrize("case", WRONG.strip().splitlines())
def test_wrong_claims_have_numbers_and_the_slip(case: str, derived: Callable[[str], Derived]) -> None:
    name, kind, text = case.split(" | ")
    found = verify(derived(name), text)
    assert not found
    assert found.slip is not None, found.report()
    assert found.slip.kind == kind, found.report()
    assert len(re.findall(r"-?\d+\.\d+", found.counterexample)) >= 2, found.report()


GIVEN = """
2-2-1 | | not in general | ds1[j] = ds2[0]*w2[j,0]*x1[j]*(1 - x1[j])
2-3-1 | | | dE/dw1[0,1] = ds1[1]*x0[0]
2-3-1 | | | dE/dw1[1,j] = ds1[j]*x0[1]
2-3-1 | | | dE/dw1[0,2] = mean(ds1[n,2]*x0[n,0], n)
2-3-1 | | not in general | ds1[n,1] = ds2[n,0]*w2[1,0]*x1[n,1]*(1 - x1[n,1])
2-3-2 | | | ds2[1]/dx1[2] = w2[2,1]
2-3-2 | | not in general | ds1[2] = (ds2[0]*w2[2,0] + ds2[1]*w2[2,1])*x1[2]*(1 - x1[2])
2-3-1 | l2 = 0.1 | | dE/dw2[j,i] = ds2[i]*x1[j] + 0.1*w2[j,i]
2-3-1 | l2 = 0.1 | | dE/dw2[j,i] = ds2[i]*x1[j] + w2[j,i]/10
2-3-1 | l2 = 0.1 | not in general | dE/dw2[j,0] = (x2[0] - t[0])*x1[j] + 0.1*w2[j,0]
"""


@pytest.mark.parametrize("case", GIVEN.strip().splitlines())
def test_claims_for_the_numbers_that_are_given(case: str) -> None:
    architecture, constant, general, text = (part.strip() for part in case.split("|"))
    found = verify(sb.Network(architecture, l2=0.1 if constant else 0.0), text)
    assert found, found.report()
    assert found.given == ((constant,) if constant else ())
    verdict = "right for these sizes, not in general" if not found.in_general else "right"
    assert found.report().startswith(f"{verdict}: {text}")
    assert found.in_general or general


GIVEN_WRONG = """
2-2-1 | 0 | ds1[j] = ds2[0]*w2[j,0]*x1[j]*(1 + x1[j])
2-3-1 | 0 | dE/dw1[0,1] = ds1[0]*x0[0]
2-3-1 | 0 | dE/dw1[0,1] = -ds1[1]*x0[0]
2-3-2 | 0 | ds1[2] = (ds2[0]*w2[2,0] + ds2[0]*w2[2,1])*x1[2]*(1 - x1[2])
2-3-1 | 0.1 | dE/dw2[j,i] = ds2[i]*x1[j] + 0.2*w2[j,i]
2-3-1 | 0.1 | dE/dw2[j,i] = ds2[i]*x1[j] - 0.1*w2[j,i]
"""


@pytest.mark.parametrize("case", GIVEN_WRONG.strip().splitlines())
def test_wrong_claims_for_the_numbers_that_are_given(case: str) -> None:
    architecture, l2, text = (part.strip() for part in case.split("|"))
    found = verify(sb.Network(architecture, l2=float(l2)), text)
    assert not found
    assert "by this, but it is" in found.counterexample
    if text.startswith(("dE/dw1[0,1] = -", "dE/dw2[j,i] = ds2[i]*x1[j] - ")):
        assert found.slip is not None
        assert found.slip.kind == "sign"


@pytest.mark.parametrize(("name", "extent"), [("n0", 2), ("n1", 3), ("n2", 2)])
def test_a_number_in_place_of_a_size_is_that_of_the_network(name: str, extent: int) -> None:
    network = sb.Network("2-3-2")
    for number in range(1, 8):
        found = verify(network, f"dE/db2[i] = (x2[i] - t[i])*{name}/{number}")
        assert found.holds == (number == extent), found.report()
        assert not found or not found.in_general
        assert found or found.counterexample


@pytest.mark.parametrize("architecture", ["4-5:tanh-3:softmax", "6-9-8:softmax"])
def test_a_number_in_place_of_a_size_that_proofs_try(architecture: str) -> None:
    network = sb.Network(architecture, l2=0.1, label_smoothing=0.1)
    size = int(architecture[-9])
    for number in range(2, 9):
        found = verify(network, f"dE/dw2[j,i] = (x2[i] - 0.9*t[i] - 0.1/{number})*x1[j] + 0.1*w2[j,i]")
        assert found.holds == (number == size), found.report()
        assert not found or not found.in_general


def test_numbers_of_a_text_and_places_that_the_data_give() -> None:
    text = """\
integer input c[n], o[n]
target t[n]
parameter u[v, e], w[v, e]
constant eps = 0.1
size v = 5, e = 2
s[n] = sum(u[o[n], e]*w[c[n], e], e) + eps*t[n]
E = mean((s[n] - t[n])**2, n)/2
output s
"""
    network = sb.Network.from_equations(text)
    for claim, given in (
        ("ds[n] = sum(u[o[n],e]*w[c[n],e], e) - 0.9*t[n]", ("eps = 0.1",)),
        ("ds[n] = sum(u[o[n],e]*w[c[n],e], e) - (1 - eps)*t[n]", ()),
        ("dE/du[v,e] = mean(ds[n]*delta(v, o[n])*w[c[n],e], n)", ()),
    ):
        found = verify(network, claim)
        assert found, found.report()
        assert (found.given, found.in_general) == (given, True)
    for claim in (
        "ds[n] = sum(u[c[n],e]*w[o[n],e], e) - 0.9*t[n]",
        "ds[n] = s[n] - t[n] + c[n]",
        "ds[n] = s[n] - t[n] + o[n]*c[n]",
    ):
        wrong = verify(network, claim)
        assert not wrong
        assert "by this, but it is" in wrong.counterexample


def test_label_smoothing_as_its_number() -> None:
    network = sb.Network("4-3:softmax", label_smoothing=0.1)
    plain = verify(network, "dE/ds1[i] = x1[i] - (1 - smoothing)*t[i] - smoothing/n1")
    assert plain
    assert (plain.assumes, plain.given) == (("Σ_i t[i] = 1",), ())
    numbers = verify(network, "dE/ds1[i] = x1[i] - 0.9*t[i] - 0.1/3")
    assert numbers
    assert (numbers.assumes, numbers.in_general) == (("Σ_i t[i] = 1",), False)
    for wrong in ("x1[i] - 0.9*t[i] - 0.1/4", "x1[i] - 0.9*t[i]", "x1[i] - t[i]", "x1[j] - u[i]"):
        assert not verify(network, f"dE/ds1[i] = {wrong}")
    without = sb.Network("4-3:softmax", label_smoothing=0.1, facts=False)
    assert not verify(without, "dE/ds1[i] = x1[i] - 0.9*t[i] - 0.1/3")


def test_class_weights_as_their_numbers() -> None:
    network = sb.Network("4-3:softmax", class_weights=(1, 2, 3))
    assert verify(network, "dE/ds1[1] = x1[1]*(t[0] + 2*t[1] + 3*t[2]) - 2*t[1]")
    assert not verify(network, "dE/ds1[1] = x1[1]*(t[0] + 2*t[1] + 3*t[2]) - 3*t[1]")


def test_sizes_that_nobody_gave_decide_nothing() -> None:
    text = """\
input x[n, k]
target t[n, i]
parameter w[k, i]
y[n, i] = sum(x[n, k]*w[k, i], k)
E = mean(sum((y[n, i] - t[n, i])**2, i)/2, n)
output y
"""
    claim = "dE/dw[0,i] = (x[0]*w[0,i] + x[1]*w[1,i] - t[i])*x[0]"
    assert not verify(sb.Network.from_equations(text), claim)
    found = verify(sb.Network.from_equations(text, {"k": 2}), claim)
    assert found
    assert not found.in_general


def test_the_missing_factor_is_named(derived: Callable[[str], Derived]) -> None:
    found = verify(derived("plain"), "ds1[j] = sum(ds2[i]*w2[j,i], i)")
    assert found.slip is not None
    assert "x1[j]·(1 - x1[j])" in found.slip.message
    transposed = verify(derived("plain"), "ds1[j] = sum(ds2[i]*w2[i,j], i)*x1[j]*(1 - x1[j])").slip
    assert transposed is not None
    assert transposed.message == "w2[i,j] stands where w2[j,i] belongs"


NEARLY = """
plain: dE/dw2[j,i] = (x2[i] - t[i])*x1[j]*1.0000001
plain: dE/dw2[j,i] = (x2[i] - t[i])*x1[j] + 1e-9*w2[j,i]
plain: dE/dw1[k,j] = sin(ds1[j]*x0[k])
plain: dE/ds1[j] = sum(ds2[i]*w2[j,i], i)*tanh(x1[j]*(1 - x1[j]))
no facts: dE/ds1[i] = x1[i] - t[i]
softmax: dE/ds1[j] = sum(ds2[i]*w2[j,i], i)*where(s1[j] > 0.01, 1, 0)
"""


@pytest.mark.parametrize("case", NEARLY.strip().splitlines())
def test_nearly_right_is_wrong(case: str, derived: Callable[[str], Derived]) -> None:
    name, text = case.split(": ", 1)
    found = verify(derived(name), text)
    assert not found
    assert found.counterexample


def test_a_fact_is_used_where_it_is_stated_and_needed(derived: Callable[[str], Derived]) -> None:
    assert verify(derived("softmax"), "dE/ds2[i] = x2[i] - t[i]").assumes == ("Σ_i t[i] = 1",)
    assert verify(derived("softmax"), "dE/ds2[i] = x2[i]*sum(t[a], a) - t[i]").assumes == ()
    assert verify(derived("no facts"), "dE/ds1[i] = x1[i]*sum(t[a], a) - t[i]").assumes == ()


def test_an_assumption_about_what_is_computed_of_the_data(derived: Callable[[str], Derived]) -> None:
    assert verify(derived("smoothed"), "dE/ds1[i] = x1[i] - u[i]").holds
    wrong = verify(derived("smoothed"), "dE/ds1[i] = x1[i] - t[i]")
    assert not wrong.holds
    assert "by this, but it is" in str(wrong.counterexample)


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("square", [False, True])
@pytest.mark.parametrize("name", ["plain", "softmax", "smoothed", "squares"])
def test_numbers_are_such_as_the_derivation_assumes(
    name: str, square: bool, short: bool, derived: Callable[[str], Derived]
) -> None:
    derivation = derived(name)
    numbers = point(derivation, 0, short, square)
    for fact in derivation.system.facts:
        values = numbers.values[name_of(fact.component)]
        np.testing.assert_allclose(values.sum(axis=-1), float(fact.value), atol=1e-12)
    leaves = ("x0", "t", *derivation.system.parameters)
    assert not short or all(np.array_equal(np.round(v, 2), v) for v in map(numbers.values.get, leaves))
    assert all((np.abs(numbers.values[p]) >= 0.1).all() for p in derivation.system.parameters)
    sizes = [numbers.size(n) for n in derivation.system.quantities["w1"].shape]
    assert min(sizes) >= 2
    assert (len(set(sizes)) == 1) == square


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is none"),
        ("x2[i] - t[i]", "a claim is one equation"),
        ("dE/dw2[j,i] = x1[j] = 2", "a claim is one equation"),
        ("E = 3", "no derivative"),
        ("dE/dw3[j,i] = x1[j]", "'w3' is no quantity of this network; known are"),
        ("dE/dw2[j] = x1[j]", "w2 has 2 axes"),
        ("dE/dw2[j,j] = x1[j]", "stands twice"),
        ("dE/dw2[j,1] = x1[j]", "w2 has no place 1 on this axis; its places are 0 to 0"),
        ("dE/dw2[j,-1] = x1[j]", "'-1' on the left is no index letter and no whole number"),
        ("dE/dw2[j,i] = (x2[i] - t[i])*xx1[j]", "did you mean 'x1'"),
        ("dE/dw2[j,i] = (x2[i] - t[i])*x1", "'x1' has axes"),
        ("dE/dw2[j,i] = (x2[i] - t[i])*x1[j,i,i]", "has 1 axes, not 3"),
        ("dE/dw2[j,i] = sgmoid(x1[j])", "did you mean 'sigmoid'"),
        ("dE/dw2[j,i] = sum(x1[j], q)", "nothing here depends on the index 'q'"),
        ("dE/dw2[j,i] = x1[j]**", "ends too early"),
        ("dE/dw2[j,i] = __import__('os').system('true')", "only a named function|string"),
        ("dE/dw2[j,i] = x1.T @ (x2 - t)", "not read|not allowed"),
        ("dE/dE = 1", "E is the error itself"),
        ("dE/dw2[j,i] = where(q > 1, x1[j], 0)", "unknown name 'q'"),
        ("dE/dw2[j,i] = max(x1[j], acosh(-exp(x1[j])))", "the formula has no real value here"),
        ("dE/dw2[j,i] = x1[" + "j+" * 900 + "j]", "nested deeper than 50 levels"),
        ("dE/dw2[j,i] = mean(x2[n,i]*x1[j], n)", "x1.j. stands without the sample's index beside x2.n, i."),
        ("dE/dw2[j,i] = x1[j + q]", "nothing tells how far the index 'q' runs"),
        ("dE/dw2[j,i] = x1[j]*delta(q, j)", "nothing tells how far the index 'q' runs"),
        ("dE/dw2[j,i] = x1[-1]", "this is no index; places count from 0"),
        ("dE/dw2[j,i] = size(q)", "nothing here depends on the index 'q'"),
        ("dE/dw2[j,i] = x1[ds1[j]]", "this is no index"),
        ("dE/dw2[x1[j],i] = x1[j]", "a place that the data give can't stand on the left"),
        ("dE/dx1[n,j] = w2[n,j]", "'w2' is the same for each sample, and n is the sample's"),
    ],
)
def test_what_cant_be_read(text: str, message: str, derived: Callable[[str], Derived]) -> None:
    with pytest.raises(SpecificationError, match=message):
        verify(derived("plain"), text)


@pytest.mark.parametrize(
    ("text", "counterexample"),
    [
        ("ds2[i] = mean(ds2[n,i], n)", r"∂E/∂s2\[0\] = .* by this, but it is "),
        ("dE/dw2[n,i] = sum(b1[n], n)", r"∂E/∂w2\[0,0\] = .* by this, but it is "),
        ("dE/dx2[k] = x0[k,k]", "the sizes do not fit: "),
        (
            "dx1[j] = s1[j,i]",
            r"the sizes do not fit: .* the left side has no i, so ∂E/∂x1\[j\] would have ",
        ),
        ("dE/db1[j] = sqrt(-1 - relu(s1[j]))", r"∂E/∂b1\[0\] = .* = nan by this, but it is "),
        ("dE/db1[j] = sum(sum(w2[j,i], i, j)*b1[j], j)", r"∂E/∂b1\[0\] = .* by this, but it is "),
        ("dE/db2[i] = Max(x2[i], log(exp(1) - 1))", r"∂E/∂b2\[0\] = .* by this, but it is "),
    ],
)
def test_an_odd_claim_is_wrong_and_no_failure(
    text: str, counterexample: str, derived: Callable[[str], Derived]
) -> None:
    found = verify(derived("plain"), text)
    assert not found
    assert re.match(counterexample, found.counterexample), found.counterexample


WORDS = """
    sum( mean( max( where( softmax( exp( log( relu( delta( ( [ ) ] , : = == <= < and not + - * / ** @ # ∂
    n k i j x0 x1 x2 t w1 w2 b1 b2 s1 s2 ds1 ds2 dx1 dE E N 0 1 -1 0.5 999999999 [n,i] [i] [j] [0] [j,i]
    j+1 2*j alpha=2 *x1 lambda True None
"""


def mutated(text: str, generator: random.Random) -> str:
    """Return a claim with a few of its words replaced, left out, doubled or added."""
    words = re.findall(r"\w+|\s+|[^\w\s]", text)
    for _ in range(generator.randrange(1, 4)):
        place = generator.randrange(len(words))
        new = generator.choice([[generator.choice(WORDS.split())], words[place : place + 5], []])
        words[place : place + generator.randrange(3)] = new
        words = words or ["x1"]
    return "".join(words)


def test_a_mutated_claim_is_read_or_refused(derived: Callable[[str], Derived]) -> None:
    generator, refused = random.Random(1), 0
    claims = [case.split(": ", 1)[1] for case in RIGHT.strip().split("\n") if case.startswith("plain")]
    for _ in range(3000):
        try:
            read_claim(mutated(generator.choice(claims), generator), derived("plain"))
        except (SpecificationError, UnsupportedExpression):
            refused += 1
    assert 1500 < refused < 2900


@pytest.mark.parametrize("fault", [AttributeError, TypeError, KeyError])
@pytest.mark.parametrize("method", ["resolve_subscript", "resolve_name", "total", "_build_index", "build"])
def test_a_fault_of_the_reader_is_none_of_the_claim(
    method: str,
    fault: type[Exception],
    derived: Callable[[str], Derived],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*arguments: object) -> NoReturn:
        raise fault("planted")

    text = "dE/dw1[k,j] = sum(ds2[i]*w2[j,i], i)*x1[j]*(1 - x1[j])*x0[k] + 0*pi"
    assert verify(derived("plain"), text)
    monkeypatch.setattr(Reader, method, broken)
    with pytest.raises(fault, match="planted"):
        verify(derived("plain"), text)
    monkeypatch.setattr(sys, "argv", ["symbackprop", "verify", "2-3-1", text])
    with pytest.raises(fault, match="planted"):
        cli.main()
    assert capsys.readouterr() == ("", "")


def test_several_lines(derived: Callable[[str], Derived]) -> None:
    lines = ["# mine", "dE/dw2 = (x2 - t)*x1  # the output layer", "", "dE/db2 = t - x2"]
    assert [v.holds for v in verify_lines(derived("plain"), lines)] == [True, False]


# ---------------------------------------------------------------------------------- hand-written code


def handwritten(slip: str = "") -> Callable[[dict[str, Array], Array, Array], dict[str, Array]]:
    def gradients(p: dict[str, Array], x: Array, t: Array) -> dict[str, Array]:
        h = 1 / (1 + np.exp(-(x @ p["w1"] + p["b1"])))
        y = 1 / (1 + np.exp(-(h @ p["w2"] + p["b2"])))
        d2 = (t - y if slip == "sign" else y - t) / (1 if slip == "batch mean" else len(x))
        if slip == "extra factor":
            d2 = d2 * y * (1 - y)
        d2 = 2 * d2 if slip == "factor 2" else d2
        d1 = (d2 @ p["w2"].T) * h * (1 if slip == "missing factor" else 1 - h)
        w1 = x.T @ d1
        return {
            "w1": w1.T if slip == "transposed index" else w1,
            "b1": d1.sum(0),
            "w2": h.T @ d2,
            "b2": d2.sum(0),
        }

    return gradients


def test_a_right_function() -> None:
    found = verify_function(sb.Network("3-4-2"), handwritten())
    assert [v.text for v in found] == ["∂E/∂w2", "∂E/∂b2", "∂E/∂w1", "∂E/∂b1"]
    assert all(found)
    assert all(verify_function(sb.Network("3-4-2"), sb.load(sb.Network("3-4-2")).gradients))


@pytest.mark.parametrize(
    "slip", ["sign", "batch mean", "extra factor", "factor 2", "missing factor", "transposed index"]
)
def test_a_wrong_function(slip: str) -> None:
    wrong = [v for v in verify_function(sb.Network("3-4-2"), handwritten(slip)) if not v]
    assert wrong
    assert {v.slip.kind for v in wrong if v.slip is not None} == {slip}
    assert all(v.counterexample for v in wrong)
    if slip == "missing factor":
        assert [v.text for v in wrong] == ["∂E/∂w1", "∂E/∂b1"]
        assert "1 - x1[j] is missing in ∂E/∂s1[j]" in wrong[0].report()


def test_a_wrong_function_of_equations() -> None:
    def gradients(p: dict[str, Array], x: Array, t: Array) -> dict[str, Array]:
        difference = x[:, :, None] - p["c"][None]
        r = (difference**2).sum(1)
        y = np.exp(-p["beta"] * r)
        dr = -(y - t) * y * p["beta"] / len(x)
        return {"c": -(dr[:, None] * difference).sum(0), "beta": (-(y - t) * y * r).mean(0)}

    net = sb.Network.from_equations(NETWORKS["radial"]).with_small_sizes()
    c, beta = (
        next(v for v in verify_function(net, gradients) if v.text == f"∂E/∂{n}") for n in ("c", "beta")
    )
    assert beta
    assert c.slip is not None
    assert c.slip.kind == "factor 2"


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda p, x, t: None, "returns NoneType"),
        (lambda p, x, t: {"w1": p["w1"]}, "no derivative for b1"),
        (lambda p, x, t: {**p, "w3": 1}, "'w3', which is no parameter"),
        (lambda p, x, t: 1 / 0, "the function fails: ZeroDivisionError"),
        (lambda p, x, t: dict.fromkeys(p, "a"), "something else than numbers"),
    ],
)
def test_functions_that_cant_be_checked(function: Any, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        verify_function(sb.Network("2-2"), function)


# --------------------------------------------------------------------------------------- command line


def test_the_command_and_its_exit_status(tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["verify", "2-3-1", *arguments])
        if isinstance(result.exception, SpecificationError):
            return 2, str(result.exception)
        return result.exit_code, result.output

    assert run("dE/dw2[j,i] = (x2[i] - t[i])*x1[j]")[0] == 0
    status, output = run("dE/dw2[j,i] = (t[i] - x2[i])*x1[j]")
    assert (status, "likely slip (sign)" in output) == (1, True)
    assert run("dE/dw2[j,i] = nothing")[0] == 2
    assert run()[0] == 2
    file = tmp_path / "claims.txt"
    file.write_text("dE/db2 = x2 - t\ndE/db1 = ds1\n")
    assert run("--file", str(file)) == (0, "right: dE/db2 = x2 - t\nright: dE/db1 = ds1\n")
    assert run("--file", str(tmp_path / "none.txt"))[0] == 2
    module = tmp_path / "mine.py"
    module.write_text("def gradients(parameters, x, t):\n    return parameters\n\nVALUE = 1\n")
    assert run("--function", f"{module}:gradients")[0] == 1
    assert "did you mean 'gradients'" in run("--function", f"{module}:gradient")[1]
    assert run("--function", f"{module}:VALUE")[0] == 2
    assert run("--function", "no_such_module:f")[0] == 2
    assert run("--function", "mine")[0] == 2


def test_a_module_is_found_in_the_directory_of_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_here.py").write_text("def g(p, x, t):\n    return {n: -v for n, v in p.items()}\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["verify", "2-1", "--function", "mine_here:g"])
    assert result.exit_code == 1
    assert result.output.startswith("wrong: ∂E/∂w1")


def test_what_the_documentation_shows_is_what_is_printed(derived: Callable[[str], Derived]) -> None:
    page = (ROOT / "docs" / "by-hand.md").read_text(encoding="utf-8")
    claim, shown = re.findall(r'^\$ symbackprop verify 2-3-1 "([^"]*)"\n(.*?)^```', page, re.M | re.S)[0]
    assert verify(derived("plain"), claim).report() + "\n" == shown


def test_a_report_reads_well() -> None:
    wrong = Verification("dE/db2 = 1", False, (), "it is 2")
    assert wrong.report() == "wrong: dE/db2 = 1\n  it is 2\n  no single slip explains it"
