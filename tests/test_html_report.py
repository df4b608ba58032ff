"""The HTML report, as a parser and a browser that others wrote see it."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import html5lib
import pytest
from reporting import passing
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from pytest_fractal.report import formats
from pytest_fractal.report.model import Report
from pytest_fractal.rules.registry import DOCUMENTATION

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}


def page(report: Report) -> str:
    return formats.FORMATS[".html"].render(report)


def parsed(text: str) -> Any:
    """The document by HTML's own parser; strict: it raises on any error."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)


@pytest.mark.parametrize("kind", ["real", "hostile"])
def test_the_page_is_one_well_formed_file_that_needs_no_network(
    request: pytest.FixtureRequest, kind: str
) -> None:
    document = parsed(page(request.getfixturevalue(kind)))
    elements = [element for element in document.iter() if isinstance(element.tag, str)]
    tags = [element.tag for element in elements]
    assert (tags.count("script"), tags.count("style")) == (1, 1)
    assert not {"img", "link", "iframe", "object", "embed", "base", "form"} & set(tags)
    for element in elements:
        assert not {"src", "style", "srcdoc", "action"} & set(element.attrib)
        assert not [name for name in element.attrib if name.startswith("on")]
        target = element.get("href", "#")
        assert target.startswith(("#", DOCUMENTATION)), target
    ids = [element.get("id") for element in elements if element.get("id")]
    assert len(set(ids)) == len(ids)
    assert {
        element.get("href")[1:] for element in elements if element.get("href", "").startswith("#")
    } <= set(ids)


