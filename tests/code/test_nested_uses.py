"""Blocks that use blocks in a repetition: layers that are known by where uses stand, not by their numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.arrays import signature as lowering
from symbackprop.arrays.operations import Layered
from symbackprop.code.entries import Keys
from symbackprop.commands.check import check_network
from symbackprop.network.network import Network

HEAD = """\
input x[n, d]
target t[n, d]
size d = 3
block scaled(a[n, d]) -> b[n, d]
    parameter gain[d] = 1
    constant small = 1e-5
    size2[n] = mean(a[n, d]**2, d)
    b[n, d] = gain[d]*a[n, d]/sqrt(size2[n] + small)
block inner(a[n, d]) -> b[n, d]
    parameter w[d, e]
    u = scaled(a)
    b[n, d] = tanh(sum(u[n, e]*w[d, e], e))
"""
LAYER = """\
block layer(a[n, d]) -> b[n, d]
    parameter w[d, e]
    u = scaled(a)
    v = inner(u)
    s[n, d] = sum(v[n, e]*w[d, e], e)
    r = scaled(s)
    b[n, d] = a[n, d] + r[n, d]
"""
TWICE = """\
block layer(a[n, d]) -> b[n, d]
    u = repeat(inner, 2, a)
    b[n, d] = a[n, d] + u[n, d]
"""
END = """\
h{0} = repeat(layer, {0}, h0)
y = scaled(h{0})
E = mean(sum((y[n, d] - t[n, d])**2, d), n)
output y
"""
START = "parameter start[d] = 2\nh0[n, d] = start[d]*x[n, d]\n"


def network(count: int, layer: str = LAYER) -> Network:
    return Network.from_equations(HEAD + layer + START + END.format(count))


def loops_of(text: str) -> list[str]:
    return re.findall(r"^ *for layer in (range\(.*\)):$", text, re.MULTILINE)


def test_parameters_count_the_uses_of_their_own_block() -> None:
    parameters = network(4).model.system.parameters
    assert [name for name in parameters if name[0] == "g"] == [f"gain{n}" for n in range(1, 14)]
    assert len(parameters) == 1 + 13 + 8


def test_what_belongs_to_a_layer_is_known_by_where_its_use_stands() -> None:
    roles = network(4).model.system.roles
    assert (roles["gain4"].layer, roles["gain4"].word) == (2, "gain_u")
    assert (roles["gain5"].layer, roles["gain5"].word) == (2, "gain_v_u")
    assert (roles["gain6"].layer, roles["gain6"].word) == (2, "gain_r")
    assert roles["size2_r2"].layer == 2
    assert "gain13" not in roles


@pytest.mark.parametrize("layer", [LAYER, TWICE], ids=["two in a layer", "a repetition in another"])
def test_layers_with_blocks_inside_are_one_loop(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(4, layer)
    module = sb.load(net)
    forward, backward = "range(1, 5)", "range(4, 0, -1)"
    loops = loops_of(sb.generate(net, bare=True))
    assert loops == [forward, forward, backward]
    monkeypatch.setattr("symbackprop.code.loops.LEAST_USES", 99)
    plain = sb.load(network(4, layer))
    generator = np.random.default_rng(0)
    parameters = {name: generator.normal(size=shape) for name, shape in module.PARAMETER_SHAPES.items()}
    assert list(module.PARAMETER_SHAPES) == list(plain.PARAMETER_SHAPES)
    x, t = generator.normal(size=(2, 5, 3))
    error, found = module.gradients(parameters, x, t)
    other_error, other = plain.gradients(parameters, x, t)
    assert error == pytest.approx(other_error) == pytest.approx(module.loss(parameters, x, t))
    assert list(found) == list(other)
    for name, value in other.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-10, atol=1e-13)
    trainers = [each.Trainer(parameters, learning_rate=0.1) for each in (module, plain)]
    for _ in range(2):
        assert trainers[0].step(x, t) == pytest.approx(trainers[1].step(x, t))
    for name, value in trainers[1].parameters.items():
        np.testing.assert_allclose(trainers[0].parameters[name], value, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("layer", [LAYER, TWICE])
def test_such_a_module_is_checked(layer: str) -> None:
    report = check_network(network(4, layer))
    assert report.holds, report.table()


def test_more_layers_add_no_lines() -> None:
    few, many = (sb.generate(network(count), bare=True) for count in (5, 10))
    assert abs(many.count("\n") - few.count("\n")) <= 6  # longer numbers break lines of comments


def test_the_derivation_says_such_layers_once_and_names_all_in_one_way() -> None:
    text = sb.derive(network(4)).text()
    plain = re.sub(r"\s+", " ", text)
    assert "The layers ℓ = 1, …, 4 are alike" in text
    assert "u[ℓ,d] = gain_u[ℓ,d]·h[ℓ-1,d]/sqrt(size2_u[ℓ] + small)" in text
    assert "gain_u[ℓ,d] is gain1, gain4, …, gain10" in plain
    assert not re.search(r"gain[1-9]\b(?!3)\[", text)


def test_letters_and_constants_of_equal_uses_are_the_same() -> None:
    text = "from library import transformer_block\ninput x0[n, p, d]\ntarget t[n, p, d]\nsize p = 3, d = 2\n"
    text += "x4 = repeat(transformer_block, 4, x0, h=2, a=2, f=2)\noutput x4\n"
    model = Network.from_equations(text + "E = mean(sum((x4[n, p, d] - t[n, p, d])**2, p, d), n)\n").model
    assert [constant.name for constant in model.constants] == ["epsilon"]
    assert {"A", "F", "H"} <= {name.upper() for name in model.sizes}
    assert len(model.sizes) == 5
    assert not model.system.size_roles


def test_equal_layers_of_known_sizes_are_lowered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[object] = []

    class Counted(lowering.Lowering):
        def run(self) -> lowering.Operation:
            runs.append(self)
            return super().run()

    monkeypatch.setattr(lowering, "Lowering", Counted)
    counts = []
    for count in (5, 5, 8):  # the first one finds out what the others of a process know
        runs.clear()
        sb.generate(sb.derive(network(count)), bare=True)
        counts.append(len(runs))
    assert counts[1] == counts[2]


def test_keys_that_count_other_things_than_layers() -> None:
    names = {f"gain{2 * n - 1}": Layered("gain_u", n) for n in range(1, 5)}
    assert Keys(names).of("gain_u") == 'f"gain{2 * layer - 1}"'
    odd = {"gain1": Layered("gain_u", 1), "gain2": Layered("gain_u", 2), "gain5": Layered("gain_u", 3)}
    assert not Keys(odd).layered
    assert Keys(odd).dicts([("gain_u", "parameters", {1: "gain1", 2: "gain2", 3: "gain5"})], 80) == [
        "gain_u = {",
        '    1: parameters["gain1"],',
        '    2: parameters["gain2"],',
        '    3: parameters["gain5"],',
        "}",
    ]
