"""What a network of the comparison is: equations, data, and the loss as others write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

import symbackprop as sb

Array = npt.NDArray[Any]
Values = dict[str, Any]
Loss = Callable[[Any, Any], Any]
"""From the parameters and the data, each with its values as attributes, to the loss of the batch."""
Textbook = Callable[[Any, Any], tuple[float, dict[str, Array]]]
"""From parameters and data to the loss and its derivatives."""


class Aim(StrEnum):
    """How long a step may take, relative to PyTorch's."""

    PRODUCTS = "matrix products dominate"
    OTHER = "elsewhere"
    CONVOLUTIONS = "convolutions"

    @property
    def limit(self) -> float:
        return {Aim.PRODUCTS: 1.0, Aim.OTHER: 1.2, Aim.CONVOLUTIONS: 2.5}[self]


@dataclass
class Named:
    """Values that are read as attributes: `p.w` for `p["w"]`."""

    values: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True)
class Task:
    """A network, the data of a batch, and the same loss in PyTorch and JAX.

    ``shapes`` holds those of the data of real numbers, which are drawn from a normal distribution, with the
    number of samples first, and of whole numbers with the number of values that they have.  ``made`` makes
    further data of these.  ``torch_parameters`` arranges the parameters as PyTorch's own layers keep them,
    and ``from_torch`` their derivatives as the network has them.
    """

    name: str
    title: str
    aim: Aim
    text: str
    batch: int
    torch: Loss
    jax: Loss
    real: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    whole: Mapping[str, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    made: Callable[[Values], Values] = lambda data: data
    textbook: Textbook | None = None
    torch_parameters: Callable[[Values], Values] = lambda values: values
    from_torch: Callable[[Values], Values] = lambda values: values
    deviation: float = 0.02
    """What is added to parameters that begin with one number."""

    @cached_property
    def network(self) -> sb.Network:
        return sb.Network.from_equations(self.text)

    def data(self, seed: int = 0) -> dict[str, Array]:
        """Return a batch, in float32 and whole numbers of 64 bits, by name."""
        rng = np.random.default_rng(seed)
        found: Values = {k: rng.normal(size=(self.batch, *s)).astype("f") for k, s in self.real.items()}
        for name, (count, shape) in self.whole.items():
            found[name] = rng.integers(0, count, (self.batch, *shape))
        return self.made(found)

    def parameters(self, module: Any) -> dict[str, Array]:
        """Return parameters in float32, those that begin with one number moved away from it."""
        rng = np.random.default_rng(1)
        return {
            name: (value + self.deviation * rng.normal(size=value.shape)).astype("f")
            for name, value in module.initialize(0).items()
        }


def arguments(module: Any, data: Mapping[str, Array]) -> tuple[Any, Any]:
    """Return x and t as a generated module takes them."""
    x, t = ({name: data[name] for name in names} for names in (module.INPUTS, module.TARGETS))
    return tuple((next(iter(part.values())) if len(part) == 1 else part or None) for part in (x, t))
