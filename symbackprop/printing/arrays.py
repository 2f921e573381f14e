"""Equations in components as operations on whole arrays: matrices, or einsum where there are more axes.

In go an equation and the axes of what it defines.  A product of matrices comes first; of more than two axes
all but two are held, the last two first; else a sum of products is an ``einsum``, each factor with a letter
for each of its axes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from string import ascii_lowercase

from sympy import Add, Expr, Indexed, Sum, Symbol

from symbackprop.equations.system import indices_of
from symbackprop.printing.brackets import Level, in_brackets
from symbackprop.printing.matrices import Axes, MatrixWriter, Unwritable
from symbackprop.printing.order import Product, summed_indices
from symbackprop.printing.printer import Piece, Printer


@dataclass(frozen=True)
class ArrayForm:
    """An equation on whole arrays: both sides, the right one in parts between which a line may end.

    It holds at each place along the axes ``held``.
    """

    left: str
    parts: tuple[str, ...]
    held: Axes = ()
    by_einsum: bool = False


def array_form(printer: Printer, lhs: Expr, rhs: Expr, axes: Axes) -> ArrayForm:
    """Return an equation on whole arrays; ``axes`` are its free indices in order.

    Raises:
        Unwritable: neither products of matrices nor einsum say it.
    """
    problem: Unwritable | None = None
    for held in _choices(axes):
        rows = tuple(i for i in axes if i not in held)
        try:
            left, parts = MatrixWriter(printer, held).equation(lhs, rhs, rows)
        except Unwritable as error:
            problem = problem or error
        else:
            return ArrayForm(left, tuple(parts), held)
    if not rhs.has(Sum):
        raise problem or Unwritable("no two axes make a matrix of it")
    writer = MatrixWriter(printer)
    return ArrayForm(writer.whole(lhs), tuple(_Einsum(writer, axes).terms(rhs)), by_einsum=True)


def _choices(axes: Axes) -> Iterator[Axes]:
    """Yield the axes that may be held: all but two, of those that stay the last ones first."""
    if len(axes) <= 2:
        yield ()
        return
    for first, second in sorted(combinations(range(len(axes)), 2), reverse=True):
        yield tuple(i for n, i in enumerate(axes) if n not in (first, second))


class _Einsum:
    """Writes sums of products of quantities over any axes."""

    def __init__(self, writer: MatrixWriter, axes: Axes) -> None:
        self.writer = writer
        self.axes = axes

    def terms(self, rhs: Expr) -> list[str]:
        """Return the terms of the right-hand side, each with its sign."""
        order, found = self.writer.order, list[str]()
        for product in order.terms(rhs) if isinstance(rhs, Add) else [order.product(rhs)]:
            sign = "-" if product.negative else "+"
            mark = f" {sign} " if found else sign.replace("+", "")
            found.append(mark + self._term(product))
        return found

    def _term(self, product: Product) -> str:
        """Return numbers times one sum of products, or times a product."""
        scalars = [f for f in product.numerator if not f.has(Indexed)]
        arrays = [f for f in product.numerator if f.has(Indexed)]
        if any(f.has(Indexed) for f in product.denominator):
            raise Unwritable("a sum is divided by arrays")
        factors: list[Expr] = []
        for factor in arrays:
            total = isinstance(factor, Sum)
            inside = self.writer.order.product(factor.function if total else factor)
            bound = set(summed_indices(factor)) if total else set()
            if inside.denominator or inside.negative or (total and len(arrays) > 1):
                raise Unwritable("the factors of a sum are no quantities")
            if not bound <= {i for f in inside.numerator for i in indices_of(f)}:
                raise Unwritable("a sum runs over an axis that no factor has")
            scalars += [f for f in inside.numerator if f.is_number or f.is_Symbol]
            factors += [f for f in inside.numerator if not (f.is_number or f.is_Symbol)]
        scale = self._scale(scalars, product.denominator)
        return scale + self._call(factors)

    def _scale(self, above: Sequence[Expr], below: Sequence[Expr]) -> str:
        printer = self.writer.printer
        shown = [
            "·".join(printer.closed(Piece(printer.show(f)), Level.PRODUCT) for f in part)
            for part in (above, below)
        ]
        if self.writer.latex:
            shown = [text.replace("·", r" \cdot ") for text in shown]
            return (
                rf"\frac{{{shown[0] or 1}}}{{{shown[1]}}} \, " if below else f"{shown[0]} " if above else ""
            )
        if below:
            return in_brackets(f"{shown[0] or 1}/{shown[1]}") + "·"
        return f"{shown[0]}·" if above else ""

    def _call(self, factors: Sequence[Expr]) -> str:
        letters: dict[Symbol, str] = {}
        reads = [self._at(factor) for factor in factors]
        if reads == [self.axes]:
            return self.writer.whole(factors[0])
        if not set(self.axes) <= {i for at in reads for i in at}:
            raise Unwritable("an axis is in no factor")
        for i in (*self.axes, *(i for at in reads for i in at)):
            if i not in letters:
                free = [c for c in (str(i.name)[:1], *ascii_lowercase) if c not in letters.values()]
                letters[i] = free[0]
        spelled = ["".join(letters[i] for i in at) for at in (*reads, self.axes)]
        names = ", ".join(self.writer.whole(factor) for factor in factors)
        if self.writer.latex:
            inside = rf"\text{{{','.join(spelled[:-1])}}} \to \text{{{spelled[-1]}}}"
            return rf"\operatorname{{einsum}}\left({inside},\; {names}\right)"
        return f"einsum('{','.join(spelled[:-1])}->{spelled[-1]}', {names})"

    def _at(self, factor: Expr) -> Axes:
        """Return the letters of the axes at which a factor is read, which is one place of each."""
        at = indices_of(factor) if isinstance(factor, Indexed) else ()
        if not at or not all(i.is_Symbol and not self.writer.order.is_read(i) for i in at):
            raise Unwritable("a factor of a sum is no quantity at plain places")
        if len(set(at)) != len(at):
            raise Unwritable("a quantity is read along its diagonal")
        return at
