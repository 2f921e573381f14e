"""Numbers of every kind and byte order, in data and in parameters: they work, or the reason is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.code.runtime.conftest import Run, done
from tests.code.runtime.nets import assert_same, data, module, rows_of, trainer

TABLES = ["single", "classes", "regression"]
KINDS = ["f2", "f4", "f8", "g", ">f2", ">f4", ">f8", "i1", "i2", "i4", "i8", ">i4", "u1", "u4", "?"]


def whole_numbers(name: str, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return data that every kind of number holds: 0 and 1, or small ones."""
    x, t = data(name)
    x, t = (x > 0).astype("f4"), (t > 0.5).astype("f4")
    assert (x.astype(kind).astype("f4") == x).all()
    return x, t


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("kind", KINDS)
def test_data_of_every_kind_are_the_same_numbers(name: str, kind: str) -> None:
    x, t = whole_numbers(name, kind)
    x_kind, t_kind = x.astype(kind), t.astype(kind)
    own = module(name)
    for dtype in (np.float32, np.float64, np.float16):
        parameters = own.initialize(1, dtype)
        np.testing.assert_array_equal(own.forward(parameters, x_kind), own.forward(parameters, x))
        assert own.loss(parameters, x_kind, t_kind) == own.loss(parameters, x, t)
        E, found = own.gradients(parameters, x_kind, t_kind)
        expected = own.gradients(parameters, x, t)
        assert expected[0] == E
        for key, value in expected[1].items():
            np.testing.assert_array_equal(found[key], value)
    first, second = trainer(name), trainer(name)
    assert first.step(x_kind[:8], t_kind[:8]) == second.step(x[:8], t[:8])
    assert first.fit(x_kind, t_kind, 2, validation=(x_kind, t_kind)) == second.fit(x, t, 2, validation=(x, t))
    batches = [(x_kind[:8], t_kind[:8])]
    assert first.fit(batches, epochs=2) == second.fit([(x[:8], t[:8])], epochs=2)
    assert_same(first, second)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("kind", KINDS)
def test_files_of_every_kind_are_the_same_numbers(run: Run, name: str, kind: str) -> None:
    """An .npz file, a folder and open .npy files, in train, evaluate and predict."""
    found = {}
    for each in ("f4", kind):
        x, t = (array.astype(each) for array in whole_numbers(name, kind))
        np.savez("data.npz", x=x, t=t)
        Path("data").mkdir(exist_ok=True)
        np.save("data/x.npy", x)
        np.save("data/t.npy", t)
        opened = [np.load(f"data/{key}.npy", mmap_mode="r") for key in "xt"]
        own = trainer(name)
        history = own.fit(*opened, 2, validation=tuple(opened))
        said: list[Any] = [history, own._values.tobytes()]
        for path in ("data.npz", "data"):
            said.append(done(run(name, "train", path, "--epochs", 2, "--seed", 1, "-o", "w.npz")))
            said.append(Path("w.npz").read_bytes())
            said.append(done(run(name, "evaluate", "w.npz", path)))
            said.append(done(run(name, "predict", "w.npz", path)))
        found[each] = said
    assert found[kind] == found["f4"]


@pytest.mark.parametrize("name", [*TABLES, "deep", "coupled", "open", "no target", "two inputs"])
@pytest.mark.parametrize("kind", [">f4", ">f8", ">f2"])
def test_parameters_of_another_byte_order(name: str, kind: str) -> None:
    """They are the same numbers in everything that takes them, in memory or mapped."""
    own = module(name, "sgd" if kind == ">f2" else "adam")
    native = {key: value.astype(kind[1:]) for key, value in own.initialize(2).items()}
    swapped = {key: value.astype(kind) for key, value in native.items()}
    x, t = data(name, 8)
    arguments = (x,) if t is None else (x, t)
    near = {"rtol": 20 * np.finfo(kind[1:]).eps, "atol": 20 * np.finfo(kind[1:]).eps}
    np.testing.assert_allclose(own.forward(swapped, x), own.forward(native, x), **near)
    np.testing.assert_allclose(own.loss(swapped, *arguments), own.loss(native, *arguments), **near)
    E, found = own.gradients(swapped, *arguments)
    expected = own.gradients(native, *arguments)
    np.testing.assert_allclose(E, expected[0], **near)
    for key, value in expected[1].items():
        np.testing.assert_allclose(found[key], value, **near)
    first, second = (own.Trainer(start, seed=1) for start in (swapped, native))
    assert first.dtype == np.dtype(kind[1:])
    first.step(x, t)
    second.step(x, t)
    assert first.fit(x, t, 2) == second.fit(x, t, 2)
    assert_same(first, second)
    first.parameters = swapped
    for key, value in first.parameters.items():
        np.testing.assert_array_equal(value, native[key])


