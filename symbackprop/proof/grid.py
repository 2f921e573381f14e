"""The equations as scalar expressions.

In go the ``Structure`` and numbers for the sizes, out comes a ``Grid``: it turns indexed expressions into
scalar ones, and knows the derivatives that a step has to agree with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import product
from typing import Any, Literal, NamedTuple

from sympy import (
    Add,
    And,
    Derivative,
    Dummy,
    Expr,
    Function,
    Indexed,
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
)
from sympy.core.relational import Relational
from sympy.logic.boolalg import Boolean, false, true

from symbackprop.equations.system import ArgMax
from symbackprop.proof.arithmetic import RELATIONS, uniform
from symbackprop.proof.errors import OutsideArray, Unproved
from symbackprop.proof.given import NOTHING, Given
from symbackprop.proof.integers import Environment, rational, whole
from symbackprop.proof.program import Program
from symbackprop.proof.statement import Statement, differentiated, is_loss
from symbackprop.proof.structure import Structure, parts_of

Place = tuple[int, ...]
"""The indices of one component, as numbers."""

LeafKind = Literal["value", "adjoint"]
"""Whether a leaf is a component or the derivative of the loss with respect to it."""


_Affine = tuple[int, tuple[tuple[Expr, int], ...]]
"""An index as a constant and the coefficients of the indices in it."""


class Leaf(NamedTuple):
    """The meaning of a scalar symbol: a component or its adjoint, of one sample or of all (None)."""

    kind: LeafKind
    name: str
    place: Place
    sample: int | None

    def __repr__(self) -> str:
        # random numbers are drawn from this text: to change it is to change all of them
        return f"_Leaf(kind={self.kind!r}, name={self.name!r}, place={self.place!r}, sample={self.sample!r})"


class Grid:
    """Indexed expressions as scalar ones: sizes and indices are numbers, each component is a symbol.

    Sums are written out, conditions on indices decided, and a factor that is zero (a Kronecker delta, a
    bracket) stops its product before anything beyond the end of an array is read.  With samples, a
    component belongs to the sample that its first index gives; inside the equations of one sample the
    environment holds its number under ``_SAMPLE``.  ``weight`` counts the terms that it remembers.
    """

    def __init__(
        self, structure: Structure, sizes: Environment, samples: int, seed: object, given: Given = NOTHING
    ) -> None:
        self.structure = structure
        self.given = given
        self.sizes = sizes
        self.samples = samples
        self.program = Program()
        self.leaves: dict[Symbol, Leaf] = {}
        self.places_found: dict[Leaf, int] = {}
        self._symbols: dict[Leaf, Symbol] = {}
        self._shapes: dict[str, Place] = {}
        self._partials: dict[object, dict[Place, dict[Place, Expr]]] = {}
        self._read: dict[object, Expr] = {}
        self._definitions: dict[object, Expr] = {}
        self._terms = 0
        self._components: dict[Expr, tuple[LeafKind, str, Place, tuple[Expr, ...]]] = {}
        self._indices: dict[Expr, _Affine] = {}
        self._relations: dict[Relational, tuple[_Affine, _Affine, Callable[[int, int], bool]]] = {}
        self._slopes: dict[object, Expr] = {}
        self._truths: dict[object, Expr] = {}
        self.seed = seed
        self.decided: dict[Relational, set[bool]] = {}

    @property
    def weight(self) -> int:
        """The number of terms and instructions that the grid remembers."""
        return self._terms + len(self.program.parts)

    # components

    def shape(self, name: str) -> Place:
        """Return the shape of a quantity as numbers."""
        if name not in self._shapes:
            if name not in self.structure.quantities:
                raise Unproved(f"{name} is not a quantity of the network")
            shape = self.structure.quantities[name].shape
            self._shapes[name] = tuple(whole(extent, self.sizes) for extent in shape)
        return self._shapes[name]

    def places(self, name: str) -> Iterator[Place]:
        """Yield the place of every component of a quantity."""
        return product(*map(range, self.shape(name)))

    def leaves_of(self, kind: LeafKind, name: str) -> Iterator[Leaf]:
        """Yield a leaf per component of a quantity and, unless all samples share it, per sample."""
        shared = self.samples == 1 or name in self.structure.without_sample
        for sample in [None] if shared else range(self.samples):
            for place in self.places(name):
                yield Leaf(kind, name, place, sample)

    def leaf(self, leaf: Leaf) -> Expr:
        """Return the symbol of a leaf, or the number where it is one."""
        if leaf.kind == "value" and leaf.name in self.structure.tables:
            return Integer(self.table(leaf))
        if leaf.kind == "adjoint" and leaf.name == self.structure.loss:
            return Integer(1)
        if leaf.kind == "value" and (number := self.given.constant(leaf.name, leaf.place)) is not None:
            return number
        if leaf not in self._symbols:
            sample = "" if leaf.sample is None else f" of sample {leaf.sample}"
            symbol = Symbol(f"{leaf.kind} {leaf.name}{list(leaf.place)}{sample}", real=True)
            self._symbols[leaf] = symbol
            self.leaves[symbol] = leaf
        return self._symbols[leaf]

    def table(self, leaf: Leaf) -> int:
        """Return a component of an integer quantity: by its equation, else random.

        A random one is in the range of the axes that it indexes.
        """
        if leaf in self.places_found:
            return self.places_found[leaf]
        ends = self.structure.tables[leaf.name] or [(0, 1)]
        first = max(whole(low, self.sizes) for low, _ in ends)
        last = min(whole(high, self.sizes) for _, high in ends)
        if first > last:
            raise Unproved(f"{leaf.name} has no value for which all reads stay inside their arrays")
        return first + int(uniform(self.seed, leaf) * (last - first + 1))

    def compared(self, leaf: Leaf) -> list[Expr]:
        """Return the scalars that an argmax compares, in the order of its index; none for another integer."""
        rhs = self.structure.places[leaf.name].rhs
        if not isinstance(rhs, ArgMax):
            return []
        environment = self._environment(leaf.name, leaf.place, leaf.sample)
        return [self.scalar(rhs.function, each) for each in self._bind(rhs.limits, environment)]

    def integer(self, leaf: Leaf) -> int:
        """Return the value of the equation of an integer quantity."""
        environment = self._environment(leaf.name, leaf.place, leaf.sample)
        return self.index(self.structure.places[leaf.name].rhs, environment)

    def locate(self, component: Expr, environment: Environment) -> Leaf:
        """Return which component is read; refuse one that does not exist."""
        if component not in self._components:
            self._components[component] = self._component(component)
        kind, name, shape, indices = self._components[component]
        place = tuple([self.index(index, environment) for index in indices])
        sample = None
        if self.samples > 1:
            sample, place = self._sample(component, name, place, environment)
        if len(shape) != len(place):
            raise Unproved(f"{component} has {len(place)} indices, but {name} has {len(shape)} axes")
        for index, extent in zip(place, shape, strict=True):
            if not 0 <= index < extent:
                where = f"{list(place)}, outside of the shape {list(shape)}"
                raise OutsideArray(f"{component} is read at {where}", name)
        return Leaf(kind, name, place, sample)

    def _component(self, component: Expr) -> tuple[LeafKind, str, Place, tuple[Expr, ...]]:
        """Return of what a component is the value or the adjoint, the shape of that, and its indices."""
        name, indices = parts_of(component)
        kind: LeafKind = "adjoint" if name in self.structure.adjoints else "value"
        name = self.structure.adjoints.get(name, name)
        return kind, name, self.shape(name), indices

    def _sample(
        self, component: Expr, name: str, place: Place, environment: Environment
    ) -> tuple[int | None, Place]:
        """Return the sample to which a component belongs, and its place without the sample."""
        if len(place) == len(self.shape(name)) + 1:
            if not 0 <= place[0] < self.samples:
                where = f"{list(place)}, outside of the samples"
                raise OutsideArray(f"{component} is read at {where}", name)
            return place[0], place[1:]
        if name in self.structure.without_sample:
            return None, place
        if _SAMPLE not in environment:
            raise Unproved(f"{component} does not say of which sample")
        return environment[_SAMPLE], place

    def index(self, node: Expr, environment: Environment) -> int:
        """Return the value of an index."""
        total, coefficients = self._affine(node)
        for part, coefficient in coefficients:
            if part in environment:
                total += coefficient * environment[part]
            elif isinstance(part, (Indexed, Symbol)):
                total += coefficient * self._table_at(part, environment)
            else:
                break
        else:
            return total
        values = {**self.sizes, **environment}
        value = rational(node, values, lambda read: self._table_at(read, environment))
        if value.denominator != 1:
            raise Unproved(f"the index {node} is no integer")
        return int(value)

    def _affine(self, node: Expr) -> _Affine:
        """Return an index as a constant and coefficients, with the sizes put in."""
        if node not in self._indices:
            constant, coefficients = _affine(node)
            known = sum(c * self.sizes[s] for s, c in coefficients if s in self.sizes)
            free = tuple((s, c) for s, c in coefficients if s not in self.sizes)
            self._indices[node] = constant + known, free
        return self._indices[node]

    def _table_at(self, read: Expr, environment: Environment) -> int:
        if parts_of(read)[0] not in self.structure.tables:
            raise Unproved(f"the index {read} is bound nowhere")
        return self.table(self.locate(read, environment))

    # expressions

    def scalar(self, node: Expr, environment: Environment) -> Expr:
        """Return ``node`` as a scalar expression."""
        if isinstance(node, Symbol):
            return self._symbol(node, environment)
        if isinstance(node, Indexed):
            return self.leaf(self.locate(node, environment))
        if isinstance(node, Mul):
            return self._product(node, environment)
        if isinstance(node, Sum):
            return Add(*[self.scalar(node.function, e) for e in self._bind(node.limits, environment)])
        if isinstance(node, KroneckerDelta):
            left, right = (self.index(argument, environment) for argument in node.args)
            return Integer(left == right)
        if isinstance(node, Piecewise):
            return self._branches(node, environment)
        if isinstance(node, Derivative):
            return self._derivative(node, environment)
        if isinstance(node, (Max, Min)):  # SymPy would try to tell which argument is the largest of all
            return node.func(*[self.scalar(a, environment) for a in node.args], evaluate=False)
        if isinstance(node, (Add, Pow, Function)):
            return node.func(*[self.scalar(argument, environment) for argument in node.args])
        if isinstance(node, (Number, NumberSymbol)):
            return node
        raise Unproved(f"{type(node).__name__} ({node}) has no value")

    def _symbol(self, symbol: Symbol, environment: Environment) -> Expr:
        if symbol in environment:
            return Integer(environment[symbol])
        if symbol in self.sizes:
            return Integer(self.sizes[symbol])
        if symbol.name in self.structure.adjoints or self.structure.is_scalar(symbol):
            return self.leaf(self.locate(symbol, environment))
        if symbol.is_integer:
            raise Unproved(f"the index {symbol} is bound nowhere")
        number = self.given.constant(symbol.name, ())
        return symbol if number is None else number

    def _product(self, node: Mul, environment: Environment) -> Expr:
        """Multiply, brackets first: where one is zero, or a sum of such, the others need no value."""
        factors: list[Expr] = []
        outside: OutsideArray | None = None
        for factor in _brackets_first(node):
            try:
                value = self.scalar(factor, environment)
            except OutsideArray as problem:
                outside = outside or problem
                continue
            if value == 0 and isinstance(factor, _BRACKETS):
                return value
            factors.append(value)
        if outside and 0 not in factors:
            raise outside
        return Mul(*factors)

    def _bind(self, limits: tuple[Any, ...], environment: Environment) -> Iterator[Environment]:
        """Yield the environments that the limits of a sum open; the last limit is the outermost."""
        if not limits:
            yield environment
            return
        symbol, low, high = limits[-1]
        first, last = self.index(low, environment), self.index(high, environment)
        for number in range(first, last + 1):
            yield from self._bind(limits[:-1], {**environment, symbol: number})

    def _branches(self, node: Piecewise, environment: Environment) -> Expr:
        """Return the branch that the indices decide, or those that they leave open."""
        kept = []
        for value, condition in node.args:
            holds = self._condition(condition, environment)
            if holds is false:
                continue
            kept.append((self.scalar(value, environment), holds))
            if holds is true:
                break
        if len(kept) == 1 and kept[0][1] is true:
            return kept[0][0]
        if not kept:
            raise Unproved(f"{node} has no branch that holds")
        return Piecewise(*kept, evaluate=False)

    def _condition(self, node: Boolean, environment: Environment) -> Boolean:
        """Return the condition between scalars; one on indices becomes true or false."""
        if isinstance(node, And) and _are_relations_of_indices(node):
            return true if all(self._holds(part, environment) for part in _indices_first(node)) else false
        if isinstance(node, (And, Or)):
            absorbing = true if isinstance(node, Or) else false
            parts = []
            for argument in _indices_first(node):  # they may guard a read in the other conditions
                parts.append(self._condition(argument, environment))
                if parts[-1] is absorbing:
                    return absorbing
            open_parts = [part for part in parts if part not in (true, false)]
            return node.func(*open_parts)
        if isinstance(node, Not):
            return Not(self._condition(node.args[0], environment))
        if isinstance(node, Relational):
            if _is_on_indices(node):
                return true if self._holds(node, environment) else false
            sides = [self.scalar(argument, environment) for argument in node.args]
            known = all(isinstance(side, (Number, NumberSymbol)) for side in sides)
            return node.func(*sides, evaluate=known)
        return node

    def _holds(self, node: Relational, environment: Environment) -> bool:
        """Decide a relation between indices, and note how it was decided."""
        if node not in self._relations:
            left, right = node.args
            self._relations[node] = self._affine(left), self._affine(right), RELATIONS[node.rel_op]
        (low, lows), (high, highs), relation = self._relations[node]
        try:
            for symbol, coefficient in lows:
                low += coefficient * environment[symbol]
            for symbol, coefficient in highs:
                high += coefficient * environment[symbol]
        except KeyError:  # an index that is not affine, or read from a table
            low, high = (self.index(argument, environment) for argument in node.args)
        holds = bool(relation(low, high))
        self.decided.setdefault(node, set()).add(holds)
        return holds

    # derivatives

    def _derivative(self, node: Derivative, environment: Environment) -> Expr:
        """Return the adjoint, or the local derivative, that stands on the right-hand side of a step."""
        output, target = differentiated(node)
        if is_loss(output, self.structure):
            return self.leaf(self.locate(target, environment)._replace(kind="adjoint"))
        return self.slope(output, target, environment)

    def slope(self, output: Expr, target: Expr, environment: Environment) -> Expr:
        """Return the derivative of ``output`` with respect to ``target``.

        A component with a definition is differentiated through it, with all that it reads independent;
        of any other expression the components are independent.
        """
        at = self.locate(target, environment)
        if isinstance(output, (Symbol, Indexed)):
            of = self.locate(output, environment)
            if self.structure.is_differentiated_through(of.name, at.name):
                return self.partials(of.name, at.name, of.sample).get(at.place, {}).get(of.place, Integer(0))
        free = output.free_symbols | target.free_symbols
        key = (output, target, tuple(sorted((s.name, n) for s, n in environment.items() if s in free)))
        if key not in self._slopes:
            self._slopes[key] = slope(self.scalar(output, environment), self.leaf(at))
        return self._slopes[key]

    def partials(self, consumer: str, name: str, sample: int | None) -> dict[Place, dict[Place, Expr]]:
        """Return ∂consumer[place]/∂name[at], by ``at`` and then by ``place``, where it is not 0."""
        key = (consumer, name, sample)
        if key not in self._partials:
            found: dict[Place, dict[Place, Expr]] = {}
            for place in self.places(consumer):
                for at, slope in self._gradient(self.reading_terms(consumer, name, place, sample), name):
                    found.setdefault(at, {})[place] = slope
                    self._terms += 1
            self._partials[key] = found
        return self._partials[key]

    def _gradient(self, expression: Expr, name: str) -> Iterator[tuple[Place, Expr]]:
        """Yield the scalar derivative with respect to each component of ``name``, term by term."""
        terms: dict[Symbol, list[Expr]] = {}
        for term in Add.make_args(expression):
            for symbol in term.free_symbols:
                if symbol in self.leaves and self.leaves[symbol].name == name:
                    terms.setdefault(symbol, []).append(term)
        for symbol in sorted(terms, key=lambda each: self.leaves[each].place):
            found = Add(*[slope(term, symbol) for term in terms[symbol]])
            if found != 0:
                yield self.leaves[symbol].place, found

    def reading_terms(self, consumer: str, name: str, place: Place, sample: int | None) -> Expr:
        """Return that part of a component's definition that reads ``name``."""
        key = (consumer, name, place, sample)
        if key not in self._read:
            environment = self._environment(consumer, place, sample)
            terms = self.structure.terms.get((consumer, name), ())
            self._read[key] = Add(*[self.scalar(term, environment) for term in terms])
            self._terms += 1 + len(self._read[key].args)
        return self._read[key]

    def definition(self, name: str, place: Place, sample: int | None) -> Expr:
        """Return the right-hand side of a component's definition."""
        key = (name, place, sample)
        if key not in self._definitions:
            rhs = self.structure.definitions[name].rhs
            self._definitions[key] = self.scalar(rhs, self._environment(name, place, sample))
            self._terms += 1 + len(self._definitions[key].args)
        return self._definitions[key]

    def _environment(self, name: str, place: Place, sample: int | None) -> Environment:
        indices = zip(self.structure.definitions[name].indices, place, strict=True)
        values = {i: n for i, n in indices if isinstance(i, Symbol)}
        return values if sample is None else {**values, _SAMPLE: sample}

    def want(self, name: str, place: Place, sample: int | None) -> Expr:
        """Return ∂E/∂name[place] as it has to be: the sum over all that reads it."""
        if sample is None and self.samples > 1:  # shared by the samples, the loss is their mean
            return Add(*[self.want(name, place, each) for each in range(self.samples)]) / self.samples
        terms = []
        for consumer in self.structure.readers.get(name, ()):
            slopes = self.partials(consumer, name, sample).get(place, {})
            terms += [self.leaf(Leaf("adjoint", consumer, at, sample)) * s for at, s in slopes.items()]
        return Add(*terms)

    def truth(self, statement: Statement, environment: Environment) -> Expr:
        """Return the true right-hand side of a step: for a batch, the mean over the samples."""
        key = (statement.output, statement.target, tuple(environment.items()))
        if key not in self._truths:
            samples = [{**environment, _SAMPLE: sample} for sample in range(self.samples)]
            alone = self.samples == 1
            truths = [self._truth(statement, each) for each in ([environment] if alone else samples)]
            self._truths[key] = truths[0] if alone else Add(*truths) / self.samples
        return self._truths[key]

    def _truth(self, statement: Statement, environment: Environment) -> Expr:
        output, target, sample = statement.output, statement.target, environment.get(_SAMPLE)
        if target is None:
            assert output is not None
            leaf = self.locate(output, environment)
            return self.definition(leaf.name, leaf.place, sample)
        if output is None:
            leaf = self.locate(target, environment)
            return self.want(leaf.name, leaf.place, sample)
        return self.slope(output, target, environment)


