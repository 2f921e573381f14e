"""Makes blocks.json and blocks.npz: each block of the library in PyTorch, on small random inputs.

    python blocks.py

What PyTorch has as a layer or a function is computed by that; the rest is written out in its tensors.
The gradients are those of Σ C·output for a random cotangent C, by autograd, in float64.  The tests do not
run this.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

Values = dict[str, Tensor]
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One use of a block: its arguments and parameters by shape, and the output that PyTorch gives.

    An argument of whole numbers has a number behind its shape, see `WHOLE`.  ``states`` and ``noise`` are
    there by shape, ``in_use`` gives the output in use and ``left`` what a step leaves in the states.
    """

    block: str
    arguments: dict[str, tuple]
    parameters: dict[str, tuple]
    output: Callable[[Values], Tensor]
    options: str = ""
    key: str = ""
    states: dict[str, tuple] = field(default_factory=dict)
    noise: dict[str, Callable[[], Tensor]] = field(default_factory=dict)
    in_use: Callable[[Values], Tensor] | None = None
    left: Callable[[Values], Values] = lambda v: {}


CASES: list[Case] = []


def case(block: str, output, arguments: dict, parameters: dict, options="", key="", **training) -> None:
    CASES.append(Case(block, arguments, parameters, output, options, key or block, **training))


# ------------------------------------------------------------------------------------- recurrent layers


def gates(v: Values, names: str, tail: str = "") -> tuple[Tensor, ...]:
    """Return weights as PyTorch has them: those of all gates below one another; of biases the second is 0."""
    w, u = (torch.cat([v[f"{kind}{g}{tail}"].T for g in names]) for kind in "wu")
    b = torch.cat([v[f"b{g}{tail}"] for g in names])
    return w, u, b, torch.zeros_like(b)


def first(v: Values, *names: str, units: int) -> Tensor:
    """Return first states below one another, 0 where none is given."""
    zero = torch.zeros(v["x"].shape[0], units, dtype=torch.float64)
    return torch.stack([v.get(name, zero) for name in names])


def run(v: Values, layer, states, weights: tuple[Tensor, ...], both: bool = False) -> Tensor:
    """Run one of PyTorch's recurrent functions; with lengths on packed sequences, padded with 0 again."""
    if "length" not in v:
        return layer(v["x"], states, weights, True, 1, 0.0, False, both, True)[0]
    packed = nn.utils.rnn.pack_padded_sequence(v["x"], v["length"], batch_first=True, enforce_sorted=False)
    order = packed.sorted_indices
    states = states[:, order] if isinstance(states, Tensor) else [state[:, order] for state in states]
    data = layer(packed.data, packed.batch_sizes, states, weights, True, 1, 0.0, False, both)[0]
    again = nn.utils.rnn.PackedSequence(data, packed.batch_sizes, order, packed.unsorted_indices)
    return nn.utils.rnn.pad_packed_sequence(again, batch_first=True, total_length=v["x"].shape[1])[0]


def lstm(v: Values) -> Tensor:
    states = [first(v, name, units=len(v["ba"])) for name in ("h0", "c0")]
    return run(v, torch.lstm, states, gates(v, "afgo"))


def backward(forward: Callable[[Values], Tensor]) -> Callable[[Values], Tensor]:
    """Return what runs a layer over each sequence turned round, and turns what comes out."""

    def output(v: Values) -> Tensor:
        samples, steps = v["x"].shape[:2]
        length = v.get("length", torch.full((samples,), steps))
        place = torch.arange(steps)
        turned = torch.where(place < length[:, None], length[:, None] - 1 - place, place)
        rows = torch.arange(samples)[:, None]
        return forward({**v, "x": v["x"][rows, turned]})[rows, turned]

    return output


def bidirectional_lstm(v: Values) -> Tensor:
    states = [first(v, *names, units=len(v["ba"])) for names in (("h0", "back_h0"), ("c0", "back_c0"))]
    flat = (*gates(v, "afgo"), *gates(v, "afgo", tail="_"))
    return run(v, torch.lstm, states, flat, both=True)


