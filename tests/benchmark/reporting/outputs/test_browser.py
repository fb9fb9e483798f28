"""The page in a real browser: sorting, filtering, folding, copying; nothing asked of the network, nothing cut off.

Needs Chromium and its driver (Debian: chromium, chromium-driver); without them the tests are skipped.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from benchmark.reporting import report
from tests.benchmark.reporting.fabricate import METHODS, record, records, searched, trees

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(BROWSER is None or DRIVER is None, reason="needs chromium and chromedriver")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = BROWSER or ""
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--force-prefers-reduced-motion",
        "--window-size=1280,900",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    try:
        driver = Chrome(options=options, service=Service(executable_path=DRIVER))
    except WebDriverException as error:  # a container may forbid what a browser needs
        pytest.skip(f"chromium does not start here: {error.msg}")
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with tuned and default methods of one data set, under a folder `records`."""
    folder = tmp_path_factory.mktemp("page")
    tuned = [run for method in METHODS for run in searched(method=method, seeds=5)]
    for run in [*records(("videos",), 5), *tuned]:
        run.write(folder / "records")
    for line in trees(seeds=5):
        line.write(folder / "records")
    report(folder / "records", html=folder / "page.html")
    return (folder / "page.html").as_uri()


@pytest.fixture
def page(browser: Chrome, address: str) -> Iterator[Chrome]:
    """The page, freshly loaded; whatever a test did, nothing was wrong in the console and nothing left the page."""
    browser.set_window_size(1280, 900)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(address)
    yield browser
    assert browser.get_log("browser") == []
    asked = [
        entry["message"] for entry in browser.get_log("performance") if "Network.requestWillBeSent" in entry["message"]
    ]
    assert asked and all(address in message for message in asked)


def table(page: Chrome, name: str) -> WebElement:
    """The first one of this name that can be seen."""
    found = page.find_elements(By.CSS_SELECTOR, f'.box[aria-label="{name}"] table')
    return next(one for one in found if one.is_displayed())


def column(drawn: WebElement, number: int) -> list[str]:
    rows = drawn.find_elements(By.CSS_SELECTOR, "tbody tr:not(.reference)")
    return [row.find_elements(By.CSS_SELECTOR, "th,td")[number].text for row in rows if row.is_displayed()]


def test_a_click_on_a_head_sorts_and_another_turns_the_order(page: Chrome) -> None:
    drawn = table(page, "All methods")
    heads = [head.text for head in drawn.find_elements(By.CSS_SELECTOR, "thead th")]
    place = heads.index("parameters outside embeddings")
    button = drawn.find_elements(By.CSS_SELECTOR, "thead th")[place].find_element(By.TAG_NAME, "button")
    button.click()
    assert column(drawn, place) == ["131 k", "95.1 k", "59.5 k", "59.5 k", "46.1 k"]
    button.click()
    assert column(drawn, place) == ["46.1 k", "59.5 k", "59.5 k", "95.1 k", "131 k"]
    last = drawn.find_elements(By.CSS_SELECTOR, "tbody tr")[-1]
    assert "reference" in (last.get_attribute("class") or "")  # lines to compare with stay below


def test_methods_are_filtered_by_words(page: Chrome) -> None:
    field = page.find_element(By.CSS_SELECTOR, "nav input[type=search]")
    field.send_keys("mmoe")
    assert set(column(table(page, "All methods"), 0)) == {"mmoe/equal", "mmoe/uncertainty"}
    assert page.find_element(By.CSS_SELECTOR, "nav output").text == f"2 of {len(METHODS)}"
    field.send_keys(" uncertainty")
    assert column(table(page, "All methods"), 0) == ["mmoe/uncertainty"]


def test_details_are_folded_until_they_are_asked_for(page: Chrome) -> None:
    details = page.find_element(By.CSS_SELECTOR, "#tuning")
    assert not details.find_element(By.TAG_NAME, "table").is_displayed()
    details.find_element(By.TAG_NAME, "summary").click()
    assert details.find_element(By.TAG_NAME, "table").is_displayed()


def test_a_switch_shows_tuned_methods_or_those_with_default_parameters(page: Chrome) -> None:
    def shown() -> set[str | None]:
        parts = page.find_elements(By.CSS_SELECTOR, ".part.overview")
        return {part.get_attribute("data-part") for part in parts if part.is_displayed()}

    assert shown() == {"videos (tuned)"}
    page.find_element(By.CSS_SELECTOR, "#view-default").click()
    assert shown() == {"videos"}


def test_a_number_copies_the_command_that_shows_its_runs(page: Chrome) -> None:
    copied = told(page)
    row = table(page, "All methods").find_element(By.XPATH, ".//tr[th[contains(., 'mmoe/equal')]]")
    row.find_elements(By.TAG_NAME, "td")[1].click()
    found = copied()
    ids = [run.id for run in searched(method="mmoe/equal", seeds=5) if run.purpose == "tuned"]
    assert [line.split()[-1] for line in found.splitlines()] == ids
    assert all(line.startswith("mtlbench show ") and "/records " in line for line in found.splitlines())
    assert page.find_element(By.CSS_SELECTOR, "#copied").text.startswith("copied: mtlbench show ")


def test_a_method_copies_the_command_that_trains_it(page: Chrome) -> None:
    copied = told(page)
    page.find_element(By.CSS_SELECTOR, "#view-default").click()
    row = table(page, "All methods").find_element(By.XPATH, ".//tr[th[contains(., 'ple/pcgrad')]]")
    page.execute_script("arguments[0].click()", row.find_element(By.CSS_SELECTOR, "button.copy"))
    words = copied().split()
    assert words[:2] == ["mtlbench", "run"]
    assert {"dataset=videos", "architecture=ple", "weighting=pcgrad", "seed=0,1,2,3,4"} <= set(words)
    rate = record(method="ple/pcgrad").config["trainer"]["learning_rate"]
    assert f"trainer.learning_rate={rate}" in words


def told(page: Chrome) -> Any:
    """What the page hands to the clipboard from now on."""
    page.execute_script(
        "window.copied = ''; navigator.clipboard.writeText = async (text) => { window.copied = text; };"
    )
    return lambda: page.execute_script("return window.copied")


@pytest.mark.parametrize("width", [1280, 500])
def test_nothing_is_wider_than_the_page_and_the_answer_comes_first(page: Chrome, width: int) -> None:
    page.set_window_size(width, 900)
    assert page.execute_script("return document.body.scrollWidth <= window.innerWidth")
    tops = page.execute_script("return [...document.querySelectorAll('h2')].map((head) => head.id)")
    assert tops[0] == "answer"
    if width == 1280:
        bottom = page.execute_script(
            "return [...document.querySelectorAll('.part.answer')].at(-1).getBoundingClientRect().bottom"
        )
        assert bottom <= 900
        cut = """return [...document.querySelectorAll('.box')].filter((box) => box.offsetParent && box.scrollWidth > box.clientWidth + 1)
                 .map((box) => box.ariaLabel)"""
        assert page.execute_script(cut) == []


def test_the_page_is_whole_without_its_script(address: str, tmp_path: Path) -> None:
    text = Path(address.removeprefix("file://")).read_text(encoding="utf-8")
    body = text[: text.rindex("<script>")]
    assert all(method in body for method in METHODS) and 'id="view-default"' in body
