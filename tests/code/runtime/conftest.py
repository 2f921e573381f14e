"""The command line of a module in the test's own process and folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.code.runtime.nets import module

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command of a network's module; it gives status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["trainer.py"])

    def call(name: str, *arguments: object, optimizer: str = "adam") -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = module(name, optimizer).main(list(map(str, arguments)))
        except SystemExit as end:  # what argparse does with wrong options
            status = int(end.code or 0)
        return (status, *capsys.readouterr())

    return call


def refused(result: tuple[int, str, str]) -> str:
    """Return the one line that a refusal says."""
    status, printed, said = result
    assert (status, printed) == (2, ""), result
    assert said.count("\n") == 1, said
    assert said.startswith("trainer.py: ")
    return said.removeprefix("trainer.py: ").rstrip()


def done(result: tuple[int, str, str]) -> str:
    """Return what a command printed that had nothing to say beside it but advice on learning."""
    status, printed, said = result
    others = [line for line in said.splitlines() if " only: try another --learning-rate" not in line]
    assert (status, others) == (0, []), result
    return printed
