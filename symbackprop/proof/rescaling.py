"""Proof of the optimiser's equations in the stored multiples of its state, against those in the state.

Every quantity in them is one number, so a step is compared with the optimiser's own equations after each
stored multiple has been written through the state, before the step and after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from sympy import Basic, Expr, Rational, Symbol, expand, fraction, together

from symbackprop.equations.steps import Derived, Step

_POINTS = 3
_DIGITS = 40


def where_rescaling_fails(derivation: Derived, step: Step, seed: int) -> str | None:
    """Return where a rescaled equation is wrong, None where it holds at random points."""
    claim, truth = _sides(derivation, step)
    random = Random(seed)
    symbols = sorted(claim.free_symbols | truth.free_symbols, key=str)
    for _ in range(_POINTS):
        point = {s: _number(s, random) for s in symbols}
        given, right = (side.xreplace(point).evalf(_DIGITS) for side in (claim, truth))
        if not abs(given - right) <= 10 ** Rational(10 - _DIGITS) * abs(right):
            where = ", ".join(f"{symbol} = {value}" for symbol, value in point.items())
            return f"at {where}: the step gives {given.evalf(10)}, the optimizer {right.evalf(10)}"
    return None


def rescaling_holds_exactly(derivation: Derived, step: Step) -> bool:
    """Whether a rescaled equation holds by algebra."""
    claim, truth = _sides(derivation, step)
    return bool(expand(fraction(together(claim - truth))[0]) == 0)


def _sides(derivation: Derived, step: Step) -> tuple[Expr, Expr]:
    """Return the claim of the step and the truth, in the state and the parameter before the step."""
    kept = {s.lhs: s.rhs for s in derivation.stored}
    state = {Symbol(s.target, real=True): s.lhs for s in derivation.update}
    multiples = {**kept, **{_after(name): value.xreplace(state) for name, value in kept.items()}}
    new = {s.lhs: s.rhs for s in derivation.update}
    return _opened(_opened(step.rhs, multiples), new), _opened(_opened(step.lhs, multiples), new)


def _opened(expression: Expr, definitions: Mapping[Basic, Basic]) -> Expr:
    """Return ``expression`` with definitions put in, and those that these read."""
    while (opened := expression.xreplace(definitions)) != expression:
        expression = opened
    return expression


def _after(symbol: Basic) -> Symbol:
    return Symbol(f"{symbol}'", real=True)


def _number(symbol: Symbol, random: Random) -> Rational:
    """Return a number between 0 and 1, or a whole one from 1."""
    return Rational(random.randint(1, 9)) if symbol.is_integer else Rational(random.randint(1, 999), 1000)
