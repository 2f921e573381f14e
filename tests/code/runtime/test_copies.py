"""Copies of trainers, and what is assigned to their parameters: all of it is trained."""

from __future__ import annotations

import copy
import importlib.util
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.code.runtime.nets import EVERY, assert_same, data, module, rows_of, source, trainer

KINDS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "old pickle": lambda value: pickle.loads(pickle.dumps(value, 2)),
}
COPYING = pytest.mark.parametrize("duplicate", KINDS.values(), ids=KINDS)


# ---------------------------------------------------------------- copies of trainers


@COPYING
@pytest.mark.parametrize("name", EVERY)
def test_a_copy_trains_as_the_original_would(name: str, duplicate: Callable[[Any], Any]) -> None:
    first = trainer(name, schedule=("warmup", 9, ("cosine", 100)), clip_norm=3.0)
    first.fit(*data(name), 2)
    second, third = duplicate(first), duplicate(first)
    assert_same(first, second)
    before = second._values.tobytes()
    first.fit(*data(name), 2)
    assert second._values.tobytes() == before
    second.fit(*data(name), 2)
    assert_same(first, second)
    x, t = (rows_of(value, slice(0, 8)) for value in data(name))
    start = {key: value.copy() for key, value in third.parameters.items()}
    third.step(x, t)
    assert all((start[key] != value).any() for key, value in third.parameters.items())


@COPYING
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adagrad", "rmsprop", "adamw"])
def test_the_state_of_every_optimizer_is_copied(optimizer: str, duplicate: Callable[[Any], Any]) -> None:
    first = trainer("classes", optimizer)
    first.fit(*data("classes"), 3)
    second = duplicate(first)
    for each in (first, second):
        each.fit(*data("classes"), 3)
    assert_same(first, second)


@COPYING
def test_a_copy_in_the_middle_of_an_epoch(duplicate: Callable[[Any], Any]) -> None:
    """Where a failing batch has ended it, and from the callback of `fit`."""
    x, t = data("classes")
    batches = [(x[k : k + 8], t[k : k + 8]) for k in range(0, 40, 8)]
    first, copies = trainer("classes"), []

    def ended() -> Iterator[Any]:
        yield from batches[:2]
        raise OSError

    first.fit(x, t, 2, callback=lambda epoch, history: copies.append(duplicate(first)))
    assert [one.epochs for one in copies] == [1, 2]
    assert_same(first, copies[1])
    copies[0].fit(x, t, 1)
    assert_same(first, copies[0])
    with pytest.raises(OSError):
        first.fit(ended)
    assert_same(first, duplicate(first))


@COPYING
def test_an_interrupted_epoch_goes_on_in_the_copy(duplicate: Callable[[Any], Any]) -> None:
    x, t = data("classes")
    first = trainer("classes")
    order = np.random.default_rng(0).permutation(len(x))
    first._order, first._errors = order, [first.step(x[order[:8]], t[order[:8]])]
    second = duplicate(first)
    assert second._order is not first._order
    assert first.fit(x, t, 1) == second.fit(x, t, 1)
    assert_same(first, second)
    assert second.steps == 6


@COPYING
def test_patience_standardisation_and_words_are_copied(duplicate: Callable[[Any], Any]) -> None:
    first = trainer("classes")
    first.fit(*data("classes"), 30, patience=3)
    first._best, first._waited = -1.0, 2
    first.scaling = {"mean": np.arange(3.0), "deviation": np.ones(3)}
    first.words = ("cat", "dog")
    second = duplicate(first)
    assert second.words == ("cat", "dog")
    assert len(second.fit(*data("classes"), 9, patience=3)["loss"]) == 1
    second.scaling["mean"] += 1
    np.testing.assert_array_equal(first.scaling["mean"], [0, 1, 2])
    np.testing.assert_array_equal(second.scaling["mean"], [1, 2, 3])


@COPYING
def test_settings_that_were_changed_are_copied_as_they_are(duplicate: Callable[[Any], Any]) -> None:
    first = trainer("classes", "sgd")
    for rate in (0.25, np.float32(0.25), np.array(0.25), 1):
        first.learning_rate = rate
        first.clip_norm = np.float16(2)
        second = duplicate(first)
        assert (second.learning_rate, second.clip_norm) == (float(rate), 2)
        for each in (first, second):
            each.fit(*data("classes"), 1)
        assert_same(first, second)


@COPYING
@pytest.mark.parametrize("rate", [0.0, -0.0, np.float32(0.1), 2.0**-60, -0.01])
def test_what_a_beginning_would_refuse_or_round_is_copied(duplicate: Callable[[Any], Any], rate: Any) -> None:
    """A trainer may be given settings in between that none may begin with."""
    first = trainer("classes", "sgd")
    first.learning_rate = rate
    second = duplicate(first)
    assert type(second.learning_rate) is type(rate)
    assert second.learning_rate == rate
    with np.errstate(all="ignore"):
        for each in (first, second):
            each.fit(*data("classes"), 1)
    assert_same(first, second)


