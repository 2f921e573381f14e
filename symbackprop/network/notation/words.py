"""The names that uses of blocks give to what their blocks declare and define, and the layers they belong to.

A use of a block that is used several times is a layer.  What its block defines has the layer's number behind
a word: up1, up2, ….  So has what blocks define that are used inside of it: middle_l2 is the middle of the use
that returns l in layer 2.  Parameters count the uses of their own block, gain3; which gain of a layer that is
stands beside the name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

from symbackprop.equations.naming import split_name
from symbackprop.network.notation.lines import Made

LEAST = 4
"""Uses of a block from which on they are layers rather than those of blocks inside."""


@dataclass(frozen=True)
class UseStep:
    """A use on the way to a name: its block, its number among all uses of that, and where it stands.

    ``line`` and ``turn`` are the line and the turn of its repetition; ``word`` says these in names.
    """

    block: int
    number: int
    line: int
    turn: int
    word: str


Way = tuple[UseStep, ...]
"""The uses that are inside of one another, from the outermost on."""


@dataclass(frozen=True)
class _Layer:
    """A layer, and the way from there to a use inside of it."""

    block: int
    number: int
    way: Way

    @property
    def place(self) -> Hashable:
        """What uses at the same place in all layers have in common."""
        return self.block, tuple((step.line, step.turn) for step in self.way)


@dataclass(frozen=True)
class Uses:
    """All uses of a text: how many there are of each block, and on which ways."""

    totals: Counter[int] = field(default_factory=Counter)
    ways: list[Way] = field(default_factory=list)

    def layer(self, way: Way) -> _Layer | None:
        """Return the layer that a use belongs to: the outermost of many uses, or of several; None without."""
        for least in (LEAST, 2):
            for n, step in enumerate(way):
                if self.totals[step.block] >= least:
                    return _Layer(step.block, step.number, way[n + 1 :])
        return None


@dataclass
class _Word:
    """What is the same in all layers: words that it may have, and its name in each of the layers.

    Of what a layer returns, ``given`` are the names that each layer is given, in order; "" for what is
    neither computed nor data.
    """

    words: Sequence[str]
    names: dict[int, str] = field(default_factory=dict)
    word: str = ""
    given: dict[int, Sequence[str]] = field(default_factory=dict)

    def before(self) -> Iterator[tuple[str, int]]:
        """Yield what is handed on to a layer and is returned by none, with the number before that."""
        pairs = [(n, place) for n in self.given for place in range(len(self.given[n]))]
        handed_on = {place for n, place in pairs if self.given[n][place] == self.names.get(n - 1)}
        for n, place in pairs:
            name = self.given[n][place]
            if name and place in handed_on and n - 1 not in self.names:
                yield name, n - 1


class Words:
    """Chooses names, and one word for what is the same in all layers.

    Args:
        uses: all uses of the text.
        taken: the names that are taken; new ones are entered.
        letters: the index letters, which no number is called.
    """

    def __init__(self, uses: Uses, taken: dict[str, None], letters: Container[str]) -> None:
        self.uses = uses
        self.taken = taken
        self.letters = letters
        self._layers: dict[Hashable, list[int]] = {}
        blocks: dict[Hashable, tuple[int, int]] = {}
        for way in uses.ways:
            if layer := uses.layer(way):
                self._layers.setdefault(layer.place, []).append(layer.number)
                blocks[layer.place] = layer.block, way[-1].block
        self._beside = Counter(blocks.values())  # places in a layer where the same block is used
        self._words: dict[tuple[Hashable, str], _Word] = {}
        self._data: set[str] = set()

    def name(self, way: Way, own: str, is_scalar: bool, is_parameter: bool) -> str:
        """Return the name for what a block calls ``own`` in its use at the end of a way."""
        layer, step = self.uses.layer(way), way[-1]
        if layer is None:
            return self._free([own], [""], is_scalar)
        words = [own]
        if layer.way:
            words += [f"{own}_{step.word}", "_".join((own, *(each.word for each in layer.way)))]
            words = words[self._beside[layer.block, step.block] > 1 :]
        found = self._words.setdefault((layer.place, own), _Word(words))
        if layer.way and not is_parameter:
            found.word = found.word or self._free(words, self._ends(layer.place), is_scalar)
            name = f"{found.word}{layer.number}"
        else:
            name = self._free([f"{own}{step.number}"], [""], is_scalar)
        found.names[layer.number] = name
        return name

    def returned(
        self, way: Way, own: str, name: str, given: Sequence[str], data: Collection[str] = ()
    ) -> None:
        """Enter the name of what a use returns, which its block calls ``own``, and of what it is given.

        Which of that are ``data``, that is said, too.
        """
        self._data.update(data)
        layer = self.uses.layer(way)
        if layer is not None and not layer.way:
            found = self._words.setdefault((layer.place, own), _Word([own]))
            found.names[layer.number], found.given[layer.number] = name, given

    def made(self) -> Iterator[Made]:
        """Yield what belongs to layers, with a word that no other name begins with."""
        entered = set[str]()
        for (place, own), found in self._words.items():
            word = (
                found.word or self._spelled(own, found) or self._free(found.words, self._ends(place), False)
            )
            before = [(name, number) for name, number in found.before() if name not in entered]
            for name, number in (*((name, number) for number, name in found.names.items()), *before):
                entered.add(name)
                yield Made(name, word, number, name in self._data)

    def _spelled(self, own: str, found: _Word) -> str | None:
        """Return the word that the names in all layers begin with, or that no other names begin with."""
        split = {split_name(name) for name in found.names.values()}
        words = {word for word, _ in split}
        numbered = all(name == f"{split_name(name).word}{n}" for n, name in found.names.items())
        if numbered and len(words) == 1:
            return words.pop()
        own_names = {f"{own}{n}" for n in found.names}
        return None if (own_names - {*found.names.values()}) & self.taken.keys() else own

    def _ends(self, place: Hashable) -> list[str]:
        """Return the numbers of the layers that have such a use."""
        return [str(number) for number in self._layers[place]]

    def _free(self, words: Iterable[str], ends: Collection[str], is_scalar: bool) -> str:
        """Return a word that makes new names with all of these ends."""
        for word in _candidates(words):
            names = [f"{word}{end}" for end in ends]
            if not any(name in self.taken or (is_scalar and name in self.letters) for name in names):
                self.taken |= dict.fromkeys(names)
                return word
        raise AssertionError(words)


def _candidates(words: Iterable[str]) -> Iterator[str]:
    """Yield words, then the first one with more and more underscores."""
    first, *others = dict.fromkeys(words)
    yield from chain([first], others, (first + "_" * number for number in count(1)))


def spelled_turn(turn: int, times: int) -> str:
    """Return what a turn of a repetition adds to a word: a, b, …, nothing where there is one alone."""
    letters = ""
    while times > 1 and turn >= 0:
        letters, turn = chr(ord("a") + turn % 26) + letters, turn // 26 - 1
    return f"_{letters}" if letters else ""
