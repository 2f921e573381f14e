"""The optimiser's equations in multiples of its state, which take fewer operations.

A running mean such as m' = beta1·m + (1 - beta1)·g multiplies g by the same number in every step. Of
M = m/(1 - beta1) the new value is beta1·M + g: a trainer may keep any multiple of the state.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Sequence

from sympy import Add, Basic, Expr, Symbol

from symbackprop.equations.steps import Step
from symbackprop.equations.system import new_value, scalar


def rescaled(
    update: Sequence[Step], varying: Collection[Symbol], taken: Container[str] = ()
) -> tuple[Step, ...]:
    """Return the steps that define multiples stored in place of the state, then the equations through them.

    There are none where no equation becomes shorter.

    Args:
        update: the optimiser's equations, that of the parameter last.
        varying: the symbols whose values a later step may not share.
        taken: the names of the network's own quantities, which no multiple may get.
    """
    scales = dict(_scales(update, varying))
    if not scales:
        return ()
    steps, written = [], dict[Basic, Basic]()
    numbers = iter(range(update[-1].number + 1, update[-1].number + 1 + len(scales) + len(update)))
    for state, scale in scales.items():
        old, stored = scalar(state), scalar(_stored_name(state, taken))
        steps.append(Step(next(numbers), state, "kept", stored, old / scale))
        written |= {old: scale * stored, new_value(state): scale * new_value(stored.name)}
    for step in update:
        rhs, scale = step.rhs.xreplace(written), scales.get(step.target)
        if scale is None:
            steps.append(Step(next(numbers), step.target, "rescaling", step.lhs, rhs))
            continue
        rhs = Add(*[term / scale for term in Add.make_args(rhs)])
        name = _stored_name(step.target, taken)
        steps.append(Step(next(numbers), name, "rescaling", new_value(name), rhs))
    return tuple(steps)


def _scales(update: Sequence[Step], varying: Collection[Symbol]) -> Iterator[tuple[str, Expr]]:
    """Yield each state of which a multiple is shorter to compute, with the number that it is divided by."""
    for step in update[:-1]:
        state = scalar(step.target)
        rest = [term for term in Add.make_args(step.rhs) if not term.has(state)]
        scale, moving = Add(*rest).as_independent(*varying, as_Add=False)
        if scale != 1 and moving != 1 and step.rhs.diff(state, 2) == 0:
            yield step.target, scale


def _stored_name(state: str, taken: Container[str]) -> str:
    """Return the name of the multiple that is stored in place of ``state``, none of those taken."""
    name = state.upper()
    while name in taken:
        name += "_kept"
    return name
