"""The text of a dense network, sizes with activations and the options beside them, parsed and validated."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import groupby
from numbers import Real
from typing import Any

from symbackprop.equations.model import Layer
from symbackprop.errors import SpecificationError, excerpt, require_flag, require_text, suggestion
from symbackprop.library.activations import ACTIVATION_ALIASES, ACTIVATIONS
from symbackprop.library.initializers import FAMILIES, INITIALIZERS
from symbackprop.library.losses import LOSS_ALIASES, LOSSES
from symbackprop.network.functions import read_activation, read_loss

MAX_UNITS = 10**7
"""Units of one layer beyond which a size is taken for a slip."""
MAX_LAYERS = 10**5
"""Layers beyond which an architecture is taken for a slip."""
MAX_PARAMETERS = 10**9
"""Parameters beyond which an architecture is taken for a slip."""

_SIZE = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True)
class Option:
    """An option beside layer sizes: the argument of ``Network`` that it gives, and how its text is read.

    One whose text nothing reads stands alone, for False.
    """

    argument: str
    read: Callable[[str], object] | None = None
    write: Callable[[Any], str] = repr

    def text(self, name: str, value: object) -> str:
        """Return the option as it is written."""
        return name if self.read is None else f"{name} {self.write(value)}"


@dataclass(frozen=True)
class Architecture:
    """A dense network as its text says it, with the defaults filled in.

    ``inputs`` is the number of input units; ``loss`` a name, a call or a formula; the other fields are the
    arguments of ``Network``.
    """

    inputs: int
    layers: tuple[Layer, ...]
    loss: str
    bias: bool = True
    l2: float = 0.0
    l1: float = 0.0
    init: str | None = None
    facts: bool = True
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of inputs, then the units of each layer."""
        return (self.inputs, *(layer.units for layer in self.layers))

    @property
    def depth(self) -> int:
        """The number of layers."""
        return len(self.layers)

    @cached_property
    def options(self) -> str:
        """The options of the command line beside `text` that make the same network."""
        last = ACTIVATIONS.get(self.layers[-1].activation)
        usual = {field.name: field.default for field in fields(self)}
        usual |= {"loss": None if last is None else last.partner}
        parts = []
        for name, option in OPTIONS.items():
            value = getattr(self, option.argument, None)
            if option.argument in usual and value != usual[option.argument]:
                parts.append(option.text(name, value))
        return " ".join(parts)

    @cached_property
    def text(self) -> str:
        """The sizes, with every activation named that is not sigmoid."""
        parts = [str(self.inputs)]
        for layer in self.layers:
            text = layer.activation if layer.activation in ACTIVATIONS else f"({layer.activation})"
            parts.append(str(layer.units) + ("" if text == "sigmoid" else f":{text}"))
        return "-".join(parts)

    @property
    def description(self) -> str:
        """Architecture and options, from which the same network can be made."""
        return f"{_quoted(self.text)} {self.options}".rstrip()

    @property
    def title(self) -> str:
        """The description, but of many equal layers the first and the last."""
        return f"{_shortened(self.text)} {self.options}".rstrip()


def read_architecture(
    architecture: str,
    *,
    hidden: str,
    output: str,
    loss: str | None,
    bias: bool,
    l2: float,
    l1: float,
    init: str | None,
    facts: bool,
    label_smoothing: float,
    class_weights: Sequence[float] | None,
) -> Architecture:
    """Return the parsed arguments of ``Network``.

    Raises:
        SpecificationError: any of them is wrong; the message says what would be right.
    """
    for name, value in (("architecture", architecture), ("hidden", hidden), ("output", output)):
        require_text(name, value)
    inputs, layers = _parse(architecture, hidden, output)
    bias, facts = require_flag("bias", bias), require_flag("facts", facts)
    _check_parameter_count(inputs, layers, bias)
    _check_activations(layers)
    found = Architecture(
        inputs=inputs,
        layers=layers,
        loss=_loss(loss, layers[-1].activation),
        bias=bias,
        l2=_coefficient("l2", l2),
        l1=_coefficient("l1", l1),
        init=None if init is None else _initializer(init),
        facts=facts,
        label_smoothing=_coefficient("label_smoothing", label_smoothing),
        class_weights=_class_weights(class_weights, layers[-1].units),
    )
    if found.label_smoothing >= 1:
        raise SpecificationError(f"label_smoothing: {label_smoothing} must be below 1")
    read_loss(found.loss)
    return found


