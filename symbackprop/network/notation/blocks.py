"""The blocks of a text: their headers and lines, and what stands outside of them."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from types import MappingProxyType

from symbackprop.errors import suggestion
from symbackprop.library.formula import CONSTANTS
from symbackprop.network.notation.lines import UPDATE, Part, Statement, sides, split_outside
from symbackprop.network.notation.names import LOSS
from symbackprop.network.notation.reader import MAX_AXES, NetReader
from symbackprop.network.notation.spelling import NOTHING, Head, Spelled, Vocabulary, elements, items

_OUTSIDE = ("input", "target", "output", "from", "block")
"""Statements that stand outside of blocks."""
_HEADER = "write block layer(x[n, i]) -> y[n, j]"


@dataclass
class File:
    """A text: what stands outside of blocks, the blocks by name, and the imports.

    ``key`` is the name under which others import it, "" for the text that is read, and ``files`` are all that
    can be imported, by key.  An import is the name of a block, with the key of the file and the place.
    """

    key: str
    source: str
    files: Mapping[str, File] = field(default_factory=dict, repr=False)
    own: list[Statement] = field(default_factory=list)
    blocks: dict[str, Block] = field(default_factory=dict)
    imports: dict[str, tuple[str, Part]] = field(default_factory=dict)

    @property
    def block_names(self) -> set[str]:
        """The names of all blocks that can be used."""
        return {*self.blocks, *self.imports}

    def place(self, name: str) -> Part:
        """Return where a block is defined, or imported."""
        return self.blocks[name].part if name in self.blocks else self.imports[name][1]

    def find(self, name: str) -> Block:
        """Return a block that can be used under its name."""
        if name in self.blocks:
            return self.blocks[name]
        key, part = self.imports[name]
        if key not in self.files:
            part.fail(f"there is no '{key[:60]}' beside this text", "read a text with imports from its file")
        there = self.files[key].blocks
        if name not in there:
            hint = suggestion(name, there) if there else "it has none"
            part.fail(f"there is no block '{name[:40]}' in {self.files[key].source}", hint)
        return there[name]

    @cached_property
    def items(self) -> list[Spelled]:
        """What stands outside of blocks, with its words; of declarations each item."""
        vocabulary = Vocabulary(self.names, self.scalars, _by_cases(self.own), self.block_names)
        return list(vocabulary.spelled_all(self.own))

    @cached_property
    def declared(self) -> dict[str, Spelled]:
        """What stands outside of blocks by the name that it declares or defines, sizes left out."""
        named = [(item.head.name, item) for item in self.items if item.head and not _is(item, "size")]
        return dict(reversed(named))

    @cached_property
    def sizes(self) -> dict[str, Spelled]:
        """The sizes that are given outside of blocks, by letter."""
        return {item.head.name: item for item in self.items if item.head and _is(item, "size")}

    @cached_property
    def values(self) -> dict[str, str]:
        """The numbers that are named outside of blocks, as text in parentheses."""
        named = {name: item for name, item in self.declared.items() if _is(item, "constant")}
        rights = {name: sides(item.statement.body)[1] for name, item in named.items() if name in self.scalars}
        return {name: f"({right.text})" for name, right in rights.items() if right is not None}

    @cached_property
    def names(self) -> set[str]:
        """The names outside of blocks."""
        return _names(self.own)

    @cached_property
    def scalars(self) -> set[str]:
        """The names without axes outside of blocks."""
        return set(_without_axes(self.own, self))

    def block_vocabulary(self, block: Block) -> Vocabulary:
        """Return what is known of the words in a block."""
        heads = [head.name for head in (*block.arguments, block.result) if not head.letters]
        own = {*block.scalars, *heads}
        hidden = block.names - own
        scalars, cases = (self.scalars - hidden) | own, _by_cases(block.statements)
        return Vocabulary(self.names | block.names, scalars, cases, self.block_names)


@dataclass
class Block:
    """A block: its name and place, its header, its title if it has one, and its lines.

    ``numbers`` are the formulas that stand for arguments where a use leaves them out.
    """

    file: File = field(repr=False)
    name: str
    part: Part
    arguments: tuple[Head, ...]
    numbers: Mapping[str, Part]
    result: Head
    title: str | None = None
    statements: list[Statement] = field(default_factory=list)

    @property
    def least(self) -> int:
        """How many arguments a use gives at least."""
        return len(self.arguments) - len(self.numbers)

    @property
    def shown(self) -> str:
        """How it is used, such as layer(x[n, i])."""
        return f"{self.name}({', '.join(map(self.shown_argument, self.arguments))})"

    def shown_argument(self, head: Head) -> str:
        """Return an argument as its header says it."""
        number = self.numbers.get(head.name)
        return head.part.text if number is None else f"{head.part.text} = {number.text}"

    @cached_property
    def names(self) -> set[str]:
        """All names that are declared or defined in it, its header included."""
        return {head.name for head in (*self.arguments, self.result)} | _names(self.statements)

    @property
    def local(self) -> set[str]:
        """The names that are known inside alone."""
        return self.names - {head.name for head in (*self.arguments, self.result)}

    @cached_property
    def lines(self) -> list[Spelled]:
        """Its statements with their words; of declarations each item."""
        return list(self.file.block_vocabulary(self).spelled_all(self.statements))

    @cached_property
    def spelled_numbers(self) -> dict[str, Spelled]:
        """What stands for arguments that are left out, with its words."""
        vocabulary = self.file.block_vocabulary(self)
        return {name: vocabulary.formula(part) for name, part in self.numbers.items()}

    @cached_property
    def scalars(self) -> set[str]:
        """The names without axes that are declared or defined in it."""
        return set(_without_axes(self.statements, self.file))

    @cached_property
    def constants(self) -> set[str]:
        """The numbers that it names."""
        return {s.head.name for s in self.lines if s.head and _is(s, "constant") and not s.head.letters}

    @cached_property
    def letters(self) -> set[str]:
        """All letters in it."""
        used = {word.text for line in self.lines for word in line.words if word.is_letter}
        uses = {i for line in self.lines if line.use and line.head for i in line.head.letters or ()}
        return used | uses | {i for head in (*self.arguments, self.result) for i in head.letters or ()}

    @cached_property
    def read(self) -> set[str]:
        """All names that its lines read or define, as far as they stand in formulas."""
        words = {word.text for line in self.lines for word in line.words if not word.is_letter}
        uses = [line.use for line in self.lines if line.use]
        return words | {a.part.text for use in uses for a in (*use.arguments, *use.keywords)}

    def check(self) -> None:
        """Refuse a block that can't be right, whatever it is used for."""
        if not self.statements:
            self.part.fail(f"the block '{self.name}' is empty", "its lines stand below it, indented")
        given = {head.name: head for head in self.arguments}
        _check_once(self.lines)
        for line in self.lines:
            if line.head is not None and not _is(line, "size"):
                if line.head.name in given:
                    line.head.part.fail(f"'{line.head.name}' is given to the block", "choose another name")
                if line.head.name == LOSS:
                    line.head.part.fail("E is the loss, and stands outside of blocks", "choose another name")
        if not any(line.head and line.head.name == self.result.name for line in self.lines if _defines(line)):
            problem = f"the block '{self.name}' does not define its result '{self.result.name}'"
            self.result.part.fail(problem, f"give it an equation, such as {self.result.part.text} = ...")
        for name, head in given.items():
            if name not in self.read:
                head.part.fail(f"the block '{self.name}' never reads '{name}'", "leave it out")
        self._check_numbers(given)

    def _check_numbers(self, given: Mapping[str, Head]) -> None:
        """Refuse what can't stand for an argument, and reads of one that is wrong with other axes."""
        for name, spelled in self.spelled_numbers.items():
            part = self.numbers[name]
            if name in self.letters:
                problem = f"'{name}' is both an index and an argument that may be left out"
                given[name].part.fail(problem, "rename one of them")
            for word in spelled.words:
                is_number = word.text in self.constants | self.file.values.keys() | CONSTANTS.keys()
                if not (word.is_letter or is_number):
                    problem = f"what stands for '{name}' where it is left out must be a number"
                    part.fail(problem, "write a formula of numbers, constants and sizes", word.start)
        for line in self.lines:
            for word in line.words:
                axes = len(given[word.text].letters or ()) if word.text in self.numbers else word.indices
                if word.indices != axes and not word.is_letter:
                    problem = f"'{word.text}' has {axes} ax{'i' if axes == 1 else 'e'}s"
                    line.statement.body.fail(problem, f"write {given[word.text].part.text}", word.start)


