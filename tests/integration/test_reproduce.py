"""`goldcut reproduce` from the command line: what it lists, and what it refuses in one line."""

import pytest


def test_a_dry_run_lists_the_steps_and_writes_nothing(goldcut, tmp_path):
    answer = goldcut("reproduce", "edge", "--dry-run", "--out", str(tmp_path / "out"))
    assert answer.code == 0
    assert answer.out.splitlines()[0].split() == ["to", "do", "price-ir152-64px"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("lables",), "there is no table 'lables'. Did you mean labels?"),
        (("labels", "--scale", "large"), "there is no scale 'large'. There are cpu, paper, quick."),
        (("labels",), "--data is not given: cifar10.npz. Put npz files"),
        (("data", "--data", "."), ". does not hold cifar10.npz, kmnist.npz, mnist.npz, faces.npz"),
        (("edge", "--resume"), "holds no reproduction to go on with. Leave --resume out"),
    ],
    ids=["table", "scale", "no-data", "missing-packs", "nothing-to-resume"],
)
def test_bad_input_is_refused_in_one_line(goldcut, tmp_path, arguments, expected):
    answer = goldcut("reproduce", *arguments, "--out", str(tmp_path / "out"))
    assert answer.code == 1
    assert expected in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()
