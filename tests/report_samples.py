"""Made-up runs for the tests of the report: plausible figures, no model behind them."""

import hashlib
from dataclasses import replace
from math import log, log10
from pathlib import Path
from typing import Any

import numpy as np

from goldcut import records
from goldcut.records import (
    AttackRecord,
    AttackResult,
    Baselines,
    CutProfile,
    DataRecord,
    Failure,
    InformationBound,
    Kind,
    ModelRecord,
    Provenance,
    Refused,
    SampleCounts,
    ScanRecord,
    Scores,
    ViewRecord,
    Worst,
    Zone,
)

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN_IMAGE_MSE = 0.062
CLASS_MEAN = 0.128

RESNET = (  # name, shape, within, standardised, edge parameters, edge FLOPs in millions, recovered
    ("bn1", (64, 32, 32), 0.962, 0.955, 1_856, 3.7, 0.985),
    ("layer1.0", (64, 32, 32), 0.957, 0.951, 75_840, 155, 0.958),
    ("layer1.1", (64, 32, 32), 0.951, 0.947, 149_824, 306, 0.921),
    ("layer2.0", (128, 16, 16), 0.936, 0.941, 379_968, 424, 0.847),
    ("layer2.1", (128, 16, 16), 0.915, 0.922, 675_392, 575, 0.769),
    ("layer3.0", (256, 8, 8), 0.861, 0.880, 1_594_432, 694, 0.582),
    ("layer3.1", (256, 8, 8), 0.722, 0.781, 2_775_104, 845, 0.437),
    ("layer4.0", (512, 4, 4), 0.391, 0.488, 6_447_680, 963, 0.247),
    ("layer4.1", (512, 4, 4), 0.152, 0.231, 11_168_832, 1_114, 0.186),
    ("output", (10,), 0.071, 0.079, 11_173_962, 1_114.1, 0.171),
)
VIT = (
    *(
        (
            f"blocks.{block}",
            (256, 128),
            0.97 - 0.008 * block,
            0.968 - 0.007 * block,
            258_272 + 198_272 * block,
            52.0 * (block + 1),
            0.99 - 0.021 * block,
        )
        for block in range(6)
    ),
    ("output", (10,), 0.32, 0.35, 1_251_000, 313.0, 0.24),
)
ATTACKS = (("ridge", 0.83, 0, 3.1), ("decoder-S", 0.96, 6000, 88.0), ("decoder-M", 1.0, 6000, 240.0))


def resnet_scan(**changes: Any) -> ScanRecord:
    """A trained ResNet whose zone begins at layer4.0."""
    scan = _scan("torchvision:resnet18", RESNET, ("layer4.0", "layer4.1"), ("layer3.1", "layer4.0", "layer4.1"))
    return replace(scan, **changes)


def resnet_attack(**changes: Any) -> AttackRecord:
    """An attack on every cut that confirms the zone."""
    return replace(_attack(RESNET, first="layer4.0", quarter="layer4.1"), **changes)


def vit_scan() -> ScanRecord:
    """A ViT without a zone."""
    return _scan("goldcut:vit", VIT, (), ())


def vit_attack() -> AttackRecord:
    """An attack that finds no zone either."""
    return _attack(VIT, first=None, quarter=None)


def incomplete_attack() -> AttackRecord:
    """Three cuts attacked, one of them without convergence, one attack failed, the plan unfinished."""
    attack = _attack(RESNET, first=None, quarter=None)
    kept = ("layer1.1", "layer3.0", "layer4.0")
    results = tuple(
        replace(result, converged=result.cut != "layer4.0" or result.attack == "ridge", identification=None)
        for result in attack.results
        if result.cut in kept and (result.cut, result.attack) != ("layer1.1", "decoder-S")
    )
    undecided = Zone(rule="post_hoc_half", decided=False, reasons=("decoder-M at layer4.0 had not converged.",))
    return replace(
        attack,
        attacked=("layer1.1", "layer3.0", "layer4.0", "layer4.1"),
        results=results,
        failed=(Failure(cut="layer1.1", attack="decoder-S", reason="the loss became NaN at step 812."),),
        worst=_worst(results),
        baselines=replace(attack.baselines, nearest={}, class_mean=None),
        zone_post_hoc=undecided,
        zone_post_hoc_quarter=replace(undecided, rule="post_hoc_quarter"),
        view=replace(attack.view, target_trained_on_auxiliary="unknown"),
        complete=False,
    )


