"""Other forms of an expression, equal to it, that may be computed without overflow or loss of digits.

Which of them is best is measured elsewhere (``symbackprop.derivation.stable.measure``); here they are
made, by algebra alone.  Expressions are scalar: plain symbols stand for the components they read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from sympy import (
    Expr,
    Piecewise,
    PolynomialError,
    Symbol,
    cosh,
    count_ops,
    exp,
    log,
    piecewise_fold,
    sinh,
    tanh,
)

from symbackprop.derivation.calculus.algebra import distributed, tidy
from symbackprop.derivation.calculus.budget import expand, is_short
from symbackprop.derivation.calculus.exponentials import HYPERBOLIC, absorbed, decided_by_sign, growth_apart
from symbackprop.derivation.stable.logarithms import (
    has_stable_operation,
    normal_logarithms,
    open_logarithm,
    turned_logarithms,
)
from symbackprop.derivation.stable.rarer import rarer_forms
from symbackprop.equations.size import expanded_terms

_LONGEST = 150
"""Operations beyond which only forms that cost little are tried."""


@dataclass(frozen=True)
class Pointwise:
    """An expression of scalars, some of which are computed from the others by ``definitions``.

    ``definitions`` are pairs of a symbol and its expression, in the order of computation.
    """

    expression: Expr
    definitions: tuple[tuple[Symbol, Expr], ...] = ()

    def without_free_sums(self) -> Pointwise:
        """Return the problem with each scalar free that is a sum with a term of its own, as h = x + b.

        Of what is not computed it takes any value, and forms are found in h, not in x and b.
        """
        computed = {symbol for symbol, _ in self.definitions}
        kept = list(self.definitions)
        for symbol, definition in self.definitions:
            others = [self.expression, *(d for s, d in kept if s != symbol)]
            read = {s for e in others for s in e.free_symbols} | computed
            for term in definition.args if definition.is_Add else ():
                own, rest = term if term.is_Symbol else -term, (definition - term).free_symbols
                if own.is_Symbol and own not in read | rest and not rest & computed:
                    kept = [each for each in kept if each[0] != symbol]
        return replace(self, definitions=tuple(kept))

    def written_out(self, expression: Expr) -> Expr:
        """Return ``expression`` in the scalars that are not computed."""
        for symbol, definition in reversed(self.definitions):
            expression = expression.xreplace({symbol: definition})
        return expression

    def folded(self, expression: Expr) -> Expr:
        """Return ``expression`` with the definitions that stand in it as factors or terms by name."""
        for symbol, definition in self.definitions:
            if not definition.is_Symbol:
                expression = expression.subs(definition, symbol)
        return expression

    @property
    def free(self) -> tuple[Symbol, ...]:
        """The scalars that are not computed, sorted by name."""
        computed = {symbol for symbol, _ in self.definitions}
        read = {s for e in (self.expression, *(d for _, d in self.definitions)) for s in e.free_symbols}
        return tuple(sorted(read - computed, key=str))


def by_condition(problem: Pointwise) -> tuple[Expr, Pointwise, Pointwise] | None:
    """Return a condition, and the problems that are left where it holds and where not; None without a choice.

    log(c) with c = p or 1 - p by a label is log(p) or log(1 - p), of which each has a form of its own.
    """
    choices: dict[Symbol, Expr] = {}
    computed: list[tuple[Symbol, Expr]] = []
    for symbol, definition in problem.definitions:
        written = definition.xreplace(choices)
        if isinstance(written, Piecewise):
            choices[symbol] = written
        else:
            computed.append((symbol, written))
    whole = problem.expression.xreplace(choices)
    conditions = [choice.args[0][1] for choice in whole.atoms(Piecewise) if len(choice.args) == 2]
    if not conditions:
        return None
    condition = min(conditions, key=str)

    def decided(part: Expr, place: int) -> Expr:
        def is_decided(node: Expr) -> bool:
            two = isinstance(node, Piecewise) and len(node.args) == 2
            return two and bool(node.args[0][1] == condition)

        return part.replace(is_decided, lambda node: node.args[place][0])

    def problem_at(place: int) -> Pointwise:
        definitions = tuple((symbol, decided(written, place)) for symbol, written in computed)
        return Pointwise(decided(whole, place), definitions)

    return condition, problem_at(0), problem_at(1)


def equal_forms(problem: Pointwise, others: Sequence[Expr] = ()) -> Iterator[list[Expr]]:
    """Yield forms of the expression in groups, those that cost least to find first.

    ``others`` are further forms to start from, such as a derivative before it was simplified.
    """
    return _groups(problem, others, _forms)


def further_forms(problem: Pointwise, others: Sequence[Expr] = ()) -> Iterator[list[Expr]]:
    """Yield groups of forms that are longer, for where none of ``equal_forms`` is right everywhere."""
    return _groups(problem, others, _rarer_forms)


def _groups(
    problem: Pointwise, others: Sequence[Expr], forms_of: Callable[[Expr, Pointwise], Iterator[Expr]]
) -> Iterator[list[Expr]]:
    seen: set[Expr] = set()
    longest = max(_LONGEST, 2 * count_ops(problem.expression))
    for start in (*others, problem.expression, problem.written_out(problem.expression)):
        found = [form for form in forms_of(start, problem) if count_ops(form) <= 2 * longest]
        group = [each for form in found for each in (form, problem.folded(form))]
        new = [f for f in dict.fromkeys(group) if f not in seen and count_ops(f) <= longest]
        seen.update(new)
        yield new


def _forms(start: Expr, problem: Pointwise) -> Iterator[Expr]:
    opened = open_logarithms(start, problem)
    for form in dict.fromkeys((start, opened, distributed(start), distributed(opened))):
        yield form
        yield absorbed(form)
        yield from by_path(form)
        if form.has(log):
            yield expand(turned_logarithms(form), deep=False)
        if count_ops(form) > _LONGEST or not is_short(form):
            continue
        yield absorbed(expand(form, deep=False))
        yield absorbed(_tidied(form))
        if form.has(Piecewise):
            yield _tidied(piecewise_fold(form))
        if form.has(*HYPERBOLIC):
            yield _expanded(form.replace(tanh, lambda u: sinh(u) / cosh(u)))
            yield absorbed(_expanded(form.rewrite(HYPERBOLIC, exp)))
        by_sign = decided_by_sign(form)
        if by_sign is not None:
            yield by_sign


def _rarer_forms(start: Expr, problem: Pointwise) -> Iterator[Expr]:
    for form in dict.fromkeys((start, open_logarithms(start, problem))):
        yield from rarer_forms(form, problem.written_out(form), problem.definitions)


def by_path(form: Expr) -> Iterator[Expr]:
    """Yield ``form`` as automatic differentiation would add it up, if it is another one."""
    apart = growth_apart(form) if is_short(form) else form
    if apart != form:
        yield apart
        yield absorbed(apart)


def _expanded(expression: Expr) -> Expr:
    few = is_short(expression) and expanded_terms(expression) <= _LONGEST
    return expand(expression) if few else expression


def _tidied(expression: Expr) -> Expr:
    try:
        return tidy(expression)
    except (PolynomialError, NotImplementedError):
        return expression


# ---------------------------------------------------------------- logarithms


def open_logarithms(expression: Expr, problem: Pointwise) -> Expr:
    """Return ``expression`` with each logarithm opened, through definitions where that helps."""
    if not expression.has(log):
        return expression

    def opened(node: Expr) -> Expr:
        argument = node.args[0]
        whole = problem.written_out(argument)
        exponentials = argument.rewrite(HYPERBOLIC, exp)
        for candidate in (argument, whole, exponentials, whole.rewrite(HYPERBOLIC, exp)):
            result = normal_logarithms(open_logarithm(candidate))
            if all(has_stable_operation(each) for each in result.atoms(log)):
                return result
        return node

    return expression.replace(lambda node: isinstance(node, log), opened)
