"""How the quantities of a network are printed.

In go a ``Derived`` or an ``EquationSystem`` and the name of a notation, out comes a ``Notation``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count

from sympy import Expr, Indexed, Symbol

from symbackprop.equations.naming import SAMPLE, SAMPLES, Glyph
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import EquationSystem, PartialDerivative, Role, indices_of, name_of
from symbackprop.errors import SpecificationError
from symbackprop.library.optimizers import OPTIMIZERS

NOTATIONS: Mapping[str, str] = {
    "textbook": "w_ji, x_j: the index letter alone tells the layer",
    "layered": "w^(2)_ji, x^(1)_j: every quantity carries the number of its layer",
    "zad": "z^(2)_i, a^(1)_j, δ^(2)_i: pre-activations z, activations a, errors δ = ∂E/∂z",
    "matrix": "bold vectors and matrices, products and ⊙, where nothing but them is needed",
}
"""What there is to choose from: the name of a notation, and how it looks in LaTeX."""

WORDS: Mapping[str, str] = {
    "if": "if {condition}",
    "otherwise": "otherwise",
    "and": "and",
    "or": "or",
    "not": "not",
}
"""The words that stand inside formulas, round a condition where there is a place for it; a language
replaces them."""


@dataclass(frozen=True)
class Notation:
    """The data on a network that printers need besides the expression itself.

    ``glyphs`` tells how LaTeX shows each quantity; a quantity that is not in it is shown with its
    layer.  ``adjoints`` maps the name of a named adjoint to its quantity.  ``positions`` holds the
    place of each quantity in the order of evaluation and ``axes`` how many axes it has; factors are
    ordered by them.  ``layers`` names the layers of quantities and sizes that stand for any layer, such as
    ``ℓ+1``, and ``delta_names`` are the adjoints that have a letter of their own, such as δ.  ``moving``
    names the symbols that an optimiser's update reads besides constants: w and g, not the learning rate.
    ``renamed`` are the quantities that have another letter than in the equations, ``roles`` those of the
    system.
    ``authored`` are the names of its quantities and constants; ``letters`` has other letters for those of the
    samples where somebody has given theirs to something else.  ``derivatives`` are quantities that are
    printed as the derivatives that they are, and ``carried`` holds the indices along axes that are printed
    though the equations do without them, by quantity and axis.
    """

    name: str = "layered"
    loss: str = "E"
    glyphs: Mapping[str, Glyph] = field(default_factory=dict)
    adjoints: Mapping[str, str] = field(default_factory=dict)
    positions: Mapping[str, int] = field(default_factory=dict)
    axes: Mapping[str, int] = field(default_factory=dict)
    parameters: frozenset[str] = frozenset()
    layers: Mapping[str, str] = field(default_factory=dict)
    delta_names: frozenset[str] = frozenset()
    moving: frozenset[str] = frozenset()
    renamed: frozenset[str] = frozenset()
    roles: Mapping[str, Role] = field(default_factory=dict)
    authored: tuple[str, ...] = ()
    letters: Mapping[Symbol, str] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=lambda: WORDS)
    derivatives: Mapping[str, PartialDerivative] = field(default_factory=dict)
    carried: Mapping[str, Mapping[int, Expr]] = field(default_factory=dict)

    def glyph(self, quantity: str) -> Glyph:
        """Return how a quantity, or a size that has a layer, is printed."""
        return self.glyphs.get(quantity) or Glyph(quantity)

    def written(self, quantity: str) -> Glyph:
        """Return how text writes ``quantity``: as the equations call it, unless it has another letter."""
        shown = self.glyph(quantity)
        return shown if quantity in self.layers or quantity in self.renamed else Glyph(quantity)

    def whole(self, name: str, indices: Sequence[Expr]) -> tuple[Expr, ...]:
        """Return the indices of a component with those along axes that the equations do without."""
        carried, rest = self.carried.get(name, {}), iter(indices)
        axes = range(len(indices) + len(carried))
        return tuple(carried[axis] if axis in carried else next(rest) for axis in axes)

    @property
    def shows_layers(self) -> bool:
        """Whether quantities are printed with their layers."""
        return any(self.glyphs[name].layer is not None for name in self.glyphs if name in self.axes)

    def is_scalar(self, symbol: Symbol) -> bool:
        """Whether ``symbol`` is a scalar quantity, and not a constant, or an index or a size of that name."""
        name = symbol.name
        known = self.axes.get(name) == 0 or name == self.loss or name in self.adjoints
        return known and not symbol.is_integer


def notation_for(derivation: Derived, name: str | None = None, words: Mapping[str, str] = WORDS) -> Notation:
    """Return the notation in which ``derivation`` is printed.

    Without a ``name`` it is "textbook" for a net of at most two layers in which the index letters
    tell the layers apart, and "layered" for any other.

    Raises:
        KeyError: there is no notation of that name.
    """
    if name is not None and name not in NOTATIONS:
        raise KeyError(name)
    system = derivation.system
    name = name or ("layered" if _depth(system) > 2 else None)
    unclear = set() if name in ("layered", "matrix") else _unclear_names(derivation)
    if name is None:
        name = "layered" if unclear else "textbook"
    glyphs = _glyphs(system)
    if name == "textbook":
        # A layer that the letters do not tell stays visible, also where "textbook" was asked for.
        hidden = {q for q in system.roles if glyphs[q].word not in unclear}
        glyphs = {q: Glyph(g.word) if q in hidden else g for q, g in glyphs.items()}
    found = _notation(system, name, glyphs, derivation.adjoints, words)
    kept = {name_of(step.lhs) for step in derivation.stored}
    constants = () if derivation.model is None else derivation.model.constants
    authored = (*system.quantities, *(constant.name for constant in constants))
    letters = _letters_of_samples(system, authored) | _letters_of_update(derivation, found, authored)
    found = replace(found, moving=found.moving | kept, authored=authored, letters=letters)
    return _with_errors(found, system) if name == "zad" else found


def _letters_of_samples(system: EquationSystem, authored: Collection[str]) -> dict[Symbol, str]:
    """Return other letters for the sample and for the number of samples, where theirs are taken."""
    taken = [symbol for symbol in (SAMPLE, SAMPLES) if symbol.name in authored]
    if not taken:
        return {}
    symbols = set().union(*[side.free_symbols for e in system.equations for side in (e.lhs, e.rhs)])
    used = {*authored, *(s.name for s in symbols - {SAMPLE, SAMPLES})}
    others = {SAMPLE: "mrbcdefgh", SAMPLES: "BMSRCDFGH"}
    found: dict[Symbol, str] = {}
    for symbol in taken:
        spare = chain(others[symbol], (f"{symbol.name}{number}" for number in count()))
        found[symbol] = next(letter for letter in spare if letter not in used)
    return found


def _letters_of_update(
    derivation: Derived, notation: Notation, authored: Collection[str]
) -> dict[Symbol, str]:
    """Return other letters for w, g and an optimiser's states where an array of the network has theirs.

    A number of the network keeps its name: the equations then read as those of that number.
    """
    symbols = {
        s.name: s for step in derivation.update for side in (step.lhs, step.rhs) for s in side.free_symbols
    }
    moving = {name for name in symbols if name.rstrip("'") in notation.moving}
    taken = {name.rstrip("'") for name in moving} & {name for name, axes in notation.axes.items() if axes}
    used = {*authored, *symbols, *(s.name for e in derivation.system.equations for s in e.rhs.free_symbols)}
    spare = (letter for letter in "pqruhzcdeab" if letter not in used)
    first = sorted(taken, key=lambda name: (name != "w", name))
    others = dict(zip(first, spare, strict=False))
    return {
        symbols[name]: others[name.rstrip("'")] + name[len(name.rstrip("'")) :]
        for name in sorted(moving)
        if name.rstrip("'") in others
    }


def _glyphs(system: EquationSystem) -> dict[str, Glyph]:
    """Return the word and the layer of each quantity and size that has one; of any other its name."""
    roles = {**system.size_roles, **system.roles}
    layered = {name: Glyph(role.word, str(role.layer)) for name, role in roles.items()}
    return {**{name: Glyph(name) for name in system.quantities}, **layered}


_ZAD = {"pre-activation": "z", "activation": "a", "input": "a"}


def _with_errors(notation: Notation, system: EquationSystem) -> Notation:
    """Return ``notation`` with z for pre-activations, a for activations, and δ for ∂E/∂z.

    Raises:
        SpecificationError: the network has no layers s1, x1, … of which z, a and δ could tell.
    """
    letters = _zad_letters(system)
    glyphs = {name: notation.glyphs[name]._replace(word=letter) for name, letter in letters.items()}
    clash = {notation.glyphs[q].word for q in system.quantities if q not in letters} & {"z", "a", "delta"}
    if clash or set(letters.values()) != set(_ZAD.values()):
        problem = "says z, a and δ of layers that are called s1, x1, s2, …"
        raise SpecificationError(f"notation: 'zad' {problem}; this network has others; use 'layered'")
    errors = {
        a: Glyph("delta", notation.glyphs[q].layer)
        for a, q in notation.adjoints.items()
        if system.kind(q) == "pre-activation"
    }
    return replace(
        notation,
        glyphs={**notation.glyphs, **glyphs, **errors},
        delta_names=frozenset(errors),
        renamed=frozenset({*notation.renamed, *glyphs, *errors}),
    )


def _zad_letters(system: EquationSystem) -> dict[str, str]:
    """Return the letter, z or a, of each quantity in the layers of a network."""
    return {
        name: _ZAD[role.kind]
        for name, role in system.roles.items()
        if role.kind in _ZAD and (role.kind != "input" or role.layer == 0)
    }


def zad_names(system: EquationSystem) -> dict[str, str]:
    """Return the names that "zad" gives in text to quantities and adjoints, such as z2 to s2."""
    letters = _zad_letters(system)
    names = {name: f"{letter}{system.roles[name].layer}" for name, letter in letters.items()}
    sums = (name for name in letters if system.kind(name) == "pre-activation")
    return names | {system.adjoints[name].name: f"delta{system.roles[name].layer}" for name in sums}


def showing_layers(notation: Notation, derivation: Derived) -> Notation:
    """Return a notation that shows the layers of quantities: a number in place of a letter tells none."""
    return notation if notation.name != "textbook" else notation_for(derivation, "layered", notation.words)


def with_layers(notation: Notation, layers: Mapping[str, str]) -> Notation:
    """Return ``notation`` with some quantities and sizes standing for those of any layer."""
    named = {a: layers[q] for a, q in notation.adjoints.items() if q in layers}
    glyphs = {name: notation.glyph(name)._replace(layer=layer) for name, layer in {**layers, **named}.items()}
    return replace(notation, layers={**layers, **named}, glyphs={**notation.glyphs, **glyphs})


def _unclear_names(derivation: Derived) -> set[str]:
    """Return the words whose layers the index letters do not tell, in any step."""
    system = derivation.system
    expressions = [side for e in system.equations for side in (e.lhs, e.rhs)]
    expressions += [side for s in derivation.by_number.values() for side in (s.lhs, s.rhs)]
    expressions += [fact.component for fact in system.facts]
    return _unclear(system, _readings(expressions, derivation.adjoints))


def notation_of_system(system: EquationSystem, words: Mapping[str, str] = WORDS) -> Notation:
    """Return the layered notation of equations that are not derived, as for a listing of them."""
    return _notation(system, "layered", _glyphs(system), {}, words)


def _notation(
    system: EquationSystem,
    name: str,
    glyphs: Mapping[str, Glyph],
    adjoints: Mapping[str, str],
    words: Mapping[str, str],
) -> Notation:
    defined = {e.name: n for n, e in enumerate(system.equations)}
    positions = {quantity: defined.get(quantity, -1) for quantity in system.quantities}
    axes = {quantity.name: len(quantity.shape) for quantity in system.quantities.values()}
    return Notation(
        name,
        system.loss,
        glyphs,
        adjoints,
        positions,
        axes,
        frozenset(system.parameters),
        moving=frozenset({"w", "g", *_STATES} - {name for name, count in axes.items() if not count}),
        renamed=frozenset(name for name, role in system.roles.items() if name != role.name),
        roles=system.roles,
        words=words,
        derivatives={n: meaning for n, meaning in system.derivatives.items() if not meaning.is_named},
    )


_STATES = {name for optimizer in OPTIMIZERS.values() for name in optimizer.state}


def _depth(system: EquationSystem) -> int:
    return max((role.layer for role in system.roles.values()), default=0)


def _readings(expressions: Iterable[Expr], adjoints: Mapping[str, str]) -> dict[str, set[tuple[Expr, ...]]]:
    """Return the index tuples at which each quantity is read anywhere, through its adjoint too."""
    found: dict[str, set[tuple[Expr, ...]]] = {}
    for expression in expressions:
        for read in expression.atoms(Indexed):
            name = name_of(read)
            found.setdefault(adjoints.get(name, name), set()).add(indices_of(read))
    return found


def _unclear(system: EquationSystem, readings: Mapping[str, set[tuple[Expr, ...]]]) -> set[str]:
    """Return the words, such as the ``x`` of x0 and x2, whose layers the index letters do not tell."""
    seen: dict[tuple[str, tuple[Expr, ...]], str] = {}
    unclear: set[str] = set()
    for name in system.quantities:
        word = system.roles[name].word if name in system.roles else name
        for indices in readings.get(name, {()}):
            if seen.setdefault((word, indices), name) != name:
                unclear.add(word)
    return unclear
