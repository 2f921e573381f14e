"""Sums of products are computed in the cheapest way: which operations, how large arrays, which numbers."""

from __future__ import annotations

from collections import Counter
from functools import partial

import numpy as np
import pytest
from sympy import Add, Expr, Integer, Mul, Ne, Piecewise, Symbol, exp

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Operation
from symbackprop.arrays.planning import cost, count_of
from symbackprop.arrays.signature import lower
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.system import ZERO, Equation, index, quantity, sum_over
from tests.arrays.test_lowering import NUMBERS, as_expression, namespace, scalars
from tests.plain_loops import Array, run

N, P, K, D = Integer(6), Integer(5), Integer(4), Integer(7)
n, m, p, k, d = (index(letter) for letter in "nmpkd")
beta, tau = (Symbol(name, real=True) for name in ("beta", "tau"))
x, z, x2, z2 = quantity("x", N, K), quantity("z", N, K), quantity("x2", N, K), quantity("z2", N, K)
a, b, a2, b2 = quantity("a", N, P), quantity("b", N, P), quantity("a2", N, P), quantity("b2", N, P)
s, q, g = quantity("s", N, N), quantity("q", N, D), quantity("g", N)
w, v, one = quantity("w", K, P), quantity("v", K, P), quantity("one", P)


def where(condition: Expr, value: Expr, other: Expr = ZERO) -> Expr:
    return Piecewise((value, condition), (other, True))


SHARED = sum_over(
    a[n, p] * x[n, k] + beta * (b[n, p] * z[n, k] + g[n] * (a2[n, p] * x2[n, k] - b2[n, p] * z2[n, k])),
    (n, N),
)
MASKED = sum_over(where(Ne(n, m), s[n, m] * q[m, d] / tau), (m, N))
OF_EXPONENTIALS = sum_over(where(Ne(n, m), exp(s[n, m]) * q[m, d]), (m, N))
BY_DATA = sum_over(where(g[n] > 0, a[n, p] * x[n, k]), (n, N))
FACTOR = sum_over(where(g[n] > 0, x[n, k], z[n, k]) * w[k, p], (k, K))
INSIDE = sum_over(where(g[n] > 0, x[n, k] * w[k, p], z[n, k] * w[k, p]), (k, K))
OUTSIDE = sum_over(where(g[n] > 0, x[n, k] * w[k, p], z[n, k] * v[k, p]), (k, K))
CASES = sum_over(where(g[n] > 0, a[n, p] * x[n, k], b[n, p] * z[n, k]), (n, N))
EQUATIONS = {
    "shared": Equation(quantity("y", P, K)[p, k], SHARED),
    "masked": Equation(quantity("y", N, D)[n, d], MASKED),
    "of_exponentials": Equation(quantity("y", N, D)[n, d], OF_EXPONENTIALS),
    "by_data": Equation(quantity("y", P, K)[p, k], BY_DATA),
    "factor": Equation(quantity("y", N, P)[n, p], FACTOR),
    "inside": Equation(quantity("y", N, P)[n, p], INSIDE),
    "outside": Equation(quantity("y", N, P)[n, p], OUTSIDE),
    "cases": Equation(quantity("y", P, K)[p, k], CASES),
}
PRODUCTS = {
    "shared": 4, "masked": 1, "of_exponentials": 1, "by_data": 1,
    "factor": 1, "inside": 1, "outside": 2, "cases": 2,
}  # fmt: skip
SYMBOLS = (x, z, x2, z2, a, b, a2, b2, s, q, g, w, v)


def operation_of(equation: Equation) -> Operation:
    return lower(equation, scalars(NUMBERS))


def parts_of(operation: Operation) -> list[Operation]:
    return list(dict.fromkeys(operation.parts()))


def elements(operation: Operation) -> int:
    return int(np.prod([int(size) for size in operation.shape], dtype=int))


def values_for(seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    found = {each.name: rng.normal(size=tuple(map(int, each.shape))) for each in SYMBOLS}
    return {**found, "beta": np.array(1.5), "tau": np.array(0.5)}


def computed(equation: Equation, values: dict[str, Array], dtype: str = "float64") -> Array:
    own = namespace(values, dtype)
    with np.errstate(all="ignore"):
        exec("\n".join(as_expression(equation, operation_of(equation))), own)
    return np.asarray(own[equation.name])


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_sum_of_products_is_matrix_products(name: str) -> None:
    kinds = Counter(part.kind for part in parts_of(operation_of(EQUATIONS[name])))
    assert kinds[Kind.MATMUL] == PRODUCTS[name], kinds
    assert not kinds.keys() & {Kind.EINSUM, Kind.SUM}, kinds


@pytest.mark.parametrize("name", EQUATIONS)
def test_no_array_is_larger_than_what_is_read_and_the_result(name: str) -> None:
    operation = operation_of(EQUATIONS[name])
    parts = parts_of(operation)
    given = max(elements(part) for part in parts if part is operation or part.is_leaf)
    assert max(map(elements, parts)) <= max(given, int(N * N)), operation  # a mask is of N by N


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", EQUATIONS)
def test_it_is_what_plain_loops_compute(name: str, dtype: str) -> None:
    equation, values = EQUATIONS[name], values_for()
    wanted = run([equation], values, NUMBERS)[equation.name]
    found = computed(equation, values, dtype)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, wanted, rtol=1e-4 if dtype == "float32" else 1e-11, atol=1e-5)


