"""What a document says beside the steps: what the error punishes, how slopes shrink it, matrices, descent."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import Float, Integer, Mul, Symbol, oo, sympify

from symbackprop.batch import SAMPLES
from symbackprop.bounds import Bounds, shown
from symbackprop.derivation import Step
from symbackprop.equations import name_of
from symbackprop.insight import Slope, Tendency, error_of_one, is_chain, product_of_largest, slopes_of
from symbackprop.matrices import MatrixWriter, Unwritable
from symbackprop.narrator import Narrator
from symbackprop.printing import split_name
from symbackprop.repetition import Run, layer_of, with_runs


class Commentary:
    """Puts what is computed from a derivation into words."""

    def __init__(self, narrator: Narrator) -> None:
        self.narrator = narrator
        self.derivation = narrator.derivation
        self.system = narrator.system
        self.style = narrator.style
        self.say = narrator.say

    # ---- the error

    def error(self) -> list[str]:
        """Return what the error is for, and what it tends to as an output becomes right, or wrong."""
        loss = self.narrator.inline(self.system.quantities[self.system.loss].symbol)
        lines = [self.say("error.introduction", loss=loss)]
        found = error_of_one(self.derivation)
        if found is None:
            return lines
        lines.append(self.say("error.term", term=self.narrator.inline(found.term), loss=loss))
        return lines + [self._tendency(tendency) for tendency in found.tendencies]

    def _tendency(self, tendency: Tendency) -> str:
        show = self.style.printer.show
        if tendency.constant:
            key = "error.constant"
        elif tendency.right:
            key = "error.right"
        else:
            key = "error.infinite" if tendency.error == oo else "error.wrong"
        return self.say(
            key,
            target=self.style.inline(f"{show(tendency.target)} = {show(tendency.is_)}"),
            output=self.style.inline(self.style.arrow(show(tendency.output), show(tendency.goes_to))),
            name=self.style.inline(show(tendency.output)),
            error=self.style.inline(self._number(tendency.error)),
        )

    def _number(self, value: object) -> str:
        return self.style.infinite(self.style.printer.show(sympify(value)))

    # ---- slopes

    def slopes(self, whole: bool = True) -> list[str]:
        """Return the bounds of each slope, and what their product does to the error on its way back.

        The product is left out where the derivation is not ``whole``.
        """
        slopes = slopes_of(self.derivation)
        if not slopes:
            return []
        lines = [self.say("slopes.introduction")]
        alike: dict[tuple[Bounds, bool], list[Slope]] = {}
        for slope in slopes:
            alike.setdefault((slope.bounds, slope.cancels), []).append(slope)
        lines += [self._bounds(group) for group in alike.values()]
        factors, product = product_of_largest(slopes)
        if whole and factors and is_chain(self.derivation):
            lines += self._product(factors, product)
        return lines

    def _bounds(self, alike: list[Slope]) -> str:
        slope = alike[0]
        names = [self.narrator.inline(each.step.lhs) for each in alike]
        key = "slopes.cancels" if slope.cancels else "slopes.bounds"
        return self.say(
            key,
            slopes=self.narrator.from_to(names),
            interval=self.style.inline(self.style.infinite(str(slope.bounds))),
            largest=self.style.inline(self.style.infinite(shown(slope.largest))),
        )

    def _product(self, factors: Mapping[str, int], product: float) -> list[str]:
        powers = [self.style.power(base, count) for base, count in factors.items()]
        written = self.style.infinite(self.style.dot.join(powers))
        value = f"{product:.2g}"
        if sum(factors.values()) > 1 and value != written and product < float("inf"):
            written += self.style.about + self.style.printer.show(
                Float(value) if "e" in value else sympify(value)
            )
        key = "slopes.keep" if product == 1 else "slopes.vanish" if product < 1 else "slopes.explode"
        return [self.say("slopes.product", product=self.style.inline(written)), self.say(key)]

    # ---- matrices

    def matrix_introduction(self) -> str:
        """Return how the letters of the matrix form are to be read."""
        product = self.style.inline(self.style.product)
        named = [q for q in self.derivation.adjoints.values() if split_name(q).word == "s" and layer_of(q)]
        if not named:
            return self.say("matrices.plain", product=product)
        return self.say(
            "matrices.introduction",
            samples=self.narrator.inline(SAMPLES),
            errors=self.style.inline(self.style.errors),
            product=product,
        )

    def matrices(self) -> list[str]:
        """Return the derivatives for a batch as products of matrices, where they have such a form."""
        found: list[str] = []
        if self.style.printer.notation.name == "matrix":
            return found  # they have been told so already
        steps = [step for step in self.derivation.batch if step.target != self.system.loss]
        for item in with_runs(steps, lambda step: step.target, self.narrator.alike):
            if isinstance(item, Run):
                general = self.narrator.general(item.layers[0])
                layers = self.narrator.layers_said(item.layers)
                found += [line for step in item.first for line in Commentary(general)._matrix(step, layers)]
            else:
                found += self._matrix(item)
        return found

    def _matrix(self, step: Step, layers: str = "") -> list[str]:
        component = step.lhs.variables[0]
        axes = component.indices if hasattr(component, "indices") else ()
        try:
            left, parts = MatrixWriter(self.style.printer).equation(step.lhs, step.rhs, tuple(axes))
        except Unwritable:
            return []
        shape = self.narrator.note(name_of(component))
        return [self.style.display(left, parts, f"({step.number})" + self.style.space + shape)]

    # ---- gradient descent

    def descent(self) -> list[str]:
        """Return what the gradient is, what descent does with it, what a random batch changes, the rate."""
        rate, g = Symbol("learning_rate", real=True), Symbol("g", real=True)
        loss = self.narrator.inline(self.system.quantities[self.system.loss].symbol)
        fall = self.narrator.inline(Mul(rate, g ** Integer(2), evaluate=False))
        values = {"loss": loss, "fall": fall}
        keys = ["descent.gradient", "descent.step", "descent.stochastic", "descent.rate"]
        return [self.say(key, **values) for key in keys]
