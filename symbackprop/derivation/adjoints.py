"""The adjoints of one quantity of a network as equations of it: those that lead from u to ∂u/∂x.

Of u[n] and x[n, 0] the letter n is one number throughout.  A quantity that is read at n alone, on every way
from u, is taken at that place: it has no such axis while u is derived, as if there were a single sample, and
gets it back.  What else there is of the letters of u, such as the i of a Jacobian ∂f[n, i]/∂x[n, k], is a
whole number that is given.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from sympy import Derivative, Dummy, Expr, Indexed, Integer, KroneckerDelta, Mul, Symbol

from symbackprop.derivation.calculus.paths import without_summed_deltas
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.equations.circles import Circle, circles_of
from symbackprop.equations.graph import reached_from
from symbackprop.equations.indices import rename
from symbackprop.equations.letters import Letters
from symbackprop.equations.naming import free_name
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import (
    ZERO,
    Equation,
    EquationSystem,
    Gradient,
    PartialDerivative,
    Quantity,
    Role,
    index,
    indices_of,
    name_of,
)

Carried = Mapping[int, Symbol]
"""Axis of a quantity -> the letter of the root at which alone it is read along that axis."""


@dataclass(frozen=True)
class Root:
    """What is differentiated: a quantity and, for each axis, a whole number or None for a letter."""

    name: str
    places: tuple[Integer | None, ...]

    @classmethod
    def of(cls, component: Expr) -> Root:
        """Return the root that a component belongs to."""
        return cls(name_of(component), tuple(i if i.is_Integer else None for i in indices_of(component)))

    def values(self, component: Expr, letters: Sequence[Symbol]) -> dict[Expr, Expr]:
        """Return the index in ``component`` for each of the ``letters`` of this root."""
        given = (i for i, place in zip(indices_of(component), self.places, strict=True) if place is None)
        return dict(zip(letters, given, strict=True))


@dataclass(frozen=True)
class Lifted:
    """The derivative of a root for some quantities.

    ``equations`` are those that the network gets, each with what it is and the role of its quantity;
    ``results`` holds the derivative for a quantity, as an equation whose left side has the ``letters`` of the
    root and those of the quantity.  ``derived`` is None where the root depends on none of them.
    """

    root: Root
    letters: tuple[Symbol, ...]
    equations: tuple[tuple[Equation, PartialDerivative, Role | None], ...] = ()
    results: Mapping[str, tuple[tuple[Symbol, ...], Expr]] = field(default_factory=dict)
    derived: Derived | None = None

    def at(self, node: Gradient) -> Expr:
        """Return the derivative at the places of a node."""
        if name_of(node.to) not in self.results:
            return ZERO
        own, value = self.results[name_of(node.to)]
        places = self.root.values(node.of, self.letters)
        places |= dict(zip(own, indices_of(node.to), strict=True))
        return without_summed_deltas(rename(value, places))


def adjoints_of(system: EquationSystem, root: Root, wanted: Sequence[str], taken: Collection[str]) -> Lifted:
    """Return the derivatives of a root for the ``wanted`` quantities; new names are none of those ``taken``.

    Raises:
        UnsupportedExpression: an expression that the calculus does not know.
    """
    lifting = _Lifting(system, root, tuple(wanted), frozenset(taken))
    return replace(lifting, others=lifting.clashing()).run()


@dataclass(frozen=True)
class _Lifting:
    """Derives a root in a system without the axes that stay at one place, and puts these back.

    ``others`` are letters for the root in place of those of its equation.
    """

    system: EquationSystem
    root: Root
    wanted: tuple[str, ...]
    taken: frozenset[str]
    others: Mapping[Expr, Symbol] = field(default_factory=dict)

    def run(self) -> Lifted:
        """Return the derivatives."""
        wrt = tuple(name for name in self.wanted if name in self.between)
        if not wrt:
            return Lifted(self.root, self.letters)
        derived = derive_system(self.stripped, wrt, stable=False, apart=True, letters=self.spelled)
        derived = replace(derived, root=self.component, carried=self._letters_of_one_place())
        back = _Back(self, derived, wrt)
        return Lifted(self.root, self.letters, tuple(back.equations()), back.results, derived)

    def _letters_of_one_place(self) -> dict[str, Mapping[int, Expr]]:
        """Return the letters and places of the root along the axes that nothing has while it is derived."""
        found: dict[str, Mapping[int, Expr]] = {name: axes for name, axes in self.carried.items() if axes}
        if self.is_opened:
            found[self.loss.name] = dict(enumerate(indices_of(self.component)))
        return found

    @cached_property
    def spelled(self) -> Letters:
        """The letters of the whole system."""
        return Letters(self.system)

    # ------------------------------------------------------------ the root

    @cached_property
    def is_opened(self) -> bool:
        """Whether the root is derived from its equation; else a read of it is."""
        name = self.root.name
        in_circle = name in circles_of(self.system.equations, self.system.reads)
        return name in self.system.definitions and name not in self.wanted and not in_circle

    @cached_property
    def component(self) -> Expr:
        """The root at its letters and places."""
        quantity = self.system.quantities[self.root.name]
        definition = self.system.definitions.get(self.root.name)
        letters = definition.indices if definition is not None else self.spelled.of(quantity)
        places = zip(letters, self.root.places, strict=True)
        return quantity.at([self._letter(letter) if place is None else place for letter, place in places])

    def _letter(self, letter: Symbol) -> Symbol:
        return self.others.get(letter, letter)

    @cached_property
    def letters(self) -> tuple[Symbol, ...]:
        """The letters of the root."""
        return tuple(i for i in indices_of(self.component) if not i.is_Integer)

    @cached_property
    def value(self) -> Expr:
        """What is derived for the root, in its letters."""
        if not self.is_opened:
            return self.component
        definition = self.system.definitions[self.root.name]
        places = zip(definition.indices, self.root.places, strict=True)
        return rename(definition.rhs, {**self.others, **{i: n for i, n in places if n is not None}})

    def clashing(self) -> dict[Expr, Symbol]:
        """Return another letter for each of the root's that an index in the equations has, too.

        Else both would be called the same, as in δ(j,j) for x[j] beside ∂E/∂w[j, i].
        """
        sides = (side for e in self.stripped.equations for side in (e.lhs, e.rhs))
        indices = {i for side in sides for i in side.atoms(Symbol) if type(i) is Symbol}
        shape = self.system.quantities[self.root.name].shape
        ranges = {i: n for i, n in zip(indices_of(self.component), shape, strict=True) if i in indices}
        taken = {*indices, *self.letters, *map(index, self.taken)}
        found: dict[Expr, Symbol] = {}
        for i, n in ranges.items():
            found[i] = self.spelled.further(i, n, {*taken, *found.values()})
        return found

    # ------------------------------------------------------------ the axes that stay at one place

    @cached_property
    def between(self) -> set[str]:
        """The quantities on a way from what is wanted to the root, what is wanted included."""
        ends = {name for name, q in self.system.quantities.items() if q.ends_derivatives} - {*self.wanted}
        readers: dict[str, list[str]] = {}
        reads: dict[str, list[str]] = {}
        for equation in self.system.equations:
            if not self.system.quantities[equation.name].ends_derivatives:
                reads[equation.name] = [name_of(read) for read in self.system.reads(equation.rhs)]
                for each in reads[equation.name]:
                    readers.setdefault(each, []).append(equation.name)
        found = reached_from(self.wanted, readers) & reached_from([self.root.name], reads)
        return found - ends - ({self.root.name} if self.is_opened else set())

    @cached_property
    def equations(self) -> list[Equation]:
        """The equations of what is between, in order."""
        return [e for e in self.system.equations if e.name in self.between and self._is_open(e.name)]

    def _is_open(self, name: str) -> bool:
        """Whether derivatives go through the equation of a quantity."""
        return not self.system.quantities[name].ends_derivatives

    @cached_property
    def carried(self) -> dict[str, Carried]:
        """The letters of the root along the axes of each quantity between."""
        found: dict[str, Carried] = {}
        roots = {i: i for i in self.letters}
        changed = self._meet(found, self.value, roots)
        while changed:
            changed = False
            for equation in reversed(self.equations):
                own = found.get(equation.name)
                if own is not None:
                    letters = {equation.indices[axis]: letter for axis, letter in own.items()}
                    changed |= self._meet(found, equation.rhs, letters)
        return found

    def _meet(self, found: dict[str, Carried], rhs: Expr, letters: Mapping[Expr, Symbol]) -> bool:
        """Note at which letters ``rhs`` reads what is between; return whether that is anything new."""
        changed = False
        for read in self.system.reads(rhs):
            name = name_of(read)
            if name not in self.between:
                continue
            here = {axis: letters[i] for axis, i in enumerate(indices_of(read)) if i in letters}
            known = found.get(name)
            met = here if known is None else {a: i for a, i in known.items() if here.get(a) == i}
            met = {a: i for a, i in met.items() if list(met.values()).count(i) == 1}
            changed |= met != known
            found[name] = met
        return changed

    # ------------------------------------------------------------ the system without them

    @cached_property
    def numbers(self) -> dict[Symbol, Quantity]:
        """A whole number for each letter of the root."""
        found: dict[Symbol, Quantity] = {}
        for letter in self.letters:
            taken = {*self.system.quantities, *(q.name for q in found.values())}
            found[letter] = Quantity(free_name(letter.name, taken), integer=True)
        return found

    def own(self, name: str) -> Quantity:
        """Return a quantity without the axes that stay at one place."""
        quantity = self.system.quantities[name]
        shape = tuple(n for axis, n in enumerate(quantity.shape) if axis not in self.carried.get(name, ()))
        return Quantity(name, shape, quantity.integer, quantity.held and name not in self.wanted)

    def without(self, expression: Expr, letters: Mapping[Expr, Symbol]) -> Expr:
        """Return an expression without those axes, where some of its ``letters`` are ones of the root."""
        if not self.letters:
            return expression
        numbers: dict[Expr, Expr] = {i: self.numbers[letter].symbol for i, letter in letters.items()}
        found: dict[Expr, Expr] = {}
        for read in expression.atoms(Indexed):
            carried = self.carried.get(name_of(read), {})
            if name_of(read) in self.between and carried:
                kept = [rename(i, numbers) for axis, i in enumerate(read.indices) if axis not in carried]
                found[read] = self.own(name_of(read)).at(kept)
        return self.spelled.settled(rename(expression.xreplace(found), numbers))

    @cached_property
    def loss(self) -> Quantity:
        """The scalar that is derived."""
        name = self.root.name
        return Quantity(name if self.is_opened else free_name(f"{name}_at", self.taken))

    @cached_property
    def stripped(self) -> EquationSystem:
        """The equations between the root and what is wanted, of which the root is the error."""
        equations = []
        for e in self.equations:
            carried = self.carried[e.name]
            letters = {e.indices[axis]: letter for axis, letter in carried.items()}
            kept = [i for axis, i in enumerate(e.indices) if axis not in carried]
            equations.append(Equation(self.own(e.name).at(kept), self.without(e.rhs, letters)))
        value = self.without(self.value, {i: i for i in self.letters})
        equations.append(Equation(self.loss.symbol, value))
        quantities = {name: self.own(name) for name in self.system.quantities}
        quantities |= {q.name: q for q in (*self.numbers.values(), self.loss)}
        found = EquationSystem(
            tuple(equations),
            quantities,
            (),
            loss=self.loss.name,
            facts=tuple(f for f in self.system.facts if name_of(f.component) not in self.between),
            roles=self.system.roles,
            size_roles=self.system.size_roles,
            derivatives=self.system.derivatives,
        )
        return self._with_read_alone(found)

    @staticmethod
    def _with_read_alone(system: EquationSystem) -> EquationSystem:
        """Return a system of the quantities that its equations read or define."""
        names = {name_of(read) for e in system.equations for read in system.reads(e.rhs)}
        names |= system.definitions.keys()
        facts = tuple(fact for fact in system.facts if name_of(fact.component) in names)
        quantities = {name: q for name, q in system.quantities.items() if name in names}
        inputs = tuple(name for name in quantities if name not in system.definitions)
        return replace(system, quantities=quantities, inputs=inputs, facts=facts)


class _Back:
    """Puts the axes back that stayed at one place."""

    def __init__(self, lifting: _Lifting, derived: Derived, wrt: Sequence[str]) -> None:
        self.lifting = lifting
        self.derived = derived
        self.wrt = wrt
        self.adjoints = derived.system.adjoints
        self.quantity_of = {a.name: name for name, a in self.adjoints.items()}
        self.places = {i: Dummy(i.name, integer=True) for i in lifting.letters}
        shape = lifting.system.quantities[lifting.root.name].shape
        self.sizes = dict(zip(indices_of(lifting.component), shape, strict=True))
        self.defined: dict[str, Equation] = {}
        self.letters: dict[str, tuple[Symbol, ...]] = {}
        self.new: dict[str, Quantity] = {}
        self.results: dict[str, tuple[tuple[Symbol, ...], Expr]] = {}

    def equations(self) -> Iterator[tuple[Equation, PartialDerivative, Role | None]]:
        """Yield the equations of the adjoints that what is wanted needs, in order."""
        named = set(self.derived.adjoints.values())
        parts = [p.equations if isinstance(p, Circle) else (p,) for p in self.derived.result_parts]
        sides = {e.name: self._in_adjoints(e.rhs) for part in parts for e in part}
        needed = self._needed(sides)
        for part in parts:
            self._choose_letters({e.name: sides[e.name] for e in part})
            for equation in part:
                if self.quantity_of[equation.name] in named and equation.name in needed:
                    self._name(equation.name)
            for equation in part:
                quantity = self.quantity_of[equation.name]
                if quantity in named and equation.name in needed:
                    yield self._lifted(equation, sides[equation.name])
                elif quantity in self.wrt:
                    own = tuple(equation.indices)
                    self._remember(quantity, own, self._with_places(sides[equation.name]))

    def _needed(self, sides: Mapping[str, Expr]) -> set[str]:
        reads = {name: [n for n in self._names_in(side) if n in sides] for name, side in sides.items()}
        return reached_from([self.adjoints[name].name for name in self.wrt], reads)

    def _in_adjoints(self, expression: Expr) -> Expr:
        """Return a result with each derivative of the root under the name of the adjoint."""
        found = {}
        for node in expression.atoms(Derivative):
            variable = node.variables[0]
            found[node] = self.adjoints[name_of(variable)].at(indices_of(variable))
        return expression.xreplace(found) if found else expression

    def _names_in(self, expression: Expr) -> set[str]:
        return {name_of(c) for c in expression.atoms(Indexed, Symbol) if not c.is_integer}

    # ------------------------------------------------------------ which letters an adjoint has

    def _choose_letters(self, sides: Mapping[str, Expr]) -> None:
        """Choose the letters of the root that the adjoints of a part have: those that anything in it has."""
        found: set[Symbol] = set()
        for side in sides.values():
            for name in self._names_in(side):
                found |= {*self.letters.get(name, ())}
                found |= (
                    {*self.lifting.carried.get(name, {}).values()} if name in self.lifting.between else set()
                )
            symbols = side.atoms(Symbol)
            found |= {i for i, number in self.lifting.numbers.items() if number.symbol in symbols}
        chosen = tuple(i for i in self.lifting.letters if i in found)
        self.letters |= dict.fromkeys(sides, chosen)

    def _with_places(self, expression: Expr) -> Expr:
        """Return an expression of the stripped system with all axes, at the places of the root."""
        found: dict[Expr, Expr] = {}
        for read in expression.atoms(Indexed, Symbol):
            name, own = name_of(read), indices_of(read)
            if isinstance(read, Symbol) and read in self._numbers:
                found[read] = self._numbers[read]
            elif isinstance(read, Symbol) and not self._is_scalar(read):
                continue
            elif name in self.new:
                places = [self.places[i] for i in self.letters[name]]
                found[read] = self.new[name].at([*places, *map(self._with_places, own)])
            elif name in self.lifting.between:
                found[read] = self._whole(name, [self._with_places(i) for i in own])
            elif own:
                kept = [self._with_places(i) for i in own]
                found[read] = self.lifting.system.quantities[name].at(kept)
        return expression.xreplace(found)

    def _is_scalar(self, symbol: Symbol) -> bool:
        """Whether a symbol is a quantity without axes, or the adjoint of one, and no label of an array."""
        known = self.derived.system.quantities.get(self.quantity_of.get(symbol.name, symbol.name))
        return known is not None and not known.shape and not symbol.is_integer

    @cached_property
    def _numbers(self) -> dict[Symbol, Dummy]:
        return {number.symbol: self.places[i] for i, number in self.lifting.numbers.items()}

    def _whole(self, name: str, own: Iterable[Expr]) -> Expr:
        """Return the component of a quantity between at the places of the root."""
        quantity, rest = self.lifting.system.quantities[name], iter(own)
        carried = self.lifting.carried.get(name, {})
        axes = range(len(quantity.shape))
        return quantity.at([self.places[carried[a]] if a in carried else next(rest) for a in axes])

    # ------------------------------------------------------------ equations

    def _lifted(self, equation: Equation, side: Expr) -> tuple[Equation, PartialDerivative, Role | None]:
        """Return the equation of an adjoint in the whole system."""
        name, lifting = self.quantity_of[equation.name], self.lifting
        letters, quantity = self.letters[equation.name], self.new[equation.name]
        own = self._free_letters(equation, letters)
        lhs, rhs = quantity.at([*letters, *own]), self._with_places(side)
        if self.places:
            value = rename(rhs, dict(zip(equation.indices, own, strict=True)))
            rhs = rename(value, {place: letter for letter, place in self.places.items()})
            rhs = lifting.spelled.settled(rhs, (i.name for i in (*letters, *own)))
        of = lifting.component
        places = {d: i for i, d in self.places.items()}
        to = self._whole(name, own).xreplace(places)
        if name in self.wrt:
            self._remember(name, tuple(own), quantity.at([*(self.places[i] for i in letters), *own]))
        return Equation(lhs, rhs), PartialDerivative(lhs, of, to), self._role(name, quantity)

    def _role(self, name: str, quantity: Quantity) -> Role | None:
        """Return the role of the derivative for a quantity, if it is called so, in the layer of that."""
        of = self.lifting.system.roles.get(name)
        role = of and Role(of.layer, f"d{self.lifting.root.name}_d{of.word}", "", of.uses)
        return role if role and role.name == quantity.name else None

    def _remember(self, name: str, own: tuple[Symbol, ...], value: Expr) -> None:
        """Note the derivative for a quantity that is wanted, with letters of its own for all its axes."""
        carried, rest = self.lifting.carried.get(name, {}), iter(own)
        shape = self.lifting.system.quantities[name].shape
        axes = tuple(Dummy(f"axis{a}", integer=True) for a in range(len(shape)))
        value = rename(value, {next(rest): axis for a, axis in enumerate(axes) if a not in carried})
        value = rename(value, {place: letter for letter, place in self.places.items()})
        elsewhere = [KroneckerDelta(letter, axes[a]) for a, letter in carried.items()]
        self.results[name] = axes, Mul(*elsewhere, value)

    def _name(self, adjoint: str) -> None:
        """Choose the quantity of the whole system that an adjoint is."""
        name = self.quantity_of[adjoint]
        taken = {*self.lifting.taken, *(q.name for q in self.new.values())}
        shape = (*(self.sizes[i] for i in self.letters[adjoint]), *self.lifting.own(name).shape)
        self.new[adjoint] = Quantity(free_name(f"d{self.lifting.root.name}_d{name}", taken), shape)

    def _free_letters(self, equation: Equation, letters: Sequence[Symbol]) -> list[Symbol]:
        """Return the letters of an adjoint's own axes, other ones where the root has these."""
        taken = {*letters, *equation.indices}
        found: list[Symbol] = []
        for i, n in zip(equation.indices, equation.ranges.values(), strict=True):
            if i in letters:
                i = self.lifting.spelled.further(i, n, taken)
                taken.add(i)
            found.append(i)
        return found
