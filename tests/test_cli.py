"""The command line: what each command prints and writes, its exit status, and what it does to files."""

from __future__ import annotations

import ast
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

import pytest

import symbackprop as sb
from symbackprop import cli
from symbackprop import files as writing
from symbackprop.commands import options
from symbackprop.commands.options import NetworkOptions
from symbackprop.library.activations import ACTIVATIONS
from symbackprop.library.formula import FormulaReader
from symbackprop.library.initializers import INITIALIZERS
from symbackprop.library.losses import LOSSES
from symbackprop.network.architecture import OPTIONS as OPTIONS_OF_A_TEXT

SCRIPT = Path(sys.executable).with_name("symbackprop")
PLAIN_ENVIRONMENT = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1", "TERM": "dumb"}


@dataclass(frozen=True)
class Result:
    """What a command left."""

    status: int
    stdout: str
    stderr: str


Runner = Callable[..., Result]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Runner:
    """Run `main` in this process, in an empty folder; a process of its own takes a second to start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["symbackprop", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return Result(int(caught.value.code or 0), captured.out, captured.err)

    return run


def in_a_process(*arguments: str, cwd: Path, **options: Any) -> Result:
    """Run the real console script."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": PLAIN_ENVIRONMENT, **options}
    done = subprocess.run(
        [str(SCRIPT), *arguments], cwd=cwd, encoding="utf-8", timeout=60, check=False, **options
    )
    return Result(done.returncode, done.stdout or "", done.stderr or "")


Snapshot = dict[str, tuple[bytes, int]]


