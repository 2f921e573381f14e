"""Brackets stand where an expression holds together too loosely, and nowhere else."""

from __future__ import annotations

import random

import pytest

from symbackprop.printing.brackets import Level, closed, in_brackets

Tree = str | tuple["Tree", str, "Tree"]

SIGNS = {
    "<": (Level.RELATION, Level.SUM, Level.SUM),
    "-": (Level.SUM, Level.SUM, Level.PRODUCT),
    "/": (Level.PRODUCT, Level.PRODUCT, Level.FACTOR),
    "**": (Level.POWER, Level.ATOM, Level.FACTOR),
}
"""Sign -> its level, and what its sides must have at least."""


def written(tree: Tree) -> tuple[str, Level]:
    if isinstance(tree, str):
        return tree, Level.ATOM
    left, sign, right = tree
    level, *sides = SIGNS[sign]
    first, second = (closed(*written(side), least) for side, least in zip((left, right), sides, strict=True))
    return f"{first} {sign} {second}", level


def in_full(tree: Tree) -> str:
    return tree if isinstance(tree, str) else f"({in_full(tree[0])} {tree[1]} {in_full(tree[2])})"


def drawn(generator: random.Random, depth: int) -> Tree:
    if depth == 0 or generator.random() < 0.3:
        return generator.choice("12")
    sign = generator.choice([s for s in SIGNS if s != "<"])
    return drawn(generator, depth - 1), sign, drawn(generator, depth - 1)


@pytest.mark.parametrize("seed", range(50))
def test_no_bracket_that_is_needed_is_missing(seed: int) -> None:
    tree = drawn(random.Random(seed), 3)

    def value(text: str) -> object:
        try:
            return eval(text, {"__builtins__": {}})
        except (ArithmeticError, ValueError) as error:
            return type(error)

    assert value(written(tree)[0]) == value(in_full(tree))


def test_no_bracket_is_set_without_need() -> None:
    assert written((("1", "-", "2"), "-", ("3", "/", "4")))[0] == "1 - 2 - 3 / 4"
    assert written(("1", "-", ("2", "-", "3")))[0] == "1 - (2 - 3)"
    assert written((("1", "-", "2"), "<", ("3", "/", ("4", "**", "5"))))[0] == "1 - 2 < 3 / 4 ** 5"


def test_levels_run_from_loose_to_tight_and_a_format_has_its_own_brackets() -> None:
    assert list(Level) == sorted(Level)
    for level in Level:
        assert [closed("x", level, least) == "x" for least in Level] == [least <= level for least in Level]
    assert closed("x", Level.SUM, Level.PRODUCT, lambda inside: f"[{inside}]") == "[x]"
    assert in_brackets("x") == closed("x", Level.SUM, Level.PRODUCT) == "(x)"
