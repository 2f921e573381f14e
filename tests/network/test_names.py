"""Names tell nothing: a network is the same under whatever names its author gives.

Networks are derived twice, under plain names and under names that are also those of adjoints, layers, index
letters, sizes, of Python, NumPy and SymPy, and of the generated code; both have to agree in everything.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.errors import SpecificationError
from symbackprop.network.random_data import sample_arrays
from symbackprop.printing.latex import LatexPrinter
from symbackprop.printing.notation import notation_for
from tests.conftest import ROOT
from tests.networks import EQUATIONS
from tests.random_net import random_net

HARD = [
    "N",
    "E1",
    "E_",
    "dE",
    "dx",
    "ds",
    "dds",
    "ddds",
    "dds_",
    "d",
    "dd",
    "dw",
    "ds1",
    "s",
    "s1",
    "x",
    "x0",
    "x1",
    "x2",
    "b1",
    "w",
    "w1",
    "w2",
    "g",
    "m",
    "v",
    "M",
    "V",
    "V_kept",
    "k",
    "i",
    "j",
    "n",
    "n0",
    "n1",
    "h0",
    "t",
    "u",
    "P",
    "K",
    "np",
    "numpy",
    "math",
    "os",
    "sys",
    "json",
    "dtype",
    "self",
    "parameters",
    "samples",
    "rate",
    "scale",
    "one",
    "zero",
    "ones",
    "zeros",
    "work1",
    "mask1",
    "part",
    "part1",
    "change",
    "buffer",
    "weights",
    "with_loss",
    "steps",
    "gradient",
    "gradients",
    "loss",
    "forward",
    "initialize",
    "Trainer",
    "layer",
    "layers",
    "generator",
    "largest",
    "total",
    "total1",
    "difference",
    "offset",
    "exponentials",
    "ARCHITECTURE",
    "PARAMETER_SHAPES",
    "size_a",
    "size_k",
    "learning_rate",
    "momentum",
    "beta1",
    "epsilon",
    "step",
    "len",
    "float",
    "int",
    "range",
    "abs",
    "tuple",
    "slice",
    "type",
    "id",
    "print",
    "list",
    "dict",
    "erf",
    "state",
    "value",
    "result",
    "e",
    "pi",
    "I",
    "S",
    "Q",
    "O",
    "zoo",
    "oo",
    "nan",
    "inf",
    "lambd",
    "lam",
    "eps",
    "eta",
    "ell",
    "delta",
    "sigma",
    "gamma",
    "zeta",
    "beta",
    "alpha",
    "Sum",
    "Symbol",
    "Dummy",
    "l",
    "x_",
    "np_",
]
PLAIN = {
    **EQUATIONS,
    **{
        name: (ROOT / "examples" / f"{name}.net").read_text(encoding="utf-8")
        for name in ("batch_norm", "dense", "embedding", "gated", "max_pooling", "recurrent", "tied_weights")
    },
}

NAMES = """
    input x[n, k]
    target t[n, i]
    parameter w[k, i], v[i]
    size k = 3, i = 2
    s[n, i] = sum(x[n, k]*w[k, i], k)
    {inner}[n, i] = tanh(s[n, i])*v[i]
    y[n, i] = {inner}[n, i] + s[n, i]
    E = mean(sum((y[n, i] - t[n, i])**2, i)/2, n)
    output y
"""
HEADS = """
    input x[n, k]
    target t[n, i]
    parameter w1[k, i], w2[k, i], w3[k, i], w4[k, i]
    h1[n, i] = tanh(sum(x[n, k]*w1[k, i], k))
    h2[n, i] = tanh(sum({two}[n, k]*w2[k, i], k))
    h3[n, i] = tanh(sum({three}[n, k]*w3[k, i], k))
    h4[n, i] = tanh(sum({four}[n, k]*w4[k, i], k))
    y[n, i] = {out}
    E = mean(sum((y[n, i] - t[n, i])**2, i)/2, n)
    output y
