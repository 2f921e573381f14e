"""The self-test: what was derived and generated is tried with numbers before it leaves the package.

A derivation is right where E moves as its derivatives say: along one random direction of all that it is
derived for and, to find the equation that is wrong, along one of each quantity.  Code is right where its
numbers are those of the derivation.  One random point is enough to notice what is wrong in general; `check`
looks everywhere.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import cycle
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sympy import Expr, Symbol

from symbackprop.equations.model import SAMPLES_DRAWN, Model
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.small_sizes import small_sizes
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import BINDERS, Equation, name_of
from symbackprop.errors import SelfTestFailure, UnsupportedExpression
from symbackprop.network.random_data import near_the_start, sample_data, sample_noise
from symbackprop.numbers.evaluation import Evaluation

Array = NDArray[Any]
Shifts = Mapping[str, Array]
"""What is added to quantities, by name."""

_POINTS = 3  # a mismatch at one of them may be a kink nearby
_STEPS = (1e-4, 1e-5)
_TOLERANCE = 1e-5
_CLOSE = 1e-4
_ROUNDING = 1e-14
_MOST_WORK_OF_CODE = 10**6
"""Numbers that generated code calculates at most, about; larger networks are tried with smaller sizes."""
_WORK_OF_EQUATION = 5 * 10**4
"""The numbers by which that is more for an equation: to generate its code for smaller sizes takes as long."""
_MOST_WORK = 10**3
"""The same of an equation of a derivation, which is right for any sizes."""
_SIZES = (2, 3, 4)  # unequal, so that one axis is not taken for another
_MOST_STEPS = 60
"""Steps up to which every form of a derivative is tried, and not the last one alone."""


def require_right(derivation: Derived) -> None:
    """See that E moves as the derivation says.

    Numbers of 16 digits can mislead, so that a prover has the last word on what they find.

    Raises:
        SelfTestFailure: it does not; the message names the equation.
    """
    if derivation.second:
        _require_right_second(derivation)
        return
    suspects = _suspects(with_few_numbers(derivation, _MOST_WORK * len(derivation.system.equations)))
    if not suspects:
        return
    from symbackprop.proof.prover import Prover  # imported here: few derivations need it

    prover = Prover(derivation)
    steps = (*derivation.steps, *derivation.stable, *derivation.batch)
    for step in sorted(steps, key=lambda step: step.target not in suspects):
        verdict = prover.prove_step(step)
        if verdict.decided and not verdict.holds:
            which = f"equation ({step.number}), a {step.rule} for {step.target}"
            raise SelfTestFailure(f"the derivation: {which}, is wrong: {verdict.counterexample}")


def _require_right_second(derivation: Derived) -> None:
    """See that first derivatives move as the second ones say; what is wrong at every point is so named.

    Raises:
        SelfTestFailure: they do not.
    """
    small = with_few_numbers(derivation, _MOST_WORK * len(derivation.system.equations))
    wrong: set[str] = set()
    for seed in range(_POINTS):
        try:
            numbers = _numbers(small, seed)
        except UnsupportedExpression:
            return
        here = set() if numbers is None else set(_second_disagreeing(numbers, seed))
        if not here:
            return
        wrong |= here
    name = min(wrong, key=derivation.labels.__getitem__)
    raise SelfTestFailure(f"the derivation: {name}, equation ({derivation.labels[name]}), is wrong")


def _second_disagreeing(numbers: Evaluation, seed: int) -> Iterator[str]:
    """Yield the second derivatives along which first ones do not move as they say."""
    second = numbers.derivation.second
    derivatives = numbers.system.derivatives
    first = {one: name_of(derivatives[name].of) for (one, _), name in second.items()}
    generator = np.random.default_rng(seed)
    shapes = {name: numbers.shape(name) for name in first}
    weights, shifts = ({n: generator.normal(size=s) for n, s in shapes.items()} for _ in range(2))

    def difference(one: str, shift: Shifts, step: float) -> float:
        return _slope_of(numbers, first[one], weights[one], shift, step)

    for (one, other), name in second.items():
        product = np.multiply.outer(weights[one], shifts[other])
        slope = float(np.sum(_mean(numbers, name) * product))
        unsure = max(float(np.linalg.norm(_mean(numbers, name))), 1e-3) * _CLOSE
        near, far = (difference(one, {other: shifts[other]}, step) for step in _STEPS)
        if abs(slope - near) > unsure and abs(slope - far) > unsure and abs(near - far) <= unsure:
            yield name


def _slope_of(numbers: Evaluation, name: str, weights: Array, shifts: Shifts, step: float) -> float:
    """Return the slope of a weighted sum of a quantity along a direction, by central differences."""
    found = []
    for sign in (1, -1):
        leaves = {n: value for n, value in numbers.values.items() if numbers.is_leaf(n)}
        leaves |= {n: numbers.values[n] + sign * step * shift for n, shift in shifts.items()}
        other = numbers.with_leaves(leaves, numbers.sizes)
        other.run_forward(held=numbers.held)
        found.append(float(np.sum(_mean(other, name) * weights)))
    return (found[0] - found[1]) / (2 * step)


def _mean(numbers: Evaluation, name: str) -> Array:
    """Return the mean over the samples of a quantity."""
    value = np.asarray(numbers.values[name])
    mean: Array = value.mean(axis=0) if name in numbers.varying else value
    return mean


def _suspects(derivation: Derived) -> set[str]:
    """Return the quantities whose derivatives disagree with the numbers at every point that is tried."""
    found: set[str] = set()
    for seed in range(_POINTS):
        try:
            numbers = _numbers(derivation, seed)
        except UnsupportedExpression:
            return set()  # of what can't be evaluated no code is made either
        here = set() if numbers is None else set(_disagreeing(numbers, seed))
        if not here:  # where E has no value there is nothing to compare
            return set()
        found |= here
    return found


def require_same(made: Callable[[], ModuleType], derivation: Derived, product: Derived | None = None) -> None:
    """See that the functions of a generated module give the derivation's numbers, and that a step runs.

    ``made`` runs the code and returns the module.  ``product`` is the derivation of the Hessian's product
    with a vector, where the module has that.

    Raises:
        SelfTestFailure: they do not, or the code fails; the message names the equation.
    """
    try:
        module = made()
        for seed in range(_POINTS):  # a formula may lose its digits at one of them
            wrong = next(_unequal(module, derivation, seed), None)
            if wrong is None and product is not None:
                wrong = next(_unequal_product(module, product, seed), None)
            if wrong is None:
                return
    except Exception as failure:  # whatever the code raises is our mistake
        problem = f"{type(failure).__name__}: {failure}"
        raise SelfTestFailure(f"the generated code does not run: {problem}") from failure
    raise SelfTestFailure(f"the generated code: {wrong} is not what was derived")


def _unequal(module: ModuleType, derivation: Derived, seed: int) -> Iterator[str]:
    """Yield what the functions of a module give other numbers for than the derivation."""
    model = derivation.model
    assert model is not None
    generator = np.random.default_rng(seed)
    x, t = sample_data(model, generator)
    parameters = _drawn_parameters(model, generator)
    trainer = module.Trainer(parameters, batch_size=SAMPLES_DRAWN, seed=seed)
    noise, keyword = {}, {}
    if model.noise:
        noise = drawn_noise(module.draw_noise, model, trainer.generator, SAMPLES_DRAWN)
        keyword = {"noise": noise}
    with np.errstate(all="ignore"):
        outputs = module.forward(parameters, x)
        error, gradients = module.gradients(parameters, x, t, **keyword)
        again = module.loss(parameters, x, t, **keyword)
        stepped = trainer.step(x, t)
    arrays = {**_arrays(model, x, t, parameters), **noise}
    numbers = _evaluated(derivation, arrays)
    if numbers is None:
        return
    named = outputs if model.more_outputs else {model.output: outputs}
    given = {
        derivation.system.loss: (error, again, stepped),
        **{name: (value,) for name, value in named.items()},
        **{name: (value,) for name, value in gradients.items()},
        **{new: (trainer.parameters[name],) for name, new in model.states.items()},
    }
    used = in_use(numbers)
    right = _values(numbers, used, given, named)
    if derivation.use is not None and not _is_close(used.loss, module.loss_in_use(parameters, x, t)):
        yield f"{used.system.loss} in use"
    wrong = [name for name in given if not all(_is_close(right[name], value) for value in given[name])]
    if not wrong:
        return
    nudged = _evaluated(derivation, {name: _nudged(array, generator) for name, array in arrays.items()})
    beside = right if nudged is None else _values(nudged, in_use(nudged), given, named)
    yield from (_label(derivation, name) for name in wrong if _is_close(right[name], beside[name]))


def _unequal_product(module: ModuleType, product: Derived, seed: int) -> Iterator[str]:
    """Yield the parts of the Hessian's product with a vector that are others than in the derivation."""
    model = product.model
    assert model is not None
    assert model.along is not None
    generator = np.random.default_rng(seed)
    x, t = sample_data(model, generator)
    parameters = _drawn_parameters(model, generator)
    vectors = model.along.vectors
    arrays = {
        **_arrays(model, x, t, parameters),
        **sample_noise(model, generator, SAMPLES_DRAWN, model.sample_size),
    }
    numbers = _evaluated(product, arrays)
    if numbers is None:
        return
    assert isinstance(x, dict)
    own = {name: array for name, array in x.items() if name not in vectors.values()}
    given = own if len(own) > 1 else next(iter(own.values()))
    vector = {parameter: arrays[name] for parameter, name in vectors.items()}
    keyword = {"noise": {n.name: arrays[n.name] for n in model.noise}} if model.noise else {}
    found = module.hessian_vector_product(parameters, given, t, vector, **keyword)
    wrong = [name for name in vectors if not _is_close(numbers.gradient(name), found[name])]
    nudged = (
        _evaluated(product, {n: _nudged(array, generator) for n, array in arrays.items()}) if wrong else None
    )
    for name in wrong:
        if nudged is None or _is_close(numbers.gradient(name), nudged.gradient(name)):
            yield f"the part of the Hessian's product with a vector for {name}"


