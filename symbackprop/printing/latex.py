"""LaTeX for amsmath, MathJax and KaTeX.

In go an expression and a ``Notation``, out comes a formula without dollars.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sympy import Basic, Derivative, Expr, Integer, Piecewise, Pow, Rational, S, Sum

from symbackprop.equations.naming import Glyph, split_name
from symbackprop.printing.brackets import Level
from symbackprop.printing.notation import Notation
from symbackprop.printing.order import Product, complexity
from symbackprop.printing.printer import Piece, Printer
from symbackprop.printing.text import TEXT_SYMBOLS, TextPrinter

_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
_LATEX_WORDS = {word: "\\" + word for word in _GREEK.split()}
_LATEX_WORDS |= {"lam": r"\lambda", "eps": r"\varepsilon", "epsilon": r"\varepsilon"}
_LATEX_WORDS |= {
    "learning_rate": r"\eta",
    "momentum": r"\mu",
    "weight_decay": r"\lambda",
    "step": "k",
    "ℓ": r"\ell",
}
_OPERATORS = ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min")
_LATEX_FUNCTIONS = {name: "\\" + name for name in _OPERATORS}
_LATEX_FUNCTIONS |= {"atan": r"\arctan", "asin": r"\arcsin", "acos": r"\arccos"}
_LATEX_NUMBERS = {S.Pi: r"\pi", S.Exp1: "e"}
_LATEX_RELATIONS = {"==": "=", "!=": r"\ne", ">=": r"\ge", "<=": r"\le"}
_WORD = r"\mathrm{"
_LONG_EXPONENT = 8  # nodes; a longer exponent is too small to read


_OF_OPTIMIZERS = ("learning_rate", "momentum", "weight_decay", "step", "epsilon")
"""Names of optimisers that are printed as a letter."""


def latex_word(word: str) -> str:
    """Return a letter, a Greek letter by its name, or an upright word."""
    return _LATEX_WORDS.get(word) or (word if len(word) == 1 else _upright(word))


def _upright(word: str) -> str:
    escaped = word.lstrip("_").replace("_", r"\_")
    return rf"\mathrm{{{escaped}}}"


def _distinct(authored: Iterable[str]) -> dict[str, str]:
    """Return the LaTeX of words whose own another word has: of lam and lambda the second is λ.

    A letter by its full name comes first, then the author's names, then those of an optimiser.
    """
    taken: dict[str, str] = {}
    found = {}
    for word in dict.fromkeys(
        (*sorted(authored, key=lambda name: name not in _GREEK.split()), *_OF_OPTIMIZERS)
    ):
        if taken.setdefault(latex_word(word), word) != word:
            found[word] = _upright(word)
    return found


class LatexPrinter(Printer):
    """LaTeX for amsmath, MathJax and KaTeX: ``\\sum_{k} x^{(0)}_{k} w^{(1)}_{kj}``."""

    def __init__(self, notation: Notation) -> None:
        self._text = TextPrinter(notation)
        super().__init__(notation)
        glyphs = (notation.glyph(name).word if name in notation.axes else name for name in notation.authored)
        self._words = _distinct(dict.fromkeys(glyphs))

    def _word(self, word: str) -> str:
        return self._words.get(word) or latex_word(word)

    def tie(self, expression: Basic) -> str:
        return self._text.show(expression)

    def bracket(self, inside: str) -> str:
        return rf"\left({inside}\right)"

    big_brackets = (r"\biggl(", r"\biggr)")

    def between(self, left: str, right: str) -> str:
        fractions = left.startswith(r"\frac") and right.startswith(r"\frac")
        if fractions or right[0].isdigit():
            return r" \cdot "
        # names of several letters would run into each other
        return r" \, " if _WORD in (left if right.startswith("_") else left + right) else " "

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
        single = self.order.is_read(first) or self.order.is_moving(first)
        return len(factors) == 1 and single and not self.order.is_adjoint(first)

    def _stands_apart(self, factor: Expr) -> bool:
        """Whether a factor stands before a fraction, because it holds one itself."""
        error_sum = isinstance(factor, Sum) and self.order.carries_error(factor)
        return error_sum or isinstance(factor, Derivative) or self.order.is_adjoint(factor)

    def _fraction(self, numerator: Sequence[Expr], denominator: Sequence[Expr]) -> Piece:
        return Piece(rf"\frac{{{self._bare(numerator)}}}{{{self._bare(denominator)}}}", Level.FACTOR)

    def _bare(self, factors: Sequence[Expr]) -> str:
        return self.show(factors[0]) if len(factors) == 1 else self.chain(factors).text

    def symbol(self, name: str) -> Piece:
        if name in self.notation.layers:
            return Piece(f"{self._word(self.notation.glyph(name).word)}_{{{self._layer(name)}}}")
        plain = name.rstrip("'")
        primes = name[len(plain) :]
        if plain in self._words:
            return Piece(self._words[plain] + primes)
        glyph = Glyph("lambda", plain[1]) if plain in TEXT_SYMBOLS else split_name(plain)
        word = self._word(glyph.word)
        return Piece((word if glyph.layer is None else f"{word}_{{{glyph.layer}}}") + primes)

    def component(self, name: str, indices: Sequence[Expr]) -> Piece:
        glyph = self.notation.glyph(name)
        word = self._word(glyph.word)
        layer = "" if glyph.layer is None else f"^{{({self._layer(name)})}}"
        below = f"_{{{self._indices(indices)}}}" if indices else ""
        # What carries a superscript already needs brackets before it can carry a power.
        return Piece(word + layer + below, Level.POWER if layer else Level.ATOM)

    def _layer(self, name: str) -> str:
        return (self.notation.glyph(name).layer or "").replace("ℓ", r"\ell")

    def _indices(self, indices: Sequence[Expr]) -> str:
        shown = [self.show(i) for i in indices]
        letters = all(len(s.rstrip("'")) == 1 and s[0].isalpha() for s in shown)
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

    def big_sum_between(self, letter: str, first: int, last: int, body: str) -> str:
        return rf"\sum_{{{letter}={first}}}^{{{last}}} {body}"

    def place_of_largest(self, letter: str, body: str) -> str:
        return rf"\operatorname*{{arg\,max}}_{{{letter}}} {body}"

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
            rf"{v} & \text{{{words['otherwise']}}}" if c is None else rf"{v} & {_around(c, words['if'])}"
            for v, c in branches
        ]
        inside = r" \\ ".join(lines)
        return Piece(rf"\begin{{cases}} {inside} \end{{cases}}", Level.FACTOR, open=True)

    def delta(self, indices: Sequence[Expr]) -> str:
        ordered = sorted(indices, key=self.tie)
        if self.notation.delta_names:  # δ is an error then
            return rf"[{' = '.join(map(self.show, ordered))}]"
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
        return not tall and complexity(exponent) <= _LONG_EXPONENT

    def absolute(self, inside: str) -> str:
        return rf"\left\lvert {inside} \right\rvert"

    def struck(self, inside: str) -> str:
        return rf"\cancel{{{inside}}}"

    def relation(self, operator: str) -> str:
        return _LATEX_RELATIONS.get(operator, operator)

    def word(self, key: str) -> str:
        return rf"\text{{ {self.notation.words[key]} }}"


class FlatLatexPrinter(LatexPrinter):
    """LaTeX whose derivatives are no higher than a letter: ``\\partial E / \\partial x^{(1)}_{j}``."""

    def partial(self, above: Piece, below: Sequence[tuple[str, int]]) -> Piece:
        """Return a derivative on one line; of a long expression, or of higher order, it is a fraction."""
        ((name, order), *others) = below
        if others or order > 1 or above.level < Level.POWER:
            return super().partial(above, below)
        return Piece(rf"\partial {above.text} / \partial {name}", Level.FACTOR)


def _around(condition: str, words: str) -> str:
    """Return a condition with the words of a language before and behind it."""
    before, behind = (rf"\text{{{part}}}" if part else "" for part in words.split("{condition}"))
    return f"{before} {condition} {behind}".strip()


def latex(expression: Basic, notation: Notation) -> str:
    """Return ``expression`` as LaTeX, without dollars."""
    return LatexPrinter(notation).show(expression)


_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r'\texttt{"}',
    **{mark: "\\" + mark for mark in "{}$&#%_"},
}  # fmt: skip


def escape_latex(plain: str) -> str:
    """Return plain text for LaTeX; two hyphens stay two hyphens."""
    escaped = "".join(_LATEX_SPECIAL.get(character, character) for character in plain)
    return escaped.replace("--", "-{}-")
