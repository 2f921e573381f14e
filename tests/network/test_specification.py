"""What the user asks for: every architecture is read as meant, and every mistake is named."""

from __future__ import annotations

import ast
import string
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import symbackprop as sb
from symbackprop import Network, SpecificationError
from symbackprop.library.activations import ACTIVATIONS
from symbackprop.library.initializers import INITIALIZERS
from symbackprop.library.losses import LOSSES
from symbackprop.network.architecture import MAX_LAYERS, MAX_PARAMETERS, MAX_UNITS
from symbackprop.network.network import network_from_description

QUICK = 1.0
"""Seconds in which anything is refused."""
MEBIBYTE = 2**20


def refused(*parts: str, **arguments: Any) -> str:
    """Assert that a network is refused with a message that holds each of ``parts``; return the message."""
    arguments = {"architecture": "2-3-1", **arguments}
    with pytest.raises(SpecificationError) as caught:
        Network(arguments.pop("architecture"), **arguments)
    message = str(caught.value)
    for part in parts:
        assert part in message, message
    assert len(message) < 1000
    assert message.replace("\n", "").isprintable()
    return message


def shortened(value: object) -> str:
    return ascii(value)[:30]


def activations(architecture: str, **options: Any) -> list[str]:
    return [layer.activation for layer in Network(architecture, **options).source.layers]


# ---------------------------------------------------------------------------------------- architectures


@pytest.mark.parametrize(
    ("architecture", "sizes"),
    [
        ("2-3-1", (2, 3, 1)),
        ("64-32-10", (64, 32, 10)),
        ("1-1", (1, 1)),
        ("007-3", (7, 3)),
        (" 2 - 3 -\t1\n", (2, 3, 1)),
        ("10000000-1", (10_000_000, 1)),
    ],
)
def test_sizes(architecture: str, sizes: tuple[int, ...]) -> None:
    network = Network(architecture)
    assert network.source.sizes == sizes
    assert network.source.inputs == sizes[0]
    assert network.source.depth == len(sizes) - 1


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("2-3-1", ["sigmoid", "sigmoid"]),
        ("784-128:relu-10:softmax", ["relu", "softmax"]),
        ("2-3:ReLU-1", ["relu", "sigmoid"]),
        ("2-3 : relu - 1 : softmax", ["relu", "softmax"]),
        ("2-3:(relu)-1", ["relu", "sigmoid"]),
        ("784-128:(s*sigmoid(s))-10", ["s*sigmoid(s)", "sigmoid"]),
        ("2-3:( s  *  sigmoid(s) )-1", ["s * sigmoid(s)", "sigmoid"]),
        ("2-3:(s**2 - 1)-4:tanh-1", ["s**2 - 1", "tanh", "sigmoid"]),
        ("2-3:((s)*(s))-1", ["(s)*(s)", "sigmoid"]),
        ("2-3:((s - 1)*(s - 2))-1", ["(s - 1)*(s - 2)", "sigmoid"]),
        ("2-3:(where(s > 0, s, -s))-1", ["where(s > 0, s, -s)", "sigmoid"]),
        ("2-3:(Piecewise((s, s > 0), (0.1*s, True)))-1", ["Piecewise((s, s > 0), (0.1*s, True))", "sigmoid"]),
        ("2-3:tanh(2*s)-1", ["tanh(2*s)", "sigmoid"]),
    ],
)
def test_activation_of_each_layer(architecture: str, expected: list[str]) -> None:
    assert activations(architecture) == expected


@pytest.mark.parametrize("formula", ["s-1", "s-s**2", "s - 1", "2-s", "1-s-s"])
def test_a_difference_is_a_formula_and_no_name(formula: str) -> None:
    assert activations("2-3-1", hidden=formula) == [formula, "sigmoid"]
    assert activations(f"2-3:({formula})-1") == [formula, "sigmoid"]


@pytest.mark.parametrize("loss", ["x-t", "x-t*x", "(x - t)**4", "t-x"])
def test_a_loss_may_be_a_formula(loss: str) -> None:
    assert Network("2-3-1", loss=loss).source.loss == loss


