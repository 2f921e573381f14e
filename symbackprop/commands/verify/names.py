"""The names that people give to the quantities of a network, and to derivatives of its error.

C, L and J are the error where nothing else is called so; z2, a1 and delta2 are what a notation prints for
s2, x1 and ds2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from symbackprop.equations.steps import Derived
from symbackprop.equations.system import EquationSystem
from symbackprop.printing.notation import zad_names

_LOSSES = ("C", "L", "J")


@dataclass(frozen=True)
class Names:
    """Every name that a claim may use.

    ``quantities`` maps it to the quantity, ``adjoints`` to the quantity of which it is the derivative of the
    error, and ``losses`` are the names of the error.
    """

    quantities: Mapping[str, str]
    adjoints: Mapping[str, str]
    losses: tuple[str, ...]

    @property
    def quotient(self) -> re.Pattern[str]:
        """What matches a derivative of the error, or of a sample's, by a quantity without its indices."""
        of = "|".join(map(re.escape, self.losses))
        return re.compile(rf"\bd(?:{of})(?:\s*\[\s*[A-Za-z]\w*\s*\])?\s*/\s*d([A-Za-z_]\w*)", re.ASCII)

    def claimed(self, text: str) -> set[str]:
        """Return the quantities of which the derivative of the error stands in a claim."""
        words = {self.adjoints.get(word) for word in re.findall(r"[A-Za-z_]\w*", text, re.ASCII)}
        words |= {self.quantities.get(word) for word in self.quotient.findall(text)}
        left = re.match(r"\s*d([A-Za-z_]\w*)\s*(?:\[[^\]]*\])?\s*=", text, re.ASCII)
        words |= {self.quantities.get(left[1])} if left else set()
        return {word for word in words if word is not None}


def names_of(derivation: Derived) -> Names:
    """Return the names that claims about a derivation may use; its own come first."""
    system, model = derivation.system, derivation.model
    own = {*system.quantities, *(() if model is None else [c.name for c in model.constants])}
    losses = (system.loss, *(name for name in _LOSSES if name not in own))  # nothing derives a size
    own |= {*(() if model is None else model.sizes)}
    other = {alias: name for name, alias in zad_names(system).items() if alias not in own}
    quantities = {name: name for name in system.quantities} | {
        alias: name for alias, name in other.items() if name in system.quantities
    }
    quantities |= dict.fromkeys(losses, system.loss)
    return Names(quantities, _adjoints(system, other, own), losses)


def _adjoints(system: EquationSystem, other: Mapping[str, str], own: set[str]) -> dict[str, str]:
    """Return the names of derivatives of the error with the quantities by which they are."""
    found = {f"d{alias}": name for alias, name in other.items() if name in system.quantities}
    quantity_of = {adjoint.name: name for name, adjoint in system.adjoints.items()}
    found |= {alias: quantity_of[name] for alias, name in other.items() if name in quantity_of}
    found = {alias: name for alias, name in found.items() if alias not in own}
    real = {adjoint: name for adjoint, name in quantity_of.items() if not system.quantities[name].integer}
    return {**found, **{adjoint: name for adjoint, name in real.items() if name != system.loss}}
