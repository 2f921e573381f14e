"""Formulas written as text, such as ``1/(1 + exp(-s))``, read without ever running them.

The text goes through Python's own parser, which only builds a syntax tree.  A reader walks that
tree, accepts the few kinds of node a formula needs, and calls the SymPy constructors itself.
Anything that makes a hostile text slow or large (towers of powers, numbers with thousands of digits,
deep nests) is measured while the expression grows, and refused.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from inspect import CO_GENERATOR
from operator import add, mul, neg, pow, sub, truediv
from types import FrameType
from typing import NamedTuple, NoReturn, TypeVar

import sympy.tensor.tensor
from sympy import (
    Add,
    And,
    Basic,
    Dummy,
    Expr,
    Max,
    Min,
    Mul,
    Not,
    Or,
    Piecewise,
    Pow,
    Rational,
    S,
    atan2,
    exp,
    log,
)
from sympy.core.cache import clear_cache
from sympy.core.evalf import PrecisionExhausted
from sympy.logic.boolalg import Boolean

from symbackprop.equations.functions import Floor, LogGamma, Round
from symbackprop.equations.system import compared
from symbackprop.errors import fail_at, suggestion, suggestions

MAX_TEXT = 10_000  # characters
MAX_DEPTH = 50  # levels of nesting
MAX_NODES = 2_000  # operations, names and numbers, in the text and in the expression it stands for
MAX_DIGITS = 50  # of a numerator or denominator, written or computed
MAX_EXPONENT = 100  # magnitude of an exponent that is a number
MAX_DEGREE = 1_000  # product of constant exponents nested in each other
MAX_POWER_INSIDE = 100  # the same inside of a function, where SymPy multiplies out to learn signs
MAX_CHOICES = 8  # arguments of Max or Min, as SymPy compares each with each other
MAX_WORK = 2_000_000  # calls and returns inside SymPy, about a second

_EXPONENT_DIGITS = math.log10(MAX_EXPONENT)  # of the parts of a fraction in an exponent

Function = Callable[..., Expr]
Built = TypeVar("Built", bound=Basic)
Result = TypeVar("Result")


class NotComputed(Exception):
    """SymPy could not build an expression; the reader around says for which part of the text."""


def computed(function: Callable[..., Result], *arguments: object, **values: object) -> Result:
    """Return the value of a function of SymPy, or of one that only calls SymPy, at the arguments.

    The one place where an error of any type is a fault of the formula: every other error in a reader is
    a fault of the reader, and is left alone.

    Raises:
        NotComputed: SymPy raised an error.
    """
    try:
        return function(*arguments, **values)
    except Exception as error:  # SymPy's constructors raise errors of many types
        raise NotComputed from error


@dataclass(frozen=True)
class ParametricFunction:
    """A function of one argument that takes numbers by keyword too, as in ``elu(s, alpha=0.5)``."""

    function: Function
    parameters: frozenset[str]

    def __call__(self, argument: Expr, **values: Expr) -> Expr:
        """Return the value at ``argument``."""
        return self.function(argument, **values)


def _absolute(argument: Expr) -> Expr:
    """Return |argument|; SymPy writes |exp(u)| as exp(re(u)) where it does not know that u is real."""
    return sympy.Abs(argument).replace(sympy.re, lambda part: part).replace(sympy.im, lambda part: S.Zero)


_SAME_NAME = "exp log sqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf sign"
FUNCTIONS: Mapping[str, Function] = {
    **{name: partial(computed, getattr(sympy, name)) for name in _SAME_NAME.split()},
    **{
        f"arc{name}": partial(computed, getattr(sympy, f"a{name}"))
        for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")
    },
    **dict.fromkeys(("abs", "Abs"), partial(computed, _absolute)),
    "floor": partial(computed, Floor),
    "round": partial(computed, Round),
    "lgamma": partial(computed, LogGamma),
}
"""The functions of one argument that every formula may call."""
CONSTANTS: Mapping[str, Expr] = {"pi": sympy.pi}
"""The names that every formula may use."""

_RELATIONS: Mapping[type[ast.cmpop], Callable[[Expr, Expr], Boolean]] = {
    ast.Lt: sympy.Lt,
    ast.LtE: sympy.Le,
    ast.Gt: sympy.Gt,
    ast.GtE: sympy.Ge,
    ast.Eq: sympy.Eq,
    ast.NotEq: sympy.Ne,
}
_OPERATIONS: Mapping[type[ast.operator], Callable[[Expr, Expr], Expr]] = {
    ast.Add: add,
    ast.Sub: sub,
    ast.Mult: mul,
    ast.Div: truediv,
    ast.Pow: pow,
}
_IN_CONDITIONS = "allowed only in a condition of where or Piecewise"
_OPERATORS = "allowed: + - * / **"
_REFUSED: Mapping[type[ast.AST], tuple[str, str]] = {
    ast.Attribute: ("an attribute", "write the name alone, without a module before it"),
    ast.JoinedStr: ("a string", ""),
    ast.Dict: ("a dictionary", ""),
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), ("a comprehension", "")),
    ast.NamedExpr: ("an assignment", ""),
    ast.Starred: ("a starred argument", ""),
    ast.IfExp: ("an if", "write where(condition, value, other)"),
    ast.Compare: ("a comparison", _IN_CONDITIONS),
    ast.BoolOp: ("and/or", _IN_CONDITIONS),
    ast.Not: ("not", _IN_CONDITIONS),
    ast.Invert: ("~", "write not, in a condition"),
    ast.BitXor: ("^", "write ** for a power"),
    ast.BitAnd: ("&", "write and, in a condition"),
    ast.BitOr: ("|", "write or, in a condition"),
    ast.Mod: ("%", _OPERATORS),
    ast.FloorDiv: ("//", _OPERATORS),
    ast.MatMult: ("@", _OPERATORS),
    ast.LShift: ("<<", _OPERATORS),
    ast.RShift: (">>", _OPERATORS),
    ast.Is: ("is", "write =="),
    ast.IsNot: ("is not", "write !="),
    ast.NotIn: ("not in", ""),
}  # its name, and the right way to write it; other syntax is called by its name in Python
_NAMES_ELSEWHERE = {"e": "exp(1)", "E": "exp(1)", "ln": "log", "maximum": "Max", "minimum": "Min"}


def parse(
    text: str,
    names: Mapping[str, Expr],
    functions: Mapping[str, Function] | None = None,
    *,
    subject: str = "formula",
) -> Expr:
    """Return the expression that ``text`` denotes.

    Args:
        text: The formula, such as ``where(s > 0, s, alpha*(exp(s) - 1))``.
        names: The expression for each name in the formula; the symbols are real.
        functions: Functions of one argument, beside those every formula may call; they leave calls of
            SymPy that may fail to `computed`.
        subject: The beginning of an error message, such as ``layer 2: activation``.

    Raises:
        SpecificationError: When the text is not a formula or has no real value.
    """
    return FormulaReader(text, names, functions or {}, subject).read()


def parse_call(text: str, *, subject: str = "formula") -> tuple[str, dict[str, Rational]] | None:
    """Return the name and the numbers of a text such as ``elu(alpha=0.5)`` or ``relu``.

    Returns:
        None when the text is not a name, or a name called with numbers by keyword only; it may then
        be a formula.

    Raises:
        SpecificationError: When the text cannot be read at all, a keyword is given twice, or a
            number is not finite or not rational.
    """
    reader = FormulaReader(text, {}, {}, subject)
    node = reader.tree()
    if isinstance(node, ast.Name):
        return node.id, {}
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.args:
        return None
    values: dict[str, Rational] = {}
    for given in node.keywords:
        if given.arg is None or not _is_arithmetic(given.value):
            return None
        if given.arg in values:
            reader.fail(given, f"'{given.arg}' is given twice")
        if isinstance(given.value, ast.Name):
            reader.fail(given.value, f"'{given.arg}' must be a finite number")
        value = reader.expression(given.value)
        if not isinstance(value, Rational):
            reader.fail(given.value, f"'{given.arg}' must be a rational number", "write it in decimals")
        values[given.arg] = value
    return node.func.id, values


def names_called(text: str) -> set[str]:
    """Return the names of the functions that a formula calls."""
    tree = FormulaReader(text, {}, {}, "formula").tree()
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {function.id for function in calls if isinstance(function, ast.Name)}


def _is_arithmetic(node: ast.expr) -> bool:
    """Return whether the node holds numbers and operators only (or is inf or nan, to be refused)."""
    if isinstance(node, ast.Name):
        return node.id.lower() in ("inf", "infinity", "nan", "oo")
    operators = (ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
    return all(
        isinstance(part, operators) or (isinstance(part, ast.Constant) and type(part.value) in (int, float))
        for part in ast.walk(node)
    )


class _Shape(NamedTuple):
    """The measures of an expression: enough to foresee how large SymPy could make it."""

    size: int
    degree: float  # as of a polynomial; functions pass that of their argument on
    value: float | None  # of a constant
    digits: float  # of the largest numerator or denominator that multiplying out could bring forth
    log_digits: float  # the same of the factors of a logarithm; below zero when there is none
    has_cases: bool
    power: float = 1  # product of the constant exponents nested in each other


def _has_factor(base: Expr, shape: _Shape) -> bool:
    """Return whether SymPy takes a number out of a power of ``base``."""
    return shape.digits > 0 and (shape.value is not None or isinstance(base, Mul))


def _is_zero(expression: Expr) -> bool:
    return bool(expression.is_zero)


def _evaluated(constant: Expr) -> Expr | None:
    """Return the number that a constant is, to 15 digits; None where it cannot be told from zero."""
    try:
        return constant.evalf(15, strict=True)
    except PrecisionExhausted:
        return None


class FormulaReader:
    """Walks the syntax tree of one formula and builds the SymPy expression it stands for.

    A richer notation is a subclass: it overrides how a name, a call or a subscript is resolved, or
    adds to ``forms`` a call whose arguments are not plain expressions.
    """

    max_text = MAX_TEXT
    max_nodes = MAX_NODES

    def __init__(
        self, text: str, names: Mapping[str, Expr], functions: Mapping[str, Function], subject: str
    ) -> None:
        """Set up a reader of one text; nothing is read yet."""
        self.text = text.strip(" ")
        self.names: Mapping[str, Expr] = {**CONSTANTS, **names}
        self.functions: Mapping[str, Function] = {**FUNCTIONS, **functions}
        self.forms: dict[str, Callable[[ast.Call], Expr]] = {
            "where": self.where,
            "Piecewise": self.piecewise,
            **dict.fromkeys(("Max", "Min", "max", "min"), self.extreme),
            "atan2": self.angle,
        }
        self.subject = subject
        self._depth = 0
        self._nodes = 0
        self._shapes: dict[Basic, _Shape] = {}

    def fail(self, place: ast.AST | int, problem: str, hint: str = "") -> NoReturn:
        """Raise the error that shows ``problem`` with a caret under its place in the text."""
        column = place if isinstance(place, int) else self.column(place)
        fail_at(column, self.text, self.subject, problem, hint, show=_in_ascii)

    def column(self, node: ast.AST) -> int:
        """Return the column that an error at ``node`` points to: that of the operator, if any."""
        match node:
            case ast.BinOp(left=left) | ast.Compare(left=left) if left.end_col_offset is not None:
                between = re.compile(r"[ )]*").match(self.text, left.end_col_offset)
                return between.end() if between else left.end_col_offset
            case ast.Attribute(attr=attribute, end_col_offset=int(end)):
                return end - len(attribute)
        return int(getattr(node, "col_offset", 0))

    def read(self) -> Expr:
        """Return the expression that the whole text stands for."""
        tree = self.tree()
        try:
            with limited_work():
                return self.expression(tree)
        except TooMuchWork:
            pass
        self.fail(0, "working this out takes too long", "write it in a simpler way")

    def tree(self) -> ast.expr:
        """Return the syntax tree of the text."""
        self._check_characters()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            # Python's wording is about Python and changes with its version.
            column, problem, hint = _syntax_problem(self.text, (error.offset or 0) - 1)
        except (MemoryError, RecursionError, ValueError, OverflowError):
            column, problem, hint = 0, "this is nested too deeply", ""
        self.fail(column, problem, hint)

    def _check_characters(self) -> None:
        """Refuse text that must not reach the parser; in plain ASCII, bytes and columns are the same."""
        if not self.text:
            self.fail(0, "the formula is empty")
        if len(self.text) > self.max_text:
            self.fail(0, f"the formula is longer than {self.max_text} characters")
        odd = re.search(r"[^ -~]", self.text)
        if odd:
            name = _in_ascii(odd[0])
            self.fail(odd.start(), f"the character '{name}' is not allowed", "only plain ASCII is")
        if "#" in self.text:
            self.fail(self.text.index("#"), "a comment is not allowed")

    def expression(self, node: ast.expr) -> Expr:
        """Return the expression that the node stands for."""
        return self.within_limits(node, self.build)

    def condition(self, node: ast.expr) -> Boolean:
        """Return the condition that the node stands for."""
        return self.within_limits(node, self.build_condition)

    def within_limits(self, node: ast.expr, build: Callable[[ast.expr], Built]) -> Built:
        """Return the result of ``build`` for the node, within the limits."""
        self._depth += 1
        self._nodes += 1
        if self._depth > MAX_DEPTH:
            self.fail(node, f"the formula is nested deeper than {MAX_DEPTH} levels")
        if self._nodes > self.max_nodes:
            self.fail(node, f"the formula has more than {self.max_nodes} parts")
        try:
            built = build(node)
            self._measure(built, node)
        except NotComputed:
            self.fail(node, "this cannot be computed")
        self._depth -= 1
        return built

    def build(self, node: ast.expr) -> Expr:
        """Return the expression for a node by its kind."""
        match node:
            case ast.Constant():
                return self.number(node)
            case ast.Name():
                return self.resolve_name(node)
            case ast.UnaryOp():
                return self.unary(node)
            case ast.BinOp():
                return self.binary(node)
            case ast.Call():
                return self.resolve_call(node)
            case ast.Subscript():
                return self.resolve_subscript(node)
        self.refuse(node)

    def build_condition(self, node: ast.expr) -> Boolean:
        """Return the condition for a node by its kind."""
        match node:
            case ast.Compare():
                return self.comparison(node)
            case ast.BoolOp(op=ast.And(), values=values):
                return computed(And, *[self.condition(value) for value in values])
            case ast.BoolOp(values=values):
                return computed(Or, *[self.condition(value) for value in values])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return computed(Not, self.condition(operand))
        self.fail(node.col_offset, "a condition is needed here", "such as s > 0")

    def refuse(self, node: ast.AST, at: ast.AST | None = None) -> NoReturn:
        """Raise the error for syntax that a formula cannot hold."""
        kind = type(node).__name__.lower()
        what, hint = _REFUSED.get(type(node), (f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}", ""))
        self.fail(at or node, f"{what} is not allowed", hint)

    def number(self, node: ast.Constant) -> Expr:
        """Return the number exactly as it is written: 0.1 is 1/10."""
        if isinstance(node.value, str | bytes):
            self.fail(node, "a string is not allowed")
        if isinstance(node.value, bool):
            self.fail(node, f"{node.value} is not allowed", "True ends a Piecewise: (value, True)")
        written = self.text[node.col_offset : node.end_col_offset]
        parts = re.fullmatch(r"(\d+\.?\d*|\.\d+)(?:[eE][+-]?(\d+))?", written)
        if not parts:
            self.fail(node, f"'{written[:20]}' is not allowed", "write numbers as 3, 0.1 or 1e-3")
        if len(parts[1]) > 2 * MAX_DIGITS or int((parts[2] or "0")[:9]) > MAX_DIGITS:
            self._fail_digits(node)
        exact = Fraction(written)
        return Rational(exact.numerator, exact.denominator)

    def resolve_name(self, node: ast.Name) -> Expr:
        """Return the expression for a name."""
        if node.id in self.names:
            return self.names[node.id]
        if node.id in self.functions or node.id in self.forms:
            self.fail(node, f"'{node.id}' is a function", f"write {node.id}(...)")
        self.fail(node, f"unknown name '{node.id[:40]}'", self._suggest(node.id, self.names))

    def _suggest(self, name: str, known: Mapping[str, object]) -> str:
        """Return a hint for an unknown name."""
        elsewhere = _NAMES_ELSEWHERE.get(name)
        return f"write {elsewhere}" if elsewhere else suggestion(name, known)

    def resolve_subscript(self, node: ast.Subscript) -> Expr:
        """Refuse a subscript: there is nothing in a plain formula to take an element of."""
        self.refuse(node)

    def resolve_call(self, node: ast.Call) -> Expr:
        """Return the value of a call."""
        if not isinstance(node.func, ast.Name):
            self.fail(node, "only a named function can be called", "write * for a product")
        name = node.func.id
        values = self._values_by_keyword(node, self.functions.get(name))
        if name in self.forms:
            return self.forms[name](node)
        if name in self.functions:
            self.check_arguments(node, 1, 1)
            function, argument = self.functions[name], self.argument_of(node, node.args[0])
            self._check_application(function, self._measure(argument, node), node)
            return function(argument, **values)
        if name in self.names:
            self.fail(node, f"'{name}' is not a function", f"write {name}*(...) for a product")
        elsewhere = _NAMES_ELSEWHERE.get(name)
        hint = f"write {elsewhere}" if elsewhere else suggestions(name, self.functions_known())
        self.fail(node, f"unknown function '{name[:40]}'", hint)

    def functions_known(self) -> set[str]:
        """Return the names of everything that can be called."""
        return {*self.functions, *self.forms}

    def argument_of(self, node: ast.Call, argument: ast.expr) -> Expr:
        """Return an argument of the call ``node`` of a function of numbers."""
        return self.expression(argument)

    def _values_by_keyword(self, node: ast.Call, function: Function | None) -> dict[str, Expr]:
        """Return the numbers that a call gives by keyword."""
        values: dict[str, Expr] = {}
        for given in node.keywords:
            if not isinstance(function, ParametricFunction):
                self.fail(given, "a keyword argument is not allowed here")
            if given.arg not in function.parameters:
                takes = ", ".join(sorted(function.parameters)) or "none"
                self.fail(given, f"'{given.arg}' is no parameter of this function", f"it takes {takes}")
            value = self.expression(given.value)
            if not isinstance(value, Rational):
                self.fail(given.value, f"'{given.arg}' must be a rational number", "write it in decimals")
            values[given.arg] = value
        return values

    def check_arguments(self, node: ast.Call, least: int, most: int) -> None:
        """Refuse a call with fewer or more arguments than its function takes."""
        for argument in node.args:
            if isinstance(argument, ast.Starred):
                self.refuse(argument)
        if not least <= len(node.args) <= most:
            takes = f"{least}" if least == most else f"{least} to {most}"
            noun = "argument" if most == 1 else "arguments"
            self.fail(node, f"this call takes {takes} {noun}, not {len(node.args)}")

    def unary(self, node: ast.UnaryOp) -> Expr:
        """Return a signed expression."""
        if not isinstance(node.op, ast.UAdd | ast.USub):
            self.refuse(node.op, at=node)
        operand = self.expression(node.operand)
        return computed(neg, operand) if isinstance(node.op, ast.USub) else operand

    def binary(self, node: ast.BinOp) -> Expr:
        """Return a sum, product, quotient or power."""
        operation = _OPERATIONS.get(type(node.op))
        if operation is None:
            self.refuse(node.op, at=node)
        left, right = self.expression(node.left), self.expression(node.right)
        if isinstance(node.op, ast.Div) and computed(_is_zero, right):
            self.fail(node.right.col_offset, "this divides by zero")
        if isinstance(node.op, ast.Pow):
            self._check_base_and_exponent(left, right, node)
        return computed(operation, left, right)

    def _check_base_and_exponent(self, left: Expr, right: Expr, node: ast.BinOp) -> None:
        """Refuse a power that has no value, or that is beyond measure."""
        power = self._measure(right, node)
        if power.value is not None and abs(power.value) > MAX_EXPONENT:
            self.fail(node.right.col_offset, f"the exponent is beyond {MAX_EXPONENT}")
        if computed(_is_zero, left) and (power.value is None or power.value < 0):
            self.fail(node.right.col_offset, "this divides by zero where the exponent is negative")
        self._check_power(power, node.right, _has_factor(left, self._measure(left, node)))

    def comparison(self, node: ast.Compare) -> Boolean:
        """Return a comparison; a chain such as 0 < s < 1 means both."""
        for operator in node.ops:
            if type(operator) not in _RELATIONS:
                self.refuse(operator, at=node)
        sides = [self.expression(side) for side in (node.left, *node.comparators)]
        if any(self._measure(side, node).has_cases for side in sides):
            self._fail_cases(node)
        relations = [_RELATIONS[type(operator)] for operator in node.ops]
        return computed(And, *map(partial(computed, compared), relations, sides, sides[1:]))

    def where(self, node: ast.Call) -> Expr:
        """Return where(condition, value, other)."""
        self.check_arguments(node, 3, 3)
        condition = self.condition(node.args[0])
        value, other = self.expression(node.args[1]), self.expression(node.args[2])
        return computed(Piecewise, (value, condition), (other, True))

    def piecewise(self, node: ast.Call) -> Expr:
        """Return Piecewise((value, condition), ..., (value, True))."""
        branches = []
        for branch in node.args:
            if not isinstance(branch, ast.Tuple) or len(branch.elts) != 2:
                self.fail(branch, "a branch must be (value, condition)")
            value, condition = branch.elts
            is_true = isinstance(condition, ast.Constant) and condition.value is True
            is_last = branch is node.args[-1]
            if is_last and not is_true:
                self.fail(condition.col_offset, "the last branch needs True as its condition")
            branches.append((self.expression(value), S.true if is_last else self.condition(condition)))
        if not branches:
            self.fail(node, "Piecewise needs a branch", "write Piecewise((value, condition), (other, True))")
        return computed(Piecewise, *branches)

    def extreme(self, node: ast.Call) -> Expr:
        """Return Max(...) or Min(...)."""
        assert isinstance(node.func, ast.Name)
        function = Max if node.func.id in ("Max", "max") else Min
        self.check_arguments(node, 2, MAX_CHOICES)
        choices = [self.expression(argument) for argument in node.args]
        if sum(len(choice.args) if isinstance(choice, function) else 1 for choice in choices) > MAX_CHOICES:
            self.fail(node, f"{node.func.id} of more than {MAX_CHOICES} values is not allowed")
        return computed(function, *choices)

    def angle(self, node: ast.Call) -> Expr:
        """Return atan2(y, x), the angle of the point (x, y)."""
        self.check_arguments(node, 2, 2)
        y, x = (self.argument_of(node, argument) for argument in node.args)
        return computed(atan2, y, x)

    def _check_application(self, function: Function, argument: _Shape, node: ast.Call) -> None:
        """Refuse a function of an argument that SymPy would not finish with; a probe tells which."""
        if not argument.has_cases and argument.log_digits <= _EXPONENT_DIGITS:
            return
        probe = Dummy(real=True)
        result = function(probe)
        if argument.has_cases and result.has(Piecewise):
            self._fail_cases(node)
        if any(power.as_base_exp()[1].has(probe) for power in result.atoms(Pow, exp)):
            self._check_power(argument, node.args[0])

    def _check_power(self, power: _Shape, node: ast.AST, has_factor: bool = False) -> None:
        """Refuse an exponent for which SymPy would compute, or factor, a number beyond measure.

        It writes (12*s)**e as 12**e*s**e and exp(e*log(12)) as 12**e, and an exact 12**e takes as much
        room as the numerator and the denominator of e say.
        """
        if max(power.digits if has_factor else 0, power.log_digits) > _EXPONENT_DIGITS:
            hint = "write 1/3, not 0.3333" if has_factor else "write x**c for exp(c*log(x))"
            self.fail(node, "the numbers in this exponent are too large or too precise", hint)

    def _fail_cases(self, node: ast.AST) -> NoReturn:
        # SymPy would multiply the cases out and simplify each, which can take forever.
        self.fail(node, "a condition on something that has cases itself is not allowed", "write Max or Min")

    def _fail_digits(self, node: ast.AST) -> NoReturn:
        self.fail(node, f"a number here is too large, small or precise: it needs over {MAX_DIGITS} digits")

    def _measure(self, built: Basic, node: ast.AST) -> _Shape:
        """Return the shape of the expression built at ``node``; refuse one that is too large or not real."""
        shape = self._shapes.get(built)
        if shape is None:
            parts = [self._measure(part, node) for part in built.args]
            shape = self._shapes[built] = self._shape(built, parts, node)
            if shape.size > self.max_nodes:
                self.fail(node, f"the formula stands for more than {self.max_nodes} parts")
            if shape.degree > MAX_DEGREE:
                self.fail(node, f"powers of powers go beyond degree {MAX_DEGREE}")
            if isinstance(built, sympy.Function) and shape.power > MAX_POWER_INSIDE:
                problem = f"powers of powers inside of a function go beyond {MAX_POWER_INSIDE}"
                self.fail(node, problem, "give the power an equation of its own, in a .net file")
        return shape

    def _shape(self, built: Basic, parts: list[_Shape], node: ast.AST) -> _Shape:
        if built in (S.ComplexInfinity, S.NaN, S.Infinity, S.NegativeInfinity, S.ImaginaryUnit):
            self.fail(node, "the formula has no real value here")
        if isinstance(built, Rational):
            if max(abs(built.p), built.q) >= 10**MAX_DIGITS:
                self._fail_digits(node)
            digits = math.log10(max(abs(built.p), built.q))
            return _Shape(1, 0, float(built), digits, -1, False)
        if isinstance(built, Pow | sympy.Function) and computed(_is_never_real, built):
            self.fail(node, "the formula has no real value here")
        value = self._value(built, parts, node)
        degree = max((part.degree for part in parts), default=0 if value is not None else 1)
        highest = max((part.power for part in parts), default=1)
        digits = max((part.digits for part in parts), default=0)
        log_digits = max((part.log_digits for part in parts), default=-1)
        match built:
            case log():
                log_digits = max(log_digits, 0)
            case exp():
                self._check_power(parts[0], node)
            case Mul():
                degree, digits = sum(part.degree for part in parts), sum(part.digits for part in parts)
                for factor, part in zip(built.args, parts, strict=True):
                    if part.log_digits >= 0 and isinstance(factor, log | Add):
                        log_digits = max(log_digits, part.log_digits + digits - part.digits)
            case Pow():
                base, power = parts
                self._check_power(power, node, _has_factor(built.base, base))
                if power.value is not None:
                    times = max(1.0, abs(power.value))
                    degree, digits, highest = base.degree * times, base.digits * times, base.power * times
                elif base.value is not None and base.value < 0 and not built.exp.is_integer:
                    self.fail(node, "a negative number to a varying power has no real value")
        size = 1 + sum(part.size for part in parts)
        has_cases = isinstance(built, Piecewise) or any(part.has_cases for part in parts)
        return _Shape(size, degree, value, digits, log_digits, has_cases, highest)

    def _value(self, built: Basic, parts: list[_Shape], node: ast.AST) -> float | None:
        """Return the value of a constant that is no rational number, and None for all else."""
        if not isinstance(built, Expr) or not (parts or built.is_number):
            return None
        if any(part.value is None for part in parts):
            return None
        number = computed(_evaluated, built)
        if number is None:
            self.fail(node, "this cannot be told from zero", "leave it out")
        if not number.is_Float:
            self.fail(node, "the formula has no real value here")
        is_decay = isinstance(built, exp) and number < 1  # of a mask: exp(-1e9) is 0 to every dtype
        if not (is_decay or Rational(1, 10**MAX_DIGITS) < abs(number)) or abs(number) >= 10**MAX_DIGITS:
            self._fail_digits(node)
        return float(number)


def _is_never_real(built: Expr) -> bool:
    """Whether an expression such as sqrt(-1 - s**2) is real for no values of the symbols in it."""
    return built.is_extended_real is False


class TooMuchWork(BaseException):
    """The work limit is spent; not an Exception, so that no handler within SymPy stops it."""


class Work:
    """Counts what is called and what returns, which is the work of the statements in between."""

    def __init__(self, limit: int) -> None:
        self.left = limit
        self._is_counting = sys.getprofile() is None  # a user's profiler is left in place

    def count(self, frame: FrameType, event: str, argument: object) -> None:
        """Count one call or return of any function, as a profiler of Python."""
        self.left -= 1
        # An error raised while a generator is being cleaned up would be lost.
        if self.left < 0 and event == "call" and not frame.f_code.co_flags & CO_GENERATOR:
            raise TooMuchWork

    def begin(self) -> None:
        """Count from here on."""
        if self._is_counting:
            sys.setprofile(self.count)

    def end(self) -> None:
        """Count no more."""
        if self._is_counting:
            sys.setprofile(None)

    @contextmanager
    def known(self, work: int) -> Iterator[None]:
        """Take what is done in here for that much work: to count takes as long as to work."""
        self.left -= work
        if self.left < 0:
            raise TooMuchWork
        self.end()
        try:
            yield
        finally:
            self.begin()


@contextmanager
def limited_work(limit: int | None = None) -> Iterator[Work]:
    """Stop work that calls more functions than any formula of good will needs; raises `TooMuchWork`.

    SymPy simplifies while it builds, and for some expressions takes exponential time to.  Counting
    calls is the one bound that holds for all of them, on any platform and in any thread.
    """
    work = Work(MAX_WORK if limit is None else limit)
    work.begin()
    try:
        yield work
    except TooMuchWork:
        clear_cache()  # the interrupted work of SymPy is left half known in its cache
        raise
    finally:
        work.end()


def _in_ascii(text: str) -> str:
    """Return the text with everything but plain ASCII escaped."""
    return "".join(char if " " <= char <= "~" else ascii(char)[1:-1] for char in text)


def _syntax_problem(text: str, column: int) -> tuple[int, str, str]:
    """Return the column, the problem and the hint for a text that Python's parser refused."""
    opened: list[tuple[int, str]] = []
    previous = ""
    for token in re.finditer(r"\d[\d.]*(?:[eE][+-]?\d+)?|[A-Za-z_]\w*|[^ ]", text):
        word, place = token[0], token.start()
        is_operand = word[0].isalnum() or word[0] in "_("
        if word.isdigit() and len(word) > MAX_DIGITS:
            return place, f"a number has more than {MAX_DIGITS} digits", ""
        if word in "\"'":
            return place, "a string is not allowed", ""
        if word in "$?`\\":
            return place, f"the character '{word}' is not allowed", ""
        if keyword.iskeyword(word):
            if word not in ("and", "or", "not", "if", "else", "in", "is", "True", "False", "None"):
                return place, f"'{word}' is a reserved word", "use another name"
            is_operand = False
        if word in ("(", "[", "{"):
            opened.append((place, ")]}"["([{".index(word)]))
        elif word in (")", "]", "}") and (not opened or opened.pop()[1] != word):
            return place, f"nothing is open that this '{word}' could close", ""
        follows_operand = previous and (previous[-1].isalnum() or previous[-1] in "_)")
        if is_operand and follows_operand and (word != "(" or not previous[0].isalpha()):
            shown = f"{previous[:20]}*{word[:20]}" if previous != ")" and word != "(" else "* for a product"
            return place, "an operator is missing here", f"write {shown}"
        previous = "" if keyword.iskeyword(word) else word
    if opened:
        return opened[-1][0], f"this '{text[opened[-1][0]]}' is never closed", ""
    if text[column : column + 1] == "=":
        return column, "a single = is not a comparison", "write =="
    if not 0 <= column < len(text):
        return len(text), "the formula ends too early", ""
    return column, "this cannot be read as a formula", ""