def test_only_the_style_and_the_script_of_the_page_itself_may_run(hostile: Report) -> None:
    document = parsed(page(hostile))
    (policy,) = [
        element.get("content") for element in document.iter("meta") if element.get("http-equiv")
    ]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (own,) = document.iter(tag)
        digest = base64.b64encode(hashlib.sha256(own.text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_what_was_said_stays_text(hostile: Report) -> None:
    text = "".join(parsed(page(hostile)).itertext())
    assert "<img src=x onerror='window.hacked=1'>" in text
    assert r"\x1b[2J\x00\x07\u202etxt.exe\ud800" in text


def test_a_report_on_nothing_is_a_page_too() -> None:
    assert parsed(page(Report(()))).findtext(".//h1") == "nothing was judged"


class Browser:
    """A page in headless Chromium."""

    def __init__(self, driver: webdriver.Chrome, folder: Path) -> None:
        self.driver = driver
        self._folder = folder

    def open(self, text: str, place: str = "") -> None:
        """Load a page, and forget what an earlier one has changed."""
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        self.media()
        self.complaints()
        file = self._folder / "report.html"
        file.write_bytes(text.encode("utf-8", "backslashreplace"))
        self.driver.get("about:blank")
        self.driver.get(f"{file.as_uri()}{place}")

    def media(self, media: str = "", scheme: str = "light") -> None:
        """Tell the page that it is printed, or that its reader likes it dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"media": media, "features": features}
        )

    def phone(self) -> None:
        """Make the window as narrow as a phone."""
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def cell(self, label: str) -> WebElement:
        """The cell of a matrix whose name begins with this."""
        return self.one(f".matrix a[aria-label^='{label}']")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(f"return {script}", *arguments)

    @property
    def focused(self) -> WebElement:
        return self.driver.switch_to.active_element

    def complaints(self) -> list[str]:
        """What is in the console: errors, and violations of the page's policy."""
        entries: list[dict[str, Any]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    programs = [found for name in BROWSERS if (found := shutil.which(name))]
    driver_program = shutil.which("chromedriver")
    if not programs or driver_program is None:
        pytest.skip("Chromium and its chromedriver are not here: the page is not looked at")
    options = webdriver.ChromeOptions()
    options.binary_location = programs[0]
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "--headless=new",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver_program)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield Browser(driver, tmp_path_factory.mktemp("page"))
    finally:
        driver.quit()


def test_a_cell_opens_its_findings_with_the_fix(browser: Browser, real: Report) -> None:
    browser.open(page(real))
    for details in browser.all("details[open]"):
        browser.run("arguments[0].open = false", details)
    cell = browser.cell("FR301 command-starts, Invert well: fails")
    cell.click()
    WebDriverWait(browser.driver, 5).until(lambda _: "not_there" in browser.focused.text)
    reported = browser.focused.text
    assert browser.focused.is_displayed()
    assert "add the distribution that brings the module 'not_there'" in reported
    assert "tested_tasks/invert_well.py:1" in reported
    # Once more, after it was folded by hand: the address does not change then.
    browser.run("document.activeElement.closest('details').open = false")
    cell.click()
    assert browser.focused.is_displayed()
    blocked = browser.cell("FR303 reads-arguments, Invert well: blocked")
    blocked.click()
    WebDriverWait(browser.driver, 5).until(lambda _: "blocked by FR301" in browser.focused.text)
    assert browser.complaints() == []


def test_cells_open_without_the_script_too(browser: Browser, real: Report) -> None:
    text = re.sub("<script>.*</script>", "", page(real), flags=re.DOTALL)
    browser.open(text)
    address = browser.cell("FR303 reads-arguments").get_attribute("href") or ""
    target = browser.one(f"#{address.partition('#')[2]}")
    assert not target.is_displayed()
    browser.cell("FR303 reads-arguments").click()
    assert target.is_displayed()
    # What nothing but the script can do is not offered.
    assert not browser.one("search").is_displayed()
    assert not [element for element in browser.all("button") if element.is_displayed()]


def test_the_matrix_is_used_by_keyboard(browser: Browser, real: Report) -> None:
    browser.open(page(real))
    browser.one("body").send_keys(Keys.TAB)
    assert browser.focused.get_attribute("id") == "filter"
    browser.run("arguments[0].focus()", browser.cell("FR301 command-starts, Make wells"))
    for key, name in (
        (Keys.ARROW_RIGHT, "FR301 command-starts, Invert well"),
        (Keys.ARROW_DOWN, "FR302 accepts-arguments, Invert well"),
        (Keys.ARROW_LEFT, "FR302 accepts-arguments, Make wells"),
        (Keys.ARROW_UP, "FR301 command-starts, Make wells"),
        (Keys.ARROW_RIGHT, "FR301 command-starts, Invert well"),
    ):
        browser.focused.send_keys(key)
        assert (browser.focused.get_attribute("aria-label") or "").startswith(name)
    browser.focused.send_keys(Keys.ENTER)
    WebDriverWait(browser.driver, 5).until(lambda _: "not_there" in browser.focused.text)
    browser.focused.send_keys("/")
    assert browser.focused.get_attribute("id") == "filter"


def test_the_filter_narrows_matrix_and_findings(browser: Browser, real: Report) -> None:
    browser.open(page(real))

    def shown() -> list[str]:
        heads = [element for element in browser.all(".matrix tbody th") if element.is_displayed()]
        return [head.text.split()[0] for head in heads]

    everything = shown()
    field = browser.one("#filter")
    field.send_keys("starts invert")
    assert shown() == ["FR301"]
    assert browser.one("#matches").text == "1 check of the matrix shown"
    findings = [element for element in browser.all(".to-fix > li") if element.is_displayed()]
    assert [finding.text.splitlines()[0] for finding in findings] == [
        "✗FR301 command-starts Invert well"
    ]
    field.send_keys(Keys.ESCAPE)
    assert shown() == everything
    for outcome in ("pass", "not-applicable", "blocked"):
        browser.one(f".outcomes input[value={outcome}]").click()
    assert shown() == ["FR113", "FR208", "FR301"]
    # A link to what the filter hides shows it.
    browser.run("location.hash = arguments[0]", "#c0-FR001")
    WebDriverWait(browser.driver, 5).until(lambda _: shown() == everything)


def test_command_lines_are_copied_by_a_button(browser: Browser, real: Report) -> None:
    browser.open(page(real))
    button = next(element for element in browser.all("button") if element.is_displayed())
    button.click()
    WebDriverWait(browser.driver, 5).until(lambda _: button.text == "Copied")
    said = browser.one(".command code").text
    field = browser.one("#filter")
    field.send_keys(Keys.CONTROL, "v")
    assert field.get_attribute("value") == said
    assert said.startswith("pytest ")
    assert "--fractal-select=FR208[make_wells]" in said


def test_nothing_that_a_candidate_says_runs_as_script(browser: Browser, hostile: Report) -> None:
    browser.open(page(hostile))
    assert browser.run("document.scripts.length") == 1
    assert browser.run("document.images.length") == 0
    for link in browser.all(".matrix a"):
        browser.run("arguments[0].click()", link)
    assert browser.run("typeof window.hacked") == "undefined"
    assert browser.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read_in_light_and_dark(
    browser: Browser, hostile: Report, scheme: str
) -> None:
    browser.open(page(hostile))
    browser.media(scheme=scheme)
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(colors(background)) < 3 * 128) == (scheme == "dark")
    for selector in (
        "body > main h2",
        ".sentence",
        ".verdict dt",
        ".finding dt",
        ".finding dd",
        ".legend span",
        "td.pass a",
        "td.fail a",
        "td.warn a",
        "td.blocked a",
        "td.error a",
        "td.not-applicable a",
        "footer a",
        ".command code",
        "b.sign.fail",
        "b.sign.warn",
        ".timeline .after",
        "output",
    ):
        front, behind = browser.run(COLORS, browser.one(selector))
        assert contrast(colors(front), colors(behind)) >= 4.5, selector


COLORS = """(element => {
  let up = element;
  while (up && getComputedStyle(up).backgroundColor === "rgba(0, 0, 0, 0)") up = up.parentElement;
  return [getComputedStyle(element).color, getComputedStyle(up ?? document.body).backgroundColor];
})(arguments[0])"""


def colors(text: str) -> tuple[int, int, int]:
    red, green, blue = (int(part) for part in re.findall(r"\d+", text)[:3])
    return red, green, blue


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """The contrast ratio of WCAG 2."""

    def luminance(color: tuple[int, int, int]) -> float:
        parts = [part / 255 for part in color]
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("kind", ["real", "hostile"])
def test_the_page_fits_a_phone(
    browser: Browser, request: pytest.FixtureRequest, kind: str
) -> None:
    browser.open(page(request.getfixturevalue(kind)))
    browser.phone()
    browser.run("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert browser.run("innerWidth") == PHONE["width"]
    assert browser.run("document.documentElement.scrollWidth") <= PHONE["width"]
    # The name of a rule stays beside its cells when the matrix is moved aside.
    browser.run("document.querySelector('.scroll').scrollTo(500, 0)")
    assert (
        browser.run("document.querySelector('.matrix tbody th').getBoundingClientRect().left") >= 0
    )


def test_what_is_folded_is_printed_too(browser: Browser, real: Report) -> None:
    browser.open(page(real))
    browser.media("print", "dark")
    assert not browser.one("search").is_displayed()
    assert browser.one("details.rule:not([open]) .target").size["height"] > 20
    assert browser.driver.print_page()


def test_the_page_of_a_good_package_begins_with_that(browser: Browser, real: Report) -> None:
    browser.open(page(passing(real)))
    assert browser.one("h1").text == "tested-tasks 1.0 passes"
    assert browser.all(".to-fix") == []
    assert browser.complaints() == []
