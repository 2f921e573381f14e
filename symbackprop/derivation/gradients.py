"""Derivatives as values: each ``gradient`` in the equations of a network becomes equations of its own.

A derivation ends in equations of the language that it began with.  So ∂u/∂x is derived for a ``u`` as for an
error, and the adjoints on the way are quantities like all others: the error is derived through them without
knowing what they are, and so is the next ``gradient``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from sympy import Basic, Expr, Indexed, Symbol

from symbackprop.derivation.adjoints import Lifted, Root, adjoints_of
from symbackprop.equations.circles import circles_of, in_order
from symbackprop.equations.indices import open_sum, rebound
from symbackprop.equations.letters import Letters
from symbackprop.equations.naming import free_name
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import (
    BINDERS,
    Equation,
    EquationSystem,
    Gradient,
    PartialDerivative,
    Quantity,
    Role,
    WrittenGradient,
    indices_of,
    is_size,
    name_of,
)


@dataclass(frozen=True)
class Closed:
    """A system without a ``gradient``, and the derivations that stand behind its derivatives."""

    system: EquationSystem
    inner: tuple[Derived, ...] = ()


def closed(system: EquationSystem) -> Closed:
    """Return a system in which what each ``gradient`` stands for is written out.

    Raises:
        UnsupportedExpression: an expression that the calculus does not know.
    """
    if not any(equation.rhs.has(Gradient) for equation in system.equations):
        return Closed(system)
    return _Closing(system).run()


@dataclass
class _Closing:
    """Writes out the gradients of a system, one equation after the other."""

    given: EquationSystem
    equations: list[Equation] = field(default_factory=list)
    asked: dict[Root, list[str]] = field(default_factory=dict)
    passes: dict[Root, Lifted] = field(default_factory=dict)
    named: dict[tuple[object, ...], Quantity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.letters = Letters(self.given)
        self.quantities = dict(self.given.quantities)
        self.roles = dict(self.given.roles)
        self.derivatives = dict(self.given.derivatives)
        for equation in self.given.equations:
            for node in gradients_in(equation.rhs):
                names = self.asked.setdefault(Root.of(node.of), [])
                names += [name for name in [name_of(node.to)] if name not in names]

    def run(self) -> Closed:
        """Return the system, its equations in order, and the derivations, numbered behind them."""
        for equation in self.given.equations:
            self.equations.append(self._written_out(equation))
        system = self._system()
        if circles_of(system.equations, system.reads):
            system = replace(system, equations=tuple(in_order(system.equations, system.reads)))
        labels = {e.name: number for number, e in enumerate(system.equations, start=1)}
        number, inner = len(labels) + 1, []
        for each in self.passes.values():
            if each.derived is not None:
                inner.append(numbered(each.derived, labels, number))
                number += len(each.derived.steps)
        return Closed(system, tuple(inner))

    def _system(self) -> EquationSystem:
        """Return the system as far as it is written out."""
        return replace(
            self.given,
            equations=tuple(self.equations),
            quantities=self.quantities,
            roles=self.roles,
            derivatives=self.derivatives,
        )

    def _written_out(self, equation: Equation) -> Equation:
        """Return an equation without gradients; those that these need are entered before it."""
        nodes = list(gradients_in(equation.rhs))
        if not nodes:
            return equation
        if isinstance(equation.rhs, Gradient):
            node = equation.rhs
            named = PartialDerivative(equation.lhs, node.of, node.to, is_named=True)
            self.derivatives.setdefault(equation.name, named)
            return Equation(*self.letters.equation(equation.lhs, self._value(node)))
        values: dict[Expr, Expr] = {node: self._component(node) for node in nodes}
        return Equation(*self.letters.equation(equation.lhs, _replaced(equation.rhs, values)))

    def _value(self, node: Gradient) -> Expr:
        """Return the derivative that a node stands for, in the letters of the node."""
        root = Root.of(node.of)
        if root not in self.passes:
            self.passes[root] = adjoints_of(self._system(), root, self.asked[root], self._taken())
            for equation, meaning, role in self.passes[root].equations:
                self._define(equation, meaning, role)
        return self.passes[root].at(node)

    def _component(self, node: Gradient) -> Expr:
        """Return a component that is the derivative, of a quantity that is defined for it where it is none.

        What is read at a computed place stays where it is, as what is around it may guard it.
        """
        value = self._value(node)
        indices = (*indices_of(node.of), *indices_of(node.to))
        if (
            value.is_Atom
            or isinstance(node, WrittenGradient)
            or isinstance(value, Indexed)
            or not all(i.is_Integer or is_letter(i) for i in indices)
        ):
            return value
        letters = tuple(dict.fromkeys(i for i in indices if is_letter(i)))
        pattern = tuple(i if i.is_Integer else letters.index(i) for i in indices)
        key = name_of(node.of), name_of(node.to), pattern
        if key not in self.named:
            self.named[key] = self._new(node, letters, value)
        return self.named[key].at(letters)

    def _new(self, node: Gradient, letters: Sequence[Symbol], value: Expr) -> Quantity:
        """Define a quantity for a derivative."""
        ends = [str(i) for each in (node.of, node.to) for i in indices_of(each) if i.is_Integer]
        name = "_".join([f"d{name_of(node.of)}_d{name_of(node.to)}", *ends])
        sizes: dict[Expr, Expr] = {}
        for each in (node.to, node.of):
            sizes |= dict(zip(indices_of(each), self.quantities[name_of(each)].shape, strict=True))
        quantity = Quantity(free_name(name, self._taken()), tuple(sizes[i] for i in letters))
        lhs = quantity.at(letters)
        meaning = PartialDerivative(lhs, node.of, node.to)
        self._define(Equation(lhs, self.letters.settled(value, map(str, letters))), meaning, None)
        return quantity

    def _taken(self) -> set[str]:
        """Return the names that nothing new may have."""
        sizes = {s.name for q in self.quantities.values() for n in q.shape for s in n.free_symbols}
        symbols = {s.name for e in self.given.equations for s in e.rhs.free_symbols}
        return {*self.quantities, *sizes, *symbols}

    def _define(self, equation: Equation, meaning: PartialDerivative, role: Role | None) -> None:
        shape = tuple(equation.lhs.base.shape) if isinstance(equation.lhs, Indexed) else ()
        self.quantities[equation.name] = Quantity(equation.name, shape)
        self.derivatives[equation.name] = meaning
        if role is not None:
            self.roles[equation.name] = role
        self.equations.append(equation)


def is_letter(index: Expr) -> bool:
    """Whether an index is a plain letter."""
    return isinstance(index, Symbol) and not is_size(index) and type(index) is Symbol


def gradients_in(expression: Basic) -> Iterator[Gradient]:
    """Yield each gradient in an expression once, in the order of its tree."""
    seen: set[Gradient] = set()
    pending = [expression]
    while pending:
        node = pending.pop()
        if isinstance(node, Gradient):
            if node not in seen:
                seen.add(node)
                yield node
        elif node.has(Gradient):
            pending += reversed(node.args)


def _replaced(expression: Expr, values: dict[Expr, Expr]) -> Expr:
    """Return ``expression`` with values for its gradients, whose bound indices may have any letters.

    Not by ``xreplace``: a plain sum takes choices out of the sums in a value, without their indices.
    """
    if expression in values:
        return _opened(values[expression])
    if not expression.has(Gradient):
        return expression
    if isinstance(expression, BINDERS):
        ranges = [(i, high + 1) for i, _, high in expression.limits]
        return rebound(expression, _replaced(expression.function, values), ranges)
    return expression.func(*(_replaced(argument, values) for argument in expression.args))


def _opened(expression: Expr) -> Expr:
    """Return ``expression`` with fresh indices in place of the bound ones."""
    if not expression.has(*BINDERS):
        return expression
    if isinstance(expression, BINDERS):
        body, ranges = open_sum(expression)
        return rebound(expression, _opened(body), ranges)
    return expression.func(*map(_opened, expression.args))


def numbered(derived: Derived, labels: dict[str, int], first: int) -> Derived:
    """Return a derivation whose equations have the numbers of those that they come from."""
    steps = tuple(step.under(number) for number, step in enumerate(derived.steps, start=first))
    new = {old.number: step.number for old, step in zip(derived.steps, steps, strict=True)}
    results = {name: new[number] for name, number in derived.results.items()}
    known = {**labels, derived.system.loss: labels.get(name_of(derived.root), 1)}
    own = {e.name: known[e.name] for e in derived.system.equations}
    return replace(derived, steps=steps, results=results, labels=own)
