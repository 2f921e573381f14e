"""Calls that are longer than a line: what they read gets a name in a line before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Operation
from symbackprop.code.lines import INDENT, width
from symbackprop.code.statements import (
    NAMED,
    Assign,
    BeforeLast,
    Block,
    Call,
    Copy,
    Instruction,
    Loop,
    array,
    base,
    base_name,
)


@dataclass
class LongCalls:
    """Names operands of long calls; what one turn of a loop has named serves its other calls, too.

    ``fresh`` gives new names.  ``named`` are views with their names: as long as nothing else is written to
    what they are of, they hold the same numbers.
    """

    fresh: Callable[[], str]
    named: dict[Operation, Operation] = field(default_factory=dict)

    def fitted(self, program: Iterable[Block | Loop], columns: int) -> list[Block | Loop]:
        """Return a program whose calls fit a line of so many columns where names make them fit."""
        found: list[Block | Loop] = []
        for part in program:
            if isinstance(part, Loop):
                turn = LongCalls(self.fresh)
                found.append(replace(part, inner=tuple(turn._inside(part.inner, columns - INDENT))))
                self._forget(part)
            else:
                found.append(replace(part, inner=tuple(self._inside(part.inner, columns))))
        return found

    def _inside(self, inner: Iterable[Instruction], columns: int) -> Iterator[Instruction]:
        for instruction in inner:
            match instruction:
                case Block():
                    yield replace(instruction, inner=tuple(self._inside(instruction.inner, columns)))
                case BeforeLast():  # what is named there is known there alone
                    own = LongCalls(self.fresh, {**self.named})
                    inside = own._inside(instruction.inner, columns - INDENT)
                    yield replace(instruction, inner=tuple(inside))
                    self._forget(instruction)
                case Call() | Copy() if width(instruction) > columns:
                    yield from self._shortened(instruction, columns)
                    self._forget(instruction)
                case _:
                    yield instruction
                    self._forget(instruction)

    def _shortened(self, instruction: Call | Copy, columns: int) -> Sequence[Instruction]:
        """Return a call that reads names, behind the lines that give them; as it is if it stays too long."""
        found: list[Instruction] = []
        shorter = instruction
        for operand in _read(instruction):
            if operand.kind in NAMED or not operand.shape:
                continue
            name = self.named.get(operand)
            if name is None:
                name = array(self.fresh(), operand)
                found.append(Assign(name, operand))
            shorter = _with(shorter, operand, name)
            if width(shorter) <= columns and all(width(given) <= columns for given in found):
                self.named |= {
                    i.value: i.target for i in found if isinstance(i, Assign) and _is_view(i.value)
                }
                return [*found, shorter]
        return [instruction]

    def _forget(self, instruction: Instruction) -> None:
        """Forget the views of what an instruction writes to: one that was copied has the old numbers."""
        written = instruction.writes
        self.named = {view: name for view, name in self.named.items() if base_name(view) not in written}


def _read(instruction: Call | Copy) -> tuple[Operation, ...]:
    return instruction.operation.inputs if isinstance(instruction, Call) else (instruction.source,)


def _with(instruction: Call | Copy, operand: Operation, name: Operation) -> Call | Copy:
    """Return an instruction that reads a name in place of an operand."""
    if isinstance(instruction, Copy):
        return replace(instruction, source=name)
    inputs = tuple(name if each == operand else each for each in instruction.operation.inputs)
    return replace(instruction, operation=replace(instruction.operation, inputs=inputs))


def _is_view(operation: Operation) -> bool:
    """Whether an operand has the numbers of an array in another form."""
    kinds = {part.kind for part in operation.parts()}
    return base(operation).kind == Kind.ARRAY and kinds <= {Kind.ARRAY, Kind.RESHAPE, Kind.LAYOUT}
