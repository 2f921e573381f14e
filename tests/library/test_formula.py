"""The formula reader: what it accepts, what it refuses and where, and that hostile text ends quickly."""

from __future__ import annotations

import ast
import math
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import sympy
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from sympy import (
    Abs,
    And,
    Expr,
    Idx,
    IndexedBase,
    Max,
    Min,
    Not,
    Or,
    Piecewise,
    Rational,
    Sum,
    Symbol,
    acosh,
    asin,
    atan,
    cos,
    erf,
    exp,
    log,
    pi,
    sign,
    sin,
    sqrt,
    symbols,
    tanh,
)

from symbackprop.errors import SpecificationError
from symbackprop.library import formula
from symbackprop.library.formula import FUNCTIONS, FormulaReader, computed, parse, parse_call
from symbackprop.network import functions
from symbackprop.network.functions import read_activation

s, t, x, alpha = symbols("s t x alpha", real=True)
NAMES = {"s": s, "t": t, "x": x, "alpha": alpha}


def sigmoid(argument: Expr) -> Expr:
    return 1 / (1 + exp(-argument))


def relu(argument: Expr) -> Expr:
    return Piecewise((argument, argument > 0), (0, True))


def gelu(argument: Expr) -> Expr:
    return argument * (1 + erf(argument / sqrt(2))) / 2


ACTIVATIONS: dict[str, Callable[[Expr], Expr]] = {
    "sigmoid": partial(computed, sigmoid),
    "relu": partial(computed, relu),
    "gelu": partial(computed, gelu),
}


def read(text: str) -> Expr:
    return parse(text, NAMES, ACTIVATIONS)


def outcome(text: str, reader: Callable[[str], object] = read) -> object:
    """Return what is read, or the one error that may be raised instead."""
    try:
        return reader(text)
    except SpecificationError as error:
        return error


def refusal(text: str, reader: Callable[[str], object] = read) -> tuple[str, str, int]:
    """Return what the error says is wrong, the text it shows, and the column of its caret."""
    with pytest.raises(SpecificationError) as caught:
        reader(text)
    problem, shown, caret = str(caught.value).split("\n")
    assert shown.startswith("  ")
    assert caret.strip() == "^"
    return problem, shown[2:], caret.index("^") - 2


# What is accepted


@pytest.mark.parametrize(
    "text, expected",
    [
        ("s", s),
        ("  s  ", s),
        ("+s", s),
        ("--s", s),
        ("1/(1 + exp(-s))", 1 / (1 + exp(-s))),
        ("(x - t)**4", (x - t) ** 4),
        ("-s**2", -(s**2)),
        ("2**-s", 2 ** (-s)),
        ("s**2**3", s**8),
        ("s - t - x", s - t - x),
        ("s/t/x", s / t / x),
        ("s*tanh(log(1 + exp(s)))", s * tanh(log(1 + exp(s)))),
        ("0.5*s*(1 + erf(s/sqrt(2)))", s * (1 + erf(s / sqrt(2))) / 2),
        ("0.5*s*(1 + tanh(sqrt(2/pi)*(s + 0.044715*s**3)))",
         s * (1 + tanh(sqrt(2 / pi) * (s + Rational(44715, 10**6) * s**3))) / 2),
        ("exp(-(log(s) - 1.25)**2/2)", exp(-((log(s) - Rational(5, 4)) ** 2) / 2)),
        ("s**0.333", s ** Rational(333, 1000)),
        ("s**(1/3)", s ** Rational(1, 3)),
        ("abs(s) + Abs(t)", Abs(s) + Abs(t)),
        ("sign(s)", sign(s)),
        ("arcsin(s) + asin(t)", asin(s) + asin(t)),
        ("arctan(s) + arccosh(t)", atan(s) + acosh(t)),
        ("max(s, 0)", Max(s, 0)),
        ("Max(0, Min(1, s/6 + 0.5))", Max(0, Min(1, s / 6 + Rational(1, 2)))),
        ("min(s, t, x)", Min(s, t, x)),
        ("sin(s) + cos(pi)", sin(s) + cos(pi)),
        ("sigmoid(2*s)", 1 / (1 + exp(-2 * s))),
        ("relu(1 - s)", relu(1 - s)),
        ("Piecewise((s, s > 0), (0, True))", Piecewise((s, s > 0), (0, True))),
        ("Piecewise((s, s > 1), (t, s <= -1), (0, True))", Piecewise((s, s > 1), (t, s <= -1), (0, True))),
        ("Piecewise((s, True))", s),
        ("where(s > 0, s, alpha*(exp(s) - 1))", Piecewise((s, s > 0), (alpha * (exp(s) - 1), True))),
        ("where(0 < s <= 1, 1, 2)", Piecewise((1, And(s > 0, s <= 1)), (2, True))),
        ("where(s > 1 or not t < 0, 1, 2)", Piecewise((1, Or(s > 1, Not(t < 0))), (2, True))),
        ("where(s > 0 and t > 0, 1, 2)", Piecewise((1, And(s > 0, t > 0)), (2, True))),
        ("where(s == 0, 1, sin(s)/s)", Piecewise((1, sympy.Eq(s, 0)), (sin(s) / s, True))),
        ("where(s != 0, s, 1)", Piecewise((s, sympy.Ne(s, 0)), (1, True))),
        ("where(s > 0, where(s > 1, 1, s), 0)",
         Piecewise((Piecewise((1, s > 1), (s, True)), s > 0), (0, True))),
        ("where(1 < 2, s, 0)", s),
        ("where(s**2 < 0, s, 0)", sympy.Integer(0)),
        ("Piecewise((1, 2 < 1), (s, True))", s),
    ],
)  # fmt: skip
def test_accepts(text: str, expected: Expr) -> None:
    assert read(text) == expected


