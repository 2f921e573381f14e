"""Which buffers of a step can be one array: those that are never needed at once."""

from __future__ import annotations

import ast
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_MOST_TURNS = 3


def shared_arrays(lines: Iterable[str], kinds: Mapping[str, Hashable]) -> dict[str, int]:
    """Return the number of the array that each buffer is in.

    Args:
        lines: the statements of a step, carried out from first to last.
        kinds: buffer -> its shape and type, which buffers in one array have in common; None for a buffer
            whose content outlives the step.

    A buffer is needed from the statement that names it first to the one that names it last, views of it
    included.  Nothing is in an array that the same statement reads another buffer from, but where a
    function takes component by component what its result then replaces.
    """
    statements = list(_statements(ast.parse("\n".join(lines)).body))
    spans = _spans(statements, kinds)
    replaced = {number: _overwritten(statement) for number, statement in enumerate(statements)}
    arrays: dict[Hashable, dict[int, tuple[int, str]]] = {}  # kind -> its arrays, with what needs each last
    count = 0
    found: dict[str, int] = {}
    for name in sorted(kinds, key=lambda n: spans.get(n, (0, 0))[0]):
        first, last = spans.get(name, (0, 0))
        kind = kinds[name]
        alike = arrays.setdefault(kind, {})
        idle = [
            (end, number)
            for number, (end, other) in alike.items()
            if kind is not None and (end < first or (end == first and other in replaced[first].get(name, ())))
        ]
        if idle:
            _, number = max(idle)  # what was used last is the likeliest to be near the processor
        else:
            number = count
            count += 1
        alike[number] = last, name
        found[name] = number
    return {name: found[name] for name in kinds}


def _overwritten(statement: ast.stmt) -> dict[str, set[str]]:
    """Return the array that an elementwise function of NumPy writes to, with the arrays that it reads.

    It may write to one of these, as it has read a component before it writes that one.
    """
    match statement:
        case ast.Expr(
            ast.Call(
                ast.Attribute(ast.Name("np"), function), arguments, [ast.keyword("out", ast.Name(result))]
            )
        ) if isinstance(ufunc := getattr(np, function), np.ufunc) and ufunc.signature is None:
            plain = [argument.id for argument in arguments if isinstance(argument, ast.Name)]
            read = [name for argument in arguments for name in _names(argument)]
            return {result: {name for name in plain if read.count(name) == plain.count(name)}}
    return {}


def _spans(statements: Iterable[ast.stmt], names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return the first and the last statement that needs each buffer."""
    stands_for = {name: {name} for name in names}  # a view stands for what it is a view of
    spans: dict[str, tuple[int, int]] = {}
    for number, statement in enumerate(statements):
        needed = set().union(*(stands_for.get(name, ()) for name in _names(statement)))
        for name in needed:
            spans[name] = (spans.get(name, (number, number))[0], number)
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                if isinstance(target, ast.Name) and target.id not in spans:
                    stands_for[target.id] = stands_for.get(target.id, set()) | needed
    return spans


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the names in code; ``ast.walk`` takes several times as long to find them."""
    if isinstance(node, ast.Name):
        yield node.id
        return
    for field in node._fields:
        value = getattr(node, field)
        for part in value if isinstance(value, list) else (value,):
            if isinstance(part, ast.AST):
                yield from _names(part)


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements, those under an if one by one; a loop, which comes back to its lines, is one."""
    for statement in body:
        if isinstance(statement, ast.If):
            yield ast.Expr(statement.test)
            yield from _statements([*statement.body, *statement.orelse])
        else:
            yield statement


def turns_needed(lines: Iterable[str], stems: Iterable[str], counter: str) -> dict[str, int]:
    """Return how many arrays the layers of each stem can take in turn; without those that need one each.

    Args:
        lines: the statements of a step, carried out from first to last.
        stems: the names of dicts of arrays by layer.
        counter: what counts the layers in loops.

    In turn, layer ℓ has array ℓ mod n: those with the same array must never be needed at once.
    """
    spans: dict[str, dict[int, tuple[int, int]]] = {stem: {} for stem in stems}
    if not spans:
        return {}
    for time, (reads, layer) in enumerate(_unrolled(ast.parse("\n".join(lines)).body, counter)):
        for stem, place in reads:
            if place is None:  # what is kept under another name is needed for no one knows how long
                spans.pop(stem, None)
            elif stem in spans:
                at = place.at(layer)
                spans[stem][at] = (spans[stem].get(at, (time, time))[0], time)
    found = {stem: _turns_of(own) for stem, own in spans.items()}
    return {stem: number for stem, number in found.items() if number is not None}


def _turns_of(spans: Mapping[int, tuple[int, int]]) -> int | None:
    """Return the least number of arrays with which no two layers need the same one at once."""
    for number in range(1, _MOST_TURNS + 1):
        shares = [sorted(span for layer, span in spans.items() if layer % number == n) for n in range(number)]
        if all(before[1] < after[0] for share in shares for before, after in pairwise(share)):
            return number
    return None


@dataclass(frozen=True)
class _Place:
    """The layer of a read: ``layer + offset`` in a loop, else ``offset``."""

    counted: bool
    offset: int

    def at(self, layer: int) -> int:
        """Return the layer that is read while the loop is at ``layer``."""
        return self.offset + layer * self.counted


_Reads = list[tuple[str, _Place | None]]
"""What a statement reads of dicts by layer; None where it may keep one under another name."""


def _unrolled(body: Iterable[ast.stmt], counter: str) -> Iterator[tuple[_Reads, int]]:
    """Yield what statements read, in the order of carrying them out, with the layer of their loop."""
    for statement in _statements(body):
        if not (isinstance(statement, ast.For) and _is_name(statement.target, counter)):
            yield _reads(statement, counter), 0
            continue
        assert isinstance(statement.iter, ast.Call)
        inner = [_reads(each, counter) for each in _statements(statement.body)]
        for layer in range(*map(ast.literal_eval, statement.iter.args)):
            yield from ((each, layer) for each in inner)


def _reads(statement: ast.stmt, counter: str) -> _Reads:
    """Return every name in a statement with the layer that is read of it."""
    names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    parts = [node for node in ast.walk(statement) if isinstance(node, ast.Subscript)]
    layered = {id(part.value): part for part in parts if isinstance(part.value, ast.Name)}
    binds = isinstance(statement, ast.Assign) and any(isinstance(t, ast.Name) for t in statement.targets)
    return [
        (node.id, None if binds or id(node) not in layered else _place(layered[id(node)].slice, counter))
        for node in names
    ]


def _place(index: ast.expr, counter: str) -> _Place | None:
    """Return the layer that an index such as 3, layer or layer + 1 names, None for any other index."""
    match index:
        case ast.Name(id=name) if name == counter:
            return _Place(True, 0)
        case ast.Constant(value=int(number)):
            return _Place(False, number)
        case ast.BinOp(left=ast.Name(id=name), op=sign, right=ast.Constant(value=int(number))) if (
            name == counter
        ):
            return _Place(True, -number if isinstance(sign, ast.Sub) else number)
    return None


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
