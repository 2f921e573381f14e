"""A network as every later stage sees it, whether it was written as layer sizes or as equations.

In go a ``Network``'s equations with the declarations of its text, out comes a ``Model``: numbers for the
symbols, the first values of the parameters, and the conditions on the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from sympy import Expr, Integer, Mul, Pow, Sum, Symbol, exp, expand

from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.small_sizes import small_sizes
from symbackprop.equations.system import ONE, EquationSystem, scalar, size
from symbackprop.errors import SpecificationError

SAMPLES_DRAWN = 5
"""Samples of random data."""
_MARGIN = 0.05  # between random numbers and their bounds, where a loss or its slope may be infinite


@dataclass(frozen=True)
class Constant:
    """A named number of the equations, or an array of them."""

    name: str
    value: float | tuple[float, ...]

    @property
    def symbol(self) -> Symbol:
        """Its symbol in the equations, where it is one number."""
        return scalar(self.name)

    @property
    def is_number(self) -> bool:
        """Whether it is one number, and no array."""
        return not isinstance(self.value, tuple)


@dataclass(frozen=True)
class Initial:
    """How a parameter starts: drawn by an initialiser, or as a number where there is none.

    ``activation`` is the one that the initialiser was chosen for, ``formula`` what it computes of its symbol.
    """

    initializer: Initializer | None = None
    fan_in: Expr = ONE
    fan_out: Expr = ONE
    value: float = 0.0
    activation: str = ""
    formula: Expr | None = None


@dataclass(frozen=True)
class Draw:
    """The random numbers that an array of ``shape`` may hold.

    Whole numbers lie in ``range(places)``.  Others lie within ``bounds`` where there are any, and those along
    ``axis`` add up to ``total`` where there is one.
    """

    shape: tuple[int, ...]
    places: int | None = None
    bounds: tuple[float, float] | None = None
    total: Expr | None = None
    axis: int = 1


@dataclass(frozen=True)
class DataArray:
    """An input or a target: the array that a user passes, and the conditions on its numbers.

    ``shape`` leaves the samples' axis out where the array ``has_samples``.  ``low`` and ``high`` bound every
    number; ``total``, the sum along an axis of the whole array, is checked where the derivation rests on it.
    ``places`` are the sizes of the axes in which an integer is a place, from 0; one that ``may_be_missing``
    is -1 where there is none, as every read at it is guarded.
    """

    name: str
    shape: tuple[Expr, ...]
    integer: bool = False
    has_samples: bool = True
    low: Expr | None = None
    high: Expr | None = None
    total: Expr | None = None
    total_axis: int = 1
    places: tuple[Expr, ...] = ()
    may_be_missing: bool = False

    @property
    def least_place(self) -> int:
        """The least number that a place may be."""
        return -1 if self.may_be_missing else 0

    @property
    def is_unbounded(self) -> bool:
        """Whether its numbers may be anything."""
        return self.low is None and self.high is None

    def draw(self, size: Callable[[Expr], int], samples: int) -> Draw:
        """Return the ``Draw`` of so many samples of it; ``size`` gives the number of a size."""
        shape = (*(samples,) * self.has_samples, *map(size, self.shape))
        places = min(map(size, self.places), default=2) if self.integer else None
        bounds = None if self.is_unbounded else self._drawn_between()
        return Draw(shape, places, bounds, self.total, self.total_axis)

    def _drawn_between(self) -> tuple[float, float]:
        """Return bounds for random numbers, which keep off the ends of the allowed range."""
        low = None if self.low is None else float(self.low)
        high = None if self.high is None else float(self.high)
        if low is None:
            low = (high or 0.0) - 1
        if high is None:
            high = max(low + 1, 1.0)
        return low + _MARGIN, high - _MARGIN

    @property
    def is_table(self) -> bool:
        """Whether it is rows of real numbers, one row for each sample."""
        return self.has_samples and not self.integer and len(self.shape) == 1


@dataclass(frozen=True)
class Noise:
    """An array that is drawn anew for each step of training, from a distribution with its numbers.

    ``shape`` leaves the samples' axis out where the array ``has_samples``.
    """

    name: str
    shape: tuple[Expr, ...]
    has_samples: bool
    distribution: str
    numbers: tuple[float, ...]


@dataclass(frozen=True)
class Along:
    """The slope of an error along a vector: the error, and the name of the vector's part by parameter."""

    loss: str
    vectors: Mapping[str, str]