OWN = ("floor", "lgamma", "round")
"""Functions that SymPy lacks, or knows as those of a complex number: they are the package's own."""


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - set(OWN)))
def test_every_function_is_sympys(name: str) -> None:
    spelling = {"abs": "Abs"}.get(name, name.replace("arc", "a"))
    assert read(f"{name}(s)") == getattr(sympy, spelling)(s)


@pytest.mark.parametrize(
    ("name", "number", "value"), [("floor", -2.5, -3.0), ("lgamma", 4.5, 2.4537365708), ("round", 2.5, 2.0)]
)
def test_functions_of_the_package_have_their_values(name: str, number: float, value: float) -> None:
    assert abs(float(read(f"{name}({number})").evalf()) - value) < 1e-9


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0.1", Rational(1, 10)),
        ("1e-3", Rational(1, 1000)),
        ("1.5E+2", Rational(150)),
        (".5", Rational(1, 2)),
        ("2.", Rational(2)),
        ("007.0", Rational(7)),
        ("0.1 + 0.2", Rational(3, 10)),
        ("0.30000000000000004", Rational(30000000000000004, 10**17)),
        ("1e49", Rational(10**49)),
    ],
)
def test_numbers_are_exact(text: str, expected: Rational) -> None:
    assert read(text) == expected


def test_names_may_stand_for_anything() -> None:
    element = IndexedBase("z")[Symbol("n", integer=True), Symbol("k", integer=True)]
    assert parse("where(s > 0, s, 0)", {"s": element}) == relu(element)
    assert parse("alpha*s", {"s": s, "alpha": Rational(1, 2)}) == s / 2
    assert parse("pi*s", {"s": s, "pi": t}) == t * s


# What is refused, and where


