"""Optimisers and initialisers: independent figures, each rule written out, and what is promised."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from sympy import Symbol, simplify, sympify

import symbackprop as sb
from symbackprop.library.initializers import FAMILIES, INITIALIZERS
from symbackprop.library.optimizers import OPTIMIZERS
from tests.conftest import REFERENCE, Array, Parameters, random_parameters, sample_data

FOLDER = REFERENCE
RUNS = {run["key"]: run for run in json.loads((FOLDER / "optimizers.json").read_text())["optimizers"]}
ABOUT = json.loads((FOLDER / "optimizers.json").read_text())
SKLEARN = json.loads((FOLDER / "sklearn_curve.json").read_text())
EVERY = pytest.mark.parametrize("name", OPTIMIZERS)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


@cache
def derived(architecture: str) -> sb.Derivation:
    return sb.derive(sb.Network(architecture))


@cache
def module_of(architecture: str, optimizer: str) -> Any:
    return sb.load(derived(architecture), optimizer=optimizer)


# ---------------------------------------------------------------- figures of other programs


@cache
def arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"{name}.npz") as file:
        return dict(file)


def keywords(run: dict[str, Any], optimizer: str) -> dict[str, float]:
    """Return PyTorch's arguments under this project's names."""
    names = {"lr": "learning_rate", "eps": "epsilon", "alpha": "rho"}
    given = {names.get(name, name): value for name, value in run["arguments"].items()}
    if "betas" in given:
        given["beta1"], given["beta2"] = given.pop("betas")
    return {name: given[name] for name in OPTIMIZERS[optimizer].defaults}


def worst_difference_from_pytorch(key: str, trainer_of: Callable[..., Any], **changed: float) -> float:
    run, data = RUNS[key], arrays("optimizers")
    start = {name: data[f"start.{name}"] for name in ABOUT["parameters"]}
    trainer = trainer_of(start, **{**keywords(run, run["optimizer"]), **changed}, batch_size=len(data["x"]))
    worst = 0.0
    for step in range(ABOUT["steps"]):
        worst = max(worst, abs(trainer.step(data["x"], data["t"]) - data[f"{key}.loss"][step]))
        for name, value in trainer.parameters.items():
            worst = max(worst, float(np.abs(value - data[f"{key}.{name}"][step + 1]).max()))
    return worst


def test_every_optimizer_has_figures() -> None:
    assert {run["optimizer"] for run in RUNS.values()} == set(OPTIMIZERS)
    assert len(RUNS) == 11


@pytest.mark.parametrize("key", RUNS)
def test_steps_are_those_of_pytorch(key: str) -> None:
    module = module_of(ABOUT["architecture"], RUNS[key]["optimizer"])
    assert worst_difference_from_pytorch(key, module.Trainer) < 1e-10


@pytest.mark.parametrize(
    ("key", "keyword"),
    [(key, keyword) for key, run in RUNS.items() for keyword in OPTIMIZERS[run["optimizer"]].defaults],
)
def test_each_keyword_matters(key: str, keyword: str) -> None:
    """A keyword that is not read, or read for another, gives other figures."""
    run = RUNS[key]
    value = keywords(run, run["optimizer"])[keyword]
    if value < 1e-6:
        pytest.skip("too small an epsilon to be seen; the runs with a large one show it")
    module = module_of(ABOUT["architecture"], run["optimizer"])
    assert worst_difference_from_pytorch(key, module.Trainer, **{keyword: 0.99 * value}) > 1e-7


def sklearn_parameters(prefix: str) -> Parameters:
    return {name: arrays("sklearn_curve")[f"{prefix}.{name}"] for name in ("w1", "b1", "w2", "b2")}


def test_loss_curve_and_final_weights_are_those_of_scikit_learn() -> None:
    data = arrays("sklearn_curve")
    module = module_of(SKLEARN["architecture"], "sgd")
    trainer = module.Trainer(
        sklearn_parameters("start"),
        learning_rate=SKLEARN["arguments"]["learning_rate_init"],
        batch_size=len(data["x"]),
    )
    curve = [trainer.step(data["x"], data["t"]) for _ in range(SKLEARN["epochs"])]
    np.testing.assert_allclose(curve, data["loss_curve"], rtol=0, atol=1e-11)
    for name, value in sklearn_parameters("final").items():
        np.testing.assert_allclose(trainer.parameters[name], value, rtol=0, atol=1e-11)
    outputs = module.forward(trainer.parameters, data["x"])[:, 0]
    np.testing.assert_allclose(outputs, data["predict_proba"], rtol=0, atol=1e-11)
    assert np.mean((outputs > 0.5) == data["t"][:, 0]) == pytest.approx(SKLEARN["accuracy_after"])


# ---------------------------------------------------------------- each rule, written out here once more

State = dict[str, Any]


def _moments(w: Array, g: Array, s: State, k: dict[str, float], step: int) -> Array:
    s["m"] = k["beta1"] * s.get("m", 0) + (1 - k["beta1"]) * g
    s["v"] = k["beta2"] * s.get("v", 0) + (1 - k["beta2"]) * g**2
    m, v = s["m"] / (1 - k["beta1"] ** step), s["v"] / (1 - k["beta2"] ** step)
    return w - k["learning_rate"] * m / (np.sqrt(v) + k["epsilon"])


def _sgd(w: Array, g: Array, s: State, k: dict[str, float], step: int) -> Array:
    return w - k["learning_rate"] * g


def _momentum(w: Array, g: Array, s: State, k: dict[str, float], step: int) -> Array:
    s["v"] = k["momentum"] * s.get("v", 0) + g
    return w - k["learning_rate"] * s["v"]


def _nesterov(w: Array, g: Array, s: State, k: dict[str, float], step: int) -> Array:
    s["v"] = k["momentum"] * s.get("v", 0) + g
    return w - k["learning_rate"] * (g + k["momentum"] * s["v"])


def _adagrad(w: Array, g: Array, s: State, k: dict[str, float], step: int) -> Array:
    s["a"] = s.get("a", 0) + g**2
    return w - k["learning_rate"] * g / (np.sqrt(s["a"]) + k["epsilon"])


def _rmsprop(w: Array, g: Array, s: State, k: dict[str, float], step: int) -> Array:
    s["a"] = k["rho"] * s.get("a", 0) + (1 - k["rho"]) * g**2
    return w - k["learning_rate"] * g / (np.sqrt(s["a"]) + k["epsilon"])


def _adamw(w: Array, g: Array, s: State, k: dict[str, float], step: int) -> Array:
    return _moments(w * (1 - k["learning_rate"] * k["weight_decay"]), g, s, k, step)


RULES = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _moments,
    "adamw": _adamw,
}


@EVERY
@DTYPES
@pytest.mark.parametrize("architecture", ["3-4:tanh-2", "5-4:relu-3:softmax"])
def test_hundred_steps_equal_gradients_and_the_rule(
    name: str, dtype: Any, architecture: str, rng: np.random.Generator
) -> None:
    """The last place of the largest number differs; differences grow little at this learning rate."""
    module, size = module_of(architecture, name), 8
    network = sb.Network(architecture)
    rate = {"sgd": 0.05, "momentum": 0.01, "nesterov": 0.01}.get(name, 0.002)
    start = {k: v.astype(dtype) for k, v in random_parameters(module.PARAMETER_SHAPES, rng).items()}
    x, t = (array.astype(dtype) for array in sample_data(network, rng, samples=20))
    trainer = module.Trainer(start, learning_rate=rate, batch_size=size)
    hyper = {name: float(text) for name, text in OPTIMIZERS[name].defaults.items()} | {"learning_rate": rate}
    expected, state = dict(start), {key: {} for key in start}
    for step in range(100):
        rows = slice(step % 3 * size, step % 3 * size + size)  # the third batch has 4 rows
        error, gradients = module.gradients(expected, x[rows], t[rows])
        tolerance = 4000 * float(np.finfo(dtype).eps)
        assert trainer.step(x[rows], t[rows]) == pytest.approx(error, rel=tolerance, abs=tolerance)
        for key, gradient in gradients.items():
            expected[key] = RULES[name](expected[key], gradient, state[key], hyper, step + 1).astype(dtype)
    assert trainer.steps == 100
    for key, value in expected.items():
        assert trainer.parameters[key].dtype == dtype
        np.testing.assert_allclose(trainer.parameters[key], value, rtol=0, atol=tolerance)
        assert np.abs(value - start[key]).max() > 20 * tolerance  # so the comparison says something


# ---------------------------------------------------------------- equations

_ADAM = {
    "m'": "beta1*m + (1 - beta1)*g",
    "v'": "beta2*v + (1 - beta2)*g**2",
    "w'": "w - learning_rate*(m_/(1 - beta1**step))/(sqrt(v_/(1 - beta2**step)) + epsilon)",
}
EQUATIONS = {
    "sgd": {"w'": "w - learning_rate*g"},
    "momentum": {"v'": "momentum*v + g", "w'": "w - learning_rate*v_"},
    "nesterov": {"v'": "momentum*v + g", "w'": "w - learning_rate*(g + momentum*v_)"},
    "adagrad": {"a'": "a + g**2", "w'": "w - learning_rate*g/(sqrt(a_) + epsilon)"},
    "rmsprop": {"a'": "rho*a + (1 - rho)*g**2", "w'": "w - learning_rate*g/(sqrt(a_) + epsilon)"},
    "adam": _ADAM,
    "adamw": {**_ADAM, "w'": _ADAM["w'"] + " - learning_rate*weight_decay*w"},
}
"""New value -> its equation, as PyTorch documents it; a_ stands for a', the new value."""


