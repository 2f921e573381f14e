"""Equations on whole arrays: what is printed is evaluated by the rules of matrix algebra."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from sympy import Derivative, Expr

import symbackprop as sb
from symbackprop.derivation.batch import NoSampleAxis, SampleAxis
from symbackprop.equations.steps import Derived, differentiated
from symbackprop.equations.system import indices_of, name_of
from symbackprop.network.random_data import sample_data
from symbackprop.printing.arrays import ArrayForm, array_form
from symbackprop.printing.latex import LatexPrinter
from symbackprop.printing.matrices import MatrixWriter, Unwritable
from symbackprop.printing.notation import notation_for
from symbackprop.printing.text import TextPrinter

EXAMPLES = Path(__file__).parents[2] / "examples"


class Matrix:
    """A matrix that minds shapes: 𝟏 alone has as many rows as its place asks for."""

    __array_ufunc__ = None

    def __init__(self, array: np.ndarray, free: tuple[bool, bool] = (False, False)) -> None:
        self.array, self.free = array, free

    @property
    def T(self) -> Matrix:
        return Matrix(self.array.T, self.free[::-1])

    def __matmul__(self, other: object) -> Matrix:
        if not isinstance(other, Matrix):
            return self * other
        left, right = self.array, other.array
        if self.free[1]:
            left = (
                np.ones((1, len(right))) if self.array.shape[0] == 1 else np.repeat(left, len(right), axis=1)
            )
        elif other.free[0]:
            right = np.repeat(right, left.shape[1], axis=0)
        return Matrix(left @ right, (self.free[0], other.free[1]))

    def __rmatmul__(self, other: object) -> Matrix:
        return self * other

    def _with(self, other: object, function: Callable[..., np.ndarray]) -> Matrix:
        if not isinstance(other, Matrix):
            return Matrix(function(self.array, other), self.free)
        for axis in (0, 1):
            same = self.array.shape[axis] == other.array.shape[axis]
            assert same or self.free[axis] or other.free[axis], (
                "matrices of two shapes, component by component"
            )
        return Matrix(function(self.array, other.array))

    def __add__(self, other: object) -> Matrix:
        return self._with(other, np.add)

    def __sub__(self, other: object) -> Matrix:
        return self._with(other, np.subtract)

    def __mul__(self, other: object) -> Matrix:
        return self._with(other, np.multiply)

    def __truediv__(self, other: object) -> Matrix:
        return self._with(other, np.divide)

    def __pow__(self, other: object) -> Matrix:
        return self._with(other, np.power)

    def __gt__(self, other: object) -> Matrix:
        return self._with(other, np.greater)

    def __neg__(self) -> Matrix:
        return self * -1

    def __radd__(self, other: object) -> Matrix:
        return self + other

    def __rsub__(self, other: object) -> Matrix:
        return -self + other

    def __rmul__(self, other: object) -> Matrix:
        return self * other

    def __rtruediv__(self, other: object) -> Matrix:
        return self._with(other, lambda own, above: above / own)


ONES = Matrix(np.ones((1, 1)), (True, False))


def elementwise(function: Callable[..., np.ndarray]) -> Callable[..., object]:
    def called(*arguments: object) -> object:
        arrays = [a.array if isinstance(a, Matrix) else a for a in arguments]
        return (
            Matrix(function(*arrays)) if any(isinstance(a, Matrix) for a in arguments) else function(*arrays)
        )

    return called


FUNCTIONS: dict[str, object] = {
    name: elementwise(getattr(np, name)) for name in ("exp", "log", "tanh", "sqrt", "where")
}


def diag(vector: Matrix) -> Matrix:
    return Matrix(np.diag(vector.array[:, 0]))


def python(formula: str) -> str:
    """Return a printed formula in Python's words."""
    code = re.sub(r"∂E/∂(\w+)", r"d_\1", formula)
    code = re.sub(r"\{ ([^;{}]*) if ([^;{}]*); ([^;{}]*) otherwise \}", r"where(\2, \1, \3)", code)
    return (
        code.replace("ᵀ", ".T")
        .replace("𝟏", "ones")
        .replace("⊙", "*")
        .replace("·", "@")
        .replace("₂", "2")
        .replace("^", "**")
    )


def forms(derivation: Derived) -> Iterator[tuple[str, Expr, ArrayForm]]:
    """Yield what has a form on whole arrays: its name, its left-hand side for a batch, and the form."""
    model = derivation.model
    assert model is not None
    batch = SampleAxis(derivation) if model.per_sample else NoSampleAxis(derivation)
    printer = TextPrinter(notation_for(derivation, "layered"))
    equations = [
        (e.name, e.lhs, e.rhs) for e in derivation.system.equations if e.name != derivation.system.loss
    ]
    results = [derivation.by_number[derivation.results[q]] for q in derivation.adjoints.values()]
    equations += [(name_of(step.lhs), step.lhs, step.rhs) for step in results]
    lifted = [(name, batch.lift(lhs), batch.lift(rhs)) for name, lhs, rhs in equations]
    means = {step.target: step for step in derivation.batch}
    for parameter in derivation.system.parameters:
        step = means.get(parameter) or derivation.by_number[derivation.results[parameter]]
        lifted.append((parameter, step.lhs, step.rhs))
    for name, lhs, rhs in lifted:
        below = differentiated(lhs, derivation) if isinstance(lhs, Derivative) else lhs
        try:
            yield name, lhs, array_form(printer, lhs, rhs, indices_of(below))
        except Unwritable:
            continue


