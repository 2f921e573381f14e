"""Files that a ``.net`` text imports blocks from: those beside it, and those of the library.

A text with the files written in is whole: nothing but it is needed to read it again.  A file is written in
under a line ``file "layers.net"``, indented.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from symbackprop.errors import SpecificationError, excerpt, nearest, suggestion
from symbackprop.library.block_files import FOLDER, block_files
from symbackprop.network.notation.blocks import File, beside, imported, read_file
from symbackprop.network.notation.lines import MAX_LINES, Part, statements, text_lines

MAX_BYTES = 4_000_000
"""Size of a ``.net`` file, or of several together, beyond which it is taken for something else."""
MAX_FILES = 100
"""Files that one text imports, through others or not."""

_FILE = re.compile(r"""( *)file +(?:"([^"]+)"|(library +[A-Za-z_]\w*)) *""", re.ASCII)
_INDENTED = "    "


def text_in(path: Path) -> str:
    """Return the text of a ``.net`` file; raises SpecificationError where it can't be read."""
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise SpecificationError(f"{path}: more than {MAX_BYTES // 10**6} MB are no equations")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecificationError(f"{path}: is not text in UTF-8") from error
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or str(error)
        raise SpecificationError(f"{path}: can't be read: {problem}") from error


def main_file(text: str, source: str) -> File:
    """Return a whole text as a file that finds what it imports among the files that are written in.

    Raises:
        SpecificationError: something is wrong with the lines, or with a block as such.
    """
    own, sections = split_files(text)
    if len(sections) > MAX_FILES:
        raise SpecificationError(f"{source}: more than {MAX_FILES} files are not allowed")
    files: dict[str, File] = {}
    for key, section in sections.items():
        there = _source(source, key)
        files[key] = read_file(key, there, statements(section, there), files)
    _check_circles(files)
    return read_file("", source, statements(own, source), files)


def split_files(text: str) -> tuple[str, dict[str, str]]:
    """Return a text with blank lines in place of the files that are written in, and these by their keys."""
    own: list[str] = []
    sections: dict[str, list[str]] = {}
    inside: list[str] | None = None
    base = 0
    for line in text_lines(text):
        blanks = len(line) - len(line.lstrip(" "))
        if inside is not None and (not line.strip() or blanks > base):
            inside.append(line)
            own.append("")
            continue
        inside = None
        if found := _FILE.fullmatch(line):
            key = found[2] if found[2] else " ".join(found[3].split())
            base, inside = blanks, sections.setdefault(str(PurePosixPath(key)), [])
        own.append("" if found else line)
    return "\n".join(own), {key: _dedented(lines) for key, lines in sections.items()}


def with_files(text: str, source: str, folder: Path | None) -> str:
    """Return a text with the files that it imports written in; ``folder`` is the one in which it stands.

    Raises:
        SpecificationError: a file is missing, leads out of the folder, or imports itself.
    """
    if not re.search(r"^\s*from\s", text, re.MULTILINE):
        return text
    own, sections = split_files(text)
    pending = [("", own), *sections.items()]
    new: dict[str, str] = {}
    while pending:
        key, content = pending.pop(0)
        for there, part in _imports(key, content, _source(source, key)):
            if there not in sections:
                sections[there] = new[there] = _read(key, there, part, folder)
                pending.append((there, new[there]))
                _check_amount([own, *sections.values()], part)
    written = [line for key, content in new.items() for line in _written(key, content)]
    return "\n".join([*text_lines(text), *written]) if written else text


def _check_amount(texts: Sequence[str], part: Part) -> None:
    """Refuse too many files, or too long ones."""
    if len(texts) > MAX_FILES + 1:
        part.fail(f"more than {MAX_FILES} files are not allowed")
    if sum(map(len, texts)) > MAX_BYTES:
        part.fail(f"with the imported files this is longer than {MAX_BYTES // 10**6} MB")
    if sum(content.count("\n") + 2 for content in texts) > MAX_LINES:
        part.fail(f"with the imported files this has more than {MAX_LINES} lines")


