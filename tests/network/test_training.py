"""``training``, ``noise``, ``state`` and ``<-`` in ``.net`` texts: two networks, and what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.check import check_network
from symbackprop.errors import SpecificationError
from symbackprop.network.notation.building import Equations
from symbackprop.network.random_data import initial_values
from symbackprop.network.writing import text_of

HEAD = """\
input x[n, k]
target t[n, i]
parameter w[k, i]
size k = 3, i = 2
"""
TAIL = """
E = mean(sum((y[n, i] - t[n, i])**2, i)/2, n)
output y
"""
SUM = "sum(x[n, k]*w[k, i], k)"


def network(lines: str) -> sb.Network:
    return sb.Network.from_equations(HEAD + lines + TAIL)


def sides(lines: str, use: bool) -> dict[str, str]:
    model = Equations(HEAD + lines + TAIL, {}).model()
    system = model.in_use if use else model.system
    return {equation.name: str(equation.rhs) for equation in system.equations}


def test_one_text_is_two_networks() -> None:
    lines = f"noise e[n, i] = normal(1)\ny[n, i] = {SUM} + where(training, e[n, i], 5)"
    assert "e[i]" in sides(lines, use=False)["y"]
    assert sides(lines, use=True)["y"].startswith("5 + ") or sides(lines, use=True)["y"].endswith("+ 5")
    either = f"state c = 0\nc <- c + 1\ny[n, i] = {SUM}*where(not training and c > 2, 3, 7)"
    assert "7" in sides(either, use=False)["y"]
    assert "c > 2" in sides(either, use=True)["y"]
    assert "training" not in "".join((*sides(either, True).values(), *sides(either, False).values()))


def test_what_only_one_of_them_needs_is_left_out_of_the_other() -> None:
    lines = f"a[n, i] = {SUM}\nb[n, i] = 2*a[n, i]\nc[n, i] = 3*a[n, i]\n"
    lines += "y[n, i] = where(training, b[n, i], c[n, i])"
    assert list(sides(lines, use=False)) == ["a", "b", "y", "E"]
    assert list(sides(lines, use=True)) == ["a", "c", "y", "E"]


def test_equal_equations_have_one_number_and_the_others_their_own() -> None:
    derivation = sb.derive(network(f"s[n, i] = {SUM}\ny[n, i] = s[n, i]*where(training, 2, 3)"))
    use = derivation.use
    assert use is not None
    assert use.labels["s"] == derivation.labels["s"]
    numbers = {step.number for step in use.steps}
    assert {step.target for step in use.steps} == {"y"}
    assert numbers.isdisjoint({*derivation.labels.values(), *(step.number for step in derivation.steps)})
    text = derivation.text()
    assert f"({use.labels['y']})  y[i] = 3·s[i]" in text
    assert "In use" in text
    assert "사용할 때" in derivation.text(language="ko")


def test_a_text_without_the_words_has_one_network() -> None:
    derivation = sb.derive(network(f"y[n, i] = {SUM}"))
    assert derivation.use is None
    assert "In use" not in derivation.text()
    source = sb.generate(derivation)
    above = source[: source.index("# ---")]
    assert not re.search(r"noise|loss_in_use|STATE_SHAPES", above)
    assert "    return loss(parameters, x, t)\n" in source


def test_the_words_are_names_where_a_text_declares_them() -> None:
    lines = (
        f"input training[n]\nparameter noise[i], state[i]\ny[n, i] = {SUM} + noise[i]*training[n] + state[i]"
    )
    model = Equations(HEAD + lines + TAIL, {}).model()
    assert model.use is None
    assert {"noise", "state"} <= set(model.system.parameters)
    compared = f"constant training = 1\ny[n, i] = {SUM}*where(training > 0, 2, 3)"
    assert Equations(HEAD + compared + TAIL, {}).model().use is None


def test_a_block_of_the_library_asks_for_training_whatever_the_text_calls_so() -> None:
    text = "from library import dropout\n" + HEAD
    text += f"input training[n]\ns[n, i] = {SUM}*training[n]\ny[n, i] = dropout(s, rate=0.25)" + TAIL
    model = sb.Network.from_equations(text).model
    assert model.use is not None
    (noise,) = model.noise
    assert (noise.distribution, noise.numbers, noise.has_samples) == ("bernoulli", (0.75,), True)


def test_noise_and_states_of_blocks_are_numbered_by_their_uses() -> None:
    text = (
        f"""\
