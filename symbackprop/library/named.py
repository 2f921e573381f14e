"""Named networks: the arguments of `Network` under a name that is a Python module's.

The committed modules of `generated/` are a pure function of this table.
"""

from __future__ import annotations

from typing import Any

NAMED_NETWORKS: dict[str, dict[str, Any]] = {
    # The net that textbooks derive by hand: one sigmoid for each of its binary outputs.
    "textbook": {"architecture": "2-3-1", "bias": False},
    "digits_classifier": {"architecture": "64-32-10:softmax"},
    "digits_autoencoder": {"architecture": "64-16-64"},
    "deep_20": {"architecture": "-".join(["16", *["16:tanh"] * 19, "10:softmax"])},
}
