"""A gradient that a person wrote in NumPy, checked against the derivation.

The function takes ``(parameters, x, t)``, as that of a generated module does: a dict of float64 arrays by
name, the inputs and the targets, a row a sample.  It returns a dict of the derivatives of E by name, or
``(E, dict)``; E is the mean over the batch.
"""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sympy import Add, Derivative, Expr, Indexed

from symbackprop.commands.inputs import Array, Leaves
from symbackprop.commands.trace_document import shown
from symbackprop.commands.verify.changes import Edit, Show, Slip
from symbackprop.commands.verify.decision import Verification
from symbackprop.commands.verify.readings import bases_of
from symbackprop.commands.verify.slips import edits, factors_of, free_ranges
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import name_of
from symbackprop.errors import (
    SpecificationError,
    UnsupportedExpression,
    excerpt,
    require,
    require_whole,
    suggestion,
)
from symbackprop.files import import_file
from symbackprop.network.network import Network
from symbackprop.network.random_data import initial_values, sample_data
from symbackprop.numbers.evaluation import Evaluation
from symbackprop.pipeline import derive
from symbackprop.printing.notation import notation_for
from symbackprop.printing.text import TextPrinter

_CLOSE = 1e-7
_MOST = 20_000  # elements of parameters up to which changes of the derivation are tried

Function = Callable[[dict[str, Array], Any, Any], Any]


def import_function(name: str) -> Function:
    """Return the function named ``MODULE:FUNCTION`` or ``FILE.py:FUNCTION``; importing runs the module.

    Raises:
        SpecificationError: there is no such module or function, or it does not run.
    """
    module_name, mark, function_name = name.rpartition(":")
    if not mark or not module_name or not function_name:
        raise SpecificationError(f"--function: {excerpt(name)} must be MODULE:FUNCTION, as in mine:gradients")
    module = _module(module_name)
    function = getattr(module, function_name, None)
    if not callable(function):
        known = [n for n in vars(module) if callable(getattr(module, n)) and not n.startswith("_")]
        hint = suggestion(function_name, known) if known else "it has no functions"
        raise SpecificationError(
            f"--function: {module_name} has no function {excerpt(function_name)}; {hint}"
        )
    found: Function = function
    return found


def _module(name: str) -> Any:
    if name.endswith(".py"):
        return import_file(Path(name))
    sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        raise SpecificationError(
            f"--function: {name} does not run: {type(error).__name__}: {error}"
        ) from error
    finally:
        sys.path.remove("")


def verify_function(network: Network | Derived, function: Function, *, seed: int = 0) -> list[Verification]:
    """Check a hand-written gradient: one verdict for E where it is returned, and one for each parameter.

    Args:
        network: the network, or its derivation, whose gradient the function returns.
        function: takes (parameters, x, t), returns derivatives by name, or (E, derivatives).
        seed: of the numbers at which it is called.

    Raises:
        SpecificationError: the function fails, or does not return derivatives of all parameters.
    """
    require("verify_function", network, (Network, Derived), "a Network or a Derivation")
    seed = require_whole("seed", seed)
    derivation = network if isinstance(network, Derived) else derive(network.with_small_sizes())
    model = derivation.model
    if model is not None and model.noise:
        problem = f"draws noise, '{model.noise[0].name}', which a function of (parameters, x, t) is not given"
        raise SpecificationError(f"verify: the network {problem}; check a claim in place of a function")
    numbers, x, t = _drawn(derivation, seed)
    states = () if model is None else tuple(model.states)
    parameters = {name: numbers.values[name] for name in (*derivation.system.parameters, *states)}
    try:
        with np.errstate(all="ignore"):
            returned = function(copy.deepcopy(parameters), copy.deepcopy(x), copy.deepcopy(t))
    except Exception as error:  # whatever the user's code raises is a finding about it
        raise SpecificationError(f"the function fails: {type(error).__name__}: {error}") from error
    value, given = _derivatives(returned, derivation)
    found = [] if value is None else [_verdict_on_error(derivation, numbers, value)]
    for name in (n for n in derivation.results if n in derivation.system.parameters):
        found.append(_verdict(derivation, numbers, name, given[name]))
    return found


