"""Which buffers of a step can be one array: those that are never needed at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import pairwise

from symbackprop.arrays.kinds import FUNCTIONS, Kind
from symbackprop.arrays.operations import Layered, Name
from symbackprop.code.statements import (
    Assign,
    BeforeLast,
    Block,
    Call,
    Copy,
    Instruction,
    Loop,
    When,
    name_of,
    names_in,
)

_MOST_TURNS = 3
_COMPONENT_BY_COMPONENT = FUNCTIONS - {Kind.ERF, Kind.LGAMMA, Kind.DIGAMMA}
"""What NumPy computes without reading a component again that it has written; the others compute in steps."""


def shared_arrays(program: Iterable[Instruction], kinds: Mapping[str, Hashable]) -> dict[str, int]:
    """Return the number of the array that each buffer is in.

    Args:
        program: the instructions of a step, carried out from first to last.
        kinds: buffer -> its shape and type, which buffers in one array have in common; None for a buffer
            whose content outlives the step.  What is kept by layer is one buffer.

    A buffer is needed from the instruction that names it first to the one that names it last, views of it
    included.  Nothing is in an array that the same instruction reads another buffer from, but where a
    function takes component by component what its result then replaces.
    """
    steps = list(_one_by_one(program))
    spans = _spans(steps, kinds)
    replaced = {number: _overwritten(step) for number, step in enumerate(steps)}
    arrays: dict[Hashable, dict[int, tuple[int, str]]] = {}  # kind -> its arrays, with what needs each last
    count = 0
    found: dict[str, int] = {}
    for name in sorted(kinds, key=lambda n: spans.get(n, (0, 0))[0]):
        first, last = spans.get(name, (0, 0))
        kind = kinds[name]
        alike = arrays.setdefault(kind, {})
        idle = [
            (end, number)
            for number, (end, other) in alike.items()
            if kind is not None and (end < first or (end == first and other in replaced[first].get(name, ())))
        ]
        if idle:
            _, number = max(idle)  # what was used last is the likeliest to be near the processor
        else:
            number = count
            count += 1
        alike[number] = last, name
        found[name] = number
    return {name: found[name] for name in kinds}


def _overwritten(step: Instruction) -> dict[Name, set[Name]]:
    """Return the array that an elementwise function of NumPy writes to, with the arrays that it reads.

    It may write to one of these, as it has read a component before it writes that one.
    """
    if not (isinstance(step, Call) and step.operation.kind in _COMPONENT_BY_COMPONENT):
        return {}
    if step.out.kind != Kind.ARRAY or isinstance(step.out.value, Layered):
        return {}
    plain = [i.name for i in step.operation.inputs if i.kind == Kind.ARRAY and isinstance(i.value, str)]
    read = [name for operand in step.operation.inputs for name in names_in(operand)]
    return {step.out.name: {name for name in plain if read.count(name) == plain.count(name)}}


def _spans(steps: Iterable[Instruction], names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return the first and the last instruction that needs each buffer."""
    return {name: (own[0][0], own[-1][1]) for name, own in spans_apart(steps, names).items()}


def spans_apart(program: Iterable[Instruction], names: Iterable[str]) -> dict[str, list[tuple[int, int]]]:
    """Return the instructions that need each buffer, anew from each one that copies all of its numbers."""
    stands_for = {name: {name} for name in names}  # a view stands for what it is a view of
    spans: dict[str, list[tuple[int, int]]] = {}
    for number, step in enumerate(_one_by_one(program)):
        needed = set().union(*(stands_for.get(_buffer(name), ()) for name in step.names))
        for name in needed:
            own = spans.setdefault(name, [])
            if not own or _is_made_anew(step, name):
                own.append((number, number))
            own[-1] = own[-1][0], number
        bound = step.binds if isinstance(step, Assign) else None
        if isinstance(bound, str) and bound not in spans:
            stands_for[bound] = stands_for.get(bound, set()) | needed
    return spans