def hostile_scan() -> ScanRecord:
    """A run whose names try to break out of the page."""
    scan = resnet_scan()
    evil = "</script><script>window.broken=1</script><img src=x onerror=window.broken=1>"
    link = "<a href='http://evil.example/'>layer & <b>bold</b></a>"
    cuts = (replace(scan.cuts[0], name=link, aliases=(evil,)), *scan.cuts[1:])
    return replace(
        scan,
        model=replace(scan.model, spec=evil),
        data=replace(scan.data, classes=(evil, *CLASSES[1:])),
        cuts=cuts,
        warnings=(evil, "{{ 7 * 7 }}"),
        skipped=(Refused(name=evil, reason=evil),),
    )


def write_run(folder: Path, scan: ScanRecord, attack: AttackRecord | None = None, *, gallery: bool = True) -> Path:
    """Write a run folder as the commands do."""
    records.save(scan, folder / "scan.json")
    if attack:
        sha256 = hashlib.sha256((folder / "scan.json").read_bytes()).hexdigest()
        records.save(replace(attack, scan_sha256=sha256), folder / "attack.json")
        if gallery:
            write_gallery(folder / "gallery.npz", [worst.cut for worst in attack.worst], attack)
    return folder


def write_gallery(path: Path, cuts: list[str], attack: AttackRecord, victims: int = 16, side: int = 32) -> None:
    """Pictures of coloured discs, and the same with more and more of the spectrum missing."""
    rng = np.random.default_rng(3)
    images = np.stack([_picture(rng, side) for _ in range(victims)])
    worst = {worst.cut: worst for worst in attack.worst}
    arrays: dict[str, Any] = {
        f"recon__{turn}": _blurred(images, worst[cut].recovered) for turn, cut in enumerate(cuts)
    }  # the index of an array is the place of its cut in `names`
    np.savez_compressed(
        path,
        victims=(images * 255).astype(np.uint8),
        labels=np.arange(victims) % len(CLASSES),
        names=np.array(cuts),
        attacks=np.array([worst[cut].attack for cut in cuts]),
        **arrays,
    )


def _picture(rng: np.random.Generator, side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side] / side
    sky, ground = rng.uniform(0.35, 0.95, 3), rng.uniform(0.1, 0.5, 3)
    image = np.where((y < rng.uniform(0.4, 0.7))[..., None], sky, ground)
    for _ in range(3):
        cy, cx, r = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.8), rng.uniform(0.08, 0.28)
        inside = ((y - cy) ** 2 + ((x - cx) * rng.uniform(0.6, 1.6)) ** 2 < r**2)[..., None]
        image = np.where(inside, rng.uniform(0, 1, 3), image)
    noisy: np.ndarray = np.clip(image + rng.normal(0, 0.03, image.shape), 0, 1)
    return noisy


def _blurred(images: np.ndarray, recovered: float) -> np.ndarray:
    side = images.shape[1]
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None, :])
    kept = np.exp(-((frequency / (0.02 + 0.5 * recovered**2)) ** 2))
    spectrum = np.fft.fft2(images, axes=(1, 2)) * kept[None, :, :, None]
    blurred = np.fft.ifft2(spectrum, axes=(1, 2)).real
    mean = images.mean(0, keepdims=True)
    return (np.clip(mean + (blurred - mean) * min(1.0, recovered + 0.15), 0, 1) * 255).astype(np.uint8)


