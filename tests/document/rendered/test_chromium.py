"""Pages in a real browser: they work offline, by mouse and by keyboard, and print whole."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import symbackprop as sb
from symbackprop.commands.trace_probe import changes
from symbackprop.document.drawing.layout import picture_of
from symbackprop.document.html import HtmlFormat
from symbackprop.document.ways import Ways
from symbackprop.equations.steps import Derived
from symbackprop.printing.notation import notation_for
from tests.document.rendered.conftest import program
from tests.networks import equations

if TYPE_CHECKING or find_spec("selenium"):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.action_builder import ActionBuilder
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.documents

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --window-size=1000,1200 "
    # nothing can be reached, so a page that needs anything fails
    "--host-resolver-rules=MAP * ~NOTFOUND"
)
A4_TEXT_WIDTH = 658  # pixels of CSS between margins of 18 mm

PAGES: dict[str, Callable[[], sb.Network]] = {
    "2-3-1": lambda: sb.Network("2-3-1"),
    "deep classifier": lambda: sb.Network(
        "784-512-512-512-512-512-512-512-10:softmax", hidden="relu", l2=1e-4
    ),
    "attention": lambda: equations("attention"),
}
CHOICES: dict[str, list[dict[str, str]]] = {
    "2-3-1": [{"from": "x0-1", "to": "x1-2"}, {"from": "one-1", "to": "x2-0"}, {"node": "x1-1"}],
    "deep classifier": [
        {"from": "x0-783", "to": "x1-511"},
        {"node": "x2-0"},
        {"from": "one-7", "to": "x8-2"},
    ],
    "attention": [{"node": "wk"}, {"node": "score"}, {"node": "wo"}],
}
"""Page -> what is chosen on it, as the data of its element."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium")
    for flag in FLAGS.split(" --"):
        options.add_argument("--" + flag.removeprefix("--").strip())
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(program("chromedriver")))
    yield driver
    driver.quit()


@dataclass(frozen=True)
class Page:
    """An open page, and the network that it is about."""

    name: str
    derivation: Derived
    browser: Any

    def all(self, selector: str) -> list[Any]:
        return list(self.browser.find_elements(By.CSS_SELECTOR, selector))

    def one(self, selector: str) -> Any:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: object) -> Any:
        return self.browser.execute_script(script, *arguments)

    def as_shown(self, markup: str) -> Any:
        """Return markup as the browser writes it."""
        script = "const box = document.createElement('p'); box.innerHTML = arguments[0]; return box.innerHTML"
        return self.run(script, markup)

    def press(self, key: str) -> None:
        ActionChains(self.browser).send_keys(key).perform()

    def click(self, choice: Any) -> None:
        """Click with the mouse: on a unit in its middle, on a weight near its end, where none crosses it."""
        self.run("arguments[0].scrollIntoView({block: 'center'})", choice)
        x, y = self.run(_POINT, choice.find_element(By.CSS_SELECTOR, ".reach, .shape"))
        actions = ActionBuilder(self.browser)
        actions.pointer_action.move_to_location(round(x), round(y))
        actions.pointer_action.click()
        actions.perform()

    @property
    def lit(self) -> set[tuple[str, str]]:
        edges = self.all(".edge.lit")
        return {(edge.get_attribute("data-from"), edge.get_attribute("data-to")) for edge in edges}


_POINT = """
const shape = arguments[0], box = shape.getBoundingClientRect();
if (!shape.matches(".reach")) return [box.x + box.width / 2, box.y + box.height / 2];
const seen = shape.getPointAtLength(shape.getTotalLength() * 0.93).matrixTransform(shape.getScreenCTM());
return [seen.x, seen.y];
"""


@pytest.fixture(params=PAGES)
def page(
    request: pytest.FixtureRequest, browser: Any, tmp_path: Path, counts: Counter[str]
) -> Iterator[Page]:
    """Open a page; at the end nothing may stand in the console or have been asked of a network."""
    derivation = sb.derive(PAGES[request.param]())
    path = tmp_path / "page.html"
    path.write_text(derivation.html(), encoding="utf-8")
    browser.get(path.as_uri())
    yield Page(request.param, derivation, browser)
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("file:", "chrome:", "data:"))] == []
    counts["tests of pages in Chromium"] += 1


