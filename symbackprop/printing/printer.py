"""The layout that all formats share: where brackets, signs and marks stand.

In go a ``Notation`` and an expression, out comes a ``Piece``; a format gives the marks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar, NamedTuple

from sympy import (
    Abs,
    Add,
    And,
    Basic,
    Derivative,
    Eq,
    Expr,
    Float,
    Ge,
    Gt,
    Heaviside,
    Indexed,
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
    expand,
    sift,
)
from sympy import Function as AnyFunction
from sympy.core.relational import Relational

from symbackprop.equations.functions import Quotient
from symbackprop.equations.struck import Struck
from symbackprop.equations.system import ArgMax, indices_of, is_index, is_size, name_of
from symbackprop.printing.brackets import Level, closed
from symbackprop.printing.notation import Notation
from symbackprop.printing.order import Order, Product, flat, fraction, summed_indices

Component = tuple[str, Sequence[Expr]]
"""The name of a quantity, and the indices of a component of it."""


class Piece(NamedTuple):
    """A printed expression, and how tightly it holds together.

    An open piece, such as Σ_i x[i], would swallow a factor behind it.
    """

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
    """The brackets around a part that may go on in the next line."""

    @abstractmethod
    def between(self, left: str, right: str) -> str:
        """Return the mark between two printed factors."""

    @abstractmethod
    def layout(self, product: Product) -> list[Expr | Piece]:
        """Return a product without its sign as factors; the factors of a fraction are one piece."""

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
    def big_sum_between(self, letter: str, first: int, last: int, body: str) -> str:
        """Return the sum of ``body``, with its brackets, over ``letter`` from first to last."""

    @abstractmethod
    def place_of_largest(self, letter: str, body: str) -> str:
        """Return the value of the index ``letter`` at which ``body`` is largest."""

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
    def struck(self, inside: str) -> str:
        """Return a factor that is struck out."""

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
        """Return ``expression`` printed, with the data needed to set brackets around it."""
        if expression not in self._known:
            layout = next((m for kind, m in _LAYOUTS if isinstance(expression, kind)), _other)
            self._known[expression] = layout(self, expression)
        return self._known[expression]

    def at_least(self, expression: Expr, level: Level) -> str:
        """Return ``expression`` with brackets unless it holds together as ``level`` asks."""
        return self.closed(self.piece(expression), level)

    def closed(self, piece: Piece, level: Level) -> str:
        """Return the text of a piece, with brackets unless it holds together as ``level`` asks."""
        return closed(piece.text, piece.level, level, self.bracket)

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

    def sum_of_layers(self, term: Expr, letter: str, layers: Sequence[int]) -> str:
        """Return the sum of a term of each layer, printed as that of the layer ``letter``."""
        constants = [f for f in flat(term, Mul) if self.order.is_constant(f)]
        rest = Mul(*[f for f in flat(term, Mul) if f not in constants])
        body = self.at_least(rest, Level.PRODUCT)
        total = self.big_sum_between(self.symbol(letter).text, min(layers), max(layers), body)
        before = [self.piece(Mul(*constants))] if constants else []
        return self.join([*before, Piece(total, Level.FACTOR, open=True)]).text

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
        layout = self._layout_in_parts(product) if depth and between_factors else self.layout(product)
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

    def _layout_in_parts(self, product: Product) -> list[Expr | Piece]:
        """Return a product as factors; no line may end in a fraction, so a sum above it stands behind it."""
        sums = [factor for factor in product.numerator if isinstance(factor, Add)]
        other = any(isinstance(factor, Sum) for factor in product.numerator)
        if len(sums) != 1 or other or not product.denominator:
            return self.layout(product)
        rest = tuple(factor for factor in product.numerator if factor is not sums[0])
        return [*map(self.share, self.layout(Product(False, rest, product.denominator))), sums[0]]

    def share(self, factor: Expr | Piece) -> Expr | Piece:
        """Return a factor that stands before others; a fraction on one line needs brackets there."""
        return factor

    def _inside(self, factor: Expr | Piece, text: str, depth: int, between_factors: bool) -> list[str]:
        """Return a factor in parts; ``text`` is the whole of it, with brackets where it needs them."""
        if isinstance(factor, Add) and depth:
            return self._in_brackets(self.chunks(factor, depth - 1))
        if isinstance(factor, Piecewise):
            return self.split_cases(text)
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

    def split_cases(self, cases: str) -> list[str]:
        """Return printed cases in parts between which a line may end; by default they are one."""
        return [cases]

    def _in_brackets(self, parts: Sequence[str]) -> list[str]:
        if len(parts) == 1:
            return [self.bracket(parts[0])]
        left, right = self.big_brackets
        return [left + parts[0], *parts[1:-1], parts[-1] + right]

    def _read(self, read: Expr) -> Piece:
        name = name_of(read)
        quantity = self.notation.adjoints.get(name)
        whole = self.notation.whole
        if quantity is None or name in self.notation.delta_names:
            return self._value(name, whole(name, indices_of(read)))
        indices, loss = indices_of(read), self.notation.loss
        # An index more than the quantity has tells the sample: ∂E[n]/∂s2[n,i] is of that sample's E.
        sample = indices[: max(len(indices) - self.notation.axes.get(quantity, len(indices)), 0)]
        return self._slope((loss, whole(loss, sample)), (quantity, whole(quantity, indices)))

    def _value(self, name: str, indices: Sequence[Expr]) -> Piece:
        """Return a component of a quantity; one that is a derivative of others is printed as that."""
        meaning = self.notation.derivatives.get(name)
        if meaning is None:
            return self.component(name, indices)
        own = indices_of(meaning.at)
        extra = tuple(indices[: len(indices) - len(own)])
        places = dict(zip(own, indices[len(extra) :], strict=True))
        of, to = (self._placed(each, extra, places) for each in (meaning.of, meaning.to))
        return self._slope(of, to)

    def _placed(self, component: Expr, extra: tuple[Expr, ...], places: Mapping[Expr, Expr]) -> Component:
        """Return a component at other places; ``extra`` is the sample, where it is not known to have none."""
        name = name_of(component)
        sample = () if name in self.notation.parameters else extra
        return name, (*sample, *(i.xreplace(places) for i in indices_of(component)))

    def _slope(self, of: Component, to: Component) -> Piece:
        """Return the derivative of a component for another one.

        That of ∂E/∂w for another parameter is a second derivative of E.  Between, what is held matters: there
        it stays what it is, the derivative of one quantity for another.
        """
        below = [to]
        meaning = self.notation.derivatives.get(of[0])
        if meaning is not None and self._is_given(to[0]) and self._is_given(name_of(meaning.to)):
            own = indices_of(meaning.at)
            extra = tuple(of[1][: len(of[1]) - len(own)])
            places = dict(zip(own, of[1][len(extra) :], strict=True))
            below = [self._placed(meaning.to, extra, places), to]
            of = self._placed(meaning.of, extra, places)
        shown = [self.closed(self._value(*each), Level.POWER) for each in below]
        return self.partial(self._value(*of), [(name, shown.count(name)) for name in dict.fromkeys(shown)])

    def _whole(self, read: Expr) -> Component:
        return name_of(read), self.notation.whole(name_of(read), indices_of(read))

    def _is_given(self, name: str) -> bool:
        """Whether no equation defines a quantity."""
        return self.notation.positions.get(name) == -1

    def _symbol(self, symbol: Symbol) -> Piece:
        return self._read(symbol) if self.order.is_read(symbol) else self.symbol(self.letter(symbol))

    def letter(self, symbol: Symbol) -> str:
        """Return the printed letter of an index, a size or a constant."""
        return self.notation.letters.get(symbol, str(symbol.name))

    def _sum_of_terms(self, expression: Add) -> Piece:
        terms = (mark + self.unsigned(product).text for mark, product in self._products(expression))
        return Piece("".join(terms), Level.SUM)

    def _number(self, value: Expr) -> Piece:
        if value.is_negative:
            return Piece("-" + self._number(-value).text, Level.SUM)
        above, below = fraction(value)
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

    def _place_of_largest(self, expression: ArgMax) -> Piece:
        body = self.at_least(expression.function, Level.PRODUCT)
        letter = self.symbol(self.letter(expression.limits[0][0])).text
        return Piece(self.place_of_largest(letter, body), Level.FACTOR, open=True)

    def _letters(self, expression: Sum) -> list[str]:
        return [self.symbol(self.letter(i)).text for i in summed_indices(expression)]

    def _derivative(self, expression: Derivative) -> Piece:
        of, counts = expression.expr, expression.variable_count
        if self.order.is_read(of) and name_of(of) in self.notation.derivatives and len(counts) == 1:
            to = counts[0][0]
            return self._slope(self._whole(of), self._whole(to))
        below = [(self.at_least(variable, Level.POWER), int(count)) for variable, count in counts]
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
            directed = _as_readers_know(self.order.directed(condition))
            return self._relation(directed.lhs, directed.rel_op, directed.rhs)
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

    def _range(self, one: Basic, other: Basic) -> str | None:
        """Return two bounds of one index as a range, 0 <= h + u - 1 < P; None if they are no such bounds."""
        rooms = [room for room in (_room(one), _room(other)) if room is not None]
        if len(rooms) < 2 or expand(rooms[0][0] + rooms[1][0]) != 0:
            return None
        (index, low), (_, high) = sorted(rooms, key=_as_lower)
        if low.is_number:  # 0 <= h + u - 1 rather than 1 <= h + u
            index, low, high = index + low, S.Zero, high + low
        below = high.as_coeff_Add()[0] == -1
        upper = f"{self.relation('<' if below else '<=')} {self.show(high + 1 if below else high)}"
        return f"{self._relation(-low, '<=', index)} {upper}"

    def _bounds(self, condition: And) -> list[str]:
        """Return the parts of ``condition``; two bounds of one expression become a chain."""
        parts, left = [], sorted(condition.args, key=self.tie)
        while left:
            first = left.pop(0)
            ranges = [(c, text) for c in left if (text := self._range(first, c)) is not None]
            if ranges:
                left.remove(ranges[0][0])
                parts.append(ranges[0][1])
                continue
            pairs = [(c, pair) for c in left for pair in ((first, c), (c, first)) if _meet(*pair)]
            if pairs:
                partner, (lower, upper) = pairs[0]
                left.remove(partner)
                tail = f" {self.relation(_upwards(upper)[1])} {self.show(_upwards(upper)[2])}"
                parts.append(self._relation(*_upwards(lower)) + tail)
            else:
                parts.append(self.condition(first, inside=True))
        return parts


def _room(bound: Basic) -> tuple[Expr, Expr] | None:
    """Return a bound between integers as ``letters + rest >= 0``; the rest is sizes and numbers."""
    if not isinstance(bound, (Lt, Le, Gt, Ge)) or not (bound.lhs.is_integer and bound.rhs.is_integer):
        return None
    terms = flat(expand(bound.gts - bound.lts - (1 if isinstance(bound, (Lt, Gt)) else 0)), Add)
    letters, rest = sift(terms, lambda t: not all(map(is_size, t.free_symbols)), binary=True)
    return Add(*letters), Add(*rest)


def _as_readers_know(bound: Relational) -> Relational:
    """Return t < T - 1 for t <= T - 2, and t = 0 for t <= 0; other relations stay."""
    if isinstance(bound, Le) and is_index(bound.lhs) and bound.rhs == 0:
        return Eq(bound.lhs, 0, evaluate=False)
    room = _room(bound) if isinstance(bound, Le) else None
    if room is None or room[1].is_number or room[1].as_coeff_Add()[0] >= 0:
        return bound
    return Lt(-room[0], room[1] + 1, evaluate=False)


def _as_lower(room: tuple[Expr, Expr]) -> tuple[bool, int, bool]:
    """Return the order in which bounds are taken for the lower one: 0 <= i - 2*h, and no minus in front."""
    index, rest = room
    return not rest.is_number, abs(int(rest)) if rest.is_number else 0, bool(index.could_extract_minus_sign())


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


def _other(printer: Printer, expression: Basic) -> Piece:
    if isinstance(expression, Quotient):
        return printer.function("floor", (Mul(expression.args[0], 1 / expression.args[1]),))
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
    (ArgMax, Printer._place_of_largest),
    (Derivative, Printer._derivative),
    (Piecewise, Printer._cases),
    (Heaviside, Printer._jump),
    ((Max, Min), Printer._choice),
    (Abs, Printer._absolute),
    (KroneckerDelta, lambda printer, of: Piece(printer.delta(of.args))),
    (Struck, lambda printer, of: Piece(printer.struck(printer.at_least(of.args[0], Level.FACTOR)))),
    ((Relational, And, Or, Not), lambda printer, of: Piece(printer.condition(of), Level.SUM)),
)
