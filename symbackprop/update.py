"""The update rule: the equations of an optimiser, numbered after the derivation's own.

The equations hold for every parameter and each of its components, so they are written without indices;
a prime marks a value after the step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sympy import Expr, Symbol

from symbackprop.derivation import Derivation, Step
from symbackprop.equations import Equation, index, quantity, size
from symbackprop.formula import parse
from symbackprop.library.optimizers import Optimizer
from symbackprop.lowering import Operation, lower

_COMPONENT = index("p")
_COUNT = size("P")
_PARAMETER, _DERIVATIVE = "w", "g"


def with_update(derivation: Derivation, optimizer: Optimizer) -> Derivation:
    """Return ``derivation`` with the numbered equations of ``optimizer``."""
    number = max(derivation.by_number)
    steps = []
    for position, (name, rhs) in enumerate(update_equations(optimizer), start=1):
        steps.append(Step(number + position, name, "update", new_value(name), rhs))
    return replace(derivation, update=tuple(steps))


def update_equations(optimizer: Optimizer) -> list[tuple[str, Expr]]:
    """Return each assigned name with the expression of its new value."""
    names: dict[str, Expr] = {name: _symbol(name) for name in optimizer.defaults}
    names["step"] = Symbol("step", integer=True, positive=True)
    for name in (_PARAMETER, _DERIVATIVE, *optimizer.state):
        names[name] = _symbol(name)
    found = []
    for name, formula in optimizer.equations:
        found.append((name, parse(formula, names, subject=f"optimizer {optimizer.name}")))
        names[name] = new_value(name)
    return found


def _symbol(name: str) -> Symbol:
    return Symbol(name, real=True)


def new_value(name: str) -> Symbol:
    """Return the symbol of a value after the step."""
    return Symbol(f"{name}'", real=True)


def lower_update(step: Step, arrays: Mapping[str, str], scalars: Mapping[str, str]) -> Operation:
    """Return the array operation of an update equation.

    Args:
        step: the equation.
        arrays: the name in the code of each symbol that has a value for every parameter.
        scalars: the name in the code of each other symbol.
    """
    values = {
        s: quantity(arrays[s.name.rstrip("'")], _COUNT)[_COMPONENT]
        for s in step.rhs.free_symbols
        if s.name.rstrip("'") in arrays
    }
    result = quantity("_result", _COUNT)[_COMPONENT]
    return lower(Equation(result, step.rhs.xreplace(values)), scalars)
