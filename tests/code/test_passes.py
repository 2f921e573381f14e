"""Fewer passes over arrays: differences that are taken once, and numbers that meet small arrays first."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sympy import Integer, Symbol

import symbackprop as sb
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Operation, Reduction, Statement, number
from symbackprop.code.passes import differences_once, with_fewer_passes
from symbackprop.network.network import Network

N, J = (Symbol(name, integer=True, positive=True) for name in "NJ")


def array_of(name: str, shape: tuple[Symbol, ...] = (N, J)) -> Operation:
    return Operation(Kind.ARRAY, (), name, shape, shape)


def of(kind: Kind, *inputs: Operation) -> Operation:
    return Operation(kind, inputs, None, (N, J), (N, J))


A, B, C = (array_of(name) for name in "abc")
TAKEN = Statement("d", of(Kind.SUBTRACT, A, B), 1)
OPPOSITE = of(Kind.SUBTRACT, B, A)
DIFFERENCE = TAKEN.operation
COLUMN = Operation(Kind.ARRAY, (), "s", (N, None), (N, Integer(1)))


def behind(operation: Operation) -> Operation:
    """Return what becomes of an operation behind the difference a - b."""
    *_, last = differences_once([TAKEN, Statement("e", operation, 2)])
    assert isinstance(last, Statement)
    return last.operation


def test_a_difference_is_taken_once_and_its_sign_goes_outwards() -> None:
    assert behind(OPPOSITE) == of(Kind.NEGATIVE, DIFFERENCE)
    assert behind(of(Kind.MULTIPLY, OPPOSITE, C)) == of(Kind.NEGATIVE, of(Kind.MULTIPLY, DIFFERENCE, C))
    assert behind(of(Kind.MULTIPLY, OPPOSITE, OPPOSITE)) == of(Kind.MULTIPLY, DIFFERENCE, DIFFERENCE)
    assert behind(of(Kind.ADD, C, OPPOSITE)) == of(Kind.SUBTRACT, C, DIFFERENCE)
    assert behind(of(Kind.ADD, OPPOSITE, C)) == of(Kind.SUBTRACT, C, DIFFERENCE)
    assert behind(of(Kind.SUBTRACT, C, OPPOSITE)) == of(Kind.ADD, C, DIFFERENCE)
    assert behind(of(Kind.NEGATIVE, OPPOSITE)) == DIFFERENCE
    assert behind(of(Kind.SQUARE, OPPOSITE)) == of(Kind.SQUARE, DIFFERENCE)
    assert behind(of(Kind.EXP, OPPOSITE)) == of(Kind.EXP, of(Kind.NEGATIVE, DIFFERENCE))
    total = Operation(Kind.SUM, (OPPOSITE,), Reduction(1), (N,), (N,))
    assert behind(total).kind == Kind.NEGATIVE
    assert behind(total).inputs[0].inputs == (DIFFERENCE,)


def test_other_differences_stay() -> None:
    for other in (of(Kind.SUBTRACT, A, C), of(Kind.SUBTRACT, A, B), of(Kind.MULTIPLY, A, B)):
        assert behind(other) == other
    first = Statement("e", OPPOSITE, 2)
    assert differences_once([first]) == [first]


def test_numbers_meet_small_arrays_first() -> None:
    quotient = of(Kind.DIVIDE, A, number(32))
    divided = of(Kind.DIVIDE, quotient, COLUMN)
    once = with_fewer_passes(divided, ())
    assert once.inputs == (A, Operation(Kind.MULTIPLY, (number(32), COLUMN)))
    assert once.inputs[1].shape == COLUMN.shape
    size = Operation(Kind.NAME, (), "size_p")
    by_size = with_fewer_passes(of(Kind.DIVIDE, of(Kind.DIVIDE, A, size), COLUMN), ())
    assert by_size.inputs[1].inputs == (size, COLUMN)
    assert with_fewer_passes(divided, {quotient}) is divided
    large = of(Kind.DIVIDE, quotient, B)
    assert with_fewer_passes(large, ()) is large


def test_the_opposite_of_a_half_is_a_product() -> None:
    assert with_fewer_passes(of(Kind.NEGATIVE, of(Kind.DIVIDE, A, number(2))), ()) == of(
        Kind.MULTIPLY, number(Integer(-1) / 2), A
    )
    third = of(Kind.NEGATIVE, of(Kind.DIVIDE, A, number(3)))  # 1/3 is rounded
    assert with_fewer_passes(third, ()) is third


def test_a_step_takes_a_difference_once() -> None:
    """Layer norm: the data less their mean are needed on the way forward, and twice on the way back."""
    text = """
    from library import dense, layer_norm
    input x[n, i]
    target y[n, j]
    size i = 6
    s[n, j] = dense(x, j=8)
    u[n, j] = layer_norm(s)
    E = mean(sum((u[n, j] - y[n, j])**2, j), n)
    output u
    """
    network = Network.from_equations(re.sub(r"(?m)^ +", "", text))
    step = sb.generate(network, bare=True).partition("class Trainer")[2]
    assert len(re.findall(r"np\.subtract\(.*middle", step)) == 1
    module = sb.load(network)
    generator = np.random.default_rng(0)
    x, t = generator.normal(size=(5, 6)), generator.normal(size=(5, 8))
    parameters = {name: value.astype("float64") for name, value in module.initialize(0).items()}
    trainer = module.Trainer(parameters, learning_rate=0.1)
    error, gradients = module.gradients(parameters, x, t)
    assert trainer.step(x, t) == pytest.approx(error, rel=1e-12)
    for name, value in parameters.items():
        wanted = value - 0.1 * gradients[name]
        np.testing.assert_allclose(trainer.parameters[name], wanted, rtol=1e-10, atol=1e-13)
