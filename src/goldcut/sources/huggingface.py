"""Image classifiers of Hugging Face, from a folder or the hub."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from goldcut.errors import ModelError
from goldcut.sources.body import Body, Request, Shape, import_extra, per_channel, reported


def build_hf(request: Request) -> Body:
    """An image classifier from a folder of save_pretrained or from the hub.

    The weights that lie there are loaded; `weights` names a revision of the hub. A folder that holds a configuration
    alone gives random weights. Code of the hub is never run.

    Raises:
        ModelError: It cannot be fetched or built, or its weights have no classifier.
        MissingExtra: transformers is not installed.
    """
    transformers = import_extra("transformers", "hf")
    if request.name.startswith(("/", ".", "~")) and not Path(request.name).is_dir():
        raise ModelError(f"{request.name} is no folder", "Give hf:FOLDER, or hf:OWNER/NAME for the hub.")
    place = {"revision": request.weights} if request.weights else {}
    with _quiet(transformers.utils.logging), reported("Hugging Face", request.name):
        config = transformers.AutoConfig.from_pretrained(request.name, **place)
        processor = _load_processor(transformers, request.name, place)
        if request.classes is not None:
            config.num_labels = request.classes
        if request.input_shape is not None:
            _set_input(config, request.input_shape)
        random = request.bare or _has_no_weights(Path(request.name))
        if random:
            module = transformers.AutoModelForImageClassification.from_config(config)
        else:
            module, found = transformers.AutoModelForImageClassification.from_pretrained(
                request.name, config=config, output_loading_info=True, ignore_mismatched_sizes=True, **place
            )
            _refuse_misfit(request.name, found["missing_keys"], found["mismatched_keys"])
    shape = request.input_shape or _input_of(config, processor)
    weights = None if random else request.weights or "main"
    if shape is None or not getattr(processor, "do_normalize", False):
        return Body(module, shape, weights=weights)
    mean, std = (per_channel(values, shape[0]) for values in (processor.image_mean, processor.image_std))
    return Body(module, shape, mean, std, weights)


@contextlib.contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _load_processor(transformers: Any, name: str, place: dict[str, str]) -> Any:
    try:
        return transformers.AutoImageProcessor.from_pretrained(name, **place)
    except (OSError, ValueError):  # nobody saved one
        return None


def _has_no_weights(folder: Path) -> bool:
    return folder.is_dir() and not any(file for suffix in ("safetensors", "bin") for file in folder.glob(f"*.{suffix}"))


def _refuse_misfit(name: str, missing: Iterable[str], misshapen: Iterable[tuple[str, Any, Any]]) -> None:
    """The library would leave such weights random and say so in its log only."""
    missing, shapes = sorted(missing), [f"{key} {tuple(came)}" for key, came, _ in sorted(misshapen)]
    if missing:
        raise ModelError(
            f"{name} lacks {len(missing)} weights of an image classifier ({', '.join(missing[:3])})",
            "Give a fine-tuned classifier, or --checkpoint FILE.",
        )
    if shapes:
        raise ModelError(
            f"{len(shapes)} weights of {name} have another shape ({', '.join(shapes[:3])})",
            "Leave --input and --classes as the weights were made for.",
        )


def _set_input(config: Any, shape: Shape) -> None:
    config.num_channels = shape[0]
    if hasattr(config, "image_size"):
        config.image_size = shape[1] if shape[1] == shape[2] else list(shape[1:])


def _input_of(config: Any, processor: Any) -> Shape | None:
    """The size after the processor's crop, else after its resizing, else the configuration's."""
    channels = getattr(config, "num_channels", 3)
    crop = getattr(processor, "crop_size", None) if getattr(processor, "do_center_crop", False) else None
    size = crop or getattr(processor, "size", None) or getattr(config, "image_size", None)
    if size is None:
        return None
    if isinstance(size, int):
        return channels, size, size
    if isinstance(size, list | tuple):
        return channels, size[0], size[1]
    height, width = (size.get(side) or size.get("shortest_edge") for side in ("height", "width"))
    return (channels, height, width) if height and width else None
