"""Records of steps made by hand, for tables of the paper that nobody has to measure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from goldcut.attacks.leakage import find_worst
from goldcut.records import (
    AttackRecord,
    AttackResult,
    CutsRecord,
    DataRecord,
    EpochRow,
    ModelRecord,
    PricedCut,
    ScanRecord,
    TrainRecord,
)
from report_samples import resnet_attack, resnet_scan

MODEL = ModelRecord(spec="goldcut:made", input_shape=(3, 32, 32), sha256="0" * 64)
DATA = DataRecord(spec="npz:made.npz", part="test", images=100, shape=(3, 32, 32), classes=("a", "b"), sha256="1" * 64)


def made_result(cut: str, attack: str, mse: float, *, spread: float = 0.01, converged: bool = True) -> AttackResult:
    """A result whose limits lie `spread` of the value below and above; everything has a variance of 0.1."""
    low, high = mse * (1 - spread), mse * (1 + spread)
    return AttackResult(
        cut=cut,
        attack=attack,
        mse=mse,
        mse_low=low,
        mse_high=high,
        mse_channel_sum=3 * mse,
        psnr=0.0,
        recovered=1 - mse / 0.1,
        recovered_low=1 - high / 0.1,
        recovered_high=1 - low / 0.1,
        selection_mse=mse,
        converged=converged,
        seconds=1.0,
    )


def made_attack(*results: AttackResult, class_mean: float = 0.1) -> AttackRecord:
    """A record with these results, one a cut."""
    record = resnet_attack()
    assert record.baselines.class_mean is not None
    baselines = replace(record.baselines, class_mean=replace(record.baselines.class_mean, recovered=class_mean))
    return replace(
        record, results=results, baselines=baselines, worst=find_worst([one.cut for one in results], results)
    )


def made_scan(cuts: Mapping[str, Mapping[str, Any]], accuracy: float = 0.8) -> ScanRecord:
    """A scan with these cuts; each says which figures are not those of a sample."""
    scan = resnet_scan()
    rows = tuple(replace(scan.cuts[0], name=name, aliases=(), **figures) for name, figures in cuts.items())
    return replace(scan, cuts=rows, accuracy=accuracy)


def made_training(entropy: float) -> TrainRecord:
    """A finished training whose selected epoch has this output entropy."""
    row = EpochRow(epoch=1, step=10, rate=0.1, accuracy=0.8, cross_entropy=0.5, entropy=entropy, images=10)
    return TrainRecord(
        model=MODEL,
        training=DATA,
        selection=DATA,
        test=DATA,
        targets="one-hot",
        loss="ce",
        epochs=1,
        history=(row,),
        selected=1,
        accuracy=0.8,
        complete=True,
        provenance=resnet_scan().provenance,
    )


def made_prices(cuts: Mapping[str, tuple[int, int, float]], whole: int) -> CutsRecord:
    """Prices by cut: parameters on the edge, bytes of Z, seconds of the edge half; `whole` parameters in all."""

    def cut(name: str, params: int, payload: int, seconds: float | None) -> PricedCut:
        return PricedCut(
            name=name,
            level="output" if name == "output" else "block",
            kind="map",
            shape=(payload // 4,),
            elements=payload // 4,
            edge_params=params,
            cloud_params=whole - params,
            edge_flops=1,
            cloud_flops=1,
            payload_bytes=payload,
            edge_seconds=seconds,
        )

    rows = [cut(name, *figures) for name, figures in cuts.items()]
    return CutsRecord(model=MODEL, cuts=(*rows, cut("output", whole, 40, None)))
