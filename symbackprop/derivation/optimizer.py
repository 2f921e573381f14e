"""The equations of an optimiser as numbered steps, after those of the derivation.

They hold for every parameter and each of its components, so they are written without indices; a prime
marks a value after the step.
"""

from __future__ import annotations

from dataclasses import replace

from sympy import Expr, Symbol

from symbackprop.derivation.rescaling import rescaled
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import new_value, scalar
from symbackprop.library.formula import parse
from symbackprop.library.optimizers import Optimizer

STEP = Symbol("step", integer=True, positive=True)
RATE, DERIVATIVE = scalar("learning_rate"), scalar("g")


def with_update(derivation: Derived, optimizer: Optimizer) -> Derived:
    """Return ``derivation`` with the numbered equations of ``optimizer``."""
    derivation = replace(derivation, update=(), rescaled=(), optimizer=optimizer.name)
    steps = []
    for number, (name, rhs) in enumerate(update_equations(optimizer), start=max(derivation.by_number) + 1):
        steps.append(Step(number, name, "update", new_value(name), rhs))
    varying = (STEP, RATE, *(scalar(name) for name in ("w", "g", *optimizer.state)))
    constants = () if derivation.model is None else derivation.model.constants
    taken = {*derivation.system.quantities, *(constant.name for constant in constants)}
    return replace(derivation, update=tuple(steps), rescaled=rescaled(steps, varying, taken))


def update_equations(optimizer: Optimizer) -> list[tuple[str, Expr]]:
    """Return each assigned name with the expression of its new value."""
    names: dict[str, Expr] = {name: scalar(name) for name in optimizer.defaults}
    names[STEP.name] = STEP
    for name in ("w", "g", *optimizer.state):
        names[name] = scalar(name)
    found = []
    for name, formula in optimizer.equations:
        found.append((name, parse(formula, names, subject=f"optimizer {optimizer.name}")))
        names[name] = new_value(name)
    return found
