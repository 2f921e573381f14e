"""Other forms of an expression, equal to it, that may be computed without overflow or loss of digits.

Which of them is best is measured elsewhere (``symbackprop.precision``); here they are made, by algebra
alone.  Expressions are scalar: plain symbols stand for what they read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sympy import (
    Add,
    Expr,
    Mul,
    Piecewise,
    PolynomialError,
    Pow,
    Symbol,
    cancel,
    cosh,
    count_ops,
    exp,
    expand,
    fraction,
    log,
    sinh,
    tanh,
    together,
)

from symbackprop.calculus.algebra import MOST_TERMS, expanded_terms, tidy
from symbackprop.calculus.stable import has_stable_operation, normal_logarithms, open_logarithm
from symbackprop.equations import ZERO

_HYPERBOLIC = (sinh, cosh, tanh)
_LONGEST = 150
"""Operations beyond which only forms that cost little are tried."""


@dataclass(frozen=True)
class Pointwise:
    """An expression of scalars, some of which are computed from the others by ``definitions``.

    ``definitions`` are pairs of a symbol and its expression, in the order of computation.
    """

    expression: Expr
    definitions: tuple[tuple[Symbol, Expr], ...] = ()

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


def equal_forms(problem: Pointwise, others: Sequence[Expr] = ()) -> Iterator[list[Expr]]:
    """Yield forms of the expression in groups, those that cost least to find first.

    ``others`` are further forms to start from, such as a derivative before it was simplified.
    """
    seen: set[Expr] = set()
    for start in (*others, problem.expression, problem.written_out(problem.expression)):
        group = [each for form in _forms(start, problem) for each in (form, problem.folded(form))]
        longest = max(_LONGEST, 2 * count_ops(problem.expression))
        new = [f for f in dict.fromkeys(group) if f not in seen and count_ops(f) <= longest]
        seen.update(new)
        yield new


def _forms(start: Expr, problem: Pointwise) -> Iterator[Expr]:
    opened = open_logarithms(start, problem)
    for form in dict.fromkeys((start, opened)):
        yield form
        yield absorbed(form)
        if count_ops(form) > _LONGEST or expanded_terms(form) > MOST_TERMS:
            continue
        yield absorbed(expand(form, deep=False))
        yield absorbed(_tidied(form))
        if form.has(*_HYPERBOLIC):
            yield absorbed(_expanded(form.rewrite(_HYPERBOLIC, exp)))
        by_sign = decided_by_sign(form)
        if by_sign is not None:
            yield by_sign


def _expanded(expression: Expr) -> Expr:
    return expand(expression) if expanded_terms(expression) <= MOST_TERMS else expression


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
        whole = problem.written_out(node.args[0])
        for candidate in (node.args[0], whole, whole.rewrite(_HYPERBOLIC, exp)):
            result = normal_logarithms(open_logarithm(candidate))
            if all(has_stable_operation(each) for each in result.atoms(log)):
                return result
        return node

    return expression.replace(lambda node: isinstance(node, log), opened)


# ---------------------------------------------------------------- exponentials in fractions


def absorbed(expression: Expr) -> Expr:
    """Return ``expression`` with exponentials above a fraction bar taken into the sums below it.

    exp(s)/(1 + exp(s)) is inf/inf for a large s; 1/(exp(-s) + 1) is the same and always has a value.
    """
    if not expression.args:
        return expression
    arguments = [absorbed(argument) for argument in expression.args]
    expression = expression.func(*arguments) if arguments != list(expression.args) else expression
    return _absorbed_product(expression) if isinstance(expression, Mul) else expression


def _absorbed_product(product: Mul) -> Expr:
    exponentials = [f for f in product.args if isinstance(f, exp)]
    sums = [f for f in product.args if f.is_Pow and _divides_by_exponentials(f)]
    if not exponentials or not sums:
        return product
    rest = Mul(*[f for f in product.args if f not in exponentials and f not in sums])
    exponent = Add(*[f.args[0] for f in exponentials])
    for power in sums:
        times = int(-power.exp) if power.exp.is_Integer else 1
        for _ in range(times):
            single = power.exp / times
            share = _share(exponent / -single, power.base)
            exponent = exponent + share * single
            rest *= _times_exponential(power.base, -share) ** single
    return rest * exp(exponent)


def _divides_by_exponentials(power: Pow) -> bool:
    divides = power.exp.is_Rational and power.exp.is_negative
    return bool(divides and power.base.is_Add and any(_exponents(t) for t in power.base.args))


def _exponents(term: Expr) -> list[Expr]:
    return [f.args[0] for f in Mul.make_args(term) if isinstance(f, exp)]


def _share(exponent: Expr, divisor: Expr) -> Expr:
    """Return the part of ``exponent`` that ``divisor`` takes: it keeps a term that does not vanish."""
    for own in (e for term in divisor.args for e in _exponents(term)):
        for part in dict.fromkeys((exponent, *Add.make_args(exponent))):
            ratio = cancel(part / own)
            if ratio.is_number and ratio.is_positive:
                return part if ratio <= 1 else own
    return ZERO


def _times_exponential(total: Expr, exponent: Expr) -> Expr:
    """Return ``total`` times exp(exponent), term by term."""
    terms = []
    for term in Add.make_args(total):
        others = [f for f in Mul.make_args(term) if not isinstance(f, exp)]
        terms.append(Mul(*others) * exp(Add(exponent, *_exponents(term))))
    return Add(*terms)


def decided_by_sign(expression: Expr) -> Expr | None:
    """Return ``expression`` by cases, such that no exponential in it grows; None where that can't be.

    A fraction in exp(u) is written in exp(-u) where u is positive.
    """
    if expression.has(Piecewise) or not expression.has(exp, *_HYPERBOLIC):
        return None
    try:
        whole = expression.rewrite(_HYPERBOLIC, exp)
        if expanded_terms(whole) > MOST_TERMS:
            return None
        over, under = (expand(part) for part in fraction(together(whole)))
    except (PolynomialError, NotImplementedError):
        return None
    base = _common_exponent([e.args[0] for part in (over, under) for e in part.atoms(exp)])
    if base is None:
        return None
    degrees = [sum((cancel(e / base) for e in _exponents(t)), ZERO) for t in Add.make_args(under)]
    first, second = (
        _times_exponential(over, -d * base) / _times_exponential(under, -d * base)
        for d in (max(degrees), min(degrees))
    )
    return None if first == second else Piecewise((first, base > 0), (second, True))


def _common_exponent(exponents: Sequence[Expr]) -> Expr | None:
    """Return the exponent of which all others are multiples by numbers, None where there is none."""
    found = sorted(set(exponents), key=str)
    if not found:
        return None
    base = -found[0] if found[0].could_extract_minus_sign() else found[0]
    return base if all(cancel(e / base).is_number for e in found) else None
