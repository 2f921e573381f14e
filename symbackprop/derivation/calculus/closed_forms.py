"""The derivative of y = f(s) written through the output y: the slope of sigmoid is y (1 - y).

Found by algebra, not by a table: y - f and D - f' are polynomials in the one kernel (exp(s), ...) that
both hold; eliminating it leaves D as a function of y.  A candidate is accepted only if substituting
y = f gives back f' exactly, if its denominator is free of y and s (no new singularity, as y/s would be
at s = 0), and if it is no longer than f'.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from sympy import (
    Add,
    Dummy,
    Expr,
    Function,
    Indexed,
    Mul,
    Piecewise,
    Poly,
    PolynomialError,
    Sum,
    Symbol,
    collect,
    cosh,
    coth,
    csch,
    exp,
    factor_list,
    fraction,
    groebner,
    numer,
    resultant,
    sech,
    sinh,
    tanh,
    together,
)
from sympy.polys.polyerrors import CoercionFailed
from sympy.polys.polyutils import parallel_dict_from_expr

from symbackprop.derivation.calculus.algebra import (
    cheapest,
    contract_products,
    operations,
    textbook_signs,
)
from symbackprop.derivation.calculus.budget import cancel, expand, factor, is_short
from symbackprop.derivation.calculus.exponentials import absorbed
from symbackprop.derivation.calculus.kernels import Kernels
from symbackprop.derivation.calculus.slopes import is_high_power, slope_of
from symbackprop.equations.indices import canonical, rename
from symbackprop.equations.system import Equation, indices_of

_HYPERBOLIC = (tanh, sinh, cosh, coth, sech, csch)
_HIGHEST_DEGREE = 16  # a resultant of higher degrees can take minutes, and is no shorter form
_MANY_SYMBOLS = 4  # a Groebner basis in more symbols than that can take minutes
_NOT_RATIONAL = (PolynomialError, CoercionFailed, NotImplementedError)


def through_output(slope: Expr, equation: Equation) -> Expr:
    """Return ``slope``, a derivative of the right-hand side of ``equation``, in its shortest form.

    The form may read the left-hand side, also at other indices (softmax: x_i x_k).
    """
    if slope.is_number:
        return slope
    guards = [factor for factor in Mul.make_args(slope) if _is_plain_choice(factor)]
    if slope.is_Mul and guards:
        rest = Mul(*[factor for factor in slope.args if factor not in guards])
        return Mul(through_output(rest, equation), *guards)
    slope, rhs = (canonical(_branches_outside(side)) for side in (slope, equation.rhs))
    names: dict[Expr, Symbol] = {}
    instances = _instances(slope, Equation(equation.lhs, rhs))
    if len(instances) > 1 or _has_several_kernels(rhs):
        coupled = _through_instances(slope, instances)
        if coupled is not None:
            return coupled
    function, flat_slope = _flatten(rhs, names), _flatten(slope, names)
    back = {symbol: node for node, symbol in names.items()}
    return _through_one_output(function, flat_slope).xreplace({**back, _OUTPUT: equation.lhs})


def _is_plain_choice(factor: Expr) -> bool:
    """Whether a factor is a choice in which nothing but sums and products stands, such as a padded read."""
    return isinstance(factor, Piecewise) and factor.atoms(Function) <= factor.atoms(Piecewise)


def _branches_outside(expression: Expr) -> Expr:
    """Return ``expression`` with the exponential of a choice as a choice of exponentials."""
    return expression.replace(
        lambda node: isinstance(node, exp) and isinstance(node.args[0], Piecewise),
        lambda node: Piecewise(*[(exp(value), condition) for value, condition in node.args[0].args]),
    )


_OUTPUT = Symbol("_.output", real=True)


def _flatten(expression: Expr, names: dict[Expr, Symbol]) -> Expr:
    """Return ``expression`` with sums, components, irrational numbers and high powers as symbols.

    ``names`` holds the symbols.
    """
    unwieldy = (expression.is_number and not expression.is_Rational) or is_high_power(expression)
    if isinstance(expression, (Sum, Indexed)) or unwieldy:
        if expression not in names:
            names[expression] = Symbol(f"_.part{len(names)}", real=True)
        return names[expression]
    if not expression.args:
        return expression
    return expression.func(*[_flatten(argument, names) for argument in expression.args])


def _rational(expression: Expr) -> Expr:
    """Return ``expression`` over one denominator, with powers of exp as powers of one kernel."""
    expression = _in_exponentials(expression)
    hints = dict.fromkeys(("mul", "power_base", "log", "multinomial", "basic"), False)
    return together(expand(expression, power_exp=True, **hints))


def _in_exponentials(expression: Expr) -> Expr:
    return expression.rewrite(list(_HYPERBOLIC), exp) if expression.has(*_HYPERBOLIC) else expression


def _polynomials(*expressions: Expr) -> tuple[list[Expr], list[Expr]]:
    numerators = [expand(numer(_rational(e))) for e in expressions]
    _, generators = parallel_dict_from_expr(numerators)
    return numerators, list(generators)


# ---------------------------------------------------------------- one output: sigmoid, tanh, elu …


@lru_cache(maxsize=1024)
def _through_one_output(function: Expr, slope: Expr) -> Expr:
    if isinstance(slope, Piecewise):
        return Piecewise(*_through_branches(function, slope))
    best = _shortest(slope)
    if slope.is_number:
        return slope
    for candidate in _eliminations(function, slope):
        candidate = _shortest(candidate)
        denominator = fraction(together(candidate))[1]
        if denominator.free_symbols & ({_OUTPUT} | function.free_symbols):
            continue
        shorter = operations(candidate) <= operations(best)
        if candidate.has(_OUTPUT) and shorter and _equals(candidate, function, slope):
            best = candidate
    for candidate in _by_factors(function):
        if operations(candidate) < operations(best) and _equals(candidate, function, slope):
            best = candidate
    return best


def _through_branches(function: Expr, slope: Piecewise) -> Iterator[tuple[Expr, Expr]]:
    branches = function.args if isinstance(function, Piecewise) else ()
    for n, (value, condition) in enumerate(slope.args):
        same = n < len(branches) and branches[n][1] == condition
        yield (_through_one_output(branches[n][0], value) if same else _shortest(value)), condition


def _shortest(expression: Expr) -> Expr:
    """Return the shortest rational form that brings in no new function."""
    kinds = {type(a) for a in expression.atoms(Function)}
    forms = [expression]
    for form in (factor, cancel, together, contract_products) if is_short(expression) else ():
        try:
            forms.append(textbook_signs(form(expression)))
        except _NOT_RATIONAL:  # keeps its form
            continue
    best = cheapest(f for f in forms if {type(a) for a in f.atoms(Function)} <= kinds)
    without_overflow = absorbed(best)
    return without_overflow if operations(without_overflow) <= operations(best) else best


def _eliminations(function: Expr, slope: Expr) -> Iterator[Expr]:
    """Yield candidates for ``slope`` as a function of the output; none where there is no way."""
    function, slope = _in_exponentials(function), _in_exponentials(slope)
    kernels = Kernels(function, slope)
    function, slope = kernels.flat(function), kernels.flat(slope)
    if is_short(function) and is_short(slope):
        yield from map(kernels.back, _eliminations_of_flat(function, slope))


def _eliminations_of_flat(function: Expr, slope: Expr) -> Iterator[Expr]:
    unknown = Dummy("slope")
    try:
        (relation, goal), generators = _polynomials(_OUTPUT - function, unknown - slope)
    except _NOT_RATIONAL:
        return
    kernels = [g for g in generators if not g.is_Symbol]
    symbols = [g for g in generators if g.is_Symbol and g not in (_OUTPUT, unknown)]
    if len(kernels) > 1 or len(symbols) > _MANY_SYMBOLS:
        return
    # Between symbols alone a resultant is one of polynomials, which is many times faster.
    plain = {g: g if g.is_Symbol else Dummy("kernel") for g in generators}
    first, second = (Poly(e, *generators).as_expr(*plain.values()) for e in (relation, goal))
    back = {symbol: g for g, symbol in plain.items()}
    for candidate in _by_resultant(first, second, [plain[g] for g in kernels + symbols], unknown):
        yield candidate.xreplace(back)
    yield from _by_normal_form(relation, slope, kernels + symbols)


def _by_resultant(relation: Expr, goal: Expr, variables: list[Symbol], unknown: Dummy) -> Iterator[Expr]:
    """Eliminate one variable after the other; a factor linear in the unknown slope gives it."""
    for variable in variables:
        try:
            first, second = Poly(relation, variable), Poly(goal, variable)
            if second.degree() <= 0:
                continue
            if (
                first.degree() * second.degree() > _HIGHEST_DEGREE
                or _resultant_work(first, second) > _MOST_WORK
            ):
                return
            goal = resultant(first, second)
            goal = goal.as_expr() if hasattr(goal, "as_expr") else goal
            if goal == 0 or not is_short(goal):
                return
            for part, _ in factor_list(goal)[1]:
                if Poly(part, unknown).degree() == 1:
                    slope, constant = Poly(part, unknown).all_coeffs()
                    yield cancel(-constant / slope)
        except _NOT_RATIONAL:
            return


_MOST_WORK = 2000
"""The work of a resultant up to which it is taken: those of the library's functions take 300 at most."""


