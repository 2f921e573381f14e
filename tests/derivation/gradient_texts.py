"""Networks whose equations hold derivatives, or values that are held, by name."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "attention": """
input x[n, p, d]
parameter wq[d, a], wk[d, a], wv[d]
size p = 3, d = 2, a = 2
q[n, p, a] = sum(x[n, p, d]*wq[d, a], d)
k[n, p, a] = sum(x[n, p, d]*wk[d, a], d)
v[n, p] = sum(x[n, p, d]*wv[d], d)
s[n, p, r] = where(r <= p, sum(q[n, p, a]*k[n, r, a], a), -1e9)
g[n, p, r] = softmax(s[n, p, r], r)
o[n, p] = sum(g[n, p, r]*v[n, r], r)
c[n, p, d] = gradient(o[n, p], x[n, p, d])
e[n] = gradient(o[n, 2], x[n, 0, 1])
E = mean(sum(c[n, p, d]**2, p, d) + e[n]**2, n)
output o
""",
    "batchnorm": """
input x[n, k]
parameter w1[k, j], g[j], w2[j]
size k = 3, j = 2
s[n, j] = sum(x[n, k]*w1[k, j], k)
m[j] = mean(s[n, j], n)
v[j] = mean((s[n, j] - m[j])**2, n)
z[n, j] = (s[n, j] - m[j])/sqrt(v[j] + 0.1)*g[j]
u[n] = sum(tanh(z[n, j])*w2[j], j)
d[n, k] = gradient(u[n], x[n, k])
c[k] = gradient(mean(u[n], n), x[0, k])
E = mean(sum(d[n, k]**2, k), n) + sum(c[k]**2, k)
output u
""",
    "blocks": """
from library import dense, layer_norm
input x[n, k]
size k = 3
block residual(h[n, a]) -> y[n, a]
    parameter up[a, b], down[b, a]
    size b = 4
    u = layer_norm(h, epsilon=0.1)
    q[n, b] = sum(u[n, a]*up[a, b], a)
    y[n, a] = h[n, a] + sum(tanh(q[n, b])*down[b, a], b)
h0[n, a] = dense(x, j=3)
h2 = repeat(residual, 2, h0)
u[n] = sum(h2[n, a]**2, a)
g[n, k] = gradient(u[n], x[n, k])
E = mean(sum(g[n, k]**2, k), n)
output u
""",
    "conv": """
input x[n, p]
parameter w[u, f], v[f]
size p = 6, u = 3, f = 2
s[n, f, p] = sum(where(0 <= p + u - 1 < size(p), x[n, p + u - 1], 0)*w[u, f], u)
h[n, f, p] = tanh(s[n, f, p])
y[n, p] = sum(h[n, f, p]*v[f], f)
e[n] = sum(y[n, p]**2, p)
d[n, p] = gradient(e[n], x[n, p])
c[n, p] = gradient(y[n, p], x[n, p])
E = mean(sum(d[n, p]**2 + c[n, p]**3, p), n)
output y
""",
    "divergence": """
input x[n, k]
parameter w1[k, j], w2[j, k]
size k = 3, j = 4
h[n, j] = tanh(sum(x[n, k]*w1[k, j], k))
f[n, k] = sum(h[n, j]*w2[j, k], j)
E = mean(sum(gradient(f[n, k], x[n, k]), k)**2, n) + mean(sum(f[n, k]**2, k), n)
output f
""",
    "embedding": """
integer input word[n, p]
parameter table[v, d], w[d]
size v = 5, p = 3, d = 2
h[n, p, d] = table[word[n, p], d]
u[n] = tanh(sum(h[n, p, d]*w[d], p, d))
g[n, v, d] = gradient(u[n], table[v, d])
f[n, p, d] = gradient(u[n], h[n, p, d])
E = mean(sum(g[n, v, d]**2, v, d) + sum(f[n, p, d]**3, p, d), n)
output u
""",
    "forces": """
input place[n, a, d]
target force[n, a, d]
parameter w[i], c[i], v[i]
size a = 3, d = 2, i = 4
apart[n, a, b] = sum((place[n, a, d] - place[n, b, d])**2, d)
each[n, a, b] = sum(exp(-(w[i]**2)*(apart[n, a, b] - c[i])**2)*v[i], i)
energy[n] = sum(where(a < b, each[n, a, b], 0), a, b)
f[n, a, d] = -gradient(energy[n], place[n, a, d])
E = mean(sum((f[n, a, d] - force[n, a, d])**2, a, d), n) + mean(energy[n]**2, n)
output f
""",
    "heat": """
input x[n, k]
target g[n]
parameter w1[k, j], b1[j], w2[j, i], b2[i], w3[i], b3
size k = 2, j = 4, i = 3
constant alpha = 0.1

