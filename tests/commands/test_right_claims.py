"""What is derived is right however a person writes it: names, letters, orders, numbers, sums, samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sympy import (
    Add,
    Derivative,
    Expr,
    Indexed,
    KroneckerDelta,
    Mul,
    Piecewise,
    Pow,
    Sum,
    Symbol,
)
from sympy.core.relational import Relational
from sympy.logic.boolalg import And, BooleanTrue, Not, Or

import symbackprop as sb
from symbackprop.commands.verify.decision import verify_lines
from symbackprop.derivation.batch import SampleAxis
from symbackprop.derivation.wanted import derive_further
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import ArgMax, indices_of, name_of
from tests.conftest import ROOT

WEIGHTED = """\
input x[n, k]
target t[n, i]
parameter w[k, i], g[i] = 1
size k = 3, i = 2
norm[i] = sqrt(sum(w[k, i]**2, k))
y[n, i] = sum(x[n, k]*w[k, i], k)*g[i]/norm[i]
E = mean(sum((y[n, i] - t[n, i])**2, i)/2, n) + 0.01*sum(g[i]**2, i)
output y
"""
CONTRAST = """\
input x[n, k], y[n, k]
parameter w[k, i]
size k = 3, i = 2
a[n, i] = tanh(sum(x[n, k]*w[k, i], k))
b[n, i] = tanh(sum(y[n, k]*w[k, i], k))
score[n, m] = sum(a[n, i]*b[m, i], i)
E = mean(log(sum(exp(score[n, m]), m)) - score[n, n], n)
output a
"""


def example(name: str) -> Callable[[], sb.Network]:
    return lambda: sb.Network.from_file(ROOT / "examples" / f"{name}.net")


NETWORKS: dict[str, Callable[[], sb.Network]] = {
    "plain": lambda: sb.Network("2-3-2"),
    "decay": lambda: sb.Network("2-3-2", l2=0.1, l1=0.02, hidden="tanh"),
    "softmax": lambda: sb.Network("3-4:relu-3:softmax", l2=0.25),
    "smoothed": lambda: sb.Network("3-2-3:softmax", label_smoothing=0.1),
    "deep": lambda: sb.Network("2-3-4-3-2", hidden="softplus", output="identity"),
    "no bias": lambda: sb.Network("3-2", output="tanh", loss="squared_error", bias=False),
    "swish": lambda: sb.Network("2-3-1", hidden="swish_beta", loss="huber", output="identity"),
    "weighted": lambda: sb.Network.from_equations(WEIGHTED),
    "contrast": lambda: sb.Network.from_equations(CONTRAST),
    **{
        name: example(name)
        for name in (
            "layer_norm",
            "batch_norm",
            "rms_norm_swiglu",
            "convolution_1d",
            "embedding",
            "attention",
            "radial_basis",
            "tied_weights",
        )
    },
}
QUICK = ("plain", "decay", "smoothed", "layer_norm", "embedding")


class Writer:
    """Writes expressions as a person types them, in one of several ways."""

    def __init__(
        self,
        derivation: Derived,
        *,
        loss: str = "",
        letters: bool = False,
        turned: bool = False,
        numbers: bool = False,
        renamed: bool = False,
    ) -> None:
        self.derivation = derivation
        self.system = derivation.system
        self.loss = loss
        self.letters = letters
        self.turned = turned
        self.renamed = renamed
        model = derivation.model
        assert model is not None
        constants = {c.name: c.value for c in model.constants if c.is_number}
        self.numbers = constants if numbers else {}
        self.samples = SampleAxis(derivation)

    def line(self, step: Step) -> str:
        return f"{self.left(step.lhs)} = {self.text(step.rhs)}"

    def left(self, lhs: Expr) -> str:
        return self.text(lhs)

    def text(self, e: Expr) -> str:
        match e:
            case Indexed():
                return self.read(name_of(e), ",".join(map(self.text, e.indices)))
            case Symbol():
                return self.read(e.name, "")
            case Derivative():
                return f"d{self.text(e.expr)}/d{self.text(e.variables[0])}"
            case Add():
                return f"({' + '.join(self.order(e.args))})"
            case Mul():
                return f"({'*'.join(self.order(e.args))})"
            case Pow():
                return f"({self.text(e.base)})**({self.text(e.exp)})"
            case Sum():
                return self.total(e)
            case KroneckerDelta():
                return f"delta({self.text(e.args[0])}, {self.text(e.args[1])})"
            case Piecewise():
                return self.cases(list(e.args))
            case And() | Or():
                return f"({f' {type(e).__name__.lower()} '.join(map(self.text, e.args))})"
            case Not():
                return f"(not {self.text(e.args[0])})"
            case Relational():
                return f"({self.text(e.lhs)} {e.rel_op} {self.text(e.rhs)})"
        if e.args and not e.is_number:
            return f"{e.func.__name__}({', '.join(map(self.text, e.args))})"
        return f"({e})"

    def order(self, parts: tuple[Expr, ...]) -> list[str]:
        found = [self.text(part) for part in parts]
        return found[::-1] if self.turned else found

    def total(self, e: Sum) -> str:
        body, letters = e.function, []
        for i, _, _ in e.limits:
            other = Symbol(i.name.replace("'", "p") + "_", integer=True) if self.renamed else i
            body = body.xreplace({i: other})
            letters.append(other.name)
        return f"sum({self.text(body)}, {', '.join(letters)})"

    def cases(self, cases: list[tuple[Expr, Expr]]) -> str:
        (value, condition), *rest = cases
        if isinstance(condition, BooleanTrue) or not rest:
            return self.text(value)
        return f"where({self.text(condition)}, {self.text(value)}, {self.cases(rest)})"

    def read(self, name: str, at: str) -> str:
        where = f"[{at}]" if at else ""
        if name in self.numbers and not at:
            return f"({self.numbers[name]})"
        if name == self.system.loss and not at:
            return self.loss or name
        quantity = self.derivation.adjoints.get(name)
        if quantity is not None:
            kind, layer = self.system.kind(quantity), self.system.layer(quantity)
            if self.letters and kind == "pre-activation":
                return f"delta{layer}{where}"
            own = f"{self.own(quantity)}{where}"
            return f"d{self.loss}/d{own}" if self.loss else f"d{own}"
        return f"{self.own(name)}{where}"

    def own(self, name: str) -> str:
        letter = {"pre-activation": "z", "activation": "a", "input": "a"}.get(self.system.kind(name))
        return f"{letter}{self.system.layer(name)}" if self.letters and letter else name


class OfSample(Writer):
    """Writes each quantity that varies with the sample with the sample's index."""

    def read(self, name: str, at: str) -> str:
        varies = name in self.samples.varying
        return super().read(name, ",".join(filter(None, ("n" if varies else "", at))))


