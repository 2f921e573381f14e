"""The class `Trainer`, and files of weights."""

import contextlib
import copy
import inspect
import json
import math
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import numpy as np

from symbackprop.code.runtime.archives import _read, _replace, _write
from symbackprop.code.runtime.batches import (
    _Data,
    _data_of,
    _loss_over,
    _validation_data,
)
from symbackprop.code.runtime.checks import (
    _ABOUT_ROWS,
    _ONE_INPUT,
    _ONE_TARGET,
    _beside,
    _checked,
    _checked_parameter,
    _parameters_in,
    _samples_in,
    _scaling_in,
    _words_in,
)
from symbackprop.code.runtime.memory import (
    _all_finite,
    _copied,
    _first_rows,
    _parts_of,
    _rows_of,
    _views,
)
from symbackprop.code.runtime.network import (
    BUFFERS,
    DECAYING,
    HYPERPARAMETERS,
    PARAMETER_SHAPES,
    RATE_IN_GRADIENT,
    ROWS_CAN_BE_CUT,
    SCRATCH,
    STATE,
    STATE_SHAPES,
    WEIGHTED,
    _allocate,
    _backpropagate,
    _fixed,
    _update,
    initialize,
)
from symbackprop.code.runtime.settings import (
    _KEYWORDS,
    _checked_schedule,
    _factor,
    _number,
    _require_normal,
    _settings,
    _signature,
    _whole,
)


def save(path: Any, parameters: dict[str, np.ndarray]) -> None:
    """Write parameters as .npz: killed at any moment, the old file or the new one is there."""
    _write(path, _checked(parameters))


def load(path: Any) -> dict[str, np.ndarray]:
    """Return the parameters that `save` or `Trainer.save` wrote."""
    return _parameters_in(_read(path), path)


class _Parameters(dict[str, np.ndarray]):
    """The parameters of a trainer by name: what is assigned is copied into its arrays."""

    def __setitem__(self, name: str, value: Any) -> None:
        self.update({name: value})

    def update(self, *others: Any, **values: Any) -> None:
        """Copy values in: all of them, or none where one is wrong."""
        given: dict[str, Any] = dict(*others, **values)
        for name in given:
            if name not in self:
                known = ", ".join(self)
                raise ValueError(f"there is no parameter {name!r}; there are {known}")
        for name, value in given.items():
            given[name] = _checked_parameter(name, value, self[name].dtype)
        for name, value in given.items():
            self[name][...] = value

    def __ior__(self, others: Any) -> Self:  # type: ignore[override, misc]
        self.update(others)
        return self

    def _refuse(self, *arguments: Any, **keywords: Any) -> Any:
        raise TypeError("the parameters of a trainer can be changed, not removed")

    __delitem__ = pop = popitem = clear = _refuse

    def setdefault(self, name: str, default: Any = None) -> np.ndarray:
        """Return a parameter; there is no place for another one."""
        return self[name]

    def copy(self) -> dict[str, np.ndarray]:
        """Return copies of the arrays, which training leaves as they are."""
        return {name: value.copy() for name, value in self.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self.copy(),)


