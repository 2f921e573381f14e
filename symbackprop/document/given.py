"""What is said beside given quantities: values of sizes and constants, and other names of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby

from sympy import Expr, Symbol, nsimplify, sympify

from symbackprop.document.formats import Format
from symbackprop.equations.model import Noise
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import EquationSystem
from symbackprop.library.distributions import DISTRIBUTIONS
from symbackprop.printing.layers import LEAST


def values_shown(derivation: Derived, style: Format) -> list[str]:
    """Return the sizes of a network, and its coefficients of regularisation, with their values."""
    model = derivation.model
    if model is None:
        return []
    values: list[tuple[str, float]] = [*model.sizes.items()]
    values += [(c.name, c.value) for c in model.constants if not isinstance(c.value, tuple)]
    show, found = style.printer.show, []
    for value, group in groupby(values, key=lambda pair: pair[1]):
        names = [show(Symbol(name)) for name, _ in group]
        names = names if len(names) <= LEAST else [names[0], style.dots, names[-1]]
        found.append(style.inline(" = ".join([*names, show(sympify(value))])))
    return found


def changing(derivation: Derived) -> tuple[list[str], dict[str, Noise]]:
    """Return the states, and the noise by name, that the equations of training read."""
    model, quantities = derivation.model, derivation.system.quantities
    if model is None:
        return [], {}
    noise = {each.name: each for each in model.noise if each.name in quantities}
    return [name for name in model.states if name in quantities], noise


def drawn(
    noise: Mapping[str, Noise], at: Callable[[str], Expr], style: Format
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the sentence on each noise and what it says: a component, and the numbers of the distribution."""
    for name, each in noise.items():
        numbers = [nsimplify(number, rational=True) for number in each.numbers]
        names = DISTRIBUTIONS[each.distribution].numbers
        said = {"quantity": at(name), **dict(zip(names, numbers, strict=True))}
        shown = {key: style.inline(style.printer.show(value)) for key, value in said.items()}
        yield f"drawn.{each.distribution}", shown


def names_elsewhere(system: EquationSystem) -> Iterator[tuple[str, list[str]]]:
    """Yield a parameter of a layer whose name counts the uses of a block inside, and all its names."""
    named: dict[str, list[str]] = {}
    for name in system.parameters:
        role = system.roles.get(name)
        if role is not None and role.name != name:
            named.setdefault(role.word, []).append(name)
    for names in named.values():
        names.sort(key=lambda name: system.roles[name].layer)
        yield names[0], names if len(names) <= LEAST else [*names[:2], "…", names[-1]]
