"""From an indexed equation to array operations.

An index of the equation becomes an axis of an array.  The result is a tree of `Operation`s, each one
operation of NumPy; equal subtrees are equal objects, whatever the letters of their indices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import TypeAlias

import sympy
from sympy import (
    Add,
    Expr,
    Indexed,
    Integer,
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

from symbackprop.calculus.indices import open_sum
from symbackprop.equations import ONE, Equation, Ranges, name_of
from symbackprop.errors import UnsupportedExpression

Axis: TypeAlias = Symbol | None
"""The index that runs along an axis; None for an axis of length 1."""


@dataclass(frozen=True)
class Operation:
    """One array operation.

    ``kind`` is "array" (a named array), "number", "name" (a named scalar), "layout", "matmul", "sum",
    "max", "einsum", "full", "terms" (a sum of numbers, ``value`` says which are taken away), or the NumPy
    function of an elementwise operation.  ``value`` is what distinguishes operations of one kind: a name,
    a number, an axis.  ``axes`` and ``shape`` describe the result.
    """

    kind: str
    inputs: tuple[Operation, ...] = ()
    value: object = None
    axes: tuple[Axis, ...] = field(default=(), compare=False)
    shape: tuple[Expr, ...] = field(default=(), compare=False)

    @property
    def is_leaf(self) -> bool:
        """Whether nothing is computed."""
        return self.kind in ("array", "number", "name") or (self.kind == "layout" and self.inputs[0].is_leaf)

    @property
    def is_elementwise(self) -> bool:
        """Whether each component of the result needs one component of each input."""
        return self.kind not in ("array", "number", "name", "layout", "matmul", "sum", "max", "einsum")


@dataclass(frozen=True)
class Statement:
    """``name = operation``, which carries out the equation ``number``."""

    name: str
    operation: Operation
    number: int


Lowered = dict[object, tuple["Operation", tuple[str, ...], tuple[Symbol, ...]]]
"""What was lowered before in one program, by its signature: equal layers are lowered once."""


def lower(equation: Equation, scalars: Mapping[str, str], known: Lowered | None = None) -> Operation:
    """Return the operation that computes the left-hand side of ``equation``.

    Args:
        equation: a well-formed equation.
        scalars: the name in the code of each symbol that stands for a number.
        known: what the same program has lowered already; new kinds of equations are entered.

    Raises:
        UnsupportedExpression: there is no array operation for a part of it yet.
    """
    known = {} if known is None else known
    signature = _Signature(scalars)
    key = (signature.of(equation.lhs), signature.of(equation.rhs))
    if signature.reads_size:
        return _Lowering(equation, scalars).run()
    if key not in known:
        operation = _Lowering(equation, scalars).run()
        if operation.kind == "full":  # holds numbers of this network's own
            return operation
        known[key] = (operation, tuple(signature.names), tuple(signature.sizes))
    operation, names, sizes = known[key]
    arrays = dict(zip(names, signature.names, strict=True))
    return _renamed(operation, arrays, dict(zip(sizes, signature.sizes, strict=True)))


class _Signature:
    """Describes expressions up to the names of quantities, sizes and indices."""

    def __init__(self, scalars: Mapping[str, str]) -> None:
        self.scalars = scalars
        self.names: dict[str, int] = {}
        self.sizes: dict[Symbol, int] = {}
        self.indices: dict[Symbol, int] = {}
        self.reads_size = False

    def of(self, node: Expr) -> object:
        """Return what ``node`` has in common with every expression that differs in names only."""
        if isinstance(node, Indexed):
            shape = tuple(self.size(n) for n in node.base.shape)
            at = tuple(self.of(i) for i in node.indices)
            return ("read", self.names.setdefault(name_of(node), len(self.names)), shape, at)
        if isinstance(node, Sum):
            limits = tuple((self.of(i), self.size(high + 1)) for i, _, high in node.limits)
            return ("sum", self.of(node.function), limits)
        if isinstance(node, Symbol):
            return self.symbol(node)
        return (type(node).__name__, *map(self.of, node.args)) if node.args else node

    def size(self, n: Expr) -> object:
        """Return the place of a size among the sizes; a compound one as it is."""
        return self.sizes.setdefault(n, len(self.sizes)) if isinstance(n, Symbol) else n

    def symbol(self, symbol: Symbol) -> object:
        """Return the place of an index or of a quantity, or the name of a constant in the code."""
        if symbol.is_integer and not symbol.is_positive:
            return ("index", self.indices.setdefault(symbol, len(self.indices)))
        self.reads_size |= self.scalars.get(symbol.name, "").isdigit()
        if symbol.name in self.scalars:
            return ("scalar", self.scalars[symbol.name])
        return ("quantity", self.names.setdefault(symbol.name, len(self.names)))


def _renamed(operation: Operation, arrays: Mapping[str, str], sizes: Mapping[Expr, Expr]) -> Operation:
    """Return ``operation`` for other quantities of other sizes."""
    inputs = tuple(_renamed(i, arrays, sizes) for i in operation.inputs)
    value = arrays.get(str(operation.value)) if operation.kind == "array" else operation.value
    shape = tuple(sizes.get(n, n) for n in operation.shape)
    return Operation(operation.kind, inputs, value, operation.axes, shape)


_ELEMENTWISE: dict[str, str] = {
    "exp": "exp",
    "log": "log",
    "tanh": "tanh",
    "sinh": "sinh",
    "cosh": "cosh",
    "sin": "sin",
    "cos": "cos",
    "tan": "tan",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "asinh": "arcsinh",
    "acosh": "arccosh",
    "atanh": "arctanh",
    "Abs": "abs",
    "sign": "sign",
    "erf": "erf",
}
"""SymPy function -> NumPy function, both of one argument."""

_RELATIONS = {
    ">": "greater",
    ">=": "greater_equal",
    "<": "less",
    "<=": "less_equal",
    "==": "equal",
    "!=": "not_equal",
}


class _Lowering:
    """Lowers one equation; remembers the range of each index and the order of the axes."""

    def __init__(self, equation: Equation, scalars: Mapping[str, str]) -> None:
        self.equation = equation
        self.scalars = scalars
        self.ranges: Ranges = dict(equation.ranges)

    def run(self) -> Operation:
        wanted = tuple(self.equation.ranges)
        result = self.lower(self.equation.rhs)
        laid_out = self.layout(result, wanted)
        return laid_out if set(wanted) <= set(result.axes) else self.full(laid_out, wanted)

    def full(self, value: Operation, axes: tuple[Symbol, ...]) -> Operation:
        """Return the array in which ``value`` stands again along each axis that it does not have."""
        shape = tuple(self.ranges[axis] for axis in axes)
        return Operation("full", (value, *(self.lower(n) for n in shape)), None, axes, shape)

    def unsupported(self, part: Expr) -> UnsupportedExpression:
        name = name_of(self.equation.lhs)
        return UnsupportedExpression(f"equation of {name}: there is no array operation for {part} yet")

    # ------------------------------------------------------------ layout

    def layout(self, operation: Operation, axes: Sequence[Axis]) -> Operation:
        """Return ``operation`` with its axes in the order of ``axes``, new ones of length 1."""
        order = tuple(axis for axis in axes if axis in operation.axes)
        if operation.axes == tuple(axes) or not operation.axes:
            return operation
        if order != tuple(a for a in operation.axes if a is not None):
            positions = tuple(operation.axes.index(a) for a in order)
            shape = tuple(operation.shape[p] for p in positions)
            operation = Operation("layout", (operation,), positions, order, shape)
        first = next(p for p, axis in enumerate(axes) if axis in operation.axes)
        return _with_new_axes(operation, tuple(a if a in operation.axes else None for a in axes[first:]))

    def together(self, operations: Sequence[Operation]) -> tuple[tuple[Operation, ...], tuple[Axis, ...]]:
        """Return ``operations`` laid out so that they broadcast, and the axes of the result."""
        present = {axis for operation in operations for axis in operation.axes}
        axes = tuple(axis for axis in self.ranges if axis in present)
        return tuple(self.layout(operation, axes) for operation in operations), axes

    def elementwise(self, kind: str, *operations: Operation) -> Operation:
        """Return the elementwise operation of that kind."""
        inputs, axes = self.together(operations)
        return Operation(kind, inputs, None, axes, tuple(self.ranges[a] for a in axes if a is not None))

    # ------------------------------------------------------------ expressions

    def lower(self, expression: Expr) -> Operation:
        """Return the operation that computes ``expression``."""
        if isinstance(expression, Indexed):
            return self.read(expression)
        if isinstance(expression, Symbol):
            return self.symbol(expression)
        if expression.is_number:
            return self.number(expression)
        for kind, method in self._methods():
            if isinstance(expression, kind):
                return method(expression)
        name = type(expression).__name__
        if name in _ELEMENTWISE:
            return self.elementwise(_ELEMENTWISE[name], self.lower(expression.args[0]))
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
            (sympy.Max, lambda e: self.fold("maximum", e)),
            (sympy.Min, lambda e: self.fold("minimum", e)),
            (sympy.Heaviside, self.heaviside),
            (sympy.And, lambda e: self.fold("logical_and", e)),
            (sympy.Or, lambda e: self.fold("logical_or", e)),
        )

    def read(self, component: Indexed) -> Operation:
        indices = tuple(component.indices)
        if len(set(indices)) != len(indices) or any(i not in self.ranges for i in indices):
            raise self.unsupported(component)
        return Operation("array", (), name_of(component), indices, tuple(component.base.shape))

    def symbol(self, symbol: Symbol) -> Operation:
        if symbol.name in self.scalars:
            return Operation("name", (), self.scalars[symbol.name])
        return Operation("array", (), symbol.name)

    def number(self, value: Expr) -> Operation:
        return Operation("number", (), value)

    def add(self, expression: Add) -> Operation:
        """Lower a sum of terms: what is not negated first, a number before the rest."""
        for term in expression.args:
            if isinstance(term, log) and _is_sum_of_exponentials(term.args[0]):
                return self.beside_logarithm(term, expression - term)
        if expression.args[0] == -1 and len(expression.args) == 2 and isinstance(expression.args[1], exp):
            return self.elementwise("expm1", self.lower(expression.args[1].args[0]))
        terms = sorted(expression.args, key=_term_order)
        signs = tuple(term.could_extract_minus_sign() for term in terms)
        values = [self.lower(-t if negative else t) for t, negative in zip(terms, signs, strict=True)]
        if len(values) > 2 and not any(value.axes for value in values):
            return Operation("terms", tuple(values), signs)  # flat: regularised nets have many
        total: Operation | None = None
        for value, negative in zip(values, signs, strict=True):
            if total is None:
                total = self.elementwise("negative", value) if negative else value
            else:
                total = self.elementwise("subtract" if negative else "add", total, value)
        assert total is not None
        return total

    def beside_logarithm(self, logarithm: log, rest: Expr) -> Operation:
        """Lower log Σ exp(v) + rest: large numbers meet first, so that no digit of the logarithm is lost."""
        largest, total = self.sum_of_exponentials(logarithm.args[0])
        logged = self.elementwise("log", total)
        if rest.could_extract_minus_sign():
            return self.elementwise(
                "subtract", logged, self.elementwise("subtract", self.lower(-rest), largest)
            )
        return self.elementwise("add", logged, self.elementwise("add", self.lower(rest), largest))

    def multiply(self, expression: Mul) -> Operation:
        """Lower a product: numerator from left to right, then one division by each denominator."""
        if expression.could_extract_minus_sign():
            return self.elementwise("negative", self.lower(-expression))
        above, below = _fraction(expression)
        parts = _shared_out(above, below)
        if parts:
            return reduce(partial(self.elementwise, "multiply"), [self.lower(part) for part in parts])
        above = sorted(above, key=_factor_order)
        shifted = self.shifted_exponentials(above, below)
        factors = [shifted[f] if f in shifted else self.factor(f) for f in above]
        total = factors[0] if factors else self.number(ONE)
        for factor in factors[1:]:
            total = self.elementwise("multiply", total, factor)
        for divisor in below:
            total = self.elementwise("divide", total, shifted.get(divisor) or self.lower(divisor))
        return total

    def shifted_exponentials(self, above: Sequence[Expr], below: Sequence[Expr]) -> dict[Expr, Operation]:
        """Take the largest exponent out of exp(u)/Σ exp(v), above and below: neither can overflow."""
        found: dict[Expr, Operation] = {}
        free = [f for f in above if isinstance(f, exp)]
        for divisor in below:
            if free and _is_sum_of_exponentials(divisor):
                numerator = free.pop(0)
                largest, total = self.sum_of_exponentials(divisor)
                difference = self.elementwise("subtract", self.lower(numerator.args[0]), largest)
                found |= {numerator: self.elementwise("exp", difference), divisor: total}
        return found

    def sum_of_exponentials(self, expression: Sum) -> tuple[Operation, Operation]:
        """Return the largest exponent m of Σ exp(v), and Σ exp(v - m)."""
        body, ranges = open_sum(expression)
        self.ranges |= dict(ranges)
        summed = [i for i, _ in ranges]
        exponent = self.lower(body.args[0])
        largest = self.reduce("max", exponent, summed)
        exponentials = self.elementwise("exp", self.elementwise("subtract", exponent, largest))
        return largest, self.reduce("sum", exponentials, summed)

    def factor(self, factor: Expr) -> Operation:
        """Lower a factor; one that is 1 or 0 by a condition is the condition itself."""
        if isinstance(factor, Piecewise) and len(factor.args) == 2:
            (one, condition), (zero, otherwise) = factor.args
            if (one, zero, otherwise) == (1, 0, S.true):
                return self.lower(condition)
        return self.lower(factor)

    def power(self, expression: Pow) -> Operation:
        """Lower a power: small integer powers are products, which are much faster."""
        base, exponent = expression.as_base_exp()
        if base == sympy.E:
            return self.elementwise("exp", self.lower(exponent))
        if exponent.could_extract_minus_sign():
            return self.elementwise("divide", self.number(ONE), self.lower(base**-exponent))
        if exponent == S.Half:
            return self.elementwise("sqrt", self.lower(base))
        value = self.lower(base)
        if isinstance(exponent, Integer):
            return self.integer_power(value, int(exponent))
        if isinstance(exponent, Rational) and exponent.q == 2:
            root = self.elementwise("sqrt", value)
            return self.elementwise("multiply", self.integer_power(value, int(exponent.p) // 2), root)
        return self.elementwise("power", value, self.lower(exponent))

    def integer_power(self, value: Operation, exponent: int) -> Operation:
        if exponent == 1:
            return value
        half = self.integer_power(value, exponent // 2)
        square = self.elementwise("square", half)
        return self.elementwise("multiply", square, value) if exponent % 2 else square

    def log(self, expression: log) -> Operation:
        """Lower a logarithm; those of sums of exponentials never overflow."""
        argument = expression.args[0]
        if _is_sum_of_exponentials(argument):
            largest, total = self.sum_of_exponentials(argument)
            return self.elementwise("add", largest, self.elementwise("log", total))
        if argument.is_Add and len(argument.args) == 2 and all(_is_exponential(a) for a in argument.args):
            first, second = sorted((_exponent(a) for a in argument.args), key=_term_order)
            return self.elementwise("logaddexp", self.lower(first), self.lower(second))
        if argument.is_Add and argument.args[0] == 1:
            return self.elementwise("log1p", self.lower(argument - 1))
        return self.elementwise("log", self.lower(argument))

    def piecewise(self, expression: Piecewise) -> Operation:
        """Lower a choice; the larger of a quantity and a number is recognised."""
        (value, condition), (other, otherwise) = expression.args[0], expression.args[-1]
        two = len(expression.args) == 2 and isinstance(condition, sympy.StrictGreaterThan)
        if two and (condition.gts, condition.lts) == (value, other):
            return self.elementwise("maximum", self.lower(value), self.lower(other))
        if otherwise is not S.true:
            raise self.unsupported(expression)
        result = self.lower(other)
        for value, condition in reversed(expression.args[:-1]):
            result = self.elementwise("where", self.lower(condition), self.lower(value), result)
        return result

    def relation(self, expression: Relational) -> Operation:
        kind = _RELATIONS[expression.rel_op]
        return self.elementwise(kind, self.lower(expression.lhs), self.lower(expression.rhs))

    def heaviside(self, expression: Expr) -> Operation:
        return self.elementwise("heaviside", self.lower(expression.args[0]), self.number(expression.args[1]))

    def fold(self, kind: str, expression: Expr) -> Operation:
        first, *rest = sorted(expression.args, key=_term_order)
        total = self.lower(first)
        for other in rest:
            total = self.elementwise(kind, total, self.lower(other))
        return total

    # ------------------------------------------------------------ sums and products of sums

    def sum(self, expression: Sum) -> Operation:
        """Lower a sum: a matrix product where two groups of factors share the summed axis."""
        body, ranges = open_sum(expression)
        if any(n.has(Indexed) for _, n in ranges):
            raise self.unsupported(expression)
        self.ranges |= _axis_order(body, dict(ranges))
        coefficient, body = body.as_coeff_Mul()
        summed = [i for i, _ in ranges]
        groups = self._groups(body)
        outside = groups.pop(frozenset(), None)
        result = self._contract([self._product(g) for g in groups.values()], summed)
        if outside:
            result = self.elementwise("multiply", self._product(outside), result)
        if coefficient == -1:
            return self.elementwise("negative", result)
        return result if coefficient == 1 else self.elementwise("multiply", self.number(coefficient), result)

    def _groups(self, body: Expr) -> dict[frozenset[Axis], list[Expr]]:
        """Group the factors of a product by the axes that they carry."""
        factors = Mul.make_args(body)
        groups: dict[frozenset[Axis], list[Expr]] = {}
        if any(_is_sum_of_exponentials(f) for f in _fraction(body)[1]):
            return {frozenset(self.lower(body).axes): list(factors)}  # its parts are lowered together
        for factor in sorted(factors, key=_factor_order):
            axes = frozenset(self.lower(factor).axes) - {None}
            groups.setdefault(axes, []).append(factor)
        return groups

    def _product(self, factors: Sequence[Expr]) -> Operation:
        return self.lower(Mul(*factors))

    def _contract(self, operands: Sequence[Operation], summed: Sequence[Symbol]) -> Operation:
        if len(operands) > 1 and all(axis in summed for o in operands for axis in o.axes):
            operands = [reduce(partial(self.elementwise, "multiply"), operands)]
        if len(operands) == 1:
            return self.reduce("sum", operands[0], summed)
        if len(operands) == 2:
            product = self._matrix_product(operands[0], operands[1], summed)
            if product is not None:
                return product
        return self._einsum(operands, summed)

    def reduce(self, kind: str, operand: Operation, summed: Sequence[Symbol]) -> Operation:
        """Return the sum or the maximum of ``operand`` over the axes ``summed``."""
        positions = tuple(sorted(operand.axes.index(i) for i in summed))
        kept = [p for p in range(len(operand.axes)) if p not in positions]
        axes, shape = tuple(operand.axes[p] for p in kept), tuple(operand.shape[p] for p in kept)
        axis: object = None if not kept else positions[0] if len(positions) == 1 else positions
        return Operation(kind, (operand,), (axis, False), axes, shape)

    def _matrix_product(
        self, first: Operation, second: Operation, summed: Sequence[Symbol]
    ) -> Operation | None:
        """Return ``first @ second`` with the axes in the order of the result, if it is one."""
        shared = set(first.axes) & set(second.axes)
        if shared != set(summed) or len(summed) != 1 or max(len(first.axes), len(second.axes)) > 2:
            return None
        (i,) = summed
        left = [a for a in first.axes if a != i]
        right = [a for a in second.axes if a != i]
        order = list(self.ranges)
        if right and (not left or order.index(right[0]) < order.index(left[0])):
            first, second, left, right = second, first, right, left
        first, second = self.layout(first, (*left, i)), self.layout(second, (i, *right))
        axes = (*left, *right)
        return Operation("matmul", (first, second), None, axes, tuple(self.ranges[a] for a in axes if a))

    def _einsum(self, operands: Sequence[Operation], summed: Sequence[Symbol]) -> Operation:
        present = [a for a in self.ranges if any(a in o.axes for o in operands)]
        letters = dict(zip(present, "abcdefghijklmnopqrstuvwxyz", strict=False))
        kept = tuple(a for a in present if a not in summed)
        spec = ",".join("".join(letters[a] for a in o.axes if a) for o in operands)
        spec += "->" + "".join(letters[a] for a in kept)
        return Operation("einsum", tuple(operands), spec, kept, tuple(self.ranges[a] for a in kept))


def _with_new_axes(operation: Operation, axes: tuple[Axis, ...]) -> Operation:
    """Insert axes of length 1; where possible in the inputs, so that code says keepdims."""
    if operation.axes == axes or not operation.axes:
        return operation
    shape = iter(operation.shape)
    full = tuple(next(shape) if axis is not None else ONE for axis in axes)
    if operation.kind in ("sum", "max") and isinstance(operation.value, tuple):
        axis, kept = operation.value
        if not kept and isinstance(axis, int) and axes[axis] is None and len(axes) == len(operation.axes) + 1:
            return Operation(operation.kind, operation.inputs, (axis, True), axes, full)
    if operation.is_elementwise:
        inputs = tuple(_with_new_axes(i, _axes_inside(i, axes)) for i in operation.inputs)
        return Operation(operation.kind, inputs, operation.value, axes, full)
    positions = tuple(None if axis is None else operation.axes.index(axis) for axis in axes)
    return Operation("layout", (operation,), positions, axes, full)


def _axes_inside(operation: Operation, axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """Return the axes of one input of an elementwise operation that is to have ``axes``."""
    if not operation.axes:
        return ()
    return tuple(axis if axis in operation.axes else None for axis in axes)


def _axis_order(body: Expr, ranges: Ranges) -> Ranges:
    """Return summed indices in the order of the axes of what is read, so that nothing is transposed."""
    reads = sorted(body.atoms(Indexed), key=lambda r: (-len(set(r.indices) & set(ranges)), str(r)))
    first = list(reads[0].indices) if reads else []
    order = sorted(ranges, key=lambda i: first.index(i) if i in first else len(first))
    return {i: ranges[i] for i in order}


def _is_sum_of_exponentials(expression: Expr) -> bool:
    return isinstance(expression, Sum) and isinstance(expression.function, exp)


def _is_exponential(expression: Expr) -> bool:
    return expression == ONE or isinstance(expression, exp)


def _exponent(expression: Expr) -> Expr:
    return expression.args[0] if isinstance(expression, exp) else Integer(0)


def _fraction(expression: Expr) -> tuple[list[Expr], list[Expr]]:
    """Return the factors above and below the line; a rational number is split, 0.5 stays."""
    above: list[Expr] = []
    below: list[Expr] = []
    for factor in Mul.make_args(expression):
        base, exponent = factor.as_base_exp()
        if factor.is_Rational and not is_decimal(factor):
            above += [Integer(factor.p)] if factor.p != 1 else []
            below.append(Integer(factor.q))
        elif base != sympy.E and exponent.is_Rational and exponent.is_negative:
            below.append(base**-exponent)
        else:
            above.append(factor)
    return above, below


def _shared_out(above: Sequence[Expr], below: Sequence[Expr]) -> list[Expr]:
    """Return factors of a fraction that divide by each sum once, where it divides by a power of one.

    The square of a sum, or the whole numerator, may overflow where the value does not: s⁴/(1 + s⁴)² is
    computed as the square of s²/(1 + s⁴).
    """
    powers = [(d.base, int(d.exp)) for d in below if d.is_Pow and d.base.is_Add and d.exp.is_Integer]
    varying = [f for f in above if f.free_symbols]
    if len(powers) != 1 or not varying:
        return []
    (base, count) = powers[0]
    constant = Mul(*[f for f in above if not f.free_symbols])
    others = [d for d in below if not (d.is_Pow and d.base == base)]
    units = [u for f in varying for u in _unit_factors(f)]
    shares = [Mul(*units[n::count]) / base for n in range(count)]
    shares[0] *= constant * Mul(*[1 / d for d in others])
    return shares


def _unit_factors(factor: Expr) -> list[Expr]:
    """Return x, x, x for x³, and any other factor as it is."""
    base, exponent = factor.as_base_exp()
    whole = exponent.is_Integer and exponent > 1 and base != sympy.E
    return [base] * int(exponent) if whole else [factor]


def is_decimal(number: Expr) -> bool:
    """Whether a rational number is written exactly as a short decimal, such as 0.1 or 7."""
    denominator = int(number.q)
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator == 1 and len(str(number.q)) <= 8 and number.q not in (2, 4)


def _term_order(term: Expr) -> tuple[object, ...]:
    """Numbers first, then what is not negated, then as named."""
    negative = term.could_extract_minus_sign()
    return (negative, not term.is_number, not term.has(Sum), _first_name(term))


def _factor_order(factor: Expr) -> tuple[object, ...]:
    """Numbers, named constants, sums, then quantities; x before the sum 1 - x."""
    return (
        not factor.is_number,
        factor.has(Indexed),
        not factor.has(Sum),
        factor.has(Piecewise),
        _first_name(factor),
        factor.is_Add,
    )


def _first_name(expression: Expr) -> str:
    return min((name_of(read) for read in expression.atoms(Indexed)), default="")
