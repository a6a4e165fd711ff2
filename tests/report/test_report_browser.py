"""The page of `report` in a real browser: offline, by pointer and keyboard, on a phone, light and dark."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hand import SPEC, array, broken, drawn

from tests.report.read_page import put

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

Run = Callable[..., Any]
Driver = Any
BROWSERS, DRIVER = ("chromium", "chromium-browser", "google-chrome"), "chromedriver"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the fixture of this name: the test talks to the browser's driver on this machine, and to no other."""
    connect = socket.socket.connect

    def only_here(one: socket.socket, address: Any) -> None:
        if not str(address[0]).startswith(("127.", "localhost", "::1")):
            raise OSError("the tests have no network")
        connect(one, address)

    monkeypatch.setattr(socket.socket, "connect", only_here)


@pytest.fixture(scope="module")
def browser() -> Iterator[Driver]:
    """Chromium without a window and without a network, which keeps a log of what the page asks for."""
    found, driver = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which(DRIVER)
    if found is None or driver is None:
        pytest.skip("needs Chromium and chromedriver, which the system's packages have")
    options = webdriver.ChromeOptions()
    options.binary_location = found
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    one = webdriver.Chrome(options=options, service=Service(driver))
    yield one
    one.quit()


@pytest.fixture
def page(browser: Driver, mlpiht: Run) -> Iterator[Driver]:
    """A page of two specs, opened from its file; at the end the console is empty and nothing came from elsewhere."""
    rows = broken(broken(drawn(), "iht", "failed", m=3, s=10, seed=1), "iht", "skipped", m=5, s=10)
    rows = [one.model_copy(update={"reason": "it broke"}) if one.status == "failed" else one for one in rows]
    put([one for one in rows if (one.method, one.m, one.seed) != ("imp", 2, 2)])
    put(drawn(1), SPEC.replace("name: hand", "name: other"), "other")
    assert mlpiht("report", "hand", "other").code == 0
    browser.get_log("browser")
    browser.get_log("performance")
    size(browser, 1200, 900)
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    browser.get(Path("results/report.html").absolute().as_uri())
    yield browser
    assert browser.get_log("browser") == []
    asked = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    urls = {one["params"]["request"]["url"] for one in asked if one["method"] == "Network.requestWillBeSent"}
    assert {url.partition(":")[0] for url in urls} <= {"file", "data"}
    assert len([url for url in urls if url.startswith("file:")]) == 1


def size(browser: Driver, width: int, height: int) -> None:
    facts = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", facts)


def tab_to(browser: Driver, said: Callable[[Any], bool]) -> Any:
    """Press Tab until an element of this kind has the focus."""
    for _ in range(60):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        focused = browser.switch_to.active_element
        if said(focused):
            return focused
    raise AssertionError("the keyboard does not reach it")


def press(browser: Driver, *keys: str) -> None:
    ActionChains(browser).send_keys(*keys).perform()


def open_first_table(browser: Driver) -> Any:
    """Open the first panel by keyboard, and return it."""
    summary = tab_to(browser, lambda one: one.tag_name == "summary")
    press(browser, Keys.ENTER)
    panel = summary.find_element(By.XPATH, "..")
    WebDriverWait(browser, 20).until(lambda _: panel.find_elements(By.CSS_SELECTOR, "tbody tr.place"))
    return panel


def column(panel: Any, number: int) -> list[str]:
    return [one.text for one in panel.find_elements(By.CSS_SELECTOR, f"tr.place > :nth-child({number + 1})")]


def sorted_as(panel: Any) -> dict[str, str]:
    """Headings that say how they are sorted."""
    heads = panel.find_elements(By.CSS_SELECTOR, "thead th[aria-sort]")
    return {one.text: one.get_attribute("aria-sort") for one in heads}


def test_tables_sort_by_click_and_by_keyboard(page: Driver) -> None:
    panel = open_first_table(page)
    assert sorted_as(panel) == {}
    medians = [float(text) for text in column(panel, 3) if text != "skipped"]
    assert sorted(medians) != medians
    assert len(medians) == 11
    heads = panel.find_elements(By.CSS_SELECTOR, "thead button")
    assert [one.text for one in heads] == ["Method", "m", "s", "Median", "Least", "Largest", "Runs"]
    heads[3].click()
    assert sorted_as(panel) == {"Median": "ascending"}
    assert column(panel, 3)[-1] == "skipped"
    assert [float(text) for text in column(panel, 3)[:-1]] == sorted(medians)
    heads[3].click()
    assert sorted_as(panel) == {"Median": "descending"}
    assert [float(text) for text in column(panel, 3)[:-1]] == sorted(medians, reverse=True)
    assert column(panel, 3)[-1] == "skipped", "lines without a value come last"
    page.execute_script("document.activeElement.blur()")
    tab_to(page, lambda one: one.text == "Least" and one.tag_name == "button")
    press(page, Keys.ENTER)
    assert sorted_as(panel) == {"Least": "ascending"}
    least = [float(text) for text in column(panel, 4)[:-1]]
    assert least == sorted(least)
    press(page, Keys.SPACE)
    assert sorted_as(panel) == {"Least": "descending"}
    assert page.switch_to.active_element.text == "Least", "the focus stays"
    heads[0].click()
    assert column(panel, 0) == ["iht"] * 6 + ["imp"] * 6


def test_a_method_is_chosen(page: Driver) -> None:
    panel = open_first_table(page)
    panel.find_element(By.CSS_SELECTOR, "select").send_keys("imp")
    assert set(column(panel, 0)) == {"imp"}
    assert len(column(panel, 0)) == 6
    assert column(panel, 6)[:2] == ["2 of 3", "2 of 3"]


