"""Derivatives of what is asked for: parameters, inputs, anything between, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import symbackprop as sb
from symbackprop.cli import app
from symbackprop.commands.verify.points import point
from symbackprop.equations.system import name_of
from symbackprop.errors import SpecificationError
from tests.conftest import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.net"))
SLOW = {"digits_convolution", "transformer", "convolution_2d", "gru"}


def of_text(text: str) -> sb.Network:
    return sb.Network.from_equations(text)


APART = """\
input x[n, k]
integer input token[n]
target t[n, i]
parameter w[k, i], e[v, i]
size k = 2, i = 3, v = 4
z[n, k] = tanh(x[n, k])*2
h[n, i] = e[token[n], i]
y[n, i] = sum(x[n, k]*w[k, i], k) + h[n, i]
E = mean(sum((y[n, i] - t[n, i])**2, i)/2, n)
output z
"""


def test_an_input_is_derived_for_and_nothing_else() -> None:
    d = sb.derive(sb.Network("2-3-1"), of=("x0",))
    assert list(d.results) == ["x2", "s2", "x1", "s1", "x0"]
    assert str(d.gradient("x0")) == "Sum(ds1[j]*w1[k, j], (j, 0, n1 - 1))"
    assert {step.target for step in d.steps} == set(d.results)
    assert (d.batch, d.update, d.stable) == ((), (), ())
    assert list(sb.derive(sb.Network("2-3-1"), of=("b2", "x1")).results) == ["x2", "s2", "b2", "x1"]
    assert sb.derive(sb.Network("2-3-1"), of="b2,x1").of == ("b2", "x1")


def test_what_was_not_asked_for_is_derived_when_it_is_asked_for() -> None:
    d = sb.derive(sb.Network("2-3-1"))
    only = sb.derive(sb.Network("2-3-1"), of=("x0",))
    assert d.gradient("x0") == only.gradient("x0")
    assert d.indices("x0") == only.indices("x0")
    assert d.adjoint("x0") == d.gradient("x0")
    assert "ds" not in str(d.gradient("x0", inline=True))
    assert only.gradient("w1") == d.gradient("w1")
    assert only.gradient("x0", inline=True) == d.gradient("x0", inline=True)
    assert "x0" not in d.results


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x7", "'x7' is no quantity of this network; known are: b1, "),
        ("ww1", "did you mean 'w1'"),
        ("E", "'E' is the error; its derivative by itself is 1"),
        ("n1", "'n1' is no quantity"),
    ],
)
def test_names_that_have_no_derivative(name: str, message: str) -> None:
    with pytest.raises(SpecificationError, match=message):
        sb.derive(sb.Network("2-3-1"), of=(name,))
    with pytest.raises(SpecificationError, match=message):
        sb.derive(sb.Network("2-3-1")).gradient(name)
    result = CliRunner().invoke(app, ["derive", "2-3-1", "--of", f"w1,{name}"])
    assert isinstance(result.exception, SpecificationError)
    assert result.output == ""


def test_no_name_and_whole_numbers() -> None:
    with pytest.raises(SpecificationError, match="there is no name; known are: b1, "):
        sb.derive(sb.Network("2-3-1"), of=())
    with pytest.raises(SpecificationError, match="'token' holds whole numbers: there is no derivative"):
        sb.derive(of_text(APART), of=("token",))
    with pytest.raises(SpecificationError, match="'token' holds whole numbers"):
        sb.derive(of_text(APART)).gradient("token")


def test_what_the_error_does_not_depend_on() -> None:
    d = sb.derive(of_text(APART), of=("z", "x", "h", "w"))
    assert d.gradient("z") == 0
    assert "∂E/∂z[k] = 0\n         No path. E does not depend on z[k]: nothing on the way to E reads it." in (
        d.text()
    )
    assert all(v.holds for v in sb.prove(d))
    assert [step.target for step in d.batch] == ["E", "w"]
    assert sb.derive(of_text(APART)).gradient("z") == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [pytest.param(p, marks=pytest.mark.slow) if p.stem in SLOW else p for p in EXAMPLES], ids=str
)
def test_every_quantity_of_the_examples_is_proved_and_printed(path: Path) -> None:
    network = sb.Network.from_file(path)
    system = network.model.system
    names = [name for name, q in system.quantities.items() if not q.integer and name != system.loss]
    data = [name for name in system.inputs if name in names]
    for wanted in (data, names[-1:], names):
        d = sb.derive(network, of=wanted)
        assert set(wanted) <= set(d.results)
        assert not [v.counterexample for v in sb.prove(d) if not v.holds]
        for form in ("text", "markdown", "latex", "html"):
            for language in ("en", "ko"):
                assert "None" not in d.document(form, language=language)


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm_swiglu", "batch_norm", "max_pooling"])
def test_the_derivative_for_an_input_is_what_differences_say(name: str) -> None:
    d = sb.derive(sb.Network.from_file(ROOT / "examples" / f"{name}.net"), of=("x",))
    numbers = point(d, 1)
    found, step = numbers.slopes["x"], 1e-6
    samples = len(found) if numbers.per_sample else 1

    def error() -> float:
        numbers.run_forward()
        return numbers.loss * samples

    for place in list(np.ndindex(found.shape))[:8]:
        start = numbers.values["x"][place]
        moved = []
        for sign in (1, -1):
            numbers.values["x"][place] = start + sign * step
            moved.append(error())
        numbers.values["x"][place] = start
        assert (moved[0] - moved[1]) / (2 * step) == pytest.approx(found[place], rel=1e-4, abs=1e-6)


def test_the_command_takes_names_with_commas_and_repeated() -> None:
    run = CliRunner()
    text = run.invoke(app, ["derive", "2-3-1", "--of", "w1,x0", "--of", "s2"]).output
    assert "What is sought: ∂E/∂w1[k,j], ∂E/∂x0[k] and ∂E/∂s2[i]." in text
    assert "Update" not in text
    assert "∂E/∂b1" not in text
    korean = run.invoke(app, ["derive", "2-3-1", "--of", "x0", "--lang", "ko", "--format", "markdown"]).output
    assert "구할 것" in korean
    for beside in (["--depth", "L"], ["--optimizer", "adam"]):
        result = run.invoke(app, ["derive", "2-3-1", "--of", "x0", *beside])
        assert isinstance(result.exception, SpecificationError)


def test_a_part_of_a_derivation_makes_no_trainer() -> None:
    with pytest.raises(SpecificationError, match="this derivation is of w1 alone"):
        sb.generate(sb.derive(sb.Network("2-3-1"), of=("w1",)))


def test_a_normalisation_is_derived_with_named_parts() -> None:
    d = sb.derive(sb.Network.from_file(ROOT / "examples" / "layer_norm.net"))
    read = {name_of(c) for c in d.system.reads(d.gradient("x"))}
    assert {"normalised", "variance"} <= read
    text = sb.derive(sb.Network.from_file(ROOT / "examples" / "layer_norm.net"), of=("x",)).text()
    assert "∂E/∂x[i] = (1/sqrt(variance + epsilon))·(∂E/∂normalised[i]" in text
    assert max(map(len, text.splitlines())) <= 110
