"""Tables as people have them, given to the commands of a module."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from tests.code.runtime.conftest import refused

DIGITS = "label,p0,p1,p2,p3\n1,0,17,250,0\n0,3,0,0,0\n2,0,9,80,0\n"
"""The layout of the best-known file of digits."""
SEMICOLONS = "5.1;3.5;1.4;0\n4.9;3.0;1.4;0\n6.3;3.3;6.0;1\n"
WORDS = "5.1,3.5,1.4,0.2,Iris-setosa\n6.3,3.3,6.0,2.5,Iris-virginica\n"

Done = tuple[str, list[str]]
Call = Callable[..., Done]


@cache
def module(architecture: str, loss: str | None = None) -> Any:
    return sb.load(sb.Network(architecture, **({} if loss is None else {"loss": loss})), optimizer="adam")


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["trainer.py"])
    for name, text in (("digits.csv", DIGITS), ("semicolons.csv", SEMICOLONS), ("words.data", WORDS)):
        Path(name).write_text(text)


@pytest.fixture
def result(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs a command; it gives status, stdout and stderr."""

    def call(own: Any, *arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = own.main(list(map(str, arguments)))
        except SystemExit as end:
            status = int(end.code or 0)
        return (status, *capsys.readouterr())

    return call


@pytest.fixture
def run(result: Callable[..., tuple[int, str, str]]) -> Call:
    """Return a function that runs a command which is done; it gives what is printed, and the notes."""

    def call(own: Any, *arguments: object) -> Done:
        status, printed, said = result(own, *arguments)
        notes = [line.removeprefix("trainer.py: ") for line in said.splitlines()]
        notes = [note for note in notes if "only: try another --learning-rate" not in note]
        assert status == 0, said
        return printed, notes

    return call


QUICK = ["--epochs", "1", "--seed", "1", "-o", "w.npz"]


def same_weights(first: str, second: str) -> bool:
    with np.load(first) as a, np.load(second) as b:
        return a.files == b.files and all(np.array_equal(a[name], b[name]) for name in a.files)


# ---------------------------------------------------------------- the column of the label


def test_a_label_that_comes_first(run: Call) -> None:
    """It is found by its name, and what is learned is what an archive of the same arrays teaches."""
    own = module("4-3:softmax")
    note = ["digits.csv: the label is column 1, 'label'; --label-column chooses another"]
    assert run(own, "train", "digits.csv", *QUICK)[1] == note
    x = np.array([[0, 17, 250, 0], [3, 0, 0, 0], [0, 9, 80, 0]])
    np.savez("digits.npz", x=x, t=np.array([1, 0, 2]))
    run(own, "train", "digits.npz", *QUICK[:4], "-o", "other.npz")
    assert same_weights("w.npz", "other.npz")
    printed, notes = run(own, "evaluate", "w.npz", "digits.csv")
    assert (printed, notes) == (run(own, "evaluate", "w.npz", "digits.npz")[0], note)
    printed, notes = run(own, "predict", "w.npz", "digits.csv")
    assert (printed, notes) == (run(own, "predict", "w.npz", "digits.npz")[0], note)


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("by", ["name", "number"])
@pytest.mark.parametrize("place", [1, 3, 5])
def test_a_label_anywhere(run: Call, place: int, by: str, header: bool) -> None:
    """Named by --label-column in every command, it is as if it came last."""
    own = module("4-3:softmax")
    rows = [[0, 17, 250, 0], [3, 0, 0, 0], [0, 9, 80, 0]]
    labels, names = [1, 0, 2], ["a", "b", "c", "d"]
    last = "\n".join(",".join(map(str, [*row, label])) for row, label in zip(rows, labels, strict=True))
    lines = [[*row[: place - 1], label, *row[place - 1 :]] for row, label in zip(rows, labels, strict=True)]
    head = [",".join([*names[: place - 1], "digit", *names[place - 1 :]])] if header else []
    Path("last.csv").write_text(last)
    Path("any.csv").write_text("\n".join([*head, *(",".join(map(str, line)) for line in lines)]))
    if by == "name" and not header:
        return
    option = ["--label-column", "digit" if by == "name" else str(place)]
    assert run(own, "train", "last.csv", *QUICK)[1] == []
    assert run(own, "train", "any.csv", *QUICK[:4], "-o", "other.npz", *option)[1] == []
    assert same_weights("w.npz", "other.npz")
    for command in ("evaluate", "predict"):
        expected = run(own, command, "w.npz", "last.csv")
        assert run(own, command, "w.npz", "any.csv", *option) == expected
    validated = ["--validation", "any.csv", *QUICK, *option]
    assert run(own, "train", "any.csv", *validated)[1] == []


@pytest.mark.parametrize("name", ["label", "Label", "class", "target", "y", "CLASS", "label_id"])
def test_names_of_labels_are_understood(run: Call, name: str) -> None:
    Path("d.csv").write_text(f"a,{name},b,c,d\n0,1,17,250,0\n3,0,0,0,0\n")
    own = module("4-3:softmax")
    said = f"d.csv: the label is column 2, {name!r}; --label-column chooses another"
    for command in (
        ["train", "d.csv", *QUICK],
        ["evaluate", "w.npz", "d.csv"],
        ["predict", "w.npz", "d.csv"],
    ):
        assert run(own, *command)[1] == [said]


def test_a_wrong_column_is_refused(result: Callable[..., tuple[int, str, str]]) -> None:
    own = module("4-3:softmax")
    own.save("w.npz", own.initialize(1))
    for told, message in (
        ("lable", "digits.csv: --label-column is 'lable'; no column has that name; did you mean 'label'?"),
        ("6", "digits.csv: --label-column is 6; there are 5 columns, counted from 1"),
    ):
        for command in (["train"], ["evaluate", "w.npz"], ["predict", "w.npz"]):
            assert refused(result(own, *command, "digits.csv", "--label-column", told)) == message
    assert not Path("weights.npz").exists()
    np.savez("d.npz", x=np.ones((2, 4)), t=np.array([0, 1]))
    for option in (["--label-column", "1"], ["--separator", ";"]):
        said = refused(result(own, "train", "d.npz", *option))
        assert said == "d.npz: is no text, so it has neither separators nor a label column"


def test_what_is_no_table_has_no_such_options(result: Callable[..., tuple[int, str, str]]) -> None:
    text = "input x[n, p, k]\ntarget t[n, p]\nparameter w[k]\ny[n, p] = sum(x[n, p, k]*w[k], k)\n"
    text += "E = mean(sum((y[n, p] - t[n, p])**2, p), n)\noutput y\nsize k = 3\nsize p = 2\n"
    own = sb.load(sb.Network.from_equations(text))
    assert refused(result(own, "train", "digits.csv")).startswith(
        "digits.csv: is a table, but the data are x ("
    )
    status, _, said = result(own, "train", "digits.csv", "--label-column", "1")
    assert status == 2
    assert "unrecognized arguments: --label-column 1" in said


# ---------------------------------------------------------------- warnings


def test_what_looks_wrong_is_a_warning(run: Call) -> None:
    """On stderr, and the command is done all the same."""
    own = module("4-3:softmax")
    Path("d.csv").write_text("1,0,17,250,0\n0,3,0,0,0\n2,0,9,80,0\n")
    warning = "d.csv: every label is 0; column 1 looks like the labels: --label-column 1 takes it"
    assert run(own, "train", "d.csv", *QUICK)[1] == [warning]
    assert run(own, "evaluate", "w.npz", "d.csv") == (
        f"{run(own, 'evaluate', 'w.npz', 'd.csv')[0]}", [warning],
    )  # fmt: skip
    rows = "".join(f"{k % 3},{k}.5,{7 * k % 5},1.5,{k % 3}\n" for k in range(30))
    Path("twin.csv").write_text(rows)
    assert run(own, "train", "twin.csv", *QUICK)[1] == ["twin.csv: column 1 holds the labels, too"]
    said = run(own, "train", "digits.csv", "--validation", "d.csv", *QUICK)[1]
    assert said == ["digits.csv: the label is column 1, 'label'; --label-column chooses another", warning]


# ---------------------------------------------------------------- separators and suffixes


@pytest.mark.parametrize(
    ("separator", "told", "said"),
    [
        (";", ";", "separated by ';'"),
        ("\t", "tab", "separated by tabs"),
        ("   ", "blank", "separated by blanks"),
        ("|", "|", ""),
    ],
)
def test_separators(run: Call, result: Any, separator: str, told: str, said: str) -> None:
    own = module("3-2:softmax")
    Path("plain.csv").write_text(SEMICOLONS.replace(";", ","))
    Path("d.csv").write_text(SEMICOLONS.replace(";", separator))
    run(own, "train", "plain.csv", *QUICK)
    if said:
        assert run(own, "train", "d.csv", *QUICK[:4], "-o", "found.npz")[1] == [f"d.csv: {said}"]
        assert same_weights("w.npz", "found.npz")
    else:
        assert refused(result(own, "train", "d.csv")).endswith("; --separator '|' would make 4 columns")
    assert run(own, "train", "d.csv", *QUICK[:4], "-o", "told.npz", "--separator", told)[1] == []
    assert same_weights("w.npz", "told.npz")
    for command in ("evaluate", "predict"):
        expected = run(own, command, "w.npz", "plain.csv")
        assert run(own, command, "w.npz", "d.csv", "--separator", told) == expected


@pytest.mark.parametrize("suffix", [".csv", ".data", ".txt", ".tsv", ".CSV"])
@pytest.mark.parametrize("packed", [False, True])
def test_every_suffix(run: Call, suffix: str, packed: bool) -> None:
    own = module("3-2:softmax")
    text = SEMICOLONS.replace(";", "\t" if suffix == ".tsv" else ",").encode()
    path = Path(f"d{suffix}{'.gz' if packed else ''}")
    path.write_bytes(gzip.compress(text) if packed else text)
    np.savez("d.npz", x=np.array([[5.1, 3.5, 1.4], [4.9, 3, 1.4], [6.3, 3.3, 6]]), t=np.array([0, 0, 1]))
    run(own, "train", "d.npz", *QUICK)
    assert run(own, "train", path, *QUICK[:4], "-o", "other.npz", "--validation", path)[1] == []
    assert same_weights("w.npz", "other.npz")
    for command in ("evaluate", "predict"):
        assert run(own, command, "w.npz", path) == run(own, command, "w.npz", "d.npz")


# ---------------------------------------------------------------- labels that are words

ORDER = "labels in alphabetical order: 0 = Iris-setosa, 1 = Iris-virginica"
NETWORKS = {
    "classes": ("4-2:softmax", None, (0, 1)),
    "single": ("4-1", None, (0, 1)),
    "hinge": ("4-1:identity", "hinge", (-1, 1)),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_words_are_numbered_kept_and_used(run: Call, result: Any, kind: str) -> None:
    """As the bounds of a single target, or as classes; in weights and checkpoints."""
    architecture, loss, bounds = NETWORKS[kind]
    own = module(architecture, loss)
    options = [*QUICK, "--checkpoint", "state.npz"]
    assert run(own, "train", "words.data", *options)[1] == [f"words.data: {ORDER}"]
    numbers = WORDS.replace("Iris-setosa", str(bounds[0])).replace("Iris-virginica", str(bounds[1]))
    Path("numbers.csv").write_text(numbers)
    run(own, "train", "numbers.csv", *QUICK[:4], "-o", "other.npz")
    for name in own.PARAMETER_SHAPES:
        np.testing.assert_array_equal(own.load("w.npz")[name], own.load("other.npz")[name])
    for kept in ("w.npz", "state.npz"):
        with np.load(kept) as arrays:
            assert arrays["words"].tolist() == ["Iris-setosa", "Iris-virginica"]
        expected = run(own, "evaluate", "other.npz", "numbers.csv")[0]
        assert run(own, "evaluate", kept, "words.data") == (expected, [])
        assert "accuracy" in expected
        Path("few.csv").write_text(WORDS.splitlines()[1])
        Path("few_numbers.csv").write_text(numbers.splitlines()[1])
        expected = run(own, "evaluate", "other.npz", "few_numbers.csv")[0]
        assert run(own, "evaluate", kept, "few.csv") == (expected, [])
        Path("new.csv").write_text("1,2,3,4,Iris-virginicum\n")
        said = refused(result(own, "evaluate", kept, "new.csv"))
        assert said == (
            "new.csv: row 1, column 5: 'Iris-virginicum' is not a label that the weights know: "
            "Iris-setosa, Iris-virginica; did you mean 'Iris-virginica'?"
        )


@pytest.mark.parametrize("kind", NETWORKS)
def test_predictions_name_the_words(run: Call, kind: str) -> None:
    architecture, loss, bounds = NETWORKS[kind]
    own = module(architecture, loss)
    rows = "".join(f"{k % 2},{1 - k % 2},{k % 2},0.5,{['no', 'yes, often'][k % 2]!r}\n" for k in range(8))
    Path("d.csv").write_text(rows.replace("'", '"'))
    run(own, "train", "d.csv", "--seed", 3, "--epochs", 300, "--learning-rate", 0.05, "-o", "w.npz")
    assert "accuracy 100.0000%" in run(own, "evaluate", "w.npz", "d.csv")[0]
    Path("inputs.csv").write_text("1,0,1,0.5\n0,1,0,0.5\n")
    printed, notes = run(own, "predict", "w.npz", "inputs.csv")
    lines = printed.splitlines()
    names = ["no", '"yes, often"'] if kind == "classes" else ["output"]
    assert lines[0] == ",".join([*names, "label"])
    assert lines[1].endswith(',"yes, often"')
    assert lines[2].endswith(",no")
    assert (len(lines), notes) == (3, [])
    run(own, "predict", "w.npz", "inputs.csv", "-o", "out.csv")
    assert Path("out.csv").read_text() == printed
    run(own, "predict", "w.npz", "inputs.csv", "-o", "out.npz")
    with np.load("out.npz") as arrays:
        assert arrays["labels"].tolist() == ["yes, often", "no"]
        np.testing.assert_array_equal(arrays["x"], [[1, 0, 1, 0.5], [0, 1, 0, 0.5]])
        x = np.array([[1, 0, 1, 0.5], [0, 1, 0, 0.5]])
        np.testing.assert_array_equal(arrays["outputs"], own.forward(own.load("w.npz"), x))
    middle = sum(bounds) / 2
    if kind != "classes":
        assert [float(line.split(",")[0]) > middle for line in lines[1:]] == [True, False]


def test_a_single_word_may_stand_for_what_is_not_there(run: Call) -> None:
    """The other outputs have numbers for names."""
    Path("one.csv").write_text("9,2,3,4,yes\n2,3,4,5,yes\n")
    for architecture, names in (("4-3:softmax", "yes,label"), ("4-1", "output,label")):
        own = module(architecture)
        said = run(own, "train", "one.csv", *QUICK)[1]
        assert said[0] == "one.csv: labels in alphabetical order: 0 = yes"
        assert said[2].startswith("one.csv: every label is 0, 'yes'")
        weights = own.load("w.npz")
        last = list(weights)[-1]
        weights[last] = np.full(weights[last].shape, 50.0)
        with np.load("w.npz") as arrays:
            np.savez("w.npz", **{**arrays, last: weights[last] * np.arange(1, weights[last].size + 1)})
        printed = run(own, "predict", "w.npz", "one.csv")[0].splitlines()
        assert printed[0] == names
        assert printed[1].endswith(f",{'2' if architecture != '4-1' else '1'}")


def test_resuming_and_validating_keep_the_words(run: Call, result: Any) -> None:
    own = module("4-2:softmax")
    Path("few.csv").write_text(WORDS.splitlines()[1])
    Path("new.csv").write_text("1,2,3,4,other\n")
    run(own, "train", "words.data", *QUICK, "--checkpoint", "state.npz", "--validation", "few.csv")
    message = "new.csv: row 1, column 5: 'other' is not a label that the weights know"
    resume = ["--resume", "state.npz", "--epochs", "2"]
    assert run(own, "train", "few.csv", *resume)[1] == []
    with np.load("weights.npz") as arrays:
        assert arrays["words"].tolist() == ["Iris-setosa", "Iris-virginica"]
    assert refused(result(own, "train", "new.csv", *resume)).startswith(message)
    _, _, said = result(own, "train", "words.data", "--validation", "new.csv")
    assert said.splitlines()[1].startswith(f"trainer.py: {message}")


def test_resuming_on_numbers_keeps_the_words(run: Call) -> None:
    own = module("4-2:softmax")
    run(own, "train", "words.data", *QUICK, "--checkpoint", "state.npz")
    Path("numbers.csv").write_text("9,2,3,4,0\n4,3,2,1,1\n")
    run(own, "train", "numbers.csv", "--resume", "state.npz", "--epochs", "2")
    with np.load("weights.npz") as arrays:
        assert arrays["words"].tolist() == ["Iris-setosa", "Iris-virginica"]


def test_arrays_may_validate_what_a_table_with_options_trains(run: Call) -> None:
    own = module("4-2:softmax")
    Path("label_first.csv").write_text("1;9;2;3;4\n0;4;3;2;1\n")
    np.savez("some.npz", x=np.ones((2, 4)), t=np.array([0, 1]))
    options = ["--label-column", "1", "--separator", ";", "--validation", "some.npz"]
    assert run(own, "train", "label_first.csv", *options, *QUICK)[0].startswith("1 epochs, E ")


PARAMETERS_OF_ANY_NAME = """
input x[n, k]
target t[n, i]
parameter words[k, i], mean[i], order[i], settings[i], progress[i], deviation[i]
s[n, i] = sum(x[n, k]*words[k, i], k) + mean[i] + order[i] + settings[i] + progress[i] + deviation[i]
p[n, i] = softmax(s[n, i], i)
E = mean(-sum(t[n, i]*log(p[n, i]), i), n)
output p
assume sum(t[n, i], i) == 1
size k = 4
size i = 2
"""


def test_parameters_may_be_called_as_what_is_kept_beside_them(run: Call) -> None:
    own = sb.load(sb.Network.from_equations(PARAMETERS_OF_ANY_NAME), optimizer="adam")
    run(own, "train", "words.data", *QUICK, "--checkpoint", "state.npz", "--standardize")
    weights = own.load("w.npz")
    assert {name: value.shape for name, value in weights.items()} == own.PARAMETER_SHAPES
    trainer = own.Trainer.load("state.npz")
    assert trainer.words == ("Iris-setosa", "Iris-virginica")
    assert trainer.scaling["mean"].shape == trainer.scaling["deviation"].shape == (4,)
    run(own, "train", "words.data", "--resume", "state.npz", "--epochs", "2")
    assert "accuracy" in run(own, "evaluate", "w.npz", "words.data")[0]
    assert run(own, "predict", "w.npz", "words.data")[0].startswith("Iris-setosa")


def test_words_are_not_guessed_where_numbers_were_learned(run: Call, result: Any) -> None:
    """Some of the words may stand for any of the classes; all are numbered as ever, and it is said."""
    own = module("4-2:softmax")
    Path("numbers.csv").write_text("9,2,3,4,0\n4,3,2,1,1\n")
    Path("few.csv").write_text(WORDS.splitlines()[1])
    run(own, "train", "numbers.csv", *QUICK, "--checkpoint", "state.npz")
    message = (
        "few.csv: column 5: the labels are Iris-virginica, of 2 classes: the weights know no words; "
        "write the numbers of the classes"
    )
    assert refused(result(own, "evaluate", "w.npz", "few.csv")) == message
    assert refused(result(own, "train", "few.csv", "--resume", "state.npz", "--epochs", "2")) == message
    assert refused(result(own, "train", "numbers.csv", "--validation", "few.csv", *QUICK)) == message
    assert run(own, "evaluate", "w.npz", "words.data")[1] == [f"words.data: {ORDER}"]


def test_words_need_a_network_that_tells_classes_apart(result: Any) -> None:
    own = module("4-1:identity")
    said = refused(result(own, "train", "words.data"))
    assert said == (
        "words.data: row 1, column 5: 'Iris-setosa' is not a finite number: "
        "words take a network that tells classes apart"
    )
    Path("three.csv").write_text("1,2,3,4,a\n1,2,3,5,b\n1,2,3,6,c\n")
    said = refused(result(module("4-1"), "train", "three.csv"))
    assert said == "three.csv: column 5 holds 3 different labels: a, b, c; the network tells 2 classes apart"


def test_weights_of_numbers_have_no_words(run: Call) -> None:
    own = module("3-2:softmax")
    run(own, "train", "semicolons.csv", *QUICK)
    with np.load("w.npz") as arrays:
        assert "words" not in arrays.files
    printed, _ = run(own, "predict", "w.npz", "semicolons.csv")
    assert len(printed.splitlines()) == 3
    assert "label" not in printed