def _check_activations(layers: Sequence[Layer]) -> None:
    """Read every activation once, so that a wrong formula is reported here and not in a later stage."""
    seen: dict[str, int] = {}
    for number, layer in enumerate(layers, start=1):
        seen.setdefault(layer.activation, number)
    for text, number in seen.items():
        read_activation(text, f"layer {number}: activation")


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.:=-]+", text, re.ASCII) else f'"{text}"'


def _parse(architecture: str, hidden: str, output: str) -> tuple[int, tuple[Layer, ...]]:
    parts = _split(architecture)
    if architecture.strip().endswith(".net"):
        hint = f"write Network.from_file({excerpt(architecture)})"
        raise SpecificationError(f"architecture {excerpt(architecture)}: is the name of a file; {hint}")
    if len(parts) < 2:
        raise SpecificationError(
            f"architecture {excerpt(architecture)}: needs an input size and at least one layer, as in '2-3-1'"
        )
    if len(parts) - 1 > MAX_LAYERS:
        raise SpecificationError(f"architecture: {len(parts) - 1} layers are more than {MAX_LAYERS}")
    inputs, extra = _layer_text(parts[0], 0)
    if extra is not None:
        raise SpecificationError(f"input size {excerpt(parts[0])}: the input has no activation")
    canonical: dict[str, str] = {}
    layers = []
    for number, part in enumerate(parts[1:], start=1):
        units, named = _layer_text(part, number)
        default = output if number == len(parts) - 1 else hidden
        text = default if named is None else named
        if text not in canonical:
            canonical[text] = canonical_name(text, ACTIVATIONS, "activation", f"layer {number}")
        layers.append(Layer(units, canonical[text]))
    return inputs, tuple(layers)


def _split(architecture: str) -> list[str]:
    """Split at each minus that stands outside of parentheses and before a size."""
    parts, start, depth = [], 0, 0
    for position, character in enumerate(architecture):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            raise SpecificationError(f"architecture {excerpt(architecture)}: ')' where nothing is open")
        begins_layer = not architecture[position + 1 : position + 2].isalpha()
        if character == "-" and depth == 0 and begins_layer:
            parts.append(architecture[start:position])
            start = position + 1
    if depth:
        raise SpecificationError(f"architecture {excerpt(architecture)}: '(' was never closed")
    return [*parts, architecture[start:]]


def _shortened(architecture: str) -> str:
    """Return an architecture with dots in place of the inner ones of many equal layers."""
    inputs, *layers = _split(architecture)
    found = [inputs]
    for part, group in groupby(layers):
        count = len(list(group))
        found += [part] * count if count <= _MOST_EQUAL_LAYERS else [part, "…", part]
    return "-".join(found)


_MOST_EQUAL_LAYERS = 4


def _layer_text(part: str, number: int) -> tuple[int, str | None]:
    """Return the units of one layer and the text of its activation."""
    where = f"layer {number}" if number else "input size"
    text, colon, activation = part.strip().partition(":")
    if not _SIZE.fullmatch(text.strip()):
        if re.fullmatch(r"[0-9]+", text.strip(), re.ASCII):
            raise SpecificationError(f"{where}: {excerpt(text)} units are more than {MAX_UNITS}")
        raise SpecificationError(f"{where}: {excerpt(text)} is not a size; write a whole number such as 32")
    units = int(text)
    if units == 0:
        raise SpecificationError(f"{where}: the size is 0; a layer needs at least one unit")
    if units > MAX_UNITS:
        raise SpecificationError(f"{where}: {units} units are more than {MAX_UNITS}")
    activation = activation.strip()
    if colon and not activation:
        raise SpecificationError(f"{where}: an activation is missing after the colon")
    return units, activation if colon else None


_ALIASES = {**ACTIVATION_ALIASES, **LOSS_ALIASES}


