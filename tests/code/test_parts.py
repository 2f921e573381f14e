"""The parts of a generated module: the network, the training step, and a runtime that is the same in all."""

from __future__ import annotations

import ast
import pydoc
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jinja2 import meta

import symbackprop as sb
from symbackprop.code import names
from symbackprop.code.bundle import FILES, FOLDER, runtime, support
from symbackprop.code.module import _Module
from symbackprop.library.optimizers import OPTIMIZERS
from symbackprop.network.random_data import sample_data
from symbackprop.printing.templating import environment, template_directory
from tests.conftest import REFERENCE, ROOT, load_text

TWO_INPUTS = """
input     a[n, k], m[n, j]
integer input token[n]
parameter w[k, i], u[j, i], e[v, i], c
size k = 3
size j = 2
size i = 4
size v = 5
s[n, i] = sum(a[n, k]*w[k, i], k) + sum(m[n, j]*u[j, i], j) + e[token[n], i]
y[n, i] = tanh(c*s[n, i])
E       = mean(sum(y[n, i]**2, i), n)
output y
"""
MIXED = """
input     x[n, k]
target    t[n]
parameter w[k]
size k = 3
y[n] = sum(x[n, k]*w[k], k)
d[n] = y[n] - t[n]
E = log(sum(exp(d[n]**2), n))
output y
"""


@cache
def networks() -> dict[str, sb.Network]:
    """Return networks whose modules differ in all that the runtime is told."""
    dense = {
        "2-3-1": {},
        "4-6:tanh-3:softmax": {"l2": 0.01},
        "3-4:gelu-2:identity": {"bias": False, "init": "orthogonal"},
        "3-4:prelu-1:identity": {"loss": "huber"},
        "16-" + "-".join(["16:relu"] * 20) + "-8:relu-3:softmax": {},
        "-".join(["4"] * 21): {"l1": 0.01},
    }
    found = {text: sb.Network(text, **options) for text, options in dense.items()}  # type: ignore[arg-type]
    found |= {"two inputs": sb.Network.from_equations(TWO_INPUTS), "mixed": sb.Network.from_equations(MIXED)}
    for path in sorted((ROOT / "examples").glob("*.net")):
        found[path.stem] = sb.Network.from_equations(path.read_text(encoding="utf-8")).with_small_sizes()
    return found


EVERY = pytest.mark.parametrize("name", networks())


def optimizer_of(name: str) -> str:
    """Return an optimiser; with many networks each has its turn."""
    return list(OPTIMIZERS)[list(networks()).index(name) % len(OPTIMIZERS)]


@cache
def derived(name: str) -> sb.Derivation:
    return sb.derive(networks()[name], optimizer=optimizer_of(name))


@cache
def source(name: str) -> str:
    return sb.generate(derived(name))


# ---------------------------------------------------------------- the runtime


@EVERY
def test_the_runtime_ends_every_module_byte_for_byte(name: str) -> None:
    assert source(name).endswith(f"\n\n{runtime()}\n")
    assert runtime().endswith('if __name__ == "__main__":\n    sys.exit(main())')


@pytest.mark.parametrize("file", FILES)
def test_a_file_of_the_runtime_stands_in_it_as_it_is(file: str) -> None:
    text = (FOLDER / f"{file}.py").read_text(encoding="utf-8")
    *_, last = (n for n in ast.parse(text).body if isinstance(n, ast.Import | ast.ImportFrom))
    body = "\n".join(text.splitlines()[last.end_lineno :]).strip("\n")
    assert len(body) > 500
    assert f"\n\n\n{body}" in runtime()


def imported(text: str) -> set[str]:
    """Return the modules that a text imports, the package's own apart."""
    nodes = list(ast.walk(ast.parse(text)))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in found if not name.startswith("symbackprop.code.runtime")}


@pytest.mark.parametrize("file", [*FILES, "support", "network"])
def test_the_runtime_imports_numpy_and_the_standard_library(file: str) -> None:
    found = imported((FOLDER / f"{file}.py").read_text(encoding="utf-8"))
    assert found <= {"numpy", *sys.stdlib_module_names}


