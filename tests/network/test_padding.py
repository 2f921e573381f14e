"""Whole-number data that are -1 where there is nothing, as every read of them is guarded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.check import check_network

Array = np.ndarray[Any, Any]

_SEQUENCE = """\
input x[n, p, k]
integer target label[n, p]
parameter w[k, c]
size k = 2, c = 3
z[n, p, c] = sum(x[n, p, k]*w[k, c], k)
l[n, p, c] = log_softmax(z[n, p, c], c)
"""
_CLASSES = """\
input x[n, k]
integer target label[n]
parameter w[k, c]
size k = 2, c = 3
z[n, c] = sum(x[n, k]*w[k, c], k)
l[n, c] = log_softmax(z[n, c], c)
"""
_WORDS = """\
integer input word[n, p]
target t[n, i]
parameter w[v, i], b[i]
size v = 3, i = 2, p = 3
"""
_WORDS_ERROR = "E = mean(sum((y[n, i] - t[n, i])**2, i), n)\noutput y"
PADDED = {
    "labels": _SEQUENCE
    + "E = -sum(where(label[n, p] >= 0, l[n, p, label[n, p]], 0), n, p)"
    + "/sum(where(label[n, p] >= 0, 1, 0), n, p)\noutput z",
    "labels of one sample": _CLASSES + "E = mean(where(label[n] > -1, -l[n, label[n]], 0), n)\noutput z",
    "labels that are not missing": _CLASSES
    + "E = mean(where(not label[n] < 0, -l[n, label[n]], 0), n)\noutput z",
    "the other branch": _CLASSES + "E = mean(where(label[n] == -1, 0, -l[n, label[n]]), n)\noutput z",
    "words": _WORDS
    + "y[n, i] = tanh(sum(where(word[n, p] >= 0, w[word[n, p], i], 0), p) + b[i])\n"
    + _WORDS_ERROR,
    "words in a guarded sum": _WORDS
    + "y[n, i] = b[i] + sum(where(0 <= word[n, p] < size(v),"
    + " sum(w[word[n, p], j]*w[word[n, p], i], j), 0), p)\n"
    + _WORDS_ERROR,
}
UNGUARDED = {
    "no guard": _CLASSES + "E = mean(-l[n, label[n]], n)\noutput z",
    "one of two reads": _CLASSES
    + "E = mean(where(label[n] >= 0, -l[n, label[n]], z[n, label[n]]), n)\noutput z",
    "a guard that lets it pass": _CLASSES
    + "E = mean(where(label[n] >= -1, -l[n, label[n]], 0), n)\noutput z",
    "a guard of something else": _CLASSES + "E = mean(where(x[n, 0] >= 0, -l[n, label[n]], 0), n)\noutput z",
    "a sum": _WORDS
    + "y[n, i] = tanh(sum(where(word[n, 0] >= 0, w[word[n, p], i], 0), p) + b[i])\n"
    + _WORDS_ERROR,
}


def _data(module: Any, missing: float) -> tuple[Array, Array]:
    """Return inputs and targets for five samples, whole numbers from 0 to 2, or -1 with that probability."""
    generator = np.random.default_rng(3)
    found = []
    for name, sizes in (*module.INPUTS.items(), *module.TARGETS.items()):
        shape = [5 if n == "samples" else 3 if isinstance(n, str) else n for n in sizes]
        if name in module.WHOLE_NUMBERS:
            numbers = generator.integers(3, size=shape)
            found.append(np.where(generator.random(shape) < missing, -1, numbers))
        else:
            found.append(generator.normal(size=shape))
    return found[0], found[1]


@pytest.mark.parametrize("name", PADDED)
def test_missing_whole_numbers(name: str) -> None:
    net = sb.Network.from_equations(PADDED[name])
    module: Any = sb.load(net, optimizer="sgd")
    x, t = _data(module, 0.4)
    assert -1 in x or -1 in t
    parameters = {n: np.array(v) + 0.1 for n, v in module.initialize(0, np.float64).items()}
    error, derivatives = module.gradients(parameters, x, t)
    for parameter, value in parameters.items():
        for place in np.ndindex(value.shape):
            step = np.zeros(value.shape)
            step[place] = 1e-5
            there, back = (module.loss({**parameters, parameter: value + s}, x, t) for s in (step, -step))
            assert derivatives[parameter][place] == pytest.approx((there - back) / 2e-5, abs=1e-8)
    stepped, fitted = (module.Trainer(parameters, batch_size=5, seed=0) for _ in range(2))
    assert stepped.step(x, t) == pytest.approx(error)
    fitted.fit(x, t, 1)
    for parameter, value in stepped.parameters.items():
        np.testing.assert_allclose(value, fitted.parameters[parameter], rtol=1e-12)
        moved = parameters[parameter] - stepped.learning_rate * derivatives[parameter]
        np.testing.assert_allclose(value, moved, rtol=1e-12)
    trace = sb.trace(net, parameters=parameters, x=x, t=t)
    assert trace.loss == pytest.approx(error)
    for parameter, value in derivatives.items():
        np.testing.assert_allclose(trace.gradients[parameter], value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["labels", "words"])
def test_the_steps_are_proved(name: str) -> None:
    assert check_network(sb.Network.from_equations(PADDED[name])).holds


@pytest.mark.parametrize(
    ("name", "allowed"), [*((n, True) for n in PADDED), *((n, False) for n in UNGUARDED)]
)
def test_fit_takes_what_the_guards_allow(name: str, allowed: bool) -> None:
    net = sb.Network.from_equations({**PADDED, **UNGUARDED}[name])
    module: Any = sb.load(net)
    trainer = module.Trainer(seed=0)
    whole = next(iter(module.WHOLE_NUMBERS))
    for wrong in (-2, 3, -1):
        x, t = _data(module, 0.0)
        array = t if whole in module.TARGETS else x
        array[(1, *(0,) * (array.ndim - 1))] = wrong
        if wrong == -1 and allowed:
            trainer.fit(x, t, 1)
            continue
        with pytest.raises(ValueError, match=f"not a whole number from {-1 if allowed else 0} to 2"):
            trainer.fit(x, t, 1)
        with pytest.raises(sb.SpecificationError, match=f"must lie between {-1 if allowed else 0} and 2"):
            sb.trace(net, x=x, t=t)


def test_accuracy_is_that_of_the_labels_there_are(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    module: Any = sb.load(sb.Network.from_equations(PADDED["labels of one sample"]))
    x, _ = _data(module, 0.0)
    parameters = module.initialize(0, np.float64)
    label = module.forward(parameters, x).argmax(axis=1)
    label[:2] = -1
    label[2] = (label[2] + 1) % 3
    module.save(tmp_path / "weights.npz", parameters)
    np.savez(tmp_path / "data.npz", x=x, label=label)
    assert module.main(["evaluate", str(tmp_path / "weights.npz"), str(tmp_path / "data.npz")]) == 0
    assert "accuracy 66.6667%" in capsys.readouterr().out
