"""Under which assumptions a step is tried, and which equations decide it.

In go a ``Statement`` and the ``Structure``, out come ``Setting``s and, for each of them, a ``Scope``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations

from sympy import Derivative, Expr, Indexed, Symbol

from symbackprop.proof.statement import Statement, differentiated, is_loss
from symbackprop.proof.structure import Structure, parts_of


@dataclass(frozen=True)
class Setting:
    """The means that a step may use: facts (by number), the definition of its own target, with ``opened`` the
    definitions of the adjoints that it does not mention, in place of free cotangents, and with ``valued``
    the definitions of its reads: a folded step holds for their values alone.  With ``whole`` only
    inputs and parameters are free."""

    facts: tuple[int, ...] = ()
    own: bool = False
    opened: bool = False
    valued: bool = False
    whole: bool = False


def settings_of(statement: Statement, structure: Structure) -> Iterator[Setting]:
    """Yield settings from the strictest to the most lenient; each is true of the network."""
    claimed = statement.step.rule == "claim"  # by a person, who may write anything in any form
    opened = claimed or statement.is_batch or statement.step.rule in ("substitution", "stable form")
    scope = Scope.of(statement, Setting((), False, opened), structure)
    read = scope.names_read(statement, structure)
    valued = statement.kind == "total" and bool(scope.tied(statement, structure))
    own = statement.kind == "definition" or _own_definition_matters(statement, read, structure)
    facts = [n for n, fact in enumerate(structure.system.facts) if str(fact.component.base.name) in read]
    for count in range(len(facts) + 1):
        for chosen in combinations(facts, count):
            for with_opened in (False, True)[: 1 + opened]:
                for with_own in (False, True)[: 1 + own]:
                    yield from (
                        Setting(chosen, with_own, with_opened, v) for v in (False, True)[: 1 + valued]
                    )
        # What a stable form reads as an adjoint it may also have inserted, so that neither is free; that of
        # a batch is the mean of one.
        inserted = claimed or statement.is_batch or statement.step.rule == "stable form"
        if inserted and statement.kind != "definition":
            yield from (Setting(chosen, True, True, whole=True) for chosen in combinations(facts, count))


def _own_definition_matters(statement: Statement, read: set[str], structure: Structure) -> bool:
    """Whether the target's definition ties it to others that are read: Σ (x - mean) is 0."""
    target = _target_name(statement)
    if target not in structure.definitions:
        return False
    return not read.isdisjoint(structure.names_read(structure.definitions[target].rhs))


def _target_name(statement: Statement) -> str | None:
    """Return the quantity whose total derivative a step is about."""
    if statement.kind != "total" or statement.target is None:
        return None
    return parts_of(statement.target)[0]


@dataclass(frozen=True)
class Scope:
    """The part of the network that decides a statement.

    ``pairs`` are the derivatives that count, as (consumer, quantity that it reads); ``computed`` the
    quantities that have the values of their definitions, in order, while all others are free;
    ``inner`` the quantities whose adjoint is derived instead of free, from the loss inwards;
    ``places`` the integer quantities with an equation, which give the indices that are read.
    """

    pairs: tuple[tuple[str, str], ...]
    computed: tuple[str, ...]
    inner: tuple[str, ...]
    facts: tuple[int, ...]
    places: tuple[str, ...] = ()

    @staticmethod
    def of(statement: Statement, setting: Setting, structure: Structure) -> Scope:
        """Return the scope of ``statement`` under ``setting``."""
        if statement.kind == "definition":
            scope = _scope_of_definition(statement, setting, structure)
        else:
            scope = _ScopeBuilder(statement, setting, structure).build()
        if setting.valued:
            computed = {*scope.computed, *scope.tied(statement, structure)}
            scope = replace(scope, computed=tuple(sorted(computed, key=structure.position.__getitem__)))
        return replace(scope, places=scope._places(statement, structure)) if structure.places else scope

    def _places(self, statement: Statement, structure: Structure) -> tuple[str, ...]:
        """Return the integer quantities with an equation that are read here, or by another of them."""
        found, pending = set(), self.names_read(statement, structure)
        while pending:
            name = pending.pop()
            if name in structure.places and name not in found:
                found.add(name)
                pending.update(structure.names_read(structure.places[name].rhs))
        return tuple(name for name in structure.places if name in found)

    def is_free(self, name: str, structure: Structure) -> bool:
        """Whether the adjoint of ``name`` is a free cotangent."""
        return name in structure.named and name not in self.inner

    def tied(self, statement: Statement, structure: Structure) -> set[str]:
        """Return the quantities read by the step whose definitions tie them to others that are read."""
        read = self.names_read(statement, structure)
        claimed = set(structure.names_read(statement.step.rhs)) & structure.definitions.keys()
        free = claimed - set(self.computed) - structure.places.keys()
        return {
            name for name in free if read.issuperset(structure.names_read(structure.definitions[name].rhs))
        }

    def names_read(self, statement: Statement, structure: Structure) -> set[str]:
        """Return the names of all quantities that the step or its equations read."""
        expressions = [structure.definitions[name].rhs for name in self.computed]
        for pair in self.pairs:
            expressions.extend(structure.terms.get(pair, ()))
        expressions.append(statement.step.rhs)
        return {name for expression in expressions for name in structure.names_read(expression)}


