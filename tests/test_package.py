"""The package as it is shipped: what the wheel holds, that it works elsewhere, and what it needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop import cli
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
IGNORED = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command that must succeed and say nothing on stderr; return what it printed."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


# ------------------------------------------------------------------------------- metadata and imports


def test_runtime_dependencies() -> None:
    names = sorted(re.split(r"[<>=!~ ;\[]", text)[0] for text in PROJECT["project"]["dependencies"])
    assert names == ["jinja2", "latex2mathml", "numpy", "sympy", "typer"]
    assert all(">=" in text for text in PROJECT["project"]["dependencies"])


def test_nothing_else_is_imported() -> None:
    needed = {"numpy", "sympy", "jinja2", "typer", "mpmath", "latex2mathml"}
    allowed = {*sys.stdlib_module_names, "symbackprop", *needed}
    for path in (ROOT / "symbackprop").rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            match = re.match(r"\s*(?:from|import) (\w+)", line)
            if match and (line.lstrip().startswith("import ") or " import " in line):
                assert match[1] in allowed, f"{path.name}: {line}"


def test_the_version_is_stated_once() -> None:
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", sb.__version__)


@pytest.mark.parametrize(
    "code",
    [
        "import symbackprop",
        "import symbackprop; symbackprop.__version__; dir(symbackprop)",
        "from symbackprop.cli import app\napp(['--help'], standalone_mode=False)",
        "from symbackprop.cli import app\napp(['derive', '--help'], standalone_mode=False)",
    ],
)
def test_help_and_import_do_without_sympy(code: str, tmp_path: Path) -> None:
    check = "\nimport sys\nprint('LOADED', sorted({'sympy', 'numpy', 'jinja2'} & set(sys.modules)))"
    printed = run(sys.executable, "-B", "-c", code + check, cwd=tmp_path)
    assert printed.splitlines()[-1] == "LOADED []"


def test_a_command_looks_for_no_garbage(tmp_path: Path) -> None:
    """Neither while SymPy is imported, nor when the process ends: each would take a tenth of the command."""
    code = """
import atexit, gc, sys
import symbackprop.cli
seen = []
gc.callbacks.append(lambda phase, _: seen.append(phase))
atexit.register(lambda: print(f"{seen} frozen: {gc.get_freeze_count() > 100_000}"))
sys.argv = ["symbackprop", "derive", "2-3-1"]
symbackprop.cli.main()
"""
    assert run(sys.executable, "-B", "-c", code, cwd=tmp_path).splitlines()[-1] == "[] frozen: True"


def test_imports_do_not_count_as_work_on_a_formula(tmp_path: Path) -> None:
    code = """
import sys
from sympy import Symbol
from symbackprop.library.formula import parse
before = set(sys.modules)
parse("1/(1 + exp(-s)) + s*tanh(s)", {"s": Symbol("s", real=True)})
print("LOADED", sorted(name for name in set(sys.modules) - before if "tensor" in name))
"""
    assert run(sys.executable, "-B", "-c", code, cwd=tmp_path) == "LOADED []\n"


def test_every_public_name_is_there() -> None:
    for name in sb.__all__:
        assert getattr(sb, name) is not None
        assert name in dir(sb)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        sb.nothing  # noqa: B018 - reading it is the test


# -------------------------------------------------------------------------------------- wheel and sdist


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build wheel and sdist from a copy, so that nothing is left in the repository."""
    copy = tmp_path_factory.mktemp("source") / "project"
    shutil.copytree(ROOT, copy, ignore=IGNORED)
    out = tmp_path_factory.mktemp("dist")
    # The sdist through the wheel's own build backend: the front end `build` is no dependency.
    run(sys.executable, "-m", "pip", "wheel", copy, "--quiet", "--no-deps", "-w", out, cwd=out)
    backend = tmp_path_factory.mktemp("backend")
    requires = PROJECT["build-system"]["requires"]
    run(sys.executable, "-m", "pip", "install", "--quiet", "--target", backend, *requires, cwd=out)
    code = f"import hatchling.build; hatchling.build.build_sdist({str(out)!r})"
    run(sys.executable, "-c", code, cwd=copy, PYTHONPATH=str(backend))
    return out


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into an environment of its own that borrows the dependencies; return its bin."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    binaries = home / "bin"
    (site,) = home.glob("lib/python*/site-packages")
    (wheel,) = built.glob("*.whl")
    target = ["--prefix", home, "--no-deps", "--quiet", "--no-warn-script-location", "--ignore-installed"]
    run(sys.executable, "-m", "pip", "install", *target, wheel, cwd=home)
    script = binaries / "symbackprop"
    script.write_text(re.sub(r"\A#!.*", f"#!{binaries / 'python'}", script.read_text()))
    # Not a .pth with the folder alone: the editable install of this project there must stay out.
    borrowed = tmp_path_factory.mktemp("borrowed")
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "symbackprop" not in entry.name and entry.suffix != ".pth":
            (borrowed / entry.name).symlink_to(entry)
    (site / "borrowed.pth").write_text(f"{borrowed}\n")
    return binaries


