"""Networks of vectors: tables, contrastive losses, experts, ensembles, norms, a differential equation."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.zoo.sequences import jax_cross_entropy, jax_layer_norm
from benchmarks.zoo.task import Aim, Task

# ---------------------------------------------------------------- tables

WORD2VEC_TEXT = """
integer input center[n], context[n], other[n, m]
parameter u[v, d] = normal(0.1), w[v, d] = normal(0.1)
size v = 2000, d = 64, m = 8
near[n] = sum(u[center[n], d]*w[context[n], d], d)
far[n, m] = sum(u[center[n], d]*w[other[n, m], d], d)
E = mean(softplus(-near[n]) + sum(softplus(far[n, m]), m), n)
output near
"""


def word2vec_torch(p: Any, d: Any) -> Any:
    from torch.nn import functional

    center = functional.embedding(d.center, p.u)
    near = (center * functional.embedding(d.context, p.w)).sum(1)
    far = (functional.embedding(d.other, p.w) @ center[:, :, None])[:, :, 0]
    return (functional.softplus(-near) + functional.softplus(far).sum(1)).mean()


def word2vec_jax(p: Any, d: Any) -> Any:
    import jax
    from jax import numpy as jnp

    center = p.u[d.center]
    near, far = (center * p.w[d.context]).sum(1), jnp.einsum("nd,nmd->nm", center, p.w[d.other])
    return (jax.nn.softplus(-near) + jax.nn.softplus(far).sum(1)).mean()


def word2vec_textbook(p: Any, d: Any) -> Any:
    center, context, other = p.u[d.center], p.w[d.context], p.w[d.other]
    near, far = (center * context).sum(1), np.einsum("nd,nmd->nm", center, other)
    loss = np.logaddexp(0, -near) + np.logaddexp(0, far).sum(1)
    dnear, dfar = -1 / (1 + np.exp(near)) / len(near), 1 / (1 + np.exp(-far)) / len(near)
    du, dw = np.zeros_like(p.u), np.zeros_like(p.w)
    np.add.at(du, d.center, dnear[:, None] * context + np.einsum("nm,nmd->nd", dfar, other))
    np.add.at(dw, d.context, dnear[:, None] * center)
    np.add.at(dw, d.other, dfar[:, :, None] * center[:, None])
    return float(loss.mean()), {"u": du, "w": dw}


FACTORS_TEXT = """
integer input user[n], item[n]
target t[n]
parameter p[u, d] = normal(0.1), q[i, d] = normal(0.1), a[u] = 0, b[i] = 0, c = 0
size u = 1000, i = 500, d = 32
y[n] = sum(p[user[n], d]*q[item[n], d], d) + a[user[n]] + b[item[n]] + c
E = mean((y[n] - t[n])**2, n)
output y
"""


def factors_torch(p: Any, d: Any) -> Any:
    y = (p.p[d.user] * p.q[d.item]).sum(1) + p.a[d.user] + p.b[d.item] + p.c
    return ((y - d.t) ** 2).mean()


factors_jax = factors_torch  # the same text in both

# ---------------------------------------------------------------- contrastive losses

SUPERVISED_TEXT = """
input x[n, k]
integer input label[n]
parameter w1[k, i], b1[i], w2[i, d], b2[d]
size k = 64, i = 128, d = 32
s[n, i] = sum(x[n, k]*w1[k, i], k) + b1[i]
h[n, i] = relu(s[n, i])
v[n, d] = sum(h[n, i]*w2[i, d], i) + b2[d]
length[n] = sqrt(sum(v[n, d]**2, d) + 1e-6)
z[n, d] = v[n, d]/length[n]
a[n, m] = where(m != n, sum(z[n, d]*z[m, d], d)/0.1, -1e9)
l[n, m] = log_softmax(a[n, m], m)
alike[n] = sum(where(m != n and label[n] == label[m], 1, 0), m)
E = mean(-sum(where(m != n and label[n] == label[m], l[n, m], 0), m)/(alike[n] + 1e-6), n)
output z
"""


def supervised_torch(p: Any, d: Any) -> Any:
    import torch

    v = torch.relu(d.x @ p.w1 + p.b1) @ p.w2 + p.b2
    z = v / torch.sqrt((v**2).sum(1, keepdim=True) + 1e-6)
    own = torch.eye(len(z), dtype=torch.bool)
    pairs = (d.label[:, None] == d.label) & ~own
    logits = (z @ z.T / 0.1).masked_fill(own, -1e9)
    chosen = torch.where(pairs, torch.log_softmax(logits, 1), 0.0)
    return -(chosen.sum(1) / (pairs.sum(1).to(z) + 1e-6)).mean()


def supervised_jax(p: Any, d: Any) -> Any:
    import jax
    from jax import numpy as jnp

    v = jax.nn.relu(d.x @ p.w1 + p.b1) @ p.w2 + p.b2
    z = v / jnp.sqrt((v**2).sum(1, keepdims=True) + 1e-6)
    own = jnp.eye(len(z), dtype=bool)
    pairs = (d.label[:, None] == d.label) & ~own
    chosen = jnp.where(pairs, jax.nn.log_softmax(jnp.where(own, -1e9, z @ z.T / 0.1)), 0)
    return -(chosen.sum(1) / (pairs.sum(1) + 1e-6)).mean()


CLIP_TEXT = """
input x[n, k], y[n, j]
parameter wx[k, i], bx[i], ux[i, d], wy[j, i], by[i], uy[i, d], scale = 2
size k = 128, j = 64, i = 128, d = 64
sx[n, i] = sum(x[n, k]*wx[k, i], k) + bx[i]
hx[n, i] = relu(sx[n, i])
vx[n, d] = sum(hx[n, i]*ux[i, d], i)
lx[n] = sqrt(sum(vx[n, d]**2, d) + 1e-6)
zx[n, d] = vx[n, d]/lx[n]
sy[n, i] = sum(y[n, j]*wy[j, i], j) + by[i]
hy[n, i] = relu(sy[n, i])
vy[n, d] = sum(hy[n, i]*uy[i, d], i)
ly[n] = sqrt(sum(vy[n, d]**2, d) + 1e-6)
zy[n, d] = vy[n, d]/ly[n]
a[n, m] = exp(scale)*sum(zx[n, d]*zy[m, d], d)
rows[n] = logsumexp(a[n, m], m)
columns[m] = logsumexp(a[n, m], n)
own[n] = a[n, n]
E = mean((rows[n] + columns[n])/2 - own[n], n)
output zx
"""


def clip_torch(p: Any, d: Any) -> Any:
    import torch
    from torch.nn.functional import cross_entropy

    vx, vy = torch.relu(d.x @ p.wx + p.bx) @ p.ux, torch.relu(d.y @ p.wy + p.by) @ p.uy
    zx, zy = (v / torch.sqrt((v**2).sum(1, keepdim=True) + 1e-6) for v in (vx, vy))
    a, own = torch.exp(p.scale) * (zx @ zy.T), torch.arange(len(zx))
    return (cross_entropy(a, own) + cross_entropy(a.T, own)) / 2


def clip_jax(p: Any, d: Any) -> Any:
    import jax
    from jax import numpy as jnp

    vx, vy = jax.nn.relu(d.x @ p.wx + p.bx) @ p.ux, jax.nn.relu(d.y @ p.wy + p.by) @ p.uy
    zx, zy = (v / jnp.sqrt((v**2).sum(1, keepdims=True) + 1e-6) for v in (vx, vy))
    a = jnp.exp(p.scale) * (zx @ zy.T)
    both = jax.nn.logsumexp(a, axis=1) + jax.nn.logsumexp(a, axis=0)
    return (both / 2 - jnp.diagonal(a)).mean()


# ---------------------------------------------------------------- several networks in one

EXPERTS_TEXT = """
input x[n, k]
integer target label[n]
parameter wg[k, e], bg[e], w[e, k, i], b[e, i], u[e, i, c], d[e, c]
size k = 64, e = 8, i = 64, c = 10
r[n, e] = sum(x[n, k]*wg[k, e], k) + bg[e]
g[n, e] = softmax(r[n, e], e)
s[n, e, i] = sum(x[n, k]*w[e, k, i], k) + b[e, i]
h[n, e, i] = relu(s[n, e, i])
y[n, e, c] = sum(h[n, e, i]*u[e, i, c], i) + d[e, c]
z[n, c] = sum(g[n, e]*y[n, e, c], e)
l[n, c] = log_softmax(z[n, c], c)
E = mean(-l[n, label[n]], n)
output z
"""


def experts_torch(p: Any, d: Any) -> Any:
    import torch

    g = torch.softmax(d.x @ p.wg + p.bg, 1)
    h = torch.relu(d.x @ p.w + p.b[:, None])
    z = torch.einsum("ne,enc->nc", g, h @ p.u + p.d[:, None])
    return torch.nn.functional.cross_entropy(z, d.label)


def experts_jax(p: Any, d: Any) -> Any:
    import jax
    from jax import numpy as jnp

    g = jax.nn.softmax(d.x @ p.wg + p.bg)
    h = jax.nn.relu(d.x @ p.w + p.b[:, None])
    return jax_cross_entropy(jnp.einsum("ne,enc->nc", g, h @ p.u + p.d[:, None]), d.label)


ENSEMBLE_TEXT = """
input x[n, k]
integer target label[n]
parameter w1[m, k, i], b1[m, i], w2[m, i, j], b2[m, j], w3[m, j, c], b3[m, c]
size m = 5, k = 32, i = 64, j = 64, c = 10
s1[n, m, i] = sum(x[n, k]*w1[m, k, i], k) + b1[m, i]
h1[n, m, i] = tanh(s1[n, m, i])
s2[n, m, j] = sum(h1[n, m, i]*w2[m, i, j], i) + b2[m, j]
h2[n, m, j] = tanh(s2[n, m, j])
z[n, m, c] = sum(h2[n, m, j]*w3[m, j, c], j) + b3[m, c]
y[n, m, c] = softmax(z[n, m, c], c)
q[n, c] = mean(y[n, m, c], m)
E = mean(-log(q[n, label[n]]), n)
output q
"""


def ensemble_torch(p: Any, d: Any) -> Any:
    import torch

    h = torch.tanh(d.x @ p.w1 + p.b1[:, None])
    h = torch.tanh(torch.baddbmm(p.b2[:, None], h, p.w2))
    q = torch.softmax(torch.baddbmm(p.b3[:, None], h, p.w3), 2).mean(0)
    return torch.nn.functional.nll_loss(torch.log(q), d.label)


def ensemble_jax(p: Any, d: Any) -> Any:
    import jax
    from jax import numpy as jnp

    h = jnp.tanh(d.x @ p.w1 + p.b1[:, None])
    h = jnp.tanh(h @ p.w2 + p.b2[:, None])
    q = jax.nn.softmax(h @ p.w3 + p.b3[:, None]).mean(0)
    return -jnp.log(jnp.take_along_axis(q, d.label[:, None], 1)).mean()


# ---------------------------------------------------------------- chains that are not plain

NORMS_TEXT = """
from library import dense, layer_norm
input x0[n, i]
integer target label[n]
size i = 128
s1[n, j] = dense(x0, j=256)
u1[n, j] = layer_norm(s1)
x1[n, j] = gelu(u1[n, j])
s2[n, j] = dense(x1, j=256)
u2[n, j] = layer_norm(s2)
x2[n, j] = gelu(u2[n, j])
z[n, c] = dense(x2, j=10)
l[n, c] = log_softmax(z[n, c], c)
E = mean(-l[n, label[n]], n)
output z
"""


def norms_torch(p: Any, d: Any) -> Any:
    from torch.nn import functional

    x = d.x0
    for k in "12":
        w, b, gain, shift = (getattr(p, name + k) for name in ("w", "b", "gain", "shift"))
        x = functional.gelu(functional.layer_norm(x @ w + b, (256,), gain, shift))
    return functional.cross_entropy(x @ p.w3 + p.b3, d.label)


def norms_jax(p: Any, d: Any) -> Any:
    import jax

    x = d.x0
    for k in "12":
        w, b, gain, shift = (getattr(p, name + k) for name in ("w", "b", "gain", "shift"))
        x = jax.nn.gelu(jax_layer_norm(x @ w + b, gain, shift), approximate=False)
    return jax_cross_entropy(x @ p.w3 + p.b3, d.label)


AUTOENCODER_TEXT = """
input x[n, k]
parameter w1[k, i], b1[i], w2[i, j], b2[j], c1[i], c2[k]
size k = 196, i = 128, j = 32
s1[n, i] = sum(x[n, k]*w1[k, i], k) + b1[i]
h1[n, i] = tanh(s1[n, i])
s2[n, j] = sum(h1[n, i]*w2[i, j], i) + b2[j]
h2[n, j] = tanh(s2[n, j])
s3[n, i] = sum(h2[n, j]*w2[i, j], j) + c1[i]
h3[n, i] = tanh(s3[n, i])
y[n, k] = sum(h3[n, i]*w1[k, i], i) + c2[k]
E = mean(sum((y[n, k] - x[n, k])**2, k), n)
output y
"""


def autoencoder_torch(p: Any, d: Any) -> Any:
    import torch

    h = torch.tanh(torch.tanh(d.x @ p.w1 + p.b1) @ p.w2 + p.b2)
    y = torch.tanh(h @ p.w2.T + p.c1) @ p.w1.T + p.c2
    return ((y - d.x) ** 2).sum(1).mean()


def autoencoder_jax(p: Any, d: Any) -> Any:
    from jax import numpy as jnp

    h = jnp.tanh(jnp.tanh(d.x @ p.w1 + p.b1) @ p.w2 + p.b2)
    y = jnp.tanh(h @ p.w2.T + p.c1) @ p.w1.T + p.c2
    return ((y - d.x) ** 2).sum(1).mean()


PHYSICS_TEXT = """
# Burgers' equation u_t + u u_x = nu u_xx; x[n,0] is the place, x[n,1] the time.
input x[n, d]
parameter w1[d, i], b1[i], w2[i, j], b2[j], w3[j], b3
constant nu = 0.01
size d = 2, i = 64, j = 64
s1[n, i] = sum(x[n, d]*w1[d, i], d) + b1[i]
a1[n, i] = tanh(s1[n, i])
g1[n, i] = 1 - a1[n, i]**2
p1[n, i] = g1[n, i]*w1[0, i]
q1[n, i] = g1[n, i]*w1[1, i]
r1[n, i] = -2*a1[n, i]*g1[n, i]*w1[0, i]**2
s2[n, j] = sum(a1[n, i]*w2[i, j], i) + b2[j]
sp[n, j] = sum(p1[n, i]*w2[i, j], i)
sq[n, j] = sum(q1[n, i]*w2[i, j], i)
sr[n, j] = sum(r1[n, i]*w2[i, j], i)
a2[n, j] = tanh(s2[n, j])
g2[n, j] = 1 - a2[n, j]**2
p2[n, j] = g2[n, j]*sp[n, j]
q2[n, j] = g2[n, j]*sq[n, j]
r2[n, j] = g2[n, j]*sr[n, j] - 2*a2[n, j]*g2[n, j]*sp[n, j]**2
u[n] = sum(a2[n, j]*w3[j], j) + b3
ux[n] = sum(p2[n, j]*w3[j], j)
ut[n] = sum(q2[n, j]*w3[j], j)
uxx[n] = sum(r2[n, j]*w3[j], j)
E = mean((ut[n] + u[n]*ux[n] - nu*uxx[n])**2, n)
output u
"""


def _physics(p: Any, d: Any, tanh: Any) -> Any:
    a = tanh(d.x @ p.w1 + p.b1)
    g = 1 - a * a
    sp, sq = (g * p.w1[0]) @ p.w2, (g * p.w1[1]) @ p.w2
    sr = (-2 * a * g * p.w1[0] ** 2) @ p.w2
    a = tanh(a @ p.w2 + p.b2)
    g = 1 - a * a
    u, ux, ut = a @ p.w3 + p.b3, (g * sp) @ p.w3, (g * sq) @ p.w3
    uxx = (g * sr - 2 * a * g * sp**2) @ p.w3
    return ((ut + u * ux - 0.01 * uxx) ** 2).mean()


def physics_torch(p: Any, d: Any) -> Any:
    import torch

    return _physics(p, d, torch.tanh)


def physics_jax(p: Any, d: Any) -> Any:
    from jax import numpy as jnp

    return _physics(p, d, jnp.tanh)


TASKS = (
    Task(
        "word2vec", "skip-gram with 8 negative samples, 2000 words, 64 units, batch 128",
        Aim.OTHER, WORD2VEC_TEXT, 128, word2vec_torch, word2vec_jax,
        {}, {"center": (2000, ()), "context": (2000, ()), "other": (2000, (8,))},
        textbook=word2vec_textbook,
    ),
    Task(
        "factors", "matrix factorisation with biases, 1000 by 500, rank 32, batch 128",
        Aim.OTHER, FACTORS_TEXT, 128, factors_torch, factors_jax,
        {"t": ()}, {"user": (1000, ()), "item": (500, ())},
    ),
    Task(
        "supervised", "supervised contrastive loss over 64-128-32, batch 128",
        Aim.OTHER, SUPERVISED_TEXT, 128, supervised_torch, supervised_jax,
        {"x": (64,)}, {"label": (10, ())},
    ),
    Task(
        "clip", "InfoNCE of two encoders, 128-128-64 and 64-128-64, batch 128",
        Aim.PRODUCTS, CLIP_TEXT, 128, clip_torch, clip_jax, {"x": (128,), "y": (64,)},
    ),
    Task(
        "experts", "mixture of 8 experts 64-64-10, batch 128",
        Aim.PRODUCTS, EXPERTS_TEXT, 128, experts_torch, experts_jax, {"x": (64,)}, {"label": (10, ())},
    ),
    Task(
        "ensemble", "ensemble of 5 networks 32-64-64-10, the logarithm of their mean, batch 64",
        Aim.PRODUCTS, ENSEMBLE_TEXT, 64, ensemble_torch, ensemble_jax, {"x": (32,)}, {"label": (10, ())},
    ),
    Task(
        "norms", "128-256-256-10 with layer norm and gelu, batch 64",
        Aim.PRODUCTS, NORMS_TEXT, 64, norms_torch, norms_jax, {"x0": (128,)}, {"label": (10, ())},
    ),
    Task(
        "autoencoder", "autoencoder 196-128-32-128-196 with tied weights, batch 64",
        Aim.PRODUCTS, AUTOENCODER_TEXT, 64, autoencoder_torch, autoencoder_jax, {"x": (196,)},
    ),
    Task(
        "physics", "Burgers' equation, 2-64-64-1 with its derivatives as equations, batch 128",
        Aim.OTHER, PHYSICS_TEXT, 128, physics_torch, physics_jax, {"x": (2,)},
    ),
)  # fmt: skip
