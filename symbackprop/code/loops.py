"""Loops over equal layers: lines that differ in the number of the layer alone are written once.

In go items, the lines of one statement each, out come lines in which a run of such layers is a loop.
What the loops read and write, such as x1, x2, …, then stands in a dict by layer, x[1], x[2], ….
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

LEAST = 16
"""Layers that have to be alike before they become a loop."""
LAYER = "layer"
"""What counts the layers in the code."""
COLUMNS = 76
"""Columns of a line without its indentation, of up to twelve."""

_NAME = re.compile(r"\b([A-Za-z_]\w*?)(\d+)\b")


@dataclass(frozen=True)
class Item:
    """The lines of one statement; ``like`` is what else is the same in layers that are alike."""

    name: str
    lines: tuple[str, ...]
    number: int = 0
    like: object = None


@dataclass(frozen=True)
class Comments:
    """Gives the comment lines of an equation, and of one for any layer, by the numbers of the outermost."""

    one: Callable[[int], Iterable[str]]
    any: Callable[[int, int], Iterable[str]]


@dataclass(frozen=True)
class Loop:
    """A run of layers, in order, and the items of its first one."""

    layers: range
    items: tuple[Item, ...]
    last: tuple[Item, ...]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The name and the first line of each item."""
        return [(item.name, item.lines[0]) for item in self.items]

    @property
    def head(self) -> str:
        """The line that begins the loop."""
        return f"for {LAYER} in {turns(self.layers)}:"