@pytest.mark.parametrize(
    "text, column, problem",
    [
        ("", 0, "the formula is empty"),
        ("   ", 0, "the formula is empty"),
        ("s.real", 2, "an attribute is not allowed; write the name alone, without a module before it"),
        ("1 + np.tanh(s)", 4, "only a named function can be called"),
        ("s[0]", 0, "a subscript is not allowed"),
        ("1 + s[0:1]", 4, "a subscript is not allowed"),
        ("lambda: s", 0, "a lambda is not allowed"),
        ("f'{s}'", 0, "a string is not allowed"),
        ("s + 'a'", 4, "a string is not allowed"),
        ("s + 'a", 4, "a string is not allowed"),
        ("b'a'", 0, "a string is not allowed"),
        ("[s]", 0, "a list is not allowed"),
        ("(s, t)", 0, "a tuple is not allowed"),
        ("s, t", 0, "a tuple is not allowed"),
        ("{s}", 0, "a set is not allowed"),
        ("{s: t}", 0, "a dictionary is not allowed"),
        ("[s for s in t]", 0, "a comprehension is not allowed"),
        ("exp(s for s in t)", 3, "a comprehension is not allowed"),
        ("(s := 1)", 1, "an assignment is not allowed"),
        ("exp(*s)", 4, "a starred argument is not allowed"),
        ("exp(x=s)", 4, "a keyword argument is not allowed"),
        ("exp(**s)", 4, "a keyword argument is not allowed"),
        ("await s", 0, "an await is not allowed"),
        ("s if t else x", 0, "an if is not allowed; write where(condition, value, other)"),
        ("s^2", 1, "^ is not allowed; write ** for a power"),
        ("(s + 1) ^ 2", 8, "^ is not allowed; write ** for a power"),
        ("s % 2", 2, "% is not allowed; allowed: + - * / **"),
        ("s // 2", 2, "// is not allowed"),
        ("s @ t", 2, "@ is not allowed"),
        ("s << 2", 2, "<< is not allowed"),
        ("s & t", 2, "& is not allowed; write and, in a condition"),
        ("~s", 0, "~ is not allowed; write not, in a condition"),
        ("not s", 0, "not is not allowed; allowed only in a condition of where or Piecewise"),
        ("s > 0", 2, "a comparison is not allowed; allowed only in a condition of where or Piecewise"),
        ("(s) > 0", 4, "a comparison is not allowed"),
        ("s and t", 0, "and/or is not allowed"),
        ("where(s is t, 1, 2)", 8, "is is not allowed; write =="),
        ("where(s in t, 1, 2)", 8, "an in is not allowed"),
        ("True", 0, "True is not allowed"),
        ("None", 0, "'None' is not allowed"),
        ("...", 0, "'...' is not allowed"),
        ("s + 1j", 4, "'1j' is not allowed; write numbers as 3, 0.1 or 1e-3"),
        ("0x1F", 0, "'0x1F' is not allowed"),
        ("1_000", 0, "'1_000' is not allowed"),
        ("2s", 1, "an operator is missing here; write 2*s"),
        ("1 + 2 s", 6, "an operator is missing here; write 2*s"),
        ("s t", 2, "an operator is missing here; write s*t"),
        ("(s) t", 4, "an operator is missing here; write * for a product"),
        ("2(s)", 0, "only a named function can be called; write * for a product"),
        ("(s)(t)", 0, "'s' is not a function; write s*(...) for a product"),
        ("exp(s)(t)", 0, "only a named function can be called; write * for a product"),
        ("s(1)", 0, "'s' is not a function; write s*(...) for a product"),
        ("1 + exp", 4, "'exp' is a function; write exp(...)"),
        ("where", 0, "'where' is a function; write where(...)"),
        ("1 + tnah(s)", 4, "unknown function 'tnah'; did you mean 'tanh'?"),
        ("1 + sigmod(s)", 4, "unknown function 'sigmod'; did you mean 'sigmoid'?"),
        ("alhpa*s", 0, "unknown name 'alhpa'; did you mean 'alpha'?"),
        ("zzz", 0, "unknown name 'zzz'; known are: alpha, pi, s, t, x"),
        ("e**s", 0, "unknown name 'e'; write exp(1)"),
        ("ln(s)", 0, "unknown function 'ln'; write log"),
        ("__import__('os')", 0, "unknown function '__import__'"),
        ("exp()", 0, "this call takes 1 argument, not 0"),
        ("log(s, 2)", 0, "this call takes 1 argument, not 2"),
        ("where(s > 0, 1)", 0, "this call takes 3 arguments, not 2"),
        ("Max(s)", 0, "this call takes 2 to 8 arguments, not 1"),
        ("where(s, 1, 2)", 6, "a condition is needed here; such as s > 0"),
        ("where(s > 0 and t, 1, 2)", 16, "a condition is needed here"),
        ("where(True, 1, 2)", 6, "a condition is needed here"),
        ("Piecewise()", 0, "Piecewise needs a branch"),
        ("Piecewise(s)", 10, "a branch must be (value, condition)"),
        ("Piecewise((s, s > 0), (0, s <= 0))", 26, "the last branch needs True as its condition"),
        ("Piecewise((s, True), (0, True))", 14, "a condition is needed here"),
        ("where(where(s > 0, s, 0) > 1, 1, 2)", 25, "a condition on something that has cases itself"),
        ("relu(1 - relu(s))", 0, "a condition on something that has cases itself"),
        ("(s + 1", 0, "this '(' is never closed"),
        ("exp(s + (t)", 3, "this '(' is never closed"),
        ("s + 1)", 5, "nothing is open that this ')' could close"),
        ("exp(s]", 5, "nothing is open that this ']' could close"),
        ("s = 1", 2, "a single = is not a comparison; write =="),
        ("s +", 3, "the formula ends too early"),
        ("s $ t", 2, "the character '$' is not allowed"),
        ("s + * t", 4, "this cannot be read as a formula"),
        ("lambda*s", 0, "'lambda' is a reserved word; use another name"),
        ("s # c", 2, "a comment is not allowed"),
        ("import os", 0, "'import' is a reserved word"),
        ("9" * 60 + "+s", 0, "a number here is too large, small or precise"),
        ("s + " + "9" * 5000, 4, "a number has more than 50 digits"),
    ],
)
def test_refuses_at_the_column(text: str, column: int, problem: str) -> None:
    message, shown, caret = refusal(text)
    assert message.startswith(f"formula: {problem}")
    assert caret == column
    assert text.strip().startswith(shown.removesuffix("..."))


@pytest.mark.parametrize(
    "text, shown, character",
    [
        ("s +\n t", "s +\\n t", "\\n"),
        ("s +\tt", "s +\\tt", "\\t"),
        ("s +\x00t", "s +\\x00t", "\\x00"),
        ("s +\u202et", "s +\\u202et", "\\u202e"),
        ("s +\ud800t", "s +\\ud800t", "\\ud800"),
        ("s +σt", "s +\\u03c3t", "\\u03c3"),
        ("s +\U0001d530t", "s +\\U0001d530t", "\\U0001d530"),
        ("s +\xa0t", "s +\\xa0t", "\\xa0"),
    ],
)
def test_odd_characters_are_shown_escaped(text: str, shown: str, character: str) -> None:
    message, line, caret = refusal(text)
    assert message == f"formula: the character '{character}' is not allowed; only plain ASCII is"
    assert (line, caret) == (shown, 3)


def test_a_message_in_full() -> None:
    with pytest.raises(SpecificationError) as caught:
        parse("  1/(1 + epx(-s))", NAMES, subject="layer 2: activation")
    first, *shown = str(caught.value).split("\n")
    assert shown == ["  1/(1 + epx(-s))", "         ^"]
    near, known = first.split(" known are: ")
    assert near == "layer 2: activation: unknown function 'epx'; did you mean 'exp'?"
    assert {"exp", "tanh", "where"} < set(known.split(", "))
    assert known.split(", ") == sorted(known.split(", "))


def test_a_long_text_is_shown_around_the_caret() -> None:
    _, shown, caret = refusal("1 + " * 20 + "q" + " + 1" * 20)
    assert len(shown) < 130
    assert shown.startswith("...")
    assert shown.endswith("...")
    assert shown[caret] == "q"


def sum_of(times: int, term: str) -> str:
    return "(" + "+".join([term] * times) + ")"


# Values that are not real, and what SymPy must not be led into


