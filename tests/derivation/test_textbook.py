"""The textbook network, derived as SymPy objects; the derivation's interface; functions unknown so far.

The network is n0-n1-n2, sigmoid in both layers, without bias, with E = -Σ_i (t_i log x_i +
(1 - t_i) log(1 - x_i)).  What is expected is built here by hand, in letters of its own; `same` compares
up to the letters of indices, and with factors that are free of a summed index taken out of the sum.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from sympy import (
    Derivative,
    Eq,
    Expr,
    Function,
    Indexed,
    IndexedBase,
    Integer,
    Mul,
    Sum,
    Symbol,
    count_ops,
    exp,
    log,
    sympify,
)

import symbackprop as sb
from symbackprop.library.activations import ACTIVATIONS, Activation
from symbackprop.library.losses import LOSSES, Loss
from symbackprop.proof.prover import prove
from tests.conftest import difference_from_numbers, random_parameters, sample_data

# ---------------------------------------------------------------- comparing


def canonical(expression: Expr, letters: Mapping[str, str] | None = None) -> Expr:
    """Return ``expression`` with plain symbols, bound indices named by depth, sums without free factors.

    ``letters`` renames free indices.  A ``Derivative`` becomes an application of D, so that SymPy
    evaluates nothing.
    """
    return _extracted(_plain(expression, dict(letters or {})))


def _plain(node: Expr, letters: dict[str, str]) -> Expr:
    if isinstance(node, Symbol):
        return Symbol(letters.get(node.name, node.name))
    if isinstance(node, Indexed):
        return IndexedBase(str(node.base.label))[tuple(_plain(i, letters) for i in node.indices)]
    if isinstance(node, Derivative):
        return Function("D")(*[_plain(part, letters) for part in (node.expr, *node.variables)])
    if isinstance(node, Sum):
        inner = {**letters, **{i.name: f"bound_{i.name}" for i, _, _ in node.limits}}
        limits = [(_plain(i, inner), _plain(a, letters), _plain(b, letters)) for i, a, b in node.limits]
        return Sum(_plain(node.function, inner), *limits)
    return node.func(*[_plain(a, letters) for a in node.args]) if node.args else node


def _extracted(node: Expr) -> Expr:
    if isinstance(node, Sum):
        result = _extracted(node.function)
        for limit in node.limits:
            result = _summed(result, limit)
        return result
    if isinstance(node, Indexed) or not node.args:
        return node
    return node.func(*[_extracted(a) for a in node.args])


def _summed(body: Expr, limit: tuple[Expr, Expr, Expr]) -> Expr:
    """Return the sum over one index: factors without it in front, the index named by its depth."""
    factors = Mul.make_args(body)
    free = [f for f in factors if limit[0] not in f.free_symbols]
    bound = Mul(*[f for f in factors if limit[0] in f.free_symbols])
    name = Symbol(f"bound{_depth(bound)}")
    body, sign = bound.xreplace({limit[0]: name}), 1
    if body.could_extract_minus_sign():  # -1 is free of every index; SymPy multiplies it into a sum
        body, sign = -body, -1
    return Mul(sign, *free, Sum(body, (name, *limit[1:])))


def _depth(node: Expr) -> int:
    """Return how many sums lie within each other."""
    inside = max((_depth(a) for a in node.args), default=0)
    return inside + 1 if isinstance(node, Sum) else inside


def same(found: Expr, expected: Expr, letters: Mapping[str, str] | None = None) -> bool:
    """Whether ``found``, its free indices renamed by ``letters``, is the object ``expected``."""
    return bool(canonical(found, letters) == canonical(expected))


# ---------------------------------------------------------------- what is expected, by hand

p, q, r, m = (Symbol(letter) for letter in "pqrm")
"""Units of the output layer, of the hidden layer, of the input; a second output."""
x0, x1, x2, s1, s2, w1, w2, t, ds1, ds2 = (
    IndexedBase(name) for name in ("x0", "x1", "x2", "s1", "s2", "w1", "w2", "t", "ds1", "ds2")
)
E = Symbol("E")
n0, n1, n2 = Symbol("n0"), Symbol("n1"), Symbol("n2")

SUM_OVER_OUTPUTS = Sum((x2[p] - t[p]) * w2[q, p], (p, 0, n2 - 1))

FORWARD = {
    "s1": (s1[q], Sum(x0[r] * w1[r, q], (r, 0, n0 - 1))),
    "x1": (x1[q], 1 / (1 + exp(-s1[q]))),
    "s2": (s2[p], Sum(x1[q] * w2[q, p], (q, 0, n1 - 1))),
    "x2": (x2[p], 1 / (1 + exp(-s2[p]))),
    "E": (E, -Sum(t[p] * log(x2[p]) + (1 - t[p]) * log(1 - x2[p]), (p, 0, n2 - 1))),
}

STEPS: list[tuple[str, str, Expr, Expr]] = [
    ("x2", "local derivative", Derivative(E, x2[p]), -t[p] / x2[p] + (1 - t[p]) / (1 - x2[p])),
    ("x2", "simplification", Derivative(E, x2[p]), (x2[p] - t[p]) / (x2[p] * (1 - x2[p]))),
    ("s2", "chain rule", ds2[p], Derivative(E, x2[p]) * Derivative(x2[p], s2[p])),
    ("s2", "closed form", Derivative(x2[p], s2[p]), x2[p] * (1 - x2[p])),
    ("s2", "cancellation", ds2[p], x2[p] - t[p]),
    ("w2", "chain rule", Derivative(E, w2[q, p]), ds2[p] * Derivative(s2[p], w2[q, p])),
    ("w2", "local derivative", Derivative(s2[p], w2[q, p]), x1[q]),
    ("w2", "contraction", Derivative(E, w2[q, p]), ds2[p] * x1[q]),
    ("w2", "substitution", Derivative(E, w2[q, p]), (x2[p] - t[p]) * x1[q]),
    (
        "x1",
        "chain rule",
        Derivative(E, x1[q]),
        Sum(ds2[p] * Derivative(s2[p], x1[q]), (p, 0, n2 - 1)),
    ),
    ("x1", "local derivative", Derivative(s2[p], x1[q]), w2[q, p]),
    ("x1", "contraction", Derivative(E, x1[q]), Sum(ds2[p] * w2[q, p], (p, 0, n2 - 1))),
    ("s1", "chain rule", ds1[q], Derivative(E, x1[q]) * Derivative(x1[q], s1[q])),
    ("s1", "closed form", Derivative(x1[q], s1[q]), x1[q] * (1 - x1[q])),
    (
        "s1",
        "substitution",
        ds1[q],
        Sum((x2[p] - t[p]) * w2[q, p] * x1[q] * (1 - x1[q]), (p, 0, n2 - 1)),
    ),
    ("w1", "chain rule", Derivative(E, w1[r, q]), ds1[q] * Derivative(s1[q], w1[r, q])),
    ("w1", "local derivative", Derivative(s1[q], w1[r, q]), x0[r]),
    ("w1", "contraction", Derivative(E, w1[r, q]), ds1[q] * x0[r]),
]
"""Target, rule and both sides of every step that a person writes down, in a person's order."""

