"""The commands on .net files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from symbackprop import cli
from tests.network.test_net import RADIAL
from tests.test_cli import Result, Runner

SIZES = ("--size", "k=3", "--size", "i=2")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Runner:
    """Run `main` in a folder that holds radial.net."""
    monkeypatch.chdir(tmp_path)
    Path("radial.net").write_text(RADIAL, encoding="utf-8")

    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["symbackprop", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return Result(int(caught.value.code or 0), captured.out, captured.err)

    return run


def test_generate_and_check(command: Runner) -> None:
    assert command("generate", "radial.net", *SIZES) == Result(0, "wrote radial.py\n", "")
    checked = command("check", "radial.py")
    assert checked.status == 0
    assert "radial.py is what this version generates from its ARCHITECTURE." in checked.stdout
    assert command("generate", "radial.net", *SIZES, "-o", "-").stdout == Path("radial.py").read_text()


def test_derive_check_and_equations_need_no_sizes(command: Runner) -> None:
    derived = command("derive", "radial.net")
    assert derived.stdout.startswith("A radial basis function layer\n====")
    assert "∂E/∂r[i] = -∂E/∂y[i]·beta[i]·y[i]" in derived.stdout
    assert command("derive", "radial.net", "--format", "latex").status == 0
    checked = command("check", "radial.net")
    assert checked.status == 0
    assert "steps proved, 26 of 26 comparisons" in checked.stdout
    assert command("equations", "radial.net").stdout == RADIAL
    assert command("equations", "radial.net", "--size", "k=3").stdout == RADIAL + "size k = 3\n"


def test_a_check_outside_of_a_domain_says_what_helps(command: Runner) -> None:
    text = (
        "input x[n, k]\ntarget t[n, k]\nparameter w[k]\n"
        "r[n, k] = log(x[n, k] - 7)\ny[n, k] = r[n, k]*w[k]\n"
        "E = mean(sum((y[n, k] - t[n, k])**2, k)/2, n)\noutput y\n"
    )
    Path("log.net").write_text(text, encoding="utf-8")
    outside = command("check", "log.net")
    assert outside.status == 1
    assert "out of the domain of log in (1)" in outside.stdout
    assert "WRONG" not in outside.stdout
    assert "as in: assume 0 <= a[n, i] <= 1" in outside.stdout
    Path("log.net").write_text(text + "assume 8 <= x[n, k] <= 9\n", encoding="utf-8")
    inside = command("check", "log.net")
    assert inside.status == 0
    assert "assume" not in inside.stdout


def test_equations_of_a_dense_network_generate_its_module(command: Runner) -> None:
    options = ("--output", "softmax", "--l2", "0.01")
    assert command("equations", "4-3-2", *options, "-o", "dense.net").stdout == "wrote dense.net\n"
    own = command("generate", "4-3-2", *options, "-o", "-").stdout
    read = command("generate", "dense.net", "-o", "-").stdout
    marker = "PARAMETER_SHAPES"
    assert own[own.index(marker) :] == read[read.index(marker) :]


REFUSED = {
    "option": (("radial.net", "--l2", "0.1"), "--l2: is not for a file, which says all this itself"),
    "flag": (("radial.net", "--no-bias"), "--no-bias: is not for a file"),
    "missing": (("radial.net", "--size", "k=3"), "the size of the index 'i' is not given; add --size i=8"),
    "letter": (("radial.net", *SIZES, "--size", "z=3"), "size 'z': there is no such index"),
    "no-size": (("radial.net", "--size", "k"), "--size: 'k' is no size; write one such as k=64"),
    "twice": (("radial.net", "--size", "k=3", "--size", "k=4"), "--size: k is given as 3 and as 4"),
    "samples": (("radial.net", *SIZES, "--size", "n=4"), "size n: 'n' numbers the samples"),
    "dense": (("2-3-1", "--size", "k=3"), "--size: belongs to a .net file"),
    "nothing": (("none.net",), "none.net: can't be read: No such file or directory"),
    "folder": (("folder.net",), "folder.net: can't be read: Is a directory"),
    "binary": (("binary.net",), "binary.net: is not text in UTF-8"),
    "wrong": (("wrong.net",), "wrong.net: line 4, column 14: unknown quantity 'k'"),
    "stdlib": (("radial.net", *SIZES, "--name", "json"), "json.py: would hide the module json"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_message_and_writes_nothing(name: str, command: Runner) -> None:
    Path("folder.net").mkdir()
    Path("binary.net").write_bytes(b"\xff\xfe\x00")
    wrong = "input x[n, i]\nparameter w[i]\n\ny[n] = sum(w[k[i]]*x[n, i], i)\nE = mean(y[n], n)\noutput y\n"
    Path("wrong.net").write_text(wrong)
    before = sorted(Path().iterdir())
    arguments, message = REFUSED[name]
    result = command("generate", *arguments)
    assert (result.status, result.stdout) == (2, "")
    assert result.stderr.startswith(f"symbackprop: {message}"), result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(Path().iterdir()) == before


def test_a_name_that_python_keeps_is_changed(command: Runner) -> None:
    Path("random.net").write_text(RADIAL)
    assert command("generate", "random.net", *SIZES).stdout == "wrote network_random.py\n"


def test_sizes_that_come_with_the_data(command: Runner) -> None:
    Path("scan.net").write_text("""\
input x[n, p, k]
target t[n, p]
parameter w[k, i], v[i]
size k = 2, i = 3
h[n, p, i] = tanh(sum(x[n, p, k]*w[k, i], k))
a[n, p, r] = softmax(sum(h[n, p, i]*h[n, r, i], i), r)
y[n, p] = sum(a[n, p, r]*h[n, r, i]*v[i], r, i)
E = mean(sum((y[n, p] - t[n, p])**2, p), n)/size(p)
output y
""")
    assert command("generate", "scan.net").status == 0
    namespace: dict[str, object] = {"__name__": "scan"}
    exec(Path("scan.py").read_text(), namespace)
    trainer = namespace["Trainer"](seed=0, batch_size=4)  # type: ignore[operator]
    generator = np.random.default_rng(0)
    for length in (5, 3, 5):
        x, t = generator.normal(size=(6, length, 2)), generator.normal(size=(6, length))
        before = namespace["loss"](trainer.parameters, x[:4], t[:4])  # type: ignore[operator]
        assert trainer.step(x[:4], t[:4]) == pytest.approx(before, rel=1e-5)
        assert namespace["forward"](trainer.parameters, x).shape == (6, length)  # type: ignore[operator]
    with pytest.raises(ValueError, match=r"t must have shape \(samples, 5\), got \(6, 4\)"):
        trainer.fit(x, t[:, :4], 1)
    trainer.fit(x, t, 2)
