"""The names that a generated module gives to what its equations are about.

They are chosen last, in one place that knows all names of the module: those of quantities, their derivatives,
constants and sizes, and those that the module uses itself.
"""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass
from functools import cached_property

from symbackprop.code.loops import LEAST_USES
from symbackprop.equations.model import Model
from symbackprop.equations.naming import free_name
from symbackprop.library.optimizers import OPTIMIZERS

FUNCTIONS_USE = frozenset(
    {
        *keyword.kwlist,
        *dir(builtins),
        *("parameters", "samples", "dtype", "rate", "scale", "weights", "with_loss", "self", "np", "math"),
        *("one", "zero", "ones", "zeros", "buffer", "gradient", "steps", "place", "sliding_window_view"),
    }
)
"""Names that stand for something else in the functions that compute quantities."""
_STATES = {name for optimizer in OPTIMIZERS.values() for name in optimizer.state}
TOLD = (
    "STATE_SHAPES",
    "INPUTS",
    "TARGETS",
    "WHOLE_NUMBERS",
    "LEAST_PLACES",
    "BOUNDS",
    "TOTALS",
    "SMALL_SIZES",
    "OUTPUT_SHAPE",
    "CLASSES",
    "IS_MEAN",
    "HELD",
    "HYPERPARAMETERS",
    "STATE",
    "DECAYING",
    "SCRATCH",
    "RATE_IN_GRADIENT",
    "WEIGHTED",
    "ROWS_CAN_BE_CUT",
    "BUFFERS",
)
"""The constants that tell the runtime of a module about its network."""
_MODULE_USES = frozenset({"ARCHITECTURE", "PARAMETER_SHAPES", *TOLD, *(name.upper() for name in _STATES)})
"""Names in the module that are written as constants are: its own, and those of stored states in a step."""
_PART = re.compile(r"(work|mask|change|part|turn|exponentials|largest|total|difference|offset)\d*(_\d+)?")
"""Names of parts that statements share."""


@dataclass(frozen=True)
class CodeNames:
    """The names in the code of one module."""

    model: Model

    @cached_property
    def quantities(self) -> dict[str, str]:
        """The name of each quantity and of each adjoint: its own, with underscores where that is taken."""
        wanted = self._wanted
        own = wanted.values()
        taken = {*FUNCTIONS_USE, *self.sizes.values(), *self._arguments}
        kept = {name for name in own if not (name in taken or name.startswith("_") or _PART.fullmatch(name))}
        kept |= {given for given in self._arguments if self._is_argument_of_its_name(given)}
        found = {name: code for name, code in wanted.items() if code in kept}
        for name, code in wanted.items():
            if code not in kept:
                found[name] = free_name(f"{_public(code)}_", {*taken, *own, *found.values()})
        return found

    @cached_property
    def _wanted(self) -> dict[str, str]:
        """What quantities and adjoints are called where that is free; those of layers as their roles have it.

        Words that are names by themselves have an underscore in many uses of a block, where loops keep arrays
        by layer under the words.
        """
        system = self.model.named
        adjoints = {name: adjoint.name for name, adjoint in system.adjoints.items()}
        plain = {name for name in system.quantities if name not in system.roles}
        plain |= {adjoints[name] for name in plain}
        found = {name: name for name in (*system.quantities, *adjoints.values())}
        taken = {*found}
        of_uses = {role.word for role in system.roles.values() if role.uses >= LEAST_USES}
        for name, role in system.roles.items():
            word = role.word
            while role.word in of_uses and not plain.isdisjoint((word, f"d{word}")):
                word += "_"
            if f"{word}{role.layer}" != name:
                found[name] = free_name(f"{word}{role.layer}", taken)
                found[adjoints[name]] = free_name(f"d{found[name]}", taken)
                taken |= {found[name], found[adjoints[name]]}
        return found

    @cached_property
    def renamed(self) -> bool:
        """Whether a quantity or an adjoint can't have its own name in the code."""
        return any(name != own for own, name in self.quantities.items())

    @property
    def _arguments(self) -> set[str]:
        """The names of the arguments of functions."""
        noise = {"noise", "draw_noise"} if self.model.noise else set[str]()
        return {"x", "t", *noise, *({"vector"} if self.model.along is not None else ())}

    def _is_argument_of_its_name(self, argument: str) -> bool:
        """Whether the argument x or t is the one array that is called so."""
        arrays = {"x": self.model.inputs, "t": self.model.targets}.get(argument, ())
        return len(arrays) == 1 and arrays[0].name == argument

    @cached_property
    def sizes(self) -> dict[str, str]:
        """The name of each size that is found with the data."""
        return {name: f"size_{name.lower()}" for name in self.model.open}

    @cached_property
    def constants(self) -> dict[str, str]:
        """The name of each constant, in capitals: it stands outside of functions."""
        found: dict[str, str] = {}
        taken = {*self.quantities.values(), *self.sizes.values(), *_MODULE_USES}
        for constant in self.model.constants:
            found[constant.name] = free_name(_public(constant.name).upper(), {*taken, *found.values()})
        return found

    def __call__(self, name: str) -> str:
        """Return the name of a quantity, of an adjoint, or of what the code itself has named."""
        return self.quantities.get(name, name)


def _public(name: str) -> str:
    """Return a name without the underscores that the module's own names begin with."""
    return name.lstrip("_") or name
