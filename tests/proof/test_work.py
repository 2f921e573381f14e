"""The work and the memory of a proof are bounded, whatever kind of network it is about."""

from __future__ import annotations

from typing import Any

import pytest
from sympy import Ge, Integer, Symbol

from symbackprop import Network, derive
from symbackprop.equations.system import index, quantity, size, sum_over
from symbackprop.proof import prover
from symbackprop.proof.memory import Memory
from symbackprop.proof.prover import prove
from symbackprop.proof.sizes import assignments_of_sizes, larger_sizes
from symbackprop.proof.spelling import Spelling
from symbackprop.proof.work import places, spaces_of

h, i, k, u = (index(letter) for letter in "hiku")
H, K, P, U = (size(letter) for letter in "HKPU")

PADDED = """\
input x[n, p, q]
parameter a
size p = 8, q = 8, h = 4, g = 4, u = 3, v = 3
z[n, p, q] = a*x[n, p, q]
y[n, h, g] = max(where(0 <= 2*h + u - 1 < size(p) and 0 <= 2*g + v - 1 < size(q), z[n, 2*h + u - 1, 2*g + v - 1], -9), u, v)
E = mean(sum(y[n, h, g]**2, h, g), n)
output y
"""  # noqa: E501
POOLED = """\
input x[n, p, q]
target t[n, p]
parameter w[u, v, d], b[d], o[d]
size p = 12, q = 12, u = 3, v = 3, d = 8, k = 6, l = 6, r = 2, s = 2
a[n, d, p, q] = relu(sum(where(0 <= p+u-1 < size(p) and 0 <= q+v-1 < size(q), x[n, p+u-1, q+v-1], 0)*w[u, v, d], u, v) + b[d])
m[n, d, k, l] = max(a[n, d, 2*k + r, 2*l + s], r, s)
z[n, p] = sigmoid(sum(where(0 <= p - 2*k < 2, m[n, d, k, l], 0)*o[d], d, k, l))
E = mean(sum((z[n, p] - t[n, p])**2, p), n)
output z
"""  # noqa: E501


BEHIND_A_MAXIMUM = """\
input x[n, p]
target t[n, k]
parameter w1[d], w2[d, h], wo[h]
size p = 6, k = 3, r = 2, d = 3, h = 2
a[n, d, p] = relu(x[n, p]*w1[d])
m[n, d, k] = max(a[n, d, 2*k + r], r)
z[n, h, k] = relu(sum(m[n, d, k]*w2[d, h], d))
y[n, k] = sigmoid(sum(z[n, h, k]*wo[h], h))
E = mean(sum(-t[n, k]*log(y[n, k]) - (1 - t[n, k])*log(1 - y[n, k]), k), n)
output y
"""

RESIDUAL = """\
# ResNet block with batch norm over the samples
input x[n, c, p, q]
target t[n, o]
parameter w1[c, d, u, v], ga[d] = 1, be[d] = 0, w2[d, c, u, v], gb[c] = 1, bb[c] = 0, f[c, o], bo[o]
size c = 4, d = 6, p = 8, q = 8, u = 3, v = 3, o = 5
s1[n, d, p, q] = sum(where(0 <= p+u-1 < size(p) and 0 <= q+v-1 < size(q), x[n, c, p+u-1, q+v-1], 0)*w1[c, d, u, v], c, u, v)
m1[d] = mean(s1[n, d, p, q], n, p, q)
v1[d] = mean((s1[n, d, p, q] - m1[d])**2, n, p, q)
a1[n, d, p, q] = relu(ga[d]*(s1[n, d, p, q] - m1[d])/sqrt(v1[d] + 0.00001) + be[d])
s2[n, c, p, q] = sum(where(0 <= p+u-1 < size(p) and 0 <= q+v-1 < size(q), a1[n, d, p+u-1, q+v-1], 0)*w2[d, c, u, v], d, u, v)
m2[c] = mean(s2[n, c, p, q], n, p, q)
v2[c] = mean((s2[n, c, p, q] - m2[c])**2, n, p, q)
a2[n, c, p, q] = relu(gb[c]*(s2[n, c, p, q] - m2[c])/sqrt(v2[c] + 0.00001) + bb[c] + x[n, c, p, q])
pool[n, c] = mean(a2[n, c, p, q], p, q)
y[n, o] = softmax(sum(pool[n, c]*f[c, o], c) + bo[o], o)
E = mean(-sum(t[n, o]*log(y[n, o]), o), n)
output y
"""  # noqa: E501


def spelling(
    *spaces: tuple[object, ...], extents: tuple[object, ...] = (), ranges: object = None
) -> Spelling:
    """Return what is known of a statement for choosing sizes."""
    sizes = sorted({s for space in spaces for n in space for s in n.free_symbols}, key=str)  # type: ignore[attr-defined]
    return Spelling("", sizes, list(extents), ranges or {}, [], list(spaces))  # type: ignore[arg-type]


def test_places_are_those_of_free_and_of_summed_indices() -> None:
    x, w = quantity("x", P), quantity("w", U, K)
    convolution = sum_over(x[h + u] * w[u, k], (u, U)) + quantity("b", K)[k]
    spaces = list(spaces_of(convolution, (H, K)))
    assert spaces == [(H, K, U)]
    assert places(spaces, {H: 3, K: 4, U: 2}) == 24
    assert places([(Integer(3), Symbol("M", integer=True))], {}) == 3