@COPYING
def test_a_generator_of_another_kind_is_copied(duplicate: Callable[[Any], Any]) -> None:
    first = trainer("classes")
    first.generator = np.random.Generator(np.random.MT19937(3))
    second = duplicate(first)
    assert second.generator is not first.generator
    assert isinstance(second.generator.bit_generator, np.random.MT19937)
    assert first.fit(*data("classes"), 2) == second.fit(*data("classes"), 2)


@COPYING
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4"])
def test_the_dtype_is_that_of_the_original(dtype: str, duplicate: Callable[[Any], Any]) -> None:
    start = {key: value.astype(dtype) for key, value in module("classes").initialize(1).items()}
    first = module("classes").Trainer(start, seed=2, epsilon=1e-4)
    second = duplicate(first)
    assert second.dtype == first.dtype == np.dtype(dtype).newbyteorder("=")
    for each in (first, second):
        each.fit(*data("classes"), 2)
    assert_same(first, second)


def test_a_trainer_whose_module_stands_in_a_file_can_be_pickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "copied_trainer.py"
    path.write_text(source("classes"))
    monkeypatch.syspath_prepend(tmp_path)
    from importlib import import_module

    own = import_module("copied_trainer")
    monkeypatch.delitem(sys.modules, "copied_trainer")
    sys.modules["copied_trainer"] = own
    first = own.Trainer(seed=1)
    first.fit(*data("classes"), 2)
    second = pickle.loads(pickle.dumps(first))
    assert type(second) is own.Trainer
    assert_same(first, second)


def test_a_trainer_of_a_module_that_is_nowhere_can_be_copied(tmp_path: Path) -> None:
    """As `runpy` and frameworks load files: the module is not among those that Python knows."""
    path = tmp_path / "unknown_trainer.py"
    path.write_text(source("classes"))
    spec = importlib.util.spec_from_file_location("unknown_trainer", path)
    assert spec is not None
    assert spec.loader is not None
    own: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(own)
    first = own.Trainer(seed=1)
    for duplicate in (copy.copy, copy.deepcopy):
        assert_same(first, duplicate(first))


class Logging(module("classes").Trainer):  # type: ignore[misc]
    """A trainer with attributes of its own, made before and after those of its base."""

    def __init__(self, name: str, *arguments: Any, **keywords: Any) -> None:
        self.log = [name]
        super().__init__(*arguments, **keywords)
        self._notes = {"made": name}


@COPYING
def test_a_copy_of_a_subclass_has_its_attributes(duplicate: Callable[[Any], Any]) -> None:
    first = Logging("first", seed=1)
    first.fit(*data("classes"), 1)
    first.log.append("trained")
    first.later = 7
    second = duplicate(first)
    assert type(second) is Logging
    assert (second.log, second._notes, second.later) == (["first", "trained"], {"made": "first"}, 7)
    assert (second.log is first.log) == (duplicate is copy.copy)
    for each in (first, second):
        each.fit(*data("classes"), 1)
    assert_same(first, second)
    assert_same(second, duplicate(second))


def test_what_is_shared_in_what_is_copied_stays_shared() -> None:
    first = trainer("classes")
    pair = copy.deepcopy([first, first])
    assert pair[0] is pair[1]
    first.best = first
    assert copy.deepcopy(first).best is not first


@COPYING
def test_a_copy_of_parameters_is_theirs_of_that_moment(duplicate: Callable[[Any], Any]) -> None:
    first = trainer("classes")
    kept = duplicate(first.parameters)
    also = first.parameters.copy()
    start = {key: value.tobytes() for key, value in first.parameters.items()}
    first.fit(*data("classes"), 2)
    for each in (kept, also):
        assert type(each) is dict
        assert {key: value.tobytes() for key, value in each.items()} == start
    assert first.parameters["w1"].tobytes() != start["w1"]


# ---------------------------------------------------------------- what is assigned


def other(name: str) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = module(name).initialize(99)
    return {key: value + 0.125 for key, value in found.items()}


def assign(own: Any, new: dict[str, np.ndarray], way: str) -> None:
    if way == "all":
        own.parameters = new
    elif way == "each":
        for key, value in new.items():
            own.parameters[key] = value
    elif way == "update":
        own.parameters.update(new)
    elif way == "pairs":
        own.parameters.update(list(new.items()))
    elif way == "keywords":
        own.parameters.update(**new)
    elif way == "or":
        own.parameters |= new
    elif way == "or pairs":
        own.parameters |= list(new.items())
    elif way == "lists":
        own.parameters = {key: value.tolist() for key, value in new.items()}
    elif way == "in place":
        for key, value in new.items():
            own.parameters[key][...] = value
    elif way == "arithmetic":
        for key, value in new.items():
            own.parameters[key] *= 0
            own.parameters[key] += value
    else:
        own.parameters = trainer("classes", seed=1, parameters=new).parameters


WAYS = ("all", "each", "update", "pairs", "keywords", "or", "or pairs", "lists", "in place", "arithmetic")


