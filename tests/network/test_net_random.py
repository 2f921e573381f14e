"""Random networks in index notation: text in, trainer out, compared with numbers and with plain loops."""

from __future__ import annotations

import re
import types
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
from sympy import exp

import symbackprop as sb
from symbackprop.commands.comparison.module import check_module
from symbackprop.equations.steps import Derived
from symbackprop.network.random_data import sample_data
from symbackprop.proof.prover import prove
from tests.net_text import evaluate
from tests.random_net import LAYERS, RandomNet, opened, random_net

SEEDS = 300
QUICK = (2, 5, 11, 37, 43, 44, 58, 72, 154, 191, 202, 203, 204, 217, 228)
"""Seeds whose networks take little time; the others are slow."""
PROVED = 3
"""Of so many networks the steps of one are proved."""


def compare_with_loops(made: RandomNet, network: Any, module: Any, seed: int) -> None:
    """Compare loss and outputs of the module, on five samples, with the text as plain loops."""
    generator = np.random.default_rng(seed)
    x, t = sample_data(network.model, generator)
    start = module.initialize(seed, np.float64)
    parameters = {n: np.asarray(v + 0.1 * generator.normal(size=v.shape)) for n, v in start.items()}
    values = {**made.numbers, **parameters}
    for given, argument in ((network.model.inputs, x), (network.model.targets, t)):
        values |= argument if len(given) > 1 else {each.name: argument for each in given}
    found = evaluate(made.equations, values, made.sizes)
    error, derivatives = module.gradients(parameters, x, t)
    assert error == pytest.approx(float(found["E"]), rel=1e-10, abs=1e-10)
    assert module.loss(parameters, x, t) == pytest.approx(float(found["E"]), rel=1e-10, abs=1e-10)
    outputs = module.forward(parameters, x)
    np.testing.assert_allclose(outputs, found[network.model.output], rtol=1e-8, atol=1e-10)
    assert all(np.isfinite(value).all() for value in derivatives.values())


def check(seed: int) -> None:
    made = random_net(seed)
    network = sb.Network.from_equations(made.text, made.given_sizes)
    derivation = sb.derive(network)
    module: Any = sb.load(derivation)
    compare_with_loops(made, network, module, seed)
    wrong = [row for row in check_module(module, sb.derive(network)) if not row.holds]
    assert not wrong, f"{wrong}\n{made.text}"
    if seed % PROVED == 0:
        for verdict in prove(derivation):
            assert verdict.holds, f"{verdict.step.lhs}: {verdict.counterexample}\n{made.text}"


@pytest.mark.parametrize(
    "seed", [s if s in QUICK else pytest.param(s, marks=pytest.mark.slow) for s in range(SEEDS)]
)
def test_random_networks(seed: int) -> None:
    check(seed)


OPEN = 90
OPEN_QUICK = (2, *range(0, OPEN, 15))


@pytest.mark.parametrize(
    "seed",
    [s if s in OPEN_QUICK and s != 45 else pytest.param(s, marks=pytest.mark.slow) for s in range(OPEN)],
)
def test_random_networks_for_data_of_any_size(seed: int) -> None:
    text, sizes = opened(random_net(seed))
    network = accepted(text, sizes)
    if network is not None:
        wrong = [row for row in check_module(sb.load(network), sb.derive(network)) if not row.holds]
        assert not wrong, f"{wrong}\n{text}"


def test_data_of_any_size_are_accepted_more_often_than_not() -> None:
    found = [accepted(*opened(random_net(seed))) for seed in OPEN_QUICK]
    assert sum(network is not None for network in found) > len(found) / 2


def accepted(text: str, sizes: dict[str, int]) -> Any:
    """Return the network; None where it is refused, for a reason that names a size."""
    try:
        network = sb.Network.from_equations(text, sizes)
        network.model.require_sizes()
    except sb.SpecificationError as error:
        if not re.search(r"add --size|this reads beyond the end", str(error)):
            raise
        return None
    return network


def test_the_networks_have_every_construct() -> None:
    counts = Counter(name for seed in range(SEEDS) for name in random_net(seed).constructs)
    print(dict(counts.most_common()))
    assert set(LAYERS) <= set(counts)
    assert min(counts.values()) >= 5, counts


@pytest.mark.parametrize("seed", QUICK[:3])
def test_a_derivative_that_is_wrong_is_found(seed: int) -> None:
    made = random_net(seed)
    network = sb.Network.from_equations(made.text, made.given_sizes)
    module = sb.load(network)
    for name in module.PARAMETER_SHAPES:
        assert not all(row.holds for row in check_module(_broken(module, name), sb.derive(network))), name


def _broken(module: types.ModuleType, name: str) -> types.ModuleType:
    """Return the module with one derivative that is wrong by a thousandth, or by one where it is zero."""
    copy = types.ModuleType(module.__name__)
    copy.__dict__.update(module.__dict__)

    def gradients(parameters: Any, x: Any, t: Any = None) -> Any:
        error, found = module.gradients(parameters, x, t)
        return error, {**found, name: found[name] * 1.001 + 1e-3 * (found[name] == 0)}

    copy.gradients = gradients  # type: ignore[attr-defined]
    return copy