@dataclass(frozen=True)
class Model:
    """The equations of a network with everything that its trainer needs beside them.

    ``title`` heads its derivation, ``subject`` is its name in a sentence, ``name`` a Python name for its
    module, ``description`` the text from which the same network can be made, and ``origin`` the name of
    that text in a sentence, if it is long.  ``sizes`` holds the number of each size symbol.  The equations
    are those of one sample where ``per_sample``.  ``missing`` holds the index letter of each size that has
    no number and needs one; ``open`` holds where the others without one are found when data come: the name
    of an input, and the axis of the whole array.  ``layers`` are those of a dense network.  ``more_outputs``
    are what ``forward`` returns beside ``output``.  ``sections`` holds the title of the section to which a
    quantity belongs, "" for one outside of all sections; those before the first section are left out.

    ``system`` are the equations while the network is trained.  Where it is another one in use, ``use`` are
    the equations that give outputs and error then; both have the same parameters.  ``noise`` is what a step
    draws, and ``states`` holds for each state the quantity whose value a step leaves in it; first values of
    states stand in ``initial``, too.  The error in use ``is_mean_in_use`` where it is one over the samples.

    Where the error is the slope of another one along a vector, ``along`` tells which.  Where derivatives in
    the equations are written out, ``written`` are the equations that ask for them.
    """

    title: str
    subject: str
    name: str
    description: str
    system: EquationSystem
    output: str
    sizes: Mapping[str, int]
    constants: tuple[Constant, ...]
    initial: Mapping[str, Initial]
    inputs: tuple[DataArray, ...]
    targets: tuple[DataArray, ...]
    per_sample: bool = True
    origin: str = ""
    missing: Mapping[str, str] = field(default_factory=dict)
    open: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()
    more_outputs: tuple[str, ...] = ()
    sections: Mapping[str, str] = field(default_factory=dict)
    use: EquationSystem | None = None
    noise: tuple[Noise, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    is_mean_in_use: bool = False
    along: Along | None = None
    written: EquationSystem | None = None

    @property
    def is_mean(self) -> bool:
        """Whether the error that data are evaluated by is a mean over the samples."""
        return self.per_sample or self.is_mean_in_use

    @property
    def in_use(self) -> EquationSystem:
        """The equations of the network in use."""
        return self.system if self.use is None else self.use

    @cached_property
    def named(self) -> EquationSystem:
        """The equations of training with all quantities of both, to choose names for in code.

        There inputs that the first layer reads have roles, too.
        """
        use = self.system if self.use is None else self.use
        return replace(
            self.system,
            quantities={**self.system.quantities, **use.quantities},
            roles={**use.entries, **self.system.entries, **use.roles, **self.system.roles},
            size_roles={**use.size_roles, **self.system.size_roles},
        )

    @property
    def open_sizes_of_noise(self) -> list[Symbol]:
        """The sizes of noise that come with the data, in the order in which data tell them."""
        known = {s for noise in self.noise for n in noise.shape for s in n.free_symbols}
        return [size(name) for name in self.open if size(name) in known]

    @property
    def as_written(self) -> Model:
        """The network with the derivatives in its equations as it asks for them."""
        return self if self.written is None else replace(self, system=self.written, written=None)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The quantities that ``forward`` returns; that of the accuracy is the first."""
        return (self.output, *self.more_outputs)

    def require_sizes(self) -> None:
        """See that a trainer can be generated.

        Raises:
            SpecificationError: the number of a size is missing.
        """
        letters = list(self.missing.values())
        if letters:
            named = _listed([f"'{letter}'" for letter in letters])
            problem = (
                f"the size of the index {named} is not given"
                if len(letters) == 1
                else f"the sizes of the indices {named} are not given"
            )
            options = " ".join(f"--size {letter}=8" for letter in letters)
            line = ", ".join(f"{letter} = 8" for letter in letters)
            raise SpecificationError(f"{problem}; add {options}, or a line: size {line}")

    def size(self, n: Expr) -> int:
        """Return the number of a size."""
        return int(n.xreplace({s: self.sizes[s.name] for s in n.free_symbols}))

    def number(self, n: Expr) -> Expr:
        """Return a size with the numbers of those that have one."""
        return n.xreplace({s: Integer(self.sizes[s.name]) for s in n.free_symbols if s.name in self.sizes})

    def shape(self, sizes: tuple[Expr, ...]) -> tuple[int, ...]:
        """Return the numbers of some sizes."""
        return tuple(map(self.size, sizes))

    def is_fixed(self, sizes: Iterable[Expr]) -> bool:
        """Whether all sizes have numbers."""
        return all(s.name in self.sizes for n in sizes for s in n.free_symbols)

    def sample_size(self, n: Expr, samples: int = SAMPLES_DRAWN) -> int:
        """Return the number of a size in random data of so many samples, where open sizes are small."""
        return self.size(n.xreplace({**self._small_sizes, SAMPLES: Integer(samples)}))

    def draw(self, given: DataArray, named: int = SAMPLES_DRAWN) -> Draw:
        """Return the ``Draw`` of random data for an input or a target.

        Whole numbers that name samples name the first ``named`` of them.
        """
        return given.draw(partial(self.sample_size, samples=named), SAMPLES_DRAWN)

    @cached_property
    def _small_sizes(self) -> dict[Expr, Expr]:
        """Small numbers for the open sizes."""
        start = {size(name): number for number, name in enumerate(self.open, start=4)}
        known = {size(name): number for name, number in self.sizes.items()}
        small = small_sizes(self.system, start, known) if start else {}
        return {s: Integer(number) for s, number in small.items()}

    @property
    def output_shape(self) -> tuple[Expr, ...]:
        """The sizes of the first output's axes beside that of the samples."""
        shape = self.system.quantities[self.output].shape
        return shape if self.per_sample or shape[:1] != (SAMPLES,) else shape[1:]

    @cached_property
    def has_classes(self) -> bool:
        """Whether outputs or targets are shares of a total, as those of softmax are: labels name one."""
        definition = self.in_use.definitions[self.output]
        shares = bool(definition.indices) and any(
            _is_share(form, definition.indices[-1]) for form in (definition.rhs, expand(exp(definition.rhs)))
        )
        return shares or any(target.total is not None for target in self.targets)


def _is_share(expression: Expr, i: Expr) -> bool:
    """Whether ``expression`` is a value divided by the sum of all such values over ``i``."""
    for factor in Mul.make_args(expression):
        if isinstance(factor, Pow) and factor.exp == -1 and isinstance(factor.base, Sum):
            body, limits = factor.base.function, factor.base.limits
            value = expression / factor
            if len(limits) == 1 and isinstance(i, Symbol) and body.xreplace({limits[0][0]: i}) == value:
                return True
    return False


def _listed(names: list[str]) -> str:
    """Return the names as one reads them out: a, b and c."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


@dataclass(frozen=True)
class Initializer:
    """One initialiser of weights.

    ``distribution`` is uniform, normal, orthogonal (directions at right angles) or zeros; ``variance`` is
    a formula in ``fan_in`` and ``fan_out``, the numbers of units that a weight comes from and goes to.
    """

    name: str
    distribution: str
    variance: str
    source: str
    reason: str  # key of the sentence with the reason for the variance


@dataclass(frozen=True)
class Layer:
    """A dense layer: how many units it has, and its activation as a name, a call or a formula."""

    units: int
    activation: str
