"""Stable forms, computed in place of an equation or a result that would overflow or lose its digits.

In goes a derivation, out comes one with its stable forms: numbered steps, equal to the plain ones,
proved and printed like the rest.  A sum of errors is opened by the rules of logarithms; everything else
that is computed component by component is measured, and replaced only where another form is right at
more numbers (``symbackprop.derivation.stable.measure``).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial

from sympy import Add, Basic, Derivative, Expr, Indexed, KroneckerDelta, Mul, Piecewise, Pow, Sum, Symbol

from symbackprop.derivation.stable.forms import Pointwise
from symbackprop.derivation.stable.joining import at
from symbackprop.derivation.stable.logarithms import stable_form
from symbackprop.derivation.stable.measure import best_form, is_good
from symbackprop.derivation.stable.powers import finite_at_zero, is_varying_power
from symbackprop.derivation.stable.sums import SumForms
from symbackprop.equations.indices import canonical, close_sum, open_sum
from symbackprop.equations.letters import Letters
from symbackprop.equations.signature import Signature
from symbackprop.equations.size import expanded_terms
from symbackprop.equations.steps import Derived, Sketch, Step
from symbackprop.equations.system import ZERO, indices_of, name_of

_MANY = 4
"""Uses of a block that have the same forms, whatever comes before."""
_LONGEST = 200
"""Operations up to which an expression, or the definition of a component in it, is looked at."""
_MOST_TERMS = 1000
"""Terms of a definition, multiplied out, up to which it is."""


def with_stable(derivation: Derived) -> Derived:
    """Return ``derivation`` with its stable forms, numbered after its steps."""
    return replace(derivation, stable=tuple(_stable_steps(derivation)))


def _stable_steps(derivation: Derived) -> Iterator[Step]:
    system, stabilizer = derivation.system, _Stabilizer(derivation)
    sums, letters = SumForms(system), Letters(system)
    has_powers = any(is_varying_power(p) for e in system.equations for p in e.rhs.atoms(Pow))
    number = max(derivation.by_number, default=len(system.equations))
    for equation in system.equations:
        opened = stable_form(equation, system)
        if opened is None:
            form = stabilizer.improved(equation.rhs)
        elif stabilizer.is_measured(equation.rhs):
            form = stabilizer.improved(equation.rhs, [opened])
        else:
            form = stabilizer.improved(opened)
        form = sums.best(form, equation.rhs)
        sums.define(equation.lhs, equation.rhs, form)
        stabilizer.define(equation.name, equation.lhs, form, partial(_same, form))
        if form != equation.rhs and canonical(form) != canonical(equation.rhs):
            number += 1
            yield Step(number, equation.name, "stable form", *letters.equation(equation.lhs, form))
    computed = {*derivation.adjoints.values(), *system.parameters}
    for target, found in derivation.steps_to.items():
        steps = [step for step in found if step.number <= derivation.results[target]]
        result, best = steps[-1], cache(partial(stabilizer.improved_result, steps))
        if target in system.definitions:
            stabilizer.define(("adjoint", target), result.lhs, result.rhs, best)
        if target not in computed:
            continue  # looked at as a part of the result that it is written into
        form = sums.best(best(), result.rhs)
        if has_powers:
            form = finite_at_zero(form, system)
        sums.define(result.lhs, result.rhs, form)
        if form != result.rhs and canonical(form) != canonical(result.rhs):
            number += 1
            yield Step(number, target, "stable form", *letters.equation(result.lhs, form))


@dataclass(frozen=True)
class _Definition:
    """How a component is computed from others: as ``plain`` or, in its best form, as ``form()``."""

    component: Expr
    plain: Expr
    form: Callable[[], Expr]

    @property
    def indices(self) -> tuple[Expr, ...]:
        """The indices of the component."""
        return indices_of(self.component)


def _is_letter(read: Expr) -> bool:
    """Whether ``read`` is an index or a size, which may be called as a quantity is."""
    return isinstance(read, Symbol) and bool(read.is_integer)


def _same(form: Expr) -> Expr:
    return form


class _Stabilizer:
    """Finds the best form of expressions, and remembers the definitions computed component by component."""

    def __init__(self, derivation: Derived) -> None:
        self.system = derivation.system
        self.adjoints = {self.system.adjoints[name].name: name for name in derivation.results}
        self.loss = self.system.quantities[self.system.loss].symbol
        self.definitions: dict[object, _Definition] = {}
        self.beside: list[Expr] = []
        """Components computed beside the expression, so that its forms may read them."""
        self.all_free = False
        """Whether every adjoint is taken as it is: only products with it are left."""
        words = self.system.handed_on(_MANY)
        self.handed_on = {name for name, role in self.system.roles.items() if role.word in words}
        """What layers hand on, which is taken as it is: else forms would depend on how many come before."""
        self._good: set[object] = set()
        """The signatures of expressions in their best form: equal layers are measured once."""

    def define(self, key: object, lhs: Expr, plain: Expr, form: Callable[[], Expr]) -> None:
        """Remember a definition under ``key``, ``plain`` or its ``form()``, if computed by component."""
        component = lhs.variables[0] if isinstance(lhs, Derivative) else lhs
        if name_of(component) in self.handed_on:
            return
        if not plain.is_Atom and self.is_measured(plain) and plain.count_ops() <= _LONGEST:
            self.definitions[key] = _Definition(component, plain, form)

    def signature(self, equations: Iterable[tuple[Expr, Expr]]) -> Hashable:
        """Return what is equal for equations that differ in names alone."""
        return _Signature(self).of_all(Sketch(lhs, rhs, {}) for lhs, rhs in equations)

    # ------------------------------------------------------------ taking an expression apart

    def improved(self, expression: Expr, others: Sequence[Expr] = ()) -> Expr:
        """Return ``expression`` with its parts in their best form.

        ``others`` hold other forms of the derivatives in it, which may be better to compute.
        """
        signature = self.signature((ZERO, side) for side in (expression, *others))
        if signature in self._good:
            return expression
        form = self._improved(expression, others)
        if form == expression:
            self._good.add(signature)
        return form

    def improved_result(self, steps: Sequence[Step]) -> Expr:
        """Return the result of the steps to one derivative, with its parts in their best form."""
        *others, result = steps
        before = self.all_free, self.beside
        self.all_free = result.target not in self.system.definitions
        signature = (self.all_free, _Signature(self).of_all(step.sketch for step in steps))
        if signature not in self._good:
            outputs = [step.lhs.expr for step in others if isinstance(step.lhs, Derivative)]
            self.beside = [o for o in outputs if isinstance(o, Indexed)]
            forms = [step.rhs for step in others if step.rule != "chain rule"]
            if self.is_measured(result.rhs):
                forms += self.chained(result, others)
            form = self._improved(result.rhs, forms)
        else:
            form = result.rhs
        if form == result.rhs:
            self._good.add(signature)
        self.all_free, self.beside = before
        return form

    def _improved(self, expression: Expr, others: Sequence[Expr]) -> Expr:
        if isinstance(expression, Sum):
            body, ranges = open_sum(expression)
            improved = self._improved(body, others)
            return expression if improved == body else close_sum(improved, ranges)
        if self.is_measured(expression):
            return self._best(expression, others)
        if isinstance(expression, Piecewise):
            branches = [(self._improved(value, others), condition) for value, condition in expression.args]
            return expression.func(*branches)
        if isinstance(expression, Add):
            return self._improved_terms(expression, others)
        if isinstance(expression, Mul):
            return self._improved_factors(expression, others)
        return expression

    def _improved_terms(self, expression: Add, others: Sequence[Expr]) -> Expr:
        """Improve the factor of each derivative and of each sum."""
        groups: dict[Expr, list[Expr]] = {}
        for term in expression.args:
            carrier = Mul(*[f for f in Mul.make_args(term) if not self.is_measured(f)])
            groups.setdefault(carrier, []).append(term)
        wholes = [(c, Add(*terms)) for c, terms in groups.items()]
        forms = [self._improved_group(carrier, whole, others) for carrier, whole in wholes]
        unchanged = all(form == whole for form, (_, whole) in zip(forms, wholes, strict=True))
        return expression if unchanged else Add(*forms)

    def _improved_group(self, carrier: Expr, whole: Expr, others: Sequence[Expr]) -> Expr:
        if carrier == 1 or not whole.is_Add:
            return self._improved(whole, others)
        coefficient = Add(*[term / carrier for term in whole.args])
        best = self._best(coefficient, others)
        return whole if best == coefficient else self._improved(carrier, others) * best

    def _improved_factors(self, expression: Mul, others: Sequence[Expr]) -> Expr:
        plain = [f for f in expression.args if self.is_measured(f)]
        carriers = [f for f in expression.args if f not in plain]
        improved = [self._best(Mul(*plain), others), *[self._improved(f, others) for f in carriers]]
        return expression if improved == [Mul(*plain), *carriers] else Mul(*improved)

    def _carriers(self, expression: Expr) -> list[Expr]:
        return [read for read in self.reads(expression) if self.is_cotangent(read)]

    def is_cotangent(self, read: Expr) -> bool:
        """Whether ``read`` is a derivative that is not computed from values alone."""
        target = self._differentiated(read)
        return target is not None and self.is_free(target)

    def is_free(self, target: str) -> bool:
        """Whether the adjoint of ``target`` is taken as it is."""
        return self.all_free or ("adjoint", target) not in self.definitions

    def _differentiated(self, read: Expr) -> str | None:
        """Return the quantity whose adjoint ``read`` is, if it is one."""
        if isinstance(read, Derivative):
            return name_of(read.variables[0])
        return None if _is_letter(read) else self.adjoints.get(name_of(read))

    def is_measured(self, expression: Expr) -> bool:
        """Whether the form of the whole ``expression`` is chosen by measuring it."""
        return self._is_pointwise(expression) and not self._carriers(expression)

    def definition_of(self, read: Expr) -> Expr | None:
        """Return how the component ``read`` is computed from other components, if by component."""
        if _is_letter(read):
            return None
        target = self._differentiated(read)
        definition = self.definitions.get(name_of(read) if target is None else ("adjoint", target))
        if definition is None:
            return None
        component = read.variables[0] if isinstance(read, Derivative) else read
        return at(definition.indices, component, definition.form())

    def _is_pointwise(self, expression: Expr) -> bool:
        """Whether each component is computed from one component of everything that is read."""
        if isinstance(expression, (Sum, KroneckerDelta)):
            return False
        if isinstance(expression, Indexed):
            return all(i.is_Symbol or i.is_Integer for i in expression.indices)
        if isinstance(expression, Symbol):
            return not expression.is_integer
        if isinstance(expression, Derivative):
            return expression.expr == self.loss and self._is_pointwise(expression.variables[0])
        return all(self._is_pointwise(argument) for argument in expression.args)

    def reads(self, expression: Expr) -> Iterator[Expr]:
        """Yield the components, derivatives of the loss and constants that are read."""
        if isinstance(expression, (Indexed, Symbol, Derivative)):
            yield expression
        elif isinstance(expression, Sum):
            yield from self.reads(expression.function)
        else:
            for argument in expression.args:
                yield from self.reads(argument)

    def chained(self, result: Step, steps: Sequence[Step]) -> Iterator[Expr]:
        """Yield the chain rule of a result with its local derivatives inserted: as found, closed, and best.

        Automatic differentiation multiplies these as they are; the form of the result must not be worse.
        """
        local: dict[Expr, list[Expr]] = {}
        for step in steps:
            if isinstance(step.lhs, Derivative) and step.lhs.expr != self.loss:
                local.setdefault(step.lhs, []).append(step.rhs)
        best = {lhs: self.improved(forms[-1], forms) for lhs, forms in local.items()}
        for step in steps:
            if step.lhs == result.lhs and step.rhs.atoms(Derivative) & local.keys():
                for each in ({lhs: forms[n] for lhs, forms in local.items()} for n in (0, -1)):
                    yield step.rhs.xreplace(each)
                yield step.rhs.xreplace(best)

    # ------------------------------------------------------------ measuring a part

    def _best(self, expression: Expr, others: Sequence[Expr]) -> Expr:
        if expression.is_Atom or isinstance(expression, Indexed) or expression.count_ops() > _LONGEST:
            return expression
        scalars = _Scalars(self)
        flat = scalars.flat(expression)
        scalars.flat(Add(*self.beside))
        problem = Pointwise(flat, tuple(scalars.definitions.items())).without_free_sums()
        if is_good(problem):
            return expression
        known = {*problem.free, *scalars.definitions}
        further = [scalars.flat(other) for other in others if self.is_measured(other)]
        further = [scalars.written_out(other, known) for other in further]
        further = [other for other in dict.fromkeys(further) if other.free_symbols <= known]
        best = best_form(problem, further)
        return expression if best == problem.expression else best.xreplace(scalars.back)


def _is_inserted(definition: Expr) -> bool:
    """Whether a definition is written into what reads it: SymPy multiplies out its powers in functions."""
    return bool(definition.count_ops() <= _LONGEST) and expanded_terms(definition) <= _MOST_TERMS


class _Signature(Signature):
    """Describes expressions up to the names of what they read, with the definitions of that.

    Expressions of one signature have their best forms in common.
    """

    def __init__(self, stabilizer: _Stabilizer) -> None:
        self.stabilizer = stabilizer
        self.numbers: dict[object, int] = {}
        """The number of each component that is read, in the order of appearance."""
        self._names: Mapping[Basic, Basic] = {}
        """The names of the expression that is described, where they stand for others."""

    def of_all(self, steps: Iterable[Sketch]) -> Hashable:
        """Return the signature of ``steps``."""
        return tuple(self._under(names, side) for *sides, names in steps for side in sides)

    def _under(self, names: Mapping[Basic, Basic], node: Expr) -> Hashable:
        before, self._names = self._names, names
        found = self.of(node)
        self._names = before
        return found

    def named(self, node: Expr) -> Hashable | None:
        """Return the signature of a component, a derivative or a sum; None for any other expression."""
        if isinstance(node, (Indexed, Symbol)):
            return self._read(node)
        if isinstance(node, Derivative):
            of = None if node.expr == self.stabilizer.loss else self.of(node.expr)
            return (of, self._read(node.variables[0], is_adjoint=True))
        if isinstance(node, Sum):
            return (node.func, self.of(node.function))
        return None

    def _read(self, component: Expr, is_adjoint: bool = False) -> Hashable:
        """Return the number of a component; where it is new, its definition, too."""
        names = self._names
        indices = tuple(names.get(i, i) if i.is_Symbol else i.xreplace(names) for i in indices_of(component))
        label = component.base if indices else component
        name = str(names.get(label, label).name)
        target = name if is_adjoint else self.stabilizer.adjoints.get(name)
        key: object = name if target is None else ("adjoint", target)
        if _is_letter(component):
            target, key = None, names.get(component, component)
        if (key, indices) in self.numbers:
            return self.numbers[key, indices]
        number = self.numbers[key, indices] = len(self.numbers)
        plain = all(i.is_Symbol or i.is_Integer for i in indices) if indices else not component.is_integer
        definition = self.stabilizer.definitions.get(key)
        made_of: Hashable = target is not None and self.stabilizer.is_free(target)
        if definition is not None:
            made_of = self._under(dict(zip(definition.indices, indices, strict=True)), definition.plain)
        return (number, plain, target is None, made_of)


@dataclass
class _Scalars:
    """Gives each component that is read a plain symbol, in the order of appearance."""

    stabilizer: _Stabilizer
    symbols: dict[Expr, Symbol] = field(default_factory=dict)
    definitions: dict[Symbol, Expr] = field(default_factory=dict)

    @property
    def back(self) -> dict[Expr, Expr]:
        """Symbol -> component."""
        return {symbol: read for read, symbol in self.symbols.items()}

    def flat(self, expression: Expr) -> Expr:
        """Return ``expression`` in scalars."""
        reads = list(dict.fromkeys(self.stabilizer.reads(expression)))
        return expression.xreplace({read: self._symbol(read) for read in reads})

    def written_out(self, expression: Expr, known: Container[Expr]) -> Expr:
        """Return ``expression`` with the definitions inserted of all symbols that are not ``known``."""
        for symbol, definition in reversed(self.definitions.items()):
            if symbol not in known:
                expression = expression.xreplace({symbol: definition})
        return expression

    def _symbol(self, read: Expr) -> Symbol:
        """Return the symbol of ``read``; the symbols of its definition come before it in ``definitions``."""
        if read not in self.symbols:
            symbol = Symbol(f"_.{len(self.symbols)}", real=True)
            self.symbols[read] = symbol
            definition = self.stabilizer.definition_of(read)
            if definition is not None and _is_inserted(definition):
                self.definitions[symbol] = self.flat(definition)
        return self.symbols[read]
