"""Forms that neither overflow nor lose digits, equal to the plain ones.

A logarithm is opened through the definitions that it reads: the logarithm of a product becomes a
sum, exp inside log comes out, and log(1 + exp(-z)) is written as log(1 + exp(z)) - z, so that terms
cancel.  The functions that may be left, log(1 + exp(z)) and the logarithm of a sum of exponentials, have
stable operations in the generated code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sympy import Add, Derivative, Dummy, Expr, Indexed, Mul, Piecewise, Sum, Symbol, exp, log, together

from symbackprop.arrays.exponentials import (
    holds_exponentials,
    is_exponential,
    is_sum_of_exponentials,
    softplus_argument,
    sums_gathered,
)
from symbackprop.derivation.calculus.algebra import tidy
from symbackprop.derivation.calculus.budget import expand, factor
from symbackprop.derivation.stable.joining import Joiner
from symbackprop.equations.indices import RangeList, close_sum, open_sum, substitute
from symbackprop.equations.system import ONE, ZERO, Equation, EquationSystem, is_size, name_of

_LEVELS = 3
"""Definitions that are written into one another: of a label's probability p[y], of p, of exp(h)."""
_LONGEST = 200
"""Operations up to which they are."""


def stable_form(equation: Equation, system: EquationSystem) -> Expr | None:
    """Return the right-hand side of ``equation`` in a stable form, or None where the plain one stays."""
    if not equation.rhs.has(log) or all(map(has_stable_operation, equation.rhs.atoms(log))):
        return None
    result = _stable(equation.rhs, system)
    if _logarithms_read(result) == _logarithms_read(equation.rhs):
        return None  # no logarithm was opened: another order of terms is no other form
    return result.replace(_is_negative_sum, _sign_inside)


def _logarithms_read(expression: Expr) -> set[Expr]:
    """Return the logarithms of an expression, with fresh indices under the letters they came from."""
    letters = {d: Symbol(d.name, integer=True) for d in expression.atoms(Dummy)}
    return {node.xreplace(letters) for node in expression.atoms(log)}


def _is_negative_sum(node: Expr) -> bool:
    return node.is_Mul and node.args[0] == -1 and isinstance(node.args[-1], Sum) and len(node.args) == 2


def _sign_inside(node: Expr) -> Expr:
    """Return -Σ (a - b) c as Σ (b - a) c; where there is no difference the sign stays outside."""
    whole = node.args[-1]
    factors = list(Mul.make_args(whole.function))
    for n, part in enumerate(factors):
        if isinstance(part, Add):
            factors[n] = Add(*[-term for term in part.args])
            return whole.func(Mul(*factors), *whole.limits)
    return node


def opened_through(expression: Expr, system: EquationSystem) -> Expr:
    """Return ``expression`` with each logarithm opened, through definitions where that makes it stable."""
    if not expression.has(log) or isinstance(expression, (Indexed, Derivative)):
        return expression
    if isinstance(expression, Sum):
        body, ranges = open_sum(expression)
        return close_sum(opened_through(body, system), ranges)
    if isinstance(expression, Piecewise):
        branches = [(opened_through(value, system), condition) for value, condition in expression.args]
        return Piecewise(*branches)
    parts = [opened_through(argument, system) for argument in expression.args]
    return _opened(parts[0], system) if isinstance(expression, log) else expression.func(*parts)


def _stable(expression: Expr, system: EquationSystem) -> Expr:
    if not expression.has(log):
        return expression
    if isinstance(expression, Sum):
        body, ranges = open_sum(expression)
        return _whole_sum(_fewest_logarithms(_stable(body, system)), ranges)
    parts = [_stable(argument, system) for argument in expression.args]
    if isinstance(expression, log):
        return _opened(parts[0], system)
    return expression.func(*parts)


def _whole_sum(body: Expr, ranges: RangeList) -> Expr:
    """Return one sum of ``body``: its terms stay together, a constant comes out."""
    constant, rest = body.as_coeff_Mul()
    return constant * close_sum(rest, ranges)


def _fewest_logarithms(body: Expr) -> Expr:
    """Return ``body`` expanded where that lets logarithms cancel, else tidied."""
    expanded = expand(body)
    return expanded if _logarithms(expanded) < _logarithms(body) else tidy(body)


def _logarithms(expression: Expr) -> int:
    return int(expression.count(lambda node: isinstance(node, log)))


def _opened(argument: Expr, system: EquationSystem) -> Expr:
    """Return log(argument) opened as it stands or through definitions, where that makes it stable."""
    for candidate in _written_out(argument, system):
        result = normal_logarithms(open_logarithm(candidate))
        if all(has_stable_operation(node) for node in result.atoms(log)):
            return result
    return log(argument)


