"""Files of the generated module: atomic, resumable after any end, refused where damaged; with NumPy alone."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symbackprop as sb

ARCHITECTURE, OPTIMIZER = "4-6:tanh-3:softmax", "adam"


@cache
def source() -> str:
    return sb.generate(sb.Network(ARCHITECTURE), optimizer=OPTIMIZER)


@cache
def module() -> Any:
    return sb.load(sb.Network(ARCHITECTURE), optimizer=OPTIMIZER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the module and data, as a user has them."""
    (tmp_path / "trainer.py").write_text(source(), encoding="utf-8")
    generator = np.random.default_rng(0)
    x = generator.normal(size=(50, 4))
    np.savez(tmp_path / "data.npz", x=x, t=x[:, :3].argmax(axis=1))
    return tmp_path


def run(folder: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-B", "trainer.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, **options)


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    return text


# ---------------------------------------------------------------- SIGKILL at random moments

EPOCHS = 100_000  # more than any run here gets through


@cache
def uninterrupted(epochs: int) -> list[bytes]:
    """Return the parameters after each epoch of a run in one piece; the first entry is the start."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(50, 4))
    t = np.eye(3)[x[:, :3].argmax(axis=1)]
    trainer = module().Trainer(seed=3)
    found = [trainer._flat.tobytes()]
    trainer.fit(x, t, epochs, callback=lambda epoch, history: found.append(trainer._flat.tobytes()))
    return found


def killed_chain(folder: Path, kills: int, seed: int) -> int:
    """Kill a run and resume it again and again; return in how many processes it got on."""
    moments, state = random.Random(seed), folder / "state.npz"
    last = advanced = 0
    train = [sys.executable, "-B", "trainer.py", "train", "data.npz", "--epochs"]
    began = time.perf_counter()
    subprocess.run([*train, "1", "--seed", "3"], cwd=folder, stderr=subprocess.DEVNULL, check=True)
    start = time.perf_counter() - began  # a busy machine takes longer to get anywhere
    for _ in range(kills):
        command = [*train, str(EPOCHS)]
        command += ["--checkpoint", "state.npz", *(["--resume", "state.npz"] if state.exists() else [])]
        command += [] if state.exists() else ["--seed", "3"]
        process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE)
        time.sleep(start * moments.uniform(0.3, 3))
        process.kill()
        assert process.communicate()[1] == b""
        assert process.returncode == -signal.SIGKILL
        if not state.exists():
            continue
        epochs = module().Trainer.load(state).epochs
        assert epochs >= last
        advanced += epochs > last
        last = epochs
        # Each state, whatever it has been through, is that of the run in one piece.
        check_against_run_in_one_piece(state)
    for leftover in set(folder.glob("*.tmp")):
        assert leftover.name.startswith("state.npz.")
    return advanced


def check_against_run_in_one_piece(state: Path) -> None:
    trainer = module().Trainer.load(state)
    with np.load(state.parent / "data.npz") as data:
        x, t = data["x"], np.eye(3)[data["t"]]
    # The run in one piece is made in pieces of a thousand epochs, so that no test waits for all of it.
    expected = uninterrupted(1000 * (trainer.epochs // 1000 + 1) + 3)
    if trainer._order is None:  # not in the middle of an epoch
        assert trainer._flat.tobytes() == expected[trainer.epochs]
    trainer.fit(x, t, 2)
    assert trainer._flat.tobytes() == expected[trainer.epochs]


def test_a_run_killed_at_random_moments_goes_on_bit_for_bit(folder: Path) -> None:
    assert killed_chain(folder, kills=8, seed=1) >= 2


@pytest.mark.slow
def test_a_run_killed_at_fifty_random_moments_goes_on_bit_for_bit(folder: Path) -> None:
    assert killed_chain(folder, kills=50, seed=2) >= 15


def test_a_killed_and_resumed_run_ends_with_the_weights_of_a_run_in_one_piece(folder: Path) -> None:
    common = ["train", "data.npz", "--epochs", "150", "--standardize"]
    assert run(folder, *common, "--seed", "3", "-o", "whole.npz").returncode == 0
    checkpoint = ["--checkpoint", "state.npz"]
    command = [sys.executable, "-B", "trainer.py", *common, "--seed", "3", *checkpoint, "-o", "parts.npz"]
    process = subprocess.Popen(command, cwd=folder)
    while not (folder / "state.npz").exists():
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert not (folder / "parts.npz").exists()
    # Standardisation is that of the checkpoint, so it need not be asked for again.
    resumed = ["train", "data.npz", "--epochs", "150", "--resume", "state.npz", *checkpoint]
    assert run(folder, *resumed, "-o", "parts.npz").returncode == 0
    with np.load(folder / "whole.npz") as whole, np.load(folder / "parts.npz") as parts:
        assert set(whole.files) == set(parts.files) == {*module().PARAMETER_SHAPES, "mean", "deviation"}
        for name in whole.files:
            assert whole[name].tobytes() == parts[name].tobytes()


@pytest.mark.parametrize("replaced", ["os.replace(temporary, target)", "os.fsync(file.fileno())"])
def test_an_end_while_the_file_is_written_leaves_the_old_one(folder: Path, replaced: str) -> None:
    """Killed between any two calls of writing, which random moments hit only now and then."""
    text = source()
    assert text.count(replaced) == 1
    assert run(folder, "train", "data.npz", "--epochs", "2", "--checkpoint", "state.npz").returncode == 0
    before = (folder / "state.npz").read_bytes()
    (folder / "trainer.py").write_text(text.replace(replaced, f"os.kill(os.getpid(), 9), {replaced}"))
    arguments = ["train", "data.npz", "--epochs", "4", "--resume", "state.npz", "--checkpoint", "state.npz"]
    assert run(folder, *arguments).returncode == -signal.SIGKILL
    assert (folder / "state.npz").read_bytes() == before
    (folder / "trainer.py").write_text(text)
    assert run(folder, *arguments).returncode == 0
    assert module().Trainer.load(folder / "state.npz").epochs == 4


# ---------------------------------------------------------------- SIGINT

LISTENING = """
import sys, numpy as np, trainer
with np.load("data.npz") as data:
    x, t = data["x"], np.eye(3)[data["t"]]
