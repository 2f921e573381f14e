"""Recurrent networks, a conditional random field, attention, a graph's and a set's networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.zoo.task import Aim, Task, Values

# ---------------------------------------------------------------- recurrent layers


def _fused(values: Values, gates: str, other: str) -> Values:
    """Return the matrices of the gates beside one another, transposed, as PyTorch keeps them."""
    import torch

    gate = {kind + g for kind in "wub" for g in gates} | {other}
    own = {k: v for k, v in values.items() if k not in gate}
    own["wih"] = torch.cat([values["w" + g] for g in gates], 1).T.contiguous()
    own["whh"] = torch.cat([values["u" + g] for g in gates], 1).T.contiguous()
    own["bih"] = torch.cat([values["b" + g] for g in gates])
    return own


def _apart(values: Values, gates: str) -> Values:
    """Return derivatives gate by gate."""
    own = {k: v for k, v in values.items() if k not in ("wih", "whh", "bih", "bhh")}
    for key, name in (("wih", "w"), ("whh", "u"), ("bih", "b")):
        for gate, part in zip(gates, values[key].chunk(len(gates)), strict=True):
            own[name + gate] = part.T if part.ndim == 2 else part
    return own


LSTM_TEXT = """
from library import lstm, dense
input x[n, t, k]
integer target label[n]
size t = 16, k = 32
h[n, t, i] = lstm(x, i=64)
last[n, i] = h[n, size(t) - 1, i]
z[n, j] = dense(last, j=10)
l[n, j] = log_softmax(z[n, j], j)
E = mean(-l[n, label[n]], n)
output z
"""


def lstm_torch(p: Any, d: Any) -> Any:
    import torch

    begin = d.x.new_zeros(1, len(d.x), p.whh.shape[1])
    h, _, _ = torch.lstm(d.x, (begin, begin), [p.wih, p.whh, p.bih, p.bhh], True, 1, 0.0, True, False, True)
    return torch.nn.functional.cross_entropy(h[:, -1] @ p.w + p.b, d.label)


def lstm_jax(p: Any, d: Any) -> Any:
    import jax
    from jax import numpy as jnp

    w, u, b = (jnp.concatenate([getattr(p, k + g) for g in "afgo"], -1) for k in "wub")
    begin = jnp.zeros((len(d.x), p.ua.shape[0]), d.x.dtype)

    def step(state: Any, xw: Any) -> Any:
        h, c = state
        a, f, g, o = jnp.split(xw + h @ u, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(a) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    (h, _), _ = jax.lax.scan(step, (begin, begin), jnp.swapaxes(d.x @ w + b, 0, 1))
    return jax_cross_entropy(h @ p.w + p.b, d.label)


def jax_cross_entropy(z: Any, label: Any) -> Any:
    """Return the mean of minus the logarithm of the probability of each label."""
    import jax
    from jax import numpy as jnp

    return -jnp.take_along_axis(jax.nn.log_softmax(z), label[..., None], -1).mean()


def lstm_parameters(values: Values) -> Values:
    own = _fused(values, "afgo", "")
    return own | {"bhh": own["bih"].new_zeros(own["bih"].shape)}


RNN_TEXT = """
from library import rnn, dense_sequence
input x[n, t, k]
target y[n, t, j]
size t = 32, k = 32, j = 32
h[n, t, i] = rnn(x, i=128)
z[n, t, j] = dense_sequence(h, j=32)
E = mean((z[n, t, j] - y[n, t, j])**2, n, t, j)
output z
"""


def rnn_torch(p: Any, d: Any) -> Any:
    import torch

    begin = d.x.new_zeros(1, len(d.x), p.whh.shape[1])
    weights = [p.wih, p.whh, p.bih, p.bhh]
    h, _ = torch.rnn_tanh(d.x, begin, weights, True, 1, 0.0, True, False, True)
    return torch.nn.functional.mse_loss(h @ p.w_ + p.b_, d.y)


def rnn_parameters(values: Values) -> Values:
    own = {"w_": values["w_"], "b_": values["b_"], "bih": values["b"]}
    own |= {"wih": values["w"].T.contiguous(), "whh": values["u"].T.contiguous()}
    return own | {"bhh": own["bih"].new_zeros(own["bih"].shape)}


def rnn_derivatives(values: Values) -> Values:
    own = {"w_": values["w_"], "b_": values["b_"], "b": values["bih"]}
    return own | {"w": values["wih"].T, "u": values["whh"].T}


def rnn_jax(p: Any, d: Any) -> Any:
    import jax
    from jax import numpy as jnp

    def step(h: Any, xw: Any) -> Any:
        h = jnp.tanh(xw + h @ p.u)
        return h, h

    begin = jnp.zeros((len(d.x), p.u.shape[0]), d.x.dtype)
    _, h = jax.lax.scan(step, begin, jnp.swapaxes(d.x @ p.w + p.b, 0, 1))
    return jnp.mean((jnp.swapaxes(h, 0, 1) @ p.w_ + p.b_ - d.y) ** 2)


def rnn_textbook(p: Any, d: Any) -> Any:
    count, steps, _ = d.x.shape
    h = np.zeros((count, steps + 1, p.u.shape[0]), d.x.dtype)
    for t in range(steps):
        h[:, t] = np.tanh(d.x[:, t] @ p.w + h[:, t - 1] @ p.u + p.b)
    z = h[:, :-1] @ p.w_ + p.b_
    dz = 2 * (z - d.y) / z.size
    found = {"w_": np.einsum("nti,ntj->ij", h[:, :-1], dz, optimize=True), "b_": dz.sum((0, 1))}
    found |= {"w": np.zeros_like(p.w), "u": np.zeros_like(p.u), "b": np.zeros_like(p.b)}
    back = np.zeros_like(h[:, 0])
    for t in reversed(range(steps)):
        ds = (dz[:, t] @ p.w_.T + back) * (1 - h[:, t] ** 2)
        found["w"] += d.x[:, t].T @ ds
        found["u"] += h[:, t - 1].T @ ds
        found["b"] += ds.sum(0)
        back = ds @ p.u.T
    return float(((z - d.y) ** 2).mean()), found


GRU_TEXT = """
from library import gru, dense
input x[n, t, k]
integer target label[n]
size t = 16, k = 32
h[n, t, i] = gru(x, i=64)
last[n, i] = h[n, size(t) - 1, i]
z[n, j] = dense(last, j=10)
l[n, j] = log_softmax(z[n, j], j)
E = mean(-l[n, label[n]], n)
output z
"""


def gru_torch(p: Any, d: Any) -> Any:
    import torch

    begin = d.x.new_zeros(1, len(d.x), p.whh.shape[1])
    weights = [p.wih, p.whh, p.bih, p.bhh]
    h, _ = torch.gru(d.x, begin, weights, True, 1, 0.0, True, False, True)
    return torch.nn.functional.cross_entropy(h[:, -1] @ p.w + p.b, d.label)


def gru_parameters(values: Values) -> Values:
    import torch

    own = _fused(values, "rzq", "d")
    zeros = torch.zeros_like(values["d"])
    return own | {"bhh": torch.cat([zeros, zeros, values["d"]])}


def gru_derivatives(values: Values) -> Values:
    return _apart(values, "rzq") | {"d": values["bhh"].chunk(3)[2]}


def gru_jax(p: Any, d: Any) -> Any:
    import jax
    from jax import numpy as jnp

    w, u, b = (jnp.concatenate([getattr(p, k + g) for g in "rzq"], -1) for k in "wub")

    def step(h: Any, xw: Any) -> Any:
        (xr, xz, xq), (hr, hz, hq) = jnp.split(xw, 3, axis=1), jnp.split(h @ u, 3, axis=1)
        r, z = jax.nn.sigmoid(xr + hr), jax.nn.sigmoid(xz + hz)
        q = jnp.tanh(xq + r * (hq + p.d))
        return (1 - z) * q + z * h, None

    begin = jnp.zeros((len(d.x), p.ur.shape[0]), d.x.dtype)
    h, _ = jax.lax.scan(step, begin, jnp.swapaxes(d.x @ w + b, 0, 1))
    return jax_cross_entropy(h @ p.w + p.b, d.label)


CRF_TEXT = """
from library import crf, dense_sequence
input x[n, t, k]
integer target label[n, t]
size t = 16, k = 64
s[n, t, j] = dense_sequence(x, j=64)
h[n, t, j] = tanh(s[n, t, j])
score[n, t, i] = dense_sequence(h, j=12)
loss[n] = crf(score, label)
E = mean(loss[n], n)
output score
"""


def crf_torch(p: Any, d: Any) -> Any:
    import torch

    score = torch.tanh(d.x @ p.w1 + p.b1) @ p.w2 + p.b2
    alpha = p.start + score[:, 0]
    for t in range(1, score.shape[1]):
        alpha = torch.logsumexp(alpha[:, :, None] + p.transition, 1) + score[:, t]
    total = torch.logsumexp(alpha + p.end, 1)
    label = d.label
    path = score.gather(2, label[:, :, None]).sum((1, 2)) + p.start[label[:, 0]] + p.end[label[:, -1]]
    return (total - path - p.transition[label[:, :-1], label[:, 1:]].sum(1)).mean()


def crf_jax(p: Any, d: Any) -> Any:
    import jax
    from jax import numpy as jnp

    score = jnp.tanh(d.x @ p.w1 + p.b1) @ p.w2 + p.b2

    def step(alpha: Any, own: Any) -> Any:
        return jax.nn.logsumexp(alpha[:, :, None] + p.transition, axis=1) + own, None

    alpha, _ = jax.lax.scan(step, p.start + score[:, 0], jnp.swapaxes(score[:, 1:], 0, 1))
    total = jax.nn.logsumexp(alpha + p.end, axis=1)
    label = d.label
    path = jnp.take_along_axis(score, label[:, :, None], 2).sum((1, 2))
    path += p.start[label[:, 0]] + p.end[label[:, -1]]
    return (total - path - p.transition[label[:, :-1], label[:, 1:]].sum(1)).mean()


# ---------------------------------------------------------------- attention

TRANSFORMER_TEXT = """
from library import embedding_sequence, transformer_block, layer_norm_sequence, dense_sequence
integer input token[n, p]
integer target next[n, p]
parameter place[p, d] = normal(0.02)
size p = 32
e[n, p, d] = embedding_sequence(token, v=256, d=64)
x0[n, p, d] = e[n, p, d] + place[p, d]
x2 = repeat(transformer_block, 2, x0, h=4, a=16, f=256)
y[n, p, d] = layer_norm_sequence(x2)
z[n, p, j] = dense_sequence(y, j=256)
l[n, p, j] = log_softmax(z[n, p, j], j)
E = mean(-l[n, p, next[n, p]], n, p)
output z
"""


def transformer_torch(p: Any, d: Any) -> Any:
    from torch.nn import functional

    x = p.table[d.token] + p.place
    for k in (0, 1):
        own = [getattr(p, f"{name}{k + 1}") for name in ("wq", "wk", "wv", "wo")]
        norms = [getattr(p, f"{name}{2 * k + m}") for m in (1, 2) for name in ("gain", "shift")]
        dense = [getattr(p, f"{name}{2 * k + m}") for m in (1, 2) for name in ("w", "b")]
        y = functional.layer_norm(x, (64,), *norms[:2])
        q, key, v = ((y @ w.reshape(64, 64)).reshape(*y.shape[:2], 4, 16).transpose(1, 2) for w in own[:3])
        o = functional.scaled_dot_product_attention(q, key, v, is_causal=True)
        x = x + o.transpose(1, 2).reshape(*y.shape) @ own[3].reshape(64, 64)
        y = functional.layer_norm(x, (64,), *norms[2:])
        x = x + functional.gelu(y @ dense[0] + dense[1]) @ dense[2] + dense[3]
    z = functional.layer_norm(x, (64,), p.gain5, p.shift5) @ p.w5 + p.b5
    return functional.cross_entropy(z.reshape(-1, 256), d.next.reshape(-1))


def jax_layer_norm(x: Any, gain: Any, shift: Any) -> Any:
    """Return each place's units with mean 0 and variance 1, scaled and shifted."""
    from jax import numpy as jnp

    middle = x.mean(-1, keepdims=True)
    variance = ((x - middle) ** 2).mean(-1, keepdims=True)
    return gain * (x - middle) / jnp.sqrt(variance + 1e-5) + shift


