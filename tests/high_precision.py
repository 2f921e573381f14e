"""Truth for scores that are far apart: the text of a ``.net`` as plain loops, with thousands of digits.

The derivative is the quotient of two values whose arguments differ by 10⁻⁹⁰⁰.  Nothing of the package reads
the text, and nothing knows a rule of derivation.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Mapping
from typing import Any

import mpmath
import numpy as np

from tests.net_text import _Loops, _parsed, _Reads

Array = np.ndarray[Any, np.dtype[Any]]
Tables = dict[str, _Reads]

DIGITS = 2700
"""exp(-2000) beside 1 has 870 digits, and a difference at 10⁻⁹⁰⁰ loses 900 more."""

_FUNCTIONS: dict[str, Any] = {
    "exp": mpmath.exp,
    "log": mpmath.log,
    "sqrt": mpmath.sqrt,
    "sigmoid": lambda s: 1 / (1 + mpmath.exp(-s)),
    "softplus": lambda s: mpmath.log(1 + mpmath.exp(s)),
    "sum": sum,
    "max": max,
    "range": range,
}


def value_and_gradient(
    text: str, values: Mapping[str, Array], parameter: str, sizes: Mapping[str, int]
) -> tuple[float, Array]:
    """Return E and its derivative for each component of ``parameter``, rounded to float64."""
    with mpmath.workdps(DIGITS):
        step = mpmath.mpf(10) ** -900
        tables = {name: _table(np.vectorize(mpmath.mpf, otypes=[object])(a)) for name, a in values.items()}
        base, gradient = _loss(text, tables, sizes), np.zeros(values[parameter].shape)
        for place in np.ndindex(*gradient.shape):
            moved = _Reads(tables[parameter])
            moved[place] = moved[place] + step
            gradient[place] = float((_loss(text, {**tables, parameter: moved}, sizes) - base) / step)
        return float(base), gradient


def _loss(text: str, tables: Tables, sizes: Mapping[str, int]) -> Any:
    found = dict(tables)
    for line in filter(_is_equation, text.splitlines()):
        left, right = line.split(" = ", 1)
        name, letters = left.split("[")[0].strip(), re.findall(r"\w+", left.partition("[")[2])
        body = ast.unparse(ast.fix_missing_locations(_Loops(sizes).visit(_parsed(right))))
        scalars = {n: t[()] for n, t in found.items() if () in t}
        program = eval(f"lambda {', '.join(letters)}: {body}", {**_FUNCTIONS, **scalars, "Q": found})
        places = itertools.product(*[range(sizes[i]) for i in letters])
        found[name] = _Reads({place: program(*place) for place in places})
    return found["E"][()]


def _is_equation(line: str) -> bool:
    return bool(re.match(r"\w+(\[[^\]]*\])? = ", line))


def _table(array: Array) -> _Reads:
    return _Reads(zip(np.ndindex(*array.shape), array.ravel().tolist(), strict=True))
