"""Systems that ask for what the networks of the zoo do not: every kind of index, guard and sum."""

from __future__ import annotations

from collections.abc import Callable

from sympy import And, Eq, Expr, Integer, Max, Piecewise, Symbol, exp, log, sin, tanh

from symbackprop.equations.functions import Quotient, Remainder
from symbackprop.equations.system import ONE, Equation, EquationSystem, arg_max, quantity, sum_over
from tests.zoo import (
    B,
    D,
    F,
    G,
    H,
    K,
    P,
    Q,
    T,
    V,
    b,
    c,
    d,
    f,
    h,
    i,
    j,
    k,
    m,
    n,
    o,
    p,
    q,
    r,
    squared_error,
    system,
    u,
    v,
)  # fmt: skip

SYSTEMS: dict[str, Callable[[], EquationSystem]] = {}
"""Readable name -> the function that writes that system down; the output is defined last but one."""


def register(function: Callable[[], EquationSystem]) -> Callable[[], EquationSystem]:
    SYSTEMS[function.__name__] = function
    return function


def where(condition: Expr, value: Expr, other: Expr | int = 0) -> Expr:
    return Piecewise((value, condition), (other, True))


def within(place: Expr, extent: Expr) -> Expr:
    return And(place >= 0, place <= extent - 1)


