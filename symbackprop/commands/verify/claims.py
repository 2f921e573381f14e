"""Claims of a person, such as ``dE/dw2[j,i] = (x2[i] - t[i])*x1[j]``, read into expressions.

In go a text and the ``Derived`` that it is about, out comes a ``Claim``.  A claim may be wrong in ways
that no equation of a network may be: an index may be free on the right, or run over two different sizes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import NoReturn

from sympy import (
    Add,
    Derivative,
    Dummy,
    Expr,
    Indexed,
    IndexedBase,
    Integer,
    KroneckerDelta,
    Mul,
    Sum,
    Symbol,
)
from sympy.logic.boolalg import Boolean

from symbackprop.commands.verify.names import Names, names_of
from symbackprop.derivation.batch import SampleAxis
from symbackprop.equations.naming import LETTERS, SAMPLES
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import (
    EquationSystem,
    Quantity,
    WholeNumber,
    index,
    indices_of,
    is_index,
    name_of,
    size,
    sum_over,
)
from symbackprop.errors import SpecificationError, suggestion
from symbackprop.library.formula import FormulaReader, computed
from symbackprop.network.functions import activation_functions

MAX_INDICES = 16
"""Index letters of one claim."""


@dataclass(frozen=True)
class Claim:
    """A statement about a derivative: ``lhs = rhs`` for every value of the indices on the left.

    ``output`` is the quantity that is differentiated and ``target`` the one by which.  ``free`` are the
    indices of the right side that the left does not have and no sum binds; ``conflicts`` says where an index
    would run over two sizes.  ``ranges`` holds the size of each index, ``of_batch`` whether the right
    side has a sum over samples.  ``repeated`` are the letters that are summed though the left side has
    them, or though nothing under the sum depends on them.
    """

    text: str
    output: str
    target: str
    lhs: Expr
    rhs: Expr
    ranges: Mapping[Symbol, Expr]
    free: tuple[Symbol, ...] = ()
    conflicts: tuple[str, ...] = ()
    of_batch: bool = False
    repeated: frozenset[Symbol] = frozenset()

    @property
    def component(self) -> Expr:
        """The component by which is differentiated."""
        return self.lhs.variables[0] if isinstance(self.lhs, Derivative) else self.lhs

    @property
    def indices(self) -> tuple[Symbol, ...]:
        """The index letters on the left."""
        return tuple(dict.fromkeys(i for part in self._sides for i in indices_of(part) if i.is_Symbol))

    @property
    def _sides(self) -> tuple[Expr, ...]:
        """The components on the left."""
        return (self.lhs.expr, self.lhs.variables[0]) if isinstance(self.lhs, Derivative) else (self.lhs,)

    @property
    def speaks_of_several(self) -> set[Expr]:
        """The sizes of axes along which a claim tells places apart: two letters, or one summed again."""
        own = [self.ranges[i] for i in self.indices if i in self.ranges]
        repeated = {self.ranges[i] for i in self.repeated if i in self.ranges}
        return repeated | {n for n in own if own.count(n) > 1}

    @property
    def least_sizes(self) -> dict[str, int]:
        """The least numbers of sizes, by name, for which the whole numbers among the indices are places."""
        found: dict[str, int] = {}
        for read in {*self.rhs.atoms(Indexed), *(s for s in self._sides if isinstance(s, Indexed))}:
            for i, n in zip(read.indices, read.base.shape, strict=True):
                if i.is_Integer and n.is_Symbol:
                    found[n.name] = max(int(i) + 1, found.get(n.name, 0))
        return found


_SIDE = r"d(?P<{0}>[A-Za-z_]\w*)\s*(?P<{0}_at>\[[^\]=]*\])?"
_QUOTIENT = re.compile(rf"\s*{_SIDE.format('above')}\s*/\s*{_SIDE.format('below')}\s*", re.ASCII)
_ADJOINT = re.compile(r"\s*(?P<name>[A-Za-z_]\w*)\s*(?P<below_at>\[[^\]=]*\])?\s*", re.ASCII)
_EQUALS = re.compile(r"(?<![<>=!])=(?!=)")
_PRIMED = re.compile(r"(?<![\w'\"])([A-Za-z])('+)(?![\w'\"])", re.ASCII)
_SIGNS = str.maketrans({"∂": "d", "·": "*", "⋅": "*", "−": "-", "×": "*", "δ": "delta", "′": "'", "’": "'"})


def read_claim(text: str, derivation: Derived) -> Claim:
    """Return the claim that ``text`` states.

    Raises:
        SpecificationError: it can't be read; the message says what would be right.
    """
    plain = plain_signs(text)
    sides = _EQUALS.split(plain)
    if len(sides) != 2:
        _fail(text, "a claim is one equation", "write dE/dw2[j,i] = (x2[i] - t[i])*x1[j]")
    left, right = sides
    names = names_of(derivation)
    found = _QUOTIENT.fullmatch(left)
    if found:
        return _ClaimReader(text, derivation, names, found["above"], found["below"]).claim(found, right)
    found = _ADJOINT.fullmatch(left)
    name = found["name"] if found else ""
    if not found and re.fullmatch(r"\s*d.*\[.*\[.*", left):
        hint = "write dE/dw[v,e] = mean(..., n) with a factor delta(v, token[n])"
        _fail(text, "a place that the data give can't stand on the left", hint)
    if not found or (name not in names.adjoints and not name.startswith("d")):
        _fail(text, "the left side is no derivative", "write dE/dw2[j,i], or ds1[j] for that of E by s1")
    below = names.adjoints.get(name, name[1:])
    return _ClaimReader(text, derivation, names, derivation.system.loss, below).claim(found, right)


def plain_signs(text: str) -> str:
    """Return a claim with signs as they are typed: d for ∂, * for ·, i_1 for the index letter i'."""
    known = set(re.findall(r"\w+", text))

    def name(found: re.Match[str]) -> str:
        names = (f"{found[1]}_{number}" for number in count(len(found[2])))
        return next(plain for plain in names if plain not in known)

    return _PRIMED.sub(name, text.translate(_SIGNS))


