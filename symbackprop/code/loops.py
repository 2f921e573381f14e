"""Loops over equal layers: blocks that differ in the number of the layer alone become one loop.

What the loops read and write, such as x1, x2, …, is then kept by layer, under `Layered` names.
Which names belong to which layer is said by those who made them, see `layered_names`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, pairwise
from typing import Generic, TypeVar

from symbackprop.arrays.operations import Layered, Name
from symbackprop.code.lines import INDENT, lines_of
from symbackprop.code.statements import (
    BeforeLast,
    Block,
    Instruction,
    Loop,
    Renaming,
    When,
    is_like,
    names_of,
)
from symbackprop.code.text import LAYER
from symbackprop.equations.system import EquationSystem

LEAST = 16
"""Layers that have to be alike before they become a loop."""
LEAST_USES = 4
"""Uses of a block from which on those that are alike become a loop."""


def layered_names(system: EquationSystem, code: Callable[[str], str]) -> dict[str, Layered]:
    """Return the names in the code of what belongs to a layer: quantities with a role, and their adjoints.

    ``code`` gives the name in the code.  One that does not end in the number of its layer can't be kept
    under that.
    """
    found = [
        (own := code(name), Layered(own.removesuffix(str(role.layer)), role.layer))
        for quantity, role in system.roles.items()
        for name in (quantity, system.adjoints[quantity].name)
    ]
    return {name: layered for name, layered in found if name == layered.alone}


@dataclass(frozen=True)
class Uses:
    """What belongs to one of many uses of a block: the layer of each name in the code.

    The adjoint of what one use hands on is computed by the next one, whose layer it has.
    """

    layers: Mapping[str, int]

    @classmethod
    def of(cls, system: EquationSystem, code: Callable[[str], str]) -> Uses:
        """Return the names of a system's quantities and adjoints, as ``code`` gives them."""
        handed_on = system.handed_on(LEAST_USES)
        found: dict[str, int] = {}
        for quantity, role in system.roles.items():
            on = role.word in handed_on
            if role.uses >= LEAST_USES or on:
                found[code(quantity)] = role.layer
                found[code(system.adjoints[quantity].name)] = role.layer + on
        return cls(found)

    def __bool__(self) -> bool:
        return bool(self.layers)

    def holds(self, names: Iterable[str]) -> bool:
        """Whether all of these belong to uses."""
        return all(name in self.layers for name in names)

    def not_in_first(self, names: Iterable[str], layered: Mapping[str, Layered]) -> set[str]:
        """Return those names of what is computed that the first layer has none like."""
        own = {name: layered[name].stem for name in names if name in self.layers and name in layered}
        first: dict[str, int] = {}
        for name, stem in own.items():
            first[stem] = min(self.layers[name], first.get(stem, self.layers[name]))
        usual = max(Counter(first.values()).items(), key=lambda found: found[1], default=(0, 0))[0]
        return {name for name, stem in own.items() if first[stem] > usual}

    def enter(
        self,
        blocks: list[Block],
        part: Block,
        beside: str,
        layered: Collection[str],
        others: Collection[str],
    ) -> bool:
        """Enter what several layers read, before the blocks of one of them; return whether it can be there.

        It can't where the statement ``beside`` it belongs to no use; where it is ``layered``, so of that use
        alone; and where it reads something of that use, or one of the ``others`` of the statement.
        """
        if not part.inner or beside not in self.layers or part.name in layered:
            return False
        start = len(blocks)
        while start and self.layers.get(str(blocks[start - 1].name)) == self.layers.get(beside):
            start -= 1
        made = {*others, *(name for block in blocks[start:] for name in block.writes)}
        if not made.isdisjoint(part.names):
            return False
        blocks.insert(start, part)
        return True


NO_USES = Uses({})


def in_loops(
    layer: int | None, layered: Mapping[str, Layered], kept: Collection[str] | None = None
) -> dict[str, int]:
    """Return by how many columns names are longer in the loop of their layer than outside of it.

    Where it is known, ``kept`` are the stems of those that are kept by layer; others lose their number.
    """
    if layer is None:
        return {}
    found = {}
    for name, own in layered.items():
        if kept is not None and own.stem not in kept:
            found[name] = -len(str(own.layer))
            continue
        distance = own.layer - layer
        entry = f"[{LAYER}]" if distance == 0 else f"[{LAYER} + 1]" if abs(distance) == 1 else ""
        found[name] = max(0, len(entry) - len(str(own.layer)))
    return found