def transformer_jax(p: Any, d: Any) -> Any:
    import jax
    from jax import numpy as jnp

    x = p.table[d.token] + p.place
    mask = jnp.tril(jnp.ones((x.shape[1], x.shape[1]), bool))
    for k in (0, 1):
        own = [getattr(p, f"{name}{k + 1}") for name in ("wq", "wk", "wv", "wo")]
        norms = [getattr(p, f"{name}{2 * k + m}") for m in (1, 2) for name in ("gain", "shift")]
        dense = [getattr(p, f"{name}{2 * k + m}") for m in (1, 2) for name in ("w", "b")]
        y = jax_layer_norm(x, *norms[:2])
        q, key, v = (jnp.einsum("npd,dha->nhpa", y, w) for w in own[:3])
        s = jnp.where(mask, jnp.einsum("nhpa,nhra->nhpr", q, key) / 4, -jnp.inf)
        o = jnp.einsum("nhpr,nhra->nhpa", jax.nn.softmax(s), v)
        x = x + jnp.einsum("nhpa,had->npd", o, own[3])
        y = jax_layer_norm(x, *norms[2:])
        x = x + jax.nn.gelu(y @ dense[0] + dense[1], approximate=False) @ dense[2] + dense[3]
    return jax_cross_entropy(jax_layer_norm(x, p.gain5, p.shift5) @ p.w5 + p.b5, d.next)