def with_sizes_of(small: Derived, product: Derived) -> Derived:
    """Return a derivation of the same network with the sizes that it has in another one."""
    assert small.model is not None
    assert product.model is not None
    own = small.model
    model = replace(product.model, sizes=own.sizes, missing=own.missing, open=own.open)
    return replace(product, model=model)


def _values(
    numbers: Evaluation, used: Evaluation, names: Iterable[str], outputs: Mapping[str, Array]
) -> dict[str, Any]:
    """Return the error, the outputs, which are ``used``, and the derivatives of all else as derived."""
    found: dict[str, Any] = {}
    for name in names:
        if name == numbers.derivation.system.loss:
            found[name] = numbers.loss
        elif name in outputs:
            found[name] = np.broadcast_to(used.values[name], np.shape(outputs[name]))
        elif name in numbers.values and name not in numbers.system.parameters:
            found[name] = numbers.values[name]
        else:
            found[name] = numbers.gradient(name)
    return found


def in_use(numbers: Evaluation) -> Evaluation:
    """Return the numbers of the network in use for the same arrays; these where it is no other one."""
    use = numbers.derivation.use
    if use is None:
        return numbers
    found = Evaluation(use, numbers.values, numbers.sizes)
    found.run_forward(stable=True)
    return found


def drawn_noise(
    draw: Callable[..., dict[str, Array]], model: Model, generator: np.random.Generator, samples: int
) -> dict[str, Array]:
    """Return the noise that ``draw_noise`` of a module draws next; the generator stays as it is."""
    sizes = map(model.sample_size, model.open_sizes_of_noise)
    return draw(copy.deepcopy(generator), samples, *sizes)


