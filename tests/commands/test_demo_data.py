"""The digits inside the package, their split, and what the demo must reach on them."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from symbackprop.commands import demo
from symbackprop.commands.digits.images import CLASSES, Digits, load_digits, split

PUBLISHED = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
"""Images of each digit, as the data set's description states them."""


@pytest.fixture(scope="module")
def digits() -> Digits:
    return load_digits()


def test_the_data_is_the_published_one(digits: Digits) -> None:
    assert digits.images.shape == (1797, 64)
    assert digits.labels.shape == (1797,)
    assert np.bincount(digits.labels, minlength=CLASSES).tolist() == PUBLISHED
    assert digits.images.dtype == np.float32
    assert (digits.images.min(), digits.images.max()) == (0.0, 1.0)
    # Every pixel was counted in whole sixteenths.
    assert np.array_equal(digits.images * 16, np.round(digits.images * 16))


def test_the_images_show_what_the_labels_say(digits: Digits) -> None:
    # A zero has a hole where a one has its stroke; and no two classes have the same mean.
    centre = digits.images.reshape(-1, 8, 8)[:, 3:5, 3:5].mean(axis=(1, 2))
    assert centre[digits.labels == 0].mean() < 0.3 < 0.7 < centre[digits.labels == 1].mean()
    means = np.stack([digits.images[digits.labels == digit].mean(axis=0) for digit in range(CLASSES)])
    nearest = ((digits.images[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert np.mean(nearest == digits.labels) > 0.85


def test_the_first_images_are_zero_one_two(digits: Digits) -> None:
    assert digits.labels[:10].tolist() == list(range(10))
    assert (digits.images[0, :8] * 16).tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_one_hot_and_black_and_white(digits: Digits) -> None:
    assert digits.one_hot.shape == (1797, CLASSES)
    assert np.array_equal(digits.one_hot.argmax(axis=1), digits.labels)
    assert np.array_equal(digits.one_hot.sum(axis=1), np.ones(1797))
    assert set(np.unique(digits.black_and_white)) == {0.0, 1.0}
    assert np.array_equal(digits.black_and_white == 1, digits.images * 16 >= 8)


def rows_of(part: Digits) -> list[bytes]:
    return [
        image.tobytes() + bytes([int(label)]) for image, label in zip(part.images, part.labels, strict=True)
    ]


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_split_is_a_fifth_of_each_class(digits: Digits, seed: int) -> None:
    training, held_out = split(digits, seed)
    counts = np.bincount(held_out.labels, minlength=CLASSES)
    assert np.abs(counts - np.array(PUBLISHED) / 5).max() <= 0.5
    assert np.array_equal(counts + np.bincount(training.labels), PUBLISHED)


def test_the_split_covers_everything_once(digits: Digits) -> None:
    # Number the images, so that two equal ones could not stand for each other.
    numbered = Digits(np.arange(1797, dtype=np.float32)[:, None], digits.labels)
    training, held_out = (part.images[:, 0].astype(int).tolist() for part in split(numbered, 1))
    assert not set(training) & set(held_out)
    assert sorted(training + held_out) == list(range(1797))


def test_the_split_keeps_images_with_their_labels(digits: Digits) -> None:
    training, held_out = split(digits, 1)
    assert sorted(rows_of(training) + rows_of(held_out)) == sorted(rows_of(digits))


def test_the_split_is_seeded(digits: Digits) -> None:
    first, again, other = split(digits, 1), split(digits, 1), split(digits, 2)
    assert rows_of(first[1]) == rows_of(again[1])
    assert rows_of(first[1]) != rows_of(other[1])


def test_the_error_of_the_means_is_that_of_a_guess_without_looking() -> None:
    images = np.array([[0, 0], [1, 0], [1, 0], [0, 0]], np.float32)
    expected = -np.log(0.5) - np.log(1 - 0.125)
    assert demo.error_of_means(images, images) == pytest.approx(expected, rel=1e-12)
    assert np.isfinite(demo.error_of_means(images, 1 - images))


# ------------------------------------------------------------------------------------------ the criteria


@pytest.fixture(scope="module")
def told() -> tuple[bool, list[str]]:
    lines: list[str] = []
    return demo.run(lines.append), lines


def number_after(lines: list[str], start: str, word: str) -> float:
    (line,) = [line for line in lines if line.startswith(start)]
    return float(line.partition(word)[2].split()[0].strip("%;,"))


def test_the_demo_reaches_what_it_promises(told: tuple[bool, list[str]]) -> None:
    holds, lines = told
    assert holds
    assert number_after(lines, "accuracy on the held-out images", ":") >= 96.0
    assert number_after(lines, "E on the held-out images", "ratio") < 0.5
    error = number_after(lines, "E on the held-out images", "images:")
    of_means = number_after(lines, "E on the held-out images", "means:")
    assert error < of_means / 2


def test_the_demo_says_what_was_derived_and_proved(told: tuple[bool, list[str]]) -> None:
    text = "\n".join(told[1])
    assert "1438 images to learn from, 359 held out" in text
    assert text.count("steps proved") == 2
    assert text.count("comparisons of the code with numbers hold") == 2
    for line in told[1]:
        if "steps proved" in line:
            words = line.split()
            assert words[0] == words[2]
            assert "0 of 0" not in line
    assert "∂E/∂s2[i] = x2[i] - t[i]" in text or "ds2[i] = x2[i] - t[i]" in text


@pytest.mark.parametrize(
    ("accuracy", "error", "holds"),
    [(0.96, 0.49, True), (0.9599, 0.1, False), (0.99, 0.5, False), (float("nan"), 0.1, False)],
)
def test_the_demo_fails_below_its_criteria(
    monkeypatch: pytest.MonkeyPatch, accuracy: float, error: float, holds: bool
) -> None:
    monkeypatch.setattr(demo, "classifier", lambda training, held_out, say: accuracy)
    monkeypatch.setattr(demo, "autoencoder", lambda training, held_out, say: (error, 1.0))
    assert demo.run(lambda line: None) is holds


def test_held_out_images_are_used_for_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    original: Callable[..., Any] = demo._trained

    def watched(module: ModuleType, settings: Any, x: Any, t: Any, say: Any) -> Any:
        seen.append(x)
        return original(module, demo.Settings(settings.learning_rate, settings.batch_size, 1), x, t, say)

    monkeypatch.setattr(demo, "_trained", watched)
    demo.run(lambda line: None)
    training, _ = split(load_digits(), demo.SEED)
    assert [len(x) for x in seen] == [len(training.labels)] * 2
    assert np.array_equal(seen[0], training.images)
    assert np.array_equal(seen[1], training.black_and_white)
