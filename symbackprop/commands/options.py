"""The options of the command line, each declared once: its name, its type, its default and its help.

A command takes options one by one, or a group of them as one parameter; `with_options` shows Typer the
options of the group in its place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache, cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symbackprop.errors import SpecificationError, excerpt, require_known

if TYPE_CHECKING:
    from symbackprop.network.network import Network

Architecture = Annotated[
    str,
    typer.Argument(
        metavar="ARCH",
        help="Sizes such as 2-3-1 or 784-128:relu-10:softmax, formulas in parentheses; or a FILE.net.",
    ),
]
Optimizer = Annotated[str, typer.Option(help="The optimiser of the trainer; see `list optimizers`.")]
Format = Annotated[
    str | None,
    typer.Option(
        help="text, markdown, latex, beamer, html, notebook or pdf. Default: by the file's suffix, else text."
    ),
]
Notation = Annotated[
    str | None, typer.Option(help="textbook, layered, zad or matrix. Default: what suits the depth.")
]
Fragment = Annotated[bool, typer.Option("--fragment", help="LaTeX or slides for a document of your own.")]
Destination = Annotated[
    Path | None, typer.Option("-o", "--output-file", help="The file to write; - for standard output.")
]


@dataclass(frozen=True)
class NetworkOptions:
    """The options that describe a network beside its layer sizes; ``size`` belongs to a .net file instead."""

    context: typer.Context
    hidden: Annotated[
        str, typer.Option(help="Activation of the hidden layers: a name or a formula in s.")
    ] = "sigmoid"
    output: Annotated[str, typer.Option(help="Activation of the output layer.")] = "sigmoid"
    loss: Annotated[
        str | None,
        typer.Option(help="Loss: a name or a formula in x and t. Default: the partner of the output."),
    ] = None
    no_bias: Annotated[bool, typer.Option("--no-bias", help="Leave out the biases.")] = False
    l2: Annotated[float, typer.Option(help="λ of the term (λ/2) Σ w².")] = 0.0
    l1: Annotated[float, typer.Option(help="λ of the term λ Σ |w|.")] = 0.0
    init: Annotated[
        str | None, typer.Option(help="Initialiser of the weights. Default: what fits the activation.")
    ] = None
    no_facts: Annotated[
        bool, typer.Option("--no-facts", help="Derive without what the loss assumes of the targets.")
    ] = False
    label_smoothing: Annotated[
        float, typer.Option(help="ε: targets move by that share towards saying nothing.")
    ] = 0.0
    class_weights: Annotated[
        str | None, typer.Option(help="What the error of each output is multiplied by, such as 1,2.5,1.")
    ] = None
    size: Annotated[
        list[str] | None,
        typer.Option("--size", metavar="LETTER=NUMBER", help="Of a .net: how far an index runs. Repeatable."),
    ] = None

    def network(self, architecture: str) -> Network:
        """Return the network that the argument ARCH and these options describe."""
        from symbackprop.network.architecture import numbers
        from symbackprop.network.network import Network

        if architecture.endswith(".net"):
            self.refuse_beside_a_file(allowed="size")
            return Network.from_file(architecture, _sizes(self.size or ()))
        self._refuse("size", "belongs to a .net file; layer sizes have all their numbers")
        weights = self.class_weights
        return Network(
            architecture,
            hidden=self.hidden,
            output=self.output,
            loss=self.loss,
            bias=not self.no_bias,
            l2=self.l2,
            l1=self.l1,
            init=self.init,
            facts=not self.no_facts,
            label_smoothing=self.label_smoothing,
            class_weights=None if weights is None else numbers(weights, "--class-weights"),
        )

    def refuse_beside_a_file(self, allowed: str = "") -> None:
        """Raise SpecificationError where an option was given, but for the one that is allowed."""
        for option in fields(self):
            if option.name != allowed:
                self._refuse(option.name, "is not for a file, which says all this itself; leave it out")

    def _refuse(self, name: str, reason: str) -> None:
        source = self.context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise SpecificationError(f"--{name.replace('_', '-')}: {reason}")


@dataclass(frozen=True)
class DocumentOptions:
    """How a document is written, and where to; options that do not fit are refused at once."""

    format: Format = None
    notation: Notation = None
    fragment: Fragment = False
    lang: Annotated[str, typer.Option(help="The language of the sentences.")] = "en"
    file: Destination = None

    def __post_init__(self) -> None:
        from symbackprop.document.language.catalogues import CATALOGUES
        from symbackprop.printing.notation import NOTATIONS

        chosen = self.chosen
        if self.notation is not None:
            require_known("--notation", self.notation, NOTATIONS)
        require_known("--lang", self.lang, CATALOGUES)
        if self.fragment and chosen not in ("latex", "beamer"):
            raise SpecificationError("--fragment: only LaTeX has fragments; add --format latex")

    @cached_property
    def chosen(self) -> str:
        """The format asked for, or the one of the file's suffix."""
        from symbackprop.document.printable import FORMATS

        if self.format is None:
            return _format_of(self.file, FORMATS)
        require_known("--format", self.format, FORMATS)
        return self.format

    @property
    def source(self) -> str:
        """The format that a document is printed in; that of a PDF is LaTeX."""
        return "latex" if self.chosen == "pdf" else self.chosen


def _sizes(texts: Iterable[str]) -> dict[str, int]:
    """Return the sizes of index letters as they are given, such as k=3."""
    from symbackprop.network.network import size_of

    given: dict[str, int] = {}
    for text in texts:
        for letter, number in size_of(text).items():
            if given.setdefault(letter, number) != number:
                raise SpecificationError(f"--size: {letter} is given as {given[letter]} and as {number}")
    return given


def _format_of(file: Path | None, formats: Mapping[str, Collection[str]]) -> str:
    """Return the format that the suffix of a file names; text for standard output."""
    if file is None or str(file) == "-":
        return "text"
    for known, suffixes in formats.items():
        if file.suffix.lower() in suffixes:
            return known
    suffixes_known = ", ".join(suffix for suffixes in formats.values() for suffix in suffixes)
    raise SpecificationError(
        f"{file}: the suffix {excerpt(file.suffix)} names no format; known are {suffixes_known}; "
        "or choose one with --format"
    )


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command as Typer reads it: a parameter that is a group of options stands for these options."""
    own = inspect.signature(command, eval_str=True).parameters
    groups: dict[str, Any] = {
        name: each.annotation for name, each in own.items() if is_dataclass(each.annotation)
    }

    @wraps(command)
    def grouped(**values: object) -> None:
        for name, group in groups.items():
            values[name] = group(**{option.name: values.pop(option.name) for option in _options_of(group)})
        command(**values)

    shown = [_options_of(groups[name]) if name in groups else [each] for name, each in own.items()]
    by_keyword = [option.replace(kind=option.KEYWORD_ONLY) for options in shown for option in options]
    vars(grouped)["__signature__"] = inspect.Signature(by_keyword)
    return grouped


@cache
def _options_of(group: Callable[..., object]) -> Sequence[inspect.Parameter]:
    """Return the options in a group."""
    return list(inspect.signature(group, eval_str=True).parameters.values())