@register
def dilated_strided_convolution() -> EquationSystem:
    x, w = quantity("x", B, F, P, 2 * H), quantity("w", G, F, 2, K)
    y, t = quantity("y", B, G, K, 2 * H), quantity("t", B, G, K, 2 * H)
    row, column = 2 * h + 2 * u - 1, v + 2 * q - 2
    read = where(And(within(row, P), within(column, 2 * H)), x[b, c, row, column])
    return system(
        Equation(y[b, f, h, v], sum_over(read * w[f, c, u, q], (c, F), (u, 2), (q, K))),
        squared_error(y, t, b, f, h, v),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def depthwise_convolution() -> EquationSystem:
    x, w, bias = quantity("x", B, F, P), quantity("w", F, K), quantity("bias", F)
    y, t = quantity("y", B, F, P - K + 1), quantity("t", B, F, P - K + 1)
    return system(
        Equation(y[b, c, h], sum_over(x[b, c, h + u] * w[c, u], (u, K)) + bias[c]),
        squared_error(y, t, b, c, h),
        inputs=(x, t),
        parameters=(w, bias),
    )


@register
def transposed_convolution_by_quotients() -> EquationSystem:
    # What a window adds to, every second place, and with a place of zeros before.
    x, w, window = quantity("x", B, F, H), quantity("w", F, G, K), quantity("window", B, G, H, K)
    y, t = quantity("y", B, G, 2 * H + K), quantity("t", B, G, 2 * H + K)
    half, rest = Quotient(p - u - 1, Integer(2)), Remainder(p - u - 1, Integer(2))
    guard = And(Eq(rest, 0), half >= 0, half <= H - 1)
    return system(
        Equation(window[b, f, h, u], tanh(sum_over(x[b, c, h] * w[c, f, u], (c, F)))),
        Equation(y[b, f, p], sum_over(where(guard, window[b, f, half, u]), (u, K))),
        squared_error(y, t, b, f, p),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def spread_of_groups() -> EquationSystem:
    # Units in groups of two: each reads the spread of its own around twice their mean.
    x, w, s = quantity("x", B, 2 * H, P), quantity("w", 2 * H), quantity("s", B, 2 * H, P)
    mean, spread = quantity("mean", B, H), quantity("spread", B, H)
    y, t = quantity("y", B, 2 * H, P), quantity("t", B, 2 * H, P)
    own = (s[b, 2 * h + u, p] - mean[b, h]) ** 2
    return system(
        Equation(s[b, i, p], x[b, i, p] * w[i]),
        Equation(mean[b, h], sum_over(s[b, 2 * h + u, p], (u, 2), (p, P)) / P),
        Equation(spread[b, h], sum_over(own, (u, 2), (p, P))),
        Equation(y[b, i, p], s[b, i, p] * spread[b, Quotient(i, Integer(2))]),
        squared_error(y, t, b, i, p),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def convolution_by_one_place() -> EquationSystem:
    x, w = quantity("x", B, F, P), quantity("w", G, F, 1)
    y, t = quantity("y", B, G, P), quantity("t", B, G, P)
    return system(
        Equation(y[b, f, h], sum_over(x[b, c, h + u] * w[f, c, u], (c, F), (u, 1))),
        squared_error(y, t, b, f, h),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def channels_apart() -> EquationSystem:
    # A convolution of each channel by itself, as one of groups of one.
    x, w, s = quantity("x", B, F, P), quantity("w", F, 1, K), quantity("s", B, F, P)
    y, t = quantity("y", B, F, P - K + 1), quantity("t", B, F, P - K + 1)
    return system(
        Equation(s[b, f, p], tanh(x[b, f, p])),
        Equation(y[b, f, h], sum_over(s[b, f + v, h + u] * w[f, v, u], (v, 1), (u, K))),
        squared_error(y, t, b, f, h),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def convolution_after_convolution() -> EquationSystem:
    x, w, w2 = quantity("x", B, F, 2 * H, P), quantity("w", G, F, K, 2), quantity("w2", m, G, 2, K)
    s, z = quantity("s", B, G, P, Q), quantity("z", B, G, P, Q)
    y, t = quantity("y", B, m, Q, K), quantity("t", B, m, Q, K)
    inner = sum_over(x[b, c, h + u, v + q] * w[f, c, u, q], (c, F), (u, K), (q, 2))
    outer = sum_over(z[b, f, h + u, v + q] * w2[i, f, u, q], (f, G), (u, 2), (q, K))
    return system(
        Equation(s[b, f, h, v], inner),
        Equation(z[b, f, h, v], where(s[b, f, h, v] > 0, s[b, f, h, v])),
        Equation(y[b, i, h, v], outer),
        squared_error(y, t, b, i, h, v),
        inputs=(x, t),
        parameters=(w, w2),
    )


@register
def causal_two_headed_attention() -> EquationSystem:
    x, t = quantity("x", B, T, n), quantity("t", B, T, n)
    a = Symbol("a", integer=True)
    weights = [quantity(f"w_{name}", n, m, D) for name in "qkv"]
    heads = [quantity(name, B, T, m, D) for name in ("query", "key", "value")]
    score, share = quantity("score", B, m, T, T), quantity("share", B, m, T, T)
    mixed, out = quantity("mixed", B, T, m, D), quantity("w_o", m, D, n)
    y = quantity("y", B, T, n)
    projections = [
        Equation(head[b, p, a, d], sum_over(x[b, p, i] * w[i, a, d], (i, n)))
        for head, w in zip(heads, weights, strict=True)
    ]
    query, key, value = heads
    masked = where(r <= p, exp(score[b, a, p, r]))
    total = sum_over(where(u <= p, exp(score[b, a, p, u])), (u, T))
    return system(
        *projections,
        Equation(score[b, a, p, r], sum_over(query[b, p, a, d] * key[b, r, a, d], (d, D)) / 2),
        Equation(share[b, a, p, r], masked / total),
        Equation(mixed[b, p, a, d], sum_over(share[b, a, p, r] * value[b, r, a, d], (r, T))),
        Equation(y[b, p, i], sum_over(mixed[b, p, a, d] * out[a, d, i], (a, m), (d, D))),
        squared_error(y, t, b, p, i),
        inputs=(x, t),
        parameters=(*weights, out),
    )


@register
def bilinear_of_three() -> EquationSystem:
    x, z, w = quantity("x", B, n), quantity("z", B, o), quantity("w", m, n, o)
    y, t = quantity("y", B, m), quantity("t", B, m)
    return system(
        Equation(y[b, k], sum_over(x[b, i] * w[k, i, j] * z[b, j], (i, n), (j, o))),
        squared_error(y, t, b, k),
        inputs=(x, z, t),
        parameters=(w,),
    )


@register
def low_rank_products() -> EquationSystem:
    x, first, second = quantity("x", B, n), quantity("first", n, m), quantity("second", o, m)
    scale, y, t = quantity("scale", m), quantity("y", B, o), quantity("t", B, o)
    return system(
        Equation(y[b, j], sum_over(x[b, i] * first[i, k] * scale[k] * second[j, k], (i, n), (k, m))),
        squared_error(y, t, b, j),
        inputs=(x, t),
        parameters=(first, second, scale),
    )


@register
def gather_in_two_axes() -> EquationSystem:
    word, place = quantity("word", B, integer=True), quantity("where_to", B, integer=True)
    w, y, t = quantity("w", V, D, T), quantity("y", B, D), quantity("t", B, D)
    return system(
        Equation(y[b, d], w[word[b], d, place[b]]),
        squared_error(y, t, b, d),
        inputs=(word, place, t),
        parameters=(w,),
    )


@register
def words_of_a_sentence() -> EquationSystem:
    # A table read at each position, summed after a layer; the integer is a value, too.
    token, w, e = quantity("token", B, T, integer=True), quantity("w", V, D), quantity("e", B, T, D)
    v2, y, t = quantity("v2", T, D, m), quantity("y", B, m), quantity("t", B, m)
    return system(
        Equation(e[b, p, d], w[token[b, p], d] * (1 + token[b, p]) + p),
        Equation(y[b, i], sum_over(tanh(e[b, p, d]) * v2[p, d, i], (p, T), (d, D))),
        squared_error(y, t, b, i),
        inputs=(token, t),
        parameters=(w, v2),
    )


@register
def picked_by_label() -> EquationSystem:
    label, x, w = quantity("label", B, integer=True), quantity("x", B, n), quantity("w", n, o)
    s, y, t = quantity("s", B, o), quantity("y", B), quantity("t", B)
    return system(
        Equation(s[b, i], sum_over(x[b, j] * w[j, i], (j, n))),
        Equation(y[b], log(sum_over(exp(s[b, k]), (k, o))) - s[b, label[b]]),
        squared_error(y, t, b),
        inputs=(label, x, t),
        parameters=(w,),
    )


@register
def reversed_reads() -> EquationSystem:
    x, w, z = quantity("x", B, P), quantity("w", K), quantity("z", B, P - K + 1)
    y, t = quantity("y", B, P - K + 1), quantity("t", B, P - K + 1)
    return system(
        Equation(z[b, h], sum_over(x[b, h + u] * w[K - 1 - u], (u, K))),
        Equation(y[b, h], z[b, P - K - h] * w[0] + w[K - 1]),
        squared_error(y, t, b, h),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def diagonals() -> EquationSystem:
    x, w, s = quantity("x", B, n), quantity("w", n, n), quantity("s", n, B, n)
    y, t = quantity("y", B, n), quantity("t", B, n)
    return system(
        Equation(s[j, b, i], x[b, i] * w[j, i]),
        Equation(y[b, i], s[i, b, i] * w[i, i] + sum_over(w[j, j], (j, n))),
        squared_error(y, t, b, i),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def sums_of_indices() -> EquationSystem:
    # Sums that read nothing, or the index alone, and positions as values.
    x, w, y, t = quantity("x", B, T, D), quantity("w", D), quantity("y", B, T, D), quantity("t", B, T, D)
    position = sin(p / Integer(10) ** (2 * d / D)) + sum_over(ONE, (k, K)) + sum_over(k, (k, K))
    return system(
        Equation(y[b, p, d], (x[b, p, d] + position) * sum_over(k * w[d] * x[b, p, d], (k, K))),
        squared_error(y, t, b, p, d),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def sums_over_samples() -> EquationSystem:
    x, w, y = quantity("x", B, n), quantity("w", n), quantity("y", B, n)
    centre, spread, t = quantity("centre", n), quantity("spread"), quantity("t", B, n)
    return system(
        Equation(centre[i], sum_over(x[b, i], (b, B)) / B),
        Equation(spread.symbol, sum_over((x[b, i] - centre[i]) ** 2, (b, B), (i, n)) / (B * n)),
        Equation(y[b, i], w[i] * (x[b, i] - centre[i]) / (1 + spread.symbol)),
        squared_error(y, t, b, i),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def triangular_sums() -> EquationSystem:
    x, w, s = quantity("x", B, T), quantity("w", T, T), quantity("s", B, T)
    y, t = quantity("y", B, T), quantity("t", B, T)
    return system(
        Equation(s[b, i], sum_over(where(j <= i, x[b, j]), (j, T))),
        Equation(y[b, i], sum_over(where(j < i, s[b, j] * w[i, j]), (j, T)) + where(i >= 1, s[b, i])),
        squared_error(y, t, b, i),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def means_over_axes() -> EquationSystem:
    x, mu, scale = quantity("x", B, F, P), quantity("mu", F), quantity("scale", F)
    y, t = quantity("y", B, F, P), quantity("t", B, F, P)
    return system(
        Equation(mu[c], sum_over(x[b, c, h], (b, B), (h, P)) / (B * P)),
        Equation(y[b, c, h], scale[c] * (x[b, c, h] - mu[c])),
        squared_error(y, t, b, c, h),
        inputs=(x, t),
        parameters=(scale,),
    )


@register
def scalars() -> EquationSystem:
    x, slope, shift = quantity("x", B, n), quantity("slope"), quantity("shift")
    total, y, t = quantity("total"), quantity("y", B, n), quantity("t", B, n)
    return system(
        Equation(total.symbol, sum_over(x[b, i] ** 3, (b, B), (i, n)) * slope.symbol / 5),
        Equation(y[b, i], exp(-slope.symbol) * x[b, i] + tanh(total.symbol) * shift.symbol),
        squared_error(y, t, b, i),
        inputs=(x, t),
        parameters=(slope, shift),
    )


@register
def steps_of_a_sequence() -> EquationSystem:
    # Integers as indices: an unrolled recurrence over the parts of one quantity.
    x, e, w = quantity("x", B, T, n), quantity("e", B, T, n), quantity("w", n, n)
    h1, h2, y, t = quantity("h1", B, n), quantity("h2", B, n), quantity("y", B, n), quantity("t", B, n)

    def step(after: Expr, before: Expr | int, at: int) -> Equation:
        return Equation(after, tanh(sum_over(e[b, at, j] * w[j, i], (j, n)) + before))

    return system(
        Equation(e[b, p, i], x[b, p, i] ** 2),
        step(h1[b, i], 0, 0),
        step(h2[b, i], h1[b, i], 1),
        step(y[b, i], h2[b, i], 2),
        squared_error(y, t, b, i),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def radial_basis() -> EquationSystem:
    x, centre, beta = quantity("x", B, n), quantity("centre", n, o), quantity("beta", o)
    s, y, t = quantity("s", B, o), quantity("y", B, o), quantity("t", B, o)
    return system(
        Equation(s[b, i], sum_over((x[b, k] - centre[k, i]) ** 2, (k, n))),
        Equation(y[b, i], exp(-beta[i] * s[b, i])),
        squared_error(y, t, b, i),
        inputs=(x, t),
        parameters=(centre, beta),
    )


@register
def transposed_convolution() -> EquationSystem:
    x, w = quantity("x", B, F, H), quantity("w", F, G, K)
    y, t = quantity("y", B, G, 2 * H + 1), quantity("t", B, G, 2 * H + 1)
    share = where(within(i - 2 * h, K), x[b, c, h] * w[c, f, i - 2 * h])
    return system(
        Equation(y[b, f, i], sum_over(share, (c, F), (h, H))),
        squared_error(y, t, b, f, i),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def transposed_convolution_in_two_dimensions() -> EquationSystem:
    x, w = quantity("x", B, F, H, 2), quantity("w", F, G, K, 2)
    y, t = quantity("y", B, G, 2 * H + 1, 4), quantity("t", B, G, 2 * H + 1, 4)
    reached = And(Eq(i, 2 * h + k), Eq(j, 2 * u + v))
    share = where(reached, x[b, c, h, u] * w[c, f, k, v])
    return system(
        Equation(y[b, f, i, j], sum_over(share, (c, F), (h, H), (u, 2), (k, K), (v, 2))),
        squared_error(y, t, b, f, i, j),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def dilated_transposed_convolution_that_is_cut() -> EquationSystem:
    """A kernel of two by three, steps of 3 and 1, every second place, and a row of zeros before."""
    x, w = quantity("x", B, F, 2, 3), quantity("w", F, G, 2, 3)
    y, t = quantity("y", B, G, 4, 5), quantity("t", B, G, 4, 5)
    reached = And(Eq(i, 3 * h + 2 * k - 1), Eq(j, u + 2 * v))
    share = where(reached, x[b, c, h, u] * w[c, f, k, v])
    return system(
        Equation(y[b, f, i, j], sum_over(share, (c, F), (h, 2), (u, 3), (k, 2), (v, 3))),
        squared_error(y, t, b, f, i, j),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def transposed_convolution_in_three_dimensions() -> EquationSystem:
    x, w = quantity("x", B, 2, 3, 2), quantity("w", 2, 2, 2)
    y, t = quantity("y", B, 4, 6, 3), quantity("t", B, 4, 6, 3)
    reached = And(Eq(i, 2 * h + k), Eq(j, 2 * u + v), Eq(o, p + q))
    share = where(reached, x[b, h, u, p] * w[k, v, q])
    return system(
        Equation(y[b, i, j, o], sum_over(share, (h, 2), (u, 3), (p, 2), (k, 2), (v, 2), (q, 2))),
        squared_error(y, t, b, i, j, o),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def largest_of_windows() -> EquationSystem:
    x, place = quantity("x", B, F, 2 * H), quantity("where_to", B, F, H, integer=True)
    y, t = quantity("y", B, F, H), quantity("t", B, F, H)
    return system(
        Equation(place[b, c, h], arg_max(x[b, c, 2 * h + u], (u, 2))),
        Equation(y[b, c, h], x[b, c, 2 * h + place[b, c, h]]),
        squared_error(y, t, b, c, h),
        inputs=(x, t),
        parameters=(),
    )


@register
def largest_of_a_row() -> EquationSystem:
    x, w, place = quantity("x", B, n), quantity("w", n, o), quantity("where_to", B, integer=True)
    s, y, t = quantity("s", B, o), quantity("y", B), quantity("t", B)
    return system(
        Equation(s[b, i], sum_over(x[b, j] * w[j, i], (j, n))),
        Equation(place[b], arg_max(s[b, i], (i, o))),
        Equation(y[b], s[b, place[b]]),
        squared_error(y, t, b),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def layers_of_a_sequence() -> EquationSystem:
    x, w, bias = quantity("x", B, T, n), quantity("w", n, D), quantity("bias", D)
    y, t = quantity("y", B, T, D), quantity("t", B, T, D)
    return system(
        Equation(y[b, p, d], sum_over(x[b, p, i] * w[i, d], (i, n)) + bias[d]),
        squared_error(y, t, b, p, d),
        inputs=(x, t),
        parameters=(w, bias),
    )


@register
def neighbours_of_a_sample() -> EquationSystem:
    x, w, y, t = quantity("x", B, n), quantity("w", n), quantity("y", B, n), quantity("t", B, n)
    return system(
        Equation(y[b, i], x[b, i] + where(b >= 1, x[b - 1, i]) * w[i]),
        squared_error(y, t, b, i),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def places_among_the_samples() -> EquationSystem:
    # No slice reaches them, and the last place is known at run time alone.
    x, y, t = quantity("x", B), quantity("y", B, n), quantity("t", B, n)
    place = b - i - j
    return system(
        Equation(y[b, i], sum_over(where(place >= 0, x[place]), (j, m))),
        squared_error(y, t, b, i),
        inputs=(x, t),
        parameters=(),
    )


@register
def rows_by_two_conditions() -> EquationSystem:
    # An integer that comes of conditions: truth values would not add up.
    word, both = quantity("word", B, n, integer=True), quantity("both", B, integer=True)
    w, y, t = quantity("w", P, D), quantity("y", B, D), quantity("t", B, D)
    return system(
        Equation(both[b], where(word[b, 0] >= 3, ONE) + where(word[b, 1] >= 2, ONE)),
        Equation(y[b, d], w[both[b], d] * w[word[b, 2], d]),
        squared_error(y, t, b, d),
        inputs=(word, t),
        parameters=(w,),
    )


@register
def banded_attention() -> EquationSystem:
    a, x = quantity("a", B, P, P), quantity("x", B, P, D)
    y, t = quantity("y", B, P, D), quantity("t", B, P, D)
    band = And(p - r <= 1, p - r >= -1)
    return system(
        Equation(y[b, p, d], sum_over(where(band, a[b, p, r] * x[b, r, d]), (r, P))),
        squared_error(y, t, b, p, d),
        inputs=(a, x, t),
        parameters=(),
    )


@register
def samples_on_the_last_axis() -> EquationSystem:
    x, w, s = quantity("x", n, B), quantity("w", m, n), quantity("s", m, B)
    y, t = quantity("y", m, B), quantity("t", m, B)
    return system(
        Equation(s[i, b], sum_over(w[i, j] * x[j, b], (j, n))),
        Equation(y[i, b], tanh(s[i, b]) * w[i, 0]),
        squared_error(y, t, i, b),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def padded_maximum() -> EquationSystem:
    # The zero of a guard is not the only other value: padding alone does not say it.
    x, y, t = quantity("x", B, P), quantity("y", B, P), quantity("t", B, P)
    return system(
        Equation(y[b, i], Max(where(i >= 1, x[b, i - 1], Integer(-7)), x[b, i])),
        squared_error(y, t, b, i),
        inputs=(x, t),
        parameters=(),
    )


@register
def guarded_functions() -> EquationSystem:
    # What a guard excludes may be infinite.
    x, w = quantity("x", B, P), quantity("w", P)
    y, t = quantity("y", B, P), quantity("t", B, P)
    body = where(And(j <= i, x[b, j] > 0), log(x[b, j]) * w[i])
    return system(
        Equation(y[b, i], sum_over(body, (j, P))),
        squared_error(y, t, b, i),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def channels_mixed_at_each_pixel() -> EquationSystem:
    x, w = quantity("x", B, F, P, Q), quantity("w", G, F)
    y, t = quantity("y", B, G, P, Q), quantity("t", B, G, P, Q)
    return system(
        Equation(y[b, f, h, v], sum_over(x[b, c, h, v] * w[f, c], (c, F))),
        squared_error(y, t, b, f, h, v),
        inputs=(x, t),
        parameters=(w,),
    )


@register
def largest_of_images() -> EquationSystem:
    # One axis after the other.
    x, across = quantity("x", B, F, 2 * H, 2 * K), quantity("across", B, F, 2 * H, K, integer=True)
    best, down = quantity("best", B, F, 2 * H, K), quantity("down", B, F, H, K, integer=True)
    y, t = quantity("y", B, F, H, K), quantity("t", B, F, H, K)
    return system(
        Equation(across[b, c, p, v], arg_max(x[b, c, p, 2 * v + q], (q, 2))),
        Equation(best[b, c, p, v], x[b, c, p, 2 * v + across[b, c, p, v]]),
        Equation(down[b, c, h, v], arg_max(best[b, c, 2 * h + p, v], (p, 2))),
        Equation(y[b, c, h, v], best[b, c, 2 * h + down[b, c, h, v], v]),
        squared_error(y, t, b, c, h, v),
        inputs=(x, t),
        parameters=(),
    )


@register
def means_of_images() -> EquationSystem:
    x, y, t = quantity("x", B, F, 2 * H, 2 * K), quantity("y", B, F, H, K), quantity("t", B, F, H, K)
    window = sum_over(x[b, c, 2 * h + u, 2 * v + q], (u, 2), (q, 2))
    return system(
        Equation(y[b, c, h, v], window / 4),
        squared_error(y, t, b, c, h, v),
        inputs=(x, t),
        parameters=(),
    )


@register
def one_word() -> EquationSystem:
    # A scalar that is an index; it is no letter for one.
    word, w, x = quantity("word", integer=True), quantity("w", V, D), quantity("x", B, V)
    y, t = quantity("y", B, D), quantity("t", B, D)
    return system(
        Equation(y[b, d], w[word.symbol, d] * x[b, word.symbol] + word.symbol),
        squared_error(y, t, b, d),
        inputs=(word, x, t),
        parameters=(w,),
    )
