"""The summary of a derivation on one page: the idea, its equations, its results, and what they assume."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from symbackprop.document import derivatives
from symbackprop.document.blocks import EquationBlock, ResultRow
from symbackprop.document.overview import Overview
from symbackprop.document.sentences import Sentences
from symbackprop.document.sought import rows_of_second
from symbackprop.printing.templating import columns

MOST_LINES = 60
"""Lines of a summary in text."""
_AROUND = 18  # lines for the title, headings, the note and blanks
Item = TypeVar("Item")
_COLUMNS = 92  # of a line of text, with its margin
_LEAST = 8  # lines that equations may take, however many results there are


def summary_of(sentences: Sentences) -> Mapping[str, object]:
    """Return the template context of one page: as many equations and results as it has room for."""
    derivation, overview = sentences.derivation, Overview(sentences)
    page = overview.context()
    assumed = [*sentences.facts(), *derivatives.facts(sentences)]
    said = [*overview.idea(), *overview.algorithm(), *assumed]
    room = MOST_LINES - _AROUND - sum(map(_lines_of, said))
    equations = overview.equations()
    rows = [*sentences.rows_by_target(), *rows_of_second(sentences)]
    asked = set((*derivation.of, *derivation.second.values()) or derivation.system.parameters)
    sought = [(name, row) for name, row in rows if name in asked]
    least = min(_LEAST, sum(_lines_of_block(block) for _, block in equations))
    kept = set(_fitting(sought, _lines_of_row, room - least))
    room -= sum(_lines_of_row(row) for name, row in sought if name in kept)
    told = set(_fitting(equations, _lines_of_block, room))
    room -= sum(_lines_of_block(block) for name, block in equations if name in told)
    kept.update(_fitting([each for each in rows if each[0] not in asked | told], _lines_of_row, room))
    shown = [(name, row) for name, row in rows if name in kept]
    left_out = len({name for name, _ in rows} - kept - told)
    head, *shown_rows = sentences.style.table([sentences.columns_of_results(), *(row for _, row in shown)])
    return {
        **dict.fromkeys(DETAILS, ()),
        **page,
        "overview_equations": [block for name, block in equations if name in told],
        "overview_results": (),
        "drawing": "",
        "results_columns": head,
        "results": shown_rows,
        "results_note": sentences.say("results.left_out", count=str(left_out)) if left_out else "",
        "assumptions": assumed,
        "one_page": True,
    }


DETAILS = (
    "given",
    "forward",
    "error",
    "groups",
    "slopes",
    "stable",
    "batch",
    "initial",
    "descent",
    "update",
    "trainer",
    "trainer_introduction",
    "choices",
    "components",
)
"""What stands in other sections of a document."""


def _lines_of(sentence: str) -> int:
    return 1 + columns(sentence) // _COLUMNS


def _lines_of_block(block: EquationBlock) -> int:
    """Return the lines of an equation with what is said of it."""
    return 1 + block.formula.count("\n") + (_lines_of(block.note) if block.note else 0)


def _lines_of_row(row: ResultRow) -> int:
    return 1 + row.formula.count("\n")


def _fitting(items: Iterable[tuple[str, Item]], lines: Callable[[Item], int], room: int) -> Iterator[str]:
    """Yield the names of the first items, as many as there is room for."""
    for name, item in items:
        room -= lines(item)
        if room < 0:
            return
        yield name
