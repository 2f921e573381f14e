"""The examples that train on real data: they learn, alike for an equal seed, and the README says how well."""

from __future__ import annotations

import math
import re
import runpy
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.comparison.module import check_module
from symbackprop.commands.demo import SEED
from symbackprop.commands.digits.images import Digits, load_digits, split
from symbackprop.proof.prover import prove
from tests.conftest import ROOT

FOLDER = ROOT / "examples"
ROWS = re.findall(
    r"^\| `python (examples/[^`]*)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$",
    (ROOT / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
"""The command, the task, how well the network does, and what it is compared with."""


def figure(cell: str) -> float:
    """Return the number that a cell of the README is about."""
    return float(re.findall(r"\d+\.\d+", cell)[0])


@cache
def script(name: str) -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / name / "train.py"))


@cache
def network(name: str) -> sb.Network:
    return sb.Network.from_file(FOLDER / f"{name}.net")


def test_counts_of_what_is_always_the_same_take_no_bits() -> None:
    bits_of_counts = script("characters")["bits_of_counts"]
    again = np.tile([1, 2, 3], 400)
    assert bits_of_counts(again, again, 4) < 0.05
    drawn = np.random.default_rng(0).integers(4, size=60_000)
    assert bits_of_counts(drawn[:50_000], drawn[50_000:], 4) == pytest.approx(math.log2(4), rel=0.01)


@pytest.mark.parametrize("name", [pytest.param("lstm", marks=pytest.mark.slow), "decoder"])
def test_a_model_of_text_learns_alike_for_an_equal_seed(name: str) -> None:
    own = script("characters")
    module: Any = sb.load(network(f"characters/{name}"), optimizer="adamw")
    width = network(f"characters/{name}").model.sizes["D"]
    text = np.tile(np.random.default_rng(0).integers(1, 80, size=20), 40)
    settings = own["Settings"](steps=20, rows=8, dropout=0.1)
    lines: list[str] = []
    one = own["learn"](module, width, settings, text, 3, lines.append)
    other = own["learn"](module, width, settings, text, 3, lines.append)
    assert {n: v.tobytes() for n, v in one.items()} == {n: v.tobytes() for n, v in other.items()}
    assert lines[0] == lines[1]
    before = own["bits"](module, width, module.initialize(3), text)
    assert own["bits"](module, width, one, text) < before - 0.5


def test_the_residual_network_learns_alike_for_an_equal_seed() -> None:
    own = script("digits")
    *_, residual = own["contestants"]()
    module: Any = sb.load(residual.network, optimizer="adamw")
    training, held_out = split(load_digits(), SEED)
    few = Digits(training.images[:320], training.labels[:320])
    brief = own["dataclasses"].replace(residual, epochs=3)
    one, other = (own["trained"](module, brief, few, 3) for _ in range(2))
    assert {n: v.tobytes() for n, v in one.items()} == {n: v.tobytes() for n, v in other.items()}
    assert own["accuracy"](module, brief, one, held_out) > 0.5  # of ten digits a guess is right for one


@pytest.mark.slow
@pytest.mark.parametrize("name", ["characters/lstm", "characters/decoder", "digits/residual"])
def test_every_step_is_proved_and_the_code_agrees(name: str) -> None:
    derivation = sb.derive(network(name))
    for verdict in prove(derivation):
        assert verdict.holds, f"{verdict.step.lhs}: {verdict.counterexample}"
    assert all(row.holds for row in check_module(sb.load(network(name)), derivation))


def test_images_are_moved_by_a_pixel_at_most() -> None:
    image = np.zeros((1, 64), np.float32)
    image[0, 8 * 4 + 4] = 1
    moved = script("digits")["moved_at_random"](np.repeat(image, 9000, axis=0), np.random.default_rng(0))
    assert moved.shape == (9000, 8, 8)
    assert (moved.sum(axis=(1, 2)) == 1).all()
    shares = moved.mean(axis=0)
    each = np.outer((1 / 6, 2 / 3, 1 / 6), (1 / 6, 2 / 3, 1 / 6))
    np.testing.assert_allclose(shares[3:6, 3:6], each, atol=0.02)


def test_the_readme_says_how_well_each_does() -> None:
    commands = ["digits/train.py", "characters/train.py lstm", "characters/train.py decoder"]
    assert [command for command, *_ in ROWS] == [f"examples/{each}" for each in commands]
    digits, lstm, decoder = ROWS
    assert figure(digits[2]) > figure(digits[3])
    assert figure(lstm[2]) < figure(lstm[3])
    assert figure(decoder[2]) < figure(decoder[3])


@pytest.mark.slow
@pytest.mark.parametrize(("command", "task", "shown", "beside"), ROWS, ids=[row[0] for row in ROWS])
def test_what_the_readme_shows_is_what_comes_out(command: str, task: str, shown: str, beside: str) -> None:
    done = subprocess.run(
        [sys.executable, *command.split()], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert float(re.findall(r"([\d.]+) s of processor time", done.stderr)[-1]) < 180
    if "digits" in command:  # other processors round otherwise
        right = [float(share) for share in re.findall(r": ([\d.]+)% right", done.stdout)]
        still, moved = (float(share) for share in re.findall(r"([\d.]+) % \(", beside))
        assert right == pytest.approx([still, moved, figure(shown)], abs=0.4)
        assert right[2] > max(right[:2])
    else:
        counted, *_, network_needs = map(float, re.findall(r"needs ([\d.]+) bits", done.stdout))
        assert network_needs == pytest.approx(figure(shown), abs=0.08)
        assert network_needs < counted
