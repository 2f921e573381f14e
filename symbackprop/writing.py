"""Writing files: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from symbackprop.errors import SpecificationError


def write_file(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` through a temporary file beside it, so that no half file is left.

    Raises:
        SpecificationError: the path is a directory, or its folder does not exist or can't be written.
    """
    if path.is_dir():
        raise SpecificationError(f"{path}: is a directory; name a file")
    if not path.parent.is_dir():
        raise SpecificationError(f"{path}: the folder {path.parent} does not exist")
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:50]}.", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(path))
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise SpecificationError(f"{path}: can't be written: {error.strerror}") from error


def _mode(path: Path) -> int:
    """Return the permissions of the file that is replaced, or those of a new file."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
