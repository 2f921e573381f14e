"""Index letters: one range each, primes for further ones, nothing captured."""

from __future__ import annotations

from sympy import Derivative, Sum

from symbackprop.equations.letters import Letters
from symbackprop.equations.system import Equation, EquationSystem, index, quantity, size, sum_over

i, j, k, v = map(index, "ijkv")
m, n, o = map(size, ("m", "n", "o"))
x, w, y, z = quantity("x", n), quantity("w", n, m), quantity("y", m), quantity("z", o)
E = quantity("E")
SYSTEM = EquationSystem(
    (
        Equation(y[i], sum_over(x[j] * w[j, i], (j, n))),
        Equation(E.symbol, sum_over(y[i] ** 2, (i, m))),
    ),
    {q.name: q for q in (x, w, y, z, E)},
    ("w",),
    ("x", "z"),
    "E",
)
LETTERS = Letters(SYSTEM)


def test_a_letter_of_another_range_gives_way() -> None:
    assert LETTERS.equation(x[i], sum_over(w[i, j] * y[j], (j, m))) == (
        x[j],
        sum_over(w[j, i] * y[i], (i, m)),
    )


def test_two_letters_that_change_places() -> None:
    assert LETTERS.equation(w[i, j], x[i] * y[j]) == (w[j, i], x[j] * y[i])


def test_a_second_letter_has_a_prime() -> None:
    prime = index("i'")
    assert LETTERS.equation(y[i], y[i] * sum_over(y[k], (k, m))) == (
        y[i],
        y[i] * sum_over(y[prime], (prime, m)),
    )
    nested = sum_over(y[i] * sum_over(w[j, k], (j, n), (k, m)), (i, m))
    settled = LETTERS.settled(nested)
    assert {str(limit[0]) for total in settled.atoms(Sum) for limit in total.limits} == {"i", "j", "i'"}
    left, right = LETTERS.equation(Derivative(y[k], y[i]), y[k] * y[i])
    assert {left.expr, left.variables[0]} == {y[i], y[prime]}
    assert right == y[i] * y[prime]


def test_an_axis_without_a_letter_has_one_of_its_own() -> None:
    (letter,) = LETTERS.of(z)
    assert letter not in (i, j)
    assert LETTERS.further(i, o, ()) == letter
    assert LETTERS.further(i, m, (i, index("i'"))) == index("i''")
