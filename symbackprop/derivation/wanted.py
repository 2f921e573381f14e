"""The derivatives that somebody asks for: of parameters, of inputs, or of anything between.

In go the equations of a model and names, out comes a ``Derived`` with the steps that these need.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from symbackprop.derivation.batch import with_batch
from symbackprop.derivation.gradients import closed
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.derivation.use import with_use
from symbackprop.equations.model import Model
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import EquationSystem
from symbackprop.errors import SpecificationError, excerpt, suggestion


def derive_model(model: Model, of: Sequence[str] | None = None) -> Derived:
    """Derive the error of a model for one sample and for a batch.

    ``of`` names the quantities that it is derived for, and nothing else is then; None is all parameters.  No
    code is made of the former, so no stable forms are looked for.

    Raises:
        SpecificationError: a name that is not known, or of what has no derivative.
    """
    wanted = () if of is None else require_wanted(of, model.system)
    known = closed(model.system)
    system = replace(known.system, of_samples=_of_samples(model, known.system))
    written = None if known.system is model.system else model.system
    model = replace(model, system=system, sections=sections_of(model, system), written=written)
    derived = derive_system(model.system, wanted or None, stable=of is None, inner=known.inner)
    derived = replace(derived, model=model, of=wanted)
    derived = with_batch(derived) if model.per_sample else derived
    return derived if model.use is None else with_use(derived, model.use)


def _of_samples(model: Model, system: EquationSystem) -> frozenset[str]:
    """Return the outputs that a text has for each sample, and of which none reads what differs any more."""
    if not model.per_sample or system is model.system:
        return frozenset()
    before, after = (
        {name for name in model.outputs if each.needed_for(name) & {*each.inputs}}
        for each in (model.system, system)
    )
    return frozenset(before - after)


def sections_of(model: Model, system: EquationSystem) -> dict[str, str]:
    """Return the section of each quantity; what a gradient needs belongs to that of who asks for it."""
    found, asking = dict(model.sections), None
    for equation in reversed(system.equations if found else ()):
        if equation.name in model.system.definitions:
            asking = equation.name
        elif asking in found:
            found[equation.name] = found[asking]
    return found


def derive_further(derivation: Derived, names: Iterable[str]) -> Derived:
    """Return the derivation for what it was derived for and for ``names``, without stable forms.

    Raises:
        SpecificationError: a name that is not known, or of what has no derivative.
    """
    system, model = derivation.system, derivation.model
    further = require_wanted(tuple(names), system)
    wanted = tuple(dict.fromkeys((*(derivation.of or system.parameters), *further)))
    found = derive_system(system, wanted, stable=False, inner=derivation.inner)
    found = replace(found, model=model, of=wanted)
    return with_batch(found) if derivation.batch or (model is not None and model.per_sample) else found


def require_wanted(names: Sequence[str], system: EquationSystem) -> tuple[str, ...]:
    """Return the names of quantities, each once.

    Raises:
        SpecificationError: there is none, one is not known, or one has no derivative.
    """
    differentiable = {name for name, q in system.quantities.items() if not q.integer} - {system.loss}
    if not names:
        raise SpecificationError(f"of: there is no name; {suggestion('', differentiable)}")
    for name in names:
        shown = excerpt(str(name))
        if name == system.loss:
            hint = "its derivative by itself is 1; name a quantity that it is made of"
            raise SpecificationError(f"{shown} is the error; {hint}")
        if name in system.quantities and name not in differentiable:
            raise SpecificationError(f"{shown} holds whole numbers: there is no derivative for it")
        if name not in differentiable:
            hint = suggestion(str(name), differentiable)
            raise SpecificationError(f"{shown} is no quantity of this network; {hint}")
    return tuple(dict.fromkeys(names))
