"""Networks in index notation: what they mean, their trainers, and dense networks written that way."""

from __future__ import annotations

import re
import types
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sympy import Symbol

import symbackprop as sb
from symbackprop.commands.check import check_file, check_network
from symbackprop.commands.comparison.module import check_module
from symbackprop.equations.system import Equation, EquationSystem, Fact
from symbackprop.errors import SpecificationError
from symbackprop.library.activations import ACTIVATIONS
from symbackprop.library.losses import LOSSES
from symbackprop.network.random_data import sample_data
from symbackprop.network.writing import text_of
from tests.plain_loops import run

RADIAL = """\
# A radial basis function layer.
input     x[n, k]
target    t[n, i]
parameter c[k, i], beta[i]

r[n, i] = sum((x[n, k] - c[k, i])**2, k)
y[n, i] = exp(-beta[i]*r[n, i])
E       = mean(sum((y[n, i] - t[n, i])**2, i)/2, n)
output    y
"""
BATCH_NORM = """\
input x[n, k]
target t[n, i]
parameter w[k, i], scale[i] = 1, shift[i]
constant eps = 1e-5
size k = 4, i = 3
s[n, i] = sum(x[n, k]*w[k, i], k)
mu[i] = mean(s[n, i], n)
var[i] = mean((s[n, i] - mu[i])**2, n)
y[n, i] = scale[i]*(s[n, i] - mu[i])/sqrt(var[i] + eps) + shift[i]
E = mean(sum((y[n, i] - t[n, i])**2, i)/2, n)
output y
"""
LANGUAGE = """\
integer input token[n, p]
integer target next[n, p]
parameter e[v, d], place[p, d], wq[d, a], wk[d, a], wv[d, b], wo[b, v]
size v = 7, d = 4, p = 5, a = 3, b = 2
h[n, p, d] = e[token[n, p], d] + place[p, d]
q[n, p, a] = sum(h[n, p, d]*wq[d, a], d)
k[n, p, a] = sum(h[n, p, d]*wk[d, a], d)
u[n, p, b] = sum(h[n, p, d]*wv[d, b], d)
s[n, p, r] = where(r <= p, sum(q[n, p, a]*k[n, r, a], a)/sqrt(size(a)), -1e9)
g[n, p, r] = softmax(s[n, p, r], r)
o[n, p, b] = sum(g[n, p, r]*u[n, r, b], r)
z[n, p, v] = sum(o[n, p, b]*wo[b, v], b)
l[n, p, v] = log_softmax(z[n, p, v], v)
E = mean(mean(-l[n, p, next[n, p]], p), n)
output z
"""
TWO_INPUTS = """\
input a[n, k], m[k]
parameter scale[k], rate
y[n, k] = tanh(scale[k]*a[n, k]*m[k]) + rate
E = mean(sum((y[n, k] - a[n, k])**2, k), n) + 0.1*sum(scale[k]**2, k)
output y
"""
CONTRAST = """\
input x[n, k], y[n, l]
parameter wx[k, d], wy[l, d]
size k = 3, l = 4, d = 2
a[n, d] = sum(x[n, k]*wx[k, d], k)
b[n, d] = sum(y[n, l]*wy[l, d], l)
s[n, m] = sum(a[n, d]*b[m, d], d)
p[n, m] = log_softmax(s[n, m], m)
E = -mean(where(n == m, p[n, m], 0), n, m)
output s
"""
LABELS = """\
input image[n, k]
integer target label[n]
parameter w[k, i] = xavier, b[i]
size k = 4, i = 3
z[n, i] = sum(image[n, k]*w[k, i], k) + b[i]
l[n, i] = log_softmax(z[n, i], i)
E = mean(-l[n, label[n]], n)
output z
"""
LETTERS = """\
input k[k, n]
target n[k, t]
parameter t[n, t], i
y[k, t] = sum(k[k, n]*t[n, t], n)*i
E = mean(sum((y[k, t] - n[k, t])**2, t), k)
output y
"""
NETWORKS: dict[str, tuple[str, dict[str, int], bool]] = {
    "radial": (RADIAL, {"k": 3, "i": 2}, True),
    "batch-norm": (BATCH_NORM, {}, False),
    "language": (LANGUAGE, {}, True),
    "two-inputs": (TWO_INPUTS, {"k": 3}, True),
    "contrast": (CONTRAST, {}, False),
    "labels": (LABELS, {}, True),
    "letters": (LETTERS, {"n": 3, "t": 2}, True),
}


