"""Indexed equations: the one representation that is derived, proved, printed and emitted.

A network is an ordered list of equations ``lhs = rhs``.  The left-hand side is a SymPy ``Indexed``
whose base carries its shape (or a plain symbol, for a scalar); the right-hand side is any SymPy
expression of ``Indexed``, ``Sum``, functions and ``Piecewise``.  Sizes are positive integer symbols
or numbers, indices are integer symbols that run from 0 to size - 1.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from sympy import (
    Add,
    Basic,
    Dummy,
    Expr,
    Indexed,
    IndexedBase,
    Integer,
    Piecewise,
    Sum,
    Symbol,
    Tuple,
    sympify,
)
from sympy.logic.boolalg import Boolean

from symbackprop.equations.graph import reached_from

Ranges = dict[Symbol, Expr]
"""Index symbol -> the size it runs over."""


@lru_cache(maxsize=1 << 16)
def component(base: IndexedBase, *indices: Expr) -> Indexed:
    """Return one object for equal components: SymPy takes long to make one."""
    return base[indices]


@lru_cache(maxsize=1 << 14)
def _base(symbol: Symbol, shape: tuple[Expr, ...]) -> IndexedBase:
    """Return one object for equal bases."""
    return IndexedBase(symbol, shape=shape)


def index(name: str) -> Symbol:
    """Return the index symbol of that letter."""
    return Symbol(name, integer=True)


def size(name: str) -> Symbol:
    """Return the size symbol of that name."""
    return Symbol(name, integer=True, positive=True)


class WholeNumber(Symbol):  # type: ignore[misc]  # SymPy has no types
    """The symbol of a quantity of whole numbers: never equal to an index letter of that name."""


def is_size(node: Basic) -> bool:
    """Whether ``node`` is a size symbol: of integers, the positive ones."""
    return isinstance(node, Symbol) and bool(node.is_integer and node.is_positive)


def is_index(node: Basic) -> bool:
    """Whether ``node`` is an index symbol, or that of an integer quantity: of integers, those from 0."""
    return isinstance(node, Symbol) and bool(node.is_integer and not node.is_positive)


def scalar(name: str) -> Symbol:
    """Return the symbol of one real number, such as a hyper-parameter or a component of a parameter."""
    return Symbol(name, real=True)


def new_value(name: str) -> Symbol:
    """Return the symbol of the value that such a number has after a training step."""
    return scalar(f"{name}'")


def sum_over(body: Expr, *ranges: tuple[Symbol, Expr | int]) -> Expr:
    """Return the sum of ``body`` over indices that run from 0 to size - 1."""
    return OuterSum(sympify(body), *[(i, 0, sympify(n) - 1) for i, n in ranges])


def compared(relation: Callable[[Expr, Expr], Boolean], left: Expr, right: Expr) -> Boolean:
    """Return ``relation`` of both sides in a spelling that SymPy leaves as it is.

    In a choice it turns a - 2 b <= m - 2 n over and back for ever; a - 2 b - m + 2 n <= 0 stays.
    """
    one_sided = isinstance(left, Add) and isinstance(right, Add) and not _is_shifted(left, right)
    return relation(left - right, ZERO) if one_sided else relation(left, right)


def _is_shifted(*sides: Add) -> bool:
    """Whether one of the sides is a number beside a single component or symbol."""
    return any(side.as_coeff_Add()[1].is_symbol for side in sides)


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
        """The expression that is compared."""
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


class OuterSum(Sum):  # type: ignore[misc]  # SymPy has no types
    """A sum around sums of choices; any other sum is a plain ``Sum``, which this then returns.

    SymPy moves the choices in a body to the outside, from within inner sums, too, whose indices nothing
    binds in the conditions then.  Here it does not see the inner sums meanwhile.
    """

    def __new__(cls, function: Expr, *limits: Expr | tuple[Symbol, Expr, Expr]) -> Expr:
        while isinstance(function, Sum):
            function, limits = function.function, (*function.limits, *limits)
        if not function.has(Piecewise):
            return as_it_stands(Sum, function, *itertools.starmap(Tuple, limits))
        names = {inner: Dummy(real=True) for inner in _sums_of_choices(function)}
        if not names:
            return Sum(function, *limits)
        folded = Sum.__new__(cls, function.xreplace(names), *limits)
        body = folded.function.xreplace({name: inner for inner, name in names.items()})
        return as_it_stands(cls, body, *folded.limits)


def as_it_stands(kind: type[Sum], body: Expr, *limits: Tuple) -> Sum:
    """Return a sum of a body that is known to hold no choices to move, and to be no sum itself."""
    found = Expr.__new__(kind, body, *limits)
    found.is_commutative = True
    return found


def _sums_of_choices(expression: Basic) -> list[Expr]:
    if not expression.has(Piecewise):
        return []
    if isinstance(expression, BINDERS):
        return [expression]
    return [inner for argument in expression.args for inner in _sums_of_choices(argument)]


class Gradient(Expr):  # type: ignore[misc]  # SymPy has no types
    """The derivative of one component for another one, as a network's own equations ask for it.

    ``derivation.gradients`` writes it out: no later stage knows it.
    """

    is_commutative = True
    is_real = True

    def __new__(cls, of: Expr, to: Expr) -> Gradient:
        found: Gradient = Expr.__new__(cls, of, to)
        return found

    @property
    def of(self) -> Expr:
        """The component that is differentiated."""
        return self.args[0]

    @property
    def to(self) -> Expr:
        """The component for which it is."""
        return self.args[1]


class WrittenGradient(Gradient):
    """A derivative whose value is written where it stands, and is no quantity of its own."""


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

    ``shape`` holds one size per axis; a scalar has none.  One that is ``held`` is a number like others, but
    no derivative goes through it to what it is computed from.
    """

    name: str
    shape: tuple[Expr, ...] = ()
    integer: bool = False
    held: bool = False

    @property
    def ends_derivatives(self) -> bool:
        """Whether no derivative goes through it."""
        return self.integer or self.held

    @cached_property
    def symbol(self) -> Symbol:
        """The name as a SymPy symbol; for a scalar it stands for the quantity itself."""
        return WholeNumber(self.name, integer=True) if self.integer else Symbol(self.name, real=True)

    @cached_property
    def base(self) -> IndexedBase:
        """The indexed base of an array."""
        return _base(self.symbol, self.shape)

    def at(self, indices: Sequence[Expr]) -> Expr:
        """Return the component at ``indices``."""
        return component(self.base, *indices) if self.shape else self.symbol

    def __getitem__(self, indices: Expr | tuple[Expr, ...]) -> Expr:
        return self.at(indices if isinstance(indices, tuple) else (indices,))

    def ranges(self, indices: Sequence[Expr]) -> Ranges:
        """Return the range of each index symbol that reads an axis of this quantity."""
        return {i: n for i, n in zip(indices, self.shape, strict=True) if isinstance(i, Symbol)}


