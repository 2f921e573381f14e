"""Targets of a single output: (samples,) and (samples, 1) mean the same, wherever they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.code.runtime.nets import assert_same, data, module, rows_of, trainer

SINGLE = ["single", "coupled"]
"""Networks of a single target: declared with a column, and without."""


def shapes(name: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return inputs, and their targets without and with a column."""
    x, t = data(name)
    return x, t.reshape(-1), t.reshape(-1, 1)


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_functions_take_both(name: str, dtype: str) -> None:
    own = module(name)
    parameters = own.initialize(1, np.dtype(dtype).type)
    x, flat, column = shapes(name)
    outputs = own.forward(parameters, x).reshape(-1)
    if name == "single":  # the mean over the samples, and no other
        error = -np.mean(flat * np.log(outputs) + (1 - flat) * np.log(1 - outputs))
    else:
        error = np.sum((outputs - flat) ** 2) + 0.01 * np.sum(parameters["w"] ** 2)
    for t in (flat, column, flat.tolist(), column.tolist(), flat.astype(">f8")):
        assert own.loss(parameters, x, t) == pytest.approx(float(error), rel=1e-5)
        E, found = own.gradients(parameters, x, t)
        assert pytest.approx(float(error), rel=1e-5) == E
        for key, value in own.gradients(parameters, x, column)[1].items():
            np.testing.assert_array_equal(found[key], value)


@pytest.mark.parametrize("name", SINGLE)
def test_a_step_takes_both(name: str) -> None:
    x, flat, column = shapes(name)
    first, second = trainer(name, batch_size=45), trainer(name, batch_size=45)
    for k in (45, 7, 1):
        assert first.step(x[:k], flat[:k]) == second.step(x[:k], column[:k])
    assert_same(first, second)


@pytest.mark.parametrize("name", SINGLE)
def test_fit_takes_both_with_validation_and_weights(name: str) -> None:
    x, flat, column = shapes(name)
    trainers = [trainer(name) for _ in range(3)]
    weights = {"weights": np.linspace(0.5, 1.5, 45)} if name == "single" else {}
    histories = [
        own.fit(x, t, 3, validation=(x[:20], v[:20]), **weights)
        for own, t, v in zip(trainers, (flat, column, flat), (column, flat, flat), strict=True)
    ]
    assert histories[0] == histories[1] == histories[2]
    assert_same(trainers[0], trainers[1])
    assert_same(trainers[0], trainers[2])


@pytest.mark.parametrize("name", SINGLE)
def test_batches_take_both(name: str) -> None:
    x, flat, column = shapes(name)
    first, second = trainer(name), trainer(name)
    found = [
        own.fit([(x[k : k + 8], t[k : k + 8]) for k in range(0, 45, 8)], epochs=2, validation=(x, other))
        for own, t, other in ((first, flat, column), (second, column, flat))
    ]
    assert found[0] == found[1]
    assert_same(first, second)


@pytest.mark.parametrize("name", SINGLE)
def test_files_take_both(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An .npz file, a folder of .npy files, and arrays that are open in files."""
    monkeypatch.chdir(tmp_path)
    own = module(name)
    x, *targets = shapes(name)
    weights = []
    for kind, t in enumerate(targets):
        np.savez(f"{kind}.npz", x=x, t=t)
        Path(str(kind)).mkdir()
        np.save(f"{kind}/x.npy", x)
        np.save(f"{kind}/t.npy", t)
        for path in (f"{kind}.npz", f"{kind}"):
            assert own.main(["train", path, "--seed", "1", "--epochs", "2", "-o", "w.npz"]) == 0
            weights.append(Path("w.npz").read_bytes())
            assert own.main(["evaluate", "w.npz", path]) == 0
        opened = [np.load(f"{kind}/{key}.npy", mmap_mode="r") for key in "xt"]
        first, second = trainer(name), trainer(name)
        assert first.fit(*opened, 2, validation=tuple(opened)) == second.fit(x, t, 2, validation=(x, t))
        assert_same(first, second)
    assert len(set(weights)) == 1


WRONG_COUNTS = [(44,), (46,), (1,), (44, 1), (1, 1), (45, 2), (45, 45), (1, 45), (45, 1, 1), (9, 5), ()]


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("shape", WRONG_COUNTS, ids=str)
def test_other_counts_are_refused_by_fit(name: str, shape: tuple[int, ...]) -> None:
    x, t, _ = shapes(name)
    own = trainer(name, batch_size=45)
    before = own._values.tobytes()
    wrong = np.full(shape, 0.5)
    for arguments in (
        {"x": x, "t": wrong, "epochs": 1},
        {"x": x, "t": t, "epochs": 1, "validation": (x, wrong)},
        {"x": [(x, wrong)], "epochs": 1},
    ):
        with pytest.raises(ValueError, match=r"rows|shape|t is 0\.5"):
            own.fit(**arguments)
    assert own._values.tobytes() == before


@pytest.mark.parametrize("name", [*SINGLE, "classes", "regression", "open", "two inputs"])
def test_other_counts_are_refused_by_step(name: str) -> None:
    """They would be broadcast: one target for all rows, or one row for all targets."""
    x, t = data(name)
    own = trainer(name, batch_size=45)
    before = own._values.tobytes()
    for wrong in (t[:1], t[:44], np.concatenate([t, t[:1]]), None):
        with pytest.raises(ValueError, match=r"x has 45 rows and t (has \d+; they must be equal|is missing)"):
            own.step(x, wrong)
    with pytest.raises(ValueError, match="x has 1 rows and t has 45"):
        own.step(rows_of(x, slice(0, 1)), t)
    assert own._values.tobytes() == before
    own.step(x, t)


def test_a_single_target_among_several_arrays() -> None:
    """Whole numbers that are targets, with a column and without."""
    own = module("two inputs")
    parameters = own.initialize(1)
    x, labels = data("two inputs")
    expected = own.loss(parameters, x, labels)
    assert own.loss(parameters, x, labels.reshape(-1, 1)) == expected
    first, second = trainer("two inputs"), trainer("two inputs")
    assert first.fit(x, labels, 2) == second.fit(x, labels.reshape(-1, 1), 2)
    assert_same(first, second)
    for t in (labels, labels.reshape(-1, 1)):
        part = {key: value if key == "m" else value[:8] for key, value in x.items()}
        first.step(part, t[:8])
        second.step(part, t[:8])
    assert_same(first, second)


def test_a_network_without_targets_has_none() -> None:
    own = trainer("no target")
    x, _ = data("no target")
    for t in (np.zeros(45), np.zeros((45, 1))):
        with pytest.raises(ValueError, match="no targets; t must be None"):
            own.fit(x, t, 1)
    assert len(own.fit(x, epochs=1)["loss"]) == 1