@EVERY
def test_equations(name: str) -> None:
    derivation = sb.derive(sb.Network("2-3-1"), optimizer=name)
    assert [str(step.lhs) for step in derivation.update] == list(EQUATIONS[name])
    for step in derivation.update:
        plain = {symbol: Symbol(symbol.name.replace("'", "_")) for symbol in step.rhs.free_symbols}
        expected = sympify(EQUATIONS[name][str(step.lhs)])
        assert simplify(step.rhs.xreplace(plain) - expected) == 0


@EVERY
def test_the_update_is_the_last_section_of_the_derivation(name: str) -> None:
    derivation = sb.derive(sb.Network("2-3-1"), optimizer=name)
    printed = derivation.text()
    steps = (*derivation.update, *derivation.rescaled)
    numbers = [step.number for step in steps]
    assert numbers == list(range(max(derivation.by_number) - len(numbers) + 1, max(derivation.by_number) + 1))
    assert len(derivation.update) == len(OPTIMIZERS[name].equations)
    for number in numbers:
        assert len(re.findall(rf"^(?:=>)? +\({number}\) ", printed, re.M)) == 1
    for step in steps:
        assert re.search(rf"\({step.number}\) +{step.lhs} = ", printed)


@EVERY
def test_the_update_of_the_module_stands_under_its_equations(name: str) -> None:
    derivation = sb.derive(sb.Network("2-3-1"), optimizer=name)
    source = sb.generate(derivation)
    carried_out = [s for s in derivation.rescaled if s.rule == "rescaling"] or derivation.update
    places = [source.index(f" # ({step.number}) {step.target}' = ") for step in carried_out]
    assert places == sorted(places)
    assert places[0] > source.index("def _update(")


