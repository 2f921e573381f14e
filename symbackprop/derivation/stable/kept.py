"""Forms that were chosen, kept for all that is equal up to names: equal layers are looked at once.

What a form depends on is known when it has been found: the expressions that it was found for, and what was
looked up on the way, name by name.  Where all that is the same but for names, so is the form.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sympy import Basic, Expr

from symbackprop.derivation.calculus.signature import Naming
from symbackprop.equations.indices import renamed
from symbackprop.equations.system import Equation, Quantity


class Watched(dict[str, Equation]):
    """Definitions that tell ``seen`` the names that are looked up in them."""

    def __init__(self, definitions: Mapping[str, Equation], seen: Callable[[str], None]) -> None:
        super().__init__(definitions)
        self._seen = seen

    def __getitem__(self, name: str) -> Equation:
        """Return the definition of that name."""
        self._seen(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        """Whether there is a definition of that name."""
        self._seen(str(name))
        return super().__contains__(name)


@dataclass(frozen=True)
class _Found:
    """A form with its canonical names, and what the names that were looked up told, in order."""

    looked_up: tuple[tuple[str, Basic, Hashable], ...]
    form: Expr


@dataclass
class Kept:
    """The forms chosen so far.

    ``known`` are the quantities and adjoints by name; ``told`` returns what is found of a kind of things that
    are looked up, for a name: facts that have no names in them, and expressions.
    """

    known: Mapping[str, Quantity]
    told: Callable[[str, str], tuple[Hashable, Sequence[Expr]]]
    found: dict[Hashable, list[_Found]] = field(default_factory=dict)

    def form_of(self, expressions: Iterable[Expr]) -> Expr | None:
        """Return the form that was chosen for expressions equal to these up to names, None where none was."""
        naming = Naming(self.known)
        key = tuple(map(naming.of, expressions))
        for found in self.found.get(key, ()):
            own = Naming(self.known, dict(naming.names), list(naming.letters))
            if self._is_same(found, own):
                return renamed(found.form, {new: old for old, new in own.names.items()})
        return None

    def enter(self, expressions: Iterable[Expr], looked_up: Iterable[tuple[str, str]], form: Expr) -> None:
        """Keep the form that was chosen for expressions; what was looked up is kinds with names."""
        naming = Naming(self.known)
        key = tuple(map(naming.of, expressions))
        told: list[tuple[str, Basic, Hashable]] = []
        for kind, name in dict.fromkeys(looked_up):
            label = self._label(name)
            if label not in naming.names:  # of nothing that the expressions lead to
                return
            told.append((kind, naming.names[label], self._told(kind, name, naming)))
        canonical = renamed(form, naming.names)
        self.found.setdefault(key, []).append(_Found(tuple(told), canonical))

    def _is_same(self, found: _Found, naming: Naming) -> bool:
        """Whether the names that were looked up tell the same here; those that they lead to are entered."""
        back = {new: old for old, new in naming.names.items()}
        for kind, canonical, told in found.looked_up:
            if canonical not in back:
                back = {new: old for old, new in naming.names.items()}
            if canonical not in back or self._told(kind, str(back[canonical].name), naming) != told:
                return False
        return True

    def _told(self, kind: str, name: str, naming: Naming) -> Hashable:
        facts, expressions = self.told(kind, name)
        return facts, tuple(map(naming.of, expressions))

    def _label(self, name: str) -> Basic | None:
        quantity = self.known.get(name)
        return None if quantity is None else quantity.base if quantity.shape else quantity.symbol
