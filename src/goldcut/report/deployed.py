"""An export and its verification on the terminal."""

from pathlib import Path

from rich.console import Console

from goldcut.records import Manifest, VerifyRecord


def print_export(manifest: Manifest, out: Path) -> None:
    """What was written, how equal it is, and what the certificate says."""
    console = Console(highlight=False, soft_wrap=True)
    equality, codec = manifest.equality, manifest.codec
    console.print(f"{out}: {manifest.model_name} {manifest.version}, cut at {manifest.cut}, Z {manifest.z_shape}")
    console.print(
        f"Compared on {equality.images} images ({equality.source}): Z differs by {equality.z_difference:.1e} at most, "
        f"the logits by {equality.logits_difference:.1e}."
    )
    name = f"{codec.name}+zstd" if codec.zstd else codec.name
    console.print(
        f"Codec {name}: {codec.payload_bytes:,} bytes a sample in the median, the logits differ by "
        f"{equality.codec_difference:.1e}, {equality.same_class:.1%} of the images keep their class."
    )
    if equality.accuracy is not None and equality.accuracy_deployed is not None:
        change = 100 * (equality.accuracy_deployed - equality.accuracy)
        console.print(f"Accuracy {equality.accuracy_deployed:.2%}, {change:+.2f} points against the model.")
    if (held := manifest.certificate) is None:
        console.print("No certificate: nothing says what an attacker gets at this cut (--audit RUN).")
        return
    place = "in the zone" if held.in_zone else "outside the zone"
    worst = "was not attacked"
    if held.worst is not None:
        worst = f"at worst {held.worst.recovered:.1%} recovered by {held.worst.attack}"
    console.print(f"Certificate: {held.cut}, {place}, {worst}.")
    for difference in held.differences:
        console.print(f"[red]The audit was not made on this edge:[/red] {difference}.")


def print_verified(record: VerifyRecord) -> None:
    """Each check, and the hash to keep apart."""
    console = Console(highlight=False, soft_wrap=True)
    for check in record.checks:
        mark = "[green]passed[/green]" if check.passed else "[red]FAILED[/red]"
        console.print(f"{mark} {check.name}: ", end="")
        console.print(check.detail, markup=False)
    console.print(f"manifest {record.manifest_sha256}")
