"""Taking the samples' axis out: the equations of one sample, where there are such.

The samples' index is the first index of the first input.  Where each quantity has it first and is read at
that plain index alone, or does not have it, and E is a mean over it, the equations say the same of every
sample, and what holds for one holds for all.

A quantity of parameters alone, such as normalised weights, that then meets the samples has no
derivative of one sample: all samples add to it.  Such equations stay those of the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sympy import Add, Basic, Expr, Indexed, Mul, Pow, Sum, Symbol

from symbackprop.equations.graph import reached_from
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.system import BINDERS, Equation, OuterSum, Quantity, name_of


class _NotPerSample(Exception):
    """The equations are not those of one sample."""


@dataclass(frozen=True)
class Samples:
    """Strips the samples' axis; ``letters`` are the index symbols that run over the samples.

    ``shared`` are the names of the quantities that are computed from parameters alone.
    """

    quantities: Mapping[str, Quantity]
    letters: Collection[Symbol]
    shared: Collection[str] = ()

    def strip(self, equations: Sequence[Equation], loss: str) -> list[Equation] | None:
        """Return the equations of one sample, None where there are none."""
        try:
            for quantity in self.quantities.values():
                if any(n.has(SAMPLES) for n in quantity.shape[1:]) or self._varies_oddly(quantity):
                    return None
            return [self._loss(e) if e.name == loss else self._equation(e) for e in equations]
        except _NotPerSample:
            return None

    @staticmethod
    def _varies_oddly(quantity: Quantity) -> bool:
        return bool(quantity.shape) and quantity.shape[0] != SAMPLES and quantity.shape[0].has(SAMPLES)

    def varies(self, name: str) -> bool:
        """Whether a quantity has the samples' axis."""
        shape = self.quantities[name].shape
        return bool(shape) and shape[0] == SAMPLES

    def one(self, quantity: Quantity) -> Quantity:
        """Return a quantity as it is for one sample."""
        varies = self.varies(quantity.name)
        return replace(quantity, shape=quantity.shape[1:]) if varies else quantity

    def _equation(self, equation: Equation) -> Equation:
        letter = equation.indices[0] if self.varies(equation.name) else None
        if letter is not None and names_read(equation.rhs) & set(self.shared):
            raise _NotPerSample
        return Equation(self._inside(equation.lhs, letter), self._inside(equation.rhs, letter))

    def _inside(self, expression: Basic, letter: Expr | None) -> Basic:
        """Return ``expression`` for the sample ``letter``, or where no sample is meant."""
        if isinstance(expression, Indexed):
            name, indices = name_of(expression), expression.indices
            if self.varies(name):
                if letter is None or indices[0] != letter:
                    raise _NotPerSample
                indices = indices[1:]
            return self.one(self.quantities[name]).at([self._inside(i, letter) for i in indices])
        if isinstance(expression, Symbol):
            if expression in self.letters or expression == SAMPLES:
                raise _NotPerSample
            return expression
        if isinstance(expression, BINDERS) and any(limit[0] in self.letters for limit in expression.limits):
            raise _NotPerSample
        if not expression.args:
            return expression
        return expression.func(*[self._inside(argument, letter) for argument in expression.args])

    def _loss(self, equation: Equation) -> Equation:
        return Equation(equation.lhs, Add(*[self._term(term) for term in Add.make_args(equation.rhs)]))

    def _term(self, term: Expr) -> Expr:
        """Return a term of the loss for one sample: a mean over the samples, or a term that does not vary."""
        factors = list(Mul.make_args(term))
        means = [f for f in factors if isinstance(f, Sum) and self._bound(f) is not None]
        counts = [f for f in factors if f == Pow(SAMPLES, -1)]
        if not means and not counts:
            return self._inside(term, None)
        if len(means) != 1 or len(counts) != 1 or names_read(term) & set(self.shared):
            raise _NotPerSample
        (mean,), others = means, [f for f in factors if f not in (*means, *counts)]
        letter = self._bound(mean)
        rest = [limit for limit in mean.limits if limit[0] != letter]
        body = self._inside(mean.function, letter)
        inner = OuterSum(body, *rest) if rest else body
        return Mul(*[self._inside(f, None) for f in others], inner)

    def _bound(self, total: Sum) -> Symbol | None:
        """Return the index of a sum that runs over the samples."""
        found = [limit[0] for limit in total.limits if limit[0] in self.letters]
        return found[0] if len(found) == 1 else None


def shared_by_samples(
    equations: Sequence[Equation], parameters: Collection[str], varies: Callable[[str], bool]
) -> set[str]:
    """Return the quantities computed from ``parameters`` that do not vary with the sample, by name."""
    shared = [(e.name, names_read(e.rhs)) for e in equations if not varies(e.name)]
    readers: dict[str, list[str]] = {}
    for name, read in shared:
        for each in read:
            readers.setdefault(each, []).append(name)
    return reached_from(parameters, readers) & {name for name, _ in shared}


def repeated(
    equations: Sequence[Equation], given: Collection[str], varies: Callable[[str], bool]
) -> set[str]:
    """Return the quantities with the samples' axis and one value for all of them: no data reach them."""
    readers: dict[str, list[str]] = {}
    for equation in equations:
        for each in names_read(equation.rhs):
            readers.setdefault(each, []).append(equation.name)
    return {e.name for e in equations if varies(e.name)} - reached_from(given, readers)


def names_read(expression: Expr) -> set[str]:
    """Return the names of what ``expression`` reads; an index or a size may have such a name, too."""
    return {name_of(read) for read in expression.atoms(Indexed, Symbol)}