def test_hidden_and_output_hold_where_a_layer_names_none() -> None:
    given = Network("2-3-4:tanh-1", hidden="relu", output="identity")
    assert [layer.activation for layer in given.source.layers] == ["relu", "tanh", "identity"]
    assert activations("2-3-1:softmax", output="identity")[-1] == "softmax"


@pytest.mark.parametrize("written", ["binary_cross_entropy", "binary-cross-entropy", "Binary-Cross_Entropy"])
def test_minus_and_underscore_mean_the_same_in_names(written: str) -> None:
    assert Network("2-3-1", loss=written) == Network("2-3-1")


def test_minus_and_underscore_mean_the_same_in_initialisers() -> None:
    assert Network("2-3-1", init="he-normal") == Network("2-3-1", init="he_normal")


def test_a_name_in_parentheses_is_the_name() -> None:
    assert Network("2-3:(relu)-1:(identity)") == Network("2-3:relu-1", output="identity")


# --------------------------------------------------------------------------------------------- defaults


def test_defaults() -> None:
    network = Network("2-3-1")
    assert (
        network.source.loss,
        network.source.bias,
        network.source.l2,
        network.source.l1,
        network.source.init,
        network.source.facts,
    ) == (
        "binary_cross_entropy",
        True,
        0.0,
        0.0,
        None,
        True,
    )


@pytest.mark.parametrize(
    ("output", "loss"),
    [("sigmoid", "binary_cross_entropy"), ("softmax", "cross_entropy"), ("identity", "squared_error")],
)
def test_the_loss_is_the_partner_of_the_output(output: str, loss: str) -> None:
    assert Network("2-3-4", output=output).source.loss == loss
    assert Network(f"2-3-4:{output}", output="tanh").source.loss == loss


@pytest.mark.parametrize("output", ["tanh", "relu", "s*sigmoid(s)"])
def test_an_output_without_a_partner_needs_a_loss(output: str) -> None:
    refused("loss", f"'{output}'", "--loss", "squared_error", output=output)
    assert Network("2-3-1", output=output, loss="squared-error").source.loss == "squared_error"


# ------------------------------------------------------------------------------- description, equality

FORMULAS = [
    "s*sigmoid(s)",
    "where(s > 0, s, 0.1*s)",
    "(s - 1)*(s + 1)",
    "s**3 - s",
    "tanh(2*s)",
    "s/(1 + Abs(s))",
]
LOSS_FORMULAS = ["(x - t)**4", "where(Abs(x - t) < 1, (x - t)**2/2, Abs(x - t))", "log(1 + exp(-x*t))"]
activation_texts = st.sampled_from([*ACTIVATIONS, *FORMULAS])
layer_sizes = st.integers(1, 400)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    parts = [str(draw(layer_sizes))]
    for _ in range(draw(st.integers(1, 5))):
        named = draw(st.none() | activation_texts)
        parts.append(str(draw(layer_sizes)) + ("" if named is None else f":({named})"))
    coefficients = st.sampled_from([0.0, 1e-4, 0.5, 3]) | st.floats(0, 1e300)
    outputs = int(parts[-1].partition(":")[0])
    weights = st.lists(coefficients, min_size=outputs, max_size=outputs) if outputs < 20 else st.none()
    return Network(
        "-".join(parts),
        hidden=draw(activation_texts),
        output=draw(activation_texts),
        loss=draw(st.sampled_from([*LOSSES, *LOSS_FORMULAS])),
        bias=draw(st.booleans()),
        l2=draw(coefficients),
        l1=draw(coefficients),
        init=draw(st.none() | st.sampled_from(sorted(INITIALIZERS))),
        facts=draw(st.booleans()),
        label_smoothing=draw(st.just(0.0) | st.floats(0, 0.99)),
        class_weights=draw(st.none() | weights),
    )