def expected_paths(derivation: Derived, chosen: Mapping[str, str]) -> set[tuple[str, str]]:
    """Return the arrows on all ways from what is chosen to the error."""
    edges = {(edge.source, edge.target) for edge in picture_of(derivation.model, derivation.system).edges}
    found = {(chosen["from"], chosen["to"])} if "from" in chosen else set()
    on_the_way = {chosen.get("to", chosen.get("node"))}
    while more := {(a, b) for a, b in edges if a in on_the_way} - found:
        found |= more
        on_the_way |= {b for _, b in more}
    return found


def told_of(derivation: Derived, choice: Any) -> list[str]:
    """Return the formulas of what is chosen: of a component its own, else those of steps."""
    style = HtmlFormat(notation_for(derivation), derivation)
    if own := choice.get_attribute("data-own"):
        layered = HtmlFormat(notation_for(derivation, "layered"), derivation)
        ways, found = Ways(derivation), []
        for _, name, *places in (each.split("-") for each in own.split()):
            result = ways.result(name, [int(place) for place in places])
            found.append(layered.formula(result.lhs, result.rhs))
            count = ways.count(name)
            written = count if count <= 4 else 1 if count <= 1000 else 0
            products = [layered.alone(way) for way in islice(ways.products(result), written)]
            found += [] if products == [layered.alone(result.rhs)] else products
        return found
    numbers = re.findall(r"step-(\d+)", choice.get_attribute("data-results"))
    steps = [derivation.by_number[int(number)] for number in numbers]
    return [style.formula(step.lhs, step.rhs) for step in steps]


@pytest.mark.parametrize("manner", ["mouse", "enter", "space"])
def test_choosing_lights_the_paths_and_shows_the_equation(
    page: Page, manner: str, counts: Counter[str]
) -> None:
    invitation = page.one(".panel").text
    for chosen in CHOICES[page.name]:
        choice = page.one(".choice" + "".join(f'[data-{key}="{value}"]' for key, value in chosen.items()))
        if manner == "mouse":
            page.click(choice)
        else:
            page.run("arguments[0].focus()", choice)
            page.press(Keys.ENTER if manner == "enter" else Keys.SPACE)
        paths = page.lit
        assert paths == expected_paths(page.derivation, chosen)
        assert any(target == "E" for _, target in paths)
        assert choice.get_attribute("aria-label") in page.one(".panel").text
        shown = [math.get_attribute("outerHTML") for math in page.all(".panel math")]
        assert shown == [page.as_shown(formula) for formula in told_of(page.derivation, choice)]
        assert page.run("return location.hash") == ""
        if manner == "mouse":
            page.click(choice)  # chosen again is chosen no more
        else:
            page.press(Keys.ESCAPE)
        assert page.lit == set()
        assert page.one(".panel").text == invitation
        counts["choices by mouse and keyboard"] += 1


def test_tab_reaches_the_choices_one_after_the_other(page: Page) -> None:
    before = page.all(".skip, nav summary, nav a")
    page.run("document.activeElement.blur()")
    for element in [*before, *page.all(".choice")[:3]]:
        page.press(Keys.TAB)
        assert page.browser.switch_to.active_element == element


def test_steps_fold_one_by_one_and_all_at_once(page: Page) -> None:
    folds = page.all("details.group")
    button = page.one(".folding button")
    equation = folds[0].find_element(By.CSS_SELECTOR, ".equation")
    assert equation.is_displayed() == (not page.all("nav"))  # a long page is folded at first
    if page.all("nav"):
        button.click()
    folds[0].find_element(By.TAG_NAME, "summary").click()
    assert not equation.is_displayed()
    for label, is_open in (("Fold all steps", None), ("Unfold all steps", "true"), ("Fold all steps", None)):
        assert button.text == label
        button.click()
        assert [fold.get_attribute("open") for fold in folds] == [is_open] * len(folds)


def test_a_link_unfolds_the_step_that_it_leads_to(page: Page) -> None:
    page.run("document.querySelectorAll('details.group').forEach((fold) => { fold.open = false })")
    step = page.all("details.group .step[id]")[-1]
    assert not step.is_displayed()
    page.run("location.hash = arguments[0].id", step)
    WebDriverWait(page.browser, 5).until(lambda _: step.is_displayed())


