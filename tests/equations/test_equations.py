"""The check of equations on their way in: every kind of mistake is refused with a message that helps."""

from __future__ import annotations

import pytest
from sympy import (
    Derivative,
    Dummy,
    Eq,
    Expr,
    Indexed,
    IndexedBase,
    Integral,
    Piecewise,
    Product,
    Sum,
    Symbol,
    tanh,
)

from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.equations.system import (
    Equation,
    EquationSystem,
    Quantity,
    arg_max,
    index,
    is_index,
    is_size,
    quantity,
    scalar,
    size,
    sum_over,
)
from symbackprop.equations.well_formed import check_system
from symbackprop.errors import SpecificationError, UnsupportedExpression
from tests.zoo import ZOO, output_of, with_cotangent

i, j, k = index("i"), index("j"), index("k")
n, m = size("n"), size("m")
x, w, s, y, E = quantity("x", n), quantity("w", n, m), quantity("s", m), quantity("y", m), quantity("E")
token = quantity("token", m, integer=True)

PRE_ACTIVATION = Equation(s[i], sum_over(x[j] * w[j, i], (j, n)))
ACTIVATION = Equation(y[i], tanh(s[i]))
LOSS = Equation(E.symbol, sum_over(y[i] ** 2, (i, m)))


def network(*equations: Equation) -> EquationSystem:
    quantities = {each.name: each for each in (x, w, s, y, E, token)}
    return EquationSystem(equations, quantities, parameters=("w",), inputs=("x", "token"))


def with_pre_activation(rhs: Expr) -> EquationSystem:
    return network(Equation(s[i], rhs), ACTIVATION, LOSS)


def refuse(system: EquationSystem, *parts: str) -> None:
    """Assert that ``system`` is refused with a message that holds each of ``parts``."""
    with pytest.raises(SpecificationError) as caught:
        check_system(system)
    for part in parts:
        assert part in str(caught.value)


def test_well_formed_equations_pass() -> None:
    check_system(network(PRE_ACTIVATION, ACTIVATION, LOSS))


@pytest.mark.parametrize("name", ZOO)
def test_every_network_of_the_zoo_passes(name: str) -> None:
    system = ZOO[name]()
    check_system(system)
    check_system(with_cotangent(system, output_of(system)))


def test_an_index_that_is_data_passes() -> None:
    check_system(with_pre_activation(sum_over(x[token[i]] * w[j, i], (j, n))))


def test_the_same_letter_may_be_bound_by_two_sums_side_by_side() -> None:
    check_system(with_pre_activation(sum_over(w[j, i], (j, n)) * sum_over(x[j], (j, n))))


def test_an_affine_index_passes() -> None:
    check_system(with_pre_activation(sum_over(x[n - 1 - j] * w[j, i], (j, n))))


def test_a_quantity_that_is_read_before_it_is_defined() -> None:
    refuse(network(ACTIVATION, PRE_ACTIVATION, LOSS), "equation of y", "s is read before it is defined")


def test_a_quantity_that_is_defined_by_itself() -> None:
    refuse(with_pre_activation(s[i] + 1), "equation of s", "s is read before it is defined")


def test_a_scalar_that_is_read_before_it_is_defined() -> None:
    refuse(with_pre_activation(E.symbol * x[0]), "equation of s", "E is read before it is defined")


def test_a_quantity_that_is_defined_twice() -> None:
    refuse(network(PRE_ACTIVATION, PRE_ACTIVATION, ACTIVATION, LOSS), "equation of s", "s is defined twice")


def test_a_free_index() -> None:
    refuse(with_pre_activation(x[j] * w[j, i]), "equation of s", "the index j of x[j] is free")


def test_a_free_index_within_an_affine_one() -> None:
    refuse(with_pre_activation(sum_over(x[j + k] * w[j, i], (j, n))), "the index k of x[j + k] is free")


def test_a_free_index_within_an_index_that_is_data() -> None:
    refuse(with_pre_activation(x[token[k]]), "equation of s", "the index k of token[k] is free")


def test_an_index_that_stands_twice_on_the_left() -> None:
    square = quantity("s", m, m)
    refuse(network(Equation(square[i, i], x[0]), ACTIVATION, LOSS), "stands twice on the left")


def test_an_index_that_is_bound_on_the_left_and_by_a_sum() -> None:
    refuse(with_pre_activation(sum_over(x[0] * w[0, i], (i, m))), "equation of s", "index i is bound twice")


