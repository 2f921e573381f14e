"""The sections of a derivation, which the user's titles and blocks head."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from symbackprop.equations.steps import Derived


@dataclass
class Sections:
    """Tells where a section begins, as quantities come one after the other.

    ``outside`` heads what belongs to none, ``escape`` makes a title fit for the document, and ``at`` is the
    section of the quantity before, "" for none.
    """

    derivation: Derived
    outside: str
    escape: Callable[[str], str]
    at: str = ""

    def begun(self, name: str) -> str:
        """Return the title of the section that begins with a quantity, "" where none does."""
        model = self.derivation.model
        section = model.sections.get(name, self.at) if model is not None else ""
        if section == self.at:
            return ""
        self.at = section
        return self.escape(section) if section else self.outside
