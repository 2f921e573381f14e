"""Every lowered equation against a plain-loop evaluation of it: as expressions and as buffer statements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from sympy import Derivative, Expr, Symbol

from symbackprop.code import assignment
from symbackprop.derivation import Derivation, derive_system
from symbackprop.equations import Equation, EquationSystem, name_of
from symbackprop.lowering import Operation, Statement, lower
from symbackprop.program import share
from tests.plain_loops import Array, random_values, run
from tests.zoo import B, CONSTANTS, SIZES, ZOO, output_of, with_cotangent

DTYPES = ("float64", "float32")
NUMBERS = {**SIZES, **CONSTANTS}


def scalars(numbers: Mapping[Symbol, float]) -> dict[str, str]:
    """Return the code of each size and constant: digits, but for the size of a batch, known at run time."""
    return {s.name: "samples" if s == B else s.name if s in CONSTANTS else str(n) for s, n in numbers.items()}


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
    name = Symbol(f"E_{name_of(component)}", real=True)
    return type(component.base)(name, shape=component.shape)[component.indices] if component.args else name


@cache
def derived(name: str) -> Derivation:
    system = ZOO[name]()
    system = with_cotangent(system, output_of(system))
    leaves = [n for n, q in system.quantities.items() if not q.integer and n not in system.definitions]
    return derive_system(system, wrt=leaves)


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
        "samples": SIZES[B],
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
@pytest.mark.parametrize("name", ZOO)
def test_expressions_compute_what_plain_loops_do(name: str, dtype: str) -> None:
    for equation in equations_of(derived(name)):
        assert_equal(equation, data(name), dtype, evaluated(equation, data(name), dtype))
