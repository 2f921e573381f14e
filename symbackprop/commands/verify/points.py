"""Random numbers for a whole derivation, with small unequal sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle, repeat
from types import MappingProxyType

import numpy as np

from symbackprop.commands.comparison.drawing import RANGES, Bounds
from symbackprop.equations.model import Draw
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.small_sizes import small_sizes
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import is_size
from symbackprop.network.random_data import Array, drawn, rounded, sample_noise
from symbackprop.numbers.evaluation import Evaluation

_SMALL = (3, 4, 2, 5)
_SQUARE = 3
_SAMPLES = 6  # unlike every size
_DECIMALS = 2
_SIZE_OF_PARAMETERS, _SIGNS, _POSITIVE = (0.1, 0.9), (-1.0, 1.0), (1.0,)
"""Parameters are away from 0, where |w| has its kink."""


def point(
    derivation: Derived,
    seed: int,
    short: bool = False,
    square: bool = False,
    least: Mapping[str, int] = MappingProxyType({}),
    given: Mapping[str, int] = MappingProxyType({}),
    larger: int = 0,
) -> Evaluation:
    """Return numbers for everything in a derivation, at a random point.

    ``short`` numbers have two decimals, for people to read; with ``square`` all sizes are equal; ``least``
    are the least numbers of sizes by name, ``given`` those that are fixed; all others are ``larger`` by that.
    """
    sizes = _sizes(derivation, square, least, given, larger)
    first = None
    for bounds in RANGES:
        for signs in (_SIGNS, _POSITIVE):
            numbers = _drawn(derivation, seed, sizes, short, bounds, signs)
            if all(np.isfinite(each).all() for each in (*numbers.values.values(), *numbers.slopes.values())):
                return numbers
            first = first or numbers
    assert first is not None
    return first


def _drawn(
    derivation: Derived,
    seed: int,
    sizes: dict[str, int],
    short: bool,
    bounds: Bounds,
    signs: Sequence[float],
) -> Evaluation:
    """Return numbers for everything, with data between bounds where they may be anything."""
    generator = np.random.default_rng(seed)
    model = derivation.model
    assert model is not None
    numbers = Evaluation(derivation, {}, sizes)

    def chosen(draw: Draw) -> Array:
        values = drawn(draw, generator)
        return rounded(draw, values, _DECIMALS) if short else values

    for c in model.constants:
        if isinstance(c.value, tuple):
            numbers.values[c.name] = np.array(c.value)
    for data in (*model.inputs, *model.targets):
        draw = data.draw(numbers.size, _SAMPLES)
        is_open = data.is_unbounded and not data.integer
        numbers.values[data.name] = chosen(replace(draw, bounds=bounds) if is_open else draw)
    for name in derivation.system.parameters:
        shape = numbers.shape(name)
        size = chosen(Draw(shape, bounds=_SIZE_OF_PARAMETERS))
        numbers.values[name] = size * generator.choice(signs, shape)
    numbers.values.update(sample_noise(model, generator, _SAMPLES, numbers.size))
    for name in (name for name in model.states if name in derivation.system.quantities):
        numbers.values[name] = chosen(Draw(numbers.shape(name), bounds=_SIZE_OF_PARAMETERS))
    return numbers.run()


def _sizes(
    derivation: Derived, square: bool, least: Mapping[str, int], given: Mapping[str, int], larger: int
) -> dict[str, int]:
    """Return small unequal numbers for the sizes, such that every axis has at least two places."""
    model = derivation.model
    assert model is not None
    quantities = derivation.system.quantities
    fixed = {n for c in model.constants if isinstance(c.value, tuple) for n in quantities[c.name].shape}
    extents = (n for q in quantities.values() for n in q.shape)
    symbols = dict.fromkeys(s for n in extents for s in sorted(n.free_symbols, key=str) if s != SAMPLES)
    for equation in derivation.system.equations:
        for s in sorted(equation.rhs.free_symbols, key=str):
            if is_size(s) and s != SAMPLES:
                symbols.setdefault(s)
    known = {s: model.sizes[s.name] for n in fixed for s in n.free_symbols if s.name in model.sizes}
    known |= {s: given[s.name] for s in symbols if s.name in given}
    numbers = zip(symbols, repeat(_SQUARE) if square else cycle(_SMALL), strict=False)
    start = {s: max(number + larger, least.get(s.name, 0)) for s, number in numbers if s not in known}
    sizes = {**known, **small_sizes(derivation.system, start, known, least=2)}
    return {**{s.name: number for s, number in sizes.items()}, SAMPLES.name: _SAMPLES}
