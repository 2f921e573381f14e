"""The trainer of a module against the optimiser's equations on the derivatives of its derivation."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from symbackprop.commands.comparison.cases import SINGLE, Case, Tally, Wrong, copied, same
from symbackprop.commands.comparison.drawing import OutOfDomain
from symbackprop.commands.comparison.functions import forms, large_parameters, require_finite
from symbackprop.commands.comparison.reference import Arrays, Numbers
from symbackprop.commands.inputs import Array
from symbackprop.commands.update_values import Number, default_values, updated_values
from symbackprop.equations.model import SAMPLES_DRAWN, DataArray
from symbackprop.equations.system import new_value
from symbackprop.library.optimizers import OPTIMIZERS

_TRIED = {
    "learning_rate": 0.01,
    "momentum": 0.6,
    "rho": 0.7,
    "beta1": 0.6,
    "beta2": 0.8,
    "epsilon": 0.01,
    "weight_decay": 0.3,
}
"""Hyper-parameters that all leave a trace in a few steps."""
_WEIGHTS = np.array([0.5, 2.0, 0.0, 1.5, 3.0])
_SCHEDULES: tuple[tuple[tuple[Any, ...], dict[int, float]], ...] = (
    (("step", 2, 0.5), {0: 1.0, 1: 1.0, 2: 0.5, 5: 0.25}),
    (("exponential", 0.5), {0: 1.0, 1: 0.5, 3: 0.125}),
    (("cosine", 4), {0: 1.0, 1: (2 + 2**0.5) / 4, 2: 0.5, 4: 0.0, 9: 0.0}),
    (("warmup", 4), {0: 0.25, 2: 0.75, 3: 1.0, 8: 1.0}),
    (("warmup", 2, ("exponential", 0.5)), {0: 0.5, 1: 1.0, 2: 1.0, 4: 0.25}),
)
"""A schedule -> what multiplies the learning rate after so many steps."""
_IMPOSSIBLE: dict[str, Any] = {
    "learning_rate": 0.0,
    "momentum": 1.0,
    "rho": 1.0,
    "beta1": 1.0,
    "beta2": 1.0,
    "epsilon": 1e-310,
    "weight_decay": -0.1,
    "clip_norm": -1.0,
    "schedule": ("steps", 3),
    "batch_size": 0,
}
"""Values of keywords that no trainer takes."""
_BATCH, _EPOCHS = 3, 3  # of the short run of fit
_FAR = 1e22  # a norm of derivatives whose square is no float32
_SINGLE, _MANY = 6e-8, 10  # a rounding in float32, and how many there are on the way to a number


class Simulated:
    """What a trainer does by the equations: those of the derivation, then those of the optimiser.

    Args:
        case: gives the derivation, and the parameters to begin with.
        settings: the hyper-parameters.
        steps: how many steps there have been, with a state of zeros all the same.
        clip_norm: the largest norm of all derivatives together.
    """

    def __init__(
        self, case: Case, settings: Mapping[str, float], steps: int = 0, clip_norm: float = np.inf
    ) -> None:
        self.case, self.settings, self.steps, self.clip_norm = case, dict(settings), steps, clip_norm
        self.parameters: Arrays = dict(case.point.parameters)
        start: dict[str, Number] = dict.fromkeys(OPTIMIZERS[case.derivation.optimizer].state, 0.0)
        self.state = dict.fromkeys(case.model.system.parameters, start)

    def step(self, data: Arrays, weights: Array | None = None, factor: float = 1.0) -> float:
        """Move the parameters; return E before.

        Raises:
            OutOfDomain: the network has no value there.
        """
        error, gradients, left = self._derivatives(data, weights)
        norm = np.sqrt(sum(float(np.square(g).sum()) for g in gradients.values()))
        shorter = min(1.0, self.clip_norm / norm) if norm else 1.0
        self.steps += 1
        rate = factor * self.settings["learning_rate"]
        for name, state in self.state.items():
            given = {"w": self.parameters[name], "g": shorter * gradients[name], "step": self.steps}
            given |= {**self.settings, "learning_rate": rate, **state}
            after = updated_values(self.case.derivation.optimizer, given)
            self.parameters[name] = np.asarray(after[new_value("w").name])
            self.state[name] = {each: after[new_value(each).name] for each in state}
        self.parameters = {**self.parameters, **left}
        return error

    def _derivatives(self, data: Arrays, weights: Array | None) -> tuple[float, Arrays, Arrays]:
        numbers = self._numbers(data)
        if not numbers.is_finite:
            raise OutOfDomain(f"{numbers.where_not_finite()} after a step")
        found = (numbers.error, numbers.gradients) if weights is None else numbers.weighted(weights)
        return *found, numbers.states

    def _numbers(self, data: Arrays) -> Numbers:
        """Return the numbers of the derivation, those at the first parameters only once."""
        case, rows = self.case, self.case.reference.rows(data)
        moved = any(value is not case.point.parameters[name] for name, value in self.parameters.items())
        if moved or not same(data, case.data(rows)):
            return case.reference.numbers(self.parameters, data)
        return case.numbers(rows)


def _settings(case: Case) -> dict[str, float]:
    """Return the hyper-parameters that are tried: where derivatives are large, steps are short."""
    settings = {name: _TRIED[name] for name in default_values(case.derivation.optimizer)}
    return {**settings, "learning_rate": _TRIED["learning_rate"] / max(1.0, _norm(case))}


def _norm(case: Case) -> float:
    """Return the norm of all derivatives together, at the point."""
    return float(np.sqrt(sum(float(np.square(g).sum()) for g in case.numbers().gradients.values())))


def _trainer(case: Case, batch_size: int = SAMPLES_DRAWN, **keywords: Any) -> Any:
    settings: dict[str, Any] = {**_settings(case), "batch_size": batch_size, "seed": 0, **keywords}
    return case.get("Trainer")(copied(case.point.parameters), **settings)


def _compare_moved(case: Case, tally: Tally, trainer: Any, simulated: Simulated, least: float = 0.0) -> None:
    """Compare parameters, relative to how far they moved, or to ``least``."""
    floor = max(1e-3 * simulated.settings["learning_rate"], least)
    for name, expected in simulated.parameters.items():
        found = np.asarray(trainer.parameters[name])
        if found.shape != expected.shape:
            raise Wrong(f"{name} has the shape {found.shape}, not {expected.shape}")
        moved = max(floor, float(np.abs(expected - case.point.parameters[name]).max(initial=0.0)))
        tally.add(np.abs(found - expected) / moved)


def _take(
    case: Case, tally: Tally, trainer: Any, simulated: Simulated, rows: int, factor: float = 1.0, **more: Any
) -> None:
    """Take one step on the first rows, by the trainer and by the equations; compare E and parameters."""
    data = case.with_noise_of(trainer, case.data(rows))
    expected = simulated.step(data, more.get("weights"), factor)
    found = trainer.step(*copied(case.arguments(data)), **more)
    if case.model.noise:
        again = case.with_noise_of(trainer, data)
        tally.require(not same(case.noise_in(again), case.noise_in(data)), "draws the same noise again")
    if more.get("with_loss", True):
        tally.compare(found, expected, 1e-3)
    else:
        tally.require(found is None, f"returns {found} without with_loss")
    _compare_moved(case, tally, trainer, simulated)


# ------------------------------------------------------------------ Trainer, step


def keywords(case: Case, tally: Tally) -> None:
    """Compare the keywords of ``Trainer`` with the optimiser's hyper-parameters and their defaults."""
    trainer = case.get("Trainer")
    defaults = {name: p.default for name, p in inspect.signature(trainer).parameters.items()}
    expected = default_values(case.derivation.optimizer)
    named = {"batch_size": 32, "seed": None, **expected}
    if not case.is_bare:
        named |= {"schedule": None, "clip_norm": None}
    for name, value in {"parameters": None, **named}.items():
        tally.require(name in defaults, f"has no keyword {name}")
        tally.require(defaults[name] == value, f"{name} is {defaults[name]} by default, not {value}")
    made = trainer(seed=3)
    for name in expected:
        tally.require(getattr(made, name) == expected[name], f"{name} is {getattr(made, name)} at first")
    tally.require(made.steps == 0, f"begins with step {made.steps}")
    tally.require(same(dict(made.parameters), case.get("initialize")(3)), "does not begin as initialize does")
    for name, value in _settings(case).items():
        tally.require(getattr(_trainer(case), name) == value, f"{name} is not what is given")
    if not case.is_bare:
        for name, value in _IMPOSSIBLE.items():
            if name in named:
                _require_refused(tally, partial(_trainer, case, **{name: value}), f"takes {name}={value!r}")


