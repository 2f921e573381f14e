"""A network as the line of Python that makes it."""

from __future__ import annotations

from collections.abc import Mapping

from symbackprop.network.network import equations_in, options_in


def python_of(description: str) -> str:
    """Return the Python that makes the network of a description, and calls it ``network``.

    ``sb`` is the package.  The optimiser in the description is no part of the network.

    Raises:
        SpecificationError: the text is no description.
    """
    if "\n" in description:
        text, sizes, _ = equations_in(description)
        return f"equations = {_quoted(text)}\nnetwork = sb.Network.from_equations(equations{_sizes(sizes)})"
    architecture, values = options_in(description)
    values.pop("optimizer", None)
    arguments = [repr(architecture), *(f"{name}={value!r}" for name, value in values.items())]
    return f"network = sb.Network({', '.join(arguments)})"


def _sizes(sizes: Mapping[str, int]) -> str:
    return f", {sizes!r}" if sizes else ""


def _quoted(text: str) -> str:
    """Return a text of several lines as a literal of as many, unless it holds what would end that."""
    plain = f'r"""\n{text.strip()}\n"""'
    return repr(text) if '"""' in text or text.strip().endswith('"') or "\r" in text else plain
