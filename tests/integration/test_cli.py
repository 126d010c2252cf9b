"""The commands end to end on a small model, as a user types them."""

import json
import runpy

import jsonschema
import numpy as np
import pyarrow.parquet
import pytest
import torch
from safetensors.numpy import load_file

from goldcut.records import json_schema

MODEL, DATA = "model.py:build", "npz:images.npz"
QUICK = ("--attacks", "ridge", "--victims", "100")


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """Where the session's runs lie."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def audited(goldcut, runs):
    """A finished audit; made once, reopened afterwards."""
    folder = runs / "audited"
    answer = goldcut("audit", MODEL, DATA, "--out", str(folder), *QUICK)
    assert answer.code == 0, answer.err
    return folder, answer


def test_cuts_lists_every_place_in_order(goldcut):
    answer = goldcut("cuts", MODEL, "--input", "1,16,16", "--level", "all", "--json")
    record = json.loads(answer.out)
    jsonschema.validate(record, json_schema("goldcut.cuts/1"))
    assert [cut["name"] for cut in record["cuts"]] == ["0", "1", "2", "3", "4", "5", "output"]
    for cut in record["cuts"]:
        assert cut["payload_bytes"] == 4 * cut["elements"]
        assert (
            cut["edge_flops"] + cut["cloud_flops"] == record["cuts"][0]["edge_flops"] + record["cuts"][0]["cloud_flops"]
        )


def test_cuts_prints_a_table(goldcut):
    answer = goldcut("cuts", MODEL, "--input", "1,16,16")
    assert answer.code == 0
    assert "output" in answer.out


def test_an_audit_writes_records_that_follow_their_schemas(audited):
    folder, answer = audited
    for name in ("scan", "attack"):
        content = json.loads((folder / f"{name}.json").read_bytes())
        jsonschema.validate(content, json_schema(f"goldcut.{name}/1"))
    attack = json.loads((folder / "attack.json").read_bytes())
    assert attack["complete"]
    assert {result["attack"] for result in attack["results"]} == {"ridge"}
    assert [worst["cut"] for worst in attack["worst"]] == attack["attacked"]
    assert (folder / "report.html").stat().st_size > 1_000_000
    assert "report.html" in answer.out
    assert not list(folder.glob(".*"))


def test_the_parts_are_disjoint_and_as_stated(audited):
    view = json.loads((audited[0] / "attack.json").read_bytes())["view"]
    assert view["victims"] == 100
    assert view["training_images"] + view["selection_images"] + view["duplicates_removed"] <= 400
    assert view["auxiliary_same_data"]


def test_the_first_cut_leaks_and_the_output_does_not(audited):
    attack = json.loads((audited[0] / "attack.json").read_bytes())
    worst = {one["cut"]: one["recovered"] for one in attack["worst"]}
    first, last = attack["attacked"][0], attack["attacked"][-1]
    assert worst[first] > 0.9
    assert worst[last] < worst[first] - 0.3


def test_the_same_audit_again_does_nothing_twice(goldcut, audited):
    folder, _ = audited
    before = {path.name: path.read_bytes() for path in folder.glob("scan.json")}
    results = json.loads((folder / "attack.json").read_bytes())["results"]
    assert goldcut("audit", MODEL, DATA, "--out", str(folder), *QUICK).code == 0
    assert before == {path.name: path.read_bytes() for path in folder.glob("scan.json")}
    assert json.loads((folder / "attack.json").read_bytes())["results"] == results


def test_other_flags_in_the_same_folder_are_refused(goldcut, audited):
    folder = str(audited[0])
    answer = goldcut("scan", MODEL, DATA, "--out", folder, "--labels", "predicted")
    assert answer.code == 1
    assert "labels" in answer.err
    assert goldcut("attack", folder, "--attacks", "ridge", "--victims", "50").code == 1
    assert goldcut("scan", "model.py:build", "npz:other.npz", "--out", folder).code == 1


def test_a_cut_can_be_added_to_a_run(goldcut, runs):
    folder = str(runs / "grown")
    assert goldcut("scan", MODEL, DATA, "--out", folder).code == 0
    names = [cut["name"] for cut in json.loads((runs / "grown" / "scan.json").read_bytes())["cuts"]]
    for name in (names[1], names[0]):
        answer = goldcut("attack", folder, "--cuts", name, "--attacks", "ridge,attributes", "--victims", "100")
        assert answer.code == 0
        assert "Without any pixels: Z alone tells the class of" in " ".join(answer.out.split())
    attack = json.loads((runs / "grown" / "attack.json").read_bytes())
    assert attack["attacked"] == names[:2]
    assert [result["cut"] for result in attack["results"]] == names[:2]
    assert [one["cut"] for one in attack["inferred"]] == [names[0]] * 3 + [names[1]] * 3
    jsonschema.validate(attack, json_schema("goldcut.attack/1"))
    assert goldcut("report", folder).code == 0
    assert "What Z says without pixels" in (runs / "grown" / "report.html").read_text()


@pytest.mark.parametrize(
    ("condition", "code"), [("recovered > 0.99", 0), ("recovered > -1", 2), ("recovered > 0.0", 3)]
)
def test_the_gate(goldcut, audited, condition, code):
    folder, _ = audited
    names = json.loads((folder / "attack.json").read_bytes())["attacked"]
    cut = names[1] if code else names[-1]
    answer = goldcut("audit", MODEL, DATA, "--out", str(folder), *QUICK, "--fail-if", condition, "--cut", cut)
    assert answer.code == (1 if code == 2 else code), answer.err


def test_compare_shows_both_runs(goldcut, audited, runs):
    other = runs / "clusters"
    assert goldcut("scan", MODEL, DATA, "--out", str(other), "--labels", "clusters:3").code == 0
    answer = goldcut("compare", str(audited[0]), str(other))
    assert answer.code == 0
    assert goldcut("compare", str(audited[0])).code == 2


def test_a_dry_run_writes_nothing(goldcut, runs):
    dry = ("audit", MODEL, DATA, "--out", str(runs / "dry"), "--dry-run")
    answer = goldcut(*dry)
    assert answer.code == 0
    assert "at most" in answer.out
    assert not (runs / "dry").exists()
    few = goldcut(*dry, "--cuts", "1", "--attacks", "latent,decoder-S,rmle")
    assert "?  latent at 1 cut" in few.out
    assert "without latent;" in few.out
    lost = goldcut(*dry, "--cuts", "nowhere")
    assert lost.code == 1
    assert "no cut nowhere" in lost.err


@pytest.mark.parametrize(
    ("flag", "value", "said"), [("--attacks", "stak", "no attack 'stak'"), ("--cuts", "lost", "no cut lost")]
)
def test_an_unknown_attack_or_cut_is_told_before_the_scan(goldcut, runs, flag, value, said):
    answer = goldcut("audit", MODEL, DATA, "--out", str(runs / "typo"), flag, value)
    assert answer.code == 1
    assert said in answer.err
    assert not (runs / "typo").exists()


def test_other_images_for_the_attacker(goldcut, runs):
    folder = runs / "aux"
    assert goldcut("scan", MODEL, DATA, "--out", str(folder)).code == 0
    assert goldcut("attack", str(folder), "--cuts", "1", "--aux", "npz:other.npz", *QUICK).code == 0
    attack = json.loads((folder / "attack.json").read_bytes())
    assert not attack["view"]["auxiliary_same_data"]
    assert attack["results"][0]["recovered_own_mean"] is not None


BAD = {
    "unknown model": (("cuts", "torchvision:resnet1"), "resnet18"),
    "unknown kind of model": (("cuts", "tf:resnet18"), "torchvision"),
    "no factory": (("cuts", "model.py:nothing", "--input", "1,16,16"), "nothing"),
    "no size": (("cuts", MODEL), "--input"),
    "wrong channels": (("cuts", MODEL, "--input", "3,16,16"), "3,16,16|3x16x16"),
    "a choice on the data": (("cuts", "model.py:Choice", "--input", "1,16,16"), "data-dependent|depends on"),
    "unknown data": (("scan", MODEL, "npz:none.npz", "--out", "x"), "none.npz"),
    "no such level of labels": (("scan", MODEL, DATA, "--out", "x", "--labels", "maybe"), "clusters:K"),
    "no logits": (("scan", "model.py:detector", DATA, "--out", "x", "--labels", "predicted"), "logits"),
    "too little memory": (("scan", MODEL, DATA, "--out", "x", "--memory", "1K"), "--memory"),
    "no run": (("attack", "no-such-run"), "goldcut scan"),
    "a checkpoint of another kind": (("cuts", MODEL, "--input", "1,16,16", "--checkpoint", "images.npz"), "images.npz"),
    "another size than the images": (("scan", MODEL, DATA, "--input", "1,32,32", "--out", "x"), "32"),
    "an unwritable folder": (("scan", MODEL, DATA, "--out", "/proc/goldcut"), "written"),
}


@pytest.mark.parametrize(("arguments", "says"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_clear_line(goldcut, files, arguments, says):
    before = sorted(files.iterdir())
    answer = goldcut(*arguments)
    assert answer.code == 1
    lines = answer.err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert any(word in lines[-1] for word in says.split("|")), lines[-1]
    assert not [line for line in lines if "Traceback" in line]
    assert [path for path in files.iterdir() if path not in before and path.name not in ("x", "__pycache__")] == []


def test_usage_errors_exit_with_2(goldcut):
    assert goldcut("scan", MODEL).code == 2
    assert goldcut("cuts", MODEL, "--input", "16").code == 2
    assert goldcut("audit", MODEL, DATA, "--out", "x", "--memory", "much").code == 2


def test_a_model_that_states_its_input_is_given_that_and_its_normalisation(goldcut, files, tmp_path):
    (files / "stating.py").write_text(
        "import model\n\n\ndef small():\n    net = model.build()\n    net.input_shape = (1, 12, 12)\n"
        "    net.input_mean, net.input_std = (0.4,), (0.2,)\n    return net\n\n\n"
        "def silent():\n    net = model.build()\n    net.input_mean, net.input_std = (0.4,), (0.2,)\n    return net\n"
    )
    answer = goldcut("scan", "stating.py:silent", DATA, "--out", str(tmp_path / "silent"), "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["model"]["mean"] == [0.4]
    assert json.loads(answer.out)["model"]["input_shape"] == [1, 16, 16]
    answer = goldcut("scan", "stating.py:small", DATA, "--out", str(tmp_path / "small"))
    assert answer.code == 1
    assert "12" in answer.err
    assert "16" in answer.err


def test_more_images_and_more_queries_of_a_noisy_edge_recover_more(goldcut, tmp_path):
    flags = ("--attacks", "ridge", "--victims", "100", "--aux-size", "60,150", "--queries", "1,8")
    answer = goldcut("audit", "model.py:Noisy", DATA, "--out", str(tmp_path / "noisy"), *flags)
    assert answer.code == 0, answer.err
    record = json.loads((tmp_path / "noisy" / "attack.json").read_bytes())
    assert record["view"]["stochastic"]
    assert record["view"]["queries"] == 8
    behind = [one for one in record["sweep"] if one["cut"] == "flatten"]  # the first cut behind the noise
    points = {(one["training_images"], one["queries"]): one["recovered"] for one in behind}
    assert sorted(points) == [(54, 8), (135, 8), (360, 1), (360, 8)]
    assert points[54, 8] < points[360, 8]
    assert points[360, 1] < points[360, 8] - 0.1
    page = (tmp_path / "noisy" / "report.html").read_text()
    assert "What more images bring" in page
    assert "What repeated queries bring" in page
    answer = goldcut("attack", str(tmp_path / "noisy"), "--attacks", "ridge", "--victims", "100")
    assert answer.code == 1
    assert "queries" in answer.err


def test_a_challenge_hands_over_z_and_scores_what_comes_back(goldcut, audited, files, tmp_path):
    run, _ = audited
    answer = goldcut("challenge", str(run), "--cut", "output", "--out", str(tmp_path))
    assert answer.code == 0, answer.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["challenge.json", "z.safetensors"]
    content = json.loads((tmp_path / "challenge.json").read_bytes())
    jsonschema.validate(content, json_schema("goldcut.challenge/1"))
    with np.load(files / "images.npz") as stored:
        x = stored["x_test"]
    z = load_file(tmp_path / "z.safetensors")["z"]
    assert z.shape == (100, 3)
    model = runpy.run_path(str(files / "model.py"))["build"]().eval()
    with torch.no_grad():
        outputs = model(torch.from_numpy(x[:, None]).float() / 255).numpy()
    found = np.abs(outputs[None] - z[:, None]).sum(2).argmin(1)  # whose Z it is: known to the test alone
    assert np.allclose(outputs[found], z, atol=1e-5)

    assert goldcut("score", str(run), str(tmp_path)).code == 1  # nothing has come back yet
    np.save(tmp_path / "images.npy", x[found][:, None])
    score = json.loads(goldcut("score", str(run), str(tmp_path), "--json").out)
    jsonschema.validate(score, json_schema("goldcut.score/1"))
    assert score["scores"]["recovered"] == pytest.approx(1, abs=1e-4)
    assert score["scores"]["identification"] == 1
    np.save(tmp_path / "images.npy", np.full((100, 1, 16, 16), x[found].mean() / 255, dtype=np.float32))
    assert abs(json.loads(goldcut("score", str(run), str(tmp_path), "--json").out)["scores"]["recovered"]) < 0.1
    np.save(tmp_path / "images.npy", x[found])
    answer = goldcut("score", str(run), str(tmp_path))
    assert answer.code == 1
    assert "(100, 16, 16)" in answer.err


def test_a_challenge_is_scored_by_its_own_victims(goldcut, files, tmp_path):
    """The run is attacked with another seed after the challenge was made."""
    run, out = tmp_path / "run", tmp_path / "challenge"
    goldcut("scan", MODEL, DATA, "--out", str(run))
    assert goldcut("challenge", str(run), "--cut", "output", "--out", str(out)).code == 0
    with np.load(files / "images.npz") as stored:
        x = stored["x_test"]
    z = load_file(out / "z.safetensors")["z"]
    model = runpy.run_path(str(files / "model.py"))["build"]().eval()
    with torch.no_grad():
        outputs = model(torch.from_numpy(x[:, None]).float() / 255).numpy()
    np.save(out / "images.npy", x[np.abs(outputs[None] - z[:, None]).sum(2).argmin(1)][:, None])
    assert goldcut("attack", str(run), *QUICK, "--cuts", "1", "--seed", "1", "--victims", "50").code == 0
    assert json.loads(goldcut("score", str(run), str(out), "--json").out)["scores"]["mse"] == pytest.approx(0, abs=1e-9)


def test_a_run_keeps_to_its_attackers_images_and_follows_their_attributes(goldcut, files, tmp_path):
    with np.load(files / "images.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    pack, run = tmp_path / "pack.npz", tmp_path / "run"

    def give(name: str, **changes: np.ndarray) -> None:
        known = {f"a_{part}": arrays[f"x_{part}"].mean((1, 2)) > 128 for part in ("train", "test")}
        np.savez(pack, **{**arrays, **changes}, **known, attributes=[name])

    give("bright")
    flags = ("--cuts", "1", "--victims", "60", "--attacks")
    assert goldcut("audit", MODEL, f"npz:{pack}", "--out", str(run), *flags, "ridge,attributes").code == 0
    give("light")
    assert goldcut("attack", str(run), *flags, "attributes").code == 0
    inferred = json.loads((run / "attack.json").read_bytes())["inferred"]
    assert [one["target"] for one in inferred] == ["label"] * 3 + ["light"] * 3
    give("light", x_train=arrays["x_train"][::-1].copy() // 2)
    answer = goldcut("attack", str(run), *flags, "ridge")
    assert answer.code == 1
    assert "images_sha256" in answer.err


def test_the_figures_of_each_victim_are_kept_as_a_table(goldcut, audited, tmp_path):
    run, _ = audited
    table = pyarrow.parquet.read_table(run / "victims.parquet").to_pylist()
    attack = json.loads((run / "attack.json").read_bytes())
    for result in attack["results"]:
        rows = [row for row in table if (row["cut"], row["attack"]) == (result["cut"], result["attack"])]
        assert [row["victim"] for row in rows] == list(range(result["victims"]))
        assert np.mean([row["mse"] for row in rows]) == pytest.approx(result["mse"], rel=1e-4)
        assert np.mean([row["ssim"] for row in rows]) == pytest.approx(result["ssim"], abs=1e-4)
        told = [row["identification"] for row in rows if np.isfinite(row["identification"])]
        assert len(told) == result["identification_victims"]
        assert np.mean(told) == pytest.approx(result["identification"], abs=1e-4)
    assert len({row["sha256"] for row in table}) == 100


def test_rows_of_attacks_of_before_stay_in_the_table(goldcut, tmp_path):
    run = tmp_path / "run"
    assert goldcut("audit", MODEL, DATA, "--out", str(run), *QUICK, "--cuts", "1").code == 0
    assert goldcut("attack", str(run), *QUICK, "--cuts", "3").code == 0
    table = pyarrow.parquet.read_table(run / "victims.parquet")
    assert table["cut"].to_pylist() == ["1"] * 100 + ["3"] * 100
