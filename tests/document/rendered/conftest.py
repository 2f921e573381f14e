"""What the run did, in figures; a program that is missing is a failure and no reason to skip."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

COUNTS: Counter[str] = Counter()


@pytest.fixture(scope="session")
def counts() -> Counter[str]:
    """Return what was counted so far: each test adds what it has checked."""
    return COUNTS


def program(name: str) -> str:
    """Return where a program is; the test fails where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.fail(f"{name} is not installed; see tests/documents/install")
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COUNTS:
        terminalreporter.section("documents")
        for what, count in COUNTS.items():
            terminalreporter.write_line(f"{count:6d} {what}")
