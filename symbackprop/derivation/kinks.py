"""Where a derivative jumps, and the value that it is given there.

In go a derivative, its function and the variable, out come ``Kink``s.  A place is the solution of a
condition (``s > 6``, ``sign(x - t)``) for the variable, the value is that of the derivative as it is
written, and it is a kink if the two sides differ.  Nothing is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from sympy import (
    Abs,
    Add,
    Basic,
    Derivative,
    Dummy,
    Expr,
    Heaviside,
    Indexed,
    Integer,
    Max,
    Min,
    Rational,
    Sum,
    Symbol,
    nan,
    oo,
    real_roots,
    sign,
    zoo,
)
from sympy.core.relational import Relational

from symbackprop.derivation.calculus.budget import expand, polynomial, simplify
from symbackprop.equations.indices import rename
from symbackprop.equations.steps import Derived, Step, differentiated
from symbackprop.equations.system import ZERO, name_of

_MOST_BOUNDARIES = 12
_HIGHEST_DEGREE = 4
_HIGHEST_ORDER = 4
_DIGITS = 20


@dataclass(frozen=True)
class Kink:
    """Where ``left = right`` a derivative takes ``value``, and beside it something else.

    ``left`` is the variable where the condition can be solved for it.  The function ``jumps`` where it is
    not continuous itself.
    """

    left: Expr
    right: Expr
    value: Expr
    jumps: bool = False

    def of(self, old: Expr, new: Expr) -> Kink:
        """Return the same kink with ``new`` for the variable ``old``."""
        left, right, value = (side.xreplace({old: new}) for side in (self.left, self.right, self.value))
        return Kink(left, right, value, self.jumps)


def kinks_in(derivation: Derived) -> dict[int, tuple[Kink, ...]]:
    """Return the number of each local derivative that jumps somewhere, with the places where it does."""
    found = {}
    for step in derivation.steps:
        if step.rule == "local derivative":
            function, variable = _function_of(step, derivation), differentiated(step.lhs, derivation)
            kinks = kinks_of(*_at_the_read(step.rhs, function, variable))
            if kinks:
                found[step.number] = kinks
    return found


def _function_of(step: Step, derivation: Derived) -> Expr:
    """Return the function whose local derivative a step states."""
    system = derivation.system
    of = step.lhs.expr if isinstance(step.lhs, Derivative) else system.quantities[system.loss].symbol
    return system.definitions[name_of(of)].rhs if isinstance(of, (Indexed, Symbol)) else of


def _at_the_read(slope: Expr, function: Expr, variable: Expr) -> tuple[Expr, Expr, Expr]:
    """Return a derivative at the one place at which the function reads the quantity of the variable.

    Of relu(s[q]) the derivative for s[j] holds δ(j,q): there is a kink where s[q] is 0.
    """
    if not isinstance(variable, Indexed):
        return slope, function, variable
    reads = {read for read in function.atoms(Indexed) if read.base == variable.base}
    if len(reads) != 1 or variable in reads:
        return slope, function, variable
    (read,) = reads
    letters = all(isinstance(i, Symbol) for i in (*read.indices, *variable.indices))
    if not letters or any(
        set(read.indices) & {limit[0] for limit in total.limits} for total in function.atoms(Sum)
    ):
        return slope, function, variable
    return rename(slope, dict(zip(variable.indices, read.indices, strict=True))), function, read


def kinks_of(slope: Expr, function: Expr, variable: Expr) -> tuple[Kink, ...]:
    """Return the kinks of ``function``, whose derivative for ``variable`` is ``slope``."""
    # Inside a sum the letters of the variable may be bound, and mean something else.
    summed = any(total.has(variable) for total in function.atoms(Sum))
    flat = slope.xreplace({variable: _X}), ZERO if summed else function.xreplace({variable: _X})
    base = variable.base if isinstance(variable, Indexed) and slope.has(variable.base) else None
    return tuple(kink.of(_X, variable) for kink in _kinks(*flat, base))


_X = Dummy("x", real=True)


@lru_cache(maxsize=1024)
def _kinks(slope: Expr, function: Expr, base: Expr | None) -> tuple[Kink, ...]:
    """Return the kinks in the plain symbol `_X`; ``base`` is the quantity of which it is a component."""
    seen = _Seen(slope, function, _X)
    found: dict[tuple[Expr, Expr], Kink] = {}
    for boundary in seen.boundaries(base):
        for kink in seen.along(boundary):
            found.setdefault((kink.left, kink.right), kink)
    return tuple(sorted(found.values(), key=_order))


def _order(kink: Kink) -> tuple[bool, float, str]:
    """Places that are numbers come first, the least of them first."""
    number = bool(kink.right.is_number)
    return not number, float(kink.right) if number else 0.0, f"{kink.left} {kink.right}"


@dataclass(frozen=True)
class _Seen:
    """A derivative and its function, with the plain symbol ``x`` for the variable."""

    slope: Expr
    function: Expr
    x: Dummy

    def boundaries(self, base: Expr | None) -> list[Expr]:
        """Return expressions that are 0 where a condition on the variable, or on its quantity, changes."""
        found: dict[Expr, None] = {}
        for expression in (self.slope, self.function):
            for switch in sorted(_switches(expression), key=str):
                level = _level(switch)
                own = level.has(self.x) or (base is not None and level.has(base))
                if own and not {level, expand(-level)} & found.keys():
                    found[level] = None
        return list(found)[:_MOST_BOUNDARIES]

    def along(self, boundary: Expr) -> Iterator[Kink]:
        """Yield the kinks where ``boundary`` is 0."""
        places = _zeros(boundary, self.x) if boundary.has(self.x) else None
        if places is None:
            kink = self._kink(boundary, lambda side: lambda e: _switched(e, boundary, side))
            kinks = [kink] if kink else []
        else:
            kinks = [k for place in places if (k := self._kink_at(place, boundary))]
        yield from kinks

    def _kink_at(self, place: Expr, boundary: Expr) -> Kink | None:
        """Return the kink at ``x = place``; a place such as 1/t is given by its condition, t may be 0."""
        near = Dummy("near", positive=True)
        rate = boundary.diff(self.x)
        plain = not rate.free_symbols - {self.x} or rate.has(sign)
        width = near if plain else near / rate

        def seen_from(side: int) -> Callable[[Expr], Expr]:
            return lambda e: _beside(e.xreplace({self.x: place + side * width}), near)

        kink = self._kink(boundary, seen_from)
        return Kink(self.x, place, kink.value, kink.jumps) if kink and plain else kink

    def _kink(self, boundary: Expr, seen_from: Callable[[int], Callable[[Expr], Expr]]) -> Kink | None:
        here, above, below = (seen_from(side)(self.slope) for side in (0, 1, -1))
        sides = [seen_from(side)(self.function) for side in (1, -1)]
        jumps = not any(side.has(nan, zoo, oo, -oo) for side in sides) and not _same(*sides)
        if not jumps and _same(above, below) and _same(above, here):
            return None
        if any(each.has(nan, zoo, oo, -oo) for each in (here, above, below)):
            return None  # there is no value to tell
        return Kink(*_apart(boundary), here, jumps)


def _switches(expression: Expr) -> set[Basic]:
    """Return the nodes that change where their level is 0: comparisons of real numbers, signs, jumps."""
    found: set[Basic] = {
        r for r in expression.atoms(Relational) if not (r.lhs.is_integer and r.rhs.is_integer)
    }
    found |= expression.atoms(sign, Heaviside)
    return found


def _level(switch: Basic) -> Expr:
    return expand(switch.lhs - switch.rhs if isinstance(switch, Relational) else switch.args[0])


def _with_level(switch: Basic, level: Expr) -> Basic:
    """Return ``switch`` with its level at ``level``."""
    if isinstance(switch, Relational):
        return switch.func(level, ZERO)
    return switch.func(level, *switch.args[1:])


def _zeros(boundary: Expr, x: Dummy) -> list[Expr] | None:
    """Return where ``boundary`` is 0, None where that can't be solved for ``x``."""
    folded = sorted((a for a in boundary.atoms(Abs, Max, Min) if a.has(x)), key=str)
    if folded:
        places: list[Expr] = []
        for piece in _pieces(folded[0]):
            zeros = _zeros(expand(boundary.xreplace({folded[0]: piece})), x)
            if zeros is None:
                return None
            places += [z for z in zeros if not boundary.xreplace({x: z}).is_nonzero]
        return list(dict.fromkeys(places))
    rate = boundary.diff(x)
    if rate == 0:
        return []
    if not rate.has(x):
        return [expand(-boundary.xreplace({x: ZERO}) / rate)]
    found = polynomial(boundary, x)
    if found is None or found.degree() > _HIGHEST_DEGREE:
        return None
    return list(dict.fromkeys(real_roots(found)))


