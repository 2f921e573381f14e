"""The derivative of one quantity by another: in its own equation, or on every way that leads to it.

It is that of a scalar: of one component of the quantity.  The equations get one more, which picks it, and
everything that is known of an error holds for the scalar.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice, product

import numpy as np
from sympy import Derivative, Expr, Indexed, Integer, Symbol

from symbackprop.commands.inputs import Array
from symbackprop.commands.verify.claims import Claim
from symbackprop.derivation.batch import SampleAxis
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.equations.graph import reached_from
from symbackprop.equations.indices import fresh
from symbackprop.equations.naming import free_name
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import (
    Equation,
    EquationSystem,
    Quantity,
    indices_of,
    name_of,
    sum_over,
)
from symbackprop.numbers.evaluation import Evaluation

_MOST_PLACES = 4


def ways(system: EquationSystem, output: str, target: str) -> set[str]:
    """Return the quantities through which one quantity depends on another: itself where it reads it."""
    reads = {e.name: {name_of(c) for c in system.reads(e.rhs)} for e in system.equations}
    readers: dict[str, set[str]] = {}
    for name, read in reads.items():
        for each in read if not system.quantities[name].integer else ():
            readers.setdefault(each, set()).add(name)
    return reads.get(output, set()) & reached_from([target], readers)


def picked(derivation: Derived, claim: Claim) -> Iterator[tuple[Derived, Step, Mapping[str, int]]]:
    """Yield the claim about single components: their equations, the claim, and the least sizes it needs."""
    system = derivation.system
    above, below = claim.lhs.expr, claim.lhs.variables[0]
    letters = [i for i in dict.fromkeys(indices_of(above)) if i.is_Symbol]
    for places in islice(product(range(2), repeat=len(letters)), _MOST_PLACES):
        at = dict(zip(letters, map(Integer, places), strict=True))
        scalar = Quantity(free_name("picked", system.quantities))
        changed = _ending_in(derivation, scalar, above.xreplace(at))
        least = dict(claim.least_sizes)
        for side in (above, below):
            for i, n in zip(
                indices_of(side), side.base.shape if isinstance(side, Indexed) else (), strict=True
            ):
                if i in at and n.is_Symbol:
                    least[n.name] = max(2, least.get(n.name, 0))
        lhs = Derivative(scalar.symbol, below.xreplace(at))
        yield (
            changed,
            Step(len(system.equations) + 2, claim.target, "claim", lhs, claim.rhs.xreplace(at)),
            least,
        )


def jacobian(numbers: Evaluation, claim: Claim, direct: bool) -> Array:
    """Return the derivatives that a claim is about, with an axis for each letter on its left, samples first.

    ``direct`` are those in the equation of the quantity, all else held fixed; else those on every way.
    """
    above, below = claim.lhs.expr, claim.lhs.variables[0]
    derivation, weights = _weighted(numbers.derivation, claim.output, claim.target, direct)
    shape = numbers.shape(claim.output)
    rows = []
    for place in np.ndindex(shape):
        chosen = np.zeros(shape)
        chosen[place] = 1.0
        again = Evaluation(derivation, {**numbers.values, weights: chosen}, numbers.sizes)
        rows.append(again.run().slopes[claim.target])
    samples = rows[0].shape[:1] if numbers.per_sample else ()
    whole = np.stack(rows, axis=len(samples)).reshape(*samples, *shape, *rows[0].shape[len(samples) :])
    extents = [numbers.size(claim.ranges[i]) for i in claim.indices]
    grid = dict(zip(claim.indices, np.ix_(*map(np.arange, extents)), strict=True)) if extents else {}
    at = tuple(grid[i] if i.is_Symbol else int(i) for i in (*indices_of(above), *indices_of(below)))
    if samples:
        return np.stack([np.broadcast_to(each[at], extents) for each in whole])
    return np.array(np.broadcast_to(whole[at], extents))


def _weighted(derivation: Derived, output: str, target: str, direct: bool) -> tuple[Derived, str]:
    """Return the derivation of a weighted sum of all components for ``target``, and the weights' name."""
    system = derivation.system
    source = system.quantities[output]
    weights = Quantity(free_name("weight", system.quantities), source.shape)
    letters = tuple(fresh(Symbol(f"p{axis}", integer=True)) for axis in range(len(source.shape)))
    body = weights.at(letters) * source.at(letters)
    total = sum_over(body, *zip(letters, source.shape, strict=True)) if letters else body
    scalar = Quantity(free_name("picked", system.quantities))
    quantities = {**system.quantities, weights.name: weights, scalar.name: scalar}
    kept = (system.definitions[output],) if direct else system.equations
    given = (*system.inputs, *SampleAxis(derivation).varying) if direct else system.inputs
    equations = (*kept, Equation(scalar.symbol, total))
    summed = replace(system, equations=equations, quantities=quantities, loss=scalar.name, inputs=given)
    found = derive_system(summed, (target,), stable=False)
    return replace(found, model=derivation.model), weights.name


def _ending_in(derivation: Derived, scalar: Quantity, component: Expr) -> Derived:
    """Return the equations with one more, which makes a component the scalar that is differentiated."""
    system = derivation.system
    equations = (*system.equations, Equation(scalar.symbol, component))
    quantities = {**system.quantities, scalar.name: scalar}
    changed = replace(system, equations=equations, quantities=quantities, loss=scalar.name)
    return replace(derivation, system=changed, steps=(), results={}, adjoints={}, stable=(), batch=())