@EVERY
def test_keywords_and_defaults(name: str) -> None:
    keywords = inspect.signature(module_of("2-3-1", name).Trainer).parameters
    own = {key: keywords[key].default for key in OPTIMIZERS[name].defaults}
    assert own == {key: float(text) for key, text in OPTIMIZERS[name].defaults.items()}
    expected = {"momentum": 0.9, "rho": 0.99, "beta1": 0.9, "beta2": 0.999}  # as in PyTorch
    assert expected.items() >= {key: own[key] for key in own if key in expected}.items()
    hyper = {
        "sgd": set(),
        "momentum": {"momentum"},
        "nesterov": {"momentum"},
        "adagrad": {"epsilon"},
        "rmsprop": {"rho", "epsilon"},
        "adam": {"beta1", "beta2", "epsilon"},
        "adamw": {"beta1", "beta2", "epsilon", "weight_decay"},
    }
    assert set(own) == {"learning_rate", *hyper[name]}


@EVERY
def test_the_architecture_names_the_optimizer(name: str) -> None:
    module = module_of("2-3-1", name)
    assert "2-3-1" + ("" if name == "sgd" else f" --optimizer {name}") == module.ARCHITECTURE


def test_an_unknown_optimizer_is_refused_with_the_nearest() -> None:
    with pytest.raises(sb.SpecificationError, match=r"addam.*adam"):
        sb.generate(sb.Network("2-3-1"), optimizer="addam")


