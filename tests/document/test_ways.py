"""The ways of an error to one component, beside the derivative in forward quantities."""

from __future__ import annotations

import numpy as np
import pytest
from sympy import Add, Expr, Indexed, Integer

import symbackprop as sb
from symbackprop.document.ways import Ways
from symbackprop.equations.indices import rename


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("2-3-1", {"w1": 1, "w2": 1}),
        ("2-3-2:softmax", {"w1": 2, "b1": 2, "s1": 2, "w2": 1}),
        ("3-2-4-2", {"w1": 8, "w2": 2, "b3": 1}),
    ],
)
def test_the_ways_to_a_component_add_up_to_its_derivative(text: str, counts: dict[str, int]) -> None:
    derivation = sb.derive(sb.Network(text))
    ways = Ways(derivation)
    for name, count in counts.items():
        places = [1] * len(derivation.system.quantities[name].shape)
        found = list(ways.products(ways.result(name, places)))
        assert ways.count(name) == len(found) == count
        at = dict(zip(derivation.indices(name), map(Integer, places), strict=True))
        whole = rename(derivation.gradient(name, inline=True), at)
        sizes = {size: n for size in whole.free_symbols if (n := derivation.model.sizes.get(str(size)))}
        whole = whole.subs(sizes).doit()
        numbers = _Numbers()
        assert numbers.of(Add(*found)) == pytest.approx(numbers.of(whole), rel=1e-12)


class _Numbers:
    """Numbers for components by their names: their sizes are letters here and numbers there."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)
        self.known: dict[str, float] = {}

    def of(self, expression: Expr) -> float:
        reads = sorted(expression.atoms(Indexed), key=str)
        drawn = {read: self.known.setdefault(str(read), self.generator.uniform(0.1, 0.9)) for read in reads}
        return float(expression.xreplace(drawn))


def test_of_many_ways_the_first_come_at_once() -> None:
    derivation = sb.derive(sb.Network("-".join(["6"] * 9)))
    ways = Ways(derivation)
    assert ways.count("w1") == 6**7
    first = next(ways.products(ways.result("w1", (0, 1))))
    read = {str(each) for each in first.atoms(Indexed)}
    assert {"w2[1, 0]", *(f"w{layer}[0, 0]" for layer in range(3, 9)), "x0[0]", "t[0]"} <= read