def counted_from(layer: int, layered: Mapping[str, Layered]) -> Renaming:
    """Return what gives names the distance of their layer from ``layer``."""

    def change(name: Name) -> Name:
        found = layered.get(name) if isinstance(name, str) else None
        return name if found is None else Layered(found.stem, found.layer - layer, counted=True)

    return change


# ---------------------------------------------------------------- runs of equal layers

Member = TypeVar("Member")


@dataclass(frozen=True)
class Group(Generic[Member]):
    """What stands together for a layer."""

    layer: int | None
    members: tuple[Member, ...]


def runs_of(
    members: Iterable[Member],
    layer_of: Callable[[Member], int | None],
    is_like: Callable[[Member, Member, int], bool],
) -> Iterator[list[Group[Member]]]:
    """Yield neighbours of the same layer together, in the longest runs of neighbouring layers that are alike.

    ``is_like`` says whether two members are the same but for the layer, the second so many layers further.
    """
    run: list[Group[Member]] = []
    for layer, neighbours in groupby(members, layer_of):
        group = Group(layer, tuple(neighbours))
        layers = [each.layer for each in (*run[-2:], group)]
        if run and not (_is_even(layers) and _are_alike(run[-1], group, is_like)):
            yield run
            run = []
        run.append(group)
    if run:
        yield run


def _are_alike(
    group: Group[Member], other: Group[Member], is_like: Callable[[Member, Member, int], bool]
) -> bool:
    distance = (other.layer or 0) - (group.layer or 0)
    return len(group.members) == len(other.members) and all(
        is_like(one, two, distance) for one, two in zip(group.members, other.members, strict=True)
    )


def _is_even(layers: Sequence[int | None]) -> bool:
    """Whether layers follow each other upwards or downwards."""
    numbers = [layer for layer in layers if layer is not None]
    steps = {after - before for before, after in pairwise(numbers)}
    return len(numbers) == len(layers) and steps in ({1}, {-1})


def least_of(names: Iterable[str], uses: Uses) -> int:
    """Return how many layers with such names make a loop: of many uses the first and the last may differ."""
    return LEAST_USES - 2 if uses and uses.holds(names) else LEAST


def turns_of(run: Sequence[Group[Member]], least: int) -> range | None:
    """Return the layers of a run, None where it is too short for a loop."""
    first, last = run[0].layer, run[-1].layer
    if len(run) < least or first is None or last is None:
        return None
    step = 1 if last > first else -1
    return range(first, last + step, step)


class ByLayer:
    """What loops keep by layer.

    Args:
        layered: the names that belong to layers.
        looped: what loops read and write.
    """

    def __init__(self, layered: Mapping[str, Layered], looped: Iterable[Layered]) -> None:
        numbers: dict[str, list[int]] = {}
        for name in looped:
            numbers.setdefault(name.stem, []).append(name.layer)
        self.layered = layered
        self.layers = {stem: range(min(found), max(found) + 1) for stem, found in numbers.items()}
        """The stem of each array that is kept by layer, and its layers."""

    def clash(self, others: Collection[Name]) -> bool:
        """Whether layers are missing in between, or something is called as what is kept by layer."""
        wanted = {Layered(stem, n) for stem, layers in self.layers.items() for n in layers}
        free = LAYER not in self.layers and {*others}.isdisjoint((*self.layers, LAYER))
        return not (free and wanted <= {*self.layered.values()})

    def holds(self, name: str) -> bool:
        """Whether an array is kept by layer."""
        return name in self.layered and self.layered[name].layer in self.layers.get(
            self.layered[name].stem, ()
        )

    def name(self, name: Name) -> Name:
        """Return the name of an array outside of loops."""
        return self.layered[name] if isinstance(name, str) and self.holds(name) else name


# ---------------------------------------------------------------- blocks


