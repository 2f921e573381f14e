"""The networks that are trained, small to large, and the data they are trained on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

import symbackprop as sb

Array = npt.NDArray[np.floating]
BATCHES = 8  # different ones, taken in turn


@dataclass(frozen=True)
class Configuration:
    """One network with its batch size and optimiser; sigmoid outputs go with binary cross-entropy."""

    letter: str
    sizes: tuple[int, ...]
    hidden: str
    output: str
    batch: int
    optimizer: str = "sgd"
    learning_rate: float = 0.01

    @property
    def title(self) -> str:
        """What the network is, in a few words."""
        inner = self.sizes[1:-1]
        deep = len(set(inner)) == 1 and len(inner) > 3
        middle = f"{len(inner)}×{inner[0]}" if deep else "-".join(map(str, inner))
        name = f"{self.sizes[0]}-{middle}-{self.sizes[-1]} {self.hidden}, {self.output}, batch {self.batch}"
        return name + (", Adam" if self.optimizer == "adam" else "")

    @property
    def network(self) -> sb.Network:
        """The network that the trainer is generated from."""
        return sb.Network("-".join(map(str, self.sizes)), hidden=self.hidden, output=self.output)

    def parameters(self) -> list[Array]:
        """Return the initial w1, b1, w2, …; w has shape (inputs, outputs)."""
        rng = np.random.default_rng(0)
        found: list[Array] = []
        for inputs, outputs in pairwise(self.sizes):
            found.append(rng.normal(size=(inputs, outputs)) / np.sqrt(inputs))
            found.append(rng.normal(size=outputs) / 10)
        return found

    def batches(self, dtype: str) -> list[tuple[Array, Array]]:
        """Return the batches: inputs, and one of two or one of several classes."""
        rng = np.random.default_rng(1)
        outputs = self.sizes[-1]
        found: list[tuple[Array, Array]] = []
        for _ in range(BATCHES):
            x = rng.normal(size=(self.batch, self.sizes[0])).astype(dtype)
            labels = rng.integers(0, max(outputs, 2), self.batch)
            t = labels[:, None] if outputs == 1 else np.eye(outputs)[labels]
            found.append((x, t.astype(dtype)))
        return found


CONFIGURATIONS = (
    Configuration("a", (2, 2, 1), "sigmoid", "sigmoid", 4),
    Configuration("b", (64, 32, 10), "relu", "softmax", 32),
    Configuration("c", (784, 128, 10), "relu", "softmax", 64),
    Configuration("d", (784, 512, 512, 10), "relu", "softmax", 128),
    Configuration("e", (256, *[256] * 20, 10), "tanh", "softmax", 128),
    Configuration("f", (784, 128, 10), "sigmoid", "sigmoid", 64),
    Configuration("g", (784, 512, 512, 10), "relu", "softmax", 128, "adam", 0.001),
)