def steps(case: Case, tally: Tally) -> None:
    """Compare steps on full batches, from the first one and past the hundredth."""
    given = copied(case.point.parameters)
    trainer = case.get("Trainer")(given, batch_size=SAMPLES_DRAWN, seed=0, **_settings(case))
    simulated = Simulated(case, _settings(case))
    first, then = (1, 0) if case.is_long else (3, 2)
    for _ in range(first):
        _take(case, tally, trainer, simulated, SAMPLES_DRAWN)
    tally.require(same(given, case.point.parameters), "changes the arrays that Trainer was given")
    tally.require(trainer.steps == first, f"counts {trainer.steps} steps after {first}")
    trainer.steps, simulated.steps = 99, 99
    for _ in range(then):
        _take(case, tally, trainer, simulated, SAMPLES_DRAWN)


def short(case: Case, tally: Tally) -> None:
    """Compare steps on batches of changing size, below the largest; others are refused."""
    for size in (SAMPLES_DRAWN + 2, SAMPLES_DRAWN):
        trainer, simulated = _trainer(case, size), Simulated(case, _settings(case))
        for rows in case.counts[::-1][: 1 if case.is_long else None]:
            _take(case, tally, trainer, simulated, rows)
    for x, t in forms(case, case.data()):
        trainer, simulated = _trainer(case), Simulated(case, _settings(case))
        simulated.step(case.with_noise_of(trainer, case.data()))
        trainer.step(x, t)
        _compare_moved(case, tally, trainer, simulated)
    if len(case.counts) > 1:
        data = case.arguments(case.data())
        _require_refused(tally, partial(_trainer(case, 2).step, *data), "takes more rows than batch_size")


