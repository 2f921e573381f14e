"""Whether a claim holds, and the slip in it where it does not.

The prover decides: sizes are small unequal numbers, both sides are compared exactly or to 40 digits at
random points, and a fact about the data is used only where it is stated and needed.  Numbers then show where
a wrong claim differs, and the change that makes it right is looked for among them and proved in turn.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, takewhile

import numpy as np
from sympy import Derivative, Expr, Float, Indexed, Integer, Rational, Sum, Symbol

from symbackprop.commands.inputs import Array
from symbackprop.commands.trace_document import numbers_printer, placed, shown
from symbackprop.commands.verify.between import jacobian, picked, ways
from symbackprop.commands.verify.changes import Edit, Slip
from symbackprop.commands.verify.claims import Claim, plain_signs, read_claim
from symbackprop.commands.verify.names import names_of
from symbackprop.commands.verify.points import point
from symbackprop.commands.verify.readings import bases_of
from symbackprop.commands.verify.slips import edits, factors_of
from symbackprop.derivation.wanted import derive_further
from symbackprop.equations.naming import LETTERS
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import Fact, indices_of, name_of, size
from symbackprop.errors import SpecificationError, UnsupportedExpression, require, require_text
from symbackprop.network.network import Network
from symbackprop.numbers.evaluation import Evaluation
from symbackprop.pipeline import derive
from symbackprop.printing.notation import notation_for
from symbackprop.printing.printer import Printer
from symbackprop.printing.text import TextPrinter
from symbackprop.proof.given import NOTHING, Given
from symbackprop.proof.prover import Prover, Verdict

_CLOSE = 1e-9
_CLEARLY = 1e-6
_MOST = 10_000  # changes that are tried
_SEEDS = (1, 2)
_INSERTED = 9  # significant digits of the numbers that a claim is evaluated with
_MOST_COMPONENTS = 500  # of a network that is proved with its own sizes


@dataclass(frozen=True)
class Verification:
    """The verdict on one claim.

    ``holds`` is whether it is right, ``assumes`` which facts about the data, and ``given`` which numbers of
    the network, it needs for that; ``in_general`` whether it holds for other sizes, too.  Of a wrong
    one ``counterexample`` shows numbers for which it fails, and ``slip`` the change that makes it right, None
    where no single one does.
    """

    text: str
    holds: bool
    assumes: tuple[str, ...] = ()
    counterexample: str = ""
    slip: Slip | None = None
    given: tuple[str, ...] = ()
    in_general: bool = True

    def __bool__(self) -> bool:
        return self.holds

    def report(self) -> str:
        """Return the verdict in words."""
        if self.holds:
            verdict = "right" if self.in_general else "right for these sizes, not in general"
            needs = (f"\n  assuming {fact}" for fact in self.assumes)
            return f"{verdict}: {self.text}{''.join(needs)}" + "".join(f"\n  with {n}" for n in self.given)
        lines = [f"wrong: {self.text}", f"  {self.counterexample}"]
        if self.slip is not None:
            lines.append(f"  likely slip ({self.slip.kind}): {self.slip.message}")
        else:
            lines.append("  no single slip explains it")
        return "\n".join(lines)


def verify(network: Network | Derived, text: str) -> Verification:
    """Check a claim such as ``dE/dw2[j,i] = (x2[i] - t[i])*x1[j]``.

    The left side is the derivative of E by a quantity (``dE/dw2[j,i]``, ``ds1[j]``), inputs included, or
    of one quantity by another (``dx2[i]/ds2[i]``). The right side may read every quantity of the
    network, adjoints (``ds2[i]``), ``sum(e, i)`` and ``mean(e, n)``; with the sample as first index
    (``x2[n,i]``) it is about the mean over a batch of N samples, and with that on the left too about the
    sample's own error. E may be called C, L or J, s2, x1 and ds2 also z2, a1 and delta2. Indices may be
    left out where the sizes of the axes tell them, and be whole numbers. Of a network with numbers for
    its sizes or constants a claim may hold for these alone.

    Raises:
        SpecificationError: the claim can't be read.
    """
    return verify_lines(network, [require_text("claim", text)])[0]


def verify_lines(network: Network | Derived, lines: Iterable[str]) -> list[Verification]:
    """Check several claims; empty lines and comments are left out."""
    require("verify", network, (Network, Derived), "a Network or a Derivation")
    derivation = network if isinstance(network, Derived) else derive(network.with_small_sizes())
    model = network.model
    assert model is not None
    kept = [line.split("#", 1)[0].strip() for line in lines]
    derivation = _with_all_claimed(derivation, kept)
    claims = [read_claim(line, derivation) for line in kept if line]
    if not claims:
        raise SpecificationError("claim: there is none; write dE/dw2[j,i] = (x2[i] - t[i])*x1[j]")
    judge = _Judge(derivation, model.sizes)
    return [judge.verdict(claim) for claim in claims]


def _with_all_claimed(derivation: Derived, lines: Iterable[str]) -> Derived:
    """Return the derivation for every quantity that claims name the derivative for, with a name for each."""
    names = names_of(derivation)
    claimed = {name for line in lines for name in names.claimed(plain_signs(line))}
    quantities = derivation.system.quantities
    claimed = {name for name in claimed if not quantities[name].integer} - {derivation.system.loss}
    if not claimed <= derivation.results.keys():
        derivation = derive_further(derivation, sorted(claimed))
    adjoints = {derivation.system.adjoints[name].name: name for name in derivation.results}
    return replace(derivation, adjoints=adjoints)


class _Judge:
    """Decides claims about one derivation, of a network with these sizes."""

    def __init__(self, derivation: Derived, sizes: Mapping[str, int]) -> None:
        self.derivation = derivation
        self.sizes = sizes
        self.stated = _with_totals_of_data(derivation)
        self.prover = Prover(self.stated)
        self._points: dict[object, Evaluation] = {}
        self.bases = bases_of(derivation)
        self.printer = TextPrinter(notation_for(derivation))

    def verdict(self, claim: Claim) -> Verification:
        """Return the verdict on a claim."""
        if not claim.free and not claim.conflicts:
            for given in self._givens(claim):
                verdict = self._proved(claim, given)
                if verdict.holds and not self._refuted(claim, given):
                    named = self._named(claim, given)
                    return Verification(
                        claim.text, True, verdict.assumes, given=named, in_general=not given.sizes
                    )
        return Verification(claim.text, False, (), self._counterexample(claim), self._slip(claim))

    def _givens(self, claim: Claim) -> Iterator[Given]:
        """Yield what may be known of the numbers: nothing, those of the constants, and those of the sizes."""
        least = claim.least_sizes
        yield Given(least=least)
        plain = {name: n for name, n in self._constants.items() if not isinstance(n, tuple)}
        if plain:
            yield Given(least=least, constants=plain)
        several = {str(n) for n in claim.speaks_of_several}
        sizes = {name: n for name, n in self.sizes.items() if n > 1 or name not in several}
        arrays = any(isinstance(n, tuple) for n in self._constants.values())
        if sizes and self._components(claim) <= _MOST_COMPONENTS and (sizes == self.sizes or not arrays):
            yield Given(sizes, least, self._constants)

    def _components(self, claim: Claim) -> float:
        """Return how many numbers there are in the equations with the given sizes."""
        known = {size(name): Integer(number) for name, number in self.sizes.items()}
        shapes = [q.shape for q in self.derivation.system.quantities.values()]
        extents = [[n.xreplace(known) for n in shape] for shape in shapes]
        return sum(math.prod(int(n) if n.is_Integer else 1 for n in shape) for shape in extents)

    @cached_property
    def _constants(self) -> dict[str, Expr | tuple[Expr, ...]]:
        """The exact numbers of the constants, as they are written."""
        assert self.derivation.model is not None
        return {
            c.name: tuple(map(_exact, c.value)) if isinstance(c.value, tuple) else _exact(c.value)
            for c in self.derivation.model.constants
        }

    def _named(self, claim: Claim, given: Given) -> tuple[str, ...]:
        """Return the constants whose numbers a claim needs, in words: those that it does not read itself."""
        assert self.derivation.model is not None
        read = {name_of(r) for r in claim.rhs.atoms(Indexed, Symbol)}
        values = {c.name: c.value for c in self.derivation.model.constants}
        named = tuple(f"{name} = {values[name]}" for name in given.constants if name not in read)
        return (*named, *self._held_fixed(claim, given))

    def _held_fixed(self, claim: Claim, given: Given) -> tuple[str, ...]:
        """Return what is held fixed in a right claim about one equation, where there are other ways, too."""
        found = self._ways(claim)
        if claim.target not in found or len(found) == 1 or self._proved_between(claim, given).holds:
            return ()
        return (f"all else that {claim.output} reads held fixed",)

    def _proved(self, claim: Claim, given: Given = NOTHING) -> Verdict:
        found = self._ways(claim)
        if found and claim.target not in found:
            return self._proved_between(claim, given)
        verdict = self._proved_as_it_stands(claim, given)
        alone = verdict.holds or found <= {claim.target}
        return verdict if alone else self._proved_between(claim, given)

    def _ways(self, claim: Claim) -> set[str]:
        """Return through what one quantity depends on the other that it is differentiated by."""
        system = self.derivation.system
        if claim.output == system.loss:
            return set()
        return ways(system, claim.output, claim.target)

    def _proved_as_it_stands(self, claim: Claim, given: Given) -> Verdict:
        number = max(self.derivation.by_number) + 1
        prover = self.prover if given == NOTHING else Prover(self.stated, given=given)
        return prover.prove_step(Step(number, claim.target, "claim", claim.lhs, claim.rhs))

    def _proved_between(self, claim: Claim, given: Given) -> Verdict:
        """Return the verdict on the derivative of one quantity by another, component by component."""
        verdict = None
        for derivation, step, least in picked(self.stated, claim):
            verdict = Prover(derivation, given=replace(given, least=least)).prove_step(step)
            if not verdict.holds:
                return verdict
        assert verdict is not None
        return verdict

    def _holds(self, claim: Claim) -> bool:
        """Whether a claim holds, with the numbers of the constants if need be."""
        givens = takewhile(lambda given: not given.sizes, self._givens(claim))
        return any(self._proved(claim, given).holds for given in givens)

    # ------------------------------------------------------------ numbers

    def _point(self, claim: Claim, seed: int, given: Given = NOTHING) -> Evaluation:
        """Return numbers for everything, at a random point with small unequal sizes, or the given ones."""
        least = claim.least_sizes
        key = (seed, tuple(sorted(least.items())), tuple(sorted(given.sizes.items())))
        if key not in self._points:
            larger = _larger(seed)
            self._points[key] = point(self.derivation, seed, least=least, given=given.sizes, larger=larger)
        return self._points[key]

    def _values(self, claim: Claim, numbers: Evaluation) -> Array:
        """Return the right side; an index that nothing binds is an axis behind the others."""
        ranges = {i: numbers.size(claim.ranges[i]) for i in (*claim.indices, *claim.free)}
        return self._over(claim, claim.rhs, ranges, numbers)

    def _over(self, claim: Claim, rhs: Expr, ranges: dict[Symbol, int], numbers: Evaluation) -> Array:
        by_sample = numbers.per_sample and not claim.of_batch
        return numbers.over_samples(rhs, ranges) if by_sample else numbers.over(rhs, ranges)

    def _truth(self, claim: Claim, numbers: Evaluation, direct: bool = True) -> Array:
        """Return the numbers that the right side should have.

        Of one quantity by another that its equation reads they are those in this equation, if ``direct``.
        """
        if claim.output != self.derivation.system.loss:
            return jacobian(numbers, claim, direct and claim.target in self._ways(claim))
        found = numbers.gradient(claim.target) if claim.of_batch else numbers.slopes[claim.target]
        at = indices_of(claim.component)
        return found[(..., *(int(i) if i.is_Integer else slice(None) for i in at))]

    def _refuted(self, claim: Claim, given: Given) -> bool:
        """Whether numbers speak against a claim: of whole numbers, and of sizes, the prover tries few."""
        further = self._ways(claim) > {claim.target}
        return all(self._refuted_by(claim, given, direct) for direct in (True, False)[: 1 + further])

    def _refuted_by(self, claim: Claim, given: Given, direct: bool) -> bool:
        for seed in _SEEDS:
            numbers = self._point(claim, seed, given)
            try:
                claimed, right = self._values(claim, numbers), self._truth(claim, numbers, direct)
            except UnsupportedExpression:
                continue
            claimed, right = np.broadcast_arrays(claimed, right)
            known = np.isfinite(claimed) & np.isfinite(right)
            scale = max(1.0, float(np.abs(right[known]).max(initial=0.0)))
            if (np.abs(claimed - right)[known] > _CLEARLY * scale).any():
                return True
        return False

    def _counterexample(self, claim: Claim) -> str:
        """Return numbers for which the claim fails."""
        unfit = (
            f"the sizes do not fit: {claim.conflicts[0]}; where all are equal, " if claim.conflicts else ""
        )
        return unfit + self._difference(claim)

    def _difference(self, claim: Claim) -> str:
        """Return where both sides differ, in numbers."""
        for seed in (0, *_SEEDS):
            # where two sizes are mixed up, there are numbers only if they are equal
            square, larger = bool(claim.conflicts), _larger(seed)
            numbers = point(
                self.derivation, seed, short=True, square=square, least=claim.least_sizes, larger=larger
            )
            right, given = self._truth(claim, numbers), self._values(claim, numbers)
            if claim.free:
                letters = ", ".join(i.name for i in claim.free)
                first = given[(0,) * (given.ndim - len(claim.free))]
                some = ", ".join(shown(float(v), 6) for v in first.reshape(-1)[:3])
                left = self.printer.show(claim.lhs)
                return f"the left side has no {letters}, so {left} would have several values: {some}"
            given, right = np.broadcast_arrays(given, right)  # one may be the same for every sample
            wrong = ~_close(given, right)
            if wrong.any():
                return self._shown(claim, numbers, given, right, wrong)
        return self._proved(claim).counterexample or ""  # the sides differ elsewhere, as beyond a kink

    def _shown(self, claim: Claim, numbers: Evaluation, given: Array, right: Array, wrong: Array) -> str:
        """Return the first place at which both sides differ, with its numbers."""
        place = tuple(int(k) for k in np.argwhere(wrong)[0])
        sample, at = (place[0], place[1:]) if given.ndim > len(claim.indices) else (0, place)
        indices = dict(zip(claim.indices, map(Integer, at), strict=True))
        printer = numbers_printer(self.printer, numbers, {}, _INSERTED)
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
        points = [self._point(claim, seed) for seed in _SEEDS]
        truths = [self._truth(claim, numbers) for numbers in points]
        for edit, changed in self._changes(claim):
            agrees = all(self._agrees(changed, n, t) for n, t in zip(points, truths, strict=True))
            if agrees and self._holds(changed):
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
        found = edits(claim.rhs, candidates, claim.ranges, claim.indices, show, self.bases)
        for edit in islice(found, _MOST):
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


def _with_totals_of_data(derivation: Derived) -> Derived:
    """Return a derivation with the totals of its data as facts, where it rests on that of what they make."""
    system, model = derivation.system, derivation.model
    assert model is not None
    known = {name_of(fact.component) for fact in system.facts}
    found = []
    for given in (*model.inputs, *model.targets) if known and model.per_sample else ():
        if given.total is not None and given.name not in known:
            letters = LETTERS[: len(given.shape)]
            component = system.quantities[given.name].at(letters)
            found.append(Fact(component, letters[given.total_axis - given.has_samples], given.total))
    return replace(derivation, system=replace(system, facts=(*system.facts, *found)))


def _larger(seed: int) -> int:
    """Return how much larger sizes are at one point than at others: a number may stand where a size does."""
    return int(seed == _SEEDS[-1])


def _exact(value: float) -> Expr:
    """Return a number as it is written: 0.1 is one tenth."""
    return Rational(repr(value)) if math.isfinite(value) else Float(value)


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
