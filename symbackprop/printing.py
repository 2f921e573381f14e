"""Two printers of indexed expressions, one-line Unicode text and LaTeX, with one order of factors.

Both printers lay an expression out in the same way: ``Order`` decides which term and which factor
comes first, as a textbook would (``x2[i] - t[i]``, ``x1[j]·(1 - x1[j])``, ``∂E/∂s1[j]·x0[k]``), and
``Printer`` decides where brackets are needed.  Only the marks differ.  Nothing depends on the order
in which SymPy stores arguments.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from typing import ClassVar, NamedTuple

from sympy import (
    Abs,
    Add,
    And,
    Basic,
    Derivative,
    Expr,
    Float,
    Ge,
    Gt,
    Heaviside,
    Indexed,
    Integer,
    KroneckerDelta,
    Le,
    Lt,
    Max,
    Min,
    Mul,
    Not,
    Number,
    NumberSymbol,
    Or,
    Piecewise,
    Pow,
    Rational,
    S,
    Sum,
    Symbol,
    exp,
    log,
)
from sympy import Function as AnyFunction
from sympy.core.relational import Relational

from symbackprop.derivation import Derivation
from symbackprop.equations import EquationSystem, indices_of, name_of

# ------------------------------------------------------------------------------------ notation

NOTATIONS: Mapping[str, str] = {
    "textbook": "w_ji, x_j: the index letter alone tells the layer",
    "layered": "w^(2)_ji, x^(1)_j: every quantity carries the number of its layer",
}
"""What there is to choose from: the name of a notation, and how it looks in LaTeX."""

WORDS: Mapping[str, str] = {"if": "if", "otherwise": "otherwise", "and": "and", "or": "or", "not": "not"}
"""The words that stand inside formulas; a language replaces them."""


class Glyph(NamedTuple):
    """How a quantity is printed: its letter or word, and its layer where that is shown."""

    word: str
    layer: str | None = None


def split_name(name: str) -> Glyph:
    """Return the word and the trailing number of a name: ``w12`` is layer 12 of ``w``."""
    found = re.fullmatch(r"(.*[^\d_])_?(\d+)", name)
    return Glyph(found[1], found[2]) if found else Glyph(name)


@dataclass(frozen=True)
class Notation:
    """What the printers know of a network besides the expression itself.

    ``glyphs`` tells how LaTeX shows each quantity; a quantity that is not in it is shown with its
    layer.  ``adjoints`` maps the name of a named adjoint to its quantity.  ``positions`` holds the
    place of each quantity in the order of evaluation and ``axes`` how many axes it has; factors are
    ordered by them.
    """

    name: str = "layered"
    loss: str = "E"
    glyphs: Mapping[str, Glyph] = field(default_factory=dict)
    adjoints: Mapping[str, str] = field(default_factory=dict)
    positions: Mapping[str, int] = field(default_factory=dict)
    axes: Mapping[str, int] = field(default_factory=dict)
    parameters: frozenset[str] = frozenset()
    words: Mapping[str, str] = field(default_factory=lambda: WORDS)

    def glyph(self, quantity: str) -> Glyph:
        """Return how ``quantity`` is printed."""
        return self.glyphs.get(quantity) or split_name(quantity)

    def is_scalar(self, symbol: Symbol) -> bool:
        """Whether ``symbol`` is a scalar quantity, and not a constant, or an index or a size of that name."""
        name = symbol.name
        known = self.axes.get(name) == 0 or name == self.loss or name in self.adjoints
        return known and not symbol.is_integer


def notation_for(
    derivation: Derivation, name: str | None = None, words: Mapping[str, str] = WORDS
) -> Notation:
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
    unclear = set() if name == "layered" else _unclear_names(derivation)
    if name is None:
        name = "layered" if unclear else "textbook"
    glyphs = {q: split_name(q) for q in system.quantities}
    if name == "textbook":
        # A layer that the letters do not tell stays visible, also where "textbook" was asked for.
        glyphs = {q: g if g.word in unclear else Glyph(g.word) for q, g in glyphs.items()}
    return _notation(system, name, glyphs, derivation.adjoints, words)


def _unclear_names(derivation: Derivation) -> set[str]:
    """Return the words whose layers the index letters do not tell, in any step."""
    system = derivation.system
    expressions = [side for e in system.equations for side in (e.lhs, e.rhs)]
    expressions += [side for s in derivation.by_number.values() for side in (s.lhs, s.rhs)]
    expressions += [fact.component for fact in system.facts]
    return _unclear(system, _readings(expressions, derivation.adjoints))


def notation_of_system(system: EquationSystem, words: Mapping[str, str] = WORDS) -> Notation:
    """Return the layered notation of equations that are not derived, as for a listing of them."""
    return _notation(system, "layered", {q: split_name(q) for q in system.quantities}, {}, words)


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
    parameters = frozenset(system.parameters)
    return Notation(name, system.loss, glyphs, adjoints, positions, axes, parameters, words)


def _depth(system: EquationSystem) -> int:
    layers = (split_name(name).layer for name in system.quantities)
    return max((int(layer) for layer in layers if layer is not None), default=0)


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
        word = split_name(name).word
        for indices in readings.get(name, {()}):
            if seen.setdefault((word, indices), name) != name:
                unclear.add(word)
    return unclear


# --------------------------------------------------------------------------------------- order


class Product(NamedTuple):
    """A term taken apart: its sign, and its factors in the order in which they are printed."""

    negative: bool
    numerator: tuple[Expr, ...]
    denominator: tuple[Expr, ...]


class Rank(IntEnum):
    """The place of a factor in a product."""

    NUMBER = 0
    CONSTANT = 1
    DIFFERENCE = 2  # (x2[i] - t[i])
    ADJOINT_SUM = 3  # (Σ_i ∂E/∂s2[i]·w2[j,i])
    ADJOINT = 4
    LOCAL = 5  # ∂x2[i]/∂s2[i]
    SCALE = 6  # a parameter without a summed axis; any parameter behind an adjoint
    READ = 7  # x1[j]·(1 - x1[j])
    WEIGHT = 8  # x0[k]·w1[k,j]
    FUNCTION = 9
    DELTA = 10
    CASES = 11
    SUM = 12  # a sum over something else than adjoints stands last, without brackets


def flat(expression: Expr, kind: type[Add] | type[Mul]) -> Iterator[Expr]:
    """Yield the terms (``kind`` Add) or factors (Mul), those of unevaluated nests too."""
    if isinstance(expression, kind):
        for argument in expression.args:
            yield from flat(argument, kind)
    else:
        yield expression


def decimal(value: Rational) -> str | None:
    """Return a fraction that people write as a decimal, such as 0.01, or None for one like 1/2."""
    if value.q == 1 or (value.q % 5 and value.q <= 16):
        return None
    shortest = repr(float(value))
    return shortest if Rational(shortest) == value else None


def _fraction(coefficient: Expr) -> tuple[Expr, Expr]:
    """Return the numerator and the denominator that are printed for a positive number."""
    if isinstance(coefficient, Rational) and decimal(coefficient) is None:
        return Integer(coefficient.p), Integer(coefficient.q)
    return coefficient, S.One


class Order:
    """The order of terms and factors; ``tie`` is the text that decides between equals."""

    def __init__(self, notation: Notation, tie: Callable[[Basic], str]) -> None:
        self.notation = notation
        self.tie = tie

    def is_read(self, node: Basic) -> bool:
        """Whether ``node`` is a component of a quantity (or of an adjoint), or a scalar one."""
        return isinstance(node, Indexed) or (isinstance(node, Symbol) and self.notation.is_scalar(node))

    def reads(self, expression: Basic) -> list[Expr]:
        """Return the components that stand in ``expression``."""
        if self.is_read(expression):
            return [expression]
        return [read for argument in expression.args for read in self.reads(argument)]

    def is_constant(self, expression: Basic) -> bool:
        """Whether ``expression`` depends on no quantity and on no index."""
        if expression.has(Indexed, Sum, Derivative, Piecewise, KroneckerDelta):
            return False
        symbols = expression.free_symbols
        return not any(self.is_read(s) or (s.is_integer and not s.is_positive) for s in symbols)

    def is_adjoint(self, node: Basic) -> bool:
        """Whether ``node`` is a derivative of the loss."""
        if isinstance(node, Derivative):
            return bool(self.is_read(node.expr) and name_of(node.expr) == self.notation.loss)
        return self.is_read(node) and name_of(node) in self.notation.adjoints

    def carries_error(self, expression: Basic) -> bool:
        """Whether a factor passes the error back: an adjoint, a difference such as x - t, a sum of such."""
        if self.is_adjoint(expression):
            return True
        if isinstance(expression, Sum):
            return self.carries_error(expression.function)
        if isinstance(expression, Add) and self._is_difference(expression):
            return True
        return isinstance(expression, (Add, Mul, Pow)) and any(map(self.carries_error, expression.args))

    def _is_difference(self, expression: Add) -> bool:
        return not self._starts_with_number(expression) and bool(self.reads(expression))

    @staticmethod
    def _starts_with_number(expression: Add) -> bool:
        return any(bool(term.is_number and term.is_positive) for term in expression.args)

    # ---- factors

    def product(self, expression: Expr) -> Product:
        """Return ``expression`` taken apart into ordered factors."""
        coefficient: Expr = S.One
        numerator, denominator = [], []
        for factor in flat(expression, Mul):
            if isinstance(factor, (Rational, Float)):
                coefficient *= factor
            elif isinstance(factor, Sum) and self.is_negative_throughout(factor.function):
                coefficient = -coefficient  # -Σ (a + b) rather than Σ (-a - b)
                numerator.append(Sum(-factor.function, *factor.limits))
            elif isinstance(factor, Pow) and factor.exp.could_extract_minus_sign():
                denominator.append(Pow(factor.base, -factor.exp))
            else:
                numerator.append(factor)
        above, below = _fraction(abs(coefficient))
        numerator = ([] if above == 1 else [above]) + self.factors(numerator)
        denominator = ([] if below == 1 else [below]) + self.factors(denominator)
        return Product(bool(coefficient < 0), tuple(numerator), tuple(denominator))

    @staticmethod
    def is_negative_throughout(expression: Expr) -> bool:
        """Whether ``expression`` is a sum of terms that all have a minus."""
        return isinstance(expression, Add) and all(t.could_extract_minus_sign() for t in expression.args)

    def factors(self, factors: Sequence[Expr]) -> list[Expr]:
        """Return ``factors`` in the order in which they are printed."""
        backwards = any(self.carries_error(f) for f in factors)
        plain = [f for f in factors if self.is_read(f)]
        return sorted(factors, key=lambda f: self._factor_key(f, backwards, plain))

    def _factor_key(
        self, factor: Expr, backwards: bool, plain: Sequence[Expr]
    ) -> tuple[Rank, int, str, int, str]:
        rank, anchor, follows = self._rank(factor, backwards, plain)
        if anchor is None:
            return rank, 0, "", 0, self.tie(factor)
        position = self.notation.positions.get(name_of(anchor), 0)
        return rank, -position if backwards else position, self.tie(anchor), follows, self.tie(factor)

    def _rank(self, factor: Expr, backwards: bool, plain: Sequence[Expr]) -> tuple[Rank, Expr | None, int]:
        """Return the rank of ``factor``, the read it is sorted by, and 1 where it follows that read."""
        base = factor.base if isinstance(factor, Pow) else factor
        if self.is_constant(factor):
            return (Rank.NUMBER if factor.is_number else Rank.CONSTANT), None, 0
        if self.is_adjoint(base):
            return Rank.ADJOINT, None, 0
        if self.is_read(base):
            if name_of(base) not in self.notation.parameters:
                return Rank.READ, base, 0
            scales = backwards or self.notation.axes[name_of(base)] < 2
            return (Rank.SCALE if scales else Rank.WEIGHT), base, 0
        if isinstance(base, Add):
            return self._rank_of_bracket(base, plain)
        if isinstance(base, Sum):
            return (Rank.ADJOINT_SUM if self.carries_error(base) else Rank.SUM), None, 0
        ranks = {Derivative: Rank.LOCAL, KroneckerDelta: Rank.DELTA, Piecewise: Rank.CASES}
        return ranks.get(type(base), Rank.FUNCTION), None, 0

    def _rank_of_bracket(self, bracket: Add, plain: Sequence[Expr]) -> tuple[Rank, Expr | None, int]:
        """A bracket such as (1 - x), or (∂E/∂x - Σ ...) of a softmax, follows the x that it belongs to."""
        reads = self.reads(bracket)
        names = {name_of(r) for r in reads}
        if self._starts_with_number(bracket) or bracket.has(Sum, KroneckerDelta):
            partners = [p for p in plain if p in reads] or [p for p in plain if name_of(p) in names]
            if partners:
                return Rank.READ, min(partners, key=self.tie), 1
        if self._starts_with_number(bracket) and reads and not self.carries_error(bracket):
            last = max(reads, key=lambda r: (self.notation.positions.get(name_of(r), 0), self.tie(r)))
            return Rank.READ, last, 1
        return (Rank.FUNCTION if bracket.has(exp, log) else Rank.DIFFERENCE), None, 0

    def output_first(self, expression: Expr) -> Expr:
        """Return x - t for t - x, where the sign does not matter: what is computed later comes first."""
        if not isinstance(expression, Add) or expression.has(Sum) or len(expression.args) != 2:
            return expression
        places = [
            max((self.notation.positions.get(name_of(r), 0) for r in self.reads(t)), default=-2)
            for t in expression.args
        ]
        if -2 in places or places[0] == places[1]:
            return expression
        last = expression.args[places.index(max(places))]
        return -expression if last.could_extract_minus_sign() else expression

    def argument_key(self, argument: Expr) -> tuple[bool, int, str]:
        """Return the place of an argument of a function whose arguments have no order: max(0, s)."""
        size = sum(_complexity(part) for read in self.reads(argument) for part in indices_of(read))
        return not argument.is_number, _complexity(argument) + size, self.tie(argument)

    # ---- terms

    def terms(self, expression: Expr) -> list[Product]:
        """Return the terms of a sum in the order in which they are printed."""
        terms = list(flat(expression, Add))
        products = {term: self.product(term) for term in terms}
        in_index = any(map(self._is_index, terms))
        keys = {t: (self._term_rank(t, in_index), *self._size_key(t, products[t])) for t in terms}
        if all(self._is_fraction(product) for product in products.values()):
            # -t/x + (1 - t)/(1 - x): of two fractions the simpler one comes first, whatever its sign.
            return [products[t] for t in sorted(terms, key=lambda t: keys[t][1:])]
        terms.sort(key=keys.__getitem__)
        positive = [t for t in terms if not products[t].negative]
        # A positive term leads, unless only a penalty is positive: -Σ ... + (l/2)·Σ w².
        if positive and not (keys[positive[0]][0] >= _PENALTY and terms[0].has(Sum)):
            terms.remove(positive[0])
            terms.insert(0, positive[0])
        return [products[t] for t in terms]

    def _is_fraction(self, product: Product) -> bool:
        return any(not self.is_constant(factor) for factor in product.denominator)

    def _size_key(self, term: Expr, product: Product) -> tuple[int, bool, list[tuple[str, int]], str]:
        size = 0 if self._is_index(term) else _complexity(term)
        names = sorted({self._layered(name_of(read)) for read in self.reads(term)})
        return size, product.negative, names, self.tie(term)

    @staticmethod
    def _layered(name: str) -> tuple[str, int]:
        glyph = split_name(name)
        return glyph.word, int(glyph.layer or 0)

    def _is_index(self, term: Expr) -> bool:
        """Whether ``term`` is part of an index such as 2·h + u: those are ordered by letter."""
        return not (self.reads(term) or term.is_number) and bool(term.is_integer)

    def _term_rank(self, term: Expr, in_index: bool) -> int:
        """Data before parameters, before penalties and constants; a number comes first or last."""
        if term.is_number:
            return _FIRST if term.is_positive and not in_index else _LAST
        names = {name_of(read) for read in self.reads(term)}
        if not names:
            return _DATA if self._is_index(term) else _CONSTANT
        if names - self.notation.parameters:
            return _DATA
        has_constant = any(self.is_constant(f) and not f.is_number for f in flat(term, Mul))
        return _PENALTY if has_constant or term.has(Sum) else _PARAMETER


_FIRST, _DATA, _PARAMETER, _PENALTY, _CONSTANT, _LAST = range(6)


def _complexity(expression: Basic) -> int:
    if isinstance(expression, Indexed) or not expression.args:
        return 1
    return 1 + sum(_complexity(argument) for argument in expression.args)


# ------------------------------------------------------------------------------------- printer


class Level(IntEnum):
    """How tightly a printed piece holds together; brackets are set around what is too loose."""

    SUM = 0
    PRODUCT = 1
    FACTOR = 2  # may stand in a product, not under a power: ∂E/∂s, Σ_i ..., a LaTeX fraction
    POWER = 3
    ATOM = 4


class Piece(NamedTuple):
    """A printed expression.  An open piece, such as Σ_i x[i], would swallow a factor behind it."""

    text: str
    level: Level = Level.ATOM
    open: bool = False


class Printer(ABC):
    """The layout that both formats share; a format adds its marks."""

    def __init__(self, notation: Notation) -> None:
        self.notation = notation
        self.order = Order(notation, self.tie)
        self._known: dict[Basic, Piece] = {}

    def tie(self, expression: Basic) -> str:
        """Return the text that decides the order of equals: the same in every format."""
        return self.show(expression)

    # ---- marks

    @abstractmethod
    def bracket(self, inside: str) -> str:
        """Return ``inside`` in round brackets."""

    big_brackets: ClassVar[tuple[str, str]]
    """The brackets around what may go on in the next line."""

    @abstractmethod
    def between(self, left: str, right: str) -> str:
        """Return the mark between two printed factors."""

    @abstractmethod
    def layout(self, product: Product) -> list[Expr | Piece]:
        """Return a product without its sign as factors; what stands in a fraction is one piece."""

    @abstractmethod
    def symbol(self, name: str) -> Piece:
        """Return a constant, a size or an index."""

    @abstractmethod
    def component(self, name: str, indices: Sequence[Expr]) -> Piece:
        """Return a component of a quantity."""

    @abstractmethod
    def number(self, value: Expr) -> Piece:
        """Return a number that is neither negative nor a fraction."""

    @abstractmethod
    def power(self, base: Expr, exponent: Expr) -> Piece:
        """Return a power whose exponent has no minus."""

    @abstractmethod
    def big_sum(self, letters: Sequence[str], body: str) -> str:
        """Return the sum of ``body`` over ``letters``."""

    @abstractmethod
    def partial(self, above: Piece, below: Sequence[tuple[str, int]]) -> Piece:
        """Return a partial derivative of ``above``; ``below`` holds variables and their orders."""

    @abstractmethod
    def cases(self, branches: Sequence[tuple[str, str | None]]) -> Piece:
        """Return a choice; ``branches`` holds values and their conditions, None for otherwise."""

    @abstractmethod
    def delta(self, indices: Sequence[Expr]) -> str:
        """Return a Kronecker delta."""

    @abstractmethod
    def function(self, name: str, arguments: Sequence[Expr]) -> Piece:
        """Return a function of ``arguments``."""

    @abstractmethod
    def absolute(self, inside: str) -> str:
        """Return the absolute value of ``inside``."""

    @abstractmethod
    def relation(self, operator: str) -> str:
        """Return the mark for an operator such as ``>=``."""

    @abstractmethod
    def word(self, key: str) -> str:
        """Return a word of the language inside a formula."""

    # ---- layout

    def show(self, expression: Basic) -> str:
        """Return ``expression`` as a string."""
        return self.piece(expression).text

    def piece(self, expression: Basic) -> Piece:
        """Return ``expression`` printed, with what is needed to set brackets around it."""
        if expression not in self._known:
            layout = next((m for kind, m in _LAYOUTS if isinstance(expression, kind)), _other)
            self._known[expression] = layout(self, expression)
        return self._known[expression]

    def at_least(self, expression: Expr, level: Level) -> str:
        """Return ``expression`` with brackets unless it holds together as ``level`` asks."""
        piece = self.piece(expression)
        return self.bracket(piece.text) if piece.level < level else piece.text

    def join(self, pieces: Sequence[Piece], closed: bool = False) -> Piece:
        """Return ``pieces`` multiplied; ``closed`` where something follows that binds as tightly."""
        texts, is_open = self._factor_texts(pieces, closed)
        if len(pieces) == 1:
            return pieces[0] if texts[0] == pieces[0].text else Piece(texts[0])
        return Piece("".join(self._marked(texts)), Level.PRODUCT, is_open)

    def _factor_texts(self, pieces: Sequence[Piece], closed: bool) -> tuple[list[str], bool]:
        """Return the factors with their brackets, and whether the last one is open."""
        texts, is_open = [], False
        alone = Level.PRODUCT if len(pieces) == 1 else Level.FACTOR
        for n, piece in enumerate(pieces, start=1):
            last = n == len(pieces)
            level = Level.POWER if closed and last else alone
            loose = piece.level < level or (piece.open and (closed or not last))
            texts.append(self.bracket(piece.text) if loose else piece.text)
            is_open = piece.open and not loose
        return texts, is_open

    def _marked(self, texts: Sequence[str]) -> list[str]:
        """Return factors, each with the mark that joins it to the one before."""
        return [texts[0], *(self.between(a, b) + b for a, b in pairwise(texts))]

    def chain(self, factors: Sequence[Expr], closed: bool = False) -> Piece:
        """Return ``factors`` multiplied in the given order; without any it is 1."""
        return self.join([self.piece(f) for f in factors or (S.One,)], closed)

    def unsigned(self, product: Product) -> Piece:
        """Return a term without its sign, so that a sign can be set before it."""
        return self.join(self._pieces(self.layout(product)))

    def _pieces(self, layout: Sequence[Expr | Piece]) -> list[Piece]:
        return [part if isinstance(part, Piece) else self.piece(part) for part in layout]

    def _signed(self, expression: Expr) -> Piece:
        product = self.order.product(expression)
        body = self.unsigned(product)
        return Piece("-" + body.text, Level.SUM, body.open) if product.negative else body

    # ---- parts between which a line may end

    def chunks(self, expression: Expr, depth: int = 0) -> list[str]:
        """Return ``expression`` in parts between which a line may end.

        These are its terms or, if there is only one, its factors; with ``depth`` also the terms
        inside of so many nested brackets.
        """
        products = list(self._products(expression))
        chunks = []
        for mark, product in products:
            parts = self._factors(product, depth, len(products) == 1)
            chunks += [mark + parts[0], *parts[1:]]
        return chunks

    def _products(self, expression: Expr) -> Iterator[tuple[str, Product]]:
        """Yield the terms, each with the sign that joins it to the one before."""
        is_sum = isinstance(expression, Add)
        products = self.order.terms(expression) if is_sum else [self.order.product(expression)]
        for n, product in enumerate(products):
            sign = "-" if product.negative else "+"
            yield f" {sign} " if n else sign.replace("+", ""), product

    def _factors(self, product: Product, depth: int, between_factors: bool) -> list[str]:
        layout = self.layout(product)
        texts, _ = self._factor_texts(self._pieces(layout), closed=False)
        marks = ["", *(self.between(a, b) for a, b in pairwise(texts))]
        chunks: list[str] = []
        for n, (factor, text) in enumerate(zip(layout, texts, strict=True)):
            first, *rest = self._inside(factor, text, depth, between_factors and len(layout) == 1)
            # A line ends neither behind a number nor, inside of brackets, between two factors.
            if not chunks or (between_factors and not isinstance(layout[n - 1], Number)):
                chunks.append(marks[n] + first)
            else:
                chunks[-1] += marks[n] + first
            chunks += rest
        return chunks

    def _inside(self, factor: Expr | Piece, text: str, depth: int, between_factors: bool) -> list[str]:
        """Return a factor in parts; ``text`` is the whole of it, with brackets where it needs them."""
        if isinstance(factor, Add) and depth:
            return self._in_brackets(self.chunks(factor, depth - 1))
        if not isinstance(factor, Sum):
            return [text]
        body = factor.function
        if isinstance(body, Add) and depth:
            inside = self._in_brackets(self.chunks(body, depth - 1))
        elif isinstance(body, Add) or self.order.product(body).negative:
            return [text]
        else:
            inside = self._factors(self.order.product(body), depth, between_factors)
        parts = [self.big_sum(self._letters(factor), inside[0]), *inside[1:]]
        return parts if text == self.show(factor) else self._in_brackets(parts)

    def _in_brackets(self, parts: Sequence[str]) -> list[str]:
        if len(parts) == 1:
            return [self.bracket(parts[0])]
        left, right = self.big_brackets
        return [left + parts[0], *parts[1:-1], parts[-1] + right]

    def _read(self, read: Expr) -> Piece:
        name = name_of(read)
        quantity = self.notation.adjoints.get(name)
        if quantity is None:
            return self.component(name, indices_of(read))
        indices = indices_of(read)
        # An index more than the quantity has tells the sample: ∂E[n]/∂s2[n,i] is of that sample's E.
        sample = indices[: max(len(indices) - self.notation.axes.get(quantity, len(indices)), 0)]
        below = self.component(quantity, indices).text
        return self.partial(self.component(self.notation.loss, sample), [(below, 1)])

    def _symbol(self, symbol: Symbol) -> Piece:
        return self._read(symbol) if self.order.is_read(symbol) else self.symbol(symbol.name)

    def _sum_of_terms(self, expression: Add) -> Piece:
        terms = (mark + self.unsigned(product).text for mark, product in self._products(expression))
        return Piece("".join(terms), Level.SUM)

    def _number(self, value: Expr) -> Piece:
        if value.is_negative:
            return Piece("-" + self._number(-value).text, Level.SUM)
        above, below = _fraction(value)
        return self.number(above) if below == 1 else self.unsigned(Product(False, (above,), (below,)))

    def _power(self, expression: Pow) -> Piece:
        if expression.exp.could_extract_minus_sign():
            return self._signed(expression)
        return self.power(expression.base, expression.exp)

    def _big_sum(self, expression: Sum) -> Piece:
        if self.order.is_negative_throughout(expression.function):
            return self._signed(expression)
        body = self.at_least(expression.function, Level.PRODUCT)
        return Piece(self.big_sum(self._letters(expression), body), Level.FACTOR, open=True)

    def _letters(self, expression: Sum) -> list[str]:
        return [self.symbol(i.name).text for i in summed_indices(expression)]

    def _derivative(self, expression: Derivative) -> Piece:
        below = [(self.show(variable), int(count)) for variable, count in expression.variable_count]
        above = self.piece(expression.expr)
        return self.partial(
            above if self.order.is_read(expression.expr) else Piece(above.text, Level.SUM), below
        )

    def _cases(self, expression: Piecewise) -> Piece:
        return self.cases(
            [(self.show(v), None if c == S.true else self.condition(c)) for v, c in expression.args]
        )

    def _jump(self, expression: Heaviside) -> Piece:
        """Two equal arguments of Max share its slope, so the middle of the jump is a half."""
        at, middle = expression.args
        left, right = _sides(at)
        equal = self._relation(left, "==", right)
        branches = [("1", self._relation(left, ">", right)), (self.show(middle), equal), ("0", None)]
        return self.cases(branches)

    def _absolute(self, expression: Abs) -> Piece:
        return Piece(self.absolute(self.show(self.order.output_first(expression.args[0]))))

    def _choice(self, expression: Max | Min) -> Piece:
        arguments = sorted(expression.args, key=self.order.argument_key)
        return self.function(type(expression).__name__.lower(), arguments)

    # ---- conditions

    def condition(self, condition: Basic, inside: bool = False) -> str:
        """Return a condition; ``inside`` another one it gets brackets where it needs them."""
        if isinstance(condition, Relational):
            return self._relation(condition.lhs, condition.rel_op, condition.rhs)
        if isinstance(condition, Not):
            return f"{self.word('not')} {self.condition(condition.args[0], inside=True)}"
        if isinstance(condition, And):
            text = f" {self.word('and')} ".join(self._bounds(condition))
        elif isinstance(condition, Or):
            parts = sorted(condition.args, key=self.tie)
            text = f" {self.word('or')} ".join(self.condition(c, inside=True) for c in parts)
        else:
            return self.show(condition)
        return self.bracket(text) if inside else text

    def _relation(self, left: Expr, operator: str, right: Expr) -> str:
        return f"{self.show(left)} {self.relation(operator)} {self.show(right)}"

    def _bounds(self, condition: And) -> list[str]:
        """Return the parts of ``condition``; two bounds of one expression become a chain."""
        parts, left = [], sorted(condition.args, key=self.tie)
        while left:
            first = left.pop(0)
            pairs = [(c, pair) for c in left for pair in ((first, c), (c, first)) if _meet(*pair)]
            if pairs:
                partner, (lower, upper) = pairs[0]
                left.remove(partner)
                tail = f" {self.relation(_upwards(upper)[1])} {self.show(_upwards(upper)[2])}"
                parts.append(self._relation(*_upwards(lower)) + tail)
            else:
                parts.append(self.condition(first, inside=True))
        return parts


def _upwards(bound: Relational) -> tuple[Expr, str, Expr]:
    return bound.lts, "<" if isinstance(bound, (Lt, Gt)) else "<=", bound.gts


def _meet(lower: Basic, upper: Basic) -> bool:
    bounds = (Lt, Le, Gt, Ge)
    return isinstance(lower, bounds) and isinstance(upper, bounds) and lower.gts == upper.lts


def _sides(difference: Expr) -> tuple[Expr, Expr]:
    """Return the two sides of ``difference > 0`` with no minus on either."""
    terms = list(flat(difference, Add))
    right = [-t for t in terms if t.could_extract_minus_sign()]
    left = [t for t in terms if not t.could_extract_minus_sign()]
    return Add(*left), Add(*right)


def summed_indices(expression: Sum) -> list[Symbol]:
    """Return the summed indices in the order of the axes that they run over: Σ_{n,i} of x[n,i]."""
    letters = [limit[0] for limit in expression.limits]
    reads = sorted(expression.function.atoms(Indexed), key=lambda r: (name_of(r), str(r.indices)))
    widest = max(reads, key=lambda r: len(set(letters) & set(r.indices)), default=None)
    axes = [i for i in indices_of(widest) if i in letters] if widest is not None else []
    return list(dict.fromkeys([*axes, *letters]))


def _other(printer: Printer, expression: Basic) -> Piece:
    if isinstance(expression, AnyFunction):
        return printer.function(type(expression).__name__, expression.args)
    return Piece(str(expression))


_LAYOUTS: tuple[tuple[type | tuple[type, ...], Callable[..., Piece]], ...] = (
    (Indexed, Printer._read),
    (Symbol, Printer._symbol),
    ((Rational, Float), Printer._number),
    (NumberSymbol, lambda printer, constant: printer.number(constant)),
    (Add, Printer._sum_of_terms),
    (Mul, Printer._signed),
    (Pow, Printer._power),
    (Sum, Printer._big_sum),
    (Derivative, Printer._derivative),
    (Piecewise, Printer._cases),
    (Heaviside, Printer._jump),
    ((Max, Min), Printer._choice),
    (Abs, Printer._absolute),
    (KroneckerDelta, lambda printer, of: Piece(printer.delta(of.args))),
    ((Relational, And, Or, Not), lambda printer, of: Piece(printer.condition(of), Level.SUM)),
)


# ---------------------------------------------------------------------------------------- text

_SUPERSCRIPTS = {"1": "", "2": "²", "3": "³"}
_TEXT_SYMBOLS = {"l1": "λ₁", "l2": "λ₂"}
_TEXT_NUMBERS = {S.Pi: "π", S.Exp1: "e"}
_TEXT_RELATIONS = {"==": "=", "!=": "≠", ">=": "≥", "<=": "≤"}
_TEXT_FUNCTIONS = {"atan": "arctan", "asin": "arcsin", "acos": "arccos", "asinh": "arsinh"}


class TextPrinter(Printer):
    """One line of Unicode; quantities are named as in Python: ``Σ_k x0[k]·w1[k,j]``."""

    def bracket(self, inside: str) -> str:
        return f"({inside})"

    big_brackets = ("(", ")")

    def between(self, left: str, right: str) -> str:
        return "·"

    def layout(self, product: Product) -> list[Expr | Piece]:
        numerator, denominator = list(product.numerator), list(product.denominator)
        if not denominator:
            return list(numerator) or [S.One]
        if numerator and isinstance(numerator[-1], Sum):
            constants = all(map(self.order.is_constant, (*numerator[:-1], *denominator)))
            if constants:  # (l/2)·Σ_i ... rather than (Σ_i ...)·l/2
                share = self._fraction(numerator[:-1], denominator).text
                share = "½" if share == "1/2" else f"({share})"
                return [Piece(share), numerator[-1]]
        return [self._fraction(numerator, denominator)]

    def _fraction(self, numerator: Sequence[Expr], denominator: Sequence[Expr]) -> Piece:
        above = self.chain(numerator, closed=True).text
        if len(denominator) > 1:
            return Piece(f"{above}/{self.bracket(self.chain(denominator).text)}", Level.PRODUCT)
        below = self.piece(denominator[0])
        if isinstance(denominator[0], Sum):  # nothing follows a denominator: a sum may stay open
            return Piece(f"{above}/{below.text}", Level.PRODUCT, open=True)
        return Piece(f"{above}/{self.at_least(denominator[0], Level.POWER)}", Level.PRODUCT)

    def symbol(self, name: str) -> Piece:
        return Piece(_TEXT_SYMBOLS.get(name, name))

    def component(self, name: str, indices: Sequence[Expr]) -> Piece:
        inside = ",".join(self.show(i).replace(" ", "") for i in indices)
        return Piece(f"{name}[{inside}]" if indices else name)

    def number(self, value: Expr) -> Piece:
        if isinstance(value, Float):
            return Piece(repr(float(value)))
        if isinstance(value, Rational):
            return Piece(decimal(value) or str(value))
        return Piece(_TEXT_NUMBERS.get(value, str(value)))

    def power(self, base: Expr, exponent: Expr) -> Piece:
        if exponent == S.Half:
            return self.function("sqrt", (base,))
        shown = self.show(exponent)
        plain = self.piece(exponent).level == Level.ATOM and not isinstance(exponent, Indexed)
        mark = _SUPERSCRIPTS.get(shown) or (f"^{shown}" if plain else f"^({shown})")
        return Piece(self.at_least(base, Level.ATOM) + mark, Level.POWER)

    def big_sum(self, letters: Sequence[str], body: str) -> str:
        below = letters[0] if len(letters) == 1 else "{" + ",".join(letters) + "}"
        return f"Σ_{below} {body}"

    def partial(self, above: Piece, below: Sequence[tuple[str, int]]) -> Piece:
        order = str(sum(count for _, count in below))
        top = above.text if above.level == Level.ATOM else self.bracket(above.text)
        bottom = "".join(f"∂{name}{_order_mark(str(count))}" for name, count in below)
        return Piece(f"∂{_order_mark(order)}{top}/{bottom}", Level.FACTOR)

    def cases(self, branches: Sequence[tuple[str, str | None]]) -> Piece:
        words = self.notation.words
        parts = [f"{v} {words['otherwise']}" if c is None else f"{v} {words['if']} {c}" for v, c in branches]
        return Piece("{ " + "; ".join(parts) + " }")

    def delta(self, indices: Sequence[Expr]) -> str:
        return f"δ({','.join(self._delta_indices(indices))})"

    def _delta_indices(self, indices: Sequence[Expr]) -> list[str]:
        return sorted(self.show(i).replace(" ", "") for i in indices)

    def function(self, name: str, arguments: Sequence[Expr]) -> Piece:
        return Piece(f"{_TEXT_FUNCTIONS.get(name, name)}({', '.join(map(self.show, arguments))})")

    def absolute(self, inside: str) -> str:
        return f"|{inside}|"

    def relation(self, operator: str) -> str:
        return _TEXT_RELATIONS.get(operator, operator)

    def word(self, key: str) -> str:
        return self.notation.words[key]


def _order_mark(order: str) -> str:
    mark = _SUPERSCRIPTS.get(order)
    return f"^{order}" if mark is None else mark


# --------------------------------------------------------------------------------------- LaTeX

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_LATEX_WORDS = {word: "\\" + word for word in _GREEK.split()}
_LATEX_WORDS |= {"lam": r"\lambda", "eps": r"\varepsilon", "epsilon": r"\varepsilon"}
_LATEX_WORDS |= {"learning_rate": r"\eta", "momentum": r"\mu", "weight_decay": r"\lambda", "step": "k"}
_OPERATORS = ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min")
_LATEX_FUNCTIONS = {name: "\\" + name for name in _OPERATORS}
_LATEX_FUNCTIONS |= {"atan": r"\arctan", "asin": r"\arcsin", "acos": r"\arccos"}
_LATEX_NUMBERS = {S.Pi: r"\pi", S.Exp1: "e"}
_LATEX_RELATIONS = {"==": "=", "!=": r"\ne", ">=": r"\ge", "<=": r"\le"}
_LONG_EXPONENT = 8  # nodes; a longer exponent is too small to read


def latex_word(word: str) -> str:
    """Return a letter, a Greek letter by its name, or an upright word."""
    if len(word) == 1:
        return word
    upright = word.strip("_").replace("_", r"\_")
    return _LATEX_WORDS.get(word) or rf"\mathrm{{{upright}}}"


class LatexPrinter(Printer):
    """LaTeX for amsmath, MathJax and KaTeX: ``\\sum_{k} x^{(0)}_{k} w^{(1)}_{kj}``."""

    def __init__(self, notation: Notation) -> None:
        self._text = TextPrinter(notation)
        super().__init__(notation)

    def tie(self, expression: Basic) -> str:
        return self._text.show(expression)

    def bracket(self, inside: str) -> str:
        return rf"\left({inside}\right)"

    big_brackets = (r"\biggl(", r"\biggr)")

    def between(self, left: str, right: str) -> str:
        fractions = left.startswith(r"\frac") and right.startswith(r"\frac")
        return r" \cdot " if fractions or right[0].isdigit() else " "

    def layout(self, product: Product) -> list[Expr | Piece]:
        numerator, denominator = list(product.numerator), list(product.denominator)
        if not denominator:
            return list(numerator) or [S.One]
        if all(map(self.order.is_constant, denominator)):
            share = [f for f in numerator if self.order.is_constant(f)]
            rest = [f for f in numerator if f not in share]
            if rest and (share or not self._is_plain(rest)):
                return [self._fraction(share, denominator), *rest]
        before = [f for f in numerator if self._stands_apart(f)]
        after = [f for f in numerator if isinstance(f, Piecewise)]
        above = [f for f in numerator if f not in before and f not in after]
        return [*before, self._fraction(above, denominator), *after]

    def _is_plain(self, factors: Sequence[Expr]) -> bool:
        """Whether s/6 is to stand as one fraction, where ½ (x - t)² keeps its number in front."""
        first = factors[0].base if isinstance(factors[0], Pow) else factors[0]
        return len(factors) == 1 and self.order.is_read(first) and not self.order.is_adjoint(first)

    def _stands_apart(self, factor: Expr) -> bool:
        """Whether a factor stands before a fraction, because it holds one itself."""
        error_sum = isinstance(factor, Sum) and self.order.carries_error(factor)
        return error_sum or isinstance(factor, Derivative) or self.order.is_adjoint(factor)

    def _fraction(self, numerator: Sequence[Expr], denominator: Sequence[Expr]) -> Piece:
        return Piece(rf"\frac{{{self._bare(numerator)}}}{{{self._bare(denominator)}}}", Level.FACTOR)

    def _bare(self, factors: Sequence[Expr]) -> str:
        return self.show(factors[0]) if len(factors) == 1 else self.chain(factors).text

    def symbol(self, name: str) -> Piece:
        plain = name.rstrip("'")
        primes = name[len(plain) :]
        glyph = Glyph("lambda", plain[1]) if plain in _TEXT_SYMBOLS else split_name(plain)
        word = latex_word(glyph.word)
        return Piece((word if glyph.layer is None else f"{word}_{{{glyph.layer}}}") + primes)

    def component(self, name: str, indices: Sequence[Expr]) -> Piece:
        glyph = self.notation.glyph(name)
        word = latex_word(glyph.word)
        layer = "" if glyph.layer is None else f"^{{({glyph.layer})}}"
        below = f"_{{{self._indices(indices)}}}" if indices else ""
        # What carries a superscript already needs brackets before it can carry a power.
        return Piece(word + layer + below, Level.POWER if layer else Level.ATOM)

    def _indices(self, indices: Sequence[Expr]) -> str:
        shown = [self.show(i) for i in indices]
        letters = all(len(s) == 1 and s.isalpha() for s in shown)
        return ("" if letters else ",").join(shown)

    def number(self, value: Expr) -> Piece:
        if value in _LATEX_NUMBERS:
            return Piece(_LATEX_NUMBERS[value])
        mantissa, found, exponent = self._text.number(value).text.partition("e")
        if not found:
            return Piece(mantissa)
        power = f"10^{{{int(exponent)}}}"
        return Piece(power if mantissa == "1" else rf"{mantissa} \cdot {power}", Level.POWER)

    def power(self, base: Expr, exponent: Expr) -> Piece:
        if exponent == S.Half:
            return Piece(rf"\sqrt{{{self.show(base)}}}")
        # A fraction in an exponent stands on one line: x^{3/2}.
        shown = self._text.show(exponent) if isinstance(exponent, Rational) else self.show(exponent)
        name = type(base).__name__
        if name in _LATEX_FUNCTIONS and name != "exp" and isinstance(exponent, Integer):
            return self._function(name, base.args, shown)  # tanh^{2} s, as in textbooks
        return Piece(f"{self.at_least(base, Level.ATOM)}^{{{shown}}}", Level.POWER)

    def big_sum(self, letters: Sequence[str], body: str) -> str:
        return rf"\sum_{{{','.join(letters)}}} {body}"

    def partial(self, above: Piece, below: Sequence[tuple[str, int]]) -> Piece:
        total = sum(count for _, count in below)
        order = "" if total == 1 else f"^{{{total}}}"
        marks = [rf"\partial {name}" + ("" if n == 1 else f"^{{{n}}}") for name, n in below]
        bottom = r" \, ".join(marks)
        if above.level >= Level.POWER:
            return Piece(rf"\frac{{\partial{order} {above.text}}}{{{bottom}}}", Level.FACTOR)
        text = rf"\frac{{\partial{order}}}{{{bottom}}} {self.bracket(above.text)}"
        return Piece(text, Level.FACTOR, open=True)

    def cases(self, branches: Sequence[tuple[str, str | None]]) -> Piece:
        words = self.notation.words
        lines = [
            rf"{v} & \text{{{words['otherwise']}}}" if c is None else rf"{v} & \text{{{words['if']} }} {c}"
            for v, c in branches
        ]
        inside = r" \\ ".join(lines)
        return Piece(rf"\begin{{cases}} {inside} \end{{cases}}", Level.FACTOR, open=True)

    def delta(self, indices: Sequence[Expr]) -> str:
        ordered = sorted(indices, key=self.tie)
        return rf"\delta_{{{self._indices(ordered)}}}"

    def function(self, name: str, arguments: Sequence[Expr]) -> Piece:
        return self._function(name, arguments, "")

    def _function(self, name: str, arguments: Sequence[Expr], exponent: str) -> Piece:
        if name == "exp" and self._is_short(arguments[0]):
            return Piece(f"e^{{{self.show(arguments[0])}}}", Level.POWER)
        mark = _LATEX_FUNCTIONS.get(name) or latex_word(name)
        mark += f"^{{{exponent}}}" if exponent else ""
        if name in _LATEX_FUNCTIONS and len(arguments) == 1 and self.order.is_read(arguments[0]):
            return Piece(f"{mark} {self.show(arguments[0])}", Level.FACTOR, open=True)
        return Piece(mark + self.bracket(", ".join(map(self.show, arguments))), Level.POWER)

    def _is_short(self, exponent: Expr) -> bool:
        tall = exponent.has(Sum, Derivative, Piecewise) or self.order.product(exponent).denominator
        return not tall and _complexity(exponent) <= _LONG_EXPONENT

    def absolute(self, inside: str) -> str:
        return rf"\left\lvert {inside} \right\rvert"

    def relation(self, operator: str) -> str:
        return _LATEX_RELATIONS.get(operator, operator)

    def word(self, key: str) -> str:
        return rf"\text{{ {self.notation.words[key]} }}"


def text(expression: Basic, notation: Notation) -> str:
    """Return ``expression`` as one line of Unicode: ``Σ_k x0[k]·w1[k,j]``, ``∂E/∂s2[i]``."""
    return TextPrinter(notation).show(expression)


def latex(expression: Basic, notation: Notation) -> str:
    """Return ``expression`` as LaTeX, without dollars."""
    return LatexPrinter(notation).show(expression)
