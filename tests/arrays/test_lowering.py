"""Every lowered equation against a plain-loop evaluation of it: as expressions and as buffer statements."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import ClassVar

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from sympy import Derivative, Expr, Symbol, sympify

from symbackprop.arrays import contraction
from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import (
    EVERYTHING,
    Operation,
    Order,
    Padding,
    Pair,
    Place,
    Reduction,
    Slices,
    Statement,
    Windows,
    number,
)
from symbackprop.arrays.signature import lower
from symbackprop.code.fitting import Names, assignment
from symbackprop.code.lines import ANY_LENGTH, SILENT, lines_of
from symbackprop.code.names import FUNCTIONS_USE
from symbackprop.code.programs import Named, share
from symbackprop.code.runtime.support import _put
from symbackprop.code.statements import array
from symbackprop.code.training_step import TrainingStep
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import Equation, EquationSystem, Quantity, name_of, size
from tests.lowering_zoo import SYSTEMS
from tests.plain_loops import Array, random_values, run
from tests.zoo import CONSTANTS, SIZES, ZOO, B, output_of, with_cotangent

ALL = {**ZOO, **SYSTEMS}
DTYPES = ("float64", "float32")
NUMBERS = {**SIZES, **CONSTANTS, SAMPLES: SIZES[B]}


def scalars(numbers: Mapping[Symbol, float]) -> dict[Symbol, str]:
    """Return the code of each size and constant: digits, but for the size of a batch, known at run time."""
    return {
        s: "samples" if s == SAMPLES else s.name if s in CONSTANTS else str(n) for s, n in numbers.items()
    }


@cache
def lowered(equation: Equation) -> Operation:
    return lower(equation, scalars(NUMBERS))


def equations_of(derivation: Derived) -> list[Equation]:
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
def derived(name: str) -> Derived:
    system = ALL[name]()
    system = batched(with_cotangent(system, output_of(system)))
    return derive_system(system, wrt=leaves(system))


@cache
def data(name: str) -> dict[str, Array]:
    """Return the values of everything that the equations of a derivation read and define."""
    derivation = derived(name)
    values = random_values(derivation.system, NUMBERS, np.random.default_rng(5))
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
    return as_expressions([Statement(equation.name, operation, 1)])


def as_expressions(statements: Sequence[Statement]) -> list[str]:
    """Return the lines of a pure function that carry out statements."""
    shared, known = share(statements, {})
    names = Names(known)
    program = [
        instruction
        for entry in shared
        for name, part in named_in(entry)
        for instruction in assignment(array(name, part), part, names)
    ]
    return list(lines_of(program, ANY_LENGTH))


def named_in(entry: Named) -> list[tuple[str, Operation]]:
    """Return the parts of a statement that have names, and the statement's own."""
    parts = [(part.name, part.operation) for part in entry.parts]
    return [*parts, (entry.statement.name, entry.statement.operation)]


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

    constants = ()
    states: ClassVar[dict[str, str]] = {}

    def __init__(self, system: EquationSystem) -> None:
        self.system = system

    @property
    def named(self) -> EquationSystem:
        return self.system

    def size(self, n: Expr) -> int:
        return int(n.xreplace(NUMBERS))

    def number(self, n: Expr) -> Expr:
        return sympify(n.xreplace({k: v for k, v in NUMBERS.items() if k != SAMPLES}))

    def is_fixed(self, sizes: Sequence[Expr]) -> bool:
        return not any(n.has(SAMPLES) for n in sizes)

    def constant_lines(self, read: object, dtype: str) -> list[str]:
        return []

    def given_lines(self, read: object, dtype: str, quickly: bool = False) -> list[str]:
        return []


class DataArray(Sizes):
    """Stands in for the code of what is given: names as they are, sizes as text."""

    reserved = (*FUNCTIONS_USE, *(constant.name for constant in CONSTANTS))

    @property
    def arguments(self) -> set[str]:
        return self.system.quantities.keys() - self.system.definitions.keys()

    def size(self, n: Expr, samples: str = "samples") -> str:  # type: ignore[override]
        return str(
            n.xreplace({k: v for k, v in NUMBERS.items() if k != SAMPLES} | {SAMPLES: Symbol(samples)})
        )

    def size_lines(self) -> dict[str, str]:
        return {}

    def noise_lines(self, *given: object) -> list[str]:
        return []

    def code(self, name: str) -> str:
        return name

    def derivative(self, name: str) -> str:
        return f"d{name}"


