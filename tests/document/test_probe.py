"""Numbers in the drawing of a worked example, and those behind the slider of its page."""

from __future__ import annotations

import json
import re
import warnings
from html import unescape
from xml.etree import ElementTree

import numpy as np
import pytest

import symbackprop as sb
from symbackprop.commands.trace import Trace
from symbackprop.commands.trace_probe import STEP, changes
from symbackprop.document.drawing.layout import picture_of
from symbackprop.document.drawing.values import has_room, with_numbers


@pytest.fixture(scope="module")
def found() -> Trace:
    return sb.trace(sb.Network("2-2-2"))


@pytest.fixture(scope="module")
def page(found: Trace) -> str:
    return found.html()


def test_each_wire_has_its_weight_where_it_begins_and_its_derivative_where_it_ends(found: Trace) -> None:
    def exact(arrays: dict[str, np.ndarray], name: str, place: tuple[int, ...]) -> str:
        array = arrays[name]
        return repr(float(array[(0, *place)] if array.ndim > len(place) else array[place]))

    values, slopes = found.numbers.values, {**found.numbers.slopes, **found.gradients}
    bare = picture_of(found.derivation.model, found.derivation.system)
    picture = with_numbers(bare, lambda *at: exact(values, *at), lambda *at: exact(slopes, *at))
    captions = {(c.kind, c.text): c for c in picture.captions}
    for name, array in {"w1": found.gradients["w1"], "w2": found.gradients["w2"]}.items():
        layer = int(name[-1])
        for (source, target), slope in np.ndenumerate(array):
            value = captions["value", repr(float(values[name][source, target]))]
            other = captions["slope", repr(float(slope))]
            start, end = (picture.by_key[f"x{n}-{u}"] for n, u in ((layer - 1, source), (layer, target)))
            assert start.x < value.x < other.x < end.x
            assert abs(value.y - start.y) <= abs(value.y - end.y) + 2 * 4  # the baseline of the digits
    assert len(picture.captions) == len(bare.captions) + 2 * 12 + 6 + 4  # wires, activations, errors


def test_a_wide_network_has_its_numbers_in_descriptions_alone() -> None:
    found = sb.trace(sb.Network("6-6-2"))
    picture = picture_of(found.derivation.model, found.derivation.system)
    assert not has_room(picture)
    told = with_numbers(picture, lambda name, place: "1.5", lambda name, place: "2.5")
    assert told.captions == picture.captions
    assert any(edge.description.endswith(": 1.5, ∂ = 2.5") for edge in told.edges)
    equations = sb.trace(sb.Network.from_file("examples/attention.net"))
    drawn = picture_of(equations.derivation.model, equations.derivation.system)
    assert with_numbers(drawn, lambda name, place: "1", lambda name, place: "2") is drawn


def test_the_drawing_of_a_page_is_well_formed_and_its_numbers_are_those_of_the_trace(
    found: Trace, page: str
) -> None:
    drawing = ElementTree.fromstring(re.search(r"<svg.*?</svg>", page, re.DOTALL)[0])  # type: ignore[index]
    texts = [
        (element.get("class"), element.text) for element in drawing.iter("{http://www.w3.org/2000/svg}text")
    ]
    for value in found.gradients["w1"].flat:
        assert ("number slope", f"{value:.4g}") in texts
    assert ("number value", f"{found.numbers.values['x1'][0, 1]:.4g}") in texts
    assert r"text=red!65!black" in found.latex()


def test_the_slider_has_e_at_every_move_and_the_derivative_of_the_trace(found: Trace, page: str) -> None:
    data = json.loads(unescape(re.search(r'data-probe="([^"]*)"', page)[1]))  # type: ignore[index]
    names = re.findall(r"<option>(.*?)</option>", page)
    assert names[:5] == ["w1[0,0]", "w1[0,1]", "w1[1,0]", "w1[1,1]", "b1[0]"]
    assert data["step"] == STEP
    assert len(names) == len(data["components"]) == 12
    module = sb.load(found.derivation)
    given = found.numbers.values
    parameters = {name: np.array(given[name]) for name in found.gradients}
    for name, component in zip(names, data["components"], strict=True):
        quantity, place = name[:2], tuple(map(int, re.findall(r"\d", name[2:])))
        assert component["slope"] == found.gradients[quantity][place]
        middle = len(component["changes"]) // 2
        assert component["changes"][middle] == 0
        moved = {**parameters, quantity: parameters[quantity].copy()}
        moved[quantity][place] += 3 * STEP
        change = module.loss(moved, given["x0"], given["t"]) - module.loss(
            parameters, given["x0"], given["t"]
        )
        assert component["changes"][middle + 3] == pytest.approx(float(change), rel=1e-9, abs=1e-14)
        # central differences of second order: what the page shows agrees with g·Δw for the smallest move
        near = (component["changes"][middle + 1] - component["changes"][middle - 1]) / (2 * STEP)
        assert near == pytest.approx(component["slope"], rel=1e-3, abs=1e-6)


def test_a_move_out_of_the_domain_has_no_number() -> None:
    net = sb.Network("2-1:identity", loss="-t*log(x)", bias=False)
    found = sb.trace(net, parameters={"w1": [[0.2], [0.1]]}, x=[1.0, 1.0], t=[1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moves = changes(found, "w1", (0, 0))
    assert moves[0] is None
    assert moves[-1] == pytest.approx(np.log(0.3) - np.log(0.8))


def test_of_a_large_batch_fewer_components_move() -> None:
    x = np.linspace(-1, 1, 1000).reshape(500, 2)
    found = sb.trace(sb.Network("2-2"), x=x, t=np.full((500, 2), 0.5))
    assert found.html().count("<option>") == 3


def test_only_the_page_of_a_trace_has_a_slider(found: Trace) -> None:
    assert 'class="probe"' not in sb.derive(sb.Network("2-2-2")).html()
    assert ">가중치 하나를 움직여 보기</h2>" in found.html(language="ko")


def test_what_is_chosen_in_the_drawing_has_its_number() -> None:
    found = sb.trace(sb.Network("2-3-2"))
    page = found.html()
    told = re.findall(r'id="own-w1-(\d)-(\d)" .*?\\qquad = ([-.e\d]+)</annotation>', page, re.DOTALL)
    assert {(place, unit) for place, unit, _ in told} == {(i, j) for i in "01" for j in "012"}
    for place, unit, number in told:
        assert float(number) == pytest.approx(found.gradients["w1"][int(place), int(unit)], rel=1e-3)
    assert r"\qquad = " not in sb.derive(sb.Network("2-3-2")).html()
