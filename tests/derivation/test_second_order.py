"""Second derivatives, and the product of the Hessian with a vector: what gradients do along a free vector."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sympy import Expr, KroneckerDelta, Symbol
from typer.testing import CliRunner

import symbackprop as sb
from symbackprop.cli import app
from symbackprop.commands.check import check_file
from symbackprop.commands.comparison.module import check_module
from symbackprop.derivation.second_order import MOST_PARAMETERS, derive_along
from symbackprop.equations.model import SAMPLES_DRAWN
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.steps import Derived, Step
from symbackprop.errors import SelfTestFailure, SpecificationError
from symbackprop.network.random_data import sample_data
from symbackprop.numbers.evaluation import Evaluation
from symbackprop.numbers.self_test import _arrays, _drawn_parameters, require_right, require_same
from tests.conftest import MARKUP, ROOT

Arrays = Mapping[str, NDArray[np.float64]]
STEP = 1e-4

MIXING = """\
# A norm over the samples, and a gate that multiplies.
input x[n, k]
target t[n, i]
parameter w[k, j], g[j] = 1, u[j, i]
size k = 2, j = 3, i = 2
s[n, j] = sum(x[n, k]*w[k, j], k)
m[j] = mean(s[n, j], n)
v[j] = mean((s[n, j] - m[j])**2, n)
h[n, j] = g[j]*(s[n, j] - m[j])/sqrt(v[j] + 0.1)
y[n, i] = tanh(sum(h[n, j]*u[j, i], j))
E = mean(sum((y[n, i] - t[n, i])**2, i), n)
output y
"""
APART = """\
# What a sample has in more than the others.
input x[n, k]
target t[n]
parameter w[k, j], u[j]
size k = 2, j = 3
s[n, j] = sum(x[n, k]*w[k, j], k)
m[j] = mean(s[n, j], n)
h[n, j] = s[n, j] - m[j]
y[n] = sum(h[n, j]**2*u[j], j)
E = mean((y[n] - t[n])**2, n)
output y
"""
GUARDED = """\
# A sum over places that a guard keeps inside, and noise.
input x[n, p]
parameter w[u], v[p]
noise kept[n, p] = bernoulli(0.8)
size p = 4, u = 3
s[n, p] = sum(where(0 <= p + u - 1 < size(p), x[n, p + u - 1], 0)*w[u], u)
h[n, p] = tanh(s[n, p])*where(training, kept[n, p]/0.8, 1)
y[n] = sum(h[n, p]*v[p], p)
E = mean((y[n] - x[n, 0])**2, n)
output y
"""
PENALTY = """\
# An error that holds a derivative itself, and a whole number that is no parameter's.
input x[n, k]
integer input c[n]
target t[n]
parameter w[k, j], u[c, j], b
size k = 2, j = 3, c = 4
h[n, j] = tanh(sum(x[n, k]*w[k, j], k))
y[n] = sum(h[n, j]*u[c[n], j], j) + b
g[n, k] = gradient(y[n], x[n, k])
E = mean((y[n] - t[n])**2 + sum(g[n, k]**2, k), n)
output y
"""


@cache
def network(name: str) -> sb.Network:
    texts = {"mixing": MIXING, "apart": APART, "guarded": GUARDED, "penalty": PENALTY}
    if name in texts:
        return sb.Network.from_equations(texts[name])
    if name == "max_pooling":
        return sb.Network.from_file(ROOT / "examples" / "max_pooling.net")
    kinds = {
        "2-3-1": sb.Network("2-3-1"),
        "softmax": sb.Network("3-4:tanh-3:softmax", l2=0.1),
        "deep": sb.Network("2-3:swish-3:softplus-2:identity", bias=False),
        "relu": sb.Network("3-4:relu-2:identity"),
    }
    return kinds[name]


NAMES = ("2-3-1", "softmax", "deep", "relu", "apart", "mixing", "penalty")


@cache
def second(name: str) -> sb.Derivation:
    return sb.derive(network(name), order=2)


@cache
def product(name: str) -> sb.Derivation:
    return sb.derive(network(name)).hessian_vector_product()


class Point:
    """A network at a random point with a random vector, and what its gradients do along the vector."""

    def __init__(self, name: str) -> None:
        model = network(name).model
        generator = np.random.default_rng(3)
        self.x, self.t = sample_data(model, generator)
        self.parameters = _drawn_parameters(model, generator)
        self.vector = {n: generator.normal(size=np.shape(p)) for n, p in self.parameters.items()}
        self.arrays = _arrays(model, self.x, self.t, self.parameters)
        self.sizes = {SAMPLES.name: SAMPLES_DRAWN, **model.sizes}
        self.module = sb.load(network(name))

    @property
    def product(self) -> Arrays:
        """The product of the Hessian with the vector, by differences of the generated gradients."""

        def gradients(length: float) -> Arrays:
            moved = {n: p + length * self.vector[n] for n, p in self.parameters.items()}
            found: Arrays = self.module.gradients(moved, self.x, self.t)[1]
            return found

        near, far = ([gradients(s * STEP) for s in (length, -length)] for length in (1, 2))
        return {
            n: (8 * (near[0][n] - near[1][n]) - (far[0][n] - far[1][n])) / (12 * STEP)
            for n in self.parameters
        }

    def evaluated(self, derived: Derived, further: Arrays | None = None) -> Evaluation:
        return Evaluation(derived, {**self.arrays, **(further or {})}, self.sizes).run()


@pytest.mark.parametrize("name", ["2-3-1", "apart", "guarded"])
def test_the_generated_product_is_what_the_generated_gradients_do(name: str) -> None:
    own = network(name)
    module = sb.load(own, hessian_vector=True)
    generator = np.random.default_rng(5)
    x, t = sample_data(own.model, generator)
    parameters = module.initialize(2, dtype=np.float64)
    vector = {n: generator.normal(size=np.shape(p)) for n, p in parameters.items()}
    noise = {"noise": module.draw_noise(generator, SAMPLES_DRAWN)} if own.model.noise else {}
    found = module.hessian_vector_product(parameters, x, t, vector, **noise)
    moved = (
        module.gradients({n: p + s * STEP * vector[n] for n, p in parameters.items()}, x, t, **noise)[1]
        for s in (-2, -1, 1, 2)
    )
    before, near, ahead, far = moved
    for n, value in found.items():
        slope = (8 * (ahead[n] - near[n]) - (far[n] - before[n])) / (12 * STEP)
        assert close(value, slope)


def test_a_wrong_product_does_not_leave_the_package() -> None:
    derivation = sb.derive(sb.Network("2-3-1"))
    assert derivation.model is not None
    right = derive_along(derivation.model)
    module = sb.load(derivation, hessian_vector=True)
    require_same(lambda: module, derivation, right)
    step = next(step for step in right.batch if step.target == "w2")
    wrong = right.with_step(Step(step.number, step.target, step.rule, step.lhs, 1.01 * step.rhs))
    with pytest.raises(SelfTestFailure, match="the part of the Hessian's product with a vector for w2"):
        require_same(lambda: module, derivation, wrong)


def product_of_blocks(point: Point, derived: Derived) -> Arrays:
    """Return the product of the second derivatives with the vector, each pair in both orders."""
    numbers = point.evaluated(derived)
    found = {name: np.zeros(np.shape(value)) for name, value in point.parameters.items()}
    for (one, other), name in derived.second.items():
        block = np.asarray(numbers.values[name])
        block = block.mean(axis=0) if name in numbers.varying else block
        axes = np.ndim(point.vector[one])
        found[one] += np.tensordot(block, point.vector[other], axes=np.ndim(point.vector[other]))
        if one != other:
            found[other] += np.tensordot(point.vector[one], block, axes=axes)
    return found


def close(found: Any, expected: Any) -> bool:
    return bool(np.abs(found - expected).max() <= 1e-8 * max(1.0, float(np.abs(expected).max())))


@pytest.mark.parametrize("name", NAMES)
def test_second_derivatives_are_what_the_gradients_do(name: str) -> None:
    point = Point(name)
    found = product_of_blocks(point, second(name))
    assert all(close(found[n], value) for n, value in point.product.items())


@pytest.mark.parametrize("name", NAMES)
def test_the_product_with_a_vector_is_what_the_gradients_do(name: str) -> None:
    point, derived = Point(name), product(name)
    assert derived.model is not None
    assert derived.model.along is not None
    vectors = {derived.model.along.vectors[n]: value for n, value in point.vector.items()}
    numbers = point.evaluated(derived, vectors)
    assert all(close(numbers.gradient(n), value) for n, value in point.product.items())


@pytest.mark.parametrize("name", ["2-3-1", "apart", "mixing", "max_pooling"])
def test_every_step_is_proved(name: str) -> None:
    for derived in (second(name), product(name)):
        verdicts = sb.prove(derived)
        assert {v.step.number for v in verdicts} == set(derived.by_number)
        assert all(v.holds for v in verdicts)


def test_a_wrong_step_is_found() -> None:
    derived = second("2-3-1")
    inner = next(each for each in derived.inner if str(each.root).startswith("dE_dw2"))
    step = inner.by_number[inner.results["x1"]]
    broken = derived.with_step(Step(step.number, step.target, step.rule, step.lhs, 2 * step.rhs))
    assert [v.step.number for v in sb.prove(broken) if not v.holds] == [step.number]


def test_a_wrong_second_derivative_does_not_leave_the_package() -> None:
    derived = second("2-3-1")
    wrong = derived.second["w2", "w1"]
    equations = tuple(
        replace(e, rhs=1.01 * e.rhs) if e.name == wrong else e for e in derived.system.equations
    )
    broken = replace(derived, system=replace(derived.system, equations=equations))
    require_right(derived)
    with pytest.raises(SelfTestFailure, match=rf"{wrong}, equation \({derived.labels[wrong]}\), is wrong"):
        require_right(broken)
    point = Point("2-3-1")
    found = product_of_blocks(point, broken)
    assert [n for n, value in point.product.items() if not close(found[n], value)] == ["w1", "w2"]


def test_the_hessian_in_forward_quantities() -> None:
    d = sb.derive(sb.Network("2-3-1"))
    j, i, k, m = d.indices("w2", "w1")
    x0, x1, x2, t, w2 = (d.system.quantities[name] for name in ("x0", "x1", "x2", "t", "w2"))
    local = (x2[i] - t[i]) * KroneckerDelta(j, m) + x2[i] * (1 - x2[i]) * w2[m, i] * x1[j]
    assert (d.hessian("w2", "w1") / (x0[k] * x1[m] * (1 - x1[m])) - local).expand() == 0
    assert d.indices("w2", "w2")[:2] == d.indices("w2")
    at = dict(zip(d.indices("w1", "w2"), (k, m, j, i), strict=True))
    assert (d.hessian("w1", "w2").xreplace(at) - d.hessian("w2", "w1")).expand() == 0
    assert second("2-3-1").hessian("w2", "w1") == d.hessian("w2", "w1")
    assert "Sum(ds2" not in str(d.hessian("w1", "w1"))
    assert "_" not in str(d.hessian("w1", "w1"))  # indices are letters
    assert "ddE_dw2_ds1" in str(d.hessian("w2", "w1", inline=False))


def test_where_a_slope_is_constant_on_both_sides_the_second_derivative_is_0_and_the_kink_named() -> None:
    d = sb.derive(sb.Network("3-5:relu-2:identity", loss="absolute_error"), order=2)
    zero = {pair for pair, name in d.second.items() if d.system.definitions[name].rhs == 0}
    assert zero == d.second.keys() - {("w2", "w1"), ("w2", "b1")}
    text = d.text()
    assert "∂(∂E/∂s2[i])/∂x2[i] is taken as 0 where x2[i] = t[i]" in text
    assert "∂(∂E/∂s1[j''])/∂s1[j] is taken as 0 where s1[j''] = 0" in text


def test_letters_of_a_derivative_that_is_derived_are_none_of_the_equations() -> None:
    """Else δ(j,j) would stand for two indices of one name."""
    for derived in (second("2-3-1"), second("softmax")):
        text = derived.text()
        assert "δ(" in text
        assert not any(f"δ({i},{i})" in text for i in "ijkl")


def test_some_of_the_parameters() -> None:
    d = sb.derive(sb.Network("2-3-1"), of=("w1", "b2"), order=2)
    assert list(d.second) == [("b2", "b2"), ("b2", "w1"), ("w1", "w1")]
    assert "w2[" in str(d.hessian("w2", "b2")) or d.hessian("w2", "b2") != 0  # derived when asked for


@pytest.mark.parametrize("form", [*MARKUP, "html"])
def test_documents_in_every_format(form: str) -> None:
    language = "ko" if form in ("text", "latex") else "en"
    for derived, said in ((second("2-3-1"), r"\partial^{2} E"), (product("2-3-1"), r"\partial D")):
        document = derived.document(form, "zad", language=language)
        assert {"text": "∂", "html": "<math"}.get(form, said) in document


def test_the_text_says_what_is_sought() -> None:
    text = second("2-3-1").text()
    assert "∂²E/∂w2[j,i]∂w1[k,j'] = x0[k]·∂(∂E/∂w2[j,i])/∂s1[j']    shape (n1, n2, n0, n1)" in text
    assert "A second derivative is the same in either order" in text
    assert "∂²E/∂b2[i]²" in text
    text = product("2-3-1").text()
    assert "D says how much E changes along the vector of all v_w1[k,j], …, v_b2[i]" in text
    assert "The vector has a part for each parameter: v_w1[k,j] of shape (n0, n1)" in text
    assert "∂D/∂w1[k,j] = (1/N)·Σ_n ∂D[n]/∂s1[n,j]·x0[n,k]" in text


def test_a_fact_that_an_inner_derivation_rests_on_is_stated() -> None:
    text = second("softmax").text()
    assert "∂E/∂s2[i] = x2[i] - t[i]" in text
    assert "Σ_i t[i] = 1 for the targets of every sample" in text


def test_the_product_of_many_layers_and_the_product_of_the_product() -> None:
    deep = sb.derive(sb.Network("2-2-2-2-2-2-2-2")).hessian_vector_product()
    assert {"w1", "w7", "b7"} <= set(deep.results)
    third = product("2-3-1").hessian_vector_product()
    assert third.model is not None
    assert third.model.along is not None
    assert third.model.along.loss == "D"


def refusal(**options: Any) -> str:
    with pytest.raises(SpecificationError) as caught:
        sb.derive(sb.Network("2-3-1"), **options)
    return str(caught.value)


def test_refusals() -> None:
    assert "order: '3' is not derived; 1 is the gradient" in refusal(order=3)
    assert "order: 'True'" in refusal(order=True)
    assert "order: '2.0'" in refusal(order=2.0)
    assert "second derivatives: no parameter; known are: b1, b2, w1, w2" in refusal(order=2, of=())
    assert "'w22' is not known; did you mean 'w2'?" in refusal(order=2, of="w22")
    assert "'x1' is no parameter" in refusal(order=2, of="x1")
    with pytest.raises(SpecificationError, match="'w11' is not known; did you mean 'w1'"):
        sb.derive(sb.Network("2-3-1")).hessian("w2", "w11")
    large = sb.Network("-".join("2" * (MOST_PARAMETERS // 2 + 2)))
    with pytest.raises(
        SpecificationError, match="too many to write out; name at most 8 of them, or take the"
    ):
        sb.derive(large, order=2)
    assert len(sb.derive(large, order=2, of=("w1", "w2")).second) == 3


def told(*arguments: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["derive", *arguments])
    return found.exit_code, found.output if found.exception is None else f"{found.output}{found.exception}"


def test_the_command_line() -> None:
    status, text = told("2-3-1", "--order", "2", "--of", "w1,w2")
    assert status == 0
    assert "∂²E/∂w2[j,i]∂w1[k,j']" in text
    assert "b1[j]∂" not in text
    status, text = told("2-3-1", "--hessian-vector", "--only", "results")
    assert status == 0
    assert "∂D/∂w2[j,i]" in text
    for arguments, problem in (
        (("2-3-1", "--order", "0"), "order: '0' is not derived"),
        (("--depth", "L", "--order", "2"), "--order: --depth has no meaning beside it"),
        (("2-3-1", "--order", "2", "--optimizer", "adam"), "--order: --optimizer has no meaning"),
        (("2-3-1", "--hessian-vector", "--of", "w1"), "--hessian-vector: --of has no meaning beside it"),
        (("--hessian-vector", "--depth", "L"), "--hessian-vector: --depth has no meaning"),
    ):
        assert problem in told(*arguments)[1]


def test_the_command_line_generates_the_product(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    found = CliRunner().invoke(app, ["generate", "2-2", "--hessian-vector", "-o", str(path)])
    assert found.exit_code == 0
    text = path.read_text(encoding="utf-8")
    assert "def hessian_vector_product(" in text
    assert "those of `symbackprop derive --hessian-vector`" in " ".join(text.split())
    plain = sb.generate(sb.Network("2-2"))
    assert "hessian" not in plain
    numbers = {int(n) for n in re.findall(r"# \((\d+)\) ∂D/", text)}
    product = sb.derive(sb.Network("2-2")).hessian_vector_product()
    assert numbers <= {*product.by_number}


@pytest.mark.slow
def test_a_file_with_the_product_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    text = sb.generate(sb.Network("2-2"), path, hessian_vector=True)
    report = check_file(path)
    assert report.holds
    assert "is what this version generates" in report.table()
    path.write_text(
        re.sub(r"(    dw1 = .*\n    # .*\n    db1 = .*\n    return \{)", r"    ds1 *= 1.01\n\1", text)
    )
    wrong = [c.subject for c in check_file(path).comparisons if c.made and not c.holds]
    assert wrong == ["hessian_vector_product"]


def test_a_network_without_parameters_has_no_hessian() -> None:
    text = "input x[n, k]\nE = mean(sum(x[n, k]**2, k), n)\noutput x\nsize k = 2\n"
    with pytest.raises(SpecificationError):
        sb.derive(sb.Network.from_equations(text)).hessian_vector_product()


def test_other_names_for_letters_and_vectors_where_these_are_taken() -> None:
    text = """\