def snapshot(folder: Path) -> Snapshot:
    """Return the bytes and the time of change of every file."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def assert_refused(result: Result, *parts: str) -> None:
    """Assert exit status 2, nothing on stdout, and one message that holds each of ``parts``."""
    assert result.status == 2, result
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    message = " ".join(re.sub("[│╭╮╰╯─]", " ", result.stderr).split())
    own = result.stderr.count("symbackprop: ")
    usage = result.stderr.count("Usage: ")
    assert own + usage == 1, result.stderr
    for part in parts:
        assert part in message, message


def assert_done(result: Result) -> None:
    assert (result.status, result.stderr) == (0, ""), result


# ------------------------------------------------------------------------------------------- generate


def test_generate_names_the_file_after_the_architecture(command: Runner, tmp_path: Path) -> None:
    result = command("generate", "2-3-1")
    assert_done(result)
    assert result.stdout == "wrote network_2_3_1.py\n"
    assert [path.name for path in tmp_path.iterdir()] == ["network_2_3_1.py"]
    assert (tmp_path / "network_2_3_1.py").read_text(encoding="utf-8") == sb.generate(sb.Network("2-3-1"))


@pytest.mark.parametrize(
    "architecture",
    ["2-3:(s*sigmoid(s))-1", "64-32:relu-10:softmax", "-".join(["5"] * 60), "2-3:(s**2 - 1)-1"],
)
def test_the_default_name_is_a_python_name(command: Runner, tmp_path: Path, architecture: str) -> None:
    assert_done(command("generate", architecture))
    (path,) = tmp_path.iterdir()
    assert path.suffix == ".py"
    assert path.stem.isidentifier()
    assert len(path.name) < 100
    compile(path.read_text(encoding="utf-8"), path.name, "exec")


def test_generate_to_a_file_and_to_stdout_are_the_same(command: Runner, tmp_path: Path) -> None:
    assert_done(command("generate", "2-3-1", "-o", "some.py"))
    printed = command("generate", "2-3-1", "-o", "-")
    assert_done(printed)
    assert printed.stdout == (tmp_path / "some.py").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["some.py"]


def test_generate_with_a_name(command: Runner, tmp_path: Path) -> None:
    assert_done(command("generate", "2-3-1", "--name", "digits"))
    assert [path.name for path in tmp_path.iterdir()] == ["digits.py"]


def test_generate_with_every_option_says_so_in_the_module(command: Runner) -> None:
    options = ["--hidden", "relu", "--output", "identity", "--loss", "(x - t)**4", "--no-bias", "--l2", "0.5"]
    options += [
        "--l1",
        "0.25",
        "--init",
        "he-normal",
        "--no-facts",
        "--target",
        "numpy",
        "--optimizer",
        "sgd",
    ]
    result = command("generate", "2-3-1", *options, "-o", "-")
    assert_done(result)
    expected = (
        '2-3:relu-1:identity --loss "(x - t)**4" --no-bias --l2 0.5 --l1 0.25 --init he_normal --no-facts'
    )
    assert f"ARCHITECTURE = '{expected}'" in " ".join(result.stdout.split()).replace("( '", "'")
    network = sb.Network(
        "2-3-1",
        hidden="relu",
        output="identity",
        loss="(x - t)**4",
        bias=False,
        l2=0.5,
        l1=0.25,
        init="he_normal",
        facts=False,
    )
    assert result.stdout == sb.generate(network)


def test_an_existing_file_is_replaced_and_keeps_its_permissions(command: Runner, tmp_path: Path) -> None:
    path = tmp_path / "some.py"
    path.write_text("old")
    path.chmod(0o640)
    assert_done(command("generate", "2-3-1", "-o", "some.py"))
    assert path.read_text(encoding="utf-8") == sb.generate(sb.Network("2-3-1"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_has_ordinary_permissions(command: Runner, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert_done(command("generate", "2-3-1", "-o", "some.py"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "some.py").stat().st_mode) == 0o644


def test_a_link_stays_a_link(command: Runner, tmp_path: Path) -> None:
    target, link = tmp_path / "target.py", tmp_path / "link.py"
    target.write_text("old")
    link.symlink_to(target)
    assert_done(command("generate", "2-3-1", "-o", "link.py"))
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == sb.generate(sb.Network("2-3-1"))


def test_a_pipe_is_written_to_and_not_replaced(command: Runner, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    assert_done(command("generate", "2-3-1", "-o", "pipe"))
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    reader.join(timeout=10)
    assert read == [sb.generate(sb.Network("2-3-1"))]


def test_a_full_device_is_named_and_not_replaced(command: Runner, tmp_path: Path) -> None:
    device = tmp_path / "full"
    try:
        # A device of its own: a fault here would replace the one that all programs use.
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
        device.open("w").close()
    except OSError:
        pytest.skip("devices can't be made or used here")
    assert_refused(command("generate", "2-3-1", "-o", "full"), "full", "can't be written")
    assert stat.S_ISCHR(device.stat().st_mode)


# --------------------------------------------------------------------------------------------- derive


@pytest.mark.parametrize(
    ("form", "method", "suffix"),
    [("text", "text", ".txt"), ("markdown", "markdown", ".md"), ("latex", "latex", ".tex")],
)
def test_derive_in_every_format(command: Runner, tmp_path: Path, form: str, method: str, suffix: str) -> None:
    expected = getattr(sb.derive(sb.Network("2-3-1")), method)()
    printed = command("derive", "2-3-1", "--format", form)
    assert_done(printed)
    assert printed.stdout == expected
    assert not list(tmp_path.iterdir())
    assert_done(command("derive", "2-3-1", "-o", f"file{suffix}"))
    assert (tmp_path / f"file{suffix}").read_text(encoding="utf-8") == expected


def test_derive_prints_text_unless_told(command: Runner) -> None:
    expected = sb.derive(sb.Network("2-3-1")).text()
    assert command("derive", "2-3-1").stdout == expected
    assert command("derive", "2-3-1", "-o", "-").stdout == expected


@pytest.mark.parametrize(
    ("name", "form"), [("a.MD", "markdown"), ("a.markdown", "markdown"), ("a.TeX", "latex")]
)
def test_the_suffix_chooses_the_format(command: Runner, tmp_path: Path, name: str, form: str) -> None:
    assert_done(command("derive", "2-3-1", "-o", name))
    written = (tmp_path / name).read_text(encoding="utf-8")
    assert written == getattr(sb.derive(sb.Network("2-3-1")), form)()


def test_a_format_that_is_given_wins_over_the_suffix(command: Runner, tmp_path: Path) -> None:
    assert_done(command("derive", "2-3-1", "-o", "file.md", "--format", "text"))
    assert (tmp_path / "file.md").read_text(encoding="utf-8") == sb.derive(sb.Network("2-3-1")).text()


def test_a_fragment_has_no_preamble(command: Runner) -> None:
    whole = command("derive", "2-3-1", "--format", "latex").stdout
    part = command("derive", "2-3-1", "--format", "latex", "--fragment").stdout
    assert r"\documentclass" in whole
    assert r"\documentclass" not in part
    assert r"\begin{document}" not in part
    assert part


def test_notations_differ_in_names_alone(command: Runner) -> None:
    printed = {
        name: command("derive", "2-3-1", "--notation", name, "--format", "latex").stdout
        for name in ("textbook", "layered")
    }
    assert printed["textbook"] != printed["layered"]
    counts = {len(re.findall(r"\\tag\{(\d+)\}", text)) for text in printed.values()}
    assert len(counts) == 1


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("-o", "file.foo"), ("'.foo'", ".txt, .md", "--format")),
        (("-o", "file"), ("file:", "''", "--format")),
        (("-o", "file.docx"), ("'.docx'",)),
        (("--format", "markdwon"), ("--format", "'markdwon'", "did you mean 'markdown'?")),
        (
            ("--format", "zzz"),
            ("--format", "'zzz'", "known are: beamer, html, latex, markdown, notebook, pdf, text"),
        ),
        (("--notation", "textbok"), ("--notation", "'textbok'", "did you mean 'textbook'?")),
        (("--fragment",), ("--fragment", "LaTeX")),
        (("--fragment", "--format", "text"), ("--fragment", "LaTeX")),
    ],
)
def test_wrong_options_of_derive(
    command: Runner, tmp_path: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    assert_refused(command("derive", "2-3-1", *arguments), *parts)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------ bad input, and files

BAD: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("",), ("architecture ''", "2-3-1")),
    (("2",), ("'2'", "at least one layer")),
    (("2-0-1",), ("layer 1", "size is 0")),
    (("2-3.5-1",), ("layer 1", "'3.5'")),
    (("attention.net",), ("attention.net: can't be read", "No such file")),
    (("2-3:rleu-1",), ("layer 1", "'rleu'", "did you mean 'relu'?")),
    (("2-3:(s-1",), ("never closed",)),
    (("2-3-1", "--hidden", "sigmod"), ("'sigmod'", "did you mean 'sigmoid'?")),
    (("2-3-1", "--output", "tanh"), ("loss", "'tanh'", "--loss")),
    (("2-3-1", "--loss", "t**2"), ("loss", "does not depend on")),
    (("2-3-1", "--loss", "cross_entropi"), ("loss", "did you mean 'cross_entropy'?")),
    (("2-3-1", "--init", "he_norml"), ("init", "did you mean 'he_normal'?")),
    (("2-3-1", "--l2", "nan"), ("l2", "nan")),
    (("2-3-1", "--l2", "-1"), ("l2", "-1")),
    (("2-3-1", "--l1", "inf"), ("l1", "inf")),
    (("2-3-1", "--l2", "much"), ("--l2",)),
    (("2-3-1", "--hidden", "s + 1/0"), ("divides by zero", "^")),
    (("2-3-1", "--hidden", "__import__('os').system('touch owned')"), ("layer 1",)),
    (("2-3-1", "--hidden", "{{ 7*7 }}"), ("layer 1",)),
    (("10000001-1",), ("10000001 units",)),
    (("10000000-10000000",), ("parameters are more than 1000000000",)),
    (("2-" * 200_000 + "1",), ("200000 layers",)),
    (("2-3-1", "more"), ("more",)),
    (("2-3-1", "--hiden", "relu"), ("--hiden", "--hidden")),
    ((), ("ARCH",)),
]


def shortened(value: object) -> str:
    return ascii(value)[:40]


@pytest.mark.parametrize(("arguments", "parts"), BAD, ids=shortened)
@pytest.mark.parametrize("name", ["generate", "derive", "check"])
def test_bad_input_writes_nothing(
    command: Runner, tmp_path: Path, name: str, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    (tmp_path / "kept.py").write_text("kept")
    (tmp_path / "kept.md").write_text("kept")
    before = snapshot(tmp_path)
    target = {"generate": ("-o", "kept.py"), "derive": ("-o", "kept.md"), "check": ()}[name]
    assert_refused(command(name, *arguments, *target), *parts)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--name", "1x"), ("--name", "'1x'", "digits")),
        (("--name", ""), ("--name", "''")),
        (("--name", "class"), ("--name", "'class'")),
        (("--name", "../x"), ("--name", "'../x'")),
        (("--name", "a b"), ("--name", "'a b'")),
        (("--name", "é"), ("--name", "'é'")),
        (("--name", "x\n"), ("--name", r"'x\n'")),
        (("--target", "torch"), ("--target", "'torch'", "numpy")),
        (("--optimizer", "sdg"), ("'sdg'", "sgd")),
        (("--optimizer", ""), ("optimizer", "''")),
        (("--optimizer", "{{ 7*7 }}"), ("optimizer", "7*7")),
    ],
)
def test_wrong_options_of_generate(
    command: Runner, tmp_path: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    assert_refused(command("generate", "2-3-1", *arguments), *parts)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (".", ("is a directory",)),
        ("", ("is a directory",)),
        ("folder", ("folder", "is a directory")),
        ("folder/", ("is a directory",)),
        ("missing/file.py", ("missing", "does not exist")),
        ("kept.py/file.py", ("kept.py",)),
        ("a" * 300 + ".py", ("can't be written",)),
        ("folder/" * 2000 + "file.py", ("can't be written",)),
    ],
    ids=shortened,
)
def test_a_file_that_cannot_be_written_is_named(
    command: Runner, tmp_path: Path, name: str, parts: tuple[str, ...]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "kept.py").write_text("kept")
    before = snapshot(tmp_path)
    assert_refused(command("generate", "2-3-1", "-o", name), *parts)
    assert_refused(command("derive", "2-3-1", "--format", "text", "-o", name), *parts)
    assert snapshot(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes where nobody may")
def test_a_folder_without_permission_is_named(command: Runner, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    assert_refused(
        command("generate", "2-3-1", "-o", "locked/file.py"), "can't be written", "Permission denied"
    )
    assert not list(folder.iterdir())


def fail(*arguments: object) -> None:
    raise OSError(28, "No space left on device")


def interrupt(*arguments: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("function", ["replace", "fsync", "chmod"])
def test_an_old_file_survives_a_failure_while_writing(
    command: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    (tmp_path / "kept.py").write_text("kept")
    before = snapshot(tmp_path)
    monkeypatch.setattr(writing.os, function, fail)
    assert_refused(
        command("generate", "2-3-1", "-o", "kept.py"), "kept.py", "can't be written", "No space left"
    )
    assert snapshot(tmp_path) == before  # and no temporary file is left


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_an_old_file_survives_when_the_command_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    path = tmp_path / "kept.py"
    path.write_text("kept")
    monkeypatch.setattr(writing.os, function, interrupt)
    with pytest.raises(KeyboardInterrupt):
        writing.write_file(path, "new" * 100_000)
    assert path.read_text() == "kept"


def test_the_new_file_is_whole_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "file.txt", []
    replace = os.replace

    def watched(source: str, target: str) -> None:
        seen.append(Path(source).read_text(encoding="utf-8"))
        assert Path(source).parent == path.parent  # on the same disk, so that replacing is one act
        replace(source, target)

    monkeypatch.setattr(writing.os, "replace", watched)
    writing.write_file(path, "αβγ\n")
    assert seen == ["αβγ\n"]
    assert path.read_bytes() == "αβγ\n".encode()


# ---------------------------------------------------------------------------------------------- check


@pytest.fixture(scope="module")
def source() -> str:
    return sb.generate(sb.Network("2-3-1", l2=0.1))


def test_check_of_an_architecture(command: Runner) -> None:
    result = command("check", "2-3-1", "--hidden", "tanh", "--l2", "0.1")
    assert_done(result)
    assert result.stdout.startswith("Checking 2-3:tanh-1 --l2 0.1\n")
    assert "WRONG" not in result.stdout
    counts = re.findall(r"(\d+) of (\d+)", result.stdout.splitlines()[-1])
    (proved, steps), (right, compared) = [(int(a), int(b)) for a, b in counts]
    assert proved == steps > 20
    assert right == compared > 20


def test_check_of_a_generated_file(command: Runner, tmp_path: Path, source: str) -> None:
    (tmp_path / "file.py").write_text(source, encoding="utf-8")
    result = command("check", "file.py")
    assert_done(result)
    assert "is what this version generates" in result.stdout
    assert "WRONG" not in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["file.py"]


def test_check_of_a_file_made_with_another_optimizer(command: Runner, tmp_path: Path) -> None:
    text = sb.generate(sb.Network("2-3-1"), optimizer="adam")
    (tmp_path / "file.py").write_text(text, encoding="utf-8")
    result = command("check", "file.py")
    assert_done(result)
    assert "is what this version generates" in result.stdout


WRONG_STEP = """