def _nudged(array: Array, generator: np.random.Generator) -> Array:
    """Return an array with the last digits of its numbers others; what hangs on them has no digit right."""
    if array.dtype.kind != "f":
        return array
    return array * (1 + _ROUNDING * generator.normal(size=array.shape))


def with_sizes_to_run(derivation: Derived) -> Derived:
    """Return the derivation of the same network with sizes to try its code at: its own, if small."""
    most = _MOST_WORK_OF_CODE + _WORK_OF_EQUATION * len(derivation.system.equations)
    return with_few_numbers(derivation, most)


def with_few_numbers(derivation: Derived, most: float) -> Derived:
    """Return the derivation of the same network with small sizes, where its own are large or not known."""
    model = derivation.model
    assert model is not None
    arrays = {c.name: len(c.value) for c in model.constants if isinstance(c.value, tuple)}
    quantities = derivation.system.quantities
    fixed = {n.name: length for name, length in arrays.items() for n in quantities[name].shape if n.is_Symbol}
    symbols = sorted(_sizes(model) - {SAMPLES}, key=str)
    for known in (model.sizes, fixed):
        unknown = [s for s in symbols if s.name not in known]
        start = dict(zip(unknown, cycle(_SIZES), strict=False))
        found = small_sizes(model.named, start, {s: known[s.name] for s in symbols if s.name in known})
        sizes = {**known, **{s.name: number for s, number in found.items()}}
        if _work(derivation, sizes) <= most:
            break
    if sizes == model.sizes:
        return derivation
    small = replace(derivation, model=replace(model, sizes=sizes, missing={}, open={}))
    if derivation.use is None or derivation.use.model is None:
        return small
    own = replace(derivation.use.model, sizes=sizes, missing={}, open={})
    return replace(small, use=replace(derivation.use, model=own))