class Rolled:
    """Blocks with the runs of equal layers among them as loops.

    Args:
        blocks: the instructions in order.
        layered: the names that belong to layers.
        names: the names of the arrays.
        reserved: what else stands in the code, and can't be the name of what is kept by layer.
        columns: of a line of a loop without its indentation.
        uses: what belongs to one of many uses of a block.
        wanted: the names that are read after all, None where all arrays are buffers.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        layered: Mapping[str, Layered],
        names: Collection[str],
        reserved: Collection[str],
        columns: int,
        uses: Uses = NO_USES,
        wanted: Collection[str] | None = None,
    ) -> None:
        self.columns = columns
        self.uses = uses
        self.layered = {name: layer for name, layer in layered.items() if name in names}
        parts = list(self._with_loops(blocks))
        if wanted is not None:
            parts = self._with_plain_names(parts, {*reserved, *names, *wanted}, wanted)
        self.kept = ByLayer(self.layered, _looped(parts))
        if self.dicts:
            others = (name for name in names_of(parts) if name not in self.layered)
            if self.kept.clash({*reserved, *names, *others}):
                self.kept, parts = ByLayer(self.layered, ()), list(blocks)
            parts = [part.renamed(self.kept.name) for part in parts]
        self.parts = parts
        """The blocks and the loops, with the names that they have in the code."""

    @property
    def dicts(self) -> dict[str, range]:
        """The stem of each array that is kept by layer, and its layers."""
        return self.kept.layers

    def holds(self, name: str) -> bool:
        """Whether an array is kept by layer."""
        return self.kept.holds(name)

    def take_out(self, stems: Collection[str]) -> None:
        """Keep what has these names no longer by layer: it is one array, which all layers take in turn."""
        self.parts = [part.renamed(partial(_without_layer, stems)) for part in self.parts]
        for stem in stems:
            del self.kept.layers[stem]

    def _with_loops(self, blocks: Sequence[Block]) -> Iterator[Block | Loop]:
        runs = list(runs_of(blocks, self._layer, self._is_like))
        for run, after in zip(runs, [*runs[1:], []], strict=True):
            least = least_of((str(block.name) for group in run[:1] for block in group.members), self.uses)
            layers = turns_of(run, least) if run else None
            loop = self._loop_with_less(layers, run, after[0]) if layers and after else None
            if loop is not None:
                del after[0]
            elif layers is not None:
                loop = self._fitting(self._loop(layers, run))
            if loop is not None:
                yield loop
            else:
                yield from (self._with_terms(block) for group in run for block in group.members)

    def _layer(self, block: Block) -> int | None:
        name = str(block.name)
        own = self.layered.get(name)
        return self.uses.layers.get(name, None if own is None else own.layer)

    def _is_like(self, one: Instruction, two: Instruction, distance: int) -> bool:
        """Whether instructions are the same but for the layer, that of the second so much further."""

        def are_like(name: Name, other: Name) -> bool:
            first, second = self.layered.get(str(name)), self.layered.get(str(other))
            if first is None or second is None:
                return name == other
            return first.stem == second.stem and second.layer - first.layer == distance

        return is_like(one, two, are_like)

    def _loop(self, layers: range, run: Sequence[Group[Block]]) -> Loop:
        return Loop(layers, tuple(self._turn(layers, run, run[-1].members)))

    def _turn(
        self, layers: range, run: Sequence[Group[Block]], last: Sequence[Block | None]
    ) -> Iterator[Block]:
        """Yield the blocks of a turn, with the numbers of the ``last`` ones; None is that of the run."""
        counted = counted_from(layers[0], self.layered)
        for first, own, before in zip(run[0].members, last, run[-1].members, strict=True):
            yield replace(first.renamed(counted), last=(own or before).number)

    def _loop_with_less(self, layers: range, run: Sequence[Group[Block]], less: Group[Block]) -> Loop | None:
        """Return the loop with a last turn that carries out ``less`` than those of a run, None without one.

        The derivative of what the first layer reads is one that nobody needs where that is data.
        """
        layers, distance = range(layers.start, layers.stop + layers.step, layers.step), layers.step
        if less.layer != layers[-1]:
            return None
        rest, last = list(less.members), list[Block | None]()
        for member in run[-1].members:
            last.append(rest.pop(0) if rest and self._is_like(member, rest[0], distance) else None)
        turn = zip(self._turn(layers, run, last), last, strict=True)
        parts = [
            (left, tuple(b for b, _ in both)) for left, both in groupby(turn, lambda both: both[1] is None)
        ]
        if rest or len(less.members) <= sum(left for left, _ in parts):
            return None
        inner: list[Instruction] = []
        for left, own in parts:
            inner += [BeforeLast(layers[-1], layers.step < 0, own)] if left else own
        return self._fitting(Loop(layers, tuple(inner)))

    def _with_plain_names(
        self, parts: Sequence[Block | Loop], taken: Collection[str], wanted: Collection[str]
    ) -> list[Block | Loop]:
        """Return blocks and loops in which what one turn alone writes and reads is not kept by layer."""
        stems = [self._stems(part.names) for part in parts]
        often = Counter(stem for own in stems for stem in own)
        elsewhere = {*taken, *self._stems(wanted), *(stem for stem, count in often.items() if count > 1)}
        found: list[Block | Loop] = []
        for part in parts:
            if isinstance(part, Loop):
                own = [name for name in part.names if isinstance(name, Layered)]
                far = {name.stem for name in own if name.layer}
                plain = self._stems(part.writes) - far - elsewhere
                part = part.renamed(partial(_without_layer, plain))
            found.append(part)
        return found

    def _stems(self, names: Iterable[Name]) -> set[str]:
        """Return the stems of the names that belong to layers."""
        layered = (name if isinstance(name, Layered) else self.layered.get(name) for name in names)
        return {name.stem for name in layered if name is not None}

    def _fitting(self, loop: Loop) -> Loop | None:
        return loop if self._fits(loop, self.columns) else None

    def _fits(self, loop: Loop, columns: int) -> bool:
        """Whether the lines of a loop are short enough."""
        return all(len(line) <= columns for line in lines_of(loop.body, columns))

    # ------------------------------------------------------------ terms of a sum over layers

    def _with_terms(self, block: Block) -> Block:
        """Return a block of no layer with instructions that differ in the layer alone as loops."""
        if block.name in self.layered:
            return block
        return replace(block, inner=tuple(self._terms(block.inner, self.columns)))

    def _terms(self, inner: Sequence[Instruction], columns: int) -> Iterator[Instruction]:
        for run in runs_of(inner, self._layer_of_names, self._is_like):
            names = (str(name) for instruction in run[0].members for name in instruction.names)
            layers = turns_of(run, least_of((name for name in names if name in self.layered), self.uses))
            loop = None if layers is None else self._loop_of_terms(layers, run[0].members)
            if loop is not None and self._fits(loop, columns):
                yield loop
            else:
                yield from (self._opened(each, columns) for group in run for each in group.members)

    def _opened(self, instruction: Instruction, columns: int) -> Instruction:
        """Return an instruction with the loops among those under its condition."""
        if not isinstance(instruction, When):
            return instruction
        return replace(instruction, inner=tuple(self._terms(instruction.inner, columns - INDENT)))

    def _layer_of_names(self, instruction: Instruction) -> int | None:
        """Return the layer of an instruction whose names are all of one, where they are of any."""
        layers = {self.layered[name].layer for name in instruction.names if name in self.layered}
        return layers.pop() if len(layers) == 1 else None

    def _loop_of_terms(self, layers: range, first: Iterable[Instruction]) -> Loop:
        counted = counted_from(layers[0], self.layered)
        return Loop(layers, tuple(instruction.renamed(counted) for instruction in first))


def _without_layer(stems: Collection[str], name: Name) -> Name:
    return name.stem if isinstance(name, Layered) and name.stem in stems else name


def _looped(parts: Iterable[Instruction]) -> Iterator[Layered]:
    """Yield what the first and the last turns of loops read and write."""
    for part in parts:
        if isinstance(part, Loop):
            for layer in (part.layers[0], part.layers[-1]):
                yield from (name for name in names_of(part.turn(layer)) if isinstance(name, Layered))
        else:
            yield from _looped(part.body)
