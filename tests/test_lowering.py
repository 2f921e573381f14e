"""Every lowered equation against a plain-loop evaluation of it: as expressions and as buffer statements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from sympy import Derivative, Expr, Symbol

from symbackprop.batch import SAMPLES
from symbackprop.code import assignment
from symbackprop.derivation import Derivation, derive_system
from symbackprop.equations import Equation, EquationSystem, Quantity, name_of
from symbackprop.lowering import Operation, Statement, lower
from symbackprop.program import share
from symbackprop.training_step import TrainingStep
from tests.lowering_zoo import SYSTEMS
from tests.plain_loops import Array, random_values, run
from tests.zoo import CONSTANTS, SIZES, ZOO, B, output_of, with_cotangent

ALL = {**ZOO, **SYSTEMS}
DTYPES = ("float64", "float32")
NUMBERS = {**SIZES, **CONSTANTS, SAMPLES: SIZES[B]}


def scalars(numbers: Mapping[Symbol, float]) -> dict[str, str]:
    """Return the code of each size and constant: digits, but for the size of a batch, known at run time."""
    return {
        s.name: "samples" if s == SAMPLES else s.name if s in CONSTANTS else str(n)
        for s, n in numbers.items()
    }


def lowered(equation: Equation) -> Operation:
    return lower(equation, scalars(NUMBERS))


def equations_of(derivation: Derivation) -> list[Equation]:
    """Return the forward equations, then every result, in an order in which they can be evaluated."""
    numbers = set(derivation.results.values())
    found = list(derivation.system.equations)
    for step in derivation.steps:
        if step.number in numbers:
            found.append(Equation(_component(step.lhs), step.rhs))
    return found


def _component(lhs: Expr) -> Expr:
    """Return the component that a result is an array of; a derivative gets a name of its own."""
    if not isinstance(lhs, Derivative):
        return lhs
    component = lhs.variables[0]
    name = Symbol(f"d{name_of(component)}", real=True)
    return type(component.base)(name, shape=component.shape)[component.indices] if component.args else name


def batched(system: EquationSystem) -> EquationSystem:
    """Return ``system`` with the size of the batch as the number of samples that generated code knows."""
    rename = {B: SAMPLES}
    return EquationSystem(
        equations=tuple(Equation(e.lhs.xreplace(rename), e.rhs.xreplace(rename)) for e in system.equations),
        quantities={
            name: Quantity(name, tuple(n.xreplace(rename) for n in each.shape), each.integer)
            for name, each in system.quantities.items()
        },
        parameters=system.parameters,
        inputs=system.inputs,
        loss=system.loss,
    )


def leaves(system: EquationSystem) -> list[str]:
    """Return what the gradient is derived for: every leaf of real numbers."""
    return [n for n, q in system.quantities.items() if not q.integer and n not in system.definitions]


@cache
def derived(name: str) -> Derivation:
    system = ALL[name]()
    system = batched(with_cotangent(system, output_of(system)))
    return derive_system(system, wrt=leaves(system))


@cache
def data(name: str) -> dict[str, Array]:
    """Return the values of everything that the equations of a derivation read and define."""
    derivation = derived(name)
    values = random_values(derivation.system, NUMBERS, np.random.default_rng(3))
    known = run(equations_of(derivation), values, NUMBERS)
    integers = {e.name for e in equations_of(derivation) if e.lhs.is_integer}
    return {n: value.astype(int) if n in integers else value for n, value in known.items()}


def namespace(values: Mapping[str, Array], dtype: str) -> dict[str, object]:
    """Return what generated code may use, the values in ``dtype``."""
    return {
        "np": np,
        "math": math,
        "sliding_window_view": sliding_window_view,
        "dtype": np.dtype(dtype),
        "samples": NUMBERS[SAMPLES],
        **{s.name: value for s, value in CONSTANTS.items()},
        **{n: v if v.dtype.kind == "i" else v.astype(dtype) for n, v in values.items()},
    }


def as_expression(equation: Equation, operation: Operation) -> list[str]:
    """Return the lines of a pure function that compute the left side of ``equation``."""
    shared, names = share([Statement(equation.name, operation, 1)])
    (entry,) = shared
    parts = (*entry.parts, (equation.name, operation))
    return [line for name, part in parts for line in assignment(name, part, names)]


def evaluated(equation: Equation, values: Mapping[str, Array], dtype: str) -> Array:
    lines = as_expression(equation, lowered(equation))
    own = namespace(values, dtype)
    own.pop(equation.name, None)
    with np.errstate(all="ignore"):
        exec("\n".join(lines), own)
    return np.asarray(own[equation.name])


def assert_equal(equation: Equation, values: Mapping[str, Array], dtype: str, found: Array) -> None:
    wanted = values[equation.name]
    assert found.shape == wanted.shape, equation
    integer = bool(equation.lhs.is_integer)
    assert found.dtype.kind == "i" if integer else found.dtype == dtype, (found.dtype, equation)
    tolerance = 1e-11 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, err_msg=str(equation))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALL)
def test_expressions_compute_what_plain_loops_do(name: str, dtype: str) -> None:
    for equation in equations_of(derived(name)):
        assert_equal(equation, data(name), dtype, evaluated(equation, data(name), dtype))


# ------------------------------------------------------------------------------------ buffer statements


class Sizes:
    """Stands in for a model: the numbers of sizes, and no data of its own."""

    def __init__(self, system: EquationSystem) -> None:
        self.system = system

    def size(self, n: Expr) -> int:
        return int(n.xreplace(NUMBERS))

    def constant_lines(self, read: object, dtype: str) -> list[str]:
        return []

    def given_lines(self, read: object, dtype: str) -> list[str]:
        return []


class Step:
    """What the lines of a training step see as ``self``, for a batch of fewer rows than there may be."""

    def __init__(self, step: TrainingStep, values: Mapping[str, Array], dtype: str, batch_size: int) -> None:
        self.dtype = np.dtype(dtype)
        self.batch_size = batch_size
        self.context = step.context()
        self.parameters = {n: values[n].astype(dtype) for n in step.parameters}
        self._derivatives = tuple(np.empty_like(p) for p in self.parameters.values())
        self._scratch = self.allocated("scratch", batch_size)
        self._constants = self.allocated("constants", batch_size)

    def allocated(self, key: str, samples: int) -> tuple[Array, ...]:
        lines = self.context[key]
        assert isinstance(lines, list)
        text = "(" + "\n".join(lines) + "\n)"
        return tuple(eval(text, {"np": np, "self": self, "samples": samples, "dtype": self.dtype}))

    def _buffers_for(self, samples: int) -> tuple[Array, ...]:
        if self.context["cuts"]:
            return tuple(buffer[:samples] for buffer in self.allocated("buffers", self.batch_size))
        return self.allocated("buffers", samples)

    def run(self, given: Mapping[str, object]) -> dict[str, object]:
        lines = self.context["step"]
        assert isinstance(lines, list)
        own = {**given, "self": self, "weights": None}
        with np.errstate(all="ignore"):
            exec("\n".join(lines), own)
        return own


def stepped(derivation: Derivation, dtype: str, values: Mapping[str, Array], batch_size: int) -> Step:
    equations = equations_of(derivation)
    statements = [Statement(e.name, lowered(e), n) for n, e in enumerate(equations)]
    sizes = Sizes(derivation.system)
    parameters = leaves(derivation.system)
    return Step(
        TrainingStep(statements, parameters, lambda n: [], sizes, sizes, True), values, dtype, batch_size
    )  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [0, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALL)
def test_buffer_statements_compute_what_plain_loops_do(name: str, dtype: str, rows: int) -> None:
    values = data(name)
    step = stepped(derived(name), dtype, values, NUMBERS[SAMPLES] + rows)
    given = namespace({n: v for n, v in values.items() if v.dtype.kind == "i"}, dtype)
    for name_ in [e.name for e in equations_of(derived(name))]:
        given.pop(name_, None)
    for _ in range(2):  # what a step leaves in its buffers must not matter
        found = step.run(given)
    for equation in equations_of(derived(name)):
        value = np.asarray(found[equation.name])
        assert_equal(equation, values, dtype, value if value.shape else value.astype(dtype))