def _fail(text: str, problem: str, hint: str) -> NoReturn:
    shown = text if len(text) <= 80 else text[:77] + "..."
    raise SpecificationError(f"claim '{shown}': {problem}; {hint}")


class _ClaimReader:
    """Reads the two sides of one claim."""

    def __init__(self, text: str, derivation: Derived, names: Names, output: str, target: str) -> None:
        self.text = text
        self.derivation = derivation
        self.system = derivation.system
        self.names = names
        for name in (output, target):
            if name not in names.quantities:
                hint = suggestion(name, self.system.quantities)
                _fail(text, f"'{name[:40]}' is no quantity of this network", hint)
        self.output, self.target = names.quantities[output], names.quantities[target]
        if self.target == self.system.loss:
            _fail(text, f"{target} is the error itself", "write the derivative of it by another quantity")
        for name in (self.output, self.target):
            if self.system.quantities[name].integer:
                _fail(text, f"{name} holds whole numbers", "there is no derivative of it or by it")

    def claim(self, left: re.Match[str], right: str) -> Claim:
        """Return the claim."""
        groups = left.groupdict()
        bare = "[" not in self.text
        scope = _Scope(self.derivation)
        if bare:
            target = self._bare(self.target, scope)
            output = self._bare(self.output, scope)
        else:
            target = self._side(self.target, groups.get("below_at"))
            output = self._side(self.output, groups.get("above_at"))
            for part in (output, target):
                scope.note(part)
        sample = self._stripped_sample(target, output)
        target, output = (_without(part, sample, self.system.quantities) for part in (target, output))
        reader = Reader(right, self.derivation, self.names, scope, bare, sample)
        rhs = reader.read()
        if bare:
            rhs = _contracted(self.text, rhs, scope, set(indices_of(target)) | set(indices_of(output)))
        self._see_that_letters_run(rhs, scope)
        lifted = self._lifted(rhs)
        bound = {limit[0] for total in rhs.atoms(Sum) for limit in total.limits}
        known = {*indices_of(target), *indices_of(output)}
        letters = {s for s in rhs.free_symbols if s in scope.ranges}
        free = tuple(sorted(letters - known - bound, key=str))
        return Claim(
            self.text.strip(),
            self.output,
            self.target,
            self._lhs(output, target),
            rhs,
            scope.ranges,
            free,
            tuple(scope.conflicts),
            bool(lifted),
            frozenset(reader.unread | (bound & known)),
        )

    def _see_that_letters_run(self, rhs: Expr, scope: _Scope) -> None:
        """Refuse a letter, as in x[h + u] or delta(i, h), of which nothing tells how far it runs."""
        whole = {q.symbol for q in self.system.quantities.values() if q.integer}
        for i in sorted(rhs.free_symbols - scope.ranges.keys() - whole, key=str):
            if is_index(i):
                problem = f"nothing tells how far the index '{i}' runs"
                _fail(self.text, problem, "read something at it alone, or write another letter")

    def _lifted(self, rhs: Expr) -> list[Indexed]:
        """Return the reads that have the sample's index: all of what varies with the sample, or none."""
        reads = sorted(rhs.atoms(Indexed), key=str)
        lifted = [read for read in reads if _is_lifted(read, self.derivation)]
        plain = (r for r in reads if r not in lifted and name_of(r) in SampleAxis(self.derivation).varying)
        other = next(plain, None) if lifted else None
        if other is not None:
            problem = f"{other} stands without the sample's index beside {lifted[0]}"
            _fail(self.text, problem, "write it on both or on neither")
        return lifted

    def _lhs(self, output: Expr, target: Expr) -> Expr:
        named = {quantity: adjoint for adjoint, quantity in self.derivation.adjoints.items()}
        if self.output == self.system.loss and self.target in named:
            return Quantity(named[self.target], self.system.quantities[self.target].shape).at(
                indices_of(target)
            )
        return Derivative(output, target)

    def _side(self, name: str, at: str | None) -> Expr:
        """Return a component on the left."""
        quantity = self.system.quantities[name]
        parts = [part.strip() for part in at[1:-1].split(",")] if at else []
        for part in parts:
            if not re.fullmatch(r"[A-Za-z]\w*|[0-9]{1,6}", part):
                problem = f"'{part[:20]}' on the left is no index letter and no whole number"
                _fail(self.text, problem, "write one an axis")
        letters = [part for part in parts if not part.isdigit()]
        if len(set(letters)) != len(letters):
            _fail(self.text, "an index stands twice on the left", "write another letter for each axis")
        lifted = len(parts) == len(quantity.shape) + 1 and name in SampleAxis(self.derivation).varying
        lifted = lifted and not parts[0].isdigit() and _is_per_sample(self.derivation)
        shape = f"its shape is ({', '.join(map(str, quantity.shape))})"
        if len(parts) != len(quantity.shape) and not lifted:
            axes = f"{name} has {len(quantity.shape)} axes, the left side gives it {len(parts)}"
            _fail(self.text, axes, shape)
        indices = tuple(Integer(part) if part.isdigit() else index(part) for part in parts)
        self._see_that_it_is_there(name, indices[lifted:])
        return lifted_component(quantity, indices) if lifted else quantity.at(indices)

    def _see_that_it_is_there(self, name: str, indices: Sequence[Expr]) -> None:
        """Refuse a whole number that is no place on its axis, where the number of its size is known."""
        model = self.derivation.model
        for i, n in zip(indices, self.system.quantities[name].shape, strict=True):
            extent = n if model is None else model.number(n)
            if i.is_Integer and extent.is_Integer and i >= extent:
                _fail(self.text, f"{name} has no place {i} on this axis", f"its places are 0 to {extent - 1}")

    def _bare(self, name: str, scope: _Scope) -> Expr:
        return scope.with_letters(self.system.quantities[name], self.text)

    def _stripped_sample(self, target: Expr, output: Expr) -> Symbol | None:
        """Return the sample's index where the left side has it: the claim is about that sample."""
        found: list[Expr] = []
        for part in (target, output):
            axes = len(self.system.quantities[name_of(part)].shape)
            found += indices_of(part)[: len(indices_of(part)) - axes]
        if len(set(found)) > 1:
            _fail(self.text, "two samples on the left", "write one letter for the sample on both")
        return found[0] if found else None