class Step:
    """What the lines of a training step see as ``trainer``, for a batch of fewer rows than there may be."""

    def __init__(self, step: TrainingStep, values: Mapping[str, Array], dtype: str, batch_size: int) -> None:
        self.dtype = np.dtype(dtype)
        self.batch_size = batch_size
        self.own = step.lines()
        self.parameters = {n: values[n].astype(dtype) for n in step.parameters}
        self._parameter_arrays = tuple(self.parameters.values())
        self._derivative_arrays = tuple(np.empty_like(p) for p in self.parameters.values())
        self._fixed = self.returned(self.own.fixed, batch_size)

    def returned(self, lines: Sequence[str], samples: int) -> tuple[Array, ...]:
        """Return what a function of those lines returns."""
        own: dict[str, object] = {"np": np, "_zeros": np.zeros}
        body = "\n    ".join(lines)
        exec(f"def made(trainer, samples, dtype):\n    {body}", own)
        made = own["made"]
        assert callable(made)
        return tuple(made(self, samples, self.dtype))

    def _buffers_for(self, samples: int) -> tuple[Array, ...]:
        if self.own.cuts:
            return tuple(buffer[:samples] for buffer in self._apart(self.batch_size))
        return self._apart(samples)

    def _apart(self, samples: int) -> tuple[Array, ...]:
        """Return an array for each buffer, so that what it held can be looked at after the step."""
        return tuple(buffer.copy() for buffer in self.returned(self.own.allocations, samples))

    def run(self, given: Mapping[str, object]) -> dict[str, object]:
        own = {**given, "trainer": self, "weights": None, "with_loss": True, "_put": _put}
        with np.errstate(all="ignore"):
            exec("\n".join(self.own.step), own)
        return own


def stepped(derivation: Derived, dtype: str, values: Mapping[str, Array], batch_size: int) -> Step:
    equations = equations_of(derivation)
    statements = [Statement(e.name, lowered(e), n) for n, e in enumerate(equations, start=1)]
    sizes, given_code = Sizes(derivation.system), DataArray(derivation.system)
    parameters = leaves(derivation.system)
    step = TrainingStep(statements, parameters, SILENT, sizes, given_code, True)  # type: ignore[arg-type]
    return Step(step, values, dtype, batch_size)


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


