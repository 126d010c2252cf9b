"""The page of trainings: a curve for each, offline, and no mixing of models."""

from dataclasses import replace

import pytest

import report_samples as samples
from goldcut import records
from goldcut.errors import RunError
from goldcut.records import CutRadius, EpochRow, SplitRow, TrainRecord
from goldcut.report.training import audit_command, print_training
from goldcut.report.vortex import render_vortex, write_vortex


def training(targets: str, shrink: float) -> TrainRecord:
    scan = samples.resnet_scan()

    def row(epoch: int) -> EpochRow:
        cuts = tuple(
            CutRadius(
                cut=cut,
                radius_sq=20 * shrink**epoch,
                radius_sq_per_element=2 * shrink**epoch,
                total_variance=40.0,
                within_share=0.5,
                within_share_standardised=0.4,
                effective_rank=None if cut == "output" else 7.0,
            )
            for cut in ("layer<1>", "output")
        )
        return EpochRow(
            epoch=epoch,
            step=9 * epoch,
            rate=1e-3,
            accuracy=0.2 * epoch,
            cross_entropy=1.0,
            entropy=2.0,
            images=50,
            cuts=cuts,
        )

    return TrainRecord(
        model=replace(scan.model, checkpoint="net.safetensors"),
        training=scan.data,
        selection=scan.data,
        test=scan.data,
        targets=targets,
        loss="ce",
        epochs=3,
        history=tuple(map(row, range(4))),
        splits=(
            SplitRow(
                cut="output",
                step=0,
                gamma=1e-3,
                images=50,
                radius_sq=20.0,
                pull=-0.2,
                interference=0.1,
                second_order=0.0,
                past_flip=0.25,
                change=-0.4,
            ),
        ),
        selected=3,
        accuracy=0.61,
        accuracy_low=0.6,
        accuracy_high=0.62,
        complete=True,
        provenance=scan.provenance,
    )


PLAIN, SMOOTH = training("one-hot", 1.0), training("smooth:0.3", 0.5)


def test_there_is_a_curve_for_each_training_and_the_splits_are_told():
    page = render_vortex(["a", "b"], [PLAIN, SMOOTH])
    for text in ("one-hot", "smooth:0.3", "At layer&lt;1&gt;", "-1.00e-02", "-2.00e-02", "Class radius"):
        assert text in page
    assert "layer<1>" not in page.split('id="figures"')[0]
    assert 'src="' not in page
    assert "default-src &#39;none&#39;" in page


def test_two_of_the_same_targets_are_told_apart_by_their_files():
    page = render_vortex(["first", "second"], [PLAIN, PLAIN])
    assert "one-hot (first)" in page
    assert "one-hot (second)" in page


def test_trainings_of_different_models_are_not_mixed(tmp_path):
    other = replace(SMOOTH, model=replace(SMOOTH.model, spec="goldcut:cnn4"))
    for name, record in (("a", PLAIN), ("b", other)):
        records.save(record, tmp_path / f"{name}.json")
    with pytest.raises(RunError, match=r"b\.json has the model goldcut:cnn4"):
        write_vortex([tmp_path / "a.json", tmp_path / "b.json"], tmp_path / "page.html")
    assert write_vortex([tmp_path / "a.json"], tmp_path / "page.html").exists()


def test_a_record_goes_to_json_and_back(tmp_path):
    records.save(SMOOTH, tmp_path / "net.json")
    assert records.to_json(records.load(tmp_path / "net.json", TrainRecord)) == records.to_json(SMOOTH)


def test_the_terminal_says_accuracy_radius_and_the_next_command(capsys):
    print_training(SMOOTH)
    said = capsys.readouterr().out
    for text in ("61\N{NO-BREAK SPACE}%", "smooth:0.3", "layer<1>", "2.5", "goldcut audit"):
        assert text in said
    assert "--checkpoint net.safetensors" in audit_command(SMOOTH)


def test_an_unfinished_training_says_so(capsys):
    print_training(replace(SMOOTH, accuracy=None, complete=False))
    assert "Not finished: 3 of 3 epochs" in capsys.readouterr().out
