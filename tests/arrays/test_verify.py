"""What is lowered keeps the rules of its kinds, in every test; what breaks one is refused."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from sympy import (
    Eq,
    Expr,
    Integer,
    KroneckerDelta,
    Min,
    Ne,
    Not,
    Or,
    Piecewise,
    Rational,
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    cos,
    cosh,
    erf,
    exp,
    log,
    sign,
    sinh,
    sqrt,
    tan,
)

import symbackprop as sb
from symbackprop.arrays.expressions import Lowering
from symbackprop.arrays.kinds import BINARY, FUNCTIONS, LOGICAL, UNARY, Kind
from symbackprop.arrays.operations import (
    EVERYTHING,
    Number,
    Operation,
    Order,
    Padding,
    Pair,
    Picks,
    Place,
    Product,
    Reduction,
    Signs,
    Sizes,
    Slices,
    Statement,
    Stride,
    Value,
    Windows,
    number,
)
from symbackprop.arrays.shapes import WrongOperation
from symbackprop.arrays.verify import RULES, verify
from symbackprop.code.buffers import BufferWriter, Workspace
from symbackprop.code.programs import share
from symbackprop.code.training_step import compared_after
from symbackprop.equations.functions import Digamma, Floor, LogGamma, Quotient, Remainder, Round
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.system import ONE, Equation, index, quantity, scalar, sum_over
from tests.arrays.test_lowering import derived, equations_of, lowered
from tests.verified import PASSES
from tests.zoo import B, b, i, m, n

INDICES = tuple(index(f"axis{p}") for p in range(6))
OTHER = index("other")


def made(kind: Kind, inputs: tuple[Operation, ...], value: Value, *shape: Expr | int) -> Operation:
    """Return an operation of that shape; what is broadcast has the same indices along its last axes."""
    return Operation(kind, inputs, value, INDICES[6 - len(shape) :], tuple(map(Integer, shape)))


def array(name: str, *shape: int, integer: bool = False) -> Operation:
    return replace(made(Kind.ARRAY, (), name, *shape), whole=integer)


X, V, CUBE = array("x", 3, 4), array("v", 4), array("cube", 2, 3, 4)
W = replace(array("w", 4, 5), axes=(INDICES[5], OTHER))
SQUARES, SQUARE = array("squares", 2, 4, 4), array("square", 4, 4)
TURNED = replace(SQUARE, axes=SQUARE.axes[::-1])
PLACES = array("places", 3, integer=True)
TRUTH = made(Kind.GREATER, (X, number(0)), None, 3, 4)
ZEROS = made(Kind.ZEROS, (number(3), number(4)), None, 3, 4)

UPDATE = Operation(
    Kind.UPDATE, (V, PLACES), Place(entries=("0", EVERYTHING), loops=(), looped=(), unique=True)
)
PLACED = Place(entries=(EVERYTHING, Stride(0, 3, 2, (1,))), loops=(2,), looped=(0,), unique=True)
STRIDED = Operation(Kind.UPDATE, (array("parts", 2, 3, 2),), PLACED)
FLAT = Operation(
    Kind.UPDATE,
    (V, array("at", 4, integer=True)),
    Place(entries=("0",), loops=(), looped=(), unique=False, flat=True),
)


def scattered(*updates: Operation) -> Operation:
    return made(Kind.SCATTER, (ZEROS, *updates), None, 3, 4)


def function(kind: Kind) -> Operation:
    """Return a right operation of an elementwise kind: the last input is broadcast."""
    inputs = (TRUTH, TRUTH) if kind in LOGICAL else (X, V)
    return made(kind, inputs[: 1 if kind in UNARY else 2], None, 3, 4)


RIGHT: dict[Kind, Operation] = {
    Kind.ARRAY: X,
    Kind.NUMBER: number(Rational(1, 3)),
    Kind.NAME: Operation(Kind.NAME, (), "rate"),
    Kind.LAYOUT: made(Kind.LAYOUT, (X,), Order((1, 0)), 4, 3),
    Kind.SUBSCRIPT: made(Kind.SUBSCRIPT, (CUBE,), Slices((1, EVERYTHING, (1, None, 2))), 3, 2),
    Kind.WINDOWS: made(Kind.WINDOWS, (X,), Windows((3,), (1,)), 3, 2, 3),
    Kind.DIAGONAL: made(Kind.DIAGONAL, (SQUARES,), Pair(1, 2), 2, 4),
    Kind.RESHAPE: made(Kind.RESHAPE, (CUBE,), Sizes((-1, 4)), 6, 4),
    Kind.MATMUL: replace(
        made(Kind.MATMUL, (CUBE, W), Product(4, (2, 3, 5)), 2, 3, 5), axes=(*CUBE.axes[:2], OTHER)
    ),
    Kind.EINSUM: made(Kind.EINSUM, (CUBE, X), "abc,bc->ba", 3, 2),
    Kind.VDOT: made(Kind.VDOT, (X, X), None),
    Kind.SUM: made(Kind.SUM, (CUBE,), Reduction((0, 2)), 3),
    Kind.MAX: replace(made(Kind.MAX, (X,), Reduction(1, kept=True), 3, 1), axes=(INDICES[4], None)),
    Kind.ARGMAX: made(Kind.ARGMAX, (X,), 1, 3),
    Kind.CUMSUM: made(Kind.CUMSUM, (X,), 1, 3, 4),
    Kind.PAD: made(Kind.PAD, (X,), Padding(((0, 0), (1, 2))), 3, 7),
    Kind.GATHER: made(Kind.GATHER, (CUBE, PLACES), Picks((None, 0, None)), 2, 3, 4),
    Kind.ARANGE: made(Kind.ARANGE, (number(3),), True, 3),
    Kind.ZEROS: ZEROS,
    Kind.FULL: made(Kind.FULL, (V, number(3), number(4)), False, 3, 4),
    Kind.BROADCAST: made(Kind.BROADCAST, (V, number(3), number(4)), None, 3, 4),
    Kind.SCATTER: scattered(UPDATE),
    Kind.UPDATE: UPDATE,
    Kind.TERMS: Operation(Kind.TERMS, (number(1), number(2), number(3)), Signs((False, True, False))),
    Kind.CAST: made(Kind.CAST, (TRUTH,), None, 3, 4),
    Kind.WHERE: made(Kind.WHERE, (TRUTH, X, number(0)), False, 3, 4),
    Kind.CLIP: made(Kind.CLIP, (PLACES, number(0), number(2)), None, 3),
    **{kind: function(kind) for kind in FUNCTIONS},
}
"""A right operation of each kind."""

VALUES: dict[Kind, tuple[Value, ...]] = {
    Kind.ARRAY: ("",),
    Kind.NUMBER: (Number(scalar("z")),),
    Kind.LAYOUT: (Order((0, 1)), Order((0, 0)), Order((1,)), Order((1, 2))),
    Kind.SUBSCRIPT: (
        Slices((2, EVERYTHING, (1, None, 2))),
        Slices((-3, EVERYTHING, (1, None, 2))),
        Slices((1, EVERYTHING, (1, 5, 2))),
        Slices((1, EVERYTHING, (2, 0, None))),
        Slices((1, EVERYTHING, (-5, None, 2))),
        Slices((EVERYTHING, 1, (1, None, 2))),
        Slices((1, EVERYTHING)),
    ),
    Kind.WINDOWS: (Windows((3,), (0,)), Windows((3,), (2,)), Windows((5,), (1,)), Windows((3, 3), (1,))),
    Kind.DIAGONAL: (Pair(0, 1), Pair(1, 1), Pair(1, 3)),
    Kind.RESHAPE: (Sizes((6, 5)), Sizes((-1, -1)), Sizes((6, 4, 1))),
    Kind.MATMUL: (Product(3, (2, 3, 5)), Product(4, (2, 3, 4)), Product(4, (6, 5)), None),
    Kind.EINSUM: ("abc,bc->ab", "abc,cb->ba", "abc,bc->bz", "abc,bc", "abc,b->ba"),
    Kind.SUM: (Reduction((0, 1)), Reduction((0, 0)), Reduction((0, 3)), Reduction(None), Reduction(())),
    Kind.MAX: (Reduction(0, kept=True), Reduction(1), Reduction(2, kept=True)),
    Kind.ARGMAX: (0, 2, True),
    Kind.CUMSUM: (2, -1, True),
    Kind.PAD: (Padding(((1, 2), (0, 0))), Padding(((0, 0), (4, -1))), Padding(((0, 0),))),
    Kind.GATHER: (Picks((0, None, None)), Picks((None, 1, None)), Picks((None, 0)), Picks((0, 0, None))),
    Kind.UPDATE: (
        Place((EVERYTHING, EVERYTHING), (), (), True),
        Place(("1", EVERYTHING), (), (), True),
        Place(("0",), (), (), True),
        Place((EVERYTHING, "0"), (), (), True),
        Place(("0", (0, 5, None)), (), (), True),
        Place(("0", 2), (2,), (0,), True),
        Place(("0", Stride(0, 4, 1, (1,))), (), (), True),
        Place(("0", Stride(0, 4, 1, (1,))), (2,), (), True),
        Place(("0", EVERYTHING), (), (), True, flat=True),
    ),
    Kind.TERMS: (Signs((False, True)),),
}
"""Values of the right class that are wrong for the operation of `RIGHT`."""

INPUTS: dict[Kind, tuple[tuple[Operation, ...], ...]] = {
    Kind.MATMUL: ((W, CUBE), (CUBE, X), (number(2), W), (number(2), number(3))),
    Kind.VDOT: ((X, V),),
    Kind.GATHER: ((CUBE, array("real", 3)), (CUBE, TRUTH)),
    Kind.ARANGE: ((number(4),), (V,)),
    Kind.ZEROS: ((number(4), number(3)), (V, number(4))),
    Kind.FULL: ((PLACES, number(3), number(4)), (V, number(3), number(5))),
    Kind.BROADCAST: ((CUBE, number(3), number(4)), (V, number(4), number(4))),
    Kind.SCATTER: ((ZEROS, X), (UPDATE, UPDATE), (W, UPDATE)),
    Kind.UPDATE: ((W, PLACES), (V, array("real", 3)), (V, UPDATE)),
    Kind.TERMS: ((number(1), V, number(3)),),
    Kind.CAST: ((X,),),
    Kind.WHERE: ((X, X, number(0)), (TRUTH, W, number(0))),
    Kind.CLIP: ((PLACES, V, number(2)),),
    Kind.NEGATIVE: ((TRUTH,),),
    Kind.ADD: ((TRUTH, TRUTH),),
    Kind.SUBTRACT: ((TRUTH, TRUTH),),
    **{kind: ((X, TRUTH)[: 1 if kind in UNARY else 2],) for kind in LOGICAL},
}
"""Inputs, as many as there have to be, that are wrong for the operation of `RIGHT`."""


FITTING: dict[Kind, tuple[Operation, ...]] = {
    Kind.LAYOUT: (
        made(Kind.LAYOUT, (CUBE,), Order((0, 2)), 2, 4),
        replace(made(Kind.LAYOUT, (X,), Order((1, None, 0)), 4, 1, 3), axes=(INDICES[0], None, INDICES[1])),
    ),
    Kind.SUBSCRIPT: (made(Kind.SUBSCRIPT, (CUBE,), Slices((1, EVERYTHING)), 3),),
    Kind.WINDOWS: (
        made(Kind.WINDOWS, (X,), Windows((3,), (2,)), 3, 4, 3),
        made(Kind.WINDOWS, (X,), Windows((5,), (1,)), 3, 0, 5),
    ),
    Kind.DIAGONAL: (made(Kind.DIAGONAL, (CUBE,), Pair(0, 1), 4, 2),),
    Kind.RESHAPE: (made(Kind.RESHAPE, (CUBE,), Sizes((6, 5)), 6, 5),),
    Kind.MATMUL: (
        made(Kind.MATMUL, (X, replace(array("other", 3, 5), axes=W.axes)), None, 3, 5),
        made(Kind.MATMUL, (SQUARE, SQUARE), None, 4, 4),
    ),
    Kind.SUM: (
        made(Kind.SUM, (CUBE,), Reduction((0, 0)), 3, 4),
        made(Kind.SUM, (CUBE,), Reduction(()), 2, 3, 4),
    ),
    Kind.ARGMAX: (made(Kind.ARGMAX, (X,), 2, 3, 4),),
    Kind.FULL: (made(Kind.FULL, (V, number(3), number(4)), True, 3, 4),),
    Kind.UPDATE: (
        replace(STRIDED, inputs=(array("parts", 2, 2, 3, 2),), value=replace(PLACED, looped=(0, 0))),
        replace(FLAT, value=Place((EVERYTHING, "0"), (), (), True, flat=True)),
    ),
    Kind.EXP: (made(Kind.EXP, (replace(X, axes=INDICES[:1] * 2),), None, 3, 4).along(INDICES[:1] * 2),),
    **{kind: (made(kind, (SQUARE, TURNED), None, 4, 4),) for kind in BINARY - LOGICAL},
}
"""Wrong operations of which the shape is what comes out."""


def mutants(operation: Operation) -> Iterator[tuple[str, Operation]]:
    """Yield operations that are wrong in one way, with the way."""
    kind, inputs, axes, shape = operation.kind, operation.inputs, operation.axes, operation.shape
    if inputs:
        yield "missing input", replace(operation, inputs=inputs[:-1])
    yield "one input more", replace(operation, inputs=(*inputs, V))
    forms: tuple[Value, ...] = (None, 1, "text", Number(ONE), Order((0,)))
    for value in (v for v in forms if type(v) not in RULES[kind].forms):
        yield "wrong class of value", replace(operation, value=value)
    for value in VALUES.get(kind, ()):
        yield "wrong value", replace(operation, value=value)
    for wrong in INPUTS.get(kind, ()):
        yield "wrong inputs", replace(operation, inputs=wrong)
    yield from (("wrong, with its shape", wrong) for wrong in FITTING.get(kind, ()))
    if kind in BINARY:
        yield "wrong inputs", replace(operation, inputs=(inputs[0], array("longer", 5)))
    yield "an axis more", replace(operation, axes=(*axes, None), shape=(*shape, Integer(2)))
    yield "a size without an axis", replace(operation, shape=(*shape, Integer(2)))
    if shape:
        yield "missing size", replace(operation, shape=shape[1:])
    if shape and kind != Kind.ARRAY:
        yield "wrong size", replace(operation, shape=(*shape[:-1], shape[-1] + 1))
        yield "missing axis", replace(operation, axes=axes[1:], shape=shape[1:])
        yield "one axis twice", replace(operation, axes=(INDICES[0],) * 7, shape=(ONE,) * 7)


def standing(operation: Operation) -> Operation:
    """Return an operation that may stand alone: an update stands in a scatter."""
    return scattered(operation) if operation.kind == Kind.UPDATE else operation


def is_refused(operation: Operation) -> bool:
    try:
        verify(operation)
    except WrongOperation:
        return True
    return False


@pytest.mark.parametrize("kind", Kind)
def test_wrong_operations_of_each_kind_are_refused(kind: Kind) -> None:
    assert RIGHT[kind].kind == kind
    verify(standing(RIGHT[kind]))
    found = list(mutants(RIGHT[kind]))
    assert len(found) > 5
    assert [f"{way}: {wrong}" for way, wrong in found if not is_refused(standing(wrong))] == []


def test_there_is_a_rule_for_each_kind() -> None:
    assert set(RULES) == set(Kind)


@pytest.mark.parametrize("update", [UPDATE, STRIDED, FLAT])
def test_updates_of_other_shapes_are_refused(update: Operation) -> None:
    verify(scattered(update, update))
    value, *places = update.inputs
    for shape in ((*value.shape[:-1], value.shape[-1] + 1), (Integer(7), *value.shape)):
        longer = array("longer", *map(int, shape))
        assert is_refused(scattered(update, replace(update, inputs=(longer, *places))))


def test_the_message_says_where() -> None:
    turned = replace(RIGHT[Kind.LAYOUT], shape=X.shape)
    wrong = made(Kind.SUM, (made(Kind.ADD, (X, turned), None, 3, 4),), Reduction(None))
    with pytest.raises(WrongOperation, match=r"^operation\.inputs\[0\]\.inputs\[1\], layout: .*\(3, 4\)"):
        verify(wrong)
    with pytest.raises(WrongOperation, match="an update stands alone"):
        verify(UPDATE)


def symbolic(name: str, *shape: Expr) -> Operation:
    return Operation(Kind.ARRAY, (), name, tuple(INDICES[: len(shape)]), shape)


def test_symbolic_sizes_are_refused_where_they_cannot_be_equal() -> None:
    def total(one: Expr, other: Expr) -> Operation:
        return Operation(Kind.ADD, (symbolic("a", one), symbolic("b", other)), None, (INDICES[0],), (one,))

    verify(total(2 * (n + 1), 2 * n + 2))
    verify(total(n, m))  # may be equal
    verify(total(n, SAMPLES))
    for one, other in ((n, n + 1), (n + m, n), (2 * n + 2, Integer(1) + ONE)):
        assert is_refused(total(one, other))
    with pytest.raises(WrongOperation):
        verify(total(n, m), lambda size: size.xreplace({n: Integer(3), m: Integer(4)}))


# ------------------------------------------------------------------------------------ every kind occurs

x, w, flag, y = quantity("x", B, n), quantity("w", n), quantity("flag", B, integer=True), quantity("y", B, n)
ZOO_SYSTEMS = (
    "words_of_a_sentence", "guarded_functions", "attention", "banded_attention", "max_pooling",
    "sums_of_indices", "max_over_an_index", "layer_norm", "diagonals", "triangular_sums",
)  # fmt: skip
ONE_BY_ONE = [
    *(f(x[b, i]) for f in (asin, acos, atan, asinh, acosh, atanh, cos, cosh, sinh, tan, erf, sign, abs)),
    *(f(x[b, i]) for f in (Floor, Round, LogGamma, Digamma)),
    atan2(x[b, i], w[i]), Quotient(flag[b], 2), Remainder(flag[b], 2),
    log(1 + x[b, i] ** 2), exp(x[b, i]) - 1, log(1 + exp(x[b, i])), sqrt(1 + x[b, i] ** 2),
    Min(x[b, i], 2), Integer(3),
    *(Piecewise((x[b, i], c), (2, True)) for c in (Eq(flag[b], 1), Ne(flag[b], 1), flag[b] < 1)),
    Piecewise((x[b, i], Or(flag[b] < 1, x[b, i] > 2)), (2, True)),
    Piecewise((x[b, i], Not(Or(flag[b] < 1, x[b, i] > 2), evaluate=False)), (2, True)),
]  # fmt: skip


def occurring() -> Iterator[Operation]:
    for name in ZOO_SYSTEMS:
        yield from map(lowered, equations_of(derived(name)))
    yield from (lowered(Equation(y[b, i], value)) for value in ONE_BY_ONE)
    slope, rate, bias = (quantity(name).symbol for name in ("slope", "rate", "bias"))
    yield lowered(Equation(quantity("E").symbol, slope + rate + bias))
    yield lowered(Equation(w[i], sum_over(KroneckerDelta(i, flag[b]), (b, B))))


def test_every_kind_occurs() -> None:
    kinds = {part.kind for operation in occurring() for part in operation.parts()}
    assert set(Kind) - kinds == {Kind.VDOT}  # which what writes buffers makes of a sum


# ------------------------------------------------------------------------------------ all tests verify


def test_all_modules_call_the_passes_that_are_followed() -> None:
    for module in pkgutil.walk_packages(sb.__path__, "symbackprop."):
        found = vars(importlib.import_module(module.name))
        for home, name, _ in PASSES:
            plain = getattr(home, name).__wrapped__
            assert not [n for n, value in found.items() if value is plain], module.name


@pytest.fixture
def _lowered_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Lowering.run

    def wrong(self: Lowering) -> Operation:
        found = right(self)
        return replace(found, shape=(*found.shape, n))

    monkeypatch.setattr(Lowering, "run", wrong)


@pytest.mark.usefixtures("_lowered_wrong")
@pytest.mark.parametrize("home", ["arrays.signature", "arrays.evaluate", "code.programs", "code.update"])
def test_what_is_lowered_wrong_is_refused(home: str) -> None:
    lower = importlib.import_module(f"symbackprop.{home}").lower
    with pytest.raises(WrongOperation):
        lower(Equation(y[b, i], x[b, i]), {})


def test_a_whole_network_that_is_lowered_wrong_is_refused(request: pytest.FixtureRequest) -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    sb.generate(derivation)
    request.getfixturevalue("_lowered_wrong")
    with pytest.raises(WrongOperation):
        sb.generate(derivation)


WRONG = replace(RIGHT[Kind.MAXIMUM], inputs=(X, W))


@pytest.mark.parametrize(
    "rewrite",
    [
        compared_after,
        lambda statements: share(statements, {}),
        lambda statements: BufferWriter({}, Workspace()).assign("y", statements[0].operation),
        lambda statements: BufferWriter({}, Workspace()).scalar("y", statements[0].operation, weighted=False),
    ],
)
def test_what_a_pass_hands_on_is_verified(rewrite: Callable[[list[Statement]], object]) -> None:
    with pytest.raises(WrongOperation):
        rewrite([Statement("y", WRONG, 1)])
