"""LaTeX set as PDF by whatever TeX is installed.

In goes the source of a document, out come the bytes of the PDF.  TeX runs in a folder of its own, may start
no other program and reads no file from outside of its own installation.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from symbackprop.errors import SpecificationError

_QUIET = ("-interaction=nonstopmode", "-halt-on-error", "-file-line-error", "-no-shell-escape")

TOOLS: dict[str, tuple[tuple[str, ...], int]] = {
    "latexmk": (("-pdf", "-norc", *_QUIET), 1),
    "tectonic": (("--untrusted", "--keep-logs"), 1),
    "pdflatex": (_QUIET, 3),
    "xelatex": (_QUIET, 3),
}
"""Program -> its arguments, and how often it is run: longtable asks for widths that the run before found."""

_NEEDS = {"latexmk": "pdflatex"}
"""Program -> another one that it starts."""

_SECONDS = 300


def compiled(source: str) -> bytes:
    """Return a LaTeX document as PDF.

    Raises:
        SpecificationError: no TeX is installed, or it reports an error: the first one is in the message.
    """
    tool = _installed()
    arguments, runs = TOOLS[tool]
    with tempfile.TemporaryDirectory(prefix="symbackprop-") as name:
        folder = Path(name)
        (folder / "derivation.tex").write_text(source, encoding="utf-8")
        for _ in range(runs):
            _run(tool, arguments, folder)
        return (folder / "derivation.pdf").read_bytes()


def _installed() -> str:
    for tool in TOOLS:
        if shutil.which(tool) and shutil.which(_NEEDS.get(tool, tool)):
            return tool
    known = ", ".join(TOOLS)
    raise SpecificationError(
        f"PDF: no TeX is installed; looked for {known}. Install one of them, or choose --format latex or html"
    )


def _run(tool: str, arguments: tuple[str, ...], folder: Path) -> None:
    # The same input gives the same bytes: no clock; and "p" keeps TeX inside of its folder.
    fixed = {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "openin_any": "p", "openout_any": "p"}
    try:
        done = subprocess.run(
            [tool, *arguments, "derivation.tex"],
            cwd=folder,
            env={**os.environ, **fixed},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SpecificationError(f"PDF: {tool} took more than {_SECONDS} seconds") from None
    except OSError as error:
        raise SpecificationError(f"PDF: {tool} can't be started: {error.strerror}") from error
    if done.returncode or not (folder / "derivation.pdf").is_file():
        raise SpecificationError(f"PDF: {tool} failed: {_first_error(done.stdout, folder)}")


def _first_error(output: bytes, folder: Path) -> str:
    """Return the first error that TeX reports, in its log or its output."""
    log = folder / "derivation.log"
    report = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    lines = [*report.splitlines(), *output.decode(errors="replace").splitlines()]
    for line in lines:
        if line.startswith(("! ", "error: ", "./derivation.tex:", "derivation.tex:")):
            return line.removeprefix("! ")
    said = [line for line in lines if line.strip()]
    return said[-1] if said else "it says nothing about why"
