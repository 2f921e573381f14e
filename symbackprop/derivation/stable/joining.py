"""Exponentials of a product joined into one, so that a large and a small one never meet as numbers.

exp(h) exp(-r) becomes exp(h - r), through definitions and into sums and choices, too.  A quantity z that is a
sum of exponentials is written out where it divides one: for exp(h)/Σ exp(h) there is a stable operation.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from sympy import Add, Derivative, Eq, Expr, Indexed, KroneckerDelta, Mul, Piecewise, Pow, Sum, Symbol, exp

from symbackprop.arrays.exponentials import (
    apart,
    is_sum_of_exponentials,
    is_total_of_exponentials,
    sums_gathered,
)
from symbackprop.derivation.stable.kept import Kept
from symbackprop.equations.indices import RangeList, canonical, close_sum, make_sum, open_sum, rename
from symbackprop.equations.system import BINDERS, ONE, ZERO, Equation, EquationSystem, indices_of, name_of


@dataclass
class Joiner:
    """Joins the exponentials in expressions of one system."""

    system: EquationSystem
    seen: Callable[[str], None] = lambda name: None
    """Is told the names of the quantities whose definitions matter."""
    _exponentials: dict[str, Expr | None] = field(default_factory=dict)
    """The definition of each quantity that is an exponential or a sum of them, None for any other."""

    def __post_init__(self) -> None:
        self._kept = Kept(self.system.quantities, lambda kind, name: self.told(name))

    def joined(self, expression: Expr) -> Expr:
        """Return ``expression`` with the exponentials of each product joined, inside of sums in it, too."""
        return self._rebuilt(expression, self._joined_product)

    def joined_outside(self, expression: Expr) -> Expr:
        """Return ``expression`` with the exponentials of each product joined that stand beside its sums.

        (a - Σ a p) exp(h)/Σ exp(h) has a sum of probabilities, in which no exponential is far from 1.
        """
        return self._rebuilt(expression, partial(self._joined_product, into_sums=False))

    def joined_in_full(self, expression: Expr) -> Expr:
        """Return ``expression`` joined, with all quantities written out that are exponentials."""
        written = self._written_out(expression)
        return self._rebuilt(written, self._joined_product)

    def _rebuilt(self, expression: Expr, of_product: Callable[[Expr], Expr]) -> Expr:
        """Return ``expression`` with something done to each product in it, the innermost first."""
        if not expression.has(exp, Indexed, Symbol) or isinstance(expression, _WHOLE):
            return expression
        if isinstance(expression, BINDERS):
            if not isinstance(expression, Sum):
                return expression
            body, ranges = open_sum(expression)
            new = self._rebuilt(body, of_product)
            return expression if new == body else _without_total(new, ranges) or make_sum(new, ranges)
        if isinstance(expression, Piecewise):
            branches = [(self._rebuilt(value, of_product), condition) for value, condition in expression.args]
            return Piecewise(*branches)
        arguments = [self._rebuilt(a, of_product) for a in expression.args]
        if arguments != list(expression.args):
            expression = expression.func(*arguments)
        return of_product(expression) if isinstance(expression, Mul) else expression

    # ------------------------------------------------------------ one product

    def _joined_product(self, product: Expr, into_sums: bool = True) -> Expr:
        """Return a product with its exponentials joined, and with what it divides by written as a sum."""
        parts = _Parts()
        for factor in Mul.make_args(product):
            self._sort(factor, parts)
        parts.gather_totals()
        if not parts.exponents and not parts.totals and not any(map(self._is_plain, parts.carriers)):
            return product
        if not into_sums:
            parts.others, parts.carriers = [*parts.others, *parts.carriers], []
        for position, read in enumerate(parts.others):
            written = self._exponential(read)
            if written is None:
                continue
            if is_sum_of_exponentials(written) and parts.totals:
                parts.others[position] = ONE
                parts.carriers.append(written)
            elif apart(written) is not None:
                parts.others[position] = ONE
                for factor in Mul.make_args(written):
                    self._sort(factor, parts)
        parts.gather_totals()
        parts.carriers.sort(key=_carrier_order)
        if parts.carriers and (parts.exponents or parts.totals):
            first, *rest = parts.carriers
            outer = [exp(a) for a in parts.exponents] + [base**power for base, power in parts.totals]
            return Mul(*parts.others, *rest, self._pushed_into(first, outer))
        if not parts.exponents or len(parts.exponents) + len(parts.totals) < 2:
            return product
        return Mul(*parts.others, exp(Add(*parts.exponents)), *[base**power for base, power in parts.totals])

    def _sort(self, factor: Expr, parts: _Parts) -> None:
        """Put a factor to those of its kind."""
        if isinstance(factor, exp):
            parts.exponents.append(factor.args[0])
            return
        base, power = factor.as_base_exp()
        total = self._total(base) if not (power.is_Integer and power.is_positive) else None
        if total is not None:
            for own, exponent in (f.as_base_exp() for f in Mul.make_args(total)):
                if _is_total(own):
                    parts.totals.append((own, exponent * power))
                else:
                    self._sort(own ** (exponent * power), parts)
        elif power.could_extract_minus_sign() and (written := self._exponential(base)) is not None:
            for own in Mul.make_args(written**power):
                self._sort(own, parts)
        elif self._carries(factor):
            parts.carriers.append(factor)
        else:
            parts.others.append(factor)

    def _pushed_into(self, carrier: Expr, outer: list[Expr]) -> Expr:
        """Return a sum or a choice times factors, with these inside of it."""
        if isinstance(carrier, Sum):
            body, ranges = open_sum(carrier)
            product = self._times(body, outer)
            return _without_total(product, ranges) or close_sum(product, ranges)
        if isinstance(carrier, Piecewise):
            return Piecewise(*[(self._times(value, outer), condition) for value, condition in carrier.args])
        return Add(*[self._times(term, outer) for term in carrier.args])

    def _times(self, term: Expr, outer: list[Expr]) -> Expr:
        return ZERO if term == 0 else self._joined_product(Mul(term, *outer))

    def _carries(self, factor: Expr) -> bool:
        """Whether ``factor`` is a sum or a choice with a term that has an exponential, or divides by such."""
        if isinstance(factor, Sum):
            return self.has_exponential(factor.function)
        if isinstance(factor, Piecewise):
            values = [value for value, _ in factor.args]
        else:
            values = list(factor.args) if isinstance(factor, Add) else []
        return any(self.has_exponential(value) or self._divides(value) for value in values)

    def _is_plain(self, carrier: Expr) -> bool:
        """Whether an exponential of a carrier needs no name, or divides one of its terms."""
        return bool(carrier.has(exp)) or any(map(self._divides, Add.make_args(carrier)))

    def _divides(self, term: Expr) -> bool:
        """Whether a term is divided by a sum of exponentials."""
        powers = [f.as_base_exp() for f in Mul.make_args(term)]
        return any(p.could_extract_minus_sign() and self._total(base) is not None for base, p in powers)

    def has_exponential(self, term: Expr) -> bool:
        """Whether an exponential is a factor of ``term``, or of a term of a sum that is."""
        return any(
            isinstance(f, exp) or self._carries(f) or self.is_exponential(f) for f in Mul.make_args(term)
        )

    def is_exponential(self, read: Expr) -> bool:
        """Whether a component is defined as an exponential, or as one times something."""
        if not self.system.is_read(read) or name_of(read) not in self.system.definitions:
            return False
        self.seen(name_of(read))
        written = self.exponential(name_of(read))  # at any indices: they change nothing of its kind
        return written is not None and apart(written) is not None

    # ------------------------------------------------------------ what is left of 1

    def with_complements(self, expression: Expr) -> Expr:
        """Return ``expression`` with 1 - p[y] of a softmax p, at one place y, as the sum over the others.

        At all places at once that would be as many sums as there are places.
        """
        return expression.replace(
            lambda node: isinstance(node, Add) and len(node.args) == 2 and ONE in node.args,
            lambda node: self._complement(ONE - node) or node,
        )

    def _complement(self, read: Expr) -> Expr | None:
        """Return 1 - exp(h[y])/Σ exp(h) as Σ exp(h) without the place y, divided by Σ exp(h)."""
        written = self._exponential(read)
        if written is None:
            return None
        total = next(_dividing_sums(written), None)
        if total is None:
            return None
        body, ranges = open_sum(total)
        for place in sorted(self._places(written), key=str) if len(ranges) == 1 else ():
            if rename(body, {ranges[0][0]: place}) == written * total:
                others = Piecewise((ZERO, Eq(ranges[0][0], place)), (body, True))
                return close_sum(others, ranges) / total
        return None

    def _places(self, expression: Expr) -> set[Expr]:
        """Return the places that are read and are no letters: numbers, and whole numbers of the data."""
        indices = {i for read in expression.atoms(Indexed) for i in read.indices}
        return {i for i in indices if i.is_Integer or self.system.is_read(i)}

    # ------------------------------------------------------------ definitions

    def _total(self, base: Expr) -> Expr | None:
        """Return a sum of exponentials that ``base`` is or is defined as, or a product with one."""
        written = self._exponential(base) or base
        terms = [term.as_coeff_Mul()[1] for term in Add.make_args(written)]
        added = len(terms) > 1 and (written.has(Sum) or any(map(self._exponential, terms)))
        if isinstance(written, Sum) or added:
            written = sums_gathered(self.joined_in_full(written))
        if _is_total(written):
            return written
        factors = Mul.make_args(written) if isinstance(base, Sum) else ()
        others = [f for f in factors if not _is_total(f.as_base_exp()[0])]
        return written if len(others) < len(factors) and all(f.is_positive for f in others) else None

    def _exponential(self, read: Expr) -> Expr | None:
        """Return what a component is defined as, if that is an exponential or a sum of them."""
        if not self.system.is_read(read) or name_of(read) not in self.system.definitions:
            return None
        name = name_of(read)
        self.seen(name)
        written = self.exponential(name)
        return None if written is None else at(self.system.definitions[name].indices, read, written)

    def exponential(self, name: str) -> Expr | None:
        """Return what a quantity is defined as, if that is an exponential or a sum of them."""
        if name not in self._exponentials and name in self.system.definitions:
            self._exponentials[name] = None
            definition = self.system.definitions[name]
            if self._reads_exponential(definition.rhs):
                written = self._kept_or_found(definition)
                self._exponentials[name] = None if written == ONE else written
        return self._exponentials.get(name)

    def _kept_or_found(self, definition: Equation) -> Expr:
        """Return the exponential that a quantity is defined as; 1 where it is none."""
        written = self._kept.form_of((definition.lhs, definition.rhs))
        if written is None:
            looked_up: dict[tuple[str, str], None] = {}
            seen, self.seen = self.seen, lambda name: looked_up.setdefault(("", name))
            joined = self.joined_in_full(definition.rhs)
            self.seen = seen  # what a quantity is made of shows in what it is
            written = joined if apart(joined) is not None or _is_total(joined) else ONE
            self._kept.enter((definition.lhs, definition.rhs), looked_up, written)
        return written

    def told(self, name: str) -> tuple[Hashable, list[Expr]]:
        """Return what matters of a quantity that a definition reads: the exponential that it is, if any."""
        written = self.exponential(name)
        return (), [] if written is None else [self.system.definitions[name].lhs, written]

    def _reads_exponential(self, expression: Expr) -> bool:
        """Whether there is an exponential in ``expression``, or a quantity that is one."""
        reads = (node for node in expression.atoms(Indexed, Symbol) if self.system.is_read(node))
        return bool(expression.has(exp)) or any(self.exponential(name_of(read)) is not None for read in reads)

    def _written_out(self, expression: Expr) -> Expr:
        if self.system.is_read(expression):
            return self._exponential(expression) or expression
        if isinstance(expression, _WHOLE) or not expression.args:
            return expression
        if isinstance(expression, Sum):
            body, ranges = open_sum(expression)
            new = self._written_out(body)
            return expression if new == body else close_sum(new, ranges)
        if isinstance(expression, Piecewise):
            return Piecewise(*[(self._written_out(value), condition) for value, condition in expression.args])
        if isinstance(expression, exp):
            return expression
        arguments = [self._written_out(argument) for argument in expression.args]
        return expression if arguments == list(expression.args) else expression.func(*arguments)


def _without_total(product: Expr, ranges: RangeList) -> Expr | None:
    """Return 1 where ``product`` is divided by its own sum, as exp(h)/Σ exp(h) is; None for any other."""
    for divisor in _dividing_sums(product):
        if canonical(close_sum(product * divisor, ranges)) == canonical(divisor):
            return ONE
    return None


def _dividing_sums(product: Expr) -> Iterator[Sum]:
    for factor in Mul.make_args(product):
        if isinstance(factor, Pow) and factor.exp == -1 and isinstance(factor.base, Sum):
            yield factor.base


def _is_total(expression: Expr) -> bool:
    return is_sum_of_exponentials(expression) or is_total_of_exponentials(expression)


_WHOLE = (Indexed, Derivative, KroneckerDelta)


def at(indices: Sequence[Expr], read: Expr, expression: Expr) -> Expr:
    """Return ``expression``, which has ``indices``, at those of ``read``."""
    mapping = dict(zip(indices, indices_of(read), strict=True))
    return rename(expression, {i: new for i, new in mapping.items() if i != new})


@dataclass
class _Parts:
    """The factors of a product by kind: exponents, sums of exponentials with their powers, …"""

    exponents: list[Expr] = field(default_factory=list)
    totals: list[tuple[Expr, Expr]] = field(default_factory=list)
    carriers: list[Expr] = field(default_factory=list)
    others: list[Expr] = field(default_factory=list)

    def gather_totals(self) -> None:
        """Put the powers of equal sums together, whatever their letters are: what cancels is gone."""
        powers: dict[Expr, tuple[Expr, Expr]] = {}
        for total, power in self.totals:
            first, before = powers.get(canonical(total), (total, ZERO))
            powers[canonical(total)] = first, before + power
        self.totals = [(total, power) for total, power in powers.values() if power != 0]


def _carrier_order(carrier: Expr) -> tuple[int, str]:
    """Choices first, in which no term is left without an exponential, then sums over an index."""
    kinds = (Piecewise, Sum, Add)
    return next(n for n, kind in enumerate(kinds) if isinstance(carrier, kind)), str(carrier)