MEMORY_TEXT = """
input x[n, k], memory[n, r, e]
integer target label[n]
parameter wq[k, a], wk[e, a], wv[e, a], w[a, j], b[j]
size k = 64, r = 48, e = 64, a = 64, j = 10
q[n, a] = sum(x[n, k]*wq[k, a], k)
k[n, r, a] = sum(memory[n, r, e]*wk[e, a], e)
v[n, r, a] = sum(memory[n, r, e]*wv[e, a], e)
s[n, r] = sum(q[n, a]*k[n, r, a], a)/8
g[n, r] = softmax(s[n, r], r)
o[n, a] = sum(g[n, r]*v[n, r, a], r)
z[n, j] = sum(o[n, a]*w[a, j], a) + b[j]
l[n, j] = log_softmax(z[n, j], j)
E = mean(-l[n, label[n]], n)
output z
"""


def memory_torch(p: Any, d: Any) -> Any:
    from torch.nn import functional

    q, k, v = d.x @ p.wq, d.memory @ p.wk, d.memory @ p.wv
    o = functional.scaled_dot_product_attention(q[:, None], k, v)[:, 0]
    return functional.cross_entropy(o @ p.w + p.b, d.label)


def memory_jax(p: Any, d: Any) -> Any:
    import jax
    from jax import numpy as jnp

    q, k, v = d.x @ p.wq, d.memory @ p.wk, d.memory @ p.wv
    g = jax.nn.softmax(jnp.einsum("na,nra->nr", q, k) / 8)
    return jax_cross_entropy(jnp.einsum("nr,nra->na", g, v) @ p.w + p.b, d.label)