def network(name: str) -> Any:
    text, sizes, _ = NETWORKS[name]
    return sb.Network.from_equations(text, sizes)


@pytest.fixture(scope="module")
def modules() -> dict[str, types.ModuleType]:
    return {name: sb.load(network(name)) for name in NETWORKS}


# ------------------------------------------------------------------------------------ derived and run


@pytest.mark.parametrize("name", NETWORKS)
def test_code_agrees_with_numbers(name: str, modules: dict[str, types.ModuleType]) -> None:
    net = network(name)
    assert isinstance(net, sb.Network)
    assert net.model.per_sample == NETWORKS[name][2]
    assert all(row.holds for row in check_module(modules[name], sb.derive(net)))


@pytest.mark.parametrize("name", ["radial", "two-inputs", "contrast"])
def test_every_step_is_proved(name: str) -> None:
    report = check_network(network(name))
    assert report.holds, report.table()


@pytest.mark.parametrize("name", NETWORKS)
def test_forward_agrees_with_plain_loops(name: str, modules: dict[str, types.ModuleType]) -> None:
    """The text is evaluated as it stands, component by component, for three samples each on its own."""
    net = network(name)
    model = net.model
    generator = np.random.default_rng(0)
    x, t = sample_data(net.model, generator)
    module: Any = modules[name]
    parameters = {k: np.asarray(v) + 0.1 for k, v in module.initialize(0, np.float64).items()}
    arrays = dict(parameters)
    for given, argument in ((model.inputs, x), (model.targets, t)):
        arrays |= argument if len(given) > 1 else {g.name: argument for g in given}
    sizes = {Symbol(s, integer=True, positive=True): n for s, n in model.sizes.items()}
    sizes |= {Symbol(c.name, real=True): c.value for c in model.constants}
    found = []
    if not model.per_sample:
        sizes[Symbol("N", integer=True, positive=True)] = 5
        values = run(model.system.equations, arrays, sizes)
        assert module.loss(parameters, x, t) == pytest.approx(float(values["E"]), rel=1e-12)
        np.testing.assert_allclose(module.forward(parameters, x), values[model.output], rtol=1e-10)
        return
    varying = {g.name for g in (*model.inputs, *model.targets) if g.has_samples}
    outputs = module.forward(parameters, x)
    for sample in range(5):
        own = {n: v[sample] if n in varying else v for n, v in arrays.items()}
        values = run(model.system.equations, own, sizes)
        np.testing.assert_allclose(outputs[sample], values[model.output], rtol=1e-10)
        found.append(float(values["E"]))
    assert module.loss(parameters, x, t) == pytest.approx(np.mean(found), rel=1e-12)


def test_gradient_is_per_sample_or_as_written() -> None:
    assert str(sb.derive(network("radial")).adjoint("r")) == "-beta[i]*dy[i]*y[i]"
    whole = sb.derive(network("contrast"))
    assert [str(i) for i in whole.indices("wx")] == ["k", "d"]
    assert not whole.batch


def test_shapes_names_and_first_values() -> None:
    module: Any = sb.load(network("batch-norm"))
    assert module.PARAMETER_SHAPES == {"w": (4, 3), "scale": (3,), "shift": (3,)}
    parameters = module.initialize(0)
    assert parameters["scale"].tolist() == [1, 1, 1]
    assert parameters["shift"].tolist() == [0, 0, 0]
    text = RADIAL.replace("beta[i]\n", "beta[i] = uniform(limit=0.5), v[k, i] = 2.5\n").replace(
        "c[k, i])**2", "c[k, i]*v[k, i])**2"
    )
    found = sb.load(sb.Network.from_equations(text, {"k": 300, "i": 100})).initialize(0, np.float64)
    assert found["c"].std() == pytest.approx(300**-0.5, rel=0.02)  # the default: 1/(the axes that are summed)
    assert np.abs(found["beta"]).max() <= 0.5 < np.abs(found["beta"]).max() + 0.05
    assert set(found["v"].ravel()) == {2.5}


def test_a_bias_inside_a_function_starts_at_zero_and_a_centre_does_not() -> None:
    text = """\
input x[n, k]
parameter w[k, i], b[i], c[k]
h[n, i] = tanh(sum(x[n, k]*w[k, i], k) + b[i])
y[n] = sum((x[n, k] - c[k])**2, k)
E = mean(sum(h[n, i], i) + y[n], n)
output h
"""
    initial = sb.Network.from_equations(text).model.initial
    assert initial["b"].initializer is None
    assert initial["b"].value == 0
    assert initial["c"].initializer is not None