def _resultant_work(first: Poly, second: Poly) -> int:
    """Return how much there is to do for a resultant: the terms of both, times the rows of its matrix."""
    polynomials = (p.as_expr() for p in (first, second))
    terms = [len(Poly(p, *p.free_symbols).terms()) for p in polynomials]
    return int(terms[0] * terms[1] * (first.degree() + second.degree()))


def _by_normal_form(relation: Expr, slope: Expr, variables: list[Expr]) -> Iterator[Expr]:
    """Reduce the slope modulo the relation, the output smallest (finds s·z -> y)."""
    try:
        basis = groebner([relation], *variables, _OUTPUT, order="lex")
        numerator, denominator = fraction(_rational(slope))
        if denominator.is_number:
            yield expand(basis.reduce(numerator)[1]) / denominator
    except _NOT_RATIONAL:
        return


def _by_factors(function: Expr) -> Iterator[Expr]:
    """Yield derivatives by the rule of products, each factor's own through that factor.

    For y = s·z with z = 1/(1 + exp(-s)) it is z + s·z·(1 - z) = z + y·(1 - z); nothing is divided by.
    """
    coefficient, product = function.as_coeff_Mul()
    factors = product.args if product.is_Mul else ()
    for variable in sorted(function.free_symbols, key=str) if len(factors) > 1 else ():
        names = [f if f.is_Symbol else Dummy(f"factor{n}", real=True) for n, f in enumerate(factors)]
        slopes = [
            _through_one_output(f, slope_of(f, variable)).xreplace({_OUTPUT: name})
            for f, name in zip(factors, names, strict=True)
        ]
        terms = [slope * Mul(*names[:n], *names[n + 1 :]) for n, slope in enumerate(slopes)]
        total = coefficient * expand(Add(*terms)).subs(Mul(*names), _OUTPUT / coefficient)
        back = dict(zip(names, factors, strict=True))
        for name in names:
            yield collect(total, name).xreplace(back)


