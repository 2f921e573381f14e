"""Networks of the kinds that people train are derived, generated and checked in little memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from sympy import Integer, Piecewise

import symbackprop as sb
from symbackprop.proof.prover import prove, prove_step
from tests.proof.test_work import RESIDUAL

SEPARABLE = """\
input x[n, c, p, q]
target t[n, o]
parameter d[c, u, v], w[c, g, m], b[g, m], gain[g, m] = 1, shift[g, m] = 0, f[g, m, o], bo[o]
size c = 4, p = 12, q = 12, u = 3, v = 3, g = 2, m = 4, o = 5
y[n, c, h, k] = sum(x[n, c, h+u, k+v]*d[c, u, v], u, v)
z[n, g, m, h, k] = sum(y[n, c, h, k]*w[c, g, m], c) + b[g, m]
mu[n, g] = mean(z[n, g, m, h, k], m, h, k)
va[n, g] = mean((z[n, g, m, h, k] - mu[n, g])**2, m, h, k)
a[n, g, m, h, k] = relu(gain[g, m]*(z[n, g, m, h, k] - mu[n, g])/sqrt(va[n, g] + 0.00001) + shift[g, m])
pool[n, g, m] = mean(a[n, g, m, h, k], h, k)
yy[n, o] = softmax(sum(pool[n, g, m]*f[g, m, o], g, m) + bo[o], o)
E = mean(-sum(t[n, o]*log(yy[n, o]), o), n)
output yy
"""

RANDOM_FIELD = """\
input x[n, p, d]
target y[n, p, k]
parameter w[d, k], b[k], a[l, k]
size p = 5, d = 6, k = 4
h[n, p, k] = sum(x[n, p, d]*w[d, k], d) + b[k]
r1[n, k] = h[n, 0, k]
r2[n, k] = log(sum(exp(h[n, 1, k] + r1[n, l] + a[l, k]), l))
r3[n, k] = log(sum(exp(h[n, 2, k] + r2[n, l] + a[l, k]), l))
r4[n, k] = log(sum(exp(h[n, 3, k] + r3[n, l] + a[l, k]), l))
r5[n, k] = log(sum(exp(h[n, 4, k] + r4[n, l] + a[l, k]), l))
z[n] = log(sum(exp(r5[n, k]), k))
g[n] = sum(y[n, p, k]*h[n, p, k], p, k) + sum(where(p + 1 < size(p), y[n, p, l]*a[l, k]*y[n, p+1, k], 0), p, l, k)
E = mean(z[n] - g[n], n)
output r5
"""  # noqa: E501

U_NET = """\
input x[n, c, p, q]
target t[n, p, q]
parameter w1[c, d, u, v], b1[d], w2[d, e, u, v], b2[e], w3[e, f, u, v], b3[f], wu[f, d, u, v], bu[d], wv[g, h, u, v], bv[h], wo[h]
size c = 1, d = 4, e = 6, f = 6, p = 16, q = 16, u = 3, v = 3, g = 8, h = 4, r = 2, s = 2, k = 8, l = 8
a1[n, d, p, q] = relu(sum(where(0 <= p+u-1 < size(p) and 0 <= q+v-1 < size(q), x[n, c, p+u-1, q+v-1], 0)*w1[c, d, u, v], c, u, v) + b1[d])
m1[n, d, k, l] = max(a1[n, d, 2*k + r, 2*l + s], r, s)
a2[n, e, k, l] = relu(sum(where(0 <= k+u-1 < size(k) and 0 <= l+v-1 < size(l), m1[n, d, k+u-1, l+v-1], 0)*w2[d, e, u, v], d, u, v) + b2[e])
a3[n, f, k, l] = relu(sum(where(0 <= k+u-1 < size(k) and 0 <= l+v-1 < size(l), a2[n, e, k+u-1, l+v-1], 0)*w3[e, f, u, v], e, u, v) + b3[f])
up[n, f, p, q] = sum(where(0 <= p - 2*k < 2 and 0 <= q - 2*l < 2, a3[n, f, k, l], 0), k, l)
un[n, d, p, q] = relu(sum(where(0 <= p+u-1 < size(p) and 0 <= q+v-1 < size(q), up[n, f, p+u-1, q+v-1], 0)*wu[f, d, u, v], f, u, v) + bu[d])
cat[n, g, p, q] = sum(where(g == d, a1[n, d, p, q], 0), d) + sum(where(g == d + size(d), un[n, d, p, q], 0), d)
z[n, h, p, q] = relu(sum(where(0 <= p+u-1 < size(p) and 0 <= q+v-1 < size(q), cat[n, g, p+u-1, q+v-1], 0)*wv[g, h, u, v], g, u, v) + bv[h])
y[n, p, q] = sigmoid(sum(z[n, h, p, q]*wo[h], h))
E = mean(sum(-t[n, p, q]*log(y[n, p, q]) - (1 - t[n, p, q])*log(1 - y[n, p, q]), p, q), n)
output y
"""  # noqa: E501

NETWORKS = {"separable": SEPARABLE, "field": RANDOM_FIELD, "residual": RESIDUAL, "u_net": U_NET}

CHECK = """
import sys
from pathlib import Path
import symbackprop as sb
from symbackprop.commands.comparison.module import check_module
derivation = sb.derive(sb.Network.from_equations(sys.stdin.read()))
module = sb.load(derivation)
assert all(verdict.holds for verdict in sb.prove(derivation))
assert all(comparison.holds for comparison in check_module(module, derivation))
status = Path("/proc/self/status").read_text()  # what getrusage says counts the process before this one, too
print(status.partition("VmHWM:")[2].split()[0])
"""
MOST_KILOBYTES = 400_000


NUMBERED_GUARD = """\
input x[n, p, c]
target t[n]
parameter w[u, c, d], v[d, c], b[d], a[c]
size p = 6, c = 2, d = 2, u = 3
s[n, p, d] = sum(where(0 <= p + u - 1 < 6, x[n, p + u - 1, c], 0)*w[u, c, d], u, c) + b[d]
h[n, p, d] = relu(s[n, p, d])
r[n, p, c] = sum(where(0 <= p + u - 1 < 6, h[n, p + u - 1, d], 0)*v[d, c], d, u) + x[n, p, c]
y[n] = mean(sum(r[n, p, c]*a[c], c), p)
E = mean((y[n] - t[n])**2, n)
output y
"""


def test_a_guard_that_names_a_size_by_its_number_is_proved_with_that_size() -> None:
    """With fewer places it would guard too little, and the equations read what does not exist."""
    derivation = sb.derive(sb.Network.from_equations(NUMBERED_GUARD))
    assert all(verdict.holds for verdict in prove(derivation))


@pytest.mark.parametrize(("number", "proved"), [("6", True), ("size(p)", True), ("7", False), ("5", True)])
def test_the_number_in_a_guard_counts(number: str, proved: bool) -> None:
    """With 5 the last place is left out, which is another network; with 7 there is no network at all."""
    text = NUMBERED_GUARD.replace("< 6", f"< {number}")
    if not proved:
        with pytest.raises(sb.SpecificationError, match="reads beyond the end"):
            sb.Network.from_equations(text)
        return
    derivation = sb.derive(sb.Network.from_equations(text))
    assert all(verdict.holds for verdict in prove(derivation))


def test_guards_of_thousands_of_places_are_proved_with_sizes() -> None:
    text = NUMBERED_GUARD.replace("6", "6000")
    derivation = sb.derive(sb.Network.from_equations(text))
    assert all(verdict.holds for verdict in prove(derivation))


def test_a_guard_with_a_wrong_number_is_found() -> None:
    derivation = sb.derive(sb.Network.from_equations(NUMBERED_GUARD))
    steps = [step for step in derivation.steps if step.rhs.has(Piecewise) and step.rhs.has(Integer(6))]
    assert steps
    for step in steps:
        wrong = step.rhs.replace(lambda node: node == 6, lambda node: Integer(5))
        assert not prove_step(derivation, replace(step, rhs=wrong)).holds


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere memory is counted in other units")
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_checked_in_little_memory(name: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CHECK], input=NETWORKS[name], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < MOST_KILOBYTES