def memory_textbook(p: Any, d: Any) -> Any:
    rows = np.arange(len(d.x))
    q, k, v = d.x @ p.wq, d.memory @ p.wk, d.memory @ p.wv
    s = np.einsum("na,nra->nr", q, k) / 8
    g = np.exp(s - s.max(1, keepdims=True))
    g /= g.sum(1, keepdims=True)
    o = np.einsum("nr,nra->na", g, v)
    z = o @ p.w + p.b
    y = np.exp(z - z.max(1, keepdims=True))
    y /= y.sum(1, keepdims=True)
    loss = -np.log(y[rows, d.label]).mean()
    y[rows, d.label] -= 1
    dz = y / len(y)
    do = dz @ p.w.T
    dg = np.einsum("na,nra->nr", do, v)
    ds = g * (dg - (dg * g).sum(1, keepdims=True)) / 8
    dk, dv = ds[:, :, None] * q[:, None], g[:, :, None] * do[:, None]
    found = {"w": o.T @ dz, "b": dz.sum(0), "wq": d.x.T @ np.einsum("nr,nra->na", ds, k)}
    flat = d.memory.reshape(-1, d.memory.shape[2]).T
    found |= {"wk": flat @ dk.reshape(-1, dk.shape[2]), "wv": flat @ dv.reshape(-1, dv.shape[2])}
    return float(loss), found