IDS = [f"{target}: {rule}" for target, rule, _, _ in STEPS]
ARCHITECTURES = ["2-3-1", "4-3-5", "1-1-1", "64-32-10"]


@cache
def textbook(architecture: str = "4-3-5") -> sb.Derivation:
    return sb.derive(sb.Network(architecture, bias=False))


def letters_of(derivation: sb.Derivation) -> dict[str, str]:
    """Return the derivation's letters of the units -> the letters of this file."""
    from_input, hidden = derivation.indices("w1")
    same_hidden, output = derivation.indices("w2")
    assert hidden == same_hidden
    return {from_input.name: "r", hidden.name: "q", output.name: "p"}


def found_steps(derivation: sb.Derivation, target: str, rule: str, lhs: Expr) -> list[sb.Step]:
    letters = letters_of(derivation)
    return [
        step
        for step in derivation.steps
        if (step.target, step.rule) == (target, rule) and same(step.lhs, lhs, letters)
    ]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", FORWARD)
def test_forward_equations(architecture: str, name: str) -> None:
    derivation = textbook(architecture)
    equation = derivation.equation(name)
    lhs, rhs = FORWARD[name]
    assert isinstance(equation, Eq)
    assert same(equation.lhs, lhs, letters_of(derivation))
    assert same(equation.rhs, rhs, letters_of(derivation))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("target", "rule", "lhs", "rhs"), STEPS, ids=IDS)