# --------------------------------------------------------------------------------------- the notation


def test_a_maximum_passes_its_derivative_to_the_first_of_equal_ones() -> None:
    text = """\
input x[n, k]
parameter w[k]
s[n, k] = w[k]*x[n, k]
m[n] = max(s[n, k], k)
E = mean(m[n], n)
output m
size k = 3
"""
    module: Any = sb.load(sb.Network.from_equations(text))
    x = np.array([[1.0, 2.0, 2.0], [3.0, 3.0, 3.0]])
    _, found = module.gradients({"w": np.ones(3)}, x)
    assert found["w"].tolist() == [1.5, 1.0, 0.0]


def test_reads_that_only_numbers_relate() -> None:
    """A size that follows from others is written through them, so that the proof knows it, too."""
    text = """\
input x[n, p]
target t[n, h]
parameter w[u]
y[n, h] = sum(x[n, 2*h + u]*w[u], u)
E = mean(sum((y[n, h] - t[n, h])**2, h), n)
output y
"""
    plain = sb.Network.from_equations(text).model
    assert str(plain.system.quantities["x"].shape[0]) == "2*H + U - 2"
    exact = sb.Network.from_equations(text, {"p": 9, "u": 3, "h": 3}).model
    assert exact.shape(exact.system.quantities["x"].shape) == (9,)
    inferred = sb.Network.from_equations(text, {"p": 9, "u": 3}).model
    assert inferred.shape(inferred.system.quantities["y"].shape) == (4,)


def test_the_forward_equations_of_a_masked_sum() -> None:
    text = """\
input x[n, p]
target t[n, p]
parameter w[u]
size u = 3
y[n, p] = sum(where(0 <= p + u - 1 < size(p) and not u == 1, x[n, p + u - 1], 0)*w[u], u)
E = mean(sum((y[n, p] - t[n, p])**2, p), n)
output y
"""
    system = sb.Network.from_equations(text).model.system
    x, w = np.arange(1.0, 6.0), np.array([1.0, 10.0, 100.0])
    sizes = {Symbol("P", integer=True, positive=True): 5, Symbol("U", integer=True, positive=True): 3}
    y = run(system.equations, {"x": x, "w": w, "t": x}, sizes)["y"]
    assert y.tolist() == [200, 301, 402, 503, 4]


def test_what_an_activation_reads_twice_gets_a_name() -> None:
    text = """\
input x[n, k]
target t[n, i]
parameter w[k, i], b[i]
size k = 3, i = 2
p[n, i] = softmax(relu(sum(where(k > 0, x[n, k], 0)*w[k, i], k) + b[i]), i)
E = mean(sum(-t[n, i]*log_softmax(sum(x[n, k]*w[k, i], k) + b[i], i), i) + sum(p[n, i]**2, i), n)
output p
"""
    net = sb.Network.from_equations(text)
    assert [e.name for e in net.model.system.equations] == ["p_in", "p", "E_in", "E"]
    assert net.model.per_sample
    assert all(row.holds for row in check_module(sb.load(net), sb.derive(net)))


def test_sums_inside_sums_are_renamed_without_capture() -> None:
    text = """\
input x[n, k]
target t[n, i]
parameter w[k, i], b[i]
size k = 3, i = 2
y[n, i] = exp(sum(x[n, k]*w[k, i], k) + b[i])
E = mean(log(sum(exp(sum(x[n, k]*w[k, i], k) + b[i])*t[n, i]**2, i)) + sum(y[n, i], i), n)
output y
"""
    net = sb.Network.from_equations(text)
    assert all(row.holds for row in check_module(sb.load(net), sb.derive(net)))


def test_every_activation_is_known_by_name() -> None:
    for name, activation in ACTIVATIONS.items():
        along = ", i" if "total(" in activation.formula else ""
        text = RADIAL.replace("exp(-beta[i]*r[n, i])", f"{name}(beta[i]*r[n, i]{along})")
        assert sb.Network.from_equations(text).model.per_sample, name


