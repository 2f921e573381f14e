"""Files of arrays: written whole or not at all, read without pickle."""

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any

import numpy as np


def _write(path: Any, arrays: dict[str, Any]) -> None:
    """Write arrays as .npz."""
    _replace(path, lambda file: np.savez(file, **arrays))


def _replace(path: Any, write: Callable[[IO[bytes]], Any] | None = None) -> None:
    """Write a file beside its place, then rename it: the old one stays until the new one is whole.

    Without `write` nothing is written: it only raises where it could not be.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "it is a directory" if os.path.isdir(path) else "it is no plain file"
        raise ValueError(f"{path}: can't be written: {kind}")
    target = os.path.realpath(path)  # a link stays a link
    try:
        with _temporary_file(target) as (file, temporary):
            if write is not None:
                write(file)
                file.flush()
                os.fsync(file.fileno())
                file.close()
                os.chmod(temporary, _mode(target))
                os.replace(temporary, target)
    except OSError as error:
        problem = error.strerror or error
        raise ValueError(f"{path}: can't be written: {problem}") from error


@contextlib.contextmanager
def _temporary_file(target: str) -> Iterator[tuple[IO[bytes], str]]:
    """Give an open file beside a path, and its path; it is gone in the end, or renamed."""
    folder, name = os.path.split(target)
    prefix = f"{name[:100]}."
    _remove_strays(folder, prefix)
    with contextlib.ExitStack() as held:
        path = ""
        while not os.path.exists(path):  # another may find it before it is locked
            handle, path = tempfile.mkstemp(".tmp", prefix, folder)
            file = held.enter_context(os.fdopen(handle, "wb"))
            with contextlib.suppress(FileNotFoundError):
                held.enter_context(_locked(path, wait=True))
        try:
            with file:
                yield file, path
        finally:
            if os.path.exists(path):
                os.unlink(path)


def _remove_strays(folder: str, prefix: str) -> None:
    """Remove temporary files that a killed run has left; one that is being written is locked."""
    temporary = re.compile(re.escape(prefix) + r"[a-z0-9_]{8}\.tmp")
    for name in filter(temporary.fullmatch, os.listdir(folder)):
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError), _locked(path) as is_stray:
            if is_stray:
                os.unlink(path)


@contextlib.contextmanager
def _locked(path: str, wait: bool = False) -> Iterator[bool]:
    """Hold the lock of a file, if it can be had; tell so: no one else is writing it."""
    try:
        import fcntl
    except ImportError:  # where there are no such locks, no one can remove an open file
        yield True
        return
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            is_held = True
        except OSError:
            is_held = False
        yield is_held


def _mode(path: str) -> int:
    """Return the permissions of the file that is replaced, or those of a new one."""
    if os.path.exists(path):
        return os.stat(path).st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _read(path: Any) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file; raise ValueError where it is none."""
    if os.path.isdir(path) or not os.path.exists(path):
        problem = "is a directory" if os.path.isdir(path) else "there is no such file"
        raise ValueError(f"{path}: {problem}")
    try:
        with open(path, "rb") as file:
            content = np.load(file, allow_pickle=False)
            return {name: np.asarray(content[name]) for name in content.files}
    except MemoryError as error:
        raise MemoryError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file can fail in many ways
        raise ValueError(
            f"{path}: is not a readable .npz file of plain arrays"
        ) from error


def _is_mapped(path: Any) -> bool:
    """Return whether data are in .npy files, which are read as needed: one, or a folder."""
    return str(path).lower().endswith(".npy") or os.path.isdir(path)


def _mapped(path: Any) -> Any:
    """Return the array of a .npy file, or a dict of those in a folder by name, unread."""
    if os.path.isdir(path):
        files = sorted(name for name in os.listdir(path) if name.endswith(".npy"))
        if not files:
            raise ValueError(f"{path}: is a directory: it holds no .npy files")
        return {name[:-4]: _mapped(os.path.join(path, name)) for name in files}
    if not os.path.exists(path):
        raise ValueError(f"{path}: there is no such file")
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except MemoryError as error:
        raise MemoryError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file can fail in many ways
        raise ValueError(f"{path}: is not a readable .npy file of numbers") from error
