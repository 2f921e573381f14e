"""symbackprop derives backpropagation symbolically and generates the code that runs it.

>>> import symbackprop as sb
>>> sb.derive(sb.Network("2-3-1")).gradient("w2")
(-t[i] + x2[i])*x1[j]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symbackprop.derivation import Derivation, Step
    from symbackprop.drawing import draw
    from symbackprop.errors import SpecificationError, UnsupportedExpression
    from symbackprop.exercises import exercise
    from symbackprop.pipeline import derive, generate, load
    from symbackprop.proof import Verdict, prove
    from symbackprop.specification import Network
    from symbackprop.tracing import trace
    from symbackprop.verification import verify, verify_function

__version__ = "0.1.0"

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
    "Derivation": "derivation",
    "Network": "specification",
    "SpecificationError": "errors",
    "Step": "derivation",
    "UnsupportedExpression": "errors",
    "Verdict": "proof",
    "derive": "pipeline",
    "draw": "drawing",
    "exercise": "exercises",
    "generate": "pipeline",
    "load": "pipeline",
    "prove": "proof",
    "trace": "tracing",
    "verify": "verification",
    "verify_function": "verification",
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