@pytest.mark.parametrize(
    "text, column, problem",
    [
        ("1/0", 2, "this divides by zero"),
        ("s/(2 - 2)", 3, "this divides by zero"),
        ("1/(s - s)", 3, "this divides by zero"),
        ("0**-1", 3, "this divides by zero"),
        ("1/0.0", 2, "this divides by zero"),
        ("s + sqrt(-1)", 4, "the formula has no real value here"),
        ("s + sqrt(-1 - s**2)", 4, "the formula has no real value here"),
        ("1 + log(-exp(s))", 4, "the formula has no real value here"),
        ("log(0)", 0, "the formula has no real value here"),
        ("log(-1)", 0, "the formula has no real value here"),
        ("acos(2)", 0, "the formula has no real value here"),
        ("asin(3)", 0, "the formula has no real value here"),
        ("atanh(1)", 0, "the formula has no real value here"),
        ("tan(pi/2)", 0, "the formula has no real value here"),
        ("(-8)**(1/3)", 4, "the formula has no real value here"),
        ("(-2)**s", 4, "a negative number to a varying power has no real value"),
        ("sqrt(5 + 2*sqrt(6)) - sqrt(2) - sqrt(3)", 30, "this cannot be told from zero"),
        ("1 - erf(99)", 2, "this cannot be told from zero"),
        ("1e400", 0, "a number here is too large, small or precise"),
        ("1e-400", 0, "a number here is too large, small or precise"),
        ("1e999999999999", 0, "a number here is too large, small or precise"),
        ("10**-99", 2, "a number here is too large, small or precise"),
        ("1.23456789e-45", 0, "a number here is too large, small or precise"),
        ("(10**50)**50", 3, "a number here is too large, small or precise"),
        ("exp(1000)", 0, "a number here is too large, small or precise"),
        ("exp(exp(exp(100)))", 4, "a number here is too large, small or precise"),
        ("9**99**9", 3, "the exponent is beyond 100"),
        ("9**9**9", 3, "the exponent is beyond 100"),
        ("s**101", 3, "the exponent is beyond 100"),
        ("s**-100.5", 3, "the exponent is beyond 100"),
        ("10**-400", 4, "the exponent is beyond 100"),
        ("2**100**100", 6, "a number here is too large, small or precise"),
        ("(s**100)**100", 8, "powers of powers go beyond degree 1000"),
        ("((s + 1)**50)**50", 13, "powers of powers go beyond degree 1000"),
        ("tanh((s + 1)**50)**50", 17, "powers of powers go beyond degree 1000"),
        ("tanh(((s + 1)**11)**10)", 0, "powers of powers inside of a function go beyond 100"),
        ("exp(1e9*log(2*s))", 7, "the numbers in this exponent are too large or too precise"),
        ("exp(1e9*(log(2) + s))", 7, "the numbers in this exponent are too large or too precise"),
        ("sigmoid(1e9*log(2))", 11, "the numbers in this exponent are too large or too precise"),
        ("s**(1e9*log(2)/log(s))", 14, "the numbers in this exponent are too large or too precise"),
        ("2**(s + 1e9)*3", 6, "the numbers in this exponent are too large or too precise"),
        ("24**(1/1e8)", 6, "the numbers in this exponent are too large or too precise"),
        (
            "(2*s)**0.333",
            7,
            "the numbers in this exponent are too large or too precise; write 1/3, not 0.3333",
        ),
        ("Max(Max(s, 1, 2*s, x, t), Min(s, x), sin(x), x**2, t**2)", 0, "Max of more than 8 values"),
        ("-" * 60 + "s", 50, "the formula is nested deeper than 50 levels"),
        ("exp(" * 60 + "s" + ")" * 60, 200, "the formula is nested deeper than 50 levels"),
        ("min(s," * 60 + "s" + ")" * 60, 300, "the formula is nested deeper than 50 levels"),
        ("gelu(" * 20 + "s" + ")" * 20, None, "the formula stands for more than 2000 parts"),
        (sum_of(16, sum_of(16, sum_of(16, "s"))), None, "the formula has more than 2000 parts"),
        ("s" * 10_001, 0, "the formula is longer than 10000 characters"),
    ],
)
def test_refuses_what_has_no_value_or_no_end(text: str, column: int | None, problem: str) -> None:
    message, shown, caret = refusal(text)
    assert message.startswith(f"formula: {problem}")
    if column is not None:
        assert caret == column or (shown.startswith("...") and caret == 63)


def test_work_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formula, "MAX_WORK", 1000)
    message, _, caret = refusal("Max(sin(s), cos(s), exp(s), tanh(s), s**2)")
    assert (message, caret) == ("formula: working this out takes too long; write it in a simpler way", 0)
    monkeypatch.undo()
    assert read("Max(sin(s), cos(s))") == Max(sin(s), cos(s))


def test_the_callers_profiler_stays() -> None:
    assert sys.getprofile() is None
    seen = []

    def profiler(*arguments: object) -> None:
        seen.append(arguments)

    sys.setprofile(profiler)
    try:
        read("exp(s)")
        kept = sys.getprofile()
    finally:
        sys.setprofile(None)
    assert kept is profiler
    assert seen
    read("exp(s)")
    assert sys.getprofile() is None


# Calls of a known name