input x[n, k], v_w[k]
target t[n]
parameter w[k], D
size k = 2
y[n] = exp(sum(x[n, k]*w[k]*v_w[k], k)) + D**2
E = mean((y[n] - t[n])**2, n)
output y
"""
    derived = sb.derive(sb.Network.from_equations(text)).hessian_vector_product()
    assert derived.model is not None
    assert derived.model.along is not None
    assert derived.model.along.vectors == {"w": "v_w_", "D": "v_D"}
    assert derived.system.loss == "D_"
    assert all(v.holds for v in sb.prove(derived))


def test_symbols_are_index_letters() -> None:
    letters: tuple[Expr, ...] = second("apart").indices("u", "w")
    assert len(set(letters)) == 3
    assert all(isinstance(i, Symbol) for i in letters)


def test_what_a_step_leaves_in_a_state_is_no_part_of_the_product() -> None:
    """The bias before a mean is subtracted has no second derivatives, but for rounding."""
    text = """\
input x[n, k]
target t[n, i]
parameter w[k, i], b[i], v[i]
state m[i] = 0.5
size k = 3, i = 2
s[n, i] = sum(x[n, k]*w[k, i], k) + b[i]
middle[i] = mean(s[n, i], n)
z[n, i] = tanh((s[n, i] - middle[i])*3 + m[i]*v[i])
m[i] <- 0.9*m[i] + 0.1*middle[i]
E = mean(sum((z[n, i] - t[n, i])**2, i), n)
output z
"""
    derivation = sb.derive(sb.Network.from_equations(text))
    product = derivation.hessian_vector_product()
    assert not any(equation.name.startswith("m_new") for equation in product.system.equations)
    module = sb.load(derivation, hessian_vector=True)
    rows = check_module(module, derivation)
    assert all(row.holds for row in rows), [row for row in rows if not row.holds]
    assert "hessian_vector_product" in {row.subject for row in rows}
