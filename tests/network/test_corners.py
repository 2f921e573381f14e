"""Corners of the ``.net`` notation, each a general rule."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

import symbackprop as sb
from symbackprop.code.runtime.support import _digamma, _lgamma
from symbackprop.commands.check import check_network
from symbackprop.commands.comparison.module import check_module
from symbackprop.errors import SpecificationError
from symbackprop.network.random_data import sample_data
from symbackprop.network.writing import text_of
from tests.automatic import differentiate
from tests.net_text import evaluate

ONE_LINE = """\
input x[n, k]
target t[n, i]
parameter w[k, i], b[i]
constant c[k] = (1, 2.5, 1)
size i = 2
s[n, i] = sum(c[k]*x[n, k]*w[k, i], k) + b[i]
E = mean(sum((s[n, i] - t[n, i])**2, i)/2, n)
output s
"""
SEVERAL_LINES = """\
input x[n, k]
target t[n, i]
parameter w[k, i], b[i]
constant c[k] = (
    1,  # the first (of three)
    2.5,

    1)
size i = 2
s[n, i] = sum(
\tc[k]*x[n,
        k]*w[k, i],  # a comment ) that closes nothing
    k) + b[i]
E = mean(sum((s[n, i] - t[n, i])**2,
             i)/2, n)
output s
"""


def refused(text: str) -> str:
    """Return the message with which a text is refused, caret included."""
    with pytest.raises(SpecificationError) as caught:
        sb.Network.from_equations(text)
    return str(caught.value)


def place_shown(message: str) -> tuple[int, int, str]:
    """Return line, column, and what stands above the caret, from there on."""
    found = re.search(r"line (\d+), column (\d+)", message)
    _, shown, caret = message.rsplit("\n", 2)
    assert found
    return int(found[1]), int(found[2]), shown[caret.index("^") :]


def equations_in(text: str) -> list[str]:
    """Return the equations of a text that has each in a line of its own."""
    return [line for line in text.splitlines() if re.match(r"\w+(\[[^=]*\])? = ", line)]


class Numbers:
    """A network with numbers: its module, and its text as plain loops over the components."""

    def __init__(self, text: str, letters: Mapping[str, int], samples: int = 5) -> None:
        self.text, self.letters = text, {**letters, "n": samples}
        self.net = sb.Network.from_equations(text)
        model = self.net.model
        self.module: Any = sb.load(self.net)
        self.x, self.t = sample_data(model, np.random.default_rng(0))
        start = self.module.initialize(1, np.float64)
        wave = (np.cos(np.arange(v.size) + len(name)).reshape(v.shape) for name, v in start.items())
        self.parameters = {n: v + 0.3 * w for (n, v), w in zip(start.items(), wave, strict=True)}
        self.given: dict[str, Any] = {c.name: np.asarray(c.value) for c in model.constants}
        for arrays, argument in ((model.inputs, self.x), (model.targets, self.t)):
            self.given |= argument if len(arrays) > 1 else {g.name: argument for g in arrays}

    def plain(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return evaluate(equations_in(self.text), {**self.given, **parameters}, self.letters)

    def derivative(self, name: str, place: tuple[int, ...]) -> float:
        """Return a central difference of E as the text says it."""
        ends = []
        for step in (1e-6, -1e-6):
            moved = {n: np.array(v) for n, v in self.parameters.items()}
            moved[name][place] += step
            ends.append(float(self.plain(moved)["E"]))
        return (ends[0] - ends[1]) / 2e-6


def holds(text: str, letters: Mapping[str, int], proves: bool = True) -> Numbers:
    """See that forward, E and its derivatives are those of the text, and that ``check`` passes."""
    numbers = Numbers(text, letters)
    values = numbers.plain(numbers.parameters)
    output = numbers.net.model.output
    forward = numbers.module.forward(numbers.parameters, numbers.x)
    np.testing.assert_allclose(forward, values[output], rtol=1e-9, atol=1e-9)
    loss, gradients = numbers.module.gradients(numbers.parameters, numbers.x, numbers.t)
    assert loss == pytest.approx(float(values["E"]), rel=1e-9)
    for name, gradient in gradients.items():
        for place in np.ndindex(*gradient.shape):
            expected = numbers.derivative(name, place)
            assert gradient[place] == pytest.approx(expected, rel=1e-5, abs=1e-7), (name, place)
    if proves:
        report = check_network(numbers.net)
        assert report.holds, report.table()
    written(numbers.net)
    return numbers


def written(net: sb.Network) -> None:
    """See that a network is written and read back, in all formats and languages, and as a worked example."""
    derivation = sb.derive(net)
    assert sb.derive(sb.Network.from_equations(text_of(net))).text() == derivation.text()
    assert "nan" not in sb.trace(net).text().split()
    for language in ("en", "ko"):
        assert derivation.latex(language=language)
        assert "<math" in derivation.html(language=language)


# ---------------------------------------------------------------------------------- several lines


def test_an_equation_over_several_lines_is_that_of_one_line() -> None:
    one, several = (sb.derive(sb.Network.from_equations(text)).text() for text in (ONE_LINE, SEVERAL_LINES))
    assert one == several


@pytest.mark.parametrize(
    ("old", "new", "place", "problem"),
    [
        ("        k]*w[k, i],", "        k]*v[k, i],", (12, 12, "v[k, i],"), "unknown quantity 'v'"),
        ("    k) + b[i]", "    k) + b[j]", (13, 12, "j]"), "the index 'j' is free"),
        ("\tc[k]*x[n,", "\tc[k]*y[n,", (11, 10, "y[n,"), "unknown quantity 'y'"),
        ("s[n, i] = sum(\n", "s[m, i] = sum(\n", (11, 12, "n,"), "the index 'n' is free"),
        ("    2.5,\n", "    2.5x,\n", (6, 8, "x,"), "an operator is missing"),
        ("    k) + b[i]", "    k] + b[i]", (13, 6, "] + b[i]"), "nothing is open that this ']'"),
        ("    k) + b[i]", "    k + b[i]", (10, 14, "("), "this '(' is never closed"),
        ("             i)/2, n)", "             i)/2, n", (14, 9, "(sum("), "this '(' is never closed"),
    ],
)
def test_mistakes_are_shown_in_their_own_line(
    old: str, new: str, place: tuple[int, int, str], problem: str
) -> None:
    assert old in SEVERAL_LINES
    message = refused(SEVERAL_LINES.replace(old, new))
    line, column, shown = place
    assert problem in message
    assert place_shown(message)[:2] == (line, column)
    assert place_shown(message)[2].startswith(shown)


# ------------------------------------------------------------------------------ unknown functions


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("sotfmax", "did you mean 'softmax'? also near: log_softmax, Max; "),
        ("rleu", "did you mean 'relu'? also near: "),
        ("wherre", "did you mean 'where'? "),
        ("zzz", ""),
    ],
)
def test_an_unknown_function_is_told_the_nearest_names_then_all(written: str, near: str) -> None:
    message = refused(ONE_LINE.replace("sum(c", f"{written}(c"))
    told, known = message.split("\n")[0].split("known are: ")
    assert f"line 6, column 11: unknown function '{written}'; {near}" in told
    names = known.split(", ")
    assert names == sorted(names)
    assert {"softmax", "prelu", "sum", "size", "where", "exp", "sigmoid"} < set(names)


# ----------------------------------------------------------------- minima, places, sums of exponentials


LEAST = """\
input x[n, k]
target t[n]
parameter w[k, i, j], c[i]
size k = 2, i = 3, j = 2
a[n, i, j] = sum(x[n, k]*w[k, i, j], k) + c[i]
y[n] = min(a[n, i, j], i, j) + min(c[0], x[n, 0], 1) + 2*max(c[1], x[n, 1]) + min(c[i]**2, i)
E = mean((y[n] - t[n])**2, n)
output y
"""
PLACES = """\
input x[n, k]
target t[n]
parameter w[k, i], c[i, k]
size k = 2, i = 3
z[n, i] = sum(x[n, k]*w[k, i], k)
p[n] = argmax(z[n, i], i)
y[n] = sum(c[p[n], k]*x[n, k], k) + where(argmax(x[n, k], k) == p[n], z[n, 0], 2*z[n, 1]) + p[n]/10
u[n] = y[n] + z[n, argmax(c[i, 1], i)]
E = mean((u[n] - t[n])**2, n)
output u
"""
EXPONENTIALS = """\
input x[n, k]
target t[n]
parameter w[k, i], c[i]
size k = 2, i = 3
s[n, i] = sum(x[n, k]*w[k, i], k)
y[n] = logsumexp(s[n, i] + c[i], i) + logsumexp(c[i]*x[n, 0] - c[j], i, j)
E = mean((y[n] - t[n])**2, n)
output y
"""


def test_min_over_indices_goes_to_the_first_of_the_least() -> None:
    holds(LEAST, {"k": 2, "i": 3, "j": 2})
    text = """\
