"""The kinds of array operations."""

from __future__ import annotations

from enum import StrEnum, auto


class Kind(StrEnum):
    """What an operation does; the class of its `Operation.value` is named where it has one."""

    ARRAY = auto()
    """A named array.  Value: the name, which in finished code may be `Layered`."""
    NUMBER = auto()
    """A number.  Value: `Number`."""
    NAME = auto()
    """A number that has a name in the code.  Value: the name."""

    LAYOUT = auto()
    """Axes transposed, or new ones of length 1.  Value: `Order`."""
    SUBSCRIPT = auto()
    """Places and slices.  Value: `Slices`."""
    WINDOWS = auto()
    """A sliding window; the windows' own axes come last.  Value: `Windows`."""
    DIAGONAL = auto()
    """The components with one place on two axes; the axis of these places comes last.  Value: `Pair`."""
    RESHAPE = auto()
    """Axes taken together or apart.  Value: `Sizes`."""

    MATMUL = auto()
    """A matrix product, of more than two axes for each of the leading ones.  Value: `Product`, where the
    result has more than two axes or axes were taken together for it."""
    EINSUM = auto()
    """A sum of products of two arrays.  Value: the specification."""
    VDOT = auto()
    """The sum of the products of the components of two arrays; what writes buffers makes it."""
    SUM = auto()
    """The sum over axes.  Value: `Reduction`."""
    MAX = auto()
    """The largest along axes.  Value: `Reduction`."""
    ARGMAX = auto()
    """The place of the largest along an axis.  Value: the axis."""

    CUMSUM = auto()
    """The sum of what is at a place and before it, along an axis.  Value: the axis."""

    PAD = auto()
    """Zeros around.  Value: `Padding`."""
    GATHER = auto()
    """The components of the first input at the integers of the others.  Value: `Picks`."""
    ARANGE = auto()
    """The values of an index, from 0; the input is their number.  Value: whether they are integers."""
    ZEROS = auto()
    """Zeros, of the shape that the inputs give."""
    FULL = auto()
    """The first input in an array of the shape that the others give.  Value: whether it is of integers."""
    BROADCAST = auto()
    """The first input broadcast to the shape that the others give."""
    SCATTER = auto()
    """The first input, to parts of which the updates are added."""
    UPDATE = auto()
    """What a scatter adds, then the integers of its places.  Value: `Place`."""
    TERMS = auto()
    """A sum of numbers.  Value: `Signs`."""

    CAST = auto()
    """Integers or truth values as numbers of the parameters' dtype."""
    WHERE = auto()
    """A choice by truth values.  Value: whether it is of integers."""
    CLIP = auto()
    """The first input, not below the second and not above the third."""

    # The others are the elementwise functions of NumPy with the same names, but for those of the module.
    NEGATIVE = auto()
    SQUARE = auto()
    SQRT = auto()
    EXP = auto()
    EXPM1 = auto()  # exp(z) - 1
    LOG = auto()
    LOG1P = auto()  # log(1 + z)
    TANH = auto()
    SINH = auto()
    COSH = auto()
    SIN = auto()
    COS = auto()
    TAN = auto()
    ARCSIN = auto()
    ARCCOS = auto()
    ARCTAN = auto()
    ARCSINH = auto()
    ARCCOSH = auto()
    ARCTANH = auto()
    ABS = auto()
    SIGN = auto()
    FLOOR = auto()
    RINT = auto()  # the nearest whole number
    ERF = auto()  # this and the next two are functions of the generated module's own
    LGAMMA = auto()  # log |Γ|
    DIGAMMA = auto()  # its derivative
    ARCTAN2 = auto()
    FLOOR_DIVIDE = auto()  # of whole numbers, as is the next
    REMAINDER = auto()
    ADD = auto()
    SUBTRACT = auto()
    MULTIPLY = auto()
    DIVIDE = auto()
    POWER = auto()
    HYPOT = auto()  # sqrt(a² + b²)
    LOGADDEXP = auto()  # log(exp(a) + exp(b))
    MAXIMUM = auto()
    MINIMUM = auto()
    HEAVISIDE = auto()  # 0 or 1 by the sign of the first, the second at 0
    GREATER = auto()
    GREATER_EQUAL = auto()
    LESS = auto()
    LESS_EQUAL = auto()
    EQUAL = auto()
    NOT_EQUAL = auto()
    LOGICAL_AND = auto()
    LOGICAL_OR = auto()
    LOGICAL_NOT = auto()


LEAVES = frozenset({Kind.ARRAY, Kind.NUMBER, Kind.NAME})
"""Kinds without inputs."""

VIEWS = frozenset({Kind.LAYOUT, Kind.SUBSCRIPT, Kind.WINDOWS, Kind.DIAGONAL})
"""Kinds that give the same numbers in another order, without copying them."""

COMPARISONS = frozenset(
    {Kind.GREATER, Kind.GREATER_EQUAL, Kind.LESS, Kind.LESS_EQUAL, Kind.EQUAL, Kind.NOT_EQUAL}
)
LOGICAL = frozenset({Kind.LOGICAL_AND, Kind.LOGICAL_OR, Kind.LOGICAL_NOT})
MASKS = COMPARISONS | LOGICAL
"""Kinds that give truth values."""

UNARY = frozenset(
    {
        Kind.NEGATIVE, Kind.SQUARE, Kind.SQRT, Kind.EXP, Kind.EXPM1, Kind.LOG, Kind.LOG1P, Kind.TANH,
        Kind.SINH, Kind.COSH, Kind.SIN, Kind.COS, Kind.TAN, Kind.ARCSIN, Kind.ARCCOS, Kind.ARCTAN,
        Kind.ARCSINH, Kind.ARCCOSH, Kind.ARCTANH, Kind.ABS, Kind.SIGN, Kind.FLOOR, Kind.RINT,
        Kind.ERF, Kind.LGAMMA, Kind.DIGAMMA, Kind.LOGICAL_NOT,
    }
)  # fmt: skip
BINARY = (
    frozenset(
        {
            Kind.ADD, Kind.SUBTRACT, Kind.MULTIPLY, Kind.DIVIDE, Kind.POWER, Kind.HYPOT, Kind.LOGADDEXP,
            Kind.ARCTAN2, Kind.FLOOR_DIVIDE, Kind.REMAINDER,
            Kind.MAXIMUM, Kind.MINIMUM, Kind.HEAVISIDE, Kind.LOGICAL_AND, Kind.LOGICAL_OR,
        }
    )
    | COMPARISONS
)  # fmt: skip
FUNCTIONS = UNARY | BINARY
"""Kinds that are a function of one component of each input and have no value."""

ELEMENTWISE = FUNCTIONS | {Kind.CAST, Kind.WHERE, Kind.CLIP}
"""Kinds of which each component of the result needs one component of each input."""