def far(case: Case, tally: Tally) -> None:
    """See that a step with large parameters gives finite numbers, where the stable forms do."""
    for large in large_parameters(case):
        settings = {**_settings(case), "learning_rate": 1e-9}
        trainer = case.get("Trainer")(copied(large), batch_size=SAMPLES_DRAWN, seed=0, **settings)
        error = trainer.step(*case.arguments(case.data()))
        require_finite(tally, (error, *trainer.parameters.values()))


def weighted(case: Case, tally: Tally) -> None:
    """Compare steps with weights of the samples."""
    trainer, simulated = _trainer(case), Simulated(case, _settings(case))
    for weights in (_WEIGHTS, _WEIGHTS[::-1])[: 1 if case.is_long else None]:
        _take(case, tally, trainer, simulated, SAMPLES_DRAWN, weights=weights)


def clipped(case: Case, tally: Tally) -> None:
    """Compare steps whose derivatives are longer, and shorter, than ``clip_norm``."""
    norm = _norm(case) or 1.0
    for limit in (0.99 * norm, 1.01 * norm):
        trainer = _trainer(case, clip_norm=limit)
        simulated = Simulated(case, _settings(case), clip_norm=limit)
        _take(case, tally, trainer, simulated, SAMPLES_DRAWN)


def clipped_far(case: Case, tally: Tally) -> None:
    """Compare a step whose derivatives have squares that are too large for float32, shortened to 1."""
    small = {name: np.asarray(value, np.float32) for name, value in case.point.parameters.items()}
    trainer = case.get("Trainer")(small, seed=0, batch_size=SAMPLES_DRAWN, **_settings(case), clip_norm=1.0)
    simulated = Simulated(case, _settings(case), clip_norm=1.0)
    weights = _FAR / max(1.0, _norm(case)) * _WEIGHTS
    simulated.step(case.data(), weights)
    trainer.step(*copied(case.arguments(case.data())), weights=weights)
    _compare_moved(case, tally, trainer, simulated, max(0.01, _lost(case, simulated, weights)))


