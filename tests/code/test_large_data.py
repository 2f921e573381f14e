"""`fit` on batches, and on arrays in files that are larger than the memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from tests.code.runtime.nets import NO_TARGET, TWO_INPUTS
from tests.conftest import Array

COUPLED = """
input x[n, k]
target t[n]
parameter w[k]
y[n] = sum((x[n, k] - mean(x[m, k], m))*w[k], k)
E = mean((y[n] - t[n])**2, n)
output y
size k = 3
"""
TEXTS = {"two-inputs": TWO_INPUTS, "no-target": NO_TARGET, "coupled": COUPLED}


@cache
def module_of(name: str = "classes", optimizer: str = "adam") -> Any:
    networks = {"classes": "3-4:tanh-2:softmax", "regression": "3-2:identity"}
    if name in networks:
        return sb.load(sb.Network(networks[name]), optimizer=optimizer)
    return sb.load(sb.Network.from_equations(TEXTS[name]), optimizer=optimizer)


def data_of(name: str, samples: int = 45) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(samples, 3)).astype("f4")
    if name == "two-inputs":
        tokens, labels = rng.integers(0, 5, samples), rng.integers(0, 4, samples)
        return {"a": x, "m": np.array([1.0, 2.0, 0.5], "f4"), "token": tokens}, labels
    targets = {
        "classes": np.eye(2, dtype="f4")[rng.integers(0, 2, samples)],
        "regression": rng.normal(size=(samples, 2)).astype("f4"),
        "coupled": rng.normal(size=samples).astype("f4"),
    }
    return x, targets.get(name)


def new_trainer(name: str = "classes", **options: Any) -> Any:
    return module_of(name).Trainer(**{"batch_size": 8, "seed": 5, "learning_rate": 0.01, **options})


def assert_same(first: Any, second: Any) -> None:
    assert first._values.tobytes() == second._values.tobytes()
    assert (first.steps, first.epochs) == (second.steps, second.epochs)


def rows_of(value: Any, rows: slice) -> Any:
    """Return some rows of what `data_of` returned; the input m has none."""
    if isinstance(value, dict):
        return {name: array if name == "m" else array[rows] for name, array in value.items()}
    return None if value is None else value[rows]


def batches_of(x: Any, t: Any, size: int = 8, samples: int = 45) -> list[Any]:
    slices = [slice(row, row + size) for row in range(0, samples, size)]
    return [(rows_of(x, rows), rows_of(t, rows)) for rows in slices]


# ---------------------------------------------------------------- arrays in files


def mapped(value: Any, folder: Path, change: Callable[[Array], Array] = lambda array: array) -> Any:
    """Return the arrays of a value as files are opened that hold them."""
    if value is None:
        return None
    if isinstance(value, dict):
        return {name: mapped(array, folder / name, change) for name, array in value.items()}
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "array.npy", change(value))
    return np.load(folder / "array.npy", mmap_mode="r")


FORMS: dict[str, Callable[[Array], Array]] = {
    "as they are": lambda array: array,
    "by columns": np.asfortranarray,
    "other bytes": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "float64": lambda array: array.astype(np.float64),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["classes", "two-inputs", "no-target", "coupled"])
def test_arrays_in_files_train_bit_for_bit_as_those_in_memory(name: str, form: str, tmp_path: Path) -> None:
    x, t = data_of(name)
    stored = mapped(x, tmp_path / "x", FORMS[form]), mapped(t, tmp_path / "t", FORMS[form])
    first, second = new_trainer(name), new_trainer(name)
    expected = first.fit(x, t, 3, validation=(x, t))
    assert second.fit(*stored, 3, validation=stored) == expected
    assert_same(first, second)


def test_views_of_files_and_weights(tmp_path: Path) -> None:
    x, t = data_of("classes")
    weights = np.linspace(0, 2, 45)
    whole = np.save(tmp_path / "rows.npy", np.hstack([t, x])) or np.load(tmp_path / "rows.npy", mmap_mode="r")
    first, second, third = new_trainer(), new_trainer(), new_trainer()
    first.fit(x, t, 2, weights=weights)
    second.fit(whole[:, 2:], whole[:, :2], 2, weights=weights)
    third.fit(np.asarray(whole)[:, 2:], t, 2, weights=weights)
    assert_same(first, second)
    assert_same(first, third)


def test_a_run_on_files_goes_on_bit_for_bit(tmp_path: Path) -> None:
    x, t = (mapped(value, tmp_path / str(k)) for k, value in enumerate(data_of("classes")))
    whole, first = new_trainer(), new_trainer()
    whole.fit(x, t, 4)
    first.fit(x, t, 1)
    first.save(tmp_path / "state.npz")
    second = module_of().Trainer.load(tmp_path / "state.npz")
    second.fit(x, t, 3)
    assert_same(whole, second)


def test_wrong_numbers_in_files_are_named_by_their_row(tmp_path: Path) -> None:
    x, t = data_of("classes")
    good = mapped(x, tmp_path / "good"), mapped(t, tmp_path / "t")
    x[37, 1] = np.nan
    wrong = mapped(x, tmp_path / "wrong")
    with pytest.raises(ValueError, match=r"array\.npy: x: row 37, column 1 is nan"):
        new_trainer().fit(wrong, good[1], 1)
    with pytest.raises(ValueError, match=r"^validation: .*array\.npy: x: row 37, column 1 is nan"):
        new_trainer().fit(*good, 1, validation=(wrong, good[1]))
    with pytest.raises(ValueError, match=r"x has 45 rows and .*array\.npy: t has 40"):
        new_trainer().fit(good[0], good[1][:40], 1)
    with pytest.raises(ValueError, match=r"x must have shape \(samples, 3\)"):
        new_trainer().fit(*good, 1, validation=(good[0][:, :2], good[1]))


def test_wrong_numbers_of_a_dict_in_files_are_named_by_their_row(tmp_path: Path) -> None:
    x, t = data_of("two-inputs")
    x["token"][31] = 9
    with pytest.raises(ValueError, match=r"array\.npy: token: row 31 is 9, not a whole number from 0 to 4"):
        new_trainer("two-inputs").fit(mapped(x, tmp_path), t, 1)
    x["token"][31], x["m"][1] = 0, np.inf
    with pytest.raises(ValueError, match=r"m: at \(1,\) is inf"):
        new_trainer("two-inputs").fit(mapped(x, tmp_path), t, 1)


# ---------------------------------------------------------------- files on the command line


def labelled() -> tuple[Array, Array]:
    """Return inputs far from standardised, and labels."""
    z = np.random.default_rng(0).normal(size=(3000, 3))
    return 20 + 5 * z, z[:, :2].argmax(axis=1)


def written(kind: str) -> str:
    """Write the data in a form, in this folder, and return its name."""
    x, labels = labelled()
    folder = Path("folder")
    folder.mkdir()
    np.save(folder / "x.npy", x)
    np.save(folder / "t.npy", labels)
    np.savez("data.npz", x=x, t=labels)
    np.save("labels.npy", np.column_stack([x, labels]))
    np.save("shares.npy", np.hstack([x, np.eye(2)[labels]]))
    return {"folder": "folder", "npz": "data.npz"}.get(kind, f"{kind}.npy")


def command(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert module_of().main(arguments) == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


@pytest.mark.parametrize("kind", ["folder", "labels", "shares"])
def test_commands_read_files_as_they_read_all_at_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name, found = written(kind), {}
    for data in (name, "data.npz"):
        command(capsys, "train", data, "--standardize", "--epochs", "2", "--seed", "1", "--validation", data)
        evaluated = command(capsys, "evaluate", "weights.npz", data)
        predicted = command(capsys, "predict", "weights.npz", data)
        command(capsys, "predict", "weights.npz", data, "-o", "outputs.npz")
        with np.load("outputs.npz") as outputs:
            assert outputs["x"].shape == (3000, 3)
            written_outputs = outputs["outputs"]
        assert evaluated.startswith("E 0.")
        assert "accuracy 9" in evaluated
        np.testing.assert_allclose(np.loadtxt(predicted.split(), delimiter=","), written_outputs, atol=1e-6)
        found[data] = module_of().load("weights.npz"), evaluated, written_outputs
    for first, second in zip(found[name][0].values(), found["data.npz"][0].values(), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-6)
    assert found[name][1] == found["data.npz"][1]
    np.testing.assert_allclose(found[name][2], found["data.npz"][2], atol=1e-6)


FILES: dict[str, tuple[Callable[[], Any], tuple[str, ...], str]] = {
    "missing": (lambda: None, ("train", "a.npy"), "a.npy: there is no such file"),
    "damaged": (
        lambda: Path("a.npy").write_bytes(b"no array"),
        ("train", "a.npy"),
        "a.npy: is not a readable",
    ),
    "pickled": (lambda: np.save("a.npy", [{}]), ("train", "a.npy"), "a.npy: is not a readable .npy"),
    "folder": (lambda: None, ("train", "."), ".: is a directory: it holds no .npy files"),
    "no t": (lambda: np.save("x.npy", X), ("train", "."), ".: holds no array t; it has x"),
    "axes": (lambda: np.save("a.npy", np.ones(3)), ("train", "a.npy"), "a.npy: must have rows and columns"),
    "columns": (
        lambda: np.save("a.npy", np.ones((9, 7))),
        ("train", "a.npy"),
        "a.npy: 7 columns; expected 3 ",
    ),
    "label": (
        lambda: _with(2500, 3, 7.0),
        ("train", "a.npy"),
        "a.npy: t: row 2500, column 0 is 7.0, not a label",
    ),
    "number": (lambda: _with(2500, 1, np.nan), ("train", "a.npy"), "a.npy: x: row 2500, column 1 is nan"),
    "standardised": (
        lambda: _with(2500, 1, np.nan),
        ("train", "a.npy", "--standardize"),
        "a.npy: x: row 2500, column 1 is nan",
    ),
    "evaluated": (
        lambda: _with(2500, 1, np.inf),
        ("evaluate", "w.npz", "a.npy"),
        "a.npy: x: row 2500, column 1 is inf",
    ),
    "predicted": (
        lambda: _with(2500, 1, np.inf),
        ("predict", "w.npz", "a.npy", "-o", "o.csv"),
        "a.npy: x: row 2500, column 1 is inf",
    ),
}


def _with(row: int, column: int, value: float) -> None:
    x, labels = labelled()
    rows = np.column_stack([x, labels])
    rows[row, column] = value
    np.save("a.npy", rows)


@pytest.mark.parametrize("case", FILES)
def test_wrong_files_are_named(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make, arguments, message = FILES[case]
    make()
    if "w.npz" in arguments:
        module_of().save("w.npz", module_of().initialize(0))
    said = command(capsys, *arguments, status=2)
    assert said.partition(": ")[2].startswith(message)
    assert not {"weights.npz", "o.csv"} & {path.name for path in tmp_path.iterdir()}


def test_a_folder_holds_the_arrays_of_a_file_of_equations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    x, t = data_of("two-inputs", 2100)
    Path("data").mkdir()
    for name, array in {**x, "label": t}.items():
        np.save(f"data/{name}.npy", array)
    np.savez("data.npz", **x, label=t)
    found = {}
    for data in ("data", "data.npz"):
        for arguments in (
            ("train", data, "--epochs", "2", "--seed", "1"),
            ("evaluate", "weights.npz", data),
            ("predict", "weights.npz", data),
        ):
            assert module_of("two-inputs").main(arguments) == 0
        found[data] = capsys.readouterr().out
    assert found["data"] == found["data.npz"]
    assert "accuracy" in found["data"]


# ---------------------------------------------------------------- batches


class Anew:
    """Gives the same batches in every epoch."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)