def _equals(candidate: Expr, function: Expr, slope: Expr) -> bool:
    try:
        return bool(cancel(_rational(candidate.xreplace({_OUTPUT: function}) - slope)) == 0)
    except _NOT_RATIONAL:
        return False


# ---------------------------------------------------------------- coupled outputs: softmax


def _instances(slope: Expr, equation: Equation) -> list[Equation]:
    """Return the equation at every index at which ``slope`` reads a quantity of its right-hand side."""
    free = [i for i in equation.indices if i.is_Symbol]
    found = {tuple(free): equation}
    patterns = [p for p in equation.rhs.atoms(Indexed) if set(free) <= set(p.indices)]
    for read in sorted(slope.atoms(Indexed), key=str):
        for pattern in sorted(patterns, key=str):
            if read.base != pattern.base:
                continue
            pairs = zip(pattern.indices, indices_of(read), strict=True)
            mapping = {p: r for p, r in pairs if p in free}
            key = tuple(mapping.get(i, i) for i in free)
            found[key] = Equation(rename(equation.lhs, mapping), rename(equation.rhs, mapping))
    return list(found.values())


def _has_several_kernels(function: Expr) -> bool:
    """Whether ``function`` is an exponential of a difference, which is a product of two."""
    return any(isinstance(node.args[0], Add) for node in function.atoms(exp))


def _through_instances(slope: Expr, instances: list[Equation]) -> Expr | None:
    """Solve each instance for its kernel and insert: exp(s_k) = x_k Z, so exp(s_i) exp(s_k)/Z² = x_i x_k."""
    names: dict[Expr, Symbol] = {}
    flat = _in_exponentials(_flatten(slope, names))
    functions = [_in_exponentials(_flatten(canonical(each.rhs), names)) for each in instances]
    exponents = Kernels(flat, *functions)
    if not all(is_short(each) for each in (flat, *functions)):
        return None
    flat = _rational(exponents.flat(flat))
    solutions: dict[Expr, Expr] = {}
    for equation, function in zip(instances, functions, strict=True):
        output = _flatten(equation.lhs, names)
        try:
            (relation,), generators = _polynomials(output - exponents.flat(function))
        except _NOT_RATIONAL:
            continue
        own = {names[part] for part in names if set(equation.indices) <= set(indices_of(part))}
        kernels = [g for g in generators if not g.is_Symbol and _is_linear(relation, g)]
        # its own before a common one
        for g in sorted(kernels, key=lambda g: not exponents.back(g).free_symbols & own)[:1]:
            factor_of_g, rest = Poly(relation, g).all_coeffs()
            solution = cancel(-rest / factor_of_g)
            if solution.has(output):  # else the output is the same whatever the kernel is
                solutions[g] = solution
    if not solutions:
        return None
    result = cancel(flat.xreplace(solutions))
    if fraction(together(result))[1].free_symbols or operations(result) > operations(_shortest(flat)):
        return None
    back = {symbol: node for node, symbol in names.items()}
    return exponents.back(textbook_signs(factor(result))).xreplace(back)


def _is_linear(relation: Expr, kernel: Expr) -> bool:
    try:
        return bool(Poly(relation, kernel).degree() == 1)
    except PolynomialError:  # it stands inside of another kernel, too
        return False
