"""Pictures of networks: what stands where, what is written, and that both writers write all of it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from pathlib import Path

import pytest

import symbackprop as sb
from symbackprop.document.drawing.layout import picture_of
from symbackprop.document.drawing.picture import Name, Picture, route
from symbackprop.document.drawing.placement import _spaced, _with_few_crossings
from symbackprop.document.drawing.svg import svg
from symbackprop.document.drawing.tikz import tikz
from symbackprop.equations.system import name_of
from tests.networks import EQUATIONS, equations

SVG = "{http://www.w3.org/2000/svg}"
FORMULA = "4-8:(Piecewise((s, s < 0), (0.1*s, True)))-3"


def drawn(network: sb.Network) -> Picture:
    return picture_of(network.model, network.model.system)


def deep_equations(depth: int) -> sb.Network:
    """Return a chain of layers in index notation, in which a skip connection passes over all of them."""
    lines = ["input x[n, a]", "target t[n, a]"]
    lines += [f"parameter w{layer}[a, b]" for layer in range(1, depth + 1)]
    before = "x"
    for layer in range(1, depth + 1):
        a, b = ("ab", "ba")[layer % 2]
        lines.append(f"h{layer}[n, {b}] = tanh(sum({before}[n, {a}]*w{layer}[{a}, {b}], {a}))")
        before = f"h{layer}"
    last = "ab"[(depth + 1) % 2]
    lines += [f"y[n, {last}] = {before}[n, {last}] + x[n, {last}]"]
    lines += [f"E = mean(sum((y[n, {last}] - t[n, {last}])**2, {last}), n)", "output y", "size a = 3"]
    return sb.Network.from_equations("\n".join(lines) + "\n")


NETWORKS = {
    "2-2-1": lambda: sb.Network("2-2-1"),
    "1-1": lambda: sb.Network("1-1", bias=False),
    "784-512-512-10": lambda: sb.Network("784-512-512-10:softmax", hidden="relu"),
    "twenty layers": lambda: sb.Network("-".join(["5"] * 21)),
    "formula": lambda: sb.Network(FORMULA, loss="squared_error"),
    "deep equations": lambda: deep_equations(20),
    **{name: lambda name=name: equations(name) for name in EQUATIONS},  # type: ignore[misc]
}


@pytest.fixture(scope="module", params=NETWORKS)
def picture(request: pytest.FixtureRequest) -> Picture:
    return drawn(NETWORKS[request.param]())


# -------------------------------------------------------------------------------------- any picture


def test_nothing_stands_on_anything_else_or_outside(picture: Picture) -> None:
    for node in picture.nodes:
        assert node.width / 2 <= node.x <= picture.width - node.width / 2
        assert node.height / 2 <= node.y <= picture.height - node.height / 2
    for a, b in combinations(picture.nodes, 2):
        apart = abs(a.x - b.x) >= (a.width + b.width) / 2 or abs(a.y - b.y) >= (a.height + b.height) / 2
        assert apart, (a.key, b.key)
    for caption in picture.captions:
        assert 0 < caption.x < picture.width
        assert 0 < caption.y < picture.height


def test_arrows_go_from_left_to_right_and_end_at_rims(picture: Picture) -> None:
    for edge in picture.edges:
        source, target = picture.by_key[edge.source], picture.by_key[edge.target]
        points = route(picture, edge)
        if target.kind != "loss" or source.kind != "target":
            assert [x for x, _ in points] == sorted(x for x, _ in points)
        for node, (x, y) in ((source, points[0]), (target, points[-1])):
            across, down = abs(x - node.x), abs(y - node.y)
            if node.round:
                assert (across**2 + down**2) ** 0.5 == pytest.approx(node.width / 2)
            else:
                at_side = across == pytest.approx(node.width / 2) and down <= node.height / 2
                assert at_side or (down == pytest.approx(node.height / 2) and across <= node.width / 2)


def test_both_writers_write_every_node_arrow_and_caption(picture: Picture) -> None:
    root = ET.fromstring(svg(picture))
    nodes = [e.get("data-node") for e in root.iter() if "node" in (e.get("class") or "").split()]
    assert nodes == [node.key for node in picture.nodes]
    arrows = [(e.get("data-from"), e.get("data-to")) for e in root.iter() if e.get("data-from")]
    assert arrows == [(edge.source, edge.target) for edge in picture.edges]
    written = ["".join(text.itertext()) for text in root.iter(f"{SVG}text")]
    for caption in picture.captions:
        if isinstance(caption.text, str):
            assert caption.full + caption.text in written
    source = tikz(picture)
    assert source.count(r"\path") == len(picture.edges)
    assert source.count(r"\node") == len(picture.nodes) + len(picture.captions)
    assert source.count("{") == source.count("}")


def test_an_svg_tells_those_who_do_not_see_it(picture: Picture) -> None:
    root = ET.fromstring(svg(picture))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert (title.text or "").startswith(("The network", "a network given by its equations"))
    assert len(description.text or "") > 60


def test_an_svg_is_self_contained_and_follows_light_dark_and_print(picture: Picture) -> None:
    text = svg(picture)
    assert re.findall(r"https?://[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<script|@import|url\(|href", text)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


# ------------------------------------------------------------------------------------ dense networks


def test_a_small_network_is_drawn_whole() -> None:
    picture = drawn(sb.Network("2-3-1"))
    units = [node.key for node in picture.nodes if node.kind in ("input", "unit", "output")]
    assert units == ["x0-0", "x0-1", "x1-0", "x1-1", "x1-2", "x2-0"]
    weights = {(e.source, e.target) for e in picture.edges if "w1" in e.quantities}
    assert weights == {(f"x0-{k}", f"x1-{j}") for k in (0, 1) for j in (0, 1, 2)}
    assert {e.source for e in picture.edges if "b2" in e.quantities} == {"one-1"}
    assert not [n for n in drawn(sb.Network("2-3-1", bias=False)).nodes if n.kind == "bias"]
    assert Name("w", "", "kj") in [caption.text for caption in picture.captions]


def test_of_a_wide_layer_the_first_units_and_the_last_are_drawn() -> None:
    picture = drawn(sb.Network("784-512:relu-10:softmax"))
    inputs = [node.name.word for node in picture.nodes if node.kind == "input"]
    assert inputs == ["0", "1", "2", "783"]
    texts = [caption.text for caption in picture.captions]
    assert texts.count("⋮") == 3
    for text in ("784", "512", "10", "relu", "softmax"):
        assert text in texts


def test_of_a_deep_network_the_first_layers_and_the_last_are_drawn() -> None:
    picture = drawn(sb.Network("-".join(["2"] * 21)))
    layers = {node.key.split("-")[0] for node in picture.nodes if node.key.startswith("x")}
    assert layers == {"x0", "x1", "x2", "x3", "x18", "x19", "x20"}
    (rest,) = [node for node in picture.nodes if node.kind == "rest"]
    assert {e.source for e in picture.edges if e.target == rest.key} == {"x3-0", "x3-1"}
    assert {e.target for e in picture.edges if e.source == rest.key} == {"x18-0", "x18-1"}


def test_what_a_user_wrote_is_shortened_and_escaped() -> None:
    text = sb.draw(sb.Network(FORMULA, loss="squared_error"))
    assert "(s, s < 0)" not in text
    assert "(s, s &lt; 0)" in text
    root = ET.fromstring(text)
    titles = ["".join(title.itertext()) for title in root.iter(f"{SVG}title")]
    assert any("Piecewise((s, s < 0), (0.1*s, True))" in title for title in titles)
    assert r"\texttt" not in sb.draw(sb.Network(FORMULA, loss="squared_error"), format="tikz")


def test_a_deep_network_is_drawn_as_large_as_one_of_few_layers() -> None:
    few, many = (drawn(sb.Network("-".join(["4"] * n))) for n in (12, 201))
    assert (many.width, many.height) == (few.width, few.height)
    assert len(many.nodes) == len(few.nodes)
    assert len(many.edges) == len(few.edges)


# ---------------------------------------------------------------------------------------- equations


@pytest.mark.parametrize("name", EQUATIONS)
def test_equations_are_drawn_as_the_graph_of_their_quantities(name: str) -> None:
    network = equations(name)
    system, picture = network.model.system, drawn(network)
    read = {(name_of(r), e.name) for e in system.equations for r in system.reads(e.rhs)}
    again = {node.key: node.quantities[0] for node in picture.nodes if node.again}
    drawn_ = {(again.get(edge.source, edge.source), edge.target) for edge in picture.edges if edge.drawn}
    assert drawn_ == read
    assert {(edge.source, edge.target) for edge in picture.edges if not edge.drawn} == {
        (name, key) for key, name in again.items()
    }
    assert set(picture.by_key) - set(again) == {name for pair in read for name in pair}
    kinds = {node.key: node.kind for node in picture.nodes}
    assert kinds["E"] == "loss"
    assert kinds[network.model.output] == "output"
    assert all(kinds[parameter] == "parameter" for parameter in system.parameters)
    assert all(kinds[target.name] == "target" for target in network.model.targets)


def in_words(network: sb.Network) -> sb.Network:
    """Return a network whose names tell no layers."""
    words = (f"{a}{b}" for a in "pqrs" for b in "pqrst")
    by_number = {str(n): word for n, word in enumerate(words, start=1)}
    text = re.sub(r"\b([hw])(\d+)\b", lambda found: found[1] + by_number[found[2]], network.description)
    return sb.Network.from_equations(text)


def test_a_deep_graph_goes_on_in_rows_and_leaves_nothing_out() -> None:
    network = in_words(deep_equations(20))
    picture = drawn(network)
    own = [node for node in picture.nodes if not node.again]
    assert {node.key for node in own} == set(network.model.system.quantities)
    assert picture.width < 1000
    assert len([node for node in picture.nodes if node.again and node.quantities == ("x",)]) == 1
    boxes = [(node.x, node.y, node.width, node.height) for node in picture.nodes]
    for (x, y, width, height), (u, v, wide, high) in combinations(boxes, 2):
        assert abs(x - u) >= (width + wide) / 2 or abs(y - v) >= (height + high) / 2
    for edge in picture.edges:
        assert edge.back or not edge.drawn or picture.by_key[edge.source].x < picture.by_key[edge.target].x


def test_of_equal_layers_the_first_and_the_last_are_drawn() -> None:
    text = "from library import transformer_block\ninput x[n, t, d]\nsize t = 2, d = 4, a = 2, h = 2, f = 4\n"
    text += "z = repeat(transformer_block, {}, x)\nE = mean(sum(z[n, t, d]**2, t, d), n)\noutput z\n"
    few, more, many = (drawn(sb.Network.from_equations(text.format(n))) for n in (2, 5, 9))
    (rest,) = [node for node in many.nodes if node.kind == "rest"]
    assert rest.note == "layers 2 to 8, all alike"
    assert len(many.nodes) == len(more.nodes)
    assert (many.width, many.height) == (more.width, more.height)
    assert {node.kind for node in few.nodes} == {node.kind for node in many.nodes} - {"rest"}
    names = {node.key for node in many.nodes}
    assert {"q1", "q9"} <= names
    assert not names & {f"q{layer}" for layer in range(2, 9)}


def test_what_is_given_stands_in_the_row_that_first_reads_it() -> None:
    picture = drawn(in_words(deep_equations(20)))
    arrows = [edge for edge in picture.edges if edge.drawn]
    for node in picture.nodes:
        assert any(node.key in (edge.source, edge.target) for edge in arrows)


def test_what_a_recurrence_reads_at_another_place_goes_back_below_all_else() -> None:
    picture = drawn(sb.Network.from_file("examples/rnn.net"))
    (back,) = (edge for edge in picture.edges if edge.back)
    assert (back.source, back.target) == ("h", "before")
    points = route(picture, back)
    assert all(x == end[0] or y == end[1] for (x, y), end in pairwise(points))
    lowest = max(node.y + node.height / 2 for node in picture.nodes)
    assert lowest < max(y for _, y in points) < picture.height
    assert all(0 < x < picture.width for x, _ in points)
    for text in (svg(picture), tikz(picture)):
        assert len(re.findall(r"-stealth|class=\"point\"", text)) == len(picture.edges)


def test_arrows_that_need_not_cross_do_not() -> None:
    columns = _with_few_crossings([["a", "b", "c"], ["x", "y", "z"]], {("a", "z"), ("b", "x"), ("c", "y")})
    assert [{"a": "z", "b": "x", "c": "y"}[key] for key in columns[0]] == columns[1]


def test_heights_keep_their_order_and_their_distance() -> None:
    spaces = dict.fromkeys("abc", 10.0)
    assert _spaced("abc", {"a": 0, "b": 30, "c": 60}, spaces) == {"a": 0, "b": 30, "c": 60}
    # the nearest in the sense of least squares: all moved by the same
    assert _spaced("abc", {"a": 5, "b": 5, "c": 5}, spaces) == {"a": -5, "b": 5, "c": 15}


# ----------------------------------------------------------------------------------- draw, the function


def test_a_derivation_and_its_network_give_the_same_picture() -> None:
    network = sb.Network("2-3-1")
    assert sb.draw(sb.derive(network)) == sb.draw(network)


def test_a_notebook_shows_the_picture() -> None:
    drawing = sb.draw(sb.Network("2-3-1"))
    assert drawing._repr_svg_() == drawing
    assert sb.draw(sb.Network("2-3-1"), format="tikz")._repr_svg_() is None


@pytest.mark.parametrize("suffix, begins", [(".svg", "<svg"), (".tex", r"\begin{tikzpicture}")])
def test_the_suffix_chooses_the_format(suffix: str, begins: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{suffix}"
    text = sb.draw(sb.Network("2-3-1"), path)
    assert text.startswith(begins)
    assert path.read_text(encoding="utf-8") == text


def test_wrong_input_is_refused(tmp_path: Path) -> None:
    for options, part in (
        ({"format": "svgg"}, "did you mean 'svg'"),
        ({"language": "xx"}, "'xx' is not known"),
        ({"path": tmp_path / "net.png"}, "'.png' names no picture"),
        ({"path": tmp_path / "missing" / "net.svg"}, "does not exist"),
    ):
        with pytest.raises(sb.SpecificationError, match=re.escape(part)):
            sb.draw(sb.Network("2-3-1"), **options)  # type: ignore[arg-type]
    with pytest.raises(sb.SpecificationError, match="expected a Network or a Derivation, got str"):
        sb.draw("2-3-1")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