_step = Trainer.step


def _wrong(self, x, t, *more):
    before = {name: value.copy() for name, value in self.parameters.items()}
    error = _step(self, x, t, *more)
    for name, value in self.parameters.items():
        value += FACTOR * (value - before[name])
    return error


Trainer.step = _wrong
"""
EDITS: dict[str, tuple[Callable[[str], str], str]] = {
    "a derivative by 0.1 %": (lambda text: text.replace('"w1": dw1', '"w1": dw1 * 1.001'), "∂E/∂w1"),
    "a sign": (lambda text: text.replace('"b2": db2', '"b2": -db2'), "∂E/∂b2"),
    "the step by 0.1 %": (lambda text: text + WRONG_STEP.replace("FACTOR", "1e-3"), "Trainer.step"),
    "no step": (lambda text: text + WRONG_STEP.replace("FACTOR", "-1"), "Trainer.step"),
    "the step to nan": (lambda text: text + WRONG_STEP.replace("FACTOR", "np.nan"), "Trainer.step"),
    "the error": (lambda text: text.replace("return float(E), {", "return float(E) + 1, {"), "E"),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("edit", EDITS)
def test_check_of_an_edited_file_fails(command: Runner, tmp_path: Path, source: str, edit: str) -> None:
    change, subject = EDITS[edit]
    edited = change(source)
    assert edited != source
    (tmp_path / "file.py").write_text(edited, encoding="utf-8")
    result = command("check", "file.py")
    assert (result.status, result.stderr) == (1, "")
    wrong = {line.split()[0] for line in result.stdout.splitlines() if "  WRONG" in line}
    assert subject in wrong
    assert not wrong & {"PARAMETER_SHAPES", "constants", "initialize", "forward", "loss", "∂E/∂w2"}
    assert ("Trainer.step" in wrong) == ("step" in edit), "each is compared with the equations"
    assert "is not what this version generates" in result.stdout


def test_an_edited_comment_is_remarked_and_no_failure(command: Runner, tmp_path: Path, source: str) -> None:
    (tmp_path / "file.py").write_text(source + "# mine\n", encoding="utf-8")
    result = command("check", "file.py")
    assert_done(result)
    assert "is not what this version generates" in result.stdout


NO_MODULES: dict[str, tuple[str | bytes, tuple[str, ...]]] = {
    "empty": ("", ("is not a generated module", "ARCHITECTURE")),
    "another module": ("x = 1\n", ("is not a generated module", "ARCHITECTURE")),
    "syntax": ("def f(:\n", ("does not run", "SyntaxError")),
    "raises": ("raise ValueError('inside')\n", ("does not run", "ValueError", "inside")),
    "exits": ("import sys\nsys.exit(0)\n", ("does not run", "SystemExit")),
    "no such import": ("import there_is_no_such_module\n", ("does not run", "ModuleNotFoundError")),
    "endless recursion": ("def f():\n    f()\nf()\n", ("does not run", "RecursionError")),
    "null bytes": (b"x = 1\x00\n", ("does not run",)),
    "no text": (b"\xff\xfe\x00", ("does not run",)),
    "architecture of another type": ("ARCHITECTURE = 5\n{rest}", ("ARCHITECTURE",)),
    "architecture that is none": ("ARCHITECTURE = 'x'\n{rest}", ("'x'",)),
}
REST = """
PARAMETER_SHAPES = {}
def initialize(*a, **k): return {}
def loss(*a): return 0.0
def gradients(*a): return 0.0, {}
class Trainer: pass
"""


@pytest.mark.parametrize("name", NO_MODULES)
def test_check_of_a_file_that_is_no_generated_module(command: Runner, tmp_path: Path, name: str) -> None:
    content, parts = NO_MODULES[name]
    data = content if isinstance(content, bytes) else content.replace("{rest}", REST).encode()
    (tmp_path / "file.py").write_bytes(data)
    before = snapshot(tmp_path)
    assert_refused(command("check", "file.py"), *parts)
    assert snapshot(tmp_path) == before


def test_check_refuses_a_module_that_says_not_what_it_is(
    command: Runner, tmp_path: Path, source: str
) -> None:
    (tmp_path / "file.py").write_text(f"{source}\ndel ARCHITECTURE\n", encoding="utf-8")
    assert_refused(command("check", "file.py"), "file.py", "it has no ARCHITECTURE")
    (tmp_path / "file.py").write_text(f"{source}\nARCHITECTURE = '2-3-x'\n", encoding="utf-8")
    assert_refused(command("check", "file.py"), "file.py: ARCHITECTURE: ", "is not a size")


def test_check_of_a_module_without_a_function_or_with_one_that_fails(
    command: Runner, tmp_path: Path, source: str
) -> None:
    text = f"{source}\ndel forward\ndef loss(*a):\n    return a[99]\n"
    (tmp_path / "file.py").write_text(text, encoding="utf-8")
    result = command("check", "file.py")
    assert result.status == 1
    assert "WRONG: there is no forward" in result.stdout
    assert "WRONG: raises IndexError: tuple index out of range" in result.stdout


def test_check_shows_the_proof_where_there_is_no_code(command: Runner, tmp_path: Path) -> None:
    (tmp_path / "twice.net").write_text(
        "input x[n, t]\nparameter w\nsize t = 4\nh[n, t] = tanh(w*x[n, t])\n"
        "y[n, t] = where(2*t < size(t), h[n, 2*t], 0) + where(t > 0, y[n, t - 1], 0)\n"
        "E = mean(sum(y[n, t]**2, t), n)\noutput y\n"
    )
    result = command("check", "twice.net")
    assert result.status == 2
    assert "13 of 13 steps proved" in result.stdout
    assert "there is no code yet for T > 2*t" in result.stderr


def test_check_of_a_file_that_is_not_there(command: Runner, tmp_path: Path) -> None:
    assert_refused(command("check", "missing.py"), "missing.py", "there is no such file")
    (tmp_path / "folder.py").mkdir()
    assert_refused(command("check", "folder.py"), "folder.py")
    assert_refused(command("check", "a" * 300 + ".py"), "a.py")


def test_a_step_that_does_not_hold_gives_status_1(command: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    import symbackprop.commands.check as checking

    prove = checking.prove

    def one_wrong(derivation: sb.Derivation) -> Any:
        step = derivation.steps[-1]
        wrong = type(step)(step.number, step.target, step.rule, step.lhs, 2 * step.rhs)
        return prove(derivation.with_step(wrong))

    monkeypatch.setattr(checking, "prove", one_wrong)
    result = command("check", "2-3-1")
    assert result.status == 1
    assert "WRONG" in result.stdout


# ------------------------------------------------------------------------------- pages, PDF and pictures


def test_a_page(command: Runner, tmp_path: Path) -> None:
    page = sb.derive(sb.Network("2-3-1")).html()
    assert command("derive", "2-3-1", "--format", "html").stdout == page
    for name in ("page.html", "page.HTM"):
        assert_done(command("derive", "2-3-1", "-o", name))
        assert (tmp_path / name).read_text(encoding="utf-8") == page


def test_pdf_without_tex_leaves_everything_as_it_was(
    command: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "old.pdf").write_bytes(b"old")
    before = snapshot(tmp_path)
    for name in ("old.pdf", "new.pdf", "-"):
        assert_refused(
            command("derive", "2-1", "--format", "pdf", "-o", name), "no TeX is installed", "latexmk"
        )
    tool = tmp_path / "tectonic"
    tool.write_text(f"#!{sys.executable}\nimport sys\nprint('error: it broke')\nsys.exit(1)\n")
    tool.chmod(0o755)
    assert_refused(command("derive", "2-1", "-o", "old.pdf"), "tectonic failed: error: it broke")
    assert snapshot(tmp_path) == before | snapshot(tool.parent)
    assert (tmp_path / "old.pdf").read_bytes() == b"old"
    assert not (tmp_path / "new.pdf").exists()


def test_pdf_is_written_as_tex_made_it(
    command: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symbackprop.document.pdf.compiled", lambda source: b"%PDF\xff" + source[:5].encode())
    assert_done(command("derive", "2-1", "-o", "a.pdf"))
    assert (tmp_path / "a.pdf").read_bytes() == b"%PDF\xff\\docu"
    code = "import sys; from symbackprop import cli; cli._write(b'%PDF\\xff', cli.Path('-'))"
    printed = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout
    assert printed == b"%PDF\xff"


def test_pictures(command: Runner, tmp_path: Path) -> None:
    network = sb.Network("2-3:relu-1")
    svg, tikz = sb.draw(network), sb.draw(network, format="tikz")
    assert command("draw", "2-3:relu-1").stdout == svg
    assert command("draw", "2-3-1", "--hidden", "relu", "--format", "tikz").stdout == tikz
    for name, text in (("net.svg", svg), ("net.tex", tikz)):
        assert_done(command("draw", "2-3:relu-1", "-o", name))
        assert (tmp_path / name).read_text(encoding="utf-8") == text


def test_wrong_options_of_draw(command: Runner, tmp_path: Path) -> None:
    assert_refused(command("draw", "2-3-1", "-o", "net.png"), "'.png'", ".svg")
    assert_refused(command("draw", "2-3-1", "--format", "swg"), "did you mean 'svg'?")
    assert_refused(command("draw", "2-x"), "'2-x'")
    assert not list(tmp_path.iterdir())


# ----------------------------------------------------------------------------------------------- list

TOPICS = {
    "activations": [*ACTIVATIONS, "x·(1 - x)", "1 - x²"],
    "losses": [*LOSSES, "(x - t)/(x·(1 - x))", "Σ t = 1"],
    "optimizers": ["sgd", "learning_rate=0.1"],
    "initializers": [*INITIALIZERS, "fan_in"],
    "notations": ["textbook", "layered"],
    "blocks": ["block dense(x[n, i]) -> s[n, j]"],
}


@pytest.mark.parametrize("topic", TOPICS)
def test_list_of_one_topic(command: Runner, topic: str) -> None:
    result = command("list", topic)
    assert_done(result)
    assert result.stdout.splitlines()[0].lower() == topic
    for word in TOPICS[topic]:
        assert word in result.stdout


def test_list_of_everything(command: Runner) -> None:
    result = command("list")
    assert_done(result)
    for topic in TOPICS:
        assert command("list", topic).stdout.strip() in result.stdout


def test_every_listed_name_is_accepted(command: Runner) -> None:
    for name in ACTIVATIONS:
        assert sb.Network("2-3-1", hidden=name, output=name, loss="squared_error")
    names = re.findall(r"^(\w+)  ", command("list", "optimizers").stdout, re.MULTILINE)
    for name in names[1:]:
        ast.parse(sb.generate(sb.Network("2-2"), optimizer=name))


def test_list_of_an_unknown_topic(command: Runner) -> None:
    assert_refused(command("list", "optimisers"), "'optimisers'", "did you mean 'optimizers'?")
    assert_refused(command("list", "zzz"), "'zzz'", "known are: activations")


# ----------------------------------------------------------------------------------- help and usage

NETWORK_OPTIONS = ["--hidden", "--output", "--loss", "--no-bias", "--l2", "--l1", "--init", "--no-facts"]
OPTIONS = {
    "generate": [*NETWORK_OPTIONS, "--optimizer", "--name", "--target", "-o"],
    "derive": [*NETWORK_OPTIONS, "--format", "--fragment", "--notation", "-o"],
    "check": NETWORK_OPTIONS,
    "draw": [*NETWORK_OPTIONS, "--format", "-o"],
    "list": ["activations", "losses", "optimizers", "initializers", "notations"],
    "demo": [],
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_a_command(command: Runner, name: str, flag: str) -> None:
    result = command(name, flag)
    assert_done(result)
    for option in OPTIONS[name]:
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", result.stdout), option


ON_A_NETWORK = ("generate", "derive", "draw", "check", "trace", "verify", "exercise", "equations")


def declared(text: str) -> list[tuple[str, str]]:
    """Return the help of each argument and option that a module declares, with the kind that it has."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [
        (ast.unparse(call.func), ast.unparse(given.value))
        for call in calls
        for given in call.keywords
        if given.arg == "help" and ast.unparse(call.func) in ("typer.Option", "typer.Argument")
    ]


