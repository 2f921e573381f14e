"""The body of a pure function: its instructions, those of equal layers as loops, and its two halves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import takewhile

from symbackprop.arrays.operations import Layered, Name
from symbackprop.code.layout import COLUMNS, in_rows
from symbackprop.code.lines import SILENT, Comments, lines_of
from symbackprop.code.loops import Rolled, Uses
from symbackprop.code.programs import Carried
from symbackprop.code.statements import Block, Instruction, Loop, names_of, walked

KEEP = "keep"
"""The argument that says whether a function returns what the way back reads."""
_FREED = "        for arrays in ({}):"


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
        self.frees: str = ""
        """The output where the function may be told to keep nothing else, "" where it may not."""
        self.kept_on: tuple[str, ...] = ()
        """What a function that has computed the forward pass returns to this one."""
        self.comments = comments
        self.statements = statements
        self.read: dict[int, frozenset[str]] = {}
        for s in statements:
            self.read[s.number] = self.read.get(s.number, frozenset()) | s.operation.reads
        super().__init__(blocks, layered, names, reserved, COLUMNS - 8, uses, wanted)

    def halves(self, inside: Collection[int], output: str) -> tuple[Body, Body] | None:
        """Return what the equations ``inside`` compute, the ``output`` too, and the rest, to which that goes.

        None where there are others before the last of them, or no loop is among them.
        """
        numbers = [
            {number for block in _blocks_of(part) for number in _numbers(block)} for part in self.parts
        ]
        count = sum(1 for _ in takewhile(lambda own: own <= {*inside}, numbers))
        if not set().union(*numbers[count:]).isdisjoint(inside) or not _has_loop(self.parts[:count]):
            return None
        first, second = copy(self), copy(self)
        first.frees = output
        first.parts, second.parts = self.parts[:count], self.parts[count:]
        first.statements = [s for s in self.statements if s.number in inside]
        second.statements = [s for s in self.statements if s.number not in inside]
        names, written = names_of(first.parts), set().union(*[part.writes for part in first.parts])
        made = stems_of(name for name in names if name in written or isinstance(name, Layered))
        read = _read_first(second.parts)
        second.kept_on = tuple(name for name in made if name in read)
        return first, second

    def of_a_turn(self, loop: Block | Loop) -> list[str]:
        """Return the dicts by layer of which a turn of a loop writes and reads what is its own alone."""
        if not isinstance(loop, Loop):
            return []
        names = [name for part in self.parts for name in part.names if isinstance(name, Layered)]
        counted = [name for name in loop.names if isinstance(name, Layered)]
        outside = Counter(name.stem for name in names) - Counter(name.stem for name in counted)
        others = {
            *outside,
            *(name.stem for name in counted if name.layer),
            *stems_of([self.kept.name(self.frees)]),
        }
        return [stem for stem in stems_of(n for n in counted if n in loop.writes) if stem not in others]

    def without(self, output: Name) -> list[str]:
        """Return what is kept on beside the output."""
        return [name for name in self.kept_on if name != output]

    def lines(self, bindings: Callable[[Iterable[str]], Sequence[str]]) -> Iterator[str]:
        """Yield the lines of the statements, each under its equation.

        ``bindings`` gives the lines that bind those parameters among names that are not bound yet.
        """
        together: list[Block | Loop] = []
        for part in self.parts:
            numbers = {number for block in _blocks_of(part) for number in _numbers(block)}
            new = bindings(set().union(*[self.read[n] for n in numbers]))
            ends = self.of_a_turn(part) if self.frees else []
            if new:
                yield from lines_of(together, COLUMNS - 4, self.comments)
                yield from new
                together = []
            together.append(part)
            if ends:
                yield from lines_of(together, COLUMNS - 4, self.comments)
                yield f"    if not {KEEP}:  # the outputs need no more of this layer"
                for row in in_rows(ends, COLUMNS - 4 - len(_FREED.format(""))):
                    yield from (_FREED.format(", ".join(row)), "            arrays.clear()")
                together = []
        yield from lines_of(together, COLUMNS - 4, self.comments)


def _blocks_of(part: Block | Loop) -> Sequence[Block]:
    """Return what carries out equations in a part of a program."""
    return [part] if isinstance(part, Block) else part.blocks


def _numbers(block: Block) -> list[int]:
    return [block.number] if block.last is None else [block.number, block.last]


def _read_first(parts: Iterable[Instruction]) -> set[str]:
    """Return what instructions read before they write it, of dicts by layer the name of the dict."""
    read, written = set[str](), set[str]()
    for step in walked(parts):
        if not step.body:
            read |= {*stems_of(step.reads)} - written
            written |= {name for name in step.writes if isinstance(name, str)}
    return read


def _has_loop(parts: Iterable[Block | Loop]) -> bool:
    return any(isinstance(part, Loop) for part in parts)


def stems_of(names: Iterable[Name]) -> list[str]:
    """Return names of arrays, those of dicts by layer in place of what is kept there, each once."""
    return list(dict.fromkeys(name.stem if isinstance(name, Layered) else name for name in names))
