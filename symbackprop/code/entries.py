"""The entries of a dict in the code: those of equal layers are one entry."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from symbackprop.arrays.operations import Layered, Name, Operation
from symbackprop.code.layout import Comprehension, each_its_own
from symbackprop.code.lines import turns
from symbackprop.code.loops import NO_USES, ByLayer, Group, Uses, counted_from, least_of, runs_of, turns_of
from symbackprop.code.statements import renamed
from symbackprop.code.text import LAYER, write
from symbackprop.equations.system import EquationSystem

COLUMNS = 76
"""Columns of an entry without its indentation, of up to twelve."""


@dataclass(frozen=True)
class Keyed:
    """A value in whose text the key stands, in quotes, between others."""

    before: str
    after: str


@dataclass(frozen=True)
class _Entry:
    """A key with its value: a text, one that holds the key, or an array."""

    key: Name
    value: str | Keyed | Operation
    keys: Keys = field(compare=False)

    def text(self) -> str:
        """Return the text of the value."""
        if isinstance(self.value, Operation):
            return write(self.value).code
        if isinstance(self.value, Keyed):
            return f"{self.value.before}{self.quoted()}{self.value.after}"
        return self.value

    def quoted(self) -> str:
        """Return the text of the key; in a loop that of any layer."""
        return f'"{self.key}"' if isinstance(self.key, str) else self.keys.of(self.key.stem)


class Keys:
    """The keys of what belongs to layers: words of layers under which quantities stand in dicts.

    That of a parameter may count the uses of a block inside of the layers: gain1, gain3, … in layers 1, 2, ….
    Only keys that a formula of the layer's number gives are those of a loop.
    """

    def __init__(self, layered: Mapping[str, Layered]) -> None:
        names: dict[str, dict[int, str]] = {}
        for name, place in layered.items():
            names.setdefault(place.stem, {})[place.layer] = name
        self._texts = {word: text for word, own in names.items() if (text := _text_of_keys(word, own))}
        self.layered = {name: place for name, place in layered.items() if place.stem in self._texts}

    @classmethod
    def of_system(cls, system: EquationSystem) -> Keys:
        """Return the keys of a system's quantities."""
        return cls({name: Layered(role.word, role.layer) for name, role in system.roles.items()})

    def of(self, word: str) -> str:
        """Return the text of the key for the layer of a loop's turn."""
        return self._texts[word].key()

    def dicts(self, wanted: Iterable[ByKey], columns: int) -> list[str]:
        """Return the lines that make dicts by layer, many in one go whose keys differ in a word."""
        alike: dict[tuple[str, _Key, range], dict[str, str]] = {}
        lines: list[str] = []
        for stem, where, keys in wanted:
            layers, last = list(keys), self.layered.get([*keys.values()][-1])
            if last is None:
                lines += [f"{stem} = {{", *(f'    {n}: {where}["{key}"],' for n, key in keys.items()), "}"]
            else:
                key = self._texts[last.stem]
                kind = where, replace(key, word="{name}"), range(layers[0], layers[-1] + 1)
                alike.setdefault(kind, {})[stem] = key.word
        for (where, key, span), words in alike.items():
            value = Comprehension(f"{LAYER}: {where}[{key.key()}]", f"for {LAYER} in {turns(span)}")
            together = each_its_own(list(words), value, [f'"{w}"' for w in words.values()], columns)
            alone = [
                line
                for stem, word in words.items()
                for line in comprehension(
                    f"{LAYER}: {where}[{replace(key, word=word).key()}]", span, f"{stem} = {{", "}", columns
                )
            ]
            lines += together if len(together) < len(alone) else alone
        return lines


ByKey = tuple[str, str, Mapping[int, str]]
"""A dict by layer: its name, the dict that holds its values, and the key of each layer there."""


@dataclass(frozen=True)
class _Key:
    """A key that is made of a word, a formula of the layer's number, and underscores behind."""

    word: str
    number: str
    end: str = ""

    def key(self) -> str:
        """Return its text."""
        return f'f"{self.word}{{{self.number}}}{self.end}"'