def repeated(*texts: str) -> list[tuple[str, str]]:
    """Return what is declared more than once."""
    found = [each for text in texts for each in declared(text)]
    return [each for each in found if found.count(each) > 1]


def unread(text: str) -> list[str]:
    """Return the parameters that their function does not read."""
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    return [
        f"{function.name}: {each.arg}"
        for function in functions
        for each in (*function.args.args, *function.args.kwonlyargs)
        if not any(isinstance(n, ast.Name) and n.id == each.arg for b in function.body for n in ast.walk(b))
    ]


def test_each_option_is_declared_once_and_read() -> None:
    texts = [Path(str(module.__file__)).read_text(encoding="utf-8") for module in (cli, options)]
    assert len(declared(texts[1])) > 15
    assert repeated(*texts) == []
    assert [name for name in unread(texts[0]) if not name.endswith(": self")] == []


def test_a_repeated_and_an_unread_option_are_noticed() -> None:
    text = (
        'def f(a: A[str, typer.Option(help="x")], b: A[str, typer.Option(help="x")]) -> None:\n    print(a)\n'
    )
    assert repeated(text) == [("typer.Option", "'x'")] * 2
    assert unread(text) == ["f: b"]


def test_the_options_of_a_network_are_those_of_its_text() -> None:
    names = [each.name for each in fields(NetworkOptions) if each.name not in ("context", "size")]
    assert [f"--{name.replace('_', '-')}" for name in names] == list(OPTIONS_OF_A_TEXT)


