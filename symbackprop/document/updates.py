"""Why the equations of an optimiser are what they are, read from the equations.

In goes a step of the update, out come keys of the catalogue with the formulas of their places.  Optimisers
have no names here: a running mean, a sum, a division by a root are seen in the equation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sympy import Add, Expr, Integer, Pow, Rational, S, Symbol, cancel

from symbackprop.equations.steps import Step
from symbackprop.equations.system import new_value, scalar

Reason = tuple[str, dict[str, Expr]]
"""The key of a sentence, and the formulas in it."""

_PARAMETER, _DERIVATIVE, _RATE = "w", scalar("g"), scalar("learning_rate")
_STEP = Symbol("step", integer=True, positive=True)
_HALVES = (Rational(1, 2), Rational(-1, 2))


def is_plain(update: Sequence[Step]) -> bool:
    """Whether a step changes w by -learning_rate·g and does nothing else."""
    return [step.rhs for step in update] == [scalar(_PARAMETER) - _RATE * _DERIVATIVE]


def reasons(step: Step, update: Sequence[Step]) -> Iterator[Reason]:
    """Yield what there is to say of a step of the update, no more than it has parts."""
    if step.target == _PARAMETER:
        yield from _of_parameter(step, [scalar(each.target) for each in update[:-1]])
    else:
        yield from _of_state(step)


def _of_state(step: Step) -> Iterator[Reason]:
    state = scalar(step.target)
    share = step.rhs.diff(state)
    rest = (step.rhs - share * state).expand()
    shown = {"quantity": new_value(step.target), "share": share}
    if share == 1:
        yield "update.total", {**shown, "of": rest}
        return
    of = cancel(rest / (1 - share))
    if of in (_DERIVATIVE, _DERIVATIVE ** Integer(2)):
        yield "update.mean" if of == _DERIVATIVE else "update.mean_square", {**shown, "of": of}
    elif rest == _DERIVATIVE:
        yield "update.velocity", {**shown, "of": rest}


def _of_parameter(step: Step, states: Sequence[Symbol]) -> Iterator[Reason]:
    change = step.rhs - scalar(_PARAMETER)
    roots = {root for root in step.rhs.atoms(Pow) if root.exp in _HALVES}
    if roots:
        yield "update.scaled", {}
    corrections = sorted(_corrections(step.rhs), key=str)
    if len(corrections) == 2:
        yield "update.corrected", {f"correction{n}": each for n, each in enumerate(corrections, start=1)}
    terms = Add.make_args(change.expand())
    new = {new_value(str(state)) for state in states}
    if not roots and len(terms) > 1 and any(t.has(_DERIVATIVE) for t in terms) and change.has(*new):
        yield "update.ahead", {}
    decay = [t for t in terms if t.has(scalar(_PARAMETER))]
    if decay:
        yield "update.decay", {"decay": Add(*decay)}


def _corrections(rhs: Expr) -> set[Expr]:
    """Return what divides because a mean starts at 0: 1 less a power of its share."""
    found = {each for each in rhs.atoms(Add) if S.One in each.args and len(each.args) == 2}
    return {each for each in found if _STEP in each.free_symbols and len(each.free_symbols) == 2}
