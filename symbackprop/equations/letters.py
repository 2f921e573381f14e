"""Index letters: each has one range, in all that is said of a network.

In go the equations, out come letters for what is derived from them.  A letter of the equations runs over what
it runs over there; a second one over the same is it with a prime.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, count

from sympy import Derivative, Expr, Indexed, Symbol

from symbackprop.equations.indices import open_sum, rebound
from symbackprop.equations.naming import LETTERS
from symbackprop.equations.system import BINDERS, Equation, EquationSystem, Quantity, index

_NO_LETTER = index("_")


class Letters:
    """The letters of equations, and the choice of further ones."""

    def __init__(self, system: EquationSystem) -> None:
        self._names = {*system.quantities}
        self._ranges: dict[str, Expr] = {}
        for equation in system.equations:
            self._enter(equation)
        self._first: dict[Expr, str] = {}
        for letter, n in self._ranges.items():
            self._first.setdefault(n, letter.rstrip("'"))
        free = (i.name for i in LETTERS if i.name not in self._ranges and i.name not in self._names)
        for quantity in system.quantities.values():
            for n in quantity.shape:
                if n not in self._first and (new := next(free, None)) is not None:
                    self._first[n] = new
                    self._ranges[new] = n

    def _enter(self, equation: Equation) -> None:
        """Note the range of each letter of an equation."""
        for i, n in equation.ranges.items():
            self._ranges.setdefault(str(i.name), n)
        for binder in sorted(equation.rhs.atoms(*BINDERS), key=str):
            for i, _, high in binder.limits:
                self._ranges.setdefault(str(i.name), high + 1)

    def equation(self, lhs: Expr, rhs: Expr) -> tuple[Expr, Expr]:
        """Return both sides of an equation, or of a step, in letters of which each has one range."""
        free = self._of_left(lhs)
        if free:
            lhs, rhs = (self._opened(side, (), {}).xreplace(free) for side in (lhs, rhs))
        taken = free_names(lhs)
        return self.settled(lhs, taken), self.settled(rhs, taken)

    def further(self, letter: Symbol, n: Expr, taken: Iterable[Symbol]) -> Symbol:
        """Return a letter over a range in place of one that is no letter of it, or is taken."""
        names = {str(i) for i in taken}
        return index(next(name for name in self._candidates(str(letter.name), n) if name not in names))

    def of(self, quantity: Quantity) -> tuple[Symbol, ...]:
        """Return letters for the axes of a quantity."""
        found: list[Symbol] = []
        for n in quantity.shape:
            found.append(self.further(_NO_LETTER, n, found))
        return tuple(found)

    def settled(self, expression: Expr, taken: Iterable[str] = ()) -> Expr:
        """Return an expression with other letters for its sums, none of which is ``taken``."""
        if not expression.has(*BINDERS):
            return expression
        used = {*taken, *free_names(expression)}
        if self._stands(expression, used):
            return expression
        names: dict[Symbol, Symbol] = {}
        return self._opened(expression, used, names).xreplace(names)

    def _stands(self, expression: Expr, used: set[str]) -> bool:
        """Whether each bound index is a letter that may run over its range and stands for nothing else."""
        if not isinstance(expression, BINDERS):
            return all(self._stands(argument, used) for argument in expression.args)
        inner = set(used)
        for i, _, high in expression.limits:
            if type(i) is not Symbol or i.name in inner or not self._fits(i.name, high + 1):
                return False
            inner.add(i.name)
        return self._stands(expression.function, inner)

    def _opened(self, expression: Expr, taken: Iterable[str], names: dict[Symbol, Symbol]) -> Expr:
        """Return an expression with fresh bound indices, and enter the letters for them in ``names``."""
        if not expression.has(*BINDERS):
            return expression
        if not isinstance(expression, BINDERS):
            return expression.func(*[self._opened(argument, taken, names) for argument in expression.args])
        body, bound = open_sum(expression)
        used = set(taken)
        for i, n in bound:
            name = next(name for name in self._candidates(str(i.name), n) if name not in used)
            names[i] = index(name)
            used.add(name)
        return rebound(expression, self._opened(body, used, names), bound)

    def _of_left(self, lhs: Expr) -> dict[Expr, Expr]:
        """Return other letters for those on a left side that have another range elsewhere."""
        ranges: dict[Symbol, Expr] = {}
        for read in _components(lhs):
            pairs = zip(read.indices, read.base.shape, strict=True)
            ranges |= {i: n for i, n in pairs if i.is_Symbol and i.is_integer and i not in ranges}
        used = {i.name for i, n in ranges.items() if self._fits(i.name, n)}
        found: dict[Expr, Expr] = {}
        for i, n in ranges.items():
            if not self._fits(i.name, n):
                name = next(name for name in self._candidates(i.name, n) if name not in used)
                used.add(name)
                found[i] = index(name)
        return found

    def _fits(self, letter: str, n: Expr) -> bool:
        return bool(self._ranges.get(letter.rstrip("'")) == n)

    def _candidates(self, letter: str, n: Expr) -> Iterator[str]:
        """Yield letters that may run over a range, the one that stands there first if it may."""
        own = [letter] if self._fits(letter, n) else []
        first = letter.rstrip("'") if own else self._first.get(n)
        if first is not None:
            return chain(own, (first + "'" * primes for primes in count()))
        known = {*self._ranges, *self._names}
        plain = [] if letter.startswith("_") or letter in known else [letter]
        spare = (i.name for i in LETTERS if i.name not in known)
        return chain(plain, spare, (f"i_{number}" for number in count()))


@lru_cache(maxsize=1 << 15)
def free_names(expression: Expr) -> frozenset[str]:
    """Return the names of the free symbols, those of arrays too, and those that a derivative is taken for.

    SymPy makes every sum anew to find its free symbols, and takes what a derivative is for as bound.
    """
    if isinstance(expression, Symbol):
        return frozenset([expression.name])
    inside = frozenset[str]().union(*map(free_names, _parts(expression)))
    return inside - {i.name for i, *_ in expression.limits} if isinstance(expression, BINDERS) else inside


def _parts(expression: Expr) -> Iterable[Expr]:
    if isinstance(expression, BINDERS):
        return (expression.function,)
    if isinstance(expression, Derivative):
        return (expression.expr, *expression.variables)
    return (
        (expression.base.label, *expression.indices) if isinstance(expression, Indexed) else expression.args
    )


def _components(lhs: Expr) -> list[Expr]:
    """Return the components that a left side names: what is differentiated, and for what."""
    parts = [lhs.expr, *lhs.variables] if isinstance(lhs, Derivative) else [lhs]
    return [part for part in parts if isinstance(part, Indexed)]
