"""Whether a claim holds, and the slip in it where it does not.

The prover decides: sizes are small unequal numbers, both sides are compared exactly or to 40 digits at
random points, and a fact about the data is used only where it is stated and needed.  Numbers then show where
a wrong claim differs, and the change that makes it right is looked for among them and proved in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np
from sympy import Derivative, Expr, Indexed, Integer, Sum, Symbol

from symbackprop.commands.evaluation import Evaluation
from symbackprop.commands.inputs import Array
from symbackprop.commands.trace_document import numbers_printer, placed, shown
from symbackprop.commands.verify.claims import Claim, read_claim
from symbackprop.commands.verify.points import point
from symbackprop.commands.verify.slips import Edit, Slip, edits, factors_of
from symbackprop.equations.steps import Derived, Step
from symbackprop.errors import SpecificationError, UnsupportedExpression
from symbackprop.network.network import Network
from symbackprop.pipeline import derive
from symbackprop.printing.notation import notation_for
from symbackprop.printing.printer import Printer
from symbackprop.printing.text import TextPrinter
from symbackprop.proof.prover import Prover, Verdict

_CLOSE = 1e-9
_MOST = 10_000  # changes that are tried
_SEEDS = (1, 2)


@dataclass(frozen=True)
class Verification:
    """The verdict on one claim.

    ``holds`` is whether it is right, ``assumes`` which facts about the data it needs for that.  Of a wrong
    one ``counterexample`` shows numbers for which it fails, and ``slip`` the change that makes it right, None
    where no single one does.
    """

    text: str
    holds: bool
    assumes: tuple[str, ...] = ()
    counterexample: str = ""
    slip: Slip | None = None

    def __bool__(self) -> bool:
        return self.holds

    def report(self) -> str:
        """Return the verdict in words."""
        if self.holds:
            return f"right: {self.text}" + "".join(f"\n  assuming {fact}" for fact in self.assumes)
        lines = [f"wrong: {self.text}", f"  {self.counterexample}"]
        if self.slip is not None:
            lines.append(f"  likely slip ({self.slip.kind}): {self.slip.message}")
        else:
            lines.append("  no single slip explains it")
        return "\n".join(lines)


def verify(network: Network | Derived, text: str) -> Verification:
    """Check a claim such as ``dE/dw2[j,i] = (x2[i] - t[i])*x1[j]``.

    The left side is the derivative of E by a quantity (``dE/dw2[j,i]``, ``ds1[j]``), or of one quantity by
    another (``dx2[i]/ds2[i]``).  The right side may read every quantity of the network, adjoints
    (``ds2[i]``), ``sum(e, i)`` and ``mean(e, n)``; with the sample as first index (``x2[n,i]``) it is about
    the mean over a batch of N samples.  Indices may be left out where the sizes of the axes tell them.

    Raises:
        SpecificationError: the claim can't be read.
    """
    return verify_lines(network, [text])[0]


def verify_lines(network: Network | Derived, lines: Iterable[str]) -> list[Verification]:
    """Check several claims; empty lines and comments are left out."""
    derivation = network if isinstance(network, Derived) else derive(network.with_small_sizes())
    kept = [line.split("#", 1)[0].strip() for line in lines]
    claims = [read_claim(line, derivation) for line in kept if line]
    if not claims:
        raise SpecificationError("claim: there is none; write dE/dw2[j,i] = (x2[i] - t[i])*x1[j]")
    judge = _Judge(derivation)
    return [judge.verdict(claim) for claim in claims]


class _Judge:
    """Decides claims about one derivation."""

    def __init__(self, derivation: Derived) -> None:
        self.derivation = derivation
        self.prover = Prover(derivation)
        self.printer = TextPrinter(notation_for(derivation))

    def verdict(self, claim: Claim) -> Verification:
        """Return the verdict on a claim."""
        if not claim.free and not claim.conflicts:
            verdict = self._proved(claim)
            if verdict.holds:
                return Verification(claim.text, True, verdict.assumes)
        return Verification(claim.text, False, (), self._counterexample(claim), self._slip(claim))

    def _proved(self, claim: Claim) -> Verdict:
        number = max(self.derivation.by_number) + 1
        return self.prover.prove_step(Step(number, claim.target, "claim", claim.lhs, claim.rhs))

    # ------------------------------------------------------------ numbers

    @cached_property
    def points(self) -> list[Evaluation]:
        """Numbers for everything, at random points with small unequal sizes."""
        return [point(self.derivation, seed) for seed in _SEEDS]

    def _values(self, claim: Claim, numbers: Evaluation) -> Array:
        """Return the right side; an index that nothing binds is an axis behind the others."""
        ranges = {i: numbers.size(claim.ranges[i]) for i in (*claim.indices, *claim.free)}
        return self._over(claim, claim.rhs, ranges, numbers)

    def _over(self, claim: Claim, rhs: Expr, ranges: dict[Symbol, int], numbers: Evaluation) -> Array:
        by_sample = numbers.per_sample and not claim.of_batch
        return numbers.over_samples(rhs, ranges) if by_sample else numbers.over(rhs, ranges)

    def _truth(self, claim: Claim, numbers: Evaluation) -> Array:
        """Return the numbers that the right side should have."""
        ranges = {i: numbers.size(claim.ranges[i]) for i in claim.indices}
        if isinstance(claim.lhs, Derivative) and claim.output != self.derivation.system.loss:
            return self._over(claim, claim.lhs, ranges, numbers)
        if claim.of_batch:
            return numbers.gradient(claim.target)
        return numbers.slopes[claim.target]

    def _counterexample(self, claim: Claim) -> str:
        """Return numbers for which the claim fails."""
        unfit = (
            f"the sizes do not fit: {claim.conflicts[0]}; where all are equal, " if claim.conflicts else ""
        )
        return unfit + self._difference(claim)

    def _difference(self, claim: Claim) -> str:
        """Return where both sides differ, in numbers."""
        # where two sizes are mixed up, there are numbers only if they are equal
        numbers = point(self.derivation, 0, short=True, square=bool(claim.conflicts))
        right, given = self._truth(claim, numbers), self._values(claim, numbers)
        left = f"{self.printer.show(claim.lhs)}"
        if claim.free:
            letters = ", ".join(i.name for i in claim.free)
            first = given[(0,) * (given.ndim - len(claim.free))]
            some = ", ".join(shown(float(v), 6) for v in first.reshape(-1)[:3])
            return f"the left side has no {letters}, so {left} would have several values: {some}"
        given, right = np.broadcast_arrays(given, right)  # one of them may be the same for every sample
        wrong = ~_close(given, right)
        if not wrong.any():  # the sides differ elsewhere, as beyond a kink
            return self._proved(claim).counterexample or ""
        place = tuple(int(k) for k in np.argwhere(wrong)[0])
        sample, at = (place[0], place[1:]) if given.ndim > len(claim.indices) else (0, place)
        indices = dict(zip(claim.indices, map(Integer, at), strict=True))
        printer = numbers_printer(self.printer, numbers, {})
        printer.sample = sample
        at_place = placed(claim.rhs, indices)
        inserted = printer.show(at_place)
        result = shown(float(given[place]), 6)
        middle = f" = {inserted}" if inserted != result else ""
        read = self._read(at_place, printer)
        return (
            f"{self.printer.show(claim.lhs.xreplace(indices))}{middle} = {result} by this, "
            f"but it is {shown(float(right[place]), 6)}{f' (with {read})' if read else ''}"
        )

    def _read(self, expression: Expr, printer: Printer) -> str:
        """Return the numbers that an expression reads, few of them."""
        reads = sorted(expression.atoms(Indexed), key=str)
        plain = [r for r in reads if all(i.is_Integer for i in r.indices)][:6]
        show = self.printer.show
        return ", ".join(f"{show(r)} = {printer.show(r)}" for r in plain)

    # ------------------------------------------------------------ slips

    def _slip(self, claim: Claim) -> Slip | None:
        """Return the change that makes the claim right, found by numbers and then proved."""
        truths = [self._truth(claim, numbers) for numbers in self.points]
        for edit, changed in self._changes(claim):
            agrees = all(self._agrees(changed, n, t) for n, t in zip(self.points, truths, strict=True))
            if agrees and self._proved(changed).holds:
                return edit
        return None

    def _agrees(self, claim: Claim, numbers: Evaluation, truth: Array) -> bool:
        try:
            given = self._values(claim, numbers)
        except UnsupportedExpression:  # a changed formula may read anything anywhere
            return False
        return given.shape == truth.shape and bool(_close(given, truth).all())

    def _changes(self, claim: Claim) -> Iterator[tuple[Slip, Claim]]:
        candidates, show = self._candidates(claim), self.printer.show
        for edit in islice(edits(claim.rhs, candidates, claim.ranges, claim.indices, show), _MOST):
            yield edit.slip, self._changed(claim, edit)
        for turned in _turned(claim):
            yield (
                Slip("transposed index", f"on the left the indices stand as {self.printer.show(turned.lhs)}"),
                turned,
            )

    def _changed(self, claim: Claim, edit: Edit) -> Claim:
        bound = {limit[0] for total in edit.rhs.atoms(Sum) for limit in total.limits}
        known = {*claim.indices, *bound}
        free = tuple(i for i in claim.ranges if i in edit.rhs.free_symbols and i not in known)
        return replace(claim, rhs=edit.rhs, free=free)

    def _candidates(self, claim: Claim) -> list[Expr]:
        """Return candidates for a missing part: parts of the steps to this derivative and of local ones."""
        derivation = self.derivation
        own = [s.rhs for s in derivation.steps if s.target == claim.target]
        own += [s.rhs for s in derivation.batch if s.target == claim.target and claim.of_batch]
        local = [s.rhs for s in derivation.steps if s.rule in ("local derivative", "closed form")]
        found = [c for c in factors_of([*own, *local]) if not c.has(Derivative)]
        return sorted(found, key=lambda c: c.count_ops())


def _close(given: Array, right: Array) -> Array:
    """Return where two arrays are equal but for rounding, a Boolean array; nan is equal to nothing."""
    scale = float(np.nan_to_num(np.abs(right)).max(initial=0.0))
    return np.isclose(given, right, rtol=_CLOSE, atol=_CLOSE * scale)


def _turned(claim: Claim) -> Iterator[Claim]:
    """Yield the claim with the indices on the left in another order."""
    component = claim.component
    if isinstance(component, Indexed) and len(component.indices) == 2:
        turned = component.base[tuple(reversed(component.indices))]
        lhs = claim.lhs.xreplace({component: turned})
        ranges = dict(claim.ranges)
        ranges.update(zip(turned.indices, component.base.shape, strict=True))
        yield replace(claim, lhs=lhs, ranges=ranges, conflicts=())
