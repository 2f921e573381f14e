"""The summary of a derivation on one page: its results, and what they assume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from symbackprop.document import derivatives
from symbackprop.document.blocks import ResultRow
from symbackprop.document.sentences import Sentences
from symbackprop.document.sought import rows_of_second

MOST_LINES = 60
"""Lines of a summary in text."""
_AROUND = 14  # lines for the title, headings, the note and blanks


def summary_of(sentences: Sentences) -> Mapping[str, object]:
    """Return the template context that leaves the results alone, as many as one page has room for."""
    derivation = sentences.derivation
    assumed = [*sentences.facts(), *derivatives.facts(sentences)]
    room = MOST_LINES - _AROUND - 2 * len(assumed)
    rows = [*sentences.rows_by_target(), *rows_of_second(sentences)]
    asked = (*derivation.of, *derivation.second.values())
    kept = set(_fitting(rows, asked or derivation.system.parameters, room))
    columns = sentences.columns_of_results()
    head, *shown = sentences.style.table([columns, *(row for name, row in rows if name in kept)])
    left_out = len(rows) - len(shown)
    return {
        **dict.fromkeys(_LEFT_OUT, ()),
        "drawing": "",
        "results_columns": head,
        "results": shown,
        "results_note": sentences.say("results.left_out", count=str(left_out)) if left_out else "",
        "assumptions": assumed,
        "one_page": True,
    }


_LEFT_OUT = (
    "given",
    "forward",
    "error",
    "groups",
    "slopes",
    "stable",
    "batch",
    "matrices",
    "initial",
    "descent",
    "update",
    "trainer",
    "trainer_introduction",
    "choices",
)
"""What stands in other sections of a document."""


def _fitting(rows: Iterable[tuple[str, ResultRow]], sought: Iterable[str], room: int) -> Iterable[str]:
    """Yield the quantities whose rows fit: those that were sought come first."""
    wanted = set(sought)
    for name, row in sorted(rows, key=lambda pair: pair[0] not in wanted):
        room -= 1 + row.formula.count("\n")
        if room < 0:
            return
        yield name