def test_step(architecture: str, target: str, rule: str, lhs: Expr, rhs: Expr) -> None:
    derivation = textbook(architecture)
    found = found_steps(derivation, target, rule, lhs)
    assert any(same(step.rhs, rhs, letters_of(derivation)) for step in found)


def test_steps_come_in_a_persons_order() -> None:
    derivation = textbook()
    numbers = []
    for target, rule, lhs, rhs in STEPS:
        found = found_steps(derivation, target, rule, lhs)
        numbers += [s.number for s in found if same(s.rhs, rhs, letters_of(derivation))][:1]
    assert len(numbers) == len(STEPS)
    assert numbers == sorted(numbers)
    targets = list(dict.fromkeys(step.target for step in derivation.steps))
    assert targets == ["x2", "s2", "w2", "x1", "s1", "w1"]


def test_first_and_second_form_of_the_loss_derivative_are_equal() -> None:
    first, second = (rhs for target, _, _, rhs in STEPS if target == "x2")
    assert (first - second).simplify() == 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_results(architecture: str) -> None:
    derivation = textbook(architecture)
    letters = letters_of(derivation)
    assert same(derivation.adjoint("s2"), x2[p] - t[p], letters)
    assert same(derivation.gradient("w2"), (x2[p] - t[p]) * x1[q], letters)
    total = Sum(ds2[p] * w2[q, p], (p, 0, n2 - 1))
    assert same(derivation.adjoint("s1"), total * x1[q] * (1 - x1[q]), letters)
    assert same(derivation.gradient("w1"), ds1[q] * x0[r], letters)
    inline = SUM_OVER_OUTPUTS * x1[q] * (1 - x1[q]) * x0[r]
    assert same(derivation.gradient("w1", inline=True), inline, letters)


# ---------------------------------------------------------------- the comparison itself


def test_comparison_takes_free_factors_out_of_a_sum() -> None:
    inside = Sum((x2[p] - t[p]) * w2[q, p] * x1[q] * (1 - x1[q]), (p, 0, n2 - 1))
    assert same(inside, SUM_OVER_OUTPUTS * x1[q] * (1 - x1[q]))


def test_comparison_ignores_the_letter_of_a_summed_index() -> None:
    assert same(Sum((x2[m] - t[m]) * w2[q, m], (m, 0, n2 - 1)), SUM_OVER_OUTPUTS)


@pytest.mark.parametrize(
    "other",
    [
        Sum((x2[p] - t[p]) * w2[p, q], (p, 0, n2 - 1)),
        Sum((x2[p] - t[p]) * w2[q, p], (p, 0, n1 - 1)),
        Sum((x2[p] - t[m]) * w2[q, p], (p, 0, n2 - 1)),
        Sum((x2[p] + t[p]) * w2[q, p], (p, 0, n2 - 1)),
        2 * SUM_OVER_OUTPUTS,
    ],
    ids=["transposed", "range", "index", "sign", "factor"],
)
def test_comparison_notices(other: Expr) -> None:
    assert not same(other, SUM_OVER_OUTPUTS)


# ---------------------------------------------------------------- the interface


