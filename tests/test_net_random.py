"""Random networks in index notation: text in, trainer out, compared with numbers and with plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.gradient_check import check_module, sample_data
from symbackprop.proof import prove
from tests.net_text import evaluate
from tests.random_net import RandomNet, random_net

PROVED = 5  # of so many networks the steps of one are proved


def compare_with_loops(made: RandomNet, network: Any, module: Any, seed: int) -> None:
    """Compare loss and outputs of the module, on five samples, with the text as plain loops."""
    generator = np.random.default_rng(seed)
    x, t = sample_data(network, generator)
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
    wrong = [row for row in check_module(module, network) if not row.holds]
    assert not wrong, f"{wrong}\n{made.text}"
    if seed % PROVED == 0:
        for verdict in prove(derivation):
            assert verdict.holds, f"{verdict.step.lhs}: {verdict.counterexample}\n{made.text}"
