"""Equations in components as products of vectors and matrices.

In go an expression and the index letters of its rows and columns, out comes its matrix form as a string:
``Σ_n x0[n,k]·∂E/∂s1[n,j]`` over rows k and columns j is ``X0ᵀ·Δ1``.  A vector is a column, a quantity of
two axes a matrix; sums, fractions and functions of them are taken component by component, ``⊙`` is the
product by components, ``𝟏`` a vector of ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sympy import (
    Abs,
    Add,
    Derivative,
    Eq,
    Expr,
    Function,
    Heaviside,
    Indexed,
    KroneckerDelta,
    Max,
    Min,
    Mul,
    Piecewise,
    Pow,
    S,
    Sum,
    Symbol,
)
from sympy.core.relational import Relational

from symbackprop.equations.system import PartialDerivative, indices_of, is_index, name_of
from symbackprop.errors import SpecificationError
from symbackprop.printing.brackets import Level, in_brackets
from symbackprop.printing.latex import LatexPrinter, latex_word
from symbackprop.printing.order import Product, summed_indices
from symbackprop.printing.printer import Piece, Printer

Axes = tuple[Symbol, ...]


class Unwritable(SpecificationError):
    """An expression that vectors and matrices alone can't say."""


class MatrixWriter:
    """Writes expressions of one network in matrix form, as text or as LaTeX."""

    def __init__(self, printer: Printer) -> None:
        self.printer = printer
        self.order = printer.order
        self.latex = isinstance(printer, LatexPrinter)

    def equation(self, lhs: Expr, rhs: Expr, axes: Axes) -> tuple[str, list[str]]:
        """Return the left-hand side, and the right-hand side in parts between which a line may end.

        ``axes`` are the free indices, rows first.

        Raises:
            Unwritable: a side has more axes than a matrix, or no matrix product says it.
        """
        if len(axes) > 2:
            raise Unwritable("a quantity of more than two axes is no matrix")
        left = self._read(lhs, axes) if self.order.is_read(lhs) else self._derivative(lhs)
        return left.text, self._terms(rhs, axes) if isinstance(rhs, Add) else [self._part(rhs, axes).text]

    # ---- names

    def name(self, component: Expr, axes: int) -> str:
        """Return the name of a vector (small and bold) or of a matrix (a capital)."""
        name = name_of(component)
        if axes == 0:
            return self.printer.show(component)
        notation = self.printer.notation
        if name in notation.derivatives:
            return self._value(notation.derivatives[name], axes)
        quantity = notation.adjoints.get(name)
        if quantity is not None and quantity in notation.derivatives:
            below = self._value(notation.derivatives[quantity], axes)
            return self._partial(rf"\left({below}\right)" if self.latex else f"({below})")
        role = notation.roles.get(quantity or name)
        word, layer = (quantity or name, None) if role is None else (role.word, str(role.layer))
        layer = notation.layers.get(name, layer)
        capital = axes > 1
        if quantity is not None and role is not None and role.kind == "pre-activation":
            return self._bold("Delta" if capital else "delta", layer)
        if quantity is not None:
            return self._partial(self._bold(word[:1].upper() + word[1:] if capital else word, layer))
        return self._bold(word[:1].upper() + word[1:] if capital else word, layer)

    def _bold(self, word: str, layer: str | None) -> str:
        if not self.latex:
            shown = {"delta": "δ", "Delta": "Δ"}.get(word, word)
            return f"{shown}[{layer}]" if layer and not layer.isdigit() else shown + (layer or "")
        shown = latex_word(word)
        mark = (
            rf"\boldsymbol{{{shown}}}"
            if shown.startswith("\\") and "mathrm" not in shown
            else rf"\mathbf{{{word}}}"
        )
        mark = mark.replace("_", r"\_")
        return mark + (f"^{{({layer})}}".replace("ℓ", r"\ell") if layer else "")

    def _value(self, meaning: PartialDerivative, axes: int) -> str:
        """Return how a quantity is written that is a derivative."""
        of = name_of(meaning.of)
        return self._partial(self.name(meaning.to, axes), latex_word(of) if self.latex else of)

    def _partial(self, below: str, above: str = "") -> str:
        above = above or self.printer.notation.loss
        return rf"\frac{{\partial {above}}}{{\partial {below}}}" if self.latex else f"∂{above}/∂{below}"

    def _derivative(self, derivative: Expr) -> Piece:
        variable = derivative.variables[0]
        return Piece(self._partial(self.name(variable, len(indices_of(variable)))))

    def _transposed(self, part: Piece) -> Piece:
        text = self.printer.closed(part, Level.ATOM)
        if not self.latex:
            return Piece(f"({text})ᵀ" if "/" in text and not text.endswith(")") else f"{text}ᵀ")
        if text.endswith(")}") and text.startswith((r"\mathbf", r"\boldsymbol")):
            return Piece(text[:-1] + r"\top}")
        text = rf"\left({text}\right)" if text.startswith(r"\frac") else text
        return Piece(text + r"^{\top}")

    @property
    def _ones(self) -> Piece:
        return Piece(r"\mathbf{1}" if self.latex else "𝟏")

    def _by_components(self, parts: Sequence[Piece]) -> Piece:
        if len(parts) == 1:
            return parts[0]
        mark = r" \odot " if self.latex else " ⊙ "
        return Piece(mark.join(self.printer.closed(part, Level.ATOM) for part in parts), Level.PRODUCT)

    def _times(self, parts: Sequence[Piece]) -> Piece:
        """Return matrices behind each other; one product inside another needs no brackets."""
        if len(parts) == 1:
            return parts[0]
        mark = r" \, " if self.latex else "·"
        return Piece(mark.join(self.printer.closed(part, Level.FACTOR) for part in parts), Level.FACTOR)

    def _diagonal(self, part: Piece) -> Piece:
        return Piece((r"\operatorname{diag}" if self.latex else "diag") + self.printer.bracket(part.text))

    # ---- expressions

    def _letters(self, expression: Expr) -> set[Symbol]:
        """Return the free index letters of ``expression``."""
        return set(filter(is_index, expression.free_symbols))

    def _part(self, expression: Expr, axes: Axes) -> Piece:
        """Return ``expression``, which has some or all of ``axes``, with exactly its own."""
        if not expression.has(Indexed):
            if self._letters(expression):
                raise Unwritable("an index stands outside of a quantity")
            return Piece(self.printer.show(expression), Level.ATOM if expression.is_Atom else Level.SUM)
        if isinstance(expression, Indexed):
            return self._read(expression, axes)
        if isinstance(expression, Derivative):
            return self._derivative(expression)
        if isinstance(expression, Add):
            return self._sum(expression, axes)
        if isinstance(expression, Sum):
            return self._contraction(expression, axes)
        if isinstance(expression, Piecewise):
            return self._cases(expression, axes)
        if isinstance(expression, Mul):
            return self._signed(self.order.product(expression), axes)
        if isinstance(expression, Pow):
            return self._power(expression, axes)
        if isinstance(expression, (Function, Max, Min)) and not isinstance(expression, KroneckerDelta):
            return self._function(expression, axes)
        raise Unwritable(f"{type(expression).__name__} has no matrix form here")

    def _read(self, read: Expr, axes: Axes) -> Piece:
        at = indices_of(read)
        own = tuple(i for i in axes if i in at)
        if len(at) > 2 or len(own) != len(at) or len(set(at)) != len(at):
            raise Unwritable("a quantity is read at other places than its row and column")
        part = Piece(self.name(read, len(at)))
        return self._transposed(part) if at != own else part

    def _sum(self, expression: Add, axes: Axes) -> Piece:
        return Piece("".join(self._terms(expression, axes)), Level.SUM)

    def _terms(self, expression: Add, axes: Axes) -> list[str]:
        own = tuple(i for i in axes if i in self._letters(expression))
        texts: list[str] = []
        for product in self.order.terms(expression):
            term = self._product(product, axes, own)
            sign = "-" if product.negative else "+"
            mark = f" {sign} " if texts else sign.replace("+", "")
            texts.append(mark + self.printer.closed(term, Level.PRODUCT))
        return texts

    def _signed(self, product: Product, axes: Axes) -> Piece:
        part = self._product(product, axes)
        return Piece("-" + self.printer.closed(part, Level.PRODUCT), Level.SUM) if product.negative else part

    def _product(self, product: Product, axes: Axes, whole: Axes = ()) -> Piece:
        """Return a product without its sign; ``whole`` are the axes of the sum in which it is a term."""
        above = self._factors(product.numerator, axes, whole)
        if not product.denominator:
            return above
        above_all = len(axes) == 2 and self._letters(Mul(*product.numerator)).issuperset(axes)
        below = self._factors(product.denominator, axes, axes if above_all else ())
        share = [f for f in product.numerator if not f.has(Indexed) and not self._letters(f)]
        arrays = [f for f in product.numerator if f not in share]
        if arrays and not any(f.has(Indexed) for f in product.denominator):
            above = self._factors(share, axes, whole)  # (1/N) Xᵀ Δ rather than Xᵀ Δ/N
            scale = self._fraction(above, below)
            shown = Piece(scale.text if self.latex else in_brackets(scale.text))
            return self._times([shown, self._factors(arrays, axes, whole)])
        return self._fraction(above, below)

    def _fraction(self, above: Piece, below: Piece) -> Piece:
        if self.latex:
            return Piece(rf"\frac{{{above.text}}}{{{below.text}}}")
        shown = self.printer.closed(above, Level.PRODUCT), self.printer.closed(below, Level.ATOM)
        return Piece("/".join(shown), Level.PRODUCT)

    def _factors(self, factors: Sequence[Expr], axes: Axes, whole: Axes) -> Piece:
        scalars = [f for f in factors if not self._letters(f)]
        others = [f for f in factors if self._letters(f)]
        parts = [self._part(f, ()) for f in scalars] or ([] if others else [Piece("1")])
        if others:
            kinds: dict[Axes, list[Piece]] = {}
            for factor in others:
                own = tuple(i for i in axes if i in self._letters(factor))
                kinds.setdefault(own, []).append(self._part(factor, axes))
            parts.append(
                self._together({own: self._by_components(p) for own, p in kinds.items()}, axes, whole)
            )
        return self._times(parts)

    def _together(self, kinds: Mapping[Axes, Piece], axes: Axes, whole: Axes) -> Piece:
        """Return the product of factors along rows, along columns and along both."""
        if len(axes) < 2 or (len(kinds) == 1 and (len(next(iter(kinds))) == 2 or len(whole) < 2)):
            return self._by_components(list(kinds.values()))
        row, column = kinds.get(axes[:1]), kinds.get(axes[1:])
        both = kinds.get(axes)
        if both is None:
            return self._times([row or self._ones, self._transposed(column or self._ones)])
        return self._times(
            [*([self._diagonal(row)] if row else []), both, *([self._diagonal(column)] if column else [])]
        )

    def _power(self, expression: Pow, axes: Axes) -> Piece:
        if expression.exp.could_extract_minus_sign():
            return self._signed(self.order.product(expression), axes)
        base = self._part(expression.base, axes)
        if expression.exp == 2:
            return self._by_components([base, base])
        if expression.exp == S.Half:
            return Piece((r"\sqrt" + f"{{{base.text}}}") if self.latex else f"sqrt({base.text})")
        exponent = self._part(expression.exp, axes)
        raised = f"{{{exponent.text}}}" if self.latex else self.printer.closed(exponent, Level.ATOM)
        return Piece(f"{self.printer.closed(base, Level.ATOM)}^{raised}")

    def _function(self, expression: Expr, axes: Axes) -> Piece:
        arguments = [self._part(argument, axes).text for argument in expression.args]
        if isinstance(expression, Heaviside):
            at, middle = expression.args
            return self._cases(Piecewise((S.One, at > 0), (middle, Eq(at, 0)), (S.Zero, True)), axes)
        if isinstance(expression, Abs):
            return Piece(self.printer.absolute(arguments[0]))
        stand_ins = [Symbol(f"_argument{n}") for n in range(len(arguments))]
        text = self.printer.function(type(expression).__name__.lower(), stand_ins).text
        for symbol, argument in zip(stand_ins, arguments, strict=True):
            text = text.replace(self.printer.show(symbol), argument)
        return Piece(text)

    def _cases(self, expression: Piecewise, axes: Axes) -> Piece:
        branches = [
            (self._part(value, axes).text, None if condition == S.true else self._condition(condition, axes))
            for value, condition in expression.args
        ]
        return Piece(self.printer.cases(branches).text)

    def _condition(self, condition: Expr, axes: Axes) -> str:
        if isinstance(condition, Relational):
            condition = self.printer.order.directed(condition)
            left, right = self._part(condition.lhs, axes).text, self._part(condition.rhs, axes).text
            return f"{left} {self.printer.relation(condition.rel_op)} {right}"
        word = {"And": "and", "Or": "or"}.get(type(condition).__name__)
        if word is None:
            raise Unwritable("a condition has no matrix form here")
        parts = sorted((self._condition(c, axes) for c in condition.args), key=str)
        return f" {self.printer.word(word)} ".join(parts)

    # ---- sums

    def _contraction(self, total: Sum, axes: Axes) -> Piece:
        """Return a sum of products as a chain of matrix products, from the row to the column."""
        bound = summed_indices(total)
        own = tuple(i for i in axes if i in self._letters(total))
        product = self.order.product(total.function)
        factors = [*product.numerator, *(1 / f for f in product.denominator)]
        scalars = [f for f in factors if not self._letters(f)]
        groups: dict[frozenset[Symbol], list[Expr]] = {}
        for factor in factors:
            if factor not in scalars:
                groups.setdefault(frozenset(self._letters(factor)), []).append(factor)
        if not own and (norm := self._norm(groups, bound)):
            chain = [norm]
        else:
            chain = _Chain(self, groups, own, bound).parts()
        part = self._times([*(self._part(f, ()) for f in scalars), *chain])
        return Piece("-" + self.printer.closed(part, Level.PRODUCT), Level.SUM) if product.negative else part

    def _norm(self, groups: Mapping[frozenset[Symbol], list[Expr]], bound: Sequence[Symbol]) -> Piece | None:
        """Return ‖w‖² for the sum of all squares of a quantity."""
        factors = [f for group in groups.values() for f in group]
        if len(factors) != 1 or not isinstance(factors[0], Pow) or factors[0].exp != 2:
            return None
        inside = self._part(factors[0].base, tuple(bound)).text
        return Piece(rf"\lVert {inside} \rVert^{{2}}" if self.latex else f"‖{inside}‖²")


