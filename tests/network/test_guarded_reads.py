"""Reads that a where around a whole formula guards: derived, proved, run, and worked out in numbers."""

from __future__ import annotations

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.check import check_network

_TEXT = """\
integer input token[n, t], length[n]
target y[n, t, i]
parameter w[v, j], u[j, i], b[i]
size v = 4, j = 2, i = 2, t = 3
s[n, t, i] = {formula}
E = mean(sum(where(t <= length[n], (s[n, t, i] - y[n, t, i])**2, 0), t, i)/2, n)
output s
"""
_SUM = "sum(w[token[n, t - 1], j]*u[j, i], j)"
FORMULAS = {
    "a sum": f"b[i] + where(t > 0, {_SUM}, 0)",
    "a sum or a start": f"where(t > 0, {_SUM}, b[i])",
    "a function of a sum": f"where(t > 0, tanh({_SUM} + b[i]), 0)",
    "a mean": "b[i] + where(t > 0, mean(w[token[n, t - 1], j]*u[j, i], j)/sqrt(size(j)), 0)",
    "a product of sums": f"b[i] + where(t > 0, {_SUM}*sum(w[token[n, t - 1], j]**2, j), 0)",
    "both ends": (
        "b[i]*where(t > 0 and t < size(t) - 1,"
        " sum(w[token[n, t - 1], j]*w[token[n, t + 1], j]*u[j, i], j), 0)"
    ),
    "a guard inside": "b[i] + where(t > 0, sum(u[j, i]*where(j > 0, w[token[n, t - 1], j - 1], 1), j), 0)",
    "data too": f"b[i] + where(t > 0 and t < length[n], {_SUM}, 0)",
    "data inside": (
        "b[i] + where(t > 0, sum(where(token[n, t - 1] > 0, w[token[n, t - 1], j]*u[j, i], 0), j), 0)"
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_guard_around_a_formula(name: str) -> None:
    net = sb.Network.from_equations(_TEXT.format(formula=FORMULAS[name]))
    report = check_network(net)
    assert report.holds, report.table()
    trace = sb.trace(net)
    assert "nan" not in trace.text().split()
    assert np.isfinite(trace.loss)
