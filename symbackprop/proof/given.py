"""Numbers that a claim is about: it then holds for these, and perhaps for no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sympy import Expr

from symbackprop.proof.integers import Environment


@dataclass(frozen=True)
class Given:
    """What is known in a proof that is general otherwise.

    ``sizes`` are numbers of sizes, ``least`` the least ones that are tried for others, both by name;
    ``constants`` are the numbers of constants, of an array all along its axis.
    """

    sizes: Mapping[str, int] = field(default_factory=dict)
    least: Mapping[str, int] = field(default_factory=dict)
    constants: Mapping[str, Expr | tuple[Expr, ...]] = field(default_factory=dict)

    def put_in(self, chosen: Environment) -> Environment:
        """Return chosen sizes with those that are given."""
        return {
            s: self.sizes.get(s.name, max(number, self.least.get(s.name, 0))) for s, number in chosen.items()
        }

    def constant(self, name: str, place: tuple[int, ...]) -> Expr | None:
        """Return the number of a constant, or of its component at a place; None where none is given."""
        found = self.constants.get(name)
        return found[place[0]] if isinstance(found, tuple) else found


NOTHING = Given()