def gru_weights(v: Values, tail: str = "") -> tuple[Tensor, ...]:
    w, u, b, none = gates(v, "rzq", tail)
    d = v[f"d{tail}"]
    return w, u, b, torch.cat([none[: 2 * len(d)], d])


def gru(v: Values) -> Tensor:
    return run(v, torch.gru, first(v, "h0", units=len(v["d"])), gru_weights(v))


def bidirectional_gru(v: Values) -> Tensor:
    flat = (*gru_weights(v), *gru_weights(v, "_"))
    return run(v, torch.gru, first(v, "h0", "back_h0", units=len(v["d"])), flat, both=True)


def rnn_weights(v: Values, tail: str = "") -> tuple[Tensor, ...]:
    b = v[f"b{tail}"]
    return v[f"w{tail}"].T, v[f"u{tail}"].T, b, torch.zeros_like(b)


def rnn(v: Values) -> Tensor:
    return run(v, torch.rnn_tanh, first(v, "h0", units=len(v["b"])), rnn_weights(v))


def bidirectional_rnn(v: Values) -> Tensor:
    flat = (*rnn_weights(v), *rnn_weights(v, "_"))
    return run(v, torch.rnn_tanh, first(v, "h0", "back_h0", units=len(v["b"])), flat, both=True)


def peephole_lstm(v: Values) -> Tensor:
    h, c = (first(v, name, units=len(v["ba"]))[0] for name in ("h0", "c0"))
    states = []
    for x in v["x"].unbind(1):
        drive = {g: x @ v[f"w{g}"] + h @ v[f"u{g}"] + v[f"b{g}"] for g in "afgo"}
        a, f = (torch.sigmoid(drive[g] + v[f"p{g}"] * c) for g in "af")
        c = f * c + a * torch.tanh(drive["g"])
        h = torch.sigmoid(drive["o"] + v["po"] * c) * torch.tanh(c)
        states.append(h)
    found = torch.stack(states, 1)
    inside = (
        torch.arange(found.shape[1]) < v.get("length", torch.full((len(found),), found.shape[1]))[:, None]
    )
    return torch.where(inside[:, :, None], found, 0)


def four(kind: str, *shape: int, of: str = "afgo", tail: str = "") -> dict[str, tuple]:
    return {f"{kind}{g}{tail}": shape for g in of}


def recurrent(inputs: int, units: int, of: str = "afgo", tail: str = "") -> dict[str, tuple]:
    sizes = (("w", (inputs, units)), ("u", (units, units)), ("b", (units,)))
    return {name: shape for kind, s in sizes for name, shape in four(kind, *s, of=of, tail=tail).items()}


