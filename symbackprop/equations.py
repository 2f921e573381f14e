"""Indexed equations: the one representation that is derived, proved, printed and emitted.

A network is an ordered list of equations ``lhs = rhs``.  The left-hand side is a SymPy ``Indexed``
whose base carries its shape (or a plain symbol, for a scalar); the right-hand side is any SymPy
expression of ``Indexed``, ``Sum``, functions and ``Piecewise``.  Sizes are positive integer symbols
or numbers, indices are integer symbols that run from 0 to size - 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sympy import (
    Abs,
    Add,
    And,
    Dummy,
    Expr,
    Function,
    Indexed,
    IndexedBase,
    Integer,
    KroneckerDelta,
    Max,
    Min,
    Mul,
    Not,
    Number,
    NumberSymbol,
    Or,
    Piecewise,
    Pow,
    Sum,
    Symbol,
    Tuple,
    expand,
    sign,
    sympify,
)
from sympy.core.relational import Relational
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import BooleanAtom

from symbackprop.errors import SpecificationError, UnsupportedExpression

Ranges = dict[Symbol, Expr]
"""Index symbol -> the size it runs over."""


def index(name: str) -> Symbol:
    """Return the index symbol of that letter."""
    return Symbol(name, integer=True)


def size(name: str) -> Symbol:
    """Return the size symbol of that name."""
    return Symbol(name, integer=True, positive=True)


def sum_over(body: Expr, *ranges: tuple[Symbol, Expr | int]) -> Expr:
    """Return the sum of ``body`` over indices that run from 0 to size - 1."""
    return Sum(body, *[(i, 0, sympify(n) - 1) for i, n in ranges])


class ArgMax(Expr):  # type: ignore[misc]  # SymPy has no types
    """The value of an index at which ``function`` is largest, the first of equal ones.

    It is an integer, constant between jumps, so it carries no derivative.  It binds its index as a
    ``Sum`` does, and has the same ``function`` and ``limits``.
    """

    is_commutative = True
    is_integer = True
    is_nonnegative = True

    def __new__(cls, function: Expr, *limits: Expr | tuple[Symbol, Expr, Expr]) -> ArgMax:
        if len(limits) != 1:
            raise ValueError(f"argmax has one index, not {len(limits)}")
        found: ArgMax = Expr.__new__(cls, sympify(function), Tuple(*limits[0]))
        return found

    @property
    def function(self) -> Expr:
        """What is compared."""
        return self.args[0]

    @property
    def limits(self) -> tuple[Tuple, ...]:
        """The index with the least and the greatest value that it takes."""
        return tuple(self.args[1:])

    @property
    def free_symbols(self) -> set[Symbol]:
        """The free symbols: those of the body and of the range, without the index."""
        i, low, high = self.limits[0]
        return set((self.function.free_symbols - {i}) | low.free_symbols | high.free_symbols)


BINDERS = (Sum, ArgMax)
"""The nodes that bind indices."""


def arg_max(body: Expr, over: tuple[Symbol, Expr | int]) -> Expr:
    """Return the value of an index, from 0 to size - 1, at which ``body`` is largest; the first of equals."""
    i, n = over
    return ArgMax(body, (i, 0, sympify(n) - 1))


def constant_outside(total: Expr) -> Expr:
    """Return a sum with the constant factor of its body, or its minus sign, in front."""
    constant, body = total.function.as_coeff_Mul()
    if body.could_extract_minus_sign():
        constant, body = -constant, -body
    return constant * total.func(body, *total.limits)


@dataclass(frozen=True)
class Quantity:
    """A named array of real numbers (or of integers, which carry no derivative).

    ``shape`` holds one size per axis; a scalar has none.
    """

    name: str
    shape: tuple[Expr, ...] = ()
    integer: bool = False

    @cached_property
    def symbol(self) -> Symbol:
        """The name as a SymPy symbol; for a scalar it stands for the quantity itself."""
        return Symbol(self.name, integer=True) if self.integer else Symbol(self.name, real=True)

    @cached_property
    def base(self) -> IndexedBase:
        """The indexed base of an array."""
        return IndexedBase(self.symbol, shape=self.shape)

    def at(self, indices: Sequence[Expr]) -> Expr:
        """Return the component at ``indices``."""
        return self.base[tuple(indices)] if self.shape else self.symbol

    def __getitem__(self, indices: Expr | tuple[Expr, ...]) -> Expr:
        return self.at(indices if isinstance(indices, tuple) else (indices,))

    def ranges(self, indices: Sequence[Expr]) -> Ranges:
        """Return the range of each index symbol that reads an axis of this quantity."""
        return {i: n for i, n in zip(indices, self.shape, strict=True) if isinstance(i, Symbol)}


def quantity(name: str, *shape: Expr | int, integer: bool = False) -> Quantity:
    """Return a quantity; sizes may be plain numbers."""
    return Quantity(name, tuple(sympify(n) for n in shape), integer)


def name_of(component: Expr) -> str:
    """Return the name of the quantity that ``component`` is a component of."""
    return str(component.base.name if isinstance(component, Indexed) else component.name)


def indices_of(component: Expr) -> tuple[Expr, ...]:
    """Return the indices at which ``component`` reads its quantity."""
    return tuple(component.indices) if isinstance(component, Indexed) else ()


@dataclass(frozen=True)
class Equation:
    """The definition of one quantity: ``lhs = rhs``, for every value of the indices of ``lhs``."""

    lhs: Expr
    rhs: Expr

    @property
    def name(self) -> str:
        """The name of the quantity that is defined."""
        return name_of(self.lhs)

    @property
    def indices(self) -> tuple[Expr, ...]:
        """The indices of the left-hand side."""
        return indices_of(self.lhs)

    @property
    def ranges(self) -> Ranges:
        """The range of each index of the left-hand side."""
        shape = self.lhs.base.shape if isinstance(self.lhs, Indexed) else ()
        return {i: n for i, n in zip(self.indices, shape, strict=True) if isinstance(i, Symbol)}


@dataclass(frozen=True)
class Fact:
    """What is assumed of the data: the sum of ``component`` over ``index`` is ``value``.

    A fact is no algebra.  It is used only where it shortens a result, and stated there.
    """

    component: Indexed
    index: Symbol
    value: Expr

    @property
    def axis(self) -> int:
        """The position of the summed index among the indices of the component."""
        return list(self.component.indices).index(self.index)


@dataclass(frozen=True)
class EquationSystem:
    """Equations in evaluation order, the quantities they name, and what is asked of them.

    ``loss`` is the scalar that is differentiated; ``parameters`` are the quantities with respect to
    which; ``inputs`` are given and not differentiated unless asked for.
    """

    equations: tuple[Equation, ...]
    quantities: dict[str, Quantity]
    parameters: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    loss: str = "E"
    facts: tuple[Fact, ...] = ()
    definitions: dict[str, Equation] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "definitions", {e.name: e for e in self.equations})

    def is_read(self, node: Expr) -> bool:
        """Whether ``node`` is a component of a quantity of the system, and no index or size of that name."""
        if not isinstance(node, Symbol):
            return isinstance(node, Indexed)
        return node.name in self.quantities and node == self.quantities[node.name].symbol

    def reads(self, expression: Expr) -> Iterator[Expr]:
        """Yield each component that ``expression`` reads, in the order of the expression's tree."""
        if self.is_read(expression):
            yield expression
            for i in indices_of(expression):
                yield from self.reads(i)
        elif isinstance(expression, BINDERS):
            yield from self.reads(expression.function)
        else:
            for argument in expression.args:
                yield from self.reads(argument)


