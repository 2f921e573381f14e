"""The network in use, where it is another one than the network that is trained: its equations, numbered.

Nothing is derived of it.  An equation that is one of training has the number that it has there, and is
computed in the same form; the others are numbered behind the derivation.
"""

from __future__ import annotations

from dataclasses import replace

from symbackprop.derivation.batch import SampleAxis
from symbackprop.derivation.gradients import closed, numbered
from symbackprop.derivation.stable.choose import with_stable
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import EquationSystem
from symbackprop.equations.well_formed import check_system


def with_use(training: Derived, system: EquationSystem) -> Derived:
    """Return a derivation with the equations of ``system``, which its network has in use.

    Raises:
        SpecificationError: the equations are not well formed.
        UnsupportedExpression: an expression that the calculus does not know.
    """
    assert training.model is not None
    known = closed(system)
    check_system(known.system)
    model = replace(training.model, system=known.system, use=None, states={})
    training = replace(training, model=replace(training.model, use=known.system))
    numbers, same = _Numbers(training), training.system.definitions
    steps = tuple(
        numbers.of(Step(0, e.name, "definition", e.lhs, e.rhs))
        for e in known.system.equations
        if same.get(e.name) != e
    )
    labels = {**training.labels, **{step.target: step.number for step in steps}}
    labels = {equation.name: labels[equation.name] for equation in known.system.equations}
    inner = tuple(numbers.within(each, labels) for each in known.inner if each.system not in numbers.inner)
    use = Derived(known.system, steps, {}, {}, labels, model=model, inner=inner)
    if not training.of:  # of which code is made
        use = replace(use, stable=tuple(map(numbers.of, with_stable(replace(use, steps=())).stable)))
    if not training.of and model.per_sample:
        use = replace(use, batch=(numbers.of(_mean_error(use)),))
    return replace(training, use=use)


class _Numbers:
    """Steps of the network in use, each that is one of training under its number there."""

    def __init__(self, training: Derived) -> None:
        self.known = {(step.target, step.rule): step for step in (*training.stable, *training.batch)}
        self.inner = [each.system for each in training.inner]
        self.next = max(training.by_number) + 1

    def of(self, step: Step) -> Step:
        """Return a step with its number."""
        known = self.known.get((step.target, step.rule))
        if known is not None and (known.lhs, known.rhs) == (step.lhs, step.rhs):
            return known
        self.next += 1
        return replace(step, number=self.next - 1)

    def within(self, derived: Derived, labels: dict[str, int]) -> Derived:
        """Return a derivation behind derivatives in the equations of use, numbered."""
        found = numbered(derived, labels, self.next)
        self.next += len(found.steps)
        return found


def _mean_error(use: Derived) -> Step:
    """Return the error of a batch."""
    loss = use.system.definitions[use.system.loss]
    form = use.stable_form_of.get(use.labels[loss.name], loss)
    return Step(0, loss.name, "batch mean", loss.lhs, SampleAxis(use).mean(form.rhs))