class _Scope:
    """The sizes that indices run over, as the components of a claim tell them."""

    def __init__(self, derivation: Derived) -> None:
        self.derivation = derivation
        self.ranges: dict[Symbol, Expr] = {}
        self.conflicts: list[str] = []
        self.letters: dict[Expr, Symbol] = {}

    def note(self, component: Expr) -> None:
        """Learn from a component how far its indices run."""
        if not isinstance(component, Indexed):
            return
        for i, n in zip(component.indices, component.base.shape, strict=True):
            if isinstance(i, WholeNumber):  # a place that the data give
                continue
            if isinstance(i, Symbol) and self.ranges.setdefault(i, n) != n:
                found = f"{component}: {i} runs over {self.ranges[i]}, but this axis has size {n}"
                if found not in self.conflicts:
                    self.conflicts.append(found)
        if len(self.ranges) > MAX_INDICES:
            raise SpecificationError(f"claim: more than {MAX_INDICES} indices are not allowed")

    def with_letters(self, quantity: Quantity, text: str) -> Expr:
        """Return a quantity that is written without indices with a letter for each axis, by its size."""
        if len(set(quantity.shape)) != len(quantity.shape):
            _fail(text, f"two axes of {quantity.name} have one size", "write the indices")
        component = quantity.at([self._letter_of(n) for n in quantity.shape])
        self.note(component)
        return component

    def _letter_of(self, n: Expr) -> Symbol:
        if n not in self.letters:
            own = self._usual.get(n)
            taken = {*self.letters.values(), *(s for m, s in self._usual.items() if m != n)}
            taken |= {index(name) for name in self.derivation.system.quantities}
            free = next(letter for letter in LETTERS if letter not in taken)
            self.letters[n] = free if own is None or own in self.letters.values() else own
        return self.letters[n]

    @property
    def _usual(self) -> dict[Expr, Symbol]:
        """The letter that the equations use for a size first."""
        found: dict[Expr, Symbol] = {}
        for equation in self.derivation.system.equations:
            for i, n in equation.ranges.items():
                if i not in found.values():
                    found.setdefault(n, i)
        return found


