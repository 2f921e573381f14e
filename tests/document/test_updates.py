"""What documents say of an optimiser follows from its equations, and is said only where it is true."""

from __future__ import annotations

import pytest
from sympy import Expr, symbols

import symbackprop as sb
from symbackprop.document.updates import is_plain, reasons
from symbackprop.equations.steps import Step
from symbackprop.library.optimizers import OPTIMIZERS

w, g, rate, q, z = symbols("w g learning_rate q z", real=True)


def keys(optimizer: str) -> list[list[str]]:
    update = sb.derive(sb.Network("2-1"), optimizer=optimizer).update
    return [[key.removeprefix("update.") for key, _ in reasons(step, update)] for step in update]


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    {
        "sgd": [[]],
        "momentum": [["velocity"], []],
        "nesterov": [["velocity"], ["ahead"]],
        "adagrad": [["total"], ["scaled"]],
        "rmsprop": [["mean_square"], ["scaled"]],
        "adam": [["mean"], ["mean_square"], ["scaled", "corrected"]],
        "adamw": [["mean"], ["mean_square"], ["scaled", "corrected", "decay"]],
    }.items(),
)
def test_each_formula_has_its_reason(optimizer: str, expected: list[list[str]]) -> None:
    assert keys(optimizer) == expected


@pytest.mark.parametrize(
    ("target", "rhs", "expected"),
    [
        ("z", q * z + (1 - q) * g, "update.mean"),
        ("z", q * z + (1 - q) * g**2, "update.mean_square"),
        ("z", z + g**2, "update.total"),
        ("z", q * z + g, "update.velocity"),
        ("z", q * z + 2 * g, None),
        ("w", w - rate * g, None),
    ],
)
def test_reasons_are_read_from_equations_and_not_from_names(
    target: str, rhs: Expr, expected: str | None
) -> None:
    step = Step(1, target, "update", symbols(f"{target}'", real=True), rhs)
    assert [key for key, _ in reasons(step, [step])] == ([] if expected is None else [expected])


@pytest.mark.parametrize("language", ["en", "ko"])
def test_w_changes_by_the_rate_times_g_only_in_plain_descent(language: str) -> None:
    for optimizer in OPTIMIZERS:
        derivation = sb.derive(sb.Network("2-1"), optimizer=optimizer)
        text = " ".join(derivation.text(language=language).split())
        plain = "w changes by -learning_rate·g" in text or "즉 w는 -learning_rate·g만큼 바뀌며" in text
        assert plain == is_plain(derivation.update) == (optimizer == "sgd")


def test_what_only_the_trainer_needs_stands_apart() -> None:
    text = sb.derive(sb.Network("2-1"), optimizer="adam").text()
    update, _, trainer = text.partition("\nThe update\n")[2].partition("\nWhat only the trainer needs\n")
    assert "Rescaling" not in update
    assert "Rescaling" in trainer
    for word in ("clipping", "decay", "schedule"):
        assert word not in update
        assert word in trainer
    assert "What only the trainer needs" not in sb.trace(sb.Network("2-1")).text()
