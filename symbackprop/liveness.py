"""Which buffers of a step can be one array: those that are never needed at once."""

from __future__ import annotations

import ast
from collections.abc import Hashable, Iterable, Iterator, Mapping


def shared_arrays(lines: Iterable[str], kinds: Mapping[str, Hashable]) -> dict[str, int]:
    """Return the number of the array that each buffer is in.

    Args:
        lines: the statements of a step, carried out from first to last.
        kinds: buffer -> its shape and type, which buffers in one array have in common; None for a buffer
            whose content outlives the step.

    A buffer is needed from the statement that names it first to the one that names it last, views of it
    included.  Nothing is in an array that the same statement reads another buffer from.
    """
    spans = _spans(lines, kinds)
    arrays: dict[Hashable, dict[int, int]] = {}  # kind -> its arrays, with the last statement that needs each
    count = 0
    found: dict[str, int] = {}
    for name in sorted(kinds, key=lambda n: spans.get(n, (0, 0))[0]):
        first, last = spans.get(name, (0, 0))
        kind = kinds[name]
        alike = arrays.setdefault(kind, {})
        idle = [(end, number) for number, end in alike.items() if kind is not None and end < first]
        if idle:
            _, number = max(idle)  # what was used last is the likeliest to be near the processor
        else:
            number = count
            count += 1
        alike[number] = last
        found[name] = number
    return {name: found[name] for name in kinds}


def _spans(lines: Iterable[str], names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return the first and the last statement that needs each buffer."""
    stands_for = {name: {name} for name in names}  # a view stands for what it is a view of
    spans: dict[str, tuple[int, int]] = {}
    for number, statement in enumerate(_statements(ast.parse("\n".join(lines)).body)):
        read = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        needed = set().union(*(stands_for.get(name, set()) for name in read))
        for name in needed:
            spans[name] = (spans.get(name, (number, number))[0], number)
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name) and target.id not in spans:
                    stands_for[target.id] = stands_for.get(target.id, set()) | needed
    return spans


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements, those under an if one by one; a loop, which comes back to its lines, is one."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield ast.Expr(statement.test)
            yield from _statements([*statement.body, *statement.orelse])
        else:
            yield statement
