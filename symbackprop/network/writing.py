"""A dense network as a ``.net`` text, from which the same trainer can be generated."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sympy import Expr, Rational

from symbackprop.equations.model import DataArray, Model
from symbackprop.library.activations import ACTIVATIONS
from symbackprop.library.formula import FormulaReader
from symbackprop.network.architecture import Architecture
from symbackprop.network.dense import SMOOTHING, letter_of_layer
from symbackprop.network.functions import activation_of, loss_formula, middle_target, trainable_parameters
from symbackprop.network.network import Network
from symbackprop.network.notation.plain import without_blocks

SAMPLE = "n"
"""The letter of the samples."""


def text_of(network: Network) -> str:
    """Return the equations of a network; those of a file as they stand, with the sizes given beside them.

    In place of the uses of blocks stands what they stand for.
    """
    source = network.source
    if isinstance(source, Architecture):
        lines = list(_Dense(source, network.model).lines())
    else:
        lines = [without_blocks(source.text, source.origin, source.sizes)]
        lines += [f"size {letter} = {number}" for letter, number in source.sizes.items()]
    return "\n".join(lines) + "\n"


class _Dense:
    """Writes a dense network."""

    def __init__(self, network: Architecture, model: Model) -> None:
        self.network = network
        self.model = model
        layers = range(network.depth + 1)
        letters = [letter_of_layer(network.depth - layer) for layer in layers]
        # Sizes are called n0, n1, …, as those of the dense network, where their letters have these numbers.
        named = len(network.layers) > 2 or bool(network.label_smoothing)
        self.letters = [f"{letters[n]}_{n}" for n in layers] if named else letters

    def lines(self) -> Iterator[str]:
        """Yield the lines."""
        last = self.letters[-1]
        yield f"# {self.network.text}: a dense network."
        yield f"input x0[{SAMPLE}, {self.letters[0]}]"
        yield f"target t[{SAMPLE}, {last}]"
        sizes = zip(self.letters, self.network.sizes, strict=True)
        yield "size " + ", ".join(f"{letter} = {units}" for letter, units in sizes)
        for constant in self.model.constants:
            if isinstance(constant.value, tuple):
                yield f"constant {constant.name}[{last}] = ({', '.join(map(repr, constant.value))},)"
            else:
                yield f"constant {constant.name} = {constant.value!r}"
        for number in range(1, self.network.depth + 1):
            yield "parameter " + ", ".join(self._parameters(number))
        yield from self._facts(self.model.targets[0])
        yield ""
        for number in range(1, self.network.depth + 1):
            yield from self._layer(number)
        yield from self._loss()
        yield f"output x{self.network.depth}"

    def _at(self, name: str, *layers: int) -> str:
        return f"{name}[{', '.join((SAMPLE, *(self.letters[layer] for layer in layers)))}]"

    def _weight(self, number: int) -> str:
        return f"w{number}[{self.letters[number - 1]}, {self.letters[number]}]"

    def _parameters(self, number: int) -> Iterator[str]:
        initializer = self.model.initial[f"w{number}"].initializer
        assert initializer is not None
        yield f"{self._weight(number)} = {initializer.name}"
        if self.network.bias:
            yield f"b{number}[{self.letters[number]}]"
        for name in self._trainable(number):
            yield f"{name}{number} = {self.model.initial[f'{name}{number}'].value!r}"

    def _trainable(self, number: int) -> Iterable[str]:
        return trainable_parameters(self.network.layers[number - 1].activation)

    def _facts(self, target: DataArray) -> Iterator[str]:
        read = self._at(target.name, self.network.depth)
        if target.low is not None and target.high is not None:
            yield f"assume {target.low} <= {read} <= {target.high}"
        elif target.low is not None:
            yield f"assume {read} >= {target.low}"
        if target.total is not None:
            yield f"assume sum({read}, {self.letters[-1]}) == {target.total}"

    def _layer(self, number: int) -> Iterator[str]:
        before, own = self.letters[number - 1], number
        product = f"{self._at(f'x{number - 1}', number - 1)}*{self._weight(number)}"
        bias = f" + b{number}[{self.letters[number]}]" if self.network.bias else ""
        yield f"{self._at(f's{number}', own)} = sum({product}, {before}){bias}"
        yield f"{self._at(f'x{number}', own)} = {self._activation(number)}"

    def _activation(self, number: int) -> str:
        """Return the activation of a layer: by name where it has one."""
        text = self.network.layers[number - 1].activation
        if activation_of(text) is not None:
            name, _, given = text.partition("(")
            text = f"{name.strip()}(s, {given}" if given else f"{name}(s)"
        trainable = {name: f"{name}{number}" for name in self._trainable(number)}
        return _rewritten(text, {"s": self._at(f"s{number}", number)}, self.letters[number], trainable)

    def _loss(self) -> Iterator[str]:
        last = self.network.depth
        target = self._at("t", last)
        if self.network.label_smoothing:
            middle = middle_target(self.network.loss, 1)
            share = f"1/size({self.letters[-1]})" if self._has_total() else str(middle)
            name = SMOOTHING.name
            yield f"{self._at('u', last)} = (1 - {name})*{target} + {name}*{share}"
            target = self._at("u", last)
            for fact in self.model.system.facts:
                yield f"assume sum({target}, {self.letters[-1]}) == {fact.value}"
        formula, constants = loss_formula(self.network.loss)
        names = {"x": self._at(f"x{last}", last), "t": target}
        names |= {name: _number(value) for name, value in constants.items()}
        error = _rewritten(formula, names, self.letters[-1], {})
        if self.network.class_weights is not None:
            error = f"c[{self.letters[-1]}]*({error})"
        terms = [f"mean(sum({error}, {self.letters[-1]}), {SAMPLE})", *self._penalties()]
        yield f"E = {_added(terms)}"

    def _has_total(self) -> bool:
        return bool(middle_target(self.network.loss, 3) != middle_target(self.network.loss, 5))

    def _penalties(self) -> Iterator[str]:
        forms = ((self.network.l2, "l2*sum({}**2, {})/2"), (self.network.l1, "l1*sum(abs({}), {})"))
        for coefficient, form in forms:
            for number in range(1, self.network.depth + 1) if coefficient else ():
                letters = f"{self.letters[number - 1]}, {self.letters[number]}"
                yield form.format(self._weight(number), letters)


def _added(terms: Sequence[str]) -> str:
    """Return the sum of terms; of many, halves in brackets, so that nothing is nested deeply."""
    if len(terms) <= 16:
        return " + ".join(terms)
    middle = len(terms) // 2
    return f"({_added(terms[:middle])}) + ({_added(terms[middle:])})"


def _number(value: Expr) -> str:
    """Return a number as it is read back exactly."""
    assert isinstance(value, Rational)
    text = str(float(value))
    if Rational(text) == value and "e" not in text:
        return text.removesuffix(".0")
    return f"({value})"


def _rewritten(text: str, names: Mapping[str, str], letter: str, trainable: Mapping[str, str]) -> str:
    """Return a formula with other names, and with its index in functions of a whole axis.

    The text itself is edited and not printed anew, so that numbers keep all their digits.
    """
    reader = FormulaReader(text, {}, {}, "formula")
    edits: list[tuple[int, int, str]] = []
    for node in ast.walk(reader.tree()):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            edits += _edits_of_call(node, letter, trainable)
        elif isinstance(node, ast.Name) and node.id in names:
            edits.append((node.col_offset, node.col_offset + len(node.id), names[node.id]))
    result = reader.text
    for start, end, new in sorted(edits, reverse=True):
        result = result[:start] + new + result[end:]
    return re.sub(r",\s*\)", ")", result)


def _edits_of_call(
    node: ast.Call, letter: str, trainable: Mapping[str, str]
) -> Iterator[tuple[int, int, str]]:
    """Yield edits (start, end, text) that add to a call of an activation all beside its argument."""
    assert isinstance(node.func, ast.Name)
    activation = ACTIVATIONS.get(node.func.id)
    if activation is None or not node.args or node.args[0].end_col_offset is None:
        return
    behind = node.args[0].end_col_offset
    if activation.is_of_layer:
        yield behind, behind, f", {letter}"
    if activation.trainable:
        end = node.end_col_offset
        assert end is not None
        yield behind, end - 1, "".join(f", {name}={trainable[name]}" for name in activation.parameters)
