"""`train` without options: it learns what is small, and says so where it has hardly learned."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from tests.code.runtime.conftest import Run, done
from tests.code.runtime.nets import data, module

XOR = "0,0,0\n0,1,1\n1,0,1\n1,1,0\n"


def trained(
    optimizer: str, seed: int, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[float, int, str]:
    """Return the last E, the epochs and what is said after `train xor.csv --seed SEED`."""
    own = sb.load(sb.Network("2-8-1"), optimizer=optimizer)
    assert own.main(["train", "xor.csv", "--seed", str(seed), *options]) == 0
    printed, said = capsys.readouterr()
    epochs, _, rest = printed.partition(" epochs, E ")
    return float(rest.partition(";")[0]), int(epochs), said


@pytest.fixture
def xor(run: Run) -> Path:
    Path("xor.csv").write_text(XOR)
    return Path("xor.csv")


@pytest.mark.usefixtures("xor")
def test_exclusive_or_is_learned_without_options(capsys: pytest.CaptureFixture[str]) -> None:
    found = [trained("adam", seed, capsys) for seed in range(10)]
    assert sum(E < 0.1 for E, _, _ in found) >= 9
    assert {epochs for _, epochs, _ in found} == {2000}
    assert {said for _, _, said in found} == {""}


@pytest.mark.usefixtures("xor")
@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop", "adagrad"])
def test_other_optimizers_that_adapt_learn_it_too(optimizer: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sum(trained(optimizer, seed, capsys)[0] < 0.1 for seed in range(3)) == 3


@pytest.mark.parametrize(
    ("rows", "options", "epochs"),
    [
        (4, [], 2000),
        (32, [], 2000),
        (33, [], 1000),
        (320, [], 200),
        (640, [], 100),
        (2000, [], 100),
        (320, ["--batch-size", "320"], 2000),
        (320, ["--batch-size", "1"], 100),
        (320, ["--epochs", "3"], 3),
    ],
)
def test_a_run_has_enough_steps(run: Run, rows: int, options: list[str], epochs: int) -> None:
    x, t = data("regression", rows)
    np.savez("data.npz", x=x, t=t)
    ending: dict[str, Any] = {}
    own = module("regression")
    fit = own.Trainer.fit

    def noted(self: Any, x: Any, t: Any, epochs: int, *rest: Any, **keywords: Any) -> Any:
        ending["epochs"] = epochs
        return fit(self, x, t, 0, *rest, **keywords)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own.Trainer, "fit", noted)
        done(run("regression", "train", "data.npz", "--seed", 1, *options))
    assert ending["epochs"] == epochs
    size = int(options[1]) if "--batch-size" in options else 32
    assert "--epochs" in options or epochs * math.ceil(rows / size) >= 2000


def test_files_have_as_many_steps(run: Run) -> None:
    x, t = data("regression", 320)
    Path("data").mkdir()
    np.save("data/x.npy", x)
    np.save("data/t.npy", t)
    assert done(run("regression", "train", "data", "--seed", 1)).startswith("200 epochs, ")


ADVICE = "trainer.py: E went from {} to {} only: try another --learning-rate than {}{} or more --epochs\n"


@pytest.mark.usefixtures("xor")
def test_a_run_that_hardly_learns_says_what_to_try(capsys: pytest.CaptureFixture[str]) -> None:
    _, _, said = trained("adam", 0, capsys, "--epochs", "20", "--learning-rate", "1e-5")
    first, _, rest = said.removeprefix("trainer.py: E went from ").partition(" to ")
    last = rest.partition(" only")[0]
    assert said == ADVICE.format(first, last, "1e-05", ", --standardize")
    assert float(last) > 0.9 * float(first)
    _, _, said = trained("adam", 0, capsys, "--epochs", "20", "--learning-rate", "1e-5", "--standardize")
    assert ", --standardize" not in said
    assert said.count("\n") == 1


@pytest.mark.usefixtures("xor")
@pytest.mark.parametrize("options", [["--epochs", "1"], ["--epochs", "2000"]])
def test_there_is_no_advice_where_there_is_no_cause(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained("adam", 0, capsys, *options)[2] == ""


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ([1.0, 0.95, 0.901], True),
        ([1.0, 2.0, 0.899], False),
        ([2.0, 1.85], True),
        ([0.0, 0.0], False),
        ([3.0], False),
    ],
)
def test_the_advice_comes_above_nine_tenths(run: Run, errors: list[float], said: bool) -> None:
    x, t = data("regression", 20)
    np.savez("data.npz", x=x, t=t)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module("regression").Trainer, "fit", lambda *_, **__: {"loss": errors})
        found = run("regression", "train", "data.npz", "--seed", 1)
    assert found[0] == 0
    assert ("only: try another" in found[2]) == said


def test_a_network_that_cannot_be_standardised_is_not_told_to(run: Run) -> None:
    x, t = data("two inputs", 20)
    np.savez("data.npz", **x, label=t)
    status, _, said = run(
        "two inputs", "train", "data.npz", "--seed", 1, "--epochs", 5, "--learning-rate", "1e-9"
    )
    assert (status, "standardize" in said, "only: try another" in said) == (0, False, True)


def test_a_resumed_run_gets_no_advice(run: Run) -> None:
    """It goes on as it began, and its first epoch is not that of the whole."""
    x, t = data("regression", 20)
    np.savez("data.npz", x=x, t=t)
    common = ["train", "data.npz", "--checkpoint", "state.npz"]
    run("regression", *common, "--seed", 1, "--epochs", 3, "--learning-rate", "1e-9")
    status, _, said = run("regression", *common, "--resume", "state.npz", "--epochs", 9)
    assert (status, said) == (0, "")