def _sizes(model: Model) -> set[Symbol]:
    """Return the symbols of all sizes."""
    return set().union(*(n.free_symbols for n in _extents(model)))


def _extents(model: Model) -> Iterator[Expr]:
    """Yield the sizes of all axes and ranges."""
    for quantity in model.named.quantities.values():
        yield from quantity.shape
    for equation in {e: None for system in (model.system, model.in_use) for e in system.equations}:
        yield from (last + 1 for binder in equation.rhs.atoms(*BINDERS) for _, _, last in binder.limits)


def _work(derivation: Derived, sizes: Mapping[str, int]) -> float:
    """Return about how many numbers an evaluation of the equations calculates."""
    return sum(_work_of(equation, derivation, sizes) for equation in derivation.system.equations)


def _work_of(equation: Equation, derivation: Derived, sizes: Mapping[str, int]) -> float:
    shape = derivation.system.quantities[equation.name].shape
    inner = [last + 1 for binder in equation.rhs.atoms(*BINDERS) for _, _, last in binder.limits]
    numbers = {s: sizes.get(s.name, SAMPLES_DRAWN) for n in (*shape, *inner) for s in n.free_symbols}
    return SAMPLES_DRAWN * math.prod(float(n.xreplace(numbers)) for n in (*shape, *inner))


def _numbers(derivation: Derived, seed: int) -> Evaluation | None:
    """Return the derivation evaluated at a random point where all of it is finite, None if none is found."""
    model = derivation.model
    assert model is not None
    for attempt in range(_POINTS):
        generator = np.random.default_rng((seed, attempt))
        x, t = sample_data(model, generator)
        arrays = _arrays(model, x, t, _drawn_parameters(model, generator))
        arrays |= sample_noise(model, generator, SAMPLES_DRAWN, model.sample_size)
        found = _evaluated(derivation, arrays)
        if found is not None:
            return found
    return None


def _drawn_parameters(model: Model, generator: np.random.Generator) -> dict[str, Array]:
    """Return parameters near those that training starts with, and states not below; none is 0."""
    return near_the_start(model, int(generator.integers(1000)), generator)


def _arrays(model: Model, x: Any, t: Any, parameters: Mapping[str, Array]) -> dict[str, Array]:
    """Return all arrays that the equations read, by name."""
    found = {c.name: np.array(c.value) for c in model.constants if isinstance(c.value, tuple)}
    for kind, given in ((model.inputs, x), (model.targets, t)):
        found |= given if isinstance(given, dict) else {each.name: given for each in kind}
    return {**found, **parameters}


