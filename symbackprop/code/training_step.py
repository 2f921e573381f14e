"""The body of `Trainer.step`: a program's statements on buffers that are allocated once."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from itertools import groupby

from sympy import Expr

from symbackprop.arrays.kinds import Kind
from symbackprop.arrays.operations import Layered, Name, Operation, Statement
from symbackprop.code.buffers import BufferWriter, Workspace
from symbackprop.code.data import DataCode
from symbackprop.code.entries import COLUMNS, Keys, comprehension
from symbackprop.code.fitting import Names, assignment
from symbackprop.code.layout import (
    BODY,
    Comprehension,
    Value,
    chains,
    each_its_own,
    head,
    returned,
    returned_rows,
    unpacked,
    unpacked_rows,
)
from symbackprop.code.layouts import added_up_as_they_lie, orders_of
from symbackprop.code.lines import ANY_LENGTH, Comments, lines_of, turns
from symbackprop.code.liveness import of_one_turn, shared_arrays, spans_apart, turns_needed
from symbackprop.code.long_calls import LongCalls
from symbackprop.code.loops import LEAST_USES, Rolled, Uses, layered_names
from symbackprop.code.passes import differences_once
from symbackprop.code.patches import in_rooms, made_again
from symbackprop.code.places import turns_on_buffers
from symbackprop.code.programs import Carried, Part, share
from symbackprop.code.recurrence import Recurrence
from symbackprop.code.statements import (
    DTYPE,
    Block,
    Condition,
    Copy,
    Instruction,
    Loop,
    When,
    array,
    decided,
    names_of,
    walked,
)
from symbackprop.code.text import LAYER
from symbackprop.equations.model import Model
from symbackprop.equations.naming import SAMPLES, free_name

LONG = 12
"""Equations that loops carry out from which on a step is a function that `gradients` calls, too."""
_OF_LAYERS = "_of_layers"
"""The function that makes dicts by layer, where there are many."""
_MANY_DICTS = 8
"""Dicts by layer from which on a function makes them."""
_MANY = 3
"""Arrays that are alike and take fewer lines when they are made in one go."""


@dataclass(frozen=True)
class Held:
    """How a step gets at what it is given: ``dicts`` are those that a trainer has under such names."""

    dicts: Mapping[str, str]
    dtype: str
    generator: str | None
    buffers: str
    fixed: str

    @classmethod
    def by(cls, owner: str) -> Held:
        """Return how a step of a trainer gets at it."""
        dicts = {name: f"{owner}.{name}" for name in DICTS}
        return cls(dicts, f"{owner}.dtype", f"{owner}.generator", f"{owner}._buffers", f"{owner}._fixed")

    @classmethod
    def apart_from(cls, taken: Collection[str]) -> Held:
        """Return the arguments of a function, under names that are not ``taken``."""
        dicts = {name: free_name(word, {*taken} - {"parameters"}) for name, word in DICTS.items()}
        return cls(dicts, DTYPE, None, free_name("buffers", taken), free_name("fixed", taken))


DICTS = {"parameters": "parameters", "_derivatives": "derivatives", "_left": "left"}
"""The dicts of arrays that a trainer has -> the argument of a function that is given them."""


@dataclass(frozen=True)
class StepLines:
    """The lines of a training step, and what the module says of it beside them.

    ``given`` binds the data, ``step`` computes.  ``allocations`` make and return the ``buffers`` for samples
    and other ``sizes``; where it ``cuts``, the first rows of all of them will do for fewer samples.
    ``fixed`` makes the other arrays, where they are made apart.  ``stems`` are the dicts by layer, and
    ``turns`` says that some of these take arrays in turn, ``chooses`` that numbers are chosen by a condition.
    """

    given: list[str]
    step: list[str]
    allocations: list[str]
    fixed: list[str]
    buffers: list[str]
    sizes: list[str]
    stems: list[str]
    turns: bool
    chooses: bool
    cuts: bool


class TrainingStep:
    """Writes the statements of one step and collects the buffers that they need.

    Args:
        statements: forward, error and scaled derivatives, in order.
        parameters: the names of the parameters.
        comments: gives the comment lines of an equation's number.
        model: gives the number of a size.
        given: writes the lines that bind inputs, targets and constants.
        weighted: whether the errors of samples can be given weights.
        bare: whether it is one of a module without a runtime: without weights, and always with the error.

    Where its loops are long, it is `apart`: a function of what it reads and writes, for `gradients` too.
    """

    def __init__(
        self,
        statements: Sequence[Carried],
        parameters: Sequence[str],
        comments: Comments,
        model: Model,
        given: DataCode,
        weighted: bool,
        bare: bool = False,
    ) -> None:
        self.bare = bare
        self.weighted = weighted
        self.patches: list[str] = []
        self.loss = model.system.loss
        self.keys = list(parameters)
        self.parameters = [given.code(name) for name in parameters]
        self.derivatives = [given.derivative(name) for name in parameters]
        states = {given.code(name): name for name in model.states}
        left = {given.code(new): name for name, new in model.states.items()}
        self.others = [(name, "parameters", key) for name, key in states.items()]
        self.others += [(name, "_left", key) for name, key in left.items()]
        self.results = {*self.derivatives, *left}
        self.comments = comments
        self.model = model
        self.number = cache(model.number)  # of the same few sizes again and again
        self.given = given
        compared = compared_after(statements)
        self.compares_after = compared != list(statements)
        compared = differences_once(compared)
        self.uses = Uses.of(model.named, given.code)
        self.layered = layered_names(model.named, given.code)
        self.orders = orders_of(compared, self.results)
        """The orders in which the axes of arrays lie in memory, where that is another one."""
        compared = added_up_as_they_lie(compared, self.orders)
        self.shared, self.names = share(compared, self.layered, self.uses.layers)
        defined = (name for s in statements for name in s.names)
        others = [name for name, _, _ in self.others]
        own = {*self.names.values(), *self.parameters, *self.derivatives, *others, *defined}
        self.arrays = own
        self.keys_of_layers = Keys.of_system(model.named)
        for entry in self.shared:
            self.layered |= entry.layered(self.layered)
        self.workspace = Workspace(
            taken=own, numbers={}, size=self.number, by_bits=not bare, orders=self.orders
        )
        self.writer = BufferWriter(self.names, self.workspace)

    @cached_property
    def rolled(self) -> Rolled:
        """The instructions, those of equal layers as loops."""
        return self.in_turn(self.looped(self.written()))

    @cached_property
    def apart(self) -> bool:
        """Whether loops carry out so many equations that they stand in a function of their own."""
        return sum(len(part.blocks) for part in self.rolled.parts if isinstance(part, Loop)) >= LONG

    @cached_property
    def _taken(self) -> set[str]:
        """The names that nothing else can have."""
        taken = {*map(str, names_of(self.rolled.parts)), *self.rolled.dicts, *self.arrays, *self._all}
        return taken | {*self.given.arguments, *self.given.reserved}

    @cached_property
    def held(self) -> Held:
        """What the statements get at the arrays by that they are given."""
        return Held.apart_from(self._taken) if self.apart else Held.by("self" if self.bare else "trainer")

    def in_turn(self, rolled: Rolled) -> Rolled:
        """Take out of the dicts by layer what one array is enough for, a buffer of that name then."""
        rolled.take_out(self._of_one_array(rolled))
        return rolled

    def _of_one_array(self, rolled: Rolled) -> set[str]:
        """Return the dicts whose layers can all have one array, and enter that in place of theirs."""
        arrays = self.workspace.arrays
        given = {*self.given.arguments, *(name for name, _, _ in self.bound)}
        names = {stem: [Layered(stem, n).alone for n in layers] for stem, layers in rolled.dicts.items()}
        sizes = {name: tuple(map(self.given.size, shape)) for name, shape in arrays.items()}
        alike = [
            stem
            for stem, own in names.items()
            if len({sizes.get(name) for name in own}) == 1 and given.isdisjoint(own) and stem not in sizes
        ]
        found = of_one_turn(rolled.parts, alike)
        buffers = [stem for stem in alike if names[stem][0] in sizes and stem not in found]
        found |= {stem for stem, turns in turns_needed(rolled.parts, buffers).items() if turns == 1}
        taken = {name: stem for stem in found for name in names[stem]}
        kept = {taken.get(name, name): shape for name, shape in arrays.items()}
        self.orders |= {stem: self.orders[n] for n, stem in taken.items() if n in self.orders}
        arrays.clear()
        arrays.update(kept)
        self.arrays |= found
        return found

    @property
    def _columns(self) -> int:
        """The columns of a line of the step: that of a bare trainer is a method."""
        return BODY if self.bare and not self.apart else BODY + 4

    @cached_property
    def written_out(self) -> StepLines:
        """The lines of the step and of its arrays."""
        return self.lines()

    def lines(self) -> StepLines:
        """Return the lines of the step and of its arrays."""
        program = self.rolled.parts
        buffers = self._labels(self._sample_buffers())
        scratch = self._labels(self._scratch())
        found = self.given.size_lines()
        arguments = () if self._can_be_cut else tuple(found)
        fixed = [*scratch, *self._constant_names]
        dtype, generator = self.held.dtype, self.held.generator
        binding = [
            *self._parameter_lines(),
            *(line for name, line in found.items() if not self.apart or name in names_of(program)),
            *self.given.noise_lines(self._read, dtype, self.rolled.holds, generator),
            *self._array_lines(buffers, fixed, ", ".join(("samples", *arguments))),
            *self.given.constant_lines(self._read, dtype),
            *self._dict_lines(),
        ]
        if DTYPE in names_of(program) and dtype != DTYPE:
            binding.append(f"dtype = {dtype}")
        carried_out = self.fitted(program) if self.apart else program
        allocations, made = self._allocated(_sharing(self._places(buffers)), buffers, scratch)
        return StepLines(
            given=list(self.given.given_lines(self._read, dtype, quickly=not self.bare)),
            step=[*binding, *lines_of(carried_out, self._columns, self.comments)],
            allocations=allocations,
            fixed=made,
            buffers=buffers,
            sizes=list(arguments),
            stems=list(self.rolled.dicts),
            turns=bool(self._turns),
            chooses=any(isinstance(i, Copy) and i.by_bits and i.where is not None for i in walked(program)),
            cuts=self._can_be_cut,
        )

    def fitted(self, program: Iterable[Block | Loop]) -> list[Block | Loop]:
        """Return a program in which what makes calls longer than a line has names."""
        return LongCalls(partial(self.workspace.fresh, "part")).fitted(program, self._columns)

    def _array_lines(self, buffers: list[str], fixed: list[str], sizes: str) -> Iterator[str]:
        """Yield the lines that bind the arrays of a step, for rows of those sizes."""
        if self.bare:
            yield from () if self.apart else allocating(sizes)
            names = [*buffers, *fixed]
            unpack = unpacked_rows if self.rolled.dicts else unpacked
            yield from unpack(names, self.held.buffers, self._columns)
            return
        yield from unpacked(buffers, self.held.buffers if self.apart else f"trainer._buffers_for({sizes})")
        yield from unpacked([*self._stems_of_parameters, *fixed], self.held.fixed)

    def _allocated(
        self, sharing: Iterable[list[str]], buffers: list[str], scratch: list[str]
    ) -> tuple[list[str], list[str]]:
        """Return the lines that make the arrays of a step: those of its rows, and the others."""
        allocations = self._all_allocations(sharing)
        fixed = self._all_allocations([name] for name in scratch)
        fixed += self._constants()
        names = [*scratch, *self._constant_names]
        if self.bare:
            listed = [*buffers, *names]
            rows = returned_rows(listed, self.held.buffers, self._columns)
            return [*allocations, *fixed, *(rows if self.rolled.dicts else returned(listed))], []
        fixed += returned([*self._stems_of_parameters, *names])
        return [*allocations, *returned(buffers)], [*self._by_layer(), *fixed]

    @cached_property
    def _read(self) -> set[str]:
        """The names of the arrays that the statements read."""
        return set().union(*[entry.statement.operation.reads for entry in self.shared])

    def written(self) -> list[Block]:
        """Return the instructions for each statement."""
        found: list[Block] = []
        for entry in self.shared:
            statement = entry.statement
            if isinstance(statement, Recurrence):
                found.append(self._recurrence(statement, entry.known))
                continue
            made: list[tuple[Operation, list[Instruction]]] = []
            for part in entry.parts:
                lines = self._part(part, statement.name)
                block = Block(part.name, tuple(lines), statement.number)
                others = entry.beside(part)
                if not self.uses.enter(found, block, statement.name, self.layered, others):
                    made.append((part.operation, lines))
            of_loss = statement.name == self.loss
            own = self._statement(statement)
            if of_loss:
                alone = [i for part, lines in made for i in lines if part not in self._not_of_loss]
                made = [(part, lines) for part, lines in made if part in self._not_of_loss]
                own = [When(Condition.WITH_LOSS, (*alone, *own))]
            parts = [i for _, lines in made for i in lines]
            shapes = shapes_in(statement.operation, self.number)
            inner: Sequence[Instruction] = (*parts, *own)
            inner = decided(inner, Condition.WITH_LOSS) if self.bare else inner
            found.append(Block(statement.name, tuple(inner), statement.number, like=shapes))
        found, self.patches = made_again(found, self._outside_of_loops())
        return found

    def _outside_of_loops(self) -> set[str]:
        """Return the buffers of samples, of known size, that stand beside loops: few layers make none."""
        count = Counter(own.stem for own in self.layered.values())
        in_many = {name for name, own in self.layered.items() if count[own.stem] >= LEAST_USES}
        return self._sizes_of_samples().keys() - in_many

    def _sizes_of_samples(self) -> dict[str, int]:
        """Return how many numbers of a sample each buffer holds, where that is known."""
        of_samples = {n: s for n, s in self.workspace.arrays.items() if s.count(SAMPLES) == 1}
        others = {name: [n for n in shape if n != SAMPLES] for name, shape in of_samples.items()}
        sizes = {name: self.workspace.number_of(own) for name, own in others.items()}
        return {name: int(size) for name, size in sizes.items() if size is not None}

    def _part(self, part: Part, beside: str) -> list[Instruction]:
        """Return the instructions for a part; in a use of a block, what it views is kept by layer, too."""
        found = self.writer.part(part.name, part.operation)
        own = self.layered.get(part.name)
        if own is None or beside not in self.uses.layers:
            return found
        for number, name in enumerate(name for name in self.writer.viewed if name in self.workspace.arrays):
            shape = self.workspace.arrays[name]
            copy = Layered(f"{own.stem}_copy{'_' * number}", own.layer)
            if copy.alone in self.arrays:
                continue
            self.workspace.arrays[copy.alone] = shape
            self.layered[copy.alone] = copy
            self.arrays.add(copy.alone)
            self.workspace.idle.append(name)
            names = {name: copy.alone}
            found = [i.renamed(partial(_replaced, names)) for i in found]
        return found

    @cached_property
    def _not_of_loss(self) -> set[Operation]:
        """All operations in other statements than that of the loss."""
        found: set[Operation] = set()
        pending = [e.statement.operation for e in self.shared if e.statement.name != self.loss]
        while pending:
            operation = pending.pop()
            if operation not in found:
                found.add(operation)
                pending += operation.inputs
        return found

    def _recurrence(self, recurrence: Recurrence, known: Collection[str]) -> Block:
        for part in recurrence.parts:
            self.workspace.arrays[part.name] = part.empty.shape
        names = {operation: name for operation, name in self.names.items() if name in known}
        inner = turns_on_buffers(recurrence, names, self.workspace, self._stem, self.arrays)
        return Block(recurrence.name, inner, recurrence.number)

    def _stem(self, name: str) -> str:
        """Return the name of an array without the number of its layer."""
        return self.layered[name].stem if name in self.layered else name

    def looped(self, blocks: Sequence[Block]) -> Rolled:
        """Return the instructions with those of equal layers as loops."""
        return Rolled(blocks, self.layered, self.arrays, self.given.reserved, COLUMNS, self.uses)

    # ------------------------------------------------------------ what the loops read and write

    def _kept(self, stem: str) -> list[int]:
        """Return the layers of a dict whose arrays are buffers."""
        layers = self.rolled.dicts.get(stem, ())
        return [n for n in layers if Layered(stem, n).alone in self._all]

    @cached_property
    def _arrays(self) -> dict[str, tuple[tuple[int, str], ...]]:
        """These layers of each dict, with the expressions that make an array for each."""
        return {
            stem: tuple((n, self._array(Layered(stem, n).alone)) for n in self._kept(stem))
            for stem in self.rolled.dicts
        }

    def _labels(self, names: Iterable[str]) -> list[str]:
        """Return names of buffers; of those that are kept in a dict its name, once."""
        return list(
            dict.fromkeys(self.layered[name].stem if self.rolled.holds(name) else name for name in names)
        )

    def _parameter_lines(self) -> Iterator[str]:
        """Yield the lines that bind the parameters and their derivatives."""
        if not (self.rolled.dicts or self.apart):
            plain = ("parameters.values()", "_derivatives.values()")
            parameters, derivatives = plain if self.bare else ("_parameter_arrays", "_derivative_arrays")
            owner = "self" if self.bare else "trainer"
            value = f"{owner}.{parameters}"
            if self.bare and self.others:  # beside which there are states
                value = "(self.parameters[name] for name in PARAMETER_SHAPES)"
            yield from unpacked(self.parameters, value)
            yield from unpacked(self.derivatives, f"{owner}.{derivatives}")
            yield from (f'{name} = {owner}.{where}["{key}"]' for name, where, key in self.others)
            return
        for where in dict.fromkeys(where for _, where, _ in self.bound):
            here = ((name, key) for name, held, key in self.bound if held == where)
            single = {name: f'"{key}"' for name, key in here if not self.rolled.holds(name)}
            arrays, columns = self.held.dicts[where], self._columns
            value = f"{arrays}[name]"
            if len(single) < _MANY:
                yield from (f"{name} = {arrays}[{key}]" for name, key in single.items())
            else:
                yield from each_its_own([*single], value, [*single.values()], columns)
        if self.bare:
            yield from self._by_layer()

    @cached_property
    def _stems_of_parameters(self) -> dict[str, tuple[str, dict[int, str]]]:
        """The dicts of parameters and of derivatives by layer: what holds them, and the key of each layer."""
        found: dict[str, tuple[str, dict[int, str]]] = {}
        for name, where, key in self.bound:
            if self.rolled.holds(name):
                own = self.layered[name]
                found.setdefault(own.stem, (self.held.dicts[where], {}))[1][own.layer] = key
        return found

    @cached_property
    def bound(self) -> list[tuple[str, str, str]]:
        """The arrays that a trainer keeps: the name of each, what holds it, and its key there."""
        groups = ((self.parameters, "parameters"), (self.derivatives, "_derivatives"))
        own = [(n, where, k) for names, where in groups for n, k in zip(names, self.keys, strict=True)]
        return [*own, *self.others]

    def _by_layer(self) -> list[str]:
        """Return the lines of the dicts of parameters and derivatives."""
        wanted = [(stem, where, keys) for stem, (where, keys) in self._stems_of_parameters.items()]
        return self.keys_of_layers.dicts(wanted, self._columns)

    @cached_property
    def _turns(self) -> dict[str, int]:
        """The dicts of buffers whose layers can share a few arrays, and how many these are."""
        arrays = {stem: {array for _, array in own} for stem, own in self._arrays.items()}
        stems = [stem for stem, alike in arrays.items() if len(alike) == 1]
        return turns_needed(self.rolled.parts, stems)

    def _dict_lines(self) -> Iterator[str]:
        """Yield the lines that make the other dicts, of what is given and of views."""
        if not self.rolled.dicts:
            return
        given = self.given.arguments
        for stem, layers in self.rolled.dicts.items():
            kept = self._kept(stem)
            names = {n: Layered(stem, n).alone for n in layers}
            if names[layers[-1]] in self.given.noise:
                keys = {n: self.given.noise[name] for n, name in names.items()}
                yield from self.keys_of_layers.dicts([(stem, "noise", keys)], self._columns)
            elif stem not in self._stems_of_parameters and len(kept) < len(layers):
                entries = [f"{n}: {name}" for n, name in names.items() if name in given]
                entries += [f"**{stem}"] if kept else []
                yield f"{stem} = {{{', '.join(entries)}}}"

    def _all_allocations(self, sharing: Iterable[list[str]]) -> list[str]:
        """Return the lines that allocate buffers; of a step with loops many that are alike in one go."""
        arrays, alike = list(sharing), dict[Value, list[str]]()
        for label, *others in arrays if self.rolled.dicts else ():
            if not others and (value := self._value(label)):
                alike.setdefault(value, []).append(label)
        together = {
            labels[0]: (labels, value) for value, labels in alike.items() if self._are_many(labels, value)
        }
        later = {label for labels, _ in together.values() for label in labels[1:]}
        lines: list[str] = []
        for room in dict.fromkeys(self._in_room[name] for name, *_ in arrays if name in self._in_room):
            largest = self._sizes_of_samples()[self._rooms[room][0]]
            lines.append(f"{room} = {self._zeros}((samples * {largest},), dtype)")
        for label, *others in arrays:
            if label in together:
                labels, value = together[label]
                lines += each_its_own(labels, value, [], BODY + 4)
            elif label not in later:
                lines += self._allocations(label, *others)
        return lines

    def _are_many(self, labels: Sequence[str], value: Value) -> bool:
        """Whether arrays that are alike are made in one go: where `apart`, if that is shorter."""
        if len(labels) == 1 or not self.apart:
            return len(labels) >= _MANY
        return len(each_its_own(labels, value, [], BODY + 4)) < sum(len(self._allocations(n)) for n in labels)

    @cached_property
    def _rooms(self) -> dict[str, list[str]]:
        """The arrays in which patches, and what is as large for a while, are in turn, under their names."""
        kept = self.rolled.dicts
        known = {name: size for name, size in self._sizes_of_samples().items() if name not in kept}
        patches = [name for name in self.patches if name in known]
        if not patches:
            return {}
        least = min(known[name] for name in patches)
        others = [n for n in known if n.startswith(self.workspace.stem) and known[n] >= least]
        spans = spans_apart(self.rolled.parts, dict.fromkeys((*patches, *others)))
        rooms = in_rooms(spans, known)
        taken = {*self._all, *self._constant_names}
        free = (f"patches{n}" for n in itertools.count(1) if f"patches{n}" not in taken)
        return {next(free): room for room in rooms}

    def _value(self, label: str) -> Value | None:
        """Return the expression that makes a buffer, or a dict of equal ones, None for any other dict."""
        if label not in self.rolled.dicts:
            return self._array(label)
        texts, layers = {text for _, text in self._arrays[label]}, self._kept(label)
        if label in self._turns or len(texts) > 1:
            return None
        if shape := self._of_layers.get(label):
            return f"{_OF_LAYERS}({shape}, dtype)"
        span = range(layers[0], layers[-1] + 1)
        return Comprehension(f"{LAYER}: {texts.pop()}", f"for {LAYER} in {turns(span)}")

    @cached_property
    def _of_layers(self) -> dict[str, str]:
        """The shapes of the dicts of zeros for the layers that most dicts have, where these are many."""
        found: dict[range, dict[str, str]] = {}
        for label in self.rolled.dicts if self.apart else ():
            kept, texts = self._kept(label), {text for _, text in self._arrays[label]}
            first = Layered(label, kept[0]).alone if kept else ""
            plain = first in self.workspace.arrays and not self.orders.get(first)
            if plain and len(texts) == 1 and label not in self._turns:
                sizes = tuple(map(self.given.size, self._all[first]))
                found.setdefault(range(kept[0], kept[-1] + 1), {})[label] = tuple_of(sizes)
        most = max(found.values(), key=len, default={})
        return most if len(most) >= _MANY_DICTS else {}

    def zeros_by_layer(self) -> list[str]:
        """Return the lines of the function that makes these dicts."""
        if not self._of_layers:
            return []
        layers = self._kept(next(iter(self._of_layers)))
        zeros = f"{'np.' if self.bare else '_'}zeros(shape, dtype)"
        span = turns(range(layers[0], layers[-1] + 1))
        arguments = ["shape: tuple[int, ...]", "dtype: np.dtype"]
        return [
            *head(_OF_LAYERS, arguments, "dict[int, np.ndarray]"),
            '    """Return an array for each layer."""',
            f"    return {{{LAYER}: {zeros} for {LAYER} in {span}}}",
        ]

    def _allocations(self, label: str, *others: str) -> list[str]:
        """Return the lines that allocate a buffer, or a dict of them, under all its names."""
        first, *more = chains((label, *others))
        names, rest = " = ".join(first) + " = ", [" = ".join([*group, label]) for group in more]
        if label not in self.rolled.dicts:
            return [f"{names}{self._array(label)}", *rest]
        if label in self._turns:
            layers, (_, array) = self._kept(label), self._arrays[label][0]
            listed = [turns(range(layers[0], layers[-1] + 1)), *[array] * self._turns[label]]
            line = f"{names}_by_turns({', '.join(listed)})"
            if len(line) <= COLUMNS:
                return [line, *rest]
            return [f"{names}_by_turns(", *(f"    {line}," for line in listed), ")", *rest]
        if label in self._of_layers:
            return [f"{names}{self._value(label)}", *rest]
        runs = groupby(self._arrays[label], lambda pair: pair[1])
        numbers = [(text, [n for n, _ in pairs]) for text, pairs in runs]
        spans = [(f"{LAYER}: {text}", range(layers[0], layers[-1] + 1)) for text, layers in numbers]
        if len(spans) == 1:
            return [*comprehension(*spans[0], f"{names}{{", "}", BODY + 4), *rest]
        inside = [line for span in spans for line in comprehension(*span, "**{", "},")]
        return [f"{names}{{", *(f"    {line}" for line in inside), "}", *rest]

    def _statement(self, statement: Statement) -> list[Instruction]:
        name, operation = statement.name, statement.operation
        if not operation.shape and name in self.results:
            return self.writer.component(name, operation)
        if not operation.shape:
            weighted = self.weighted and name == self.loss
            return self.writer.scalar(name, operation, weighted=weighted, columns=COLUMNS)
        if name not in self.results and (operation.is_leaf or operation.is_whole):
            return self.writer.part(name, operation)  # the same numbers under another name
        if name not in self.results:
            self.writer.make(name, operation)
        return self.writer.assign(name, operation)

    @cached_property
    def _all(self) -> dict[str, tuple[Expr, ...]]:
        """The buffers that the finished body needs."""
        own = self.workspace
        filled = {name: shape for name, (_, shape) in own.filled.items()}
        return {**own.arrays, **own.masks, **own.padded, **own.counts, **filled}

    def _sample_buffers(self) -> list[str]:
        """Return the buffers whose size depends on the data: on the number of samples, or on an open size."""
        return [name for name, shape in self._all.items() if not self.model.is_fixed(shape)]

    def _scratch(self) -> list[str]:
        """Return the other buffers."""
        return [name for name, shape in self._all.items() if self.model.is_fixed(shape)]

    @cached_property
    def _can_be_cut(self) -> bool:
        """Whether the first rows of each buffer are a buffer for fewer samples."""
        shapes = [self._all[name] for name in self._sample_buffers()]
        return all(shape[0] == SAMPLES and self.model.is_fixed(shape[1:]) for shape in shapes)

    def _places(self, names: Sequence[str]) -> dict[str, int]:
        """Return the number of the array, or of the dict of arrays, that each buffer is in."""
        own = self.workspace
        kinds: dict[str, Hashable] = {
            name: (name in own.masks, self.orders.get(name), *map(self.given.size, self._all[name]))
            if (name in own.arrays or name in own.masks) and not any(name in r for r in self._rooms.values())
            else None
            for name in names
            if name not in self.rolled.dicts
        }
        for name in (name for name in names if name in self.rolled.dicts):
            kinds[name] = (self._turns.get(name), self._arrays[name])
        places = shared_arrays(self.rolled.parts, kinds)
        for room in self._rooms.values():  # those of one shape are one array
            first: dict[tuple[Expr, ...], int] = {}
            places |= {name: first.setdefault(self._all[name], places[name]) for name in room}
        return {name: places[name] for name in names}

    def _array(self, name: str) -> str:
        """Return the expression that makes an array for a buffer."""
        if name in self.workspace.counts:
            return "np.arange(samples)"
        sizes = [self.given.size(n) for n in self._all[name]]
        order, turned = self.orders.get(name, ()), ""
        if order:
            back = ", ".join(str(order.index(n)) for n in range(len(order)))
            sizes, turned = [sizes[n] for n in order], f".transpose({back})"
        if name in self._in_room:
            part = f"{self._in_room[name]}[: samples * {self._sizes_of_samples()[name]}]"
            return f"{part}.reshape({', '.join(sizes)}){turned}"
        shape = tuple_of(sizes)
        if name in self.workspace.masks:
            return f"np.empty({shape}, bool){turned}"
        if self.workspace.filled.get(name, ("", ()))[0] == "ones":
            return f"np.ones({sizes[0] if len(sizes) == 1 else shape}, dtype)"
        return f"{self._zeros}({shape}, dtype){turned}"

    @property
    def _zeros(self) -> str:
        return "np.zeros" if self.bare else "_zeros"

    @cached_property
    def _in_room(self) -> dict[str, str]:
        """The room of each buffer that is in one."""
        rooms = {room: names for room, names in self._rooms.items() if len({self._all[n] for n in names}) > 1}
        return {name: room for room, names in rooms.items() for name in names}

    @property
    def _constant_names(self) -> list[str]:
        return [*(self.workspace.numbers or {}).values(), *self.workspace.constants.values()]

    def _constants(self) -> Iterable[str]:
        """Yield the lines that make the arrays without data."""
        names = self.workspace.constants
        numbers = self.workspace.numbers or {}
        # Other arrays are made beside these: no part of a constant may have one's name.
        taken = {Operation(Kind.ARRAY, (), name): name for name in (*names.values(), *self._all)}
        made = [i for o, name in names.items() for i in assignment(array(name, o), o, Names(taken))]
        yield from (f"{name} = np.array({value}, dtype)" for value, name in numbers.items())
        yield from lines_of(made, ANY_LENGTH)


def allocating(sizes: str) -> Iterator[str]:
    """Yield the lines by which a bare trainer has the arrays of a step for those sizes."""
    listed = f"({sizes}{'' if ', ' in sizes else ','})"
    yield f"if self._allocated_for != {listed}:"
    yield f"    self._allocated_for = {listed}"
    yield f"    self._buffers = _allocate({sizes.replace('samples', 'samples, self.dtype', 1)})"


def tuple_of(sizes: Sequence[str]) -> str:
    """Return the text of a tuple of sizes."""
    return f"({', '.join(sizes)}{',' * (len(sizes) == 1)})"


def _replaced(names: Mapping[str, str], name: Name) -> Name:
    return names.get(str(name), name)


def compared_after(statements: Iterable[Carried]) -> list[Carried]:
    """Return the statements with max(s, 0) > 0 in place of s > 0, which holds for the same s.

    Of a pre-activation s that nothing else reads, the array is then free for the activation.
    """
    found, same = list[Carried](), dict[Operation, Operation]()
    for statement in statements:
        if isinstance(statement, Recurrence):
            found.append(statement)
            continue
        operation = statement.operation.replaced(same)
        found.append(replace(statement, operation=operation))
        if operation.kind == Kind.MAXIMUM:
            axes, shape = operation.axes, operation.shape
            value = Operation(Kind.ARRAY, (), statement.name, axes, shape)
            before, *bound = operation.inputs
            same[Operation(Kind.GREATER, (before, *bound))] = Operation(
                Kind.GREATER, (value, *bound), None, axes, shape
            )
    return found


def shapes_in(operation: Operation, number: Callable[[Expr], Expr]) -> tuple[tuple[Expr, ...], ...]:
    """Return the shapes of what an operation reads and gives; ``number`` gives sizes their numbers."""
    parts = [operation, *(part for part in operation.parts() if part.kind == Kind.ARRAY)]
    return tuple(tuple(map(number, part.shape)) for part in parts)


def _sharing(places: Mapping[str, int]) -> list[list[str]]:
    """Return the buffers of each array, in order."""
    found: dict[int, list[str]] = {number: [] for number in sorted({*places.values()})}
    for name, number in places.items():
        found[number].append(name)
    return list(found.values())
