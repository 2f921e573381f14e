"""The networks whose generated modules stand in the folder generated/ of the repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict


class NetworkArguments(TypedDict, total=False):
    """The arguments of a `Network`."""

    architecture: str
    hidden: str
    output: str
    loss: str | None
    bias: bool
    l2: float
    l1: float
    init: str | None
    facts: bool


@dataclass(frozen=True)
class Named:
    """A network and the optimiser of its trainer."""

    network: NetworkArguments
    optimizer: str = "sgd"


NAMED_NETWORKS: dict[str, Named] = {
    # The two-layer network of the textbooks: small enough to follow by hand.
    "textbook": Named({"architecture": "2-3-1", "bias": False}),
    # Images of handwritten digits, 8 by 8 pixels, to ten classes.
    "digits_classifier": Named({"architecture": "64-32-10", "output": "softmax"}),
    # The same images, every pixel black or white, through a bottleneck to themselves.
    "digits_autoencoder": Named({"architecture": "64-16-64"}),
    # Numbers from numbers: relu, a linear output, regularised weights, and a state for each of them.
    "regression": Named({"architecture": "8-32:relu-32:relu-1:identity", "l2": 1e-4}, "adam"),
    # Twenty layers: derivation and generated code grow with the depth and no faster.
    "deep_20": Named({"architecture": "16" + 19 * "-16" + "-10", "hidden": "tanh", "output": "softmax"}),
}
"""Name of the module -> its network and optimiser."""
