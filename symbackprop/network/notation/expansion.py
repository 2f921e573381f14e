"""The uses of blocks written out: in go the files of a text, out come statements without blocks.

Each use has names of its own for what its block declares and defines, see `words`.  A block from another
file has letters of its own, too; uses that have the same axes and sizes have the same ones.  How many uses
there are shows when all are written out; so that is done twice.
"""

from __future__ import annotations

import ast
import re
from collections import ChainMap, Counter
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from typing import NoReturn

from symbackprop.equations.naming import LETTERS, free_name, split_name
from symbackprop.errors import suggestion
from symbackprop.library.formula import CONSTANTS
from symbackprop.network.notation.blocks import Block, File, check_blocks
from symbackprop.network.notation.lines import MAX_LINES, Made, Part, Statement, sides
from symbackprop.network.notation.names import LOSS, Names
from symbackprop.network.notation.reader import NetReader
from symbackprop.network.notation.spelling import Given, Head, Spelled, Use, made, placed
from symbackprop.network.notation.words import Uses, UseStep, Way, Words, spelled_turn

MAX_USES = 10_000
"""Uses of blocks in a text."""
MAX_NESTING = 30
"""Blocks that use one another."""
MAX_CHARACTERS = 8_000_000
"""Of a text with all uses written out."""


@dataclass(frozen=True)
class Same(Statement):
    """Says that the axes of a quantity run over the ranges of some letters; ``what`` says why."""

    name: str = ""
    letters: tuple[str, ...] = ()
    what: str = ""


@dataclass(frozen=True)
class _Number:
    """A formula of numbers, in the words outside, that stands for an argument of a use."""

    text: str


_Argument = str | _Number | None
"""What a use is given: the name of a quantity, a formula, or None for the block's own formula."""


@dataclass
class _Letters:
    """The letters of uses, those of the text where ``owner`` is None.

    ``number`` is that of the use, of ``total``, and ``used`` says where it stands.  ``images`` are what
    letters are called outside, ``given`` those whose size a keyword tells, ``wanted`` all of the block's.
    ``inner`` are the letters of uses inside of blocks that have these, which are the same in all of them.
    They are ``is_common`` where they are not those of one layer alone.
    """

    owner: File | None = None
    number: str = ""
    total: int = 1
    images: dict[str, str] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    wanted: set[str] = field(default_factory=set)
    used: tuple[str, ...] = ()
    inner: dict[Hashable, _Letters] = field(default_factory=dict)
    is_common: bool = False


@dataclass
class _Scope:
    """What words mean in a use of a block, or outside of blocks, where ``block`` is None.

    ``values`` are the numbers that constants stand for, as text, ``overridden`` the constants that a use
    gives another number, ``sized`` the letters that it gives a size, ``numbers`` the formulas that stand for
    arguments; ``used`` says where the use stands, ``way`` inside of which other ones, and ``back`` maps names
    to those in the block.  ``heading`` is the title of the section that the use is.
    """

    file: File
    letters: _Letters
    values: dict[str, str]
    block: Block | None = None
    used: tuple[str, ...] = ()
    names: dict[str, str] = field(default_factory=dict)
    back: dict[str, str] = field(default_factory=dict)
    overridden: dict[str, Part] = field(default_factory=dict)
    sized: frozenset[str] = frozenset()
    numbers: dict[str, str] = field(default_factory=dict)
    heading: str = ""
    way: Way = ()

    def at(self, part: Part) -> Part:
        """Return a part of the block, or of the text, whose errors tell where the block is used."""
        return placed(part, self.used)


Replaced = list[tuple[Statement, list[Statement]]]
"""Each statement that stands outside of blocks, with those that it stands for."""


@dataclass(frozen=True)
class InLayers:
    """What uses of blocks have made in layers, and the letters that are those of no single layer."""

    made: tuple[Made, ...] = ()
    common: frozenset[str] = frozenset()


