"""The function of both passes: what a step computes, where its loops are too long to be said twice.

`gradients` and `Trainer.step` call it, each with arrays of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from symbackprop.code.data import ARRAYS, DataCode
from symbackprop.code.layout import BODY, called_with, head
from symbackprop.code.training_step import DICTS, StepLines, TrainingStep, allocating

_FUNCTION = "_both_passes"
_FIXED = "_fixed_of"
"""The function of the arrays that do not depend on rows, where a trainer keeps them apart."""


@dataclass(frozen=True)
class BothPasses:
    """Writes that function and what calls it.

    Args:
        own: the step whose statements it has.
        given: names what a network is given.
        annotated: the arguments x and t, as the function's head has them.
        arrays: what the arrays of a step are together, as annotations have it.
        folds_rate: whether all derivatives are multiplied by the learning rate.
    """

    own: TrainingStep
    given: DataCode
    annotated: Sequence[str]
    arrays: str
    folds_rate: bool

    @property
    def _lines(self) -> StepLines:
        return self.own.written_out

    # ------------------------------------------------------------ the function

    def texts(self) -> Iterator[str]:
        """Yield the text of each function that stands before those of a step."""
        lines, by_layer = self._lines, self.own.zeros_by_layer()
        if by_layer:
            yield "\n".join(by_layer)
        if not self.own.bare:
            listed = [*(f"{name}: {ARRAYS}" for name in self._dicts), "dtype: np.dtype"]
            docstring = '    """Return parameters and derivatives by layer, and arrays that hold no data."""'
            yield _text(head(_FIXED, listed, self.arrays), docstring, lines.fixed)
        scale = f"np.divide({'rate' if self.folds_rate else 1}, samples)"  # of no rows it is infinite
        scaling = [f"scale = np.array({scale}, dtype)"] if self.own.model.per_sample else []
        if self._weighted:
            scaling += ["if weights is not None:", "    scale = scale * weights"]
        first = self.own.keys[0]
        body = [
            f"samples = len({self.given.samples_of()})",
            f'dtype = parameters["{first}"].dtype',
            *scaling,
            *lines.given,
            *lines.step,
            f"return {self.own.loss}{'' if self.own.bare else ' if with_loss else 0.0'}",
        ]
        times = " times rate" if self.folds_rate else ""
        docstring = f'    """Compute the derivatives{times} in the arrays given; return E."""'
        yield _text(head(_FUNCTION, list(self._arguments()), "float"), docstring, body)

    def _arguments(self) -> Iterator[str]:
        held = self.own.held
        yield from (f"{name}: {ARRAYS}" for name in self._dicts)
        yield from (f"{name}: {self.arrays}" for name in (held.buffers, held.fixed)[: 2 - self.own.bare])
        yield from self.annotated
        yield from [f"noise: {ARRAYS}"] * bool(self.given.model.noise)
        yield from ["rate: float"] * self.folds_rate
        yield from ["weights: np.ndarray | None = None"] * self._weighted
        yield from [] if self.own.bare else ["with_loss: bool = True"]

    @property
    def _dicts(self) -> list[str]:
        """The names of the dicts that the function is given."""
        holders = list(DICTS)[: 2 + bool(self.given.model.states)]
        return [self.own.held.dicts[name] for name in holders]

    @property
    def _weighted(self) -> bool:
        return self.own.weighted and not self.own.bare

    # ------------------------------------------------------------ what calls it

    def in_gradients(self) -> Iterator[str]:
        """Yield the lines of `gradients`, which makes all arrays anew."""
        states = bool(self.given.model.states)
        names = "(*PARAMETER_SHAPES, *STATE_SHAPES)" if states else "PARAMETER_SHAPES"
        yield "dtype = np.result_type(*(parameters[name] for name in PARAMETER_SHAPES))"
        yield from called_with(
            "parameters = {", [f"n: np.asarray(parameters[n], dtype) for n in {names}"], "}"
        )
        yield "derivatives = {n: np.zeros(s, dtype) for n, s in PARAMETER_SHAPES.items()}"
        if states:
            yield "left = {n: np.zeros(s, dtype) for n, s in STATE_SHAPES.items()}"
        samples = f"len({self.given.samples_of()})"
        yield from self._measured()
        if self.given.model.noise:
            yield f"samples = {samples}"
            yield "if noise is None:"
            yield f"    noise = {self.given.drawn('np.random.default_rng(0)')}"
            samples = "samples"
        yield f"buffers = _allocate({', '.join((samples, 'dtype', *self._lines.sizes))})"
        dicts = ["parameters", "derivatives", *["left"] * states]
        if not self.own.bare:
            yield f"fixed = {_FIXED}({', '.join(dicts)}, dtype)"
        own = [*dicts, "buffers", *["fixed"] * (not self.own.bare)]
        yield from called_with(f"E = {_FUNCTION}(", [*own, *self._data(), *["1"] * self.folds_rate], ")")
        yield "return float(E), derivatives"

    def in_step(self) -> Iterator[str]:
        """Yield the lines of a step, which end in E."""
        owner = "self" if self.own.bare else "trainer"
        sizes = ", ".join(("samples", *self._lines.sizes))
        yield from self._measured()
        if self.given.model.noise:
            yield f"noise = {self.given.drawn(f'{owner}.generator')}"
        if self.own.bare:
            yield from allocating(sizes)
        else:
            yield f"buffers = trainer._buffers_for({sizes})"
        arrays = ["self._buffers"] if self.own.bare else ["buffers", "trainer._fixed"]
        listed = [*self._held_by(owner), *arrays, *self._data(), *["rate"] * self.folds_rate]
        listed += [*["weights"] * self._weighted, *([] if self.own.bare else ["with_loss=with_loss"])]
        start = f"{self.own.loss} = " if self.own.bare else "return "
        yield from called_with(f"{start}{_FUNCTION}(", listed, ")", BODY + 4 * (not self.own.bare))

    def fixed(self) -> list[str]:
        """Return the lines that make for a trainer what does not depend on rows."""
        listed = [*self._held_by("trainer"), "dtype"]
        return called_with(f"return {_FIXED}(", listed, ")")

    def _held_by(self, owner: str) -> list[str]:
        """Return the dicts that the function is given, those of a trainer."""
        return [f"{owner}.{name}" for name in list(DICTS)[: len(self._dicts)]]

    def _data(self) -> list[str]:
        return ["x", "t", *["noise"] * bool(self.given.model.noise)]

    def _measured(self) -> Iterator[str]:
        """Yield the lines that find the sizes for which buffers are made, and noise is drawn."""
        wanted = {*self._lines.sizes, *self.given.sizes_of_noise}
        yield from (line for name, line in self.given.measuring().items() if name in wanted)


def _text(begin: Sequence[str], docstring: str, lines: Sequence[str]) -> str:
    return "\n".join((*begin, docstring, *(f"    {line}" for line in lines)))