def test_what_a_choice_leaves_out_may_be_infinite() -> None:
    """1/tau is inf and exp(s) overflows where the choice gives 0: their products must not be nan."""
    values = values_for()
    values["s"][:] = 0
    np.fill_diagonal(values["s"], 1000)  # where n = m, which is left out
    found = computed(EQUATIONS["of_exponentials"], values)
    wanted = values["q"].sum(axis=0) - values["q"]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    single = Equation(quantity("y", N, D)[n, d], sum_over(where(g[n] > 0, q[m, d] * s[n, m] / tau), (m, N)))
    values["tau"], values["g"] = np.array(0.0), -np.ones(int(N))
    assert not computed(single, values).any()


def test_a_factor_that_may_be_infinite_stays_in_its_choice() -> None:
    body = where(g[n] > 0, a[n, p] * exp(x[n, k]))
    equation = Equation(quantity("y", P, K)[p, k], sum_over(body, (n, N)))
    values = values_for()
    values["x"][:] = 1000
    values["g"] = -np.ones(int(N))
    assert not computed(equation, values).any()
    assert max(map(elements, parts_of(operation_of(equation)))) < int(N * P * K)


def test_a_read_of_less_than_an_axis_stays_in_its_choice() -> None:
    """Of 6 places 3 alone are read."""
    short = quantity("short", Integer(3), D)
    body = where(m < 3, short[m, d] * s[n, m] / tau)
    equation = Equation(quantity("y", N, D)[n, d], sum_over(body, (m, N)))
    values = {**values_for(), "short": np.random.default_rng(1).normal(size=(3, int(D)))}
    wanted = values["s"][:, :3] @ values["short"] / 0.5
    np.testing.assert_allclose(computed(equation, values), wanted, rtol=1e-11)


def test_differences_of_large_numbers_are_taken_first() -> None:
    """Σ_m s[n,m] (q[n,d] - q[m,d]) multiplied out would lose the digits of what is far from 0."""
    equation = Equation(quantity("y", N, D)[n, d], sum_over(s[n, m] * (q[n, d] - q[m, d]), (m, N)))
    values = values_for()
    values["q"] += 1e8
    wanted = (values["s"][:, :, None] * (values["q"][:, None] - values["q"])).sum(axis=1)
    np.testing.assert_allclose(computed(equation, values), wanted, rtol=1e-12)


def test_what_is_cheap_as_it_is_stays_one_product() -> None:
    """(x - z) @ w is one product, not two."""
    equation = Equation(quantity("y", N, P)[n, p], sum_over((x[n, k] - z[n, k]) * w[k, p], (k, K)))
    kinds = Counter(part.kind for part in parts_of(operation_of(equation)))
    assert (kinds[Kind.MATMUL], kinds[Kind.SUBTRACT]) == (1, 1)


def test_costs_count_each_part_once() -> None:
    equation = Equation(quantity("y", N, P)[n, p], sum_over(x[n, k] * w[k, p], (k, K)))
    found = cost(operation_of(equation), partial(count_of, {}))
    assert (found.largest, found.multiplied, found.calls) == (30, 120, 1)
    assert found.moved == 30 + 24 + 20
    twice = Equation(quantity("y", N, P)[n, p], equation.rhs + exp(equation.rhs))
    assert cost(operation_of(twice), partial(count_of, {})).multiplied == 120


def test_sizes_that_are_known_at_run_time_count_as_numbers() -> None:
    assert count_of({}, 3 * SAMPLES) == 192


# ---------------------------------------------------------------- orders, and inner sums

PAIR, i = Integer(2), index("i")
slopes, inner, outer = quantity("slopes", N, PAIR, D), quantity("inner", PAIR, P), quantity("outer", N, P)
IN_ORDER = sum_over(slopes[n, i, d] * inner[i, p] * outer[n, p], (n, N), (i, PAIR))
OPENED = sum_over(sum_over(slopes[n, i, d] * inner[i, p], (i, PAIR)) * outer[n, p], (n, N))


@pytest.mark.parametrize("body", [IN_ORDER, OPENED], ids=["one sum", "inner sum"])
def test_three_arrays_are_joined_in_the_order_that_needs_least(body: Expr) -> None:
    """[n, p, d] has 210 numbers, the largest that is given 84."""
    equation = Equation(quantity("y", P, D)[p, d], body)
    rng = np.random.default_rng(2)
    values = {a.name: rng.normal(size=tuple(map(int, a.shape))) for a in (slopes, inner, outer)}
    assert max(map(elements, parts_of(operation_of(equation)))) <= int(N * PAIR * D)
    wanted = np.einsum("nid,ip,np->pd", values["slopes"], values["inner"], values["outer"])
    np.testing.assert_allclose(computed(equation, values), wanted, rtol=1e-11)


