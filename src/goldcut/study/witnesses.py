"""Networks that look at what the attacks make: an independent classifier, an embedder, and LPIPS."""

from pathlib import Path

from goldcut.errors import ModelError
from goldcut.metrics.perceptual import load_lpips
from goldcut.metrics.witness import Witness, identity_embedder, independent_classifier
from goldcut.sources.models import Target, load_model


def call_witnesses(
    attacked: Target,
    classifier: str | Target | None = None,
    embedder: str | Target | None = None,
    *,
    lpips: bool = False,
) -> tuple[Witness, ...]:
    """The witnesses of an attack.

    Args:
        attacked: The model that is attacked.
        classifier: Another one for the same images; a Target, or a MODEL spec with @CHECKPOINT where it has one.
        embedder: Any network for the same images, likewise.
        lpips: Whether LPIPS is among them.

    Raises:
        ModelError: One cannot be loaded or takes images of another size, or the classifier is the model attacked.
    """
    classifier, embedder = _load(classifier, attacked), _load(embedder, attacked)
    if classifier is not None and classifier.record.sha256 == attacked.record.sha256:
        raise ModelError(
            f"the classifier {classifier.record.spec} has the weights of the model that is attacked",
            "Give an independent one: a reconstruction may deceive the model that it was made with.",
        )
    for witness in (classifier, embedder):
        if witness is not None and witness.input_shape != attacked.input_shape:
            theirs, ours = (",".join(map(str, one.input_shape)) for one in (witness, attacked))
            raise ModelError(
                f"{witness.record.spec} takes images of {theirs} and the attacked model of {ours}",
                "Give one for the same size, or wrap it in a module that resizes.",
            )
    called = []
    if classifier is not None:
        called.append(independent_classifier(classifier.model.eval(), classifier.record.sha256))
    if embedder is not None:
        called.append(identity_embedder(embedder.model.eval(), embedder.record.sha256))
    return (*called, load_lpips()) if lpips else tuple(called)


def _load(witness: str | Target | None, attacked: Target) -> Target | None:
    if not isinstance(witness, str):
        return witness
    spec, _, checkpoint = witness.partition("@")
    return load_model(spec, checkpoint=Path(checkpoint) if checkpoint else None, images_shape=attacked.input_shape)
