"""The update of a trainer: the equations of an optimiser as statements on one array of all parameters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sympy import Add, Expr, Integer, Mul, Pow, Rational, Symbol

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Operation
from symbackprop.arrays.signature import lower
from symbackprop.code.buffers import BufferWriter, Workspace
from symbackprop.code.lines import COLUMNS, Comments, lines_of, silent
from symbackprop.code.statements import Block
from symbackprop.derivation.optimizer import DERIVATIVE, RATE, STEP
from symbackprop.equations.steps import Step
from symbackprop.equations.system import Equation, index, new_value, quantity, scalar, size
from symbackprop.library.optimizers import BELOW_ONE, Optimizer

_COMPONENT, _COUNT = index("p"), size("P")


@dataclass
class Factors:
    """Rewrites expressions such that a product of arrays is multiplied by one number at most.

    Args:
        arrays: the symbols that stand for arrays; the others are numbers.
        positive: numbers above 0, which may be taken out of a root and of a sum that divides.

    ``values`` holds the factors by their names.  ``quotients`` holds fractions of arrays, which a factor
    multiplies: these have to be computed before it, as the factor is applied to them.
    """

    arrays: Collection[Symbol]
    positive: Collection[Expr]
    values: dict[Symbol, Expr] = field(default_factory=dict)
    quotients: dict[Symbol, Expr] = field(default_factory=dict)

    def gathered(self, expression: Expr) -> Expr:
        """Return ``expression`` with the factors, and the quotients beside them, under their names."""
        if not expression.args or self._is_number(expression):
            return expression
        opened = self._sum(expression) if isinstance(expression, Add) else self._root(expression)
        opened = opened.func(*map(self.gathered, opened.args))
        return self._product(opened) if isinstance(opened, Mul) else self._divided(opened)

    def _sum(self, total: Expr) -> Expr:
        """Return a sum with each array in one term: A - b·A is (1 - b)·A."""
        coefficients: dict[Expr, Expr] = {}
        for term in total.args:
            number, rest = term.as_independent(*self.arrays, as_Add=False)
            coefficients[rest] = coefficients.get(rest, Integer(0)) + number
        return Add(*[number * rest for rest, number in coefficients.items()])

    def _root(self, expression: Expr) -> Expr:
        """Return the root of a product as a product of roots: √(b·A) is √b·√A for a positive b."""
        if not (isinstance(expression, Pow) and expression.exp == Rational(1, 2)):
            return expression
        number, rest = expression.base.as_independent(*self.arrays, as_Add=False)
        if not self._is_positive(number):
            return expression
        return Pow(number, expression.exp) * Pow(rest, expression.exp)

    def _divided(self, expression: Expr) -> Expr:
        """Take the factor of the one array out of a sum that divides: 1/(a + b·A) is 1/b · 1/(a/b + A)."""
        if not (isinstance(expression, Pow) and expression.exp == -1 and isinstance(expression.base, Add)):
            return expression
        numbers, arrays = expression.base.as_independent(*self.arrays)
        factor, rest = arrays.as_independent(*self.arrays, as_Add=False)
        if not (factor.is_positive and factor.is_Symbol):
            return expression
        return Pow(factor, -1) * Pow(numbers / factor + rest, -1)

    def _product(self, product: Mul) -> Expr:
        """Gather the numbers, and what they multiply if it is a fraction."""
        coefficient, others = product.as_coeff_Mul()
        number, rest = others.as_independent(*self.arrays, as_Add=False)
        if number == 1:
            return product
        if any(isinstance(f, Pow) and f.exp.is_negative for f in Mul.make_args(rest)):
            quotient = Symbol(f"quotient{len(self.quotients) + 1}", real=True)
            self.quotients[quotient], rest = rest, quotient
        return coefficient * self._named(number) * rest

    def _named(self, value: Expr) -> Symbol:
        """Return a name for a number, which is its own if it has one."""
        if isinstance(value, Symbol):
            return value
        factor = Symbol(f"factor{len(self.values) + 1}", real=True, positive=self._is_positive(value) or None)
        self.values[factor] = value
        return factor

    def _is_number(self, expression: Expr) -> bool:
        return not expression.has(*self.arrays)

    def _is_positive(self, number: Expr) -> bool:
        if isinstance(number, (Mul, Pow)):
            return all(map(self._is_positive, number.args if isinstance(number, Mul) else [number.base]))
        return number in self.positive or bool(number.is_positive)


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
        return all(not _folded(step.rhs).has(RATE) and step.rhs.has(RATE * DERIVATIVE) for step in self.steps)

    @cached_property
    def scratch(self) -> list[str]:
        """The buffers that the statements need; these run over some of the parameters at a time."""
        assert self._body  # is written first
        return list(self.workspace.arrays)

    def lines(self, comment: Callable[[int], Iterable[str]], bare: bool = False) -> Iterator[str]:
        """Yield the lines of the update, each statement under its equation.

        A bare trainer has the arrays of each parameter apart, any other has all parameters in one.
        """
        is_loop = bare or bool(self.scratch)
        yield from self._bindings("self" if bare else "trainer", is_loop)
        factors, body = self._body
        yield from lines_of(factors, comments=Comments(_of_numbers, silent))
        inside = lines_of(body, comments=Comments(comment, silent))
        if bare:
            yield from _over_parameters([*self.state, *self.scratch])
        elif self.scratch:
            yield f"for {', '.join(dict.fromkeys((*self.arrays.values(), *self.scratch)))} in trainer._parts:"
        yield from (f"    {line}" if is_loop else line for line in inside)

    @cached_property
    def _body(self) -> tuple[list[Block], list[Block]]:
        return self.written()

    def written(self) -> tuple[list[Block], list[Block]]:
        """Return the instructions that compute the factors of equations, and those for arrays."""
        numbers, arrays = [], []
        factors = Factors(self.arrays, _POSITIVE)
        for step in self.steps:
            known = set(factors.values)
            rhs = factors.gathered(_folded(step.rhs) if self.folds_rate else step.rhs)
            own = [
                i
                for factor, value in factors.values.items()
                if factor not in known
                for i in self._writer.scalar(factor.name, self._number(value, factors), weighted=False)
            ]
            name = _NAMES.get(step.target, step.target)
            numbers += [Block(name, tuple(own), step.number)] if own else []
            array = self._writer.assign(name, self._operation(rhs, factors))
            arrays.append(Block(name, tuple(array), step.number))
        return numbers, arrays

    @property
    def _writer(self) -> BufferWriter:
        return BufferWriter({}, self.workspace)

    def _bindings(self, owner: str, is_loop: bool) -> Iterator[str]:
        """Yield the local names of arrays and hyper-parameters."""
        if not is_loop:
            yield f"{', '.join((*self.state, 'parameters', 'gradient'))} = {owner}._rows"
        read = set().union(*(step.rhs.free_symbols for step in self.steps))
        for name in self.optimizer.defaults:
            if name != RATE.name and scalar(name) in read:
                yield f"{name} = {owner}.{name}"
        if STEP in read:
            yield f"steps = {owner}.steps + 1"

    @cached_property
    def arrays(self) -> dict[Symbol, str]:
        """The symbols of what there is for each parameter, new values too, with their names in the code."""
        names = {name: name for name in self.state} | _NAMES
        return {s: names[n] for n in names for s in (scalar(n), new_value(n))}

    @property
    def decaying(self) -> str | None:
        """The first state, where it fades without derivatives and is as large as they are."""
        first = self.steps[0]
        fades = first.rhs.has(scalar(first.target)) and first.rhs.diff(DERIVATIVE).is_number
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

        quotients = {
            Operation(Kind.ARRAY, (), q.name): lowered(value) for q, value in factors.quotients.items()
        }
        return lowered(rhs).replaced(quotients)

    def _scalars(self, factors: Factors) -> dict[Symbol, str]:
        symbols = (*map(scalar, self.optimizer.defaults), *factors.values)
        return {**{symbol: symbol.name for symbol in symbols}, RATE: "rate", STEP: "steps"}


def _of_numbers(number: int) -> Iterable[str]:
    """Return the comment above the factors of an equation."""
    return (f"# the numbers in ({number})",)


def _over_parameters(others: Sequence[str]) -> list[str]:
    """Return the lines that begin a loop over the arrays of each parameter."""
    arrays = "self.parameters.values(), self._derivatives.values()" + ", *self._state" * bool(others)
    begin = f"for {', '.join(('parameters', 'gradient', *others))} in zip("
    line = f"{begin}{arrays}):"
    return [line] if len(line) <= COLUMNS else [begin, f"    {arrays}", "):"]


_NAMES = {"w": "parameters", "g": "gradient"}
_POSITIVE = {1 - power for name in BELOW_ONE for power in (scalar(name), scalar(name) ** STEP)}


def _folded(expression: Expr) -> Expr:
    """Return ``expression`` with learning rate times derivative as one quantity."""
    return expression.subs(RATE * DERIVATIVE, DERIVATIVE)
