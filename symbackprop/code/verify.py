"""The rules that instructions keep: what they read and write, their shapes, loops and equations.

Tests verify what writes instructions and each pass over them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace

from sympy import Expr, expand

from symbackprop.arrays import shapes
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Layered, Name, Operation
from symbackprop.arrays.shapes import Shape, WrongOperation
from symbackprop.arrays.verify import RULES
from symbackprop.code.statements import (
    IN_PLACE,
    Assign,
    BeforeLast,
    Block,
    Call,
    Copy,
    InPlace,
    Instruction,
    Loop,
    Scatter,
    Turns,
    base_name,
    name_of,
    walked,
)


class WrongInstruction(AssertionError):
    """An instruction breaks a rule; the message says which one, and what is wrong."""


def need(condition: bool, rule: str, *about: object) -> None:
    """Raise `WrongInstruction`, with the rule and what it is about, unless ``condition`` holds."""
    if not condition:
        raise WrongInstruction(f"{rule}: {', '.join(map(str, about))}")


def verify(
    program: Sequence[Instruction],
    values: Collection[str],
    buffers: Collection[str],
    size: Callable[[Expr], Expr] = expand,
) -> None:
    """Raise `WrongInstruction` unless a program keeps the rules.

    Args:
        program: blocks, and loops of blocks.
        values: the names of what holds a value at the beginning.
        buffers: the names of what may be written to.
        size: gives the sizes that are known their numbers: of these more can be decided.
    """
    for part in program:
        _verify_place(part)
    _verify_names(program)
    checker = _Checker({*values}, {*values, *buffers}, {*buffers}, size)
    for part in program:
        checker.run(part)


def _verify_place(part: Instruction) -> None:
    """See that instructions carry out an equation, which has a number, and that loops are loops of layers."""
    in_loop = isinstance(part, Loop)
    if isinstance(part, Loop):
        _verify_loop(part)
    for block in _blocks_of(part) if isinstance(part, Loop) else (part,):
        need(isinstance(block, Block), "the instructions of an equation", block)
        assert isinstance(block, Block)
        need(block.number > 0, "an equation with a number", block)
        need(in_loop == bool(block.last), "a last number in loops alone", block)
        _verify_inner(block, in_loop)


def _blocks_of(loop: Loop) -> Iterator[Instruction]:
    """Yield what a loop carries out, that of all turns but the last included."""
    for inner in loop.body:
        if isinstance(inner, BeforeLast):
            need(
                inner.form == (loop.layers[-1], loop.layers.step < 0), "what the last turn leaves out", inner
            )
            yield from inner.body
        else:
            yield inner


def _verify_inner(outer: Instruction, in_loop: bool) -> None:
    for instruction in outer.body:
        at_place = isinstance(outer, Turns)
        rule = "equations alone are inside of places" if at_place else "an equation is not part of another"
        need(isinstance(instruction, Block) == at_place, rule, instruction)
        need(not isinstance(instruction, Block) or instruction.number > 0, "a number", instruction)
        need(not (in_loop and isinstance(instruction, Loop)), "one loop over layers", instruction)
        if isinstance(instruction, Loop):
            _verify_loop(instruction)
        _verify_inner(instruction, in_loop or isinstance(instruction, Loop))


def _verify_loop(loop: Loop) -> None:
    layers = loop.layers
    need(len(layers) > 1 and layers.step in (1, -1), "layers one after the other", layers)
    need(len(loop.inner) > 0, "something in a loop", loop)


def _verify_names(program: Sequence[Instruction]) -> None:
    """See that what is kept by layer is counted in loops alone, and has no name that something else has."""
    layered = {name for part in program for name in part.names if isinstance(name, Layered)}
    plain = {name for part in program for name in part.names if isinstance(name, str)}
    clash = plain & {name.stem for name in layered}
    need(not clash, "one thing of a name", *clash)
    twice = plain & {name.alone for name in _kept_by_layer(program)}
    need(not twice, "one name of a thing", *twice)
    _verify_counted(program, in_loop=False)


def _kept_by_layer(program: Iterable[Instruction]) -> Iterator[Layered]:
    """Yield what is kept by layer, with the number of its layer."""
    for part in program:
        if isinstance(part, Loop):
            yield from (each for layer in part.layers for each in _kept_by_layer(part.turn(layer)))
        else:
            yield from (name for name in part.own_names if isinstance(name, Layered) and not name.counted)
            yield from _kept_by_layer(part.body)


def _verify_counted(program: Sequence[Instruction], in_loop: bool) -> None:
    for part in program:
        own = [name for name in part.own_names if isinstance(name, Layered)]
        need(all(name.counted == in_loop for name in own), "layers are counted in loops", *own)
        _verify_counted(part.body, in_loop or isinstance(part, Loop))


def _alone(name: Name) -> str:
    return name if isinstance(name, str) else name.alone


def _written(turns: Turns) -> set[Name]:
    """Return the names of what a loop writes to, by slices that have names too."""
    written = {*turns.writes}
    for step in walked(turns.body):
        if isinstance(step, Assign) and step.binds in written and step.value.is_view:
            written.add(base_name(step.value))
    return written


class _Checker:
    """Carries out a program as far as names go.

    ``known`` is what holds a value, ``taken`` what no new name must be, ``writable`` what may be written to.
    """

    def __init__(
        self, known: set[str], taken: set[str], writable: set[str], size: Callable[[Expr], Expr]
    ) -> None:
        self.known = known
        self.taken = taken
        self.writable = writable
        self.size = size

    def run(self, part: Instruction) -> None:
        """Carry out an instruction."""
        if isinstance(part, Loop):
            for layer in part.layers:
                for inner in part.turn(layer):
                    self.run(inner)
        elif part.body or isinstance(part, Block):
            if isinstance(part, Turns):  # at other places they have values: their order is that of the circle
                self.known |= set(map(_alone, _written(part))) & self.writable
            for inner in part.body:
                self.run(inner)
            if isinstance(part, Block):
                need(_alone(part.name) in self.known, "what the equation is about is computed", part.name)
        else:
            self._step(part)

    def _step(self, step: Instruction) -> None:
        unknown = {_alone(name) for name in step.reads} - self.known
        need(not unknown, "what is read has a value", *unknown, step)
        try:
            self._verify_shapes(step)
        except WrongOperation as wrong:
            raise WrongInstruction(f"{wrong}, in {step}") from None
        if isinstance(step, Assign) and step.binds is not None:
            name = _alone(step.binds)
            need(name not in self.taken, "a new name", name, step)
            if self._may_be_changed(step):
                self.writable.add(name)
            else:
                self.writable.discard(name)
        else:
            assert step.written is not None
            name = _alone(base_name(step.written))
            need(name in self.writable, "what may be written to", name, step)
        self.known.add(name)

    def _may_be_changed(self, step: Assign) -> bool:
        """Whether a new name stands for what is new, or for part of what may be written to."""
        viewed = step.value
        while viewed.is_view:
            viewed = viewed.inputs[0]
        return step.copied or viewed.kind != Kind.ARRAY or _alone(name_of(viewed)) in self.writable

    # ------------------------------------------------------------ shapes

    def _verify_shapes(self, step: Instruction) -> None:
        """Raise `WrongOperation` where arrays do not fit each other, as far as that can be decided."""
        operands = [self._sized(operand) for operand in step.operands]
        assert step.written is not None
        out = self._sized(step.written)
        if isinstance(step, Call):
            inputs = tuple(operands[:-1])
            operation = replace(step.operation, inputs=inputs, shape=out.shape)
            self._need_equal(self._shape(operation), out.shape)
        elif isinstance(step, Scatter):
            value, *indices = operands[-1], *operands[1:-1]
            update = Operation(Kind.UPDATE, (value, *indices), step.place)
            self._shape(update)
            self._shape(Operation(Kind.SCATTER, (out, update), None, out.axes, out.shape))
        elif isinstance(step, (Copy, InPlace)):
            need(isinstance(step, Copy) or step.kind in IN_PLACE, "a way to change", step)
            self._need_equal(shapes.broadcast(out, *[operand.shape for operand in operands]), out.shape)

    def _sized(self, operand: Operation) -> Operation:
        """Return an operand that is right, with numbers for sizes."""
        inputs = tuple(map(self._sized, operand.inputs))
        found = replace(operand, inputs=inputs, shape=tuple(map(self.size, operand.shape)))
        self._need_equal(self._shape(found), found.shape)
        return found

    def _shape(self, operation: Operation) -> Shape:
        return RULES[operation.kind].shape(operation, *[i.shape for i in operation.inputs])

    def _need_equal(self, found: Shape, wanted: Shape) -> None:
        shapes.need(shapes.equal(found, wanted), "shapes that fit", found, wanted)
