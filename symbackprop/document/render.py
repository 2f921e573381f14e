"""A derivation as a document: text, Markdown, LaTeX or HTML.

``render`` turns the steps into the strings and lists that a template places.  Formulas come from the
steps alone, sentences from the catalogue of the language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from symbackprop.document import derivatives
from symbackprop.document.arrays import ArraySection, Code
from symbackprop.document.beamer import BeamerFormat
from symbackprop.document.first_values import FirstValues
from symbackprop.document.formats import CompactLatexFormat, Format, LatexFormat, TextFormat
from symbackprop.document.language.catalogues import CATALOGUES, Catalogue, words_in_formulas
from symbackprop.document.markdown import CellFormat, MarkdownFormat
from symbackprop.document.overview import NOTHING, Overview
from symbackprop.document.remarks import Remarks
from symbackprop.document.sentences import Sentences
from symbackprop.document.sought import rows_of_second, sought
from symbackprop.equations.steps import Derived
from symbackprop.printing.notation import notation_for
from symbackprop.printing.templating import environment


def render(
    derivation: Derived,
    format: str,
    *,
    title: str,
    notation: str | None = None,
    fragment: bool = False,
    header: Sequence[str] = (),
    language: str = "en",
    instead: Callable[[Sentences], Mapping[str, object]] | None = None,
    code: Code = dict,
) -> str:
    """Return ``derivation`` as a document.

    Args:
        derivation: the equations and the steps.
        format: one of ``printable.FORMATS`` but "pdf", or "compact latex".
        title: the heading of the document, plain text.
        notation: "textbook", "layered", "zad" or "matrix"; None chooses the one that suits the network.
        fragment: leave out the title and, in LaTeX, the preamble.
        header: lines below the title, plain text, such as the architecture.
        language: a key of ``CATALOGUES``.
        instead: makes the template context that replaces sections, by the keys of ``document_context``.
        code: gives the lines of code that carry out each numbered equation.

    Raises:
        KeyError: there is no such format, notation or language.
        SpecificationError: an equation that the notation can't say.
    """
    catalogue = CATALOGUES[language]
    style = format_named(format)(notation_for(derivation, notation, words_in_formulas(catalogue)), derivation)
    context = document_context(derivation, style, catalogue, title, header, fragment)
    if instead is None:
        context |= ArraySection(Sentences(derivation, style, catalogue), code).context()
    else:
        context |= {**NOTHING, **instead(Sentences(derivation, style, catalogue))}
    template = environment(latex=style.latex_template).get_template(style.template)
    return style.finished(template.render(context))


def heading(derivation: Derived, language: str) -> str:
    """Return the heading of a document: the derivation's title, of a dense network in a sentence."""
    dense = derivation.model is not None and derivation.model.layers
    title = derivation.title
    return CATALOGUES[language]["document.title"].format(network=title) if dense else title


def document_context(
    derivation: Derived,
    style: Format,
    catalogue: Catalogue,
    title: str,
    header: Sequence[str],
    fragment: bool,
) -> dict[str, object]:
    """Return the template context: the same keys for every format, and those of its own."""
    sentences = Sentences(derivation, style, catalogue)
    commentary, overview = Remarks(sentences), Overview(sentences)
    headings = {f"{name}_heading": sentences.say(f"heading.{name}") for name in SECTIONS}
    trains = bool(derivation.update) and not derivation.of
    second = [row for _, row in rows_of_second(sentences)]
    head, *rows = style.table([sentences.columns_of_results(), *sentences.rows(), *second])
    return {
        **headings,
        "title": style.escape(title),
        "header": [style.escape(line) for line in header],
        "fragment": fragment,
        **style.extra(catalogue, fragment),
        **overview.context(),
        "algorithm_introduction": sentences.say("algorithm.introduction"),
        "theorem": [],
        "theorem_formulas": [],
        "theorem_matrices_introduction": "",
        "theorem_matrices": [],
        "given": sentences.given(),
        "forward": derivatives.forwards(sentences),
        "error": commentary.error(),
        "backward_introduction": sought(sentences) + sentences.backward_introduction(),
        "groups": derivatives.groups(sentences),
        "slopes": commentary.slopes(),
        "stable_introduction": sentences.say("stable.introduction"),
        "stable": sentences.explained_once(derivation.stable),
        "batch_introduction": sentences.batch_introduction(),
        "batch": sentences.explained_once(derivation.batch),
        "arrays_introduction": "",
        "arrays": (),
        "initial_introduction": sentences.say("initial.introduction"),
        "initial": [] if derivation.of else FirstValues(sentences).lines(),
        "descent": [] if derivation.of else commentary.descent(),
        "update_introduction": sentences.update_introduction(),
        "update": sentences.explained(derivation.update),
        "trainer_introduction": sentences.say("trainer.introduction") if trains else "",
        "trainer": sentences.explained(derivation.rescaled),
        "results_columns": head,
        "results": rows,
        "results_note": "",
        "assumptions": [*sentences.assumptions(), *derivatives.assumptions(sentences)],
    }


SECTIONS = (
    "overview",
    "overview_results",
    "theorem",
    "forward",
    "error",
    "backward",
    "slopes",
    "stable",
    "batch",
    "arrays",
    "initial",
    "update",
    "trainer",
    "results",
    "assumed",
)
"""The sections of a document in their order; behind the forward equations the network may be drawn."""


_STYLES: Mapping[str, type[Format]] = {
    "text": TextFormat,
    "markdown": MarkdownFormat,
    "cell": CellFormat,
    "latex": LatexFormat,
    "compact latex": CompactLatexFormat,
    "beamer": BeamerFormat,
}


def format_named(name: str) -> type[Format]:
    """Return a format by its name: one of documents, or "cell", the Markdown of a notebook."""
    if name == "html":
        from symbackprop.document.html import HtmlFormat  # imported here: few documents are pages

        return HtmlFormat
    if name == "notebook":
        from symbackprop.document.notebook import NotebookFormat

        return NotebookFormat
    return _STYLES[name]