class Rolled:
    """Items with the runs of equal layers among them as loops.

    Args:
        items: the statements in order.
        names: the names of the arrays; those that end in a number belong to that layer.
        reserved: what else stands in the code, and can't be the name of a dict.
        columns: of a line of a loop without its indentation.
    """

    def __init__(
        self,
        items: Sequence[Item],
        names: Iterable[str],
        reserved: Collection[str],
        columns: int = COLUMNS,
    ) -> None:
        self.columns = columns
        self.layered = {name: split for name in names if (split := _split(name)) is not None}
        blocks = [(layer, tuple(group)) for layer, group in groupby(items, lambda i: self._layer(i.name))]
        self.parts: list[Item | Loop] = list(self._with_loops(blocks))
        self.dicts = self._dicts()
        """The stem of each array that is kept by layer, and its layers."""
        others = {*reserved, *names, *(_words(items) - self.layered.keys())}
        gaps = any(f"{stem}{n}" not in self.layered for stem, layers in self.dicts.items() for n in layers)
        if gaps or not others.isdisjoint((*self.dicts, LAYER)):
            self.parts, self.dicts = list(items), {}

    def holds(self, name: str) -> bool:
        """Whether an array is kept in a dict by layer."""
        stem, number = self.layered.get(name, ("", 0))
        return number in self.dicts.get(stem, ())

    def text(self, line: str) -> str:
        """Return a line outside of the loops."""
        return _spaced(_NAME.sub(lambda m: f"{m[1]}[{m[2]}]" if self.holds(m[0]) else m[0], line))

    def lines(self, part: Item | Loop, comments: Comments) -> Iterator[str]:
        """Yield the lines of a statement or of a loop, under their equations."""
        if isinstance(part, Item):
            yield from comments.one(part.number)
            for inner in self._inner(part):
                if isinstance(inner, str):
                    yield from broken(self.text(inner), self.columns + 4)
                else:
                    yield from self._lines_of_terms(inner)
            return
        yield part.head
        for first, last in zip(part.items, part.last, strict=True):
            own = (*comments.any(first.number, last.number), *self._in_loop(first, part.layers.start))
            yield from (f"    {line}" for line in own)

    def _in_loop(self, item: Item, layer: int) -> list[str]:
        """Return the lines of an item of the layer ``layer`` in its loop."""
        lines = (self.inside(line, layer) for line in item.lines)
        return [part for line in lines for part in broken(line, self.columns)]

    def _lines_of_terms(self, loop: Loop) -> Iterator[str]:
        """Yield the lines of a loop within a statement, such as the terms of a sum over layers."""
        lines = [line for item in loop.items for line in item.lines]
        indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
        yield f"{indent}{loop.head}"
        yield from (f"    {self.inside(line, loop.layers.start)}" for line in lines)

    def _inner(self, item: Item) -> Iterator[str | Loop]:
        """Yield the lines of a statement; those of terms that differ in the layer alone as a loop."""
        if item.name in self.layered or len(item.lines) < LEAST:
            yield from item.lines
            return
        blocks = [
            (layer, tuple(Item("", (line,)) for line in group))
            for layer, group in groupby(item.lines, self._layer_of_line)
        ]
        for part in self._with_loops(blocks):
            yield from [part] if isinstance(part, Loop) else part.lines

    def _layer_of_line(self, line: str) -> int | None:
        """Return the layer of a line whose arrays are all of one."""
        layers = {self.layered[m[0]][1] for m in _NAME.finditer(line) if m[0] in self.layered}
        return layers.pop() if len(layers) == 1 else None

    def inside(self, line: str, layer: int) -> str:
        """Return a line of the layer ``layer`` as a line of its loop."""
        return _spaced(_NAME.sub(lambda m: self._moved(m, layer), line))

    def _moved(self, match: re.Match[str], layer: int) -> str:
        if match[0] not in self.layered:
            return match[0]
        stem, number = self.layered[match[0]]
        return f"{stem}[{LAYER}{_offset(number - layer)}]"

    def _with_loops(self, blocks: Sequence[_Block]) -> Iterator[Item | Loop]:
        for run in self._runs(blocks):
            first, last = run[0][0], run[-1][0]
            if len(run) >= LEAST and first is not None and last is not None and self._fits(run[0]):
                step = 1 if last > first else -1
                yield Loop(range(first, last + step, step), run[0][1], run[-1][1])
            else:
                yield from (item for _, block in run for item in block)

    def _fits(self, block: _Block) -> bool:
        """Whether the lines of a layer are short enough as lines of a loop."""
        layer, items = block
        return all(len(line) <= self.columns for item in items for line in self._in_loop(item, layer or 0))

    def _layer(self, name: str) -> int | None:
        return self.layered[name][1] if name in self.layered else None

    def _runs(self, blocks: Sequence[_Block]) -> Iterator[list[_Block]]:
        """Yield the longest runs of neighbouring layers that are alike."""
        run: list[_Block] = []
        for block in blocks:
            layers = [layer for layer, _ in (*run[-2:], block)]
            if run and not (_is_even(layers) and self._alike(run[-1], block)):
                yield run
                run = []
            run.append(block)
        if run:
            yield run

    def _alike(self, a: _Block, b: _Block) -> bool:
        """Whether the items of two layers are the same but for the layer."""
        if [item.like for item in a[1]] != [item.like for item in b[1]]:
            return False  # the usual case, seen quickly
        return [self._key(i, a[0] or 0) for i in a[1]] == [self._key(i, b[0] or 0) for i in b[1]]

    def _key(self, item: Item, layer: int) -> tuple[str, ...]:
        return tuple(self.inside(line, layer) for line in (item.name, *item.lines))

    def _dicts(self) -> dict[str, range]:
        """Return the stems of what the loops read and write, in order, each with its layers."""
        numbers: dict[str, set[int]] = {}
        inner = [p for part in self.parts if isinstance(part, Item) for p in self._inner(part)]
        for loop in (part for part in (*self.parts, *inner) if isinstance(part, Loop)):
            for item in (*loop.items, *loop.last):
                for match in _NAME.finditer("\n".join((item.name, *item.lines))):
                    if match[0] in self.layered:
                        numbers.setdefault(match[1], set()).add(int(match[2]))
        return {stem: range(min(found), max(found) + 1) for stem, found in numbers.items()}


def _is_even(layers: Sequence[int | None]) -> bool:
    """Whether layers follow each other upwards or downwards."""
    numbers = [layer for layer in layers if layer is not None]
    steps = {after - before for before, after in pairwise(numbers)}
    return len(numbers) == len(layers) and steps in ({1}, {-1})


_Block = tuple[int | None, tuple[Item, ...]]


