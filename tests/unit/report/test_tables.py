"""The tables: each figure in its column, said for people and sortable."""

from dataclasses import replace

import report_samples as samples
from goldcut.cost.link import LINKS, transfer_seconds
from goldcut.records import Zone
from goldcut.report import figure_tables, tables, words, zone_table
from goldcut.report.figures import bands

LINKS_SHOWN = tuple(LINKS.values())


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_rows_match_the_columns_and_sort_by_the_figures() -> None:
    scan, attack = samples.resnet_scan(), samples.resnet_attack()
    columns = [column.title for column in tables.cut_columns(LINKS_SHOWN, attacked=True)]
    rows = tables.cut_rows(scan, attack, bands(scan, attack), LINKS_SHOWN)
    assert [row.name for row in rows] == [cut.name for cut in scan.cuts]
    for row, cut in zip(rows, scan.cuts, strict=True):
        assert len(row.cells) == len(columns)
        cells = dict(zip(columns, row.cells, strict=True))
        assert cells["payload"].order == cut.payload_bytes
        assert cells["within"].order == cut.within_share
        assert cells["shape of Z"].order == cut.elements
        for link in LINKS_SHOWN:
            assert cells[f"time, {link.name}"].order == transfer_seconds(cut.payload_bytes, link)
    chosen = rows[7]
    assert chosen.recommended
    assert [band.zone.rule for band in chosen.zones] == ["paper", "default", "post_hoc_half"]
    assert plain(chosen.cells[0].text) == "25 %"
    assert plain(chosen.cells[0].detail) == "(23–27 %) decoder-M"


def test_without_an_attack_the_columns_of_the_attack_are_left_out() -> None:
    scan = samples.resnet_scan()
    columns = tables.cut_columns(LINKS_SHOWN, attacked=False)
    rows = tables.cut_rows(scan, None, bands(scan, None), LINKS_SHOWN)
    assert "recovered" not in {column.title for column in columns}
    assert {len(row.cells) for row in rows} == {len(columns)}
    assert not any(row.optimal for row in rows)


def test_a_cut_that_was_left_out_is_said_to_be() -> None:
    scan, attack = samples.resnet_scan(), samples.incomplete_attack()
    rows = {row.name: row for row in tables.cut_rows(scan, attack, bands(scan, attack), LINKS_SHOWN)}
    assert rows["bn1"].cells[0] == tables.Cell("not attacked", None)
    assert rows["layer4.0"].cells[0].detail.endswith("still improving")


def test_rules_side_by_side_say_where_they_disagree() -> None:
    scan, attack = samples.resnet_scan(), samples.resnet_attack()
    assert zone_table.disagreement(scan, bands(scan, attack)) == (
        "The rules disagree, 1 cut apart: layer3.1 (paper's rule); layer4.0 (default rule, post hoc rule)."
    )
    vit = samples.vit_scan()
    assert zone_table.disagreement(vit, bands(vit, samples.vit_attack())) == "All rules agree: there is no zone."
    same = replace(scan, zone_paper=replace(scan.zone, rule="paper"))
    assert zone_table.disagreement(same, bands(same, None)) == "All rules agree: the zone begins at layer4.0."
    lone = replace(scan, zone_paper=Zone(rule="paper", decided=False))
    assert zone_table.disagreement(lone, bands(lone, None)) == "Only the default rule could be applied."


def test_every_information_bound_has_its_noise_named() -> None:
    scan = samples.resnet_scan()
    rows = figure_tables.bound_rows(scan)
    assert len(rows) == 3 * len(scan.cuts)
    assert {row.rho for row in rows} == {"0.01", "0.1", "1"}


def test_results_carry_their_notes() -> None:
    attack = samples.resnet_attack()
    first = replace(attack.results[0], transform="logit", recovered_full_size=0.5, note="retried at a lower rate")
    row = figure_tables.result_rows(replace(attack, results=(first,)))[0]
    assert len(row.cells) == len(figure_tables.RESULT_COLUMNS)
    assert plain(row.note) == "retried at a lower rate; Z is transformed by logit; 50 % recovered at full size"


def test_what_was_not_measured_is_complete() -> None:
    scan, attack = samples.resnet_scan(), samples.incomplete_attack()
    rows = dict(words.unmeasured(scan, attack))
    assert rows["decoder-S at layer1.1"] == "the loss became NaN at step 812."
    assert rows["attacks at layer4.1"] == "Planned, but no result yet."
    assert rows["attacks at bn1"] == "Not among the chosen cuts."
    assert "effective_rank of output" in rows
    assert dict(words.unmeasured(scan, None))["all attacks"].startswith("Not attacked")
    full = replace(scan, skipped=())
    assert words.unmeasured(full, samples.resnet_attack()) == ()


def test_threat_model_and_provenance_name_what_was_granted_and_used() -> None:
    scan, attack = samples.resnet_scan(), samples.resnet_attack()
    granted = dict(words.threat_model(attack))
    assert granted["trains on"] == "13,500 images"
    assert granted["model trained on the attacker's images"] == "yes"
    made = dict(words.provenance(scan, attack))
    assert made["model hash"] == scan.model.sha256
    assert made["attack seeds"] == "seed 0"
    assert "attack seeds" not in dict(words.provenance(scan, None))
    assert "482 to 517 images in each of 10 classes" in words.assumptions(scan, attack)[0]


def test_measured_times_have_columns_only_when_there_are_any():
    scan = samples.resnet_scan()
    timed = replace(
        scan,
        cuts=(replace(scan.cuts[0], edge_seconds=0.0123, cloud_seconds=0.2, edge_peak_bytes=2_000_000), *scan.cuts[1:]),
    )
    columns = [column.title for column in tables.cut_columns(LINKS_SHOWN, True, tables.is_measured(timed))]
    rows = tables.cut_rows(timed, samples.resnet_attack(), (), LINKS_SHOWN)
    assert all(len(row.cells) == len(columns) for row in rows)
    assert "12.3" in rows[0].cells[columns.index("time, device")].text
    assert not tables.is_measured(scan)