def _text_of_keys(word: str, names: Mapping[int, str]) -> _Key | None:
    """Return the key that gives the names of layers by the number of the layer, None where none does."""
    if all(name == f"{word}{layer}" for layer, name in names.items()):
        return _Key(word, LAYER)
    split = {layer: re.fullmatch(r"(.*?)(\d+)(_*)", name) for layer, name in names.items()}
    parts = {layer: (found[1], int(found[2]), found[3]) for layer, found in split.items() if found}
    around = {(before, behind) for before, _, behind in parts.values()}
    if len(parts) < len(names) or len(around) > 1:
        return None
    (first, (before, start, behind)), *others = parts.items()
    slopes = {Fraction(number - start, layer - first) for layer, (_, number, _) in others} or {Fraction(1)}
    slope = slopes.pop()
    constant = start - slope * first
    if slopes or slope.denominator > 1 or slope < 1:
        return None
    factor = LAYER if slope == 1 else f"{slope} * {LAYER}"
    offset = f" {'+' if constant > 0 else '-'} {abs(constant)}" if constant else ""
    return _Key(before, factor + offset, behind)


def rolled_entries(
    values: Mapping[str, str | Keyed | Operation],
    layered: Mapping[str, Layered],
    kept: ByLayer | None = None,
    uses: Uses = NO_USES,
) -> list[str]:
    """Return the lines of a dict's entries.

    ``layered`` says to which layers keys belong; where values are arrays, ``kept`` which of these are kept
    by layer; ``uses`` holds the keys that belong to one of many uses of a block.
    """
    names = Keys(layered)
    own = {} if kept is None else {name: layer for name, layer in kept.layered.items() if kept.holds(name)}
    keys = {key: layer for key, layer in names.layered.items() if key in values}

    def relative(entry: _Entry, layer: int) -> _Entry:
        value = entry.value
        if isinstance(value, Operation):
            value = renamed(value, counted_from(layer, own))
        return _Entry(counted_from(layer, keys)(entry.key), value, names)

    def layer_of(entry: _Entry) -> int | None:
        return keys[entry.key].layer if entry.key in keys else None

    def is_like(one: _Entry, two: _Entry, distance: int) -> bool:
        layer = layer_of(one) or 0
        return relative(one, layer) == relative(two, layer + distance)

    entries = [_Entry(key, value, names) for key, value in values.items()]
    runs = list(runs_of(entries, layer_of, is_like))

    def layers_of(run: Sequence[Group[_Entry]]) -> range | None:
        return turns_of(run, least_of((str(entry.key) for entry in run[0].members), uses))

    looped = (
        keys[str(e.key)] for run in runs if layers_of(run) for g in (run[0], run[-1]) for e in g.members
    )
    if ByLayer(keys, looped).clash(values):
        runs = [[group] for run in runs for group in run]
    lines: list[str] = []
    for run in runs:
        layers = layers_of(run)
        if layers is not None:
            lines += _comprehension(layers, [relative(entry, layers[0]) for entry in run[0].members])
        else:
            lines += [_plain(entry, kept) for group in run for entry in group.members]
    return lines


def _plain(entry: _Entry, kept: ByLayer | None) -> str:
    """Return the line of one entry."""
    value = entry.value
    if isinstance(value, Operation) and kept is not None:
        value = renamed(value, kept.name)
    return f"{entry.quoted()}: {replace(entry, value=value).text()},"


def _comprehension(layers: range, entries: Sequence[_Entry]) -> Iterator[str]:
    """Yield the lines that unpack the entries of equal layers into a dict."""
    if len(entries) == 1:
        (entry,) = entries
        yield from comprehension(f"{entry.quoted()}: {entry.text()}", layers, "**{", "},")
        return
    yield "**{"
    yield "    name: value"
    yield f"    for {LAYER} in {turns(layers)}"
    yield "    for name, value in ("
    yield from (f"        ({entry.quoted()}, {entry.text()})," for entry in entries)
    yield "    )"
    yield "},"


def comprehension(entry: str, layers: range, before: str, after: str, columns: int = COLUMNS) -> list[str]:
    """Return the lines of a dict of one entry for each layer, laid out as formatters have it."""
    every = f"for {LAYER} in {turns(layers)}"
    if len(f"{before}{entry} {every}{after}") <= columns:
        return [f"{before}{entry} {every}{after}"]
    if len(f"    {entry} {every}") <= columns:
        return [before, f"    {entry} {every}", after]
    return [before, f"    {entry}", f"    {every}", after]
