"""Every activation with every loss: value and derivative against 60 digits, from -1e30 to 1e30.

A number counts as right if its error is at most 4096 roundings of a number of magnitude 1, or of its own if
that is larger: 3 digits of float32, 12 of float64.  Where the true value is none of the dtype
nothing is asked for.
"""

from __future__ import annotations

import warnings
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.library.activations import ACTIVATIONS
from symbackprop.library.losses import LOSSES, Loss
from symbackprop.proof.prover import prove
from tests.far_numbers import ONE, Dual, evaluated, far

SIZES = (1e-30, 1e-8, 0.3, 3.0, 17.0, 40.0, 89.0, 710.0, 1000.0, 1e6, 1e10, 1e20, 1e30)
POINTS = sorted({0.0, *SIZES, *(-size for size in SIZES)})
OF_A_UNIT = [name for name, activation in ACTIVATIONS.items() if not activation.is_of_layer]
"""The activations of which a unit's output depends on its own s alone."""


@cache
def output(activation: str, s: float) -> Dual | None:
    """Return the output at s and its derivative."""
    a = ACTIVATIONS[activation]
    constants = {name: Dual(far(float(value))) for name, value in a.parameters.items()}
    return evaluated(a.formula, {"s": Dual(far(s), ONE), **constants})


@cache
def truth(activation: str, loss: str, s: float, t: float) -> tuple[Any, Any] | None:
    """Return the error at s and its derivative, None where there is none."""
    x, e = output(activation, s), LOSSES[loss]
    if x is None:
        return None
    constants = {name: Dual(far(float(value))) for name, value in e.parameters.items()}
    whole = evaluated(e.formula, {"x": x, "t": Dual(far(t)), **constants})
    return None if whole is None else (whole.value.lead, whole.slope.lead)


def targets_of(loss: Loss) -> list[float]:
    low, high = (-3 if loss.low is None else loss.low), (3 if loss.high is None else loss.high)
    return sorted({float(low), float(high), 0.25})


def is_right(mine: float, right: Any, dtype: Any) -> bool:
    """Whether a number is close enough, or what is right is no number of the dtype."""
    limits = np.finfo(dtype)
    if abs(right) >= float(limits.max):
        return True
    return bool(abs(mine - float(right)) <= 4096 * float(limits.eps) * max(1.0, abs(float(right))))


def failures(activation: str, loss: str) -> list[str]:
    """Return where value or derivative of a loss of an activation is not right, as texts."""
    module = sb.load(sb.Network(f"1-1:{activation}", loss=loss))
    found = []
    for dtype, target in product((np.float32, np.float64), targets_of(LOSSES[loss])):
        parameters = module.initialize(0, dtype)
        parameters["w1"][...], parameters["b1"][...] = 1, 0
        for point in (float(dtype(at)) for at in POINTS):
            exact = truth(activation, loss, point, target)
            if exact is None:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value, gradients = module.gradients(parameters, [[point]], [[target]])
            own = float(value), float(gradients["b1"][0])
            for what, mine, right in zip(("E", "dE"), own, exact, strict=True):
                if not is_right(mine, right, dtype):
                    found.append(f"{what} {dtype.__name__} s={point:g} t={target:g}: {mine:g}, not {right}")
    return found


NOT_RIGHT = {
    "prelu": {"squared_error"},
    "srelu": {"squared_error"},
    "softsign": {"focal"},
    "tanhshrink": {"binary_cross_entropy", "cross_entropy", "poisson_nll", "kl_divergence", "focal"},
    "exp": {"hinge", "negative_log_likelihood"},
    "gaussian": {"binary_cross_entropy", "cross_entropy", "poisson_nll", "kl_divergence", "focal"},
}
"""The losses with which an activation is not right somewhere; docs/functions.md says where and why."""


@pytest.mark.slow
@pytest.mark.parametrize("activation", OF_A_UNIT)
def test_a_loss_of_an_activation_is_right_from_far_below_to_far_above(activation: str) -> None:
    wrong = {loss: found for loss in LOSSES if (found := failures(activation, loss))}
    assert set(wrong) == NOT_RIGHT.get(activation, set()), wrong


QUICK = [
    ("sigmoid", "binary_cross_entropy"),
    ("softplus", "log_cosh"),
    ("softplus", "cross_entropy"),
    ("softplus", "poisson_nll"),
    ("gelu", "log_cosh"),
    ("logsigmoid", "log_cosh"),
    ("silu", "squared_error"),
    ("exp", "binary_cross_entropy"),
    ("softsign", "binary_cross_entropy"),
    ("relu", "huber"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("activation", "loss"), QUICK)
def test_a_pair_is_right(activation: str, loss: str) -> None:
    assert failures(activation, loss) == []


def test_the_comparison_catches_a_form_that_is_not_right() -> None:
    assert failures("tanhshrink", "cross_entropy")


@pytest.mark.slow
@pytest.mark.parametrize("text", ["softplus", "softsign", "exp"])
def test_longer_forms_are_proved(text: str) -> None:
    derivation = sb.derive(sb.Network(f"1-1:{text}", loss="binary_cross_entropy"))
    assert derivation.stable
    assert all(verdict.holds for verdict in prove(derivation))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_focal_loss_with_an_exponent_below_1_goes_on_when_all_is_learnt(dtype: Any) -> None:
    """The root of 1 - x is 0 from some step on, and its derivative is divided by it."""
    module = sb.load(sb.Network("2-1:sigmoid", loss="focal(gamma=0.5)"))
    x = np.array([[2.0, 1.0], [1.0, 3.0], [-2.0, -1.0], [-1.0, -3.0]], dtype)
    t = np.array([[1.0], [1.0], [0.0], [0.0]], dtype)
    parameters = module.initialize(0, dtype)
    for _ in range(2000):
        value, gradients = module.gradients(parameters, x, t)
        assert np.isfinite(value)
        for name, gradient in gradients.items():
            assert np.all(np.isfinite(gradient))
            parameters[name] -= dtype(200) * gradient
    assert value < 1e-6


def test_the_reference_keeps_what_no_precision_holds_in_one_piece() -> None:
    """1 - 1/(1 + exp(-s)) is exp(-s), and log(log(1 + exp(s))) is s."""
    rest = evaluated("log(1 - 1/(1 + exp(-s)))", {"s": Dual(far(1e30), ONE)})
    twice = evaluated("log(log(1 + exp(s)))", {"s": Dual(far(-1e30), ONE)})
    assert rest is not None
    assert twice is not None
    assert [float(d.value.lead) for d in (rest, twice)] == [-1e30, -1e30]
    assert [float(d.slope.lead) for d in (rest, twice)] == [-1, 1]
