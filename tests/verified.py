"""Whatever tests make of operations is verified: what is lowered, and what each pass makes of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from typing import Any
from weakref import WeakValueDictionary

from sympy import Expr, Integer, Symbol, expand

from symbackprop.arrays import signature
from symbackprop.arrays.operations import Operation
from symbackprop.arrays.verify import verify
from symbackprop.code import buffers, module, programs, training_step
from symbackprop.code.loops import Rolled
from symbackprop.code.recurrence import Recurrence
from symbackprop.code.statements import Block, Instruction
from symbackprop.code.update import UpdateProgram
from symbackprop.code.verify import verify as verify_code

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


def _compared(result: list[programs.Carried], statements: object) -> None:
    for statement in result:
        recurrent = isinstance(statement, Recurrence)
        parts = (
            [o for part in statement.parts for o in part.operations] if recurrent else [statement.operation]
        )
        for operation in parts:
            look_at(operation)


def _shared(
    result: tuple[list[programs.Named], object], statements: object, layered: object, of_uses: object = ()
) -> None:
    _compared([entry.statement for entry in result[0]], statements)


def _written(
    result: object, writer: buffers.BufferWriter, name: str, operation: Operation, **others: object
) -> None:
    look_at(operation, lambda n: expand(writer.workspace.size(n)))


def _of_step(step: training_step.TrainingStep, program: Sequence[Instruction]) -> None:
    """Verify the instructions of a step on buffers."""
    own = step.workspace
    constants = (step.given.code(c.name) for c in step.model.constants if not c.is_number)
    made = (*(own.numbers or {}).values(), *own.constants.values(), *own.filled, *own.counts)
    states = (name for name, _, _ in step.others if name not in step.results)
    values = {*step.given.reserved, *step.given.arguments, *step.parameters, *states, *constants, *made}
    buffers = {*own.arrays, *own.masks, *own.padded, *step.results}
    verify_code(program, values, buffers, lambda n: expand(step.number(n)))


def _step_written(result: list[Block], step: training_step.TrainingStep) -> None:
    _of_step(step, result)


def _step_looped(result: Rolled, step: training_step.TrainingStep, blocks: object) -> None:
    _of_step(step, result.parts)


def _step_fitted(result: Sequence[Instruction], step: training_step.TrainingStep, program: object) -> None:
    _of_step(step, result)


def _of_function(made: module._Module, program: Sequence[Instruction], given: Sequence[str] = ()) -> None:
    """Verify the instructions of a pure function: it writes to nothing that it is given."""
    constants = (made.given.code(c.name) for c in made.model.constants if not c.is_number)
    values = {*made.given.reserved, *made.given.arguments, *made.parameters, *constants, *given}
    verify_code(program, values, (), lambda n: expand(made.model.number(n)))


def _function_written(
    result: Rolled,
    made: module._Module,
    statements: object,
    results: object,
    side: object,
    given: Sequence[str] = (),
) -> None:
    _of_function(made, result.parts, given)


def _update_written(result: tuple[list[Block], list[Block]], update: UpdateProgram) -> None:
    numbers, arrays = result
    kept = {*update.arrays.values()}
    values = {*update.optimizer.defaults, "rate", "steps", *kept}
    if numbers:
        verify_code(numbers, values | {block.name for block in numbers}, ())
    factors = {name for block in numbers for name in block.writes}
    verify_code(arrays, values | factors, {*kept, *update.workspace.arrays, *update.workspace.masks})


PASSES = (
    (signature, "lower", _lowered),
    (training_step, "compared_after", _compared),
    (programs, "share", _shared),
    (buffers.BufferWriter, "assign", _written),
    (buffers.BufferWriter, "scalar", _written),
    (training_step.TrainingStep, "written", _step_written),
    (training_step.TrainingStep, "looped", _step_looped),
    (training_step.TrainingStep, "in_turn", _step_looped),
    (training_step.TrainingStep, "fitted", _step_fitted),
    (module._Module, "_body_of", _function_written),
    (UpdateProgram, "written", _update_written),
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
