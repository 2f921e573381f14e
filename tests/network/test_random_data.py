"""Random data: what is drawn is what the network accepts."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Rational, sympify

import symbackprop as sb
from symbackprop.equations.model import SAMPLES_DRAWN, Draw
from symbackprop.library.initializers import INITIALIZERS
from symbackprop.network.random_data import drawn, initial_values, rounded, sample_arrays, sample_data
from tests.conftest import ROOT, same_initial_values

EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.net"))

TOTALS = [
    *(Draw((4, 3), total=sympify(total)) for total in (1, 0, -2, Rational(5, 2))),
    Draw((4, 3), bounds=(0.05, 0.95), total=sympify(1)),
    Draw((4, 3, 2), total=sympify(1), axis=1),
    Draw((4, 3, 2), total=sympify(0), axis=2),
    Draw((4, 1), total=sympify(1)),
]


@pytest.mark.parametrize("draw", TOTALS, ids=str)
def test_a_total_is_reached(draw: Draw) -> None:
    assert draw.total is not None
    values = drawn(draw, np.random.default_rng(0))
    assert values.shape == draw.shape
    np.testing.assert_allclose(values.sum(axis=draw.axis), float(draw.total), atol=1e-12)
    assert draw.total <= 0 or (values > 0).all()


@pytest.mark.parametrize("draw", TOTALS, ids=str)
@pytest.mark.parametrize("decimals", [1, 2, 5])
def test_short_numbers_have_the_total_too(draw: Draw, decimals: int) -> None:
    assert draw.total is not None
    values = drawn(draw, np.random.default_rng(0))
    short = rounded(draw, values, decimals)
    np.testing.assert_allclose(short.sum(axis=draw.axis), float(draw.total), atol=1e-12)
    np.testing.assert_array_equal(short, np.round(short, decimals))
    np.testing.assert_allclose(short, values, atol=draw.shape[draw.axis] * 10.0**-decimals)


def test_bounds_and_places_are_kept() -> None:
    generator = np.random.default_rng(0)
    between = drawn(Draw((50, 20), bounds=(-3.0, -2.5)), generator)
    assert -3.0 <= between.min() < -2.9
    assert -2.6 < between.max() <= -2.5
    whole = drawn(Draw((50, 20), places=3), generator)
    assert whole.dtype.kind == "i"
    assert set(np.unique(whole)) == {0, 1, 2}
    assert rounded(Draw((50, 20), places=3), whole, 2) is whole
    free = drawn(Draw((500, 20)), generator)
    assert abs(free.mean()) < 0.05
    assert abs(free.std() - 1) < 0.05


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_is_drawn_for_an_example_fits_its_equations(name: str) -> None:
    model = sb.Network.from_file(ROOT / "examples" / f"{name}.net").with_small_sizes().model
    arrays = sample_arrays(model, np.random.default_rng(0))
    assert list(arrays) == [given.name for given in (*model.inputs, *model.targets)]
    for given in (*model.inputs, *model.targets):
        values = arrays[given.name]
        assert values.shape == (
            *(SAMPLES_DRAWN,) * given.has_samples,
            *[model.sample_size(n) for n in given.shape],
        )
        assert given.low is None or (values > float(given.low)).all()
        assert given.high is None or (values < float(given.high)).all()
        assert not given.integer or (values < min(map(model.sample_size, given.places), default=2)).all()


def test_arrays_are_given_as_a_module_takes_them() -> None:
    x, t = sample_data(sb.Network("2-3-1").model, np.random.default_rng(0))
    assert isinstance(x, np.ndarray)
    assert isinstance(t, np.ndarray)
    text = "input a[n, i], b[n, i]\nparameter w[i]\ny[n] = sum(w[i]*a[n, i]*b[n, i], i)\n"
    model = sb.Network.from_equations(f"{text}output y\nE = mean(y[n]**2, n)\nsize i = 2").model
    x, t = sample_data(model, np.random.default_rng(0))
    assert isinstance(x, dict)
    assert list(x) == ["a", "b"]
    assert t is None


# ---------------------------------------------------------------- first values of the parameters

FIRST_VALUES = {
    **{f"init {name}": sb.Network("3-5-4-2", init=name) for name in INITIALIZERS},
    **{
        f"flat {name}": sb.Network("1-1-7:relu-1", bias=False, init=name)
        for name in ("orthogonal", "he_uniform")
    },
    "by activation": sb.Network("4-6:relu-5:tanh-4:selu-3:softmax", l2=0.1),
    "trained": sb.Network("3-4:prelu-4:swish_beta-4:srelu-2:identity"),
    "trained, by call": sb.Network("3-4:(swish_beta(beta=1.5))-1"),
    "class weights": sb.Network("2-3:softmax", class_weights=(1.0, 2.0, 3.0)),
    "wide": sb.Network("64-32-10:softmax"),
    "deep": sb.Network("-".join(["4"] * 20), hidden="tanh"),
    "equations": sb.Network.from_equations(
        """
        input x[n, i]
        parameter a[i, j] = normal(0.02), b[i, j] = uniform(0.1), c[i, j] = orthogonal, d[j] = 0.3, e = 1.5
        parameter f[j], g[i, j, k], h[i, j] = zeros, u[i] = normal(0.3), v[j, i] = orthogonal
        z[n, j] = sum(x[n, i]*(a[i, j] + b[i, j]*c[i, j] + v[j, i]*h[i, j] + sum(g[i, j, k], k))*u[i], i)
        y[n, j] = tanh(z[n, j]*d[j] + f[j])*e
        output y
        E = mean(sum(y[n, j]**2, j), n)
        size i = 3, j = 4, k = 2
        """
    ),
}


@pytest.mark.parametrize("name", FIRST_VALUES)
def test_parameters_start_as_in_the_generated_module(name: str) -> None:
    network = FIRST_VALUES[name]
    module = sb.load(network)
    for dtype in (np.float32, np.float64):
        for seed in (0, 1, 2024):
            assert same_initial_values(
                initial_values(network.model, seed, dtype), module.initialize(seed, dtype)
            )
    assert not same_initial_values(
        initial_values(network.model, 0, np.float32), module.initialize(0, np.float64)
    )


def test_a_difference_of_one_bit_is_noticed() -> None:
    values = initial_values(FIRST_VALUES["equations"].model, 0, np.float64)
    assert same_initial_values(values, dict(values))
    for name, value in values.items():
        changed = {**values, name: np.nextafter(value, 2.0)}
        assert not same_initial_values(values, changed), name
    assert not same_initial_values(values, dict(reversed(values.items())))


def test_other_seeds_give_other_values_and_missing_sizes_are_named() -> None:
    model = FIRST_VALUES["wide"].model
    first, second = (initial_values(model, seed)["w1"] for seed in (0, 1))
    assert not np.array_equal(first, second)
    assert not np.array_equal(initial_values(model)["w1"], initial_values(model)["w1"])
    open_model = sb.Network.from_file(ROOT / "examples" / "dense.net").model
    with pytest.raises(sb.SpecificationError, match="--size"):
        initial_values(open_model)
