"""The expressions of one equation, node by node, as array operations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial, reduce

import sympy
from sympy import (
    Add,
    Eq,
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
    false,
    log,
    true,
)
from sympy.core.relational import Relational

from symbackprop.arrays.axes import Axes, axis_order, read_from
from symbackprop.arrays.contraction import contract
from symbackprop.arrays.exponentials import (
    apart,
    exponential_less_one,
    holds_exponentials,
    is_exponential,
    is_sum_of_exponentials,
    may_vanish,
    outside_of_sum,
    softplus_argument,
    two_exponents,
)
from symbackprop.arrays.fractions import (
    above_and_below,
    equal_powers,
    factor_order,
    in_order_of_addition,
    is_truth,
    may_overflow,
    shared_out,
    term_order,
    units,
)
from symbackprop.arrays.guards import (
    always,
    condition_order,
    is_guard,
    is_on_indices,
    split,
    whole,
    without_padding,
)
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Axis, Operation, Signs, number
from symbackprop.arrays.planning import MOST_WAYS, Way, cost, nominal, spreads, ways
from symbackprop.arrays.quotients import without_quotients
from symbackprop.arrays.reads import read
from symbackprop.arrays.running import Terms, accumulated, running
from symbackprop.arrays.scatter import (
    deltas_apart,
    is_delta,
    loops_first,
    scatter,
    scattered,
    with_scatters_opened,
)
from symbackprop.equations.indices import open_sum
from symbackprop.equations.system import BINDERS, ONE, ZERO, ArgMax, Equation, name_of
from symbackprop.errors import UnsupportedExpression

_ELEMENTWISE: dict[str, Kind] = {
    "exp": Kind.EXP,
    "log": Kind.LOG,
    "tanh": Kind.TANH,
    "sinh": Kind.SINH,
    "cosh": Kind.COSH,
    "sin": Kind.SIN,
    "cos": Kind.COS,
    "tan": Kind.TAN,
    "asin": Kind.ARCSIN,
    "acos": Kind.ARCCOS,
    "atan": Kind.ARCTAN,
    "asinh": Kind.ARCSINH,
    "acosh": Kind.ARCCOSH,
    "atanh": Kind.ARCTANH,
    "Abs": Kind.ABS,
    "sign": Kind.SIGN,
    "erf": Kind.ERF,
    "floor": Kind.FLOOR,
    "round": Kind.RINT,
    "lgamma": Kind.LGAMMA,
    "digamma": Kind.DIGAMMA,
    "atan2": Kind.ARCTAN2,
    "Quotient": Kind.FLOOR_DIVIDE,
    "mod": Kind.REMAINDER,
}
"""Function -> the kind of its operation, both of as many arguments."""

_VANISHING = -40
"""Below that log(1 + exp(z)) is exp(z), but for less than a rounding of float64."""
_LOWEST = -3e38  # less than any exponent, and still a number of float32
_RELATIONS = {
    ">": Kind.GREATER,
    ">=": Kind.GREATER_EQUAL,
    "<": Kind.LESS,
    "<=": Kind.LESS_EQUAL,
    "==": Kind.EQUAL,
    "!=": Kind.NOT_EQUAL,
}


class Lowering(Axes):
    """Lowers one equation."""

    def __init__(self, equation: Equation, scalars: Mapping[Symbol, str]) -> None:
        super().__init__(equation.ranges, scalars)
        self.equation = equation
        self.integers = _is_integer(equation.lhs)
        self.tried = 0

    def run(self) -> Operation:
        """Return the operation that computes the left-hand side."""
        wanted = tuple(self.equation.ranges)
        result = self.lower(self.equation.rhs)
        laid_out = self.layout(result, wanted)
        return laid_out if set(wanted) <= set(result.axes) else self.full(laid_out, wanted)

    def full(self, value: Operation, axes: tuple[Symbol, ...]) -> Operation:
        """Return the array in which ``value`` stands again along each axis that it does not have."""
        shape = tuple(self.ranges[axis] for axis in axes)
        return Operation(Kind.FULL, (value, *self.dimensions(shape)), self.integers, axes, shape)

    def dimension(self, n: Expr) -> Operation:
        """Return a size as an operation."""
        with self.as_integers(True):
            return self.lower(self.number(n))

    def index(self, expression: Expr) -> Operation:
        """Return the integers that an index expression gives."""
        with self.as_integers(True):
            return self.lower(expression)

    @contextmanager
    def as_integers(self, integers: bool) -> Iterator[None]:
        """Lower what stands for integers as such, or as numbers of the parameters' dtype."""
        before, self.integers = self.integers, integers
        try:
            yield
        finally:
            self.integers = before

    @contextmanager
    def guarding(self, guarded: bool = True) -> Iterator[None]:
        """Lower what counts only where a condition holds."""
        before, self.guarded = self.guarded, self.guarded or guarded
        try:
            yield
        finally:
            self.guarded = before

    def unsupported(self, part: Expr) -> UnsupportedExpression:
        name = name_of(self.equation.lhs)
        return UnsupportedExpression(f"equation of {name}: there is no array operation for {part} yet")

    def elementwise(self, kind: Kind, *operations: Operation) -> Operation:
        """Return the elementwise operation; what scales a scattered array scales the scattered values."""
        scaling = kind in (Kind.MULTIPLY, Kind.DIVIDE, Kind.NEGATIVE)
        if scaling and sum(bool(o.axes) for o in operations) == 1:
            (whole,) = (o for o in operations if o.axes)
            if whole.kind == Kind.SCATTER:
                start, *updates = whole.inputs
                if start.kind != Kind.ZEROS:  # the updates of several terms were gathered
                    start = super().elementwise(kind, *(start if o is whole else o for o in operations))
                scaled = [self._scaled(u, kind, operations, whole) for u in updates]
                return Operation(Kind.SCATTER, (start, *scaled), None, whole.axes, whole.shape)
        return super().elementwise(kind, *operations)

    def _scaled(
        self, update: Operation, kind: Kind, operations: Sequence[Operation], whole: Operation
    ) -> Operation:
        value, *indices = update.inputs
        if kind == Kind.NEGATIVE and value.kind == Kind.NEGATIVE:
            return Operation(Kind.UPDATE, (value.inputs[0], *indices), update.value)
        inputs = tuple(value if o is whole else o for o in operations)
        scaled = Operation(kind, inputs, None, value.axes, value.shape)
        return Operation(Kind.UPDATE, (scaled, *indices), update.value)

    # ------------------------------------------------------------ expressions

    def lower(self, expression: Expr) -> Operation:
        """Return the operation that computes ``expression``."""
        if isinstance(expression, Indexed):
            return self.read(expression)
        if isinstance(expression, Symbol):
            return self.symbol(expression)
        if expression.is_number and not expression.has(*BINDERS):
            return number(expression)
        for kind, method in self._methods():
            if isinstance(expression, kind):
                return method(expression)
        name = type(expression).__name__
        if name in _ELEMENTWISE:
            return self.elementwise(_ELEMENTWISE[name], *map(self.lower, expression.args))
        raise self.unsupported(expression)

    def _methods(self) -> tuple[tuple[type, Callable[[Expr], Operation]], ...]:
        return (
            (Add, self.add),
            (Mul, self.multiply),
            (Pow, self.power),
            (Sum, self.sum),
            (log, self.log),
            (Piecewise, self.piecewise),
            (Relational, self.relation),
            (sympy.Max, lambda e: self.fold(Kind.MAXIMUM, e)),
            (sympy.Min, lambda e: self.fold(Kind.MINIMUM, e)),
            (sympy.Heaviside, self.heaviside),
            (sympy.And, lambda e: self.all_of(Kind.LOGICAL_AND, e)),
            (sympy.Or, lambda e: self.all_of(Kind.LOGICAL_OR, e)),
            (sympy.Not, lambda e: self.elementwise(Kind.LOGICAL_NOT, self.condition(e.args[0]))),
            (KroneckerDelta, self.delta),
            (ArgMax, self.place_of_largest),
        )

    def read(self, component: Indexed) -> Operation:
        return self.as_numbers(component, read(self, component, self.index))

    def symbol(self, symbol: Symbol) -> Operation:
        if symbol in self.ranges:
            n = self.ranges[symbol]
            return Operation(Kind.ARANGE, self.dimensions([n]), self.integers, (symbol,), (n,))
        if symbol in self.scalars:
            return Operation(Kind.NAME, (), self.scalars[symbol])
        return self.as_numbers(symbol, Operation(Kind.ARRAY, (), symbol.name, whole=_is_integer(symbol)))

    def as_numbers(self, component: Expr, array: Operation) -> Operation:
        """Return an array of integers as numbers, unless integers are wanted."""
        if self.integers or not _is_integer(component):
            return array
        return Operation(Kind.CAST, (array,), None, array.axes, array.shape)

    def add(self, expression: Add) -> Operation:
        """Lower a sum of terms: what is not negated first, a number before the rest, opposites at once."""
        for term in expression.args:
            if isinstance(term, log) and is_sum_of_exponentials(term.args[0]):
                return self.beside_logarithm(term, expression - term)
            if isinstance(term, log) and (exponents := two_exponents(term.args[0])) is not None:
                rest = expression - term
                if rest.could_extract_minus_sign() and any(e in Mul.make_args(-rest) for e in exponents):
                    return self.less_inside(exponents, -rest)
        less_one = exponential_less_one(expression)
        if less_one is not None:
            return self.scaled(less_one[0], self.elementwise(Kind.EXPM1, self.lower(less_one[1])))
        terms = in_order_of_addition(expression)
        signs = tuple(term.could_extract_minus_sign() for term in terms)
        values = [self.lower(-t if negative else t) for t, negative in zip(terms, signs, strict=True)]
        if len(values) > 2 and not any(value.axes for value in values):
            return Operation(Kind.TERMS, tuple(values), Signs(signs))  # flat: regularised nets have many
        if any(value.kind == Kind.SCATTER for value in values) and len(values) > 1:
            return self.gathered_updates(values, signs)
        return self.signed_sum(values, signs)

    def scaled(self, coefficient: Expr, value: Operation) -> Operation:
        """Return a number times a value."""
        if coefficient == 1:
            return value
        if coefficient == -1:
            return self.elementwise(Kind.NEGATIVE, value)
        return self.elementwise(Kind.MULTIPLY, number(coefficient), value)

    def signed_sum(self, values: Sequence[Operation], signs: Sequence[bool]) -> Operation:
        """Return the sum of values, of which those with a sign are subtracted."""
        total = self.elementwise(Kind.NEGATIVE, values[0]) if signs[0] else values[0]
        for value, negative in zip(values[1:], signs[1:], strict=True):
            total = self.elementwise(Kind.SUBTRACT if negative else Kind.ADD, total, value)
        return total

    def zeros(self, axes: Sequence[Axis]) -> Operation:
        """Return an array of zeros."""
        shape = tuple(self.ranges[a] for a in axes if a is not None)
        return Operation(Kind.ZEROS, self.dimensions(shape), None, tuple(axes), shape)

    def gathered_updates(self, values: Sequence[Operation], signs: Sequence[bool]) -> Operation:
        """Return a sum of terms some of which are scattered: their updates go to one array."""
        updates: list[Operation] = []
        others: list[tuple[Operation, bool]] = []
        axes = next(value.axes for value in values if value.kind == Kind.SCATTER)
        for value, negative in zip(values, signs, strict=True):
            if value.kind == Kind.SCATTER and value.axes == axes:
                start, *own = (self.elementwise(Kind.NEGATIVE, value) if negative else value).inputs
                updates += own
                if start.kind != Kind.ZEROS:  # it was gathered itself
                    others.append((start, False))
            else:
                others.append((value, negative))
        total = self.signed_sum(*zip(*others, strict=True)) if others else None
        first = self.zeros(axes) if total is None or total.axes != axes else total
        shape = tuple(self.ranges[a] for a in axes if a is not None)
        whole = Operation(Kind.SCATTER, (first, *updates), None, axes, shape)
        return whole if total is None or first is total else self.elementwise(Kind.ADD, total, whole)

    def beside_logarithm(self, logarithm: log, rest: Expr) -> Operation:
        """Lower log Σ exp(v) + rest: large numbers meet first, so that no digit of the logarithm is lost."""
        largest, total = self.sum_of_exponentials(logarithm.args[0])
        logged = self.elementwise(Kind.LOG, total)
        if rest.could_extract_minus_sign():
            return self.elementwise(
                Kind.SUBTRACT, logged, self.elementwise(Kind.SUBTRACT, self.lower(-rest), largest)
            )
        return self.elementwise(Kind.ADD, logged, self.elementwise(Kind.ADD, self.lower(rest), largest))

    def less_inside(self, exponents: tuple[Expr, Expr], less: Expr) -> Operation:
        """Lower log(exp(a) + exp(b)) - a t as log(exp(a - a t) + exp(b - a t)).

        What cancels does so before the logarithm, none of whose digits are lost.
        """
        taken = self.lower(less)
        first, second = (
            self.elementwise(Kind.NEGATIVE, taken)
            if exponent == 0
            else self.elementwise(Kind.SUBTRACT, self.lower(exponent), taken)
            for exponent in exponents
        )
        return self.elementwise(Kind.LOGADDEXP, first, second)

    def multiply(self, expression: Mul) -> Operation:
        """Lower a product: numerator from left to right, then one division by each denominator."""
        if expression.could_extract_minus_sign():
            return self.elementwise(Kind.NEGATIVE, self.lower(-expression))
        if any(isinstance(factor, KroneckerDelta) for factor in expression.args):
            return self.product(expression, ())
        for factor in expression.args:
            if isinstance(factor, Add) and any(map(is_delta, factor.args)):
                return self.lower(deltas_apart(expression, factor))
        above, below = above_and_below(expression)
        parts = shared_out(above, below)
        if parts and not any(holds_exponentials(f.as_base_exp()[0]) for f in below):
            return reduce(partial(self.elementwise, Kind.MULTIPLY), [self.lower(part) for part in parts])
        return self.fraction(above, below)

    def fraction(self, above: Sequence[Expr], below: Sequence[Expr]) -> Operation:
        """Lower a fraction such that what may overflow is multiplied last: nothing times it is nothing."""
        above, below, powers = equal_powers(above, below)
        above = sorted(above, key=factor_order)
        shifted = self.shifted_exponentials(above, below)
        last = [f for f in above if f not in shifted and may_overflow(f)]
        truths = all(map(is_truth, above))  # of which, multiplied or divided by numbers, NumPy makes float64
        lowered = self.lower if truths else self.factor
        factors = [shifted.get(f) or lowered(f) for f in above if f not in last]
        factors += [self.integer_power(self.lower(base), exponent) for base, exponent in powers]
        below, joined = self.beside_softplus(below)
        factors += joined
        if any(f.free_symbols for f in above):
            below = [unit for d in below for unit in ([d] if d in shifted else units([d]))]
        total = factors[0] if factors else self.factor(last.pop(0)) if last else number(ONE)
        for factor in factors[1:]:
            total = self.elementwise(Kind.MULTIPLY, total, factor)
        divisors = [shifted[d] if d in shifted else self.lower(d) for d in below]
        total = self.divided(total, [divisor for divisor in divisors if divisor is not None])
        for factor in units(last):
            total = self.elementwise(Kind.MULTIPLY, total, self.factor(factor))
        return total

    def beside_softplus(self, below: Sequence[Expr]) -> tuple[list[Expr], list[Operation]]:
        """Take log(1 + exp(z)) and what is 1 + exp(v) from the divisors: exp(-log of both) is a factor.

        The one is 0 where the other is inf, and their product a number.
        """
        small = [d for d in below if softplus_argument(d) is not None]
        large = [d for d in below if d.is_Add and len(d.args) == 2 and all(map(is_exponential, d.args))]
        if not small or not large:
            return list(below), []
        total = reduce(partial(self.elementwise, Kind.ADD), [self.log(log(d)) for d in (*large, *small)])
        rest = [d for d in below if d not in small and d not in large]
        return rest, [self.elementwise(Kind.EXP, self.elementwise(Kind.NEGATIVE, total))]

    def divided(self, total: Operation, divisors: Sequence[Operation]) -> Operation:
        """Return ``total`` by each divisor; numbers divide an array once, by their product."""
        numbers = [d for d in divisors if not d.axes and not self.integers]
        arrays = [d for d in divisors if d not in numbers]
        if total.axes and numbers:
            numbers = [reduce(partial(self.elementwise, Kind.MULTIPLY), numbers)]
        return reduce(partial(self.elementwise, Kind.DIVIDE), [*numbers, *arrays], total)

    def shifted_exponentials(
        self, above: Sequence[Expr], below: Sequence[Expr]
    ) -> dict[Expr, Operation | None]:
        """Take the largest exponent out of exp(u)/Σ exp(v), above and below: neither can overflow.

        Of exp(u)/(1 + Σ exp(v)) and of exp(u)/(Σ exp(v))² the exponential is that of a difference, and
        nothing is divided by: None.  The last exponential takes what further sums there are.
        """
        found: dict[Expr, Operation | None] = {}
        free = [f for f in above if isinstance(f, exp)]
        shifts: dict[Expr, list[Operation]] = {}
        for divisor in below if free else ():
            base, count = divisor.as_base_exp()
            if not holds_exponentials(base):
                continue
            numerator = free[min(len(shifts), len(free) - 1)]
            if is_sum_of_exponentials(divisor):
                largest, found[divisor] = self.sum_of_exponentials(divisor)
            else:
                largest, found[divisor] = self.log(log(base)), None
                if count != 1:
                    largest = self.elementwise(Kind.MULTIPLY, number(count), largest)
            shifts.setdefault(numerator, []).append(largest)
        for numerator, largest_ones in shifts.items():
            difference = partial(self.elementwise, Kind.SUBTRACT)
            exponent = reduce(difference, largest_ones, self.lower(numerator.args[0]))
            found[numerator] = self.elementwise(Kind.EXP, exponent)
        return found

    def sum_of_exponentials(self, expression: Sum) -> tuple[Operation, Operation]:
        """Return the largest exponent m of Σ c exp(v), and Σ c exp(v - m)."""
        body, ranges = open_sum(expression)
        self.ranges |= dict(ranges)
        coefficient, exponent = apart(body) or (body, ZERO)
        return self.largest_and_total(coefficient, exponent, [i for i, _ in ranges])

    def largest_and_total(
        self, coefficient: Expr, exponent: Expr, indices: Sequence[Symbol]
    ) -> tuple[Operation, Operation]:
        """Return the largest exponent m of the sum of c exp(v) over ``indices``, and that of c exp(v - m)."""
        exponents = self.exponents(coefficient, exponent)
        summed = [i for i in indices if i in exponents.axes]
        largest = self.reduce(Kind.MAX, exponents, summed)
        if may_vanish(coefficient) or exponent.has(S.NegativeInfinity):  # of nothing the maximum is -inf
            largest = self.elementwise(Kind.MAXIMUM, largest, number(Float(_LOWEST)))
        smaller = self.elementwise(Kind.SUBTRACT, exponents, largest)
        largest = read_from(smaller.inputs[1], largest)
        terms = self.elementwise(Kind.EXP, smaller)
        if coefficient != 1:
            terms = self.elementwise(Kind.MULTIPLY, self.lower(coefficient), terms)
        total = self.reduce(Kind.SUM, terms, [i for i in indices if i in terms.axes])
        for repeated in (self.ranges[i] for i in indices if i not in terms.axes):
            total = self.elementwise(Kind.MULTIPLY, self.lower(repeated), total)
        return largest, total

    def exponents(self, coefficient: Expr, exponent: Expr) -> Operation:
        """Lower the exponents of a sum of exponentials; -inf where the coefficient is 0."""
        value = self.lower(exponent)
        if not may_vanish(coefficient):
            return value
        counts = self.elementwise(Kind.NOT_EQUAL, self.lower(coefficient), number(ZERO))
        return self.where(counts, value, number(S.NegativeInfinity))

    def factor(self, factor: Expr) -> Operation:
        """Lower a factor; one that is 1 or 0 by a condition is the condition itself."""
        if is_truth(factor):
            return self.condition(factor.args[0][1])
        return self.lower(factor)

    def power(self, expression: Pow) -> Operation:
        """Lower a power: small integer powers are products, which are much faster."""
        base, exponent = expression.as_base_exp()
        if base == sympy.E:
            return self.elementwise(Kind.EXP, self.lower(exponent))
        if exponent.could_extract_minus_sign():
            return self.elementwise(Kind.DIVIDE, number(ONE), self.lower(base**-exponent))
        if exponent == S.Half:
            return self.root(base)
        value = self.lower(base)
        if isinstance(exponent, Integer):
            return self.integer_power(value, int(exponent))
        if isinstance(exponent, Rational) and exponent.q == 2:
            root = self.elementwise(Kind.SQRT, value)
            return self.elementwise(Kind.MULTIPLY, self.integer_power(value, int(exponent.p) // 2), root)
        return self.elementwise(Kind.POWER, value, self.lower(exponent))

    def root(self, square: Expr) -> Operation:
        """Lower a square root; that of 1 + u² does not square what is large."""
        if square.is_Add and len(square.args) == 2:
            constant, other = square.args
            if constant.is_positive and constant.is_number and other.is_Pow and other.exp == 2:
                return self.elementwise(Kind.HYPOT, number(sympy.sqrt(constant)), self.lower(other.base))
        return self.elementwise(Kind.SQRT, self.lower(square))

    def integer_power(self, value: Operation, exponent: int) -> Operation:
        if exponent == 1:
            return value
        half = self.integer_power(value, exponent // 2)
        square = self.elementwise(Kind.SQUARE, half)
        return self.elementwise(Kind.MULTIPLY, square, value) if exponent % 2 else square

    def log(self, expression: log) -> Operation:
        """Lower a logarithm; those of sums of exponentials never overflow."""
        argument = expression.args[0]
        if is_sum_of_exponentials(argument):
            largest, total = self.sum_of_exponentials(argument)
            return self.elementwise(Kind.ADD, largest, self.elementwise(Kind.LOG, total))
        if (exponents := two_exponents(argument)) is not None:
            first, second = exponents
            return self.elementwise(Kind.LOGADDEXP, self.lower(first), self.lower(second))
        if holds_exponentials(argument):
            return reduce(
                partial(self.elementwise, Kind.LOGADDEXP), map(self.log_of_term, _in_order(argument))
            )
        if (small := softplus_argument(argument)) is not None:
            return self.log_of_softplus(argument, small)
        if argument.is_Add and argument.args[0] == 1 and exponential_less_one(argument) is None:
            return self.elementwise(Kind.LOG1P, self.lower(argument - 1))
        return self.elementwise(Kind.LOG, self.lower(argument))

    def log_of_softplus(self, softplus: Expr, z: Expr) -> Operation:
        """Lower log(log(1 + exp(z))), which is z where exp(z) is no number any more."""
        whole, value = self.lower(z), self.log(softplus)
        below = self.elementwise(Kind.LESS, whole, number(Integer(_VANISHING)))
        return self.where(below, whole, self.elementwise(Kind.LOG, value))

    def log_of_term(self, term: Expr) -> Operation:
        """Lower the logarithm of a positive number, of c exp(v) or of Σ exp(v)."""
        coefficient, rest = term.as_coeff_Mul()
        factor, exponent = apart(rest) or (ONE, ZERO)
        coefficient *= factor
        value = self.log(log(rest)) if isinstance(rest, Sum) else self.lower(exponent)
        return value if coefficient == 1 else self.elementwise(Kind.ADD, value, self.lower(log(coefficient)))

    def piecewise(self, expression: Piecewise) -> Operation:
        """Lower a choice; the larger of a quantity and a number is recognised."""
        if any(always(self, c) for _, c in expression.args[:-1]):
            return self.lower(self.decided(expression))
        (value, condition), (other, otherwise) = expression.args[0], expression.args[-1]
        two = len(expression.args) == 2 and isinstance(condition, sympy.StrictGreaterThan)
        if two and (condition.gts, condition.lts) == (value, other):
            return self.elementwise(Kind.MAXIMUM, self.lower(value), self.lower(other))
        if otherwise is not S.true:
            raise self.unsupported(expression)
        if (
            is_guard(expression)
            and value == 1
            and all(_is_integer(side) for r in condition.atoms(Relational) for side in r.args)
        ):
            return self.mask(condition)
        padded = self.padded(expression)
        if padded is not None:
            return padded
        with self.guarding():
            result = self.lower(other)
            for value, condition in reversed(expression.args[:-1]):
                result = self.where(self.condition(condition), self.lower(value), result)
        return result

    def decided(self, expression: Piecewise) -> Expr:
        """Return a choice without what comes after a condition that holds for all indices."""
        kept = []
        for value, condition in expression.args:
            if always(self, condition):
                kept.append((value, S.true))
                break
            kept.append((value, condition))
        return kept[0][0] if len(kept) == 1 else Piecewise(*kept)

    def where(self, condition: Operation, value: Operation, other: Operation) -> Operation:
        chosen = self.elementwise(Kind.WHERE, condition, value, other)
        return replace(chosen, value=self.integers)

    def padded(self, expression: Piecewise) -> Operation | None:
        """Return a guarded value whose reads are zero wherever the guard excludes them."""
        factors, conditions = split(self, expression)
        if factors == [expression] or without_padding(self, (factors, conditions)):
            return None
        with self.guarding():
            return self.lower(Mul(*factors))

    def condition(self, condition: Expr) -> Operation:
        """Return the truth values of a condition; of integers it compares integers."""
        if isinstance(condition, Relational) and is_on_indices(self, condition):
            condition = whole(self, condition)
        integers = all(_is_integer(side) for r in condition.atoms(Relational) for side in r.args)
        with self.as_integers(integers):
            return self.lower(condition)

    def all_of(self, kind: Kind, expression: Expr) -> Operation:
        """Lower a condition made of several."""
        parts = sorted(expression.args, key=lambda c: condition_order(self, c))
        return reduce(partial(self.elementwise, kind), [self.condition(c) for c in parts])

    def relation(self, expression: Relational) -> Operation:
        kind = _RELATIONS[expression.rel_op]
        return self.elementwise(kind, self.lower(expression.lhs), self.lower(expression.rhs))

    def delta(self, expression: KroneckerDelta) -> Operation:
        """Lower a delta beside no product."""
        return self.product(expression, ())

    def mask(self, condition: Expr) -> Operation:
        """Return 1 where a condition holds and 0 elsewhere."""
        truth = self.condition(condition)
        if self.integers:  # truth values are no numbers: two of them added are one
            return self.where(truth, number(1), number(0))
        return Operation(Kind.CAST, (truth,), None, truth.axes, truth.shape)

    def place_of_largest(self, expression: ArgMax) -> Operation:
        body, ranges = open_sum(expression)
        self.ranges |= dict(ranges)
        ((i, _),) = ranges
        with self.as_integers(False):
            operand = self.lower(body)
        if i not in operand.axes:
            return number(0)
        axis = operand.axes.index(i)
        axes = tuple(a for a in operand.axes if a != i)
        return Operation(Kind.ARGMAX, (operand,), axis, axes, self.shape(axes))

    def heaviside(self, expression: Expr) -> Operation:
        return self.elementwise(Kind.HEAVISIDE, self.lower(expression.args[0]), number(expression.args[1]))

    def fold(self, kind: Kind, expression: Expr) -> Operation:
        first, *rest = _in_order(expression)
        total = self.lower(first)
        for other in rest:
            total = self.elementwise(kind, total, self.lower(other))
        return total

    # ------------------------------------------------------------ sums and products of sums

    def sum(self, expression: Sum) -> Operation:
        """Lower a sum: a matrix product where two groups of factors share the summed axis."""
        body, ranges = with_scatters_opened(*open_sum(expression))
        if any(n.has(Indexed) for _, n in ranges):
            raise self.unsupported(expression)
        self.bind(axis_order(body, dict(ranges)), list(body.atoms(Indexed)))
        coefficient, body = body.as_coeff_Mul()
        return self.scaled(coefficient, self.product(body, [i for i, _ in ranges]))

    def product(self, body: Expr, summed: Sequence[Symbol]) -> Operation:
        """Lower the sum of a product; what has a place of its own in the result is scattered to it."""
        (factors, conditions), summed = without_quotients(self, split(self, body), summed)
        if not conditions and not any(isinstance(f, KroneckerDelta) for f in factors):
            return self.cheapest(Terms(tuple(factors), (), tuple(summed)))
        found = scattered(self, (factors, conditions), summed)
        with self.guarding(bool(conditions) or any(map(is_guard, factors))):
            if found is None:  # a delta about the place of a recurrence, which is no axis, is a condition
                deltas = [f for f in factors if isinstance(f, KroneckerDelta)]
                factors = [f for f in factors if f not in deltas]
                conditions = [*conditions, *(Eq(*delta.args[:2], evaluate=False) for delta in deltas)]
                return self.cheapest(Terms(tuple(factors), tuple(conditions), tuple(summed)))
            placed = {i for place in found.places.values() for i in place.free_symbols}
            loops_first(self, found)
            summed = [
                i for i in self.ranges if i in found.inner and i not in placed and i not in found.solved
            ]
            value = self.contraction(found.factors, found.conditions, summed)
            return scatter(self, value, found, self.index) if found.places else value

    def cheapest(self, product: Terms) -> Operation:
        """Lower a sum of products in the way that costs least."""
        start = dict(self.ranges)
        best = self.contraction(product.factors, product.conditions, product.summed)
        if not product.summed or not spreads(best):
            return best
        kept, rank = self.ranges, self.rank(best)
        for lowered, only_for_room in self.ways_of(product):
            self.tried += 1
            if self.tried > MOST_WAYS:
                break
            self.ranges = dict(start)
            found = lowered()
            own = self.rank(found)
            if own < rank and (own[0] < rank[0] or not only_for_room):
                best, kept, rank = found, self.ranges, own
        self.ranges = kept
        return best

    def ways_of(self, product: Terms) -> Iterator[tuple[Callable[[], Operation], bool]]:
        """Yield what lowers a sum of products in other ways, and whether that is to save room alone.

        An inner sum stays as it is where it has room: something else may read it, too.
        """
        body = Mul(*product.factors)
        parts = None if product.conditions else outside_of_sum(body, product.summed)
        if parts is not None:
            yield partial(self.before_sum, parts, product.summed), False
        if not self._goes_together(product.factors):
            for way in ways(self, product):
                yield partial(self.in_way, way), bool(way.opened)

    def before_sum(self, parts: tuple[Expr, Expr, Expr, Expr], summed: Sequence[Symbol]) -> Operation:
        """Lower Σ c exp(v) d exp(u) as c exp(v + m) Σ d exp(u - m), m the largest u: neither can overflow."""
        coefficient, outer, inside, inner = parts
        largest, total = self.largest_and_total(inside, inner, summed)
        power = self.elementwise(Kind.EXP, self.elementwise(Kind.ADD, self.lower(outer), largest))
        return self._scaled_sum([coefficient], self.elementwise(Kind.MULTIPLY, power, total))

    def rank(self, operation: Operation) -> tuple[int, int]:
        """Return by what ways to compute the same are compared."""
        return cost(operation, partial(nominal, self)).rank

    def in_way(self, way: Way) -> Operation:
        """Lower a sum of products in a given way."""
        if way.conditions:
            with self.guarding():
                *cases, total = (self.part(part) for part in way.parts)
            for condition, value in reversed(list(zip(way.conditions, cases, strict=False))):
                total = self.where(self.condition(condition), value, total)
            return total
        if way.opened:
            body = Mul(*way.parts[0].factors)
            self.bind(axis_order(body, dict(way.opened)), list(body.atoms(Indexed)))
        parts = sorted(way.parts, key=lambda part: (*term_order(term := Mul(*part.factors)), str(term)))
        signs = [len(parts) > 1 and Mul(*part.factors).could_extract_minus_sign() for part in parts]
        values = [
            self.part(replace(part, factors=(-ONE, *part.factors)) if negative else part)
            for part, negative in zip(parts, signs, strict=True)
        ]
        return self._scaled_sum(way.outside, self.signed_sum(values, signs))

    def part(self, part: Terms) -> Operation:
        """Lower one of the sums of products that another is made of."""
        coefficient, body = Mul(*part.factors).as_coeff_Mul()
        if coefficient == 0:
            return number(ZERO)
        factors, conditions = split(self, body)
        terms = replace(part, factors=tuple(factors), conditions=(*part.conditions, *conditions))
        with self.guarding(bool(terms.conditions)):
            return self.scaled(coefficient, self.cheapest(terms))

    def contraction(
        self, factors: Sequence[Expr], conditions: Sequence[Expr], summed: Sequence[Symbol]
    ) -> Operation:
        """Lower the sum of the product of ``factors`` where ``conditions`` hold."""
        found = running(self, Terms(tuple(factors), tuple(conditions), tuple(summed)))
        if found is None:
            return self._contracted((), factors, conditions, summed)
        order, inner, outer = found
        total = accumulated(self.contraction(inner.factors, inner.conditions, inner.summed), order)
        return self._contracted((total,), outer.factors, outer.conditions, outer.summed)

    def _contracted(
        self,
        known: Sequence[Operation],
        factors: Sequence[Expr],
        conditions: Sequence[Expr],
        summed: Sequence[Symbol],
    ) -> Operation:
        """Return the sum of the product of ``factors`` and ``known`` arrays where ``conditions`` hold."""
        if false in conditions:
            return number(0)
        conditions = [c for c in conditions if c != true]  # a delta may have decided them
        masks = [self.mask(c) for c in without_padding(self, (list(factors), list(conditions)))]
        groups = self._groups(factors)
        outside = groups.pop(frozenset(), [])
        operands = [*known, *(self._product(g) for g in groups.values()), *masks]
        present = {axis for operand in operands for axis in operand.axes}
        repeated = [self.ranges[i] for i in summed if i not in present]
        summed = [i for i in summed if i in present]
        outside = [*repeated, *(f for f in outside if f != 1)]
        if not operands:
            return self._product(outside)
        return self._scaled_sum(outside, contract(self, operands, summed))

    def _scaled_sum(self, outside: Sequence[Expr], total: Operation) -> Operation:
        """Return ``total`` times the factors outside of the sum; what only divides it comes after it."""
        above, below = above_and_below(Mul(*outside))
        if any(factor != 1 for factor in above):
            return self.elementwise(Kind.MULTIPLY, self._product(outside), total)
        return self.divided(total, [self.lower(d) for d in below if d != 1])

    def _groups(self, factors: Sequence[Expr]) -> dict[frozenset[Axis], list[Expr]]:
        """Group the factors of a product by the axes that they carry."""
        groups: dict[frozenset[Axis], list[Expr]] = {}
        if self._goes_together(factors):
            return {frozenset(self.lower(Mul(*factors)).axes): list(factors)}
        for factor in sorted(factors, key=factor_order):
            axes = frozenset(self.lower(factor).axes) - {None}
            groups.setdefault(axes, []).append(factor)
        return groups

    def _goes_together(self, factors: Sequence[Expr]) -> bool:
        """Whether a product divides by sums of exponentials, which may overflow but for their numerator."""
        return any(holds_exponentials(f.as_base_exp()[0]) for f in above_and_below(Mul(*factors))[1])

    def _product(self, factors: Sequence[Expr]) -> Operation:
        return self.lower(Mul(*factors))


def _in_order(expression: Expr) -> list[Expr]:
    return sorted(expression.args, key=lambda term: (*term_order(term), str(term)))


def _is_integer(expression: Expr) -> bool:
    """Whether an expression has integer values alone."""
    return bool(expression.is_integer)
