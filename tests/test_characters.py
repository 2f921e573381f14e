"""The model of text in examples/characters: it runs, and what counts three characters is right."""

from __future__ import annotations

import math
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parent.parent / "examples" / "characters" / "train.py"


def test_counts_of_what_is_always_the_same_take_no_bits() -> None:
    bits_of_counts = runpy.run_path(str(SCRIPT))["bits_of_counts"]
    again = np.tile([1, 2, 3], 400)
    assert bits_of_counts(again, again, 4) < 0.05
    drawn = np.random.default_rng(0).integers(4, size=60_000)
    assert bits_of_counts(drawn[:50_000], drawn[50_000:], 4) == pytest.approx(math.log2(4), rel=0.01)


@pytest.mark.slow
def test_the_network_learns() -> None:
    command = [sys.executable, str(SCRIPT), "--seconds", "3"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    bits = [float(number) for number in re.findall(r"([\d.]+)(?: bits)?(?=\n|,)", told)]
    assert "counted" in told
    assert bits[-1] < 4.5  # one of 80 characters takes 6.3, that of the most frequent ones 4.6
