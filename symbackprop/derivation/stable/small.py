"""Equations with sums, evaluated at small sizes: for every index of an axis there are three places.

Numbers are arrays over a few points, in float32, float64 or with very many digits.  What the generated code
has an operation for is computed as that operation does: of sums of exponentials the largest exponent is
taken out.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, reduce
from typing import Any, TypeAlias

import mpmath
import numpy as np
from numpy.typing import NDArray
from sympy import (
    Abs,
    Add,
    And,
    Derivative,
    Expr,
    Heaviside,
    Indexed,
    Integer,
    KroneckerDelta,
    Max,
    Min,
    Mul,
    Or,
    Piecewise,
    Pow,
    Sum,
    Symbol,
    cos,
    cosh,
    erf,
    exp,
    log,
    sign,
    sin,
    sinh,
    tanh,
)
from sympy.core.relational import Relational

from symbackprop.arrays.exponentials import (
    apart,
    holds_exponentials,
    is_exponential,
    is_sum_of_exponentials,
)
from symbackprop.arrays.fractions import in_order_of_addition
from symbackprop.equations.system import ZERO, indices_of, is_size, name_of
from symbackprop.errors import UnsupportedExpression

Array: TypeAlias = NDArray[Any]
Places = Mapping[Symbol, int]
Key = tuple[str, tuple[int, ...]]
"""A component: its name, which for a derivative of the loss is that of the adjoint, and its place."""

SIZE = 3
DIGITS = 720
"""exp(-750) beside exp(750) has 652 digits."""


@dataclass
class Small:
    """Values of expressions at one set of points, in one kind of numbers.

    Args:
        leaf: the numbers of a component that is not computed.
        definition: the equation's left-hand side and form of a component that is; None for a leaf.
        dtype: that of the numbers; None for many digits.
    """

    leaf: Callable[[Key], Array]
    definition: Callable[[str], tuple[Expr, Expr] | None]
    dtype: type[np.floating[Any]] | None
    known: dict[Key, Array] = field(default_factory=dict)

    def values(self, expression: Expr, places: Places) -> Array:
        """Return the values of ``expression``, whose free indices have ``places``."""
        with np.errstate(all="ignore"), mpmath.workdps(DIGITS):
            return np.asarray(self.of(expression, places))

    def of(self, node: Expr, at: Places) -> Any:
        """Return the value of a node; that of one without a component is a plain number."""
        if isinstance(node, Derivative):
            return self.component(f"d/d{name_of(node.variables[0])}", indices_of(node.variables[0]), at)
        if isinstance(node, (Indexed, Symbol)):
            if node.is_integer:
                return self.number(self.place(node, at))
            return self.component(name_of(node), indices_of(node), at)
        if node.is_Number or node.is_NumberSymbol:
            return self.number(node)
        for kind, method in _METHODS:
            if isinstance(node, kind):
                return method(self, node, at)
        raise UnsupportedExpression(type(node).__name__)

    def number(self, value: Any) -> Any:
        """Return a number of the kind."""
        if self.dtype is None:
            return _with_digits(value) if isinstance(value, Expr) else mpmath.mpf(value)
        return self.dtype(float(value))

    def component(self, name: str, indices: Sequence[Expr], at: Places) -> Array:
        """Return the values of a component."""
        key = name, tuple(self.place(i, at) for i in indices)
        if key not in self.known:
            found = self.definition(name)
            if found is None:
                self.known[key] = self.leaf(key)
            else:
                lhs, form = found
                self.known[key] = self.of(form, dict(zip(indices_of(lhs), key[1], strict=True)))
        return self.known[key]

    def place(self, index: Expr, at: Places) -> int:
        """Return the place that an index names; one that data name is any."""
        numbers = {s: Integer(SIZE if is_size(s) else at.get(s, 1)) for s in index.free_symbols}
        value = index.xreplace(numbers)
        return int(value) if value.is_Integer else 1

    def all_places(self, expression: Sum, at: Places) -> Iterator[Places]:
        """Yield the places of the indices of a sum."""
        ranges = [
            (i, range(self.place(low, at), self.place(high, at) + 1)[:SIZE])
            for i, low, high in expression.limits
        ]
        for places in itertools.product(*[places for _, places in ranges]):
            yield {**at, **dict(zip([i for i, _ in ranges], places, strict=True))}

    def apply(self, name: str, value: Any) -> Any:
        """Return a function of a number."""
        if self.dtype is None:
            return _with_many_digits(name)(value)
        return _erf(value) if name == "erf" else getattr(np, _NUMPY.get(name, name))(value)

    # ------------------------------------------------------------ sums and products

    def sum(self, node: Sum, at: Places) -> Any:
        return _total([self.of(node.function, places) for places in self.all_places(node, at)])

    def largest_apart(self, node: Sum, at: Places) -> tuple[Any, Any]:
        """Return the largest exponent m of Σ c exp(a), and Σ c exp(a - m)."""
        coefficient, exponent = apart(node.function) or (node.function, None)
        pairs = [(self.of(coefficient, p), self.of(exponent, p)) for p in self.all_places(node, at)]
        reached = [np.where(c == 0, -np.inf, a) for c, a in pairs]
        most = np.maximum(reduce(np.maximum, reached), self.number(-3e38))
        terms = [c * self.apply("exp", a - most) for (c, _), a in zip(pairs, reached, strict=True)]
        return most, _total(terms)

    def add(self, node: Add, at: Places) -> Any:
        return _total([self.of(term, at) for term in in_order_of_addition(node)])

    def multiply(self, node: Mul, at: Places) -> Any:
        """Return a product: exponentials last; of exp(u)/Σ exp(v) neither can overflow."""
        divide = np.divide if self.dtype is not None else _mp_divide
        below = [
            f for f in node.args if f.is_Pow and f.exp.could_extract_minus_sign() and not isinstance(f, exp)
        ]
        above = sorted((f for f in node.args if f not in below), key=lambda f: isinstance(f, exp))
        values, joined = [], []
        if above and self.dtype is not None and isinstance(above[-1], exp):
            joined = [divisor for divisor in below if holds_exponentials(divisor.base)]
            below = [divisor for divisor in below if divisor not in joined]
        if joined:
            values.append(self.shifted(above.pop(), joined, at))
        values += [self.of(factor, at) for factor in above]
        whole = reduce(np.multiply, values) if values else self.number(1)
        return reduce(divide, [self.of(1 / divisor, at) for divisor in below], whole)

    def shifted(self, numerator: Expr, divisors: Sequence[Expr], at: Places) -> Any:
        """Return exp(u) times negative powers of Σ exp(v)."""
        exponent = self.of(numerator.args[0], at)
        totals: list[Any] = []
        for divisor in divisors:
            if divisor.exp == -1 and isinstance(divisor.base, Sum):
                most, total = self.largest_apart(divisor.base, at)
                exponent, totals = exponent - most, [*totals, total]
            else:
                exponent = exponent + self.of(divisor.exp, at) * self.log(log(divisor.base), at)
        return reduce(np.divide, totals, self.apply("exp", exponent))

    def power(self, node: Pow, at: Places) -> Any:
        base, exponent = self.of(node.base, at), node.exp
        if self.dtype is None:
            return _mp_power(base, self.of(exponent, at))
        if exponent.is_Integer:
            return base ** int(exponent) if exponent > 0 else self.number(1) / base ** int(-exponent)
        return np.power(base, self.of(exponent, at))

    def log(self, node: log, at: Places) -> Any:
        argument = node.args[0]
        if self.dtype is None:
            return self.apply("log", self.of(argument, at))
        if is_sum_of_exponentials(argument):
            most, total = self.largest_apart(argument, at)
            return most + np.log(total)
        if holds_exponentials(argument) or (argument.is_Add and all(map(is_exponential, argument.args))):
            return reduce(np.logaddexp, [self.log_of_term(term, at) for term in argument.args])
        return np.log(self.of(argument, at))

    def log_of_term(self, term: Expr, at: Places) -> Any:
        coefficient, rest = term.as_coeff_Mul()
        if isinstance(rest, Sum):
            value = self.log(log(rest), at)
        else:
            factor, exponent = apart(rest) or (rest, ZERO)
            coefficient, value = coefficient * factor, self.of(exponent, at)
        return value + self.apply("log", self.of(coefficient, at))

    # ------------------------------------------------------------ choices

    def piecewise(self, node: Piecewise, at: Places) -> Any:
        result: Any = self.number(0)
        for value, condition in reversed(node.args):
            holds = self.condition(condition, at)
            if holds is True or holds is False:
                result = self.of(value, at) if holds else result
            else:
                result = np.where(holds, self.of(value, at), result)
        return result

    def condition(self, node: Expr, at: Places) -> Any:
        if node in (True, False):
            return bool(node)
        if isinstance(node, Relational):
            left, right = self.of(node.lhs, at), self.of(node.rhs, at)
            holds = _RELATIONS[node.rel_op](left, right)
            return holds if np.ndim(holds) else bool(holds)
        parts = [self.condition(part, at) for part in node.args]
        return reduce(_JOINED[type(node)], parts) if len(parts) > 1 else np.logical_not(parts[0])

    def folded(self, node: Expr, at: Places) -> Any:
        return reduce(
            np.maximum if isinstance(node, Max) else np.minimum, [self.of(a, at) for a in node.args]
        )

    def heaviside(self, node: Heaviside, at: Places) -> Any:
        value = self.of(node.args[0], at)
        return np.where(
            value > 0, self.number(1), np.where(value < 0, self.number(0), self.of(node.args[1], at))
        )

    def delta(self, node: KroneckerDelta, at: Places) -> Any:
        return self.number(int(self.place(node.args[0], at) == self.place(node.args[1], at)))

    def function(self, node: Expr, at: Places) -> Any:
        return self.apply(type(node).__name__, self.of(node.args[0], at))


_METHODS: tuple[tuple[Any, Callable[[Small, Any, Places], Any]], ...] = (
    (Sum, Small.sum),
    (Add, Small.add),
    (Mul, Small.multiply),
    (log, Small.log),
    (Piecewise, Small.piecewise),
    ((Max, Min), Small.folded),
    (Heaviside, Small.heaviside),
    (KroneckerDelta, Small.delta),
    (Pow, Small.power),
    ((exp, tanh, sinh, cosh, sin, cos, erf, Abs, sign), Small.function),
)

_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_JOINED = {And: np.logical_and, Or: np.logical_or}
_NUMPY = {"Abs": "abs"}


def _total(values: Sequence[Any]) -> Any:
    return reduce(np.add, values)


def _with_digits(value: Expr) -> Any:
    return mpmath.mpf(value.p) / value.q if value.is_Rational else value.evalf(DIGITS)._to_mpmath(DIGITS * 4)


@lru_cache(maxsize=1 << 12)
def _erf_in_digits(value: Any) -> Any:
    """Return the error function, which takes 40 ms with that many digits: the same few numbers come again."""
    return mpmath.erf(value)


@lru_cache(maxsize=64)
def _with_many_digits(name: str) -> Callable[[Any], Any]:
    """Return a function of arrays of numbers with many digits; nan where it has no real value."""
    own: dict[str, Callable[[Any], Any]] = {"Abs": abs, "erf": _erf_in_digits}
    function = own.get(name) or getattr(mpmath, name)

    def apply(value: Any) -> Any:
        try:
            found = function(value)
        except (ArithmeticError, ValueError):
            return mpmath.nan
        return found if isinstance(found, mpmath.mpf) else mpmath.nan

    found: Callable[[Any], Any] = np.frompyfunc(apply, 1, 1)
    return found


def _raised(base: Any, exponent: Any) -> Any:
    try:
        found = mpmath.mpf(base) ** exponent
    except (ArithmeticError, ValueError):
        return mpmath.nan
    return found if isinstance(found, mpmath.mpf) else mpmath.nan


def _divided(above: Any, below: Any) -> Any:
    return above / below if below else mpmath.nan


_mp_divide = np.frompyfunc(_divided, 2, 1)
_mp_power = np.frompyfunc(_raised, 2, 1)
_erf = np.vectorize(math.erf)