def read_file(
    key: str, source: str, statements: Iterable[Statement], files: Mapping[str, File] = MappingProxyType({})
) -> File:
    """Return the text that some statements make.

    Raises:
        SpecificationError: a block is wrong as such, or indentation is.
    """
    found = File(key, source, files)
    block: Block | None = None
    outside = -1  # the indentation of what stands outside of blocks, once there is a block
    for statement in statements:
        if block is not None and statement.indentation > outside:
            _enter(block, statement)
            continue
        if 0 <= outside < statement.indentation:
            problem = "this line is indented, but belongs to no block"
            statement.body.line.fail(statement.indentation, problem, "indent it as the lines around")
        block = None
        if statement.keyword == "block":
            block, outside = _header(found, statement), statement.indentation
            _require_new(found, block.name, block.part)
            found.blocks[block.name] = block
        elif statement.keyword == "from":
            for name, where, part in imported(statement):
                _require_new(found, name, part)
                found.imports[name] = (beside(key, where), part)
        else:
            found.own.append(statement)
    return found


def check_blocks(file: File) -> None:
    """Refuse blocks that can't be right, and names of blocks that stand for something else, too."""
    for name in file.imports:
        file.find(name)
    _check_once(file.items)
    for block in file.blocks.values():
        block.check()
    for item in file.items:
        if item.head and item.head.name in file.block_names and not _is(item, "size"):
            name = item.head.name
            problem = f"'{name}' is a block, see line {file.place(name).line.number}"
            item.head.part.fail(problem, "each name stands for one thing")


