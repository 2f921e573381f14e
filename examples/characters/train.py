"""Models of text that read the project's own documentation, beside one that counts three characters.

`python examples/characters/train.py` trains the network in `lstm.net` for 100 s of processor time and prints
how many bits a character it takes to tell the next one in text that it has not seen.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from pathlib import Path

import numpy as np

import symbackprop as sb

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LENGTH = 64
"""Characters of a piece of text."""
ROWS = 32
"""Pieces in a step."""


def texts() -> tuple[str, str]:
    """Return the documentation without its last tenth, and that tenth."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    start = len(text) * 9 // 10
    return text[:start], text[start:]


def numbered(text: str, known: dict[str, int]) -> np.ndarray:
    """Return the number of each character; all that are rare have one in common."""
    return np.array([known.get(character, 0) for character in text])


def bits_of_counts(train: np.ndarray, test: np.ndarray, characters: int) -> float:
    """Return the bits a character of a model that counts what follows two characters.

    What follows one, or none, stands in by a fixed share where two were seen too seldom.
    """
    counts: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(4)]
    for n in range(2, len(train)):
        for length in range(4):
            counts[length][tuple(train[n - length + 1 : n + 1])] += 1
    total = 0.0
    for n in range(2, len(test)):
        share = 1 / characters
        for length in range(1, 4):
            window = tuple(test[n - length + 1 : n + 1])
            before = counts[length - 1][window[:-1]] if length > 1 else len(train) - 2
            share = (counts[length][window] + 2 * share) / (before + 2)
        total -= math.log2(share)
    return total / (len(test) - 2)


def main() -> None:
    """Train a network, and print how well it and the counts predict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("net", type=Path, nargs="?", default=HERE / "lstm.net")
    parser.add_argument("--seconds", type=float, default=100, help="of processor time")
    parser.add_argument("--learning-rate", type=float, default=0.003)
    options = parser.parse_args()
    network = sb.Network.from_file(options.net)
    characters = network.model.sizes["V"]
    train_text, test_text = texts()
    common = [c for c, _ in Counter(train_text).most_common(characters - 1)]
    known = {character: number for number, character in enumerate(common, start=1)}
    train, test = (numbered(text, known) for text in (train_text, test_text))
    print(f"{len(train)} characters, counted: {bits_of_counts(train, test, characters):.3f} bits")

    trainer = sb.load(network, optimizer="adam").Trainer(batch_size=ROWS, seed=0)
    generator = np.random.default_rng(0)
    began, steps, recent = time.process_time(), 0, 0.0
    while (share := (time.process_time() - began) / options.seconds) < 1:
        starts = generator.integers(len(train) - LENGTH, size=(ROWS, 1))
        rows = train[starts + np.arange(LENGTH + 1)]
        trainer.learning_rate = options.learning_rate * (1 - share) + 1e-5
        error = trainer.step(rows[:, :-1], rows[:, 1:])
        recent = error if steps == 0 else 0.99 * recent + 0.01 * error
        steps += 1
    pieces = test[: len(test) // (LENGTH + 1) * (LENGTH + 1)].reshape(-1, LENGTH + 1)
    module = sb.load(network, optimizer="adam")
    bits = module.loss(trainer.parameters, pieces[:, :-1], pieces[:, 1:]) / math.log(2)
    print(f"{steps} steps, on what it trained with {recent / math.log(2):.3f} bits, on other text {bits:.3f}")


if __name__ == "__main__":
    main()
