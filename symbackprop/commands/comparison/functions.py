"""The pure functions of a module, and what it says of itself, against the numbers of its derivation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from symbackprop.code.data import DataCode
from symbackprop.commands.comparison.cases import LEAST, TOLERANCE, Case, Tally, Wrong, same
from symbackprop.commands.comparison.reference import Arrays, Numbers
from symbackprop.commands.inputs import Array
from symbackprop.derivation.second_order import derive_along
from symbackprop.equations.model import SAMPLES_DRAWN, Initializer
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.steps import Derived
from symbackprop.library.distributions import DISTRIBUTIONS
from symbackprop.network.random_data import initial_values, sample_noise, variance_of
from symbackprop.numbers.evaluation import Evaluation

_STEPS = (1e-3, 1e-5, 1e-7, 1e-4, 1e-6, 1e-2)
"""Step sizes of central differences, of which the best counts: rounding dominates at small ones, curvature
and kinks at large ones, and a wrong derivative is wrong at all of them."""
_GOOD = 1e-7  # a difference that no other step size needs to better
_WORK = 2000  # evaluated equations up to which E is differentiated for every component
_DIRECTIONS = 2
_NEIGHBOURS = 3  # points besides the drawn one at which the functions are compared
_MANY = 100  # roundings on the way to a number

PRODUCT = "hessian_vector_product"
"""The function of a module for the Hessian's product with a vector, where it has that."""
SAID = (
    "INPUTS",
    "TARGETS",
    "WHOLE_NUMBERS",
    "LEAST_PLACES",
    "BOUNDS",
    "TOTALS",
    "OUTPUT_SHAPE",
    "CLASSES",
    "IS_MEAN",
    "WEIGHTED",
    "HYPERPARAMETERS",
)
"""What a module says of its data and of its optimiser."""


def parameter_shapes(case: Case, tally: Tally) -> None:
    """Compare names and shapes of the parameters, in order."""
    shapes: Any = case.get("PARAMETER_SHAPES")
    quantities = case.model.system.quantities
    expected = {name: case.model.shape(quantities[name].shape) for name in case.model.system.parameters}
    for name, shape in expected.items():
        found = dict(shapes).get(name, "missing")
        tally.require(found == shape, f"{name} is {found}, by ARCHITECTURE {shape}")
    tally.require(list(shapes) == list(expected), f"names {', '.join(shapes)}, not {', '.join(expected)}")
    named = case.model.named.quantities
    kept = {name: case.model.shape(named[name].shape) for name in case.model.states}
    if kept:
        found = dict(case.get("STATE_SHAPES"))  # type: ignore[call-overload]
        tally.require(found == kept, f"STATE_SHAPES is {found}, by ARCHITECTURE {kept}")


def constants(case: Case, tally: Tally) -> None:
    """Compare the constants of the equations, and what the module says of its data."""
    own = DataCode(case.model).names.constants.values()
    for name in (*own, *(() if case.is_bare else SAID)):
        found, expected = case.get(name), getattr(case.expected, name)
        tally.require(found == expected, f"{name} is {found}, by ARCHITECTURE {expected}")


# ------------------------------------------------------------------ initialize


def initialize(case: Case, tally: Tally) -> None:
    """Compare first values: shapes, dtypes, that a seed repeats them, and the distributions."""
    start: Any = case.get("initialize")
    drawn = start(0, np.float64)
    expected = initial_values(case.model, 0, np.float64)
    tally.require(list(drawn) == list(expected), f"names {', '.join(drawn)}")
    for name, value in expected.items():
        tally.require(np.shape(drawn[name]) == value.shape, f"{name} has the shape {np.shape(drawn[name])}")
        tally.require(drawn[name].dtype == np.float64, f"{name} is {drawn[name].dtype}, not float64")
    tally.require(same(start(0, np.float64), drawn), "the same seed gives other numbers")
    tally.require(
        same(start(0), {n: v.astype(np.float32) for n, v in drawn.items()}), "is not float32 at first"
    )
    if all(same(start(seed, np.float64), initial_values(case.model, seed, np.float64)) for seed in (0, 1)):
        tally.numbers += sum(value.size for value in expected.values())
        return
    for name, values in _many(case, start).items():
        _compare_distribution(case, name, values, tally)


_VALUES = 20_000  # of each parameter, from which its distribution is estimated
_SEEDS = 2000


