"""`goldcut scan --shards` by processes of its own."""

from scan_records import assert_same_record


def test_a_scan_in_shards_is_that_of_one_process(goldcut, one_thread, tmp_path, monkeypatch):
    assert goldcut("scan", "model.py:build", "npz:images.npz", "--out", str(tmp_path / "one")).code == 0
    monkeypatch.setattr("goldcut.sweeps.sweep.count_cores", lambda: 3)  # one thread for each
    out = tmp_path / "three"
    answer = goldcut("scan", "model.py:build", "npz:images.npz", "--out", str(out), "--shards", "3")
    assert answer.code == 0, answer.err
    assert [path.name for path in out.iterdir()] == ["scan.json"]
    assert_same_record(out, tmp_path / "one")
