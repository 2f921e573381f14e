"""The body of a pure function: its instructions, those of equal layers as loops."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from symbackprop.arrays.operations import Layered
from symbackprop.code.layout import COLUMNS
from symbackprop.code.lines import SILENT, Comments, lines_of
from symbackprop.code.loops import Rolled, Uses
from symbackprop.code.programs import Carried
from symbackprop.code.statements import Block, Loop


class Body(Rolled):
    """The instructions of a pure function, those of equal layers as loops."""

    def __init__(
        self,
        statements: Sequence[Carried],
        blocks: Sequence[Block],
        layered: Mapping[str, Layered],
        names: Collection[str],
        reserved: Sequence[str],
        uses: Uses,
        wanted: Collection[str],
        given: Sequence[str] = (),
        comments: Comments = SILENT,
    ) -> None:
        self.given = given
        self.comments = comments
        self.statements = statements
        self.read: dict[int, frozenset[str]] = {}
        for s in statements:
            self.read[s.number] = self.read.get(s.number, frozenset()) | s.operation.reads
        super().__init__(blocks, layered, names, reserved, COLUMNS - 8, uses, wanted)

    def lines(self, bindings: Callable[[Iterable[str]], Sequence[str]]) -> Iterator[str]:
        """Yield the lines of the statements, each under its equation.

        ``bindings`` gives the lines that bind those parameters among names that are not bound yet.
        """
        together: list[Block | Loop] = []
        for part in self.parts:
            numbers = {number for block in _blocks_of(part) for number in _numbers(block)}
            new = bindings(set().union(*[self.read[n] for n in numbers]))
            if new:
                yield from lines_of(together, COLUMNS - 4, self.comments)
                yield from new
                together = []
            together.append(part)
        yield from lines_of(together, COLUMNS - 4, self.comments)

    def lines_by_number(self) -> dict[int, tuple[str, ...]]:
        """Return the lines that carry out each equation; of a loop those for the first and the last layer."""
        found: dict[int, tuple[str, ...]] = {}
        for block in (block for part in self.parts for block in _blocks_of(part)):
            own = tuple(lines_of([block], COLUMNS - 4))
            for number in _numbers(block):
                found[number] = (*found.get(number, ()), *own)
        return found


def _blocks_of(part: Block | Loop) -> Sequence[Block]:
    """Return what carries out equations in a part of a program."""
    return [part] if isinstance(part, Block) else part.blocks


def _numbers(block: Block) -> list[int]:
    return [block.number] if block.last is None else [block.number, block.last]
