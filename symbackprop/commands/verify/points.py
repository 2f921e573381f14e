"""Random numbers for a whole derivation, with small unequal sizes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, repeat
from types import MappingProxyType

import numpy as np

from symbackprop.equations.model import Draw
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.small_sizes import small_sizes
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import is_size
from symbackprop.network.random_data import Array, drawn, rounded
from symbackprop.numbers.evaluation import Evaluation

_SMALL = (3, 4, 2, 5)
_SQUARE = 3
_SAMPLES = 6  # unlike every size
_DECIMALS = 2
_SIZE_OF_PARAMETERS, _SIGNS = (0.1, 0.9), (-1.0, 1.0)
"""Parameters are away from 0, where |w| has its kink."""


def point(
    derivation: Derived,
    seed: int,
    short: bool = False,
    square: bool = False,
    least: Mapping[str, int] = MappingProxyType({}),
) -> Evaluation:
    """Return numbers for everything in a derivation, at a random point.

    ``short`` numbers have two decimals, for people to read; with ``square`` all sizes are equal; ``least``
    are the least numbers of sizes by name.
    """
    sizes = _sizes(derivation, square, least)
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
    for given in (*model.inputs, *model.targets):
        numbers.values[given.name] = chosen(given.draw(numbers.size, _SAMPLES))
    for name in derivation.system.parameters:
        shape = numbers.shape(name)
        numbers.values[name] = chosen(Draw(shape, bounds=_SIZE_OF_PARAMETERS)) * generator.choice(
            _SIGNS, shape
        )
    return numbers.run()


def _sizes(derivation: Derived, square: bool, least: Mapping[str, int]) -> dict[str, int]:
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
    numbers = zip(symbols, repeat(_SQUARE) if square else cycle(_SMALL), strict=False)
    start = {s: max(number, least.get(s.name, 0)) for s, number in numbers if s not in known}
    sizes = {**known, **small_sizes(derivation.system, start, known, least=2)}
    return {**{s.name: number for s, number in sizes.items()}, SAMPLES.name: _SAMPLES}
