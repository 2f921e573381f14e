"""Memory that can't be had is one line, no fault of a file, and destroys nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbackprop.code.runtime.archives as archives
from tests.code.runtime.conftest import Run, done, refused
from tests.code.runtime.nets import data, module, source, trainer

resource = pytest.importorskip("resource")

NAME = "regression"
HUGE = [10**12, 10**18, 2**61, 2**62, 2**63 - 1, 10**19, 10**30]


@pytest.fixture
def files(run: Run, tmp_path: Path) -> Path:
    x, t = data(NAME, 20)
    np.savez("data.npz", x=x, t=t)
    np.savetxt("data.csv", np.hstack([x, t]), delimiter=",", fmt="%.9g")
    Path("data").mkdir()
    np.save("data/x.npy", x)
    np.save("data/t.npy", t)
    np.save("data.npy", np.hstack([x, t]))
    run_once = [
        "train",
        "data.npz",
        "--epochs",
        "1",
        "--seed",
        "1",
        "--checkpoint",
        "state.npz",
        "-o",
        "w.npz",
    ]
    done(run(NAME, *run_once))
    return tmp_path


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# ---------------------------------------------------------------- buffers


@pytest.mark.parametrize("size", HUGE)
def test_a_batch_size_beyond_all_memory(run: Run, files: Path, size: int) -> None:
    before = content(files)
    said = refused(run(NAME, "train", "data.npz", "--batch-size", size, "-o", "w.npz"))
    assert said.startswith("not enough memory: ")
    assert f"a batch of {size} rows: " in said
    assert content(files) == before


@pytest.mark.parametrize("name", ["regression", "two inputs", "coupled", "deep", "open"])
@pytest.mark.parametrize("size", HUGE)
def test_a_trainer_beyond_all_memory(name: str, size: int) -> None:
    """Where rows can't be cut, buffers are made for the samples that come."""
    if "ROWS_CAN_BE_CUT = False" in source(name):
        own = trainer(name, batch_size=size)
        own.fit(*data(name), 1)
        assert own.steps == 1
    else:
        with pytest.raises(MemoryError, match=f"^a batch of {size} rows: "):
            trainer(name, batch_size=size)


def test_a_checkpoint_that_asks_for_too_much(run: Run, files: Path) -> None:
    with np.load("state.npz") as arrays:
        changed = {name: arrays[name] for name in arrays.files}
    text = str(changed["settings"])
    assert '"batch_size": 32' in text
    changed["settings"] = np.array(text.replace('"batch_size": 32', f'"batch_size": {10**12}'))
    np.savez("state.npz", **changed)
    before = content(files)
    said = refused(run(NAME, "train", "data.npz", "--resume", "state.npz", "--epochs", "3", "-o", "w.npz"))
    assert said.startswith("not enough memory: ")
    assert content(files) == before


# ---------------------------------------------------------------- reading


def full(*arguments: Any, **keywords: Any) -> Any:
    raise MemoryError("Unable to allocate 9 TiB")


def silent(*arguments: Any, **keywords: Any) -> Any:
    raise MemoryError


@pytest.mark.parametrize("fault", [full, silent])
@pytest.mark.parametrize("what", ["load", "asarray"])
def test_an_archive_that_does_not_fit(
    run: Run, files: Path, what: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(files)
    with monkeypatch.context() as patch:
        patch.setattr(archives.np, what, fault)
        with pytest.raises(MemoryError, match=r"^data\.npz"):
            archives._read("data.npz")
        results = [
            run(NAME, "train", "data.npz", "-o", "new.npz"),
            run(NAME, "train", "data.npz", "--resume", "state.npz", "-o", "new.npz"),
            run(NAME, "evaluate", "w.npz", "data.npz"),
            run(NAME, "predict", "w.npz", "data.npz", "-o", "new.npz"),
        ]
    for result in results:
        said = refused(result)
        assert said.startswith("not enough memory: ")
        assert ".npz" in said
        assert "readable" not in said
        assert not said.endswith(":")
    assert content(files) == before


@pytest.mark.parametrize("path", ["data", "data.npy"])
def test_arrays_in_files_that_cannot_be_opened(
    run: Run, files: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(files)
    monkeypatch.setattr(np.lib.format, "open_memmap", full)
    said = refused(run(NAME, "train", path, "-o", "new.npz"))
    assert said.startswith("not enough memory: data")
    assert ".npy: Unable to allocate 9 TiB" in said
    assert content(files) == before


@pytest.mark.parametrize("fault", [full, silent])
@pytest.mark.parametrize("what", ["_head_lines", "_table_lines", "_header_names"])
def test_a_table_that_does_not_fit(
    run: Run, files: Path, what: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(files)
    monkeypatch.setattr(module(NAME), what, fault)
    said = refused(run(NAME, "train", "data.csv", "-o", "new.npz"))
    assert said.startswith("not enough memory: data.csv")
    assert content(files) == before


@pytest.mark.parametrize(
    "what", ["forward", "loss_in_use", "_checked_data", "_backpropagate", "_standardised"]
)
@pytest.mark.parametrize("fault", [full, silent])
def test_no_memory_anywhere_is_one_line(
    run: Run, files: Path, what: str, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(files)
    monkeypatch.setattr(module(NAME), what, fault)
    commands = {
        "forward": ["predict", "w.npz", "data.npz", "-o", "new.csv"],
        "loss_in_use": ["evaluate", "w.npz", "data.npz"],
    }
    common = ["train", "data.npz", "-o", "w.npz", "--resume", "state.npz", "--checkpoint", "state.npz"]
    said = refused(run(NAME, *commands.get(what, common)))
    assert said == "not enough memory" + (": Unable to allocate 9 TiB" if fault is full else "")
    assert content(files) == before


LIMITED = """
import resource, sys, trainer
with open("/proc/self/statm") as file:
    now = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 2**26,) * 2)
sys.argv[0] = "trainer.py"
sys.exit(trainer.main())
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="knows the memory in use from there")
def test_a_process_that_may_have_no_more(files: Path) -> None:
    """An archive, a folder's batch and a table that need more than the limit lets them have."""
    Path("trainer.py").write_text(source(NAME))
    np.savez("large.npz", x=np.zeros((25_000_000, 3), "u1"), t=np.zeros((1, 2), "f4"))
    Path("w.npz").write_bytes(b"old")
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    for arguments, words in (
        (["train", "large.npz"], "not enough memory: large.npz: "),
        (["train", "data.npz", "--batch-size", "50000000"], "not enough memory: a batch of 50000000 rows: "),
    ):
        command = [sys.executable, "-B", "-c", LIMITED, *arguments, "-o", "w.npz"]
        found = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert (found.returncode, found.stdout) == (2, ""), found.stderr
        assert found.stderr.startswith(f"trainer.py: {words}")
        assert found.stderr.count("\n") == 1
    assert Path("w.npz").read_bytes() == b"old"
    assert not list(files.glob("*.tmp"))
