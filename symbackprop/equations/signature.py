"""Signatures: equal for expressions that differ in names alone.

Equal layers differ in the names of their quantities, sizes and indices.  A derivation, a stable form or an
array operation that was worked out for one of them is kept by its signature, and serves all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable

from sympy import Basic


class Signature(ABC):
    """The signature of expressions: their tree, with a place for each name in the order of appearance."""

    @abstractmethod
    def named(self, node: Basic) -> Hashable | None:
        """Return the signature of a node that is a name; None for one that is described by its parts."""

    def of(self, node: Basic) -> Hashable:
        """Return the signature of ``node``."""
        found = self.named(node)
        if found is not None:
            return found
        return (node.func, *map(self.of, node.args)) if node.args else node
