"""The layers of the reference figures as ``.net`` texts, under the names of the figures.

``given`` are the layer's inputs, ``learned`` its parameters; the last equation defines its output, which the
loss weighs by a free cotangent C of the same axes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class LayerText:
    """A layer without its loss; ``cotangent`` holds the axes of C, ``weighed`` what the loss sums."""

    given: str
    learned: str
    equations: str
    extra: str = ""
    weighed: str = ""

    @property
    def output(self) -> str:
        """The last left-hand side, such as y[n, i]."""
        return re.findall(r"^(\w+\[[^\]]*\])\s+=", self.equations, re.MULTILINE)[-1]

    @property
    def cotangent(self) -> str:
        """C with its axes."""
        return "C" + self.output[self.output.index("[") :] if not self.weighed else "C[n, z, j]"

    @property
    def loss(self) -> str:
        """What the loss adds up, for one sample and for all values of its indices."""
        return self.weighed or f"{self.cotangent}*{self.output}"


DENSE_GATES = "\n".join(
    f"s{g}[n, j] = sum(x[n, k]*w{g}[k, j], k) + sum(h[n, i]*u{g}[i, j], i) + b{g}[j]" for g in "ifgo"
)
HEADS = """\
q[n, p, g, e] = sum(x[n, p, k]*wq[k, {column}], k) + bq[{column}]
k[n, p, g, e] = sum(x[n, p, k]*wk[k, {column}], k)
v[n, p, g, e] = sum(x[n, p, k]*wv[k, {column}], k) + bv[{column}]
a[n, g, p, r] = sum(q[n, p, g, e]*k[n, r, g, e], e)/sqrt(size(e))
s[n, g, p, r] = softmax(a[n, g, p, r], r)
z[n, p, g, e] = sum(s[n, g, p, r]*v[n, r, g, e], r)
y[n, p, k] = sum(z[n, p, g, e]*wo[{column}, k], g, e) + bo[k]
"""
ATTENTION = "wq[k, c], bq[c], wk[k, c], wv[k, c], bv[c], wo[c, k], bo[k]"
NORM = """\
{mu} = mean(x[n, i], {along})
{v} = mean((x[n, i] - {mu})**2, {along})
z[n, i] = (x[n, i] - {mu})/sqrt({v} + eps)
y[n, i] = gamma[i]*z[n, i] + beta[i]
"""
STEPS = "\n".join(
    f"h{t + 1}[n, i] = tanh(sum(x[n, {t}, k]*wx[k, i], k) + sum(h{t or ''}[n, j]*wh[j, i], j) + b[i])"
    for t in range(4)
)

LAYER_TEXTS = {
    "residual": LayerText(
        "x[n, k]",
        "w1[k, j], b1[j], w2[j, k], b2[k]",
        """\
