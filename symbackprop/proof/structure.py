"""The equations of a derivation as the proof sees them: who reads whom.

In goes a ``Derived``, out comes its ``Structure``: definitions, their readers, names of adjoints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from sympy import Add, Expr, Indexed, Integer, Piecewise, Sum, Symbol, expand

from symbackprop.equations.steps import Derived
from symbackprop.equations.system import ArgMax, Equation, EquationSystem, Quantity
from symbackprop.proof.errors import Unproved


class Structure:
    """Who reads whom in the equations of a derivation."""

    def __init__(self, derivation: Derived) -> None:
        self._model = derivation.model
        self.system: EquationSystem = derivation.system
        self.quantities: Mapping[str, Quantity] = derivation.system.quantities
        self.adjoints: Mapping[str, str] = derivation.adjoints
        self.named = frozenset(derivation.adjoints.values())
        self.batch_numbers = frozenset(step.number for step in derivation.batch)
        self.definitions: dict[str, Equation] = {e.name: e for e in self.system.equations}
        self.position = {name: n for n, name in enumerate(self.definitions)}
        self.terms: dict[tuple[str, str], list[Expr]] = {}
        self.readers: dict[str, list[str]] = {}
        for name in self._leading_to_loss():
            self._enter(name)

    @property
    def loss(self) -> str:
        """The name of the loss."""
        return self.system.loss

    @property
    def own_sizes(self) -> Mapping[str, int]:
        """The numbers that the network gives its sizes, by name."""
        return {} if self._model is None else self._model.sizes

    @cached_property
    def places(self) -> dict[str, Equation]:
        """Integer quantity -> the equation that defines it, in their order."""
        return {n: e for n, e in self.definitions.items() if self.quantities[n].integer}

    @cached_property
    def tables(self) -> dict[str, list[tuple[Expr, Expr]]]:
        """Integer quantity -> the first and the last value it may have, for each read that it is an index of.

        In x[2*h + token[h]] the largest 2*h has to leave room, also where h is a number of its own.
        """
        found: dict[str, list[tuple[Expr, Expr]]] = {n: [] for n, q in self.quantities.items() if q.integer}
        equations = self.system.equations if found else ()
        reads = [each for equation in equations for each in _indices(equation.rhs, equation.ranges)]
        numbers = {i: n for i, n, _ in reads if isinstance(i, Symbol) and self.is_scalar(i)}
        for index, extent, ranges in reads:
            scalars = [symbol for symbol in index.atoms(Symbol) if self.is_scalar(symbol)]
            for read in sorted([*index.atoms(Indexed), *scalars], key=str):
                others = {i: n for i, n in numbers.items() if i != read}
                low, high = _ends(expand(index - read), {**others, **ranges})
                found[parts_of(read)[0]].append((-low, extent - 1 - high))
        return found

    @cached_property
    def without_sample(self) -> frozenset[str]:
        """The quantities that are the same for all samples: no inputs, and those that read only such."""
        readers: dict[str, list[str]] = {}
        varying = {*self.system.inputs, *self.system.of_samples}
        for name, equation in self.definitions.items():
            for each in self.names_read(equation.rhs):
                readers.setdefault(each, []).append(name)
        pending = list(varying)
        while pending:
            new = [name for name in readers.get(pending.pop(), ()) if name not in varying]
            varying.update(new)
            pending += new
        return frozenset(self.system.quantities) - varying

    @cached_property
    def bounds(self) -> dict[str, tuple[Expr | None, Expr | None]]:
        """Input or target -> the least and the greatest value that is assumed of it, where there is one."""
        model = self._model
        given = () if model is None else (*model.inputs, *model.targets)
        return {g.name: (g.low, g.high) for g in given if (g.low, g.high) != (None, None)}

    def names_read(self, expression: Expr) -> list[str]:
        """Return the names of the quantities that ``expression`` reads, in order of appearance."""
        return list(dict.fromkeys(self._reads(expression)))

    def _reads(self, node: Expr) -> Iterator[str]:
        if isinstance(node, Indexed):
            yield str(node.base.name)
            for index in node.indices:
                yield from self._reads(index)
        elif isinstance(node, Symbol):
            if self.is_scalar(node):
                yield str(node.name)
        else:
            for argument in node.args:
                yield from self._reads(argument)

    def is_scalar(self, symbol: Symbol) -> bool:
        """Whether ``symbol`` is a quantity without axes, and no index, size or constant of that name."""
        found = self.quantities.get(symbol.name)
        return found is not None and not found.shape and symbol == found.symbol

    def _leading_to_loss(self) -> list[str]:
        """Return the definitions that the loss depends on, in their order."""
        reached, pending = {self.loss}, [self.loss]
        while pending:
            name = pending.pop()
            read = self.names_read(self.definitions[name].rhs) if name in self.definitions else []
            pending += [each for each in read if each not in reached]
            reached.update(read)
        return [name for name in self.definitions if name in reached]

    def _enter(self, consumer: str) -> None:
        """Note which terms of a definition read which quantity: only those matter to a derivative."""
        if self.quantities[consumer].ends_derivatives:
            return  # constant between its jumps, or held
        for term in Add.make_args(self.definitions[consumer].rhs):
            for name in self.names_read(term):
                terms = self.terms.setdefault((consumer, name), [])
                if not terms:
                    self.readers.setdefault(name, []).append(consumer)
                terms.append(term)

    def is_differentiated_through(self, consumer: str, name: str) -> bool:
        """Whether a derivative for ``name`` is one of the definition of ``consumer``, not of its value.

        What reads itself at other places has both; its own is 1 at its place, and nobody asks for that.
        """
        return consumer in self.definitions and (consumer != name or (name, name) in self.terms)

    def adjoint_of(self, component: Expr) -> str | None:
        """Return the quantity whose adjoint ``component`` is, if it is one."""
        name = component.base.name if isinstance(component, Indexed) else component.name
        return self.adjoints.get(str(name))


def _indices(node: Expr, ranges: dict[Symbol, Expr]) -> Iterator[tuple[Expr, Expr, dict[Symbol, Expr]]]:
    """Yield each index of a read, the size of its axis, and the ranges of the letters there."""
    if isinstance(node, Indexed):
        for index, extent in zip(node.indices, node.base.shape or (), strict=False):
            yield index, extent, ranges
            yield from _indices(index, ranges)
    elif isinstance(node, (Sum, ArgMax)):
        bound = {i: high + 1 for i, _, high in node.limits}
        yield from _indices(node.function, {**ranges, **bound})
    elif isinstance(node, Piecewise):  # a read that a condition guards stays inside by itself
        for argument in node.args:
            yield from _indices(argument, {})
    else:
        for argument in node.args:
            yield from _indices(argument, ranges)


def _ends(index: Expr, ranges: dict[Symbol, Expr]) -> tuple[Expr, Expr]:
    """Return the least and the greatest value of an affine index; 0 for both if they are not known."""
    low = high = index
    for i, extent in ranges.items():
        slope = index.coeff(i)
        first, last = (extent - 1, Integer(0)) if slope.is_negative else (Integer(0), extent - 1)
        low, high = low.xreplace({i: first}), high.xreplace({i: last})
    low, high = expand(low), expand(high)
    known = all(isinstance(s, Symbol) and is_size(s) for s in low.free_symbols | high.free_symbols)
    return (low, high) if known else (Integer(0), Integer(0))


def is_size(symbol: Symbol) -> bool:
    """Whether ``symbol`` is a size, and not an index or a constant."""
    return bool(symbol.is_integer and symbol.is_positive)


def parts_of(component: Expr) -> tuple[str, tuple[Expr, ...]]:
    """Return the name and the indices of a component."""
    if isinstance(component, Indexed):
        return str(component.base.name), tuple(component.indices)
    if isinstance(component, Symbol):
        return str(component.name), ()
    raise Unproved(f"{component} is no component of a quantity")
