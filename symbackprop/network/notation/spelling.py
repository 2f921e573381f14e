"""The words of a statement: which stand for quantities, and which are index letters.

A block is read anew for each of its uses, under the names and letters of that use.  Which word is what
follows from where it stands, by the rules of ``reader``; the statement then is the same text with other
words.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from symbackprop.equations.system import TRAINING
from symbackprop.errors import nearest
from symbackprop.library.activations import ACTIVATIONS
from symbackprop.library.formula import MAX_DEPTH
from symbackprop.network.notation.lines import UPDATE, Part, Statement, UsedLine, sides, split_outside
from symbackprop.network.notation.names import Names
from symbackprop.network.notation.reader import NetReader

_BINDERS = frozenset({"sum", "mean", "prod", "argmax", "logsumexp"})
"""Calls whose arguments behind the first one are letters; so are those of max and min, of a letter."""
_PASSED_ON = frozenset({"Max", "Min", "max", "min", "Piecewise"})
"""Calls of which an argument is a part of the condition around them."""
NOTHING = Names()
"""The names where there are none."""


@dataclass(frozen=True)
class Word:
    """A word at columns of a statement's body.

    ``reach`` is where the brackets behind it end, None without any, ``indices`` how many stand in them.
    """

    start: int
    end: int
    text: str
    is_letter: bool
    reach: int | None = None
    indices: int = 0


@dataclass(frozen=True)
class Head:
    """A left side: the name, its letters (None where it is one of several cases), and the place."""

    name: str
    letters: tuple[str, ...] | None
    part: Part


@dataclass(frozen=True)
class Given:
    """An argument of a use: its keyword ("" for none), what is written, and the whole with the keyword."""

    keyword: str
    node: ast.expr
    part: Part
    whole: Part


@dataclass(frozen=True)
class Use:
    """A use of a block: its name, how often (None for once), what it is given, and the place."""

    block: str
    times: Given | None
    arguments: tuple[Given, ...]
    keywords: tuple[Given, ...]
    part: Part


@dataclass(frozen=True)
class Spelled:
    """A statement with its words, its left side, and the use of a block that it may be."""

    statement: Statement
    words: tuple[Word, ...] = ()
    head: Head | None = None
    use: Use | None = None

    def translated(
        self,
        words: Sequence[str],
        numbers: Mapping[str, str],
        back: Mapping[str, str],
        used: tuple[str, ...],
    ) -> Statement:
        """Return the statement of one use, with other words; ``back`` are those here for its messages.

        ``numbers`` are formulas that stand for names here; each takes the place of the indices, too.
        """
        body = self.statement.body
        text, marks, end = "", [], 0
        for word, new in zip(self.words, words, strict=True):
            if word.start < end:  # an index of what a number stands for
                continue
            text += body.text[end : word.start]
            end = word.end
            if word.text in numbers and not word.is_letter:
                new, end = numbers[word.text], word.reach or word.end
            marks.append((len(text), len(text) + len(new), word.start, end))
            text += new
        text += body.text[end:]
        return replace(self.statement, body=made(body, text, marks, back, used))


def made(
    part: Part,
    text: str,
    marks: Sequence[tuple[int, int, int, int]],
    back: Mapping[str, str],
    used: tuple[str, ...],
) -> Part:
    """Return a ``text`` that was made of a part of a block; ``marks`` are as in `UsedLine`."""
    line = part.line
    made_line = UsedLine(
        line.source, line.number, line.text, part=part, marks=tuple(marks), names=back, used=used
    )
    return Part(made_line, text, 0)


def items(statement: Statement) -> Iterator[Statement]:
    """Yield the items of a declaration, each as a declaration."""
    if statement.keyword in ("", "assume", UPDATE):
        yield statement
        return
    for part in split_outside(statement.body, ","):
        yield replace(statement, body=part)


def placed(part: Part, used: tuple[str, ...]) -> Part:
    """Return a part of a block whose errors tell where the block is used."""
    return made(part, part.text, (), {}, used) if used else part


@dataclass(frozen=True)
class Vocabulary:
    """What is known of the words around a statement.

    ``names`` are those of quantities, ``scalars`` those without axes among them, ``cases`` those that are
    defined by cases, ``blocks`` those of blocks.
    """

    names: Collection[str]
    scalars: Collection[str]
    cases: Collection[str]
    blocks: Collection[str]

    def spelled_all(self, statements: Iterable[Statement]) -> Iterator[Spelled]:
        """Yield statements with their words, and each item of a declaration."""
        for statement in statements:
            for item in items(statement):
                yield self.spelled(item)

    def spelled(self, statement: Statement) -> Spelled:
        """Return a statement (of a declaration: one item of it) with its words.

        Raises:
            SpecificationError: it is no formula, or uses a block where none can stand.
        """
        if statement.keyword == "assume":
            spelling = _Spelling(statement.body, statement.body, self, everywhere=True)
            spelling.value()
            return Spelled(statement, spelling.sorted_words())
        left, right = sides(statement.body)
        spelling = _Spelling(statement.body, left, self)
        head = spelling.left()
        words = spelling.words
        use = None
        if statement.keyword == "size":
            words = [Word(w.start, w.end, w.text, True) for w in words]
        if statement.keyword == "size" and right is not None:
            formula = _Spelling(statement.body, right, self)
            formula.value()
            words = words + formula.words
        elif statement.keyword == "noise" and right is not None:
            formula = _Spelling(statement.body, right, self)
            formula.numbers()
            words = words + formula.words
        elif statement.keyword in ("", UPDATE) and right is not None:
            formula = _Spelling(statement.body, right, self, scope=spelling.letters)
            use = formula.use() if statement.keyword == "" else None
            if use is None:
                formula.value()
                words = words + formula.words
        defined = None if statement.keyword in ("output", UPDATE) else head
        return Spelled(statement, tuple(sorted(words, key=lambda word: word.start)), defined, use)

    def formula(self, part: Part) -> Spelled:
        """Return a formula with its words, as a statement that is this formula alone."""
        spelling = _Spelling(part, part, self)
        spelling.value()
        return Spelled(Statement("", False, part), spelling.sorted_words())


@dataclass(frozen=True)
class _At:
    """Where a word stands: the letters around it, and whether in a condition or as an index."""

    scope: frozenset[str]
    condition: bool = False
    index: bool = False
    depth: int = 0


@dataclass
class _Spelling:
    """Finds the words of a part of a statement's body."""

    body: Part
    part: Part
    known: Vocabulary
    scope: Iterable[str] = ()
    everywhere: bool = False  # whether each plain index is a letter
    words: list[Word] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = NetReader(self.part, NOTHING)
        self.tree = self.reader.tree()
        self.offset = self.part.column - self.body.column

    def sorted_words(self) -> tuple[Word, ...]:
        """Return the words in their order."""
        return tuple(sorted(self.words, key=lambda word: word.start))

    def left(self) -> Head:
        """Return a left side, such as x[n, i] or x[n, 0]."""
        tree = self.tree
        nodes = elements(tree) if isinstance(tree, ast.Subscript) else []
        name = tree.value if isinstance(tree, ast.Subscript) else tree
        if not isinstance(name, ast.Name):
            problem = "a name is needed here, with an index for each axis"
            self.reader.fail(tree.col_offset, problem, "write x[n, i]")
        self._word(name, False)
        inside = frozenset(
            part.id
            for node in nodes
            for part in ast.walk(node)
            if isinstance(part, ast.Name)
            and not (name.id in self.known.cases and part.id in self.known.scalars)
        )
        self.letters = sorted(inside)
        for node in nodes:
            self._walk(node, _At(inside, index=True))
        plain = tuple(node.id for node in nodes if isinstance(node, ast.Name))
        letters = plain if len(plain) == len(nodes) and name.id not in self.known.cases else None
        return Head(name.id, letters, self.part)

    def value(self) -> None:
        """Find the words of a formula."""
        scope = set(self.scope)
        if self.everywhere:
            reads = (node for node in ast.walk(self.tree) if isinstance(node, ast.Subscript))
            scope |= {e.id for node in reads for e in elements(node) if isinstance(e, ast.Name)}
        self._walk(self.tree, _At(frozenset(scope)))

    def numbers(self) -> None:
        """Find the words of the numbers that a distribution is given."""
        for node in self.tree.args if isinstance(self.tree, ast.Call) else ():
            self._walk(node, _At(frozenset()))

    # ------------------------------------------------------------ uses

    def use(self) -> Use | None:
        """Return the use of a block that the whole formula is, None where it is none."""
        tree = self.tree
        if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)):
            return None
        name, arguments, times = tree.func.id, tree.args, None
        if name == "repeat":
            if len(arguments) < 2 or not isinstance(arguments[0], ast.Name):
                hint = "write repeat(layer, 12, x): the block, how often, and what the first use is given"
                self.reader.fail(tree, "a repetition needs the name of a block, and a number", hint)
            block, times = arguments[0], self._given("", arguments[1])
            name, arguments = block.id, arguments[2:]
            if name not in self.known.blocks:
                self._fail_block(block)
        elif name not in self.known.blocks:
            return None
        for given in tree.keywords:
            if given.arg is None:
                self.reader.fail(given.value, "'**' is not allowed here", "name each")
        keywords = tuple(self._given(k.arg or "", k.value, k.col_offset) for k in tree.keywords)
        return Use(name, times, tuple(self._given("", a) for a in arguments), keywords, self.part)

    def _given(self, keyword: str, node: ast.expr, column: int | None = None) -> Given:
        part = self.part.slice(node.col_offset, node.end_col_offset)
        whole = part if column is None else self.part.slice(column, node.end_col_offset)
        return Given(keyword, node, part, whole)

    def _fail_block(self, node: ast.Name) -> None:
        """Refuse the name of a block that there is not."""
        guess = nearest(node.id, self.known.blocks)
        known = ", ".join(sorted(self.known.blocks))
        hint = f"did you mean '{guess}'?" if guess else f"known are: {known}" if known else "define it first"
        self.reader.fail(node, f"there is no block '{node.id[:40]}'", hint)

    # ------------------------------------------------------------ words

    def _word(self, node: ast.Name, is_letter: bool, read: ast.Subscript | None = None) -> None:
        start = node.col_offset + self.offset
        reach = None if read is None or read.end_col_offset is None else read.end_col_offset + self.offset
        indices = 0 if read is None else len(elements(read))
        self.words.append(Word(start, start + len(node.id), node.id, is_letter, reach, indices))

    def _walk(self, node: ast.AST, at: _At) -> None:
        """Find the words below a node; what is nested deeper than a formula may be is refused later."""
        if at.depth > 2 * MAX_DEPTH:
            return
        inner = _At(at.scope, at.condition, at.index, at.depth + 1)
        match node:
            case ast.Name(id=name):
                if name == TRAINING.name and name not in at.scope and name not in self.known.names:
                    return
                hidden = not (at.condition or at.index) and name in self.known.scalars
                self._word(node, name in at.scope and not hidden)
            case ast.Subscript(value=ast.Name() as name):
                self._word(name, False, node)
                for element in elements(node):
                    self._walk(element, _At(at.scope, at.condition, True, at.depth + 1))
            case ast.Call(func=ast.Name()):
                self._call(node, inner)
            case ast.Compare():
                for child in ast.iter_child_nodes(node):
                    self._walk(child, _At(at.scope, True, at.index, at.depth + 1))
            case _:
                for child in ast.iter_child_nodes(node):
                    self._walk(child, inner)

    def _call(self, node: ast.Call, at: _At) -> None:
        """Find the words in a call."""
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        self._check_called(node.func)
        apart = _At(at.scope, False, False, at.depth)
        letters = self._letters_of_call(name, node.args)
        for letter in letters:
            self._word(letter, True)
        if self._binds(name, node.args):
            apart = _At(at.scope | {letter.id for letter in letters}, False, False, at.depth)
        for number, argument in enumerate(node.args):
            if argument not in letters:
                is_passed = (name in _PASSED_ON and not letters) or (name == "where" and number == 0)
                self._walk(argument, at if is_passed else apart)
        for given in node.keywords:
            self._walk(given.value, apart)

    def _letters_of_call(self, name: str, arguments: list[ast.expr]) -> list[ast.Name]:
        """Return the arguments that are index letters."""
        over_axis = name in ACTIVATIONS and ACTIVATIONS[name].is_of_layer
        first = 0 if name == "size" else 1
        if name == "size" or over_axis or self._binds(name, arguments):
            return [a for a in arguments[first:] if isinstance(a, ast.Name)]
        return []

    def _binds(self, name: str, arguments: list[ast.expr]) -> bool:
        """Whether a call binds letters."""
        last = arguments[-1] if len(arguments) > 1 else None
        over = isinstance(last, ast.Name) and last.id not in self.known.scalars
        return name in _BINDERS or (name in ("max", "min") and over)

    def _check_called(self, function: ast.Name) -> None:
        """Refuse a block inside of a formula, or what was meant to be one."""
        if function.id in self.known.blocks:
            problem = f"'{function.id}' is a block, which can't stand inside of a formula"
            self.reader.fail(function, problem, f"write y = {function.id}(x), and read y")
        known = self.reader.functions_known()
        if function.id in self.known.names and function.id not in known:
            problem = f"'{function.id}' is a quantity, and neither a block nor a function"
            self.reader.fail(function, problem, f"write {function.id}*(...) for a product")
        if function.id not in known and nearest(function.id, self.known.blocks):
            self._fail_block(function)


def elements(node: ast.Subscript) -> list[ast.expr]:
    """Return the indices of a subscript."""
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