input x[n, k]
parameter w[k]
size k = 4
y[n] = min(x[n, k]*w[k], k)
E = mean(y[n], n)
output y
"""
    module: Any = sb.load(sb.Network.from_equations(text))
    x = np.array([[3.0, -1.0, 2.0, -1.0]])
    loss, gradients = module.gradients({"w": np.ones(4)}, x, None)
    assert loss == -1
    np.testing.assert_array_equal(gradients["w"], [0, -1, 0, 0])


def test_argmax_is_a_whole_number_without_derivative() -> None:
    net = holds(PLACES, {"k": 2, "i": 3}).net
    assert net.model.system.quantities["p"].integer
    text = """\
input x[n, k]
target t[n, i]
parameter w[k, i]
size k = 3, i = 4
z[n, i] = sum(x[n, k]*w[k, i], k)
p[n] = argmax(z[n, i], i)
E = mean(sum((z[n, i] - t[n, i])**2, i), n)
output p
"""
    numbers = holds(text, {"k": 3, "i": 4})
    assert numbers.module.forward(numbers.parameters, numbers.x).dtype.kind == "i"


def test_logsumexp_is_stable() -> None:
    numbers = holds(EXPONENTIALS, {"k": 2, "i": 3, "j": 3})
    large = {name: 1000 * value for name, value in numbers.parameters.items()}
    loss, gradients = numbers.module.gradients(large, numbers.x, numbers.t)
    assert np.isfinite(loss)
    assert all(np.isfinite(value).all() for value in gradients.values())


@pytest.mark.parametrize(
    ("old", "new", "column", "problem"),
    [
        ("argmax(c[i, 1], i)", "argmax(c[i, 1])", 20, "this call takes 2 arguments, not 1"),
        ("argmax(c[i, 1], i)", "argmax(c[i, k], i, k)", 20, "this call takes 2 arguments, not 3"),
        ("argmax(c[i, 1], i)", "argmax(c[0, 1], i)", 36, "nothing here depends on the index 'i'"),
        ("argmax(c[i, 1], i)", "argmin(c[i, 1], i)", 20, "this is no index"),
        (
            "+ z[n, argmax(c[i, 1], i)]",
            "+ c[argmax(z[n, i], i), argmax(z[n, i], i)]",
            37,
            "this reads beyond",
        ),
        ("+ z[n, argmax(c[i, 1], i)]", "+ logsumexp(c[0, 0])", 15, "this call takes 2 to 9 arguments"),
    ],
)
def test_places_are_refused_where_they_are_wrong(old: str, new: str, column: int, problem: str) -> None:
    message = refused(PLACES.replace(old, new))
    assert problem in message
    assert place_shown(message)[:2] == (8, column)


def test_a_declared_name_keeps_its_own_meaning() -> None:
    """The names of functions are free for quantities and numbers."""
    text = """\