class _Chain:
    """The factors of a sum, each with one or two index letters, put behind each other as matrices."""

    def __init__(
        self,
        writer: MatrixWriter,
        groups: Mapping[frozenset[Symbol], list[Expr]],
        own: Axes,
        bound: Sequence[Symbol],
    ) -> None:
        if any(len(letters) > 2 for letters in groups) or len(own) > 2:
            raise Unwritable("a sum runs over factors of more than two indices")
        self.writer = writer
        self.left = dict(groups)
        self.own = own
        self.bound = list(bound)

    def parts(self) -> list[Piece]:
        """Return the factors from the row to the column; raises Unwritable where they make no chain."""
        found: list[Piece] = []
        if self.own:
            at = self.own[0]
        else:
            at = self.bound[0]
            found.append(self._start(at))
        seen = {at}
        while (letters := self._next(at)) is not None:
            (other,) = letters - {at}
            found.append(self._written(letters, (at, other)))
            if other in seen:
                raise Unwritable("a sum runs in a circle")
            seen.add(other)
            at = other
        if at in self.bound:
            ends = frozenset({at})
            found.append(self._written(ends, (at,)) if ends in self.left else self.writer._ones)
        if self.left or seen != {*self.own, *self.bound}:
            raise Unwritable("the factors of a sum make no chain of matrices")
        return found

    def _start(self, at: Symbol) -> Piece:
        """Return the row vector that a scalar product begins with."""
        ends = frozenset({at})
        factors = self.left.get(ends, [])
        if len(factors) > 1 and len(self.left) == 1:  # Σ_i a_i b_i is aᵀ b
            self.left[ends] = factors[1:]
            return self.writer._transposed(self.writer._part(factors[0], (at,)))
        if factors and len(self.left) > 1:
            return self.writer._transposed(self._written(ends, (at,)))
        return self.writer._transposed(self.writer._ones)

    def _next(self, at: Symbol) -> frozenset[Symbol] | None:
        return next((letters for letters in self.left if at in letters and len(letters) == 2), None)

    def _written(self, letters: frozenset[Symbol], axes: Axes) -> Piece:
        parts = [self.writer._part(factor, axes) for factor in self.left.pop(letters)]
        return self.writer._by_components(parts)