def test_facts_are_used_and_checked() -> None:
    text = """\
input x[n, k]
target t[n, i]
parameter w[k, i]
size k = 2, i = 3
assume sum(t[n, i], i) == 1
assume 0 <= t[n, i] <= 1
s[n, i] = sum(x[n, k]*w[k, i], k)
p[n, i] = softmax(s[n, i], i)
E = mean(-sum(t[n, i]*log(p[n, i]), i), n)
output p
"""
    net = sb.Network.from_equations(text)
    assert str(sb.derive(net).adjoint("s")) == "p[i] - t[i]"
    trainer = sb.load(net).Trainer(seed=0)
    with pytest.raises(ValueError, match="adds up to"):
        trainer.fit(np.zeros((1, 2)), np.full((1, 3), 0.5), 1)
    with pytest.raises(ValueError, match="must lie in"):
        trainer.fit(np.zeros((1, 2)), np.array([[2.0, -0.5, -0.5]]), 1)
    without = sb.Network.from_equations(text.replace("assume sum(t[n, i], i) == 1\n", ""))
    assert "Sum(t[" in str(sb.derive(without).adjoint("s"))


# -------------------------------------------------------------------------------------- the generated module


def test_a_dict_of_inputs_and_no_target(modules: dict[str, types.ModuleType], tmp_path: Path) -> None:
    module: Any = modules["two-inputs"]
    generator = np.random.default_rng(0)
    x = {"a": generator.normal(size=(50, 3)), "m": np.ones(3)}
    trainer = module.Trainer(seed=0, batch_size=8, learning_rate=0.1)
    history = trainer.fit(x, None, 30)["loss"]
    assert history[-1] < history[0]
    data, weights = tmp_path / "data.npz", tmp_path / "weights.npz"
    np.savez(data, **x)
    assert module.main(["train", str(data), "--epochs", "2", "-o", str(weights)]) == 0
    assert module.main(["evaluate", str(weights), str(data)]) == 0
    assert module.main(["predict", str(weights), str(data), "-o", str(tmp_path / "y.csv")]) == 0
    assert np.loadtxt(tmp_path / "y.csv", delimiter=",").shape == (50, 3)
    assert module.main(["check"]) == 0
    np.savez(data, a=x["a"])
    assert module.main(["train", str(data), "-o", str(weights)]) == 2


WRONG_DATA = {
    "names": ("two-inputs", {"a": np.ones((2, 3))}, None, "x must be a dict of a, m"),
    "shape": ("two-inputs", {"a": np.ones((2, 3)), "m": np.ones(4)}, None, r"m must have shape \(3,\)"),
    "target": ("two-inputs", {"a": np.ones((2, 3)), "m": np.ones(3)}, np.ones(2), "no targets"),
    "finite": (
        "two-inputs",
        {"a": np.full((2, 3), np.nan), "m": np.ones(3)},
        None,
        "column 0 is nan",
    ),
    "rows": ("labels", np.ones((2, 4)), np.ones(3), r"x has 2 rows and t has 3; they must be equal"),
    "range": (
        "labels",
        np.ones((2, 4)),
        np.array([0, 3]),
        r"t: row 1 is 3, not a whole number from 0 to 2",
    ),
    "whole": ("labels", np.ones((2, 4)), np.array([0, 0.5]), "not a whole number"),
    "token": ("language", np.full((2, 5), -1), np.zeros((2, 5)), "not a whole number from 0 to 6"),
    "empty": ("labels", np.ones((0, 4)), np.zeros(0), "x has no rows"),
}


@pytest.mark.parametrize("name", WRONG_DATA)
def test_wrong_data_are_refused(name: str, modules: dict[str, types.ModuleType]) -> None:
    module, x, t, message = WRONG_DATA[name]
    trainer = modules[module].Trainer(seed=0)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=message):
        trainer.fit(x, t, 1)


