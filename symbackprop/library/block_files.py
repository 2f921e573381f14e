"""The blocks that ship with the package: each a ``.net`` text with the block of its name."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "blocks"


def block_files() -> dict[str, str]:
    """Return the text of each block, by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.net"))}