def canonical_name(text: str, table: Collection[str], kind: str, subject: str) -> str:
    """Return a library name in its own spelling, also that of a call; a formula as it stands.

    Raises:
        SpecificationError: a plain word that is no name of ``table``.
    """
    text = _without_parentheses(" ".join(text.split()))
    name = _own_spelling(text)
    if name in table:
        return name
    call = re.fullmatch(r"([^\W\d][\w-]*)\s*(\(.*\))", text)
    if call and (name := _own_spelling(call[1])) in table:
        return name + call[2]
    if not text:
        raise SpecificationError(f"{subject}: the {kind} is empty")
    if re.fullmatch(r"[^\W\d][\w-]*", text) and not _is_difference(text):
        hint = suggestion(name, table)
        raise SpecificationError(f"{subject}: {excerpt(text)} is not a known {kind}; {hint}")
    return text


def _own_spelling(name: str) -> str:
    plain = name.replace("-", "_").lower()
    return _ALIASES.get(plain, plain)


def _is_difference(text: str) -> bool:
    """Whether a word with minus signs is a formula such as ``s-1`` and no name."""
    return all(part in ("s", "x", "t") or part.isdigit() for part in text.split("-"))


def _without_parentheses(text: str) -> str:
    """Strip one pair of parentheses that encloses the whole text."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0 and position < len(text) - 1:
            return text
    return text[1:-1].strip() if depth == 0 else text


def _known(name: str, table: Iterable[str], kind: str, subject: str) -> str:
    require_text(subject, name)
    plain = name.replace("-", "_").lower()
    if plain not in table:
        hint = suggestion(plain, table)
        raise SpecificationError(f"{subject}: {excerpt(name)} is not a known {kind}; {hint}")
    return plain


def _initializer(name: str) -> str:
    require_text("init", name)
    plain = name.replace("-", "_").lower()
    return _known(FAMILIES.get(plain, plain), INITIALIZERS, "initialiser", "init")


def _loss(loss: str | None, output: str) -> str:
    if loss is not None:
        require_text("loss", loss)
        return canonical_name(loss, LOSSES, "loss", "loss")
    activation = ACTIVATIONS.get(output)
    if activation is None or activation.partner is None:
        raise SpecificationError(
            f"loss: {excerpt(output)} as output has no loss of its own; name one with --loss "
            f"(known are: {', '.join(sorted(LOSSES))})"
        )
    return activation.partner


def _coefficient(name: str, value: float) -> float:
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number < 0:
        shown = excerpt(str(value) if isinstance(value, float) else repr(value)[:100])
        raise SpecificationError(f"{name}: {shown} is not a coefficient; write a number such as 0.01")
    return number


def numbers(text: str, subject: str) -> tuple[float, ...]:
    """Return the numbers of a list such as ``1,2.5,1``."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise SpecificationError(f"{subject}: {excerpt(text)} is not a list such as 1,2.5,1") from error


OPTIONS: Mapping[str, Option] = {
    "--hidden": Option("hidden", str, str),
    "--output": Option("output", str, str),
    "--loss": Option("loss", str, _quoted),
    "--no-bias": Option("bias"),
    "--l2": Option("l2", float),
    "--l1": Option("l1", float),
    "--init": Option("init", str, str),
    "--no-facts": Option("facts"),
    "--label-smoothing": Option("label_smoothing", float),
    "--class-weights": Option(
        "class_weights",
        lambda text: numbers(text, "--class-weights"),
        lambda weights: ",".join(map(repr, weights)),
    ),
}
"""The options of a text, in the order in which they are written."""


def _class_weights(weights: Sequence[float] | None, outputs: int) -> tuple[float, ...] | None:
    if weights is None:
        return None
    if isinstance(weights, str) or not isinstance(weights, Sequence) or len(weights) != outputs:
        raise SpecificationError(f"class_weights: needs {outputs} numbers, one for each output")
    return tuple(_coefficient("class_weights", weight) for weight in weights)


def _check_parameter_count(inputs: int, layers: Sequence[Layer], bias: bool) -> None:
    count, before = 0, inputs
    for layer in layers:
        count += (before + bias) * layer.units
        before = layer.units
    if count > MAX_PARAMETERS:
        raise SpecificationError(f"architecture: {count} parameters are more than {MAX_PARAMETERS}")