class Reader(FormulaReader):
    """Reads the right side of a claim."""

    def __init__(
        self, text: str, derivation: Derived, known: Names, scope: _Scope, bare: bool, sample: Symbol | None
    ) -> None:
        system = derivation.system
        self.quantities = {name: system.quantities[own] for name, own in known.quantities.items()}
        names: dict[str, Expr] = {name: q.symbol for name, q in self.quantities.items() if not q.shape}
        model = derivation.model
        names |= {name: size(name) for name in (*(model.sizes if model else ()), SAMPLES.name)}
        names |= {c.name: _symbol_of(c.name, system) for c in (model.constants if model else ())}
        super().__init__(_adjoints_marked(text, known, system), names, activation_functions(), "claim")
        self.derivation = derivation
        self.scope = scope
        self.bare = bare
        self.sample = sample
        self.adjoint_names = {name: own for name, own in known.adjoints.items() if own in derivation.results}
        self.forms |= {"sum": self.total, "mean": self.mean, "delta": self.delta, "size": self.size_of}
        self.sizes_asked: dict[Expr, ast.Name] = {}
        self.unread: set[Symbol] = set()
        self.indexing = False
        self.compared: dict[Symbol, ast.AST] = {}

    def read(self) -> Expr:
        """Return the expression that the whole text stands for."""
        found = super().read()
        for i, node in self.compared.items():
            if i not in self.scope.ranges:
                self.fail(node, f"unknown name '{i.name[:40]}'", self._suggest(i.name, self.names))
        return found.xreplace({asked: self._extent(node) for asked, node in self.sizes_asked.items()})

    def size_of(self, node: ast.Call) -> Expr:
        """Return size(i), how far an index runs; what tells it may come later."""
        self.check_arguments(node, 1, 1)
        letter = node.args[0]
        if not isinstance(letter, ast.Name):
            self.fail(letter, "an index letter is needed here", "write size(i)")
        asked = next((s for s, n in self.sizes_asked.items() if n.id == letter.id), None)
        asked = Dummy(f"size_{letter.id}", integer=True, positive=True) if asked is None else asked
        self.sizes_asked.setdefault(asked, letter)
        return asked

    def _extent(self, node: ast.Name) -> Expr:
        """Return the size of an index of the claim, or else of the equations."""
        i = index(node.id)
        ranges = {**_ranges_of_equations(self.derivation.system), **self.scope.ranges}
        if i not in ranges:
            self.fail(node, f"nothing here depends on the index '{node.id[:40]}'", "write one that is read")
        return ranges[i]

    def build(self, node: ast.expr) -> Expr:
        """Return the expression for a node; a matrix product has no meaning without rows and columns."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
            self.fail(node, "a matrix product is not read", "write it with indices: sum(a[n,j]*b[n,i], n)")
        return super().build(node)

    def resolve_name(self, node: ast.Name) -> Expr:
        """Return a scalar, a quantity without indices, or in a condition an index."""
        name = node.id
        known = name in self.names or name in self.quantities or name in self.adjoint_names
        if self.indexing and (index(name) in self.scope.ranges or not known):
            self.compared.setdefault(index(name), node)  # the read that tells its range may come later
            return index(name)
        scalar = self.adjoint_names.get(name) if name not in self.names else None
        if scalar is not None and not self.quantities[scalar].shape:
            return self._adjoint(name, ())
        if name in (*self.quantities, *self.adjoint_names) and name not in self.names:
            if not self.bare:
                self.fail(node, f"'{name}' has axes", f"write its indices, as in {name}[i]")
            quantity = self._quantity(name)
            component = self.scope.with_letters(quantity, self.text)
            return component if name in self.quantities else self._adjoint(name, indices_of(component))
        return super().resolve_name(node)

    def _suggest(self, name: str, known: Mapping[str, object]) -> str:
        system = self.derivation.system
        adjoints = [system.adjoints[own].name for own in self.adjoint_names.values()]
        losses = {alias for alias, q in self.quantities.items() if q.name == system.loss != alias}
        return suggestion(name, {*known, *system.quantities, *adjoints} - losses)

    def _quantity(self, name: str) -> Quantity:
        """Return the quantity of that name, or the one of which it names the derivative of the error."""
        known = self.quantities.get(name)
        return self.derivation.system.quantities[self.adjoint_names[name]] if known is None else known

    def resolve_subscript(self, node: ast.Subscript) -> Expr:
        """Return the component of a quantity or of an adjoint."""
        if not isinstance(node.value, ast.Name):
            self.fail(node, "only a named quantity has elements", "write x1[j]")
        name = node.value.id
        if name not in self.quantities and name not in self.adjoint_names:
            self.fail(node, f"unknown quantity '{name[:40]}'", self._suggest(name, {}))
        quantity = self._quantity(name)
        nodes = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        indices = tuple(self._index(each) for each in nodes)
        below = next((each for each, i in zip(nodes, indices, strict=True) if i.is_negative), None)
        if below is not None:
            self.fail(below, "this is no index", "places count from 0")
        if self.sample is not None and indices and indices[0] == self.sample:
            indices = indices[1:]
        axes = len(quantity.shape)
        lifted = len(indices) == axes + 1 and _is_per_sample(self.derivation) and self._varies(quantity.name)
        if len(indices) < min(axes, len(nodes)):
            hint = f"its shape is {quantity.shape}; write other letters"
            self.fail(node, f"'{name}' is the same for each sample, and {self.sample} is the sample's", hint)
        if len(indices) != axes and not lifted:
            self.fail(node, f"'{name}' has {axes} axes, not {len(nodes)}", f"its shape is {quantity.shape}")
        component = lifted_component(quantity, indices) if lifted else quantity.at(indices)
        self.scope.note(component)
        return component if name in self.quantities else self._adjoint(name, indices)

    def _varies(self, name: str) -> bool:
        return name in SampleAxis(self.derivation).varying

    def _adjoint(self, name: str, indices: Sequence[Expr]) -> Expr:
        """Return the derivative of E by a quantity: its named adjoint where it has one."""
        quantity = self._quantity(name)
        named = self.derivation.system.adjoints[quantity.name].name
        if named in self.derivation.adjoints:
            own = Quantity(named, quantity.shape)
            return lifted_component(own, indices) if len(indices) > len(quantity.shape) else own.at(indices)
        loss = self.derivation.system.quantities[self.derivation.system.loss].symbol
        if len(indices) > len(quantity.shape):
            problem = f"the derivative for {quantity.name} is not named for each sample"
            raise SpecificationError(f"claim: {problem}; write the claim for one sample, without its index")
        return computed(Derivative, loss, quantity.at(indices))

    def _index(self, node: ast.expr) -> Expr:
        return self.within_limits(node, self._build_index)

    def _build_index(self, node: ast.expr) -> Expr:
        match node:
            case ast.Constant(value=int(value)) if not isinstance(value, bool) and 0 <= value < 10**6:
                return Integer(value)
            case ast.Name(id=name):
                whole = self.quantities.get(name)
                return whole.symbol if whole is not None and whole.integer else index(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._index(operand)
            case ast.BinOp(op=ast.Add() | ast.Sub() | ast.Mult() as operator, left=left, right=right):
                first, second = self._index(left), self._index(right)
                if isinstance(operator, ast.Mult):
                    return first * second
                return first + second if isinstance(operator, ast.Add) else first - second
            case ast.Subscript(value=ast.Name(id=name)) if name in self.quantities:
                if self.quantities[name].integer:
                    return self.resolve_subscript(node)
        self.fail(node, "this is no index", "write a letter, a whole number, or a sum such as h + u")

    # ------------------------------------------------------------ sums

    def total(self, node: ast.Call) -> Expr:
        """Return sum(e, i, j)."""
        return self._summed(node, False)

    def mean(self, node: ast.Call) -> Expr:
        """Return mean(e, i, j)."""
        return self._summed(node, True)

    def _summed(self, node: ast.Call, averaged: bool) -> Expr:
        self.check_arguments(node, 2, 1 + MAX_INDICES)
        body = self.expression(node.args[0])
        for letter in node.args[1:]:
            if not isinstance(letter, ast.Name):
                self.fail(letter, "an index letter is needed here", "write sum(e[i], i)")
            i = index(letter.id)
            if i not in self.scope.ranges:
                self.fail(letter, f"nothing here depends on the index '{letter.id}'", "leave it out")
            if i not in body.free_symbols:
                self.unread.add(i)
            body = computed(_summed, body, i, self.scope.ranges[i], averaged)
        return body

    def delta(self, node: ast.Call) -> Expr:
        """Return delta(i, j), which is 1 where its indices are equal and 0 elsewhere."""
        self.check_arguments(node, 2, 2)
        return computed(KroneckerDelta, *map(self._index, node.args))

    def comparison(self, node: ast.Compare) -> Boolean:
        """Return a comparison, of indices too."""
        before, self.indexing = self.indexing, True
        result = super().comparison(node)
        self.indexing = before
        return result


def _summed(body: Expr, i: Symbol, n: Expr, averaged: bool) -> Expr:
    """Return the sum of ``body`` over an index, or the mean."""
    number, rest = body.as_coeff_Mul()
    total = number * sum_over(rest, (i, n)) if i in rest.free_symbols else n * body
    return total / n if averaged else total


def _symbol_of(name: str, system: EquationSystem) -> Expr:
    """Return the symbol of a constant as the equations have it."""
    found = (s for e in system.equations for s in e.rhs.free_symbols if s.name == name)
    return next(found, Symbol(name, real=True))


def lifted_component(quantity: Quantity, indices: Sequence[Expr]) -> Expr:
    """Return a component of one of several samples: its first index is the sample's."""
    return IndexedBase(quantity.symbol, shape=(SAMPLES, *quantity.shape))[tuple(indices)]