def expanded(main: File, numbers: Mapping[str, int]) -> tuple[Replaced, InLayers]:
    """Return the statements outside of blocks with those that they stand for, and what is in layers.

    ``numbers`` are sizes that are known from elsewhere, by letter.

    Raises:
        SpecificationError: a block is used in a wrong way.
    """
    check_blocks(main)
    heights: dict[int, int] = {}
    for block in main.blocks.values():
        _height(block, [], heights)
    _check_local(main)
    first = _Expansion(main, numbers, None)
    first.run()
    second = _Expansion(main, numbers, first)
    replaced = second.run()
    return replaced, InLayers(tuple(second.words.made()), frozenset(second.common_letters()))


def _check_local(main: File) -> None:
    """Refuse what reads something inside of a block from outside."""
    blocks = [main.find(name) for name in sorted(main.block_names)]
    inside = {name: block for block in blocks for name in block.local}
    for line, own in _all_lines(main):
        for word in line.words:
            if word.is_letter or word.text in main.declared or word.text in own or word.text in CONSTANTS:
                continue
            name = next((n for n in (word.text, _plain(word.text)) if n in inside), None)
            if name is not None:
                problem = f"'{word.text}' is known inside of the block '{inside[name].name}' alone"
                line.statement.body.fail(problem, "outside one reads its result", word.start)


def _all_lines(main: File) -> Iterator[tuple[Spelled, Collection[str]]]:
    """Yield the lines of a text, each with the names that are local where it stands."""
    yield from ((item, ()) for item in main.items)
    for block in main.blocks.values():
        yield from ((line, block.names) for line in block.lines)


def _height(block: Block, above: list[Block], known: dict[int, int]) -> int:
    """Return how many blocks are nested in a block; refuse circles, and more than are allowed."""
    chain = [*above, block]
    for line in block.lines if id(block) not in known else ():
        if line.use is None:
            continue
        inner = block.file.find(line.use.block)
        if any(inner is each for each in chain):
            start = next(n for n, each in enumerate(chain) if each is inner)
            circle = " -> ".join(each.name for each in (*chain[start:], inner))
            line.use.part.fail(f"blocks use one another in a circle: {circle}", "a block can't use itself")
        known[id(block)] = max(known.get(id(block), 0), 1 + _height(inner, chain, known))
    height = known.setdefault(id(block), 0)
    if len(above) + height >= MAX_NESTING:
        block.part.fail(f"more than {MAX_NESTING} blocks use one another", "write some of them out")
    return height


