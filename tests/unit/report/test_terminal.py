"""Words and figures in a terminal."""

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

import report_samples as samples
from goldcut.records import CutsRecord
from goldcut.report.compare import compare_runs
from goldcut.report.terminal import print_attack, print_comparison, print_cuts, print_scan, print_verdict
from goldcut.report.verdict import reach_verdict


def shown(show: Callable[[Console], None], width: int = 100) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        show(console)
        return console.export_text().replace("\N{NO-BREAK SPACE}", " ")


def test_scan_fits_eighty_columns_and_marks_the_recommended_cut() -> None:
    text = shown(lambda console: print_scan(samples.resnet_scan(), console), width=80)
    row = next(line for line in text.splitlines() if "layer4.0" in line)
    assert "PD *" in row
    assert "86 %" in row
    assert "32.8 kB" in row
    assert "…" not in text


def test_cuts_show_their_price_and_how_many_places_were_refused() -> None:
    scan = samples.resnet_scan()
    found = CutsRecord(model=scan.model, cuts=scan.cuts, refused=scan.refused)
    text = shown(lambda console: print_cuts(found, console), width=80)
    row = next(line for line in text.splitlines() if "layer4.0" in line)
    assert row.split()[2:] == ["512×4×4", "963", "M", "86", "%", "6.45", "M", "58", "%", "32.8", "kB"]
    assert "refused: 1 place" in text


def test_names_are_never_read_as_markup() -> None:
    scan = samples.hostile_scan()
    name = scan.cuts[0].name
    text = shown(lambda console: print_scan(scan, console), width=200)
    assert name in text


def test_attack_names_what_failed_and_what_did_not_converge() -> None:
    text = shown(lambda console: print_attack(samples.incomplete_attack(), console))
    assert "failed: decoder-S at layer1.1: the loss became NaN at step 812." in text
    assert "still improving" in text
    assert "class mean alone: 13 %" in shown(lambda console: print_attack(samples.resnet_attack(), console))


def test_verdict_is_printed_whole(tmp_path: Path) -> None:
    scan, attack = samples.vit_scan(), samples.vit_attack()
    run = samples.write_run(tmp_path, scan, attack, gallery=False)
    verdict = reach_verdict(scan, attack)
    text = " ".join(shown(lambda console: print_verdict(run, console), width=400).split())
    for line in verdict.lines():
        assert " ".join(line.split()) in text


def test_comparison_shows_the_change(tmp_path: Path) -> None:
    runs = [
        samples.write_run(tmp_path / "a", samples.resnet_scan(), samples.resnet_attack(), gallery=False),
        samples.write_run(tmp_path / "b", samples.resnet_scan(), samples.incomplete_attack(), gallery=False),
    ]
    text = shown(lambda console: print_comparison(compare_runs(runs), console), width=160)
    assert "not attacked" in text
    assert "(+0)" in text
    assert "the same model and weights" in text