HOPFIELD_TEXT = """
input x[n, k]
target y[n, k]
parameter pattern[m, k] = normal(0.2)
constant beta = 2
size k = 64, m = 128
a1[n, m] = beta*sum(x[n, k]*pattern[m, k], k)
g1[n, m] = softmax(a1[n, m], m)
x1[n, k] = sum(g1[n, m]*pattern[m, k], m)
a2[n, m] = beta*sum(x1[n, k]*pattern[m, k], k)
g2[n, m] = softmax(a2[n, m], m)
x2[n, k] = sum(g2[n, m]*pattern[m, k], m)
a3[n, m] = beta*sum(x2[n, k]*pattern[m, k], k)
g3[n, m] = softmax(a3[n, m], m)
x3[n, k] = sum(g3[n, m]*pattern[m, k], m)
E = mean(sum((x3[n, k] - y[n, k])**2, k), n)
output x3
"""


def hopfield_torch(p: Any, d: Any) -> Any:
    import torch

    x = d.x
    for _ in range(3):
        x = torch.softmax(2 * (x @ p.pattern.T), 1) @ p.pattern
    return ((x - d.y) ** 2).sum(1).mean()


def hopfield_jax(p: Any, d: Any) -> Any:
    import jax

    x = d.x
    for _ in range(3):
        x = jax.nn.softmax(2 * (x @ p.pattern.T)) @ p.pattern
    return ((x - d.y) ** 2).sum(1).mean()


# ---------------------------------------------------------------- graphs and sets

GRAPH_CONVOLUTION_TEXT = """
input x[n, v, k], edge[n, v, m]
integer target label[n]
parameter w1[k, i], b1[i], w2[i, j], b2[j], w3[j, c], b3[c]
size v = 24, k = 32, i = 64, j = 64, c = 10
u1[n, v, i] = sum(x[n, v, k]*w1[k, i], k)
s1[n, v, i] = sum(edge[n, v, m]*u1[n, m, i], m) + b1[i]
h1[n, v, i] = relu(s1[n, v, i])
u2[n, v, j] = sum(h1[n, v, i]*w2[i, j], i)
s2[n, v, j] = sum(edge[n, v, m]*u2[n, m, j], m) + b2[j]
h2[n, v, j] = relu(s2[n, v, j])
g[n, j] = mean(h2[n, v, j], v)
z[n, c] = sum(g[n, j]*w3[j, c], j) + b3[c]
l[n, c] = log_softmax(z[n, c], c)
E = mean(-l[n, label[n]], n)
output z
"""


def normalised(data: Values) -> Values:
    """Return data with edges to some nodes, weighted so that those of a node sum to 1."""
    chosen = (data["edge"] > 1).astype("f") + np.eye(data["edge"].shape[1], dtype="f")
    return data | {"edge": chosen / chosen.sum(2, keepdims=True)}


