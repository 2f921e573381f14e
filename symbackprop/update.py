"""The update rule: the equations of an optimiser, numbered after the derivation's own.

The equations hold for every parameter and each of its components, so they are written without indices;
a prime marks a value after the step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from sympy import Expr, Mul, Pow, Symbol

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
        body: list[str] = []
        for step in self.steps:
            rhs, factors = self._with_factors(_folded(step.rhs) if self.folds_rate else step.rhs)
            body += comment(step.number)
            for factor, value in factors.items():
                body += BufferWriter({}, self.workspace).scalar(
                    factor.name, self._number(value), weighted=False
                )
            writer = BufferWriter({}, self.workspace)
            body += writer.assign(_ARRAYS.get(step.target, step.target), self._operation(rhs, factors))
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

    def _with_factors(self, rhs: Expr) -> tuple[Expr, dict[Symbol, Expr]]:
        """Return ``rhs`` with the numbers of each product gathered in one factor, and the factors.

        A pass over the parameters costs far more than arithmetic with numbers.
        """
        factors: dict[Symbol, Expr] = {}

        def gathered(expression: Expr) -> Expr:
            if not expression.args:
                return expression
            expression = expression.func(*map(gathered, expression.args))
            if not isinstance(expression, Mul) or not self._arrays(expression):
                return expression
            numbers = [f for f in expression.args if f.free_symbols and not self._arrays(f)]
            value = Mul(*numbers)
            if not any(isinstance(f, Pow) for f in numbers) and len(numbers) < 2:
                return expression
            factor = Symbol(f"factor{len(factors) + 1}", real=True)
            factors[factor] = value
            return Mul(factor, *[f for f in expression.args if f not in numbers])

        return gathered(rhs), factors

    def _arrays(self, expression: Expr) -> dict[Symbol, str]:
        """Return the symbols that stand for one number for each parameter, with their names in the code."""
        arrays = {**_ARRAYS, **{name: name for name in self.optimizer.state}}
        symbols = sorted(expression.free_symbols, key=str)
        return {s: arrays[plain] for s in symbols if (plain := s.name.rstrip("'")) in arrays}

    @property
    def _scalars(self) -> dict[str, str]:
        names = {name: name for name in self.optimizer.defaults}
        return {**names, _RATE.name: "rate", _STEP.name: "steps"}

    def _number(self, value: Expr) -> Operation:
        """Return the operation of a factor."""
        return lower(Equation(Symbol("_factor"), value), self._scalars)

    def _operation(self, rhs: Expr, factors: Iterable[Symbol]) -> Operation:
        """Return the array operation of an equation."""
        values = {s: quantity(name, _COUNT)[_COMPONENT] for s, name in self._arrays(rhs).items()}
        scalars = {**self._scalars, **{factor.name: factor.name for factor in factors}}
        result = quantity("_result", _COUNT)[_COMPONENT]
        return lower(Equation(result, rhs.xreplace(values)), scalars)


_ARRAYS = {"w": "parameters", "g": "gradient"}


def _folded(expression: Expr) -> Expr:
    """Return ``expression`` with learning rate times derivative as one quantity."""
    return expression.subs(_RATE * _DERIVATIVE, _DERIVATIVE)