@pytest.mark.parametrize(
    "text, expected",
    [
        ("relu", ("relu", {})),
        (" relu ", ("relu", {})),
        ("relu()", ("relu", {})),
        ("elu(alpha=0.5)", ("elu", {"alpha": Rational(1, 2)})),
        ("huber(delta=1/2, scale=-3)", ("huber", {"delta": Rational(1, 2), "scale": Rational(-3)})),
        ("elu(alpha=2*(1 + 0.25)**2)", ("elu", {"alpha": Rational(25, 8)})),
        ("elu(alpha=+1e-3)", ("elu", {"alpha": Rational(1, 1000)})),
        ("elu(0.5)", None),
        ("elu(0.5, alpha=1)", None),
        ("elu(alpha=s)", None),
        ("elu(alpha=sqrt(2))", None),
        ("elu(alpha='a')", None),
        ("elu(alpha=True)", None),
        ("elu(alpha=1j)", None),
        ("elu(**1)", None),
        ("np.elu(alpha=1)", None),
        ("1/(1 + exp(-s))", None),
        ("2", None),
        ("True", None),
    ],
)
def test_parse_call(text: str, expected: object) -> None:
    assert parse_call(text) == expected


@pytest.mark.parametrize(
    "text, column, problem",
    [
        ("elu(alpha=1, alpha=2)", 13, "'alpha' is given twice"),
        ("elu(alpha=1e999)", 10, "a number here is too large"),
        ("elu(alpha=inf)", 10, "'alpha' must be a finite number"),
        ("elu(alpha=nan)", 10, "'alpha' must be a finite number"),
        ("elu(alpha=1/0)", 12, "this divides by zero"),
        ("elu(alpha=0**-1)", 13, "this divides by zero"),
        ("elu(alpha=9**9**9)", 13, "the exponent is beyond 100"),
        ("elu(alpha=2**0.5)", 11, "'alpha' must be a rational number; write it in decimals"),
        ("elu(alpha=2^2)", 11, "^ is not allowed"),
        ("elu(alpha=1", 3, "this '(' is never closed"),
        ("elu(α=1)", 4, "the character '\\u03b1' is not allowed"),
        ("", 0, "the formula is empty"),
    ],
)
def test_parse_call_refuses(text: str, column: int, problem: str) -> None:
    message, _, caret = refusal(text, lambda given: parse_call(given, subject="loss"))
    assert message.startswith(f"loss: {problem}")
    assert caret == column


# What SymPy cannot compute, and what is a fault of the reader


@pytest.mark.parametrize(
    "text, column",
    [
        ("1 + Max(s, acosh(-exp(s)))", 11),
        ("s*where(log(-exp(s)) > 0, 1, 2)", 8),
        ("where(s > 0 and acosh(-exp(s)) < t, 1, 2)", 16),
        ("2*relu(acosh(-exp(s)))", 7),
    ],
)
def test_what_is_never_real_is_refused_at_its_place(text: str, column: int) -> None:
    message, _, caret = refusal(text)
    assert message == "formula: the formula has no real value here"
    assert caret == column


def test_what_is_never_real_in_an_activation_is_a_fault_of_the_text() -> None:
    with pytest.raises(SpecificationError, match=r"^layer 1: the formula has no real value here\n"):
        read_activation("s + relu(acosh(-exp(s)))", "layer 1")


def test_what_sympy_cannot_compute_is_a_fault_of_the_text() -> None:
    broken = partial(computed, planted(TypeError("cannot compare")))
    with pytest.raises(
        SpecificationError, match=r"^formula: this cannot be computed\n  1 \+ odd\(s\)\n      \^"
    ):
        parse("1 + odd(s)", {"s": Symbol("s", real=True)}, {"odd": broken})


def planted(fault: Exception) -> Callable[..., Expr]:
    """Return a method that is broken."""

    def method(*arguments: object, **values: object) -> Expr:
        raise fault

    return method


FAULTS = [AttributeError("planted"), TypeError("planted"), KeyError("planted"), ValueError("planted")]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize(
    "method",
    ["number", "resolve_name", "resolve_call", "unary", "binary", "comparison", "where", "extreme", "_shape"],
)
def test_a_fault_of_the_reader_is_none_of_the_text(
    method: str, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "1 + Max(-s, where(s > 0, exp(s), 2))"
    assert isinstance(outcome(text), Expr)
    monkeypatch.setattr(FormulaReader, method, planted(fault))
    with pytest.raises(type(fault), match="planted"):
        read(text)


def test_a_fault_of_an_activation_is_none_of_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "_rational", planted(KeyError("planted")))
    with pytest.raises(KeyError, match="planted"):
        read_activation("s + relu(s)", "layer 1")


# Extension


class IndexedReader(FormulaReader):
    """Adds elements such as z[n, k] and sums such as total(z[k], k)."""

    def __init__(self, text: str) -> None:
        super().__init__(text, {}, {}, "equation")
        self.forms["total"] = self.total

    def resolve_subscript(self, node: ast.Subscript) -> Expr:
        assert isinstance(node.value, ast.Name)
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return IndexedBase(node.value.id)[tuple(self.index(part) for part in parts)]

    def index(self, node: ast.expr) -> Idx:
        assert isinstance(node, ast.Name)
        return Symbol(node.id, integer=True)

    def total(self, node: ast.Call) -> Expr:
        self.check_arguments(node, 2, 2)
        return Sum(self.expression(node.args[0]), (self.index(node.args[1]), 0, 9))