def test_sizes_get_smaller_where_there_is_too_much_to_do() -> None:
    few = list(assignments_of_sizes(spelling((H, K)), None))
    assert few == [{H: 2, K: 3}]
    many = list(assignments_of_sizes(spelling((H, H, H, K, K, K, P, P, U)), None))
    assert all(places([(H, H, H, K, K, K, P, P, U)], each) <= 1000 for each in many)
    assert all(number >= 2 for each in many for number in each.values())


def test_of_the_sizes_for_a_guard_one_is_larger() -> None:
    known = spelling((P, P, K, U), extents=(P, U, K), ranges={h: {P}, u: {U}, k: {K}})
    guard = Ge(P - 1, h + u - 1)  # holds everywhere where the kernel has two places
    larger = larger_sizes([guard], known, {P: 3, U: 2, K: 4})
    assert larger == {P: 3, U: 3, K: 4}


def test_sizes_for_guards_at_places_that_are_found_stay_within_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A largest number never stands outside, so no size decides this guard both ways."""
    tried: list[int] = []
    compared = prover.Prover._compared

    def counting(*given: Any, again: bool) -> Any:
        _, _, _, known, sizes = given
        tried.append(places(known.spaces, sizes))
        return compared(*given, again=again)

    monkeypatch.setattr(prover.Prover, "_compared", counting)
    derivation = derive(Network.from_equations(PADDED))
    steps = [step for step in derivation.steps if step.rule == "local derivative"]
    assert prover.Prover(derivation).prove_step(steps[1]).holds
    assert max(tried) <= 1000


def test_the_memory_forgets_what_was_not_used_for_longest() -> None:
    made: list[str] = []
    memory: Memory[str] = Memory(5, len)

    def get(key: str) -> str:
        return memory.get(key, lambda: made.append(key) or key)  # type: ignore[func-returns-value]

    for key in ("aa", "bb", "aa", "cc", "aa", "bb"):
        assert get(key) == key
    assert made == ["aa", "bb", "cc", "bb"]
    assert get("more than all of it") == "more than all of it"


@pytest.mark.slow
def test_the_values_of_a_proof_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    compare = prover.Comparison.at

    def counting(self: prover.Comparison, point: prover.Point) -> tuple[int, str | None]:
        found = compare(self, point)
        counted.append(found[0])
        assert point.grid.weight < 60_000
        return found

    monkeypatch.setattr(prover.Comparison, "at", counting)
    assert all(verdict.holds for verdict in prove(derive(Network.from_equations(POOLED))))
    assert max(counted) < 3000
    assert sum(counted) < 60_000


def test_a_stable_form_behind_a_maximum_holds() -> None:
    derivation = derive(Network.from_equations(BEHIND_A_MAXIMUM))
    assert derivation.stable
    assert [v.counterexample for v in prove(derivation) if not v.holds] == []


@pytest.mark.slow
def test_a_residual_block_with_batch_norm_is_proved() -> None:
    assert all(verdict.holds for verdict in prove(derive(Network.from_equations(RESIDUAL))))


DENSE = "2-3:relu-2"


def test_a_small_network_is_tried_at_all_points(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: dict[int, int] = {}
    compare = prover.Comparison.at

    def counting(self: prover.Comparison, point: prover.Point) -> tuple[int, str | None]:
        counted[id(self)] = counted.get(id(self), 0) + 1
        alive.append(self)
        return compare(self, point)

    alive: list[object] = []  # so that no two have the same id
    monkeypatch.setattr(prover.Comparison, "at", counting)
    assert all(verdict.holds for verdict in prove(derive(Network(DENSE))))
    with_kinks = [count for count in counted.values() if count > 3]
    assert with_kinks
    assert all(count == 3 + 2 * 3 + 24 for count in with_kinks)


def test_sides_that_agree_to_25_digits_and_not_to_40_are_open() -> None:
    """Of 80 digits so many may cancel; what differs by more is wrong."""
    derivation = derive(Network("2-3-1"))
    step = derivation.by_number[derivation.results["s1"]]
    for power, decided in ((30, False), (20, True)):
        wrong = step.rhs * (1 + Integer(10) ** -power)
        changed = derivation.with_step(type(step)(step.number, step.target, step.rule, step.lhs, wrong))
        (verdict,) = (v for v in prove(changed) if v.step.number == step.number)
        assert (verdict.holds, verdict.decided) == (False, decided)


def test_a_derivation_whose_digits_cancel_is_no_mistake() -> None:
    """Each number of it is right; in 1 - sigmoid(s) forty of the digits are lost at one of the points."""
    formula = (
        "max((1 + s**2)**(-60) - 6.1361*(s/(96.21 + exp(s + 4544))), max(s - 1.14, s/(8.6195 + exp(s))))"
    )
    verdicts = prove(derive(Network(f"2-3:({formula})-1")))
    assert all(verdict.holds or not verdict.decided for verdict in verdicts)


def test_what_reads_nothing_is_the_same_for_all_samples() -> None:
    """h0 is 0 after its product is multiplied out, and has no sample any more."""
    text = """\
input x[n, k]
target t[n, j]
parameter w[k, j], u[l, j]
size k = 2, j = 3, l = 3
h0[n, j] = 0*x[n, 0]*w[0, j]
h1[n, j] = tanh(sum(x[n, k]*w[k, j], k) + sum(h0[n, l]*u[l, j], l))
E = mean(sum((h1[n, j] - t[n, j])**2, j), n)
output h1
"""
    assert [v.counterexample for v in prove(derive(Network.from_equations(text))) if not v.holds] == []
