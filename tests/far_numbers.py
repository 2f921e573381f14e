"""Numbers of 60 digits with parts as far apart as 1 and exp(-10**30): a reference for formulas in s.

Nothing of the package is used.  A number is the sum of up to three parts, each of 60 digits and of any size,
so that 1 - 1/(1 + exp(-s)) is exp(-s) also where no precision would hold 1 + exp(-s) in one piece.
A formula is read by Python's parser; each value carries its derivative for s.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import mpmath

DIGITS = 60
_PARTS = 3
_LARGE = mpmath.mpf(10) ** 70
"""Beyond that no exponential is computed: its exponent alone would fill the memory."""


class NoNumber(ArithmeticError):
    """There is no real value, or none that could be written down."""


@dataclass(frozen=True)
class Far:
    """A sum of parts, the largest first; none are those of 0."""

    parts: tuple[Any, ...]

    @property
    def lead(self) -> Any:
        """The largest part, which is the value to 60 digits."""
        return self.parts[0] if self.parts else mpmath.mpf(0)

    @property
    def rest(self) -> Far:
        """What the other parts add."""
        return Far(self.parts[1:])

    def __add__(self, other: Far) -> Far:
        return _summed([*self.parts, *other.parts])

    def __neg__(self) -> Far:
        return Far(tuple(-part for part in self.parts))

    def __sub__(self, other: Far) -> Far:
        return self + -other

    def __mul__(self, other: Far) -> Far:
        products = []
        for a in self.parts:
            for b in other.parts:
                whole = a * b
                products += [whole, mpmath.fsub(mpmath.fmul(a, b, exact=True), whole)]
        return _summed(products)

    def __truediv__(self, other: Far) -> Far:
        if not other.parts:
            raise NoNumber
        quotient, left = Far(()), self
        for _ in range(_PARTS):
            digit = far(left.lead / other.lead)
            quotient, left = quotient + digit, left - digit * other
        return quotient


def far(value: Any) -> Far:
    """Return a number of one part."""
    number = mpmath.mpf(value)
    return Far((number,) if number else ())


def _summed(parts: Sequence[Any]) -> Far:
    """Return a sum: from the small to the large, again and again with what rounding leaves over."""
    left = [part for part in parts if part]
    for _ in range(_PARTS + 2):
        left.sort(key=abs)
        kept, total = [], mpmath.mpf(0)
        for part in left:
            larger, smaller = (part, total) if abs(part) >= abs(total) else (total, part)
            whole = larger + smaller
            kept.append((larger - whole) + smaller)
            total = whole
        left = [part for part in (*kept, total) if part]
    return Far(tuple(sorted(left, key=abs, reverse=True)[:_PARTS]))


ONE, TWO = far(1), far(2)


def exp(z: Far) -> Far:
    """Return the exponential."""
    if abs(z.lead) > _LARGE:
        if z.lead < 0:
            return Far(())
        raise NoNumber
    if abs(z.lead) < 1:
        return ONE + _small("expm1", far(z.lead)) * (ONE + _small("expm1", z.rest)) + _small("expm1", z.rest)
    # Of a large argument as many digits are needed as stand before its point.
    with mpmath.extradps(80):
        lead = mpmath.exp(z.lead)
    return far(+lead) * (ONE + _small("expm1", z.rest))


def log(z: Far) -> Far:
    """Return the logarithm."""
    if z.lead <= 0:
        raise NoNumber
    return far(mpmath.log(z.lead)) + _small("log1p", z.rest / far(z.lead))


def _small(name: str, z: Far) -> Far:
    """Return expm1 or log1p of a number below 1."""
    return far(getattr(mpmath, name)(z.lead)) + z.rest


def tanh(z: Far) -> Far:
    """Return the hyperbolic tangent."""
    if abs(z.lead) < 1:
        return far(mpmath.tanh(z.lead))
    e = exp(-TWO * absolute(z))
    return sign(z) * (ONE - e) / (ONE + e)


def erf(z: Far) -> Far:
    """Return the error function."""
    size = abs(z.lead)
    if size < 1:
        return far(mpmath.erf(z.lead))
    return sign(z) * (ONE - far(0 if size > mpmath.mpf(10) ** 30 else mpmath.erfc(size)))


def sign(z: Far) -> Far:
    """Return -1, 0 or 1."""
    return far(mpmath.sign(z.lead))


def absolute(z: Far) -> Far:
    """Return the absolute value."""
    return -z if z.lead < 0 else z


def _of_lead(name: str) -> Callable[[Far], Far]:
    def apply(z: Far) -> Far:
        with mpmath.workdps(DIGITS + 40):
            found = getattr(mpmath, name)(z.lead)
        return far(found)

    return apply


def _cosh(z: Far) -> Far:
    return (exp(z) + exp(-z)) / TWO


def _sinh(z: Far) -> Far:
    return (exp(z) - exp(-z)) / TWO if abs(z.lead) > 1 else far(mpmath.sinh(z.lead))


_sqrt = _of_lead("sqrt")
_FUNCTIONS: dict[str, tuple[Callable[[Far], Far], Callable[[Far], Far]]] = {
    "exp": (exp, exp),
    "log": (log, lambda z: ONE / z),
    "tanh": (tanh, lambda z: ONE / (_cosh(z) * _cosh(z)) if abs(z.lead) < _LARGE else Far(())),
    "cosh": (_cosh, _sinh),
    "sinh": (_sinh, _cosh),
    "erf": (erf, lambda z: TWO / _sqrt(far(mpmath.pi)) * exp(-z * z)),
    "atan": (_of_lead("atan"), lambda z: ONE / (ONE + z * z)),
    "sin": (_of_lead("sin"), _of_lead("cos")),
    "abs": (absolute, sign),
    "sqrt": (_sqrt, lambda z: ONE / (TWO * _sqrt(z))),
}
"""Each function of a formula and its derivative."""


@dataclass(frozen=True)
class Dual:
    """A value and its derivative for s."""

    value: Far
    slope: Far = Far(())

    def through(self, function: Callable[[Far], Far], slope: Callable[[Far], Far]) -> Dual:
        """Return a function of the number."""
        value = function(self.value)
        return Dual(value, slope(self.value) * self.slope if self.slope.parts else Far(()))


def _both(a: Dual, b: Dual, value: Far, of_a: Far, of_b: Far) -> Dual:
    return Dual(value, of_a * a.slope + of_b * b.slope)


def _divided(a: Dual, b: Dual) -> Dual:
    value = a.value / b.value
    return _both(a, b, value, ONE / b.value, -value / b.value)


def _power(base: Dual, exponent: Dual) -> Dual:
    p = exponent.value
    if p == far(int(p.lead)) and p.lead > 0:
        product = reduce(operator.mul, [base.value] * (int(p.lead) - 1), ONE)
        return Dual(product * base.value, p * product * base.slope)
    return base.through(
        lambda z: exp(p * log(z)) if z.parts else Far(()), lambda z: p * exp((p - ONE) * log(z))
    )


_OPERATIONS: dict[type[ast.operator], Callable[[Dual, Dual], Dual]] = {
    ast.Add: lambda a, b: _both(a, b, a.value + b.value, ONE, ONE),
    ast.Sub: lambda a, b: _both(a, b, a.value - b.value, ONE, -ONE),
    ast.Mult: lambda a, b: _both(a, b, a.value * b.value, b.value, a.value),
    ast.Div: _divided,
    ast.Pow: _power,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def _holds(node: ast.expr, names: Mapping[str, Dual]) -> bool:
    if isinstance(node, ast.Constant):
        return bool(node.value)
    assert isinstance(node, ast.Compare)
    left, right = _of(node.left, names), _of(node.comparators[0], names)
    return _COMPARISONS[type(node.ops[0])]((left.value - right.value).lead, 0)


def _of(node: ast.expr, names: Mapping[str, Dual]) -> Dual:
    if isinstance(node, ast.Constant):
        return Dual(far(str(node.value)))
    if isinstance(node, ast.Name):
        return Dual(far(mpmath.pi)) if node.id == "pi" else names[node.id]
    if isinstance(node, ast.UnaryOp):
        return _of(node.operand, names).through(operator.neg, lambda z: -ONE)
    if isinstance(node, ast.BinOp):
        return _OPERATIONS[type(node.op)](_of(node.left, names), _of(node.right, names))
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    if node.func.id == "where":
        condition, yes, no = node.args
        return _of(yes if _holds(condition, names) else no, names)
    if node.func.id == "Piecewise":
        pairs = [pair.elts for pair in node.args if isinstance(pair, ast.Tuple)]
        return _of(next(value for value, condition in pairs if _holds(condition, names)), names)
    return _of(node.args[0], names).through(*_FUNCTIONS[node.func.id])


def evaluated(text: str, names: Mapping[str, Dual]) -> Dual | None:
    """Return the value of a formula with its derivatives; None where it has none."""
    with mpmath.workdps(DIGITS):
        try:
            return _of(ast.parse(text, mode="eval").body, names)
        except NoNumber:
            return None
