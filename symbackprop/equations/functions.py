"""Functions that SymPy lacks, or knows as those of a complex number.

Each is called in print as it is in a formula.  Their numbers are worked out by whoever needs some: the
proof, the evaluation of a derivation, the generated code.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TypeVar

import sympy
from sympy import Add, Expr, Function, Integer, loggamma, polygamma
from sympy.core.function import ArgumentIndexError

from symbackprop.equations.system import ZERO

_Class = TypeVar("_Class", bound=type)


def _called(name: str) -> Callable[[_Class], _Class]:
    """Return a decorator that gives a class the name under which SymPy prints it."""

    def rename(kind: _Class) -> _Class:
        kind.__name__ = name
        return kind

    return rename


class _Step(Function):  # type: ignore[misc]  # SymPy has no types
    """A function of one real number that is constant between jumps: its derivative is 0 everywhere."""

    nargs = 1
    is_real = True

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        return ZERO


@_called("floor")
class Floor(_Step):
    """The greatest whole number that is not above the argument."""

    @classmethod
    def eval(cls, argument: Expr) -> Expr | None:
        """Return the value at a number."""
        return sympy.floor(argument) if argument.is_number and argument.is_real else None


@_called("round")
class Round(_Step):
    """The whole number next to the argument; of two equally near ones the even one."""

    @classmethod
    def eval(cls, argument: Expr) -> Expr | None:
        """Return the value at a number."""
        if argument.is_Rational:
            return Integer(round(Fraction(int(argument.p), int(argument.q))))
        below = sympy.floor(argument) if argument.is_number and argument.is_real else None
        return below + int(argument - below > sympy.S.Half) if below is not None else None


@_called("lgamma")
class LogGamma(Function):  # type: ignore[misc]  # SymPy has no types
    """log |Γ|, of which 0 and the negative whole numbers are poles."""

    nargs = 1
    is_real = True

    @classmethod
    def eval(cls, argument: Expr) -> Expr | None:
        """Return the value at a number where that is simpler: lgamma(3) is log(2)."""
        value = loggamma(argument) if argument.is_number and argument.is_positive else None
        return None if value is None or value.has(loggamma) else value

    def _eval_evalf(self, prec: int) -> Expr:
        """Return the value at a number in digits, as SymPy asks for it."""
        return loggamma(self.args[0])._eval_evalf(prec).as_real_imag()[0]

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        return Digamma(self.args[0])


@_called("digamma")
class Digamma(Function):  # type: ignore[misc]  # SymPy has no types
    """The derivative of log |Γ|."""

    nargs = 1
    is_real = True

    def _eval_evalf(self, prec: int) -> Expr:
        """Return the value at a number in digits, as SymPy asks for it."""
        return polygamma(0, self.args[0])._eval_evalf(prec)

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        return polygamma(1, self.args[0])


class _OfWholeNumbers(Function):  # type: ignore[misc]  # SymPy has no types
    """A whole number made of two, of which the second is above 0; it has no derivative."""

    nargs = 2
    is_integer = True

    def fdiff(self, argindex: int = 1) -> Expr:
        """Return the derivative."""
        return ZERO


class Quotient(_OfWholeNumbers):
    """The whole part of a fraction, which is rounded down, as ``//`` has it."""

    @classmethod
    def eval(cls, above: Expr, below: Expr) -> Expr | None:
        """Return the value at numbers."""
        if above.is_Integer and below.is_Integer and below.is_positive:
            return Integer(int(above) // int(below))
        if below == 1:
            return above
        multiple, rest = _apart(above, below)
        return None if multiple == 0 else multiple + cls(rest, below)


@_called("mod")
class Remainder(_OfWholeNumbers):
    """What the whole part of a fraction leaves, as ``%`` has it: from 0 to one less than the divisor."""

    is_nonnegative = True

    @classmethod
    def eval(cls, above: Expr, below: Expr) -> Expr | None:
        """Return the value at numbers."""
        if above.is_Integer and below.is_Integer and below.is_positive:
            return Integer(int(above) % int(below))
        if below == 1:
            return ZERO
        multiple, rest = _apart(above, below)
        return None if multiple == 0 else cls(rest, below)


def _apart(above: Expr, below: Expr) -> tuple[Expr, Expr]:
    """Return how many times a whole number goes into the terms that it divides, and the other terms."""
    if not (below.is_Integer and below.is_positive) or not above.is_integer:
        return ZERO, above
    divided = [term for term in Add.make_args(above) if (term.as_coeff_Mul()[0] / below).is_Integer]
    whole = [term for term in divided if term.as_coeff_Mul()[1].is_integer]
    return Add(*[term / below for term in whole]), above - Add(*whole)