SEQUENCE = {"x": (3, 5, 2)}
case("rnn", rnn, SEQUENCE, {"w": (2, 4), "u": (4, 4), "b": (4,)})
case("gru", gru, SEQUENCE, {**recurrent(2, 4, "rzq"), "d": (4,)})
case("lstm", lstm, SEQUENCE, recurrent(2, 4))
case("peephole_lstm", peephole_lstm, SEQUENCE, {**recurrent(2, 4), **four("p", 4, of="afo")})
case("backward_lstm", backward(lstm), SEQUENCE, recurrent(2, 3))
both = {**recurrent(2, 3), **recurrent(2, 3, tail="_")}
case("bidirectional_lstm", bidirectional_lstm, SEQUENCE, both, "i=3")
HIDDEN, CELL, LENGTH = {"h0": (3, 4)}, {"c0": (3, 4)}, {"length": (3, -6)}
case("rnn", rnn, {**SEQUENCE, **HIDDEN, **LENGTH}, {"w": (2, 4), "u": (4, 4), "b": (4,)}, "", "rnn_given")
case("gru", gru, {**SEQUENCE, **HIDDEN, **LENGTH}, {**recurrent(2, 4, "rzq"), "d": (4,)}, "", "gru_given")
case("lstm", lstm, {**SEQUENCE, **HIDDEN, **CELL, **LENGTH}, recurrent(2, 4), "", "lstm_given")
case("lstm", lstm, {**SEQUENCE, **LENGTH}, recurrent(2, 4), "", "lstm_lengths")
case("backward_lstm", backward(lstm), {**SEQUENCE, **LENGTH}, recurrent(2, 4), "", "backward_lstm_lengths")
given = {**SEQUENCE, **HIDDEN, **CELL}
case("backward_lstm", backward(lstm), {**given, **LENGTH}, recurrent(2, 4), "", "backward_lstm_given")
peepholes = {**recurrent(2, 4), **four("p", 4, of="afo")}
case("peephole_lstm", peephole_lstm, {**given, **LENGTH}, peepholes, "", "peephole_lstm_given")
starts = dict.fromkeys(("h0", "c0", "back_h0", "back_c0"), (3, 3))
given = {**SEQUENCE, **starts, **LENGTH}
case("bidirectional_lstm", bidirectional_lstm, given, both, "i=3", "bidirectional_lstm_given")
case(
    "bidirectional_lstm",
    bidirectional_lstm,
    {**SEQUENCE, **LENGTH},
    both,
    "i=3",
    "bidirectional_lstm_lengths",
)
given = {**SEQUENCE, **HIDDEN, **LENGTH}
simple, gated = {"w": (2, 4), "u": (4, 4), "b": (4,)}, {**recurrent(2, 4, "rzq"), "d": (4,)}
for name, layer, own in (("rnn", rnn, simple), ("gru", gru, gated)):
    case(f"backward_{name}", backward(layer), SEQUENCE, own)
    case(f"backward_{name}", backward(layer), given, own, "", f"backward_{name}_given")
given = {**SEQUENCE, **dict.fromkeys(("h0", "back_h0"), (3, 4)), **LENGTH}
for name, layer, own in (("rnn", bidirectional_rnn, simple), ("gru", bidirectional_gru, gated)):
    both = {**own, **{f"{key}_": shape for key, shape in own.items()}}
    case(f"bidirectional_{name}", layer, SEQUENCE, both, "i=4")
    case(f"bidirectional_{name}", layer, given, both, "i=4", f"bidirectional_{name}_given")


# -------------------------------------------------------------------------------------------- attention


def projected(x: Tensor, w: Tensor) -> Tensor:
    return torch.einsum("npd,dha->nhpa", x, w)


