"""Whether equations are well formed: checked once, on the way in.

Any equation refused here would be wrong, or undefined, in every later stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from typing import NoReturn

from sympy import (
    Abs,
    Add,
    And,
    Dummy,
    Expr,
    Function,
    Indexed,
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
    expand,
    sign,
)
from sympy.core.relational import Relational
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import BooleanAtom

from symbackprop.equations.affine import affine, bounds, not_negative, with_sizes_from
from symbackprop.equations.circles import circles_of
from symbackprop.equations.system import (
    BINDERS,
    ZERO,
    ArgMax,
    Equation,
    EquationSystem,
    Ranges,
    is_index,
    is_size,
    name_of,
)
from symbackprop.errors import SpecificationError, UnsupportedExpression

_ARITHMETIC = (Add, Mul, Pow, Sum, Symbol, Number, NumberSymbol, Function, Max, Min, Abs, sign)
_CONDITIONS = (Piecewise, ExprCondPair, KroneckerDelta, Relational, And, Or, Not, BooleanAtom)
_ALLOWED = _ARITHMETIC + _CONDITIONS


def check_system(system: EquationSystem) -> None:
    """Check once, on the way in, that every equation is well formed.

    Raises:
        SpecificationError: a quantity read before it is defined (but for circles along a letter, see
            `circles`) or defined twice, an index that is
            free, bound twice, not affine, or runs over another size than its axis, a read outside of
            its array, a loss that is no scalar.
        UnsupportedExpression: a node that the calculus does not know.
    """
    given = set(system.quantities) - {e.name for e in system.equations}
    circles = circles_of(system.equations, system.reads)
    defined, pending = set(given), set[str]()
    for equation in system.equations:
        if equation.name in circles and equation.name not in pending:
            pending = set(circles[equation.name].names)
        check = _Check(system, f"equation of {equation.name}", defined | pending if pending else defined)
        check.left_side(equation, defined)
        if pending and equation.name not in pending:
            check.fail(f"it stands amid those of the circle {', '.join(sorted(pending))}")
        check.integers(equation)
        check.expression(equation.rhs, _Scope(equation.ranges))
        defined.add(equation.name)
        if pending <= defined:
            pending = set()
    if system.loss not in system.definitions or system.loss not in system.quantities:
        raise SpecificationError(f"the loss {system.loss} is not defined")
    if system.quantities[system.loss].shape:
        raise SpecificationError(f"the loss {system.loss} must be a scalar, without indices")


@dataclass(frozen=True)
class _Scope:
    """The ranges of indices at a place in an expression, and the expressions not negative there."""

    ranges: Ranges
    guards: tuple[Expr, ...] = ()

    def guarded(self, *guards: Expr) -> _Scope:
        return replace(self, guards=self.guards + guards)


@dataclass(frozen=True)
class _Check:
    """The check of one equation; ``known`` are the quantities that it may read."""

    system: EquationSystem
    where: str
    known: Set[str]

    def fail(self, problem: str) -> NoReturn:
        raise SpecificationError(f"{self.where}: {problem}")

    def left_side(self, equation: Equation, defined: Set[str]) -> None:
        quantity = self.system.quantities.get(equation.name)
        if equation.name in defined:
            self.fail(f"{equation.name} is defined twice")
        if quantity is None:
            self.fail(f"{equation.name} is not a quantity of the network")
        if not all(isinstance(i, Symbol) for i in equation.indices):
            self.fail(f"the left side {equation.lhs} must have a letter for each axis")
        if len(set(equation.indices)) != len(equation.indices):
            self.fail("an index stands twice on the left")
        if equation.lhs != quantity.at(equation.indices[: len(quantity.shape)]):
            self.fail(f"{equation.lhs} does not have the axes of {equation.name}")

    def integers(self, equation: Equation) -> None:
        """An integer quantity has integer values, and an argmax is the whole right side of one."""
        whole, inside = self.system.quantities[equation.name].integer, equation.rhs
        if whole and not inside.is_integer:
            self.fail(f"{equation.name} is an integer quantity, {inside} may be none")
        if whole and isinstance(inside, ArgMax):
            inside = inside.function
        if inside.has(ArgMax):
            self.fail("an argmax must be the whole right side of an integer quantity")

    def expression(self, node: Expr, scope: _Scope) -> None:
        if isinstance(node, Indexed):
            self.read(node, scope)
        elif isinstance(node, BINDERS):
            self.expression(node.function, replace(scope, ranges=self.bound(node, scope.ranges)))
        elif isinstance(node, Symbol) and not isinstance(node, Dummy):
            self.symbol(node, scope)
        elif isinstance(node, Piecewise):
            self.cases(node, scope)
        elif isinstance(node, _ALLOWED) and not isinstance(node, Dummy):
            for argument in node.args:
                self.expression(argument, scope)
        else:
            kind = type(node).__name__
            raise UnsupportedExpression(f"{self.where}: the calculus does not know {kind} ({node})")

    def bound(self, node: Expr, ranges: Ranges) -> Ranges:
        """Return ``ranges`` with those of the indices that ``node`` binds."""
        inner = dict(ranges)
        for i, low, high in node.limits:
            if i in inner:
                self.fail(f"the index {i} is bound twice")
            if low != 0:
                kind = "sum" if isinstance(node, Sum) else "argmax"
                self.fail(f"the {kind} over {i} must begin at 0, not at {low}")
            inner[i] = high + 1
        return inner

    def symbol(self, node: Symbol, scope: _Scope) -> None:
        if self.system.is_read(node):
            if node.name not in self.known:
                self.fail(f"{node.name} is read before it is defined")
            if self.system.quantities[node.name].shape:
                self.fail(f"{node.name} has axes and is read without indices")
        elif is_index(node) and node not in scope.ranges:
            self.fail(f"the index {node} is free")

    def cases(self, node: Piecewise, scope: _Scope) -> None:
        """Check the branches, each where its condition holds and those before it do not."""
        for value, condition in node.args:
            self.expression(condition, scope)
            self.expression(value, scope.guarded(*not_negative(condition)))
            scope = scope.guarded(*not_negative(Not(condition)))

    # ---- reads

    def read(self, read: Indexed, scope: _Scope) -> None:
        name = name_of(read)
        if name not in self.system.quantities:
            self.fail(f"{name} is not a quantity of the network")
        if name not in self.known:
            self.fail(f"{name} is read before it is defined")
        shape = self.system.quantities[name].shape
        if len(shape) != len(read.indices):
            self.fail(f"{name} has {len(shape)} axes, {read} gives {len(read.indices)}")
        for position, i in enumerate(read.indices):
            if i in scope.ranges:
                if with_sizes_from(1, shape[position] - scope.ranges[i]).is_nonnegative:
                    continue
                if scope.guards:
                    self.inside(read, position, scope)
                else:
                    axis = f"axis {position} of {name} has size {shape[position]}"
                    self.fail(f"index {i} runs over {scope.ranges[i]}, but {axis}")
            else:
                self.index(read, i, scope)
                self.inside(read, position, scope)

    def index(self, read: Indexed, i: Expr, scope: _Scope) -> None:
        """Check an index that is no letter: affine in letters and integer quantities that are known."""
        for part in self.system.reads(i):
            if not self.system.quantities[name_of(part)].integer:
                self.fail(f"{part} is not an integer and can't be an index")
            self.expression(part, scope)
        for s in sorted(_plain_symbols(i), key=str):
            if not (s in scope.ranges or is_size(s) or self.system.is_read(s)):
                self.fail(f"the index {s} of {read} is free")
        if not i.is_integer:
            self.fail(f"the index {i} of {read} is not always an integer")
        letters = [s for s in i.free_symbols if isinstance(s, Symbol) and not is_size(s)]
        if any(expand(i.diff(s)).free_symbols & set(letters) for s in letters):
            self.fail(f"the index {i} of {read} is not affine: only multiples of letters can be added")

    def inside(self, read: Indexed, position: int, scope: _Scope) -> None:
        """Refuse an index that leaves its axis for some values of the letters, whatever the sizes.

        Sizes of less than four do not count: a kernel of one weight stays inside where others do not.
        """
        ranges, places = dict(scope.ranges), {}
        for part in self.system.reads(read.indices[position]):
            definition = self.system.definitions.get(name_of(part))
            if definition is None or not isinstance(definition.rhs, ArgMax):
                return  # integers in the data are checked with the data
            places[part] = Dummy(integer=True)
            ranges[places[part]] = definition.rhs.limits[0][2] + 1
        i, extent = read.indices[position].xreplace(places), read.base.shape[position]
        guards = [guard.xreplace(places) for guard in scope.guards]
        for room in (i, extent - 1 - i):
            if any(_is_never_negative(room - guard, ranges) for guard in (ZERO, *guards)):
                continue
            found = affine(room, ranges)
            corner = found.lowest(ranges) if found else {}
            missing, *met = (with_sizes_from(4, each.xreplace(corner)) for each in (-room, *guards))
            if missing.is_positive and all(each.is_nonnegative for each in met):
                at, axis = expand(i.xreplace(corner)), f"axis {position} of {name_of(read)} has size {extent}"
                self.fail(f"the index {read.indices[position]} of {read} can be {at}, but {axis}: guard it")


def _is_never_negative(expression: Expr, ranges: Ranges) -> bool:
    return bool(bounds(expression, ranges)[0].is_nonnegative)


def _plain_symbols(expression: Expr) -> Iterator[Symbol]:
    """Yield the symbols of an index expression outside of the quantities that it reads."""
    if isinstance(expression, Symbol):
        yield expression
    elif not isinstance(expression, Indexed):
        for argument in expression.args:
            yield from _plain_symbols(argument)
