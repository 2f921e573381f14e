"""Slips: each is named where it was made, in several networks, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.verify.decision import Verification, verify
from symbackprop.commands.verify.functions import verify_function
from tests.conftest import ROOT

Array = np.ndarray[Any, Any]
Returned = tuple[Any, dict[str, Any]]


WORDS = """\
integer input c[n], o[n]
target t[n]
parameter w[v, e], u[v, e], a[v]
size v = 6, e = 3
r[n] = sum(w[c[n], e]*u[o[n], e], e) + a[c[n]] - log(t[n])
E = mean(r[n]**2, n)
output r
"""


@cache
def network(name: str) -> sb.Network:
    made: dict[str, Callable[[], sb.Network]] = {
        "plain": lambda: sb.Network("2-3-2"),
        "tanh": lambda: sb.Network("3-4-2", hidden="tanh", output="identity"),
        "deep": lambda: sb.Network("2-4-3-2", hidden="softplus", output="softmax", l2=0.1),
        "smoothed": lambda: sb.Network("4-5-3:softmax", label_smoothing=0.1),
        "one": lambda: sb.Network("2-3-1"),
        "words": lambda: sb.Network.from_equations(WORDS),
    }
    if name in made:
        return made[name]()
    return sb.Network.from_file(ROOT / "examples" / f"{name}.net")


RMS = "(du[d]*gain[d] - x[d]*mean(du[j]*gain[j]*x[j], j)/(m + eps))"
SECOND = "normalised[i]*mean(dnormalised[j]*normalised[j], j)"
NORM = "(dnormalised[i] - mean(dnormalised[j], j) {} normalised[i]*mean(dnormalised[j]*normalised[j], j))"

NAMED = f"""
plain | missing factor | δ(i,l) is missing | dx2[i]/ds2[l] = x2[i]*(1 - x2[i])
one | missing factor | δ(i,l) is missing | dx2[i]/ds2[l] = x2[i]*(1 - x2[i])
smoothed | missing factor | 1 lacks the factor δ(i,j) | dx2[i]/ds2[j] = x2[i]*(1 - x2[j])
tanh | missing factor | δ(j,l) is missing | dx1[j]/ds1[l] = 1 - x1[j]**2
layer_norm | missing factor | δ(i,l) is missing | dy[i]/dnormalised[l] = scale[i]
plain | extra sum | the sum over i is too much | dE/db2[i] = sum(x2[i] - t[i], i)
one | extra sum | the sum over i is too much | dE/db2[i] = sum(x2[i] - t[i], i)
tanh | extra sum | the sum over j is too much | dE/db1[j] = sum(ds1[j], j)
layer_norm | extra sum | the sum over i is too much | dE/dshift[i] = sum(y[i] - target[i], i)
plain | wrong quantity | x2[i] stands where x1[j] belongs | dE/dw2[j,i] = ds2[i]*x2[i]
plain | wrong argument | x2[i] stands where x1[j] belongs | dE/dw2[j,i] = (x2[i] - t[i])*x2[i]
plain | wrong argument | x0[k] stands where x1[j] belongs | dE/dw1[k,j] = dx1[j]*x0[k]*(1 - x1[j])*x0[k]
tanh | wrong quantity | s1[j] stands where x1[j] belongs | dE/dw2[j,i] = ds2[i]*s1[j]
tanh | wrong quantity | x1[j] stands where x0[k] belongs | dE/dw1[k,j] = ds1[j]*x1[j]
layer_norm | wrong quantity | x[i] stands where normalised[i] belongs | dE/dscale[i] = dy[i]*x[i]
smoothed | wrong quantity | t[i] stands where u[i] belongs | dE/ds2[i] = x2[i] - t[i]
plain | wrong quantity | x2[n,i] stands where x1[n,j] belongs | dE/dw2[j,i] = mean(ds2[n,i]*x2[n,i], n)
plain | wrong argument | s1[j] stands where x1[j] belongs | ds1[j] = dx1[j]*s1[j]*(1 - s1[j])
plain | wrong argument | x1[j] stands where s1[j] belongs | ds1[j] = dx1[j]*sigmoid(x1[j])*(1-sigmoid(x1[j]))
tanh | wrong argument | s1[j] stands where x1[j] belongs | ds1[j] = dx1[j]*(1 - s1[j]**2)
tanh | wrong argument | x1[j] stands where s1[j] belongs | ds1[j] = dx1[j]*(1 - tanh(x1[j])**2)
deep | wrong argument | x1[h] stands where s1[h] belongs | ds1[h] = dx1[h]/(1 + exp(-x1[h]))
plain | N - 1 | N - 1 stands where N belongs | dE/dw2[j,i] = sum(ds2[n,i]*x1[n,j], n)/(N - 1)
layer_norm | N - 1 | I - 1 stands where I belongs | dvariance/dx[i] = 2*(x[i] - mean)/(size(i) - 1)
layer_norm | N - 1 | I - 1 stands where I belongs | dmean/dx[i] = 1/(size(i) - 1)
layer_norm | sign | is wrong | dE/dx[i] = {NORM.format("+")}/sqrt(variance + epsilon)
plain | sign | the sign of t[i] is wrong | dE/db2[i] = x2[i] + t[i]
deep | sign | the sign of λ₂·w2[h,j] is wrong | dE/dw2[h,j] = ds2[j]*x1[h] - l2*w2[h,j]
layer_norm | root | sqrt(variance) + epsilon | dE/dx[i] = {NORM.format("-")}/(sqrt(variance) + epsilon)
layer_norm | root | sqrt(variance + epsilon) stands | dE/dx[i] = {NORM.format("-")}*sqrt(variance + epsilon)
layer_norm | root | 1/(variance + epsilon) stands | dE/dx[i] = {NORM.format("-")}/(variance + epsilon)
plain | transposed index | w2[i,j] stands | ds1[j] = x1[j]*(1 - x1[j])*sum(w2[i,j]*ds2[i], i)
deep | factor 2 | λ₂·w2[h,j] has a factor 2 too many | dE/dw2[h,j] = ds2[j]*x1[h] + 2*l2*w2[h,j]
deep | factor 2 | 0.05·w2[h,j] lacks a factor 2 | dE/dw2[h,j] = ds2[j]*x1[h] + 0.05*w2[h,j]
layer_norm | missing term | Σ_i' | dE/dx[i] = (dnormalised[i] - {SECOND})/sqrt(variance + epsilon)
attention | root | sqrt(D) stands | dkey[b,r,d] = sum(dscore[b,p,r]*query[b,p,d], p)*sqrt(size(d))
words | missing factor | δ(c[n],v) | dE/dw[v,e] = mean(dr[n]*u[o[n],e], n)
words | factor 2 | half | dE/dw[v,e] = mean(r[n]*u[o[n],e]*delta(c[n],v), n)
words | wrong quantity | w[o[n],e] stands | dE/dw[v,e] = mean(where(c[n] == v, dr[n]*w[o[n],e], 0), n)
rms_norm_swiglu | root | sqrt(m) + eps | dE/dx[d] = dy[d] + {RMS}/(sqrt(m) + eps)
rms_norm_swiglu | root | 1/(m + eps) stands | dE/dx[d] = dy[d] + {RMS}/(m + eps)
"""


@pytest.mark.parametrize("case", NAMED.strip().splitlines())
def test_the_slip_is_named(case: str) -> None:
    name, kind, part, text = (each.strip() for each in case.split(" | "))
    found = verify(network(name), text)
    assert not found
    assert found.slip is not None, found.report()
    assert found.slip.kind == kind, found.report()
    assert part in found.slip.message


OTHERWISE = f"""
plain | | dx2[i]/ds2[l] = x2[i]*(1 - x2[i])*delta(i, l)
plain | | dx2[i]/ds2[i] = x2[i]*(1 - x2[i])
plain | sign | dx2[i]/ds2[l] = -x2[i]*(1 - x2[i])*delta(i, l)
plain | | dE/db2[i] = x2[i] - t[i]
plain | factor 2 | dE/db2[i] = 2*(x2[i] - t[i])
tanh | | dE/dw2[j,i] = ds2[i]*x1[j]
tanh | missing factor | dE/dw2[j,i] = ds2[i]
tanh | transposed index | dx1[j] = sum(ds2[i]*w2[i,j], i)
smoothed | | dE/ds2[i] = x2[i] - u[i]
smoothed | sign | dE/ds2[i] = u[i] - x2[i]
tanh | | ds1[j] = dx1[j]*(1 - tanh(s1[j])**2)
tanh | missing factor | ds1[j] = dx1[j]
plain | | dE/dw2[j,i] = sum(ds2[n,i]*x1[n,j], n)/N
plain | batch mean | dE/dw2[j,i] = sum(ds2[n,i]*x1[n,j], n)
layer_norm | | dE/dx[i] = {NORM.format("-")}/sqrt(variance + epsilon)
layer_norm | factor 2 | dE/dx[i] = 2*{NORM.format("-")}/sqrt(variance + epsilon)
rms_norm_swiglu | missing term | dE/dx[d] = {RMS}/sqrt(m + eps)
plain | none | dE/dw2[j,i] = sin(ds2[i])*x0[0]*x1[j]
layer_norm | none | dE/dx[i] = 3*dy[i]**2/(sqrt(variance) + epsilon)
"""


@pytest.mark.parametrize("case", OTHERWISE.strip().splitlines())
def test_other_claims_do_not_get_it(case: str) -> None:
    name, kind, text = (each.strip() for each in case.split("|"))
    found = verify(network(name), text)
    assert found.holds == (kind == ""), found.report()
    if kind not in ("", "none"):
        assert found.slip is not None
        assert found.slip.kind == kind, found.report()
    if kind == "none":
        assert found.slip is None


# ------------------------------------------------------------------------------ hand-written functions


def judged(
    net: sb.Network, change: Callable[[Any, dict[str, Any], dict[str, Array], Array], Returned]
) -> list[Verification]:
    module = sb.load(net)

    def gradients(p: dict[str, Array], x: Array, t: Array) -> Returned:
        value, found = module.gradients(p, x, t)
        return change(value, dict(found), p, x)

    return verify_function(net, gradients)


NETS = ["2-3-1", "3-4-2"]


@pytest.mark.parametrize("sizes", NETS)
def test_an_axis_that_a_sum_keeps_or_loses(sizes: str) -> None:
    net = sb.Network(sizes)
    kept = judged(net, lambda e, g, p, x: (e, {**g, "b1": g["b1"][None]}))
    (wrong,) = [v for v in kept if not v]
    assert wrong.slip is not None
    assert (wrong.text, wrong.slip.kind) == ("∂E/∂b1", "keepdims")
    assert "leave keepdims out" in wrong.report()
    other = judged(net, lambda e, g, p, x: (e, {**g, "b1": 3.3 * g["b1"][None] + 1}))
    assert all(v.slip is None for v in other if not v)
    assert all(judged(net, lambda e, g, p, x: (e, g)))


def test_an_axis_that_is_lost() -> None:
    found = judged(
        sb.Network("2-3-1"), lambda e, g, p, x: (e, {**g, "b2": g["b2"].sum(), "w2": g["w2"][:, 0]})
    )
    assert {v.slip.kind for v in found if v.slip is not None} == {"keepdims"}
    assert sum(not v for v in found) == 2


@pytest.mark.parametrize("sizes", NETS)
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("batch mean", lambda e, p, x: e * len(x)),
        ("batch mean", lambda e, p, x: np.full(len(x), e)),
        ("factor 2", lambda e, p, x: 2 * e),
        ("sign", lambda e, p, x: -e),
        ("missing term", lambda e, p, x: e - 0.05 * sum((p[w] ** 2).sum() for w in ("w1", "w2"))),
        ("", lambda e, p, x: e + 0.123),
    ],
)
def test_a_wrong_error_beside_right_derivatives(
    sizes: str, kind: str, change: Callable[[Any, dict[str, Array], Array], Any]
) -> None:
    found = judged(sb.Network(sizes, l2=0.1), lambda e, g, p, x: (change(e, p, x), g))
    error, *others = found
    assert (error.text, error.holds) == ("E", False)
    assert all(others)
    assert (error.slip.kind if error.slip else "") == kind, error.report()


def test_a_right_error_is_said_and_none_is_needed() -> None:
    net = sb.Network("2-3-1")
    assert judged(net, lambda e, g, p, x: (e, g))[0].text == "E"
    assert judged(net, lambda e, g, p, x: (None, g))[0].text == "∂E/∂w2"
