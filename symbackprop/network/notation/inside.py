"""Every read must stay inside its array: checked with symbolic sizes as far as they decide.

Where they do not, as for ``x[h + u]``, the numbers of the sizes decide.  The sizes are then no longer free of
each other, so one of them is written through the others: H = P - U + 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from sympy import Dummy, Expr, Indexed, Integer, Symbol, count_ops, expand

from symbackprop.equations.affine import affine, bounds, not_negative, with_sizes_from
from symbackprop.equations.functions import Quotient, Remainder
from symbackprop.equations.naming import SAMPLES
from symbackprop.equations.system import ONE, ZERO, indices_of, is_size, name_of
from symbackprop.network.architecture import MAX_UNITS
from symbackprop.network.notation.lines import Part
from symbackprop.network.notation.names import Names, Read
from symbackprop.network.notation.ranges import provisional_index, provisional_size
from symbackprop.network.notation.reader import name_of_integer


@dataclass
class SizeRelations:
    """The sizes while the reads are checked.

    ``final`` maps the provisional size of each letter to its size symbol, ``numbers`` holds the known
    ones by name, ``declared`` the sizes that the data and the parameters have, and ``written`` those sizes
    that are written through others.
    """

    names: Names
    final: Mapping[Expr, Expr]
    numbers: dict[str, int]
    declared: Collection[Expr]
    written: dict[Expr, Expr] = field(default_factory=dict)
    fixed: dict[Expr, Expr] = field(default_factory=dict)
    _quotients: dict[Expr, Dummy] = field(default_factory=dict)
    _opaque_parts: dict[Expr, Dummy] = field(default_factory=dict)

    def check(self) -> None:
        """Check all reads; raises SpecificationError where one leaves its array."""
        open_ends = [end for read in self.names.reads for end in self._ends(read)]
        self.written.update(self.fixed)
        for end in open_ends:
            self._settle(end)
        for end in open_ends:
            if self._sign(self._now(end.room)) is False:
                end.fail(self)

    def compute(self, letter: str, formula: Expr, part: Part) -> None:
        """Let the size of a letter be what follows from others: a number, and written through them."""
        size, value = self.final[provisional_size(letter)], self._now(self._resolved(formula))
        number, own = whole_size(self._in_numbers(value), part), self._now(size)
        rest = self._in_numbers(value - own)
        is_free = own == size and not value.has(size)
        if rest != 0 and (rest.is_number or not is_free):
            part.fail(f"this is {number}, but '{letter}' runs over {self._in_numbers(own)}")
        if number.is_number:
            self.numbers.setdefault(size.name, int(number))
        if not is_free:
            self._relate(own - value)
        elif whole := next((v for v in (value, number) if v.free_symbols and _is_whole_sum(v)), None):
            self._write(size, whole)
        elif not number.is_number:
            self._fail_open(letter, formula, part)

    def join(self, letter: str, length: Expr) -> None:
        """Let the axis of a letter, which cases define, be as long as they are together.

        Where it is related to sizes in another way already, these are the numbers that they have.
        """
        size, value = self.final[provisional_size(letter)], length.xreplace(self.final).xreplace(self.written)
        own = self._now(size)
        if own == size and not value.has(size):
            self._write(size, value)
            return
        self._relate(own - value)

    def _fail_open(self, letter: str, formula: Expr, part: Part) -> NoReturn:
        """Refuse a size that depends on one without a number, in another way than by sums."""
        sizes = (s for s in formula.free_symbols if not self.number(self.final[s]).is_number)
        name = min(size.name[1:] for size in sizes)
        problem = f"the size of '{letter}' depends on that of '{name}', which is not known"
        part.fail(problem, f"give it a number, as in: size {name} = 8")

    # ------------------------------------------------------------ one read

    def _ends(self, read: Read) -> Iterator[_End]:
        """Yield the ends of an axis that a read is not shown to stay within."""
        index = indices_of(read.component)[read.axis]
        ranges: dict[Symbol, Expr] = {}
        for letter in read.ranges:
            ranges[provisional_index(letter)] = self.final[self.names.size(letter)]
        places = self._places(index, ranges, read)
        index = index.xreplace(places)
        known = [g.xreplace(places) for guard in read.guards for g in not_negative(guard)]
        found = self._open_ends(read, self._opaque(index), map(self._opaque, known), ranges)
        if found and any(each.has(Quotient, Remainder) for each in (index, *known)):
            index, *known = (self._without_quotients(each, ranges, read) for each in (index, *known))
            found = self._open_ends(read, index, known, ranges)
        for end in found:
            if self._sign(end.room) is False:
                end.fail(self)
            yield end

    def _open_ends(
        self, read: Read, index: Expr, known: Iterable[Expr], ranges: dict[Symbol, Expr]
    ) -> list[_End]:
        """Return the ends that an index may lie beyond, for all that its guards, ``known``, say."""
        size = self.final[read.component.base.shape[read.axis]]
        guards = [self._resolved(guard) for guard in known]
        found = []
        for below, room in ((True, index), (False, size - ONE - index)):
            room = self._resolved(room)
            worst = bounds(room, ranges)[0]
            # A room that numbers alone decide is related below, so that it holds for other numbers, too.
            if self._symbolic_sign(worst) is not True and not any(
                self._sign(bounds(room - guard, ranges)[0]) is True for guard in guards
            ):
                found.append(_End(read, below, worst))
        return found

    def _opaque(self, index: Expr) -> Expr:
        """Return an index with a symbol for each quotient and remainder: its guards may tell enough."""
        for part in sorted(index.atoms(Quotient, Remainder), key=count_ops, reverse=True):
            index = index.xreplace({part: self._opaque_parts.setdefault(part, Dummy(integer=True))})
        return index

    def _without_quotients(self, index: Expr, ranges: dict[Symbol, Expr], read: Read) -> Expr:
        """Return an index with a symbol in place of each quotient and remainder, and their ranges."""
        while parts := sorted(index.atoms(Quotient, Remainder), key=count_ops):
            low, high = self._ends_of(parts[0], ranges, read)
            sizes = self._in_numbers(high - low).free_symbols & set(self.final.values())
            for size in sorted(sizes, key=str):
                letter = next(
                    i for i in self.names.ranges.by_letter if self.final[provisional_size(i)] == size
                )
                problem = f"whether this read is inside depends on the size of '{letter}'"
                read.part.fail(problem, f"give it a number, as in: size {letter} = 4", read.column)
            symbol = self._quotients.setdefault(parts[0], Dummy("quotient", integer=True))
            ranges[symbol] = high - low + 1
            index = index.xreplace({parts[0]: symbol + low})
        return index

    def _ends_of(self, part: Expr, ranges: Mapping[Symbol, Expr], read: Read) -> tuple[Expr, Expr]:
        """Return the least and the greatest value of a quotient or a remainder.

        Of p//2 these are 0 and H - 1 where p runs over 2 H. Where the sizes are related in no such way, they
        are from then on the numbers that they have: no other is known to fit.
        """
        if isinstance(part, Remainder):
            return ZERO, self._resolved(part.args[1]) - 1
        above, below = map(self._resolved, part.args)
        low, high = bounds(above, dict(ranges))
        count = self._count(high + 1, below, part, read) if low == 0 else None
        if count is not None:
            return ZERO, count - 1
        above, below = map(self._fixed, part.args)
        found = bounds(above, {i: self._fixed(n) for i, n in ranges.items() if above.has(i)})
        low, high = (Quotient(end, below) for end in found)
        return low, high

    def _count(self, length: Expr, below: Expr, part: Expr, read: Read) -> Expr | None:
        """Return how many values a quotient has in sizes, of a whole ``length``; None where that is open.

        Where that is the size of the axis that it reads, ``length`` is from then on a multiple of it.
        """
        numbers = [self.number(each) for each in (length, below)]
        if not all(n.is_Integer for n in numbers) or numbers[0] % numbers[1]:
            return None
        size = self.final[read.component.base.shape[read.axis]]
        if indices_of(read.component)[read.axis] != part or self.number(size) * numbers[1] != numbers[0]:
            return None
        self._relate(self._now(length - below * size))
        return size

    def _fixed(self, expression: Expr) -> Expr:
        """Return ``expression`` with numbers for its sizes, which keep them."""
        resolved = self._resolved(expression)
        for size in sorted(resolved.free_symbols, key=str):
            if size.name in self.numbers and is_size(size):
                self.fixed[size] = Integer(self.numbers[size.name])
        return resolved.xreplace(self.fixed)

    def _resolved(self, expression: Expr) -> Expr:
        return expand(expression.xreplace(self.final))

    def _places(self, index: Expr, ranges: dict[Symbol, Expr], read: Read) -> dict[Expr, Expr]:
        """Return a symbol in place of each integer quantity that an index reads, with its range."""
        places: dict[Expr, Expr] = {}
        found = {*index.atoms(Indexed), *index.atoms(Symbol)}
        for part in sorted(found, key=str):
            name = name_of_integer(part, self.names)
            if name is None or (isinstance(part, Symbol) and any(part in p.free_symbols for p in places)):
                continue
            if name in self.names.listed:
                low, high = self.names.listed[name]
                symbol = Dummy(name, integer=True)
                places[part], ranges[symbol] = symbol + low, Integer(high - low + 1)
                continue
            axes = self.names.positions.get(name)
            if axes is None:
                problem = f"nothing tells how large '{name}' can be here"
                hint = f"use it as a place of its own, or choose it: sum(where(p == {name}, x[p], 0), p)"
                read.part.fail(problem, hint, read.column)
            places[part] = Dummy(name, integer=True)
            ranges[places[part]] = self.final[self.names.size(axes[0])]
        return places

    # ------------------------------------------------------------ relations between sizes

    def number(self, expression: Expr) -> Expr:
        """Return ``expression`` with the numbers that are known."""
        return self._in_numbers(self._now(expression))

    def _now(self, expression: Expr) -> Expr:
        """Return ``expression`` through those sizes that are not written through others."""
        return expand(expression.xreplace(self.written))

    def _sign(self, expression: Expr) -> bool | None:
        """Return whether ``expression`` of sizes is never negative, or always; None where that depends."""
        sign = self._symbolic_sign(expression)
        return self._symbolic_sign(self._in_numbers(expression)) if sign is None else sign

    def _in_numbers(self, expression: Expr) -> Expr:
        """Return ``expression`` with the numbers of those sizes that have one."""
        known = {s: self.numbers[s.name] for s in expression.free_symbols if s.name in self.numbers}
        return expression.xreplace({s: Integer(n) for s, n in known.items()})

    def _settle(self, end: _End) -> None:
        """Write one size through the others such that the room at ``end`` keeps its number, or is 0."""
        room = self._now(end.room)
        sizes = sorted(room.free_symbols, key=str)
        unknown = [s for s in sizes if s.name not in self.numbers]
        known = {s: Integer(self.numbers[s.name]) for s in sizes if s.name in self.numbers}
        if len(unknown) == 1 and room.coeff(unknown[0]).is_negative:
            rest = int(room.xreplace({**known, unknown[0]: ZERO}))
            self.numbers[unknown[0].name] = max(1, rest // -int(room.coeff(unknown[0])))
            known, unknown = {**known, unknown[0]: Integer(self.numbers[unknown[0].name])}, []
        left = 0 if unknown else int(room.xreplace(known))
        if left < 0:
            end.fail(self)
        free = [s for s in unknown or sizes if abs(room.coeff(s)) == 1 and s != SAMPLES]
        if not free or self._symbolic_sign(room) is not None:
            return
        chosen = min(free, key=lambda s: self._preference(s, room.coeff(s)))
        slope = room.coeff(chosen)
        self._write(chosen, expand((left - room.xreplace({chosen: ZERO})) / slope))

    def _relate(self, room: Expr) -> None:
        """Write one size through the others such that ``room``, which is 0 for their numbers, always is.

        Where that can't be written in whole numbers, all of them are the numbers that they have.
        """
        room = expand(room)
        found = affine(room, room.free_symbols)
        free = [s for s, slope in found.slopes.items() if abs(slope) == 1] if found else []
        if free:
            chosen = min(free, key=lambda s: self._preference(s, room.coeff(s)))
            self._write(chosen, expand(chosen - room / room.coeff(chosen)))
            return
        for size in sorted(room.free_symbols, key=str):
            self._write(size, Integer(self.numbers[size.name]))

    def _write(self, size: Expr, value: Expr) -> None:
        """Write a size through others."""
        self.written = {s: _tidy(e.xreplace({size: value})) for s, e in self.written.items()}
        self.written[size] = value

    def _preference(self, size: Expr, slope: Expr) -> tuple[bool, bool, str]:
        """Rank a size: H = P - U + 1 for computed sizes, P = 2 H + U - 2 where only the data's are left."""
        declared = size in self.declared
        return declared, (slope == -1) == declared, str(size)

    def _symbolic_sign(self, expression: Expr) -> bool | None:
        """Return the sign that holds whatever the sizes are."""
        sign = with_sizes_from(1, expression).is_nonnegative
        return None if sign is None else bool(sign)


