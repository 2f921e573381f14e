"""The runtime as part of a generated module: the text of the package's own Python, as it stands."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from types import CodeType

FOLDER = Path(__file__).parent / "runtime"
FILES = (
    "memory",
    "settings",
    "archives",
    "tables",
    "checks",
    "batches",
    "trainer",
    "datafiles",
    "command_line",
)
"""The files of the runtime, in the order in which they stand in a module."""
_OWN = "symbackprop."


@lru_cache(maxsize=1)
def runtime() -> str:
    """Return the text of the runtime: what its files import, then each as it stands after its imports."""
    parts = [_parted((FOLDER / f"{name}.py").read_text(encoding="utf-8")) for name in FILES]
    plain = {module for imports, _ in parts for module, name in imports if not name}
    named: dict[str, set[str]] = {}
    for module, name in (each for imports, _ in parts for each in imports):
        if name:
            named.setdefault(module, set()).add(name)
    lines = [f"import {module}" for module in sorted(plain)]
    lines += [f"from {m} import {', '.join(sorted(named[m], key=_import_order))}" for m in sorted(named)]
    return "\n".join(lines) + "\n\n\n" + "\n\n\n".join(body for _, body in parts)


def _import_order(name: str) -> tuple[bool, bool, str]:
    """Return the key by which linters sort imported names: constants, then classes, then the rest."""
    return not name.isupper(), not name[0].isupper(), name


@lru_cache(maxsize=1)
def compiled() -> tuple[CodeType, ...]:
    """Return the same as code that runs in a module's namespace, with the places in these files."""
    return tuple(map(_compiled, FILES))


def compiled_for_a_step() -> tuple[CodeType, ...]:
    """Return the part of it that a trainer needs for one step."""
    return tuple(map(_compiled, FILES[: FILES.index("trainer") + 1]))


@lru_cache(maxsize=len(FILES))
def _compiled(name: str) -> CodeType:
    path = FOLDER / f"{name}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body[1:] if not _is_own(node)]
    return compile(tree, str(path), "exec")


def _is_own(node: ast.stmt) -> bool:
    """Whether a statement imports from the package, which a module has no need of."""
    return isinstance(node, ast.ImportFrom) and str(node.module).startswith(_OWN)


@lru_cache(maxsize=1)
def support() -> dict[str, str]:
    """Return the functions that modules have above their runtime where they call them, by name."""
    _, body = _parted((FOLDER / "support.py").read_text(encoding="utf-8"))
    blocks = body.strip().split("\n\n\n")
    return {block.removeprefix("def ").split("(")[0].split(" ")[0]: block for block in blocks}


def _parted(source: str) -> tuple[list[tuple[str, str]], str]:
    """Return the modules and names that a file of the runtime imports, and its text after that.

    NumPy and what the network's part has are left out: they are at hand already.
    """
    imports: list[tuple[str, str]] = []
    end = 0
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            imports += [(alias.name, "") for alias in node.names if alias.name != "numpy"]
        elif isinstance(node, ast.ImportFrom):
            imports += [(str(node.module), alias.name) for alias in node.names if not _is_own(node)]
        elif end:
            break
        end = node.end_lineno or 0
    return imports, "\n".join(source.splitlines()[end:]).strip("\n")
