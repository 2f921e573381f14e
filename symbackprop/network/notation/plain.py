"""A ``.net`` text without blocks: in place of each use stands what it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from symbackprop.network.notation.blocks import File
from symbackprop.network.notation.expansion import Same, expanded
from symbackprop.network.notation.imports import main_file, split_files
from symbackprop.network.notation.lines import UPDATE, Line, Statement, sides


def without_blocks(text: str, source: str, sizes: Mapping[str, int]) -> str:
    """Return a text in which all uses of blocks are written out, its comments kept."""
    own, _ = split_files(text)
    main = main_file(text, source)
    if not main.block_names:
        return own.strip("\n")
    rows = own.split("\n")
    given = {*sizes, *main.sizes}
    written: dict[int, list[str]] = {}
    gone = set(_outside(main))
    for statement, several in expanded(main, sizes)[0]:
        line = statement.body.line
        if [each.body for each in several] != [statement.body]:
            gone |= set(_rows(line))
            written[line.number] = [f"# {line.joined().strip()}", *_texts(several, given)]
        elif several[0].title != statement.title:
            written[line.number] = [f"## {several[0].title}".rstrip(), rows[line.number - 1]]
    kept = []
    for number, row in enumerate(rows, start=1):
        kept += written.get(number, [] if number in gone else [row])
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip("\n")


def _texts(several: Iterable[Statement], given: set[str]) -> Iterator[str]:
    """Yield statements as lines; ``given`` are the letters whose sizes stand in the text already."""
    title = None
    for statement in several:
        title = title if statement.title is None else statement.title
        if isinstance(statement, Same):
            continue
        if title is not None:
            yield f"## {title}".rstrip()
            title = None
        text, keyword = statement.body.text, statement.keyword
        if keyword == "fix":
            letter = sides(statement.body)[0].text
            if letter not in given:
                yield f"size {text}"
            given.add(letter)
        else:
            word = "" if keyword == UPDATE else keyword
            yield f"{'integer ' * statement.integer}{word} {text}".strip()


def _outside(main: File) -> Iterator[int]:
    """Yield the numbers of the rows with blocks and imports."""
    for block in main.blocks.values():
        last = block.statements[-1].body.line
        yield from range(block.part.line.number, max(_rows(last)) + 1)
    for _, part in main.imports.values():
        yield from _rows(part.line)


def _rows(line: Line) -> range:
    return range(line.number, line.number + 1 + len(line.below))
