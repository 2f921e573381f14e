"""The claim of a step, and the values of its free indices for which it is made.

In go a ``Step`` and the ``Structure``, out comes a ``Statement``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal

from sympy import Derivative, Expr, Indexed, Sum, Symbol

from symbackprop.equations.steps import Step
from symbackprop.proof.errors import Unproved
from symbackprop.proof.integers import Environment, whole
from symbackprop.proof.structure import Structure, parts_of
from symbackprop.proof.work import Space, spaces_of

StatementKind = Literal["total", "local", "definition"]
"""What a step is about; see ``Statement``."""

_SAMPLES = 2


@dataclass(frozen=True)
class Statement:
    """A step, read: a claim about ``target``, for all values of the indices in ``ranges``.

    A "total" claim is about the derivative of the loss with respect to ``target``, a "local" one about
    that of ``output``, a "definition" claims that ``output`` has another form.
    """

    step: Step
    kind: StatementKind
    output: Expr | None
    target: Expr | None
    ranges: tuple[tuple[Symbol, Expr], ...]
    is_batch: bool
    sample_size: Expr | None

    @staticmethod
    def of(step: Step, structure: Structure) -> Statement:
        """Read ``step``."""
        kind, output, target = _read_left(step.lhs, structure)
        ranges: dict[Symbol, Expr] = {}
        for component in (output, target):
            if component is not None:
                ranges.update(_ranges_of(component, structure))
        lifted = list(_lifted_reads(step.rhs, structure))
        is_batch = step.number in structure.batch_numbers or bool(lifted)
        sample_size = _sample_size(step.rhs, lifted) if lifted else None
        return Statement(step, kind, output, target, tuple(ranges.items()), is_batch, sample_size)

    def samples(self, sizes: Environment) -> int:
        """Return the number of samples that the step is proved with; 1 where it is about one."""
        if not self.is_batch:
            return 1
        return whole(self.sample_size, sizes) if self.sample_size is not None else _SAMPLES

    def spaces(self) -> list[Space]:
        """Return the spaces of the claim."""
        return list(spaces_of(self.step.rhs, tuple(extent for _, extent in self.ranges)))

    def environments(self, sizes: Environment) -> Iterator[Environment]:
        """Yield every assignment of the free indices."""
        symbols = [symbol for symbol, _ in self.ranges]
        for place in product(*(range(whole(extent, sizes)) for _, extent in self.ranges)):
            yield dict(zip(symbols, place, strict=True))


def _read_left(lhs: Expr, structure: Structure) -> tuple[StatementKind, Expr | None, Expr | None]:
    """Return the kind of claim, the component that is differentiated or defined, and the variable."""
    if isinstance(lhs, Derivative):
        output, target = differentiated(lhs)
        if is_loss(output, structure):
            return "total", None, target
        return "local", output, target
    name, indices = parts_of(lhs)
    quantity = structure.adjoints.get(name)
    if quantity is not None:
        return "total", None, structure.quantities[quantity].at(indices)
    if name in structure.definitions:
        return "definition", lhs, None
    raise Unproved(f"{lhs} is neither an adjoint nor defined by an equation")


def differentiated(derivative: Derivative) -> tuple[Expr, Expr]:
    """Return the differentiated expression and the component with respect to which."""
    if len(derivative.variable_count) != 1 or derivative.variable_count[0][1] != 1:
        raise Unproved(f"{derivative} is no first derivative")
    return derivative.expr, derivative.variable_count[0][0]


def is_loss(expression: Expr, structure: Structure) -> bool:
    """Whether ``expression`` is the loss."""
    return isinstance(expression, Symbol) and expression.name == structure.loss


def _ranges_of(expression: Expr, structure: Structure) -> Iterator[tuple[Symbol, Expr]]:
    """Yield the free indices of ``expression`` with the axes that they read."""
    if isinstance(expression, (Indexed, Symbol)):
        yield from _ranges_of_component(expression, structure)
        return
    free = expression.free_symbols
    for read in sorted(expression.atoms(Indexed), key=str):
        for index, extent in _ranges_of_component(read, structure):
            if index in free:
                yield index, extent


def _ranges_of_component(component: Expr, structure: Structure) -> Iterator[tuple[Symbol, Expr]]:
    name, indices = parts_of(component)
    quantity = structure.quantities.get(name)
    if quantity is None:
        raise Unproved(f"{name} is not a quantity of the network")
    if len(quantity.shape) != len(indices):
        raise Unproved(f"{component} has {len(indices)} indices, but {name} has {len(quantity.shape)} axes")
    for index, extent in zip(indices, quantity.shape, strict=True):
        if isinstance(index, Symbol):
            yield index, extent


def _lifted_reads(expression: Expr, structure: Structure) -> Iterator[Indexed]:
    """Yield the reads with one index more than their quantity has axes: the first is the sample."""
    for read in sorted(expression.atoms(Indexed), key=str):
        name = structure.adjoint_of(read) or str(read.base.name)
        quantity = structure.quantities.get(name)
        if quantity is not None and len(read.indices) == len(quantity.shape) + 1:
            yield read


def _sample_size(expression: Expr, lifted: Iterable[Indexed]) -> Expr:
    """Return the number of samples: the range of the sum over the samples' index."""
    indices = {read.indices[0] for read in lifted}
    for total in sorted(expression.atoms(Sum), key=str):
        for limit in total.limits:
            if limit[0] in indices:
                return limit[2] + 1
    raise Unproved("no sum runs over the samples")
