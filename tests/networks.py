"""Networks that the tests of pictures, pages and documents share."""

from __future__ import annotations

from symbackprop import Network

EQUATIONS = {
    "radial basis": """
        input     x[n, k]
        target    t[n, i]
        parameter c[k, i], beta[i]
        r[n, i] = sum((x[n, k] - c[k, i])**2, k)
        y[n, i] = exp(-beta[i]*r[n, i])
        E       = mean(sum((y[n, i] - t[n, i])**2, i)/2, n)
        output    y
    """,
    "attention": """
        input     x[n, p, d]
        target    y[n, p, d]
        parameter wq[d, a], wk[d, a], wv[d, v], wo[v, d]
        q[n, p, a] = sum(x[n, p, d]*wq[d, a], d)
        k[n, r, a] = sum(x[n, r, d]*wk[d, a], d)
        val[n, r, v] = sum(x[n, r, d]*wv[d, v], d)
        score[n, p, r] = sum(q[n, p, a]*k[n, r, a], a)/sqrt(size(a))
        att[n, p, r] = softmax(score[n, p, r], r)
        h[n, p, v] = sum(att[n, p, r]*val[n, r, v], r)
        o[n, p, d] = sum(h[n, p, v]*wo[v, d], v) + x[n, p, d]
        E = mean(sum((o[n, p, d] - y[n, p, d])**2, p, d)/2, n)
        output o
        size d = 4
        size a = 3
        size v = 5
        size p = 6
    """,
    "layer norm": """
        input     x[n, k]
        target    t[n, i]
        parameter w[k, i], gain[i], shift[i]
        constant  eps = 1e-5
        s[n, i] = sum(x[n, k]*w[k, i], k)
        m[n] = mean(s[n, i], i)
        var[n] = mean((s[n, i] - m[n])**2, i)
        y[n, i] = gain[i]*(s[n, i] - m[n])/sqrt(var[n] + eps) + shift[i]
        E = mean(sum((y[n, i] - t[n, i])**2, i)/2, n)
        output y
    """,
    "convolution": """
        input     x[n, c, p]
        target    t[n, f, p]
        parameter w[f, c, u], bias[f]
        s[n, f, p] = sum(where(0 <= p + u - 1 < size(p), x[n, c, p + u - 1]*w[f, c, u], 0), c, u) + bias[f]
        y[n, f, p] = where(s[n, f, p] > 0, s[n, f, p], 0)
        E = mean(sum((y[n, f, p] - t[n, f, p])**2, f, p)/2, n)
        output y
        size u = 3
    """,
}
"""Name -> a network in index notation."""


def equations(name: str) -> Network:
    """Return one of the networks in index notation."""
    lines = EQUATIONS[name].strip().splitlines()
    return Network.from_equations("\n".join(line.strip() for line in lines) + "\n")
