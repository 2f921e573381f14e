"""Folding back to names: where a result contains the value of a quantity, that quantity is read instead.

A defining equation such as z[b, i] = (x[b, i] - m[b])/r[b] is solved for each thing that it reads once
and linearly: x[b, i] = m[b] + z[b, i] r[b].  The unknown is replaced by that wherever it stands, and
the result is kept if it has fewer operations.  So (x - m)/r³ becomes z/r², and n m - Σ x becomes 0.
Nothing is solved for that would bring in a new denominator: that could be 0 where the equation is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product

from sympy import (
    Add,
    Dummy,
    Expr,
    Function,
    Indexed,
    Mul,
    Piecewise,
    Pow,
    Sum,
    Symbol,
    default_sort_key,
    exp,
    fraction,
    log,
    together,
)
from sympy.core.relational import Relational

from symbackprop.derivation.calculus.algebra import cheapest, operations, tidy, tidy_sums
from symbackprop.derivation.calculus.budget import expand
from symbackprop.equations.indices import canonical, make_sum, open_sum, rebound, rename
from symbackprop.equations.system import BINDERS, ZERO, Equation, is_size


@dataclass(frozen=True)
class _Rule:
    """By ``definition``, ``pattern`` may be written as ``value``, for all values of its indices."""

    definition: Equation
    pattern: Expr
    value: Expr

    @cached_property
    def _read(self) -> set[Expr]:
        return _names(self.pattern)

    @cached_property
    def _cancelled(self) -> set[Expr]:
        """The names that the value reads besides: one of them has to cancel where the value is longer."""
        return _names(self.value) - self._read - _names(self.definition.lhs)

    def may_shorten(self, names: set[Expr]) -> bool:
        """Whether an expression that reads ``names`` may hold the pattern, and get shorter without it."""
        if not self._read <= names:
            return False
        return not isinstance(self.pattern, Indexed) or not self._cancelled.isdisjoint(names)

    def applied(self, node: Expr) -> Expr | None:
        """Return ``node`` with the rule applied, or None where the pattern does not fit it."""
        if isinstance(self.pattern, Mul):
            return self._in_product(node) if isinstance(node, Mul) else None
        if isinstance(self.pattern, Pow) and isinstance(node, Pow):
            return self._as_power(node)
        if type(node) is not type(self.pattern):
            return None
        mapping = self._fit(self.pattern, node)
        return None if mapping is None else rename(self.value, mapping)

    def _as_power(self, node: Pow) -> Expr | None:
        """A pattern b^(1/2) fits b^(3/2) too, which is its third power."""
        times = node.exp / self.pattern.exp
        mapping = self._fit(self.pattern.base, node.base) if times.is_Integer else None
        return None if mapping is None else rename(self.value, mapping) ** times

    def _in_product(self, node: Mul) -> Expr | None:
        """A product fits where all its factors stand in another one."""
        for mapping in self._mappings(self.pattern, node):
            left = list(map(canonical, Mul.make_args(rename(self.pattern, mapping))))
            rest = []
            for factor in node.args:
                if canonical(factor) in left:
                    left.remove(canonical(factor))
                else:
                    rest.append(factor)
            if not left:
                return rename(self.value, mapping) * Mul(*rest)
        return None

    def _fit(self, pattern: Expr, node: Expr) -> dict[Expr, Expr] | None:
        """Return the values of the definition's indices that make the pattern ``node``, None if none do."""
        wanted = canonical(node)
        for mapping in self._mappings(pattern, node):
            if canonical(rename(pattern, mapping)) == wanted:
                return mapping
        return None

    def _mappings(self, pattern: Expr, node: Expr) -> Iterator[dict[Expr, Expr]]:
        """Yield the assignments of the indices that the reads of ``node`` suggest."""
        indices = [i for i in self.definition.indices if i in pattern.free_symbols]
        choices = [sorted(_suggested(pattern, node, i), key=default_sort_key) for i in indices]
        for values in product(*choices):
            yield dict(zip(indices, values, strict=True))


def _names(expression: Expr) -> set[Expr]:
    """Return the names of quantities and constants in an expression, without indices and sizes."""
    return {s for s in expression.atoms(Symbol) if not s.is_integer}


def _suggested(pattern: Expr, node: Expr, i: Symbol) -> set[Expr]:
    """Return the indices at which ``node`` reads where ``pattern`` reads at ``i``."""
    found = set()
    there = node.atoms(Indexed)
    for own in pattern.atoms(Indexed):
        for position, at in enumerate(own.indices):
            if at == i:
                found |= {read.indices[position] for read in there if read.base == own.base}
    return found


