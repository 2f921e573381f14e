"""From a ``.net`` text to the model of its network: sizes, letters, samples, first values, data."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from numbers import Integral

from sympy import Expr, Ge, Gt, Le, Lt, Mul, S, Symbol

from symbackprop.equations.affine import holds_everywhere
from symbackprop.equations.circles import in_order
from symbackprop.equations.indices import renamed
from symbackprop.equations.model import Constant, DataArray, Initial, Initializer, Model, Noise
from symbackprop.equations.naming import LETTERS, SAMPLE, SAMPLES
from symbackprop.equations.system import (
    ONE,
    Equation,
    EquationSystem,
    Fact,
    Quantity,
    index,
    is_size,
    name_of,
    size,
)
from symbackprop.errors import SpecificationError, excerpt, suggestion
from symbackprop.library.initializers import INITIALIZERS
from symbackprop.network.architecture import MAX_PARAMETERS, MAX_UNITS
from symbackprop.network.notation.declarations import read_text
from symbackprop.network.notation.inside import SizeRelations
from symbackprop.network.notation.layers import with_roles
from symbackprop.network.notation.lines import UsedLine, text_lines
from symbackprop.network.notation.modes import MODES, in_mode, place_in_use, quantities_of, with_roles_of
from symbackprop.network.notation.names import LOSS
from symbackprop.network.notation.ranges import provisional_index, provisional_size
from symbackprop.network.notation.samples import Samples, repeated, shared_by_samples
from symbackprop.network.notation.text import Text


@dataclass(frozen=True)
class Equations:
    """A network as equations in index notation.

    ``sizes`` are numbers for sizes beside those in the text, by index letter; ``origin`` is the name of the
    text in messages, such as that of its file; ``name`` is the name of a module generated from it.
    """

    text: str
    sizes: Mapping[str, int]
    origin: str = "equations"
    name: str = "network"

    def model(self) -> Model:
        """Return the network that the text describes.

        Raises:
            SpecificationError: anything about it is wrong; the message points to the place.
        """
        model = _Building(read_text(self.text, self.origin, self.sizes), self.text, dict(self.sizes)).model()
        return replace(model, name=_python_name(self.name))


def _listed(values: float | tuple[float, ...]) -> tuple[float, ...]:
    return values if isinstance(values, tuple) else (values,)


def _python_name(text: str) -> str:
    """Return a Python name made from that of a file."""
    name = "".join(c if c.isalnum() and c.isascii() else "_" for c in text).strip("_").lower()
    taken = not name.isidentifier() or keyword.iskeyword(name)
    return f"network_{name}" if taken or name in sys.stdlib_module_names else name


class _Building:
    """Makes the model of one text."""

    def __init__(self, found: Text, text: str, sizes: dict[str, int]) -> None:
        self.found = found
        self.names = found.names
        self.ranges = found.names.ranges
        self.text = text
        self.sizes = sizes
        self._fix_sizes()
        self.samples_root = self.ranges.of(self.names.axes[found.inputs[0]][0])
        if self.samples_root.number is not None:
            letter = self.names.axes[found.inputs[0]][0]
            problem = f"'{letter}' numbers the samples, and their number comes with the data"
            places = {**found.fixed, **found.sizes}
            for given in self.samples_root.letters:
                if given in places:
                    places[given].fail(problem, "give it no size")
            raise SpecificationError(f"size {letter}: {problem}; give it no size")
        self._resolve_sizes()
        self._check_parameters()
        self._check_places()

    def _check_places(self) -> None:
        """Refuse a constant that is read as a place where there is none."""
        for name, values in self.found.constants.items():
            for letter in dict.fromkeys(self.names.positions.get(name, ())):
                number, part = self.ranges.number(letter), self.found.places[name]
                if number is None:
                    problem = f"whether '{name}' stays inside depends on the size of '{letter}'"
                    part.fail(problem, f"give it a number, as in: size {letter} = 4")
                least = -1 if name not in self.names.unguarded else 0
                odd = next((v for v in _listed(values) if not least <= v < number), None)
                if odd is not None:
                    part.fail(f"{odd:g} is no place along '{letter}', which has {number}", "count from 0")

    def _fix_sizes(self) -> None:
        """Give ranges the numbers that were asked for beside the text."""
        known = {letter for letter in self.ranges.by_letter if "~" not in letter}
        for letter, number in self.sizes.items():
            if letter not in known:
                hint = suggestion(letter, known)
                raise SpecificationError(f"size {excerpt(letter)}: there is no such index; {hint}")
            if isinstance(number, bool) or not isinstance(number, Integral) or not 0 < number <= MAX_UNITS:
                raise SpecificationError(f"size {letter}: must be a whole number from 1 to {MAX_UNITS}")
            root = self.ranges.of(letter)
            if root.number is not None and root.number != number:
                clash = f"{number} contradicts {root.number}, which the equations or another size say"
                raise SpecificationError(f"size {letter}: {clash}")
            root.number = int(number)

    def _resolve_sizes(self) -> None:
        """Find the size symbol of each letter, see that reads stay inside, and relate sizes."""
        taken = {*self.names.quantities, LOSS, SAMPLES.name}
        named = self.ranges.names(taken)
        self.letter_of: dict[str, str] = {}
        self.final: dict[Expr, Expr] = {}
        numbers: dict[str, int] = {}
        for letter in self.ranges.by_letter:
            root = self.ranges.of(letter)
            name = named[root.letters[0]]
            symbol = SAMPLES if root is self.samples_root else size(name)
            self.final[provisional_size(letter)] = symbol
            self.letter_of.setdefault(name, root.letters[0])
            if root.number is not None:
                numbers[name] = root.number
        relations = SizeRelations(self.names, self.final, numbers, self._declared())
        for letter, value, part in self.found.computed:
            relations.compute(letter, value, part)
        relations.check()
        for letter, length in self.found.joined.items():
            relations.join(letter, length)
        self.final = {p: s.xreplace(relations.written) for p, s in self.final.items()}
        self.numbers = relations.numbers

    def _check_parameters(self) -> None:
        """Refuse a parameter of which each sample would have its own part."""
        given = self.found.inputs[0]
        first = self.names.axes[given][0]
        kinds = {
            **dict.fromkeys(self.found.parameters, "parameter"),
            **dict.fromkeys(self.found.states, "state"),
        }
        for name, kind in kinds.items():
            for letter in self.names.axes[name]:
                if self.final[provisional_size(letter)].has(SAMPLES):
                    problem = f"the index '{letter}' of the {kind} '{name}' runs over the samples"
                    problem += f", as '{first}' does, the first index of '{given}'" * (letter != first)
                    self.found.places[name].fail(problem, f"a {kind} is the same for all of them")

    def _declared(self) -> set[Expr]:
        """Return the sizes that data, parameters and constants have."""
        found = self.found
        declared = [*found.inputs, *found.targets, *found.parameters, *found.constants]
        declared += [*found.noise, *found.states]
        return {self.final[provisional_size(i)] for name in declared for i in self.names.axes[name]}

    # ------------------------------------------------------------ equations

    @cached_property
    def quantities(self) -> dict[str, Quantity]:
        """Every quantity with its final shape, the samples' axis included."""
        known = {
            q.name: replace(q, shape=tuple(n.xreplace(self.final) for n in q.shape))
            for q in self.names.quantities.values()
        }
        return {n: q for n, q in known.items() if n not in self.found.constants or q.shape}

    @cached_property
    def letters(self) -> dict[Symbol, str]:
        """The letter of each provisional index."""
        return {provisional_index(letter): letter for letter in self.ranges.by_letter}

    @cached_property
    def sample_letters(self) -> set[Symbol]:
        """The provisional indices that run over the samples."""
        return {s for s, letter in self.letters.items() if self.ranges.of(letter) is self.samples_root}

    def _systems(self) -> tuple[list[EquationSystem], bool]:
        """Return the equations, those of training and those of use where they differ.

        The second value tells whether they are those of one sample.
        """
        resolved = [
            Equation(e.lhs.xreplace(self.final), self._decided(e.rhs.xreplace(self.final)))
            for e in self.found.equations
        ]
        lists = [resolved]
        if self.names.asks_training:
            lists = [list(in_mode(resolved, is_training, self._wanted(is_training))) for is_training in MODES]
        samples = Samples(self.quantities, self.sample_letters)
        stripped = [self._of_one_sample(equations, samples) for equations in lists]
        per_sample = None not in stripped
        self.is_mean_in_use = len(stripped) > 1 and stripped[-1] is not None
        self.shown = _Letters(self, per_sample)
        chosen = [each for each in stripped if each is not None] if per_sample else lists
        return [self._system(equations, samples, per_sample) for equations in chosen], per_sample

    def _wanted(self, is_training: bool) -> list[str]:
        """Return the quantities for whose sake there are equations, in training or in use."""
        return [LOSS, *self.found.outputs, *(self.found.updates.values() if is_training else ())]

    def _of_one_sample(self, equations: list[Equation], samples: Samples) -> list[Equation] | None:
        """Return the equations of one sample, None where there are none."""
        given = (*self.found.inputs, *self.found.targets, *self.found.noise)
        if repeated(equations, given, samples.varies):
            return None
        shared = shared_by_samples(equations, self.found.parameters, samples.varies)
        return replace(samples, shared=shared - {LOSS}).strip(equations, LOSS)

    def _system(self, equations: list[Equation], samples: Samples, per_sample: bool) -> EquationSystem:
        """Return equations as a system, under the letters that are shown."""
        quantities = self.quantities
        if self.names.asks_training:
            quantities = quantities_of(equations, quantities, self.found.parameters)
        if per_sample:
            quantities = {name: samples.one(q) for name, q in quantities.items()}
        given = tuple(
            n for n in (*self.found.inputs, *self.found.targets, *self.found.noise) if n in quantities
        )
        if per_sample:  # a value that is the same for every sample is a constant of each
            given = tuple(name for name in given if samples.varies(name))
        return EquationSystem(
            tuple(map(self.shown.equation, equations)),
            quantities,
            tuple(self.found.parameters),
            given,
            LOSS,
            tuple(self._facts(quantities)),
        )

    def _decided(self, expression: Expr) -> Expr:
        """Return an expression without the conditions on places that hold at all of them, for any sizes."""
        ranges = {index: self.final[provisional_size(letter)] for index, letter in self.letters.items()}
        holding = {
            condition: S.true
            for condition in expression.atoms(Ge, Le, Gt, Lt)
            if condition.free_symbols & ranges.keys() and holds_everywhere(condition, ranges)
        }
        return expression.xreplace(holding) if holding else expression

    def _of_blocks(self) -> set[str]:
        """Return the quantities that uses of blocks have made."""
        places = {**self.found.places, **self.found.lines}
        return {name for name, part in places.items() if isinstance(part.line, UsedLine)}

    def _in_order(self, system: EquationSystem) -> EquationSystem:
        """Return the equations such that each reads what comes before it, but for circles along a letter."""
        if not self.names.early:
            return system
        return replace(system, equations=tuple(in_order(system.equations, system.reads)))

    def _facts(self, quantities: Mapping[str, Quantity]) -> Iterator[Fact]:
        for total in (each for each in self.found.totals if each.name in quantities):
            letters = [provisional_index(i) for i in total.letters]
            kept = letters[len(letters) - len(quantities[total.name].shape) :]
            summed = letters[total.axis]
            if summed not in kept or summed in self.sample_letters:
                raise SpecificationError(
                    f"{self.found.source}: assume: a sum over the samples can't be assumed"
                )
            shown = self.shown.of(kept)
            component = quantities[total.name].at([shown[i] for i in kept])
            yield Fact(component, shown[summed], total.value)

    # ------------------------------------------------------------ the model

    def model(self) -> Model:
        """Return the model."""
        systems, per_sample = self._systems()
        layers = self.found.layers
        common = {name for name, letter in self.letter_of.items() if letter in layers.common}
        system, *others = (
            with_roles(self._in_order(each), self._of_blocks(), layers.made, common) for each in systems
        )
        use = with_roles_of(system, others[0]) if others else None
        self._check_reached(system)
        if use is not None:
            self._check_noise(use)
        quantities = [q for each in systems for q in each.quantities.values()]
        equations = [e for each in systems for e in each.equations]
        symbols = {s.name for q in quantities for n in q.shape for s in n.free_symbols}
        symbols |= {s.name for e in equations for s in e.rhs.free_symbols if is_size(s)}
        symbols -= {SAMPLES.name}
        sizes = {name: self.numbers[name] for name in sorted(symbols) if name in self.numbers}
        found = self._open(symbols - self.numbers.keys(), system)
        model = Model(
            title=_title(self.text),
            subject="a network given by its equations",
            name="network",
            description=_description(self.text, self.sizes),
            system=system,
            output=next(iter(self.found.outputs)),
            more_outputs=tuple(self.found.outputs)[1:],
            sizes=sizes,
            constants=tuple(self._constants(equations)),
            initial={name: self._initial(name) for name in (*system.parameters, *self.found.states)},
            inputs=tuple(self._given(name, system) for name in self.found.inputs),
            targets=tuple(self._given(name, system) for name in self.found.targets),
            per_sample=per_sample,
            sections=dict(self._sections(system)),
            origin="the equations in ARCHITECTURE",
            missing={n: self.letter_of[n] for n in sorted(symbols - found.keys() - self.numbers.keys())},
            open=found,
            use=use,
            noise=tuple(self._noise(name) for name in self.found.noise),
            is_mean_in_use=self.is_mean_in_use,
            states={name: self.found.updates[name] for name in self.found.states},
        )
        if not model.missing:
            self._check_count(model)
        return model

    def _constants(self, equations: Iterable[Equation]) -> Iterator[Constant]:
        """Yield the constants, but for those that stand as whole numbers in indices and sizes alone."""
        read = {symbol for equation in equations for symbol in equation.rhs.free_symbols}
        for name, value in self.found.constants.items():
            constant = Constant(name, value)
            if constant.symbol in read or not constant.is_number:
                yield constant

    def _sections(self, system: EquationSystem) -> Iterator[tuple[str, str]]:
        """Yield the section of each quantity; a parameter's is that in which it is first read."""
        title, left = None, set(system.parameters)
        for equation in self.found.equations if self.found.sections else ():
            title = self.found.sections.get(equation.name, title)
            if title is not None:
                yield equation.name, title
                reads = {name_of(read) for read in system.reads(system.definitions[equation.name].rhs)}
                yield from ((name, title) for name in sorted(reads & left))
                left -= reads

    def _open(self, unknown: set[str], system: EquationSystem) -> dict[str, tuple[str, int]]:
        """Return where sizes without numbers can be found in the inputs: those that no parameter has."""
        kept = [*system.parameters, *(name for name in self.found.constants if name in self.quantities)]
        fixed = {
            s
            for name in (*kept, *self.found.states)
            for n in self.quantities[name].shape
            for s in n.free_symbols
        }
        found: dict[str, tuple[str, int]] = {}
        for name in self.found.inputs:
            for axis, n in enumerate(self.quantities[name].shape):
                if n.is_Symbol and n.name in unknown and n not in fixed:
                    found.setdefault(n.name, (name, axis))
        return found

    def _check_count(self, model: Model) -> None:
        count = 0
        for name in model.system.parameters:
            shape = model.shape(model.system.quantities[name].shape)
            if shape and min(shape) < 1:
                problem = f"the sizes leave no room: {name} has shape {shape}"
                raise SpecificationError(f"{self.found.source}: {problem}")
            count += int(Mul(*shape))
        if count > MAX_PARAMETERS:
            problem = f"{count} parameters are more than {MAX_PARAMETERS}"
            raise SpecificationError(f"{self.found.source}: {problem}")

    def _check_reached(self, system: EquationSystem) -> None:
        """Refuse a parameter that the loss does not depend on."""
        needed = system.needed_for(LOSS)
        for name in system.parameters:
            if name not in needed:
                self.found.places[name].fail(f"the loss does not depend on '{name}'", "leave it out")

    def _check_noise(self, use: EquationSystem) -> None:
        """Refuse noise that outputs or error read in use, where nothing is drawn."""
        for name in self.found.noise:
            if name in use.quantities:
                place = place_in_use(name, self.names.noise_read, use)
                problem = f"the noise '{name}' is read in use, too, where nothing is drawn"
                hint = "say what stands there then, as in: where(training, e[n], 0)"
                place.part.fail(problem, hint, place.column)

    def _noise(self, name: str) -> Noise:
        """Return what is drawn for each step."""
        shape = self.quantities[name].shape
        has_samples = shape[:1] == (SAMPLES,)
        distribution, numbers = self.found.noise[name]
        return Noise(name, shape[1:] if has_samples else shape, has_samples, distribution, numbers)

    def _initial(self, name: str) -> Initial:
        """Return the first values of a parameter or a state: as declared, else by its use."""
        declared = {**self.found.parameters, **self.found.states}[name]
        if isinstance(declared, float):
            return Initial(value=declared)
        uses = self.names.uses.get(name, [])
        uses = [use for use in uses if use.equation != LOSS] or uses
        if declared is None and all(use.added for use in uses):
            return Initial()
        shape = self.quantities[name].shape
        summed = uses[0].summed if uses else ()
        fan_in = Mul(*[n for axis, n in enumerate(shape) if axis in summed]) if summed else ONE
        fan_out = Mul(*[n for axis, n in enumerate(shape) if axis not in summed])
        initializer: Initializer = INITIALIZERS["lecun_normal"] if declared is None else declared
        if initializer.distribution == "orthogonal" and len(shape) != 2:
            self.found.places[name].fail("orthogonal first values need two axes", "name another initialiser")
        return Initial(initializer, fan_in, fan_out)

    def _given(self, name: str, system: EquationSystem) -> DataArray:
        """Return an input or a target with the declared conditions on its numbers."""
        whole = self.quantities[name]
        has_samples = bool(whole.shape) and whole.shape[0] == SAMPLES
        shape = whole.shape[1:] if has_samples else whole.shape
        bounds = [b for b in self.found.bounds if b.name == name]
        lows, highs = ([getattr(b, end) for b in bounds] for end in ("low", "high"))
        low = max((value for value in lows if value is not None), default=None)
        high = min((value for value in highs if value is not None), default=None)
        totals = [(t.axis, t.value) for t in self.found.totals if t.name == name]
        places = [self.final[provisional_size(i)] for i in self.names.positions.get(name, ())]
        return DataArray(
            name,
            shape,
            whole.integer,
            has_samples,
            low,
            high,
            totals[0][1] if totals else None,
            totals[0][0] if totals else 1,
            tuple(dict.fromkeys(places)) if whole.integer else (),
            whole.integer and name not in self.names.unguarded,
        )


