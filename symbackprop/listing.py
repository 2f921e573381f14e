"""What there is: the library as tables, each function with the derivative that is derived for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sympy import Derivative, KroneckerDelta

from symbackprop.checking import aligned
from symbackprop.derivation import derive_system
from symbackprop.equations import Equation, EquationSystem, index, quantity, size, sum_over
from symbackprop.library import ACTIVATIONS, INITIALIZERS, LOSSES, OPTIMIZERS
from symbackprop.networks import activation_expression, read_loss
from symbackprop.printing import NOTATIONS, notation_for, text


def _table(title: str, header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return f"{title}\n\n{aligned([header, *rows])}"


def activations() -> str:
    """Return the activations with their derived derivatives."""
    rows = []
    for name, activation in ACTIVATIONS.items():
        partner = activation.partner or ""
        rows.append((name, activation.formula, activation_slope(name), partner, activation.source))
    return _table("Activations", ("name", "x =", "∂x/∂s =", "loss", "source"), rows)


def activation_slope(name: str) -> str:
    """Return the derived derivative of an activation; with indices where units are coupled."""
    units, i, k = size("n"), index("i"), index("k")
    s, x, cotangent, error = quantity("s", units), quantity("x", units), quantity("c", units), quantity("E")
    equations = (
        Equation(x[i], activation_expression(name, s, i, k)),
        Equation(error.symbol, sum_over(cotangent[i] * x[i], (i, units))),
    )
    quantities = {q.name: q for q in (s, x, cotangent, error)}
    derivation = derive_system(EquationSystem(equations, quantities, ("s",), ("c",)))
    local = [step for step in derivation.steps if step.target == "s" and isinstance(step.lhs, Derivative)]
    slope = next(step for step in reversed(local) if step.lhs.expr != error.symbol)
    shown = text(slope.rhs, notation_for(derivation))
    return shown if slope.rhs.has(KroneckerDelta) else shown.replace("[i]", "")


def losses() -> str:
    """Return the losses with their derived derivatives."""
    x, t, error = quantity("x"), quantity("t"), quantity("E")
    rows = []
    for name, loss in LOSSES.items():
        equation = Equation(error.symbol, read_loss(name))
        quantities = {"x": x, "t": t, "E": error}
        system = EquationSystem((equation,), quantities, ("x",))
        derivation = derive_system(system)
        slope = text(derivation.adjoint("x"), notation_for(derivation))
        targets = "any" if loss.low is None else f"in [{loss.low}, {loss.high}]"
        targets += "" if loss.total is None else f", Σ t = {loss.total}"
        rows.append((name, loss.formula, slope, targets, loss.source))
    return _table("Losses", ("name", "E = Σ", "∂E/∂x =", "targets", "source"), rows)


def optimizers() -> str:
    """Return the optimisers: what each assigns in order, g being the derivative for w."""
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


TOPICS: dict[str, Callable[[], str]] = {
    "activations": activations,
    "losses": losses,
    "optimizers": optimizers,
    "initializers": initializers,
    "notations": notations,
}
