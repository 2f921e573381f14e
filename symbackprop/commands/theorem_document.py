"""The theorem for L layers as a document: base case, induction step, and their results.

In go a ``Theorem`` and its ``Check``, out comes text in any format, through the templates of a derivation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from sympy import Symbol

from symbackprop.commands.theorem import DEPTHS, SEED, Check, Theorem
from symbackprop.derivation.stable.bounds import shown
from symbackprop.document.analysis import product_of_largest, slopes_of
from symbackprop.document.blocks import EquationBlock, Group, ResultRow
from symbackprop.document.drawing.depth import lay_out
from symbackprop.document.drawing.picture import Picture
from symbackprop.document.language.catalogues import CATALOGUES, words_in_formulas
from symbackprop.document.overview import NOTHING
from symbackprop.document.remarks import Remarks
from symbackprop.document.render import document_context, format_named
from symbackprop.document.sentences import Sentences
from symbackprop.document.summary import DETAILS
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import Equation
from symbackprop.errors import SpecificationError
from symbackprop.printing.layers import LAYER
from symbackprop.printing.notation import notation_for, with_layers
from symbackprop.printing.templating import environment

_LAYERS_OF_BASE: Mapping[int, str] = {1: "L-1", 2: "L"}
_LAYERS_OF_STEP: Mapping[int, str] = {0: f"{LAYER}-1", 1: LAYER, 2: f"{LAYER}+1"}


def render_theorem(
    theorem: Theorem,
    check: Check,
    format: str,
    *,
    notation: str | None = None,
    fragment: bool = False,
    language: str = "en",
    summary: bool = False,
) -> str:
    """Return ``theorem`` as a document; arguments as for `symbackprop.document.render`.

    A ``summary`` is the theorem alone, with what was assumed, and without its proof.

    Raises:
        KeyError: there is no such format, notation or language.
        SpecificationError: the notation hides the layers, which a theorem about them can't do without.
    """
    if notation == "textbook":
        raise SpecificationError(
            "notation: 'textbook' shows no layers, and --depth is about them; use 'layered'"
        )
    printed = _Printed(theorem, format, notation or "layered", language)
    template = environment(latex=printed.style.latex_template).get_template(printed.style.template)
    context = printed.context(check, fragment)
    if summary:
        proof = {*DETAILS, "results"} - {"forward"}  # the theorem cites the equations
        context |= {**dict.fromkeys(sorted(proof), ()), "one_page": True}
    return printed.style.finished(template.render(context))


class _Printed:
    """Base case and induction step, each with the sentences that call its layers L, or ℓ and ℓ+1."""

    def __init__(self, theorem: Theorem, format: str, notation: str, language: str) -> None:
        self.theorem = theorem
        self.catalogue = CATALOGUES[language]
        self.format, self.notation = format, notation
        base, step = _numbered(theorem)
        self.base, self.step = (
            self._sentences_of(base, _LAYERS_OF_BASE),
            self._sentences_of(step, _LAYERS_OF_STEP),
        )
        self.style = self.base.style

    def _sentences_of(
        self, derivation: Derived, layers: Mapping[int, str], notation: str | None = None
    ) -> Sentences:
        plain = notation_for(derivation, notation or self.notation, words_in_formulas(self.catalogue))
        roles = {**derivation.system.roles, **derivation.system.size_roles}
        called = {name: layers[role.layer] for name, role in roles.items() if role.layer in layers}
        style = format_named(self.format)(with_layers(plain, called), derivation)
        return Sentences(derivation, style, self.catalogue)

    def context(self, check: Check, fragment: bool) -> dict[str, object]:
        """Return the template context: for each section its strings and blocks."""
        known = document_context(
            self.base.derivation, self.style, self.catalogue, self._title(), [], fragment
        )
        head, *rows = self.style.table([self._columns(), *self.base.rows(), *self.step.rows()])
        return {
            **known,
            **NOTHING,  # the theorem says it
            "drawing": "",  # that of the theorem stands in it
            **self._statement(fragment),
            "backward_heading": self._say("heading.proof"),
            "given": [],  # what is given stands in the theorem
            "forward": [*self._equations(self.step, 1, "theorem.hidden"), *self._last_layer()],
            "groups": [*self._base_case(), *self._induction_step()],
            "slopes": self._slopes(),
            "results_columns": head,
            "results": rows,
            "assumed_heading": self._say("heading.holds"),
            "assumptions": [*self.base.assumptions(), *self.step.kinks(), self._checked(check)],
        }

    def _title(self) -> str:
        network = self.theorem.network
        hidden, last = network.layers[0].activation, network.layers[-1].activation
        title = self.catalogue["theorem.title"]
        return title.format(hidden=hidden, output=last, loss=network.loss)

    # ---- the statement

    def _statement(self, fragment: bool) -> dict[str, object]:
        """Return the part of the context that states the theorem, before anything is proved."""
        labels = self.base.derivation.labels
        loss = self.base.derivation.system.loss
        said = {"first": "(1)", "last": f"({labels[loss]})", "loss": self._symbol(loss)}
        drawn = {"theorem_drawing": self.style.drawn(self._picture(), fragment)} if self.style.draws else {}
        matrices, introduction = self._matrices()
        return {
            "theorem": [*self._given(), self._say("theorem.statement", **said), *self.base.facts()],
            "theorem_formulas": [*self._results(self.base, ""), *self._results(self.step, self._of_layers)],
            "theorem_matrices_introduction": introduction,
            "theorem_matrices": matrices,
            **drawn,
        }

    @property
    def _of_layers(self) -> str:
        return f"{self.style.space}{self.style.printer.symbol(LAYER).text} = 1, {self.style.dots}, L-1"

    def _results(self, sentences: Sentences, layers: str) -> Iterator[str]:
        """Yield the results for pre-activations and parameters, each with the number of its step."""
        derivation = sentences.derivation
        for name, number in derivation.results.items():
            if derivation.system.kind(name) in ("pre-activation", "weight", "bias"):
                step = derivation.by_number[number]
                yield sentences.formula(step.lhs, step.rhs, True, f"({number}){layers}")

    def _matrices(self) -> tuple[list[str], str]:
        """Return the results in vectors and matrices with the words before them, where there are such."""
        if self.notation == "matrix":
            return [], ""  # all results are
        base = self._sentences_of(self.base.derivation, _LAYERS_OF_BASE, "matrix")
        step = self._sentences_of(self.step.derivation, _LAYERS_OF_STEP, "matrix")
        try:
            found = [*self._results(base, ""), *self._results(step, self._of_layers)]
        except SpecificationError:
            return [], ""
        result = self.step.derivation.by_number[self.step.derivation.results["s1"]]
        error = step.row(result.number).derivative
        words = [
            self._say("theorem.matrices"),
            self._say("backward.errors", error=error, derivative=self.step.inline(result.lhs)),
            self._say("arrays.product", mark=self.style.inline(self.style.product)),
        ]
        return found, " ".join(words)

    def _picture(self) -> Picture:
        notation = self.base.style.printer.notation
        value, weight = (notation.glyph(name).word for name in ("x1", "w2"))
        loss = self.base.derivation.system.loss
        return lay_out(value, weight, loss, self._title(), self.catalogue["theorem.drawing"])

    def _say(self, key: str, **values: str) -> str:
        return self.base.say(key, **values)

    def _columns(self) -> ResultRow:
        return ResultRow(*(self._say(f"heading.{name}") for name in ("number", "derivative", "formula")))

    def _symbol(self, name: str) -> str:
        return self.style.inline(self.style.printer.symbol(name).text)

    @property
    def _hidden(self) -> str:
        layer, dots = self.style.printer.symbol(LAYER).text, self.style.dots
        return self.style.inline(f"{layer} = 1, {dots}, L-1")

    def _given(self) -> list[str]:
        return [self._say("theorem.given", depth=self._symbol("L"), layer=self._symbol(LAYER))]

    def _equations(self, sentences: Sentences, layer: int, key: str) -> list[EquationBlock]:
        equations = [e for e in sentences.system.equations if sentences.system.layer(e.name) == layer]
        found = [sentences.forward(equation) for equation in equations]
        return [replace(found[0], note=self._say(key, layers=self._hidden)), *found[1:]]

    def _last_layer(self) -> list[EquationBlock]:
        equations: list[Equation] = list(self.base.system.equations)
        found = [self.base.forward(equation) for equation in equations]
        return [replace(found[0], note=self._say("theorem.last")), *found[1:]]

    def _base_case(self) -> list[Group]:
        groups = self.base.groups()
        return [replace(groups[0], note=self._say("theorem.base")), *groups[1:]]

    def _induction_step(self) -> list[Group]:
        groups = self.step.groups()
        behind = self.step.system.definitions[self.theorem.behind]
        known = behind.lhs
        seed = self.step.system.quantities[SEED].at(behind.indices)
        note = self._say(
            "theorem.step",
            layer=self._symbol(LAYER),
            known=self.step.inline(seed),
            through=self.step.inline(known),
            following=self.style.inline(f"{self.style.printer.symbol(LAYER).text}+1"),
            own=f"({self.step.derivation.labels['s1']})",
            last=f"({self.base.derivation.labels['s2']})",
            loss=self._symbol(self.step.system.loss),
        )
        end = self._say("theorem.conclusion", layers=self._hidden)
        return [replace(groups[0], note=note), *groups[1:-1], replace(groups[-1], lines=(end,))]

    def _slopes(self) -> list[str]:
        lines = Remarks(self.step).slopes(whole=False)
        slopes = slopes_of(self.step.derivation)
        if not slopes:
            return lines
        _, largest = product_of_largest(slopes)
        power = self.style.infinite(self.style.power(shown(largest), "L-1"))
        key = "slopes.keep" if largest == 1 else "slopes.vanish" if largest < 1 else "slopes.explode"
        return [*lines, self._say("slopes.product", product=self.style.inline(power)), self._say(key)]

    def _checked(self, check: Check) -> str:
        proved = sum(verdict.holds for verdict in check.verdicts)
        said = {"steps": str(len(check.verdicts)), "first": str(DEPTHS[0]), "last": str(DEPTHS[-1])}
        if proved == len(check.verdicts):
            return self._say("theorem.all", **said)
        return self._say("theorem.checked", proved=str(proved), **said)


def _numbered(theorem: Theorem) -> tuple[Derived, Derived]:
    """Return base case and induction step with the numbers of one document.

    The equations of layer ℓ are also those of layer ℓ+1.  Steps that only serve to keep names are left out.
    """
    system = theorem.step.system
    hidden = [e.name for e in system.equations if system.layer(e.name) == 1]
    numbers = {name: n for n, name in enumerate(hidden, start=1)}
    last = {name: n for n, name in enumerate(theorem.base.labels, start=len(numbers) + 1)}
    base = _renumbered(theorem.base, 2, last, max(last.values()))
    behind = {e.name: numbers[system.like(e.name, 1)] for e in system.equations[len(hidden) : -1]}
    of_step = {**numbers, **behind, system.loss: last[theorem.base.system.loss]}
    step = _renumbered(theorem.step, 1, of_step, max(base.by_number))
    return base, replace(step, adjoints={**step.adjoints, SEED: theorem.behind})


def _renumbered(derivation: Derived, layer: int, numbers: dict[str, int], last: int) -> Derived:
    kept = [
        s
        for s in derivation.steps
        if derivation.system.layer(s.target) == layer and not _only_names_the_seed(s)
    ]
    new = {step.number: last + n for n, step in enumerate(kept, start=1)}
    steps = [Step(new[s.number], s.target, s.rule, s.lhs, s.rhs, s.by) for s in kept]
    results = {name: new[n] for name, n in derivation.results.items() if n in new}
    kind = derivation.system.kind
    # x of the layer before is no parameter; its derivative was asked for so that others keep their names.
    parameters = tuple(name for name in derivation.system.parameters if kind(name) in ("weight", "bias", ""))
    system = replace(derivation.system, parameters=parameters)
    return replace(derivation, system=system, steps=tuple(steps), results=results, labels=numbers, stable=())


def _only_names_the_seed(step: Step) -> bool:
    """Whether a step writes c for ∂E/∂s[ℓ+1], which is only another name of it."""
    return step.rule == "substitution" and Symbol(SEED, real=True) in step.rhs.free_symbols