"""
DECLARATION = re.compile(r"\s*(?:integer\s+)?(input|target|parameter|constant)\b(.*)")


def names_in(text: str) -> list[str]:
    """Return the names that a text declares or defines, but for the loss."""
    found: list[str] = []
    for line in text.splitlines():
        declared = DECLARATION.match(line)
        parts = re.split(r",(?![^\[(]*[\])])", declared[2]) if declared else [line]
        for part in parts:
            name = re.match(r"\s*([A-Za-z]\w*)\s*(\[[^\]]*\])?\s*(=|$)", part)
            if name and name[1] != "E":
                found.append(name[1])
    return list(dict.fromkeys(found))


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Return a text with other names for its quantities and constants; letters and sizes stay."""

    def line_renamed(line: str) -> str:
        keyword, rest = re.match(
            r"(\s*(?:integer\s+)?(?:input|target|parameter|size|output)\s)?(.*)", line
        ).groups("")  # type: ignore[union-attr]
        if keyword.strip() == "size":
            return line
        return keyword + re.sub(r"\b[A-Za-z]\w*\b(?!\()", lambda m: names.get(m[0], m[0]), rest)

    return "\n".join(map(line_renamed, text.splitlines())) + "\n"


@cache
def network(text: str) -> sb.Network:
    return sb.Network.from_equations(text).with_small_sizes()


def parameters_of(module: Any, plain: Mapping[str, str]) -> dict[str, Any]:
    """Return the same numbers for a parameter whatever it is called."""
    generators = {name: np.random.default_rng(list(plain[name].encode())) for name in module.PARAMETER_SHAPES}
    return {n: generators[n].normal(size=shape) / 2 for n, shape in module.PARAMETER_SHAPES.items()}


def arguments(model: Any, arrays: Mapping[str, Any]) -> tuple[Any, Any]:
    def of(kind: Any) -> Any:
        found = {given.name: arrays[given.name] for given in kind}
        return found if len(kind) > 1 else next(iter(found.values()), None)

    return of(model.inputs), of(model.targets)


def part_of(name: str, known: Mapping[str, str]) -> tuple[str, str]:
    """Return the first name of a quantity, or of the one whose argument it is, and which one that is."""
    if name in known or "_in" not in name:
        return known.get(name, name), ""
    word, underscores, number = re.fullmatch(r"(.*)_in(_*)(\d*)", name).groups()  # type: ignore[union-attr]
    if word + number in known:
        return known[word + number], f"argument{underscores}"
    return known.get(word, word), f"argument{'_' * (int(number) - 1) if number else ''}"


def check_renamed(text: str, names: Mapping[str, str], proves: bool = False) -> None:
    """See that a network under other names has the same steps, derivatives and training, and is printed."""
    plain = network(text)
    back = {new: old for old, new in names.items()}

    sizes = plain.source.sizes
    other = sb.Network.from_equations(renamed(text, names), sizes)
    one, two = sb.derive(plain, optimizer="adam"), sb.derive(other, optimizer="adam")
    theirs_by = {old: old for old in names}
    first_steps = [(s.rule, *part_of(s.target, theirs_by)) for s in one.steps]
    assert [(s.rule, *part_of(s.target, back)) for s in two.steps] == first_steps
    first, second = sb.load(one), sb.load(two)
    arrays = sample_arrays(plain.model, np.random.default_rng(0))
    theirs = arguments(plain.model, arrays)
    ours = arguments(other.model, {names.get(name, name): array for name, array in arrays.items()})
    start = parameters_of(first, {name: name for name in first.PARAMETER_SHAPES})
    mine = {names.get(name, name): value for name, value in start.items()}
    error, derivatives = first.gradients(start, *theirs)
    again, found = second.gradients(mine, *ours)
    np.testing.assert_allclose(again, error, rtol=1e-12)
    for name, value in derivatives.items():
        np.testing.assert_allclose(found[names.get(name, name)], value, rtol=1e-9, atol=1e-12, err_msg=name)
    trainers = first.Trainer(start, batch_size=8), second.Trainer(mine, batch_size=8)
    for _ in range(2):
        np.testing.assert_allclose(trainers[1].step(*ours), trainers[0].step(*theirs), rtol=1e-9)
    for name, value in trainers[0].parameters.items():
        np.testing.assert_allclose(trainers[1].parameters[names.get(name, name)], value, rtol=1e-6, atol=1e-9)
    check_printed(two)
    if proves:
        assert all(verdict.holds for verdict in sb.prove(two))