@settings(deadline=None, max_examples=150, derandomize=True, database=None)
@given(networks())
def test_description_leads_back_to_the_network(network: Network) -> None:
    again = network_from_description(network.description)
    assert again == network
    assert hash(again) == hash(network)
    assert again.description == network.description
    for name in ("inputs", "layers", "sizes", "loss", "bias", "l2", "l1", "init", "facts"):
        assert getattr(again.source, name) == getattr(network.source, name), name
    assert again.source.label_smoothing == network.source.label_smoothing
    assert again.source.class_weights == network.source.class_weights


@pytest.mark.parametrize(
    ("network", "description"),
    [
        (Network("2-3-1"), "2-3-1"),
        (Network("2-3-1", hidden="relu", output="softmax"), "2-3:relu-1:softmax"),
        (Network("2-3-1", bias=False, l2=0.5, l1=1), "2-3-1 --no-bias --l2 0.5 --l1 1.0"),
        (Network("2-3-1", output="identity", loss="(x - t)**4"), '2-3-1:identity --loss "(x - t)**4"'),
        (Network("2-3:(s**2 - 1)-1"), '"2-3:(s**2 - 1)-1"'),
        (Network("2-3-1", init="he-normal", facts=False), "2-3-1 --init he_normal --no-facts"),
    ],
)
def test_description_is_what_a_user_would_type(network: Network, description: str) -> None:
    assert network.description == description
    assert repr(network) == f"Network({description})"


@pytest.mark.parametrize(
    "other",
    [
        Network("2-3-2"),
        Network("2-3:tanh-1"),
        Network("2-3-1", loss="squared_error"),
        Network("2-3-1", bias=False),
        Network("2-3-1", l2=0.1),
        Network("2-3-1", l1=0.1),
        Network("2-3-1", init="he_normal"),
        Network("2-3-1", facts=False),
        Network("2-3-1", label_smoothing=0.1),
        Network("2-3-1", class_weights=[2]),
    ],
)
def test_networks_that_differ_are_not_equal(other: Network) -> None:
    assert other != Network("2-3-1")
    assert other != other.description


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("2-3-1 --l3 0.5", "'--l3'"),
        ("2-3-1 --l3 0.5", "did you mean '--l2'?"),
        ("2-3-1 --l2", "--l2: its value is missing"),
        ("2-3-1 --l2 much", "--l2: 'much' is not a number"),
        ('2-3-1 --loss "(x', "is not an architecture with options"),
        ("", "is not an architecture with options"),
    ],
)
def test_a_wrong_description_is_named(text: str, part: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        network_from_description(text)
    assert part in str(caught.value)


# ----------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("architecture", "parts"),
    [
        (f"2-{MAX_UNITS + 1}-1", ("layer 1", f"{MAX_UNITS + 1} units", f"more than {MAX_UNITS}")),
        (f"{MAX_UNITS + 1}-1", ("input size", f"more than {MAX_UNITS}")),
        ("2-" + "9" * 5000 + "-1", ("layer 1", f"more than {MAX_UNITS}")),
        (f"{MAX_UNITS}-{MAX_UNITS}", ("parameters", f"more than {MAX_PARAMETERS}")),
        ("32000-32000", (f"{32000 * 32000 + 32000} parameters", f"more than {MAX_PARAMETERS}")),
        ("-".join(["1"] * (MAX_LAYERS + 2)), (f"{MAX_LAYERS + 1} layers", f"more than {MAX_LAYERS}")),
        ("2-" * 500_000, ("layers are more than",)),
        ("1" * 10**6, ("'111", "...", "at least one layer")),
        ("-" * 10**6, ("layers are more than",)),
    ],
    ids=shortened,
)
def test_what_is_too_large_is_refused_quickly(architecture: str, parts: tuple[str, ...]) -> None:
    begin = time.perf_counter()
    refused(*parts, architecture=architecture)
    assert time.perf_counter() - begin < QUICK


