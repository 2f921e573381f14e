"""symbackprop derives backpropagation symbolically and generates the code that runs it.

>>> import symbackprop as sb
>>> sb.derive(sb.Network("2-3-1")).gradient("w2")
(-t[i] + x2[i])*x1[j]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from symbackprop.code.version import VERSION

if TYPE_CHECKING:
    from symbackprop.commands.exercise import exercise
    from symbackprop.commands.trace import trace
    from symbackprop.commands.verify.decision import verify
    from symbackprop.commands.verify.functions import verify_function
    from symbackprop.document.printable import Derivation
    from symbackprop.equations.steps import Step
    from symbackprop.errors import SpecificationError, UnsupportedExpression
    from symbackprop.network.network import Network
    from symbackprop.pipeline import derive, draw, generate, load, prove
    from symbackprop.proof import Verdict

__version__ = VERSION

__all__ = [
    "Derivation",
    "Network",
    "SpecificationError",
    "Step",
    "UnsupportedExpression",
    "Verdict",
    "derive",
    "draw",
    "exercise",
    "generate",
    "load",
    "prove",
    "trace",
    "verify",
    "verify_function",
]

_HOMES = {
    "Derivation": "document.printable",
    "Network": "network.network",
    "SpecificationError": "errors",
    "Step": "equations.steps",
    "UnsupportedExpression": "errors",
    "Verdict": "proof",
    "derive": "pipeline",
    "draw": "pipeline",
    "exercise": "commands.exercise",
    "generate": "pipeline",
    "load": "pipeline",
    "prove": "pipeline",
    "trace": "commands.trace",
    "verify": "commands.verify.decision",
    "verify_function": "commands.verify.functions",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: SymPy takes longer to import than most commands run."""
    if name not in _HOMES:
        raise AttributeError(f"module 'symbackprop' has no attribute {name!r}")
    value = getattr(import_module(f"symbackprop.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
