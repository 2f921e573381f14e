"""Which factors of a product are equal above and below its fraction bar.

In go the factors of a step as they are before anything cancels, out comes their product with those struck
that do.  Nothing is known here of losses or activations: factors are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count

from sympy import Add, Derivative, Expr, Indexed, Mul, Pow, S, Sum

from symbackprop.equations.struck import Struck, struck

Values = Callable[[Expr], Expr | None]
"""The value that is inserted for a factor, None for a factor that stays."""

_MOST = 4  # equal factors that a power is taken apart into


def struck_product(before: Expr, values: Values) -> Expr | None:
    """Return ``before`` with values inserted, the equal factors of its products struck; None without such.

    Brackets are multiplied out only where something was inserted in them, which may cancel with what stands
    before them.
    """
    found = _Striking(values).expression(before)
    return found if found.has(Struck) else None


class _Striking:
    def __init__(self, values: Values) -> None:
        self.values = values
        self._numbers = count(1)

    def expression(self, expression: Expr) -> Expr:
        """Return an expression with values inserted and the factors of its products struck."""
        if isinstance(expression, Add):
            return Add(*map(self.expression, expression.args))
        if isinstance(expression, Sum):
            body = self.expression(expression.function)
            sign = S.NegativeOne if body.could_extract_minus_sign() else S.One
            return sign * expression.func(sign * body, *expression.limits)
        terms = list(self._multiplied_out(list(Mul.make_args(expression))))
        return Add(*[self._product(term) for term in terms])

    def _multiplied_out(self, factors: Sequence[Expr]) -> Iterator[list[Expr]]:
        """Yield the products that factors are the sum of, once values are inserted."""
        inserted: list[Expr] = []
        for factor in factors:
            value = self.values(factor)
            inserted += [factor] if value is None else Mul.make_args(value)
            if value is not None and isinstance(value, Add):
                inserted[-1:] = [_Inserted(value)] if any(map(_divides, value.args)) else [value]
        for n, factor in enumerate(inserted):
            if isinstance(factor, _Inserted) or (isinstance(factor, Add) and self._is_read_in(factor)):
                terms = factor.args[0].args if isinstance(factor, _Inserted) else factor.args
                rest = [*inserted[:n], *inserted[n + 1 :]]
                for term in terms:
                    yield from self._multiplied_out([*rest, *Mul.make_args(term)])
                return
        yield inserted

    def _is_read_in(self, bracket: Expr) -> bool:
        """Whether something is to be inserted inside of a bracket."""
        inside = () if isinstance(bracket, Indexed | Derivative) else bracket.args
        return self.values(bracket) is not None or any(map(self._is_read_in, inside))

    def _product(self, factors: Sequence[Expr]) -> Expr:
        """Return a product; a factor above the bar is struck with an equal one below it."""
        above, below = _above_and_below([self._inside(factor) for factor in factors])
        for n, factor in enumerate(above):
            m = _partner(factor, below)
            if m is not None:
                above[n], below[m] = (
                    struck(factor, next(self._numbers)),
                    struck(below[m], next(self._numbers)),
                )
        return Mul(*above, *[1 / factor for factor in below])

    def _inside(self, factor: Expr) -> Expr:
        return self.expression(factor) if isinstance(factor, Sum) and self._is_read_in(factor) else factor


class _Inserted(Expr):  # type: ignore[misc]  # SymPy has no types
    """A sum of fractions that was inserted for a factor."""


def _divides(term: Expr) -> bool:
    """Whether a term has a denominator."""
    return any(isinstance(f, Pow) and f.exp.could_extract_minus_sign() for f in Mul.make_args(term))


def _above_and_below(factors: Sequence[Expr]) -> tuple[list[Expr], list[Expr]]:
    """Return the factors above the fraction bar and those below it; a small power as equal factors."""
    above: list[Expr] = []
    below: list[Expr] = []
    for factor in factors:
        base, exponent = factor.as_base_exp() if isinstance(factor, Pow) else (factor, S.One)
        if exponent.is_Integer and abs(int(exponent)) <= _MOST:
            (above if exponent > 0 else below).extend([base] * abs(int(exponent)))
        elif exponent.could_extract_minus_sign():
            below.append(Pow(base, -exponent))
        else:
            above.append(factor)
    return above, below


def _partner(factor: Expr, below: Sequence[Expr]) -> int | None:
    """Return the place of an equal factor below the bar."""
    return None if factor.is_number or factor not in below else below.index(factor)
