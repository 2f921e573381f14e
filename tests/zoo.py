"""Networks of many kinds, each written as indexed equations: what one generic derivation must master.

Every network defines its output last but one and its loss ``E`` last.  Names of quantities, sizes and
indices never coincide, and the sizes of the axes of one quantity differ, so that no two axes can be
taken for each other unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sympy import Expr, Indexed, Max, Piecewise, Symbol, exp, log, sqrt, tanh

from symbackprop.equations.system import (
    ONE,
    Equation,
    EquationSystem,
    Fact,
    Quantity,
    arg_max,
    index,
    indices_of,
    quantity,
    size,
    sum_over,
)
from symbackprop.network.notation.layers import with_roles

NetworkFactory = Callable[[], EquationSystem]

ZOO: dict[str, NetworkFactory] = {}
"""Readable name -> the function that writes that network down."""

B, n, m, o = size("B"), size("n"), size("m"), size("o")  # batch; inputs, hidden units, classes
F, G = size("F"), size("G")  # channels of an image and of its feature maps
P, Q, K, L = size("P"), size("Q"), size("K"), size("L")  # image height and width; kernel height and width
H = size("H")  # windows
T, D, V = size("T"), size("D"), size("V")  # positions of a sequence, features, words of a vocabulary

b, i, j, k = index("b"), index("i"), index("j"), index("k")
c, f, h, u, v, q = index("c"), index("f"), index("h"), index("u"), index("v"), index("q")
p, r, d = index("p"), index("r"), index("d")

PENALTY = Symbol("lambda", real=True)
EPSILON = Symbol("epsilon", positive=True)

SIZES: dict[Symbol, int] = {
    B: 3, n: 4, m: 2, o: 5,
    F: 2, G: 5,
    P: 6, Q: 5, K: 3, L: 4,
    H: 4,
    T: 3, D: 5, V: 2,
}  # fmt: skip
"""Small sizes for numerical tests: unequal within a network, and V < B so that a word comes twice."""

CONSTANTS: dict[Symbol, float] = {PENALTY: 0.3, EPSILON: 1e-2}

E = quantity("E")


def register(network: NetworkFactory) -> NetworkFactory:
    """Enter ``network`` into the zoo under the name of its function."""
    ZOO[network.__name__] = network
    return network


def sigmoid(s: Expr) -> Expr:
    return 1 / (1 + exp(-s))


def squared_error(output: Quantity, target: Quantity, *indices: Symbol) -> Equation:
    """Return the loss E = ½ Σ (output - target)²."""
    ranges = zip(indices, output.shape, strict=True)
    return Equation(E.symbol, sum_over((output[indices] - target[indices]) ** 2, *ranges) / 2)


def system(
    *equations: Equation,
    inputs: Sequence[Quantity],
    parameters: Sequence[Quantity],
    facts: tuple[Fact, ...] = (),
) -> EquationSystem:
    """Return the system of ``equations``; the quantities that they define have the shapes of their bases."""
    defined = [defined_quantity(equation) for equation in equations]
    return with_roles(
        EquationSystem(
            equations=equations,
            quantities={each.name: each for each in (*inputs, *parameters, *defined)},
            parameters=tuple(each.name for each in parameters),
            inputs=tuple(each.name for each in inputs),
            loss=E.name,
            facts=facts,
        )
    )


def defined_quantity(equation: Equation) -> Quantity:
    shape = equation.lhs.base.shape if isinstance(equation.lhs, Indexed) else ()
    label = equation.lhs.base.label if isinstance(equation.lhs, Indexed) else equation.lhs
    return Quantity(equation.name, tuple(shape), integer=bool(label.is_integer))


def output_of(system: EquationSystem) -> str:
    """Return the name of the network's output: what is defined last before the loss."""
    return [equation.name for equation in system.equations if equation.name != system.loss][-1]