# ---------------------------------------------------------------- default learning rates


def ordinary(kind: str) -> tuple[Array, Array]:
    """Return 500 samples of 6 standardised inputs: overlapping classes, or a line with some noise."""
    generator = np.random.default_rng(2)
    if kind == "regression":
        x = generator.normal(size=(500, 6))
        t = x @ generator.normal(size=(6, 1)) + 0.1 * generator.normal(size=(500, 1))
        return x, (t - t.mean()) / t.std()
    count = 2 if kind == "two classes" else 3
    labels = np.arange(500) % count
    x = 2 * generator.normal(size=(count, 6))[labels] + generator.normal(size=(500, 6))
    t = labels[:, None].astype(float) if count == 2 else np.eye(3)[labels]
    return (x - x.mean(axis=0)) / x.std(axis=0), t


ORDINARY = {
    "two classes": ["6-8-1", "6-8:tanh-1"],
    "three classes": ["6-8-3:softmax", "6-16:relu-3:softmax"],
    "regression": ["6-8-1:identity", "6-16:relu-1:identity"],
}


@EVERY
@pytest.mark.parametrize(("kind", "architecture"), [(kind, a) for kind in ORDINARY for a in ORDINARY[kind]])
def test_defaults_learn_ordinary_data(name: str, kind: str, architecture: str) -> None:
    x, t = ordinary(kind)
    module = module_of(architecture, name)
    trainer = module.Trainer(seed=1)
    trainer.fit(x, t, 100)
    outputs = module.forward(trainer.parameters, x)
    if kind == "regression":
        assert np.mean((outputs - t) ** 2) < 0.03  # of a variance of 1
    elif kind == "two classes":
        assert np.mean((outputs > 0.5) == t) > 0.95
    else:
        assert np.mean(outputs.argmax(axis=1) == t.argmax(axis=1)) > 0.95


# ---------------------------------------------------------------- initialisers

FAN_IN, FAN_OUT = 300, 200
VARIANCE = {
    "xavier_uniform": 2 / 500,
    "xavier_normal": 2 / 500,
    "he_uniform": 2 / 300,
    "he_normal": 2 / 300,
    "lecun_uniform": 1 / 300,
    "lecun_normal": 1 / 300,
    "orthogonal": 1 / 300,
    "normal": 0.05**2,
    "uniform": 0.05**2,
    "zeros": 0.0,
}


@cache
def first_weights(init: str) -> Array:
    module = sb.load(sb.Network(f"{FAN_IN}-{FAN_OUT}:tanh-1", init=init))
    parameters = module.initialize(3, np.float64)
    assert not parameters["b1"].any()
    return parameters["w1"]


def test_every_initializer_is_tested() -> None:
    assert set(VARIANCE) == set(INITIALIZERS)


@pytest.mark.parametrize("init", VARIANCE)
def test_variance_and_mean(init: str) -> None:
    w = first_weights(init)
    assert w.shape == (FAN_IN, FAN_OUT)
    # Of 60 000 draws the variance has a relative standard deviation below 0.6 %.
    assert w.var() == pytest.approx(VARIANCE[init], rel=0.03)
    assert abs(w.mean()) <= 5 * np.sqrt(VARIANCE[init] / w.size)