class ByNumber(list[Any]):
    """Gives batches by their number alone, as a sequence does that is no list."""

    __iter__ = None  # type: ignore[assignment]


GIVEN: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "tuple": tuple,
    "lists": lambda batches: list(map(list, batches)),
    "object": Anew,
    "function": lambda batches: lambda: iter(batches),
    "generator function": lambda batches: lambda: (batch for batch in batches),
}


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("name", ["classes", "two-inputs", "no-target"])
def test_each_batch_is_a_step_in_the_order_in_which_they_come(name: str, given: str) -> None:
    if name == "no-target" and given in ("tuple", "lists"):
        pytest.skip("an array of rows may look like that")
    batches = batches_of(*data_of(name))
    fitted, stepped = new_trainer(name), new_trainer(name)
    history = fitted.fit(GIVEN[given](batches), None, 3)
    errors = [[stepped.step(*batch) for batch in batches] for _ in range(3)]
    assert fitted._values.tobytes() == stepped._values.tobytes()
    assert (fitted.steps, fitted.epochs) == (3 * len(batches), 3)
    np.testing.assert_allclose(history["loss"], np.mean(errors, axis=1), rtol=1e-12)


def test_a_network_without_targets_takes_batches_of_inputs_alone() -> None:
    x, _ = data_of("no-target")
    first, second = new_trainer("no-target"), new_trainer("no-target")
    first.fit([(x[:8], None), (x[8:16], None)], epochs=2)
    second.fit(lambda: iter([x[:8], x[8:16]]), epochs=2)
    assert_same(first, second)