def graph_convolution_torch(p: Any, d: Any) -> Any:
    import torch

    h = torch.relu(d.edge @ (d.x @ p.w1) + p.b1)
    h = torch.relu(d.edge @ (h @ p.w2) + p.b2)
    return torch.nn.functional.cross_entropy(h.mean(1) @ p.w3 + p.b3, d.label)


def graph_convolution_jax(p: Any, d: Any) -> Any:
    import jax

    h = jax.nn.relu(d.edge @ (d.x @ p.w1) + p.b1)
    h = jax.nn.relu(d.edge @ (h @ p.w2) + p.b2)
    return jax_cross_entropy(h.mean(1) @ p.w3 + p.b3, d.label)


GRAPH_ATTENTION_TEXT = """
input x[n, v, k], edge[n, v, m]
integer target label[n]
parameter w[k, h, a], left[h, a], right[h, a], w2[h, a, c], b2[c]
size v = 24, k = 32, h = 4, a = 16, c = 10
u[n, h, v, a] = sum(x[n, v, k]*w[k, h, a], k)
l[n, h, v] = sum(u[n, h, v, a]*left[h, a], a)
r[n, h, v] = sum(u[n, h, v, a]*right[h, a], a)
e[n, h, v, m] = leaky_relu(l[n, h, v] + r[n, h, m])
s[n, h, v, m] = where(edge[n, v, m] > 0, e[n, h, v, m], -1e9)
g[n, h, v, m] = softmax(s[n, h, v, m], m)
o[n, h, v, a] = sum(g[n, h, v, m]*u[n, h, m, a], m)
f[n, h, v, a] = elu(o[n, h, v, a])
q[n, h, a] = mean(f[n, h, v, a], v)
z[n, c] = sum(q[n, h, a]*w2[h, a, c], h, a) + b2[c]
y[n, c] = log_softmax(z[n, c], c)
E = mean(-y[n, label[n]], n)
output z
"""


def graph_attention_torch(p: Any, d: Any) -> Any:
    import torch
    from torch.nn import functional

    u = (d.x @ p.w.reshape(32, 64)).reshape(*d.x.shape[:2], 4, 16).transpose(1, 2)
    left, right = (u * p.left[:, None]).sum(3), (u * p.right[:, None]).sum(3)
    e = functional.leaky_relu(left[:, :, :, None] + right[:, :, None], 0.01)
    g = torch.softmax(e.masked_fill(d.edge[:, None] <= 0, -1e9), 3)
    z = functional.elu(g @ u).mean(2).reshape(-1, 64) @ p.w2.reshape(64, 10) + p.b2
    return functional.cross_entropy(z, d.label)


def graph_attention_jax(p: Any, d: Any) -> Any:
    import jax
    from jax import numpy as jnp

    u = jnp.einsum("nvk,kha->nhva", d.x, p.w)
    left, right = (jnp.einsum("nhva,ha->nhv", u, w) for w in (p.left, p.right))
    e = jax.nn.leaky_relu(left[:, :, :, None] + right[:, :, None], 0.01)
    g = jax.nn.softmax(jnp.where(d.edge[:, None] > 0, e, -1e9))
    return jax_cross_entropy(jnp.einsum("nha,hac->nc", jax.nn.elu(g @ u).mean(2), p.w2) + p.b2, d.label)


DEEP_SETS_TEXT = """
input x[n, m, k]
target t[n]
parameter w1[k, i], b1[i], w2[i, j], b2[j], w3[j, h], b3[h], w4[h], b4
size m = 24, k = 16, i = 64, j = 64, h = 64
s1[n, m, i] = sum(x[n, m, k]*w1[k, i], k) + b1[i]
h1[n, m, i] = relu(s1[n, m, i])
s2[n, m, j] = sum(h1[n, m, i]*w2[i, j], i) + b2[j]
h2[n, m, j] = relu(s2[n, m, j])
g[n, j] = mean(h2[n, m, j], m)
s3[n, h] = sum(g[n, j]*w3[j, h], j) + b3[h]
h3[n, h] = relu(s3[n, h])
y[n] = sum(h3[n, h]*w4[h], h) + b4
E = mean((y[n] - t[n])**2, n)
output y
"""