class _Letters:
    """Chooses the letters under which indices are shown; each has one range in all equations.

    Letters of the text are shown as they are written, but for numbers at them that tell no two apart, and
    unless they stand for something else too.  Where an axis is summed beside a letter of it, as in a softmax,
    the other letter is the same with a prime.
    """

    def __init__(self, building: _Building, per_sample: bool) -> None:
        others = {*building.names.quantities, *building.found.constants, *building.letter_of}
        written = [letter for letter in building.letters.values() if "~" not in letter]
        self.taken = {*others, *written}
        if per_sample:  # of a batch this numbers the samples, which no other index does
            self.taken.add(SAMPLE.name)
            others |= {SAMPLE.name} - {i for i in written if building.ranges.of(i) is building.samples_root}
        plain = {letter: re.sub(r"_\d+$|(?<=[^\W\d_])\d+$", "", letter, count=1) for letter in written}
        roots = {(plain[letter], id(building.ranges.of(letter))) for letter in written}
        names: dict[str, str] = {}
        for letter in written:  # i2 is i where no other range has an i
            alone = [word for word, _ in roots].count(plain[letter]) == 1
            fitting = [word for word in ([plain[letter]] if alone else []) + [letter] if word not in others]
            names[letter] = next((w for w in fitting if w not in names.values()), None) or self._free()
        for letter in building.letters.values():
            if "~" in letter:
                names[letter] = self._beside(letter, names, building)
        self.shown = {symbol: index(names[letter]) for symbol, letter in building.letters.items()}

    def _beside(self, letter: str, names: Mapping[str, str], building: _Building) -> str:
        """Return the name of a letter that is none of the text."""
        own, _, number = letter.partition("~")
        if own in names and number.isdigit() and building.ranges.of(own) is building.ranges.of(letter):
            return names[own] + "'" * int(number)
        return self._free()

    def equation(self, equation: Equation) -> Equation:
        """Return an equation with the letters that are shown."""
        return Equation(renamed(equation.lhs, self.shown), renamed(equation.rhs, self.shown))

    def of(self, symbols: Iterable[Symbol]) -> dict[Symbol, Symbol]:
        """Return the shown letter of each provisional index."""
        return {symbol: self.shown[symbol] for symbol in symbols}

    def _free(self) -> str:
        """Return the first letter that stands for nothing else."""
        known = chain((letter.name for letter in LETTERS), (f"i_{n}" for n in range(1000)))
        found = str(next(letter for letter in known if letter not in self.taken))
        self.taken.add(found)
        return found


def _title(text: str) -> str:
    """Return the title of the derivation: the first comment, if the text begins with one."""
    first = text.lstrip("\ufeff \n\r").split("\n", 1)[0].strip()
    words = first.lstrip("# ").rstrip(" .") if first.startswith("#") else ""
    return words or "a network given by its equations"


def _description(text: str, sizes: Mapping[str, int]) -> str:
    """Return the text from which the same network can be made, with the sizes given beside it."""
    lines = [line.rstrip() for line in text_lines(text)]
    options = " ".join(f"--size {letter}={number}" for letter, number in sizes.items())
    return "\n".join(lines).strip("\n") + "\n" + options
