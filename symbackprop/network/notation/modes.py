"""One text, two networks: the equations of training and those of use."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from sympy import Indexed, Symbol, false, true

from symbackprop.equations.graph import reached_from
from symbackprop.equations.system import TRAINING, Equation, EquationSystem, Quantity, name_of
from symbackprop.network.notation.names import NoiseRead
from symbackprop.network.notation.samples import names_read

MODES = (True, False)
"""Whether the network is trained: first the equations of training, then those of use."""


def in_mode(equations: Sequence[Equation], is_training: bool, wanted: Iterable[str]) -> Iterator[Equation]:
    """Yield the equations of training, or those of use, that ``wanted`` quantities need."""
    chosen = {TRAINING: true if is_training else false}
    decided = [
        Equation(e.lhs, e.rhs.xreplace(chosen)) if TRAINING in e.rhs.free_symbols else e for e in equations
    ]
    read_by = {e.name: names_read(e.rhs) for e in decided}
    needed = reached_from(wanted, read_by)
    yield from (e for e in decided if e.name in needed)


def quantities_of(
    equations: Iterable[Equation], quantities: Mapping[str, Quantity], parameters: Collection[str]
) -> dict[str, Quantity]:
    """Return the quantities that some equations are about, and the parameters."""
    found = {*parameters}
    for equation in equations:
        symbols = equation.rhs.atoms(Symbol)
        found |= {equation.name}
        found |= {s.name for s in symbols if s.name in quantities and s == quantities[s.name].symbol}
        found |= {name_of(node) for node in equation.rhs.atoms(Indexed)}
    return {name: q for name, q in quantities.items() if name in found}


def with_roles_of(training: EquationSystem, use: EquationSystem) -> EquationSystem:
    """Return the system of use, in which all that is in training, too, has the same role."""
    roles = {name: training.roles.get(name) for name in training.quantities}
    own = {name: roles.get(name, use.roles.get(name)) for name in use.quantities}
    sizes = {**use.size_roles, **training.size_roles}
    return replace(use, roles={n: r for n, r in own.items() if r is not None}, size_roles=sizes)


def place_in_use(name: str, places: Iterable[NoiseRead], use: EquationSystem) -> NoiseRead:
    """Return where the text reads a noise that the equations of use read, too."""
    readers = [e.name for e in use.equations if name in {name_of(c) for c in use.reads(e.rhs)}]
    own = [place for place in places if place.name == name]
    among = (place for known in (readers, use.definitions) for place in own if place.equation in known)
    return next(among, own[0])