def test_what_is_too_large_takes_little_memory() -> None:
    text = "-".join(["1"] * (MAX_LAYERS + 2))
    tracemalloc.start()
    try:
        refused("layers", architecture=text)
        refused("parameters", architecture=f"{MAX_UNITS}-{MAX_UNITS}")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * MEBIBYTE


def test_the_largest_that_is_accepted() -> None:
    assert Network(f"{MAX_UNITS}-1").source.inputs == MAX_UNITS
    assert Network(f"{MAX_PARAMETERS // 1000}-1000", bias=False).source.sizes == (10**6, 1000)
    refused("parameters", architecture=f"{MAX_PARAMETERS // 1000}-1000")  # the biases are too many
    assert Network("-".join(["1"] * (MAX_LAYERS + 1))).source.depth == MAX_LAYERS


# --------------------------------------------------------------------------------- malformed texts


@pytest.mark.parametrize(
    ("architecture", "parts"),
    [
        ("", ("architecture ''", "an input size and at least one layer", "'2-3-1'")),
        ("   ", ("an input size and at least one layer",)),
        ("2", ("'2'", "an input size and at least one layer")),
        ("2x3x1", ("'2x3x1'", "'2-3-1'")),
        ("2,3,1", ("'2,3,1'", "'2-3-1'")),
        ("attention.net", ("'attention.net'",)),
        ("2-0-1", ("layer 1", "size is 0", "at least one unit")),
        ("0-3-1", ("input size", "size is 0")),
        ("2-3-0", ("layer 2", "size is 0")),
        ("-2-3-1", ("input size", "''", "whole number")),
        ("2--3-1", ("layer 1", "''", "whole number")),
        ("2-3-", ("layer 2", "''", "whole number")),
        ("2-3.5-1", ("layer 1", "'3.5'", "whole number such as 32")),
        ("2-1e3-1", ("layer 1", "'1e3'", "whole number")),
        ("2-+3-1", ("layer 1", "'+3'", "whole number")),
        ("2-1_000-1", ("layer 1", "'1_000'", "whole number")),
        ("2-0x10-1", ("layer 1", "'0x10'", "whole number")),
        ("2-three-1", ("'2-three'", "whole number")),
        ("2-٣-1", ("layer 1", "'٣'", "whole number")),
        ("2-３-1", ("layer 1", "'３'", "whole number")),
        ("2-²-1", ("layer 1", "'²'", "whole number")),
        ("2-3\x00-1", ("layer 1", r"'3\x00'", "whole number")),
        ("2-3\x1b[31m-1", ("layer 1", r"\x1b[31m", "whole number")),
        ("2:relu-3-1", ("input size", "'2:relu'", "no activation")),
        ("2-3:-1", ("layer 1", "an activation is missing after the colon")),
        ("2-3-1: ", ("layer 2", "an activation is missing after the colon")),
        ("2-3:()-1", ("layer 1", "activation is empty")),
        ("2-3:rleu-1", ("layer 1", "'rleu'", "not a known activation", "did you mean 'relu'?")),
        ("2-3-1:sotfmax", ("layer 2", "'sotfmax'", "did you mean 'softmax'?")),
        ("2-3:zzz-1", ("layer 1", "'zzz'", "known are:", "tanh")),
        ("2-3:relu:tanh-1", ("layer 1", "relu:tanh")),
        ("2-3:relu(alpha=0.5)-1", ("layer 1", "'relu'", "'alpha'", "takes none")),
        ("2-3:rleu(alpha=0.5)-1", ("layer 1", "'rleu'", "did you mean 'relu'?")),
        ("2-3:(2)-1", ("layer 1", "'2'", "does not depend on s")),
        ("2-3:(s - s)-1", ("layer 1", "'s - s'", "does not depend on s")),
    ],
)
def test_a_malformed_architecture_is_named(architecture: str, parts: tuple[str, ...]) -> None:
    refused(*parts, architecture=architecture)


