"""The command line: each command parses, calls and prints."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer
from typer.core import TyperGroup

from symbackprop.commands.options import (
    Architecture,
    Destination,
    DocumentOptions,
    Format,
    Fragment,
    NetworkOptions,
    Notation,
    Optimizer,
    with_options,
)
from symbackprop.errors import (
    SelfTestFailure,
    SpecificationError,
    UnsupportedExpression,
    excerpt,
    printable,
    require_known,
)

if TYPE_CHECKING:
    from symbackprop.commands.exercise import Exercise
    from symbackprop.commands.trace import Trace
    from symbackprop.document.printable import Derivation
    from symbackprop.network.network import Network

UsageError = cast("type[Exception]", typer.BadParameter.__mro__[2])
"""What Typer raises for options that it can't read; it has no public name."""


class Commands(TyperGroup):
    """The commands; what their usage errors echo is printable."""

    def make_context(self, *arguments: Any, **values: Any) -> Any:
        """Return the context of a call, its options read."""
        with _printable_usage_errors():
            return super().make_context(*arguments, **values)

    def invoke(self, ctx: Any) -> Any:
        """Carry out a command."""
        with _printable_usage_errors():
            return super().invoke(ctx)


@contextmanager
def _printable_usage_errors() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        vars(error)["message"] = printable(str(vars(error)["message"]))
        raise


