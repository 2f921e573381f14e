"""Networks written as equations in index notation, the ``.net`` files.

``lines`` splits a text into statements, ``reader`` turns one formula into an expression, ``ranges`` finds
the size that each index runs over, ``program`` reads a whole text, ``samples`` takes the samples' axis out,
``building`` makes a ``Model`` of it, and ``writing`` prints a dense network in the same notation.
"""

from symbackprop.net.building import model_of_text

__all__ = ["model_of_text"]