def _split(name: str) -> tuple[str, int] | None:
    """Return the stem and the layer of a name such as x17, None where it has no layer."""
    match = _NAME.fullmatch(name)
    plain = match is not None and str(int(match[2])) == match[2]
    return (match[1], int(match[2])) if match is not None and plain else None


def broken(line: str, columns: int) -> list[str]:
    """Return a statement, in three lines where it is too long: in brackets, or at its last ones."""
    name, equals, value = line.partition(" = ")
    if len(line) <= columns or not equals:
        return [line]
    if len(value) + 4 > columns and value.endswith(")"):
        depth = 0
        for at in range(len(value) - 1, -1, -1):
            depth += {")": 1, "(": -1}.get(value[at], 0)
            if depth == 0:
                return [f"{name} = {value[: at + 1]}", f"    {value[at + 1 : -1]}", ")"]
    return [f"{name} = (", f"    {value}", ")"]


def _spaced(line: str) -> str:
    """Return a line with its powers as formatters have them where the base is no name any more."""
    return line.replace("]**", "] ** ")


def _words(items: Sequence[Item]) -> set[str]:
    return {word for item in items for line in item.lines for word in re.findall(r"[A-Za-z_]\w*", line)}


def _offset(distance: int) -> str:
    return "" if distance == 0 else f" {'+' if distance > 0 else '-'} {abs(distance)}"


def turns(layers: range) -> str:
    """Return a range of layers in the code."""
    step = "" if layers.step == 1 else f", {layers.step}"
    return f"range({layers.start}, {layers.stop}{step})"


def rolled_entries(entries: Mapping[str, str], arrays: Rolled | None = None) -> list[str]:
    """Return the lines of a dict's entries; those of equal layers are one entry.

    ``entries`` holds the text of each value by its key; ``arrays`` are those that the values are.
    """
    names = [*entries, *(entries.values() if arrays else ())]
    held = arrays.holds if arrays else bool
    items = [Item(key, (value,), like=held(value)) for key, value in entries.items()]
    rolled = Rolled(items, names, ())
    loops = [part for part in rolled.parts if isinstance(part, Loop)]
    lines = []
    for part in rolled.parts if all(loop.items[0].like for loop in loops) else items:
        if isinstance(part, Item):
            value = arrays.text(part.lines[0]) if arrays else part.lines[0]
            lines.append(f'"{part.name}": {value},')
        else:
            lines += _comprehension(part, rolled)
    return lines


def _comprehension(loop: Loop, rolled: Rolled) -> Iterator[str]:
    """Yield the lines that unpack the entries of equal layers into a dict."""
    if len(loop.items) == 1:
        (key, text) = _entry(loop, rolled)[0]
        yield from comprehension(f"{key}: {text}", loop.layers, "**{", "},")
        return
    yield "**{"
    yield "    name: value"
    yield f"    for {LAYER} in {turns(loop.layers)}"
    yield "    for name, value in ("
    yield from (f"        ({key}, {text})," for key, text in _entry(loop, rolled))
    yield "    )"
    yield "},"


def _entry(loop: Loop, rolled: Rolled) -> list[tuple[str, str]]:
    """Return the keys and the values of any of the layers."""
    keys = [f'f"{rolled.layered[name][0]}{{{LAYER}}}"' for name, _ in loop.pairs]
    values = [value.replace(f'"{name}"', key) for key, (name, value) in zip(keys, loop.pairs, strict=True)]
    return [(key, rolled.inside(value, loop.layers.start)) for key, value in zip(keys, values, strict=True)]


def comprehension(entry: str, layers: range, before: str, after: str) -> list[str]:
    """Return the lines of a dict of one entry for each layer, laid out as formatters have it."""
    every = f"for {LAYER} in {turns(layers)}"
    if len(f"{before}{entry} {every}{after}") <= COLUMNS:
        return [f"{before}{entry} {every}{after}"]
    if len(f"    {entry} {every}") <= COLUMNS:
        return [before, f"    {entry} {every}", after]
    return [before, f"    {entry}", f"    {every}", after]