def test_a_subclass_reads_index_notation() -> None:
    n, k = symbols("n k", integer=True)
    z = IndexedBase("z")
    expected = exp(z[n, k]) / Sum(exp(z[n, k]), (k, 0, 9))
    assert IndexedReader("exp(z[n, k])/total(exp(z[n, k]), k)").read() == expected


# Random formulas against plain Python

Tree = tuple[object, ...]
BINARY = {"+": 1, "-": 1, "*": 2, "/": 2}
SAFE: dict[str, Callable[[float], float]] = {
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "arctan": math.atan,
    "asinh": math.asinh,
    "erf": math.erf,
    "abs": abs,
    "sign": lambda value: math.copysign(1, apart(value)),
    "sigmoid": lambda value: 1 / (1 + math.exp(-value)),
}
COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda left, right: apart(left - right) < 0,
    "<=": lambda left, right: apart(left - right) < 0,
    ">": lambda left, right: apart(left - right) > 0,
    ">=": lambda left, right: apart(left - right) > 0,
}


def apart(difference: float) -> float:
    """Reject an example whose branch hangs on rounding."""
    return difference if abs(difference) > 1e-7 else reject()


def extend(children: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    positive = st.tuples(st.just("square+1"), children)
    return st.one_of(
        st.tuples(st.sampled_from("+-*"), children, children),
        st.tuples(st.just("/"), children, positive),
        st.tuples(st.just("neg"), children),
        st.tuples(st.just("()"), children),
        st.tuples(st.just("**"), children, st.sampled_from(["2", "3", "1", "0"])),
        st.tuples(st.just("**"), positive, st.sampled_from(["0.5", "-1", "(-1/2)", "(1/3)"])),
        st.tuples(st.just("call"), st.sampled_from(sorted(SAFE)), children),
        st.tuples(st.just("call"), st.sampled_from(["log", "sqrt"]), positive),
        st.tuples(st.sampled_from(["max", "Min"]), children, children),
    )


LEAVES: st.SearchStrategy[Tree] = st.tuples(
    st.just("leaf"), st.sampled_from(["s", "t", "s", "t", "1", "2", "0.1", "3.5", ".25", "1e-1", "pi"])
)
PLAIN = st.recursive(LEAVES, extend, max_leaves=8)
CONDITIONS = st.tuples(PLAIN, st.sampled_from(sorted(COMPARISONS)), PLAIN)
CASES = st.one_of(
    st.tuples(st.just("where"), CONDITIONS, PLAIN, PLAIN),
    st.tuples(st.just("Piecewise"), CONDITIONS, PLAIN, PLAIN),
)
TREES = st.recursive(st.one_of(PLAIN, CASES), lambda inner: st.one_of(
    st.tuples(st.sampled_from("+-*"), inner, inner),
    st.tuples(st.sampled_from(["where", "Piecewise"]), CONDITIONS, inner, inner),
    st.tuples(st.just("call"), st.sampled_from(["sin", "tanh", "sigmoid"]), inner),
), max_leaves=3)  # fmt: skip


def written(tree: Tree, level: int = 0) -> str:
    """Return the text of a tree, in parentheses only where the level of what is around it asks."""
    text, own = _written(tree)
    return text if own >= level else f"({text})"


def _written(tree: Tree) -> tuple[str, int]:
    match tree:
        case ("leaf", str(name)):
            return name, 5
        case ("()", tuple(inner)):
            return f"( {written(inner)})", 5
        case ("neg", tuple(inner)):
            return f"-{written(inner, 3)}", 3
        case ("square+1", tuple(inner)):
            return f"{written(inner, 5)}**2 + 1", 1
        case ("**", tuple(base), str(power)):
            return f"{written(base, 5)}**{power}", 4
        case ("call", str(name), tuple(inner)):
            return f"{name}({written(inner)})", 5
        case ("where", (left, str(sign), right), tuple(value), tuple(other)):
            return f"where({written(left)} {sign} {written(right)}, {written(value)}, {written(other)})", 5
        case ("Piecewise", (left, str(sign), right), tuple(value), tuple(other)):
            condition = f"{written(left)} {sign} {written(right)}"
            return f"Piecewise(({written(value)}, {condition}), ({written(other)}, True))", 5
        case ("max" | "Min" as name, tuple(left), tuple(right)):
            return f"{name}({written(left)}, {written(right)})", 5
        case (str(operator), tuple(left), tuple(right)):
            level = BINARY[operator]
            return f"{written(left, level)}{operator}{written(right, level + 1)}", level
    raise AssertionError(tree)


def value(tree: Tree, point: dict[str, float]) -> float:
    """Return the value of a tree by plain Python, where no part of it is large."""
    result = _value(tree, point)
    return result if abs(result) < 1e5 else reject()


def _value(tree: Tree, point: dict[str, float]) -> float:
    match tree:
        case ("leaf", str(name)):
            return point[name] if name in point else float(name)
        case ("()", tuple(inner)):
            return value(inner, point)
        case ("neg", tuple(inner)):
            return -value(inner, point)
        case ("square+1", tuple(inner)):
            return value(inner, point) ** 2 + 1
        case ("**", tuple(base), str(power)):
            exponents = {"(-1/2)": -1 / 2, "(1/3)": 1 / 3}
            return value(base, point) ** (exponents[power] if power in exponents else float(power))
        case ("call", str(name), tuple(inner)):
            functions = {**SAFE, "log": math.log, "sqrt": math.sqrt}
            argument = value(inner, point)
            return functions[name](argument) if abs(argument) < 500 else reject()
        case ("where" | "Piecewise", (left, str(sign), right), tuple(chosen), tuple(other)):
            holds = COMPARISONS[sign](value(left, point), value(right, point))
            return value(chosen if holds else other, point)
        case ("max", tuple(left), tuple(right)):
            return max(value(left, point), value(right, point))
        case ("Min", tuple(left), tuple(right)):
            return min(value(left, point), value(right, point))
        case ("/", tuple(left), tuple(right)):
            return value(left, point) / value(right, point)
        case (str(operator), tuple(left), tuple(right)):
            first, second = value(left, point), value(right, point)
            return {"+": first + second, "-": first - second, "*": first * second}[operator]
    raise AssertionError(tree)


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(TREES)
def test_a_random_formula_has_the_value_of_its_tree(tree: Tree) -> None:
    text = written(tree)
    expression = outcome(text)
    if isinstance(expression, SpecificationError):
        # What SymPy folds to a constant can be too long, or so near zero that it is not decided.
        limits = ("too large", "cannot be told from zero", "beyond degree", "deeper than", "takes too long")
        assert any(limit in str(expression) for limit in limits), f"{text}\n{expression}"
        reject()
    evaluate = sympy.lambdify([s, t], expression, "math")
    for first, second in ((0.3, -1.7), (-2.25, 0.6), (1.1, 1.4)):
        expected = value(tree, {"s": first, "t": second, "pi": math.pi})
        assert evaluate(first, second) == pytest.approx(expected, rel=1e-6, abs=1e-6), text


# Hostile text


@pytest.fixture
def bounded_time() -> Iterator[None]:
    """Interrupt a test that hangs, where the platform can."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(number: int, frame: object) -> None:
        raise TimeoutError

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def nest(step: str, times: int, start: str = "s") -> str:
    """Return the text that ``step`` makes of the text before, over and over; it holds @ and #."""
    text = start
    for number in range(times):
        text = step.replace("#", str(number + 1)).replace("@", text)
    return text


HOSTILE = [
    "-" * 9999 + "s",
    "not " * 2400 + "s",
    "(" * 9999,
    "(" * 180 + "s" + ")" * 180,
    "[" * 9999,
    "s**" * 3000 + "s",
    "s+" * 4999 + "s",
    "s<" * 4999 + "s",
    "s," * 4999,
    "lambda:" * 1400 + "s",
    "s if s else " * 800 + "s",
    "f'{" * 3000,
    "9" * 9999,
    "0." + "0" * 9000 + "1",
    "1e" + "9" * 9000,
    "s.a" * 3000,
    "s()" * 3000,
    "exp(" * 48 + "s" + ")" * 48,
    "exp(" * 20 + "2" + ")" * 20,
    "exp(exp(exp(exp(100)))) > 3",
    "9**99**9",
    "9**9**9**9**9",
    "((((9**9)**9)**9)**9)**9",
    "2**100**100",
    "(10**50)**50",
    "(((s**100)**100)**100)**100",
    "((((s + 1)**50)**50)**50)**50",
    "*".join(["s**100"] * 200),
    "sin(10**40)",
    "sin(1e40) + tan(1e40/7) + cos(pi*1e40/7)",
    "asin(sin(1e40))",
    "exp(1e40*log(2*s))",
    "exp(1e40*log(2))",
    "exp(log(2)*(1e40*s + 1e40))*exp(-1e40*s*log(2))",
    "2**(1e40*s)*2**(1e40 - 1e40*s)",
    "(12**(1/97))**(-1/97)",
    "9999**(-1/1e40)",
    "exp(-1e-40*log(9999))",
    "gelu(1e40) + sigmoid(-1e40)",
    "where(sqrt(5 + 2*sqrt(6)) - sqrt(2) - sqrt(3) > 0, 1, 2)",
    "where((2**(1/97) + 1)**2 - 2**(2/97) - 2*2**(1/97) - 1 > 0, 1, 2)",
    nest("Max(Max(@, 1), #*s)", 24),
    nest("Max(@, #*s)", 40),
    nest("Max(@ + 1, #*s)", 24),
    nest("Max(Min(@, #*s), #*t)", 24),
    nest("Max(sin(@), #*s)", 24),
    "Max(" + ", ".join(f"exp({i}*s) + sin({i}*t)" for i in range(30)) + ")",
    "Max(" + ", ".join(f"exp({i}*s) + sin({i}*t)" for i in range(8)) + ")",
    nest("where(s > #, @, #*s)", 48),
    nest("where(s > #, #*s, @)", 48),
    nest("where(@ > #, #*s, 0)", 24),
    nest("where(@ > #, @, 0)", 8),
    nest("where(0 < @ < 1, s, 0)", 20),
    "Piecewise(" + ", ".join(f"(s**{i}, s > {i})" for i in range(90)) + ", (0, True))",
    nest("relu(@ - #)", 24),
    nest("gelu(@)", 24),
    nest("sigmoid(@)*@", 7),
    nest("abs(@ - #)", 24),
    nest("abs(abs(@ - #) - t)", 20),
    nest("sign(abs(@ - #) - t)/s", 14),
    nest("sqrt(@ + #)", 48),
    nest("(@ + #)**1.5", 24),
    nest("((@ + t)**1.5)**s", 12),
    nest("1/(@ + s**#) + t", 16),
    nest("cosh(asinh(tanh(atanh(@))))", 12),
    nest("log(@)*s", 24),
    "where(" + " and ".join(f"s != {i}" for i in range(300)) + ", 1, 2)",
    "where(" + " or ".join(f"(s > {i} and t < {i})" for i in range(100)) + ", 1, 2)",
    "__import__('os').system('true')",
    "().__class__.__bases__[0].__subclasses__()",
    "(lambda: s)()",
    "exec('1')",
    "s.__class__",
    "print(s)",
    "open('f')",
]


@pytest.mark.usefixtures("bounded_time")
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:24].encode("ascii", "replace").decode())
def test_hostile_text_ends(text: str) -> None:
    result = outcome(text)
    assert isinstance(result, Expr) or len(str(result)) < 1000


