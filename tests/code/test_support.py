"""What stands above the runtime of modules: choices by bits, and functions that NumPy lacks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from symbackprop.code.runtime.support import _erf, _put

TYPES = ["float32", "float64"]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("values", ["array", "row", "number", "column of an array"])
def test_a_choice_by_bits_is_numpys(dtype: str, values: str) -> None:
    """What is not chosen leaves no trace: no 0 times infinity, and the same NaN and -0."""
    rng = np.random.default_rng(0)
    begin = rng.normal(size=(64, 40)).astype(dtype)
    begin[::5, ::3], begin[1::5, ::3], begin[2::5, ::3] = np.nan, np.inf, -0.0
    new: np.ndarray | float = {
        "array": begin[::-1].copy(), "row": begin[3], "number": 0.5,
        "column of an array": begin.T.copy().T,
    }[values]  # fmt: skip
    for where in (begin > 0, begin[:1] > 0, begin[:, :1] > 0, begin > np.inf):
        for out in (begin.copy(), np.zeros((64, 80), dtype)[:, ::2]):
            wanted = out.copy()
            np.copyto(wanted, new, where=where)
            _put(out, new, where)
            assert out.tobytes() == wanted.tobytes()


def test_few_numbers_are_chosen_as_well() -> None:
    out = np.arange(4.0)
    _put(out, -1, out > 1)
    assert out.tolist() == [0, 1, -1, -1]


@pytest.mark.parametrize("dtype", TYPES)
def test_the_error_function_is_right_to_rounding(dtype: str) -> None:
    """Over more numbers than are taken at a time."""
    near = np.concatenate([[0, -0.0, 1, np.nextafter(1, 0), 9, np.inf], np.geomspace(1e-30, 7, 9000)])
    z = np.concatenate([near, -near]).astype(dtype).reshape(4, -1)
    wanted = np.array([math.erf(v) for v in z.ravel()]).reshape(z.shape)
    found = _erf(z)
    assert found.dtype == z.dtype
    assert (np.abs(found - wanted) <= 3 * np.spacing(np.abs(wanted).astype(dtype))).all()
    assert np.signbit(_erf(np.array([-0.0], dtype))).all()
    assert np.isnan(_erf(np.array([np.nan], dtype))).all()


def test_the_error_function_writes_where_it_is_told_to() -> None:
    z = np.linspace(-2, 2, 30).reshape(5, 6)
    apart = np.zeros((6, 5)).T
    assert _erf(z, out=apart) is apart
    assert (apart == _erf(z)).all()
    assert _erf(z.T).tolist() == _erf(z).T.tolist()
    assert _erf(z, out=z) is z
    assert (z == apart).all()
