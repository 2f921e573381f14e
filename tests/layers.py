"""Layers as indexed equations, each with a free cotangent: E = Σ C·y.

The names, axes and conventions are those of the reference figures in ``reference/layers.json``; what has
no figures there follows the same style.  Every layer is forward mathematics alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sympy import Expr, Indexed, Piecewise, Symbol, exp, log, sqrt, tanh

from symbackprop.equations.system import (
    Equation,
    EquationSystem,
    Quantity,
    arg_max,
    index,
    indices_of,
    quantity,
    size,
    sum_over,
)
from tests.zoo import defined_quantity, sigmoid

LAYERS: dict[str, Callable[[], EquationSystem]] = {}
"""Name of a layer -> the function that writes it down."""

EPSILON = Symbol("eps", positive=True)
CONSTANTS: dict[str, float] = {"batch_norm": 1e-5, "layer_norm": 1e-5, "rms_norm": 1e-6, "transformer": 1e-5}
"""The value of eps where a layer has it."""

B, F, G, H, J, K, L, M, P, Q, R, S, T, U, V = (size(letter) for letter in "BFGHJKLMPQRSTUV")
n, b, c, d, e, f, g, h, i, j, k, r, m, o, p, q, t, u, v = (index(letter) for letter in "nbcdefghijkrmopqtuv")
E = quantity("E")


def layer(write: Callable[[], EquationSystem]) -> Callable[[], EquationSystem]:
    """Enter a layer under the name of its function."""
    LAYERS[write.__name__.rstrip("_")] = write
    return write


def network(
    inputs: Iterable[Quantity], parameters: Iterable[Quantity], *equations: Equation, loss: Expr | None = None
) -> EquationSystem:
    """Return the system of ``equations`` with the loss Σ C·y, where y is what the last one defines."""
    inputs, parameters = tuple(inputs), tuple(parameters)
    if loss is None:
        output = equations[-1].lhs
        cotangent = Quantity("C", tuple(output.base.shape))
        at = indices_of(output)
        loss = sum_over(cotangent[at] * output, *zip(at, output.base.shape, strict=True))
        inputs += (cotangent,)
    defined = [defined_quantity(equation) for equation in (*equations, Equation(E.symbol, loss))]
    return EquationSystem(
        equations=(*equations, Equation(E.symbol, loss)),
        quantities={each.name: each for each in (*inputs, *parameters, *defined)},
        parameters=tuple(each.name for each in parameters),
        inputs=tuple(each.name for each in inputs),
    )


def dense(
    output: Indexed, source: Indexed, weight: Quantity, over: tuple[Symbol, Expr], bias: Expr = 0
) -> Equation:
    """Return output[..., i] = Σ source[..., k] weight[k, i] + bias."""
    return Equation(output, sum_over(source * weight[over[0], output.indices[-1]], over) + bias)


def softmax(score: Expr, over: tuple[Symbol, Expr], by: Symbol) -> Expr:
    """Return the softmax of ``score``, which is written with the index ``by``, over that index."""
    return exp(score) / sum_over(exp(score.xreplace({by: over[0]})), over)


@layer
def residual() -> EquationSystem:
    x, y = quantity("x", B, K), quantity("y", B, K)
    w1, b1, w2, b2 = quantity("w1", K, J), quantity("b1", J), quantity("w2", J, K), quantity("b2", K)
    s, z = quantity("s", B, J), quantity("h", B, J)
    return network(
        (x,),
        (w1, b1, w2, b2),
        dense(s[n, j], x[n, k], w1, (k, K), b1[j]),
        Equation(z[n, j], tanh(s[n, j])),
        Equation(y[n, i], x[n, i] + sum_over(z[n, j] * w2[j, i], (j, J)) + b2[i]),
    )


def normalised(across: Symbol, kept: Symbol, epsilon: Expr = EPSILON) -> EquationSystem:
    """Return the normalisation of x[n, i] across one of its axes, with a scale and a shift per feature."""
    extents = {n: B, i: S}
    x, y, z = quantity("x", B, S), quantity("y", B, S), quantity("z", B, S)
    mean, variance = quantity("mu", extents[kept]), quantity("v", extents[kept])
    gamma, beta = quantity("gamma", S), quantity("beta", S)
    over = (across, extents[across])
    return network(
        (x,),
        (gamma, beta),
        Equation(mean[kept], sum_over(x[n, i], over) / extents[across]),
        Equation(variance[kept], sum_over((x[n, i] - mean[kept]) ** 2, over) / extents[across]),
        Equation(z[n, i], (x[n, i] - mean[kept]) / sqrt(variance[kept] + epsilon)),
        Equation(y[n, i], gamma[i] * z[n, i] + beta[i]),
    )


@layer
def batch_norm() -> EquationSystem:
    return normalised(across=n, kept=i)


@layer
def layer_norm() -> EquationSystem:
    return normalised(across=i, kept=n)


@layer
def rms_norm() -> EquationSystem:
    x, y, z = quantity("x", B, S), quantity("y", B, S), quantity("z", B, S)
    r, gamma = quantity("r", B), quantity("gamma", S)
    return network(
        (x,),
        (gamma,),
        Equation(r[n], sum_over(x[n, i] ** 2, (i, S)) / S),
        Equation(z[n, i], x[n, i] / sqrt(r[n] + EPSILON)),
        Equation(y[n, i], gamma[i] * z[n, i]),
    )


@layer
def conv1d() -> EquationSystem:
    x, w, bias = quantity("x", B, F, P), quantity("w", U, F, K), quantity("b", U)
    y = quantity("y", B, U, P - K + 1)
    window = sum_over(x[n, c, h + u] * w[o, c, u], (c, F), (u, K))
    return network((x,), (w, bias), Equation(y[n, o, h], window + bias[o]))


@layer
def conv1d_stride2() -> EquationSystem:
    x, w, bias = quantity("x", B, F, 2 * H + 1), quantity("w", U, F, 3), quantity("b", U)
    y = quantity("y", B, U, H)
    window = sum_over(x[n, c, 2 * h + u] * w[o, c, u], (c, F), (u, 3))
    return network((x,), (w, bias), Equation(y[n, o, h], window + bias[o]))


@layer
def conv2d() -> EquationSystem:
    x, w, bias = quantity("x", B, F, P, Q), quantity("w", U, F, K, L), quantity("b", U)
    y = quantity("y", B, U, P - K + 1, Q - L + 1)
    window = sum_over(x[n, c, h + p, v + q] * w[o, c, p, q], (c, F), (p, K), (q, L))
    return network((x,), (w, bias), Equation(y[n, o, h, v], window + bias[o]))


@layer
def conv2d_same() -> EquationSystem:
    x, w, bias = quantity("x", B, F, P, Q), quantity("w", U, F, 3, 3), quantity("b", U)
    y = quantity("y", B, U, P, Q)
    inside = (h + p - 1 >= 0) & (h + p - 1 < P) & (v + q - 1 >= 0) & (v + q - 1 < Q)
    padded = Piecewise((x[n, c, h + p - 1, v + q - 1], inside), (0, True))
    window = sum_over(padded * w[o, c, p, q], (c, F), (p, 3), (q, 3))
    return network((x,), (w, bias), Equation(y[n, o, h, v], window + bias[o]))


@layer
def max_pool2d() -> EquationSystem:
    # One axis after the other: the first of equal ones is the first row by row.
    x, y = quantity("x", B, F, 2 * H, 2 * V), quantity("y", B, F, H, V)
    across, down = (
        quantity("across", B, F, 2 * H, V, integer=True),
        quantity("down", B, F, H, V, integer=True),
    )
    best = quantity("best", B, F, 2 * H, V)
    return network(
        (x,),
        (),
        Equation(across[n, c, p, v], arg_max(x[n, c, p, 2 * v + q], (q, 2))),
        Equation(best[n, c, p, v], x[n, c, p, 2 * v + across[n, c, p, v]]),
        Equation(down[n, c, h, v], arg_max(best[n, c, 2 * h + p, v], (p, 2))),
        Equation(y[n, c, h, v], best[n, c, 2 * h + down[n, c, h, v], v]),
    )


@layer
def avg_pool2d() -> EquationSystem:
    x, y = quantity("x", B, F, 2 * H, 2 * V), quantity("y", B, F, H, V)
    return network(
        (x,), (), Equation(y[n, c, h, v], sum_over(x[n, c, 2 * h + p, 2 * v + q], (p, 2), (q, 2)) / 4)
    )


@layer
def embedding() -> EquationSystem:
    token, w = quantity("token", B, L, integer=True), quantity("w", V, K)
    y = quantity("y", B, L, K)
    return network((token,), (w,), Equation(y[n, r, k], w[token[n, r], k]))


@layer
def rnn_tanh() -> EquationSystem:
    # Four steps that share their weights; the output is every state.
    x, h0, cotangent = quantity("x", B, 4, K), quantity("h", B, J), quantity("C", B, 4, J)
    wx, wh, bias = quantity("wx", K, J), quantity("wh", J, J), quantity("b", J)
    equations, before, loss = [], h0, 0
    for step in range(4):
        s, after = quantity(f"s{step + 1}", B, J), quantity(f"h{step + 1}", B, J)
        drive = sum_over(x[n, step, k] * wx[k, i], (k, K)) + sum_over(before[n, j] * wh[j, i], (j, J))
        equations += [Equation(s[n, i], drive + bias[i]), Equation(after[n, i], tanh(s[n, i]))]
        loss += sum_over(cotangent[n, step, i] * after[n, i], (n, B), (i, J))
        before = after
    return network((x, h0, cotangent), (wx, wh, bias), *equations, loss=loss)


def two_inputs(
    s: Quantity, x: Quantity, w: Quantity, state: Quantity, by: Quantity, *biases: Quantity
) -> Equation:
    """Return s = x @ w + state @ by + the biases."""
    drive = sum_over(x[n, k] * w[k, i], (k, K)) + sum_over(state[n, j] * by[j, i], (j, J))
    return Equation(s[n, i], drive + sum(each[i] for each in biases))


@layer
def gru_cell() -> EquationSystem:
    x, state = quantity("x", B, K), quantity("h", B, J)
    w = {name: quantity(f"w{name}", K, J) for name in "rzn"}
    by = {name: quantity(f"u{name}", J, J) for name in "rzn"}
    bias = {name: quantity(f"b{name}", J) for name in "rzn"}
    own = {name: quantity(f"c{name}", J) for name in "rzn"}
    sr, sz, sm, a = (quantity(name, B, J) for name in ("sr", "sz", "sm", "a"))
    r, z, new, y = (quantity(name, B, J) for name in ("r", "z", "m", "y"))
    return network(
        (x, state),
        [each[name] for name in "rzn" for each in (w, by, bias, own)],
        two_inputs(sr, x, w["r"], state, by["r"], bias["r"], own["r"]),
        Equation(r[n, i], sigmoid(sr[n, i])),
        two_inputs(sz, x, w["z"], state, by["z"], bias["z"], own["z"]),
        Equation(z[n, i], sigmoid(sz[n, i])),
        dense(a[n, i], state[n, j], by["n"], (j, J), own["n"][i]),
        dense(sm[n, i], x[n, k], w["n"], (k, K), bias["n"][i] + r[n, i] * a[n, i]),
        Equation(new[n, i], tanh(sm[n, i])),
        Equation(y[n, i], (1 - z[n, i]) * new[n, i] + z[n, i] * state[n, i]),
    )


@layer
def lstm_cell() -> EquationSystem:
    # The output is the new hidden state and the new cell state.
    x, state, cell, cotangent = (
        quantity("x", B, K),
        quantity("h", B, J),
        quantity("c", B, J),
        quantity("C", 2, B, J),
    )
    w = {name: quantity(f"w{name}", K, J) for name in "ifgo"}
    by = {name: quantity(f"u{name}", J, J) for name in "ifgo"}
    bias = {name: quantity(f"b{name}", J) for name in "ifgo"}
    s = {name: quantity(f"s{name}", B, J) for name in "ifgo"}
    gate = {name: quantity(name, B, J) for name in "ifgo"}
    new, y = quantity("d", B, J), quantity("y", B, J)
    equations = []
    for name in "ifgo":
        equations.append(two_inputs(s[name], x, w[name], state, by[name], bias[name]))
        squash = tanh if name == "g" else sigmoid
        equations.append(Equation(gate[name][n, i], squash(s[name][n, i])))
    kept = gate["f"][n, i] * cell[n, i] + gate["i"][n, i] * gate["g"][n, i]
    outputs = cotangent[0, n, i] * y[n, i] + cotangent[1, n, i] * new[n, i]
    return network(
        (x, state, cell, cotangent),
        [each[name] for name in "ifgo" for each in (w, by, bias)],
        *equations,
        Equation(new[n, i], kept),
        Equation(y[n, i], gate["o"][n, i] * tanh(new[n, i])),
        loss=sum_over(outputs, (n, B), (i, J)),
    )


@layer
def attention() -> EquationSystem:
    query, key, value = quantity("q", B, T, K), quantity("k", B, R, K), quantity("v", B, R, M)
    a, share, y = quantity("a", B, T, R), quantity("p", B, T, R), quantity("y", B, T, M)
    return network(
        (query, key, value),
        (),
        Equation(a[n, i, j], sum_over(query[n, i, e] * key[n, j, e], (e, K)) / sqrt(K)),
        Equation(share[n, i, j], softmax(a[n, i, j], (r, R), by=j)),
        Equation(y[n, i, m], sum_over(share[n, i, j] * value[n, j, m], (j, R))),
    )


@layer
def attention_causal() -> EquationSystem:
    query, key, value = quantity("q", B, T, K), quantity("k", B, T, K), quantity("v", B, T, M)
    a, share, y = quantity("a", B, T, T), quantity("p", B, T, T), quantity("y", B, T, M)
    seen = Piecewise((exp(a[n, i, j]), j <= i), (0, True))
    total = sum_over(seen.xreplace({j: r}), (r, T))
    return network(
        (query, key, value),
        (),
        Equation(a[n, i, j], sum_over(query[n, i, e] * key[n, j, e], (e, K)) / sqrt(K)),
        Equation(share[n, i, j], seen / total),
        Equation(y[n, i, m], sum_over(share[n, i, j] * value[n, j, m], (j, T))),
    )


def self_attention_of(
    x: Quantity, heads: Expr | int, causal: bool = False
) -> tuple[list[Equation], list[Quantity]]:
    """Return the equations and parameters of self-attention; each head has its columns of the projections."""
    width, all_columns = K, K * heads
    names = {"q": "wq", "k": "wk", "v": "wv"}
    weights = {name: quantity(weight, F, all_columns) for name, weight in names.items()}
    bq, bv, wo, bo = (
        quantity("bq", all_columns),
        quantity("bv", all_columns),
        quantity("wo", all_columns, F),
        quantity("bo", F),
    )
    shape = (B, T, K) if heads == 1 else (B, T, heads, K)
    head = () if heads == 1 else (g,)
    column = e if heads == 1 else g * width + e
    projected = {name: quantity(name, *shape) for name in names}
    bias = {"q": bq[column], "k": 0, "v": bv[column]}
    equations = [
        Equation(
            projected[name][(n, i, *head, e)],
            sum_over(x[n, i, k] * weights[name][k, column], (k, F)) + bias[name],
        )
        for name in names
    ]
    pairs = (B, T, T) if heads == 1 else (B, heads, T, T)
    a, share = quantity("a", *pairs), quantity("p", *pairs)
    joined = quantity("z", *shape)
    score = sum_over(projected["q"][(n, i, *head, e)] * projected["k"][(n, j, *head, e)], (e, K)) / sqrt(K)
    pair = (n, *head, i, j)
    weight = exp(a[pair])
    if causal:
        weight = Piecewise((weight, j <= i), (0, True))
    mixed = sum_over(share[pair] * projected["v"][(n, j, *head, e)], (j, T))
    over = [(e, K)] if heads == 1 else [(g, heads), (e, K)]
    output = sum_over(joined[(n, i, *head, e)] * wo[column, m], *over) + bo[m]
    return [
        *equations,
        Equation(a[pair], score),
        Equation(share[pair], weight / sum_over(weight.xreplace({j: r}), (r, T))),
        Equation(joined[(n, i, *head, e)], mixed),
        Equation(quantity("y", B, T, F)[n, i, m], output),
    ], [weights["q"], bq, weights["k"], weights["v"], bv, wo, bo]


@layer
def self_attention() -> EquationSystem:
    x = quantity("x", B, T, F)
    equations, parameters = self_attention_of(x, 1)
    return network((x,), parameters, *equations)


@layer
def multi_head_attention() -> EquationSystem:
    x = quantity("x", B, T, F)
    equations, parameters = self_attention_of(x, G)
    return network((x,), parameters, *equations)


@layer
def multi_head_attention_causal() -> EquationSystem:
    x = quantity("x", B, T, F)
    equations, parameters = self_attention_of(x, G, causal=True)
    return network((x,), parameters, *equations)


@layer
def glu() -> EquationSystem:
    x, y = quantity("x", B, K), quantity("y", B, S)
    a, p_, b_, q_ = quantity("a", K, S), quantity("p", S), quantity("b", K, S), quantity("q", S)
    value, s, gate = quantity("value", B, S), quantity("s", B, S), quantity("gate", B, S)
    return network(
        (x,),
        (a, p_, b_, q_),
        dense(value[n, i], x[n, k], a, (k, K), p_[i]),
        dense(s[n, i], x[n, k], b_, (k, K), q_[i]),
        Equation(gate[n, i], sigmoid(s[n, i])),
        Equation(y[n, i], value[n, i] * gate[n, i]),
    )


@layer
def swiglu() -> EquationSystem:
    x, y = quantity("x", B, K), quantity("y", B, K)
    w1, w2, w3 = quantity("w1", K, J), quantity("w2", J, K), quantity("w3", K, J)
    s, gate, value, z = (quantity(name, B, J) for name in ("g", "gate", "value", "z"))
    return network(
        (x,),
        (w1, w2, w3),
        dense(s[n, j], x[n, k], w1, (k, K)),
        Equation(gate[n, j], s[n, j] * sigmoid(s[n, j])),
        dense(value[n, j], x[n, k], w3, (k, K)),
        Equation(z[n, j], gate[n, j] * value[n, j]),
        dense(y[n, i], z[n, j], w2, (j, J)),
    )


@layer
def bilinear() -> EquationSystem:
    x, z, a, bias = quantity("x", B, S), quantity("z", B, J), quantity("a", U, S, J), quantity("b", U)
    form = sum_over(x[n, i] * a[o, i, j] * z[n, j], (i, S), (j, J))
    return network((x, z), (a, bias), Equation(quantity("y", B, U)[n, o], form + bias[o]))


@layer
def quadratic_form() -> EquationSystem:
    x, a = quantity("x", B, S), quantity("a", S, S)
    form = sum_over(x[n, i] * a[i, j] * x[n, j], (i, S), (j, S))
    return network((x,), (a,), Equation(quantity("y", B)[n], form))


@layer
def weight_tying() -> EquationSystem:
    x, w, bias, own = quantity("x", B, J), quantity("w", J, S), quantity("b", S), quantity("c", J)
    s, z, y = quantity("s", B, S), quantity("h", B, S), quantity("y", B, J)
    return network(
        (x,),
        (w, bias, own),
        dense(s[n, i], x[n, j], w, (j, J), bias[i]),
        Equation(z[n, i], sigmoid(s[n, i])),
        Equation(y[n, j], sum_over(z[n, i] * w[j, i], (i, S)) + own[j]),
    )


@layer
def rbf() -> EquationSystem:
    x, centre, beta = quantity("x", B, K), quantity("c", K, S), quantity("beta", S)
    r, y = quantity("r", B, S), quantity("y", B, S)
    return network(
        (x,),
        (centre, beta),
        Equation(r[n, i], sum_over((x[n, k] - centre[k, i]) ** 2, (k, K))),
        Equation(y[n, i], exp(-beta[i] * r[n, i])),
    )


@layer
def softmax_() -> EquationSystem:
    x, y = quantity("x", B, S), quantity("y", B, S)
    return network((x,), (), Equation(y[n, i], softmax(x[n, i], (j, S), by=i)))


@layer
def log_softmax() -> EquationSystem:
    x, y = quantity("x", B, S), quantity("y", B, S)
    return network((x,), (), Equation(y[n, i], x[n, i] - log(sum_over(exp(x[n, j]), (j, S)))))


# ------------------------------------------------------------------------ layers without reference figures


@layer
def batch_norm_without_epsilon() -> EquationSystem:
    return normalised(across=n, kept=i, epsilon=0)


@layer
def srelu() -> EquationSystem:
    # A line between tl and tr, and lines of other slopes beyond.
    s, y = quantity("s", B, S), quantity("y", B, S)
    al, tl, ar, tr = (quantity(name, S) for name in ("al", "tl", "ar", "tr"))
    pieces = Piecewise(
        (tl[i] + al[i] * (s[n, i] - tl[i]), s[n, i] <= tl[i]),
        (tr[i] + ar[i] * (s[n, i] - tr[i]), s[n, i] >= tr[i]),
        (s[n, i], True),
    )
    return network((s,), (al, tl, ar, tr), Equation(y[n, i], pieces))


@layer
def masked_weights() -> EquationSystem:
    # Dropout of weights: r is a fixed mask.
    x, mask, w, bias = quantity("x", B, K), quantity("r", K, S), quantity("w", K, S), quantity("b", S)
    s, y = quantity("s", B, S), quantity("y", B, S)
    drive = sum_over(x[n, k] * (w[k, i] * mask[k, i]), (k, K))
    return network((x, mask), (w, bias), Equation(s[n, i], drive + bias[i]), Equation(y[n, i], tanh(s[n, i])))


@layer
def transformer() -> EquationSystem:
    # A block: normalised, attended with a causal mask by several heads, added; normalised, a layer, added.
    x, width = quantity("x", B, T, F), (B, T, F)
    equations: list[Equation] = []
    parameters: list[Quantity] = []

    def normalise(source: Quantity, number: int) -> Quantity:
        mu, var = quantity(f"mu{number}", B, T), quantity(f"var{number}", B, T)
        z, scaled = quantity(f"xhat{number}", *width), quantity(f"ln{number}", *width)
        gamma, beta = quantity(f"gamma{number}", F), quantity(f"beta{number}", F)
        parameters.extend((gamma, beta))
        equations.extend(
            (
                Equation(mu[n, i], sum_over(source[n, i, k], (k, F)) / F),
                Equation(var[n, i], sum_over((source[n, i, k] - mu[n, i]) ** 2, (k, F)) / F),
                Equation(z[n, i, k], (source[n, i, k] - mu[n, i]) / sqrt(var[n, i] + EPSILON)),
                Equation(scaled[n, i, k], gamma[k] * z[n, i, k] + beta[k]),
            )
        )
        return scaled

    first = normalise(x, 1)
    heads = {name: quantity(name, B, T, G, K) for name in ("q", "k", "v")}
    for name, projected in heads.items():
        weight = quantity(f"w{name}", F, G, K)
        parameters.append(weight)
        equations.append(Equation(projected[n, i, g, e], sum_over(first[n, i, k] * weight[k, g, e], (k, F))))
    a, share, mixed = quantity("a", B, G, T, T), quantity("p", B, G, T, T), quantity("z", B, T, G, K)
    wo, after = quantity("wo", G, K, F), quantity("x1", *width)
    score = sum_over(heads["q"][n, i, g, e] * heads["k"][n, j, g, e], (e, K)) / sqrt(K)
    seen = Piecewise((exp(a[n, g, i, j]), j <= i), (0, True))
    equations += [
        Equation(a[n, g, i, j], score),
        Equation(share[n, g, i, j], seen / sum_over(seen.xreplace({j: r}), (r, T))),
        Equation(mixed[n, i, g, e], sum_over(share[n, g, i, j] * heads["v"][n, j, g, e], (j, T))),
        Equation(after[n, i, m], x[n, i, m] + sum_over(mixed[n, i, g, e] * wo[g, e, m], (g, G), (e, K))),
    ]
    second = normalise(after, 2)
    w1, b1, w2, b2 = quantity("w1", F, J), quantity("b1", J), quantity("w2", J, F), quantity("b2", F)
    s, act, y = quantity("s", B, T, J), quantity("act", B, T, J), quantity("y", *width)
    equations += [
        Equation(s[n, i, j], sum_over(second[n, i, k] * w1[k, j], (k, F)) + b1[j]),
        Equation(act[n, i, j], s[n, i, j] * sigmoid(s[n, i, j])),
        Equation(y[n, i, m], after[n, i, m] + sum_over(act[n, i, j] * w2[j, m], (j, J)) + b2[m]),
    ]
    return network((x,), (*parameters, wo, w1, b1, w2, b2), *equations)
