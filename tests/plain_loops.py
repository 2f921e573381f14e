"""The ground truth of the tests: indexed equations as plain Python loops, one component at a time.

An expression is written out as Python text (a sum is a loop over ``range``, a case distinction an
``if``), which Python then runs.  Nothing here knows a derivative, and no code of the calculus is used.

Arrays are read through dictionaries from positions to numbers, so that a read outside of an array,
also at a negative position, is an error and never a wrong number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import mpmath
import numpy as np
from sympy import (
    Abs,
    Add,
    And,
    Expr,
    Function,
    Heaviside,
    Indexed,
    Integer,
    KroneckerDelta,
    Max,
    Min,
    Mod,
    Mul,
    Not,
    Or,
    Piecewise,
    Pow,
    Rational,
    Sum,
    Symbol,
    ceiling,
    floor,
    sign,
    sympify,
)
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanAtom

from symbackprop.equations.system import ArgMax, EquationSystem, Quantity, indices_of, name_of

Number = int | float
Array = np.ndarray[Any, np.dtype[Any]]


class Table(dict[tuple[int, ...], Number]):
    """An array as a dictionary from positions to numbers."""

    def __missing__(self, position: tuple[int, ...]) -> Number:
        raise IndexError(f"a read outside of the array, at {position}")


class Definition(Protocol):
    """Anything that defines ``lhs`` by ``rhs``."""

    @property
    def lhs(self) -> Expr: ...
    @property
    def rhs(self) -> Expr: ...


# ------------------------------------------------------------------------------------------ evaluation


def evaluate(
    expression: Expr,
    indices: Mapping[Symbol, int],
    values: Mapping[str, Array],
    sizes: Mapping[Symbol, Number],
) -> float:
    """Return the value of ``expression`` at ``indices``.

    ``values`` maps names of quantities to arrays (without axes for a scalar), ``sizes`` maps sizes and
    constants to numbers.
    """
    program = _program(expression, tuple(indices), tuple(sizes.items()))
    return float(program({name: _table(array) for name, array in values.items()}, *indices.values()))


def run(
    equations: Iterable[Definition], values: Mapping[str, Array], sizes: Mapping[Symbol, Number]
) -> dict[str, Array]:
    """Return ``values`` and what ``equations``, evaluated in order, add to them."""
    tables = {name: _table(array) for name, array in values.items()}
    results = dict(values)
    for equation in equations:
        name = name_of(equation.lhs)
        results[name] = _component_by_component(equation.lhs, equation.rhs, tables, sizes)
        tables[name] = _table(results[name])
    return results


def concrete_shape(shape: Sequence[Expr], sizes: Mapping[Symbol, Number]) -> tuple[int, ...]:
    """Return ``shape`` as numbers."""
    return tuple(int(sympify(extent).xreplace(_as_numbers(sizes))) for extent in shape)


def _as_numbers(sizes: Mapping[Symbol, Number]) -> dict[Expr, Expr]:
    return {symbol: sympify(number) for symbol, number in sizes.items()}


def _component_by_component(
    lhs: Expr, rhs: Expr, tables: Mapping[str, Table], sizes: Mapping[Symbol, Number]
) -> Array:
    program = _program(rhs, indices_of(lhs), tuple(sizes.items()))
    result = np.zeros(concrete_shape(lhs.base.shape if isinstance(lhs, Indexed) else (), sizes))
    for position in itertools.product(*map(range, result.shape)):
        result[position] = program(tables, *position)
    return result


def _table(array: Array) -> Table:
    return Table(zip(np.ndindex(*array.shape), array.ravel().tolist(), strict=True))


# -------------------------------------------------------------------------- from expressions to Python


@cache
def _program(
    expression: Expr, indices: tuple[Symbol, ...], sizes: tuple[tuple[Symbol, Number], ...]
) -> Callable[..., Number]:
    """Return the function (tables, *positions) -> value of ``expression``."""
    names = {symbol: f"i{count}" for count, symbol in enumerate(indices)}
    if len(names) != len(indices):
        raise ValueError(f"an index stands twice among {indices}")
    text = _Writer(dict(sizes), itertools.count(len(indices))).write(expression, names)
    function: Callable[..., Number] = eval(f"lambda {', '.join(['t', *names.values()])}: {text}", _NAMESPACE)
    return function


@dataclass(frozen=True)
class _Writer:
    """Writes expressions as Python text.

    ``names`` holds the Python variable of each index that is bound at the place; ``counter`` numbers
    variables anew, so that an index bound inside another one of the same letter hides nothing.
    """

    sizes: Mapping[Symbol, Number]
    counter: itertools.count[int]

    def write(self, node: Any, names: Mapping[Symbol, str]) -> str:
        for kind, method in _METHODS.items():
            if isinstance(node, kind):
                return f"({method(self, node, names)})"
        if getattr(node, "is_number", False) and not node.args:
            return f"({float(node)!r})"
        raise NotImplementedError(f"no plain loop for {type(node).__name__}: {node}")

    def all(self, nodes: Iterable[Any], names: Mapping[Symbol, str]) -> list[str]:
        return [self.write(node, names) for node in nodes]

    def symbol(self, node: Symbol, names: Mapping[Symbol, str]) -> str:
        if node in names:
            return names[node]
        return repr(self.sizes[node]) if node in self.sizes else f"t[{node.name!r}][()]"

    def read(self, node: Indexed, names: Mapping[Symbol, str]) -> str:
        return f"t[{name_of(node)!r}][{', '.join(self.all(node.indices, names))},]"

    def sum(self, node: Sum, names: Mapping[Symbol, str]) -> str:
        # The last limit is the outermost loop: the earlier ones may depend on its index.
        inner, loops = dict(names), []
        for i, low, high in reversed(node.limits):
            first, last = self.write(low, inner), self.write(high, inner)
            inner[i] = f"i{next(self.counter)}"
            loops.append(f"for {inner[i]} in range({first}, {last} + 1)")
        return f"sum({self.write(node.function, inner)} {' '.join(loops)})"

    def place_of_largest(self, node: ArgMax, names: Mapping[Symbol, str]) -> str:
        ((i, low, high),) = node.limits
        bound = f"i{next(self.counter)}"
        body = self.write(node.function, {**names, i: bound})
        first, last = self.write(low, names), self.write(high, names)
        return f"max(range({first}, {last} + 1), key=lambda {bound}: {body})"

    def product(self, node: Mul, names: Mapping[Symbol, str]) -> str:
        # A guard that is 0 protects the other factors, which may then read outside of an array.
        guards = sorted((a for a in node.args if isinstance(a, _GUARDS)), key=_depends_on_data)
        others = [a for a in node.args if not isinstance(a, _GUARDS)]
        text = " * ".join(self.all(others, names)) or "1"
        for guard in reversed(guards):
            factor = self.write(guard, names)
            text = f"0 if {factor} == 0 else {factor} * ({text})"
        return text

    def power(self, node: Pow, names: Mapping[Symbol, str]) -> str:
        base, exponent = self.all((node.base, node.exp), names)
        # Python's ** would turn the root of a negative number into a complex one; this raises.
        return f"{base} ** {exponent}" if node.exp.is_Integer else f"pow({base}, {exponent})"

    def cases(self, node: Piecewise, names: Mapping[Symbol, str]) -> str:
        text = "no_case()"
        for value, condition in reversed(node.args):
            text = f"{self.write(value, names)} if {self.write(condition, names)} else {text}"
        return text

    def relation(self, node: Relational, names: Mapping[Symbol, str]) -> str:
        left, right = self.all((node.lhs, node.rhs), names)
        return f"{left} {node.rel_op} {right}"

    def conjunction(self, node: And, names: Mapping[Symbol, str]) -> str:
        # Conditions on indices come first: they may protect the reads of the others.
        return " and ".join(self.all(sorted(node.args, key=_depends_on_data), names))

    def disjunction(self, node: Or, names: Mapping[Symbol, str]) -> str:
        return " or ".join(self.all(sorted(node.args, key=_depends_on_data), names))

    def call(self, node: Expr, names: Mapping[Symbol, str]) -> str:
        name = type(node).__name__
        if isinstance(node, AppliedUndef) or name not in _NAMESPACE:
            raise NotImplementedError(f"no plain loop for the function {node}")
        return f"{name}({', '.join(self.all(node.args, names))})"


_GUARDS = (Piecewise, KroneckerDelta, Heaviside)


def _depends_on_data(node: Any) -> bool:
    return bool(node.has(Indexed))


def _prefix(text: str) -> Callable[[_Writer, Any, Mapping[Symbol, str]], str]:
    return lambda writer, node, names: f"{text}({', '.join(writer.all(node.args, names))})"


def _infix(text: str) -> Callable[[_Writer, Any, Mapping[Symbol, str]], str]:
    return lambda writer, node, names: text.join(writer.all(node.args, names))


_METHODS: dict[Any, Callable[[_Writer, Any, Mapping[Symbol, str]], str]] = {
    Indexed: _Writer.read,
    Sum: _Writer.sum,
    ArgMax: _Writer.place_of_largest,
    Symbol: _Writer.symbol,
    Integer: lambda writer, node, names: str(int(node)),
    Rational: lambda writer, node, names: f"{node.p} / {node.q}",
    Add: _infix(" + "),
    Mul: _Writer.product,
    Pow: _Writer.power,
    Piecewise: _Writer.cases,
    Relational: _Writer.relation,
    And: _Writer.conjunction,
    Or: _Writer.disjunction,
    Not: _prefix("not "),
    BooleanAtom: lambda writer, node, names: str(bool(node)),
    Max: _prefix("max"),
    Min: _prefix("min"),
    Abs: _prefix("abs"),
    sign: _prefix("sign"),
    KroneckerDelta: lambda writer, node, names: "1 if {} == {} else 0".format(
        *writer.all(node.args[:2], names)
    ),
    Heaviside: _prefix("heaviside"),
    Mod: _infix(" % "),
    floor: _prefix("floor"),
    ceiling: _prefix("ceil"),
    Function: _Writer.call,
}
"""Kind of node -> how it is written; the first kind that fits counts."""


def _sign(value: Number) -> Number:
    return (value > 0) - (value < 0)


def _heaviside(value: Number, at_zero: Number) -> Number:
    return at_zero if value == 0 else int(value > 0)


def _no_case() -> Number:
    raise ValueError("no case of a Piecewise holds")


_NAMESPACE: dict[str, Any] = {
    **vars(mpmath),
    **vars(math),
    "LambertW": mpmath.lambertw,
    "Quotient": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "loggamma": math.lgamma,
    "logaddexp": lambda a, b: max(a, b) + math.log1p(math.exp(-abs(a - b))),
    "sign": _sign,
    "heaviside": _heaviside,
    "no_case": _no_case,
}
"""What the written text may call: every mathematical function by its name."""


# ------------------------------------------------------------------------------------- data to run on


def random_values(
    system: EquationSystem, sizes: Mapping[Symbol, Number], rng: np.random.Generator
) -> dict[str, Array]:
    """Return random values of everything that ``system`` reads and does not define.

    Tables of integers stay in the range of the axes that they index; what a fact constrains obeys it.
    """
    leaves = {name: each for name, each in system.quantities.items() if name not in system.definitions}
    values = {name: _random_leaf(each, system, sizes, rng) for name, each in leaves.items()}
    for fact in system.facts:
        positive = np.exp(values[name_of(fact.component)])
        total = float(fact.value.xreplace(_as_numbers(sizes)))
        values[name_of(fact.component)] = total * positive / positive.sum(axis=fact.axis, keepdims=True)
    return values


def _random_leaf(
    leaf: Quantity, system: EquationSystem, sizes: Mapping[Symbol, Number], rng: np.random.Generator
) -> Array:
    shape = concrete_shape(leaf.shape, sizes)
    if leaf.integer:
        return np.asarray(rng.integers(0, _extent_indexed_by(leaf.name, system, sizes), shape))
    return np.asarray(rng.normal(size=shape))


def _extent_indexed_by(name: str, system: EquationSystem, sizes: Mapping[Symbol, Number]) -> int:
    """Return the size of the shortest axis that the quantity ``name`` is an index of; 2 if there is none."""
    reads = [read for equation in system.equations for read in equation.rhs.atoms(Indexed)]
    extents = [
        concrete_shape([extent], sizes)[0]
        for read in reads
        for position, extent in zip(read.indices, read.base.shape, strict=True)
        if isinstance(position, Indexed | Symbol) and name_of(position) == name
    ]
    return min(extents, default=2)


# ---------------------------------------------------------------------------------- finite differences


def finite_differences(
    system: EquationSystem,
    name: str,
    values: Mapping[str, Array],
    sizes: Mapping[Symbol, Number],
    step: float = 5e-3,
) -> Array:
    """Return the derivative of the loss with respect to each component of the leaf ``name``.

    Central differences with a step, its half and its quarter, extrapolated twice (Richardson): the
    error falls with the sixth power of the step, so that a step may be long enough for rounding to do
    no harm.  About ten digits are right.
    """

    def loss_at(position: tuple[int, ...], shift: float) -> float:
        shifted = np.array(values[name], dtype=float)
        shifted[position] += shift
        return float(run(system.equations, {**values, name: shifted}, sizes)[system.loss])

    def slope(position: tuple[int, ...], h: float) -> float:
        return (loss_at(position, h) - loss_at(position, -h)) / (2 * h)

    def extrapolated(position: tuple[int, ...]) -> float:
        long, half, quarter = (slope(position, step / part) for part in (1, 2, 4))
        return (64 * quarter - 20 * half + long) / 45

    result = np.zeros(np.shape(values[name]))
    for position in np.ndindex(*result.shape):
        result[position] = extrapolated(position)
    return result