def test_weights_of_another_byte_order_in_files(run: Run) -> None:
    x, t = data("classes", 20)
    np.savez("data.npz", x=x, t=t)
    native = module("classes").initialize(2)
    found = []
    for kind in ("f4", ">f4"):
        np.savez("w.npz", **{key: value.astype(kind) for key, value in native.items()})
        found.append([done(run("classes", "evaluate", "w.npz", "data.npz")),
                      done(run("classes", "predict", "w.npz", "data.npz"))])  # fmt: skip
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["i8", "i4", "u1", "?"])
@pytest.mark.parametrize("name", TABLES)
def test_whole_numbers_for_parameters_are_trained_as_float64(name: str, kind: str) -> None:
    own = module(name)
    whole = {key: np.ones(shape, kind) for key, shape in own.PARAMETER_SHAPES.items()}
    exact = {key: value.astype("f8") for key, value in whole.items()}
    x, t = data(name, 8)
    first, second = own.Trainer(whole, seed=1), own.Trainer(exact, seed=1)
    assert first.dtype == np.float64
    assert first.fit(x, t, 2) == second.fit(x, t, 2)
    assert_same(first, second)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("name", TABLES)
def test_training_in_float16(name: str, optimizer: str, tmp_path: Path) -> None:
    """It learns, and what it saves goes on; it stays float16."""
    x, t = data(name)
    own = module(name, optimizer)
    options = {} if optimizer in ("sgd", "momentum", "nesterov") else {"epsilon": 1e-3}
    first = own.Trainer(own.initialize(3, np.float16), seed=1, learning_rate=0.02, **options)
    history = first.fit(x, t, 40)["loss"]
    assert first.dtype == np.float16
    assert history[-1] < history[0]
    assert all(np.isfinite(value).all() for value in first.parameters.values())
    first.save(tmp_path / "state.npz")
    second = own.Trainer.load(tmp_path / "state.npz")
    for each in (first, second):
        each.fit(x, t, 2)
    assert_same(first, second)


@pytest.mark.parametrize("optimizer", ["adagrad", "rmsprop", "adam", "adamw"])
def test_a_divisor_that_is_next_to_0_in_float16_is_refused(optimizer: str) -> None:
    own = module("classes", optimizer)
    start = own.initialize(3, np.float16)
    said = r"^epsilon is 1e-\d\d, too small for float16: it must be at least 6.1e-05, or the parameters "
    with pytest.raises(ValueError, match=said):
        own.Trainer(start)
    own.Trainer(start, epsilon=6.2e-5)
    own.Trainer(start, epsilon=0)  # for those who know that no derivative is 0


def test_what_float16_cannot_hold_is_named() -> None:
    x, t = (value.astype("f8") for value in data("regression"))
    start = module("regression").initialize(3, np.float16)
    own = module("regression").Trainer(start, seed=1, epsilon=1e-3)
    x[4, 2] = 1e5
    with pytest.raises(ValueError, match=r"^x: row 4, column 2 is 100000\.0, too large for float16$"):
        own.fit(x, t, 1)
    own.fit(x[:4], t[:4], 1)


def test_data_in_float16_do_not_overflow_where_they_are_checked() -> None:
    """The sum of their squares is beyond float16."""
    x, t = data("regression", 300)
    large = np.full_like(x, 300, "f2")
    own = module("regression", "sgd")
    start = {key: np.zeros(shape, "f2") for key, shape in own.PARAMETER_SHAPES.items()}
    assert own.Trainer(start, learning_rate=1e-5, batch_size=300).fit(large, t, 1)["loss"][0] > 0
    first, second = trainer("regression"), trainer("regression")
    assert first.fit(large, t, 1) == second.fit(large.astype("f4"), t, 1)


@pytest.mark.parametrize("kind", ["i1", "i8", ">i4", "u2", "f4", ">f8"])
def test_whole_number_inputs_of_every_kind(kind: str, tmp_path: Path) -> None:
    x, t = data("two inputs")
    changed = {**x, "token": x["token"].astype(kind)}
    own = module("two inputs")
    parameters = own.initialize(1)
    labels = t.astype(kind)
    np.testing.assert_array_equal(own.forward(parameters, changed), own.forward(parameters, x))
    assert own.loss(parameters, changed, labels) == own.loss(parameters, x, t)
    first, second = trainer("two inputs"), trainer("two inputs")
    part = (rows_of(changed, slice(0, 8)), labels[:8])
    assert first.step(*part) == second.step(rows_of(x, slice(0, 8)), t[:8])
    assert first.fit(changed, labels, 2) == second.fit(x, t, 2)
    assert_same(first, second)
    mapped = {}
    for key, value in {**changed, "label": labels}.items():
        np.save(tmp_path / f"{key}.npy", value)
        mapped[key] = np.load(tmp_path / f"{key}.npy", mmap_mode="r")
    label = mapped.pop("label")
    assert first.fit(mapped, label, 2) == second.fit(x, t, 2)
    assert_same(first, second)


@pytest.mark.parametrize("kind", ["c8", "U1", "S1", "O", "M8[s]", "m8[s]"])
def test_what_is_no_number_is_refused_with_its_kind(kind: str) -> None:
    x, t = data("regression")
    wrong = np.zeros(x.shape, "i8").astype(kind)
    own = trainer("regression")
    for arguments in ((wrong, t, 1), ([(wrong, t)], None, 1)):
        with pytest.raises(ValueError, match="x must hold numbers, got "):
            own.fit(*arguments)
    with pytest.raises(ValueError, match="w1 must hold numbers, got "):
        module("regression").Trainer(
            {**module("regression").initialize(1), "w1": np.zeros((3, 2), "i8").astype(kind)}
        )
    assert own.steps == 0