def with_cotangent(system: EquationSystem, output_name: str) -> EquationSystem:
    """Return ``system`` with the loss E = Σ C·y, where y is the output and C a new, free input.

    A plain sum would not do: the sum of a softmax or of a normalised batch is constant, and a test
    would compare zero with zero.
    """
    output = system.quantities[output_name]
    cotangent = Quantity("C", output.shape)
    indices = indices_of(system.definitions[output_name].lhs)
    loss = cotangent.at(indices) * output.at(indices)
    if indices:
        loss = sum_over(loss, *zip(indices, output.shape, strict=True))
    forward = [equation for equation in system.equations if equation.name != system.loss]
    read = {name for equation in forward for name in names_read(system, equation.rhs)}
    kept = {
        name: each for name, each in system.quantities.items() if name in read or name in system.definitions
    }
    return EquationSystem(
        equations=(*forward, Equation(system.quantities[system.loss].symbol, loss)),
        quantities={**kept, cotangent.name: cotangent},
        parameters=tuple(name for name in system.parameters if name in read),
        inputs=(*(name for name in system.inputs if name in read), cotangent.name),
        loss=system.loss,
        facts=tuple(fact for fact in system.facts if str(fact.component.base.name) in read),
    )


def names_read(system: EquationSystem, expression: Expr) -> set[str]:
    """Return the names of the quantities that ``expression`` reads."""
    labels = {str(each.base.name) for each in expression.atoms(Indexed)}
    scalars = {each for each in expression.free_symbols if isinstance(each, Symbol) and system.is_read(each)}
    return labels | {each.name for each in scalars}


@register
def dense_bias_l2_batch() -> EquationSystem:
    # A dense layer with bias on a batch; mean squared error plus an L2 penalty on the weights.
    x, weight, bias = quantity("x", B, n), quantity("weight", n, m), quantity("bias", m)
    s, y, target = quantity("s", B, m), quantity("y", B, m), quantity("target", B, m)
    error = sum_over((y[b, i] - target[b, i]) ** 2, (b, B), (i, m)) / (2 * B)
    penalty = PENALTY / 2 * sum_over(weight[j, i] ** 2, (j, n), (i, m))
    return system(
        Equation(s[b, i], sum_over(x[b, j] * weight[j, i], (j, n)) + bias[i]),
        Equation(y[b, i], tanh(s[b, i])),
        Equation(E.symbol, error + penalty),
        inputs=(x, target),
        parameters=(weight, bias),
    )


@register
def residual() -> EquationSystem:
    # A skip connection: the output reads the input twice, directly and through a layer.
    x, weight, s = quantity("x", B, n), quantity("weight", n, n), quantity("s", B, n)
    y, target = quantity("y", B, n), quantity("target", B, n)
    return system(
        Equation(s[b, i], sum_over(x[b, j] * weight[j, i], (j, n))),
        Equation(y[b, i], x[b, i] + tanh(s[b, i])),
        squared_error(y, target, b, i),
        inputs=(x, target),
        parameters=(weight,),
    )


@register
def convolution_1d() -> EquationSystem:
    # A convolution along one axis, over channels, with bias.
    x, weight, bias = quantity("x", F, P), quantity("weight", G, F, K), quantity("bias", G)
    y, target = quantity("y", G, P - K + 1), quantity("target", G, P - K + 1)
    return system(
        Equation(y[f, h], sum_over(x[c, h + u] * weight[f, c, u], (c, F), (u, K)) + bias[f]),
        squared_error(y, target, f, h),
        inputs=(x, target),
        parameters=(weight, bias),
    )


@register
def convolution_2d_batch() -> EquationSystem:
    # A convolution along two axes, over channels, on a batch.
    x, weight = quantity("x", B, F, P, Q), quantity("weight", G, F, K, L)
    y = quantity("y", B, G, P - K + 1, Q - L + 1)
    target = quantity("target", B, G, P - K + 1, Q - L + 1)
    window = sum_over(x[b, c, h + u, v + q] * weight[f, c, u, q], (c, F), (u, K), (q, L))
    return system(
        Equation(y[b, f, h, v], window),
        squared_error(y, target, b, f, h, v),
        inputs=(x, target),
        parameters=(weight,),
    )


@register
def convolution_stride_2() -> EquationSystem:
    # A convolution that moves by two; the end of the input is never read.
    x, weight = quantity("x", 2 * H + K), quantity("weight", K)
    y, target = quantity("y", H), quantity("target", H)
    return system(
        Equation(y[h], sum_over(x[2 * h + u] * weight[u], (u, K))),
        squared_error(y, target, h),
        inputs=(x, target),
        parameters=(weight,),
    )


