"""The command line: each command parses, calls and prints."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, Optional

import typer

from symbackprop.errors import SpecificationError, UnsupportedExpression, excerpt, suggestion

if TYPE_CHECKING:
    from symbackprop.network.network import Network

app = typer.Typer(
    name="symbackprop",
    help="Derive backpropagation symbolically, prove it, and generate the NumPy code that runs it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # importing Rich takes almost half the time of --help
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Architecture = Annotated[
    str,
    typer.Argument(
        metavar="ARCH",
        help="Sizes such as 2-3-1 or 784-128:relu-10:softmax, formulas in parentheses; or a FILE.net.",
    ),
]
OptionalArchitecture = Annotated[
    Optional[str],  # noqa: UP045 - Typer reads the annotation when it runs
    typer.Argument(metavar="ARCH", help="As for generate; only its activations matter with --depth."),
]
Hidden = Annotated[str, typer.Option(help="Activation of the hidden layers: a name or a formula in s.")]
Output = Annotated[str, typer.Option(help="Activation of the output layer.")]
Loss = Annotated[
    Optional[str],  # noqa: UP045 - Typer reads the annotation when it runs
    typer.Option(help="Loss: a name or a formula in x and t. Default: the partner of the output."),
]
NoBias = Annotated[bool, typer.Option("--no-bias", help="Leave out the biases.")]
L2 = Annotated[float, typer.Option(help="λ of the term (λ/2) Σ w².")]
L1 = Annotated[float, typer.Option(help="λ of the term λ Σ |w|.")]
Init = Annotated[
    Optional[str],  # noqa: UP045 - as above
    typer.Option(help="Initialiser of the weights. Default: what fits the activation."),
]
NoFacts = Annotated[
    bool, typer.Option("--no-facts", help="Derive without what the loss assumes of the targets.")
]
LabelSmoothing = Annotated[float, typer.Option(help="ε: targets move by that share towards saying nothing.")]
ClassWeights = Annotated[
    Optional[str],  # noqa: UP045 - as above
    typer.Option(help="What the error of each output is multiplied by, such as 1,2.5,1."),
]
Size = Annotated[
    Optional[list[str]],  # noqa: UP045 - as above
    typer.Option("--size", metavar="LETTER=NUMBER", help="Of a .net: how far an index runs. Repeatable."),
]
Optimizer = Annotated[str, typer.Option(help="The optimiser of the trainer; see `list optimizers`.")]
Destination = Annotated[
    Optional[Path],  # noqa: UP045 - as above
    typer.Option("-o", "--output-file", help="The file to write; - for standard output."),
]

FormatName = Annotated[
    Optional[str],  # noqa: UP045 - as above
    typer.Option(help="text, markdown, latex, html or pdf. Default: by the suffix of the file, else text."),
]
NotationName = Annotated[
    Optional[str],  # noqa: UP045 - as above
    typer.Option(help="textbook, layered, zad or matrix. Default: what suits the depth."),
]
Fragment = Annotated[bool, typer.Option("--fragment", help="LaTeX for inclusion in a document of your own.")]
Language = Annotated[str, typer.Option(help="The language of the sentences.")]


def main() -> NoReturn:
    """Run the command line; errors of the input are one message and exit status 2."""
    collect_rarely_until_exit()
    try:
        app()
    except (SpecificationError, UnsupportedExpression) as error:
        sys.stderr.write(f"symbackprop: {error}\n")
        sys.exit(2)
    sys.exit(0)


def collect_rarely_until_exit() -> None:
    """Look for garbage less often in the rest of the process, and not once more when it ends.

    That last look takes a third of an import of SymPy, and finds what the process leaves anyway.
    """
    first, *others = gc.get_threshold()
    if first:  # 0: somebody has turned it off
        gc.set_threshold(max(first, _FEW_COLLECTIONS), *others)
    atexit.register(gc.freeze)


_FEW_COLLECTIONS = 1_000_000
"""New objects after which garbage is looked for: expressions stay in use."""


@app.command()
def generate(
    context: typer.Context,
    architecture: Architecture,
    hidden: Hidden = "sigmoid",
    output: Output = "sigmoid",
    loss: Loss = None,
    no_bias: NoBias = False,
    l2: L2 = 0.0,
    l1: L1 = 0.0,
    init: Init = None,
    no_facts: NoFacts = False,
    label_smoothing: LabelSmoothing = 0.0,
    class_weights: ClassWeights = None,
    size: Size = None,
    optimizer: Optimizer = "sgd",
    name: Annotated[
        Optional[str],  # noqa: UP045 - as above
        typer.Option(help="Name of the module, and of its file unless -o names one. Default: from ARCH."),
    ] = None,
    target: Annotated[str, typer.Option(help="What the module runs on.")] = "numpy",
    file: Destination = None,
) -> None:
    """Write a standalone NumPy trainer."""
    from symbackprop import pipeline

    network = _network(context)
    if target != "numpy":
        raise SpecificationError(f"--target: {excerpt(target)} is not known; known are: numpy")
    module = network.model.name if name is None else _module_name(name)
    text = pipeline.generate(network, optimizer=optimizer)
    path = Path(f"{module}.py") if file is None else file
    if path.stem in {"numpy", *sys.stdlib_module_names}:
        raise SpecificationError(
            f"{path}: would hide the module {path.stem} from Python; choose another name"
        )
    _write(text, path)


@app.command()
def derive(
    context: typer.Context,
    architecture: OptionalArchitecture = None,
    hidden: Hidden = "sigmoid",
    output: Output = "sigmoid",
    loss: Loss = None,
    no_bias: NoBias = False,
    l2: L2 = 0.0,
    l1: L1 = 0.0,
    init: Init = None,
    no_facts: NoFacts = False,
    label_smoothing: LabelSmoothing = 0.0,
    class_weights: ClassWeights = None,
    size: Size = None,
    optimizer: Optimizer = "sgd",
    format: Annotated[
        Optional[str],  # noqa: UP045 - as above
        typer.Option(
            help="text, markdown, latex, html or pdf. Default: by the suffix of the file, else text."
        ),
    ] = None,
    notation: Annotated[
        Optional[str],  # noqa: UP045 - as above
        typer.Option(help="textbook, layered, zad or matrix. Default: what suits the depth."),
    ] = None,
    lang: Annotated[str, typer.Option(help="en or ko: the language of the sentences.")] = "en",
    depth: Annotated[
        Optional[str],  # noqa: UP045 - as above
        typer.Option(metavar="L", help="L: the theorem for any number of layers, proved; ARCH is left out."),
    ] = None,
    fragment: Annotated[
        bool, typer.Option("--fragment", help="LaTeX for inclusion in a document of your own.")
    ] = False,
    file: Destination = None,
) -> None:
    """Print the derivation, step by step."""
    from symbackprop.document.render import heading, render

    chosen = _document_options(format, file, notation, fragment, lang)
    if architecture is None and depth is None:
        raise SpecificationError("derive: ARCH is missing; write an architecture such as 2-3-1")
    network = _network(context)
    destination = Path("-") if file is None else file
    if depth is not None:
        _derive_theorem(network, depth, chosen, notation, fragment, lang, destination)
        return
    from symbackprop import pipeline

    derivation = pipeline.derive(network, optimizer=optimizer)
    title, source = heading(derivation, lang), "latex" if chosen == "pdf" else chosen
    text = render(derivation, source, title=title, notation=notation, fragment=fragment, language=lang)
    _write_document(text, chosen, destination)


def _derive_theorem(
    network: Network, depth: str, format: str, notation: str | None, fragment: bool, language: str, file: Path
) -> None:
    """Print the theorem for any number of layers; a theorem that does not hold is exit status 1."""
    from symbackprop.commands.theorem import derive_theorem
    from symbackprop.commands.theorem_document import render_theorem

    if depth != "L":
        hint = "write --depth L, or the sizes of a network of that depth"
        raise SpecificationError(f"--depth: {excerpt(depth)} is no symbolic depth; {hint}")
    theorem = derive_theorem(network)
    found = theorem.check()
    if not found.holds:
        _say(f"{theorem.title}: {found}")
        raise typer.Exit(1)
    source = "latex" if format == "pdf" else format
    text = render_theorem(theorem, found, source, notation=notation, fragment=fragment, language=language)
    _write_document(text, format, file)


def _write_document(text: str, format: str, file: Path) -> None:
    """Write a document; for a PDF ``text`` is its LaTeX."""
    if format == "pdf":
        from symbackprop.document.pdf import compiled

        _write(compiled(text), file)
    else:
        _write(text, file)


@app.command()
def draw(
    context: typer.Context,
    architecture: Architecture,
    hidden: Hidden = "sigmoid",
    output: Output = "sigmoid",
    loss: Loss = None,
    no_bias: NoBias = False,
    l2: L2 = 0.0,
    l1: L1 = 0.0,
    init: Init = None,
    no_facts: NoFacts = False,
    label_smoothing: LabelSmoothing = 0.0,
    class_weights: ClassWeights = None,
    size: Size = None,
    format: Annotated[
        Optional[str],  # noqa: UP045 - as above
        typer.Option(help="svg or tikz. Default: by the suffix of the file, else svg."),
    ] = None,
    lang: Annotated[str, typer.Option(help="en or ko: the language of the description.")] = "en",
    file: Destination = None,
) -> None:
    """Draw the network."""
    from symbackprop import pipeline
    from symbackprop.document.language.catalogues import CATALOGUES

    _require(lang, CATALOGUES, "--lang")
    if format is not None:
        _require(format, pipeline.DRAWINGS, "--format")
    else:
        format = pipeline.format_of(file)
    picture = pipeline.draw(_network(context), format=format, language=lang)
    _write(picture, Path("-") if file is None else file)


@app.command()
def check(
    context: typer.Context,
    architecture: Annotated[
        str,
        typer.Argument(
            metavar="ARCH|FILE.py", help="An architecture, a FILE.net, or a generated module (is run)."
        ),
    ],
    hidden: Hidden = "sigmoid",
    output: Output = "sigmoid",
    loss: Loss = None,
    no_bias: NoBias = False,
    l2: L2 = 0.0,
    l1: L1 = 0.0,
    init: Init = None,
    no_facts: NoFacts = False,
    label_smoothing: LabelSmoothing = 0.0,
    class_weights: ClassWeights = None,
    size: Size = None,
) -> None:
    """Prove every step, and check the code against numbers.

    The steps are those of the derivation, the code is the generated module.
    """
    from symbackprop.commands.check import check_file, check_network

    if architecture.endswith(".py"):
        _refuse_options(context, (*_OPTIONS, "size"))
        report = check_file(Path(architecture))
    else:
        report = check_network(_network(context))
    _say(report.table())
    raise typer.Exit(0 if report.holds else 1)


@app.command()
def trace(
    context: typer.Context,
    architecture: Architecture,
    hidden: Hidden = "sigmoid",
    output: Output = "sigmoid",
    loss: Loss = None,
    no_bias: NoBias = False,
    l2: L2 = 0.0,
    l1: L1 = 0.0,
    init: Init = None,
    no_facts: NoFacts = False,
    label_smoothing: LabelSmoothing = 0.0,
    class_weights: ClassWeights = None,
    size: Size = None,
    parameters: Annotated[
        Optional[Path],  # noqa: UP045 - as above
        typer.Option(help="An .npz with an array for each parameter. Default: drawn."),
    ] = None,
    data: Annotated[
        Optional[Path],  # noqa: UP045 - as above
        typer.Option(help="An .npz with inputs x and targets t, a row a sample. Default: one drawn sample."),
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="The learning rate of the step.")] = 0.5,
    freeze: Annotated[str, typer.Option(help="Parameters that stay as they are, such as b1,b2.")] = "",
    seed: Annotated[int, typer.Option(help="The seed of what is drawn.")] = 0,
    format: FormatName = None,
    notation: NotationName = None,
    fragment: Fragment = False,
    lang: Language = "en",
    file: Destination = None,
) -> None:
    """A worked example: every equation with its numbers.

    It ends with one step of training.
    """
    from symbackprop.commands.inputs import data_in, read_arrays
    from symbackprop.commands.trace import trace as traced

    chosen = _document_options(format, file, notation, fragment, lang)
    network = _network(context)
    x, t = (None, None) if data is None else data_in(read_arrays(data), network.model, str(data))
    found = traced(
        network,
        parameters=None if parameters is None else read_arrays(parameters),
        x=x,
        t=t,
        learning_rate=learning_rate,
        freeze=[name.strip() for name in freeze.split(",") if name.strip()],
        seed=seed,
    )
    source = "latex" if chosen == "pdf" else chosen
    text = found.document(source, notation, fragment, lang)
    _write_document(text, chosen, Path("-") if file is None else file)


@app.command()
def verify(
    context: typer.Context,
    architecture: Architecture,
    claim: Annotated[
        Optional[str],  # noqa: UP045 - as above
        typer.Argument(help='What you derived, such as "dE/dw2[j,i] = (x2[i] - t[i])*x1[j]".'),
    ] = None,
    hidden: Hidden = "sigmoid",
    output: Output = "sigmoid",
    loss: Loss = None,
    no_bias: NoBias = False,
    l2: L2 = 0.0,
    l1: L1 = 0.0,
    init: Init = None,
    no_facts: NoFacts = False,
    label_smoothing: LabelSmoothing = 0.0,
    class_weights: ClassWeights = None,
    size: Size = None,
    claims: Annotated[
        Optional[Path],  # noqa: UP045 - as above
        typer.Option("--file", help="A file of claims, one a line; # begins a comment."),
    ] = None,
    function: Annotated[
        Optional[str],  # noqa: UP045 - as above
        typer.Option(help="MODULE:FUNCTION or FILE.py:FUNCTION: your gradient (parameters, x, t). Is run."),
    ] = None,
) -> None:
    """Check a derivation, or a gradient, made by hand.

    What is wrong has a counterexample in numbers, and the likely slip.
    """
    from symbackprop.commands.verify.decision import verify_lines
    from symbackprop.commands.verify.functions import import_function, verify_function

    if [claim, claims, function].count(None) != 2:
        raise SpecificationError("verify: give one of a claim, --file FILE, and --function MODULE:FUNCTION")
    network = _network(context)
    if function is not None:
        found = verify_function(network, import_function(function))
    else:
        found = verify_lines(network, [claim] if claim is not None else _lines(claims))
    _say("\n".join(each.report() for each in found))
    raise typer.Exit(0 if all(found) else 1)


@app.command()
def exercise(
    context: typer.Context,
    architecture: Architecture,
    hidden: Hidden = "sigmoid",
    output: Output = "sigmoid",
    loss: Loss = None,
    no_bias: NoBias = False,
    l2: L2 = 0.0,
    l1: L1 = 0.0,
    init: Init = None,
    no_facts: NoFacts = False,
    label_smoothing: LabelSmoothing = 0.0,
    class_weights: ClassWeights = None,
    size: Size = None,
    format: FormatName = None,
    notation: NotationName = None,
    fragment: Fragment = False,
    lang: Language = "en",
    file: Destination = None,
) -> None:
    """A sheet with blanks, and its solution."""
    from symbackprop.commands.exercise import exercise as sheet

    chosen = _document_options(format, file, notation, fragment, lang)
    source = "latex" if chosen == "pdf" else chosen
    text = sheet(_network(context)).document(source, notation, fragment, lang)
    _write_document(text, chosen, Path("-") if file is None else file)


@app.command()
def equations(
    context: typer.Context,
    architecture: Architecture,
    hidden: Hidden = "sigmoid",
    output: Output = "sigmoid",
    loss: Loss = None,
    no_bias: NoBias = False,
    l2: L2 = 0.0,
    l1: L1 = 0.0,
    init: Init = None,
    no_facts: NoFacts = False,
    label_smoothing: LabelSmoothing = 0.0,
    class_weights: ClassWeights = None,
    size: Size = None,
    file: Destination = None,
) -> None:
    """Print the forward equations as a .net file.

    The same trainer can be generated from it.
    """
    from symbackprop.network.writing import text_of

    _write(text_of(_network(context)), Path("-") if file is None else file)


@app.command(name="list")
def list_(
    topic: Annotated[
        Optional[str],  # noqa: UP045 - as above
        typer.Argument(help="activations, losses, optimizers, initializers or notations."),
    ] = None,
) -> None:
    """Show what there is, with formulas and slopes."""
    from symbackprop.commands.listing import TOPICS

    if topic is not None:
        _require(topic, TOPICS, "list")
    chosen = TOPICS if topic is None else {topic: TOPICS[topic]}
    _say("\n\n".join(table() for table in chosen.values()))


@app.command()
def demo() -> None:
    """Derive, prove and train on handwritten digits."""
    from symbackprop.commands.demo import run

    raise typer.Exit(0 if run(_say) else 1)


_OPTIONS = (
    "hidden",
    "output",
    "loss",
    "no_bias",
    "l2",
    "l1",
    "init",
    "no_facts",
    "label_smoothing",
    "class_weights",
)
"""The options that say, beside layer sizes, what a network is."""
_SAME_NAME = ("hidden", "output", "loss", "l2", "l1", "init", "label_smoothing")  # as arguments of Network


def _document_options(
    format: str | None, file: Path | None, notation: str | None, fragment: bool, lang: str
) -> str:
    """Return the format of a document, after a look at the other options."""
    from symbackprop.document.language.catalogues import CATALOGUES
    from symbackprop.printing.notation import NOTATIONS

    chosen = _format(format, file)
    if notation is not None:
        _require(notation, NOTATIONS, "--notation")
    _require(lang, CATALOGUES, "--lang")
    if fragment and chosen != "latex":
        raise SpecificationError("--fragment: only LaTeX has fragments; add --format latex")
    return chosen


def _lines(path: Path | None) -> list[str]:
    """Return the lines of a file of claims."""
    try:
        return Path(str(path)).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise SpecificationError(f"{path}: is not text in UTF-8") from error
    except OSError as error:
        raise SpecificationError(f"{path}: can't be read: {error.strerror}") from error


def _network(context: typer.Context) -> Network:
    """Return the network that the argument ARCH and the options beside it describe."""
    from symbackprop.network.architecture import numbers
    from symbackprop.network.network import Network

    values = context.params
    architecture = "2-2-2" if values["architecture"] is None else values["architecture"]  # for a theorem
    if architecture.endswith(".net"):
        _refuse_options(context, _OPTIONS)
        return _network_of_file(Path(architecture), values["size"] or ())
    _refuse_options(context, ("size",), "belongs to a .net file; layer sizes have all their numbers")
    weights = values["class_weights"]
    return Network(
        architecture,
        **{name: values[name] for name in _SAME_NAME},
        bias=not values["no_bias"],
        facts=not values["no_facts"],
        class_weights=None if weights is None else numbers(weights, "--class-weights"),
    )


def _network_of_file(path: Path, sizes: Iterable[str]) -> Network:
    """Return the network in a .net file."""
    from symbackprop.network.network import Network, size_of

    given: dict[str, int] = {}
    for text in sizes:
        for letter, number in size_of(text).items():
            if given.setdefault(letter, number) != number:
                raise SpecificationError(f"--size: {letter} is given as {given[letter]} and as {number}")
    return Network.from_file(path, given)


def _refuse_options(
    context: typer.Context,
    names: Iterable[str],
    reason: str = "is not for a file, which says all this itself; leave it out",
) -> None:
    """Raise SpecificationError where one of the options was given."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name != "DEFAULT":
            raise SpecificationError(f"--{name.replace('_', '-')}: {reason}")


