"""What is wrong with a .net text is told in one message: the line, the column, and what would be right."""

from __future__ import annotations

import contextlib
import random
import re
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest

import symbackprop as sb
from symbackprop import cli
from symbackprop.errors import SpecificationError, UnsupportedExpression
from symbackprop.network.notation.reader import NetReader

GOOD = """\
input x[n, k]
target t[n, i]
parameter w[k, i], b[i]
size k = 3, i = 2
s[n, i] = sum(x[n, k]*w[k, i], k) + b[i]
E = mean(sum((s[n, i] - t[n, i])**2, i)/2, n)
output s
"""


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


WRONG: dict[str, tuple[str, int, int, str]] = {
    # derivatives
    "gradient-of-one": (
        changed("+ b[i]", "+ gradient(x[n, 0])"),
        5,
        37,
        "this call takes 2 arguments, not 1",
    ),
    "gradient-for-an-index": (
        changed("+ b[i]", "+ b[i]*gradient(x[n, 0]**2, i)"),
        5,
        63,
        "'i' is an index: there is no derivative for it",
    ),
    "gradient-for-a-bound-letter": (
        changed("+ b[i]", "+ b[i]*gradient(sum(x[n, k], k), x[n, k])"),
        5,
        73,
        "the index 'k' is free",
    ),
    "gradient-for-a-sum": (
        changed("+ b[i]", "+ b[i]*gradient(x[n, 0]**2, x[n, 0] + 1)"),
        5,
        71,
        "a derivative is taken for a component of a quantity",
    ),
    "gradient-for-whole-numbers": (
        changed("t[n, i]\n", "t[n, i]\ninteger input l[n]\n").replace(
            "+ b[i]", "+ b[i]*gradient(x[n, l[n]], l[n])"
        ),
        6,
        63,
        "'l' holds whole numbers: there is no derivative for it",
    ),
    "gradient-of-whole-numbers": (
        changed("t[n, i]\n", "t[n, i]\ninteger input l[n]\n").replace(
            "+ b[i]", "+ b[i]*gradient(l[n], x[n, l[n]])"
        ),
        6,
        51,
        "'l' holds whole numbers, which have no derivative",
    ),
    "gradient-for-a-constant": (
        changed("t[n, i]\n", "t[n, i]\nconstant c = 2\n").replace("+ b[i]", "+ b[i]*gradient(c*x[n, 0], c)"),
        6,
        62,
        "'c' is a constant: there is no derivative for it",
    ),
    "gradient-for-itself": (
        changed("+ b[i]", "+ b[i]*gradient(x[n, 0], s[n, i])"),
        5,
        60,
        "'s' is not defined yet",
    ),
    "gradient-for-later": (
        changed("+ b[i]", "+ b[i]*gradient(x[n, 0], z[n])") + "z[n] = x[n, 0]\n",
        5,
        60,
        "'z' is not defined yet",
    ),
    "gradient-for-nothing-known": (
        changed("+ b[i]", "+ b[i]*gradient(x[n, 0], y[n])"),
        5,
        60,
        "unknown quantity 'y'",
    ),
    "held-two": (changed("+ b[i]", "+ stop_gradient(b[i], 2)"), 5, 37, "this call takes 1 argument, not 2"),
    # names
    "undefined": (changed("*w[k, i], k)", "*v[k, i], k)"), 5, 23, "unknown quantity 'v'"),
    "undefined-scalar": (changed("+ b[i]", "+ beta"), 5, 37, "unknown name 'beta'"),
    "undefined-output": (
        changed("output s", "output z"),
        7,
        8,
        "'z' is no quantity that an equation defines",
    ),
    "defined-twice": (GOOD + "s[n, i] = t[n, i]", 8, 1, "'s' is defined twice, first in line 5"),
    "declared-twice": (changed("b[i]\n", "b[i], b[k]\n"), 3, 26, "'b' is defined twice, first in line 3"),
    "two-outputs": (GOOD + "output t", 8, 8, "there are two outputs"),
    "size-twice": (GOOD + "size k = 3", 8, 6, "the size of 'k' is given twice, first in line 4"),
    "own-definition": (changed("+ b[i]", "+ s[n, i]"), 5, 37, "'s' is used in its own definition"),
    "used-before": (
        changed("+ b[i]", "+ q[n, i]") + "q[n, i] = s[n, i]",
        5,
        37,
        "'q' is used before it is defined in line 8",
    ),
    "unused-parameter": (changed("b[i]\n", "b[i], q[i]\n"), 3, 26, "'q' is never used"),
    "unused-quantity": (GOOD + "q[n, i] = t[n, i]", 8, 1, "'q' is never used"),
    "unused-constant": (GOOD + "constant eps = 1", 8, 10, "'eps' is never used"),
    "unused-size": (changed("i = 2", "i = 2, z = 3"), 4, 20, "there is no index 'z'"),
    "no-effect": (
        changed("b[i]\n", "b[i], q[i]\n").replace("output s", "z[n, i] = q[i]*s[n, i]\noutput z"),
        3,
        26,
        "the loss does not depend on 'q'",
    ),
    "loss-as-input": (changed("x[n, k]\n", "x[n, k], E\n"), 1, 16, "E is the loss"),
    "reserved": (changed("b[i]\n", "lambda[i]\n"), 3, 20, "'lambda' is a reserved word"),
    # indices
    "left-only": (
        changed("*w[k, i], k) + b[i]", "*w[k, 0], k)"),
        5,
        1,
        "the index 'i' stands on the left only",
    ),
    "right-only": (changed("+ b[i]", "+ b[j]"), 5, 39, "the index 'j' is free"),
    "no-sum": (changed("sum(x[n, k]*w[k, i], k)", "x[n, k]*w[k, i]"), 5, 16, "the index 'k' is free"),
    "bound-twice": (changed(", k) + b[i]", ", k, i) + b[i]"), 5, 35, "the index 'i' is bound twice"),
    "bound-inside": (
        changed("sum((s[n, i] - t[n, i])**2, i)", "sum(sum(s[n, i], i), i)"),
        6,
        27,
        "the index 'i' is bound twice",
    ),
    "left-twice": (changed("s[n, i] =", "s[n, n] ="), 5, 6, "the index 'n' stands twice"),
    "nothing-summed": (changed("+ b[i]", "+ sum(b[i], j)"), 5, 47, "nothing here depends on the index 'j'"),
    "two-sizes": (
        changed("*w[k, i], k)", "*w[i, k], k)"),
        5,
        28,
        "the index 'k' runs over 3, but axis 2 of 'w'",
    ),
    "size-of-samples": (GOOD + "size n = 2", 8, 6, "'n' numbers the samples"),
    "missing-indices": (changed("+ b[i]", "+ b"), 5, 37, "'b' has axes; write b[i]"),
    "too-many-indices": (changed("+ b[i]", "+ b[i, k]"), 5, 37, "'b' has 1 axis, not 2; write b[i]"),
    "real-index": (changed("+ b[i]", "+ b[t[n, i]]"), 5, 39, "'t' is no integer and can't be an index"),
    "slice": (changed("x[n, k]*", "x[n, :]*"), 5, 20, "this is no index"),
    "half": (changed("x[n, k]*", "x[n, k/2]*"), 5, 21, "this is no index"),
    "text-index": (changed("x[n, k]*", "x['n', k]*"), 5, 17, "this is no index"),
    "sum-over-number": (changed("+ b[i]", "+ sum(b[i], 2)"), 5, 47, "an index letter is needed here"),
    "sum-over-nothing": (changed("+ b[i]", "+ sum(b[i])"), 5, 37, "this call takes 2 to 9 arguments, not 1"),
    "size-of-nothing": (changed("/2, n)", "/size(z), n)"), 6, 46, "no index 'z' is known so far"),
    # reads outside
    "beyond": (
        changed("x[n, k]*", "x[n, k + 1]*"),
        5,
        22,
        "this reads beyond the end of axis 2 of 'x', by 1",
    ),
    "before": (
        changed("x[n, k]*", "x[n, k - 1]*"),
        5,
        22,
        "this reads before the beginning of axis 2 of 'x'",
    ),
    "negative": (changed("x[n, k]*", "x[n, -1]*"), 5, 20, "this reads before the beginning of axis 2 of 'x'"),
    "number": (changed("x[n, k]*", "x[n, 3]*"), 5, 20, "this reads beyond the end of axis 2 of 'x', by 1"),
    "stride": (changed("x[n, k]*", "x[n, 2*k]*"), 5, 21, "this reads beyond the end of axis 2 of 'x', by 2"),
    "half-guarded": (
        changed("x[n, k]*", "where(k >= 1, x[n, k + 1], 0)*"),
        5,
        36,
        "this reads beyond the end of axis 2 of 'x', by 1",
    ),
    "guarded-elsewhere": (
        changed("x[n, k]*", "where(k + 1 < size(k), 0, x[n, k + 1])*"),
        5,
        48,
        "this reads beyond the end",
    ),
    "guarded-by-numbers": (
        changed("x[n, k]*", "where(w[k, i] < 0, x[n, k - 1], 0)*"),
        5,
        41,
        "this reads before the beginning of axis 2 of 'x', by 1",
    ),
    "guarded-by-integers": (
        changed("x[n, k]*", "x[n, place[n]]*where(place[n] <= 0, x[n, k - 1], 0)*").replace(
            "input", "integer input place[n]\ninput", 1
        ),
        6,
        58,
        "this reads before the beginning of axis 2 of 'x', by 1",
    ),
    # the loss
    "loss-with-index": (
        changed("E = mean(sum(", "E[n] = (sum(").replace("i)/2, n)", "i)/2)"),
        6,
        1,
        "the loss E must",
    ),
    "no-loss": (changed("E = mean(sum((s[n, i] - t[n, i])**2, i)/2, n)\n", ""), 7, 1, "there is no loss"),
    "no-output": (changed("output s", ""), 8, 1, "there is no output"),
    "no-parameter": (
        "input x[n, k]\ny[n, k] = x[n, k]**2\nE = mean(sum(y[n, k], k), n)\noutput y",
        4,
        1,
        "there is no parameter",
    ),
    # functions, syntax, declarations
    "unknown-function": (
        changed("+ b[i]", "+ sigmoyd(b[i])"),
        5,
        37,
        "unknown function 'sigmoyd'; did you mean 'sigmoid'?",
    ),
    "not-allowed": (changed("+ b[i]", "+ open('a')"), 5, 37, "unknown function 'open'"),
    "attribute": (changed("+ b[i]", "+ os.getcwd()"), 5, 37, "only a named function can be called"),
    "keyword-argument": (changed("+ b[i]", "+ elu(b[i], beta=2)"), 5, 52, "'elu' has no constant 'beta'"),
    "never-closed": (changed("+ b[i]", "+ (b[i]"), 5, 37, "this '(' is never closed"),
    "not-ascii": (changed("+ b[i]", "+ b[i]*β"), 5, 42, "the character '\\u03b2' is not allowed"),
    "slip": (changed("input x", "inputs x"), 1, 1, "'inputs' begins no statement; did you mean 'input'?"),
    "integer-parameter": (
        changed("parameter w", "integer parameter w"),
        3,
        1,
        "'integer parameter' is not a",
    ),
    "neither": (GOOD + "hello", 8, 1, "this is neither an equation nor a declaration"),
    "equality": (GOOD + "q[n, i] == t[n, i]", 8, 1, "this is neither an equation nor a declaration"),
    "initialiser": (
        changed("w[k, i],", "w[k, i] = xavir,"),
        3,
        21,
        "'xavir' is not a known initialiser; did you",
    ),
    "deviation": (
        changed("w[k, i],", "w[k, i] = normal(-1),"),
        3,
        28,
        "the deviation must be a positive number",
    ),
    "orthogonal": (changed("b[i]\n", "b[i] = orthogonal\n"), 3, 20, "orthogonal first values need two axes"),
    "no-value": (GOOD + "constant e", 8, 10, "a constant needs a value"),
    "no-number": (changed("i = 2", "i = x"), 4, 17, "a number is needed here"),
    "zero": (changed("i = 2", "i = 0"), 4, 17, "a size is a whole number"),
    "scalar-input": (
        changed("input x[n, k]", "input x, a[n, k]").replace("= sum(x[n, k]", "= x*sum(a[n, k]"),
        1,
        7,
        "the first input",
    ),
    "fact": (GOOD + "assume sum(y[n, i], i) == 1", 8, 12, "a fact is about an input or a target"),
    "fact-of-computed": (GOOD + "assume sum(s[n, i], i) == 1", 8, 8, "this does not follow"),
    "single-equals": (GOOD + "assume sum(t[n, i], i) = 1", 8, 24, "a single = is not a comparison; write =="),
    "strict": (GOOD + "assume 0 < t[n, i]", 8, 12, "a fact about single numbers is a <= or >="),
    "samples": (
        changed("b[i]\n", "b[n]\n").replace("+ b[i]", "+ b[n]"),
        3,
        20,
        "the index 'n' of the parameter 'b' runs over the samples",
    ),
    "samples-by-use": (
        changed("+ b[i]", "+ x[i, i] + b[i]").replace("size k = 3, i = 2\n", ""),
        3,
        11,
        "the index 'k' of the parameter 'w' runs over the samples",
    ),
    # too much
    "not-computed": (
        changed("+ b[i]", "+ max(b[i], acosh(-exp(b[i])))"),
        5,
        47,
        "the formula has no real value here",
    ),
    "tower": (changed("+ b[i]", "+ b[i]**9**9**9"), 5, 46, "the exponent is beyond 100"),
    "nested": (
        changed("+ b[i]", "+ " + 60 * "-" + "b[i]"),
        5,
        86,
        "the formula is nested deeper than 50 levels",
    ),
    "nested-index": (
        changed("x[n, k]*", "x[n, k" + 60 * " - 1" + "]*"),
        5,
        74,
        "the formula is nested deeper than 50 levels",
    ),
    "nested-signs": (
        changed("x[n, k]*", "x[n, " + 900 * "-" + "k]*"),
        5,
        66,
        "the formula is nested deeper than 50 levels",
    ),
    "axes": (changed("b[i]\n", "b[i], q[a,b,c,d,e,f,g,h,j]\n"), 3, 44, "more than 8 axes are not allowed"),
    "null": (changed("+ b[i]", "+ b[i]\x00"), 5, 41, "the character '\\x00' is not allowed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_its_place(name: str) -> None:
    text, line, column, problem = WRONG[name]
    with pytest.raises(SpecificationError) as caught:
        sb.Network.from_equations(text)
    first, shown, caret = str(caught.value).split("\n")
    assert first.startswith(f"equations: line {line}, column {column}: {problem}"), first
    lines = text.split("\n")
    if len(lines[line - 1]) < 60 and name not in ("not-ascii", "null"):
        assert shown == f"  {lines[line - 1]}".rstrip() or not shown.strip()
        assert caret == " " * (column + 1) + "^"


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "\n" * 30_000,
        GOOD + "".join(f"input q{i}[a{i}]\n" for i in range(6_000)),
        changed("+ b[i]", "+ b[i]" * 40_000),
        changed("+ b[i]", "+ " + "*".join(["(b[i] + 1)**90"] * 12)),
        changed("+ b[i]", "+ " + "log(" * 40 + "b[i]" + ")" * 40),
        GOOD + "q[n, i] = " + "sum(" * 45 + "1" + "".join(f", j{i})" for i in range(45)),
    ],
    ids=["lines", "indices", "length", "powers", "nest", "sums"],
)
def test_hostile_texts_are_refused_or_read_at_once(text: str) -> None:
    start = time.perf_counter()
    with contextlib.suppress(SpecificationError):
        sb.Network.from_equations(text)
    assert time.perf_counter() - start < 5


