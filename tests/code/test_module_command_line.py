"""The command line of the generated module: what it prints, what it refuses, and in which words."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.library.optimizers import OPTIMIZERS

CLASSES, BITS, REGRESSION = "4-6:tanh-3:softmax", "2-4-1", "2-4:relu-2:identity"


@cache
def source(architecture: str, optimizer: str = "adam") -> str:
    return sb.generate(sb.Network(architecture), optimizer=optimizer)


@cache
def module(architecture: str, optimizer: str = "adam") -> Any:
    return sb.load(sb.Network(architecture), optimizer=optimizer)


def sample(architecture: str) -> tuple[np.ndarray, np.ndarray]:
    """Return data of that network, far from standardised."""
    generator = np.random.default_rng(0)
    z = generator.normal(size=(60, int(architecture.split("-")[0])))
    x = 20 + 5 * z
    if architecture == CLASSES:
        return x, np.eye(3)[z[:, :3].argmax(axis=1)]
    if architecture == BITS:
        return x, (z[:, :1] > z[:, 1:]).astype(float)
    return x, z[:, ::-1] - 0.5 * z


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder to work in, with data of each kind."""
    for name, architecture in (("classes", CLASSES), ("bits", BITS), ("regression", REGRESSION)):
        x, t = sample(architecture)
        np.savez(tmp_path / f"{name}.npz", x=x, t=t)
        np.savetxt(tmp_path / f"{name}.csv", np.hstack([x, t]), delimiter=",", fmt="%.17g")
    x, t = sample(CLASSES)
    np.savez(tmp_path / "labels.npz", x=x, t=t.argmax(axis=1))
    rows = [[*map(repr, row.tolist()), str(label)] for row, label in zip(x, t.argmax(axis=1), strict=True)]
    (tmp_path / "labels.csv").write_text("a,b,c,d,kind\n" + "".join(",".join(r) + "\n" for r in rows))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["trainer.py"])
    return tmp_path


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command of a module in this process."""

    def call(architecture: str, *arguments: str, optimizer: str = "adam") -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = module(architecture, optimizer).main([str(a) for a in arguments])
        except SystemExit as end:  # what argparse does with wrong options, and after --help
            status = int(end.code or 0)
        printed, said = capsys.readouterr()
        return status, printed, said

    return call


def done(result: tuple[int, str, str]) -> str:
    status, printed, said = result
    assert (status, without_advice(said)) == (0, "")
    return printed


def without_advice(said: str) -> str:
    """Return what is said but for the advice after a run that has hardly learned."""
    return "".join(
        line for line in said.splitlines(keepends=True) if " only: try another --learning-rate" not in line
    )


def refused(result: tuple[int, str, str]) -> str:
    """Return the one line that a refusal says."""
    status, printed, said = result
    assert (status, printed) == (2, "")
    assert said.count("\n") == 1, said
    assert said.startswith("trainer.py: ")
    return said.removeprefix("trainer.py: ").rstrip()


# ---------------------------------------------------------------- train, evaluate, predict, check


@pytest.mark.parametrize("data", ["classes.npz", "classes.csv", "labels.npz", "labels.csv"])
def test_classes_are_learned_from_every_kind_of_file(run: Run, data: str) -> None:
    """The four files hold the same samples, so they give the same weights and the same figures."""
    common = ["--seed", "1", "--epochs", "60", "--learning-rate", "0.05", "--standardize"]
    printed = done(run(CLASSES, "train", data, *common, "-o", "w.npz"))
    assert printed.startswith("60 epochs, E 0.")
    assert printed.endswith("; wrote w.npz\n")
    evaluated = done(run(CLASSES, "evaluate", "w.npz", data)).splitlines()
    assert [line.split()[0] for line in evaluated] == ["E", "accuracy"]
    assert float(evaluated[1].split()[1].rstrip("%")) > 95
    outputs = np.loadtxt(done(run(CLASSES, "predict", "w.npz", data)).splitlines(), delimiter=",")
    x, t = sample(CLASSES)
    trainer = module(CLASSES).Trainer(seed=1, learning_rate=0.05)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    trainer.fit(scaled, t, 60)
    np.testing.assert_allclose(outputs, module(CLASSES).forward(trainer.parameters, scaled), atol=1e-7)
    error = float(evaluated[0].split()[1])
    assert error == pytest.approx(module(CLASSES).loss(trainer.parameters, scaled, t), rel=1e-6)


def test_bits_have_an_accuracy_and_a_regression_has_none(run: Run) -> None:
    for architecture, name in ((BITS, "bits"), (REGRESSION, "regression")):
        done(run(architecture, "train", f"{name}.csv", "--epochs", "2", "-o", "w.npz"))
        printed = done(run(architecture, "evaluate", "w.npz", f"{name}.npz"))
        assert ("accuracy" in printed) == (name == "bits")
        assert printed.count("\n") == (2 if name == "bits" else 1)


def test_the_accuracy_is_the_share_of_right_answers(run: Run, folder: Path) -> None:
    weights = {"w1": np.zeros((2, 4)), "b1": np.zeros(4), "w2": np.zeros((4, 1)), "b2": np.ones(1)}
    module(BITS).save(folder / "w.npz", weights)  # says 0.73, whatever comes
    Path("four.csv").write_text("0,0,1\n0,0,1\n0,0,1\n0,0,0\n")
    assert "accuracy 75.0000%\n" in done(run(BITS, "evaluate", "w.npz", "four.csv"))
    Path("shares.csv").write_text("0,0,0.7\n")
    assert "accuracy" not in done(run(BITS, "evaluate", "w.npz", "shares.csv"))


def test_standardisation_is_kept_with_the_weights(run: Run) -> None:
    common = ["regression.npz", "--seed", "1", "--epochs", "80", "--learning-rate", "0.02"]
    done(run(REGRESSION, "train", *common, "--standardize", "-o", "scaled.npz"))
    done(run(REGRESSION, "train", *common, "-o", "raw.npz"))
    errors = []
    for weights in ("scaled.npz", "raw.npz"):
        errors.append(float(done(run(REGRESSION, "evaluate", weights, "regression.npz")).split()[1]))
    assert errors[0] < 0.2 * errors[1]
    with np.load("scaled.npz") as file:
        x, _ = sample(REGRESSION)
        np.testing.assert_allclose(file["mean"], x.mean(axis=0))
        np.testing.assert_allclose(file["deviation"], x.std(axis=0))
    assert set(module(REGRESSION).load("scaled.npz")) == set(module(REGRESSION).PARAMETER_SHAPES)


def test_an_input_that_never_changes_can_be_standardised(run: Run) -> None:
    """Rounding leaves 0.1 a deviation of 1e-17, by which nothing may be divided."""
    rows = [f"0.1,{k / 7},{k % 2}" for k in range(10)]
    Path("constant.csv").write_text("\n".join(rows))
    done(run(BITS, "train", "constant.csv", "--standardize", "--epochs", "1"))
    with np.load("weights.npz") as file:
        assert file["deviation"][0] == 1
    Path("other.csv").write_text("0.2,0.5\n")
    assert abs(float(done(run(BITS, "predict", "weights.npz", "other.csv"))) - 0.5) < 0.5


def test_the_validation_is_standardised_as_the_data_are(run: Run) -> None:
    x, t = sample(CLASSES)
    np.savez("shifted.npz", x=x[:20] + 3, t=t[:20])
    done(run(CLASSES, "train", "classes.npz", "--standardize", "--seed", "1", "--validation", "shifted.npz",
             "--patience", "2", "--learning-rate", "0.3", "--epochs", "400"))  # fmt: skip
    scaled = (x - x.mean(axis=0)) / x.std(axis=0), t
    trainer = module(CLASSES).Trainer(seed=1, learning_rate=0.3)
    validation = (x[:20] + 3 - x.mean(axis=0)) / x.std(axis=0), t[:20]
    history = trainer.fit(*scaled, 400, validation=validation, patience=2)
    assert len(history["loss"]) < 400
    for name, value in module(CLASSES).load("weights.npz").items():
        np.testing.assert_array_equal(value, trainer.parameters[name])


@pytest.mark.parametrize("suffix", ["csv", "npz", "txt"])
def test_predictions_go_to_a_file(run: Run, suffix: str) -> None:
    done(run(CLASSES, "train", "classes.npz", "--epochs", "1", "-o", "w.npz"))
    printed = done(run(CLASSES, "predict", "w.npz", "classes.npz"))
    assert done(run(CLASSES, "predict", "w.npz", "classes.npz", "-o", f"out.{suffix}")) == ""
    if suffix == "npz":
        with np.load("out.npz") as file:
            outputs = file["outputs"]
            np.testing.assert_array_equal(file["x"], sample(CLASSES)[0])
    else:
        assert Path(f"out.{suffix}").read_text() == printed
        outputs = np.loadtxt(f"out.{suffix}", delimiter=",")
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-6)


def test_targets_may_be_missing_or_wrong_in_what_is_predicted(run: Run) -> None:
    done(run(CLASSES, "train", "classes.npz", "--epochs", "1", "-o", "w.npz"))
    expected = done(run(CLASSES, "predict", "w.npz", "classes.npz"))
    x, _ = sample(CLASSES)
    np.savetxt("inputs.csv", x, delimiter=",", fmt="%.17g")
    np.savez("inputs.npz", x=x)
    np.savez("unknown.npz", x=x, t=np.full(60, 99))
    for data in ("inputs.csv", "inputs.npz", "unknown.npz", "labels.csv", "classes.csv"):
        assert done(run(CLASSES, "predict", "w.npz", data)) == expected


def test_csv_files_as_they_come(run: Run) -> None:
    """With a byte order mark, Windows line ends, a header, quotes, blank lines, and spaces."""
    done(run(BITS, "train", "bits.npz", "--epochs", "1"))
    Path("plain.csv").write_text("1,2\n3,4.5\n")
    expected = done(run(BITS, "predict", "weights.npz", "plain.csv"))
    Path("other.CSV").write_bytes('\ufeff"first input",b\r\n\r\n"1",2e0\r\n 3 ,+4.50\r\n\r\n'.encode())
    assert done(run(BITS, "predict", "weights.npz", "other.CSV")) == expected


def test_check_shows_each_derivative(run: Run) -> None:
    for architecture in (CLASSES, BITS, REGRESSION):
        printed = done(run(architecture, "check"))
        names = [line.split(":")[0] for line in printed.splitlines()[1:]]
        assert names == [f"dE/d{name}" for name in module(architecture).PARAMETER_SHAPES]


def test_check_of_a_wrong_derivative_fails(folder: Path) -> None:
    text = source(BITS)
    wrong = text.replace("dw1 = x0.T @ ds1 / samples", "dw1 = x0.T @ ds1 / samples * 1.001")
    assert wrong != text
    Path("trainer.py").write_text(wrong)
    found = subprocess.run([sys.executable, "-B", "trainer.py", "check"], capture_output=True, text=True)
    assert found.returncode == 1
    assert "dE/dw1" in found.stdout
    assert found.stderr == ""


# ---------------------------------------------------------------- options


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_hyperparameter_is_an_option(run: Run, optimizer: str) -> None:
    for name, text in OPTIMIZERS[optimizer].defaults.items():
        value = 0.5 * float(text)
        option = f"--{name.replace('_', '-')}"
        common = ["bits.csv", "--seed", "1", "--epochs", "3", "--batch-size", "7", "--clip-norm", "0.1"]
        done(run(BITS, "train", *common, option, repr(value), optimizer=optimizer))
        x, t = sample(BITS)
        trainer = module(BITS, optimizer).Trainer(seed=1, batch_size=7, clip_norm=0.1, **{name: value})
        trainer.fit(x, t, 3)
        for key, expected in module(BITS, optimizer).load("weights.npz").items():
            np.testing.assert_array_equal(expected, trainer.parameters[key])


def test_without_options_the_defaults_of_the_trainer_hold(run: Run) -> None:
    done(run(BITS, "train", "bits.csv", "--checkpoint", "state.npz"))
    trainer = module(BITS).Trainer.load("state.npz")
    assert trainer.settings == module(BITS).Trainer().settings
    assert trainer.epochs == 1000  # of two steps each


def test_train_without_options_learns_standardised_data(run: Run) -> None:
    x, t = sample(CLASSES)
    x = np.tile((x - x.mean(axis=0)) / x.std(axis=0), (8, 1))
    np.savez("many.npz", x=x, t=np.tile(t, (8, 1)))
    done(run(CLASSES, "train", "many.npz"))
    printed = done(run(CLASSES, "evaluate", "weights.npz", "many.npz"))
    assert float(printed.split()[-1].rstrip("%")) > 90


def test_a_resumed_run_counts_all_epochs(run: Run) -> None:
    done(run(BITS, "train", "bits.csv", "--seed", "1", "--epochs", "7", "-o", "whole.npz"))
    done(run(BITS, "train", "bits.csv", "--seed", "1", "--epochs", "3", "--checkpoint", "state.npz"))
    printed = done(run(BITS, "train", "bits.csv", "--resume", "state.npz", "--epochs", "7"))
    assert printed.startswith("7 epochs, E ")
    for name, value in module(BITS).load("whole.npz").items():
        np.testing.assert_array_equal(value, module(BITS).load("weights.npz")[name])
    done(run(BITS, "train", "bits.csv", "--resume", "state.npz", "--epochs", "3"))
    assert "nothing left to do" in done(
        run(BITS, "train", "bits.csv", "--resume", "state.npz", "--epochs", "3")
    )


def test_a_resumed_run_keeps_its_settings_and_its_standardisation(run: Run) -> None:
    first = ["bits.csv", "--epochs", "1", "--standardize", "--learning-rate", "0.02", "--checkpoint", "c.npz"]
    done(run(BITS, "train", *first))
    message = refused(run(BITS, "train", "bits.csv", "--resume", "c.npz", "--learning-rate", "0.5"))
    assert message == "c.npz: was made with learning_rate 0.02, not 0.5; a run goes on as it began"
    same = ["--learning-rate", "0.02", "--standardize", "--seed", "9"]
    done(run(BITS, "train", "bits.csv", "--resume", "c.npz", *same, "--epochs", "2"))
    with np.load("weights.npz") as file:
        np.testing.assert_allclose(file["mean"], sample(BITS)[0].mean(axis=0))
    done(run(BITS, "train", "bits.csv", "--epochs", "1", "--checkpoint", "raw.npz"))
    message = refused(run(BITS, "train", "bits.csv", "--resume", "raw.npz", "--standardize"))
    assert "standardize False, not True" in message


def test_a_checkpoint_serves_as_weights(run: Run) -> None:
    done(run(BITS, "train", "bits.csv", "--standardize", "--epochs", "2", "--checkpoint", "c.npz"))
    expected = done(run(BITS, "evaluate", "weights.npz", "bits.csv"))
    assert done(run(BITS, "evaluate", "c.npz", "bits.csv")) == expected


# ---------------------------------------------------------------- help


def test_help_teaches(run: Run) -> None:
    printed = done(run(CLASSES, "--help"))
    for text in ("train data.csv", "evaluate weights.npz", "predict weights.npz", "exit status: 0 done"):
        assert text in printed
    assert "4 inputs, then 3 targets, or one label from 0 to 2" in printed


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_help_of_train_states_every_default(run: Run, optimizer: str) -> None:
    printed = " ".join(done(run(BITS, "train", "--help", optimizer=optimizer)).split())
    for name, text in OPTIMIZERS[optimizer].defaults.items():
        option = f"--{name.replace('_', '-')} {name.upper()} "
        description = printed.split(option)[-1].split(" --")[0]
        assert f"default {text}" in description
        assert "of the update" not in description  # each one is explained
    assert "rows of a step; default 32" in printed
    assert "default 100" in printed
    assert "2 inputs, then 1 target" in printed


def test_every_option_is_explained(run: Run) -> None:
    for command in ("train", "predict", "evaluate", "check"):
        status, printed, _ = run(BITS, command, "--help")
        assert status == 0
        for line in printed.split("options:")[1].splitlines():
            option = line.strip()
            if option.startswith("-"):
                following = printed.split(line)[1].splitlines()[1:2]
                assert "  " in option or (following and following[0].startswith(24 * " ")), option


# ---------------------------------------------------------------- bad input


def data_file(name: str, text: str) -> Callable[[], None]:
    return lambda: Path(name).write_text(text) and None


def arrays_file(name: str, **arrays: Any) -> Callable[[], None]:
    return lambda: np.savez(name, **arrays)


X, T = np.zeros((3, 4)), np.eye(3)


def changed(array: np.ndarray, row: int, column: int, value: float) -> np.ndarray:
    found = array.copy()
    found[row, column] = value
    return found


BAD: dict[str, tuple[str, Callable[[], Any], str]] = {
    "missing": ("no.npz", lambda: None, "no.npz: there is no such file"),
    "missing csv": ("no.csv", lambda: None, "no.csv: there is no such file"),
    "folder": ("f.npz", lambda: Path("f.npz").mkdir(), "f.npz: is a directory"),
    "folder csv": ("f.csv", lambda: Path("f.csv").mkdir(), "f.csv: is a directory"),
    "empty": ("e.npz", data_file("e.npz", ""), "e.npz: is not a readable .npz file of plain arrays"),
    "empty csv": ("e.csv", lambda: Path("e.csv").touch(), "e.csv: holds no rows of numbers"),
    "header alone": ("h.csv", data_file("h.csv", "a,b,c,d,kind\n"), "h.csv: holds no rows of numbers"),
    "pickled": (
        "p.npz",
        lambda: np.savez("p.npz", x=np.array([{}], dtype=object), t=T),
        "p.npz: is not a readable .npz file of plain arrays",
    ),
    "truncated": (
        "half.npz",
        lambda: Path("half.npz").write_bytes(Path("classes.npz").read_bytes()[:900]),
        "half.npz: is not a readable .npz file of plain arrays",
    ),
    "binary csv": ("b.csv", lambda: Path("b.csv").write_bytes(b"\xff\x00"), "b.csv: can't be read as text"),
    "no x": ("d.npz", arrays_file("d.npz", inputs=X, t=T), "d.npz: holds no array x; it has inputs, t"),
    "no t": ("d.npz", arrays_file("d.npz", x=X), "d.npz: holds no array t; it has x"),
    "nothing": ("d.npz", arrays_file("d.npz"), "d.npz: holds no array x; it has none"),
    "x shape": ("d.npz", arrays_file("d.npz", x=X[:, :2], t=T),
                "d.npz: x must have shape (samples, 4), got (3, 2)"),
    "x axes": ("d.npz", arrays_file("d.npz", x=X[0], t=T), "d.npz: x must have shape (samples, 4), got (4,)"),
    "x scalar": ("d.npz", arrays_file("d.npz", x=1.0, t=T), "d.npz: x must have shape (samples, 4), got ()"),
    "t shape": ("d.npz", arrays_file("d.npz", x=X, t=T[:, :2]),
                "d.npz: t must have shape (samples, 3), got (3, 2)"),
    "t scalar": ("d.npz", arrays_file("d.npz", x=X, t=0), "d.npz: t must have shape (samples, 3), got ()"),
    "t axes": ("d.npz", arrays_file("d.npz", x=X, t=T[None]),
               "d.npz: t must have shape (samples, 3), got (1, 3, 3)"),
    "x text": ("d.npz", arrays_file("d.npz", x=X.astype(str), t=T), "d.npz: x must hold numbers, got <U32"),
    "t text": ("d.npz", arrays_file("d.npz", x=X, t=["a", "b", "c"]), "d.npz: t must hold numbers, got <U1"),
    "x complex": ("d.npz", arrays_file("d.npz", x=X + 1j, t=T), "d.npz: x must hold numbers, got complex128"),
    "rows": ("d.npz", arrays_file("d.npz", x=X, t=T[:2]),
             "d.npz: x has 3 rows and t has 2; they must be equal"),
    "no rows": ("d.npz", arrays_file("d.npz", x=X[:0], t=T[:0]), "d.npz: x has no rows"),
    "x nan": ("d.npz", arrays_file("d.npz", x=changed(X, 2, 1, np.nan), t=T),
              "d.npz: x: row 2, column 1 is nan"),
    "x inf": ("d.npz", arrays_file("d.npz", x=changed(X, 0, 3, np.inf), t=T),
              "d.npz: x: row 0, column 3 is inf"),
    "x large": ("d.npz", arrays_file("d.npz", x=changed(X, 1, 0, 1e39), t=T),
                "d.npz: x: row 1, column 0 is 1e+39, too large for float32"),
    "t nan": ("d.npz", arrays_file("d.npz", x=X, t=changed(T, 1, 2, np.nan)),
              "d.npz: t: row 1, column 2 is nan"),
    "t range": ("d.npz", arrays_file("d.npz", x=X, t=changed(T, 1, 2, -0.5)),
                "d.npz: t: row 1, column 2 is -0.5; the target must lie in [0, 1]"),
    "t total": ("d.npz", arrays_file("d.npz", x=X, t=changed(T, 1, 2, 0.5)),
                "d.npz: t: row 1 adds up to 1.5, not to 1"),
    "label": ("d.npz", arrays_file("d.npz", x=X, t=[0, 2, 3]),
              "d.npz: t: row 2, column 0 is 3, not a label: a whole number from 0 to 2"),
    "label half": ("d.npz", arrays_file("d.npz", x=X, t=[[0], [0.5], [1]]),
                   "d.npz: t: row 1, column 0 is 0.5, not a label: a whole number from 0 to 2"),
    "label nan": ("d.npz", arrays_file("d.npz", x=X, t=[0, np.nan, 1]),
                  "d.npz: t: row 1, column 0 is nan, not a label: a whole number from 0 to 2"),
    "csv label": ("d.csv", data_file("d.csv", "a,b,c,d,t\n1,2,3,4,0\n\n1,2,3,4,-1\n"),
                  "d.csv: row 4, column 5 is -1.0, not a label: a whole number from 0 to 2"),
    "csv text": ("d.csv", data_file("d.csv", "1,2,3,4,0\n1,2,x,4,0\n"),
                 "d.csv: row 2, column 3: 'x' is not a finite number"),
    "csv gap": ("d.csv", data_file("d.csv", "a,b,c,d,t\n1,,3,4,0\n"),
                "d.csv: row 2, column 2: '' is not a finite number"),
    "csv nan": ("d.csv", data_file("d.csv", "1,2,3,4,0\n1,2,3,nan,0\n"),
                "d.csv: row 2, column 4: 'nan' is not a finite number"),
    "csv nan first": ("d.csv", data_file("d.csv", "nan,nan,nan,nan,nan\n1,2,3,4,0\n"),
                      "d.csv: row 1, column 1: 'nan' is not a finite number"),
    "csv inf": ("d.csv", data_file("d.csv", "1,2,3,4,0\n-inf,2,3,4,0\n"),
                "d.csv: row 2, column 1: '-inf' is not a finite number"),
    "csv large": ("d.csv", data_file("d.csv", "a,b,c,d,t\n1,2,3,4e38,0\n"),
                  "d.csv: row 2, column 4 is 4e+38, too large for float32"),
    "csv two headers": ("d.csv", data_file("d.csv", "a,b,c,d,t\nm,m,s,s,-\n1,2,3,4,0\n"),
                        "d.csv: row 2, column 1: 'm' is not a finite number"),
    "csv columns": ("d.csv", data_file("d.csv", "1,2,3\n"),
                    "d.csv: 3 columns; expected 4 inputs, then 3 targets, or one label from 0 to 2"),
    "csv no target": ("d.csv", data_file("d.csv", "1,2,3,4\n"),
                      "d.csv: 4 columns; expected 4 inputs, then 3 targets, or one label from 0 to 2"),
    "csv ragged": ("d.csv", data_file("d.csv", "1,2,3,4,0\n1,2,3,4\n"),
                   "d.csv: row 2 has 4 columns, the first has 5"),
    "csv total": ("d.csv", data_file("d.csv", "1,2,3,4,0,1,0\n1,2,3,4,0.5,0,0\n"),
                  "d.csv: row 2 adds up to 0.5, not to 1"),
    "csv range": ("d.csv", data_file("d.csv", "h,,,,,,\n1,2,3,4,0,2,-1\n"),
                  "d.csv: row 2, column 6 is 2.0; the target must lie in [0, 1]"),
}  # fmt: skip
"""What is wrong -> the file, what makes it, the message; rows of a .csv count from 1, of arrays from 0."""


@pytest.mark.parametrize("kind", BAD)
def test_bad_data_is_named_and_nothing_is_written(run: Run, folder: Path, kind: str) -> None:
    name, make, message = BAD[kind]
    make()
    module(CLASSES).save("w.npz", module(CLASSES).initialize(0))
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    for command in (
        ("train", name),
        ("evaluate", "w.npz", name),
        ("train", "classes.npz", "--validation", name),
    ):
        said = refused(run(CLASSES, *command))
        assert said == message or said.startswith(f"{message}: ")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "kind", [kind for kind in BAD if kind.startswith(("x", "csv text", "csv nan", "miss"))]
)
def test_bad_inputs_are_named_by_predict(run: Run, kind: str) -> None:
    name, make, message = BAD[kind]
    make()
    module(CLASSES).save("w.npz", module(CLASSES).initialize(0))
    said = refused(run(CLASSES, "predict", "w.npz", name))
    assert said == message or said.startswith(f"{message}: ")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (None, "w.npz: there is no such file"),
        ({"w1": np.zeros((2, 4))}, "w.npz: holds no parameter b1"),
        ({"b1": np.zeros(3)}, r"w.npz: b1 must have shape (4,), got (3,)"),
        ({"b1": np.full(4, np.nan)}, "w.npz: b1 holds a number that is not finite"),
        ({"mean": np.zeros(3), "deviation": np.ones(3)}, "w.npz: mean does not fit the inputs"),
        ({"mean": np.zeros(2)}, "w.npz: mean does not fit the inputs"),
    ],
)
def test_bad_weights_are_named(run: Run, arrays: dict[str, Any] | None, message: str) -> None:
    if arrays is not None:
        np.savez("w.npz", **({} if "w1" in arrays else module(BITS).initialize(0)) | arrays)
    for command in ("evaluate", "predict"):
        assert refused(run(BITS, command, "w.npz", "bits.csv")) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--learning-rate", "0"], "learning_rate is 0.0; it must be a positive number"),
        (["--learning-rate", "nan"], "learning_rate is nan; it must be a positive number"),
        (["--beta1", "1"], "beta1 is 1.0; it must be a number from 0, below 1"),
        (["--batch-size", "0"], "batch_size is 0; it must be a whole number from 1"),
        (["--clip-norm", "-1"], "clip_norm is -1.0; it must be a positive number"),
        (["--epochs", "-1"], "--epochs is -1; it must be a whole number from 0"),
        (["--seed", "-1"], "--seed is -1; it must be a whole number from 0"),
        (["--every", "0"], "every is 0; it must be a whole number from 1"),
        (["--patience", "0"], "patience is 0; it must be a whole number from 1"),
        (["--resume", "none.npz"], "none.npz: there is no such file"),
        (["--resume", "bits.npz"], "bits.npz: holds no parameter w1"),
        (["--output", "none/w.npz"], "none/w.npz: can't be written: No such file or directory"),
        (["--output", "."], ".: can't be written: it is a directory"),
        (["--checkpoint", "none/c.npz"], "none/c.npz: can't be written: No such file or directory"),
    ],
)
def test_options_that_cannot_work_are_named(run: Run, folder: Path, options: list[str], message: str) -> None:
    before = set(folder.iterdir())
    assert refused(run(BITS, "train", "bits.csv", *options)) == message
    assert set(folder.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["learn"],
        ["train"],
        ["train", "bits.csv", "--epochs", "many"],
        ["train", "bits.csv", "--beta3", "1"],
    ],
)
def test_a_wrong_command_line_shows_how_it_is_used(run: Run, arguments: list[str]) -> None:
    status, printed, said = run(BITS, *arguments)
    assert (status, printed) == (2, "")
    assert said.startswith("usage: trainer.py")


def test_a_run_that_diverges_names_the_step_and_the_quantity(run: Run, folder: Path) -> None:
    np.savez("large.npz", x=np.full((4, 2), 1e15), t=np.full((4, 2), 1e15))
    options = ["--seed", "1", "--learning-rate", "10", "--checkpoint", "c.npz"]
    said = refused(run(REGRESSION, "train", "large.npz", *options, optimizer="sgd"))
    assert said.startswith("step ")
    assert " is not finite" in said
    assert not (folder / "weights.npz").exists()


@pytest.mark.parametrize("target", ["none/out.csv", "none/out.npz", "."])
def test_predictions_that_cannot_be_written(run: Run, target: str) -> None:
    done(run(BITS, "train", "bits.csv", "--epochs", "1"))
    assert refused(run(BITS, "predict", "weights.npz", "bits.csv", "-o", target)).startswith(
        f"{target}: can't"
    )


# ---------------------------------------------------------------- as a process


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[Any]:
    Path("trainer.py").write_text(source(BITS), encoding="utf-8")
    return subprocess.run([sys.executable, "-B", "trainer.py", *arguments], timeout=60, **options)


def test_output_that_nobody_reads_to_the_end(run: Run) -> None:
    done(run(BITS, "train", "bits.csv", "--epochs", "1"))
    x = np.zeros((20_000, 2))
    np.savez("many.npz", x=x)
    Path("trainer.py").write_text(source(BITS), encoding="utf-8")
    command = [sys.executable, "-B", "trainer.py", "predict", "weights.npz", "many.npz"]
    reader = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert reader.stdout is not None
    assert reader.stderr is not None
    reader.stdout.readline()
    reader.stdout.close()
    assert reader.stderr.read() == b""
    reader.stderr.close()
    assert reader.wait() == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_written(run: Run) -> None:
    done(run(BITS, "train", "bits.csv", "--epochs", "1"))
    with open("/dev/full", "w") as full:
        found = process("evaluate", "weights.npz", "bits.csv", stdout=full, stderr=subprocess.PIPE, text=True)
    assert found.returncode == 2
    assert found.stderr == "trainer.py: can't print: No space left on device\n"


def test_progress_is_shown_on_a_terminal_alone(folder: Path) -> None:
    pty = pytest.importorskip("pty")
    plain = process("train", "bits.csv", "--epochs", "3", capture_output=True, text=True)
    assert without_advice(plain.stderr) == ""
    assert plain.stdout.count("\n") == 1
    own, terminal = pty.openpty()
    found = process(
        "train",
        "bits.csv",
        "--seed",
        "0",
        "--epochs",
        "3",
        "--validation",
        "bits.npz",
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    shown = os.read(own, 10_000).decode()
    os.close(own)
    assert found.returncode == 0
    assert found.stdout.count(b"\n") == 1
    *lines, end = without_advice(shown).split("\r")[1:]
    assert [line.split(":")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert all(" loss 0." in line and " validation_loss " in line for line in lines)
    assert end == "\n"  # what is printed next has a line of its own


def test_a_run_that_ends_early_leaves_the_line_of_progress(folder: Path) -> None:
    pty = pytest.importorskip("pty")
    x, t = sample(BITS)
    np.savez("opposite.npz", x=x, t=1 - t)
    own, terminal = pty.openpty()
    options = ["--standardize", "--validation", "opposite.npz", "--patience", "1", "--learning-rate", "0.1"]
    options += ["--seed", "0"]
    found = process("train", "bits.csv", *options, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    shown = os.read(own, 10_000).decode()
    os.close(own)
    assert found.returncode == 0
    assert "epoch 100/100" not in shown
    assert shown.endswith("\r\n")


@pytest.mark.parametrize("architecture", ["3-1:softmax", "3-2:softmax", "3-4:softmax", CLASSES, BITS])
def test_the_data_of_a_modules_own_check_are_such_as_the_derivation_assumes(
    architecture: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert module(architecture).main(["check"]) == 0, capsys.readouterr().out