def _written_out(argument: Expr, system: EquationSystem) -> Iterator[Expr]:
    """Yield ``argument`` as it stands, with definitions inserted, and with those of exponentials alone."""
    joiner, levels = Joiner(system), [argument]
    for _ in range(_LEVELS):
        inlined = _inlined(levels[-1], system)
        if inlined == levels[-1] or inlined.count_ops() > _LONGEST:
            break
        levels.append(inlined)
    yield from levels[:2]
    yield from map(joiner.joined_in_full, levels[:2])
    for level in levels[2:]:
        yield level
        yield joiner.joined_in_full(level)


def _inlined(argument: Expr, system: EquationSystem) -> Expr:
    """Return ``argument`` with each quantity in it replaced by what it is defined as."""
    for name in sorted({name_of(read) for read in system.reads(argument)}):
        if name in system.definitions:
            argument = substitute(argument, system.quantities[name], system.definitions[name])
    return argument


def has_stable_operation(logarithm: log) -> bool:
    """Whether the code has a stable operation for it.

    It has one for log(1 + exp(z)) and its logarithm, and for the logarithms of a sum of exp and of a size.
    """
    argument = logarithm.args[0]
    if argument.is_number or all(map(is_size, argument.free_symbols)):
        return True
    if softplus_argument(argument) is not None:
        return True
    two_terms = argument.is_Add and len(argument.args) == 2
    return holds_exponentials(argument) or (two_terms and all(map(is_exponential, argument.args)))


def open_logarithm(argument: Expr) -> Expr:
    """Return log(argument) as a sum over the factors of its argument, where all are positive.

    One may be a sum of exponentials with any coefficients: it is positive where the whole is.  Other
    factors whose sign is open become coefficients in it.
    """
    whole = together(argument) if argument.has(Sum) else factor(together(argument))
    total, unsure, coefficients = ZERO, [], []
    for base, exponent in (_merged(sums_gathered(f)).as_base_exp() for f in Mul.make_args(whole)):
        if base == exp(1):
            total += exponent
        elif is_positive(base):
            total += exponent * log(base)
        elif exponent in (1, -1) and is_sum_of_exponentials(base):
            unsure.append((base, exponent))
        else:
            coefficients.append(base**exponent)
    if len(unsure) > 1 or (coefficients and not unsure):
        return log(argument)
    for base, exponent in unsure:
        body, ranges = open_sum(base)
        total += exponent * log(close_sum(body * Mul(*coefficients) ** exponent, ranges))
    return total


def _merged(expression: Expr) -> Expr:
    """Return ``expression`` with exp(a)·exp(b), which factoring takes apart, as exp(a + b)."""

    def is_apart(node: Expr) -> bool:
        return isinstance(node, Mul) and sum(isinstance(f, exp) for f in node.args) > 1

    def together_again(product: Expr) -> Expr:
        exponentials = [f for f in product.args if isinstance(f, exp)]
        others = [f for f in product.args if f not in exponentials]
        return Mul(*others) * exp(Add(*[f.args[0] for f in exponentials]))

    return expression.replace(is_apart, together_again)


def is_positive(expression: Expr) -> bool:
    """Whether ``expression`` is positive for all real values of its components."""
    if isinstance(expression, exp) or expression.is_positive:
        return True
    if isinstance(expression, (Add, Mul)):
        return all(is_positive(a) for a in expression.args)
    if isinstance(expression, log):
        return is_above_one(expression.args[0])
    return isinstance(expression, Sum) and is_positive(expression.function)


def is_above_one(expression: Expr) -> bool:
    """Whether ``expression`` is a sum of something that is at least 1 and of something positive."""
    number, rest = expression.as_coeff_Add()
    return bool(number.is_number and number >= 1 and is_positive(rest))


def normal_logarithms(expression: Expr) -> Expr:
    """Return ``expression`` with log(1 + exp(-z)) as log(1 + exp(z)) - z, the form in which they cancel."""
    return _turned(expression, Expr.could_extract_minus_sign)


def turned_logarithms(expression: Expr) -> Expr:
    """Return ``expression`` with log(1 + exp(z)) as log(1 + exp(-z)) + z.

    z - log(1 + exp(z)) is a difference of large numbers, -log(1 + exp(-z)) a small one.
    """
    return _turned(expression, lambda exponent: True)


def _turned(expression: Expr, wanted: Callable[[Expr], bool]) -> Expr:
    def turned(node: Expr) -> Expr:
        if has_stable_operation(node) and ONE in node.args[0].args:
            for power in node.args[0].args:
                if isinstance(power, exp) and wanted(power.args[0]):
                    return log(ONE + exp(-power.args[0])) + power.args[0]
        return node

    return expression.replace(lambda node: isinstance(node, log), turned)
