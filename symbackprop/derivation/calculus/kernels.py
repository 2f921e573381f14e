"""Exponents as kernels of their own: exp(1.702 s) is one thing, and no 851st power of exp(s/500).

SymPy's polynomials take a rational exponent apart.  In go expressions, out come equal ones in new symbols,
in which no exponent is large; exponents that are small multiples of each other share a symbol, so that
exp(1.702 s)² is still exp(3.404 s).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from sympy import Add, Expr, Pow, Rational, Symbol, default_sort_key, exp, expand, ilcm

from symbackprop.equations.size import expanded_terms
from symbackprop.equations.system import BINDERS, ONE

LARGEST_EXPONENT = 16
"""The numerator of an exponent up to which a power is one of the thing below it."""
_MOST_TERMS = 20
"""The number of terms up to which an exponent is multiplied out."""


class Kernels:
    """The symbols for the large exponents in some expressions."""

    def __init__(self, *expressions: Expr) -> None:
        self._powers: dict[tuple[Expr, Rational], tuple[Symbol, int, int]] = {}
        """Base and exponent -> the symbol of a power of the base, its own power, and the power left."""
        self._exponents: dict[tuple[Expr, Expr, Rational], tuple[Symbol, int]] = {}
        """Base, what stands beside the number in an exponent, the number -> a symbol and its multiple."""
        self._values: dict[Expr, Expr] = {}
        self._symbols = (Symbol(f"_.kernel{number}", real=True) for number in count())
        self._taken = set().union(*(expression.free_symbols for expression in expressions))
        """Among them those of kernels around these: what is flat has large exponents when multiplied out."""
        groups: dict[tuple[Expr, Expr], set[Rational]] = {}
        for node in set().union(*[expression.atoms(Pow, exp) for expression in expressions]):
            base, exponent = _parts(node)
            for number, rest in _terms(exponent):
                groups.setdefault((base, rest), set()).add(number)
        for (base, rest), numbers in sorted(groups.items(), key=lambda group: default_sort_key(group[0])):
            if _is_large(numbers) or _is_long(rest):
                self._add(base, rest, numbers)

    def _add(self, base: Expr, rest: Expr, numbers: Iterable[Rational]) -> None:
        if rest != 1 or base == exp(1):
            for unit, members in _in_units(numbers):
                if unit != 1 or _is_large(members) or _is_long(rest):
                    symbol = self._symbol(unit * rest)
                    self._exponents |= {(base, rest, n): (symbol, int(n / unit)) for n in members}
            return
        leaders = _up_to_small_powers(n for n in numbers if not n.is_Integer or abs(n) > LARGEST_EXPONENT)
        units = {n: unit for unit, members in _in_units(leaders.values()) for n in members}
        for number, leader in leaders.items():
            symbol = self._symbol(Pow(base, units[leader]))
            self._powers[base, number] = symbol, int(leader / units[leader]), int(number - leader)

    def _symbol(self, value: Expr) -> Symbol:
        """Return the symbol for ``value``, a new one if there is none."""
        for symbol, known in self._values.items():
            if known == value:
                return symbol
        symbol = next(s for s in self._symbols if s not in self._taken)
        self._values[symbol] = value
        return symbol

    def flat(self, expression: Expr) -> Expr:
        """Return ``expression`` with the symbols in place of its large exponents."""
        if not self._values or not expression.args or isinstance(expression, BINDERS):
            return expression  # what stands in a sum depends on its index
        if isinstance(expression, (Pow, exp)):
            return self._flat_power(expression)
        arguments = [self.flat(argument) for argument in expression.args]
        return expression.func(*arguments) if arguments != list(expression.args) else expression

    def _flat_power(self, power: Expr) -> Expr:
        base, exponent = _parts(power)
        inner = self.flat(base)
        if (base, exponent) in self._powers:
            symbol, own, left = self._powers[base, exponent]
            return symbol**own * inner**left
        if any((base, rest, number) in self._exponents for number, rest in _terms(exponent)):
            exponent = Add(*[self._flat_term(base, number, rest) for number, rest in _terms(exponent)])
        else:
            exponent = self.flat(exponent)
        return exp(exponent) if isinstance(power, exp) else Pow(inner, exponent)

    def _flat_term(self, base: Expr, number: Rational, rest: Expr) -> Expr:
        symbol, multiple = self._exponents.get((base, rest, number), (self.flat(rest), number))
        return multiple * symbol

    def back(self, expression: Expr) -> Expr:
        """Return ``expression`` without the symbols."""
        return expression.xreplace(self._values) if self._values else expression


def _is_large(numbers: Iterable[Rational]) -> bool:
    """Whether SymPy takes one of the powers for a high one: of exp(s/100), beside which exp(s) stands."""
    common = ilcm(1, *(number.q for number in numbers))
    return any(abs(number * common) > LARGEST_EXPONENT for number in numbers)


def _is_long(exponent: Expr) -> bool:
    return expanded_terms(exponent) > _MOST_TERMS


def _parts(power: Expr) -> tuple[Expr, Expr]:
    """Return base and exponent as they are written; SymPy would write 2^-x as (1/2)^x."""
    return (exp(1), power.args[0]) if isinstance(power, exp) else (power.base, power.exp)


def _terms(exponent: Expr) -> Iterator[tuple[Rational, Expr]]:
    """Yield the rational number and the rest of each term, multiplied out as SymPy's polynomials do it."""
    if _is_long(exponent):
        yield ONE, exponent
        return
    for term in Add.make_args(expand(exponent, power_exp=False, log=False)):
        yield term.as_coeff_Mul(rational=True)


def _in_units(numbers: Iterable[Rational]) -> Iterator[tuple[Rational, list[Rational]]]:
    """Yield units, each with the numbers that are small multiples of it."""
    left = sorted(set(numbers), key=lambda number: (abs(number), number))
    while left:
        unit, members = abs(left[0]), [left[0]]
        for number in left[1:]:
            finer = unit / (number / unit).q
            if max(abs(each / finer) for each in (*members, number)) <= LARGEST_EXPONENT:
                unit, members = finer, [*members, number]
        yield unit, members
        left = [number for number in left if number not in members]


def _up_to_small_powers(numbers: Iterable[Rational]) -> dict[Rational, Rational]:
    """Return, for each number, the first one from which it differs by a small whole number."""
    leaders: dict[Rational, Rational] = {}
    for number in sorted(set(numbers), key=lambda number: (abs(number), number)):
        near = (
            n for n in leaders.values() if (number - n).is_Integer and abs(number - n) <= LARGEST_EXPONENT
        )
        leaders[number] = next(near, number)
    return leaders
