"""The command `check` on networks and files: what it says of faults, other texts, domains, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop.commands import check
from symbackprop.commands.check import Report, check_file, check_network
from symbackprop.commands.comparison.module import check_module
from tests.commands.module_mutants import module_of

SOFTMAX = {"architecture": "3-4:tanh-3:softmax", "l2": 0.01}

FAULTS: dict[str, tuple[str, str, str]] = {
    "logits for probabilities": ("return x2", "return s2", "forward"),
    "a wrong axis": ("forward:axis=1", "axis=0", "forward"),
    "another λ in the loss": ("loss:L2 * (w1**2)", "2 * L2 * (w1**2)", "loss"),
    "another λ in the derivatives": ("gradients:+ L2 * w1", "+ 2 * L2 * w1", "∂E/∂w1"),
    "another λ": ("L2 = 0.01", "L2 = 0.02", "constants"),
    "the sum in place of the mean": ("gradients:ds2.sum(axis=0) / samples", "ds2.sum(axis=0)", "∂E/∂b2"),
    "√4 for √3": ("_uniform:np.sqrt(3 *", "np.sqrt(4 *", "initialize"),
    "another variance": ("initialize:2 / (3 + 4)", "2 / (3 + 5)", "initialize"),
    "biases that are not 0": ("initialize:np.zeros(4)", "np.ones(4)", "initialize"),
    "a loss in float64": ("loss:t = np.asarray(t, dtype)", "t = np.asarray(t, dtype) * 1.001", "loss"),
    "float64 whatever the parameters": (
        'forward:dtype = parameters["w1"].dtype',
        "dtype = float",
        "in float32",
    ),
    "another decay": ("_update:M *= beta1", "M *= beta2", "Trainer.step"),
    "no weights of samples": ("_backpropagate:scale = scale * weights", "scale = scale * 1.0", "weights"),
    "another default": ('"beta1": 0.9,', '"beta1": 0.8,', "Trainer"),
    "weights of samples refused": ("WEIGHTED = True", "WEIGHTED = False", "constants"),
    "any target": ('"t": (0, 1)', '"t": (0, 2)', "constants"),
    "the wrong clipping": ("_clip:limit / norm", "norm / limit", "clip_norm"),
    "too late a clipping": ("_clip:norm > limit", "norm > 1.05 * limit", "clip_norm"),
    "too early a clipping": ("_clip:norm > limit", "norm > 0.95 * limit", "clip_norm"),
    "a norm beyond the floats": ("_clip:np.linalg.norm(", "np.float32(", "clip_norm in float32"),
    "pieces of any size alike": ("_loss_over:_mean(errors, counts)", "sum(errors) / len(errors)", "batches"),
    "the schedule upside down": ("_factor:(1 + math.cos(", "(1 - math.cos(", "schedule"),
    "every batch in one order": ("_new_order:trainer.generator.permutation(", "np.arange(", "Trainer.fit"),
    "no decayed state set to 0": ("_drop_subnormal:>= tiny", ">= 0", "decayed state"),
    "the sum of an epoch": (
        "_epoch:sum(self._errors) / len(self._errors)",
        "sum(self._errors)",
        "Trainer.fit",
    ),
    "steps that are not saved": ('_saved:"steps": self.steps', '"steps": 0', "save, load"),
    "no step": ("def _update(", "def _no_update(", "Trainer.step"),
}
"""What was planted -> function and text, what stands in its place, and the row that is to say so."""


def faulty(source: str, place: str, new: str) -> str:
    """Return a module with one text replaced, the first one in a function where one is named."""
    named = place.partition(":")[0].isidentifier()
    function, _, old = place.partition(":") if named else ("", "", place)
    start = source.index(f"def {function}(") if named else 0
    at = source.index(old, start)
    return source[:at] + new + source[at + len(old) :]


def checked(tmp_path: Path, source: str) -> Report:
    path = tmp_path / "module.py"
    path.write_text(source, encoding="utf-8")
    return check_file(path)


def wrong(report: Report) -> set[str]:
    return {row.subject.strip() for row in report.comparisons if not row.holds}


@pytest.fixture(scope="module")
def derivation() -> sb.Derivation:
    return sb.derive(sb.Network(**SOFTMAX), optimizer="adam")


@pytest.fixture(scope="module")
def source(derivation: sb.Derivation) -> str:
    return sb.generate(derivation)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_where_it_is(derivation: sb.Derivation, source: str, fault: str) -> None:
    place, new, row = FAULTS[fault]
    rows = check_module(module_of(faulty(source, place, new)), derivation)
    assert row in {each.subject.strip() for each in rows if not each.holds}, rows


def test_a_file_with_a_fault_is_wrong(tmp_path: Path, source: str) -> None:
    report = checked(tmp_path, faulty(source, "return x2", "return s2"))
    assert not report.holds
    assert report.remarks[0].endswith("generates from its ARCHITECTURE; it differs in forward.")
    assert "WRONG are forward" in report.remarks[1]


def test_a_text_that_differs_harmlessly_is_right(tmp_path: Path, source: str) -> None:
    changed = source.replace("    x2 = ", "    # the outputs\n    x2 = ").replace("x1**2", "x1 * x1")
    changed = changed.replace("3 * variance", "variance * 3.0")
    report = checked(tmp_path, changed)
    assert report.holds
    assert "it differs in" in report.remarks[0]
    assert (
        checked(tmp_path, source).remarks[0].endswith("is what this version generates from its ARCHITECTURE.")
    )


def test_other_first_values_of_the_same_distribution_are_right(tmp_path: Path, source: str) -> None:
    other = source.replace(
        "return generator.uniform(-limit, limit,", "return -generator.uniform(-limit, limit,"
    )
    assert checked(tmp_path, other).holds


@pytest.mark.parametrize(
    ("old", "new", "row"),
    [
        ("3-4:tanh", "3-5:tanh", "PARAMETER_SHAPES"),
        ("4:tanh", "4:sigmoid", "forward"),
        ("--l2 0.01", "--l2 0.03", "loss"),
        ("--optimizer adam", "--optimizer rmsprop", "Trainer"),
    ],
)
def test_an_architecture_that_is_another_one_is_wrong(
    tmp_path: Path, source: str, old: str, new: str, row: str
) -> None:
    report = checked(tmp_path, source.replace(old, new))
    assert row in wrong(report)
    assert "ARCHITECTURE and code do not belong together" in report.table()


def test_what_a_module_raises_is_a_row(derivation: sb.Derivation, source: str) -> None:
    rows = check_module(module_of(f"{source}\ndef loss(*a):\n    return a[99]\n"), derivation)
    verdicts = {row.subject: row.verdict for row in rows}
    assert verdicts["loss"] == "WRONG: raises IndexError: tuple index out of range"
    assert {verdicts[name] for name in ("forward", "E", "∂E/∂w1", "Trainer.step")} == {"holds"}


@pytest.mark.parametrize(
    "name", ["forward", "loss", "gradients", "initialize", "Trainer", "PARAMETER_SHAPES"]
)
def test_what_a_module_lacks_is_a_row(derivation: sb.Derivation, source: str, name: str) -> None:
    rows = check_module(module_of(f"{source}\ndel {name}\n"), derivation)
    assert any(f"there is no {name}" in row.verdict for row in rows)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw"])
def test_of_a_bare_module_is_compared_what_it_has(tmp_path: Path, optimizer: str) -> None:
    text = sb.generate(sb.Network(**SOFTMAX), optimizer=optimizer, bare=True)
    report = checked(tmp_path, text)
    assert report.holds
    assert not {"Trainer.fit", "save, load"} & {row.subject for row in report.comparisons}
    assert "Trainer.step" in wrong(checked(tmp_path, text.replace("parameters -= ", "parameters += ")))


# --------------------------------------------------------------------------------------- domains, refusals

SCHEDULE = """
    input     x[n, k], a[n]
    target    e[n, k]
    parameter w[k, i], v[i, k]
    h[n, i] = tanh(sum(sqrt(a[n])*x[n, k]*w[k, i], k))
    y[n, k] = sum(h[n, i]*v[i, k], i)/sqrt(1 - a[n])
    E       = mean(sum((y[n, k] - e[n, k])**2, k), n)
    output    y
    size k = 3
    size i = 2