# ------------------------------------------------------------------------------ found by longer runs

FOUND = {
    "the mean of embeddings without the padding": """\
integer input token[n, l]
input C[n, d]
parameter emb[v, d]
size v = 7, d = 2, l = 3
count[n] = sum(where(token[n, l] != 0, 1, 0), l) + 0.5
h[n, d] = sum(where(token[n, l] != 0, emb[token[n, l], d], 0), l)/count[n]
E = mean(sum(C[n, d]*h[n, d], d), n)
output h
""",
    "a gate behind a causal convolution": """\
input x[n, s], C[n, d, s]
parameter w[u, d]
size u = 2, d = 3, s = 5
g[n, d, s] = sigmoid(sum(where(s - 2*u >= 0, x[n, s - 2*u], 0)*w[u, d], u))
E = mean(sum(C[n, d, s]*g[n, d, s], d, s), n)
output g
""",
    "a comparison of several sizes with several indices": """\
input x[n, a, b]
parameter w[a, b]
size a = 4, b = 5
y[n, a] = sum(where(2*a - b <= 2*size(b) - size(a), x[n, a, b]*w[a, b], 0), b)
z[n] = sum(where(y[n, a] - x[n, a, 0] < 2*x[n, a, 1] - y[n, a], y[n, a]**2, 0), a)
E = mean(z[n]**2, n)
output z
""",
    "a choice that stands alone and in an exponential": """\
input C[n, a]
integer input k[n]
parameter w[v, a]
size v = 3, a = 2
y[n, a] = silu(where(k[n] == 1, 0.5, w[k[n], a]) + 0.1*w[k[n], a])
E = mean(sum(C[n, a]*y[n, a], a), n)
output y
""",
    "a guard on an integer of the data": """\
input C[n, g]
integer input k[n]
parameter w[f, g]
size f = 4, g = 3
y[n, g] = where(k[n] + 1 < size(f), w[k[n] + 1, g], w[k[n], g])
E = mean(sum(C[n, g]*y[n, g], g), n)
output y
""",
    "what scales a scattered sum scales all of it": """\
input x[n, d, c]
integer target label[n]
parameter w[c, e]
size d = 2, c = 3, e = 2
q[n, d, e] = sum(x[n, d, c]*w[c, e], c)
z[n, d] = max(q[n, d, e], e) - mean(q[n, d, e], e)
l[n, d] = log_softmax(z[n, d], d)
E = mean(-l[n, label[n]], n)
output z
""",
    "a choice inside of a sum inside of a sum": """\
input x[n, a, f], C[n, a, g]
parameter w[f, g], b[g]
size f = 3, g = 2, a = 2
y[n, a, g] = gaussian(sum(where(x[n, a, f] > w[f, g], x[n, a, f], 0.5*w[f, g]), f) + b[g])
E = mean(sum(C[n, a, g]*y[n, a, g], a, g), n)
output y
""",
    "a large error that no parameter makes smaller": """\
input x[n, k]
parameter w[k]
size k = 3
y[n, k] = 40*x[n, k]**2 + w[k]
E = mean(sum(y[n, k]**2, k), n) + sum(abs(w[k]), k)
output y
""",
    "normalised weights, which are computed once for all samples": """\
input x[n, k], C[n, i]
parameter w[k, i]
size k = 3, i = 2
r[i] = sqrt(sum(w[k, i]**2, k))
u[k, i] = w[k, i]/r[i]
y[n, i] = sum(x[n, k]*u[k, i], k)
E = mean(sum(C[n, i]*y[n, i], i), n)
output y
""",
}


@cache
def derived(name: str) -> Derived:
    return sb.derive(sb.Network.from_equations(FOUND[name]))


@pytest.mark.parametrize("name", FOUND)
def test_faults_that_were_found_stay_mended(name: str) -> None:
    network = sb.Network.from_equations(FOUND[name])
    assert all(row.holds for row in check_module(sb.load(derived(name)), sb.derive(network)))


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if "a sum inside of a sum" in n else n for n in FOUND]
)
def test_every_step_of_what_was_found_is_proved(name: str) -> None:
    assert all(verdict.holds for verdict in prove(derived(name)))


def test_embeddings_without_the_padding_are_scattered() -> None:
    """No array has an axis for the words and one for the samples."""
    source = sb.generate(sb.Network.from_equations(FOUND["the mean of embeddings without the padding"]))
    assert "np.add.at(demb" in source
    assert "(7, samples" not in source
    assert "(samples, 7" not in source


def test_a_gate_behind_a_padded_read_is_derived_through_its_output() -> None:
    network = sb.Network.from_equations(FOUND["a gate behind a causal convolution"])
    assert not sb.derive(network).gradient("w").has(exp)