@dataclass(frozen=True)
class Adjoint(Quantity):
    """The derivative of a scalar for a quantity, component by component.

    It is identified by ``of``, the name of the scalar, and ``to``, the name of the quantity; its own name
    is chosen beside all other names of a system and tells nothing.
    """

    of: str = ""
    to: str = ""


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
    """An assumption on the data: the sum of ``component`` over ``index`` is ``value``.

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
class Role:
    """The role of a quantity, or a size, in a network of layers.  The builder of the network assigns it.

    ``layer`` is the number of the layer; ``word`` is common to quantities of the same role in all layers,
    the w of w1, w2, …; ``kind`` is "input", "pre-activation", "activation", "weight", "bias", or "".
    ``uses`` tells of a layer that is the use of a block how many uses there are, else it is 0.
    """

    layer: int
    word: str
    kind: str = ""
    uses: int = 0

    @property
    def name(self) -> str:
        """What a quantity of this role is called, unless it counts the uses of a block inside."""
        return f"{self.word}{self.layer}"


@dataclass(frozen=True)
class PartialDerivative:
    """A quantity that is a derivative: its component ``at`` some letters is that of ``of`` for ``to``.

    It ``is_named`` by who wrote the network; others are called after what they are.
    """

    at: Expr
    of: Expr
    to: Expr
    is_named: bool = False


@dataclass(frozen=True)
class EquationSystem:
    """Equations in evaluation order, the quantities they name, and the derivatives that are sought.

    ``loss`` is the scalar that is differentiated; ``parameters`` are the quantities with respect to
    which; ``inputs`` are given and not differentiated unless asked for.  ``roles`` and ``size_roles`` say, by
    their names, to what layer quantities and sizes belong; all others belong to none.  ``entries`` are inputs
    that the first layer reads where others read what is handed on to them: the role of that, which code may
    keep them under.  ``derivatives`` are the quantities that are derivatives of others, by name;
    ``of_samples`` are those that each sample has, though they read nothing in which samples differ.
    """

    equations: tuple[Equation, ...]
    quantities: dict[str, Quantity]
    parameters: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    loss: str = "E"
    facts: tuple[Fact, ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)
    size_roles: Mapping[str, Role] = field(default_factory=dict)
    entries: Mapping[str, Role] = field(default_factory=dict)
    derivatives: Mapping[str, PartialDerivative] = field(default_factory=dict)
    of_samples: frozenset[str] = frozenset()
    definitions: dict[str, Equation] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "definitions", {e.name: e for e in self.equations})

    @cached_property
    def adjoints(self) -> dict[str, Adjoint]:
        """The adjoint of each quantity of the loss, by the name of the quantity.

        Each is called ds2 for s2 where nothing else is, and has more d's where that name is taken.
        """
        names = {name: f"d{name}" for name in self.quantities if f"d{name}" not in self.quantities}
        taken = {*self.quantities, *names.values()}
        for name in self.quantities:
            if name not in names:
                names[name] = f"dd{name}"
                while names[name] in taken:
                    names[name] = f"d{names[name]}"
                taken.add(names[name])
        return {
            name: Adjoint(names[name], q.shape, of=self.loss, to=name) for name, q in self.quantities.items()
        }

    def layer(self, name: str) -> int | None:
        """Return the number of the layer that a quantity belongs to, None where it belongs to none."""
        role = self.roles.get(name)
        return None if role is None else role.layer

    def kind(self, name: str) -> str:
        """Return the kind of a quantity in its layer, "" where it has no role."""
        role = self.roles.get(name)
        return "" if role is None else role.kind

    def handed_on(self, least: int) -> set[str]:
        """Return the words of what one use of a block hands on to the next, of ``least`` uses or more."""
        found = set[str]()
        for equation in self.equations:
            own = self.roles.get(equation.name)
            if own is not None and own.uses >= least:
                read = (self.roles.get(name_of(each)) for each in self.reads(equation.rhs))
                found |= {role.word for role in read if role is not None and role.layer == own.layer - 1}
        return found

    def like(self, name: str, layer: int) -> str:
        """Return the quantity of another layer that has the same role as ``name``."""
        own = self.roles[name]
        return next(n for n, role in self.roles.items() if (role.word, role.layer) == (own.word, layer))

    def of_kind(self, kind: str, layer: int) -> str | None:
        """Return the quantity of that kind in a layer, None where there is none."""
        found = (name for name, role in self.roles.items() if (role.kind, role.layer) == (kind, layer))
        return next(found, None)

    def is_read(self, node: Expr) -> bool:
        """Whether ``node`` is a component of a quantity of the system, and no index or size of that name."""
        if not isinstance(node, Symbol):
            return isinstance(node, Indexed)
        return node.name in self.quantities and node == self.quantities[node.name].symbol

    def needed_for(self, name: str) -> set[str]:
        """Return the names of what a quantity is made of: itself, what its equation reads, and so on."""
        return reached_from([name], self.read_by)

    @cached_property
    def read_by(self) -> dict[str, set[str]]:
        """The names of what the equation of each quantity reads."""
        return {e.name: set(map(name_of, self.reads(e.rhs))) for e in self.equations}

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


TRAINING = Symbol("training")
"""The condition that holds while a network is trained: a text is read with it, and no system has it."""
ONE = Integer(1)
ZERO = Integer(0)
