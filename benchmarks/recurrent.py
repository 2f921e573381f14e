"""A step of an LSTM: the generated trainer against NumPy written by hand, and its memory against PyTorch.

Run with `python -m benchmarks.recurrent`.  The memory is what a trainer and
its steps add to the peak of a process that has imported its library.
By hand all products with the inputs are one before the loop, the gates are one array, and the derivatives of
the weights are products over samples and steps behind the loop.  Both compute the same parameters, which is
seen before anything is timed.  One thread, float32, plain gradient descent.
"""

from __future__ import annotations

import argparse
import os

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clock import ROUNDS, Ratio, Run, ratios, times
from benchmarks.memory import resident

Array = np.ndarray[Any, Any]
SAMPLES, STEPS, INPUTS, UNITS = 32, 32, 64, 64
RATE = 0.1
TORCH = "torch eager"
NET = f"""\
from library import lstm
input x[n, t, k]
target y[n, t, i]
size t = {STEPS}, k = {INPUTS}, i = {UNITS}
h[n, t, i] = lstm(x)
E = mean(sum((h[n, t, i] - y[n, t, i])**2, t, i)/2, n)
output h
"""


def data() -> tuple[Array, Array]:
    """Return a batch in float32."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(SAMPLES, STEPS, INPUTS)).astype(np.float32)
    y = generator.uniform(-0.5, 0.5, size=(SAMPLES, STEPS, UNITS)).astype(np.float32)
    return x, y


def generated() -> Any:
    """Return a trainer of the module that is generated."""
    import symbackprop as sb

    module = sb.load(sb.Network.from_equations(NET))
    return module.Trainer(learning_rate=RATE, batch_size=SAMPLES, seed=0)


class ByHand:
    """An LSTM as a good engineer writes it: time first, all gates in one array, nothing allocated in a step.

    The gates a, f and o come first, so that one sigmoid is enough.
    """

    def __init__(self, parameters: dict[str, Array]) -> None:
        gates = "afog"
        self.w, self.u = (np.hstack([parameters[f"{v}{g}"] for g in gates]) for v in "wu")
        self.b = np.hstack([parameters[f"b{g}"] for g in gates])
        shape = (STEPS, SAMPLES, UNITS)
        self.x = np.empty((STEPS, SAMPLES, INPUTS), np.float32)
        self.s, self.ds = (np.empty((STEPS, SAMPLES, 4 * UNITS), np.float32) for _ in range(2))
        self.h, self.c = (np.zeros((STEPS + 1, SAMPLES, UNITS), np.float32) for _ in range(2))
        self.tc, self.dh = (np.empty(shape, np.float32) for _ in range(2))
        self.work, self.dc = (np.empty(shape[1:], np.float32) for _ in range(2))
        self.product = np.empty((SAMPLES, 4 * UNITS), np.float32)
        self.back = np.empty(shape[1:], np.float32)
        self.dw, self.du = np.empty_like(self.w), np.empty_like(self.u)

    def step(self, x: Array, y: Array) -> float:
        """Update the parameters; return E before that."""
        i, work, dc = UNITS, self.work, self.dc
        np.copyto(self.x, x.transpose(1, 0, 2))
        np.dot(self.x.reshape(-1, INPUTS), self.w, out=self.s.reshape(-1, 4 * i))
        self.s += self.b
        for t in range(STEPS):
            s = self.s[t]
            np.dot(self.h[t], self.u, out=self.product)
            s += self.product
            sigmoids = s[:, : 3 * i]
            np.negative(sigmoids, out=sigmoids)
            np.exp(sigmoids, out=sigmoids)
            sigmoids += 1
            np.reciprocal(sigmoids, out=sigmoids)
            np.tanh(s[:, 3 * i :], out=s[:, 3 * i :])
            a, f, o, g = s[:, :i], s[:, i : 2 * i], s[:, 2 * i : 3 * i], s[:, 3 * i :]
            np.multiply(f, self.c[t], out=self.c[t + 1])
            np.multiply(a, g, out=work)
            self.c[t + 1] += work
            np.tanh(self.c[t + 1], out=self.tc[t])
            np.multiply(o, self.tc[t], out=self.h[t + 1])
        np.subtract(self.h[1:], y.transpose(1, 0, 2), out=self.dh)
        error = float(np.vdot(self.dh, self.dh)) / 2 / SAMPLES
        self.dh *= RATE / SAMPLES
        dc[...] = 0
        for t in range(STEPS - 1, -1, -1):
            s, ds, dh, tc = self.s[t], self.ds[t], self.dh[t], self.tc[t]
            a, f, o, g = s[:, :i], s[:, i : 2 * i], s[:, 2 * i : 3 * i], s[:, 3 * i :]
            if t < STEPS - 1:
                np.dot(self.ds[t + 1], self.u.T, out=self.back)
                dh += self.back
            np.multiply(tc, tc, out=work)
            np.subtract(1, work, out=work)
            work *= o
            work *= dh
            dc += work
            np.multiply(dc, g, out=ds[:, :i])
            np.multiply(dc, self.c[t], out=ds[:, i : 2 * i])
            np.multiply(dh, tc, out=ds[:, 2 * i : 3 * i])
            np.subtract(1, s[:, : 3 * i], out=self.product[:, : 3 * i])
            self.product[:, : 3 * i] *= s[:, : 3 * i]
            ds[:, : 3 * i] *= self.product[:, : 3 * i]
            np.multiply(g, g, out=work)
            np.subtract(1, work, out=work)
            work *= a
            np.multiply(work, dc, out=ds[:, 3 * i :])
            dc *= f
        flat = self.ds.reshape(-1, 4 * i)
        self.w -= np.dot(self.x.reshape(-1, INPUTS).T, flat, out=self.dw)
        self.u -= np.dot(self.h[:-1].reshape(-1, i).T, flat, out=self.du)
        self.b -= flat.sum(axis=0)
        return error


def torch_step() -> Callable[[Array, Array], object]:
    """Return a step of torch.nn.LSTM."""
    import torch

    torch.set_num_threads(1)
    layer = torch.nn.LSTM(INPUTS, UNITS, batch_first=True)
    optimizer = torch.optim.SGD(layer.parameters(), lr=RATE)

    def step(x: Array, y: Array) -> object:
        optimizer.zero_grad()
        h, _ = layer(torch.from_numpy(x))
        error = ((h - torch.from_numpy(y)) ** 2).sum() / 2 / SAMPLES
        error.backward()
        optimizer.step()
        return error.item()

    return step


def memory(name: str, path: str) -> float:
    """Return the MiB that steps add to the peak of this process, which has imported what they need."""
    x, y = data()
    if name == TORCH:
        import torch  # noqa: F401
    else:
        namespace: dict[str, Any] = {"__name__": "lstm"}
        exec(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), namespace)
    before = resident("VmHWM")
    if name == TORCH:
        step = torch_step()
    else:
        step = namespace["Trainer"](learning_rate=RATE, batch_size=SAMPLES, seed=0).step
    for _ in range(3):
        step(x, y)
    return (resident("VmHWM") - before) / 2**20


def measured(name: str, path: str) -> str:
    """Return what a process measured, a dash where the library is missing."""
    code = f"from benchmarks.recurrent import memory; print(memory({name!r}, {path!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode and "ModuleNotFoundError" not in done.stderr:
        raise RuntimeError(done.stderr)
    return f"{float(done.stdout):.1f} MiB" if done.stdout else "–"


def ratio(rounds: int = ROUNDS) -> Ratio:
    """Return the time of a generated step relative to that by hand; both compute the same."""
    x, y = data()
    trainer = generated()
    by_hand = ByHand({name: value.copy() for name, value in trainer.parameters.items()})
    for _ in range(20):
        np.testing.assert_allclose(trainer.step(x, y), by_hand.step(x, y), rtol=1e-4)

    def run(step: Callable[[Array, Array], object]) -> Run:
        return lambda count: [step(x, y) for _ in range(count)] and None

    runs = {"generated": run(trainer.step), "by hand": run(by_hand.step)}
    return ratios(times(runs, dict.fromkeys(runs, 1), rounds, block=0.1), "by hand")["generated"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="see that it works")
    print(f"a step beside NumPy by hand: {ratio(1 if parser.parse_args().short else ROUNDS)}")
    if Path("/proc/self/status").exists():
        import symbackprop as sb

        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/lstm.py"
            sb.generate(sb.Network.from_equations(NET), path)
            for name in ("generated trainer", TORCH):
                print(f"memory, {name}: {measured(name, path)}")


if __name__ == "__main__":
    main()