def test_batches_bring_the_weights_of_their_samples() -> None:
    x, t = data_of("classes")
    weights = np.linspace(0, 2, 45)
    batches = [(*b, w) for b, w in zip(batches_of(x, t), np.split(weights, range(8, 45, 8)), strict=True)]
    fitted, stepped = new_trainer(), new_trainer()
    fitted.fit([*batches, (x[:3], t[:3], None), (x[:4], t[:4])], epochs=1)
    for batch in batches:
        stepped.step(*batch)
    stepped.step(x[:3], t[:3])
    stepped.step(x[:4], t[:4])
    assert fitted._values.tobytes() == stepped._values.tobytes()


@pytest.mark.parametrize("name", ["classes", "two-inputs"])
def test_validation_on_batches_is_that_on_the_whole(name: str) -> None:
    x, t = data_of(name)
    batches = batches_of(x, t, 10)
    for validation in (batches, (batches, None), Anew(batches), lambda: iter(batches)):
        trainer = new_trainer(name)
        found = trainer.fit(x, t, 2, validation=validation)
        last = module_of(name).loss(trainer.parameters, x, t)
        assert found["validation_loss"][-1] == pytest.approx(last, rel=1e-6)
        assert len(found["validation_loss"]) == 2


def test_patience_watches_batches() -> None:
    x, t = data_of("classes")
    history = new_trainer(learning_rate=0.1).fit(
        batches_of(x, t), epochs=200, validation=[(x, t[:, ::-1])], patience=3
    )
    assert len(history["loss"]) < 200


