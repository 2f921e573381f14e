"""The command line of a module: train, predict, evaluate, check."""

import argparse
import contextlib
import math
import os
import signal
import sys
from typing import IO, Any

import numpy as np

from symbackprop.code.runtime.archives import _read, _replace, _write
from symbackprop.code.runtime.checks import (
    _ABOUT_ROWS,
    _STANDARDIZES,
    _checked,
    _mean,
    _parameters_in,
    _samples_in,
    _scaling_in,
    _words_in,
)
from symbackprop.code.runtime.datafiles import (
    _ARE_PLACES,
    _IS_TABLE,
    _columns,
    _data,
    _described,
    _ends,
    _Given,
    _parts,
    _pieces,
    _Reading,
    _scaling_of,
    _standardised,
)
from symbackprop.code.runtime.network import (
    ARCHITECTURE,
    BOUNDS,
    CLASSES,
    HELD,
    HYPERPARAMETERS,
    INPUTS,
    PARAMETER_SHAPES,
    SMALL_SIZES,
    TARGETS,
    TOTALS,
    WHOLE_NUMBERS,
    forward,
    gradients,
    initialize,
    loss,
    loss_in_use,
)
from symbackprop.code.runtime.settings import _KEYWORDS, _MEANINGS, _whole
from symbackprop.code.runtime.tables import _is_text
from symbackprop.code.runtime.trainer import Trainer, _Terminated

_FEWEST_STEPS = 2000  # of a run that is told no number of epochs


# ---------------------------------------------------------------- train


def _train(options: argparse.Namespace) -> None:
    if options.epochs is not None:
        _whole("--epochs", options.epochs, 0)
    read = [options.data, options.validation]
    _refuse_inputs("--checkpoint", options.checkpoint, read)  # the one resumed may be
    read.append(options.resume)
    _refuse_inputs("--output", options.output, read, options.checkpoint)
    resumed = Trainer.load(options.resume) if options.resume else None
    reading = _Reading(
        options.label_column, options.separator, resumed.words if resumed else None
    )
    given = _said(_data(options.data, reading))
    words = given.words or (resumed.words if resumed else ())
    reading = reading._replace(words=words)
    if options.validation and not _is_text(options.validation):
        reading = _Reading(words=words)  # it has no separators
    validation = (
        _said(_data(options.validation, reading)) if options.validation else None
    )
    _replace(options.output)  # sees that it can be written
    trainer = _trainer(options, given.x, resumed)
    trainer.words = words
    x = _standardised(given.x, trainer.scaling)
    pair = validation and (_standardised(validation.x, trainer.scaling), validation.t)
    total = _epochs(options.epochs, trainer, _samples_in(x))
    before = trainer.epochs
    try:
        history = trainer.fit(
            x,
            given.t,
            max(total - trainer.epochs, 0),
            pair,
            lambda epoch, history: _progress(trainer.epochs, total, history),
            patience=options.patience,
            checkpoint=options.checkpoint,
            every=options.every,
        )
    finally:
        if trainer.epochs > before and sys.stderr.isatty():
            print(file=sys.stderr)  # ends the line of the progress
    _write(options.output, {**_checked(trainer.parameters), **trainer._kept()})
    errors = history["loss"]
    last = f"E {errors[-1]:.6g}" if errors else "nothing left to do"
    print(f"{trainer.epochs} epochs, {last}; wrote {options.output}")
    if resumed is None and len(errors) > 1 and errors[-1] > 0.9 * errors[0]:
        _say(
            f"E went from {errors[0]:.4g} to {errors[-1]:.4g} only: try another "
            f"--learning-rate than {trainer.learning_rate:g}"
            f"{', --standardize' * (_STANDARDIZES and not trainer.scaling)}"
            " or more --epochs"
        )