def _enter(block: Block, statement: Statement) -> None:
    """Enter a line of a block."""
    line = statement.body.line
    if statement.keyword in _OUTSIDE:
        word = "import" if statement.keyword == "from" else statement.keyword
        article = "an" if word[0] in "aeiou" else "a"
        problem = f"{article} {word} can't stand inside of a block"
        hints = {
            "input": "what a block is given stands in its first line",
            "target": "what a block is given stands in its first line",
            "output": "what comes out of a block stands behind -> in its first line",
        }
        line.fail(statement.indentation, problem, hints.get(statement.keyword, "write it outside"))
    if block.statements and block.statements[0].indentation != statement.indentation:
        problem = "the indentation differs from that of the block's first line"
        line.fail(statement.indentation, problem, "begin its lines below one another")
    block.statements.append(statement)


def _require_new(file: File, name: str, part: Part) -> None:
    """Refuse a block whose name is that of another one, or of a function."""
    if name in file.block_names:
        first = file.place(name).line.number
        part.fail(f"there are two blocks '{name}', the first in line {first}", "rename one")
    if name in NetReader(part, NOTHING).functions_known() or name in ("repeat", LOSS):
        part.fail(f"'{name}' has a meaning already", "choose another name for the block")


# ----------------------------------------------------------------------------------------- headers


def _header(file: File, statement: Statement) -> Block:
    """Return the block that a header begins: NAME(x[n, i], …) -> y[n, j]."""
    body = statement.body
    at = body.text.find("->")
    if at < 0:
        body.fail("the block has no result", _HEADER)
    if body.text.endswith(":"):
        body.fail("a block's first line ends with its result", "leave out ':'", len(body.text) - 1)
    before, after = body.slice(0, at), body.slice(at + 2)
    plain, numbers = _without_numbers(before)
    reader = NetReader(plain, NOTHING)
    tree = reader.tree()
    if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.keywords):
        before.fail("a block has a name, and in parentheses what it is given", _HEADER)
    if not tree.args:
        before.fail(f"the block '{tree.func.id}' is given nothing", _HEADER)
    heads = tuple(_head(reader, before, node) for node in tree.args)
    _check_order(heads, numbers)
    reader = NetReader(after, NOTHING)
    result = _head(reader, after, reader.tree())
    names = Counter(head.name for head in (*heads, result))
    for head in (*heads, result):
        if names[head.name] > 1:
            head.part.fail(f"'{head.name}' stands twice", "each name stands for one thing")
        if head.name == LOSS:
            head.part.fail("E is the loss", "choose another name")
    named = {heads[at].name: part for at, part in numbers.items()}
    return Block(file, tree.func.id, before, heads, named, result, statement.title)


def _without_numbers(header: Part) -> tuple[Part, dict[int, Part]]:
    """Return a header with blanks in place of what stands behind '=', and these parts by argument."""
    text, numbers = header.text, {}
    opened = text.find("(") + 1
    inside = header.slice(opened, -1) if opened and text.endswith(")") else header.slice(0, 0)
    for at, argument in enumerate(split_outside(inside, ",")):
        left, right = sides(argument)
        if right is None:
            continue
        if not right.text:
            right.fail("a number is needed behind '='", "it stands for what a use leaves out")
        numbers[at] = right
        begin, end = (part.column + len(part.text) - header.column for part in (left, right))
        text = text[:begin] + " " * (end - begin) + text[end:]
    return Part(header.line, text, header.column), numbers


def _check_order(heads: Sequence[Head], numbers: Mapping[int, Part]) -> None:
    """Refuse arguments that are always given behind such as may be left out, and a first one that may be."""
    if 0 in numbers:
        heads[0].part.fail("the first argument of a block is always given", "leave out its number")
    for at, head in enumerate(heads):
        if at not in numbers and at - 1 in numbers:
            problem = "an argument without a number stands behind one that has one"
            head.part.fail(problem, "change their order")