def claims_about(derivation: Derived) -> Iterator[str]:
    """Yield the steps of a derivation in many spellings."""
    per_sample = derivation.model is not None and derivation.model.per_sample
    writers = [
        Writer(derivation, loss="E"),
        Writer(derivation, loss="C", letters=True, numbers=True),
        Writer(derivation, turned=True, renamed=True, loss="J"),
        Writer(derivation, letters=True, turned=True),
        Writer(derivation, loss="L", numbers=True, renamed=True),
        *([OfSample(derivation, turned=True)] if per_sample else []),
    ]
    for number, step in enumerate(s for s in derivation.steps if is_claim(s, derivation)):
        for shift in (0, 2, 5):
            writer = writers[(number + shift) % len(writers)]
            if not isinstance(writer, OfSample) or may_have_a_sample(step, derivation):
                yield writer.line(step)
    for step in derivation.batch:
        if step.target != derivation.system.loss and not has_unnamed(step, derivation):
            yield Writer(derivation, turned=True).line(step)
            yield Writer(derivation, loss="J", letters=True, renamed=True, numbers=True).line(step)


def is_claim(step: Step, derivation: Derived) -> bool:
    """Whether a step is a claim of its own: about a quantity, in derivatives of the error."""
    parts = [d for side in (step.lhs, step.rhs) for d in side.atoms(Derivative)]
    of = {str(d.expr) for d in parts if d is not step.lhs}
    named = not isinstance(step.lhs, Derivative) or derivation.system.is_read(step.lhs.expr)
    same = isinstance(step.lhs, Derivative) and len(set(indices_of(step.lhs.variables[0]))) < len(
        indices_of(step.lhs.variables[0])
    )
    return named and not same and of <= {derivation.system.loss} and not step.rhs.has(ArgMax)


def may_have_a_sample(step: Step, derivation: Derived) -> bool:
    """Whether the left side varies with the sample, so that it may carry its index."""
    component = step.lhs.variables[0] if isinstance(step.lhs, Derivative) else step.lhs
    local = isinstance(step.lhs, Derivative) and str(step.lhs.expr) != derivation.system.loss
    varying = SampleAxis(derivation).varying
    return name_of(component) in varying and not (local and name_of(step.lhs.expr) not in varying)


def has_unnamed(step: Step, derivation: Derived) -> bool:
    return step.rhs.has(Derivative)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_what_is_derived_is_right_in_every_spelling(name: str) -> None:
    network = NETWORKS[name]()
    system = network.model.system
    real = [n for n, q in system.quantities.items() if not q.integer and n != system.loss]
    constants = {c.name for c in network.model.constants}
    derivation = derive_further(
        sb.derive(network.with_small_sizes()), [n for n in real if n not in constants]
    )
    lines = list(dict.fromkeys(claims_about(derivation)))
    assert len(lines) > 2 * len(derivation.results)
    wrong = [v.report() for v in verify_lines(network, lines) if not v]
    assert not wrong, "\n".join(wrong)