def _is_lifted(read: Indexed, derivation: Derived) -> bool:
    name = derivation.adjoints.get(name_of(read), name_of(read))
    quantity = derivation.system.quantities.get(name)
    return quantity is not None and len(read.indices) == len(quantity.shape) + 1


def _without(target: Expr, sample: Symbol | None, quantities: Mapping[str, Quantity]) -> Expr:
    quantity = quantities[name_of(target)]
    at = indices_of(target)
    return target if sample is None or len(at) == len(quantity.shape) else quantity.at(at[1:])


def _adjoints_marked(text: str, names: Names, system: EquationSystem) -> str:
    """Return the text with dE/ds1 as ds1, in as many characters, so that columns stay."""

    def marked(found: re.Match[str]) -> str:
        own = names.quantities.get(found[1])
        adjoint = f"d{found[1]}" if own is None else system.adjoints[own].name
        return adjoint.ljust(len(found[0]))

    return names.quotient.sub(marked, text)


def _is_per_sample(derivation: Derived) -> bool:
    """Whether the equations are those of one sample."""
    return bool(derivation.batch) or (derivation.model is not None and derivation.model.per_sample)


def _ranges_of_equations(system: EquationSystem) -> dict[Symbol, Expr]:
    """Return the size of each index letter of the equations: of several the first."""
    found: dict[Symbol, Expr] = {}
    for equation in system.equations:
        for read in (equation.lhs, *system.reads(equation.rhs)):
            shape = system.quantities[name_of(read)].shape
            for i, n in zip(indices_of(read), shape, strict=True):
                if isinstance(i, Symbol):
                    found.setdefault(i, n)
    return found