def compared(network: sb.Network) -> set[str]:
    """Evaluate every form of a network, compare it with the numbers, and return what was compared."""
    network = network.with_small_sizes()
    model = network.model
    x, t = sample_data(model, np.random.default_rng(3))
    trace = sb.trace(network, x=x, t=t)
    derivation, numbers = trace.derivation, trace.numbers
    writer = MatrixWriter(TextPrinter(notation_for(derivation, "layered")))
    batch = SampleAxis(derivation) if model.per_sample else NoSampleAxis(derivation)
    components: dict[str, Expr] = {}
    sides = [side for e in derivation.system.equations for side in (e.lhs, e.rhs)]
    sides += [
        side
        for q in derivation.results.values()
        for side in (derivation.by_number[q].lhs, derivation.by_number[q].rhs)
    ]
    for side in sides:
        for read in writer.order.reads(side):
            components.setdefault(name_of(read), batch.lift(read))
    scalars = {symbol.name: value for symbol, value in numbers.scalars.items()}
    seen = set()
    for name, lhs, form in forms(derivation):
        below = lhs.variables[0] if isinstance(lhs, Derivative) else lhs
        axes, text = indices_of(below), "".join(form.parts)
        expected = np.asarray(numbers.gradient(name) if isinstance(lhs, Derivative) else numbers.values[name])
        counts = dict(zip(axes, expected.shape, strict=True))
        for places in product(*(range(counts[i]) for i in form.held)):
            held = dict(zip(form.held, places, strict=True))
            known: dict[str, object] = {
                **FUNCTIONS,
                **scalars,
                "ones": ONES,
                "diag": diag,
                "N": trace.samples,
                "δ": lambda a, b: float(a == b),
                **{str(letter): place for letter, place in held.items()},
            }
            for each, component in components.items():
                array = np.asarray(numbers.values[each])
                at = tuple(held.get(i, slice(None)) for i in indices_of(component))
                own = array[at]
                key = python(writer.whole(component))
                known[key] = (
                    own
                    if "einsum" in text or own.ndim > 2 or not own.ndim
                    else Matrix(own.reshape(len(own), -1))
                )
            code = python(text).replace("->", "→")
            if "einsum" in text:
                known |= {"einsum": lambda spelled, *arrays: np.einsum(spelled.replace("→", "->"), *arrays)}
                code = code.replace("@", "*")
            value = eval(code, {"__builtins__": {}}, known)
            value = value.array if isinstance(value, Matrix) else value
            own = expected[tuple(held.get(i, slice(None)) for i in axes)]
            assert np.shape(value) == (own.shape if "einsum" in text else own.reshape(len(own), -1).shape), (
                name,
                text,
            )
            assert np.asarray(value).reshape(own.shape) == pytest.approx(own, rel=1e-9, abs=1e-12), (
                name,
                text,
            )
        seen.add(name)
    return seen


@pytest.mark.parametrize(
    "options",
    [{}, {"hidden": "tanh", "output": "identity"}, {"hidden": "relu", "output": "softmax"}],
    ids=str,
)
def test_of_dense_layers_all_is_products_of_matrices(options: dict[str, str]) -> None:
    network = sb.Network("4-3-2-5", **options)  # type: ignore[arg-type]
    parameters = {f"{kind}{layer}" for kind in "wb" for layer in (1, 2, 3)}
    assert compared(network) >= {"s1", "x1", "s2", "x2", "s3", "ds3", "ds2", "ds1"} | parameters


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("attention", {"query", "share", "dshare", "dscore", "query_weight"}),
        ("multi_head_attention", {"q", "y", "w", "dw", "ds", "dv", "wq", "wo"}),
        ("layer_norm", {"mean", "variance", "scale"}),
        ("batch_norm", {"mean", "variance", "scale"}),
    ],
)
def test_further_axes_are_held_or_summed_by_einsum(name: str, least: set[str]) -> None:
    network = sb.Network.from_file(EXAMPLES / f"{name}.net")
    assert compared(network) >= least


@pytest.mark.parametrize("name", ["gru", "lstm", "transformer"])
def test_what_whole_networks_have_on_arrays_is_right(name: str) -> None:
    network = sb.Network.from_file(EXAMPLES / f"{name}.net")
    least = {
        "gru": {"z", "h", "wz", "bz"},
        "lstm": {"s", "ds", "w", "b"},
        "transformer": {"m1", "x1", "dx1", "du1", "w1", "g1"},
    }
    assert compared(network) >= least[name]


def test_einsum_is_said_in_latex_as_well() -> None:
    derivation = sb.derive(sb.Network.from_file(EXAMPLES / "attention.net"))
    step = next(step for step in derivation.batch if step.target == "query_weight")
    printer = LatexPrinter(notation_for(derivation, "layered"))
    form = array_form(printer, step.lhs, step.rhs, indices_of(step.lhs.variables[0]))
    assert form.held == ()
    assert r"\operatorname{einsum}\left(\text{npd,npi} \to \text{id}" in "".join(form.parts)


def test_what_no_array_says_is_refused() -> None:
    derivation = sb.derive(sb.Network.from_file(EXAMPLES / "convolution_1d.net"))
    equation = next(e for e in derivation.system.equations if e.name != derivation.system.loss)
    with pytest.raises(Unwritable):
        array_form(TextPrinter(notation_for(derivation)), equation.lhs, equation.rhs, equation.indices)