def _scan(spec: str, table: Any, default: tuple[str, ...], paper: tuple[str, ...]) -> ScanRecord:
    cuts = tuple(_profile(row, table) for row in table)
    return ScanRecord(
        model=ModelRecord(
            spec=spec,
            checkpoint="checkpoints/cifar10.safetensors",
            classes=10,
            input_shape=(3, 32, 32),
            mean=(0.491, 0.482, 0.447),
            std=(0.247, 0.243, 0.262),
            sha256=hashlib.sha256(spec.encode()).hexdigest(),
        ),
        data=DataRecord(
            spec="npz:cifar10_lossless_15k_5k.npz",
            part="test",
            images=5000,
            shape=(3, 32, 32),
            classes=CLASSES,
            sha256=hashlib.sha256(b"cifar10").hexdigest(),
        ),
        labels="truth",
        level="block",
        accuracy=0.863,
        cuts=cuts,
        refused=(Refused(name="layer2.0.downsample", reason="a second path leads around it: two tensors cross here."),),
        zone_paper=Zone(
            rule="paper",
            first=paper[0] if paper else None,
            cuts=paper,
            indicated=paper[:2],
            reasons=("The largest relative drops of R² are before layer3.1 (44 %) and layer4.0 (38 %).",)
            if paper
            else ("The largest relative drop of R² is 7 %.",),
        ),
        zone=Zone(
            rule="default",
            first=default[0] if default else None,
            cuts=default,
            indicated=default[:1],
            reasons=(f"The within-class share falls from 72 % to 39 % at {default[0]} and stays low.",)
            if default
            else ("The within-class share stays above 92 % at every cut before the output.",),
            confidence=0.9 if default else None,
        ),
        recommended=default[0] if default else None,
        skipped=(
            Refused(name="effective_rank of output", reason="10 elements only: the rank is the number of classes."),
        ),
        provenance=_provenance("goldcut scan", 41.7),
    )


def _profile(row: Any, table: Any) -> CutProfile:
    name, shape, within, standardised, params, megaflops, _ = row
    elements = int(np.prod(shape))
    per_element = 0.31 * within**2.2
    total = elements * per_element / within
    all_params, all_flops = table[-1][4], int(table[-1][5] * 1e6)
    kinds: dict[int, Kind] = {3: "map", 2: "tokens", 1: "vector"}
    return CutProfile(
        name=name,
        aliases=(f"{name}.relu",) if name.startswith("layer") else (),
        shape=shape,
        kind=kinds[len(shape)],
        elements=elements,
        level="output" if name == "output" else "block",
        edge_params=params,
        cloud_params=all_params - params,
        edge_flops=int(megaflops * 1e6),
        cloud_flops=all_flops - int(megaflops * 1e6),
        payload_bytes=4 * elements,
        radius_sq=elements * per_element,
        radius_sq_low=elements * per_element * 0.97,
        radius_sq_high=elements * per_element * 1.03,
        total_variance=total,
        total_variance_low=total * 0.98,
        total_variance_high=total * 1.02,
        within_share=within,
        within_share_low=within - 0.012,
        within_share_high=min(1.0, within + 0.012),
        within_share_standardised=standardised,
        within_share_standardised_low=standardised - 0.01,
        within_share_standardised_high=min(1.0, standardised + 0.01),
        radius_sq_per_element=per_element,
        radius_sq_paper=elements * per_element * 0.94,
        effective_rank=None if name == "output" else 4 + 60 * within**3,
        effective_rank_images=0 if name == "output" else 1000,
        image_dependence=0.3 + 0.6 * within,
        image_dependence_low=0.29 + 0.6 * within,
        image_dependence_high=0.31 + 0.6 * within,
        image_dependence_images=256,
        entropy_global_paper=elements / 2 * log(17.08 * per_element / within),
        entropy_class_paper=elements / 2 * log(17.08 * per_element),
        information=tuple(_bound(rho, elements, total, per_element * elements) for rho in (0.01, 0.1, 1.0)),
        samples_per_class=SampleCounts(classes=10, fewest=482, median=499.5, most=517),
    )


def _bound(rho: float, elements: int, total: float, radius: float) -> InformationBound:
    sigma = rho * (total / elements) ** 0.5
    whole = elements / 2 * log(1 + total / (elements * sigma**2))
    inner = elements / 2 * log(1 + radius / (elements * sigma**2))
    return InformationBound(
        rho=rho,
        sigma=sigma,
        global_nats=whole,
        class_nats=inner + log(10),
        conditional_nats=inner,
        relative_gap=1 - (inner + log(10)) / whole,
    )


