"""What a derivation says beside its steps: limits, bounds, matrices; and layers that are alike once."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from sympy import Derivative, Expr, Indexed, Sum

import symbackprop as sb
from symbackprop.document.analysis import error_of_one, is_chain, slopes_of
from symbackprop.document.render import render
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import indices_of
from symbackprop.printing.layers import LayerRun, Shift, with_runs
from symbackprop.printing.matrices import MatrixWriter, Unwritable
from symbackprop.printing.notation import notation_for
from symbackprop.printing.text import TextPrinter
from tests.conftest import MARKUP
from tests.networks import EQUATIONS, equations


def unwrapped(text: str) -> str:
    return re.sub(r"\n *", " ", text)


# ---------------------------------------------------------------------------------- the error


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ["1 1 0", "1 0 oo", "0 0 0", "0 1 oo"]),
        ({"output": "softmax"}, ["1 1 0", "1 0 oo", "0 0 0"]),
        ({"output": "tanh", "loss": "hinge"}, ["1 1 0", "1 -1 2", "-1 -1 0", "-1 1 2"]),
        ({"loss": "kl_divergence"}, ["1 1 0", "1 0 oo", "0 0 0"]),
        ({"output": "identity"}, []),
    ],
    ids=str,
)
def test_limits_of_the_error_of_one_output(options: dict[str, str], expected: list[str]) -> None:
    found = error_of_one(sb.derive(sb.Network("2-3-2", **options)))  # type: ignore[arg-type]
    assert found is not None
    assert [f"{t.is_} {t.goes_to} {t.error}" for t in found.tendencies] == expected


def test_smoothed_targets_never_make_an_error_0() -> None:
    found = error_of_one(sb.derive(sb.Network("2-3-2", label_smoothing=0.1)))
    assert found is not None
    assert {str(t.error) for t in found.tendencies} == {"oo"}


# ------------------------------------------------------------------------------------- slopes


def test_slopes_and_their_product() -> None:
    derivation = sb.derive(sb.Network("2-3-3-3-1"))
    assert [(str(s.bounds), s.cancels) for s in slopes_of(derivation)] == [
        ("(0, 1/4]", n == 0) for n in range(4)
    ]
    text = unwrapped(derivation.text())
    assert "the product of the slopes is at most (1/4)^3 ≈ 0.016." in text
    assert "vanishing gradient" in text
    assert "exploding gradient" in sb.derive(sb.Network("2-3-3-1", hidden="selu")).text()
    assert "vanishing" not in sb.derive(sb.Network("2-3-3-1", hidden="relu")).text()


def test_a_product_needs_one_way_back() -> None:
    source = """
        input x[n, k]
        target t[n, k]
        parameter w[k, j], v[j, k]
        size k = 2
        size j = 3
        s[n, j] = sum(x[n, k]*w[k, j], k)
        a[n, j] = tanh(s[n, j])
        y[n, k] = sum((a[n, j] + s[n, j])*v[j, k], j)
        E = mean(sum((y[n, k] - t[n, k])**2, k), n)
        output y
    """
    derivation = sb.derive(sb.Network.from_equations("\n".join(map(str.strip, source.strip().splitlines()))))
    assert not is_chain(derivation)
    assert len(slopes_of(derivation)) == 1
    assert "the product of the slopes" not in unwrapped(derivation.text())


# ----------------------------------------------------------------------------------- matrices


def matrix_text(derivation: Derived, name: str) -> str:
    step = next(step for step in derivation.batch if step.target == name)
    writer = MatrixWriter(TextPrinter(notation_for(derivation, "layered")))
    left, parts = writer.equation(step.lhs, step.rhs, indices_of(step.lhs.variables[0]))
    return f"{left} = {''.join(parts)}"


def test_derivatives_for_a_batch_are_products() -> None:
    derivation = sb.derive(sb.Network("4-3-2", l2=0.1))
    assert matrix_text(derivation, "w1") == "∂E/∂W1 = (1/N)·X0ᵀ·Δ1 + λ₂·W1"
    assert matrix_text(derivation, "b2") == "∂E/∂b2 = (1/N)·Δ2ᵀ·𝟏"


class _Ones:
    """A vector of ones of the length that its place asks for."""

    def __init__(self, transposed: bool = False) -> None:
        self.transposed = transposed

    __array_ufunc__ = None

    @property
    def T(self) -> _Ones:
        return _Ones(not self.transposed)

    def __matmul__(self, other: np.ndarray) -> np.ndarray:
        return np.ones((1, len(other) if self.transposed else 1)) @ other  # else the same in every row

    def __rmatmul__(self, other: np.ndarray) -> np.ndarray:
        if self.transposed:  # a column next to every sample or unit
            return other @ np.ones((1, 1))
        return other @ np.ones((other.shape[1], 1))


def value_of(formula: str, names: dict[str, object]) -> np.ndarray:
    """Return the value of a matrix formula, read by the rules of matrix algebra."""
    code = formula.replace("ᵀ", ".T").replace("𝟏", "ones").replace("λ₂", "l2").replace("⊙", "*")
    code = re.sub(r"‖([^‖]*)‖²", r"norm(\1)", code)
    code = code.replace("·", " @ ")
    code = re.sub(r"(\(1/N\)|\(l2/2\)|\bl2) @ ", r"\1*", code)
    return np.asarray(eval(code, {"__builtins__": {}}, names))


@pytest.mark.parametrize("options", [{}, {"hidden": "tanh", "l2": 0.1}, {"output": "identity"}], ids=str)
def test_matrix_forms_have_the_value_of_the_module(options: dict[str, object]) -> None:
    """Forward equations for one sample, derivatives for a batch: evaluated as matrices, and by the module."""
    network = sb.Network("4-3-2", **options)  # type: ignore[arg-type]
    derivation, module = sb.derive(network), sb.load(network)
    random = np.random.default_rng(5)
    parameters = {k: v + 0.1 for k, v in module.initialize(seed=3, dtype=np.float64).items()}
    x, t = random.uniform(0.1, 0.9, (5, 4)), random.uniform(0.1, 0.9, (5, 2))
    _, expected = module.gradients(parameters, x, t)
    names: dict[str, object] = {
        "ones": _Ones(), "N": 5, "exp": np.exp, "log": np.log, "tanh": np.tanh,
        "l2": options.get("l2", 0.0), "X0": x, "T": t, "x0": x[:1].T, "t": t[:1].T,
    }  # fmt: skip
    names |= {k.upper(): v for k, v in parameters.items() if v.ndim > 1}
    names |= {k: v[:, None] for k, v in parameters.items() if v.ndim == 1}
    writer = MatrixWriter(TextPrinter(notation_for(derivation, "layered")))
    for equation in derivation.system.equations[:-1]:
        left, parts = writer.equation(equation.lhs, equation.rhs, equation.indices)
        names[left] = value_of("".join(parts), names)
    assert names["x2"] == pytest.approx(module.forward(parameters, x[:1]).T)
    batch = {"X1": [], "Δ1": [], "Δ2": []}  # type: ignore[var-annotated]
    for row in range(5):
        own = {**names, "x0": x[row : row + 1].T, "t": t[row : row + 1].T}
        for equation in derivation.system.equations[:-1]:
            left, parts = writer.equation(equation.lhs, equation.rhs, equation.indices)
            own[left] = value_of("".join(parts), own)
        for target in ("s2", "s1"):
            step = derivation.by_number[derivation.results[target]]
            left, parts = writer.equation(step.lhs, step.rhs, indices_of(step.lhs))
            shown = "".join(parts).replace("∂E/∂x2", "(x2 - t)")
            own[left] = value_of(shown, own)
        for capital, small in (("X1", "x1"), ("Δ1", "δ1"), ("Δ2", "δ2")):
            batch[capital].append(own[small])
    names |= {name: np.hstack(rows).T for name, rows in batch.items()}
    for name in ("w1", "b1", "w2", "b2"):
        value = value_of(matrix_text(derivation, name).split(" = ")[1], names)
        assert value.reshape(expected[name].shape) == pytest.approx(expected[name])


@pytest.mark.parametrize("text", ["4-3-2", "4-3:tanh-2:softmax", "4-3:relu-2", "4-3:silu-2"])
def test_the_recursion_for_a_batch_is_what_the_module_computes(text: str) -> None:
    network = sb.Network(text)
    module, derivation = sb.load(network), sb.derive(network)
    random = np.random.default_rng(2)
    parameters = {k: v + 0.1 for k, v in module.initialize(seed=3, dtype=np.float64).items()}
    x, t = random.uniform(0.1, 0.9, (5, 4)), random.dirichlet([1, 1], 5)
    names: dict[str, object] = {"ones": _Ones(), "N": 5, "exp": np.exp, "log": np.log, "tanh": np.tanh}
    names |= {"X0": x, "T": t, "choice": np.where}
    names |= {k.upper(): v for k, v in parameters.items() if v.ndim > 1}
    names |= {k: v[:, None] for k, v in parameters.items() if v.ndim == 1}
    section = derivation.text("layered").split("The same as products of matrices.")[1]
    lines = re.findall(r"^   (\S+) = (.*?)    shape.*  \(\d+\)$", section, re.MULTILINE)
    told = [(left, right) for left, right in lines if left[0] in "SXΔ" or left.startswith(("∂E/∂W", "∂E/∂b"))]
    depth = len(network.model.layers)
    assert [left for left, _ in told[: 3 * depth]] == [
        *(f"{letter}{layer}" for layer in range(1, depth + 1) for letter in "SX"),
        *(f"Δ{layer}" for layer in range(depth, 0, -1)),
    ]
    for left, right in told:
        right = re.sub(r"\{ (.*?) if (.*?); (.*?) otherwise \}", r"choice(\2, \1, \3)", right)
        names[left.removeprefix("∂E/∂").lower() if left[0] == "∂" else left] = value_of(right, names)
    for name, expected in module.gradients(parameters, x, t)[1].items():
        assert np.asarray(names[name]).reshape(expected.shape) == pytest.approx(expected)


def test_what_is_no_matrix_is_refused() -> None:
    derivation = sb.derive(sb.Network("2-3-2"))
    x1 = derivation.system.quantities["x1"]
    i = derivation.indices("w2")[1]
    writer = MatrixWriter(TextPrinter(notation_for(derivation)))
    for expression in (x1[i + 1], x1[i] * i):
        with pytest.raises(Unwritable):
            writer.equation(x1[i], expression, (i,))


# ---------------------------------------------------------------------------------- notations


def test_each_notation_says_the_same_in_its_own_letters() -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    assert "=> (28)  δ1[j] = (Σ_i δ2[i]·w2[j,i])·a1[j]·(1 - a1[j])" in derivation.text("zad")
    assert (
        r"\delta^{(1)}_{j} = \left(\sum_{i} \delta^{(2)}_{i} w^{(2)}_{ji}\right) a^{(1)}_{j}"
        in derivation.latex("zad")
    )
    assert "=> (28)  δ1 = (W2·δ2) ⊙ x1 ⊙ (1 - x1)" in derivation.text("matrix")
    assert (
        r"\boldsymbol{\delta}^{(1)} = \left(\mathbf{W}^{(2)} \, \boldsymbol{\delta}^{(2)}\right)"
        in derivation.latex("matrix")
    )


def test_a_notation_that_cannot_say_a_network_is_refused() -> None:
    source = (
        "input x[n, k]\ntarget t[n]\nparameter c[k]\nsize k = 2\ny[n] = sum((x[n, k] - c[k])**2*c[k], k)\n"
    )
    source += "E = mean((y[n] - t[n])**2, n)\noutput y\n"
    derivation = sb.derive(sb.Network.from_equations(source))
    with pytest.raises(sb.SpecificationError, match="'zad' says z, a and δ of layers"):
        derivation.text("zad")
    deep = source.replace("c[k]\nsize", "c[k, k2]\nsize k2 = 2\nsize").replace(
        "(x[n, k] - c[k])**2*c[k], k", "x[n, k]*c[k, k2]*x[n, k2]*exp(c[k, k2] + x[n, k]), k, k2"
    )
    with pytest.raises(sb.SpecificationError, match="'matrix' can't say the equation of"):
        sb.derive(sb.Network.from_equations(deep)).text("matrix")


# ------------------------------------------------------------------------- layers that are alike

DEEP = sb.Network("-".join(["6"] * 12) + "-3", hidden="tanh", output="softmax", l2=0.01)


@pytest.fixture(scope="module")
def deep() -> Derived:
    return sb.derive(DEEP)


def test_layers_that_are_alike_are_said_once(deep: Derived) -> None:
    text = deep.text()
    assert "The layers ℓ = 1, …, 11 are alike: this holds for any such ℓ" in text
    assert re.search(r"^ +s\[ℓ,(\w)\] = Σ_(\w) x\[ℓ-1,\2\]·w\[ℓ,\2,\1\] \+ b\[ℓ,\1\]    shape", text, re.M)
    assert "  s[ℓ,j] = Σ_k x[ℓ-1,k]·w[ℓ,k,j] + b[ℓ,j]    shape" in text
    assert re.search(r"\(3\)  s2\[(\w+)\] = Σ_(\w+) x1\[\2\]·w2\[\2,\1\] \+ b2\[\1\]    shape", text)
    assert text.count("Chain rule.") < 16  # of 48 derivatives


@pytest.mark.parametrize("format", MARKUP)
def test_every_number_that_a_module_cites_is_in_its_document(deep: Derived, format: str) -> None:
    cited = set(re.findall(r"# \((\d+)\)", sb.generate(deep)))
    assert len(cited) > 60
    printed = render(deep, format, title="x")
    found = set(re.findall(r"\((\d+)\)|\\tag\{(\d+)\}", printed))
    assert cited <= {number for pair in found for number in pair}


def test_every_step_has_its_number(deep: Derived) -> None:
    text = deep.text()
    numbers = {int(n) for n in re.findall(r"\((\d+)\)", text)}
    for first, last in re.findall(r"\((\d+)\) to \((\d+)\) for ℓ = ", unwrapped(text)):
        numbers |= set(range(int(first), int(last) + 1))
    assert numbers >= {*deep.by_number, *deep.labels.values()}


def test_a_layer_that_differs_is_told_on_its_own() -> None:
    derivation = sb.derive(sb.Network("3-4:tanh-4:tanh-4:tanh-4:relu-4:tanh-4:tanh-4:tanh-1"))
    equations, layer = derivation.system.equations, derivation.system.layer
    shift = Shift(derivation)
    items = with_runs(equations, lambda e: layer(e.name), shift.same_up_to_layer)
    runs = [item for item in items if isinstance(item, LayerRun)]
    assert [run.layers for run in runs] == [(1, 2, 3), (5, 6, 7)]
    # relu changes the derivatives of its own layer and of none behind it
    steps = list(derivation.steps)
    alike = [
        r
        for r in with_runs(steps, lambda s: layer(s.target), lambda a, b, n: shift.same_up_to_layer(a, b, n))
        if isinstance(r, LayerRun)
    ]
    assert [run.layers for run in alike] == [(3, 2, 1)]


def test_a_changed_step_ends_a_run(deep: Derived) -> None:
    number = deep.results["w6"]
    step = deep.by_number[number]
    text = deep.with_step(replace(step, rhs=2 * step.rhs)).text()
    assert ") for ℓ = 6" not in unwrapped(text)
    assert f"=> ({number})  ∂E/∂w6[" in text
    assert ") for ℓ = 8" in unwrapped(text)


# ------------------------------------------------------------------------------- letters and sums


@pytest.mark.parametrize("name", EQUATIONS)
def test_an_index_letter_of_a_network_keeps_its_range(name: str) -> None:
    derivation = sb.derive(equations(name))
    assert_one_range(derivation)


DENSE = {
    "softmax": lambda: sb.derive(sb.Network("3-4:softmax-3:softmax", l2=0.1, label_smoothing=0.1)),
    "many layers": lambda: sb.derive(sb.Network("-".join("3" * 14))),
    "second order": lambda: sb.derive(sb.Network("2-2-2:softmax"), order=2),
    "input": lambda: sb.derive(sb.Network("2-3-2:softmax"), of=("x0", "w1")),
}


@pytest.mark.parametrize("name", DENSE)
def test_a_letter_has_one_range(name: str) -> None:
    assert_one_range(DENSE[name]())


def assert_one_range(derivation: Derived) -> None:
    """Assert that no letter runs over two sizes in anything that the document prints."""
    ranges: dict[str, set[Expr]] = {}
    for equation in (*derivation.system.equations, *derivation.by_number.values()):
        sides = equation.lhs, equation.rhs
        for read in set[Indexed]().union(*(side.atoms(Indexed) for side in sides)):
            for letter, size in zip(read.indices, read.base.shape, strict=True):
                if letter.is_Symbol:
                    ranges.setdefault(letter.name.rstrip("'"), set()).add(size)
        for total in set[Sum]().union(*(side.atoms(Sum) for side in sides)):
            for letter, _, high in total.limits:
                ranges.setdefault(letter.name.rstrip("'"), set()).add(high + 1)
    assert len(ranges) > 1
    assert {letter: sizes for letter, sizes in ranges.items() if len(sizes) > 1} == {}


@pytest.mark.parametrize(
    ("notation", "penalty"),
    [(None, "(λ₂/2)·Σ_{ℓ=1..4} Σ_{k,j} w[ℓ,k,j]²"), ("matrix", "Σ_{ℓ=1..4} (λ₂/2)·‖W[ℓ]‖²")],
)
def test_penalties_are_one_sum_in_every_notation(notation: str | None, penalty: str) -> None:
    text = sb.derive(sb.Network("3-3-3-3-3", l2=0.1)).text(notation)
    assert unwrapped(text).count(penalty) == 3  # as an equation, in its stable form, as the mean over a batch


def test_a_title_tells_many_equal_layers_by_the_first_and_the_last() -> None:
    assert (
        sb.derive(sb.Network("-".join(["4"] * 9)))
        .text()
        .startswith("Backpropagation through the network 4-4-…-4\n")
    )
    assert sb.derive(sb.Network("2-3-3-1")).text("layered", "ko").startswith("신경망 2-3-3-1의 역전파\n")


def test_what_is_used_is_introduced_before() -> None:
    text = unwrapped(sb.derive(sb.Network("2-3-1")).text())
    before, _, after = text.partition("Let w be one component of a parameter and g the derivative of E")
    assert after
    assert "·g" not in before
    assert text.index("𝟏 is a vector of ones") < text.index("𝟏·b1ᵀ")
    assert text.index("The targets are t[i]") < text.index("(1)  s1[j]")


@pytest.mark.parametrize(
    ("architecture", "told"),
    [("4-6:srelu-5:tanh-3", False), ("4-6:prelu-5:tanh-3", False), ("4-6:(2*s)-5:tanh-3", True)],
    ids=["srelu", "prelu", "twice"],
)
def test_a_product_of_slopes_is_told_where_all_are_known(architecture: str, told: bool) -> None:
    text = sb.derive(sb.Network(architecture)).text()
    assert ("the product of the slopes is at most" in text) == told
    if told:
        assert "the product of the slopes is at most 2." in text


def test_what_is_computed_stands_on_the_left_of_a_condition() -> None:
    derivation = sb.derive(sb.Network("4-6:srelu-3:softmax"))
    for notation in ("layered", "matrix"):
        text = derivation.text(notation)
        assert "≤ tl1" in text
        assert "tl1 ≥" not in text.replace("tl1 ≥ tr1", "")


def test_what_counts_as_cancelled_is_a_divisor_that_is_gone() -> None:
    text = (
        "input x[n, k]\ntarget t[n, i]\nparameter c[k, i], beta[i]\n"
        "r[n, i] = sum((x[n, k] - c[k, i])**2, k)\ny[n, i] = exp(-beta[i]*r[n, i])\n"
        "E = mean(sum((y[n, i] - t[n, i])**2, i)/2, n)\noutput y\n"
    )
    radial = sb.derive(sb.Network.from_equations(text))
    assert "cancellation" not in {step.rule for step in radial.steps}  # it turned a sign only
    assert "cancellation" in {step.rule for step in sb.derive(sb.Network("2-3-1")).steps}


def test_the_slopes_of_a_network_without_fractions_do_not_cancel() -> None:
    text = (
        "input x[n, p]\ntarget t[n, a]\nparameter w[u], v[u]\nsize p = 6, u = 2\n"
        "s1[n, b] = sum(x[n, b + u]*w[u], u)\nx1[n, b] = relu(s1[n, b])\n"
        "s2[n, a] = sum(x1[n, a + u]*v[u], u)\nx2[n, a] = relu(s2[n, a])\n"
        "E = mean(sum((x2[n, a] - t[n, a])**2, a)/2, n)\noutput x2\n"
    )
    printed = sb.derive(sb.Network.from_equations(text)).text()
    assert "an error is multiplied by at most 1." in printed
    assert "the slope cancels" not in printed


def test_a_sum_and_its_terms_share_a_letter() -> None:
    text = (
        "input x[n, k], state[n, i]\ntarget t[n, i]\nparameter w[k, i], u[j, i]\n"
        "r[n, i] = tanh(sum(x[n, k]*w[k, i], k))\n"
        "h[n, i] = tanh(sum(x[n, k]*w[k, i], k) + sum(r[n, j]*state[n, j]*u[j, i], j))\n"
        "E = mean(sum((h[n, i] - t[n, i])**2, i)/2, n)\noutput h\n"
    )
    derivation = sb.derive(sb.Network.from_equations(text))
    local = [step for step in derivation.steps if step.target == "r" and step.rule == "local derivative"]
    chain = next(step for step in derivation.steps if step.target == "r" and step.rule == "chain rule")
    assert local[0].lhs in chain.rhs.atoms(Derivative)


def test_index_letters_are_told_where_each_has_one_range() -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    assert "Each index letter runs over a fixed number of values: k over n0; j over n1; i over n2." in (
        derivation.text()
    )
    assert "첨자마다 값의 개수가 정해져 있다: k는 n0개; j는 n1개; i는 n2개." in derivation.text(language="ko")
    text = sb.derive(sb.Network("4-3-2:softmax")).text()
    assert "k over n0; j over n1; i and i' over n2." in unwrapped(text)


def test_two_layers_that_are_alike_are_both_named() -> None:
    printed = sb.derive(sb.Network("8-8-8-8-8-3")).text()
    assert "The layers ℓ = 2, 1 are alike" in printed
    assert "2, …, 1" not in printed