@pytest.mark.parametrize("way", [*WAYS, "of another trainer"])
def test_what_is_assigned_is_trained_on(way: str) -> None:
    new, own = other("classes"), trainer("classes")
    expected = trainer("classes", parameters={key: value.copy() for key, value in new.items()})
    assign(own, new, way)
    for key, value in own.parameters.items():
        assert value.tobytes() == new[key].tobytes()
        assert value is not new[key]
    kept = {key: value.copy() for key, value in new.items()}
    held = own.parameters["w1"]
    assert own.fit(*data("classes"), 2) == expected.fit(*data("classes"), 2)
    assert_same(own, expected)
    assert held is own.parameters["w1"]
    assert held.tobytes() != kept["w1"].tobytes()
    for key, value in new.items():
        assert value.tobytes() == kept[key].tobytes()


@pytest.mark.parametrize("way", WAYS)
def test_what_is_assigned_in_a_callback_is_trained_on(way: str) -> None:
    own, new = trainer("classes"), other("classes")
    seen: list[float] = []

    def change(epoch: int, history: Any) -> None:
        assign(own, new, way)
        seen.append(module("classes").loss(own.parameters, *data("classes")))

    own.fit(*data("classes"), 2, callback=change)
    assert seen == [module("classes").loss(new, *data("classes"))] * 2
    assert own.parameters["w1"].tobytes() == new["w1"].tobytes()


def test_one_of_them_may_be_assigned_in_any_layout() -> None:
    own = trainer("classes")
    new = other("classes")["w1"]
    for value in (np.asfortranarray(new), new[::-1][::-1], new.astype("f8"), new.astype(">f4"), new.tolist()):
        own.parameters["w1"] = value
        np.testing.assert_array_equal(own.parameters["w1"], new)
    own.parameters["w1"] = np.ones(new.shape, bool)
    np.testing.assert_array_equal(own.parameters["w1"], np.ones(new.shape))
    own.parameters["w1"] = own.parameters["w1"][::-1] * 2
    assert own.parameters["w1"].dtype == np.float32
    assert own.parameters.setdefault("w1", 0) is own.parameters["w1"]


WRONG: dict[str, tuple[Any, str]] = {
    "shape": (np.zeros((4, 3)), r"w1 must have shape \(3, 4\), got \(4, 3\)"),
    "number": (1.0, r"w1 must have shape \(3, 4\), got \(\)"),
    "nan": (np.full((3, 4), np.nan), "w1 holds a number that is not finite"),
    "infinity": (np.full((3, 4), np.inf), "w1 holds a number that is not finite"),
    "too large": (np.full((3, 4), 1e300), "w1 holds a number that is not finite in float32"),
    "complex": (np.zeros((3, 4), complex), "w1 must hold numbers, got complex128"),
    "words": (np.full((3, 4), "1"), "w1 must hold numbers, got <U1"),
    "none": (None, "w1 must hold numbers, got object"),
    "ragged": ([[1, 2], [3]], "w1 must be an array"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("way", ["all", "each", "update", "or"])
def test_wrong_parameters_are_refused_and_nothing_is_changed(kind: str, way: str) -> None:
    """What stands before the wrong one in the same assignment is not changed, either."""
    own, (value, message) = trainer("classes"), WRONG[kind]
    before = own._values.tobytes()
    new: dict[str, Any] = {**other("classes"), "w1": value}
    if way != "each":
        new = {"b2": new.pop("b2"), **new}
    with pytest.raises(ValueError, match=message):
        assign(own, new, way)
    assert own._values.tobytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w9": np.zeros(3)}, "there is no parameter 'w9'; there are w1, b1, w2, b2"),
        ({"w1": np.zeros((3, 4)), 3: 1}, "there is no parameter 3"),
    ],
)
def test_other_names_are_refused(change: Any, message: str) -> None:
    own = trainer("classes")
    before = own._values.tobytes()
    with pytest.raises(ValueError, match=message):
        own.parameters.update(change)
    with pytest.raises(ValueError, match=message):
        own.parameters |= change
    for new in (change, {**other("classes"), "w9": 1}, {"w1": np.ones((3, 4))}, None, 3, [1]):
        with pytest.raises(ValueError, match="the parameters must be w1, b1, w2, b2"):
            own.parameters = new
    assert own._values.tobytes() == before


def test_nothing_is_removed() -> None:
    own = trainer("classes")
    for remove in (
        lambda p: p.pop("w1"), lambda p: p.pop("w1", None), lambda p: p.popitem(), lambda p: p.clear(),
        lambda p: p.__delitem__("w1"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="can be changed, not removed"):
            remove(own.parameters)
    with pytest.raises(TypeError, match="can be changed, not removed"):
        del own.parameters["w1"]
    with pytest.raises(AttributeError):
        del own.parameters
    assert list(own.parameters) == ["w1", "b1", "w2", "b2"]
    own.fit(*data("classes"), 1)
