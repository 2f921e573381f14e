"""What a reader sees first: the idea, the equations that matter, the algorithm, and the results.

In go the sentences of a derivation; out come lines and equations for the first page of its document.  Every
equation is that of a numbered step, and of equal layers it is said once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from sympy import Derivative, Expr, Symbol

from symbackprop.document.blocks import EquationBlock
from symbackprop.document.sentences import Sentences
from symbackprop.equations.steps import Step, differentiated
from symbackprop.equations.system import name_of
from symbackprop.printing.layers import LayerRun

_SUM = "pre-activation"
_WHY = {_SUM: "why.sum", "weight": "why.weight", "bias": "why.bias"}
"""What is told of a layer -> why its derivative is as it is."""
NOTHING: Mapping[str, object] = dict.fromkeys(
    ("idea", "overview_equations", "algorithm", "overview_results"), ()
)
"""The context of a document that has no such page, as an exercise must not."""


class Overview:
    """The first page of a document."""

    def __init__(self, sentences: Sentences) -> None:
        self.sentences = sentences
        self.derivation = sentences.derivation
        self.system = sentences.derivation.system
        self.say = sentences.say

    def context(self) -> Mapping[str, object]:
        """Return what the templates place; of a derivation without a result there is nothing to say."""
        if not self._steps:
            return NOTHING
        return {
            "idea": self.idea(),
            "overview_equations": [block for _, block in self.equations()],
            "algorithm": self.algorithm(),
            "overview_results": [block for name, block in self.results() if name in self._sought],
        }

    # ---- the idea

    def idea(self) -> list[str]:
        """Return the idea in four sentences: of layers where there are any, else of quantities."""
        if not self.of_layers:
            loss = self.sentences.inline(self._loss)
            return [self.say(f"idea.quantities.{n}", loss=loss) for n in range(1, 5)]
        total, weight = (self._kind(kind, 1) for kind in (_SUM, "weight"))
        steps = [self._step(name) for name in (total, weight) if name is not None]
        shown = [self.sentences.inline(self._derivative(step)) for step in steps]
        came_in = self.sentences.inline(self._came_in)
        return [
            self.say(f"idea.layers.{n}", error=shown[0], weight=shown[-1], input=came_in) for n in range(1, 5)
        ]

    @property
    def of_layers(self) -> bool:
        """Whether the equations are told of layers, and not of each quantity."""
        model = self.derivation.model
        found = [self._kind(kind, 1) for kind in (_SUM, "weight")]
        return bool(model is not None and model.layers) and all(n in self.derivation.results for n in found)

    @property
    def _came_in(self) -> Expr:
        """What the first layer takes in, as its equation reads it."""
        equation = self.system.definitions[str(self._kind(_SUM, 1))]
        inputs = set(self.system.inputs)
        return next(read for read in self.system.reads(equation.rhs) if name_of(read) in inputs)

    # ---- the equations

    def equations(self) -> list[tuple[str, EquationBlock]]:
        """Return the equations of the network by what they are for, each with a line of why."""
        if not self.of_layers:
            return [(n, block) for n, block in self.results(explained=True) if n in self.system.definitions]
        return [(n, block) for n, block in self.results(explained=True) if n in self._told_of_layers]

    @cached_property
    def _told_of_layers(self) -> list[str]:
        """The errors of the outputs and of a layer, and what its weights and biases get."""
        depth = len(self.derivation.model.layers) if self.derivation.model is not None else 0
        inner = max(depth - 1, 1)
        found = [self._kind(_SUM, depth), *(self._kind(k, inner) for k in _WHY)]
        told = [name for name in found if name is not None]
        for item in self.sentences.runs_of_steps(self._steps):
            if isinstance(item, LayerRun):  # of a run the first layer speaks for any
                run = {step.target for block in item.blocks for step in block}
                kinds = {self.system.roles[name].kind for name in told if name in run}
                told += [s.target for s in item.first if self.system.roles[s.target].kind in kinds]
        return told

    def results(self, explained: bool = False) -> Iterator[tuple[str, EquationBlock]]:
        """Yield the results by what they are for, those of equal layers once."""
        for item in self.sentences.runs_of_steps(self._steps):
            if isinstance(item, LayerRun):
                general = self.sentences.general(item.layers[0])
                for step in item.first:
                    note = self._why(step, general) if explained else ""
                    yield step.target, self._block(step, general, note)
            else:
                yield item.target, self._block(item, self.sentences, self._why(item) if explained else "")

    def _block(self, step: Step, sentences: Sentences, note: str) -> EquationBlock:
        return EquationBlock(str(step.number), sentences.formula(step.lhs, step.rhs, True), note)

    def _why(self, step: Step, sentences: Sentences | None = None) -> str:
        """Return why an equation is as it is: of layers in words of layers, else as its first step says."""
        role = self.system.roles.get(step.target)
        if self.of_layers and role is not None and role.kind in _WHY:
            last = self.derivation.model is not None and role.layer == len(self.derivation.model.layers)
            return self.say("why.outputs" if role.kind == _SUM and last else _WHY[role.kind])
        first = self.derivation.steps_to[step.target][0]
        return (sentences or self.sentences).chain_rule(first) if first.rule == "chain rule" else ""

    # ---- the algorithm

    def algorithm(self) -> list[str]:
        """Return what is to be done, in at most five lines that cite the equations."""
        labels = sorted(self.derivation.labels.values())
        sought = [self.derivation.results[name] for name in self._sought]
        first = self._steps[0]
        lines = [
            self.say("algorithm.forward", numbers=self._range(labels)),
            self.say("algorithm.start", number=f"({first.number})", derivative=self._shown(first)),
            self.say("algorithm.back"),
            self.say("algorithm.results", numbers=self._range(sought)),
        ]
        batch = [step.number for step in self.derivation.batch if step.target != self.system.loss]
        update = [step.number for step in self.derivation.update]
        if batch and update and not self.derivation.of:
            said = {"mean": self._range(batch), "update": self._range(update)}
            lines.append(self.say("algorithm.update", **said))
        return lines

    def _range(self, numbers: Iterable[int]) -> str:
        """Return numbers as a list; of many that follow each other the first and the last."""
        found = sorted(set(numbers))
        shown = [f"({number})" for number in found]
        return (
            self.sentences.from_to(shown)
            if found[-1] - found[0] < len(found)
            else self.sentences.listed(shown)
        )

    # ---- what the derivation has

    @property
    def _loss(self) -> Symbol:
        return self.system.quantities[self.system.loss].symbol

    @cached_property
    def _steps(self) -> list[Step]:
        return [self.derivation.by_number[number] for number in self.derivation.results.values()]

    @property
    def _sought(self) -> list[str]:
        asked = self.derivation.of or self.system.parameters
        return [name for name in asked if name in self.derivation.results]

    def _kind(self, kind: str, layer: int) -> str | None:
        return self.system.of_kind(kind, layer)

    def _step(self, name: str) -> Step:
        return self.derivation.by_number[self.derivation.results[name]]

    def _derivative(self, step: Step) -> Expr:
        return Derivative(self._loss, differentiated(step.lhs, self.derivation))

    def _shown(self, step: Step) -> str:
        return self.sentences.inline(self._derivative(step))