def test_steps_have_their_fields() -> None:
    for step in textbook().steps:
        assert isinstance(step, sb.Step)
        assert isinstance(step.number, int)
        assert step.target in textbook().system.quantities
        assert re.fullmatch(r"[a-z ]+", step.rule)
        assert isinstance(step.lhs, (Derivative, Indexed))
        assert isinstance(sympify(step.rhs), Expr)


@pytest.mark.parametrize("architecture", ["2-3-1", "4-3:tanh-3:softmax", "5-4:relu-4:tanh-3:identity"])
def test_numbers_are_unique_and_ascend(architecture: str) -> None:
    derivation = sb.derive(sb.Network(architecture, l2=0.1, l1=0.1))
    forward = list(derivation.labels.values())
    steps = [
        step.number for step in (*derivation.steps, *derivation.stable, *derivation.batch, *derivation.update)
    ]
    assert forward + steps == list(range(1, len(forward) + len(steps) + 1))
    assert list(derivation.by_number) == steps


def test_indices_are_the_axes_in_order() -> None:
    derivation = sb.derive(sb.Network("4-3-5"))
    for name, quantity in derivation.system.quantities.items():
        if name in derivation.results:
            indices = derivation.indices(name)
            assert len(indices) == len(quantity.shape)
            assert set(indices) <= derivation.gradient(name).free_symbols | set(indices)
    assert [len(derivation.indices(name)) for name in ("w1", "b1", "s1", "w2", "b2", "s2")] == [
        2, 1, 1, 2, 1, 1,
    ]  # fmt: skip
    assert derivation.indices("w1")[1:] == derivation.indices("b1") == derivation.indices("s1")


def test_gradient_of_a_bias_is_the_adjoint() -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    (j,), (i,) = derivation.indices("b1"), derivation.indices("b2")
    assert same(derivation.gradient("b1"), ds1[q], {j.name: "q"})
    assert same(derivation.gradient("b2"), x2[p] - t[p], {i.name: "p"})


def test_gradient_holds_the_regularisation() -> None:
    derivation = sb.derive(sb.Network("2-3-1", bias=False, l2=0.25))
    letters = letters_of(derivation)
    expected = (x2[p] - t[p]) * x1[q] + Symbol("l2") * w2[q, p]
    assert same(derivation.gradient("w2"), expected, letters)
    assert same(derivation.gradient("w1"), ds1[q] * x0[r] + Symbol("l2") * w1[r, q], letters)


def test_inline_gradient_is_in_forward_quantities_only() -> None:
    derivation = sb.derive(sb.Network("3-4:tanh-2-3:softmax"))
    forward = set(derivation.system.quantities)
    for name in derivation.system.parameters:
        expression = derivation.gradient(name, inline=True)
        read = {str(base.label) for base in expression.atoms(IndexedBase)}
        assert read <= forward
        assert not expression.atoms(Derivative)
    assert derivation.gradient("w1").has(Indexed)
    named = {str(base.label) for base in derivation.gradient("w1").atoms(IndexedBase)}
    assert "ds1" in named


@pytest.mark.parametrize("method", ["equation", "gradient", "adjoint", "indices"])
def test_unknown_name(method: str) -> None:
    with pytest.raises(sb.SpecificationError, match="w11"):
        getattr(textbook(), method)("w11")


@pytest.mark.parametrize("method", ["text", "markdown", "latex", "_repr_markdown_", "_repr_latex_"])
def test_documents_hold_the_number_of_every_step(method: str) -> None:
    document = getattr(textbook(), method)()
    label = r"\tag{%d}" if method != "text" else "(%d)"
    for number in (*textbook().labels.values(), *textbook().by_number):
        assert label % number in document


# ---------------------------------------------------------------- softmax and its fact


def softmax_form(facts: bool) -> tuple[Expr, dict[str, str]]:
    derivation = sb.derive(sb.Network("4-3:softmax", facts=facts))
    (i,) = derivation.indices("s1")
    return derivation.adjoint("s1"), {i.name: "p"}


def test_softmax_with_cross_entropy_uses_the_fact() -> None:
    found, letters = softmax_form(facts=True)
    assert same(found, x1[p] - t[p], letters)


