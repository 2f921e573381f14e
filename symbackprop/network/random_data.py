"""Random data that a network accepts, and the first values of its parameters."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sympy import Expr

from symbackprop.equations.model import SAMPLES_DRAWN, DataArray, Draw, Initial, Initializer, Model
from symbackprop.library.distributions import DISTRIBUTIONS

Array = NDArray[np.float64]
Data = Array | dict[str, Array] | None
"""The argument x or t of a module's functions."""

_SHARES = (0.05, 0.95)
"""The bounds of the parts of a total, before they are multiplied, where no other bounds are declared."""


def sample_data(model: Model, generator: np.random.Generator) -> tuple[Data, Data]:
    """Return random inputs and targets that a network accepts; dicts where there are several."""
    arrays = sample_arrays(model, generator)
    return as_argument(model.inputs, arrays), as_argument(model.targets, arrays)


def as_argument(kind: Sequence[DataArray], arrays: Mapping[str, Array]) -> Data:
    """Return inputs or targets as functions take them: one array, a dict of several, None for none."""
    if len(kind) > 1:
        return {given.name: arrays[given.name] for given in kind}
    return arrays[kind[0].name] if kind else None


def sample_arrays(
    model: Model, generator: np.random.Generator, named: int = SAMPLES_DRAWN
) -> dict[str, Array]:
    """Return random inputs and targets that a network accepts, by name.

    Whole numbers that name samples name the first ``named`` of them.
    """
    given = (*model.inputs, *model.targets)
    return {each.name: drawn(model.draw(each, named), generator) for each in given}


def sample_noise(
    model: Model, generator: np.random.Generator, samples: int, size: Callable[[Expr], int]
) -> dict[str, Array]:
    """Return noise as so many samples of a step of training draw it, by name."""
    found: dict[str, Array] = {}
    for noise in model.noise:
        shape = (*(samples,) * noise.has_samples, *map(size, noise.shape))
        found[noise.name] = DISTRIBUTIONS[noise.distribution].draw(generator, shape, *noise.numbers)
    return found


def drawn(draw: Draw, generator: np.random.Generator) -> Array:
    """Return random numbers of the kind that is asked for."""
    if draw.places is not None:
        return generator.integers(draw.places, size=draw.shape)  # type: ignore[return-value]
    if draw.bounds is None and (draw.total is None or draw.total <= 0):
        return _moved(generator.normal(size=draw.shape), draw)
    low, high = draw.bounds or _SHARES
    return _multiplied(generator.uniform(low, high, draw.shape), draw)


def _moved(values: Array, draw: Draw) -> Array:
    """Return ``values``, all moved by a number so that they add up to the total if there is one."""
    if draw.total is None:
        return values
    means: Array = values.mean(draw.axis, keepdims=True)
    return values - (means - float(draw.total) / draw.shape[draw.axis])


def _multiplied(values: Array, draw: Draw) -> Array:
    """Return ``values``, all multiplied by a number so that they add up to the total if there is one."""
    if draw.total is None:
        return values
    sums: Array = values.sum(draw.axis, keepdims=True)
    return float(draw.total) * values / sums


def rounded(draw: Draw, values: Array, decimals: int) -> Array:
    """Return short numbers near those that were drawn, with the total that they must have."""
    if draw.places is not None:
        return values
    short = np.round(values, decimals)
    if draw.total is not None:
        last = np.moveaxis(short, draw.axis, -1)
        last[..., -1] = np.round(float(draw.total) - last[..., :-1].sum(axis=-1), decimals)
    return short


def initial_values(
    model: Model, seed: int | None = None, dtype: DTypeLike = np.float32
) -> dict[str, NDArray[np.floating[Any]]]:
    """Return the parameters and states that a generated trainer starts with, bit for bit, by name.

    Raises:
        SpecificationError: the number of a size is missing.
    """
    model.require_sizes()
    generator = np.random.default_rng(seed)
    values = {}
    for name in (*model.system.parameters, *model.states):
        shape = model.shape(model.named.quantities[name].shape)
        values[name] = _first_value(model, model.initial[name], shape, generator).astype(dtype)
    return values


def near_the_start(model: Model, seed: int, generator: np.random.Generator) -> dict[str, Array]:
    """Return parameters near those at the start, and states not below theirs: a variance is not below 0."""
    start = initial_values(model, seed, np.float64)
    moves = {name: 0.1 * generator.normal(size=np.shape(value)) for name, value in start.items()}
    moves |= {name: np.abs(moves[name]) for name in model.states}
    return {name: np.asarray(value) + moves[name] for name, value in start.items()}


def _first_value(
    model: Model, initial: Initial, shape: tuple[int, ...], generator: np.random.Generator
) -> Array:
    """Return the first value of a parameter in float64."""
    initializer = initial.initializer
    if initializer is None or not shape:
        return np.full(shape, initial.value)
    if initializer.distribution == "zeros":
        return np.zeros(shape)
    if initializer.distribution == "orthogonal":
        return _orthogonal(shape, generator)
    variance = variance_of(initializer, model.size(initial.fan_in), model.size(initial.fan_out))
    if initializer.distribution == "normal":
        return generator.normal(0, np.sqrt(variance), shape)
    limit = np.sqrt(3 * variance)
    return generator.uniform(-limit, limit, shape)


def variance_of(initializer: Initializer, fan_in: int, fan_out: int) -> float:
    """Return a variance, worked out step by step with the rounding that generated code has."""
    names = {"fan_in": fan_in, "fan_out": fan_out}

    def number(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=int(value) | float(value)):
                return value
            case ast.Name(id=name):
                return names[name]
            case ast.BinOp(left=left, op=sign, right=right):
                return _SIGNS[type(sign)](number(left), number(right))
            case ast.Call(func=ast.Name(id="max"), args=arguments):
                return max(map(number, arguments))
        raise ValueError(f"{initializer.variance} is no variance")

    return float(number(ast.parse(initializer.variance, mode="eval").body))


_SIGNS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def _orthogonal(shape: tuple[int, ...], generator: np.random.Generator) -> Array:
    """Return a matrix whose rows or columns stand at right angles, every rotation equally likely."""
    rows, columns = shape
    directions, triangle = np.linalg.qr(generator.normal(size=(max(shape), min(shape))))
    directions *= np.sign(np.diag(triangle))
    return directions if rows >= columns else directions.T
