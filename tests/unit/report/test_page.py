"""The page: whole, offline, safe against the names in a record."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

import report_samples as samples
from goldcut import records
from goldcut.errors import RunError
from goldcut.records import AttackRecord, ScanRecord
from goldcut.report.page import render, write_report

RUNS: dict[str, tuple[ScanRecord, AttackRecord | None]] = {
    "confirmed": (samples.resnet_scan(), samples.resnet_attack()),
    "no zone": (samples.vit_scan(), samples.vit_attack()),
    "statistics only": (samples.resnet_scan(), None),
    "incomplete": (samples.resnet_scan(), samples.incomplete_attack()),
    "hostile": (samples.hostile_scan(), None),
}
SECTIONS = (
    "verdict",
    "zones",
    "statistics",
    "leakage",
    "pictures",
    "cost",
    "cuts",
    "threat",
    "unmeasured",
    "definitions",
)


class Page(HTMLParser):
    """Start tags with their attributes, scripts, and the text that is read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif not self.open or self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module", params=list(RUNS))
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Page:
    run = samples.write_run(tmp_path_factory.mktemp("run"), *RUNS[request.param])
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_holds_every_section_in_order_and_every_anchor_has_its_target(page: Page) -> None:
    sections = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert sections == [*SECTIONS, "provenance"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {attributes["href"] for tag, attributes in page.tags if tag == "a"} <= {f"#{id}" for id in ids}


def test_refers_to_nothing_outside(page: Page) -> None:
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:image/png;base64,")) or not value, (tag, name, value)
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert not [name for name in attributes if name.startswith("on")]


def test_runs_no_script_but_its_own(page: Page) -> None:
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert len(page.scripts) == 3
    for script in page.scripts[1:]:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_every_figure_has_its_place_and_every_image_and_plot_its_words(page: Page) -> None:
    figures = json.loads(page.scripts[0])
    plots = {a["id"]: a for _, a in page.tags if a.get("class") == "plot"}
    assert set(figures) == set(plots)
    assert all(len(a["aria-label"] or "") > 20 for a in plots.values())
    assert all(a.get("alt") for tag, a in page.tags if tag == "img")


def test_headings_step_down_one_at_a_time(page: Page) -> None:
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_names_stay_text() -> None:
    text = render(samples.hostile_scan())
    page = Page(text)
    assert "<img src=x" not in text
    assert "{{ 7 * 7 }}" in page.text
    assert "</script><script>window.broken=1</script>" in page.text
    assert "<a href='http://evil.example/'>layer & <b>bold</b></a>" in page.text
    assert len(re.findall("</script", text)) == 3


def test_a_run_without_attack_says_so_and_shows_no_leakage() -> None:
    text = Page(render(samples.resnet_scan())).text
    assert text.count("Not attacked: this is no evidence of safety") >= 2
    assert "Not attacked, so there are no reconstructions." in text


def test_is_the_same_again(tmp_path: Path) -> None:
    run = samples.write_run(tmp_path, samples.resnet_scan(), samples.resnet_attack())
    assert write_report(run) == run / "report.html"
    first = (run / "report.html").read_bytes()
    write_report(run)
    assert (run / "report.html").read_bytes() == first
    assert len(first) < 2_500_000


def test_a_damaged_gallery_is_reported_on_the_page(tmp_path: Path) -> None:
    run = samples.write_run(tmp_path, samples.resnet_scan(), samples.resnet_attack())
    (run / "gallery.npz").write_bytes(b"broken")
    text = Page(write_report(run).read_text(encoding="utf-8")).text
    assert "picture grid" in text
    assert "gallery.npz is damaged" in text


def test_refuses_an_attack_on_another_scan_and_leaves_nothing_behind(tmp_path: Path) -> None:
    samples.write_run(tmp_path, samples.resnet_scan(), samples.resnet_attack(), gallery=False)
    records.save(samples.vit_scan(), tmp_path / "scan.json")
    with pytest.raises(RunError, match="another scan"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_refuses_a_folder_without_a_scan(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="Run `goldcut scan`"):
        write_report(tmp_path)
