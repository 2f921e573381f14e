"""The notebook of examples/: its cells run, and what it shows is what they give now."""

from __future__ import annotations

import ast
import contextlib
import io
import json
from typing import Any

from tests.conftest import ROOT

NOTEBOOK = ROOT / "examples" / "derivation.ipynb"
MIME = {"_repr_html_": "text/html", "_repr_svg_": "image/svg+xml"}


def outputs_of(source: str, namespace: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Run a cell as a notebook does, and return its outputs in the notebook's format."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), namespace)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), namespace) if last else None
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"name": "stdout", "output_type": "stream", "text": lines(printed.getvalue())})
    if value is not None:
        data = {mime: lines(getattr(value, name)()) for name, mime in MIME.items() if hasattr(value, name)}
        text = "<picture>" if "image/svg+xml" in data else repr(value)
        data["text/plain"] = lines(text)
        outputs.append(
            {"data": data, "execution_count": number, "metadata": {}, "output_type": "execute_result"}
        )
    return outputs


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def executed(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook with its cells run from the first to the last."""
    namespace: dict[str, Any] = {}
    cells, number = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            number += 1
            outputs = outputs_of("".join(cell["source"]), namespace, number)
            cell = {**cell, "execution_count": number, "outputs": outputs}
        cells.append(cell)
    return {**notebook, "cells": cells}


def test_the_notebook_shows_what_its_cells_give(update_generated: bool) -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    expected = json.dumps(executed(json.loads(text)), indent=1, ensure_ascii=False) + "\n"
    if update_generated:
        NOTEBOOK.write_text(expected, encoding="utf-8")
    else:
        assert text == expected, "run: make update-generated"


def test_the_notebook_is_small_and_a_notebook() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert NOTEBOOK.stat().st_size < 200_000
    kinds = {
        mime for cell in notebook["cells"] for out in cell.get("outputs", []) for mime in out.get("data", [])
    }
    assert kinds == {"text/html", "image/svg+xml", "text/plain"}


def test_a_changed_output_is_noticed() -> None:
    cell = {"cell_type": "code", "source": ["x = 2\n", "x + 1"], "outputs": []}
    (ran,) = executed({"cells": [cell]})["cells"]
    assert ran["outputs"][0]["data"]["text/plain"] == ["3"]
