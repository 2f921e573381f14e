"""Which buffers of a step can be one array: those that are never needed at once."""

from __future__ import annotations

import ast
from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import pairwise

_MOST_TURNS = 3


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


def turns_needed(lines: Iterable[str], stem: str, counter: str) -> int | None:
    """Return how many arrays the layers of ``stem`` can take in turn; None if each needs its own.

    Args:
        lines: the statements of a step, carried out from first to last.
        stem: the name of a dict of arrays by layer.
        counter: what counts the layers in loops.

    In turn, layer ℓ has array ℓ mod n: those with the same array must never be needed at once.
    """
    spans: dict[int, tuple[int, int]] = {}
    for time, (statement, layer) in enumerate(_unrolled(ast.parse("\n".join(lines)).body, counter)):
        reads = _layers_read(statement, stem, counter, layer)
        if reads is None:
            return None
        for each in reads:
            spans[each] = (spans.get(each, (time, time))[0], time)
    for number in range(1, _MOST_TURNS + 1):
        shares = [sorted(span for layer, span in spans.items() if layer % number == n) for n in range(number)]
        if all(before[1] < after[0] for share in shares for before, after in pairwise(share)):
            return number
    return None


def _unrolled(body: Iterable[ast.stmt], counter: str) -> Iterator[tuple[ast.stmt, int]]:
    """Yield the statements in the order in which they are carried out, with the layer of their loop."""
    for statement in _statements(body):
        counts = isinstance(statement, ast.For) and ast.unparse(statement.target) == counter
        if not counts:
            yield statement, 0
            continue
        assert isinstance(statement, ast.For)
        assert isinstance(statement.iter, ast.Call)
        inner = list(_statements(statement.body))
        for layer in range(*map(ast.literal_eval, statement.iter.args)):
            yield from ((each, layer) for each in inner)


def _layers_read(statement: ast.stmt, stem: str, counter: str, layer: int) -> list[int] | None:
    """Return the layers of ``stem`` that a statement names, None if it may keep one under another name."""
    names = [n for n in ast.walk(statement) if isinstance(n, ast.Name) and n.id == stem]
    found = [n for n in ast.walk(statement) if isinstance(n, ast.Subscript) and _is_name(n.value, stem)]
    if len(found) != len(names):
        return None
    if (
        found
        and isinstance(statement, ast.Assign)
        and any(isinstance(t, ast.Name) for t in statement.targets)
    ):
        return None
    indices = [ast.unparse(each.slice).replace(counter, str(layer)) for each in found]
    terms = [index.replace("- ", "-").replace("+ ", "").split() for index in indices]
    return [sum(map(int, each)) for each in terms]


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