def test_softmax_with_cross_entropy_without_the_fact() -> None:
    found, letters = softmax_form(facts=False)
    assert same(found, x1[p] * Sum(t[m], (m, 0, n1 - 1)) - t[p], letters)


def test_the_fact_is_a_step_of_its_own_and_stated() -> None:
    derivation = sb.derive(sb.Network("4-3:softmax"))
    assert [step.target for step in derivation.steps if step.rule == "fact"] == ["s1"]
    assert "Σ_i t[i] = 1" in derivation.text()
    without = sb.derive(sb.Network("4-3:softmax", facts=False))
    assert all(step.rule != "fact" for step in without.steps)
    assert "Σ_i t[i] = 1" not in without.text()


# ---------------------------------------------------------------- size of the steps at any depth


def largest_per_layer(derivation: sb.Derivation) -> dict[int, int]:
    """Return, for each layer, the operations of the largest right-hand side of its steps."""
    found: dict[int, int] = {}
    for step in derivation.steps:
        layer = int(re.sub(r"\D", "", step.target))
        found[layer] = max(found.get(layer, 0), int(count_ops(step.rhs)))
    return found


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"hidden": "tanh", "l2": 0.1, "l1": 0.1}])
def test_largest_step_does_not_grow_with_depth(options: dict[str, Any]) -> None:
    sizes: dict[int, dict[int, int]] = {}
    for depth in (2, 5, 40):
        network = sb.Network("-".join(["3"] * (depth + 1)), **options)
        sizes[depth] = largest_per_layer(sb.derive(network))
        assert set(sizes[depth]) == set(range(1, depth + 1))
    first = {depth: size[1] for depth, size in sizes.items()}
    assert first[5] == first[40]
    assert {size[depth] for depth, size in sizes.items()} == {sizes[2][2]}  # the output layer
    assert {size[layer] for depth, size in sizes.items() for layer in range(1, depth - 1)} == {first[40]}
    # The layer before the output may have x_i - t_i written out, at every depth the same.
    assert {size[depth - 1] for depth, size in sizes.items()} == {sizes[2][1]}


# ---------------------------------------------------------------- functions unknown to the package

NEW_ACTIVATION = "s*exp(-s**2)"
NEW_LOSS = "(x - t)**4"


@pytest.fixture(params=["formula", "library entry"])
def new_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> sb.Network:
    """A network with an activation and a loss that are given by one line of data each."""
    if request.param == "formula":
        return sb.Network(f"2-3:({NEW_ACTIVATION})-2:({NEW_ACTIVATION})", loss=NEW_LOSS)
    activation = Activation("bump_of_a_test", NEW_ACTIVATION, "a test")
    loss = Loss("fourth_power_of_a_test", NEW_LOSS, "a test")
    monkeypatch.setitem(ACTIVATIONS, activation.name, activation)
    monkeypatch.setitem(LOSSES, loss.name, loss)
    return sb.Network(f"2-3:{activation.name}-2:{activation.name}", loss=loss.name)


def test_unknown_functions_bring_steps(new_network: sb.Network) -> None:
    derivation = sb.derive(new_network)
    (i,) = derivation.indices("s2")
    letters = {i.name: "p"}
    (local,) = [step for step in derivation.steps if (step.target, step.rule) == ("x2", "local derivative")]
    assert same(local.rhs, 4 * (x2[p] - t[p]) ** 3, letters)
    slope = (1 - 2 * s2[p] ** 2) * exp(-(s2[p] ** 2))
    adjoint = canonical(derivation.adjoint("s2"), letters)
    assert (adjoint / (4 * (x2[p] - t[p]) ** 3 * slope)).simplify() == 1


def test_unknown_functions_bring_a_proof(new_network: sb.Network) -> None:
    derivation = sb.derive(new_network)
    verdicts = prove(derivation)
    # The optimiser's equations are definitions: there is nothing to prove.
    updates = {step.number for step in derivation.update}
    assert [v.step.number for v in verdicts] == [n for n in derivation.by_number if n not in updates]
    assert all(v.holds for v in verdicts)


