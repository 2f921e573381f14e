"""Objects that print themselves in every format, a derivation first of all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Self

from sympy import Expr, Symbol

from symbackprop.equations.steps import Derived
from symbackprop.equations.system import indices_of
from symbackprop.errors import SpecificationError, require_flag, require_known, require_text

if TYPE_CHECKING:
    from symbackprop.document.sentences import Sentences

FORMATS = {
    "text": (".txt",),
    "markdown": (".md", ".markdown"),
    "latex": (".tex",),
    "beamer": (),
    "html": (".html", ".htm"),
    "notebook": (".ipynb",),
    "pdf": (".pdf",),
}
"""Format of a document -> the suffixes of the files that choose it."""
PARTS = ("results",)
"""Parts of a derivation that can be printed alone."""
TEXT_FORMATS = tuple(name for name in FORMATS if name != "pdf")
"""The formats that are text."""


class Printable(ABC):
    """A document in every format, notation and language."""

    @abstractmethod
    def _rendered(self, form: str, notation: str | None, fragment: bool, language: str) -> str:
        """Return the document; the arguments are known to be right."""

    def document(
        self,
        form: str,
        notation: str | None = None,
        fragment: bool = False,
        language: str = "en",
        only: str | None = None,
    ) -> str:
        """Return the document in a format that is text: one of ``TEXT_FORMATS``.

        ``only`` is a part of it that stands alone: of a derivation "results", its one page.

        Raises:
            SpecificationError: there is no such format, notation, language or part.
        """
        from symbackprop.document.language.catalogues import CATALOGUES
        from symbackprop.printing.notation import NOTATIONS

        require_known("format", form, TEXT_FORMATS)
        require_known("language", language, CATALOGUES)
        require_flag("fragment", fragment)
        if notation is not None:
            require_known("notation", notation, NOTATIONS)
        if only is not None:
            return self._part(form, notation, fragment, language, only)
        return self._rendered(form, notation, fragment, language)

    def _part(self, form: str, notation: str | None, fragment: bool, language: str, only: str) -> str:
        """Return a part of the document; here none stands alone."""
        raise SpecificationError("only: parts that stand alone are those of a derivation; leave it out")

    def text(self, notation: str | None = None, language: str = "en", only: str | None = None) -> str:
        """Return plain text."""
        return self.document("text", notation, language=language, only=only)

    def markdown(self, notation: str | None = None, language: str = "en", only: str | None = None) -> str:
        """Return Markdown, with formulas as GitHub shows them."""
        return self.document("markdown", notation, language=language, only=only)

    def latex(
        self,
        notation: str | None = None,
        fragment: bool = False,
        language: str = "en",
        only: str | None = None,
    ) -> str:
        """Return LaTeX; a ``fragment`` is for inclusion in a document of your own."""
        return self.document("latex", notation, fragment, language, only)

    def html(
        self,
        notation: str | None = None,
        fragment: bool = False,
        language: str = "en",
        only: str | None = None,
    ) -> str:
        """Return a page that needs nothing else, or a part for inclusion in one."""
        return self.document("html", notation, fragment, language, only)

    def pdf(self, notation: str | None = None, language: str = "en", only: str | None = None) -> bytes:
        """Return a PDF, set by the TeX that is installed.

        Raises:
            SpecificationError: there is no TeX, or it fails.
        """
        from symbackprop.document.pdf import compiled

        return compiled(self.latex(notation, language=language, only=only))

    def _repr_html_(self) -> str:
        return self.html(fragment=True)

    def _repr_markdown_(self) -> str:
        return self._rendered("cell", None, False, "en")

    def _repr_latex_(self) -> str:
        return self.latex(fragment=True)


class Derivation(Printable, Derived):
    """A derivation that prints itself: its equations, numbered steps and results.

    ``document`` and its short forms return it in a format; the other members are those of ``Derived``.
    """

    @classmethod
    def same_as(cls, derived: Derived) -> Self:
        """Return the same derivation as one that prints itself."""
        return cls(**{f.name: getattr(derived, f.name) for f in fields(derived) if f.init})

    @cached_property
    def _derived_later(self) -> dict[str, Derived]:
        return {}

    def further(self, name: str) -> Derived:
        """Return the derivation with a result for ``name`` too, derived when it is first asked for.

        Raises:
            SpecificationError: the name is not known, or of what has no derivative.
        """
        from symbackprop.derivation.wanted import derive_further

        if name not in self._derived_later:
            self._derived_later[name] = derive_further(self, [name])
        return self._derived_later[name]

    @cached_property
    def _second_later(self) -> dict[frozenset[str], Derived]:
        return {}

    def hessian(self, name: str, other: str, inline: bool = True) -> Expr:
        """Return the second derivative of the loss for two parameters, such as ∂²E/∂w2[j,i]∂w1[k,j'].

        Its free indices are those of ``name``, then those of ``other``: ``indices(name, other)``.  It is in
        forward quantities alone; without ``inline`` derivatives that the derivation to second order
        (``derive(network, order=2)``) has equations for stay under their names.

        Raises:
            SpecificationError: a name that is no parameter.
        """
        from symbackprop.derivation.second_order import second_derivative

        found = self._second(name, other)
        return second_derivative(found, name, other, require_flag("inline", inline))[1]

    def indices(self, name: str, other: str | None = None) -> tuple[Symbol, ...]:
        """Return the free indices of the derivative for ``name``, in the order of its axes.

        With ``other`` those of the second derivative for both, first those of ``name``.
        """
        if other is None:
            return super().indices(name)
        from symbackprop.derivation.second_order import second_derivative

        return indices_of(second_derivative(self._second(name, other), name, other, inline=False)[0])

    def _second(self, name: str, other: str) -> Derived:
        """Return a derivation that has the second derivative for two parameters."""
        from symbackprop.derivation.second_order import derive_second

        if not {(name, other), (other, name)}.isdisjoint(self.second):
            return self
        if self.model is None:
            raise SpecificationError("second derivatives: the derivation has no network")
        names = [require_text("second derivatives", each) for each in (name, other)]
        pair = frozenset(names)
        if pair not in self._second_later:
            self._second_later[pair] = derive_second(self.model, names)
        return self._second_later[pair]

    def hessian_vector_product(self) -> Derivation:
        """Return the derivation of the Hessian's product with a vector v, which has a part per parameter.

        Its error D is what E changes by along v; ``gradient("w2")`` of it is the part of the product for w2.

        Raises:
            SpecificationError: the network has no parameters.
        """
        from symbackprop.derivation.second_order import derive_along

        if self.model is None:
            raise SpecificationError(
                "the product of the Hessian with a vector: the derivation has no network"
            )
        return self.same_as(derive_along(self.model))

    def _rendered(self, form: str, notation: str | None, fragment: bool, language: str) -> str:
        return self._written(form, notation, fragment, language)

    def _part(self, form: str, notation: str | None, fragment: bool, language: str, only: str) -> str:
        from symbackprop.document.summary import summary_of

        require_known("only", only, PARTS)
        return self._written(form, notation, fragment, language, summary_of)

    def _written(
        self,
        form: str,
        notation: str | None,
        fragment: bool,
        language: str,
        instead: Callable[[Sentences], Mapping[str, object]] | None = None,
    ) -> str:
        from symbackprop.document.render import heading, render

        return render(
            self,
            form,
            title=heading(self, language),
            notation=notation,
            fragment=fragment,
            language=language,
            instead=instead,
            code=self.lines_of_code,
        )

    def lines_of_code(self) -> Mapping[int, Sequence[str]]:
        """Return the lines that carry out each numbered equation; here there are none."""
        return {}


def printable(derived: Derived) -> Derivation:
    """Return the same derivation as one that prints itself."""
    return Derivation.same_as(derived)