# ------------------------------------------------------------------------------- without indices


def _contracted(text: str, rhs: Expr, scope: _Scope, kept: Iterable[Expr]) -> Expr:
    """Return the right side of a claim written without indices, summed over all but the ``kept`` ones."""
    inner = [i for i in scope.ranges if i in rhs.free_symbols and i not in set(kept)]
    for i in inner:
        rhs = contracted(rhs, i, scope.ranges[i])
        if i in rhs.free_symbols:
            _fail(text, f"it is not clear what is summed over {scope.ranges[i]}", "write the indices")
    return rhs


def contracted(expression: Expr, i: Symbol, n: Expr) -> Expr:
    """Return ``expression`` with the factors that depend on an index summed over it, term by term."""
    if i not in expression.free_symbols:
        return expression
    if isinstance(expression, Add):
        return Add(*[contracted(term, i, n) for term in expression.args])
    factors = Mul.make_args(expression)
    within = [f for f in factors if i in f.free_symbols]
    return Mul(*[f for f in factors if f not in within], sum_over(Mul(*within), (i, n)))


def products(expression: Expr) -> Iterator[Expr]:
    """Yield the terms of an expression, and those inside its sums."""
    for term in Add.make_args(expression):
        yield term
        for total in term.atoms(Sum):
            yield from Add.make_args(total.function)
