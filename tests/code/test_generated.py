"""generated/ is what the product generates now from its table of named networks; each module runs."""

from __future__ import annotations

import difflib
import importlib
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.named import NAMED_NETWORKS
from tests.conftest import ROOT, difference_from_numbers, random_parameters, sample_data

FOLDER = ROOT / "generated"
PACKAGE = '"""Generated modules, committed: `make update-generated` writes them anew."""\n'


def network(name: str) -> sb.Network:
    return sb.Network(**NAMED_NETWORKS[name].network)


@cache
def expected_files() -> dict[str, str]:
    modules = {
        f"{name}.py": sb.generate(network(name), optimizer=named.optimizer)
        for name, named in NAMED_NETWORKS.items()
    }
    return {"__init__.py": PACKAGE, **modules}


def present(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name != "__pycache__"}


def difference(file: Path, expected: str) -> str:
    """Return a unified diff from the file to what it should be; empty where they are equal."""
    found = file.read_text(encoding="utf-8") if file.exists() else ""
    return "".join(
        difflib.unified_diff(
            found.splitlines(keepends=True),
            expected.splitlines(keepends=True),
            f"{file.parent.name}/{file.name} as it stands",
            f"{file.parent.name}/{file.name} as generated now",
        )
    )


def assert_up_to_date(folder: Path, expected: dict[str, str]) -> None:
    hint = "run: make update-generated"
    stale = sorted(present(folder) - set(expected))
    if stale:
        raise AssertionError(f"nothing generates {', '.join(stale)} in {folder.name}/; {hint}")
    for name, text in expected.items():
        found = difference(folder / name, text)
        if found:
            raise AssertionError(f"{hint}\n{found}")


def update(folder: Path, expected: dict[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for name in present(folder) - set(expected):
        (folder / name).unlink()
    for name, text in expected.items():
        if difference(folder / name, text):
            (folder / name).write_text(text, encoding="utf-8", newline="\n")


def test_files_are_what_is_generated_now(update_generated: bool) -> None:
    if update_generated:
        update(FOLDER, expected_files())
    assert_up_to_date(FOLDER, expected_files())


def test_a_difference_is_shown_as_a_diff(tmp_path: Path) -> None:
    update(tmp_path, expected_files())
    text = (tmp_path / "textbook.py").read_text(encoding="utf-8")
    (tmp_path / "textbook.py").write_text(text.replace("ds2 = x2 - t\n", "ds2 = x2 + t\n"), encoding="utf-8")
    with pytest.raises(AssertionError) as caught:
        assert_up_to_date(tmp_path, expected_files())
    assert "-    ds2 = x2 + t\n+    ds2 = x2 - t\n" in str(caught.value)


@pytest.mark.parametrize("change", ["missing", "stale"])
def test_a_missing_and_a_stale_file_are_noticed(tmp_path: Path, change: str) -> None:
    update(tmp_path, expected_files())
    assert_up_to_date(tmp_path, expected_files())
    if change == "missing":
        (tmp_path / "textbook.py").unlink()
    else:
        (tmp_path / "former.py").write_text("", encoding="utf-8")
    with pytest.raises(AssertionError, match="make update-generated"):
        assert_up_to_date(tmp_path, expected_files())
    update(tmp_path, expected_files())
    assert_up_to_date(tmp_path, expected_files())


def test_depth_of_the_deep_network() -> None:
    assert network("deep_20").source.depth == 20


@pytest.mark.parametrize("name", NAMED_NETWORKS)
def test_committed_module_runs_and_its_gradients_are_right(name: str, rng: np.random.Generator) -> None:
    module: Any = importlib.import_module(f"generated.{name}")
    parameters = random_parameters(module.PARAMETER_SHAPES, rng)
    x, t = sample_data(network(name), rng)
    _, derivatives = module.gradients(parameters, x, t)
    worst = difference_from_numbers(lambda p: module.loss(p, x, t), parameters, derivatives, rng)
    assert worst < 1e-7
    trainer = module.Trainer(seed=0)
    first, last = trainer.fit(x, t, epochs=20)["loss"][::19]
    assert last < first


def test_import_from_the_root() -> None:
    code = "import sys, generated.textbook; assert 'symbackprop' not in sys.modules"
    subprocess.run([sys.executable, "-B", "-c", code], cwd=ROOT, check=True)