h[n, j] = tanh(sum(x[n, k]*w1[k, j], k) + b1[j])
y[n, k] = x[n, k] + sum(h[n, j]*w2[j, k], j) + b2[k]
""",
    ),
    "batch_norm": LayerText(
        "x[n, i]",
        "gamma[i], beta[i]",
        NORM.format(mu="mu[i]", v="v[i]", along="n"),
        "constant eps = 1e-5",
    ),
    "layer_norm": LayerText(
        "x[n, i]",
        "gamma[i], beta[i]",
        NORM.format(mu="mu[n]", v="v[n]", along="i"),
        "constant eps = 1e-5",
    ),
    "rms_norm": LayerText(
        "x[n, i]",
        "gamma[i]",
        "r[n] = mean(x[n, i]**2, i)\ny[n, i] = gamma[i]*x[n, i]/sqrt(r[n] + eps)\n",
        "constant eps = 1e-6",
    ),
    "conv1d": LayerText(
        "x[n, c, p]", "w[o, c, u], b[o]", "y[n, o, h] = sum(x[n, c, h + u]*w[o, c, u], c, u) + b[o]\n"
    ),
    "conv1d_stride2": LayerText(
        "x[n, c, p]", "w[o, c, u], b[o]", "y[n, o, h] = sum(x[n, c, 2*h + u]*w[o, c, u], c, u) + b[o]\n"
    ),
    "conv2d": LayerText(
        "x[n, c, p, q]",
        "w[o, c, u, v], b[o]",
        "y[n, o, h, g] = sum(x[n, c, h + u, g + v]*w[o, c, u, v], c, u, v) + b[o]\n",
    ),
    "conv2d_same": LayerText(
        "x[n, c, p, q]",
        "w[o, c, u, v], b[o]",
        "y[n, o, p, q] = b[o] + sum(w[o, c, u, v]*where(0 <= p + u - 1 < size(p) and 0 <= q + v - 1 "
        "< size(q), x[n, c, p + u - 1, q + v - 1], 0), c, u, v)\n",
    ),
    "max_pool2d": LayerText(
        "x[n, c, p, q]", "", "y[n, c, h, g] = max(x[n, c, 2*h + u, 2*g + v], u, v)\n", "size u = 2, v = 2"
    ),
    "avg_pool2d": LayerText(
        "x[n, c, p, q]", "", "y[n, c, h, g] = mean(x[n, c, 2*h + u, 2*g + v], u, v)\n", "size u = 2, v = 2"
    ),
    "embedding": LayerText("token[n, p]", "w[v, k]", "y[n, p, k] = w[token[n, p], k]\n"),
    "rnn_tanh": LayerText(
        "x[n, t, k], h[n, i]",
        "wx[k, i], wh[j, i], b[i]",
        STEPS + "\n",
        weighed=" + ".join(f"C[n, {t}, j]*h{t + 1}[n, j]" for t in range(4)),
    ),
    "gru_cell": LayerText(
        "x[n, k], h[n, j]",
        ", ".join(f"w{g}[k, j], u{g}[i, j], b{g}[j], c{g}[j]" for g in "rzn"),
        """\
r[n, j] = sigmoid(sum(x[n, k]*wr[k, j], k) + br[j] + sum(h[n, i]*ur[i, j], i) + cr[j])
z[n, j] = sigmoid(sum(x[n, k]*wz[k, j], k) + bz[j] + sum(h[n, i]*uz[i, j], i) + cz[j])
a[n, j] = sum(h[n, i]*un[i, j], i) + cn[j]
m[n, j] = tanh(sum(x[n, k]*wn[k, j], k) + bn[j] + r[n, j]*a[n, j])
y[n, j] = (1 - z[n, j])*m[n, j] + z[n, j]*h[n, j]
""",
    ),
    "lstm_cell": LayerText(
        "x[n, k], h[n, j], c[n, j]",
        ", ".join(f"w{g}[k, j], u{g}[i, j], b{g}[j]" for g in "ifgo"),
        DENSE_GATES
        + """
d[n, j] = sigmoid(sf[n, j])*c[n, j] + sigmoid(si[n, j])*tanh(sg[n, j])
y[n, j] = sigmoid(so[n, j])*tanh(d[n, j])
""",
        weighed="C[n, 0, j]*y[n, j] + C[n, 1, j]*d[n, j]",
    ),
    "attention": LayerText(
        "q[n, p, e], k[n, r, e], v[n, r, m]",
        "",
        """\
a[n, p, r] = sum(q[n, p, e]*k[n, r, e], e)/sqrt(size(e))
s[n, p, r] = softmax(a[n, p, r], r)
y[n, p, m] = sum(s[n, p, r]*v[n, r, m], r)
""",
    ),
    "attention_causal": LayerText(
        "q[n, p, e], k[n, p, e], v[n, p, m]",
        "",
        """\