def _drawn(derivation: Derived, seed: int) -> tuple[Evaluation, Any, Any]:
    """Return numbers for the sizes of the network itself, and the arguments x and t."""
    assert derivation.model is not None
    generator = np.random.default_rng(seed)
    x, t = sample_data(derivation.model, generator)
    leaves = Leaves(derivation)
    leaves.take_data(x, t, seed)
    start = initial_values(derivation.model, seed, np.float64)
    drawn = {name: value + 0.1 * generator.normal(size=np.shape(value)) for name, value in start.items()}
    leaves.take_parameters(drawn, seed)
    return Evaluation(derivation, leaves.arrays, leaves.sizes).run(), x, t


def _derivatives(returned: Any, derivation: Derived) -> tuple[Array | None, dict[str, Array]]:
    """Return what the function returned: E, None where there is none, and derivatives by parameter name."""
    value = None
    if isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Mapping):
        value, returned = returned
    names = derivation.system.parameters
    if not isinstance(returned, Mapping):
        what = type(returned).__name__
        raise SpecificationError(
            f"the function returns {what}; a dict is needed, or (E, dict): {', '.join(names)}"
        )
    for name in returned:
        if name not in names:
            hint = suggestion(str(name), names)
            raise SpecificationError(
                f"the function returns {excerpt(str(name))}, which is no parameter; {hint}"
            )
    for name in names:
        if name not in returned:
            raise SpecificationError(f"the function returns no derivative for {name}")
    try:
        found = {name: np.asarray(returned[name], float) for name in names}
        return None if value is None else np.asarray(value, float), found
    except (TypeError, ValueError) as error:
        raise SpecificationError(f"the function returns something else than numbers: {error}") from error


def _verdict(derivation: Derived, numbers: Evaluation, name: str, given: Array) -> Verification:
    right = numbers.gradient(name)
    text = f"∂E/∂{name}"
    if given.shape == right.shape and _close(given, right):
        return Verification(text, True)
    slip = _slip(derivation, numbers, name, given, right)
    if given.shape != right.shape:
        return Verification(text, False, (), f"has shape {given.shape}, not {right.shape}", slip)
    distance = np.where(np.isfinite(given), np.abs(given - right), np.inf)
    place = tuple(int(k) for k in np.unravel_index(int(np.argmax(distance)), right.shape))
    at = f"[{','.join(map(str, place))}]" if place else ""
    numbers_text = (
        f"{text}{at} is {shown(float(right[place]), 6)}, the function gives {shown(float(given[place]), 6)}"
    )
    return Verification(text, False, (), numbers_text, slip)


def _verdict_on_error(derivation: Derived, numbers: Evaluation, given: Array) -> Verification:
    """Return the verdict on E, which is one number."""
    name, right = derivation.system.loss, np.asarray(numbers.loss)
    if given.shape == () and _close(given, right):
        return Verification(name, True)
    slip = _slip_of_error(derivation, numbers, given)
    if given.shape != ():
        return Verification(name, False, (), f"has shape {given.shape}, not one number", slip)
    text = f"{name} is {shown(float(right), 6)}, the function gives {shown(float(given), 6)}"
    return Verification(name, False, (), text, slip)


def _slip_of_error(derivation: Derived, numbers: Evaluation, given: Array) -> Slip | None:
    """Return the slip that, made in the error, gives the function's number; None if none does."""
    right = np.asarray(numbers.loss)
    if given.shape != () and _close(np.asarray(given.mean()), right):
        return Slip("batch mean", "it is the error of each sample where the mean of them is needed")
    definition = derivation.system.definitions[derivation.system.loss]
    step = next((s for s in derivation.batch if s.target == derivation.system.loss), None)
    rhs = definition.rhs if step is None else step.rhs
    ranges = _ranges_read(rhs)
    show = TextPrinter(notation_for(derivation)).show
    for edit in (*_without_penalty(rhs, derivation, show), *edits(rhs, [], ranges, (), show)):
        try:
            wrong = numbers.over(edit.rhs, {})
        except UnsupportedExpression:  # a changed formula may read anything anywhere
            continue
        if given.shape == wrong.shape and _close(given, wrong):
            return edit.inverse
    return None


def _without_penalty(rhs: Expr, derivation: Derived, show: Show) -> Iterator[Edit]:
    """Leave out all terms of an error that read nothing but parameters."""
    system = derivation.system
    parameters = set(system.parameters)
    terms = [t for t in Add.make_args(rhs) if {name_of(read) for read in system.reads(t)} <= parameters]
    penalty = Add(*terms)
    if penalty != 0 and penalty != rhs:
        extra, missing = (Slip(f"{what} term", f"the term {show(penalty)} is {said}") for what, said in _TERM)
        yield Edit(rhs - penalty, extra, missing)