input argmax[n, logsumexp]
parameter min[logsumexp], prod
y[n] = sum(argmax[n, logsumexp]*min[logsumexp], logsumexp)*prod
E = mean(y[n]**2, n)
output y
"""
    renamed = text.replace("argmax", "x").replace("logsumexp", "k").replace("min", "w").replace("prod", "c")
    forms = [
        sb.derive(sb.Network.from_equations(each, {k: 2}))
        for each, k in ((text, "logsumexp"), (renamed, "k"))
    ]
    assert len(forms[0].steps) == len(forms[1].steps)


# -------------------------------------------------------------------------------------- functions


FUNCTIONS = """\
input x[n, k]
target t[n]
parameter w[k, i], c[i]
size k = 2, i = 2
s[n, i] = sum(x[n, k]*w[k, i], k) + c[i]
y[n] = {formula}
E = mean((y[n] - t[n])**2, n)
output y
"""
FORMULAS = {
    "atan2": "sum(atan2(s[n, i], c[i] - 1), i) + atan2(sum(x[n, k]**2, k), c[0])",
    "floor, round": "sum(floor(3*s[n, i])*s[n, i] + round(s[n, i]) + c[i]*floor(2.5), i) + round(2.5)",
    "lgamma": "sum(lgamma(1 + s[n, i]**2) - lgamma(exp(c[i])) + lgamma(0.7), i)",
}


@pytest.mark.parametrize("name", FORMULAS)
def test_functions_hold(name: str) -> None:
    holds(FUNCTIONS.format(formula=FORMULAS[name]), {"k": 2, "i": 2})


SLOPES = (
    "s*atan2(s, 1 + s**2)",
    "atan2(1 - s, s)",
    "s*floor(2*s) + round(3*s)",
    "lgamma(2 + s**2)",
    "s*lgamma(s)",
    "exp(-lgamma(1/2 + s**2))",
)


@pytest.mark.parametrize("text", SLOPES)
def test_functions_have_the_slopes_of_automatic_differentiation(text: str) -> None:
    module: Any = sb.load(sb.Network(f"1-1:({text})", loss="x"))
    parameters = {"w1": np.ones((1, 1)), "b1": np.zeros(1)}
    for s in (-7.3, -1.6, -0.51, 0.3, 0.8, 2.6, 12.4, 300.2):
        loss, gradients = module.gradients(parameters, np.array([[s]]), np.zeros((1, 1)))
        value, slope = differentiate(text, {"s": s})
        assert loss == pytest.approx(float(value), rel=1e-11, abs=1e-13)
        assert gradients["b1"][0] == pytest.approx(float(slope["s"]), rel=1e-11, abs=1e-13)


def test_a_step_has_the_derivative_0_and_rounds_to_even() -> None:
    module: Any = sb.load(sb.Network("1-1:(floor(s) + 10*round(s))", loss="x"))
    parameters = {"w1": np.ones((1, 1)), "b1": np.zeros(1)}
    for s, value in ((0.5, 0), (1.5, 21), (2.5, 22), (-0.5, -1), (-1.5, -22), (3.0, 33)):
        loss, gradients = module.gradients(parameters, np.array([[s]]), np.zeros((1, 1)))
        assert (loss, gradients["b1"][0]) == (value, 0)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_gamma_functions_of_generated_code(dtype: Any) -> None:
    points = [*np.geomspace(1e-6, 1e6, 101), *-np.linspace(0.1, 20.1, 37), 1, 2, 7.99, 8, 15.99, 16]
    z = np.array(points, dtype)
    for function, truth in ((_lgamma, lambda s: mpmath.loggamma(s).real), (_digamma, mpmath.digamma)):
        expected = np.array([float(truth(float(s))) for s in z])
        found, room = function(z), np.empty_like(z)
        assert function(z, out=room) is room
        np.testing.assert_array_equal(found, room)
        assert found.dtype == dtype
        np.testing.assert_allclose(
            found, expected, rtol=64 * np.finfo(dtype).eps, atol=32 * np.finfo(dtype).eps
        )
        assert function(dtype(2.5)) == pytest.approx(float(truth(2.5)), rel=1e-6)


@pytest.mark.parametrize(
    ("formula", "column", "problem"),
    [
        ("atan2(c[0])", 8, "this call takes 2 arguments, not 1"),
        ("atan2(c[0], c[j])", 22, "the index 'j' is free"),
        ("floor(c[0], 2)", 8, "this call takes 1 argument, not 2"),
        ("lgamma(0) + c[0]*x[n, 0]", 8, "the formula has no real value here"),
        ("gamma(c[0])", 8, "unknown function 'gamma'; did you mean 'lgamma'?"),
    ],
)
def test_functions_are_refused_where_they_are_wrong(formula: str, column: int, problem: str) -> None:
    message = refused(FUNCTIONS.format(formula=formula))
    assert problem in message
    assert place_shown(message)[:2] == (6, column)


# -------------------------------------------------------------------- indices and sizes as values


VALUES = {
    "positions": """\