def test_an_inner_sum_that_has_room_stays_whole() -> None:
    """x @ w stands in the forward equations, too: it is computed once for both."""
    product = sum_over(x[n, k] * w[k, p], (k, K))
    equation = Equation(quantity("y").symbol, sum_over(a[n, p] * product, (n, N), (p, P)))
    alone = operation_of(Equation(quantity("y", N, P)[n, p], product))
    assert alone in parts_of(operation_of(equation))


# ---------------------------------------------------------------- exponentials of sums


OF_SUMS = {
    "masked": sum_over(where(Ne(n, p), exp(s[n, p] + s[n, m]) / sum_over(exp(s[n, k]), (k, N))), (p, N)),
    "whole": sum_over(exp(s[n, p] + s[n, m]), (p, N)),
    "divided": sum_over(exp(s[n, p] + s[n, m]) / sum_over(exp(s[n, k]), (k, N)), (p, N)),
    "with a factor": g[n] * sum_over(exp(s[n, p] - s[m, n]) / (beta**2 + 1), (p, N)),
    "by data": sum_over(where(s[n, p] > 0, exp(s[n, p] - s[n, m]), exp(-s[n, m])), (p, N)),
}


def exactly(body: Expr, values: dict[str, Array]) -> Array:
    """Return a sum of exponentials by plain loops, where no exponent is far."""
    equation = Equation(quantity("y", N, N)[n, m], body)
    return run([equation], values, NUMBERS)["y"]


@pytest.mark.parametrize("name", OF_SUMS)
def test_exponentials_of_sums_are_taken_apart(name: str) -> None:
    equation, values = Equation(quantity("y", N, N)[n, m], OF_SUMS[name]), values_for()
    assert max(map(elements, parts_of(operation_of(equation)))) <= int(N * N)
    np.testing.assert_allclose(computed(equation, values), exactly(OF_SUMS[name], values), rtol=1e-12)


@pytest.mark.parametrize("scale", [100, 1000])
def test_exponentials_of_sums_do_not_overflow_where_the_sum_does_not(scale: int) -> None:
    """exp(s[n,p]) alone is inf or 0; of numbers all moved by one the quotient moves by its exponential."""
    values = values_for()
    far = {**values, "s": values["s"] + np.linspace(-scale, scale, int(N))[:, None]}
    body = OF_SUMS["with a factor"].xreplace({s[m, n]: s[n, m]})
    equation = Equation(quantity("y", N, N)[n, m], body)
    assert max(map(elements, parts_of(operation_of(equation)))) <= int(N * N)
    np.testing.assert_allclose(computed(equation, far), exactly(body, values), rtol=1e-9)


def test_a_sum_of_exponentials_of_which_none_counts_is_nothing() -> None:
    body = sum_over(where(g[n] > 0, exp(s[n, p] + s[n, m])), (p, N))
    values = values_for()
    values["g"], values["s"] = -np.ones(int(N)), 1000 + values["s"]
    assert not computed(Equation(quantity("y", N, N)[n, m], body), values).any()


# ---------------------------------------------------------------- random sums of products


def random_term(rng: np.random.Generator, depth: int) -> Expr:
    """Return a product of reads, choices and sums of such terms, over n, p and k."""
    factors: list[Expr] = []
    for _ in range(int(rng.integers(1, 4))):
        kind = rng.random()
        read = [x[n, k], z[n, k], a[n, p], b[n, p], g[n], w[k, p], v[k, p], beta, 1 / tau][rng.integers(9)]
        if depth and kind < 0.4:
            factors.append(Add(*[random_term(rng, depth - 1) for _ in range(int(rng.integers(2, 4)))]))
        elif depth and kind < 0.6:
            condition = [g[n] > 0, a[n, p] > 0, n <= 3, Ne(n, p)][rng.integers(4)]
            other = Integer(0) if kind < 0.5 else random_term(rng, depth - 1)
            factors.append(where(condition, random_term(rng, depth - 1), other))
        else:
            factors.append(read)
    return Mul(*factors)


@pytest.mark.parametrize("seed", [*range(60), 461, 709])  # the last two: choices inside of choices
def test_random_sums_of_products(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kept, summed = [((p, k), (n,)), ((n, p), (k,)), ((n,), (p, k)), ((p,), (n, k))][seed % 4]
    sizes = {n: N, p: P, k: K}
    total = sum_over(random_term(rng, 2), *[(i, sizes[i]) for i in summed])
    equation = Equation(quantity("y", *[sizes[i] for i in kept])[kept], total)
    values = values_for(seed)
    wanted = run([equation], values, NUMBERS)[equation.name]
    np.testing.assert_allclose(
        computed(equation, values), wanted, rtol=1e-9, atol=1e-9, err_msg=str(equation)
    )
