"""The code of a generated module that takes, checks and reads its inputs and targets.

In goes a ``Model``, out come lines and words for the templates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sympy import Expr

from symbackprop.model import Given, Model


@dataclass(frozen=True)
class GivenCode:
    """What the generated module says about the arrays that it is given."""

    model: Model

    # ------------------------------------------------------------ in functions

    def given_lines(self, read: Iterable[str], dtype: str) -> Iterator[str]:
        """Yield the lines that bind the inputs, and those targets that are ``read``."""
        for argument, arrays in (("x", self.model.inputs), ("t", self.model.targets)):
            for given in arrays:
                if given.name in read or given is self.model.inputs[0]:
                    kind = "np.int64" if given.integer else dtype
                    yield f"{given.name} = np.asarray({_access(argument, arrays, given)}, {kind})"

    def constant_lines(self, read: Iterable[str], dtype: str) -> Iterator[str]:
        """Yield the lines that make arrays of the constants that are ``read``."""
        for constant in self.model.constants:
            if constant.name in read:
                yield f"{constant.name} = np.array({constant.code}, {dtype})"

    @property
    def output_shape(self) -> str:
        """The shape of the outputs, as docstrings tell it."""
        sizes = self.model.output_shape
        if len(sizes) == 1:
            return "(samples, outputs)"
        return f"(samples{''.join(f', {n}' for n in map(self._number, sizes))})"

    def _number(self, n: Expr) -> str:
        return str(self.model.size(n))

    # ------------------------------------------------------------ in templates

    def context(self, uses_totals: bool) -> dict[str, object]:
        """Return what the templates say about data; totals are checked where ``uses_totals``."""
        (x,), (t,) = self.model.inputs, self.model.targets
        inputs, outputs = self.model.size(x.shape[0]), self.model.size(t.shape[0])
        labels = outputs > 1 and self.model.has_classes
        bits = None if labels or None in (t.low, t.high) else (t.low, t.high)
        return {
            "inputs": inputs,
            "outputs": outputs,
            "target_condition": _condition(t),
            "target_text": _range_text(t),
            "target_total": t.total if uses_totals else None,
            "labels": labels,
            "bits": bits,
            "threshold": bits and float(sum(bits)) / 2,
            "columns": _columns(inputs, outputs, labels),
            "random_targets": _random_targets(t, outputs, labels),
        }


def _access(argument: str, arrays: Sequence[Given], given: Given) -> str:
    """Return the expression for one of the arrays of an argument, a dict where there are several."""
    return argument if len(arrays) == 1 else f'{argument}["{given.name}"]'


def _condition(given: Given) -> str:
    """Return the condition under which a number of ``given`` is out of bounds."""
    low = [] if given.low is None else [f"t < {given.low}"]
    high = [] if given.high is None else [f"t > {given.high}"]
    bounds = [*low, *high]
    return bounds[0] if len(bounds) == 1 else " | ".join(f"({bound})" for bound in bounds)


def _range_text(given: Given) -> str:
    """Return what a message says of the numbers that ``given`` may hold."""
    if given.low is not None and given.high is not None:
        return f"must lie in [{given.low}, {given.high}]"
    return f"must not be below {given.low}" if given.high is None else f"must not be above {given.high}"


def _columns(inputs: int, outputs: int, labels: bool) -> str:
    """Return what the columns of a table of data are."""
    first = f"{inputs} input" + ("s" if inputs > 1 else "")
    then = f"{outputs} target" + ("s" if outputs > 1 else "")
    label = f", or one label from 0 to {outputs - 1}" if labels else ""
    return f"{first}, then {then}{label}"


def _random_targets(given: Given, outputs: int, labels: bool) -> str:
    """Return the call of a generator that draws targets which the loss accepts."""
    if labels:
        return f"dirichlet(np.ones({outputs}), 5)"
    shape = f"(5, {outputs})"
    if given.low is None:
        return f"normal(size={shape})"
    low, high = float(given.low), 1.0 if given.high is None else float(given.high)
    return f"uniform({low + 0.05!r}, {high - 0.05!r}, {shape})"