WORDS = r"""
    s t x alpha pi e 1 2 0.5 1e9 9 99 1e400 0 0x 1_0 1__0 0777 1j 0b1 2s 1if + - * / ** ** ( ( ( ) ) ) , ,
    < > == != <= = := ^ & | ~ ! % // @ [ ] { } : ; . .. ... ' " ''' \ # $ ? ` f' f" b'
    lambda if else for in is not and or True False None await yield import exec eval __import__ os
    exp( log( sqrt( where( Piecewise(( Max( min( sin( tanh( abs( relu( sigmoid( s.__class__ s[0]
"""
ODD = [" ", "\n", "\t", "\x00", "\u202e", "\ud800", "\xe9", "\U0001d530"]
TOKENS = st.lists(st.sampled_from([*WORDS.split(), *ODD]), max_size=30)
BOUNDED = settings(
    deadline=timedelta(seconds=30), database=None, suppress_health_check=list(HealthCheck), max_examples=1500
)


def ends_cleanly(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for reader in (read, parse_call):
            result = outcome(text, reader)
            if isinstance(result, SpecificationError):
                assert str(result).isascii()
                assert str(result).count("\n") == 2


@BOUNDED
@given(st.builds(lambda parts, separator: separator.join(parts), TOKENS, st.sampled_from(["", " "])))
def test_token_soup_ends_cleanly(text: str) -> None:
    ends_cleanly(text)


@settings(BOUNDED, max_examples=500)
@given(st.text(st.characters(codec=None), max_size=40))
def test_any_text_ends_cleanly(text: str) -> None:
    ends_cleanly(text)


VALID = ["s*sigmoid(s)", "where(s > 0, s, 0.1*s)", "Piecewise((s, s > 0), (exp(s) - 1, True))",
         "log(1 + exp(-abs(s))) + Max(s, 0)", "elu(s, alpha=0.5)", "(s - t)**4/(1 + s**2)"]  # fmt: skip
FORBIDDEN = ("exec", "open", "import", "os.", "subprocess.", "socket.", "ctypes.")
_events: list[str] = []
_watching = False


def _note(event: str, arguments: object) -> None:
    if _watching and event.startswith(FORBIDDEN):
        _events.append(event)


sys.addaudithook(_note)


def _hostile_text(generator: random.Random) -> str:
    """Return token soup, a mutilated formula, or characters at random."""
    kind = generator.random()
    words = [*WORDS.split(), *ODD]
    if kind < 0.4:
        return generator.choice(["", " "]).join(generator.choices(words, k=generator.randrange(1, 25)))
    if kind < 0.9:
        text = list(generator.choice([*VALID, *HOSTILE])[:200])
        for _ in range(generator.randrange(1, 6)):
            place = generator.randrange(len(text) + 1)
            text[place : place + generator.randrange(3)] = generator.choice(words)
        return "".join(text)
    return "".join(chr(generator.choice([generator.randrange(32, 127), generator.randrange(0x11000)]))
                   for _ in range(generator.randrange(30)))  # fmt: skip


@pytest.mark.slow
def test_a_hundred_thousand_texts_end_quickly_and_run_nothing() -> None:
    global _watching
    generator = random.Random(0)
    parsed = refused = 0
    outcome("s + 1")  # whatever is imported on first use is imported now
    for number in range(100_000):
        text = _hostile_text(generator)
        began = time.monotonic()
        _watching = True
        try:
            result = outcome(text, read if number % 2 else parse_call)
        finally:
            _watching = False
        assert time.monotonic() - began < 10, text
        assert _events == [], text
        parsed += not isinstance(result, SpecificationError)
        refused += isinstance(result, SpecificationError)
    assert min(parsed, refused) > 1000
    print(f"{parsed} read, {refused} refused")


def test_the_watch_notices_what_runs() -> None:
    global _watching
    _watching = True
    exec("1")
    _watching = False
    assert _events.pop().startswith("exec")
    _events.clear()


@pytest.mark.parametrize("text", ["1if s else 2", "2s", "1or s", "'\\d'", "1()", "s is 1", "0x1for s in t"])
def test_pythons_warnings_are_silent(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    ends_cleanly(text)
    assert capsys.readouterr() == ("", "")


def test_the_module_runs_no_text() -> None:
    tree = ast.parse(Path(formula.__file__).read_text(encoding="utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    running = {"eval", "exec", "compile", "sympify", "parse_expr", "lambdify", "literal_eval", "__import__"}
    # The one ``compile`` is that of a regular expression.
    assert names & running <= {"compile"}
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id in running]