def _evaluated(derivation: Derived, arrays: Mapping[str, Array]) -> Evaluation | None:
    """Return the evaluated derivation, None where it is not finite and nothing reads outside of an array."""
    model = derivation.model
    assert model is not None
    sizes = {SAMPLES.name: SAMPLES_DRAWN, **model.sizes}
    for given in (*model.inputs, *model.targets):
        extents = arrays[given.name].shape[given.has_samples :]
        sizes |= {n.name: size for n, size in zip(given.shape, extents, strict=True) if n.is_Symbol}
    found = Evaluation(derivation, arrays, sizes).run(stable=True)
    arrays_found = [np.asarray(found.loss), *found.slopes.values()]
    finite = all(np.isfinite(array).all() for array in arrays_found)
    return found if finite or found.outside else None


def _disagreeing(numbers: Evaluation, seed: int) -> Iterator[str]:
    """Yield the quantities whose derivatives disagree with the numbers, from the error inwards."""
    derivation = numbers.derivation
    generator = np.random.default_rng(seed)
    slopes = {name: numbers.slope_of_mean(name) for name in numbers.slopes}
    yield from (derivation.by_number[number].target for number in numbers.outside)
    shifts = {name: generator.normal(size=slope.shape) for name, slope in slopes.items()}
    leaves = [name for name in shifts if name not in derivation.system.definitions]
    if not _moves_as_derived(numbers, slopes, {name: shifts[name] for name in leaves}):
        yield from (n for n in shifts if not _moves_as_derived(numbers, slopes, {n: shifts[n]}))
    if len(derivation.steps) <= _MOST_STEPS:
        yield from _with_unequal_forms(numbers)


def _with_unequal_forms(numbers: Evaluation) -> Iterator[str]:
    """Yield the quantities for whose derivative two steps give different numbers."""
    first: dict[Expr, Array] = {}
    for step in numbers.derivation.steps:
        try:
            value = numbers.of_step(step)
        except UnsupportedExpression:
            continue  # a derivative of terms that no step states
        if not _is_close(first.setdefault(step.lhs, value), value):
            yield step.target


def _moves_as_derived(numbers: Evaluation, slopes: Mapping[str, Array], shifts: Shifts) -> bool:
    """Whether E moves along a direction as its derivatives say, where differences of two lengths agree."""
    parts = [float(np.sum(slopes[name] * shift)) for name, shift in shifts.items()]
    unsure = max(math.hypot(*parts), 1e-3) * _TOLERANCE + _ROUNDING * abs(numbers.loss) / min(_STEPS)
    found: list[float] = []
    for step in _STEPS:
        found.append(_difference(numbers, shifts, step))
        if abs(sum(parts) - found[-1]) <= unsure:
            return True
    # Where they differ from each other, a kink or an end of the domain lies close by.
    return not abs(found[0] - found[1]) <= unsure + _TOLERANCE * abs(found[0])


def _difference(numbers: Evaluation, shifts: Shifts, step: float) -> float:
    """Return the slope of E along a direction, by central differences."""

    def error(length: float) -> float:
        return numbers.moved({name: length * shift for name, shift in shifts.items()})

    return (error(step) - error(-step)) / (2 * step)


def _is_close(right: Array | float, value: Array | float) -> bool:
    """Whether numbers are the same but for rounding."""
    if np.shape(right) != np.shape(value):
        return False
    scale = max(1.0, float(np.abs(right).max(initial=0)))
    return bool(np.abs(np.subtract(right, value)).max(initial=0) <= _CLOSE * scale)


def _label(derivation: Derived, name: str) -> str:
    """Return the derivative of E for a quantity, or the quantity, with the number of its equation."""
    if name in derivation.results:
        return f"the derivative of E for {name}, equation ({derivation.results[name]}),"
    return f"{name}, equation ({derivation.labels[name]}),"
