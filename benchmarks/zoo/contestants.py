"""Who takes the steps of a network: its generated trainer, PyTorch, JAX, and NumPy as textbooks write it.

Each begins with the same parameters, and its step reads the loss as a number, except of JAX's.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.zoo.task import Array, Named, Task, Values, arguments

RATE = 1e-3


@dataclass(frozen=True)
class Problem:
    """A network, its module, and the parameters and data in some precision."""

    task: Task
    module: Any
    dtype: str = "float32"

    def parameters(self) -> dict[str, Array]:
        return {k: np.array(v, self.dtype) for k, v in self.task.parameters(self.module).items()}

    @cached_property
    def data(self) -> dict[str, Array]:
        found = self.task.data()
        return {k: v.astype(self.dtype) if v.dtype.kind == "f" else v for k, v in found.items()}


class LeftOut(Exception):
    """Somebody can't take part: the message says why."""


class Contestant(ABC):
    """A way to train."""

    @abstractmethod
    def gradients(self) -> tuple[float, dict[str, Array]]:
        """Return the loss and its derivatives at the parameters that there are."""

    @abstractmethod
    def run(self, steps: int) -> None:
        """Take so many steps."""


class Generated(Contestant):
    def __init__(self, problem: Problem, rate: float = RATE) -> None:
        self.module = problem.module
        self.x, self.t = arguments(problem.module, problem.data)
        batch = problem.task.batch
        self.trainer = problem.module.Trainer(problem.parameters(), batch_size=batch, learning_rate=rate)

    def gradients(self) -> tuple[float, dict[str, Array]]:
        return self.module.gradients(self.trainer.parameters, self.x, self.t)  # type: ignore[no-any-return]

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.trainer.step(self.x, self.t)


class Stepped(Contestant):
    """The generated trainer, whose derivatives are read off a step of rate 1."""

    def __init__(self, problem: Problem) -> None:
        self.own = Generated(problem, 1.0)
        self.before = {k: v.copy() for k, v in self.own.trainer.parameters.items()}

    def gradients(self) -> tuple[float, dict[str, Array]]:
        loss = self.own.trainer.step(self.own.x, self.own.t)
        return loss, {k: self.before[k] - v for k, v in self.own.trainer.parameters.items()}

    def run(self, steps: int) -> None:
        self.own.run(steps)


class Torch(Contestant):
    def __init__(self, problem: Problem, compiled: bool = False) -> None:
        import torch

        torch.set_num_threads(1)
        task = problem.task
        self.back = task.from_torch
        values = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in problem.parameters().items()}
        with torch.no_grad():
            self.values = {k: v.clone().requires_grad_() for k, v in task.torch_parameters(values).items()}
        self.data = Named({k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in problem.data.items()})
        self.optimizer = torch.optim.SGD(list(self.values.values()), lr=RATE)
        self.loss: Callable[[Any, Any], Any] = task.torch
        self.update: Callable[[], Any] = self.optimizer.step
        if compiled:
            if shutil.which("c++") is None and shutil.which("g++") is None:
                raise LeftOut("torch.compile needs a C++ compiler")
            self.loss, self.update = torch.compile(self.loss), torch.compile(self.update)

    def _derive(self) -> float:
        self.optimizer.zero_grad()
        loss = self.loss(Named(self.values), self.data)
        loss.backward()
        return float(loss.detach())

    def gradients(self) -> tuple[float, dict[str, Array]]:
        loss = self._derive()
        grads = {k: v.grad for k, v in self.values.items() if v.grad is not None}  # a state has none
        return loss, {k: v.numpy() for k, v in self.back(grads).items()}

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self._derive()
            self.update()


class Compiled(Torch):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, compiled=True)
        try:
            self.gradients()
        except Exception as error:  # PyTorch's own failures: of its fused recurrent layers, for one
            raise LeftOut(f"PyTorch can't compile it: {str(error).splitlines()[0]}") from error


class Jax(Contestant):
    def __init__(self, problem: Problem) -> None:
        import jax

        self.values = {k: jax.numpy.array(v) for k, v in problem.parameters().items()}
        self.data = {k: jax.numpy.array(v) for k, v in problem.data.items()}
        own = problem.task.jax
        derive = jax.value_and_grad(lambda values, data: own(Named(values), Named(data)))

        def update(values: Values, data: Values) -> tuple[Values, Any]:
            loss, found = derive(values, data)
            return {k: v - RATE * found[k] for k, v in values.items()}, loss

        self.derive, self.update = jax.jit(derive), jax.jit(update, donate_argnums=0)

    def gradients(self) -> tuple[float, dict[str, Array]]:
        loss, found = self.derive(self.values, self.data)
        return float(loss), {k: np.asarray(v) for k, v in found.items()}

    def run(self, steps: int) -> None:
        import jax

        for _ in range(steps):
            self.values, _ = self.update(self.values, self.data)
        jax.block_until_ready(self.values)


class Textbook(Contestant):
    def __init__(self, problem: Problem) -> None:
        if problem.task.textbook is None:
            raise NotImplementedError
        self.derive, self.values = problem.task.textbook, problem.parameters()
        self.data = Named(problem.data)

    def gradients(self) -> tuple[float, dict[str, Array]]:
        return self.derive(Named(self.values), self.data)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            for name, derivative in self.gradients()[1].items():
                self.values[name] -= RATE * derivative


CONTESTANTS: dict[str, Callable[[Problem], Contestant]] = {
    "trainer": Generated,
    "torch eager": Torch,
    "torch.compile": Compiled,
    "jax.jit": Jax,
    "textbook NumPy": Textbook,
}