def _require(name: str, known: object, subject: str) -> None:
    if name not in known:  # type: ignore[operator]
        raise SpecificationError(f"{subject}: {excerpt(name)} is not known; {suggestion(name, known)}")  # type: ignore[arg-type]


def _module_name(name: str) -> str:
    import keyword

    if not (name.isidentifier() and name.isascii()) or keyword.iskeyword(name):
        raise SpecificationError(f"--name: {excerpt(name)} is not a Python name; write one such as digits")
    return name


def _format(format: str | None, file: Path | None) -> str:
    """Return the format asked for, or the one of the file's suffix."""
    from symbackprop.document.printable import FORMATS

    if format is not None:
        _require(format, FORMATS, "--format")
        return format
    if file is None or str(file) == "-":
        return "text"
    for known, suffixes in FORMATS.items():
        if file.suffix.lower() in suffixes:
            return known
    suffixes_known = ", ".join(s for group in FORMATS.values() for s in group)
    raise SpecificationError(
        f"{file}: the suffix {excerpt(file.suffix)} names no format; known are {suffixes_known}; "
        "or choose one with --format"
    )


def _write(content: str | bytes, file: Path) -> None:
    if str(file) == "-":
        _say(content, end="")
        return
    from symbackprop.files import write_file

    write_file(file, content)
    _say(f"wrote {file}")


def _say(content: str | bytes, end: str = "\n") -> None:
    """Print to standard output; a reader that has seen enough of a pipe is no error."""
    if sys.stdout is None:
        raise SpecificationError("standard output is closed")
    try:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")
        if isinstance(content, bytes):
            sys.stdout.buffer.write(content)
        else:
            sys.stdout.write(content + end)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        raise typer.Exit(0) from None
    except OSError as error:
        _silence()
        raise SpecificationError(f"standard output: can't be written: {error.strerror}") from error


def _silence() -> None:
    """Send what is left in the buffer of standard output to nowhere, so that leaving reports nothing."""
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


if __name__ == "__main__":
    main()
