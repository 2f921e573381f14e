"""Writing files: whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
import types
from pathlib import Path

from symbackprop.errors import SpecificationError, excerpt


def write_file(path: Path, content: str | bytes) -> None:
    """Write text or bytes to ``path`` through a temporary file beside it, so that no half file is left.

    Raises:
        SpecificationError: the path is a directory, or its folder does not exist or can't be written.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        target = path.resolve()  # a link stays a link
        if target.is_dir():
            raise SpecificationError(f"{path}: is a directory; name a file")
        if not target.parent.is_dir():
            raise SpecificationError(f"{path}: the folder {path.parent} does not exist")
        if target.exists() and not target.is_file():
            target.write_bytes(data)  # a pipe or a device can't be replaced
        else:
            _replace(target, data)
    except SpecificationError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SpecificationError(f"{excerpt(str(path))}: can't be written: {reason}") from error


def _replace(path: Path, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:50]}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(path))
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _mode(path: Path) -> int:
    """Return the permissions of the file that is replaced, or those of a new file."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def import_file(path: Path) -> types.ModuleType:
    """Import the module in ``path`` under a name of its own; Python runs it, as it runs any module.

    Raises:
        SpecificationError: there is no such file, or running it fails.
    """
    try:
        found = path.is_file()
    except OSError:
        found = False
    if not found:
        raise SpecificationError(f"{path}: there is no such file")
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        source = path.read_text(encoding="utf-8")
        sys.modules.setdefault(module.__name__, module)
        exec(compile(source, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        raise SpecificationError(f"{path}: does not run: {type(error).__name__}: {error}") from error
    return module
