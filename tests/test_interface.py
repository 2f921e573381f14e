"""The Python interface: whatever it is given, a mistake is a SpecificationError with one readable message."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbackprop as sb

NET = sb.Network("2-2-1")
DERIVATION = sb.derive(NET)
EQUATIONS = """
input x[n, k]
parameter w[k]
y[n] = sum(x[n, k]*w[k], k)
E = mean(y[n]**2, n)
output y
"""
CLAIM = "dE/dw2[j,i] = ds2[i]*x1[j]"

WRONG: list[Any] = [
    *(5, -1, 1.5, float("nan"), float("inf"), 10**400, True, None, 1j, ...),
    *("", "zzz", "\x1b[31m", "\ud800", "a\nb", "a\0b", "x" * 1_000, b"x"),
    *([], [1], ["w1", 3], {}, {1: 2}, {"a": None}, {"zz"}, (), range(3), slice(1), iter([1])),
    *(np.array([1.0, 2.0]), np.array("a"), object(), abs, sb, sb.Network, NET, DERIVATION, Exception("a")),
]


def from_equations(text: Any = EQUATIONS, **options: Any) -> sb.Network:
    return sb.Network.from_equations(text, **options)


def network(architecture: Any = "2-2-1", **options: Any) -> sb.Network:
    return sb.Network(architecture, **options)


def verify_function(network: Any = NET, function: Any = abs, seed: Any = 0) -> Any:
    return sb.verify_function(network, function, seed=seed)


ARGUMENTS: dict[str, tuple[Callable[..., object], tuple[str, ...]]] = {
    "Network": (network, tuple(inspect.signature(sb.Network).parameters)),
    "from_equations": (from_equations, ("text", "sizes", "origin", "name")),
    "from_file": (lambda path="none.net", sizes=None: sb.Network.from_file(path, sizes), ("path", "sizes")),
    "derive": (lambda network=NET, **o: sb.derive(network, **o), ("network", "optimizer", "of")),
    "draw": (lambda source=NET, **o: sb.draw(source, **o), ("source", "path", "format", "language")),
    "exercise": (lambda network: sb.exercise(network), ("network",)),
    "generate": (lambda source=NET, **o: sb.generate(source, **o), ("source", "path", "optimizer", "bare")),
    "load": (lambda source=NET, **o: sb.load(source, **o), ("source", "optimizer")),
    "prove": (lambda derivation=DERIVATION, **o: sb.prove(derivation, **o), ("derivation", "seed")),
    "trace": (
        lambda network=NET, **o: sb.trace(network, **o),
        ("network", "parameters", "x", "t", "learning_rate", "freeze", "seed", "digits"),
    ),
    "verify": (lambda network=NET, text=CLAIM: sb.verify(network, text), ("network", "text")),
    "verify_function": (verify_function, ("network", "function", "seed")),
    "equation": (DERIVATION.equation, ("name",)),
    "adjoint": (DERIVATION.adjoint, ("name",)),
    "gradient": (lambda name="w1", inline=False: DERIVATION.gradient(name, inline), ("name", "inline")),
    "indices": (DERIVATION.indices, ("name",)),
    "document": (
        lambda form="text", **o: DERIVATION.document(form, **o),
        ("form", "notation", "fragment", "language"),
    ),
}


CASES = [(function, argument) for function, (_, arguments) in ARGUMENTS.items() for argument in arguments]


@pytest.mark.parametrize(("function", "argument"), CASES)
def test_a_wrong_argument_is_told(
    function: str, argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    call, refusals = ARGUMENTS[function][0], 0
    for value in WRONG:
        try:
            call(**{argument: value})
        except (sb.SpecificationError, sb.UnsupportedExpression) as error:
            refusals += 1
            text = str(error)
            assert text, value
            assert len(text) < 1500, value
            assert all(c.isprintable() or c == "\n" for c in text), repr(text)
    assert refusals > len(WRONG) // 2


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("verify", {"text": 5}, "claim: expected a text, got int"),
        ("trace", {"freeze": 5}, "freeze: expected names, such as ('w1', 'b1'), got int"),
        ("trace", {"freeze": ["w1", 5]}, "freeze: expected a text, got int"),
        ("trace", {"learning_rate": 10**400}, "learning rate: expected a positive number, got int"),
        ("trace", {"learning_rate": -0.5}, "learning rate: expected a positive number, got -0.5"),
        ("trace", {"seed": -1}, "seed: expected a whole number from 0, got -1"),
        ("from_equations", {"sizes": {1: 2}}, "sizes: a key: expected a text, got int"),
        ("from_equations", {"sizes": 5}, "sizes: expected a dict, got int"),
        ("from_file", {"path": 5}, "path: expected a path, got int"),
        ("derive", {"network": "2-3-1"}, "derive: expected a Network, got str"),
        ("gradient", {"inline": 1}, "inline: expected True or False, got int"),
        ("gradient", {"name": 5}, "name: expected a text, got int"),
    ],
)
def test_what_would_be_right_is_said(function: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(sb.SpecificationError) as caught:
        ARGUMENTS[function][0](**arguments)
    assert str(caught.value) == message


def test_numbers_of_numpy_are_numbers() -> None:
    sizes = {"k": np.int64(2)}
    assert from_equations(sizes=sizes).model.sizes["K"] == 2
    rate = np.float32(0.25)
    assert sb.trace(NET, learning_rate=rate, seed=np.int8(3)).learning_rate == 0.25  # type: ignore[arg-type]


def test_the_name_of_a_file_is_no_architecture() -> None:
    with pytest.raises(
        sb.SpecificationError, match=r"'attention\.net': is the name of a file; write Network\.from"
    ):
        sb.Network("attention.net")