s1[n, j] = sum(x[n, k]*w1[k, j], k) + b1[j]
x1[n, j] = tanh(s1[n, j])
s2[n, i] = sum(x1[n, j]*w2[j, i], j) + b2[i]
x2[n, i] = tanh(s2[n, i])
u[n] = sum(x2[n, i]*w3[i], i) + b3
ux[n] = gradient(u[n], x[n, 0])
ut[n] = gradient(u[n], x[n, 1])
uxx[n] = gradient(ux[n], x[n, 0])
r[n] = ut[n] - alpha*uxx[n]
E = mean(r[n]**2 + (u[n] - g[n])**2, n)
output u
""",
    "held": """
input x[n, k]
target t[n]
parameter w[k], v[k], b
size k = 3
u[n] = tanh(sum(x[n, k]*w[k], k)) + b
c[n] = stop_gradient(u[n]**2)
g[n, k] = gradient(u[n]*c[n], x[n, k])
E = mean((u[n] - c[n]*t[n])**2 + exp(stop_gradient(sum(x[n, k]*v[k], k)))*u[n] + sum(g[n, k]**2, k), n)
output u
""",
    "held_copy": """
input x[n]
parameter w
s[n] = w*x[n]
c[n] = stop_gradient(tanh(s[n]))
y[n] = tanh(s[n])**2
g[n] = gradient(y[n], x[n])
E = mean(c[n] + g[n]**2, n)
output y
""",
    "held_mean": """
input x[n, k]
parameter w[k, j], v[j]
size k = 3, j = 2
s[n, j] = sum(x[n, k]*w[k, j], k)
m[j] = stop_gradient(mean(s[n, j], n))
y[n] = sum(tanh(s[n, j] - m[j])*v[j], j)
E = mean(y[n]**2, n)
output y
""",
    "held_rounding": """
input x[n, k]
target t[n]
parameter w[k], v
size k = 3
s[n] = sum(x[n, k]*w[k], k)
q[n] = s[n] + stop_gradient(round(s[n]) - s[n])
y[n] = q[n]*v
E = mean((y[n] - t[n])**2, n)
output y
""",
    "held_state": """
input x[n, t]
parameter w[i], u[j, i], v[i]
size t = 4, i = 2
before[n, t, i] = where(t > 0, 0.5*stop_gradient(h[n, t - 1, i]) + 0.5*h[n, t - 1, i], 0)
s[n, t, i] = x[n, t]*w[i] + sum(before[n, t, j]*u[j, i], j)
h[n, t, i] = tanh(s[n, t, i])
y[n] = sum(h[n, size(t) - 1, i]*v[i], i)
E = mean(y[n]**2, n)
output y
""",
    "inblock": """
input x[n, k]
size k = 3
parameter o[k]
block field(h[n, a]) -> y[n, a]
    parameter w[a, b], v[b]
    size b = 4
    s[n, b] = sum(h[n, a]*w[a, b], a)
    e[n] = sum(tanh(s[n, b])*v[b], b)
    y[n, a] = h[n, a] - gradient(e[n], h[n, a])
y = repeat(field, 5, x)
u[n] = sum(y[n, a]*o[a], a)
E = mean(u[n]**2, n)
output u
""",
    "jacobian": """
input x[n, k]
parameter w1[k, j], w2[j, i]
size k = 3, j = 4, i = 2
h[n, j] = tanh(sum(x[n, k]*w1[k, j], k))
f[n, i] = sum(h[n, j]*w2[j, i], j)**3
J[n, i, k] = gradient(f[n, i], x[n, k])
E = mean(sum(J[n, i, k]**2, i, k), n)
output f
""",
    "linear": """
input x[n, k]
target t[n, k]
parameter w[k]
size k = 2
u[n] = sum(x[n, k]*w[k], k)
g[n, k] = gradient(u[n], x[n, k])
E = mean(sum((g[n, k] - t[n, k])**2, k), n)
output g
""",
    "maml": """
input x[n, k]
target t[n]
parameter w[k], v[k]
size k = 3
h[n, k] = tanh(x[n, k]*v[k])
l = mean((sum(h[n, k]*w[k], k) - t[n])**2, n)
fast[k] = w[k] - 0.1*gradient(l, w[k])
y[n] = sum(h[n, k]*w[k], k)
E = mean((sum(h[n, k]*fast[k], k) - t[n])**2, n)
output y
""",
    "maxpool": """
input x[n, p]
parameter w[p, q]
size p = 4, q = 3
s[n, q] = sum(x[n, p]*w[p, q], p)
u[n] = max(s[n, q]**2, q)
d[n, p] = gradient(u[n], x[n, p])
E = mean(sum(d[n, p]**2, p), n)
output u
""",
    "nothing": """
