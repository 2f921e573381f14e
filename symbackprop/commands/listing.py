"""The library as tables, each function with the derivative that is derived for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import cache

from sympy import Derivative, Integer, KroneckerDelta, Symbol

from symbackprop.commands.check import aligned
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.derivation.stable.bounds import Bounds, bounds_of, shown
from symbackprop.equations.system import Equation, EquationSystem, index, quantity, size, sum_over
from symbackprop.library.activations import ACTIVATIONS
from symbackprop.library.block_files import block_files
from symbackprop.library.initializers import INITIALIZERS
from symbackprop.library.losses import LOSSES, Loss
from symbackprop.library.optimizers import OPTIMIZERS
from symbackprop.network.functions import activation_expression, read_loss
from symbackprop.printing.notation import NOTATIONS, notation_for
from symbackprop.printing.text import text


def _table(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return f"{title}\n\n{aligned([header, *rows])}"


def _entries(title: str, entries: Mapping[str, Sequence[str]]) -> str:
    """Return entries of several lines each, under their names in a column of their own."""
    width = max(map(len, entries)) + 2
    lines = []
    for name, (first, *others) in entries.items():
        lines += [name.ljust(width) + first, *(" " * width + line for line in others if line)]
    return "\n".join([title, "", *lines])


def activations() -> str:
    """Return the activations as text: formula, derived slope, and the bounds of both."""
    entries = {}
    for name, activation in ACTIVATIONS.items():
        values, slopes = activation_bounds(name)
        largest = shown(max(abs(slopes.low), abs(slopes.high)))
        entries[name] = [
            f"x = {activation.formula}",
            f"∂x/∂s = {activation_slope(name)}",
            f"range {values}, slopes {slopes}, largest {largest}",
            _parameters(activation.parameters, activation.trainable),
            f"as output with {activation.partner} unless told otherwise" if activation.partner else "",
            activation.source,
        ]
    return _entries("Activations", entries)


def _parameters(parameters: Mapping[str, Fraction], trainable: bool = False) -> str:
    values = ", ".join(f"{name}={float(value)!r}" for name, value in parameters.items())
    if not values:
        return ""
    return f"trained, one for each layer, starting at {values}" if trainable else f"parameters {values}"


def activation_bounds(name: str) -> tuple[Bounds, Bounds]:
    """Return the bounds of the values and of the slopes; the other unit of a layer is at 0."""
    pre_activation, other, i, k = Symbol("s", real=True), Symbol("other", real=True), index("i"), index("k")
    layer = quantity("s", 2)
    value = activation_expression(name, layer, i, k).doit()
    value = value.xreplace({layer[i]: pre_activation, layer[0]: pre_activation, layer[1]: other})
    slope = value.diff(pre_activation)
    alone = {other: Integer(0)}
    return bounds_of(value.xreplace(alone), pre_activation), bounds_of(slope.xreplace(alone), pre_activation)


@cache
def activation_slope(name: str) -> str:
    """Return the derived derivative of an activation; with indices where units are coupled."""
    units, i, k = size("n"), index("i"), index("k")
    s, x, cotangent, error = quantity("s", units), quantity("x", units), quantity("c", units), quantity("E")
    equations = (
        Equation(x[i], activation_expression(name, s, i, k)),
        Equation(error.symbol, sum_over(cotangent[i] * x[i], (i, units))),
    )
    quantities = {q.name: q for q in (s, x, cotangent, error)}
    derivation = derive_system(EquationSystem(equations, quantities, ("s",), ("c",)), stable=False)
    local = [step for step in derivation.steps if step.target == "s" and isinstance(step.lhs, Derivative)]
    slope = next(step for step in reversed(local) if step.lhs.expr != error.symbol)
    shown = text(slope.rhs, notation_for(derivation))
    return shown if slope.rhs.has(KroneckerDelta) else shown.replace("[i]", "")


def losses() -> str:
    """Return the losses with their derived derivatives."""
    entries = {}
    for name, loss in LOSSES.items():
        entries[name] = [
            f"E = Σ {loss.formula}",
            f"∂E/∂x = {loss_slope(name)}",
            f"targets {_targets(loss)}",
            _parameters(loss.parameters),
            loss.source,
        ]
    return _entries("Losses", entries)


@cache
def loss_slope(name: str) -> str:
    """Return the derived derivative of a loss."""
    x, t, error = quantity("x"), quantity("t"), quantity("E")
    equation = Equation(error.symbol, read_loss(name))
    system = EquationSystem((equation,), {"x": x, "t": t, "E": error}, ("x",))
    derivation = derive_system(system, stable=False)
    return text(derivation.adjoint("x"), notation_for(derivation))


def _targets(loss: Loss) -> str:
    if loss.low is None:
        return "any"
    allowed = f"from {loss.low}" if loss.high is None else f"in [{loss.low}, {loss.high}]"
    return allowed if loss.total is None else f"{allowed}, Σ t = {loss.total}"


def optimizers() -> str:
    """Return the table of optimisers: their assignments in order, g being the derivative for w."""
    rows = []
    for name, optimizer in OPTIMIZERS.items():
        defaults = ", ".join(f"{key}={value}" for key, value in optimizer.defaults.items())
        for position, (left, formula) in enumerate(optimizer.equations):
            first = (name, f"{left} = {formula}", defaults, optimizer.source)
            rows.append(first if position == 0 else ("", first[1], "", ""))
    return _table("Optimizers", ("name", "one step", "defaults", "source"), rows)


def initializers() -> str:
    """Return the initialisers."""
    rows = [(name, i.distribution, i.variance, i.source) for name, i in INITIALIZERS.items()]
    return _table("Initializers", ("name", "distribution", "variance", "source"), rows)


def notations() -> str:
    """Return the notations."""
    return _table("Notations", ("name", "how quantities are named"), list(NOTATIONS.items()))


def blocks() -> str:
    """Return the blocks of the library: the first line of each, and what it is."""
    entries = {}
    for name, content in block_files().items():
        lines = content.split("\n")
        header = next(line for line in lines if line.startswith(f"block {name}("))
        entries[name] = [header, lines[0].removeprefix("# ")]
    return _entries("Blocks", entries)


TOPICS: dict[str, Callable[[], str]] = {
    "activations": activations,
    "losses": losses,
    "optimizers": optimizers,
    "initializers": initializers,
    "notations": notations,
    "blocks": blocks,
}
