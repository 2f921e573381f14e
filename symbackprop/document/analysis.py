"""Analysis of a derivation: the limits of its error, and the bounds of its slopes on the way back.

In go a ``Derived``, out come limits of the error of one output, the bounds of each slope, and the
product of the largest ones on the way back through the layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sympy import (
    Abs,
    Add,
    Derivative,
    Dummy,
    Expr,
    Indexed,
    Mul,
    Pow,
    Rational,
    Sum,
    Symbol,
    exp,
    limit,
    log,
    nan,
    oo,
    tanh,
    zoo,
)

from symbackprop.derivation.kinks import decided
from symbackprop.derivation.stable.bounds import Bounds, bounds_of, shown
from symbackprop.equations.graph import readers_of
from symbackprop.equations.indices import rename, settle, substitute
from symbackprop.equations.naming import LETTERS
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import indices_of, name_of

_OUTPUT, _TARGET = Symbol("x", real=True), Symbol("t", real=True)
_SLOPE_OF = Symbol("s", real=True)
_MOST_OPERATIONS = 60
_CONTINUOUS = (log, exp, Abs, tanh)
"""Functions whose value, where it is finite, is the limit."""


# ---- the error of one output


@dataclass(frozen=True)
class Tendency:
    """As ``output`` tends to ``goes_to`` while ``target`` is ``is_``, the error of one output tends to
    ``error``; ``constant`` where it is that whatever the output is."""

    output: Expr
    goes_to: Expr
    target: Expr
    is_: Expr
    error: Expr
    constant: bool = False

    @property
    def right(self) -> bool:
        """Whether the output goes to its target."""
        return bool(self.goes_to == self.is_)


@dataclass(frozen=True)
class ErrorOfOne:
    """The term of the error that one output adds, and its limits."""

    term: Expr
    tendencies: tuple[Tendency, ...]


def error_of_one(derivation: Derived) -> ErrorOfOne | None:
    """Return the limits of the error of one output as it becomes right, and wrong.

    None where the targets have no range, or where the error is no sum over outputs.
    """
    model = derivation.model
    if model is None or len(model.targets) != 1:
        return None
    (target,) = model.targets
    found = _term(derivation, model.output, target.name)
    if found is None:
        return None
    term, output, wanted = found
    if target.low is None or target.high is None:
        return ErrorOfOne(term, ())
    values = {c.name: Rational(str(c.value)) for c in model.constants if not isinstance(c.value, tuple)}
    plain = term.xreplace({output: _OUTPUT, wanted: _TARGET})
    plain = plain.xreplace({s: values[s.name] for s in plain.free_symbols if s.name in values})
    weights = {read: Symbol("c", positive=True) for read in plain.atoms(Indexed)}
    plain = plain.xreplace(weights)
    return ErrorOfOne(term, tuple(_tendencies(plain, output, wanted, target.low, target.high)))


def _term(derivation: Derived, output: str, target: str) -> tuple[Expr, Expr, Expr] | None:
    """Return the summand of the error that holds output and target, and the two components in it."""
    system = derivation.system
    error = system.definitions[system.loss].rhs
    for name, definition in system.definitions.items():  # targets that are moved a little first
        if system.reads(definition.rhs) and {name_of(c) for c in system.reads(definition.rhs)} == {target}:
            error = substitute(error, system.quantities[name], definition)
    for part in Add.make_args(settle(error, LETTERS)):
        factor, total = part.as_independent(Sum)
        if isinstance(total, Sum):
            body = factor * total.function
            outputs, targets = (
                [c for c in sorted(body.atoms(Indexed), key=str) if name_of(c) == name]
                for name in (output, target)
            )
            alone = len(outputs) == len(targets) == 1 and indices_of(outputs[0]) == indices_of(targets[0])
            if alone and body.count_ops() <= _MOST_OPERATIONS and not body.has(Sum):
                return body, outputs[0], targets[0]
    return None


def _tendencies(plain: Expr, output: Expr, wanted: Expr, low: Expr, high: Expr) -> Iterator[Tendency]:
    """Yield the limits at the ends of the range of targets, the output going to either end of it."""
    ends = ((high, "-"), (low, "+"))
    for is_, _ in ends:
        error = plain.subs(_TARGET, is_)
        found = [(goes_to, _limit(error, goes_to, side)) for goes_to, side in ends]
        found.sort(key=lambda pair: pair[0] != is_)  # the right answer first
        constant = _OUTPUT not in error.free_symbols
        for goes_to, value in found[: 1 if constant else 2]:
            if value.is_number and not value.has(nan, zoo):
                yield Tendency(output, goes_to, wanted, is_, value, constant)


def _limit(error: Expr, goes_to: Expr, side: str) -> Expr:
    """Return the limit of ``error`` as the output goes to an end of its range, from inside."""
    value = _value(error, goes_to)
    if value.is_number and not value.has(nan, zoo):
        return value
    near = Dummy("near", positive=True)
    moved = error.xreplace({_OUTPUT: goes_to + near if side == "+" else goes_to - near})
    try:
        return limit(decided(moved, near), near, 0, "+")
    except (NotImplementedError, ValueError, TypeError):
        return nan


def _value(error: Expr, goes_to: Expr) -> Expr:
    """Return ``error`` where the output is ``goes_to``, with log 0 as -∞.

    The value found so is the limit, as all functions that are passed are continuous; else nan.
    """
    if error == _OUTPUT:
        return goes_to
    if not error.args:
        return error
    if not isinstance(error, (Add, Mul, Pow, *_CONTINUOUS)):
        return nan
    args = [_value(argument, goes_to) for argument in error.args]
    return -oo if isinstance(error, log) and args[0] == 0 else error.func(*args)


# ---- slopes


@dataclass(frozen=True)
class Slope:
    """The bounds of the local derivative of a step; ``cancels`` where it never multiplies the error."""

    step: Step
    bounds: Bounds
    cancels: bool

    @property
    def largest(self) -> float:
        """The largest absolute value."""
        return max(abs(self.bounds.low), abs(self.bounds.high))


def slopes_of(derivation: Derived) -> list[Slope]:
    """Return the slopes of the activations, from the error inwards."""
    cancelled = {step.target for step in derivation.steps if step.rule == "cancellation"}
    found = []
    for step in _steps_with_slopes(derivation):
        if not _reads_one_number(step, derivation):
            continue
        slope = _in_one_number(step, derivation)
        if slope.free_symbols - {_SLOPE_OF}:  # a condition on the place
            continue
        bounds = bounds_of(slope, _SLOPE_OF)
        found.append(Slope(step, bounds, step.target in cancelled))
    return found


def _in_one_number(step: Step, derivation: Derived) -> Expr:
    """Return a local derivative as a function of s, read through the output where it has that form.

    Then it rarely overflows, so that no better form has to be looked for.
    """
    closed = derivation.by_number.get(step.number + 1, step)
    rhs = closed.rhs if closed.lhs == step.lhs else step.rhs
    of = step.lhs.expr
    definition = derivation.system.definitions[name_of(of)]
    value = rename(definition.rhs, dict(zip(definition.indices, indices_of(of), strict=True)))
    return rhs.xreplace({of: value}).xreplace({step.lhs.variables[0]: _SLOPE_OF})


def _steps_with_slopes(derivation: Derived) -> Iterator[Step]:
    """Yield the steps that differentiate a component of a quantity for the same component of another one.

    A slope that is 1 whatever is read, as that of a sum, is none.
    """
    defined = derivation.system.definitions
    for step in derivation.steps:
        if step.rule != "local derivative" or not isinstance(step.lhs, Derivative):
            continue
        of, variable = step.lhs.expr, step.lhs.variables[0]
        if not isinstance(of, Indexed) or indices_of(of) != indices_of(variable) or step.rhs == 1:
            continue
        if name_of(of) in defined and name_of(variable) in defined:
            yield step


def _reads_one_number(step: Step, derivation: Derived) -> bool:
    """Whether a step differentiates a function of one number and of nothing else."""
    variable = step.lhs.variables[0]
    reads = list(derivation.system.reads(derivation.system.definitions[name_of(step.lhs.expr)].rhs))
    return len(set(reads)) == 1 and step.rhs.free_symbols <= variable.free_symbols | {variable}


def all_are_bounded(slopes: list[Slope], derivation: Derived) -> bool:
    """Whether ``slopes`` are all there are: that of an activation with parameters depends on those."""
    known = {slope.step.number for slope in slopes}
    return all(step.number in known for step in _steps_with_slopes(derivation))


def is_chain(derivation: Derived) -> bool:
    """Whether the error has one way back only: every quantity on it has one reader."""
    readers = readers_of(derivation.system.read_by)
    defined = derivation.system.definitions
    return all(len(readers.get(name, ())) == 1 for name in derivation.results if name in defined)


def product_of_largest(slopes: list[Slope]) -> tuple[Mapping[str, int], float]:
    """Return how often each largest slope is a factor on the way back, and the product of all."""
    factors: dict[str, int] = {}
    product = 1.0
    for slope in slopes:
        if not slope.cancels:
            factors[shown(slope.largest)] = factors.get(shown(slope.largest), 0) + 1
            product *= slope.largest
    return factors, product
