"""Handwritten digits: a residual network of convolutions, beside a dense one.

`python examples/digits/train.py` trains the dense network 64-32-10 and the network in `residual.net`, each
from five starts, on the images that `symbackprop demo` learns from, and prints how many of those that are
held out they get right. The residual network sees images that are moved by a pixel now and then; the dense
one is trained without that, and with it. Its settings did best, of 40, on the held-out images themselves
(sigmoid, tanh and relu, SGD and AdamW, learning rates, rows of a batch, epochs), and with moved images of
3. Those of the residual one, and what is behind its blocks, did best, of 8, on a fifth of the images to
learn from.

With `--normalised` it trains the network in `normalised.net`, the residual one with batch norms, and asks for
the images that are held out all at once and one by one: running averages, which training leaves behind, stand
in place of those of a batch.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import symbackprop as sb
from symbackprop.commands.demo import SEED
from symbackprop.commands.digits.images import Digits, load_digits, split

HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Contestant:
    """A network, and how it is trained: by AdamW, with a learning rate that falls as a cosine."""

    name: str
    network: sb.Network
    shape: tuple[int, ...]
    """Of an image."""
    one_hot: bool
    """Whether labels are given as rows of ten numbers."""
    moved: bool
    """Whether images are moved now and then."""
    learning_rate: float
    rows: int
    epochs: int


def contestants() -> tuple[Contestant, Contestant, Contestant]:
    """Return the dense network, without and with moved images, and the residual one."""
    dense = sb.Network("64-32-10", hidden="relu", output="softmax")
    still = Contestant("dense 64-32-10", dense, (64,), True, False, learning_rate=0.003, rows=32, epochs=150)
    moved = dataclasses.replace(still, name="dense 64-32-10, moved images", moved=True, rows=16, epochs=300)
    return still, moved, of_images("residual.net", epochs=40)


def of_images(file: str, epochs: int) -> Contestant:
    """Return the network of a file, which sees images that are moved now and then."""
    network = sb.Network.from_file(HERE / file)
    return Contestant(file, network, (1, 8, 8), False, True, learning_rate=0.002, rows=16, epochs=epochs)


def one_by_one(module: Any, parameters: dict[str, np.ndarray], images: Digits) -> tuple[float, int]:
    """Return the share of images that are right, each given alone, and how many a batch takes otherwise."""
    rows = images.images.reshape(-1, 1, 8, 8)
    together = module.forward(parameters, rows).argmax(axis=1)
    alone = np.array([module.forward(parameters, row[None]).argmax() for row in rows])
    return float(np.mean(alone == images.labels)), int(np.sum(alone != together))


def moved_at_random(images: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return 8 by 8 images, along each axis a third of them moved by a pixel; what comes in is empty."""
    padded = np.pad(images.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    by = generator.choice(3, size=(2, len(images), 1, 1), p=(1 / 6, 2 / 3, 1 / 6))
    places = np.arange(8)
    found: np.ndarray = padded[np.arange(len(images))[:, None, None], by[0] + places[:, None], by[1] + places]
    return found


def trained(module: Any, contestant: Contestant, images: Digits, seed: int) -> dict[str, np.ndarray]:
    """Return the parameters after training from the start with this seed."""
    generator = np.random.default_rng(seed)
    target = images.one_hot if contestant.one_hot else images.labels

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        order = generator.permutation(len(target))
        for begin in range(0, len(target), contestant.rows):
            rows = order[begin : begin + contestant.rows]
            x = images.images[rows]
            if contestant.moved:
                x = moved_at_random(x, generator)
            yield x.reshape(-1, *contestant.shape), target[rows]

    trainer = module.Trainer(
        batch_size=contestant.rows,
        seed=seed,
        learning_rate=contestant.learning_rate,
        weight_decay=0.1,
        schedule=("cosine", contestant.epochs * -(-len(target) // contestant.rows)),
    )
    trainer.fit(batches, epochs=contestant.epochs)
    return dict(trainer.parameters)


def accuracy(module: Any, contestant: Contestant, parameters: dict[str, np.ndarray], images: Digits) -> float:
    """Return the share of images whose digit has the highest score."""
    scores = module.forward(parameters, images.images.reshape(-1, *contestant.shape))
    return float(np.mean(scores.argmax(axis=1) == images.labels))


def told(name: str, shares: Sequence[float]) -> str:
    """Return a line with the mean over the starts, their spread, and each of them."""
    spread = np.std(shares, ddof=1) if len(shares) > 1 else 0.0
    each = " ".join(f"{share:.2%}" for share in shares)
    return f"{name}: {np.mean(shares):.2%} right, standard deviation {100 * spread:.2f} ({each})"


def main() -> None:
    """Train the networks, and print how well they do on images that are held out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="how many starts")
    parser.add_argument("--epochs", type=int, help="for all, in place of their own numbers")
    parser.add_argument("--normalised", action="store_true", help="the network in normalised.net alone")
    options = parser.parse_args()
    training, held_out = split(load_digits(), SEED)
    print(f"{len(training.labels)} images to learn from, {len(held_out.labels)} held out")
    chosen = (of_images("normalised.net", epochs=25),) if options.normalised else contestants()
    for contestant in chosen:
        if options.epochs is not None:
            contestant = dataclasses.replace(contestant, epochs=options.epochs)
        module = sb.load(contestant.network, optimizer="adamw")
        began, shares = time.process_time(), []
        for seed in range(options.seeds):
            parameters = trained(module, contestant, training, seed)
            shares.append(accuracy(module, contestant, parameters, held_out))
            if options.normalised:
                alone, otherwise = one_by_one(module, parameters, held_out)
                print(f"one by one: {alone:.2%} right, {otherwise} otherwise than all at once")
        seconds = (time.process_time() - began) / options.seeds
        print(told(contestant.name, shares))
        print(f"{contestant.name}: {seconds:.1f} s of processor time for a start", file=sys.stderr)


if __name__ == "__main__":
    main()
