"""The place of the largest: bound like a sum, without a derivative, and the first of equal ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sympy import Expr, KroneckerDelta, Piecewise, Symbol

from symbackprop.derivation.calculus.paths import paths
from symbackprop.derivation.calculus.signature import Naming
from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.document.printable import printable
from symbackprop.equations.indices import canonical, open_sum, rename, settle
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import (
    ArgMax,
    Equation,
    EquationSystem,
    arg_max,
    index,
    quantity,
    size,
    sum_over,
)
from symbackprop.equations.well_formed import check_system
from symbackprop.errors import SpecificationError
from symbackprop.printing.latex import latex
from symbackprop.printing.notation import notation_of_system
from symbackprop.printing.text import text
from symbackprop.proof.prover import prove, prove_step
from tests.plain_loops import run
from tests.zoo import E, system

i, j, k, n = index("i"), index("j"), index("k"), index("n")
K, M, N = size("K"), size("M"), size("N")
a, c, w = quantity("a", N, K), quantity("c", N), quantity("w", K, M)
A, y = quantity("A", N, integer=True), quantity("y", N)

LARGEST = arg_max(a[n, k], (k, K))


def pooling(place: Expr = LARGEST) -> EquationSystem:
    """Return the largest of each row of a, with a free cotangent c."""
    return system(
        Equation(A[n], place),
        Equation(y[n], a[n, A[n]]),
        Equation(E.symbol, sum_over(c[n] * y[n], (n, N))),
        inputs=(c,),
        parameters=(a,),
    )


def test_the_index_is_bound() -> None:
    assert LARGEST.free_symbols == sum_over(a[n, k], (k, K)).free_symbols
    assert k not in LARGEST.free_symbols
    assert canonical(LARGEST) == canonical(arg_max(a[n, j], (j, K))) != canonical(arg_max(a[j, k], (k, K)))
    body, ((bound, extent),) = open_sum(LARGEST)
    assert (body, extent) == (a[n, bound], K)
    assert bound not in (n, k)


def test_renaming_captures_nothing() -> None:
    renamed = rename(LARGEST, {n: k})
    assert isinstance(renamed, ArgMax)
    assert canonical(renamed) == canonical(arg_max(a[k, j], (j, K)))
    assert canonical(settle(renamed, (i, j))) == canonical(renamed)
    assert settle(renamed, (i, j)).limits[0][0] == i


def test_a_kind_names_what_it_binds() -> None:
    naming = Naming({q.name: q for q in (a, A)})
    named = naming.equation(Equation(A[n], LARGEST))
    assert all(s.name.startswith("_") for s in named.rhs.atoms(Symbol) | named.lhs.atoms(Symbol))
    assert named.rhs.xreplace({new: old for old, new in naming.names.items()}) == LARGEST


def test_no_path_leads_through_it() -> None:
    assert paths(LARGEST, a) == []
    assert paths(a[n, A[n]], A) == []
    (path,) = paths(a[n, A[n]], a)
    assert (path.coefficient, path.at) == (1, (n, A[n]))


def test_the_gradient_is_a_scatter() -> None:
    derivation = derive_system(pooling())
    assert "A" not in derivation.results
    dy = quantity("dy", N)
    assert derivation.adjoint("a") == KroneckerDelta(k, A[n]) * dy[n]
    values = {"a": np.array([[1.0, 3.0, 3.0], [5.0, 2.0, 5.0]]), "c": np.array([10.0, 20.0])}
    known = run(derivation.system.equations, values, {N: 2, K: 3})
    assert known["A"].tolist() == [1, 0]
    step = derivation.by_number[derivation.results["a"]]
    found = run([Equation(step.lhs.variables[0], step.rhs)], {**known, "dy": values["c"]}, {N: 2, K: 3})
    assert found["a"].tolist() == [[0, 10, 0], [20, 0, 0]]


def hard_attention() -> EquationSystem:
    # The row of w with the largest score: nothing reaches what the score depends on.
    score, chosen = quantity("score", N, K), quantity("y", N, M)
    key, cotangent = quantity("key", K), quantity("c", N, M)
    return system(
        Equation(score[n, k], a[n, k] * key[k]),
        Equation(A[n], arg_max(score[n, k], (k, K))),
        Equation(chosen[n, i], w[A[n], i] * key[A[n]]),
        Equation(E.symbol, sum_over(cotangent[n, i] * chosen[n, i], (n, N), (i, M))),
        inputs=(a, cotangent),
        parameters=(w, key),
    )


def two_axes() -> EquationSystem:
    # The largest of each block of two by three, one axis after the other.
    x, best = quantity("x", 2 * N, 3 * M), quantity("best", N, M, 2)
    across, down = quantity("across", N, M, 2, integer=True), quantity("down", N, M, integer=True)
    y, c = quantity("y", N, M), quantity("c", N, M)
    return system(
        Equation(across[n, i, j], arg_max(x[2 * n + j, 3 * i + k], (k, 3))),
        Equation(best[n, i, j], x[2 * n + j, 3 * i + across[n, i, j]]),
        Equation(down[n, i], arg_max(best[n, i, j], (j, 2))),
        Equation(y[n, i], best[n, i, down[n, i]]),
        Equation(E.symbol, sum_over(c[n, i] * y[n, i], (n, N), (i, M))),
        inputs=(c,),
        parameters=(x,),
    )


SYSTEMS = {"pooling": pooling, "hard_attention": hard_attention, "two_axes": two_axes}


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_step_is_proved(name: str) -> None:
    for verdict in prove(derive_system(SYSTEMS[name]())):
        assert verdict.holds, f"{verdict.step.lhs} = {verdict.step.rhs}: {verdict.counterexample}"


def with_place(derivation: Derived, place: Expr) -> Derived:
    return replace(derivation, system=pooling(place))


def test_the_proof_computes_the_place() -> None:
    # y is the largest, so its slope is 1 where a is not smaller than y: true of an argmax alone.
    derivation = derive_system(pooling())
    step = derivation.by_number[derivation.results["a"]]
    dy = quantity("dy", N)
    is_largest = Piecewise((dy[n], a[n, k] >= y[n]), (0, True))
    rows = {k: step.lhs.variables[0].indices[1], n: step.lhs.variables[0].indices[0]}
    claim = replace(step, rhs=rename(is_largest, rows))
    assert prove_step(derivation, claim).holds
    assert not prove_step(with_place(derivation, arg_max(-a[n, k], (k, K))), claim).holds
    below = Piecewise((dy[n], a[n, k] > y[n]), (0, True))
    assert not prove_step(derivation, replace(step, rhs=rename(below, rows))).holds


def test_it_is_printed_as_people_write_it() -> None:
    notation = notation_of_system(pooling())
    assert text(LARGEST, notation) == "argmax_k a[n,k]"
    assert latex(LARGEST, notation) == r"\operatorname*{arg\,max}_{k} a_{nk}"
    assert text(arg_max(a[n, k] + c[n], (k, K)), notation) == "argmax_k (c[n] + a[n,k])"
    assert "A[n] = argmax_k a[n,k]" in printable(derive_system(pooling())).text()
    assert r"A_{n} = \operatorname*{arg\,max}_{k} a_{nk}" in printable(derive_system(pooling())).latex()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (1 + LARGEST, "an argmax must be the whole right side"),
        (arg_max(a[n, arg_max(a[n, k], (k, K))] * a[n, j], (j, K)), "an argmax must be the whole right side"),
        (arg_max(a[k, n], (k, K)), "index k runs over K, but axis 0 of a has size N"),
        (arg_max(a[n, n], (n, N)), "the index n is bound twice"),
        (ArgMax(a[n, k], (k, 1, K - 1)), "the argmax over k must begin at 0, not at 1"),
        (a[n, 0], "A is an integer quantity"),
    ],
)
def test_a_wrong_place_is_refused(place: Expr, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        check_system(pooling(place))
