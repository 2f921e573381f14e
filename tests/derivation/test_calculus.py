"""The calculus part by part: binders, paths and contraction, choice of form, closed and stable forms."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

import mpmath
import numpy as np
import pytest
from sympy import (
    Abs,
    Add,
    Basic,
    Derivative,
    Dummy,
    Expr,
    Function,
    IndexedBase,
    Integer,
    KroneckerDelta,
    Piecewise,
    Rational,
    S,
    Sum,
    Symbol,
    cosh,
    diff,
    exp,
    expand,
    fraction,
    lambdify,
    log,
    sinh,
    sqrt,
    tanh,
    together,
)

import symbackprop as sb
from symbackprop.derivation.calculus.algebra import (
    cost,
    occurrences,
    textbook_signs,
    tidy,
    tidy_sums,
    use_facts,
)
from symbackprop.derivation.calculus.closed_forms import through_output
from symbackprop.derivation.calculus.paths import contract, paths, with_deltas_used, without_summed_deltas
from symbackprop.derivation.calculus.signature import OUTCOMES
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.derivation.stable.logarithms import is_positive, open_logarithm, stable_form
from symbackprop.equations.indices import (
    canonical,
    close_sum,
    guarded,
    make_sum,
    open_sum,
    range_condition,
    rename,
    renamed,
    settle,
    substitute,
)
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import (
    BINDERS,
    ONE,
    Equation,
    EquationSystem,
    Fact,
    Quantity,
    index,
    indices_of,
    quantity,
    size,
    sum_over,
)
from symbackprop.library.activations import ACTIVATIONS
from tests.conftest import ROOT
from tests.plain_loops import Array, evaluate, finite_differences, random_values, run
from tests.zoo import ZOO

h, i, j, k, p = index("h"), index("i"), index("j"), index("k"), index("p")
n, m = size("n"), size("m")
x, y, t, c = quantity("x", n), quantity("y", n), quantity("t", n), quantity("c", n)
A, B, W = quantity("A", n, n), quantity("B", n, n), quantity("W", n, m)
u, E = quantity("u"), quantity("E")


def same(left: Expr, right: Expr) -> bool:
    """Whether two expressions are equal up to the letters of their bound indices."""
    return bool(canonical(left) == canonical(right))


# -------------------------------------------------------------------------------------------- binders


def test_an_opened_sum_has_indices_of_its_own() -> None:
    total = sum_over(x[i] * y[i], (i, n))
    body, ((fresh, extent),) = open_sum(total)
    assert isinstance(fresh, Dummy)
    assert extent == n
    assert body == x[fresh] * y[fresh]
    assert open_sum(total)[1][0][0] != fresh
    assert same(close_sum(body, [(fresh, extent)]), total)


def test_renaming_does_not_capture() -> None:
    total = sum_over(A[i, j] * x[j], (j, n))
    renamed = rename(total, {i: j})
    assert renamed.free_symbols >= {j}
    assert same(renamed, sum_over(A[j, k] * x[k], (k, n)))
    assert not same(renamed, sum_over(A[j, j] * x[j], (j, n)))


def test_renaming_swaps_and_leaves_bound_indices_alone() -> None:
    assert rename(A[i, j] * x[i], {i: j, j: i}) == A[j, i] * x[j]
    total = sum_over(x[i], (i, n))
    assert rename(total, {i: k}) is total
    assert same(rename(sum_over(x[j] * y[i], (j, n)), {i: 2 * j + 1}), sum_over(x[k] * y[2 * j + 1], (k, n)))


def test_renaming_reaches_the_limits_of_a_sum() -> None:
    triangle = Sum(x[j], (j, 0, i - 1))
    assert same(rename(triangle, {i: k + 1}), Sum(x[j], (j, 0, k)))


def test_building_a_sum_takes_out_what_does_not_depend_on_it() -> None:
    assert make_sum(3 * y[i] * x[j], [(j, n)]) == 3 * y[i] * sum_over(x[j], (j, n))
    assert make_sum(y[i], [(j, n)]) == n * y[i]
    assert make_sum(x[j] + y[i], [(j, n)]) == sum_over(x[j], (j, n)) + n * y[i]
    assert make_sum(x[j], []) == x[j]
    apart = sum_over(x[j], (j, n)) * sum_over(y[k], (k, m))
    assert make_sum(x[j] * y[k], [(j, n), (k, m)]) == apart
    joined = x[j] * y[k] * exp(x[j] * y[k])
    assert make_sum(joined, [(j, n), (k, m)]) == sum_over(joined, (j, n), (k, m))


def test_canonical_forms_differ_where_sums_do() -> None:
    nested = sum_over(x[i] * sum_over(y[j], (j, n)), (i, n))
    assert same(nested, sum_over(x[k] * sum_over(y[i], (i, n)), (k, n)))
    assert not same(nested, sum_over(y[k] * sum_over(x[i], (i, n)), (k, n)))
    assert not same(sum_over(x[i], (i, n)), sum_over(x[i], (i, m)))
    assert canonical(x[i]) == x[i]


def test_settled_sums_have_letters_that_are_not_in_use() -> None:
    body, ranges = open_sum(sum_over(A[i, j] * x[j], (j, n)))
    assert settle(close_sum(body, ranges), [i, j, k]) == sum_over(A[i, j] * x[j], (j, n))
    taken = settle(close_sum(rename(body, {i: j}), ranges), [i, j, k])
    assert taken == sum_over(A[j, i] * x[i], (i, n))
    inner, outer = Dummy("j", integer=True), Dummy("j", integer=True)
    both = settle(sum_over(x[outer] * sum_over(y[inner], (inner, n)), (outer, n)), [i, j, k])
    assert both == sum_over(x[j] * sum_over(y[i], (i, n)), (j, n))
    none_left = settle(close_sum(x[inner] * A[i, j], [(inner, n)]), [i, j])
    (letter,) = [limit[0] for limit in none_left.limits]
    assert letter not in (i, j)


@pytest.mark.parametrize(
    ("expression", "condition"),
    [
        (i, S.true),
        (n - 1 - i, S.true),
        (i + 1, i + 1 <= n - 1),
        (i - 1, i - 1 >= 0),
        (2 * i, 2 * i <= n - 1),
        (i - i, S.true),
    ],
)
def test_a_range_condition_says_no_more_than_is_open(expression: Expr, condition: Expr) -> None:
    assert range_condition(expression, n, {i: n}) == condition


def test_a_guard_stands_around_what_it_guards_alone() -> None:
    assert guarded(x[i] * y[j], i > 0) == y[j] * Piecewise((x[i], i > 0), (0, True))
    assert guarded(x[i], S.true) == x[i]


# ------------------------------------------------------------------------------- paths and contraction


def derivative(expression: Expr, of: Quantity, at: tuple[Expr, ...]) -> Expr:
    """Return ∂expression/∂of[at] by paths and contraction."""
    ranges = dict(zip(at, of.shape, strict=True))
    terms = []
    for path in paths(expression, of):
        deltas = list(zip(path.at, at, strict=True))
        terms.append(contract(path.coefficient, path.sums, deltas, ranges))
    return settle(Add(*terms), [i, j, k, p])


@pytest.mark.parametrize(
    ("name", "expression", "of", "at", "expected"),
    [
        ("trace", sum_over(A[i, i], (i, n)), A, (i, j), KroneckerDelta(i, j)),
        ("sum of squares", sum_over(x[i] ** 2, (i, n)), x, (k,), 2 * x[k]),
        ("square of the sum", sum_over(x[i], (i, n)) ** 2, x, (k,), 2 * sum_over(x[i], (i, n))),
        (
            "x^T A x",
            sum_over(x[i] * A[i, j] * x[j], (i, n), (j, n)),
            x,
            (k,),
            sum_over(A[k, j] * x[j], (j, n)) + sum_over(A[j, k] * x[j], (j, n)),
        ),
        ("x^T A x for A", sum_over(x[i] * A[i, j] * x[j], (i, n), (j, n)), A, (k, p), x[k] * x[p]),
        ("tr AA", sum_over(A[i, j] * A[j, i], (i, n), (j, n)), A, (k, p), 2 * A[p, k]),
        ("tr AB", sum_over(A[i, j] * B[j, i], (i, n), (j, n)), A, (k, p), B[p, k]),
        (
            "log-sum-exp",
            log(sum_over(exp(x[i]), (i, n))),
            x,
            (k,),
            exp(x[k]) / sum_over(exp(x[i]), (i, n)),
        ),
        ("reversed", sum_over(c[i] * x[n - 1 - i], (i, n)), x, (k,), c[n - 1 - k]),
        ("what is not read", sum_over(y[i], (i, n)), x, (k,), Integer(0)),
        ("itself", x[i], x, (k,), KroneckerDelta(i, k)),
        ("one component", x[0] ** 2, x, (k,), 2 * x[0] * KroneckerDelta(0, k)),
    ],
)
def test_derivatives_known_by_heart(
    name: str, expression: Expr, of: Quantity, at: tuple[Expr, ...], expected: Expr
) -> None:
    assert same(expand(derivative(expression, of, at)), expand(expected)), name


EXTENT = 5
SIZES = {n: EXTENT, m: 3}


def loss_of(expression: Expr, *quantities: Quantity) -> EquationSystem:
    known = {q.name: q for q in (*quantities, E)}
    return EquationSystem((Equation(E.symbol, expression),), known, parameters=(quantities[0].name,))


def assert_differences_agree(expression: Expr, *quantities: Quantity) -> None:
    """Compare the derivative for the first quantity, evaluated as plain loops, with finite differences."""
    system = loss_of(expression, *quantities)
    values = random_values(system, SIZES, np.random.default_rng(0))
    target = quantities[0]
    at = (h, p)[: len(target.shape)]
    slope = derivative(expression, target, at)
    found = np.zeros(np.shape(values[target.name]))
    for position in np.ndindex(*found.shape):
        found[position] = evaluate(slope, dict(zip(at, position, strict=True)), values, SIZES)
    expected = finite_differences(system, target.name, values, SIZES)
    assert np.abs(expected).max() > 1e-2
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


INSIDE = (i + 1 <= n - 1, i - 1 >= 0)
NEIGHBOURS: dict[str, Expr] = {
    "next": sum_over(Piecewise((x[i] * x[i + 1], INSIDE[0]), (0, True)), (i, n)),
    "both sides": sum_over(
        tanh(
            Piecewise((x[i - 1], INSIDE[1]), (0, True))
            + Piecewise((x[i + 1], INSIDE[0]), (0, True))
            - 2 * x[i]
        )
        ** 2,
        (i, n),
    ),
    "two back, or itself": sum_over(c[i] * Piecewise((x[i - 2] ** 3, i - 2 >= 0), (x[i], True)), (i, n)),
    "shift without guard": sum_over(c[j] * x[j + 2] ** 2, (j, n - 2)),
    "window": sum_over(c[k] * x[j + k] * x[j], (j, n - 2), (k, 3)),
    "every second": sum_over(Piecewise((x[2 * i] ** 2 * c[i], 2 * i <= n - 1), (0, True)), (i, n)),
    "reversed product": sum_over(x[i] * x[n - 1 - i] * c[i], (i, n)),
    "first": x[0] ** 2 * sum_over(c[i] * x[i], (i, n)),
    "last": exp(x[n - 1]) * sum_over(x[i], (i, n)),
    "mean and variance": sum_over((x[i] - sum_over(x[j], (j, n)) / n) ** 2 * c[i], (i, n)),
    "normalised": sum_over(c[i] * x[i], (i, n)) / sqrt(sum_over(x[i] ** 2, (i, n))),
    "largest difference": sum_over(Abs(x[i] - x[j]) * c[j], (i, n), (j, n)),
    "softmax": sum_over(c[i] * exp(x[i]) / sum_over(exp(x[j]), (j, n)), (i, n)),
    "sum in a sum in a sum": sum_over(c[i] * sum_over(x[j] * sum_over(x[k], (k, n)) ** 2, (j, n)), (i, n)),
    "the same letter twice": sum_over(x[i], (i, n)) * sum_over(x[i] ** 2 * c[i], (i, n)),
}


@pytest.mark.parametrize("name", NEIGHBOURS)
def test_derivatives_agree_with_differences(name: str) -> None:
    assert_differences_agree(NEIGHBOURS[name], x, c)


def test_derivatives_for_a_matrix_agree_with_differences() -> None:
    quadratic = sum_over(
        x[i] * A[i, j] * A[j, k] * x[k] + tanh(A[i, i]) * A[k, n - 1 - j], (i, n), (j, n), (k, n)
    )
    assert_differences_agree(quadratic, A, x)
    assert_differences_agree(log(sum_over(exp(W[i, j] * x[i]), (i, n), (j, m))), W, x)


def test_a_scalar_has_one_derivative() -> None:
    expression = sum_over(exp(u.symbol * x[i]), (i, n))
    assert same(derivative(expression, u, ()), sum_over(x[i] * exp(u.symbol * x[i]), (i, n)))


def test_no_guard_stands_where_the_range_always_holds() -> None:
    assert not derivative(NEIGHBOURS["reversed product"], x, (h,)).has(Piecewise)
    assert derivative(NEIGHBOURS["next"], x, (h,)).has(Piecewise)
    assert derivative(NEIGHBOURS["shift without guard"], x, (h,)).has(Piecewise)


def test_a_jump_has_no_impulse() -> None:
    (path,) = paths(Abs(x[i]), x)
    assert path.coefficient.subs(x[i], -2) == -1
    assert not any(path.coefficient.has(Function("DiracDelta")) for path in paths(Abs(x[i]) * Abs(x[j]), x))


DELTA = KroneckerDelta


@pytest.mark.parametrize(
    ("given", "solved"),
    [
        (sum_over(-DELTA(k, h), (k, n)), -ONE),
        (2 * sum_over(x[k] * DELTA(i, k), (k, n)), 2 * x[i]),
        (sum_over((x[k] - DELTA(h, k)) * y[k], (k, n)), sum_over(x[k] * y[k], (k, n)) - y[h]),
        (sum_over(A[j, k] * DELTA(j, k) * DELTA(h, j), (j, n), (k, n)), A[h, h]),
        (sum_over(x[j] * sum_over(DELTA(j, k) * y[k], (k, n)), (j, n)), sum_over(x[j] * y[j], (j, n))),
        (exp(sum_over(DELTA(k, h), (k, n))), exp(ONE)),
        # what no summed index solves, or stands in a function, stays
        (sum_over(x[k] * DELTA(2 * k, h), (k, n)), sum_over(x[k] * DELTA(2 * k, h), (k, n))),
        (sum_over(exp(DELTA(k, h)) * x[k], (k, n)), sum_over(exp(DELTA(k, h)) * x[k], (k, n))),
        (sum_over(x[k] * DELTA(i, h), (k, n)), DELTA(i, h) * sum_over(x[k], (k, n))),
    ],
)
def test_a_delta_picks_a_term_out_of_its_sum(given: Expr, solved: Expr) -> None:
    assert same(expand(without_summed_deltas(given)), expand(solved))


def test_beside_a_delta_everything_is_read_at_its_place() -> None:
    place = Integer(1)
    divided = (1 - DELTA(place, k) / x[place]) * x[k]
    assert same(with_deltas_used(divided), x[k] - DELTA(place, k))
    assert same(
        with_deltas_used(DELTA(i, k) * x[k]), DELTA(i, k) * x[k]
    )  # which of two letters, nobody knows
    assert same(with_deltas_used(x[k] * y[k]), x[k] * y[k])


@pytest.mark.parametrize("guard", ["l[n, o[n]]", "where(o[n] >= 0, l[n, o[n]], 0)"])
def test_the_derivative_of_a_hand_written_cross_entropy_has_no_sum_of_deltas(guard: str) -> None:
    text = f"""