@pytest.mark.parametrize(
    "architecture", ["2-3:(s-1", "2-3:s)-1", "2-3:((s)-1", "2-3:(s))-1", "2-3:((((-1", "2-3:)s(-1", "(2-3-1"]
)
def test_unbalanced_parentheses_are_named(architecture: str) -> None:
    message = refused(architecture=architecture)
    assert "never closed" in message or "nothing is open" in message
    assert "loss" not in message


@pytest.mark.parametrize(
    ("option", "value", "parts"),
    [
        ("hidden", "sigmod", ("layer 1", "'sigmod'", "did you mean 'sigmoid'?")),
        ("output", "identy", ("layer 2", "'identy'", "did you mean 'identity'?")),
        ("hidden", "", ("layer 1", "empty")),
        ("hidden", "x", ("layer 1", "unknown name 'x'")),
        ("loss", "crossentropy", ("loss", "'crossentropy'", "did you mean 'cross_entropy'?")),
        ("loss", "zzz", ("loss", "'zzz'", "known are:", "squared_error")),
        ("loss", "", ("loss", "empty")),
        ("loss", "squared_error(beta=1)", ("loss", "'squared_error'", "'beta'", "takes none")),
        ("init", "he_norml", ("init", "'he_norml'", "did you mean 'he_normal'?")),
        ("init", "", ("init", "''", "known are:", "he_normal")),
        ("init", "zzz", ("init", "'zzz'", "known are:", "xavier_uniform")),
    ],
)
def test_an_unknown_name_is_named_with_the_nearest(option: str, value: str, parts: tuple[str, ...]) -> None:
    refused(*parts, **{option: value})


@pytest.mark.parametrize("loss", ["t", "t**2", "1", "x*0 + t", "x - x + t"])
def test_a_loss_must_depend_on_the_output(loss: str) -> None:
    refused("loss", f"'{loss}'", "does not depend on", "x", loss=loss)


@pytest.mark.parametrize("formula", ["sign(s)", "where(s > 0, 1, 0)"])
def test_an_activation_that_changes_in_jumps_passes_nothing_back(formula: str) -> None:
    module = sb.load(Network("2-3-1", hidden=formula))
    parameters = module.initialize(0)
    x, t = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
    _, derivatives = module.gradients(parameters, x, t)
    assert {name: value.shape for name, value in derivatives.items()} == module.PARAMETER_SHAPES
    assert not derivatives["w1"].any()
    assert derivatives["b2"].any()
    assert np.isfinite(module.Trainer(parameters).step(x, t))


@pytest.mark.parametrize("value", [None, 5, 2.5, b"relu", ["relu"], True, object()])
@pytest.mark.parametrize("option", ["architecture", "hidden", "output", "loss", "init"])
def test_a_text_of_another_type_is_named(option: str, value: object) -> None:
    if option in ("loss", "init") and value is None:
        assert Network("2-3-1", **{option: None}) == Network("2-3-1")
    else:
        refused(option, "expected a text", type(value).__name__, **{option: value})


@pytest.mark.parametrize("value", [None, "no", "", 0, 1, 10**400, float("inf"), 1j, []], ids=shortened)
@pytest.mark.parametrize("option", ["bias", "facts"])
def test_a_switch_of_another_type_is_named(option: str, value: object) -> None:
    refused(option, type(value).__name__, **{option: value})


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), -float("inf"), -0.1, -1, True, False, None, "0.1", [0.1], 1j, 10**400],
    ids=shortened,
)
@pytest.mark.parametrize("option", ["l2", "l1"])
def test_a_wrong_coefficient_is_named(option: str, value: object) -> None:
    refused(option, "is not a coefficient", "a number such as 0.01", **{option: value})


@pytest.mark.parametrize("value", [float("nan"), -0.1, 1, 1.5, True, None, "0.1", 10**400], ids=shortened)
def test_a_wrong_label_smoothing_is_named(value: object) -> None:
    refused("label_smoothing", label_smoothing=value)


@pytest.mark.parametrize(
    "value",
    [[1.0], [1, 2, 3], [], "12", 5, [1, "2"], [1, None], [1, -1], [1, float("inf")], [1, True]],
    ids=shortened,
)
def test_wrong_class_weights_are_named(value: object) -> None:
    refused("class_weights", architecture="3-2", class_weights=value)