def test_an_index_that_is_bound_by_two_nested_sums() -> None:
    nested = sum_over(x[j] * sum_over(w[j, k], (j, n)), (j, n), (k, m))
    refuse(with_pre_activation(nested), "equation of s", "index j is bound twice")


def test_an_index_that_runs_over_another_size_than_its_axis() -> None:
    refuse(
        with_pre_activation(sum_over(x[j] * w[i, j], (j, n))),
        "equation of s",
        "index i runs over m",
        "axis 0 of w has size n",
    )


def test_a_summed_index_that_runs_over_another_size_than_its_axis() -> None:
    refuse(with_pre_activation(sum_over(x[j], (j, m))), "index j runs over m", "axis 0 of x has size n")


def test_sizes_that_are_equal_in_another_form_pass() -> None:
    check_system(with_pre_activation(sum_over(x[j], (j, n + m - m))))
    check_system(with_pre_activation(Sum(x[j], (j, 0, 2 * (n - 1) - (n - 1)))))


def test_a_sum_that_does_not_begin_at_zero() -> None:
    refuse(with_pre_activation(Sum(x[j], (j, 1, n))), "sum over j must begin at 0, not at 1")


def test_a_wrong_number_of_indices() -> None:
    shapeless = IndexedBase(Symbol("w", real=True))
    refuse(with_pre_activation(shapeless[i] * x[0]), "w has 2 axes", "w[i] gives 1")


def test_an_unknown_quantity() -> None:
    refuse(with_pre_activation(quantity("v", m)[i]), "equation of s", "v is not a quantity of the network")


def test_a_loss_that_is_missing() -> None:
    refuse(network(PRE_ACTIVATION, ACTIVATION), "the loss E is not defined")


def test_a_loss_that_is_no_scalar() -> None:
    system = network(PRE_ACTIVATION, ACTIVATION)
    per_unit = EquationSystem(system.equations, system.quantities, ("w",), loss="y")
    refuse(per_unit, "the loss y must be a scalar")


@pytest.mark.parametrize(
    ("kind", "rhs"),
    [
        ("Product", Product(x[j] * w[j, i], (j, 0, n - 1))),
        ("Integral", Integral(tanh(Symbol("z", real=True) * w[0, i]), (Symbol("z", real=True), 0, 1))),
        ("Derivative", Derivative(w[0, i] ** 2, w[0, i])),
        ("Dummy", x[0] * Dummy("z", real=True)),
    ],
)
def test_nodes_that_the_calculus_does_not_know(kind: str, rhs: Expr) -> None:
    with pytest.raises(UnsupportedExpression, match=rf"equation of s: .* does not know {kind} "):
        check_system(with_pre_activation(1 + rhs))


def test_an_unknown_node_within_a_sum_is_found() -> None:
    hidden = sum_over(x[j] * Product(w[j, k], (k, 0, m - 1)), (j, n))
    with pytest.raises(UnsupportedExpression, match="does not know Product"):
        check_system(with_pre_activation(hidden))


# ------------------------------------------------------------------------------- reads inside of an array


K, P, Q = size("K"), size("P"), size("Q")
h, u, p = index("h"), index("u"), index("p")
image, kernel, table = quantity("image", P), quantity("kernel", K), quantity("table", n, Q)
word, place = quantity("word", m, integer=True), quantity("place", m, integer=True)


def reading(rhs: Expr, extent: Expr | int, *before: Equation) -> EquationSystem:
    """Return a system in which an array of that length is defined as ``rhs``, which is written with h."""
    out = quantity("out", extent)
    loss = Equation(E.symbol, sum_over(out[h], (h, extent)))
    images = [
        Quantity(str(r.base.name), tuple(r.base.shape)) for r in rhs.atoms(Indexed) if r.base.name == "image"
    ]
    quantities = {q.name: q for q in (x, image, kernel, table, word, place, out, E, *images)}
    return EquationSystem((*before, Equation(out[h], rhs), loss), quantities, (), ("x",))


def where(condition: Expr, value: Expr, other: Expr | int = 0) -> Expr:
    return Piecewise((value, condition), (other, True))


def convolved(read: Expr) -> Expr:
    return sum_over(read * kernel[u], (u, K))


