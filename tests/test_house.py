"""The structure of the package: folders by stage, imports in one direction, no circles.

The table of what may import what stands in docs/how-it-works.md, and nowhere else.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "symbackprop"
TABLE = ROOT / "docs" / "how-it-works.md"
MOST_ENTRIES = 17
MOST_LINES_OF_A_FUNCTION, MOST_LINES_OF_A_MODULE, LARGEST_MEDIAN = 60, 800, 8

GENERATED = "symbackprop.code.runtime.network."
"""What is generated is as long as its network."""

Imports = Mapping[str, set[str]]
"""Module -> the modules that it imports."""


def table() -> dict[str, set[str]]:
    """Return each room with those that it may import."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    found: dict[str, set[str]] = {}
    for room, allowed in rows:
        found[room] = set(found) if allowed.strip() == "all above" else set(re.findall(r"`(\w+)`", allowed))
    return found


def modules(package: Path) -> dict[str, Path]:
    """Return the modules below a package by their full names."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = [package.name, *path.relative_to(package).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(package: Path) -> Imports:
    """Return what each module imports of the package, at whatever place and for whatever use."""
    known = modules(package)
    return {name: set(_imported(path, package.name, known)) for name, path in known.items()}


def _imported(path: Path, package: str, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == package)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            if str(node.module).split(".")[0] == package:
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    yield full if full in known else str(node.module)


def room(module: str) -> str:
    """Return the entry of the package's root to which a module belongs."""
    return [*module.split("."), "__init__"][1]


def circle(found: Imports) -> list[str]:
    """Return the modules of a circle of imports, if there is one."""
    try:
        TopologicalSorter(found).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def forbidden(found: Imports, allowed: Mapping[str, set[str]]) -> list[str]:
    """Return the imports that the table does not allow."""
    return [
        f"{module} imports {other}"
        for module, others in found.items()
        for other in sorted(others)
        if room(module) not in ("__init__", room(other)) and room(other) not in allowed[room(module)]
    ]


def reached(found: Imports, start: str) -> set[str]:
    """Return the modules that those of a room import, also through others."""
    pending, seen = [m for m in found if room(m) == start], set()
    while pending:
        module = pending.pop()
        if module not in seen:
            seen.add(module)
            pending += found[module]
    return seen


@cache
def own() -> Imports:
    return imports(PACKAGE)


def functions() -> Iterator[tuple[str, int]]:
    for name, path in modules(PACKAGE).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                start = min([node.lineno, *(d.lineno for d in node.decorator_list)])
                yield f"{name}.{node.name}", (node.end_lineno or start) - start + 1


def test_the_root_is_small_and_the_table_lists_it() -> None:
    entries = [p.name for p in PACKAGE.iterdir() if p.name != "__pycache__"]
    assert len(entries) <= MOST_ENTRIES
    rooms = {name.removesuffix(".py") for name in entries} - {"__init__", "py.typed", "templates"}
    assert rooms == set(table())


def test_every_folder_says_what_it_is() -> None:
    for path in [PACKAGE, *PACKAGE.rglob("*")]:
        if path.is_dir() and path.name not in ("__pycache__", "templates"):
            first = ast.get_docstring(ast.parse((path / "__init__.py").read_text(encoding="utf-8")))
            assert first, path


def test_no_circle_of_imports() -> None:
    assert circle(own()) == []


def test_imports_run_in_one_direction() -> None:
    assert forbidden(own(), table()) == []


def test_the_table_itself_has_no_circle() -> None:
    assert circle(table()) == []


def test_the_proof_reaches_equations_and_errors_alone() -> None:
    assert {room(m) for m in reached(own(), "proof")} == {"proof", "equations", "errors"}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("def f():\n    from house.upper import g\n", "circle"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house import upper\n", "circle"),
        ("import house.upper\n", "circle"),
        ("from house.beside import g\n", "arrow"),
    ],
)
def test_a_circle_and_an_arrow_back_are_noticed(tmp_path: Path, line: str, fault: str) -> None:
    package = tmp_path / "house"
    package.mkdir()
    texts = {"__init__": "", "lower": line, "upper": "from house import lower\n", "beside": "g = 1\n"}
    for name, text in texts.items():
        (package / f"{name}.py").write_text(text)
    found = imports(package)
    allowed: dict[str, set[str]] = {"lower": set(), "upper": {"lower"}, "beside": set()}
    assert bool(circle(found)) == (fault == "circle")
    assert len(forbidden(found, allowed)) == 1


def test_functions_and_modules_fit_on_a_screen() -> None:
    lengths = {name: n for name, n in functions() if not name.startswith(GENERATED)}
    assert {name: n for name, n in lengths.items() if n > MOST_LINES_OF_A_FUNCTION} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= LARGEST_MEDIAN
    lines = {
        name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules(PACKAGE).items()
    }
    assert {name: n for name, n in lines.items() if n > MOST_LINES_OF_A_MODULE} == {}


def test_the_page_names_modules_that_exist() -> None:
    named = re.findall(r"`((?:\w+/)+\w+\.py)`", TABLE.read_text(encoding="utf-8"))
    assert named
    assert [name for name in named if not (PACKAGE / name.removeprefix("symbackprop/")).exists()] == []


UNBOUNDED = {
    "symbackprop.commands.listing.activation_slope",
    "symbackprop.commands.listing.loss_slope",
    "symbackprop.commands.options._options_of",
    "symbackprop.commands.update_values._rules",
    "symbackprop.printing.templating.environment",
}
"""Functions whose results are kept for good: as many as there are names and commands."""


def kept_for_good(package: Path) -> set[str]:
    """Return the functions whose results are kept, however many there are."""
    found = set()
    for name, path in modules(package).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(map(_is_unbounded, node.decorator_list)):
                found.add(f"{name}.{node.name}")
    return found


def _is_unbounded(decorator: ast.expr) -> bool:
    if not isinstance(decorator, ast.Call):
        return ast.unparse(decorator).split(".")[-1] == "cache"
    sizes = [ast.unparse(each) for each in (*decorator.args, *(k.value for k in decorator.keywords))]
    return ast.unparse(decorator.func).split(".")[-1] == "lru_cache" and "None" in sizes


def test_what_is_kept_of_expressions_is_bounded() -> None:
    assert kept_for_good(PACKAGE) == UNBOUNDED


def test_an_unbounded_cache_is_noticed(tmp_path: Path) -> None:
    package = tmp_path / "house"
    package.mkdir()
    decorators = {"a": "cache", "b": "functools.cache", "c": "lru_cache(maxsize=None)"}
    decorators |= {"d": "lru_cache(None)", "e": "lru_cache(maxsize=9)", "f": "property", "g": "lru_cache"}
    lines = [f"@{decorator}\ndef {name}(x): return x\n" for name, decorator in decorators.items()]
    (package / "__init__.py").write_text("\n".join(lines))
    assert kept_for_good(package) == {f"house.{name}" for name in "abcd"}


def test_no_test_imports_the_benchmarks() -> None:
    """They pin the process to one core, and change what the processes that it starts compute with."""
    for path in (ROOT / "tests").rglob("*.py"):
        names = [
            alias.name if isinstance(node, ast.Import) else str(node.module)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        ]
        assert "benchmarks" not in {name.split(".")[0] for name in names}, path
