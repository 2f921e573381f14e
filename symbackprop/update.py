"""The update rule: the equations of an optimiser, numbered after the derivation's own.

The equations hold for every parameter and each of its components, so they are written without indices;
a prime marks a value after the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from sympy import Expr, Symbol

from symbackprop.buffers import BufferWriter, Workspace
from symbackprop.derivation import Derivation, Step
from symbackprop.equations import Equation, index, quantity, size
from symbackprop.formula import parse
from symbackprop.library.optimizers import Optimizer
from symbackprop.lowering import Operation, lower

_COMPONENT = index("p")
_COUNT = size("P")
_STEP = Symbol("step", integer=True, positive=True)
_RATE, _DERIVATIVE = Symbol("learning_rate", real=True), Symbol("g", real=True)


def with_update(derivation: Derivation, optimizer: Optimizer) -> Derivation:
    """Return ``derivation`` with the numbered equations of ``optimizer``."""
    derivation = replace(derivation, update=(), optimizer=optimizer.name)
    number = max(derivation.by_number)
    steps = []
    for position, (name, rhs) in enumerate(update_equations(optimizer), start=1):
        steps.append(Step(number + position, name, "update", new_value(name), rhs))
    return replace(derivation, update=tuple(steps))


def update_equations(optimizer: Optimizer) -> list[tuple[str, Expr]]:
    """Return each assigned name with the expression of its new value."""
    names: dict[str, Expr] = {name: _symbol(name) for name in optimizer.defaults}
    names[_STEP.name] = _STEP
    for name in ("w", "g", *optimizer.state):
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


@dataclass
class UpdateProgram:
    """The statements that carry out the equations of an optimiser on flat buffers."""

    steps: tuple[Step, ...]
    optimizer: Optimizer
    workspace: Workspace = field(default_factory=lambda: Workspace(stem="change"))

    @property
    def folds_rate(self) -> bool:
        """Whether the derivative is only ever read times the learning rate, so that it can hold both."""
        return all(
            not _folded(step.rhs).has(_RATE) and step.rhs.has(_RATE * _DERIVATIVE) for step in self.steps
        )

    @property
    def scratch(self) -> list[str]:
        """The buffers, as long as the parameters, that the statements need."""
        return list(self.workspace.arrays)

    def lines(self, comment: Callable[[int], Iterable[str]]) -> Iterator[str]:
        """Yield the lines of the update, each statement under its equation."""
        statements = [(step, self._operation(step)) for step in self.steps]
        body: list[str] = []
        for step, operation in statements:
            body += comment(step.number)
            body += BufferWriter({}, self.workspace).assign(_ARRAYS.get(step.target, step.target), operation)
        yield from self._bindings()
        yield from body

    def _bindings(self) -> Iterator[str]:
        """Yield the local names of buffers and hyper-parameters."""
        yield "parameters, gradient = self._flat, self._gradient"
        for names in (self.optimizer.state, self.scratch):
            if names:
                yield f"{', '.join(names)} = {', '.join(f'self._{name}' for name in names)}"
        for name in self.optimizer.defaults:
            if name != _RATE.name:
                yield f"{name} = self.{name}"
        if not self.folds_rate:
            yield "rate = self._rate()"
        if any(step.rhs.has(_STEP) for step in self.steps):
            yield "steps = self.steps + 1"

    def _operation(self, step: Step) -> Operation:
        """Return the array operation of an equation."""
        rhs = _folded(step.rhs) if self.folds_rate else step.rhs
        arrays = {**_ARRAYS, **{name: name for name in self.optimizer.state}}
        values = {
            s: quantity(arrays[plain], _COUNT)[_COMPONENT]
            for s in sorted(rhs.free_symbols, key=str)
            if (plain := s.name.rstrip("'")) in arrays
        }
        scalars = {
            **{name: name for name in self.optimizer.defaults},
            _RATE.name: "rate",
            _STEP.name: "steps",
        }
        result = quantity("_result", _COUNT)[_COMPONENT]
        return lower(Equation(result, rhs.xreplace(values)), scalars)


_ARRAYS = {"w": "parameters", "g": "gradient"}


def _folded(expression: Expr) -> Expr:
    """Return ``expression`` with learning rate times derivative as one quantity."""
    return expression.subs(_RATE * _DERIVATIVE, _DERIVATIVE)
