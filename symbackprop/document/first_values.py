"""What a document says of the first values of parameters: their variances, and why."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Expr

from symbackprop.derivation.strength import strength_passed_on
from symbackprop.document.sentences import Sentences
from symbackprop.equations.model import Initial, Initializer
from symbackprop.equations.system import Equation
from symbackprop.library.formula import parse
from symbackprop.library.initializers import INITIALIZERS
from symbackprop.printing.layers import LayerRun, with_runs


class FirstValues:
    """Puts the initialisers of a network into words."""

    def __init__(self, sentences: Sentences) -> None:
        self.sentences = sentences
        self.style = sentences.style
        self.say = sentences.say

    def lines(self) -> list[str]:
        """Return one line for each initialiser: its variances, and the reason for them."""
        model = self.sentences.derivation.model
        groups: dict[str, dict[str, Initial]] = {}
        for name, initial in model.initial.items() if model is not None else ():
            if initial.initializer is not None:
                groups.setdefault(initial.initializer.name, {})[name] = initial
        return [self._initial_line(INITIALIZERS[name], drawn) for name, drawn in groups.items()]

    def _initial_line(self, initializer: Initializer, drawn: Mapping[str, Initial]) -> str:
        formulas = {self.style.escape(i.activation): i.formula for i in drawn.values() if i.activation}
        return self.say(
            "initial.line" if formulas else "initial.plain",
            initializer=self.style.escape(initializer.name),
            activations=self.sentences.listed(formulas) if formulas else "",
            variances=self.sentences.listed(self._variances(drawn)),
            reason=self._reason(initializer.reason, formulas),
        )

    def _reason(self, reason: str, formulas: Mapping[str, Expr | None]) -> str:
        """Return why an initialiser has its variance: with what each activation passes on of a signal."""
        if reason != "half":
            return self.say(f"initial.{reason}")
        passed = {name: strength_passed_on(formula) for name, formula in formulas.items()}
        shares = [
            self.say("initial.share", activation=name, share=f"{share:.3g}")
            for name, share in passed.items()
            if share is not None
        ]
        if not shares:
            return self.say("initial.relu")
        return self.say("initial.half", shares=self.sentences.listed(shares))

    def _variances(self, drawn: Mapping[str, Initial]) -> list[str]:
        found: list[str] = []

        def alike(a: str, b: str, shift: int) -> bool:
            first, second = (Equation(drawn[name].fan_in, drawn[name].fan_out) for name in (a, b))
            layers = self.sentences.layers
            return layers.shift.name(a, shift) == b and layers.same_up_to_layer(first, second, shift)

        alone: dict[str, list[str]] = {}
        for item in with_runs(list(drawn), self.sentences.system.layer, alike):
            if not isinstance(item, LayerRun):
                weight, formula = self._variance(item, drawn[item])
                alone.setdefault(formula, []).append(weight)
                continue
            general = FirstValues(self.sentences.general(item.layers[0]))
            weight, formula = general._variance(item.first[0], drawn[item.first[0]])
            once = self.say("initial.variance", weights=weight, formula=formula)
            layers = self.sentences.layers_said(item.layers)
            found.append(self.say("run.given", quantities=once, layers=layers))
        return [
            self.say("initial.variance", weights=self.sentences.listed(weights), formula=formula)
            for formula, weights in alone.items()
        ] + found

    def _variance(self, name: str, initial: Initial) -> tuple[str, str]:
        """Return a weight and its variance."""
        assert initial.initializer is not None
        piece = self.style.printer.component(name, self.sentences.derivation.indices(name)).text
        fans = {"fan_in": initial.fan_in, "fan_out": initial.fan_out}
        variance = parse(initial.initializer.variance, fans)
        return self.style.inline(piece), self.style.inline(self.style.on_one_line(variance))
