"""The report of `check`: each step proved, the generated code compared with numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from types import ModuleType

from symbackprop.commands.gradient_check import Comparison, check_module
from symbackprop.errors import SpecificationError
from symbackprop.files import import_file
from symbackprop.network.network import Network, parse_description
from symbackprop.pipeline import derive, generate, load
from symbackprop.proof.prover import Verdict, prove

_NEEDED = ("ARCHITECTURE", "PARAMETER_SHAPES", "initialize", "loss", "gradients", "Trainer")


@dataclass(frozen=True)
class Report:
    """The result of a check: verdicts of the proof, compared gradients, and remarks on a file."""

    title: str
    verdicts: Sequence[Verdict]
    comparisons: Sequence[Comparison]
    remarks: Sequence[str] = ()

    @property
    def holds(self) -> bool:
        """Whether everything holds."""
        return all(v.holds for v in self.verdicts) and all(c.holds for c in self.comparisons)

    def table(self) -> str:
        """Return the report as text: one row for each step and each comparison, then the counts."""
        steps = [("step", "of", "rule", "components", "proof", "")]
        for v in self.verdicts:
            note = v.counterexample or "; ".join(f"assumes {fact}" for fact in v.assumes)
            number = f"({v.step.number})"
            proof = v.method if v.holds else "WRONG"
            steps.append((number, v.step.target, v.step.rule, str(v.components), proof, note))
        numbers = [("code", "probes", "difference", "tolerance", "")]
        for c in self.comparisons:
            verdict = "holds" if c.holds else "WRONG"
            numbers.append((c.subject, str(c.probes), f"{c.difference:.1e}", f"{c.tolerance:.0e}", verdict))
        remarks = [*self.remarks, *self._hints()]
        parts = [self.title, aligned(steps), aligned(numbers), *remarks, self.summary()]
        return "\n\n".join(parts)

    def _hints(self) -> list[str]:
        """Return hints, at most one, where the code gave no finite numbers to compare."""
        if all(isfinite(c.difference) for c in self.comparisons):
            return []
        return [
            "A difference is not finite: a function was tried outside of its domain, such as log below 0.\n"
            "Where the data never go there, say so in the .net, as in: assume 0 <= a[n, i] <= 1"
        ]

    def summary(self) -> str:
        """Return the counts in one line."""
        proved = sum(v.holds for v in self.verdicts)
        right = sum(c.holds for c in self.comparisons)
        return (
            f"{proved} of {len(self.verdicts)} steps proved, "
            f"{right} of {len(self.comparisons)} comparisons of the code with numbers hold."
        )


def check_network(network: Network) -> Report:
    """Derive, prove, generate and compare; sizes that are not given are small, unequal numbers."""
    network = network.with_small_sizes()
    derivation = derive(network)
    return Report(
        f"Checking {network.model.title}", prove(derivation), check_module(load(derivation), network.model)
    )


def check_file(path: Path) -> Report:
    """Check a generated module in a file: its own numbers, and the derivation that it cites.

    Raises:
        SpecificationError: there is no such file, it does not run, or it is no generated module.
    """
    module = import_file(path)
    missing = [name for name in _NEEDED if not hasattr(module, name)]
    if missing:
        raise SpecificationError(f"{path}: is not a generated module; it has no {missing[0]}")
    network, optimizer = _described(module, path)
    derivation = derive(network, optimizer=optimizer)
    text = path.read_text(encoding="utf-8")
    same = any(text == generate(derivation, bare=bare) for bare in (False, True))
    remark = f"{path} {'is' if same else 'is not'} what this version generates from its ARCHITECTURE."
    return Report(
        f"Checking {path}", prove(derivation), _compared(module, network, optimizer, path), [remark]
    )


def _described(module: ModuleType, path: Path) -> tuple[Network, str]:
    if not isinstance(module.ARCHITECTURE, str):
        raise SpecificationError(f"{path}: ARCHITECTURE is not a text")
    return parse_description(module.ARCHITECTURE)


def _compared(module: ModuleType, network: Network, optimizer: str, path: Path) -> list[Comparison]:
    try:
        return check_module(module, network.model, optimizer)
    except Exception as error:  # whatever the code of a file raises is a finding about that file
        raise SpecificationError(f"{path}: its functions fail: {type(error).__name__}: {error}") from error


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return ``rows`` as a table with aligned columns."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
