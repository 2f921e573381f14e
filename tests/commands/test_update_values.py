"""One step of an optimiser in numbers, by its equations alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from symbackprop.commands.update_values import default_values, updated_values
from symbackprop.library.optimizers import OPTIMIZERS

W, G = np.array([0.5, -2.0, 0.0]), np.array([0.25, -1.0, 3.0])


def stepped(optimizer: str, **values: float) -> dict[str, Any]:
    start = dict.fromkeys(OPTIMIZERS[optimizer].state, 0.0)
    return dict(
        updated_values(optimizer, {**default_values(optimizer), **start, "w": W, "g": G, "step": 1, **values})
    )


def test_what_is_given_comes_first_and_new_values_follow_in_order() -> None:
    found = stepped("adam", learning_rate=0.5)
    assert list(found)[-3:] == ["m'", "v'", "w'"]
    assert found["w"] is W
    assert found["learning_rate"] == 0.5
    assert found["beta1"] == 0.9


def test_an_equation_reads_the_new_values_of_those_before_it() -> None:
    found = stepped("momentum", v=2.0)
    np.testing.assert_array_equal(found["v'"], 0.9 * 2.0 + G)
    np.testing.assert_array_equal(found["w'"], W - 0.01 * (0.9 * 2.0 + G))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_arrays_and_single_numbers_give_the_same(optimizer: str) -> None:
    whole = stepped(optimizer)
    for place in range(3):
        single = stepped(optimizer, w=float(W[place]), g=float(G[place]))
        for name in (*OPTIMIZERS[optimizer].state, "w"):
            assert math.isclose(single[f"{name}'"], whole[f"{name}'"][place], rel_tol=1e-15)
