"""Equal layers are lowered once: what equations have in common up to their names."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from sympy import Expr, Indexed, Sum, Symbol

from symbackprop.arrays.expressions import Lowering
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Operation
from symbackprop.equations.signature import Signature
from symbackprop.equations.system import ArgMax, Equation, name_of

Lowered = dict[object, tuple[Operation, tuple[str, ...], tuple[Symbol, ...]]]
"""What was lowered before in one program, by its signature: equal layers are lowered once."""


@dataclass(frozen=True)
class Change:
    """What is made of an equation before it is lowered, such as the one for a batch of samples.

    ``name`` tells it from others; ``mark`` says of a component, or of a symbol, all that the change
    depends on.
    """

    name: str
    apply: Callable[[Equation], Equation]
    mark: Callable[[Expr], tuple[bool, ...]]


UNCHANGED = Change("", lambda equation: equation, lambda node: ())


def lower(
    equation: Equation,
    scalars: Mapping[Symbol, str],
    known: Lowered | None = None,
    change: Change = UNCHANGED,
) -> Operation:
    """Return the operation that computes the left-hand side of ``equation`` after ``change``.

    Args:
        equation: a well-formed equation.
        scalars: the name in the code of each symbol that stands for a number; of a size its digits,
            unless it is known only when the code runs.
        known: what the same program has lowered already; new kinds of equations are entered.
        change: is carried out once for equations that are equal up to their names.

    Raises:
        UnsupportedExpression: there is no array operation for a part of it yet.
    """
    known = {} if known is None else known
    signature = _Signature(scalars, change.mark, equation.lhs)
    key = (change.name, signature.of(equation.lhs), signature.of(equation.rhs))
    of_numbers = (key, tuple(scalars.get(n, n.name) for n in signature.sizes))
    if key not in known and of_numbers not in known:
        lowering = Lowering(change.apply(equation), scalars)
        operation = lowering.run()
        numbers = signature.reads_size or lowering.concrete  # which it then holds
        known[of_numbers if numbers else key] = (operation, tuple(signature.names), tuple(signature.sizes))
    operation, names, sizes = known[key if key in known else of_numbers]
    arrays = dict(zip(names, signature.names, strict=True))
    return _renamed(operation, arrays, dict(zip(sizes, signature.sizes, strict=True)))


class _Signature(Signature):
    """Describes expressions up to the names of quantities, sizes and indices."""

    def __init__(
        self, scalars: Mapping[Symbol, str], mark: Callable[[Expr], tuple[bool, ...]], lhs: Expr
    ) -> None:
        self.scalars = scalars
        self.mark = mark
        self.running: set[Expr] = set(lhs.indices) if isinstance(lhs, Indexed) else set()
        self.names: dict[str, int] = {}
        self.sizes: dict[Symbol, int] = {}
        self.indices: dict[Symbol, int] = {}
        self.reads_size = False

    def named(self, node: Expr) -> Hashable | None:
        """Return the signature of a component, a sum or a symbol; None for any other expression."""
        if isinstance(node, Indexed):
            shape = tuple(self.size(n) for n in node.base.shape)
            at = tuple(self.of(i) for i in node.indices)
            number = self.names.setdefault(name_of(node), len(self.names))
            return ("read", number, self.mark(node), shape, at)
        if isinstance(node, (Sum, ArgMax)):
            self.running.update(i for i, _, _ in node.limits)
            limits = tuple((self.of(i), self.size(high + 1)) for i, _, high in node.limits)
            return (type(node).__name__, self.of(node.function), limits)
        if isinstance(node, Symbol):
            return self.symbol(node)
        return None

    def size(self, n: Expr) -> Hashable:
        """Return the place of a size among the sizes; a compound one as it is."""
        return self.sizes.setdefault(n, len(self.sizes)) if isinstance(n, Symbol) else n

    def symbol(self, symbol: Symbol) -> Hashable:
        """Return the place of an index or of a quantity, or the name of a constant in the code.

        An index runs: what doesn't is a quantity of one whole number.
        """
        marks = self.mark(symbol)
        if symbol in self.running and not any(marks):
            return ("index", self.indices.setdefault(symbol, len(self.indices)))
        self.reads_size |= self.scalars.get(symbol, "").isdigit()
        if symbol in self.scalars:
            return ("scalar", self.scalars[symbol])
        return ("quantity", self.names.setdefault(symbol.name, len(self.names)), marks)


def _renamed(operation: Operation, arrays: Mapping[str, str], sizes: Mapping[Expr, Expr]) -> Operation:
    """Return ``operation`` for other quantities of other sizes."""
    inputs = tuple(_renamed(i, arrays, sizes) for i in operation.inputs)
    value = arrays[operation.name] if operation.kind == Kind.ARRAY else operation.value
    shape = tuple(sizes.get(n, n) for n in operation.shape)
    return Operation(operation.kind, inputs, value, operation.axes, shape, operation.whole)
