"""Who runs: the generated trainer, the matrix products alone, and the other ways to train the same network.

A contestant is made from a configuration and runs a number of steps; libraries that are not installed
raise ImportError.  All compute the loss of a step, as the trainer does, unless their name says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np

import symbackprop as sb
from benchmarks.configurations import Array, Configuration

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8  # of Adam


@dataclass
class Contestant:
    """A way to train.

    ``run(n)`` carries out n steps, a multiple of ``unit``, and returns when they are done;
    ``parameters()`` gives w1, b1, w2, …, or nothing where nothing is trained.
    """

    run: Callable[[int], None]
    parameters: Callable[[], list[Any]]
    unit: int = 1


def in_turn(step: Callable[[Any, Any], object], batches: list[tuple[Any, Any]]) -> Callable[[int], None]:
    """Return the function that runs a number of steps on the batches in turn."""
    source: Iterator[tuple[Any, Any]] = cycle(batches)

    def run(steps: int) -> None:
        for _ in range(steps):
            x, t = next(source)
            step(x, t)

    return run


def start(configuration: Configuration, dtype: str) -> list[Array]:
    return [value.astype(dtype) for value in configuration.parameters()]


def trainer(configuration: Configuration, dtype: str = "float32", **options: bool) -> Contestant:
    module = sb.load(configuration.network, optimizer=configuration.optimizer)
    values = dict(zip(module.PARAMETER_SHAPES, start(configuration, dtype), strict=True))
    own = module.Trainer(values, batch_size=configuration.batch, learning_rate=configuration.learning_rate)
    step = partial(own.step, **options) if options else own.step
    return Contestant(in_turn(step, configuration.batches(dtype)), lambda: list(own.parameters.values()))


def trainer_without_loss(configuration: Configuration) -> Contestant:
    return trainer(configuration, with_loss=False)


def products(configuration: Configuration) -> Contestant:
    """The matrix products of a step and nothing else, into arrays that are there."""
    weights = start(configuration, "float32")[::2]
    layers = [np.ones((configuration.batch, n), "float32") for n in configuration.sizes]
    adjoints = [np.ones_like(layer) for layer in layers]
    derivatives = [np.empty_like(w) for w in weights]

    def step(x: Array, t: Array) -> None:
        layers[0] = x
        for w, below, above in zip(weights, layers, layers[1:], strict=False):
            np.dot(below, w, out=above)
        for number in reversed(range(len(weights))):
            np.dot(layers[number].T, adjoints[number + 1], out=derivatives[number])
            if number:
                np.dot(adjoints[number + 1], weights[number].T, out=adjoints[number])

    return Contestant(in_turn(step, configuration.batches("float32")), list)


def textbook(configuration: Configuration, dtype: str = "float32") -> Contestant:
    """Plain NumPy as courses teach it: an array for each result."""
    parameters = start(configuration, dtype)
    first, second = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    rate, count = configuration.learning_rate, 0
    activation: dict[str, Callable[[Array], Array]] = {
        "sigmoid": lambda s: 1 / (1 + np.exp(-s)),
        "relu": lambda s: np.maximum(s, 0),
        "tanh": np.tanh,
    }
    slope: dict[str, Callable[[Array], Array]] = {
        "sigmoid": lambda x: x * (1 - x),
        "relu": lambda x: x > 0,
        "tanh": lambda x: 1 - x**2,
    }

    def softmax(s: Array) -> Array:
        e: Array = np.exp(s - s.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def step(x: Array, t: Array) -> float:
        nonlocal count
        weights, biases = parameters[::2], parameters[1::2]
        layers = [x]
        for number, (w, b) in enumerate(zip(weights, biases, strict=True), start=1):
            s = layers[-1] @ w + b
            last = number == len(weights)
            function = softmax if last and configuration.output == "softmax" else None
            layers.append((function or activation[configuration.output if last else configuration.hidden])(s))
        y = layers[-1]
        if configuration.output == "softmax":
            loss = -(t * np.log(y)).sum() / len(x)
        else:
            loss = -(t * np.log(y) + (1 - t) * np.log(1 - y)).sum() / len(x)
        delta = (y - t) / len(x)
        gradients: list[Array] = []
        for number in reversed(range(len(weights))):
            gradients[:0] = [layers[number].T @ delta, delta.sum(axis=0)]
            if number:
                delta = (delta @ weights[number].T) * slope[configuration.hidden](layers[number])
        count += 1
        for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
            if configuration.optimizer == "adam":
                m[:] = BETA1 * m + (1 - BETA1) * g
                v[:] = BETA2 * v + (1 - BETA2) * g**2
                p -= rate * (m / (1 - BETA1**count)) / (np.sqrt(v / (1 - BETA2**count)) + EPSILON)
            else:
                p -= rate * g
        return float(loss)

    return Contestant(in_turn(step, configuration.batches(dtype)), lambda: parameters)


def textbook_float64(configuration: Configuration) -> Contestant:
    return textbook(configuration, "float64")


def torch_eager(configuration: Configuration, compiled: bool = False) -> Contestant:
    import torch

    torch.set_num_threads(1)
    kinds = {"sigmoid": torch.nn.Sigmoid, "relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
    values = [torch.from_numpy(value) for value in start(configuration, "float32")]
    layers: list[Any] = []
    for w, b in zip(values[::2], values[1::2], strict=True):
        linear = torch.nn.Linear(*w.shape)
        linear.weight.data, linear.bias.data = w.T.contiguous(), b
        layers += [linear, kinds[configuration.hidden]()]
    network = torch.nn.Sequential(*layers[:-1])  # up to the logits
    functional = torch.nn.functional

    def loss(x: Any, t: Any) -> Any:
        if configuration.output == "softmax":
            return functional.cross_entropy(network(x), t)
        return functional.binary_cross_entropy_with_logits(network(x), t, reduction="sum") / len(x)

    kind = torch.optim.Adam if configuration.optimizer == "adam" else torch.optim.SGD
    optimizer = kind(network.parameters(), lr=configuration.learning_rate)
    loss_of, update = loss, optimizer.step
    if compiled:
        loss_of, update = torch.compile(loss), torch.compile(optimizer.step)

    def step(x: Any, t: Any) -> float:
        optimizer.zero_grad()
        value = loss_of(x, t)
        value.backward()
        update()
        return float(value.detach())

    batches = [(torch.from_numpy(x), torch.from_numpy(t)) for x, t in configuration.batches("float32")]
    return Contestant(
        in_turn(step, batches),
        lambda: [p.detach().numpy().T for p in network.parameters()],
    )


def torch_compiled(configuration: Configuration) -> Contestant:
    return torch_eager(configuration, compiled=True)


def _jax_update(configuration: Configuration) -> tuple[Callable[..., Any], Any, list[Any]]:
    """Return the function of one step, the state it starts from, and the batches."""
    import jax
    from jax import numpy as jnp

    hidden = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu, "tanh": jnp.tanh}[configuration.hidden]

    def loss(parameters: list[Any], x: Any, t: Any) -> Any:
        for number in range(0, len(parameters) - 2, 2):
            x = hidden(x @ parameters[number] + parameters[number + 1])
        s = x @ parameters[-2] + parameters[-1]
        if configuration.output == "softmax":
            return -(t * jax.nn.log_softmax(s)).sum() / len(x)
        return (jnp.logaddexp(0, s) - s * t).sum() / len(x)

    rate = configuration.learning_rate

    def update(state: Any, x: Any, t: Any) -> Any:
        parameters, first, second, count = state
        value, gradients = jax.value_and_grad(loss)(parameters, x, t)
        if configuration.optimizer != "adam":
            parameters = [p - rate * g for p, g in zip(parameters, gradients, strict=True)]
            return (parameters, first, second, count), value
        count = count + 1
        first = [BETA1 * m + (1 - BETA1) * g for m, g in zip(first, gradients, strict=True)]
        second = [BETA2 * v + (1 - BETA2) * g * g for v, g in zip(second, gradients, strict=True)]
        scale1, scale2 = 1 - BETA1**count, 1 - BETA2**count
        parameters = [
            p - rate * (m / scale1) / (jnp.sqrt(v / scale2) + EPSILON)
            for p, m, v in zip(parameters, first, second, strict=True)
        ]
        return (parameters, first, second, count), value

    values = [jnp.asarray(value) for value in start(configuration, "float32")]
    moments = [jnp.zeros_like(v) for v in values] if configuration.optimizer == "adam" else []
    state = (values, moments, [m.copy() for m in moments], jnp.zeros(()))
    return update, state, [(jnp.asarray(x), jnp.asarray(t)) for x, t in configuration.batches("float32")]


def jax_jit(configuration: Configuration, reads_loss: bool = False) -> Contestant:
    import jax

    update, state, batches = _jax_update(configuration)
    compiled = jax.jit(update, donate_argnums=0)
    source = cycle(batches)

    def run(steps: int) -> None:
        nonlocal state
        for _ in range(steps):
            x, t = next(source)
            state, loss = compiled(state, x, t)
            if reads_loss:
                float(loss)
        jax.block_until_ready(state)

    return Contestant(run, lambda: [np.asarray(p) for p in state[0]])


def jax_jit_read(configuration: Configuration) -> Contestant:
    """The loss as a number after every step, as the trainer and PyTorch's loop give it."""
    return jax_jit(configuration, reads_loss=True)


