"""No file that is read is written over, under whatever name; what is no input may be."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.code.runtime.conftest import Run, done, refused
from tests.code.runtime.nets import data, module

NAME = "regression"
RUNS = ["--epochs", "1", "--seed", "1"]


@pytest.fixture
def files(run: Run, tmp_path: Path) -> Path:
    """Make data of each kind, weights and a checkpoint in the folder of the test."""
    x, t = data(NAME, 20)
    for name in ("data", "valid"):
        np.savez(f"{name}.npz", x=x, t=t)
        np.savetxt(f"{name}.csv", np.hstack([x, t]), delimiter=",", fmt="%.9g")
        np.save(f"{name}.npy", np.hstack([x, t]))
        Path(name).mkdir()
        np.save(f"{name}/x.npy", x)
        np.save(f"{name}/t.npy", t)
    done(run(NAME, "train", "data.npz", *RUNS, "-o", "w.npz", "--checkpoint", "state.npz"))
    Path("folder").mkdir()
    Path("other").symlink_to(".")
    return tmp_path


def state_of(folder: Path) -> dict[str, bytes | str]:
    """Return the content of all files, and where links lead."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path)] = os.readlink(path)
        elif path.is_file():
            found[str(path)] = path.read_bytes()
    return found


def hard(path: str) -> str:
    os.link(path, "hard")
    return "hard"


def soft(path: str) -> str:
    os.symlink(os.path.abspath(path), "soft")
    return "soft"


def soft_to_soft(path: str) -> str:
    os.symlink(path, "first")
    os.symlink("first", "second")
    return "second"


NAMES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "with dots": lambda path: f"./folder/.././{path}",
    "absolute": os.path.abspath,
    "through a linked folder": lambda path: f"other/{path}",
    "hard link": hard,
    "symbolic link": soft,
    "link to a link": soft_to_soft,
}

TRAIN = {
    "data.npz": ["train", "data.npz"],
    "data.csv": ["train", "data.csv"],
    "data.npy": ["train", "data.npy"],
    "data/x.npy": ["train", "data"],
    "data/t.npy": ["train", "data/"],
    "valid.npz": ["train", "data.npz", "--validation", "valid.npz"],
    "valid.csv": ["train", "data.csv", "--validation", "valid.csv"],
    "valid/t.npy": ["train", "data", "--validation", "./valid"],
    "state.npz": ["train", "data.npz", "--resume", "state.npz"],
}


