"""Automatic differentiation of the text of a formula, as the great libraries do it: a reference.

Nothing of the package is used.  A formula is read by Python's parser and evaluated node by node, in the
numbers of a dtype or in those of mpmath; on the way back each node passes its cotangent on by the local
rule that PyTorch uses.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath
import numpy as np


@dataclass
class Node:
    """A value, what it was computed from, and by what the cotangent is multiplied on the way there."""

    value: Any
    parents: list[tuple[Node, Callable[[Any], Any]]] = field(default_factory=list)
    cotangent: Any = 0


def _mp(name: str) -> Callable[[Any], Any]:
    return getattr(mpmath, name)


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, mpmath.mpf):
        return base**exponent
    return np.power(base, exponent)


class Arithmetic:
    """Functions of numbers of one dtype, or of mpmath's where ``dtype`` is None."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    def number(self, value: float | str) -> Any:
        return mpmath.mpf(value) if self.dtype is None else self.dtype(value)

    def apply(self, name: str, z: Any) -> Any:
        if self.dtype is None:
            if name in ("exp", "sinh", "cosh") and abs(z) > 1e9:
                if name == "exp" and z < 0:
                    return mpmath.mpf(0)
                raise OverflowError
            if name in ("sin", "cos", "tan") and abs(z) > 1e300:
                raise OverflowError
            if name == "tanh" and abs(z) > 1e9:
                return mpmath.sign(z)
            own = {"abs": abs, "round": mpmath.nint, "lgamma": lambda s: mpmath.loggamma(s).real}
            return own.get(name, getattr(mpmath, name, None))(z)
        if name in ("erf", "lgamma"):
            return self.dtype(getattr(math, name)(z))
        if name == "digamma":
            return self.dtype(mpmath.digamma(z))
        return getattr(np, {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh",
                            "acosh": "arccosh", "atanh": "arctanh"}.get(name, name))(z)  # fmt: skip


