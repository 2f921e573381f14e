"""The examples that train on real data: they learn, alike for an equal seed, and the README says how well."""

from __future__ import annotations

import math
import os
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
    path = FOLDER / name
    return runpy.run_path(str(path if path.suffix else path / "train.py"))


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
def test_the_network_with_batch_norms_says_the_same_of_an_image_alone_and_among_others() -> None:
    own = script("digits")
    normalised = own["of_images"]("normalised.net", epochs=1)
    module: Any = sb.load(normalised.network, optimizer="adamw")
    training, held_out = split(load_digits(), SEED)
    some = Digits(training.images[:480], training.labels[:480])
    parameters = own["trained"](module, normalised, some, 3)
    few = Digits(held_out.images[:90], held_out.labels[:90])
    alone, otherwise = own["one_by_one"](module, parameters, few)
    assert otherwise == 0
    assert alone == own["accuracy"](module, normalised, parameters, few)
    assert alone > 0.3  # of ten digits a guess is right for one
    wrong = {n: v * 0 if n.startswith("running_middle") else v for n, v in parameters.items()}
    assert len(wrong) > len(module.PARAMETER_SHAPES)  # states are there
    assert own["one_by_one"](module, wrong, few)[0] != alone


def test_the_autoencoder_learns_alike_for_an_equal_seed_and_makes_images_up() -> None:
    own = script("digits/autoencoder.py")
    module: Any = sb.load(network("digits/autoencoder"), optimizer="adam")
    images = load_digits().black_and_white[:320]
    one, other = (own["trained"](module, images, 40, 3) for _ in range(2))
    assert {n: v.tobytes() for n, v in one.items()} == {n: v.tobytes() for n, v in other.items()}
    needed = own["nats_by_drawn_codes"](module, one, images, 3)
    assert needed < own["nats_by_drawn_codes"](module, module.initialize(3), images, 3) - 10
    assert needed < own["nats_of_pixels"](images, images)
    assert module.loss_in_use(one, images) < needed
    made = own["made_up"](one, 3, 3)
    assert made.shape == (3, 8, 8)
    assert ((made > 0) & (made < 1)).all()
    assert own["picture"](made).count("<rect") == 3 * 64


def test_the_nats_of_pixels_are_those_of_coins() -> None:
    images = np.tile([[0.0, 1.0], [1.0, 1.0]], (1000, 1))
    found = script("digits/autoencoder.py")["nats_of_pixels"](images, images)
    assert found == pytest.approx(math.log(2), abs=0.01)


def test_distances_of_points_are_those_along_lines() -> None:
    own = script("rings")
    random = np.random.default_rng(0)
    points = own["given_points"](4000, random)
    assert np.abs(np.linalg.norm(points, axis=1) - 1).max() < 0.3
    moved = points + np.array([0.3, 0.0])
    assert own["distance"](points, moved) == pytest.approx(0.3 * 2 / math.pi, rel=1e-3)
    near, far = (
        own["distance"](points, other)
        for other in (own["given_points"](4000, random), own["normal_points"](points, 4000, random))
    )
    assert near < 0.03 < 0.1 < far


@pytest.mark.slow
def test_a_generator_and_its_critic_learn_in_turn_alike_for_an_equal_seed() -> None:
    own = script("rings")
    given = own["given_points"](1000, np.random.default_rng(7))
    ends = []
    for _ in range(2):
        contest = own["Contest"](120, 3)
        before = own["distance"](given, contest.made_points(1000))
        for _ in range(120):
            contest.step()
        ends.append(own["distance"](given, contest.made_points(1000)))
        own_weights, held = contest.critic.parameters, contest.generator.parameters
        assert not np.array_equal(
            own_weights["w1"], own["sb"].load(network("rings/critic")).initialize(3)["w1"]
        )
        assert held["w1"].shape == own_weights["w1"].shape
        assert own["picture"](given, given).count("<circle") == 2000
    assert ends[0] == ends[1] < 0.8 * before


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "characters/lstm",
        "characters/decoder",
        "digits/residual",
        "digits/normalised",
        "digits/autoencoder",
        "digits/painter",
        "rings/critic",
        "rings/generator",
    ],
)
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
    commands = [
        "digits/train.py",
        "digits/train.py --normalised",
        "digits/autoencoder.py",
        "rings/train.py",
        "characters/train.py lstm",
        "characters/train.py decoder",
    ]
    assert [command for command, *_ in ROWS] == [f"examples/{each}" for each in commands]
    digits, normalised, autoencoder, rings, lstm, decoder = ROWS
    assert figure(digits[2]) > figure(digits[3])
    assert figure(normalised[2]) > figure(normalised[3])
    assert figure(autoencoder[2]) < figure(autoencoder[3])
    assert figure(rings[2]) < figure(rings[3])
    assert figure(lstm[2]) < figure(lstm[3])
    assert figure(decoder[2]) < figure(decoder[3]) == figure(lstm[2])


@pytest.mark.slow
@pytest.mark.parametrize(("command", "task", "shown", "beside"), ROWS, ids=[row[0] for row in ROWS])
def test_what_the_readme_shows_is_what_comes_out(command: str, task: str, shown: str, beside: str) -> None:
    one_core = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *command.split()], cwd=ROOT, capture_output=True, text=True, check=True, env=one_core
    )
    assert float(re.findall(r"([\d.]+) s of processor time", done.stderr)[-1]) < 180
    if "normalised" in command:  # other processors round otherwise
        right = [float(share) for share in re.findall(r"net: ([\d.]+)% right", done.stdout)]
        assert right == pytest.approx([figure(shown)], abs=0.4)
        assert len(re.findall("right, 0 otherwise", done.stdout)) == 5
    elif "autoencoder" in command:
        pixels, needs = (float(nats) for nats in re.findall(r"takes ([\d.]+) nats", done.stdout))
        assert [pixels, needs] == pytest.approx([figure(beside), figure(shown)], abs=0.3)
    elif "rings" in command:
        normal, _, before, after = (
            float(far) for far in re.findall(r"(\d\.\d+)(?: away| after)", done.stdout)
        )
        assert [normal, before] == pytest.approx([figure(beside), 0.92], abs=0.01)
        assert after < 2 * figure(shown)
    elif "digits" in command:
        right = [float(share) for share in re.findall(r": ([\d.]+)% right", done.stdout)]
        still, moved = (float(share) for share in re.findall(r"([\d.]+) % \(", beside))
        assert right == pytest.approx([still, moved, figure(shown)], abs=0.4)
        assert right[2] > max(right[:2])
    else:
        counted, *_, network_needs = map(float, re.findall(r"needs ([\d.]+) bits", done.stdout))
        assert network_needs == pytest.approx(figure(shown), abs=0.08)
        assert network_needs < counted