a[n, p, r] = where(r <= p, sum(q[n, p, e]*k[n, r, e], e)/sqrt(size(e)), -1e9)
s[n, p, r] = softmax(a[n, p, r], r)
y[n, p, m] = sum(s[n, p, r]*v[n, r, m], r)
""",
    ),
    "self_attention": LayerText("x[n, p, k]", ATTENTION, HEADS.format(column="4*g + e"), "size g = 1, e = 4"),
    "multi_head_attention": LayerText(
        "x[n, p, k]", ATTENTION, HEADS.format(column="2*g + e"), "size g = 2, e = 2"
    ),
    "glu": LayerText(
        "x[n, k]",
        "a[k, i], p[i], b[k, i], q[i]",
        "y[n, i] = (sum(x[n, k]*a[k, i], k) + p[i])*sigmoid(sum(x[n, k]*b[k, i], k) + q[i])\n",
    ),
    "swiglu": LayerText(
        "x[n, k]",
        "w1[k, j], w2[j, k], w3[k, j]",
        """\
z[n, j] = silu(sum(x[n, k]*w1[k, j], k))*sum(x[n, k]*w3[k, j], k)
y[n, k] = sum(z[n, j]*w2[j, k], j)
""",
    ),
    "bilinear": LayerText(
        "x[n, i], z[n, j]", "a[o, i, j], b[o]", "y[n, o] = sum(x[n, i]*a[o, i, j]*z[n, j], i, j) + b[o]\n"
    ),
    "quadratic_form": LayerText("x[n, i]", "a[i, j]", "y[n] = sum(x[n, i]*a[i, j]*x[n, j], i, j)\n"),
    "weight_tying": LayerText(
        "x[n, j]",
        "w[j, i], b[i], c[j]",
        """\
h[n, i] = sigmoid(sum(x[n, j]*w[j, i], j) + b[i])
y[n, j] = sum(h[n, i]*w[j, i], i) + c[j]
""",
    ),
    "rbf": LayerText(
        "x[n, k]",
        "c[k, i], beta[i]",
        "r[n, i] = sum((x[n, k] - c[k, i])**2, k)\ny[n, i] = exp(-beta[i]*r[n, i])\n",
    ),
    "softmax": LayerText("x[n, i]", "", "y[n, i] = softmax(x[n, i], i)\n"),
    "log_softmax": LayerText("x[n, i]", "", "y[n, i] = log_softmax(x[n, i], i)\n"),
}


def components(text: str) -> dict[str, list[str]]:
    """Return the names and the letters of a list such as "x[n, k], b[i]"."""
    return {name: re.findall(r"\w+", letters) for name, letters in re.findall(r"(\w+)\[([^\]]*)\]", text)}


def text_of(layer: LayerText, free: bool) -> str:
    """Return the text of a layer with the loss Σ C·y.

    ``free``: all that is real is a parameter, so that each of its derivatives is derived, and nothing runs
    over samples; else the layer is as one writes it, and the loss is the mean over the samples.
    """
    integer = "integer " if layer.given.startswith("token") else ""
    letters = [i for i in components(layer.cotangent)["C"] if i != "n" and (i != "z" or not layer.weighed)]
    inner = f"sum({layer.loss}, {', '.join(letters)})" if letters else layer.loss
    given, learned = layer.given, layer.learned
    if free:
        learned = ", ".join(part for part in (learned, "" if integer else given) if part)
        declared = ["input unit[o1]", f"input {layer.cotangent}", f"integer input {given}" if integer else ""]
        loss = f"E = mean(unit[o1], o1)*sum({layer.loss}, n{''.join(', ' + i for i in letters)})"
    else:
        declared = [f"{integer}input {given}", f"input {layer.cotangent}"]
        loss = f"E = mean({inner}, n)"
    declared += [f"parameter {learned}", layer.extra]
    output = layer.output.partition("[")[0]
    return "\n".join(
        [*(line for line in declared if line), "", layer.equations + loss, f"output {output}", ""]
    )