def by_heads(v: Values, x: Tensor, m: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    q, k, u = projected(x, v["wq"]), projected(m, v["wk"]), projected(m, v["wv"])
    mixed = F.scaled_dot_product_attention(q, k, u, attn_mask=mask, is_causal=causal)
    return torch.einsum("nhpa,had->npd", mixed, v["wo"])


def inside(v: Values, places: int) -> Tensor:
    """Return the mask of the places that are looked at, of shape (samples, 1, 1, places)."""
    return (torch.arange(places) < v["length"][:, None])[:, None, None, :]


def padded_attention(v: Values) -> Tensor:
    return by_heads(v, v["x"], v["x"], inside(v, v["x"].shape[1]))


def multi_head_attention(v: Values) -> Tensor:
    """Self-attention by torch.nn.MultiheadAttention, whose heads share the width among them."""
    width, heads = v["wq"].shape[:2]
    layer = nn.MultiheadAttention(width, heads, bias=False, batch_first=True, dtype=torch.float64)
    rows = torch.cat([v[name].reshape(width, -1).T for name in ("wq", "wk", "wv")])
    values = {"in_proj_weight": rows, "out_proj.weight": v["wo"].reshape(-1, width).T}
    return torch.func.functional_call(layer, values, (v["x"], v["x"], v["x"]))[0]


def grouped_query_attention(v: Values) -> Tensor:
    q = torch.einsum("npd,dgha->nghpa", v["x"], v["wq"]).flatten(1, 2)
    k, u = projected(v["x"], v["wk"]), projected(v["x"], v["wv"])
    mixed = F.scaled_dot_product_attention(q, k, u, is_causal=True, enable_gqa=True)
    return torch.einsum("nkpa,kad->npd", mixed, v["wo"].flatten(0, 1))


def rotary(v: Values) -> Tensor:
    """Turns pairs as complex numbers."""
    x = v["x"]
    places, size = torch.arange(x.shape[2], dtype=torch.float64), x.shape[3]
    speeds = 10000 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    turn = torch.polar(torch.ones(x.shape[2], size // 2, dtype=torch.float64), torch.outer(places, speeds))
    pairs = torch.view_as_complex(x.reshape(*x.shape[:3], size // 2, 2))
    return torch.view_as_real(pairs * turn).flatten(3)


def transformer(causal: bool) -> Callable[[Values], Tensor]:
    def output(v: Values) -> Tensor:
        width = v["gain1"].shape
        first = F.layer_norm(v["x"], width, v["gain1"], v["shift1"])
        mask = inside(v, first.shape[1]) if "length" in v else None
        middle = v["x"] + by_heads(v, first, first, mask, causal)
        second = F.layer_norm(middle, width, v["gain2"], v["shift2"])
        return middle + F.gelu(second @ v["w1"] + v["b1"]) @ v["w2"] + v["b2"]

    return output


def heads(d: int, h: int, a: int, e: int = 0) -> dict[str, tuple]:
    return {"wq": (d, h, a), "wk": (e or d, h, a), "wv": (e or d, h, a), "wo": (h, a, d)}


WORDS = {"x": (3, 5, 4)}
case("attention", lambda v: by_heads(v, v["x"], v["x"]), WORDS, heads(4, 2, 3), "h=2, a=3")
case("attention", multi_head_attention, WORDS, heads(4, 2, 2), "h=2, a=2", "multi_head_attention")
case(
    "causal_attention",
    lambda v: by_heads(v, v["x"], v["x"], causal=True),
    WORDS,
    heads(4, 2, 3),
    "h=2, a=3",
)
case("padded_attention", padded_attention, {**WORDS, "length": (3, -6)}, heads(4, 2, 3), "h=2, a=3")
case(
    "cross_attention",
    lambda v: by_heads(v, v["x"], v["m"]),
    {"x": (3, 4, 4), "m": (3, 5, 3)},
    heads(4, 2, 2, 3),
    "h=2, a=2",
)
case(
    "cross_attention",
    lambda v: by_heads(v, v["x"], v["m"], inside(v, v["m"].shape[1])),
    {"x": (3, 4, 4), "m": (3, 5, 3), "length": (3, -6)},
    heads(4, 2, 2, 3),
    "h=2, a=2",
    "cross_attention_lengths",
)
case(
    "attention",
    padded_attention,
    {**WORDS, "length": (3, -6)},
    heads(4, 2, 3),
    "h=2, a=3",
    "attention_lengths",
)
GIVEN = {"q": (3, 2, 4, 3), "k": (3, 2, 5, 3), "v": (3, 2, 5, 2)}
case("dot_product_attention", lambda v: F.scaled_dot_product_attention(v["q"], v["k"], v["v"]), GIVEN, {})
case(
    "causal_dot_product_attention",
    lambda v: F.scaled_dot_product_attention(v["q"], v["k"], v["v"], is_causal=True),
    {"q": (3, 2, 5, 3), "k": (3, 2, 5, 3), "v": (3, 2, 5, 2)},
    {},
)
grouped = {"wq": (4, 2, 3, 2), "wk": (4, 2, 2), "wv": (4, 2, 2), "wo": (2, 3, 2, 4)}
case("grouped_query_attention", grouped_query_attention, WORDS, grouped, "g=2, h=3, a=2")
case("rotary", rotary, {"x": (3, 2, 5, 6)}, {})
layers = {"gain1": (4,), "shift1": (4,), "gain2": (4,), "shift2": (4,)}
layers |= {**heads(4, 2, 2), "w1": (4, 6), "b1": (6,), "w2": (6, 4), "b2": (4,)}
case("transformer_block", transformer(causal=True), WORDS, layers, "h=2, a=2, f=6")
case("encoder_block", transformer(causal=False), WORDS, layers, "h=2, a=2, f=6")
lengths = {**WORDS, "length": (3, -6)}
case("encoder_block", transformer(causal=False), lengths, layers, "h=2, a=2, f=6", "encoder_block_lengths")


# ------------------------------------------------------------------------------ convolution and pooling


def conv(function, **given: int) -> Callable[[Values], Tensor]:
    return lambda v: function(v["x"], v["w"], v["b"], **given)


case("conv1d", conv(F.conv1d), {"x": (3, 2, 6)}, {"w": (4, 2, 3), "b": (4,)})
case(
    "conv1d",
    conv(F.conv1d, stride=2, padding=2, dilation=2),
    {"x": (3, 2, 8)},
    {"w": (3, 2, 3), "b": (3,)},
    "stride=2, padding=2, dilation=2",
    "conv1d_strided",
)
case("conv2d", conv(F.conv2d), {"x": (3, 2, 5, 4)}, {"w": (3, 2, 3, 3), "b": (3,)})
case(
    "conv2d",
    conv(F.conv2d, padding=1),
    {"x": (3, 2, 4, 3)},
    {"w": (3, 2, 3, 3), "b": (3,)},
    "padding=1",
    "conv2d_same",
)
case(
    "conv2d",
    conv(F.conv2d, stride=2, padding=1, dilation=2),
    {"x": (3, 2, 7, 6)},
    {"w": (3, 2, 3, 2), "b": (3,)},
    "v=2, stride=2, padding=1, dilation=2",
    "conv2d_strided",
)
case(
    "grouped_conv1d",
    conv(F.conv1d, groups=2, padding=1),
    {"x": (3, 4, 5)},
    {"w": (6, 2, 3), "b": (6,)},
    "f=6, padding=1",
)
case(
    "grouped_conv2d",
    conv(F.conv2d, groups=2, stride=2, padding=1),
    {"x": (3, 4, 5, 4)},
    {"w": (6, 2, 3, 2), "b": (6,)},
    "f=6, v=2, stride=2, padding=1",
)
case(
    "grouped_conv2d",
    conv(F.conv2d, groups=4),
    {"x": (3, 4, 4, 3)},
    {"w": (4, 1, 2, 2), "b": (4,)},
    "groups=4, u=2, v=2",
    "depthwise_conv2d",
)
case(
    "transposed_conv1d",
    conv(F.conv_transpose1d, stride=2),
    {"x": (3, 2, 4)},
    {"w": (2, 3, 2), "b": (3,)},
)
case(
    "transposed_conv1d",
    conv(F.conv_transpose1d, stride=3, padding=2, dilation=2, output_padding=1),
    {"x": (3, 2, 4)},
    {"w": (2, 3, 4), "b": (3,)},
    "u=4, stride=3, padding=2, dilation=2, output_padding=1",
    "transposed_conv1d_padded",
)
case(
    "transposed_conv2d",
    conv(F.conv_transpose2d, stride=2, padding=1),
    {"x": (3, 2, 3, 2)},
    {"w": (2, 3, 3, 4), "b": (3,)},
    "u=3, v=4, padding=1",
)
case(
    "transposed_conv2d",
    conv(F.conv_transpose2d, stride=2, dilation=2, output_padding=1),
    {"x": (3, 2, 2, 3)},
    {"w": (2, 3, 3, 2), "b": (3,)},
    "u=3, dilation=2, output_padding=1",
    "transposed_conv2d_dilated",
)
case("max_pool1d", lambda v: F.max_pool1d(v["x"], 2), {"x": (3, 2, 7)}, {})
case("max_pool2d", lambda v: F.max_pool2d(v["x"], 2), {"x": (3, 2, 6, 5)}, {})
case(
    "max_pool2d",
    lambda v: F.max_pool2d(v["x"], (3, 2), 1),
    {"x": (3, 2, 4, 3)},
    {},
    "u=3, v=2, stride=1",
    "max_pool2d_overlapping",
)
case(
    "max_pool1d",
    lambda v: F.max_pool1d(v["x"], 3, 2, 1, 2),
    {"x": (3, 2, 8)},
    {},
    "u=3, padding=1, dilation=2",
    "max_pool1d_padded",
)
case(
    "max_pool2d",
    lambda v: F.max_pool2d(v["x"], 3, 2, 1),
    {"x": (3, 2, 6, 5)},
    {},
    "u=3, v=3, padding=1",
    "max_pool2d_padded",
)
case(
    "average_pool1d",
    lambda v: F.avg_pool1d(v["x"], 3, 2, 1),
    {"x": (3, 2, 7)},
    {},
    "u=3, padding=1",
    "average_pool1d_padded",
)
case(
    "average_pool2d",
    lambda v: F.avg_pool2d(v["x"], (3, 2), 2, 1),
    {"x": (3, 2, 6, 5)},
    {},
    "u=3, padding=1",
    "average_pool2d_padded",
)
case("average_pool1d", lambda v: F.avg_pool1d(v["x"], 3, 2), {"x": (3, 2, 7)}, {}, "u=3")
case("average_pool2d", lambda v: F.avg_pool2d(v["x"], (2, 3), 2), {"x": (3, 2, 6, 5)}, {}, "v=3")


# ------------------------------------------------------------------------------------- norms and others


def rms(v: Values) -> Tensor:
    return F.rms_norm(v["x"], v["gain"].shape, v["gain"], 1e-6)


def layer_norm(v: Values) -> Tensor:
    return F.layer_norm(v["x"], v["gain"].shape, v["gain"], v["shift"])


def batch_norm(v: Values) -> Tensor:
    return F.batch_norm(v["x"], None, None, v["gain"], v["shift"], training=True)


def batch_norm_in_use(v: Values) -> Tensor:
    middle, variance = v["running_middle"], v["running_variance"]
    return F.batch_norm(v["x"], middle, variance, v["gain"], v["shift"], training=False)


def left_by_batch_norm(v: Values) -> Values:
    left = {name: v[name].clone() for name in RUNNING}
    F.batch_norm(v["x"], *left.values(), v["gain"], v["shift"], training=True, momentum=0.1)
    return left


RUNNING = {"running_middle": (5,), "running_variance": (5,)}
NORM = {"states": RUNNING, "in_use": batch_norm_in_use, "left": left_by_batch_norm}


def dropping(function: Callable, shape: tuple, rate: float, kept: Callable[[Tensor], Tensor]) -> dict:
    """Return dropout that PyTorch draws, and what it keeps: with one seed it draws the same again."""

    def output(v: Values) -> Tensor:
        torch.manual_seed(1)
        return function(v["x"], rate, training=True)

    def drawn_kept() -> Tensor:
        torch.manual_seed(1)
        return kept((function(torch.ones(shape, dtype=torch.float64), rate, training=True) != 0).double())

    return {"output": output, "noise": {"kept": drawn_kept}, "in_use": lambda v: v["x"]}


def normal(*shape: int) -> Callable[[], Tensor]:
    return lambda: torch.tensor(np.random.default_rng(7).normal(size=shape))


def averages(v: Values) -> Values:
    found = {f"average_{n}": 0.99 * v[f"average_{n}"] + 0.01 * v[n].detach() for n in "wb"}
    return {**found, "share": 0.99 * v["share"] + 0.01}


def swiglu(v: Values) -> Tensor:
    return (F.silu(v["x"] @ v["w"]) * (v["x"] @ v["v"])) @ v["u"]


def crf(v: Values) -> Tensor:
    """Adds up all paths one by one, and not by a recursion; of a shorter sequence those that are as long."""
    samples, steps, labels = v["score"].shape
    length = v.get("length", torch.full((samples,), steps)).tolist()

    def weight(path: Tensor, score: Tensor) -> Tensor:
        moves = v["transition"][path[..., :-1], path[..., 1:]].sum(-1)
        seen = score[torch.arange(path.shape[-1]), path].sum(-1)
        return v["start"][path[..., 0]] + moves + seen + v["end"][path[..., -1]]

    losses = []
    for n, last in enumerate(length):
        paths = torch.cartesian_prod(*[torch.arange(labels)] * last).reshape(-1, last)
        total = torch.logsumexp(weight(paths, v["score"][n]), 0)
        losses.append(total - weight(v["label"][n, :last], v["score"][n]))
    return torch.stack(losses)


ROWS, SCALE = {"x": (4, 5)}, {"gain": (5,), "shift": (5,)}
case("layer_norm", layer_norm, ROWS, SCALE)
case("layer_norm_sequence", layer_norm, {"x": (3, 4, 5)}, SCALE)
case("rms_norm", rms, ROWS, {"gain": (5,)})
case("rms_norm_sequence", rms, {"x": (3, 4, 5)}, {"gain": (5,)})
case("batch_norm", batch_norm, ROWS, SCALE, **NORM)
case("batch_norm2d", batch_norm, {"x": (3, 5, 2, 3)}, SCALE, **NORM)
for block, function, shape, rate, kept in (
    ("dropout", F.dropout, (4, 5), 0.5, lambda kept: kept),
    ("dropout_sequence", F.dropout, (3, 4, 5), 0.2, lambda kept: kept),
    ("dropout2d", F.dropout2d, (3, 5, 2, 3), 0.4, lambda kept: kept[:, :, 0, 0]),
):
    dropped = dropping(function, shape, rate, kept)
    case(block, dropped.pop("output"), {"x": shape}, {}, f"rate={rate}", **dropped)
DENSE = {"w": (5, 3), "b": (3,)}
case(
    "noisy_dense",
    lambda v: F.linear(v["x"], (v["w"] + 0.1 * v["e"]).T, v["b"]),
    ROWS,
    DENSE,
    noise={"e": normal(5, 3)},
    in_use=lambda v: F.linear(v["x"], v["w"].T, v["b"]),
)
case(
    "bayesian_dense",
    lambda v: F.linear(v["x"], (v["w"] + F.softplus(v["r"]) * v["e"]).T, v["b"]),
    ROWS,
    {**DENSE, "r": (5, 3)},
    noise={"e": normal(5, 3)},
    in_use=lambda v: F.linear(v["x"], v["w"].T, v["b"]),
)
case(
    "normal_sample",
    lambda v: v["middle"] + torch.exp(v["log_variance"] / 2) * v["e"],
    {"middle": (4, 5), "log_variance": (4, 5)},
    {},
    noise={"e": normal(4, 5)},
    in_use=lambda v: v["middle"],
)
case("straight_through_round", lambda v: v["x"] + (v["x"].round() - v["x"]).detach(), ROWS, {})
case(
    "averaged_dense",
    lambda v: F.linear(v["x"], v["w"].T, v["b"]),
    ROWS,
    DENSE,
    states={"average_w": (5, 3), "average_b": (3,), "share": ()},
    in_use=lambda v: F.linear(v["x"], (v["average_w"] / v["share"]).T, v["average_b"] / v["share"]),
    left=averages,
)
case(
    "group_norm",
    lambda v: F.group_norm(v["x"], 2, v["gain"], v["shift"]),
    {"x": (3, 6, 2, 3)},
    {"gain": (6,), "shift": (6,)},
)
case("dense", lambda v: F.linear(v["x"], v["w"].T, v["b"]), ROWS, {"w": (5, 3), "b": (3,)})
case(
    "dense_sequence",
    lambda v: F.linear(v["x"], v["w"].T, v["b"]),
    {"x": (3, 4, 5)},
    {"w": (5, 3), "b": (3,)},
)
case(
    "residual",
    lambda v: v["x"] + F.relu(v["x"] @ v["w1"] + v["b1"]) @ v["w2"] + v["b2"],
    ROWS,
    {"w1": (5, 3), "b1": (3,), "w2": (3, 5), "b2": (5,)},
    "j=3",
)
case("swiglu", swiglu, ROWS, {"w": (5, 3), "v": (5, 3), "u": (3, 5)}, "h=3")
case("swiglu_sequence", swiglu, {"x": (3, 4, 5)}, {"w": (5, 3), "v": (5, 3), "u": (3, 5)}, "h=3")
case("embedding", lambda v: F.embedding(v["token"], v["table"]), {"token": (4, 6)}, {"table": (6, 3)}, "v=6")
case(
    "embedding_sequence",
    lambda v: F.embedding(v["token"], v["table"]),
    {"token": (3, 5, 6)},
    {"table": (6, 3)},
    "v=6",
)
case(
    "crf",
    crf,
    {"score": (3, 4, 3), "label": (3, 4, 3)},
    {"transition": (3, 3), "start": (3,), "end": (3,)},
)

case(
    "crf",
    crf,
    {"score": (4, 4, 3), "label": (4, 4, 3), "length": (4, -5)},
    {"transition": (3, 3), "start": (3,), "end": (3,)},
    "",
    "crf_lengths",
)

WHOLE = ("token", "label", "length")
"""Arguments of whole numbers; the last number of their shape is no axis: they lie below it.

They begin with 0, and with 1 where it is negative.
"""


def drawn(each: Case) -> Values:
    generator = np.random.default_rng(zlib.crc32(each.key.encode()))
    values = {}
    for name, shape in {**each.arguments, **each.parameters}.items():
        if name in WHOLE:
            low = int(shape[-1] < 0)
            values[name] = torch.tensor(generator.integers(low, abs(shape[-1]), shape[:-1]))
        else:
            values[name] = torch.tensor(generator.normal(scale=0.7, size=shape), requires_grad=True)
    for name, shape in each.states.items():
        values[name] = torch.tensor(np.abs(generator.normal(size=shape)))
    return values | {name: make() for name, make in each.noise.items()}


def figures(each: Case) -> dict[str, np.ndarray]:
    values = drawn(each)
    output = each.output(values)
    generator = np.random.default_rng(zlib.crc32(f"{each.key} cotangent".encode()))
    cotangent = torch.tensor(generator.normal(size=tuple(output.shape)))
    (cotangent * output).sum().backward()
    found = {name: value.detach().numpy() for name, value in values.items()}
    found |= {"output": output.detach().numpy(), "cotangent": cotangent.numpy()}
    if each.in_use is not None:
        found["in_use"] = each.in_use(values).detach().numpy()
    found |= {f"left.{name}": value.detach().numpy() for name, value in each.left(values).items()}
    return found | {f"grad.{n}": v.grad.numpy() for n, v in values.items() if v.grad is not None}


def main() -> None:
    arrays = {f"{each.key}.{name}": array for each in CASES for name, array in figures(each).items()}
    np.savez_compressed(FOLDER / "blocks.npz", **arrays)
    entries = [
        {
            "key": each.key,
            "block": each.block,
            "arguments": list(each.arguments),
            "whole": [name for name in each.arguments if name in WHOLE],
            "parameters": list(each.parameters),
            "options": each.options,
            **({"states": list(each.states)} if each.states else {}),
            **({"noise": list(each.noise)} if each.noise else {}),
        }
        for each in CASES
    ]
    about = "Uses of the library's blocks, computed by blocks.py; arrays in blocks.npz, as in layers.npz."
    content = {"about": about, "versions": {"torch": torch.__version__}, "uses": entries}
    (FOLDER / "blocks.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
