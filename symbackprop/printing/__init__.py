"""Two printers of indexed expressions, one-line Unicode text and LaTeX, with one order of factors.

Both printers lay an expression out in the same way: ``Order`` decides which term and which factor
comes first, as a textbook would (``x2[i] - t[i]``, ``x1[j]·(1 - x1[j])``, ``∂E/∂s1[j]·x0[k]``), and
``Printer`` decides where brackets are needed.  Only the marks differ.  Nothing depends on the order
in which SymPy stores arguments.

In go an expression and the ``Notation`` of its network, out comes a string.
"""

from symbackprop.printing.latex import LatexPrinter, latex
from symbackprop.printing.notation import (
    NOTATIONS,
    Notation,
    notation_for,
    notation_of_system,
    split_name,
    with_layers,
)
from symbackprop.printing.order import flat, summed_indices
from symbackprop.printing.printer import Printer
from symbackprop.printing.text import TextPrinter, text

__all__ = [
    "NOTATIONS",
    "LatexPrinter",
    "Notation",
    "Printer",
    "TextPrinter",
    "flat",
    "latex",
    "notation_for",
    "notation_of_system",
    "split_name",
    "summed_indices",
    "text",
    "with_layers",
]
