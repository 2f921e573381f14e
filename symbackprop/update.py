"""The update rule: the equations of an optimiser, numbered after the derivation's own.

The equations hold for every parameter and each of its components, so they are written without indices;
a prime marks a value after the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from sympy import Expr, Symbol

from symbackprop.buffers import BufferWriter, Workspace
from symbackprop.derivation import Derivation, Step
from symbackprop.equations import Equation, index, new_value, quantity, scalar, size
from symbackprop.factors import Factors
from symbackprop.formula import parse
from symbackprop.library.optimizers import BELOW_ONE, Optimizer
from symbackprop.lowering import Operation, lower
from symbackprop.rescaling import rescaled

_COMPONENT = index("p")
_COUNT = size("P")
_STEP = Symbol("step", integer=True, positive=True)
_RATE, _DERIVATIVE = scalar("learning_rate"), scalar("g")


def with_update(derivation: Derivation, optimizer: Optimizer) -> Derivation:
    """Return ``derivation`` with the numbered equations of ``optimizer``."""
    derivation = replace(derivation, update=(), rescaled=(), optimizer=optimizer.name)
    steps = []
    for number, (name, rhs) in enumerate(update_equations(optimizer), start=max(derivation.by_number) + 1):
        steps.append(Step(number, name, "update", new_value(name), rhs))
    varying = (_STEP, _RATE, *(scalar(name) for name in ("w", "g", *optimizer.state)))
    return replace(
        derivation, update=tuple(steps), rescaled=rescaled(steps, varying, derivation.system.quantities)
    )


def update_equations(optimizer: Optimizer) -> list[tuple[str, Expr]]:
    """Return each assigned name with the expression of its new value."""
    names: dict[str, Expr] = {name: scalar(name) for name in optimizer.defaults}
    names[_STEP.name] = _STEP
    for name in ("w", "g", *optimizer.state):
        names[name] = scalar(name)
    found = []
    for name, formula in optimizer.equations:
        found.append((name, parse(formula, names, subject=f"optimizer {optimizer.name}")))
        names[name] = new_value(name)
    return found


@dataclass
class UpdateProgram:
    """The statements that carry out the equations of an optimiser on flat buffers."""

    steps: tuple[Step, ...]
    optimizer: Optimizer
    workspace: Workspace = field(default_factory=lambda: Workspace(stem="change"))

    @cached_property
    def state(self) -> tuple[str, ...]:
        """The names of what is kept for each parameter beside its value."""
        return tuple(step.target for step in self.steps[:-1])

    @property
    def folds_rate(self) -> bool:
        """Whether the derivative is only ever read times the learning rate, so that it can hold both."""
        return all(
            not _folded(step.rhs).has(_RATE) and step.rhs.has(_RATE * _DERIVATIVE) for step in self.steps
        )

    @cached_property
    def scratch(self) -> list[str]:
        """The buffers that the statements need; these run over some of the parameters at a time."""
        assert self._body  # is written first
        return list(self.workspace.arrays)

    def lines(self, comment: Callable[[int], Iterable[str]]) -> Iterator[str]:
        """Yield the lines of the update, each statement under its equation."""
        yield from self._bindings()
        numbers = {number: lines for number, (lines, _) in self._body.items() if lines}
        for number, lines in numbers.items():
            yield from (f"# the numbers in ({number})", *lines)
        inside = [line for number, (_, lines) in self._body.items() for line in (*comment(number), *lines)]
        if self.scratch:
            yield f"for {', '.join(dict.fromkeys((*self.arrays.values(), *self.scratch)))} in self._parts:"
        yield from (f"    {line}" if self.scratch else line for line in inside)

    @cached_property
    def _body(self) -> dict[int, tuple[list[str], list[str]]]:
        """The number of each equation -> the lines that compute its factors, and those for arrays."""
        found = {}
        factors = Factors(self.arrays, _POSITIVE)
        for step in self.steps:
            known = set(factors.values)
            rhs = factors.gathered(_folded(step.rhs) if self.folds_rate else step.rhs)
            numbers: list[str] = []
            for factor, value in factors.values.items():
                if factor not in known:
                    numbers += self._writer.scalar(factor.name, self._number(value, factors), weighted=False)
            name = _NAMES.get(step.target, step.target)
            found[step.number] = numbers, self._writer.assign(name, self._operation(rhs, factors))
        return found

    @property
    def _writer(self) -> BufferWriter:
        return BufferWriter({}, self.workspace)

    def _bindings(self) -> Iterator[str]:
        """Yield the local names of arrays and hyper-parameters."""
        if not self.scratch:
            names = {name: f"self._{name}" for name in self.state}
            names |= {"parameters": "self._flat", "gradient": "self._gradient"}
            yield f"{', '.join(names)} = {', '.join(names.values())}"
        read = set().union(*(step.rhs.free_symbols for step in self.steps))
        for name in self.optimizer.defaults:
            if name != _RATE.name and scalar(name) in read:
                yield f"{name} = self.{name}"
        if not self.folds_rate:
            yield "rate = self._rate()"
        if _STEP in read:
            yield "steps = self.steps + 1"

    @cached_property
    def arrays(self) -> dict[Symbol, str]:
        """The symbols of what there is for each parameter, new values too, with their names in the code."""
        names = {name: name for name in self.state} | _NAMES
        return {s: names[n] for n in names for s in (scalar(n), new_value(n))}

    @property
    def decaying(self) -> str | None:
        """The first state, where it fades without derivatives and is as large as they are."""
        first = self.steps[0]
        fades = first.rhs.has(scalar(first.target)) and first.rhs.diff(_DERIVATIVE).is_number
        return first.target if first.target in self.state and fades else None

    def _number(self, value: Expr, factors: Factors) -> Operation:
        """Return the operation of a factor."""
        return lower(Equation(Symbol("_factor"), value), self._scalars(factors))

    def _operation(self, rhs: Expr, factors: Factors) -> Operation:
        """Return the array operation of an equation."""
        result = quantity("_result", _COUNT)[_COMPONENT]
        values = {s: quantity(name, _COUNT)[_COMPONENT] for s, name in self.arrays.items()}
        values |= {q: quantity(q.name, _COUNT)[_COMPONENT] for q in factors.quotients}
        scalars = self._scalars(factors)

        def lowered(expression: Expr) -> Operation:
            return lower(Equation(result, expression.xreplace(values)), scalars)

        quotients = {Operation("array", (), q.name): lowered(value) for q, value in factors.quotients.items()}
        return lowered(rhs).replaced(quotients)

    def _scalars(self, factors: Factors) -> dict[str, str]:
        names = {name: name for name in (*self.optimizer.defaults, *(f.name for f in factors.values))}
        return {**names, _RATE.name: "rate", _STEP.name: "steps"}


_NAMES = {"w": "parameters", "g": "gradient"}
_POSITIVE = {1 - power for name in BELOW_ONE for power in (scalar(name), scalar(name) ** _STEP)}


def _folded(expression: Expr) -> Expr:
    """Return ``expression`` with learning rate times derivative as one quantity."""
    return expression.subs(_RATE * _DERIVATIVE, _DERIVATIVE)