app = typer.Typer(
    name="symbackprop",
    cls=Commands,
    help="Derive backpropagation symbolically, prove it, and generate the NumPy code that runs it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # importing Rich takes almost half the time of --help
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> NoReturn:
    """Run the command line; errors of the input are one message and exit status 2, our own are 1."""
    collect_rarely_until_exit()
    try:
        app()
    except (SpecificationError, UnsupportedExpression) as error:
        sys.stderr.write(f"symbackprop: {error}\n")
        sys.exit(2)
    except SelfTestFailure as error:
        sys.stderr.write(f"symbackprop: {error}\n")
        sys.exit(1)
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
@with_options
def generate(
    architecture: Architecture,
    options: NetworkOptions,
    optimizer: Optimizer = "sgd",
    name: Annotated[
        str | None,
        typer.Option(help="Name of the module, and of its file unless -o names one. Default: from ARCH."),
    ] = None,
    target: Annotated[str, typer.Option(help="What the module runs on.")] = "numpy",
    bare: Annotated[
        bool, typer.Option("--bare", help="The network and its training step alone, to be read.")
    ] = False,
    hessian_vector: Annotated[
        bool,
        typer.Option("--hessian-vector", help="With a function for the Hessian's product with a vector."),
    ] = False,
    file: Destination = None,
) -> None:
    """Write a standalone NumPy trainer."""
    from symbackprop import pipeline

    network = options.network(architecture)
    if target != "numpy":
        raise SpecificationError(f"--target: {excerpt(target)} is not known; known are: numpy")
    module = network.model.name if name is None else _module_name(name)
    text = pipeline.generate(network, optimizer=optimizer, bare=bare, hessian_vector=hessian_vector)
    path = Path(f"{module}.py") if file is None else file
    if path.stem in {"numpy", *sys.stdlib_module_names}:
        raise SpecificationError(
            f"{path}: would hide the module {path.stem} from Python; choose another name"
        )
    _write(text, path)


@app.command()
@with_options
def derive(
    options: NetworkOptions,
    architecture: Annotated[
        str | None,
        typer.Argument(metavar="ARCH", help="As for generate; only its activations matter with --depth."),
    ] = None,
    optimizer: Optimizer = "sgd",
    format: Format = None,
    notation: Notation = None,
    lang: Annotated[str, typer.Option(help="en or ko: the language of the sentences.")] = "en",
    depth: Annotated[
        str | None,
        typer.Option(metavar="L", help="L: the theorem for any number of layers, proved; ARCH is left out."),
    ] = None,
    of: Annotated[
        list[str] | None,
        typer.Option(
            "--of",
            metavar="NAMES",
            help="Quantities, such as w1,x0, that alone it is derived for: parameters, inputs, or between.",
        ),
    ] = None,
    order: Annotated[int, typer.Option(help="2: second derivatives, for each pair of parameters.")] = 1,
    hessian_vector: Annotated[
        bool, typer.Option("--hessian-vector", help="The product of the Hessian with a vector.")
    ] = False,
    only: Annotated[
        str | None, typer.Option(metavar="PART", help="results: what matters alone, on one page.")
    ] = None,
    fragment: Fragment = False,
    file: Destination = None,
) -> None:
    """Print the derivation, step by step."""
    from symbackprop import pipeline
    from symbackprop.document.printable import PARTS

    document = DocumentOptions(format, notation, fragment, lang, file)
    if architecture is None and depth is None:
        raise SpecificationError("derive: ARCH is missing; write an architecture such as 2-3-1")
    if only is not None:
        require_known("--only", only, PARTS)
    asked = {"--hessian-vector": hessian_vector, "--of": of is not None, "--order": order != 1}
    _refuse_beside(asked, {"--depth": depth is not None, "--optimizer": optimizer != "sgd"})
    if hessian_vector:
        _refuse_beside({"--hessian-vector": True}, {"--of": of is not None, "--order": order != 1})
        derivation = pipeline.derive_hessian_vector_product(options.network(str(architecture)))
        _write_derivation(derivation, only is not None, document)
    elif depth is None:
        network = options.network(str(architecture))
        derivation = pipeline.derive(network, optimizer=optimizer, of=of, order=order)
        _write_derivation(derivation, only is not None, document)
    else:
        network = options.network("2-2-2" if architecture is None else architecture)
        _derive_theorem(network, depth, only is not None, document)


def _refuse_beside(asked: dict[str, bool], others: dict[str, bool]) -> None:
    """Refuse the first of other options that is given beside one of those that are asked for."""
    own = next((name for name, given in asked.items() if given), None)
    other = next((name for name, given in others.items() if given), None)
    if own is not None and other is not None:
        raise SpecificationError(f"{own}: {other} has no meaning beside it; leave one of them out")


def _write_derivation(derivation: Derivation, summary: bool, document: DocumentOptions) -> None:
    """Print the derivation of one network, or its summary on one page."""
    from symbackprop.document.render import heading, render
    from symbackprop.document.summary import summary_of

    text = render(
        derivation,
        document.source,
        title=heading(derivation, document.lang),
        notation=document.notation,
        fragment=document.fragment,
        language=document.lang,
        instead=summary_of if summary else None,
        code=derivation.lines_of_code,
    )
    _write_document(text, document)


def _derive_theorem(network: Network, depth: str, summary: bool, document: DocumentOptions) -> None:
    """Print the theorem for any number of layers, or its statement; one that is wrong is exit status 1."""
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
    text = render_theorem(
        theorem,
        found,
        document.source,
        notation=document.notation,
        fragment=document.fragment,
        language=document.lang,
        summary=summary,
    )
    _write_document(text, document)


@app.command()
@with_options
def draw(
    architecture: Architecture,
    options: NetworkOptions,
    format: Annotated[
        str | None, typer.Option(help="svg or tikz. Default: by the suffix of the file, else svg.")
    ] = None,
    lang: Annotated[str, typer.Option(help="en or ko: the language of the description.")] = "en",
    file: Destination = None,
) -> None:
    """Draw the network."""
    from symbackprop import pipeline
    from symbackprop.document.language.catalogues import CATALOGUES

    require_known("--lang", lang, CATALOGUES)
    if format is not None:
        require_known("--format", format, pipeline.DRAWINGS)
    else:
        format = pipeline.format_of(file)
    _write(pipeline.draw(options.network(architecture), format=format, language=lang), file)


@app.command()
@with_options
def check(
    architecture: Annotated[
        str,
        typer.Argument(
            metavar="ARCH|FILE.py", help="An architecture, a FILE.net, or a generated module (is run)."
        ),
    ],
    options: NetworkOptions,
) -> None:
    """Prove every step, and check the code against numbers.

    The steps are those of the derivation, the code is the generated module.
    """
    from symbackprop.commands.check import check_file, check_network

    if architecture.endswith(".py"):
        options.refuse_beside_a_file()
        report = check_file(Path(architecture))
    else:
        report = check_network(options.network(architecture))
    _say(report.table())
    if report.refusal is not None:
        raise report.refusal
    raise typer.Exit(0 if report.holds else 1)


@app.command()
@with_options
def trace(
    architecture: Architecture,
    options: NetworkOptions,
    *,
    parameters: Annotated[
        Path | None, typer.Option(help="An .npz with an array for each parameter. Default: drawn.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="An .npz with inputs x and targets t, a row a sample. Default: one drawn sample."),
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="The learning rate of the step.")] = 0.5,
    freeze: Annotated[str, typer.Option(help="Parameters that stay as they are, such as b1,b2.")] = "",
    seed: Annotated[int, typer.Option(help="The seed of what is drawn.")] = 0,
    digits: Annotated[int, typer.Option(help="Significant digits of the numbers, from 3 to 17.")] = 6,
    document: DocumentOptions,
) -> None:
    """A worked example: every equation with its numbers.

    It ends with one step of training.
    """
    from symbackprop.commands.inputs import data_in, read_arrays
    from symbackprop.commands.trace import trace as traced

    network = options.network(architecture)
    x, t = (None, None) if data is None else data_in(read_arrays(data), network.model, str(data))
    found = traced(
        network,
        parameters=None if parameters is None else read_arrays(parameters),
        x=x,
        t=t,
        learning_rate=learning_rate,
        freeze=[name.strip() for name in freeze.split(",") if name.strip()],
        seed=seed,
        digits=digits,
    )
    _write_found(found, document)


@app.command()
@with_options
def verify(
    architecture: Architecture,
    options: NetworkOptions,
    claim: Annotated[
        str | None,
        typer.Argument(help='What you derived, such as "dE/dw2[j,i] = (x2[i] - t[i])*x1[j]".'),
    ] = None,
    claims: Annotated[
        Path | None, typer.Option("--file", help="A file of claims, one a line; # begins a comment.")
    ] = None,
    function: Annotated[
        str | None,
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
    network = options.network(architecture)
    if function is not None:
        found = verify_function(network, import_function(function))
    else:
        found = verify_lines(network, [claim] if claim is not None else _lines(claims))
    _say("\n".join(printable(line) for each in found for line in each.report().split("\n")))
    raise typer.Exit(0 if all(found) else 1)


@app.command()
@with_options
def exercise(architecture: Architecture, options: NetworkOptions, document: DocumentOptions) -> None:
    """A sheet with blanks, and its solution."""
    from symbackprop.commands.exercise import exercise as sheet

    _write_found(sheet(options.network(architecture)), document)


@app.command()
@with_options
def equations(architecture: Architecture, options: NetworkOptions, file: Destination = None) -> None:
    """Print the forward equations as a .net file.

    The same trainer can be generated from it.
    """
    from symbackprop.network.writing import text_of

    _write(text_of(options.network(architecture)), file)


@app.command(name="list")
def list_(
    topic: Annotated[
        str | None, typer.Argument(help="activations, losses, optimizers, initializers, notations or blocks.")
    ] = None,
) -> None:
    """Show what there is, with formulas and slopes."""
    from symbackprop.commands.listing import TOPICS

    if topic is not None:
        require_known("list", topic, TOPICS)
    chosen = TOPICS if topic is None else {topic: TOPICS[topic]}
    _say("\n\n".join(table() for table in chosen.values()))


@app.command()
def demo() -> None:
    """Derive, prove and train on handwritten digits."""
    from symbackprop.commands.demo import run

    raise typer.Exit(0 if run(_say) else 1)


def _lines(path: Path | None) -> list[str]:
    """Return the lines of a file of claims."""
    try:
        return Path(str(path)).read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise SpecificationError(f"{path}: is not text in UTF-8") from error
    except OSError as error:
        raise SpecificationError(f"{path}: can't be read: {error.strerror}") from error


def _module_name(name: str) -> str:
    import keyword

    if not (name.isidentifier() and name.isascii()) or keyword.iskeyword(name):
        raise SpecificationError(f"--name: {excerpt(name)} is not a Python name; write one such as digits")
    return name


def _write_found(found: Trace | Exercise, document: DocumentOptions) -> None:
    text = found.document(document.source, document.notation, document.fragment, document.lang)
    _write_document(text, document)


def _write_document(text: str, document: DocumentOptions) -> None:
    """Write a document that is printed in the format ``document.source``."""
    if document.chosen == "pdf":
        from symbackprop.document.pdf import compiled

        _write(compiled(text), document.file)
    else:
        _write(text, document.file)


def _write(content: str | bytes, file: Path | None) -> None:
    """Write to a file, or where none is named to standard output."""
    if file is None or str(file) == "-":
        _say(content, end="")
        return
    from symbackprop.files import write_file

    write_file(file, content)
    _say(printable(f"wrote {file}"))


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