def test_the_wheel_holds_package_templates_and_data_alone(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names}
    assert folders == {"symbackprop", f"symbackprop-{sb.__version__}.dist-info"}
    for template in (ROOT / "templates").iterdir():
        assert f"symbackprop/templates/{template.name}" in names
    for name in (
        "symbackprop/commands/digits/digits.npz",
        "symbackprop/py.typed",
        "symbackprop/commands/digits/README.md",
    ):
        assert name in names
    sources = [path for kind in ("*.py", "*.net") for path in (ROOT / "symbackprop").rglob(kind)]
    modules = {path.relative_to(ROOT).as_posix() for path in sources}
    assert modules <= set(names)
    assert not [name for name in names if "/test" in name or "generated/" in name or "__pycache__" in name]
    licences = {name.partition(".dist-info/licenses/")[2] for name in names} - {""}
    assert licences == {"LICENSE", "symbackprop/commands/digits/LICENSE"}


def test_the_wheel_states_what_it_needs(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
    lines = archive.read(name).decode().splitlines()
    needed = [line for line in lines if line.startswith("Requires-Dist") and "extra" not in line]
    assert sorted(re.split(r"[ >]", line)[1] for line in needed) == [
        "jinja2",
        "latex2mathml",
        "numpy",
        "sympy",
        "typer",
    ]
    assert f"Version: {sb.__version__}" in lines
    assert "Requires-Python: >=3.11" in lines
    assert "License-Expression: MIT AND CC-BY-4.0" in lines


def test_the_sdist_is_enough_to_build_and_test(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("pyproject.toml", "README.md", "LICENSE", "Makefile", "tests/test_package.py"):
        assert name in names
    for folder in ("templates", "symbackprop", "generated"):
        files = {p.relative_to(ROOT).as_posix() for p in (ROOT / folder).rglob("*") if p.is_file()}
        assert {name for name in files if "__pycache__" not in name} <= names
    assert not [name for name in names if name.startswith((".venv", ".hypothesis", ".git/"))]


def test_the_installed_package_is_not_the_repository(installed: Path, tmp_path: Path) -> None:
    code = "import symbackprop.printing.templating as t; print(t.__file__); print(t.template_directory())"
    printed = run(installed / "python", "-c", code, cwd=tmp_path).splitlines()
    assert len(printed) == 2
    for line in printed:
        assert str(installed.parent.resolve()) in str(Path(line).resolve())
        assert str(ROOT) not in line


def test_the_installed_commands_work_from_any_folder(installed: Path, tmp_path: Path) -> None:
    script = installed / "symbackprop"
    assert run(script, "generate", "2-3-1", cwd=tmp_path) == "wrote network_2_3_1.py\n"
    expected = sb.generate(sb.Network("2-3-1"))
    assert (tmp_path / "network_2_3_1.py").read_text(encoding="utf-8") == expected
    derivation = sb.derive(sb.Network("2-3-1"))
    assert run(script, "derive", "2-3-1", cwd=tmp_path, PYTHONUTF8="1") == derivation.text()
    assert run(script, "derive", "2-3-1", "--format", "latex", cwd=tmp_path) == derivation.latex()
    assert run(script, "derive", "2-3-1", "--format", "markdown", cwd=tmp_path) == derivation.markdown()
    assert "Activations" in run(script, "list", "activations", cwd=tmp_path)
    checked = run(script, "check", "network_2_3_1.py", cwd=tmp_path)
    assert "is what this version generates" in checked


def test_the_installed_demo_finds_its_data(installed: Path, tmp_path: Path) -> None:
    printed = run(installed / "symbackprop", "demo", cwd=tmp_path)
    assert "accuracy on the held-out images" in printed
    assert not list(tmp_path.iterdir())


# --------------------------------------------------------------------------------- lowest versions


@pytest.mark.slow
def test_the_lowest_versions_that_are_stated_are_enough(tmp_path: Path) -> None:
    lowest = [text.replace(">=", "==") for text in PROJECT["project"]["dependencies"]]
    venv.create(tmp_path / "old", with_pip=True)
    python = tmp_path / "old" / "bin" / "python"
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    subprocess.run([*map(str, pip), *lowest], check=True, timeout=600, capture_output=True)
    command = [python, "-B", "-m", "symbackprop.cli"]
    for architecture in ("2-3-1", "4-5:relu-3:softmax"):
        report = run(*command, "check", architecture, cwd=tmp_path, PYTHONPATH=str(ROOT))
        assert "WRONG" not in report
    for name in cli.app.registered_commands:
        arguments = [name.name or getattr(name.callback, "__name__", ""), "--help"]
        assert "Usage:" in run(*command, *arguments, cwd=tmp_path, PYTHONPATH=str(ROOT))
    run(*command, "derive", "2-3-1", "-o", "derivation.tex", cwd=tmp_path, PYTHONPATH=str(ROOT))
    run(*command, "generate", "2-3-1", "-o", "net.py", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert "E = " in run(python, "-B", "net.py", "check", cwd=tmp_path)