input x[n, p, k]
target t[n]
parameter w[k], c[p]
size k = 4, p = 3
h[n, p, k] = x[n, p, k] + where(k < 2, sin(p/10000**(2*k/size(k))), (p + 1)**2/size(p))
y[n] = sum(h[n, p, k]*w[k]*c[p]*(p + 1), p, k)*size(k)
E = mean((y[n] - t[n])**2, n)
output y
""",
    "polynomial": """\
input x[n]
target t[n]
parameter w[k], a
size k = 4
y[n] = sum(w[k]*(a*x[n])**k*(-1)**k, k) + sum(w[k]**size(k), k)
E = mean((y[n] - t[n])**2, n)
output y
""",
    "samples": """\
input x[n]
target t[n]
parameter w[k], a
size k = 3
y[n] = sum(w[k]*exp(-k*x[n]**2), k) + a*n/size(n)
E = mean((y[n] - t[n])**2, n)
output y
""",
}


@pytest.mark.parametrize("name", VALUES)
def test_an_index_or_a_size_is_a_value(name: str) -> None:
    holds(VALUES[name], {"k": 3 if name == "samples" else 4, "p": 3})


def test_of_one_name_the_number_is_meant_outside_of_conditions() -> None:
    text = """\
input x[n, k]
target t[n]
parameter w[k], k = 2
size k = 3
y[n] = sum(w[k]*x[n, k]*k, k) + sum(where(k < 2, x[n, k], 1), k)
E = mean((y[n] - t[n])**2, n)
output y
"""
    module: Any = sb.load(sb.Network.from_equations(text))
    x = np.array([[1.0, 2.0, 3.0]])
    parameters = {"w": np.ones(3), "k": np.array(2.0)}
    assert module.forward(parameters, x)[0] == 2 * 6 + 1 + 2 + 1


def test_the_derivative_of_a_power_has_a_value_where_its_base_is_0() -> None:
    module: Any = sb.load(sb.Network.from_equations(VALUES["polynomial"]))
    parameters = {"w": np.array([1.0, 2.0, 3.0, 4.0]), "a": np.array(0.0)}
    _, gradients = module.gradients(parameters, np.array([0.5, 0.0]), np.array([0.0, 0.0]))
    outputs = 1 + 1 + 16 + 81 + 256
    assert gradients["a"] == pytest.approx(outputs * -2.0 * 0.5)


# ---------------------------------------------------------------- quotients, remainders, constants


PARTED = {
    "heads": """\