def slope(node: Expr, symbol: Symbol) -> Expr:
    """Return the derivative of a scalar expression; of branches it is taken as they stand."""
    if node is symbol or node == symbol:
        return Integer(1)
    if not node.args or symbol not in node.free_symbols:
        return Integer(0)
    if isinstance(node, Add):
        return Add(*[slope(term, symbol) for term in node.args])
    if isinstance(node, Mul):
        slopes = [slope(factor, symbol) for factor in node.args]
        products = [Mul(*node.args[:n], s, *node.args[n + 1 :]) for n, s in enumerate(slopes) if s != 0]
        return Add(*products)
    if isinstance(node, Piecewise):
        branches = [(slope(value, symbol), condition) for value, condition in node.args]
        is_flat = all(value == 0 for value, _ in branches)
        return Integer(0) if is_flat else Piecewise(*branches, evaluate=False)
    return node.diff(symbol)


_SAMPLE = Dummy("sample", integer=True)
"""Stands in an environment for the sample whose equations are evaluated."""

_BRACKETS = (KroneckerDelta, Piecewise)


@lru_cache(maxsize=1024)
def _brackets_first(node: Mul) -> tuple[Expr, ...]:
    return tuple(sorted(node.args, key=lambda factor: not isinstance(factor, _BRACKETS)))


@lru_cache(maxsize=1024)
def _indices_first(node: And | Or) -> tuple[Boolean, ...]:
    """Return the conditions that depend on indices and sizes alone, then the others."""
    return tuple(sorted(node.args, key=lambda part: (not _is_on_indices(part), str(part))))


@lru_cache(maxsize=4096)
def _is_on_indices(condition: Boolean) -> bool:
    """Whether a condition depends on integers alone, not on values."""
    return all(symbol.is_integer for symbol in condition.free_symbols)


@lru_cache(maxsize=4096)
def _are_relations_of_indices(condition: And) -> bool:
    """Whether a condition is made of relations between integers, and of nothing else."""
    return all(isinstance(part, Relational) and _is_on_indices(part) for part in condition.args)


@lru_cache(maxsize=4096)
def _affine(index: Expr) -> _Affine:
    """Return the constant and the coefficients of an index; one that is not affine stands for itself."""
    parts = index.as_coefficients_dict()
    if not all(coefficient.is_Integer for coefficient in parts.values()):
        return 0, ((index, 1),)
    constant = int(parts.pop(Integer(1), 0))
    return constant, tuple((part, int(coefficient)) for part, coefficient in parts.items())