PADDED = (h + u - 1 >= 0) & (h + u - 1 < P)
PLACE = Equation(place[i], arg_max(table[j, 0] * x[j], (j, n)))
INSIDE = {
    "a shifted window": reading(convolved(image[h + u]), P - K + 1),
    "backwards": reading(image[P - 1 - h], P),
    "a literal index": reading(image[0] * table[h, 0], n),
    "a literal index that only a size may exclude": reading(image[3], P),
    "both ends guarded": reading(convolved(where(PADDED, image[h + u - 1])), P),
    "guarded by the other branch": reading(where(h < 1, 0, image[h - 1]), P),
    "guarded by the branches before": reading(
        Piecewise((0, h + u < 1), (0, h + u > P), (image[h + u - 1], True)).xreplace({u: h}), P
    ),
    "guarded by a condition on data, too": reading(where((h >= 1) & (x[0] > 0), image[h - 1]), P),
    "guarded by not": reading(where(~((h < 1) | (h > P - 1)), image[h - 1]), P),
    "guarded by an equation": reading(where(Eq(h, 1), image[h - 1]), P),
    "a pair of letters over one axis": reading(sum_over(where(p <= h, image[h - p]), (p, P)), P),
    "blocks": reading(sum_over(quantity("image", K * Q)[K * h + u], (u, K)), Q),
    "data as an index": reading(table[word[h], 0], m),
    "an affine index of data": reading(image[2 * h + word[h]], m),
    "the place of a maximum": reading(x[place[h]], m, PLACE),
    "every other": reading(quantity("image", 2 * K)[2 * h + 1], K),
}

OUTSIDE = {
    "before the first": (reading(image[h - 1], P), "the index h - 1 of image[h - 1] can be -1"),
    "behind the last": (reading(image[h + 1], P), "can be P, but axis 0 of image has size P: guard it"),
    "a window that leaves": (reading(convolved(image[h + u]), P), "can be K + P - 2"),
    "one end": (reading(convolved(where(h + u >= 1, image[h + u - 1])), P), "can be K + P - 3"),
    "guarded by the wrong side": (reading(where(h < 1, image[h - 1]), P), "can be -1"),
    "guarded one too far": (reading(where(h >= 0, image[h - 1]), P), "can be -1"),
    "guarded by data alone": (reading(where(x[0] > 0, image[h - 1]), P), "can be -1"),
    "a negative literal": (reading(image[-1], P), "the index -1 of image[-1] can be -1"),
    "backwards by one too many": (reading(image[P - h], P), "can be P"),
    "a place beyond": (reading(image[place[h] + 1 - n], m, PLACE), "can be 1 - n"),
    "half": (reading(image[h / 2], P), "the index h/2 of image[h/2] is not always an integer"),
    "a product of letters": (reading(sum_over(image[h * u], (u, K)), P), "image[h*u] is not affine"),
    "a value as an index": (reading(image[x[0]], P), "x[0] is not an integer"),
    "an index in an index": (reading(table[word[k], 0], m), "the index k of word[k] is free"),
    "a free letter in a condition": (reading(where(k <= h, image[h]), P), "the index k is free"),
    "a free letter as a number": (reading(k * image[h], P), "the index k is free"),
}  # fmt: skip


@pytest.mark.parametrize("name", INSIDE)
def test_a_read_that_stays_inside_passes(name: str) -> None:
    check_system(INSIDE[name])


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_read_that_leaves_its_array_is_refused(name: str) -> None:
    system, message = OUTSIDE[name]
    refuse(system, "equation of out", message)


def test_a_sum_over_the_samples_passes() -> None:
    batch = quantity("batch", n, m)
    mean = Equation(s[i], sum_over(batch[j, i], (j, n)) / n)
    centred = Equation(quantity("out", n, m)[j, i], batch[j, i] - s[i])
    loss = Equation(E.symbol, sum_over(quantity("out", n, m)[j, i] ** 2, (j, n), (i, m)))
    quantities = {q.name: q for q in (batch, s, quantity("out", n, m), E)}
    check_system(EquationSystem((mean, centred, loss), quantities, (), ("batch",)))


def test_a_quantity_an_index_and_a_size_may_share_a_name() -> None:
    k_of_k, own = quantity("k", K), quantity("h", K)
    loss = Equation(E.symbol, sum_over(own[h], (h, K)))
    system = EquationSystem(
        (Equation(own[k], k_of_k[k] ** 2), loss), {q.name: q for q in (k_of_k, own, E)}, ("k",)
    )
    check_system(system)
    assert derive_system(system).adjoint("k") == 2 * k_of_k[k]


def test_sizes_and_indices_are_told_by_what_is_assumed_of_them() -> None:
    others = (scalar("w"), n + 1, i + 1, token[i])
    place = quantity("place", integer=True).symbol
    assert is_size(n)
    assert not any(map(is_size, (i, place, *others)))
    assert is_index(i)
    assert is_index(place)
    assert not any(map(is_index, (n, *others)))
