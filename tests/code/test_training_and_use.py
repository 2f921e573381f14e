"""Networks whose training differs from their use: modules, checked by plain NumPy and by breaking them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.comparison.module import check_module

NET = """\
input x[n, k]
target t[n, i]
parameter w[k, i], b[i]
constant keep = 0.8
noise kept[n, i] = bernoulli(keep), e[k, i] = normal(0.1), u[n] = uniform(-1, 2)
state middle[i] = 0, other[i] = 2, count = 0
size k = 3, i = 2
s[n, i] = sum(x[n, k]*(w[k, i] + where(training, e[k, i], 0)), k) + b[i]
c[n, i] = s[n, i] - where(training, mean(s[m, i], m), middle[i])
y[n, i] = c[n, i]*where(training, kept[n, i]/keep, 1) + where(training, u[n], 0)
middle[i] <- other[i] + 0.1*mean(s[n, i], n)*size(n)
other[i] <- middle[i] + w[0, i]
count <- count + 1
E = mean(sum((y[n, i] - t[n, i])**2, i)/2, n)
output y
"""


@cache
def derivation() -> Any:
    return sb.derive(sb.Network.from_equations(NET), optimizer="momentum")


@cache
def module() -> Any:
    return sb.load(derivation())


@cache
def bare() -> Any:
    found = ModuleType("bare")
    exec(compile(sb.generate(derivation(), bare=True), "bare", "exec"), found.__dict__)
    return found


def data(samples: int = 6) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(5)
    return generator.normal(size=(samples, 3)), generator.normal(size=(samples, 2))


def start() -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = module().initialize(3, np.float64)
    return found | {"middle": np.array([0.3, -0.2]), "b": np.array([0.1, 0.2])}


def in_use(p: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    return x @ p["w"] + p["b"] - p["middle"]


def trained(p: dict[str, np.ndarray], x: np.ndarray, noise: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    s = x @ (p["w"] + noise["e"]) + p["b"]
    return s, (s - s.mean(axis=0)) * noise["kept"] / 0.8 + noise["u"][:, None]


def error(y: np.ndarray, t: np.ndarray) -> float:
    return float(np.square(y - t).sum() / 2 / len(t))


def test_forward_is_the_network_in_use_and_loss_the_one_that_is_trained() -> None:
    x, t = data()
    p = start()
    np.testing.assert_allclose(module().forward(p, x), in_use(p, x))
    np.testing.assert_allclose(module().loss_in_use(p, x, t), error(in_use(p, x), t))
    noise = module().draw_noise(np.random.default_rng(9), 6)
    right = error(trained(p, x, noise)[1], t)
    np.testing.assert_allclose(module().loss(p, x, t, noise), right)
    np.testing.assert_allclose(module().gradients(p, x, t, noise=noise)[0], right)
    assert abs(right - error(in_use(p, x), t)) > 1e-3
    np.testing.assert_allclose(module().forward(p, x[:1]), in_use(p, x[:1]))


def test_derivatives_are_those_of_the_network_that_is_trained() -> None:
    x, t = data()
    p, noise = start(), module().draw_noise(np.random.default_rng(9), 6)
    found = module().gradients(p, x, t, noise)[1]
    assert list(found) == ["w", "b"]
    for name, value in found.items():
        for place in np.ndindex(*value.shape):
            move = np.zeros_like(value)
            move[place] = 1e-6
            ends = [error(trained({**p, name: p[name] + s * move}, x, noise)[1], t) for s in (1, -1)]
            np.testing.assert_allclose(value[place], (ends[0] - ends[1]) / 2e-6, rtol=1e-4, atol=1e-7)


def test_noise_has_the_declared_shapes_and_a_fixed_seed_where_none_is_given() -> None:
    x, t = data()
    noise = module().draw_noise(np.random.default_rng(0), 6)
    assert {name: value.shape for name, value in noise.items()} == {"kept": (6, 2), "e": (3, 2), "u": (6,)}
    assert module().loss(start(), x, t) == module().loss(start(), x, t, noise)
    many = module().draw_noise(np.random.default_rng(1), 20_000)
    assert set(np.unique(many["kept"])) == {0.0, 1.0}
    assert abs(many["kept"].mean() - 0.8) < 0.02
    assert abs(many["u"].mean() - 0.5) < 0.03
    assert -1 <= many["u"].min() < many["u"].max() < 2


@pytest.mark.parametrize("made", [module, bare])
def test_a_step_leaves_in_states_what_they_say_by_the_values_before_it(made: Any) -> None:
    x, t = data()
    p = start()
    trainer = made().Trainer(p, seed=4, learning_rate=0.1, batch_size=8)
    noise = module().draw_noise(np.random.default_rng(4), 6)  # as the trainer's generator draws first
    s, y = trained(p, x, noise)
    assert abs(trainer.step(x, t) - error(y, t)) < 1e-9
    after = trainer.parameters
    np.testing.assert_allclose(after["middle"], p["other"] + 0.1 * s.mean(axis=0) * 6)
    np.testing.assert_allclose(after["other"], p["middle"] + p["w"][0])  # not what the step made of either
    assert after["count"] == 1
    gradient = module().gradients(p, x, t, noise)[1]
    np.testing.assert_allclose(after["w"], p["w"] - 0.1 * gradient["w"])
    trainer.step(x[:2], t[:2])
    assert trainer.parameters["count"] == 2


def test_states_stand_beside_the_parameters() -> None:
    made = module()
    assert made.STATE_SHAPES == {"middle": (2,), "other": (2,), "count": ()}
    assert list(made.PARAMETER_SHAPES) == ["w", "b"]
    assert list(made.initialize(0)) == ["w", "b", "middle", "other", "count"]
    np.testing.assert_array_equal(made.initialize(0)["other"], np.float32([2, 2]))
    without = {name: value for name, value in start().items() if name != "count"}
    with pytest.raises(ValueError, match="must be w, b, middle, other, count"):
        made.Trainer(without)
    with pytest.raises(ValueError, match=r"middle must have shape \(2,\)"):
        made.Trainer({**start(), "middle": np.zeros(3)})


def test_the_validation_is_of_the_network_in_use() -> None:
    x, t = data()
    trainer = module().Trainer(start(), seed=1, batch_size=3)
    history = trainer.fit(x, t, 2, validation=(x, t))
    np.testing.assert_allclose(history["validation_loss"][-1], error(in_use(trainer.parameters, x), t))


def test_a_run_goes_on_bit_for_bit_from_a_file_and_as_a_copy(tmp_path: Path) -> None:
    x, t = data()
    whole, begun = (module().Trainer(seed=2, batch_size=4) for _ in range(2))
    expected = whole.fit(x, t, 6)["loss"][3:]
    begun.fit(x, t, 3)
    begun.save(tmp_path / "state.npz")
    for other in (module().Trainer.load(tmp_path / "state.npz"), pickle.loads(pickle.dumps(begun))):
        assert other.fit(x, t, 3)["loss"] == expected
        for name, value in whole.parameters.items():
            np.testing.assert_array_equal(other.parameters[name], value)
    np.savez(tmp_path / "few.npz", **{n: v for n, v in whole.parameters.items() if n != "other"})
    with pytest.raises(ValueError, match="holds no state other"):
        module().load(tmp_path / "few.npz")


def test_a_step_that_fails_is_undone_with_its_states_and_its_noise() -> None:
    x, t = data()
    trainer = module().Trainer(start(), seed=2, batch_size=6, learning_rate=1e200)
    trainer.fit(x, t, 1)
    before = {name: value.copy() for name, value in trainer.parameters.items()}
    drawn = trainer.generator.bit_generator.state
    with pytest.raises(FloatingPointError):
        trainer.fit(x, t, 3)
    np.testing.assert_array_equal(trainer.parameters["count"], trainer.steps)
    assert trainer.steps < 4
    assert before["count"] == 1
    assert trainer.generator.bit_generator.state != drawn  # the order of an epoch was drawn


def test_evaluate_and_predict_take_one_sample_at_a_time(tmp_path: Path) -> None:
    x, t = data()
    path = tmp_path / "made.py"
    path.write_text(sb.generate(derivation()), encoding="utf-8")
    module().save(tmp_path / "weights.npz", start())
    np.savez(tmp_path / "data.npz", x=x, t=t)
    run = [sys.executable, path, "evaluate", "weights.npz", "data.npz"]
    said = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"E {error(in_use(start(), x), t):.8g}")
    assert module().IS_MEAN


def rows(made: Any) -> set[str]:
    return {
        row.subject.strip() for row in check_module(made, derivation(), expected=module()) if not row.holds
    }


def test_check_accepts_the_module() -> None:
    assert rows(module()) == set()


@pytest.mark.parametrize(
    ("right", "wrong", "noticed"),
    [
        (
            "draw_noise(trainer.generator, samples)",
            "draw_noise(np.random.default_rng(0), samples)",
            "Trainer.step",
        ),
        ("< 0.8) * 1.0", "< 0.9) * 1.0", "draw_noise"),
        ("errors.append(loss_in_use(parameters,", "errors.append(loss(parameters,", "Trainer.fit"),
        ("            np.copyto(self._states, self._new_states)\n", "            pass\n", "Trainer.step"),
        ("    c = s - middle\n", "    c = s - s.mean(axis=0)\n", "forward"),
        ('"other": np.full(2, 2.0)', '"other": np.full(2, 3.0)', "initialize"),
    ],
)
def test_check_notices_what_is_broken(right: str, wrong: str, noticed: str) -> None:
    text = sb.generate(derivation())
    assert right in text
    made = ModuleType("broken")
    exec(compile(text.replace(right, wrong), "broken", "exec"), made.__dict__)
    assert noticed in rows(made)
