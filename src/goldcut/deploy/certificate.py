"""The certificate: what an audit says of a cut, and whether it attacked what this very edge half sends."""

from dataclasses import replace
from pathlib import Path

from goldcut import records
from goldcut.deploy.manifest import ATTACK, EDGE, Export, digest, read_file
from goldcut.errors import DeployError
from goldcut.records import (
    AttackRecord,
    Certificate,
    CodecRecord,
    DefenseRecord,
    EdgeAttackRecord,
    ModelRecord,
    ScanRecord,
    Worst,
    unsettled,
)


def certify(
    run: Path,
    cut: str,
    model: ModelRecord,
    edge_sha256: str,
    codec: CodecRecord,
    defense: DefenseRecord | None = None,
) -> Certificate:
    """What the audit in a run folder says of a cut.

    Args:
        run: Folder of a scan, with or without an attack.
        cut: Name of the exported cut.
        model: The model that was exported.
        edge_sha256: Hash of its edge.onnx.
        codec: How Z crosses.
        defense: What else is done to Z.

    Raises:
        RunError: The run cannot be read.
        DeployError: The scan does not have this cut.
    """
    scan = records.load(run / "scan.json", ScanRecord)
    scan_sha256 = digest(read_file(run / "scan.json", "Scan again."))
    if cut not in [row.name for row in scan.cuts]:
        raise DeployError(f"the audit in {run} has no cut {cut}", "Audit at the level that shows it (--level all).")
    path = run / "attack.json"
    attack = records.load(path, AttackRecord) if path.exists() else None
    differences = [
        *_other_model(scan.model, model),
        *_not_attacked(attack, cut, scan_sha256),
        *_other_codec(codec),
        *_other_defense(scan, defense),
    ]
    return Certificate(
        run=str(run),
        cut=cut,
        view=None if attack is None else attack.view,
        worst=None if attack is None else worst_at(attack, cut),
        unsettled=() if attack is None else tuple(unsettled(attack, cut)),
        zone=scan.zone.cuts,
        in_zone=cut in scan.zone.cuts,
        scan_sha256=scan_sha256,
        attack_sha256=None if attack is None else digest(read_file(path, "Attack again.")),
        model_sha256=scan.model.sha256,
        edge_sha256=edge_sha256,
        same_edge=not differences,
        differences=tuple(differences),
    )


def differing_fields(then: Certificate, now: Certificate) -> list[str]:
    """The fields in which two certificates differ, the path of the run left out."""
    alike = replace(now, run=then.run)
    return [name for name in then.__dataclass_fields__ if getattr(then, name) != getattr(alike, name)]


def worst_at(attack: AttackRecord, cut: str) -> Worst | None:
    """The strongest attack at a cut."""
    return next((one for one in attack.worst if one.cut == cut), None)


def _other_model(audited: ModelRecord, exported: ModelRecord) -> list[str]:
    found = []
    if audited.sha256 != exported.sha256:
        found.append(f"the audit was made on weights {audited.sha256[:12]}, exported were {exported.sha256[:12]}")
    for name in ("input_shape", "mean", "std"):
        then, now = getattr(audited, name), getattr(exported, name)
        if then != now:
            found.append(f"the audit was made with {name} = {then}, exported was {now}")
    return found


def _not_attacked(attack: AttackRecord | None, cut: str, scan_sha256: str) -> list[str]:
    if attack is None or worst_at(attack, cut) is None:
        return ["the cut was not attacked"]
    found = []
    if attack.scan_sha256 != scan_sha256:
        found.append("the attack belongs to another scan than the one beside it")
    if not attack.complete:
        found.append("the attack is not finished")
    return found


def _other_codec(codec: CodecRecord) -> list[str]:
    """An audit attacks Z as the model computes it; every other number format shows an attacker something else."""
    return [] if codec.name == "fp32" else [f"the audit attacked Z in fp32, this edge sends {codec.name}"]


def _other_defense(scan: ScanRecord, defense: DefenseRecord | None) -> list[str]:
    audited, applied = scan.defense or "none", "none" if defense is None else defense.spec
    if _strength(audited) != _strength(applied):
        return [f"the audit attacked Z with the defence {audited}, this edge applies {applied}"]
    if defense is not None and defense.scale_sha256 != scan.data.sha256:
        return [f"the audit set the scale of {audited} by other images than this export"]
    return []


def _strength(spec: str) -> tuple[str, float]:
    """Name and number of a defence, however the number is written."""
    name, _, number = spec.partition(":")
    return name, float(number or 0)


def attack_of(export: Export) -> EdgeAttackRecord | None:
    """The attack on this very export, or None where there is none or it is of another edge or codec.

    Raises:
        RunError: The file is damaged.
    """
    path = export.folder / ATTACK
    if not path.exists():
        return None
    record = records.load(path, EdgeAttackRecord)
    same = record.version == export.manifest.version and record.edge_sha256 == export.manifest.files[EDGE]
    return record if same else None
