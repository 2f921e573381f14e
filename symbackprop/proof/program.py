"""Scalar expressions as instructions, so that each point costs arithmetic and nothing else.

In goes a scalar expression, out comes its number in a ``Program``, whose instructions give the parts of it
their values, from numbers as mpmath holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Protocol

from mpmath import libmp
from sympy import (
    Abs,
    Add,
    And,
    Expr,
    Heaviside,
    Max,
    Min,
    Mul,
    Not,
    Number,
    NumberSymbol,
    Or,
    Piecewise,
    Pow,
    Symbol,
    sign,
)
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean

from symbackprop.proof.arithmetic import CONTEXT
from symbackprop.proof.errors import OutsideDomain, Unproved

Raw = tuple[int, int, int, int]
"""A number inside of mpmath: sign, mantissa, exponent and the bits of the mantissa."""

KINKED = (Piecewise, Max, Min, Abs, sign, Heaviside)
"""The functions with a kink or a jump."""


class Values(Protocol):
    """Values of the parts of a program, calculated where they are asked for, and the kinks met on the way."""

    kinks: set[str]

    def at(self, number: int) -> Raw:
        """Return the value of a part."""

    def scalar(self, symbol: Symbol) -> Raw:
        """Return the value of a symbol."""


Instruction = Callable[[Values], Raw]
_Test = Callable[[Values], bool]


class Program:
    """Scalar expressions and all of their parts, each of them once, numbered as they come."""

    def __init__(self) -> None:
        self.parts: list[Expr] = []
        self.instructions: list[Instruction] = []
        self._numbers: dict[Expr, int] = {}

    def number(self, node: Expr) -> int:
        """Return the number of an expression, which becomes a part of the program."""
        if node not in self._numbers:
            instruction = self._instruction(node)
            self._numbers[node] = len(self.parts)
            self.parts.append(node)
            self.instructions.append(instruction)
        return self._numbers[node]

    def _instruction(self, node: Expr) -> Instruction:
        if isinstance(node, Symbol):
            return lambda values: values.scalar(node)
        if isinstance(node, Piecewise):
            return self._branches(node)
        if isinstance(node, (Number, NumberSymbol)):
            return lambda _: number_of(node)
        if isinstance(node, Pow) and node.exp.is_Integer:
            return _whole_power(self.number(node.base), int(node.exp))
        numbers = [self.number(argument) for argument in node.args]
        if isinstance(node, Add):
            return _folded(libmp.mpf_add, libmp.fzero, numbers)
        if isinstance(node, Mul):
            return _folded(libmp.mpf_mul, libmp.fone, numbers)
        if isinstance(node, (Max, Min)):
            return _extreme(numbers, libmp.mpf_gt if isinstance(node, Max) else libmp.mpf_lt, node)
        return _call(node, numbers)

    def _branches(self, node: Piecewise) -> Instruction:
        kinks = _kinks_of(condition for _, condition in node.args)
        branches = [(self._test(condition), self.number(value)) for value, condition in node.args]

        def evaluate(values: Values) -> Raw:
            values.kinks |= kinks
            for holds, number in branches:
                if holds(values):
                    return values.at(number)
            raise OutsideDomain(node, "has no branch that holds")

        return evaluate

    def _test(self, condition: Boolean) -> _Test:
        if isinstance(condition, Relational):
            left, right = (self.number(argument) for argument in condition.args)
            compare = _COMPARISONS[condition.rel_op]
            return lambda values: bool(compare(values.at(left), values.at(right)))
        if isinstance(condition, (And, Or)):
            parts = [self._test(part) for part in condition.args]
            every = all if isinstance(condition, And) else any
            return lambda values: every(part(values) for part in parts)
        if isinstance(condition, Not):
            inner = self._test(condition.args[0])
            return lambda values: not inner(values)
        return lambda _: bool(condition)


_COMPARISONS: dict[str, Callable[[Raw, Raw], bool]] = {
    ">": libmp.mpf_gt,
    ">=": libmp.mpf_ge,
    "<": libmp.mpf_lt,
    "<=": libmp.mpf_le,
    "==": libmp.mpf_eq,
    "!=": lambda left, right: not libmp.mpf_eq(left, right),
}
_EXACTNESS = (CONTEXT.prec, "n")  # bits, and how to round


def is_finite(value: Raw) -> bool:
    """Whether a number is neither infinite nor undefined."""
    return bool(value[1]) or not value[2]


def _folded(operation: Callable[..., Raw], start: Raw, numbers: Sequence[int]) -> Instruction:
    """Return a sum or a product, from the left."""

    def evaluate(values: Values) -> Raw:
        found = start
        for number in numbers:
            found = operation(found, values.at(number), *_EXACTNESS)
        return found

    return evaluate


def _whole_power(base: int, exponent: int) -> Instruction:
    return lambda values: libmp.mpf_pow_int(values.at(base), exponent, *_EXACTNESS)


def _extreme(numbers: Sequence[int], is_better: Callable[[Raw, Raw], bool], node: Expr) -> Instruction:
    kinks = _kinks_of(node.args)

    def evaluate(values: Values) -> Raw:
        values.kinks |= kinks
        first, *others = (values.at(number) for number in numbers)
        for other in others:
            first = other if is_better(other, first) else first
        return first

    return evaluate


def _call(node: Expr, numbers: Sequence[int]) -> Instruction:
    """Return the call of a function of mpmath; whole numbers stay such, as its order may be one."""
    kinks = _kinks_of(node.args) if isinstance(node, KINKED) else frozenset()
    whole = [int(each) if each.is_Integer else None for each in node.args]

    def evaluate(values: Values) -> Raw:
        values.kinks |= kinks
        pairs = zip(numbers, whole, strict=True)
        arguments = [CONTEXT.make_mpf(values.at(n)) if known is None else known for n, known in pairs]
        result = CONTEXT.convert(_function(type(node).__name__)(*arguments))
        if isinstance(result, CONTEXT.mpc):
            raise OutsideDomain(node, "is not real")
        found: Raw = result._mpf_
        return found

    return evaluate


def _kinks_of(tested: Iterable[Expr]) -> frozenset[str]:
    """Return the numbers with which something is compared; a kink without a number is at 0."""
    numbers = {number for part in tested for number in part.atoms(Number) if number.is_finite}
    return frozenset({str(CONTEXT.make_mpf(number_of(each))) for each in numbers} or {"0.0"})


@lru_cache(maxsize=1024)
def number_of(node: Expr) -> Raw:
    """Return the value of a number."""
    if not (node.is_finite and node.is_extended_real):
        raise OutsideDomain(node, "is no number")
    found: Raw = CONTEXT.mpf(str(node.evalf(CONTEXT.dps + 5)))._mpf_
    return found


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Abs": abs,
    "DiracDelta": lambda argument, order=0: 0,  # never met at 0
    "Heaviside": lambda argument, at_zero: at_zero if argument == 0 else int(argument > 0),
    "LambertW": CONTEXT.lambertw,
    "Pow": lambda base, exponent: CONTEXT.mpf(base) ** exponent,
    "ceiling": CONTEXT.ceil,
    "lgamma": lambda argument: CONTEXT.loggamma(argument).real,
    "round": CONTEXT.nint,
    "logaddexp": lambda a, b: CONTEXT.log(CONTEXT.exp(a) + CONTEXT.exp(b)),
}
"""SymPy's functions for which mpmath has no function of the same name."""


def _function(name: str) -> Callable[..., Any]:
    """Return the numerical function of that name."""
    function: Callable[..., Any] | None = _FUNCTIONS.get(name) or getattr(CONTEXT, name, None)
    if function is None:
        raise Unproved(f"the function {name} is not known")
    return function
