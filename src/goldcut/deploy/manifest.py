"""The folder of an export: opened only when its manifest is known and every file is the one that was written."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from goldcut import records
from goldcut.deploy.runtime import Half
from goldcut.errors import DeployError, RunError
from goldcut.records import CodecRecord, DefenseRecord, Manifest
from goldcut.wire.codec import Codec

MANIFEST, EDGE, CLOUD, REFERENCE = "manifest.json", "edge.onnx", "cloud.onnx", "reference.safetensors"
ATTACK = "attack.json"
"""What `goldcut attack DIR` leaves; it is no part of the export."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What a model may be called on the network."""


@dataclass(frozen=True)
class Export:
    """An export whose manifest was read.

    Attributes:
        folder: Where it is.
        manifest: What it says.
        manifest_sha256: Hash of the file.
    """

    folder: Path
    manifest: Manifest
    manifest_sha256: str

    @property
    def codec(self) -> Codec:
        """How Z crosses."""
        return open_codec(self.manifest.codec, self.manifest.z_shape)

    def read(self, name: str) -> bytes:
        """A file of the export, the very one that the manifest lists.

        Raises:
            DeployError: It is not listed, cannot be read, or has another hash.
        """
        expected = self.manifest.files.get(name)
        if expected is None:
            raise DeployError(f"{self.folder} lists no {name} in its manifest", "Export again.")
        content = read_file(self.folder / name)
        found = digest(content)
        if found != expected:
            raise DeployError(
                f"{self.folder / name} has hash {found[:12]} and the manifest says {expected[:12]}",
                "It was changed after the export or belongs to another: export again.",
            )
        return content

    def open_edge(self, *, threads: int = 1) -> Half:
        """The edge half.

        Raises:
            DeployError: As for `read`, or its interface is not that of the manifest.
        """
        shapes = (self.manifest.preprocessing.shape, self.manifest.z_shape)
        defense = self.manifest.defense
        return self._open(EDGE, shapes, threads, () if defense is None else defense.random_shape)

    def open_cloud(self, *, threads: int = 1) -> Half:
        """The cloud half.

        Raises:
            DeployError: As for `read`, or its interface is not that of the manifest.
        """
        return self._open(CLOUD, (self.manifest.z_shape, self.manifest.logits_shape), threads)

    def _open(
        self, name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], threads: int, random: tuple[int, ...] = ()
    ) -> Half:
        half = Half(self.read(name), name, shapes, threads=threads, random=random)
        if differing := differing_metadata(half, self.manifest):
            raise DeployError(f"{self.folder / name} {differing}", "Export again.")
        return half


def open_export(folder: Path) -> Export:
    """Read the manifest of an export and check what it says of itself.

    Raises:
        RunError: There is none, or it is damaged or of another version.
        DeployError: It contradicts itself.
    """
    path = folder / MANIFEST
    manifest = records.load(
        path,
        Manifest,
        missing="Make one with `goldcut export`.",
        again="Export again with this version of goldcut.",
    )
    if not NAME.fullmatch(manifest.model_name):
        raise RunError(f"{path} names the model {manifest.model_name[:80]!r}", "Export again.")
    if min((*manifest.z_shape, *manifest.logits_shape, *manifest.preprocessing.shape), default=0) < 1:
        raise RunError(f"{path} states a shape with a dimension below 1", "Export again.")
    if outside := [name for name in manifest.files if Path(name).name != name]:
        raise RunError(f"{path} lists {outside[0]!r}, which is no file of this folder", "Export again.")
    halves = (manifest.files.get(EDGE, ""), manifest.files.get(CLOUD, ""))
    if manifest.version != version_of(*halves, manifest.codec, manifest.z_shape):
        raise DeployError(
            f"{path} calls itself version {manifest.version[:20]}, which is not that of its files and codec",
            "It was changed after the export or put together from two: export again.",
        )
    return Export(folder, manifest, digest(path.read_bytes()))


def version_of(edge_sha256: str, cloud_sha256: str, codec: CodecRecord, z_shape: tuple[int, ...]) -> str:
    """Twelve hexadecimal digits that only these two halves with this codec have."""
    text = f"{edge_sha256} {cloud_sha256} {codec.name} {codec.zstd} {z_shape}"
    return digest(text.encode())[:12]


def open_codec(record: CodecRecord, z_shape: tuple[int, ...]) -> Codec:
    """The codec that a manifest describes."""
    return Codec(record.name, record.zstd, z_shape)


def differing_metadata(half: Half, manifest: Manifest) -> str | None:
    """What a half says of itself that is not what the manifest says; None where they agree."""
    expected = half_metadata(manifest.cut, manifest.model.sha256, manifest.defense)
    found = half.metadata
    for key, value in expected.items():
        if found.get(key) != value:
            return f"says {key} = {str(found.get(key))[:40]} and the manifest says {value[:40]}"
    return None


def half_metadata(cut: str, model_sha256: str, defense: DefenseRecord | None = None) -> dict[str, str]:
    """What is written into both halves, so that a half of another cut, model or defence is known by its file."""
    spec = "none" if defense is None else defense.spec
    return {"goldcut.cut": cut, "goldcut.model_sha256": model_sha256, "goldcut.defense": spec}


def read_file(path: Path, cure: str = "Export again, or correct its rights.") -> bytes:
    """The bytes of a file.

    Args:
        path: The file.
        cure: What to do where it cannot be read.

    Raises:
        DeployError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DeployError(f"{path} cannot be read: {error.strerror}", cure) from error


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
