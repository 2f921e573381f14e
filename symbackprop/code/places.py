"""The loop of a recurrence on buffers: what is computed at a place goes to slices of these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Operation, Order, Slices, Turn
from symbackprop.code.buffers import BufferWriter, Workspace
from symbackprop.code.recurrence import AtPlace, Case, Choice, Recurrence
from symbackprop.code.statements import Assign, Copy, Instruction, array


def turns_on_buffers(
    recurrence: Recurrence,
    names: Mapping[Operation, str],
    workspace: Workspace,
    stem: Callable[[str], str],
    taken: Collection[str],
) -> tuple[Instruction, ...]:
    """Return the loop of a recurrence whose arrays are buffers, and what comes before it.

    Args:
        recurrence: the equations of the circle, at one place.
        names: the operations that have a buffer when the loop begins.
        workspace: gets the temporaries.
        stem: gives the name of an array without the number of its layer, so that equal layers have equal
            names of slices.
        taken: names that no slice can have.
    """
    views = _views(recurrence, workspace, stem, taken)
    turned: dict[Operation, Operation] = {}
    for matrix in _turned(recurrence):
        name = f"{stem(str(matrix.inputs[0].value))}_turned"
        free = name not in taken and all(copy.name != name for copy in turned.values())
        turned[matrix] = workspace.named(name, matrix) if free else workspace.temporary(matrix)
    own = {**views, **{matrix: copy.name for matrix, copy in turned.items()}}
    writer = BufferWriter({**names, **own}, workspace)
    slices = {view: array(name, view) for view, name in views.items()}

    def assigned(target: Operation, operation: Operation) -> list[Instruction]:
        if not target.shape:
            return writer.entry(target, operation)
        return writer.slice(slices.get(target, target), operation)

    turns = recurrence.turns(assigned, [Assign(slices[view], view) for view in views])
    return *(Copy(matrix, copy) for matrix, copy in turned.items()), turns


def _turned(recurrence: Recurrence) -> list[Operation]:
    """Return the transposed matrices that are multiplied with at every place.

    They are copied once: a product of few rows with a matrix as it lies takes half the time.
    """
    inside = (o for part in recurrence.parts for case in _often(part.case) for o in case.parts())
    right = (o.inputs[1] for o in inside if o.kind == Kind.MATMUL)
    across = (m for m in right if m.kind == Kind.LAYOUT and m.value == Order((1, 0)))
    given = (m for m in across if m.inputs[0].kind == Kind.ARRAY and m.reads.isdisjoint(recurrence.names))
    return list(dict.fromkeys(given))


def _views(
    recurrence: Recurrence, workspace: Workspace, stem: Callable[[str], str], taken: Collection[str]
) -> dict[Operation, str]:
    """Return the slices at the place of a turn that are used more than once, with the names that they get.

    NumPy takes about as long to make one as to add up a few hundred numbers.
    """
    uses = Counter(s for part in recurrence.parts for s in (*_written(part), *_slices(part)))
    there = {s for part in recurrence.parts for s in _always_there(part)}
    found: dict[str, Operation] = {}
    for view, count in uses.items():
        name = f"{stem(str(view.inputs[0].value))}_here"
        if count > 1 and view in there and view.shape and workspace.in_order(view) and name not in taken:
            found.setdefault(name, view)
    return {view: name for name, view in found.items()}


def _written(part: AtPlace) -> Iterator[Operation]:
    """Yield the slice that an equation writes to, twice where that takes several steps."""
    yield part.target
    if any(any(i.inputs and not i.is_view for i in case.inputs) for case in _cases(part.case)):
        yield part.target


def _slices(part: AtPlace) -> Iterator[Operation]:
    """Yield the slices at the place that an equation reads."""
    for operation in _cases(part.case):
        yield from (p for p in operation.parts() if _is_here(p))


def _always_there(part: AtPlace) -> Iterator[Operation]:
    """Yield the slices of which an equation writes or reads one at every place."""
    if isinstance(part.case, Choice):
        if part.case.other is not None:  # otherwise it has the first places alone
            yield part.target
    elif part.case is not None:
        yield part.target
        yield from (p for p in part.case.parts() if _is_here(p))


def _cases(case: Case) -> Iterator[Operation]:
    if isinstance(case, Choice):
        yield from (*_cases(case.value), *_cases(case.other))
    elif case is not None:
        yield case


def _often(case: Case) -> Iterator[Operation]:
    """Yield what is computed at more places than one."""
    if isinstance(case, Choice):
        kind = case.condition.kind
        yield from () if kind == Kind.EQUAL else _often(case.value)
        yield from () if kind == Kind.NOT_EQUAL else _often(case.other)
    else:
        yield from _cases(case)


def _is_here(operation: Operation) -> bool:
    """Whether an operation is a slice of an array at the place of the turn."""
    if operation.kind != Kind.SUBSCRIPT or operation.inputs[0].kind != Kind.ARRAY:
        return False
    entries = operation.value_as(Slices).entries
    return [e.offset for e in entries if isinstance(e, Turn)] == [0]
