"""The numbers in an equation for arrays, gathered: a pass over an array costs far more than they do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sympy import Add, Expr, Integer, Mul, Pow, Rational, Symbol


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