def test_coefficients_may_be_any_real_number() -> None:
    assert Network("2-3-1", l2=1).source.l2 == 1.0
    assert Network("2-3-1", l1=1e-4).source.l1 == 1e-4


# --------------------------------------------------------------------- formulas, also hostile ones


@pytest.mark.parametrize(
    ("formula", "problem", "under"),
    [
        ("s + y", "unknown name 'y'", "y"),
        ("s**2 + tnah(s)", "did you mean 'tanh'?", "tnah"),
        ("s + 1/0", "divides by zero", "0"),
        ("s*(s", "never closed", "("),
        ("2 s", "operator is missing", "s"),
        ("s % 2", "% is not allowed", "%"),
        ("s.real", "attribute", "real"),
        ("s ^ 2", "write ** for a power", "^"),
        ("s + 'a'", "string is not allowed", "'a'"),
        ("lambda: s", "a lambda is not allowed", "lambda"),
        ("s + log(-1)", "no real value", "log"),
    ],
)
def test_a_wrong_formula_is_shown_with_a_caret(formula: str, problem: str, under: str) -> None:
    ways: list[dict[str, Any]] = [{"hidden": formula}]
    if formula.count("(") == formula.count(")"):
        ways.append({"architecture": f"2-3:({formula} )-1"})
    for arguments in ways:
        _, shown, caret = refused("layer 1", problem, **arguments).split("\n")
        assert caret.strip() == "^"
        assert shown[caret.index("^") :].startswith(under)


HOSTILE = [
    "__import__('os').system('x')",
    "().__class__.__base__.__subclasses__()",
    "s.__class__",
    "open('/etc/passwd').read()",
    "exec('1')",
    "[s for s in s]",
    "(s := 1)",
    "s if s else s",
    "{{ 7*7 }}",
    "{{ s }}",
    "{% for x in s %}",
    "{# s #}",
    "s + '{{ s }}'",
    '"""',
    '""" + s',
    "''' + s",
    's"',
    "s'",
    "s\\",
    "s\\n",
    "s\\x22",
    "s\x00",
    "\x00",
    "s\x07",
    "s\x1b[31m",
    "s\u202e",
    "s\ud800",
    "\udcff",
    "s#",
    "s;s",
    "s`",
    "$s",
    "f'{s}'",
    "9**9**9**9",
    "s**10**10",
    "10**1000*s",
    "1e999*s",
    "((((s**99)**99)**99)**99)",
    "exp(" * 60 + "s" + ")" * 60,
    "(" * 10_000 + "s" + ")" * 10_000,
    "s" + "*s" * 20_000,
    "s*" * 500_000,
    "a" * 10**6,
    "Max(" + ",".join(f"s*{n}" for n in range(200)) + ")",
    "inf",
    "nan*s",
    "oo*s",
    "s/0",
    "s*1j",
    "0**s",
    "True",
    "None",
]


@pytest.mark.parametrize("formula", HOSTILE, ids=shortened)
def test_a_hostile_formula_is_refused_quickly(formula: str) -> None:
    begin = time.perf_counter()
    refused(hidden=formula)
    refused(output=formula, loss="squared_error")
    refused("loss", loss=formula.replace("s", "x"))
    refused(architecture=f"2-3:({formula})-1")
    assert time.perf_counter() - begin < 4 * QUICK


@pytest.mark.parametrize("text", HOSTILE, ids=shortened)
def test_a_hostile_text_is_refused_in_every_place(text: str) -> None:
    refused("init", init=text)
    refused(architecture=text)
    refused(architecture=f"2-{text}-1")
    with pytest.raises(SpecificationError):
        network_from_description(text[:20_000])
    with pytest.raises(SpecificationError):
        sb.generate(Network("2-3-1"), optimizer=text)


