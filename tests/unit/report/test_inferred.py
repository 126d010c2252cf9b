"""What Z says without pixels: a table, a sentence, and where they stand."""

from dataclasses import replace

from rich.console import Console

import report_samples as samples
from goldcut.records import AttackRecord, Inferred
from goldcut.report.inferred import COLUMNS, attributes_of, inferred_rows, say_inferred
from goldcut.report.page import render
from goldcut.report.terminal import print_attack


def probed(*figures: tuple[str, str, float]) -> AttackRecord:
    found = (
        Inferred(
            cut=cut,
            probe=probe,  # type: ignore[arg-type]
            accuracy=accuracy,
            accuracy_low=accuracy - 0.02,
            accuracy_high=accuracy + 0.02,
            chance=0.1 if probe == "retrieval" else 0.12,
            classes=10,
            victims=1000,
            seconds=3.0,
        )
        for cut, probe, accuracy in figures
    )
    return replace(samples.resnet_attack(), inferred=tuple(found))


WHOLE = probed(
    ("bn1", "linear", 0.38),
    ("bn1", "mlp", 0.44),
    ("bn1", "retrieval", 0.25),
    ("output", "linear", 0.86),
    ("output", "mlp", 0.85),
    ("output", "retrieval", 0.8),
)


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_a_row_for_each_cut_with_chance_beside_it():
    rows = inferred_rows(WHOLE)
    assert [row.cut for row in rows] == ["bn1", "output"]
    assert all(len(row.cells) == len(COLUMNS) for row in rows)
    assert [plain(cell) for cell in rows[0].cells] == [
        "38 % (36–40 %)",
        "44 % (42–46 %)",
        "12 %",
        "25 % (23–27 %)",
        "10 %",
    ]
    alone = inferred_rows(probed(("bn1", "retrieval", 0.25)))[0]
    assert [plain(cell) for cell in alone.cells] == ["–", "–", "–", "25 % (23–27 %)", "10 %"]


def test_the_sentence_goes_from_the_least_to_the_most():
    said = (
        "Without any pixels: Z alone tells the class of 44 % of the victims at bn1 and 86 % at output; chance is 12 %."
    )
    assert plain(say_inferred(WHOLE)) == said
    alone = probed(("bn1", "retrieval", 0.25))
    said = (
        "Without any pixels: the nearest other victim by Z is of the same class for 25 % of the victims at bn1; chance"
    )
    assert plain(say_inferred(alone)) == f"{said} is 10 %."
    assert say_inferred(samples.resnet_attack()) == ""


def test_an_attribute_has_rows_and_a_sentence_of_its_own():
    smiles = tuple(replace(one, target="smiles", accuracy=one.accuracy / 2) for one in WHOLE.inferred)
    both = replace(WHOLE, inferred=(*smiles, *WHOLE.inferred))
    assert [(row.target, row.cut) for row in inferred_rows(both)] == [
        ("class", "bn1"),
        ("class", "output"),
        ("smiles", "bn1"),
        ("smiles", "output"),
    ]
    assert attributes_of(both) == ("smiles",)
    said = "Z alone tells 'smiles' of 22 % of the victims at bn1 and 43 % at output; chance is 12 %."
    assert plain(say_inferred(both)) == f"{plain(say_inferred(WHOLE))} {said}"
    assert plain(say_inferred(replace(both, inferred=smiles))) == f"Without any pixels: {said}"
    page = render(samples.resnet_scan(), both)
    assert "What it tells beyond that (smiles) is a leak that no picture shows." in page
    assert "leak that no picture shows" not in render(samples.resnet_scan(), WHOLE)


def test_the_page_and_the_terminal_say_it_only_where_it_was_measured():
    page = render(samples.resnet_scan(), WHOLE)
    assert "What Z says without pixels" in page
    assert "nearest victim alike" in page
    assert "What Z says without pixels" not in render(samples.resnet_scan(), samples.resnet_attack())
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        print_attack(WHOLE, console)
        assert say_inferred(WHOLE) in console.export_text()
