"""Instructions keep their rules, in every test; one that breaks a rule is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sympy import Integer

import symbackprop as sb
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Operation, Order, Place, Reduction
from symbackprop.code import fitting
from symbackprop.code.buffers import BufferWriter
from symbackprop.code.loops import Rolled
from symbackprop.code.statements import (
    ONE,
    Assign,
    BeforeLast,
    Block,
    Call,
    Condition,
    Copy,
    InPlace,
    Instruction,
    Loop,
    Scatter,
    When,
    component,
)
from symbackprop.code.verify import WrongInstruction, verify
from tests.code.instructions import added, exp, named, of, read, transposed


def array(name: str, *shape: int) -> Operation:
    return Operation(Kind.ARRAY, (), name, (None,) * len(shape), tuple(map(Integer, shape)))


X, W, S, V = array("x", 3, 4), array("w", 4, 5), array("s", 3, 5), array("v", 5)
LAYERS = range(9)
VALUES = ("x", "w", "v", "x0", "weights", *(f"w{n}" for n in LAYERS))
BUFFERS = ("s", "d", "y1", *(f"x{n}" for n in LAYERS[1:]))
UP = range(1, 4)
PLACE = Place((0, (None, None, None)), (), (), True)


def block(*inner: Instruction, name: str = "s", number: int = 1, last: int | None = None) -> Block:
    return Block(name, inner, number, last)


def product(left: Operation, right: Operation, out: Operation) -> Call:
    return Call(Operation(Kind.MATMUL, (left, right)), out)


MADE = product(X, W, S)
TURNED = replace(transposed(S), shape=S.shape[::-1])
VIEWED = replace(transposed(V), value=Order((0,)), shape=V.shape)
T, U = array("t", 5, 3), array("u", 5)
RIGHT: dict[str, list[Instruction]] = {
    "a product, and what changes it": [
        block(MADE, InPlace(Kind.ADD, S, V), InPlace(Kind.MULTIPLY, S, ONE)),
    ],
    "a view of a buffer": [block(MADE, Assign(T, TURNED), added(T, ONE))],
    "a new array": [block(MADE, Assign(U, Operation(Kind.EXP, (V,), shape=V.shape)), added(U, V))],
    "a copy of what is given": [block(MADE, Assign(U, V, copied=True), added(U, V))],
    "a sum": [block(MADE, Call(Operation(Kind.SUM, (S,), Reduction(0)), array("d", 5)))],
    "under a condition": [
        block(MADE, When(Condition.WEIGHTED, (InPlace(Kind.MULTIPLY, S, read("weights")),)))
    ],
    "to places": [block(MADE, Copy(X, array("y1", 3, 4)), Scatter(S, PLACE, V, (), False))],
    "to some places": [block(MADE, Copy(V, S, Operation(Kind.GREATER, (S, V), shape=S.shape)))],
    "one component": [block(Assign(component("d"), ONE), name="d")],
    "a loop": [Loop(UP, (Block(of("x"), (exp(of("x", -1), of("x")),), 1, 3),))],
    "terms": [
        block(
            named("E", Operation(Kind.SUM, (V,), Reduction(None))),
            Loop(range(4), (added("E", of("w")),)),
            name="E",
        )
    ],
}
"""Programs that keep the rules."""


@pytest.mark.parametrize("case", RIGHT)
def test_right_programs_are_accepted(case: str) -> None:
    verify(RIGHT[case], VALUES, BUFFERS)


LOOP = RIGHT["a loop"][0]
assert isinstance(LOOP, Loop)
INNER = LOOP.blocks[0]

WRONG: dict[str, tuple[list[Instruction], str]] = {
    "read before it is written": ([block(InPlace(Kind.ADD, S, V), MADE)], "what is read has a value"),
    "read but never written": ([block(MADE, exp("nothing", "s"))], "what is read has a value"),
    "kept where nothing was": ([block(Copy(V, S, Operation(Kind.GREATER, (X, ONE))))], "what is read"),
    "what is given is written to": ([block(MADE, exp("s", "x"))], "what may be written to"),
    "what is given is changed": ([block(MADE, added("v", "s"))], "what may be written to"),
    "a view of what is given is changed": (
        [block(MADE, Assign(U, VIEWED), added(U, V))], "what may be written to"
    ),
    "another name of what is given is changed": (
        [block(MADE, Assign(U, V), added(U, V))], "what may be written to"
    ),
    "a buffer is lost": ([block(named("s", "v"))], "a new name"),
    "what is given is lost": ([block(MADE, named("x", "s"))], "a new name"),
    "a product of another shape": ([block(product(X, W, array("s", 3, 4)))], "shapes that fit"),
    "terms that differ": ([block(product(X, V, S))], "the terms of both sides"),
    "a longer one added": ([block(MADE, InPlace(Kind.ADD, S, array("v", 4)))], "sizes that broadcast"),
    "a larger one added": ([block(MADE, InPlace(Kind.ADD, array("s", 5), array("x", 3, 5)))], "that fit"),
    "a copy of another shape": ([block(Copy(X, S))], "sizes that broadcast"),
    "a sum along another axis": (
        [block(MADE, Call(Operation(Kind.SUM, (S,), Reduction(1)), array("d", 5)))], "shapes that fit"
    ),
    "a view of another shape": (
        [block(MADE, Assign(T, replace(TURNED, shape=S.shape)))], "shapes that fit"
    ),
    "a place on another axis": (
        [block(MADE, Scatter(S, replace(PLACE, entries=(0,)), V, (), False))], "an entry for each axis"
    ),
    "no way to change": ([block(MADE, InPlace(Kind.POWER, S, V))], "a way to change"),
    "no number": ([block(MADE, number=0)], "an equation with a number"),
    "no equation": ([MADE], "the instructions of an equation"),
    "two numbers of one equation": ([block(MADE, last=2)], "a last number in loops alone"),
    "one number in a loop": ([replace(LOOP, inner=(replace(INNER, last=None),))], "a last number in loops"),
    "an equation in another": ([block(block(MADE))], "an equation is not part of another"),
    "another result": ([block(MADE, name="y1")], "what the equation is about is computed"),
    "a loop of one layer": ([replace(LOOP, layers=range(1, 2))], "layers one after the other"),
    "a loop over every other layer": ([replace(LOOP, layers=range(1, 8, 2))], "layers one after the other"),
    "left out by another turn than the last": (
        [Loop(UP, (BeforeLast(UP[0], False, LOOP.inner),))], "what the last turn leaves out",
    ),
    "an empty loop": ([block(MADE, Loop(UP, ()))], "something in a loop"),
    "a loop of no equations": ([Loop(UP, (MADE,))], "the instructions of an equation"),
    "a loop in a loop": (
        [replace(LOOP, inner=(replace(INNER, inner=(*INNER.inner, Loop(UP, (MADE,)))),))], "one loop over"
    ),
    "a layer that is counted outside": ([block(MADE, exp(of("q"), "s"))], "layers are counted in loops"),
    "a layer that is not counted inside": ([Loop(UP, LOOP.turn(1))], "layers are counted in loops"),
    "a layer beyond": ([replace(LOOP, layers=range(2, 5))], "what is read has a value"),
    "the other way": ([replace(LOOP, layers=UP[::-1])], "what is read has a value"),
    "two things of one name": ([LOOP, block(MADE)], "one thing of a name"),
    "one thing of two names": ([LOOP, block(exp("x2", "s"))], "one name of a thing"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_broken_rule_is_noticed(case: str) -> None:
    program, rule = WRONG[case]
    with pytest.raises(WrongInstruction, match=rule):
        verify(program, VALUES, BUFFERS)


# ------------------------------------------------------------------------------------ all tests verify

DEEP = sb.Network("-".join(["4"] * 20), hidden="tanh")


def refused(patch: pytest.MonkeyPatch, home: type, method: str, wrong: object, rule: str) -> None:
    """See that a pass that does something ``wrong`` is noticed when a module is generated."""
    derivation = sb.derive(DEEP)
    sb.generate(derivation)
    patch.setattr(home, method, wrong)
    with pytest.raises(WrongInstruction, match=rule):
        sb.generate(derivation)


def test_a_writer_that_forgets_an_instruction_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = BufferWriter.assign

    def wrong(self: BufferWriter, name: str, operation: Operation) -> list[Instruction]:
        return right(self, name, operation)[:-1] if name == "x3" else right(self, name, operation)

    refused(monkeypatch, BufferWriter, "assign", wrong, "what the equation is about is computed: x3")


def test_a_writer_that_computes_into_a_parameter_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = BufferWriter._product

    def wrong(self: BufferWriter, operands: tuple[Operation, Operation], out: Operation) -> None:
        right(self, operands, replace(out, value="b3") if out.value == "db3" else out)

    refused(monkeypatch, BufferWriter, "_product", wrong, "what may be written to: b3")


def test_a_writer_that_computes_into_another_shape_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = BufferWriter._store

    def wrong(self: BufferWriter, operation: Operation, out: Operation) -> None:
        right(self, operation, replace(out, shape=out.shape[1:]) if out.value == "db3" else out)

    refused(monkeypatch, BufferWriter, "_store", wrong, "shapes that fit")


@pytest.mark.parametrize("turned", [slice(None, None, -1), slice(1, None), slice(None, -1)])
def test_a_loop_over_other_layers_is_noticed(turned: slice, monkeypatch: pytest.MonkeyPatch) -> None:
    right = Rolled._loop

    def wrong(self: Rolled, layers: range, run: Any) -> Loop:
        return replace(right(self, layers, run), layers=layers[turned])

    refused(monkeypatch, Rolled, "_loop", wrong, "what is read has a value")


def test_a_function_that_writes_to_its_parameters_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"a{letter}" for letter in "bcdefghijk"]
    total = f"parameter {', '.join(names)}\ny[n, k] = ab*x[n, k]\nE = {' + '.join(names)}"
    network = sb.Network.from_equations(f"input x[n, k]\n{total}\noutput y", {"k": 2})
    sb.generate(network)
    monkeypatch.setattr(fitting, "_is_name", lambda operation, names: False)
    with pytest.raises(WrongInstruction, match="what may be written to: E"):
        sb.generate(network)