def test_a_line_break_in_a_formula_is_a_space() -> None:
    network = Network("2-3-1", hidden="s\n*\r\n\tsigmoid(s)")
    assert network.source.layers[0].activation == "s * sigmoid(s)"
    assert "\n" not in network.description


@settings(
    deadline=None,
    max_examples=400,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    st.text(max_size=60)
    | st.text(alphabet="0123456789-:()s relutanhx.*/+_,=<>'\"{}%#\\", max_size=60)
    | st.from_regex(r"[1-9]-[1-9]:\([s0-9()+*/<>=,. a-z'\"{}%-]{0,30}\)-[1-9]", fullmatch=True),
    st.sampled_from(["architecture", "hidden", "output", "loss", "init"]),
)
def test_any_text_is_a_network_or_a_specification_error(text: str, option: str) -> None:
    arguments: dict[str, Any] = {"architecture": "2-3-1", option: text}
    message = ""
    try:
        network = Network(arguments.pop("architecture"), **arguments)
    except SpecificationError as error:
        message = str(error)
    if message:
        assert message.replace("\n", "").isprintable()
    else:
        assert network_from_description(network.description) == network
        assert set(network.description) <= set(string.printable) - set("\n\r\t\x0b\x0c\\`$")


FUNCTIONS = ["exp", "tanh", "sin", "atan", "Abs", "sigmoid", "sqrt"]


@st.composite
def formulas(draw: st.DrawFn, depth: int = 2) -> str:
    if depth == 0:
        return draw(st.sampled_from(["s", "s", "2", "0.5", "pi"]))
    inner = formulas(depth - 1)
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return f"({draw(inner)} {draw(st.sampled_from('+-*/'))} {draw(inner)})"
    if kind == 1:
        return f"{draw(st.sampled_from(FUNCTIONS))}({draw(inner)})"
    if kind == 2:
        return f"where(s > {draw(formulas(0))}, {draw(inner)}, {draw(inner)})"
    if kind == 3:
        return f"({draw(inner)})**{draw(st.sampled_from(['2', '3', '0.5']))}"
    return f"-{draw(inner)}"


@settings(deadline=None, max_examples=40, derandomize=True, database=None)
@given(formulas(), st.sampled_from(["hidden", "output"]))
def test_the_module_of_any_accepted_formula_is_plain_code(formula: str, option: str) -> None:
    try:
        source = sb.generate(Network("2-3-1", loss="squared_error", **{option: formula}))  # type: ignore[arg-type]
    except (SpecificationError, sb.UnsupportedExpression):
        return
    assert_plain_module(source)


def assert_plain_module(source: str) -> None:
    """Assert that ``source`` is a module of definitions, and that nothing of a template is left in it."""
    for mark in ("{{", "{%", "{#"):
        assert mark not in source, mark
    module = ast.parse(source)
    kinds = {type(node).__name__ for node in module.body}
    assert kinds <= {"Expr", "Import", "Assign", "AnnAssign", "FunctionDef", "ClassDef", "ImportFrom", "If"}
    calls = [node.func for node in ast.walk(module) if isinstance(node, ast.Call)]
    called = {function.id for function in calls if isinstance(function, ast.Name)}
    assert not called & {"eval", "exec", "__import__", "compile"}


@pytest.mark.parametrize(
    "network",
    [
        Network("2-3:(where(s != 0, s, 1))-1"),
        Network("2-3:(Piecewise((s, s > 0), (0.1*s, True)))-1"),
        Network("2-3-1", output="identity", loss="where(Abs(x - t) < 1, (x - t)**2/2, Abs(x - t) - 0.5)"),
        Network("2-3:(s" + " + s*sin(s)" * 30 + ")-1"),
    ],
    ids=lambda network: network.description[:40],
)
def test_the_architecture_stands_in_the_module_as_it_can_be_read_back(network: Network) -> None:
    source = sb.generate(network)
    assert_plain_module(source)
    (value,) = [
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ARCHITECTURE"
    ]
    assert network_from_description(value) == network
    assert ast.get_docstring(ast.parse(source), clean=False)
