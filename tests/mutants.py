"""Derivations broken on purpose: every step of a derivation, changed in every way that is well formed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, permutations

from sympy import (
    Add,
    Derivative,
    Dummy,
    Expr,
    Indexed,
    Integer,
    KroneckerDelta,
    Mul,
    Pow,
    Sum,
    Symbol,
    Tuple,
    expand,
    true,
)
from sympy.core.relational import Relational

from symbackprop.equations.steps import Derived, Step
from symbackprop.proof.prover import Prover

LOSS = Symbol("E", real=True)


def survivors(derivation: Derived, per_step: int | None, seed: int = 0) -> tuple[int, list[str]]:
    """Return how many mutants of a derivation were tried, and those that were not caught.

    Without ``per_step`` these are all mutants of each step, else so many, chosen at random.
    """
    prover = Prover(derivation)
    choose = None if per_step is None else random.Random(seed)
    count, alive = 0, []
    for step in (*derivation.steps, *derivation.stable, *derivation.batch):
        tried = 0
        for what, mutant in islice(Mutator(derivation, step).mutants(choose), per_step):
            tried += 1
            if prover.prove_step(replace(step, rhs=mutant)).holds:
                alive.append(f"({step.number}) {step.rule}: {step.lhs} = {step.rhs}: {what}")
        assert tried, f"no mutant of {step}"
        count += tried
    return count, alive


class Mutator:
    """Breaks one step in every way that is still a well-formed expression.

    A mutant that is the same mathematics is none; ``is_same`` decides that without the prover.
    """

    def __init__(self, derivation: Derived, step: Step) -> None:
        self.system = derivation.system
        self.step = step
        self.local = {
            (s.lhs.expr.base, s.lhs.variables[0].base): s
            for s in derivation.steps
            if is_local(s) and isinstance(s.lhs.expr, Indexed)
        }
        self.ranges = self._ranges(step.lhs)
        self.original = self.canonical(step.rhs)

    def mutants(self, choose: random.Random | None = None) -> Iterator[tuple[str, Expr]]:
        """Yield the mutants, each with what was changed; in random order where ``choose`` is given."""
        changes = {mutant: what for what, mutant in self._whole(self.step.rhs) if mutant != self.step.rhs}
        ordered = list(changes.items())
        if choose is not None:
            choose.shuffle(ordered)
        for mutant, what in ordered:
            # what is shifted reads beyond the end of an array somewhere
            if "shifted" in what or not self.is_same(mutant):
                yield f"{what} -> {mutant}", mutant

    def is_same(self, mutant: Expr) -> bool:
        """Whether a mutant is equal by renaming, commuting and expanding, and by what holds anyway.

        That is: the local derivatives, the facts, the definition of the target, and conditions that are
        true of all indices.
        """
        return bool(expand(self.canonical(mutant) - self.original) == 0)

    def _ranges(self, lhs: Expr) -> dict[Symbol, Expr]:
        components = [lhs] if not isinstance(lhs, Derivative) else [lhs.expr, lhs.variables[0]]
        found: dict[Symbol, Expr] = {}
        for read in (read for component in components for read in sorted(component.atoms(Indexed), key=str)):
            free = set().union(*(component.free_symbols for component in components))
            found.update((i, n) for i, n in zip(read.indices, read.base.shape, strict=True) if i in free)
        return {i: n for i, n in found.items() if isinstance(i, Symbol)}

    def _whole(self, rhs: Expr) -> Iterator[tuple[str, Expr]]:
        yield "sign of the whole", -rhs
        yield "coefficient of the whole", 2 * rhs
        yield from self._inside(rhs, self.ranges)

    def _inside(self, node: Expr, scope: dict[Symbol, Expr]) -> Iterator[tuple[str, Expr]]:
        """Yield what ``node`` becomes when it, or a part of it, is changed."""
        if isinstance(node, Indexed):
            yield from self._read(node, scope)
            return
        if isinstance(node, KroneckerDelta):
            for position, part in enumerate(node.args):
                for what, new in self._index(part, self._extent(node.args, scope), scope):
                    yield f"delta's index: {what}", replaced(node, position, new)
            return
        if isinstance(node, Relational):
            yield "left of a condition raised", node.func(node.lhs + 1, node.rhs)
            yield "left of a condition lowered", node.func(node.lhs - 1, node.rhs)
            return
        yield from self._node(node)
        if isinstance(node, Sum):
            scope = {**scope, **{limit[0]: limit[2] + 1 for limit in node.limits}}
            for what, new in self._inside(node.function, scope):
                yield what, node.func(new, *node.limits)
            return
        if isinstance(node, Derivative):
            yield from self._derivative(node, scope)
            return
        for position, part in enumerate(node.args):
            for what, new in self._inside(part, scope):
                yield what, replaced(node, position, new)

    def _node(self, node: Expr) -> Iterator[tuple[str, Expr]]:
        """Yield changes of the node itself: signs, factors, exponents, coefficients, ranges."""
        if isinstance(node, Add):
            for position, term in enumerate(node.args):
                yield f"sign of {term}", replaced(node, position, -term)
                yield f"coefficient of {term}", replaced(node, position, 2 * term)
        if isinstance(node, Mul):
            for position, factor in enumerate(node.args):
                yield f"without {factor}", replaced(node, position, Integer(1))
        if isinstance(node, Pow) and node.exp.is_number:
            yield "exponent", Pow(node.base, node.exp + 1)
        if isinstance(node, Sum):
            for position, (symbol, low, high) in enumerate(node.limits, start=1):
                yield "shorter sum", replaced(node, position, Tuple(symbol, low, high - 1))

    def _derivative(self, node: Derivative, scope: dict[Symbol, Expr]) -> Iterator[tuple[str, Expr]]:
        output, target = node.expr, node.variables[0]
        if isinstance(output, Indexed):
            for what, new in self._read(output, scope):
                yield what, Derivative(new, target)
        for what, new in self._read(target, scope) if isinstance(target, Indexed) else ():
            yield what, Derivative(output, new)

    def _read(self, read: Indexed, scope: dict[Symbol, Expr]) -> Iterator[tuple[str, Expr]]:
        """Yield the read with two indices swapped, or one of them replaced."""
        indices = list(read.indices)
        for first in range(len(indices)):
            for second in range(first):
                swapped = list(indices)
                swapped[first], swapped[second] = indices[second], indices[first]
                yield f"swapped in {read}", read.base[tuple(swapped)]
        for position, extent in enumerate(read.base.shape):
            for what, new in self._index(indices[position], extent, scope):
                changed = [*indices[:position], new, *indices[position + 1 :]]
                yield f"{what} in {read}", read.base[tuple(changed)]

    def _index(
        self, node: Expr, extent: Expr | None, scope: dict[Symbol, Expr]
    ) -> Iterator[tuple[str, Expr]]:
        yield f"{node} shifted up", node + 1
        yield f"{node} shifted down", node - 1
        for other, own in scope.items():
            if other != node and extent is not None and expand(own - extent) == 0:
                yield f"{node} replaced by {other}", other

    def _extent(self, indices: tuple[Expr, ...], scope: dict[Symbol, Expr]) -> Expr | None:
        return next((scope[index] for index in indices if index in scope), None)

    def canonical(self, expression: Expr) -> Expr:
        """Return the form that equal expressions share."""
        if not is_local(self.step):
            expression = self._with_local_derivatives(expression)
            definition = self.system.definitions.get(self.step.target)
            if definition is not None:  # a derivative with respect to it stays
                kept = {node: Dummy() for node in expression.atoms(Derivative)}
                back = {dummy: node for node, dummy in kept.items()}
                expression = (
                    expression.xreplace(kept).xreplace({definition.lhs: definition.rhs}).xreplace(back)
                )
        scope = {**self.ranges, **self._bound(expression)}
        for condition in sorted(expression.atoms(Relational), key=str):
            if always_holds(condition, scope):
                expression = expression.xreplace({condition: true})
        return self._renamed(expand(expression), 0)

    def _with_local_derivatives(self, expression: Expr) -> Expr:
        """Put in what the derivation found for local derivatives, at other indices too."""
        for node in sorted(expression.atoms(Derivative), key=str):
            output, target = node.expr, node.variables[0]
            if not (isinstance(output, Indexed) and isinstance(target, Indexed)):
                continue
            known = self.local.get((output.base, target.base))
            if known is not None:
                names = zip(
                    (*known.lhs.expr.indices, *known.lhs.variables[0].indices),
                    (*output.indices, *target.indices),
                    strict=True,
                )
                mapping = dict(names)
                fresh = {limit[0]: Dummy(integer=True) for s in known.rhs.atoms(Sum) for limit in s.limits}
                if len(mapping) == len(set(mapping)) and self._fits(known, mapping, node):
                    expression = expression.xreplace({node: known.rhs.xreplace(fresh).xreplace(mapping)})
        return expression

    def _fits(self, known: Step, mapping: dict[Expr, Expr], node: Derivative) -> bool:
        """Whether the known left-hand side becomes ``node`` (a diagonal one does not fit elsewhere)."""
        return bool(known.lhs.expr.xreplace(mapping) == node.expr) and bool(
            known.lhs.variables[0].xreplace(mapping) == node.variables[0]
        )

    def _bound(self, expression: Expr) -> dict[Symbol, Expr]:
        return {limit[0]: limit[2] + 1 for total in expression.atoms(Sum) for limit in total.limits}

    def _renamed(self, node: Expr, depth: int) -> Expr:
        """Rename bound indices by depth; of several limits, in the order that spells smallest."""
        if isinstance(node, Indexed) or not node.args:
            return node
        if not isinstance(node, Sum):
            node = node.func(*[self._renamed(part, depth) for part in node.args])
            return self._without_delta(node) if isinstance(node, Mul) else node
        candidates = []
        for order in permutations(node.limits):
            names = {limit[0]: Symbol(f"bound{depth + n}", integer=True) for n, limit in enumerate(order)}
            limits = [Tuple(names[limit[0]], limit[1], limit[2]) for limit in order]
            body = self._renamed(expand(node.function.xreplace(names)), depth + len(order))
            candidates.append(Add(*[self._sum(term, limits) for term in Add.make_args(body)]))
        return min(candidates, key=str)

    def _sum(self, term: Expr, limits: list[Tuple]) -> Expr:
        """Return the sum of one term: its constant factors outside, and facts used."""
        bound = {limit[0] for limit in limits}
        inner = Mul(*[f for f in Mul.make_args(term) if f.free_symbols & bound])
        outer = Mul(*[f for f in Mul.make_args(term) if not f.free_symbols & bound])
        for fact in self.system.facts if len(limits) == 1 and isinstance(inner, Indexed) else ():
            summed = (limits[0][0], limits[0][2] + 1)
            axis = fact.axis
            if inner.base == fact.component.base and summed == (inner.indices[axis], inner.base.shape[axis]):
                return outer * fact.value
        if inner == 1:
            return outer * Mul(*[limit[2] + 1 for limit in limits])
        return outer * Sum(inner, *limits)

    def _without_delta(self, product: Mul) -> Expr:
        """Use a Kronecker delta on the other factors: δ_ik f_i and δ_ik f_k are the same."""
        for delta in (f for f in product.args if isinstance(f, KroneckerDelta)):
            first, second = sorted(delta.args, key=lambda index: (isinstance(index, Symbol), str(index)))
            if isinstance(second, Symbol):
                others = [f.xreplace({second: first}) for f in product.args if f != delta]
                return delta * Mul(*others)
        return product


def always_holds(condition: Relational, ranges: dict[Symbol, Expr]) -> bool:
    """Whether a ≥ between indices holds over their whole ranges."""
    difference = expand(condition.gts - condition.lts) if hasattr(condition, "gts") else Integer(-1)
    if not all(symbol.is_integer for symbol in difference.free_symbols) or not condition.is_Relational:
        return False
    for i in sorted(difference.free_symbols & set(ranges), key=str):
        lowest = 0 if difference.coeff(i).is_positive else ranges[i] - 1
        difference = expand(difference.xreplace({i: Integer(0) + lowest}))
    return bool(difference.is_nonnegative)


def is_local(step: Step) -> bool:
    return isinstance(step.lhs, Derivative) and step.lhs.expr != LOSS


def replaced(node: Expr, position: int, new: Expr) -> Expr:
    """Return ``node`` with one of its arguments exchanged."""
    return node.func(*[new if n == position else part for n, part in enumerate(node.args)])
