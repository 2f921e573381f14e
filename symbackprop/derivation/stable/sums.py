"""The best form of what holds a sum over an index, found by measuring at small sizes.

The forms are few: exponentials joined, logarithms opened through definitions, a derivative written in where
it divides by what it is multiplied with.  One is taken where it is right at more numbers, equal, far apart
and masked ones, and wrong nowhere where the plain form is right.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import mpmath
import numpy as np
from sympy import (
    Add,
    Derivative,
    Eq,
    Expr,
    Indexed,
    Integer,
    KroneckerDelta,
    Mul,
    Piecewise,
    Pow,
    Sum,
    Symbol,
    exp,
    log,
)

from symbackprop.derivation.calculus.algebra import distributed
from symbackprop.derivation.calculus.budget import factor
from symbackprop.derivation.calculus.paths import with_deltas_used, without_summed_deltas
from symbackprop.derivation.stable.joining import Joiner, at
from symbackprop.derivation.stable.kept import Kept, Watched
from symbackprop.derivation.stable.logarithms import has_stable_operation, opened_through
from symbackprop.derivation.stable.powers import zero_where
from symbackprop.derivation.stable.small import SIZE, Array, Key, Places, Small
from symbackprop.equations.indices import canonical, make_sum, open_sum, rename, substitute
from symbackprop.equations.system import (
    Equation,
    EquationSystem,
    Quantity,
    indices_of,
    is_size,
    name_of,
)
from symbackprop.errors import UnsupportedExpression

_SCALES = (90.0, 750.0)
_FAR = ((1, 1, 1), (1, 0, -1), (-1, 1, 0.5))
_NEAR = (0.5, 2.0, 1.0, 0.25, 3.0, 1.5)
_MOST_ARRAYS = 4
_LONGEST, _TIMES_LONGER = 200, 5
"""Operations of a form that is measured: so many, or so many times those of the form that is there."""
_TOLERANCE = 4096
"""Roundings of a number of magnitude 1, or of its own; more where the arguments are large."""


@dataclass
class SumForms:
    """Chooses forms for the equations and results of one system, in the order of computation."""

    system: EquationSystem
    forms: dict[str, tuple[Expr, Expr]] = field(default_factory=dict)
    """The left-hand side and the form that is computed, of each quantity and adjoint met so far."""
    plain: dict[str, tuple[Expr, Expr]] = field(default_factory=dict)
    """The same as derived."""

    def __post_init__(self) -> None:
        self.joiner = Joiner(self.system, partial(self._look_up, kind=_EXPONENTIAL))
        self._followed: dict[str, bool] = {}
        self._sums: dict[str, bool] = {}
        self._looked_up: dict[tuple[str, str], None] = {}
        adjoints = {adjoint.name: adjoint for adjoint in self.system.adjoints.values()}
        self.adjoints = set(adjoints)
        self._kept = Kept({**self.system.quantities, **adjoints}, self._told)
        self._watched = replace(self.system)
        watched = Watched(self.system.definitions, self._look_up)
        object.__setattr__(self._watched, "definitions", watched)

    def define(self, lhs: Expr, plain: Expr, form: Expr) -> None:
        """Remember how a component is computed."""
        self._followed.pop(name_within(lhs), None)
        self._sums.pop(name_within(lhs), None)
        self.plain[name_within(lhs)], self.forms[name_within(lhs)] = (lhs, plain), (lhs, form)

    def best(self, form: Expr, plain: Expr) -> Expr:
        """Return the best form of ``plain``, for which ``form`` was chosen without looking at sums."""
        if not self._is_of_sums(form):
            return form
        kept = self._kept.form_of((form, plain))
        if kept is None:
            self._looked_up.clear()
            kept = self._chosen(form, plain)
            self._kept.enter((form, plain), self._looked_up, kept)
        return kept

    def _look_up(self, name: str, kind: str = "") -> None:
        self._looked_up[kind, name.removeprefix(_OF_LOSS)] = None

    def _told(self, kind: str, name: str) -> tuple[Hashable, list[Expr]]:
        """Return what is known of a quantity: as an exponential; else all facts, and how it is computed."""
        if kind == _EXPONENTIAL:
            return self.joiner.told(name)
        derivative = f"{_OF_LOSS}{name}"
        facts = [name in self.adjoints, self._is_given(name)]
        facts += [self._is_followed(each) for each in (name, derivative)]
        sides = [forms.get(each) for each in (name, derivative) for forms in (self.plain, self.forms)]
        own = self.system.definitions.get(name)
        facts += [each is not None for each in (*sides, own)]
        found = [side for pair in sides if pair is not None for side in pair]
        return tuple(facts), [*found, *([] if own is None else [own.lhs, own.rhs])]

    def _chosen(self, form: Expr, plain: Expr) -> Expr:
        """Return the best form of ``plain``, looked for among all of them."""
        known = {form, canonical(form)}
        longest = max(_LONGEST, _TIMES_LONGER * int(form.count_ops()))
        found = (o for o in self._candidates(form, plain) if o.count_ops() <= longest)
        others = [o for o in dict.fromkeys(map(canonical, found)) if o not in known]
        return self._best(form, plain, others) if others else form

    # ------------------------------------------------------------ forms

    def _candidates(self, form: Expr, plain: Expr) -> Iterator[Expr]:
        starts = [*self._with_derivatives_in(form), *self._cancelled(plain)]
        apart = [f for start in starts for f in (self.joiner.with_complements(start), *self._by_place(start))]
        for written in dict.fromkeys((*starts, *apart)):
            for each in dict.fromkeys((written, self._opened(written))):
                for join in (self.joiner.joined, self.joiner.joined_outside):
                    joined = self._opened(join(each))
                    yield joined
                    yield zero_first(joined, self._watched)

    def _cancelled(self, expression: Expr) -> Iterator[Expr]:
        """Yield ``expression`` with a quantity that divides put for the sum that it is, and multiplied out.

        Of (Σ t p - t) p/c with c = Σ t p that is p - t p/c: the large quotient of what cancels is gone.
        """
        divisors = {f.base for f in expression.atoms(Pow) if f.exp.could_extract_minus_sign()}
        known = [d for d in divisors if self.system.is_read(d) and name_of(d) in self._watched.definitions]
        mapping: dict[Expr, Expr] = {}
        for divisor in sorted(known, key=str):
            definition = self._watched.definitions[name_of(divisor)]
            value = at(definition.indices, divisor, definition.rhs)
            if self.system.is_read(value):
                mapping[divisor] = value
            elif isinstance(value, Sum):
                same = (s for s in expression.atoms(Sum) if canonical(s) == canonical(value))
                mapping |= dict.fromkeys(same, divisor)
        if mapping:
            yield _multiplied_into_sums(expression.xreplace(mapping))

    def _by_place(self, expression: Expr) -> Iterator[Expr]:
        """Yield ``expression`` for the place of a label and for all others, if it has 1 - p at that place.

        (δ(k,y) - p[k]) p[y]/(1 - p[y]) is p[y] for k = y, and -p[k] p[y]/(1 - p[y]) for any other k.
        """
        if self.joiner.with_complements(expression) == expression:
            return
        for delta in sorted(expression.atoms(KroneckerDelta), key=str)[:1]:
            place, letter = sorted(delta.args, key=lambda i: i.is_Symbol and not self.system.is_read(i))
            if letter in expression.free_symbols:
                here, there = (expression.xreplace({delta: Integer(n)}) for n in (1, 0))
                here = factor(rename(here, {letter: place}))
                yield Piecewise((here, Eq(letter, place)), (self.joiner.with_complements(there), True))

    def _opened(self, expression: Expr) -> Expr:
        unstable = {node for node in expression.atoms(log) if not has_stable_operation(node)}
        return opened_through(expression, self._watched) if unstable else expression

    def _with_derivatives_in(self, expression: Expr) -> Iterator[Expr]:
        """Yield ``expression``, and with the derivatives written in that divide or have an exponential.

        Those that these read in turn are written in, too, in a form of its own.
        """
        yield expression
        names = [name_within(read) for read in _reads(expression) if not _is_index(read)]
        for name in names:
            self._look_up(name)
        if not any(map(self._is_followed, names)):
            return
        for _ in range(_DERIVATIVES):
            whole = self._with_next_derivatives(expression)
            if whole == expression:
                return
            expression = canonical(_distributed(whole))
            yield expression

    def _with_next_derivatives(self, expression: Expr) -> Expr:
        read = {name_within(read) for read in _derivatives(expression, self.adjoints)}
        for name in sorted(read):
            self._look_up(name)
        for name in sorted(self.forms.keys() & read):
            lhs, form = self.plain[name]
            if _is_delicate(form):
                expression = _written_in(expression, lhs, form)
        return expression

    # ------------------------------------------------------------ measuring

    def _best(self, form: Expr, plain: Expr, others: Sequence[Expr]) -> Expr:
        """Return the form that is wrong at the fewest points."""
        names = self._names_read([form, plain, *others])
        for name in names:
            self._look_up(name)
        chosen = self._measured(names, form, plain, others)
        return form if chosen is None else others[chosen]

    def _measured(self, names: Sequence[str], form: Expr, plain: Expr, others: Sequence[Expr]) -> int | None:
        """Return which other form is the best, None where ``form`` is."""
        followed = set(filter(self._is_followed, names))
        free = [name for name in names if name not in followed]
        points = Points(free, [name for name in free if not self._is_derivative(name)][:_MOST_ARRAYS])
        places = _places_of(self._free_indices([form, plain, *others]))
        try:
            own = [self._values(form, points, places, t, followed) for t in _TYPES]
            if _agree(own):
                return None
            truth = self._values(plain, points, places, None, followed)
            first = failures(own, truth)
            rest = [
                failures([self._values(e, points, places, t, followed) for t in _TYPES], truth)
                for e in others
            ]
        except (UnsupportedExpression, ArithmeticError, ValueError, TypeError):
            return None
        best: int | None = None
        fewest = _count(first), 0
        for n, found in enumerate(rest):
            worse = any((mine & ~before).any() for mine, before in zip(found, first, strict=True))
            rank = _count(found), int(others[n].count_ops())
            if not worse and rank[0] < _count(first) and rank < fewest:
                best, fewest = n, rank
        return best

    def _values(
        self, expression: Expr, points: Points, places: Sequence[Places], dtype: Any, followed: set[str]
    ) -> Array:
        definitions = self.plain if dtype is None else self.forms
        small = Small(
            partial(points.values, dtype=dtype),
            lambda name: definitions[name] if name in followed else None,
            dtype,
        )
        found = [np.broadcast_to(small.values(expression, each), (points.count,)) for each in places]
        return np.concatenate(found).astype(float if dtype is None else dtype)

    def _names_read(self, expressions: Sequence[Expr]) -> list[str]:
        """Return the names of what is read, directly or through definitions, in the order of appearance."""
        found: dict[str, None] = {}
        for _ in range(_DEPTH):
            read = dict.fromkeys(name_within(r) for e in expressions for r in _reads(e) if not _is_index(r))
            new = [name for name in read if name not in found]
            found |= dict.fromkeys(new)
            followed = filter(self._is_followed, new)
            expressions = [kind[name][1] for name in followed for kind in (self.plain, self.forms)]
        return list(found)

    def _is_of_sums(self, expression: Expr) -> bool:
        """Whether there is a sum of exponentials in ``expression``, or in what it is computed from."""
        if any(self.joiner.has_exponential(total.function) for total in expression.atoms(Sum)):
            return True
        return any(self._is_sum(name_within(r)) for r in _reads(expression) if not _is_index(r))

    def _is_sum(self, name: str) -> bool:
        if name not in self._sums:
            self._sums[name] = False
            self._sums[name] = self._is_followed(name) and self._is_of_sums(self.plain[name][1])
        return self._sums[name]

    def _is_followed(self, name: str) -> bool:
        """Whether a component counts as computed: where numbers of its definition may be far apart."""
        if name not in self._followed:
            self._followed[name] = False
            if name in self.plain:
                form = self.plain[name][1]
                read = [name_within(r) for r in _reads(form) if not _is_index(r)]
                followed = list(filter(self._is_followed, read))
                near = len(followed) == len(read) - sum(map(self._is_given, read)) if form.has(Sum) else True
                self._followed[name] = (bool(followed) and near) or _is_delicate(form)
        return self._followed[name]

    def _is_given(self, name: str) -> bool:
        """Whether a component is of the data, which choose or weigh what is computed."""
        known = name in self.system.quantities and name not in self.system.definitions
        return known and name not in self.system.parameters and name not in self.adjoints

    def _free_indices(self, expressions: Sequence[Expr]) -> set[Symbol]:
        """Return the letters that an equation holds for; a whole number of the data is no letter."""
        symbols = {s for e in expressions for s in e.free_symbols if s.is_Symbol and s.is_integer}
        return {s for s in symbols if not is_size(s) and not self.system.is_read(s)}

    def _is_derivative(self, name: str) -> bool:
        return name in self.adjoints or name.startswith(_OF_LOSS)


_DEPTH = 4
_DERIVATIVES = 2
"""How often derivatives are written into one another."""
_TYPES = (np.float32, np.float64)
_EXPONENTIAL = "exponential"
_OF_LOSS = "d/d"
"""What stands before a name for the derivative of the loss."""


def name_within(read: Expr) -> str:
    """Return the name of a component, or of a derivative of the loss."""
    return f"{_OF_LOSS}{name_of(read.variables[0])}" if isinstance(read, Derivative) else name_of(read)


def _count(failures: Sequence[Array]) -> int:
    return sum(int(np.count_nonzero(each)) for each in failures)


def _agree(values: Sequence[Array]) -> bool:
    """Whether a form gives the same finite numbers in both types, so that there is nothing to look into."""
    single, double = (value.astype(float) for value in values)
    if not np.all(np.isfinite(double)):
        return False
    allowed = _TOLERANCE * np.finfo(np.float32).eps * np.maximum(1, np.abs(double))
    return bool(np.all(np.abs(single - double) <= allowed))


def failures(values: Sequence[Array], truth: Array) -> list[Array]:
    """Return, for each dtype, at which points a form is not right although the value is a number of it."""
    found = []
    for value in values:
        limits = np.finfo(value.dtype)
        with np.errstate(all="ignore"):
            near = np.abs(value.astype(float) - truth) <= _TOLERANCE * limits.eps * np.maximum(
                1, np.abs(truth)
            )
            found.append((np.abs(truth) < limits.max) & ~near)
    return found


@dataclass
class Points:
    """Numbers for components: one array far, or all, and the others near; near alone."""

    names: Sequence[str]
    far: Sequence[str]

    def __post_init__(self) -> None:
        every = frozenset(self.far)
        groups = [frozenset({name}) for name in self.far]
        groups += [every] if len(self.far) > 1 else []
        self.rows = [*product(groups, _SCALES, _FAR), *((frozenset(), 1.0, _FAR[0]) for _ in range(3))]
        self.count = len(self.rows)

    def values(self, key: Key, dtype: Any) -> Array:
        """Return the numbers of a component at all points."""
        name, places = key
        own = self.names.index(name) if name in self.names else 0
        numbers = []
        for n, (far, scale, pattern) in enumerate(self.rows):
            near = _NEAR[(own + n + 2 * sum(places)) % len(_NEAR)]
            at = (own * (len(far) > 1) + sum(places)) % SIZE
            hidden = (own + n) % 2 == 0 and sum(places) % SIZE == (n - 1) % SIZE
            numbers.append(scale * pattern[at] if name in far else 0.0 if hidden else near)
        if dtype is None:
            return np.array([mpmath.mpf(number) for number in numbers], object)
        return np.array(numbers, dtype)


def _reads(expression: Expr) -> Iterator[Expr]:
    """Yield the components and derivatives that are read; indices and sizes among them do no harm."""
    if isinstance(expression, (Indexed, Symbol, Derivative)):
        yield expression
    elif isinstance(expression, Sum):
        yield from _reads(expression.function)
    else:
        for argument in expression.args:
            yield from _reads(argument)


def _is_index(read: Expr) -> bool:
    return isinstance(read, Symbol) and bool(read.is_integer)


def _derivatives(expression: Expr, adjoints: set[str]) -> list[Expr]:
    return [r for r in _reads(expression) if isinstance(r, Derivative) or name_of(r) in adjoints]


def _places_of(indices: Iterable[Symbol]) -> list[Places]:
    """Return places for free indices: all 0, then different ones."""
    ordered = sorted(indices, key=str)
    return [
        {i: first * (n + 1) % SIZE for n, i in enumerate(ordered)} for first in range(SIZE if ordered else 1)
    ]


def _is_delicate(expression: Expr) -> bool:
    """Whether there is an exponential, a logarithm, a division or a root."""
    return expression.has(exp, log) or any(
        not (p.exp.is_Integer and p.exp.is_positive) and not is_size(p.base) for p in expression.atoms(Pow)
    )


def _written_in(expression: Expr, lhs: Expr, form: Expr) -> Expr:
    """Return ``expression`` with a derivative replaced by what it is."""
    if isinstance(lhs, Derivative):
        own = lhs.variables[0]
        pattern = expression.atoms(Derivative)
        mapping = {
            d: at(indices_of(own), d.variables[0], form)
            for d in pattern
            if d.expr == lhs.expr and name_of(d.variables[0]) == name_of(own)
        }
        return expression.xreplace(mapping)
    shape = lhs.base.shape if isinstance(lhs, Indexed) else ()
    return substitute(expression, Quantity(name_of(lhs), tuple(shape)), Equation(lhs, form))


def _multiplied_into_sums(expression: Expr) -> Expr:
    """Return ``expression`` with the plain factors of a product multiplied into the sum that they divide."""
    if isinstance(expression, Add):
        return Add(*map(_multiplied_into_sums, expression.args))
    factors = Mul.make_args(expression)
    divisors = [f for f in factors if f.is_Pow and f.exp.could_extract_minus_sign()]
    bases = {s * d.base for d in divisors for s in (1, -1)}
    totals = [f for f in factors if f.is_Add and bases & set(f.args)]
    if not totals:
        return expression
    total = min(totals, key=lambda f: not f.has(KroneckerDelta))
    plain = [f for f in factors if not f.is_Add and not f.is_number]
    plain = [f for f in plain if f not in divisors or total.has(f.base)]
    rest = Mul(*[f for f in factors if f not in plain and f is not total])
    return rest * Add(*[with_deltas_used(Mul(*plain, term)) for term in total.args])


def _distributed(expression: Expr) -> Expr:
    """Return ``expression`` with factors multiplied into the sums that divide by them, within sums, too."""
    if isinstance(expression, Sum):
        body, ranges = open_sum(expression)
        return without_summed_deltas(make_sum(distributed(_distributed(body)), ranges))
    if isinstance(expression, Piecewise):
        return Piecewise(*[(_distributed(value), condition) for value, condition in expression.args])
    if expression.has(Sum):
        expression = expression.func(*map(_distributed, expression.args))
    return with_deltas_used(distributed(expression))


def zero_first(expression: Expr, system: EquationSystem) -> Expr:
    """Return ``expression`` with products that are 0 where one factor is, whatever the others are.

    (1 - p)^(-1/2) log p has no value at p = 1, where the one is infinite and the other 0; and m exp(h) is to
    be 0 where a mask m is, however large h is.  A mask is of the data: weights are not 0 by intention.
    """
    computed = {*system.definitions, *system.parameters}

    def deciding(node: Expr) -> Expr | None:
        if not isinstance(node, Mul):
            return None
        if any(map(_is_root_below, node.args)):
            return next((f for f in node.args if f.has(log) and not f.is_Pow), None)
        masks = (f for f in node.args if system.is_read(f) and name_of(f) not in computed)
        return next(masks, None) if node.has(exp) else None

    return zero_where(expression.replace(lambda node: isinstance(node, Mul), _inside_of_its_mask), deciding)


def _inside_of_its_mask(product: Expr) -> Expr:
    """Return a product of exponentials and a choice with 0 in it as that choice: 0 is 0 beside infinity."""
    masks = (f for f in product.args if isinstance(f, Piecewise) and any(value == 0 for value, _ in f.args))
    mask = next(masks, None) if product.has(exp) else None
    if mask is None:
        return product
    rest = Mul(*[f for f in product.args if f is not mask])
    return Piecewise(*[(value * rest, condition) for value, condition in mask.args])


def _is_root_below(factor: Expr) -> bool:
    return bool(factor.is_Pow and factor.exp.is_negative and not factor.exp.is_Integer)