def test_the_network_of_the_package_is_what_is_generated(update_generated: bool) -> None:
    path = FOLDER / "network.py"
    above = sb.generate(sb.Network("2-3-1"), optimizer="adam").split("\n# ---")
    expected = "\n# ---".join(above[:2])
    if update_generated:
        path.write_text(expected, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == expected, "run: make update-generated"


def test_a_module_that_is_loaded_runs_the_files_of_the_package() -> None:
    module = sb.load(sb.Network("2-3-1"))
    assert module.Trainer.fit.__code__.co_filename == str(FOLDER / "trainer.py")
    assert module.main.__code__.co_filename == str(FOLDER / "command_line.py")


def test_what_the_runtime_is_told_has_names_that_no_constant_takes() -> None:
    above = source("two inputs").removesuffix(f"{runtime()}\n")
    nodes = ast.parse(above).body
    told = {n.target.id for n in nodes if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    told |= {t.id for n in nodes if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    assert told == {"ARCHITECTURE", "PARAMETER_SHAPES", *names.TOLD}


# ---------------------------------------------------------------- the parts above it


@EVERY
def test_the_parts_above_the_runtime_need_numpy_alone(name: str) -> None:
    assert imported(source(name).removesuffix(f"{runtime()}\n")) == {"numpy"}


@EVERY
def test_the_network_comes_first_then_the_step_then_the_runtime(name: str) -> None:
    order = ["def forward(", "def loss(", "def gradients(", "def initialize(", "# --", "def _allocate("]
    order += ["def _backpropagate(", "def _update(", "INPUTS: ", "# --", "class Trainer:", "def main("]
    place = 0
    for text in order:
        place = source(name).index(f"\n{text}", place) + 1
    assert len(re.findall("^# -{40,} the ", source(name), re.MULTILINE)) == 2


def test_forward_begins_on_the_first_screen() -> None:
    lines = source("2-3-1").splitlines()
    assert lines.index("    x0 = np.asarray(x, dtype)") < 45
    assert lines.index("    s1 = x0 @ w1 + b1") < 45


# ---------------------------------------------------------------- without the runtime


@cache
def bare_source(name: str) -> str:
    return sb.generate(derived(name), bare=True)


@EVERY
def test_a_bare_module_has_the_same_network_and_no_runtime(name: str) -> None:
    whole, bare = (text.split("\n# ----")[0] for text in (source(name), bare_source(name)))
    assert bare == whole
    assert imported(bare_source(name)) == {"numpy"}
    defined = [n.name for n in ast.parse(bare_source(name)).body if isinstance(n, ast.ClassDef)]
    assert defined == ["Trainer"]


def test_a_bare_module_can_be_read_at_once() -> None:
    assert len(sb.generate(sb.Network("2-3-1"), bare=True).splitlines()) <= 220


def steps(module: Any, network: sb.Network) -> tuple[list[float], dict[str, bytes]]:
    """Return what steps on full and short batches give and leave."""
    trainer, generator = module.Trainer(seed=3, batch_size=5), np.random.default_rng(0)
    errors = []
    for step in range(5):
        x, t = sample_data(network.model, generator)
        if step % 2 and isinstance(x, np.ndarray) and network.model.per_sample and len(x) == 5:
            x, t = x[:3], t[:3] if t is not None else None
        errors.append(trainer.step(x, t))
    return errors, {name: value.tobytes() for name, value in trainer.parameters.items()}


@EVERY
def test_a_bare_trainer_is_the_full_one_bit_for_bit(name: str) -> None:
    network = networks()[name]
    assert steps(load_text(bare_source(name)), network) == steps(sb.load(derived(name)), network)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_of_a_bare_trainer_is_that_of_the_full_one(optimizer: str) -> None:
    network = sb.Network("4-6:tanh-3:softmax", l2=0.1)
    bare = load_text(sb.generate(network, optimizer=optimizer, bare=True))
    assert steps(bare, network) == steps(sb.load(network, optimizer=optimizer), network)


def test_a_bare_trainer_that_differs_is_noticed() -> None:
    text = sb.generate(sb.Network("2-3-1"), bare=True)
    wrong = text.replace("ds1 *= x1", "ds1 *= x1 * np.float32(1.0000001)")
    assert wrong != text
    network = sb.Network("2-3-1")
    assert steps(load_text(wrong), network) != steps(sb.load(network), network)


def test_a_bare_step_refuses_what_its_buffers_do_not_hold() -> None:
    trainer = load_text(sb.generate(sb.Network("2-3-1"), bare=True)).Trainer(batch_size=4)
    for rows in (0, 5):
        with pytest.raises(ValueError, match=f"a step takes 1 to 4 rows, got {rows}"):
            trainer.step(np.zeros((rows, 2)), np.zeros((rows, 1)))


# ---------------------------------------------------------------- linters, templates


@pytest.mark.parametrize("bare", [False, True], ids=["full", "bare"])
def test_mypy_and_ruff_accept_the_text(bare: bool, tmp_path: Path) -> None:
    chosen = ["2-3-1", "4-6:tanh-3:softmax", "-".join(["4"] * 21), "two inputs", "mixed", "transformer"]
    for number, name in enumerate(chosen):
        (tmp_path / f"module{number}.py").write_text(bare_source(name) if bare else source(name))
    mypy = ("mypy", "--config-file=", "--cache-dir=/dev/null", ".")
    ruff = ("--isolated", "--no-cache")
    tools = (mypy, ("ruff", "check", *ruff), ("ruff", "format", "--check", *ruff))
    for tool, *arguments in tools:
        found = subprocess.run(
            [sys.executable, "-m", tool, *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert found.returncode == 0, found.stdout


TEMPLATES = sorted(path.name for path in template_directory().glob("*.py.jinja"))


def test_templates_of_code_place_text() -> None:
    texts = [(template_directory() / name).read_text(encoding="utf-8") for name in TEMPLATES]
    assert TEMPLATES == ["bare.py.jinja", "module.py.jinja", "network.py.jinja"]
    assert sum(len(text.splitlines()) for text in texts) <= 450
    for text in texts:
        assert not re.search(r"{%\s*(if|elif|else|set|macro)\b", text)
        assert "|" not in "".join(re.findall(r"{{.*?}}", text))


@pytest.mark.parametrize("bare", [False, True], ids=["full", "bare"])
def test_a_template_is_given_what_it_places_and_nothing_else(bare: bool) -> None:
    read: set[str] = set()
    for name in ("network.py.jinja", "bare.py.jinja" if bare else "module.py.jinja"):
        text = (template_directory() / name).read_text(encoding="utf-8")
        read |= meta.find_undeclared_variables(environment().parse(text))
    derivation = derived("2-3-1")
    assert derivation.model is not None
    assert set(_Module(derivation, derivation.model, bare).context()) == read


def test_functions_that_stand_above_the_runtime_are_found_by_their_names() -> None:
    drawn = {"_uniform", "_normal", "_orthogonal"}
    gamma = {"_LOG_GAMMA", "_lgamma", "_DIGAMMA", "_digamma", "_from_eight", "_given"}
    erf = {"_ERF_NEAR", "_erf", "_erf_of_few", "_erf_of_few_32", "_polynomial"}
    assert set(support()) == {"_zeros", "_by_turns", "_put", *erf, *drawn, *gamma}


# ---------------------------------------------------------------- what older modules wrote


def test_a_checkpoint_of_an_older_module_goes_on() -> None:
    """In the middle of an epoch; the figures are those of the module that wrote it."""
    trainer = sb.load(sb.Network("3-4-2:softmax"), optimizer="adam").Trainer.load(
        REFERENCE / "checkpoint_0_1.npz"
    )
    after = np.load(REFERENCE / "checkpoint_0_1_after.npz")
    assert (trainer.epochs, trainer.steps, len(trainer._errors)) == (2, 12, 2)
    assert set(trainer.scaling) == {"mean", "deviation"}
    history = trainer.fit(after["x"], after["t"], 2)
    np.testing.assert_allclose(history["loss"], after["loss"], rtol=1e-5)
    for name, value in trainer.parameters.items():
        np.testing.assert_allclose(value, after[name], rtol=1e-5, atol=1e-7)


def test_weights_of_an_older_module_load() -> None:
    module = sb.load(sb.Network("3-4-2:softmax"), optimizer="adam")
    parameters = module.load(REFERENCE / "checkpoint_0_1.npz")
    assert module.forward(parameters, np.zeros((2, 3))).shape == (2, 2)


def test_help_shows_the_keywords_of_this_network() -> None:
    shown = pydoc.render_doc(sb.load(sb.Network("2-3-1"), optimizer="adam").Trainer)
    assert "learning_rate=0.003, beta1=0.9, beta2=0.999, epsilon=1e-08, batch_size=32, seed=None" in shown
