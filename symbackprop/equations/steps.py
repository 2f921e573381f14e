"""Derived steps: numbered statements about derivatives, and the whole of a derivation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Self

from sympy import Basic, Derivative, Eq, Expr, Indexed, Symbol

from symbackprop.equations.circles import Circle, circles_of, parts_of
from symbackprop.equations.indices import substitute
from symbackprop.equations.letters import Letters
from symbackprop.equations.model import Model
from symbackprop.equations.system import Equation, EquationSystem, Fact, Quantity, indices_of, name_of
from symbackprop.errors import SpecificationError, excerpt, require_flag, require_text, suggestion


@dataclass(frozen=True)
class Step:
    """One numbered step, ``lhs = rhs``.

    ``target`` is the name of the quantity whose derivative is sought, ``rule`` that of the rule used.
    ``lhs`` is a named adjoint such as ``ds2[i]``, which stands for ∂E/∂s2[i], or a ``Derivative``:
    of the loss E, or of one quantity with respect to another (a local derivative).  ``by`` is the
    quantity whose definition a folding uses.
    """

    number: int
    target: str
    rule: str
    lhs: Expr
    rhs: Expr
    by: str | None = None

    @classmethod
    def pending(
        cls,
        number: int,
        target: str,
        rule: str,
        sides: Callable[[], Sides],
        sketch: Sketch,
        by: str | None = None,
    ) -> Step:
        """Return a step whose sides are written down when they are first read.

        Of a thousand equal layers most steps are never looked at, and SymPy takes long to rename them.
        """
        step = cls.__new__(cls)
        step.__dict__.update(number=number, target=target, rule=rule, by=by, _sides=sides, _sketch=sketch)
        return step

    def under(self, number: int) -> Step:
        """Return the step under another number; what is pending stays so."""
        step = copy(self)
        step.__dict__["number"] = number
        return step

    @property
    def sketch(self) -> Sketch:
        """The sides as they were derived, without writing them down."""
        return self.__dict__.get("_sketch") or Sketch(self.lhs, self.rhs, {})

    def __getattr__(self, name: str) -> Expr:
        if name not in ("lhs", "rhs") or "_sides" not in self.__dict__:
            raise AttributeError(f"a step has no attribute {name!r}")
        lhs, rhs = self.__dict__.pop("_sides")()
        self.__dict__.update(lhs=lhs, rhs=rhs)
        return lhs if name == "lhs" else rhs


Pair = tuple[str, str]
"""The names of two parameters."""
Sides = tuple[Expr, Expr]
"""Left-hand and right-hand side of a step."""


class Sketch(NamedTuple):
    """The sides of a step before they are written down: all adjoints under their names.

    ``names`` maps names in the sides to the names that they stand for, where these are others.
    """

    lhs: Expr
    rhs: Expr
    names: Mapping[Basic, Basic]


@dataclass(frozen=True, repr=False)
class Derived:
    """The result of a derivation: the equations, the steps and their results.

    ``labels`` holds the number of each forward equation by the quantity that it defines.
    ``steps`` come in a person's order, from the error inwards.  ``results`` holds, for each quantity,
    the number of the step that ends in its derivative, written with named adjoints: that step is
    printed, proved and emitted.  ``adjoints`` maps the name of a named adjoint to its quantity; a
    quantity with a result and no named adjoint was written into its only reader.
    ``stable`` are forms of forward equations that neither overflow nor lose digits, equal to the
    plain ones; ``batch`` are the derivatives of the mean over a batch of N samples; ``update`` are the
    equations of the optimiser, for every component of every parameter, and ``rescaled`` the same in the
    multiples of its state that the trainer stores.  ``of`` names what was asked for, where that is not all
    parameters and nothing else.  ``inner`` are the derivations behind those equations that are derivatives
    of others, each of a system of its own, whose loss stands for the component ``root`` of the network.

    Where the network is another one in use, ``use`` are its equations: those that are no equations of
    training have numbers of their own, and are its steps.  Of a derivation to second order ``second`` holds,
    for each pair of parameters, the quantity that is the second derivative of the loss.  ``carried`` holds
    the letters of the ``root`` along axes of quantities that are at one place there, and are written without.
    """

    system: EquationSystem
    steps: tuple[Step, ...]
    results: dict[str, int]
    adjoints: dict[str, str]
    labels: dict[str, int]
    stable: tuple[Step, ...] = ()
    batch: tuple[Step, ...] = ()
    update: tuple[Step, ...] = ()
    rescaled: tuple[Step, ...] = ()
    optimizer: str = "sgd"
    model: Model | None = None
    of: tuple[str, ...] = ()
    inner: tuple[Derived, ...] = ()
    root: Expr | None = None
    use: Derived | None = None
    second: Mapping[Pair, str] = field(default_factory=dict)
    carried: Mapping[str, Mapping[int, Expr]] = field(default_factory=dict)
    by_number: dict[int, Step] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        within = (step for each in self.inner for step in each.steps)
        steps = (*within, *self.steps, *self.stable, *self.batch, *self.update, *self.rescaled)
        steps += () if self.use is None else tuple(self.use.by_number.values())
        object.__setattr__(self, "by_number", {s.number: s for s in steps})

    @property
    def description(self) -> str:
        """The architecture and options from which the same derivation can be made."""
        text, option = self.model.description if self.model else "", _option(self.optimizer)
        return text + (option.lstrip() if text.endswith("\n") else option)

    @property
    def stored(self) -> tuple[Step, ...]:
        """The definitions of the multiples that a trainer stores in place of the optimiser's state."""
        return tuple(step for step in self.rescaled if step.rule == "kept")

    @property
    def executed_update(self) -> tuple[Step, ...]:
        """The optimiser's equations as a trainer carries them out, each for that of ``update``."""
        return self.rescaled[len(self.stored) :] or self.update

    @cached_property
    def steps_to(self) -> dict[str, list[Step]]:
        """The steps to the derivative for each quantity, in order."""
        found: dict[str, list[Step]] = {}
        for step in self.steps:
            found.setdefault(step.target, []).append(step)
        return found

    @cached_property
    def stable_form_of(self) -> dict[int, Step]:
        """The number of an equation or a result -> the stable form that is computed in its place."""
        found = {}
        for step in self.stable:
            definition = self.system.definitions.get(step.target)
            is_value = definition is not None and definition.lhs == step.lhs
            found[self.labels[step.target] if is_value else self.results[step.target]] = step
        return found

    @cached_property
    def result_parts(self) -> list[Equation | Circle]:
        """The results as equations of adjoints, each after what it reads; those of a circle are one, too."""
        equations = []
        for name, number in self.results.items():
            step = self.stable_form_of.get(number, self.by_number[number])
            equations.append(Equation(self._adjoint_at(name, step.lhs), step.rhs))
        return parts_of(equations, self._adjoints_read)

    @cached_property
    def results_in_order(self) -> tuple[str, ...]:
        """The quantities that have a result, each after those whose derivatives its own reads."""
        parts = (p.names if isinstance(p, Circle) else (p.name,) for p in self.result_parts)
        return tuple(self._quantity_of[name] for names in parts for name in names)

    @cached_property
    def result_circles(self) -> dict[str, Circle]:
        """The circle of adjoints that the derivative for each quantity is in, for those that are in one."""
        circles = (part for part in self.result_parts if isinstance(part, Circle))
        return {self._quantity_of[name]: circle for circle in circles for name in circle.names}

    @cached_property
    def _quantity_of(self) -> dict[str, str]:
        return {adjoint.name: name for name, adjoint in self.system.adjoints.items()}

    def _adjoint_at(self, name: str, lhs: Expr) -> Expr:
        component = lhs.variables[0] if isinstance(lhs, Derivative) else lhs
        return self.system.adjoints[name].at(indices_of(component))

    def _adjoints_read(self, expression: Expr) -> Iterator[Expr]:
        """Yield the adjoints that an expression reads, under their names or as derivatives of the loss."""
        if isinstance(expression, Derivative):
            if isinstance(expression.expr, Symbol) and expression.expr.name == self.system.loss:
                yield self._adjoint_at(name_of(expression.variables[0]), expression)
        elif isinstance(expression, Indexed) or (
            isinstance(expression, Symbol) and expression.name in self.adjoints
        ):
            yield expression
        else:
            for argument in expression.args:
                yield from self._adjoints_read(argument)

    @property
    def used_facts(self) -> tuple[Fact, ...]:
        """The facts about the data that a step rests on."""
        steps = (step for each in (self, *self.inner) for step in each.steps)
        return self.system.facts if any(step.rule == "fact" for step in steps) else ()

    @property
    def title(self) -> str:
        """The title of the derivation."""
        if self.model is None:
            return "a network given by its equations"
        return self.model.title

    def __repr__(self) -> str:
        return f"<Derivation of {self.description or 'equations'}: {len(self.by_number)} steps>"

    def equation(self, name: str) -> Eq:
        """Return the forward equation that defines ``name``."""
        found = self.system.definitions[self._known(name, self.system.definitions)]
        return Eq(found.lhs, found.rhs, evaluate=False)

    def adjoint(self, name: str) -> Expr:
        """Return the definition of the derivative of the loss for ``name``, with named adjoints."""
        known = self._with(name)
        return known.by_number[known.results[name]].rhs

    def gradient(self, name: str, inline: bool = False) -> Expr:
        """Return the derivative of the loss for ``name``.

        Adjoints that hold a sum stay named; with ``inline`` every adjoint is written out, so that the
        result is in forward quantities only.
        """
        known = self._with(name)
        if not require_flag("inline", inline):
            return next(s for s in reversed(known.steps) if s.target == name and _is_about_loss(s)).rhs
        lhs = known.by_number[known.results[name]].lhs
        return Letters(known.system).equation(lhs, known._inlined(known.adjoint(name)))[1]

    def indices(self, name: str) -> tuple[Symbol, ...]:
        """Return the free indices of the derivative for ``name``, in the order of its axes."""
        known = self._with(name)
        lhs = known.by_number[known.results[name]].lhs
        component = lhs.variables[0] if isinstance(lhs, Derivative) else lhs
        return indices_of(component)

    def with_step(self, step: Step) -> Self:
        """Return the derivation with ``step`` in place of the one that has its number."""
        if step.number not in self.by_number:
            raise SpecificationError(f"there is no step {step.number}")

        def exchanged(steps: tuple[Step, ...]) -> tuple[Step, ...]:
            return tuple(step if s.number == step.number else s for s in steps)

        return replace(
            self,
            inner=tuple(i.with_step(step) if step.number in i.by_number else i for i in self.inner),
            steps=exchanged(self.steps),
            stable=exchanged(self.stable),
            batch=exchanged(self.batch),
            update=exchanged(self.update),
            rescaled=exchanged(self.rescaled),
        )

    def _with(self, name: str) -> Derived:
        """Return a derivation that has a result for ``name``: this one where it has."""
        return self if require_text("name", name) in self.results else self.further(name)

    def further(self, name: str) -> Derived:
        """Return the derivation with a result for ``name``, which was not asked for; here there is none.

        Raises:
            SpecificationError: always; a ``Derivation`` derives it.
        """
        self._known(name, self.results)
        return self

    def _known(self, name: str, table: Iterable[str]) -> str:
        if require_text("name", name) not in table:
            raise SpecificationError(f"{excerpt(name)} is not derived here; {suggestion(name, table)}")
        return name

    def _inlined(self, expression: Expr) -> Expr:
        """Write out every adjoint, from the outermost layer that is read inwards."""
        circles = circles_of(self.system.equations, self.system.reads)
        for name, target in reversed(list(self.adjoints.items())):
            if target in circles:  # it is made of itself at other places
                continue
            step = self.by_number[self.results[target]]
            quantity = Quantity(name, self.system.quantities[target].shape)
            if expression.has(quantity.symbol):
                expression = substitute(expression, quantity, Equation(step.lhs, step.rhs))
        return expression


def _option(optimizer: str) -> str:
    """Return the option that chooses the optimiser, if it takes one."""
    return "" if optimizer == "sgd" else f" --optimizer {optimizer}"


def _is_about_loss(step: Step) -> bool:
    """Whether a step states the derivative of the loss, and not a local one."""
    return not isinstance(step.lhs, Derivative) or isinstance(step.lhs.expr, Symbol)


def differentiated(derivative: Expr, derivation: Derived) -> Expr:
    """Return the component with respect to which ``derivative``, or a named adjoint, is taken."""
    if isinstance(derivative, Derivative):
        return derivative.variables[0]
    quantity = derivation.system.quantities[derivation.adjoints[name_of(derivative)]]
    return quantity.at(indices_of(derivative))