@register
def convolution_same_padding() -> EquationSystem:
    # A kernel of three with zeros beyond both ends: the output is as long as the input.
    x, weight = quantity("x", P), quantity("weight", 3)
    y, target = quantity("y", P), quantity("target", P)
    padded = Piecewise((x[h + u - 1], (h + u - 1 >= 0) & (h + u - 1 <= P - 1)), (0, True))
    return system(
        Equation(y[h], sum_over(padded * weight[u], (u, 3))),
        squared_error(y, target, h),
        inputs=(x, target),
        parameters=(weight,),
    )


@register
def average_pooling() -> EquationSystem:
    # The mean of each pair of neighbours.
    x, y, target = quantity("x", 2 * H), quantity("y", H), quantity("target", H)
    return system(
        Equation(y[h], sum_over(x[2 * h + u], (u, 2)) / 2),
        squared_error(y, target, h),
        inputs=(x, target),
        parameters=(),
    )


@register
def max_pooling() -> EquationSystem:
    # The larger of each pair of neighbours.
    x, y, target = quantity("x", 2 * H), quantity("y", H), quantity("target", H)
    return system(
        Equation(y[h], Max(x[2 * h], x[2 * h + 1])),
        squared_error(y, target, h),
        inputs=(x, target),
        parameters=(),
    )


@register
def max_over_an_index() -> EquationSystem:
    # The largest of each window of three, which overlap; a place may be chosen twice.
    x, y, target = quantity("x", 2 * H + 1), quantity("y", H), quantity("target", H)
    place = quantity("where_to", H, integer=True)
    return system(
        Equation(place[h], arg_max(x[2 * h + u], (u, 3))),
        Equation(y[h], x[2 * h + place[h]]),
        squared_error(y, target, h),
        inputs=(x, target),
        parameters=(),
    )


@register
def embedding() -> EquationSystem:
    # One row of a table per word: an index that is itself data, so the derivative is a scatter.
    token, weight = quantity("token", B, integer=True), quantity("weight", V, D)
    y, target = quantity("y", B, D), quantity("target", B, D)
    return system(
        Equation(y[b, d], weight[token[b], d]),
        squared_error(y, target, b, d),
        inputs=(token, target),
        parameters=(weight,),
    )


def normalisation(across: Symbol, kept: Symbol) -> EquationSystem:
    """Return the normalisation of x[b, i] across one of its axes, with a scale and a shift per feature."""
    extents = {b: B, i: n}
    x, target = quantity("x", B, n), quantity("target", B, n)
    mean, variance = quantity("mean", extents[kept]), quantity("variance", extents[kept])
    normalised, y = quantity("normalised", B, n), quantity("y", B, n)
    scale, shift = quantity("scale", n), quantity("shift", n)
    axis = (across, extents[across])
    return system(
        Equation(mean[kept], sum_over(x[b, i], axis) / extents[across]),
        Equation(variance[kept], sum_over((x[b, i] - mean[kept]) ** 2, axis) / extents[across]),
        Equation(normalised[b, i], (x[b, i] - mean[kept]) / sqrt(variance[kept] + EPSILON)),
        Equation(y[b, i], scale[i] * normalised[b, i] + shift[i]),
        squared_error(y, target, b, i),
        inputs=(x, target),
        parameters=(scale, shift),
    )


@register
def layer_norm() -> EquationSystem:
    # Each sample is normalised across its features.
    return normalisation(across=i, kept=b)


@register
def batch_norm() -> EquationSystem:
    # Each feature is normalised across the batch.
    return normalisation(across=b, kept=i)


@register
def recurrent() -> EquationSystem:
    # Three time steps that share their weights; the last state is the output.
    recurrent_weight, input_weight = quantity("recurrent_weight", m, m), quantity("input_weight", n, m)
    target = quantity("target", B, m)
    states = [quantity(name, B, m) for name in ("state0", "state1", "state2", "y")]
    inputs = [quantity(f"x{step}", B, n) for step in (1, 2, 3)]
    equations = []
    for step, x in enumerate(inputs, start=1):
        s, before, after = quantity(f"s{step}", B, m), states[step - 1], states[step]
        memory = sum_over(before[b, j] * recurrent_weight[j, i], (j, m))
        equations.append(Equation(s[b, i], memory + sum_over(x[b, k] * input_weight[k, i], (k, n))))
        equations.append(Equation(after[b, i], tanh(s[b, i])))
    return system(
        *equations,
        squared_error(states[-1], target, b, i),
        inputs=(states[0], *inputs, target),
        parameters=(recurrent_weight, input_weight),
    )