@pytest.mark.parametrize("name", ON_A_NETWORK)
@pytest.mark.parametrize("option", OPTIONS_OF_A_TEXT)
def test_an_option_of_a_network_beside_a_file_is_refused(command: Runner, name: str, option: str) -> None:
    given = [option] if OPTIONS_OF_A_TEXT[option].read is None else [option, "1"]
    for file in ("none.net", "none.py") if name == "check" else ("none.net",):
        assert_refused(command(name, file, *given, *_CLAIM.get(name, ())), f"{option}: is not for a file")


_CLAIM = {"verify": ("dE/dw = 1",)}


@pytest.mark.parametrize("name", ON_A_NETWORK)
def test_a_size_beside_layer_sizes_is_refused(command: Runner, name: str) -> None:
    result = command(name, "2-3-1", "--size", "k=3", *_CLAIM.get(name, ()))
    assert_refused(result, "--size: belongs to a .net file")


def test_help_names_every_command(command: Runner) -> None:
    result = command("--help")
    assert_done(result)
    for name in OPTIONS:
        assert name in result.stdout


@pytest.mark.parametrize(
    "arguments", [("generat",), ("--bogus",), ("demo", "more"), ("list", "losses", "more")]
)
def test_wrong_usage(command: Runner, arguments: tuple[str, ...]) -> None:
    assert_refused(command(*arguments))


