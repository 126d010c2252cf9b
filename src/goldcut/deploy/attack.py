"""The attack on an export itself: Z as it leaves the device, through onnxruntime and the codec.

The attacker may ask the edge half and does not follow its gradients: there are none through onnxruntime.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, fx, nn

from goldcut import records
from goldcut.attacks.evaluate import attack_cuts
from goldcut.attacks.leakage import find_worst
from goldcut.attacks.plan import hash_parts
from goldcut.attacks.suite import choose_attacks, every_attack
from goldcut.cuts.graph import CutGraph
from goldcut.deploy.manifest import ATTACK, EDGE, Export, open_export
from goldcut.deploy.runtime import Half
from goldcut.progress import Progress, silent
from goldcut.records import AttackResult, Cut, EdgeAttackRecord, Failure
from goldcut.sources.images import Pack, Parts, divide, load_images
from goldcut.wire.codec import Codec

FOLDER = "attack"
OUTPUT = "output"


class Deployed(nn.Module):
    """A half in onnxruntime as a module without weights, with the codec behind it where Z is sent.

    Args:
        half: From an export.
        codec: How its answer crosses; None for an answer that stays.
    """

    def __init__(self, half: Half, codec: Codec | None) -> None:
        super().__init__()
        self._half, self._codec = half, codec

    def forward(self, batch: Tensor) -> Tensor:
        answer = self._half(np.ascontiguousarray(batch.detach().cpu().numpy(), np.float32))
        if self._codec is not None:
            answer = self._codec.decode(self._codec.encode(answer), len(answer))
        return torch.from_numpy(np.array(answer))


def as_graph(export: Export) -> CutGraph:
    """An export as a graph of two nodes with one cut between them, so that every attack can read Z there."""
    manifest = export.manifest
    root = nn.ModuleDict(
        {"edge": Deployed(export.open_edge(), export.codec), "cloud": Deployed(export.open_cloud(), None)}
    )
    graph = fx.Graph()
    z = graph.call_module("edge", (graph.placeholder("x"),))
    logits = graph.call_module("cloud", (z,))
    graph.output(logits)
    elements, classes = int(np.prod(manifest.z_shape)), int(np.prod(manifest.logits_shape))
    cut = Cut(name=manifest.cut, shape=manifest.z_shape, kind=manifest.kind, elements=elements, level="block")
    output = Cut(name=OUTPUT, shape=manifest.logits_shape, kind="vector", elements=classes, level="output")
    module = fx.GraphModule(root, graph, "Deployed").eval()
    return CutGraph(
        module, manifest.preprocessing.shape, (cut, output), (), {manifest.cut: z.name, OUTPUT: logits.name}
    )


def attack_export(
    folder: Path,
    pack: Pack,
    *,
    attacks: str = "standard",
    effort: str = "standard",
    aux: str | None = None,
    aux_seen: str = "unknown",
    victims: int = 1000,
    memory: int = 4 * 2**30,
    seed: int = 0,
    progress: Progress = silent,
) -> EdgeAttackRecord:
    """Attack what the edge half of an export sends, and write DIR/attack.json.

    A vector that a map was flattened into is attacked as a vector: the export does not know the map.

    Args:
        folder: Of the export.
        pack: The images; victims are drawn from the scanned ones.
        attacks: Sets or names; what needs the edge's gradients is left out of a set.
        effort: "small", "standard" or "large".
        aux: DATA of the attacker's images, when they are others.
        aux_seen: Whether the model was trained on them.
        victims: Images that are reconstructed and scored; all that there are when fewer.
        memory: Most bytes for features.
        seed: Of everything that is drawn.
        progress: Told how far the work is.

    Raises:
        GoldcutError: The export, the images or the attacks cannot be used.
    """
    export = open_export(folder)
    graph, suite = as_graph(export), choose_attacks(attacks, effort, "queries")
    parts = _divide(pack, export, aux, victims, seed)
    leakage = attack_cuts(
        graph,
        graph.cuts[:1],
        parts,
        suite,
        others=every_attack(),
        seed=seed,
        folder=folder / FOLDER,
        memory_bytes=memory,
        logits=len(export.manifest.logits_shape) == 1,
        run=export.manifest.version,
        progress=progress,
    )
    images = hash_parts(parts)
    before = _before(folder, export, images)
    results = {one.attack: one for one in (*(before.results if before else ()), *leakage.results)}
    failed = {one.attack: one for one in (*(before.failed if before else ()), *leakage.failures)}
    failures = tuple(one for name, one in failed.items() if name not in results)
    worst = find_worst([export.manifest.cut], tuple(results.values()))
    record = EdgeAttackRecord(
        version=export.manifest.version,
        edge_sha256=export.manifest.files[EDGE],
        cut=export.manifest.cut,
        codec=export.codec.name,
        view=leakage.view(parts, knowledge="queries", auxiliary=aux or pack.scanned.spec, aux_seen=aux_seen),
        results=tuple(results.values()),
        failed=failures,
        inferred=leakage.inferred or (before.inferred if before else ()),
        worst=worst[0] if worst else None,
        unsettled=_unsettled(failures, tuple(results.values())),
        images_sha256=images,
    )
    records.save(record, folder / ATTACK)
    return record


def _divide(pack: Pack, export: Export, aux: str | None, victims: int, seed: int) -> Parts:
    attacker = pack.attacker
    if aux is not None:
        own = load_images(aux, shape=export.manifest.preprocessing.shape, labelled=False)
        attacker = own.attacker or own.scanned
    most = len(np.unique(pack.scanned.hashes()))
    most = most if attacker is not None else most // 2
    return divide(pack.scanned, attacker, victims=min(victims, most), seed=seed, auxiliary_same_data=aux is None)


def _before(folder: Path, export: Export, images: str) -> EdgeAttackRecord | None:
    """What the export's attack.json holds already of this edge, these victims and this attacker: it stays."""
    if not (folder / ATTACK).exists():
        return None
    found = records.load(folder / ATTACK, EdgeAttackRecord)
    return found if (found.version, found.images_sha256) == (export.manifest.version, images) else None


def _unsettled(failures: Sequence[Failure], results: Sequence[AttackResult]) -> tuple[str, ...]:
    """The attacks that could have got more."""
    failed = [f"{one.attack} failed" for one in failures]
    improving = [f"{one.attack} was still improving" for one in results if not one.converged]
    return (*failed, *improving)
