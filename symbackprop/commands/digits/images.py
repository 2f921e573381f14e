"""The handwritten digits inside the package, and the split into training and held-out images."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
CLASSES = 10
LARGEST = 16  # the value of a pixel that is all ink


@dataclass(frozen=True)
class Digits:
    """Images, one row of 64 values in [0, 1] each, and the digit that each shows."""

    images: Floats
    labels: Labels

    @property
    def one_hot(self) -> Floats:
        """The labels as rows of ten values, 1 at the digit."""
        return np.eye(CLASSES, dtype=np.float32)[self.labels]

    @property
    def black_and_white(self) -> Floats:
        """The images with every pixel 0 or 1."""
        return (self.images >= 0.5).astype(np.float32)


def load_digits() -> Digits:
    """Return all 1,797 images."""
    with (
        resources.files("symbackprop.commands.digits").joinpath("digits.npz").open("rb") as file,
        np.load(file) as data,
    ):
        return Digits((data["images"] / LARGEST).astype(np.float32), data["labels"].astype(np.int64))


def split(digits: Digits, seed: int) -> tuple[Digits, Digits]:
    """Return the images for training, and a fifth of each class that is held out."""
    generator = np.random.default_rng(seed)
    held_out = np.zeros(len(digits.labels), bool)
    for digit in range(CLASSES):
        rows = generator.permutation(np.flatnonzero(digits.labels == digit))
        held_out[rows[: round(len(rows) / 5)]] = True
    parts = [Digits(digits.images[rows], digits.labels[rows]) for rows in (~held_out, held_out)]
    return parts[0], parts[1]