"""
TWO_RANGES = """
    input     x[n, k], c[n], d[n]
    target    t[n]
    parameter w[k]
    s[n] = sum(x[n, k]*w[k], k)
    y[n] = asin(c[n])*s[n] + log(d[n] - 1)/(1 + exp(-s[n]))
    E    = mean((y[n] - t[n])**2, n)
    output y
    size k = 3
"""
NOWHERE = """
    input     x[n, k], a[n]
    target    t[n]
    parameter w[k]
    s[n] = sum(x[n, k]*w[k], k)
    r[n] = sqrt(a[n] - 40)
    y[n] = s[n]*r[n]
    E    = mean((y[n] - t[n])**2, n)
    output y
    size k = 3
"""


@pytest.mark.parametrize("equations", [SCHEDULE, TWO_RANGES])
def test_data_are_drawn_where_all_functions_have_values(equations: str) -> None:
    report = check_network(sb.Network.from_equations(equations))
    assert report.holds, report.table()
    assert len(report.comparisons) > 20


FAR_SCORES = """
    input     x[n, k]
    target    t[n, k]
    parameter w[k]
    s[n, k] = 900*(2 + cos(x[n, k]*w[k]))
    {}
    output y
    size k = 3
"""


@pytest.mark.parametrize(
    "equations",
    [
        "y[n, k] = softmax(s[n, k], k)\nE = mean(sum((y[n, k] - t[n, k])**2, k), n)",
        "y[n] = log(sum(exp(s[n, k]), k))\nE = mean(y[n]/1000 + sum(t[n, k], k), n)",
        "y[n, k] = sigmoid(-s[n, k])\nE = mean(sum(-t[n, k]*log(y[n, k]), k), n)",
    ],
    ids=["a share of a total", "a logarithm of a total", "a form that is stable"],
)
def test_scores_whose_exponentials_are_no_floats_are_compared(equations: str) -> None:
    report = check_network(sb.Network.from_equations(FAR_SCORES.format(equations)))
    assert report.holds, report.table()
    assert len(report.comparisons) > 20


def test_where_none_are_found_the_function_is_named() -> None:
    report = check_network(sb.Network.from_equations(NOWHERE))
    (row,) = report.comparisons
    assert (row.verdict, row.holds) == ("out of the domain of sqrt in (2)", False)
    assert "WRONG" not in report.table()
    assert "assume 0 <= a[n, i] <= 1" in report.table()
    assert check_network(
        sb.Network.from_equations(NOWHERE.replace("E ", "assume 41 <= a[n] <= 42\n    E "))
    ).holds


def test_the_proof_is_shown_where_the_code_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(derivation: object) -> object:
        raise sb.UnsupportedExpression("there is no code for that yet")

    monkeypatch.setattr(check, "load", refused)
    report = check_network(sb.Network.from_equations(SCHEDULE))
    assert isinstance(report.refusal, sb.UnsupportedExpression)
    assert not report.holds
    assert all(verdict.holds for verdict in report.verdicts)
    assert report.table().endswith("steps proved, there is no code to compare.")
