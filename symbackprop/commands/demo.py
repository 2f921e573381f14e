"""The main job on real data: derive, prove, generate, check and train, twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from symbackprop.commands.check import Report
from symbackprop.commands.comparison.module import check_module
from symbackprop.commands.digits.images import Digits, Floats, load_digits, split
from symbackprop.commands.named import NAMED_NETWORKS
from symbackprop.equations.steps import Derived
from symbackprop.network.network import Network
from symbackprop.pipeline import derive, load
from symbackprop.printing.notation import notation_for
from symbackprop.printing.text import text
from symbackprop.proof.prover import prove

Say = Callable[[str], None]
SEED = 1


@dataclass(frozen=True)
class Settings:
    """How a network of the demo is trained."""

    learning_rate: float
    batch_size: int
    epochs: int


CLASSIFIER = Settings(learning_rate=0.5, batch_size=16, epochs=60)
AUTOENCODER = Settings(learning_rate=0.5, batch_size=16, epochs=120)


def run(say: Say) -> bool:
    """Run both parts, report to ``say``; return whether accuracy and error reach their goals."""
    training, held_out = split(load_digits(), SEED)
    say(
        f"Handwritten digits: {len(training.labels)} images to learn from, "
        f"{len(held_out.labels)} held out, a fifth of each class, used for nothing else."
    )
    accuracy = classifier(training, held_out, say)
    error, of_means = autoencoder(training, held_out, say)
    return accuracy >= 0.96 and error < of_means / 2


def classifier(training: Digits, held_out: Digits, say: Say) -> float:
    """Train the classifier; return its accuracy on the held-out images."""
    module = _prepared("digits_classifier", say)
    trainer = _trained(module, CLASSIFIER, training.images, training.one_hot, say)
    outputs = module.forward(trainer.parameters, held_out.images)
    accuracy = float(np.mean(outputs.argmax(axis=1) == held_out.labels))
    say(f"accuracy on the held-out images: {accuracy:.2%}")
    return accuracy


def autoencoder(training: Digits, held_out: Digits, say: Say) -> tuple[float, float]:
    """Train the autoencoder; return its E on held-out images, and that of the pixel means."""
    module = _prepared("digits_autoencoder", say)
    images, unseen = training.black_and_white, held_out.black_and_white
    trainer = _trained(module, AUTOENCODER, images, images, say)
    error = float(module.loss(trainer.parameters, unseen, unseen))
    of_means = error_of_means(images, unseen)
    say(
        f"E on the held-out images: {error:.2f}, of the pixel means: {of_means:.2f}, "
        f"ratio {error / of_means:.2f}"
    )
    return error, of_means


def error_of_means(images: Floats, unseen: Floats) -> float:
    """Return the mean E when every image is answered with the mean of each pixel.

    A pixel that is the same in all training images gets a probability of half an image, not 0 or 1.
    """
    count = len(images)
    means = np.clip(images.mean(axis=0, dtype=np.float64), 0.5 / count, 1 - 0.5 / count)
    return float(-(unseen * np.log(means) + (1 - unseen) * np.log(1 - means)).sum(axis=1).mean())


def _prepared(name: str, say: Say) -> ModuleType:
    """Derive, prove, generate and check a named network."""
    network = Network(**NAMED_NETWORKS[name].network)
    say(f"\n{name.replace('_', ' ')}: {network.description}")
    derivation = derive(network)
    _tell_derived(derivation, say)
    module = load(derivation)
    report = Report(name, prove(derivation), check_module(module, derivation))
    say(report.summary())
    if not report.holds:
        raise RuntimeError(report.table())
    return module


def _tell_derived(derivation: Derived, say: Say) -> None:
    notation = notation_for(derivation, "layered")
    say(f"derived in {len(derivation.by_number)} steps:")
    named = {*derivation.adjoints.values(), *derivation.system.parameters}
    for name, number in derivation.results.items():
        step = derivation.by_number[number]
        if name in named:
            say(f"  ({number}) {text(step.lhs, notation)} = {text(step.rhs, notation)}")


def _trained(module: ModuleType, settings: Settings, x: Floats, t: Floats, say: Say) -> Any:
    trainer = module.Trainer(learning_rate=settings.learning_rate, batch_size=settings.batch_size, seed=SEED)
    history = trainer.fit(x, t, settings.epochs)
    first, last = history["loss"][0], history["loss"][-1]
    say(f"trained for {settings.epochs} epochs: E fell from {first:.3f} to {last:.3f}")
    return trainer