def _many(case: Case, start: Any) -> dict[str, Array]:
    """Return first values of each parameter from many seeds, the seeds first."""
    smallest = min((value.size for value in start(0, np.float64).values() if value.size > 1), default=1)
    seeds = min(_SEEDS, 2 + _VALUES // smallest)
    drawn = [start(seed, np.float64) for seed in range(seeds)]
    return {name: np.stack([each[name] for each in drawn]) for name in drawn[0]}


def _compare_distribution(case: Case, name: str, values: Array, tally: Tally) -> None:
    """Compare the values of a parameter from many seeds with what its initialiser states."""
    initial = case.model.initial[name]
    kind = initial.initializer
    if kind is None or values.ndim == 1 or kind.distribution == "zeros":
        value = initial.value if kind is None or values.ndim == 1 else 0.0
        tally.require(bool((values == value).all()), f"{name} is not {value:g}")
        return
    tally.require(not np.array_equal(values[0], values[1]), f"{name} is the same for every seed")
    if kind.distribution == "orthogonal":
        flat = values[0] if values.shape[1] >= values.shape[2] else values[0].T
        tally.require(np.allclose(flat.T @ flat, np.eye(flat.shape[1])), f"{name} is not orthogonal")
        return
    variance = variance_of(kind, case.model.size(initial.fan_in), case.model.size(initial.fan_out))
    for what, found, expected, spread in _moments(kind, values, variance):
        near = abs(found - expected) <= 5 * spread * np.sqrt(variance) ** (2 if what == "variance" else 1)
        tally.require(bool(near), f"{name} has the {what} {found:.3g}, not {expected:.3g}")


def _moments(kind: Initializer, values: Array, variance: float) -> Iterator[tuple[str, float, float, float]]:
    """Yield the name of a moment, what was found and expected, and its spread over the square root."""
    root = float(np.sqrt(variance))
    uniform = kind.distribution == "uniform"
    count = float(np.sqrt(values.size))
    fourth = 9 / 5 if uniform else 3.0
    absolute = np.sqrt(3) / 2 if uniform else np.sqrt(2 / np.pi)
    yield "mean", float(values.mean()), 0.0, 1 / count
    yield "variance", float(np.square(values).mean()), variance, float(np.sqrt(fourth - 1)) / count
    yield "mean size", float(np.abs(values).mean()), float(absolute) * root, 0.6 / count


# ------------------------------------------------------------------ forward, loss, gradients


def _points(case: Case) -> Iterator[tuple[Arrays, Arrays, Numbers]]:
    """Yield parameters, data and the numbers of the derivation: the point, then neighbours.

    Neighbours have other noise.
    """
    for rows in case.counts:
        yield case.point.parameters, case.data(rows), case.numbers(rows)
    generator = np.random.default_rng(case.seed)
    for number in range(1 if case.is_long else _NEIGHBOURS):
        moved = {n: v + 0.05 * generator.normal(size=v.shape) for n, v in case.point.parameters.items()}
        data = {**case.data(), **case.drawn_noise(np.random.default_rng(number), SAMPLES_DRAWN)}
        numbers = case.reference.numbers(moved, data)
        if np.isfinite(numbers.error) and all(np.isfinite(value).all() for value in numbers.outputs.values()):
            yield moved, data, numbers


def forward(case: Case, tally: Tally) -> None:
    """Compare the outputs."""
    for parameters, data, numbers in _points(case):
        x, _ = case.arguments(data)
        found = case.outputs(parameters, x)
        for name, expected in numbers.outputs.items():
            tally.compare(found[name], expected)


def loss(case: Case, tally: Tally) -> None:
    """Compare E, where the targets have a column and where they have none."""
    for parameters, data, numbers in _points(case):
        for x, t in forms(case, data):
            found = case.call("loss", parameters, x, t, **case.noise_in(data))
            tally.compare(found, numbers.error, 1e-3)


def loss_in_use(case: Case, tally: Tally) -> None:
    """Compare E of the network in use."""
    for parameters, data, numbers in _points(case):
        for x, t in forms(case, data):
            tally.compare(case.call("loss_in_use", parameters, x, t), numbers.in_use.loss, 1e-3)


def noise(case: Case, tally: Tally) -> None:
    """Compare noise: names, shapes, distributions, and what is drawn where none is given."""
    drawn = case.drawn_noise(np.random.default_rng(0), SAMPLES_DRAWN)
    expected = sample_noise(case.model, np.random.default_rng(0), SAMPLES_DRAWN, case.model.sample_size)
    tally.require(list(drawn) == list(expected), f"names {', '.join(drawn)}")
    for name, value in expected.items():
        tally.require(np.shape(drawn[name]) == value.shape, f"{name} has the shape {np.shape(drawn[name])}")
    many = [case.drawn_noise(np.random.default_rng(seed), SAMPLES_DRAWN) for seed in range(_DRAWS)]
    for each in case.model.noise:
        values = np.array([found[each.name] for found in many], float).ravel()
        mean, deviation = DISTRIBUTIONS[each.distribution].moments(*each.numbers)
        spread = 5 * deviation / np.sqrt(values.size) + 1e-12
        tally.require(abs(values.mean() - mean) <= spread, f"{each.name} has the mean {values.mean():.3g}")
        near = abs(values.std() - deviation) <= 2 * spread
        tally.require(bool(near), f"{each.name} has the deviation {values.std():.3g}, not {deviation:.3g}")
    x, t = case.arguments(case.data())
    given = case.call("loss", case.point.parameters, x, t, noise=drawn)
    tally.compare(case.call("loss", case.point.parameters, x, t), given)


_DRAWS = 400


def forms(case: Case, data: Arrays) -> Iterator[tuple[Any, Any]]:
    """Yield x and t, and again with t of shape (samples,) where it is one number for each."""
    x, t = case.arguments(data)
    yield x, t
    rows = case.reference.rows(data)
    if case.model.per_sample and isinstance(t, np.ndarray) and t.shape == (rows, 1):
        yield x, t[:, 0]


def error(case: Case, tally: Tally) -> None:
    """Compare the E that ``gradients`` returns."""
    for rows in case.counts:
        for x, t in forms(case, case.data(rows)):
            found, _ = case.call("gradients", case.point.parameters, x, t, **case.noise_in(case.data(rows)))
            tally.compare(found, case.numbers(rows).error, 1e-3)


def gradient(case: Case, tally: Tally, name: str) -> None:
    """Compare every component of one derivative."""
    for rows in case.counts:
        _, found = case.gradients(rows)
        if name not in found:
            raise Wrong("gradients does not return it")
        right = case.numbers(rows).gradients[name]
        lost = _lost(found[name], right, partial(_nudged, case, rows, name))
        tally.compare(found[name], right, max(LEAST, lost))


def _nudged(case: Case, rows: int, name: str) -> Array:
    return case.nudged(rows).gradients[name]


def product(case: Case, tally: Tally) -> None:
    """Compare the Hessian's product with a vector."""
    derived = derive_along(case.model)
    assert derived.model is not None
    assert derived.model.along is not None
    names = derived.model.along.vectors
    generator = np.random.default_rng(case.seed)
    for parameters, data, _ in _points(case):
        x, t = case.arguments(data)
        vector = {name: generator.normal(size=np.shape(parameters[name])) for name in names}
        given = {**data, **{names[n]: v for n, v in vector.items()}}
        right = _evaluated(case, derived, parameters, given)
        found = case.call(PRODUCT, parameters, x, t, vector, **case.noise_in(data))
        largest = max(float(np.abs(right.gradient(name)).max(initial=0.0)) for name in names)
        least = max(LEAST, _MANY * np.finfo(float).eps * largest / TOLERANCE)
        for name in names:
            value = right.gradient(name)
            lost = _lost(found[name], value, partial(_nudged_product, case, derived, parameters, given, name))
            tally.compare(found[name], value, max(least, lost))


def _nudged_product(case: Case, derived: Derived, parameters: Arrays, given: Arrays, name: str) -> Array:
    return _evaluated(case, derived, case.with_other_digits(parameters), given).gradient(name)


def _evaluated(case: Case, derived: Derived, parameters: Arrays, given: Arrays) -> Evaluation:
    """Return the numbers of a derivation for parameters and data, as all others are computed."""
    reference = case.reference
    sizes = {**reference.sizes, SAMPLES.name: reference.rows(given)}
    return Evaluation(derived, {**reference.constants, **parameters, **given}, sizes).run(reference.stable)


def _lost(found: Array, right: Array, nudged: Callable[[], Array]) -> float:
    """Return beside what a derivative is 0 of which roundings are left, as of a bias before a batch norm.

    That is looked into where it differs: by how much it moves with the last digits of the parameters, with
    which it is ``nudged``.
    """
    plain = Tally()
    plain.compare(found, right)
    if plain.difference <= TOLERANCE:
        return 0.0
    return _MANY * float(np.abs(nudged() - right).max(initial=0.0)) / TOLERANCE


def differences(case: Case, tally: Tally) -> None:
    """Compare the derivatives with central differences of E: each where that is little work."""
    _, found = case.gradients()
    for direction in _directions(case):
        slope = sum(float(np.sum(found[name] * part)) for name, part in direction.items())
        tally.add(_difference(case, slope, direction))


def _directions(case: Case) -> Iterator[Arrays]:
    """Yield each component of the parameters, or a few directions at random in all of them."""
    parameters = case.trained
    count = sum(value.size for value in parameters.values())
    generator = np.random.default_rng(case.seed)
    if count * len(case.model.system.equations) > _WORK:
        for _ in range(1 if case.is_long else _DIRECTIONS):
            drawn = generator.normal(size=count)
            yield _split(parameters, drawn / np.linalg.norm(drawn))
        return
    for position in range(count):
        yield _split(parameters, np.eye(1, count, position)[0])


def _split(parameters: Arrays, numbers: Array) -> Arrays:
    """Return a number for each component of the parameters, in their shapes."""
    ends = np.cumsum([value.size for value in parameters.values()])
    parts = np.split(numbers, ends[:-1])
    return {n: part.reshape(v.shape) for (n, v), part in zip(parameters.items(), parts, strict=True)}


def _difference(case: Case, expected: float, direction: Arrays) -> float:
    """Return the relative difference from differences of E along one direction, at the best step size."""
    parameters, data = case.point.parameters, case.data()
    held = case.numbers().forward.held

    def at(step: float) -> float:
        moved = {name: parameters[name] + step * part for name, part in direction.items()}
        moved = {**parameters, **moved}
        return case.reference.numbers(moved, data, held=held).error

    best = np.inf
    for h in _STEPS:
        slope = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
        found = abs(slope - expected) / max(1e-3, abs(slope))
        best = min(best, found if found == found else np.inf)
        if best <= _GOOD:
            break
    return best


# ------------------------------------------------------------------ large numbers, dtypes

SCALES = (30.0, 300.0, 3000.0)
"""What the parameters are multiplied by, to see whether anything overflows."""


def far(case: Case, tally: Tally) -> None:
    """See that the functions give finite numbers with large parameters, where the stable forms do."""
    x, t = case.arguments(case.data())
    noise = case.noise_in(case.data())
    for large in large_parameters(case):
        found, derivatives = case.call("gradients", large, x, t, **noise)
        values = (
            *case.outputs(large, x).values(),
            case.call("loss", large, x, t, **noise),
            found,
            *derivatives.values(),
        )
        require_finite(tally, values)


def large_parameters(case: Case) -> Iterator[Arrays]:
    """Yield large parameters with which the stable forms of the derivation give finite numbers."""
    for scale in SCALES[:1] if case.is_long else SCALES:
        large = {name: scale * value for name, value in case.point.parameters.items()}
        if case.reference.numbers(large, case.data(), stable=True).is_finite:
            yield large


def require_finite(tally: Tally, values: Iterable[ArrayLike]) -> None:
    """See that numbers are finite."""
    finite = all(bool(np.isfinite(value).all()) for value in values)
    tally.require(finite, "is not finite with large parameters, where the stable forms of the derivation are")


def single(case: Case, tally: Tally) -> None:
    """Compare what the functions give for float32 with what they give for float64, and its dtype."""
    x, t = case.arguments(case.data())
    double = case.point.parameters
    small = {name: np.asarray(value, np.float32) for name, value in double.items()}
    outputs = case.outputs(small, x)
    _derivatives = case.call("gradients", small, x, t)[1]
    for name, value in case.outputs(double, x).items():
        _compare_single(tally, "forward", outputs[name], value)
    tally.compare(case.call("loss", small, x, t), case.call("loss", double, x, t), 1e-3)
    for name, value in case.call("gradients", double, x, t)[1].items():
        _compare_single(tally, f"∂E/∂{name}", _derivatives[name], value)


def _compare_single(tally: Tally, what: str, found: Array, expected: Array) -> None:
    wanted = expected.dtype if np.issubdtype(expected.dtype, np.integer) else np.float32  # places stay such
    tally.require(found.dtype == wanted, f"{what} is {found.dtype} where the parameters are float32")
    scale = float(np.abs(expected).max(initial=0.0))
    tally.add(np.abs(found - expected) / max(scale, 1e-3))