def _epochs(epochs: int | None, trainer: Trainer, samples: int) -> int:
    """Return the epochs of a run: those asked for, or enough for a number of steps."""
    if epochs is not None:
        return epochs
    steps = 1 if _ABOUT_ROWS else -(-samples // trainer.batch_size)
    return max(100, math.ceil(_FEWEST_STEPS / steps))


def _trainer(options: argparse.Namespace, x: Any, resumed: Trainer | None) -> Trainer:
    """Return a new trainer, or the one of the checkpoint to go on from."""
    given = {name: value for name, value in vars(options).items() if name in _KEYWORDS}
    if "seed" in given:
        _whole("--seed", given["seed"], 0)
    standardize = _STANDARDIZES and options.standardize
    if resumed is None:
        trainer = Trainer(**given)
        if standardize:
            trainer.scaling = _scaling_of(_parts(x, np.float64, options.data))
        return trainer
    settings = {**resumed.settings, "standardize": bool(resumed.scaling)}
    if standardize:
        given["standardize"] = True
    for name, value in given.items():
        if settings.get(name, value) != value:
            raise ValueError(
                f"{options.resume}: was made with {name} {settings[name]}, not {value}; "
                "a run goes on as it began"
            )
    return resumed


def _progress(epoch: int, epochs: int, history: dict[str, list[float]]) -> None:
    """Keep one line up to date on a terminal."""
    if sys.stderr.isatty():
        values = ", ".join(
            f"{name} {values[-1]:.6g}" for name, values in history.items()
        )
        line = f"\repoch {epoch}/{epochs}: {values}\033[K"
        print(line, end="", file=sys.stderr, flush=True)


# ---------------------------------------------------------------- no input is written over


def _refuse_inputs(
    option: str, output: str | None, inputs: list[str | None], other: str | None = None
) -> None:
    """Raise ValueError where an output is a file that is read, or another output."""
    if output is None:
        return
    hint = f"name another for {option}"
    for path in filter(None, inputs):
        for file in _files_in(path):
            if _same(output, file):
                what = "" if output == file else f"{file}, which is "
                raise ValueError(f"{output}: is {what}read; {hint}")
        folder = os.path.dirname(output) or "."
        if os.path.isdir(path) and output.endswith(".npy") and _same(folder, path):
            what = f"would be read as one of the arrays in {path}"
            raise ValueError(f"{output}: {what}; {hint}")
    if _same(output, other):
        raise ValueError(f"{output}: is the checkpoint, too; {hint}")


def _files_in(path: str) -> list[str]:
    """Return a file, or a folder with the arrays that are read from it."""
    inside = sorted(os.listdir(path)) if os.path.isdir(path) else []
    return [
        path,
        *(os.path.join(path, name) for name in inside if name.endswith(".npy")),
    ]


def _same(path: str | None, other: str | None) -> bool:
    """Return whether two paths name one file, which need not exist yet."""
    if path is None or other is None:
        return False
    if os.path.exists(path) and os.path.exists(other):
        return os.path.samefile(path, other)
    return os.path.realpath(path) == os.path.realpath(other)


# ---------------------------------------------------------------- predict, evaluate


class _Weights:
    """The parameters of a file, and what it keeps beside them."""

    def __init__(self, path: str) -> None:
        arrays = _read(path)
        self.parameters = _parameters_in(arrays, path)
        self.scaling = _scaling_in(arrays, path)
        self.words = _words_in(arrays, path)
        self.dtype = next(iter(self.parameters.values())).dtype


def _predict(options: argparse.Namespace) -> None:
    _refuse_inputs("--output", options.output, [options.weights, options.data])
    weights = _Weights(options.weights)
    reading = _Reading(options.label_column, options.separator, weights.words)
    x = _said(_data(options.data, reading, need_targets=False)).x
    parts = _parts(_standardised(x, weights.scaling), weights.dtype, options.data)
    outputs = (_by_name(forward(weights.parameters, part)) for part in parts)
    if options.output is None:
        _write_rows(sys.stdout, outputs, weights.words)
    elif options.output.endswith(".npz"):
        found = list(outputs)
        whole = {
            name: np.concatenate([part[name] for part in found]) for name in found[0]
        }
        first = next(iter(whole.values()))
        named = {"labels": _words_for(first, weights.words)} if weights.words else {}
        inputs = x if isinstance(x, dict) else {"x": x}
        _write(options.output, {**inputs, **whole, **named})
    else:
        _replace(options.output, lambda file: _write_rows(file, outputs, weights.words))


def _by_name(outputs: Any) -> dict[str, np.ndarray]:
    """Return what `forward` gives by name; a single array is called outputs."""
    return outputs if isinstance(outputs, dict) else {"outputs": outputs}


def _first_output(parameters: dict[str, np.ndarray], x: Any) -> np.ndarray:
    """Return the output that the targets are compared with."""
    return next(iter(_by_name(forward(parameters, x)).values()))


def _write_rows(file: IO[Any], outputs: Any, words: tuple[str, ...]) -> None:
    """Write outputs as lines of numbers; labels that are words after a header that names them."""
    is_text = file is sys.stdout
    if words:
        header = (
            ",".join(map(_quoted, [*(words if CLASSES else ["output"]), "label"]))
            + "\n"
        )
        file.write(header if is_text else header.encode())
    for part in outputs:
        tables = [array.reshape(len(array), -1) for array in part.values()]
        rows = np.concatenate(tables, axis=1)
        if not words:
            np.savetxt(file, rows, delimiter=",", fmt="%.8g")
            continue
        for row, word in zip(rows, _words_for(tables[0], words), strict=True):
            line = ",".join([*(f"{value:.8g}" for value in row), _quoted(word)]) + "\n"
            file.write(line if is_text else line.encode())


def _quoted(word: str) -> str:
    """Return a word as a cell of a table."""
    plain = not any(mark in word for mark in ',"\n\r')
    return word if plain else '"' + word.replace('"', '""') + '"'


def _words_for(outputs: np.ndarray, words: tuple[str, ...]) -> np.ndarray:
    """Return the word that each row of outputs names."""
    ends = _ends()
    names = np.array([*words, *map(str, range(len(words), max(CLASSES, 2)))])
    numbers = outputs.argmax(axis=1) if ends is None else outputs[:, 0] > sum(ends) / 2
    named: np.ndarray = names[numbers.astype(int)]
    return named


def _evaluate(options: argparse.Namespace) -> None:
    weights = _Weights(options.weights)
    reading = _Reading(options.label_column, options.separator, weights.words)
    given = _said(_data(options.data, reading))
    x = _standardised(given.x, weights.scaling)
    errors, rights, counts = [], [], []
    for part, targets in _pieces(x, given.t, weights.dtype, options.data):
        errors.append(loss_in_use(weights.parameters, part, targets))
        rights.append(_are_right(weights.parameters, part, targets))
        counts.append(_samples_in(part))
    print(f"E {_mean(errors, counts):.8g}")
    known = [right for right in rights if right is not None]
    if len(known) == len(rights) and any(right.size for right in known):
        print(f"accuracy {np.concatenate(known).mean():.4%}")


def _are_right(parameters: dict[str, np.ndarray], x: Any, t: Any) -> np.ndarray | None:
    """Return whether outputs name the target, if there is one; None where targets name none."""
    ends = _ends()
    right: np.ndarray
    if CLASSES or _ARE_PLACES:
        named = t if _ARE_PLACES else t.argmax(axis=1)
        right = (_first_output(parameters, x).argmax(axis=1) == named)[named >= 0]
        return right
    if ends is None or not np.isin(t, ends).all():
        return None
    middle = sum(ends) / 2
    right = (_first_output(parameters, x) > middle) == (t > middle)
    return right


# ---------------------------------------------------------------- check


def _check(options: argparse.Namespace) -> int:
    """Compare the derivatives with central differences along random directions."""
    generator = np.random.default_rng(0)
    parameters = initialize(0, np.float64)
    x, t = _drawn(generator, INPUTS), _drawn(generator, TARGETS)
    E, derivatives = gradients(parameters, x, t)
    print(f"E = {E:.8g}")
    if HELD:
        names = ", ".join(HELD)
        print(f"The derivatives hold {names}, which differences of E do not:")
        print("`symbackprop check` compares with differences that hold them, too.")
        return 0
    worst = 0.0
    for name in PARAMETER_SHAPES:
        value = parameters[name]
        direction = generator.normal(size=value.shape)
        direction /= np.linalg.norm(direction)
        expected = np.sum(derivatives[name] * direction)
        differences = []
        for h in (1e-3, 1e-4, 1e-5):
            after = loss({**parameters, name: value + h * direction}, x, t)
            before = loss({**parameters, name: value - h * direction}, x, t)
            slope = (after - before) / (2 * h)
            differences.append(abs(slope - expected) / max(abs(slope), 1e-3))
        worst = max(worst, min(differences))
        print(f"dE/d{name}: relative difference {min(differences):.1e}")
    return 0 if worst < 1e-5 else 1


def _drawn(generator: np.random.Generator, names: dict[str, Any]) -> Any:
    """Return x or t with random numbers such as it may hold."""
    arrays = {name: _drawn_array(generator, name, names[name]) for name in names}
    return arrays if len(arrays) > 1 else next(iter(arrays.values()), None)


def _drawn_array(
    generator: np.random.Generator, name: str, sizes: tuple[int | str, ...]
) -> np.ndarray:
    """Return an array of random numbers within their bounds, or with their total."""
    shape = tuple(int(SMALL_SIZES.get(str(size), size)) for size in sizes)
    if name in WHOLE_NUMBERS:
        counts = [SMALL_SIZES.get(str(size), size) for size in WHOLE_NUMBERS[name]]
        return generator.integers(min(map(int, counts), default=2), size=shape)
    if name in TOTALS or (CLASSES and name in TARGETS):
        return _drawn_shares(generator, shape, *TOTALS.get(name, (1, 1)))
    low, high = BOUNDS.get(name, (None, None))
    if low is None and high is None:
        return generator.normal(size=shape)
    low = (high or 0.0) - 1 if low is None else low
    high = max(low + 1, 1.0) if high is None else high
    return generator.uniform(low + 0.05, high - 0.05, shape)  # ends may have no slope


def _drawn_shares(
    generator: np.random.Generator, shape: tuple[int, ...], total: float, axis: int
) -> np.ndarray:
    """Return random numbers with a total along an axis; positive ones where that can be."""
    others = shape[:axis] + shape[axis + 1 :]
    shares = np.moveaxis(generator.dirichlet(np.ones(shape[axis]), others), -1, axis)
    if total <= 0:
        shares = shares - shares.mean(axis=axis, keepdims=True) + total / shape[axis]
    return shares * total if total > 0 else shares


# ---------------------------------------------------------------- options


def _examples() -> str:
    """Return the end of the help: examples, and what data are."""
    table, suffix = _IS_TABLE, ".csv" if _IS_TABLE else ".npz"
    own = "an .npz file with these arrays, or a folder of .npy files with their names"
    described = (
        "data is a table (.csv, .tsv, .txt or .data, also with .gz) with a line for each\n"
        f"sample, after a header line or none:\n  {_columns()}\n"
        "or a .npy file of such rows, or an .npz file with the arrays x and t, rows being\n"
        "samples, or a folder with x.npy and t.npy."
        if table
        else f"data is {own}:\n  {_described()}\n"
    )
    standardize = " --standardize" if _STANDARDIZES else ""
    return f"""\
examples:
  %(prog)s train data{suffix}{standardize} --validation other{suffix} -o weights.npz
  %(prog)s evaluate weights.npz other{suffix}
  %(prog)s predict weights.npz new{suffix} -o outputs.{"csv" if table else "npz"}

{described}
Of .npy files no more than a batch is in memory at once.
exit status: 0 done, 1 a check failed, 2 bad input"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=(__doc__ or ARCHITECTURE).splitlines()[0],
        epilog=_examples(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    _add_train(
        commands.add_parser("train", help="learn from data and write the weights")
    )
    predict = commands.add_parser("predict", help="print the outputs for data")
    predict.add_argument("weights", help="the file that train wrote")
    predict.add_argument("data", help="as for train; targets may be left out")
    predict.add_argument("-o", "--output", help="a .csv or .npz file instead")
    _add_reading(predict)
    predict.set_defaults(run=_predict)
    accuracy = ", and the accuracy" if CLASSES or _ARE_PLACES or _ends() else ""
    evaluate = commands.add_parser("evaluate", help=f"print E{accuracy}")
    evaluate.add_argument("weights", help="the file that train wrote")
    evaluate.add_argument("data", help="as for train")
    _add_reading(evaluate)
    evaluate.set_defaults(run=_evaluate)
    check = commands.add_parser(
        "check", help="compare the derivatives with numerical ones"
    )
    check.set_defaults(run=_check)
    return parser


def _add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the options of tables."""
    parser.set_defaults(label_column=None, separator=None)
    if _IS_TABLE:
        text = (
            "the column of the label or of the first target: its name, or number from 1"
        )
        parser.add_argument("--label-column", metavar="NAME|NUMBER", help=text)
        text = (
            "what separates columns: a character, or the word tab; default: found out"
        )
        parser.add_argument("--separator", metavar="CHARACTER", help=text)


def _add_train(train: argparse.ArgumentParser) -> None:
    """Add the options of train."""
    add = train.add_argument
    data = (
        f".npz with x and t, or a table or .npy with a row for each sample: {_columns()}"
        if _IS_TABLE
        else f".npz, or folder of .npy, with {_described()}"
    )
    add("data", help=data)
    add("-o", "--output", default="weights.npz", help="the weights' file (%(default)s)")
    text = (
        "passes over the data, resumed ones included; default 100, or as many as make "
        f"{_FEWEST_STEPS} steps"
    )
    add("--epochs", type=int, help=text)
    # What is not given stays out of the options, and Trainer has the default.
    for name, value in HYPERPARAMETERS.items():
        default = f"{value:g}".replace("e-0", "e-")
        text = f"{_MEANINGS.get(name, 'of the update')}; default {default}"
        option = f"--{name.replace('_', '-')}"
        add(option, type=float, default=argparse.SUPPRESS, help=text)
    text = "rows of a step; default 32"
    add("--batch-size", type=int, default=argparse.SUPPRESS, help=text)
    text = "whole number that fixes initial weights and shuffling; default: chance"
    add("--seed", type=int, default=argparse.SUPPRESS, help=text)
    text = "largest norm of the derivatives; default: none"
    add("--clip-norm", type=float, default=argparse.SUPPRESS, help=text)
    if _STANDARDIZES:
        text = (
            "subtract each input's mean, divide by its deviation; kept with the weights"
        )
        add("--standardize", action="store_true", help=text)
    _add_reading(train)
    add("--validation", metavar="DATA", help="data to watch the loss on")
    text = "end after so many epochs without a lower loss (of the validation, if given)"
    add("--patience", type=int, metavar="EPOCHS", help=text)
    text = "write the whole state to this file while training, and on Ctrl-C or SIGTERM"
    add("--checkpoint", metavar="FILE", help=text)
    text = "epochs between checkpoints; default %(default)s"
    add("--every", type=int, default=1, metavar="EPOCHS", help=text)
    text = "a checkpoint to go on from, with its settings and standardisation"
    add("--resume", metavar="FILE", help=text)
    train.set_defaults(run=_train)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0 when done, 1 for a failed check, 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        # A value that is not finite is reported by name, so warnings say nothing more.
        with np.errstate(all="ignore"):
            status = options.run(options) or 0
        sys.stdout.flush()
        return int(status)
    except (ValueError, FloatingPointError) as error:
        return _fail(error)
    except MemoryError as error:
        return _fail(f"not enough memory: {error}".removesuffix(": "))
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _fail(f"can't print: {error.strerror}")
    except KeyboardInterrupt as interruption:
        _say(
            "interrupted; the state of the last step is saved if --checkpoint is given"
        )
        terminated = isinstance(interruption, _Terminated)
        return 128 + (signal.SIGTERM if terminated else signal.SIGINT)


def _said(given: _Given) -> _Given:
    """Print what there is to say of data that were read."""
    for note in given.notes:
        _say(note)
    return given


def _say(text: object) -> None:
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr)


def _fail(error: object) -> int:
    _say(error)
    return 2


if __name__ == "__main__":
    sys.exit(main())