def jax_scan(configuration: Configuration) -> Contestant:
    import jax
    from jax import numpy as jnp

    update, state, batches = _jax_update(configuration)
    unit = 100
    xs, ts = (jnp.stack(arrays) for arrays in zip(*batches, strict=True))

    @jax.jit
    def steps_of(state: Any, first: Any) -> Any:
        numbers = (first + jnp.arange(unit)) % len(batches)
        return jax.lax.scan(lambda s, n: update(s, xs[n], ts[n]), state, numbers)

    done = 0

    def run(steps: int) -> None:
        nonlocal state, done
        for _ in range(steps // unit):
            state, _ = steps_of(state, done)
            done += unit
        jax.block_until_ready(state)

    return Contestant(run, lambda: [np.asarray(p) for p in state[0]], unit)


def hips_autograd(configuration: Configuration) -> Contestant:
    from autograd import numpy as anp
    from autograd import value_and_grad

    functions = {
        "sigmoid": lambda s: 1 / (1 + anp.exp(-s)),
        "relu": lambda s: anp.maximum(s, 0),
        "tanh": anp.tanh,
    }
    hidden = functions[configuration.hidden]

    def loss(parameters: list[Any], x: Any, t: Any) -> Any:
        for number in range(0, len(parameters) - 2, 2):
            x = hidden(anp.dot(x, parameters[number]) + parameters[number + 1])
        s = anp.dot(x, parameters[-2]) + parameters[-1]
        if configuration.output == "softmax":
            s = s - anp.max(s, axis=1, keepdims=True)
            return -anp.sum(t * (s - anp.log(anp.sum(anp.exp(s), axis=1, keepdims=True)))) / len(x)
        return anp.sum(anp.logaddexp(0, s) - s * t) / len(x)

    derivative = value_and_grad(loss)
    parameters = start(configuration, "float32")
    first, second = ([np.zeros_like(p) for p in parameters] for _ in range(2))
    count = 0

    def step(x: Array, t: Array) -> float:
        nonlocal count
        value, gradients = derivative(parameters, x, t)
        count += 1
        for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
            if configuration.optimizer == "adam":
                m[:] = BETA1 * m + (1 - BETA1) * g
                v[:] = BETA2 * v + (1 - BETA2) * g**2
                g = configuration.learning_rate * (m / (1 - BETA1**count))
                p -= g / (np.sqrt(v / (1 - BETA2**count)) + EPSILON)
            else:
                p -= configuration.learning_rate * g
        return float(value)

    return Contestant(in_turn(step, configuration.batches("float32")), lambda: parameters)


def scikit_learn(configuration: Configuration) -> Contestant:
    from sklearn.neural_network import MLPClassifier

    outputs = configuration.sizes[-1]
    model = MLPClassifier(
        configuration.sizes[1:-1],
        activation="logistic" if configuration.hidden == "sigmoid" else configuration.hidden,
        solver=configuration.optimizer,
        alpha=0.0,
        batch_size=configuration.batch,
        learning_rate_init=configuration.learning_rate,
        momentum=0.0,
        nesterovs_momentum=False,
    )
    batches = [
        (x, t[:, 0].astype(int) if outputs == 1 else t.argmax(axis=1))
        for x, t in configuration.batches("float32")
    ]
    model.partial_fit(*batches[0], classes=np.arange(max(outputs, 2)))  # makes its arrays
    if configuration.output == "sigmoid":
        model.out_activation_ = "logistic"
    values = start(configuration, "float32")
    for own, value in zip([*model.coefs_, *model.intercepts_], [*values[::2], *values[1::2]], strict=True):
        own[...] = value
    optimizer = model._optimizer
    if configuration.optimizer == "adam":
        optimizer.t = 0
        for moment in (*optimizer.ms, *optimizer.vs):
            moment[...] = 0

    def step(x: Array, t: Array) -> None:
        if configuration.optimizer == "adam":
            # Its epsilon stands beside sqrt(v), that of the others beside sqrt(v / (1 - BETA2**t)).
            optimizer.epsilon = EPSILON * math.sqrt(1 - BETA2 ** (optimizer.t + 1))
        model.partial_fit(x, t)

    return Contestant(
        in_turn(step, batches),
        lambda: [a for pair in zip(model.coefs_, model.intercepts_, strict=True) for a in pair],
    )


CONTESTANTS: dict[str, Callable[[Configuration], Contestant]] = {
    "trainer": trainer,
    "trainer, without loss": trainer_without_loss,
    "matrix products alone": products,
    "textbook NumPy": textbook,
    "textbook NumPy, float64": textbook_float64,
    "torch eager": torch_eager,
    "torch.compile": torch_compiled,
    "jax.jit": jax_jit,
    "jax.jit, loss read": jax_jit_read,
    "jax.lax.scan": jax_scan,
    "HIPS autograd": hips_autograd,
    "scikit-learn": scikit_learn,
}