_ARITHMETIC = (Add, Mul, Pow, Sum, Symbol, Number, NumberSymbol, Function, Max, Min, Abs, sign)
_CONDITIONS = (Piecewise, ExprCondPair, KroneckerDelta, Relational, And, Or, Not, BooleanAtom)
_ALLOWED = _ARITHMETIC + _CONDITIONS


def check_system(system: EquationSystem) -> None:
    """Check once, on the way in, that every equation is well formed.

    Raises:
        SpecificationError: a quantity read before it is defined or defined twice, an index that is
            free, bound twice or runs over another size than its axis, a loss that is no scalar.
        UnsupportedExpression: a node that the calculus does not know.
    """
    known = set(system.quantities) - {e.name for e in system.equations}
    for equation in system.equations:
        where = f"equation of {equation.name}"
        if equation.name in known:
            raise SpecificationError(f"{where}: {equation.name} is defined twice")
        _check_left_side(system, equation, where)
        _check_integers(system, equation, where)
        _check_expression(system, equation.rhs, equation.ranges, known, where)
        known.add(equation.name)
    if system.loss not in system.definitions or system.loss not in system.quantities:
        raise SpecificationError(f"the loss {system.loss} is not defined")
    if system.quantities[system.loss].shape:
        raise SpecificationError(f"the loss {system.loss} must be a scalar, without indices")


