"""What is said beside given quantities: values of sizes and constants, and other names of parameters."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from sympy import Symbol, nsimplify, sympify

from symbackprop.document.formats import Format
from symbackprop.equations.model import DISTRIBUTIONS, Noise
from symbackprop.equations.steps import Derived
from symbackprop.equations.system import EquationSystem
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


def numbers_of(noise: Noise, style: Format) -> dict[str, str]:
    """Return the numbers of a noise's distribution, by what they are."""
    shown = [style.inline(style.printer.show(nsimplify(number, rational=True))) for number in noise.numbers]
    return dict(zip(DISTRIBUTIONS[noise.distribution], shown, strict=True))


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
