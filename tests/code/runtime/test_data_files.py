"""Arrays in .npy files and folders: what is wrong is named with the file it is in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.code.runtime.conftest import Run, done, refused
from tests.code.runtime.nets import assert_same, data, module, trainer

X, T = data("regression", 20)
CLASSES_X, ONE_HOT = data("classes", 20)
LABELS = ONE_HOT.argmax(axis=1)
INPUTS, LABEL = data("two inputs", 20)


def write(arrays: dict[str, Any]) -> None:
    Path("d").mkdir()
    for name, array in arrays.items():
        if isinstance(array, bytes):
            Path(f"d/{name}.npy").write_bytes(array)
        else:
            np.save(f"d/{name}.npy", array)


def put(array: np.ndarray, value: float, *place: int) -> np.ndarray:
    changed = array.astype("f8")
    changed[place] = value
    return changed


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "no targets": ("regression", {"x": X}, "d: holds no array t; it has x"),
    "other names": ("regression", {"a": X, "b": T}, "d: holds no array x; it has a, b"),
    "nothing": ("regression", {}, "d: is a directory: it holds no .npy files"),
    "no rows": ("regression", {"x": X[:0], "t": T[:0]}, "d/x.npy: x has no rows"),
    "rows": (
        "regression", {"x": X, "t": T[:5]},
        "d/x.npy: x has 20 rows and d/t.npy: t has 5; they must be equal",
    ),
    "columns": (
        "regression", {"x": X[:, :2], "t": T},
        "d/x.npy: x must have shape (samples, 3), got (20, 2)",
    ),
    "targets": (
        "regression", {"x": X, "t": T[:, :1]},
        "d/t.npy: t must have shape (samples, 2), got (20, 1)",
    ),
    "one row": ("regression", {"x": X[0], "t": T}, "d/x.npy: x must have shape (samples, 3), got (3,)"),
    "a number": ("regression", {"x": 1.0, "t": T}, "d/x.npy: x must have shape (samples, 3), got ()"),
    "a target": ("regression", {"x": X, "t": 1.0}, "d/t.npy: t must have shape (samples, 2), got ()"),
    "axes": (
        "regression", {"x": X, "t": T[..., None]}, "d/t.npy: t must have shape (samples, 2), got (20, 2, 1)",
    ),
    "words": ("regression", {"x": X.astype("U5"), "t": T}, "d/x.npy: x must hold numbers, got <U5"),
    "complex": ("regression", {"x": X, "t": T * 1j}, "d/t.npy: t must hold numbers, got complex64"),
    "dates": (
        "regression", {"x": X.astype("M8[s]"), "t": T},
        "d/x.npy: x must hold numbers, got datetime64[s]",
    ),
    "objects": (
        "regression", {"x": X.astype(object), "t": T},
        "d/x.npy: is not a readable .npy file of numbers",
    ),
    "empty file": ("regression", {"x": b"", "t": T}, "d/x.npy: is not a readable .npy file of numbers"),
    "cut": (
        "regression", {"x": X, "t": b"\x93NUMPY\x01\x00v"},
        "d/t.npy: is not a readable .npy file of numbers",
    ),
    "a third": ("regression", {"x": X, "t": T, "z": b"z"}, "d/z.npy: is not a readable .npy file of numbers"),
    "nan": ("regression", {"x": put(X, np.nan, 7, 1), "t": T}, "d/x.npy: x: row 7, column 1 is nan"),
    "infinity": ("regression", {"x": X, "t": put(T, -np.inf, 19, 0)}, "d/t.npy: t: row 19, column 0 is -inf"),
    "too large": (
        "regression", {"x": put(X, 1e200, 3, 2), "t": T},
        "d/x.npy: x: row 3, column 2 is 1e+200, too large for float32",
    ),
    "bounds": (
        "single", {"x": X[:, :2], "t": put(np.zeros(20), 1.5, 0)},
        "d/t.npy: t: row 0, column 0 is 1.5; the target must lie in [0, 1]",
    ),
    "total": (
        "classes", {"x": CLASSES_X, "t": put(ONE_HOT, 0.25, 3)},
        "d/t.npy: t: row 3 adds up to 0.5, not to 1",
    ),
    "label": (
        "classes", {"x": CLASSES_X, "t": put(LABELS, 2, 9)},
        "d/t.npy: t: row 9, column 0 is 2.0, not a label: a whole number from 0 to 1",
    ),
    "share": (
        "classes", {"x": CLASSES_X, "t": put(LABELS, 0.5, 9)},
        "d/t.npy: t: row 9, column 0 is 0.5, not a label: a whole number from 0 to 1",
    ),
    "word labels": (
        "classes", {"x": CLASSES_X, "t": LABELS.astype("U3")},
        "d/t.npy: t must hold numbers, got <U3",
    ),
    "token": (
        "two inputs", {**INPUTS, "token": put(INPUTS["token"], 5, 4), "label": LABEL},
        "d/token.npy: token: row 4 is 5, not a whole number from 0 to 4",
    ),
    "no whole number": (
        "two inputs", {**INPUTS, "label": put(LABEL, 0.5, 4)},
        "d/label.npy: t: row 4 is 0.5, not a whole number from 0 to 3",
    ),
    "shared": (
        "two inputs", {**INPUTS, "m": np.ones(4), "label": LABEL},
        "d/m.npy: m must have shape (3,), got (4,)",
    ),
    "shared nan": (
        "two inputs", {**INPUTS, "m": put(np.ones(3), np.nan, 1), "label": LABEL},
        "d/m.npy: m: at (1,) is nan",
    ),
    "rows of a dict": (
        "two inputs", {**INPUTS, "token": INPUTS["token"][:3], "label": LABEL},
        "d/a.npy: a has 20 rows and d/token.npy: token has 3; they must be equal",
    ),
    "missing in a dict": (
        "two inputs", {"a": X, "m": np.ones(3), "label": LABEL},
        "d: holds no array token; it has a, label, m",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_in_a_folder_is_named(run: Run, case: str) -> None:
    """By train, by evaluate, as validation, and by predict where it is in the inputs."""
    name, arrays, message = WRONG[case]
    write(arrays)
    x, t = data(name, 9)
    np.savez(
        "good.npz",
        **(x if isinstance(x, dict) else {"x": x}),
        **{"label" if name == "two inputs" else "t": t},
    )
    module(name).save("w.npz", module(name).initialize(1))
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    said = refused(run(name, "train", "d", "--seed", 1, "--epochs", 1, "--batch-size", 32, "-o", "new.npz"))
    assert said == message
    assert refused(run(name, "evaluate", "w.npz", "d")) == message
    said = refused(run(name, "train", "good.npz", "--validation", "d", "--epochs", 1, "-o", "new.npz"))
    assert said.removeprefix("validation: ") == message
    if message.startswith("d/x") and "has" not in message:
        said = refused(run(name, "predict", "w.npz", "d", "-o", "out.csv"))
        assert said == message
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("case", ["nan", "bounds", "label", "token"])
def test_what_is_wrong_far_inside_is_named_by_its_own_row(run: Run, case: str) -> None:
    """Beyond the rows that are read at once, in the order of the file."""
    name, arrays, message = WRONG[case]
    x, t = data(name, 2600)
    large: dict[str, Any] = {**(x if isinstance(x, dict) else {"x": x})}
    large["label" if name == "two inputs" else "t"] = t.argmax(axis=1) if name == "classes" else t
    wrong = message.partition("/")[2].partition(".npy")[0]
    large[wrong] = large[wrong].astype("f8")
    large[wrong][2500] = arrays[wrong][{"nan": 7, "bounds": 0, "label": 9, "token": 4}[case]]
    write(large)
    module(name).save("w.npz", module(name).initialize(1))
    said = refused(run(name, "evaluate", "w.npz", "d"))
    assert said.startswith(message.partition(" row ")[0])
    assert " row 2500" in said


def test_a_file_of_rows(run: Run) -> None:
    columns = "expected 3 inputs, then 2 targets"
    for array, message in (
        (X[0], "one.npy: must have rows and columns, not (3,)"),
        (np.float32(1), "one.npy: must have rows and columns, not ()"),
        (np.zeros((2, 3, 4)), "one.npy: must have rows and columns, not (2, 3, 4)"),
        (np.zeros((4, 4)), f"one.npy: 4 columns; {columns}"),
        (np.zeros((0, 5)), "one.npy: x has no rows"),
        (np.hstack([X, T]).astype("U9"), "one.npy: x must hold numbers, got <U9"),
        (put(np.hstack([X, T]), np.nan, 3, 4), "one.npy: t: row 3, column 1 is nan"),
    ):
        np.save("one.npy", array)
        assert refused(run("regression", "train", "one.npy", "--epochs", 1, "-o", "w.npz")) == message
    assert not Path("w.npz").exists()


def test_names_are_those_from_here(run: Run, tmp_path: Path) -> None:
    """However the folder is spelled, the message names a path that leads to the file."""
    write({"x": put(X, np.nan, 0, 0), "t": T})
    for path in ("d", "./d", "d/", str(tmp_path / "d"), "d/../d"):
        said = refused(run("regression", "train", path, "--epochs", 1))
        named = said.partition(": ")[0]
        assert Path(named).samefile("d/x.npy")
        assert said.endswith(": x: row 0, column 0 is nan")


def test_arrays_open_in_files_are_named_by_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for t, message in (
        (T[:5], "x.npy: x has 20 rows and t.npy: t has 5; they must be equal"),
        (T[:, :1], r"t.npy: t must have shape \(samples, 2\), got \(20, 1\)"),
        (put(T, np.nan, 4, 1), "t.npy: t: row 4, column 1 is nan"),
        (T.astype("U4"), "t.npy: t must hold numbers, got <U4"),
    ):
        np.save("x.npy", X)
        np.save("t.npy", t)
        x_file, t_file = (np.load(f"{name}.npy", mmap_mode="r") for name in "xt")
        own = trainer("regression")
        with pytest.raises(ValueError, match=f"^{message}$"):
            own.fit(x_file, t_file, 1)
        with pytest.raises(ValueError, match=f"^validation: {message}$"):
            own.fit(X, T, 1, validation=(x_file, t_file))


def test_one_argument_in_a_file_and_the_other_in_memory(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    first, second = trainer("regression"), trainer("regression")
    x_file = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert first.fit(x_file, T.tolist(), 2) == second.fit(X, T, 2)
    assert_same(first, second)


def test_a_folder_may_hold_more(run: Run) -> None:
    write({"x": X, "t": T, "another": np.ones(3)})
    Path("d/notes.txt").write_text("no array")
    assert done(run("regression", "train", "d", "--epochs", 1, "--seed", 1)).startswith("1 epochs")
