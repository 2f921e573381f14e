"""TraceSections examples: published figures, every step evaluated, what is printed, wrong input."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import symbackprop as sb
from symbackprop.cli import app
from symbackprop.commands.trace import Trace, trace
from symbackprop.equations.steps import Step
from symbackprop.equations.system import name_of
from symbackprop.errors import SpecificationError
from symbackprop.numbers.evaluation import Evaluation
from tests import plain_loops
from tests.conftest import MARKUP, REFERENCE
from tests.numbered_networks import NETWORKS

MAZUR = json.loads((REFERENCE / "mazur.json").read_text(encoding="utf-8"))
WEIGHTS = {name: MAZUR[name] for name in ("w1", "b1", "w2", "b2")}
NUMBER = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")


@pytest.fixture(scope="module")
def mazur() -> Trace:
    net = sb.Network("2-2-2", loss="squared_error")
    return trace(net, parameters=WEIGHTS, x=MAZUR["x"], t=MAZUR["t"], freeze=("b1", "b2"), digits=9)


def network(name: str) -> sb.Network:
    if name in NETWORKS:
        return sb.Network.from_equations(NETWORKS[name]).with_small_sizes()
    return sb.Network(name, l2=0.1)


def flat(value: Any) -> list[float]:
    return [float(v) for v in np.ravel(value)]


# ------------------------------------------------------------------------------------ published figures


def test_the_published_example_to_the_last_digit(mazur: Trace) -> None:
    computed = MAZUR["computed"]
    found = {
        "h": mazur.numbers.values["x1"],
        "outputs": mazur.numbers.values["x2"],
        "E": mazur.loss,
        "grad_w1": mazur.gradients["w1"],
        "grad_w2": mazur.gradients["w2"],
        "w1_after": mazur.updated["w1"],
        "w2_after": mazur.updated["w2"],
        "E_after": mazur.loss_after,
    }
    for name, value in found.items():
        np.testing.assert_allclose(value, computed[name], rtol=0, atol=1e-14, err_msg=name)
    np.testing.assert_array_equal(mazur.updated["b1"], WEIGHTS["b1"])


def test_w2_moved_first_gives_another_figure(mazur: Trace) -> None:
    premature = mazur.premature
    assert premature is not None
    assert premature.moved == ("w2",)
    assert premature.loss_repeated == pytest.approx(
        MAZUR["computed"]["E_after_if_output_weights_move_first"], abs=1e-14
    )
    # the error that the article prints comes from w2 that has moved in a pass that goes on
    assert premature.loss_after == pytest.approx(MAZUR["published"]["E_after_as_published"], abs=1e-9)
    np.testing.assert_array_equal(premature.gradients["w2"], mazur.gradients["w2"])
    assert abs(premature.gradients["w1"] - mazur.gradients["w1"]).max() > 1e-5


@pytest.mark.parametrize("form", ["text", "markdown", "latex"])
def test_every_published_number_is_printed(mazur: Trace, form: str) -> None:
    document = mazur.document(form)
    plain = re.sub(r" \\cdot 10\^\{(-?\d+)\}", r"e\1", document)
    printed = np.array([float(n) for n in NUMBER.findall(plain)])
    for name, value in MAZUR["published"].items():
        for number in flat(value):
            assert np.abs(printed - number).min() < 1e-8, f"{name}: {number}"
    for name in ("grad_w1", "grad_w2"):
        for number in flat(MAZUR["computed"][name]):
            assert np.abs(printed - number).min() < 1e-8 * abs(number), f"{name}: {number}"


def test_a_step_is_written_as_the_substitution_and_the_result(mazur: Trace) -> None:
    text = mazur.text()
    for line in (
        "s1[0] = 0.05·0.15 + 0.1·0.2 + 0.35 = 0.3775",
        "∂E/∂w2[0,0] = 0.138498562·0.593269992 = 0.0821670406",
        "w2[0,0] ← 0.4 - 0.5·0.0821670406 = 0.35891648",
        "∂E/∂s2[1] = (-0.217071535)·0.772928465·(1 - 0.772928465) = -0.0380982365",
    ):
        assert line in text
    assert "If w2 moved first, ∂E/∂x1[j] would read the new values" in " ".join(text.split())
    assert "b1[0] ←" not in text
    numbers = {*mazur.derivation.labels.values(), *mazur.derivation.by_number}
    assert numbers == {int(n) for n in re.findall(r"^(?:=>|  ) +\((\d+)\)", text, re.MULTILINE)}


# ------------------------------------------------------------------------------------------- every step


@pytest.mark.parametrize("name", ["3-4:relu-3:softmax", "2-2-3-2", *NETWORKS])
def test_all_steps_to_one_derivative_give_its_numbers(name: str) -> None:
    net = network(name)
    found = trace(net, seed=3, digits=9)
    seen: dict[tuple[object, bool], np.ndarray[Any, Any]] = {}
    for step in found.derivation.by_number.values():
        if step.rule == "update":
            continue
        values = found[step.number]
        assert np.isfinite(values).all(), step
        before = seen.setdefault((step.lhs, step.rule == "batch mean"), values)
        np.testing.assert_allclose(values, before, rtol=1e-9, atol=1e-12, err_msg=str(step))
    given = found.numbers.values
    model = found.derivation.model
    assert model is not None
    module = sb.load(found.derivation)
    arguments = [
        given[kind[0].name] if len(kind) == 1 else {each.name: given[each.name] for each in kind}
        for kind in (model.inputs, model.targets)
    ]
    loss, gradients = module.gradients({n: given[n] for n in found.gradients}, *arguments)
    assert found.loss == pytest.approx(float(loss), rel=1e-12)
    for parameter, value in gradients.items():
        np.testing.assert_allclose(found.gradients[parameter], value, rtol=1e-9, atol=1e-13)
    text = found.text()
    assert "nan" not in text
    assert f"{found.loss_after:.9g}" in text


@pytest.mark.parametrize("name", ["batch norm", "guarded"])
def test_the_equations_agree_with_plain_loops(name: str) -> None:
    found = trace(network(name), seed=1)
    system = found.derivation.system
    sizes: dict[Any, float] = {}
    for quantity in system.quantities.values():
        for symbol in sorted({s for n in quantity.shape for s in n.free_symbols}, key=str):
            sizes[symbol] = found.numbers.sizes[symbol.name]
    sizes |= {
        s: found.numbers.scalars[s]
        for equation in system.equations
        for s in equation.rhs.free_symbols
        if s in found.numbers.scalars
    }
    own = found.numbers
    leaves = {n: own.values[n] for n in system.quantities if n not in system.definitions}
    leaves = {n: v[0] if n in own.varying else v for n, v in leaves.items()}
    for quantity_name, value in plain_loops.run(system.equations, leaves, sizes).items():
        mine = own.values[quantity_name]
        mine = mine[0] if quantity_name in own.varying else mine
        np.testing.assert_allclose(mine, value, rtol=1e-12, atol=1e-15)


def test_a_wrong_step_gives_wrong_numbers(mazur: Trace) -> None:
    """What is evaluated are the steps themselves."""
    derivation = mazur.derivation
    step = derivation.by_number[derivation.results["s1"]]
    wrong = derivation.with_step(Step(step.number, step.target, step.rule, step.lhs, 2 * step.rhs))
    leaves = {n: v for n, v in mazur.numbers.values.items() if n in ("x0", "t", *WEIGHTS)}
    numbers = Evaluation(wrong, leaves, mazur.numbers.sizes).run()
    np.testing.assert_allclose(numbers.gradient("w1"), 2 * mazur.gradients["w1"], rtol=1e-12)
    np.testing.assert_allclose(numbers.gradient("w2"), mazur.gradients["w2"], rtol=1e-12)


def test_a_batch_is_worked_out_for_its_first_sample_and_listed(tmp_path: Path) -> None:
    x, t = [[0.05, 0.1], [0.3, -0.2], [1.0, 0.5]], [[0.01, 0.99], [0.2, 0.4], [0.5, 0.5]]
    np.savez(tmp_path / "data.npz", x=x, t=t)
    np.savez(tmp_path / "parameters.npz", **WEIGHTS)
    arguments = [
        "trace",
        "2-2-2",
        "--loss",
        "squared_error",
        "--digits",
        "9",
        "--parameters",
        str(tmp_path / "parameters.npz"),
    ]
    result = CliRunner().invoke(app, [*arguments, "--data", str(tmp_path / "data.npz")])
    assert result.exit_code == 0, result.output
    assert "There are 3 samples." in result.output
    assert "s1[0] = 0.05·0.15 + 0.1·0.2 + 0.35 = 0.3775" in result.output
    assert "all samples: s1[j] = [[0.3775, 0.3925], [0.355, 0.365], [0.6, 0.75]]" in result.output
    module = sb.load(sb.Network("2-2-2", loss="squared_error"))
    weights = {name: np.array(value) for name, value in WEIGHTS.items()}
    assert f"{module.loss(weights, np.array(x), np.array(t)):.9g}" in result.output


# ---------------------------------------------------------------------------------------- what is printed


def test_long_arrays_are_abbreviated_and_drawn_numbers_are_short() -> None:
    text = trace(sb.Network("40-30-5")).text()
    assert len(text) < 40_000
    assert re.search(r"s1\[0\] = \S+ \+ \S+ \+ … \+ \S+ \+ 0 = ", text)
    assert re.search(r"^x0 = \[(-?\d+(\.\d{1,2})?, ){2}…, -?\d+(\.\d{1,2})?\]$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def softmax() -> Trace:
    return trace(sb.Network("3-4:relu-3:softmax", l2=0.01))


@pytest.mark.parametrize("form", MARKUP)
def test_formulas_are_balanced(softmax: Trace, form: str) -> None:
    document = softmax.document(form)
    for left, right in ("()", "[]", "{}"):
        assert document.count(left) == document.count(right)
    assert document.count(r"\begin{") == document.count(r"\end{")
    if form == "text":
        assert max(map(len, document.splitlines())) <= 120
        assert re.search(r"exp\(\S+\)/\(exp\(\S+\) \+ exp\(\S+\) \+ exp\(\S+\)\) = 0\.", document)


def test_the_bytes_do_not_depend_on_the_hash_seed() -> None:
    code = (
        "import symbackprop as sb; n = sb.Network('2-3-2'); "
        "print(sb.trace(n).text() + sb.exercise(n).latex() + "
        "sb.verify(n, 'ds1[j] = sum(ds2[i], i)*x1[j]').report(), end='')"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONIOENCODING": "utf-8"}
    run = subprocess.run([sys.executable, "-B", "-c", code], env=environment, capture_output=True, check=True)
    n = sb.Network("2-3-2")
    claim = sb.verify(n, "ds1[j] = sum(ds2[i], i)*x1[j]")
    own = sb.trace(n).text() + sb.exercise(n).latex() + claim.report()
    assert run.stdout.decode() == own


def test_the_order_of_updates_is_left_out_where_it_makes_no_difference() -> None:
    found = trace(sb.Network("3-2"))
    assert found.premature is None
    assert "order of the updates" not in found.text()


# -------------------------------------------------------------------------------------------- wrong input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": {**WEIGHTS, "w3": [1.0]}}, "'w3' is no parameter; known are"),
        ({"parameters": {"weights1": 1.0}}, "'weights1' is no parameter"),
        ({"parameters": {"w1": WEIGHTS["w1"]}}, "b1 is missing"),
        ({"parameters": {**WEIGHTS, "w1": [[1.0, 2.0]]}}, r"w1: has shape \(1, 2\), not \(2, 2\)"),
        ({"parameters": {**WEIGHTS, "w1": "abc"}}, "w1: must hold real numbers"),
        ({"x": [[1.0, 2.0]]}, "give both"),
        ({"x": [[1.0]], "t": [[0.0, 1.0]]}, r"x: has shape \(1, 1\)"),
        ({"x": [[1.0, np.nan]], "t": [[0.0, 1.0]]}, "finite"),
        ({"x": [[1.0, 2.0]] * 2, "t": [[0.0, 1.0]]}, r"t: has shape \(1, 2\), not \(2, 2\)"),
        ({"freeze": ("b3",)}, "'b3' is no parameter"),
        ({"learning_rate": -1.0}, "expected a positive number"),
        ({"learning_rate": float("inf")}, "expected a positive number"),
        ({"seed": -1}, "whole number"),
        ({"digits": 2}, "digits: expected a whole number from 3 to 17, got 2"),
        ({"digits": 18}, "digits: expected a whole number from 3 to 17, got 18"),
        ({"digits": True}, "digits: expected a whole number from 3 to 17"),
    ],
)
def test_wrong_input_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        trace(sb.Network("2-2-2", loss="squared_error"), **options)


def test_data_outside_of_what_the_loss_assumes() -> None:
    with pytest.raises(SpecificationError, match="between 0 and 1"):
        trace(sb.Network("2-2"), x=[0.1, 0.2], t=[0.5, 1.5])
    with pytest.raises(SpecificationError, match="add up to 1"):
        trace(sb.Network("2-2:softmax"), x=[0.1, 0.2], t=[0.5, 0.4])


def test_wrong_files(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["trace", "2-1", *arguments])
        assert isinstance(result.exception, SpecificationError)
        assert not result.output
        return str(result.exception)

    (tmp_path / "text.npz").write_text("hello")
    assert "is no .npz file" in run("--data", str(tmp_path / "text.npz"))
    assert "there is no such file" in run("--parameters", str(tmp_path / "none.npz"))
    np.savez(tmp_path / "other.npz", x=np.ones((1, 2)), target=np.ones((1, 1)))
    assert "'target' is no input or target; known are: t, x" in run("--data", str(tmp_path / "other.npz"))
    np.savez(tmp_path / "half.npz", x=np.ones((1, 2)))
    assert "there is no array t" in run("--data", str(tmp_path / "half.npz"))
    np.savez(tmp_path / "objects.npz", x=np.array([{}, {}]), t=np.ones((1, 1)))
    assert "is no .npz file of numbers" in run("--data", str(tmp_path / "objects.npz"))
    np.save(tmp_path / "one.npy", np.ones(2))
    assert "one array without a name" in run("--data", str(tmp_path / "one.npy"))


def test_names_in_the_test_networks_are_what_the_tests_say() -> None:
    system = sb.derive(network("radial")).system
    assert [name_of(e.lhs) for e in system.equations] == ["r", "y", "E"]


def test_layers_that_are_alike_are_worked_out_one_by_one() -> None:
    found = sb.trace(sb.Network("-".join(["2"] * 8), hidden="tanh"))
    text = found.text()
    for layer in range(1, 8):
        assert f"∂E/∂w{layer}[0,0] = " in text


def test_numbers_have_the_digits_that_are_asked_for() -> None:
    six = trace(sb.Network("2-2-2"))
    assert six.digits == 6
    for digits, value, rate in (
        (3, "0.547", "0.5"),
        (6, "0.547308", "0.5"),
        (17, "0.5473080662227215", "0.5"),
    ):
        found = replace(six, digits=digits)
        assert found.numbers.values["x1"][0, 0] == pytest.approx(float(value), rel=10.0 ** (1 - digits))
        assert re.search(rf"x1\[0\] = 1/\(1 \+ exp\(-\S+\)\) = {value}\n", found.text())
        assert f"learning rate is {rate}." in found.text()


def test_what_came_out_stands_last_with_the_numbers_of_its_equations(mazur: Trace) -> None:
    *_, table = mazur.text().rpartition("What came out\n")
    table = re.sub(r"\n {12,}", " ", table)  # long lines go on below
    derivation = mazur.derivation
    found = dict(re.findall(r"^ +\(\d+\)  (\S+) +(.+)$", table, re.MULTILINE))
    numbers = {name: int(n) for n, name in re.findall(r"^ +\((\d+)\)  (\S+)", table, re.MULTILINE)}
    assert [*found] == [
        *("x2", "E", "∂E/∂w1[k,j]", "∂E/∂b1[j]", "∂E/∂w2[j,i]", "∂E/∂b2[i]"),
        *("w1'", "w2'", "E'"),  # biases are frozen
    ]
    assert numbers["x2"] == derivation.labels["x2"]
    assert numbers["∂E/∂w2[j,i]"] == next(s.number for s in derivation.batch if s.target == "w2")
    assert numbers["w1'"] == derivation.update[-1].number
    values = {"x2": mazur.numbers.values["x2"][0], "∂E/∂w1[k,j]": mazur.gradients["w1"]}
    values |= {"w2'": mazur.updated["w2"], "E'": np.array(mazur.loss_after), "E": np.array(mazur.loss)}
    for name, value in values.items():
        np.testing.assert_allclose(json.loads(found[name]), value, rtol=1e-8)


def test_textbook_numbers_tell_their_layers(mazur: Trace) -> None:
    """Where a number stands in place of its letter, the letter no longer tells the layer."""
    text = mazur.markdown(notation="textbook")
    assert r"\frac{\partial E}{\partial w_{kj}}" in text
    values: dict[str, set[str]] = {}
    for left, value in re.findall(r"\\partial E\}\{\\partial ([wb]\S*\d\})\}[^\\]*? = (-?\d\S*)", text):
        values.setdefault(left, set()).add(value)
    assert values
    assert all(name.startswith(("w^{(", "b^{(")) for name in values)


def test_latex_has_numbers_in_two_columns_and_flat_derivatives(mazur: Trace) -> None:
    latex = mazur.latex()
    assert r"\frac{\partial" not in latex
    number = r"-?[\d.]+(?: \\cdot 10\^\{-?\d+\})?"
    first, second = (rf"s\^\{{\(1\)\}}_\{{{unit}\}} = " for unit in (0, 1))
    assert re.search(rf"\\begin\{{aligned\}} & {first}.{{5,60}}= {number} \\quad & & {second}", latex)
    for heading in ("How an error changes", "The error", "Stochastic"):
        assert heading not in latex  # there are no numbers to them


def test_a_trace_tells_one_learning_rate_and_cites_what_it_shows(mazur: Trace) -> None:
    text = " ".join(mazur.text().split())
    assert "The learning rate is 0.5." in text
    assert "with learning_rate = 0.5." in text
    assert "learning_rate = 0.1" not in text
    shown, name = re.findall(r"\((\d+)\) ∂E/∂(w1)\[\d,\d\] = \S+ ≠", text)[0]
    assert int(shown) == mazur.derivation.results[name]