input x[n, p, d]
target t[n, p, d]
parameter wq[d, e], wo[e, d]
size d = 2, p = 2, h = 2, k = 2, e = 4
q[n, p, e] = sum(x[n, p, d]*wq[d, e], d)
a[n, p, h, k] = q[n, p, h*size(k) + k]
o[n, p, h, k] = tanh(a[n, p, h, k])*a[n, p, h, 0]
y[n, p, d] = sum(o[n, p, e//size(k), e%size(k)]*wo[e, d], e)
E = mean(sum((y[n, p, d] - t[n, p, d])**2, p, d), n)
output y
""",
    "upsampling": """\
input x[n, p]
target t[n, q]
parameter w[u], b[c]
size p = 3, q = 6, u = 3, c = 2
constant shift = 1
y[n, q] = sum(where(0 <= q//2 + u - shift < size(p), x[n, q//2 + u - shift]*w[u], 0), u)
z[n, q] = y[n, q] + b[q%2]*x[n, (q + 1)%size(p)] + where(q%3 == shift, w[shift], 0)
E = mean(sum((z[n, q] - t[n, q])**2, q), n)
output z
""",
    "a circle": """\
input x[n, p]
target t[n, p]
parameter w[p, r]
size p = 4, r = 4
z[n, r] = sum(x[n, p]*w[p, r], p)
y[n, p] = z[n, (p + 1)%size(p)]*z[n, p] + z[n, size(r) - 1 - p] + z[n, 3*p//4]*(p//2)
E = mean(sum((y[n, p] - t[n, p])**2, p), n)
output y
""",
    "labels": """\
integer input token[n]
target t[n]
parameter w[v], u[g]
size v = 6, g = 3
y[n] = w[token[n]] + u[token[n]//2] + u[token[n]%3]**2
E = mean((y[n] - t[n])**2, n)
output y
""",
}
SIZES = {"d": 2, "h": 2, "k": 2, "e": 4, "q": 6, "u": 3, "c": 2, "r": 4, "v": 6, "g": 3}


@pytest.mark.parametrize("name", PARTED)
def test_quotients_remainders_and_constants_are_indices(name: str) -> None:
    text = PARTED[name].replace("shift", "1").replace("constant 1 = 1\n", "")
    numbers = holds(
        PARTED[name] if "shift" not in PARTED[name] else text,
        {**SIZES, "p": {"heads": 2, "a circle": 4}.get(name, 3)},
    )
    if text != PARTED[name]:
        named = sb.derive(sb.Network.from_equations(PARTED[name]))
        assert named.gradient("w") == sb.derive(numbers.net).gradient("w")


@pytest.mark.parametrize(
    ("old", "new", "column", "problem"),
    [
        ("(p + 1)%size(p)", "(p + 1)%5", 23, "this reads beyond the end of axis 2 of 'z', by 1"),
        ("(p + 1)%size(p)", "(p - 1)//2", 23, "this reads before the beginning of axis 2 of 'z', by 1"),
        ("(p + 1)%size(p)", "p//p", 19, "the divisor of // must be a number or a size above 0"),
        ("(p + 1)%size(p)", "p%0", 18, "the divisor of % must be a number or a size above 0"),
        ("*(p//2)", "*(x[n, p]//2)", 81, "// is for whole numbers; of others take floor(a/b)"),
        ("(p + 1)%size(p)", "p*r", 18, "the index 'r' is free"),
    ],
)
def test_quotients_are_refused_where_they_are_wrong(old: str, new: str, column: int, problem: str) -> None:
    message = refused(PARTED["a circle"].replace(old, new))
    assert problem in message
    assert place_shown(message)[:2] == (6, column)


def test_a_place_beside_whole_data_is_told_the_sum_that_chooses_it() -> None:
    text = """\
input x[n, t, i]
integer input length[n]
parameter w[i]
size i = 2
y[n, i] = w[i]*x[n, length[n] - 1, i]
E = mean(sum(y[n, i]**2, i), n)
output y
"""
    message = refused(text)
    assert place_shown(message)[:2] == (5, 31)
    assert "choose it: sum(where(p == length, x[p], 0), p)" in message
    chosen = text.replace("x[n, length[n] - 1, i]", "sum(where(t == length[n] - 1, x[n, t, i], 0), t)")
    assert sb.Network.from_equations(chosen).model


def test_a_quotient_as_an_index_needs_sizes() -> None:
    text = PARTED["a circle"].replace("size p = 4, r = 4\n", "").replace("E =", "F =")
    message = refused(text.replace("F =", "E ="))
    assert "whether this read is inside depends on the size of 'p'; give it a number" in message


# ---------------------------------------------------------------------------------- parts of axes


PARTS = {
    "a part": """\
input x[n, p]
target t[n, q]
parameter w[p, r], b[r]
size p = 2, r = 5, q = 3, s = 2
z[n, r] = tanh(sum(x[n, p]*w[p, r], p) + b[r])
y[n, q] = z[n, q]*z[n, q + 2] + sum(z[n, s]*b[s], s) + max(z[n, s], s)
E = mean(sum((y[n, q] - t[n, q])**2, q) + sum(z[n, s]**2, s), n)
output y
""",
    "gates": """\
input x[n, p]
target t[n, i]
parameter w[p, g], b[g]
a[n, g] = sum(x[n, p]*w[p, g], p) + b[g]
y[n, i] = tanh(a[n, i])*sigmoid(a[n, i + size(i)])
E = mean(sum((y[n, i] - t[n, i])**2, i), n)
output y
size p = 2, g = 4, i = 2
""",
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_an_axis_is_read_where_sizes_tell_that_it_is_inside(name: str) -> None:
    sizes = {"p": 2, "r": 5, "q": 3, "s": 2, "g": 4, "i": 2}
    holds(PARTS[name], sizes)


def test_a_part_may_be_told_by_sizes_beside_the_text() -> None:
    text = PARTS["gates"].replace("size p = 2, g = 4, i = 2\n", "")
    net = sb.Network.from_equations(text, {"p": 2, "g": 6, "i": 3})
    assert sb.load(net).PARAMETER_SHAPES["w"] == (2, 6)
    with pytest.raises(SpecificationError, match="this reads beyond the end of axis 2 of 'a', by 1"):
        sb.Network.from_equations(text, {"p": 2, "g": 5, "i": 3})
    wide = PARTS["a part"].replace("s = 2", "s = 6")
    assert "the index 's' can't run over 6" in refused(wide) or "the index 's' runs over 6" in refused(wide)


# --------------------------------------------------------------------------------------- products


PRODUCTS = """\
input x[n, k]
target t[n]
parameter w[k, i], c[i]
size k = 3, i = 2
y[n] = prod(1 + x[n, k]*c[0], k)*prod(sum(x[n, k]*w[k, i], k) + c[i], i) + prod(w[k, i], k, i)
z[n] = y[n] + prod(where(k > 0, x[n, k - 1]*c[1], 2), k)
E = mean((z[n] - t[n])**2, n)
output z
"""


def test_a_product_over_an_index() -> None:
    holds(PRODUCTS, {"k": 3, "i": 2})


def test_the_derivative_of_a_product_is_right_at_zeros() -> None:
    text = """\
input x[n, k]
parameter w[k]
size k = 3
y[n] = prod(w[k]*x[n, k], k)
E = mean(y[n], n)
output y
"""
    module: Any = sb.load(sb.Network.from_equations(text))
    x = np.array([[2.0, 3.0, 5.0]])
    for w, expected in (([0.0, 1, 1], [30, 0, 0]), ([0.0, 0, 1], [0, 0, 0]), ([1.0, 1, -2], [-60, -60, 30])):
        loss, gradients = module.gradients({"w": np.array(w)}, x, None)
        assert loss == 30 * np.prod(w)
        np.testing.assert_array_equal(gradients["w"], expected)


@pytest.mark.parametrize("size", ["", "size k = 17\n"])
def test_a_product_needs_its_number_of_factors(size: str) -> None:
    text = PRODUCTS.replace("size k = 3, i = 2\n", f"{size}size i = 2\n")
    message = refused(text)
    assert "a product over 'k' needs its number of factors, up to 16; give it, as in: size k = 3" in message
    assert place_shown(message)[1] == 31


# ------------------------------------------------------------------------------- several outputs


OUTPUTS = """\
input x[n, k]
integer target label[n]
parameter w[k, i], b[i], v[k]
size k = 2, i = 3
s[n, i] = sum(x[n, k]*w[k, i], k) + b[i]
y[n, i] = softmax(s[n, i], i)
l[n, i] = log_softmax(s[n, i], i)
z[n] = sum(x[n, k]*v[k], k)
p[n] = argmax(s[n, i], i)
E = mean(-l[n, label[n]] + (z[n] - 1)**2, n)
output y, z, p
"""


def test_forward_returns_a_dict_of_several_outputs() -> None:
    net = sb.Network.from_equations(OUTPUTS)
    report = check_network(net)
    assert report.holds, report.table()
    numbers = Numbers(OUTPUTS, {"k": 2, "i": 3})
    found, values = numbers.module.forward(numbers.parameters, numbers.x), numbers.plain(numbers.parameters)
    assert list(found) == ["y", "z", "p"]
    for name, value in found.items():
        np.testing.assert_allclose(value, values[name], rtol=1e-9)
    written(net)


def test_several_outputs_on_the_command_line(tmp_path: Path) -> None:
    """Predictions hold all outputs, and the accuracy is that of the first."""
    sb.generate(sb.Network.from_equations(OUTPUTS), tmp_path / "several.py")
    x = np.random.default_rng(0).normal(size=(20, 2))
    np.savez(tmp_path / "data.npz", x=x, label=np.arange(20) % 3)

    def run(*arguments: str) -> str:
        command = [sys.executable, "-B", "several.py", *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    run("train", "data.npz", "--epochs", "1", "-o", "w.npz")
    assert len(run("predict", "w.npz", "data.npz").splitlines()[0].split(",")) == 5
    run("predict", "w.npz", "data.npz", "-o", "p.npz")
    with np.load(tmp_path / "p.npz") as file:
        shapes = {name: file[name].shape for name in ("y", "z", "p")}
        right = (file["y"].argmax(axis=1) == np.arange(20) % 3).mean()
    assert shapes == {"y": (20, 3), "z": (20,), "p": (20,)}
    assert f"accuracy {right:.4%}" in run("evaluate", "w.npz", "data.npz")


def test_a_module_with_wrong_outputs_is_caught() -> None:
    net = sb.Network.from_equations(OUTPUTS)
    module: Any = sb.load(net)
    right = module.forward
    for wrong in (
        lambda *a: right(*a)["y"],
        lambda *a: {**right(*a), "z": right(*a)["z"] + 1e-3},
        lambda *a: dict(reversed(right(*a).items())),
    ):
        module.forward = wrong
        assert not all(row.holds for row in check_module(module, sb.derive(net)))


@pytest.mark.parametrize(
    ("line", "place", "problem"),
    [
        ("output y, q", (11, 11), "'q' is no quantity that an equation defines"),
        ("output y, E", (11, 11), "'E' is no quantity that an equation defines"),
        ("output y, y", (11, 11), "'y' is an output twice; name each once"),
        ("output y\noutput z, p", (12, 8), "there are two outputs; name all in one line, as in: output y, z"),
        ("output y, z", (9, 1), "'p' is never used"),
    ],
)
def test_outputs_are_refused_where_they_are_wrong(line: str, place: tuple[int, int], problem: str) -> None:
    message = refused(OUTPUTS.replace("output y, z, p", line))
    assert problem in message
    assert place_shown(message)[:2] == place


# ------------------------------------------------------------------------------ cases on the left


CASES = {
    "a start": (
        """\
input x[n, i]
target t[n, q]
parameter w[i], a
size i = 3
y[n, 0] = a
y[n, i + 1] = x[n, i]*w[i]
E = mean(sum((y[n, q] - t[n, q])**2, q), n)
output y
""",
        "y[n, q] = where(q == 0, a, x[n, q - 1]*w[q - 1])",
    ),
    "interleaved": (
        """\
input x[n, h]
target t[n, q]
parameter w[h], b[r]
size h = 3, r = 2
y[n, 2*h + r] = tanh(x[n, h]*w[h])*b[r]
z[n, q] = y[n, q]**2
E = mean(sum((z[n, q] - t[n, q])**2, q), n)
output z
""",
        "y[n, q] = tanh(x[n, q//2]*w[q//2])*b[q%2]",
    ),
    "turned pairs": (
        """\
input x[n, h]
target t[n, q]
parameter w[h], b[r]
size h = 3, r = 2
y[n, 2*h + 1 - r] = tanh(x[n, h]*w[h])*b[r]
z[n, q] = y[n, q]**2
E = mean(sum((z[n, q] - t[n, q])**2, q), n)
output z
""",
        "y[n, q] = tanh(x[n, q//2]*w[q//2])*b[1 - q%2]",
    ),
    "flattened beside another": (
        """\
input x[n, i, k], u[n, h]
target t[n, r]
parameter w[q, r], v[k]
size i = 2, k = 2, h = 2, r = 2
c[n, h] = u[n, h]**2
c[n, 2 + 2*i + k] = x[n, i, k]*v[k]
s[n, r] = tanh(sum(c[n, q]*w[q, r], q))
E = mean(sum((s[n, r] - t[n, r])**2, r), n)
output s
""",
        "c[n, q] = where(q < 2, u[n, q]**2, x[n, (q - 2)//2, q%2]*v[q%2])",
    ),
    "concatenated": (
        """\
input x[n, i], u[n, k]
target t[n, q]
parameter w[q, r], v[i]
size i = 3, k = 2, r = 2
c[n, i] = x[n, i]*v[i]
c[n, size(i) + k] = u[n, k]**2
h[n, r] = tanh(sum(c[n, q]*w[q, r], q))
E = mean(sum((h[n, r] - 1)**2, r) + sum(t[n, q]*c[n, q], q), n)
output h
""",
        "c[n, q] = where(q < 3, x[n, q]*v[q], u[n, q - 3]**2)",
    ),
    "rotated": (
        """\
input x[n, p, d]
target t[n, p, d]
parameter w[d, e]
size d = 4, e = 4, h = 2, p = 2
q[n, p, e] = sum(x[n, p, d]*w[d, e], d)
f[n, p, 2*h] = q[n, p, 2*h]*cos(p/10**h) - q[n, p, 2*h + 1]*sin(p/10**h)
f[n, p, 2*h + 1] = q[n, p, 2*h]*sin(p/10**h) + q[n, p, 2*h + 1]*cos(p/10**h)
E = mean(sum((f[n, p, d] - t[n, p, d])**2, p, d), n)
output f
""",
        "f[n, p, d] = q[n, p, d]*cos(p/10**(d//2)) "
        "+ where(d%2 == 0, 0 - q[n, p, 2*(d//2) + 1], q[n, p, 2*(d//2)])*sin(p/10**(d//2))",
    ),
    "backwards": (
        """\
input x[n, i]
target t[n, q]
parameter w[i], a
size i = 3
y[n, 3 - i] = x[n, i]*w[i]
y[n, 0] = a*x[n, 0]
E = mean(sum((y[n, q] - t[n, q])**2, q), n)
output y
""",
        "y[n, q] = where(q == 0, a*x[n, 0], x[n, 3 - q]*w[3 - q])",
    ),
}

EXTENTS = {"concatenated": 5, "interleaved": 6, "turned pairs": 6, "flattened beside another": 6}
"""Where they are not 4."""


@pytest.mark.parametrize("name", CASES)
def test_cases_on_the_left_are_one_quantity(name: str) -> None:
    text, equation = CASES[name]
    net = sb.Network.from_equations(text)
    report = check_network(net)
    assert report.holds, report.table()
    written(net)
    defined = equation.split("[")[0]
    lines = [line for line in text.splitlines() if not re.match(rf"{defined}\[[^=]*\] = ", line)]
    last = max(n for n, line in enumerate(lines) if line.startswith(("size", "q[")))
    plain = "\n".join([*lines[: last + 1], equation, *lines[last + 1 :]])
    one: Any = sb.load(net)
    x, t = sample_data(net.model, np.random.default_rng(0))
    parameters = {n: v + 0.3 for n, v in one.initialize(0, np.float64).items()}
    letters = {
        "n": 5,
        "i": 3,
        "k": 2,
        "r": 2,
        "h": 3,
        "q": EXTENTS.get(name, 4),
        "d": 4,
        "e": 4,
        "p": 2,
    }
    given = {**parameters, **(x if isinstance(x, dict) else {"x": x}), "t": t}

    def error(**changed: Any) -> float:
        return float(evaluate(equations_in(plain), {**given, **changed}, letters)["E"])

    loss, gradients = one.gradients(parameters, x, t)
    assert loss == pytest.approx(error(), rel=1e-9)
    for parameter, value in parameters.items():
        for place in np.ndindex(*value.shape):
            step = np.zeros(value.shape)
            step[place] = 1e-6
            slope = (error(**{parameter: value + step}) - error(**{parameter: value - step})) / 2e-6
            assert gradients[parameter][place] == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_cases_of_thousands_of_places_are_proved_with_few() -> None:
    """What is flattened is said in sizes, which the proof may choose."""
    text = """\
input x[n, c, p, q]
target t[n, i]
parameter w[k, i]
size c = 3, p = 40, q = 50, i = 2
f[n, c*2000 + p*50 + q] = tanh(x[n, c, p, q])
f[n, 6000] = 1
s[n, i] = sum(f[n, k]*w[k, i], k)
E = mean(sum((s[n, i] - t[n, i])**2, i), n)
output s
"""
    derivation = sb.derive(sb.Network.from_equations(text))
    flat = derivation.system.quantities["f"].shape[-1]
    assert {str(size) for size in flat.free_symbols} == {"C", "P", "Q"}
    verdicts = sb.prove(derivation)
    assert all(verdict.holds for verdict in verdicts)
    assert max(verdict.components for verdict in verdicts) < 6000


def test_a_quotient_relates_the_sizes_that_it_divides() -> None:
    """Pixels of channels side by side, in an image that is as often as large as the text says."""
    text = """\
input x[n, d, h, g]
target t[n, p, q]
parameter w[d]
size d = 4, h = 30, g = 40, p = 60, q = 80
y[n, p, q] = w[(p%2)*2 + q%2]*x[n, (p%2)*2 + q%2, p//2, q//2]
E = mean((tanh(y[n, p, q]) - t[n, p, q])**2, n, p, q)
output y
"""
    derivation = sb.derive(sb.Network.from_equations(text))
    image = derivation.system.quantities["y"].shape[-2:]
    assert [str(n) for n in image] == ["2*H", "2*G"]
    verdicts = sb.prove(derivation)
    assert all(verdict.holds for verdict in verdicts)
    assert max(verdict.components for verdict in verdicts) < 1200


def test_steps_that_fit_no_small_sizes_are_open_where_they_have_too_many_places() -> None:
    text = """\
input x[n, h, g]
target t[n, p, q]
parameter w[h]
size h = 60, g = 70, p = 179, q = 209
y[n, p, q] = w[p//3]*x[n, p//3, q//3]
E = mean((tanh(y[n, p, q]) - t[n, p, q])**2, n, p, q)
output y
"""
    verdicts = sb.prove(sb.derive(sb.Network.from_equations(text)))
    too_large = [verdict for verdict in verdicts if not verdict.holds]
    assert too_large
    assert not any(verdict.decided for verdict in too_large)


def test_sizes_that_must_fit_are_written_through_each_other() -> None:
    """Of a transposed convolution back to the size of an image, so that the proof may choose smaller ones."""
    text = """\
from library import transposed_conv1d
input x[n, c, p]
target t[n, o, p]
parameter w[c, u]
size c = 2, p = 4000, u = 2
s[n, c, h] = sum(x[n, c, 2*h + u]*w[c, u], u)
z[n, o, p] = transposed_conv1d(s, f=2, stride=2)
E = mean((z[n, o, p] - t[n, o, p])**2, n, o, p)
output z
"""
    derivation = sb.derive(sb.Network.from_equations(text))
    assert derivation.system.quantities["x"].shape[-1].free_symbols
    verdicts = sb.prove(derivation)
    assert all(verdict.holds for verdict in verdicts)
    assert max(verdict.components for verdict in verdicts) < 4000


@pytest.mark.parametrize(
    ("old", "new", "place", "problem"),
    [
        ("y[n, i + 1]", "y[n, i]", (6, 1), "'y': place 0 is defined twice"),
        ("y[n, i + 1]", "y[n, i + 2]", (6, 1), "'y': place 1 is not defined"),
        ("y[n, i + 1]", "y[n, i - 1]", (6, 1), "'y': place -1 lies before the beginning"),
        ("y[n, 0] = a\n", "", (5, 1), "'y': place 0 is not defined"),
        ("y[n, 0] = a", "y[m, 0] = a*x[m, 0]", (6, 1), "the cases differ along more than one axis"),
        ("y[n, 0] = a", "y[n] = a", (6, 1), "the cases have different numbers of axes"),
        ("x[n, i]*w[i]", "y[n, 0]*w[i]", (6, 15), "equations go in a circle: y -> y"),
        ("x[n, i]*w[i]", "y[n, i + 1]*w[i]", (6, 15), "at one and the same place each needs the next"),
        ("size i = 3\n", "", (5, 1), "depends on the size of 'i': write size i = 4"),
        ("y[n, i + 1]", "y[n, i*i]", (6, 7), "this is no index"),
        ("a\ny", "argmax(x[n, i], i)\ny", (5, 11), "an argmax can't be a case"),
    ],
)
def test_cases_are_refused_where_they_are_wrong(
    old: str, new: str, place: tuple[int, int], problem: str
) -> None:
    text = CASES["a start"][0]
    assert old in text
    message = refused(text.replace(old, new))
    assert problem in message
    assert place_shown(message)[:2] == place


def test_a_part_of_an_axis_is_read_beside_the_whole() -> None:
    """What has the first places alone hands nothing back to the others."""
    text = """\
input x[n, p]
target t[n, q]
parameter w[p], v[q]
size p = 5, q = 4
h[n, p] = tanh(x[n, p]*w[p])
y[n, q] = v[q]*h[n, q]
E = mean(sum((y[n, q] - t[n, q])**2, q) + sum(h[n, p]**2, p), n)
output y
"""
    holds(text, {"p": 5, "q": 4})


INSIDE_WHERE = """\
input x[n, p, k]
target t[n, p]
parameter w[k]
size k = 3
a[n, p] = where(p > 0, max(w[k]*x[n, p - 1, k], k), 0.5)
b[n, p] = where(p > 0, min(x[n, p - 1, k]**2*w[k], k), w[0])
c[n, p] = where(p > 0, x[n, p - 1, argmax(w[k]*x[n, p - 1, k], k)], 0)
y[n, p] = a[n, p] + b[n, p]*c[n, p]
E = mean(sum((y[n, p] - t[n, p])**2, p), n)
output y
"""


def test_the_largest_inside_of_where_reads_nothing_outside() -> None:
    network = sb.Network.from_equations(INSIDE_WHERE)
    report = check_network(network)
    assert report.holds, report.table()
    module, generator = sb.load(network), np.random.default_rng(0)
    shapes = {"w": (3,), "x": (2, 4, 3), "t": (2, 4)}
    values = {name: generator.normal(size=shape) for name, shape in shapes.items()}
    lines = [line for line in INSIDE_WHERE.split("\n")[4:] if " = " in line]
    right = evaluate(lines, values, {"n": 2, "p": 4, "k": 3})
    np.testing.assert_allclose(module.forward({"w": values["w"]}, values["x"]), right["y"], rtol=1e-12)