class Reader:
    """Evaluates a formula in ``names`` and keeps what is needed for the way back."""

    def __init__(self, arithmetic: Arithmetic, names: dict[str, Any]) -> None:
        self.m = arithmetic
        self.leaves = {name: Node(value) for name, value in names.items()}
        self.tape: list[Node] = []

    def add(self, value: Any, *parents: tuple[Node, Callable[[Any], Any]]) -> Node:
        node = Node(value, list(parents))
        self.tape.append(node)
        return node

    def constant(self, value: float | str) -> Node:
        return Node(self.m.number(value))

    def gradient(self, result: Node) -> dict[str, Any]:
        """Return the derivative of ``result`` for each name."""
        result.cotangent = self.m.number(1)
        for node in reversed(self.tape):
            for parent, passed in node.parents:
                parent.cotangent = parent.cotangent + passed(node.cotangent)
        return {name: leaf.cotangent for name, leaf in self.leaves.items()}

    def read(self, node: ast.expr) -> Node:
        match node:
            case ast.Constant(value=value):
                return self.constant(repr(value))
            case ast.Name(id="pi"):
                return Node(+mpmath.pi if self.m.dtype is None else self.m.number(math.pi))
            case ast.Name(id=name):
                return self.leaves[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.read(operand)
                return self.add(-inner.value, (inner, lambda g: -g))
            case ast.BinOp(left=left, op=operator, right=right):
                return self.binary(self.read(left), operator, self.read(right))
            case ast.Call(func=ast.Name(id="where"), args=[condition, first, second]):
                return self.where(self.holds(condition), self.read(first), self.read(second))
            case ast.Call(func=ast.Name(id="Max"), args=[first, second]):
                return self.extreme(self.read(first), self.read(second), 1)
            case ast.Call(func=ast.Name(id="Min"), args=[first, second]):
                return self.extreme(self.read(first), self.read(second), -1)
            case ast.Call(func=ast.Name(id="atan2"), args=[first, second]):
                return self.angle(self.read(first), self.read(second))
            case ast.Call(func=ast.Name(id=name), args=[argument]):
                return self.call(name, self.read(argument))
        raise AssertionError(ast.dump(node))

    def holds(self, node: ast.expr) -> bool:
        match node:
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                a, b = self.read(left).value, self.read(right).value
                return bool(a > b if isinstance(operator, ast.Gt) else a < b)
        raise AssertionError(ast.dump(node))

    def where(self, holds: bool, first: Node, second: Node) -> Node:
        zero = self.m.number(0)
        chosen, other = (first, second) if holds else (second, first)
        return self.add(chosen.value, (chosen, lambda g: g), (other, lambda g: zero * g))

    def extreme(self, a: Node, b: Node, sign: int) -> Node:
        if a.value == b.value:
            half = self.m.number(0.5)
            return self.add(a.value, (a, lambda g: half * g), (b, lambda g: half * g))
        return self.where((a.value - b.value) * sign > 0, a, b)

    def angle(self, y: Node, x: Node) -> Node:
        square = x.value * x.value + y.value * y.value
        function = np.arctan2 if self.m.dtype else mpmath.atan2
        value = function(y.value, x.value)
        return self.add(value, (y, lambda g: g * x.value / square), (x, lambda g: -g * y.value / square))

    def binary(self, a: Node, operator: ast.operator, b: Node) -> Node:
        x, y = a.value, b.value
        match operator:
            case ast.Add():
                return self.add(x + y, (a, lambda g: g), (b, lambda g: g))
            case ast.Sub():
                return self.add(x - y, (a, lambda g: g), (b, lambda g: -g))
            case ast.Mult():
                return self.add(x * y, (a, lambda g: g * y), (b, lambda g: g * x))
            case ast.Div():
                return self.add(x / y, (a, lambda g: g / y), (b, lambda g: -g * ((x / y) / y)))
            case ast.Pow():
                n = self.m.number(1)
                return self.add(_power(x, y), (a, lambda g: g * (y * _power(x, y - n))))
        raise AssertionError(operator)

    def call(self, name: str, a: Node) -> Node:
        m, z = self.m, a.value
        if name == "sigmoid":
            one = m.number(1)
            r = one / (one + m.apply("exp", -z))
            return self.add(r, (a, lambda g: g * (one - r) * r))
        r = m.apply(name, z)
        one, two = m.number(1), m.number(2)
        root = m.apply
        rules: dict[str, Callable[[Any], Any]] = {
            "exp": lambda g: g * r,
            "log": lambda g: g / z,
            "sqrt": lambda g: g / (two * r),
            "sin": lambda g: g * m.apply("cos", z),
            "cos": lambda g: -g * m.apply("sin", z),
            "tan": lambda g: g * (one + r * r),
            "tanh": lambda g: g * (one - r * r),
            "sinh": lambda g: g * m.apply("cosh", z),
            "cosh": lambda g: g * m.apply("sinh", z),
            "asin": lambda g: g / root("sqrt", one - z * z),
            "acos": lambda g: -g / root("sqrt", one - z * z),
            "atan": lambda g: g / (one + z * z),
            "asinh": lambda g: g / root("sqrt", one + z * z),
            "acosh": lambda g: g / root("sqrt", z * z - one),
            "atanh": lambda g: g / (one - z * z),
            "erf": lambda g: g * (two / root("sqrt", m.number(math.pi) if m.dtype else +mpmath.pi)
                                  * m.apply("exp", -z * z)),
            "abs": lambda g: g * m.apply("sign", z),
            "sign": lambda g: g * m.number(0),
            "floor": lambda g: g * m.number(0),
            "round": lambda g: g * m.number(0),
            "lgamma": lambda g: g * m.apply("digamma", z),
        }  # fmt: skip
        return self.add(r, (a, rules[name]))


def differentiate(text: str, names: dict[str, float], dtype: Any = None) -> tuple[Any, dict[str, Any]]:
    """Return the value of a formula and its derivative for each name."""
    arithmetic = Arithmetic(dtype)
    reader = Reader(arithmetic, {name: arithmetic.number(value) for name, value in names.items()})
    with np.errstate(all="ignore"):
        result = reader.read(ast.parse(text, mode="eval").body)
        return result.value, reader.gradient(result)
