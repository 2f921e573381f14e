"""Changes of what is read, of roots, and of how many there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product

from sympy import Add, Expr, Function, Indexed, IndexedBase, Mul, Piecewise, Pow, Rational, Sum, Symbol

from symbackprop.commands.verify.changes import Edit, Show, Slip, nodes, put, replaced, replaced_somewhere
from symbackprop.derivation.batch import SampleAxis
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import Quantity

_MOST_READINGS = 12  # of one quantity in place of another


# ------------------------------------------------------------------------------- other quantities


def bases_of(derivation: Derived) -> list[IndexedBase | Symbol]:
    """Return all that may be read: quantities and named adjoints, those of a sample with its axis too."""
    system, samples = derivation.system, SampleAxis(derivation)
    per_sample = derivation.model is not None and derivation.model.per_sample
    adjoints = [Quantity(name, system.quantities[of].shape) for name, of in derivation.adjoints.items()]
    real = [q for q in (*system.quantities.values(), *adjoints) if not q.integer and q.name != system.loss]
    found: list[IndexedBase | Symbol] = [q.base if q.shape else q.symbol for q in real]
    varying = [q for q in real if per_sample and q.name in samples.varying]
    return found + [IndexedBase(q.symbol, shape=(SAMPLES, *q.shape)) for q in varying]


def other_quantities(
    rhs: Expr,
    others: Sequence[IndexedBase | Symbol],
    ranges: Mapping[Symbol, Expr],
    outer: Sequence[Symbol],
    show: Show,
) -> Iterator[Edit]:
    """Read another quantity with as many axes: wherever a component is read, or at one place."""
    letters = [*outer, *(i for i in ranges if i not in outer and i in rhs.atoms(Symbol))]
    scalars = [other for other in others if isinstance(other, Symbol)]
    reads = sorted((*rhs.atoms(Indexed), *(s for s in scalars if rhs.has(s))), key=str)
    for read in reads:
        kind = "wrong argument" if _is_argument(rhs, read) else "wrong quantity"
        for new in _readings(read, others, letters, ranges):
            yield from replaced_somewhere(rhs, read, new, kind, show)


def _readings(
    read: Expr,
    others: Sequence[IndexedBase | Symbol],
    letters: Sequence[Symbol],
    ranges: Mapping[Symbol, Expr],
) -> Iterator[Expr]:
    """Yield components of other quantities that may stand where one is read."""
    if isinstance(read, Symbol):
        yield from (other for other in others if isinstance(other, Symbol) and other != read)
        return
    for base in others:
        if not isinstance(base, IndexedBase) or base == read.base or len(base.shape) != len(read.indices):
            continue
        choices = [
            [old] if ranges.get(old, own) == n else [i for i in letters if ranges.get(i) == n]
            for old, own, n in zip(read.indices, read.base.shape, base.shape, strict=True)
        ]
        for chosen in islice(product(*choices), _MOST_READINGS):
            yield base[chosen]


def _is_argument(rhs: Expr, read: Expr) -> bool:
    """Whether something that bends is read at a component: a function, a power, or a product with itself."""
    bent = [node for kind in (Function, Pow) for node in nodes(rhs, kind) if node.has(read)]
    return (
        any(not isinstance(node, Piecewise) for node in bent)
        or sum(factor.has(read) for factor in _factors(rhs)) > 1
    )


def _factors(rhs: Expr) -> Iterator[Expr]:
    """Yield the factors of a formula, those inside its sums too."""
    for part in rhs.args if rhs.is_Mul else (rhs,):
        if isinstance(part, Sum):
            yield from _factors(part.function)
        else:
            yield part


# ---------------------------------------------------------------------------------------- roots


_HALF = Rational(1, 2)


def roots(rhs: Expr, show: Show) -> Iterator[Edit]:
    """Move a term into a root or out of it, turn a root over, take one more or one less."""
    for node in nodes(rhs, Add):
        for term in node.args:
            if isinstance(term, Pow) and term.exp == _HALF:
                yield replaced(rhs, node, Pow(term.base + node - term, _HALF), "root", show)
    for node in nodes(rhs, Pow):
        for other in _other_roots(node):
            edit = replaced(rhs, node, other, "root", show)
            yield edit
            for term in nodes(rhs, Mul):  # the same may stand in other places, where it is right
                if node in term.args and rhs.count(node) > 1:
                    yield replace(edit, rhs=put(rhs, term, term / node * other))


def _other_roots(node: Pow) -> Iterator[Expr]:
    """Yield what may stand for a root, above the fraction bar or below it, and roots of what has none."""
    if node.exp in (_HALF, -_HALF):
        if isinstance(node.base, Add):
            for term in node.base.args:
                yield Pow(Pow(node.base - term, _HALF) + term, 2 * node.exp)
        yield Pow(node.base, -node.exp)
        yield Pow(node.base, 2 * node.exp)
    if abs(node.exp) == 1 and not node.base.is_number:
        yield Pow(node.base, node.exp / 2)


# --------------------------------------------------------------------------------------- counts


def counts(rhs: Expr, ranges: Mapping[Symbol, Expr], show: Show) -> Iterator[Edit]:
    """Divide by one more, or by one less, of what is counted."""
    for n in dict.fromkeys((*ranges.values(), SAMPLES)):
        all_but_one = Slip("N - 1", f"{show(n)} - 1 stands where {show(n)} belongs")
        all_of_them = Slip("N - 1", f"{show(n)} stands where {show(n)} - 1 belongs")
        for place in dict.fromkeys((Pow(n - 1, -1), Pow(n, -1))):
            if rhs.has(place):
                less = place == Pow(n - 1, -1)
                new = Pow(n, -1) if less else Pow(n - 1, -1)
                slips = (all_but_one, all_of_them) if less else (all_of_them, all_but_one)
                yield Edit(put(rhs, place, new), *slips)
        yield Edit(rhs * (n - 1) / n, all_but_one, all_of_them)
        yield Edit(rhs * n / (n - 1), all_of_them, all_but_one)