def _imports(key: str, content: str, source: str) -> Iterator[tuple[str, Part]]:
    """Yield the keys of the files that a text imports, with the places."""
    for statement in statements(content, source):
        if statement.keyword == "from":
            for _, where, part in imported(statement):
                yield beside(key, where), part


def _check_circles(files: Mapping[str, File]) -> None:
    """Refuse files that import one another in a circle."""
    done: set[str] = set()

    def follow(key: str, above: tuple[str, ...]) -> None:
        for there, part in files[key].imports.values():
            if there in (*above, key):
                chain = (*above, key, there)
                circle = " -> ".join(chain[chain.index(there) :])
                part.fail(f"files import one another in a circle: {circle}", "a file can't import itself")
            if there in files and there not in done:
                follow(there, (*above, key))
        done.add(key)

    for key in files:
        follow(key, ())


# ------------------------------------------------------------------------------------------- files


def _read(key: str, there: str, part: Part, folder: Path | None) -> str:
    """Return the text of an imported file."""
    if there.startswith("library "):
        name = there.removeprefix("library ")
        known = block_files()
        if name not in known:
            part.fail(f"there is no block '{name[:40]}' in the library", suggestion(name, known))
        return known[name]
    if key.startswith("library "):
        part.fail("a block of the library imports from the library alone")
    if folder is None:
        part.fail("a text that is not in a file imports from the library alone", "read it from a file")
    return "\n".join(text_lines(text_in(_path(PurePosixPath(key).parent, there, part, folder))))


def _path(inside: PurePosixPath, there: str, part: Part, folder: Path) -> Path:
    """Return the path of an imported file, which lies in the folder of the one that imports it."""
    path = PurePosixPath(there)
    if path.is_absolute() or ".." in path.parts or re.search(r"[\\:\0]", there):
        part.line.fail(*_refused(part, "an imported file lies in the folder of the one that imports it"))
    if path.suffix != ".net":
        part.line.fail(*_refused(part, f"an imported file ends in .net, and {excerpt(there)} does not"))
    base, target = folder / inside, folder / path
    try:
        real = target.resolve()
        is_inside, is_file = real.is_relative_to(base.resolve()), real.is_file()
    except (OSError, RuntimeError, ValueError):
        is_inside = is_file = False
    if not is_file:
        names = {str(PurePosixPath(inside / name)): name for name in _beside(base)}
        guess = nearest(there, names)
        hint = f"did you mean '{names[guess]}'?" if guess else "it would lie beside this one"
        part.line.fail(*_refused(part, f"there is no file {excerpt(there)}", hint))
    if not is_inside:
        part.line.fail(*_refused(part, f"{excerpt(there)} leads out of the folder"))
    return target


def _refused(part: Part, problem: str, hint: str = "") -> tuple[int, str, str]:
    """Return the arguments of an error that points to the name of the file."""
    return max(part.line.joined().find('"'), 0), problem, hint


def _beside(folder: Path) -> list[str]:
    """Return the names of ``.net`` files in a folder."""
    try:
        return sorted(path.name for path in folder.iterdir() if path.suffix == ".net")[:1000]
    except OSError:
        return []


def _source(source: str, key: str) -> str:
    """Return how a file is called in messages."""
    if not key:
        return source
    if key.startswith("library "):
        return f"{FOLDER.name}/{key.removeprefix('library ')}.net of the library"
    return str(Path(source).parent / key)


# ------------------------------------------------------------------------------------------- lines


def last_line(text: str) -> int:
    """Return the number of the line behind a text without the files that are written in."""
    own, sections = split_files(text)
    return (own.rstrip("\n") + "\n" if sections else text).count("\n") + 1


def _written(key: str, content: str) -> Iterator[str]:
    """Yield the lines with which a file is written in."""
    yield f"file {key}" if key.startswith("library ") else f'file "{key}"'
    for line in content.expandtabs(4).rstrip().split("\n"):
        yield (_INDENTED + line).rstrip()


def _dedented(lines: list[str]) -> str:
    """Return the text of a file that is written in."""
    full = [line for line in lines if line.strip()]
    common = min((len(line) - len(line.lstrip(" ")) for line in full), default=0)
    return "\n".join(line[min(common, len(_INDENTED)) :] for line in lines)