def test_a_formula_is_copied_as_latex(page: Page) -> None:
    copied = """const done = arguments[0], texts = [];
        navigator.clipboard.writeText = async (text) => { texts.push(text); };
        document.querySelector('.step .copy').click();
        setTimeout(() => done(texts), 100)"""
    annotation = page.one(".step annotation")
    assert page.browser.execute_async_script(copied) == [annotation.get_attribute("textContent")]
    assert page.one(".step .copy").get_attribute("textContent") == "Copied"


def test_a_narrow_page_scrolls_its_formulas_alone(page: Page) -> None:
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.run("document.querySelectorAll('details.group').forEach((fold) => { fold.open = true })")
        assert page.run("return document.documentElement.scrollWidth") <= 390
        wide = (
            "return [...document.querySelectorAll('.formula')].filter((e) => e.scrollWidth > e.clientWidth)"
        )
        (shadow,) = {
            page.run("return getComputedStyle(arguments[0]).backgroundAttachment", e) for e in page.run(wide)
        }
        assert shadow == "local, local, scroll, scroll"  # which shows where a formula goes on
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_is_cut_on_the_screen_or_on_paper(page: Page, counts: Counter[str]) -> None:
    cut = """return [...document.querySelectorAll('.formula, td, svg, p, table')].filter(
        (e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'auto'
            || e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 200))"""
    size = {"width": A4_TEXT_WIDTH, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    assert page.run(cut) == []
    page.run("document.querySelector('details.group').open = false")
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        page.run("dispatchEvent(new Event('beforeprint'))")
        assert page.run(cut) == []
        formulas = page.all(".step .formula")
        assert all(formula.is_displayed() for formula in formulas)
        counts["formulas seen whole on paper"] += len(formulas)
        page.run("dispatchEvent(new Event('afterprint'))")
        assert not page.run("return document.querySelector('details.group').open")
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_in_dark(page: Page, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        script = """const style = (selector) => getComputedStyle(document.querySelector(selector));
            return [style('main').color, style('main').backgroundColor,
                    style('.nn text').fill, style('.nn .output .shape').fill]"""
        text, paper, ink, fill = map(_luminance, page.run(script))
        for a, b in ((text, paper), (ink, fill)):
            assert (max(a, b) + 0.05) / (min(a, b) + 0.05) > 7  # WCAG, level AAA
        assert (paper < 0.2) == (scheme == "dark")
    finally:
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def _luminance(color: str) -> float:
    """Return the relative luminance of a CSS color such as ``rgb(1, 2, 3)``, as WCAG defines it."""
    parts = [float(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_a_picture_alone_is_shown(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "net.svg"
    sb.draw(sb.Network("784-512-512-10"), path)
    browser.get(path.as_uri())
    assert browser.execute_script("return document.querySelectorAll('circle').length") > 16
    assert browser.get_log("browser") == []


def test_a_slider_moves_one_weight_and_compares(tmp_path: Path) -> None:
    found = sb.trace(sb.Network("2-2-2"))
    page = tmp_path / "trace.html"
    act = (
        "const all = (name) => document.querySelector('.probe ' + name); all('select').selectedIndex = 6; "
        "all('input').value = -4; all('input').dispatchEvent(new Event('input'));"
    )
    page.write_text(found.html().replace("</main>", f"</main><script>{act}</script>"), encoding="utf-8")
    command = [program("chromium"), *FLAGS.split(" --host")[0].split(), "--dump-dom", page.as_uri()]
    shown = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout.decode()
    said = dict(
        line.split(" = ", 1) for line in re.findall(r"<output>(.*?)</output>", shown)[0].split("<br>")[:-1]
    )
    slope = found.gradients["w2"][0, 0]
    change = changes(found, "w2", (0, 0))[6]
    assert change is not None
    assert float(said["Δw"]) == pytest.approx(-0.2)
    assert float(said["ΔE"]) == pytest.approx(change, rel=1e-5)
    assert float(said["g·Δw"].rsplit(" ", 1)[1]) == pytest.approx(-0.2 * slope, rel=1e-5)
    assert float(said["ΔE − g·Δw"]) == pytest.approx(change + 0.2 * slope, rel=1e-5)