@pytest.mark.parametrize("name", ALL)
def test_products_place_by_place_compute_what_plain_loops_do(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arrays here are too small for them to be worth it, so they are always taken."""
    for limit in ("_WORTH", "_LARGE"):
        monkeypatch.setattr(contraction, limit, 1)
    monkeypatch.setitem(globals(), "lowered", lowered.__wrapped__)
    values, equations = data(name), equations_of(derived(name))
    for equation in equations:
        assert_equal(equation, values, "float64", evaluated(equation, values, "float64"))
    found = stepped(derived(name), "float64", values, NUMBERS[SAMPLES] + 2).run(
        namespace({n: v for n, v in values.items() if n not in {e.name for e in equations}}, "float64")
    )
    for equation in equations:
        value = np.asarray(found[equation.name])
        assert_equal(equation, values, "float64", value if value.shape else value.astype("float64"))


def test_images_are_multiplied_as_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each sample, into images whose channels stand before their places; the same patches backward."""
    monkeypatch.setattr(contraction, "_WORTH", 1)
    lower_anew = lowered.__wrapped__
    found = {e.name: lower_anew(e) for e in equations_of(derived("convolution_after_convolution"))}
    patches = []
    for name in ("s", "dw"):
        (matmul,) = (part for part in dict.fromkeys(found[name].parts()) if part.kind == Kind.MATMUL)
        assert (matmul.shape[0], len(matmul.shape)) == (SAMPLES, 3), name
        (windows,) = (i for i in matmul.inputs if any(p.kind == Kind.WINDOWS for p in i.parts()))
        patches.append(windows if windows.kind == Kind.RESHAPE else windows.inputs[0])
    assert len({str(p.inputs[0].value) for p in patches}) == 1


@pytest.mark.parametrize("name", ALL)
def test_the_statements_of_one_function_share_their_parts(name: str) -> None:
    values, equations = data(name), equations_of(derived(name))
    own = namespace({n: v for n, v in values.items() if n not in {e.name for e in equations}}, "float32")
    lines = as_expressions([Statement(e.name, lowered(e), n) for n, e in enumerate(equations, start=1)])
    with np.errstate(all="ignore"):
        exec("\n".join(lines), own)
    for equation in equations:
        assert_equal(equation, values, "float32", np.asarray(own[equation.name]))


# ------------------------------------------------------------------------------------ the checker itself


def mutants(operation: Operation) -> Iterator[tuple[Kind, Operation]]:
    """Yield operations that are wrong in one place, with what was done to them."""
    for wrong in _wrong(operation):
        yield operation.kind, wrong
    for position, part in enumerate(operation.inputs):
        for kind, wrong in mutants(part):
            inputs = (*operation.inputs[:position], wrong, *operation.inputs[position + 1 :])
            yield kind, replace(operation, inputs=inputs)


def _wrong(operation: Operation) -> Iterator[Operation]:
    kind = operation.kind
    if kind == Kind.SUBSCRIPT:
        entries = operation.value_as(Slices).entries
        for axis, entry in enumerate(entries):
            if entry != EVERYTHING and operation.inputs[0].shape[axis] != 1:  # of one place -1 is that place
                moved = entry - 1 if isinstance(entry, int) else ((entry[0] or 0) + 1, *entry[1:])
                yield replace(operation, value=Slices((*entries[:axis], moved, *entries[axis + 1 :])))
    elif kind == Kind.PAD:
        widths = operation.value_as(Padding).widths
        moved_ = tuple((a + 1, b - 1) if b else (a - 1, 1) if a else (0, 0) for a, b in widths)
        yield replace(operation, value=Padding(moved_))
    elif kind in (Kind.WINDOWS, Kind.DIAGONAL):
        (read,) = operation.inputs
        diagonal = kind == Kind.DIAGONAL
        axis = operation.value_as(Pair).second if diagonal else operation.value_as(Windows).axes[-1]
        turned = tuple((None, None, -1 if n == axis else None) for n in range(len(read.shape)))
        inner = Operation(Kind.SUBSCRIPT, (read,), Slices(turned), read.axes, read.shape)
        yield replace(operation, inputs=(inner,))
    elif kind == Kind.ARGMAX:
        yield Operation(Kind.ADD, (operation, number(1)), None, (), operation.shape)
    elif kind == Kind.SUM:
        summed, rank = operation.value_as(Reduction), len(operation.inputs[0].shape)
        if isinstance(summed.axes, int) and rank > 1:
            yield replace(operation, value=replace(summed, axes=(summed.axes + 1) % rank))
    elif kind in _STRICT and operation.is_constant:
        yield replace(operation, kind=_STRICT[kind])
    elif kind == Kind.LAYOUT:
        positions = operation.value_as(Order).positions
        if None not in positions:
            yield replace(operation, value=Order((*positions[1:], positions[0])))
    elif kind == Kind.UPDATE:
        place = operation.value_as(Place)
        negative = Operation(Kind.NEGATIVE, operation.inputs[:1])
        yield replace(operation, inputs=(negative, *operation.inputs[1:]))
        if not place.unique:
            yield replace(operation, value=replace(place, unique=True))
    elif kind in (Kind.ADD, Kind.MULTIPLY):
        yield replace(operation, kind=Kind.SUBTRACT if kind == Kind.ADD else Kind.DIVIDE)


_STRICT = {
    Kind.LESS: Kind.LESS_EQUAL,
    Kind.LESS_EQUAL: Kind.LESS,
    Kind.GREATER: Kind.GREATER_EQUAL,
    Kind.GREATER_EQUAL: Kind.GREATER,
}


@pytest.mark.parametrize("name", ALL)
def test_a_wrong_operation_is_caught(name: str) -> None:
    values = data(name)
    survivors = []
    for equation in equations_of(derived(name)):
        for kind, wrong in mutants(lowered(equation)):
            own = namespace(values, "float64")
            try:
                with np.errstate(all="ignore"):
                    exec("\n".join(as_expression(equation, wrong)), own)
                assert_equal(equation, values, "float64", np.asarray(own[equation.name]))
            except (AssertionError, ValueError, IndexError, TypeError):
                continue
            survivors.append(f"{kind} in {equation.lhs} = {equation.rhs}")
    assert survivors == []


def test_every_kind_of_operation_was_made_wrong() -> None:
    kinds = {kind for name in ALL for e in equations_of(derived(name)) for kind, _ in mutants(lowered(e))}
    assert kinds >= {
        Kind.SUBSCRIPT, Kind.PAD, Kind.WINDOWS, Kind.DIAGONAL, Kind.ARGMAX, Kind.SUM, Kind.LAYOUT,
        Kind.UPDATE, Kind.ADD, Kind.MULTIPLY, Kind.LESS_EQUAL, Kind.GREATER, Kind.GREATER_EQUAL,
    }  # fmt: skip


# ------------------------------------------------------------------------------------ the shape of the code

LARGE = {
    SAMPLES: 16, size("n"): 7, size("m"): 6, size("o"): 9, size("F"): 5, size("G"): 8, size("P"): 20,
    size("Q"): 19, size("K"): 3, size("L"): 4, size("H"): 18, size("T"): 17, size("D"): 10, size("V"): 30,
}  # fmt: skip


def operations(name: str) -> dict[str, Operation]:
    """Return the operation of each quantity and adjoint of a system, the loss left out."""
    found = {e.name: lowered(e) for e in equations_of(derived(name))}
    return {n: operation for n, operation in found.items() if n not in ("E", "dC")}


def kinds_in(operation: Operation) -> list[Kind]:
    return [part.kind for part in operation.parts()]


def elements(shape: tuple[Expr, ...]) -> int:
    return math.prod(int(n.xreplace(LARGE)) for n in shape)


def test_of_groups_the_one_that_a_unit_is_in_is_read() -> None:
    """The derivative is a sum over all groups, of which one counts."""
    found = operations("spread_of_groups")["ds"]
    assert Kind.GATHER in kinds_in(found)
    assert max(len(part.axes) for part in found.parts() if part.kind != Kind.WINDOWS) <= 4
    assert not any(part.is_elementwise and len(part.shape) > 3 for part in found.parts())


def test_what_is_divided_without_remainder_is_read_and_added_by_strides() -> None:
    found = operations("transposed_convolution_by_quotients")
    assert Kind.GATHER not in {*kinds_in(found["y"]), *kinds_in(found["dwindow"])}
    (update,) = (part for part in found["y"].parts() if part.kind == Kind.UPDATE)
    assert len(update.value_as(Place).loops) == 1
    assert Kind.WINDOWS in kinds_in(found["dwindow"])


# Where a guard keeps infinities out, nothing may be taken out of its sum.
@pytest.mark.parametrize("name", [name for name in ALL if name != "guarded_functions"])
def test_nothing_has_the_size_of_a_jacobian(name: str) -> None:
    """Nothing that is computed is as large as the derivative of the result for an array that is read."""
    arrays = {result: o for result, o in operations(name).items() if elements(o.shape) > 1}
    for result, operation in arrays.items():
        read = [elements(part.shape) for part in operation.parts() if part.kind == Kind.ARRAY]
        for part in operation.parts():
            computed = part.kind != Kind.ARRAY and not part.is_view and not part.is_constant
            bound = max([elements(operation.shape), 1]) * max(read, default=1)
            assert not (computed and bound > 1) or elements(part.shape) < bound or part is operation, (
                result,
                part,
            )


def matrix_products(name: str) -> dict[str, tuple[int, int]]:
    """Return the number of matrix products and of einsums of each quantity that has any."""
    counts = {n: kinds_in(operation) for n, operation in operations(name).items()}
    return {
        n: (kinds.count(Kind.MATMUL), kinds.count(Kind.EINSUM))
        for n, kinds in counts.items()
        if Kind.MATMUL in kinds or Kind.EINSUM in kinds
    }


@pytest.mark.parametrize(
    "name",
    ["convolution_1d", "convolution_2d_batch", "dilated_strided_convolution", "transposed_convolution"],
)
def test_a_convolution_and_its_gradients_are_one_matrix_product_each(name: str) -> None:
    products = matrix_products(name)
    assert set(products.values()) == {(1, 0)}
    assert len(products) == 3


def test_matrix_products_of_an_attention_are_batched() -> None:
    products = matrix_products("causal_two_headed_attention")
    assert products == {**dict.fromkeys(products, (1, 0)), "dx": (3, 0)}
    for name in ("score", "mixed", "dshare", "dvalue", "dquery", "dkey"):
        operation = next(
            o for o in operations("causal_two_headed_attention")[name].parts() if o.kind == Kind.MATMUL
        )
        assert len(operation.shape) == 4


@pytest.mark.parametrize(
    "name", ["embedding", "gather_in_two_axes", "words_of_a_sentence", "picked_by_label"]
)
def test_integers_gather_and_scatter_without_truth_values(name: str) -> None:
    kinds = {kind for operation in operations(name).values() for kind in kinds_in(operation)}
    assert {Kind.GATHER, Kind.SCATTER} <= kinds
    assert not kinds & {Kind.EQUAL, Kind.WHERE}


def code_of(system: str, quantity: str) -> list[str]:
    equation = next(e for e in equations_of(derived(system)) if e.name == quantity)
    return as_expression(equation, lowered(equation))


READABLE = {
    ("embedding", "y"): ["y = weight[token]"],
    ("embedding", "dweight"): [
        "places = (5 * token[:, None] + np.arange(5)).reshape(-1)",
        "dweight = np.zeros((2, 5), dtype)",
        "np.add.at(dweight.reshape(-1), places, dy.reshape(-1))",
    ],
    ("attention", "score"): ["score = query @ key.T / 5**0.5"],
    ("layers_of_a_sequence", "y"): ["y = x @ w + bias"],
    ("layers_of_a_sequence", "dw"): ["dw = x.reshape(-1, 4).T @ dy.reshape(-1, 5)"],
    ("convolution_after_convolution", "s"): [
        "windows = sliding_window_view(x, (3, 2), axis=(2, 3))",
        "columns = windows.transpose(1, 4, 5, 0, 2, 3).reshape(12, -1)",
        "s = (w.reshape(5, 12) @ columns).reshape(5, -1, 6, 5).transpose(1, 0, 2, 3)",
    ],
    ("transposed_convolution", "y"): [
        "y = np.zeros((samples, 5, 9), dtype)",
        "part1 = w.reshape(2, 15).T @ x.transpose(1, 0, 2).reshape(2, -1)",
        "part1 = part1.reshape(5, 3, -1, 4).transpose(1, 2, 0, 3)",
        "for offset in range(3):",
        "    y[:, :, offset : offset + 7 : 2] += part1[offset]",
    ],
    ("steps_of_a_sequence", "h1"): ["h1 = np.tanh(e[:, 0] @ w)"],
    ("largest_of_a_row", "ds"): [
        "ds = np.zeros((samples, 5), dtype)",
        "ds[np.arange(samples), where_to] += C",
    ],
    ("triangular_sums", "s"): ["s = np.cumsum(x, axis=1)"],
    ("reversed_reads", "z"): ["windows = sliding_window_view(x, 3, axis=1)", "z = windows @ w[::-1]"],
    ("scalars", "total"): ["total = 0.2 * slope * (x**2 * x).sum()"],
    ("picked_by_label", "y"): [
        "largest = s.max(axis=1, keepdims=True)",
        "y = np.log(np.exp(s - largest).sum(axis=1))",
        "y -= s[np.arange(samples), label] - largest[:, 0]",
    ],
    ("picked_by_label", "ds"): [
        "exponentials = np.exp(s - s.max(axis=1, keepdims=True))",
        "ds = C[:, None] * exponentials / exponentials.sum(axis=1, keepdims=True)",
        "ds[np.arange(samples), label] -= C",
    ],
}


@pytest.mark.parametrize("key", READABLE, ids=".".join)
def test_code_reads_as_a_person_would_write_it(key: tuple[str, str]) -> None:
    assert code_of(*key) == READABLE[key]
