"""Forms that are tried last, where no shorter one is right everywhere: they are longer, or cost exponentials.

What is left of 1 when an output is taken from it is written out, as 1/(1 + exp(s)) for 1 - x with a sigmoid
x; |u| is decided by the sign of u; log(1 + exp(z)), which is 0 where exp(z) is no number any more, divides on
its own; and a product is 0 where a factor or a root below it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from sympy import Abs, Add, Expr, Mul, Piecewise, PolynomialError, Pow, Symbol, exp, log, sign, together

from symbackprop.arrays.exponentials import exponential_less_one, softplus_argument
from symbackprop.derivation.calculus.algebra import distributed, textbook_signs
from symbackprop.derivation.calculus.budget import expand, factor, is_short
from symbackprop.derivation.calculus.exponentials import HYPERBOLIC, absorbed
from symbackprop.derivation.stable.logarithms import normal_logarithms, open_logarithm
from symbackprop.derivation.stable.powers import zero_where

Definitions = tuple[tuple[Symbol, Expr], ...]


def rarer_forms(form: Expr, whole: Expr, definitions: Definitions) -> Iterator[Expr]:
    """Yield other forms of ``form``, which is ``whole`` where the definitions are written out."""
    apart = distributed(_polynomials_factored(form, definitions))
    for each in dict.fromkeys((form, *(with_complements(f, definitions) for f in (form, apart)))):
        for rest in dict.fromkeys((each, absorbed(distributed(each)))):
            opened = rest.replace(lambda node: isinstance(node, log), lambda node: _opened(node.args[0]))
            yield rest
            yield opened
            yield with_zeros(opened)
    if whole.has(Abs):
        yield by_sign_of_arguments(whole)
    if any(map(_divides_by_softplus, whole.atoms(Pow))):
        yield factored_below(whole)
        yield factored_below(expand(whole, deep=False))


# ---------------------------------------------------------------- what is left of 1


def with_complements(form: Expr, definitions: Definitions) -> Expr:
    """Return ``form`` with c - x written out for each defined x of which that is a product."""
    for symbol, definition in definitions:
        form = _at_polynomials(form, symbol, partial(_complements, symbol=symbol, definition=definition))
    return form


def _polynomials_factored(form: Expr, definitions: Definitions) -> Expr:
    """Return ``form`` with 1 - x² as (1 - x) (1 + x) for each defined x."""
    for symbol, _ in definitions:
        form = _at_polynomials(form, symbol, lambda node: textbook_signs(factor(node)))
    return form


def _at_polynomials(form: Expr, symbol: Symbol, change: Callable[[Expr], Expr]) -> Expr:
    """Return ``form`` with each sum changed that is a polynomial in ``symbol``."""
    return form.replace(
        lambda node: isinstance(node, Add) and node.free_symbols == {symbol} and node.is_polynomial(symbol),
        change,
    )


def _complements(node: Expr, symbol: Symbol, definition: Expr) -> Expr:
    parts = [_complement(part, symbol, definition) for part in Mul.make_args(factor(node))]
    known = [part for part in parts if part is not None]
    return Mul(*known) if len(known) == len(parts) else node


def _complement(part: Expr, symbol: Symbol, definition: Expr) -> Expr | None:
    """Return a factor of a polynomial in ``symbol`` as a product of what it is; None where it is none."""
    base, exponent = part.as_base_exp()
    if not base.is_Add:
        return part
    written = base.xreplace({symbol: definition})
    if exponential_less_one(written) is not None:
        return written**exponent
    try:
        whole = factor(together(written.rewrite(HYPERBOLIC, exp)))
    except (PolynomialError, NotImplementedError):
        return None
    above = [f for f in Mul.make_args(whole) if not f.as_base_exp()[1].could_extract_minus_sign()]
    if not any(f.as_base_exp()[0].is_Add for f in above):
        return absorbed(whole) ** exponent
    return _complement_and_more(base, symbol, definition, exponent)


def _complement_and_more(base: Expr, symbol: Symbol, definition: Expr, exponent: Expr) -> Expr | None:
    """Return a power of 1 - x + ε, of which SymPy makes one number less x, with 1 - x written out."""
    number, rest = base.as_coeff_Add()
    more = number + rest.coeff(symbol)
    if more == 0 or 2 * abs(more) > abs(number) or rest != rest.coeff(symbol) * symbol:
        return None
    left = _complement(base - more, symbol, definition)
    return None if left is None else (left + more) ** exponent


def _opened(argument: Expr) -> Expr:
    return normal_logarithms(open_logarithm(argument)) if argument.has(exp) else log(argument)


# ---------------------------------------------------------------- absolute values


def by_sign_of_arguments(form: Expr) -> Expr:
    """Return ``form`` by cases of the sign of the argument of an absolute value, each without it."""
    for argument in sorted({node.args[0] for node in form.atoms(Abs)}, key=str):
        cases = [_reduced(form.xreplace({Abs(argument): s * argument, sign(argument): s})) for s in (1, -1)]
        form = Piecewise((cases[0], argument > 0), (cases[1], True))
    return form


def _reduced(form: Expr) -> Expr:
    """Return ``form`` with what cancels within a sum or a product cancelled."""

    def reduced(node: Expr) -> Expr:
        try:
            return factor(together(node)) if is_short(node) else node
        except (PolynomialError, NotImplementedError):
            return node

    return form.replace(lambda node: isinstance(node, (Add, Mul, Pow)), reduced)


# ---------------------------------------------------------------- softplus below


def factored_below(form: Expr) -> Expr:
    """Return ``form`` with what each term divides by factored.

    There is an operation for a/((1 + exp(-z)) log(1 + exp(z))).
    """
    terms = [each for term in Add.make_args(form) for each in _spread(term)]
    return Add(*[absorbed(Mul(*map(_factored, Mul.make_args(term)))) for term in terms])


def _spread(term: Expr) -> list[Expr]:
    """Return the terms of a product, multiplied out into what divides by log(1 + exp(z))."""
    for total in (f for f in Mul.make_args(term) if isinstance(f, Add)):
        if any(map(_divides_by_softplus, total.atoms(Pow))):
            rest = Mul(*[f for f in Mul.make_args(term) if f is not total])
            return [each for part in total.args for each in _spread(rest * part)]
    return [term]


def _divides_by_softplus(power: Expr) -> bool:
    """Whether log(1 + exp(z)) is divided by, or something with it as a factor or in a term."""
    base, exponent = power.as_base_exp()
    inner = {base, *(f for term in Add.make_args(base) for f in Mul.make_args(term))}
    return exponent.could_extract_minus_sign() and any(softplus_argument(f) is not None for f in inner)


def _factored(part: Expr) -> Expr:
    base, exponent = part.as_base_exp()
    return factor(base) ** exponent if base.is_Add and exponent.could_extract_minus_sign() else part


# ---------------------------------------------------------------- what is 0 whatever it is multiplied with


def with_zeros(form: Expr) -> Expr:
    """Return ``form`` with products that are 0 where a factor is, whatever the others are.

    1 - tanh(u)² is 0 where s³ is inf.  What is divided by a root tends to 0 with it.
    """
    return zero_where(form, _deciding)


def _deciding(node: Expr) -> Expr | None:
    """Return what decides whether a product is 0: what the root is of that divides, or a sum with tanh."""
    if not isinstance(node, Mul):
        return None
    roots = [f.base for f in node.args if f.is_Pow and f.exp.is_negative and not f.exp.is_Integer]
    sums = [f for f in node.args if isinstance(f, Add) and f.has(*HYPERBOLIC)]
    return next((base for base in (*roots, *sums) if base.free_symbols), None)
