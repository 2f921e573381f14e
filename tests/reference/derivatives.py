"""Makes derivatives.json: networks whose error holds derivatives of their own outputs, in PyTorch.

    python derivatives.py

The arrays are drawn by `drawn`, which the tests call, too; E and its gradients are computed by autograd with
create_graph, in float64.  The tests do not run this.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "heat": {
        "x": (5, 2), "g": (5,), "w1": (2, 4), "b1": (4,), "w2": (4, 3), "b2": (3,), "w3": (3,), "b3": (),
    },
    "penalty": {
        "real": (5, 4), "made": (5, 4), "between": (5,),
        "w1": (4, 3), "b1": (3,), "w2": (3, 2), "b2": (2,), "w3": (2,),
    },
    "score": {"x": (5, 3), "w1": (3, 4), "b1": (4,), "w2": (4, 3)},
    "forces": {"place": (5, 3, 2), "force": (5, 3, 2), "w": (4,), "c": (4,), "v": (4,)},
    "maml": {"x": (5, 3), "t": (5,), "w": (3,), "v": (3,)},
}  # fmt: skip
"""Network -> its inputs, targets and parameters."""


def drawn(name: str) -> dict[str, np.ndarray]:
    """Return the arrays of a network."""
    generator = np.random.default_rng(len(name))
    return {array: generator.normal(size=shape) for array, shape in SHAPES[name].items()}


def computed() -> dict[str, dict[str, object]]:
    """Return E and its gradients of each network."""
    import torch
    from torch import tanh

    def grad(of, to):
        return torch.autograd.grad(of.sum(), to, create_graph=True)[0]

    def heat(x, g, w1, b1, w2, b2, w3, b3):
        u = tanh(tanh(x @ w1 + b1) @ w2 + b2) @ w3 + b3
        du = grad(u, x)
        uxx = grad(du[:, 0], x)[:, 0]
        return ((du[:, 1] - 0.1 * uxx) ** 2 + (u - g) ** 2).mean()

    def penalty(real, made, between, w1, b1, w2, b2, w3):
        def critic(x):
            return torch.relu(torch.relu(x @ w1 + b1) @ w2 + b2) @ w3

        mixed = between[:, None] * real + (1 - between[:, None]) * made
        length = grad(critic(mixed), mixed).norm(dim=1)
        return (critic(made) - critic(real) + 10 * (length - 1) ** 2).mean()

    def score(x, w1, b1, w2):
        f = torch.nn.functional.softplus(x @ w1 + b1) @ w2
        trace = sum(grad(f[:, k], x)[:, k] for k in range(3))
        return ((f**2).sum(1) / 2 + trace).mean()

    def forces(place, force, w, c, v):
        apart = ((place[:, :, None] - place[:, None]) ** 2).sum(-1)
        each = (torch.exp(-(w**2) * (apart[..., None] - c) ** 2) * v).sum(-1)
        energy = torch.triu(each, diagonal=1).sum((1, 2))
        return ((-grad(energy, place) - force) ** 2).sum((1, 2)).mean() + (energy**2).mean()

    def maml(x, t, w, v):
        inner = ((tanh(x * v) @ w - t) ** 2).mean()
        fast = w - 0.1 * grad(inner, w)
        return ((tanh(x * v) @ fast - t) ** 2).mean()

    found = {}
    for error in (heat, penalty, score, forces, maml):
        arrays = {n: torch.tensor(a, requires_grad=True) for n, a in drawn(error.__name__).items()}
        E = error(**arrays)
        E.backward()
        gradients = {n: a.grad.tolist() for n, a in arrays.items() if n[0] in "wbcv" and n != "between"}
        found[error.__name__] = {"E": E.item(), "gradients": gradients}
    return found


if __name__ == "__main__":
    text = json.dumps(computed(), indent=1) + "\n"
    (Path(__file__).parent / "derivatives.json").write_text(text, encoding="utf-8")
