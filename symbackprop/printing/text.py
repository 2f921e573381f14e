"""One line of Unicode.

In go an expression and a ``Notation``, out comes text such as ``Σ_k x0[k]·w1[k,j]``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sympy import Basic, Expr, Float, Indexed, Rational, S, Sum

from symbackprop.printing.brackets import Level, in_brackets
from symbackprop.printing.notation import Notation
from symbackprop.printing.order import Product, decimal, shortest_decimal
from symbackprop.printing.printer import Piece, Printer

STROKE = "\N{COMBINING LONG STROKE OVERLAY}"
"""What strikes out the letter before it; it takes no room."""
_TEXT_WORDS = {"delta": "δ"}
_SUPERSCRIPTS = {"1": "", "2": "²", "3": "³"}
TEXT_SYMBOLS = {"l1": "λ₁", "l2": "λ₂"}
"""The constants that are shown under another name."""
_TEXT_NUMBERS = {S.Pi: "π", S.Exp1: "e"}
_TEXT_RELATIONS = {"==": "=", "!=": "≠", ">=": "≥", "<=": "≤"}
_TEXT_FUNCTIONS = {"atan": "arctan", "asin": "arcsin", "acos": "arccos", "asinh": "arsinh"}


class TextPrinter(Printer):
    """One line of Unicode; quantities are named as in Python: ``Σ_k x0[k]·w1[k,j]``."""

    def bracket(self, inside: str) -> str:
        return in_brackets(inside)

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

    def share(self, factor: Expr | Piece) -> Expr | Piece:
        if isinstance(factor, Piece) and "/" in factor.text:
            return Piece(f"({factor.text})")
        return factor

    def symbol(self, name: str) -> Piece:
        if name in self.notation.layers:
            return self.component(name, ())
        return Piece(TEXT_SYMBOLS.get(name, name))

    def component(self, name: str, indices: Sequence[Expr]) -> Piece:
        glyph = self.notation.written(name)
        word = _TEXT_WORDS.get(glyph.word, glyph.word)
        inside = [self.show(i).replace(" ", "") for i in indices]
        if name in self.notation.layers:
            inside.insert(0, self.notation.layers[name])
        else:
            word += glyph.layer or ""
        return Piece(f"{word}[{','.join(inside)}]" if inside else word)

    def number(self, value: Expr) -> Piece:
        if isinstance(value, Float):
            return Piece(shortest_decimal(float(value)))
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

    def big_sum_between(self, letter: str, first: int, last: int, body: str) -> str:
        return f"Σ_{{{letter}={first}..{last}}} {body}"

    def place_of_largest(self, letter: str, body: str) -> str:
        return f"argmax_{letter} {body}"

    def partial(self, above: Piece, below: Sequence[tuple[str, int]]) -> Piece:
        order = str(sum(count for _, count in below))
        top = self.closed(above, Level.ATOM)
        bottom = "".join(f"∂{name}{_order_mark(str(count))}" for name, count in below)
        return Piece(f"∂{_order_mark(order)}{top}/{bottom}", Level.FACTOR)

    def cases(self, branches: Sequence[tuple[str, str | None]]) -> Piece:
        words = self.notation.words
        parts = [
            f"{v} {words['otherwise']}" if c is None else f"{v} {words['if'].format(condition=c)}"
            for v, c in branches
        ]
        return Piece("{ " + "; ".join(parts) + " }")

    def split_cases(self, cases: str) -> list[str]:
        return re.split(r"(?<=; )", cases)

    def delta(self, indices: Sequence[Expr]) -> str:
        shown = self._delta_indices(indices)
        return f"[{' = '.join(shown)}]" if self.notation.delta_names else f"δ({','.join(shown)})"

    def _delta_indices(self, indices: Sequence[Expr]) -> list[str]:
        return sorted(self.show(i).replace(" ", "") for i in indices)

    def function(self, name: str, arguments: Sequence[Expr]) -> Piece:
        return Piece(f"{_TEXT_FUNCTIONS.get(name, name)}({', '.join(map(self.show, arguments))})")

    def absolute(self, inside: str) -> str:
        return f"|{inside}|"

    def struck(self, inside: str) -> str:
        return "".join(letter + STROKE for letter in inside)

    def relation(self, operator: str) -> str:
        return _TEXT_RELATIONS.get(operator, operator)

    def word(self, key: str) -> str:
        return self.notation.words[key]


def _order_mark(order: str) -> str:
    mark = _SUPERSCRIPTS.get(order)
    return f"^{order}" if mark is None else mark


def text(expression: Basic, notation: Notation) -> str:
    """Return ``expression`` as one line of Unicode: ``Σ_k x0[k]·w1[k,j]``, ``∂E/∂s2[i]``."""
    return TextPrinter(notation).show(expression)