def test_labels_as_places_give_an_accuracy(
    modules: dict[str, types.ModuleType], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module: Any = modules["labels"]
    generator = np.random.default_rng(0)
    x = generator.normal(size=(90, 4))
    label = x[:, :3].argmax(axis=1)
    data, weights = tmp_path / "data.npz", tmp_path / "weights.npz"
    np.savez(data, image=x, label=label)
    options = ["--epochs", "60", "--seed", "0", "--standardize", "-o", str(weights)]
    assert module.main(["train", str(data), *options]) == 0
    assert module.main(["evaluate", str(weights), str(data)]) == 0
    accuracy = float(re.findall(r"accuracy ([\d.]+)%", capsys.readouterr().out)[0])
    assert accuracy > 90
    np.savez(data, x=x, t=label)  # the names of the arguments do as well
    assert module.main(["evaluate", str(weights), str(data)]) == 0


@pytest.mark.parametrize("name", ["batch-norm", "contrast"])
def test_a_whole_batch_trains_and_resumes(
    name: str, modules: dict[str, types.ModuleType], tmp_path: Path
) -> None:
    module: Any = modules[name]
    generator = np.random.default_rng(0)
    x: Any = generator.normal(size=(20, 4))
    t: Any = np.tanh(x[:, :3])
    if name == "contrast":
        x, t = {"x": x[:, :3], "y": x}, None
    first = module.Trainer(seed=0, batch_size=8)
    first.fit(x, t, 3)
    first.save(tmp_path / "state.npz")
    second = module.Trainer.load(tmp_path / "state.npz")
    history = first.fit(x, t, 20)["loss"]
    assert second.fit(x, t, 20)["loss"] == history
    assert history[-1] < history[0]


def test_architecture_holds_what_makes_the_same_module(tmp_path: Path) -> None:
    net = network("radial")
    path = tmp_path / "radial.py"
    source = sb.generate(net, path, optimizer="adam")
    report = check_file(path)
    assert report.holds
    assert report.remarks[0].endswith("is what this version generates from its ARCHITECTURE.")
    namespace: dict[str, Any] = {}
    exec(source.split("PARAMETER_SHAPES")[0].split("import numpy as np")[1], namespace)
    assert namespace["ARCHITECTURE"] == RADIAL + "--size k=3 --size i=2 --optimizer adam"


def test_equal_texts_give_equal_bytes() -> None:
    assert sb.generate(network("language")) == sb.generate(network("language"))


# ------------------------------------------------------------------------------- dense networks as texts


def body(source: str) -> str:
    """Return a module without its header and its ARCHITECTURE."""
    return source[source.index("PARAMETER_SHAPES") :]


DENSE: dict[str, dict[str, Any]] = {
    "plain": {"architecture": "2-3-1"},
    "regularised": {"architecture": "4-5:relu-3:softmax", "l2": 0.01, "l1": 0.002},
    "smoothed": {"architecture": "4-3-2", "label_smoothing": 0.1, "bias": False, "init": "orthogonal"},
    "weighted": {
        "architecture": "4-3:tanh-2:softmax",
        "class_weights": (1.0, 2.5),
        "label_smoothing": 0.1,
        "facts": False,
    },
    "smoothed-softmax": {"architecture": "3-4-5-3-4:softmax", "label_smoothing": 0.1, "l1": 0.2},
    "deep": {"architecture": "3-4-5-3-4-2", "l2": 0.1},
    "formulas": {
        "architecture": "3-4:(swish_beta(s) + 1.12345678901234567890*s)-3:(elu(s, alpha=0.25))",
        "loss": "focal(gamma=1.5)",
    },
    "calls": {"architecture": "3-4:softmax-3:prelu-4:log_softmax", "loss": "nll", "hidden": "elu(alpha=0.5)"},
    "own-loss": {"architecture": "3-1:identity", "loss": "(x - t)**4", "init": "zeros"},
}


@pytest.mark.parametrize("name", DENSE)
def test_a_dense_network_and_its_text_make_the_same_module(name: str) -> None:
    net = sb.Network(**DENSE[name])
    read = sb.Network.from_equations(text_of(net))
    assert body(sb.generate(read)) == body(sb.generate(net))


LIBRARY: dict[str, dict[str, Any]] = {
    **{f"{name}-": {"architecture": f"3-4:{name}-5:{name}", "loss": "squared_error"} for name in ACTIVATIONS},
    **{f"-{name}": {"architecture": "3-4-5:softplus", "loss": name} for name in LOSSES},
    **{f"-{name}-softmax": {"architecture": "3-4-5:softmax", "loss": name} for name in LOSSES},
}


def with_sizes_of(dense: EquationSystem, read: EquationSystem) -> EquationSystem:
    """Return ``read`` with the size symbols of ``dense``: those alone have other names."""
    names: dict[Any, Any] = {}
    for name, quantity in read.quantities.items():
        names.update(zip(quantity.shape, dense.quantities[name].shape, strict=True))
    return EquationSystem(
        tuple(Equation(e.lhs.xreplace(names), e.rhs.xreplace(names)) for e in read.equations),
        {n: type(q)(n, tuple(i.xreplace(names) for i in q.shape)) for n, q in read.quantities.items()},
        read.parameters,
        read.inputs,
        read.loss,
        tuple(Fact(f.component.xreplace(names), f.index, f.value) for f in read.facts),
        {name: replace(role, kind=dense.kind(name) and role.kind) for name, role in read.roles.items()},
        dense.size_roles,
    )


@pytest.mark.parametrize("name", LIBRARY)
def test_every_entry_of_the_library_is_read_back(name: str) -> None:
    net = sb.Network(**LIBRARY[name])
    dense, read = net.model, sb.Network.from_equations(text_of(net)).model
    assert with_sizes_of(dense.system, read.system) == dense.system
    assert (read.constants, read.output, read.per_sample) == (dense.constants, dense.output, True)
    assert [dense.shape(g.shape) for g in dense.inputs] == [read.shape(g.shape) for g in read.inputs]
    for ours, theirs in zip(read.targets, dense.targets, strict=True):
        assert (ours.low, ours.high, ours.total) == (theirs.low, theirs.high, theirs.total)
    for parameter, initial in dense.initial.items():
        found = read.initial[parameter]
        assert (found.initializer, found.value) == (initial.initializer, initial.value)
        assert read.size(found.fan_in) == dense.size(initial.fan_in)
        assert read.size(found.fan_out) == dense.size(initial.fan_out)


def test_a_text_is_printed_as_it_stands_with_its_sizes() -> None:
    text = text_of(network("radial"))
    assert text == RADIAL + "size k = 3\nsize i = 2\n"
    assert sb.Network.from_equations(text).model.sizes == network("radial").model.sizes


ODD = {
    "shifted-samples": (
        "input x[n, k]\nparameter w[k]\nsize k = 2\n"
        "y[n] = sum(w[k]*where(n >= 1, x[n - 1, k], 0), k)\nE = mean((y[n] - x[n, 0])**2, n)\noutput y"
    ),
    "transposed-convolution": (
        "input h[n, g, a, b]\ntarget t[n, o, p, q]\nparameter w[g, o, r, m]\n"
        "size g = 2, a = 3, b = 2, o = 2, p = 6, q = 4, r = 2, m = 2\n"
        "up[n, o, p, q] = sum(where(p == 2*a + r and q == 2*b + m, h[n, g, a, b]*w[g, o, r, m], 0),"
        " g, a, b, r, m)\n"
        "E = mean(sum((up[n, o, p, q] - t[n, o, p, q])**2, o, p, q), n)\noutput up"
    ),
    "scalars": (
        "input x[n]\ntarget t[n]\nparameter a = 1, b\n"
        "y[n] = a*x[n] + b\nE = mean((y[n] - t[n])**2, n)\noutput y"
    ),
    "two-targets": (
        "input x[n, k]\ntarget a[n, k], b[n]\nparameter w[k]\nsize k = 3\n"
        "y[n, k] = w[k]*x[n, k]\nE = mean(sum((y[n, k] - a[n, k]*b[n])**2, k), n)\noutput y"
    ),
    "scalar-output": (
        "input x[n, k]\nparameter w[k]\nsize k = 3\ny[n, k] = w[k]*x[n, k]\n"
        "m = mean(y[n, k], n, k)\nE = mean(sum((y[n, k] - m)**2, k), n)\noutput m"
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_shapes_agree_with_numbers(name: str) -> None:
    net = sb.Network.from_equations(ODD[name])
    assert all(row.holds for row in check_module(sb.load(net), sb.derive(net)))


def test_from_equations_wants_a_text() -> None:
    with pytest.raises(SpecificationError, match="equations: expected a text, got int"):
        sb.Network.from_equations(3)  # type: ignore[arg-type]


@pytest.mark.parametrize("axis", ["c", "p"])
@pytest.mark.parametrize("total", ["1", "2", "0", "1/2"])
def test_data_with_a_total_are_drawn_so(total: str, axis: str) -> None:
    text = f"""
        input x[n, d]
        target t[n, p, c]
        parameter w[d, p, c]
        size d = 2, p = 3, c = 4

        s[n, p, c] = sum(x[n, d]*w[d, p, c], d)
        y[n, p, c] = softmax(s[n, p, c], {axis})
        E = mean(-sum(t[n, p, c]*log(y[n, p, c]), p, c), n)
        output y
        assume sum(t[n, p, c], {axis}) == {total}
    """
    net = sb.Network.from_equations(text)
    derivation = sb.derive(net)
    assert derivation.used_facts
    _, t = sample_data(net.model, np.random.default_rng(0))
    totals = np.asarray(t).sum(axis=1 if axis == "p" else 2)
    np.testing.assert_allclose(totals, float(Fraction(total)), atol=1e-12)
    module: Any = sb.load(derivation)
    assert all(row.holds for row in check_module(module, sb.derive(net)))
    assert module.main(["check"]) == 0