class _ScopeBuilder:
    """Follows the readers of a target outwards until their adjoints are free cotangents."""

    def __init__(self, statement: Statement, setting: Setting, structure: Structure) -> None:
        self.statement = statement
        self.setting = setting
        self.structure = structure
        self.pairs: dict[tuple[str, str], None] = {}
        self.computed: set[str] = set()
        self.inner: set[str] = set()
        self.followed: set[str] = set()
        self.mentioned = set(structure.named)
        if setting.opened:
            self.mentioned &= _adjoints_mentioned(statement.step.rhs, structure)
        if setting.whole:
            self.mentioned = set()
            real = structure.position.keys() - structure.places.keys() - {structure.loss}
            self.computed = {name for name in structure.definitions if name in real}

    def build(self) -> Scope:
        """Return the scope."""
        target = _target_name(self.statement)
        step = self.statement.step
        if isinstance(step.lhs, Derivative):
            self._add_derivative(step.lhs)
        for derivative in sorted(step.rhs.atoms(Derivative), key=str):
            self._add_derivative(derivative)
        pending = [*self.inner, *([target] if target is not None else ())]
        while pending:
            pending.extend(self._follow(pending.pop()))
        if self.setting.own and target in self.structure.definitions:
            self.computed.add(target)
        position = self.structure.position
        return Scope(
            pairs=tuple(self.pairs),
            computed=tuple(sorted(self._needed(), key=position.__getitem__)),
            inner=tuple(sorted(self.inner, key=lambda name: -position.get(name, -1))),
            facts=self.setting.facts,
        )

    def _needed(self) -> set[str]:
        """Return those of the computed quantities whose values are read, by the step or by a derivative."""
        structure = self.structure
        pending = structure.names_read(self.statement.step.rhs)
        for pair in self.pairs:
            for term in structure.terms.get(pair, ()):
                pending.extend(structure.names_read(term))
        found: set[str] = set()
        while pending:
            name = pending.pop()
            if name in self.computed and name not in found:
                found.add(name)
                pending.extend(structure.names_read(structure.definitions[name].rhs))
        return found

    def _add_pair(self, consumer: str, name: str) -> None:
        self.pairs[consumer, name] = None
        if consumer != self.structure.loss:  # nothing reads the value of the loss
            self.computed.add(consumer)

    def _add_derivative(self, derivative: Derivative) -> None:
        """Add the quantities that a derivative on the right-hand side depends on."""
        output, target = differentiated(derivative)
        name = parts_of(target)[0]
        if not isinstance(output, (Indexed, Symbol)):
            return
        consumer = parts_of(output)[0]
        if consumer == self.structure.loss:
            if name not in self.mentioned and derivative != self.statement.step.lhs:
                self.inner.add(name)
        elif self.structure.is_differentiated_through(consumer, name):
            self._add_pair(consumer, name)

    def _follow(self, name: str) -> Iterator[str]:
        """Go from one quantity to its readers; yield those whose adjoint is not free."""
        if name in self.followed:
            return
        self.followed.add(name)
        for consumer in self.structure.readers.get(name, ()):
            self._add_pair(consumer, name)
            if consumer != self.structure.loss and consumer not in self.mentioned:
                self.inner.add(consumer)
                yield consumer


def _adjoints_mentioned(expression: Expr, structure: Structure) -> set[str]:
    """Return the quantities whose adjoints stand in ``expression``, named or as a derivative."""
    components = expression.atoms(Indexed) | expression.atoms(Symbol)
    found = {structure.adjoint_of(component) for component in components}
    for derivative in expression.atoms(Derivative):
        output, target = differentiated(derivative)
        if is_loss(output, structure):
            found.add(parts_of(target)[0])
    return {name for name in found if name is not None}


def _scope_of_definition(statement: Statement, setting: Setting, structure: Structure) -> Scope:
    """Return the scope of another form of a definition.

    The quantities that it reads are free, unless ``setting.own`` asks for the values of all definitions.
    """
    assert statement.output is not None
    stop = set() if setting.own else set(structure.names_read(statement.step.rhs))
    computed = set()
    pending = [parts_of(statement.output)[0]]
    if setting.own:
        pending.extend(structure.names_read(statement.step.rhs))
    while pending:
        name = pending.pop()
        if name in structure.definitions and name not in computed:
            computed.add(name)
            read = structure.names_read(structure.definitions[name].rhs)
            pending.extend(each for each in read if each not in stop)
    ordered = tuple(sorted(computed, key=structure.position.__getitem__))
    return Scope((), ordered, (), setting.facts)
