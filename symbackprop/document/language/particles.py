"""The Korean particle that fits what stands before it, a formula or a number too.

A particle has two forms, one behind a final consonant and one behind a vowel: 값은, 오차는.  A formula
ends in what is read last, so ``x1[j]`` (… 제이) takes 는 and ``n1`` (… 일) takes 은.
"""

from __future__ import annotations

import re
import unicodedata

_NONE, _L = 0, 8
"""Final consonants by their place in a syllable: none, and ㄹ, behind which 으로 becomes 로."""
_OTHER = 4
_DIGITS = {"1": _L, "7": _L, "8": _L, "0": _OTHER, "3": _OTHER, "6": _OTHER}
_WORDS = {"step": _OTHER}
_PRIMES = {"'": _OTHER, "′": _OTHER}
_LETTERS = {"l": _L, "r": _L, "m": _OTHER, "n": _OTHER, "ℓ": _L, "²": _OTHER, "³": _OTHER, "∞": _NONE}
_COMMANDS = {"ell": _L, "epsilon": _OTHER, "varepsilon": _OTHER, "infty": _NONE}
_LAYOUT = ("left", "right", "biggl", "biggr", "quad", "displaystyle")
"""Commands that are not read aloud."""
_REMARK = re.compile(r"(?<=[^,\s])\s+\([^()]*\)$")
"""A remark in brackets, which a particle passes over: 0.1 (learning_rate)이다."""
_FRACTION = re.compile(
    r"(?:([^/]*[^/\s])/(?:\w+|\([^()]*\))|\\frac\{((?:[^{}\\]|\{[^{}]*\})*)\}\{(?:[^{}]|\{[^{}]*\})*\})\W*$"
)
"""A fraction, read from below: 1/4 is 사분의 일; but ∂E/∂x is read as it stands, with a command in LaTeX."""
_POWER = re.compile(r"\^(?:\{[^{}()\\]*\}|\w+|\([^()]*\))[\s$)\]}]*$")
"""A power, read 제곱 or 승; what stands in braces and brackets is the number of a layer."""
_BOLD = re.compile("[\U0001d400-\U0001d7ff]")
"""Letters and digits of mathematics, such as a bold 1, which are read as plain ones."""
_SPOKEN = re.compile(r"\\([A-Za-z]+)|(step|[^\W_]|[²³∞'′])")


def with_particle(before: str, forms: str) -> str:
    """Return ``before`` with the form of a particle that fits, of ``forms`` such as 은/는."""
    closed, opened = forms.split("/")
    final = _final_consonant(before)
    if final == _NONE or (final == _L and closed.startswith("으로")):
        return before + opened
    return before + closed


def _final_consonant(text: str) -> int:
    """Return the final consonant of what is read last in ``text``."""
    text = _BOLD.sub(lambda found: unicodedata.normalize("NFKC", found[0]), _REMARK.sub("", text))
    if fraction := _FRACTION.search(text):
        return _final_consonant(fraction[1] or fraction[2])
    if _POWER.search(text):
        return _OTHER
    spoken = [found.groups() for found in _SPOKEN.finditer(text) if found[1] not in _LAYOUT]
    if not spoken:
        return _NONE
    command, letter = spoken[-1]
    if command is not None:
        return _COMMANDS.get(command, _NONE)
    if "가" <= letter <= "힣":
        return (ord(letter) - ord("가")) % 28
    return (_WORDS | _PRIMES).get(letter) or _DIGITS.get(letter) or _LETTERS.get(letter.lower(), _NONE)
