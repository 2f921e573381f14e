"""A derivation as a Jupyter notebook, whose code makes the network again and tries the derivatives.

The document is Markdown with two pieces of Python in it; ``finished`` makes cells of both, as nbformat 4.5
has them.  They were not run: there are no outputs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from symbackprop.document.markdown import CellFormat
from symbackprop.equations.model import DataArray, Model
from symbackprop.equations.steps import Derived
from symbackprop.network.python import python_of

_CODE = re.compile(r"^```python\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^(?=##+ )", re.MULTILINE)
_ID_LETTERS = 12

_COMPARISON = """
# Numbers for the parameters and the data, and the code for them.
example = sb.trace(network)
values = example.numbers.values
module = sb.load(network)
parameters = {name: values[name] for name in %s}
x = %s
t = %s
E, gradients = module.gradients(parameters, x, t)

generator = np.random.default_rng(0)
step = 1e-6
for name, gradient in gradients.items():
    direction = generator.normal(size=gradient.shape)
    ahead = {**parameters, name: parameters[name] + step * direction}
    behind = {**parameters, name: parameters[name] - step * direction}
    quotient = (module.loss(ahead, x, t) - module.loss(behind, x, t)) / (2 * step)
    derivative = np.sum(gradient * direction)
    print(f"{name}: {derivative:.9g} derived, {quotient:.9g} by differences")
    assert np.isclose(derivative, quotient, rtol=1e-4, atol=1e-6), name
""".strip()


class NotebookFormat(CellFormat):
    """A notebook: cells of Markdown, a cell that makes the network, and one that compares."""

    def extra(self, catalogue: Mapping[str, str], fragment: bool) -> dict[str, object]:
        known = super().extra(catalogue, fragment)
        if self.derivation.model is None or not self.derivation.description:
            return known  # equations that no text says
        keys = ("notebook.network", "notebook.heading", "notebook.check")
        network, heading, check = (self.escape(catalogue[key]) for key in keys)
        return {
            **known,
            "begin": f"{network}\n\n{_fenced(_derivation_code(self.derivation))}",
            "end": f"## {heading}\n\n{check}\n\n{_fenced(_comparison_code(self.derivation.model))}",
        }

    def finished(self, document: str) -> str:
        parts = _CODE.split(super().finished(document))
        cells: list[dict[str, object]] = []
        for markdown, code in zip(parts[::2], [*parts[1::2], ""], strict=True):
            cells += map(_markdown_cell, _sections(markdown))
            if code:
                cells.append(_code_cell(code))
        for number, cell in enumerate(cells):
            cell["id"] = hashlib.sha256(f"{number} {cell['source']}".encode()).hexdigest()[:_ID_LETTERS]
        return json.dumps({"cells": cells, **_METADATA}, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


_METADATA = {
    "metadata": {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    },
    "nbformat": 4,
    "nbformat_minor": 5,
}


def _sections(markdown: str) -> Iterator[str]:
    """Yield the text in front of each heading, and what follows it."""
    return (part.strip() for part in _HEADING.split(markdown) if part.strip())


def _markdown_cell(text: str) -> dict[str, object]:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def _code_cell(code: str) -> dict[str, object]:
    lines = code.splitlines(keepends=True)
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": lines}


def _fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def _derivation_code(derivation: Derived) -> str:
    """Return the code that makes the network and the derivation, and shows a result."""
    model = derivation.model
    assert model is not None
    lines = ["import numpy as np", "", "import symbackprop as sb", "", python_of(derivation.description)]
    if model.missing:
        lines.append("network = network.with_small_sizes()  # where the equations leave them open")
    names = derivation.of or model.system.parameters
    lines.append(f"derivation = {_call(derivation, model)}")
    shown = [f"derivation.gradient({names[0]!r})"] if names else []
    return "\n".join([*lines, 'print(len(derivation.steps), "steps")', *shown])


def _call(derivation: Derived, model: Model) -> str:
    """Return the call that makes a derivation of ``network``."""
    if model.along is not None:
        return "sb.derive(network).hessian_vector_product()"
    options = {"of": derivation.of, "order": 2 if derivation.second else 1, "optimizer": derivation.optimizer}
    usual = {"of": (), "order": 1, "optimizer": "sgd"}
    given = [f", {name}={value!r}" for name, value in options.items() if value != usual[name]]
    return f"sb.derive(network{''.join(given)})"


def _comparison_code(model: Model) -> str:
    """Return the code that compares all derivatives with differences of the error."""
    vectors = () if model.along is None else tuple(model.along.vectors.values())
    inputs = [given for given in model.inputs if given.name not in vectors]
    names = (*model.system.parameters, *model.states)
    return _COMPARISON % (repr(names), _argument(inputs), _argument(model.targets))


def _argument(arrays: Sequence[DataArray]) -> str:
    """Return the inputs or the targets as a module takes them: an array, a dict of several, or None."""
    if not arrays:
        return "None"
    if len(arrays) == 1:
        return f"values[{arrays[0].name!r}]"
    return f"{{name: values[name] for name in {tuple(each.name for each in arrays)!r}}}"