def deep_sets_torch(p: Any, d: Any) -> Any:
    import torch

    h = torch.relu(torch.relu(d.x @ p.w1 + p.b1) @ p.w2 + p.b2).mean(1)
    y = torch.relu(h @ p.w3 + p.b3) @ p.w4 + p.b4
    return torch.nn.functional.mse_loss(y, d.t)


def deep_sets_jax(p: Any, d: Any) -> Any:
    from jax.nn import relu

    h = relu(relu(d.x @ p.w1 + p.b1) @ p.w2 + p.b2).mean(1)
    return ((relu(h @ p.w3 + p.b3) @ p.w4 + p.b4 - d.t) ** 2).mean()


TASKS = (
    Task(
        "lstm", "LSTM, 16 steps of 32 to 64 units, the last one classified, batch 64",
        Aim.OTHER, LSTM_TEXT, 64, lstm_torch, lstm_jax,
        {"x": (16, 32)}, {"label": (10, ())},
        torch_parameters=lstm_parameters, from_torch=lambda values: _apart(values, "afgo"),
    ),
    Task(
        "rnn", "recurrent layer, 32 steps of 32 to 128 units, an output at each, batch 32",
        Aim.OTHER, RNN_TEXT, 32, rnn_torch, rnn_jax,
        {"x": (32, 32), "y": (32, 32)}, textbook=rnn_textbook,
        torch_parameters=rnn_parameters, from_torch=rnn_derivatives,
    ),
    Task(
        "gru", "GRU, 16 steps of 32 to 64 units, the last one classified, batch 64",
        Aim.OTHER, GRU_TEXT, 64, gru_torch, gru_jax,
        {"x": (16, 32)}, {"label": (10, ())},
        torch_parameters=gru_parameters, from_torch=gru_derivatives,
    ),
    Task(
        "crf", "linear-chain CRF over 64-64-12, 16 steps, batch 32",
        Aim.OTHER, CRF_TEXT, 32, crf_torch, crf_jax,
        {"x": (16, 64)}, {"label": (12, (16,))},
    ),
    Task(
        "transformer", "two blocks of a causal transformer, 4 heads of 16, 32 of 256 words, batch 32",
        Aim.PRODUCTS, TRANSFORMER_TEXT, 32, transformer_torch, transformer_jax,
        {}, {"token": (256, (32,)), "next": (256, (32,))},
    ),
    Task(
        "memory", "attention of one query to 48 places of 64, batch 128",
        Aim.OTHER, MEMORY_TEXT, 128, memory_torch, memory_jax,
        {"x": (64,), "memory": (48, 64)}, {"label": (10, ())}, textbook=memory_textbook,
    ),
    Task(
        "hopfield", "modern Hopfield network, three updates among 128 patterns of 64, batch 128",
        Aim.PRODUCTS, HOPFIELD_TEXT, 128, hopfield_torch, hopfield_jax,
        {"x": (64,), "y": (64,)},
    ),
    Task(
        "graph_convolution", "two graph convolutions, 24 nodes, 32-64-64, batch 64",
        Aim.OTHER, GRAPH_CONVOLUTION_TEXT, 64, graph_convolution_torch, graph_convolution_jax,
        {"x": (24, 32), "edge": (24, 24)}, {"label": (10, ())}, made=normalised,
    ),
    Task(
        "graph_attention", "graph attention, 24 nodes, 4 heads of 16, batch 64",
        Aim.OTHER, GRAPH_ATTENTION_TEXT, 64, graph_attention_torch, graph_attention_jax,
        {"x": (24, 32), "edge": (24, 24)}, {"label": (10, ())}, made=normalised,
    ),
    Task(
        "deep_sets", "deep sets of 24 members, 16-64-64, then 64-64-1, batch 64",
        Aim.PRODUCTS, DEEP_SETS_TEXT, 64, deep_sets_torch, deep_sets_jax,
        {"x": (24, 16), "t": ()},
    ),
)  # fmt: skip
