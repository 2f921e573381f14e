"""Optimisers in multiples of their state: the same steps, proved, in fewer operations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from sympy import Add, Expr, Integer, Mul, Pow, Rational, Symbol, sqrt, symbols

import symbackprop as sb
from symbackprop.code.update import Factors
from symbackprop.derivation.rescaling import rescaled
from symbackprop.equations.steps import Derived, Step
from symbackprop.library.optimizers import OPTIMIZERS
from symbackprop.proof.prover import prove, prove_step

RESCALED = ("rmsprop", "adam", "adamw")


def derivation_of(name: str) -> Derived:
    return sb.derive(sb.Network("2-3-1"), optimizer=name)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_means_are_kept_without_their_factor(name: str) -> None:
    kept = {str(s.lhs): str(s.rhs) for s in derivation_of(name).rescaled if s.rule == "kept"}
    moments = {"M": "m/(1 - beta1)", "V": "v/(1 - beta2)"}
    assert kept == {"rmsprop": {"A": "a/(1 - rho)"}, "adam": moments, "adamw": moments}.get(name, {})


@pytest.mark.parametrize("name", RESCALED)
def test_each_is_proved(name: str) -> None:
    derivation = derivation_of(name)
    verdicts = {v.step.number: v for v in prove(derivation)}
    for step in derivation.rescaled:
        if step.rule == "rescaling":
            assert verdicts[step.number].holds
            assert verdicts[step.number].method == "exact"


@pytest.mark.parametrize("name", RESCALED)
def test_a_broken_one_is_caught(name: str) -> None:
    derivation = derivation_of(name)
    count = 0
    for step in derivation.rescaled:
        if step.rule == "rescaling":
            for mutant in mutants(step.rhs):
                if is_other(mutant, step.rhs):
                    count += 1
                    verdict = prove_step(derivation, replace(step, rhs=mutant))
                    assert not verdict.holds, f"{step.lhs} = {mutant}"
                    assert verdict.counterexample
    assert count > 20


def is_other(mutant: Expr, right: Expr) -> bool:
    """Whether a mutant differs in value, at numbers for which all of it is real."""
    symbols = sorted(mutant.free_symbols | right.free_symbols, key=str)
    point = {symbol: 3 if symbol.is_integer else Rational(n + 2, 17) for n, symbol in enumerate(symbols)}
    return not abs(complex((mutant - right).subs(point))) < 1e-12


def mutants(expression: Expr) -> Iterator[Expr]:
    """Yield the expression with one part left out, negated or changed, at every place."""
    for place, part in enumerate(expression.args):
        others = (expression.args[:place], expression.args[place + 1 :])
        changed: list[Expr] = [-part, part + 1, *mutants(part)]
        yield from (expression.func(*others[0], each, *others[1]) for each in changed)
        if isinstance(expression, (Add, Mul)):
            yield expression.func(*others[0], *others[1])


def test_what_a_later_step_may_not_share_is_no_scale() -> None:
    """The learning rate may change from step to step, and so may what it multiplies."""
    v, g, rate, after = (Symbol(name, real=True) for name in ("v", "g", "learning_rate", "v'"))
    w = Symbol("w", real=True)
    steps = [
        Step(1, "v", "update", after, v / 2 + rate * g),
        Step(2, "w", "update", Symbol("w'", real=True), w - after),
    ]
    assert rescaled(steps, (rate, v, g, w)) == ()
    assert [str(s.rhs) for s in rescaled(steps, (v, g, w))] == [
        "v/learning_rate",
        "V/2 + g",
        "-V'*learning_rate + w",
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RESCALED)
def test_parts_of_the_parameters_change_nothing(name: str, dtype: str) -> None:
    """70 thousand parameters are more than one part holds."""
    network = sb.Network("300-230-1", output="sigmoid")
    source = sb.generate(network, optimizer=name)
    whole = source.replace("longest = rows.shape[1], 2**16", "longest = rows.shape[1], 2**30")
    assert whole != source
    generator = np.random.default_rng(0)
    x, t = generator.normal(size=(4, 300)).astype(dtype), generator.integers(0, 2, (4, 1)).astype(dtype)
    found = []
    for text in (source, whole):
        module: dict[str, object] = {"__name__": "module"}
        exec(compile(text, "module.py", "exec"), module)
        trainer = module["Trainer"]({k: v.astype(dtype) for k, v in module["initialize"](0).items()})  # type: ignore[operator]
        for _ in range(3):
            trainer.step(x, t)
        found.append(trainer._values)
    assert np.array_equal(*found)


def test_every_row_begins_a_line_of_the_cache() -> None:
    module = sb.load(sb.Network("3-5-2"), optimizer="adam")
    for dtype in (np.float32, np.float64):
        trainer = module.Trainer({name: np.ones(s, dtype) for name, s in module.PARAMETER_SHAPES.items()})
        rows = trainer._rows
        assert {row.ctypes.data % 64 for row in rows} == {0}


# ---------------------------------------------------------------- gathering of numbers

a, b, c, A, B = symbols("a b c A B", real=True)


@pytest.mark.parametrize(
    ("expression", "expected", "values"),
    [
        (a * b * A, "A*factor1", ["a*b"]),
        (a * A + b * A, "A*factor1", ["a + b"]),
        (A - a * b * A + B, "A*factor1 + B", ["-a*b + 1"]),
        (A / (a + b * sqrt(B)), "A/(sqrt(B)*b + a)", []),  # b may be 0
        (c * A / (a + b * B), "c*quotient1", []),
    ],
)
def test_numbers_are_gathered(expression: Expr, expected: str, values: list[str]) -> None:
    factors = Factors((A, B), ())
    assert str(factors.gathered(expression)) == expected
    assert [str(value) for value in factors.values.values()] == values


def test_a_positive_factor_leaves_the_root_and_the_divisor() -> None:
    factors = Factors((A, B), {1 - a})
    found = factors.gathered(b * A / (c + sqrt((1 - a) * B)))
    factor, other = factors.values
    (quotient,) = factors.quotients
    assert factors.values == {factor: sqrt(1 - a), other: b / factor}
    assert found == other * quotient
    assert factors.quotients[quotient] == A / (c / factor + sqrt(B))


def test_numbers_of_several_equations_have_names_of_their_own() -> None:
    factors = Factors((A, B), ())
    assert factors.gathered(a * b * A) != factors.gathered(b * c * A)
    assert [str(factor) for factor in factors.values] == ["factor1", "factor2"]


def test_numbers_alone_stay_as_they_are() -> None:
    assert Factors((A,), ()).gathered(a * b + Pow(c, 2)) == a * b + Pow(c, 2)
    assert Factors((A,), ()).gathered(Integer(2) * A) == 2 * A


def test_a_module_gathers_no_number_for_arrays_twice() -> None:
    for name in OPTIMIZERS:
        source = sb.generate(sb.Network("2-3-1"), optimizer=name)
        factors = re.findall(r"^        (factor\d) = ", source, re.M)
        assert len(factors) == len(set(factors))
        for factor in factors:
            assert len(re.findall(rf"\b{factor}\b", source)) > 1, f"{name}: {factor} is not used"


def test_what_is_kept_has_a_name_of_its_own() -> None:
    """A network may have a V already."""
    net = sb.Network.from_equations(
        """
        input     x[n, i]
        target    t[n, j]
        parameter V[i, j]
        y[n, j] = tanh(sum(x[n, i]*V[i, j], i))
        E       = mean(sum((y[n, j] - t[n, j])**2, j), n)
        output y
        """,
        {"i": 3, "j": 2},
    )
    derivation = sb.derive(net, optimizer="adam")
    assert [s.lhs.name for s in derivation.rescaled] == ["M", "V_kept", "M'", "V_kept'", "w'"]
    assert all(verdict.holds for verdict in prove(derivation))
    trainer = sb.load(derivation).Trainer(seed=0)
    assert set(trainer.parameters) == {"V"}
    assert trainer._values.shape == (3, 6)


def test_the_module_says_what_is_kept() -> None:
    derivation = derivation_of("adam")
    numbers = [step.number for step in derivation.rescaled if step.rule == "kept"]
    lines = [line.strip() for line in sb.generate(derivation).splitlines()]
    place = lines.index('STATE: tuple[str, ...] = ("M", "V")')
    assert lines[place - 2 : place] == [
        f"# ({numbers[0]}) M = m/(1 - beta1)",
        f"# ({numbers[1]}) V = v/(1 - beta2)",
    ]


@pytest.mark.parametrize("name", ["momentum", "nesterov", "adam", "adamw"])
def test_state_that_has_decayed_below_the_normal_numbers_is_dropped(name: str) -> None:
    """Of a unit that is dead the state fades for ever; the parameters are the same with it and without."""
    module = sb.load(sb.Network("3-4-2", hidden="relu", output="identity"), optimizer=name)
    start = {key: value.astype("float32") for key, value in module.initialize(0).items()}
    generator = np.random.default_rng(0)
    x, t = generator.normal(size=(6, 3)), generator.normal(size=(6, 2))
    tiny = np.finfo("float32").tiny
    found = []
    for drops in (True, False):
        trainer = module.Trainer(start, batch_size=6, learning_rate=1e-3)
        if not drops:
            trainer._drop_subnormal = lambda number: None
        trainer.parameters["b1"][0] = -1e6  # kills the unit
        trainer.step(x, t)
        trainer._values[0][trainer._gradient == 0] = tiny / 8
        for _ in range(99):
            trainer.step(x, t)
        assert trainer.steps == 100
        state = np.abs(trainer._values[0])
        assert ((state > 0) & (state < tiny)).any() != drops
        found.append(trainer._flat.copy())
    np.testing.assert_array_equal(*found)
