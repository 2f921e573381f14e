"""Every activation with every loss: value and derivative against many digits, from -1e30 to 1e30.

A number counts as right if its error is at most 4096 roundings of a number of magnitude 1, or of its own if
that is larger: 3 digits of float32, 12 of float64.  Where the true value is none of the dtype
nothing is asked for.
"""

from __future__ import annotations

import re
import warnings
from itertools import product

import mpmath
import numpy as np
import pytest

import symbackprop as sb
from symbackprop.library.activations import ACTIVATIONS
from symbackprop.library.losses import LOSSES
from tests.automatic import differentiate

SIZES = (1e-30, 1e-8, 0.3, 3.0, 17.0, 40.0, 89.0, 710.0, 1000.0, 1e6, 1e10, 1e20, 1e30)
POINTS = sorted({0.0, *SIZES, *(-size for size in SIZES)})


def truth(text: str, names: dict[str, float]) -> tuple[float, float] | None:
    """Return value and derivative for s as many digits have them, None where there are none."""
    found: list[tuple[float, float]] = []
    for digits in (60, 130, 1000):
        with mpmath.workdps(digits):
            try:
                value, gradient = differentiate(text, names)
                found.append((float(value), float(gradient["s"])))
            except (ArithmeticError, ValueError, TypeError, AttributeError):
                return None
        if len(found) > 1 and found[-1] == found[-2]:
            return found[-1]
    return None


def failures(activation: str, loss: str) -> list[str]:
    """Return where value or derivative of a loss of an activation is not right, as texts."""
    a, e = ACTIVATIONS[activation], LOSSES[loss]
    whole = re.sub(r"\bx\b", f"({a.formula})", e.formula)
    constants = {n: float(v) for n, v in {**a.parameters, **e.parameters}.items()}
    module = sb.load(sb.Network(f"1-1:{activation}", loss=loss))
    low, high = (-3 if e.low is None else e.low), (3 if e.high is None else e.high)
    found = []
    for dtype, target in product((np.float32, np.float64), sorted({float(low), float(high), 0.25})):
        parameters = module.initialize(0, dtype)
        parameters["w1"][...], parameters["b1"][...] = 1, 0
        for at in POINTS:
            point = float(dtype(at))
            exact = truth(whole, {"s": point, "t": target, **constants})
            if exact is None:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value, gradients = module.gradients(parameters, [[point]], [[target]])
            own = float(value), float(gradients["b1"][0])
            limits = np.finfo(dtype)
            for what, mine, right in zip(("E", "dE"), own, exact, strict=True):
                near = abs(mine - right) <= 4096 * float(limits.eps) * max(1.0, abs(right))
                if abs(right) < float(limits.max) and not near:
                    found.append(
                        f"{what} {dtype.__name__} s={at:g} t={target:g}: {mine:.6g}, not {right:.6g}"
                    )
    return found


NOT_RIGHT = {
    "tanh": {"focal"},
    "prelu": {"squared_error"},
    "softplus": {"binary_cross_entropy", "cross_entropy", "poisson_nll", "kl_divergence", "focal"},
    "softsign": {"binary_cross_entropy", "focal"},
    "silu": {"squared_error", "squared_hinge"},
}
"""The losses with which an activation is not right somewhere; docs/functions.md says where and why."""

LOOKED_AT = ("sigmoid", "tanh", "relu", "leaky_relu", "prelu", "elu", "selu", "celu", "softplus", "softsign")


@pytest.mark.slow
@pytest.mark.parametrize("activation", [*LOOKED_AT, "silu"])
def test_a_loss_of_an_activation_is_right_from_far_below_to_far_above(activation: str) -> None:
    wrong = {loss for loss in LOSSES if failures(activation, loss)}
    assert wrong == NOT_RIGHT.get(activation, set())


def test_the_comparison_catches_a_form_that_is_not_right() -> None:
    assert failures("softsign", "binary_cross_entropy")


def test_a_sigmoid_with_its_own_loss_is_right() -> None:
    assert failures("sigmoid", "binary_cross_entropy") == []
