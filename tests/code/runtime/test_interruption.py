"""Runs that are asked to end, or are killed: the checkpoint is whole, and goes on bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.code.runtime.conftest import Run, done, refused
from tests.code.runtime.nets import assert_same, data, module, source, trainer

NAME = "classes"
fcntl = pytest.importorskip("fcntl")

SLOW = """
_step = Trainer.step
def step(self, *arguments, **keywords):
    import time
    E = _step(self, *arguments, **keywords)
    if self.steps == 8:
        print("started", flush=True)
    if self.steps >= 8:
        time.sleep(0.05)
    return E
Trainer.step = step
if __name__ == "__main__":
    sys.exit(main())
"""
"""Makes steps slow from the eighth on, so that signals come in the middle of an epoch."""
END = 'if __name__ == "__main__":\n    sys.exit(main())\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    text = source(NAME)
    assert text.endswith(END)
    (tmp_path / "slow.py").write_text(text.removesuffix(END) + SLOW)
    (tmp_path / "trainer.py").write_text(text)
    x, t = data(NAME, 240)
    np.savez(tmp_path / "data.npz", x=x, t=t)
    return tmp_path


TRAIN = ["train", "data.npz", "--batch-size", "8", "--checkpoint", "state.npz"]


def started(folder: Path, *options: str) -> subprocess.Popen[str]:
    """Return a process that trains, in the middle of its first epoch."""
    command = [sys.executable, "-B", "slow.py", *TRAIN, "--epochs", "9", "--seed", "4", *options]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def goes_on_bit_for_bit(folder: Path) -> None:
    """What was interrupted, resumed by the command, ends as a run in one piece, and leaves nothing else."""
    state = module(NAME).Trainer.load(folder / "state.npz")
    assert (state.epochs, state.steps >= 8, state._order is None) == (0, True, False)
    command = [sys.executable, "-B", "trainer.py", *TRAIN, "--epochs", "3", "-o", "parts.npz"]
    found = subprocess.run([*command, "--resume", "state.npz"], cwd=folder, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    x, t = data(NAME, 240)
    whole = trainer(NAME, seed=4)
    whole.fit(x, t, 3)
    assert_same(whole, module(NAME).Trainer.load(folder / "state.npz"))
    parameters = module(NAME).load(folder / "parts.npz")
    assert all((parameters[key] == value).all() for key, value in whole.parameters.items())
    assert not list(folder.glob("*.tmp"))


SAID = "slow.py: interrupted; the state of the last step is saved if --checkpoint is given\n"


@pytest.mark.parametrize(
    ("signals", "status"),
    [
        ([signal.SIGTERM], 143),
        ([signal.SIGINT], 130),
        ([signal.SIGTERM, signal.SIGTERM], 143),
        ([signal.SIGINT, signal.SIGINT], 130),
        ([signal.SIGINT, signal.SIGTERM], 143),
    ],
    ids=lambda value: "-".join(s.name for s in value) if isinstance(value, list) else "",
)
def test_a_run_that_is_asked_to_end(folder: Path, signals: list[signal.Signals], status: int) -> None:
    """A second signal before the step has ended changes nothing: the state is written all the same."""
    process = started(folder)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.002)
    printed, said = process.communicate(timeout=20)
    assert (process.returncode, printed, said) == (status, "", SAID)
    assert not (folder / "weights.npz").exists()
    goes_on_bit_for_bit(folder)


def test_a_resumed_run_that_is_asked_to_end_keeps_its_checkpoint(folder: Path) -> None:
    process = started(folder)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    command = [sys.executable, "-B", "slow.py", *TRAIN, "--epochs", "9", "--resume", "state.npz"]
    before = module(NAME).Trainer.load(folder / "state.npz").steps
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    time.sleep(0.6)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) in [(143, SAID), (-signal.SIGTERM, "")]
    assert module(NAME).Trainer.load(folder / "state.npz").steps >= before
    goes_on_bit_for_bit(folder)


def test_sigterm_in_the_same_process() -> None:
    """`fit` ends after the step with an interruption; what handled the signals before does so again."""
    x, t = data(NAME)
    own, whole = trainer(NAME), trainer(NAME)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def ends(steps: int) -> Iterator[Any]:
        for k in range(0, 40, 8):
            if own.steps == steps:
                signal.raise_signal(signal.SIGTERM)
            yield x[k : k + 8], t[k : k + 8]

    with pytest.raises(KeyboardInterrupt):
        own.fit(lambda: ends(7), epochs=9)
    assert own.steps == 8
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    for each in (own, whole):
        each.fit(lambda: ends(-1), epochs=3 - each.epochs)
    assert_same(own, whole)


def test_sigterm_in_the_last_step_and_in_a_callback(tmp_path: Path) -> None:
    x, t = data(NAME)
    own = trainer(NAME)
    path = tmp_path / "state.npz"
    with pytest.raises(KeyboardInterrupt):
        own.fit(
            x, t, 9, callback=lambda epoch, h: signal.raise_signal(signal.SIGTERM), checkpoint=path, every=5
        )
    assert own.epochs == 1
    assert_same(own, module(NAME).Trainer.load(path))
    own.fit(x, t, 1)


def test_signals_that_are_ignored_stay_so() -> None:
    """As of a run in the background of a script, which Ctrl-C is not meant for."""
    x, t = data(NAME)
    own = trainer(NAME)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        own.fit(x, t, 2, callback=lambda epoch, history: signal.raise_signal(signal.SIGINT))
        assert own.epochs == 2
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_run_in_another_thread_leaves_signals_alone() -> None:
    x, t = data(NAME)
    own, before = trainer(NAME), signal.getsignal(signal.SIGTERM)
    seen: list[Any] = []
    thread = threading.Thread(
        target=own.fit, args=(x, t, 2, None, lambda e, h: seen.append(signal.getsignal(signal.SIGTERM)))
    )  # fmt: skip
    thread.start()
    thread.join()
    assert seen == [before, None] or seen == [before, before]
    assert own.epochs == 2


# ---------------------------------------------------------------- fit inside of fit


def test_fit_in_its_own_callback_is_refused_and_the_run_goes_on() -> None:
    x, t = data(NAME)
    own, whole = trainer(NAME), trainer(NAME)
    said = []

    def again(epoch: int, history: Any) -> None:
        before = own._values.tobytes()
        with pytest.raises(RuntimeError) as error:
            own.fit(x, t, 1)
        said.append(str(error.value))
        with pytest.raises(RuntimeError):
            own.fit([(x, t)], epochs=1)
        assert own._values.tobytes() == before

    assert own.fit(x, t, 3, callback=again) == whole.fit(x, t, 3)
    assert said == ["fit is running: its callback can't call it again"] * 3
    assert_same(own, whole)


def test_a_callback_that_fails_ends_the_run_and_no_other() -> None:
    x, t = data(NAME)
    own, whole = trainer(NAME), trainer(NAME)
    with pytest.raises(RuntimeError, match="fit is running"):
        own.fit(x, t, 3, callback=lambda epoch, history: own.fit(x, t, 1))
    assert own.epochs == 1
    own.fit(x, t, 2)
    whole.fit(x, t, 3)
    assert_same(own, whole)


def test_fit_among_the_batches_of_fit_is_refused() -> None:
    x, t = data(NAME)
    own = trainer(NAME)

    def batches() -> Iterator[Any]:
        own.fit(x, t, 1)
        yield x[:8], t[:8]

    with pytest.raises(RuntimeError, match="fit is running"):
        own.fit(batches, epochs=1)
    own.fit(x, t, 1)
    assert own.epochs == 1


def test_another_trainer_may_be_trained_in_a_callback() -> None:
    x, t = data(NAME)
    own, other, whole = trainer(NAME), trainer(NAME), trainer(NAME)
    handler = signal.getsignal(signal.SIGTERM)
    own.fit(x, t, 2, callback=lambda epoch, history: other.fit(x, t, 1) and None)
    whole.fit(x, t, 2)
    assert_same(own, other)
    assert_same(own, whole)
    assert signal.getsignal(signal.SIGTERM) is handler


# ---------------------------------------------------------------- what killed runs leave


KILLED = """
import os, sys, trainer
trainer.os.replace = lambda *names: os._exit(9)
sys.argv[0] = "trainer.py"
sys.exit(trainer.main())
"""


@pytest.mark.parametrize("option", ["-o", "--checkpoint"])
def test_what_a_run_leaves_that_was_killed_while_writing(folder: Path, option: str) -> None:
    """The next run that writes the same file removes it; one that writes another does not."""
    (folder / "out.npz").write_bytes(b"old")
    train = ["train", "data.npz", "--epochs", "1", "--seed", "1"]
    other = [] if option == "-o" else ["-o", "weights.npz"]
    command = [sys.executable, "-B", "-c", KILLED, *train, option, "out.npz", *other]
    assert subprocess.run(command, cwd=folder).returncode == 9
    (stray,) = folder.glob("*.tmp")
    assert stray.name.startswith("out.npz.")
    assert (folder / "out.npz").read_bytes() == b"old"
    run = [sys.executable, "-B", "trainer.py", *train]
    assert subprocess.run([*run, "-o", "new.npz"], cwd=folder, capture_output=True).returncode == 0
    assert stray.exists()
    again = [*run, option, "out.npz", *other]
    assert subprocess.run(again, cwd=folder, capture_output=True).returncode == 0
    assert not list(folder.glob("*.tmp"))
    assert (folder / "out.npz").read_bytes() != b"old"


def test_a_file_that_another_process_is_writing_stays(tmp_path: Path) -> None:
    own, path = trainer(NAME), tmp_path / "state.npz"
    living, stray = tmp_path / "state.npz.abcd_f12.tmp", tmp_path / "state.npz.zzzz0000.tmp"
    for each in (living, stray):
        each.write_bytes(b"half")
    with living.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        own.save(path)
        assert living.read_bytes() == b"half"
        assert not stray.exists()
    own.save(path)
    assert not living.exists()
    assert_same(own, module(NAME).Trainer.load(path))


def test_two_processes_that_write_one_file(folder: Path) -> None:
    """Neither removes what the other is writing, and what is left is whole."""
    text = (
        "import trainer, sys\nfor k in range(150): trainer.Trainer(seed=int(sys.argv[1])).save('state.npz')"
    )
    processes = [
        subprocess.Popen([sys.executable, "-B", "-c", text, str(k)], cwd=folder, stderr=subprocess.PIPE)
        for k in range(2)
    ]
    for process in processes:
        assert process.communicate(timeout=60)[1] == b""
    assert module(NAME).Trainer.load(folder / "state.npz").steps == 0
    assert not list(folder.glob("*.tmp"))


LOOKALIKES = [
    "state.npz.tmp", "state.npz.abc.tmp", "state.npz.abcdefgh", "other.npz.abcdefgh.tmp",
    "state.npz.abcd.fgh.tmp", "state.npz.abcdefghi.tmp", "state.npz.ABCDEFGH.tmp", "state.npz.abc-efgh.tmp",
]  # fmt: skip


def test_files_with_other_names_stay(tmp_path: Path) -> None:
    for name in LOOKALIKES:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / "state.npz.abcdefgh.tmp").mkdir()
    trainer(NAME).save(tmp_path / "state.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [*LOOKALIKES, "state.npz", "state.npz.abcdefgh.tmp"]
    )


def test_a_failing_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = trainer(NAME)
    own.save(tmp_path / "state.npz")
    before = (tmp_path / "state.npz").read_bytes()
    own.fit(*data(NAME), 1)
    for error in (OSError(28, "No space left on device"), MemoryError(), KeyboardInterrupt()):

        def fails(*arguments: Any, error: BaseException = error, **keywords: Any) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(np, "savez", fails)
            with pytest.raises((ValueError, MemoryError, KeyboardInterrupt)):
                own.save(tmp_path / "state.npz")
        assert os.listdir(tmp_path) == ["state.npz"]
        assert (tmp_path / "state.npz").read_bytes() == before


def test_a_run_that_cannot_write_says_so_before_it_reads(run: Run) -> None:
    x, t = data(NAME)
    np.savez("data.npz", x=x, t=t)
    for option in ("-o", "--checkpoint"):
        said = refused(run(NAME, "train", "data.npz", option, "none/file.npz"))
        assert said == "none/file.npz: can't be written: No such file or directory"
    done(run(NAME, "train", "data.npz", "--seed", 1, "--epochs", 1))
