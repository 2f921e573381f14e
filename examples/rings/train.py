"""Points on a ring of eight heaps, made up by a generator that learns from a critic, in turn.

`python examples/rings/train.py` trains the networks in `generator.net` and `critic.net`. It prints how far
the points of the generator are from given ones that neither has seen, before and after: the Wasserstein
distance of equally many points along a line, its mean over lines. Beside it stand points of a normal
distribution with the mean and the covariance of the given ones, and other given ones, which is as near as
can be. `-o rings.svg` draws given points and those that are made up.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import symbackprop as sb

HERE = Path(__file__).parent
Points = np.ndarray
ROWS = 256
CRITIC_STEPS = 10
"""Steps of the critic for each of the generator."""
LINES = 100
"""Directions, over which the distance is a mean."""


def given_points(count: int, generator: np.random.Generator) -> Points:
    """Return points of eight heaps on a ring, of radius 1 and with deviations of 0.05."""
    angles = generator.integers(8, size=count) * (np.pi / 4)
    centers = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return (centers + 0.05 * generator.standard_normal((count, 2))).astype(np.float32)


def normal_points(like: Points, count: int, generator: np.random.Generator) -> Points:
    """Return points of the normal distribution with the mean and the covariance of others."""
    return generator.multivariate_normal(like.mean(axis=0), np.cov(like.T), size=count)


def distance(one: Points, other: Points) -> float:
    """Return the Wasserstein distance of equally many points along a line, its mean over lines."""
    angles = np.arange(LINES) * (np.pi / LINES)
    lines = np.stack([np.cos(angles), np.sin(angles)])
    return float(np.abs(np.sort(one @ lines, axis=0) - np.sort(other @ lines, axis=0)).mean())


class Contest:
    """A generator and a critic that learn in turn."""

    def __init__(self, steps: int, seed: int) -> None:
        modules = [
            sb.load(sb.Network.from_file(HERE / f"{name}.net"), optimizer="adam")
            for name in ("critic", "generator")
        ]
        self.random = np.random.default_rng(seed)
        self.module: Any = modules[1]
        rates, counts = (0.003, 0.001), (CRITIC_STEPS * steps, steps)
        self.critic, self.generator = (
            module.Trainer(
                batch_size=ROWS,
                seed=seed,
                learning_rate=rate,
                beta1=0.5,
                beta2=0.9,
                schedule=("cosine", count),
            )
            for module, rate, count in zip(modules, rates, counts, strict=True)
        )

    def made_points(self, count: int) -> Points:
        """Return points that the generator makes up."""
        size = self.module.PARAMETER_SHAPES["v1"][0]
        codes = self.random.standard_normal((count, size)).astype(np.float32)
        points: Points = self.module.forward(self.generator.parameters, codes)
        return points

    def step(self) -> None:
        """Let the critic learn for some steps, and then the generator from it for one."""
        for _ in range(CRITIC_STEPS):
            points = {"given": given_points(ROWS, self.random), "made": self.made_points(ROWS)}
            self.critic.step(points)
        for name, value in self.critic.parameters.items():
            self.generator.parameters[name][...] = value
        size = self.module.PARAMETER_SHAPES["v1"][0]
        self.generator.step(self.random.standard_normal((ROWS, size)).astype(np.float32))


def picture(given: Points, made: Points) -> str:
    """Return an SVG of given points, in grey, and those that are made up, in blue."""
    dots = [
        f'<circle cx="{x:.3f}" cy="{-y:.3f}" r="0.012" fill="{color}"/>'
        for color, points in (("#bbbbbb", given), ("#1f5fbf", made))
        for x, y in points
    ]
    start = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="-1.5 -1.5 3 3">'
    return "\n".join([start, *dots, "</svg>\n"])


def main() -> None:
    """Train both, and print how far points that are made up are from given ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=8000, help="steps of the generator")
    parser.add_argument("--count", type=int, default=5000, help="points to compare")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, help="an .svg of the points")
    options = parser.parse_args()
    began = time.process_time()
    random = np.random.default_rng(options.seed + 1)
    given, others = (given_points(options.count, random) for _ in range(2))
    contest = Contest(options.steps, options.seed)
    before = distance(given, contest.made_points(options.count))
    for _ in range(options.steps):
        contest.step()
    made = contest.made_points(options.count)
    print(f"one normal distribution: {distance(given, normal_points(given, options.count, random)):.3f} away")
    print(f"other given points: {distance(given, others):.3f} away")
    print(f"generator.net: {before:.3f} away before, {distance(given, made):.3f} after")
    print(f"{time.process_time() - began:.1f} s of processor time", file=sys.stderr)
    if options.output is not None:
        options.output.write_text(picture(given[:1000], made[:1000]), encoding="utf-8")
        print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