@pytest.mark.parametrize("fault", [AttributeError, TypeError, KeyError])
def test_a_fault_of_the_package_is_no_message(
    fault: type[Exception], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object) -> NoReturn:
        raise fault("planted")

    monkeypatch.setattr(FormulaReader, "binary", broken)
    monkeypatch.setattr(sys, "argv", ["symbackprop", "derive", "2-3:(s*tanh(s))-1"])
    with pytest.raises(fault, match="planted"):
        cli.main()
    assert capsys.readouterr() == ("", "")


# -------------------------------------------------------------------------------- the real processes


def test_generate_as_a_process(tmp_path: Path) -> None:
    assert_done(in_a_process("generate", "2-3-1", "-o", "file.py", cwd=tmp_path))
    assert (tmp_path / "file.py").read_text(encoding="utf-8") == sb.generate(sb.Network("2-3-1"))
    code = "import file; trainer = file.Trainer(seed=0); print(trainer.step([[0, 1]], [[1]]) > 0)"
    done = subprocess.run(
        [sys.executable, "-B", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"


def test_bad_input_as_a_process(tmp_path: Path) -> None:
    result = in_a_process("generate", "2-3:rleu-1", cwd=tmp_path)
    assert_refused(result, "'rleu'", "did you mean 'relu'?")
    assert result.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_derive_as_a_module(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-B", "-m", "symbackprop.cli", "derive", "2-3-1", "-o", "file.md"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "file.md").read_text(encoding="utf-8") == sb.derive(sb.Network("2-3-1")).markdown()


def test_check_as_a_process(tmp_path: Path, source: str) -> None:
    (tmp_path / "file.py").write_text(EDITS["a derivative by 0.1 %"][0](source), encoding="utf-8")
    result = in_a_process("check", "file.py", cwd=tmp_path)
    assert (result.status, result.stderr) == (1, "")
    assert "WRONG" in result.stdout


def test_list_as_a_process_prints_the_same_in_every_locale(tmp_path: Path) -> None:
    plain = {**PLAIN_ENVIRONMENT, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    result = in_a_process("list", "losses", cwd=tmp_path, env=plain)
    assert_done(result)
    assert "∂E/∂x" in result.stdout


def test_demo_as_a_process(tmp_path: Path) -> None:
    result = in_a_process("demo", cwd=tmp_path)
    assert_done(result)
    (accuracy,) = re.findall(r"^accuracy on the held-out images: (\d+\.\d+)%$", result.stdout, re.MULTILINE)
    assert float(accuracy) >= 96
    assert "WRONG" not in result.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments", ["derive 2-3-4-5-1", "generate 64-32-10 -o -", "check 2-3-1", "list optimizers", "demo"]
)
def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path, arguments: str) -> None:
    # `true` reads nothing at all: whatever is printed meets a closed pipe.
    script = f"set -o pipefail; {SCRIPT} {arguments} | true"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_first_line_of_a_pipe(tmp_path: Path) -> None:
    script = f"set -o pipefail; {SCRIPT} derive 2-3-1 | head -n 1"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    title = "Backpropagation through the network 2-3-1\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, title, "")


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="needs a device that is full")
@pytest.mark.parametrize(
    "arguments", ["derive 2-3-1", "generate 2-3-1 -o -", "check 2-3-1", "list optimizers"]
)
def test_a_full_disk_behind_stdout_is_one_message(tmp_path: Path, arguments: str) -> None:
    with open("/dev/full", "w") as full:
        result = in_a_process(*arguments.split(), cwd=tmp_path, stdout=full)
    assert_refused(result, "can't be written", "No space left on device")


def test_a_closed_stdout_gives_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{SCRIPT} derive 2-3-1 >&-"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 2)


def test_derivations_speak_korean(command: Runner) -> None:
    result = command("derive", "2-3-1", "--lang", "ko", "--notation", "zad")
    assert result.status == 0
    assert "연쇄 법칙. E는 a2[i]를 거쳐서만 z2[i]에 의존한다." in result.stdout


def test_the_theorem_for_any_depth(command: Runner) -> None:
    result = command("derive", "--depth", "L", "--output", "softmax")
    assert result.status == 0
    assert "∂E/∂s[ℓ,j] = (Σ_i ∂E/∂s[ℓ+1,i]·w[ℓ+1,j,i])·x[ℓ,j]·(1 - x[ℓ,j])" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("derive",), "derive: ARCH is missing; write an architecture such as 2-3-1"),
        (("derive", "--depth", "5"), "--depth: '5' is no symbolic depth; write --depth L"),
        (("derive", "2-3-1", "--lang", "kr"), "--lang: 'kr' is not known; known are: en, ko"),
        (("derive", "2-3-1", "--notation", "zed"), "did you mean 'zad'"),
        (("derive", "--depth", "L", "--notation", "textbook"), "'textbook' shows no layers"),
    ],
    ids=str,
)
def test_what_derive_refuses(command: Runner, arguments: tuple[str, ...], message: str) -> None:
    result = command(*arguments)
    assert (result.status, result.stdout) == (2, "")
    assert message in result.stderr
