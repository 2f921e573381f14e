"""Generated modules broken on purpose: every function of a module, changed in every way that still parses."""

from __future__ import annotations

import ast
import copy
import random
import types
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from symbackprop.code.bundle import FILES, FOLDER, compiled, runtime

NETWORK = ("forward", "loss", "gradients", "initialize", "_backpropagate", "_update", "_uniform", "_normal")
"""The functions of a full module that differ from network to network."""
RUNTIME = {
    "trainer": ("__init__", "step", "_clip", "_drop_subnormal", "_buffers_for", "fit", "_epoch", "_watch"),
    "settings": ("_factor", "_settings", "_number"),
    "batches": ("groups", "_new_order", "batch", "pieces", "_loss_over", "_data_of", "_checked_batch"),
    "checks": ("_checked_array", "_check_bounds", "_check_total", "_checked_weights", "_mean"),
    "memory": ("_rows_of", "_views", "_parts_of", "_first_rows"),
    "archives": ("_write", "_read"),
}
"""The file of the runtime -> functions that training runs through."""
BARE = ("forward", "loss", "gradients", "initialize", "_uniform", "_normal", "__init__", "step")

_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mod,
    ast.Mod: ast.FloorDiv,
}
_COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_CALLS = {
    "exp": "tanh",
    "tanh": "exp",
    "sqrt": "square",
    "square": "sqrt",
    "maximum": "minimum",
    "minimum": "maximum",
    "logaddexp": "maximum",
    "add": "subtract",
    "subtract": "add",
    "multiply": "divide",
    "divide": "multiply",
    "negative": "positive",
    "greater": "less",
    "sum": "mean",
    "max": "min",
    "log": "exp",
    "where": "bitwise_or",
}


@dataclass(frozen=True)
class Mutant:
    """A broken module: in which function, what was changed, and the text."""

    function: str
    change: str
    text: str

    @property
    def name(self) -> str:
        """What was changed, and where."""
        return f"{self.function}: {self.change}"


def mutants(
    text: str, functions: Collection[str], count: int | None = None, seed: int = 0
) -> Iterator[Mutant]:
    """Yield the mutants of a module's functions; of a sample of so many, chosen at random, where asked."""
    tree = ast.parse(text)
    places = [
        (function, path, n)
        for function in _functions(tree, functions)
        for path, node in _nodes(function)
        for n in range(len(list(_changes(node, function))))
    ]
    if count is not None:
        places = random.Random(seed).sample(places, min(count, len(places)))
    for function, path, n in places:
        yield _mutant(text, tree, function, path, n)


def network_part(text: str) -> str:
    """Return what stands above the runtime of a generated module."""
    return text.removesuffix(f"{runtime()}\n")


def module_of(text: str, runtime: Iterable[types.CodeType] = ()) -> types.ModuleType:
    """Return the module that a text makes, above the parts of a runtime."""
    module = types.ModuleType("mutant")
    module.__file__ = "<mutant>"
    exec(compile(text, module.__file__, "exec"), module.__dict__)
    for part in runtime:
        exec(part, module.__dict__)
    return module


def broken_runtime(
    name: str, count: int, functions: Collection[str]
) -> Iterator[tuple[Mutant, list[types.CodeType]]]:
    """Yield mutants of one file of the runtime, with the code of all its files."""
    parts = dict(zip(FILES, compiled(), strict=True))
    for mutant in mutants((FOLDER / f"{name}.py").read_text(encoding="utf-8"), functions, count):
        tree = ast.parse(mutant.text)
        tree.body = [n for n in tree.body[1:] if not str(getattr(n, "module", "")).startswith("symbackprop.")]
        yield mutant, list({**parts, name: compile(tree, name, "exec")}.values())


def _functions(tree: ast.Module, names: Collection[str]) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in names]


def _nodes(function: ast.FunctionDef) -> Iterator[tuple[int, ast.AST]]:
    """Yield the nodes of a body but for its docstring and the annotations, with their places in a walk."""
    kept = function.body[1:] if ast.get_docstring(function) else function.body
    inside = {id(node) for statement in kept for node in ast.walk(statement)}
    for place, node in enumerate(ast.walk(function)):
        if id(node) in inside:
            yield place, node


def _changes(node: ast.AST, function: ast.FunctionDef) -> Iterator[ast.AST | None]:
    """Yield what a node may become; None where it is dropped."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value is not None:
        value = node.value
        yield ast.Constant(not value if isinstance(value, bool) else value + 1 if value != 1 else 3)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        yield ast.BinOp(node.left, _OPERATORS[type(node.op)](), node.right)
    if isinstance(node, ast.AugAssign) and type(node.op) in _OPERATORS:
        yield ast.AugAssign(node.target, _OPERATORS[type(node.op)](), node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield node.operand
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARED:
        yield ast.Compare(node.left, [_COMPARED[type(node.ops[0])]()], node.comparators)
    if isinstance(node, ast.Attribute) and node.attr in _CALLS:
        yield ast.Attribute(node.value, _CALLS[node.attr], node.ctx)
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        names = _local_names(function)
        if node.id in names and len(names) > 1:
            yield ast.Name(names[(names.index(node.id) + 1) % len(names)], node.ctx)
    if isinstance(node, ast.AugAssign | ast.Expr) or (isinstance(node, ast.If) and not node.orelse):
        yield None


def _local_names(function: ast.FunctionDef) -> list[str]:
    """Return the names that a function gives to values, in order."""
    stored = [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return list(dict.fromkeys(stored))


def _mutant(text: str, tree: ast.Module, function: ast.FunctionDef, place: int, number: int) -> Mutant:
    broken = copy.deepcopy(tree)
    twins = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    own = [n for n in ast.walk(broken) if isinstance(n, ast.FunctionDef)][twins.index(function)]
    node = list(ast.walk(own))[place]
    new = list(_changes(node, own))[number]
    line = getattr(node, "lineno", function.lineno)
    change = f"{_shown(node)} -> {_shown(new)} in `{text.splitlines()[line - 1].strip()}`"
    _Replaced(node, ast.Pass() if new is None else new).visit(own)
    return Mutant(function.name, change, ast.unparse(ast.fix_missing_locations(broken)))


def _shown(node: ast.AST | None) -> str:
    if node is None:
        return "nothing"
    return " ".join(ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).split())[:60]


class _Replaced(ast.NodeTransformer):
    """Puts one node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        """Return the new node for the old one."""
        return self.new if node is self.old else self.generic_visit(node)