input x[n, k]
integer target o[n]
parameter w[k, i]
z[n, i] = sum(x[n, k]*w[k, i], k)
l[n, i] = z[n, i] - log(sum(exp(z[n, j]), j))
E = mean(-{guard}, n)
output l
size k = 2
size i = 3
"""
    derivation = sb.derive(sb.Network.from_equations(text))
    assert all(verdict.holds for verdict in sb.prove(derivation))
    assert not any(total.has(KroneckerDelta) for total in derivation.gradient("z").atoms(Sum))


# --------------------------------------------------------------------------------------------- algebra

a, b, s = (Symbol(name, real=True) for name in "abs")
X, T = Symbol("x", real=True), Symbol("t", real=True)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((1 - T) / (1 - X) - T / X, (X - T) / (X * (1 - X))),
        (X - X**2, X * (1 - X)),
        (-(X**2) + X, X * (1 - X)),
        (-X + T, T - X),
        (a * b + a, a * (b + 1)),
        ((a**2 - b**2) / (a - b), a + b),
        (a * b + a * (1 - b), a),
        (-(1 - X) * (-X), X * (1 - X)),
        (2 * (X - T) / 2, X - T),
    ],
)
def test_tidy_finds_the_textbook_form(given: Expr, wanted: Expr) -> None:
    found = tidy(given)
    assert expand(together(found - wanted).as_numer_denom()[0]) == 0
    assert cost(found) <= cost(wanted), f"{found} instead of {wanted}"


def test_the_derivative_of_cross_entropy_reads_as_in_a_textbook() -> None:
    assert tidy((1 - T) / (1 - X) - T / X) == (X - T) / (X * (1 - X))
    assert tidy(-T / X) == -T / X


def test_tidy_never_makes_anything_dearer_or_different() -> None:
    for expression in (
        a / b + b / a,
        (a + b) ** 3,
        a**2 + 2 * a * b + b**2,
        1 / (1 + exp(-s)),
        exp(a) * exp(b),
    ):
        found = tidy(expression)
        assert cost(found) <= cost(expression)
        values = {a: 0.3, b: -1.7, s: 0.9}
        assert float(found.subs(values)) == pytest.approx(float(expression.subs(values)), rel=1e-12)


def test_textbook_signs_keep_the_value() -> None:
    for expression in (
        -(X - 1) * X,
        (-X + T) / (X - 1),
        -a * (T - X),
        (X - 1) ** 2 * (-a),
        -3 * (a - 1) ** 3,
    ):
        found = textbook_signs(expression)
        assert expand(together(found - expression).as_numer_denom()[0]) == 0
    assert textbook_signs(-(X - 1) * X) == X * (1 - X)
    assert textbook_signs(-a * (T - X)) == a * (X - T)


def test_tidy_never_looks_into_a_sum() -> None:
    total = sum_over(x[i] * y[i] + x[i], (i, n))
    assert tidy(total) is total
    assert tidy(a * total + total) == total * (a + 1)


def test_factors_and_terms_leave_a_sum() -> None:
    assert same(
        tidy_sums(sum_over(x[k] * y[i] + x[k], (i, n))), x[k] * sum_over(y[i], (i, n)) + n * x[k]
    ) or same(tidy_sums(sum_over(x[k] * y[i] + x[k], (i, n))), x[k] * sum_over(y[i] + 1, (i, n)))


ONE_HOT = Fact(t[i], i, ONE)


def test_a_fact_is_used_where_it_is_stated_and_nowhere_else() -> None:
    whole = sum_over(t[k], (k, n))
    assert use_facts(x[i] * whole - t[i], [ONE_HOT]) == x[i] - t[i]
    assert use_facts(x[i] * whole - t[i], []) == x[i] * whole - t[i]
    for other in (
        sum_over(t[k], (k, m)),
        sum_over(t[k] ** 2, (k, n)),
        sum_over(y[k], (k, n)),
        sum_over(t[n - 1 - k], (k, n)),
        sum_over(t[k] * x[k], (k, n)),
        Sum(t[k], (k, 0, n - 2)),
    ):
        assert use_facts(other, [ONE_HOT]) == other
    assert same(tidy_sums(sum_over(t[k] * x[i], (k, n)), [ONE_HOT]), x[i])


def test_a_fact_about_one_axis_says_nothing_about_another() -> None:
    rows = Fact(A[i, j], j, ONE)
    assert use_facts(sum_over(A[i, k], (k, n)), [rows]) == 1
    assert use_facts(sum_over(A[k, i], (k, n)), [rows]) == sum_over(A[k, i], (k, n))
    assert use_facts(sum_over(A[k, k], (k, n)), [rows]) == sum_over(A[k, k], (k, n))


def test_substitution_does_not_capture() -> None:
    definition = Equation(y[i], sum_over(A[i, j] * x[j], (j, n)))
    written = substitute(sum_over(y[j] * t[j], (j, n)), y, definition)
    assert same(written, sum_over(t[i] * sum_over(A[i, j] * x[j], (j, n)), (i, n)))
    assert substitute(x[i], y, definition) == x[i]


def test_an_occurrence_in_a_sum_counts_twice() -> None:
    assert occurrences(y[i] + x[i], y) == 1
    assert occurrences(y[i] * y[j], y) == 2
    assert occurrences(sum_over(y[j] * A[i, j], (j, n)), y) == 2
    assert occurrences(x[i], y) == 0


# ---------------------------------------------------------------------------------------- closed forms

PRE, OUT = quantity("s", n), quantity("x", n)
S_I, X_I = PRE[i], OUT[i]


def sigmoid(z: Expr) -> Expr:
    return 1 / (1 + exp(-z))


ONE_OUTPUT: dict[str, Expr] = {
    "sigmoid": sigmoid(S_I),
    "sigmoid as exp(s)/(1 + exp(s))": exp(S_I) / (1 + exp(S_I)),
    "sigmoid as 1 - 1/(1 + exp(s))": 1 - 1 / (1 + exp(S_I)),
    "sigmoid by tanh": (1 + tanh(S_I / 2)) / 2,
    "sigmoid of 2 s": sigmoid(2 * S_I),
    "scaled sigmoid": 3 * sigmoid(S_I) - 1,
    "tanh": tanh(S_I),
    "tanh by exp": (exp(S_I) - exp(-S_I)) / (exp(S_I) + exp(-S_I)),
    "tanh by exp(-2 s)": 2 / (1 + exp(-2 * S_I)) - 1,
    "tanh by sinh and cosh": sinh(S_I) / cosh(S_I),
    "exp": exp(S_I),
    "elu": Piecewise((S_I, S_I > 0), (exp(S_I) - 1, True)),
    "leaky": Piecewise((S_I, S_I > 0), (S_I / 10, True)),
    "softplus": log(1 + exp(S_I)),
    "swish": S_I * sigmoid(S_I),
    "softsign": S_I / (1 + Abs(S_I)),
    "square": S_I**2,
    "gaussian": exp(-(S_I**2)),
    "s exp(-s²)": S_I * exp(-(S_I**2)),
    "inverse root": S_I / sqrt(1 + S_I**2),
    "sin-like": tanh(S_I) ** 3,
}
THROUGH = {
    name
    for name in ONE_OUTPUT
    if name.startswith(("sigmoid", "tanh", "scaled", "exp", "elu", "gaussian", "swish"))
}


@pytest.mark.parametrize("name", ONE_OUTPUT)
def test_the_slope_through_the_output_is_the_slope(name: str) -> None:
    function = ONE_OUTPUT[name]
    point = Dummy("point", real=True)
    slope = diff(function.subs(S_I, point), point).subs(point, S_I)
    found = through_output(slope, Equation(X_I, function))
    plain, closed = lambdify([S_I], slope, "mpmath"), lambdify([S_I, X_I], found, "mpmath")
    value = lambdify([S_I], function, "mpmath")
    with mpmath.workdps(40):
        for at in ("-3.7", "-1", "-0.2", "0.3", "1.1", "4.5"):
            here = mpmath.mpf(at)
            assert mpmath.almosteq(closed(here, value(here)), plain(here), rel_eps=mpmath.mpf("1e-30"))
    assert cost(found)[0] <= cost(slope)[0]
    assert (X_I in found.atoms(type(X_I))) == (name in THROUGH), found


@pytest.mark.parametrize("name", ONE_OUTPUT)
def test_neither_the_output_nor_the_input_comes_into_a_denominator(name: str) -> None:
    function = ONE_OUTPUT[name]
    slope = diff(function.subs(S_I, s), s).subs(s, S_I)
    found = through_output(slope, Equation(X_I, function))
    for branch, _ in found.args if isinstance(found, Piecewise) else ((found, True),):
        denominator = fraction(together(branch))[1]
        assert not denominator.has(X_I), f"{found} is singular where the output is 0"
        # exp and cosh are never 0 and may stay below; s alone may not come there.
        assert all(denominator.subs(S_I, at) != 0 for at in (0, 1, -1)), f"{found} is singular"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sigmoid", X_I * (1 - X_I)),
        ("sigmoid as exp(s)/(1 + exp(s))", X_I * (1 - X_I)),
        ("sigmoid as 1 - 1/(1 + exp(s))", X_I * (1 - X_I)),
        ("tanh", 1 - X_I**2),
        ("tanh by exp", 1 - X_I**2),
        ("exp", X_I),
    ],
)
def test_slopes_of_the_textbook(name: str, expected: Expr) -> None:
    function = ONE_OUTPUT[name]
    slope = diff(function.subs(S_I, s), s).subs(s, S_I)
    assert expand(through_output(slope, Equation(X_I, function)) - expected) == 0


def test_a_number_stays_a_number() -> None:
    assert through_output(Rational(1, 2), Equation(X_I, S_I / 2)) == Rational(1, 2)


def test_coupled_outputs_of_softmax() -> None:
    equation = Equation(X_I, exp(S_I) / sum_over(exp(PRE[j]), (j, n)))
    total = sum_over(exp(PRE[j]), (j, n))
    same_unit = through_output(exp(S_I) / total, equation)
    across = through_output(-exp(S_I) * exp(PRE[k]) / total**2, equation)
    assert same_unit == X_I
    assert across == -X_I * OUT[k]


# ---------------------------------------------------------------------------------------- stable forms


def stable(loss: Expr, output: Expr | None = None) -> Expr | None:
    """Return the stable form of a loss that reads ``x``, defined as ``output`` where there is one."""
    equations = (
        [Equation(E.symbol, loss)] if output is None else [Equation(X_I, output), Equation(E.symbol, loss)]
    )
    known = {q.name: q for q in (PRE, OUT, t, E)}
    return stable_form(equations[-1], EquationSystem(tuple(equations), known, parameters=("s",)))


SOFTMAX = exp(S_I) / sum_over(exp(PRE[j]), (j, n))
BINARY = -sum_over(t[i] * log(X_I) + (1 - t[i]) * log(1 - X_I), (i, n))
STABLE: dict[str, tuple[Expr, Expr | None]] = {
    "binary cross-entropy of sigmoid": (BINARY, sigmoid(S_I)),
    "binary cross-entropy of exp(s)/(1 + exp(s))": (BINARY, exp(S_I) / (1 + exp(S_I))),
    "log of sigmoid": (-sum_over(log(X_I), (i, n)), sigmoid(S_I)),
    "cross-entropy of softmax": (-sum_over(t[i] * log(X_I), (i, n)), SOFTMAX),
    "log of a product": (sum_over(log(exp(S_I) * (1 + exp(S_I))), (i, n)), None),
    "weighted": (-3 * sum_over(t[i] * log(X_I), (i, n)) / 2, SOFTMAX),
}


@pytest.mark.parametrize("name", STABLE)
def test_a_stable_form_is_the_plain_one_at_forty_digits(name: str) -> None:
    loss, output = STABLE[name]
    found = stable(loss, output)
    assert found is not None
    point = {"s": ("-23/10", "7/10", "19/10"), "t": ("1/5", "1/2", "3/10")}

    def value(expression: Expr) -> mpmath.mpf:
        """Return the value for three units; what reads the output reads its definition."""
        if output is not None:
            expression = substitute(expression, OUT, Equation(X_I, output))
        numbers: dict[Expr, Expr] = {n: Integer(3)}
        written = canonical(expression).xreplace(numbers).doit()
        for name, texts in point.items():
            component = quantity(name, 3)
            numbers |= {component[unit]: Rational(text) for unit, text in enumerate(texts)}
        return mpmath.mpf(str(written.xreplace(numbers).evalf(45)))

    with mpmath.workdps(40):
        assert mpmath.almosteq(value(found), value(loss), rel_eps=mpmath.mpf("1e-38"))


@pytest.mark.parametrize("name", STABLE)
def test_a_stable_form_neither_overflows_nor_reads_the_output(name: str) -> None:
    loss, output = STABLE[name]
    found = stable(loss, output)
    assert found is not None
    assert not found.has(OUT.base) or output is None
    for logarithm in found.atoms(log):
        argument = logarithm.args[0]
        # log(1 + exp) and the log of a sum of exp are operations of their own in the generated code.
        assert isinstance(argument, Sum) or argument.is_Add


UNCHANGED: list[tuple[Expr, Expr | None]] = [
    (sum_over((X_I - t[i]) ** 2, (i, n)), sigmoid(S_I)),
    (sum_over(log(X_I), (i, n)), S_I),
    (BINARY, tanh(S_I)),
    (sum_over(log(X_I**2), (i, n)), S_I**2),
    (sum_over(log(1 + X_I**2), (i, n)), S_I),
    (log(sum_over(exp(S_I), (i, n))), None),
    (sum_over(log(1 + exp(S_I)), (i, n)), None),
    (sum_over(log(1 + exp(-S_I)), (i, n)), None),
]


@pytest.mark.parametrize(("loss", "output"), UNCHANGED)
def test_what_has_no_other_form_stays_as_it_is(loss: Expr, output: Expr | None) -> None:
    assert stable(loss, output) is None


@pytest.mark.parametrize("output", ["sigmoid", "identity", "relu"])
@pytest.mark.parametrize("loss", ["squared_error", "log(1 + x**2)"])
def test_a_derivation_has_no_stable_step_where_nothing_was_made_stable(output: str, loss: str) -> None:
    assert sb.derive(sb.Network("2-3-2", output=output, loss=loss)).stable == ()


def test_a_logarithm_is_opened_only_where_every_factor_is_positive() -> None:
    assert open_logarithm(exp(a) * (1 + exp(b))) == a + log(1 + exp(b))
    assert open_logarithm(a * exp(b)) == log(a * exp(b))
    assert is_positive(1 + exp(a))
    assert not is_positive(a)
    assert not is_positive(1 - exp(a))


# ------------------------------------------------------------------------- kinds, and the same bytes


def backwards(expressions: Sequence[Expr]) -> dict[Basic, Basic]:
    """Return other names for everything that is named, in the opposite order of the alphabet."""
    symbols = sorted(set().union(*[e.atoms(Symbol) for e in expressions]), key=str, reverse=True)
    names: dict[Basic, Basic] = {s: Symbol(f"v{n:03}", **s.assumptions0) for n, s in enumerate(symbols)}
    for base in set().union(*[e.atoms(IndexedBase) for e in expressions]):
        names[base] = base.xreplace(names)
    return names


def assert_renamed_as_sympy_does(expressions: Sequence[Expr]) -> None:
    names = backwards(expressions)
    for expression in expressions:
        found = renamed(expression, names)
        assert found == expression.xreplace(names)
        assert [node.is_commutative for node in found.atoms(*BINDERS)] == [True] * len(found.atoms(*BINDERS))


@pytest.mark.parametrize("name", ZOO)
def test_other_names_leave_the_form_that_sympy_gives(name: str) -> None:
    assert_renamed_as_sympy_does([e.rhs for e in ZOO[name]().equations])


def test_other_names_leave_the_form_of_every_activation_and_step() -> None:
    hidden = "-".join(f"3:{name}" for name in ACTIVATIONS)
    assert_renamed_as_sympy_does([e.rhs for e in sb.Network(f"2-{hidden}-2").model.system.equations])
    steps = sb.derive(sb.Network("3-4:relu-4:softmax-3:softmax", l2=0.1, l1=0.1)).by_number.values()
    assert_renamed_as_sympy_does([side for step in steps for side in (step.lhs, step.rhs)])


def kinds_for(depth: int, **options: str) -> int:
    """Return how many kinds of goals were worked out for a network of that many equal layers."""
    OUTCOMES.clear()
    sb.derive(sb.Network("-".join(["4"] * (depth + 1)), **options))  # type: ignore[arg-type]
    return len(OUTCOMES)


@pytest.mark.parametrize("options", [{}, {"hidden": "relu", "output": "softmax"}, {"hidden": "s*sigmoid(s)"}])
def test_equal_layers_are_worked_out_once(options: dict[str, str]) -> None:
    few = kinds_for(6, **options)
    assert kinds_for(60, **options) == few
    assert few < 25


def test_what_is_worked_out_once_is_right_for_every_layer() -> None:
    OUTCOMES.clear()
    derivation = sb.derive(sb.Network("2-3-4-2-3-2", hidden="tanh", output="identity", l2=0.1))
    assert len(OUTCOMES) < len(derivation.results)
    assert_gradients_right(derivation)


def assert_gradients_right(derivation: Derived) -> None:
    model = derivation.model
    assert model is not None
    sizes = {size(name): units for name, units in model.sizes.items()}
    sizes |= {Symbol(c.name, real=True): c.value for c in model.constants}  # type: ignore[misc]
    system = derivation.system
    known = run(system.equations, random_values(system, sizes, np.random.default_rng(1)), sizes)
    for name in derivation.results:
        step = derivation.by_number[derivation.results[name]]
        if not isinstance(step.lhs, Derivative):
            known = run([Equation(step.lhs, step.rhs)], known, sizes)
    for parameter in system.parameters:
        expected = finite_differences(system, parameter, known, sizes, step=1e-2)
        step = derivation.by_number[derivation.results[parameter]]
        at = indices_of(step.lhs.variables[0])
        found: Array = np.zeros(expected.shape)
        for position in np.ndindex(*found.shape):
            found[position] = evaluate(step.rhs, dict(zip(at, position, strict=True)), known, sizes)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7, err_msg=parameter)


def test_a_derivation_does_not_depend_on_what_was_derived_before() -> None:
    OUTCOMES.clear()
    alone = sb.derive(sb.Network("3-4-2", hidden="tanh")).text()
    sb.derive(sb.Network("5-6-7-8", hidden="relu", output="softmax", l1=0.1))
    derive_system(loss_of(NEIGHBOURS["both sides"], x, c))
    assert sb.derive(sb.Network("3-4-2", hidden="tanh")).text() == alone


@pytest.mark.parametrize("most", [1, 2, 4])
def test_only_so_many_outcomes_are_kept(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = [sb.Network("3-4-4-2", hidden=name, l2=0.1) for name in ("tanh", "relu", "tanh")]
    OUTCOMES.clear()
    expected = [sb.derive(each).text() for each in networks]
    assert len(OUTCOMES) > most
    OUTCOMES.clear()
    monkeypatch.setattr("symbackprop.derivation.calculus.signature.MOST_OUTCOMES", most)
    for each, text in zip(networks, expected, strict=True):
        assert sb.derive(each).text() == text
        assert len(OUTCOMES) <= most


PROGRAM = """
import hashlib
import symbackprop as sb
networks = [
    sb.Network("3-4-2"),
    sb.Network("3-4-4-2", hidden="relu", output="softmax", l2=0.1, l1=0.2),
    sb.Network("3-4:(s*sigmoid(s))-2:identity", loss="where(Abs(x - t) < 1, (x - t)**2/2, Abs(x - t) - 0.5)"),
    sb.Network("3-4:softmax-2:tanh", loss="(x - t)**4"),
]
for network in networks:
    derivation = sb.derive(network)
    for text in (derivation.text(), derivation.markdown(), derivation.latex(), sb.generate(network)):
        print(hashlib.sha256(text.encode()).hexdigest())
"""


def test_the_same_bytes_whatever_the_hash_seed() -> None:
    # Sets iterate in another order under another seed; both at a time, as each is slow to start.
    running = [
        subprocess.Popen(
            [sys.executable, "-B", "-c", PROGRAM],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "31337")
    ]
    outputs = [process.communicate(timeout=120)[0] for process in running]
    assert all(process.returncode == 0 for process in running)
    assert len(outputs[0].split()) == 16
    assert len(set(outputs[0].split())) == 16
    assert outputs[0] == outputs[1]
