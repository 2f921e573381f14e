"""Choice of form: a cost order, and the shortest of a few equal forms.

Sums and guards are opaque here: algebra never looks inside, so it can't capture an index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from sympy import (
    Abs,
    Add,
    Dummy,
    Expr,
    Indexed,
    Mul,
    Piecewise,
    PolynomialError,
    Pow,
    Rational,
    Sum,
    cosh,
    count_ops,
    default_sort_key,
    factor_terms,
    fraction,
    preorder_traversal,
    sign,
    sinh,
    tanh,
    together,
)

from symbackprop.derivation.calculus.budget import expand, factor, is_short
from symbackprop.derivation.calculus.kernels import Kernels
from symbackprop.equations.indices import canonical, holds, make_sum, open_sum, reads
from symbackprop.equations.size import expanded_terms
from symbackprop.equations.system import Fact, Quantity, is_size

_MOST_DIGITS = 4_000  # in binary

Cost = tuple[int, int, bool, int, int]


def cost(expression: Expr) -> Cost:
    """Return the cost order: fewer operations, no nested negative powers, a product before a sum."""
    nested = sum(any(_divides(f) for t in a.args for f in Mul.make_args(t)) for a in expression.atoms(Add))
    squares = sum(bool(p.exp.is_Integer and p.exp > 1) for p in expression.atoms(Pow))
    return operations(expression), nested, not expression.is_Mul, squares, _length(expression)


def _length(expression: Expr) -> int:
    """Return how long a form is as text; numbers of thousands of digits are not written."""
    digits = [max(abs(number.p), number.q).bit_length() for number in expression.atoms(Rational)]
    return max(digits) if max(digits, default=0) > _MOST_DIGITS else len(str(expression))


def _divides(factor: Expr) -> bool:
    """Whether a factor is a denominator; a size is none, as a mean may stand in a numerator."""
    return factor.is_Pow and factor.exp.could_extract_minus_sign() and not is_size(factor.base)


def divisors(expression: Expr) -> int:
    """Return how many factors divide something in ``expression``; sizes do not count."""
    return sum(_divides(node) for node in preorder_traversal(expression))


@lru_cache(maxsize=4096)
def operations(expression: Expr) -> int:
    """Return the number of operations, the first part of the cost; a long number counts for several.

    So 1 + 0.134145 s² stays as it is, and is not written as 200000 + 26829 s² over 200000.
    """
    return int(count_ops(expression)) + sum(map(_surplus_digits, expression.atoms(Rational)))


_SHORT_NUMBER = 4  # digits
_MOST_BITS = 1000  # of a number that is written to see how long it is


def _surplus_digits(number: Rational) -> int:
    """Return by how many characters a number is longer than a short one."""
    bits = [int(part).bit_length() for part in (number.p, number.q)]
    if max(bits) > _MOST_BITS:
        return sum(bits) * 3 // 10  # Python writes no number of thousands of digits
    value = float(number)
    written = (
        [repr(value)] if number.q > 1 and Rational(repr(value)) == number else [str(number.p), str(number.q)]
    )
    return sum(max(0, len(part) - _SHORT_NUMBER) for part in written)


def cheapest(forms: Iterable[Expr]) -> Expr:
    """Return the first of the forms with the least cost."""
    forms = list(dict.fromkeys(forms))
    fewest = min(map(operations, forms))
    tied = [form for form in forms if operations(form) == fewest]
    return tied[0] if len(tied) == 1 else min(tied, key=cost)  # all of the cost takes long to work out


@lru_cache(maxsize=4096)
def tidy(expression: Expr) -> Expr:
    """Return the shortest of a few equal forms, with signs as in a textbook: (x - t)/(x (1 - x))."""
    if expression.is_Atom or isinstance(expression, (Indexed, Sum)):
        return expression
    opaque, names = _opaque(expression)
    kernels = Kernels(opaque)
    flat = kernels.flat(opaque)
    candidates = [flat]
    for form in () if all(map(_is_power, Mul.make_args(flat))) else _forms_of(flat):
        try:
            candidates.append(textbook_signs(form(flat)))
        except PolynomialError:  # an expression that is not rational in its parts keeps its form
            continue
    candidates = [kernels.back(c) for c in candidates]
    for name in reversed(names):
        candidates = [c.xreplace(name) for c in candidates]
    return cheapest(candidates)


def _is_power(factor: Expr) -> bool:
    """Whether ``factor`` is a number, a symbol or a power of one: a product of these has one form."""
    base = factor.base if factor.is_Pow and factor.exp.is_Integer and factor.exp.is_positive else factor
    return bool(base.is_Symbol or base.is_Number)


def distributed(expression: Expr) -> Expr:
    """Return ``expression`` with factors multiplied into the sums that divide by them, and nothing else.

    x (1 - x) (a + b (t/x - (1 - t)/(1 - x))) becomes x (1 - x) a + b (t (1 - x) - (1 - t) x), whatever a and
    b are: where multiplying out would take too long, fractions still cancel.
    """
    if isinstance(expression, Add):
        return Add(*[distributed(term) for term in expression.args])
    if not isinstance(expression, Mul):
        return expression
    for total in (f for f in expression.args if isinstance(f, Add)):
        others = [f for f in expression.args if f != total]
        moved = [f for f in others if total.has(1 / f) and not f.is_number]
        if moved:
            rest = Mul(*[f for f in others if f not in moved])
            return distributed(Mul(rest, Add(*[distributed(Mul(*moved, term)) for term in total.args])))
    return expression


def _factor_expanded(expression: Expr) -> Expr:
    return factor_terms(expand(expression))


def _contracted(expression: Expr) -> Expr:
    def contracted(product: Expr) -> Expr:
        for u in sorted({node.args[0] for node in product.atoms(sinh, sign)}, key=default_sort_key):
            product = product.subs({sinh(u) / cosh(u): tanh(u), u * sign(u): Abs(u)})
        return product

    return expression.replace(lambda node: isinstance(node, Mul), contracted)


def contract_products(expression: Expr) -> Expr:
    """Return ``expression`` factored, with tanh(u) for sinh(u)/cosh(u) and |u| for u·sign(u)."""
    shorter = _contracted(expression)
    opaque = {node: Dummy(nonnegative=True) for node in sorted(shorter.atoms(Abs), key=default_sort_key)}
    factored = factor(shorter.xreplace(opaque))  # SymPy would write |s|² as s² on the way
    return factored.xreplace({symbol: node for node, symbol in opaque.items()})


def _grouped(expression: Expr) -> Expr:
    """Return one fraction for each denominator, with sizes left where they divide: a + (b - c/n)/r."""
    groups: dict[Expr, list[Expr]] = {}
    for term in Add.make_args(expand(expression)):
        below = Mul(*[f for f in Mul.make_args(fraction(term)[1]) if not f.is_number and not is_size(f)])
        groups.setdefault(below, []).append(term * below)
    return Add(*[Mul(Add(*map(factor, _related(terms))), 1 / below) for below, terms in groups.items()])


def _related(terms: Sequence[Expr]) -> list[Expr]:
    """Return the sums of those terms that have something in common, sizes and indices aside."""
    groups: list[tuple[set[Expr], Expr]] = []
    for term in terms:
        own = {symbol for symbol in term.free_symbols if not symbol.is_integer}
        meeting = [group for group in groups if group[0] & own]
        groups = [group for group in groups if not group[0] & own]
        groups.append(
            (own.union(*[names for names, _ in meeting]), Add(term, *[total for _, total in meeting]))
        )
    return [total for _, total in groups]


_FORMS: tuple[Callable[[Expr], Expr], ...] = (
    together,
    _factor_expanded,
    _grouped,
    _contracted,
    contract_products,
)
_LINEAR_FORMS: tuple[Callable[[Expr], Expr], ...] = (expand, _factor_expanded, distributed)
_MOST_TERMS = 400


def _forms_of(expression: Expr) -> tuple[Callable[[Expr], Expr], ...]:
    """Return the ways to other forms that end in reasonable time."""
    if is_short(expression):
        return _FORMS
    return _LINEAR_FORMS if expanded_terms(expression) <= _MOST_TERMS else (distributed,)


def _opaque(expression: Expr) -> tuple[Expr, list[dict[Expr, Expr]]]:
    """Return ``expression`` with outermost sums, then guards, as symbols, and the ways back."""
    ways_back = []
    for kind in (Sum, Piecewise):
        nodes = sorted(_outermost(expression, kind), key=default_sort_key)
        alike = {node: canonical(node) for node in nodes}  # sums that differ in letters alone are one
        symbols = {
            form: Dummy(f"opaque{n}", real=True) for n, form in enumerate(dict.fromkeys(alike.values()))
        }
        expression = expression.xreplace({node: symbols[form] for node, form in alike.items()})
        ways_back.append({symbols[alike[node]]: node for node in reversed(nodes)})
    return expression, ways_back


def _outermost(expression: Expr, kind: type) -> set[Expr]:
    if isinstance(expression, kind):
        return {expression}
    if not expression.has(kind):
        return set()
    return set().union(*[_outermost(argument, kind) for argument in expression.args])


def textbook_signs(expression: Expr) -> Expr:
    """Return an equal product with 1 - x and x - t rather than their negatives where signs allow."""
    coefficient, product = expression.as_coeff_Mul()
    sign = -1 if coefficient < 0 else 1
    factors: list[tuple[Expr, Expr]] = []
    for base, exponent in (f.as_base_exp() for f in Mul.make_args(product)):
        if isinstance(base, Add) and exponent.is_Integer:
            constant, rest = base.as_coeff_Add()
            leading_minus = all(a.could_extract_minus_sign() for a in rest.args or (rest,))
            if constant < 0 or (constant == 0 and leading_minus):
                base = Add(*[-a for a in base.args])
                sign = -sign if exponent % 2 else sign
        factors.append((base, exponent))
    differences = [n for n, (base, exponent) in enumerate(factors) if _is_difference(base, exponent)]
    if sign < 0 and differences:
        base, exponent = factors[differences[0]]
        factors[differences[0]] = (Add(*[-a for a in base.args]), exponent)
        sign = 1
    return sign * abs(coefficient) * Mul(*[Pow(base, exponent) for base, exponent in factors])


def _is_difference(base: Expr, exponent: Expr) -> bool:
    """Whether the factor is a difference such as x - t, whose sign can be turned by turning it."""
    two_terms = isinstance(base, Add) and len(base.args) == 2
    return two_terms and exponent in (1, -1) and base.as_coeff_Add()[0] == 0


def tidy_sums(expression: Expr, facts: Sequence[Fact] = ()) -> Expr:
    """Tidy from the inside out: each body, then factors and terms out of its sum, then facts."""
    if isinstance(expression, Sum):
        return _tidy_sum(expression, tuple(facts))
    if not expression.has(Sum):
        return expression
    return expression.func(*[tidy_sums(argument, facts) for argument in expression.args])


@lru_cache(maxsize=4096)
def _tidy_sum(expression: Sum, facts: tuple[Fact, ...]) -> Expr:
    body, ranges = open_sum(expression)
    body = tidy(tidy_sums(body, facts))
    forms = [make_sum(body, ranges), make_sum(expand(body), ranges)]
    return cheapest(use_facts(form, facts) for form in forms)


def use_facts(expression: Expr, facts: Sequence[Fact]) -> Expr:
    """Return ``expression`` with each sum that a fact states replaced by its value."""
    if not facts:
        return expression
    for fact in facts:
        expression = expression.replace(
            lambda node: isinstance(node, Sum), lambda node, fact=fact: _apply_fact(node, fact)
        )
    return expression


def _apply_fact(node: Sum, fact: Fact) -> Expr:
    if len(node.limits) != 1:
        return node
    body, ((i, n),) = open_sum(node)
    if not isinstance(body, Indexed) or body.base != fact.component.base:
        return node
    others = [a for axis, a in enumerate(body.indices) if axis != fact.axis]
    whole_axis = body.indices[fact.axis] == i and n == body.base.shape[fact.axis]
    if whole_axis and not any(i in a.free_symbols for a in others):
        return fact.value
    return node


def occurrences(expression: Expr, quantity: Quantity) -> int:
    """Return how often ``quantity`` is read in the tree of ``expression``; a sum counts as twice.

    Writing an adjoint into a sum would evaluate it anew for every term.
    """
    if reads(expression, quantity):
        return 1
    if not holds(expression, quantity):
        return 0
    inside = sum(occurrences(a, quantity) for a in expression.args)
    return 2 * inside if isinstance(expression, Sum) else inside
