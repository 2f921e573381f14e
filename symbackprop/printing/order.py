"""The order of terms and factors, the same in every format.

In go a ``Notation`` and an expression, out come its ``Product``s, each with its factors in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, localcontext
from enum import IntEnum
from typing import NamedTuple

from sympy import (
    Add,
    Basic,
    Derivative,
    Expr,
    Float,
    Indexed,
    Integer,
    KroneckerDelta,
    Mul,
    Piecewise,
    Pow,
    Rational,
    S,
    Sum,
    Symbol,
    exp,
    log,
)
from sympy.core.relational import Relational

from symbackprop.equations.naming import split_name
from symbackprop.equations.struck import kept
from symbackprop.equations.system import indices_of, is_index, name_of
from symbackprop.printing.notation import Notation


class Product(NamedTuple):
    """A term taken apart: its sign, and its factors in the order in which they are printed."""

    negative: bool
    numerator: tuple[Expr, ...]
    denominator: tuple[Expr, ...]


class Rank(IntEnum):
    """The place of a factor in a product."""

    NUMBER = 0
    CONSTANT = 1
    DIFFERENCE = 2  # (x2[i] - t[i])
    ADJOINT_SUM = 3  # (Σ_i ∂E/∂s2[i]·w2[j,i])
    ADJOINT = 4
    LOCAL = 5  # ∂x2[i]/∂s2[i]
    SCALE = 6  # a parameter without a summed axis; any parameter behind an adjoint
    READ = 7  # x1[j]·(1 - x1[j])
    WEIGHT = 8  # x0[k]·w1[k,j]
    FUNCTION = 9
    DELTA = 10
    CASES = 11
    SUM = 12  # a sum over something else than adjoints stands last, without brackets


def flat(expression: Expr, kind: type[Add] | type[Mul]) -> Iterator[Expr]:
    """Yield the terms (``kind`` Add) or factors (Mul), those of unevaluated nests too."""
    if isinstance(expression, kind):
        for argument in expression.args:
            yield from flat(argument, kind)
    else:
        yield expression


def decimal(value: Rational) -> str | None:
    """Return a fraction that people write as a decimal, such as 0.01, or None for one like 1/2.

    Of a decimal of more digits than a double holds, such as a product of two, the digits are those of the
    double next to it.
    """
    if value.q == 1 or (value.q % 5 and value.q <= 16):
        return None
    shortest = shortest_decimal(float(value))
    if Rational(shortest) == value:
        return shortest
    with localcontext() as context:
        context.prec = _MOST_DIGITS
        exact = Decimal(int(value.p)) / Decimal(int(value.q))
    return shortest if Rational(str(exact)) == value else None


def shortest_decimal(value: float) -> str:
    """Return the shortest decimal of ``value``, with exponents as people write them: 1e-5."""
    return repr(value).replace("e-0", "e-")


_MOST_DIGITS = 40
"""Digits up to which a fraction that ends is written as a decimal."""


def fraction(coefficient: Expr) -> tuple[Expr, Expr]:
    """Return the numerator and the denominator that are printed for a positive number."""
    if isinstance(coefficient, Rational) and decimal(coefficient) is None:
        return Integer(coefficient.p), Integer(coefficient.q)
    return coefficient, S.One


class Order:
    """The order of terms and factors; ``tie`` is the text that decides between equals."""

    def __init__(self, notation: Notation, tie: Callable[[Basic], str]) -> None:
        self.notation = notation
        self.tie = tie

    def is_read(self, node: Basic) -> bool:
        """Whether ``node`` is a component of a quantity (or of an adjoint), or a scalar one."""
        return isinstance(node, Indexed) or (isinstance(node, Symbol) and self.notation.is_scalar(node))

    def reads(self, expression: Basic) -> list[Expr]:
        """Return the components that stand in ``expression``."""
        if self.is_read(expression):
            return [expression]
        return [read for argument in expression.args for read in self.reads(argument)]

    def is_constant(self, expression: Basic) -> bool:
        """Whether ``expression`` depends on no quantity and on no index."""
        if expression.has(Indexed, Sum, Derivative, Piecewise, KroneckerDelta):
            return False
        symbols = expression.free_symbols
        return not any(self.is_read(s) or self.is_moving(s) or is_index(s) for s in symbols)

    def is_moving(self, node: Basic) -> bool:
        """Whether ``node`` is a symbol that an update reads or changes: w, its derivative g, a state."""
        return isinstance(node, Symbol) and node.name.rstrip("'") in self.notation.moving

    def directed(self, relation: Relational) -> Relational:
        """Return s ≤ a for a ≥ s: the side that varies more stands left, whatever the order of SymPy."""
        turned = self._varies(relation.rhs) > self._varies(relation.lhs)
        return relation.reversed if turned else relation

    def _varies(self, expression: Basic) -> int:
        """Return 2 where ``expression`` reads more than parameters, 1 where it reads those, else 0."""
        names = {name_of(read) for read in self.reads(expression)}
        return 2 if names - self.notation.parameters else len(names) and 1

    def is_adjoint(self, node: Basic) -> bool:
        """Whether ``node`` is a derivative of the loss."""
        if isinstance(node, Derivative):
            return bool(self.is_read(node.expr) and name_of(node.expr) == self.notation.loss)
        return self.is_read(node) and name_of(node) in self.notation.adjoints

    def carries_error(self, expression: Basic) -> bool:
        """Whether a factor passes the error back: an adjoint, a difference such as x - t, a sum of such."""
        if self.is_adjoint(expression):
            return True
        if isinstance(expression, Sum):
            return self.carries_error(expression.function)
        if isinstance(expression, Add) and self._is_difference(expression):
            return True
        return isinstance(expression, (Add, Mul, Pow)) and any(map(self.carries_error, expression.args))

    def _is_difference(self, expression: Add) -> bool:
        return not self._starts_with_number(expression) and bool(self.reads(expression))

    def _starts_with_number(self, expression: Add) -> bool:
        return any(self._is_number(term) and bool(term.is_positive) for term in expression.args)

    def _is_number(self, term: Expr) -> bool:
        # To see that a sum is none SymPy writes it down anew; a read is none anyway.
        return not self.reads(term) and bool(term.is_number)

    # ---- factors

    def product(self, expression: Expr) -> Product:
        """Return ``expression`` taken apart into ordered factors."""
        coefficient: Expr = S.One
        numerator, denominator = [], []
        for factor in flat(expression, Mul):
            if isinstance(factor, (Rational, Float)):
                coefficient *= factor
            elif isinstance(factor, Sum) and self.is_negative_throughout(factor.function):
                coefficient = -coefficient  # -Σ (a + b) rather than Σ (-a - b)
                numerator.append(factor.func(-factor.function, *factor.limits))
            elif isinstance(factor, Pow) and factor.exp.could_extract_minus_sign():
                denominator.append(Pow(factor.base, -factor.exp))
            else:
                numerator.append(factor)
        above, below = fraction(abs(coefficient))
        numerator = ([] if above == 1 else [above]) + self.factors(numerator)
        denominator = ([] if below == 1 else [below]) + self.factors(denominator)
        return Product(bool(coefficient < 0), tuple(numerator), tuple(denominator))

    @staticmethod
    def is_negative_throughout(expression: Expr) -> bool:
        """Whether ``expression`` is a sum of terms that all have a minus."""
        return isinstance(expression, Add) and all(t.could_extract_minus_sign() for t in expression.args)

    def factors(self, factors: Sequence[Expr]) -> list[Expr]:
        """Return ``factors`` in the order in which they are printed."""
        if len(factors) < 2:
            return list(factors)
        whole = [kept(f) for f in factors]
        backwards = any(self.carries_error(f) for f in whole)
        plain = [f for f in whole if self.is_read(f)]
        return sorted(factors, key=lambda f: self._factor_key(kept(f), backwards, plain))

    def _factor_key(
        self, factor: Expr, backwards: bool, plain: Sequence[Expr]
    ) -> tuple[Rank, int, str, int, str]:
        rank, anchor, follows = self._rank(factor, backwards, plain)
        if anchor is None:
            return rank, 0, "", 0, self.tie(factor)
        position = self.notation.positions.get(name_of(anchor), 0)
        return rank, -position if backwards else position, self.tie(anchor), follows, self.tie(factor)

    def _rank(self, factor: Expr, backwards: bool, plain: Sequence[Expr]) -> tuple[Rank, Expr | None, int]:
        """Return the rank of ``factor``, the read it is sorted by, and 1 where it follows that read."""
        base = factor.base if isinstance(factor, Pow) else factor
        if self.is_constant(factor):
            return (Rank.NUMBER if factor.is_number else Rank.CONSTANT), None, 0
        if self.is_adjoint(base):
            return Rank.ADJOINT, None, 0
        if self.is_moving(base):
            return Rank.READ, None, 0
        if self.is_read(base):
            if name_of(base) not in self.notation.parameters:
                return Rank.READ, base, 0
            scales = backwards or self.notation.axes[name_of(base)] < 2
            return (Rank.SCALE if scales else Rank.WEIGHT), base, 0
        if isinstance(base, Add):
            return self._rank_of_bracket(base, plain)
        if isinstance(base, Sum):
            return (Rank.ADJOINT_SUM if self.carries_error(base) else Rank.SUM), None, 0
        ranks = {Derivative: Rank.LOCAL, KroneckerDelta: Rank.DELTA, Piecewise: Rank.CASES}
        return ranks.get(type(base), Rank.FUNCTION), None, 0

    def _rank_of_bracket(self, bracket: Add, plain: Sequence[Expr]) -> tuple[Rank, Expr | None, int]:
        """A bracket such as (1 - x), or (∂E/∂x - Σ ...) of a softmax, follows the x that it belongs to."""
        reads = self.reads(bracket)
        names = {name_of(r) for r in reads}
        if self._starts_with_number(bracket) or bracket.has(Sum, KroneckerDelta):
            partners = [p for p in plain if p in reads] or [p for p in plain if name_of(p) in names]
            if partners:
                return Rank.READ, min(partners, key=self.tie), 1
        if self._starts_with_number(bracket) and reads and not self.carries_error(bracket):
            last = max(reads, key=lambda r: (self.notation.positions.get(name_of(r), 0), self.tie(r)))
            return Rank.READ, last, 1
        return (Rank.FUNCTION if bracket.has(exp, log) else Rank.DIFFERENCE), None, 0

    def output_first(self, expression: Expr) -> Expr:
        """Return x - t for t - x, where the sign does not matter: the quantity computed later comes first."""
        if not isinstance(expression, Add) or expression.has(Sum) or len(expression.args) != 2:
            return expression
        places = [
            max((self.notation.positions.get(name_of(r), 0) for r in self.reads(t)), default=-2)
            for t in expression.args
        ]
        if -2 in places or places[0] == places[1]:
            return expression
        last = expression.args[places.index(max(places))]
        return -expression if last.could_extract_minus_sign() else expression

    def argument_key(self, argument: Expr) -> tuple[bool, int, str]:
        """Return the place of an argument of a function whose arguments have no order: max(0, s)."""
        size = sum(complexity(part) for read in self.reads(argument) for part in indices_of(read))
        return not argument.is_number, complexity(argument) + size, self.tie(argument)

    # ---- terms

    def terms(self, expression: Expr) -> list[Product]:
        """Return the terms of a sum in the order in which they are printed."""
        terms = list(flat(expression, Add))
        products = {term: self.product(term) for term in terms}
        in_index = any(map(self._is_index, terms))
        keys = {t: (self._term_rank(t, in_index), *self._size_key(t, products[t])) for t in terms}
        if all(self._is_fraction(product) for product in products.values()):
            # -t/x + (1 - t)/(1 - x): of two fractions the simpler one comes first, whatever its sign.
            return [products[t] for t in sorted(terms, key=lambda t: keys[t][1:])]
        terms.sort(key=keys.__getitem__)
        positive = [t for t in terms if not products[t].negative]
        # A positive term leads, unless only a penalty is positive: -Σ ... + (l/2)·Σ w².
        if positive and not (keys[positive[0]][0] >= _PENALTY and terms[0].has(Sum)):
            terms.remove(positive[0])
            terms.insert(0, positive[0])
        return [products[t] for t in terms]

    def _is_fraction(self, product: Product) -> bool:
        return any(not self.is_constant(factor) for factor in product.denominator)

    def _size_key(self, term: Expr, product: Product) -> tuple[int, bool, list[tuple[str, int]], str]:
        size = 0 if self._is_index(term) else complexity(term)
        names = sorted({_natural(name_of(read)) for read in self.reads(term)})
        return size, product.negative, names, self.tie(term)

    def _is_index(self, term: Expr) -> bool:
        """Whether ``term`` is part of an index such as 2·h + u: those are ordered by letter."""
        return not (self.reads(term) or term.is_number) and bool(term.is_integer)

    def _term_rank(self, term: Expr, in_index: bool) -> int:
        """Data before parameters, before penalties and constants; a number comes first or last."""
        if self._is_number(term):
            return _FIRST if term.is_positive and not in_index else _LAST
        names = {name_of(read) for read in self.reads(term)}
        if not names:
            return _DATA if self._is_index(term) else _CONSTANT
        if names - self.notation.parameters:
            return _DATA
        has_constant = any(self.is_constant(f) and not f.is_number for f in flat(term, Mul))
        return _PENALTY if has_constant or term.has(Sum) else _PARAMETER


def _natural(name: str) -> tuple[str, int]:
    """Return the sort key of a name, word and number: x2 before x10."""
    spelled = split_name(name)
    return spelled.word, int(spelled.layer or 0)


_FIRST, _DATA, _PARAMETER, _PENALTY, _CONSTANT, _LAST = range(6)


def complexity(expression: Basic) -> int:
    """Return the number of nodes of ``expression``; a component counts as one."""
    if isinstance(expression, Indexed) or not expression.args:
        return 1
    return 1 + sum(complexity(argument) for argument in expression.args)


def summed_indices(expression: Sum) -> list[Symbol]:
    """Return the summed indices in the order of the axes that they run over: Σ_{n,i} of x[n,i]."""
    letters = [limit[0] for limit in expression.limits]
    if len(letters) == 1:
        return letters
    reads = sorted(expression.function.atoms(Indexed), key=lambda r: (name_of(r), str(r.indices)))
    widest = max(reads, key=lambda r: len(set(letters) & set(r.indices)), default=None)
    axes = [i for i in indices_of(widest) if i in letters] if widest is not None else []
    return list(dict.fromkeys([*axes, *letters]))
