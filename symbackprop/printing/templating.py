"""Where the templates are, and the Jinja environments that read them.

Templates hold text, Python holds logic: a template gets finished strings and lists of them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

if TYPE_CHECKING:
    from jinja2 import Environment


def template_directory() -> Path:
    """Return the directory of the templates: in the installed package, else beside it.

    Raises:
        FileNotFoundError: the installation holds no templates.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = (package / "templates", package.parent / "templates")
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"no templates in {' or '.join(map(str, candidates))}; please reinstall")


@cache
def environment(latex: bool = False) -> Environment:
    r"""Return the environment for text templates, or for LaTeX with ``\VAR{ }`` and ``\BLOCK{ }``.

    A name that a template reads and is not given is an error.  Jinja takes longer to read a template than
    to fill it in: each is read once.
    """
    # Imported here: most commands render nothing, and the import costs more than they do.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    result = Environment(
        loader=FileSystemLoader(template_directory(), encoding="utf-8"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
        block_start_string=r"\BLOCK{" if latex else "{%",
        block_end_string="}" if latex else "%}",
        variable_start_string=r"\VAR{" if latex else "{{",
        variable_end_string="}" if latex else "}}",
        comment_start_string=r"\#{" if latex else "{#",
        comment_end_string="}" if latex else "#}",
    )
    result.filters["underlined"] = underlined
    result.filters.update(filled=filled, linked=linked, placed=placed)
    return result


def underlined(heading: str, mark: str) -> str:
    """Return ``heading`` with a line of ``mark`` below it, as wide as it is."""
    return f"{heading}\n{mark * columns(heading)}"


def columns(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes; a Korean syllable takes two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def filled(text: str, width: int) -> str:
    """Return ``text`` in lines of at most ``width`` columns, broken at blanks."""
    lines, taken = [""], 0
    for word in text.split(" "):
        own = columns(word)
        if taken and taken + 1 + own > width:
            lines.append(word)
            taken = own
        else:
            lines[-1] += f" {word}" if taken else word
            taken += own + bool(taken)
    return "\n".join(lines)


def linked(sentence: str, prefix: str) -> str:
    """Return a sentence of HTML in which each number of an equation, such as ``(7)``, leads to it."""
    return _with_numbers(sentence, rf'<a href="#{prefix}step-\1">(\1)</a>')


def placed(sentence: str, prefix: str) -> str:
    """Return a sentence of HTML in which each number is the place of that equation."""
    return _with_numbers(sentence, rf'<span id="{prefix}step-\1">(\1)</span>')


def _with_numbers(sentence: str, mark: str) -> str:
    parts = re.split(r"(<[^>]*>)", sentence)
    parts[::2] = [re.sub(r"\((\d+)\)", mark, text) for text in parts[::2]]
    return "".join(parts)
