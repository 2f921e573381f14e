"""Windows of images that are copied side by side for a product, made again on the way back.

The patches of a layer take as many times the memory of what they are copied from as a window has places.
A step that kept those of all layers from the way forward to the way back would need a multiple of what it
computes.  So they are copied again where they are read again, all of them into the room of the largest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Name
from symbackprop.code.statements import Assign, Block, Copy, Instruction, base_name, names_in, names_of

LEAST = 2
"""Layers with patches from which on they share one room."""


@dataclass
class Patches:
    """What is known of the patches of one layer: the copy that makes them, and where that is."""

    buffer: str
    copy: Copy
    block: int
    names: set[Name] = field(default_factory=set)
    """The buffer and its views."""


def made_again(blocks: Sequence[Block], arrays: Collection[str]) -> tuple[list[Block], list[str]]:
    """Return blocks that copy patches again where later ones read them, and the buffers of patches.

    ``arrays`` are the buffers that may share memory.  The patches that are made last are read first on the
    way back, and are left as they are.
    """
    found = list(_patches(blocks, arrays))
    if len(found) < LEAST:
        return list(blocks), []
    blocks = list(blocks)
    for patches in found[:-1]:
        readers = [n for n in range(patches.block + 1, len(blocks)) if _reads(blocks[n], patches)]
        if readers:
            first = blocks[readers[0]]
            blocks[readers[0]] = replace(first, inner=_inserted(first.inner, patches))
    return blocks, [patches.buffer for patches in found]


def _patches(blocks: Sequence[Block], arrays: Collection[str]) -> Iterator[Patches]:
    """Yield the patches that are copied in a block and read in another one as well."""
    windows: set[Name] = set()
    for number, block in enumerate(blocks):
        for step in block.body:
            if isinstance(step, Assign) and step.binds is not None and step.value.kind == Kind.WINDOWS:
                windows.add(step.binds)
            if not (isinstance(step, Copy) and step.where is None and step.out.kind == Kind.ARRAY):
                continue
            buffer = base_name(step.out)
            if isinstance(buffer, str) and buffer in arrays and not windows.isdisjoint(names_in(step.source)):
                bound = (s for s in block.body if isinstance(s, Assign) and buffer in s.reads)
                own = Patches(buffer, step, number, {buffer, *(s.binds for s in bound if s.binds)})
                if any(_reads(other, own) for other in blocks[number + 1 :]):
                    yield own


def _reads(block: Block, patches: Patches) -> bool:
    return not patches.names.isdisjoint(names_of([block]))


def _inserted(body: Iterable[Instruction], patches: Patches) -> tuple[Instruction, ...]:
    """Return instructions with the copy before the first one that reads the patches."""
    steps = list(body)
    place = next(n for n, step in enumerate(steps) if not patches.names.isdisjoint(names_of([step])))
    return *steps[:place], patches.copy, *steps[place:]


def in_rooms(spans: Mapping[str, Sequence[tuple[int, int]]], sizes: Mapping[str, int]) -> list[list[str]]:
    """Return the buffers of each room: those that are never needed at once, the largest first.

    ``spans`` are the instructions, from first to last, that need a buffer without a break; ``sizes`` are how
    many numbers of a sample it holds.
    """
    rooms: list[list[str]] = []
    for name in sorted(spans, key=lambda n: (-sizes[n], n)):
        for room in rooms:
            if not any(_meet(spans[name], spans[other]) for other in room):
                room.append(name)
                break
        else:
            rooms.append([name])
    return [room for room in rooms if len(room) > 1]


def _meet(some: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> bool:
    return any(first <= end and begin <= last for first, last in some for begin, end in others)
