"""A network that is given by its equations."""

from __future__ import annotations

import keyword
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from symbackprop.errors import SpecificationError
from symbackprop.model import Model
from symbackprop.net.building import model_of_text
from symbackprop.specification import Network


class EquationNetwork(Network):
    """A network written in index notation; `Network.from_equations` makes it."""

    def __init__(
        self,
        text: str,
        sizes: Mapping[str, int] | None = None,
        source: str = "equations",
        name: str = "network",
    ) -> None:
        self.text = text
        self.given_sizes = dict(sizes or {})
        self.source = source
        self.name = _python_name(name)
        self.model  # noqa: B018 - what is wrong with the text is reported here and not in a later stage

    @cached_property
    def model(self) -> Model:
        """The network as the later stages read it."""
        return replace(model_of_text(self.text, self.source, self.given_sizes), name=self.name)

    @property
    def description(self) -> str:
        """The equations and sizes, from which the same network can be made."""
        return self.model.description

    def with_small_sizes(self) -> EquationNetwork:
        """Return the network with small, unequal numbers for the sizes that have none."""
        sizes = dict(self.given_sizes)
        for number, letter in enumerate(dict.fromkeys(self.model.missing.values())):
            sizes[letter] = _SMALL[number % len(_SMALL)]
        return EquationNetwork(self.text, sizes, self.source, self.name) if self.model.missing else self

    def __repr__(self) -> str:
        return f"<Network of {len(self.model.system.equations)} equations: {self.model.title}>"


def _python_name(text: str) -> str:
    """Return a Python name made from that of a file."""
    name = "".join(c if c.isalnum() and c.isascii() else "_" for c in text).strip("_").lower()
    taken = not name.isidentifier() or keyword.iskeyword(name)
    return f"network_{name}" if taken or name in sys.stdlib_module_names else name


MAX_BYTES = 4_000_000
"""Size of a file beyond which it is taken for something else."""


def read_file(path: Path) -> str:
    """Return the text of a ``.net`` file; raises SpecificationError where it can't be read."""
    try:
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise SpecificationError(f"{path}: more than {MAX_BYTES // 10**6} MB are no equations")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecificationError(f"{path}: is not text in UTF-8") from error
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or str(error)
        raise SpecificationError(f"{path}: can't be read: {problem}") from error


_SMALL = (3, 4, 2, 5, 6, 7)
