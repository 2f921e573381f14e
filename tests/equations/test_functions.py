"""Quotients and remainders of whole numbers, of which what divides is taken out."""

from __future__ import annotations

import pytest
from sympy import Expr, Integer

from symbackprop.equations.functions import Quotient, Remainder
from symbackprop.equations.system import index

i, j = index("i"), index("j")


@pytest.mark.parametrize(
    ("above", "below", "quotient", "remainder"),
    [
        (16 * i, 16, i, Integer(0)),
        (16 * i + 35, 16, i + Quotient(Integer(35), Integer(16)), Integer(3)),
        (4 * i - 2 * j + 1, 2, 2 * i - j, Integer(1)),
        (6 * i + j, 3, 2 * i + Quotient(j, Integer(3)), Remainder(j, Integer(3))),
        (2 * i, 4, Quotient(2 * i, Integer(4)), Remainder(2 * i, Integer(4))),
    ],
)
def test_what_divides_is_taken_out(above: Expr, below: int, quotient: Expr, remainder: Expr) -> None:
    found = Quotient(above, Integer(below)), Remainder(above, Integer(below))
    assert found == (quotient, remainder)
    for values in ({i: 3, j: 5}, {i: -2, j: 7}):
        number = int(above.xreplace({k: Integer(v) for k, v in values.items()}))
        numbers = [int(e.xreplace({k: Integer(v) for k, v in values.items()})) for e in found]
        assert numbers == [number // below, number % below]
