"""The library: every entry derives, is proved, generates and trains; parameters by call and trained."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from sympy import Rational

import symbackprop as sb
from symbackprop.commands.check import check_network
from symbackprop.commands.listing import activation_bounds
from symbackprop.derivation.stable.bounds import bounds_of
from symbackprop.library.activations import ACTIVATION_ALIASES, ACTIVATIONS
from symbackprop.library.losses import LOSS_ALIASES, LOSSES
from symbackprop.network.functions import activation_of, loss_of, trainable_parameters

TRAINED = [name for name, activation in ACTIVATIONS.items() if activation.trainable]

OUTPUTS = {"cross_entropy": "softmax", "kl_divergence": "softmax", "negative_log_likelihood": "log_softmax",
           "binary_cross_entropy": "sigmoid", "focal": "sigmoid", "poisson_nll": "softplus"}  # fmt: skip
"""Loss -> an output in the range that it is made for; identity for all others."""


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_proved_and_its_code_is_right(name: str) -> None:
    report = check_network(sb.Network(f"2-3:{name}-2:identity"))
    assert report.holds, report.table()


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_proved_and_its_code_is_right(name: str) -> None:
    output = OUTPUTS.get(name, "identity")
    report = check_network(sb.Network(f"2-3:tanh-2:{output}", loss=name))
    assert report.holds, report.table()


@pytest.mark.parametrize("name", [*ACTIVATIONS, *LOSSES])
def test_every_entry_names_its_source_and_holds_no_derivative(name: str) -> None:
    entry = ACTIVATIONS.get(name) or LOSSES[name]
    assert entry.source
    assert set(vars(entry)) <= {
        *("name", "formula", "source", "partner", "initializer", "parameters", "trainable"),
        *("low", "high", "total"),
    }


@pytest.mark.parametrize(("alias", "name"), [*ACTIVATION_ALIASES.items()])
def test_other_names_of_activations(alias: str, name: str) -> None:
    assert sb.Network(f"2-3:{alias}-1") == sb.Network(f"2-3:{name}-1")


@pytest.mark.parametrize(("alias", "name"), [*LOSS_ALIASES.items()])
def test_other_names_of_losses(alias: str, name: str) -> None:
    assert sb.Network("2-3:identity", loss=alias).source.loss == name


def test_the_activations_of_a_whole_layer_are_known() -> None:
    assert {name for name, activation in ACTIVATIONS.items() if activation.is_of_layer} == {
        "softmax",
        "log_softmax",
    }


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("call", "formula"),
    [
        ("elu(alpha=0.5)", "where(s > 0, s, 0.5*(exp(s) - 1))"),
        ("leaky-relu(negative_slope=0.2)", "where(s > 0, s, 0.2*s)"),
        ("softplus(beta=2)", "log(1 + exp(2*s))/2"),
        ("hardtanh(min_val=-2, max_val=3)", "Piecewise((-2, s <= -2), (3, s >= 3), (s, True))"),
        ("elu(2*s, alpha=0.5) + s", "where(s > 0, 2*s, 0.5*(exp(2*s) - 1)) + s"),
    ],
)
def test_parameters_by_call(call: str, formula: str) -> None:
    called, written = (sb.derive(sb.Network(f"2-3:({text})-1")) for text in (call, formula))
    assert called.equation("x1") == written.equation("x1")
    assert called.gradient("w1") == written.gradient("w1")


@pytest.mark.parametrize("call", ["elu(beta=1)", "relu(alpha=1)", "huber(alpha=1)", "elu(s, beta=1)"])
def test_an_unknown_parameter_is_refused_and_the_known_are_named(call: str) -> None:
    with pytest.raises(sb.SpecificationError, match=r"parameter.*it takes|'relu' takes none"):
        sb.Network(f"2-3:({call})-1") if "huber" not in call else sb.Network("2-3", loss=call)


def test_parameters_of_a_loss() -> None:
    module = sb.load(sb.Network("1-1:identity", loss="huber(delta=0.5)"))
    parameters = {"w1": np.ones((1, 1)), "b1": np.zeros(1)}
    assert module.loss(parameters, [[2.0]], [[0.0]]) == pytest.approx(0.5 * (2 - 0.25))
    entry = loss_of("huber(delta=0.5)")
    assert entry is not None
    assert entry.name == "huber"


# ---------------------------------------------------------------- trained parameters


@pytest.mark.parametrize("name", TRAINED)
def test_trained_parameters_are_parameters_of_the_layer(name: str) -> None:
    module = sb.load(sb.Network(f"2-3:{name}-2:{name}", loss="squared_error"))
    parameters = module.initialize(0)
    for parameter, value in ACTIVATIONS[name].parameters.items():
        for layer in (1, 2):
            assert module.PARAMETER_SHAPES[f"{parameter}{layer}"] == ()
            assert parameters[f"{parameter}{layer}"] == np.float32(float(value))
            assert parameters[f"{parameter}{layer}"].dtype == np.float32


def test_a_call_sets_what_a_trained_parameter_starts_with() -> None:
    assert trainable_parameters("swish_beta(beta=1.5)") == {"beta": Rational(3, 2)}
    parameters = sb.load(sb.Network("2-3:(swish_beta(beta=1.5))-1")).initialize(0, np.float64)
    assert parameters["beta1"] == 1.5


def test_a_formula_may_call_a_trained_activation() -> None:
    network = sb.Network("2-3:(s + prelu(s))-1")
    report = check_network(network)
    assert report.holds, report.table()
    assert "alpha1" in sb.load(network).PARAMETER_SHAPES


def test_regularisation_leaves_trained_parameters_alone() -> None:
    network = sb.Network("2-3:prelu-1", l2=0.1, l1=0.1)
    plain, regularised = (sb.derive(each) for each in (sb.Network("2-3:prelu-1"), network))
    assert plain.gradient("alpha1") == regularised.gradient("alpha1")


@pytest.mark.parametrize("name", TRAINED)
def test_trained_parameters_are_trained_saved_and_resumed(name: str, tmp_path: object) -> None:
    module = sb.load(sb.Network(f"2-4:{name}-1:identity"), optimizer="adam")
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 2))
    t = np.where(x[:, :1] > 0, 2 * x[:, :1], -x[:, :1])
    trainer = module.Trainer(learning_rate=0.02, batch_size=20, seed=1)
    history = trainer.fit(x, t, epochs=30)
    assert history["loss"][-1] < history["loss"][0] / 2
    for parameter, value in ACTIVATIONS[name].parameters.items():
        assert trainer.parameters[f"{parameter}1"] != np.float32(float(value))
    path = f"{tmp_path}/state.npz"
    trainer.save(path)
    again = module.Trainer.load(path)
    assert trainer.fit(x, t, 2) == again.fit(x, t, 2)


def test_weights_of_samples_reach_trained_parameters() -> None:
    module = sb.load(sb.Network("2-3:srelu-2:swish_beta", loss="squared_error"))
    parameters = module.initialize(0, np.float64)
    generator = np.random.default_rng(1)
    x, t = generator.normal(size=(4, 2)), generator.normal(size=(4, 2))
    weights = np.array([1.0, 2.0, 0.0, 0.5])
    trainer = module.Trainer(parameters, learning_rate=1.0, batch_size=4)
    trainer.step(x, t, weights)
    pairs = zip(x, t, strict=True)
    rows = [module.gradients(parameters, row[None], target[None])[1] for row, target in pairs]
    for name, before in parameters.items():
        expected = sum(w * g[name] for w, g in zip(weights, rows, strict=True)) / 4
        np.testing.assert_allclose(before - trainer.parameters[name], expected, atol=1e-12)


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    ("name", "values", "slopes"),
    [
        ("sigmoid", "(0, 1)", "(0, 1/4]"),
        ("tanh", "(-1, 1)", "(0, 1]"),
        ("relu", "[0, ∞)", "[0, 1]"),
        ("hardtanh", "[-1, 1]", "[0, 1]"),
        ("hardswish", "[-3/8, ∞)", "[-1/2, 3/2]"),
        ("softsign", "(-1, 1)", "(0, 1]"),
        ("sin", "[-1, 1]", "[-1, 1]"),
        ("identity", "(-∞, ∞)", "[1, 1]"),
        ("softmax", "(0, 1)", "(0, 1/4]"),
        ("log_softmax", "(-∞, 0)", "(0, 1)"),
    ],
)
def test_bounds(name: str, values: str, slopes: str) -> None:
    assert tuple(map(str, activation_bounds(name))) == (values, slopes)


def test_bounds_of_silu_and_gelu_are_the_published_ones() -> None:
    _, slopes = activation_bounds("silu")
    assert (slopes.low, slopes.high) == pytest.approx((-0.09984, 1.09984), abs=1e-5)
    _, slopes = activation_bounds("gelu")
    assert (slopes.low, slopes.high) == pytest.approx((-0.12890, 1.12890), abs=1e-5)


@pytest.mark.parametrize("name", [n for n, a in ACTIVATIONS.items() if "total(" not in a.formula])
def test_nothing_lies_outside_of_the_bounds(name: str) -> None:
    values, slopes = activation_bounds(name)
    module = sb.load(sb.Network(f"1-1:{name}", loss="x"))
    parameters = {**module.initialize(0, np.float64), "w1": np.ones((1, 1)), "b1": np.zeros(1)}
    points = np.linspace(-9.87, 9.91, 801)[:, None]
    found = module.forward(parameters, points)[:, 0]
    steps = [(b - a) / (points[1, 0] - points[0, 0]) for a, b in pairwise(found)]
    assert values.low - 1e-9 <= found.min() <= found.max() <= values.high + 1e-9
    if name not in ("hardshrink",):  # which jumps
        assert slopes.low - 1e-6 <= min(steps) <= max(steps) <= slopes.high + 1e-6
    assert not math.isnan(slopes.low + slopes.high)


def test_bounds_are_worked_out_once() -> None:
    hits = bounds_of.cache_info().hits
    activation_bounds("tanh")
    activation_bounds("tanh")
    assert bounds_of.cache_info().hits > hits


def test_what_a_text_stands_for() -> None:
    assert activation_of("relu") is ACTIVATIONS["relu"]
    assert activation_of("elu(alpha=2)") is ACTIVATIONS["elu"]
    assert activation_of("s*sigmoid(s)") is None