class Trainer:
    """Trains by mini-batches on buffers that are allocated once.

    A step carries out the equations of `gradients` under the same numbers; what all
    derivatives are multiplied by goes into the first adjoints, as everything that
    follows is linear in them.

    Args:
        parameters: a dict of arrays, copied; None for `initialize(seed)`.
        batch_size: the largest number of rows of a step. Where data are about rows, all
            of an array are one step; without a batch_size it may have any length.
        seed: of the initial parameters and of the shuffling.
        schedule: how the learning rate changes with the number of steps:
            ("step", every, factor), ("exponential", factor), ("cosine", steps) or
            ("warmup", steps), which another schedule may follow as third entry.
        clip_norm: the largest norm of all derivatives together; None for no limit.

    The other keywords are the hyper-parameters of the optimiser.
    """

    learning_rate: float
    momentum: float
    rho: float
    beta1: float
    beta2: float
    epsilon: float
    weight_decay: float

    def __init__(
        self, parameters: dict[str, np.ndarray] | None = None, **keywords: Any
    ) -> None:
        settings, others = _settings(keywords), set(vars(self))
        for name in HYPERPARAMETERS:
            setattr(self, name, _number(name, settings[name]))
        self.batch_size = _whole("batch_size", settings["batch_size"], 1)
        self._takes_all = bool(_ABOUT_ROWS) and "batch_size" not in keywords
        self.schedule = _checked_schedule(settings["schedule"])
        norm = settings["clip_norm"]
        self.clip_norm = None if norm is None else _number("clip_norm", norm)
        seed = settings["seed"]
        self.generator = np.random.default_rng(seed)
        start = initialize(seed) if parameters is None else _checked(parameters)
        self.dtype = np.result_type(*start.values()).newbyteorder("=")
        _require_normal("epsilon", settings.get("epsilon", 0), self.dtype)
        self._allocate_rows(start)
        del start  # makes room for the buffers
        self._begin()
        self._own = frozenset(vars(self)) - others  # what a copy makes anew

    def _begin(self) -> None:
        """Allocate the buffers of a step, and begin with no step."""
        self._buffers: tuple[Any, ...] = ()
        self._allocated_for: tuple[int, ...] = ()
        self._cut: tuple[Any, ...] = ()
        self._cut_to = 0
        if ROWS_CAN_BE_CUT:
            self._buffers = self._allocated(self.batch_size)
        self._fixed = _fixed(self, self.dtype)
        self.steps = 0
        self.epochs = 0
        self._order: np.ndarray | None = None  # of an epoch that has begun
        self._errors: list[float] = []
        self._best, self._waited = math.inf, 0
        self._before: tuple[np.ndarray, ...] | None = (
            None  # in fit: what a failing step goes back to
        )
        self._drawn: Any = None  # the generator then
        self.scaling: dict[str, np.ndarray] = {}  # mean and deviation of the inputs
        self.words: tuple[str, ...] = ()  # the labels, where these are words

    def _allocate_rows(self, start: dict[str, np.ndarray]) -> None:
        """Make rows of numbers: the optimiser's state, the parameters and their derivatives."""
        size = sum(math.prod(shape) for shape in PARAMETER_SHAPES.values())
        rows = _rows_of(len(STATE) + 2, size, self.dtype)
        self._values, self._gradient = rows[:-1], rows[-1]
        self._rows, self._flat = tuple(rows), rows[-2]
        kept = sum(math.prod(shape) for shape in STATE_SHAPES.values())
        self._states, self._new_states = np.zeros((2, kept), self.dtype)
        states = _views(self._states, STATE_SHAPES)
        self._left = _views(self._new_states, STATE_SHAPES)  # what a step leaves there
        self._parameters = _Parameters({**_views(self._flat), **states})
        for name, value in self._parameters.items():
            value[...] = start[name]
        self._derivatives = _views(self._gradient)
        self._parameter_arrays = tuple(_views(self._flat).values())
        self._derivative_arrays = tuple(self._derivatives.values())
        self._parts = _parts_of(rows, SCRATCH)

    def _allocated(self, samples: int, *sizes: int) -> tuple[Any, ...]:
        """Return new buffers; raise MemoryError where they can't be had."""
        try:
            return tuple(_allocate(samples, self.dtype, *sizes))
        except (MemoryError, OverflowError, ValueError) as error:  # too large to count
            raise MemoryError(f"a batch of {samples} rows: {error}") from error

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """The parameters by name; what is assigned, all or one of them, is copied in."""
        return self._parameters

    @parameters.setter
    def parameters(self, values: dict[str, np.ndarray]) -> None:
        self._parameters.update(_checked(values))

    @property
    def settings(self) -> dict[str, Any]:
        """The keywords that make another trainer like this one."""
        return {name: getattr(self, name) for name in _KEYWORDS if name != "seed"}

    @np.errstate(all="ignore")  # beyond the numbers of the dtype are inf and nan
    def step(
        self, x: Any, t: Any = None, weights: Any = None, *, with_loss: bool = True
    ) -> float | None:
        """Update the parameters on up to batch_size rows; return E before the update.

        weights, one number for each row, multiply the errors of the rows. Without
        with_loss, E is not computed and None is returned, which takes less time.
        """
        samples = len(x) if _ONE_INPUT else _samples_in(x)
        if not 0 < samples <= self.batch_size:
            raise ValueError(f"a step takes 1 to {self.batch_size} rows, got {samples}")
        if _ONE_TARGET and (t is None or len(t) != samples):  # would be broadcast
            found = "is missing" if t is None else f"has {len(t)}; they must be equal"
            raise ValueError(f"x has {samples} rows and t {found}")
        if weights is not None:
            if not WEIGHTED:
                raise ValueError("this network takes no weights of samples")
            weights = np.asarray(weights, self.dtype).reshape(samples, 1)
        rate = self.learning_rate
        if self.schedule is not None:
            rate *= _factor(self.schedule, self.steps)
        E = _backpropagate(self, x, t, rate, weights, with_loss)
        if self.clip_norm is not None:
            self._clip(self.clip_norm * rate if RATE_IN_GRADIENT else self.clip_norm)
        _update(self, rate)
        if STATE_SHAPES:
            np.copyto(self._states, self._new_states)
        self.steps += 1
        if DECAYING is not None and self.steps % 100 == 0:
            self._drop_subnormal(DECAYING)
        return float(E) if with_loss else None

    def _clip(self, limit: float) -> None:
        """Shorten the derivatives to a norm of limit, if they are longer."""
        norm = math.sqrt(np.vdot(self._gradient, self._gradient))
        if math.isinf(norm):  # the squares are too large for the dtype
            norm = float(np.linalg.norm(self._gradient.astype(np.float64)))
        if norm > limit:
            self._gradient *= limit / norm

    def _drop_subnormal(self, number: int) -> None:
        """Set state to 0 that has decayed below the normal numbers: they slow processors down."""
        tiny = np.finfo(self.dtype).tiny
        for part in self._parts:
            part[number][...] *= np.abs(part[number]) >= tiny

    def _make_room(self, samples: int) -> None:
        """Allocate the buffers of steps of more rows."""
        self.batch_size = samples
        if ROWS_CAN_BE_CUT:
            self._use(self._allocated(samples))

    def _buffers_for(self, samples: int, *sizes: int) -> tuple[Any, ...]:
        """Return the buffers for so many samples: first rows, or new ones for other sizes."""
        if samples == self.batch_size and ROWS_CAN_BE_CUT:
            return self._buffers
        if not ROWS_CAN_BE_CUT:
            if self._allocated_for != (samples, *sizes):
                self._buffers = self._allocated(samples, *sizes)
                self._allocated_for = samples, *sizes
            return self._buffers
        if samples != self._cut_to:
            self._cut = tuple(_first_rows(buffer, samples) for buffer in self._buffers)
            self._cut_to = samples
        return self._cut

    def fit(
        self,
        x: Any,
        t: Any = None,
        epochs: int = 1,
        validation: Any = None,
        callback: Callable[[int, dict[str, list[float]]], Any] | None = None,
        *,
        weights: Any = None,
        patience: int | None = None,
        checkpoint: Any = None,
        every: int = 1,
    ) -> dict[str, list[float]]:
        """Run further epochs over x and t in shuffled mini-batches; return their history.

        Arrays in files, as np.load(path, mmap_mode="r") opens them, are read and checked
        batch by batch, so that they may be larger than the memory. In place of x and t,
        x may give batches, (x, t) or (x, t, weights): a list of them, an object that can
        be iterated anew in each epoch, or a function that returns an iterator. Each is a
        step, in the order in which they come.

        The history holds a list for "loss", the mean E of an epoch's steps, and one for
        "validation_loss" where validation=(x, t), or batches, is given. callback(epoch,
        history) ends the run by returning True; patience ends it after so many epochs
        without a lower loss (of the validation, if there is one). checkpoint is a file
        that `save` writes after every so many epochs, and when Ctrl-C or SIGTERM ends the
        run after a step. An epoch that was cut short is the first of the next run.
        """
        epochs, every = _whole("epochs", epochs, 0), _whole("every", every, 1)
        patience = None if patience is None else _whole("patience", patience, 1)
        data = _data_of(x, t, self.dtype, self.batch_size, weights)
        history: dict[str, list[float]] = {"loss": []}
        if validation is not None:
            validation = _validation_data(validation, self.dtype)
            history["validation_loss"] = []
        if checkpoint is not None:
            _replace(checkpoint)  # sees that it can be written
        with _Run(self) as run:
            for epoch in range(epochs):
                if patience is not None and self._waited >= patience:
                    break
                if (value := self._epoch(data, run)) is None:
                    break
                history["loss"].append(value)
                if validation is not None:
                    value = _loss_over(self.parameters, validation, self.batch_size)
                    history["validation_loss"].append(value)
                self._watch(value, patience)
                if checkpoint is not None and self.epochs % every == 0:
                    self.save(checkpoint)
                if (callback and callback(epoch, history)) or run.interruption:
                    break
            if run.interruption and checkpoint is not None:
                self.save(checkpoint)
        if patience is None or self._waited >= patience:  # the next run waits anew
            self._best, self._waited = math.inf, 0
        return history

    @np.errstate(all="ignore")  # what stops being finite is reported by name
    def _epoch(self, data: _Data, run: "_Run") -> float | None:
        """Run an epoch, or what is left of one; return its mean E, None if interrupted.

        After a few steps together comes a look at whether all numbers are finite.
        """
        for batches in data.groups(self):
            self._remember()
            before = len(self._errors)
            for batch in batches:
                self._errors.append(self.step(*data.batch(batch)))  # type: ignore[arg-type]
                if run.interruption:
                    break
            errors = self._errors[before:]
            if not self._is_finite(errors):
                self._take_again(data, batches[: len(errors)])
            if run.interruption:
                return None
        mean = sum(self._errors) / len(self._errors)
        self._order, self._errors = None, []
        self.epochs += 1
        return mean

    def _take_again(self, data: _Data, batches: list[Any]) -> None:
        """Go back by so many steps, and take them again with a look after each."""
        self._go_back(len(batches))
        del self._errors[-len(batches) :]
        for batch in batches:
            self._remember()
            E: Any = self.step(*data.batch(batch))
            if not self._is_finite([E]):
                E = self._require_finite(data, batch)
            self._errors.append(E)

    def _remember(self) -> None:
        """Remember all that a step changes."""
        assert self._before is not None
        for own, value in zip(self._before, (self._values, self._states), strict=True):
            np.copyto(own, value)
        self._drawn = self.generator.bit_generator.state

    def _go_back(self, steps: int) -> None:
        """Go back by so many steps, to what was remembered."""
        assert self._before is not None
        for own, value in zip(self._before, (self._values, self._states), strict=True):
            np.copyto(value, own)
        self.generator.bit_generator.state = self._drawn
        self.steps -= steps

    def _is_finite(self, errors: list[float]) -> bool:
        """Return whether errors, parameters and states are all finite."""
        rows = (*self._values, self._states)
        return all(map(math.isfinite, errors)) and all(map(_all_finite, rows))

    def _watch(self, value: float, patience: int | None) -> None:
        """Count the epochs since the lowest loss, where there is patience for some."""
        if patience is None:
            return
        self._waited = 0 if value < self._best else self._waited + 1
        self._best = min(self._best, value)

    def _require_finite(self, data: _Data, batch: Any) -> float:
        """Take the last step again; undo it and raise FloatingPointError where it fails.

        What is not finite in the derivatives is not finite after the update, either.
        """
        self._go_back(1)
        shared = self._buffers
        self._use(tuple(map(_copied, shared)))  # one for each, to be looked at
        try:
            E: Any = self.step(*data.batch(batch))
            used = self._cut if self._cut_to else self._buffers
            self._require_all(zip(BUFFERS, used, strict=True))
            self._require("E", E)
            self._require_all(
                (f"dE/d{n}", value) for n, value in self._derivatives.items()
            )
            self._require_all(zip(STATE, self._values, strict=False))
            self._require_all(self.parameters.items())
        except FloatingPointError:
            self._go_back(1)
            raise
        finally:
            self._use(shared)
        return float(E)

    def _use(self, buffers: tuple[Any, ...]) -> None:
        """Use other buffers of the same shapes."""
        self._buffers, self._cut, self._cut_to = buffers, (), 0

    def _require_all(self, arrays: Iterable[tuple[str, Any]]) -> None:
        for name, value in arrays:
            if isinstance(value, dict):
                for layer, own in value.items():
                    self._require(f"{name}{layer}", own)
            else:
                self._require(name, value)

    def _require(self, name: str, value: Any) -> None:
        if not np.isfinite(value).all():
            raise FloatingPointError(
                f"step {self.steps}: {name} is not finite; the parameters are those "
                "before this step (a smaller learning rate may help)"
            )

    def save(self, path: Any) -> None:
        """Write parameters, optimiser and shuffling, from which `load` goes on bit for bit."""
        _write(path, self._saved())

    def _saved(self) -> dict[str, Any]:
        """Return everything that another trainer needs to go on as this one, as arrays."""
        progress = {
            "steps": self.steps,
            "epochs": self.epochs,
            "errors": self._errors,
            "best": self._best,
            "waited": self._waited,
            "generator": self.generator.bit_generator.state,
        }
        arrays: dict[str, Any] = {**self._parameters, **self._kept()}
        arrays.update(
            {
                f"state.{name}": row
                for name, row in zip(STATE, self._values, strict=False)
            }
        )
        if self._order is not None:
            arrays[_beside("order")] = self._order
        settings = self.settings
        if self._takes_all:
            del settings["batch_size"]  # what is loaded takes all, too
        arrays[_beside("settings")] = np.array(json.dumps(settings, default=float))
        arrays[_beside("progress")] = np.array(json.dumps(progress))
        return arrays

    def _kept(self) -> dict[str, np.ndarray]:
        """Return what is kept with the weights: the scaling of inputs, the words of labels."""
        words = {"words": np.array(self.words)} if self.words else {}
        return {_beside(n): value for n, value in {**self.scaling, **words}.items()}

    @classmethod
    def load(cls, path: Any) -> Self:
        """Return the trainer that `save` wrote."""
        arrays = _read(path)
        parameters = _parameters_in(arrays, path)
        with _state_errors(path):
            trainer = cls(parameters, **json.loads(str(arrays[_beside("settings")])))
        trainer._restore(arrays, path)
        return trainer

    def _restore(self, arrays: dict[str, np.ndarray], path: Any) -> None:
        """Take over all but parameters and settings of the arrays that `_saved` gave."""
        with _state_errors(path):
            progress = json.loads(str(arrays[_beside("progress")]))
            for name, row in zip(STATE, self._values, strict=False):
                row[:] = arrays[f"state.{name}"]
            self.generator.bit_generator.state = progress["generator"]
            for name in ("steps", "epochs", "waited"):
                progress[name] = _whole(name, progress[name], 0)
            self.steps, self.epochs = progress["steps"], progress["epochs"]
            self._waited = progress["waited"]
            self._errors = [float(error) for error in progress["errors"]]
            self._best = float(progress["best"])
            self._order = _checked_order(arrays.get(_beside("order")))
        self.scaling = _scaling_in(arrays, path)
        self.words = _words_in(arrays, path)

    def __getstate__(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in (*self.settings, *_PROGRESS)}
        others = {n: value for n, value in vars(self).items() if n not in self._own}
        return {
            "values": self._values.copy(),
            "states": self._states.copy(),
            "own": copy.deepcopy(own),
            "others": others,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state["own"])
        self.dtype = state["values"].dtype
        states = _views(state["states"], STATE_SHAPES)
        self._allocate_rows({**_views(state["values"][-1]), **states})
        self._begin()
        np.copyto(self._values, state["values"])
        vars(self).update(state["own"])
        vars(self).update(state["others"])


