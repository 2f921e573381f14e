"""Data whose bounds are stated are drawn inside them where the equations have no value elsewhere."""

from __future__ import annotations

import pytest

from symbackprop import Network, derive
from symbackprop.proof.prover import prove
from tests.mutants import survivors

TEXT = """\
input x[n, k]
target t[n]
parameter w[k]
size k = 3
{bounds}
y[n] = sum(log({argument})*w[k], k)
E = mean((y[n] - t[n])**2, n)
output y
"""


@pytest.mark.parametrize(
    ("bounds", "argument"),
    [
        ("assume 8 <= x[n, k] <= 9", "x[n, k] - 7"),
        ("assume x[n, k] >= 7.5", "x[n, k] - 7"),
        ("assume x[n, k] <= -4", "-3 - x[n, k]"),
    ],
)
def test_steps_are_proved_inside_of_the_bounds(bounds: str, argument: str) -> None:
    derivation = derive(Network.from_equations(TEXT.format(bounds=bounds, argument=argument)))
    assert all(verdict.holds for verdict in prove(derivation))
    count, alive = survivors(derivation, 3)
    assert count > 10
    assert not alive


def test_without_bounds_they_stay_open() -> None:
    verdicts = prove(derive(Network.from_equations(TEXT.format(bounds="", argument="x[n, k] - 7"))))
    assert any(not verdict.decided for verdict in verdicts)
