"""The report of `check`: each step proved, the generated code compared with the numbers of the steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from symbackprop.commands.comparison.cases import Comparison
from symbackprop.commands.comparison.functions import PRODUCT
from symbackprop.commands.comparison.module import check_module
from symbackprop.document.printable import Derivation
from symbackprop.errors import SpecificationError, UnsupportedExpression
from symbackprop.files import import_file
from symbackprop.network.network import Network, parse_description
from symbackprop.pipeline import derive, generate, load
from symbackprop.proof.prover import Verdict, prove


@dataclass(frozen=True)
class Report:
    """The result of a check: verdicts of the proof, compared code, and remarks on a file.

    ``refusal`` says why there is no code to compare.
    """

    title: str
    verdicts: Sequence[Verdict]
    comparisons: Sequence[Comparison]
    remarks: Sequence[str] = ()
    refusal: Exception | None = None

    @property
    def holds(self) -> bool:
        """Whether everything was compared, and holds."""
        proved = all(v.holds for v in self.verdicts)
        return proved and self.refusal is None and all(c.holds for c in self.comparisons)

    def table(self) -> str:
        """Return the report as text: one row for each step and each comparison, then the counts."""
        parts = [self.title, aligned(self._steps()), *self.remarks]
        if self.comparisons:
            parts.insert(2, aligned(self._code()))
        if any(not c.made for c in self.comparisons):
            parts.append("Where the data lie in a range, say so in the .net, as in: assume 0 <= a[n, i] <= 1")
        return "\n\n".join([*parts, self.summary()])

    def _steps(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("step", "of", "rule", "components", "proof", "")]
        for v in self.verdicts:
            note = v.counterexample or "; ".join(f"assumes {fact}" for fact in v.assumes)
            proof = v.method if v.holds else "WRONG" if v.decided else "open"
            rows.append((f"({v.step.number})", v.step.target, v.step.rule, str(v.components), proof, note))
        return rows

    def _code(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("code", "numbers", "difference", "tolerance", "")]
        for c in self.comparisons:
            limits = (f"{c.difference:.1e}", f"{c.tolerance:.0e}") if c.tolerance else ("", "")
            rows.append((c.subject, str(c.numbers), *(limits if c.made else ("", "")), c.verdict))
        return rows

    def summary(self) -> str:
        """Return the counts in one line."""
        proved = sum(v.holds for v in self.verdicts)
        steps = f"{proved} of {len(self.verdicts)} steps proved, "
        if self.refusal is not None:
            return f"{steps}there is no code to compare."
        right = sum(c.holds for c in self.comparisons)
        return f"{steps}{right} of {len(self.comparisons)} comparisons of the code with numbers hold."


def check_network(network: Network) -> Report:
    """Derive, prove, generate and compare; sizes that are not given are small, unequal numbers."""
    network = network.with_small_sizes()
    derivation = derive(network)
    title, verdicts = f"Checking {network.model.title}", prove(derivation)
    try:
        module = load(derivation)
        return Report(title, verdicts, check_module(module, derivation, expected=module))
    except (SpecificationError, UnsupportedExpression) as refusal:
        return Report(title, verdicts, (), refusal=refusal)


def check_file(path: Path) -> Report:
    """Check a generated module in a file: what it computes, and the derivation that it cites.

    Raises:
        SpecificationError: there is no such file, it does not run, or it is no generated module.
    """
    module = import_file(path)
    network, optimizer = _described(module, path)
    derivation = derive(network, optimizer=optimizer)
    title, verdicts = f"Checking {path}", prove(derivation)
    if hasattr(module, PRODUCT):
        verdicts += prove(derivation.hessian_vector_product())
    try:
        comparisons = check_module(module, derivation)
    except (SpecificationError, UnsupportedExpression) as refusal:
        return Report(title, verdicts, (), refusal=refusal)
    return Report(title, verdicts, comparisons, _remarks(path, module, derivation, comparisons))


def _described(module: ModuleType, path: Path) -> tuple[Network, str]:
    if not hasattr(module, "ARCHITECTURE"):
        raise SpecificationError(f"{path}: is not a generated module; it has no ARCHITECTURE")
    if not isinstance(module.ARCHITECTURE, str):
        raise SpecificationError(f"{path}: ARCHITECTURE is not a text")
    try:
        return parse_description(module.ARCHITECTURE)
    except SpecificationError as error:
        raise SpecificationError(f"{path}: ARCHITECTURE: {error}") from error


def _remarks(
    path: Path, module: ModuleType, derivation: Derivation, comparisons: Sequence[Comparison]
) -> list[str]:
    """Return what is to be said of the text of a file, and of one that computes something else."""
    text = path.read_text(encoding="utf-8")
    remarks = [_said_of_text(path, text, derivation, hasattr(module, PRODUCT))]
    wrong = [c.subject.strip() for c in comparisons if c.made and not c.holds]
    if wrong:
        subject = "ARCHITECTURE and code do not belong together, or the code was changed"
        remarks.append(f"{subject}: WRONG are {', '.join(wrong)}.")
    return remarks


def _said_of_text(path: Path, text: str, derivation: Derivation, product: bool) -> str:
    """Return in which parts the text of a file is what this version generates."""
    made = [generate(derivation, bare=bare, hessian_vector=product) for bare in (False, True)]
    if text in made:
        return f"{path} is what this version generates from its ARCHITECTURE."
    others = min((_different_parts(text, each) for each in made), key=len)
    return (
        f"{path} is not what this version generates from its ARCHITECTURE; it differs in {_listed(others)}."
    )


def _different_parts(text: str, expected: str) -> list[str]:
    """Return the functions and classes, or what stands between them, in which two modules differ."""
    first, second = _parts(text), _parts(expected)
    names = [*first, *(name for name in second if name not in first)]
    return [name for name in names if first.get(name) != second.get(name)]


def _parts(text: str) -> dict[str, str]:
    """Return the text of a module by the name of each function and class, the rest under other names."""
    found: dict[str, str] = {}
    name = "what stands above the functions"
    for line in text.splitlines():
        if line.startswith(("def ", "class ")):
            name = re.split(r"\W+", line)[1]
        elif line.startswith("# ---"):
            name = "what stands between the functions"
        found[name] = found.get(name, "") + line + "\n"
    return found


_FEW = 6


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_FEW])
    return shown if len(names) <= _FEW else f"{shown} and {len(names) - _FEW} more parts"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return ``rows`` as a table with aligned columns."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