def _attack(table: Any, first: str | None, quarter: str | None) -> AttackRecord:
    names = [row[0] for row in table]
    inner = names[:-1]
    results = tuple(
        AttackResult(
            **_scores(recovered * factor, identified=0.05 + 0.9 * (recovered * factor) ** 1.4),
            cut=row[0],
            attack=attack,
            selection_mse=MEAN_IMAGE_MSE * (1 - recovered * factor) * 1.01,
            converged=True,
            steps=steps,
            seconds=seconds,
        )
        for row in table
        for recovered in [row[6]]
        for attack, factor, steps, seconds in ATTACKS
    )
    return AttackRecord(
        scan_sha256="0" * 64,
        view=ViewRecord(
            knowledge="queries",
            auxiliary="npz:cifar10_lossless_15k_5k.npz (train)",
            auxiliary_same_data=True,
            target_trained_on_auxiliary="yes",
            training_images=13_500,
            selection_images=1_500,
            victims=1_000,
            duplicates_removed=4,
            reconstruction_shape=(3, 32, 32),
        ),
        attacked=tuple(names),
        baselines=Baselines(
            mean_image=Scores(**_scores(0.0)),
            class_mean=Scores(**_scores(CLASS_MEAN, identified=0.05)),
            nearest={row[0]: Scores(**_scores(row[6] * 0.45 - 0.28)) for row in table},
        ),
        results=results,
        worst=_worst(results),
        zone_post_hoc=_post_hoc("post_hoc_half", inner, first, "half"),
        zone_post_hoc_quarter=_post_hoc("post_hoc_quarter", inner, quarter, "a quarter"),
        provenance=_provenance("goldcut attack", 1312.0),
    )


def _post_hoc(rule: str, inner: list[str], first: str | None, part: str) -> Zone:
    if first is None:
        return Zone(rule=rule, reasons=(f"Recovered beyond the class mean never falls to {part} of the first cut's.",))
    cuts = tuple(inner[inner.index(first) :])
    reason = f"From {first} on, at most {part} of what the first cut gives beyond the class mean is recovered."
    return Zone(rule=rule, first=first, cuts=cuts, indicated=(first,), reasons=(reason,))


def _worst(results: tuple[AttackResult, ...]) -> tuple[Worst, ...]:
    best: dict[str, AttackResult] = {}
    for result in results:
        if result.cut not in best or result.recovered > best[result.cut].recovered:
            best[result.cut] = result
    shared = ("cut", "attack", "recovered", "recovered_low", "recovered_high", "converged")
    return tuple(Worst(**{field: getattr(result, field) for field in shared}) for result in best.values())


def _scores(recovered: float, identified: float | None = None) -> dict[str, Any]:
    mse = MEAN_IMAGE_MSE * (1 - recovered)
    told: dict[str, Any] = {}
    if identified is not None:
        low, high = max(0.0, identified - 0.025), min(1.0, identified + 0.025)
        told = {"identification_low": low, "identification_high": high, "identification_victims": 1000}
    return {
        "mse": mse,
        "mse_low": mse * 0.96,
        "mse_high": mse * 1.04,
        "mse_channel_sum": 3 * mse,
        "psnr": -10 * log10(mse),
        "ssim": max(0.02, recovered * 0.93),
        "recovered": recovered,
        "recovered_low": recovered - 0.014 - 0.01 * (1 - recovered),
        "recovered_high": recovered + 0.006 + 0.02 * (1 - recovered),
        "beyond_label": 1 - (1 - recovered) / (1 - CLASS_MEAN),
        "identification": identified,
        **told,
    }


def _provenance(command: str, seconds: float) -> Provenance:
    return Provenance(
        command=f"{command} --out runs/sample",
        started="2026-11-24T09:00:00+00:00",
        seconds=seconds,
        versions={"goldcut": "0.1.0", "torch": "2.14.1", "python": "3.11.9"},
        seeds={"seed": 0},
        settings={"batch_size": 128, "effort": "standard"},
        machine="Linux x86_64, 2 cores",
        device="cpu",
        threads=2,
    )