def _is_made_anew(step: Instruction, name: str) -> bool:
    whole = isinstance(step, Copy) and step.where is None and step.out.kind == Kind.ARRAY
    return whole and name_of(step.written) == name and name not in step.reads if step.written else False


def _buffer(name: Name) -> str:
    """Return the buffer that a name is of."""
    return name.stem if isinstance(name, Layered) else name


def _one_by_one(program: Iterable[Instruction]) -> Iterator[Instruction]:
    """Yield instructions, those under a condition one by one; a loop, which comes back to them, is one."""
    for instruction in program:
        if isinstance(instruction, (BeforeLast, Block, When)):
            yield from _one_by_one(instruction.body)
        else:
            yield instruction


def turns_needed(program: Iterable[Instruction], stems: Iterable[str]) -> dict[str, int]:
    """Return how many arrays the layers of each stem can take in turn; without those that need one each.

    Args:
        program: the instructions of a step, carried out from first to last.
        stems: the names of what is kept by layer.

    In turn, layer ℓ has array ℓ mod n: those with the same array must never be needed at once.
    """
    spans: dict[str, dict[int, tuple[int, int]]] = {stem: {} for stem in stems}
    if not spans:
        return {}
    for time, (step, layer) in enumerate(_unrolled(program)):
        viewed = _viewed(step)
        for name in step.names:
            stem = _buffer(name)
            if name in viewed or not isinstance(
                name, Layered
            ):  # under another name, for no one knows how long
                spans.pop(stem, None)
            elif stem in spans:
                at = name.layer + layer * name.counted
                spans[stem][at] = (spans[stem].get(at, (time, time))[0], time)
    found = {stem: _turns_of(own) for stem, own in spans.items()}
    return {stem: number for stem, number in found.items() if number is not None}


def of_one_turn(program: Iterable[Instruction], stems: Iterable[str]) -> set[str]:
    """Return those of the stems that one turn of a loop alone writes and reads, each layer its own.

    What views something belongs to it: where other turns read the view, the array is not one turn's own.
    """
    loops: dict[str, list[Instruction]] = {}
    own: set[str] = {*stems}
    for part in _one_by_one(program):
        for name in set(part.names):
            loops.setdefault(_buffer(name), []).append(part)
            if not (isinstance(name, Layered) and name.counted and name.layer == 0):
                own.discard(_buffer(name))
    own = {stem for stem in own if len(loops.get(stem, ())) == 1}
    inside = {id(part): part for stem in own for part in loops[stem]}
    steps = [step for part in inside.values() for step in _one_by_one(part.body)]
    views = [(step.binds, _viewed(step)) for step in steps if isinstance(step, Assign) and step.binds]
    while lost := {_buffer(n) for view, read in views if _buffer(view) not in own for n in read} & own:
        own -= lost
    return own


def _viewed(step: Instruction) -> frozenset[Name]:
    """Return the arrays that an instruction gives another name, or views; places of maxima are new."""
    if not isinstance(step, Assign) or step.binds is None:
        return frozenset()
    return frozenset() if step.value.kind == Kind.ARGMAX else step.reads


def _unrolled(program: Iterable[Instruction]) -> Iterator[tuple[Instruction, int]]:
    """Yield instructions in the order of carrying them out, with the layer of their loop."""
    for instruction in _one_by_one(program):
        if isinstance(instruction, Loop):
            for layer in instruction.layers:
                yield from ((each, layer) for each in _one_by_one(instruction.in_turn(layer)))
        else:
            yield instruction, 0


def _turns_of(spans: Mapping[int, tuple[int, int]]) -> int | None:
    """Return the least number of arrays with which no two layers need the same one at once."""
    for number in range(1, _MOST_TURNS + 1):
        shares = [sorted(span for layer, span in spans.items() if layer % number == n) for n in range(number)]
        if all(before[1] < after[0] for share in shares for before, after in pairwise(share)):
            return number
    return None