class _Expansion:
    """Writes all uses out; ``first`` has done so before and knows how many there are, None the first time."""

    def __init__(self, main: File, numbers: Mapping[str, int], first: _Expansion | None) -> None:
        self.main = main
        self.first = first
        self.uses: Counter[int] = Counter()
        self.ways: list[Way] = []
        self.sets: Counter[int] = Counter()  # of letters
        self.letters = _Letters()
        self.constants: dict[tuple[int, str], dict[str, str]] = {}
        self.said: set[tuple[str, str]] = set()  # the numbers of letters and constants
        self.out: list[Statement] = []
        self.characters = self.lines = 0
        self.axes: dict[str, tuple[str, ...] | None] = {}
        self.numbers = {**_plain_sizes(main), **numbers}
        self.taken: dict[str, None] = {}
        self.taken_letters: dict[str, None] = {}
        self.scalars = set(main.scalars)
        self.shared: dict[tuple[str, str], str] = {}
        self.shared_letters: dict[str, _Letters] = {}
        for line, own in _all_lines(main):
            self._reserve(line, own)
        for block in main.blocks.values():
            self.taken_letters |= dict.fromkeys(sorted(block.letters))
        known = Uses() if first is None else Uses(first.uses, first.ways)
        self.words = Words(known, self.taken, self.taken_letters)

    def _reserve(self, item: Spelled, local: Collection[str]) -> None:
        """Take the names and letters in a statement of the text, which no use gets.

        A letter that has a size and nothing else may be one of a use.
        """
        if item.statement.keyword == "size":
            return
        words = [w.text for w in item.words if not w.is_letter]
        uses = (*item.use.arguments, *item.use.keywords) if item.use else ()
        words += [given.node.id for given in uses if isinstance(given.node, ast.Name)]
        self.taken |= dict.fromkeys(word for word in words if word not in local)
        self.taken_letters |= dict.fromkeys(w.text for w in item.words if w.is_letter)
        if item.head and not local:
            self.taken_letters |= dict.fromkeys(item.head.letters or ())
            if item.use is None:
                self.axes[item.head.name] = item.head.letters

    def run(self) -> Replaced:
        """Return each statement outside of blocks with those that it stands for."""
        scope = _Scope(self.main, self.letters, dict(self.main.values))
        uses = {id(item.statement): item for item in self.main.items if item.use}
        found, is_inside = [], False
        for statement in self.main.own:
            self.out = []
            scope.heading = scope.heading if statement.title is None else statement.title
            if id(statement) in uses:
                self._use(scope, uses[id(statement)])
                is_inside = True
            else:
                ends = is_inside and statement.keyword == ""
                self.out.append(replace(statement, title=scope.heading) if ends else statement)
                is_inside = is_inside and not ends
            found.append((statement, self.out))
        return found

    def common_letters(self) -> Iterator[str]:
        """Yield the letters that are not those of one layer alone: of several uses, or of one inside."""
        pending = [self.letters]
        while pending:
            letters = pending.pop()
            pending += letters.inner.values()
            if letters.is_common:
                yield from letters.images.values()

    # ------------------------------------------------------------ uses

    def _use(self, scope: _Scope, line: Spelled) -> None:
        """Write out a use, or as many as are asked for."""
        use, head = line.use, line.head
        assert use is not None
        assert head is not None
        part = scope.at(use.part)
        block = self._block(scope, use)
        if head.letters is None:
            scope.at(head.part).fail("a block's result has letters alone here", f"write {head.name} = ...")
        least, most, number = block.least, len(block.arguments), len(use.arguments)
        if not least <= number <= most:
            takes = f"{least} to {most}" if least < most else str(most)
            takes += " argument" if most == 1 else " arguments"
            part.fail(f"'{block.name}' takes {takes}, not {number}", f"it is {block.shown}")
        given = [self._argument(scope, argument, block) for argument in _arguments(block, use)]
        times = self._times(scope, use.times)
        first = self.uses[id(block)] + 1
        ways = []
        for turn in range(times):
            spelled = head.name + spelled_turn(turn, times)
            ways.append((*scope.way, UseStep(id(block), first + turn, id(line), turn, spelled)))
        names = [*self._results(scope, head, block, ways[:-1]), self._name(scope, head.name, head.part)]
        for way, name in zip(ways, names, strict=True):
            self._instance(scope, line, block, given, name, way is ways[-1], way)
            given = [name, *given[1:]]

    def _results(self, scope: _Scope, head: Head, block: Block, ways: Sequence[Way]) -> list[str]:
        """Return the names of the results before the last one of a repetition.

        Before x12 = repeat(layer, 12, x0) come x1, x2, …; before other results those of the block.
        """
        word, last = split_name(head.name)
        is_scalar = not block.result.letters
        if scope.block is None and ways and last == str(ways[-1][-1].number + 1):
            return [self._new(f"{word}{way[-1].number}", is_scalar) for way in ways]
        return [self._chosen(way, block.result.name, is_scalar, False) for way in ways]

    def _block(self, scope: _Scope, use: Use) -> Block:
        """Return the block that is used."""
        block = scope.file.find(use.block)
        if block.file is not scope.file and not self.uses[id(block)]:
            block.check()
            _height(block, [], {})
        return block

    def _argument(self, scope: _Scope, given: Given | None, block: Block) -> _Argument:
        """Return what a use is given: the name of a quantity, or what stands for one that is left out."""
        if given is None:
            return None
        if not isinstance(given.node, ast.Name):
            problem = f"what the block '{block.name}' is given must be the name of a quantity"
            hint = "give the formula an equation before"
            if isinstance(given.node, ast.Subscript) and isinstance(given.node.value, ast.Name):
                hint = f"write {given.node.value.id}, without indices"
            scope.at(given.part).fail(problem, hint)
        name = given.node.id
        if name in scope.numbers:
            return _Number(scope.numbers[name])
        if scope.file is self.main and name not in scope.names and name not in self.main.declared:
            known = {*(scope.block.names if scope.block else ()), *self.main.declared} - {LOSS}
            hint = suggestion(name, known) if known else "declare it first"
            scope.at(given.part).fail(f"unknown quantity '{name[:40]}'", hint)
        return self._name(scope, name, given.part)

    def _is_computed(self, name: str) -> bool:
        """Whether an equation or a use defines a quantity: what is declared keeps the name that it has."""
        item = self.main.declared.get(name)
        return item is None or item.statement.keyword == ""

    def _is_data(self, name: str) -> bool:
        """Whether a name is that of an input."""
        item = self.main.declared.get(name)
        return item is not None and item.statement.keyword == "input"

    def _instance(
        self,
        outer: _Scope,
        line: Spelled,
        block: Block,
        given: Sequence[_Argument],
        result: str,
        is_last: bool,
        way: Way,
    ) -> None:
        """Write out one use, the last one of ``way``."""
        use, head = line.use, line.head
        assert use is not None
        assert head is not None
        self._count(block, outer.at(use.part))
        self.ways.append(way)
        self._check_keywords(outer, block, use)
        scope, first = self._scope(outer, block, use, given, way), len(self.out)
        scope.heading = self._heading(block, line, outer)
        scope.names |= {
            each.name: name
            for each, name in zip(block.arguments, given, strict=True)
            if isinstance(name, str)
        }
        scope.names[block.result.name] = result
        left = [self._letter(outer.letters, letter) for letter in head.letters or ()] if is_last else []
        if block.file is not outer.file:
            self._prefer(scope.letters, block, given, left)
        self._check_scalars(scope, outer.at(use.part))
        self._keywords(outer, scope, use)
        for each, name, argument in zip(block.arguments, given, _arguments(block, use), strict=True):
            if argument is not None and isinstance(name, str):
                what = f"the block '{block.name}' takes {each.part.text}, line {each.part.line.number}"
                self._same(name, self._images(scope, each), what, outer.at(argument.part))
        self._name_all(scope, block)
        scope.numbers = dict(self._numbers(scope, block, given))
        names = [name if isinstance(name, str) else "" for name in given]
        data = {name for name in names if self._is_data(name)}
        handed = [name if name in data or self._is_computed(name) else "" for name in names]
        self.words.returned(way, block.result.name, result, handed, data)
        for each_line in block.lines:
            self._line(scope, each_line)
        what = f"the block's first line says {block.result.part.text}"
        self._same(result, self._images(scope, block.result), what, scope.at(block.result.part))
        if outer.block is None:
            self.out[first] = replace(self.out[first], title=scope.heading)
        if left:
            what = f"the result of '{block.name}' is {block.result.part.text}"
            self._same(result, left, what, outer.at(head.part))

    def _numbers(self, scope: _Scope, block: Block, given: Sequence[_Argument]) -> Iterator[tuple[str, str]]:
        """Yield the arguments for which formulas stand, with these."""
        for each, found in zip(block.arguments, given, strict=True):
            if isinstance(found, _Number):
                yield each.name, found.text
            elif found is None:
                text = self._translated(scope, block.spelled_numbers[each.name]).body.text
                yield each.name, text if re.fullmatch(r"[\w.]+|size\(\w+\)", text) else f"({text})"

    def _heading(self, block: Block, line: Spelled, outer: _Scope) -> str:
        """Return what heads the section that a use is: the title before it, or that of its block."""
        heading = f"{block.title or block.name} {self._number(block)}".rstrip()
        title = line.statement.title if outer.block is None else None
        if not title:
            return heading
        return title if line.use is not None and line.use.times is None else f"{title}: {heading}"

    def _count(self, block: Block, part: Part) -> None:
        """Count a use, and refuse too many."""
        self.uses[id(block)] += 1
        self.lines += len(block.lines)
        self.characters += sum(len(line.statement.body.text) for line in block.lines)
        if self.uses[id(block)] > MAX_USES:
            part.fail(f"more than {MAX_USES} uses of a block are not allowed")
        if self.lines > MAX_LINES or self.characters > MAX_CHARACTERS:
            part.fail("the uses of blocks make the text too long", f"{MAX_LINES} lines are allowed")

    def _scope(self, outer: _Scope, block: Block, use: Use, given: Sequence[_Argument], way: Way) -> _Scope:
        """Return the scope of a new use."""
        used = (f"  used in {use.part.line.place(use.part.column)}", *outer.used)
        sized = frozenset(keyword.keyword for keyword in use.keywords)
        letters = outer.letters
        if block.file is not outer.file:
            home, place = self._place(outer, block, use, given, way[-1])
            if place in home.inner:
                home.inner[place].is_common = True
            else:
                self.sets[id(block)] += 1
                is_only = self.first is not None and self.first.sets[id(block)] == 1
                number, total = self._number(block), 1 if self.first is None else self.first.uses[id(block)]
                number = "" if is_only else number
                home.inner[place] = _Letters(block.file, number, total, {}, sized, block.letters, used)
                home.inner[place].is_common = len(way) > 1
            letters = home.inner[place]
        return _Scope(block.file, letters, dict(block.file.values), block, used, sized=sized, way=way)

    def _place(
        self, outer: _Scope, block: Block, use: Use, given: Sequence[_Argument], step: UseStep
    ) -> tuple[_Letters, Hashable]:
        """Return what the letters of a use depend on, and inside of which others.

        That is what it is given where the axes of the result follow from this, else where it stands.
        """
        numbers = (each for each in use.keywords if each.keyword not in block.numbers)
        values = tuple((each.keyword, self._value(outer, each)) for each in numbers)
        axes = tuple(self._axes_of(found) for found in given)
        heads = (head for head, found in zip(block.arguments, given, strict=True) if isinstance(found, str))
        letters = {i for head in heads for i in head.letters or ()}
        if None in axes or not letters.issuperset(block.result.letters or ()):
            return outer.letters, (step.line, step.turn, values)
        return self.letters, (id(block), axes, values)

    def _axes_of(self, given: _Argument) -> tuple[str, ...] | str | None:
        """Return the axes of what a use is given, None where they are unknown; of a formula its text."""
        if isinstance(given, str):
            return self.axes.get(given)
        return "" if given is None else given.text

    def _number(self, block: Block) -> str:
        """Return the number of the present use, "" where it is the only one."""
        is_only = self.first is not None and self.first.uses[id(block)] == 1
        return "" if is_only else str(self.uses[id(block)])

    def _check_scalars(self, scope: _Scope, part: Part) -> None:
        """Refuse a number whose name outside is that of an index in the block: that could be meant."""
        block = scope.block
        assert block is not None
        images = {scope.letters.images.get(i, i) for i in block.letters}
        for head in (*block.arguments, block.result):
            name = scope.names.get(head.name)
            if not head.letters and name in images and name != head.name:
                problem = f"'{name}' is the name of an index in the block '{block.name}', too"
                part.fail(problem, "give the number another name")

    def _same(self, name: str, letters: Sequence[str], what: str, part: Part) -> None:
        """Say that a quantity has axes which run over the ranges of some letters."""
        same = Same("same", False, part, name=name, letters=tuple(letters), what=what)
        self.out.append(same)

    # ------------------------------------------------------------ numbers

    def _times(self, scope: _Scope, given: Given | None) -> int:
        """Return how often a block is used."""
        if given is None:
            return 1
        part = scope.at(given.part)
        value = NetReader(Part(part.line, self._value(scope, given), part.column), Names()).read()
        if not (value.is_Integer and value > 0):
            part.fail("how often a block is used is a whole number from 1", "write repeat(layer, 12, x)")
        if value > MAX_USES:
            part.fail(f"more than {MAX_USES} uses of a block are not allowed")
        return int(value)

    def _value(self, scope: _Scope, given: Given) -> str:
        """Return a formula of numbers, with the numbers of the constants and sizes in it."""
        start, text = given.node.col_offset, given.part.text
        edits = []
        for node, new in self._values_in(scope, given.node, scope.at(given.part)):
            assert node.end_col_offset is not None
            edits.append((node.col_offset - start, node.end_col_offset - start, new))
        for begin, end, new in sorted(edits, reverse=True):
            text = text[:begin] + new + text[end:]
        return text

    def _values_in(self, scope: _Scope, node: ast.expr, part: Part) -> Iterator[tuple[ast.expr, str]]:
        """Yield what stands for numbers in a formula, with these."""
        letter = _sized(node)
        if letter is not None:
            number = self.numbers.get(self._letter(scope.letters, letter))
            if number is None:
                part.fail(f"the size of '{letter}' is not known here", f"write size {letter} = 4")
            yield node, str(number)
        elif isinstance(node, ast.Name) and node.id not in CONSTANTS:
            if node.id not in scope.values:
                part.fail(f"'{node.id[:40]}' is no number here", "write a number, a constant or size(k)")
            yield node, scope.values[node.id]
        else:
            function = node.func if isinstance(node, ast.Call) else None
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr) and child is not function:
                    yield from self._values_in(scope, child, part)

    def _check_keywords(self, outer: _Scope, block: Block, use: Use) -> None:
        """Refuse keywords of a use that are no sizes and no constants of the block."""
        for given in use.keywords:
            name = given.keyword
            places = [at for at, head in enumerate(block.arguments) if name == head.name]
            if places and name not in block.numbers:
                outer.at(given.whole).fail(f"'{name}' is given by its place", f"write {block.shown}")
            if places:
                if places[0] < len(use.arguments):
                    outer.at(given.whole).fail(f"'{name}' is given twice", "once by its place is enough")
                continue
            if name not in block.constants and name not in block.letters:
                known = sorted({*block.constants, *block.letters, *block.numbers})
                optional = ", nor an argument that may be left out," if block.numbers else ""
                what = f"neither an index nor a constant{optional} of the block '{block.name}'"
                problem = f"'{name[:40]}' is {what}"
                outer.at(given.whole).fail(problem, suggestion(name, known))
            if name in block.constants and name in block.letters:
                problem = f"'{name}' is both an index and a constant of the block '{block.name}'"
                outer.at(given.whole).fail(problem, "rename one of them in the block")

    def _keywords(self, outer: _Scope, scope: _Scope, use: Use) -> None:
        """Give constants and sizes of a block the numbers that a use says."""
        block = scope.block
        assert block is not None
        for given in use.keywords:
            part, name = outer.at(given.part), given.keyword
            if name in block.numbers:
                continue
            if name in block.constants:
                scope.values[name] = f"({self._value(outer, given)})"
                scope.overridden[name] = part
            else:
                letter, value = self._letter(scope.letters, name), self._value(outer, given)
                self._fix(letter, _instead(part, f"{letter} = {value}"))

    def _fix(self, letter: str, part: Part) -> None:
        """Say what size a letter has, once."""
        if (letter, part.text) in self.said:
            return
        self.said.add((letter, part.text))
        number = part.text.partition("=")[2].strip()
        if re.fullmatch("[0-9]{1,9}", number):
            self.numbers.setdefault(letter, int(number))
        self.out.append(Statement("fix", False, part))

    # ------------------------------------------------------------ lines

    def _line(self, scope: _Scope, line: Spelled) -> None:
        """Write out a line of a block."""
        keyword, head, block = line.statement.keyword, line.head, scope.block
        assert block is not None
        if line.use is not None:
            self._use(scope, line)
        elif keyword == "size" and head is not None:
            if head.name not in {*scope.letters.given, *scope.sized}:
                self._fix(self._letter(scope.letters, head.name), self._translated(scope, line).body)
        elif head is not None and head.name in block.constants:
            self._constant(scope, line, head.name)
        else:
            self._emit(scope, line)

    def _constant(self, scope: _Scope, line: Spelled, own: str) -> None:
        """Write out a constant of a block, once for all uses in which it has the same value."""
        name, given = scope.names[own], scope.overridden.get(own)
        right = sides(line.statement.body)[1]
        if given is None:
            scope.values[own] = f"({right.text})" if right is not None else "0"
        if (name, scope.values[own]) in self.said:
            return
        self.said.add((name, scope.values[own]))
        if given is None:
            self._emit(scope, line)
            return
        self.out.append(Statement("constant", False, _instead(given, f"{name} = {scope.values[own][1:-1]}")))
        self.axes[name] = ()

    def _emit(self, scope: _Scope, line: Spelled) -> None:
        """Write a statement with the words of a use."""
        statement, title = self._translated(scope, line), line.statement.title
        if line.head is not None:
            own, name = line.head.letters, self._name(scope, line.head.name, line.head.part)
            self.axes[name] = None if own is None else tuple(self._letter(scope.letters, i) for i in own)
        self.out.append(replace(statement, title=title and f"{scope.heading}: {title}"))

    def _translated(self, scope: _Scope, line: Spelled) -> Statement:
        """Return a statement with the words of a use."""
        words = []
        for word in line.words:
            if word.is_letter:
                new = self._letter(scope.letters, word.text)
            elif word.text in scope.numbers:
                new = word.text
            else:
                new = self._name(scope, word.text, line.statement.body, word.start)
            words.append(new)
            if new != word.text:
                scope.back[new] = word.text
        return line.translated(words, scope.numbers, scope.back, scope.used)

    # ------------------------------------------------------------ names

    def _name_all(self, scope: _Scope, block: Block) -> None:
        """Give everything that a block declares or defines a name for this use."""
        for line in block.lines:
            if line.head is None or line.statement.keyword == "size" or line.head.name in scope.names:
                continue
            own = line.head.name
            if own in block.constants:
                scope.names[own] = self._name_of_constant(scope, block, line, own)
            else:
                is_kept = line.statement.keyword in ("parameter", "noise", "state")
                scope.names[own] = self._chosen(scope.way, own, own in block.scalars, is_kept)

    def _name_of_constant(self, scope: _Scope, block: Block, line: Spelled, own: str) -> str:
        """Return the name of a constant, that of another use in which it has the same value."""
        right = sides(line.statement.body)[1]
        value = scope.values[own] if own in scope.overridden else right.text if right else ""
        place = (id(block), own)
        names = self.constants.setdefault(place, {})
        if value not in names:
            is_only = self.first is not None and len(self.first.constants[place]) == 1
            names[value] = self._new(own if is_only else f"{own}{self._number(block)}", True)
        return names[value]

    def _chosen(self, way: Way, own: str, is_scalar: bool, is_parameter: bool) -> str:
        """Return the name in a use of what its block calls ``own``."""
        if self.first is None:  # the next time it is known which other uses there are
            return self._new(f"{own}{way[-1].number}", is_scalar)
        name = self.words.name(way, own, is_scalar, is_parameter)
        if is_scalar:
            self.scalars.add(name)
        return name

    def _new(self, name: str, is_scalar: bool) -> str:
        """Return a new name; that of a number is no letter's, as a condition would mean the letter."""
        name = free_name(name, ChainMap(self.taken, self.taken_letters) if is_scalar else self.taken)
        self.taken[name] = None
        if is_scalar:
            self.scalars.add(name)
        return name

    def _name(self, scope: _Scope, name: str, part: Part, column: int = 0) -> str:
        """Return the name of a quantity that stands in ``part``."""
        if name in scope.names:
            return scope.names[name]
        if scope.file is self.main:
            return name
        if (scope.file.key, name) in self.shared:
            return self.shared[scope.file.key, name]
        if name in CONSTANTS and name not in self.taken:
            return name
        item = scope.file.declared.get(name)
        if item is None or item.statement.keyword not in ("constant", "parameter"):
            self._fail_name(scope, name, scope.at(part), column)
        return self._share(scope, name, item)

    def _fail_name(self, scope: _Scope, name: str, part: Part, column: int) -> NoReturn:
        """Refuse a name in an imported block that means nothing there."""
        if name in scope.file.declared:
            problem = f"'{name}' is no constant or parameter of {scope.file.source}"
            part.fail(f"{problem}, which is all that an imported block reads outside", "", column)
        known = [*scope.names, *scope.file.declared]
        part.fail(f"unknown name '{name[:40]}'", suggestion(name, known), column)

    def _share(self, scope: _Scope, name: str, item: Spelled) -> str:
        """Declare what an imported file declares outside of its blocks, for all uses."""
        file = scope.file
        letters = self.shared_letters.setdefault(file.key, _Letters(file))
        new = self.shared[file.key, name] = self._new(name, name in file.scalars)
        outside = _Scope(file, letters, {}, None, (), {name: new})
        self._emit(outside, item)
        return new

    # ------------------------------------------------------------ letters

    def _images(self, scope: _Scope, head: Head) -> list[str]:
        return [self._letter(scope.letters, letter) for letter in head.letters or ()]

    def _prefer(
        self, letters: _Letters, block: Block, given: Sequence[_Argument], left: Sequence[str]
    ) -> None:
        """Give a block's letters the names that the axes of arguments and result have outside."""
        outside = [self.axes.get(name) or () if isinstance(name, str) else () for name in given]
        for head, images in zip((*block.arguments, block.result), (*outside, left), strict=True):
            own = head.letters or ()
            for letter, image in zip(own, images, strict=False) if len(own) == len(images) else ():
                is_new = letter not in letters.images and image not in letters.images.values()
                if is_new and image not in self.scalars:
                    self._enter(letters, letter, image)

    def _letter(self, letters: _Letters, letter: str) -> str:
        """Return what a letter of a block is called outside."""
        if letters.owner is None:
            return letter
        if letter not in letters.images:
            image = self._new_letter(letters, letter)
            self.taken_letters[image] = None
            self._enter(letters, letter, image)
        return letters.images[letter]

    def _new_letter(self, letters: _Letters, letter: str) -> str:
        """Return a new letter: this one with the number of the use, unless another one beside has it."""
        used = {_plain(image) for image in letters.images.values()}
        others = used | {_plain(other) for other in letters.wanted}
        free = (str(each.name) for each in LETTERS if each.name not in others)
        plain = letter if _plain(letter) not in used else next(free, letter)
        names = (f"{plain}{number}" for number in count(int(letters.number or "1"), letters.total))
        candidates = names if letters.number else chain([plain], names)
        return next(i for i in candidates if i not in self.taken_letters and i not in self.scalars)

    def _enter(self, letters: _Letters, letter: str, image: str) -> None:
        """Enter what a letter is called outside, and the size that its file gives it."""
        letters.images[letter] = image
        assert letters.owner is not None
        size = letters.owner.sizes.get(letter)
        if size is not None and letter not in letters.given:
            scope = _Scope(letters.owner, letters, {}, used=letters.used)
            self._fix(image, self._translated(scope, size).body)


def _arguments(block: Block, use: Use) -> Iterator[Given | None]:
    """Yield what a use is given for each argument of its block, None where it is left out."""
    named = {each.keyword: each for each in use.keywords if each.keyword in block.numbers}
    for at, head in enumerate(block.arguments):
        yield use.arguments[at] if at < len(use.arguments) else named.get(head.name)


def _instead(part: Part, text: str) -> Part:
    """Return a text whose errors point to a part."""
    return made(part, text, ((0, len(text), 0, 1),), {}, ())


def _plain(letter: str) -> str:
    """Return a letter without the number behind it."""
    return re.sub(r"(?<=\D)\d+$", "", letter)


def _sized(node: ast.expr) -> str | None:
    """Return the letter in size(k)."""
    match node:
        case ast.Call(func=ast.Name(id="size"), args=[ast.Name(id=letter)], keywords=[]):
            return letter
    return None


def _plain_sizes(file: File) -> dict[str, int]:
    """Return the sizes that the text gives by plain numbers."""
    found = ((letter, sides(item.statement.body)[1]) for letter, item in file.sizes.items())
    return {i: int(right.text) for i, right in found if right and re.fullmatch("[0-9]{1,9}", right.text)}