WORDS = """
    sum( mean( max( where( size( softmax( exp( log( acosh( relu( elu( ( [ ) ] , ; : = == <= < and or not if
    + - * / ** @ # n k i j s x t w b E y N 0 1 -1 0.5 1e9 999999999 x[n,k] t[n,i] w[k,i] b[i] [i] [n] [0]
    k+1 2*k alpha=2 *x lambda True None input target parameter constant size integer assume output
"""


def mutated(generator: random.Random) -> str:
    """Return the good text with a few of its words replaced, left out, doubled or added."""
    words = re.findall(r"\w+|\s+|[^\w\s]", GOOD)
    for _ in range(generator.randrange(1, 5)):
        place, length = generator.randrange(len(words)), generator.randrange(3)
        new = generator.choice([[generator.choice(WORDS.split())], words[place : place + 5], []])
        words[place : place + length] = new
        words = words or ["x"]
    return "".join(words)


def test_a_mutated_text_is_read_or_refused() -> None:
    generator, refused = random.Random(1), 0
    for _ in range(600):
        text = mutated(generator)
        try:
            sb.Network.from_equations(text)
        except (SpecificationError, UnsupportedExpression):
            refused += 1
    assert 400 < refused < 600


class Planted(Exception):
    """A fault of the package."""


@pytest.mark.parametrize("fault", [AttributeError, TypeError, KeyError, Planted])
@pytest.mark.parametrize("method", ["size_of", "total", "resolve_subscript", "build_index", "comparison"])
def test_a_fault_of_the_reader_is_none_of_the_text(
    method: str,
    fault: type[Exception],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken(*arguments: object) -> NoReturn:
        raise fault("planted")

    file = tmp_path / "good.net"
    file.write_text(changed("+ b[i]", "+ where(i < size(i) - 1, b[i], 0)"), encoding="utf-8")
    sb.Network.from_file(file)
    monkeypatch.setattr(NetReader, method, broken)
    with pytest.raises(fault, match="planted"):
        sb.Network.from_file(file)
    monkeypatch.setattr(sys, "argv", ["symbackprop", "derive", str(file)])
    with pytest.raises(fault, match="planted"):
        cli.main()
    assert capsys.readouterr() == ("", "")


def test_nothing_in_a_text_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    for harm in ("__import__('os').system('echo harm')", "print('harm')", "(lambda: print('harm'))()"):
        with pytest.raises(SpecificationError):
            sb.Network.from_equations(changed("+ b[i]", f"+ {harm}"))
    assert capsys.readouterr() == ("", "")


def test_sizes_beside_the_text_are_checked() -> None:
    with pytest.raises(SpecificationError, match="size 'q': there is no such index; known are: i, k, n"):
        sb.Network.from_equations(GOOD, {"q": 3})
    with pytest.raises(SpecificationError, match="size k: 4 contradicts 3"):
        sb.Network.from_equations(GOOD, {"k": 4})
    with pytest.raises(SpecificationError, match="size k: must be a whole number"):
        sb.Network.from_equations(GOOD, {"k": 0})
    open_sizes = GOOD.replace("size k = 3, i = 2\n", "")
    with pytest.raises(SpecificationError, match="the size of the index 'i' is not given; add --size i=8"):
        sb.generate(sb.Network.from_equations(open_sizes, {"k": 3}))
    with pytest.raises(
        SpecificationError, match="the indices 'i' and 'k' are not given; add --size i=8 --size k=8"
    ):
        sb.generate(sb.Network.from_equations(open_sizes))


def test_a_read_that_numbers_decide() -> None:
    text = """\
input x[n, p]
target t[n, h]
parameter w[u]
y[n, h] = sum(x[n, 2*h + u]*w[u], u)
E = mean(sum((y[n, h] - t[n, h])**2, h), n)
output y
"""
    assert sb.Network.from_equations(text, {"p": 8, "u": 2, "h": 4}).model.missing == {}
    with pytest.raises(SpecificationError, match=r"line 4, column 24: this reads beyond the end .*, by 1;"):
        sb.Network.from_equations(text, {"p": 7, "u": 2, "h": 4})


def test_an_output_that_reads_a_target_has_a_derivation_and_no_code() -> None:
    network = sb.Network.from_equations(changed("+ b[i]\n", "+ b[i] + t[n, i]\n"))
    assert all(verdict.holds for verdict in sb.prove(sb.derive(network)))
    message = "the output 's' reads the target 't', which forward is not given; declare 't' as an input"
    with pytest.raises(SpecificationError, match=message):
        sb.generate(network)