def _pieces(folded: Expr) -> tuple[Expr, ...]:
    """Return the expressions that |a|, or a maximum, is equal to on one side or the other."""
    return (folded.args[0], -folded.args[0]) if isinstance(folded, Abs) else folded.args


def _beside(expression: Expr, near: Dummy) -> Expr:
    """Return the limit of ``expression`` as ``near`` goes down to 0; nothing but its switches jumps."""
    return decided(expression, near).xreplace({near: ZERO})


def decided(expression: Expr, near: Dummy) -> Expr:
    """Return ``expression`` with every comparison and sign as it is for small positive ``near``."""
    replaced = {}
    for switch in sorted(_switches(expression), key=str):
        if switch.has(near):
            replaced[switch] = _with_level(switch, _leading(_level(switch), near))
    return expression.xreplace(replaced)


def _leading(level: Expr, near: Dummy) -> Expr:
    """Return the first coefficient of ``level`` in powers of ``near`` that is not 0."""
    for order in range(_HIGHEST_ORDER):
        coefficient = simplify(level.diff(near, order).xreplace({near: ZERO}))
        if coefficient != 0:
            return coefficient
    return ZERO


def _switched(expression: Expr, boundary: Expr, side: int) -> Expr:
    """Return ``expression`` where ``boundary`` is above 0, 0 or below it."""
    replaced = {}
    for switch in _switches(expression):
        direction = {boundary: 1, expand(-boundary): -1}.get(_level(switch))
        if direction is not None:
            replaced[switch] = _with_level(switch, Integer(side * direction))
    return expression.xreplace(replaced)


def _same(left: Expr, right: Expr) -> bool:
    difference = left - right
    return bool(left == right or (not _is_other_number(difference) and simplify(difference) == 0))


def _is_other_number(difference: Expr) -> bool:
    """Whether ``difference`` is not 0 for some numbers, which is seen in no time."""
    symbols = sorted(difference.atoms(Symbol, Indexed, Sum), key=str)
    point = {symbol: Rational(2 * n + 3, 7 * n + 5) for n, symbol in enumerate(symbols)}
    value = difference.xreplace(point).evalf(_DIGITS)
    return bool(value.is_Float and value.is_finite and abs(value) > 10.0 ** (5 - _DIGITS))


def _apart(boundary: Expr) -> tuple[Expr, Expr]:
    """Return the two sides of ``boundary = 0`` without a minus; a number stands on the right."""
    terms = Add.make_args(boundary)
    right = [-term for term in terms if term.could_extract_minus_sign()]
    left = [term for term in terms if not term.could_extract_minus_sign()]
    sides = Add(*left), Add(*right)
    return (sides[1], sides[0]) if sides[0].is_number else sides