@register
def attention() -> EquationSystem:
    # One head of self-attention: x is read through three weights that meet again.
    x, target = quantity("x", T, n), quantity("target", T, D)
    names = ("query", "key", "value")
    query, key, value = (quantity(name, T, D) for name in names)
    weights = [quantity(f"{name}_weight", n, D) for name in names]
    score, share, y = quantity("score", T, T), quantity("share", T, T), quantity("y", T, D)
    projections = [
        Equation(projected[p, d], sum_over(x[p, i] * weight[i, d], (i, n)))
        for projected, weight in zip((query, key, value), weights, strict=True)
    ]
    return system(
        *projections,
        Equation(score[p, r], sum_over(query[p, d] * key[r, d], (d, D)) / sqrt(D)),
        Equation(share[p, r], exp(score[p, r]) / sum_over(exp(score[p, u]), (u, T))),
        Equation(y[p, d], sum_over(share[p, r] * value[r, d], (r, T))),
        squared_error(y, target, p, d),
        inputs=(x, target),
        parameters=weights,
    )


@register
def softmax_cross_entropy() -> EquationSystem:
    # A classifier; the targets of each sample sum to 1, and the derivative may use that.
    x, weight, s = quantity("x", B, n), quantity("weight", n, o), quantity("s", B, o)
    y, target = quantity("y", B, o), quantity("target", B, o)
    return system(
        Equation(s[b, i], sum_over(x[b, j] * weight[j, i], (j, n))),
        Equation(y[b, i], exp(s[b, i]) / sum_over(exp(s[b, k]), (k, o))),
        Equation(E.symbol, -sum_over(target[b, i] * log(y[b, i]), (b, B), (i, o)) / B),
        inputs=(x, target),
        parameters=(weight,),
        facts=(Fact(target[b, i], i, ONE),),
    )


@register
def gated() -> EquationSystem:
    # A gated linear unit: one branch opens and closes the other.
    x, target = quantity("x", B, n), quantity("target", B, m)
    gate_weight, value_weight = quantity("gate_weight", n, m), quantity("value_weight", n, m)
    s, gate = quantity("s", B, m), quantity("gate", B, m)
    value, y = quantity("value", B, m), quantity("y", B, m)
    return system(
        Equation(s[b, i], sum_over(x[b, j] * gate_weight[j, i], (j, n))),
        Equation(value[b, i], sum_over(x[b, j] * value_weight[j, i], (j, n))),
        Equation(gate[b, i], sigmoid(s[b, i])),
        Equation(y[b, i], gate[b, i] * value[b, i]),
        squared_error(y, target, b, i),
        inputs=(x, target),
        parameters=(gate_weight, value_weight),
    )


@register
def bilinear() -> EquationSystem:
    # A quadratic form: the same quantity stands twice in one product.
    x, weight = quantity("x", B, n), quantity("weight", n, n)
    y, target = quantity("y", B), quantity("target", B)
    return system(
        Equation(y[b], sum_over(x[b, i] * weight[i, j] * x[b, j], (i, n), (j, n))),
        squared_error(y, target, b),
        inputs=(x, target),
        parameters=(weight,),
    )


@register
def tied_weights() -> EquationSystem:
    # An autoencoder that decodes with its encoder's weights; the input is the target, too.
    x, weight = quantity("x", B, n), quantity("weight", n, m)
    s, hidden, y = quantity("s", B, m), quantity("hidden", B, m), quantity("y", B, n)
    return system(
        Equation(s[b, i], sum_over(x[b, j] * weight[j, i], (j, n))),
        Equation(hidden[b, i], sigmoid(s[b, i])),
        Equation(y[b, j], sum_over(hidden[b, i] * weight[j, i], (i, m))),
        squared_error(y, x, b, j),
        inputs=(x,),
        parameters=(weight,),
    )