# What a copy takes over of a trainer beside its settings and its numbers.
_PROGRESS = (
    "_takes_all",
    "generator",
    "steps",
    "epochs",
    "_order",
    "_errors",
    "_best",
    "_waited",
    "scaling",
    "words",
)


# What `help(Trainer)` shows are the keywords of this network's optimiser.
Trainer.__init__.__signature__ = _signature(  # type: ignore[attr-defined]
    inspect.signature(Trainer.__init__)
)


class _Terminated(KeyboardInterrupt):
    """A run was asked to terminate, and has ended as Ctrl-C ends it."""


_INTERRUPTIONS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: _Terminated}


class _Run:
    """While it is active, there is room to go back to; signals wait for the end of a step."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.interruption: signal.Signals | None = None

    def __enter__(self) -> Self:
        if self.trainer._before is not None:
            raise RuntimeError("fit is running: its callback can't call it again")
        kept = self.trainer._values, self.trainer._states
        self.trainer._before = tuple(map(np.empty_like, kept))
        self._handlers: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in _INTERRUPTIONS:  # what is ignored, or not Python's, stays so
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._handlers[number] = signal.signal(number, self._interrupt)
        return self

    def _interrupt(self, number: int, frame: Any) -> None:
        self.interruption = signal.Signals(number)

    def __exit__(self, *error: object) -> None:
        self.trainer._before = None
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self.interruption and error[0] is None:
            raise _INTERRUPTIONS[self.interruption]


@contextlib.contextmanager
def _state_errors(path: Any) -> Iterator[None]:
    """Name the file in errors about the state of a trainer."""
    try:
        yield
    except KeyError as error:
        missing = f"{error.args[0]} is missing"
        raise ValueError(f"{path}: holds no state of a trainer: {missing}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: holds no state of this trainer: {error}") from error


def _checked_order(order: np.ndarray | None) -> np.ndarray | None:
    """Return the order of an unfinished epoch; raise ValueError where it is none."""
    if order is not None and not np.array_equal(np.sort(order), np.arange(order.size)):
        raise ValueError("its order does not name each row once")
    return order
