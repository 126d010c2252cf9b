"""The report in a real browser: it draws, fits, stays offline and keeps names harmless."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Page as Tab

import report_samples as samples
from goldcut.report.page import write_report

CHROMIUM = os.environ.get("GOLDCUT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium found: install it or set GOLDCUT_CHROMIUM to its path"
)
RUNS = {
    "confirmed": (samples.resnet_scan(), samples.resnet_attack()),
    "no-zone": (samples.vit_scan(), samples.vit_attack()),
    "statistics-only": (samples.resnet_scan(), None),
    "incomplete": (samples.resnet_scan(), samples.incomplete_attack()),
    "hostile": (samples.hostile_scan(), None),
}


@dataclass
class Opened:
    """A report in a browser, with what it asked for and complained about."""

    tab: Tab
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    return {name: write_report(samples.write_run(folder / name, *run)) for name, run in RUNS.items()}


def open_report(browser: Browser, report: Path, width: int, scheme: Literal["light", "dark"] = "light") -> Opened:
    tab = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    opened = Opened(tab)
    tab.on("request", lambda request: opened.requests.append(request.url))
    tab.on("console", lambda message: opened.complaints.append(message.text))
    tab.on("pageerror", lambda error: opened.complaints.append(str(error)))
    tab.goto(report.as_uri(), wait_until="load")
    return opened


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("name", list(RUNS))
def test_draws_fits_and_stays_offline(browser: Browser, reports: dict[str, Path], name: str, width: int) -> None:
    opened = open_report(browser, reports[name], width)
    outside = [url for url in opened.requests if not url.startswith("data:") and url != reports[name].as_uri()]
    assert outside == []
    assert opened.complaints == []
    assert opened.tab.evaluate("document.documentElement.scrollWidth") <= width
    empty = "[...document.querySelectorAll('.plot')].filter(plot => !plot.querySelector('.scatterlayer .trace'))"
    assert opened.tab.evaluate(f"{empty}.map(plot => plot.id)") == []
    wide = "[...document.querySelectorAll('.main-svg')].filter(svg => svg.getBoundingClientRect().right > innerWidth)"
    assert opened.tab.evaluate(f"{wide}.length") == 0
    assert opened.tab.evaluate("[...document.images].filter(image => !image.naturalWidth).length") == 0
    opened.tab.close()


def test_names_run_nothing_and_link_nowhere(browser: Browser, reports: dict[str, Path]) -> None:
    tab = open_report(browser, reports["hostile"], 1280).tab
    assert tab.evaluate("window.broken") is None
    assert tab.evaluate("document.querySelectorAll('svg a, a:not([href^=\"#\"])').length") == 0
    assert "<a href" in tab.locator("#within-share .xtick").first.inner_html().replace("&lt;", "<")
    # A script that is not the page's own is refused by its policy, so one that slipped in would not run.
    tab.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'window.broken = 1'}))")
    assert tab.evaluate("window.broken") is None
    tab.close()


def test_the_table_sorts_both_ways_with_the_unmeasured_last(browser: Browser, reports: dict[str, Path]) -> None:
    tab = open_report(browser, reports["incomplete"], 1280).tab
    names = "[...document.querySelectorAll('.sortable tbody th')].map(cell => cell.innerText.split(/\\s+/)[1])"
    button = tab.locator(".sortable thead button", has_text="recovered")
    button.click()
    assert tab.evaluate(names)[:3] == ["layer4.0", "layer3.0", "layer1.1"]
    button.click()
    assert tab.evaluate(names)[:3] == ["layer1.1", "layer3.0", "layer4.0"]
    assert tab.locator(".sortable thead th[aria-sort]").count() == 1
    tab.locator(".sortable thead button", has_text="cut").click()
    assert tab.evaluate(names) == [row[0] for row in samples.RESNET]
    tab.close()


def test_text_is_readable_in_light_and_dark(browser: Browser, reports: dict[str, Path]) -> None:
    measure = """() => {
        const light = (colour) => {
            const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
                .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ground = (element) => {
            const colour = getComputedStyle(element).backgroundColor;
            return colour.startsWith('rgba(0, 0, 0, 0') ? ground(element.parentElement) : colour;
        };
        const seen = document.querySelectorAll('h1, h2, p, li, dt, dd, td, th, small, figcaption, a, .tag, .standing');
        return Math.min(...[...seen].map(element => {
            const [a, b] = [light(getComputedStyle(element).color), light(ground(element))].sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05);
        }));
    }"""
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        opened = open_report(browser, reports["confirmed"], 1280, scheme)
        assert opened.tab.evaluate(measure) >= 4.5, scheme
        opened.tab.close()