block layer(h[n, i]) -> y[n, i]
    noise e[n, i] = normal(1)
    state m[i] = 0
    y[n, i] = h[n, i] + where(training, e[n, i], m[i])
    m[i] <- mean(h[n, i], n)
{HEAD}
h0[n, i] = {SUM}
y = repeat(layer, 2, h0)
"""
        + TAIL
    )
    model = Equations(text, {}).model()
    assert [noise.name for noise in model.noise] == ["e1", "e2"]
    assert list(model.states) == ["m1", "m2"]
    module = sb.load(sb.Network.from_equations(text))
    assert list(module.STATE_SHAPES) == ["m1", "m2"]
    assert list(module.draw_noise(np.random.default_rng(0), 4)) == ["e1", "e2"]


def test_a_way_through_a_derivative_in_the_equations_is_open_in_both() -> None:
    text = """\
input x[n, k]
parameter w[k, j], v[j]
noise e[n, j] = normal(0.3)
size k = 1, j = 3
h[n, j] = tanh(sum(x[n, k]*w[k, j], k)) + where(training, e[n, j], 0)
u[n] = sum(v[j]*h[n, j]**2, j)
du[n] = gradient(u[n], x[n, 0])
E = mean((du[n] - u[n])**2, n) + 0.1*v[0]**2
output u
"""
    derivation = sb.derive(sb.Network.from_equations(text))
    assert derivation.use is not None
    assert len({step.number for step in derivation.by_number.values()}) == len(derivation.by_number)
    assert all(verdict.holds for verdict in sb.prove(derivation))
    module = sb.load(derivation)
    p, x = module.initialize(0, np.float64), np.array([[0.3], [-0.7]])
    t = np.tanh(x @ p["w"])
    u, du = t**2 @ p["v"], (2 * t * (1 - t**2) * p["w"][0]) @ p["v"]
    np.testing.assert_allclose(module.loss_in_use(p, x), np.mean((du - u) ** 2) + 0.1 * p["v"][0] ** 2)


@pytest.mark.parametrize(
    ("lines", "line", "column", "said"),
    [
        (f"noise e[n, i] = normal(1)\ny[n, i] = {SUM} + e[n, i]", 6, 37, "is read in use, too"),
        (
            f"noise e[n, i] = normal(1)\ny[n, i] = {SUM} + where(training, 0, e[n, i])",
            6,
            56,
            "is read in use, too",
        ),
        (f"noise e[n, i] = gaussian(1)\ny[n, i] = {SUM}", 5, 17, "there is no distribution 'gaussian'"),
        (f"noise e[n, i] = normal(-1)\ny[n, i] = {SUM}", 5, 24, "must be a positive number"),
        (f"noise e[n, i] = uniform(2, 1)\ny[n, i] = {SUM}", 5, 28, "1 is not above 2"),
        (f"noise e[n, i] = uniform(2)\ny[n, i] = {SUM}", 5, 17, r"write uniform\(low, high\)"),
        (f"noise e[n, i] = bernoulli(1.5)\ny[n, i] = {SUM}", 5, 27, "1.5 is no probability"),
        (f"noise e[n, i] = normal(w)\ny[n, i] = {SUM}", 5, 24, "a number is needed here"),
        (f"noise e[n, i]\ny[n, i] = {SUM}", 5, 7, "noise needs a distribution"),
        (f"noise e[n, i] = normal(1)\ny[n, i] = {SUM}", 5, 7, "'e' is never used"),
        (f"state m[i] = 0\ny[n, i] = {SUM} + m[i]", 5, 7, "the state 'm' is never updated"),
        (f"state m[n] = 0\ny[n, i] = {SUM} + m[n]\nm[n] <- 1", 7, 1, "stands on the left only"),
        (f"state m[n] = 0\ny[n, i] = {SUM} + m[n]\nm[n] <- m[n]", 5, 7, "runs over the samples"),
        (f"state m[i] = sometimes\ny[n, i] = {SUM}", 5, 14, "is not a known initialiser"),
        (
            f"state m = 0\ny[n, i] = {SUM} + m\nm <- m + 1\nm <- m + 2",
            8,
            1,
            "'m' is updated twice, first in line 7",
        ),
        (f"state m[i] = 0\ny[n, i] = {SUM} + m[i]\nm <- 1", 7, 1, r"'m' has 1 axis, not 0; write m\[i\]"),
        (f"y[n, i] = {SUM}\ny[n, i] <- y[n, i]", 6, 1, "'y' is no state"),
        (f"y[n, i] = {SUM}\nw[k, i] <- w[k, i]", 6, 1, "the optimiser changes parameters"),
        (f"state m[i] = 0\nm[i] <- m[i]\ny[n, i] = {SUM} + gradient(m[i]**2, m[i])", 7, 55, "'m' is a state"),
        (f"y[n, i] = training*{SUM}", 5, 11, "'training' is a condition"),
        (f"constant training = 1\ny[n, i] = {SUM}*where(training, 1, 2)", 6, 41, "a quantity of the text"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(lines: str, line: int, column: int, said: str) -> None:
    with pytest.raises(SpecificationError, match=rf"line {line}, column {column}: .*{said}"):
        Equations(HEAD + lines + TAIL, {}).model()


def test_written_out_blocks_keep_noise_states_and_updates() -> None:
    text = "from library import batch_norm, dropout\n" + HEAD
    text += f"s[n, i] = {SUM}\nu = batch_norm(s)\ny = dropout(u)" + TAIL
    plain = text_of(sb.Network.from_equations(text))
    assert "running_middle[i] <- (1 - momentum)*running_middle[i] + momentum*middle[i]" in plain
    assert "noise kept[n, i] = bernoulli(1 - rate)" in plain
    again = Equations(plain, {}).model()
    assert list(again.states) == ["running_middle", "running_variance"]


def test_a_bias_before_a_batch_norm_has_the_derivative_0_which_check_accepts() -> None:
    text = "from library import dense, batch_norm\n" + HEAD.replace("parameter w[k, i]\n", "")
    text += "s[n, i] = dense(x)\ny = batch_norm(s)" + TAIL
    report = check_network(sb.Network.from_equations(text))
    assert report.holds, report.table()


CODEBOOK = """\
input x[n, i]
parameter w[i, d] = xavier, u[d, i] = xavier
state code[m, d] = normal(0.3), turn[d, e] = orthogonal, count[m] = 1
size i = 4, d = 3, m = 5
z[n, e] = sum(x[n, i]*w[i, d]*turn[d, e], i, d)
best[n] = argmax(-sum((z[n, d] - code[m, d])**2, d), m)
q[n, d] = code[best[n], d]*count[best[n]]
s[n, d] = z[n, d] + stop_gradient(q[n, d] - z[n, d])
y[n, i] = sum(s[n, d]*u[d, i], d)
hit[n, m] = where(m == best[n], 1, 0)
code[m, d] <- 0.9*code[m, d] + 0.1*sum(hit[n, m]*z[n, d], n)
turn[d, e] <- turn[d, e]
count[m] <- count[m]
E = mean(sum((y[n, i] - x[n, i])**2, i), n)
output y
"""


def test_a_state_is_drawn_as_a_parameter_is() -> None:
    """By the same generator after the parameters, and in the module bit for bit as in the package."""
    network = sb.Network.from_equations(CODEBOOK)
    module = sb.load(network)
    first = module.initialize(3)
    for name, value in initial_values(network.model, 3).items():
        np.testing.assert_array_equal(first[name], value)
    assert 0.1 < first["code"].std() < 0.6
    np.testing.assert_allclose(first["turn"] @ first["turn"].T, np.eye(3), atol=1e-6)
    np.testing.assert_array_equal(first["count"], 1)
    with pytest.raises(SpecificationError, match="not a known initialiser; did you mean 'normal'"):
        sb.Network.from_equations(CODEBOOK.replace("= normal(", "= normall("))