@pytest.mark.parametrize("option", ["-o", "--checkpoint"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", TRAIN)
def test_train_writes_over_none_of_its_inputs(
    run: Run, files: Path, target: str, name: str, option: str
) -> None:
    written = NAMES[name](target)
    legal = target == "state.npz" and option == "--checkpoint"
    before = state_of(files)
    epochs = ["--epochs", "3"]
    result = run(
        NAME, *TRAIN[target], *epochs, option, written, *([] if option == "-o" else ["-o", "new.npz"])
    )
    if legal:
        assert done(result).startswith("3 epochs")
        assert module(NAME).Trainer.load(written).epochs == 3
        return
    said = refused(result)
    assert said.startswith(f"{written}: is ")
    assert said.endswith(f"read; name another for {'--output' if option == '-o' else option}")
    assert state_of(files) == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("source", ["data.npz", "data.csv", "data.npy", "data"])
@pytest.mark.parametrize("target", ["w.npz", "data"])
def test_predict_writes_over_none_of_its_inputs(
    run: Run, files: Path, target: str, source: str, name: str
) -> None:
    if target == "data":
        target = "data/x.npy" if source == "data" else source
    written = NAMES[name](target)
    before = state_of(files)
    said = refused(run(NAME, "predict", "w.npz", source, "-o", written))
    assert said.startswith(f"{written}: is ")
    assert said.endswith("read; name another for --output")
    assert state_of(files) == before


def test_the_inputs_may_be_named_by_links_as_well(run: Run, files: Path) -> None:
    """The data's folder is a link, its arrays are links, the data are a link."""
    os.symlink("data", "linked")
    Path("links").mkdir()
    os.symlink("../data/x.npy", "links/x.npy")
    os.link("data/t.npy", "links/t.npy")
    os.symlink("valid.npz", "v.npz")
    before = state_of(files)
    said = refused(run(NAME, "train", "linked", "-o", "data/t.npy"))
    assert said == "data/t.npy: is linked/t.npy, which is read; name another for --output"
    for arguments in (
        ["train", "linked", "-o", "data/x.npy"],
        ["train", "links", "-o", "data/x.npy"],
        ["train", "links", "-o", "data/t.npy"],
        ["train", "data.npz", "--validation", "v.npz", "-o", "valid.npz"],
        ["train", "data.npz", "--validation", "v.npz", "--checkpoint", "valid.npz"],
        ["predict", "w.npz", "links", "-o", "data/x.npy"],
        ["predict", "w.npz", "v.npz", "-o", "valid.npz"],
    ):
        refused(run(NAME, *arguments))
        assert state_of(files) == before


@pytest.mark.parametrize("name", ["as it is", "with dots", "absolute", "through a linked folder"])
def test_one_file_is_not_two_outputs(run: Run, files: Path, name: str) -> None:
    written = NAMES[name]("new.npz")
    before = state_of(files)
    said = refused(run(NAME, "train", "data.npz", "-o", written, "--checkpoint", "new.npz"))
    assert said == f"{written}: is the checkpoint, too; name another for --output"
    os.symlink("none.npz", "dangling.npz")
    refused(run(NAME, "train", "data.npz", "-o", "dangling.npz", "--checkpoint", "none.npz"))
    os.unlink("dangling.npz")
    assert state_of(files) == before


def test_resuming_and_its_checkpoint_are_no_output(run: Run, files: Path) -> None:
    before = state_of(files)
    resume = ["train", "data.npz", "--resume", "state.npz", "--checkpoint", "state.npz"]
    said = refused(run(NAME, *resume, "--epochs", "2", "-o", "state.npz"))
    assert said == "state.npz: is read; name another for --output"
    refused(run(NAME, "train", "state.npz", *resume[2:], "--epochs", "2", "-o", "new.npz"))
    refused(run(NAME, *resume, "--validation", "state.npz", "--epochs", "2", "-o", "new.npz"))
    assert state_of(files) == before


@pytest.mark.parametrize("source", ["data.npz", "data.csv", "data.npy", "data"])
def test_what_is_no_input_may_be_written(run: Run, files: Path, source: str) -> None:
    """Beside the data, in their folder, over older outputs, through a link that stays one."""
    os.symlink("w.npz", "link.npz")
    before = state_of(files)
    for written in ("new.npz", "data/weights.npz", "w.npz", "link.npz", "valid.npz"):
        done(run(NAME, "train", source, *RUNS[:2], "--seed", "2", "-o", written))
        assert Path(written).is_symlink() == (written == "link.npz")
        done(run(NAME, "predict", written, source, "-o", "outputs.npz"))
    done(run(NAME, "train", source, *RUNS, "-o", "new.npz", "--checkpoint", "data/state.npz"))
    done(run(NAME, "train", source, "--epochs", "2", "-o", "new.npz", "--resume", "data/state.npz"))
    after = state_of(files)
    changed = {os.path.relpath(path, files) for path in after if after[path] != before.get(path)}
    assert changed == {
        "new.npz", "data/weights.npz", "w.npz", "valid.npz", "outputs.npz", "data/state.npz"
    }  # fmt: skip
    assert set(before) <= set(after)


@pytest.mark.parametrize("option", ["-o", "--checkpoint"])
def test_an_array_is_not_put_into_the_folder_of_the_data(run: Run, files: Path, option: str) -> None:
    """It would be read as one of them the next time."""
    before = state_of(files)
    others = [] if option == "-o" else ["-o", "new.npz"]
    said = refused(run(NAME, "train", "data", *RUNS, option, "data/w.npy", *others))
    assert said.startswith("data/w.npy: would be read as one of the arrays in data; name another for ")
    assert state_of(files) == before


def test_a_refusal_comes_before_anything_is_read(run: Run, files: Path) -> None:
    Path("bad.npz").write_bytes(b"nothing of the kind")
    said = refused(run(NAME, "train", "bad.npz", "-o", "bad.npz"))
    assert said == "bad.npz: is read; name another for --output"
    said = refused(run(NAME, "train", "none.npz", "-o", "none.npz"))
    assert said == "none.npz: is read; name another for --output"
    assert not Path("none.npz").exists()