learner = trainer.Trainer(seed=3, batch_size=int(sys.argv[1]))
say = lambda epoch, history: epoch == 0 and print("started", flush=True)
learner.fit(x, t, 10**9, callback=say, checkpoint="state.npz", every=10**9)
"""


@pytest.mark.parametrize("batch_size", [8, 50], ids=["batches", "whole"])
def test_ctrl_c_ends_a_process_with_the_state_saved(folder: Path, batch_size: int) -> None:
    command = [sys.executable, "-B", "-c", LISTENING, str(batch_size)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    assert not (folder / "state.npz").exists()
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert said.strip().endswith(b"KeyboardInterrupt")
    resumed = module().Trainer.load(folder / "state.npz")
    whole = module().Trainer(seed=3, batch_size=batch_size)
    with np.load(folder / "data.npz") as data:
        x, t = data["x"], np.eye(3)[data["t"]]
    whole.fit(x, t, resumed.epochs + 2)
    resumed.fit(x, t, 2)
    assert whole.steps == resumed.steps
    assert whole._values.tobytes() == resumed._values.tobytes()


def test_ctrl_c_on_the_command_line(folder: Path) -> None:
    command = [sys.executable, "-B", "trainer.py", "train", "data.npz", "--epochs", str(EPOCHS)]
    command += ["--seed", "3", "--checkpoint", "state.npz"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (folder / "state.npz").exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert printed == ""
    assert "saved" in one_line(said)
    check_against_run_in_one_piece(folder / "state.npz")


# ---------------------------------------------------------------- where nothing can be written


def with_checkpoint(folder: Path) -> bytes:
    assert run(folder, "train", "data.npz", "--epochs", "2", "--checkpoint", "state.npz").returncode == 0
    return (folder / "state.npz").read_bytes()


def resume(folder: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = ["train", "data.npz", "--epochs", "9", "--resume", "state.npz", *arguments]
    return run(folder, *command, **options)


def test_a_file_that_may_not_grow_is_one_message(folder: Path) -> None:
    resource = pytest.importorskip("resource")
    before = with_checkpoint(folder)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = resume(folder, "--checkpoint", "state.npz", preexec_fn=limited)
    assert done.returncode == 2
    assert "state.npz: can't be written: File too large" in one_line(done.stderr)
    assert (folder / "state.npz").read_bytes() == before
    assert module().Trainer.load(folder / "state.npz").epochs == 2
    assert not list(folder.glob("*.tmp"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_one_message(folder: Path, small_disk: Path) -> None:
    before = with_checkpoint(folder)
    state = small_disk / "state.npz"
    shutil.copy(folder / "state.npz", state)
    (small_disk / "other").write_bytes(bytes(16 * 1024 - 4096 - len(before) // 4096 * 4096 - 4096))
    done = resume(folder, "--checkpoint", str(state))
    assert done.returncode == 2
    assert f"{state}: can't be written: No space left on device" in one_line(done.stderr)
    assert state.read_bytes() == before
    assert sorted(path.name for path in small_disk.iterdir()) == ["other", "state.npz"]


@pytest.mark.parametrize("option", ["--checkpoint", "--output"])
def test_a_missing_folder_is_noticed_before_training(folder: Path, option: str) -> None:
    done = run(folder, "train", "data.npz", "--epochs", str(EPOCHS), option, "nowhere/file.npz")
    assert done.returncode == 2
    assert "nowhere/file.npz: can't be written: No such file" in one_line(done.stderr)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_noticed_before_training(folder: Path) -> None:
    before = with_checkpoint(folder)
    folder.chmod(0o555)
    try:
        done = resume(folder, "--checkpoint", "state.npz")
    finally:
        folder.chmod(0o755)
    assert done.returncode == 2
    assert "can't be written: Permission denied" in one_line(done.stderr)
    assert (folder / "state.npz").read_bytes() == before


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder where nobody may write")
def test_a_folder_where_nobody_may_write(folder: Path) -> None:
    before = with_checkpoint(folder)
    done = resume(folder, "--checkpoint", "/proc/state.npz")
    assert done.returncode == 2
    assert "/proc/state.npz: can't be written: " in one_line(done.stderr)
    assert (folder / "state.npz").read_bytes() == before


def test_a_device_is_not_replaced_by_a_file(folder: Path) -> None:
    done = run(folder, "train", "data.npz", "--epochs", "1", "-o", os.devnull)
    assert done.returncode == 2
    assert "no plain file" in one_line(done.stderr)
    assert Path(os.devnull).is_char_device()


# ---------------------------------------------------------------- damaged files, in Python

LOADERS: dict[str, Callable[[Path], Any]] = {
    "load": lambda path: module().load(path),
    "Trainer.load": lambda path: module().Trainer.load(path),
}


def state_arrays() -> dict[str, Any]:
    trainer = module().Trainer(seed=0)
    arrays = {**trainer.parameters, "state.M": trainer._values[0], "state.V": trainer._values[1]}
    arrays["settings"] = np.array(json.dumps(trainer.settings))
    progress = {"steps": 0, "epochs": 0, "start": 0, "errors": [], "best": 1.0, "waited": 0}
    progress["generator"] = trainer.generator.bit_generator.state
    arrays["progress"] = np.array(json.dumps(progress))
    return arrays


def _pickled(path: Path) -> None:
    np.savez(path, **{**state_arrays(), "w1": np.array([{"a": 1}], dtype=object)})


def _changed(**arrays: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        kept = {name: value for name, value in {**state_arrays(), **arrays}.items() if value is not None}
        np.savez(path, **kept)

    return write


DAMAGED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda path: None, "there is no such file"),
    "folder": (lambda path: path.mkdir(), "is a directory"),
    "empty": (lambda path: path.write_bytes(b""), "not a readable .npz"),
    "text": (lambda path: path.write_text("1,2,3\n"), "not a readable .npz"),
    "random": (lambda path: path.write_bytes(random.Random(0).randbytes(5000)), "not a readable .npz"),
    "npy": (lambda path: np.save(path.open("wb"), np.zeros(3)), "not a readable .npz"),
    "pickled": (_pickled, "not a readable .npz"),
    "no-parameter": (_changed(w2=None), "holds no parameter w2"),
    "shape": (_changed(b1=np.zeros(7)), r"b1 must have shape \(6,\), got \(7,\)"),
    "type": (_changed(w1=np.array([["a"] * 6] * 4)), "w1 must hold numbers"),
    "nan": (_changed(w1=np.full((4, 6), np.nan)), "w1 holds a number that is not finite"),
}
NO_STATE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "weights alone": (_changed(settings=None, progress=None), "holds no state of a trainer: settings"),
    "no state": (_changed(**{"state.M": None}), "state.M is missing"),
    "state shape": (_changed(**{"state.V": np.zeros(5)}), "holds no state of this trainer"),
    "settings text": (_changed(settings=np.array("{")), "holds no state of this trainer"),
    "settings other": (_changed(settings=np.array('{"rho": 0.5}')), "rho"),
    "settings wrong": (_changed(settings=np.array('{"beta1": 2}')), "beta1 is 2"),
    "progress other": (_changed(progress=np.array("{}")), "is missing"),
    "generator": (_changed(progress=np.array('{"generator": {"bit_generator": "no"}}')), "state"),
}


@pytest.mark.filterwarnings("ignore:unclosed file")
@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_file_is_named(loader: str, kind: str, tmp_path: Path) -> None:
    write, message = DAMAGED[kind]
    path = tmp_path / "file.npz"
    write(path)
    with pytest.raises(ValueError, match=message) as caught:
        LOADERS[loader](path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("kind", NO_STATE)
def test_a_file_without_the_whole_state_is_named(kind: str, tmp_path: Path) -> None:
    write, message = NO_STATE[kind]
    path = tmp_path / "file.npz"
    write(path)
    assert set(module().load(path)) == set(module().PARAMETER_SHAPES)  # the parameters are there
    with pytest.raises(ValueError, match=message) as caught:
        module().Trainer.load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_the_state_of_another_optimizer_is_refused(tmp_path: Path) -> None:
    sb.load(sb.Network(ARCHITECTURE), optimizer="momentum").Trainer().save(tmp_path / "state.npz")
    with pytest.raises(ValueError, match="momentum"):
        module().Trainer.load(tmp_path / "state.npz")


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    module().Trainer(seed=0).save(tmp_path / "whole.npz")
    content, path = (tmp_path / "whole.npz").read_bytes(), tmp_path / "part.npz"
    for length in [*range(0, len(content), 37), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"part.npz: is not a readable .npz"):
            module().Trainer.load(path)


def loaded_or_message(path: Path) -> tuple[Any, str]:
    try:
        return module().Trainer.load(path), ""
    except ValueError as error:
        return None, str(error)


def test_a_changed_byte_is_refused_or_does_not_matter(tmp_path: Path) -> None:
    trainer = module().Trainer(seed=0)
    trainer.save(tmp_path / "whole.npz")
    content, path = (tmp_path / "whole.npz").read_bytes(), tmp_path / "changed.npz"
    generator, refused = random.Random(0), 0
    for _ in range(150):
        position = generator.randrange(len(content))
        changed = content[position] ^ (1 << generator.randrange(8))
        path.write_bytes(content[:position] + bytes([changed]) + content[position + 1 :])
        again, message = loaded_or_message(path)
        if again is None:
            refused += 1
            assert message.startswith(f"{path}: ")
        else:
            assert again._values.tobytes() == trainer._values.tobytes()
    assert refused > 100


def test_nothing_that_is_pickled_is_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    arrays = {**state_arrays(), "w1": np.array([Trap()], dtype=object)}
    np.savez(tmp_path / "trap.npz", **arrays)
    for loader in LOADERS.values():
        with pytest.raises(ValueError, match="plain arrays"):
            loader(tmp_path / "trap.npz")
    assert not (tmp_path / "sprung").exists()
    np.load(tmp_path / "trap.npz", allow_pickle=True)["w1"]  # what it would do if it were read
    assert (tmp_path / "sprung").exists()


# ---------------------------------------------------------------- NumPy alone


def all_commands(python: list[str], folder: Path) -> None:
    """Use each command of the module with an interpreter that has nothing but NumPy."""
    names = ("sympy", "jinja2", "symbackprop")
    code = f"import importlib.util as u; print([n for n in {names} if u.find_spec(n)])"
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [*python, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert all(" only: try another --learning-rate" in line for line in done.stderr.splitlines())
        return done.stdout

    if len(python) == 1:
        assert call("-c", code) == "[]\n"
    state = ["--checkpoint", "state.npz", "-o", "w.npz"]
    assert call("trainer.py", "train", "data.npz", "--epochs", "3", *state).startswith("3 epochs, E ")
    again = ["--epochs", "5", "--resume", "state.npz", *state]
    assert call("trainer.py", "train", "data.npz", *again).startswith("5 epochs, E ")
    assert "accuracy" in call("trainer.py", "evaluate", "w.npz", "data.npz")
    assert call("trainer.py", "predict", "w.npz", "data.npz").count("\n") == 50
    assert "dE/dw1" in call("trainer.py", "check")


def numpy_folders() -> list[Path]:
    """Return the folders that NumPy is installed in: the package, and the libraries beside it."""
    package = Path(np.__file__).parent
    return [path for path in (package, package.with_name("numpy.libs")) if path.exists()]


def test_runs_in_an_environment_that_holds_numpy_alone(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "environment"
    venv.create(place, with_pip=False, symlinks=True)
    (site,) = [p for p in place.rglob("site-packages") if p.is_dir() and not p.is_symlink()][:1]
    for path in numpy_folders():
        (site / path.name).symlink_to(path)
    all_commands([str(place / "bin" / "python")], folder)


BARE = """
import sys, runpy
sys.path.append("numpy_alone")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
assert not {"sympy", "symbackprop"} & set(sys.modules)
"""


def test_runs_without_site_packages(folder: Path) -> None:
    (folder / "numpy_alone").mkdir()
    for path in numpy_folders():
        (folder / "numpy_alone" / path.name).symlink_to(path)
    all_commands([sys.executable, "-I", "-S", "-c", BARE], folder)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_runs_with_other_pythons(version: str, folder: Path, tmp_path: Path) -> None:
    found = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    pythons = [str(path) for path in found if path is not None and _runs(str(path), version)]
    if not pythons:
        pytest.skip(f"there is no Python {version}")
    place = tmp_path / "environment"
    subprocess.run([pythons[0], "-m", "venv", str(place)], check=True)
    python = str(place / "bin" / "python")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "numpy"]
    if subprocess.run(install, capture_output=True).returncode:
        pytest.skip("NumPy can't be installed")
    all_commands([python], folder)


def _runs(python: str, version: str) -> bool:
    done = subprocess.run([python, "--version"], capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.startswith(f"Python {version}.")
