"""The network of a user, whichever way it is written."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import cycle
from pathlib import Path

from symbackprop.equations.model import Model
from symbackprop.equations.small_sizes import small_sizes
from symbackprop.equations.system import size
from symbackprop.errors import (
    SpecificationError,
    excerpt,
    require_mapping,
    require_path,
    require_text,
    suggestion,
)
from symbackprop.network.architecture import OPTIONS, Architecture, Option, read_architecture
from symbackprop.network.dense import dense_model
from symbackprop.network.notation.building import Equations
from symbackprop.network.notation.imports import text_in, with_files

_SMALL = (3, 4, 2, 5, 6, 7)


class Network:
    """A network: layer sizes with options here, equations by ``from_equations``.

    ``source`` is the parsed text: an ``Architecture`` or ``Equations``.

    Args:
        architecture: sizes such as ``"64-32-10"``, each but the first with an optional activation:
            ``"784-128:relu-10:softmax"``, a formula in parentheses: ``"784-128:(s*sigmoid(s))-10"``.
        hidden: activation of the hidden layers that name none.
        output: activation of the output layer where it names none.
        loss: name, call or formula in x and t; None for the canonical partner of the output.
        bias: whether each layer adds a bias.
        l2: λ of the term (λ/2) Σ w² over the weights.
        l1: λ of the term λ Σ |w| over the weights.
        init: name of the initialiser of the weights; None for the one that fits the activation.
        facts: whether the derivation may use the assumptions of the loss on the targets.
        label_smoothing: ε: each target t becomes (1 - ε) t + ε m, where m is the target that says
            nothing: 1/outputs for classes, 1/2 for independent bits.
        class_weights: the factor of the error of each output; None for 1.

    Raises:
        SpecificationError: any of it is wrong; the message says what would be right.
    """

    def __init__(
        self,
        architecture: str,
        *,
        hidden: str = "sigmoid",
        output: str = "sigmoid",
        loss: str | None = None,
        bias: bool = True,
        l2: float = 0.0,
        l1: float = 0.0,
        init: str | None = None,
        facts: bool = True,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        self.source: Architecture | Equations = read_architecture(
            architecture,
            hidden=hidden,
            output=output,
            loss=loss,
            bias=bias,
            l2=l2,
            l1=l1,
            init=init,
            facts=facts,
            label_smoothing=label_smoothing,
            class_weights=class_weights,
        )

    @classmethod
    def from_equations(
        cls,
        text: str,
        sizes: Mapping[str, int] | None = None,
        *,
        origin: str = "equations",
        name: str = "network",
    ) -> Network:
        """Return the network that equations in index notation describe.

        Args:
            text: the content of a ``.net`` file.
            sizes: numbers for sizes that the text leaves open, by index letter.
            origin: the name of the text in messages, such as the path of its file.
            name: the name of a module generated from it.

        Raises:
            SpecificationError: the text is wrong; the message has line, column and a caret.
        """
        for subject, value in (("equations", text), ("origin", origin), ("name", name)):
            require_text(subject, value)
        whole = with_files(text, origin, None)
        return cls._of(Equations(whole, require_mapping("sizes", sizes), origin, name))

    @classmethod
    def from_file(cls, path: str | Path, sizes: Mapping[str, int] | None = None) -> Network:
        """Return the network in a ``.net`` file.

        Raises:
            SpecificationError: the file can't be read, or its text is wrong.
        """
        file = require_path("path", path)
        text = with_files(text_in(file), str(file), file.parent)
        return cls._of(Equations(text, require_mapping("sizes", sizes), str(file), file.stem))

    @classmethod
    def _of(cls, source: Equations) -> Network:
        network = cls.__new__(cls)
        network.source = source
        network.model  # noqa: B018 - a mistake in the text is reported here and not in a later stage
        return network

    @cached_property
    def model(self) -> Model:
        """The network as the later stages read it."""
        return dense_model(self.source) if isinstance(self.source, Architecture) else self.source.model()

    @property
    def description(self) -> str:
        """The text from which the same network can be made: architecture and options, or equations."""
        return self.source.description if isinstance(self.source, Architecture) else self.model.description

    def with_small_sizes(self) -> Network:
        """Return the network with small, unequal numbers for the sizes that have none."""
        if isinstance(self.source, Architecture) or not self.model.missing:
            return self
        missing = {size(name): letter for name, letter in self.model.missing.items()}
        start = dict(zip(missing, cycle(_SMALL), strict=False))
        known = {size(name): number for name, number in self.model.sizes.items()}
        small = small_sizes(self.model.system, start, known)
        numbers = {missing[s]: number for s, number in small.items()}
        return self._of(replace(self.source, sizes={**self.source.sizes, **numbers}))

    def __repr__(self) -> str:
        if isinstance(self.source, Architecture):
            return f"Network({self.description})"
        return f"<Network of {len(self.model.system.equations)} equations: {self.model.title}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and self.description == other.description

    def __hash__(self) -> int:
        return hash(self.description)


def network_from_description(text: str) -> Network:
    """Return the network of an architecture with options, as `Network.description` writes them."""
    return parse_description(text)[0]


def parse_description(text: str) -> tuple[Network, str]:
    """Return the network and the optimiser of a generated module's ``ARCHITECTURE``.

    Raises:
        SpecificationError: an unknown or incomplete option, or a wrong value.
    """
    if "\n" in text:
        equations, sizes, optimizer = equations_in(text)
        return Network.from_equations(equations, sizes), optimizer
    architecture, values = options_in(text)
    optimizer = str(values.pop("optimizer", "sgd"))
    return Network(architecture, **values), optimizer  # type: ignore[arg-type]


def options_in(text: str) -> tuple[str, dict[str, object]]:
    """Return the architecture and the options of a description, by the arguments that they give.

    Raises:
        SpecificationError: an unknown or incomplete option, or a wrong value.
    """
    try:
        architecture, *words = shlex.split(text)
    except ValueError as error:
        raise SpecificationError(f"{excerpt(text)} is not an architecture with options") from error
    values: dict[str, object] = {}
    rest = iter(words)
    for word in rest:
        option = _OPTIONS.get(word)
        if option is None:
            known = [name for name, each in _OPTIONS.items() if each.read is not None]
            raise SpecificationError(f"{excerpt(word)} is not an option; {suggestion(word, known)}")
        given = False if option.read is None else _converted(word, next(rest, None), option.read)
        values[option.argument] = given
    return architecture, values


def equations_in(text: str) -> tuple[str, dict[str, int], str]:
    """Return equations, behind which options may stand on a line, with the sizes and the optimiser of that.

    Raises:
        SpecificationError: an unknown option, or no size.
    """
    equations, _, last = text.rstrip("\n").rpartition("\n")
    words = iter(last.split()) if last.startswith("--") else iter(())
    sizes: dict[str, int] = {}
    optimizer = "sgd"
    for word in words:
        if word == "--size":
            sizes |= size_of(next(words, ""))
        elif word == "--optimizer":
            optimizer = next(words, "")
        else:
            raise SpecificationError(f"{excerpt(word)} is not an option of equations")
    return (equations if last.startswith("--") else text), sizes, optimizer


def size_of(text: str) -> dict[str, int]:
    """Return the letter and the number of a text such as ``k=64``."""
    found = re.fullmatch(r"\s*([A-Za-z]\w*)\s*=\s*([0-9]{1,9})\s*", text, re.ASCII)
    if not found:
        raise SpecificationError(f"--size: {excerpt(text)} is no size; write one such as k=64")
    return {found[1]: int(found[2])}


_OPTIONS: Mapping[str, Option] = {**OPTIONS, "--optimizer": Option("optimizer", str)}


def _converted(option: str, text: str | None, convert: Callable[[str], object]) -> object:
    if text is None:
        raise SpecificationError(f"{option}: its value is missing")
    try:
        return convert(text)
    except ValueError as error:
        raise SpecificationError(f"{option}: {excerpt(text)} is not a number") from error
