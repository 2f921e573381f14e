"""Constants that are arrays of whole numbers, as indices."""

from __future__ import annotations

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.check import check_network
from symbackprop.errors import SpecificationError
from tests.net_text import evaluate

TEXT = """\
input x[n, k]
target t[n, i]
parameter w[i], table[v], c[u]
size k = 5, i = 4, v = 3, u = 2
constant order[k] = (2, 0, 1, 4, 3), group[i] = (0, 0, 1, 2)
constant near[i] = (-1, 0, 1, 2), step[u] = (0, 1)
p[n, k] = x[n, order[k]]**2
z[n, i] = where(near[i] >= 0, p[n, near[i]], 0.5) + sum(c[u]*x[n, i + step[u]], u)
y[n, i] = w[i]*p[n, group[i]] + table[group[i]] + 0.1*group[i] + z[n, i]*w[i]
E = mean(sum((t[n, i] - y[n, i])**2, i), n)
output y
"""
SIZES = {"n": 3, "k": 5, "i": 4, "v": 3, "u": 2}


def test_they_are_read_as_written() -> None:
    module = sb.load(sb.Network.from_equations(TEXT))
    generator = np.random.default_rng(0)
    parameters = {n: generator.normal(size=shape) for n, shape in module.PARAMETER_SHAPES.items()}
    x, t = generator.normal(size=(3, 5)), generator.normal(size=(3, 4))
    constants = {"order": [2, 0, 1, 4, 3], "group": [0, 0, 1, 2], "near": [-1, 0, 1, 2], "step": [0, 1]}
    values = {**parameters, "x": x, "t": t, **{n: np.array(value) for n, value in constants.items()}}
    right = evaluate([line for line in TEXT.split("\n")[6:] if " = " in line], values, SIZES)
    np.testing.assert_allclose(module.forward(parameters, x), right["y"], rtol=1e-12)
    assert module.loss(parameters, x, t) == pytest.approx(float(right["E"]), rel=1e-12)


def test_they_are_derived_proved_and_compared() -> None:
    report = check_network(sb.Network.from_equations(TEXT))
    assert report.holds, report.table()


def test_as_values_they_stay_numbers() -> None:
    """An array of whole numbers that is no index has the dtype of the parameters."""
    text = sb.generate(sb.Network.from_equations(TEXT.replace("0.1*group[i]", "0.1*i")), bare=True)
    assert "order = np.array(ORDER, np.int64)" in text
    other = TEXT.replace("order[k]]**2", "k]**2*order[k]")
    assert "order = np.array(ORDER, dtype)" in sb.generate(sb.Network.from_equations(other), bare=True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(2, 0, 1, 4, 3)", "(2, 0, 1, 4, 5)", "5 is no place along 'k', which has 5"),
        ("(2, 0, 1, 4, 3)", "(2, 0, 1, 4, -1)", "-1 is no place along 'k', which has 5"),
        ("(2, 0, 1, 4, 3)", "(2, 0, 1, 4, 1.5)", "a whole number is needed here"),
        ("step[u] = (0, 1)", "step[u] = (0, 2)", "this reads beyond the end of axis 2 of 'x', by 1"),
        ("(-1, 0, 1, 2)", "(-2, 0, 1, 2)", "-2 is no place along 'k'"),
    ],
)
def test_what_leaves_its_axis_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        sb.Network.from_equations(TEXT.replace(old, new))