def whole_size(value: Expr, part: Part) -> Expr:
    """Return a size as it is; refuse a number that is none."""
    if value.is_number and not (value.is_Integer and 0 < value <= MAX_UNITS):
        shown = "" if part.text.isdigit() else f", not {value}"
        part.fail(f"a size is a whole number from 1 to {MAX_UNITS}{shown}")
    return value


def _tidy(value: Expr) -> Expr:
    """Return a sum multiplied out; products of sizes stay, as F (P - U + 1)."""
    found = expand(value)
    return value if affine(found, found.free_symbols) is None else found


def _is_whole_sum(value: Expr) -> bool:
    """Whether a size is a sum of whole multiples of sizes."""
    found = affine(value, value.free_symbols)
    return found is not None and all(n.is_Integer for n in (*found.slopes.values(), found.offset))


@dataclass(frozen=True)
class _End:
    """One end of an axis, and the room between it and the index that is read, at worst."""

    read: Read
    below: bool
    room: Expr

    def fail(self, relations: SizeRelations) -> None:
        """Refuse the read."""
        name, axis = name_of(self.read.component), self.read.axis
        letters = relations.names.axes[name]
        end = "before the beginning" if self.below else "beyond the end"
        problem = f"this reads {end} of axis {axis + 1} of '{name}'"
        room = relations.number(self.room)
        problem += f", by {-room}" if room.is_Integer else ""
        hint = f"guard it: where(0 <= index < size({letters[axis]}), {name}[...], 0)"
        self.read.part.fail(problem, hint, self.read.column)
