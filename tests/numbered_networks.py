"""Networks in index notation for the tests of traces and claims."""

RADIAL = """# A radial basis function layer.
input     x[n, k]
target    t[n, i]
parameter c[k, i], beta[i]

r[n, i] = sum((x[n, k] - c[k, i])**2, k)
y[n, i] = exp(-beta[i]*r[n, i])
E       = mean(sum((y[n, i] - t[n, i])**2, i)/2, n)
output    y
"""

BATCH_NORM = """# Each feature is normalised across the batch.
input     x[b, i]
target    t[b, i]
parameter scale[i] = 1, shift[i] = 0
constant  epsilon = 0.01

centre[i]   = mean(x[b, i], b)
variance[i] = mean((x[b, i] - centre[i])**2, b)
u[b, i]     = (x[b, i] - centre[i])/sqrt(variance[i] + epsilon)
y[b, i]     = scale[i]*u[b, i] + shift[i]
E           = mean(sum((y[b, i] - t[b, i])**2, i)/2, b)
output      y
"""

ATTENTION = """# Self-attention over short sequences.
input     x[n, p, d]
target    t[n, p, e]
parameter wq[d, h], wk[d, h], wv[d, e]

q[n, p, h] = sum(x[n, p, d]*wq[d, h], d)
k[n, p, h] = sum(x[n, p, d]*wk[d, h], d)
v[n, p, e] = sum(x[n, p, d]*wv[d, e], d)
a[n, p, r] = sum(q[n, p, h]*k[n, r, h], h)
s[n, p, r] = softmax(a[n, p, r], r)
y[n, p, e] = sum(s[n, p, r]*v[n, r, e], r)
E          = mean(sum((y[n, p, e] - t[n, p, e])**2, p, e)/2, n)
output     y
"""

GUARDED = """# A convolution that reads zeros beyond the ends.
input     x[n, p]
target    t[n, h]
parameter w[u] = normal
size      p = 5, h = 5, u = 3

y[n, h] = sum(where(0 <= h + u - 1 < size(p), x[n, h + u - 1], 0)*w[u], u)
E       = mean(sum((y[n, h] - t[n, h])**2, h)/2, n)
output    y
"""

NETWORKS = {"radial": RADIAL, "batch norm": BATCH_NORM, "attention": ATTENTION, "guarded": GUARDED}
