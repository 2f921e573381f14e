"""The networks whose generated modules stand in the folder generated/ of the repository."""

from __future__ import annotations

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


NAMED_NETWORKS: dict[str, NetworkArguments] = {
    # The two-layer network of the textbooks: small enough to follow by hand.
    "textbook": {"architecture": "2-3-1", "bias": False},
    # Images of handwritten digits, 8 by 8 pixels, to ten classes.
    "digits_classifier": {"architecture": "64-32-10", "output": "softmax"},
    # The same images, grey levels in [0, 1], through a bottleneck to themselves.
    "digits_autoencoder": {"architecture": "64-16-64"},
    # Twenty layers: what is derived and generated grows with the depth and no faster.
    "deep_20": {"architecture": "16" + 19 * "-16" + "-10", "hidden": "tanh", "output": "softmax"},
}
"""Name of the module -> the arguments of its network."""
