"""From the tables of trials to points, the page, and the one-liners of the documentation."""

import re
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from goldcut.report.points import MEANS, compare_points, match_accuracy
from goldcut.sweeps.store import Store
from goldcut.sweeps.summary import points_of_rows, say_counts, summarise
from goldcut.sweeps.trials import ModelSource, Trial

DOCS = Path(__file__).parents[3] / "docs" / "sweep.md"


def rows_of(trial, leak, accuracy):
    """Two cuts with two attacks each; the second attack at the second cut has failed."""
    shared = {
        "trial": trial.id,
        "model": trial.model.spec,
        "model_sha256": "0123456789abcdef",
        "data": trial.data,
        "defense": trial.defense,
        "seed": trial.seed,
        "accuracy": accuracy,
        "accuracy_undefended": 0.9,
        "converged": True,
        "edge_share": 0.5,
    }
    early = {"cut": "early", "place": 0, "edge_flops": 10, "payload_bytes": 400, "in_zone": False}
    late = {"cut": "late", "place": 1, "edge_flops": 90, "payload_bytes": 100, "in_zone": True}
    figures = {"recovered_low": None, "recovered_high": None}
    return [
        shared | early | figures | {"attack": "ridge", "recovered": leak},
        shared | early | figures | {"attack": "decoder", "recovered": leak + 0.1},
        shared | late | figures | {"attack": "ridge", "recovered": leak / 2},
        shared | late | {"attack": "decoder", "error": "diverged"},
        shared | late | {"cut": "output", "place": 2, "attack": "ridge", "recovered": 0.99},
    ]


PLAIN = Trial(model=ModelSource(spec="m<b>"), data="npz:x.npz")
TRIALS = (PLAIN, replace(PLAIN, defense="noise:1"), replace(PLAIN, seed=1), replace(PLAIN, seed=2))


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path) as made:
        made.plan(TRIALS)
        for trial, leak, accuracy in zip(TRIALS[:3], (0.6, 0.2, 0.8), (0.9, 0.85, 0.9), strict=True):
            made.claim([trial.id])
            made.finish(trial.id, rows_of(trial, leak, accuracy), 1.0)
        made.claim([TRIALS[3].id])
        made.fail(TRIALS[3].id, "no such <script>", 0.1)
        yield made


def test_points_are_the_strongest_attack_and_the_mean_over_seeds(store):
    summary = summarise(store)
    points = {(one.cut, one.defense): one for one in summary.points}
    assert set(points) == {(cut, defense) for cut in ("early", "late") for defense in ("none", "noise:1")}
    early = points["early", "none"]
    assert early.recovered == pytest.approx((0.7 + 0.9) / 2)
    assert (early.recovered_low, early.recovered_high, early.repetitions) == (pytest.approx(0.7), pytest.approx(0.9), 2)
    assert early.attack == "decoder"
    assert points["late", "noise:1"].recovered == pytest.approx(0.1)
    assert [points[key].means for key in (("late", "none"), ("early", "noise:1"), ("late", "noise:1"))] == list(MEANS)


def test_the_summary_counts_and_the_page_holds_everything_safely(store, tmp_path):
    summary = summarise(store)
    assert summary.counts == {"pending": 0, "running": 0, "done": 3, "failed": 1}
    assert say_counts(summary) == (
        "4 trials: 3 done, 1 failed. 3 attacks could not be carried out; the tables say why."
    )
    page = (tmp_path / "sweep.html").read_text()
    assert "no such &lt;script&gt;" in page
    assert "m&lt;b&gt;" in page
    assert 'http-equiv="Content-Security-Policy"' in page
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", page)


def test_matched_accuracy_takes_the_least_leak_that_keeps_enough(store):
    points = summarise(store).points
    by_loss = {match.loss: match.best for match in match_accuracy(points)}
    assert by_loss[0.0][0].cut == "late"
    assert by_loss[0.0][1:] == (None, None), "noise costs 5 points"
    assert [one.defense for one in by_loss[0.05]] == ["none", "noise:1", "noise:1"]


def test_other_attackers_are_other_groups():
    levels = ("weights", "queries")
    rows = [row | {"knowledge": level, "trial": level} for level in levels for row in rows_of(PLAIN, 0.5, 0.9)]
    for row in rows:
        row.setdefault("error", None)
        row.setdefault("recovered", None)
        for key in ("checkpoint", "weights", "labels", "level", "effort", "aux", "victims", "queries"):
            row.setdefault(key, None)
    groups = {point.group for point in compare_points(points_of_rows(rows))}
    assert {group.rpartition(", ")[2] for group in groups} == {"knowledge weights", "knowledge queries"}


def test_a_sweep_of_nothing_has_a_page(tmp_path):
    with Store(tmp_path) as empty:
        assert summarise(empty).points == ()


def test_the_one_liners_of_the_documentation_run(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r'^    duckdb -c "(.*)"$', DOCS.read_text(), re.MULTILINE)
    assert len(lines) == 4
    answers = [duckdb.sql(line.replace("sweeps/first", str(store.folder))) for line in lines]
    worst = answers[0].fetchall()
    assert ("noise:1", "late", pytest.approx(0.1)) in worst
    assert len(answers[1].fetchall()) == 6
    assert len(answers[2].fetchall()) == 3
    assert (tmp_path / "table.csv").exists()
