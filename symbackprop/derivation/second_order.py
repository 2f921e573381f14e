"""Second derivatives of the error: the equations of a derivation are derived again, by the same rule.

In go the equations of a model.  ``derive_second`` adds to them the first derivatives, ∂E/∂w2[j,i], and those
of each of these for the parameters, as ``gradient`` in a network's own equations does.  ``along`` adds what E
changes by along a vector v, D = Σ v·∂E/∂w: D is the error of a model like any other, and its derivative for a
parameter is the product of the Hessian with v.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement

from sympy import Add, Expr, Symbol

from symbackprop.derivation.gradients import closed
from symbackprop.derivation.wanted import derive_model, sections_of
from symbackprop.equations.indices import substitute
from symbackprop.equations.letters import Letters
from symbackprop.equations.model import Along, DataArray, Model
from symbackprop.equations.naming import free_name
from symbackprop.equations.steps import Derived, Pair
from symbackprop.equations.system import (
    Equation,
    EquationSystem,
    Gradient,
    PartialDerivative,
    Quantity,
    WrittenGradient,
    indices_of,
    name_of,
    sum_over,
)
from symbackprop.equations.well_formed import check_system
from symbackprop.errors import SpecificationError, excerpt, suggestion

MOST_PARAMETERS = 8
"""Parameters whose second derivatives are written out: each pair has equations and steps of its own."""


def derive_second(model: Model, of: Sequence[str] | None = None) -> Derived:
    """Derive the error of a model twice, for each pair of the parameters that ``of`` names, None for all.

    Raises:
        SpecificationError: a name that is no parameter, or more parameters than can be written out.
    """
    model = model.as_written
    wanted = require_parameters(model.system.parameters if of is None else of, model.system)
    if len(wanted) > MOST_PARAMETERS:
        pairs = len(wanted) * (len(wanted) + 1) // 2
        problem = f"{len(wanted)} parameters have {pairs} second derivatives, too many to write out"
        raise SpecificationError(
            f"order: {problem}; name at most {MOST_PARAMETERS} of them, or take the product of the Hessian "
            "with a vector: --hessian-vector, derivation.hessian_vector_product()"
        )
    written = _Writing(model.system, wanted)
    known = closed(written.system())
    check_system(known.system)
    labels = {e.name: number for number, e in enumerate(known.system.equations, start=1)}
    sections = sections_of(model, known.system)
    model = replace(model, system=known.system, use=None, states={}, sections=sections, written=model.system)
    return Derived(
        known.system, (), {}, {}, labels, model=model, of=wanted, inner=known.inner, second=written.second
    )


def require_parameters(names: Sequence[str], system: EquationSystem) -> tuple[str, ...]:
    """Return the names of parameters, each once, in the order of the network.

    Raises:
        SpecificationError: there is none, or one is no parameter.
    """
    if not names:
        raise SpecificationError(f"second derivatives: no parameter; {suggestion('', system.parameters)}")
    for name in names:
        if name not in system.parameters:
            kind = "is no parameter" if name in system.quantities else "is not known"
            hint = suggestion(str(name), system.parameters)
            raise SpecificationError(f"second derivatives: {excerpt(str(name))} {kind}; {hint}")
    return tuple(name for name in system.parameters if name in names)


@dataclass
class _Writing:
    """Writes the first and the second derivatives of the error as equations behind those of a network."""

    given: EquationSystem
    wanted: tuple[str, ...]
    first: dict[str, Expr] = field(default_factory=dict)
    second: dict[Pair, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.quantities = dict(self.given.quantities)
        self.derivatives = dict(self.given.derivatives)
        self.equations = list(self.given.equations)

    def system(self) -> EquationSystem:
        """Return the equations; derivatives of the last layers, which are shorter, come first."""
        loss = self.given.quantities[self.given.loss].symbol
        for name in reversed(self.wanted):
            self.first[name] = self._define(f"dE_d{name}", loss, component_of(self.given, name))
        pairs = combinations_with_replacement(reversed(self.wanted), 2)
        for one, other in pairs:
            of = self.first[one]
            to = component_of(self.given, other, indices_of(of))
            self.second[one, other] = name_of(self._define(f"d2E_d{one}_d{other}", of, to))
        return replace(
            self.given,
            equations=tuple(self.equations),
            quantities=self.quantities,
            derivatives=self.derivatives,
        )

    def _define(self, name: str, of: Expr, to: Expr) -> Expr:
        """Define a quantity that is a derivative, and return its component."""
        shape = (*self._shape(of), *self._shape(to))
        quantity = Quantity(free_name(name, self.quantities), shape)
        lhs = quantity.at((*indices_of(of), *indices_of(to)))
        self.quantities[quantity.name] = quantity
        self.derivatives[quantity.name] = PartialDerivative(lhs, of, to)
        self.equations.append(Equation(lhs, Gradient(of, to)))
        return lhs

    def _shape(self, component: Expr) -> tuple[Expr, ...]:
        return self.quantities[name_of(component)].shape


def component_of(system: EquationSystem, name: str, taken: Sequence[Expr] = ()) -> Expr:
    """Return a component of a quantity at the letters that read it, other ones where these are taken."""
    quantity = system.quantities[name]
    letters, found = Letters(system), list[Symbol]()
    known = _letters_of(system, quantity) or letters.of(quantity)
    for i, n in zip(known, quantity.shape, strict=True):
        found.append(letters.further(i, n, (*taken, *found)))
    return quantity.at(found)


def _letters_of(system: EquationSystem, quantity: Quantity) -> tuple[Symbol, ...]:
    """Return the letters at which the equations read a quantity, none where there are no such."""
    for equation in system.equations:
        for read in system.reads(equation.rhs):
            at = indices_of(read)
            plain = all(type(i) is Symbol and not i.is_positive for i in at) and len(set(at)) == len(at)
            if name_of(read) == quantity.name and plain:
                return at
    return ()


# ------------------------------------------------------------------ the results


def second_derivative(derived: Derived, name: str, other: str, inline: bool) -> tuple[Expr, Expr]:
    """Return ∂²E/∂name∂other as a component and its value; ``inline`` in forward quantities alone.

    The indices of the component are those of ``name``, then those of ``other``.
    """
    swapped = (name, other) not in derived.second
    equation = derived.system.definitions[derived.second[(other, name) if swapped else (name, other)]]
    rhs = written_out(derived, equation) if inline else equation.rhs
    if not swapped:
        return equation.lhs, rhs
    own = len(derived.system.quantities[other].shape)
    indices = (*equation.indices[own:], *equation.indices[:own])
    shape = derived.system.quantities[equation.name].shape
    quantity = Quantity(equation.name, (*shape[own:], *shape[:own]))
    return quantity.at(indices), rhs


def written_out(derived: Derived, equation: Equation) -> Expr:
    """Return the right side of an equation with the definition of every derivative in its place."""
    system, expression = derived.system, equation.rhs
    for each in reversed(system.equations):
        if each.name in system.derivatives and each.name in set(map(name_of, system.reads(expression))):
            expression = substitute(expression, system.quantities[each.name], each)
    return Letters(system).equation(equation.lhs, expression)[1]


# ------------------------------------------------------------------ the product with a vector


def derive_along(model: Model) -> Derived:
    """Derive the product of the Hessian of a model's error with a vector, for all parameters.

    Raises:
        SpecificationError: the model has no parameters.
        UnsupportedExpression: an expression that the calculus does not know.
    """
    slope = along(model.as_written)
    return replace(derive_model(slope), of=slope.system.parameters)


def along(model: Model) -> Model:
    """Return the model whose error is what that of a model changes by along a vector.

    The vector is an input for each parameter, the same for all samples.

    Raises:
        SpecificationError: the model has no parameters.
    """
    system = model.system
    if not system.parameters:
        raise SpecificationError("the product of the Hessian with a vector: the network has no parameters")
    quantities = dict(system.quantities)
    loss, terms, vectors = quantities[system.loss].symbol, [], {}
    for name in system.parameters:
        vector = Quantity(free_name(f"v_{name}", quantities), quantities[name].shape)
        quantities[vector.name] = vector
        vectors[name] = vector.name
        component = component_of(system, name)
        ranges = vector.ranges(indices_of(component))
        # As a quantity ∂E/∂w would be an array for each sample, of which the derivatives are all v.
        product = vector.at(indices_of(component)) * WrittenGradient(loss, component)
        terms.append(sum_over(product, *ranges.items()) if ranges else product)
    slope = Quantity(free_name("D", quantities))
    quantities[slope.name] = slope
    needed = system.needed_for(system.loss)  # not what a step leaves in states
    equations = [equation for equation in system.equations if equation.name in needed]
    system = replace(
        system,
        equations=(*equations, Equation(slope.symbol, Add(*terms))),
        quantities=quantities,
        loss=slope.name,
    )
    given = [DataArray(vectors[n], quantities[n].shape, has_samples=False) for n in vectors]
    inputs = (*model.inputs, *given)
    toward = Along(model.system.loss, vectors)
    read = {state: new for state, new in model.states.items() if state in needed}
    return replace(model, system=system, inputs=inputs, use=None, states=read, along=toward)
