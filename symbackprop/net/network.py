"""A network that is given by its equations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from symbackprop.model import Model
from symbackprop.net.building import model_of_text
from symbackprop.specification import Network


class EquationNetwork(Network):
    """A network written in index notation; `Network.from_equations` makes it."""

    def __init__(self, text: str, sizes: Mapping[str, int] | None = None, source: str = "equations") -> None:
        self.text = text
        self.given_sizes = dict(sizes or {})
        self.source = source
        self.model  # noqa: B018 - what is wrong with the text is reported here and not in a later stage

    @cached_property
    def model(self) -> Model:
        """The network as the later stages read it."""
        return model_of_text(self.text, self.source, self.given_sizes)

    @property
    def description(self) -> str:
        """The equations and sizes, from which the same network can be made."""
        return self.model.description

    def with_small_sizes(self) -> EquationNetwork:
        """Return the network with small, unequal numbers for the sizes that have none."""
        sizes = dict(self.given_sizes)
        for number, letter in enumerate(dict.fromkeys(self.model.missing.values())):
            sizes[letter] = _SMALL[number % len(_SMALL)]
        return EquationNetwork(self.text, sizes, self.source) if self.model.missing else self

    def __repr__(self) -> str:
        return f"<Network of {len(self.model.system.equations)} equations: {self.model.title}>"


_SMALL = (3, 4, 2, 5, 6, 7)
