"""The one change that turns a wrong formula into a right one: sign, factor, index, sum.

In goes an expression, out come ``Edit``s: the same expression with one thing changed, and the slip that was
made if the changed one is right (or, the other way round, if the changed one was written).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, islice, permutations, product

from sympy import Add, Expr, Indexed, IndexedBase, Integer, KroneckerDelta, Mul, Pow, Sum, Symbol

from symbackprop.commands.verify.changes import Edit, Show, Slip, nodes, put, replaced, replaced_somewhere
from symbackprop.commands.verify.readings import counts, other_quantities, roots
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.system import WholeNumber, indices_of, is_index, sum_over


def edits(
    rhs: Expr,
    candidates: Sequence[Expr],
    ranges: Mapping[Symbol, Expr],
    outer: Sequence[Symbol],
    show: Show,
    others: Sequence[IndexedBase | Symbol] = (),
) -> Iterator[Edit]:
    """Yield changed expressions, the plainest changes first.

    Args:
        rhs: the expression to change.
        candidates: factors and terms that may be missing.
        ranges: the size of each index.
        outer: the indices of the left side.
        show: prints an expression in a message.
        others: the quantities that may stand in place of those that are read, scalars as symbols.
    """
    yield from _signs(rhs, show)
    yield from _constants(rhs, show)
    yield from _sums(rhs, ranges, outer, show)
    yield from _indices(rhs, ranges, outer, show)
    yield from roots(rhs, show)  # before sizes as factors: a root on the wrong side is one, too
    yield from _times(dict.fromkeys(n for n in ranges.values() if n != SAMPLES), rhs, show)
    yield from counts(rhs, ranges, show)
    yield from _deltas(rhs, ranges, outer, show)
    yield from other_quantities(rhs, others, ranges, outer, show)
    yield from _fewer_factors(rhs, show)
    yield from _more_factors(rhs, candidates, ranges, outer, show)
    yield from _terms(rhs, candidates, ranges, outer, show)


def _signs(rhs: Expr, show: Show) -> Iterator[Edit]:
    whole = Slip("sign", "the sign of the whole right side is wrong")
    yield Edit(-rhs, whole, whole)
    for node in nodes(rhs, Add):
        for term in node.args:
            slip = Slip("sign", f"the sign of {show(_positive(term))} is wrong")
            yield Edit(put(rhs, node, node - 2 * term), slip, slip)


def _positive(term: Expr) -> Expr:
    return -term if term.could_extract_minus_sign() else term


def _constants(rhs: Expr, show: Show) -> Iterator[Edit]:
    two = Slip("factor 2", "it is half of what it should be: a factor 2 is missing")
    half = Slip("factor 2", "it is twice what it should be: a factor 2 too many")
    mean = Slip("batch mean", "it is the sum over the batch where the mean is needed: divide by N")
    total = Slip("batch mean", "it is divided by the number of samples N once too often")
    yield Edit(2 * rhs, two, half)
    yield Edit(rhs / 2, half, two)
    yield Edit(rhs / SAMPLES, mean, total)
    yield Edit(rhs * SAMPLES, total, mean)
    yield from _times((Integer(3), Integer(4)), rhs, show)
    for node in nodes(rhs, Add):
        for term in node.args:
            more = Slip("factor 2", f"{show(term)} lacks a factor 2")
            less = Slip("factor 2", f"{show(term)} has a factor 2 too many")
            yield Edit(put(rhs, node, node + term), more, less)
            yield Edit(put(rhs, node, node - term / 2), less, more)


def _times(constants: Iterable[Expr], rhs: Expr, show: Show) -> Iterator[Edit]:
    for constant in constants:
        more = Slip("constant factor", f"a factor {show(constant)} is missing")
        less = Slip("constant factor", f"a factor {show(constant)} is too many")
        yield Edit(rhs * constant, more, less)
        yield Edit(rhs / constant, less, more)


def _sums(rhs: Expr, ranges: Mapping[Symbol, Expr], outer: Sequence[Symbol], show: Show) -> Iterator[Edit]:
    free = [i for i in ranges if i in rhs.free_symbols and i not in outer]
    for i in free:
        missing = Slip("forgotten sum", f"the sum over {i} is missing")
        extra = Slip("extra sum", f"the sum over {i} is too much")
        for place in dict.fromkeys((rhs, *nodes(rhs, Mul))):
            if i in place.free_symbols:
                factors = Mul.make_args(place)
                within = [f for f in factors if i in f.free_symbols]
                others = [f for f in factors if i not in f.free_symbols]
                summed = Mul(*others, sum_over(Mul(*within), (i, ranges[i])))
                yield Edit(put(rhs, place, summed), missing, extra)
    for total in nodes(rhs, Sum):
        for limit in total.limits:
            i, rest = limit[0], [other for other in total.limits if other != limit]
            body = Sum(total.function, *rest) if rest else total.function
            missing = Slip("forgotten sum", f"the sum over {i} is missing")
            extra = Slip("extra sum", f"the sum over {i} is too much")
            yield Edit(put(rhs, total, body), extra, missing)
            # a person who forgets a sum reads its index from the left instead
            for j in outer:
                if ranges.get(j) == limit[2] + 1:
                    yield Edit(put(rhs, total, body.xreplace({i: j})), extra, missing)


def _indices(rhs: Expr, ranges: Mapping[Symbol, Expr], outer: Sequence[Symbol], show: Show) -> Iterator[Edit]:
    reads = sorted(rhs.atoms(Indexed), key=str)
    for read in reads:
        for order in islice(permutations(read.indices), 1, 24):
            changed = read.base[order]
            edit = replaced(rhs, read, changed, "transposed index", show)
            yield replace(edit, rhs=_as_far_as_read(edit.rhs))
    letters = dict.fromkeys((*outer, *(i for i in ranges if i in rhs.atoms(Symbol))))
    for read in reads:
        for axis, old in enumerate(read.indices):
            for letter in letters:
                if letter != old:
                    new = (*read.indices[:axis], letter, *read.indices[axis + 1 :])
                    yield from replaced_somewhere(rhs, read, read.base[new], "wrong index", show)


def _as_far_as_read(rhs: Expr) -> Expr:
    """Return an expression whose sums run as far as what is read in them: a transposed read misled them."""
    for total in nodes(rhs, Sum):
        reads = [r for r in total.function.atoms(Indexed) if r.base.shape]
        far = {(i, n) for read in reads for i, n in zip(read.indices, read.base.shape, strict=True)}
        limits = []
        for i, first, last in total.limits:
            extents = {n for letter, n in far if letter == i}
            limits.append((i, first, extents.pop() - 1 if len(extents) == 1 else last))
        rhs = put(rhs, total, Sum(total.function, *limits))
    return rhs


def _deltas(rhs: Expr, ranges: Mapping[Symbol, Expr], outer: Sequence[Symbol], show: Show) -> Iterator[Edit]:
    """Multiply the whole, or a term, by 1 where two letters of the left are equal, and by 0 elsewhere."""
    for i, j in combinations(outer, 2):
        if ranges.get(i) is not None and ranges.get(i) == ranges.get(j):
            delta = KroneckerDelta(i, j)
            yield _with_factor(rhs, rhs, delta, delta, show, less=False)
            for node in nodes(rhs, Add):
                for term in node.args:
                    missing = Slip("missing factor", f"{show(term)} lacks the factor {show(delta)}")
                    extra = Slip("extra factor", f"{show(term)} has the factor {show(delta)} too much")
                    yield Edit(put(rhs, node, node - term + term * delta), missing, extra)


def _fewer_factors(rhs: Expr, show: Show) -> Iterator[Edit]:
    """Take single factors away, then two of them that belong together, then powers down."""
    for node in dict.fromkeys((*nodes(rhs, Mul), *_whole(rhs))):
        factors = [f for f in Mul.make_args(node) if not f.is_number]
        pairs: list[tuple[Expr, ...]] = [(f,) for f in factors]
        pairs += [(f, g) for n, f in enumerate(factors) for g in factors[n + 1 :]] if len(factors) < 8 else []
        for group in pairs:
            if len(group) == len(Mul.make_args(node)) and node != rhs and not node.args:
                continue
            yield _with_factor(rhs, node, 1 / Mul(*group), Mul(*group), show, less=True)
    for power in nodes(rhs, Pow):
        if power.exp.is_Integer and abs(power.exp) > 1:
            yield _with_factor(rhs, power, 1 / power.base, power.base, show, less=True)


def _whole(rhs: Expr) -> Iterator[Expr]:
    """Yield the terms of an expression, and those of the bodies of its sums."""
    yield from Add.make_args(rhs)
    for total in nodes(rhs, Sum):
        yield from Add.make_args(total.function)


def _with_factor(rhs: Expr, node: Expr, by: Expr, factor: Expr, show: Show, less: bool) -> Edit:
    extra = Slip("extra factor", f"the factor {show(factor)} is too much")
    missing = Slip("missing factor", f"the factor {show(factor)} is missing")
    return Edit(put(rhs, node, node * by), *((extra, missing) if less else (missing, extra)))


def _more_factors(
    rhs: Expr,
    candidates: Sequence[Expr],
    ranges: Mapping[Symbol, Expr],
    outer: Sequence[Symbol],
    show: Show,
) -> Iterator[Edit]:
    """Multiply the whole, a term, or the body of a sum by a candidate; divide the whole by one."""
    places: dict[Expr, tuple[Symbol, ...]] = {rhs: tuple(outer)}
    for term in Add.make_args(rhs):
        places.setdefault(term, tuple(outer))
    for total in nodes(rhs, Sum):
        inside = (*outer, *(limit[0] for limit in total.limits))
        for term in (total.function, *Add.make_args(total.function)):
            places.setdefault(term, inside)
    for candidate, (place, letters) in product(candidates, places.items()):
        for fitted in fitting(candidate, letters, ranges):
            yield _with_factor(rhs, place, fitted, fitted, show, less=False)
            if not fitted.is_number and place == rhs:
                yield _with_factor(rhs, place, 1 / fitted, fitted, show, less=True)


def _terms(
    rhs: Expr,
    candidates: Sequence[Expr],
    ranges: Mapping[Symbol, Expr],
    outer: Sequence[Symbol],
    show: Show,
) -> Iterator[Edit]:
    for node in nodes(rhs, Add):
        for term in node.args:
            extra = Slip("extra term", f"the term {show(term)} is too much")
            missing = Slip("missing term", f"the term {show(term)} is missing")
            yield Edit(put(rhs, node, node - term), extra, missing)
    for candidate in candidates:
        for fitted in fitting(candidate, outer, ranges):
            missing = Slip("missing term", f"the term {show(fitted)} is missing")
            extra = Slip("extra term", f"the term {show(fitted)} is too much")
            yield Edit(rhs + fitted, missing, extra)
            for node in nodes(rhs, Add):  # in a bracket, on either side
                for sign in (1, -1) if node != rhs else ():
                    yield Edit(put(rhs, node, node + sign * fitted), missing, extra)


def fitting(candidate: Expr, letters: Sequence[Symbol], ranges: Mapping[Symbol, Expr]) -> Iterator[Expr]:
    """Yield a candidate with its free indices replaced by those of a place that run as far."""
    own = free_ranges(candidate)
    # of δ(v, token[n]) alone nothing tells how far v runs
    letters_of_it = (i for i in candidate.free_symbols - own.keys() if is_index(i))
    untold = sorted((i for i in letters_of_it if not isinstance(i, WholeNumber)), key=str)
    choices = [[j for j in letters if ranges.get(j) == n] for n in own.values()]
    choices += [list(letters)] * len(untold)
    for chosen in islice(product(*choices), 12):
        if len(set(chosen)) == len(chosen):
            yield candidate.xreplace(dict(zip((*own, *untold), chosen, strict=True)))


def free_ranges(expression: Expr) -> dict[Symbol, Expr]:
    """Return the free indices of an expression with the sizes that they run over."""
    found: dict[Symbol, Expr] = {}
    for read in sorted(expression.atoms(Indexed), key=str):
        for i, n in zip(indices_of(read), read.base.shape or (), strict=False):
            if isinstance(i, Symbol) and i in expression.free_symbols:
                found.setdefault(i, n)
    return found


def factors_of(expressions: Iterable[Expr]) -> list[Expr]:
    """Return candidates for a missing part: the terms of expressions, their factors, and pairs of these."""
    found: dict[Expr, None] = {}
    for expression in expressions:
        for term in (expression, *_whole(expression)):
            bare = term.as_coeff_Mul()[1]
            factors = [f for f in Mul.make_args(bare) if not f.is_number]
            for factor in factors:
                found.setdefault(factor)
                for part in factor.args if factor.is_Add else ():
                    found.setdefault(part)
            for n, factor in enumerate(factors[:6]):
                for other in factors[n + 1 : 6]:
                    found.setdefault(factor * other)
            found.setdefault(term)
    return [each for each in found if not each.is_number]
