"""Signatures of goals: equal where goals differ in names only, so that equal layers are derived once.

The names of quantities, sizes and indices are replaced in the order in which a walk meets them; the
outcome of the canonical goal is renamed back.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from sympy import Basic, Expr, IndexedBase, Symbol

from symbackprop.derivation.calculus.rule import SPARE, Consumer, Goal, Outcome, work_out
from symbackprop.equations.indices import renamed
from symbackprop.equations.naming import LETTERS
from symbackprop.equations.signature import Signature
from symbackprop.equations.system import Equation, Fact, Quantity, index, is_index, is_size, scalar, size


@dataclass
class Naming(Signature):
    """The canonical name of each name, in the order of first appearance."""

    known: Mapping[str, Quantity]
    names: dict[Basic, Basic] = field(default_factory=dict)
    letters: list[Symbol] = field(default_factory=list)

    def named(self, node: Basic) -> Hashable | None:
        """Return the canonical name of a symbol or of a quantity; None for an expression of parts."""
        if node not in self.names:
            if isinstance(node, IndexedBase):
                self._quantity(self.known[str(node.name)])
            elif isinstance(node, Symbol):
                self._symbol(node)
            elif node.args:
                return None
        found: Hashable = self.names.get(node, node)
        return found

    def _symbol(self, symbol: Symbol) -> None:
        if symbol.name in self.known and symbol == self.known[symbol.name].symbol:
            self._quantity(self.known[symbol.name])
        elif is_size(symbol):
            self.names[symbol] = _canonical_size(len(self.names))
        elif is_index(symbol):
            self.letters.append(symbol)
            self.names[symbol] = _canonical_index(len(self.letters))
        elif symbol == scalar(symbol.name):  # a constant
            self.names[symbol] = scalar(f"_.c{len(self.names)}")

    def _quantity(self, quantity: Quantity) -> None:
        for n in quantity.shape:
            self.of(n)
        shape = tuple(n.xreplace(self.names) for n in quantity.shape)
        new = _canonical_quantity(f"_.q{len(self.names)}", shape, quantity.integer)
        self.names[_name(quantity)] = _name(new)

    def quantity(self, quantity: Quantity) -> Quantity:
        """Return the canonical quantity."""
        name = _name(quantity)
        self.of(name)
        shape = tuple(n.xreplace(self.names) for n in quantity.shape)
        return _canonical_quantity(str(self.names[name].name), shape, quantity.integer)

    def equation(self, equation: Equation) -> Equation:
        """Return the canonical equation."""
        self.of(equation.lhs)
        self.of(equation.rhs)
        return Equation(renamed(equation.lhs, self.names), renamed(equation.rhs, self.names))

    def fact(self, fact: Fact) -> Fact:
        """Return the canonical fact."""
        self.of(fact.component)
        return Fact(fact.component.xreplace(self.names), fact.index.xreplace(self.names), fact.value)

    def consumer(self, consumer: Consumer) -> Consumer:
        """Return the canonical consumer."""
        equation = self.equation(consumer.equation)
        adjoint = self.quantity(consumer.adjoint) if consumer.adjoint else None
        definition = self.equation(consumer.definition) if consumer.definition else None
        return Consumer(equation, adjoint, definition, consumer.stays_apart)

    def signature(self, goal: Goal) -> Hashable:
        """Return the signature of ``goal``, equal for all goals with the same canonical goal."""
        counts = len(goal.consumers), len(goal.facts), len(goal.known)
        apart = tuple(consumer.stays_apart for consumer in goal.consumers)
        return goal.is_leaf, apart, *counts, *[e if e is None else self.of(e) for e in _expressions(goal)]

    def goal(self, goal: Goal) -> Goal:
        """Return the canonical goal."""
        quantity, adjoint = self.quantity(goal.quantity), self.quantity(goal.adjoint)
        for i in goal.indices:
            self.of(i)
        consumers = tuple(self.consumer(c) for c in goal.consumers)
        facts = tuple(self.fact(f) for f in goal.facts)
        known = tuple(self.equation(e) for e in goal.known)
        indices = tuple(i.xreplace(self.names) for i in goal.indices)
        letters = tuple(i.xreplace(self.names) for i in self.letters)
        return Goal(quantity, indices, adjoint, consumers, facts, letters, known, goal.is_leaf)

    def back(self, elsewhere: Collection[Symbol] = ()) -> dict[Basic, Basic]:
        """Return the way back, spare letters included: those come first that are not used ``elsewhere``."""
        way = {new: old for old, new in self.names.items()}
        taken = set(self.letters)
        unused = sorted((i for i in LETTERS if i not in taken), key=lambda i: i in elsewhere)
        return {**way, **dict(zip(SPARE, unused, strict=False))}


def _name(quantity: Quantity) -> Basic:
    """Return the base or the symbol that names a quantity in expressions."""
    return quantity.base if quantity.shape else quantity.symbol


def _expressions(goal: Goal) -> Iterator[Expr | None]:
    """Yield the expressions that make up a goal, always as many for a consumer."""
    yield _name(goal.quantity)
    yield _name(goal.adjoint)
    yield from goal.indices
    for consumer in goal.consumers:
        yield from (consumer.equation.lhs, consumer.equation.rhs)
        yield _name(consumer.adjoint) if consumer.adjoint else None
        definition = consumer.definition
        yield from (definition.lhs, definition.rhs) if definition else (None, None)
    for fact in goal.facts:
        yield from (fact.component, fact.index, fact.value)
    for equation in goal.known:
        yield from (equation.lhs, equation.rhs)


# One object for equal names: SymPy takes long to make one, and to find that two are equal.
@lru_cache(maxsize=1024)
def _canonical_quantity(name: str, shape: tuple[Expr, ...], integer: bool) -> Quantity:
    return Quantity(name, shape, integer)


@lru_cache(maxsize=1024)
def _canonical_size(number: int) -> Symbol:
    return size(f"_.n{number}")


@lru_cache(maxsize=1024)
def _canonical_index(number: int) -> Symbol:
    return index(f"_.i{number}")


OUTCOMES: dict[Hashable, Outcome] = {}
"""The last outcomes, for canonical goals, by the signature of the goal."""
MOST_OUTCOMES = 1024


def outcome_of(
    goal: Goal, known: Mapping[str, Quantity], elsewhere: Collection[Symbol] = ()
) -> tuple[Outcome, dict[Basic, Basic]]:
    """Return the outcome for the goal's signature, and the names that make it the goal's own.

    Letters that are used ``elsewhere`` are given to further indices only where no other is left.
    """
    naming = Naming(known)
    signature = naming.signature(goal)
    if signature not in OUTCOMES:
        if len(OUTCOMES) >= MOST_OUTCOMES:
            OUTCOMES.pop(next(iter(OUTCOMES)), None)
        OUTCOMES[signature] = work_out(naming.goal(goal))
    return OUTCOMES[signature], naming.back(elsewhere)
