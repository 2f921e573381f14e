"""Sizes that follow from others: as numbers, written through open ones, and refused where they can't be."""

from __future__ import annotations

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.errors import SpecificationError

TEXT = """\
input x[n, p]
parameter w[u]
constant stride = 2, half = 0.5
size SIZES
y[n, h] = half*sum(where(stride*h + u < size(p), x[n, stride*h + u], 0)*w[u], u)
E = mean(sum(y[n, h]**2, h), n)
output y
"""


def network(sizes: str) -> sb.Network:
    return sb.Network.from_equations(TEXT.replace("SIZES", sizes))


@pytest.mark.parametrize(
    "sizes",
    [
        "p = 9, u = 3, h = (size(p) - size(u))//stride + 1",
        "u = 3, h = (size(p) - size(u))//stride + 1, p = 9",
        "u = 3, h = size(p)/3 + 1, p = 9",
        "u = 3, h = 2**2, p = 9",
    ],
)
def test_a_size_follows_from_numbers(sizes: str) -> None:
    net = network(sizes)
    assert sb.load(net).forward({"w": np.ones(3)}, np.ones((2, 9))).shape == (2, 4)
    assert sb.generate(sb.Network.from_equations(net.description)) == sb.generate(net)


def test_a_size_follows_from_one_beside_the_text() -> None:
    text = TEXT.replace("SIZES", "u = 3, h = (size(p) - size(u))//stride + 1")
    module = sb.load(sb.Network.from_equations(text, {"p": 11}))
    assert module.forward({"w": np.ones(3)}, np.ones((2, 11))).shape == (2, 5)


def test_a_size_is_written_through_open_ones() -> None:
    net = network("u = 3, h = size(p) + 2*stride - size(u)")
    assert str(net.model.system.quantities["y"].shape) == "(P - U + 4,)"
    module = sb.load(net)
    for length in (4, 7):
        assert module.forward({"w": np.ones(3)}, np.ones((2, length))).shape == (2, length + 1)


@pytest.mark.parametrize(
    ("sizes", "problem"),
    [
        ("u = 3, h = size(p)//2", "column 17: the size of 'h' depends on that of 'p', which is not known"),
        ("u = 3, h = size(p)*size(p)", "the size of 'h' depends on that of 'p'"),
        ("p = 9, u = 3, h = size(p)/2", "a size is a whole number from 1 to 10000000, not 9/2"),
        ("u = 3, h = size(p) - 9, p = 9", "a size is a whole number from 1 to 10000000, not 0"),
        ("p = 9, u = 3, h = p - 2", "a number is needed here; a size is made of whole numbers, constants"),
        ("p = 9, u = 3, h = half*size(p)", "column 24: a number is needed here"),
        ("u = 3, h = size(q)", "no index 'q' is known so far"),
        ("u = 3, h = size(p) - 1, p = 2*size(h)", "this is 2*P - 2, but 'p' runs over P"),
    ],
)
def test_a_size_that_is_none_is_refused(sizes: str, problem: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        network(sizes)
    assert problem in str(caught.value)


def test_a_computed_size_that_is_another_one_is_refused() -> None:
    text = TEXT.replace("SIZES", "u = 3, h = size(p) - 1").replace("x[n, p]", "x[n, p], c[n, h]")
    text = text.replace("y[n, h]**2", "c[n, h]*y[n, h]")
    with pytest.raises(SpecificationError, match="size h: 4 contradicts 8"):
        sb.Network.from_equations(text, {"p": 9, "h": 4})
    below = "constant k[p] = (1, 2, 3, 4, 5), m[h] = (1, 2, 3)\ny[n, h] = m[h]*sum(k[p], p)*"
    with pytest.raises(SpecificationError, match="this is 4, but 'h' runs over 3"):
        sb.Network.from_equations(text.replace("y[n, h] = ", below))


def test_an_axis_that_stays_as_long_as_it_is_may_be_open() -> None:
    text = TEXT.replace("SIZES", "u = 3, h = size(p) - size(u) + SUM").replace("stride = 2", "stride = 1")
    text = text.replace("y[n, h]**2, h", "y[n, p]*x[n, p], p")
    module = sb.load(sb.Network.from_equations(text.replace("SUM", "2*stride + 1")))
    for length in (4, 7):
        assert module.forward({"w": np.ones(3)}, np.ones((2, length))).shape == (2, length)
    with pytest.raises(SpecificationError, match="column 17: this is P - 1, but 'h' runs over P"):
        sb.Network.from_equations(text.replace("SUM", "2"))


def test_constants_that_are_read_as_whole_numbers_alone_stand_nowhere_else() -> None:
    net = network("p = 9, u = 3, h = 4")
    assert [constant.name for constant in net.model.constants] == ["half"]
    assert "STRIDE" not in sb.generate(net, bare=True).upper().partition("PARAMETER_SHAPES")[2]
    assert "stride" not in sb.derive(net).text()


def test_conditions_that_hold_everywhere_are_left_out() -> None:
    text = TEXT.replace("SIZES", "u = 3, h = size(p) - size(u) + 1").replace("stride = 2", "stride = 1")
    always = sb.Network.from_equations(text.replace("where(stride*h", "where(0 <= stride*h"))
    assert "Piecewise" not in str(always.model.system.equations)
    sometimes = network("p = 9, u = 3, h = size(p)//2")
    assert "Piecewise" in str(sometimes.model.system.equations)
    plain = text.replace("where(stride*h + u < size(p), x[n, stride*h + u], 0)", "x[n, h + u]")
    plain = plain.replace("stride = 1, ", "")
    assert sb.derive(always).text() == sb.derive(sb.Network.from_equations(plain)).text()
