"""Whether an export is still what was written, computes what the model did, and is what was audited."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from goldcut.deploy.certificate import attack_of, certify, differing_fields
from goldcut.deploy.equality import Reference, compare, refuse_unequal
from goldcut.deploy.manifest import ATTACK, EDGE, REFERENCE, Export, open_export
from goldcut.deploy.synthetic import as_floats
from goldcut.errors import DeployError, GoldcutError
from goldcut.records import Check, VerifyRecord


def verify(folder: Path, *, audit: Path | None = None) -> VerifyRecord:
    """Check the hashes, the equality with the model's own answers, and the certificate.

    Neither the model nor torch is needed: the export holds synthetic images with the model's Z and logits.

    Args:
        folder: Of an export.
        audit: Folder of the audit, to make the certificate again and compare.

    Raises:
        RunError, DeployError: The manifest cannot be used at all.
    """
    export = open_export(folder)
    checks = [_check(f"file {name}", partial(_check_file, export, name)) for name in export.manifest.files]
    checks.append(_check("halves", lambda: _check_equality(export)))
    if export.manifest.defense is not None:
        checks.append(_check("defence", lambda: _check_defense(export)))
    checks.append(_check("certificate", lambda: _check_certificate(export, audit)))
    if (export.folder / ATTACK).exists():
        checks.append(_check("attack", lambda: _check_attack(export)))
    return VerifyRecord(
        folder=str(folder),
        manifest_sha256=export.manifest_sha256,
        passed=all(check.passed for check in checks),
        checks=tuple(checks),
    )


def read_reference(export: Export) -> Reference:
    """The synthetic images of an export and what the model made of them.

    Raises:
        DeployError: The file is not the one that was written.
    """
    try:
        stored = safetensors.numpy.load(export.read(REFERENCE))
        return Reference(as_floats(stored["images"]), stored["z"], stored["logits"], stored.get("random"))
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise DeployError(f"{export.folder / REFERENCE} is damaged: {error}", "Export again.") from error


def _check(name: str, look: Callable[[], str]) -> Check:
    """One check; what it raises is what it found."""
    try:
        return Check(name=name, passed=True, detail=look())
    except GoldcutError as error:
        return Check(name=name, passed=False, detail=str(error))


def _check_file(export: Export, name: str) -> str:
    return f"{len(export.read(name)):,} bytes with the hash of the manifest"


def _check_equality(export: Export) -> str:
    jumps = export.manifest.defense is not None and export.manifest.defense.jumps
    halves = export.open_edge(), export.open_cloud()
    equality = compare(*halves, export.codec, [read_reference(export)], jumps=jumps).record("synthetic", None)
    refuse_unequal(equality, jumps=jumps)
    return (
        f"Z differs from the model's by {equality.z_difference:.1e} at most, the logits by "
        f"{equality.logits_difference:.1e}; with {export.codec.name} by {equality.codec_difference:.1e}"
    )


def _check_defense(export: Export) -> str:
    """Where the defence draws, the same images leave the device differently each time."""
    defense = export.manifest.defense
    assert defense is not None
    if not defense.random_shape:
        return f"{defense.spec} is in the edge half and draws nothing"
    edge, reference = export.open_edge(), read_reference(export)
    one, other = edge(reference.images), edge(reference.images)
    alike = [bool(np.array_equal(*pair)) for pair in zip(one, other, strict=True)]
    if any(alike):
        raise DeployError(f"two releases of an image behind {defense.spec} are equal", "Export again.")
    return f"{defense.spec}: two releases of an image differ by {np.abs(one - other).mean():.2g} in the mean"


def _check_certificate(export: Export, audit: Path | None) -> str:
    held = export.manifest.certificate
    if held is None:
        if audit is not None:
            raise DeployError("the export carries no certificate", "Export again with --audit.")
        return "there is none: the export was made without --audit"
    for what, found, expected in (
        ("cut", held.cut, export.manifest.cut),
        ("edge half", held.edge_sha256[:12], export.manifest.files[EDGE][:12]),
    ):
        if found != expected:
            raise DeployError(f"the certificate is about {what} {found}, the export has {expected}", "Export again.")
    if audit is not None:
        manifest = export.manifest
        now = certify(audit, held.cut, manifest.model, held.edge_sha256, manifest.codec, manifest.defense)
        if fields := differing_fields(held, now):
            raise DeployError(f"the audit in {audit} says something else on {', '.join(fields)}", "Export again.")
    if not held.same_edge and attack_of(export) is not None:
        return f"the audit was not made on this edge ({'; '.join(held.differences)}), the attack beside it was"
    if not held.same_edge:
        raise DeployError(
            f"the audit was not made on this edge: {'; '.join(held.differences)}", "Audit this very edge."
        )
    worst = held.worst
    assert worst is not None  # a cut that was not attacked is a difference
    place = "in the zone" if held.in_zone else "outside the zone"
    return f"{held.cut}, {place}: at worst {worst.recovered:.1%} recovered by {worst.attack}" + (
        f"; {', '.join(held.unsettled)}" if held.unsettled else ""
    )


def _check_attack(export: Export) -> str:
    record = attack_of(export)
    if record is None:
        raise DeployError("attack.json is about another edge half or codec", "Attack again: `goldcut attack DIR`.")
    if record.worst is None:
        raise DeployError("attack.json holds no attack that was carried out", "Attack again: `goldcut attack DIR`.")
    return f"what the edge sends as {record.codec}: at worst {record.worst.recovered:.1%} recovered by " + ", ".join(
        [record.worst.attack, *record.unsettled]
    )