@pytest.mark.parametrize("init", [name for name in VARIANCE if "uniform" in name])
def test_a_uniform_distribution_is_flat_and_has_an_end(init: str) -> None:
    w, limit = first_weights(init), np.sqrt(3 * VARIANCE[init])
    assert np.abs(w).max() <= limit
    counts, _ = np.histogram(w, bins=10, range=(-limit, limit))
    assert np.abs(counts / w.size - 0.1).max() < 0.01


@pytest.mark.parametrize("init", [name for name in VARIANCE if "normal" in name])
def test_a_normal_distribution_has_its_tails(init: str) -> None:
    z = np.abs(first_weights(init)) / np.sqrt(VARIANCE[init])
    for deviations, share in ((1, 0.3173), (2, 0.0455), (3, 0.0027)):
        assert np.mean(z > deviations) == pytest.approx(share, abs=0.006)


@pytest.mark.parametrize("sizes", [(300, 200), (200, 300), (50, 50), (7, 1), (1, 7)])
def test_orthogonal_weights_are_orthogonal(sizes: tuple[int, int]) -> None:
    module = sb.load(sb.Network(f"{sizes[0]}-{sizes[1]}", init="orthogonal"))
    w = module.initialize(0, np.float64)["w1"]
    products = w.T @ w if sizes[0] >= sizes[1] else w @ w.T
    np.testing.assert_allclose(products, np.eye(min(sizes)), atol=1e-12)
    assert not np.array_equal(w, module.initialize(1, np.float64)["w1"])


def test_orthogonal_weights_have_no_preferred_sign() -> None:
    module = sb.load(sb.Network("2-2", init="orthogonal"))
    drawn = np.array([module.initialize(seed, np.float64)["w1"] for seed in range(400)])
    assert np.abs(drawn.mean(axis=0)).max() < 0.2
    assert 0.4 < np.mean(np.linalg.det(drawn) > 0) < 0.6


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_stands_for_one_member(family: str) -> None:
    assert sb.Network("2-3-1", init=family) == sb.Network("2-3-1", init=FAMILIES[family])


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "identity"])
def test_the_default_keeps_the_signal_through_many_layers(activation: str) -> None:
    """Of derivatives where the activation squashes the signal anyway: they neither vanish nor explode."""
    depth, width = 8, 150
    slope = 4 if activation == "sigmoid" else 1  # the slope at 0 is 1/4, by design of the sigmoid
    module = sb.load(sb.Network(f"{width}" + f"-{width}:{activation}" * depth + "-1:identity"))
    rng = np.random.default_rng(0)
    parameters = module.initialize(0, np.float64)
    _, gradients = module.gradients(parameters, rng.normal(size=(64, width)), rng.normal(size=(64, 1)))
    norms = [np.linalg.norm(gradients[f"b{layer}"]) * slope**-layer for layer in (1, depth)]
    assert 0.2 < norms[0] / norms[1] < 5


def test_another_initializer_would_lose_the_signal() -> None:
    """What the test above tells apart: Glorot's variance is half of what relu needs."""
    network = sb.Network("150" + "-150:relu" * 12 + "-1:identity")
    glorot = sb.Network("150" + "-150:relu" * 12 + "-1:identity", init="xavier_normal")
    x = np.random.default_rng(0).normal(size=(64, 150))
    sizes = []
    for module in (sb.load(network), sb.load(glorot)):
        sizes.append(np.abs(module.forward(module.initialize(0, np.float64), x)).mean())
    assert sizes[0] > 20 * sizes[1]


@DTYPES
def test_the_same_seed_draws_the_same_parameters(dtype: Any) -> None:
    module = module_of("5-4:relu-3:softmax", "adam")
    first, again, other = (module.initialize(seed, dtype) for seed in (1, 1, 2))
    for key, value in first.items():
        assert value.dtype == dtype
        np.testing.assert_array_equal(value, again[key])
        assert key[0] == "b" or not np.array_equal(value, other[key])


def test_an_unknown_initializer_is_refused_with_the_nearest() -> None:
    with pytest.raises(sb.SpecificationError, match=r"xavierr.*xavier"):
        sb.Network("2-3-1", init="xavierr")