@lru_cache(maxsize=1024)
def _rules(definition: Equation) -> tuple[_Rule, ...]:
    """Return the rules that a definition gives."""
    lhs, rhs = definition.lhs, definition.rhs
    free = {i for i in definition.indices if isinstance(i, Symbol)}
    found = []
    for part in _parts(rhs):
        value = _solved(rhs, part, lhs)
        renames = isinstance(part, (Indexed, Symbol)) and isinstance(value, (Indexed, Symbol))
        if value is not None and free <= part.free_symbols and not renames:
            found.append(_Rule(definition, part, value))
            if isinstance(part, log) and free <= part.args[0].free_symbols:
                found.append(_Rule(definition, part.args[0], exp(value)))
    coefficient, rest = rhs.as_coeff_Mul()
    if isinstance(rest, Mul) and free <= rest.free_symbols:
        found.append(_Rule(definition, rest, lhs / coefficient))
    return tuple(found)


@lru_cache(maxsize=1024)
def _rules_of_sums(definition: Equation) -> tuple[_Rule, ...]:
    """Return the values of sums of the quantity that are shorter than these: Σ_j y[j] of a softmax is 1."""
    found = []
    for i, n in definition.ranges.items():
        total = make_sum(definition.lhs, [(i, n)])
        value = tidy(make_sum(definition.rhs, [(i, n)]))
        if operations(value) < operations(total):
            found.append(_Rule(definition, total, value))
    return tuple(found)


def _parts(expression: Expr) -> list[Expr]:
    """Return the components, sums, functions and roots of which ``expression`` is a rational function."""
    if isinstance(expression, (Add, Mul)) or (isinstance(expression, Pow) and expression.exp.is_Integer):
        return list(dict.fromkeys(part for argument in expression.args for part in _parts(argument)))
    is_part = isinstance(expression, (Indexed, Sum, Function, Pow)) and not isinstance(expression, Piecewise)
    return [expression] if is_part else []


def _solved(rhs: Expr, part: Expr, lhs: Expr) -> Expr | None:
    """Return ``part`` where ``lhs = rhs``; None where that is not linear or brings in a denominator."""
    unknown = Dummy("part", real=True)
    flat = rhs.xreplace({part: unknown})
    slope = flat.diff(unknown)
    if slope == 0 or slope.has(unknown, part):
        return None
    rest = flat.xreplace({unknown: ZERO})
    if rest.has(part):
        return None
    if not all(is_size(s) for s in fraction(together(slope))[0].free_symbols):
        return None  # a size is never 0
    return (lhs - rest) / slope


@lru_cache(maxsize=1024)
def fold(expression: Expr, definitions: tuple[Equation, ...]) -> tuple[tuple[Expr, Expr], ...]:
    """Return ever shorter forms of ``expression``, each with the component whose definition gives it."""
    found: list[tuple[Expr, Expr]] = []
    while (shorter := _shorter(found[-1][0] if found else expression, definitions)) is not None:
        found.append(shorter)
    return tuple(found)


def _shorter(expression: Expr, definitions: Sequence[Equation]) -> tuple[Expr, Expr] | None:
    """Return the shortest form that one rule gives, and the quantity folded; None if none is shorter."""
    names, rules = _names(expression), []
    for definition in definitions:
        sums = _rules_of_sums(definition) if _names(definition.lhs) <= names else ()
        rules += [rule for rule in (*_rules(definition), *sums) if rule.may_shorten(names)]
    if not rules:
        return None
    forms = dict.fromkeys((expression, _expanded(expression)))
    replaced = {r: rule for rule in rules[::-1] for form in forms if (r := _replaced(form, rule)) != form}
    tidied = {tidy(tidy_sums(form)): rule.definition.lhs for form, rule in replaced.items()}
    best = cheapest((expression, *tidied))
    return (best, tidied[best]) if operations(best) < operations(expression) else None


def _expanded(expression: Expr) -> Expr:
    """Return ``expression`` multiplied out, also inside of sums."""
    if isinstance(expression, Sum):
        body, ranges = open_sum(expression)
        return rebound(expression, _multiplied_out(_expanded(body)), ranges)
    if not expression.has(Sum):
        return _multiplied_out(expression) if isinstance(expression, Expr) else expression
    whole = expression.func(*[_expanded(argument) for argument in expression.args])
    return _multiplied_out(whole) if isinstance(whole, Expr) else whole


def _multiplied_out(expression: Expr) -> Expr:
    return expand(expression, power_exp=False)  # SymPy would make a Product of exp(Σ)


def _replaced(expression: Expr, rule: _Rule) -> Expr:
    """Return ``expression`` with a rule applied wherever it fits."""
    applied = rule.applied(expression)
    if applied is not None:
        return applied
    if isinstance(expression, (Indexed, Relational)) or not expression.args:
        return expression
    if isinstance(expression, BINDERS):
        body, ranges = open_sum(expression)
        inside = _replaced(body, rule)
        return expression if inside is body else rebound(expression, inside, ranges)
    arguments = [_replaced(argument, rule) for argument in expression.args]
    if all(new is old for new, old in zip(arguments, expression.args, strict=True)):
        return expression
    return expression.func(*arguments)
