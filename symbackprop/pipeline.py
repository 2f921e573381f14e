"""The pipeline: each stage with its input and its output, then the calls.

    stage       in                             out
    ----------  -----------------------------  --------------------------------------------------------
    network     sizes and options, or a .net   Network; its model: forward equations, sizes, data
    derivation  the model's equations          Derived: numbered steps, for a sample, a batch, an update
    proof       Derived                        a Verdict for each step
    code        Derived                        the source of a generated module
    document    Derived                        text, Markdown, LaTeX, HTML …; pictures

A stage is the folder of that name.  Several of them are built from `equations/`, `library/`, `arrays/` and
`printing/`, and `commands/` is built from them.  The derivation that is proved, the one that is printed
and the one that is emitted are one object.
"""

from __future__ import annotations

import gc
import hashlib
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from symbackprop.derivation.optimizer import with_update
from symbackprop.derivation.second_order import derive_along, derive_second
from symbackprop.derivation.wanted import derive_model
from symbackprop.document import printable as documents
from symbackprop.equations.steps import Derived
from symbackprop.errors import (
    SpecificationError,
    UnsupportedExpression,
    excerpt,
    require,
    require_flag,
    require_known,
    require_names,
    require_path,
    require_whole,
    suggestion,
)
from symbackprop.files import write_file
from symbackprop.library.optimizers import OPTIMIZERS, Optimizer
from symbackprop.network.network import Network
from symbackprop.numbers.self_test import (
    require_right,
    require_same,
    with_sizes_of,
    with_sizes_to_run,
)

if TYPE_CHECKING:
    from symbackprop.proof.prover import Verdict

_FEW_COLLECTIONS = 1_000_000
"""New objects after which garbage is looked for."""


@contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Look for garbage less often: expressions stay in use, and looking takes a fifth of the time."""
    first, *others = before = gc.get_threshold()
    if first:  # 0: somebody has turned it off
        gc.set_threshold(max(first, _FEW_COLLECTIONS), *others)
    try:
        yield
    finally:
        gc.set_threshold(*before)


class Derivation(documents.Derivation):
    """A derivation that prints itself: its equations, numbered steps and results, with their code.

    ``document`` and its short forms return it in a format; the other members are those of ``Derived``.
    """

    def lines_of_code(self) -> Mapping[int, Sequence[str]]:
        """Return the lines of the generated module that carry out each numbered equation.

        There are none where there is no module: sizes are open, or not the whole network is derived for.
        """
        from symbackprop.code.module import lines_by_number

        if self.model is None or self.of or self.second or self.model.along is not None:
            return {}
        try:
            return lines_by_number(self)
        except (SpecificationError, UnsupportedExpression):
            return {}


@_collecting_rarely()
def derive(
    network: Network, *, optimizer: str = "sgd", of: str | Sequence[str] | None = None, order: int = 1
) -> Derivation:
    """Derive the error of ``network`` for every parameter, for one sample and for a batch.

    The equations of ``optimizer`` use the derivatives in a step of training.  ``of`` names quantities
    (parameters, inputs, or anything between) that alone are derived for, without a step of training.
    To ``order`` 2 the first derivatives for parameters are derived again, for each pair of them.

    Raises:
        SpecificationError: a name that is not known, or of what has no derivative; an order that is not 1 or
            2; more parameters than can be derived for twice.
    """
    model = require("derive", network, Network, "a Network").model
    if _order(order) == 2:
        derived = derive_second(model, None if of is None else require_names("of", of))
    elif of is None:
        derived = with_update(derive_model(model), _optimizer(optimizer))
    else:
        derived = derive_model(model, require_names("of", of))
    require_right(derived)
    return Derivation.same_as(derived)


@_collecting_rarely()
def prove(derivation: Derived, *, seed: int = 0) -> list[Verdict]:
    """Return a verdict on every step of ``derivation``.

    ``seed`` chooses the numbers at which both sides of a step are compared where algebra can't decide.
    """
    from symbackprop.proof import prover

    require("prove", derivation, Derived, "a Derivation")
    return prover.prove(derivation, seed=require_whole("seed", seed))


def _order(order: int) -> int:
    if type(order) is not int or order not in (1, 2):
        hint = "1 is the gradient, 2 are the second derivatives"
        raise SpecificationError(f"order: {excerpt(str(order))} is not derived; {hint}")
    return order


@_collecting_rarely()
def derive_hessian_vector_product(network: Network) -> Derivation:
    """Derive the Hessian's product with a vector, as ``Derivation.hessian_vector_product`` does, and try it.

    Raises:
        SpecificationError: the network has no parameters.
    """
    derived = derive_along(require("derive", network, Network, "a Network").model)
    require_right(derived)
    return Derivation.same_as(derived)


def _optimizer(name: str) -> Optimizer:
    plain = str(name).replace("-", "_").lower()
    if plain not in OPTIMIZERS:
        hint = suggestion(plain, OPTIMIZERS)
        raise SpecificationError(f"optimizer: {excerpt(str(name))} is not known; {hint}")
    return OPTIMIZERS[plain]


@_collecting_rarely()
def generate(
    source: Network | Derived,
    path: str | Path | None = None,
    *,
    optimizer: str | None = None,
    bare: bool = False,
    hessian_vector: bool = False,
) -> str:
    """Return the source of a standalone NumPy trainer, and write it to ``path`` if one is given.

    ``optimizer`` is "sgd" by default; of a derivation it is the one that it was derived with.  A ``bare``
    trainer is the network and its training step alone: no files, no command line, no ``fit``.  With
    ``hessian_vector`` it has a function ``hessian_vector_product(parameters, x, t, vector)``, too, where
    vector is a dict of arrays like parameters.

    Raises:
        SpecificationError: an unknown optimiser, or a path that can't be written.
    """
    from symbackprop.code.module import emit

    file = None if path is None else require_path("path", path)
    require_flag("bare", bare)
    require_flag("hessian_vector", hessian_vector)
    if not isinstance(source, Derived):
        source = derive(source, optimizer="sgd" if optimizer is None else optimizer)
    elif source.of:
        problem = f"this derivation is of {', '.join(source.of)} alone"
        raise SpecificationError(f"generate: {problem}; a trainer needs that of the whole network")
    elif optimizer is not None:
        source = with_update(source, _optimizer(optimizer))
    assert source.model is not None
    product = derive_along(source.model) if hessian_vector else None
    text = emit(source, bare=bare, product=product)
    _try_out(text, source, bare, product)
    if file is not None:
        write_file(file, text)
    return text


def _try_out(text: str, derivation: Derived, bare: bool, product: Derived | None) -> None:
    """Run what is generated once; a large network with smaller sizes."""
    from symbackprop.code.bundle import compiled_for_a_step
    from symbackprop.code.module import emit

    small = with_sizes_to_run(derivation)
    product = None if product is None else with_sizes_of(small, product)
    own = text if small is derivation else emit(small, bare=bare, product=product, is_read=False)
    parts = () if bare else compiled_for_a_step()
    require_same(lambda: _executed(own, "generated", "<generated>", parts), small, product)


def _executed(text: str, name: str, file: str, parts: Iterable[types.CodeType]) -> types.ModuleType:
    """Return the module of a generated text, run; its runtime is these ``parts``, compiled once for all."""
    from symbackprop.code.bundle import runtime

    module = types.ModuleType(name)
    module.__file__ = file
    exec(compile(text.removesuffix(f"{runtime()}\n"), file, "exec"), module.__dict__)
    for part in parts:
        exec(part, module.__dict__)
    return module


def load(
    source: Network | Derived, *, optimizer: str | None = None, hessian_vector: bool = False
) -> types.ModuleType:
    """Return the generated module, imported: the same one as before where the text is the same."""
    from symbackprop.code.bundle import compiled

    text = generate(source, optimizer=optimizer, hessian_vector=hessian_vector)
    model = source.model
    stem = "generated" if model is None else model.name
    name = f"{stem}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"  # by which a trainer is pickled
    if name not in sys.modules:
        file = f"<generated from {model.title if model else 'equations'}>"
        sys.modules[name] = _executed(text, name, file, compiled())
    return sys.modules[name]


DRAWINGS = {"svg": (".svg",), "tikz": (".tex", ".tikz")}
"""Format of a picture -> the suffixes that choose it."""


class Drawing(str):
    """The text of an SVG or TikZ picture; a notebook shows an SVG as the picture."""

    __slots__ = ()

    def _repr_svg_(self) -> str | None:
        return str(self) if self.startswith("<svg") else None


def draw(
    source: Network | Derived,
    path: str | Path | None = None,
    *,
    format: str | None = None,
    language: str = "en",
) -> Drawing:
    """Return a picture of a network, and write it to ``path`` if one is given.

    A dense network is drawn unit by unit, equations as the graph of their quantities.

    Args:
        source: the network, or its derivation.
        path: the file to write.
        format: "svg" or "tikz"; default: by the suffix of ``path``, else "svg".
        language: a key of ``symbackprop.document.language.CATALOGUES``.

    Raises:
        SpecificationError: an unknown format or language, or a path that can't be written.
    """
    from symbackprop.document.drawing.layout import picture_of
    from symbackprop.document.drawing.svg import svg
    from symbackprop.document.drawing.tikz import tikz
    from symbackprop.document.language.catalogues import CATALOGUES

    file = None if path is None else require_path("path", path)
    chosen = format_of(file) if format is None else format
    require_known("format", chosen, DRAWINGS)
    require_known("language", language, CATALOGUES)
    require("draw", source, (Network, Derived), "a Network or a Derivation")
    system = source.system if isinstance(source, Derived) else source.model.system
    picture = picture_of(source.model, system, catalogue=CATALOGUES[language])
    text = Drawing(svg(picture) if chosen == "svg" else tikz(picture))
    if file is not None:
        write_file(file, text)
    return text


def format_of(file: Path | None) -> str:
    """Return the format that the suffix of a file chooses, "svg" where there is no file.

    Raises:
        SpecificationError: the suffix chooses none.
    """
    if file is None or str(file) == "-":
        return "svg"
    for format, suffixes in DRAWINGS.items():
        if file.suffix.lower() in suffixes:
            return format
    known = ", ".join(suffix for suffixes in DRAWINGS.values() for suffix in suffixes)
    raise SpecificationError(f"{file}: the suffix {excerpt(file.suffix)} names no picture; known are {known}")