_TERM = (("extra", "too much"), ("missing", "missing"))


def _close(given: Array, right: Array) -> bool:
    if not (np.isfinite(given).all() and np.isfinite(right).all()):
        return False
    scale = float(np.abs(right).max(initial=0.0))
    return bool(np.allclose(given, right, rtol=_CLOSE, atol=_CLOSE * max(scale, 1e-12)))


def _slip(derivation: Derived, numbers: Evaluation, name: str, given: Array, right: Array) -> Slip | None:
    """Return the slip that, made in the derivation, gives the function's array; None if none does."""
    if given.ndim == right.ndim == 2 and given.shape == right.shape[::-1] and _close(given.T, right):
        return Slip("transposed index", "the array is transposed")
    if given.shape != right.shape and _without_ones(given.shape) == _without_ones(right.shape):
        more = given.ndim > right.ndim
        axis = (
            "a sum keeps its axis: leave keepdims out" if more else "an axis is lost: sum with keepdims=True"
        )
        return Slip("keepdims", axis) if _close(given.reshape(right.shape), right) else None
    if sum(numbers.values[p].size for p in derivation.system.parameters) > _MOST:
        return None
    for slip, wrong in _wrong_results(derivation, numbers, name):
        if wrong.shape == given.shape and _close(given, wrong):
            return slip
    return None


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


def _wrong_results(derivation: Derived, numbers: Evaluation, name: str) -> Iterator[tuple[Slip, Array]]:
    """Yield the derivative for ``name`` with one thing changed in one of the steps that lead to it."""
    printer = TextPrinter(notation_for(derivation))
    last = next((s for s in derivation.batch if s.target == name), None)
    last = last or derivation.by_number[derivation.results[name]]
    for step in (last, *_before(derivation, name)):
        own = [s.rhs for s in derivation.steps if s.target == step.target]
        ranges = _ranges(step)
        outer = tuple(free_ranges(_component(step)))
        found = [c for c in factors_of(own) if not c.has(Derivative)]
        candidates = sorted(found, key=lambda c: c.count_ops())
        for edit in edits(step.rhs, candidates, ranges, outer, printer.show, bases_of(derivation)):
            changed = Step(step.number, step.target, step.rule, step.lhs, edit.rhs, step.by)
            try:
                wrong = _again(numbers, changed, name)
            except UnsupportedExpression:  # a changed formula may read anything anywhere
                continue
            where = "" if step is last else f" in {printer.show(step.lhs)}"
            yield Slip(edit.inverse.kind, f"{edit.inverse.message}{where}"), wrong


def _component(step: Step) -> Expr:
    return step.lhs.variables[0] if isinstance(step.lhs, Derivative) else step.lhs


def _ranges(step: Step) -> dict[Any, Expr]:
    return {**_ranges_read(step.rhs), **free_ranges(_component(step))}


def _ranges_read(expression: Expr) -> dict[Any, Expr]:
    """Return the size of each letter at which anything is read."""
    ranges: dict[Any, Expr] = {}
    for read in sorted(expression.atoms(Indexed), key=str):
        for i, n in zip(read.indices, read.base.shape, strict=True):
            if i.is_Symbol:
                ranges.setdefault(i, n)
    return ranges


def _before(derivation: Derived, name: str) -> Iterator[Step]:
    """Yield the results that the one for ``name`` reads, the nearest first."""
    pending, seen = [name], {name}
    while pending:
        step = derivation.by_number[derivation.results[pending.pop(0)]]
        read = [
            derivation.adjoints.get(name_of(r))
            for r in sorted(step.rhs.atoms(type(_component(step))), key=str)
        ]
        read += [name_of(d.variables[0]) for d in sorted(step.rhs.atoms(Derivative), key=str)]
        for each in read:
            if each is not None and each not in seen and each in derivation.results:
                seen.add(each)
                pending.append(each)
                yield derivation.by_number[derivation.results[each]]


def _again(numbers: Evaluation, changed: Step, name: str) -> Array:
    """Return the derivative for ``name`` with one step changed."""
    derivation = numbers.derivation
    again = Evaluation(derivation, numbers.values, numbers.sizes, {changed.number: changed})
    again.slopes = dict(numbers.slopes)
    order = derivation.results_in_order
    start = order.index(changed.target)
    for each in order[start : order.index(name) + 1]:
        again.run_result(each)
    return again.gradient(name)