def _lost(case: Case, simulated: Simulated, weights: Array) -> float:
    """Return beside what a step's way is 0 of which roundings are left, made large by the weights.

    That is how far the way changes with digits of the parameters that float32 has not.
    """
    generator = np.random.default_rng(case.seed)
    near = Simulated(case, _settings(case), clip_norm=simulated.clip_norm)
    start = {n: v * (1 + _SINGLE * generator.normal(size=v.shape)) for n, v in near.parameters.items()}
    near.parameters = start
    near.step(case.data(), weights)
    moved = (
        (near.parameters[name] - start[name]) - (simulated.parameters[name] - value)
        for name, value in case.point.parameters.items()
    )
    most = max((float(np.abs(each).max(initial=0.0)) for each in moved), default=0.0)
    return _MANY * most / SINGLE


def scheduled(case: Case, tally: Tally) -> None:
    """Compare one step of each schedule, after some numbers of steps."""
    for schedule, factors in _SCHEDULES:
        for before, factor in list(factors.items())[: 2 if case.is_long else None]:
            trainer = _trainer(case, schedule=schedule)
            trainer.steps = before
            _take(case, tally, trainer, Simulated(case, _settings(case), before), SAMPLES_DRAWN, factor)


def without_loss(case: Case, tally: Tally) -> None:
    """Compare a step that leaves out E."""
    trainer, simulated = _trainer(case), Simulated(case, _settings(case))
    _take(case, tally, trainer, simulated, SAMPLES_DRAWN, with_loss=False)


def single(case: Case, tally: Tally) -> None:
    """Compare a step on float32 numbers, and their dtype."""
    small = {name: np.asarray(value, np.float32) for name, value in case.point.parameters.items()}
    trainer = case.get("Trainer")(small, batch_size=SAMPLES_DRAWN, seed=0, **_settings(case))
    simulated = Simulated(case, _settings(case))
    simulated.step(case.with_noise_of(trainer, case.data()))
    trainer.step(*case.arguments(case.data()))
    for name, value in trainer.parameters.items():
        tally.require(value.dtype == np.float32, f"{name} is {value.dtype} after a step in float32")
    _compare_moved(case, tally, trainer, simulated, 0.01)


def subnormal(case: Case, tally: Tally) -> None:
    """See that the hundredth step sets state to 0 that has decayed below the normal numbers, and no other."""
    tiny = np.finfo(np.float64).tiny
    said: Any = case.expected
    key = f"state.{said.STATE[said.DECAYING]}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.npz"
        _trainer(case, clip_norm=tiny / 100).save(path)
        arrays = dict(np.load(path))
        decayed = np.arange(arrays[key].size) % 2 == 0
        arrays[key] = np.where(decayed, tiny / 2, 10 * tiny)
        np.savez(path, **arrays)
        trainer = case.get("Trainer").load(path)  # type: ignore[attr-defined]
        trainer.steps = 99
        trainer.step(*case.arguments(case.data()))
        trainer.save(path)
        after = np.load(path)[key]
    tally.require(not after[decayed].any(), "leaves state that is no normal number")
    tally.require(bool(after[~decayed].all()), "sets state to 0 that is a normal number")