def test_unknown_functions_bring_latex(new_network: sb.Network) -> None:
    document = sb.derive(new_network).latex()
    assert "x_{j} = s_{j} e^{-s_{j}^{2}}" in document
    assert r"E = \sum_{i} \left(x_{i} - t_{i}\right)^{4}" in document
    assert r"\frac{\partial E}{\partial x_{i}} = 4 \left(x_{i} - t_{i}\right)^{3}" in document
    assert r"\left(1 - 2 s_{j}^{2}\right) e^{-s_{j}^{2}}" in document


def test_unknown_functions_bring_code(new_network: sb.Network, rng: np.random.Generator) -> None:
    module: Any = sb.load(new_network)
    parameters = random_parameters(module.PARAMETER_SHAPES, rng)
    x, targets = sample_data(new_network, rng)
    s = x @ parameters["w1"] + parameters["b1"]
    s = s * np.exp(-(s**2)) @ parameters["w2"] + parameters["b2"]
    np.testing.assert_allclose(module.forward(parameters, x), s * np.exp(-(s**2)), rtol=1e-12)
    _, derivatives = module.gradients(parameters, x, targets)
    worst = difference_from_numbers(lambda q: module.loss(q, x, targets), parameters, derivatives, rng)
    assert worst < 1e-8


# ---------------------------------------------------------------- one object: printed, proved, emitted


def altered(derivation: sb.Derivation) -> sb.Derivation:
    """Return the derivation with ∂E/∂s2 multiplied by 2."""
    step = derivation.by_number[derivation.results["s2"]]
    return derivation.with_step(replace(step, rhs=Integer(2) * step.rhs))


def test_altered_step_is_a_step_of_the_new_derivation() -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    number = derivation.results["s2"]
    assert altered(derivation).by_number[number].rhs == 2 * derivation.by_number[number].rhs
    assert altered(derivation).adjoint("s2") == 2 * derivation.adjoint("s2")
    assert len(altered(derivation).steps) == len(derivation.steps)
    with pytest.raises(sb.SpecificationError, match="999"):
        derivation.with_step(replace(derivation.steps[0], number=999))


def test_altered_step_alters_the_documents() -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    for form in ("latex", "markdown"):
        assert "= 2 x_{i} - 2 t_{i}" in getattr(altered(derivation), form)()
        assert "= 2 x_{i} - 2 t_{i}" not in getattr(derivation, form)()
    assert "∂E/∂s2[i] = 2·x2[i] - 2·t[i]" in altered(derivation).text()
    assert "∂E/∂s2[i] = 2·x2[i] - 2·t[i]" not in derivation.text()


def test_altered_step_alters_the_code(rng: np.random.Generator) -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    assert sb.generate(altered(derivation)) != sb.generate(derivation)
    plain: Any = sb.load(derivation)
    doubled: Any = sb.load(altered(derivation))
    parameters = random_parameters(plain.PARAMETER_SHAPES, rng)
    x, targets = sample_data(sb.Network("2-3-1"), rng)
    error, gradients = plain.gradients(parameters, x, targets)
    same_error, twice = doubled.gradients(parameters, x, targets)
    assert same_error == error
    trainer = doubled.Trainer(parameters, learning_rate=0.25)
    trainer.step(x, targets)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(twice[name], 2 * gradient, rtol=1e-14)
        np.testing.assert_allclose(trainer.parameters[name], parameters[name] - 0.5 * gradient, rtol=1e-13)


def test_altered_step_is_refuted() -> None:
    derivation = altered(sb.derive(sb.Network("2-3-1")))
    failing = [v.step.number for v in prove(derivation) if not v.holds]
    assert derivation.results["s2"] in failing


def test_altered_forward_number_is_refused() -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    with pytest.raises(sb.SpecificationError):
        derivation.with_step(replace(derivation.steps[0], number=derivation.labels["s1"]))