def check_printed(derivation: sb.Derivation) -> None:
    """See that everything is printed, and that no two quantities look the same."""
    for form in ("text", "latex", "html"):
        assert derivation.document(form)
    system = derivation.system
    assert len({a.name for a in system.adjoints.values()} | set(system.quantities)) == 2 * len(
        system.quantities
    )
    printer = LatexPrinter(notation_for(derivation, "layered"))
    shown = [printer.component(name, ()).text for name in system.quantities]
    assert len(set(shown)) == len(shown), sorted(shown)


def hard_names(seed: int) -> tuple[str, dict[str, str]]:
    """Return a network and hard names for some or all of its quantities and constants."""
    chosen = random.Random(seed)
    text = random_net(seed).text if seed % 3 == 0 else PLAIN[chosen.choice(sorted(PLAIN))]
    names = names_in(text)
    pairs = zip(names, chosen.sample(HARD, len(names)), strict=True)
    share = chosen.choice([0.4, 1])
    found = {old: new if chosen.random() < share else old for old, new in pairs}
    return text, found if len(set(found.values())) == len(found) else dict.fromkeys(names[:1], "ds")


@pytest.mark.parametrize("seed", range(10))
def test_hard_names_change_nothing(seed: int) -> None:
    text, names = hard_names(seed)
    check_renamed(text, names)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10, 200))
def test_hard_names_change_nothing_in_many_networks(seed: int) -> None:
    text, names = hard_names(seed)
    try:
        network(text)
    except SpecificationError:
        pytest.skip("the plain network leaves sizes open that it needs")
    check_renamed(text, names, proves=seed % 4 == 0)


@pytest.mark.parametrize(
    "inner", ["ds", "dds", "dE", "N", "E1", "dx", "x0", "np", "n", "k", "i", "lambd", "_u", "len"]
)
def test_a_quantity_may_have_any_name(inner: str) -> None:
    check_renamed(NAMES.format(inner="inner"), {"inner": inner}, proves=True)


@pytest.mark.parametrize("name", ["_buffers", "architecture", "m", "M", "_x", "np"])
def test_a_constant_may_have_any_name(name: str) -> None:
    scaled = NAMES.format(inner="inner").replace("tanh(s[n, i])", "factor*tanh(s[n, i])")
    check_renamed(scaled.replace("    size k", "    constant factor = 0.5\n    size k"), {"factor": name})


def test_adjoints_of_names_that_look_like_adjoints_are_told_apart() -> None:
    derivation = sb.derive(network(NAMES.format(inner="ds")))
    adjoints = derivation.system.adjoints
    assert (adjoints["s"].of, adjoints["s"].to) == ("E", "s")
    assert len({adjoint.name for adjoint in adjoints.values()}) == len(adjoints)
    assert "ds" not in {adjoint.name for adjoint in adjoints.values()}


def test_whole_numbers_named_like_an_index_are_no_index() -> None:
    text = PLAIN["embedding"]
    letter = re.search(r"integer input (\w+)\[(\w+)", text)
    assert letter is not None
    check_renamed(text, {letter[1]: "i"}, proves=True)


def test_heads_side_by_side_are_no_layers() -> None:
    beside = HEADS.format(two="x", three="x", four="x", out="h1[n, i] + h2[n, i] + h3[n, i] + h4[n, i]")
    derivation = sb.derive(network(beside))
    assert derivation.system.roles == {}
    assert "alike" not in derivation.text()
    assert "ℓ" not in derivation.text()
    assert r"\mathrm{h1}" in derivation.latex()


def test_a_chain_of_the_same_names_is_layers() -> None:
    chain = HEADS.format(two="h1", three="h2", four="h3", out="h4[n, i]")
    derivation = sb.derive(
        network(chain.replace("w1[k, i], w2[k, i]", "w1[k, i], w2[k, i]") + "    size k = 3\n")
    )
    assert {name: role.layer for name, role in derivation.system.roles.items()} == {
        name: layer for layer in (1, 2, 3, 4) for name in (f"h{layer}", f"w{layer}")
    }
    assert "alike" in derivation.text()


def test_the_number_of_samples_gets_another_letter_where_n_is_taken() -> None:
    plain, taken = (sb.derive(network(NAMES.format(inner=name))) for name in ("inner", "N"))
    assert "(1/N)·Σ_n" in plain.text()
    assert "(1/N)·" not in taken.text()
    assert "(1/B)·Σ_n" in taken.text()
