"""The ground truth of tests on ``.net`` texts: the text itself, as plain Python loops, without SymPy.

The notation is Python's own, so each equation becomes a comprehension: ``sum(e, i)`` is a sum over
``range``, ``where`` an ``if``.  Nothing of the package reads the text here, and nothing knows a derivative.
"""

from __future__ import annotations

import ast
import itertools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class _Reads(dict[tuple[int, ...], Any]):
    """An array as a dictionary: a read outside of it, also at a negative position, is an error."""

    def __getitem__(self, position: Any) -> Any:
        return super().__getitem__(position if isinstance(position, tuple) else (position,))


class _Loops(ast.NodeTransformer):
    """Turns the calls that bind indices, and those that guard reads, into Python."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = sizes

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        # Indices and quantities are different name spaces: q[k] is the quantity q at the index k.
        assert isinstance(node.value, ast.Name)
        quantity = _parsed(f"Q[{node.value.id!r}]")
        return ast.Subscript(quantity, self.visit(node.slice), ast.Load())

    def visit_Call(self, node: ast.Call) -> ast.AST:
        assert isinstance(node.func, ast.Name)
        name, arguments = node.func.id, node.args
        if name == "size":
            assert isinstance(arguments[0], ast.Name)
            return ast.Constant(self.sizes[arguments[0].id])
        letters = [a.id for a in arguments[1:] if isinstance(a, ast.Name) and a.id in self.sizes]
        first, *rest = map(ast.unparse, map(self.visit, arguments))
        loops = " ".join(f"for {i} in range({self.sizes[i]})" for i in letters)
        count = math.prod(self.sizes[i] for i in letters)
        if name == "where":
            return _parsed(f"({rest[0]} if {first} else {rest[1]})")
        if name in ("sum", "max", "min", "prod") and letters:
            return _parsed(f"{name}({first} {loops})")
        if name == "argmax":
            return _parsed(f"max(range({count}), key=lambda {letters[0]}: {first})")
        texts = {
            "mean": f"(sum({first} {loops})/{count})",
            "logsumexp": f"log(sum(exp({first}) {loops}))",
            "softmax": f"(1/sum([exp(other - {first}) for other in [{first} {loops}]]))",
            "log_softmax": f"({first} - log(sum(exp({first}) {loops})))",
        }
        return _parsed(texts.get(name, f"{name}({', '.join([first, *rest])})"))


def _parsed(text: str) -> Any:
    return ast.parse(text, mode="eval").body


def _exp(s: float) -> float:
    return np.exp(np.longdouble(s))  # type: ignore[no-any-return]  # what overflows is far beyond float64


def _sigmoid(s: float) -> float:
    return 1 / (1 + _exp(-s))


FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "sum": sum,
    "max": max,
    "min": min,
    "Max": max,
    "exp": _exp,
    "log": np.log,
    "sqrt": math.sqrt,
    "prod": math.prod,
    "atan2": math.atan2,
    "floor": math.floor,
    "round": round,
    "lgamma": math.lgamma,
    "tanh": math.tanh,
    "sin": math.sin,
    "cos": math.cos,
    "range": range,  # type: ignore[dict-item]
    "sigmoid": _sigmoid,
    "relu": lambda s: s if s > 0 else 0,
    "leaky_relu": lambda s: s if s > 0 else 0.01 * s,
    "elu": lambda s: s if s > 0 else _exp(s) - 1,
    "softplus": lambda s: np.log(1 + _exp(s)),
    "softsign": lambda s: s / (1 + abs(s)),
    "silu": lambda s: s * _sigmoid(s),
    "gelu": lambda s: s * (1 + math.erf(s / math.sqrt(2))) / 2,
    "mish": lambda s: s * math.tanh(np.log(1 + _exp(s))),
    "gaussian": lambda s: _exp(-(s**2)),
    "arctan": math.atan,
    "softshrink": lambda s: math.copysign(max(abs(s) - 0.5, 0), s),
}
"""What an equation may call, each written down anew."""


def evaluate(
    equations: list[str], values: Mapping[str, Array | float], sizes: Mapping[str, int]
) -> dict[str, Array]:
    """Return ``values`` and what ``equations`` define, component by component, in order.

    ``sizes`` holds a number for every index letter.
    """
    arrays = {name: np.asarray(value) for name, value in values.items()}
    tables = {name: _table(value) for name, value in arrays.items()}
    for equation in equations:
        left, right = equation.split(" = ", 1)
        name, letters = left.split("[")[0].strip(), re.findall(r"\w+", left.partition("[")[2])
        body = ast.unparse(ast.fix_missing_locations(_Loops(sizes).visit(_parsed(right))))
        scalars = {n: t[()] for n, t in tables.items() if () in t}
        program = eval(f"lambda {', '.join(letters)}: {body}", {**FUNCTIONS, **scalars, "Q": tables})
        shape = tuple(sizes[i] for i in letters)
        arrays[name] = np.zeros(shape)
        with np.errstate(over="ignore"):  # 1/(1 + exp(-s)) is 0 at the other end
            for position in itertools.product(*map(range, shape)):
                arrays[name][position] = program(*position)
        tables[name] = _table(arrays[name])
    return arrays


class _Component(dict[tuple[int, ...], Any]):
    """A quantity whose components are computed when they are read; one outside of it is an error."""

    def __init__(self, program: Callable[..., float], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.program, self.shape = program, shape

    def __getitem__(self, position: Any) -> Any:
        return super().__getitem__(position if isinstance(position, tuple) else (position,))

    def __missing__(self, position: tuple[int, ...]) -> float:
        if not all(0 <= place < size for place, size in zip(position, self.shape, strict=True)):
            raise KeyError(position)
        self[position] = value = self.program(*position)
        return value


def evaluate_as_read(
    equations: list[str], values: Mapping[str, Array | float], sizes: Mapping[str, int]
) -> dict[str, Array]:
    """Return what ``equations`` define, in whatever order they stand: each component when it is read."""
    arrays = {name: np.asarray(value) for name, value in values.items()}
    tables: dict[str, Any] = {name: _table(value) for name, value in arrays.items()}
    scalars = {n: t[()] for n, t in tables.items() if () in t}
    for equation in equations:
        left, right = equation.split(" = ", 1)
        name, letters = left.split("[")[0].strip(), re.findall(r"\w+", left.partition("[")[2])
        body = ast.unparse(ast.fix_missing_locations(_Loops(sizes).visit(_parsed(right))))
        program = eval(f"lambda {', '.join(letters)}: {body}", {**FUNCTIONS, **scalars, "Q": tables})
        tables[name] = _Component(program, tuple(sizes[i] for i in letters))
    for name, table in tables.items():
        if isinstance(table, _Component):
            arrays[name] = np.zeros(table.shape)
            for position in itertools.product(*map(range, table.shape)):
                arrays[name][position] = table[position]
    return arrays


def _table(array: Array) -> _Reads:
    return _Reads(zip(np.ndindex(*array.shape), array.ravel().tolist(), strict=True))