def _head(reader: NetReader, part: Part, node: ast.expr) -> Head:
    """Return a name with its letters in a header."""
    name, nodes = (node.value, elements(node)) if isinstance(node, ast.Subscript) else (node, [])
    if isinstance(node, ast.Tuple) and part.text.find("->") < 0:
        reader.fail(node, "a block has one result", _HEADER)
    if not isinstance(name, ast.Name) or not all(isinstance(letter, ast.Name) for letter in nodes):
        reader.fail(node.col_offset, "a name is needed here, with a letter for each axis", _HEADER)
    letters = tuple(letter.id for letter in nodes if isinstance(letter, ast.Name))
    twice = [letter for letter, number in Counter(letters).items() if number > 1]
    if twice:
        reader.fail(node, f"the index '{twice[0]}' stands twice", "two letters may run over one axis")
    if len(letters) > MAX_AXES:
        reader.fail(node, f"more than {MAX_AXES} axes are not allowed")
    return Head(name.id, letters, part.slice(node.col_offset, node.end_col_offset))


# ----------------------------------------------------------------------------------------- imports

_NAMED = re.compile(r"""(library|"[^"]*"|'[^']*')\s+import\s+""")


def imported(statement: Statement) -> Iterator[tuple[str, str, Part]]:
    """Yield what an import names: the block, the file as it is written, and the place."""
    body = statement.body
    found = _NAMED.match(body.text)
    if not found:
        body.fail("this is no import", 'write from "layers.net" import layer, or from library import dense')
    for part in split_outside(body.slice(found.end()), ","):
        if not re.fullmatch(r"[A-Za-z_]\w*", part.text, re.ASCII):
            part.fail("the name of a block is needed here", "write names with commas between them")
        yield part.text, f"library {part.text}" if found[1] == "library" else found[1][1:-1], part


def beside(key: str, where: str) -> str:
    """Return the key of the file that the file ``key`` imports as ``where``."""
    return where if where.startswith("library ") else str(PurePosixPath(key).parent / where)


# ------------------------------------------------------------------------------------------- words


def _is(item: Spelled, keyword: str) -> bool:
    return item.statement.keyword == keyword


def _defines(item: Spelled) -> bool:
    """Whether an item is an equation, or a use."""
    return item.statement.keyword == ""


def _lefts(statement: Statement) -> Iterator[Part]:
    """Yield the left sides of a statement."""
    for item in items(statement):
        if item.keyword not in ("assume", "output", UPDATE):
            yield sides(item.body)[0]


def _names(statements: Iterable[Statement]) -> set[str]:
    """Return what statements declare or define."""
    named = (_name(left.text) for s in statements if s.keyword != "size" for left in _lefts(s))
    return {name for name in named if name}


def _name(text: str) -> str:
    found = re.match(r"[A-Za-z_]\w*", text, re.ASCII)
    return found[0] if found else ""


def _without_axes(statements: Iterable[Statement], file: File) -> Iterator[str]:
    """Yield the names that statements declare or define without axes, as far as their text tells."""
    for statement in statements:
        if statement.keyword == "size":
            continue
        for left in _lefts(statement):
            right = sides(statement.body)[1]
            if "[" not in left.text and not (statement.keyword == "" and right and _has_axes(right, file)):
                yield _name(left.text)


def _has_axes(right: Part, file: File) -> bool:
    """Whether a formula is the use of a block whose result has axes."""
    words = re.findall(r"[A-Za-z_]\w*", right.text[:400], re.ASCII)[:2]
    used = words[1:] if words[:1] == ["repeat"] else words[:1]
    return any(word in file.block_names and bool(file.find(word).result.letters) for word in used)


def _by_cases(statements: Sequence[Statement]) -> set[str]:
    """Return the names of which an equation has more than letters on its left."""
    lefts = [sides(s.body)[0].text for s in statements if s.keyword == ""]
    plain = re.compile(r"\w+ *(\[ *[^\W\d]\w* *(, *[^\W\d]\w* *)*\])?")
    return {_name(left) for left in lefts if not plain.fullmatch(left)}


def _check_once(lines: Sequence[Spelled]) -> None:
    """Refuse the result of a use whose name is defined elsewhere, too."""
    heads = [line.head for line in lines if line.head and not _is(line, "size")]
    first: dict[str, Head] = {}
    uses = {line.head.name for line in lines if line.head and line.use}
    for head in heads:
        before = first.setdefault(head.name, head)
        if before is not head and head.name in uses:
            problem = f"'{head.name}' is defined twice, first in line {before.part.line.number}"
            head.part.fail(problem, "each name stands for one thing")
