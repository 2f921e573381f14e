"""Models of text that read the project's own documentation, beside one that counts three characters.

`python examples/characters/train.py lstm` trains the network in `lstm.net`, and with `decoder` that in
`decoder.net`, each in less than three minutes on one core. It prints how many bits a network needs to tell a
character of text that it has not seen.

So little text is soon known by heart. While a network learns, a part of its numbers is set to 0 at random
(dropout): what stays, and is larger for it, comes as an input, `keep`, which is 1 everywhere in use.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import symbackprop as sb

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CHARACTERS = 80
LENGTH = 64
"""Characters of a piece of text."""


@dataclass(frozen=True)
class Settings:
    """How a network is trained: by AdamW, with a learning rate that falls as a cosine."""

    steps: int
    rows: int
    """Pieces of text in a step."""
    dropout: float


SETTINGS = {
    "lstm": Settings(steps=6500, rows=32, dropout=0.2),
    "decoder": Settings(steps=6000, rows=16, dropout=0.15),
}


def texts() -> tuple[str, str]:
    """Return the documentation without the last tenth of each page, and these tenths."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    pages = [path.read_text(encoding="utf-8") for path in files]
    ends = [len(page) * 9 // 10 for page in pages]
    parts = list(zip(pages, ends, strict=True))
    return "\n".join(page[:end] for page, end in parts), "\n".join(page[end:] for page, end in parts)


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


def learn(
    module: Any, width: int, settings: Settings, text: np.ndarray, seed: int, say: Callable[[str], None]
) -> dict[str, np.ndarray]:
    """Return the parameters after training on pieces of the text that are drawn at random."""
    trainer = module.Trainer(
        batch_size=settings.rows,
        seed=seed,
        learning_rate=0.003,
        weight_decay=0.1,
        beta2=0.99,
        schedule=("warmup", 100, ("cosine", settings.steps)),
        clip_norm=1.0,
    )
    generator = np.random.default_rng(seed)
    errors = []
    for step in range(1, settings.steps + 1):
        starts = generator.integers(len(text) - LENGTH, size=(settings.rows, 1))
        rows = text[starts + np.arange(LENGTH + 1)]
        drawn = generator.random((settings.rows, LENGTH, width), dtype=np.float32)
        keep = (drawn >= settings.dropout).astype(np.float32) / (1 - settings.dropout)
        errors.append(trainer.step({"before": rows[:, :-1], "keep": keep}, rows[:, 1:]))
        if step % 500 == 0 or step == settings.steps:
            say(f"{step} steps, on what it trains with {np.mean(errors[-500:]) / math.log(2):.3f} bits")
    return dict(trainer.parameters)


def bits(module: Any, width: int, parameters: dict[str, np.ndarray], text: np.ndarray) -> float:
    """Return the bits a character of a network, on pieces of text of which it sees nothing before."""
    pieces = text[: len(text) // (LENGTH + 1) * (LENGTH + 1)].reshape(-1, LENGTH + 1)
    x = {"before": pieces[:, :-1], "keep": np.ones((len(pieces), LENGTH, width), np.float32)}
    return float(module.loss(parameters, x, pieces[:, 1:])) / math.log(2)


def main() -> None:
    """Train a network, and print how well it and the counts predict."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("net", choices=SETTINGS)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings = SETTINGS[options.net]
    if options.steps is not None:
        settings = replace(settings, steps=options.steps)
    train_text, test_text = texts()
    common = [c for c, _ in Counter(train_text).most_common(CHARACTERS - 1)]
    known = {character: number for number, character in enumerate(common, start=1)}
    train, test = (numbered(text, known) for text in (train_text, test_text))
    counted = bits_of_counts(train, test, CHARACTERS)
    print(f"{len(train)} characters; what counts three needs {counted:.3f} bits for one of other text")

    network = sb.Network.from_file(HERE / f"{options.net}.net")
    module, width = sb.load(network, optimizer="adamw"), network.model.sizes["D"]
    began = time.process_time()
    parameters = learn(module, width, settings, train, options.seed, print)
    print(f"{options.net}: {time.process_time() - began:.0f} s of processor time", file=sys.stderr)
    print(f"{options.net} needs {bits(module, width, parameters, test):.3f} bits for one of other text")


if __name__ == "__main__":
    main()