def test_details_open_by_keyboard_and_by_click(page: Driver) -> None:
    panel = open_first_table(page)
    values = array(drawn(), "iht")[1, 0]
    assert panel.find_elements(By.CSS_SELECTOR, "tr.place")[8].text == "iht 5 10 skipped 0 of 3"
    button = tab_to(page, lambda one: bool(one.get_attribute("aria-expanded")))
    assert button.get_attribute("aria-expanded") == "false"
    press(page, Keys.TAB, Keys.TAB, Keys.TAB, Keys.TAB)  # past imp at 2 and 10, and both at 2 and 20
    button = page.switch_to.active_element
    press(page, Keys.ENTER)
    assert button.get_attribute("aria-expanded") == "true"
    opened = page.find_element(By.ID, button.get_attribute("aria-controls"))
    cells = [[one.text for one in row.find_elements(By.CSS_SELECTOR, "th, td")]
             for row in opened.find_elements(By.CSS_SELECTOR, ".inner tbody > tr")]  # fmt: skip
    command = "mlpiht rerun hand --profile paper --only panel=a,method=iht,m=3,s=10,seed="
    assert cells[0] == ["0", f"{values[0]:.6g}", "ok", "", "", "ihtx3x10x0", f"{command}0"]
    assert cells[1] == ["1", "", "failed", "it broke", "", "ihtx3x10x1", f"{command}1"]
    assert "Settings" in opened.text
    assert "method.steps=4" in opened.text
    press(page, Keys.SPACE)
    assert button.get_attribute("aria-expanded") == "false"
    assert not panel.find_elements(By.CSS_SELECTOR, "tr.details")
    imp = panel.find_elements(By.CSS_SELECTOR, "tr.place")[1]
    imp.find_element(By.CSS_SELECTOR, "td").click()
    opened = panel.find_element(By.CSS_SELECTOR, "tr.details")
    assert "no row yet" in opened.text
    assert "Reason" not in opened.text, "a column without a text is left out"


def test_a_hint_tells_the_seeds_to_the_pointer_and_the_keyboard(page: Driver) -> None:
    panel = open_first_table(page)
    hint = page.find_element(By.ID, "hint")
    assert not hint.is_displayed()
    row = panel.find_elements(By.CSS_SELECTOR, "tr.place")[4]
    ActionChains(page).move_to_element(row.find_element(By.CSS_SELECTOR, "td")).perform()
    values = array(drawn(), "iht")[1, 0]
    assert hint.text.splitlines() == [
        f"seed 0: {values[0]:.6g}",
        "seed 1: failed, it broke",
        f"seed 2: {values[2]:.6g}",
    ]
    press(page, Keys.ESCAPE)
    assert not hint.is_displayed()
    focused = tab_to(page, lambda one: bool(one.get_attribute("aria-expanded")))
    assert hint.is_displayed()
    assert focused.get_attribute("aria-describedby") == "hint"
    box = hint.rect
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1200


def test_a_phone_scrolls_downwards_alone(page: Driver) -> None:
    size(page, 360, 740)
    panel = open_first_table(page)
    panel.find_element(By.CSS_SELECTOR, "tr.place th button").send_keys(Keys.ENTER)
    wide = page.execute_script("return [document.documentElement.scrollWidth, document.body.scrollWidth, innerWidth]")
    assert wide == [360, 360, 360]
    inner = panel.find_element(By.CSS_SELECTOR, ".inner")
    assert inner.rect["width"] <= 360
    box = inner.find_element(By.CSS_SELECTOR, ".box")
    assert page.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", box)
    outside = "return [...document.querySelectorAll('body *')].filter(e => !e.closest('.box, .picture, .skip') && "
    outside += "e.getBoundingClientRect().right > 360.5).map(e => e.outerHTML.slice(0, 80))"
    assert page.execute_script(outside) == []


def luminance(colour: str) -> float:
    """Relative luminance of a colour such as ``rgb(1, 2, 3)``, as WCAG 2 defines it."""
    parts = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_in_light_and_dark(page: Driver, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    panel = open_first_table(page)
    panel.find_element(By.CSS_SELECTOR, "tr.place th button").send_keys(Keys.ENTER)
    style = "const e = arguments[0]; let b = e; const see = (n) => getComputedStyle(n).backgroundColor;"
    style += "while (b && /rgba\\(.*, 0\\)/.test(see(b))) b = b.parentElement;"
    style += "return [getComputedStyle(e).color, see(b || document.body)]"
    body = page.find_element(By.CSS_SELECTOR, "body")
    assert (luminance(page.execute_script(style, body)[1]) < 0.1) == (scheme == "dark")
    for selector in ("p", "h1", "nav a", ".verdict", ".claims span", "figcaption", ".note li", "summary span",
                     "thead button", ".place button", ".place td", ".inner td", ".inner th", "dt", "dd", "li code",
                     "footer p", "caption"):  # fmt: skip
        shown = page.find_elements(By.CSS_SELECTOR, selector)
        assert shown, selector
        for one in shown[:40]:
            text, back = map(luminance, page.execute_script(style, one))
            assert (max(text, back) + 0.05) / (min(text, back) + 0.05) >= 4.5, selector


def test_pictures_are_drawn(page: Driver) -> None:
    loaded = "return [...document.images].map(one => one.complete && one.naturalWidth)"
    widths = page.execute_script(loaded)
    assert len(widths) == 2
    assert min(widths) > 300
