"""Instructions that are too long for a line are broken between what they consist of."""

from __future__ import annotations

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Operation
from symbackprop.code.lines import lines_of
from symbackprop.code.statements import Call
from tests.code.instructions import named, read

LONG = ("difference_of_the_second_layer", "weights_of_the_third_layer")


def test_arguments_that_fit_one_line_stay_together() -> None:
    call = Call(Operation(Kind.MULTIPLY, tuple(map(read, LONG))), read("adjoint"))
    assert list(lines_of([call], 76)) == ["np.multiply(", f"    {', '.join(LONG)}, out=adjoint", ")"]


def test_a_long_value_is_broken_at_the_brackets_that_it_ends_in_or_has_some_around_it() -> None:
    value = Operation(Kind.MAXIMUM, tuple(map(read, LONG)))
    assert list(lines_of([named("adjoint", value)], 72)) == [
        "adjoint = np.maximum(",
        f"    {', '.join(LONG)}",
        ")",
    ]
    assert list(lines_of([named("adjoint", value)], 76)) == [
        "adjoint = (",
        f"    np.maximum({', '.join(LONG)})",
        ")",
    ]


def test_arguments_of_a_long_call_are_below_each_other_whatever_commas_are_in_them() -> None:
    operands = tuple(map(read, LONG))
    call = Call(Operation(Kind.EINSUM, operands, "njk,ki->nji"), read("adjoint"))
    assert list(lines_of([call], 60)) == [
        "np.einsum(",
        '    "njk,ki->nji",',
        *(f"    {name}," for name in LONG),
        "    out=adjoint,",
        ")",
    ]
