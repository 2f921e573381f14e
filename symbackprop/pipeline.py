"""The pipeline: each stage with what comes in and what goes out, then the calls.

    stage          module         in                          out
    -------------  -------------  --------------------------  --------------------------------------
    specification  specification  text and options            Network: parsed, validated, defaults
    model          networks       Network                     Model: equations, forward only, and data
    derivation     derivation     its EquationSystem          Derivation: numbered steps and results
    batch          batch          Derivation                  Derivation with the mean over a batch
    update         update         Derivation, optimiser       Derivation with the optimiser's equations
    proof          proof          Derivation                  a Verdict for each step
    statements     program        Derivation                  Statements of array operations
    code           emission       Derivation                  source of the generated module
    document       document       Derivation                  text, markdown, LaTeX, HTML or PDF
    picture        drawing        Network or Derivation       SVG or TikZ
    theorem        theorem        Network                     the recursion for L layers, and its proof
    numbers        evaluation     Derivation, arrays          Numbers: every equation and step evaluated
    trace          tracing        Network, arrays             Trace; worked makes a document of it
    verification   verification   Derivation, claims          a Verification for each claim
    exercise       exercises      Derivation                  Exercise: a document with blanks

The derivation that is proved, the one that is printed and the one that is emitted are one object.
"""

from __future__ import annotations

import sys
import types
from dataclasses import replace
from pathlib import Path

from symbackprop.batch import with_batch
from symbackprop.derivation import Derivation, derive_system
from symbackprop.errors import SpecificationError, excerpt, suggestion
from symbackprop.garbage import collecting_rarely
from symbackprop.library import OPTIMIZERS, Optimizer
from symbackprop.specification import Network
from symbackprop.update import with_update
from symbackprop.writing import write_file


@collecting_rarely()
def derive(network: Network, *, optimizer: str = "sgd") -> Derivation:
    """Derive the error of ``network`` for every parameter, for one sample and for a batch.

    The equations of ``optimizer`` say what a step of training does with the derivatives.
    """
    if not isinstance(network, Network):
        raise SpecificationError(f"derive: expected a Network, got {type(network).__name__}")
    model = network.model
    derivation = replace(derive_system(model.system), model=model)
    derivation = with_batch(derivation) if model.per_sample else derivation
    return with_update(derivation, _optimizer(optimizer))


def _optimizer(name: str) -> Optimizer:
    plain = str(name).replace("-", "_").lower()
    if plain not in OPTIMIZERS:
        hint = suggestion(plain, OPTIMIZERS)
        raise SpecificationError(f"optimizer: {excerpt(str(name))} is not known; {hint}")
    return OPTIMIZERS[plain]


@collecting_rarely()
def generate(
    source: Network | Derivation, path: str | Path | None = None, *, optimizer: str | None = None
) -> str:
    """Return the source of a standalone NumPy trainer, and write it to ``path`` if one is given.

    ``optimizer`` is "sgd" unless told; of a derivation it is the one that it was derived with.

    Raises:
        SpecificationError: an unknown optimiser, or a path that can't be written.
    """
    from symbackprop.emission import emit

    if not isinstance(source, Derivation):
        source = derive(source, optimizer="sgd" if optimizer is None else optimizer)
    elif optimizer is not None:
        source = with_update(source, _optimizer(optimizer))
    text = emit(source)
    if path is not None:
        write_file(Path(path), text)
    return text


def load(source: Network | Derivation, *, optimizer: str | None = None) -> types.ModuleType:
    """Return the generated module, imported."""
    text = generate(source, optimizer=optimizer)
    model = source.model
    module = types.ModuleType("generated" if model is None else model.name)
    module.__file__ = f"<generated from {model.title if model else 'equations'}>"
    exec(compile(text, module.__file__, "exec"), module.__dict__)
    return module


def import_file(path: Path) -> types.ModuleType:
    """Import the module in ``path`` under a name of its own; Python runs it, as it runs any module.

    Raises:
        SpecificationError: there is no such file, or running it fails.
    """
    try:
        found = path.is_file()
    except OSError:
        found = False
    if not found:
        raise SpecificationError(f"{path}: there is no such file")
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    try:
        source = path.read_text(encoding="utf-8")
        sys.modules.setdefault(module.__name__, module)
        exec(compile(source, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        raise SpecificationError(f"{path}: does not run: {type(error).__name__}: {error}") from error
    return module
