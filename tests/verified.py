"""Whatever tests make of operations is verified: what is lowered, and what each pass makes of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import Any
from weakref import WeakValueDictionary

from sympy import Expr, Integer, Symbol, expand

from symbackprop.arrays import signature
from symbackprop.arrays.operations import Operation, Statement
from symbackprop.arrays.verify import verify
from symbackprop.code import buffers, programs, training_step

_RIGHT: WeakValueDictionary[int, Operation] = WeakValueDictionary()
"""What was looked at and still is there, by its identity: passes hand on most of what they get."""


def look_at(operation: Operation, size: Callable[[Expr], Expr] = expand) -> None:
    """Verify an operation, once."""
    if _RIGHT.get(id(operation)) is not operation:
        verify(operation, size)
        _RIGHT[id(operation)] = operation


def _lowered(result: Operation, equation: object, scalars: Mapping[Symbol, str], *others: object) -> None:
    look_at(result, lambda n: _number(n, tuple((s, scalars.get(s, "")) for s in n.free_symbols)))


@cache
def _number(n: Expr, texts: tuple[tuple[Symbol, str], ...]) -> Expr:
    """Return a size with the numbers that stand for its symbols in the code."""
    return expand(n.xreplace({symbol: Integer(text) for symbol, text in texts if text.isdigit()}))


def _compared(result: list[Statement], statements: object) -> None:
    for statement in result:
        look_at(statement.operation)


def _shared(result: tuple[list[programs.Named], object], statements: object) -> None:
    _compared([entry.statement for entry in result[0]], statements)


def _written(
    result: object, writer: buffers.BufferWriter, name: str, operation: Operation, **others: object
) -> None:
    look_at(operation, lambda n: expand(writer.workspace.size(n)))


PASSES = (
    (signature, "lower", _lowered),
    (training_step, "compared_after", _compared),
    (programs, "share", _shared),
    (buffers.BufferWriter, "assign", _written),
    (buffers.BufferWriter, "scalar", _written),
)
"""What makes, rewrites and writes operations, and what looks at them afterwards."""


def install() -> None:
    """Have every pass followed by a look at its operations, in whatever module it has been imported."""
    own = [module for name, module in sys.modules.items() if name.split(".")[0] in ("symbackprop", "tests")]
    for home, name, look in PASSES:
        plain = getattr(home, name)
        watched = _followed(plain, look)
        for holder in (home, *own):
            if vars(holder).get(name) is plain:
                setattr(holder, name, watched)


def _followed(function: Callable[..., Any], look: Callable[..., None]) -> Callable[..., Any]:
    @wraps(function)
    def both(*arguments: Any, **named: Any) -> Any:
        result = function(*arguments, **named)
        look(result, *arguments, **named)
        return result

    return both
