"""Handwritten digits: a variational autoencoder, and images that it makes up.

`python examples/digits/autoencoder.py` trains the network in `autoencoder.net` on the images that
`symbackprop demo` learns from, in black and white. It prints how many nats an image takes that is held out:
at most as many as the error while it is trained, a mean over codes that are drawn, and beside it the error
in use, with the means for codes. What it is compared with takes each pixel for itself, black as often as it
is in the images to learn from. `-o digits.svg` draws images of codes from a normal distribution.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import symbackprop as sb
from symbackprop.commands.demo import SEED
from symbackprop.commands.digits.images import load_digits, split

HERE = Path(__file__).parent
ROWS = 64
DRAWS = 20
"""Codes drawn for each image, over which the error is a mean."""


def trained(module: Any, images: np.ndarray, epochs: int, seed: int) -> dict[str, np.ndarray]:
    """Return the parameters after training from the start with this seed."""
    steps = epochs * -(-len(images) // ROWS)
    trainer = module.Trainer(batch_size=ROWS, seed=seed, learning_rate=0.002, schedule=("cosine", steps))
    trainer.fit(images, epochs=epochs)
    return dict(trainer.parameters)


def nats_by_drawn_codes(
    module: Any, parameters: dict[str, np.ndarray], images: np.ndarray, seed: int
) -> float:
    """Return the error while it is trained, a bound of the nats for an image, over several draws."""
    generator = np.random.default_rng(seed)
    draws = (module.draw_noise(generator, len(images)) for _ in range(DRAWS))
    return float(np.mean([module.loss(parameters, images, noise=noise) for noise in draws]))


def nats_of_pixels(images: np.ndarray, others: np.ndarray) -> float:
    """Return the nats for one of the ``others`` where each pixel is black as often as in ``images``."""
    share = (images.sum(axis=0) + 0.5) / (len(images) + 1)
    each = others * np.log(share) + (1 - others) * np.log1p(-share)
    return float(-each.sum(axis=1).mean())


def made_up(parameters: dict[str, np.ndarray], count: int, seed: int) -> np.ndarray:
    """Return images of codes that are drawn, how black each pixel is."""
    painter: Any = sb.load(sb.Network.from_file(HERE / "painter.net"))
    own = {name: parameters[name] for name in painter.PARAMETER_SHAPES}
    codes = np.random.default_rng(seed).standard_normal((count, painter.PARAMETER_SHAPES["v1"][0]))
    images: np.ndarray = painter.forward(own, codes.astype(np.float32))
    return images.reshape(-1, 8, 8)


def picture(images: np.ndarray, columns: int = 10) -> str:
    """Return an SVG with images beside and below each other."""
    squares = []
    for number, image in enumerate(images):
        left, top = 9 * (number % columns), 9 * (number // columns)
        for (y, x), black in np.ndenumerate(image):
            squares.append(
                f'<rect x="{left + x}" y="{top + y}" width="1.02" height="1.02" fill-opacity="{black:.2f}"/>'
            )
    size = f"{9 * columns - 1} {9 * -(-len(images) // columns) - 1}"
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}">', *squares, "</svg>\n"])


def main() -> None:
    """Train the network, and print how many nats an image takes that is held out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, help="an .svg of images that it makes up")
    options = parser.parse_args()
    parts = split(load_digits(), SEED)
    training, held_out = (part.black_and_white for part in parts)
    began = time.process_time()
    module: Any = sb.load(sb.Network.from_file(HERE / "autoencoder.net"), optimizer="adam")
    parameters = trained(module, training, options.epochs, options.seed)
    by_draws = nats_by_drawn_codes(module, parameters, held_out, options.seed)
    in_use = float(module.loss_in_use(parameters, held_out))
    print(f"{len(training)} images to learn from, {len(held_out)} held out")
    print(f"each pixel for itself: an image takes {nats_of_pixels(training, held_out):.2f} nats")
    print(f"autoencoder.net: an image takes {by_draws:.2f} nats at most; the error in use is {in_use:.2f}")
    print(f"{time.process_time() - began:.1f} s of processor time", file=sys.stderr)
    if options.output is not None:
        options.output.write_text(picture(made_up(parameters, 40, options.seed)), encoding="utf-8")
        print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
