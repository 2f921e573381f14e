"""Random equations with every kind of index, guard and sum: lowered, differentiated, lowered again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from sympy import Add, And, Expr, Integer, Piecewise, Symbol, exp, expand, tanh

from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.system import Equation, EquationSystem, Quantity, index, quantity, sum_over
from tests.arrays.test_lowering import (
    NUMBERS,
    as_expression,
    assert_equal,
    equations_of,
    lowered,
    namespace,
    stepped,
)
from tests.plain_loops import random_values, run
from tests.zoo import defined_quantity

LETTERS = "bijkl"


@dataclass
class Writer:
    """Writes one random equation and remembers the quantities that it reads."""

    rng: np.random.Generator
    ranges: dict[Symbol, Expr] = field(default_factory=dict)
    leaves: list[Quantity] = field(default_factory=list)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, options: Sequence[object]) -> object:
        return options[int(self.rng.integers(len(options)))]

    def number(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def bounds(self, expression: Expr) -> tuple[int, int]:
        low = high = expand(expression)
        for i, n in self.ranges.items():
            n = n.xreplace({SAMPLES: Integer(int(NUMBERS[SAMPLES]))})
            slope = expand(expression).coeff(i)
            low = low.xreplace({i: n - 1 if slope < 0 else Integer(0)})
            high = high.xreplace({i: Integer(0) if slope < 0 else n - 1})
        return int(low), int(high)

    def place(self, inside: list[Expr]) -> tuple[Expr, Expr]:
        """Return a random index expression and the size of its axis; a guard goes to ``inside``."""
        known = list(self.ranges)
        i = known[self.number(0, len(known) - 1)]
        kind = self.rng.random()
        if kind < 0.5 or self.ranges[i] == SAMPLES:
            return i, self.ranges[i]
        if kind < 0.58:
            size = self.number(1, 3)
            return Integer(self.number(0, size - 1)), Integer(size)
        if kind < 0.66:
            return self.token(), Integer(3)
        expression: Expr = self.number(1, 2) * int(str(self.pick([1, 1, 1, -1]))) * i
        others = [j for j in known if j != i and self.ranges[j] != SAMPLES]
        if others and self.chance(0.7):
            j = others[self.number(0, len(others) - 1)]
            expression += self.number(1, 2) * int(str(self.pick([1, 1, -1]))) * j
        if expression == i:
            return i, self.ranges[i]
        low, high = self.bounds(expression)
        if self.chance(0.5):  # inside of the array
            shift, slack = self.number(0, 1) - low, self.number(0, 1)
            shift += int(expression + shift == i)
            return expression + shift, Integer(high + shift + 1 + slack)
        size = Integer(max(1, (high - low) // 2 + self.number(0, 2)))
        expression += self.number(-1, 1) - (low if self.chance(0.5) else 0)
        expression += int(expression in self.ranges)
        inside.append(And(expression >= 0, expression <= size - 1))
        return expression, size

    def token(self) -> Expr:
        axes = [i for i in self.ranges if self.chance(0.5)][:2] or list(self.ranges)[:1]
        token = Quantity(f"token{len(self.leaves)}", tuple(self.ranges[i] for i in axes), integer=True)
        self.leaves.append(token)
        return token[tuple(axes)]

    def read(self) -> Expr:
        """Return a read of a new quantity, guarded where it needs to be."""
        inside: list[Expr] = []
        places = [self.place(inside) for _ in range(self.number(1, 3))]
        if len({i for i, _ in places}) < len(places):  # one index twice: rarely
            places = places if self.chance(0.1) else places[:1]
        leaf = quantity(f"q{len(self.leaves)}", *[n for _, n in places])
        self.leaves.append(leaf)
        value = leaf[tuple(i for i, _ in places)]
        return Piecewise((value, And(*inside)), (Integer(0), True)) if inside else value

    def factor(self) -> Expr:
        kind = self.rng.random()
        if kind < 0.6:
            return self.read()
        if kind < 0.7:
            return tanh(self.read())
        if kind < 0.75:
            return exp(-(self.read() ** 2))
        if kind < 0.82:
            return self.read() - self.read()
        if kind < 0.87:
            return self.read() ** 2
        i, j = (list(self.ranges)[self.number(0, len(self.ranges) - 1)] for _ in range(2))
        if kind < 0.94:
            condition = i <= self.number(0, 2) if i == j else i <= j
            return Piecewise((self.read(), condition), (self.pick([Integer(0), self.read()]), True))
        return self.read() * (i + 1)

    def term(self) -> Expr:
        bound = {}
        for letter in ("u", "v")[: self.number(0, 2)]:
            bound[index(letter)] = Integer(self.number(2, 3))
        self.ranges |= bound
        body = Integer(1)
        for _ in range(self.number(1, 3)):
            body *= self.factor()
        for i in bound:
            del self.ranges[i]
        return sum_over(body, *bound.items()) if bound else body

    def equation(self) -> Equation:
        free = [index(letter) for letter in LETTERS[: self.number(1, 3)]]
        sizes = [SAMPLES, *(Integer(self.number(2, 4)) for _ in free[1:])]
        self.ranges = dict(zip(free, sizes, strict=True))
        total = Add(*[self.term() for _ in range(self.number(1, 2))])
        return Equation(quantity("y", *sizes)[tuple(free)], total)


def random_system(seed: int) -> EquationSystem:
    writer = Writer(np.random.default_rng(seed))
    equation = writer.equation()
    output = defined_quantity(equation)
    cotangent = Quantity("C", output.shape)
    loss = sum_over(
        cotangent[equation.indices] * equation.lhs, *zip(equation.indices, output.shape, strict=True)
    )
    quantities = (*writer.leaves, cotangent, output, quantity("E"))
    return EquationSystem(
        equations=(equation, Equation(quantity("E").symbol, loss)),
        quantities={each.name: each for each in quantities},
        parameters=tuple(
            each.name for each in writer.leaves if not each.integer and equation.rhs.has(each.base)
        ),
        inputs=("C",),
    )


def tokens_inside(system: EquationSystem, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = random_values(system, NUMBERS, rng)
    return {n: rng.integers(0, 3, v.shape) if n.startswith("token") else v for n, v in values.items()}


def check(seed: int) -> None:
    check_system_of(random_system(seed), seed)


def check_system_of(system: EquationSystem, seed: int) -> None:
    derivation = derive_system(system, wrt=system.parameters)
    equations = equations_of(derivation)
    values = run(equations, tokens_inside(system, seed), NUMBERS)
    for equation in equations:
        own = namespace(values, "float64")
        own.pop(equation.name)
        with np.errstate(all="ignore"):
            exec("\n".join(as_expression(equation, lowered(equation))), own)
        assert_equal(equation, values, "float64", np.asarray(own[equation.name]))
    step = stepped(derivation, "float32", values, int(NUMBERS[SAMPLES]) + seed % 2)
    given = namespace({n: v for n, v in values.items() if v.dtype.kind == "i" or n == "C"}, "float32")
    with np.errstate(all="ignore"):
        found = step.run(given)
    for equation in equations:
        value = np.asarray(found[equation.name])
        assert_equal(equation, values, "float32", value if value.shape else value.astype("float32"))


@pytest.mark.parametrize("seed", range(20))
def test_random_equations(seed: int) -> None:
    check(seed)


# Found by longer runs: places with a slice beside, and values that stand for several places.
def test_values_that_stand_for_several_places_are_spread_first() -> None:
    """NumPy 2.4 reads beyond the end of values that ``np.add.at`` has to broadcast along a first axis."""
    q, y, c = quantity("q", 9), quantity("y", SAMPLES, 4), quantity("C", SAMPLES, 4)
    b, i, u = index("b"), index("i"), index("u")
    equation = Equation(y[b, i], sum_over(q[2 * u - 2 * i + 6], (u, 2)))
    loss = Equation(quantity("E").symbol, sum_over(c[b, i] * y[b, i], (b, SAMPLES), (i, 4)))
    parts = {each.name: each for each in (q, y, c, quantity("E"))}
    check_system_of(EquationSystem((equation, loss), parts, ("q",), ("C",)), 0)


def test_places_for_each_sample_are_integers() -> None:
    check(395)


def test_parts_of_constants_take_no_name_of_another_array() -> None:
    check(112)


def test_what_is_added_at_places_that_may_be_the_same_stays_on_its_line() -> None:
    check(152)


def test_an_index_that_no_bound_holds_is_no_digit() -> None:
    check(354)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20, 400))
def test_many_random_equations(seed: int) -> None:
    check(seed)
