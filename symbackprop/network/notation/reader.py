"""One formula of a ``.net`` text as an expression: reads at indices, sums, activations by name.

Sizes and letters are provisional symbols here; the final ones are known when the whole text is read.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from operator import truediv
from typing import NoReturn

from sympy import Add, Eq, Expr, Indexed, Integer, Mul, Ne, Piecewise, S, Sum, Symbol, expand
from sympy.core.relational import Relational
from sympy.logic.boolalg import And, Boolean, Not

from symbackprop.equations.functions import Quotient, Remainder
from symbackprop.equations.naming import split_name
from symbackprop.equations.system import (
    TRAINING,
    ZERO,
    Equation,
    Quantity,
    arg_max,
    constant_outside,
    indices_of,
    is_size,
    name_of,
    sum_over,
)
from symbackprop.errors import SpecificationError, suggestion
from symbackprop.library.activations import ACTIVATIONS
from symbackprop.library.formula import FUNCTIONS, Built, FormulaReader, computed, parse
from symbackprop.network.functions import activation_constants
from symbackprop.network.notation import derivatives
from symbackprop.network.notation.lines import MAX_LINE, Part, UsedLine
from symbackprop.network.notation.names import LOSS, EarlyRead, Names, NoiseRead, Read, Use, axes_of
from symbackprop.network.notation.ranges import SizeConflict, provisional_index, provisional_size

MAX_AXES = 8
"""Axes of one quantity."""
MAX_INDICES = 16
"""Index letters of one equation."""
MAX_FACTORS = 16
"""Factors of a product over an index: the derivative for one of them holds all others."""
_NO_CIRCLE = "only what stands at an earlier place can be read before, as in where(t > 0, h[n, t - 1], 0)"
_KEPT_WHOLE = frozenset({"log", "sqrt"})
"""Functions whose argument stays where it is: the logarithm of a sum of exponentials is stable as a whole."""


class NetReader(FormulaReader):
    """Reads one formula; ``letters`` are the indices that it may use from the start."""

    max_text = MAX_LINE
    max_nodes = 50_000

    def __init__(self, part: Part, names: Names, letters: Sequence[str] = (), equation: str = "") -> None:
        super().__init__(part.text, names.scalars, names.functions, part.line.source)
        self.part = part
        self.known = names
        self.scope = list(letters)
        self.summed: list[str] = []
        self.guards: list[Boolean] = []
        self.equation = equation
        self.in_condition = False
        self.letters_read: set[str] = set()
        self.additive: set[int] = set()
        self.parts: dict[Expr, Expr] = {}
        self.outermost: ast.expr | None = None
        self.is_held = False  # whether no derivative goes through the quantity on the left
        self.calls: list[int] = []  # of those around: how many letters are summed over outside of each
        self.forms |= {
            "sum": self.total,
            "mean": self.mean,
            "prod": self.product,
            "max": self.largest,
            "min": self.largest,
            "argmax": self.place_of_largest,
            "logsumexp": self.log_sum_exp,
            "size": self.size_of,
            "gradient": self.gradient,
            "stop_gradient": self.stop_gradient,
        }

    # ------------------------------------------------------------ errors

    def fail(self, place: ast.AST | int, problem: str, hint: str = "") -> NoReturn:
        """Raise the error with file, line and column, and a caret under its place."""
        self.part.fail(problem, hint, place if isinstance(place, int) else self.column(place))

    def _fail_cases(self, node: ast.AST) -> NoReturn:
        problem = "a condition on something that has cases itself is not allowed"
        self.fail(node, problem, "give that a name in an equation before")

    # ------------------------------------------------------------ names

    def expression_of(self, tree: ast.expr) -> Expr:
        """Return the expression of a tree, and remember the nodes that are only added in it."""
        self.outermost = tree
        self.additive = {id(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
                self.additive |= {id(node.left), id(node.right)}
        return self.expression(tree)

    def resolve_name(self, node: ast.Name) -> Expr:
        """Return a scalar or an index; of the same name a condition means the index."""
        name = node.id
        if name in self.scope and (self.in_condition or name not in self.names):
            self.letters_read.add(name)
            return provisional_index(name)
        if name in self.names:
            self.known.used.add(name)
            self._note_use(node, name, ())
            self._note_noise(node, name)
            return self.names[name]
        if name in self.known.axes:
            shown = f"{name}[{', '.join(self.known.axes[name])}]"
            self.fail(node, f"'{name}' has axes", f"write {shown}")
        self._fail_later(node, name)
        if name == TRAINING.name:
            self.fail(node, "'training' is a condition, and no number", "write where(training, 1, 0)")
        if name in self.functions or name in self.forms:
            return super().resolve_name(node)
        known = {*self.names, *self.known.axes} - {"pi"}
        hint = suggestion(name, known) if known else "declare it first"
        self.fail(node, f"unknown name '{name[:40]}'", hint)

    def _fail_later(self, node: ast.AST, name: str) -> None:
        """Refuse a name that is defined by this line or by a later one."""
        if name == self.equation:
            self.fail(node, f"'{name}' is used in its own definition", _NO_CIRCLE)
        if name in self.known.later:
            self.fail(node, *used_before(name, self.known.later[name]))

    def resolve_subscript(self, node: ast.Subscript) -> Expr:
        """Return the component of a quantity."""
        if not isinstance(node.value, ast.Name):
            self.fail(node, "only a named quantity has elements", "write x[n, i]")
        name = node.value.id
        quantity = self.known.quantities.get(name)
        if quantity is None and self.known.add_early(name):
            quantity = self.known.quantities[name]
        if quantity is None:
            self._fail_later(node, name)
            if name in self.names:
                self.fail(node, f"'{name}' is a number without indices", f"write {name}")
            hint = suggestion(name, self.known.quantities) if self.known.quantities else "declare it first"
            self.fail(node, f"unknown quantity '{name[:40]}'", hint)
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        letters = self.known.axes[name]
        if len(places) != len(letters):
            written = f"{name}[{', '.join(letters)}]" if letters else name
            self.fail(node, f"'{name}' has {axes_of(letters)}, not {len(places)}", f"write {written}")
        self.known.used.add(name)
        indices = [self.index(place) for place in places]
        component = quantity.at(indices)
        if name in self.known.later:
            self._note_early(node, name, indices)
        for axis, place in enumerate(places):
            self._place(component, axis, indices[axis], place)
        self._note_use(node, name, indices)
        self._note_noise(node, name)
        return component

    def _note_early(self, node: ast.AST, name: str, indices: Sequence[Expr]) -> None:
        """Remember a read of what is not defined yet; that the order is right shows when all is read."""
        moved = any(isinstance(i, Add) and i.as_coeff_Add()[0] != 0 for i in indices)
        moved = moved or name in self.known.by_cases  # against the place on the left, which may be t + 1
        if name == self.equation and not moved:
            self._fail_later(node, name)
        self.known.early.append(EarlyRead(self.part, self.column(node), name, self.equation, moved))

    def _place(self, component: Expr, axis: int, index: Expr, node: ast.AST) -> None:
        """Give an index the range of the axis that it reads, or remember that it must stay inside."""
        name = name_of(component)
        own = self.known.axes[name][axis]
        integer = name_of_integer(index, self.known)
        is_letter = isinstance(index, Symbol) and index.name.startswith("@")
        if is_letter and not self._is_part(own, index.name[1:]):
            try:
                self.known.ranges.unite(own, index.name[1:])
            except SizeConflict:
                letter = index.name[1:]
                number, other = self.known.ranges.of(letter).number, self.known.ranges.of(own).number
                axis_text = f"axis {axis + 1} of '{name}' has size {other}"
                self.fail(node, f"the index '{letter}' runs over {number}, but {axis_text}")
        elif integer is not None and integer not in self.known.computed:
            self.known.positions.setdefault(integer, []).append(own)
            self._note_guard(integer, index)
        else:
            for part in {*index.atoms(Indexed), *index.atoms(Symbol)}:
                inner = name_of_integer(part, self.known)
                if inner is not None:
                    self._note_guard(inner, part)
            guards = tuple(self.guards)
            read_at = Read(self.part, self.column(node), component, axis, tuple(self.scope), guards)
            self.known.reads.append(read_at)

    def _is_part(self, own: str, letter: str) -> bool:
        """Whether a letter is declared to run over a part of the axis that ``own`` runs over."""
        few, many = map(self.known.ranges.number, (letter, own))
        return few is not None and many is not None and few < many

    def _note_guard(self, integer: str, place: Expr) -> None:
        """Remember an integer quantity that is read as a place where no guard excludes -1."""
        before = {place: Integer(-1)}
        if not any(computed(guard.xreplace, before) is S.false for guard in self.guards):
            self.known.unguarded.add(integer)

    def _note_use(self, node: ast.AST, name: str, indices: Sequence[Expr]) -> None:
        """Remember how a quantity is read, from which a parameter's first values follow."""
        bound = {provisional_index(letter) for letter in self.summed}
        summed = frozenset(n for n, i in enumerate(indices) if i.free_symbols & bound)
        use = Use(self.equation, id(node) in self.additive and not summed, summed)
        self.known.uses.setdefault(name, []).append(use)

    def _note_noise(self, node: ast.AST, name: str) -> None:
        """Remember a read of noise, which has no value in use."""
        if name in self.known.noise:
            self.known.noise_read.append(NoiseRead(name, self.equation, self.part, self.column(node)))

    # ------------------------------------------------------------ indices

    def index(self, node: ast.expr) -> Expr:
        """Return the index that the node stands for."""
        return self.within_limits(node, self.build_index)

    def build_index(self, node: ast.expr) -> Expr:
        """Return an index: a letter, a whole number, an integer quantity, or a sum of multiples of such."""
        match node:
            case ast.Constant(value=int(value)) if not isinstance(value, bool):
                return Integer(value) if abs(value) < 10**9 else self._fail_index(node)
            case ast.Name(id=name) if name in self.scope:
                self.letters_read.add(name)
                return provisional_index(name)
            case ast.Name(id=name) if name in self.known.quantities and self.known.quantities[name].integer:
                return self.resolve_name(node)
            case ast.Name(id=name) if name in self.known.whole:
                self.known.used.add(name)
                return self.known.whole[name]
            case ast.Name(id=name):
                problem = f"the index '{name}' is free: neither the left side nor a sum around this has it"
                self.fail(node, problem, self._letter_hint(name))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.index(operand)
            case ast.BinOp(op=ast.Add() | ast.Sub() as operator, left=left, right=right):
                first, second = self.index(left), self.index(right)
                return first + second if isinstance(operator, ast.Add) else first - second
            case ast.BinOp(op=ast.Mult(), left=left, right=right):
                first, second = self.index(left), self.index(right)
                if _is_fixed(first) or _is_fixed(second):
                    return expand(first * second)
            case ast.BinOp(op=ast.FloorDiv() | ast.Mod(), left=left, right=right):
                return self.parted(node, self.index(left), self.index(right))
            case ast.Call(func=ast.Name(id="size")):
                return self.size_of(node)
            case ast.Call(func=ast.Name(id="argmax")):
                return self.place_of_largest(node)
            case ast.Subscript(value=ast.Name(id=name)):
                component = self.expression(node)
                if self.known.quantities[name].integer:
                    return component
                problem = f"'{name}' is no integer and can't be an index"
                self.fail(node, problem, "declare it as integer input")
        self._fail_index(node)

    def binary(self, node: ast.BinOp) -> Expr:
        """Return a sum, product, quotient or power; ``//`` and ``%`` are those of whole numbers."""
        if isinstance(node.op, ast.FloorDiv | ast.Mod):
            above, below = (self._with_whole(self.expression(side)) for side in (node.left, node.right))
            return self.parted(node, above, below)
        return super().binary(node)

    def parted(self, node: ast.BinOp, above: Expr, below: Expr) -> Expr:
        """Return the quotient or the remainder of whole numbers."""
        mark = "//" if isinstance(node.op, ast.FloorDiv) else "%"
        for side, value in ((node.left, above), (node.right, below)):
            if not value.is_integer:
                self.fail(side.col_offset, f"{mark} is for whole numbers", "of others take floor(a/b)")
        if not (below.is_positive and _is_fixed(below)):
            self.fail(node.right.col_offset, f"the divisor of {mark} must be a number or a size above 0")
        return computed(Quotient if mark == "//" else Remainder, above, below)

    def _fail_index(self, node: ast.AST) -> NoReturn:
        allowed = "write a letter, a whole number, a sum such as 2*h + u - 1, or an integer quantity"
        self.fail(node, "this is no index", allowed)

    def _letter_hint(self, name: str) -> str:
        return suggestion(name, self.scope) if self.scope else "add it on the left"

    def size_of(self, node: ast.Call) -> Expr:
        """Return size(h), the number of values of an index."""
        self.check_arguments(node, 1, 1)
        (argument,) = node.args
        if not isinstance(argument, ast.Name):
            self.fail(argument, "size takes an index letter", "write size(i)")
        if argument.id not in self.known.ranges.by_letter and argument.id not in self.scope:
            known = self.known.ranges.by_letter
            hint = suggestion(argument.id, known) if known else ""
            self.fail(argument, f"no index '{argument.id[:40]}' is known so far", hint)
        return self.known.size(argument.id)

    # ------------------------------------------------------------ sums and maxima

    @contextmanager
    def _bound(self, nodes: Sequence[ast.expr], summed: bool = True) -> Iterator[list[str]]:
        """Bring letters into scope."""
        letters: list[str] = []
        for node in nodes:
            if not isinstance(node, ast.Name):
                self.fail(node, "an index letter is needed here", "write sum(x[n, i], i)")
            if node.id in self.scope or node.id in letters:
                self.fail(node, f"the index '{node.id}' is bound twice", "use another letter")
            letters.append(node.id)
        if len(self.scope) + len(letters) > MAX_INDICES:
            self.fail(nodes[0], f"an equation of more than {MAX_INDICES} indices is not allowed")
        self.scope += letters
        self.known.letters.update(letters)
        self.summed += letters if summed else []
        outside = self.letters_read
        self.letters_read = set()
        yield letters
        for node, letter in zip(nodes, letters, strict=True):
            if letter not in self.letters_read:
                self.fail(node, f"nothing here depends on the index '{letter}'", "leave it out")
            self.scope.remove(letter)
            if summed:
                self.summed.remove(letter)
        self.letters_read = outside | (self.letters_read - set(letters))

    def _body_and_letters(self, node: ast.Call) -> tuple[ast.expr, Sequence[ast.expr]]:
        self.check_arguments(node, 2, 1 + MAX_AXES)
        return node.args[0], node.args[1:]

    def total(self, node: ast.Call) -> Expr:
        """Return sum(e, i, j)."""
        argument, indices = self._body_and_letters(node)
        with self._bound(indices) as letters:
            body = self._argument(argument)
        for letter in letters:
            body = computed(_summed, body, provisional_index(letter), self.known.size(letter))
        return body

    def mean(self, node: ast.Call) -> Expr:
        """Return mean(e, i, j): the sum divided by how many terms it has."""
        result = self.total(node)
        for letter in node.args[1:]:
            assert isinstance(letter, ast.Name)
            result = computed(truediv, result, self.known.size(letter.id))
        return result

    def product(self, node: ast.Call) -> Expr:
        """Return prod(e, i, j), its factors written out, so that the derivative is right where one is 0."""
        argument, indices = self._body_and_letters(node)
        with self._bound(indices) as letters:
            body = self._argument(argument)
            body = body if isinstance(body, Indexed) else self._named(body)
        for letter, place in zip(letters, indices, strict=True):
            number = self.known.ranges.number(letter)
            if number is None or number > MAX_FACTORS:
                problem = f"a product over '{letter}' needs its number of factors, up to {MAX_FACTORS}"
                self.fail(place, problem, f"give it, as in: size {letter} = 3")
            factors = [
                computed(body.xreplace, {provisional_index(letter): Integer(k)}) for k in range(number)
            ]
            body = computed(Mul, *factors)
        self._note_places(body, node)
        return body

    def _note_places(self, expression: Expr, node: ast.AST) -> None:
        """Remember the whole numbers at which an expression reads: they must stay inside."""
        for component in sorted(expression.atoms(Indexed), key=str):
            for axis, index in enumerate(component.indices):
                if index.is_Integer:
                    place = Read(self.part, self.column(node), component, axis, (), tuple(self.guards))
                    self.known.reads.append(place)

    def log_sum_exp(self, node: ast.Call) -> Expr:
        """Return logsumexp(e, i, j): log(sum(exp(e), i, j)), which is computed without overflow."""
        argument, indices = self._body_and_letters(node)
        inner = [argument]
        for name, rest in (("exp", []), ("sum", indices), ("log", [])):
            function = ast.copy_location(ast.Name(name), node)
            inner = [ast.copy_location(ast.Call(function, [*inner, *rest], []), node)]
        return self.expression(inner[0])

    def largest(self, node: ast.Call) -> Expr:
        """Return max(a, b), or max(e, i): e at the place where it is largest, the first if there are more.

        So is min, with the place where e is least.
        """
        last = node.args[-1] if len(node.args) > 1 else None
        if not isinstance(last, ast.Name) or last.id in self.names:
            return self.extreme(node)
        assert isinstance(node.func, ast.Name)
        argument, indices = self._body_and_letters(node)
        body, letters = self._over(argument, indices)
        first = [i for i in self.scope if i not in letters and _reads(body, i)]
        sign = 1 if node.func.id == "max" else -1
        for letter in reversed(letters):
            others = [other for other in letters[: letters.index(letter)] if _reads(body, other)]
            place = self._place_defined(sign * body, letter, [*first, *others])
            body = computed(body.xreplace, {provisional_index(letter): place})  # bound nowhere in the body
        return body

    def place_of_largest(self, node: ast.Call) -> Expr:
        """Return argmax(e, i): the value of i at which e is largest, the first if there are more."""
        self.check_arguments(node, 2, 2)
        body, (letter,) = self._over(node.args[0], node.args[1:])
        if node is not self.outermost:
            return self._place_defined(body, letter, [i for i in self.scope if _reads(body, i)])
        self._note_place(self.equation, letter)
        return computed(arg_max, body, (provisional_index(letter), self.known.size(letter)))

    def _over(self, argument: ast.expr, indices: Sequence[ast.expr]) -> tuple[Expr, list[str]]:
        """Return the body of a maximum and the letters that it runs over."""
        with self._bound(indices, summed=False) as letters:
            body = self._argument(argument)
            kinds = (Sum,) if self._where_in_range(body) is body else ()
            return self._named(body, *kinds), list(letters)

    def _place_defined(self, body: Expr, letter: str, free: Sequence[str]) -> Expr:
        """Define the place where ``body`` is largest, and return it."""
        indices = [provisional_index(i) for i in free if _reads(body, i)]
        letters = tuple(i.name[1:] for i in indices)
        shape = tuple(self.known.size(i) for i in letters)
        place = Quantity(self.own_name("at"), shape, integer=True)
        self.known.add(place, letters)
        self.known.used.add(place.name)
        self._note_place(place.name, letter)
        i, n = provisional_index(letter), self.known.size(letter)
        self.known.hidden.append(Equation(place.at(indices), computed(arg_max, body, (i, n))))
        return place.at(indices)

    def _note_place(self, name: str, letter: str) -> None:
        """Remember that a quantity is a place along the range of a letter."""
        self.known.computed.add(name)
        self.known.positions[name] = [letter]

    def own_name(self, ending: str) -> str:
        """Return a new name for a quantity that is defined for this equation: h_in3 for h3, h_in for h.

        The number stays at the end, where it is that of a layer; what a use of a block has made has those
        of its layer.
        """
        word, layer = self.known.layers.get(self.equation) or split_name(self.equation)
        names = (f"{word}_{ending}{'_' * count}{layer or ''}" for count in itertools.count())
        if layer is None:
            names = (f"{word}_{ending}{count if count > 1 else ''}" for count in itertools.count(1))
        taken = {*self.known.quantities, *self.known.later, *self.known.scalars}
        return next(name for name in names if name not in taken)

    def _argument(self, node: ast.expr) -> Expr:
        """Return the expression of an argument: not part of a condition, whatever is around it."""
        before, self.in_condition = self.in_condition, False
        value = self.expression(node)
        self.in_condition = before
        return value

    # ------------------------------------------------------------ conditions

    def build_condition(self, node: ast.expr) -> Boolean:
        """Return the condition for a node; ``training`` is one, where nothing of the text is called so."""
        if not (isinstance(node, ast.Name) and node.id == TRAINING.name):
            return super().build_condition(node)
        if self._is_own_name(node.id):
            hint = "compare it with a number, or rename it to ask whether the network is trained"
            self.fail(node, "here 'training' is a quantity of the text, and no condition", hint)
        self.known.asks_training = True
        return TRAINING

    def _is_own_name(self, name: str) -> bool:
        """Whether the text in which the formula was written declares a name, or has it as an index."""
        line = self.part.line
        while isinstance(line, UsedLine):
            line = line.part.line
        known = (self.scope, self.known.scalars, self.known.quantities, self.known.later)
        return line.source == self.known.source and any(name in each for each in known)

    def comparison(self, node: ast.Compare) -> Boolean:
        """Return a comparison of indices, sizes and values."""
        before, self.in_condition = self.in_condition, True
        result = self._with_whole(super().comparison(node))
        self.in_condition = before
        return computed(result.xreplace, {r: _as_bound(r) for r in result.atoms(Eq, Ne)})

    def _with_whole(self, expression: Built) -> Built:
        """Return an expression in which constants beside whole numbers alone are whole numbers themselves.

        A condition then guards.
        """
        numbers = {self.names[name]: value for name, value in self.known.whole.items()}
        is_whole = all(symbol.is_integer for symbol in expression.free_symbols - numbers.keys())
        replaced: Built = computed(expression.xreplace, numbers if is_whole else {})
        return replaced

    def where(self, node: ast.Call) -> Expr:
        """Return where(condition, value, other); the condition guards the reads in the value."""
        self.check_arguments(node, 3, 3)
        condition = self.condition(node.args[0])
        with self._guarded_by(condition):
            value = self._argument(node.args[1])
        with self._guarded_by(computed(Not, condition)):
            other = self._argument(node.args[2])
        return computed(Piecewise, (value, condition), (other, True))

    @contextmanager
    def _guarded_by(self, condition: Boolean) -> Iterator[None]:
        self.guards.append(condition)
        yield
        self.guards.pop()

    # ------------------------------------------------------------ functions

    def resolve_call(self, node: ast.Call) -> Expr:
        """Return the value of a call; an activation may be given its constants by keyword."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in ACTIVATIONS or name in FUNCTIONS:
            return super().resolve_call(node)
        constants = activation_constants(name)
        for given in node.keywords:
            if given.arg not in constants:
                takes = "it takes " + ", ".join(constants) if constants else "it takes none"
                self.fail(given.value, f"'{name}' has no constant '{given.arg or '**'}'", takes)
            constants[given.arg] = self._argument(given.value)
        if ACTIVATIONS[name].is_of_layer:
            return self.normalised(node, constants)
        self.check_arguments(node, 1, 1)
        formula, argument = ACTIVATIONS[name].formula, self._inside_call(node.args[0])
        if len(re.findall(r"\bs\b", formula)) > 1:
            argument = self._named(argument, Sum)
        elif formula != "s":
            argument = self._apart(argument, node)
        return self._applied(formula, argument, constants, node)

    def functions_known(self) -> set[str]:
        """Return the names of everything that can be called, activations of a whole axis among them."""
        return super().functions_known() | ACTIVATIONS.keys()

    def argument_of(self, node: ast.Call, argument: ast.expr) -> Expr:
        """Return an argument of a function, or a quantity that is it."""
        value = self._inside_call(argument)
        kept = isinstance(node.func, ast.Name) and node.func.id in _KEPT_WHOLE
        return value if kept else self._apart(value, node)

    def _inside_call(self, node: ast.expr) -> Expr:
        """Return the expression of an argument, which stands inside of this call."""
        self.calls.append(len(self.summed))
        value = self._argument(node)
        self.calls.pop()
        return value

    def _apart(self, argument: Expr, node: ast.Call) -> Expr:
        """Return a quantity for the argument of a call where the derivative would read all of it again.

        It would with sums in it, unless the call is the whole right-hand side and the sums are in no choice:
        then the derivative is written through its value.  It would with several components, too, if the
        call is summed inside of another one, as exp(a + b) is in log(sum(exp(a + b), i)): of a parameter
        that is shared, the derivative has such a term for each time that it is read.
        """
        is_shared = any(name in self.known.shared for name in _names_in(argument))
        if argument.has(Sum):
            is_read_again = is_shared or node is not self.outermost or argument.has(Piecewise)
        else:
            inside_sum = any(depth < len(self.summed) for depth in self.calls)
            is_read_again = is_shared and inside_sum and len(_names_in(argument)) > 1
        return self._named(argument) if is_read_again else argument

    def _named(self, body: Expr, *kinds: type[Expr]) -> Expr:
        """Return a quantity for a ``body`` that is read again, if it holds such ``kinds`` of parts."""
        if kinds and not body.has(*kinds):
            return body
        body = self._where_in_range(body)
        if body not in self.parts:
            self.parts[body] = self._new_part(body)
        return self.parts[body]

    def _where_in_range(self, body: Expr) -> Expr:
        """Return a ``body`` with the conditions on places around it, outside of which it is 0.

        As a quantity of its own it is computed everywhere, and its reads could leave their arrays.
        """
        plain = all(isinstance(i, Symbol) for read in body.atoms(Indexed) for i in read.indices)
        guards = [g for g in self.guards if all(_is_whole(read) for read in g.atoms(Indexed, Symbol))]
        if plain or not guards:
            return body
        return computed(Piecewise, (body, computed(And, *guards)), (ZERO, True))

    def _new_part(self, body: Expr, ending: str = "in", held: bool = False) -> Expr:
        letters = [letter for letter in self.scope if _reads(body, letter)]
        letters.sort(key=lambda letter: not self.known.numbers_samples(letter))
        indices = [provisional_index(letter) for letter in letters]
        named = Quantity(self.own_name(ending), tuple(map(self.known.size, letters)), held=held)
        self.known.add(named, tuple(letters))
        self.known.used.add(named.name)
        self.known.hidden.append(Equation(named.at(indices), body))
        return named.at(indices)

    # ------------------------------------------------------------ derivatives

    def gradient(self, node: ast.Call) -> Expr:
        """Return gradient(e, q[n, k]), the derivative of e for a component of q."""
        self.check_arguments(node, 2, 2)
        return derivatives.gradient(self, *node.args)

    def stop_gradient(self, node: ast.Call) -> Expr:
        """Return stop_gradient(e): e, through which no derivative goes."""
        self.check_arguments(node, 1, 1)
        return derivatives.stop_gradient(self, node)

    def argument(self, node: ast.expr) -> Expr:
        """Return the expression of an argument."""
        return self._argument(node)

    def variable(self, node: ast.expr) -> Expr:
        """Return the component at a node; how a parameter starts does not follow from such a read."""
        uses = {name: list(found) for name, found in self.known.uses.items()}
        component = self._argument(node)
        self.known.uses = uses
        return component

    def apart(self, body: Expr) -> Expr:
        """Return a quantity of its own for a ``body``."""
        return self._named(body)

    def apart_and_held(self, body: Expr) -> Expr:
        """Return a quantity of its own for a ``body``, through which no derivative goes."""
        return self._new_part(self._where_in_range(body), "held", held=True)

    def is_whole(self, node: ast.expr) -> bool:
        """Whether a node is the whole right-hand side of an equation other than that of the loss."""
        return node is self.outermost and self.equation != LOSS and self.equation not in self.known.by_cases

    def hold(self) -> None:
        """Let no derivative go through the quantity on the left."""
        self.is_held = True

    def declared(self, name: str) -> str:
        """Return what a name stands for."""
        quantity = self.known.quantities.get(name)
        if name == self.equation or name in self.known.later:
            return "later"
        if quantity is None:
            return "letter" if name in self.scope else ""
        if quantity.integer:
            return "whole"
        if name in self.known.states:
            return "state"
        return "constant" if name in self.known.constants else "quantity"

    def normalised(self, node: ast.Call, constants: Mapping[str, Expr]) -> Expr:
        """Return an activation of a whole axis, such as softmax(a[n, i], i)."""
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        self.check_arguments(node, 2, 1 + MAX_AXES)
        argument, indices = node.args[0], node.args[1:]
        body = self._named(self._argument(argument), Sum)
        letters = []
        for index in indices:
            if not isinstance(index, ast.Name) or index.id not in self.scope:
                self.fail(index, "an index of the first argument is needed here", f"write {name}(a[n, i], i)")
            if not _reads(body, index.id) or index.id in letters:
                self.fail(index, f"nothing here depends on the index '{index.id}'", "leave it out")
            letters.append(index.id)
        others = [self._other(letter, body, letters) for letter in letters]
        new = dict(zip(map(provisional_index, letters), map(provisional_index, others), strict=True))

        def total(term: Expr) -> Expr:
            ranges = [(new[provisional_index(i)], self.known.size(i)) for i in letters]
            # The new letters are bound nowhere in the term.
            return computed(sum_over, computed(term.xreplace, new), *ranges)

        return self._applied(ACTIVATIONS[name].formula, body, constants, node, {"total": total})

    def _applied(
        self,
        formula: str,
        argument: Expr,
        constants: Mapping[str, Expr],
        node: ast.AST,
        functions: Mapping[str, Callable[[Expr], Expr]] | None = None,
    ) -> Expr:
        """Return a formula of the library in s at an argument."""
        for named in (False, True):
            value = self._named(argument, Piecewise) if named else argument
            with suppress(SpecificationError):
                return parse(formula, {"s": value, **constants}, functions)
        self._fail_cases(node)

    def _other(self, letter: str, body: Expr, used: Sequence[str]) -> str:
        """Return a letter for the sum over an axis that ``letter`` runs along already."""
        symbols = {s.name[1:] for s in body.atoms(Symbol) if s.name.startswith("@")}
        number = 1
        while f"{letter}~{number}" in {*symbols, *self.scope, *used}:
            number += 1
        other = f"{letter}~{number}"
        self.known.ranges.unite(letter, other)
        return other


def used_before(name: str, definition: Part) -> tuple[str, str]:
    """Return what is wrong where a quantity is read before its definition, and a hint."""
    problem = f"'{name}' is used before it is defined in line {definition.line.number}"
    return problem, f"define it first; {_NO_CIRCLE}"


def _names_in(expression: Expr) -> set[str]:
    """Return the names of the quantities and numbers that an expression reads."""
    symbols = {s for s in expression.free_symbols if not s.is_integer}
    return {name_of(c) for c in (*expression.atoms(Indexed), *symbols)}


def _summed(body: Expr, i: Symbol, n: Expr) -> Expr:
    """Return the sum of ``body`` over an index: ``n`` times ``body`` if it does not depend on it."""
    return constant_outside(sum_over(body, (i, n))) if i in body.free_symbols else n * body


def name_of_integer(index: Expr, names: Names) -> str | None:
    """Return the integer quantity that an index is a component of, None where it is something else."""
    plain = bool(indices_of(index)) or isinstance(index, Symbol)
    name = name_of(index) if plain else ""
    return name if name in names.quantities and names.quantities[name].integer else None


def _is_fixed(index: Expr) -> bool:
    """Whether an index is made of numbers and sizes alone."""
    return all(map(is_size, index.free_symbols)) and not index.has(Indexed)


def _as_bound(relation: Relational) -> Boolean:
    """Return t <= 0 for t == 0, and so at the last place: bounds tell which reads are inside."""
    letters = [s for s in relation.free_symbols if not is_size(s)]
    if len(letters) != 1 or not letters[0].name.startswith("@"):
        return relation
    (letter,) = letters
    last = provisional_size(letter.name[1:]) - 1
    difference = relation.lhs - relation.rhs
    is_equal = isinstance(relation, Eq)
    if difference in (letter, -letter):
        return letter <= 0 if is_equal else letter > 0
    if expand(difference - letter + last) == 0 or expand(difference + letter - last) == 0:
        return letter >= last if is_equal else letter < last
    return relation


def _is_whole(read: Expr) -> bool:
    """Whether a read is that of an index, a size or whole numbers."""
    return bool(read.is_integer or (isinstance(read, Indexed) and read.base.label.is_integer))


def _reads(expression: Expr, letter: str) -> bool:
    return provisional_index(letter) in expression.free_symbols