input x[n, k], y[n]
parameter w[k]
size k = 2
u[n] = tanh(sum(x[n, k]*w[k], k))
z[n] = gradient(u[n], y[n])
E = mean((u[n] - y[n] - z[n])**2, n)
output u
""",
    "parameters": """
input x[n, k]
target t[n]
parameter w[k], v
size k = 3
u[n] = tanh(sum(x[n, k]*w[k], k))*v
l[n] = (u[n] - t[n])**2/2
g[n, k] = gradient(l[n], w[k])
E = mean(l[n], n) + 0.1*mean(sum(g[n, k]**2, k), n)
output u
""",
    "penalty": """
input real[n, k], made[n, k], between[n]
parameter w1[k, j], b1[j], w2[j, i], b2[i], w3[i]
size k = 4, j = 3, i = 2
constant strength = 10

block critic(x[n, k]) -> u[n]
    s1[n, j] = sum(x[n, k]*w1[k, j], k) + b1[j]
    h1[n, j] = relu(s1[n, j])
    s2[n, i] = sum(h1[n, j]*w2[j, i], j) + b2[i]
    h2[n, i] = relu(s2[n, i])
    u[n] = sum(h2[n, i]*w3[i], i)

mixed[n, k] = between[n]*real[n, k] + (1 - between[n])*made[n, k]
ur = critic(real)
um = critic(made)
u = critic(mixed)
length[n] = sqrt(sum(gradient(u[n], mixed[n, k])**2, k))
E = mean(um[n] - ur[n] + strength*(length[n] - 1)**2, n)
output ur
""",
    "rnn": """
input x[n, t]
parameter w[i], u[j, i], v[i]
size t = 4, i = 2
before[n, t, i] = where(t > 0, h[n, t - 1, i], 0)
s[n, t, i] = x[n, t]*w[i] + sum(before[n, t, j]*u[j, i], j)
h[n, t, i] = tanh(s[n, t, i])
y[n] = sum(h[n, size(t) - 1, i]*v[i], i)
d[n, t] = gradient(y[n], x[n, t])
E = mean(sum(d[n, t]**2, t) + y[n]**2, n)
output y
""",
    "rnn_rows": """
input x[n, t]
parameter w[i], u[j, i], v[i]
size t = 4, i = 2
before[n, t, i] = where(t > 0, h[n, t - 1, i], 0)
s[n, t, i] = x[n, t]*w[i] + sum(before[n, t, j]*u[j, i], j)
h[n, t, i] = tanh(s[n, t, i])
y[n, t] = sum(h[n, t, i]*v[i], i)
d[n, t, q] = gradient(y[n, t], x[n, q])
E = mean(sum(d[n, t, q]**2, t, q), n)
output y
""",
    "samples": """
input x[n, k], edge[n, m]
parameter w[k]
size k = 2
s[n] = tanh(sum(x[n, k]*w[k], k))
z[n] = s[n] + sum(edge[n, m]*s[m]**2, m)
g[n, m, k] = gradient(z[n], x[m, k])
E = mean(sum(g[n, m, k]**2, m, k), n)
output z
""",
    "score": """
input x[n, k]
parameter w1[k, j], b1[j], w2[j, k]
size k = 3, j = 4
s[n, j] = sum(x[n, k]*w1[k, j], k) + b1[j]
h[n, j] = softplus(s[n, j])
f[n, k] = sum(h[n, j]*w2[j, k], j)
E = mean(sum(f[n, k]**2/2 + gradient(f[n, k], x[n, k]), k), n)
output f
""",
    "shifted": """
input x[n, p]
parameter w[p]
size p = 5
y[n, p] = tanh(x[n, p]*w[p])*where(p > 0, x[n, p - 1], 1)
c[n, p] = where(p > 0, gradient(y[n, p], x[n, p - 1]), 0)
d[n, p] = gradient(y[n, p], x[n, p])
E = mean(sum(c[n, p]**2 + d[n, p]**2, p), n)
output y
""",
    "softmax": """
input x[n, k]
parameter w1[k, i]
size k = 3, i = 4
z[n, i] = sum(x[n, k]*w1[k, i], k)
p[n, i] = softmax(z[n, i], i)
d[n, i, k] = gradient(log(p[n, i]), x[n, k])
E = mean(sum(d[n, i, k]**2*p[n, i], i, k), n)
output p
""",
    "third": """
input x[n]
parameter a, b
u[n] = sin(a*x[n])*exp(b*x[n])
d3[n] = gradient(gradient(gradient(u[n], x[n]), x[n]), x[n])
E = mean(d3[n]**2, n)
output u
""",
}