def _check_left_side(system: EquationSystem, equation: Equation, where: str) -> None:
    quantity = system.quantities.get(equation.name)
    if quantity is None:
        raise SpecificationError(f"{where}: {equation.name} is not a quantity of the network")
    if not all(isinstance(i, Symbol) for i in equation.indices):
        raise SpecificationError(f"{where}: the left side {equation.lhs} must have a letter for each axis")
    if len(set(equation.indices)) != len(equation.indices):
        raise SpecificationError(f"{where}: an index stands twice on the left")
    if equation.lhs != quantity.at(equation.indices[: len(quantity.shape)]):
        raise SpecificationError(f"{where}: {equation.lhs} does not have the axes of {equation.name}")


def _check_integers(system: EquationSystem, equation: Equation, where: str) -> None:
    """An integer quantity has integer values, and an argmax is the whole right side of one."""
    whole = system.quantities[equation.name].integer
    if whole and not equation.rhs.is_integer:
        raise SpecificationError(
            f"{where}: {equation.name} is an integer quantity, {equation.rhs} may be none"
        )
    inside = equation.rhs.function if whole and isinstance(equation.rhs, ArgMax) else equation.rhs
    if inside.has(ArgMax):
        raise SpecificationError(f"{where}: an argmax must be the whole right side of an integer quantity")


def _check_expression(
    system: EquationSystem, expression: Expr, ranges: Ranges, known: set[str], where: str
) -> None:
    if isinstance(expression, Indexed):
        _check_read(system, expression, ranges, known, where)
    elif isinstance(expression, BINDERS):
        inner = dict(ranges)
        for i, low, high in expression.limits:
            if i in inner:
                raise SpecificationError(f"{where}: the index {i} is bound twice")
            if low != 0:
                kind = "sum" if isinstance(expression, Sum) else "argmax"
                raise SpecificationError(f"{where}: the {kind} over {i} must begin at 0, not at {low}")
            inner[i] = high + 1
        _check_expression(system, expression.function, inner, known, where)
    elif isinstance(expression, Symbol) and system.is_read(expression):
        if expression.name not in known:
            raise SpecificationError(f"{where}: {expression.name} is read before it is defined")
        if system.quantities[expression.name].shape:
            raise SpecificationError(f"{where}: {expression.name} has axes and is read without indices")
    elif not isinstance(expression, _ALLOWED) or isinstance(expression, Dummy):
        kind = type(expression).__name__
        raise UnsupportedExpression(f"{where}: the calculus does not know {kind} ({expression})")
    else:
        for argument in expression.args:
            _check_expression(system, argument, ranges, known, where)


def _check_read(system: EquationSystem, read: Indexed, ranges: Ranges, known: set[str], where: str) -> None:
    name = name_of(read)
    if name not in system.quantities:
        raise SpecificationError(f"{where}: {name} is not a quantity of the network")
    if name not in known:
        raise SpecificationError(f"{where}: {name} is read before it is defined")
    shape = system.quantities[name].shape
    if len(shape) != len(read.indices):
        raise SpecificationError(f"{where}: {name} has {len(shape)} axes, {read} gives {len(read.indices)}")
    sizes = {s for n in (*shape, *ranges.values()) for s in n.free_symbols}
    for position, (i, n) in enumerate(zip(read.indices, shape, strict=True)):
        if i in ranges and expand(ranges[i] - n) != 0:
            axis = f"axis {position} of {name} has size {n}"
            raise SpecificationError(f"{where}: index {i} runs over {ranges[i]}, but {axis}")
        for part in system.reads(i):
            if not system.quantities[name_of(part)].integer:
                raise SpecificationError(f"{where}: {part} is not an integer and can't be an index")
            if isinstance(part, Indexed):
                _check_read(system, part, ranges, known, where)
        scalars = {q.symbol for q in system.quantities.values() if not q.shape}
        free = {s for s in _plain_symbols(i) if s not in ranges and s not in sizes and s not in scalars}
        for s in sorted(free, key=str):
            raise SpecificationError(f"{where}: the index {s} of {read} is free")


def _plain_symbols(expression: Expr) -> Iterator[Symbol]:
    """Yield the symbols of an index expression outside of the quantities that it reads."""
    if isinstance(expression, Symbol):
        yield expression
    elif not isinstance(expression, Indexed):
        for argument in expression.args:
            yield from _plain_symbols(argument)


ONE = Integer(1)
ZERO = Integer(0)
