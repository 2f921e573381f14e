"""Networks of images: convolution, residual blocks, separable convolution, a small U-Net."""

from __future__ import annotations

from typing import Any

from benchmarks.zoo.sequences import jax_cross_entropy
from benchmarks.zoo.task import Aim, Task


def jax_convolution(x: Any, w: Any, padding: int = 0, groups: int = 1) -> Any:
    """Return the convolution of images whose channels stand before the places."""
    import jax

    sides = ((padding, padding),) * 2
    return jax.lax.conv_general_dilated(x, w, (1, 1), sides, feature_group_count=groups)


def jax_max_pool(x: Any) -> Any:
    count, channels, p, q = x.shape
    return x.reshape(count, channels, p // 2, 2, q // 2, 2).max((3, 5))


def jax_normalised(x: Any, axes: tuple[int, ...]) -> Any:
    """Return x with mean 0 and variance 1 over some axes."""
    from jax import numpy as jnp

    middle = x.mean(axes, keepdims=True)
    return (x - middle) / jnp.sqrt(((x - middle) ** 2).mean(axes, keepdims=True) + 1e-5)


CNN_TEXT = """
from library import conv2d, max_pool2d
input x[n, c, p, q]
integer target label[n]
parameter w3[f2, h3, g3, i], b3[i]
size c = 1, p = 28, q = 28, i = 10
s1[n, f, h, g] = conv2d(x, f=8, u=5, v=5)
a1[n, f, h, g] = relu(s1[n, f, h, g])
m1 = max_pool2d(a1)
s2[n, f2, h2, g2] = conv2d(m1, f=16, u=5, v=5)
a2[n, f2, h2, g2] = relu(s2[n, f2, h2, g2])
m2[n, f2, h3, g3] = max_pool2d(a2)
z[n, i] = sum(m2[n, f2, h3, g3]*w3[f2, h3, g3, i], f2, h3, g3) + b3[i]
l[n, i] = log_softmax(z[n, i], i)
E = mean(-l[n, label[n]], n)
output z
"""


def cnn_torch(p: Any, d: Any) -> Any:
    from torch.nn import functional

    x = functional.max_pool2d(functional.relu(functional.conv2d(d.x, p.w1, p.b1)), 2)
    x = functional.max_pool2d(functional.relu(functional.conv2d(x, p.w2, p.b2)), 2)
    return functional.cross_entropy(x.flatten(1) @ p.w3.reshape(-1, 10) + p.b3, d.label)


def cnn_jax(p: Any, d: Any) -> Any:
    from jax.nn import relu

    x = jax_max_pool(relu(jax_convolution(d.x, p.w1) + p.b1[:, None, None]))
    x = jax_max_pool(relu(jax_convolution(x, p.w2) + p.b2[:, None, None]))
    return jax_cross_entropy(x.reshape(len(x), -1) @ p.w3.reshape(-1, 10) + p.b3, d.label)


RESNET_TEXT = """
from library import conv2d, batch_norm2d, dense
input x[n, c, p, q]
integer target label[n]
size c = 16, p = 14, q = 14
s1[n, f, h, g] = conv2d(x, f=16, padding=1)
u1[n, f, h, g] = batch_norm2d(s1)
a1[n, f, h, g] = relu(u1[n, f, h, g])
s2[n, f, h, g] = conv2d(a1, f=16, padding=1)
u2[n, f, h, g] = batch_norm2d(s2)
a2[n, f, h, g] = relu(u2[n, f, h, g] + x[n, f, h, g])
m[n, f] = mean(a2[n, f, h, g], h, g)
z[n, i] = dense(m, j=10)
l[n, i] = log_softmax(z[n, i], i)
E = mean(-l[n, label[n]], n)
output z
"""


def resnet_torch(p: Any, d: Any) -> Any:
    from torch.nn import functional

    def normalised(x: Any, gain: Any, shift: Any) -> Any:
        return functional.batch_norm(x, None, None, gain, shift, training=True)

    a = functional.relu(normalised(functional.conv2d(d.x, p.w1, p.b1, padding=1), p.gain1, p.shift1))
    y = normalised(functional.conv2d(a, p.w2, p.b2, padding=1), p.gain2, p.shift2)
    z = functional.relu(y + d.x).mean((2, 3)) @ p.w + p.b
    return functional.cross_entropy(z, d.label)


def resnet_jax(p: Any, d: Any) -> Any:
    from jax.nn import relu

    def layer(x: Any, w: Any, b: Any, gain: Any, shift: Any) -> Any:
        b, gain, shift = (v[:, None, None] for v in (b, gain, shift))
        return gain * jax_normalised(jax_convolution(x, w, 1) + b, (0, 2, 3)) + shift

    a = relu(layer(d.x, p.w1, p.b1, p.gain1, p.shift1))
    y = relu(layer(a, p.w2, p.b2, p.gain2, p.shift2) + d.x)
    return jax_cross_entropy(y.mean((2, 3)) @ p.w + p.b, d.label)


SEPARABLE_TEXT = """
from library import conv2d, grouped_conv2d, group_norm, dense
input x[n, c, p, q]
integer target label[n]
size c = 16, p = 14, q = 14
s1[n, f, h, g] = grouped_conv2d(x, groups=16, padding=1)
s2 = conv2d(s1, f=32, u=1, v=1)
u2[n, f2, h, g] = group_norm(s2, groups=4)
a2[n, f2, h, g] = relu(u2[n, f2, h, g])
m[n, f2] = mean(a2[n, f2, h, g], h, g)
z[n, i] = dense(m, j=10)
l[n, i] = log_softmax(z[n, i], i)
E = mean(-l[n, label[n]], n)
output z
"""


def separable_torch(p: Any, d: Any) -> Any:
    from torch.nn import functional

    s = functional.conv2d(d.x, p.w, p.b, padding=1, groups=16)
    a = functional.relu(functional.group_norm(functional.conv2d(s, p.w_, p.b_), 4, p.gain, p.shift))
    return functional.cross_entropy(a.mean((2, 3)) @ p.w__ + p.b__, d.label)


def separable_jax(p: Any, d: Any) -> Any:
    from jax.nn import relu

    s = jax_convolution(d.x, p.w, 1, groups=16) + p.b[:, None, None]
    s = jax_convolution(s, p.w_) + p.b_[:, None, None]
    u = jax_normalised(s.reshape(len(s), 4, 8, 14, 14), (2, 3, 4)).reshape(s.shape)
    a = relu(p.gain[:, None, None] * u + p.shift[:, None, None])
    return jax_cross_entropy(a.mean((2, 3)) @ p.w__ + p.b__, d.label)


UNET_TEXT = """
from library import conv2d, max_pool2d, transposed_conv2d
input x[n, c, p, q]
target t[n, e, h, g]
size c = 1, p = 16, q = 16
s1[n, f, h, g] = conv2d(x, f=8, padding=1)
a1[n, f, h, g] = relu(s1[n, f, h, g])
m = max_pool2d(a1)
s2[n, f2, h2, g2] = conv2d(m, f=16, padding=1)
a2[n, f2, h2, g2] = relu(s2[n, f2, h2, g2])
up[n, f, h, g] = transposed_conv2d(a2, f=8)
size d = 8
both[n, d, h, g] = a1[n, d, h, g]
both[n, size(d) + d, h, g] = up[n, d, h, g]
s3[n, f, h, g] = conv2d(both, f=8, padding=1)
a3[n, f, h, g] = relu(s3[n, f, h, g])
y[n, e, h, g] = conv2d(a3, f=1, u=1, v=1)
E = mean((y[n, e, h, g] - t[n, e, h, g])**2, n, e, h, g)
output y
"""


def unet_torch(p: Any, d: Any) -> Any:
    import torch
    from torch.nn import functional

    a = functional.relu(functional.conv2d(d.x, p.w1, p.b1, padding=1))
    below = functional.relu(functional.conv2d(functional.max_pool2d(a, 2), p.w2, p.b2, padding=1))
    both = torch.cat([a, functional.conv_transpose2d(below, p.w, p.b, stride=2)], 1)
    last = functional.relu(functional.conv2d(both, p.w3, p.b3, padding=1))
    return functional.mse_loss(functional.conv2d(last, p.w4, p.b4), d.t)


def unet_jax(p: Any, d: Any) -> Any:
    from jax import numpy as jnp
    from jax.nn import relu

    a = relu(jax_convolution(d.x, p.w1, 1) + p.b1[:, None, None])
    below = relu(jax_convolution(jax_max_pool(a), p.w2, 1) + p.b2[:, None, None])
    up = jnp.einsum("nchg,cfuv->nfhugv", below, p.w).reshape(a.shape) + p.b[:, None, None]
    last = relu(jax_convolution(jnp.concatenate([a, up], 1), p.w3, 1) + p.b3[:, None, None])
    return ((jax_convolution(last, p.w4) + p.b4[:, None, None] - d.t) ** 2).mean()


TASKS = (
    Task(
        "cnn", "two 5x5 convolutions of 8 and 16 channels with pooling, 28x28, batch 32",
        Aim.CONVOLUTIONS, CNN_TEXT, 32, cnn_torch, cnn_jax, {"x": (1, 28, 28)}, {"label": (10, ())},
    ),
    Task(
        "resnet", "residual block of two 3x3 convolutions with batch norm, 16 channels, 14x14, batch 32",
        Aim.CONVOLUTIONS, RESNET_TEXT, 32, resnet_torch, resnet_jax,
        {"x": (16, 14, 14)}, {"label": (10, ())},
    ),
    Task(
        "separable", "depthwise and pointwise convolution, group norm, 16 to 32 channels, 14x14, batch 32",
        Aim.CONVOLUTIONS, SEPARABLE_TEXT, 32, separable_torch, separable_jax,
        {"x": (16, 14, 14)}, {"label": (10, ())},
    ),
    Task(
        "unet", "U-Net of one step down, 8 and 16 channels, 16x16, batch 32",
        Aim.CONVOLUTIONS, UNET_TEXT, 32, unet_torch, unet_jax,
        {"x": (1, 16, 16), "t": (1, 16, 16)},
    ),
)  # fmt: skip