def test_what_can_be_iterated_once_serves_one_epoch() -> None:
    batches = batches_of(*data_of("classes"))
    trainer = new_trainer()
    trainer.fit((batch for batch in batches), epochs=1)
    with pytest.raises(ValueError, match=r"no batches for pass 2: .* can be iterated only once; give a list"):
        trainer.fit((batch for batch in batches), epochs=2)
    assert trainer.epochs == 2
    with pytest.raises(ValueError, match="validation: there are no batches for pass 2"):
        trainer.fit(batches, epochs=2, validation=(batch for batch in batches))


X, T = data_of("classes")
WRONG: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "no pair": (([(X[:3], T[:3]), X[:3]],), {}, r"batch 2: must be \(x, t\) or \(x, t, weights\)"),
    "one": (([(X[:3],)],), {}, r"batch 1: must be \(x, t\)"),
    "rows": (([(X[:3], T[:2])],), {}, "batch 1: x has 3 rows and t has 2"),
    "nan": (([(X, T), (np.nan * X[:8], T[:8])],), {"size": 45}, "batch 2: x: row 0, column 0 is nan"),
    "targets": (([(X[:8], 2 * T[:8])],), {}, "batch 1: t: row 0"),
    "weights": (([(X[:2], T[:2], [1, -1])],), {}, "batch 1: weights: row 1 is -1"),
    "large": (([(X, T)],), {}, "batch 1: has 45 rows; a step takes at most 8, the batch_size"),
    "none": (([],), {}, "there are no batches"),
    "epochs": (([(X[:3], T[:3])], 3), {}, r"t is 3; with batches the call is fit\(batches, epochs=3\)"),
    "no targets": ((X,), {}, "t is missing"),
    "number": ((5,), {}, "x must be an array or give batches, got int"),
    "text": (("data.npy",), {}, "batch 1: must be"),
    "both": (([(X[:3], T[:3])], None, 1), {"weights": [1, 1, 1]}, "third entry of each batch"),
    "validation": ((X, T), {"validation": [(X, T, np.ones(45))]}, "validation: batches to val.* no weights"),
    "validation x": ((X, T), {"validation": X}, r"validation must be a pair \(x, t\), or batches"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_batches_are_named(case: str) -> None:
    arguments, options, message = WRONG[case]
    trainer = new_trainer(batch_size=options.get("size", 8))
    with pytest.raises(ValueError, match=message):
        trainer.fit(*arguments, **{key: value for key, value in options.items() if key != "size"})


def test_after_an_error_of_what_gives_batches_an_epoch_begins_anew() -> None:
    batches = batches_of(*data_of("classes"))

    def breaking() -> Iterator[Any]:
        yield from batches[:2]
        raise OSError("the disk is gone")

    fitted, stepped = new_trainer(), new_trainer()
    with pytest.raises(OSError, match="the disk is gone"):
        fitted.fit(breaking, epochs=1)
    fitted.fit(batches, epochs=1)
    for batch in [*batches[:2], *batches]:
        stepped.step(*batch)
    assert fitted._values.tobytes() == stepped._values.tobytes()


@pytest.mark.parametrize("at", [1, 3, 6, 7])
def test_an_interrupted_epoch_over_batches_goes_on_with_the_next_one(at: int, tmp_path: Path) -> None:
    batches = batches_of(*data_of("classes"))
    whole, cut = new_trainer(), new_trainer()
    expected = whole.fit(batches, epochs=3)["loss"]

    def interrupting() -> Iterator[Any]:
        for batch in batches:
            if cut.steps + 1 == at:
                signal.raise_signal(signal.SIGINT)
            yield batch

    with pytest.raises(KeyboardInterrupt):
        cut.fit(interrupting, epochs=3, checkpoint=tmp_path / "state.npz")
    assert cut.steps == at
    resumed = module_of().Trainer.load(tmp_path / "state.npz")
    found = resumed.fit(batches, epochs=3 - resumed.epochs)["loss"]
    assert found == expected[-len(found) :]
    assert_same(whole, resumed)


def test_batches_and_arrays_may_take_turns() -> None:
    x, t = data_of("classes")
    first, second = new_trainer(), new_trainer()
    for trainer in (first, second):
        trainer.fit(x, t, 1)
        trainer.fit(batches_of(x, t), epochs=1)
        trainer.fit(x, t, 1)
    assert_same(first, second)
    assert first.epochs == 3


# ---------------------------------------------------------------- what stops being finite


@pytest.mark.parametrize("source", ["arrays", "files", "batches"])
@pytest.mark.parametrize("at", [0, 1, 6, 8, 11, 19])
def test_the_step_that_fails_is_found_wherever_it_is(source: str, at: int, tmp_path: Path) -> None:
    """Arrays in memory are looked at after a few steps together; what is reported is the same."""
    x, t = data_of("regression", 20)
    module = module_of("regression", "momentum")
    options = {"batch_size": 1, "seed": 5, "learning_rate": 0.01}
    order = np.random.default_rng(5).permutation(20)
    x[order[at]] = 1e30
    trainer, again = module.Trainer(**options), module.Trainer(**options)
    batches = [(x[[row]], t[[row]]) for row in order]
    given = {
        "arrays": (x, t),
        "files": (mapped(x, tmp_path / "x"), mapped(t, tmp_path / "t")),
        "batches": (batches, None),
    }[source]
    with pytest.raises(FloatingPointError, match=rf"^step {at + 1}: .* is not finite"):
        trainer.fit(*given, 1)
    for batch in batches[:at]:
        again.step(*batch)
    assert_same(trainer, again)
    assert trainer._errors == pytest.approx([0.0] * at, abs=1e30)


def test_numbers_in_the_state_are_looked_at_when_steps_end_together() -> None:
    """The weights of a unit that no target reaches may leave the numbers while E stays finite."""
    module = sb.load(sb.Network("1-1:identity", bias=False, loss="x"), optimizer="adagrad")
    x = np.full((5, 1), 1e-3, np.float32)
    x[np.random.default_rng(5).permutation(5)[2]] = 1e25  # its square is beyond float32, its error is not
    trainer = module.Trainer({"w1": np.zeros((1, 1), np.float32)}, batch_size=1, seed=5)
    with pytest.raises(FloatingPointError, match=r"^step 3: a is not finite"):
        trainer.fit(x, np.zeros((5, 1)), 1)
    assert trainer.steps == 2
    assert np.isfinite(trainer._values).all()


# ---------------------------------------------------------------- memory

ROWS, COLUMNS = 16384, 1024  # 64 MiB
ROOM = 12  # MiB that a run may take beside what it has when it begins
CHILD = f"""
import resource, sys
import numpy as np
import trainer as module

def used():
    with open("/proc/self/status") as file:
        return 1024 * int(next(line for line in file if line.startswith("VmSize")).split()[1])

def limit():
    resource.setrlimit(resource.RLIMIT_AS, (used() + {ROOM} * 2**20,) * 2)

trainer = module.Trainer(batch_size=64, seed=0, learning_rate=1e-4)
trainer.step(np.ones((64, {COLUMNS})), np.ones((64, 1)))
"""
RUNS = {
    "files": """
x, t = np.load("x.npy", mmap_mode="r"), np.load("t.npy", mmap_mode="r")
limit()
trainer.fit(x, t, 1, validation=(x, t))
""",
    "batches": f"""
def batches():
    with open("x.npy", "rb") as x:
        x.seek(128)
        for _ in range({ROWS} // 64):
            yield np.fromfile(x, "f4", 64 * {COLUMNS}).reshape(64, {COLUMNS}), np.ones((64, 1))

limit()
trainer.fit(batches, epochs=1, validation=batches)
""",
    "command line": """
limit_of_file = np.load("x.npy", mmap_mode="r")  # has the room that mapping the file takes
limit_of_validation = np.load("x.npy", mmap_mode="r")
limit()
del limit_of_file, limit_of_validation
for command in (
    ["train", ".", "--standardize", "--epochs", "1", "--learning-rate", "1e-4", "--batch-size", "64"],
    ["evaluate", "weights.npz", "."],
    ["predict", "weights.npz", ".", "-o", "outputs.csv"],
):
    status = module.main(command)
    if status:
        sys.exit(status)
""",
}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a module and 64 MiB of data, most of which are holes in the file."""
    folder = tmp_path_factory.mktemp("large")
    sb.generate(sb.Network(f"{COLUMNS}-2-1:identity"), folder / "trainer.py")
    x = np.lib.format.open_memmap(folder / "x.npy", "w+", "f4", (ROWS, COLUMNS))
    x[::100] = 1
    np.save(folder / "t.npy", np.ones((ROWS, 1), "f4"))
    return folder


def run_child(large: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-B", "-c", CHILD + code], cwd=large, env=environment, capture_output=True, text=True
    )


limited = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")


@limited
@pytest.mark.parametrize("source", RUNS)
def test_data_larger_than_the_memory_train(source: str, large: Path) -> None:
    done = run_child(large, RUNS[source])
    assert done.returncode == 0, done.stderr


@limited
@pytest.mark.parametrize("source", ["files", "command line"])
def test_the_limit_catches_a_copy_of_the_whole(source: str, large: Path) -> None:
    """The same runs with a module that copies, or that takes arrays in files for arrays in memory."""
    wrong = {
        "files": "own = module._data_of\nmodule._data_of = lambda x, *others: own(np.array(x), *others)\n",
        "command line": "module._in_file = lambda value: False\n",
    }
    done = run_child(large, wrong[source] + RUNS[source])
    assert done.returncode != 0
    assert "Unable to allocate" in done.stderr
    assert run_child(large, RUNS["batches"].replace("(batches,", "(list(batches()),")).returncode != 0