# ------------------------------------------------------------------ fit, files


def fit(case: Case, tally: Tally) -> None:
    """Compare a short run: the rows of each epoch, the history, the validation, the parameters."""
    whole = case.is_long or case.has_data_about_rows or len(case.counts) < 3
    size, epochs = SAMPLES_DRAWN if whole else _BATCH, 2 if case.is_long else _EPOCHS
    data = case.data()
    x, t = case.arguments(data)
    trainer = _trainer(case, size)
    history, given, noise = _fitted(case, trainer, *copied((x, t)), epochs, validation=copied((x, t)))
    simulated = Simulated(case, _settings(case))
    each = -(-SAMPLES_DRAWN // size)
    tally.require(len(given) == each * epochs, f"takes {len(given)} steps, not {each * epochs}")
    for epoch in range(epochs):
        own = [_named(case, *batch[:2]) for batch in given[epoch * each : (epoch + 1) * each]]
        tally.require(_holds_each_row(case, own, data), "does not take every row once in an epoch")
        sizes = [case.reference.rows(batch) for batch in own]
        tally.require(
            max(sizes) == min(size, SAMPLES_DRAWN), f"takes batches of {max(sizes)}, not {size} rows"
        )
        errors = [simulated.step({**b, **noise[n]}) for n, b in enumerate(own, start=epoch * each)]
        tally.compare(history["loss"][epoch], np.mean(errors), 1e-3)
        now = case.reference.numbers(simulated.parameters, data).in_use.loss
        tally.compare(history["validation_loss"][epoch], now, 1e-3)
    _compare_moved(case, tally, trainer, simulated)
    tally.require(set(history) == {"loss", "validation_loss"}, f"its history holds {', '.join(history)}")
    tally.require(all(len(v) == epochs for v in history.values()), "its history has another length")
    _compare_order(case, tally, given, size, epochs)


def _compare_order(case: Case, tally: Tally, found: list[Any], size: int, epochs: int) -> None:
    """See that rows are shuffled, the same way with the same seed and another way with another one."""
    x, t = case.arguments(case.data())
    again, others = (
        _fitted(case, _trainer(case, size, seed=seed), *copied((x, t)), epochs)[1] for seed in (0, 1)
    )
    tally.require(same(tuple(again), tuple(found)), "the same seed gives another order")
    if not case.has_data_about_rows:
        tally.require(not same(tuple(others), tuple(found)), "rows come in the same order whatever the seed")
        half = len(found) // epochs
        tally.require(not same(tuple(found[:half]), tuple(found[half : 2 * half])), "epochs are in one order")


def _fitted(
    case: Case, trainer: Any, *given: Any, **more: Any
) -> tuple[dict[str, list[float]], list[Any], list[Arrays]]:
    """Return the history of a run, what each of its steps was given, and the noise that it drew."""
    batches: list[Any] = []
    noise: list[Arrays] = []
    step = trainer.step

    def recording(*given: Any, **more: Any) -> Any:
        batches.append(copied(given))
        rows = case.reference.rows(_named(case, *given[:2]))
        noise.append(case.drawn_noise(trainer.generator, rows) if case.model.noise else {})
        return step(*given, **more)

    trainer.step = recording
    history = trainer.fit(*given, **more)
    del trainer.step  # which holds the trainer, and so its arrays
    return history, batches, noise


def _named(case: Case, x: Any, t: Any) -> Arrays:
    """Return the arrays of x and t by the names of the equations."""

    def of(kind: tuple[DataArray, ...], value: Any) -> Arrays:
        return value if isinstance(value, dict) else {given.name: value for given in kind}

    return {**of(case.model.inputs, x), **of(case.model.targets, t)}


def _holds_each_row(case: Case, batches: list[Arrays], data: Arrays) -> bool:
    """Whether batches hold each row of the data once, inputs and targets together."""
    given = [g.name for g in (*case.model.inputs, *case.model.targets) if g.has_samples]

    def rows(each: Arrays) -> Array:
        return np.hstack([np.reshape(each[name], (len(each[name]), -1)) for name in given])

    found, expected = np.vstack([rows(batch) for batch in batches]), rows(data)
    return found.shape == expected.shape and sorted(found.tolist()) == sorted(expected.tolist())


def endings(case: Case, tally: Tally) -> None:
    """Compare what ends a run: a callback, patience, numbers that are not finite any more."""
    x, t = case.arguments(case.data())
    trainer = _trainer(case)
    ended = trainer.fit(x, t, 5, callback=lambda epoch, history: epoch == 1 and len(history["loss"]) == 2)
    length = len(ended["loss"])
    tally.require(length == 2, f"runs {length} epochs where callback ends the second")
    tally.require(trainer.epochs == 2, f"counts {trainer.epochs} epochs after 2")
    compared = case.model.in_use if case.model.noise else case.model.system
    if compared.needed_for(compared.loss).isdisjoint(case.model.states):
        watched = {"validation": (x, t)} if case.model.noise else {}
        still = _trainer(case, learning_rate=1e-300)  # E stays what it is, or that in use
        length = len(still.fit([case.arguments(case.data())], epochs=9, patience=2, **watched)["loss"])
        tally.require(length == 3, f"runs {length} epochs at one loss with a patience of 2")
    losses = _trainer(case).fit([case.arguments(case.data())], epochs=4, patience=1)["loss"]
    rises = [epoch for epoch in range(1, len(losses)) if losses[epoch] >= min(losses[:epoch])]
    tally.require(len(losses) == (rises[0] + 1 if rises else 4), "patience ends a run whose loss falls")
    name, value = next(iter(trainer.parameters.items()))
    value[...] = np.nan
    try:
        trainer.fit(x, t, 1)
    except FloatingPointError:
        tally.require(trainer.steps == 2, f"counts {trainer.steps} steps where the third fails")
    else:
        raise Wrong(f"fit goes on with {name} that is not finite")


def batches(case: Case, tally: Tally) -> None:
    """Compare epochs over batches that are given, and over rows with weights."""
    counts = (SAMPLES_DRAWN, case.counts[-1])
    trainer, simulated = _trainer(case), Simulated(case, _settings(case))
    given = [case.arguments(case.data(rows)) for rows in counts]
    history, _, noise = _fitted(case, trainer, given, epochs=1, validation=given)
    each = [{**case.data(rows), **own} for rows, own in zip(counts, noise, strict=True)]
    tally.compare(history["loss"], [np.mean([simulated.step(data) for data in each])], 1e-3)
    _compare_moved(case, tally, trainer, simulated)
    now = [case.reference.numbers(simulated.parameters, case.data(rows)).in_use.loss for rows in counts]
    tally.compare(history["validation_loss"], [np.average(now, weights=counts)], 1e-3)
    if case.expected.WEIGHTED:
        _compare_weighted(case, tally)


def _compare_weighted(case: Case, tally: Tally) -> None:
    """Compare epochs over rows with weights, and over batches with weights."""
    trainer, simulated = _trainer(case), Simulated(case, _settings(case))
    simulated.step(case.with_noise_of(trainer, case.data()), _WEIGHTS)
    trainer.fit([(*case.arguments(case.data()), _WEIGHTS)], epochs=1)
    _compare_moved(case, tally, trainer, simulated)
    few = partial(_trainer(case).fit, *case.arguments(case.data()), 1)
    for problem, weights in (("weights below 0", -_WEIGHTS), ("too few weights", _WEIGHTS[:-1])):
        _require_refused(tally, partial(few, weights=weights), f"fit takes {problem}")
    batches_with_weights = [(*case.arguments(case.data()), _WEIGHTS)]
    _require_refused(tally, partial(few, validation=batches_with_weights), "fit validates with weights")
    trainer = _trainer(case)
    _, given, noise = _fitted(case, trainer, *case.arguments(case.data()), 1, weights=_WEIGHTS)
    simulated = Simulated(case, _settings(case))
    simulated.step({**_named(case, *given[0][:2]), **noise[0]}, np.reshape(given[0][2], -1))
    tally.require(_are_with_their_weights(case, given[0]), "gives rows the weights of others")
    _compare_moved(case, tally, trainer, simulated)


def _are_with_their_weights(case: Case, batch: Any) -> bool:
    """Whether each row of a batch has the weight that its row in the data has."""
    data = _named(case, *batch[:2])
    ours, weights = case.data(), np.asarray(batch[2]).reshape(-1)
    name = next(g.name for g in case.model.inputs if g.has_samples)
    for row, weight in zip(data[name], weights, strict=True):
        alike = [np.array_equal(row, own) for own in ours[name]]
        if weight not in _WEIGHTS[alike]:
            return False
    return True


def refused(case: Case, tally: Tally) -> None:
    """See that ``fit`` refuses data that the network can't be trained on."""
    for problem, data in _broken(case):
        x, t = case.arguments(data)
        _require_refused(tally, partial(_trainer(case).fit, x, t, 1), f"fit takes {problem}")


def _broken(case: Case) -> Iterator[tuple[str, Arrays]]:
    """Yield what is wrong with some data, and the data."""
    data = case.data()
    for given in (*case.model.inputs, *case.model.targets):
        value = data[given.name]
        yield f"{given.name} with another axis", {**data, given.name: value[..., None, None]}
        if given.integer:
            yield f"{given.name} that are no whole numbers", {**data, given.name: value + 0.5}
            continue
        yield f"nan in {given.name}", {**data, given.name: np.full_like(value, np.nan)}
        if given.low is not None:
            yield f"{given.name} below {given.low}", {**data, given.name: value - 1e3}
        if given.high is not None:
            yield f"{given.name} above {given.high}", {**data, given.name: value + 1e3}
        if given.total is not None and case.derivation.used_facts:
            less = 0.7 * value if given.total else value + 0.1
            yield f"{given.name} that do not add up to {given.total}", {**data, given.name: less}


def _require_refused(tally: Tally, call: Callable[[], Any], otherwise: str) -> None:
    try:
        call()
    except ValueError:
        tally.require(True, "")
    else:
        raise Wrong(otherwise)


def files(case: Case, tally: Tally) -> None:
    """See that what is saved is loaded bit for bit, and that a trainer goes on from it as it would have."""
    x, t = case.arguments(case.data())
    size = SAMPLES_DRAWN if case.has_data_about_rows or len(case.counts) < 3 else 2
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "saved.npz"
        case.get("save")(path, copied(case.point.parameters))
        tally.require(same(case.get("load")(path), case.point.parameters), "load gives other parameters")
        trainer = _trainer(case, size, schedule=("exponential", 0.9), clip_norm=2.5)
        trainer.fit(x, t, 2, checkpoint=path, every=2)
        loaded = case.get("Trainer").load(path)  # type: ignore[attr-defined]
        trainer.save(path)
        saved = case.get("Trainer").load(path)  # type: ignore[attr-defined]
    history = trainer.fit(x, t, 2)
    for what, other in (("checkpoint", loaded), ("file", saved)):
        tally.require(other.fit(x, t, 2) == history, f"a trainer from its {what} has another history")
        equal = same(dict(other.parameters), dict(trainer.parameters))
        tally.require(equal, f"a trainer from its {what} has other parameters")
        tally.require(
            (other.steps, other.epochs) == (trainer.steps, trainer.epochs), f"its {what} lacks the steps"
        )
